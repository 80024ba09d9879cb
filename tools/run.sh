# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What `./hakmem run` and `./hakmem heap` of a checkout and of the installed `hakmem` have in common: reading the
# arguments, looking at COMMAND, and becoming it. Sourced by both; knows nothing about building.
#
# Every name starts with hk_ and nothing is exported, because COMMAND inherits the environment of this shell: a variable
# of the caller must reach it as it was.

# One line on stderr.
hk_say()
{
    printf 'hakmem: %s\n' "$*" >&2
}

# Says why hakmem itself (not COMMAND) failed and stops. 125 is what env(1), timeout(1) and their like use for that.
hk_die()
{
    hk_say "$@"
    exit 125
}

# Reads the arguments of `run`: sets hk_stats and the array hk_command.
hk_parse_run()
{
    hk_stats=
    hk_picture=
    hk_command=()
    while [[ $# -gt 0 ]]; do
        case $1 in
        --stats) hk_stats=1 ;;
        --help | -h) hk_help && exit 0 ;;
        --) shift && break ;;
        -*) hk_usage "run: unknown option '$1'" ;;
        *) break ;;
        esac
        shift
    done
    [[ $# -gt 0 ]] || hk_usage "run: no COMMAND given"
    hk_command=("$@")
}

# Reads the arguments of `heap`: sets hk_picture, hk_picture_signal and the array hk_command. Processes that COMMAND
# starts write to the same file, so that COMMAND's own picture, usually the last, stays; -o 'FILE-%p' keeps each.
hk_parse_heap()
{
    hk_stats=
    hk_picture=$PWD/heap-$$.html
    hk_picture_signal=
    hk_command=()
    while [[ $# -gt 0 ]]; do
        case $1 in
        -o)
            [[ -n ${2:-} ]] || hk_usage "heap: -o needs a FILE"
            [[ $2 == /* ]] && hk_picture=$2 || hk_picture=$PWD/$2
            shift
            ;;
        --signal)
            hk_signal_number "${2:-}"
            shift
            ;;
        --help | -h) hk_help && exit 0 ;;
        --) shift && break ;;
        -*) hk_usage "heap: unknown option '$1'" ;;
        *) break ;;
        esac
        shift
    done
    [[ $# -gt 0 ]] || hk_usage "heap: no COMMAND given"
    [[ ${#hk_picture} -lt 256 ]] || hk_die "heap: $hk_picture is longer than 255 bytes"
    hk_command=("$@")
}

# Sets hk_picture_signal to the number of the signal $1: USR2, SIGUSR2 or 12.
hk_signal_number()
{
    hk_picture_signal=$(kill -l "$1" 2>/dev/null) || hk_usage "heap: unknown signal '$1'"
    [[ $hk_picture_signal == [0-9]* ]] || hk_picture_signal=$1
}

# Prints what is wrong and how to ask; 125 for the reason given at hk_die.
hk_usage()
{
    hk_say "$1"
    if [[ $1 == heap:* ]]; then
        hk_say "usage: heap [-o FILE] [--signal SIGNAL] -- COMMAND [ARG...]   (hakmem --help tells more)"
    else
        hk_say "usage: run [--stats] -- COMMAND [ARG...]   (hakmem --help tells more)"
    fi
    exit 125
}

# Tells the library, and on stderr the user, where pictures go. The process that COMMAND becomes is this one.
hk_export_picture()
{
    export HAKMEM_HEAP_PICTURE=$hk_picture
    [[ -z $hk_picture_signal ]] || export HAKMEM_HEAP_PICTURE_SIGNAL=$hk_picture_signal
    local hk_file=${hk_picture//%p/$$}
    hk_say "the picture of the heap at the end: ${hk_file#"$PWD/"}"
}

# Becomes COMMAND with the library $1 preloaded. Never returns.
hk_exec()
{
    local hk_library=$1 hk_path
    hk_path=$(hk_find "${hk_command[0]}") || exit
    hk_inspect "$hk_path"
    hk_library=$(hk_plain_path "$hk_library") || exit
    [[ -z $hk_stats ]] || export HAKMEM_STATS=1
    [[ -z $hk_picture ]] || hk_export_picture
    # The assignment reaches COMMAND's environment only: this shell is not preloaded, and there is no process between.
    LD_PRELOAD=$hk_library${LD_PRELOAD:+:$LD_PRELOAD} exec -- "${hk_command[@]}"
}

# Prints the file that exec would run for the command $1; stops with the status a shell would give when there is none.
hk_find()
{
    local hk_path=$1
    if [[ $1 != */* ]]; then
        hk_path=$(type -P -- "$1") || { hk_say "$1: command not found" && exit 127; }
    fi
    [[ -e $hk_path ]] || { hk_say "$1: no such file" && exit 127; }
    [[ ! -d $hk_path ]] || { hk_say "$1: is a directory" && exit 126; }
    [[ -x $hk_path ]] || { hk_say "$1: not executable" && exit 126; }
    printf '%s\n' "$hk_path"
}

# Looks at the program $1, following `#!` lines: warns, in one line, when the loader will not preload anything into it.
hk_inspect()
{
    local hk_file=$1 hk_magic hk_line hk_depth
    for hk_depth in 1 2 3 4; do
        hk_magic=
        LC_ALL=C IFS= read -r -n 4 -d '' hk_magic 2>/dev/null <"$hk_file" || true
        [[ $hk_magic == '#!'* ]] || break
        IFS= read -r hk_line 2>/dev/null <"$hk_file" || true
        read -r hk_line _ <<<"${hk_line#'#!'}" || true
        [[ -e $hk_line ]] || { hk_say "$1: its interpreter '$hk_line' does not exist" && exit 127; }
        hk_file=$hk_line
    done
    if [[ -u $hk_file || -g $hk_file ]]; then
        hk_say "warning: $hk_file is set-uid or set-gid: the preload cannot act in it, except for its owner"
    elif hk_has_capabilities "$hk_file"; then
        hk_say "warning: $hk_file has file capabilities: the preload cannot act in it, except for root"
    elif [[ $hk_magic == $'\x7fELF' ]]; then
        hk_inspect_elf "$hk_file"
    elif [[ $hk_depth -eq 1 && -r $hk_file ]] && LC_ALL=C grep -q -a -m1 '^[[:print:][:space:]]*$' "$hk_file"; then
        # A text without `#!`. This shell would read it itself, and is not preloaded; so do what execvp(3) does.
        hk_command=(/bin/sh "$hk_file" "${hk_command[@]:1}")
    fi
}

# True when the file $1 carries capabilities. getcap comes with setcap: without it nobody is likely to have set any.
hk_has_capabilities()
{
    local hk_getcap
    hk_getcap=$(PATH=$PATH:/usr/sbin:/sbin type -P getcap) || return 1
    [[ -n $("$hk_getcap" -- "$1" 2>/dev/null) ]]
}

# Warns about the ELF file $1 when it is of another word size, or static: it names no loader (PT_INTERP).
hk_inspect_elf()
{
    local -a hk_b
    local hk_at hk_size hk_count hk_number
    case $1 in
    */ld-*.so* | */ld.so) return ;; # the loader itself names none, and preloads
    esac
    # shellcheck disable=SC2207 # numbers, meant to be split
    hk_b=($(od -An -v -tu1 -N64 -- "$1"))
    if [[ ${hk_b[4]} -ne 2 ]]; then
        hk_say "warning: $1 is no 64-bit program: the preload cannot act in it"
        return
    fi
    [[ ${hk_b[5]} -eq 1 ]] || return 0 # big endian: no machine of ours
    hk_bytes 32 8 && hk_at=$hk_number
    hk_bytes 54 2 && hk_size=$hk_number
    hk_bytes 56 2 && hk_count=$hk_number
    # shellcheck disable=SC2207
    hk_b=($(od -An -v -tu1 -j"$hk_at" -N$((hk_size * hk_count)) -- "$1"))
    for ((hk_at = 0; hk_at < ${#hk_b[@]}; hk_at += hk_size)); do
        hk_bytes "$hk_at" 4
        [[ $hk_number -ne 3 ]] || return 0
    done
    hk_say "warning: $1 is statically linked: the preload cannot act in it"
}

# Sets hk_number to the little-endian number in $2 bytes at index $1 of hk_b.
hk_bytes()
{
    local hk_i
    hk_number=0
    for ((hk_i = $1 + $2 - 1; hk_i >= $1; hk_i--)); do
        hk_number=$((hk_number * 256 + hk_b[hk_i]))
    done
}

# Prints a name of the library $1 that LD_PRELOAD can hold. The loader splits the list at blanks and colons and expands
# `$`, without any way of quoting, so a path with one of those gets a symbolic link in a folder of the user's own.
hk_plain_path()
{
    local hk_odd=$'*[ \t\n:$]*' hk_dir hk_sum hk_link
    # shellcheck disable=SC2053 # a pattern
    [[ $1 == $hk_odd ]] || { printf '%s\n' "$1" && return; }
    hk_dir=${XDG_CACHE_HOME:-${HOME:-/}/.cache}/hakmem
    # shellcheck disable=SC2053
    [[ $hk_dir == /* && $hk_dir != $hk_odd ]] && mkdir -p -- "$hk_dir" 2>/dev/null || hk_dir=/tmp/hakmem-$UID
    mkdir -m 700 -- "$hk_dir" 2>/dev/null
    [[ -d $hk_dir && ! -L $hk_dir && -O $hk_dir ]] || hk_die "$hk_dir is not a folder of yours: cannot link to $1"
    hk_sum=$(cksum <<<"$1")
    hk_link=$hk_dir/libhakmem-${hk_sum%% *}.so
    if [[ $(readlink -- "$hk_link") != "$1" ]]; then
        # Made aside and renamed: another run may be loading through the old one.
        if ! ln -sf -- "$1" "$hk_link.$$" || ! mv -Tf -- "$hk_link.$$" "$hk_link"; then
            hk_die "cannot make the link $hk_link"
        fi
    fi
    printf '%s\n' "$hk_link"
}
