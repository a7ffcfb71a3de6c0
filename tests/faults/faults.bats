#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Faults made by the kernel: the same steps are done to a truly broken object and to one that a rule
# broke, and every line that the program sees is compared. In a script "@" is where the true fault
# happens; the rule makes the other one in the call that follows (touch: a readv or writev of
# nothing, which the kernel answers with 0 whatever the object is).

load ../helpers

# Up to the last thing that a program can ask.
ASK="poll epoll epoll recv read send write so-error raw=w raw=r peername poll epoll"
UNREAD="peer:put settle=1"

teardown_file() {
	[[ ! -e $BATS_FILE_TMPDIR/lines ]] ||
		awk '{ n += $1 } END { print "# " NR " pairs of runs, " n " lines compared" }' "$BATS_FILE_TMPDIR/lines" >&3
}

# probe HOW KIND SCRIPT: its output and status. HOW: plain, or guarded and the rule.
probe() {
	local kind=$1 script
	read -ra script <<<"$2"
	shift 2
	rm -f "$BATS_TEST_TMPDIR/object"
	"$@" "$FIXTURES/steps" -p open="${kind/PATH/$BATS_TEST_TMPDIR/object}" "${script[@]}" 2>&1 3>&-
	echo "status $?"
}

# both KIND TRUE RULE SCRIPT [INJECTED]: sets $true_one and $injected. INJECTED: what stands at "@" there.
both() {
	true_one=$(probe "$1" "${4/@/$2}" plain)
	injected=$(probe "$1" "${4/@/${5:-}}" guarded "PIPEGUARD_RULES=$3")
	wc -l <<<"$true_one" >>"$BATS_FILE_TMPDIR/lines"
	echo "$1, $3: $4"
	[[ $true_one =~ status\ (0|141)$ && $injected != *pipeguard:* ]] || {
		printf '%s\n' "$true_one" "$injected"
		return 1
	}
}

# same: no line differs.
same() {
	both "$@" || return
	equal "a line" "$true_one" "$injected"
}

# differs KIND TRUE RULE SCRIPT WANTED: the lines that differ, as diff(1) shows them, and no others.
differs() {
	both "${@:1:4}" || return
	equal "the difference" "$5" "$(diff <(echo "$true_one") <(echo "$injected") | grep '^[<>]')"
}

# ---- the probe itself ----

@test "the probe sees a true reset, and without a fault it sees none" {
	equal "a true reset" 'touch 0 -
poll 1 0x215d
epoll 0: 1 0x201d tagged
recv -1 ECONNRESET
recv 0 -
send -1 EPIPE, SIGPIPE 1 code 0 own 1 here 1
family 0 length 0 peername -1 ENOTCONN
status 0' "$(probe tcp4 'watch peer:reset settle touch poll epoll recv recv send peername' plain)"
	run same tcp4 "peer:reset settle" readv:when=9:reset "@ touch poll"
	[ "$status" -ne 0 ]
	[[ $output == *'a line differs'* ]]
	run differs tcp4 "peer:reset settle" readv:reset "@ touch poll" '< poll'
	[ "$status" -ne 0 ]
}

# ---- reset, TCP ----

@test "reset on TCP: whatever the program asks first, all agrees with a received RST" {
	for first in recv read readv recvmsg recvfrom send write writev sendmsg nosignal raw=w raw=r so-error poll epoll; do
		same tcp4 "peer:reset settle" readv:when=1:reset "watch watch=et watch=once epoll @ touch $first $ASK state unwatch"
		same tcp6 "peer:reset settle" writev:when=1:reset "nonblock watch watch=et,in watch=alone epoll @ touch=out $first $ASK"
	done
	same mapped "peer:reset settle" readv:when=1:reset "watch watch=et epoll @ touch $ASK"
}

@test "reset on TCP: every ruled call meets it as it would meet a received RST" {
	for first in recv read readv recvmsg recvfrom send write writev sendmsg; do
		same tcp4 "peer:reset settle" "$first:fd=10:when=1:reset" "nonblock watch watch=et watch=once epoll @ $first $ASK"
		same tcp6 "peer:reset settle" "$first:fd=10:when=1:reset" "watch watch=et watch=alone epoll @ $first $ASK shut=0 shut=2"
	done
}

@test "reset on TCP: a server's end as well" {
	for first in recv send so-error epoll; do
		same accepted-tcp4 "peer:reset settle" readv:reset "watch watch=et epoll @ touch $first $ASK sockname"
		same accepted-tcp6 "peer:reset settle" %out:fd=10:reset "nonblock watch=et epoll $UNREAD @ write $first epoll recv=3 $ASK"
		same accepted-unix=PATH "put peer:close settle" %out:fd=10:reset "watch=et epoll $UNREAD @ write $first epoll recv=3 recv recv send"
	done
}

@test "reset: a rule that fires on every call resets once" {
	for kind in tcp4 tcp6; do
		same $kind "peer:reset settle" %out,%in:fd=10:reset "@ write write recv recv send"
		same $kind "peer:reset settle" %out:fd=10:reset "$UNREAD @ write write recv=3 send recv recv send"
		same $kind "peer:reset settle" %in:fd=10:reset "@ recv recv read send"
	done
	same pair "put peer:close settle" %out,%in:fd=10:reset "@ write write recv recv send"
	same pair "put peer:close settle" %in:fd=10:reset "@ recv recv read send"
}

@test "reset: the log goes on to name the connection, whatever object has taken its number" {
	run probe tcp4 "$UNREAD write write" guarded PIPEGUARD_RULES=%out:fd=10:when=1:reset
	equal "what is told" '["inject","tcp","client",true]
["reset","tcp","client",true]
["epipe","tcp","client",true]' "$(events '[.ev, .kind, .side, (.peer | startswith("127.0.0.1:"))]')"
	equal "the peers" 1 "$(events .peer | sort -u | wc -l)"
}

@test "reset on TCP: the peer sees a RST" {
	for kind in tcp4 tcp6 mapped; do
		same $kind reset readv:reset \
			"peer:watch peer:watch=et peer:epoll @ peer:settle peer:poll peer:epoll peer:epoll peer:recv peer:recv peer:send peer:so-error peer:peername peer:state" trigger
		same $kind reset readv:reset "@ peer:settle peer:send peer:send peer:recv peer:poll" trigger
	done
}

@test "reset on TCP: a second thread that waits in a call is told as well, and the error only once" {
	for call in recv read readv recvmsg recvfrom; do
		for kind in tcp4 tcp6; do
			same $kind "peer:reset settle" writev:reset "thread:$call @ join recv send send poll" trigger=out
		done
	done
	same tcp4 "peer:reset settle" readv:reset "thread:fill @ join recv send send poll" trigger
}

@test "a sendmmsg of no messages sends none under a rule, and of one sends one" {
	same tcp4 "" sendmmsg:when=9:reset "@ messages messages=1 peer:recv"
	[[ $injected == *'messages 0'*'messages=1 1'*'recv 3'* ]]
}

@test "a thread that waits is told EPIPE where no rule reset, as without the library" {
	same tcp4 disconnect "write:when=9:reset" "thread:recv @ join" disconnect
	[[ $true_one == *'recv -1 EPIPE'* || $true_one == *'recv 0'* ]]
}

@test "reset on TCP: an event loop that waits in another thread wakes, and polls what a RST gives" {
	for watch in watch=in,et watch=et watch=in,once; do
		# The two system calls of the reset may be two events for a thread that is quick.
		both tcp4 "peer:reset settle" writev:reset "$watch epoll thread:wait @ join poll recv send poll" trigger=out
		[[ $injected == *'thread: epoll 0: 1 0x'*[89a-f]' tagged'* ]]
		equal "the rest" "$(grep -v '^thread' <<<"$true_one")" "$(grep -v '^thread' <<<"$injected")"
	done
}

# A received RST leaves readable what came before it; here the read that the rule fires on is told of it.
@test "reset on a read: what waits unread is lost, and that is the one difference" {
	for kind in tcp4 tcp6; do
		for call in recv read readv recvmsg; do
			differs $kind "peer:reset settle" "$call:fd=10:when=1:reset" \
				"watch watch=et watch=in,et epoll $UNREAD epoll @ $call $call $call send send poll epoll peername" \
				"< $call 5 -
> $call 0 -"
		done
	done
	for kind in pair unix=PATH; do
		differs $kind "put peer:close settle" recv:fd=10:reset "$UNREAD @ recv recv recv send poll" '< recv 5 -
> recv 0 -'
	done
}

@test "reset on a write, TCP: what waits unread stays readable" {
	for kind in tcp4 tcp6 mapped; do
		for call in write send writev sendmsg nosignal; do
			same $kind "peer:reset settle" "%out:fd=10:when=1:reset" \
				"watch watch=et watch=in,et epoll $UNREAD @ $call poll epoll epoll unread peek recv=3 poll epoll recv recv send send peername state poll epoll"
		done
		same $kind "peer:reset settle" "writev:when=1:reset" "nonblock cloexec $UNREAD @ touch=out so-error raw=r recv send flags poll"
	done
	same tcp4 "peer:reset settle" "writev:when=1:reset" "peer:put=60000 settle=1 @ touch=out unread all all send"
	same tcp4 "reset" "writev:when=1:reset" "$UNREAD peer:watch=et peer:epoll @ peer:settle peer:epoll peer:recv peer:send" trigger=out
}

@test "reset on a read at an offset, TCP: the bytes behind it never came" {
	run probe tcp4 "$UNREAD recv recv recv" guarded PIPEGUARD_RULES=recv:fd=10:at=3:reset
	equal "the output" 'recv 3 -
recv -1 ECONNRESET
recv 0 -
status 0' "$output"
}

@test "reset on TCP: the differences that are left are these" {
	# connect(AF_UNSPEC) also forgets the address, if it was not bound, and that the socket was ever connected.
	differs tcp4 "peer:reset settle" readv:reset "@ touch sockname connect" '< [127.0.0.1] port some sockname 0 -
< connect -1 EISCONN
> [0.0.0.0] port some sockname 0 -
> connect 0 -'
	differs tcp6 "peer:reset settle" readv:reset "@ touch sockname" '< [::1] port some sockname 0 -
> [::] port some sockname 0 -'
	same tcp4 "peer:reset settle" readv:reset "@ touch cred unread flags object shut=0 shut=1 shut=2 recv"
	# A copy of the descriptor is reset with it.
	same tcp4 "peer:reset settle" write:reset "copy watch @ write use poll recv write epoll"
	# But what waited unread when a write was reset is on the descriptor itself alone.
	differs tcp4 "peer:reset settle" write:fd=10:reset "copy $UNREAD @ write use poll recv recv write" '< poll 1 0x2155
< recv 5 -
> poll 1 0x215d
> recv -1 ECONNRESET'
}

# ---- reset, AF_UNIX: its peer leaves with bytes unread ----

@test "reset on AF_UNIX: whatever comes first, all agrees with a peer that left with bytes unread" {
	for kind in pair unix=PATH abstract; do
		for first in recv $([[ $kind == abstract ]] || echo read send write nosignal raw=w raw=r so-error poll epoll); do
			same $kind "put peer:close settle" readv:reset \
				"watch watch=et watch=once @ touch $first poll epoll epoll recv recv send so-error sockname unread object flags poll epoll raw=w raw=r"
			same $kind "put peer:close settle" writev:fd=10:when=1:reset \
				"nonblock cloexec watch watch=et epoll $UNREAD @ touch=out $first poll epoll epoll recv=3 recv recv send send so-error flags poll epoll"
		done
	done
}

@test "reset on AF_UNIX: a second thread that waits in a call is told as well" {
	for call in recv read readv recvmsg recvfrom; do
		same pair "put peer:close settle" writev:reset "thread:$call @ join recv send send poll" trigger=out
	done
}

@test "reset on AF_UNIX: the peer sees what one sees whose peer left, with bytes unread or without" {
	for kind in pair unix=PATH; do
		same $kind close readv:reset "$UNREAD peer:watch peer:watch=et peer:epoll @ peer:settle peer:poll peer:epoll peer:recv peer:recv peer:send peer:poll peer:epoll" trigger
		same $kind close readv:reset "peer:watch peer:watch=et peer:epoll @ peer:settle peer:poll peer:epoll peer:recv peer:send peer:poll peer:epoll" trigger
	done
}

@test "reset on AF_UNIX: the differences that are left are these" {
	# Another socket has the number: it has no peer's name, and the peer's credentials are our own.
	differs unix=PATH "put peer:close settle" readv:reset "@ touch peername" \
		"< family 1 length $((${#BATS_TEST_TMPDIR} + 7 + 3)) peername 0 -
> family 1 length 2 peername 0 -"
	same pair "put peer:close settle" readv:reset "@ touch peername cred"
	# A copy of the descriptor sees an end without an error.
	differs pair "put peer:close settle" write:fd=10:reset "copy @ write use poll recv write" '< poll 1 0x235d
< recv -1 ECONNRESET
> poll 1 0x2355
> recv 0 -'
	# A registration that EPOLLONESHOT has disarmed is armed for once.
	differs pair "put peer:close settle" readv:reset "watch=once epoll @ touch epoll epoll" '< epoll 0: 0
> epoll 0: 1 0x18 tagged'
}

# ---- refuse ----

# refused KIND SCRIPT: nobody listens, and a rule refuses where one does.
refused() {
	both "$1" "" connect:when=1:refuse "@ $2" listen
	equal "a line" "$true_one" "$injected"
}

@test "refuse: whatever the program asks next, all agrees with a port where nobody listens" {
	for kind in to-tcp4 to-tcp6 to-mapped to-unix=PATH to-abstract; do
		for first in poll $([[ $kind == *mapped || $kind == *abstract ]] || echo so-error recv send peername sockname state); do
			refused $kind "watch watch=et watch=once epoll connect $first epoll epoll poll so-error recv send nosignal raw=w raw=r poll peername flags object"
			refused $kind "nonblock watch watch=et watch=once epoll connect settle=4 $first epoll epoll poll so-error recv send raw=w raw=r poll peername sockname"
		done
		refused $kind "nonblock watch=et connect wait so-error so-error"
		refused $kind "default connect write"
	done
}

@test "refuse: the same socket connects afterwards, once somebody listens" {
	for kind in to-tcp4 to-tcp6 to-mapped to-unix=PATH to-abstract; do
		refused $kind "connect listen connect poll so-error write peername state"
		[[ $injected == *'connect 0 -'*'write 3 -'* ]]
		refused $kind "watch watch=et connect epoll listen connect epoll poll so-error write peername"
		refused $kind "nonblock watch connect settle=4 so-error listen connect settle=4 epoll connect poll so-error write peername"
	done
	# The error of a connect in progress may be told by the next connect.
	both to-tcp4 "" connect:refuse "@ nonblock connect settle=4 connect connect settle=4 so-error" listen
	equal "a line" "$true_one" "$injected"
}

# ---- break ----

@test "break on a pipe or FIFO: all agrees with one whose reader has gone" {
	for kind in pipe fifo=PATH; do
		for flags in "" "nonblock cloexec"; do
			for first in poll write writev write=0 raw=w epoll nosignal so-error; do
				same $kind "peer:close settle" writev:when=1:break \
					"$flags watch watch=et watch=alone epoll @ touch=out $first poll epoll epoll write writev raw=w so-error poll epoll flags object unread unwatch"
			done
			for call in write writev; do
				same $kind "peer:close settle" $call:fd=10:when=1:break "$flags watch watch=et @ $call $call poll epoll epoll flags"
			done
			same $kind "peer:close settle" writev:when=1:break "$flags watch=once @ touch=out epoll epoll rearm epoll epoll unwatch"
		done
	done
}

@test "break on a pipe or FIFO: the reader reads what came before, then the end" {
	for kind in pipe fifo=PATH; do
		same $kind close writev:fd=10:break \
			"peer:watch peer:watch=et peer:epoll put @ peer:settle peer:poll peer:epoll peer:read=3 peer:read peer:read peer:poll peer:epoll" trigger=out
	done
}

@test "break on a pipe or FIFO: the differences that are left are these" {
	for kind in pipe fifo=PATH; do
		# Another pipe has the number; who copied the descriptor before still writes to the old one.
		differs $kind "peer:close settle" write:fd=10:break "copy @ write use poll write" '< poll 1 0x10c
< write -1 EPIPE, SIGPIPE 1 code 0 own 1 here 1
> poll 1 0x104
> write 3 -'
		# A registration that EPOLLONESHOT has disarmed is armed for once.
		differs $kind "peer:close settle" writev:break "watch=once epoll @ touch=out epoll epoll rearm=0 epoll epoll" '< epoll 0: 0
> epoll 0: 1 0x8 tagged'
	done
}

@test "break through stdio: fflush, ferror and fclose agree with a reader that has gone" {
	glibc_only
	for flags in "" ignore nonblock; do
		for kind in pipe fifo=PATH; do
			same $kind "peer:close settle" %stdio:fd=10:break "$flags @ printf flush fclose"
			same $kind "peer:close settle" %stdio:fd=10:break "$flags @ printf fclose"
			same $kind "peer:close settle" %stdio:fd=10:when=2:break "$flags printf flush @ printf flush flush fclose"
		done
		for kind in tcp4 pair; do
			same $kind shutdown %stdio:fd=10:break "$flags @ printf flush fclose"
		done
	done
}

# A TCP connection is asked once the peer has acknowledged the end: "until".
@test "break on a socket: all agrees with an own shutdown of both sides" {
	for kind in tcp4 tcp6 pair unix=PATH abstract; do
		for first in poll recv send so-error shut; do
			same $kind "shutdown until" writev:when=1:break \
				"watch watch=et watch=alone watch=once epoll @ touch=out $first poll epoll epoll recv read send write writev nosignal sendmsg raw=w raw=r so-error poll epoll flags object unread peername sockname cred" \
				"trigger=out until"
			same $kind shutdown writev:break "nonblock cloexec $UNREAD @ $first recv=3 unread recv recv write flags" trigger=out
		done
		same $kind shutdown send:fd=10:when=1:break "@ send recv"
		same $kind shutdown writev:break \
			"peer:watch peer:watch=et peer:epoll put peer:settle=1 @ peer:settle peer:poll peer:epoll peer:recv peer:recv peer:poll" trigger=out
	done
}

@test "fin on a socket: the peer reads the end, and the program can still read" {
	for kind in tcp4 tcp6 pair unix=PATH abstract; do
		for first in poll recv send so-error; do
			same $kind "shutdown=1 until" writev:when=1:fin \
				"$UNREAD watch watch=et watch=once epoll @ touch=out poll epoll epoll $first peer:settle peer:poll peer:recv peer:put settle=1 recv send write peername" \
				"trigger=out until"
		done
	done
}

@test "a program that does not handle SIGPIPE dies of every fault as of a true one" {
	same tcp4 "peer:reset settle" writev:reset "default @ touch=out write write"
	same pair "put peer:close settle" writev:reset "default @ touch=out write"
	for kind in tcp4 pair unix=PATH; do
		same $kind shutdown send:fd=10:break "default @ send"
		same $kind "shutdown=1" send:fd=10:fin "default @ send"
	done
	for kind in pipe fifo=PATH; do
		same $kind "peer:close settle" write:fd=10:break "default @ write"
		[[ $injected == 'status 141' ]]
		same $kind "peer:close settle" writev:break "default @ touch=out raw=w"
		[[ $BUILD == */musl ]] || same $kind "peer:close settle" %stdio:fd=10:break "default @ printf flush"
		same $kind "peer:close settle" write:fd=10:break "ignore @ write raw=w"
	done
}

# ---- eof ----

@test "eof on a pipe or FIFO: all agrees with one whose writer has gone, and the writer sees no reader" {
	for kind in pipe-in fifo-in=PATH; do
		for flags in "" nonblock cloexec; do
			for call in read readv; do
				same $kind "peer:close settle=1" $call:fd=10:when=1:eof \
					"$flags watch watch=et watch=alone epoll @ $call $call poll epoll epoll read readv raw=r flags object unread poll epoll write unwatch"
			done
			same $kind "peer:close settle=1" readv:eof "$flags watch watch=et epoll @ touch poll epoll epoll read"
		done
		same $kind close readv:eof "peer:watch peer:watch=et peer:epoll @ peer:settle peer:poll peer:epoll peer:write peer:poll peer:epoll" trigger
	done
}

@test "eof on a socket: all agrees with a peer that sends no more" {
	for kind in tcp4 tcp6 pair unix=PATH abstract; do
		for flags in "" nonblock; do
			for call in recv read readv recvmsg; do
				same $kind "peer:shutdown=1 settle" $call:fd=10:when=1:eof \
					"$flags watch watch=et watch=alone watch=once epoll @ $call $call poll epoll epoll recv read readv recvmsg raw=r so-error peername send peer:recv poll epoll"
			done
			same $kind "peer:shutdown=1 settle" readv:eof "$flags watch watch=et epoll @ touch poll epoll epoll recv"
		done
	done
}

# ---- hold ----

@test "hold: the write meets the peer that has gone meanwhile as one that had gone before" {
	for kind in pipe fifo=PATH; do
		for call in write writev; do
			same $kind "peer:close settle thread:$call join" $call:fd=10:hold=9s "watch=et epoll @ poll epoll write raw=w" "thread:$call peer:close join"
		done
		same $kind "peer:close settle thread:write=0 join" write:fd=10:hold=9s "@ poll write" "thread:write=0 peer:close join"
	done
	for kind in tcp4 tcp6; do
		# A FIN is no error yet: the write still goes out, and the RST that answers it is for the next one.
		same $kind "peer:close settle thread:send join" send:fd=10:when=1:hold=9s "@ settle=0 poll send send recv" "thread:send peer:close join"
		same $kind "peer:reset settle thread:send join" send:fd=10:when=1:hold=9s "@ poll send recv" "thread:send peer:reset join"
	done
	for kind in pair unix=PATH; do
		same $kind "peer:close settle thread:send join" send:fd=10:when=1:hold=9s "@ poll send recv" "thread:send peer:close join"
		same $kind "put peer:close settle thread:write join" write:fd=10:when=2:hold=9s "@ poll write recv recv" "put thread:write peer:close join"
	done
}

@test "hold is bounded: a peer that stays gets the bytes after all" {
	for kind in pipe tcp4 pair; do
		same $kind "write" write:fd=10:when=1:hold=20ms "@ peer:read poll" write
		equal "held in vain" '["held in vain: the peer is still there","write",10]' "$(events 'select(.ev == "inject") | [.held, .call, .fd]')"
		rm "$LOG"
	done
}

# ---- on the wire ----

# wire RULE WAITING STEP...: a client under the rule does the steps; what its server is told, and the
# client's RSTs and FINs that pass on the loopback device. WAITING: bytes sent to it before.
wire() {
	timeout "$LIMIT" /usr/bin/python3 - "$LIB" "$FIXTURES/steps" "$@" 3>&- <<'PY'
import ctypes, errno, socket, struct, subprocess, sys
lib, client, rule, waiting, *steps = sys.argv[1:]
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
# Nothing comes before the filter, nor anything but it lets through: what goes to our port.
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in
    ((0x28, 0, 0, 36), (0x15, 0, 1, port), (6, 0, 0, 65535), (6, 0, 0, 0))))
tap.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", 4, ctypes.addressof(program)))
tap.bind(("lo", 3))
child = subprocess.Popen([client, f"connect={port}"] + steps, stdout=subprocess.DEVNULL,
    env={"LD_PRELOAD": lib, "PIPEGUARD_LOG": "off", "PIPEGUARD_RULES": rule})
peer = server.accept()[0]
if waiting: peer.send(waiting.encode())
child.wait()
try: told = peer.recv(100)
except OSError as e: told = errno.errorcode[e.errno]
seen = {"RST": 0, "FIN": 0}
tap.setblocking(False)
while True:
    try: packet, (_, _, direction, *_) = tap.recvfrom(65536)
    except BlockingIOError: break
    if direction != socket.PACKET_OUTGOING:
        seen["FIN"] += packet[47] & 1
        seen["RST"] += packet[47] >> 2 & 1
print(told, seen)
PY
}

@test "reset on TCP is one RST on the wire, and no FIN" {
	[ "$(id -u)" -eq 0 ] || skip "packets are seen by root alone"
	equal "in a recv" "ECONNRESET {'RST': 1, 'FIN': 0}" "$(wire recv:reset '' recv=5)"
	equal "behind what waits" "ECONNRESET {'RST': 1, 'FIN': 0}" "$(wire recv:reset hello readable recv=5)"
	equal "in a send" "ECONNRESET {'RST': 1, 'FIN': 0}" "$(wire send:reset '' ignore send=5 send=5)"
	equal "in a send, with bytes unread" "ECONNRESET {'RST': 1, 'FIN': 0}" "$(wire send:reset hello ignore readable send=5 recv=5)"
	equal "without a rule" "b'hello' {'RST': 0, 'FIN': 1}" "$(wire send:when=9:reset '' text=hello)"
}
