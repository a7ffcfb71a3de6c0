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
# from it, "asked" what the program pipeguard was asked for.
counted() {
	cat >counted.py <<-'END'
		import os, runpy, sys
		sys.path.insert(0, sys.argv[1] + "/lib")
		import pgengine, pgsites
		def put(name, what):
		    with open(name, "a") as f:
		        f.write("%s\n" % what)
		open_lines, events_of, ask = pgsites.open_lines, pgsites.events_of, pgengine.Engine._ask
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
		pgsites.open_lines, pgsites.events_of, pgengine.Engine._ask = counting_lines, counting_events, counting_ask
		program = sys.argv[1] + "/pipeguard-sweep"
		sys.argv[:2] = [program]
		runpy.run_path(program, run_name="__main__")
	END
	rm -f lines kept asked
	timeout -k 5 100 "$PYTHON" -B counted.py "$ROOT/scripts" --library "$LIB" "$@" 3>&-
}

sweep() { timeout -k 5 50 "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" "$@" 3>&-; }

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
}

@test "of a program that goes on, no more is read than tells what came of the fault" {
	many 250
	run -0 counted -q --max-runs 20 --faults short,break+suppress -- ./many250
	[[ ${lines[-1]} = 'clean 20' ]]
	[ "$(most lines 3)" -ge 230 ] # it wrote on, and that was logged
	echo "events of a run, at most: $(most kept 3)"
	[ "$(most kept 3)" -le 20 ]
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
