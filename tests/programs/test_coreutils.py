# SPDX-License-Identifier: MIT
"""The small programs of every system, on a tree and texts that are made here: ls, sort, grep, tar and their like."""
import harness
import random


def tree(run):
    """1500 files of varied names and sizes in nested folders, and one text of 200 000 lines."""
    dice = random.Random(1)
    for i in range(600):
        folder = run.path("tree", f"d{i % 7}", f"sub {i % 31}")
        if i < 7 * 31:
            harness.os.makedirs(folder, exist_ok=True)
        path = harness.os.path.join(folder, f"{'x' * dice.randrange(1, 120)}-{i}")
        with open(path, "wb") as file:
            file.write(dice.randbytes(dice.randrange(0, 3000)))
        harness.os.utime(path, (i * 86400, i * 86400))
    lines = [f"{dice.randrange(10 ** 9)} {'word' * dice.randrange(1, 9)}{dice.randrange(5000)} {i}\n"
             for i in range(70000)]
    run.write("text", "".join(lines))
    run.write("left", "".join(f"{i} left{i}\n" for i in range(100000, 160000)))
    run.write("right", "".join(f"{i} right{i}\n" for i in range(130000, 199999)))


def workload(run):
    tree(run)
    long = ["ls", "-lR", "--time-style=full-iso", "tree"] + ["tree"] * 8  # more than a pipe holds, so it waits for us
    run.cmd(long, hold="ls", compare=False)
    run.cmd(["sort"], stdin="b\na\n", hold="sort")
    for command in (
        "ls -aR tree",
        "ls -laR --time-style=+%s --block-size=1 tree | awk '{print $1, $NF}' | sha256sum",
        "ls no-such-file; true",
        "sort -n text | sha256sum",
        "sort -S 1M -T . --parallel=2 -k2 text | sha256sum",
        "sort -u -k2,2 text | wc",
        "cut -d' ' -f2 text | sort | uniq -c | sort -rn | head -50",
        "join left right | tail -3",
        "comm -12 left right | wc; paste left right | tail -1",
        "tac text | head -2; rev text | tail -1; factor 1234567890123456789 99999999977; seq 1 3 20",
        "tr a-z A-Z < text | md5sum; od -An -tx8 text | sha1sum; base64 text | cksum",
        "grep -c word text; grep -rl zzz tree; grep -E '([0-9]+) (word)+1 ' text | head",
        "grep -oP '\\bword(?=word)' text | wc -l",
        "sed -E 's/(word)+/<&>/g; s/[0-9]{3}/#/' text | sha256sum",
        "awk '{n[$2] += $1; s = s substr($2, 1, 1)} END {for (k in n) t += n[k]; print t, length(s)}' text",
        "find tree -type f -size +2k -newermt 1971-01-01 | sort | sha256sum",
        "find tree -type f -print0 | sort -z | xargs -0 -n 50 cksum | sha256sum",
        "du -ab tree | sort -k2 | awk '{print $2}' | sha256sum",
        "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf tree.tar tree; sha256sum tree.tar",
        "gzip -kn tree.tar; sha256sum tree.tar.gz; zcat tree.tar.gz | cmp - tree.tar",
        "mkdir copy; tar xf tree.tar -C copy; diff -r tree copy/tree",
        "cp -a tree again; rm -r copy; diff -rq tree again",
        "split -l 9000 text part-; cat part-* | cmp - text; shuf --random-source=text left | sha256sum",
        "diff left right | sha256sum; stat -c '%s %Y' text | cut -d' ' -f1; date -u -d @1234567890",
        "bash -c 'for ((i = 0; i < 30000; i++)); do a[i]=x$i; s+=${a[i]}; done; declare -A m=([k]=v);"
        "echo ${#s} ${m[k]}'",
        # A small address space: the reservation has to give way.
        "ulimit -v 65536; ls tree; sort -S 4M left | tail -1",
    ):
        run.cmd(["sh", "-c", command])


harness.main(workload, ["ls", "sort"])
