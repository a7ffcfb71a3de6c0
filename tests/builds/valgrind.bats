#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Under valgrind: the same events, no error, no leak. With MATRIX=1 more of the same.

load ../helpers

setup() {
	requires valgrind
	native_only
	# shellcheck disable=SC2034 # used by guarded
	LIMIT=50
}

# clean STATUS VARIABLE... -- PROGRAM ARGS: its status is what it is without valgrind, which has no complaint.
clean() {
	local wanted=$1 vars=()
	shift
	while [[ $1 != -- ]]; do
		vars+=("$1")
		shift
	done
	shift
	rm -f "$LOG"
	run "-$wanted" guarded "${vars[@]}" valgrind -q --error-exitcode=99 --leak-check=full --trace-children=yes \
		--log-file="$BATS_TEST_TMPDIR/valgrind.%p" "$@"
	equal "valgrind's complaints about $*" "" "$(grep -h '^==' "$BATS_TEST_TMPDIR"/valgrind.*)"
}

@test "valgrind has no complaint about a broken write by any gate, and the event is the same" {
	clean 141 -d -- "$FIXTURES/build" write
	equal "a call" '["call","write","fatal",3]' "$(broken '[.via, .call, .signal, .len]')"
	clean 1 -i -- "$FIXTURES/build" printf
	equal "stdio" '["stdio","write","ignored",3]' "$(broken '[.via, .call, .signal, .len]')"
	clean 141 -d -- "$FIXTURES/stack" r
	equal "a system call" '["signal","write","fatal",1]' "$(broken '[.via, .call, .signal, .len]')"
	[[ $(broken '.stack[0]') == '"stack+0x'* ]]
}

@test "valgrind has no complaint about a rule that breaks, and one that resets" {
	clean 1 -i PIPEGUARD_RULES=write:break -- "$FIXTURES/build" write
	equal "the rule" '["inject","r1"]' "$(events '[.ev, .rule]' | head -1)"
	clean 1 -i PIPEGUARD_SIGPIPE=suppress PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES=write:log -- "$FIXTURES/build" write
}

@test "valgrind has no complaint about any gate in any state of SIGPIPE" {
	[[ -n ${MATRIX-} ]] || skip "make matrix-valgrind runs it"
	local mode how status
	for mode in -d -i -b; do
		for how in w s f p r; do
			status=0
			plain $mode "$FIXTURES/stack" $how >/dev/null || status=$?
			clean "$status" $mode -- "$FIXTURES/stack" $how
			# Past the wrappers only a signal tells.
			[[ $how$mode == r-[ib] ]] || equal "events of $how $mode" 1 "$(broken .pid | wc -l)"
		done
	done
}

@test "valgrind has no complaint about handlers that jump, nest and undo themselves" {
	[[ -n ${MATRIX-} ]] || skip "make matrix-valgrind runs it"
	local view status
	for view in sigaction longjmp nested undo thread info_resethand sigwait unblock raise; do
		status=0
		plain "$FIXTURES/sigview" $view >/dev/null || status=$?
		clean "$status" -d -- "$FIXTURES/sigview" $view
	done
}
