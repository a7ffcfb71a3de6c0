#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2030,SC2031 # inner shells expand; each test is a subshell
# What programs under test, users and their machines do to the tools: one sentence each, and nothing is left behind.

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	native_only
	OUT=$BATS_TEST_TMPDIR/out
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir -p "$TMPDIR"
	cd "$BATS_TEST_TMPDIR"
}

# Nothing is left, whatever the test was about.
teardown() { equal "temporary files left" "" "$(ls -A "$TMPDIR")"; }

sweep() { timeout -k 5 "${SWEEP_LIMIT:-40}" "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" "$@" 3>&-; }

@test "sweep: folders deeper than a path can be, and closed ones, go away with the run" {
	deep='import os
for i in range(3000):
    os.mkdir("d"); os.chdir("d")
open("f", "w").close(); os.chmod("..", 0)
os.chdir(os.environ["SWEEP_DIR"]); os.mkdir(".gone1"); open(".gone1/f", "w").close(); os.mkdir("../.gone2"); os.mkfifo("../.gone2/.gone3")
os.write(1, b"done\n")'
	run -0 --separate-stderr sweep -q --scratch --faults short -- "$PYTHON" -c "$deep"
	equal "errors" "" "$stderr"
	[[ ${lines[-1]} =~ ^(recovered|silent)\ 1$ ]]
}
