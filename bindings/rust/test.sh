#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: test.sh FOLDER_OF_LIBHAKMEM FOLDER_FOR_THE_BUILD
#
# The crate's tests, on the shared library and on the static one; status 77, and a line, where there is no cargo. One test
# at a time: they count live blocks.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! cargo --version >/dev/null 2>&1; then
    echo "no cargo here: the test of the Rust crate is skipped"
    exit 77
fi
LIBHAKMEM_DIR=$(cd "$1" && pwd)
mkdir -p "$2"
cp -r "$here/Cargo.toml" "$here/build.rs" "$here/README.md" "$here/src" "$here/tests" "$2/" # nothing is written in the checkout
cd "$2"
export LIBHAKMEM_DIR LD_LIBRARY_PATH="$LIBHAKMEM_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
cargo test --offline --quiet --target-dir "$2/shared" -- --test-threads=1
LIBHAKMEM_STATIC=1 cargo test --offline --quiet --target-dir "$2/static" -- --test-threads=1
