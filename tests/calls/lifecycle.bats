#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Before main and after it, in children, threads, storms and sandboxes.

load ../helpers

# lives MODE DISPOSITION: runs it with and without; leaves the output in $got.
lives() {
	local wanted wanted_status=0 got_status=0
	rm -f "$LOG"
	wanted=$(plain "$2" "$FIXTURES/brokenfd" 40 "$FIXTURES/life" "$1" 2>&1) || wanted_status=$?
	got=$(guarded "$2" "$FIXTURES/brokenfd" 40 "$FIXTURES/life" "$1" 2>&1) || got_status=$?
	((wanted_status != 77)) || skip "the kernel does not do that here"
	equal "the status of $1 $2" "$wanted_status" "$got_status"
	[[ ${3-} == changes ]] || equal "the output of $1 $2" "$wanted" "$got"
}

# total: how many broken writes the exit event says there were.
total() {
	events 'select(.ev == "exit").events'
}

said() {
	awk -v what="$1" '$1 == what { print $2 }' <<<"$got"
}

# ---- before main and after it ----

# early [VAR=VALUE] PRELOADED: status and errno as without, every write logged or counted.
early() {
	local wanted got status=0 told
	rm -f "$LOG"
	wanted=$(plain -i "$FIXTURES/brokenfd" 40 env LD_PRELOAD="$FIXTURES/early.so" "$FIXTURES/early") ||
		[[ $? == 7 ]]
	got=$(guarded -i "$FIXTURES/brokenfd" 40 env "$@" "$FIXTURES/early") || status=$?
	equal "status under $*" 7 "$status"
	equal "output under $*" "$wanted" "$got"
	told=$(events 'if .ev == "epipe" then 1 elif .ev == "exit" then .early // 0 else 0 end' |
		awk '{ n += $1 } END { print n + 0 }')
	equal "writes told or counted under $*" 7 "$told"
	[[ $(broken 1 | wc -l) -ge 4 ]]
}

@test "resolvers, constructors, atexit handlers and destructors may break" {
	glibc_only
	early LD_PRELOAD="$LIB $FIXTURES/early.so"
	early LD_PRELOAD="$FIXTURES/early.so $LIB"
	early LD_BIND_NOW=1 LD_PRELOAD="$LIB $FIXTURES/early.so"
}

@test "errno is 0 at main" {
	run -0 guarded "$FIXTURES/life" errno
	equal output "errno 0" "$output"
	run -0 guarded -i PIPEGUARD_VERBOSE=2 "$FIXTURES/life" errno
	equal output "errno 0" "$output"
}

@test "a malloc that writes under its own lock goes on" {
	run -0 plain -i "$FIXTURES/brokenfd" 40 "$FIXTURES/malloc"
	run -0 guarded -i "$FIXTURES/brokenfd" 40 "$FIXTURES/malloc"
	equal output fine "$output"
	[[ -n $(broken) ]]
	run -141 guarded -d "$FIXTURES/brokenfd" 40 "$FIXTURES/malloc"
}

@test "a pending dlerror outlives a broken write" {
	lives dlerror -i
	equal kept 1 "$(said kept)"
}

@test "syscall() passes six arguments and every error on" {
	lives six -i
	equal "six arguments" 1 "$(said mapped)"
}

@test "a handler during a blocked write sees the program's own mask" {
	lives mask -i
	lives mask -d
}

@test "asynchronous writes fail as without the library" {
	lives aio -i
	lives aio -b
}

@test "a program's own functions of the same names are its own" {
	run -0 plain -i "$FIXTURES/brokenfd" 40 "$FIXTURES/own"
	equal "without the library" "own write 3, own send 1, own close 1, printf failed 1" "$output"
	run -0 guarded -i "$FIXTURES/brokenfd" 40 "$FIXTURES/own"
	equal "with it" "own write 3, own send 1, own close 1, printf failed 1" "$output"
	glibc_only
	equal "the event" '["stdio",40]' "$(broken '[.via, .fd]')"
}

@test "the library's thread-local storage fits where there is little to spare" {
	glibc_only
	run -0 guarded -i GLIBC_TUNABLES=glibc.rtld.optional_static_tls=0 \
		"$FIXTURES/call" -one 0 0 dfl
	equal events 1 "$(broken 1 | wc -l)"
}

# The kernel signals requests that it carries out at once.
@test "a program that writes through io_uring is told of when the kernel signals it" {
	local status=0
	lives uring -i
	lives uring -d
	guarded -d "$FIXTURES/brokenfd" 40 "$FIXTURES/life" uring >/dev/null || status=$?
	((status == 141)) || skip "this kernel does not signal it"
	equal "the event" '["signal","fatal",null]' "$(broken '[.via, .signal, .fd]' | tail -1)"
}

# ---- children ----


# Every line but the statuses is one broken write of the process it names.
@test "every child is told of under its own pid, however it was made" {
	local mode wanted
	for mode in -i -d; do
		wanted=$(plain "$mode" "$FIXTURES/brokenfd" 40 "$FIXTURES/life" children 2>&1) ||
			[[ $? == 141 ]]
		lives children "$mode" changes
		equal "what the children did, $mode" \
			"$(sed '/^status/!s/ .*//' <<<"$wanted")" "$(sed '/^status/!s/ .*//' <<<"$got")"
		equal "pids told of, $mode" "$(awk '$1 != "status" { print $2 }' <<<"$got" | sort)" \
			"$(broken .pid | sort)"
		(($(broken .pid | sort -u | wc -l) > 4))
	done
}

# ---- threads ----

@test "32 threads that break at once die as one, and it is told" {
	lives threads -d
	[[ -n $(broken) ]]
	[[ $(broken .signal | sort -u) == '"fatal"' ]]
}

@test "32 threads that break at once are 32 events" {
	lives threads -i
	equal "threads told of" 32 "$(broken .tid | sort -u | wc -l)"
	equal "events" 32 "$(broken 1 | wc -l)"
}

@test "a cancelled thread runs its handlers, and later breaks are told" {
	lives cancel -i
	equal "the last event's descriptor" 40 "$(broken .fd | tail -1)"
	lives cancel -d
	equal "the last event" '[40,"fatal"]' "$(broken '[.fd, .signal]' | tail -1)"
}

@test "an event fits the smallest thread stack" {
	lives stack -i
	glibc_only
	equal "events" $'["call",40]\n["stdio",2]' "$(broken '[.via, .fd]')"
	lives stack -d
	equal "events" '["call","fatal"]' "$(broken '[.via, .signal]')"
}

@test "an event fits 2 KiB of a signal stack, besides the frames of the kernel" {
	lives altstack -i
	equal "events" 1 "$(broken 1 | wc -l)"
	lives altstack -d
	equal "events" '"fatal"' "$(broken .signal)"
}

@test "the first calls of their kind, by a child, eight threads and a handler at once: each succeeds" {
	local i
	got=$(plain -i "$FIXTURES/first")
	equal "calls that went wrong without the library" 0 "$(said wrong)"
	for i in 1 2 3 4 5 6; do
		got=$(guarded -i "$FIXTURES/first")
		equal "calls that went wrong, round $i" 0 "$(said wrong)"
	done
	got=$(guarded -i PIPEGUARD_RULES='%out,%in:when=1000000:error=EIO' "$FIXTURES/first")
	equal "calls that went wrong under a rule" 0 "$(said wrong)"
}

# ---- storms ----

@test "handlers that break while other calls run: nothing hangs, none is lost" {
	rm -f "$LOG"
	got=$(guarded -i "$FIXTURES/brokenfd" 40 "$FIXTURES/life" alarm)
	equal wrong 0 "$(said wrong)"
	equal "the count at exit" "$(said broke)" "$(total)"
	(($(said broke) > 20000))
}

@test "forks while other threads break: no child hangs, all lines whole" {
	lives forks -i
	equal "children told of" 100 "$(broken 'select(.fd == 40).pid' | sort -u | wc -l)"
	lives forks -d changes
}

# ---- sandboxes ----

@test "strict seccomp under an ignored SIGPIPE: the same status" {
	lives strict -i
}

@test "a sandbox under the default action: the write is told, and kills as without" {
	for mode in strict filter filter_syscall; do
		rm -f "$LOG"
		run plain "$FIXTURES/brokenfd" 40 "$FIXTURES/life" $mode
		((status != 77)) || continue
		run guarded "$FIXTURES/brokenfd" 40 "$FIXTURES/life" $mode
		echo "mode: $mode"
		equal "the status" 141 "$status"
		# The kernel lets no handler with siginfo come back from strict mode on i386.
		[[ $mode$BITS != strict32 ]] || continue
		equal "the event" '["write",40,"EPIPE",true]' "$(broken '[.call, .fd, .errno, .confined]')"
	done
}

@test "a seccomp filter that allows only writing and leaving: the same status" {
	lives filter -i
	lives filter_syscall -i
}

# confined MODE DISPOSITION SETTING...: the sandboxed program leaves as without the library.
confined() {
	local wanted=0 got=0
	rm -f "$LOG"
	plain "$2" "$FIXTURES/brokenfd" 40 "$FIXTURES/life" "$1" || wanted=$?
	((wanted != 77)) || skip "the kernel does not do that here"
	guarded "$2" "${@:3}" "$FIXTURES/brokenfd" 40 "$FIXTURES/life" "$1" 5>>"$LOG" || got=$?
	equal "the status of $1 $2 under ${*:3}" "$wanted" "$got"
	wanted=2
	[[ $2 == -i ]] || wanted=1
	[[ $1$2$BITS != strict-d32 ]] || wanted=0 # no handler comes back there
	equal "the events of $1 $2 under ${*:3}" "$wanted" "$(grep -c 'EPIPE' "$LOG")"
}

@test "in a sandbox rules are off, and no setting adds a system call: rules, verbose, text, a descriptor as log" {
	local mode disposition rules setting
	rules='write:error=ENOSPC|write:break|%out:hold=1s|write:stall|write:delay=1s|write:nosignal'
	rules+='|write:at=1:reset|write:seen=hup:stop|write:short=1|write:drop|%stdio:prob=50%:break'
	for mode in strict filter filter_syscall; do
		for disposition in -i -d; do
			for setting in VERBOSE=1 VERBOSE=2 STACK=32 STACK=0 FORMAT=text LOG=fd:5; do
				confined "$mode" "$disposition" PIPEGUARD_$setting
			done
			while IFS= read -r -d '|' setting; do
				[[ $disposition$setting != -d*nosignal ]] || continue
				confined "$mode" "$disposition" PIPEGUARD_RULES="$setting"
			done <<<"$rules|"
		done
	done
}
