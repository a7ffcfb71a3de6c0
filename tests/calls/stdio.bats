#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# Every stdio function that can flush, each in a process of its own. How many
# broken writes one makes is what a handler counts without the library.

load ../helpers

setup_file() {
	export ROWS=$BATS_FILE_TMPDIR
	LOG=$ROWS/log
	touch "$LOG"
	plain "$FIXTURES/stdio" >"$ROWS/plain"
	guarded "$FIXTURES/stdio" >"$ROWS/guarded"
}

# shellcheck disable=SC2016
JUDGE='
def column: split(" ") | {pid: .[0] | tonumber, mode: .[1], row: .[2],
	caught: .[3] | tonumber, status: .[4]};
def table: split("\n") | map(select(. != "") | column);
def signals: {dfl: "fatal", ign: "ignored", handler: "caught", blocked: "blocked"};
def good($mode): .via == "stdio" and .call == "write" and .ret == -1 and .errno == "EPIPE"
	and .signal == signals[$mode] and .kind == "pipe" and .len > 0 and .fd != null;
($plain | table | map(select(.mode == "handler") | {key: .row, value: .caught}) | from_entries)
	as $count
| ($guarded | table)[] as $row
| select($row.mode == $mode and $row.row != "popen")
| ($ev | map(select(.ev == "epipe" and .pid == $row.pid))) as $mine
| (if $mode == "dfl" and $row.status == "141" then 1 elif $mode == "dfl" then 0 else $count[$row.row] end) as $wanted
| select(($mine | length) != $wanted or ($mine | all(good($mode)) | not))
| "\($row.row): wanted \($wanted), got \($mine | length)", ($mine[] | select(good($mode) | not)
	| "  " + ({via, call, signal, fd, len, ret, errno, kind} | tojson))'

# judge MODE: prints every row whose events are wrong.
judge() {
	local wrong
	wrong=$(jq -n -r --rawfile plain "$ROWS/plain" --rawfile guarded "$ROWS/guarded" \
		--slurpfile ev "$ROWS/log" --arg mode "$1" "$JUDGE")
	echo "$wrong"
	(($(grep -c " $1 " "$ROWS/guarded") > 45)) && [[ -z $wrong ]]
}

@test "stdio gives the same results, errno and statuses as without the library" {
	equal "the results" "$(cut -d' ' -f2- "$ROWS/plain")" \
		"$(cut -d' ' -f2- "$ROWS/guarded")"
	grep -q ' ign puts 0 0 -1 32$' "$ROWS/guarded"
	grep -q ' dfl puts 0 141$' "$ROWS/guarded"
}

@test "stdio under the default action: one event each, before the process dies" {
	glibc_only
	judge dfl
}

@test "stdio under an ignored SIGPIPE: every broken write is an event" {
	glibc_only
	judge ign
}

@test "stdio under a handler of the program: every broken write is an event" {
	glibc_only
	judge handler
}

@test "stdio with SIGPIPE blocked: every broken write is an event" {
	glibc_only
	judge blocked
}

@test "where the stdio gate is off, the signal gate tells of stdio that kills" {
	[[ $BUILD = */musl ]] || skip "musl only"
	LOG=$ROWS/log
	equal "processes with one event" "$(grep -c ' dfl .* 141$' "$ROWS/guarded")" \
		"$(broken 'select(.signal == "fatal").pid' | sort -u | wc -l)"
}

# Its jump table is libc's own secret: under an ignored SIGPIPE nobody sees it.
@test "a popen stream that kills is one event" {
	local pid
	LOG=$ROWS/log
	pid=$(awk '$2 == "dfl" && $3 == "popen" { print $1 }' "$ROWS/plain" "$ROWS/guarded" |
		tail -1)
	equal "its event" '["fatal","write","pipe"]' \
		"$(broken "select(.pid == $pid) | [.signal, .call, .kind]")"
}

# told [VAR=VALUE...] PROGRAM ARGS: what the log says, in text; the program's output is a pipe.
told() {
	rm -f "$LOG"
	started LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" "$@" | cat >/dev/null
	cat "$LOG" 2>/dev/null || true
}

@test "a rule for write that stdio passed by says so at the end, once, and nothing is said otherwise" {
	native_only
	hint='rule r1 never fired: what wrote there was stdio (%stdio, or %out for both)'
	# Flushed at once, and by exit.
	[[ $(told PIPEGUARD_RULES=write:fd=1:break bash -c 'echo a; echo b') == *"$hint" ]]
	[[ $(told PIPEGUARD_RULES=write:fd=1:break "$FIXTURES/numbers" 3) == *"exit: 0 broken writes"*"$hint" ]]
	[[ $(told PIPEGUARD_RULES=writev,write:comm=numbers:break bash -c "$FIXTURES/numbers 3; :") == *' numbers]'*"$hint" ]]
	# The others say what is meant, or are for something else; a child's parent has said it.
	for rules in '%out,!%stdio:fd=1:break' write:fd=7:break write:kind=tcp:break %out:fd=1:when=99:break send:break; do
		equal "$rules" '' "$(told "PIPEGUARD_RULES=$rules" "$FIXTURES/numbers" 3)"
	done
	equal "the program's own pipe" $'1\n2' "$(PIPEGUARD_RULES=write:fd=1:break LD_PRELOAD=$LIB "$FIXTURES/numbers" 2 2>&1)"
	# What its parent was started with is in /proc.
	[[ -n ${WITHOUT_PROC-} ]] || equal "a child" '' "$(told PIPEGUARD_RULES=write:fd=1:break bash -c "$FIXTURES/numbers 3; :")"
	# It fired.
	requires python3
	both='import ctypes, os; libc = ctypes.CDLL(None); libc.puts(b"a"); libc.fflush(None); os.write(1, b"b")'
	[[ $(told PIPEGUARD_RULES=write:fd=1:when=2:log python3 -c "$both") == *"$hint" ]]
	[[ $(told PIPEGUARD_RULES=write:fd=1:when=1:log python3 -c "$both") == *'rule r1: log on write(1, 1)'* ]]
	[[ $(told PIPEGUARD_RULES=write:fd=1:when=1:log python3 -c "$both") != *'never fired'* ]]
}
