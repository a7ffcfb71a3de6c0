#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # the inner shells expand
# shellcheck disable=SC2317 # functions that failures() is given
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# hold: a race between a writer and a reader that leaves is made certain. The
# break is the kernel's own. What happens without the rule is printed, for it is chance.

load ../helpers

N=50
HOLD='PIPEGUARD_RULES=%out:fd=1:kind=pipe:when=2+:hold=3s'

# failures COMMAND ARGS: of N runs; the counts by chance are shown in the output.
failures() {
	local n=0 i
	for ((i = 0; i < N; i++)); do
		"$@" || n=$((n + 1))
	done
	echo "$n"
}

# certain WHAT COMMAND ARGS: by chance without the rule, always with it; each is the
# kernel's break, after a hold. The command is run by "$RUN".
certain() {
	local what=$1 by_chance
	shift
	by_chance=$(RUN=plain failures "$@")
	echo "# $what: $by_chance of $N failed without the rule" >&3
	rm -f "$LOG"
	equal "failures with the rule" "$N" "$(RUN=guarded failures "$@")"
	equal "what was held" '"held until the peer left"' "$(events 'select(.ev == "inject") | .held' | sort -u)"
	equal "the breaks" "$N [false,null]" \
		"$(broken '[.injected, .rule]' | sort | uniq -c | sed 's/^ *//')"
}

pipefail() {
	"$RUN" "$HOLD" bash -o pipefail -c "$1" >/dev/null
}

@test "a second line to head -1: by chance without, always with the rule" {
	native_only
	certain "bash | head -1" pipefail "bash -c 'echo a; echo b' | head -1"
	equal "who broke" '["bash","fatal","EPIPE"]' "$(broken '[.comm, .signal, .errno]' | sort -u)"
}

@test "a writer of several chunks into grep -q" {
	native_only
	local N=25
	certain "perl | grep -q" pipefail \
		"perl -e '\$| = 1; print \"yes\n\" x 10; print \"more\n\" for 1 .. 3' | grep -q yes"
	certain "seq | grep -q" pipefail 'seq 4000 | grep -q 5'
}

@test "with SIGPIPE ignored the writer sees EPIPE, always" {
	native_only
	local N=10
	ignored() { "$RUN" -i "$HOLD" bash -o pipefail -c "bash -c 'echo a; echo b' 2>/dev/null | head -1" >/dev/null; }
	certain "SIGPIPE ignored" ignored
	equal "the signal" '"ignored"' "$(broken .signal | sort -u)"
}

@test "a FIFO" {
	native_only
	local N=20
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	fifo() {
		local status=0
		head -n 1 <"$BATS_TEST_TMPDIR/fifo" >/dev/null 3>&- &
		"$RUN" "$HOLD" bash -c 'exec >"$0"; printf "a\n"; printf "b\n"' \
			"$BATS_TEST_TMPDIR/fifo" || status=$?
		wait "$!"
		return "$status"
	}
	certain "a FIFO" fifo
	equal "its name" "\"$BATS_TEST_TMPDIR/fifo\"" "$(broken .local | sort -u)"
}

# A server whose client reads the first bytes and leaves: did it miss some of the answer?
client_leaves() {
	local out=$BATS_TEST_TMPDIR/out port server status=0
	rm -f "$out"
	"$FIXTURES/sigdfl" timeout "$LIMIT" env "${LIBRARY[@]}" "$FIXTURES/server" "$FAMILY" 40000 \
		>"$out" </dev/null 3>&- &
	server=$!
	wait_for test -s "$out"
	port=$(head -n 1 "$out")
	[[ $FAMILY != tcp6 ]] || port=6:$port
	plain "$FIXTURES/steps" connect="$port" send=4 recv=100 close >/dev/null
	wait_for grep -q '^[ap]' "$out"
	kill "$server"
	grep -q '^all' "$out" || status=1
	[[ $FAMILY != /* ]] || rm "$FAMILY"
	return "$status"
}

@test "a server whose client leaves after the first bytes, over TCP and unix sockets" {
	local N=15 rule='write:side=server:when=2+:scope=fd:hold=3s' FAMILY LIBRARY
	for FAMILY in tcp tcp6 "$BATS_TEST_TMPDIR/socket"; do
		LIBRARY=()
		echo "# a server, ${FAMILY##*/}: $(failures client_leaves) of $N failed without the rule" >&3
		rm -f "$LOG"
		LIBRARY=(LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json PIPEGUARD_RULES="$rule")
		equal "failures with the rule" "$N" "$(failures client_leaves)"
		equal "the breaks" "$N [\"EPIPE\",\"ignored\",\"server\",false]" \
			"$(broken '[.errno, .signal, .side, .injected]' | sort | uniq -c | sed 's/^ *//')"
	done
}

@test "a hold that times out says so, and the write is as it would have been" {
	native_only
	local script='import os; os.write(1, b"a"); os.write(1, b"b")'
	run -0 guarded PIPEGUARD_RULES='%out:fd=1:hold=40ms' bash -c '"$0" -c "$1" | cat' \
		/usr/bin/python3 "$script"
	equal "the output" ab "$output"
	equal "the log" '["inject","r1","hold=40ms","held in vain: the peer is still there","python3"]
["inject","r1","hold=40ms","held in vain: the peer is still there","python3"]' \
		"$(events 'select(.comm == "python3") | [.ev, .rule, .action, .held, .comm]')"
	equal "what broke" "" "$(broken)"
	rm "$LOG"
	run -0 guarded PIPEGUARD_FORMAT=text PIPEGUARD_RULES='write:comm=python*:fd=1:when=2:hold=40ms' \
		bash -c '"$0" -c "$1" | cat' /usr/bin/python3 "$script"
	equal "the output" ab "$output"
	grep -Eq '^pipeguard\[[0-9]+:[0-9]+ python3\] rule r1: hold=40ms on write\(1, 1\), held in vain: the peer is still there  pipe' "$LOG"
}

@test "a hold in text that ended because the peer left says that" {
	native_only
	run -141 guarded PIPEGUARD_FORMAT=text PIPEGUARD_RULES='write:when=2:hold=3s' /usr/bin/perl -e '
		pipe R, W; syswrite W, "a"; fork or do { close W; close R; exit }; close R; syswrite W, "b"'
	cat "$LOG"
	grep -Eq ' rule r1: hold=3s on write\([0-9]+, 1\), held until the peer left  pipe' "$LOG"
	grep -Eq ' write\([0-9]+, 1\) = EPIPE, SIGPIPE kills  pipe, 1 bytes sent$' "$LOG"
}

@test "over TCP the end of the peer's stream is all that tells of its leaving: the write after it is taken, the next breaks" {
	local start=$SECONDS
	peer tcp get=10 close
	run -141 guarded PIPEGUARD_RULES='send:when=2:hold=15s' \
		"$FIXTURES/steps" connect="$AT" send=10 send=20 dead send=30
	((SECONDS - start < 10))
	equal "the log" '["inject",20,"held until the peer left"]
["epipe",30,null]' "$(events '[.ev, .len, .held]')"
}

@test "a peer that only ends its writing has not left: a unix socket is held on" {
	native_only
	run -0 guarded PIPEGUARD_RULES='write:hold=40ms' /usr/bin/perl -MSocket -e '
		socketpair A, B, AF_UNIX, SOCK_STREAM, PF_UNSPEC; shutdown B, 1; syswrite A, "a"'
	equal "the hold" '"held in vain: the peer is still there"' "$(events .held)"
}

@test "a peer that has gone already is not waited for" {
	native_only
	local start=$SECONDS
	run -141 guarded PIPEGUARD_RULES='write:hold=15s' /usr/bin/perl -e 'pipe R, W; close R; syswrite W, "b"'
	((SECONDS - start < 10))
	equal "the log" '["inject","held until the peer left"]
["epipe",null]' "$(events '[.ev, .held]')"
}

@test "a regular file, a device and what is only read are not held" {
	native_only
	run -0 guarded PIPEGUARD_RULES='%out:hold=15s' /usr/bin/perl -e '
		open F, ">", "$ARGV[0]/file" or die; syswrite F, "a" or die;
		open N, ">", "/dev/null" or die; syswrite N, "a" or die' "$BATS_TEST_TMPDIR"
	equal "the log" "" "$(events)"
	equal "the file" a "$(<"$BATS_TEST_TMPDIR/file")"
}

@test "a thread is cancelled while held, as in a write that waits by itself" {
	run -0 plain "$FIXTURES/held" cancel full
	equal "by itself" "cancelled, handler 0, in the pipe 0" "$output"
	local start=$SECONDS
	run -0 guarded PIPEGUARD_RULES='write:kind=pipe:when=1:hold=15s' "$FIXTURES/held" cancel
	((SECONDS - start < 10))
	equal "held" "cancelled, handler 0, in the pipe 0, later 1" "$output"
}

@test "a signal handler runs while a write is held, and does not end the hold" {
	run -0 plain "$FIXTURES/held" signal full
	equal "by itself" "wrote, handler 1, in the pipe 1, later 1" "$output"
	run -0 guarded PIPEGUARD_RULES='write:kind=pipe:when=1:hold=500ms' "$FIXTURES/held" signal
	equal "held" "wrote, handler 1, in the pipe 1, later 1" "$output"
	equal "the hold" '"held in vain: the peer is still there"' "$(events .held)"
}
