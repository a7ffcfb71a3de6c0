# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For tests of the outside engine. Loaded after helpers.

# shellcheck disable=SC2034 # used by those who load this
STILL=$FIXTURES/still # statically linked: no library gets in

# traced_only: skips where processes cannot be traced, with the reason. What a build for another
# machine made is not traced by it.
traced_only() {
	native_only
	local said
	said=$(timeout 10 "$BUILD/pipeguard" run --outside /bin/true 2>&1 </dev/null) ||
		skip "no process can be traced here: $said"
}

# ruled_only: skips where no rules can be followed from outside, with the reason.
ruled_only() {
	traced_only
	local said
	said=$(timeout 10 "$BUILD/pipeguard" run --outside -r write:fd=99:break /bin/true 2>&1 </dev/null) ||
		skip "no calls can be told of here: $said"
}

# outside [-d|-i|-b] [VAR=VALUE...] PROGRAM ARGS: runs it under the outside engine, logging JSON to $LOG.
outside() {
	local mode=() vars=()
	while [[ $1 = -[dib] ]]; do
		mode+=("$1")
		shift
	done
	while [[ $1 = [A-Z]*=* ]]; do
		vars+=("$1")
		shift
	done
	timeout "$LIMIT" "$FIXTURES/sigdfl" "${mode[@]}" env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "${vars[@]}" \
		"$BUILD/pipeguard" run --outside "$@" 3>&-
}

# go_program NAME SOURCE: builds it once in a file's folder; its path is $GO_DIR/NAME.
GO_DIR=${BATS_FILE_TMPDIR-}/go
go_program() {
	command -v go >/dev/null || return 0
	mkdir -p "$GO_DIR/$1.src"
	cat >"$GO_DIR/$1.src/main.go"
	(cd "$GO_DIR/$1.src" && HOME=$GO_DIR GOCACHE=$BUILD/go-cache GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=0 \
		timeout 120 go build -o "$GO_DIR/$1" main.go) >"$GO_DIR/$1.errors" 2>&1 || :
}

# needs_go NAME: its path, or skips.
needs_go() {
	[[ -x $GO_DIR/$1 ]] || skip "go is not installed, or could not build $1"
}

# traced PID: is it?
traced() { grep -q '^TracerPid:[^0-9]*[1-9]' "/proc/$1/status"; }
untraced() { grep -q '^TracerPid:[^0-9]*0$' "/proc/$1/status"; }

# descendants PID: and itself.
descendants() {
	local pid
	echo "$1"
	for pid in $(pgrep -P "$1"); do descendants "$pid"; done
}

# end_pids: what a test has put into PIDS, and what that has started (a server's workers outlive their killed master).
end_pids() {
	local pid
	for pid in "${PIDS[@]}"; do
		# shellcheck disable=SC2046 # numbers
		kill -KILL $(descendants "$pid") 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
}

# begin FILE COMMAND...: in the background, its output in FILE; its pid in $PID. It ends by itself.
begin() {
	local out=$1
	shift
	"$FIXTURES/sigdfl" "$@" <&0 >"$out" 2>"$out.errors" 3>&- 7<&- &
	PID=$!
	PIDS+=("$PID")
}

# attached PID... [-- OPTION...]: attach in the background; waits until it looks; its pid in $ENGINE.
attached() {
	local pids=()
	while [[ $# -gt 0 && $1 != -- ]]; do
		pids+=("$1")
		shift
	done
	rm -f "$BATS_TEST_TMPDIR/said"
	PIPEGUARD_LOG=$LOG PIPEGUARD_FORMAT=json timeout "$LIMIT" "$BUILD/pipeguard" attach "${@:2}" "${pids[@]}" \
		2>"$BATS_TEST_TMPDIR/said" 3>&- 7<&- &
	ENGINE=$!
	PIDS+=("$ENGINE")
	wait_for grep -q "looking at process ${pids[-1]} " "$BATS_TEST_TMPDIR/said"
}

# The same pairs of true and injected faults as from inside, of a probe that is linked statically. Not
# those with %stdio, nor what is said to differ in pipeguard(1): a second thread that waits meanwhile.
pairs() {
	local status output lines # of run
	local most=$((${BATS_TEST_TIMEOUT:-60} - 5))
	run env ENGINE=outside BUILD="$BUILD" BATS_TEST_TIMEOUT=$((most - 5)) timeout "$most" bats --tap -f "$2" "$ROOT/tests/$1"
	echo "$output" | grep -v '^ok'
	((status == 0 && ${#lines[@]} > $3))
}

# narrow_only: skips where there are no 32-bit programs beside others.
narrow_only() {
	[[ $BITS = 64 && $(uname -m) = x86_64 ]] || skip "32-bit programs are another machine's here"
}

# narrow FIXTURE...: those, statically linked for 32 bits, in a folder of the file's; skips where no compiler makes them.
narrow() {
	NARROW=$BATS_FILE_TMPDIR/32
	narrow_only
	mkdir -p "$NARROW"
	local fixture
	local -a sources
	for fixture; do
		sources=("$ROOT/tests/fixtures/$fixture.c")
		[[ $fixture != steps ]] || sources=("$ROOT"/tests/fixtures/steps/*.c)
		[[ -x $NARROW/$fixture ]] || gcc -m32 -static -pthread -O1 -D_GNU_SOURCE -U_FORTIFY_SOURCE -w -I"$ROOT/tests/fixtures" \
			-o "$NARROW/$fixture" "${sources[@]}" 2>/dev/null || skip "no 32-bit compiler"
	done
}

# libdw_only: skips where stacks are climbed by frame pointers alone.
libdw_only() {
	[[ $(PATH=$PATH:/sbin ldconfig -p) = *libdw.so.1* ]] || skip "libdw is not installed"
}
