# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Completion of pipeguard for bash: subcommands, options, the words of rules, programs.

# The words of `pipeguard list WHAT`, asked of the pipeguard that is being typed.
_pipeguard_list() { "$_pipeguard" list "$1" 2>/dev/null; }

# bash takes words apart at : and =; put together again in _pipeguard_words, with the last one, which
# is completed, in _pipeguard_word.
_pipeguard_join() {
	local i piece joined=yes
	_pipeguard_words=()
	for ((i = 1; i <= COMP_CWORD; i++)); do
		piece=${COMP_WORDS[i]}
		if ((${#_pipeguard_words[@]})) && [[ $piece =~ ^[:=]+ || -n $joined ]]; then
			_pipeguard_words[-1]+=$piece
		else
			_pipeguard_words+=("$piece")
		fi
		joined=
		[[ ! $piece =~ ^[:=]+$ ]] || joined=yes
	done
	_pipeguard_word=${_pipeguard_words[-1]-} _pipeguard_quoted=
	[[ $_pipeguard_word != [\'\"]* ]] || _pipeguard_word=${_pipeguard_word:1} _pipeguard_quoted=yes
}

# Replies with those of the words $2... that continue the end of the word after the prefix $1. Of the
# prefix, bash wants to hear what it has not taken off itself: all of it in an open quote.
_pipeguard_reply() {
	local prefix=$1 rest=${_pipeguard_word#"$1"} cut=$1
	shift
	[[ $_pipeguard_quoted || $COMP_WORDBREAKS != *:* ]] || cut=${cut##*:}
	[[ $_pipeguard_quoted || $COMP_WORDBREAKS != *=* ]] || cut=${cut##*=}
	mapfile -t COMPREPLY < <(compgen -P "$cut" -W "$*" -- "$rest")
}

# [ID=]SET:FIELD=VALUE:...; rules are separated by ;
_pipeguard_rule() {
	local before=${_pipeguard_word%"${_pipeguard_word##*;}"} rule=${_pipeguard_word##*;} prefix word words=()
	if [[ $rule != *:* ]]; then
		prefix=$before
		[[ $rule != *=* ]] || prefix+=${rule%%=*}=
		[[ $rule != *,* ]] || prefix=$before${rule%,*},
		[[ ${_pipeguard_word#"$prefix"} != '!'* ]] || prefix+='!'
		mapfile -t words < <(_pipeguard_list calls && _pipeguard_list groups)
		compopt -o nospace 2>/dev/null
		_pipeguard_reply "$prefix" "${words[@]}"
		return
	fi
	prefix=$before${rule%:*}:
	case ${rule##*:} in
	error=*) mapfile -t words < <(_pipeguard_list errnos) && prefix+=error= ;;
	kind=*) words=(pipe tcp tcp4 tcp6 unix udp tty file socket) prefix+=kind= ;;
	side=*) words=(client server) prefix+=side= ;;
	seen=*) words=(eof reset hup refused) prefix+=seen= ;;
	scope=*) words=(fd thread) prefix+=scope= ;;
	*=*) return ;;
	*)
		# A word that needs a value comes with its =.
		while read -r word; do
			case $word in
			nosignal | log | stop | abort | reset | refuse | break | fin | eof | drop | stall | pass | hold | garbage) ;;
			*) word+='=' ;;
			esac
			words+=("$word")
		done < <(_pipeguard_list fields)
		compopt -o nospace 2>/dev/null
		;;
	esac
	_pipeguard_reply "$prefix" "${words[@]}"
}

# The names of programs; the shell's own words are none.
_pipeguard_programs() {
	comm -23 <(compgen -c -- "$_pipeguard_word" | sort -u) \
		<(compgen -A keyword -A function -A alias -- "$_pipeguard_word" | sort -u)
}

# What follows the option $1; fails if that takes no value.
_pipeguard_value() {
	case $1 in
	-r) _pipeguard_rule ;;
	-S) _pipeguard_reply '' keep suppress sockets ;;
	-o)
		mapfile -t COMPREPLY < <(compgen -W 'stderr off fd: unix:' -- "$_pipeguard_word" && compgen -f -- "$_pipeguard_word")
		compopt -o filenames 2>/dev/null
		;;
	-f | --library)
		mapfile -t COMPREPLY < <(compgen -f -- "$_pipeguard_word")
		compopt -o filenames 2>/dev/null
		;;
	--only | --skip) mapfile -t COMPREPLY < <(_pipeguard_programs) ;;
	-s) ;;
	*) return 1 ;;
	esac
}

# The program, and what comes after it.
_pipeguard_program() {
	local at=$1
	if ((at < ${#_pipeguard_words[@]} - 1)); then
		# The program's own completion, where the collection of them is loaded.
		if declare -F _command_offset >/dev/null; then
			for ((at = 1; at < COMP_CWORD; at++)); do
				[[ ${COMP_WORDS[at]} != "${_pipeguard_words[$1]}" ]] || break
			done
			_command_offset "$at"
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$_pipeguard_word")
			compopt -o filenames 2>/dev/null
		fi
		return
	fi
	if [[ $_pipeguard_word == */* ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$_pipeguard_word")
	else
		mapfile -t COMPREPLY < <(_pipeguard_programs)
	fi
	compopt -o filenames 2>/dev/null
	return 0
}

_pipeguard() {
	local _pipeguard=$1 _pipeguard_word _pipeguard_words _pipeguard_quoted command=run options at=0 last
	COMPREPLY=()
	_pipeguard_join
	last=$((${#_pipeguard_words[@]} - 1))
	case ${_pipeguard_words[0]-} in
	run | check | list | doctor | env) ((last == 0)) || { command=${_pipeguard_words[0]} at=1; } ;;
	esac
	options='-r -f -o -j -s -S --only --skip -v -vv'
	case $command in
	run) options+=' -n --help --version' ;;
	env) options+=' --shell --systemd --docker --kubernetes --library --help' ;;
	check) options='-r -f --help' ;;
	*) options=--help ;;
	esac
	# Past the options that are complete.
	while ((at < last)); do
		case ${_pipeguard_words[at]} in
		-r | -f | -o | -s | -S | --only | --skip | --library)
			if ((at + 1 == last)); then
				_pipeguard_value "${_pipeguard_words[at]}"
				return
			fi
			at=$((at + 2))
			;;
		--) at=$((at + 1)) options='' && break ;;
		-*) at=$((at + 1)) ;;
		*) break ;;
		esac
	done
	if ((at == last)) && [[ $options && $_pipeguard_word == -* ]]; then
		_pipeguard_reply '' "$options"
		return
	fi
	case $command in
	check) _pipeguard_rule ;;
	list) ((at < last)) || _pipeguard_reply '' calls groups fields actions errnos ;;
	env) ;;
	doctor) ((at < last)) || _pipeguard_program "$at" ;;
	run)
		_pipeguard_program "$at"
		if ((last == 0)); then
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 'run check list doctor env report sweep' -- "$_pipeguard_word")
		fi
		;;
	esac
}

complete -F _pipeguard pipeguard
