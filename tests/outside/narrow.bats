#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# 32-bit programs from outside, where pipeguard is of 64 bits: their stacks, and their calls at stops.
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# shellcheck disable=SC2153 # outside.bash sets PID

load ../helpers
load ../outside

export BATS_TEST_TIMEOUT=180 # each call costs two stops, on a busy machine

setup_file() {
	install_launcher
	cat >"$BATS_FILE_TMPDIR/chain.c" <<-'C'
		#define _GNU_SOURCE
		#include <errno.h>
		#include <signal.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		#define FRAME __asm__ volatile("" : : : "memory")
		static int end;
		static char x[] = "x";
		static __attribute__((noinline)) void inner(const char *how)
		{
			if (!strcmp(how, "send"))
				send(end, x, 1, 0);
			else if (!strcmp(how, "sendto"))
				sendto(end, x, 1, 0, NULL, 0);
			else if (!strcmp(how, "syscall"))
				syscall(SYS_write, end, x, 1);
			else if (!strcmp(how, "trap"))
				__asm__ volatile("int $0x80" : : "a"(4), "b"(end), "c"(x), "d"(1) : "memory");
			else
				write(end, x, 1);
			FRAME;
		}
		static __attribute__((noinline)) void outer(const char *how)
		{
			volatile char room[strlen(how)];
			_Alignas(64) volatile char line[64];
			room[0] = line[0] = 0;
			inner(how);
			FRAME;
		}
		static void handler(int sig)
		{
			(void)sig;
			outer("write");
			FRAME;
		}
		static __attribute__((noinline)) void raises(void)
		{
			raise(SIGUSR1);
			FRAME;
		}
		int main(int argc, char **argv)
		{
			int s[2];
			setvbuf(stdout, NULL, _IONBF, 0);
			signal(SIGUSR1, handler);
			socketpair(AF_UNIX, SOCK_STREAM, 0, s);
			close(s[1]);
			end = s[0];
			for (int i = 1; i < argc; i++) {
				if (strcmp(argv[i], "handler"))
					outer(argv[i]);
				else
					raises();
			}
			return 0;
		}
	C
	cat >"$BATS_FILE_TMPDIR/lines.c" <<-'C'
		#include <string.h>
		#include <errno.h>
		#include <unistd.h>
		static __attribute__((noinline)) void put(const char *text, size_t n)
		{
			if (write(1, text, n) < 0)
				write(2, strerror(errno), strlen(strerror(errno)));
			__asm__ volatile("" : : : "memory");
		}
		int main(void)
		{
			char text[100];
			long n;
			while ((n = read(0, text, sizeof text)) > 0)
				put(text, n);
			return n < 0;
		}
	C
}

setup() {
	traced_only
	narrow_only
	# shellcheck disable=SC2034 # for outside.bash
	PIDS=()
}

teardown() { end_pids; }

# made NAME OPTION...: NAME.c of the file, made with -m32; its path is $MADE.
made() {
	local options=$*
	MADE=$BATS_FILE_TMPDIR/${options//[ =]/}
	[[ -x $MADE ]] || gcc -m32 -O1 -w -o "$MADE" "$BATS_FILE_TMPDIR/$1.c" "${@:2}" 2>/dev/null || skip "no 32-bit compiler"
}

# functions: of each event's stack, up to main, and how many there are behind it.
functions() {
	# shellcheck disable=SC2016 # jq's variable
	broken '[.stack[] | split(" ")[1]] | [index("main") as $at | (.[:$at + 1] | join(" ")), length > $at + 1]'
}

@test "a stack goes up to main and beyond, whatever the program is linked to and keeps in ebp" {
	libdw_only
	local link frames ways=(write send sendto syscall trap)
	for link in -static -pie; do
		for frames in -fomit-frame-pointer -fno-omit-frame-pointer; do
			made chain "$link" "$frames"
			rm -f "$LOG"
			run -0 outside -i "$MADE" "${ways[@]}"
			equal "$link $frames" "$(printf '["inner outer main",true]\n%.0s' "${ways[@]}")" "$(functions)"
		done
	done
}

@test "a stack goes through a signal's frame" {
	libdw_only
	local link
	for link in -static -pie; do
		made chain "$link" -fomit-frame-pointer
		rm -f "$LOG"
		run -0 outside -i PIPEGUARD_STACK=16 "$MADE" handler
		[[ $(broken '.stack | join(" ")') == *inner*outer*handler*raises*main* ]] || { events; false; }
	done
}

@test "libraries have the names that their loader knows, where those are links" {
	libdw_only
	local bits where=$BATS_TEST_TMPDIR
	cat >"$where/breaks.c" <<-'C'
		#include <unistd.h>
		void breaks(int fd) { write(fd, "x", 1); __asm__ volatile("" : : : "memory"); }
	C
	cat >"$where/main.c" <<-'C'
		#include <sys/socket.h>
		#include <unistd.h>
		void breaks(int);
		int main(void)
		{
			int s[2];
			socketpair(AF_UNIX, SOCK_STREAM, 0, s);
			close(s[1]);
			breaks(s[0]);
			return 0;
		}
	C
	for bits in 32 64; do
		mkdir "$where/$bits"
		gcc "-m$bits" -O1 -w -shared -fPIC -Wl,-soname,libbreaks.so.1 -o "$where/$bits/libbreaks-1.2.so" "$where/breaks.c" 2>/dev/null ||
			skip "no $bits-bit compiler"
		ln -s libbreaks-1.2.so "$where/$bits/libbreaks.so.1"
		gcc "-m$bits" -O1 -w -o "$where/$bits/main" "$where/main.c" "$where/$bits/libbreaks.so.1" -Wl,-rpath,"$where/$bits"
		rm -f "$LOG"
		run -0 outside -i "$where/$bits/main"
		[[ $(broken '.stack | join(" ")') = '"libbreaks.so.1+0x'*' breaks main+0x'*' main '* ]] || { events; false; }
	done
}

# by_stack [--all]: with it calls are stopped at, and not notified of.
by_stack() {
	local link site
	for link in -static -pie; do
		made chain "$link" -fomit-frame-pointer
		rm -f "$LOG"
		run -0 outside -i PIPEGUARD_RULES='%out:caller=inner:when=2:error=EIO' "$@" "$MADE" write send write
		equal "caller=, $link" '["send","error=EIO",true]' "$(events 'select(.ev == "inject") | [.call, .action, .injected]')"
		site=$(broken .site | tail -1)
		rm -f "$LOG"
		run -0 outside -i PIPEGUARD_RULES="%out:site=${site//\"/}:error=EIO" "$@" "$MADE" send syscall write
		equal "site=, $link" '"write"' "$(events 'select(.ev == "inject") | .call')"
		rm -f "$LOG"
		run -0 outside -i PIPEGUARD_RULES='%out:caller=outer:error=EIO;%out:stack=raises:error=EAGAIN;%out:stack=main:error=EPERM' \
			"$@" "$MADE" write handler
		equal "stack=, $link" '"error=EPERM" "error=EAGAIN"' "$(events 'select(.ev == "inject") | .action' | xargs -d '\n')"
	done
}

@test "caller=, stack= and site= reach 32-bit programs, by notifications and at stops" {
	ruled_only
	libdw_only
	by_stack
	by_stack --all
}

@test "a break by stack: a pipe without a reader takes the number, by notifications and at stops" {
	ruled_only
	libdw_only
	narrow still
	local by
	for by in '' --all; do
		rm -f "$LOG"
		outside -d PIPEGUARD_RULES=write:fd=1:stack=main:when=3:break $by "$NARROW/still" writes 5 | cat >"$BATS_TEST_TMPDIR/out"
		equal "what arrived, $by" "line 1 line 2" "$(xargs <"$BATS_TEST_TMPDIR/out")"
		equal "the event, $by" '["write","pipe","fatal",true,"writes"]' \
			"$(broken '[.call, .kind, .signal, .injected, (.stack[0] | split(" ")[1])]')"
	done
}

@test "at stops: the same resets and refusals as by notifications" {
	ruled_only
	narrow steps sigdfl
	BY_STOPS=1 STATIC=$NARROW pairs faults/faults.bats '^reset on TCP: (whatever|the peer sees)|^refuse: the same socket' 3
}

@test "at stops: the same breaks as by notifications" {
	ruled_only
	narrow steps sigdfl
	BY_STOPS=1 STATIC=$NARROW pairs faults/faults.bats '^break on a pipe or FIFO: (all agrees|the reader)' 2
}

@test "at stops: the same ends as by notifications" {
	ruled_only
	narrow steps sigdfl
	BY_STOPS=1 STATIC=$NARROW pairs faults/faults.bats '^fin on|^eof on' 3
}

@test "at stops: the same byte, call, messages, vectors, offsets as by notifications" {
	ruled_only
	narrow steps sigdfl
	BY_STOPS=1 STATIC=$NARROW pairs rules/firing.bats '^at=: (exactly|a file fills|inside a vector)|^at= on reads: the bytes|^when=|^rules are asked' 5
}

# nothing_changes [--all]
nothing_changes() {
	local what by
	for what in refused interrupted timeout pieces headers; do
		equal "$what" "$(timeout -k 1 10 "$NARROW/same" "$what" 3>&-; echo $?)" \
			"$(LIMIT=10 outside -d PIPEGUARD_RULES="%out,%in:at=1000000000:reset" "$@" "$NARROW/same" "$what" 2>&1; echo $?)"
	done
	for by in '' :stack=main; do
		run outside -d PIPEGUARD_RULES="write:kind=pipe:fd=3-$by:break" "$@" "$NARROW/same" shaken
		equal "writes$by" $'broken 300\nnext number 3' "$output"
		run outside -d PIPEGUARD_RULES="write:kind=pipe:when=1$by:delay=1s:error=EIO" "$@" "$NARROW/same" handler
		equal "a handler$by" $'in the handler 7\noutside of it -1 Input/output error\nagain 1' "$output"
		run -0 outside -d PIPEGUARD_RULES="read:kind=pipe$by:delay=25ms" "$@" "$NARROW/same" restarts
	done
}

@test "what rules do not touch is unchanged; what waits is interrupted, made again, and lost nowhere" {
	ruled_only
	libdw_only
	narrow same
	nothing_changes
}

@test "the same at stops" {
	ruled_only
	libdw_only
	narrow same
	nothing_changes --all
}

@test "attach -r: it fires, also by caller=, on the way out of a read that waited, and nothing stays behind" {
	ruled_only
	libdw_only
	local link out=$BATS_TEST_TMPDIR/out
	for link in -static -pie; do
		made lines "$link"
		rm -f "$LOG" "$BATS_TEST_TMPDIR/in"
		mkfifo "$BATS_TEST_TMPDIR/in"
		exec 7<>"$BATS_TEST_TMPDIR/in"
		begin "$out" "$MADE" <"$BATS_TEST_TMPDIR/in"
		echo one >&7
		wait_for grep -q one "$out"
		attached "$PID" -- -r 'write:fd=1:when=2:error=ENOSPC;write:fd=1:caller=put:when=3:drop'
		grep -q 'stop each of its system calls twice' "$BATS_TEST_TMPDIR/said"
		echo two >&7
		wait_for grep -q two "$out"
		echo three >&7
		wait_for grep -q 'No space' "$out.errors"
		echo four >&7
		wait_for grep -q '"action":"drop"' "$LOG"
		kill -TERM "$ENGINE"
		wait "$ENGINE" || :
		untraced "$PID"
		echo five >&7
		wait_for grep -q five "$out"
		exec 7>&-
		wait "$PID"
		equal "what was written, $link" "one two five" "$(xargs <"$out")"
		equal "what is told" '["r1","write",6,true] ["r2","write",5,true]' \
			"$(events 'select(.ev == "inject") | [.rule, .call, .len, (.stack | join(" ") | contains("put"))]' | xargs -d '\n')"
	done
}

@test "attach -r ends no call of a 32-bit process that waits, and makes no other one of it" {
	ruled_only
	narrow same
	local out=$BATS_TEST_TMPDIR/out
	begin "$out" "$NARROW/same" waits
	wait_for grep -q waits "$out"
	asleep() { grep -qs '^State:.*S' "/proc/$PID/status"; }
	wait_for asleep
	attached "$PID" -- -r write:fd=99:break
	wait "$PID"
	wait "$ENGINE"
	equal "what it was told" "waits 0 recv -1 Resource temporarily unavailable" "$(xargs <"$out")"
}

@test "attach -r break: a pipe takes the number in a 32-bit process that runs already" {
	ruled_only
	narrow still
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	local status=0
	begin "$BATS_TEST_TMPDIR/pid" bash -c "read -r l; exec '$NARROW/still' writes 5 > >(cat >'$BATS_TEST_TMPDIR/arrived')" \
		<"$BATS_TEST_TMPDIR/in"
	attached "$PID" -- -r 'write:fd=1:len=7:when=3:break'
	echo >&7
	wait "$PID" || status=$?
	wait "$ENGINE"
	exec 7>&-
	((status == 141))
	wait_for grep -q 'line 2' "$BATS_TEST_TMPDIR/arrived"
	equal "what arrived" "line 1 line 2" "$(xargs <"$BATS_TEST_TMPDIR/arrived")"
	equal "the event" '["write","pipe","fatal",true]' "$(broken '[.call, .kind, .signal, .injected]')"
}

@test "a 64-bit program's calls by the 32-bit gate are those of its number there, also by their stack" {
	requires gcc
	ruled_only
	cat >"$BATS_TEST_TMPDIR/gate.c" <<-'C'
		static char line[] = "line\n";
		int main(void)
		{
			int r = 0;
			for (int i = 0; i < 4 && r >= 0; i++)
				__asm__ volatile("int $0x80" : "=a"(r) : "a"(4), "b"(1), "c"(line), "d"(5)
						 : "memory", "r8", "r9", "r10", "r11");
			return r < 0 ? -r : 0;
		}
	C
	gcc -static -no-pie -O1 -w -o "$BATS_TEST_TMPDIR/gate" "$BATS_TEST_TMPDIR/gate.c"
	"$BATS_TEST_TMPDIR/gate" >/dev/null || skip "this kernel has no 32-bit gate"
	local by
	for by in '' :stack=main; do
		rm -f "$LOG"
		run outside -d PIPEGUARD_RULES="write:fd=1$by:when=3:error=EIO" "$BATS_TEST_TMPDIR/gate"
		equal "lines$by" $'5 line\nline' "$status $output"
	done
	rm "$LOG"
	outside -d PIPEGUARD_RULES=write:fd=1:stack=main:when=3:break "$BATS_TEST_TMPDIR/gate" | cat >"$BATS_TEST_TMPDIR/out"
	equal "lines" 2 "$(wc -l <"$BATS_TEST_TMPDIR/out")"
	equal "a break" '[true,"EPIPE"]' "$(broken '[.injected, .errno]')"
	rm "$LOG"
	# At stops no call of its other kind puts a pipe there: said.
	outside -d PIPEGUARD_RULES=write:fd=1:when=3:break --all "$BATS_TEST_TMPDIR/gate" | cat >"$BATS_TEST_TMPDIR/out"
	equal "lines" 4 "$(wc -l <"$BATS_TEST_TMPDIR/out")"
	equal "a break at a stop" '"EOPNOTSUPP"' "$(events 'select(.ev == "inject") | .failed')"
}

@test "Go's 32-bit programs have stacks, by their tables" {
	libdw_only
	GOARCH=386 go_program lines <<-'GO'
		package main
		import ("fmt"; "os")
		func main() {
			for i := 0; i < 20000; i++ {
				if _, err := fmt.Println("line", i); err != nil { os.Exit(3) }
			}
		}
	GO
	needs_go lines
	outside -d "$GO_DIR/lines" 2>/dev/null | head -1
	[[ $(broken '.stack | join(" ")') == *'os.(*File).Write'*'fmt.Fprintln'*main.main* ]] || { events; false; }
	ruled_only
	rm "$LOG"
	run outside -d PIPEGUARD_RULES=write:fd=1:stack=main.main:when=3:error=EIO "$GO_DIR/lines"
	equal "by stack=" $'3 line 0\nline 1' "$status $output"
}
