#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# at=, when=, conn=, limit, prob: exactly there, exactly then, run after run.

load ../helpers

# flow RULES OBJECT CALL OPTION...: what steps flow prints.
flow() {
	guarded PIPEGUARD_RULES="$1" "$FIXTURES/steps" flow "${@:2}" 2>&1
}

# delivers N RULES OBJECT CALL OPTION...: N bytes arrive, the right ones, before the fault.
delivers() {
	local out
	out=$(flow "${@:2}")
	[[ $out == *" received=$1 content=right"* ]] && return
	echo "wanted $1 bytes, under $2, of ${*:3}: $out"
	WRONG=1
}

# says WANTED RULES OBJECT CALL OPTION...: all of what is printed.
says() {
	local out
	out=$(flow "${@:2}")
	[[ $out == "$1" ]] && return
	echo "under $2, ${*:3}: wanted, got:"
	printf '  %s\n' "$1" "$out"
	WRONG=1
}

all_right() {
	[[ -z ${WRONG:-} ]]
}

@test "without rules every call moves all bytes over every object" {
	local o c
	for o in pipe fifo tcp tcp6 unix pair; do
		run plain "$FIXTURES/steps" flow "$o" write
		[[ $output == *' sent=100 received=100 content=right end=0' ]]
		run plain "$FIXTURES/steps" flow "$o" read
		[[ $output == *' sent=100 received=100 content=right' ]]
	done
	for c in writev send sendto sendmsg sendmmsg sendfile splice pwritev2 syswritev dprintf; do
		run plain "$FIXTURES/steps" flow tcp "$c"
		[[ $output == *' sent=100 received=100 content=right end=0' ]]
		says "$output" 'write:kind=tty:log' tcp "$c"
	done
	all_right
}

@test "at=: exactly so many bytes arrive before a break, whatever the offset and the object" {
	local o at n
	for o in pipe fifo tcp tcp6 unix pair; do
		for at in 0 1 9 10 11 95 99 100 1M; do
			n=${at/1M/100}
			delivers "$n" "write:at=$at:break" "$o" write
		done
	done
	says '10 10 5 EPIPE sent=25 received=25 content=right end=0' write:at=25:break pipe write
	all_right
}

@test "at=: every call that writes to a socket stops there" {
	local c
	for c in writev send sendto sendmsg sendmmsg sendfile splice pwritev2 dprintf; do
		delivers 0 "$c:at=0:break" tcp $c
		delivers 25 "$c:at=25:break" tcp6 $c
		delivers 30 "$c:at=30:reset" pair $c
		delivers 31 "$c:at=31:fin" unix $c
		delivers 41 "$c:at=41:error=EIO" unix $c
	done
	delivers 25 %out:fd=20-:at=25:reset tcp syswrite
	delivers 25 %out:fd=20-:at=25:reset tcp syswritev
	all_right
}

@test "at=: every call that writes to a pipe stops there" {
	local c
	for c in writev sendfile splice tee vmsplice pwritev2 dprintf; do
		delivers 25 "$c:at=25:break" pipe $c
		delivers 29 "$c:at=29:error=EPIPE" fifo $c
	done
	delivers 25 %out:fd=20-:at=25:break pipe syswrite
	delivers 25 %out:fd=20-:at=25:break pipe syswritev
	all_right
}

@test "at=: a file fills up exactly there" {
	local c
	for c in write writev sendfile copy_file_range; do
		says '10 10 5 ENOSPC sent=25 received=25 content=right end=0' \
			"$c:at=25:error=ENOSPC" file $c
	done
	all_right
}

@test "at=: inside a vector, with empty entries, with more entries than are copied" {
	local c at
	for c in writev sendmsg sendmmsg pwritev2; do
		for at in 1 25 50 96 99; do
			says "$at EPIPE sent=$at received=$at content=right end=0" \
				"$c:at=$at:break" tcp $c chunk=100 iov=4
			says "$at EPIPE sent=$at received=$at content=right end=0" \
				"$c:at=$at:break" tcp $c chunk=100 iov=12 zeros=9
			says "$at EPIPE sent=$at received=$at content=right end=0" \
				"$c:at=$at:break" pair $c chunk=100 iov=50
		done
	done
	delivers 51 vmsplice:at=51:break pipe vmsplice chunk=100 iov=50
	all_right
}

@test "at=: a FILE stops there, whatever its buffer, and at its last flush" {
	local buf at
	for buf in none line full; do
		for at in 0 61 100 4096 4999; do
			delivers $at %stdio:fd=20-:at=$at:break pipe fwrite buf=$buf total=5000
			delivers $at %stdio:fd=20-:at=$at:error=EIO tcp fputs buf=$buf \
				total=5000 chunk=100
		done
		delivers 131 %stdio:fd=20-:at=131:break pipe putc buf=$buf total=200
		delivers 131 %stdio:fd=20-:at=131:break pipe fwrite buf=$buf end=exit total=200
	done
	delivers 25 %stdio:fd=20-:at=25:break pipe fwrite end=fflush
	all_right
}

@test "at=: large writes and a slow reader change nothing, not for a reset either" {
	local o
	for o in pipe tcp unix; do
		delivers 1000001 write:at=1000001:break $o write total=2000000 chunk=70000 slow=1
	done
	delivers 1000001 write:at=1000001:reset tcp write total=2000000 chunk=70000 slow=1
	delivers 2100000 write:when=4:reset tcp6 write total=3000000 chunk=700000 slow=1
	all_right
}

@test "at=: counted for the object, after dup, dup2, fork, and on a number used again" {
	local o via
	for o in pipe fifo tcp unix pair; do
		for via in dup dup2 turns move fork; do
			says '10 10 10 10 10 10 10 5 EPIPE sent=75 received=75 content=right end=0' \
				write:at=75:break $o write via=$via
		done
		says "$(printf '%s\n' '10 10 5 EPIPE sent=25 received=25 content=right end=0'{,})" \
			write:at=25:break $o write twice=1
	done
	for via in dup dup2 turns move; do
		says '10 10 10 10 10 10 10 5 EIO sent=100 received=75 content=right' \
			read:at=75:error=EIO pair read via=$via
	done
	all_right
}

@test "at=: however many copies there are" {
	requires python3
	native_only
	run guarded -i PIPEGUARD_RULES=write:fd=3-:at=75:break /usr/bin/python3 -c '
import os
r, w = os.pipe()
copies = [os.dup(w) for _ in range(7)]
sent = 0
try:
    for i in range(20):
        sent += os.write(copies[i % 7], b"x" * 10)
except BrokenPipeError:
    print(sent)'
	equal "bytes" 75 "$output"
}

@test "at=: an inherited descriptor counts from the start of the program" {
	native_only
	run guarded PIPEGUARD_RULES='%out:fd=1:comm=seq:at=10:break' bash -c \
		'echo before; exec seq 100 199'
	equal "what arrived" "$(printf 'before\n100\n101\n10')" "$output"
	[ "$status" -eq 141 ]
}

@test "at=: a shell's redirections, which move descriptors to and fro, count on" {
	native_only
	# shellcheck disable=SC2016 # for the inner shell
	run guarded PIPEGUARD_RULES='%out:kind=pipe:at=7:error=EIO' bash -c \
		'exec 4> >(cat >"$0"); for i in 1 2 3 4 5; do echo $i >&4; done; exec 4>&-; wait' \
		"$BATS_TEST_TMPDIR/out"
	equal "what arrived" "$(printf '1\n2\n3\n4')" "$(cat "$BATS_TEST_TMPDIR/out")"
}

@test "at= on reads: the bytes before it are read, then the end, a reset or an error" {
	local c
	for c in read readv recv recvfrom recvmsg recvmmsg; do
		says '10 10 5 0 sent=100 received=25 content=right' $c:at=25:eof tcp $c
		says '10 10 5 ECONNRESET sent=100 received=25 content=right' $c:at=25:reset tcp6 $c
		says '10 10 5 EIO sent=100 received=25 content=right' $c:at=25:error=EIO unix $c
		delivers 0 $c:at=0:eof pair $c
	done
	says '10 10 5 0 sent=100 received=25 content=right' read:at=25:eof pipe read
	says '10 10 5 0 sent=100 received=25 content=right' readv:at=25:eof fifo readv
	says '51 0 sent=100 received=51 content=right' recvmsg:at=51:eof tcp recvmsg chunk=100 \
		iov=12 zeros=5
	all_right
}

@test "at= on reads: a look with MSG_PEEK does not count" {
	says '10 10 5 0 sent=100 received=25 content=right' read:at=25:eof tcp read peek=1
	says '10 10 5 EIO sent=100 received=25 content=right' recv:at=25:error=EIO pair recv peek=1
	all_right
}

@test "at= on reads: a FILE reads so much, too" {
	says '10 10 5 0 sent=100 received=25 content=right close=fine' read:fd=20-:at=25:eof pipe fread
	says '10 10 5 EIO sent=100 received=25 content=right close=fine' \
		read:fd=20-:at=25:error=EIO tcp fread
	delivers 25 read:fd=20-:at=25:eof unix getc
	all_right
}

# ---- which calls ----

# pattern RULES COUNT [OPTION...]: which of the first calls of flow fail: "..x."
pattern() {
	local out
	out=$(guarded PIPEGUARD_RULES="$1" PIPEGUARD_SEED="${SEED:-0}" "$FIXTURES/steps" flow pipe write \
		total=100000 chunk=1 after=100000 calls="$2" "${@:3}" 2>&1)
	out=${out%sent=*}
	out=${out//EIO /x}
	printf '%s\n' "${out//1 /.}"
}

# fails WANTED RULES [OPTION...]
fails() {
	local out
	out=$(pattern "$2" ${#1} "${@:3}")
	[[ $out == "$1" ]] && return
	printf 'under %s: wanted, got:\n  %s\n  %s\n' "$2" "$1" "$out"
	WRONG=1
}

@test "when=: single calls, from one on, steps, ranges, ranges with steps" {
	fails '..x.......' write:when=3:error=EIO
	fails '..xxxxxxxx' write:when=3+:error=EIO
	fails '.x..x..x..' write:when=2+3:error=EIO
	fails '...xxx....' write:when=4..6:error=EIO
	fails '.x.x.x....' write:when=2..7+2:error=EIO
	fails 'x.........' write:when=1..1+5:error=EIO
	fails '..........' write:when=11:error=EIO
	fails '.xxxx.....' write:when=2+:limit=4:error=EIO
	fails 'xx........' write:limit=2:error=EIO
	all_right
}

@test "when= beside at=: calls are counted from the offset on" {
	fails '....x.....' write:at=4:when=1:error=EIO
	fails '......xxxx' write:at=4:when=3+:error=EIO
	all_right
}

@test "rules are asked from top to bottom: the first final action wins, every match counts" {
	fails '.x.x......' 'write:when=2:error=EIO;write:when=4:error=EIO'
	fails '..x.......' 'write:when=1..2:pass;write:when=1..3:error=EIO'
	fails 'xx...x....' 'write:when=3..5:pass;write:when=1..6:error=EIO'
	fails '..x.......' 'write:when=3:error=EIO;write:when=2..3+:limit=1:nosignal'
	says 'EIO EPIPE sent=0 received=0 content=right end=0' \
		'write:when=1:error=EIO;write:when=1+:break' pipe write after=1
	says '3 2 5 sent=10 received=10 content=right end=0' \
		'write:when=1..2:short=3;write:when=2:short=2;write:short=9' pipe write total=10
	all_right
}

@test "prob=: the same faults for the same seed, others for another, about as often as said" {
	local first n
	first=$(SEED=7 pattern write:prob=10%:error=EIO 1000)
	equal "the second run" "$first" "$(SEED=7 pattern write:prob=10%:error=EIO 1000)"
	equal "the third run" "$first" "$(SEED=7 pattern write:prob=10%:error=EIO 1000)"
	[ ${#first} -eq 1000 ]
	[[ $first != $(SEED=8 pattern write:prob=10%:error=EIO 1000) ]]
	n=${first//./}
	((${#n} > 70 && ${#n} < 130))
	n=$(pattern write:prob=50%:error=EIO 1000)
	n=${n//./}
	((${#n} > 440 && ${#n} < 560))
	fails 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' write:prob=100%:error=EIO
	n=$(pattern write:prob=0.1%:error=EIO 1000)
	n=${n//./}
	((${#n} < 10))
}

@test "after= and for=: windows that are over, or have not begun, or are open" {
	fails '...' write:after=1000s:error=EIO
	fails 'xxx' write:after=1us:error=EIO
	fails 'xxx' write:for=1000s:error=EIO
	fails '...' write:for=1us:error=EIO
	fails 'xxx' write:after=1us:for=1000s:error=EIO
	[[ $(pattern write:for=500ms:error=EIO 900 wait=1) =~ ^x+\.+$ ]]
	[[ $(pattern write:after=500ms:error=EIO 900 wait=1) =~ ^\.+x+$ ]]
	all_right
}

# ---- on what ----

# picks WANTED RULES OBJECT STEP...
picks() {
	local out
	out=$(guarded -i DIR="$BATS_TEST_TMPDIR" WITH_RULES="$2" "$FIXTURES/steps" -w open="$3" "${@:4}" 2>&1)
	[[ ${out% } == "$1" ]] && return
	printf 'under %s, %s: wanted, got:\n' "$2" "${*:3}"
	printf '  %s\n' "$1" "$out"
	WRONG=1
}

@test "kind= picks each kind of object, and no other" {
	local k o wanted
	local -A is=([pipe]=' pipe ' [tcp]=' tcp tcp6 ' [tcp4]=' tcp ' [tcp6]=' tcp6 '
		[unix]=' unix ' [udp]=' udp ' [tty]=' pty ' [file]=' file '
		[socket]=' tcp tcp6 unix udp ')
	for k in "${!is[@]}"; do
		for o in pipe tcp tcp6 unix udp pty file; do
			wanted='0 1'
			[[ ${is[$k]} == *" $o "* ]] && wanted='0 EIO'
			picks "$wanted" "write:kind=$k:error=EIO" $o write=1
		done
	done
	picks '0 EIO' 'write:kind=!tcp,file:error=EIO' pipe write=1
	picks '0 1' 'write:kind=!tcp,file:error=EIO' tcp write=1
	all_right
}

@test "side=, port=, lport=, peer=: who is at which end" {
	local o
	picks '0 EIO' write:side=client:error=EIO tcp write=1
	picks '0 1' write:side=client:error=EIO accepted-tcp write=1
	picks '0 EIO' write:side=server:error=EIO accepted-unix write=1
	picks '0 1' write:side=server:error=EIO unix write=1
	picks '0 1' write:side=client:error=EIO pipe write=1
	for o in tcp tcp6; do
		picks '0 EIO' write:port=PORT:error=EIO $o write=1
		picks '0 EIO' write:port=PORT:error=EIO accepted-$o write=1
		picks '0 1' 'write:port=!PORT:error=EIO' accepted-$o write=1
		picks '0 1' write:lport=PORT:error=EIO $o write=1
		picks '0 EIO' write:lport=PORT:error=EIO accepted-$o write=1
	done
	picks '0 EIO' write:peer=127.0.0.0/8:error=EIO tcp write=1
	picks '0 1' write:peer=10.0.0.0/8:error=EIO tcp write=1
	picks '0 EIO' 'write:peer=!10.0.0.0/8:error=EIO' accepted-tcp write=1
	picks '0 EIO' 'write:peer=[::1]:error=EIO' tcp6 write=1
	picks '0 1' 'write:peer=[::2]:error=EIO' tcp6 write=1
	picks '0 EIO' 'write:peer=*/steps.sock:error=EIO' unix write=1
	picks '0 1' 'write:peer=*/other.sock:error=EIO' unix write=1
	all_right
}

@test "fd=, path=, len=, comm=, thread=: and what they exclude" {
	local fd
	fd=$(plain "$FIXTURES/steps" -w open=pipe fd)
	fd=${fd#0 }
	picks '0 EIO' "write:fd=${fd% }:error=EIO" pipe write=1
	picks '0 EIO' "write:fd=0,${fd% }-:error=EIO" pipe write=1
	picks '0 1' "write:fd=!${fd% }:error=EIO" pipe write=1
	picks '0 EIO' 'write:path=pipe*:error=EIO' pipe write=1
	picks '0 1' 'write:path=!pipe*:error=EIO' pipe write=1
	picks '0 EIO' 'write:path=/tmp/steps-*:error=EIO' file write=1
	picks '0 1 EIO EIO 4 EIO 6' write:len=2-3,5:error=EIO pipe write=1 write=2 write=3 write=4 write=5 write=6
	picks '0 EIO 2 3 EIO' 'write:len=!2-3:error=EIO' pipe write=1 write=2 write=3 write=4
	picks '0 EIO' 'write:comm=st?ps:error=EIO' pipe write=1
	picks '0 1' 'write:comm=other:error=EIO' pipe write=1
	picks '0 1 EIO 1' 'write:thread=work*:error=EIO' pipe write=1 in-thread=worker in-thread=other
	picks '0 EIO 1 EIO' 'write:thread=!work*:error=EIO' pipe write=1 in-thread=worker in-thread=other
	all_right
}

@test "caller=, stack=: a function, a module, an offset, anywhere above" {
	local at
	picks '0 1 EIO' write:caller=write_elsewhere:error=EIO pipe write=1 elsewhere=1
	picks '0 EIO 1' 'write:caller=!write_elsewhere:error=EIO' pipe write=1 elsewhere=1
	picks '0 EIO EIO 1' write:stack=main:error=EIO pipe write=1 elsewhere=1 in-thread=x
	picks '0 1 1 EIO' 'write:stack=!main:error=EIO' pipe write=1 elsewhere=1 in-thread=x
	picks '0 EIO' write:caller=steps:error=EIO pipe write=1
	picks '0 1' 'write:caller=lib*:error=EIO' pipe write=1
	rm -f "$LOG"
	picks '0 1 EIO' write:caller=write_elsewhere:error=EIO pipe write=1 elsewhere=1
	at=$(events '.stack[0]' | tr -d '"')
	picks '0 1 EIO' "write:caller=${at%% *}:error=EIO" pipe write=1 elsewhere=1
	all_right
}

@test "seen=: what the program was told, or would be told" {
	picks '0 1 0 1 0 EIO' write:seen=eof:error=EIO tcp write=1 leave=eof write=1 read=1 write=1
	picks '0 1 0 ECONNRESET EIO' write:seen=reset:error=EIO tcp write=1 leave=reset write=1 write=1
	picks '0 1 0 ECONNRESET EIO' write:seen=reset:error=EIO tcp6 write=1 leave=reset read=1 write=1
	picks '0 1 ECONNREFUSED EIO' write:seen=refused:error=EIO tcp write=1 refused write=1
	picks '0 1 0 EIO' write:seen=hup:error=EIO pipe write=1 leave=close write=1
	picks '0 1 0 EIO' write:seen=hup:error=EIO tcp write=1 leave=eof write=1
	picks '0 1 0 1' write:seen=reset:error=EIO tcp write=1 leave=eof write=1
	all_right
}

@test "conn=: the n-th connection of a client, of a server, the n-th attempt" {
	local o
	for o in tcp tcp6 unix accepted-tcp accepted-unix; do
		picks '0 1 0 EIO 0 1' write:conn=2:error=EIO $o write=1 open write=1 open write=1
		picks '0 1 0 EIO 0 EIO' write:conn=2-:error=EIO $o write=1 open write=1 open write=1
		picks '0 EIO 0 1 0 EIO' 'write:conn=!2:error=EIO' $o write=1 open write=1 open write=1
	done
	picks '0 1 ECONNREFUSED 0 1' connect:conn=2:refuse tcp write=1 open open write=1
	picks '0 0 ECONNREFUSED 0' connect:conn=2:refuse tcp serve open open
	picks '0 1 ECONNREFUSED 0 1' connect:conn=2:refuse unix write=1 open open write=1
	picks '0 1 0 1' connect:conn=1:refuse accepted-tcp write=1 open write=1
	picks '0 1 0 1 EIO 0 1 1' write:conn=2:when=2:error=EIO tcp write=1 open write=1 write=1 open write=1 write=1
	all_right
}

@test "scope=: calls are counted for the process, the object, the thread, the child" {
	picks '0 1 EIO 1 0 1 1 1' write:when=2:error=EIO pipe write=1 write=1 write=1 open write=1 write=1 write=1
	picks '0 1 EIO 1 0 1 EIO 1' write:scope=fd:when=2:error=EIO pipe write=1 write=1 write=1 open write=1 write=1 write=1
	picks '0 1 1 EIO 1 1' write:scope=thread:when=2:error=EIO pipe write=1 in-thread=a write=1 in-thread=b write=1
	picks '0 1 0 1 EIO' write:when=2:error=EIO pipe write=1 fork write=1 write=1
	picks '0 1 0 EIO 1' write:when=3:error=EIO pipe write=1 vfork write=1 write=1
	all_right
}

@test "at=: what is read by calls that the rule does not name counts, beside a rule that waits for them, too" {
	picks '0 9 1 1 EIO' recv:at=2:error=EIO tcp give=9 read=1 read=1 recv=1
	picks '0 9 1 1 1 EIO' recv:at=3:error=EIO tcp give=9 read=1 read=1 read=1 recv=1
	picks '0 9 1 1 1 EIO' 'recv:at=3:error=EIO;read:when=100:error=EINTR' tcp give=9 read=1 read=1 read=1 recv=1
	picks '0 9 1 1 1 EIO' 'recv:at=3:error=EIO;write:when=100:error=EINTR' tcp give=9 read=1 recv=1 read=1 recv=1
	all_right
}

@test "stdio, when=: a write that the kernel refuses for its arguments does not count" {
	glibc_only
	picks '0 1 1 EFAULT EFAULT 1 EIO 1' %stdio:fd=!0-2:when=4:error=EIO pipe fwrite=1 fwrite=1 fbad fbad fwrite=1 fwrite=1 fwrite=1
	all_right
}

@test "when=: a call that the kernel refuses for its arguments does not count, nor does one of many threads get lost" {
	picks '0 1 1 1 EIO 1' write:when=4:error=EIO pipe write=1 write=1 write=1 write=1 write=1
	picks '0 1 1 EFAULT EFAULT 1 EIO 1' write:when=4:error=EIO pipe write=1 write=1 bad bad write=1 write=1 write=1
	requires python3
	run guarded PIPEGUARD_RULES='write:path=/dev/null:when=50+50:error=EIO' python3 -c '
import os, threading
fd, failed = os.open("/dev/null", os.O_WRONLY), []
def work():
    for i in range(2000):
        try:
            os.write(fd, b"x")
        except OSError:
            failed.append(i)
threads = [threading.Thread(target=work) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(len(failed))'
	equal "of 8000 writes by four threads fail" 160 "$output"
	all_right
}

# ---- the n-th stdio write, the flush at exit ----

@test "the n-th write of stdio breaks, by the signal or an error as without the library" {
	native_only
	# shellcheck disable=SC2016 # for the inner shell
	run guarded PIPEGUARD_RULES='%stdio:fd=1:when=3:break' bash -c \
		'for i in 1 2 3 4; do echo $i; done'
	equal "status and lines" "141 $(printf '1\n2')" "$status $output"
	# shellcheck disable=SC2016 # for the inner shell
	run guarded -i PIPEGUARD_RULES='%stdio:fd=1:when=3:break' bash -c \
		'for i in 1 2 3 4; do echo $i || echo "status $?" >&2; done'
	[[ $output == *'write error: Broken pipe'*'status 1'* ]]
}

@test "the flush at exit breaks: killed, or the message and status of a real broken pipe" {
	native_only
	local numbers=$FIXTURES/numbers
	run guarded PIPEGUARD_RULES='%stdio:fd=1:break' "$numbers" 3
	equal "status and lines" "141 " "$status $output"
	run guarded -i PIPEGUARD_RULES='%stdio:fd=1:break' "$numbers" 3
	equal "status and lines" "1 numbers: write error: Broken pipe" "$status $output"
	run guarded -i PIPEGUARD_RULES='%stdio:fd=1:error=EIO' date
	equal "status and lines" "1 date: write error: Input/output error" "$status $output"
	run guarded PIPEGUARD_RULES='%stdio:fd=1:error=EPIPE' "$numbers" 3
	equal "status and lines" "141 " "$status $output"
}
