# SPDX-License-Identifier: MIT
"""python3: part of its own regression tests, with PYTHONMALLOC=malloc so that every object is a block of ours, and a
program with threads and processes."""
import harness
import os

# Chosen for what they do to an allocator: many small objects, growing buffers, odd sizes, threads, forks, C libraries.
MODULES = """test_list test_dict test_tuple test_bytes test_array test_deque test_heapq test_collections
    test_re test_picklebuffer test_gc test_memoryview test_struct test_zlib test_thread test_threading_local
    test_contextlib test_generators test_functools test_fractions test_textwrap test_difflib test_csv
    test_dataclasses test_xml_etree_c test_ordered_dict test_userdict test_hashlib test_copy""".split()

# Prints one line for each test: its name and how it ended. (unittest's own output has times in it.) Some draw what they
# try, and fail for what is drawn seldom (test_find_periodic_pattern, for two empty strings): each draws the same each time.
DRIVER = """
import io, random, sys, unittest, warnings
warnings.simplefilter("ignore")
class Result(unittest.TestResult):
    def startTest(self, t):
        super().startTest(t)
        random.seed(t.id())
    def addSuccess(self, t): self.end(t, "ok")
    def addSkip(self, t, why): self.end(t, "skip " + why)
    def addExpectedFailure(self, t, e): self.end(t, "expected failure")
    def addUnexpectedSuccess(self, t): self.end(t, "unexpected success")
    def addError(self, t, e): self.end(t, "ERROR %r" % (e[1],))
    def addFailure(self, t, e): self.end(t, "FAIL %r" % (e[1],))
    def addSubTest(self, case, t, e):
        if e: self.end(t, "FAIL %r" % (e[1],))
    def end(self, t, how): lines.append("%s: %s" % (t.id() if hasattr(t, "id") else t, how.splitlines()[0]))
lines = []
for name in sys.argv[1:]:
    suite = unittest.defaultTestLoader.loadTestsFromName("test." + name)
    out, sys.stdout = sys.stdout, io.StringIO()
    suite.run(Result())
    sys.stdout = out
print("\\n".join(sorted(lines)))
with open("maps", "w") as file: file.write(open("/proc/self/maps").read())
"""

PROGRAM = """
import collections, concurrent.futures, hashlib, json, multiprocessing, threading
def work(seed):
    d = collections.defaultdict(list)
    for i in range(6000):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        d[seed % 997].append(str(seed) * (seed % 5))
        if i % 3 == 0 and d[seed % 991]: d[seed % 991].pop()
    return hashlib.sha256(json.dumps(sorted(d.items())).encode()).hexdigest()
with concurrent.futures.ThreadPoolExecutor(4) as pool: print(list(pool.map(work, range(4))))
with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(work, range(4)))
text = bytearray()
for i in range(100000): text += b"%d," % i
print(hashlib.sha256(text).hexdigest(), sum(len(str(i)) for i in range(10 ** 5 * 3)))
"""


def workload(run):
    python = "/usr/bin/python3"
    if not os.access(python, os.X_OK):
        raise harness.Skip("/usr/bin/python3 is not installed (package python3)")
    env = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    where = run.cmd([python, "-c", "import test, os; print(os.path.dirname(test.__file__))"], env=env).decode().strip()
    there = [name for name in MODULES if os.path.exists(os.path.join(where, name + ".py"))
             or os.path.isdir(os.path.join(where, name))]
    if len(there) < 25:
        raise harness.Skip("python's regression tests are not installed (package libpython3.11-testsuite)")
    out = run.cmd([python, run.write("driver.py", DRIVER), *there], env=env)
    bad = [line for line in out.decode().splitlines() if ": FAIL" in line or ": ERROR" in line]
    print(f"{run.name}: {len(out.splitlines())} of python's own tests, {len(bad)} failed", flush=True)
    with open(run.path("maps"), encoding="utf-8") as maps:
        run.saw(maps.read(), "python3")
    run.cmd([python, run.write("program.py", PROGRAM)], env=env)
    run.cmd([python, run.path("program.py")])  # with python's own small-object allocator on top
    run.cmd(["sh", "-c", f"ulimit -v 65536; exec {python} -c pass"])


harness.main(workload, ["python3"])
