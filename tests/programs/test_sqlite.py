# SPDX-License-Identifier: MIT
"""sqlite3: 150,000 rows, indices, joins, sorts, JSON, deletes, VACUUM, and the integrity check."""
import harness

SQL = """
.bail on
.shell cat /proc/$PPID/maps > maps
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -20000;
CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
    INSERT INTO t SELECT i, (i * 2654435761) % 1000003, 'row-' || ((i * 40503) % 99991),
                         CASE WHEN i % 50 = 0 THEN zeroblob(i % 900) END FROM n;
SELECT count(*), sum(a), sum(length(b)), sum(length(c)) FROM t;
CREATE INDEX t_a ON t (a);
CREATE INDEX t_b ON t (b, a);
SELECT b, count(*), max(a) FROM t GROUP BY b ORDER BY 2 DESC, 1 LIMIT 20;
SELECT count(*) FROM t x JOIN t y ON y.a = x.id WHERE x.b LIKE 'row-77%';
SELECT sum(length(g)) FROM (SELECT group_concat(b, ',') AS g FROM t WHERE id < 100000 GROUP BY a % 1000);
SELECT sum(json_extract(json_object('k', a, 'l', json_array(b, id)), '$.l[1]')) FROM t WHERE id <= 50000;
SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY a % 100 ORDER BY b) AS r FROM t WHERE id < 50000);
BEGIN;
UPDATE t SET b = b || '-' || upper(b) WHERE id % 7 = 0;
DELETE FROM t WHERE id % 3 = 0;
COMMIT;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(a), sum(length(b)) FROM t;
SELECT * FROM t ORDER BY b DESC, id LIMIT 20;
"""


def workload(run):
    sqlite = harness.need("sqlite3", package="sqlite3")
    run.cmd([sqlite, "base"], stdin=SQL)
    with open(run.path("maps"), encoding="utf-8") as maps:
        run.saw(maps.read(), "sqlite3")
    run.cmd(["sh", "-c", f"{sqlite} base .dump | sha256sum"])


harness.main(workload, ["sqlite3"])
