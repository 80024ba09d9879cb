# SPDX-License-Identifier: MIT
"""nginx: pages, compressed and put together, served to many clients while the master reloads again and again."""
import harness
import hashlib
import http.client
import os
import random
import signal
import socket
import threading
import time

CLIENTS, EACH, RELOADS = 8, 250, 15

CONFIGURATION = """
daemon off;
worker_processes 2;
pid %(dir)s/pid;
error_log %(dir)s/error.log warn;
user root;
events { worker_connections 256; }
http {
    access_log %(dir)s/access.log;
    types { text/html html; text/plain txt; }
    gzip on;
    gzip_types text/plain;
    gzip_min_length 100;
    client_body_temp_path %(dir)s/body; proxy_temp_path %(dir)s/proxy; fastcgi_temp_path %(dir)s/fastcgi;
    uwsgi_temp_path %(dir)s/uwsgi; scgi_temp_path %(dir)s/scgi;
    map $arg_x $mapped { default none; ~^(?<digit>[0-9]) "digit $digit"; }
    server {
        listen 127.0.0.1:%(port)d;
        root %(dir)s/www;
        ssi on;
        location /echo { return 200 "$mapped $request_uri $http_x_long"; }
        location /again/ { proxy_pass http://127.0.0.1:%(port)d/; proxy_buffers 4 4k; }
    }
}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_pages(run):
    dice = random.Random(5)
    os.mkdir(run.path("www"))
    for i in range(20):
        run.write(f"www/{i}.txt", "".join(f"{dice.randrange(1000)} " for _ in range(50 << (i // 2))))
        run.write(f"www/{i}.html", f'<p>{i}</p><!--#include virtual="/{i}.txt" --><!--#echo var="request_uri" -->')


def requests(number):
    for i in range(EACH):
        page = (number * 7 + i) % 20
        yield ["/%d.txt" % page, "/%d.html" % page, "/again/%d.txt" % page, "/echo?x=%d" % i][i % 4]


class Client(threading.Thread):
    def __init__(self, number, port):
        super().__init__()
        self.number, self.port, self.digest, self.bad = number, port, hashlib.sha256(), []

    def ask(self, path):
        headers = {"X-Long": "y" * (self.number * 300 + 1), "Host": "test"}
        if self.number % 2:
            headers["Accept-Encoding"] = "gzip"
        for _ in range(3):  # a worker that ends may close a connection that is kept
            try:
                self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request("GET", path, headers=headers)
                answer = self.connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, ConnectionError):
                self.connection = None
        return 0, b""

    def run(self):
        self.connection = None
        for path in requests(self.number):
            status, body = self.ask(path)
            self.digest.update(path.encode() + body)
            if status != 200:
                self.bad.append((path, status))


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def workload(run):
    nginx = harness.need("nginx", package="nginx")
    port = free_port()
    make_pages(run)
    run.write("conf", CONFIGURATION % {"dir": run.dir, "port": port})
    process = run.serve([nginx, "-p", run.dir, "-c", run.path("conf")], lambda: answers(port))
    try:
        run.look(process.pid, "nginx")
        clients = [Client(number, port) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(RELOADS):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        for client in clients:
            client.join()
            run.note(f"client {client.number}", f"{client.digest.hexdigest()} {client.bad}")
        process.send_signal(signal.SIGQUIT)
        run.note("end", process.wait(timeout=60))
        log = harness.read(run.path("error.log"))
        run.note("crashes", [line for line in log.splitlines() if "exited on signal" in line or "[alert]" in line])
    finally:
        harness.kill_session(process)


harness.main(workload, ["nginx"])
