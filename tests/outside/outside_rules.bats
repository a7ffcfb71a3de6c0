#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Rules from outside: programs that the library cannot enter meet the kernel's own faults.

load ../helpers
load ../outside

export BATS_TEST_TIMEOUT=150 # whole suites inside of a test, on a busy machine

setup_file() {
	install_launcher
	go_program lines <<-'GO'
		package main
		import ("fmt"; "os")
		func main() {
			for i := 1; i <= 100; i++ {
				if _, err := fmt.Println("line", i); err != nil { os.Exit(3) }
			}
		}
	GO
	go_program client <<-'GO'
		package main
		import ("fmt"; "io"; "net/http"; "os")
		func main() {
			r, err := http.Get(os.Args[1])
			if err != nil { fmt.Println(err); os.Exit(1) }
			b, err := io.ReadAll(r.Body)
			fmt.Println(len(b), err)
		}
	GO
}

setup() {
	ruled_only
}

# ruled RULES PROGRAM ARGS
ruled() {
	outside -d PIPEGUARD_RULES="$1" "${@:2}" 2>"$BATS_TEST_TMPDIR/errors"
}

@test "faults.bats: resets on TCP, from outside" {
	pairs faults/faults.bats '^the probe sees|^reset on TCP: (whatever|every|a server|the peer sees|an event|the diff)|^reset: a rule|^reset on a (read|write)' 9
}

@test "faults.bats: resets on unix sockets, refusals, holds, messages, from outside" {
	pairs faults/faults.bats '^reset on AF_UNIX: (whatever|the peer)|^refuse|^hold|^a sendmmsg|^a thread that waits' 7
}

@test "faults.bats: breaks, fin and eof on sockets, pipes and FIFOs, from outside" {
	pairs faults/faults.bats '^break on|^fin on|^eof on' 6
}

@test "firing.bats: the byte, from outside" {
	pairs rules/firing.bats '^without rules|^at=: (exactly|a file fills|inside a vector|counted)|^at= on reads: (the bytes|a look)' 6
}

@test "firing.bats: the call, the order, the draw, the window, the kind, the scope, from outside" {
	pairs rules/firing.bats '^when=|^when= beside|^rules are asked|^prob=|^after=|^kind=|^scope=|^at=: what is read' 7
}

@test "bytes that are counted come with who sent them, and a send may name whom it goes to" {
	requires python3
	run ruled 'recvfrom,recvmsg:kind=unix:at=25:eof;sendto:kind=tcp:at=5:error=EIO' python3 -u - "$BATS_TEST_TMPDIR/s" <<-'PY'
		import socket, sys
		path = sys.argv[1]
		def pair(*address):
		    server = socket.create_server(*address) if address else socket.socket(socket.AF_UNIX)
		    if not address: server.bind(path), server.listen()
		    client = socket.socket(server.family)
		    client.connect(server.getsockname())
		    return client, server.accept()[0]
		client, peer = pair()
		peer.send(b"x" * 60)
		a, b = client.recvfrom(10), client.recvmsg(10)
		print(len(a[0]), a[1] == path, len(b[0]), b[3] == path)
		print([len(client.recvfrom(10)[0]) for _ in range(2)])
		client, peer = pair(("127.0.0.1", 0))
		print(client.sendto(b"x" * 9, peer.getsockname()), len(peer.recv(20)))
		try: client.sendto(b"x", peer.getsockname())
		except OSError as e: print(e.errno)
	PY
	cat "$BATS_TEST_TMPDIR/errors"
	equal "output" $'10 True 10 True\n[5, 0]\n5 5\n5' "$output"
}

@test "a rule that waits leaves alone what has taken the number meanwhile, from outside" {
	run ruled 'write:kind=pipe:len=5:when=1:hold=20s:break' "$FIXTURES/impossible" meanwhile
	equal "what the program sees" $'0 write EBADF\nread 0' "$status $output"
	equal "why not" '["EBADF",null]' "$(events 'select(.ev == "inject") | [.failed, .held]')"
}

@test "32-bit programs: faults on TCP, unix sockets, pipes and FIFOs" {
	narrow steps sigdfl
	STATIC=$NARROW pairs faults/faults.bats '^reset on TCP: (whatever|the peer sees)|^reset on AF_UNIX: whatever|^refuse|^break on|^fin on|^eof on' 8
}

@test "32-bit programs: the byte, the call, messages, vectors, offsets" {
	narrow steps sigdfl
	STATIC=$NARROW pairs rules/firing.bats '^at=: (exactly|a file fills|inside a vector)|^at= on reads: the bytes|^when=|^rules are asked' 5
}

@test "32-bit and 64-bit programs in one tree, a call of each after the other" {
	narrow still
	local status=0
	ruled write:fd=1:when=40:error=EIO bash -c "'$NARROW/still' writes 60 & '$STILL' writes 60; wait" >"$BATS_TEST_TMPDIR/out" || status=$?
	equal "lines" "78" "$(grep -c '^line' "$BATS_TEST_TMPDIR/out")"
	equal "the events" '["write",1,true] ["write",1,true]' "$(events 'select(.ev == "inject") | [.call, .fd, .injected]' | xargs -d '\n')"
}

@test "a Go program dies of its third write exactly, and of no other one" {
	needs_go lines
	run ruled write:fd=1:when=3:break "$GO_DIR/lines"
	((status == 141))
	equal "output" $'line 1\nline 2' "$output"
	equal "the events" '["inject",false] ["epipe",true]' \
		"$(events 'select(.ev != "exit") | [.ev, .injected and .ev == "epipe"]' | xargs -d '\n')"
}

@test "a Go client is refused, reset, and ends early" {
	needs_go client
	/usr/bin/python3 -u -m http.server --bind 127.0.0.1 0 --directory "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/server" 2>&1 3>&- &
	local server=$! port
	head -c 100000 /dev/zero >"$BATS_TEST_TMPDIR/big"
	wait_for grep -q 'port [0-9]' "$BATS_TEST_TMPDIR/server" || { kill "$server"; false; }
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$BATS_TEST_TMPDIR/server")
	local url="http://127.0.0.1:$port/big" refused reset eof
	refused=$(ruled "connect:port=$port:refuse" "$GO_DIR/client" "$url" || :)
	reset=$(ruled "%in:port=$port:when=1:reset" "$GO_DIR/client" "$url" || :)
	eof=$(ruled "%in:port=$port:at=5000:eof" "$GO_DIR/client" "$url" || :)
	kill "$server"
	echo "$refused; $reset; $eof"
	[[ $refused = *"connection refused"* ]]
	[[ $reset = *"reset by peer"* ]]
	[[ $eof = *"unexpected EOF"* ]]
}

@test "calls that no rule can reach pass in the kernel: other descriptors, other calls" {
	command -v strace >/dev/null || skip "strace is not installed"
	run ruled write:fd=77:break "$STILL" writes 3
	((status == 0))
	equal "what is told, before the end" '' "$(events 'select(.ev != "exit")')"
}

@test "a call that is just counted costs two system calls, and signals are heard meanwhile" {
	requires strace
	strace -o /dev/null true 2>/dev/null || skip "nothing can be traced here"
	local counts=$BATS_TEST_TMPDIR/counts go=$BATS_TEST_TMPDIR/go program supervisor tracer n
	local waits='|p?poll|epoll_.*' # before Linux 6.6 it looks for the next one awake
	! "$BUILD/pipeguard" run --outside -v -o off -r write:fd=99:error=EIO true 2>&1 3>&- | grep -q 'Linux 6\.6' || waits=
	mkfifo "$go"
	# shellcheck disable=SC2016 # its own
	timeout "$LIMIT" "$BUILD/pipeguard" run --outside -o off -r write:when=1000000:error=EIO /bin/sh -c \
		'read -r x <"$0"; /bin/true; exec dd if=/dev/zero of=/dev/null bs=1 count=3000' "$go" 2>/dev/null 3>&- &
	local job=$!
	wait_for pgrep -P "$job"
	program=$(pgrep -P "$job")
	wait_for traced "$program"
	supervisor=$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$program/status")
	timeout "$LIMIT" strace -c -f -o "$counts" -p "$supervisor" 2>/dev/null 3>&- &
	tracer=$!
	wait_for traced "$supervisor"
	echo go >"$go"
	wait "$job"
	wait "$tracer" || :
	n=$(awk -v calls="^(ioctl$waits)\$" '$NF ~ calls { n += $4 } END { print n + 0 }' "$counts")
	cat "$counts"
	((n >= 6000 && n < 6200))
}

@test "error=, short=, drop, delay=, nosignal" {
	run ruled write:fd=1:when=2:error=EIO "$STILL" writes 5
	equal "error" $'line 1' "$output"
	grep -q 'write 2: Input/output error' "$BATS_TEST_TMPDIR/errors"
	run ruled write:fd=1:when=2:short=2 "$STILL" writes 3
	equal "short" $'line 1\nliline 3' "$output"
	run ruled write:fd=1:when=2:drop "$STILL" writes 3
	equal "drop" $'line 1\nline 3' "$output"
	run ruled write:fd=1:when=2:delay=10ms "$STILL" writes 3
	equal "delay" $'line 1\nline 2\nline 3' "$output"
	run ruled write:fd=1:when=2:nosignal:break "$STILL" writes 3
	((status == 3))
	grep -q 'write 2: Broken pipe' "$BATS_TEST_TMPDIR/errors"
}

@test "error=EPIPE comes with its signal, and is the rule's" {
	run ruled write:fd=1:when=2:error=EPIPE "$STILL" writes 3
	((status == 141))
	equal "the event" '["fatal",true,"r1"]' "$(broken '[.signal, .injected, .rule]')"
}

@test "abort ends it with SIGABRT before the write; stop stops it, and SIGCONT goes on" {
	run ruled write:fd=1:when=2:abort "$STILL" writes 3
	((status == 134))
	equal "output" "line 1" "$output"
	PIPEGUARD_LOG=$LOG PIPEGUARD_RULES=write:fd=1:when=2:stop "$BUILD/pipeguard" --outside "$STILL" writes 3 \
		>"$BATS_TEST_TMPDIR/said" 3>&- &
	local pid=$!
	stopped() { grep -q '^State:.[tT]' "/proc/$pid/status"; }
	wait_for grep -q 'stop' "$LOG"
	wait_for stopped
	equal "before" "line 1" "$(cat "$BATS_TEST_TMPDIR/said")"
	kill -CONT "$pid"
	wait "$pid"
	equal "after" $'line 1\nline 2\nline 3' "$(cat "$BATS_TEST_TMPDIR/said")"
}

@test "stall: a signal ends it as it would end the call" {
	PIPEGUARD_LOG=$LOG PIPEGUARD_RULES=write:fd=1:when=2:stall "$BUILD/pipeguard" --outside "$STILL" writes 3 \
		>"$BATS_TEST_TMPDIR/said" 3>&- &
	local pid=$! status=0
	wait_for grep -q stall "$LOG"
	kill -TERM "$pid"
	wait "$pid" || status=$?
	((status == 143))
	equal "said" "line 1" "$(cat "$BATS_TEST_TMPDIR/said")"
}

@test "a rule that ctl takes away while its call waits: the call meets it, and the line says which" {
	local page=$BATS_TEST_TMPDIR/page how pid status
	ctl() { timeout "$LIMIT" "$BUILD/pipeguard" ctl "$page" "$@" 3>&-; }
	for how in -j --all; do
		rm -f "$LOG" "$page"
		outside --control "$page" "$how" -r 'slow=write:fd=1:when=2:delay=2s:error=EIO' "$STILL" writes 3 \
			>"$BATS_TEST_TMPDIR/said" 2>&1 &
		pid=$! status=0
		wait_for test -e "$page"
		run -0 ctl fired slow --wait 5s
		ctl clear
		wait "$pid" || status=$?
		((status == 3))
		equal "what is told, $how" '["slow","delay=2s:error=EIO"]' "$(events 'select(.ev == "inject") | [.rule, .action]')"
	done
}

@test "rules may change while calls wait for ever under hundreds of former ones" {
	local page=$BATS_TEST_TMPDIR/page in=$BATS_TEST_TMPDIR/in i
	ctl() { timeout "$LIMIT" "$BUILD/pipeguard" ctl "$page" "$@" >/dev/null 3>&- 7>&-; }
	mkfifo "$in"
	exec 7<>"$in"
	LIMIT=55 outside --control "$page" /usr/bin/python3 -c '
import os, sys, threading
reader, writer = os.pipe()
for line in sys.stdin:
    if line == "end\n":
        break
    threading.Thread(target=os.write, args=(writer, b"x"), daemon=True).start()
try:
    os.write(writer, b"x")
except OSError as e:
    print(e.errno, flush=True)
os._exit(0)' <"$in" >"$BATS_TEST_TMPDIR/said" 2>&1 7>&- &
	wait_for test -e "$page"
	for ((i = 1; i <= 260; i++)); do
		ctl rules "r$i=write:kind=pipe:stall"
		echo >&7
		ctl fired "r$i" --wait 5s
	done
	ctl rules write:kind=pipe:error=EIO
	echo end >&7
	wait $!
	exec 7>&-
	equal "what the last one was told" 5 "$(cat "$BATS_TEST_TMPDIR/said")"
}

@test "a signal ends no call that would not have waited, and ends those that do" {
	local rule
	equal "without rules" "0 failed, read -1 Interrupted system call" "$("$STILL" timer 6000)"
	for rule in write,read:when=1000000000:error=EIO write,read:stack=nobody:error=EIO write,read:at=100M:error=EIO; do
		run ruled "$rule" "$STILL" timer 6000
		equal "$rule" "0 failed, read -1 Interrupted system call" "$output"
	done
	run ruled read:when=6001+:stall "$STILL" timer 6000
	equal "a read that a rule lets wait" "0 failed, read -1 Interrupted system call" "$output"
}

@test "a race with head is made certain by hold" {
	local i
	for i in 1 2 3 4 5; do
		timeout "$LIMIT" "$FIXTURES/sigdfl" env PIPEGUARD_LOG=off PIPEGUARD_RULES='write:fd=1:when=2+:hold=3s' \
			"$BUILD/pipeguard" run --outside "$STILL" writes 2 3>&- | head -1
		equal "the status of run $i" 141 "${PIPESTATUS[0]}"
	done
}

@test "each process counts for itself, its children too, and vfork's as their parent" {
	run ruled write:fd=1:when=2:error=EIO sh -c "'$STILL' writes 3; '$STILL' writes 3; true"
	equal "output" $'line 1\nline 1' "$output"
}

@test "many threads and processes under a rule that waits come to their end" {
	run ruled '%out,%in:when=1000000000:reset' "$STILL" threads 200
	equal "output" "200 threads" "$output"
	run ruled '%out,%in:when=1000000000:reset' "$STILL" forks 100
	equal "output" "100 forks" "$output"
}

@test "what cannot be from outside is refused before the start, with the reason" {
	run -125 launch --outside -r '%stdio:break' "$STILL" writes 1
	equal "the line" "pipeguard: rule r1: %stdio and dprintf are libc's, and not seen from outside: write %out" "$output"
	run -125 launch --outside -r 'write:fd=1:delay=1ms;x=send:seen=reset:abort' "$STILL" writes 1
	[[ $output = "pipeguard: rule x: what the program was told"* ]]
	run -125 launch --outside -r 'write:fd=1:braek' "$STILL" writes 1
	[[ $output = *"did you mean 'break'"* ]]
}

@test "caller=, stack= and site=: the thread is stopped, and its stack is looked at" {
	run ruled write:fd=1:caller=writes:when=3:break "$STILL" writes 5
	equal "caller" $'line 1\nline 2' "$output"
	equal "the event" '[true,"r1"]' "$(broken '[.injected, .rule]')"
	local site
	site=$(broken .site)
	run ruled "write:fd=1:site=${site//\"/}:when=2:error=EIO" "$STILL" writes 3
	equal "site" "line 1" "$output"
	run ruled write:fd=1:stack=main:at=10:break "$STILL" writes 5
	equal "stack and offset" $'line 1\nlin' "$output"
	run ruled write:fd=1:stack=nobody:break "$STILL" writes 3
	equal "another's" $'line 1\nline 2\nline 3' "$output"
	run ruled '%out:stack=nobody:break' "$STILL" forks 40
	equal "processes" "40 forks" "$output"
}

@test "rules that fired, or never did, are told at the exit" {
	run outside -d PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES='write:fd=1:when=1:delay=1ms;send:break' "$STILL" writes 2
	equal "the counts" '{"r1":1,"r2":0}' "$(events 'select(.ev == "exit") | .rules')"
}

@test "int \$0x80 in a program of 64 bits: rules know the call, and no other of that number" {
	local rule
	run ruled 'write:fd=5:when=2:error=EIO' "$FIXTURES/mixed" writes
	((status != 77)) || skip "$output"
	equal "what the program sees" "write: 5, write: -5, write: 5," "$(cut -d' ' -f1,2 <<<"$output" | xargs)"
	for rule in 'writev:error=EIO' 'writev:stack=mixed*:error=EIO'; do
		run ruled "$rule" "$FIXTURES/mixed" other
		equal "another call" "getpid: 1, registers kept" "$output"
	done
}

@test "a socket that is connected, or listens: connect says so whatever rules want, at once" {
	local rule few wanted
	for few in '' few; do
		# shellcheck disable=SC2086 # a word, or none
		wanted=$(plain "$FIXTURES/impossible" taken $few)
		for rule in refuse stall; do
			# shellcheck disable=SC2086
			equal "$rule $few" "$wanted" "$(outside PIPEGUARD_RULES="connect:when=2+:$rule" "$FIXTURES/impossible" taken $few)"
		done
	done
}
