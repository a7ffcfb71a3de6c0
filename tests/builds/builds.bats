#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # the inner shells expand
# Other builds: 32-bit programs, musl, clang. Each loads, and its gates tell of a broken write.

load ../helpers

export BATS_TEST_TIMEOUT=240 # whole builds, on a busy machine

# variant NAME COMPILER...: builds the library as make NAME does, and a program with COMPILER.
variant() {
	VARIANT=$BATS_FILE_TMPDIR/$1 # which the tests of one file share
	mkdir -p "$VARIANT"
	# Some clangs take the headers of the machine that they run on.
	printf '#include <stdint.h>\nint main(void) { return sizeof(uintptr_t) - sizeof(void *); }\n' >"$VARIANT/probe.c"
	"${@:2}" -o "$VARIANT/probe" "$VARIANT/probe.c" 2>/dev/null || skip "no ${*:2} here"
	"${EMULATOR[@]}" "$VARIANT/probe" || skip "what ${*:2} makes does not run here"
	run timeout 120 make -s -j2 -C "$ROOT" all BUILD="$VARIANT" CC="$2" CFLAGS="-O2 -g -Werror ${*:3}" 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
	# The caller must stand on the stack, whatever the compiler makes of a last call.
	"${@:2}" -O1 -g -fno-optimize-sibling-calls -o "$VARIANT/build" "$ROOT/tests/fixtures/build.c"
	# shellcheck disable=SC2034 # used by guarded
	LIB=$VARIANT/libpipeguard.so
}

# tells MODE HOW WANTED: one event of the program, as [via, call, signal, len].
tells() {
	rm -f "$LOG"
	run guarded "-$1" "$VARIANT/build" "$2"
	equal "the event of $2 under $1" "$3" "$(broken '[.via, .call, .signal, .len]')"
}

every_gate_tells() {
	tells d write '["call","write","fatal",3]'
	tells i write '["call","write","ignored",3]'
	tells b send '["call","send","blocked",3]'
	tells d printf '["stdio","write","fatal",3]'
	tells i printf '["stdio","write","ignored",3]'
	[[ $(broken '.stack[0]') == '"build+0x'*' break_by"' ]]
}

# What the library says of the program's stack and site, a pipeguard of 64 bits says from outside.
the_same_from_outside() {
	[[ $BITS = 64 && $(PATH=$PATH:/sbin ldconfig -p) = *libdw.so.1* ]] || return 0
	timeout 10 "$BUILD/pipeguard" run --outside /bin/true 2>/dev/null </dev/null || return 0
	local how
	for how in write send; do
		rm -f "$LOG" "$LOG.outside"
		guarded -i "$VARIANT/build" "$how" || :
		PIPEGUARD_LOG=$LOG.outside PIPEGUARD_FORMAT=json timeout "$LIMIT" "$FIXTURES/sigdfl" -i \
			"$BUILD/pipeguard" run --outside "$VARIANT/build" "$how" 3>&- || :
		equal "stack and site of $how" "$(broken '[.site, .stack]')" \
			"$(jq -c 'select(.ev == "epipe") | [.site, .stack]' "$LOG.outside")"
		[[ $(broken .stack) = *break_by*main* ]]
	done
}

@test "32-bit programs: every gate" {
	variant 32 gcc -m32
	every_gate_tells
	the_same_from_outside
}

# It warns of words of 64 bits that lie where i386's ABI puts them, and would read them by a library that is not there.
@test "32-bit programs, by clang: every gate" {
	variant clang32 clang -m32
	every_gate_tells
}

# glibc 2.34 has a second name for each call whose data may hold a time.
@test "32-bit programs with 64-bit time: the calls are seen, ruled and told under the names that programs write" {
	variant 32 gcc -m32
	gcc -m32 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -O1 -g -o "$VARIANT/time64" "$ROOT/tests/fixtures/time64.c"
	[[ $(nm -D "$VARIANT/time64") == *__sendmsg64* ]] || skip "this libc has no 64-bit time on 32 bit"
	run timeout 20 env --ignore-signal=PIPE "$VARIANT/time64"
	equal "without the library" "5 1 104 0 1 -32 -32" "$output"

	run guarded -i "$VARIANT/time64"
	equal "what it does" "5 1 104 0 1 -32 -32" "${lines[0]}"
	equal "the events" '["sendmsg",20,"getsockopt",10]
["sendmmsg",20,"getsockopt",10]' "$(broken '[.call, .fd, .history[0].call, .sent]')"

	rm "$LOG"
	run guarded -i PIPEGUARD_RULES='sendmsg:when=1:error=EAGAIN; recvmmsg:error=EINTR; sendmmsg:when=1:error=EIO' "$VARIANT/time64"
	equal "what the rules make" "-11 -5 0 0 -4 -32 -32" "${lines[0]}"
	equal "the calls" '"sendmsg" "sendmmsg" "recvmmsg" "sendmsg" "sendmmsg"' "$(events 'select(.ev == "epipe" or .ev == "inject") | .call' | paste -sd' ')"
}

@test "musl: calls and signals are told, and the missing gate is said at verbose 1" {
	variant musl musl-gcc
	tells d write '["call","write","fatal",3]'
	tells i write '["call","write","ignored",3]'
	tells b send '["call","send","blocked",3]'
	# Its stdio writes by writev, from a place that may not show that.
	rm "$LOG"
	run guarded -d "$VARIANT/build" printf
	[[ $(broken '[.via, .call, .signal, .len]') == '["signal",'@('"write","fatal",null'|'"writev","fatal",3')']' ]]
	guarded PIPEGUARD_VERBOSE=1 "$VARIANT/build" none
	[[ $(events 'select(.ev == "load") | .gates') == *'no stdio'* ]]

	# Where it has 32 bits its header has another symbol for recvmmsg.
	musl-gcc -D_GNU_SOURCE -O1 -g -o "$VARIANT/time64" "$ROOT/tests/fixtures/time64.c"
	run guarded -i PIPEGUARD_RULES='recvmmsg:error=EINTR' "$VARIANT/time64"
	equal "what the rule makes" "5 1 104 0 -4 -32 -32" "${lines[0]}"
	equal "the call" '"recvmmsg"' "$(events 'select(.ev == "inject") | .call')"
}

# Then the kernel holds the loader for the program.
@test "a loader that is started by hand: its program is guarded, and named" {
	native_only
	local loader
	loader=$(readelf -p .interp "$FIXTURES/build" | sed -n 's/^ *\[ *0\] *//p')
	run -141 plain -d "$loader" "$FIXTURES/build" write
	run -141 guarded -d "$loader" "$FIXTURES/build" write
	[[ $(broken '.stack[0]') == '"build+0x'* ]]
}

@test "musl: its loader, which is a static-pie, started by hand" {
	variant musl musl-gcc
	local loader
	loader=$(readelf -p .interp "$VARIANT/build" | sed -n 's/^ *\[ *0\] *//p')
	run -141 plain -d "$loader" "$VARIANT/build" write
	run -141 guarded -d "$loader" "$VARIANT/build" write
	[[ $(broken '.stack[0]') == '"build+0x'* ]]
}

@test "aarch64, under qemu: every gate" {
	requires qemu-aarch64
	EMULATOR=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
	if command -v aarch64-linux-gnu-gcc >/dev/null; then
		variant arm64 aarch64-linux-gnu-gcc
	else
		variant arm64 clang --target=aarch64-linux-gnu
	fi
	every_gate_tells
	# A kernel with pages of 64 KiB, as far as qemu has it (from 9 on: none).
	[[ $(qemu-aarch64 --help) == *' pagesize '* ]] || return 0
	EMULATOR+=(-p 65536)
	every_gate_tells
}

# The loader puts its own folder for each architecture where $LIB stands.
@test "32-bit children of a 64-bit program: with \$LIB each gets its own library, and nobody complains" {
	native_only
	local dir=$BATS_TEST_TMPDIR/prefix
	variant 32 gcc -m32
	mkdir -p "$dir"/lib/{x86_64,i386}-linux-gnu "$dir"/lib{32,64}
	ln -s "$ROOT/build/libpipeguard.so" "$dir/lib64/"
	ln -s "$ROOT/build/libpipeguard.so" "$dir/lib/x86_64-linux-gnu/"
	ln -s "$LIB" "$dir/lib32/"
	ln -s "$LIB" "$dir/lib/i386-linux-gnu/"
	[[ $BITS = 64 ]] || skip "no 64-bit programs here"
	# What it is without: the 32-bit program runs without the library, and its loader says so.
	run guarded -i LD_PRELOAD="$ROOT/build/libpipeguard.so" sh -c '"$0" write; "$1" write; exit 0' "$VARIANT/build" "$FIXTURES/build"
	[[ $output == *"wrong ELF class"* ]]
	equal "the events" 1 "$(broken .pid | wc -l)"
	rm "$LOG"
	run guarded -i LD_PRELOAD="$dir/\$LIB/libpipeguard.so" sh -c '"$0" write; "$1" write; exit 0' "$VARIANT/build" "$FIXTURES/build"
	equal "the complaints" "" "$output"
	equal "the events" $'"call"\n"call"' "$(broken .via)"
}

@test "the portable tarball: its library for 32-bit programs is the one that their loader takes" {
	native_only
	[[ $(uname -m) = x86_64 && $BITS = 64 ]] || skip "for x86-64 alone"
	local dir=$BATS_TEST_TMPDIR/unpacked program=$BATS_TEST_TMPDIR/program32
	gcc -m32 -o "$program" "$ROOT/tests/fixtures/build.c" 2>/dev/null || skip "no gcc -m32 here"
	run "$FIXTURES/sigdfl" -i "$program" write
	[ "$status" -eq 1 ] || skip "no 32-bit programs here"
	timeout 120 make -s -j2 -C "$ROOT" BUILD="$BUILD" install PREFIX="$dir" 3>&-
	CFLAGS='-O0 -g' timeout 200 "$ROOT/scripts/dev/packages" portable-32 "$dir" 3>&-
	timeout 120 make -s -j2 -C "$ROOT" BUILD="$BUILD" all 3>&-
	mv "$dir" "$dir.moved"
	run guarded -i LD_PRELOAD="$dir.moved/\$LIB/libpipeguard.so" sh -c '"$0" write; "$1" write; exit 0' "$program" "$FIXTURES/build"
	[[ $output != *'wrong ELF class'* ]] || skip "this loader's \$LIB is lib for 32 bits"
	equal "the complaints" "" "$output"
	equal "the events" '"program32" "build"' "$(broken .comm | xargs -d '\n')"
}

@test "clang builds the same" {
	variant clang clang
	tells d write '["call","write","fatal",3]'
	tells i printf '["stdio","write","ignored",3]'
}

@test "without optimisation, and with all of it" {
	for level in -O0 -O3; do
		variant "level$level" gcc "$level"
		tells d write '["call","write","fatal",3]'
		tells i printf '["stdio","write","ignored",3]'
		tells d dprintf '["call","dprintf","fatal",3]' # whose write passes the stdio gate
	done
}

@test "the command of the portable tarball: linked statically, it runs programs of any libc" {
	native_only
	requires musl-gcc
	static=$BATS_TEST_TMPDIR/static
	timeout 120 make -s -j2 -C "$ROOT" "$static/pipeguard" BUILD="$static" CC=musl-gcc CFLAGS='-O0 -g' LDFLAGS=-static 3>&-
	[[ $(readelf -l "$static/pipeguard") != *INTERP* ]]
	cp "$LIB" "$static"
	run timeout 20 "$FIXTURES/sigdfl" bash -c "'$static/pipeguard' '$FIXTURES/numbers' 100000 | head -1" 3>&-
	[[ $output == *'SIGPIPE kills'* ]]
}
