#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gcc python3 redis-tools sqlite3
# targets: libhakmem.so.0 tools/trace/hakmem-trace tools/trace/libhakmem-record.so bench/larson bench/random_mixed
"""Real programs are recorded and replayed: sqlite, python, gcc (cc1), redis, larson; and 10^8 events.

usage: replay.py BUILD [NAME...]    (./hakmem test replay [NAME...])

Of each: the replay, recorded itself, asks for the same sizes in the same order in each thread; its peak of live bytes is
the program's to the byte; and hakmem has as much resident at the end as in the program, within 10 % (nothing goes back
before: HAKMEM_PURGE_DELAY_MS). The trace of 10^8 events must be replayed in memory that does not grow with it.
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TRACE = os.path.join(HERE, "..", "trace", "trace.py")
SKIP = 77
EVENTS = 100_000_000
LIMIT_KIB = 96 << 10

SQL = ("create table t(a, b); insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) "
       "select i, hex(i * 7919) from n; create index x on t(b); select count(*), sum(length(b)) from t where b > '5';")
PYTHON = ("import json; x = [{'a': i, 'b': str(i) * 3} for i in range(30000)]; y = json.loads(json.dumps(x)); "
          "print(len(y))")
REDIS = r"""
(exec -a redis-server redis-check-rdb --port 0 --unixsocket "$PWD/socket" --save "" --dir "$PWD") >/dev/null &
for i in $(seq 200); do redis-cli -s socket ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done
redis-benchmark -s socket -q -n 10000 -r 3000 -d 100 -t set,get,lpush,rpop,sadd,hset,zadd >/dev/null
redis-cli -s socket shutdown nosave
wait"""


def source(folder):
    """A C file that gcc works on for a while."""
    path = os.path.join(folder, "source.c")
    with open(path, "w", encoding="ascii") as file:
        file.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
        for i in range(60):
            file.write(f"struct s{i} {{ int a[{i + 1}]; double b; struct s{i} *next; }};\n"
                       f"int f{i}(struct s{i} *s, int k)\n{{ int t = {i}; for (int j = 0; j < k; j++) {{ t += s->a[j % {i + 1}]"
                       f" * j; switch (t % 7) {{ case 0: t ^= k; break; case 3: t += (int)strlen(\"x{i}\"); break; default:"
                       f" t--; }} }} return s->next ? f{i}(s->next, t) : t; }}\n")
    return path


def programs(build, folder):
    return {
        "sqlite": ("", ["sqlite3", ":memory:", SQL], {}),
        "python": ("", [sys.executable, "-c", PYTHON], {}),
        "python-malloc": ("", [sys.executable, "-c", PYTHON], {"PYTHONMALLOC": "malloc"}),
        "gcc": ("cc1", ["gcc", "-O2", "-c", source(folder), "-o", os.path.join(folder, "source.o")], {}),
        "redis": ("redis-server", ["bash", "-c", REDIS], {}),
        "larson": ("", [os.path.join(build, "bench", "larson"), "10000", "4", "5"], {}),
    }


def check(build, name, only, command, env):
    tools = [os.path.join(build, "tools", "trace", each) for each in ("hakmem-trace", "libhakmem-record.so")]
    done = subprocess.run([sys.executable, TRACE, "program", *tools, os.path.join(build, "libhakmem.so.0"), only, *command],
                          env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=900, check=False)
    print(f"{name}: {done.stdout.strip()}", flush=True)
    return done.returncode == 0


def check_many(build, folder):
    """As many events as a program of hours has."""
    tool, recorder = (os.path.join(build, "tools", "trace", each) for each in ("hakmem-trace", "libhakmem-record.so"))
    library, path = os.path.join(build, "libhakmem.so.0"), os.path.join(folder, "many.hkt")
    subprocess.run([tool, "record", path, "", f"{recorder}:{library}", os.path.join(build, "bench", "random_mixed"),
                    str(EVENTS // 2), "1024"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    subprocess.run([tool, "info", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    with subprocess.Popen([tool, "play", path], env={**os.environ, "LD_PRELOAD": library}, stdout=subprocess.PIPE,
                          text=True) as play:
        line = play.stdout.read()
        _, status, usage = os.wait4(play.pid, 0)
        play.returncode = status
    told = {name: int(value) for name, value in (word.split("=") for word in line.split())}
    print(f"many: {told['events']} events in {os.path.getsize(path) >> 20} MiB, replayed in {told['elapsed_ns'] / 1e9:.1f} s; "
          f"most memory of a process: {usage.ru_maxrss >> 10} MiB", flush=True)
    return (status == 0 and told["events"] >= EVENTS and usage.ru_maxrss < LIMIT_KIB
            and told["peak_live_bytes"] == told["recorded_peak_bytes"])


def main():
    build = os.path.abspath(sys.argv[1])
    if not os.path.exists(os.path.join(build, "tools", "trace", "hakmem-trace")):
        print("there is no hakmem-trace: libzstd was not there when this was configured")
        return SKIP
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        every = programs(build, folder)
        unknown = set(sys.argv[2:]) - set(every) - {"many"}
        if unknown:
            sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(every)}, many")
        for name, (only, command, env) in every.items():
            if sys.argv[2:] and name not in sys.argv[2:]:
                continue
            missing = [each for each in {"redis": ("redis-check-rdb", "redis-cli", "redis-benchmark")}.get(name, command[:1])
                       if shutil.which(each) is None]
            if missing:
                print(f"{name}: skipped, {missing[0]} is not installed")
            elif not check(build, name, only, command, env):
                failed.append(name)
        if (not sys.argv[2:] or "many" in sys.argv[2:]) and not check_many(build, folder):
            failed.append("many")
    print("ok" if not failed else f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
