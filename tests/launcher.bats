#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# pipeguard, the launcher: transparent in status and signals, clear where it cannot work.
# shellcheck disable=SC2016 # the inner shells expand

load helpers

PIPEGUARD=$ROOT/scripts/pipeguard
launch() { timeout "$LIMIT" "$FIXTURES/sigdfl" "$PIPEGUARD" "$@" 3>&-; }

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

@test "an LD_PRELOAD that is there is kept, behind the library" {
	run timeout 10 env LD_PRELOAD="$FIXTURES/plugin.so" "$PIPEGUARD" sh -c 'echo "$LD_PRELOAD"' 3>&-
	equal "LD_PRELOAD" "$LIB:$FIXTURES/plugin.so" "$output"
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
		run launch "$program"
		echo "program: $program, status: $status, output: $output"
		[ "$status" -eq "$wanted" ] && [ "${#lines[@]}" -eq 1 ]
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

@test "a library in a folder with a blank is refused, since the loader would split its name" {
	mkdir -p "$BATS_TEST_TMPDIR/a b/scripts" "$BATS_TEST_TMPDIR/a b/build"
	cp "$PIPEGUARD" "$BATS_TEST_TMPDIR/a b/scripts"
	cp "$LIB" "$BATS_TEST_TMPDIR/a b/build"
	run timeout 10 "$BATS_TEST_TMPDIR/a b/scripts/pipeguard" true
	[ "$status" -eq 125 ]
	[[ $output == *'splits LD_PRELOAD at blanks'* ]]
}

@test "--help and --version" {
	run -0 launch --help
	[[ $output == 'Usage: pipeguard'* && $output == *'127 it was not found.'* ]]
	run -0 launch --version
	equal "the version" "pipeguard $(sed -n 's/^VERSION := //p' "$ROOT/Makefile")" "$output"
}
