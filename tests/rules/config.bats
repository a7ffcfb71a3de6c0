#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The variables: wrong input stops the program before it starts, with one line.

load ../helpers

# One wrong input a line: VARIABLE=VALUE | what the line must hold.
wrong() {
	cat <<-'END'
		PIPEGUARD_LOGG=x|PIPEGUARD_LOGG: unknown variable (did you mean 'PIPEGUARD_LOG'?)
		PIPEGUARD_LO=x|(did you mean 'PIPEGUARD_LOG'?)
		PIPEGUARD_FORMATS=json|(did you mean 'PIPEGUARD_FORMAT'?)
		PIPEGUARD_VERBOS=1|(did you mean 'PIPEGUARD_VERBOSE'?)
		PIPEGUARD_STAK=1|(did you mean 'PIPEGUARD_STACK'?)
		PIPEGUARD_SKIPS=1|(did you mean 'PIPEGUARD_SKIP'?)
		PIPEGUARD_log=x|PIPEGUARD_log: unknown variable
		PIPEGUARD_=x|PIPEGUARD_: unknown variable
		PIPEGUARD_SOMETHING_ELSE=1|PIPEGUARD_SOMETHING_ELSE: unknown variable
		PIPEGUARD_FORMAT=|PIPEGUARD_FORMAT: column 1: the value is empty
		PIPEGUARD_FORMAT=jsn|column 1: unknown format 'jsn' (did you mean 'json'?)
		PIPEGUARD_FORMAT=txt|column 1: unknown format 'txt' (did you mean 'text'?)
		PIPEGUARD_FORMAT=JSON|column 1: unknown format 'JSON' (did you mean 'json'?)
		PIPEGUARD_FORMAT=json |unknown format 'json ' (did you mean 'json'?)
		PIPEGUARD_FORMAT=xml|unknown format 'xml' (text or json)
		PIPEGUARD_VERBOSE=|PIPEGUARD_VERBOSE: column 1: the value is empty
		PIPEGUARD_VERBOSE=3|column 1: not a number from 0 to 2: '3'
		PIPEGUARD_VERBOSE=-1|column 1: not a number from 0 to 2: '-1'
		PIPEGUARD_VERBOSE=1x|column 2: not a number from 0 to 2: '1x'
		PIPEGUARD_VERBOSE= 1|column 1: not a number from 0 to 2: ' 1'
		PIPEGUARD_VERBOSE=1 |column 2: not a number
		PIPEGUARD_VERBOSE=yes|column 1: not a number
		PIPEGUARD_VERBOSE=0x1|column 2: not a number
		PIPEGUARD_TIME=2|column 1: not 0 or 1: '2'
		PIPEGUARD_TIME=yes|not 0 or 1
		PIPEGUARD_STACK=33|not a number from 0 to 32: '33'
		PIPEGUARD_STACK=99999999999999999999|not a number from 0 to 32
		PIPEGUARD_STACK=8.5|column 2: not a number
		PIPEGUARD_STACK=|the value is empty
		PIPEGUARD_STACK=all|not a number from 0 to 32: 'all'
		PIPEGUARD_LOG=|the value is empty
		PIPEGUARD_LOG=stder|unknown log 'stder' (did you mean 'stderr'?)
		PIPEGUARD_LOG=of|unknown log 'of' (did you mean 'off'?)
		PIPEGUARD_LOG=stdout|unknown log 'stdout' (did you mean 'fd:1'?)
		PIPEGUARD_LOG=-|unknown log '-' (did you mean 'fd:1'?)
		PIPEGUARD_LOG=2|unknown log '2' (did you mean 'fd:2'?)
		PIPEGUARD_LOG=fd:|column 4: not a descriptor number: ''
		PIPEGUARD_LOG=fd:x|column 4: not a descriptor number: 'x'
		PIPEGUARD_LOG=fd:-1|column 4: not a descriptor number: '-1'
		PIPEGUARD_LOG=fd:99999999999|column 4: not a descriptor number
		PIPEGUARD_LOG=/dev/fd/x|column 9: not a descriptor number: 'x'
		PIPEGUARD_LOG=unix:|column 6: a path is missing
		PIPEGUARD_LOG=unx:/tmp/x|unknown log
		PIPEGUARD_LOG=tcp:host|unknown log
		PIPEGUARD_LOG=/tmp/a%q|column 7: unknown % word
		PIPEGUARD_LOG=/tmp/a%|column 7: unknown % word
		PIPEGUARD_ONLY=|PIPEGUARD_ONLY: column 1: the value is empty
		PIPEGUARD_ONLY=a,,b|column 3: an empty name
		PIPEGUARD_ONLY=,a|column 1: an empty name
		PIPEGUARD_SKIP=a,|column 3: an empty name
		PIPEGUARD_RULEZ=write:break|unknown variable (did you mean 'PIPEGUARD_RULES'?)
		PIPEGUARD_RULES=write:brake|rule 1, column 7: unknown action 'brake' (did you mean 'break'?)
		PIPEGUARD_RULES=@/nowhere/rules|column 2: cannot be read: '/nowhere/rules'
		PIPEGUARD_SEED=1x|not a number of 64 bits: '1x'
		PIPEGUARD_SIGPIPE=supress|column 1: unknown word 'supress' (did you mean 'suppress'?)
		PIPEGUARD_SIGPIPE=socket|(did you mean 'sockets'?)
		PIPEGUARD_SIGPIPE=ignore|unknown word 'ignore' (keep, suppress or sockets)
		PIPEGUARD_LIMIT=many|not a number up to 1000000000: 'many'
		PIPEGUARD_LIMIT=1kb|column 2: not a number
	END
}

@test "wrong input: one line that names it, status 125, and the program does not start" {
	count=0
	while IFS='|' read -r input words; do
		run timeout 10 env LD_PRELOAD="$LIB" "$input" touch "$BATS_TEST_TMPDIR/started" 3>&-
		echo "input: $input, status: $status, output: $output"
		[ "$status" -eq 125 ] && [ "${#lines[@]}" -eq 1 ]
		[[ $output == "pipeguard: ${input%%=*}: "* && $output == *"$words"* ]]
		[ ! -e "$BATS_TEST_TMPDIR/started" ]
		count=$((count + 1))
	done < <(wrong)
	[ "$count" -ge 40 ]
}

@test "a wrong value with control bytes is shown escaped, on one line" {
	run timeout 10 env LD_PRELOAD="$LIB" PIPEGUARD_FORMAT=$'a\nb\e' true 3>&-
	[ "$status" -eq 125 ] && [ "${#lines[@]}" -eq 1 ]
	[[ $output == *'a\x0ab\x1b'* ]]
}

@test "ONLY and SKIP together are refused" {
	run timeout 10 env LD_PRELOAD="$LIB" PIPEGUARD_ONLY=a PIPEGUARD_SKIP=b true 3>&-
	[ "$status" -eq 125 ]
	[[ $output == *'choose one'* ]]
}

@test "right input lets the program start" {
	while read -r input; do
		run timeout 10 env LD_PRELOAD="$LIB" "$input" echo started 3>&-
		echo "input: $input"
		equal "the output" started "$output"
	done <<-'END'
		PIPEGUARD_FORMAT=text
		PIPEGUARD_VERBOSE=0
		PIPEGUARD_STACK=0
		PIPEGUARD_STACK=32
		PIPEGUARD_LOG=stderr
		PIPEGUARD_LOG=off
		PIPEGUARD_LOG=fd:2
		PIPEGUARD_LOG=/dev/stderr
		PIPEGUARD_ONLY=a,b*,[c-e]?
		PIPEGUARD_SKIP=echo
		PIPEGUARDED=x
	END
}

@test "ONLY and SKIP choose programs by glob" {
	while read -r variable wanted; do
		rm -f "$LOG"
		guarded "$variable" sh -c 'yes | head -1 >/dev/null' 2>/dev/null
		echo "variable: $variable"
		equal "the events" "$wanted" "$(broken .comm | wc -l)"
	done <<-'END'
		PIPEGUARD_ONLY=yes 1
		PIPEGUARD_ONLY=nothing,y?s 1
		PIPEGUARD_ONLY=[a-x]es 0
		PIPEGUARD_ONLY=sh 0
		PIPEGUARD_SKIP=yes 0
		PIPEGUARD_SKIP=* 0
		PIPEGUARD_SKIP=sh 1
		PIPEGUARD_SKIP=[!y]es 1
	END
}

@test "in secure execution everything is ignored, wrong input as well" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	requires setpriv
	mount_opts=$(findmnt -no OPTIONS -T "$BATS_TEST_TMPDIR" 2>/dev/null || true)
	[[ $mount_opts != *nosuid* ]] || skip "nosuid here"
	cp "$(type -P id)" "$BATS_TEST_TMPDIR/id"
	chmod 4755 "$BATS_TEST_TMPDIR/id"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.." "$BATS_TEST_TMPDIR/../.." 2>/dev/null || true
	# In the folder that secure execution trusts, set uid as it asks, so that the library is really loaded.
	install -m 4755 "$LIB" "/usr/lib/libpipeguard-test-$$.so"
	run timeout 10 setpriv --reuid=65534 --clear-groups env LD_PRELOAD="libpipeguard-test-$$.so" \
		PIPEGUARD_NONSENSE=1 "$BATS_TEST_TMPDIR/id" -u 3>&-
	rm -f "/usr/lib/libpipeguard-test-$$.so"
	equal "the output" 0 "$output"
}
