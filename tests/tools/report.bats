#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2030,SC2031 # filters expand; each test is a subshell
# pipeguard report: what logs say taken together.

load ../helpers

PYTHON=/usr/bin/python3

setup_file() { install_launcher; }

report() { timeout "$LIMIT" env LC_ALL=C.UTF-8 "$PYTHON" "$ROOT/scripts/pipeguard-report" "$@" 3>&-; }

# A client that is told of a reset and writes on, three times; its log in the format that is asked for.
setup() {
	script='import socket, struct, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); a.close()
try: c.recv(1)
except OSError: pass
try: c.send(b"x")
except OSError: pass
try: c.send(b"x")
except OSError: pass
try: c.send(b"x")
except OSError: pass'
}

@test "a log in JSON: broken writes by site, what the signal did, peer, ignored warning, rules" {
	native_only
	guarded PIPEGUARD_VERBOSE=1 "$PYTHON" -c "$script"
	run -0 report "$LOG"
	[[ ${lines[0]} == '3 broken writes in 1 program, 20'*' UTC' ]]
	[[ $output == *'3  python3: send on tcp'*'SIGPIPE was ignored (3)'*'peers: 127.0.0.1:'*' (3)'* ]]
	[[ $output == *'3: recv() told the program ECONNRESET, and it wrote on, in '* ]]
	[[ $output == *'rule: send:'*'conn=1:at=0:'*'break   # the same write again'* && $output == *':seen=reset:abort'* ]]
	run -0 report --json "$LOG"
	equal "the site" '["python3","send","tcp",3,{"ignored":3}]' \
		"$(jq -c '.sites[0] | [.program, .call, .kind, .count, .signals]' <<<"$output")"
	equal "the warning" '["reset","recv",3]' "$(jq -c '.sites[0].warned[0] | [.what, .call, .count]' <<<"$output")"
}

@test "libc's start of main is left out, and a close that resets the peer is told as such" {
	native_only
	guarded PIPEGUARD_VERBOSE=1 "$PYTHON" -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
a.send(b"x"); c.recv(1, socket.MSG_PEEK); c.close()
for n in 1, 2:
    try: a.send(b"x")
    except OSError: pass'
	events 'if .ev == "doomed" then .stack = ["p+0x9 bye"] elif .ev == "epipe" then .stack = ["p+0x8 put", "libc.so.6+0x3 qsort"] else . end |
		if .stack then .stack += ["p+0x1 main", "libc.so.6+0x27249", "libc.so.6+0x27304 __libc_start_main", "p+0x2 _start"] else . end |
		select(.ev == "doomed" or .ev == "epipe")' >"$LOG.short"
	LOG=$LOG.short
	run -0 report "$LOG"
	equal "frames" 'at p+0x8 at libc.so.6+0x3 at p+0x1 at p+0x9 at p+0x1' "$(grep -o '^ *at .*+0x[0-9]*)' <<<"$output" | sed 's/ at .*(/ at /;s/)//' | xargs)"
	[[ $output == *'close on '*$'\n          a connection was closed with unread bytes, which resets the peer\n'* ]]
	run -1 grep ' $' <<<"$output"
}

# fires RULE PROGRAM...: does the rule fire in the program, whose reader leaves after one line?
fires() {
	rm -f "$LOG"
	guarded PIPEGUARD_RULES="$1" "${@:2}" | head -n 1 >/dev/null
	echo "rule: $1"
	[ "$(events 'select(.ev == "inject") | .rule' | head -1)" = '"r1"' ]
}

# suggested LOG: the rules of the report, one a line.
suggested() { report --json "$1" | jq -r '.sites[].rules[].rule'; }

@test "the rules that it suggests break the same program there, whatever the log's format" {
	native_only
	for format in json text; do
		rm -f "$LOG"
		guarded PIPEGUARD_FORMAT=$format "$PYTHON" -c "$script"
		suggested "$LOG" >"$BATS_TEST_TMPDIR/rules"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/rules")" -ge 3 ]
		while read -r rule; do
			fires "$rule" "$PYTHON" -c "$script"
		done <"$BATS_TEST_TMPDIR/rules"
	done
}

@test "so do those for a write of stdio's, and the one that holds it until the reader has left" {
	native_only
	for format in json text; do
		rm -f "$LOG"
		guarded PIPEGUARD_FORMAT=$format "$FIXTURES/brokenfd" 1 "$FIXTURES/numbers" 50000 || true
		suggested "$LOG" >"$BATS_TEST_TMPDIR/rules"
		equal "rules" 3 "$(grep -c '^%stdio:comm=numbers:' "$BATS_TEST_TMPDIR/rules")"
		grep -q ':when=2+:hold$' "$BATS_TEST_TMPDIR/rules"
		while read -r rule; do
			fires "$rule" "$FIXTURES/numbers" 50000
		done <"$BATS_TEST_TMPDIR/rules"
	done
}

@test "a rule names the program by its file, not by the name of the thread; where no rule would do, there is none" {
	native_only
	renamed="import ctypes; ctypes.CDLL(None).prctl(15, b'a thread'); $script"
	for format in json text; do
		rm -f "$LOG"
		guarded PIPEGUARD_FORMAT=$format "$PYTHON" -c "$renamed"
		run -0 report "$LOG"
		[[ $output == *'3  a thread: send on tcp'* ]]
		suggested "$LOG" >"$BATS_TEST_TMPDIR/rules"
		equal "names" "comm=${PYTHON##*/}" "$(grep -o 'comm=[^:]*' "$BATS_TEST_TMPDIR/rules" | sort -u)"
		while read -r rule; do
			fires "$rule" "$PYTHON" -c "$renamed"
		done <"$BATS_TEST_TMPDIR/rules"
	done
	sed '/^  *again: /d' "$LOG" >"$BATS_TEST_TMPDIR/without"
	equal "without the library's own rule" "" "$(suggested "$BATS_TEST_TMPDIR/without")"
}

@test "a log in text says the same" {
	native_only
	guarded "$PYTHON" -c "$script"
	json=$(report --json "$LOG" | jq -c '.sites[0] | [.program, .call, .kind, .count, .signals, [.warned[] | [.what, .call, .caller, .count]], [.stack[].frame]]')
	rm -f "$LOG"
	guarded PIPEGUARD_FORMAT=text "$PYTHON" -c "$script"
	text=$(report --json "$LOG" | jq -c '.sites[0] | [.program, .call, .kind, .count, .signals, [.warned[] | [.what, .call, .caller, .count]], [.stack[].frame]]')
	equal "the site" "$json" "$text"
}

# breaks N [VAR=VALUE]...: N broken writes at one place.
breaks() {
	guarded -i "${@:2}" "$FIXTURES/brokenfd" 1 "$PYTHON" -c "import os
for i in range($1):
    try: os.write(1, b'x')
    except OSError: pass"
}

# totals LOG: what report says of broken writes: in all, by site, by program, by peer, at least?
totals() {
	report --json "$1" | jq -c '[.events.epipe, ([.sites[] | select(.ev == "epipe").count] | add), .programs.python3, .peers.pipe, .at_least]'
}

@test "what was not logged is counted: the last line of the process says how often it broke" {
	native_only
	breaks 100
	[ "$(broken .repeated | wc -l)" -lt 20 ]
	equal "what the last line says" 100 "$(events 'select(.ev == "exit").events')"
	equal "events" '[100,100,100,100,false]' "$(totals "$LOG")"
	rm "$LOG"
	breaks 100 PIPEGUARD_FORMAT=text PIPEGUARD_VERBOSE=1
	equal "in text" '[100,100,100,100,false]' "$(totals "$LOG")"
}

@test "without that line it is at least as many: the 20th event stands for ten, the 40th for twenty" {
	native_only
	breaks 100
	grep -v '"ev":"exit"' "$LOG" >"$BATS_TEST_TMPDIR/cut"
	equal "events" '[80,80,80,80,true]' "$(totals "$BATS_TEST_TMPDIR/cut")"
	run -0 report "$BATS_TEST_TMPDIR/cut"
	[[ ${lines[0]} == 'at least 80 broken writes in 1 program,'* ]]
	[[ ${lines[1]} == *'the last line of 1 process, with what was not logged, is not here)' ]]
	rm "$LOG"
	breaks 9
	equal "nine are all told" '[9,9,9,9,false]' "$(totals "$LOG")"
}

@test "the counts of many processes, of the same number, of what no line told, and never more than there were" {
	native_only
	breaks 100 PIPEGUARD_VERBOSE=1
	pid=$(events 'select(.ev == "exit").pid')
	cp "$LOG" "$BATS_TEST_TMPDIR/one"
	breaks 300 PIPEGUARD_VERBOSE=1
	sed -i "s/\"pid\":[0-9]*/\"pid\":$pid/" "$LOG"
	equal "two lives of one number" '[400,400,400,400,false]' "$(totals "$LOG")"
	{
		cat "$BATS_TEST_TMPDIR/one"
		tail -n 1 "$BATS_TEST_TMPDIR/one"
	} >"$BATS_TEST_TMPDIR/twice"
	equal "a last line twice" '[100,100,100,100,false]' "$(totals "$BATS_TEST_TMPDIR/twice")"
	grep -v '"ev":"epipe"' "$BATS_TEST_TMPDIR/one" >"$BATS_TEST_TMPDIR/untold"
	run -0 report "$BATS_TEST_TMPDIR/untold"
	[[ ${lines[0]} == '100 broken writes in 1 program'* && $output == *'python3: write on an unknown object'*'at '* ]]
}

@test "how often a rule fired is counted by the last line as well" {
	native_only
	guarded PIPEGUARD_RULES='write:fd=1:delay=0us' "$PYTHON" -c 'import os
for i in range(50): os.write(1, b"x")' | cat >/dev/null
	fired=$(events 'select(.ev == "exit").rules.r1')
	[ "$fired" -ge 50 ]
	equal "injections" "$fired" "$(report --json "$LOG" | jq .events.inject)"
}

@test "several logs, gzip and standard input; lines that are not the library's are counted" {
	native_only
	guarded "$PYTHON" -c "$script"
	gzip -c "$LOG" >"$BATS_TEST_TMPDIR/log.gz"
	{
		echo 'some words of the program'
		cat "$LOG"
		echo '{"ev": '
	} >"$BATS_TEST_TMPDIR/mixed"
	run -0 report "$LOG" "$BATS_TEST_TMPDIR/log.gz" - <"$BATS_TEST_TMPDIR/mixed"
	[[ ${lines[0]} == '9 broken writes in 1 program'* ]]
	[[ ${lines[1]} == *'; 2 not the library'*'s)' ]]
	run -0 report - < <(gzip -c "$LOG")
	[[ ${lines[0]} == '3 broken writes'* ]]
}

# printable FILE: has it nothing but lines of characters that print?
printable() {
	"$PYTHON" -c 'import sys
bad = {c for c in open(sys.argv[1], encoding="utf-8").read() if not c.isprintable() and c != "\n"}
sys.exit("these do not print: %r" % bad if bad else 0)' "$1"
}

@test "a log that is named twice, or by a link too, is read once, and that is said" {
	native_only
	cd "$BATS_TEST_TMPDIR"
	guarded "$PYTHON" -c "$script"
	mv "$LOG" a.log
	ln -s a.log current.log
	cp a.log b.log
	run -0 report a.log current.log b.log ./a.log
	[[ ${lines[0]} == '6 broken writes'* ]]
	[[ ${lines[1]} == *'; current.log is a.log, and was read once; ./a.log is a.log, and was read once)' ]]
}

@test "what is in a name does nothing: not on a terminal, not in the page; it ends no line" {
	native_only
	# A title, an end of line, C1, right to left, a byte that is no UTF-8; the peer is such a name as well.
	odd='import ctypes, os, socket, sys
ctypes.CDLL(None).prctl(15, b"\x1b]0;P\x07\n\xc2\x9b\xe2\x80\xae\xff")
s = socket.socket(socket.AF_UNIX); s.bind(b"\x1b[2J\n 9 k\x7f"); s.listen()
c = socket.socket(socket.AF_UNIX); c.connect(s.getsockname()); a, _ = s.accept(); a.close()
try: c.send(b"x")
except OSError: pass'
	cd "$BATS_TEST_TMPDIR"
	for format in json text; do
		rm -f "$LOG" ./*9*
		guarded PIPEGUARD_FORMAT=$format "$PYTHON" -c "$odd"
		report --html page "$LOG" >text
		report --json "$LOG" >json
		cat text
		for file in text json page; do
			printable "$file"
			grep -qF '\x1b' "$file" || grep -qF '\u001b' "$file"
		done
		grep -qxF '       1  \x1b]0;P\x07\x0a\x9b\u202e\xff: send on unix' text
		grep -qxF '          peers: \x1b[2J\x0a 9 k\x7f (1)' text
		equal "the name in JSON" "1b5d303b50070ac29be280ae5c786666" "$(jq -j '.sites[0].program' json | od -An -tx1 | tr -d ' \n')"
	done
	run -125 report $'no\e[2J\n'
	equal "what is said of a file" 'pipeguard report: no\x1b[2J\x0a: No such file or directory' "$output"
	run -125 report $'--no\e[2J'
	equal "without a log" 'pipeguard report: unknown option '"'--no\\x1b[2J'"' (see --help)' "$output"
	run -125 report x $'--no\e[2J\n'
	[[ $output == "pipeguard report: unknown option '--no\x1b[2J"* && ${#lines[@]} -eq 1 ]]
}

@test "a log of odd names: what is in a name is shown, and does nothing in the page" {
	native_only
	name='a<b>&"'$'\n''x'
	cp "$FIXTURES/planted_fclose" "$BATS_TEST_TMPDIR/$name"
	guarded "$FIXTURES/brokenfd" 1 "$BATS_TEST_TMPDIR/$name"
	run -0 report --html "$BATS_TEST_TMPDIR/page.html" "$LOG"
	[[ $output == *'1 broken write'* ]]
	grep -q 'a&lt;b&gt;&amp;&quot;' "$BATS_TEST_TMPDIR/page.html"
	run grep -c 'a<b>' "$BATS_TEST_TMPDIR/page.html"
	equal "raw names in the page" 0 "$output"
}

@test "what is in any field is no mark-up in the page" {
	native_only
	guarded PIPEGUARD_RULES='send:when=2+:delay=0us' "$PYTHON" -c "$script"
	"$PYTHON" - "$LOG" >"$BATS_TEST_TMPDIR/marked" <<-'END'
		import json, sys
		for line in open(sys.argv[1]):
		    e = json.loads(line)
		    e.update(comm="<img>", peer="/<img>", rule="<img>", stack=["m+0x1 <img>"], history=[{"what": "reset", "call": "recv", "caller": "<img>"}])
		    print(json.dumps(e))
	END
	run -0 report --html "$BATS_TEST_TMPDIR/page" "$BATS_TEST_TMPDIR/marked"
	[[ $output == *'3 broken writes'* && $output != *'not the library'* ]]
	[ "$(grep -o '&lt;img&gt;' "$BATS_TEST_TMPDIR/page" | wc -l)" -gt 8 ]
	equal "marks" 0 "$(grep -c '<img' "$BATS_TEST_TMPDIR/page" || true)"
}

@test "what a log leaves out is told, and makes the counts the least there were" {
	native_only
	breaks 9
	sed -i '$s/"dropped":0/"dropped":2,"limited":5/' "$LOG"
	run -0 report "$LOG"
	[[ ${lines[0]} == 'at least 9 broken writes'* ]]
	[[ ${lines[1]} == "(9 lines read; 2 lost before they were written; 5 left out, too many a second; "* ]]
	rm "$LOG"
	breaks 9 PIPEGUARD_FORMAT=text
	printf '%8s%s\n' '' '2 lines before this one were lost' '' '5 lines before this one were left out: too many a second' >>"$LOG"
	equal "in text" '[2,5,true]' "$(report --json "$LOG" | jq -c '[.lost, .limited, .at_least]')"
}

@test "the line of a program that confined itself, which says little, is counted" {
	for line in '{"v":1,"t":null,"mono":null,"pid":7,"comm":"x","ev":"epipe","via":"call","call":"write","fd":3,"ret":-1,"repeated":1,"confined":true,"dropped":0}' \
		'pipeguard[7:? x] write(3, 1) = EPIPE  of a program that confined itself'; do
		run -0 report - <<<"$line"
		equal "what is said" '1 broken write in 1 program|(1 line read)' "${lines[0]}|${lines[1]}"
		[[ $output == *'x: write on an unknown object'*'SIGPIPE is not known (1)'* ]]
	done
}

@test "every line of a write that has no odd name is read the fast way" {
	native_only
	guarded PIPEGUARD_VERBOSE=2 PIPEGUARD_RULES='send:when=2+:delay=0us' "$PYTHON" -c "$script"
	equal "lines that are not" "" "$(PYTHONPATH=$ROOT/scripts/lib "$PYTHON" -B -c 'import json, sys, pglog
for line in open(sys.argv[1], "rb"):
    if json.loads(line)["ev"] in pglog.WRITES and not pglog._FAST.fullmatch(line): print(line.decode())' "$LOG")"
	[ "$(events 'select(.ev == "inject" or (.ev == "epipe" and .history != []))' | wc -l)" -gt 3 ]
}

@test "a line that is not exactly the library's is counted, and has no other effect" {
	native_only
	guarded "$PYTHON" -c "$script"
	good=$(grep -m 1 '"ev":"epipe"' "$LOG")
	[[ $good == *'"history":[{'* && $good == *'"stack":["'* ]]
	# One thing is wrong in each.
	while read -r change; do
		bad=$(sed -E "$change" <<<"$good")
		[[ $bad != "$good" ]]
		run -0 report - <<<"$good"$'\n'"$bad"
		echo "change: $change"
		equal "what is said" "1 broken write in 1 program|(2 lines read; 1 not the library's)" "${lines[0]%%, 20*}|${lines[1]}"
	done <<-'END'
		s/"repeated":1/"repeated":"abc"/
		s/"repeated":1/"repeated":-1/
		s/"repeated":1/"repeated":1e400/
		s/"repeated":1/"repeated":true/
		s/"repeated":1/"repeated":99999999999999999999/
		s/"stack":\[[^]]*\]/"stack":[1]/
		s/"stack":\[[^]]*\]/"stack":{}/
		s/"stack":\["/"stack":["\\u0000/
		s/"history":\[\{/"history":[1,{/
		s/"history":\[\{/"history":["x",{/
		s/"what":"reset"/"what":[]/
		s/"comm":"[^"]*"/"comm":[]/
		s/"comm":"[^"]*"/"comm":"\\ud800"/
		s/"comm":"[^"]*"/"comm":"\\u2028"/
		s/"comm":"/"comm":"\x1b/
		s/"dropped":0/"dropped":"x"/
		s/"mono":[0-9.]*/"mono":NaN/
		s/"mono":[0-9.]*/"mono":Infinity/
		s/"t":"2/"t":"x/
		s/"call":"send"/"call":"send:reset;write"/
		s/"again":"/"again":"$(x) /
		s/"ev":"epipe"/"ev":{}/
		s/"ev":"epipe"/"ev":null/
		s/"errno":"EPIPE"/"errno":32/
		s/.$//
		s/^.*$/[]/
		s/^.*$/{}/
		s/^.*$/pipeguard[1:1 x/
		s/^.*$/pipeguard[1:1 x] write(3, 1) = EPIPE, SIGPIPE kills   /
		s/^.*$/pipeguard[1:1 x] write(3, 1) = EPI/
		s/^.*$/pipeguard[1:1 x] hello/
	END
}

@test "deep, long and binary lines, damaged gzip: counted, and what is good around them is read" {
	native_only
	guarded "$PYTHON" -c "$script"
	"$PYTHON" -c 'import sys
out = sys.stdout.buffer
out.write(b"{\"ev\":" + b"[" * 99999 + b"]" * 99999 + b"}\n")
out.write(b"{\"ev\":" + b"[" * 30000 + b"]" * 30000 + b"}\n")
out.write(b"{\"ev\":\"epipe\",\"comm\":\"" + b"a" * 10000000 + b"\"}\n")
out.write(b"{\"ev\":\"epipe\",\"pid\":" + b"9" * 60000 + b"}\n")
out.write(b"\0" * 5000 + b"\n" + bytes(range(11, 256)) + b"\n")
out.write(b"pipeguard[1:1 x] write(3, 1) = EPIPE, SIGPIPE kills   " + b"tcp " * 20000 + b"\n")' >"$BATS_TEST_TMPDIR/noise"
	cat "$LOG" "$BATS_TEST_TMPDIR/noise" "$LOG" >"$BATS_TEST_TMPDIR/mixed"
	run -0 report "$BATS_TEST_TMPDIR/mixed"
	[[ ${lines[0]} == '6 broken writes in 1 program'* && ${lines[1]} == *"; 7 not the library's)" ]]
	# Cut off, and changed in the middle.
	"$PYTHON" -c 'import sys; sys.stdout.write(open(sys.argv[1]).read() * 2000)' "$LOG" | gzip >"$BATS_TEST_TMPDIR/log.gz"
	size=$(stat -c %s "$BATS_TEST_TMPDIR/log.gz")
	head -c $((size * 3 / 4)) "$BATS_TEST_TMPDIR/log.gz" >"$BATS_TEST_TMPDIR/cut.gz"
	cp "$BATS_TEST_TMPDIR/log.gz" "$BATS_TEST_TMPDIR/changed.gz"
	printf '\xff\x00\xff\x00\xff' | dd of="$BATS_TEST_TMPDIR/changed.gz" bs=1 seek=$((size * 3 / 4)) conv=notrunc 2>/dev/null
	for name in cut changed; do
		run -0 report "$BATS_TEST_TMPDIR/$name.gz"
		[[ ${lines[1]} == *" $BATS_TEST_TMPDIR/$name.gz is damaged and was read up to there)" ]]
		run -0 report --json "$BATS_TEST_TMPDIR/$name.gz"
		echo "$name: $(jq -c '[.events.epipe, .damaged]' <<<"$output")"
		jq -e '.events.epipe > 3000 and .events.epipe < 6000 and (.damaged | length) == 1' <<<"$output"
	done
	head -c 5 "$BATS_TEST_TMPDIR/log.gz" >"$BATS_TEST_TMPDIR/head.gz"
	run -0 report "$BATS_TEST_TMPDIR/head.gz"
	[[ ${lines[0]} == '0 broken writes'* && ${lines[1]} == *'head.gz is damaged'* ]]
}

@test "what is no file is named, and nothing waits for it; a shell's <(command) is read" {
	native_only
	cd "$BATS_TEST_TMPDIR"
	mkfifo fifo
	mkdir folder
	"$PYTHON" -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
	ln -s /dev/zero device
	for what in fifo:'a FIFO' folder:'a folder' socket:'a socket' device:'a device'; do
		run -125 report "${what%%:*}"
		equal "what is said" "pipeguard report: ${what%%:*}: it is ${what#*:}" "$output"
	done
	exec 8<>fifo # nor for one that somebody writes to
	run -125 report fifo 8<&-
	exec 8>&-
	guarded "$PYTHON" -c "$script"
	run -0 report <(cat "$LOG") /dev/null
	[[ ${lines[0]} == '3 broken writes'* ]]
	run -0 report /dev/stdin < <(sleep 0.2 && cat "$LOG")
	[[ ${lines[0]} == '3 broken writes'* ]]
	run -125 bash -c "timeout 20 '$PYTHON' '$ROOT/scripts/pipeguard-report' - <&-" 3>&-
	[[ $output == 'pipeguard report: -: it is closed' ]]
}

@test "a place beyond which code was made as it ran is one, wherever that lies in each process; in text, too" {
	native_only
	for _ in 1 2 3; do
		run guarded PIPEGUARD_FORMAT=text PIPEGUARD_STACK=32 "$FIXTURES/made" frame 2
		[[ $status -ne 77 ]] || skip "no code can be made here"
	done
	run -0 report "$LOG"
	[[ $output == *"       3  made: write on pipe"* ]]
}

# made_log PID: a broken write of that process, with frames of code that it made as it ran.
made_log() {
	guarded "$PYTHON" -c "$script"
	broken "select(.repeated == 1) | .pid = $1 | .stack = [\"p+0x9 a\", \"p+0x8 b\", \"p+0x7 c\", \"p+0x6 d\", \"p+0x5 e\", \"?+0x1005\", \"?+0x2000\", \"?+0x1fff\"]" >"$LOG.made"
}

@test "frames of code that a program made as it ran are named by its perf-PID.map" {
	native_only
	made_log 9999997 # a number that no process has
	local map=$BATS_TEST_TMPDIR/perf-9999997.map at
	printf '%s\n' '1000 100 JS:~gone old.js:1' '0x1000 0x10 JS:~put /a b.js:2' 'noise' '2000 1 evil'$'\e[2J' '1fff 0 none' >"$map"
	for at in "$map" "$BATS_TEST_TMPDIR"; do
		run -0 report --modules "$at" "$LOG.made"
		equal "frames" 'a (p+0x9)|b (p+0x8)|c (p+0x7)|d (p+0x6)|JS:~put /a b.js:2 (?+0x1005)|evil\x1b[2J (?+0x2000)' \
			"$(sed -n 's/^ *at //p' <<<"$output" | paste -sd'|')"
	done
	equal "in JSON" '"?+0x1005 JS:~put /a b.js:2"' "$(report --json --modules "$map" "$LOG.made" | jq '.sites[0].stack[5].frame')"
	run -0 report "$LOG.made"
	[[ $output != *JS:* ]]
	ln -s "$map" "$BATS_TEST_TMPDIR/link"
	mkdir "$BATS_TEST_TMPDIR/folder"
	ln -s "$map" "$BATS_TEST_TMPDIR/folder/perf-9999997.map"
	run -0 report --modules "$BATS_TEST_TMPDIR/folder" "$LOG.made"
	[[ $output != *JS:* ]]
	[[ $(id -u) = 0 ]] || return 0
	chown 1234 "$map"
	run -0 report --modules "$map" "$LOG.made"
	[[ $output != *JS:* ]] # anybody can put one into /tmp
}

@test "a function of JavaScript is named, where node writes its map" {
	native_only
	requires node
	run launch run --outside true
	[ "$status" -eq 0 ] || skip "nothing can be traced here: $output"
	cd "$BATS_TEST_TMPDIR" # node leaves another log where it is
	echo 'function writer() { require("fs").writeSync(1, "x"); } writer()' >"$BATS_TEST_TMPDIR/w.js"
	"$FIXTURES/sigdfl" "$FIXTURES/brokenfd" 1 timeout "$LIMIT" "$BUILD/pipeguard" run --outside -j --stack 32 -o "$LOG" -- \
		node --interpreted-frames-native-stack --perf-basic-prof "$BATS_TEST_TMPDIR/w.js" 2>/dev/null 3>&- || :
	local map
	map=/tmp/perf-$(broken .pid | head -1).map
	[ -e "$map" ] || skip "this node writes no map"
	mv "$map" "$BATS_TEST_TMPDIR"
	# Each V8 has its own word before the function's name: JS:~writer, InterpretedFunction:writer.
	local outside writer="at [A-Za-z]+:[~*^+]?writer $BATS_TEST_TMPDIR/w.js:1"
	run -0 report --modules "$BATS_TEST_TMPDIR" "$LOG"
	[[ $output =~ $writer ]]
	outside=$(broken '[.stack[-1], .site]') # as far as to _start
	rm "$LOG"
	run guarded -i PIPEGUARD_STACK=32 "$FIXTURES/brokenfd" 1 \
		node --interpreted-frames-native-stack --perf-basic-prof "$BATS_TEST_TMPDIR/w.js"
	equal "from inside" "$outside" "$(broken '[.stack[-1], .site]')"
	map=/tmp/perf-$(broken .pid | head -1).map
	mv "$map" "$BATS_TEST_TMPDIR"
	run -0 report --modules "$BATS_TEST_TMPDIR" "$LOG"
	[[ $output =~ $writer ]]
}

@test "a result takes the place of no log, and of no other result" {
	native_only
	guarded "$PYTHON" -c "$script"
	local before said
	before=$(cksum <"$LOG")
	ln -s "$LOG" "$BATS_TEST_TMPDIR/link"
	while read -r said; do
		# shellcheck disable=SC2086 # words
		run -125 timeout "$LIMIT" "$PYTHON" "$ROOT"/scripts/pipeguard-${said%%#*} 3>&-
		equal "$said" "${said##*#}" "$output"
	done <<-END
		report --html $BATS_TEST_TMPDIR/link $LOG#pipeguard report: $BATS_TEST_TMPDIR/link: it is read: a result would take its place
		bundle -o $LOG $LOG#pipeguard bundle: $LOG: it is read: a result would take its place
		report --junit $BATS_TEST_TMPDIR/x --sarif $BATS_TEST_TMPDIR/./x $LOG#pipeguard report: $BATS_TEST_TMPDIR/./x: two results cannot have one file
		sweep --junit x --html x -- true#pipeguard sweep: x: two results cannot have one file
	END
	equal "the log" "$before" "$(cksum <"$LOG")"
	run -0 report --junit /dev/null --sarif /dev/null "$LOG"
}

@test "what cannot be written is said in one line" {
	native_only
	guarded "$PYTHON" -c "$script"
	run -125 report --html "$BATS_TEST_TMPDIR/none/page" "$LOG"
	[[ ${lines[-1]} == "pipeguard report: $BATS_TEST_TMPDIR/none/page: No such file or directory" ]]
	run -125 bash -c "timeout 20 '$PYTHON' '$ROOT/scripts/pipeguard-report' '$LOG' >/dev/full" 3>&-
	equal "a full disk" 'pipeguard report: No space left on device' "$output"
	run -0 bash -c "timeout 20 '$PYTHON' '$ROOT/scripts/pipeguard-report' '$LOG' >&-" 3>&-
	equal "no standard output" '' "$output"
	name=$'\xc3\xa9t\xc3\xa9'
	cp "$FIXTURES/planted_fclose" "$BATS_TEST_TMPDIR/$name"
	rm "$LOG"
	guarded "$FIXTURES/brokenfd" 1 "$BATS_TEST_TMPDIR/$name"
	run -0 env PYTHONIOENCODING=ascii "$PYTHON" "$ROOT/scripts/pipeguard-report" "$LOG" 3>&-
	[[ $output == *'\xe9t\xe9: stdio'* ]]
	run -0 report "$LOG"
	[[ $output == *"$name: stdio"* ]]
}

@test "readers of a hundred damaged logs and states say no more than that: tests/fuzz/readers" {
	native_only
	run -0 timeout 55 "$PYTHON" "$ROOT/tests/fuzz/readers" --rounds 100 3>&-
	[ "$output" = '100 rounds' ]
}

@test "the page needs no network: no address in it is another place's" {
	native_only
	guarded "$PYTHON" -c "$script"
	report --html "$BATS_TEST_TMPDIR/page.html" "$LOG" >/dev/null
	grep -q '<svg' "$BATS_TEST_TMPDIR/page.html"
	grep -q 'prefers-color-scheme:dark' "$BATS_TEST_TMPDIR/page.html"
	run grep -cE '(src|href)=["'\'']?[^#"'\'' >]|url\(|@import|https?:' "$BATS_TEST_TMPDIR/page.html"
	equal "references" 0 "$output"
}

@test "source lines are named where debug information is there" {
	native_only
	requires addr2line
	guarded "$FIXTURES/brokenfd" 1 "$FIXTURES/planted_fclose"
	run -0 report --modules "$FIXTURES" "$LOG"
	[[ $output == *'at close_report (fixtures/planted_fclose.c:'* ]]
	run -0 report "$LOG"
	[[ $output != *'planted_fclose.c:'* ]]
}

@test "a name of C++ that stands for gigabytes stays as it is, and so does one that stands for pages" {
	native_only
	requires c++filt
	guarded "$FIXTURES/brokenfd" 1 "$FIXTURES/planted_fclose"
	"$PYTHON" - "$LOG" <<-'PY'
		import json, sys
		def name(levels): # each type is twice the one before
		    digits, said, last = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "_Z3putSt4pairIiiE", "S0_"
		    for n in range(levels):
		        said, last = said + "S_I" + last * 2 + "E", "S%s_" % digits[n + 1]
		    return said
		events = [json.loads(line) for line in open(sys.argv[1])]
		for e in events:
		    if e.get("stack"): e["stack"] = ["m+0x1 _Z3onev", "m+0x2 " + name(10), "m+0x3 " + name(25)]
		open(sys.argv[1], "w").writelines(json.dumps(e, separators=(",", ":")) + "\n" for e in events)
	PY
	ulimit -v 2000000
	LIMIT=50
	run -0 report "$LOG"
	[[ $output == *'at one() (m+0x1)'* && $output == *'at _Z3putSt4pairIiiES_IS0_S0_ES_'* ]]
	((${#output} < 4000))
}

@test "a hundred thousand lines and places are read in bounded memory" {
	native_only
	guarded "$PYTHON" -c "$script"
	grep '"ev":"epipe"' "$LOG" | head -1 >"$BATS_TEST_TMPDIR/line"
	awk '{ for (i = 0; i < 100000; i++) { l = $0; sub(/"site":"[0-9a-f]*"/, sprintf("\"site\":\"%016x\"", i), l)
		sub(/"peer":"[^"]*"/, sprintf("\"peer\":\"10.%d.%d.%d:80\"", i / 65536, i / 256 % 256, i % 256), l)
		sub(/T[0-9:]*/, sprintf("T%02d:%02d:%02d", i / 3600, i / 60 % 60, i % 60), l); print l } }' \
		"$BATS_TEST_TMPDIR/line" >"$BATS_TEST_TMPDIR/big"
	run -0 bash -c "ulimit -v 400000; timeout 50 '$PYTHON' '$ROOT/scripts/pipeguard-report' --top 2 --json '$BATS_TEST_TMPDIR/big'" 3>&-
	equal "broken writes" 100000 "$(jq .events.epipe <<<"$output")"
	equal "a site that holds the rest" '"(others)"' "$(jq '.sites[0].via' <<<"$output")"
	equal "the sum" 100000 "$(jq '[.peers[]] | add' <<<"$output")"
}

@test "a log that cannot be read, or no log, is said in one line; a reader that leaves is no trouble" {
	native_only
	run -125 report "$BATS_TEST_TMPDIR/none"
	[[ $output == "pipeguard report: $BATS_TEST_TMPDIR/none: No such file or directory" ]]
	: >"$BATS_TEST_TMPDIR/empty"
	run -0 report "$BATS_TEST_TMPDIR/empty"
	[[ $output == '0 broken writes'* ]]
	guarded "$PYTHON" -c "$script"
	run bash -c "'$FIXTURES/brokenfd' 1 timeout 20 '$PYTHON' '$ROOT/scripts/pipeguard-report' '$LOG'" 3>&-
	equal "what is said" "" "$output"
}

@test "the launcher finds it" {
	native_only
	guarded "$PYTHON" -c "$script"
	run -0 timeout "$LIMIT" "$BUILD/pipeguard" report "$LOG" 3>&-
	[[ ${lines[0]} == '3 broken writes'* ]]
	mkdir "$BATS_TEST_TMPDIR/bin"
	ln -s "$(command -v sed)" "$BATS_TEST_TMPDIR/bin/sed"
	PATH=$BATS_TEST_TMPDIR/bin run -125 "$BUILD/pipeguard" report "$LOG" 3>&-
	equal "without python3" 'pipeguard: report needs python3, which was not found' "$output"
}

@test "the manuals of report and sweep are well formed, and all are of Linux" {
	equal "pages whose foot has no system" '' "$(grep -L '^\.Os Linux$' "$ROOT"/scripts/*.1 "$ROOT"/shim/*.7)"
	requires mandoc
	for page in pipeguard-bundle.1 pipeguard-report.1 pipeguard-sweep.1; do
		equal "what mandoc says of $page" '' "$(mandoc -Tlint "$ROOT/scripts/$page" 2>/dev/null | grep -vE 'referenced manual not found|operating system explicitly')"
	done
}

# both LOG: the same report with the help of pipeguard --fold and without; prints it.
both() {
	run "$PYTHON" -B - "$ROOT" "$BUILD/pipeguard" "$@" 3>&- <<-'END'
		import importlib.machinery, importlib.util, json, os, sys
		root, command, *logs = sys.argv[1:]
		sys.path.insert(0, root + "/scripts/lib")
		import pgengine, pglog
		loader = importlib.machinery.SourceFileLoader("report", root + "/scripts/pipeguard-report")
		module = importlib.util.module_from_spec(importlib.util.spec_from_loader("report", loader))
		loader.exec_module(module)
		def told(large):
		    module.LARGE = large
		    pgengine.find_command = lambda library: command
		    report = module.Report()
		    for log in logs: report.read(log)
		    report.processes = dict(sorted(report.processes.items()))
		    out = open(os.devnull, "w")
		    text = []
		    class Out:
		        write = staticmethod(text.append)
		    module.print_json(report, module.Words(report, 50, []), Out)
		    value = json.loads("".join(text))
		    value["sites"].sort(key=lambda site: json.dumps(site, sort_keys=True))     # the order of equals is nobody's
		    return json.dumps(value, indent=1, sort_keys=True)
		fast, slow = told(0), told(1 << 60)
		if fast != slow:
		    import difflib
		    sys.exit("\n".join(list(difflib.unified_diff(slow.split("\n"), fast.split("\n"), "slow", "fast", lineterm="", n=1))[:60]))
		sys.stdout.write(fast)
	END
	[ "$status" -eq 0 ] || echo "$output"
	[ "$status" -eq 0 ]
}

@test "a large log is read with the help of pipeguard --fold, which changes nothing that is said" {
	native_only
	guarded PIPEGUARD_VERBOSE=2 PIPEGUARD_RULES='send:when=2+:delay=0us' "$PYTHON" -c "$script"
	breaks 300 PIPEGUARD_VERBOSE=1
	guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/call" -one 0 0 ign >/dev/null
	both "$LOG"
	[ "$(jq .lines <<<"$output")" -ge 30 ]
	jq -e '.events | .epipe >= 300 and .call > 0 and .inject > 0 and .exit > 0' <<<"$output"
	# Some of it is foreign, damaged, text, lost; a process number that comes again; an end without an end of line.
	{
		cat "$LOG"
		printf '\001K\t1\t1\n\001\n{"v":1\n\n  \n'
		sed 's/"dropped":0/"dropped":3/' "$LOG" | tail -n 5
		head -c 70000 /dev/zero | tr '\0' x
		echo
		head -c 2000000 /dev/zero | tr '\0' '{'
		echo
		sed 's/"pid":[0-9]*/"pid":7/; s/"comm":"[^"]*"/"comm":"a\\u00e4b"/' "$LOG"
		sed 's/"pid":[0-9]*/"pid":7/; s/"call":"send"/"call":null/; s/"ret":-1/"ret":-12345678901234567890/' "$LOG"
		printf 'a\0b\n'
		sed 's/"peer":"[^"]*"/"peer":null/; s/"t":"[^"]*"/"t":null/; s/$/  \r/' "$LOG"
		tac "$LOG"
		head -n 3 "$LOG"
	} >"$BATS_TEST_TMPDIR/mixed"
	head -c $(($(stat -c %s "$BATS_TEST_TMPDIR/mixed") - 1)) "$BATS_TEST_TMPDIR/mixed" >"$BATS_TEST_TMPDIR/cut"
	rm "$LOG"
	breaks 40 PIPEGUARD_FORMAT=text PIPEGUARD_VERBOSE=1
	cat "$LOG" "$BATS_TEST_TMPDIR/cut" "$LOG" >"$BATS_TEST_TMPDIR/all"
	both "$BATS_TEST_TMPDIR/all"
	[ "$(jq .foreign <<<"$output")" -gt 5 ]
}

# instructions N: those of reading so many lines, of fifty processes and two hundred places, in a row.
instructions() {
	awk -v n="$1" '{ for (i = 0; i < n; i++) { l = $0; sub(/"pid":[0-9]*/, "\"pid\":" 1000 + i % 50, l)
		sub(/T[0-9:]*/, sprintf("T%02d:%02d:%02d", i / 3600, i / 60 % 60, i % 60), l)
		sub(/"site":"[0-9a-f]*"/, sprintf("\"site\":\"%016x\"", i % 200), l); print l } }' "$BATS_TEST_TMPDIR/line" |
		valgrind --tool=callgrind --callgrind-out-file=/dev/null "$BUILD/pipeguard" --fold 2>&1 >/dev/null |
		awk '/Collected/ { print $NF }'
}

@test "a large log is read with fifteen instructions a byte at most, a million lines in seconds" {
	requires valgrind
	native_only
	grep -q '^gcc .* -O2 ' "$BUILD/flags" || skip "the limit is for gcc -O2"
	[[ $BITS = 64 ]] || skip "the limit is for 64-bit programs"
	guarded "$PYTHON" -c "$script"
	grep '"ev":"epipe"' "$LOG" | head -1 >"$BATS_TEST_TMPDIR/line"
	few=$(instructions 1000)
	each=$((($(instructions 5000) - few) / 4000)) length=$(wc -c <"$BATS_TEST_TMPDIR/line")
	echo "a line of $length bytes: $each instructions"
	((each > length && each < 15 * length))
}

@test "what pipeguard --fold takes for the library's is what Python does: each word of a line, changed" {
	native_only
	guarded PIPEGUARD_VERBOSE=2 PIPEGUARD_RULES='send:when=2+:delay=0us' "$PYTHON" -c "$script"
	"$PYTHON" -B - "$ROOT" "$LOG" "$BUILD/pipeguard" 3>&- <<-'END'
		import random, subprocess, sys
		sys.path.insert(0, sys.argv[1] + "/scripts/lib")
		import pglog
		lines = [line.rstrip(b"\n") for line in open(sys.argv[2], "rb")]
		lines = [line for line in lines if pglog._FAST.fullmatch(line) and b'"ev":"epipe"' in line or b'"ev":"inject"' in line]
		lines = lines[:1] + lines[-1:]
		assert len(lines) == 2
		chance, tried, odd = random.Random(1), [], b'"\\,:[]{}0aAfgz-.%_Z \t\x7f\x01\xff'
		for line in lines:
		    for at in range(len(line)):
		        tried.append(line[:at] + line[at + 1:])
		        tried.append(line[:at] + bytes([chance.choice(odd)]) + line[at + 1:])
		        tried.append(line[:at] + bytes([chance.choice(odd)]) + line[at:])
		tried = [line for line in tried if b"\n" not in line]
		fast = [line for line in tried if pglog._FAST.fullmatch(line)]
		said = subprocess.run([sys.argv[3], "--fold"], input=b"\n".join(tried) + b"\n", stdout=subprocess.PIPE).stdout.split(b"\n")
		passed = [line for line in said if line[:1] not in (b"\1", b"")]
		folded = len(tried) - len(passed)
		# Those that say that lines were lost go through.
		lost = [line for line in fast if pglog._FAST.fullmatch(line).groups()[-2] not in (b"0", None) or pglog._FAST.fullmatch(line).groups()[16] is None]
		wrong = set(passed) & set(fast) - set(lost)
		print(len(tried), len(fast), folded, len(lost))
		assert not wrong, sorted(wrong)[:3]
		assert folded == len(fast) - len(lost), (folded, len(fast), len(lost))
		assert 100 < folded < len(tried) / 2
	END
}

@test "on a terminal it is said how far a large log has been read" {
	native_only
	requires script
	run -0 "$PYTHON" -B - "$ROOT" <<-'END'
		import importlib.machinery, importlib.util, io, sys
		sys.path.insert(0, sys.argv[1] + "/scripts/lib")
		loader = importlib.machinery.SourceFileLoader("report", sys.argv[1] + "/scripts/pipeguard-report")
		module = importlib.util.module_from_spec(importlib.util.spec_from_loader("report", loader))
		loader.exec_module(module)
		module.BEGAN -= 10
		sys.stderr = io.StringIO()
		progress = module.Progress("/a/b\x1b.log")
		for part in (0, 0.1, 0.101, 0.5, 1, 1): progress.show(part)
		print(repr(sys.stderr.getvalue()))
	END
	[[ $output == *'\r\x1b[Kb\\x1b.log: 0 %\r\x1b[Kb\\x1b.log: 10 %\r\x1b[Kb\\x1b.log: 50 %\r\x1b[K'* ]]
}
