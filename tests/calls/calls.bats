#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every call that can meet a broken pipe, in the four states of SIGPIPE.

load ../helpers

# Of each row of call.c: the one event it must have made, or none. Prints what
# is wrong.
# shellcheck disable=SC2016
JUDGE='
def column: split(" ") | {pid: .[0] | tonumber, mode: .[1], kind: .[2], row: .[3],
	fd: .[4] | tonumber, len: .[5] | tonumber, ret: .[6], errno: .[7], status: .[-1]};
def raw: .row == "syscall" or .row == "inline";
def signals: {dfl: "fatal", ign: "ignored", handler: "caught", blocked: "blocked"};
def kinds: {leaving: "pipe", shut: "unix", seqpacket: "unix", dgram: "unix"};
def unseen: (.row == "inline" or (.row == "syscall" and $raw == "unseen"))
	and (.mode == "ign" or .mode == "blocked");
def breaks: (.status == "141" or .errno == "32" or .kind == "leaving") and (unseen | not);
def wanted: {
	call: (if raw then "write" else .row end),
	via: (if raw and (.mode == "dfl" or .mode == "handler") then "signal" else "call" end),
	signal: (if $signal == "none" then "none" else signals[.mode] end),
	kind: (kinds[.kind] // .kind),
	fd: .fd,
	ret: (if .kind == "leaving" then 65536 else -1 end),
	errno: (if .kind == "leaving" then null else "EPIPE" end),
	injected: false, rule: null
};
# What a call that takes a vector or a format was asked to write may be unknown; and
# where an unknown system call may be writev as well, what one in the program was asked.
def lengths: [.len] + (if (.row | test("v2?$|msg|splice|printf")) or (.row == "inline" and $inline == "guessed")
	then [null] else [] end);
def wrong($row; $events):
	($row | wanted) as $wanted | ($row | lengths) as $lengths
	| if ($row | breaks | not) then $events | length != 0
	elif ($events | length) != 1 then true
	else $events[0] as $e
		| ([$wanted | to_entries[] | select($e[.key] != .value)] | length != 0)
			or ([$e.len] | inside($lengths) | not)
	end;
($rows | split("\n") | map(select(. != "") | column)) as $table
| if ($table | length) < ($least | tonumber) then "only \($table | length) rows ran" else empty end,
(($table | map(.pid)) as $known | $ev[] | select(.ev == "epipe" and ([.pid] | inside($known) | not))
	| "an event of no row: \(tojson)"),
($table[] as $row
	| [$ev[] | select(.ev == "epipe" and .pid == $row.pid)] as $mine
	| if wrong($row; $mine)
	then "wrong: \($row | tojson)\nwanted: \($row | if breaks then wanted | tojson else "no event" end)\ngot: "
		+ ($mine | map({call, via, signal, kind, fd, len, ret, errno} | tojson) | join("\n     "))
	else empty end)'

# check GROUP LEAST [SIGNAL]: at least so many rows, the same as without the
# library, each with its event.
check() {
	local wrong raw=call inline=known
	[[ $BUILD != */musl ]] || inline=guessed
	plain "$FIXTURES/call" "$1" >"$BATS_TEST_TMPDIR/plain"
	guarded "$FIXTURES/call" "$1" >"$BATS_TEST_TMPDIR/rows"
	equal "what call $1 printed" "$(cut -d' ' -f2- "$BATS_TEST_TMPDIR/plain")" \
		"$(cut -d' ' -f2- "$BATS_TEST_TMPDIR/rows")"
	touch "$LOG"
	wrong=$(jq -n -r --rawfile rows "$BATS_TEST_TMPDIR/rows" --slurpfile ev "$LOG" \
		--arg raw "$raw" --arg inline "$inline" --arg least "$2" --arg signal "${3-}" "$JUDGE")
	echo "$wrong"
	[[ -z $wrong ]]
}

@test "every call on a pipe without a reader is one event" {
	check pipe 36
}

@test "every call on a stream socket whose peer is gone is one event" {
	check unix 40
}

@test "a socket that was shut down or never connected breaks as well" {
	check shut 32
}

@test "EPIPE without a signal is told as such: MSG_NOSIGNAL, seqpacket, datagrams, UDP" {
	check nosignal 80 none
}

@test "a pwritev2 that asks for no signal is told as such" {
	glibc_only
	check rwf 4 none
}

@test "zero bytes break on a socket" {
	check zero 20
}

@test "zero bytes do not break on a pipe" {
	check zeropipe 8
	[[ -z $(broken) ]]
}

@test "calls that fail for another reason are no broken write" {
	check useless 28
	[[ -z $(broken) ]]
}

@test "bad addresses, counts and descriptors fail as without the library" {
	check wrong 40
	[[ -z $(broken) ]]
}

@test "calls that succeed leave errno alone and are no event" {
	check good 22
	grep -q ' goodpipe write 40 5 5 123 0 0 0$' "$BATS_TEST_TMPDIR/rows"
	[[ -z $(events) ]]
}

@test "a large pipe write whose reader leaves midway is one event with the positive count" {
	needs_proc "nobody knows whether a handler cut an ignored break short"
	[[ ${#EMULATOR[@]} -eq 0 ]] || skip "qemu's own handlers stand in /proc: whether one cut an ignored break short is not known"
	check partial 8
	[[ $(broken .ret | sort -u) = 65536 ]]
}

@test "an event has every key that the log promises" {
	local wanted
	run -141 guarded "$FIXTURES/call" -one 0 0 dfl
	wanted=again,age_ms,call,comm,disposition,dropped,engine,errno,ev,fd,history,idle_ms,injected
	wanted+=,ino,kind,len,local,mono,peer,pid,repeated,ret,rule,sent,side,signal,stack,t
	wanted+=,tid,unread,v,via
	equal "the missing keys" '[]' "$(broken "(\"$wanted\" | split(\",\")) - keys")"
}
