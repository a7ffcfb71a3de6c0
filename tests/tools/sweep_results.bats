#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154 # inner shells expand; run sets stderr
# pipeguard sweep: what can be asked for, and what is said of it; static and Go programs.

load ../helpers
load ../outside

PYTHON=/usr/bin/python3

setup_file() {
	go_program lines <<-'GO'
		package main
		import ("fmt"; "os")
		func main() {
			for i := 0; i < 3; i++ {
				if _, err := fmt.Println("line", i); err != nil { os.Exit(3) }
			}
		}
	GO
}

setup() {
	native_only
	unset PYTHONUNBUFFERED
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir -p "$TMPDIR"
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	[ ! -e "$TMPDIR" ] || equal "temporary files left" "" "$(ls -A "$TMPDIR")"
}

sweep() { timeout -k 5 "${SWEEP_LIMIT:-50}" "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" "$@" 3>&-; }

# server LINE...: a server in Python that runs these lines for each connection c, and a client that reads all it says.
server() {
	{
		cat <<-'END'
			import os, socket, sys
			s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
			s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
			broken = False
			while True:
			    c, _ = s.accept()
		END
		printf '    %s\n' "$@" 'c.close()'
	} >server.py
	echo 'import socket, sys; s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); d = b"".join(iter(lambda: s.recv(9), b"")); sys.stdout.write(d.decode()); sys.exit(0 if d else 3)' >client.py
}

@test "what can never be is refused before the first run: an unknown fault, no site, nothing to run" {
	run -125 sweep --faults brek -- seq 3
	equal "an unknown fault" "pipeguard sweep: --faults: unknown action 'brek' (did you mean 'break'?)" "$output"
	run -125 sweep --faults break+suppres -- seq 3
	equal "an unknown end" "pipeguard sweep: --faults: 'break+suppres' is no fault: an action of rules, and only +suppress behind it" "$output"
	run -125 sweep --sites nosuchsite --fail-on silent -- seq 3
	equal "no such site" 'pipeguard sweep: --sites: none of the 1 sites matches (see --list)' "$output"
	run -125 sweep --list --sites nosuchsite -- seq 3
	run -125 sweep --faults reset -- seq 3
	equal "none is possible" 'pipeguard sweep: nothing to run: at 1 site none of these faults is possible (reset)' "$output"
	run -125 sweep --faults , -- seq 3
	equal "no fault" 'pipeguard sweep: --faults: which? (see --help)' "$output"
	run -0 sweep -q --faults break,break+suppress,break -- seq 3
	equal "one that is said twice" 1 "$(grep -c '^  break  ' <<<"$output")"
	run -125 sweep --client true -- true
	equal "no server" 'pipeguard sweep: without a fault, the server ended with status 0, before a client came' "$output"
	run -125 sweep -- true
	equal "no write" 'pipeguard sweep: it writes and connects nowhere: there is nothing to break' "$output"
	run -125 sweep --faults error=ENOSPC -- seq 3
	[[ $output == *"nothing to run: at 1 site none of these faults is possible (error=ENOSPC: "*"'ENOSPC')" ]]
}

@test "a fault that a kind never meets is told as not possible, with the reason, and costs no run" {
	run -0 sweep -q --html page --faults break,error=ENOSPC -- seq 3
	[[ $output == *'error=ENOSPC    not possible: '*"'ENOSPC'"*'killed 1' ]]
	grep -q "title='[^']*ENOSPC[^']*'>not possible<" page
	run -0 sweep -q --json --faults break,error=ENOSPC -- seq 3
	[[ $(jq -r 'select(.type == "site") | .impossible["error=ENOSPC"]' <<<"$output") == *ENOSPC* ]]
	equal "runs" break "$(jq -r 'select(.type == "run") | .fault' <<<"$output")"
}

@test "a command that asks whether a server is ready does not meet the fault" {
	server 'try: c.sendall(b"hello\n")' 'except OSError: pass'
	run -0 sweep -q --faults break --ready "'$PYTHON' client.py {port}" --client "'$PYTHON' client.py {port}" -- "$PYTHON" server.py '{port}'
	[[ $output == *'break           recovered   the client that met the fault ended with status 3, the next one was served'* ]]
}

@test "of a server: nobody is served any more, and bytes that are missing in its log" {
	server 'try: broken or c.sendall(b"hello\n")' 'except OSError: broken = True'
	run -0 sweep -q --html page --faults break --client "'$PYTHON' client.py {port}" -- "$PYTHON" server.py '{port}'
	[[ $output == *'break           hung        it serves nobody any more: the next client ended with status 3'* ]]
	grep -q 'a client waited in vain, or none is served any more' page
	equal "clients that got the same are told once" 1 "$(grep -o 'client × [0-9]*: status 3' page | wc -l)"
	server 'os.write(2, b"a client came\n")' 'c.sendall(b"hello\n")'
	run -0 sweep -q --faults short --sites 'standard error' --client "'$PYTHON' client.py {port}" -- "$PYTHON" server.py '{port}'
	[[ $output == *'short           silent      the client got what it gets in a good run, but bytes for standard error were lost'* ]]
}

@test "sites of one place are told apart by the first frame that differs" {
	cat >apart.c <<-'END'
		#include <unistd.h>
		__attribute__((noinline)) static int put(char c) { return write(1, &c, 1) == 1; }
		__attribute__((noinline)) static int first(void) { return put('a') + 1; }
		__attribute__((noinline)) static int second(void) { return put('b') + 2; }
		int main(void) { return first() + second() == 5 ? 0 : 3; }
	END
	"${CC:-gcc}" -g -O1 -fno-optimize-sibling-calls -o apart apart.c
	run -0 sweep --list --faults break -- ./apart
	equal "sites" 2 "${#lines[@]}"
	[[ ${lines[0]} == *' in put ('*':2) < first ('*':3) (once)'* && ${lines[1]} == *' in put ('*':2) < second ('*':4) (once)'* ]]
}

@test "a program is named as it was started, whatever it is a link to; signals have names; files differ" {
	ln -s "$(command -v seq)" count
	run -0 sweep -q --faults break -- ./count 3
	[[ $output == *'count: '@(stdio|write)*'in '*'count+0x'*'killed 1' ]]
	run -0 sweep -q --faults break+suppress -- bash -c 'echo a 2>/dev/null || kill -TERM $$'
	[[ $output == *'break+suppress  killed      ended by SIGTERM'* ]]
	run -0 sweep -q --faults break+suppress --sites 'bash:' -- bash -c 'echo a 2>/dev/null; kill -TERM $$'
	[[ $output == *': 1 site, SIGTERM, '* ]]
	run -0 sweep -q --scratch --faults break --sites 'seq:' -- bash -c 'seq 2000 | tee a >b'
	[[ $output == *'a, b differ'* ]]
}

@test "the pipes by which a program wakes itself up are named, and left out unless asked for" {
	cat >wake.py <<-'END'
		import os, socket, subprocess
		r, w = os.pipe()
		os.write(w, b"x")
		subprocess.run(["cat"], input=b"text\n")
		a, b = socket.socketpair()
		a.send(b"x")
		os.write(w, b"y")
	END
	run -0 sweep -q --faults break -- "$PYTHON" wake.py
	[[ $output == *'python3: write on pipe'* && $output == *'sites left out, where a program wakes itself up (--wake-ups)'* ]]
	[[ $output != *'its own'* ]]
	run -0 sweep --wake-ups --list -- "$PYTHON" wake.py
	[[ $output == *'write on its own wake-up pipe'* && $output == *'send on its own wake-up socket'* ]]
	run -125 sweep -- "$PYTHON" -c 'import os; r, w = os.pipe(); os.write(w, b"x")'
	[[ $output == 'pipeguard sweep: it only wakes itself up (--wake-ups): there is nothing else to break' ]]
}

@test "pairs: where the first fault was survived, a second one finds what nobody looked at" {
	cat >fallback.py <<-'END'
		import subprocess
		def start(): return subprocess.Popen(["cat"], stdin=subprocess.PIPE)
		one = start()
		try:
		    one.stdin.write(b"text\n"); one.stdin.flush()
		except OSError:
		    two = start()
		    try: two.stdin.write(b"text\n"); two.stdin.flush()
		    except OSError: pass
		for p in (one, *([two] if "two" in dir() else [])):
		    try: p.stdin.close()
		    except OSError: pass
		    p.wait()
	END
	run -0 sweep -q --faults break --sites 'python3:' -- "$PYTHON" fallback.py
	[[ $output == *'recovered 1' ]]
	run -0 sweep -q --pairs --html page --faults break --sites 'python3:' -- "$PYTHON" fallback.py
	[[ $output == *'break           recovered '*'break, then break silent '*'the second: python3: write on pipe, in '* ]]
	grep -q 'The second fault' page
	# What does it again has both rules.
	again=$(sweep -q --json --pairs --faults break --sites 'python3:' -- "$PYTHON" fallback.py |
		jq -r 'select(.type == "run" and .then and .verdict == "silent" and .program == .then.call) // select(.then and .verdict == "silent") | .again' | head -n 1)
	echo "again: $again"
	run timeout "$LIMIT" bash -c "PATH='$BUILD':\$PATH; $again" 3>&-
	[[ $output == *'INJECTED by r1'* && $output == *'INJECTED by r2'* ]]
}

@test "static programs are swept from outside, and the printed line breaks them again" {
	ruled_only
	cat >still.c <<-'END'
		#include <stdio.h>
		#include <unistd.h>
		__attribute__((noinline)) static int say(const char *s) { return write(1, s, 6) == 6; }
		int main(void) { int good = say("hello\n"); write(1, "lost\n", 5); return good ? 0 : (perror("still"), 3); }
	END
	"${CC:-gcc}" -static -g -O1 -o still still.c 2>/dev/null || skip "no static libc"
	run -0 sweep -q --faults break,break+suppress -- ./still
	[[ $output == *'./still: 2 sites, status 0'*'in say ('*'still.c:3)'*'break+suppress  clean       status 3: still: Broken pipe'* ]]
	[[ $output == *'in main ('*'still.c:4)'*'break+suppress  silent '*'short of 5 bytes'* ]]
	[[ $output == *'killed 2, clean 1' ]]
	again=$(sweep -q --json --faults break --sites say -- ./still | jq -r 'select(.type == "run") | .again')
	[[ $again == 'pipeguard run --outside -r write:'* ]]
	run timeout "$LIMIT" bash -c "PATH='$BUILD':\$PATH; $again" 3>&-
	[[ $output == *'SIGPIPE kills'*'INJECTED by r1'* ]]
	# The engine can be forced, too.
	run -0 sweep -q --outside --faults break -- "$FIXTURES/numbers" 10
	[[ $output == *'killed 1' ]]
	run -125 sweep --outside --inside -- ./still
	[[ $output == 'pipeguard sweep: --outside and --inside: one of them' ]]
}

@test "Go programs are swept from outside, by their own functions" {
	ruled_only
	needs_go lines
	run -0 sweep -q --json --faults break,short -- "$GO_DIR/lines"
	equal "what it found" $'break killed\nshort recovered' "$(jq -r 'select(.type == "run") | "\(.fault) \(.verdict)"' <<<"$output")"
	[[ $(jq -r 'select(.type == "run") | .place' <<<"$output" | head -1) == 'main.main ('* ]]
}

# normal FILE: without what differs from machine to machine.
normal() { sed -E 's/20[0-9-]+ [0-9:]+ UTC/DATE/; s/[0-9]+\.[0-9]+ s\b/SECONDS/g' "$1"; }

@test "machines share a sweep: the merged results and page are those of one" {
	command=(bash -c 'seq 3000 | sort | tail -n 2; echo done >&2')
	sweep -q --out one -- "${command[@]}" >/dev/null
	for k in 1 2 3; do sweep -q --out "part$k" --shard $k/3 -- "${command[@]}" >/dev/null; done
	runs() { wc -l <"$1/runs.jsonl"; }
	equal "runs in all" "$(runs one)" "$(($(runs part1) + $(runs part2) + $(runs part3)))"
	for k in 1 2 3; do [ "$(runs "part$k")" -ge $(($(runs one) / 3)) ]; done
	run -0 sweep --merge part3 part1 part2 --out all --junit all.xml
	equal "the sums" "$(tail -n 1 one/report.txt)" "${lines[-1]}"
	for file in report.txt index.html; do
		diff <(normal one/$file) <(normal all/$file)
	done
	# Where the modules lie is what the programs' own logs say.
	[[ $(jq -r '.modules | keys[]' one/sweep.json) == *libc.so.6* ]]
	equal "the modules" "$(jq -S .modules one/sweep.json)" "$(jq -S .modules all/sweep.json)"
	runs_of() { jq -c 'select(.type == "run") | del(.seconds, .evidence.pid, .evidence.again)' "$1/results.jsonl"; }
	diff <(runs_of one) <(runs_of all)
	# What is missing is said, and what was cut off.
	run -0 --separate-stderr sweep -q --merge part3 part1
	equal "two of three" 'pipeguard sweep: not among them: the share 2/3' "$stderr"
	run -125 sweep -q --merge part3 part1 --fail-on spins # nor is it known to be good
	run -0 sweep -q --merge part3 part1 part2 --fail-on spins
	rm part1/share.json
	run -0 --separate-stderr sweep -q --merge part3 part1 part2
	equal "one cut off" 'pipeguard sweep: part1: that sweep did not come to its end
pipeguard sweep: not among them: the share 1/3' "$stderr"
	run -0 --separate-stderr sweep -q --merge all
	equal "all of them" '' "$stderr"
	# What is merged can fail, and goes on as a sweep.
	run -1 sweep -q --merge part1 part2 part3 --fail-on silent
	run -0 sweep --out all -- "${command[@]}"
	[[ $output != *'[1/'* ]]
}

@test "what is no share, or of another sweep, is not merged" {
	for k in 1 2; do sweep -q --out "part$k" --shard $k/2 -- seq 3 >/dev/null; done
	sweep -q --out other --shard 1/2 -- seq 4 >/dev/null
	run -125 sweep --merge part1 other
	equal "another command" 'pipeguard sweep: other is a sweep of another command than the first' "$output"
	run -125 sweep --merge part1 none
	equal "none" 'pipeguard sweep: none: there is no sweep' "$output"
	run -125 sweep --merge part1 part2 -- seq 3
	[[ $output == *"--merge: the command is that of the sweeps"* ]]
	for bad in 0/2 3/2 1 a/b 1/0; do
		run -125 sweep --shard "$bad" -- seq 3
		[[ $output == *"not K/N, with K from 1 to N: '$bad'" ]]
	done
	sed -i 's/"build_id": "[0-9a-f]*"/"build_id": "0123"/' part2/sweep.json
	run -125 sweep --merge part1 part2
	equal "another build" 'pipeguard sweep: part2 is a sweep of another build of the program than the first' "$output"
}

@test "of a run through thousands of places no more is read than tells what came of the fault" {
	printf '%s\n' '#include <signal.h>' '#include <unistd.h>' >many.c
	printf '__attribute__((noinline)) static void f%d(void) { if (write(1, "x\\n", 2)) __asm__(""); }\n' {1..400} >>many.c
	{ echo 'int main(void) { signal(SIGPIPE, SIG_IGN);' && printf 'f%d();' {1..400} && echo ' return 0; }'; } >>many.c
	"${CC:-gcc}" -O1 -o many many.c
	guarded PIPEGUARD_VERBOSE=2 PIPEGUARD_RULES='sweep=write:when=200:break' ./many | cat >/dev/null || :
	mkdir logs
	cp "$LOG" logs/1.log
	PYTHONPATH=$ROOT/scripts/lib run -0 "$PYTHON" -B -c 'import sys, pgsites
all, few = (pgsites.read_logs("logs", rule)[0] for rule in (None, pgsites.RULE))
print(len(all), len(few))
a, b = (pgsites.evidence_of([events]) for events in (all, few))
print({k: (a[k], b[k]) for k in a if a[k] != b[k]})'
	read -r all few <<<"${lines[0]}"
	[ "$all" -ge 400 ]
	[ "$few" -le 110 ]
	equal "what it tells otherwise" '{}' "${lines[1]}"
}
