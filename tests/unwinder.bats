#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The stack is walked as libgcc walks it, wherever a program is, and whatever was there before.

load helpers

# climb COMMAND...: the climb preload's counts go to $COUNTS, a line for each process.
climb() {
	timeout 60 env CLIMB="$COUNTS" LD_PRELOAD="$FIXTURES/climb.so" "$@" >/dev/null 2>&1
}

setup() {
	COUNTS=$BATS_TEST_TMPDIR/counts
}

@test "at thousands of moments in real programs it finds what libgcc finds, and leaves little to it" {
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
		END { exit !(sum["same"] > 500 && !sum["different"] && sum["left"] < sum["same"] / 5) }' <(grep ^same= "$COUNTS")
}
