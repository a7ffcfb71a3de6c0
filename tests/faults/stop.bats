#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# stop and abort: a stopped process, or a core, exactly at the write, where a
# debugger shows who called. The line of the log comes first.
# shellcheck disable=SC2016 # the perls and inner shells expand
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper

load ../helpers

setup() {
	PID=
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	[[ -z $PID ]] || kill -KILL "$PID" 2>/dev/null || :
}

# start RULES PROGRAM ARGS: in the background, $PID is the program's own. Its output: file out.
start() {
	"$FIXTURES/sigdfl" -d env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
		PIPEGUARD_RULES="$1" "${@:2}" >out 2>err 3>&- &
	PID=$!
}

is_stopped() {
	[[ $(sed 's/.*) \(.\) .*/\1/' "/proc/$PID/stat") = T ]]
}

# debugger ARGS: gdb, in which nothing of a user's is read, and nothing fetched.
debugger() {
	env -u DEBUGINFOD_URLS timeout "$LIMIT" gdb -nx --batch "$@" </dev/null 3>&-
}

# may_trace: skips where gdb is missing or this machine forbids it.
may_trace() {
	requires gdb
	debugger -ex run --args true >gdb.out 2>&1 || :
	grep -q 'exited normally' gdb.out || skip "gdb may not trace here"
}

# continued: lets the stopped process go on; its status is in $STATUS.
continued() {
	STATUS=0
	kill -CONT "$PID"
	wait "$PID" || STATUS=$?
	PID=
}

# frames: the functions of the fixture in gdb.out, innermost first.
frames() {
	sed -n 's/^#[0-9]* .* in \([a-z]*\) (.*stack\.c:[0-9]*$/\1/p' gdb.out | tr '\n' ' '
}

@test "a process is stopped before the write that is about to break, gdb shows the caller, SIGCONT lets it go on" {
	may_trace
	local how
	for how in w f s r; do
		[[ $how$BUILD != f*/musl ]] || continue
		echo "how: $how"
		rm -f "$LOG"
		run plain "$FIXTURES/stack" "$how"
		equal "the status by itself" 141 "$status"
		start '%out:seen=hup:stop' "$FIXTURES/stack" "$how"
		wait_for is_stopped
		equal "the log so far" '["inject","stop"]' "$(events '[.ev, .action]')"
		[[ $(events '.stack[0]') =~ ^'"stack+0x'[0-9a-f]+' leaf"'$ ]]
		debugger -p "$PID" -ex bt >gdb.out 2>&1
		cat gdb.out
		equal "gdb's frames" "leaf middle outer main " "$(frames)"
		continued
		equal "the status" 141 "$STATUS"
		equal "the log" '["inject",null]
["epipe","fatal"]' "$(events '[.ev, .signal]')"
	done
}

@test "stopped at its third write, of which nothing is written yet; then it goes on as if nothing were" {
	native_only
	start 'write:fd=1:when=3:stop' /usr/bin/perl -e 'syswrite STDOUT, "$_\n" for 1 .. 5; exit 7'
	wait_for is_stopped
	equal "the output so far" $'1\n2' "$(<out)"
	equal "the log" '["inject","write",1,2,"r1","stop"]' "$(events '[.ev, .call, .fd, .len, .rule, .action]')"
	continued
	equal "the status" 7 "$STATUS"
	equal "the output" $'1\n2\n3\n4\n5' "$(<out)"
	equal "the events" 1 "$(events .ev | grep -c .)"
}

@test "all threads are stopped, and the one that writes is told" {
	native_only
	start 'write:kind=pipe:when=1:stop' /usr/bin/python3 -c '
import os, threading
r, w = os.pipe()
writer = threading.Thread(target=lambda: os.write(w, b"x"))
writer.start()
writer.join()
print(os.read(r, 1))'
	wait_for is_stopped
	[[ $(events .tid) != "$PID" ]]
	continued
	equal "the status" 0 "$STATUS"
	equal "the output" "b'x'" "$(<out)"
}

@test "abort kills with SIGABRT at the write, after the line in the log" {
	run plain "$FIXTURES/stack" w
	equal "the status by itself" 141 "$status"
	local rule
	for rule in '%out:seen=hup:abort' 'write:kind=pipe:when=1:abort' '%out:kind=pipe:break:abort'; do
		echo "rule: $rule"
		rm -f "$LOG"
		run guarded PIPEGUARD_RULES="$rule" "$FIXTURES/stack" w
		equal "the status" 134 "$status"
		equal "the log" '["inject","write",true]' "$(events '[.ev, .call, (.action | test("abort"))]')"
	done
}

@test "a rule that does not fire neither stops nor aborts" {
	native_only
	run guarded PIPEGUARD_RULES='%out:seen=hup:abort;write:when=3:stop' /usr/bin/perl -e '
		pipe R, W; syswrite W, "a"; syswrite W, "b"; exit 5'
	equal "the status" 5 "$status"
	equal "the log" "" "$(events)"
}

@test "a program that handles or ignores SIGABRT goes on" {
	native_only
	run guarded PIPEGUARD_RULES='write:fd=1:when=1:abort' /usr/bin/perl -e '
		$SIG{ABRT} = sub { syswrite STDERR, "caught\n" }; syswrite STDOUT, "a\n"; exit 6'
	equal "the status and output" $'6\na\ncaught' "$status"$'\n'"$(sort <<<"$output")"
	run guarded PIPEGUARD_RULES='write:fd=1:when=1:abort' /usr/bin/perl -e '
		$SIG{ABRT} = "IGNORE"; syswrite STDOUT, "a\n"; exit 6'
	equal "the status and output" '6 a' "$status $output"
}

@test "the core shows the caller" {
	requires gdb
	[[ $(</proc/sys/kernel/core_pattern) =~ ^core[.%a-z]*$ ]] || skip "cores go elsewhere here"
	(ulimit -c unlimited) 2>/dev/null || skip "no cores here"
	run bash -c "ulimit -c unlimited; exec \"\$@\"" - timeout "$LIMIT" "$FIXTURES/sigdfl" -d env \
		LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
		PIPEGUARD_RULES='%out:seen=hup:abort' "$FIXTURES/stack" w
	equal "the status" 134 "$status"
	compgen -G 'core*' >/dev/null || skip "no core was written"
	debugger "$FIXTURES/stack" core* -ex bt >gdb.out 2>&1
	cat gdb.out
	equal "gdb's frames" "leaf middle outer main " "$(frames)"
}

@test "run by gdb, abort stops there" {
	may_trace
	debugger -ex 'set startup-with-shell off' -ex "set environment LD_PRELOAD $LIB" -ex "set environment PIPEGUARD_LOG $LOG" \
		-ex 'set environment PIPEGUARD_RULES %out:kind=pipe:break:abort' \
		-ex run -ex bt --args "$FIXTURES/sigdfl" -d "$FIXTURES/stack" w >gdb.out 2>&1
	cat gdb.out
	grep -q 'received signal SIGABRT' gdb.out
	equal "gdb's frames" "leaf middle outer main " "$(frames)"
	grep -Eq ' rule r1: abort:break on write\([0-9]+, 1\)  pipe' "$LOG"
}

@test "after a hold, stop is at the write that breaks: held until the peer left, told, then stopped" {
	native_only
	start 'write:fd=1:when=2:hold=9s:stop' bash -c \
		'exec "$0" -e "syswrite STDOUT, qq(a\n); syswrite STDOUT, qq(b\n)" > >(head -n 1)' /usr/bin/perl
	wait_for is_stopped
	equal "the log so far" '["inject","held until the peer left"]' "$(events '[.ev, .held]')"
	continued
	equal "the status" 141 "$STATUS"
	equal "the break is the kernel's own" '["fatal",false]' "$(broken '[.signal, .injected]')"
}
