#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Floods: a few lines, true counts.

load ../helpers

@test "ls -R under an ignored SIGPIPE breaks over and over: few lines, and the true count at exit" {
	guarded -i bash -c 'ls -R /usr 2>/dev/null | head -1' >/dev/null
	# head may be gone before ls has ended.
	wait_for grep -q '"ev":"exit"' "$LOG"
	[ "$(wc -l <"$LOG")" -le 25 ]
	count=$(events 'select(.ev == "exit" and .comm == "ls") | .events')
	[ "$count" -gt 20 ]
	equal "the sum of the sites" "$count" "$(events 'select(.ev == "exit" and .comm == "ls") | [.sites[].count] | add')"
}

@test "five thousand breaks at one place are nineteen lines and one exit line" {
	guarded -i /usr/bin/perl -e 'pipe R, W; close R; syswrite W, "x" for 1..5000'
	equal "the repetitions" "1 2 3 4 5 6 7 8 9 10 20 40 80 160 320 640 1280 2560" "$(broken .repeated | xargs)"
	equal "the exit line" '[5000,0,1]' "$(events 'select(.ev == "exit") | [.events, .dropped, (.sites | length)]')"
}

@test "ten breaks need no exit line; with PIPEGUARD_VERBOSE=1 there is one anyhow" {
	guarded -i /usr/bin/perl -e 'pipe R, W; close R; syswrite W, "x" for 1..10'
	equal "the events" "10 0" "$(broken .call | wc -l) $(events 'select(.ev == "exit")' | wc -l)"
	guarded -i PIPEGUARD_VERBOSE=1 true
	equal "the exit line" 0 "$(events 'select(.ev == "exit") | .events')"
}

@test "another object, and another place, are counted by themselves" {
	guarded -i /usr/bin/python3 -c '
import os, signal
def broken():
    r, w = os.pipe(); os.close(r); return w
a, b = broken(), broken()
for i in range(30):
    for w in (a, b):
        try: os.write(w, b"x")
        except OSError: pass'
	equal "lines for each object" "[11,11]" "$(broken .ino | sort | uniq -c | awk '{ print $1 }' | jq -sc .)"
}

@test "java printing into a closed pipe stays a few lines" {
	requires java javac
	cat >"$BATS_TEST_TMPDIR/T.java" <<-'END'
		public class T { public static void main(String[] a) { for (int i = 0; i < 20000; i++) System.out.println("hello"); } }
	END
	LIMIT=50 guarded bash -c "java '$BATS_TEST_TMPDIR/T.java' | head -1" >/dev/null
	wait_for grep -q '"ev":"exit"' "$LOG"
	[ "$(wc -l <"$LOG")" -le 30 ]
	[ "$(events 'select(.ev == "exit") | .events')" -gt 1000 ]
}

@test "of many places the exit line has those that broke most, most first" {
	# shellcheck disable=SC2016 # perl's variables
	guarded -i /usr/bin/perl -e '
		for my $place (1 .. 40) {
			pipe R, W;
			close R;
			my $n = $place == 29 ? 900 : $place == 7 ? 300 : 11;
			syswrite W, "x" for 1 .. $n;
			open $kept[$place], ">&", \*W;
		}'
	equal "the first places" '[900,300,11]' "$(events 'select(.ev == "exit") | [.sites[].count][:3]')"
	equal "all breaks" 1618 "$(events 'select(.ev == "exit") | .events')"
}
