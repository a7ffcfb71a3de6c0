#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What actions do to single calls: as POSIX allows, and no count is a lie.

load ../helpers

# acts WANTED RULES OBJECT STEP...: what the steps print. Their own output is left alone.
acts() {
	local out
	out=$(guarded PIPEGUARD_RULES="${2/:/:fd=!0-2:}" "$FIXTURES/steps" -w unseen="$3" "${@:4}" 2>&1)
	out=${out#0 } # the object
	[[ ${out% } == "$1" ]] && return
	printf 'under %s, %s: wanted, got:\n' "$2" "${*:3}"
	printf '  %s\n' "$1" "$out"
	WRONG=1
}

all_right() {
	[[ -z ${WRONG:-} ]]
}

@test "what the kernel refuses for its arguments is refused first, whatever the rule" {
	local o rule wanted
	for o in pipe tcp pair dgram; do
		wanted=$(plain "$FIXTURES/steps" -w unseen=$o ignore no-address no-number)
		wanted=${wanted#0 }
		[[ $wanted == *write:EFAULT*write:EBADF* ]]
		for rule in '%out:break' '%out,%in,connect,accept:error=EIO' '%out:drop' \
			'%out,%in:short=3' '%out,%in:delay=1us' '%out,%in:error=ETIMEDOUT'; do
			acts "${wanted% }" "$rule" $o ignore no-address no-number
		done
	done
	acts 'write:EBADF read:EBADF send:ENOTSOCK recv:ENOTSOCK' '%out,%in:error=EIO' pipe no-object
	acts '0 write:EBADF read:EBADF send:ENOTSOCK recv:ENOTSOCK' '%out:break' pipe ignore no-object
	all_right
}

@test "error=EPIPE is the kernel's: with its signal on streams, without it on messages" {
	local o rule='%out:when=1:error=EPIPE'
	for o in pipe tcp pair; do
		acts '0 EPIPE+SIGPIPE 0 5 5' "$rule" $o catch write=5 take write=5 take
		acts '0 EPIPE pending 5 5' "$rule" $o block write=5 pending write=5 take
		acts '0 EPIPE 5' "$rule" $o ignore write=5 write=5
		run guarded PIPEGUARD_RULES="${rule/:/:fd=!0-2:}" "$FIXTURES/steps" -w unseen=$o write=5
		[ "$status" -eq 141 ]
	done
	for o in dgram seqpacket udp; do
		acts '0 EPIPE 0 5 5' "$rule" $o catch write=5 take write=5 take
		acts '0 EPIPE none 5 5' "$rule" $o block write=5 pending write=5 take
		acts 'EPIPE 5' "$rule" $o write=5 write=5
	done
	acts '0 0' '%out:error=EPIPE' pipe catch write=0
	acts '0 EPIPE+SIGPIPE' '%out:error=EPIPE' tcp catch write=0
	acts '0 EPIPE EPIPE+SIGPIPE' '%out:error=EPIPE' tcp catch nosignal=5 send=5
	all_right
}

@test "break follows the same table" {
	local o
	for o in pipe tcp pair; do
		acts '0 EPIPE+SIGPIPE EPIPE+SIGPIPE' '%out:break' $o catch write=5 write=5
	done
	for o in dgram seqpacket udp; do
		acts '0 EPIPE EPIPE' '%out:break' $o catch write=5 write=5
	done
	acts '0 0' '%out:break' pipe catch write=0
	all_right
}

@test "error=: every errno on a call that may give it, and the object stays healthy" {
	local e n=0
	while read -r e _; do
		if "$BUILD/pipeguard" check "write:kind=tcp:error=$e" >/dev/null 2>&1; then
			[[ $e == EPIPE ]] && continue # comes with a signal
			acts "$e 0 5 5" "write:when=1:error=$e" tcp write=5 take write=5 take
		elif "$BUILD/pipeguard" check "connect:error=$e" >/dev/null 2>&1; then
			acts "0 $e 0" "connect:when=1:error=$e" to-tcp listen connect connect
		elif "$BUILD/pipeguard" check "accept:error=$e" >/dev/null 2>&1; then
			acts "$e 5 5" "accept:when=1:error=$e" tcp accept write=5 take
		else
			continue # of files alone
		fi
		n=$((n + 1))
	done < <("$BUILD/pipeguard" list errnos)
	((n > 40))
	all_right
}

@test "short=: what is returned is what arrived, stdio and dprintf complete" {
	local o
	for o in tcp pair; do
		acts '3 3 3 3 3 3 3 3 10 10 10 10 32/32 0 3 3' '%out:short=3' $o write=10 take \
			writev=10 take sendmsg=10 take sendmmsg=10 take dprintf=10 take \
			fwrite=10 take sum nonblock write=10 take
	done
	acts '3 3 3 3 10 10 10 10 26/26' '%out:short=3' pipe write=10 take writev=10 take \
		dprintf=10 take fwrite=10 take sum
	acts '20 3 3 3 3 4' '%in:short=3' tcp give=20 read=10 readv=10 recv=10 recvmsg=10 fread=4
	acts '20 3 3 4' '%in:short=3' pipe-in give=20 read=10 readv=10 fread=4
	acts '10 10' '%out:short=3' dgram write=10 take
	acts '4 4' 'write:trickle=4/1ms' pipe write=10 take
	acts '20 4' 'read:trickle=4/1ms' tcp give=20 read=10
	all_right
}

@test "delay=: signals come through, the call is made all the same" {
	acts '0 10 10 ticked' 'write:delay=300ms' pipe tick write=10 take
	acts '5 0 5 ticked' 'read:delay=300ms' tcp give=5 tick read=10
	acts '10 10' '%out:delay=1us' pair write=10 take
	all_right
}

@test "stall: EINTR, SA_RESTART, O_NONBLOCK, MSG_DONTWAIT, timeouts are kept" {
	acts '0 EINTR ticked' read:stall tcp tick read=10
	acts '0 EINTR ticked' read:stall pipe-in tick read=10
	acts '0 EINTR 0 ticked' write:stall pipe tick write=10 take
	acts '0 still there' read:stall tcp tick=restart read=10
	acts '0 still there' write:stall pipe tick=restart write=10
	acts '5 0 EAGAIN EAGAIN' '%in:stall' tcp give=5 nonblock read=5 recv=5
	acts '5 EAGAIN' '%in:stall' tcp give=5 dontwait=5
	acts '0 EAGAIN' '%in:stall' tcp patience=100 read=5
	acts '0 EAGAIN 0' '%out:stall' pair patience=100 write=5 take
	acts '0 EAGAIN 0' '%out:stall' pipe nonblock write=5 take
	all_right
}

@test "a thread that is held, delayed or stalled can be cancelled" {
	acts 'cancelled' '%in:stall' tcp cancel=read=5
	acts 'cancelled 0' '%out:stall' pipe cancel=write=5 take
	acts 'cancelled 0' '%out:delay=1000s' pipe cancel=write=5 take
	acts 'cancelled 0' '%out:hold=1000s' pipe cancel=write=5 take
	all_right
}

@test "drop: the count that was asked for, nothing arrives, and the log says so" {
	acts '5 0 5 0 5 0 5 0 5 0' '%out:drop' pipe write=5 take writev=5 take dprintf=5 take \
		fwrite=5 take write=5 take
	acts '5 0 5 0 5 0 5 0' '%out:drop' tcp send=5 take sendmsg=5 take sendmmsg=5 take write=5 take
	acts '5 0' '%out:drop' dgram write=5 take
	[[ $(events 'select(.ev == "inject") | .held' | sort -u) == '"the bytes are lost"' ]]
	all_right
}

@test "garbage: the same count, other bytes, the same for the same seed" {
	local c first
	seeded() {
		guarded PIPEGUARD_SEED="$1" PIPEGUARD_RULES='%in:kind=socket:garbage' \
			"$FIXTURES/steps" -w unseen=tcp give=20 "$2=20" show
	}
	for c in read readv recv recvmsg fread; do
		first=$(seeded 1 $c)
		[[ $first == "0 20 20 "* && $first != $(plain "$FIXTURES/steps" -w unseen=tcp give=20 $c=20 show) ]]
		[[ $first == "$(seeded 1 $c)" ]]
		[[ $first != "$(seeded 2 $c)" ]]
	done
	run guarded PIPEGUARD_RULES='%in:kind=socket:when=20:garbage=1' "$FIXTURES/steps" flow tcp read
	[[ $output == *'content=right' ]]
	run guarded PIPEGUARD_RULES='%in:kind=socket:when=2:garbage=1' "$FIXTURES/steps" flow tcp read
	[[ $output == *'content=WRONG' ]]
}

@test "writes of signal handlers among ruled writes: no byte is lost or claimed twice" {
	local rule
	run plain "$FIXTURES/steps" -w unseen=tcp storm=2000
	[[ $output == '0 equal equal many errno-kept'* ]]
	for rule in '%out:short=7' '%out:delay=1us' '%out:prob=20%:error=EIO' '%out:at=50k:short=1'; do
		acts 'equal equal many errno-kept' "$rule" tcp storm=2000
	done
	all_right
}

@test "linger: the peer gets a RST when the program closes, once said, and nothing else changes" {
	requires python3
	local closes python
	python=$(python3 -c "import sys; print(sys.executable)")
	# What the peer of a client reads when that has closed; both in one program.
	closes='import socket, sys
s = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(s.getsockname())
p, _ = s.accept()
for i in 1, 2:
    c.send(b"x")
    print(p.recv(1).decode(), end=" ")
c.close()
try: print("end" if p.recv(1) == b"" else "bytes")
except ConnectionResetError: print("reset")'
	equal "without" "x x end" "$(plain "$python" -c "$closes")"
	equal "with" "x x reset" "$(guarded PIPEGUARD_RULES='send:side=client:linger' "$python" -c "$closes")"
	equal "how often it fired" '{"r1":1}' "$(guarded PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES='send:side=client:linger' "$python" -c "$closes" >/dev/null; events 'select(.ev == "exit") | .rules' | tail -1)"
	equal "the action" '"linger"' "$(events 'select(.ev == "inject") | .action' | sort -u)"
	equal "of another side" "x x end" "$(guarded PIPEGUARD_RULES='send:side=server:linger' "$python" -c "$closes")"
}
