#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# packages: git reuse
# targets: libhakmem.so.0
#
# Every file says whose it is and under which licence, as https://reuse.software asks: ./hakmem test reuse
if ! type -P reuse >/dev/null; then
    echo 'reuse: skipped: reuse is not installed'
    exit 77
fi
cd -- "$(dirname -- "$0")/../.." && said=$(reuse lint 2>&1)
status=$?
printf '%s\n' "$said" | tail -n 4
# Files that it could not read are an error line each, and not in its status.
[[ $status -eq 0 && $said != *ERROR* ]] && echo 'reuse: passed' && exit 0
printf '%s\n' "$said" | grep ERROR
echo 'reuse: FAILED'
exit 1
