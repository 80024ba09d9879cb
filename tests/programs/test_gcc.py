# SPDX-License-Identifier: MIT
"""gcc: the same assembly for 60 generated functions at several optimisation levels, and a program that works."""
import harness
import random


def source():
    """C that keeps the optimiser busy: switches, loops, structures, calls between functions."""
    dice = random.Random(5)
    out = ["#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n",
           "struct node { struct node *next; long key[7]; double weight; char name[40]; };\n"]
    for i in range(60):
        call = f"f{dice.randrange(i)}(n, x - 1)" if i else "x"
        out.append(f"long f{i}(struct node *n, long x)\n{{\n    long s = {dice.randrange(1000)};\n"
                   f"    if (x <= 0) return s;\n    switch (x % {dice.randrange(3, 12)}) {{\n")
        for case in range(3):
            out.append(f"    case {case}: for (long i = 0; i < {dice.randrange(4, 40)}; i++) n->key[i % 7] += i * s ^ "
                       f"{dice.randrange(10 ** 6)}; s += n->key[{dice.randrange(7)}]; break;\n")
        out.append(f"    default: n->weight = sqrt(n->weight * {dice.random():.6f} + (double)s); "
                   f"snprintf(n->name, sizeof(n->name), \"f{i} %ld\", s);\n    }}\n    return s + {call};\n}}\n")
    out.append("int main(void)\n{\n    struct node n = {0};\n    long s = 0;\n")
    out += [f"    s = s * 31 + f{i}(&n, {i % 13});\n" for i in range(0, 60, 7)]
    out.append("    printf(\"%ld %s %.6f\\n\", s, n.name, n.weight);\n    return 0;\n}\n")
    return "".join(out)


def workload(run):
    gcc = harness.need("gcc-12", "gcc", package="gcc")
    text = source()
    run.write("a.c", text)
    # From a pipe: the compiler proper waits for it, and can be looked at.
    run.cmd([gcc, "-O1", "-S", "-x", "c", "-", "-o", "-"], stdin=text, hold="cc1")
    for options in (["-O3", "-funroll-loops"], ["-Os"], ["-O0", "-g3"], ["-O2", "-fsanitize=undefined"]):
        run.cmd([gcc, *options, "-S", "a.c", "-o", "-"])
    run.cmd([gcc, "-O2", "-flto", "-flto-partition=one", "-save-temps", "a.c", "-o", "program", "-lm"])
    run.cmd(["sh", "-c", "./program; strip -o stripped program; sha256sum stripped; nm -n program | wc -l"])


harness.main(workload, ["cc1"])
