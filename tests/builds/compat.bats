#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2030,SC2031 # parts expand later; each test is a subshell
# make compat: every part proves that the library was there.

load ../helpers

setup() {
	native_only
	export COMPAT_PARTS=$BATS_TEST_TMPDIR/parts
	export BUILD=$BATS_TEST_TMPDIR/build
	mkdir -p "$COMPAT_PARTS" "$BUILD/fixtures"
	ln -s "$LIB" "$BUILD/libpipeguard.so"
	ln -s "$FIXTURES/sigdfl" "$BUILD/fixtures/sigdfl"
	echo '# SUITE NAME-PATTERN MODE-PATTERN REASON' >"$COMPAT_PARTS/known"
}

# part NAME PROGRAMS COMMAND: a suite of one test: COMMAND, in which UNDER is what starts programs under test.
part() {
	cat >"$COMPAT_PARTS/$1.sh" <<-END
		programs='$2'
		have() { :; }
		prepare() { :; }
		run() {
			${3/UNDER/'"${under[@]}"'} >/dev/null
			echo "test \$?"
		}
	END
}

compat() { timeout "$LIMIT" "$ROOT/scripts/dev/compat" "$@" 3>&-; }

@test "a part whose programs load the library is good, and says how often they did" {
	part right 'seq:2 head' 'UNDER sh -c "seq 3 | head -n 2; seq 3"'
	run -0 compat right
	[[ $output == 'right: 1 tests, 1 good, 0 differ, '*$'\n  loaded in: seq 2, head 1' ]]
}

@test "a part whose harness drops or overwrites LD_PRELOAD fails, though nothing differs" {
	for dropped in 'UNDER env -u LD_PRELOAD seq 3' 'UNDER env -i /usr/bin/seq 3' 'UNDER env LD_PRELOAD= seq 3' 'seq 3'; do
		part hollow seq "$dropped"
		run -1 compat hollow
		echo "harness: $dropped"
		[[ $output == 'hollow: 1 tests, 1 good, 0 differ, '*$'\n  loaded in: seq 0 (at least 1 wanted)\n'*' FAILS: the library was not there'* ]]
	done
}

@test "so does one in which it is dropped for one of the programs, or most of the time, or that names no program" {
	part half 'seq head' 'UNDER sh -c "seq 3 | env -u LD_PRELOAD head -n 2"'
	run -1 compat half
	[[ $output == *'loaded in: seq 1, head 0 (at least 1 wanted)'*'half FAILS'* ]]
	part seldom seq:3 'UNDER sh -c "seq 3; env -u LD_PRELOAD seq 3; env -u LD_PRELOAD seq 3"'
	run -1 compat seldom
	[[ $output == *'loaded in: seq 1 (at least 3 wanted)'*'seldom FAILS'* ]]
	part nameless '' 'UNDER seq 3'
	run -1 compat nameless
	[[ $output == *'loaded in: no program is named'*'nameless FAILS'* ]]
}

@test "the proof is made in every mode that is asked for; one hollow part fails them all" {
	part right seq 'UNDER seq 3'
	part hollow seq 'seq 3'
	run -0 compat --modes off right
	[[ $output == *'modes off; '*'loaded in: seq 1'* ]]
	run -1 compat --modes off hollow right
	[[ $output == *'hollow FAILS'*'right: 1 tests'* ]]
}

@test "each part of ours names its programs" {
	for file in "$ROOT"/tests/compat/*.sh; do
		echo "part: $file"
		grep -qE "^programs='[a-z]" "$file"
	done
}
