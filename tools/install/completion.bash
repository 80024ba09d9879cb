# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Completion of `hakmem` (installed, or of a checkout) in bash. What there is to complete is what `hakmem --help` lists,
# so that this file knows no command.

# Prints the lines of `$1 --help` that show a command: its name, then how it is called.
_hakmem_usage()
{
    "$1" --help 2>/dev/null | sed -n 's/^  \(\.\/\)\{0,1\}hakmem \([a-z-].*\)$/\2/p'
}

# Completes the word $1 as one of those in $2.
_hakmem_offer()
{
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

# Sets hakmem_at to where the COMMAND begins: behind `--`, or at the first word that is no option of ours.
_hakmem_command_at()
{
    for ((hakmem_at = 2; hakmem_at < COMP_CWORD; hakmem_at++)); do
        case ${COMP_WORDS[hakmem_at]} in
        --) hakmem_at=$((hakmem_at + 1)) && return ;;
        -o | --of | --lib | --rounds | --signal | --at | --interval | --port | --seconds) hakmem_at=$((hakmem_at + 1)) ;; # these take a word
        -*) ;;
        *) return ;;
        esac
    done
}

_hakmem()
{
    local hakmem=${COMP_WORDS[0]/#\~/$HOME} word=${COMP_WORDS[COMP_CWORD]} usage hakmem_at
    if [[ $COMP_CWORD -eq 1 ]]; then
        _hakmem_offer "$word" "$(_hakmem_usage "$hakmem" | cut -d ' ' -f 1) --help"
        return
    fi
    usage=$(_hakmem_usage "$hakmem" | grep "^${COMP_WORDS[1]}\b")
    _hakmem_command_at
    if [[ $usage == *COMMAND* && $hakmem_at -le $COMP_CWORD && ($word != -* || $hakmem_at -lt $COMP_CWORD) ]]; then
        # COMMAND and its arguments, completed as if they stood alone.
        if declare -F _command_offset >/dev/null; then
            _command_offset "$hakmem_at"
        elif [[ $hakmem_at -eq $COMP_CWORD ]]; then
            mapfile -t COMPREPLY < <(compgen -A command -A file -- "$word")
        fi
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --signal ]]; then
        mapfile -t COMPREPLY < <(compgen -A signal -- "$word")
    elif [[ $word == -* ]]; then
        _hakmem_offer "$word" "$(grep -o -e '--*[a-z][a-z-]*' <<<"$usage") -- --help"
    fi
}

complete -F _hakmem -o bashdefault -o default hakmem
