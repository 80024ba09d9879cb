# SPDX-License-Identifier: MIT
"""MariaDB with its stock settings: makes its tables, loads some hundred thousand rows, answers, and stops."""
import harness
import os
import subprocess

SETUP = """
CREATE DATABASE t; USE t;
CREATE TABLE a (id INT PRIMARY KEY, n INT, b VARCHAR(200), j TEXT, KEY (n)) ENGINE=InnoDB;
INSERT INTO a SELECT seq, seq * 7919 % 100003, CONCAT('row ', MD5(seq)), REPEAT(MD5(seq), seq % 20)
    FROM seq_1_to_200000;
CREATE TABLE c ENGINE=Aria AS SELECT id, n, b FROM a WHERE id % 3 = 0;
ANALYZE TABLE a, c;
"""
QUERIES = """
USE t;
SELECT COUNT(*), SUM(n), MIN(b), SUM(LENGTH(j)) FROM a;
SELECT n % 100 AS g, COUNT(*), MAX(b) FROM a GROUP BY g ORDER BY g;
SELECT COUNT(*), SUM(a.id) FROM a JOIN c ON a.n = c.id;
SELECT MD5(GROUP_CONCAT(b ORDER BY b SEPARATOR '')) FROM (SELECT b FROM a WHERE id < 5000) s;
SELECT id, ROW_NUMBER() OVER (PARTITION BY n % 10 ORDER BY b) r FROM a WHERE id < 3000 ORDER BY r DESC, id LIMIT 20;
UPDATE a SET b = CONCAT(b, b) WHERE id % 5 = 0;
DELETE FROM a WHERE id % 7 = 0;
SELECT COUNT(*), SUM(LENGTH(b)) FROM a;
SELECT REGEXP_REPLACE(b, '([0-9]+)', '<\\\\1>') FROM a WHERE id <= 3;
OPTIMIZE TABLE c;
"""


def workload(run):
    package = "mariadb-server-core"
    install = harness.need("mariadb-install-db", package=package)
    server = harness.need("mariadbd", package=package)
    client = harness.need("mariadb", package="mariadb-client-core")
    user = ["--user=root"] if os.geteuid() == 0 else []
    data = run.path("data")
    run.cmd([install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
             "--skip-test-db", *user], compare=False)
    base = [client, "--no-defaults", f"--socket={run.path('socket')}", "--user=root", "--batch"]
    process = run.serve([server, "--no-defaults", f"--datadir={data}", f"--socket={run.path('socket')}",
                         f"--pid-file={run.path('pid')}", "--skip-networking", *user],
                        lambda: subprocess.run([*base, "-e", "SELECT 1"], env=run.env, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL).returncode == 0)
    try:
        run.look(process.pid, "mariadbd")
        run.cmd(base, stdin=SETUP, compare=False)
        run.cmd(base, stdin=QUERIES)
        threads = [subprocess.Popen([*base, "-e", f"USE t; SELECT SUM(n), COUNT(*) FROM a WHERE n % {i + 2} = 1"],
                                    env=run.env, stdout=subprocess.PIPE) for i in range(8)]
        for i, each in enumerate(threads):
            run.note(f"client {i}", each.communicate(timeout=100)[0])
        run.cmd([*base, "-e", "SHUTDOWN"], compare=False)
        run.note("end", process.wait(timeout=100))
        log = harness.read(run.path("log"))
        run.note("crashes", [line for line in log.splitlines() if "got signal" in line or "[ERROR]" in line])
    finally:
        harness.kill_session(process)


harness.main(workload, ["mariadbd"])
