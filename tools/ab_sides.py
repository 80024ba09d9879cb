# SPDX-License-Identifier: MIT
"""The two sides of `./hakmem ab`: what the user wrote, which library that is, and the building of it. Used by ab.py.

A side is a few words: -DNAME=VALUE (an option of the build), NAME=VALUE (the environment of the program), @FOLDER
(another checkout, built there) or @FILE.so (a library that is built already). No word at all is the default.
"""

import dataclasses
import difflib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess

from bench_run import ROOT, BenchError, facts

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
FOLDER = "build-ab"
OURS = ("tests", "benchmarks")  # a side is built without them
LABEL_WIDTH = 40


def is_side_word(word):
    return word.startswith(("-D", "@")) or VARIABLE.match(word) is not None


@dataclasses.dataclass
class Side:
    """`source` is the checkout; `library` is None until it is built."""

    words: list
    options: dict
    env: dict
    source: str = ROOT
    library: str = None
    label: str = ""

    @property
    def build(self):
        return os.path.dirname(self.library)

    def facts(self):
        return facts(self.build, self.source if os.path.isdir(self.source) else self.build, self.env)


def read_side(words):
    side = Side(list(words), {}, {})
    for word in words:
        if word.startswith("-D"):
            name, found, value = word[2:].partition("=")
            if not name or not found:
                raise BenchError(f"{word}: expected -DNAME=VALUE")
            side.options[name] = value
        elif word.startswith("@"):
            path = os.path.realpath(word[1:])
            if os.path.isfile(path):
                side.library = os.path.abspath(word[1:])
                side.source = os.path.dirname(path)
            elif os.path.isfile(os.path.join(path, "meson_options.txt")):
                side.source = path
            else:
                raise BenchError(f"{word}: neither a library nor a checkout of hakmem")
        else:
            name, _, value = word.partition("=")
            side.env[name] = value
    check_names(side)
    if side.library and side.options:
        raise BenchError(f"{' '.join(words)}: a library is built already, it takes no -D")
    return side


def check_names(side):
    """A HAKMEM_ name that the checkout does not know would change nothing, and be found significant by chance."""
    page = os.path.join(side.source, "docs", "options.md")
    if side.library or not os.path.isfile(page):
        return  # it is asked itself, in check_settings
    with open(page, encoding="utf-8") as file:
        known = set(re.findall(r"^\| `(HAKMEM_\w+)` \|", file.read(), re.M)) | {"HAKMEM_OPTIONS"}
    for name in side.env:
        if name.startswith("HAKMEM_") and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise BenchError(f"{name} is no option of hakmem" + (f"; did you mean {near[0]}?" if near else ""))


def check_settings(side):
    """What the built library says of the settings: a wrong value, or an option that has no effect in this build."""
    if not any(name.startswith("HAKMEM_") for name in side.env):
        return
    env = {name: value for name, value in os.environ.items() if not name.startswith("HAKMEM_")}
    env.update({name: value for name, value in side.env.items() if name.startswith("HAKMEM_")}, LD_PRELOAD=side.library)
    done = subprocess.run(["true"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    said = re.search(r"^hakmem: (HAKMEM_\w+.*(?: is not | is no option|no effect|are taken).*)", done.stderr, re.M)
    if said:
        raise BenchError(said.group(1))


def short_word(word):
    if word.startswith("@"):
        return os.path.basename(os.path.realpath(word[1:]))
    return word.removeprefix("-D").removeprefix("HAKMEM_")


def name_sides(one, two):
    """Labels: what a side has and the other has not; A and B when that is nothing."""
    for side, other in ((one, two), (two, one)):
        side.label = " ".join(short_word(word) for word in side.words if word not in other.words) or "default"
    if one.label == two.label:
        same = sorted(one.words) == sorted(two.words)
        for side, letter in ((one, "A"), (two, "B")):  # two folders of one name keep it, and their letter
            side.label = letter if same else f"{letter} {side.label}"
    for side in (one, two):
        if len(side.label) > LABEL_WIDTH:
            side.label = side.label[:LABEL_WIDTH - 3] + "..."


def known_options(source):
    """The options of a checkout, as Meson sees them."""
    done = subprocess.run(["meson", "introspect", "--buildoptions", os.path.join(source, "meson.build")],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    try:
        return {option["name"]: option for option in json.loads(done.stdout)}
    except ValueError:
        raise BenchError(f"{source}: meson cannot read its options: {done.stderr.strip()}") from None


def as_written(value):
    """A value as one writes it after -DNAME=."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, list) else str(value)


def check_option(name, value, known):
    """Says what is wrong with -DNAME=VALUE before Meson spends time on it."""
    own = [each for each, option in known.items() if option["section"] == "user" and each not in OURS]
    if name in OURS or name not in known:
        raise BenchError(f"there is no option {name!r} to compare; there are {', '.join(own)}, and Meson's own")
    choices = known[name].get("choices") or (["true", "false"] if known[name]["type"] == "boolean" else None)
    if known[name]["section"] == "user" and choices and value not in choices:
        raise BenchError(f"{name}={value}: the choices are {', '.join(choices)}")


def options_that_matter(side, known):
    """The options of a side without those that say what is the default anyway: equal sets share a build."""
    for name, value in side.options.items():
        check_option(name, value, known)
    return {name: value for name, value in sorted(side.options.items())
            if known[name]["section"] != "user" or as_written(known[name]["value"]) != value}


def check_options(side):
    """Before anything is built; without Meson it is seen later."""
    if side.options and shutil.which("meson"):
        options_that_matter(side, known_options(side.source))


def folder_name(options):
    """A readable name for a set of options. (It becomes part of LD_PRELOAD: no blanks, no colons.)"""
    plain = "+".join(f"{name}={value}" for name, value in options.items()) or "default"
    name = re.sub(r"[^A-Za-z0-9_.=+-]", "-", plain)[:100]
    return name if name == plain else f"{name}-{hashlib.sha1(plain.encode()).hexdigest()[:8]}"


def run_quietly(argv):
    """Output is shown when it is needed: when the command fails. What the shell preloads is not for compilers."""
    env = {name: value for name, value in os.environ.items()
           if name != "LD_PRELOAD" and not name.startswith("HAKMEM_")}
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    if done.returncode != 0:
        refused = re.search(r"ERROR: (.*)", done.stdout)
        raise BenchError(refused.group(1) if refused and "setup" in argv else
                         f"{' '.join(argv)} failed:\n{done.stdout.strip()[-3000:]}")


def folder_of(side):
    """Where its build is kept, and the options that it is of."""
    options = options_that_matter(side, known_options(side.source))
    return os.path.join(side.source, FOLDER, folder_name(options)), options


def is_built(side):
    """Is there a library of it already? What changed since is built anew all the same."""
    return bool(side.library) or os.path.isfile(os.path.join(folder_of(side)[0], "libhakmem.so.0"))


def build_side(side, progress):
    """Sets `library`, building it where something changed."""
    if side.library:
        return
    folder, options = folder_of(side)
    top = os.path.dirname(folder)
    os.makedirs(top, exist_ok=True)
    with open(os.path.join(top, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        progress(f"building {folder}")
        if not os.path.isfile(os.path.join(folder, "build.ninja")):
            kind = [] if "buildtype" in options else ["--buildtype=release"]
            run_quietly(["meson", "setup", folder, side.source, *kind, *(f"-D{name}=false" for name in OURS),
                         *(f"-D{name}={value}" for name, value in options.items())])
        run_quietly(["ninja", "-C", folder, "libhakmem.so.0"])
    side.library = os.path.join(folder, "libhakmem.so.0")
