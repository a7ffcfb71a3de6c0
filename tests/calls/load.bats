#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Thousands of connections broken at once, storms of signals, forks and cancellations: nothing is
# lost, doubled, torn or left behind. `make load` has the full size (LOAD=full).
# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # what run sets, and helpers read; words for other shells

load ../helpers

setup() {
	if [[ ${LOAD-} == full ]]; then
		BATCH=10000 ROUNDS=1 EVERY=1000 SAMPLES=62 SOME=1000
	else
		BATCH=2000 ROUNDS=1 EVERY=0 SAMPLES=16 SOME=300
	fi
	[ "$(ulimit -Hn)" = unlimited ] || (($(ulimit -Hn) > BATCH + 64)) || BATCH=$(($(ulimit -Hn) - 64))
	LIMIT=200
	OUT=$BATS_TEST_TMPDIR/out
	SERVER=
}

teardown() {
	[[ -z $SERVER ]] || kill "$SERVER" 2>/dev/null || :
}

# serves HOW [VAR=VALUE...] -- ARGS: the server with ARGS and its client, to their end.
serves() {
	local how=$1 settings=()
	shift
	while [[ $1 != -- ]]; do
		settings+=("$1")
		shift
	done
	shift
	rm -f "$LOG" "$OUT"
	"$how" "${settings[@]}" "$FIXTURES/load" "$@" >"$OUT" &
	SERVER=$!
	wait_for test -s "$OUT"
	plain "$FIXTURES/load" client "$(head -n 1 "$OUT")" "$2" "$3"
	wait "$SERVER"
	SERVER=
}

# What the server was told, a line for each connection and error: inode, port, error.
told() {
	awk 'NR > 1 { for (i = 0; i < $3; i++) print $1, $2, "ECONNRESET"
		for (i = 0; i < $4; i++) print $1, $2, "EPIPE" }' "$OUT" | sort
}

# same_json MODE: the log has exactly those, each once, in whole lines.
same_json() {
	local wanted
	serves guarded -- "$1" "$BATCH" "$ROUNDS"
	wanted=$(told)
	equal "connections that broke" "$((BATCH * ROUNDS))" "$(grep -c EPIPE <<<"$wanted")"
	(($(grep -c ECONNRESET <<<"$wanted") >= BATCH * ROUNDS / 2))
	events '[.ino, (.peer | split(":")[1]), .errno] | join(" ")' | tr -d '"' | sort >"$OUT.got"
	cmp "$OUT.got" - <<<"$wanted"
	equal "lines" "$(wc -l <<<"$wanted")" "$(wc -l <"$LOG")"
	equal "dropped, repeated" "[0,1]" "$(events '[.dropped, .repeated]' | sort -u)"
}

@test "thousands of connections broken at once, a server of 64 threads: each break is told once, in a whole line" {
	same_json threads
}

@test "thousands of connections broken at once, an epoll server: each break is told once, in a whole line" {
	same_json epoll
}

# same_text MODE: the same in words.
same_text() {
	serves guarded PIPEGUARD_FORMAT=text -- "$1" "$BATCH" "$ROUNDS"
	sed -nE 's/^pipeguard\[[0-9]+:[0-9]+ load\] write\([0-9]+, 6\) = (E[A-Z]+)(, SIGPIPE ignored)?  tcp 127\.0\.0\.1:[0-9]+ <- 127\.0\.0\.1:([0-9]+), accepted [0-9.]+ (ms|s|us) ago, [0-9]+ bytes sent(, idle for [0-9.]+ (ms|s|us))?$/\3 \1/p' \
		"$LOG" | sort >"$OUT.got"
	told | cut -d' ' -f2- | sort >"$OUT.told"
	diff "$OUT.told" "$OUT.got" | head -n 4
	cmp "$OUT.told" "$OUT.got"
	equal "other lines" 0 "$(grep -cvE '^(pipeguard\[|        (SIGPIPE was set to|at |again: |write\(\) returned) ?)' "$LOG" || true)"
}

@test "as text as well, by threads and by epoll: no line is torn by another" {
	same_text threads
	same_text epoll
}

# Half of the rounds for what comes once: stacks, tables, the room for events; half a MiB for what of it comes late.
grows_not() {
	serves guarded "${@:2}" -- "$1" "$SOME" "$SAMPLES" "$EVERY"
	equal samples "$SAMPLES" "$(grep -c ^figures "$OUT")"
	grep ^figures "$OUT" | sed -n "$((SAMPLES / 2))p;\$p" | tee -a /dev/fd/3 2>/dev/null || :
	equal "connections that broke" "$((SOME * SAMPLES))" "$(awk 'END { print $5 }' "$OUT")"
	equal "descriptors, threads" 1 "$(awk '/^figures/ { print $3, $4 }' "$OUT" | sort -u | wc -l)"
	grep ^figures "$OUT" | awk -v half="$((SAMPLES / 2))" 'NR == half { was = $2 } END { exit $2 - was > 512 }'
}

@test "a server whose connections break round after round grows in no figure: memory, descriptors, threads" {
	grows_not threads
	grows_not epoll
}

# ---- storms ----

# storms MODE [VAR=VALUE...]: it does what it does without, and nothing was dropped; $broke is its count. MODE are words.
# shellcheck disable=SC2086
storms() {
	rm -f "$LOG"
	run -0 plain -i "$FIXTURES/brokenfd" 40 "$FIXTURES/storm" $1
	equal "wrong without the library" "wrong 0" "${lines[1]}"
	run -0 guarded -i "${@:2}" "$FIXTURES/brokenfd" 40 "$FIXTURES/storm" $1
	equal "wrong" "wrong 0" "${lines[1]}"
	broke=${lines[0]#broke }
	equal "dropped" 0 "$(events .dropped | sort -u)"
}

counted() {
	equal "the count at exit" "$broke" "$(events 'select(.ev == "exit").events')"
}

@test "a handler at 20 kHz breaks a pipe while the main flow breaks another: the count at exit is true" {
	storms storm
	counted
}

@test "the same under rules that break, delay and suppress, and at verbose 1" {
	# Not so often that a delay lasts until the next signal, and the main flow never runs.
	storms 'storm 500' PIPEGUARD_RULES='write:fd=40:when=3+3:error=EPIPE;write:when=1+7:delay=1us;write:when=5+5:nosignal'
	counted
	equal "rules told" "$(printf '"r1"\n"r2"')" "$(events 'select(.ev == "inject").rule' | sort -u)"
	storms storm PIPEGUARD_VERBOSE=1
	counted
}

@test "a handler that jumps out of the midst of events takes nothing along: what breaks later is told" {
	storms jumps
	equal "the last hundred" 100 "$(broken 'select(.repeated == 1).ino' | sort -u | tail -n +2 | wc -l)"
	counted_at_least "$broke"
}

counted_at_least() {
	(($(events 'select(.ev == "exit").events') >= $1))
}

@test "threads cancelled at ever later moments of their writes, deferred and asynchronous: what breaks later is told" {
	local kind rules
	for kind in cancel asynchronous; do
		for rules in '' 'write:when=2+2:delay=20us;write:kind=pipe:when=3+3:error=EPIPE' 'write:hold=50ms'; do
			echo "kind: $kind, rules: $rules"
			[[ $kind$rules != asynchronous?* ]] || continue
			storms "$kind" ${rules:+PIPEGUARD_RULES="$rules"}
			(($(broken 'select(.repeated == 1).ino' | sort -u | wc -l) >= 20))
		done
	done
}

@test "a storm of forks while eight threads break: every child is told of, none hangs" {
	storms forks
	equal "children told of" 150 "$(broken 'select(.fd == 40).pid' | sort -u | wc -l)"
}

# ---- low limits ----

@test "sixteen descriptors, the smallest thread stack and 64 MiB of address space are enough" {
	glibc_only
	storms small
	equal "the events" 10 "$(broken 1 | wc -l)"
}

@test "48 MiB of data are enough for the tables and two threads" {
	native_only
	run bash -c 'ulimit -d 49152; exec "$0" -i env LD_PRELOAD="$1" PIPEGUARD_FORMAT=json PIPEGUARD_LOG="$2" "$3" 1 2 3' \
		"$FIXTURES/sigdfl" "$LIB" "$LOG" "$FIXTURES/many" 3>&-
	equal "status and events" "0 6" "$status $(broken 1 | wc -l)"
}

# little LIMIT KIB: under that limit a program starts, breaks and is logged.
little() {
	rm -f "$LOG"
	bash -c 'ulimit "$3" "$4"; exec "$0" -d env LD_PRELOAD="$1" PIPEGUARD_FORMAT=json PIPEGUARD_LOG="$2" seq 1000000' \
		"$FIXTURES/sigdfl" "$LIB" "$LOG" "$@" 3>&- | head -n 1 >/dev/null
	wait_for test -s "$LOG"
	equal "the event" '["seq","fatal"]' "$(broken '[.comm, .signal]')"
}

@test "16 MiB of address space are enough, and 2 MiB of data" {
	native_only
	little -v 16000
	little -d 2000
}

@test "a full disk as log: the program does what it does, and what was lost is counted" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	mkdir "$BATS_TEST_TMPDIR/small"
	mount -t tmpfs -o size=64k none "$BATS_TEST_TMPDIR/small" 2>/dev/null || skip "no tmpfs here"
	LOG=$BATS_TEST_TMPDIR/small/log
	run guarded -i "$FIXTURES/many" 1 8 100
	cp "$LOG" "$BATS_TEST_TMPDIR/kept"
	umount "$BATS_TEST_TMPDIR/small"
	equal status 0 "$status"
	(($(wc -l <"$BATS_TEST_TMPDIR/kept") < 800 && $(wc -c <"$BATS_TEST_TMPDIR/kept") <= 65536))
	# The line that met the end may be cut; no other is.
	head -n -1 "$BATS_TEST_TMPDIR/kept" | jq -e .v >/dev/null
}

# What a program of no size has in memory, of its own or copied: in kilobytes.
memory() {
	"$1" /usr/bin/awk '/^RssAnon/ { print $2 }' /proc/self/status
}

@test "what the library touches in an idle program is less than 256 KiB" {
	native_only
	echo "$(memory plain) $(memory guarded)"
	(($(memory guarded) - $(memory plain) < 256))
}

# Where rules are, too, libc's own version of a call is looked up when it is first made. That of others went by before.
@test "the first call of each kind is made, whatever rules watch on its descriptor" {
	requires python3
	native_only
	cat >"$BATS_TEST_TMPDIR/first.py" <<-'EOF'
		import os, socket
		a, b = socket.socketpair()
		for turn in range(3):
		    assert os.write(a.fileno(), b"x") == 1 and os.read(b.fileno(), 9) == b"x"
		    assert os.writev(a.fileno(), [b"x", b"y"]) == 2 and os.readv(b.fileno(), [bytearray(9)]) == 2
		    assert a.send(b"x") == 1 and b.recv(9) == b"x"
		    assert a.sendmsg([b"x"]) == 1 and b.recvmsg(9)[0] == b"x"
		    assert a.send(b"xy") == 2 and b.recvfrom(9)[0] == b"xy"
		print("all made")
	EOF
	local rules
	for rules in '%out,%in:fd=900:error=EIO' write:fd=900:error=EIO '%in:fd=900:error=EIO' \
		'%out,%in:when=100000:error=EIO' 'recv:when=1000:log;%sock:fd=900:error=EIO'; do
		run timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_LOG=off PIPEGUARD_RULES="$rules" python3 "$BATS_TEST_TMPDIR/first.py" 3>&-
		equal "under $rules" "0 all made" "$status $output"
	done
}
