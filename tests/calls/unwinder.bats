#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The stack is walked as libgcc walks it, wherever a program is, and whatever was there before.

load ../helpers

# climb COMMAND...: the climb preload's counts go to $COUNTS, a line for each process.
climb() {
	timeout 60 env CLIMB="$COUNTS" LD_PRELOAD="$FIXTURES/climb.so" "$@" >/dev/null 2>&1
}

setup() {
	COUNTS=$BATS_TEST_TMPDIR/counts
}

@test "at thousands of moments in real programs it finds what libgcc finds, and seldom ends before it" {
	requires python3 perl sort awk
	native_only
	[[ $(readelf -h "$LIB") == *X86-64* ]] || skip "the rows are for x86-64"
	climb /usr/bin/python3 -c '
import json, re
for i in range(60):
    sorted(str(x) for x in range(10000)); re.findall("[0-9]+", "a1b22" * 1000); json.dumps(list(range(3000)))'
	# shellcheck disable=SC2016 # Perl's own
	climb /usr/bin/perl -e 'for (1..400000) { $x{$_ % 1000} = sprintf("%d %s", $_, "a" x 3) } sort values %x'
	# shellcheck disable=SC2016 # for the inner shell
	climb bash -c 'for i in {1..60000}; do x=${i/1/2}; done'
	climb sort -R <(seq 100000)
	climb awk 'BEGIN { for (i = 0; i < 500000; i++) { x = x substr(i, 1, 1); if (length(x) > 100) x = "" } }'
	cat "$COUNTS"
	awk '{ for (i = 1; i <= NF; i++) { split($i, w, "="); sum[w[1]] += w[2] } }
		END { exit !(sum["same"] > 500 && !sum["different"] && sum["early"] < sum["same"] / 5) }' <(grep ^same= "$COUNTS")
}

@test "a module that another build replaces at its address is walked by the new one's tables" {
	native_only
	cd "$BATS_TEST_TMPDIR"
	for room in 64 4000; do
		cat >plug.c <<-EOF
			#include <unistd.h>
			#include <string.h>
			static volatile int zero;
			__attribute__((noinline)) int inner(int fd) {
				char room[$room]; memset(room, 'x', sizeof room); __asm__("" :: "r"(room) : "memory");
				return (int)write(fd, room, 1) + zero; }
			int plug(int fd) { return inner(fd) + zero; }
		EOF
		gcc -O1 -shared -fPIC -o "$room.so" plug.c
	done
	run guarded "$FIXTURES/reload" ./64.so ./4000.so
	equal "where it was loaded" "same place" "$output"
	equal "the stacks" '["inner","plug"] ["inner","plug"]' \
		"$(broken '[.stack[:2][] | split(" ")[1]]' | paste -sd' ')"
	[[ $(broken '[.stack[] | split(" ")[1]] | index("main") > 0' | sort -u) == true ]]
}

# named: the stack's frames by the names of functions, "-" where code was made as it ran.
named() {
	broken '[.stack[] | if startswith("?") then "-" else split(" ")[1] // "?" end] | join(" ")' | tr -d '"'
}

@test "beyond code that was made as it ran the stack is climbed by frame pointers; the site is that of what is before it" {
	native_only
	local n site=
	for n in 1 3; do
		rm -f "$LOG"
		run guarded PIPEGUARD_STACK=32 "$FIXTURES/made" frame $n
		[[ $status -ne 77 ]] || skip "no code can be made here"
		equal status 0 "$status"
		run -0 named
		equal "the stack of $n" "leaf$(printf ' - nest%.0s' $(seq $n)) outer main" "${output/ main */ main}" # what starts main has a name, or none
		equal "the site of $n" "${site:=$(broken .site)}" "$(broken .site)"
	done
	rm -f "$LOG"
	run -0 guarded PIPEGUARD_RULES="write:stack=outer:drop" "$FIXTURES/made" frame 2
	equal "a rule for who called beyond" 1 "$(events 'select(.ev == "inject")' | wc -l)"
	rm -f "$LOG"
	run -0 guarded PIPEGUARD_RULES="write:site=${site//\"/}:drop" "$FIXTURES/made" frame 2
	equal "a rule for the site" 1 "$(events 'select(.ev == "inject")' | wc -l)"
}

@test "what is no frame ends the stack beyond such code: nothing is read that is not there, nobody named who did not call" {
	native_only
	run guarded "$FIXTURES/made" frame
	[[ $status -ne 77 ]] || skip "no code can be made here"
	local how
	for how in odd below end edge data call none; do
		rm -f "$LOG"
		run -0 guarded PIPEGUARD_STACK=32 "$FIXTURES/made" "$how"
		equal "$how" "leaf -" "$(named)"
	done
	rm -f "$LOG"
	run -0 guarded PIPEGUARD_STACK=32 "$FIXTURES/made" loop
	equal loop "leaf - main" "$(named | cut -d' ' -f-3)"
}

@test "what lies behind a stack may go at any moment: it is not read but by the kernel" {
	native_only
	for _ in 1 2 3; do # mostly one of them meets it
		run guarded PIPEGUARD_STACK=32 PIPEGUARD_LOG=off "$FIXTURES/made" comes
		[[ $status -ne 77 ]] || skip "no code can be made here"
		equal status 0 "$status"
	done
}

@test "the site is that of what tables led to, from inside and outside, where code without any calls" {
	native_only
	local how n engine site
	for how in direct file; do
		site=
		for n in 1 2; do
			for engine in inside outside; do
				rm -f "$LOG"
				run timeout "$LIMIT" "$BUILD/pipeguard" run --$engine -o "$LOG" -j "$FIXTURES/made" $how $n 3>&-
				[[ $engine = inside || $status -ne 126 ]] || continue # no process can be traced here
				[[ $status -ne 77 ]] || skip "no such code here"
				equal status 0 "$status"
				equal "the site of $how $n, $engine" "${site:=$(broken .site)}" "$(broken .site)"
			done
		done
	done
}
