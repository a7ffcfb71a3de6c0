# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Completion of pipeguard for bash. The pipeguard that is being typed knows the words itself:
# `pipeguard completion words WORD...` answers "ACTION N SPACE", then one candidate a line.

# bash takes words apart at : = and @. Puts them together again in words; the last one, which is
# completed, in word, without the quote that it may begin with.
_pipeguard_join() {
	local i piece joined=yes
	for ((i = 1; i <= COMP_CWORD; i++)); do
		piece=${COMP_WORDS[i]}
		if [[ $piece != @ ]] && ((${#words[@]})) && [[ $piece =~ ^[:=]+ || -n $joined ]]; then
			words[-1]+=$piece
		else
			words+=("$piece")
		fi
		joined=
		[[ ! $piece =~ ^[:=@]+$ ]] || joined=yes
	done
	word=${words[-1]-}
	[[ $word != [\'\"]* ]] || word=${word:1} quoted=yes
	words[-1]=$word
}

# The names of programs; the shell's own words are none.
_pipeguard_programs() {
	if [[ $1 == */* ]]; then
		compgen -f -- "$1"
	else
		comm -23 <(compgen -c -- "$1" | sort -u) <(compgen -A keyword -A function -A alias -- "$1" | sort -u)
	fi
}

# The program's own completion, where the collection of them is loaded; it stands at word $1.
_pipeguard_command() {
	local at
	if declare -F _command_offset >/dev/null; then
		for ((at = 1; at < COMP_CWORD; at++)); do
			[[ ${COMP_WORDS[at]} != "${words[$1]}" ]] || break
		done
		_command_offset "$at"
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
	fi
}

_pipeguard() {
	local LC_ALL=C words=() word='' quoted='' action='' n=0 space='' found=() names=() at=0
	COMPREPLY=()
	_pipeguard_join
	{
		read -r action n space
		mapfile -t found
	} < <("$1" completion words "${words[@]}" 2>/dev/null)
	case $action in
	command)
		_pipeguard_command "$n"
		return
		;;
	files) mapfile -t names < <(compgen -f -- "${word:n}") ;;
	programs) mapfile -t names < <(_pipeguard_programs "${word:n}") ;;
	esac
	((${#names[@]} == 0)) || compopt -o filenames 2>/dev/null
	[[ $space != nospace ]] || compopt -o nospace 2>/dev/null
	found=("${found[@]%%$'\t'*}" "${names[@]/#/"${word:0:n}"}")
	# Of what stands before, bash wants to hear what it has not taken off itself: all of it in an
	# open quote.
	if [[ -z $quoted ]]; then
		for ((n = 0; n < ${#word}; n++)); do
			[[ ${word:n:1} != [:=] || $COMP_WORDBREAKS != *"${word:n:1}"* ]] || at=$((n + 1))
		done
	fi
	for n in "${!found[@]}"; do
		COMPREPLY+=("${found[n]:at}")
	done
}

complete -F _pipeguard pipeguard
