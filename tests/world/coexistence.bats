#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Living with others: preloads, sanitizers, tracers and runtimes, in both orders.
# shellcheck disable=SC2016 # the inner shells expand

load ../helpers

setup_file() {
	export P=$BATS_FILE_TMPDIR
	# Says a line, then breaks a pipe; how it ends tells of the signal.
	cat >"$P/breaker.c" <<-'END'
		#include <stdio.h>
		#include <unistd.h>

		int main(void)
		{
			int p[2];

			if (pipe(p) || close(p[0]))
				return 1;
			printf("a line\n");
			fflush(stdout);
			if (write(p[1], "x", 1) < 0)
				perror("breaker");
			return 3;
		}
	END
	gcc -g -o "$P/breaker" "$P/breaker.c"
}

setup() {
	native_only
	glibc_only
}

# object NAME: a shared object of this system, by a pattern.
object() {
	local file
	for file in /usr/lib/*-linux-gnu/"$1" /usr/lib/"$1" /usr/lib64/"$1" /usr/libexec/"$1"; do
		if [[ -e $file ]]; then
			echo "$file"
			return
		fi
	done
	return 1
}

# alive PRELOADS [VAR=VALUE...] PROGRAM: what it prints and how it ends is the same with the library among PRELOADS
# (the word US) as without, and a broken write is told exactly once; suppressed as well.
alive() {
	local preloads=$1 mode wanted others
	shift
	for mode in keep suppress; do
		echo "preloads: $preloads, SIGPIPE: $mode"
		rm -f "$LOG"
		others=$(tr ':' '\n' <<<"$preloads" | grep -vx US | paste -sd:)
		run plain LD_PRELOAD="$others" "$@"
		equal "the status without" 141 "$status"
		wanted=$output
		run timeout "$LIMIT" "$FIXTURES/sigdfl" env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
			PIPEGUARD_SIGPIPE=$mode LD_PRELOAD="${preloads//US/$LIB}" "$@" 3>&-
		[[ $mode = keep ]] || wanted+=$'\nbreaker: Broken pipe'
		equal "the status" "$([[ $mode = keep ]] && echo 141 || echo 3)" "$status"
		equal "what it prints" "$wanted" "$output"
		equal "what is told" "[\"write\",\"$([[ $mode = keep ]] && echo fatal || echo suppressed)\"]" \
			"$(broken '[.call, .signal]')"
	done
}

# both OBJECT [VAR=VALUE...] PROGRAM: alive, in both orders.
both() {
	local other=$1
	shift
	alive "US:$other" "$@"
	alive "$other:US" "$@"
}

@test "other allocators: jemalloc, tcmalloc" {
	local found=0 name
	for name in libjemalloc.so.2 libtcmalloc_minimal.so.4; do
		object "$name" >/dev/null || continue
		both "$(object "$name")" "$P/breaker"
		found=1
	done
	((found)) || skip "neither is installed"
}

# The next write is looked up in the loader's tables, of which there are two kinds.
@test "a library behind ours that defines write has the call, whatever its table of symbols" {
	local kind
	cat >"$P/other.c" <<-'END'
		#include <sys/syscall.h>
		#include <unistd.h>

		ssize_t write(int fd, const void *buf, size_t n)
		{
			return fd == 77 ? 4242 : syscall(SYS_write, fd, buf, n);
		}
	END
	printf '#include <unistd.h>\nint main(void) { return write(77, "x", 1) == 4242 ? 3 : 4; }\n' >"$P/asks.c"
	for kind in sysv gnu both; do
		gcc -shared -fPIC -Wl,--hash-style=$kind -o "$P/other.so" "$P/other.c"
		gcc -Wl,--hash-style=$kind -o "$P/asks" "$P/asks.c"
		run -4 guarded "$P/asks"
		run -3 guarded LD_PRELOAD="$LIB $P/other.so" "$P/asks"
		run -3 guarded LD_PRELOAD="$P/other.so $LIB" "$P/asks"
	done
}

@test "libfaketime" {
	object faketime/libfaketime.so.1 >/dev/null || skip "not installed"
	both "$(object faketime/libfaketime.so.1)" FAKETIME=-400d "$P/breaker"
	[[ $(plain LD_PRELOAD="$(object faketime/libfaketime.so.1)" FAKETIME='@2001-01-01 00:00:00' date -u +%Y) = 2001 ]] ||
		skip "libfaketime does not reach this date"
	# The clock is the faked one where the program asks; ours is the kernel's.
	for order in "$(object faketime/libfaketime.so.1):$LIB" "$LIB:$(object faketime/libfaketime.so.1)"; do
		run -0 guarded LD_PRELOAD="$order" FAKETIME='@2001-01-01 00:00:00' date -u +%Y
		equal "the year" 2001 "$output"
	done
}

@test "eatmydata" {
	object libeatmydata.so >/dev/null || skip "not installed"
	both "$(object libeatmydata.so)" "$P/breaker"
}

@test "proxychains" {
	object libproxychains.so.4 >/dev/null || skip "not installed"
	both "$(object libproxychains.so.4)" PROXYCHAINS_QUIET_MODE=1 "$P/breaker"
}

@test "stdbuf's library" {
	object coreutils/libstdbuf.so >/dev/null || skip "not installed"
	both "$(object coreutils/libstdbuf.so)" _STDBUF_O=L "$P/breaker"
	run -0 guarded stdbuf -oL echo buffered
	equal "what stdbuf prints" buffered "$output"
}

@test "fakeroot: the library inside and around it" {
	requires fakeroot
	run -0 fakeroot -- env LD_PRELOAD_US="$LIB" sh -c 'LD_PRELOAD="$LD_PRELOAD_US:$LD_PRELOAD" PIPEGUARD_LOG=off id -u' 3>&-
	equal "the user" 0 "$output"
	run -0 fakeroot -- env LD_PRELOAD_US="$LIB" sh -c 'LD_PRELOAD="$LD_PRELOAD:$LD_PRELOAD_US" PIPEGUARD_LOG=off id -u' 3>&-
	equal "the user" 0 "$output"
	run -141 timeout "$LIMIT" "$FIXTURES/sigdfl" fakeroot -- env LD_PRELOAD_US="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
		sh -c 'LD_PRELOAD="$LD_PRELOAD:$LD_PRELOAD_US" exec "$0"' "$P/breaker" 3>&-
	equal "what it prints" "a line" "$output"
	equal "what is told" '["write","fatal"]' "$(broken '[.call, .signal]')"
}

@test "two copies of the library: the first is at work, and tells once" {
	cp "$LIB" "$P/copy.so"
	for order in "$LIB:$P/copy.so" "$P/copy.so:$LIB" "$LIB:$LIB"; do
		rm -f "$LOG"
		run -141 guarded LD_PRELOAD="$order" "$P/breaker"
		equal "what it prints, $order" "a line" "$output"
		equal "what is told, $order" '["write","fatal"]' "$(broken '[.call, .signal]')"
	done
}

@test "sanitizers, their runtime inside, in front of the library or behind it" {
	local found=0 cc kind
	for cc in gcc clang; do
		command -v $cc >/dev/null || continue
		for kind in address thread undefined; do
			$cc -g -fsanitize=$kind -o "$P/$cc-$kind" "$P/breaker.c" 2>/dev/null || continue
			# What does not run here at all (TSan where addresses are too random) says nothing.
			run plain "$P/$cc-$kind"
			[ "$status" -eq 141 ] || continue
			echo "$cc -fsanitize=$kind"
			alive US ASAN_OPTIONS=verify_asan_link_order=0 "$P/$cc-$kind"
			found=$((found + 1))
			runtime=$(ldd "$P/$cc-$kind" | awk '/lib[atl]san|clang_rt/ { print $3; exit }')
			[[ -z $runtime ]] || alive "$runtime:US" "$P/$cc-$kind"
		done
	done
	((found)) || skip "no sanitizer"
}

@test "valgrind" {
	requires valgrind
	run timeout 50 "$FIXTURES/sigdfl" env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json PIPEGUARD_SIGPIPE=suppress \
		valgrind -q --error-exitcode=99 "$P/breaker" 3>&-
	equal "status" 3 "$status"
	# An older valgrind does not know openat2, and says so.
	equal "what it prints" $'a line\nbreaker: Broken pipe' "$(grep -v '^--[0-9]*--' <<<"$output")"
	equal "what is told" '["write","suppressed"]' "$(broken '[.call, .signal]')"
}

@test "gdb: the program stops at the signal, is gone through, and a step out of our handler works" {
	requires gdb
	run timeout 50 "$FIXTURES/sigdfl" gdb -q -nx -batch -iex 'set debuginfod enabled off' -iex 'set startup-with-shell off' \
		-ex "set environment LD_PRELOAD $LIB" -ex "set environment PIPEGUARD_LOG $LOG" \
		-ex 'set environment PIPEGUARD_FORMAT json' -ex 'break pg_guard_killed' -ex 'handle SIGPIPE stop print pass' \
		-ex run -ex 'backtrace 3' -ex 'handle SIGPIPE nostop' -ex continue "$P/breaker" 3>&-
	echo "$output"
	[[ $output == *'received signal SIGPIPE'* ]]
	[[ $output == *'terminated with signal SIGPIPE'* ]]
	equal "what is told" '["write","fatal"]' "$(broken '[.call, .signal]')"
}

@test "gdb and unwinders walk through the handler that was set without libc" {
	requires gdb
	run timeout 50 "$FIXTURES/sigdfl" gdb -q -nx -batch -iex 'set debuginfod enabled off' -iex 'set startup-with-shell off' \
		-iex 'set breakpoint pending on' -ex "set environment LD_PRELOAD $LIB" -ex 'set environment PIPEGUARD_LOG off' \
		-ex 'break on_default' -ex 'handle SIGPIPE nostop noprint pass' -ex run -ex backtrace "$P/breaker" 3>&-
	echo "$output"
	[[ $output == *'<signal handler called>'* ]]
	[[ $output == *' main ()'* ]]
}

@test "strace" {
	requires strace
	run timeout 50 "$FIXTURES/sigdfl" strace -f -o "$BATS_TEST_TMPDIR/trace" env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" \
		PIPEGUARD_FORMAT=json "$P/breaker" 3>&-
	equal "status" 141 "$status"
	equal "what it prints" 'a line' "$output"
	equal "what is told" '["write","fatal"]' "$(broken '[.call, .signal]')"
	grep -q 'killed by SIGPIPE' "$BATS_TEST_TMPDIR/trace"
}

# As Go does under cgo: its own handler, by the kernel's call, with its own way back.
@test "a program that sets its handlers by raw system calls keeps them, and its writes are told" {
	cat >"$P/raw.c" <<-'END'
		#include <signal.h>
		#include <stdint.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/syscall.h>
		#include <unistd.h>

		static volatile int caught;
		static void handler(int sig) { caught += sig; }

		int main(int argc, char **argv)
		{
			struct sigaction a;
			uintptr_t kernel[5], mine[5], again[5]; /* the mask is two words on 32 bit */
			int p[2];

			if (pipe(p) || close(p[0]))
				return 1;
			/* libc's, for the way back; then the kernel's own. */
			memset(&a, 0, sizeof a);
			a.sa_handler = handler;
			sigaction(SIGUSR1, &a, NULL);
			syscall(SYS_rt_sigaction, SIGUSR1, NULL, kernel, 8);
			memcpy(mine, kernel, sizeof mine);
			if (argc > 1 && !strcmp(argv[1], "ignore"))
				mine[0] = (uintptr_t)SIG_IGN;
			syscall(SYS_rt_sigaction, SIGPIPE, mine, NULL, 8);
			ssize_t n = write(p[1], "x", 1);
			syscall(SYS_rt_sigaction, SIGPIPE, NULL, again, 8);
			printf("%zd caught %d kept %d\n", n, caught, again[0] == mine[0]);
			return 0;
		}
	END
	gcc -o "$P/raw" "$P/raw.c"
	for how in catch ignore; do
		rm -f "$LOG"
		run -0 plain "$P/raw" $how
		wanted=$output
		equal "the plain program, $how" "-1 caught $([[ $how = catch ]] && echo 13 || echo 0) kept 1" "$output"
		run -0 guarded "$P/raw" $how
		equal "under the library, $how" "$wanted" "$output"
		equal "what is told" "[\"write\",\"$([[ $how = catch ]] && echo caught || echo ignored)\"]" "$(broken '[.call, .signal]')"
	done
}

@test "java with -Xcheck:jni: no warning, the same output" {
	requires java
	run timeout 50 java -version
	[ "$status" -eq 0 ] || skip "java does not run here"
	cat >"$P/Hello.java" <<-'END'
		public class Hello {
			public static void main(String[] a) throws Exception {
				var server = new java.net.ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress());
				var client = new java.net.Socket(server.getInetAddress(), server.getLocalPort());
				var peer = server.accept();
				client.getOutputStream().write(65);
				System.out.println(peer.getInputStream().read());
				peer.setSoLinger(true, 0);
				peer.close();
				try {
					for (int i = 0; i < 100; i++) { client.getOutputStream().write(66); Thread.sleep(10); }
				} catch (java.io.IOException e) { System.out.println("broken"); }
			}
		}
	END
	run timeout 55 env LD_PRELOAD= java -Xcheck:jni -Xshare:auto -XX:TieredStopAtLevel=1 "$P/Hello.java" 3>&-
	[ "$status" -eq 0 ] || skip "this java runs no source file"
	wanted=$output
	run timeout 55 "$FIXTURES/sigdfl" env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
		java -Xcheck:jni -Xshare:auto -XX:TieredStopAtLevel=1 "$P/Hello.java" 3>&-
	equal "what it prints" "$wanted" "$output"
}
