#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # the inner shells and perls expand
# The log survives what programs do to descriptors, and never harms.

load ../helpers

# One broken write that does not kill; its descriptor is number 40 where that matters.
BREAK='pipe R, W; close R; syswrite W, "x"; exit 42'

# The text log on stderr, whatever PIPEGUARD_LOG says.
# shellcheck disable=SC2153 # of helpers.bash
text() { timeout "$LIMIT" "$FIXTURES/sigdfl" -i env LD_PRELOAD="$LIB" "$@" 3>&-; }

@test "a program that closes every descriptor and uses the numbers again keeps its file clean, and the event is told" {
	for how in none closefrom close_range raw loop listed; do
		rm -f "$LOG" "$BATS_TEST_TMPDIR/data"
		run guarded -i "$FIXTURES/closer" "$how" "$BATS_TEST_TMPDIR/data"
		echo "how: $how, output: $output"
		equal "the status" 42 "$status"
		equal "the user's file" precious "$(cat "$BATS_TEST_TMPDIR/data")"
		equal "the event" '["write","EPIPE","ignored"]' "$(broken '[.call, .errno, .signal]')"
	done
}

@test "a descriptor of the program's put over the log's gets no line of ours" {
	run guarded -i /usr/bin/perl -MPOSIX -e '
		socketpair A, B, 1, 1, 0;
		for my $fd (grep { $_ > 2 } map { m{/(\d+)$} ? $1 : () } glob "/proc/self/fd/*") {
			POSIX::dup2(fileno(A), $fd) if readlink("/proc/self/fd/$fd") =~ m{/log$}
		}
		pipe R, W; close R; syswrite W, "x"; syswrite A, "end";
		sysread B, my $got, 100; print $got'
	equal "what the peer got" end "$output"
	equal "the events" 1 "$(broken .call | wc -l)"
}

@test "a closed 0, 1 or 2 stays closed: the log does not take its place" {
	run bash -c 'exec >&-; timeout 10 env LD_PRELOAD="$0" PIPEGUARD_LOG="$1" /bin/echo hi 3>&-' "$LIB" "$LOG"
	[ "$status" -eq 1 ]
	equal "the log" "" "$(cat "$LOG")"
	for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
		wanted=$(bash -c "$FIXTURES/sigdfl /usr/bin/perl -MPOSIX -e 'POSIX::_exit(POSIX::open(q(/dev/null)))' $closed 3>&- 4>&-"; echo $?)
		got=$(bash -c "timeout 10 $FIXTURES/sigdfl env LD_PRELOAD=$LIB PIPEGUARD_LOG=$LOG /usr/bin/perl -MPOSIX -e 'POSIX::_exit(POSIX::open(q(/dev/null)))' $closed 3>&- 4>&-"; echo $?)
		equal "the first free descriptor under $closed" "$wanted" "$got"
	done
}

@test "a FIFO as log: without a reader it does not hang, and a reader that left does not kill" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	run text PIPEGUARD_LOG="$BATS_TEST_TMPDIR/fifo" /usr/bin/perl -e "$BREAK"
	equal "the status" 42 "$status"
	[[ $output == *'cannot log to'*'a FIFO that nobody reads'* && ${#lines[@]} -eq 1 ]]

	# The program itself holds the reading end, and lets it go after the second of five.
	run timeout 10 bash -c 'exec 5<>"$1"; exec 6<"$1" 5<&-; exec "$0" env LD_PRELOAD="$2" PIPEGUARD_LOG="$1" /usr/bin/perl -MPOSIX -e "$3"' \
		"$FIXTURES/sigdfl" "$BATS_TEST_TMPDIR/fifo" "$LIB" '$SIG{PIPE} = sub {};
		for (1..5) { pipe my $r, my $w; close $r; syswrite $w, "x"; POSIX::close(6) if $_ == 2 } exit 42' 3>&-
	equal "the status" 42 "$status"
	equal "the output" "" "$output"
}

@test "a FIFO that is read gets whole lines" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	exec 5<>"$BATS_TEST_TMPDIR/fifo"
	guarded -i PIPEGUARD_LOG="$BATS_TEST_TMPDIR/fifo" "$FIXTURES/many" 1 1 3
	timeout 10 head -n 3 <&5 >"$LOG"
	exec 5<&-
	equal "the events" 3 "$(broken .call | wc -l)"
}

@test "a file size limit neither kills nor shows" {
	run bash -c 'ulimit -f 0; exec "$0" -i env LD_PRELOAD="$1" PIPEGUARD_LOG="$2" /usr/bin/perl -e "$3"' "$FIXTURES/sigdfl" "$LIB" "$LOG" "$BREAK"
	equal "the status" 42 "$status"
	equal "the log" "" "$(cat "$LOG")"
}

@test "a device, a symbolic link, a folder, a missing folder are refused with one line, and the program runs" {
	ln -s "$BATS_TEST_TMPDIR/elsewhere" "$BATS_TEST_TMPDIR/link"
	while IFS='|' read -r log words; do
		run text PIPEGUARD_LOG="$log" /usr/bin/perl -e "$BREAK"
		echo "log: $log, output: $output"
		equal "the status" 42 "$status"
		[[ $output == "pipeguard: PIPEGUARD_LOG: cannot log to '${log#unix:}': "*"$words"* && ${#lines[@]} -eq 1 ]]
	done <<-END
		/dev/full|device
		$BATS_TEST_TMPDIR/link|symbolic link
		$BATS_TEST_TMPDIR|folder
		$BATS_TEST_TMPDIR/no/such/log|no such folder
		unix:$BATS_TEST_TMPDIR/nobody|nobody receives
	END
	[ ! -e "$BATS_TEST_TMPDIR/elsewhere" ]
}

@test "the log is the broken pipe itself: it ends, with the same status" {
	for log in stderr /dev/stderr fd:2 /dev/fd/2; do
		run timeout 10 "$FIXTURES/sigdfl" bash -c 'env LD_PRELOAD="$0" PIPEGUARD_LOG="$1" seq 1 100000 2>&1 | head -1; echo "${PIPESTATUS[0]}"' "$LIB" "$log" 3>&-
		equal "output and status with $log" $'1\n141' "$output"
	done
}

@test "a pipe as log that nobody empties does not hold the program up" {
	run timeout 20 "$FIXTURES/sigdfl" -i bash -c '
		{ env LD_PRELOAD="$0" "$1" 1 1 2000 2>&1; echo "$?" >"$2"; } | { while [ -z "$(cat "$2" 2>/dev/null)" ]; do sleep 0.05; done; cat >/dev/null; }' \
		"$LIB" "$FIXTURES/many" "$BATS_TEST_TMPDIR/done" 3>&-
	equal "the status" 0 "$(tail -1 "$BATS_TEST_TMPDIR/done")"
}

@test "eight processes of eight threads with hostile names: no line is torn or lost, and every one parses" {
	guarded -i "$FIXTURES/many" 8 8 50
	equal "the events" 3200 "$(broken .call | wc -l)"
	equal "the lines" 3200 "$(wc -l <"$LOG")"
	equal "the names" 8 "$(broken .comm | sort -u | wc -l)"
	rm "$LOG"
	guarded -i PIPEGUARD_FORMAT=text PIPEGUARD_STACK=32 "$FIXTURES/many" 8 8 50
	equal "the first lines" 3200 "$(grep -c '^pipeguard\[[0-9]*:[0-9]* [ -~]*\] write(' "$LOG")"
	equal "other lines" 0 "$(grep -cvE '^(pipeguard\[|        )' "$LOG" || true)"
	equal "control and other bytes" 0 "$(LC_ALL=C grep -c '[^ -~]' "$LOG" || true)"
}

@test "a hostile program name forges no record" {
	name=$'x\npipeguard[1:1 forged] write(1, 1)'
	cp "$FIXTURES/many" "$BATS_TEST_TMPDIR/$name"
	run text "$BATS_TEST_TMPDIR/$name"
	equal "the records" 1 "$(grep -c '^pipeguard\[' <<<"$output")"
	guarded -i PIPEGUARD_VERBOSE=1 "$BATS_TEST_TMPDIR/$name"
	equal "the program" 1 "$(events 'select(.ev == "load") | .program' | wc -l)"
}

@test "a hostile path forges nothing in a line of text" {
	requires python3
	run guarded -i PIPEGUARD_FORMAT=text PIPEGUARD_STACK=0 /usr/bin/python3 -c '
import socket, sys
path = sys.argv[1] + "/a, repeated 99 times"
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(path)
server.accept()[0].close()
try:
    client.send(b"x")
except BrokenPipeError:
    pass
' "$BATS_TEST_TMPDIR"
	[[ $(<"$LOG") == *'unix -> '*'/a\x2c\x20repeated\x2099\x20times, connected '* ]]
}

@test "lines that could not be written are counted in the next one" {
	guarded -i /usr/bin/perl -MPOSIX -e '
		my ($fd) = grep { readlink("/proc/self/fd/$_") =~ m{/log$} } map { m{/(\d+)$} ? $1 : () } glob "/proc/self/fd/*";
		sub brk { pipe my $r, my $w; close $r; syswrite $w, "x" }
		brk;
		my $log = readlink "/proc/self/fd/$fd"; rename $log, "$log.kept"; mkdir $log; POSIX::close($fd);
		brk; rmdir $log; rename "$log.kept", $log;
		brk'
	equal "dropped" "0 1" "$(broken .dropped | xargs)"
}

@test "chroot and dropped privileges do not lose the log" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	mkdir -p "$BATS_TEST_TMPDIR/root"
	run guarded -i /usr/bin/perl -MPOSIX -e '
		chroot $ARGV[0]; chdir "/"; POSIX::setgid(65534); POSIX::setuid(65534);
		pipe R, W; close R; syswrite W, "x"; exit 42' "$BATS_TEST_TMPDIR/root"
	equal "status and event" '42 ["write","pipe","ignored"]' "$status $(broken '[.call, .kind, .signal]')"
}

@test "children get no descriptor of ours" {
	run guarded sh -c 'env -u LD_PRELOAD ls -l /proc/self/fd | grep -c log'
	equal "log descriptors in the child" 0 "$output"
	# The shell closes its end of the pipe while ls looks.
	run guarded sh -c 'ls -l /proc/$$/fd 2>/dev/null | grep log | wc -l'
	equal "log descriptors in the program" 1 "$output"
}

@test "a descriptor limit of 16 is enough" {
	run bash -c 'ulimit -n 16; exec "$0" -i env LD_PRELOAD="$1" PIPEGUARD_FORMAT=json PIPEGUARD_LOG="$2" /usr/bin/perl -e "$3"' "$FIXTURES/sigdfl" "$LIB" "$LOG" "$BREAK" 3>&-
	equal "status and events" '42 1' "$status $(broken .call | wc -l)"
}

# How many descriptors a program gets, and then its event.
@test "a log takes no descriptor from a program that has few, or whose hard limit is higher" {
	requires python3
	local take='
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
r, w = os.pipe()
os.close(r)
n = 0
try:
    while True:
        os.dup(0)
        n += 1
except OSError as e:
    print(n, e.errno)
os.closerange(w + 1, w + 5)
try:
    os.write(w, b"x")
except BrokenPipeError:
    print("broken")
' limit native
	for limit in "-n 24" "-n 63" "-Sn 100" "-Sn 1024"; do
		[[ $limit != "-Sn $(ulimit -Hn)" ]] || continue # no higher one
		native=$(bash -c "ulimit $limit; exec timeout 20 /usr/bin/python3 -c '$take'" 3>&-)
		rm -f "$LOG"
		equal "the descriptors under ulimit $limit" "$native" \
			"$(bash -c "ulimit $limit; exec timeout 20 env LD_PRELOAD='$LIB' PIPEGUARD_FORMAT=json PIPEGUARD_LOG='$LOG' /usr/bin/python3 -c '$take'" 3>&-)"
		[[ $native == *broken ]]
		equal "the event" '["write","ignored"]' "$(broken '[.call, .signal]')"
	done
}

@test "%p, %n and %% in the name" {
	guarded -i PIPEGUARD_LOG="$BATS_TEST_TMPDIR/%n-%p-%%.log" sh -c '/usr/bin/perl -e "$0" && :; exit 0' "$BREAK"
	file=$(echo "$BATS_TEST_TMPDIR"/perl-*-%.log)
	equal "the process" "\"perl\"" "$(jq -c .comm "$file")"
	[[ $file == *"-$(jq .pid "$file")-"* ]]
}

@test "%p: a child by fork has a file of its own" {
	guarded -i PIPEGUARD_LOG="$BATS_TEST_TMPDIR/%p.log" /usr/bin/perl -e '
		sub brk { pipe my $r, my $w; close $r; syswrite $w, "x" }
		brk; if (!fork) { brk; exit } wait; brk'
	equal "lines for each process" "1 2" "$(wc -l "$BATS_TEST_TMPDIR"/*.log | awk '$2 != "total" { print $1 }' | sort | xargs)"
	for file in "$BATS_TEST_TMPDIR"/*.log; do
		equal "the pids in $file" "$(basename "$file" .log)" "$(jq .pid "$file" | sort -u)"
	done
}

@test "a relative log stays where it was after chdir and loss" {
	cd "$BATS_TEST_TMPDIR"
	guarded -i PIPEGUARD_LOG=here.log /usr/bin/perl -MPOSIX -e 'chdir "/"; POSIX::close($_) for 3..1100; pipe R, W; close R; syswrite W, "x"'
	equal "the lines" 1 "$(wc -l <here.log)"
}

@test "fd:N, a datagram socket, off" {
	run timeout 10 bash -c 'exec 7>"$3"; exec "$0" -i env LD_PRELOAD="$1" PIPEGUARD_FORMAT=json PIPEGUARD_LOG=fd:7 /usr/bin/perl -e "$2"' "$FIXTURES/sigdfl" "$LIB" "$BREAK" "$LOG" 3>&-
	equal "fd:7" 1 "$(broken .call | wc -l)"

	rm "$LOG"
	/usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1] + ".sock"); s.settimeout(20)
open(sys.argv[1], "wb").write(s.recv(65536))' "$LOG" 3>&- &
	wait_for test -S "$LOG.sock"
	guarded -i PIPEGUARD_LOG="unix:$LOG.sock" /usr/bin/perl -e "$BREAK" || true
	wait_for test -s "$LOG"
	equal "a datagram" 1 "$(broken .call | wc -l)"

	run text PIPEGUARD_LOG=off /usr/bin/perl -e "$BREAK"
	equal "off" "42 " "$status $output"
}

# breaks FILE COMMAND: a shell whose writes break before and after it runs COMMAND; the log is FILE.
breaks() {
	started -i LD_PRELOAD="$LIB" PIPEGUARD_LOG="$1" PIPEGUARD_FORMAT=json PIPEGUARD_STACK=0 "$FIXTURES/brokenfd" 1 bash -c "
		echo 1 2>/dev/null; $2; echo 22 2>/dev/null; echo 333 2>/dev/null" 2>/dev/null || true
}
lengths() { jq -c 'select(.ev == "epipe").len' "$1" | xargs; }

@test "a log that was renamed or removed is opened anew by its name; what only looks so goes on" {
	cd "$BATS_TEST_TMPDIR"
	breaks "$PWD/a" "mv a a.1"
	equal "before" 2 "$(lengths a.1)"
	equal "after" '3 4' "$(lengths a)"
	breaks "$PWD/b" "rm b"
	equal "after" '3 4' "$(lengths b)"
	breaks "$PWD/c" "mv c c.1; touch c; exec 2>/dev/null"
	equal "after, where it was made anew" '2 / 3 4' "$(lengths c.1) / $(lengths c)"
	# By copying and truncating.
	breaks "$PWD/d" "cp d d.1; : >d"
	equal "after" '2 / 3 4' "$(lengths d.1) / $(lengths d)"
	# Where no new one can be made, it goes on.
	mkdir gone
	breaks "$PWD/gone/e" "mv gone away"
	equal "all" '2 3 4' "$(lengths away/e)"
	# Each process has a file of its own.
	breaks "$PWD/f.%p" "mv f.\$\$ f.1; (echo 55555)"
	equal "the files" '2 / 3 4 / 6' "$(lengths f.1) / $(for f in f.[0-9][0-9]*; do lengths "$f"; done | sort | sed 's/^6$//' | xargs) / $(grep -l '"len":6' f.* | xargs cat | jq -c .len)"
}

@test "a log outside of a program's new root goes on" {
	[[ $(id -u) -eq 0 ]] || skip "needs root"
	requires python3
	mkdir "$BATS_TEST_TMPDIR/root" "$BATS_TEST_TMPDIR/root/tmp"
	run started -i LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$FIXTURES/brokenfd" 7 python3 -c '
import os, sys
def write():
    try: os.write(7, b"x")
    except OSError: pass
write()
os.chroot(sys.argv[1])
os.chdir("/")
write()' "$BATS_TEST_TMPDIR/root"
	equal "the events" '1 1' "$(lengths "$LOG")"
	equal "what was made in the new root" './tmp' "$(cd "$BATS_TEST_TMPDIR/root" && find . -mindepth 1)"
}

# in_text [-d|-i] COMMAND...: the log of COMMAND in text, without pids.
in_text() {
	local mode=()
	[[ $1 != -[di] ]] || { mode=("$1"); shift; }
	started "${mode[@]}" LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" "$@" >/dev/null 2>&1 || true
	sed 's/^pipeguard\[[^]]*\] //' "$LOG"
	rm -f "$LOG"
}

@test "text counts as people do: once, twice, 3 times" {
	breaking() { printf 'for (1..%d) { syswrite STDOUT, "x" }' "$1"; }
	for row in '1 once 1+broken+write' '2 twice 2+broken+writes' '3 3+times 3+broken+writes'; do
		read -r n times writes <<<"$row"
		said=$(in_text -i PIPEGUARD_VERBOSE=1 PIPEGUARD_STACK=0 PIPEGUARD_RULES="w=write:fd=7:error=EIO;%out:fd=1:nosignal" "$FIXTURES/brokenfd" 1 /usr/bin/perl -e "$(breaking "$n")")
		[[ $said == *"exit: ${writes//+/ }"$'\n'* ]]
		[[ $said == *$'\n'"        rule w never fired"$'\n'"        rule r2 fired ${times//+/ }"$'\n'* ]]
		[[ $said == *$'\n'"        ${times//+/ } write(1) at "* ]]
		[[ $n -eq 1 || $said == *", repeated ${times//+/ }"* ]]
	done
}

@test "text leaves out libc's start, of main and of threads; JSON has it" {
	glibc_only
	native_only
	said=$(in_text "$FIXTURES/brokenfd" 1 "$FIXTURES/call" -one 0 0 dfl)
	[[ $said == *$'\n        at '*main* && $said != *libc_start* && $said != *libc.so* && $said != *_start+* ]]
	local n
	for n in {1..6}; do # cut off just there, too
		said=$(in_text PIPEGUARD_STACK="$n" "$FIXTURES/brokenfd" 1 "$FIXTURES/call" -one 0 0 dfl)
		[[ $said == *$'\n        at '* && $said != *libc* ]]
	done
	rm -f "$LOG"
	run guarded "$FIXTURES/brokenfd" 1 "$FIXTURES/call" -one 0 0 dfl
	[[ $(broken .stack) == *'libc.so.6+0x'* ]]
	rm -f "$LOG"
	requires python3
	said=$(in_text PIPEGUARD_STACK=32 python3 -c '
import ctypes, os, threading
r, w = os.pipe()
os.close(r)
def run():
    ctypes.CDLL(None).write(w, b"x", 1)
t = threading.Thread(target=run); t.start(); t.join()')
	echo "$said"
	[[ $said == *'write('*'        at '* && $said != *libc.so* ]]
}

@test "text says once for each process whose doing SIGPIPE's disposition is, and again after a change" {
	requires perl
	said=$(in_text -d PIPEGUARD_STACK=0 "$FIXTURES/brokenfd" 7 /usr/bin/perl -e '
		open my $w, ">&=", 7;
		sub brk { syswrite $w, "x" }
		$SIG{PIPE} = "IGNORE"; brk; syswrite $w, "xx"; syswrite $w, "xxx";
		$SIG{PIPE} = sub {}; brk; syswrite $w, "xx";
		unless (fork) { brk; syswrite $w, "xx"; exit } wait')
	echo "$said"
	equal "times ignored, caught" '1 2' "$(grep -c 'was set to ignored' <<<"$said") $(grep -c 'was set to caught' <<<"$said")"
	equal "writes" 7 "$(grep -c '^write(7, ' <<<"$said")"
}

@test "text has no bytes and no address of what never connected" {
	requires python3
	said=$(in_text PIPEGUARD_VERBOSE=1 PIPEGUARD_STACK=0 python3 -c '
import os, socket
def send(s):
    try: s.send(b"x")
    except OSError: pass
send(socket.socket())
s = socket.socket()
try: s.connect(("127.0.0.1", 1))
except OSError: pass
send(s)
r, w = os.pipe(); os.close(w); os.read(r, 1)')
	[[ $said == *' tcp, never connected'* && $said == *'connect('*' = ECONNREFUSED  tcp -> 127.0.0.1:1'* && $said == *'read('*' = 0  pipe'* ]]
	[[ $said != *'0 bytes sent'* && $said != *'0.0.0.0'* ]]
	guarded PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json PIPEGUARD_VERBOSE=1 python3 -c '
import socket
def send(s):
    try: s.send(b"x")
    except OSError: pass
send(socket.socket())
s = socket.socket()
try: s.connect(("127.0.0.1", 1))
except OSError: pass
send(s)
s = socket.socket(socket.AF_INET6)
try: s.connect(("::1", 1))
except OSError: pass
s = socket.socket()
s.bind(("127.0.0.1", 0))
try: s.connect(("127.0.0.1", 1))
except OSError: pass'
	equal "as JSON" '["send",null,null] ["connect",null,"127.0.0.1:1"] ["send",null,"127.0.0.1:1"] ["connect",null,"[::1]:1"] ["connect",true,"127.0.0.1:1"]' \
		"$(events 'select(.ev == "epipe" or .ev == "refused") | [.call, (.local | if . then startswith("127.0.0.1:") else . end), .peer]' | paste -sd' ')"
}

# on_terminal COLUMNS [VAR=VALUE...] COMMAND...: the log as a terminal of that width gets it.
on_terminal() {
	timeout "$LIMIT" python3 -c '
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if not pid:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("4H", 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
try:
    while True:
        data = os.read(terminal, 4096)
        if not data: break
        sys.stdout.buffer.write(data.replace(b"\r", b""))
except OSError: pass # the end, on Linux
os.waitpid(pid, 0)' "$1" "$FIXTURES/sigdfl" env TERM=xterm LD_PRELOAD="$LIB" "${@:2}" 3>&-
}

@test "on a terminal text has colour, and one frame a line where they do not fit" {
	requires python3
	native_only
	broken=("$FIXTURES/brokenfd" 7 "$(type -P env)" -u LD_PRELOAD LD_PRELOAD="$LIB" bash -c 'echo x >&7')
	said=$(on_terminal 40 PIPEGUARD_STACK=3 "${broken[@]}")
	esc=$'\e'
	[[ $said == *"${esc}[2mpipeguard["*"] ${esc}[0m${esc}[31mwrite("*', 2) = EPIPE, SIGPIPE kills'"${esc}[0m  pipe"* ]]
	[[ $said == *"again: ${esc}[32m"*"${esc}[0m"* ]]
	equal "frames, each in a line" 3 "$(grep -cE '^        (at|<) ' <<<"$said")"
	said=$(on_terminal 1000 PIPEGUARD_STACK=3 "${broken[@]}")
	equal "lines of frames" 1 "$(grep -cE '^        (at|<) ' <<<"$said")"
	[[ $said == *' < '*' < '* ]]
	for plain in NO_COLOR=1 TERM=dumb PIPEGUARD_FORMAT=json; do
		said=$(on_terminal 40 $plain "${broken[@]}")
		[[ $said == *EPIPE* && $said != *"$esc"* ]]
	done
	[[ $(on_terminal 40 NO_COLOR= "${broken[@]}") == *"${esc}["* ]]
}

@test "the time of day in text is that of JSON, where it is asked for" {
	said=$(in_text PIPEGUARD_TIME=1 PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 "$FIXTURES/call" -one 0 0 dfl)
	now=$(date -u +%Y-%m-%dT%H)
	equal "lines without it" 0 "$(grep -E '^[^ ]' <<<"$said" | grep -cvE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z [a-z]')"
	[[ $said == "${now%T*}T"* || $(date -u +%H) == 0 ]]
	equal "without" "$(in_text PIPEGUARD_TIME=0 "$FIXTURES/brokenfd" 1 "$FIXTURES/call" -one 0 0 dfl | sed -n 1p)" \
		"$(in_text "$FIXTURES/brokenfd" 1 "$FIXTURES/call" -one 0 0 dfl | sed -n 1p)"
	# report reads it.
	requires python3
	started LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_TIME=1 "$FIXTURES/brokenfd" 1 "$FIXTURES/call" -one 0 0 dfl || true
	said=$("$BUILD/pipeguard" report "$LOG")
	[[ $said == '1 broken write'*'UTC'* ]]
}

@test "a long name of C++ is told whole, so that c++filt knows it" {
	requires g++ c++filt
	native_only
	cat >"$BATS_TEST_TMPDIR/long.cc" <<-'END'
		#include <unistd.h>
		namespace a_namespace_with_a_long_name { namespace and_another_one_inside_of_it {
		template <typename A, typename B> struct a_template_of_two_parameters {
		__attribute__((noinline)) static int a_function_that_writes(int fd) { int n = (int)write(fd, "x", 1); return n + 1; }
		}; } }
		using namespace a_namespace_with_a_long_name::and_another_one_inside_of_it;
		int main() { return a_template_of_two_parameters<unsigned long, a_template_of_two_parameters<char, int>>::a_function_that_writes(1); }
	END
	g++ -O1 -g -rdynamic -o "$BATS_TEST_TMPDIR/long" "$BATS_TEST_TMPDIR/long.cc"
	run guarded -i "$FIXTURES/brokenfd" 1 "$BATS_TEST_TMPDIR/long"
	name=$(broken ".stack[0]" | tr -d "\"" | cut -d" " -f2)
	[ "${#name}" -gt 130 ]
	equal "its meaning" 'a_namespace_with_a_long_name::and_another_one_inside_of_it::a_template_of_two_parameters<unsigned long, a_namespace_with_a_long_name::and_another_one_inside_of_it::a_template_of_two_parameters<char, int> >::a_function_that_writes(int)' \
		"$(c++filt "$name")"
	rm "$LOG"
	[[ $(in_text -i "$FIXTURES/brokenfd" 1 "$BATS_TEST_TMPDIR/long") == *"at $name+0x"* ]]
}

@test "a program that may have no descriptor more is logged to a pipe, too" {
	run guarded -i PIPEGUARD_LOG=stderr "$FIXTURES/brokenfd" 40 "$FIXTURES/quirks" none
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'"ev":"epipe","via":"call","call":"write","fd":40,'* ]]
}
