#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What sweep and report write for CI and for monitoring: JUnit's XML, SARIF, workflow commands, Prometheus' text.

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	native_only
	unset GITHUB_ACTIONS GITHUB_WORKSPACE CI_PROJECT_DIR
	cd "$BATS_TEST_TMPDIR" || return
	export TMPDIR=$BATS_TEST_TMPDIR
}

sweep() { timeout -k 5 50 "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" -q "$@" 3>&-; }
report() { timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-report" "$@" 3>&-; }

# fits SCHEMA FILE: does the JSON in FILE fit tests/schemas/SCHEMA?
fits() {
	requires_schema
	"$PYTHON" - "$ROOT/tests/schemas/$1" "$2" <<-'END'
		import json, sys
		import jsonschema
		schema, value = (json.load(open(name)) for name in sys.argv[1:])
		jsonschema.Draft7Validator.check_schema(schema)
		errors = [e.message[:300] for e in jsonschema.Draft7Validator(schema).iter_errors(value)]
		sys.exit("\n".join(errors) if errors else 0)
	END
}

# fits_junit FILE: its form, and its sums.
fits_junit() {
	requires xmllint
	xmllint --noout --schema "$ROOT/tests/schemas/junit.xsd" "$1"
	"$PYTHON" -c 'import sys, xml.etree.ElementTree as x
s = x.parse(sys.argv[1]).getroot()[0]
assert [int(s.get(n)) for n in ("tests", "failures", "skipped")] == [len(s.findall(p)) for p in ("testcase", "testcase/failure", "testcase/skipped")]' "$1"
}

@test "the schemas say no: to what is missing, too much, or of another type" {
	sweep --faults break --sarif s.json --junit j.xml -- "$FIXTURES/planted_fclose" >/dev/null
	fits sarif.json s.json
	for change in 'del(.runs[0].tool)' '.runs[0].results[0].level = "bad"' '.runs[0].x = 1' '.runs[0].results[0].locations[0].physicalLocation.region.startLine = 0'; do
		jq "$change" s.json >bad.json
		run fits sarif.json bad.json
		echo "change: $change"
		[ "$status" -eq 1 ]
	done
	sed 's/failures="1"/failures="x"/' j.xml >bad.xml
	run fits_junit bad.xml
	[ "$status" -ne 0 ]
}

@test "sweep: JUnit has a case for each run, SARIF a result for each finding, with its source line" {
	line=$(grep -n 'the bug' "$ROOT/tests/fixtures/planted_fclose.c" | cut -d: -f1)
	GITHUB_WORKSPACE=$ROOT run -0 sweep --faults break,error=EAGAIN,error=EIO --sarif s.json --junit j.xml -- "$FIXTURES/planted_fclose"
	fits sarif.json s.json
	fits_junit j.xml
	equal "cases" 'break silent' "$("$PYTHON" -c 'import sys, xml.etree.ElementTree as x
for c in x.parse("j.xml").getroot()[0].findall("testcase"):
    f = c.find("failure")
    print(c.get("name").split(":")[0], f.get("type") if f is not None else "passed")' | grep -v EIO)"
	equal "the place" "silent error tests/fixtures/planted_fclose.c:$line" \
		"$(jq -r '.runs[0].results[0] | "\(.ruleId) \(.level) \(.locations[0].physicalLocation | "\(.artifactLocation.uri):\(.region.startLine)")"' s.json)"
	equal "the rule" silent "$(jq -r '.runs[0] | .tool.driver.rules[.results[0].ruleIndex].id' s.json)"
	# Elsewhere than below the sources, a path is whole.
	run -0 sweep --faults break --sarif s.json -- "$FIXTURES/planted_fclose"
	[[ $(jq -r '.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri' s.json) == "file:///"*/planted_fclose.c ]]
}

@test "sweep: what is accepted is suppressed in SARIF and passes in JUnit; --fail-on says what fails" {
	sweep --faults break --write-accept known -- "$FIXTURES/planted_fclose" >/dev/null
	run -0 sweep --faults break --accept known --sarif s.json --junit j.xml -- "$FIXTURES/planted_fclose"
	fits sarif.json s.json
	fits_junit j.xml
	equal "suppressed" external "$(jq -r '.runs[0].results[0].suppressions[0].kind' s.json)"
	grep -q '<system-out>silent: .*(known)</system-out>' j.xml
	run -0 sweep --faults break --fail-on crashed --sarif s.json --junit j.xml -- "$FIXTURES/planted_fclose"
	equal "results" 0 "$(jq '.runs[0].results | length' s.json)"
	grep -q 'failures="0"' j.xml
	# The fingerprint is the same from build to build, and of one finding.
	sweep --faults break --sarif a.json -- "$FIXTURES/planted_fclose" >/dev/null
	sweep --faults break --sarif b.json -- "$FIXTURES/planted_fclose" >/dev/null
	prints() { jq -c '[.runs[0].results[].partialFingerprints]' "$1"; }
	equal "fingerprints" "$(prints a.json)" "$(prints b.json)"
}

@test "odd names do nothing in XML, JSON and workflow commands" {
	odd=$'a<b>&"\'::x\n%25'
	cp "$FIXTURES/planted_fclose" "./$odd"
	GITHUB_ACTIONS=true run -0 sweep --faults break --sarif s.json --junit j.xml -- "./$odd"
	fits sarif.json s.json
	fits_junit j.xml
	equal "commands" 1 "$(grep -c '^::' <<<"$output")"
	[[ $(grep '^::' <<<"$output") == '::error file='*'planted_fclose.c,line='*',title=broken pipe%3A silent::break: a<b>&"'\''::x\x0a%2525: '* ]]
}

@test "workflow commands come under GITHUB_ACTIONS alone, and never between JSON lines" {
	run -0 sweep --faults break -- "$FIXTURES/planted_fclose"
	[[ $output != *::error* ]]
	GITHUB_ACTIONS=true sweep --faults break --json -- "$FIXTURES/planted_fclose" >json 2>errors
	jq -e . json >/dev/null
	grep -q '^::error file=' errors
	guarded "$FIXTURES/call" -one 0 0 dfl || :
	GITHUB_ACTIONS=true run -0 report --modules "$FIXTURES" "$LOG"
	[[ ${lines[0]} == '::error file='*'call.c,line='*',title=broken pipe%3A fatal::call: '* ]]
}

@test "a finding is shown where the sources at hand are, and never in libc's start of a program" {
	mkdir -p work/src elsewhere
	printf '%s\n' '#include <unistd.h>' 'long put(int fd) { return write(fd, "x", 1) + 1; }' >elsewhere/lib.c
	printf '%s\n' '#include <unistd.h>' 'long put(int);' 'int main(void) { int p[2]; return pipe(p) || close(p[0]) || put(p[1]) > 5; }' >work/src/main.c
	gcc -g -O0 -o lined work/src/main.c elsewhere/lib.c
	gcc -O0 -o bare work/src/main.c elsewhere/lib.c
	guarded ./lined || :
	pushd work
	GITHUB_ACTIONS=true run -0 report --modules .. --sarif s.json --junit j.xml "$LOG"
	[[ ${lines[0]} == '::error file=src/main.c,line=3,'* ]]
	equal "SARIF" src/main.c "$(jq -r '.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri' s.json)"
	grep -q 'file="src/main.c" line="3"' j.xml
	popd
	GITHUB_ACTIONS=true GITHUB_WORKSPACE=/proc run -0 report --modules . "$LOG"
	[[ ${lines[0]} == '::error file='*'elsewhere/lib.c,line=2,'* ]]
	rm "$LOG"
	guarded ./bare || :
	GITHUB_ACTIONS=true run -0 report --modules . --sarif s.json "$LOG"
	[[ ${lines[0]} == '::error title='* ]]
	equal "without lines, the program" '[{"artifactLocation":{"uri":"bare"}}]' "$(jq -c '[.. | .physicalLocation? // empty]' s.json)"
	fits sarif.json s.json
}

@test "report: what is in a name is shown in SARIF's words, and is no link there" {
	local odd=$'[x](y)\n\e\xe2\x80\xae'
	cp "$FIXTURES/call" "./$odd"
	guarded "./$odd" -one 0 0 dfl || :
	run -0 report --sarif s.json "$LOG"
	fits sarif.json s.json
	[[ $(jq -r '.runs[0].results[0].message.text' s.json) == '[x] (y)\x0a\x1b\u202e: '* ]]
}

@test "report: JUnit and SARIF of the places that broke" {
	guarded "$FIXTURES/call" -one 0 0 dfl || :
	run -0 report --modules "$FIXTURES" --junit j.xml --sarif s.json "$LOG"
	fits sarif.json s.json
	fits_junit j.xml
	equal "the finding" 'fatal error' "$(jq -r '.runs[0].results[0] | "\(.ruleId) \(.level)"' s.json)"
	[[ $(jq -r '.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri' s.json) == *tests/fixtures/call.c ]]
	grep -q '<failure type="fatal" message="once, SIGPIPE killed the program (1)">' j.xml
}

# A client that is told of a reset and writes on, once and again.
told='import socket, struct
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); a.close()
try: c.recv(1)
except OSError: pass
try: c.send(b"x")
except OSError: pass'

@test "report --fail-on: what happened, and what did not" {
	guarded "$FIXTURES/call" -one 0 0 dfl || :
	for word in any fatal unhandled caught,fatal; do run -1 report --fail-on "$word" "$LOG"; done
	for word in ignored caught blocked none suppressed refused doomed lost; do run -0 report --fail-on "$word" "$LOG"; done
	rm "$LOG"
	guarded PIPEGUARD_VERBOSE=1 "$PYTHON" -c "$told"
	for word in any unhandled ignored; do run -1 report --fail-on "$word" "$LOG"; done
	for word in fatal caught; do run -0 report --fail-on "$word" "$LOG"; done
	# Once, untold, and no more: it was handled.
	rm "$LOG"
	guarded "$PYTHON" -c 'import os
r, w = os.pipe(); os.close(r)
try: os.write(w, b"x")
except OSError: pass'
	run -1 report --fail-on any "$LOG"
	run -0 report --fail-on unhandled,fatal "$LOG"
	run -125 report --fail-on unhandld "$LOG"
	[[ $output == "pipeguard report: argument --fail-on: no such word: 'unhandld' (any unhandled fatal "* ]]
}

@test "report: a file that has no line of the library's is named, with status 125; an empty one is fine" {
	run -125 report /etc/passwd
	equal "what is said" "pipeguard report: /etc/passwd: no line of it is the library's" "$output"
	run -125 report - <<<'{"ev":"epipe"'
	run -0 report /dev/null
	guarded "$PYTHON" -c "$told"
	run -0 report "$LOG" /etc/passwd
	[[ ${lines[1]} == *"no line of /etc/passwd is the library's)" ]]
}

@test "report --prometheus: counts, in a file that is whole at any time" {
	guarded "$PYTHON" -c "$told"
	cp "$FIXTURES/numbers" "od\"d\\"
	guarded "$FIXTURES/brokenfd" 1 "./od\"d\\" 10 || :
	run -0 report --prometheus metrics "$LOG"
	grep -qxF 'pipeguard_broken_writes_total{program="python3",signal="ignored"} 1' metrics
	grep -qxF 'pipeguard_broken_writes_total{program="od\"d\\",signal="fatal"} 1' metrics
	grep -qxF 'pipeguard_events_total{event="epipe"} 2' metrics
	grep -qx 'pipeguard_lost_lines_total 0' metrics
	equal "lines that are neither help, nor type, nor a sample" "" "$(grep -vE '^# (HELP|TYPE) pipeguard_[a-z_]+ |^pipeguard_[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? [0-9]+$' metrics)"
	equal "files" metrics "$(ls metrics*)"
	run -125 report --prometheus none/metrics "$LOG"
	[[ $output == 'pipeguard report: none/metrics: No such file or directory' ]]
}

said() { grep -q "$1" said; }

@test "report --follow: what comes is told, in a new file of a pattern, too, until it is stopped" {
	breaks() { guarded "$PYTHON" -c "$told"; }
	breaks
	timeout 50 "$PYTHON" "$ROOT/scripts/pipeguard-report" --follow --prometheus metrics "$BATS_TEST_TMPDIR/lo*" >said 2>&1 3>&- &
	pid=$!
	wait_for said 'epipe 1'
	breaks
	wait_for said 'epipe 2'
	grep -q 'ignored"} 2' metrics
	LOG=$BATS_TEST_TMPDIR/lo.other breaks
	wait_for said 'epipe 3'
	kill -TERM "$pid"
	kill -INT "$(pgrep -P "$pid")" 2>/dev/null || :
	wait "$pid" || :
	# At the end stands the report as it always is.
	grep -q '^3 broken writes in 1 program' said
}

@test "report --follow: a log that is replaced or cut off begins anew; a pipe ends it" {
	guarded "$PYTHON" -c "$told"
	cp "$LOG" first
	cp first log2
	timeout 50 "$PYTHON" "$ROOT/scripts/pipeguard-report" --follow log2 >said 2>&1 3>&- &
	pid=$!
	wait_for said 'epipe 1'
	mv log2 log2.1 && cp first log2
	wait_for said 'epipe 2'
	kill -TERM "$(pgrep -P "$pid")"
	wait "$pid" || :
	run -1 bash -c "cat '$BATS_TEST_TMPDIR/first' | timeout 20 '$PYTHON' '$ROOT/scripts/pipeguard-report' --follow --fail-on any -" 3>&-
	[[ $output == *'epipe 1'*'1 broken write in 1 program'* ]]
}

@test "report --follow: a log that is renamed within the pattern is not read twice; what is no log is said once, and is no end" {
	guarded "$PYTHON" -c "$told"
	mkdir d
	cp "$LOG" d/b.log
	mkdir d/a.log
	mkfifo d/fifo.log
	timeout 50 "$PYTHON" "$ROOT/scripts/pipeguard-report" --follow 'd/*' >said 2>&1 3>&- &
	pid=$!
	wait_for said 'epipe 1'
	cat "$LOG" >>d/b.log
	wait_for said 'epipe 2'
	mv d/b.log d/a.1 # what was read by the other name, and what comes yet
	cat "$LOG" >>d/a.1
	wait_for said 'epipe 3'
	cp "$LOG" d/b.log
	wait_for said 'epipe 4'
	cat "$LOG" >>d/a.1
	wait_for said 'epipe 5'
	rm d/fifo.log
	cp "$LOG" d/fifo.log
	wait_for said 'epipe 6'
	kill -TERM "$(pgrep -P "$pid")"
	wait "$pid" || :
	grep -q '^6 broken writes in 1 program' said
	equal "what is none" $'pipeguard report: d/a.log: it is a folder\npipeguard report: d/fifo.log: it is a FIFO' "$(grep pipeguard said)"
	# Asked for by its name it is refused.
	mkfifo fifo
	run -125 report --follow fifo </dev/null
	equal "refused" 'pipeguard report: fifo: it is a FIFO' "$output"
}

@test "report --follow ends when who reads it has gone, though nothing new comes" {
	native_only
	guarded "$FIXTURES/brokenfd" 1 "$FIXTURES/numbers" 3 || :
	run bash -c "timeout 20 '$PYTHON' '$ROOT/scripts/pipeguard-report' --follow '$LOG' | head -1; exit \${PIPESTATUS[0]}" 3>&-
	[ "$status" -eq 141 ]
	[ "${#lines[@]}" -eq 1 ]
}

@test "report --follow on a terminal is one screen, redrawn, and not wider" {
	requires script
	guarded "$PYTHON" -c "$told"
	run -0 timeout 40 script -qec "stty cols 50 rows 12; cat '$LOG' | '$PYTHON' '$ROOT/scripts/pipeguard-report' --follow -" /dev/null </dev/null 3>&-
	[[ $output == *$'\e[2J'*$'\e[H'*'1 broken write in 1 program'*$'\e[J'* ]]
	tr -d '\r' <<<"$output" | sed 's/\x1b\[[0-9]*[A-Z]//g' | awk 'length($0) > 50 { exit 1 }'
}
