#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Other builds: 32-bit programs, musl, clang. Each loads, and its gates tell of a broken write.

load helpers

# variant NAME COMPILER...: builds the library as make NAME does, and a program with COMPILER.
variant() {
	VARIANT=$BATS_TEST_TMPDIR/$1
	mkdir -p "$VARIANT"
	echo 'int main(void) { return 0; }' >"$VARIANT/probe.c"
	"${@:2}" -o "$VARIANT/probe" "$VARIANT/probe.c" 2>/dev/null || skip "no ${*:2} here"
	"$VARIANT/probe" || skip "what ${*:2} makes does not run here"
	run timeout 120 make -s -C "$ROOT" all BUILD="$VARIANT" CC="$2" CFLAGS="-O2 -g -Werror ${*:3}" 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
	"${@:2}" -O1 -g -o "$VARIANT/build" "$ROOT/tests/fixtures/build.c"
	# shellcheck disable=SC2034 # used by guarded
	LIB=$VARIANT/libpipeguard.so
}

# tells MODE HOW WANTED: one event of the program, as [via, call, signal, len].
tells() {
	rm -f "$LOG"
	run guarded "-$1" "$VARIANT/build" "$2"
	equal "the event of $2 under $1" "$3" "$(broken '[.via, .call, .signal, .len]')"
}

@test "32-bit programs: every gate" {
	variant 32 gcc -m32
	tells d write '["call","write","fatal",3]'
	tells i write '["call","write","ignored",3]'
	tells b send '["call","send","blocked",3]'
	tells d printf '["stdio","write","fatal",3]'
	tells i printf '["stdio","write","ignored",3]'
	[[ $(broken '.stack[0]') == '"build+0x'*' break_by"' ]]
}

@test "musl: calls and signals are told, and the missing gate is said at verbose 1" {
	variant musl musl-gcc
	tells d write '["call","write","fatal",3]'
	tells i write '["call","write","ignored",3]'
	tells b send '["call","send","blocked",3]'
	tells d printf '["signal","write","fatal",null]'
	guarded PIPEGUARD_VERBOSE=1 "$VARIANT/build" none
	[[ $(events 'select(.ev == "load") | .gates') == *'no stdio'* ]]
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
	done
}
