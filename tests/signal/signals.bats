#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the program sees of SIGPIPE is what it would see without the library,
# and what the signal did is told.

load ../helpers

# same VIEW...: output and status, for SIGPIPE inherited in each state.
same() {
	local view mode wanted got wanted_status got_status
	for view; do
		for mode in -d -i -b; do
			wanted_status=0 got_status=0
			wanted=$(plain "$mode" "$FIXTURES/sigview" "$view") || wanted_status=$?
			rm -f "$LOG"
			got=$(guarded "$mode" "$FIXTURES/sigview" "$view") || got_status=$?
			equal "the status of $view $mode" "$wanted_status" "$got_status"
			equal "the output of $view $mode" "$wanted" "$got"
			((got_status != 2)) # there is such a view
		done
	done
}

# told VIEW STATUS EVENTS: signal words of the events of a view, from the default.
told() {
	rm -f "$LOG"
	run "-$2" guarded "$FIXTURES/sigview" "$1"
	equal "what the signals of $1 did" "$3" "$(broken .signal | tr -d '"' | paste -sd' ')"
}

@test "a query at main shows what was inherited" {
	same query
	plain "$FIXTURES/sigview" query | grep -q '^at main: default flags 0 mask 0$'
}

@test "sigaction sets, queries and restores as without the library, flags and mask too" {
	same sigaction default_flags wrong
}

# A system without a vDSO, or an older kernel, has fewer values for getauxval, which then sets errno.
@test "errno is the program's where the kernel gives no vDSO" {
	native_only
	glibc_only
	local poor=$BATS_TEST_TMPDIR/poor.so wanted narrow=()
	[[ $BITS = 64 ]] || narrow=(-m32)
	printf '%s\n' '#include <elf.h>' '#include <errno.h>' 'unsigned long __getauxval(unsigned long);' \
		'unsigned long getauxval(unsigned long type)' \
		'{ if (type != AT_SYSINFO_EHDR && type != 51) return __getauxval(type); errno = ENOENT; return 0; }' |
		gcc -shared -fPIC "${narrow[@]}" -o "$poor" -x c -
	wanted=$(plain "$FIXTURES/sigview" signal)
	[[ $wanted == *'errno 0'* ]]
	equal "what signal leaves" "$wanted" "$(guarded LD_PRELOAD="$poor $LIB" "$FIXTURES/sigview" signal)"
	equal "the same, under it alone" "$wanted" "$(plain LD_PRELOAD="$poor" "$FIXTURES/sigview" signal)"
}

@test "signal and its kin set, query and restore as without the library" {
	same signal
	glibc_only
	same ssignal bsd_signal sysv_signal sigset sigignore siginterrupt
}

@test "handlers get their siginfo, mask, stack and registers" {
	same info info_nodefer info_mask info_onstack info_raise
	told info 0 'caught caught'
	told info_raise 0 ''
}

@test "a handler with SA_RESETHAND runs once, then the default kills" {
	same info_resethand
	told info_resethand 141 'caught fatal'
}

@test "a handler that undoes itself lets the next write kill" {
	same undo
	told undo 141 'caught fatal'
}

@test "a handler that leaves by _exit is told before it runs" {
	same exit
	told exit 42 caught
}

@test "a handler that breaks another write inside is told each time" {
	same nested
	told nested 0 'caught caught caught'
}

@test "the handler runs in the thread that wrote" {
	same thread
	told thread 0 caught
	[[ $(broken '.pid != .tid') = true ]]
}

@test "a hundred jumps out of a handler are a hundred events" {
	same longjmp
	rm -f "$LOG"
	run -0 guarded "$FIXTURES/sigview" longjmp
	equal "the repetitions logged" "1 2 3 4 5 6 7 8 9 10 20 40 80 1" \
		"$(broken .repeated | paste -sd' ')"
	equal "the true count" 101 "$(events 'select(.ev == "exit").events')"
	equal "the count by site" '[1,100]' \
		"$(events 'select(.ev == "exit") | [.sites[].count] | sort')"
	[[ $(broken .signal | sort -u) = '"caught"' ]]
}

@test "sigwait, sigtimedwait and signalfd get the signal of a broken write" {
	same sigwait signalfd
	told sigwait 0 'blocked blocked'
	told signalfd 0 blocked
}

@test "a signal blocked and let through later kills, and the write was told" {
	same unblock unblock_caught
	told unblock 141 blocked
	told unblock_caught 0 blocked
}

@test "a SIGPIPE that the program sends itself kills and is no broken write" {
	local view
	for view in raise kill pthread_kill sigqueue tgkill; do
		same "$view"
		told "$view" 141 ''
	done
}

@test "kill -PIPE from outside kills and is no broken write" {
	local pid program status=0
	guarded "$FIXTURES/sigview" wait >"$BATS_TEST_TMPDIR/pid" &
	pid=$!
	wait_for grep -q . "$BATS_TEST_TMPDIR/pid"
	program=$(<"$BATS_TEST_TMPDIR/pid")
	kill -PIPE "$program"
	wait "$pid" || status=$?
	equal status 141 "$status"
	[[ -z $(broken) ]]
}

@test "a SIGPIPE from outside interrupts or restarts a read as without the library" {
	local view
	for view in eintr restart; do
		equal "$view" "$(plain "$FIXTURES/sigview" "$view")" \
			"$(guarded "$FIXTURES/sigview" "$view")"
	done
	plain "$FIXTURES/sigview" eintr | grep -q '^read -1 errno 4, caught some: 1$'
	[[ -z $(broken) ]]
}

@test "children get dispositions and masks as without the library" {
	[[ ${#EMULATOR[@]} -eq 0 ]] || skip "qemu cannot execute what it emulates"
	needs_proc "no child can be looked at"
	same children
	plain -i "$FIXTURES/sigview" children | grep -q '^SigIgn:.*1000$'
}

@test "a vfork child's changes stay the child's" {
	same vfork_sets
	told vfork_sets 141 'caught fatal'
}

@test "an inherited ignored SIGPIPE stays ignored and is said with the first event" {
	local wanted
	wanted=$(plain -i "$FIXTURES/sigview" status)
	run -0 guarded -i "$FIXTURES/sigview" status
	equal "the state of signals" "$wanted" "$output"
	run -0 guarded -i "$FIXTURES/call" -one 0 0 dfl
	equal "the event" '["ignored","ignored","inherited"]' \
		"$(broken '[.signal, .disposition.state, .disposition.by]')"
}

@test "an ignored SIGPIPE is put down to the program that ignored it" {
	run -0 guarded "$FIXTURES/call" -one 0 0 ign
	broken '[.signal, .disposition.state, .disposition.by]' |
		grep -E '^\["ignored","ignored","call\+0x[0-9a-f]+[^"]*"\]$'
}

@test "a broken write whose signal comes together with others for its thread is told, and survives" {
	needs_proc "the program does not see when its child waits"
	local flags signals
	for flags in - i s; do
		for signals in 10 "1 2 10 12" "10 14"; do
			rm -f "$LOG"
			# shellcheck disable=SC2086
			equal "the children" "died 8 right 0" "$(guarded -d "$FIXTURES/together" default $flags $signals)"
			equal "the events" '8 ["write",4096,"fatal"]' "$(broken '[.call, .len, .signal]' | sort | uniq -c | xargs -d '\n' | sed 's/^ *//')"
			# shellcheck disable=SC2086
			equal "the survivors" "died 0 right 8" "$(guarded -d PIPEGUARD_SIGPIPE=suppress "$FIXTURES/together" default $flags $signals)"
			# shellcheck disable=SC2086
			equal "whose handlers run" "died 0 right 8" "$(guarded -d "$FIXTURES/together" caught $flags $signals)"
		done
	done
}

@test "a signal that interrupts what is no call changes no register, and is no broken write" {
	native_only
	run guarded -d "$FIXTURES/mixed" computes
	((status != 77)) || skip "$output"
	equal "what the program sees" "0 registers kept" "$status $output"
	equal "the events" "" "$(broken .call)"
}

@test "int \$0x80 in a program of 64 bits: no register changes, and nothing is made up of what it wrote" {
	native_only
	run guarded -d "$FIXTURES/mixed" caught
	((status != 77)) || skip "$output"
	equal "what the program sees" "0 broken write: -32, registers kept" "$status $output"
	run -141 guarded -d PIPEGUARD_VERBOSE=1 "$FIXTURES/mixed" broken
	equal "the events" '[null,null,"caught"] [null,null,"fatal"]' "$(broken '[.call, .fd, .signal]' | xargs -d '\n')"
	equal "the exit line" '[null,null]' "$(events 'select(.ev == "exit") | .sites[] | [.call, .fd]')"
}
