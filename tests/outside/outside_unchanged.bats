#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Rules from outside that do not fire change nothing, whatever a program does.

load ../helpers
load ../outside

SAME=$FIXTURES/same
BETWEEN=$FIXTURES/between

setup() {
	ruled_only
}


# unchanged RULE WHAT: what the program says natively, and under RULE.
unchanged() {
	equal "$2 under $1" "$(timeout -k 1 10 "$SAME" "$2" 3>&-; echo $?)" \
		"$(LIMIT=10 outside -d PIPEGUARD_RULES="$1" "$SAME" "$2" 2>&1; echo $?)"
}

# Far away: all bytes are counted, none is touched.
FAR='%out,%in:at=1000000000:reset'

@test "bytes that are counted: messages stay whole, and apart" {
	unchanged "$FAR" datagrams
	unchanged "$FAR" packets
	unchanged "$FAR" headers
}

@test "bytes that are counted: MSG_TRUNC tells a length, and no byte lands behind the buffer" {
	unchanged "$FAR" truncated
}

@test "bytes that are counted: MSG_WAITALL waits for all, SO_SNDTIMEO for a time" {
	unchanged "$FAR" waitall
	unchanged "$FAR" timeout
}

@test "bytes that are counted: a signalfd tells its reader's own signals" {
	unchanged "$FAR" signals
}

@test "bytes that are counted: sendfile into a full socket does not hold up who empties it" {
	unchanged "$FAR" file
}

@test "bytes that are counted: a file that is not in memory is read whole" {
	unchanged "$FAR" cold
}

@test "bytes that are counted: a vector of 1,024 pieces is one write" {
	unchanged "$FAR" pieces
}

@test "bytes that are counted: an error of a connection is told, once" {
	unchanged "$FAR" told
}

@test "bytes that are counted: flags are heeded, and what an object is" {
	unchanged "$FAR" flags
}

@test "bytes that are counted: those that are written to a terminal's master are read from its slave" {
	unchanged "$FAR" terminal
}

@test "bytes that are counted: a pipe that breaks behind some of them signals" {
	unchanged "$FAR" midway
}

@test "what is read from and closed has gone, whatever rule looks at it" {
	local rule
	for rule in '%in:kind=pipe:when=1000000:error=EIO' '%in:stack=nobody:error=EIO'; do
		unchanged "$rule" closed
	done
}

@test "bytes that are counted: what the kernel refuses takes none, a signal interrupts" {
	local rule
	for rule in "$FAR" "${FAR/:/:stack=nobody:}"; do
		unchanged "$rule" refused
		unchanged "$rule" interrupted
	done
}

@test "what never waits is never interrupted; a datagram waits for room, a background process for its terminal" {
	local rule what
	cd "$BATS_TEST_TMPDIR"
	for rule in '%out,%in:when=1000000000:error=EIO' '%out,%in:stack=nobody:error=EIO'; do
		for what in nonblocking full background; do
			unchanged "$rule" "$what"
		done
	done
	unchanged "$FAR" full
	unchanged "$FAR" patient
}

@test "a signal that does nothing interrupts no call, whether there are rules or not" {
	local native options
	native=$(timeout -k 1 10 "$SAME" ignored 3>&-)
	[[ $native = *'with a handler -1 Interrupted'* ]]
	for options in '' '-r write:fd=99:break' --all; do
		# shellcheck disable=SC2086 # none, or several
		equal "with ${options:-no option}" "$native" "$(LIMIT=10 outside -d $options "$SAME" ignored 2>&1)"
	done
}

@test "a call that waits, and a signal that another thread takes: no errno that is the kernel's own" {
	unchanged 'read:kind=pipe:delay=25ms' restarts
}

@test "a handler's write while another one waits meets no rule of that one" {
	run outside -d PIPEGUARD_RULES='write:kind=pipe:when=1:delay=1s:error=EIO' "$SAME" handler
	equal "what was written" $'in the handler 7\noutside of it -1 Input/output error\nagain 1' "$output"
}

@test "a call that waits and is left by siglongjmp: its socket closes, and the peer sees that, at once" {
	local rule
	for rule in write:fd=3-:hold=60s write:reset "$FAR"; do
		unchanged "$rule" abandoned
	done
	equal "by stops" "$(timeout -k 1 10 "$SAME" abandoned 3>&-)" \
		"$(LIMIT=10 outside -d --all -r write:fd=3-:hold=60s "$SAME" abandoned 2>&1)"
}

@test "more calls that wait than there may be descriptors: none is let through" {
	run timeout -k 1 "$LIMIT" bash -c "ulimit -n 24; exec '$BUILD/pipeguard' run --outside -o '$LOG' \
		-r write:kind=pipe:fd=3-:delay=200ms:error=EIO '$SAME' crowd" 3>&-
	equal "writes" "failed 40" "$output"
}

@test "signals while a pipe takes another one's place: neither is lost" {
	local by
	for by in '' :stack=main; do
		run outside -d PIPEGUARD_RULES="write:kind=pipe:fd=3-$by:break" "$SAME" shaken
		equal "writes$by" $'broken 300\nnext number 3' "$output"
	done
}

@test "a thread becomes another program while a pipe takes another one's place in the first one" {
	run outside -d --all -r 'write:kind=pipe:fd=3-:break' "$SAME" execs
	equal "what it says" "rounds left 0" "$output"
	((status == 0))
}

@test "a pipe takes another one's place while the stack is full: what lies behind it is as it was" {
	[[ $(uname -m) = x86_64 ]] || skip "another machine's registers"
	run outside -d --all -r 'write:kind=pipe:fd=3-:break' "$SAME" brimful
	equal "what it says" $'changed 0\nbroken 1' "$output"
}

@test "a thread with descriptors of its own: its own are looked at" {
	printf '6.9\n%s\n' "$(uname -r)" | sort -CV || skip "before Linux 6.9 a thread's descriptors cannot be had"
	run outside -d PIPEGUARD_RULES='write:kind=pipe:fd=3-:error=EIO' "$SAME" own
	equal "what was written" $'the thread\'s 1\nthe process\'s -1 Input/output error' "$output"
	equal "events" 1 "$(events 'select(.ev == "inject")' | wc -l)"
}

@test "SIGTSTP stops a process whose call waits in another thread" {
	local way
	for way in stall delay=10s stall:stack=write_two; do
		cat >"$BATS_TEST_TMPDIR/jobs" <<-'SH'
			set -m
			"$1" --outside -o off -r "write:fd=1:when=2:$2" "$3" second &
			sleep 0.5
			kill -TSTP %1
			wait %1; echo "stopped $?"
			kill -KILL %1
		SH
		run timeout -k 1 "$LIMIT" bash "$BATS_TEST_TMPDIR/jobs" "$BUILD/pipeguard" "$way" "$SAME"
		[[ $output = *one*"stopped 148"* ]] || { echo "$way: $output"; false; }
	done
}

@test "SIGTERM to the engine fails no call of a program under rules" {
	# shellcheck disable=SC2016 # for the inner shell
	run outside -d PIPEGUARD_RULES='write:fd=1:when=1000:error=EIO' bash -c '
		engine=$(sed -n "s/^TracerPid:[^0-9]*//p" /proc/$$/status)
		for signal in TERM INT HUP; do kill "-$signal" "$engine"; done
		for i in 1 2 3 4 5; do sleep 0.1; echo "$i"; done'
	equal "what was written" "1 2 3 4 5" "$(xargs <<<"$output")"
}

@test "attach: a process whose first thread has ended" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 7<>"$BATS_TEST_TMPDIR/in"
	"$SAME" leader <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/said" 3>&- 7<&- &
	local pid=$!
	ended() { grep -q '^State:.*Z' "/proc/$pid/task/$pid/status"; }
	wait_for ended
	PIPEGUARD_LOG=$LOG PIPEGUARD_FORMAT=json timeout -k 1 "$LIMIT" "$BUILD/pipeguard" attach --once "$pid" \
		2>"$BATS_TEST_TMPDIR/looks" 3>&- 7<&- &
	local engine=$!
	wait_for grep -q "looking at process $pid " "$BATS_TEST_TMPDIR/looks"
	echo >&7
	wait "$engine"
	wait "$pid"
	exec 7>&-
	equal "the event" '["send","ignored"]' "$(broken '[.call, .signal]')"
}

@test "/proc of another pid namespace: refused, since it tells of other processes" {
	unshare --pid --fork true 2>/dev/null || skip "no namespaces here"
	run timeout -k 1 "$LIMIT" unshare --pid --fork "$BUILD/pipeguard" run --outside -o "$LOG" "$SAME" timeout 3>&-
	((status == 126))
	[[ $output = "pipeguard: /proc is another pid namespace's"* ]]
	run timeout -k 1 "$LIMIT" unshare --pid --fork "$BUILD/pipeguard" attach --for 1s 1 3>&-
	((status == 126))
	run timeout -k 1 "$LIMIT" unshare --pid --fork "$BUILD/pipeguard" cut --list 1 3>&-
	((status == 126))
}

@test "the first process of a namespace, a container's, waits for its own children only" {
	unshare --pid --fork --mount-proc true 2>/dev/null || skip "no namespaces here"
	run -0 timeout -k 1 10 unshare --pid --fork --mount-proc "$BUILD/pipeguard" run --outside -o "$LOG" "$SAME" children 3>&-
	equal "children" "ended 1" "$output"
}

# between WHAT: the same of calls that move bytes between descriptors, by notifications and by stops.
between() {
	local alone
	alone=$(timeout -k 1 20 "$BETWEEN" "$1" 3>&-; echo $?)
	equal "$1" "$alone" "$(outside_of "" "$1")"
	equal "$1, by stops" "$alone" "$(outside_of "$FIXTURES/older seccomp" "$1")"
}

# outside_of ON WHAT: what fixtures/between says, started by ON.
outside_of() {
	# shellcheck disable=SC2086 # words
	timeout -k 1 20 "$FIXTURES/sigdfl" -d $1 "$BUILD/pipeguard" run --outside -o off -r "$FAR" "$BETWEEN" "$2" 2>/dev/null 3>&-
	echo $?
}

@test "bytes that are counted: between descriptors, each end waits as its own flags say" {
	between waits
}

@test "bytes that are counted: a pipe that nobody reads breaks before its source has bytes" {
	between broken
}

@test "bytes that are counted: offsets beyond all places, and such as cannot be written" {
	between places
	between limit
}

@test "bytes that are counted: a call keeps its descriptors, and one that a signal ended keeps none" {
	between kept
	between gone
}

@test "bytes that are counted: a call moves as much as the kernel moves at once" {
	between fills
	between much
}

@test "bytes that are counted: what is its reader's own is read by nobody else, and a terminal waited for by nobody" {
	between others
	between terminal
}
