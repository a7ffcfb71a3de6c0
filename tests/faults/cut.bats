#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# cut: what a running process holds is broken, now.

load ../helpers
load ../outside

setup_file() {
	install_launcher
	go_program idle <<-'GO'
		package main
		import ("fmt"; "net"; "os")
		func main() {
			c, err := net.Dial("tcp", os.Args[1])
			if err != nil { fmt.Println(err); return }
			fmt.Println("up")
			_, err = c.Read(make([]byte, 10))
			fmt.Println(err)
		}
	GO
}

setup() {
	native_only
	run timeout 10 "$BUILD/pipeguard" cut --list $$
	[[ $status -lt 2 ]] || skip "descriptors of others cannot be taken here: $output"
	PIDS=()
}

teardown() { end_pids; }

# served FAMILY COMMAND: a python server accepts what COMMAND (@ is HOST:PORT) connects and tells how
# its read ends; the client is $PID, its output in client, the server's in server.
served() {
	/usr/bin/python3 - "$1" >"$BATS_TEST_TMPDIR/server" 3>&- <<-'PY' &
		import socket, sys
		v6 = sys.argv[1] == "6"
		l = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
		l.settimeout(15)
		l.bind(("::1" if v6 else "127.0.0.1", 0))
		l.listen()
		print(l.getsockname()[1], flush=True)
		s, _ = l.accept()
		s.settimeout(15)
		try: print("end" if not s.recv(10) else "data", flush=True)
		except OSError as e: print(e.strerror, flush=True)
	PY
	SERVER=$!
	PIDS+=("$SERVER")
	wait_for test -s "$BATS_TEST_TMPDIR/server"
	PORT=$(head -1 "$BATS_TEST_TMPDIR/server")
	"${@:2}" "$([[ $1 = 6 ]] && echo "[::1]" || echo 127.0.0.1):$PORT" >"$BATS_TEST_TMPDIR/client" 2>&1 3>&- &
	PID=$!
	PIDS+=("$PID")
	wait_for grep -q up "$BATS_TEST_TMPDIR/client"
}

# client HOST:PORT: in python, which waits for an answer, and says how that ended.
client() {
	exec /usr/bin/python3 -u -c '
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
c = socket.create_connection((host.strip("[]"), int(port)))
print("up")
try: print("end" if not c.recv(10) else "data")
except OSError as e: print(e.strerror)' "$1"
}

ended() {
	wait "$PID" || :
	wait "$SERVER"
	equal "the client" "$1" "$(sed 1d "$BATS_TEST_TMPDIR/client")"
	equal "the server" "$2" "$(sed 1d "$BATS_TEST_TMPDIR/server")"
}

@test "an idle connection of a static Go client is reset: both ends see it" {
	needs_go idle
	served 4 "$GO_DIR/idle"
	cat "$BATS_TEST_TMPDIR/client"
	run launch cut "$PID" "port=$PORT"
	echo "$output"
	[[ $output = "fd "*": tcp 127.0.0.1:"*" -> 127.0.0.1:$PORT: reset" ]]
	wait "$PID"
	grep -q 'reset by peer' "$BATS_TEST_TMPDIR/client"
	wait "$SERVER"
	equal "the server" "Connection reset by peer" "$(sed 1d "$BATS_TEST_TMPDIR/server")"
}

@test "the server's end is cut by its own port" {
	served 4 client
	run -0 launch cut "$SERVER" "side=server:port=$PORT"
	wait "$PID" "$SERVER" || :
	equal "the client" "Connection reset by peer" "$(sed 1d "$BATS_TEST_TMPDIR/client")"
	# who waits in recv() meanwhile may be told EPIPE: that is said in the manual
	[[ $(sed 1d "$BATS_TEST_TMPDIR/server") = @("Connection reset by peer"|"Broken pipe") ]]
}

@test "IPv6, a network, and fin: the other side reads the end" {
	served 6 client
	run -0 launch cut "$PID" "peer=[::1]/128:fin"
	[[ $output = *"[::1]:$PORT: fin" ]]
	wait "$SERVER"
	equal "the server" end "$(sed 1d "$BATS_TEST_TMPDIR/server")"
}

@test "break: both sides read the end" {
	served 4 client
	run -0 launch cut "$PID" break
	ended end end
}

@test "--list cuts nothing, and says the same as the cut does; --json is an object a line" {
	served 4 client
	run -0 launch cut --list "$PID"
	[[ $output = "fd "*": tcp 127.0.0.1:"*" -> 127.0.0.1:$PORT" ]]
	run -0 launch cut -j --list "$PID"
	equal "the object" "[\"tcp\",\"client\",\"127.0.0.1:$PORT\",0,null]" \
		"$(jq -c '[.kind, .side, .peer, .unread, .cut]' <<<"$output")"
	run -0 launch cut --list "$PID" kind=pipe,tcp
	equal "still up" up "$(cat "$BATS_TEST_TMPDIR/client")"
	run -0 launch cut -j "$PID"
	equal "what was cut" '"reset"' "$(jq -c .cut <<<"$output")"
}

@test "what does not match is let alone: status 1" {
	served 4 client
	local selector
	for selector in port=1 peer=10.0.0.0/8 side=server fd=0 kind=tcp6 "lport=$PORT" 'path=/x*'; do
		run -1 launch cut "$PID" "$selector"
		equal "output of $selector" "" "$output"
	done
	equal "still up" up "$(cat "$BATS_TEST_TMPDIR/client")"
}

@test "a unix socket breaks; of what cannot be cut it says so, with status 1" {
	/usr/bin/python3 -u -c '
import socket
a, b = socket.socketpair()
print("up")
print(a.recv(1))' >"$BATS_TEST_TMPDIR/client" 3>&- &
	PID=$!
	PIDS+=("$PID")
	wait_for grep -q up "$BATS_TEST_TMPDIR/client"
	run -1 launch cut "$PID" kind=unix:reset
	[[ $output = *"reset is not possible"* ]]
	run -0 launch cut "$PID" kind=unix
	wait "$PID"
	equal "read" "b''" "$(sed 1d "$BATS_TEST_TMPDIR/client")"
}

@test "wrong use is refused" {
	run -125 launch cut
	run -125 launch cut x
	run -127 launch cut 4194305
	run -125 launch cut $$ fdd=3
	equal "the line" "pipeguard: cut: column 1: unknown field 'fdd' (did you mean 'fd'?)" "$output"
	run -125 launch cut $$ when=3
	[[ $output = "pipeguard: cut: 'when' means nothing here"* ]]
	run -125 launch cut $$ hold
	run -125 launch cut --list $$ reset
}
