#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The suite can fail: a green run means something.

@test "a failing test fails the suite" {
	printf '@test "fails" {\n\tfalse\n}\n' >"$BATS_TEST_TMPDIR/failing.bats"
	# With a timeout bats leaves the sleep of a test that fails behind, and that keeps the output open.
	run timeout 60 env -u BATS_TEST_TIMEOUT bats "$BATS_TEST_TMPDIR/failing.bats"
	[ "$status" -eq 1 ]
	[[ $output == *'not ok 1 fails'* ]]
}

@test "each file of the suite is in a folder that tests/README.md names, and it names no other" {
	local root=$BATS_TEST_DIRNAME/../.. files
	files=$(git -C "$root" ls-files 'tests/*.bats' 2>/dev/null) || skip "this tree is not git's"
	# shellcheck disable=SC2016 # Markdown
	diff <(sed -n 's,^| `\([a-z]*\)/` |.*,tests/\1,p' "$root/tests/README.md" | sort) \
		<(xargs -n 1 dirname <<<"$files" | sort -u)
}

@test "what an earlier build left is made anew where the flags are others, or the lists of what is linked" {
	local root=$BATS_TEST_DIRNAME/../.. changed
	for changed in CPPFLAGS=-DX CFLAGS=-O1 LDFLAGS=-s CLIMB=other.o PURE=other.o SHARED=other.o OBJECTS=other.o; do
		make -s -C "$root" BUILD="$BATS_TEST_TMPDIR/build" "$BATS_TEST_TMPDIR/build/flags" 3>&-
		cp "$BATS_TEST_TMPDIR/build/flags" "$BATS_TEST_TMPDIR/before"
		make -s -C "$root" BUILD="$BATS_TEST_TMPDIR/build" "$changed" "$BATS_TEST_TMPDIR/build/flags" 3>&-
		echo "with $changed"
		run cmp -s "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/build/flags"
		[ "$status" -eq 1 ]
	done
}
