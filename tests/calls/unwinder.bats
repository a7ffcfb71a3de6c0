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
