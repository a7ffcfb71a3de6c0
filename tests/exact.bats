#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# at=, when=, conn=, limit, prob: exactly there, exactly then, run after run.

load helpers

# flow RULES OBJECT CALL OPTION...: what the flow fixture prints.
flow() {
	guarded PIPEGUARD_RULES="$1" "$FIXTURES/flow" "${@:2}" 2>&1
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
		run plain "$FIXTURES/flow" "$o" write
		[[ $output == *' sent=100 received=100 content=right end=0' ]]
		run plain "$FIXTURES/flow" "$o" read
		[[ $output == *' sent=100 received=100 content=right' ]]
	done
	for c in writev send sendto sendmsg sendmmsg sendfile splice pwritev2 syswritev dprintf; do
		run plain "$FIXTURES/flow" tcp "$c"
		[[ $output == *' sent=100 received=100 content=right end=0' ]]
		says "$output" 'write:kind=tty:break' tcp "$c"
	done
	all_right
}

@test "at=: exactly so many bytes arrive before a break, whatever the offset and the object" {
	local o at n
	for o in pipe fifo tcp tcp6 unix pair; do
		for at in 0 1 9 10 11 95 99 100 1M; do
			n=${at/1M/100}
			delivers $n "write:at=$at:break" "$o" write
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
	local call buf at
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

@test "at=: an inherited descriptor counts from the start of the program" {
	# shellcheck disable=SC2016 # for the inner shell
	run guarded PIPEGUARD_RULES='%out:fd=1:comm=seq:at=10:break' bash -c \
		'echo before; exec seq 100 199' 3>&-
	native_only
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
	for c in read readv recv recvfrom recvmsg; do
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
