#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # the inner shells and perls expand
# PIPEGUARD_SIGPIPE: a SIGPIPE that would kill is taken away, and nothing else changes.

load ../helpers

S=PIPEGUARD_SIGPIPE=suppress

# children_see_no_difference SETTING: nor does it keep a kill from killing.
children_see_no_difference() {
	wanted=$(plain sh -c 'grep "Sig[^Q]" /proc/self/status')
	equal "signals of a child" "$wanted" "$(guarded "$1" sh -c 'env -u LD_PRELOAD grep "Sig[^Q]" /proc/self/status')"
	for how in 'kill -PIPE $$' 'exec perl -e "kill PIPE => \$\$; sleep 9"'; do
		run guarded "$1" sh -c "$how"
		equal "the status of $how" 141 "$status"
	done
}

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
	glibc_only
	run guarded $S "$FIXTURES/plugin" deepbind "$FIXTURES/plugin.so"
	[ "$status" -ne 141 ]
	equal "the signal" '"suppressed"' "$(broken .signal | sort -u)"
}

@test "every call of the write family returns EPIPE, as under an ignored SIGPIPE" {
	# pid mode kind row fd len ret errno: an inline system call and all others, under the default action
	wanted=$(plain "$FIXTURES/call" unix | awk '$2 == "ign" { print $4, $7, $8 }')
	got=$(guarded $S "$FIXTURES/call" unix | awk '$2 == "dfl" { print $4, $7, $8 }')
	[[ $wanted == *'inline -1 32'* || $BITS = 32 ]]
	equal "rows, results and errno" "$wanted" "$got"
}

@test "a write whose reader leaves midway returns its count" {
	native_only
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
	native_only
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
	native_only
	children_see_no_difference $S
}

@test "a program that ignores errors is stopped at PIPEGUARD_LIMIT, for each descriptor" {
	native_only
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
	native_only
	run guarded bash -o pipefail -c 'yes | head -1 >/dev/null'
	equal "kept" 141 "$status"
	run guarded $S bash -o pipefail -c 'yes 2>/dev/null | head -1 >/dev/null'
	equal "suppressed" 1 "$status"
}

@test "a sandbox that allows only write goes on as well" {
	run guarded $S "$FIXTURES/brokenfd" 40 "$FIXTURES/life" filter
	[ "$status" -ne 141 ] && [ "$status" -ne 159 ]
}

# ---- the action nosignal: the same, for the writes that a rule selects ----

ALL=PIPEGUARD_RULES=%out:nosignal

@test "nosignal: a selected write goes on with EPIPE, by write, send, stdio and syscall(2); healthy ones are no event" {
	native_only
	for how in write send printf; do
		rm -f "$LOG"
		run guarded $ALL "$FIXTURES/build" $how
		echo "how: $how"
		equal "status, and the only event" '1 ["epipe","suppressed","EPIPE",false]' \
			"$status $(events '[.ev, .signal, .errno, .injected]')"
	done
	rm "$LOG"
	run guarded $ALL "$FIXTURES/stack" r
	[ "$status" -ne 141 ]
	equal "the event of syscall(2)" '["signal","suppressed"]' "$(broken '[.via, .signal]')"
	rm "$LOG"
	run -0 guarded $ALL /usr/bin/perl -e 'pipe R, W; syswrite W, "a" for 1 .. 5; print "b"'
	equal "events of healthy writes" "" "$(events)"
}

@test "nosignal: every call of the write family returns EPIPE, as under an ignored SIGPIPE" {
	for object in unix pipe; do
		wanted=$(plain "$FIXTURES/call" "$object" | awk '$2 == "ign" && $4 !~ /inline/ { print $4, $7, $8 }')
		got=$(guarded $ALL "$FIXTURES/call" "$object" | awk '$2 == "dfl" && $4 !~ /inline/ { print $4, $7, $8 }')
		[[ $(wc -l <<<"$wanted") -gt 5 ]]
		equal "rows, results and errno on $object" "$wanted" "$got"
	done
}

@test "nosignal: what no rule reaches, a plugin loaded with RTLD_DEEPBIND, needs the variable" {
	glibc_only
	run guarded $ALL "$FIXTURES/plugin" deepbind "$FIXTURES/plugin.so"
	equal "the rule alone" '141 "fatal"' "$status $(broken .signal)"
	rm "$LOG"
	run guarded $ALL $S "$FIXTURES/plugin" deepbind "$FIXTURES/plugin.so"
	[ "$status" -ne 141 ]
	equal "with the variable" '"suppressed"' "$(broken .signal)"
}

# outcome RULE HOW: what became of tests/fixtures/stack.c writing by HOW: w to a pipe, s to a socket.
outcome() {
	rm -f "$LOG"
	run guarded PIPEGUARD_RULES="$1" "$FIXTURES/stack" "$2"
	broken .signal
}

@test "nosignal is scoped by selectors: kind, descriptor, call, program, count, caller" {
	native_only
	for rule in kind=socket kind=unix; do
		equal "$rule, a socket" '"suppressed"' "$(outcome "%out:$rule:nosignal" s)"
		equal "$rule, a pipe" '"fatal"' "$(outcome "%out:$rule:nosignal" w)"
	done
	equal "kind=pipe, a pipe" '"suppressed"' "$(outcome '%out:kind=pipe:nosignal' w)"
	equal "the call" '"suppressed"' "$(outcome 'send:nosignal' s)"
	equal "another call" '"fatal"' "$(outcome 'write:nosignal' s)"
	equal "the program" '"suppressed"' "$(outcome '%out:comm=stack:nosignal' w)"
	equal "another program" '"fatal"' "$(outcome '%out:comm=!stack:nosignal' w)"
	equal "the caller" '"suppressed"' "$(outcome '%out:caller=leaf:nosignal' w)"
	equal "another caller" '"fatal"' "$(outcome '%out:caller=middle:nosignal' w)"
	run guarded PIPEGUARD_RULES='%out:fd=1:nosignal' "$FIXTURES/brokenfd" 1 /usr/bin/perl -e \
		'syswrite STDOUT, "a"; pipe R, W; close R; syswrite W, "a"'
	equal "another descriptor" 141 "$status"
	run guarded PIPEGUARD_RULES='%out:when=1..2:nosignal' /usr/bin/perl -e \
		'pipe R, W; close R; syswrite STDERR, "$_\n" and syswrite W, "a" for 1 .. 9'
	equal "the second of all writes, not the fourth" '141 1 2' "$status ${lines[0]} ${lines[1]}"
}

@test "nosignal: a write whose reader leaves midway returns its count" {
	native_only
	# The child leaves once the pipe is full, when the parent waits for room.
	leaving='pipe R, W; if (!fork) { close W;
			for (1 .. 1000) { ioctl R, 0x541b, $n = pack "L", 0; last if unpack("L", $n) >= 60000;
				select undef, undef, undef, 0.01 }
			exit }
		close R; $n = syswrite W, "x" x 300000;
		exit($n > 4096 && $n < 300000 && !defined syswrite(W, "y") && $!{EPIPE} ? 3 : 4)'
	run plain /usr/bin/perl -e "$leaving"
	equal "by itself" 141 "$status"
	run guarded $ALL /usr/bin/perl -e "$leaving"
	equal "the status" 3 "$status"
	equal "the events" '["suppressed",null,true]
["suppressed","EPIPE",false]' "$(broken '[.signal, .errno, .ret > 4096]')"
}

@test "nosignal: a program with a handler, a mask or SIG_IGN of its own keeps its way" {
	wanted=$(plain "$FIXTURES/call" pipe | awk '$2 != "dfl"' | cut -d' ' -f2-)
	got=$(guarded $ALL "$FIXTURES/call" pipe | awk '$2 != "dfl"' | cut -d' ' -f2-)
	equal "rows of the other states" "$wanted" "$got"
}

@test "nosignal: children without the library see no difference, and kill -PIPE kills" {
	native_only
	children_see_no_difference $ALL
}

@test "nosignal: PIPEGUARD_LIMIT stops a program that ignores errors" {
	native_only
	run guarded $ALL PIPEGUARD_LIMIT=25 /usr/bin/perl -e 'pipe R, W; close R; syswrite W, "x" while 1'
	equal "the status" 141 "$status"
	equal "the last event" '["fatal",26]' "$(broken '[.signal, .repeated]' | tail -1)"
	run guarded PIPEGUARD_RULES='%out:error=EPIPE:nosignal' PIPEGUARD_LIMIT=5 /usr/bin/perl -e \
		'pipe R, W; $n++ while !defined syswrite W, "x"'
	equal "with error=EPIPE" 141 "$status"
	equal "the last event" '["fatal",6,true]' "$(broken '[.signal, .repeated, .injected]' | tail -1)"
}

@test "nosignal beside a fault: the break that the rule makes does not kill" {
	native_only
	for rule in '%out:kind=pipe:break:nosignal' '%out:kind=pipe:error=EPIPE:nosignal' \
		'%out:kind=pipe:break;%out:nosignal' '%out:kind=pipe:at=0:when=1:break;%out:nosignal'; do
		rm -f "$LOG"
		run guarded PIPEGUARD_RULES="$rule" /usr/bin/perl -e \
			'pipe R, W; exit(defined syswrite(W, "x") ? 1 : $!{EPIPE} ? 3 : 2)'
		echo "rule: $rule"
		equal "status and event" '3 ["suppressed","EPIPE",true]' \
			"$status $(broken '[.signal, .errno, .injected]')"
	done
}
