#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# attach: processes that run already.
# shellcheck disable=SC2153 # outside.bash sets PID

load ../helpers
load ../outside

setup_file() {
	install_launcher
	go_program server <<-'GO'
		package main
		import ("fmt"; "net"; "net/http"; "os"; "time")
		func main() {
			l, _ := net.Listen("tcp", "127.0.0.1:0")
			fmt.Println(l.Addr().(*net.TCPAddr).Port)
			os.Stdout.Sync()
			http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for i := 0; i < 3000; i++ {
					if _, err := w.Write(make([]byte, 1000)); err != nil { return }
					w.(http.Flusher).Flush()
					time.Sleep(time.Millisecond)
				}
			}))
		}
	GO
}

setup() {
	traced_only
	# shellcheck disable=SC2034 # for outside.bash
	PIDS=()
}

teardown() { end_pids; }

# hurry PORT: a client that asks, reads a little and resets.
hurry() {
	/usr/bin/python3 - "$1" <<-'PY'
		import socket, struct, sys
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		s.recv(1000)
		print(s.getsockname()[1])
		s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	PY
}

@test "a Go server that runs already: what broke, whose connection it was, and it serves on" {
	[[ $BITS = 64 ]] || skip "Go keeps no frame pointers there"
	needs_go server
	local client port
	begin "$BATS_TEST_TMPDIR/port" "$GO_DIR/server"
	wait_for test -s "$BATS_TEST_TMPDIR/port"
	port=$(cat "$BATS_TEST_TMPDIR/port")
	attached "$PID" -- --once
	# A reset that comes while a write waits is that write's ECONNRESET, and no write follows.
	local try look
	for ((try = 0; try < 10; try++)); do
		client=$(hurry "$port")
		for ((look = 0; look < 20; look++)); do
			[[ ! -s $LOG ]] || break 2
			sleep 0.05
		done
	done
	wait "$ENGINE"
	equal "the event" "[\"write\",\"tcp\",\"server\",\"127.0.0.1:$port\",\"127.0.0.1:$client\",\"caught\",\"outside\"]" \
		"$(broken '[.call, .kind, .side, .local, .peer, .signal, .engine]')"
	broken '.stack | join(" ")' | grep -q 'net\.(\*conn)\.Write'
	untraced "$PID"
	hurry "$port"
	equal "events" 1 "$(broken | wc -l)"
}

@test "python3 that broke before is looked at, and left as it was" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/py" /usr/bin/python3 -u -c '
import socket
a, b = socket.socketpair()
b.close()
def send():
    try: a.send(b"x" * 700)
    except OSError as e: print(e.errno)
send()
input()
send()
send()' <"$BATS_TEST_TMPDIR/in"
	wait_for grep -q 32 "$BATS_TEST_TMPDIR/py"
	attached "$PID"
	echo >&7
	wait "$ENGINE"
	exec 7>&-
	equal "the events" '["send","unix",700,"ignored"] ["send","unix",700,"ignored"]' \
		"$(broken '[.call, .kind, .len, .signal]' | xargs -d '\n')"
	equal "what it was told" "32 32 32" "$(xargs <"$BATS_TEST_TMPDIR/py")"
}

@test "SIGINT, SIGTERM and --for leave the processes as they were" {
	local way
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/idle" "$STILL" idle <"$BATS_TEST_TMPDIR/in"
	local idle=$PID
	wait_for grep -q idle "$BATS_TEST_TMPDIR/idle"
	for way in INT TERM; do
		attached "$idle"
		traced "$idle"
		kill "-$way" "$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$idle/status")"
		wait "$ENGINE"
		untraced "$idle"
	done
	attached "$idle" -- --for 100ms
	wait "$ENGINE"
	untraced "$idle"
	run -1 launch attach --once --for 50ms "$idle"
	exec 7>&-
	wait "$idle"
}

@test "several processes, their threads and the children to come" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	local one two
	begin "$BATS_TEST_TMPDIR/one" sh -c "read -r line; '$STILL' pair 1" <"$BATS_TEST_TMPDIR/in"
	one=$PID
	begin "$BATS_TEST_TMPDIR/two" sh -c "read -r line; '$STILL' pair 1" <"$BATS_TEST_TMPDIR/in"
	two=$PID
	attached "$one" "$two"
	echo >&7
	echo >&7
	wait "$ENGINE"
	exec 7>&-
	equal "the events" '"still" "still"' "$(broken .comm | xargs -d '\n')"
	equal "processes" 2 "$(broken .pid | sort -u | wc -l)"
}

@test "a storm of threads while it attaches: all are looked after, none is lost" {
	begin "$BATS_TEST_TMPDIR/storm" "$STILL" threads 20000
	attached "$PID"
	wait "$ENGINE"
	wait "$PID"
	equal "said" "20000 threads" "$(cat "$BATS_TEST_TMPDIR/storm")"
}

@test "-S suppress survives in a process that runs already" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/one" bash -c "read -r line; exec '$STILL' pair 2" <"$BATS_TEST_TMPDIR/in"
	attached "$PID" -- -S suppress
	echo >&7
	wait "$ENGINE"
	wait "$PID"
	exec 7>&-
	equal "said" "2 times EPIPE" "$(cat "$BATS_TEST_TMPDIR/one")"
}

@test "a process that SIGSTOP stopped stays so, and goes on at SIGCONT" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/idle" "$STILL" idle <"$BATS_TEST_TMPDIR/in"
	wait_for grep -q idle "$BATS_TEST_TMPDIR/idle"
	kill -STOP "$PID"
	wait_for grep -q '^State:.*T (' "/proc/$PID/status"
	attached "$PID" -- --for 200ms
	wait "$ENGINE"
	wait_for grep -q '^State:.*T (' "/proc/$PID/status"
	exec 7>&-
	kill -CONT "$PID"
	wait "$PID"
}

@test "SIGKILL of attach leaves the process running" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/idle" "$STILL" idle <"$BATS_TEST_TMPDIR/in"
	wait_for grep -q idle "$BATS_TEST_TMPDIR/idle"
	attached "$PID"
	kill -KILL "$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$PID/status")"
	wait_for untraced "$PID"
	exec 7>&-
	wait "$PID"
}

@test "what the library is in already is said so, and told once" {
	glibc_only
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/py" env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
		/usr/bin/python3 -c 'import socket
a, b = socket.socketpair(); b.close(); input()
try: a.send(b"x")
except OSError: pass' <"$BATS_TEST_TMPDIR/in"
	wait_for grep -q libpipeguard "/proc/$PID/maps"
	wait_for grep -q python "/proc/$PID/comm"
	attached "$PID"
	grep -q 'the library is in it' "$BATS_TEST_TMPDIR/said"
	echo >&7
	wait "$ENGINE"
	exec 7>&-
	equal "the events" '"inside"' "$(broken .engine)"
}

@test "-r RULE in a process that runs already: it fires, its cost is said, and nothing stays behind" {
	ruled_only
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	# shellcheck disable=SC2016 # for the inner shell
	begin "$BATS_TEST_TMPDIR/sh" bash -c 'while read -r line; do echo "$line"; done' <"$BATS_TEST_TMPDIR/in"
	attached "$PID" -- -r 'write:fd=1:when=2:error=ENOSPC'
	grep -q 'stop each of its system calls twice' "$BATS_TEST_TMPDIR/said"
	printf '%s\n' one two three >&7
	wait_for grep -q three "$BATS_TEST_TMPDIR/sh"
	kill -TERM "$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$PID/status")"
	wait "$ENGINE"
	untraced "$PID"
	printf '%s\n' four five >&7
	wait_for grep -q five "$BATS_TEST_TMPDIR/sh"
	exec 7>&-
	equal "what was written" "one three four five" "$(xargs <"$BATS_TEST_TMPDIR/sh")"
	grep -q 'No space left' "$BATS_TEST_TMPDIR/sh.errors"
	grep -q '^Seccomp:[^0-9]*0' "/proc/self/status"
	equal "what is told" '["r1","error=ENOSPC"]' "$(events 'select(.ev == "inject") | [.rule, .action]')"
}

@test "attach -r of threads that make calls all the time: each goes on, what waits has its time, and it ends when asked to" {
	ruled_only
	local rule
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/out" "$STILL" busy 48 <"$BATS_TEST_TMPDIR/in"
	for rule in '' ';write:path=/dev/null:error=EIO'; do
		attached "$PID" -- -r "write:fd=1:delay=1ms$rule" --for 100ms
		wait_for untraced "$PID"
		wait "$ENGINE"
		attached "$PID" -- -r "write:fd=1:delay=1ms$rule"
		: >"$BATS_TEST_TMPDIR/out"
		echo >&7
		wait_for test -s "$BATS_TEST_TMPDIR/out"
		kill -TERM "$ENGINE"
		wait_for untraced "$PID"
		wait "$ENGINE"
	done
	exec 7>&-
	wait "$PID"
}

@test "attach -r ends no call that waits: not epoll_wait, which no signal has come to" {
	ruled_only
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/program" "$STILL" epoll <"$BATS_TEST_TMPDIR/in"
	wait_for grep -q waits "$BATS_TEST_TMPDIR/program"
	asleep() { grep -qs '^State:.*S' "/proc/$PID/status"; }
	wait_for asleep
	attached "$PID" -- -r write:fd=99:break
	wait_for asleep
	echo >&7
	wait "$PID"
	wait "$ENGINE"
	exec 7>&-
	equal "what it was told" "waits 1" "$(xargs <"$BATS_TEST_TMPDIR/program")"
}

@test "--control: rules come to a process that runs already, are counted there, and go" {
	ruled_only
	local file=$BATS_TEST_TMPDIR/file page=$BATS_TEST_TMPDIR/page
	ctl() { timeout "$LIMIT" "$BUILD/pipeguard" ctl "$page" "$@" 3>&- 7<&-; }
	begin "$BATS_TEST_TMPDIR/out" timeout 20 "$FIXTURES/paged" 1 2 "$file"
	local starter=$PID pid
	wait_for test -e "$file"
	pid=$(pgrep -P "$(pgrep -P "$starter")") # timeout's child, which waits for its own
	attached "$pid" -- --control "$page"
	grep -q 'rules that may come' "$BATS_TEST_TMPDIR/said"
	ctl rules 'io=write:fd=9:when=3:error=EIO'
	run -0 ctl fired io --wait 5s
	[ "$output" = 1 ]
	ctl rules 'quota=write:fd=9:limit=2:error=EDQUOT'
	run -0 ctl fired quota --wait 5s
	ctl clear
	kill -TERM "$ENGINE"
	wait "$ENGINE" || :
	touch "$file.end"
	wait "$starter"
	read -r _ _ io quota other <"$BATS_TEST_TMPDIR/out"
	[[ $io -eq 1 && $quota == [12] && $other -eq 0 ]]
	rm "$file" "$file.end"
	echo none >"$page"
	run -125 timeout "$LIMIT" "$BUILD/pipeguard" attach --control "$page" $$ 3>&-
	[[ $output == *"is no page"* ]]
}

@test "-r break in a process that runs already: a pipe without a reader takes its number" {
	ruled_only
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	local status=0
	begin "$BATS_TEST_TMPDIR/pid" bash -c "echo \$\$; exec bash -c 'read -r l; exec \"$STILL\" writes 5' > >(cat >$BATS_TEST_TMPDIR/out)" \
		<"$BATS_TEST_TMPDIR/in"
	attached "$PID" -- -r 'write:fd=1:when=3:break'
	echo >&7
	wait "$PID" || status=$?
	wait "$ENGINE"
	exec 7>&-
	((status == 141))
	equal "what arrived" "line 1 line 2" "$(xargs <"$BATS_TEST_TMPDIR/out")"
	equal "the event" '["write","pipe","fatal",true]' "$(broken '[.call, .kind, .signal, .injected]')"
}

@test "-r break ends no process whose sandbox forbids it to make pipes: it says that it cannot" {
	ruled_only
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/out" "$FIXTURES/same" confined <"$BATS_TEST_TMPDIR/in"
	wait_for grep -q waits "$BATS_TEST_TMPDIR/out"
	attached "$PID" -- -r 'write:kind=pipe:fd=3-:break'
	echo >&7
	wait "$PID"
	wait "$ENGINE"
	exec 7>&-
	equal "what it said" "starts 0 waits 0 written 1" "$(xargs <"$BATS_TEST_TMPDIR/out")"
	equal "what is told" '["break","EOPNOTSUPP"]' "$(events 'select(.ev == "inject") | [.action, .failed]')"
}

@test "who cannot be looked at is refused with one line" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/idle" "$STILL" idle <"$BATS_TEST_TMPDIR/in"
	local idle=$PID
	attached "$idle"
	run -126 launch attach "$idle"
	[[ $output = "pipeguard: process $idle (still) is traced already, by process "*" (pipeguard): only one tracer is allowed" ]]
	run -127 launch attach 4194305
	run -125 launch attach
	run -125 launch attach x
	run -125 launch attach --for 5 "$idle"
	[[ $output = "pipeguard: --for: not a time like"* ]]
	exec 7>&-
	wait "$idle"
}

@test "another user's process may not be traced, and the line says what to do" {
	((EUID == 0)) || skip "only root can be another user"
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	begin "$BATS_TEST_TMPDIR/idle" "$STILL" idle <"$BATS_TEST_TMPDIR/in"
	cp "$BUILD/pipeguard" "/tmp/pipeguard-attach-$$"
	cp "$LIB" "/tmp/libpipeguard-attach-$$.so"
	run timeout 10 setpriv --reuid 65534 --clear-groups "/tmp/pipeguard-attach-$$" attach "$PID"
	rm -f "/tmp/pipeguard-attach-$$" "/tmp/libpipeguard-attach-$$.so"
	exec 7>&-
	((status == 126))
	[[ $output = *"sudo pipeguard attach"* ]]
}
