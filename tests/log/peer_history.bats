#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The stories from the field: what the peer did, what the program was told of it,
# and that it wrote on. In C and in Python, over IPv4, IPv6 and unix sockets.
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper

load ../helpers

PYTHON=/usr/bin/python3

# address FAMILY PORT: as the log writes it.
address() {
	case $1 in
	tcp) echo "127.0.0.1:$2" ;;
	tcp6) echo "[::1]:$2" ;;
	*) echo "$2" ;;
	esac
}

# client STEP...: fixtures/steps by script; its output in $output, its status in $status.
client() {
	run guarded "$FIXTURES/steps" "$@"
	echo "$output"
}

# told FILTER WANTED: of the one event that there must be.
told() {
	equal "the number of events" 1 "$(broken .ev | grep -c .)"
	equal "$1" "$2" "$(broken "$1")"
}

# reset_story FAMILY: recv is told ECONNRESET, the client swallows that and sends.
reset_story() {
	peer "$1" get=10 reset
	client connect="$AT" send=10 recv=100 peername send=50
	((status == 141))
	[[ $output == *'recv=100 -1 ECONNRESET'* ]]
	[[ $output == *'name -1 ENOTCONN'* ]]
	told '[.call, .via, .signal, .errno, .kind, .side, .sent, .len, .ret]' \
		'["send","call","fatal","EPIPE","tcp","client",10,50,-1]'
	told .peer "\"$(address "$1" "$PORT")\""
	told '[.history[] | [.what, .call, .sent_since]]' '[["reset","recv",0]]'
	told '[.history[0].ago_ms, .age_ms] | map(type)' '["number","number"]'
	told '[.history[0].caller, .stack[0]] | map(test("^steps\\+0x[0-9a-f]+"))' '[true,true]'
}

@test "story 1: the server resets, recv's ECONNRESET is swallowed, send breaks: peer and history are named" {
	reset_story tcp
}

@test "story 1 over IPv6" {
	reset_story tcp6
}

@test "story 1 as text says it in words" {
	peer tcp get=10 reset
	run -141 guarded PIPEGUARD_FORMAT=text "$FIXTURES/steps" connect="$AT" send=10 recv=100 send=50
	cat "$LOG"
	[[ $(wc -l <"$LOG") = 4 ]]
	grep -Eq "^pipeguard\[[0-9]+:[0-9]+ steps\] send\(3, 50\) = EPIPE, SIGPIPE kills  tcp 127\.0\.0\.1:[0-9]+ -> 127\.0\.0\.1:$PORT, connected [0-9.]+ [mµun]*s ago, 10 bytes sent$" "$LOG"
	grep -Eq '^        recv\(\) returned ECONNRESET [0-9.]+ [mµun]*s before, in [a-z_]+\+0x[0-9a-f]+ \(steps\+0x[0-9a-f]+\), and the program wrote on$' "$LOG"
	grep -Eq '^        at [a-z_]+\+0x[0-9a-f]+ \(steps\+0x[0-9a-f]+\)' "$LOG"
	grep -Fxq '        again: send:comm=steps:side=client:conn=1:at=10:when=1:break' "$LOG"
}

@test "story 1 when send itself meets the reset: both lines, in order, on the same descriptor" {
	peer tcp get=10 reset
	client connect="$AT" send=10 readable send=50 send=60
	((status == 141))
	equal events '["reset","ECONNRESET",50,3]
["epipe","EPIPE",60,3]' "$(events '[.ev, .errno, .len, .fd]')"
	told '[.history[] | [.what, .call]]' '[["reset","send"]]'
	told .peer "\"127.0.0.1:$PORT\""
}

@test "story 1 over a unix socket: left with unread bytes, recv says reset" {
	peer "$BATS_TEST_TMPDIR/socket" get=1 close
	client connect="$AT" send=10 readable recv=100 send=50
	((status == 141))
	[[ $output == *'recv=100 -1 ECONNRESET'* ]]
	told '[.kind, .side, .peer, .errno, (.history | map(.what))]' \
		"[\"unix\",\"client\",\"$PORT\",\"EPIPE\",[\"reset\"]]"
}

@test "story 2: connect is refused and the client sends anyway" {
	peer tcp
	client connect="$AT" send=50
	((status == 141))
	[[ $output == *"connect=$PORT -1 ECONNREFUSED"* ]]
	told '[.call, .signal, .errno, .side, .peer, (.history | map([.what, .call]))]' \
		"[\"send\",\"fatal\",\"EPIPE\",\"client\",\"127.0.0.1:$PORT\",[[\"refused\",\"connect\"]]]"
}

@test "story 2 over IPv6, as text" {
	peer tcp6
	run -141 guarded PIPEGUARD_FORMAT=text "$FIXTURES/steps" connect="$AT" send=50
	cat "$LOG"
	grep -Eq '^        connect\(\) returned ECONNREFUSED .* before, in .*, and the program wrote on$' "$LOG"
	grep -Fq "[::1]:$PORT" "$LOG"
}

@test "story 2 without waiting: SO_ERROR told the refusal" {
	peer tcp
	client nonblock="$AT" send=50
	((status == 141))
	[[ $output == *"nonblock=$PORT -1 ECONNREFUSED"* ]]
	told '[.peer, (.history | map([.what, .call]))]' \
		"[\"127.0.0.1:$PORT\",[[\"refused\",\"getsockopt\"]]]"
}

# fin_story FAMILY: the end was seen, a write was accepted and lost, the next broke.
fin_story() {
	peer "$1" get=10 close
	client connect="$AT" send=10 recv=100 send=30 dead send=50
	((status == 141))
	[[ $output == *'recv=100 0 -'*'send=30 30 -'* ]]
	told '[.errno, .signal, .sent, .len]' '["EPIPE","fatal",40,50]'
	told .peer "\"$(address "$1" "$PORT")\""
	told '[.history[] | [.what, .call, .sent_since]]' '[["eof","recv",30]]'
}

@test "FIN: the end was seen, 30 bytes were accepted and lost, then it broke" {
	fin_story tcp
}

@test "FIN over IPv6" {
	fin_story tcp6
}

@test "FIN as text counts what went out since" {
	peer tcp get=10 close
	run -141 guarded PIPEGUARD_FORMAT=text "$FIXTURES/steps" connect="$AT" send=10 recv=100 send=30 dead send=50
	cat "$LOG"
	grep -Eq '^        recv\(\) returned EOF .* before, in .*, 30 bytes sent since$' "$LOG"
}

@test "FIN that nobody read: no history, the bytes that were lost are counted" {
	peer tcp get=10 close
	client connect="$AT" send=10 readable send=30 dead send=50
	((status == 141))
	told '[.errno, .sent, .history]' '["EPIPE",40,[]]'
}

@test "FIN over a unix socket: the end seen, the next write breaks at once" {
	peer "$BATS_TEST_TMPDIR/socket" get=10 close
	client connect="$AT" send=10 recv=100 send=50
	((status == 141))
	told '[.kind, .peer, .sent, (.history | map([.what, .sent_since]))]' \
		"[\"unix\",\"$PORT\",10,[[\"eof\",0]]]"
}

@test "413 bytes of an early answer that wait unread are counted" {
	peer tcp "text=$(printf '%0413d' 0)" shut get=1 reset
	client connect="$AT" readable send=30 dead send=50
	((status == 141))
	told '[.errno, .unread, .sent]' '["EPIPE",413,30]'
}

@test "413 unread bytes in text" {
	peer tcp "text=$(printf '%0413d' 0)" shut get=1 reset
	run -141 guarded PIPEGUARD_FORMAT=text "$FIXTURES/steps" connect="$AT" readable send=30 dead send=50
	cat "$LOG"
	grep -Eq ', 30 bytes sent, 413 bytes wait unread$' "$LOG"
}

@test "the writing side was shut down by the program itself: the history says so" {
	peer tcp all
	client connect="$AT" send=10 shut send=50
	((status == 141))
	told '[.errno, .sent, (.history | map([.what, .call]))]' '["EPIPE",10,[["shutdown","shutdown"]]]'
}

@test "a number used again tells of the new connection, not of the old one" {
	peer tcp get=10 reset accept get=7 close
	client connect="$AT" send=10 recv=100 close connect="$AT" send=7 readable send=30 dead send=50
	((status == 141))
	told '[.fd, .sent, .history]' '[3,37,[]]'
}

@test "verbose: recv's reset, the refusal and the end are events of their own" {
	local wanted
	peer tcp get=10 reset
	run -141 guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/steps" connect="$AT" send=10 recv=100 send=50
	equal reset '["reset","recv","ECONNRESET"]
["epipe","send","EPIPE"]' "$(events 'select(.fd == 3) | [.ev, .call, .errno]')"
	rm "$LOG"
	peer tcp
	run -141 guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/steps" connect="$AT" send=50
	wanted='["refused","connect","ECONNREFUSED"]
["epipe","send","EPIPE"]'
	equal refused "$wanted" "$(events 'select(.fd == 3) | [.ev, .call, .errno]')"
	rm "$LOG"
	peer tcp get=10 close
	run -141 guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/steps" connect="$AT" send=10 recv=100 send=30 dead send=50
	equal eof '["eof","recv",null]
["epipe","send","EPIPE"]' "$(events 'select(.fd == 3) | [.ev, .call, .errno]')"
}

# python SCRIPT ARGS: it ignores SIGPIPE by itself.
python() {
	run guarded "$PYTHON" -c "$@"
	echo "$output"
}

@test "story 1 in Python" {
	peer tcp get=10 reset
	python 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"x" * 10)
try:
    s.recv(100)
except ConnectionResetError:
    print("swallowed")
try:
    s.sendall(b"x" * 50)
except BrokenPipeError:
    print("broke")' "$PORT"
	((status == 0))
	[[ $output = swallowed$'\n'broke ]]
	told '[.call, .signal, .peer, .sent, .side, (.history | map([.what, .call, .sent_since]))]' \
		"[\"send\",\"ignored\",\"127.0.0.1:$PORT\",10,\"client\",[[\"reset\",\"recv\",0]]]"
	told '.disposition | [.state, (.by | test("^(lib)?python3"))]' '["ignored",true]'
}

@test "story 2 in Python, with the default SIGPIPE" {
	peer tcp
	python 'import signal, socket, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
s = socket.socket()
try:
    s.connect(("127.0.0.1", int(sys.argv[1])))
except ConnectionRefusedError:
    pass
s.send(b"x" * 50)' "$PORT"
	((status == 141))
	told '[.signal, .peer, (.history | map([.what, .call]))]' \
		"[\"fatal\",\"127.0.0.1:$PORT\",[[\"refused\",\"connect\"]]]"
}

@test "FIN in Python over IPv6, through a file object" {
	peer tcp6 get=10 close
	python 'import select, socket, sys
s = socket.create_connection(("::1", int(sys.argv[1])))
s.sendall(b"x" * 10)
assert s.recv(100) == b""
f = s.makefile("wb", 0)
f.write(b"x" * 30)
p = select.poll()
p.register(s, 0)
assert p.poll(10000)
try:
    f.write(b"x" * 50)
except BrokenPipeError:
    print("broke")' "$PORT"
	((status == 0))
	[[ $output = broke ]]
	told '[.signal, .peer, .sent, (.history | map([.what, .sent_since]))]' \
		"[\"ignored\",\"[::1]:$PORT\",40,[[\"eof\",30]]]"
}

@test "FIN in Python over a unix socket" {
	peer "$BATS_TEST_TMPDIR/socket" get=10 close
	python 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"x" * 10)
assert s.recv(100) == b""
try:
    s.sendall(b"x" * 50)
except BrokenPipeError:
    print("broke")' "$PORT"
	((status == 0))
	told '[.kind, .signal, .peer, .sent, (.history | map([.what, .sent_since]))]' \
		"[\"unix\",\"ignored\",\"$PORT\",10,[[\"eof\",0]]]"
}
