# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the `hakmem` of a checkout and the installed one have in common: help, reading the arguments of `run` and `heap`,
# looking at COMMAND and becoming it, and the commands for processes that run. Sourced by both; knows nothing about
# building.
#
# Every name starts with hk_ and nothing is exported, because COMMAND inherits the environment of this shell: a variable
# of the caller must reach it as it was.

# Where this file lies, and with it commands.txt and the folder live.
hk_share=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)

# Prints the commands there are, for `--help`; $1 is where: installed or checkout. Completion reads the lines that begin
# with `hakmem`, behind two blanks.
hk_help_all()
{
    local hk_line hk_name= hk_usage_line= hk_called=hakmem
    [[ $1 != checkout ]] || hk_called=./hakmem
    printf 'hakmem %s, a memory allocator. More of each: %s COMMAND --help\n\n' "$(hk_version)" "$hk_called"
    while IFS= read -r hk_line; do
        if [[ $hk_line == '== '*' both' || $hk_line == "== "*" $1" ]]; then
            hk_name=${hk_line#== } && hk_name=${hk_name%% *} && hk_usage_line=
        elif [[ $hk_line == '== '* ]]; then
            hk_name=
        elif [[ -n $hk_name && -z $hk_usage_line ]]; then
            hk_usage_line=$hk_line
        elif [[ -n $hk_name ]]; then
            printf '  %s %s\n        %s.\n' "$hk_called" "$hk_usage_line" "${hk_line^}"
            hk_name=
        fi
    done <"$hk_share/commands.txt"
    printf '  %s --version\n' "$hk_called"
}

# Prints the block of commands.txt for the command $1.
hk_help_of()
{
    local hk_line hk_on= hk_count=0
    while IFS= read -r hk_line; do
        if [[ $hk_line == '== '* ]]; then
            hk_on=
            [[ $hk_line != "== $1 "* ]] || hk_on=1
        elif [[ -n $hk_on ]]; then
            hk_count=$((hk_count + 1))
            case $hk_count in
            1) printf 'usage: hakmem %s\n' "$hk_line" ;;
            2) printf '%s.\n\n' "${hk_line^}" ;;
            *) printf '%s\n' "$hk_line" ;;
            esac
        fi
    done <"$hk_share/commands.txt"
}

# Prints the usage of the command $1: the first line of its block.
hk_usage_of()
{
    sed -n "/^== $1 /{n;p;q}" "$hk_share/commands.txt"
}

# Stops where there is no Python for what the arguments name.
hk_need_python()
{
    type -P python3 >/dev/null || hk_die "$*: needs python3, which is not here. On Debian: apt-get install python3"
}

# Becomes the command $1 of live/live.py, without the caller's preload and options: those are for what is watched.
hk_live()
{
    if [[ ${2:-} == --help || ${2:-} == -h ]]; then
        hk_help_of "$1"
        exit 0
    fi
    hk_need_python "$1"
    unset LD_PRELOAD "${!HAKMEM_@}"
    exec python3 -I -S "$hk_share/live/live.py" "$@"
}

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

# Stops where the library would not take the FILE $2 that the command $1 is given.
hk_need_short()
{
    local LC_ALL=C # bytes, not letters
    [[ ${#2} -lt 256 ]] || hk_die "$1: $2 is longer than 255 bytes"
}

# Reads the arguments of `run`: sets hk_stats, hk_profile, hk_leaks, hk_ignored, hk_guard, hk_watch and hk_watch_file, and
# the array hk_command.
hk_parse_run()
{
    local hk_json= hk_file=
    hk_stats=
    hk_picture=
    hk_watch=
    hk_profile=
    hk_leaks=
    hk_ignored=
    hk_guard=
    hk_command=()
    while [[ $# -gt 0 ]]; do
        case $1 in
        --stats) hk_stats=1 ;;
        --timeline) hk_watch=timeline ;;
        --timeline=*)
            [[ -n ${1#*=} ]] || hk_usage "run: --timeline= needs a FILE"
            hk_watch=timeline
            hk_file=${1#*=}
            ;;
        --profile) hk_profile_file "profile-$$.html" ;;
        --profile=*) hk_profile_file "${1#--profile=}" ;;
        --leaks) hk_leaks=1 ;;
        --leaks=*) hk_leaks_file "${1#--leaks=}" ;;
        --guard) hk_guard=own ;;
        --guard=*) hk_guard_share "${1#--guard=}" ;;
        --leaks-ignored=*) hk_ignored_file "${1#--leaks-ignored=}" ;;
        --json) hk_json=1 ;;
        -o)
            [[ -n ${2:-} ]] || hk_usage "run: -o needs a FILE"
            hk_file=$2
            shift
            ;;
        --help | -h) hk_help_of run && exit 0 ;;
        --) shift && break ;;
        -*) hk_usage "run: unknown option '$1'" ;;
        *) break ;;
        esac
        shift
    done
    [[ $# -gt 0 ]] || hk_usage "run: no COMMAND given"
    [[ -z $hk_ignored || -n $hk_leaks ]] || hk_usage "run: --leaks-ignored goes with --leaks"
    hk_command=("$@")
    hk_choose_output
}

# What -o and --json are for: the timeline, or else the statistics, which go to a file as JSON only.
hk_choose_output()
{
    [[ -z $hk_file || $hk_file == /* ]] || hk_file=$PWD/$hk_file
    if [[ -n $hk_watch ]]; then
        hk_watch_file=${hk_file:-$PWD/timeline-%p.${hk_json:+json}}
        [[ $hk_watch_file != *. ]] || hk_watch_file+=html
        [[ -z $hk_json ]] || hk_watch=timeline-json
    elif [[ -n $hk_json && -n $hk_stats ]]; then
        hk_stats=json:${hk_file:-$PWD/stats-$$.json}
        hk_need_short run "${hk_stats#json:}"
    elif [[ -n $hk_json || -n $hk_file ]]; then
        hk_usage "run: ${hk_json:+--json goes with --stats or --timeline}${hk_file:+ -o FILE goes with --timeline or --stats --json}"
    fi
}

# Are the arguments of `heap` for a process that runs: [-o FILE] PID?
hk_is_of_process()
{
    [[ ${1:-} != -o ]] || shift $(($# > 1 ? 2 : 1))
    [[ $# -eq 1 && $1 =~ ^[0-9]+$ ]]
}

# Reads the arguments of `heap`: sets hk_watch, or hk_picture and hk_picture_signal, and the array hk_command.
hk_parse_heap()
{
    local hk_at= hk_file=$PWD/heap-%p.html
    hk_stats=
    hk_watch=
    hk_picture=
    hk_profile=
    hk_leaks=
    hk_guard=
    hk_picture_signal=
    hk_command=()
    while [[ $# -gt 0 ]]; do
        case $1 in
        -o)
            [[ -n ${2:-} ]] || hk_usage "heap: -o needs a FILE"
            [[ $2 == /* ]] && hk_file=$2 || hk_file=$PWD/$2
            shift
            ;;
        --signal)
            hk_signal_number "${2:-}"
            shift
            ;;
        --at)
            [[ ${2:-} =~ ^(peak|exit|signal|[0-9]+(\.[0-9]+)?)$ ]] ||
                hk_usage "heap: --at needs peak, exit, signal or a number of seconds, not '${2:-}'"
            hk_at=$2
            shift
            ;;
        --help | -h) hk_help_of heap && exit 0 ;;
        --) shift && break ;;
        -*) hk_usage "heap: unknown option '$1'" ;;
        *) break ;;
        esac
        shift
    done
    [[ $# -gt 0 ]] || hk_usage "heap: no COMMAND given"
    [[ $hk_at != signal || -n $hk_picture_signal ]] || hk_usage "heap: --at signal needs --signal SIGNAL"
    hk_command=("$@")
    hk_choose_moment
}

# Who draws: the library, at its end and at the signal, or a process that watches. The library's file may have %p and %n.
# Processes that COMMAND starts write to the same file, so that COMMAND's own picture, usually the last, stays.
hk_choose_moment()
{
    if [[ -n $hk_picture_signal ]]; then
        [[ ${hk_at:-signal} == signal || $hk_at == exit ]] ||
            hk_usage "heap: --signal draws at the signal and at the end, not --at $hk_at"
        hk_at=signal
    elif [[ -z $hk_at ]] && ! type -P python3 >/dev/null; then
        hk_say "heap: the peak cannot be seen without python3; drawing the end"
        hk_at=exit
    fi
    hk_at=${hk_at:-peak}
    if [[ $hk_at == signal || $hk_at == exit ]]; then
        hk_picture=$hk_file
        [[ $hk_file != "$PWD/heap-%p.html" ]] || hk_picture=$PWD/heap-$$.html
        hk_need_short heap "$hk_picture"
    else
        hk_watch=$hk_at
        hk_watch_file=$hk_file
    fi
}

# Sets hk_profile to FILE[,BYTES], which may end in a number of bytes behind a comma. A folder's name may have one, too.
hk_profile_file()
{
    hk_profile=$1
    [[ $hk_profile == /* ]] || hk_profile=$PWD/$hk_profile
    local hk_name=${1##*/}
    case ${hk_name%,*} in
    *.html | *.pb.gz | *.folded | *.txt | *.collapsed) ;;
    *) hk_usage "run: the FILE of --profile must end in .html, .pb.gz, .folded or .txt, not '$1'" ;;
    esac
    hk_need_short run "$hk_profile"
}

# Sets hk_leaks to the FILE of a report on leaks.
hk_leaks_file()
{
    [[ -n $1 ]] || hk_usage "run: --leaks= needs a FILE"
    hk_leaks=$1
    [[ $hk_leaks == /* ]] || hk_leaks=$PWD/$hk_leaks
    hk_need_short run "$hk_leaks"
}

# Sets hk_ignored to the FILE of the leaks that are not told.
hk_ignored_file()
{
    [[ -r $1 ]] || hk_die "run: --leaks-ignored: $1 cannot be read"
    hk_ignored=$1
    [[ $hk_ignored == /* ]] || hk_ignored=$PWD/$hk_ignored
    hk_need_short run "$hk_ignored"
}

# Sets hk_guard to a share of the time, in a thousand.
hk_guard_share()
{
    [[ $1 =~ ^[0-9]{1,4}$ && 10#$1 -ge 1 && 10#$1 -le 1000 ]] ||
        hk_usage "run: --guard= needs a share of the time from 1 to 1000 in a thousand, not '$1'"
    hk_guard=$((10#$1))
}

# Tells the library that blocks are to be guarded; with --guard alone the share is its own, or the caller's.
hk_export_guard()
{
    export HAKMEM_GUARD=1
    [[ $1 == own ]] || export HAKMEM_GUARD_COST=$1
}

# Tells the library, and on stderr the user, where the report on leaks goes.
hk_export_leaks()
{
    export HAKMEM_LEAKS=$hk_leaks
    [[ -z $hk_ignored ]] || export HAKMEM_LEAKS_IGNORED=$hk_ignored
    local hk_file=${hk_leaks//%p/$$}
    [[ $hk_leaks == 1 ]] || hk_say "the report on leaks at the end: ${hk_file#"$PWD/"}"
}

# Tells the library, and on stderr the user, where the profile goes.
hk_export_profile()
{
    export HAKMEM_PROFILE=$hk_profile
    local hk_file=${hk_profile//%p/$$}
    [[ ${hk_file##*/} != *,* ]] || hk_file=${hk_file%,*}
    hk_say "the profile of the heap at the end: ${hk_file#"$PWD/"}"
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
    hk_say "usage: hakmem $(hk_usage_of "${1%%:*}")   (hakmem ${1%%:*} --help tells more)"
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

# The same of statistics, where they go to a file.
hk_export_stats()
{
    export HAKMEM_STATS=$hk_stats
    [[ $hk_stats != json:* ]] || {
        local hk_file=${hk_stats#json:}
        hk_file=${hk_file//%p/$$}
        hk_say "the statistics at its end: ${hk_file#"$PWD/"}"
    }
}

# Becomes COMMAND with the library $1 preloaded. Never returns.
hk_exec()
{
    local hk_library=$1 hk_path
    hk_path=$(hk_find "${hk_command[0]}") || exit
    hk_inspect "$hk_path"
    hk_library=$(hk_plain_path "$hk_library") || exit
    [[ -z $hk_stats ]] || hk_export_stats
    [[ -z $hk_picture ]] || hk_export_picture
    [[ -z $hk_profile ]] || hk_export_profile
    [[ -z $hk_leaks ]] || hk_export_leaks
    [[ -z $hk_guard ]] || hk_export_guard "$hk_guard"
    hk_library=$hk_library${LD_PRELOAD:+:$LD_PRELOAD}
    [[ -z $hk_watch ]] || hk_exec_watched "$hk_library"
    # The assignment reaches COMMAND's environment only: this shell is not preloaded, and there is no process between.
    LD_PRELOAD=$hk_library exec -- "${hk_command[@]}"
}

# The same with LD_PRELOAD=$1, after a process was started that watches this one (live/timeline.py). What is ignored is
# passed on, because Python ignores SIGPIPE and SIGXFSZ by itself.
hk_exec_watched()
{
    local hk_name hk_mask hk_ignored=0
    hk_need_python "$([[ $hk_watch == timeline* ]] && echo run --timeline || echo "heap --at $hk_watch")"
    while read -r hk_name hk_mask; do
        [[ $hk_name != SigIgn: ]] || hk_ignored=$hk_mask
    done 2>/dev/null <"/proc/$$/status"
    hk_watch_file=${hk_watch_file//%p/$$}
    case $hk_watch in
    timeline*) hk_name="the timeline of its memory" ;;
    peak) hk_name="the picture of the heap at its peak" ;;
    *) hk_name="the picture of the heap after $hk_watch s" ;;
    esac
    hk_say "$hk_name: ${hk_watch_file#"$PWD/"}"
    exec python3 -I -S "$hk_share/live/live.py" run "$hk_watch" "$hk_watch_file" "$1" "$hk_ignored" "${hk_command[@]}"
}

# Reads the arguments of `record`: sets hk_trace_file, hk_trace_only and the array hk_command.
hk_parse_record()
{
    hk_trace_file=trace-%p.hkt
    hk_trace_only=
    hk_command=()
    while [[ $# -gt 0 ]]; do
        case $1 in
        -o | --of)
            [[ -n ${2:-} ]] || hk_usage "record: $1 needs a $([[ $1 == -o ]] && echo FILE || echo NAME)"
            if [[ $1 == --of ]]; then
                hk_trace_only=$2
            else
                hk_trace_file=$2
            fi
            shift
            ;;
        --help | -h) hk_help_of record && exit 0 ;;
        --) shift && break ;;
        -*) hk_usage "record: unknown option '$1'" ;;
        *) break ;;
        esac
        shift
    done
    [[ $# -gt 0 ]] || hk_usage "record: no COMMAND given"
    hk_trace_file=${hk_trace_file//%p/$$} # of the name that was given, not of the folder
    [[ $hk_trace_file == /* ]] || hk_trace_file=$PWD/$hk_trace_file
    hk_command=("$@")
}

# Stops where the folder $1 has no hakmem-trace: what was built without libzstd.
hk_need_trace()
{
    [[ -x $1/hakmem-trace && -f $1/libhakmem-record.so ]] ||
        hk_die "this hakmem was built without record and replay: that needs libzstd (Debian: libzstd-dev)"
}

# Becomes COMMAND with the library $2 preloaded, and recorded by what is in the folder $1. Never returns.
hk_exec_recorded()
{
    local hk_path hk_recorder hk_library
    hk_need_trace "$1"
    hk_path=$(hk_find "${hk_command[0]}") || exit
    hk_inspect "$hk_path"
    hk_recorder=$(hk_plain_path "$1/libhakmem-record.so") || exit
    hk_library=$(hk_plain_path "$2") || exit
    hk_say "the trace, a moment after the end: ${hk_trace_file#"$PWD/"}"
    exec "$1/hakmem-trace" record "$hk_trace_file" "$hk_trace_only" \
        "$hk_recorder:$hk_library${LD_PRELOAD:+:$LD_PRELOAD}" "${hk_command[@]}"
}

# Replays a trace by what is in the folder $1, on the library $2 and the C library's malloc where the other arguments
# name no --lib. Never returns.
hk_replay()
{
    local hk_folder=$1 hk_library hk_word
    local -a hk_libraries
    hk_library=$(hk_plain_path "$2") || exit
    hk_libraries=(--lib "hakmem=$hk_library" --lib libc)
    shift 2
    for hk_word in "$@"; do
        case $hk_word in
        --lib) hk_libraries=() ;;
        --info) [[ $# -eq 2 ]] || hk_usage "replay: --info goes with a TRACE alone" ;;
        esac
    done
    hk_need_trace "$hk_folder"
    unset LD_PRELOAD
    [[ $1 != --info ]] || exec "$hk_folder/hakmem-trace" info "$2"
    [[ ${2:-} != --info ]] || exec "$hk_folder/hakmem-trace" info "$1"
    exec "$hk_folder/hakmem-trace" replay "${hk_libraries[@]}" "$@"
}

# Looks at the arguments of `replay` before anything is built for them.
hk_check_replay()
{
    [[ ${1:-} != --help && ${1:-} != -h ]] || { hk_help_of replay && exit 0; }
    [[ $# -gt 0 ]] || hk_usage "replay: no TRACE given"
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
