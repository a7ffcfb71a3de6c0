#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The README's sessions are true: each `$ ` line is run, and what it prints is what stands there.

load ../helpers

# What differs from run to run and from machine to machine: pids, times, ports, offsets, frames of libc.
normal() {
	sed -E -e 's/\[[0-9]+:[0-9]+ /[PID /' -e 's/[0-9.]+ (us|ms|s)([ :])/TIME\2/g' -e 's/127\.0\.0\.1:[0-9]+/ADDR/g' \
		-e 's/ <( libc[^<]*| __libc[^<]*)+.*//' -e 's/(curl: \([0-9]+\) Failed to connect to).*/\1/' -e 's/connect\([0-9]+\)/connect(FD)/' -e 's/\+0x[0-9a-f]+/+OFF/g' -e 's/, [0-9]+ bytes sent$/, N bytes sent/' -e 's/(head|client)\[[0-9]+\]/\1[PID]/' -e 's/ with [0-9]+ bytes unread//' -e 's/:at=[0-9]+/:at=N/'
}

# The indented lines of the README as "command<newline>output" on files 1, 2, ... in $1.
sessions() {
	awk -v dir="$1" '
		/^    \$ / { file = dir "/" ++n; sub(/ *# .*/, ""); print substr($0, 7) > file; next }
		/^    / && file { print substr($0, 5) > (file ".out"); next }
		{ file = "" }
	' "$ROOT/README.md"
	awk '/^    \$ / { n++ } END { print n }' "$ROOT/README.md"
}

# sessions_of FOLDER: with the pipeguard that is in there.
sessions_of() {
	local count i got
	mkdir "$BATS_TEST_TMPDIR/s" "$BATS_TEST_TMPDIR/run"
	count=$(sessions "$BATS_TEST_TMPDIR/s")
	[ "$count" -ge 4 ]
	cp "$FIXTURES/readme" "$BATS_TEST_TMPDIR/run/client"
	cp "$FIXTURES/numbers" "$BATS_TEST_TMPDIR/run/seq" # the system's own does without stdio in some versions
	cd "$BATS_TEST_TMPDIR/run" || return
	for ((i = 1; i <= count; i++)); do
		got=$(PATH=$1:$PWD:$PATH timeout 20 "$FIXTURES/sigdfl" bash -c "$(cat ../s/$i)" 2>&1 3>&- 4>&- 5>&- | normal)
		# The two ends of a pipeline print when they like.
		equal "$(cat ../s/$i)" "$(normal <../s/$i.out | sort)" "$(sort <<<"$got")"
	done
}

@test "the sessions of the README print what it says" {
	sessions_of "$BUILD"
}

@test "and so they do with what make install installed" {
	native_only
	timeout 120 make -s -C "$ROOT" BUILD="$BUILD" install PREFIX="$BATS_TEST_TMPDIR/installed" 3>&-
	sessions_of "$BATS_TEST_TMPDIR/installed/bin"
	timeout 120 make -s -C "$ROOT" BUILD="$BUILD" all 3>&-
}

@test "the demo runs: broken writes are told, survived, caused, caused again, and made certain" {
	requires perl
	BUILD=$BUILD run timeout 60 "$ROOT/scripts/dev/demo" 3>&-
	[ "$status" -eq 0 ]
	[[ $output == *'seq] write(1, '*'bash] write(1, '*'SIGPIPE kills'* ]]
	echo "$output"
	[[ $output == *'read() returned ECONNRESET'* && $output == *'connect() returned ECONNREFUSED'* ]]
	[[ $output == *'SIGPIPE suppressed'* && $output == *'status of seq: 1'* ]]
	[[ $output == *'seq] rule r1: break on '*'write(1, '*' (INJECTED by r1)'* ]]
	[[ $output == *'failed '*' times in 50'*'failed 50 times in 50'* ]]
}

@test "the manual's variables are those that the library reads" {
	for variable in $(grep -o '"PIPEGUARD_[A-Z][A-Z]*"' "$ROOT/shim/rules/config.c" | tr -d '"' | sort -u); do
		echo "variable: $variable"
		grep -q "$variable" "$ROOT/shim/libpipeguard.7"
		grep -q "$variable" "$ROOT/README.md"
	done
}
