# SPDX-License-Identifier: MIT
"""git: a repository of 1 200 commits made through fast-import, then repack, fsck, log, blame, merge, clone, archive."""
import harness
import random


def history():
    """A fast-import stream: two branches, files that grow and change, some large ones."""
    dice = random.Random(4)
    files = {f"dir{i % 9}/file{i}.txt": [f"line {j} of {i}\n" for j in range(dice.randrange(5, 120))]
             for i in range(150)}
    out = []
    for n in range(1, 1201):
        branch = "topic" if n > 900 and n % 3 == 0 else "main"
        message = f"commit number {n}\n" + "why, " * dice.randrange(1, 40)
        out.append(f"commit refs/heads/{branch}\nmark :{n}\nauthor A <a@example.org> {1600000000 + n * 60} +0000\n"
                   f"committer C <c@example.org> {1600000000 + n * 60} +0000\ndata {len(message)}\n{message}\n")
        if n == 903:
            out.append("from :900\n")
        for name in dice.sample(sorted(files), 150 if n == 1 else dice.randrange(1, 6)):
            lines = files[name]
            if n > 1:
                at = dice.randrange(len(lines))
                new = [f"changed by {n}: {dice.randrange(10 ** 9)}\n"] * dice.randrange(1, 4)
                lines[at:at + dice.randrange(3)] = new
            text = "".join(lines)
            out.append(f"M 100644 inline {branch}-{name}\ndata {len(text)}\n{text}\n")
        if n % 300 == 0:
            text = dice.randbytes(200000).hex()
            out.append(f"M 100755 inline {branch}-big{n}\ndata {len(text)}\n{text}\n")
    return "".join(out)


def workload(run):
    git = harness.need("git", package="git")
    run.env.update({"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
                    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_AUTHOR_DATE": "1700000000 +0000",
                    "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.org",
                    "GIT_COMMITTER_DATE": "1700000000 +0000"})
    run.cmd([git, "init", "-q", "-b", "main", "repo"])
    run.cmd([git, "-C", "repo", "fast-import", "--quiet"], stdin=history(), hold="git")
    for command in (
        "repack -adfq --depth=50 --window=20 --threads=1",
        "rev-list --objects --all | sha256sum",
        "show-index < $(echo repo/.git/objects/pack/*.idx) | sha256sum",
        "repack -adfq --window=30 --threads=2",
        "fsck --full --strict --no-progress",
        "log -p --stat --all --format=fuller | sha256sum",
        "log --graph --oneline --all | sha256sum",
        "log -S 'changed by 77' --oneline",
        "reset -q --hard main",
        "blame main-dir3/file3.txt",
        "grep -c 'changed by 1' main",
        "diff --minimal main~200 main | sha256sum",
        "diff --patience --find-renames main topic | sha256sum",
        "merge -q --no-edit topic",
        "rebase -q -X theirs --onto main~20 main~10 main",
        "status --short",
        "archive --format=tar main | sha256sum",
        "bundle create -q ../bundle --all; git bundle verify ../bundle | tail -1",
        "clone -q --no-local --bare . ../clone.git; git -C ../clone.git fsck --full --no-progress",
        "gc -q --prune=now; git count-objects -v | grep -v size",
        "rev-parse main topic",
    ):
        run.cmd(["sh", "-c", f"cd repo && {git} {command}".replace("repo/.git", ".git")])
    run.cmd([git, "-C", "repo", "cat-file", "--batch-check", "--batch-all-objects"])


harness.main(workload, ["git"])
