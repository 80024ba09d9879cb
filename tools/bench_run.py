# SPDX-License-Identifier: MIT
"""What the bench runs and how: the lines, the allocators, one run, and the machine in words. Used by bench.py and ab.py."""

import dataclasses
import datetime
import fnmatch
import glob
import json
import os
import platform
import subprocess
import sys

import standstill

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = {
    "mimalloc": "libmimalloc.so.2*",
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "tbb": "libtbbmalloc_proxy.so.2",
}
RUN_LIMIT_S = 300


class BenchError(Exception):
    """Something that the user can put right; the message says what."""


@dataclasses.dataclass(frozen=True)
class Line:
    name: str
    program: str
    args: tuple
    count_at: int

    def command(self, count=None, divide=1):
        args = list(self.args)
        args[self.count_at] = str(count if count is not None else max(1, int(args[self.count_at]) // divide))
        return [self.program, *args]


# What burst prints besides: the slowest calls, and what one in ten thousand is slower than.
CALL_FIELDS = ("slowest_malloc_ns", "slowest_free_ns", "p9999_malloc_ns", "p9999_free_ns")
# What aging prints besides: the RSS in percent of the live bytes, the mean and the worst of its samples.
LIVE_FIELDS = ("mean_rss_percent", "worst_rss_percent")
# What handover prints besides: ticks of the processor's counter for 100 additions, and in a second.
TICK_FIELDS = ("ticks_per_100", "ticks_per_sec")
MORE_FIELDS = CALL_FIELDS + LIVE_FIELDS + TICK_FIELDS


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of one program. Times in seconds, memory in KiB."""

    status: str
    ops_per_sec: float = 0.0
    elapsed: float = 0.0
    wall: float = 0.0
    user: float = 0.0
    sys: float = 0.0
    rss: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    more: dict = dataclasses.field(default_factory=dict)  # those of MORE_FIELDS that the program prints

    @property
    def ok(self):
        return self.status == "ok"


def end_with(name, body, progress):
    """Runs body() as the whole of the tool `name`. Gives the exit status: the body's, or 2 with a line for an error, or
    130."""
    try:
        return body()
    except (BenchError, OSError) as error:
        progress.close()
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.close()
        return 130


def check_output(*paths):
    """Files that the user named can be written; nothing is left behind."""
    for path in filter(None, paths):
        try:
            new = not os.path.lexists(path)
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with open(path, "a", encoding="utf-8"):
                pass
            if new:
                os.unlink(path)
        except OSError as error:
            raise BenchError(f"{path} cannot be written: {error.strerror}") from None


def read_lines(only=None):
    lines = []
    with open(os.path.join(ROOT, "bench", "lines.txt"), encoding="utf-8") as file:
        for text in file:
            if text.strip() and not text.startswith("#"):
                name, program, args = text.strip().split(": ")
                words = args.split()
                at = next(i for i, word in enumerate(words) if word.startswith("@"))
                words[at] = words[at][1:]
                lines.append(Line(name, program, tuple(words), at))
    if only is None:
        lines = [line for line in lines if not line.name.startswith("sparse-")]
    return choose(lines, only, lambda line: line.name, "line")


def choose(items, patterns, name_of, what):
    """The items whose name matches one of the comma-separated patterns; a pattern without a match is an error."""
    if not patterns:
        return list(items)
    wanted = set()
    for pattern in filter(None, patterns.split(",")):
        names = fnmatch.filter([name_of(item) for item in items], pattern)
        if not names:
            raise BenchError(f"no {what} matches {pattern!r}: " + ", ".join(name_of(item) for item in items))
        wanted.update(names)
    return [item for item in items if name_of(item) in wanted]


def library_folders():
    folders = [f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"]
    return [folder for folder in folders if os.path.isdir(folder)]


def find_allocators(build, extra, against):
    """Name -> library, or None for the C library's own; hakmem and glibc come first."""
    found = {"hakmem": os.path.join(build, "libhakmem.so"), "glibc": None}
    for name, pattern in PEERS.items():
        matches = [path for folder in library_folders() for path in sorted(glob.glob(os.path.join(folder, pattern)))]
        if matches:
            found[name] = matches[0]
    for text in extra:
        name, _, path = text.partition("=")
        if not name or not path or name == "glibc":
            raise BenchError(f"--lib {text}: expected NAME=PATH")
        found[name] = os.path.abspath(path)
    if against is not None:
        peers = [name for name in found if name not in ("hakmem", "glibc")]
        kept = choose(peers, against, str, "allocator") if against not in ("", "glibc") else []
        found = {name: path for name, path in found.items() if name in ("hakmem", "glibc") or name in kept}
    for name, path in found.items():
        if path is not None and not os.path.isfile(path):
            raise BenchError(f"{name}: there is no {path}")
    return found


def program_path(build, program):
    path = os.path.join(build, "bench", program)
    if not os.access(path, os.X_OK):
        raise BenchError(f"there is no {path}: build it first (meson setup {build}; ninja -C {build})")
    return path


TRACE_MAGIC = b"hktrace1"  # as in tools/trace/format.h


def is_trace(path):
    """Whether it is a file of `hakmem record`."""
    try:
        with open(path, "rb") as file:
            return file.read(len(TRACE_MAGIC)) == TRACE_MAGIC
    except IsADirectoryError:
        return False
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from None


def trace_tool(build, may_be_absent=False):
    """What replays traces; ./hakmem builds it in build/."""
    for folder in (build, os.path.join(ROOT, "build")):
        path = os.path.join(folder, "tools", "trace", "hakmem-trace")
        if os.access(path, os.X_OK):
            return path
    if may_be_absent:
        return "hakmem-trace"
    raise BenchError("there is no hakmem-trace, which replays traces: building it needs libzstd (Debian: libzstd-dev)")


def check_preload(build, allocators):
    """The loader goes on without a library that it cannot load; such a run would measure glibc under another name."""
    for name, path in allocators.items():
        if path is None:
            continue
        command = [program_path(build, "launch"), "--preload", path, "--", program_path(build, "floor")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False)
        if "cannot be preloaded" in done.stderr:
            raise BenchError(f"{name}: the loader refuses {path}")


def parse_fields(line):
    return {key: int(value) for key, value in (word.split("=") for word in line.split())}


def describe_failure(usage, errors):
    reason = f"signal {usage['signal']}" if usage.get("signal") else f"status {usage.get('status', '?')}"
    last = errors.strip().splitlines()[-1:] or [""]
    return f"{reason} {last[0][:100]}".strip()


def run_once(build, preload, command, env=None, measured=True):
    """Runs one program under the launcher, with `env` added to the environment. A run that fails in any way has another
    status than 'ok'. A program that is not `measured` prints no line of its own: one run of it is one operation.

    A run that stands still or takes too long shows its stacks on stderr. A program that is not one of ours may sleep."""
    read_end, write_end = os.pipe()
    argv = [program_path(build, "launch"), "--fd", str(write_end)]
    argv += ["--preload", preload] if preload else []
    argv += ["--", program_path(build, command[0]), *command[1:]]
    with os.fdopen(read_end, encoding="ascii", errors="replace") as report:
        try:
            with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, errors="replace", pass_fds=(write_end,),
                                  env={**os.environ, **(env or {})}) as process:
                os.close(write_end)
                try:
                    output, errors, why = standstill.finish(process, RUN_LIMIT_S,
                                                            standstill.SECONDS if measured else None)
                except BaseException:
                    process.kill()  # the launcher's end kills the program
                    raise
                if why:
                    return Run(why)
            usage = parse_fields(report.read())
            if process.returncode != 0:
                return Run(describe_failure(usage, errors))
            wall_ns = 1000 * usage["wall_us"]
            result = parse_fields(output) if measured else {"elapsed_ns": wall_ns, "ops_per_sec": 1e9 / wall_ns}
            return Run("ok", result["ops_per_sec"], result["elapsed_ns"] / 1e9, usage["wall_us"] / 1e6,
                       usage["user_us"] / 1e6, usage["sys_us"] / 1e6, result.get("heap_peak_kib", usage["max_rss_kib"]),
                       result.get("minor_faults", usage["minor_faults"]) if "heap_peak_kib" in result else
                       usage["minor_faults"], usage["major_faults"], {key: result[key] for key in MORE_FIELDS if key in result})
        except (ValueError, KeyError):
            return Run("no result line")


def first_line(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return default


def field_of(path, key, separator):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for text in file:
                name, found, value = text.partition(separator)
                if found and name.strip() == key:
                    return value.strip().strip('"')
    except OSError:
        pass
    return ""


def machine_in_words():
    model = field_of("/proc/cpuinfo", "model name", ":") or platform.machine()
    memory = field_of("/proc/meminfo", "MemTotal", ":").split()
    system = field_of("/etc/os-release", "PRETTY_NAME", "=") or platform.system()
    size = f"{int(memory[0]) / 2 ** 20:.0f} GiB" if memory else "memory unknown"
    libc = " ".join(platform.libc_ver())
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, {size}, {system}, {libc}, kernel {platform.release()}"


def thp_mode():
    text = first_line("/sys/kernel/mm/transparent_hugepage/enabled", "none")
    return text.partition("[")[2].partition("]")[0] or text


def output_of(*command, cwd=ROOT):
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit_now(source=ROOT):
    commit = output_of("git", "rev-parse", "--short=12", "HEAD", cwd=source) or "none"
    return commit + ("-dirty" if output_of("git", "status", "--porcelain", "-uno", cwd=source) else "")


def load_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return []


def compiler_of(build):
    for target in load_json(os.path.join(build, "meson-info", "intro-targets.json")):
        for sources in target.get("target_sources", []):
            if sources.get("language") == "c" and sources.get("compiler"):
                return output_of(*sources["compiler"], "--version").partition("\n")[0] or "unknown"
    return "unknown"


def options_of(build, env=None):
    """The build type and our own options, then the HAKMEM_ variables that are set now, and those of `env`."""
    words = []
    for option in load_json(os.path.join(build, "meson-info", "intro-buildoptions.json")):
        if option.get("section") == "user" or option.get("name") in ("buildtype", "b_lto", "c_args"):
            value = option["value"]
            words.append(f"{option['name']}={' '.join(value) if isinstance(value, list) else value}")
    variables = {name: value for name, value in os.environ.items() if name.startswith("HAKMEM_")}
    words += [f"{name}={value}" for name, value in sorted({**variables, **(env or {})}.items())]
    return " ".join(words) or "unknown"


def facts(build, source=ROOT, env=None):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit_now(source),
        "compiler": compiler_of(build),
        "options": options_of(build, env),
        "machine": machine_in_words(),
        "thp": thp_mode(),
    }
