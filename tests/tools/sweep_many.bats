#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154 # run sets stderr
# pipeguard sweep of programs with many sites: what a run costs does not grow with them, nor what a site takes on the page.

load ../helpers

PYTHON=/usr/bin/python3

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

# many N: the program manyN, which writes from N places, once each, and goes on where one fails; SIGPIPE default.
many() {
	[ ! -e "many$1" ] || return 0
	{
		printf '%s\n' '#include <unistd.h>' 'static int bad;'
		seq -f '__attribute__((noinline)) static void f%.0f(void) { bad |= write(1, "line\n", 5) != 5; }' "$1"
		echo 'int main(void) {'
		seq -f 'f%.0f();' "$1"
		echo 'return bad; }'
	} >"many$1.c"
	"${CC:-gcc}" -O1 -o "many$1" "many$1.c"
}

# counted OPTION...: a sweep; "lines" has how many lines each log had that was read, "kept" how many events were taken
# from it, "asked" what the program pipeguard was asked for, "scanned" how often all processes were looked through.
counted() {
	cat >counted.py <<-'END'
		import os, runpy, sys
		sys.path.insert(0, sys.argv[1] + "/lib")
		import pgengine, pgrun, pgsites
		def put(name, what):
		    with open(name, "a") as f:
		        f.write("%s\n" % what)
		open_lines, events_of, ask = pgsites.open_lines, pgsites.events_of, pgengine.Engine._ask
		descendants = pgrun.descendants
		def counting_lines(path):
		    text = open_lines(path)
		    put("lines", text.count(b"\n"))
		    return text
		def counting_events(text):
		    events = events_of(text)
		    put("kept", len(events))
		    return events
		def counting_ask(self, words):
		    put("asked", words[0])
		    return ask(self, words)
		def counting_scans():
		    put("scanned", "once")
		    return descendants()
		pgrun.descendants = counting_scans
		pgsites.open_lines, pgsites.events_of, pgengine.Engine._ask = counting_lines, counting_events, counting_ask
		program = sys.argv[1] + "/pipeguard-sweep"
		sys.argv[:2] = [program]
		runpy.run_path(program, run_name="__main__")
	END
	rm -f lines kept asked scanned
	timeout -k 5 100 "$PYTHON" -B counted.py "$ROOT/scripts" --library "$LIB" "$@" 3>&-
}

sweep() { timeout -k 5 50 "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" "$@" 3>&-; }

# whole_and_some OPTION...: a sweep whose runs log everything behind the fault, as those of --pairs do, and one as
# ever say the same: "said_of_some" has a line of JSON for each run.
whole_and_some() {
	cat >whole.py <<-'END'
		import os, runpy, sys
		sys.path.insert(0, sys.argv[1] + "/lib")
		import pgengine
		endings = pgengine.Engine.endings
		pgengine.Engine.endings = lambda self, path, awaits=False: endings(self, path, False)
		program = sys.argv[1] + "/pipeguard-sweep"
		sys.argv[:2] = [program]
		runpy.run_path(program, run_name="__main__")
	END
	timeout -k 5 100 "$PYTHON" -B whole.py "$ROOT/scripts" --library "$LIB" -q --json "$@" >all 3>&-
	sweep -q --json "$@" >some
	local of
	for of in all some; do
		jq -c 'select(.type == "run") | del(.seconds, .evidence.pid)' $of >said_of_$of
	done
	equal "what both say" "$(<said_of_all)" "$(<said_of_some)"
}

# most FILE FROM: the greatest of FILE's lines from that number on.
most() { tail -n "+$2" "$1" | sort -n | tail -n 1; }

@test "a run logs nothing of the places before its fault, and asks nothing that is the same in each" {
	many 250
	run -0 counted -q --faults break -- ./many250
	equal "the end" 'killed 250' "${lines[-1]}"
	equal "logs" 252 "$(wc -l <lines)"
	[ "$(head -n 2 lines | sort -n | head -n 1)" -ge 250 ] # the two without a fault
	echo "lines of a run, at most: $(most lines 3)"
	[ "$(most lines 3)" -le 12 ]
	equal "asked for a file of endings" 1 "$(grep -c '^run$' asked)"
	[ ! -e scanned ] # nothing was left of any run: the kernel says so at once
}

@test "of a program that goes on, no more is logged and read than tells what came of the fault" {
	local n
	for n in 250 500; do
		many $n
		run -0 counted -q --max-runs 20 --faults short -- ./many$n
		[[ ${lines[-1]} = 'clean 20' ]]
		echo "short, $n sites: lines of a run, at most $(most lines 3), events $(most kept 3)"
		[ "$(most lines 3)" -le 20 ]
		[ "$(most kept 3)" -ge 12 ] # ten calls that may have written the rest
		run -0 counted -q --max-runs 20 --faults break+suppress -- ./many$n
		[[ ${lines[-1]} = 'clean 20' ]]
		echo "break+suppress, $n sites: lines of a run, at most $(most lines 3), events $(most kept 3)"
		[ "$(most lines 3)" -le 110 ]
		[ "$(most kept 3)" -ge 102 ] # a hundred that broke
	done
}

@test "what is left out of a log is what the sweep would not read" {
	"${CC:-gcc}" -O1 -o goes -x c - <<-'END'
		#include <sys/wait.h>
		#include <unistd.h>
		static char big[70000];
		static void again(size_t n, int times)
		{
			for (int i = 0; i < times; i++)
				if (write(1, big, n) < 0)
					i = i;
		}
		int main(void)
		{
			again(20, 1);
			again(10, 40);
			again(30, 15);
			if (!fork()) {
				again(25, 30);
				_exit(0);
			}
			wait(0);
			again(20, 12);
			for (int i = 0; i < 130; i++)
				again(5, 1);
			return 0;
		}
	END
	whole_and_some --faults break,break+suppress,short,error=EAGAIN,error=EIO,drop -- ./goes
	[ "$(wc -l <said_of_some)" -ge 20 ]
}

@test "a line that did not reach the log is not counted as one that told something" {
	"${CC:-gcc}" -O1 -o limits -x c - <<-'END'
		#include <sys/resource.h>
		#include <unistd.h>
		static const char text[64];
		static void may_write_files(int yes)
		{
			struct rlimit limit;
			getrlimit(RLIMIT_FSIZE, &limit);
			limit.rlim_cur = yes ? limit.rlim_max : 0;
			setrlimit(RLIMIT_FSIZE, &limit);
		}
		int main(void)
		{
			ssize_t n = write(1, text, 20);
			may_write_files(0);
			for (int i = 0; i < 12; i++)
				if (write(1, text, 19) < 0)
					return 1;
			may_write_files(1);
			if (n == 1)
				n += write(1, text, 19);
			return n != 20;
		}
	END
	whole_and_some --faults short -- ./limits
	equal "it wrote the rest" '["recovered","it wrote the rest"]' \
		"$(jq -c 'select(.fault == "short") | [.verdict, .evidence.again]' said_of_some | head -n 1)"
}

@test "where the fault of another process is the first in the logs, all is logged in this one" {
	"${CC:-gcc}" -O1 -o holds -x c - <<-'END'
		#include <signal.h>
		#include <stdio.h>
		#include <sys/mman.h>
		#include <sys/wait.h>
		#include <unistd.h>
		static char state_of(int pid)
		{
			char path[40], state = 0;
			snprintf(path, sizeof path, "/proc/%d/stat", pid);
			FILE *f = fopen(path, "r");
			if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
				state = 0;
			if (f)
				fclose(f);
			return state;
		}
		int main(void)
		{
			int a[2], b[2], times = 6, first = getpid();
			volatile int *begun = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
			signal(SIGPIPE, SIG_IGN);
			if (pipe(a) || pipe(b))
				return 2;
			close(b[0]);
			int fd = a[1], child = !fork();
			if (child) { // its own fault comes while that of its parent is held
				while (!*begun)
					usleep(1000);
				for (int i = 0; i < 400 && state_of(first) != 'S'; i++)
					usleep(1000);
				fd = b[1];
				times = 1;
			}
			*begun = 1;
			for (int i = 0; i < times; i++)
				if (write(fd, "twenty bytes of text", i ? 10 : 20) < 0)
					continue;
			return child ? 0 : wait(0) < 0;
		}
	END
	whole_and_some --wake-ups --faults hold=1s:error=EPIPE -- ./holds
	equal "what came of the first" '["recovered",2,"on another pipe"]' \
		"$(jq -c '[.verdict, .evidence.fired, .evidence.again]' said_of_some)"
}

# system_calls N FIELD...: how many system calls a run of manyN makes under a rule for its last place, with only these
# fields of the sweep's.
system_calls() {
	local n=$1
	many "$n"
	sweep -q --max-runs 0 --faults break --out "plan$n" -- "./many$n" >/dev/null
	rm -f "ring$*"
	"$PYTHON" -B - "$ROOT/scripts/lib" "$LIB" "plan$n/sweep.json" "ring$*" "${@:2}" >rule <<-'END'
		import json, sys
		sys.path.insert(0, sys.argv[1])
		import pgengine, pgsites
		engine = pgengine.Engine(sys.argv[2], "inside")
		assert engine.endings(sys.argv[4], awaits=True)
		rule = pgsites.run_rule_of(json.load(open(sys.argv[3]))["sites"][-1], "break")
		print(":".join(f for f in rule.split(":") if f.split("=")[0] in ["write", "break"] + sys.argv[5:]))
	END
	PIPEGUARD_FORMAT=json PIPEGUARD_VERBOSE=2 PIPEGUARD_RULES=$(<rule) PIPEGUARD_LOG=log$n PIPEGUARD_ENDINGS="$PWD/ring$*" \
		timeout 60 strace -o trace -E LD_PRELOAD="$LIB" "./many$n" </dev/null | cat >written
	equal "written before the fault" $((n - 1)) "$(wc -l <written)"
	grep -c '^[a-z]' trace
}

@test "a call before the fault costs the kernel a word that is looked at, and itself" {
	requires strace
	strace -o trace true 2>/dev/null || skip "nothing can be traced here"
	local few many
	few=$(system_calls 100 kind comm caller site when)
	many=$(system_calls 200 kind comm caller site when)
	echo "calls of the kernel for 100 more writes: $((many - few))"
	[ $((many - few)) -le 230 ]
	# Where the loader puts the stack, its frames are in one page or in two, and each page is asked for: four calls at the most.
	few=$(for _ in 1 2 3 4; do system_calls 100 site when; done | sort -n | tail -n 1)
	many=$(system_calls 200 site when)
	echo "with the whole stack looked at: $((many - few))"
	[ $((many - few)) -le 430 ]
}

@test "an output that comes line by line costs little more than the same at once" {
	"$PYTHON" -B - "$ROOT/scripts/lib" <<-'END'
		import cProfile, pstats, sys
		sys.path.insert(0, sys.argv[1])
		import pgrun
		lines = [b"line %d of 0x%x\r\n\n" % (i % 7, i) for i in range(5000)]
		def taken(pieces):
		    output = pgrun.Output()
		    for piece in pieces:
		        output.add(piece)
		    return output.result()
		profile = cProfile.Profile()
		one_by_one = profile.runcall(taken, lines)
		calls = pstats.Stats(profile).total_calls
		assert one_by_one == taken([b"".join(lines)])
		assert calls < 5 * len(lines), calls
	END
}

@test "what is compared of an output does not hang on the pieces in which it came" {
	"$PYTHON" -B - "$ROOT/scripts/lib" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		import pgrun
		def taken(text, size):
		    output = pgrun.Output()
		    for at in range(0, len(text), size):
		        output.add(text[at:at + size])
		    return output.result()
		keep = pgrun.KEEP
		for length in (keep - 1, keep, keep + 1, 2 * keep, 2 * keep + 1, 5 * keep + 9):
		    for end in (b"", b"\n", b"\r\n", b"\nmore\n"):
		        text = b"first\n" + (b"7 apples, 1.2 pears, " * (length // 20 + 1))[:length] + end
		        whole = taken(text, len(text))
		        for size in (keep // 3, keep // 2 + 1, keep, keep + 1):
		            assert taken(text, size) == whole, (length, end, size)
	END
}

@test "with a rule that fired in another process of the tree, calls are logged in this one" {
	"$PYTHON" -B - "$ROOT/scripts/lib" "$LIB" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		import pgengine
		engine = pgengine.Engine(sys.argv[2], "inside")
		assert engine.endings("ring", awaits=True) == "ring"
		assert engine.endings("plain") == "plain"
	END
	calls() { # calls RING RULES: how many calls were logged, by program
		rm -f "$LOG"
		guarded -d PIPEGUARD_VERBOSE=2 PIPEGUARD_ENDINGS="$PWD/$1" PIPEGUARD_RULES="$2" bash -c \
			'/bin/echo one; /bin/echo two; sed s/a/b/ <<<a; printf "%s\n" 3; /bin/echo four' >out
		events 'select(.ev == "call" and .fd == 1) | .comm' | sort | uniq -c | sed 's/^ *//'
	}
	local all=$'1 "bash"\n3 "echo"\n1 "sed"'
	equal "without such a file" "$all" "$(calls plain 'write:comm=sed:when=9:error=EIO')"
	equal "none fires" '' "$(calls ring 'write:comm=sed:when=9:error=EIO')"
	equal "one fires in sed" $'1 "bash"\n1 "echo"\n1 "sed"' "$(calls ring '%out:comm=sed:when=1:delay=1us')"
	equal "from then on" "$all" "$(calls ring 'write:comm=sed:when=9:error=EIO')"
}

# made_up N FOLDER: FOLDER gets the results of a sweep with N sites and three faults that was never made.
made_up() {
	"$PYTHON" -B - "$1" "$2" <<-'END'
		import json, os, sys
		n, folder = int(sys.argv[1]), sys.argv[2]
		plan = json.load(open("one/sweep.json"))
		run = json.loads(open("one/runs.jsonl").readline())
		site = plan["sites"][0]
		os.mkdir(folder)
		plan["sites"] = [dict(site, hash="%016x" % (i + 1), stack=["many1+0x%06x f%d" % (i * 16, i), "many1+0x8 main"],
		                      key="many1|write|call|pipe|%016x" % (i + 1)) for i in range(n)]
		with open(folder + "/runs.jsonl", "w") as f:
		    for i, s in enumerate(plan["sites"]):
		        for fault in ("break", "break+suppress", "short"):
		            verdict = "silent" if i % 7 == 0 and fault == "short" else "hung" if i % 100 == 50 else "killed" if fault == "break" else "clean"
		            f.write(json.dumps(dict(run, id="%s %s 1" % (s["key"], fault), site=s["key"], fault=fault, verdict=verdict, stderr="many1: Broken pipe\n",
		                                    evidence=dict(run["evidence"], stack=s["stack"]))) + "\n")
		json.dump(plan, open(folder + "/sweep.json", "w"))
		json.dump({"shard": [1, 1]}, open(folder + "/share.json", "w"))
	END
}

# calls_of OPTION...: how many functions a sweep calls, in Python.
calls_of() {
	"$PYTHON" -B - "$ROOT/scripts/pipeguard-sweep" --library "$LIB" "$@" 3>&- <<-'END'
		import cProfile, pstats, runpy, sys
		sys.argv = sys.argv[1:]
		profile = cProfile.Profile()
		out, sys.stdout = sys.stdout, open("/dev/null", "w")
		try:
		    profile.runcall(runpy.run_path, sys.argv[0], run_name="__main__")
		except SystemExit as e:
		    assert not e.code, e.code
		print(pstats.Stats(profile, stream=out).total_calls, file=out)
	END
}

@test "the page of 2,000 sites: what each takes is the same, the worst stand first, and what is many is folded" {
	many 1
	sweep -q --faults break --out one -- ./many1 >/dev/null
	local n
	local -A size calls accepting
	for n in 250 500; do
		made_up $n m$n
		sweep -q --merge m$n --write-accept known$n >/dev/null
		calls[$n]=$(calls_of -q --merge m$n --html page.html)
		accepting[$n]=$(($(calls_of -q --merge m$n --html page.html --accept known$n) - calls[$n]))
		size[$n]=$(stat -c %s page.html)
		echo "$n sites: ${size[$n]} bytes, ${calls[$n]} calls of functions, ${accepting[$n]} more with --accept"
	done
	[ "${size[500]}" -lt $((size[250] * 205 / 100)) ]
	[ "${calls[500]}" -lt $((calls[250] * 205 / 100)) ]
	[ "${accepting[500]}" -lt 10000 ] # of 500 lines and 500 findings
	[ "$(wc -l <known500)" -ge 500 ]
	made_up 2000 m2000
	sweep -q --merge m2000 --html page2000.html >/dev/null
	[ "$(stat -c %s page2000.html)" -lt 6000000 ]
	local page=page2000.html
	# The sums, the sites with the worst, all others in a fold; then the runs, by verdict.
	words() { sed 's/<[^>]*>/ /g; s/  */ /g; s/^ *//; s/ *$//'; }
	equal "the sums" '2000 sites 6000 runs 286 silent 57 hung 1980 killed 3677 clean' "$(grep -m 1 'class=tiles' $page | words)"
	equal "folds" $'1,900 more sites\nsilent 286 runs\nkilled 1,980 runs\nclean 3,677 runs' "$(grep -o '<details class=fold><summary>.*</summary>' $page |
		sed 's/<table.*//; s/<details id.*//' | words)"
	equal "the first rows" silent "$(grep -A 100 '<tbody>' $page | grep '^<tr>' | head -n 100 |
		sed -E "s/.*data-h='short'>.*class='v ([a-z]*)'.*/\1/" | sort -u)"
	equal "what is open at first" 0 "$(grep -c '<details[^>]* open' $page)"
}
