#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# Rules that change while programs run: the page, and ctl.

# shellcheck disable=SC2317 # functions that wait_for is given

load ../helpers
if [[ ${LOAD-} = full ]]; then
	export BATS_TEST_TIMEOUT=300
	LIMIT=200
fi

setup_file() {
	install_launcher
}

setup() {
	PAGE=$BATS_TEST_TMPDIR/page STARTED=
}

# Only what a test started, and by its number.
teardown() {
	touch "$BATS_TEST_TMPDIR/file.end"
	rm -f "/dev/shm/pipeguard-test.$$"
	[[ -z $STARTED ]] || wait "$STARTED" || :
}

ctl() {
	timeout "$LIMIT" "$PIPEGUARD" ctl "$PAGE" "$@" 3>&-
}

# start PROCESSES THREADS [OPTION...]: paged under the page, in the background, its lines in $OUT; until all write.
start() {
	local processes=$1 threads=$2
	shift 2
	OUT=$BATS_TEST_TMPDIR/out
	launch run --control "$PAGE" -o "$LOG" -j "$@" -- "$FIXTURES/paged" "$processes" "$threads" "$BATS_TEST_TMPDIR/file" >"$OUT" &
	STARTED=$!
	wait_for test -e "$BATS_TEST_TMPDIR/file"
}

# inject RULE: the lines of what it did.
inject() {
	grep '"ev":"inject".*"rule":"'"$1"'"' "$LOG"
}

# finish: it ends, with status 0.
finish() {
	touch "$BATS_TEST_TMPDIR/file.end"
	wait "$STARTED"
	STARTED=
}

# sum COLUMN: of all processes' lines.
sum() {
	awk -v column="$1" '{ n += $column } END { print n + 0 }' "$OUT"
}

@test "a rule comes, counts, is switched off and on, and goes, while the program runs" {
	native_only
	start 1 1
	run -0 ctl show
	[ "$output" = '# on, change 0' ]
	ctl rules 'io=write:fd=9:when=3:error=EIO'
	run -0 ctl fired io --wait 5s
	[ "$output" = 1 ]
	ctl off
	ctl add 'quota=write:fd=9:limit=2:error=EDQUOT'
	run -1 ctl fired quota
	[ "$output" = 0 ]
	ctl on
	run -0 ctl --wait=5s fired quota
	run -0 ctl show
	[[ ${lines[1]} == 'io=write:fd=9:when=3:error=EIO # fired 1 times' ]]
	ctl clear
	run -0 ctl show
	[ "${#lines[@]}" -eq 1 ]
	finish
	[ "$(sum 3)" -eq 1 ]
	[[ "$(sum 4)" == [12] ]]
	[ "$(sum 5)" -eq 0 ]
	equal rules '"io"' "$(events 'select(.ev == "inject") | .rule' | head -1)"
}

@test "what show prints can be given to rules again, and a rule that stays goes on counting" {
	native_only
	start 1 1
	ctl rules 'first=write:fd=9:when=1:error=EIO; last=write:fd=9:when=100000000:error=EIO'
	run -0 ctl fired first --wait 5s
	ctl show >"$BATS_TEST_TMPDIR/rules"
	ctl rules 'other=write:fd=3:error=EIO; first=write:fd=9:when=1:error=EIO'
	ctl rules "@$BATS_TEST_TMPDIR/rules"
	ctl add 'seen=write:fd=9:when=5:error=EDQUOT'
	run -0 ctl fired seen --wait 5s
	run -0 ctl fired first
	[ "$output" = 1 ] # had it begun anew it would have fired once more
	finish
	[ "$(sum 3)" -eq 1 ]
}

@test "every process and thread sees a change with its next call, and none sees half of it" {
	native_only
	start 4 4
	ctl rules 'io=write:fd=9:error=EIO'
	run -0 ctl fired io --wait 5s
	for _ in {1..100}; do # one of both always fails the write
		ctl rules 'quota=write:fd=9:error=EDQUOT'
		ctl rules 'io=write:fd=9:error=EIO; more=write:fd=3:error=EDQUOT'
	done
	ctl rules 'io=write:fd=9:error=EIO'
	finish
	cat "$OUT"
	[ "$(wc -l <"$OUT")" -eq 4 ]
	[ "$(sum 2)" -eq 0 ] # after the first failure no write went well
	[ "$(sum 3)" -gt 0 ]
	[ "$(sum 4)" -gt 0 ]
	[ "$(sum 5)" -eq 0 ]
}

@test "no count is lost: what ctl tells is what the programs saw" {
	native_only
	start 4 2
	ctl rules 'io=write:fd=9:when=1+2:error=EIO'
	for n in {1..50}; do
		ctl add "x$n=write:fd=3:error=EIO"
		ctl rules 'io=write:fd=9:when=1+2:error=EIO'
	done
	finish
	run -0 ctl fired io
	[ "$output" -eq "$(sum 3)" ]
}

@test "wrong rules are refused with their column, and change nothing" {
	native_only
	start 1 1 -r 'io=write:fd=9:when=1:error=EIO'
	run -125 ctl rules 'write:fd=9:resett'
	[[ $output == *"column 12: unknown action 'resett' (did you mean 'reset'?)" ]]
	run -125 ctl add 'a=write:fd=9:eror=EIO'
	[[ $output == *'column 14: unknown '*"(did you mean 'error'?)" ]]
	run -125 ctl rules 'write:fd=9:error=EIO'$'\n''write:fd=9:resett'
	[[ $output == *'ctl: line 2, rule 2, column 12: '* ]]
	run -125 ctl add 'io=write:fd=9:error=EIO'
	[[ $output == *"ctl: rule 1, column 1: an id that is given twice: 'io'" ]]
	run -125 ctl rules ''
	run -125 ctl add
	run -125 ctl clear now
	run -125 ctl clera
	[[ $output == *"(did you mean 'clear'?)" ]]
	run -125 ctl fired oi
	[[ $output == *"there is no rule 'oi'"* ]]
	run -125 ctl fired io --wait 5
	run -125 ctl show --wait 5s
	run -0 ctl show
	[[ ${lines[0]} == '# on, change 1' && ${lines[1]} == 'io='* ]]
	finish
}

@test "PIPEGUARD_CONTROL alone makes the page, and it begins with PIPEGUARD_RULES" {
	native_only
	touch "$BATS_TEST_TMPDIR/file.end"
	run -0 guarded PIPEGUARD_CONTROL="$PAGE" PIPEGUARD_RULES='io=write:fd=9:when=1:error=EIO' "$FIXTURES/paged" 1 1 "$BATS_TEST_TMPDIR/file"
	run -0 ctl show
	[ "${lines[1]}" = 'io=write:fd=9:when=1:error=EIO # fired 0 times' ]
	[ "$(stat -c %a "$PAGE")" = 600 ]
	ctl clear
	run -0 guarded PIPEGUARD_CONTROL="$PAGE" PIPEGUARD_RULES='write:fd=1:error=EIO' "$FIXTURES/paged" 1 1 "$BATS_TEST_TMPDIR/file"
	[ "$output" = '0 0 0 0 0' ] # the page has said something since
}

@test "what a process of the same number left as it was killed while it made the page is not in the way" {
	native_only
	# shellcheck disable=SC2016 # for the inner shell
	run -0 guarded sh -c ': >"$1.new.$$"; PIPEGUARD_CONTROL=$1 exec /bin/echo main' - "$PAGE"
	[ "$output" = main ]
	[ -e "$PAGE" ]
}

@test "a file that is no page, another's, a link or open to others is refused before main" {
	native_only
	local run=(guarded PIPEGUARD_CONTROL="$PAGE" /bin/echo main)
	echo text >"$PAGE"
	run -125 "${run[@]}"
	[ "$output" = "pipeguard: PIPEGUARD_CONTROL: column 1: is no page, or another version's: '$PAGE'" ]
	rm "$PAGE"
	run -0 "${run[@]}"
	mv "$PAGE" "$PAGE.real"
	ln -s "$PAGE.real" "$PAGE"
	run -125 "${run[@]}"
	[[ $output == *"is a link: '"* ]]
	rm "$PAGE"
	mkfifo "$PAGE"
	run -125 "${run[@]}"
	[[ $output == *'not a regular file'* ]]
	mv "$PAGE.real" "$PAGE"
	chmod 666 "$PAGE"
	run -125 "${run[@]}"
	[[ $output == *'may be written by others'* ]]
	chmod 600 "$PAGE"
	if [[ $(id -u) = 0 ]]; then
		chown 1234 "$PAGE"
		run -125 "${run[@]}"
		[[ $output == *"is another user's"* ]]
	fi
	run -125 guarded PIPEGUARD_CONTROL=page /bin/echo main
	[[ $output == *'not an absolute path'* ]]
	run -125 guarded PIPEGUARD_CONTROL="$PAGE/none" /bin/echo main
	run -125 guarded PIPEGUARD_CONTROL="$PAGE.none/page" /bin/echo main
	[[ $output == *"cannot be made, there is no such folder: '$PAGE.none/page'" ]]
	run -125 timeout "$LIMIT" "$PIPEGUARD" ctl "$BATS_TEST_TMPDIR/none" show
	[[ $output == *'there is no such page'*'run --control'* ]]
}

# per_call COMMAND...: what 2000 writes of the driver add to a count that COMMAND N prints.
per_call() {
	echo $(($("$@" 3000) - $("$@" 1000)))
}

# The run of $1 writes with the variable $WITH, its instructions or its system calls.
instructions() {
	env LD_PRELOAD="$LIB" "$WITH" timeout 60 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$BUILD/bench/bench" -q -n "$1" write 2>&1 3>&- | sed -n 's/.*Collected : //p'
}
system_calls() {
	timeout 60 strace -o "$BATS_TEST_TMPDIR/trace" -E LD_PRELOAD="$LIB" -E "$WITH" "$BUILD/bench/bench" -q -n "$1" write 3>&-
	wc -l <"$BATS_TEST_TMPDIR/trace"
}

@test "a program with a page and no rule costs no instruction and no system call more" {
	native_only
	requires valgrind strace
	make -s -C "$ROOT" BUILD="${BUILD#"$ROOT"/}" bench-programs 3>&-
	local count without
	for count in instructions system_calls; do
		[[ $count = instructions ]] || strace -o "$BATS_TEST_TMPDIR/trace" true 2>/dev/null || skip "nothing can be traced here"
		without=$(WITH=FOO=1 per_call "$count")
		echo "$count of 2000 writes without a page: $without"
		[ "$without" -ge 2000 ]
		equal "$count with a page" "$without" "$(WITH=PIPEGUARD_CONTROL=$PAGE per_call "$count")"
	done
	ctl rules 'write:fd=1:error=EIO'
	ctl clear
	equal "instructions after a rule has gone" "$(WITH=FOO=1 per_call instructions)" "$(WITH=PIPEGUARD_CONTROL=$PAGE per_call instructions)"
}

# noise N: the page is overwritten N times with random bytes, all but what says that it is one.
noise() {
	python3 - "$PAGE" "$1" <<-'PY'
		import os, random, sys
		r, path = random.Random(7), sys.argv[1]
		fd, size = os.open(path, os.O_RDWR), os.stat(path).st_size
		magic = 2 * size if b'pipeguard page' not in (d := open(path, 'rb').read()) else d.index(b'pipeguard page')
		for _ in range(int(sys.argv[2])):
		    at = r.choice([0, 8, 16, magic + 32, r.randrange(size), r.randrange(magic + 32, size)])
		    n = r.choice([1, 4, 8, 64, 4096])
		    n = min(n, (magic if at < magic else size) - at)
		    if magic <= at < magic + 32: continue
		    os.pwrite(fd, r.randbytes(n), at)
	PY
}

@test "a page that is cut off, while they run: the programs go on without rules" {
	native_only
	start 4 2 -r 'io=write:fd=9:when=5:error=EIO'
	run -0 ctl fired io --wait 5s
	: >"$PAGE"
	run -125 ctl show
	local size
	size=$(stat -c %s "$BATS_TEST_TMPDIR/file")
	grows() { (($(stat -c %s "$BATS_TEST_TMPDIR/file") > size + 1000)); }
	wait_for grows
	finish
	[ "$(wc -l <"$OUT")" -eq 4 ]
	[ "$(sum 2)" -gt 0 ]
}

# outside_only: skips where no static program can be guarded from outside.
outside_only() {
	native_only
	[[ -e $FIXTURES/static/paged ]] || skip "no static fixture"
	run timeout "$LIMIT" "$PIPEGUARD" run --outside -o off -r 'write:fd=9:delay=1ms' -- \
		"$FIXTURES/static/paged" 0 0 "$BATS_TEST_TMPDIR/tried" 3>&-
	[ "$status" -eq 0 ] || skip "nothing can be traced here: $output"
}

@test "the same from outside" {
	outside_only
	FIXTURES=$FIXTURES/static start 2 2 --outside -r 'io=write:fd=9:when=5:error=EIO'
	run -0 ctl fired io --wait 5s
	: >"$PAGE"
	local size
	size=$(stat -c %s "$BATS_TEST_TMPDIR/file")
	grows() { (($(stat -c %s "$BATS_TEST_TMPDIR/file") > size + 200)); }
	wait_for grows
	finish
	[ "$(sum 2)" -gt 0 ]
	[ "$(sum 5)" -eq 0 ]
}

@test "from outside, a rule that comes may ask who called: by function, stack or site" {
	outside_only
	FIXTURES=$FIXTURES/static start 2 2 --outside
	ctl rules 'no=write:fd=9:caller=nobody:error=EACCES; io=write:fd=9:caller=work:when=3:error=EIO'
	run -0 ctl fired io --wait 5s
	ctl rules 'not=write:fd=9:caller=!work:error=EACCES; quota=write:fd=9:stack=*:when=5:error=EDQUOT'
	run -0 ctl fired quota --wait 5s
	run -1 ctl fired not
	local site
	wait_for inject quota
	site=$(inject quota | sed -n 's/.*"site":"\([0-9a-f]*\)".*/\1/p' | head -1)
	ctl rules "no=write:fd=9:site=0000000000000001:error=EACCES; io=write:fd=9:site=$site:when=7:error=EIO"
	run -0 ctl fired io --wait 5s
	ctl clear
	finish
	cat "$OUT"
	(($(sum 3) >= 2 && $(sum 4) >= 1))
	equal "what failed otherwise" 0 "$(sum 5)"
	equal "the stacks" true "$(events 'select(.ev == "inject") | .stack[0] | test(" work$")' | sort -u)"
}

@test "a SIGBUS of the program's own, and one that is sent, do what they did" {
	native_only
	run -135 guarded -d PIPEGUARD_CONTROL="$PAGE" python3 -c 'import os; os.kill(os.getpid(), 7)'
	run -135 guarded -d PIPEGUARD_CONTROL="$PAGE" python3 -c 'if True:
		import mmap, os, tempfile
		f = tempfile.TemporaryFile()
		f.truncate(4096)
		m = mmap.mmap(f.fileno(), 4096)
		f.truncate(0)
		m[0]'
	run -0 guarded -d PIPEGUARD_CONTROL="$PAGE" python3 -c 'import signal; print(signal.getsignal(signal.SIGBUS) == signal.SIG_DFL)'
	[ "$output" = True ]
}

@test "noise in the page while 8 processes run: no crash, no rule that nobody wrote; then it serves again" {
	native_only
	start 8 2 -r 'io=write:fd=9:error=EIO'
	noise 3000
	ctl rules 'quota=write:fd=9:error=EDQUOT'
	run -0 ctl fired quota --wait 5s
	ctl clear
	finish
	[ "$(wc -l <"$OUT")" -eq 8 ]
	[ "$(sum 5)" -eq 0 ]
}

# change FOLDER: rules that change as fast as ctl is started, until there is a file FOLDER/stop; io stays. Prints how often.
change() {
	local n=0
	while [[ ! -e $1/stop ]]; do
		"$PIPEGUARD" ctl "$PAGE" rules "io=write:fd=9:when=1+2:error=EIO; x$n=write:fd=3:error=EDQUOT" >&2 || return
		n=$((n + 1))
	done
	echo "$n"
}

@test "changes without a pause, by several at once, while 4 processes run: no torn rule, no lost count; on the disk of the build, too" {
	native_only
	local folder for=2 n changes=0
	[[ ${LOAD-} != full ]] || for=60
	for folder in "$BATS_TEST_TMPDIR/here" "$BUILD/page.$$"; do
		mkdir "$folder"
		PAGE=$folder/page
		start 4 2 -r 'io=write:fd=9:when=1+2:error=EIO'
		for n in 1 2 3; do
			change "$folder" >"$folder/$n" 2>"$folder/$n.errors" 3>&- &
		done
		for ((n = 0; n < for; n++)); do
			timeout 1 tail -f /dev/null || : # a second each
		done
		touch "$folder/stop"
		for n in 1 2 3; do
			wait_for test -s "$folder/$n"
			changes=$((changes + $(<"$folder/$n")))
		done
		finish
		run -0 ctl fired io
		equal "errors of ctl" "" "$(cat "$folder"/*.errors)"
		rm -r "$folder" "$BATS_TEST_TMPDIR/file" "$BATS_TEST_TMPDIR/file.end"
		equal "what failed otherwise" "0 0" "$(sum 4) $(sum 5)"
		equal "the count" "$(sum 3)" "$output"
	done
	echo "$changes changes"
	((changes > 100))
}

# lines SECONDS: as many lines for ctl, 500 a second, which keep io; then what fired.
lines() {
	python3 -c 'if True:
		import sys, time
		begun = time.monotonic()
		for n in range(500 * int(sys.argv[1])):
		    late = begun + n / 500 - time.monotonic()
		    if late > 0.01: time.sleep(late)
		    print(f"rules io=write:fd=9:when=1+2:error=EIO; x{n}=write:fd=3:error=EDQUOT", flush=True)' "$1"
}

@test "1,000 changes a second, by two at once, while 8 processes write: no torn rule, no lost count (LOAD=full: for a minute)" {
	native_only
	requires python3
	local for=3 began=$SECONDS writers=()
	[[ ${LOAD-} != full ]] || for=60
	start 8 2 -r 'io=write:fd=9:when=1+2:error=EIO'
	for _ in 1 2; do
		lines "$for" 3>&- | "$PIPEGUARD" ctl "$PAGE" - 3>&- &
		writers+=($!)
	done
	wait "${writers[0]}"
	wait "${writers[1]}"
	echo "$((1000 * for)) changes in some $((SECONDS - began)) seconds"
	finish
	run -0 ctl show
	[ "${lines[0]}" = "# on, change $((1000 * for + 1))" ]
	[[ ${lines[1]} == 'io='* ]]
	equal "the count" "$(sum 3)" "$(ctl fired io)"
	equal "processes, and what failed otherwise" "8 0 0" "$(wc -l <"$OUT") $(sum 4) $(sum 5)"
	[ "$(sum 3)" -gt 0 ]
}

@test "ctl NAME -: each line of standard input is done and answered; the first that is wrong is named, and ends it" {
	native_only
	start 1 1
	run -0 ctl - <<-'LINES'
		# what a suite may write
		rules io=write:fd=9:when=3:error=EIO

		fired io --wait 5s
		  add  quota=write:fd=9:when=1000000000:error=EDQUOT
		off
		show
		on
	LINES
	equal output $'1\n# off, change 3\nio=write:fd=9:when=3:error=EIO # fired 1 times\nquota=write:fd=9:when=1000000000:error=EDQUOT # fired 0 times' "$output"
	run -1 ctl - <<<$'fired quota\nadd more=write:fd=8:error=EIO\nfired io' # goes on, and says so at the end
	equal output $'0\n1' "$output"
	run -125 ctl - <<<$'clear\n\nadd write:fd=9:resett\nrules x=write:fd=9:error=EIO'
	equal output "pipeguard: standard input, line 3: ctl: rule 1, column 16: unknown action 'resett' (did you mean 'reset'?)" "$output"
	local wrong
	for wrong in clera clear\ now rules fired 'show --wait 5s' 'rules @/none' - "rules $(printf %020000d 0)"; do
		run -125 ctl - <<<$'\n'"$wrong"
		[[ $output == 'pipeguard: standard input, line 2: '* ]]
	done
	run -125 ctl - < <(printf 'clear\0now')
	[[ $output == *'line 1: ctl: holds a NUL byte' ]]
	run -125 ctl - now
	run -125 ctl - --wait 5s
	echo 'of=write:fd=7:error=EIO' >"$BATS_TEST_TMPDIR/rules"
	run -0 ctl - < <(printf 'rules @%s' "$BATS_TEST_TMPDIR/rules")
	run -0 ctl show
	[[ ${lines[1]} == 'of='* && ${#lines[@]} -eq 2 ]]
	finish
}

@test "a writer that is killed at any moment leaves rules that are whole" {
	native_only
	start 2 2 -r 'io=write:fd=9:error=EIO'
	run -0 ctl fired io --wait 5s
	local n pid
	for n in {1..30}; do
		"$PIPEGUARD" ctl "$PAGE" rules "io=write:fd=9:error=EIO; q$n=write:fd=3:error=EDQUOT" 3>&- &
		pid=$!
		python3 -c "import time; time.sleep($n * 0.0001)"
		kill -KILL "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
		run -0 ctl show
		[[ ${lines[1]} == 'io='* ]]
	done
	finish
	[ "$(sum 2)" -eq 0 ]
	[ "$(sum 4)" -eq 0 ]
}

@test "a disk that is full is told, and leaves nothing" {
	native_only
	[[ $(id -u) = 0 ]] || skip "needs root"
	local small=$BATS_TEST_TMPDIR/small
	mkdir "$small"
	unshare -m sh -c "mount -t tmpfs -o size=16k none '$small'" 2>/dev/null || skip "nothing can be mounted here"
	run -125 timeout "$LIMIT" unshare -m sh -c "mount -t tmpfs -o size=16k none '$small' && LD_PRELOAD=$LIB PIPEGUARD_CONTROL=$small/page /bin/echo main; s=\$?; ls '$small'; exit \$s" 3>&-
	[[ $output == "pipeguard: PIPEGUARD_CONTROL: column 1: cannot be made, the disk is full: '$small/page'" ]]
}

@test "from outside it is the same: a static program takes other rules, and counts" {
	outside_only
	FIXTURES=$FIXTURES/static start 2 2 --outside -r 'io=write:fd=9:when=3:error=EIO'
	run -0 ctl fired io --wait 5s
	for _ in {1..20}; do
		ctl rules 'quota=write:fd=9:delay=1ms:error=EDQUOT'
		ctl rules 'io=write:fd=9:when=3:error=EIO'
	done
	ctl rules 'quota=write:fd=9:limit=2:error=EDQUOT; io=write:fd=9:when=3:error=EIO'
	run -0 ctl fired quota --wait 5s
	run -0 ctl show
	[[ ${lines[2]} == *'# fired '[1-9]* ]]
	ctl clear
	finish
	cat "$OUT"
	[ "$(wc -l <"$OUT")" -eq 2 ]
	[ "$(sum 2)" -gt 0 ] && [ "$(sum 3)" -gt 0 ] && [ "$(sum 4)" -gt 0 ] && [ "$(sum 5)" -eq 0 ]
}

# ---- at the end ----

@test "--require-fired: 125 and one line that names the rules which never fired, in any process" {
	native_only
	run -125 launch run --require-fired -r 'a=write:fd=9:error=EIO; b=%stdio:fd=1:delay=1ms; c=connect:refuse' -o off sh -c '/bin/echo out; exit 3'
	equal output $'out\npipeguard: never fired: a, c' "$output"
	run -3 launch run --require-fired -r 'b=%stdio:fd=1:delay=1ms' -o off sh -c '/bin/echo out; exit 3'
	[ "$output" = out ]
	run -125 launch run --require-fired true
	[[ $output == *'which rules?'* ]]
	for rules in write:fd=1:drop write:fd=2-:drop write,send:drop write:fd=!3:drop; do
		run -125 launch run --require-fired -r "$rules" -o off /bin/echo out
		equal "$rules" $'out\npipeguard: never fired: r1 (what stdio writes is not meant by write: %stdio, or %out for both)' "$output"
	done
	for rules in write:fd=3-:drop 'write:fd=!1,2:drop' '%out,!%stdio:drop' send:reset; do
		run -125 launch run --require-fired -r "$rules" -o off /bin/echo out
		equal "$rules" $'out\npipeguard: never fired: r1' "$output"
	done
	run -137 launch run --require-fired -r 'b=%stdio:fd=1:delay=1ms' -o off bash -c '/bin/echo out; kill -KILL $$'
	[ "$output" = out ]
	# shellcheck disable=SC2016 # the inner shell expands
	run -0 launch run --require-fired -r 'b=%stdio:fd=1:delay=1ms' -o off bash -c 'echo "$PIPEGUARD_CONTROL"; ls "$PIPEGUARD_CONTROL"; /bin/echo x'
	[ "${lines[0]}" = "${lines[1]}" ]
	[ ! -e "${lines[0]}" ]
}

@test "what an earlier run counted in the page is not this one's; while a process has it, counts go on" {
	native_only
	[[ $(stat -f -c %T "$BATS_TEST_TMPDIR") != overlayfs ]] || PAGE=/dev/shm/pipeguard-test.$$ # else it is not known who has it
	local fires=(-r 'db=%stdio:fd=1:delay=1ms' -o off)
	run -0 launch run --require-fired --control "$PAGE" "${fires[@]}" /bin/echo out
	run -125 launch run --require-fired --control "$PAGE" "${fires[@]}" true
	[[ $output == *'never fired: db' ]]
	run -0 launch run --control "$PAGE" "${fires[@]}" /bin/echo out
	run -0 ctl fired db # it can be asked afterwards
	launch run --control "$PAGE" -o off sleep 10 2>/dev/null &
	local pid=$!
	began() { # sleep is it that has the page
		local one
		for one in $(pgrep -x sleep); do
			! grep -qsF "$PAGE" "/proc/$one/maps" || return 0
		done
		return 1
	}
	wait_for began
	run ctl show
	[[ ${lines[1]} == *'fired 0 times' ]]
	run -0 launch run --require-fired --control "$PAGE" -o off /bin/echo out
	run -125 launch run --require-fired --control "$PAGE" -o off true
	[ "$output" = 'pipeguard: never fired: db' ]
	run -0 ctl fired db
	[ "$output" = 1 ]
	kill "$(pgrep -P "$pid" | head -1)"
	wait "$pid" || :
}

@test "a page on layers of file systems: who has it is not known, and counts go on" {
	native_only
	local layers=$BATS_TEST_TMPDIR/layers
	mkdir -p "$layers"/{low,top,work,all}
	unshare -m mount -t overlay overlay -o "lowerdir=$layers/low,upperdir=$layers/top,workdir=$layers/work" "$layers/all" 2>/dev/null ||
		skip "no overlay can be mounted here"
	# shellcheck disable=SC2016 # the inner shell expands
	run -0 timeout "$LIMIT" env PIPEGUARD="$PIPEGUARD" unshare -m bash -c 'mount -t overlay overlay -o "lowerdir=$1/low,upperdir=$1/top,workdir=$1/work" "$1/all" && cd "$1/all" || exit 1
		run() { "$PIPEGUARD" run --control ./page -o off "$@"; }
		run -r "db=%stdio:fd=1:delay=1ms" /bin/echo out
		"$PIPEGUARD" run --control ./page -o off sleep 30 2>/dev/null & sleeper=$!
		for i in {1..500}; do
			child=$(pgrep -x -P $sleeper sleep) && grep -q /page /proc/$child/maps && break
			sleep 0.01
		done
		run --require-fired true
		echo "status $?"
		"$PIPEGUARD" ctl ./page fired db
		kill $sleeper' _ "$layers" 3>&-
	equal "echo's count is still there, and not taken for true's" \
		$'out\npipeguard: never fired: db\nstatus 125\n1' "$output"
}

@test "with --control, rules that never fired are named, and the status stays the program's" {
	native_only
	run -3 launch run --control "$PAGE" -r 'a=write:fd=9:error=EIO' -o off sh -c '/bin/echo out; exit 3'
	equal output $'out\npipeguard: never fired: a' "$output"
}

@test "run alone tells once, at the end, of rules that fired in no process" {
	native_only
	run -3 launch run -r 'a=write:fd=9:error=EIO; b=%stdio:fd=1:delay=1ms; c=connect:refuse' sh -c '/bin/echo out; exit 3'
	equal "lines" 1 "$(grep -c 'never fired' <<<"$output")"
	[[ $output == *'sh] exit: 0 broken writes; never fired in any process: a c'* ]]
	run -0 launch run -r 'b=%stdio:fd=1:delay=1ms' --stack 0 sh -c '/bin/echo out; /bin/echo out'
	[[ $output != *'never fired'* ]]
	run -0 launch run -r 'a=write:fd=9:error=EIO' -o off sh -c '/bin/echo out'
	[ "$output" = out ]
	run -0 launch run -r 'a=write:fd=9:error=EIO' -o "$LOG" -j sh -c '/bin/echo out; /bin/echo out'
	equal "as JSON" '{"a":0}' "$(events 'select(.ev == "exit") | .rules')"
}

@test "and says nothing where one of them could not have told, or is the first of another pid namespace" {
	native_only
	unshare --mount --pid --fork --mount-proc true 2>/dev/null || skip "no namespaces here"
	local rule=a=%out:fd=1:delay=1ms
	run -0 launch run -r "$rule" sh -c 'unshare --mount sh -c "mount -t tmpfs none /dev/shm && /bin/echo out"; true'
	[[ $output == *'rule a: delay=1ms'*out* && $output != *'never fired'* ]]
	if [[ $(id -u) = 0 ]]; then
		run -0 launch run -r "$rule" sh -c 'setpriv --reuid 12345 --clear-groups /bin/echo out; true'
		[[ $output != *'never fired'* ]]
	fi
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 timeout "$LIMIT" unshare --pid --fork --mount-proc "$PIPEGUARD" run -r "$rule" sh -c '
		unshare --pid --fork --mount-proc sh -c "true; exit 0"; ls "$PIPEGUARD_ENDINGS"; true' 3>&-
	[[ $output != *'never fired'* ]]
}

@test "and so it does from outside, and of a mixed tree, whoever is the first process" {
	outside_only
	local way program
	for way in --outside --both; do
		for program in sh "$FIXTURES/static/steps"; do
			run launch run "$way" -r 'a=write:fd=9:error=EIO; b=write:fd=8:delay=1ms' "$program" -c '/bin/echo out; exit 3'
			equal "$way $program" 1 "$(grep -c 'never fired' <<<"$output")"
			[[ $output == *"${program##*/}] exit: 0 broken writes; never fired in any process: a b"* ]]
		done
	done
	run -0 launch run --outside -r 'a=write:fd=9:error=EIO' -o off /bin/echo out
	[ "$output" = out ]
}

@test "a signal that is sent to run reaches the program, and run ends as the program does" {
	native_only
	launch run --control "$PAGE" -o off -- python3 -c 'if True:
		import os, signal, sys, time
		signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
		print(os.getppid(), flush=True)
		time.sleep(15)' >"$BATS_TEST_TMPDIR/up" &
	local started=$! status=0
	wait_for test -s "$BATS_TEST_TMPDIR/up"
	kill -TERM "$(<"$BATS_TEST_TMPDIR/up")"
	wait "$started" || status=$?
	[ "$status" -eq 7 ]
}

@test "--again LOG: the last break of a log, again" {
	native_only
	run -0 launch run -o "$LOG" -j -S suppress sh -c '/bin/echo x | true; (sleep 0.2; /bin/echo y) | true; true'
	[[ $(broken .again | tail -1) == '"%stdio:comm=echo'* ]]
	run -1 launch run --again "$LOG" -S suppress -o off /bin/echo out
	[[ $output == *'Broken pipe'* ]]
	: >"$BATS_TEST_TMPDIR/empty"
	run -125 launch run --again "$BATS_TEST_TMPDIR/empty" true
	[[ $output == *"no break with a rule in"* ]]
	run -125 launch run --again "$BATS_TEST_TMPDIR/none" true
}

@test "--require-fired, of a static program" {
	native_only
	[[ $BITS = 64 ]] || skip "a pipeguard for 32 bits follows no rules from outside"
	[[ -e $FIXTURES/static/paged ]] || skip "no static fixture"
	touch "$BATS_TEST_TMPDIR/file.end"
	run launch run --outside --require-fired -o off -r 'a=write:fd=9:error=EIO' -- "$FIXTURES/static/paged" 1 1 "$BATS_TEST_TMPDIR/file"
	[[ $output != *'traced'* ]] || skip "$output"
	[ "$status" -eq 125 ]
	equal output $'0 0 0 0 0\npipeguard: never fired: a' "$output"
	run -125 launch run --outside --require-fired -o off -r 'a=write:fd=2:drop' -- "$FIXTURES/static/paged" 1 1 "$BATS_TEST_TMPDIR/file"
	equal "without a word of stdio" $'0 0 0 0 0\npipeguard: never fired: a' "$output"
	run -0 launch run --outside --require-fired -o off -r 'a=write:fd=1:delay=1ms' -- "$FIXTURES/static/paged" 1 1 "$BATS_TEST_TMPDIR/file"
	run -0 launch run --outside --require-fired -o off -r 'a=write:fd=1:caller=writes:delay=1ms' -- "$FIXTURES/still" writes 1
	equal "a rule that asks for the caller fires" "line 1" "$output"
}

@test "run --control: what the program lets go of, nobody else holds" {
	local name
	for name in in out last; do mkfifo "$BATS_TEST_TMPDIR/$name"; done
	timeout 10 cat "$BATS_TEST_TMPDIR/out" 3>&- &
	local reader=$!
	# shellcheck disable=SC2016 # for the inner shell
	"$BUILD/pipeguard" run --control "$BATS_TEST_TMPDIR/let-go" -- \
		sh -c 'exec <&- >&-; read -r line <"$1"' sh "$BATS_TEST_TMPDIR/last" \
		<"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 3>&- &
	local pid=$! status=0
	"$FIXTURES/sigdfl" -d timeout 10 yes >"$BATS_TEST_TMPDIR/in" 3>&- || status=$?
	equal "yes" 141 "$status"
	wait "$reader"
	echo >"$BATS_TEST_TMPDIR/last"
	wait "$pid"
}

@test "a program starts although a page's lease is held for a while by who asks whether it is used" {
	native_only
	requires python3
	local page=$BATS_TEST_TMPDIR/page holder
	"$FIXTURES/sigdfl" -d env LD_PRELOAD="$LIB" PIPEGUARD_CONTROL="$page" PIPEGUARD_RULES=write:fd=99:drop /bin/true
	mkfifo "$BATS_TEST_TMPDIR/held"
	python3 -c '
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
page = os.open(sys.argv[1], os.O_RDONLY)
try:
    fcntl.fcntl(page, fcntl.F_SETLEASE, fcntl.F_WRLCK)
except OSError:
    print("none")
else:
    print("held", flush=True)
    time.sleep(0.15)' "$page" >"$BATS_TEST_TMPDIR/held" 3>&- &
	holder=$!
	read -r said <"$BATS_TEST_TMPDIR/held"
	[[ $said = held ]] || skip "no leases in this file system"
	run -0 "$FIXTURES/sigdfl" -d timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_CONTROL="$page" /bin/true
	wait "$holder"
}
