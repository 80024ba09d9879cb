#compdef hakmem
# SPDX-License-Identifier: MIT
#
# Completion of `hakmem` (installed, or of a checkout) in zsh. What there is to complete is what `hakmem --help` lists, so
# that this file knows no command.

local -a usage names options
local line command=$words[2]
usage=(${(f)"$(_call_program commands $words[1] --help 2>/dev/null | sed -n 's/^  \(\.\/\)\{0,1\}hakmem \([a-z-].*\)$/\2/p')"})

if (( CURRENT == 2 )); then
    for line in $usage; do
        names+=("${line%% *}:${line#* }")
    done
    _describe -t commands command names -- options
    return
fi

line=${(M)usage:#$command*}
options=(${(f)"$(grep -o -e '--*[a-z][a-z-]*' <<<"$line")"} --help)

local -i at
for (( at = 3; at < CURRENT; at++ )); do
    case $words[at] in
        --) (( at++ )); break ;;
        -o | --of | --lib | --rounds | --signal | --at | --interval | --port | --seconds) (( at++ )) ;; # these take a word
        -*) ;;
        *) break ;;
    esac
done

if [[ $words[CURRENT-1] == --signal ]]; then
    _signals
elif [[ $words[CURRENT-1] == -o ]]; then
    _files
elif [[ $line == *COMMAND* && $at -le $CURRENT && ( $words[CURRENT] != -* || $at -lt $CURRENT ) ]]; then
    # COMMAND and its arguments, completed as if they stood alone.
    shift $(( at - 1 )) words
    (( CURRENT -= at - 1 ))
    _normal
elif [[ $words[CURRENT] == -* ]]; then
    compadd -- $options
else
    _files
fi
