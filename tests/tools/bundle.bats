#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # inner shells expand
# pipeguard bundle and replay: one break in a file, and the same one again.

load ../helpers
load ../outside

PYTHON=/usr/bin/python3

setup() {
	native_only
	cd "$BATS_TEST_TMPDIR" || return
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	unset PYTHONUNBUFFERED
}

teardown() {
	[ ! -e "$TMPDIR" ] || equal "temporary files left" "" "$(ls -A "$TMPDIR")"
}

bundle() { timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-bundle" "$@" 3>&-; }
replay() { timeout 50 "$PYTHON" "$ROOT/scripts/pipeguard-replay" --library "$LIB" "$@" 3>&-; }

# A break by nature: the reader leaves.
broke() { guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 "$FIXTURES/numbers" 5000 || :; }

@test "a break by nature comes again at the same place, by the rule that the log gave" {
	broke
	run -0 bundle -o case.tgz "$LOG" -- "$FIXTURES/numbers" 5000
	equal "what is said" 'case.tgz: numbers: write on pipe, SIGPIPE killed it' "$output"
	equal "what is in it" $'case.json\nlogs/0-log' "$(tar tzf case.tgz)"
	run -0 replay case.tgz
	equal "what is said" 'same break at the same place: numbers: write on pipe, SIGPIPE killed it' "$output"
	# By the launcher, from elsewhere.
	mkdir elsewhere
	cp case.tgz elsewhere
	(cd elsewhere && timeout "$LIMIT" "$BUILD/pipeguard" replay case.tgz 3>&-)
}

@test "what differs is said, with status 1: no break, another place, another signal" {
	broke
	bundle -o case.tgz "$LOG" -- "$FIXTURES/numbers" 5000
	run -1 replay case.tgz -- "$FIXTURES/numbers" 0
	equal "no break" 'differs: no write broke; it ended with status 0' "$output"
	tar xzf case.tgz case.json
	jq '.break.names[0] = "other_function" | .break.site = "0000000000000001" | .break.signal = "ignored" | .build_ids.numbers = "abcd"' case.json >changed
	mv changed case.json
	tar czf case.tgz case.json
	run -1 replay case.tgz
	[[ ${lines[0]} == 'differs: what the signal did: ignored then, fatal now' ]]
	[[ ${lines[1]} == 'differs: place: other_function < '*' then, '*' now' ]]
	[[ $output == *'another build: numbers: build-id abcd then, '* ]]
}

@test "another build is the same place by the names of its functions" {
	printf '%s\n' '#include <unistd.h>' '__attribute__((noinline)) int say(void) { return write(1, "hello\n", 6) == 6; }' \
		'int main(void) { return !say(); }' >hello.c
	"${CC:-gcc}" -O1 -g -Wl,--build-id -fno-optimize-sibling-calls -fno-toplevel-reorder -rdynamic -o hello hello.c
	guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 ./hello || :
	bundle -o case.tgz "$LOG" -- ./hello
	run -0 replay case.tgz
	equal "the same build" 1 "${#lines[@]}"
	sed -i '1a int more(int n) { return n * 3 + 1; }' hello.c
	"${CC:-gcc}" -O1 -g -Wl,--build-id -fno-optimize-sibling-calls -fno-toplevel-reorder -rdynamic -o hello hello.c
	run -0 replay case.tgz
	[[ ${lines[0]} == 'same break at the same place: hello: write on pipe, SIGPIPE killed it' ]]
	echo "$output"
	[[ $output == *'the build is another one'*'another build: hello: build-id '* ]]
}

@test "secrets are left out: of the environment, and of the command" {
	broke
	MY_TOKEN=t0ken SECRET_X=hush LC_PAPER=x OTHER=value run -0 bundle -o case.tgz "$LOG" -- "$FIXTURES/numbers" 5000 --password=hush \
		--api-key hush https://me:hush@localhost/ -v
	[[ $output == *'what looks like a secret in the command is *** there'* && $output == *'left out of the environment: '*MY_TOKEN*SECRET_X* ]]
	tar xzf case.tgz case.json
	run grep -c -e hush -e t0ken -e '"OTHER": ' case.json
	equal "lines with secrets" 0 "$output"
	equal "the command" '["5000","--password=***","--api-key","***","https://me:***@localhost/","-v"]' "$(jq -c '.command[1:]' case.json)"
	equal "what is needed" x "$(jq -r .environment.LC_PAPER case.json)"
	run -125 replay case.tgz
	[[ $output == 'pipeguard replay: something was left out of its command ('*'): give it behind --' ]]
	run -0 replay case.tgz -- "$FIXTURES/numbers" 5000
	# What is asked for is taken.
	MY_TOKEN=t0ken OTHER=value bundle --env MY_TOKEN --all-env --secrets -o case.tgz "$LOG" -- "$FIXTURES/numbers" --password=hush
	tar xzf case.tgz case.json
	equal "asked for" '["t0ken","value"]' "$(jq -c '[.environment.MY_TOKEN, .environment.OTHER]' case.json)"
	grep -q hush case.json
}

@test "secrets in the other forms that commands have: variables, headers, users, lines of the shell" {
	broke
	local -a words=(env 'DB_PASSWORD=hush' curl -u me:hush --user 'me:hush hush' -H 'Authorization: Bearer hush' -H 'X-Api-Key:hush' 'Accept: text/html'
		sh -c 'API_TOKEN=hush curl --password hush -H "Cookie: hush" http://me:hush@x/ | grep -c token: x && tokens -v' /etc/passwd:ro)
	bundle -o case.tgz "$LOG" -- "${words[@]}"
	tar xzf case.tgz case.json
	equal "the command" '["env","DB_PASSWORD=***","curl","-u","me:***","--user","me:***","-H","Authorization: ***","-H","X-Api-Key:***","Accept: text/html","sh","-c",' \
		"$(jq -c .command case.json | sed 's/"API_TOKEN.*//')"
	equal "the line" 'API_TOKEN=*** curl --password *** -H "Cookie: ***" http://me:***@x/ | grep -c token: *** && tokens -v' "$(jq -r '.command[-2]' case.json)"
	equal "what is none" /etc/passwd:ro "$(jq -r '.command[-1]' case.json)"
}

@test "wrong rules and seeds are refused where they are given, and --show leaves out nothing that would be started" {
	broke
	while read -r said; do
		# shellcheck disable=SC2086 # words
		run -125 bundle -o no.tgz ${said%%#*} "$LOG" -- "$FIXTURES/numbers" 3
		equal "$said" "pipeguard bundle: ${said##*#}" "$output"
		[ ! -e no.tgz ]
	done <<-'END'
		-r write:fd=1:brake#PIPEGUARD_RULES: rule 1, column 12: unknown action 'brake' (did you mean 'break'?)
		-s seven#argument -s/--seed: not a number of 64 bits: 'seven'
		-s 18446744073709551616#argument -s/--seed: not a number of 64 bits: '18446744073709551616'
	END
	echo text >input
	bundle -o case.tgz --stdin input --client 'echo client' --ready 'echo ready' -r 'write:fd=1:break' -s 7 -S sockets "$LOG" -- sh -c "echo 'a  b'; exit"
	run -0 replay --show case.tgz
	[[ $output == *$'\ncommand: sh -c \'echo \'"\'"\'a  b\'"\'"\'; exit\'\nclient: echo client\nready: echo ready\nstandard input: 5 bytes\nrule: write:fd=1:break\nseed: 7\nsuppress: sockets\n'* ]]
}

@test "rules, a seed, suppression, standard input: what was in force is so again" {
	echo text >input
	guarded PIPEGUARD_VERBOSE=1 PIPEGUARD_SIGPIPE=suppress PIPEGUARD_RULES='write:fd=1:prob=50%:break' PIPEGUARD_SEED=7 \
		/usr/bin/perl -e '$| = 1; print for <STDIN>; print "$_\n" for 1 .. 20' <input | cat >/dev/null || :
	bundle -o case.tgz -r 'write:fd=1:prob=50%:break' -s 7 -S suppress --stdin input "$LOG" -- /usr/bin/perl -e '$| = 1; print for <STDIN>; print "$_\n" for 1 .. 20'
	equal "what is in it" $'case.json\nlogs/0-log\nstdin' "$(tar tzf case.tgz)"
	run -0 replay case.tgz
	[[ $output == 'same break at the same place: perl: write on pipe, EPIPE' ]]
}

@test "from outside, too" {
	ruled_only
	run outside PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES='write:fd=1:when=1:break' bash -c 'exec "$0" 3 | cat' "$FIXTURES/numbers"
	bundle -o case.tgz -r 'write:fd=1:when=1:break' "$LOG" -- "$FIXTURES/numbers" 3
	run -0 replay case.tgz
	[[ $output == 'same break at the same place: numbers: write on pipe, SIGPIPE killed it' ]]
}

@test "a break by nature that was seen from outside comes again, as the first write of its place; by run --again, too" {
	ruled_only
	requires busybox
	[[ $(file -L "$(command -v busybox)") == *static* ]] || skip "busybox is not static"
	run timeout "$LIMIT" "$FIXTURES/sigdfl" bash -c '"$0" run -j -v -o "$1" -- busybox seq 1000000 | head -1' "$BUILD/pipeguard" "$LOG" 3>&-
	told() { grep -q '"ev":"exit"' "$LOG"; }
	wait_for told
	equal "the break" '["outside",null,"fatal"]' "$(broken '[.engine, .again, .signal]')"
	bundle -o case.tgz "$LOG" -- busybox seq 1000000
	run -0 replay case.tgz
	equal "replay" 'same break at the same place: busybox: write on pipe, SIGPIPE killed it' "$output"
	run -141 timeout "$LIMIT" "$FIXTURES/sigdfl" "$BUILD/pipeguard" run --again "$LOG" -o "$BATS_TEST_TMPDIR/again" -j -- busybox seq 1000000 3>&-
	grep -q '"ev":"inject".*"rule":"r1"' "$BATS_TEST_TMPDIR/again"
}

@test "what is no case, and no break, is said in one line" {
	guarded PIPEGUARD_FORMAT=text PIPEGUARD_LOG="$PWD/text" "$FIXTURES/brokenfd" 1 "$FIXTURES/numbers" 5000 || :
	grep -q EPIPE text
	run -125 bundle text -o text.tgz
	[[ ${#lines[@]} -eq 1 && ! -e text.tgz ]] # a log in text has not all that a case needs
	run -125 replay /etc/passwd
	[[ $output == 'pipeguard replay: /etc/passwd: it is no case ('*')' && ${#lines[@]} -eq 1 ]]
	run -125 replay none
	equal "no file" 'pipeguard replay: none: No such file or directory' "$output"
	: >empty
	run -125 bundle -o case.tgz empty
	equal "no break" 'pipeguard bundle: no break with a rule in empty (is it in JSON?)' "$output"
	[ ! -e case.tgz ]
	broke
	run -125 bundle -o none/case.tgz "$LOG"
	equal "no folder" 'pipeguard bundle: none/case.tgz: No such file or directory' "$output"
	bundle -o case.tgz "$LOG"
	run -125 replay case.tgz
	equal "no command" 'pipeguard replay: the case has no command: give it behind --' "$output"
	tar xzf case.tgz case.json
	for change in '.v = 2' '.rules = 1' 'del(.break.stack)' '.environment = {"A": 1}'; do
		jq "$change" case.json >changed
		mkdir -p bad && mv changed bad/case.json
		tar czf bad.tgz -C bad case.json
		run -125 replay bad.tgz
		echo "change: $change"
		equal "what is said" 'pipeguard replay: bad.tgz: its case.json is damaged, or of another version' "$output"
	done
	head -c 200 case.tgz >cut.tgz
	run -125 replay cut.tgz
	[[ $output == 'pipeguard replay: cut.tgz: it is no case'* && ${#lines[@]} -eq 1 ]]
	# --show starts nothing.
	run -0 replay --show case.tgz
	[[ $output == 'numbers: write on pipe, SIGPIPE killed it, of 20'*'rule: '*numbers:* ]]
}
