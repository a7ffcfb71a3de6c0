#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Public reports of broken pipes, each played again in small: the line says what
# its reporters had to search for. The numbers are those of the projects' survey
# of reports; what `log/peer_history`, `servers` and `programs` already play is there.
# shellcheck disable=SC2016 # inner shells and filters expand

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	DIR=$BATS_TEST_TMPDIR
	cd "$DIR" || return
}

# told FILTER WANTED: of the one event that there must be.
told() {
	equal "the number of events" 1 "$(broken .ev | grep -c .)"
	equal "$1" "$2" "$(broken "$1")"
}

@test "1, 19, 21, 23: a server that dies of a client without a word" {
	local pid ours status=0
	"$FIXTURES/sigdfl" timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" \
		PIPEGUARD_FORMAT=json "$FIXTURES/server" tcp -d 9000000 >out 3>&- &
	pid=$!
	wait_for test -s out
	ours=$(plain "$FIXTURES/steps" connect="$(<out)" send=4 recv=9 local close |
		sed -n 's/^local \(.*\) -/\1/p')
	wait "$pid" || status=$?
	equal status 141 "$status"
	told '[.comm, .signal, .kind, .peer]' "[\"server\",\"fatal\",\"tcp\",\"127.0.0.1:$ours\"]"
	[[ $(broken '.stack[0]') == *' serve"' ]]
}

# Libraries change the disposition behind the program's back; here libffi does.
@test "2, 9, 16: another library set SIGPIPE back to the default" {
	run -141 guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 "$PYTHON" -c 'import ctypes, os
ctypes.CDLL(None).signal(13, None)
os.write(1, b"x")'
	equal change '["ignored","default",true]' "$(events 'select(.ev == "disposition" and .to == "default")
		| [.from, .to, (.by | test("^libffi\\.so[.0-9]*\\+0x"))]')"
	told .signal '"fatal"'
}

@test "8: a database library ignores SIGPIPE for the whole process" {
	run -0 guarded "$FIXTURES/brokenfd" 1 "$PYTHON" -c 'import ctypes, os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
ctypes.CDLL(None).signal(13, ctypes.c_void_p(1))
try:
    os.write(1, b"x")
except BrokenPipeError:
    pass'
	told '[.signal, .disposition.state, (.disposition.by | test("^libffi"))]' '["ignored","ignored",true]'
}

@test "15, 22: which thread it was, and which changed the disposition" {
	run -0 guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 "$PYTHON" -c 'import ctypes, os, threading
def f():
    try:
        os.write(1, b"x")
    except BrokenPipeError:
        pass
t = threading.Thread(target=f)
t.start()
t.join()'
	told '[.tid != .pid, .disposition.tid == .pid]' '[true,true]'
}

@test "3 to 7: SIGPIPE ignored by a parent far above is said to be inherited" {
	run -0 plain "$PYTHON" -c 'import subprocess, sys
subprocess.run(["sh", "-c", "sh -c \"$0\"", sys.argv[1]], restore_signals=False)' \
		"LD_PRELOAD=$LIB PIPEGUARD_LOG=$LOG PIPEGUARD_FORMAT=json yes 2>/dev/null | head -n 1"
	told '[.comm, .signal, .disposition.state, .disposition.by]' '["yes","ignored","ignored","inherited"]'
}

@test "3 to 7 in words" {
	run guarded -i PIPEGUARD_FORMAT=text "$FIXTURES/brokenfd" 1 yes
	[[ $(grep -c '^        SIGPIPE was already ignored when this program started' "$LOG") = 1 ]]
}

@test "29: a program that inherits an ignored SIGPIPE takes the default back" {
	run -141 guarded -i PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 env --default-signal=PIPE yes
	equal change '["env","ignored","default",true]' "$(events 'select(.ev == "disposition")
		| [.comm, .from, .to, (.by | test("^env\\+0x"))]')"
	equal load '["ignored","ignored","default"]' "$(jq -c -s \
		'[.[] | select(.ev == "load") | .sigpipe]' "$LOG")"
	told '[.comm, .signal]' '["yes","fatal"]'
}

@test "12: an answer before the body was read: the server is told that its close resets" {
	local pid status=0
	timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
		PIPEGUARD_VERBOSE=1 "$PYTHON" -c 'import socket
l = socket.create_server(("127.0.0.1", 0))
print(l.getsockname()[1], flush=True)
c = l.accept()[0]
c.recv(100, socket.MSG_WAITALL)
c.send(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
c.close()' >out 3>&- &
	pid=$!
	wait_for test -s out
	run plain "$FIXTURES/steps" connect="$(<out)" send=50100 dead
	wait "$pid" || status=$?
	equal status 0 "$status"
	equal doomed '["close","server",true,29]' "$(events 'select(.ev == "doomed")
		| [.call, .side, .unread > 0 and .unread <= 50000, .sent]')"
}

@test "12, 13: the client's upload breaks while the answer waits unread" {
	peer tcp get=10 'text=HTTP/1.1 413 Content Too Large' shut get=1 reset
	run -141 guarded "$FIXTURES/steps" connect="$PORT" send=10 readable send=10 dead send=1000000
	told '[.unread, .sent, .peer]' "[30,20,\"127.0.0.1:$PORT\"]"
}

@test "14, 17, 18, 20: TLS on a dead connection, with no MSG_NOSIGNAL: libcrypto's write is named" {
	requires openssl
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-subj /CN=localhost -keyout key -out cert 2>/dev/null
	timeout "$LIMIT" "$PYTHON" -c 'import socket, ssl, struct
x = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
x.load_cert_chain("cert", "key")
l = socket.create_server(("127.0.0.1", 0))
print(l.getsockname()[1], flush=True)
c = x.wrap_socket(l.accept()[0], server_side=True)
c.recv(5)
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
c.close()' >out 3>&- &
	wait_for test -s out
	run -141 guarded "$PYTHON" -c 'import select, signal, socket, ssl, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
x = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
x.check_hostname, x.verify_mode = False, ssl.CERT_NONE
s = x.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
s.send(b"hello")
p = select.poll()
p.register(s, 0)
assert p.poll(10000)
s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
s.write(b"more")' "$(<out)"
	told '[.call, .signal, .peer, .sent > 100, (.stack[0] | test("^libcrypto\\.so")),
		([.stack[] | test("^libssl\\.so")] | any), (.history | map([.what, .call]))]' \
		"[\"write\",\"fatal\",\"127.0.0.1:$(<out)\",true,true,true,[[\"reset\",\"getsockopt\"]]]"
}

@test "24: standard error is a unix socket whose daemon is gone" {
	peer "$DIR/daemon" close
	run guarded "$PYTHON" -c 'import os, select, signal, socket, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
p = select.poll()
p.register(s, 0)
assert p.poll(10000)
os.dup2(s.fileno(), 2)
os.execvp("cat", ["cat", "missing"])' "$PORT"
	equal status 141 "$status"
	told '[.comm, .fd, .kind, .peer]' "[\"cat\",2,\"unix\",\"$PORT\"]"
}

@test "25: a FIFO without a reader is named" {
	mkfifo fifo
	run -141 guarded bash -c 'exec 5<>fifo 6>fifo 5>&-; echo lost >&6'
	told '[.fd, .kind, .local]' "[1,\"pipe\",\"$DIR/fifo\"]"
}

@test "25: the log is the very pipe that broke: no loop, no other end" {
	run timeout "$LIMIT" "$FIXTURES/sigdfl" "$FIXTURES/brokenfd" 2 env LD_PRELOAD="$LIB" \
		bash -c 'trap "exit 9" PIPE; echo lost >&2; exit 3'
	equal status 9 "$status"
}

@test "26, 27: splice into a closed standard output" {
	"$PYTHON" -c 'import os; os.splice' 2>/dev/null || skip "this Python has no os.splice"
	run -141 guarded "$FIXTURES/brokenfd" 1 "$PYTHON" -c 'import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
r, w = os.pipe()
os.write(w, b"12345")
os.splice(r, 1, 5)'
	told '[.call, .via, .fd, .kind, .signal]' '["splice","call",1,"pipe","fatal"]'
}

@test "32: a unix socket's server stopped: the path is named, not a crash" {
	peer "$DIR/redis.sock" get=4 close
	run -141 guarded "$FIXTURES/steps" connect="$PORT" send=4 dead write=4
	told '[.call, .signal, .kind, .side, .peer, .sent]' \
		"[\"write\",\"fatal\",\"unix\",\"client\",\"$PORT\",4]"
}

@test "33: a goodbye to a dead connection from an exit handler" {
	peer tcp get=4 reset
	run -0 guarded "$PYTHON" -c 'import atexit, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.send(b"1234")
def quit():
    try:
        s.recv(9)
    except ConnectionResetError:
        pass
    try:
        s.send(b"QUIT")
    except BrokenPipeError:
        pass
atexit.register(quit)' "$PORT"
	told '[.peer, .len, (.history | map(.what))]' "[\"127.0.0.1:$PORT\",4,[\"reset\"]]"
}

@test "35, 36, 37: which command of which pipeline, under pipefail" {
	run -141 guarded bash -c 'set -o pipefail
		seq 1 1000000 | cat | grep -m1 7 >/dev/null'
	[[ $(broken .comm | sort -u) = *'"cat"'* ]]
	[[ $(broken '.signal' | sort -u) = '"fatal"' ]]
	[[ $(broken '[.comm, .kind, .fd]' | grep -c '"cat","pipe",1') = 1 ]]
}

@test "39: git's upload-pack, whose client left" {
	requires git
	git init -q -b main r
	git -C r -c user.name=a -c user.email=a@b commit -q --allow-empty -m one
	run -141 guarded "$FIXTURES/brokenfd" 1 git upload-pack r
	told '[.comm | test("^git")]' '[true]'
	told '[.call, .signal, .fd]' '["write","fatal",1]'
}

@test "41: the log daemon's datagram socket was closed: refused, and told when verbose" {
	run -0 guarded PIPEGUARD_VERBOSE=1 "$PYTHON" -c 'import socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
b.close()
for n in 1, 2:
    try:
        a.send(b"x")
    except OSError as e:
        print(type(e).__name__)'
	[[ $output = ConnectionRefusedError$'\n'* ]]
	equal refused '["send","ECONNREFUSED","unix"]' \
		"$(events 'select(.ev == "refused") | [.call, .errno, .kind]')"
}

@test "42: a worker writes to a number that is now a dead pipe: the object is the new one" {
	peer tcp get=4 close
	run -141 guarded "$FIXTURES/sigdfl" "$PYTHON" -c 'import os, signal, socket, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.send(b"1234")
r, w = os.pipe()
os.close(r)
os.dup2(w, s.fileno())
os.write(s.fileno(), b"x")' "$PORT"
	told '[.kind, .peer, .side, .sent // 0, .history]' '["pipe",null,null,0,[]]'
}
