#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The grammar of PIPEGUARD_RULES: what is refused, with which line; what is taken, in its normal form.
# The tables are tests/fixtures/rules.wrong and rules.right, one "INPUT => LINE" a line.

load ../helpers

RULES=$BUILD/pipeguard
TABLES=$ROOT/tests/fixtures

# words LIST: the words of a list, without what they mean.
words() { "$RULES" list "$1" | awk '{ print $1 }'; }

# rows FILE: the rows of a table, INPUT and LINE separated by a tab.
rows() {
	sed -n 's/ => /\t/p' "$TABLES/$1"
}

# refused INPUT LINE: the library stops the program before it starts, the command says the same.
refused() {
	run timeout "$LIMIT" env LD_PRELOAD="$LIB" "PIPEGUARD_RULES=$1" touch "$BATS_TEST_TMPDIR/started" 3>&-
	echo "input: $1, status: $status"
	equal "the library's line" "pipeguard: PIPEGUARD_RULES: $2" "$output"
	[ "$status" -eq 125 ]
	[ ! -e "$BATS_TEST_TMPDIR/started" ]
	run timeout "$LIMIT" "$RULES" check "$1" 3>&-
	equal "the tool's line" "pipeguard: PIPEGUARD_RULES: $2" "$output"
	[ "$status" -eq 2 ]
}

# accepted INPUT LINES: the tool prints LINES, and the same again for them; the library lets the program start.
accepted() {
	echo "input: $1"
	equal "the normal form" "$2" "$("$RULES" check "$1" 2>&1)"
	equal "its own normal form" "$2" "$("$RULES" check "$2" 2>&1)"
	run timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_LOG=off "PIPEGUARD_ONLY=nothing" "PIPEGUARD_RULES=$1" echo started 3>&-
	equal "the program's output" started "$output"
	[ "$status" -eq 0 ]
}

@test "each wrong rule is refused with its line, and the program does not start" {
	count=0
	while IFS=$'\t' read -r input line; do
		refused "$input" "$line"
		count=$((count + 1))
	done < <(rows rules.wrong)
	equal "the rows" "$(wc -l <"$TABLES/rules.wrong")" "$count"
	[ "$count" -ge 200 ]
	touch "$BATS_TEST_TMPDIR/started" # the program would have been able to
}

@test "each right rule has its normal form, which is its own" {
	count=0
	while IFS=$'\t' read -r input line; do
		accepted "$input" "$line"
		count=$((count + 1))
	done < <(rows rules.right)
	equal "the rows" "$(wc -l <"$TABLES/rules.right")" "$count"
	[ "$count" -ge 120 ]
}

@test "both tables use every field, and the right one every group, kind and warning" {
	while read -r field; do
		echo "field: $field"
		grep -qE ":$field(=|:| )" "$TABLES/rules.right"
		grep -qE ":$field(=|:| )" "$TABLES/rules.wrong"
	done < <(words fields)
	for word in $(words groups) pipe tcp4 tcp6 unix udp tty file socket eof reset hup refused; do
		echo "word: $word"
		grep -qF -e "$word" "$TABLES/rules.right"
	done
}

@test "no two rows of a table have the same input" {
	for table in rules.wrong rules.right; do
		equal "$table" "" "$(rows "$table" | cut -f1 | sort | uniq -d)"
	done
}

@test "every line of the wrong table points at something: its column is inside the input" {
	while IFS=$'\t' read -r input line; do
		[[ $line =~ ^rule\ [0-9]+,\ column\ ([0-9]+):\  ]]
		echo "input: $input, line: $line"
		[ "${BASH_REMATCH[1]}" -ge 1 ] && [ "${BASH_REMATCH[1]}" -le $((${#input} + 1)) ]
		# The word in quotes, if it is a piece of the input, starts at the column.
		if [[ $line =~ \'(.*)\'( \(did|$) ]] && [[ $input == *"${BASH_REMATCH[1]}"* ]]; then
			word=${BASH_REMATCH[1]}
			[[ $line =~ column\ ([0-9]+) ]]
			[[ $line == *"by '"* || $line == *"called '"* || $line == *"'[' without"* || $line == *"'\\'"* ||
				${input:BASH_REMATCH[1]-1:${#word}} == "$word" ]]
		fi
	done < <(rows rules.wrong)
}

@test "rules stand on lines or behind ';'; empty ones, blanks around them and comments are skipped" {
	accepted $'write:fd=1:break;;\n\n  # a comment; with [ and \\\n\tread:eof # another\r\n;connect:refuse ;send:log' \
		$'r1=write:fd=1:break\nr2=read:eof\nr3=connect:refuse\nr4=send:log'
}

@test "a rule is taken if an earlier one leaves it a call, a descriptor or a moment" {
	while IFS= read -r input; do
		accepted "$input" "$(tr ';' '\n' <<<"$input" | sed '=' | sed 'N;s/^/r/;s/\n/=/')"
	done <<-'END'
		write:break;writev:reset
		write:break;%out:reset
		write:log;write:reset
		write:break;write:log
		write:pass;write:log
		write:fd=1:break;write:reset
		write:fd=1:break;write:fd=1-2:reset
		write:fd=2-9:break;write:fd=1-3:reset
		write:fd=1,4:break;write:fd=1-4:reset
		write:fd=!1:break;write:fd=!2:reset
		write:fd=!1-3:break;write:fd=!1:reset
		write:fd=1:break;write:fd=!2:reset
		write:fd=1:break;write:port=80:reset
		write:port=1:break;write:lport=1:reset
		write:kind=tcp6:reset;write:kind=tcp:fin
		write:side=client:reset;write:side=server:fin
		write:seen=eof:reset;write:seen=eof,hup:fin
		write:peer=10.0.0.9:reset;write:peer=10.0.0.0/8:fin
		write:peer=10.0.0.0/8:reset;write:peer=[::1]:fin
		write:peer=10.0.0.0/9:reset;write:peer=10.128.0.0/9:fin
		write:peer=[::1]:reset;write:peer=/run/x:fin
		write:peer=/run/y:reset;write:peer=/run/x:fin
		write:peer=!10.0.0.0/8:reset;write:peer=!10.0.0.9:fin
		write:path=/a:break;write:path=/b:drop
		write:path=/a:break;write:path=/ab:drop
		write:path=/ab:break;write:path=/a:drop
		write:comm=a:break;write:thread=a:drop
		write:site=a:break;write:site=b:drop
		write:site=!a:break;write:site=a:drop
		write:stack=a:break;write:caller=a:drop
		write:conn=1:reset;write:conn=1:fin
		write:when=2+:break;write:reset
		write:when=1..9:break;write:reset
		write:when=1+2:break;write:reset
		write:at=1:break;write:reset
		write:after=1us:break;write:reset
		write:for=1s:break;write:reset
		write:prob=99.999999%:break;write:reset
		write:limit=1:break;write:reset
	END
}

@test "where there are several lines, the line is told as well; columns and rules count as before" {
	refused $'write:log\n\n# x\n read:eof;send:brake\nrecv:log' \
		"line 4, rule 3, column 16: unknown action 'brake' (did you mean 'break'?)"
	refused $'write:brake\n' "rule 1, column 7: unknown action 'brake' (did you mean 'break'?)"
}

@test "rules come from a file by '@', with the same lines" {
	printf '# one\nwrite:fd=1:break\n  x=read:garbage=1k # two\n' >"$BATS_TEST_TMPDIR/rules"
	equal "the normal form" $'r1=write:fd=1:break\nx=read:garbage=1k' "$("$RULES" check "@$BATS_TEST_TMPDIR/rules")"
	run timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_RULES="@$BATS_TEST_TMPDIR/rules" echo started 3>&-
	equal "the program's output" started "$output"
	printf 'write:log\n\nwrite:fd=1:\tbreak\n' >"$BATS_TEST_TMPDIR/rules"
	refused "@$BATS_TEST_TMPDIR/rules" "line 3, rule 2, column 12: a blank inside a rule"
	printf '\n# nothing\n' >"$BATS_TEST_TMPDIR/rules"
	refused "@$BATS_TEST_TMPDIR/rules" "rule 1, column 1: there is no rule"
}

@test "a file that cannot be read, holds a NUL or is too long is refused" {
	refused "@$BATS_TEST_TMPDIR/none" "column 2: cannot be read: '$BATS_TEST_TMPDIR/none'"
	refused "@$BATS_TEST_TMPDIR" "column 2: is not a regular file: '$BATS_TEST_TMPDIR'"
	printf 'write:log\0;read:log' >"$BATS_TEST_TMPDIR/nul"
	refused "@$BATS_TEST_TMPDIR/nul" "column 2: holds a NUL byte: '$BATS_TEST_TMPDIR/nul'"
	yes 'write:log' | head -n 2000 >"$BATS_TEST_TMPDIR/long"
	refused "@$BATS_TEST_TMPDIR/long" "rule 1, column 1: the rules are longer than 16383 bytes"
}

@test "control bytes are refused and shown escaped" {
	refused $'write:fd=1:\e[31mbreak]' "rule 1, column 12: a control byte: '\\x1b'"
	refused $'write:\x7fbreak' "rule 1, column 7: a control byte: '\\x7f'"
	refused $'write:br\xc3\xa9ak' "rule 1, column 7: unknown action 'br\\xc3\\xa9ak' (did you mean 'break'?)"
}

@test "no rule at all is wrong input" {
	refused '' "column 1: the value is empty"
	refused ';' "rule 1, column 1: there is no rule"
	refused $'# x\n' "rule 1, column 1: there is no rule"
}

@test "the parser fills every field as the rule says (unit test, nothing preloaded)" {
	run timeout "$LIMIT" "$(fixture rules.pure)" 3>&-
	equal "the status" 0 "$status"
	[[ $output == *'all checks passed'* ]]
	[ "$status" -eq 0 ]
}

@test "the unit test is clean under the address and undefined-behaviour sanitizers" {
	run timeout 55 make -s -j2 -C "$ROOT" asan BUILD="$BATS_TEST_TMPDIR/asan" CC=gcc 3>&-
	equal "the status" 0 "$status"
	[[ $output == *'all checks passed'* ]]
	[ "$status" -eq 0 ]
}

@test "the tool lists calls, groups, fields, actions and errnos, and rules take each of them" {
	for call in $(words calls) $(words groups); do
		run timeout "$LIMIT" "$RULES" check "$call:log" 3>&-
		equal "$call" "r1=$call:log" "$output"
	done
	run timeout "$LIMIT" "$RULES" list things 3>&-
	[ "$status" -eq 125 ]
	[[ $output == *"unknown word 'things'"* ]]
	[[ $(words actions) == *reset* && $(words actions) != *when* ]]
	[[ $(words errnos) == *ECONNREFUSED* ]]
}

@test "a small sample of the fuzzer's run finds nothing" {
	requires clang
	run timeout 55 make -s -j2 -C "$ROOT" fuzz-rules FUZZ_RUNS=20000 FUZZ_SECONDS=10 FUZZ_SEED=1000 BUILD="$BATS_TEST_TMPDIR/build" 3>&-
	[[ $output != *'no libFuzzer'* ]] || skip "no libFuzzer"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'Done '*' runs'* ]]
}
