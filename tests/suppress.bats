#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # the inner shells and perls expand
# PIPEGUARD_SIGPIPE: a SIGPIPE that would kill is taken away, and nothing else changes.

load helpers

S=PIPEGUARD_SIGPIPE=suppress

@test "a program that would die goes on with EPIPE, by every gate" {
	for how in write send printf; do
		rm -f "$LOG"
		run guarded $S "$FIXTURES/build" $how
		echo "how: $how"
		equal "status and signal" '1 "suppressed" "EPIPE"' "$status $(broken '.signal, .errno' | xargs -n2 printf '"%s" "%s"')"
		run plain "$FIXTURES/build" $how
		equal "the status without" 141 "$status"
	done
	rm -f "$LOG"
	run guarded $S "$FIXTURES/stack" r
	[ "$status" -ne 141 ]
	equal "the event of syscall(2)" '["signal","suppressed"]' "$(broken '[.via, .signal]')"
}

@test "a plugin loaded with RTLD_DEEPBIND goes on as well" {
	run guarded $S "$FIXTURES/plugin" deepbind "$FIXTURES/plugin.so"
	[ "$status" -ne 141 ]
	equal "the signal" '"suppressed"' "$(broken .signal | sort -u)"
}

@test "every call of the write family returns EPIPE, as under an ignored SIGPIPE" {
	# pid mode kind row fd len ret errno: an inline system call and all others, under the default action
	wanted=$(plain "$FIXTURES/call" unix | awk '$2 == "ign" { print $4, $7, $8 }')
	got=$(guarded $S "$FIXTURES/call" unix | awk '$2 == "dfl" { print $4, $7, $8 }')
	[[ $wanted == *'inline -1 32'* ]]
	equal "rows, results and errno" "$wanted" "$got"
}

@test "a write whose reader leaves midway returns its count" {
	run guarded $S /usr/bin/python3 -c '
import os, signal, threading, time
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
r, w = os.pipe()
def leave():
    os.read(r, 4096)
    while True:
        with open("/proc/self/wchan") as f: pass
        time.sleep(0.05); os.close(r); return
threading.Thread(target=leave).start()
print("survived", os.write(w, b"x" * (1 << 20)) > 0)'
	equal "the output" 'survived True' "$output"
	equal "the event" '["suppressed",null,true]' "$(broken '[.signal, .errno, .ret > 0]')"
}

@test "sockets: taken away on sockets, kept on pipes" {
	run guarded PIPEGUARD_SIGPIPE=sockets "$FIXTURES/build" write
	equal "a socket" '1 "suppressed"' "$status $(broken .signal)"
	rm "$LOG"
	run guarded PIPEGUARD_SIGPIPE=sockets bash -c 'yes | head -1 >/dev/null; exit "${PIPESTATUS[0]}"'
	equal "a pipe" '141 "fatal"' "$status $(broken .signal)"
}

@test "a program with a handler, a mask or SIG_IGN of its own keeps its way" {
	wanted=$(plain "$FIXTURES/call" pipe | awk '$2 != "dfl"' | cut -d' ' -f2-)
	got=$(guarded $S "$FIXTURES/call" pipe | awk '$2 != "dfl"' | cut -d' ' -f2-)
	equal "rows of the other states" "$wanted" "$got"
	equal "what their signal did" '"blocked" "caught" "ignored"' \
		"$(broken 'select(.signal != "suppressed") | .signal' | sort -u | xargs -n1 printf '"%s" ' | sed 's/ $//')"
}

@test "children without the library see no difference, and kill -PIPE kills" {
	wanted=$(plain sh -c 'grep -E "Sig(Pnd|Blk|Ign|Cgt)" /proc/self/status')
	equal "signals of a child" "$wanted" "$(guarded $S sh -c 'env -u LD_PRELOAD grep -E "Sig(Pnd|Blk|Ign|Cgt)" /proc/self/status')"
	for how in 'kill -PIPE $$' 'exec perl -e "kill PIPE => \$\$; sleep 9"'; do
		run guarded $S sh -c "$how"
		equal "the status of $how" 141 "$status"
	done
}

@test "a program that ignores errors is stopped at PIPEGUARD_LIMIT, for each descriptor" {
	run guarded $S PIPEGUARD_LIMIT=25 /usr/bin/perl -e 'pipe R, W; close R; syswrite W, "x" while 1'
	equal "the status" 141 "$status"
	equal "the last event" '["fatal",26]' "$(broken '[.signal, .repeated]' | tail -1)"
	rm "$LOG"
	run guarded $S PIPEGUARD_LIMIT=5 /usr/bin/perl -e '
		for (1..3) { pipe R, W; close R; syswrite W, "x" for 1..5; close W } exit 7'
	equal "five on each of three" 7 "$status"
	run guarded $S PIPEGUARD_LIMIT=0 /usr/bin/perl -e 'pipe R, W; close R; syswrite W, "x"'
	equal "a limit of none" 141 "$status"
}

@test "under pipefail the status changes from 141 to the program's own: the named consequence" {
	run guarded bash -o pipefail -c 'yes | head -1 >/dev/null'
	equal "kept" 141 "$status"
	run guarded $S bash -o pipefail -c 'yes 2>/dev/null | head -1 >/dev/null'
	equal "suppressed" 1 "$status"
}

@test "a sandbox that allows only write goes on as well" {
	[[ $BUILD != */32 ]] || skip "x86-64 only"
	run guarded $S "$FIXTURES/brokenfd" 40 "$FIXTURES/life" filter
	[ "$status" -ne 141 ] && [ "$status" -ne 159 ]
}
