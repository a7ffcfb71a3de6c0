# SPDX-License-Identifier: MIT
# Completion of pipeguard for fish. The pipeguard that is being typed knows the words itself:
# `pipeguard completion words WORD...` answers "ACTION N SPACE", then one candidate a line.

function __pipeguard_words
    set -l words (commandline -opc)
    set -l typed (string replace -r '^[\'"]' '' -- (commandline -ct))
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -e words[1]
    set -l lines ($program completion words $words "$typed" 2>/dev/null)
    set -l answer (string split ' ' -- $lines[1])
    set -e lines[1]
    set -l n $answer[2]
    switch "$answer[1]"
        case ''
            return
        case command
            complete -C (string join ' ' -- (string escape -- $words[(math $n + 1)..]) "$typed")
            return
        case files
            set -l before (string sub -l $n -- "$typed")
            for name in (__fish_complete_path (string sub -s (math $n + 1) -- "$typed"))
                printf '%s%s\n' "$before" "$name"
            end
        case programs
            set -l before (string sub -l $n -- "$typed")
            for name in (complete -C (string sub -s (math $n + 1) -- "$typed"))
                printf '%s%s\n' "$before" "$name"
            end
    end
    printf '%s\n' $lines
end

complete -c pipeguard -f -a '(__pipeguard_words)'
