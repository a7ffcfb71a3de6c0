#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2030,SC2031 # filters expand; each test is a subshell
# pipeguard report: what logs say taken together.

load helpers

PYTHON=/usr/bin/python3

report() { timeout "$LIMIT" env LC_ALL=C.UTF-8 "$PYTHON" "$ROOT/scripts/pipeguard-report" "$@" 3>&-; }

# A client that is told of a reset and writes on, three times; its log in the format that is asked for.
setup() {
	script='import socket, struct, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); a.close()
try: c.recv(1)
except OSError: pass
for i in range(3):
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

@test "the rules that it suggests break the same program there" {
	native_only
	guarded "$PYTHON" -c "$script"
	report --json "$LOG" | jq -r '.sites[0].rules[].rule' >"$BATS_TEST_TMPDIR/rules"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/rules")" -ge 3 ]
	while read -r rule; do
		rm -f "$LOG"
		guarded PIPEGUARD_RULES="$rule" "$PYTHON" -c "$script" || [ $? -eq 134 ]
		echo "rule: $rule"
		[ "$(events 'select(.ev == "inject") | .rule' | head -1)" = '"r1"' ]
	done <"$BATS_TEST_TMPDIR/rules"
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
	[[ ${lines[1]} == *'the last line of 1 process, with what was not told, is not here)' ]]
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
	run -0 timeout "$LIMIT" "$ROOT/scripts/pipeguard" report "$LOG" 3>&-
	[[ ${lines[0]} == '3 broken writes'* ]]
	mkdir "$BATS_TEST_TMPDIR/bin"
	ln -s "$(command -v sed)" "$BATS_TEST_TMPDIR/bin/sed"
	PATH=$BATS_TEST_TMPDIR/bin run -125 "$ROOT/scripts/pipeguard" report "$LOG" 3>&-
	equal "without python3" 'pipeguard: report needs python3, which was not found' "$output"
}

@test "the manuals of report and sweep are well formed" {
	requires mandoc
	for page in pipeguard-report.1 pipeguard-sweep.1; do
		equal "what mandoc says of $page" '' "$(mandoc -Tlint "$ROOT/scripts/$page" 2>/dev/null | grep -v 'referenced manual not found')"
	done
}
