#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# run --outside: programs that the library cannot enter are seen, and survive.

load ../helpers
load ../outside

setup_file() {
	install_launcher
	go_program lines <<-'GO'
		package main
		import ("fmt"; "os")
		func main() {
			for i := 0; i < 100000; i++ {
				if _, err := fmt.Println("line", i); err != nil { os.Exit(3) }
			}
		}
	GO
	go_program file <<-'GO'
		package main
		import ("fmt"; "os")
		func main() {
			f := os.NewFile(5, "five")
			for i := 0; i < 3; i++ {
				_, err := f.Write([]byte("x"))
				fmt.Println(err)
			}
		}
	GO
}

setup() {
	traced_only
}

# headed PROGRAM ARGS: under the engine into head -1; the statuses.
headed() {
	outside "$@" 2>"$BATS_TEST_TMPDIR/errors" | head -1
	echo "${PIPESTATUS[*]}"
}

@test "a static program that breaks is told, and dies of it as without" {
	run headed -d "$STILL" writes 100000
	equal "output" $'line 1\n141 0' "$output"
	equal "the event" '["write",1,"pipe",-1,"EPIPE","fatal","outside",1]' \
		"$(broken '[.call, .fd, .kind, .ret, .errno, .signal, .engine, .repeated]')"
	broken '.stack | join(" ")' | grep -q "still+0x[0-9a-f]* writes\b.*still+0x[0-9a-f]* main"
	equal "lines" 1 "$(wc -l <"$LOG")"
}

@test "what the kernel knows is told: the length, the inode, the process, its name" {
	run headed -d "$STILL" writes 100000
	broken '.len > 6 and .ino > 0 and .pid == .tid and .comm == "still" and .sent == null' | grep -qx true
}

@test "SIGPIPE that is ignored is told as well, and who was so from the start" {
	run headed -i "$STILL" writes 100000
	equal "output" $'line 1\n3 0' "$output"
	equal "the event" '["ignored",{"state":"ignored","by":"inherited","tid":null,"ago_ms":null}]' \
		"$(broken '[.signal, .disposition]')"
	rm "$LOG"
	run headed -d "$STILL" ignore 100000
	equal "output" $'line 1\n3 0' "$output"
	equal "the event" '["ignored",null]' "$(broken '[.signal, .disposition]')"
}

@test "a Go program is told with its own functions, and that it catches SIGPIPE" {
	[[ $BITS = 64 ]] || skip "Go keeps no frame pointers there"
	needs_go lines
	run headed -d "$GO_DIR/lines"
	equal "output" $'line 0\n141 0' "$output"
	equal "the event" '["write",1,"pipe","caught"]' "$(broken '[.call, .fd, .kind, .signal]')"
	broken '.stack | join(" ")' | grep -q 'main\.main.*runtime\.main'
}

@test "a dynamic program is told as from inside: the same stack, the same site" {
	glibc_only
	outside -d PIPEGUARD_LOG="$BATS_TEST_TMPDIR/out" /usr/bin/seq 100000 2>/dev/null | head -1
	guarded -d PIPEGUARD_LOG="$BATS_TEST_TMPDIR/in" /usr/bin/seq 100000 2>/dev/null | head -1
	libdw_only
	equal "site and stack" "$(jq -c '[.site, .stack]' "$BATS_TEST_TMPDIR/in")" \
		"$(jq -c '[.site, .stack]' "$BATS_TEST_TMPDIR/out")"
}

@test "a stack goes on in what was loaded after another one was climbed" {
	requires gcc
	libdw_only
	cat >"$BATS_TEST_TMPDIR/late.c" <<-'C'
		#include <unistd.h>
		__attribute__((visibility("default"))) void late(int fd) { write(fd, "x", 1); __asm__ volatile("" : : : "memory"); }
	C
	cat >"$BATS_TEST_TMPDIR/loads.c" <<-'C'
		#include <dlfcn.h>
		#include <sys/socket.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			int s[2];
			void (*late)(int);
			socketpair(AF_UNIX, SOCK_STREAM, 0, s);
			close(s[1]);
			write(s[0], "x", 1);
			late = (void (*)(int))dlsym(dlopen(argv[argc - 1], RTLD_NOW), "late");
			late(s[0]);
			return 0;
		}
	C
	gcc -O1 -fomit-frame-pointer -w -shared -fPIC -o "$BATS_TEST_TMPDIR/late.so" "$BATS_TEST_TMPDIR/late.c"
	gcc -O1 -fomit-frame-pointer -w -rdynamic -o "$BATS_TEST_TMPDIR/loads" "$BATS_TEST_TMPDIR/loads.c" -ldl
	run -0 outside -i "$BATS_TEST_TMPDIR/loads" "$BATS_TEST_TMPDIR/late.so"
	equal "the functions" 'main; late main' "$(broken '.stack | map(split(" ")[1]) | .[:index("main") + 1] | join(" ")' | jq -r . | paste -sd';' | sed 's/;/; /')"
}

@test "functions have their names where who ran the file first has ended" {
	ruled_only
	outside -d PIPEGUARD_RULES=write:fd=1:when=1000:error=EIO bash -c "'$STILL' writes 1; '$STILL' pair 1; :" >/dev/null
	[[ $(broken '.stack | join(" ")') == '"still+0x'*' pair still+0x'* ]] || { events; false; }
}

@test "-S suppress: the program goes on with EPIPE" {
	run headed -d PIPEGUARD_SIGPIPE=suppress "$STILL" writes 100000
	equal "output" $'line 1\n3 0' "$output"
	equal "the event" '["suppressed"]' "$(broken '[.signal]')"
	grep -q 'Broken pipe' "$BATS_TEST_TMPDIR/errors"
}

@test "-S sockets: on sockets only" {
	run headed -d PIPEGUARD_SIGPIPE=sockets "$STILL" writes 100000
	equal "output" $'line 1\n141 0' "$output"
	run outside -d PIPEGUARD_SIGPIPE=sockets "$STILL" pair 3
	equal "output" "3 times EPIPE" "$output"
}

@test "PIPEGUARD_LIMIT: a program that ignores errors ends after all" {
	run -0 outside -d PIPEGUARD_SIGPIPE=suppress PIPEGUARD_LIMIT=5 "$STILL" pair 5
	rm "$LOG"
	run -141 outside -d PIPEGUARD_SIGPIPE=suppress PIPEGUARD_LIMIT=5 "$STILL" pair 6
	equal "the events" '"suppressed" "suppressed" "suppressed" "suppressed" "suppressed" "fatal"' \
		"$(broken .signal | xargs -d '\n')"
}

@test "the same place is told ten times, then at doubling counts" {
	run -0 outside -d PIPEGUARD_SIGPIPE=suppress "$STILL" pair 100
	equal "the counts" "1 2 3 4 5 6 7 8 9 10 20 40 80" "$(broken .repeated | xargs)"
	events 'select(.ev == "exit") | .events' | grep -qx 100
}

@test "a signal that another process sent is no broken write, and kills" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	exec 7<>"$BATS_TEST_TMPDIR/fifo"
	PIPEGUARD_LOG=$LOG "$BUILD/pipeguard" -v -j --outside "$STILL" idle <&7 3>&- >"$BATS_TEST_TMPDIR/idle2" &
	local pid=$! status=0
	wait_for grep -q idle "$BATS_TEST_TMPDIR/idle2"
	kill -PIPE "$pid"
	wait "$pid" || status=$?
	exec 7>&-
	((status == 141))
	equal "broken writes" "" "$(broken)"
	equal "the sender" "$$" "$(events 'select(.ev == "killed") | .sender')"
}

@test "the program is the process that was started: pid, parent, children, descriptors" {
	# shellcheck disable=SC2016 # for the inner shell
	local -r tell='c=; read -r c </proc/$$/task/$$/children || :; echo $$; echo $PPID; set -- /proc/$$/fd/*; echo $#; set -- $c; echo $#; ps -o pgid=,sid= -p $$'
	bash -c "$tell" >"$BATS_TEST_TMPDIR/native" 3>&-
	bash -c "exec '$BUILD/pipeguard' run --outside bash -c '$tell'" >"$BATS_TEST_TMPDIR/traced" 2>&1 3>&- &
	local pid=$!
	wait "$pid"
	equal "the pid" "$pid" "$(sed -n 1p "$BATS_TEST_TMPDIR/traced")"
	equal "the parent" "$BASHPID" "$(sed -n 2p "$BATS_TEST_TMPDIR/traced")"
	equal "the rest" "$(sed -n '3,5p' "$BATS_TEST_TMPDIR/native" | sed 's/ [0-9]*$//')" \
		"$(sed -n '3,5p' "$BATS_TEST_TMPDIR/traced" | sed 's/ [0-9]*$//')"
}

@test "statuses and deaths are the program's own" {
	local way
	for way in 'exit 0' 'exit 7' 'kill -TERM $$' 'kill -KILL $$' 'kill -SEGV $$' 'kill -PIPE $$'; do
		run bash -c "$way"
		local wanted=$status
		run outside -d bash -c "$way"
		((status == wanted)) || { echo "$way: $status instead of $wanted"; false; }
	done
	run -127 outside -d /no/such/program
	run -126 outside -d /etc/passwd
}

@test "a stop is seen by the shell, and SIGCONT goes on from there" {
	PIPEGUARD_LOG=$LOG "$BUILD/pipeguard" --outside "$STILL" stop >"$BATS_TEST_TMPDIR/said" 3>&- &
	local pid=$! state
	stopped() { read -r state < <(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$pid/status") && [[ $state = [tT] ]]; }
	wait_for grep -q off "$BATS_TEST_TMPDIR/said"
	wait_for stopped
	equal "said" off "$(cat "$BATS_TEST_TMPDIR/said")"
	kill -CONT "$pid"
	wait "$pid"
	equal "said" $'off\non\nend' "$(cat "$BATS_TEST_TMPDIR/said")"
}

@test "job control: a shell's %1 is stopped by SIGTSTP and waits, and fg ends it" {
	cat >"$BATS_TEST_TMPDIR/jobs" <<-'SH'
		set -m
		"$1" --outside sh -c 'echo one; kill -TSTP $$; echo two; exit 5' &
		pid=$!
		wait %1; echo "stopped $?"
		fg %1; echo "ended $?"
	SH
	run timeout "$LIMIT" bash "$BATS_TEST_TMPDIR/jobs" "$BUILD/pipeguard"
	[[ $output = *one*"stopped 148"*two*"ended 5"* ]]
}

@test "storms of threads and of processes come to their end" {
	run -0 outside -d "$STILL" threads 1000
	equal "output" "1000 threads" "$output"
	run -0 outside -d "$STILL" forks 400
	equal "output" "400 forks" "$output"
}

@test "children are looked after, across exec and in sessions of their own" {
	run -0 outside -d sh -c "setsid sh -c '\"$STILL\" writes 100000 2>/dev/null | head -1'; true"
	equal "output" "line 1" "$output"
	wait_for test -s "$LOG"
	equal "the event" '["still","fatal"]' "$(broken '[.comm, .signal]')"
}

@test "a log with %p has one file for each process" {
	run -0 outside -d PIPEGUARD_LOG="$BATS_TEST_TMPDIR/log.%p.%n" \
		sh -c "for i in 1 2 3; do '$STILL' pair 1 & done; wait; exit 0"
	equal "files" 3 "$(find "$BATS_TEST_TMPDIR" -name 'log.[0-9]*.still' -size +0 | wc -l)"
}

@test "PIPEGUARD_SKIP leaves a program out" {
	run -141 outside -d PIPEGUARD_SKIP=still "$STILL" pair 1
	[[ ! -s $LOG ]]
	run -141 launch --outside -o "$LOG" --skip 'st*' "$STILL" pair 1
	[[ ! -s $LOG ]]
	run -141 launch --outside -o "$LOG" --only 'st*' "$STILL" pair 1
	[[ -s $LOG ]]
}

@test "loads and exits are told at -v" {
	run -0 outside -d PIPEGUARD_VERBOSE=1 "$STILL" threads 1
	equal "the events" '["load","still","signal","default"] ["exit",null,null,null]' \
		"$(events '[.ev, .program, .gates, .sigpipe]' | xargs -d '\n')"
}

@test "the engine killed by SIGKILL leaves the program running" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	exec 7<>"$BATS_TEST_TMPDIR/fifo"
	PIPEGUARD_LOG=$LOG "$BUILD/pipeguard" --outside "$STILL" idle <"$BATS_TEST_TMPDIR/fifo" >"$BATS_TEST_TMPDIR/said" 3>&- 7>&- &
	local pid=$! tracer
	wait_for grep -q idle "$BATS_TEST_TMPDIR/said"
	tracer=$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$pid/status")
	kill -KILL "$tracer"
	wait_for untraced "$pid"
	exec 7>&-
	wait "$pid"
}

@test "without --outside a static program is looked at from outside, a dynamic one is entered" {
	glibc_only
	run -141 launch -j -o "$LOG" "$STILL" pair 1
	equal "engine" '"outside"' "$(broken .engine)"
	rm "$LOG"
	run bash -c "'$FIXTURES/sigdfl' '$BUILD/pipeguard' -j -o '$LOG' seq 100000 | head -1"
	equal "engine" '"inside"' "$(broken .engine)"
	run -126 launch --inside "$STILL" pair 1
}

@test "32-bit programs are told as well" {
	gcc -m32 -static -pthread -o "$BATS_TEST_TMPDIR/still32" "$ROOT/tests/fixtures/still.c" 2>/dev/null ||
		skip "no 32-bit compiler"
	run -141 outside -d "$BATS_TEST_TMPDIR/still32" pair 1
	outside -d "$BATS_TEST_TMPDIR/still32" writes 100000 2>/dev/null | head -1
	equal "the events" '["send","unix",1] ["write","pipe",null]' \
		"$(broken '[.call, .kind, if .call == "send" then .len else null end]' | xargs -d '\n')"
}

@test "programs with a runtime of their own: the same output and status as without" {
	local -a programs=()
	! command -v node >/dev/null || programs+=("node -e 'for (let i = 0; i < 5; i++) console.log(i)'")
	programs+=("/usr/bin/python3 -c 'import subprocess, threading; print(subprocess.run([\"true\"]).returncode); t = threading.Thread(target=print, args=(1,)); t.start(); t.join()'")
	programs+=("bash -c 'set -o pipefail; seq 1000 | sort -n | tail -1; (exit 3)'")
	((EUID != 0)) || programs+=("su nobody -s /bin/sh -c 'id -u'")
	local p
	for p in "${programs[@]}"; do
		equal "$p" "$(timeout 20 bash -c "$p" 2>&1 </dev/null 3>&-; echo $?)" \
			"$(timeout 20 "$BUILD/pipeguard" run --outside -o "$LOG" -- bash -c "$p" 2>&1 </dev/null 3>&-; echo $?)"
		[[ $BITS = 64 ]] || continue # no rules are followed there
		equal "$p, with a rule" "$(timeout 20 bash -c "$p" 2>&1 </dev/null 3>&-; echo $?)" \
			"$(timeout 20 "$BUILD/pipeguard" run --outside -o "$LOG" -r '%out,%in:when=1000000000:error=EIO' -- bash -c "$p" 2>&1 </dev/null 3>&-; echo $?)"
	done
}

@test "--both: each process of a mixed tree is told once" {
	glibc_only
	run launch --both -j -o "$LOG" bash -c "'$STILL' writes 100000 | head -1; seq 100000 | head -1"
	wait_for test "$(broken | wc -l)" -eq 2
	equal "engines" '["seq","inside"] ["still","outside"]' "$(broken '[.comm, .engine]' | sort | xargs -d '\n')"
}

@test "--both -v: the beginning and the end of each process are told once, by the engine that is in charge of it" {
	glibc_only
	run launch --both -v -j -o "$LOG" bash -c "/bin/true; '$STILL' writes 2; '$STILL' writes 100000 | head -1
		LD_PRELOAD= /bin/true; LD_PRELOAD=libpipeguard.so.gone /bin/true; :"
	wait_for test "$(events 'select(.ev == "exit" and .comm == "bash")' | wc -l)" -eq 1
	equal "who told what" '["bash","exit","inside"] ["bash","load","inside"] ["head","exit","inside"] ["head","load","inside"] ["still","exit","outside"] ["still","exit","outside"] ["still","load","outside"] ["still","load","outside"] ["true","exit","inside"] ["true","exit","outside"] ["true","exit","outside"] ["true","load","inside"] ["true","load","outside"] ["true","load","outside"]' \
		"$(events 'select(.ev == "load" or .ev == "exit") | [.comm, .ev, .engine]' | sort | xargs -d '\n')"
}

@test "linger: the peer gets a RST when the program closes" {
	ruled_only
	traced_only
	requires python3
	local closes python
	python=$(python3 -c "import sys; print(sys.executable)")
	closes='import socket
s = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(s.getsockname())
p, _ = s.accept()
c.send(b"x")
print(p.recv(1).decode(), end=" ")
c.close()
try: print("end" if p.recv(1) == b"" else "bytes")
except ConnectionResetError: print("reset")'
	equal "without" "x end" "$(outside "$python" -c "$closes")"
	equal "with" "x reset" "$(outside -r 'send:side=client:linger' "$python" -c "$closes")"
}

@test "lines of the source, where libdw and debugging information are there" {
	libdw_only
	run -141 outside -d "$STILL" pair 1
	local line
	line=$(grep -n 'if (send(s' "$ROOT/tests/fixtures/still.c" | cut -d: -f1)
	[[ $(broken .source) =~ ^\"still\.c:$line\ \<\ still\.c:[0-9]+\"$ ]]
	run -141 launch --outside "$STILL" pair 1
	[[ $output = *$'\n'"        source: still.c:$line < still.c:"* ]]
	strip -o "$BATS_TEST_TMPDIR/bare" "$STILL"
	rm "$LOG"
	run -141 outside -d "$BATS_TEST_TMPDIR/bare" pair 1
	equal "without debugging information" false "$(broken 'has("source")')"
}

# source_of NAME OPTIONS: what the log has for the static program, changed by objcopy.
source_of() {
	local program=$BATS_TEST_TMPDIR/$1
	objcopy "${@:2}" "${FROM:-$STILL}" "$program" || return
	rm -f "$LOG"
	outside -d "$program" pair 1 || :
	broken .source
}

@test "without libdw the stack is climbed by frame pointers: names and offsets, no lines" {
	requires gcc
	gcc -shared -nostdlib -o "$BATS_TEST_TMPDIR/libdw.so.1" -x c - <<<'int nothing;' # in its place, and of no use
	run -141 outside -d LD_LIBRARY_PATH="$BATS_TEST_TMPDIR" "$STILL" pair 1
	equal "frames" true "$(broken '.stack | all(test("^still[+]0x[0-9a-f]+ [_a-z]+$")) and any(endswith(" main"))')"
	equal "lines" false "$(broken 'has("source")')"
}

@test "processes that are killed at any moment, while they break or wait for a rule: the next one is told" {
	local rule
	for rule in '' 'send,write:delay=1ms' 'send,write:stack=nobody:error=EIO'; do
		[[ -z $rule || $BITS = 64 ]] || continue
		rm -f "$LOG"
		# shellcheck disable=SC2016 # for the inner shell
		run -141 outside -d ${rule:+PIPEGUARD_RULES="$rule"} bash -c '
			for i in {1..60}; do
				"$0" ignore 5 >/dev/null & "$0" pair 3 >/dev/null &
				kill -KILL $! %% 2>/dev/null
				[[ $((i % 3)) -gt 0 ]] || kill -KILL %- 2>/dev/null
			done
			wait
			exec "$0" pair 1' "$STILL" 2>/dev/null
		equal "the last, ${rule:-without rules}" '["send","fatal"]' "$(broken '[.call, .signal]' | tail -1)"
	done
}

@test "a program that traces a child of its own is told EPERM, as by any tracer, and goes on" {
	run -0 outside "$STILL" trace
	equal "output" "traced: status 4" "$output"
}

@test "lines of the source where no table says which unit an address is in, and of packed sections" {
	libdw_only
	requires objcopy
	local line wanted
	line=$(grep -n 'if (send(s' "$ROOT/tests/fixtures/still.c" | cut -d: -f1)
	wanted="^\"still\.c:$line < still\.c:[0-9]+\"\$"
	source_of bare --remove-section=.debug_aranges | grep -qxE "$wanted"
	source_of packed --compress-debug-sections=zlib | grep -qxE "$wanted"
	source_of both --remove-section=.debug_aranges --compress-debug-sections=zlib | grep -qxE "$wanted"
	source_of older --remove-section=.debug_aranges --compress-debug-sections=zlib-gnu | grep -qxE "$wanted"
}

@test "lines of the source of Go" {
	libdw_only
	[[ $BITS = 64 ]] || skip "Go keeps no frame pointers there"
	needs_go lines
	PIPEGUARD_STACK=32 outside -d "$FIXTURES/brokenfd" 5 "$GO_DIR/file"
	broken .source | head -1 | grep -qE ' < file_posix\.go:[0-9]+ < main\.go:6 < proc\.go:'
}

@test "debugging information that would be more than 64 MB is left alone, however small the file" {
	libdw_only
	requires objcopy
	local zeros=$BATS_TEST_TMPDIR/zeros from=$BATS_TEST_TMPDIR/from
	truncate -s 1M "$zeros"
	objcopy --add-section .debug_junk="$zeros" "$STILL" "$from"
	FROM=$from source_of little --compress-debug-sections=zlib | grep -q '^"still\.c:'
	truncate -s 65M "$zeros"
	objcopy --add-section .debug_junk="$zeros" "$STILL" "$from"
	equal "much" null "$(FROM=$from source_of much --compress-debug-sections=zlib)"
	[[ $(stat -c %s "$BATS_TEST_TMPDIR/much") -lt 8000000 ]]
}

# most_memory PROGRAM: kB that who looks after it had at the most, until its broken write was told.
most_memory() {
	local go=$BATS_TEST_TMPDIR/go program
	rm -f "$LOG" "$go"
	mkfifo "$go"
	timeout 60 env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$BUILD/pipeguard" run --outside "$1" <>"$go" 2>/dev/null 3>&- &
	local job=$!
	wait_for grep -qs '"ev":"epipe"' "$LOG" || return
	program=$(pgrep -P "$job")
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$program/status")/status"
	echo >"$go"
	wait "$job"
}

# breaks NAME OPTIONS FILES: a program that breaks a write in its function put, and then waits.
breaks() {
	gcc -O1 -g -static -x c -o "$BATS_TEST_TMPDIR/$1" - "${@:2}" <<-'C'
		#include <signal.h>
		#include <sys/socket.h>
		#include <unistd.h>
		#ifndef NAME
		#define NAME "put"
		#endif
		long put(int fd) __asm__(NAME);
		__attribute__((noinline)) long put(int fd)
		{
		#ifdef BEFORE
			asm volatile(BEFORE);
		#endif
			return write(fd, "x", 1) + 1;
		}
		int main(void)
		{
			int s[2];
			signal(SIGPIPE, SIG_IGN);
			socketpair(AF_UNIX, SOCK_STREAM, 0, s);
			close(s[1]);
			put(s[0]);
			return (int)read(0, s, 1) - 1;
		}
	C
}

# lines N: debugging information, the program to be linked with put: N lines of it.
lines_of_put() {
	cat <<-AS
		.section .note.GNU-stack,"",%progbits
		.section .debug_abbrev,"",%progbits
		a:	.uleb128 1,17
		.byte 0
		.uleb128 16,23, 17,1, 18,7, 3,8, 0,0
		.byte 0
		.section .debug_info,"",%progbits
		.4byte ie-is
		is:	.2byte 4
		.4byte a
		.byte 8
		.uleb128 1
		.4byte l
		.8byte put,4096
		.asciz "bomb.c"
		ie:
		.section .debug_line,"",%progbits
		l:	.4byte le-ls
		ls:	.2byte 4
		.4byte he-hs
		hs:	.byte 1,1,1,-5,14,13, 0,1,1,1,1,0,0,0,1,0,0,1, 0
		.asciz "bomb.c"
		.byte 0,0,0,0
		he:	.byte 0,9,2
		.8byte put
		.fill $1,1,0x13
		.byte 2
		.uleb128 4096
		.byte 0,1,1
		le:
	AS
}

@test "tables of lines and registers, and names, that would take gigabytes: they are left out" {
	[[ $(ldconfig -p) = *libdw.so.1* && $(ldconfig -p) = *libstdc++.so.6* ]] || skip "libdw or libstdc++ is not installed"
	[[ $BITS = 64 ]] || skip "the tables are of 64 bits"
	requires gcc objcopy as
	local at=$BATS_TEST_TMPDIR n most name=_Z3putSt4pairIiiE last=S0_ digits=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ
	for n in 100 50000000; do
		lines_of_put "$n" | as -o "$at/lines.o"
		breaks "lines$n" -g0 -x none "$at/lines.o" || skip "no static libc"
		objcopy --compress-debug-sections=zlib "$at/lines$n"
	done
	most=$(most_memory "$at/lines100")
	broken .source | grep -q '^"bomb\.c:'
	most=$(most_memory "$at/lines50000000")
	equal "the stack, and lines" '["put","main",null]' "$(broken '[(.stack[:2][] | split(" ")[1]), .source]')"
	echo "$most kB for lines"
	((most < 600000))
	breaks registers -DBEFORE='".cfi_escape 0x05,0xff,0xff,0xff,0x3f,0"' # the rule of register 0x7ffffff
	most=$(most_memory "$at/registers")
	echo "$most kB for registers"
	broken '.stack[0]' | grep -q ' put"'
	((most < 600000))
	for ((n = 0; n < 25; n++)); do # each type is twice the one before
		name+=S_I$last${last}E
		last=S${digits:n + 1:1}_
	done
	breaks names -DNAME="\"$name\""
	most=$(most_memory "$at/names")
	echo "$most kB for names"
	broken '.stack[0]' | grep -q ' _Z3putSt4pair'
	((most < 600000))
}

# tables_of N: for exceptions, N entries for functions that there are not.
tables_of() {
	gcc -x c -o "$BATS_TEST_TMPDIR/tables_of" - <<-'C' && "$BATS_TEST_TMPDIR/tables_of" "$1"
		#include <stdio.h>
		#include <stdlib.h>
		int main(int argc, char **argv)
		{
			static const unsigned char first[] = {20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 0x10,
							      0x0c, 7, 8, 0x90, 1, 0, 0, 0, 0, 0, 0};
			struct { unsigned length, back; unsigned long start, size; } entry = {20, 0, 1ul << 32, 8};
			fwrite(first, sizeof first, 1, stdout);
			for (unsigned i = 1; argc > 1 && i <= strtoul(argv[1], NULL, 10); i++) {
				entry.back = i * (unsigned)sizeof entry + 4;
				entry.start += 16;
				fwrite(&entry, sizeof entry, 1, stdout);
			}
			return fwrite(&(unsigned){0}, 4, 1, stdout) - 1;
		}
	C
}

@test "tables of millions of functions, and none to search by: who looks at them does not end" {
	libdw_only
	[[ $BITS = 64 ]] || skip "the tables are of 64 bits"
	requires gcc objcopy
	local at=$BATS_TEST_TMPDIR
	tables_of 5000000 >"$at/tables"
	breaks many -Wl,--no-eh-frame-hdr || skip "no static libc"
	objcopy --remove-section .eh_frame --add-section .eh_frame="$at/tables" "$at/many"
	echo "$(most_memory "$at/many") kB"
	equal "the event" '"write"' "$(broken .call)"
	equal "the end is told" 0 "$(PIPEGUARD_FORMAT=json timeout 60 "$BUILD/pipeguard" run --outside -v -o "$at/end" "$at/many" <<<x 3>&-; echo $?)"
	# Whether there is time enough for the tables, and so a stack with modules, is the machine's.
	equal "its lines" 'load epipe exit' "$(jq -r '.ev | select(. != "module")' "$at/end" | xargs)"
}

@test "names of C++ are as people write them, without blanks" {
	requires g++
	[[ $(ldconfig -p) = *libstdc++.so.6* ]] || skip "libstdc++ is not installed"
	g++ -g -O1 -fno-inline -x c++ -o "$BATS_TEST_TMPDIR/named" - <<-'CC'
		#include <sys/socket.h>
		#include <unistd.h>
		#include <vector>
		namespace store {
		struct Box {
			int operator<(int fd) { return (int)send(fd, "x", 1, 0) + 1; }
		};
		template <class T> T flush(std::vector<T> v, int fd) { Box b; return (b < fd) + v.front(); }
		}
		int main() {
			int p[2];
			socketpair(AF_UNIX, SOCK_STREAM, 0, p);
			close(p[1]);
			return store::flush<long>({1, 2}, p[0]) == 7;
		}
	CC
	run -141 outside -d "$BATS_TEST_TMPDIR/named"
	equal "the names" '["store::Box::operator<(int)","store::flush<long>","main"]' \
		"$(broken '[.stack[:3][] | split(" ")[1]]')"
}

@test "names where a page of the file is the end of one segment and the beginning of the code" {
	requires ld.lld
	"${CC:-gcc}" -D_GNU_SOURCE -O1 -g -pthread -static -fuse-ld=lld -o "$BATS_TEST_TMPDIR/packed" "$ROOT/tests/fixtures/still.c" ||
		skip "lld does not link it"
	run -141 outside -d "$BATS_TEST_TMPDIR/packed" pair 1
	equal "names" '["pair","main"]' "$(broken '[.stack[:2][] | split(" ")[1]]')"
}

@test "names of Rust: those of the RFC, of later versions, and of the mangling before" {
	equal "names" "$(cut -d' ' -f2- "$ROOT/tests/fixtures/rust.names")" \
		"$(cut -d' ' -f1 "$ROOT/tests/fixtures/rust.names" | timeout "$LIMIT" "$FIXTURES/rust")"
}

# rust_program NAME OPTION...: with names mangled as that says.
rust_program() {
	cat >"$BATS_TEST_TMPDIR/r.rs" <<-'RS'
		use std::io::Write;
		use std::os::fd::FromRawFd;
		trait Flush { fn flush_it(&self) -> bool; }
		struct Log<T>(T, std::fs::File);
		#[inline(never)]
		fn put<F: Fn() -> std::io::Result<usize>, const N: usize>(f: F) -> bool { f().is_err() && N > 0 }
		impl<T: Copy + Into<u8>> Flush for Log<T> {
			#[inline(never)]
			fn flush_it(&self) -> bool { put::<_, 3>(#[inline(never)] || (&self.1).write(&[self.0.into()])) }
		}
		fn main() {
			let log = Log(1u8, unsafe { std::fs::File::from_raw_fd(5) });
			std::process::exit(if log.flush_it() { 3 } else { 0 });
		}
	RS
	rustc --crate-name crash -g -O "${@:2}" -o "$BATS_TEST_TMPDIR/$1" "$BATS_TEST_TMPDIR/r.rs" 2>"$BATS_TEST_TMPDIR/errors"
}

@test "a Rust program's names are as people write them, in the log and in report" {
	requires rustc c++filt python3
	rust_program program -C symbol-mangling-version=v0 || skip "rustc does not build"
	run -3 outside "$FIXTURES/brokenfd" 5 "$BATS_TEST_TMPDIR/program"
	equal "the names" '["<crash::Log<u8>_as_crash::Flush>::flush_it::{closure#0}","crash::put::<<crash::Log<u8>_as_crash::Flush>::flush_it::{closure#0},3>"]' \
		"$(broken '[.stack[] | split(" ")[1] | select(. and contains("crash::"))][:2]')"
	# What the library writes is left to report: without the program, so that addr2line has no say.
	rm -f "$LOG"
	run -3 guarded "$FIXTURES/brokenfd" 5 "$BATS_TEST_TMPDIR/program"
	rm "$BATS_TEST_TMPDIR/program"
	run -0 timeout "$LIMIT" python3 "$ROOT/scripts/pipeguard-report" "$LOG" 3>&-
	[[ $output == *'<crash::Log<u8> as crash::Flush>::flush_it::{closure#0} (program+'* ]]
	[[ $output == *'crash::put::<<crash::Log<u8> as crash::Flush>::flush_it::{closure#0}, 3> (program+'* ]]
}

@test "report names Rust as the log from outside does, where c++filt reads the name" {
	requires python3 c++filt
	echo _RNvC1a1b | c++filt | grep -q "b$" || skip "this c++filt does not read names of Rust"
	run -0 python3 - "$ROOT/scripts/lib" "$ROOT/tests/fixtures/rust.names" <<-'PY'
		import re, sys
		sys.path.insert(0, sys.argv[1])
		import pglog
		names = dict(line.rstrip("\n").split(" ", 1) for line in open(sys.argv[2]) if line.startswith("_R"))
		symbols = pglog.Symbols()
		symbols.look_up(["m+0x1 " + name for name in names])
		for name, wanted in names.items():
		    got = symbols.plain.get(name, name)
		    odd = re.search(r'punycode|0x1f|["{]', wanted) # as c++filt has it, which differs by its version
		    if wanted != "-" and got not in (name, wanted) and not odd: print(got, "is not", wanted)
	PY
	equal "names that differ" "" "$output"
}

@test "a broken write whose signal comes together with others for its thread is told, and survives" {
	local flags
	for flags in - is; do
		rm -f "$LOG"
		equal "the children" "died 8 right 0" "$(outside -d "$FIXTURES/together" default $flags 1 10 12)"
		equal "the events" '8 ["write",4096,"fatal"]' "$(broken '[.call, .len, .signal]' | sort | uniq -c | xargs -d '\n' | sed 's/^ *//')"
		equal "where: no handler" 0 "$(broken '.stack[0]' | grep -c ' on_')"
		equal "the survivors" "died 0 right 8" "$(outside -d PIPEGUARD_SIGPIPE=suppress "$FIXTURES/together" default $flags 1 10 12)"
	done
}

@test "the same in 32-bit programs, with and without SA_SIGINFO" {
	gcc -m32 -o "$BATS_TEST_TMPDIR/together" "$ROOT/tests/fixtures/together.c" 2>/dev/null || skip "no 32-bit compiler"
	local flags
	for flags in - i; do
		rm -f "$LOG"
		equal "the children" "died 8 right 0" "$(outside -d "$BATS_TEST_TMPDIR/together" default $flags 1 10 12)"
		equal "the events" '8 ["write",4096,"fatal"]' "$(broken '[.call, .len, .signal]' | sort | uniq -c | xargs -d '\n' | sed 's/^ *//')"
	done
}

@test "int \$0x80 in a program of 64 bits is told as the call that it is" {
	run outside -d "$FIXTURES/mixed" broken
	[ "$status" -ne 77 ] || skip "a program of 64 bits is needed"
	[ "$status" -eq 141 ]
	equal "the event" '["write",5,5,"pipe"]' "$(broken '[.call, .fd, .len, .kind]')"
}
