#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# What stands in the way of the engine that looks from outside, and what is said of it.
# shellcheck disable=SC2016 # programs for sh

load ../helpers
load ../outside

setup() { traced_only; }

# as_user COMMAND...: as a user who is not root, with what such a one may read in $DIR.
DIR=${BATS_TEST_TMPDIR-}/user
as_user() {
	local who=()
	((EUID)) || who=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	timeout "$LIMIT" "${who[@]}" "$@" 3>&-
}

user_place() {
	((EUID)) || requires setpriv
	mkdir "$DIR"
	chmod 711 "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}" "${BATS_TEST_TMPDIR%/*/*}"
	install -m 755 "$BUILD/pipeguard" "$LIB" "$STILL" "$FIXTURES/sigdfl" "$DIR"
	install -m 111 "$STILL" "$DIR/closed"
	install -m 666 /dev/null "$LOG"
}

# On i386 what a socket call was asked is in the program's memory (socketcall(2)), which may not be read there.
socket_calls_are_known() {
	[[ $BITS = 64 ]] || skip "socket calls of i386 are read from memory"
}

# seen ARGS: pipeguard run ARGS as that user, logging JSON.
seen() { as_user "$DIR/sigdfl" -d env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$DIR/pipeguard" run "$@"; }

@test "a program that may be run and not read: one line at the start, and what breaks is told" {
	socket_calls_are_known
	user_place
	run -141 seen --outside "$DIR/closed" pair 2
	equal "what is told" '["unreached","closed","undumpable"]
["epipe","closed",null]' "$(events '[.ev, .comm, .barrier]')"
	equal "what reaches it" true "$(events 'select(.ev == "unreached") | .instead == "sudo pipeguard attach \(.pid)"')"
}

@test "a program that closes itself: one line when something of it is told" {
	socket_calls_are_known
	user_place
	run -141 seen --outside "$DIR/still" closed 2
	equal "what is told" '["unreached","undumpable"]
["epipe",null]' "$(events '[.ev, .barrier]')"
	: >"$LOG"
	run -141 seen --outside "$DIR/still" pair 2
	equal "an open one" '["epipe",null]' "$(events '[.ev, .barrier]')"
}

@test "no rule reaches such a program: refused before the start, or said" {
	ruled_only
	user_place
	run -126 seen --outside -r write:when=2:break "$DIR/closed" writes 3
	[[ $output = "pipeguard: '$DIR/closed' may not be read: "*"no rule reaches it" ]]
	run -141 seen --outside -r write:when=99:break "$DIR/still" closed 2
	equal "what is told" '["unreached","undumpable"]' "$(events 'select(.ev != "epipe") | [.ev, .barrier]' | head -1)"
}

@test "run and attach say it of such a program in one line" {
	user_place
	run -141 seen "$DIR/closed" pair 1
	[[ $output = "pipeguard: '$DIR/closed' may not be read: where the library does not come into it, nothing is seen (sudo pipeguard)" ]]
	mkfifo "$DIR/in"
	chmod 666 "$DIR/in"
	chmod 777 "$DIR"
	exec 7<>"$DIR/in"
	as_user sh -c 'echo $$ >"$1"/pid; exec "$1"/still closed 0' sh "$DIR" <"$DIR/in" >"$BATS_TEST_TMPDIR/said" 2>&1 7>&- &
	local pid job=$!
	wait_for grep -q idle "$BATS_TEST_TMPDIR/said"
	pid=$(cat "$DIR/pid")
	run -126 as_user "$DIR/pipeguard" attach "$pid"
	exec 7>&-
	wait "$job"
	[[ $output = "pipeguard: process $pid (still) is not dumpable: nobody but root may look into it (sudo pipeguard attach $pid)" ]]
}

@test "a program that asks for seccomp notifications of its own: the kernel's EBUSY, and one line" {
	ruled_only
	equal "without" listens "$(plain "$STILL" listener)"
	equal "without rules" listens "$(outside "$STILL" listener)"
	equal "under rules" "Device or resource busy" "$(outside PIPEGUARD_RULES=write:fd=99:break "$STILL" listener)"
	equal "what is told" '["unreached","still","listener",true]' \
		"$(events 'select(.ev != "exit") | [.ev, .comm, .barrier, .instead == "pipeguard attach -r RULE \(.pid)"]')"
}

@test "where another's listener stands already, rules are followed by stops, and doctor says so" {
	ruled_only
	local status=0 said
	LD_PRELOAD="" timeout "$LIMIT" "$STILL" listener "$BUILD/pipeguard" run --outside -j -o "$LOG" \
		-r 'write:fd=1:when=2:error=EIO' "$STILL" writes 3 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- || status=$?
	equal "status" 3 "$status"
	[[ $(head -1 "$BATS_TEST_TMPDIR/out") = "pipeguard: another one's seccomp notifications stand over "*' 10 to 100 us a call' ]]
	equal "output" $'line 1\nwrite 2: Input/output error' "$(tail -n +2 "$BATS_TEST_TMPDIR/out")"
	equal "what is told" '["write",1]' "$(events 'select(.ev == "inject") | [.call, .fd]')"
	said=$(timeout "$LIMIT" "$STILL" listener "$BUILD/pipeguard" doctor "$STILL" 3>&-)
	[[ $said = *$'\nlistener: another one\'s '* ]]
	said=$("$BUILD/pipeguard" doctor "$STILL")
	[[ $said != *listener:* ]]
}

# older VERSION ARGS: pipeguard on a kernel that lacks what came with Linux VERSION; what it says, for people.
older() {
	timeout "$LIMIT" "$FIXTURES/sigdfl" -d "$FIXTURES/older" "$1" "$BUILD/pipeguard" "${@:2}" 2>&1 3>&-
}

@test "what an older kernel lacks is said in one line, and what works there works" {
	ruled_only
	[[ $BITS = 64 ]] || skip "a pipeguard for 32 bits follows no rules from outside"
	older 7.0 run --outside -o off /bin/true || skip "no filter can be put on a program here"
	local version by_run by_doctor
	while IFS=: read -r version by_run by_doctor; do
		run -141 older "$version" run --outside "$STILL" pair 1
		[[ $output == *'send(3, 1) = EPIPE, SIGPIPE kills'* ]]
		equal "$version, run" "$by_run" "$(grep -o 'Linux [0-9.]*' <<<"$output" | cut -d' ' -f2 | xargs)"
		run -0 older "$version" doctor "$STILL"
		equal "$version, doctor" "$by_doctor" "$(sed -n 's/^kernel: .*Linux \([0-9.]*\).*/\1/p' <<<"$output" | xargs)"
	done <<-END
		5.0:5.6:5.3 5.0 5.6
		5.3:5.6:5.3 5.6 5.9 6.6
		5.6:5.6:5.6 5.9 6.6
		5.9::5.9 6.6
		6.6::6.6
		7.0::
	END
}

@test "Yama: attach says which setting forbids it, and what to do" {
	((!EUID)) || skip "root alone can play it"
	requires setpriv unshare
	user_place
	install -m 755 "$FIXTURES/older" "$DIR"
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	as_user "$DIR/still" idle <"$BATS_TEST_TMPDIR/in" >/dev/null 7>&- &
	local job=$! pid
	runs() { pid=$(pgrep -xfu 65534 "$DIR/still idle"); }
	wait_for runs
	run timeout "$LIMIT" unshare -m bash -c 'mount -t tmpfs tmpfs /proc/sys/kernel && mkdir /proc/sys/kernel/yama || exit 77
		echo 1 >/proc/sys/kernel/yama/ptrace_scope
		exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0/older" yama "$0/pipeguard" attach "$1"' "$DIR" "$pid" 3>&- 7<&-
	exec 7>&-
	wait "$job"
	((status != 77)) || skip "nothing can be mounted here"
	equal "the line" "126 pipeguard: process $pid (still) may not be traced: kernel.yama.ptrace_scope allows that to root alone, or to who started it (sudo pipeguard attach $pid, or pipeguard run --outside)" \
		"$status $output"
}

@test "doctor answers where it is traced itself" {
	run -0 outside "$BUILD/pipeguard" doctor "$STILL"
	[[ ${lines[0]} == 'reached: yes, from outside: static'* && $output != *kernel:* ]]
}

@test "rules on an older kernel: followed, or refused in one line, or some of them fail" {
	ruled_only
	[[ $BITS = 64 ]] || skip "a pipeguard for 32 bits follows no rules from outside"
	older 7.0 run --outside -o off /bin/true || skip "no filter can be put on a program here"
	local version rule=write:fd=1:when=2
	for version in 5.0 5.3 5.6; do
		run -126 older "$version" run --outside -r "$rule:error=EIO" "$STILL" writes 3
		[[ $output == 'pipeguard: this kernel has no pidfd_getfd (Linux 5.6): no rules from outside'* && ${#lines[@]} -eq 1 ]]
	done
	run -126 older 5.3 attach -r "$rule:error=EIO" $$
	[[ $output == *'(Linux 5.3): no rules by stops at calls'* ]]
	run -126 older 5.6 attach -r "$rule:error=EIO" $$
	[[ $output == *'no pidfd_getfd (Linux 5.6): no rules from outside'* ]]
	for version in 5.9 6.6; do
		run -3 older "$version" run --outside -o off -r "$rule:error=EIO" "$STILL" writes 3
		equal "$version" $'line 1\nwrite 2: Input/output error' "$output"
		run -3 older "$version" run --outside -v -o off -r "$rule:error=EIO" "$STILL" writes 3
		[[ ${lines[0]} == 'pipeguard: '*'(Linux 6.6): one that a rule from outside watches takes 3 to 30 us more'* ]]
	done
	run older 5.9 run --outside -r "$rule:break" "$STILL" writes 3
	[[ ${lines[0]} == 'pipeguard: '*'(Linux 5.9): rules from outside cannot break or end pipes'* && $output == *$'\nline 3' ]]
	[[ $output == *'break on write(1, 7), which could not be made: EINVAL'* ]]
	run -141 older 6.6 run --outside -o off -r "$rule:break" "$STILL" writes 3
	equal "6.6" "line 1" "$output"
}

@test "where a filter forbids seccomp, or kills who asks, rules and --all go on by stops, and one line says so" {
	ruled_only
	[[ $BITS = 64 ]] || skip "a pipeguard for 32 bits follows no rules from outside"
	local how line="pipeguard: this system has no seccomp notifications (Linux 5.0), or forbids them: \
rules from outside stop every system call instead, 10 to 100 us a call, and reset no unix sockets"
	for how in seccomp strict; do
		run -3 older "$how" run --outside -o off -r write:fd=1:when=2:error=EIO "$STILL" writes 3
		equal "$how, a rule" "$line"$'\nline 1\nwrite 2: Input/output error' "$output"
		run -141 older "$how" run --outside -o off -r write:fd=1:when=2:break "$STILL" writes 3
		equal "$how, a fault" "$line"$'\nline 1' "$output"
		run -0 older "$how" run --outside --control "$BATS_TEST_TMPDIR/page" -o off "$STILL" writes 1
		equal "$how, a page" "$line"$'\nline 1' "$output"
		run -0 older "$how" run --outside -o off "$STILL" writes 1
		equal "$how, without rules" "line 1" "$output"
		run -0 older "$how" run --outside -j --all "$STILL" quiet 1
		[[ ${lines[0]} == 'pipeguard: this system has no seccomp filters, or forbids them: --all stops every system call '* ]]
		equal "$how, --all" '"EPIPE"' "$(sed -n 's/.*"errno":\("[A-Z]*"\).*/\1/p' <<<"$output")"
		run -0 older "$how" doctor "$STILL"
		[[ $output == *"kernel: ${line#pipeguard: }"* ]]
	done
}

@test "without close_range(2), too, neither the engine nor who waits for the program holds anything of its" {
	local program=$BATS_TEST_TMPDIR/program said=$BATS_TEST_TMPDIR/said how reader pid status
	mkfifo "$program" "$said"
	older 7.0 run --outside -o off /bin/true || skip "no filter can be put on a program here"
	for how in --outside "--inside --control $BATS_TEST_TMPDIR/page"; do
		timeout 10 cat "$said" 3>&- &
		reader=$! status=0
		# shellcheck disable=SC2016,SC2086 # for the inner shell; words
		"$FIXTURES/older" 5.9 "$BUILD/pipeguard" run $how -o off \
			sh -c 'exec 5>&-; read -r line <"$0"' "$program" 5>"$said" 2>/dev/null 3>&- &
		pid=$!
		wait "$reader" || status=$?
		echo >"$program"
		wait "$pid"
		equal "cat, $how" 0 "$status"
	done
}

# Does this build look at all writes? One for 32 bits refuses to.
all_only() {
	[[ $BITS = 64 ]] && return
	run -125 outside -d --all "$STILL" quiet 1
	[[ $output == *'--all is not for a pipeguard for 32 bits'* ]]
	skip "refused by a pipeguard for 32 bits"
}

@test "--all: a send with MSG_NOSIGNAL that breaks is told; without it nothing is" {
	all_only
	run -0 outside -d "$STILL" quiet 2
	equal "without" "" "$(broken)"
	run -0 outside -d --all "$STILL" quiet 2
	equal "with it" '["call","send","EPIPE","none",1]
["call","send","EPIPE","none",2]' "$(broken '[.via, .call, .errno, .signal, .repeated]')"
	rm "$LOG"
	run -141 outside -d --all "$STILL" pair 1
	equal "with its signal once" '["signal","fatal"]' "$(broken '[.via, .signal]')"
}

@test "--all: a pwritev2 that asks for no signal is told, as from inside" {
	all_only
	glibc_only
	guarded -d "$FIXTURES/call" rwf
	local inside
	inside=$(broken '[.call, .signal]')
	rm "$LOG"
	outside -d --all "$FIXTURES/call" rwf
	equal "the events" "$inside" "$(broken '[.call, .signal]')"
}

@test "--all: 32-bit programs, too, whether they send by a call of its own or by socketcall" {
	all_only
	[[ $(uname -m) = x86_64 ]] || skip "they are another machine's here"
	local way
	gcc -m32 -static -pthread -D_GNU_SOURCE -w -o "$BATS_TEST_TMPDIR/still32" "$ROOT/tests/fixtures/still.c" 2>/dev/null ||
		skip "no 32-bit compiler"
	cat >"$BATS_TEST_TMPDIR/packed.c" <<-'C'
		#include <signal.h>
		#include <sys/socket.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		int main(void)
		{
			int s[2];
			long words[4];
			socketpair(AF_UNIX, SOCK_STREAM, 0, s);
			close(s[1]);
			words[0] = s[0], words[1] = (long)"x", words[2] = 1, words[3] = MSG_NOSIGNAL;
			return syscall(SYS_socketcall, 9, words) != -1;
		}
	C
	gcc -m32 -static -o "$BATS_TEST_TMPDIR/packed" "$BATS_TEST_TMPDIR/packed.c"
	for way in "still32 quiet 1" packed; do
		rm -f "$LOG"
		# shellcheck disable=SC2086 # words
		run -0 outside -d --all "$BATS_TEST_TMPDIR/"$way
		equal "$way" '["call","send","EPIPE","none",1]' "$(broken '[.via, .call, .errno, .signal, .len]')"
	done
	rm -f "$LOG"
	run outside -d PIPEGUARD_RULES=send:kind=unix:error=EIO "$BATS_TEST_TMPDIR/packed"
	equal "a rule" '["send",1,true]' "$(events 'select(.ev == "inject") | [.call, .len, .injected]')"
}

@test "--all with rules, and attach --all: a blocked SIGPIPE, too" {
	all_only
	run -0 outside -d PIPEGUARD_RULES=write:fd=99:break --all "$STILL" blocked 1
	equal "with rules" '["call","blocked"]' "$(broken '[.via, .signal]')"
	rm "$LOG"
	run -0 outside -d --control "$BATS_TEST_TMPDIR/page" --all "$STILL" quiet 1
	equal "with a page" '["call","none"]' "$(broken '[.via, .signal]')"
	rm "$LOG"
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	"$FIXTURES/sigdfl" -d bash -c 'echo "$$"; read -r line; "$1" blocked 1; "$1" quiet 1; :' bash "$STILL" \
		<"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/said" 3>&- 7>&- &
	local job=$! looker
	wait_for test -s "$BATS_TEST_TMPDIR/said"
	timeout "$LIMIT" "$BUILD/pipeguard" attach --all -j -o "$LOG" "$(cat "$BATS_TEST_TMPDIR/said")" 2>"$BATS_TEST_TMPDIR/errors" 3>&- 7>&- &
	looker=$!
	wait_for grep -q looking "$BATS_TEST_TMPDIR/errors"
	grep -q 'all writes that are looked at' "$BATS_TEST_TMPDIR/errors"
	echo go >&7
	exec 7>&-
	wait "$job"
	wait "$looker"
	equal "by attach" '["call","blocked"]
["call","none"]' "$(broken '[.via, .signal]')"
}

@test "--all: asked to end, who looks after it does so with it; threads and forks come to their end" {
	all_only
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	timeout "$LIMIT" "$BUILD/pipeguard" run --outside --all -o "$LOG" "$STILL" idle quiet <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/said" 3>&- 7>&- &
	local job=$!
	wait_for grep -q idle "$BATS_TEST_TMPDIR/said"
	local pid tracer
	pid=$(pgrep -P "$job")
	tracer=$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$pid/status")
	kill -TERM "$tracer"
	exec 7>&-
	wait "$job" # it sends with MSG_NOSIGNAL before it ends: status 0 if that was EPIPE
	run -0 outside -d --all "$STILL" threads 200
	run -0 outside -d --all "$STILL" forks 50
}

@test "a process whose first thread has ended: stacks, rules and cut reach the others" {
	ruled_only
	equal "a rule" "line 1
line 2" "$(outside -d PIPEGUARD_RULES=write:fd=1:at=14:break "$STILL" leader 9)"
	equal "the event" '["writes",true]' "$(broken '[(.stack[0] | split(" ")[1]), .injected]')"
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	timeout "$LIMIT" "$STILL" held <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/said" 3>&- 7>&- &
	local job=$! pid
	wait_for grep -q held "$BATS_TEST_TMPDIR/said"
	pid=$(pgrep -P "$job")
	wait_for grep -q '^State:.*Z' "/proc/$pid/task/$pid/status"
	run -0 timeout "$LIMIT" "$BUILD/pipeguard" cut "$pid" kind=unix:break
	exec 7>&-
	wait "$job"
}

@test "bytes that are counted: a read into memory that may not be written to takes none" {
	ruled_only
	local fed="printf ab | '$STILL' wall"
	equal "without" "-1 Bad address, 1 a" "$(plain bash -c "$fed")"
	equal "counted" "-1 Bad address, 1 a" "$(outside PIPEGUARD_RULES=read:fd=0:at=99:eof bash -c "$fed")"
}

@test "bytes that are counted: what the kernel refuses of calls between descriptors, while nothing is ready, it refuses" {
	ruled_only
	equal "under a rule" "$(plain "$FIXTURES/refused")" "$(outside PIPEGUARD_RULES=%out:at=9999:break "$FIXTURES/refused")"
	equal "what is told" "" "$(events 'select(.ev != "exit")')"
}

@test "a call between descriptors that the kernel refuses is no rule's turn" {
	ruled_only
	run -0 outside PIPEGUARD_RULES='splice:when=1:error=ENOMEM' "$FIXTURES/refused"
	equal "which one" "right: Cannot allocate memory" "$(grep memory <<<"$output")"
}

@test "bytes that are counted: a splice that waits for its source lets the engine sleep" {
	ruled_only
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	{ timeout "$LIMIT" "$BUILD/pipeguard" run --outside -r splice:at=9999:break "$STILL" splice <"$BATS_TEST_TMPDIR/in" |
		cat >"$BATS_TEST_TMPDIR/said"; } 3>&- 7>&- &
	local job=$! pid tracer asleep=0
	printf 0123456 >&7
	wait_for grep -q 0123456 "$BATS_TEST_TMPDIR/said"
	pid=$(pgrep -f "^$STILL splice\$")
	tracer=$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$pid/status")
	for _ in {1..40}; do
		! grep -q '^State:.*S' "/proc/$tracer/status" || asleep=$((asleep + 1))
		sleep 0.01
	done
	printf '89\n' >&7
	exec 7>&-
	wait "$job"
	equal "all of it" $'012345689' "$(cat "$BATS_TEST_TMPDIR/said")"
	((asleep > 20))
}

@test "a reset comes behind what was sent before, whoever reads it: one that waits for the engine, too" {
	ruled_only
	[[ $BITS = 64 ]] || skip "a pipeguard for 32 bits follows no rules from outside"
	local wanted=$'five: -1 Connection reset by peer\nreader: 1048576, Connection reset by peer'
	older 7.0 run --outside -o off /bin/true || skip "no filter can be put on a program here"
	equal "by notifications" "$wanted" \
		"$(outside PIPEGUARD_RULES='write:len=5:reset ; recv:when=99999:error=EIO' "$FIXTURES/taken")"
	run -0 older seccomp run --outside -o off -r write:len=5:reset "$FIXTURES/taken"
	equal "by stops" "$wanted" "$(tail -n +2 <<<"$output")"
}

@test "hold: what a second thread writes meanwhile is written, and both that are held see the reader leave; by stops, too" {
	ruled_only
	[[ $BITS = 64 ]] || skip "a pipeguard for 32 bits follows no rules from outside"
	local rule=write:kind=pipe:len=5:hold=60s wanted="3; Broken pipe; Broken pipe"
	older 7.0 run --outside -o off /bin/true || skip "no filter can be put on a program here"
	equal "inside" "$wanted" "$(guarded PIPEGUARD_RULES=$rule "$FIXTURES/beside")"
	equal "by notifications" "$wanted" "$(outside PIPEGUARD_RULES=$rule "$FIXTURES/beside")"
	run -0 older seccomp run --outside -o off -r "$rule" "$FIXTURES/beside"
	equal "by stops" "$wanted" "${lines[1]}"
}

# tracer_told HOW WANTED COMMAND...: what traces, started with HOW, says, and which events tell of it.
tracer_told() {
	rm -f "$LOG"
	run -0 "${@:3}" "$FIXTURES/traces" "$1"
	equal "traces $1 by ${*:3}" "Operation not permitted" "${lines[-1]}"
	equal "what is told of traces $1 by ${*:3}" "$2" \
		"$(events 'select(.ev == "unreached") | [.comm, .barrier, .child == .pid, .instead]')"
}

@test "a program that traces others itself: EPERM, and one line, with rules and without" {
	traced_only
	local how told='["traces","tracer",true,"pipeguard run --inside"]'
	for how in me exec seize; do
		equal "traces $how alone" Success "$(plain "$FIXTURES/traces" "$how")"
		tracer_told "$how" "$told" outside
	done
	[[ $BITS = 64 ]] || skip "a pipeguard for 32 bits follows no rules from outside"
	ruled_only
	for how in me seize; do
		tracer_told "$how" "$told" outside PIPEGUARD_RULES=write:fd=99:break
		tracer_told "$how" "$told" outside --control "$BATS_TEST_TMPDIR/page"
		tracer_told "$how" "$told" outside --all
		tracer_told "$how" "$told" outside PIPEGUARD_RULES=write:fd=99:break --all
	done
	rm -f "$LOG"
	run -0 outside PIPEGUARD_RULES=write:fd=99:break "$STILL" trace
	equal "a static one" '["still","tracer",null]' "$(events 'select(.ev == "unreached") | [.comm, .barrier, .instead]')"
	rm -f "$LOG"
	equal "as text" "EPERM, since a process has one tracer, which is pipeguard here; pipeguard run --inside reaches it" \
		"$(older 7.0 run --outside "$FIXTURES/traces" me | sed -n 's/.* (traces) traces others itself: //p')"
}

@test "who traces nothing, or what this tracer does not hold, is not told of" {
	traced_only
	sleep 60 3>&- &
	local pid=$! how alone
	PIDS+=("$pid")
	for how in not self wrong "$pid"; do
		alone=$(plain "$FIXTURES/traces" "$how")
		equal "traces $how" "$alone" "$(outside "$FIXTURES/traces" "$how")"
		[[ $BITS = 64 ]] || continue
		equal "traces $how, ruled" "$alone" "$(outside PIPEGUARD_RULES=write:fd=99:break "$FIXTURES/traces" "$how")"
		equal "traces $how, --all" "$alone" "$(outside --all "$FIXTURES/traces" "$how")"
	done
	end_pids
	equal "what is told" "" "$(events 'select(.ev == "unreached") | .barrier')"
}

@test "who traces a process that it did not start is told of, without a filter, too" {
	traced_only
	local by
	for by in "$FIXTURES/traces" "gdb -q -batch -ex quit -p"; do
		rm -f "$LOG"
		[[ $by != gdb* ]] || requires gdb
		run outside sh -c "sleep 60 3>&- & $by \$! ; kill \$!" </dev/null
		equal "$by" '"tracer"' "$(events 'select(.ev == "unreached") | .barrier')"
	done
}

@test "a filter of the program's own that asks for a tracer has none: ENOSYS, with --all, too" {
	traced_only
	equal "alone" "Function not implemented" "$(plain "$FIXTURES/traces" filter)"
	equal "without rules" "Function not implemented" "$(outside "$FIXTURES/traces" filter)"
	[[ $BITS != 64 ]] || equal "--all" "Function not implemented" "$(outside --all "$FIXTURES/traces" filter)"
}

@test "gdb and strace under run --outside: one line of each" {
	traced_only
	requires gdb strace
	run outside sh -c 'gdb -q -batch -ex run true; strace -o /dev/null true; gdb -q -batch -ex run true' </dev/null
	equal "who" '["gdb","tracer"]
["strace","tracer"]' "$(events 'select(.ev == "unreached") | [.comm, .barrier]')"
}
