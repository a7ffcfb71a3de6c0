#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What goes wrong with preloaded libraries, where no other file has its test: PITFALLS.md has them all.
# shellcheck disable=SC2016,SC2030,SC2031 # words for other shells; what run sets

load ../helpers

BREAK='$SIG{PIPE} = "IGNORE"; pipe my $r, my $w; close $r; print defined syswrite($w, "x") ? "" : $!{EPIPE} ? "EPIPE" : $!, "\n"; exit 42'

# quirk MODE -i|-d STATUS OUTPUT: as without the library; one event more than before.
quirk() {
	rm -f "$LOG"
	run plain "$2" "$FIXTURES/brokenfd" 40 "$FIXTURES/quirks" "$1"
	((status != 77)) || skip "not with this libc or kernel"
	equal "without the library, $1 $2" "$3 $4" "$status $output"
	run guarded "$2" "$FIXTURES/brokenfd" 40 "$FIXTURES/quirks" "$1"
	equal "with it, $1 $2" "$3 $4" "$status $output"
}

@test "PITFALLS.md has all ninety items, and every test that it names is there" {
	local list=$ROOT/tests/PITFALLS.md file name missing=0
	equal "the items" "$({ printf 'A%s\n' {1..25}; printf 'B%s\n' {1..35}; printf 'C%s\n' {1..30}; } | sort)" \
		"$(grep -oE '^\| [ABC][0-9]+ ' "$list" | tr -d '| ' | sort)"
	# In the last column: `folder/file.bats` "name of a test"
	while IFS=$'\t' read -r file name; do
		grep -qxF "@test \"$name\" {" "$ROOT/tests/$file" || {
			echo "$file has no test '$name'"
			missing=1
		}
	done < <(grep -oE '`[a-z/_]+\.bats` "[^"]+"' "$list" | sed -E 's/^`([a-z/_.]+)` "(.*)"$/\1\t\2/; s/\\\|/|/g')
	((missing == 0))
	equal "items with neither test nor reason" "" "$(grep -E '^\| [ABC0]' "$list" | grep -vE '`[a-z/_]+\.bats` "|None: ' || true)"
}

@test "random numbers, locale and umask are the program's own" {
	quirk private -i 0 "$(plain -i "$FIXTURES/brokenfd" 40 "$FIXTURES/quirks" private)"
	equal events 1 "$(broken 1 | wc -l)"
}

@test "a task that shares our memory and thread-local storage breaks beside us: errno is right" {
	quirk clone -i 0 "wrong 0, child 0"
}

@test "a break on a fibre's stack of 8 KiB, by the wrapper and by the signal" {
	[[ $BUILD != */musl ]] || skip "musl has no fibres"
	quirk fibre -i 0 "broke 1"
	equal events 1 "$(broken 1 | wc -l)"
	quirk fibre -d 141 ""
	equal "the event" '"fatal"' "$(broken .signal)"
}

@test "a crash handler that complains into a broken pipe is told, and leaves as it would" {
	quirk crash -i 11 ""
	equal events '["write",40]' "$(broken '[.call, .fd]')"
	quirk crash -d 141 ""
	equal "the event" '"fatal"' "$(broken .signal)"
}

@test "the limit of descriptors goes below those that are open: the event is told" {
	quirk fewer -i 0 "broke 1, another -1"
	equal events 1 "$(broken 1 | wc -l)"
}

@test "a kernel that lacks newer system calls: the event is told" {
	run plain -i "$FIXTURES/quirks" old /usr/bin/perl -e "$BREAK"
	((status != 77)) || skip "no seccomp filters here"
	equal "without" "42 EPIPE" "$status $output"
	run guarded -i "$FIXTURES/quirks" old /usr/bin/perl -e "$BREAK"
	equal "with it" "42 EPIPE" "$status $output"
	equal events 1 "$(broken 1 | wc -l)"
}

@test "beside other preloaded libraries, in both orders: the same, and one event" {
	local other found=0
	native_only
	for other in /usr/lib/*/libjemalloc.so.2 /usr/lib/*/libtcmalloc_minimal.so.? /usr/lib/*/libeatmydata.so.1 \
		/usr/lib/*/faketime/libfaketime.so.1 /usr/lib/*/libfakeroot/libfakeroot-sysv.so /usr/libexec/coreutils/libstdbuf.so; do
		[[ -e $other ]] || continue
		found=1
		for both in "$LIB $other" "$other $LIB"; do
			rm -f "$LOG"
			run guarded -i LD_PRELOAD="$both" /usr/bin/perl -e "$BREAK"
			equal "under $both" "42 EPIPE" "$status $output"
			equal "events under $both" 1 "$(broken 1 | wc -l)"
		done
	done
	((found)) || skip "none is installed"
}

@test "with an LD_AUDIT library loaded" {
	glibc_only
	native_only
	echo 'unsigned la_version(unsigned v) { return v; }' >"$BATS_TEST_TMPDIR/audit.c"
	gcc -shared -fPIC -o "$BATS_TEST_TMPDIR/audit.so" "$BATS_TEST_TMPDIR/audit.c"
	run -42 guarded -i LD_AUDIT="$BATS_TEST_TMPDIR/audit.so" /usr/bin/perl -e "$BREAK"
	equal events 1 "$(broken 1 | wc -l)"
}

@test "a clock that is faked for the program is not faked in the log" {
	local faketime
	native_only
	faketime=$(ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null) || skip "libfaketime is not installed"
	run guarded -i FAKETIME='@2000-01-01 00:00:00' LD_PRELOAD="$LIB $faketime" /usr/bin/perl -e "print +(gmtime)[5]; $BREAK"
	equal "the program's year" "42 100EPIPE" "$status $output"
	[[ $(broken .t) == "\"$(date -u +%Y)-"* ]]
}

@test "loaded late, by a program that opens it, the library does nothing and harms nothing" {
	native_only
	run plain -i PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json /usr/bin/python3 -c '
import ctypes, os, signal, sys
ctypes.CDLL(sys.argv[1])
r, w = os.pipe(); os.close(r)
try: os.write(w, b"x")
except BrokenPipeError: print("broke")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
sys.stdout.flush()
os.write(w, b"x")' "$LIB"
	equal "status and output" "141 broke" "$status $output"
}

@test "a mount that forbids execution: the loader's one line, and the program runs" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	native_only
	mkdir "$BATS_TEST_TMPDIR/noexec"
	mount -t tmpfs -o noexec none "$BATS_TEST_TMPDIR/noexec" 2>/dev/null || skip "no tmpfs here"
	cp "$LIB" "$BATS_TEST_TMPDIR/noexec/"
	run plain LD_PRELOAD="$BATS_TEST_TMPDIR/noexec/libpipeguard.so" /bin/echo on
	umount "$BATS_TEST_TMPDIR/noexec"
	equal "status, last line" "0 on" "$status ${lines[-1]}"
	[[ ${lines[0]} == *"cannot be preloaded"* && ${#lines[@]} -eq 2 ]]
}

@test "a program that closes whatever /proc/self/fd shows until nothing is left comes to an end" {
	run guarded -i /usr/bin/perl -MPOSIX -e '
		for my $round (1 .. 50) {
			opendir my $d, "/proc/self/fd" or die; my @fd = grep { $_ > 2 && $_ != fileno $d } grep /\d/, readdir $d; closedir $d;
			exit 7 unless @fd; POSIX::close($_) for @fd;
		}'
	equal status 7 "$status"
}

@test "a descriptor that is passed to another process is that process's: no event, no error" {
	native_only
	run guarded -i /usr/bin/python3 -c '
import os, socket, subprocess
a, b = socket.socketpair()
helper = subprocess.Popen(["env", "-u", "LD_PRELOAD", "/usr/bin/python3", "-c", """
import os, socket
s = socket.socket(fileno=0); data, fds, f, a = socket.recv_fds(s, 1, 1)
try: os.write(fds[0], b"x")
except BrokenPipeError: s.send(b"broke")
"""], stdin=b)
r, w = os.pipe(); os.close(r)
socket.send_fds(a, [b"x"], [w])
print(a.recv(9).decode()); helper.wait()'
	equal "status and output" "0 broke" "$status $output"
	equal events "" "$(broken .pid)"
}

@test "what posix_spawn does to descriptors in the child does not move the parent's rules" {
	native_only
	run guarded -i PIPEGUARD_RULES='write:fd=50:comm=python3:when=2:error=EAGAIN' /usr/bin/python3 -c '
import os
r, w = os.pipe(); os.dup2(w, 50)
os.write(50, b"1")
pid = os.posix_spawn("/bin/bash", ["bash", "-c", "echo spawned >&50"], os.environ,
	file_actions=[(os.POSIX_SPAWN_CLOSE, 50), (os.POSIX_SPAWN_DUP2, 1, 50)])
os.waitpid(pid, 0)
try: os.write(50, b"2")
except OSError as e: print(e.errno)'
	equal "status and output" "0 spawned 11" "$status $(xargs <<<"$output")"
}

@test "a shell that unsets our variables and exports getenv of its own changes nothing" {
	native_only
	run guarded -i "$FIXTURES/brokenfd" 40 bash -c 'unset PIPEGUARD_LOG PIPEGUARD_FORMAT LD_PRELOAD; echo x >&40; echo "$?"'
	equal output 1 "${lines[-1]}"
	equal "the event" '["bash","pipe"]' "$(broken '[.comm, .kind]')"
	rm "$LOG"
	guarded -i env -i LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json /usr/bin/perl -e "$BREAK" || [[ $? == 42 ]]
	equal events 1 "$(broken 1 | wc -l)"
}

@test "valgrind finds nothing in a run with events" {
	requires valgrind
	native_only
	run timeout 50 "$FIXTURES/sigdfl" -i valgrind -q --error-exitcode=9 --leak-check=full env LD_PRELOAD="$LIB" true 3>&-
	((status == 0)) || skip "valgrind does not run here"
	run timeout 50 "$FIXTURES/sigdfl" -i valgrind -q --trace-children=yes --error-exitcode=9 --leak-check=full \
		env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$FIXTURES/many" 1 4 5 3>&-
	echo "$output"
	equal status 0 "$status"
	equal events 20 "$(broken 1 | wc -l)"
}

@test "java -Xcheck:jni warns of nothing" {
	requires java javac
	native_only
	cat >"$BATS_TEST_TMPDIR/T.java" <<-'END'
		public class T { public static void main(String[] a) { System.out.println("on"); } }
	END
	wanted=$(LIMIT=50 plain java -Xcheck:jni "$BATS_TEST_TMPDIR/T.java" 2>&1)
	equal "the output" "$wanted" "$(LIMIT=50 guarded java -Xcheck:jni "$BATS_TEST_TMPDIR/T.java" 2>&1)"
}

@test "children of node, python3, perl and the shell have dispositions and masks as without" {
	native_only
	children() {
		"$1" "$2" sh -c 'env -u LD_PRELOAD grep -E "Sig(Ign|Blk|Cgt)" /proc/self/status'
		"$1" "$2" /usr/bin/python3 -c 'import subprocess; subprocess.run(["env", "-u", "LD_PRELOAD", "grep", "-E", "Sig(Ign|Blk|Cgt)", "/proc/self/status"])'
		"$1" "$2" /usr/bin/perl -e 'system "env", "-u", "LD_PRELOAD", "grep", "-E", "Sig(Ign|Blk|Cgt)", "/proc/self/status"'
		! command -v node >/dev/null || "$1" "$2" node -e '
			require("child_process").spawnSync("env", ["-u", "LD_PRELOAD", "grep", "-E", "Sig(Ign|Blk|Cgt)", "/proc/self/status"], {stdio: "inherit"})'
	}
	for mode in -d -i -b; do
		wanted=$(children plain "$mode")
		(($(wc -l <<<"$wanted") >= 9))
		equal "the children's under $mode" "$wanted" "$(children guarded "$mode")"
	done
}

@test "a Rust program ignores SIGPIPE, and its broken write is told" {
	requires rustc
	native_only
	cat >"$BATS_TEST_TMPDIR/r.rs" <<-'END'
		use std::io::Write;
		fn main() { for _ in 0..100000 { if let Err(e) = writeln!(std::io::stdout(), "line") { eprintln!("{:?}", e.kind()); std::process::exit(3); } } }
	END
	rustc -o "$BATS_TEST_TMPDIR/r" "$BATS_TEST_TMPDIR/r.rs" 2>/dev/null || skip "rustc does not build"
	run guarded "$FIXTURES/brokenfd" 1 "$BATS_TEST_TMPDIR/r"
	equal "status and output" "3 BrokenPipe" "$status $output"
	equal "the event" '["write",1,"ignored"]' "$(broken '[.call, .fd, .signal]')"
}

@test "dup2 of a socket over the log's own number: its peer gets the program's bytes alone, and the event is told" {
	native_only
	run guarded -i /usr/bin/python3 -c '
import os, socket
log = next(int(f) for f in os.listdir("/proc/self/fd") if int(f) > 100)
a, b = socket.socketpair(); os.dup2(b.fileno(), log); os.write(log, b"mine")
r, w = os.pipe(); os.close(r)
try: os.write(w, b"x")
except BrokenPipeError: pass
b.close(); os.close(log); print(a.recv(999).decode())'
	equal "status and output" "0 mine" "$status $output"
	equal events 1 "$(broken 1 | wc -l)"
}

@test "32-bit and 64-bit programs each load theirs where the loader puts in the folder, and say nothing" {
	local at=$BATS_TEST_TMPDIR/at
	native_only
	[[ $BITS = 64 ]] || skip "no 64-bit programs here"
	echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/probe.c"
	gcc -m32 -o "$BATS_TEST_TMPDIR/probe32" "$BATS_TEST_TMPDIR/probe.c" 2>/dev/null && "$BATS_TEST_TMPDIR/probe32" ||
		skip "no 32-bit programs here"
	run timeout 120 make -s -j4 -C "$ROOT" "$BATS_TEST_TMPDIR/32/libpipeguard.so" BUILD="$BATS_TEST_TMPDIR/32" CC=gcc CFLAGS='-O0 -m32' 3>&-
	mkdir -p "$at/lib64" "$at/lib/x86_64-linux-gnu" "$at/lib32" "$at/lib/i386-linux-gnu"
	cp "$LIB" "$at/lib64/" && cp "$LIB" "$at/lib/x86_64-linux-gnu/"
	cp "$BATS_TEST_TMPDIR/32/libpipeguard.so" "$at/lib32/" && cp "$at/lib32/libpipeguard.so" "$at/lib/i386-linux-gnu/"
	run -0 guarded LD_PRELOAD="$at/"'$LIB/libpipeguard.so' PIPEGUARD_VERBOSE=1 sh -c '"$1"; /bin/true; "$1"' - "$BATS_TEST_TMPDIR/probe32"
	equal output "" "$output"
	equal "what was loaded" "probe32 probe32 sh true" "$(events 'select(.ev == "load").comm' | tr -d '"' | sort | xargs)"
	# The wrong class is what it is about: it complains.
	run -0 guarded "$BATS_TEST_TMPDIR/probe32"
	[[ $output == *"wrong ELF class"* ]]
}
