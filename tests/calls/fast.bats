#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A healthy call pays next to nothing: its instructions, counted by callgrind, which repeats exactly. And the bench.

load ../helpers

# The limits, here and nowhere else: instructions of one call over those of an empty preload, with no rule, with one
# and with 64 that do not match, with one that matches and waits for its turn. What was aimed at: 15, 60, 60 and 120.
# Two of write's and send's ask whether a result that equals the length is a failure: a length of -1 does.
limits() {
	cat <<-'EOF'
		write  17 29 29 100
		send   18 30 30 100
		read   10 22 22 92
		recv   10 22 22 92
	EOF
}

bench() {
	BUILD=$BUILD timeout 110 "$ROOT/scripts/dev/bench" "$@" 3>&-
}

setup_file() {
	export COUNTS=$BATS_FILE_TMPDIR/counts
	command -v valgrind >/dev/null && [[ $BUILD != */musl && $BUILD != */32 ]] || return 0
	bench -q --json "$COUNTS" instructions >"$COUNTS.out" 2>&1 || cat "$COUNTS.out" >&2
}

# over CALL VARIANT: its instructions over the empty preload.
over() {
	jq --arg row "instr $1" --arg variant "$2" '[.rows[] | select(.workload == $row)] |
		(.[] | select(.variant == $variant) | .samples.instr[0]) -
		(.[] | select(.variant == "empty preload") | .samples.instr[0]) | ceil' "$COUNTS"
}

# within VARIANT COLUMN: no call costs more than that column of the limits.
within() {
	local call limit cost checked=0
	requires valgrind jq
	native_only
	grep -q '^gcc .* -O2 ' "$BUILD/flags" || skip "the limits are for gcc -O2"
	[[ $BITS = 64 ]] || skip "the limits are for 64-bit programs"
	while read -r call limit; do
		cost=$(over "$call" "$1")
		echo "$call, $1: $cost instructions over the empty preload, $limit allowed"
		[ "$cost" -gt 0 ] # nothing is free: less would be another program's count
		[ "$cost" -le "$limit" ]
		checked=$((checked + 1))
	done < <(limits | awk -v column="$2" '{ print $1, $column }')
	[ "$checked" -eq 4 ]
}

@test "a healthy call without rules stays within its instructions" {
	within pipeguard 2
}

@test "a call that one rule watches and does not match stays within its instructions" {
	within "1 rule" 3
}

@test "a call that 64 rules watch and do not match stays within its instructions" {
	within "64 rules" 4
}

@test "a call of a rule that waits for its turn stays within its instructions" {
	[ "$(gcc -dumpversion 2>/dev/null | cut -d. -f1)" -ge 11 ] || skip "no function keeps all registers before gcc 11"
	within "waiting rule" 5
}

@test "a start stays within its instructions and system calls" {
	requires valgrind strace jq
	native_only
	grep -q '^gcc .* -O2 ' "$BUILD/flags" || skip "the limits are for gcc -O2"
	[[ $BITS = 64 ]] || skip "the limits are for 64-bit programs"
	strace -o "$BATS_TEST_TMPDIR/trace" true 2>/dev/null || skip "nothing can be traced here"
	local preload cost before=0 after=0
	make -s -C "$ROOT" BUILD="${BUILD#"$ROOT"/}" bench-programs 3>&-
	for preload in "$BUILD/bench/passthrough.so" "$LIB"; do
		before=$after
		timeout 60 strace -o "$BATS_TEST_TMPDIR/trace" -E LD_PRELOAD="$preload" true
		after=$(wc -l <"$BATS_TEST_TMPDIR/trace")
	done
	echo "system calls with the empty preload: $before, with the library: $after"
	[ $((after - before)) -le 20 ]
	# Of an environment that is the same everywhere, which is read.
	cost=$(env -i PATH="$PATH" HOME=/ BUILD="$BUILD" timeout 110 "$ROOT/scripts/dev/bench" --where start-up 3>&- |
		awk 'NR == 1 { print int($1) }')
	echo "instructions of a start over the empty preload: $cost"
	[ "$cost" -gt 0 ]
	[ "$cost" -le 36000 ]
	cost=$(env -i PATH="$PATH" HOME=/ BUILD="$BUILD" timeout 110 "$ROOT/scripts/dev/bench" --where start-up 64 rules 3>&- |
		awk 'NR == 1 { print int($1) }')
	echo "the same with 64 rules: $cost"
	[ "$cost" -gt 0 ]
	[ "$cost" -le 250000 ]
}

@test "a rule that waits for its turn adds no system call" {
	requires strace
	native_only
	strace -o "$BATS_TEST_TMPDIR/trace" true 2>/dev/null || skip "nothing can be traced here"
	make -s -C "$ROOT" BUILD="${BUILD#"$ROOT"/}" bench-programs 3>&-
	local n rule
	local -A calls
	for rule in %out,%in:when=1000000000:error=EIO 'write:path=/dev/null:prob=0.000001%:error=EIO;read:when=5000:eof'; do
		for n in 200 600; do
			PIPEGUARD_RULES=$rule timeout 60 strace -o "$BATS_TEST_TMPDIR/trace" -E LD_PRELOAD="$LIB" \
				"$BUILD/bench/bench" -q -n $n write
			calls[$n]=$(wc -l <"$BATS_TEST_TMPDIR/trace")
		done
		equal "system calls of 400 writes under $rule" 400 $((calls[600] - calls[200]))
	done
}

@test "the bench prints its table: every variant beside native, with spread and CPU time" {
	native_only
	run bench -q write
	[ "$status" -eq 0 ]
	echo "$output"
	for variant in native 'native again' 'empty preload' pipeguard '1 rule' '64 rules' 'waiting rule' logging; do
		echo "variant: $variant"
		grep -qE "^write +$variant +[0-9.]+ [num]s \([0-9.]+-[0-9.]+\) .*[0-9.]+ [num]s" <<<"$output"
	done
	[[ $output == *$'\ntargets\n'*'write, pipeguard: CPU over the empty preload'* ]]
}

@test "a peer that is missing is skipped by name, a workload without its program too" {
	native_only
	mkdir "$BATS_TEST_TMPDIR/bin"
	for program in make sh gcc as ld sed mkdir cmp; do
		ln -s "$(command -v "$program")" "$BATS_TEST_TMPDIR/bin/$program"
	done
	run "$(command -v timeout)" 60 env PATH="$BATS_TEST_TMPDIR/bin" BUILD="$BUILD" "$ROOT/scripts/dev/bench" -q write redis 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'skipped: libfiu (fiu-run is not installed)'* && $output == *'skipped: strace (strace is not installed)'* ]]
	[[ $output == *'skipped: workload redis (redis-server and redis-benchmark not installed)'* ]]
	[[ $output == *$'\nwrite             pipeguard '* ]]
}

@test "wrong words are told: a workload or a variant that is not there" {
	native_only
	run bench wirte
	[ "$status" -eq 1 ]
	[[ $output == "bench: no workload 'wirte' (there are: instructions write "* ]]
	run bench --where write nothing
	[ "$status" -eq 1 ]
	[[ $output == "bench: no variant 'nothing' (there are: native, "* ]]
}
