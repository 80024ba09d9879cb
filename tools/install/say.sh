#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run at the end of `meson install`: says, a line each, what is left to do so that the loader and pkg-config find hakmem
# in $1, the folder of the library. Changes nothing, and says nothing where the files were only staged (DESTDIR).
[ -z "${DESTDIR:-}" ] && [ -z "${MESON_INSTALL_DRY_RUN:-}" ] && [ -z "${MESON_INSTALL_QUIET:-}" ] || exit 0

# Meson keeps what a script prints to itself, unless it fails: so this is told to Meson's own output. (Not to a file: Meson
# writes at its own place in it, over what others add.)
say()
{
    [ ! -f "/proc/$PPID/fd/1" ] || { echo "hakmem: $1" && return; }
    { echo "hakmem: $1" >>"/proc/$PPID/fd/1"; } 2>/dev/null || echo "hakmem: $1"
}

# True where a folder that ldconfig looks into is $1. (-N and -X: it writes nothing. It prints a line for each that ends in
# a colon, in newer versions with where it was configured behind.)
loader_looks_into()
{
    "$ldconfig" -v -N -X 2>/dev/null | sed -n 's/^\(\/[^:]*\):.*/\1/p' | while read -r folder; do
        if [ "$folder" -ef "$1" ]; then
            echo yes
        fi
    done | grep -q yes
}

ldconfig=$(PATH=$PATH:/usr/sbin:/sbin command -v ldconfig)
if [ -n "$ldconfig" ]; then
    if ! loader_looks_into "$1"; then
        say "the loader does not look into $1: link with -Wl,-rpath,$1, or set LD_LIBRARY_PATH=$1"
    elif ! "$ldconfig" -p 2>/dev/null | grep -q 'libhakmem\.so\.'; then
        say "programs that are linked with libhakmem.so find it after this, as root: ldconfig"
    fi
fi
if command -v pkg-config >/dev/null && ! pkg-config --exists hakmem; then
    say "pkg-config finds hakmem with PKG_CONFIG_PATH=$1/pkgconfig"
fi
exit 0
