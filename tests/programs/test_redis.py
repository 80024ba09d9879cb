# SPDX-License-Identifier: MIT
"""redis-server: load all its types, compare DEBUG DIGEST, redis-benchmark, save in a child, and read that back."""
import harness
import random
import shutil
import subprocess
import time


def protocol():
    """Commands that make strings, hashes, lists, sets, sorted sets and streams, grow them, and delete a part."""
    dice = random.Random(3)
    out = []

    def send(*words):
        words = [str(word).encode() for word in words]
        out.append(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    for i in range(50000):
        n, kind = dice.randrange(4000), i % 8
        if kind == 0:
            send("SET", f"s{dice.randrange(30000)}", "v" * dice.randrange(1, 700))
        elif kind == 1:
            send("APPEND", f"a{n % 50}", "tail" * dice.randrange(1, 60))
        elif kind == 2:
            send("HSET", f"h{n % 600}", f"field{dice.randrange(300)}", "x" * dice.randrange(90))
        elif kind == 3:
            send("RPUSH", f"l{n % 300}", *(f"item{dice.randrange(10 ** 6)}" for _ in range(dice.randrange(1, 9))))
        elif kind == 4:
            send("SADD", f"set{n % 200}", *(dice.randrange(10 ** 7) for _ in range(4)))
        elif kind == 5:
            send("ZADD", f"z{n % 100}", dice.randrange(10 ** 6), f"member{dice.randrange(10 ** 5)}")
        elif kind == 6:
            send("SETRANGE", f"r{n % 40}", dice.randrange(60000), "range")
        else:
            send(dice.choice(["DEL", "UNLINK"]), f"s{dice.randrange(30000)}", f"l{dice.randrange(300)}")
    return b"".join(out)


class Server:
    def __init__(self, run):
        binary = harness.need("redis-server", "redis-check-rdb", package="redis-tools")
        self.run = run
        self.client = [harness.need("redis-cli", package="redis-tools"), "-s", "socket"]
        # redis-tools has the server too, under another name: it acts on what it is called. (The package redis-server
        # would also start a service.)
        self.process = run.serve(
            ["redis-server", "--port", "0", "--unixsocket", "socket", "--save", "", "--io-threads", "2",
             "--enable-debug-command", "yes", "--rdbcompression", "yes", "--dbfilename", "dump.rdb", "--dir", run.dir],
            lambda: self.ask("PING", compare=False) == "PONG", executable=binary)

    def ask(self, *words, compare=True):
        """The answer to a command; not compared where it depends on time."""
        done = subprocess.run([*self.client, *words], cwd=self.run.dir, env=self.run.env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        text = done.stdout.decode().strip()
        if compare:
            if text.startswith(("ERR", "WRONGTYPE", "NOAUTH")) or done.returncode:
                raise harness.Failure(f"{self.run.name}: redis: {words}: {text}")
            self.run.note("redis: " + " ".join(words), text)
        return text

    def stop(self):
        harness.kill_session(self.process)


def workload(run):
    benchmark = harness.need("redis-benchmark", package="redis-tools")
    server = Server(run)
    try:
        run.look(server.process.pid, harness.comm(server.process.pid))
        run.cmd([*server.client, "--pipe"], stdin=protocol(), compare=False)
        digest = server.ask("DEBUG", "DIGEST")
        if len(digest) != 40 or not digest.strip("0"):
            raise harness.Failure(f"{run.name}: no digest: {digest}")
        for question in ("DBSIZE", "STRLEN a7", "HLEN h5", "LLEN l3", "SCARD set9", "ZRANGE z3 0 9 WITHSCORES",
                         "SUNIONSTORE u set1 set2 set3 set4", "ZUNIONSTORE zu 3 z1 z2 z3", "SORT set5 LIMIT 0 9",
                         "ECHO done"):
            server.ask(*question.split())
        server.ask("EVAL", "local t = {} for i = 1, 20000 do t[i] = i .. 'x' end return #table.concat(t)", "0")
        server.ask("DEBUG", "DIGEST")
        before = server.ask("DEBUG", "DIGEST", compare=False)
        server.ask("BGSAVE")
        for _ in range(600):
            if "rdb_bgsave_in_progress:0" in server.ask("INFO", "persistence", compare=False):
                break
            time.sleep(0.05)
        state = server.ask("INFO", "persistence", compare=False)
        run.note("bgsave", "rdb_last_bgsave_status:ok" in state and "rdb_saves:1" in state)
        for threads in (["-c", "20"], ["-c", "20", "--threads", "2"]):
            run.cmd([benchmark, "-s", "socket", "-q", "-n", "4000", "-P", "8", "-d", "200", "-r", "1000", *threads,
                     "-t", "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"], compare=False)
        server.ask("FLUSHALL", "ASYNC")
        server.ask("DBSIZE")
        server.ask("SHUTDOWN", "NOSAVE")
        run.note("end", server.process.wait(timeout=60))
    finally:
        server.stop()
    server = Server(run)
    try:
        after = server.ask("DEBUG", "DIGEST")
        if after != before:
            raise harness.Failure(f"{run.name}: the saved data has digest {after}, not {before}")
        server.ask("DEBUG", "RELOAD")
        server.ask("DEBUG", "DIGEST")
    finally:
        server.stop()


# A process has the name of the file that was run, whatever it is called as.
DEBIAN = "/usr/bin:/bin:/usr/sbin:/sbin"
HAS_SERVER = shutil.which("redis-server", path=DEBIAN) or shutil.which("redis-server")
harness.main(workload, ["redis-server" if HAS_SERVER else "redis-check-rdb"])
