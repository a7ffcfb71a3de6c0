#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# pipeguard, the launcher: transparent in status and signals, clear where it cannot work.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # the inner shells expand; each test is a subshell; run sets stderr

load ../helpers

setup_file() { install_launcher; }

# The library as the launcher names it: LD_PRELOAD can hold no blank.
setup() {
	OURS=$(timeout 10 env -u LD_PRELOAD "$PIPEGUARD" -o off sh -c 'echo "$LD_PRELOAD"' 3>&-)
	[[ $OURS -ef $LIB ]]
}

@test "the program's status is the launcher's" {
	for wanted in 0 1 7 125 255; do
		run launch sh -c "exit $wanted"
		equal "the status" "$wanted" "$status"
	done
}

@test "the program's death by a signal is the launcher's" {
	run -143 launch sh -c 'kill -TERM $$'
	run -141 launch sh -c 'kill -PIPE $$'
	run launch bash -c 'yes | head -1 >/dev/null; echo "${PIPESTATUS[0]}"'
	[[ $output == *141* && $output == *'yes] write(1, '* ]]
}

@test "run, -- and the program's own options" {
	run launch run -- printf '%s|' -o -j 'a b'
	equal "the output" '-o|-j|a b|' "$output"
}

@test "-o and -j choose where and how, from any folder" {
	cd "$BATS_TEST_TMPDIR"
	launch -o here.log -j -- bash -c 'cd /; yes | head -1' >/dev/null
	equal "the event" '"yes"' "$(jq -c 'select(.ev == "epipe") | .comm' here.log)"
}

@test "-v adds loads and exits, --only leaves other programs out" {
	launch -v -o "$LOG" -j --only true sh -c 'true; /bin/true'
	equal "the events" '"load" "true" "exit" "true"' "$(events '.ev, .comm' | xargs -n99 printf '"%s" ' | sed 's/ $//')"
}

@test "-n prints a command that does the same" {
	run launch -n -j printf '%s\n' 'a  b'
	run sh -c "$output"
	equal "what the command prints" 'a  b' "$output"
}

@test "what -n prints gives program, arguments and environment as run does, whatever the quotes" {
	printf '#!/bin/sh\nprintf "%%s|" "$0" "$@"\nexec env -0' >"$BATS_TEST_TMPDIR/it's a=b"
	chmod +x "$BATS_TEST_TMPDIR/it's a=b"
	export PIPEGUARD_STACK=3
	# shellcheck disable=SC2163 # a function of bats, which a shell that pastes would lose
	export -nf bats_readlinkf 2>/dev/null || true
	options=(-jv -o "$BATS_TEST_TMPDIR/%n 'log'" -r "write:path=/it's\"\$HOME\":when=999999:break" -r $'# two\nsend:when=999999:reset' -S sockets -s 5 --skip 'x y')
	for program in "$BATS_TEST_TMPDIR/it's a=b" env sh; do
		case $program in
		env) set -- -0 "A=it's" ;;
		sh) set -- -c 'printf "%s|" "$@"; exec env -0' sh ' a  b ' $'two\nlines' '' '$HOME' ;;
		*) set -- ' a  b ' $'two\nlines' '' '$HOME' ;;
		esac
		wanted=$(launch "${options[@]}" -- "$program" "$@" | tr '\0' '\n' | sort)
		command=$(launch "${options[@]}" -n -- "$program" "$@")
		for shell in dash bash 'busybox sh'; do
			command -v "${shell%% *}" >/dev/null || continue
			# shellcheck disable=SC2086 # words
			got=$(timeout 20 "$FIXTURES/sigdfl" $shell -c 'eval "$1"' sh "$command" 3>&- | tr '\0' '\n' | sort)
			equal "$shell: $program" "$(grep -vE '^(_|SHLVL|PIPEGUARD_ENDINGS)=' <<<"$wanted")" "$(grep -vE '^(_|SHLVL)=' <<<"$got")"
		done
		[[ $wanted == *PIPEGUARD_STACK=3* && $wanted == *'|'* || $program = env ]]
	done
}

@test "what -n prints asks for the engine outside, and for what no variable says, where run would" {
	run launch run --outside -r 'a=write:fd=77:log' -o off true
	[ "$status" -eq 0 ] || skip "no rules can be followed from outside here: $output"
	local options command wanted
	told() { grep -q '"ev":"exit"' "$LOG"; } # by another process than the program
	while read -r options; do
		# shellcheck disable=SC2086 # words
		wanted=$(launch -v -o "$LOG" -j -r 'a=write:fd=77:log' $options 2>&1; echo "$?"; wait_for told; events '[.ev, .engine]')
		rm -f "$LOG"
		# shellcheck disable=SC2086 # words
		command=$(launch -n -v -o "$LOG" -j -r 'a=write:fd=77:log' $options)
		[[ $wanted == *'"outside"'* || $wanted == *'never fired: a'* ]]
		equal "$options" "$wanted" "$(timeout "$LIMIT" "$FIXTURES/sigdfl" sh -c "$command" 2>&1 3>&-; echo "$?"; wait_for told; events '[.ev, .engine]')"
		rm -f "$LOG"
	done <<-END
		--outside sh -c exit
		--both --all $FIXTURES/static/paged
		--outside --control $BATS_TEST_TMPDIR/page sh -c exit
		--require-fired sh -c exit
		$FIXTURES/static/paged
	END
}

@test "an LD_PRELOAD that is there is kept, behind the library" {
	run timeout 10 env LD_PRELOAD="$FIXTURES/plugin.so" "$PIPEGUARD" sh -c 'echo "$LD_PRELOAD"' 3>&-
	equal "LD_PRELOAD" "$OURS:$FIXTURES/plugin.so" "$output"
}

@test "the runtime of a sanitizer stays before the library" {
	equal "LD_PRELOAD" "LD_PRELOAD='libasan.so.8:$OURS:$FIXTURES/plugin.so'" \
		"$(LD_PRELOAD=libasan.so.8:$FIXTURES/plugin.so "$PIPEGUARD" -n true 2>/dev/null | grep -o 'LD_PRELOAD=[^ ]*')"
}

@test "the program's environment is that of the launcher, entry by entry: odd names, odd bytes, duplicates, order" {
	odd() { timeout "$LIMIT" "$FIXTURES/environ" "$@" 3>&-; }
	plain() { grep -zv '^PIPEGUARD_ENDINGS=/dev/shm/pipeguard-'; } # of the tree, one entry more
	mkdir "$BATS_TEST_TMPDIR/e"
	cd "$BATS_TEST_TMPDIR/e"
	odd with "$FIXTURES/environ" print >native
	[ "$(tr -cd '\0' <native | wc -c)" -ge 20 ]
	odd with "$PIPEGUARD" run "$FIXTURES/environ" print >both
	equal "entries more" 1 "$(grep -zc '^PIPEGUARD_ENDINGS=' both)"
	plain <both >guarded
	printf 'LD_PRELOAD=%s\0' "$OURS" | cat native - | cmp - guarded
	odd with "$PIPEGUARD" -j --stack 3 "$FIXTURES/environ" print | plain >guarded
	printf '%s\0' PIPEGUARD_FORMAT=json PIPEGUARD_STACK=3 "LD_PRELOAD=$OURS" | cat native - | cmp - guarded
	# Each entry of a name that an option sets: the loader takes the last one, getenv the first.
	odd twice "$PIPEGUARD" -v "$FIXTURES/environ" print | plain >guarded
	printf '%s\0' A=1 "LD_PRELOAD=$OURS" PIPEGUARD_VERBOSE=1 B=2 "LD_PRELOAD=$OURS" PIPEGUARD_VERBOSE=1 | cmp - guarded
	wanted=$(printf '%s\n' A=1 "LD_PRELOAD=$OURS")
	equal "an empty environment" "$wanted" "$(timeout 20 env -i A=1 "$PIPEGUARD" /usr/bin/env 3>&- | grep -v '^PIPEGUARD_ENDINGS=')"
	f() { echo "it is f"; }
	export -f f
	run -0 launch bash -c f
	equal "the function" "it is f" "$output"
}

@test "the program takes the launcher's place: the same process, descriptors, mask and disposition, and no other process" {
	show='printf "%s " $$; readlink /proc/self/fd/* 2>/dev/null | grep -c /; grep -E "^(Sig...|Shd...|NoNewPrivs|Seccomp):" /proc/self/status'
	for mode in -d -i -b; do
		run timeout "$LIMIT" "$FIXTURES/sigdfl" $mode sh -c 'echo $$; exec "$@"' sh "$PIPEGUARD" -o off sh -c "$show" 7</dev/null 9>/dev/null 3>&-
		guarded=$output
		run timeout "$LIMIT" "$FIXTURES/sigdfl" $mode sh -c 'echo $$; exec "$@"' sh env LD_PRELOAD="$LIB" PIPEGUARD_LOG=off sh -c "$show" 7</dev/null 9>/dev/null 3>&-
		# The process that was started is the one that runs.
		equal "the process, $mode" "$(sed -n 1p <<<"$guarded")" "$(sed -n '2s/ .*//p' <<<"$guarded")"
		equal "the state, $mode" "$(sed '1d;2s/^[0-9]* //' <<<"$output")" "$(sed '1d;2s/^[0-9]* //' <<<"$guarded")"
	done
	strace -o /dev/null true 2>/dev/null || skip "nothing can be traced here"
	timeout "$LIMIT" strace -f -o "$BATS_TEST_TMPDIR/trace" "$PIPEGUARD" -r write:fd=77:break -o "$LOG" -S sockets "$(type -P true)" 3>&-
	run ! grep -qE '(clone|clone3|fork|vfork)\(' "$BATS_TEST_TMPDIR/trace"
	equal "programs that were started" 2 "$(grep -c 'execve(.* = 0' "$BATS_TEST_TMPDIR/trace")"
}

@test "what cannot be run or reached is refused with one line and its status" {
	cp "$PIPEGUARD" "$BATS_TEST_TMPDIR/plain-file"
	chmod 644 "$BATS_TEST_TMPDIR/plain-file"
	cp "$(type -P true)" "$BATS_TEST_TMPDIR/setuid"
	chmod 4755 "$BATS_TEST_TMPDIR/setuid"
	echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/s.c"
	gcc -static -o "$BATS_TEST_TMPDIR/static" "$BATS_TEST_TMPDIR/s.c"
	gcc -static-pie -o "$BATS_TEST_TMPDIR/static-pie" "$BATS_TEST_TMPDIR/s.c"
	while read -r wanted word program; do
		echo "program: $program"
		run "-$wanted" launch --inside "$program"
		echo "status: $status, output: $output"
		[ "${#lines[@]}" -eq 1 ]
		[[ $output == "pipeguard: "*"$word"* ]]
	done <<-END
		127 found no-such-program-here
		127 found ./no-such-program-here
		126 cannot $BATS_TEST_TMPDIR/plain-file
		126 cannot $BATS_TEST_TMPDIR
		126 setuid $BATS_TEST_TMPDIR/setuid
		126 statically $BATS_TEST_TMPDIR/static
		126 statically $BATS_TEST_TMPDIR/static-pie
	END
}

@test "wrong use is refused with one line and 125" {
	for args in '' '-x true' '-o' '--only' '-o /no/such/folder/log true' 'run'; do
		# shellcheck disable=SC2086 # words
		run launch $args
		echo "arguments: $args, status: $status, output: $output"
		[ "$status" -eq 125 ] && [ "${#lines[@]}" -eq 1 ]
	done
}

@test "wrong use is 125 in every verb, with the nearest right word" {
	while IFS='#' read -r words line; do
		# shellcheck disable=SC2086 # words
		run -125 launch $words
		equal "$words" "$line" "$output"
	done <<-'END'
		run --jsn true#pipeguard: run: unknown option '--jsn' (did you mean '--json'?)
		check --rul x#pipeguard: check: unknown option '--rul' (did you mean '--rule'?)
		check -o x#pipeguard: check: unknown option '-o' (see --help)
		run --for 3s true#pipeguard: run: unknown option '--for': it is one of attach
		run --once true#pipeguard: run: unknown option '--once': it is one of attach
		attach --stdin x 1#pipeguard: attach: unknown option '--stdin': it is one of sweep and bundle
		check#pipeguard: check: which rules? (see --help)
		list#pipeguard: list: calls, groups, fields, actions or errnos?
		list cals#pipeguard: list: unknown word 'cals' (did you mean 'calls'?)
		list things#pipeguard: list: unknown word 'things' (calls, groups, fields, actions or errnos)
		list --jsn calls#pipeguard: list: unknown option '--jsn' (see --help)
		doctor --jsn sh#pipeguard: doctor: unknown option '--jsn' (did you mean '--json'?)
		doctor#pipeguard: doctor: one program, without arguments, or one process id
		env --dokcer#pipeguard: env: unknown option '--dokcer' (did you mean '--docker'?)
		completion zshh#pipeguard: completion: unknown shell 'zshh' (did you mean 'zsh'?)
		completion --x#pipeguard: completion: unknown option '--x' (see --help)
		help halp#pipeguard: help: unknown verb 'halp' (did you mean 'help'?)
		version x#pipeguard: version: no arguments
		attach --for 5 1#pipeguard: --for: not a time like 500ms, 10s or 5m: '5'
		attach --for 2h 1#pipeguard: --for: not a time like 500ms, 10s or 5m: '2h'
		attach --for 0s 1#pipeguard: --for: not a time like 500ms, 10s or 5m: '0s'
		ctl x fired --wait 1.s r1#pipeguard: --wait: not a time like 500ms, 10s or 5m: '1.s'
		attach --for 1m --for 2m 1#pipeguard: --for 1m and --for 2m exclude one another: choose one
		-S keep -S suppress true#pipeguard: --suppress keep and --suppress suppress exclude one another: choose one
		--inside --both true#pipeguard: --inside and --both exclude one another: choose one
		-o a -o b true#pipeguard: --log a and --log b exclude one another: choose one
		-o syslog true#pipeguard: -o: no log goes to 'syslog': write journal, or ./syslog for such a file
		-o fd:99 true#pipeguard: -o: descriptor 99 is not open
		-o /tmp true#pipeguard: -o: '/tmp' is a folder
	END
	requires python3
	while IFS='#' read -r words line; do
		# shellcheck disable=SC2086 # words
		run -125 launch $words
		equal "$words" "$line" "$output"
	done <<-'END'
		report --htlm x#pipeguard report: unknown option '--htlm' (did you mean '--html'?)
		report --htlm=x#pipeguard report: unknown option '--htlm' (did you mean '--html'?)
		bundle --outptu x#pipeguard bundle: unknown option '--outptu' (did you mean '--output'?)
		report#pipeguard report: the following arguments are required: LOG
		sweep --falts break -- true#pipeguard sweep: unknown option '--falts' (did you mean '--faults'?)
		sweep --timeout 0 -- true#pipeguard sweep: argument --timeout: not a duration (2s, 500ms, 1m): '0'
		sweep --timeout 2h -- true#pipeguard sweep: argument --timeout: not a duration (2s, 500ms, 1m): '2h'
		sweep --timeout -1 -- true#pipeguard sweep: argument --timeout: not a duration (2s, 500ms, 1m): '-1'
		sweep --jobs x -- true#pipeguard sweep: argument --jobs: not a number (20, 4k): 'x'
		sweep --timeout 1s --timeout 2s -- true#pipeguard sweep: --timeout: given twice, choose one
		report --html a --html=b x#pipeguard report: --html: given twice, choose one
	END
}

# read_as FORM < LINES: each "VALUE PLAIN" of LINES, in the place of @ in the rule FORM, reads as PLAIN; "-": as wrong.
read_as() {
	local value plain
	while read -r value plain; do
		run launch check "${1//@/$value}"
		if [[ $plain = - ]]; then
			equal "$1 with $value" 2 "$status"
		else
			equal "$1 with $value" "$(launch check "${1//@/$plain}")" "$output"
		fi
	done
}

@test "numbers are read alike everywhere: in rules, variables, and options of all verbs" {
	local form value
	for form in write:at=@:break write:short=@ write:len=@-:log write:limit=@:log write:when=@:break \
		write:when=1..@:break write:when=2+@:break write:conn=@:reset recv:garbage=@ send:trickle=@/1ms; do
		read_as "$form" <<-'END'
			7 7
			4k 4096
			4K 4096
			4KiB 4096
			2m 2097152
			2MiB 2097152
			4kb -
			4G -
			k -
			0x10 -
			1.5k -
			-1 -
		END
	done
	for value in 250us 1.5ms 2s 1m; do
		launch check "write:delay=$value"
		launch check "write:after=$value:log"
		run launch ctl "$BATS_TEST_TMPDIR/none" fired x --wait "$value"
		[[ $output == *'there is no such page'* ]]
		run -127 launch attach --for "$value" 2147483647
	done
	for value in 7 4k 4K 4KiB 1M; do
		PIPEGUARD_LIMIT=$value run -0 launch run true
		run -0 launch run --limit "$value" true
	done
	for value in 4kb k 1000000001 954M ''; do
		run -125 launch run --limit "$value" true
		PIPEGUARD_LIMIT=$value run -125 launch run true
	done
	requires python3
	: >"$BATS_TEST_TMPDIR/log"
	for value in 7 4k 4K 4KiB 1M; do
		run -0 launch report --top "$value" "$BATS_TEST_TMPDIR/log"
		run -125 launch sweep --jobs "$value" --each "$value" --max-runs "$value" --faults none -- true
		[[ $output != *'not a number'* ]]
	done
	for value in 4kb -5 1_0 ' 3'; do
		run -125 launch report --top="$value" "$BATS_TEST_TMPDIR/log"
		[[ $output == *'not a number'* ]]
	done
	for value in 250us 1.5ms 2s 1m 2000001s 99999999999999999999s; do
		run -125 launch sweep --timeout "$value" --faults none -- true
		[[ $value == ?????* && $output == *'more than 1000000s'* ]] || [[ $value != ?????????* && $output != *'--timeout'* ]]
	done
}

@test "a wrong word is told with the nearest right one" {
	cd "$BATS_TEST_TMPDIR"
	while IFS='|' read -r words near; do
		# shellcheck disable=SC2086 # words
		run launch $words true
		echo "arguments: $words, status: $status, output: $output"
		[ "$status" -eq 125 ] && [ "${#lines[@]}" -eq 1 ]
		[[ $output == pipeguard:*"$near"* ]]
	done <<-END
		--onyl x|(did you mean '--only'?)
		-only x|(did you mean '--only'?)
		-S supress|(did you mean 'suppress'?)
		-S socket|(did you mean 'sockets'?)
		-o sterr|(did you mean 'stderr'?)
		-s 12x|-s: not a number of 64 bits: '12x'
		-s 18446744073709551616|-s: not a number of 64 bits
		-s -1|-s: not a number of 64 bits
		-r write:brek|rule 1, column 7: unknown action 'brek' (did you mean 'break'?)
		-r write:break -r connect:resett|rule 2, column 9: unknown action 'resett'
		-r write:break -f rules|choose one
		-f no-such-file|-f: 'no-such-file' is no file that can be read
		-r @no-such-file|-r @: 'no-such-file' is no file that can be read
		-f .|no file that can be read
		--only a --skip b|choose one
	END
	run -125 launch env --system
	[[ $output == *"(did you mean '--systemd'?)"* ]]
	run -127 launch doctr true
	[[ $output == *"(did you mean 'doctor'?)"* ]]
	equal "files that were made" '' "$(ls)"
}

@test "seeds of 64 bits are taken" {
	for seed in 0 00 7 9223372036854775808 18446744073709551615 00018446744073709551615; do
		run -0 launch -s "$seed" sh -c 'echo "$PIPEGUARD_SEED"'
		equal "the seed" "$seed" "$output"
	done
}

@test "-r breaks what it names, and several are one list" {
	native_only
	run launch -o "$LOG" -j -r 'connect:when=99:refuse' -r 'x=%stdio:fd=1:when=2:break' /usr/bin/python3 -c '
import os
for i in range(3):
    os.write(1, b"by call\n")'
	echo "$output"
	equal "by write" 3 "$(grep -c 'by call' <<<"$output")"
	run launch -o "$LOG" -j -r 'connect:when=99:refuse' -r 'x=write:fd=1:when=2:error=EIO' /usr/bin/python3 -c '
import os
for i in range(3):
    os.write(1, b"by call\n")'
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == 'by call'*'Input/output error' ]]
	run launch -r write:break -r send:reset sh -c 'echo "$PIPEGUARD_RULES"'
	equal "the variable" 'write:break;send:reset' "$(launch -r write:fd=77:break -r send:reset -n true | grep -o "RULES='[^']*'" | cut -d"'" -f2 | sed 's/:fd=77//')"
}

@test "an -r that is a comment does not take the next one in" {
	rules=$(launch -r '# a note' -r write:fd=77:break sh -c 'printf "%s" "$PIPEGUARD_RULES"')
	equal "the rules" r1=write:fd=77:break "$(launch check "$rules")"
}

@test "-f is found from any folder, and its errors have the file's columns" {
	cd "$BATS_TEST_TMPDIR"
	printf '# comment\nwrite:fd=77:break\n\nconnect:refuse\n' >rules
	equal "the variable" "@$PWD/rules" "$(launch -f rules sh -c 'cd / && printenv PIPEGUARD_RULES')"
	equal "the variable" "@$PWD/rules" "$(launch -r @rules sh -c 'cd / && printenv PIPEGUARD_RULES')"
	equal "the rules" $'r1=write:fd=77:break\nr2=connect:refuse' "$(launch check -f rules)"
	equal "the rules" $'r1=write:fd=77:break\nr2=connect:refuse' "$(launch check @rules)"
	echo 'send:rset' >>rules
	for args in '-f rules true' 'check -f rules' 'check @rules'; do
		# shellcheck disable=SC2086 # words
		run launch $args
		[ "$status" -eq "$([[ $args == check* ]] && echo 2 || echo 125)" ]
		equal "$args" "pipeguard: PIPEGUARD_RULES: line 5, rule 3, column 6: unknown action 'rset' (did you mean 'reset'?)" "$output"
	done
}

@test "check prints the rules in normal form, or says what is wrong with status 2" {
	run -0 launch check 'write:when=3:fd=1:break' 'a=connect:port=5432:refuse'
	equal "the rules" $'r1=write:fd=1:when=3:break\na=connect:port=5432:refuse' "$output"
	run -0 launch check "$output"
	equal "the rules, once more" $'r1=write:fd=1:when=3:break\na=connect:port=5432:refuse' "$output"
	run -2 launch check write:break connect:resett
	equal "the line" "pipeguard: PIPEGUARD_RULES: line 2, rule 2, column 9: unknown action 'resett' (did you mean 'reset'?)" "$output"
	run -2 launch check ''
	run -125 launch check
}

@test "list prints the words of rules" {
	words() { launch list "$1" | awk '{ print $1 }'; }
	words calls | grep -qx sendmsg
	words groups | grep -qx %out
	words fields | grep -qx peer
	words actions | grep -qx refuse
	words errnos | grep -qx ECONNRESET
	for list in calls groups fields actions errnos; do
		equal "words of $list without a meaning" '' "$(launch list $list | awk 'NF < 2')"
	done
	run -125 launch list nonsense
	[[ $output == *"'nonsense'"* ]]
	run -125 launch list acions
	[[ $output == *"(did you mean 'actions'?)" ]]
	run -125 launch list
}

@test "options can stand together and have their values attached" {
	equal "the variables" "$(launch -j -v -n -o /x.log -S keep --only a -s 1 true)" "$(launch -jvno/x.log -Skeep --only=a -s1 true)"
	equal "the variables" "$(launch -v -v -n true)" "$(launch -vvn true)"
}

@test "a log's name is kept whole: blanks, percent signs and colons" {
	mkdir "$BATS_TEST_TMPDIR/100%n dir"
	cd "$BATS_TEST_TMPDIR/100%n dir"
	launch -v -o 'l %n.log' /bin/true
	[ -s 'l true.log' ]
	equal "files" 'l true.log' "$(ls)"
	run -125 launch -o 'a:b' true
	equal "files" 'l true.log' "$(ls)"
	equal "the log" "unix:$BATS_TEST_TMPDIR/100%%n dir/socket" "$(launch -o unix:socket printenv PIPEGUARD_LOG 2>/dev/null)"
}

@test "a program called like a subcommand is run by run" {
	cd "$BATS_TEST_TMPDIR"
	mkdir bin
	for name in check list env doctor run; do
		printf '#!/bin/sh\necho "%s $*"\n' $name >bin/$name
	done
	chmod +x bin/*
	for name in check list env doctor run; do
		PATH=$PWD/bin:$PATH run -0 launch run -- $name a=b
		equal "the output" "$name a=b" "$output"
		run -0 launch ./bin/$name a=b
		equal "the output" "$name a=b" "$output"
	done
}

@test "a program whose name begins with a hyphen is run" {
	printf '#!/bin/sh\necho "ran $*"\n' >"$BATS_TEST_TMPDIR/-x"
	chmod +x "$BATS_TEST_TMPDIR/-x"
	PATH=$BATS_TEST_TMPDIR:$PATH run -0 launch -- -x a
	equal "the output" "ran a" "$output"
}

@test "a link to it works" {
	mkdir "$BATS_TEST_TMPDIR/scripts"
	cp "$BUILD/pipeguard" "$BATS_TEST_TMPDIR/scripts"
	ln -s "$BUILD" "$BATS_TEST_TMPDIR/build"
	mkdir "$BATS_TEST_TMPDIR/bin"
	ln -s ../scripts/pipeguard "$BATS_TEST_TMPDIR/bin/link"
	run -3 timeout 10 "$BATS_TEST_TMPDIR/bin/link" sh -c 'exit 3' 3>&-
	# The source tree's own link, by which it is called before it is installed.
	equal "the link" ../build/pipeguard "$(readlink "$ROOT/scripts/pipeguard")"
}

@test "a library in a folder with a blank or a colon is reached by a link, since the loader would split its name" {
	native_only
	for name in 'a b' 'c:d&e'; do
		mkdir -p "$BATS_TEST_TMPDIR/$name"
		cp "$BUILD/pipeguard" "$LIB" "$BATS_TEST_TMPDIR/$name"
		rm -f "$LOG"
		run -141 timeout 10 "$FIXTURES/sigdfl" "$FIXTURES/brokenfd" 1 "$BATS_TEST_TMPDIR/$name/pipeguard" -j -o "$LOG" echo x 3>&-
		equal "the events" '"fatal"' "$(broken .signal)"
		link=$(timeout 10 "$BATS_TEST_TMPDIR/$name/pipeguard" -n true | grep -oE '/tmp/pipeguard-[^'"']*")
		equal "where the link leads" "$BATS_TEST_TMPDIR/$name/libpipeguard.so" "$(readlink "$link")"
		run -125 timeout 10 "$BATS_TEST_TMPDIR/$name/pipeguard" env --systemd 3>&-
		[[ $output == *'splits LD_PRELOAD at blanks'* ]] && [ "${#lines[@]}" -eq 1 ]
		rm "$link"
	done
	rmdir "${link%/*}" 2>/dev/null || true
}

@test "each option has a long form, attached or not, that does the same" {
	cd "$BATS_TEST_TMPDIR"
	echo write:fd=77:break >rules
	while IFS='|' read -r short long; do
		eval "equal \"\$long\" \"\$(launch -n $short true)\" \"\$(launch -n $long true)\""
		eval "equal \"\$long\" \"\$(launch -n $short true)\" \"\$(launch --dry-run $long true)\""
	done <<-'END'
		-r write:fd=77:break|--rule write:fd=77:break
		-r write:fd=77:break|--rule=write:fd=77:break
		-f rules|--file rules
		-f rules|--rule @rules
		-o x.log|--log x.log
		-o x.log|--output=x.log
		-o fd:1|--log=stdout
		-o fd:1|--log -
		-j|--json
		-s 7|--seed=7
		-S sockets|--suppress sockets
		-S sockets|--suppress=sockets
		-S keep|--sigpipe keep
		-v|--verbose
		-vv|--verbose --verbose
		--only a,b|--only=a,b
		--stack 0|--stack=0
		--limit 5|--limit=5
	END
	equal "the variables" "PIPEGUARD_LIMIT='5' PIPEGUARD_STACK='3'" "$(launch -n --stack 3 --limit 5 true | grep -oE "PIPEGUARD_(LIMIT|STACK)='[0-9]*'" | xargs -d '\n')"
	equal "files that were made" rules "$(ls)"
}

@test "numbers and words are checked before the start, as the library reads them" {
	while IFS='|' read -r options line; do
		# shellcheck disable=SC2086 # words
		run -125 launch $options touch "$BATS_TEST_TMPDIR/started"
		equal "$options" "pipeguard: $line" "$output"
	done <<-'END'
		--stack 33|--stack: not a number from 0 to 32: '33'
		--stack -1|--stack: not a number from 0 to 32: '-1'
		--limit 1kb|--limit: not a number from 0 to 1000000000: '1kb'
		--only a,,b|--only: an empty name in 'a,,b'
		--skip ,a|--skip: an empty name in ',a'
		--json=x|--json takes no value
		--stack=|--stack needs a value (see --help)
		-S all|-S: unknown word 'all' (keep, suppress or sockets)
		--verb|run: unknown option '--verb' (did you mean '--verbose'?)
		--bogus-option|run: unknown option '--bogus-option' (see --help)
		-z|run: unknown option '-z' (see --help)
		-jz|run: unknown option '-z' (see --help)
		-seed=1|run: unknown option '-seed=1' (did you mean '--seed'?)
		-json|run: unknown option '-json' (did you mean '--json'?)
	END
	[ ! -e "$BATS_TEST_TMPDIR/started" ]
}

@test "options that exclude one another are refused, and one that says the same twice is not" {
	cd "$BATS_TEST_TMPDIR"
	echo write:fd=77:break >launcher
	while read -r words; do
		# shellcheck disable=SC2086 # words
		run -125 launch $words touch started
		echo "$words: $output"
		[[ "${#lines[@]}" -eq 1 && $output == *'choose one' || $output == *'one file of rules only' ]]
	done <<-'END'
		-o a -o b
		-o off --log stderr
		-s 1 -s 2
		-S keep -S suppress
		--stack 1 --stack 2
		--limit 1 --limit 2
		--only a --only b
		--only a --skip a
		-f launcher -f launcher
	END
	PIPEGUARD_SKIP=x run -125 launch --only a touch started
	[[ $output == *'choose one' ]]
	for words in '--shell --systemd' '--docker --kubernetes'; do
		# shellcheck disable=SC2086 # words
		run -125 launch env $words
		equal "$words" "pipeguard: ${words/ / and } exclude one another: choose one" "$output"
	done
	equal "files that were made" launcher "$(ls)"
	run -0 launch -o off --log off -S keep -S keep true
}

@test "-o is done as it says, or refused before the start with one line" {
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here"
	for log in - stdout fd:1 /dev/stdout /dev/fd/1; do
		run -0 --separate-stderr launch -v -o $log true
		[[ $output == *'] load: true,'* && -z $stderr ]]
	done
	mkfifo fifo
	mkdir folder
	echo x >closed
	chmod 000 closed
	while IFS='|' read -r log line; do
		run -125 launch -o "$log" touch started
		equal "-o $log" "pipeguard: -o: $line" "$output"
	done <<-END
		/tmp|'/tmp' is a folder
		folder|'$PWD/folder' is a folder
		folder/|'$PWD/folder/' is a folder
		/dev/full|'/dev/full' is a device
		fd:99|descriptor 99 is not open
		fd:|not a descriptor number: ''
		2|unknown log '2' (did you mean 'fd:2'?): write ./2 for such a file
		fd:x|not a descriptor number: 'x'
		fd:99999999999|not a descriptor number: '99999999999'
		unix:|a path is missing behind 'unix:'
		/no/such/folder/x|there is no folder '/no/such/folder'
		unix:/no/such/folder/x|there is no folder '/no/such/folder'
		a%q|unknown % word in '$PWD/a%q' (%p is the pid, %n the program, %% a %)
		tcp:host|unknown log 'tcp:host' (stderr, stdout, off, journal, fd:N, unix:/path or a path; write ./tcp:host for such a file)
		stdou|unknown log 'stdou' (did you mean 'stdout'?): write ./stdou for such a file
	END
	run -125 launch -o fd:7 touch started 7</dev/null
	equal "a descriptor for reading" "pipeguard: -o: descriptor 7 is not open for writing" "$output"
	[[ $EUID -eq 0 ]] || {
		run -125 launch -o closed touch started
		[[ $output == *'cannot be written to' ]]
	}
	equal "files that were made" "closed fifo folder" "$(printf "%s " * | sed "s, \$,,")"
	run -0 launch -v -o fd:7 true 7>seven
	grep -q 'load: true' seven
	run -0 launch -v -o ./stdout true
	grep -q 'load: true' stdout
	# env is for another place.
	run -0 launch env -o fd:99
	run -0 launch env -o /no/such/folder/log
}

@test "what a person may have meant is said" {
	while IFS='#' read -r word wanted; do
		run -127 launch "$word" x
		equal "$word" "pipeguard: '$word' was not found$wanted" "$output"
	done <<-'END'
		FOO=1# (to set a variable for a program: pipeguard run env 'FOO=1' ...)
		no-such a | b# (for a line of the shell: pipeguard sh -c 'no-such a | b')
		no-such >out# (for a line of the shell: pipeguard sh -c 'no-such >out')
		no-such 'x'# (for a line of the shell: pipeguard sh -c 'no-such '\''x'\''')
		export# (it is a word of the shell: pipeguard sh -c 'export ...')
		eval# (it is a word of the shell: pipeguard sh -c 'eval ...')
		swep# (did you mean 'sweep'?)
		chek# (did you mean 'check'?)
		no-such-program#
	END
	run -127 launch $'no\nsuch\e[31m'
	equal "control bytes" "pipeguard: 'no\\x0asuch\\x1b[31m' was not found" "${output%% (*}"
	[ "${#lines[@]}" -eq 1 ]
	# The hint works.
	run -0 launch sh -c 'seq 3 | head -1'
	equal "the output" 1 "$output"
}

@test "help, of all and of each verb; the verb's own --help is the same" {
	equal "help" "$(launch --help)" "$(launch help)"
	equal "-h" "$(launch --help)" "$(launch -h)"
	[[ $(launch --help) == *'write:fd=1:when=3:break'*'man 7 libpipeguard'* ]]
	[ "$(launch --help | grep -c '^    pipeguard ')" -ge 3 ]
	for verb in run check list doctor env completion help version; do
		[[ $(launch help $verb) == "Usage: pipeguard "*"$verb"* ]]
		equal "$verb --help" "$(launch help $verb)" "$(launch $verb --help)"
		launch --help | grep -qE "^  $verb +[a-z]"
	done
	requires python3
	for verb in report sweep; do
		equal "$verb --help" "$(launch $verb --help)" "$(launch help $verb)"
	done
	run -125 launch help chek
	equal "the line" "pipeguard: help: unknown verb 'chek' (did you mean 'check'?)" "$output"
	run -125 launch help check list
	run -125 launch version now
	# What cannot be written is a failure.
	for words in --help version 'list calls' 'check write:break' env 'doctor sh' 'completion bash' '-n true'; do
		status=0
		# shellcheck disable=SC2086 # words
		launch $words >/dev/full 2>"$BATS_TEST_TMPDIR/err" || status=$?
		equal "$words" "125 pipeguard: standard output: No space left on device" "$status $(cat "$BATS_TEST_TMPDIR/err")"
	done
}

@test "a script without #! is a shell's, its name and arguments as they were given" {
	printf 'echo "$0 $*"\n' >"$BATS_TEST_TMPDIR/bare"
	chmod +x "$BATS_TEST_TMPDIR/bare"
	run -0 launch "$BATS_TEST_TMPDIR/bare" 'a  b' c
	equal "the output" "$BATS_TEST_TMPDIR/bare a  b c" "$output"
	PATH=$BATS_TEST_TMPDIR:$PATH run -0 launch bare
	equal "the output" "$BATS_TEST_TMPDIR/bare " "$output"
	# argv[0] is what was typed.
	run -0 launch bash -c 'echo "$BASH_ARGV0"; tr "\\0" "|" </proc/$$/cmdline'
	equal "the command line" 'bash|-c|echo "$BASH_ARGV0"; tr "\\0" "|" </proc/$$/cmdline|' "${lines[-1]}"
}

@test "the manual is clean, and has each option and subcommand of --help" {
	words=$(launch --help | grep -oE '^  [a-zA-Z-]+,?( --[a-z]+)?' | tr -d ,)
	[ "$(wc -w <<<"$words")" -ge 18 ]
	for word in $words; do
		echo "word: $word"
		grep -qE "^\.(It|Cm|Nm) .*${word#-}" "$ROOT/scripts/pipeguard.1"
	done
	requires mandoc
	equal "what mandoc says" '' "$(mandoc -Tlint "$ROOT/scripts/pipeguard.1" 2>/dev/null | grep -vE 'referenced manual not found|operating system explicitly')"
}

# options VERB: those of a verb's help.
options() { launch help "$1" | grep -oE '^  (-[a-zA-Z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort; }

@test "the manual has the options and verbs that the tables have, and no others" {
	manual=$ROOT/scripts/pipeguard.1
	equal "the options" "$({ options run && options env && options check && options doctor && options attach && options cut && options ctl; } | sort -u)" \
		"$({ sed -n '/^\.Sh OPTIONS/,/^\.Sh DOCTOR/s/^\.It//p' "$manual" | grep -oE 'Fl -[a-z-]+' | sed 's/Fl /-/' && printf -- '--%s\n' output sigpipe; } | sort -u | grep -vxE -- '--(output|sigpipe)')"
	grep -q '^\.Fl -output' "$manual"
	grep -q '^\.Fl -sigpipe' "$manual"
	equal "letters of options" "$(launch help run | sed -n 's/^  \(-[a-zA-Z]\), .*/\1/p' | sort | xargs)" \
		"$(sed -n '/^\.Sh OPTIONS/,/^\.Sh DOCTOR/s/^\.It//p' "$manual" | grep -oE 'Fl [a-zA-Z] ' | sed 's/Fl /-/' | sort -u | xargs)"
	equal "the verbs" "$(launch --help | sed -n 's/^\(Usage:\|      \) pipeguard \[\{0,1\}\([a-z]*\).*/\2/p' | sort)" \
		"$(sed -n '/^\.Sh DESCRIPTION/,/^\.Sh OPTIONS/s/^\.It Cm //p' "$manual" | sort)"
	# The synopsis: what run takes by its letter, or by its name; what else env takes.
	synopsis=$(sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$manual")
	launch help run | sed -n 's/^  \(-\([a-zA-Z]\), \)\{0,1\}--\([a-z-]*\).*/\2 \3/p' | while read -r letter name; do
		[[ -n $name ]] || { name=$letter && letter=''; }
		[[ $letter != [hV] ]] || continue
		echo "option: $letter $name"
		if [[ -n $letter ]]; then
			grep -qE "Fl ([a-z]*${letter}[a-z]*)( |$)" <<<"$synopsis"
		else
			grep -qE "Fl -$name( |$)" <<<"$synopsis"
		fi
	done
	for name in $(comm -13 <(options run) <(options env)); do
		echo "option: $name"
		grep -qE "Fl -${name#--}( |$)" <<<"$synopsis"
	done
}

@test "--help and --version" {
	run -0 launch --help
	[[ $output == 'Usage: pipeguard'* && $output == *'127 it was not found.'* ]]
	for words in --version -V version; do
		run -0 launch $words
		equal "$words" "pipeguard $(sed -n 's/^VERSION := //p' "$ROOT/Makefile")" "$output"
	done
}
