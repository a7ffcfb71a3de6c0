#compdef pipeguard
# SPDX-License-Identifier: MIT
# Completion of pipeguard for zsh. The pipeguard that is being typed knows the words itself:
# `pipeguard completion words WORD...` answers "ACTION N SPACE", then one candidate a line.

_pipeguard() {
	local -a program lines found told
	local action n space line
	program=(${~${(Q)words[1]}})
	lines=("${(@f)$("$program[1]" completion words "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
	read -r action n space <<<"$lines[1]"
	if [[ $action == command ]]; then
		shift $((n + 1)) words
		((CURRENT -= n + 1))
		_normal -p pipeguard
		return
	fi
	[[ -n $action ]] || return 1
	for line in "${(@)lines[2,-1]}"; do
		[[ -n $line ]] || continue
		found+=("${${line%%$'\t'*}[n+1,-1]}")
		told+=("$found[-1]${${line#*$'\t'}:+  -- ${line#*$'\t'}}")
	done
	((n == 0)) || compset -p $n
	local -a blank
	[[ $space != nospace ]] || blank=(-S '')
	((${#found} == 0)) || compadd -l "${blank[@]}" -d told -a found
	case $action in
	files) _files ;;
	programs)
		if [[ $PREFIX == */* ]]; then
			_files -g '*(-*,/)'
		else
			_command_names -e
		fi
		;;
	esac
}

# Loaded as a function of this name by compinit, or by eval "$(pipeguard completion zsh)".
if [[ ${funcstack[1]-} == _pipeguard ]]; then
	_pipeguard "$@"
else
	compdef _pipeguard pipeguard
fi
