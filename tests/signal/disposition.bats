#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Whose doing it was: SIGPIPE inherited as ignored, or set by a module.

load ../helpers

BREAK='pipe R, W; close R; syswrite W, "x"'

@test "an inherited SIG_IGN is said with the first event of each process, and at load when verbose" {
	guarded -i PIPEGUARD_VERBOSE=1 /usr/bin/perl -e "$BREAK; $BREAK"
	equal "at load" '["ignored",true]' "$(events 'select(.ev == "load") | [.sigpipe, .inherited_ignored]')"
	equal "with the events" $'["ignored","inherited"]\n["ignored","inherited"]' "$(broken '[.disposition.state, .disposition.by]')"
	run guarded -i PIPEGUARD_FORMAT=text PIPEGUARD_LOG=stderr /usr/bin/perl -e "$BREAK"
	[[ $output == *'SIGPIPE was already ignored when this program started'* ]]
}

@test "a default SIGPIPE is not said to be inherited" {
	run guarded PIPEGUARD_VERBOSE=1 /usr/bin/perl -e "$BREAK"
	equal "at load" '["default",false]' "$(events 'select(.ev == "load") | [.sigpipe, .inherited_ignored]')"
	equal "with the event" null "$(broken .disposition)"
}

@test "each change is an event at verbose 1, with the module and function that made it" {
	guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/setter" all
	equal "the changes" \
		$'["default","ignored","libsetter"]\n["ignored","caught","setter"]\n["caught","default","setter"]' \
		"$(events 'select(.ev == "disposition") | [.from, .to, (if .by | test("setter.so") then "libsetter" else (.by | split("+")[0]) end)]')"
	[[ $(events 'select(.ev == "disposition") | .by' | head -1) == *setter_init* ]]
}

@test "the last changer is named on a broken write that does not kill" {
	guarded "$FIXTURES/setter" library
	equal "the state" '"ignored"' "$(broken .disposition.state)"
	[[ $(broken .disposition.by) == *'setter.so.so+0x'*'setter_init"' || $(broken .disposition.by) == *'setter.so+0x'*'setter_init"' ]]
	equal "the thread, which costs a system call and is left out" null "$(broken .disposition.tid)"
	guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/setter" library
	[ "$(broken .disposition.tid | tail -1)" = "$(broken .pid | tail -1)" ]
}

@test "a write that kills names nobody" {
	run guarded "$FIXTURES/setter" back
	equal "the status" 141 "$status"
	equal "the disposition" null "$(broken .disposition)"
}

@test "a change made by a vfork child is not blamed for the parent's state" {
	guarded "$FIXTURES/setter" vfork
	equal "the state" '"ignored"' "$(broken .disposition.state)"
	[[ $(broken .disposition.by) == *setter_init* ]]
}

@test "python3 and its default are told apart" {
	guarded /usr/bin/python3 -c '
import os
r, w = os.pipe(); os.close(r)
try: os.write(w, b"x")
except BrokenPipeError: pass'
	equal "the event" '["ignored","ignored"]' "$(broken '[.signal, .disposition.state]')"
	[[ $(broken .disposition.by) == *python3* ]]
}
