#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The suite can fail: a green run means something.

@test "a failing test fails the suite" {
	printf '@test "fails" {\n\tfalse\n}\n' >"$BATS_TEST_TMPDIR/failing.bats"
	run timeout 60 bats "$BATS_TEST_TMPDIR/failing.bats"
	[ "$status" -eq 1 ]
	[[ $output == *'not ok 1 fails'* ]]
}
