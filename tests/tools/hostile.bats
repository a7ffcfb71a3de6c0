#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells expand; each test is a subshell
# What programs under test, users and their machines do to the tools: one sentence each, and nothing is left behind.

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	native_only
	OUT=$BATS_TEST_TMPDIR/out
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir -p "$TMPDIR"
	cd "$BATS_TEST_TMPDIR" || return
}

# Nothing is left, whatever the test was about.
teardown() { equal "temporary files left" "" "$(ls -A "$TMPDIR")"; }

sweep() { timeout -k 5 "${SWEEP_LIMIT:-40}" "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" "$@" 3>&-; }

@test "sweep: folders deeper than a path can be, and closed ones, go away with the run" {
	deep='import os
for i in range(3000):
    os.mkdir("d"); os.chdir("d")
open("f", "w").close(); os.chmod("..", 0)
os.chdir(os.environ["SWEEP_DIR"]); os.mkdir(".gone1"); open(".gone1/f", "w").close(); os.mkdir("../.gone2"); os.mkfifo("../.gone2/.gone3")
os.write(1, b"done\n")'
	run -0 --separate-stderr sweep -q --scratch --faults short -- "$PYTHON" -c "$deep"
	equal "errors" "" "$stderr"
	[[ ${lines[-1]} =~ ^(recovered|silent)\ 1$ ]]
}

@test "no traceback: closed and full outputs, a parent that ignores SIGCHLD, ^C while it starts" {
	unusual='import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])'
	run -0 sweep -q --faults break --timeout 20 -- sh -c 'echo hi'
	good=$(sed 1d <<<"$output")
	run -0 timeout -k 5 40 "$PYTHON" -c "$unusual" "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" -q --faults break \
		--timeout 20 -- sh -c 'echo hi' 3>&-
	equal "without SIGCHLD" "$good" "$(sed 1d <<<"$output")"
	run -0 sh -c 'exec "$@" <&- 2>&-' - timeout -k 5 40 "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" --faults break -- sh -c 'echo hi'
	equal "closed" "$good" "$(sed 1d <<<"$output")"
	run -125 sh -c 'exec "$@" 2>/dev/full' - timeout -k 5 40 "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" --faults break -- sh -c 'echo hi'
	for tool in sweep report bundle replay; do
		run -125 sh -c 'exec "$@" >/dev/full' - timeout -k 5 40 "$PYTHON" "$ROOT/scripts/pipeguard-$tool" --help
		equal "$tool" "pipeguard $tool: No space left on device" "$output"
		# ^C before main, which is when the first of our modules is loaded.
		mkdir -p "$tool/lib"
		cp "$ROOT/scripts/pipeguard-$tool" "$tool"
		echo 'import os, signal; os.kill(os.getpid(), signal.SIGINT); raise SystemExit(99)' | tee "$tool/lib/pgabout.py" >"$tool/lib/pgargs.py"
		# (A shell that runs us in the background may have set SIGINT to be ignored.)
		run -130 bash -c '"$@"; exit' - env --default-signal=INT "$PYTHON" "$tool/pipeguard-$tool" x
		equal "interrupted $tool" "" "$output"
	done
}

@test "a fault of our own is told in one line, with status 125" {
	mkdir -p lib
	cp "$ROOT"/scripts/lib/*.py lib
	cp "$ROOT/scripts/pipeguard-report" .
	printf '\ndef junit(*_):\n    raise RecursionError("here")\n' >>lib/pgci.py
	printf '{"v":1}\n' >log
	echo '{"v":1,"t":"2026-01-01T00:00:00.000000Z","mono":1.0,"pid":1,"tid":1,"comm":"x","ev":"epipe"}' >log
	run -125 "$PYTHON" pipeguard-report --junit x.xml log
	[[ $output =~ ^'pipeguard report: a fault of its own: RecursionError: here (pgci.py:'[0-9]+\)$ ]]
}

@test "files that cannot be written: told before the first run, by name; results are on standard output all the same" {
	mkdir -p folder
	for option in html junit sarif write-accept; do
		for path in /nonexistent/x /proc/x folder; do
			run -125 sweep "--$option" "$path" --setup 'echo run >>'"$PWD/ran" -- sh -c 'echo hi'
			[[ $output =~ ^"pipeguard sweep: $path: "(No such file or directory|Is a directory)$ ]]
		done
	done
	[ ! -e ran ]
	for option in html junit sarif prometheus; do
		run -125 timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-report" "--$option" folder /dev/null
		equal "report --$option" "pipeguard report: folder: Is a directory" "$output"
	done
	ln -s real.html link.html
	: >real.html
	run -125 --separate-stderr sweep -q --faults break --html link.html --junit /dev/full -- sh -c 'echo hi'
	equal "told" "pipeguard sweep: /dev/full: No space left on device" "$stderr"
	equal "results" "killed 1" "${lines[-1]}"
	[ -L link.html ] && grep -q '</html>' real.html
	equal "nothing beside" "" "$(find . -name '*.new')"
}

# A server on one port for all its runs, which takes its time. (In perl: a Python of today runs a place that it has been at
# before by other code, which is a site of its own.)
one_port() {
	requires perl
	cat >server.pl <<-'END'
		use IO::Socket::INET;
		$SIG{PIPE} = "IGNORE";
		my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 16, ReuseAddr => 1) or die;
		while (my $c = $s->accept) {
		    select undef, undef, undef, 0.3;
		    syswrite $c, "hello\n";
		    close $c;
		}
	END
	cat >client.py <<-'END'
		import socket, sys
		c = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		answer = c.recv(9)
		print(answer)
		sys.exit(not answer)
	END
}

@test "sweep: one port for all runs: they come one by one, and who has it already is no server of ours" {
	one_port
	port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	serve=(--client "'$PYTHON' client.py $port" --ready "$port" --out "$OUT" --faults 'break,reset' -- perl server.pl "$port")
	run -0 --separate-stderr sweep --jobs 4 "${serve[@]}"
	[[ $stderr == *'one by one (--jobs 1)'* && $output != *'not reached'* && $output != *silent* ]]
	equal "runs" "recovered 2" "${lines[-1]}"
	perl server.pl "$port" 3>&- &
	pid=$!
	wait_for grep -qi ":$(printf %04X "$port") [0-9:]* 0A" /proc/net/tcp
	run -125 sweep -q --fresh "${serve[@]}"
	kill "$pid"
	equal "taken" "pipeguard sweep: somebody listens on port $port before the server is started (--ready)" "$output"
}

@test "sweep: scripts without a first line of their own are the shell's" {
	echo 'echo hi' >script
	: >empty
	chmod +x script empty
	run -0 --separate-stderr sweep -q --faults break -- ./script a
	[[ $output == *': write on standard output (pipe)'*'killed 1' ]]
	run -125 sweep -q -- ./empty
	[[ $output == *'there is nothing to break' ]]
}

@test "sweep: a run that removes the folder of its logs, or fills the disk, is told as such" {
	run -125 sweep -q -- sh -c 'echo a; rm -r "${SWEEP_DIR%/*}"'
	[[ $output =~ ^'pipeguard sweep: its folder for logs, '[^\ ]*'/logs, was removed in the run'$ ]]
	mkdir small
	unshare -m true 2>/dev/null || skip "it takes root, and mounts"
	run -125 unshare -m sh -c 'mount -t tmpfs -o size=300k none small || exit 99
		TMPDIR=$PWD/small; export TMPDIR; exec "$@"' - "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" -q \
		--setup 'head -c 1M /dev/zero >f; true' -- sh -c 'echo hi' 3>&-
	[[ $output == "pipeguard sweep: no space is left for logs in $PWD/small (TMPDIR)" ]]
}

@test "sweep: one sweep in a folder at a time; --merge only reads, and makes nothing" {
	sweep -q --out "$OUT" --faults break -- sh -c 'echo hi' >/dev/null
	flock "$OUT" sleep 30 3>&- &
	pid=$!
	wait_for eval '! flock -n "$OUT" true'
	run -125 sweep -q --out "$OUT" --faults break -- sh -c 'echo hi'
	equal "two" "pipeguard sweep: $OUT: another sweep works there" "$output"
	cp "$OUT/runs.jsonl" whole
	printf '{"half' >>"$OUT/runs.jsonl"
	run -0 sweep -q --merge "$OUT"
	equal "merged" "killed 1" "${lines[-1]}"
	kill "$(pgrep -P "$pid" sleep)"
	equal "still half" '{"half' "$(tail -c 6 "$OUT/runs.jsonl")"
	run -125 sweep --merge "$OUT" none
	equal "none" "pipeguard sweep: none: there is no sweep" "$output"
	[ ! -e none ]
	echo '{' >"$OUT/sweep.json"
	run -125 sweep --merge "$OUT"
	equal "no advice that does not help" "pipeguard sweep: $OUT/sweep.json is damaged" "$output"
}

@test "replay: a case with words that no program can be given is damaged; one without its input says so" {
	cat >case.py <<-'END'
		import io, json, sys, tarfile
		case = {"v": 1, "break": dict.fromkeys(("program", "comm", "call", "via", "kind", "fd", "errno", "signal", "site",
		    "again", "engine"), None), "command": ["/bin/echo", "hi"], "rules": ["write:kind=pipe:break"], "environment": {},
		    "left_out": [], "build_ids": {}, "stdin": False, "about": {}}
		case["break"].update(stack=[], names=[])
		case.update(json.loads(sys.argv[1]))
		data = json.dumps(case).encode()
		with tarfile.open("case.tgz", "w:gz") as tar:
		    entry = tarfile.TarInfo("case.json")
		    entry.size = len(data)
		    tar.addfile(entry, io.BytesIO(data))
	END
	for wrong in '"command":["a\u0000b"]' '"environment":{"A=B":"x"}' '"environment":{"":"x"}' '"environment":{"A":"\u0000"}' \
		'"environment":{"\u0000":"x"}' '"environment":{"\ud800":"x"}' '"seed":"\u0000"' '"suppress":"\u0000"' '"rules":["\u0000"]' \
		'"client":"\u0000"' '"client":"x","ready":"\u0000"'; do
		"$PYTHON" case.py "{$wrong}"
		run -125 timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-replay" --library "$LIB" case.tgz
		equal "$wrong" "pipeguard replay: case.tgz: its case.json is damaged, or of another version" "$output"
	done
	"$PYTHON" case.py '{"stdin":true}'
	run -125 timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-replay" --library "$LIB" case.tgz
	equal "no input" "pipeguard replay: case.tgz: what standard input had is not in it, or is more than 268435456 bytes" "$output"
	"$PYTHON" case.py '{"client":"true","ready":"²"}'
	run -1 timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-replay" --library "$LIB" case.tgz
	equal "a command, and no port" "differs: no write broke; it ended with status 0" "$output"
}

@test "bundle replaces no device; report takes a line without an end as fast as any" {
	echo '{"v":1,"t":"2026-01-01T00:00:00.000000Z","mono":1.0,"pid":1,"tid":1,"comm":"x","ev":"epipe","call":"write","again":"write:break","stack":[]}' >log
	mkfifo fifo
	run -125 timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-bundle" -o fifo log
	equal "bundle" "pipeguard bundle: fifo: it is no file" "$output"
	[ -p fifo ]
	head -c 100M /dev/zero >zeros
	run -125 timeout 30 "$PYTHON" "$ROOT/scripts/pipeguard-report" zeros
	equal "report" "pipeguard report: zeros: no line of it is the library's" "$output"
}
