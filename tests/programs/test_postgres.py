# SPDX-License-Identifier: MIT
"""postgres: initdb, a server with parallel workers and the JIT compiler, pgbench, dump. As root it runs as another
user, for postgres refuses root."""
import harness
import os
import pwd
import subprocess

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, a int, b text, c numeric, j jsonb);
INSERT INTO t SELECT i, (i * 7919::bigint) % 100003, 'row ' || md5(i::text), i / 7.0,
                     jsonb_build_object('k', i % 100, 'list', jsonb_build_array(i, i * 2, 'x' || i))
              FROM generate_series(1, 40000) i;
CREATE INDEX t_a ON t (a);
CREATE INDEX t_j ON t USING gin (j jsonb_path_ops);
ANALYZE t;
"""

# Answers that do not depend on plan, order or time.
QUERIES = """
SET max_parallel_workers_per_gather = 4;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*), sum(a), min(b), max(c), sum(length(b)) FROM t;
SELECT md5(string_agg(x, ',')) FROM
    (SELECT a % 500 || ':' || count(*) || ':' || max(b) AS x FROM t GROUP BY a % 500 ORDER BY a % 500) s;
SET work_mem = '64kB';
SELECT md5(string_agg(b, ',')) FROM (SELECT b FROM t ORDER BY b) s;
SELECT count(*), sum(y.id) FROM t x JOIN t y ON y.a = x.id WHERE x.c > 100;
SET work_mem = '64MB';
SELECT count(*), sum(y.id) FROM t x JOIN t y ON y.a = x.id WHERE x.c > 100;
SELECT sum((j->>'k')::int), count(*) FILTER (WHERE j @> '{"k": 7}') FROM t;
SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY a % 50 ORDER BY b) r FROM t) s;
SET jit = on;
SET jit_above_cost = 0;
SET jit_inline_above_cost = 0;
SET jit_optimize_above_cost = 0;
SELECT sum(a * 3 + id % 7), avg(c)::numeric(20, 6) FROM t WHERE a BETWEEN 10 AND 90000 AND b LIKE 'row %';
SET jit = off;
DO $$ DECLARE s text := ''; BEGIN
    FOR i IN 1..30000 LOOP s := left(s || md5(i::text), 5000); END LOOP;
    RAISE NOTICE '%', md5(s);
END $$;
SELECT regexp_replace(b, '([0-9]+)', '<\\1>', 'g') FROM t WHERE id <= 3;
SELECT xmlelement(name x, id) FROM t WHERE id = 1;
UPDATE t SET b = b || b WHERE id % 5 = 0;
DELETE FROM t WHERE id % 7 = 0;
VACUUM FULL t;
SELECT count(*), sum(length(b)) FROM t;
"""


class Server:
    def __init__(self, run, tool):
        self.run, self.tool = run, tool
        self.process = run.serve(
            [*run.user, tool("postgres"), "-D", run.path("base"), "-k", run.dir, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "dynamic_shared_memory_type=mmap", "-c", "max_parallel_workers=4",
             "-c", "autovacuum=off", "-c", "synchronize_seqscans=off"],
            lambda: subprocess.run([tool("pg_isready"), "-q", "-h", run.dir], env=run.env).returncode == 0)

    def sql(self, text, compare=True):
        return self.run.cmd([self.tool("psql"), "-h", self.run.dir, "-U", "postgres", "-X", "-A", "-t", "-q", "-v",
                             "ON_ERROR_STOP=1", "-f", "-"], stdin=text, compare=compare)

    def stop(self):
        self.run.cmd([*self.run.user, self.tool("pg_ctl"), "-D", self.run.path("base"), "-m", "fast", "-w", "stop"],
                     compare=False)

    def kill(self):
        harness.kill_session(self.process)


def workload(run):
    def tool(name):
        return harness.need(f"/usr/lib/postgresql/*/bin/{name}", name, package="postgresql-15")

    tool("initdb")
    run.user = []
    if UID is not None:
        run.user = [harness.need("setpriv", package="util-linux"), f"--reuid={UID}", f"--regid={GID}", "--clear-groups"]
    run.cmd([*run.user, tool("initdb"), "-D", "base", "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E",
             "UTF8"], compare=False)
    server = Server(run, tool)
    try:
        run.look(server.process.pid, "postgres")
        run.saw(server.sql("SELECT pg_read_file('/proc/self/maps')", compare=False), "postgres backend")
        server.sql(SETUP)
        server.sql(QUERIES)
        plan = server.sql("SET max_parallel_workers_per_gather = 4; SET parallel_setup_cost = 0;"
                          "SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
                          "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)"
                          "SELECT count(*) FROM t WHERE length(b) > 3;", compare=False)
        run.note("parallel workers ran", b"Workers Launched: 0" not in plan and b"Workers Launched" in plan)
        bench = [tool("pgbench"), "-h", run.dir, "-U", "postgres"]
        run.cmd([*bench, "-i", "-q", "-s", "1", "postgres"], compare=False)
        run.cmd([*bench, "-n", "-c", "4", "-j", "2", "-t", "150", "--random-seed=42", "-M", "prepared", "postgres"],
                compare=False)
        server.sql("SELECT sum(abalance), (SELECT sum(bbalance) FROM pgbench_branches),"
                   "(SELECT sum(tbalance) FROM pgbench_tellers),"
                   "(SELECT sum(delta) || ' ' || count(*) FROM pgbench_history) FROM pgbench_accounts;")
        # Newer releases put a random word into the dump.
        run.cmd(["sh", "-c", f"{tool('pg_dump')} -h {run.dir} -U postgres -t t postgres | grep -v 'restrict ' |"
                             "sha256sum"])
        server.stop()
        run.note("end of the server", server.process.wait(timeout=60))
        log = harness.read(run.path("log"))
        run.note("crashes", [line for line in log.splitlines() if "PANIC" in line or "terminated by signal" in line])
    finally:
        server.kill()


UID = GID = None
if os.geteuid() == 0:
    # Any account but root will do; postgres's own is there when its package is.
    for account in ("postgres", "nobody"):
        try:
            UID, GID = pwd.getpwnam(account)[2:4]
            break
        except KeyError:
            continue
harness.main(workload, ["postgres", "postgres backend"], UID)
