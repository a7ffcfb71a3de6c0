#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# Who let go of the other end: the page's ring of endings. No name is better than a wrong one.

# shellcheck disable=SC2016 # the inner shells expand what stands in single quotes

load ../helpers

setup_file() {
	install_launcher
}

# tree COMMAND...: a tree that shares endings, its lines in $LOG.
tree() {
	launch run -o "$LOG" -j "$@"
}

# For a reader in a pipeline of bash: until that has closed its own ends, or it would be the last one.
SHELL_LEAVES='while ls -l /proc/$$/fd | grep -q "$(readlink /proc/$BASHPID/fd/0)"; do :; done;'

# case_of NAME [WORD]: a case of fixtures/ends.py, whose python is the writer.
case_of() {
	native_only
	requires python3
	tree python3 "$ROOT/tests/fixtures/ends.py" "$@"
}

# told [FILTER]: what the last break of that writer, or of $WRITER, says of who let go.
told() {
	events "select((.ev == \"epipe\" or .ev == \"reset\") and .comm == \"${WRITER:-python3}\") | .ended | ${1:-.}" | tail -1
}

# ---- who it was ----

@test "git log | head -1: head and its status are named" {
	native_only
	requires git
	local repo=$BATS_TEST_TMPDIR/repo
	git init -q "$repo"
	for n in {1..2000}; do
		printf 'commit refs/heads/x\ncommitter a <a> %s +0000\ndata 200\n%200s\n' "$n" "$n"
	done | git -C "$repo" fast-import --quiet
	run -141 tree bash -c 'set -o pipefail; git -C "$1" log x | head -1' - "$repo"
	WRITER=git
	equal "who" '["head","exit",0]' "$(told '[.comm, .how, .status]')"
	run -141 launch run bash -c 'set -o pipefail; git -C "$1" log x | head -1' - "$repo"
	[[ $output =~ $'\n        reader head['[0-9]+'] exited with status 0'.*', '[0-9.]+' '[mu]?s' before' ]]
}

@test "a reader that may have few descriptors is named like any other" {
	native_only
	run tree -S suppress bash -c 'while echo 12345; do :; done 2>/dev/null | (ulimit -n 20; read x; exit 7)'
	WRITER=bash
	equal "who" '["bash","exit",7]' "$(told '[.comm, .how, .status]')"
}

@test "a hook that never reads its input is named beside git's broken write" {
	native_only
	requires git
	local repo=$BATS_TEST_TMPDIR/repo
	git init -q "$repo"
	git init -q --bare "$repo.git"
	printf 'commit refs/heads/x\ncommitter a <a> 1 +0000\ndata 1\nx\n' | git -C "$repo" fast-import --quiet
	git -C "$repo" for-each-ref --format='create refs/heads/%(objectname)-x' >/dev/null
	local at
	at=$(git -C "$repo" rev-parse x)
	for n in {1..3000}; do
		echo "create refs/heads/branch-with-a-long-name-$n $at"
	done | git -C "$repo" update-ref --stdin
	printf '#!/bin/bash\nexit 3\n' >"$repo/.git/hooks/pre-push"
	chmod +x "$repo/.git/hooks/pre-push"
	run tree git -C "$repo" push -q "$repo.git" 'refs/heads/*:refs/heads/*'
	events '.ended // empty | [.comm, .how, .status]' # of the push that fails there may be more
	equal "who" '["pre-push","exit",3]' "$(events 'select(.comm == "git") | .ended // empty | select(.comm == "pre-push") | [.comm, .how, .status]' | head -1)"
}

@test "a reader that exits, a shell's builtin too: its status, and what it left unread" {
	native_only
	run -7 tree -S suppress bash -c 'while printf "%5000d\n" 1; do :; done 2>/dev/null |
		(read -n 1 x; exit 7)'
	WRITER=bash
	equal "who" '["bash","exit",7,true]' "$(told '[.comm, .how, .status, .unread > 0]')"
}

@test "of a chain each is told by the next: who was killed by SIGPIPE itself, too" {
	native_only
	run -0 tree bash -c 'yes | cat | head -1'
	[ "$(WRITER='cat' told '[.comm, .how]')" = '["head","exit"]' ]
	[ "$(WRITER='yes' told '[.comm, .how, .signal]')" = '["cat","killed","SIGPIPE"]' ]
}

@test "a connection: who closed it, with how much unread, and where" {
	case_of tcp
	equal "who" '["python3","close","close",158,true]' "$(told '[.comm, .how, .call, .unread, (.caller | test("^_socket|^python|^libpython"))]')"
}

@test "a redis client's write names the server's close and its caller" {
	native_only
	requires redis-server redis-cli
	local socket=$BATS_TEST_TMPDIR/socket
	tree bash -c 'redis-server --port 0 --unixsocket "$1" --save "" --loglevel warning >/dev/null & server=$!
		python3 - "$1" <<-"PY"
			import socket, sys, time
			def connect():
			    for _ in range(500):
			        s = socket.socket(socket.AF_UNIX)
			        try: s.connect(sys.argv[1]); return s
			        except OSError: time.sleep(0.02)
			mine, other = connect(), connect()
			mine.sendall(b"CLIENT ID\r\n")
			other.sendall(b"CLIENT KILL ID " + mine.recv(100)[1:].strip() + b"\r\n")
			other.recv(100)
			try:
			    for _ in range(500): mine.sendall(b"PING\r\n"); time.sleep(0.01)
			except OSError: pass
		PY
		kill $server; wait' - "$socket"
	equal "who" '["redis-server","close",true]' "$(told '[.comm, .how, (.caller | test("^redis-"))]')"
}

@test "shutdown breaks it for all who have it" {
	run case_of shutdown
	equal "who" '["shutdown","shutdown"]' "$(told '[.how, .call]')"
}

@test "the program's own other end is told, and which call it was: close, dup2, close_range" {
	case_of own
	equal "itself" true "$(events 'select(.ev == "epipe") | .ended.pid == .pid and .ended.call == "close"')"
	rm "$LOG"
	case_of dup
	equal "call" '["dup2",11]' "$(told '[.call, .unread]')"
	rm "$LOG"
	case_of close_range
	equal "call" '["close",5]' "$(told '[.how, .unread]')"
	run launch run python3 "$ROOT/tests/fixtures/ends.py" own
	[[ $output =~ $'\n        reader: this process, closed by close(), in '.*', '[0-9.]+' '[mu]?s' before' ]]
}

@test "a reader with threads that exits" {
	case_of threads
	equal "who" '["python3","exit",6]' "$(told '[.comm, .how, .status]')"
}

@test "a FIFO's reader" {
	case_of fifo "$BATS_TEST_TMPDIR/fifo"
	equal "who" '["sh","exit",4]' "$(told '[.comm, .how, .status]')"
}

@test "hold says whose leaving it waited for, and sweep whose leaving makes a race" {
	native_only
	requires python3
	run tree -r '%out:fd=1:when=2+:hold=5s' bash -c '(echo a; echo b) | head -1'
	equal "hold" '["head","exit",0]' "$(events 'select(.ev == "inject") | .ended | [.comm, .how, .status]' | tail -1)"
	local left i
	for i in 1 2 3; do # who is late by a quarter of a second is not named
		run launch sweep --out "$BATS_TEST_TMPDIR/swept$i" --faults break --json -- bash -c 'seq 100000 | head -1; exit 0'
		left=$(grep '^{' <<<"$output" | jq -c 'select(.type == "site" and .program == "seq") | .left')
		[[ $left == '["head'* ]] && break
	done
	equal "sweep" '["head exited with status 0"]' "$left"
}

@test "who only held the reading end for others, and let go last, is not the reader" {
	case_of only_held
	equal "a child" '["head","exit",0]' "$(told '[.comm, .how, .status]')"
	rm "$LOG"
	case_of only_held_by_fork
	equal "a fork" '["python3","exit",7]' "$(told '[.comm, .how, .status]')"
}

@test "who held it, and read from it in whatever way, or gave it to who is not guarded, is named as who let go last" {
	local way
	for way in held_and_read held_and_readv held_and_copied held_much_else held_by_stdio \
		stranger_by_fork stranger_by_vfork stranger_by_spawn stranger_by_socket; do
		rm -f "$LOG"
		case_of "$way"
		equal "$way" '["python3","close",true]' "$(events 'select(.ev == "epipe") | .pid as $pid | .ended | [.comm, .how, .pid == $pid]' | tail -1)"
	done
}

# ---- who it was not ----

@test "SIGKILL: gone, or killed where that can still be asked, and no more" {
	case_of killed
	[ "$(told '[.comm, .how, .signal, .ago_ms]')" = '["python3","killed","SIGKILL",null]' ]
	rm "$LOG"
	case_of killed copied
	[ "$(told '[.comm, .how, .signal, .ago_ms]')" = '["python3","killed","SIGKILL",null]' ]
	rm "$LOG"
	case_of killed reaped
	[ "$(told '[.comm, .how, .signal, .ago_ms]')" = '["python3","gone",null,null]' ]
}

@test "a signal between a process's last word and its end: what came of it is told, or nothing of its status" {
	requires strace python3
	strace -o /dev/null true 2>/dev/null || skip "nothing can be traced here"
	local what state wanted python # what python3 is may be a script
	python=$(python3 -c "import sys; print(sys.executable)")
	while read -r what state wanted; do
		rm -f "$LOG"
		tree strace -f -o /dev/null -e trace=exit_group -e inject=exit_group:"$what" \
			"$python" "$ROOT/tests/fixtures/ends.py" at_exit "$state" || :
		equal "$what" "$wanted" "$(told '[.how, .status, .signal]')"
	done <<-'END'
		signal=KILL Z ["killed",null,"SIGKILL"]
		delay_enter=3000000 t ["exit",null,null]
		signal=WINCH Z ["exit",5,null]
	END
}

@test "SIGKILL of a reader in a shell's pipeline" {
	native_only
	requires python3
	run tree bash -c 'yes | python3 -c "import os; os.read(0, 1); os.kill(os.getpid(), 9)"'
	WRITER=yes
	[[ "$(told '[.comm, .how]')" == '["python3","'@(killed|gone)'"]' ]]
}

@test "SIGKILL of a reader whose child has the same and says nothing, and then of that: nobody" {
	local how
	for how in fork spawn number; do
		rm -f "$LOG"
		case_of silent "$how"
		equal "$how" null "$(told)"
	done
	rm -f "$LOG"
	case_of silent_beside
	equal "beside" null "$(told)"
}

@test "SIGKILL of a reader while another one has it, whose word is older than 256 others: nobody" {
	case_of forgotten
	equal "who" null "$(told)"
}

@test "who closed its input and ended much later closed it; a shutdown that is refused is none" {
	case_of late
	equal "who" '["close",null,true]' "$(told '[.how, .status, .ago_ms > 500]')"
	rm "$LOG"
	run case_of shutdown_refused
	[ "$status" -ne 77 ] || skip "the kernel takes it"
	equal "who" '["exit",4]' "$(told '[.how, .status]')"
}

@test "a close_range that the kernel refuses closes nothing" {
	native_only
	requires python3
	plain "$FIXTURES/older" 7.0 true || skip "no filter can be put on a program here"
	run timeout "$LIMIT" "$FIXTURES/older" 5.8 "$PIPEGUARD" run -o "$LOG" -j python3 "$ROOT/tests/fixtures/ends.py" close_range_refused
	[ "$status" -ne 77 ] || skip "no filter stands"
	equal "what is read" 12345 "$output"
}

@test "what was left before a boot, in a page that stays, is about other objects: nobody" {
	[[ $(id -u) = 0 ]] || skip "needs root"
	echo 11111111-2222-3333-4444-555555555555 >"$BATS_TEST_TMPDIR/boot"
	run case_of before_boot "$BATS_TEST_TMPDIR/boot"
	[ "$status" -ne 77 ] || skip "nothing can be mounted here"
	[ "$status" -eq 0 ]
	equal "who" null "$(told)"
}

@test "/proc of another pid namespace says nothing of how a reader ended" {
	native_only
	requires python3
	unshare --pid --fork --mount-proc true 2>/dev/null || skip "no namespaces here"
	local python
	python=$(python3 -c "import sys; print(sys.executable)")
	run -0 timeout "$LIMIT" unshare --pid --fork --mount-proc "$python" "$ROOT/tests/fixtures/ends.py" among_zombies \
		unshare --pid --fork "$PIPEGUARD" run -o "$LOG" -j "$python" "$ROOT/tests/fixtures/ends.py" ended 3>&-
	equal "who" '["exit",5]' "$(told '[.how, .status]')"
}

@test "SIGKILL at any moment of a close: nobody but the one who closed is named" {
	local try named=0
	# Whether a close comes to its end is a matter of time; some must, or nothing was tried.
	for ((try = 0; try < 5 && !named; try++)); do
		rm -f "$LOG"
		run -0 case_of many 400
		equal "writes" 400 "$(broken | wc -l)"
		events '.ended.pid' | paste - <(printf '%s\n' "$output") >"$BATS_TEST_TMPDIR/named"
		equal "wrong names" "" "$(awk '$1 != "null" && $1 != $2' "$BATS_TEST_TMPDIR/named")"
		named=$(grep -vc ^null "$BATS_TEST_TMPDIR/named" || :)
	done
	((named > 0))
}

@test "a number of a process that another one has now says nothing" {
	[[ -w /proc/sys/kernel/ns_last_pid && $(id -u) = 0 ]] || skip "needs root"
	run case_of killed reused
	[ "$status" -ne 77 ] || skip "the number could not be had"
	[ "$status" -eq 0 ]
	[ "$(told)" = null ]
}

@test "a child that has it longer: it is named if it is guarded, and nobody if not" {
	case_of child
	[ "$(told '[.comm, .how, .status]')" = '["sh","exit",5]' ]
	rm "$LOG"
	case_of stranger
	[ "$(told)" = null ]
	run launch run python3 "$ROOT/tests/fixtures/ends.py" stranger
	[[ $output == *$'\n        reader: gone; who let go last is not known\n'* ]]
}

@test "a descriptor that was passed on: its last holder counts, in flight too" {
	case_of passed
	[ "$(told '[.comm, .how]')" = '["python3","exit"]' ]
	rm "$LOG"
	case_of passed_away
	[ "$(told)" = null ]
	rm "$LOG"
	case_of in_flight
	[ "$(told)" = null ]
}

@test "who became a program that is not guarded has another name: nobody" {
	local way
	for way in exec_away exec_away_reaped; do
		rm -f "$LOG"
		case_of "$way"
		equal "$way" null "$(told)"
	done
}

@test "a copy that was taken by pidfd_getfd, and the pipe opened once more by /proc, are held by others: nobody" {
	run case_of stolen
	[ "$status" -ne 77 ] || skip "there is no pidfd_getfd here"
	[ "$status" -eq 0 ]
	equal "the same file" null "$(told)"
	rm "$LOG"
	case_of stolen_again
	equal "another file" null "$(told)"
}

@test "a reader in another space of process numbers: its number says nothing here, nobody is named" {
	run case_of elsewhere
	[ "$status" -ne 77 ] || skip "no namespaces here"
	[ "$status" -eq 0 ]
	[ "$(told)" = null ]
}

@test "a hundred threads that close and copy over their ends all the time: no name but their own" {
	case_of storm
	equal "wrong" "" "$(events 'select(.ev == "epipe" and .ended and (.ended.pid != .pid or .ended.how != "close")) | .ended')"
	[ "$(events 'select(.ev == "epipe" and .ended) | .ev' | wc -l)" -gt 0 ]
}

@test "a FIFO that two read, and the last one is not guarded: nobody" {
	case_of fifo_two "$BATS_TEST_TMPDIR/fifo"
	[ "$(told)" = null ]
}

@test "a newer FIFO with the same inode has nothing to do with the older one's readers" {
	run case_of fifo_again "$BATS_TEST_TMPDIR/fifo"
	[ "$status" -ne 77 ] || skip "this file system does not use an inode again"
	[ "$status" -eq 0 ]
	[ "$(told)" = null ]
}

@test "the same two addresses again: who closed the older connection is not named" {
	case_of tcp_again
	[ "$(events 'select(.ev == "reset") | .ended.how' | paste -sd' ')" = '"close" null' ]
	rm "$LOG"
	case_of tcp_stranger
	[ "$(told)" = null ]
}

@test "the writer may be one that no library enters" {
	native_only
	requires busybox
	run launch run --both -o "$LOG" -j -- busybox true
	[ "$status" -eq 0 ] || skip "nothing can be traced here: $output"
	run tree --both -- bash -c 'busybox yes | head -1'
	WRITER=busybox
	equal "who" '["head","exit",0]' "$(told '[.comm, .how, .status]')"
}

@test "PIPEGUARD_ENDINGS=off: nothing is shared, and the program's environment is the launcher's" {
	case_of own
	[ "$(told .how)" = '"close"' ]
	rm "$LOG"
	export PIPEGUARD_ENDINGS=off
	case_of own
	[ "$(told)" = null ]
	run -0 tree env
	[[ $output != *PIPEGUARD_ENDINGS=/* ]]
}

@test "nothing is left of a tree, and of one that was killed the next one takes it away" {
	native_only
	[[ -d /dev/shm ]] || skip "no /dev/shm"
	local file
	run -0 tree sh -c 'echo "$PIPEGUARD_ENDINGS"; ls "$PIPEGUARD_ENDINGS"'
	[ "${lines[0]}" = "${lines[1]}" ]
	[ ! -e "${lines[0]}" ]
	run tree --outside sh -c 'echo "$PIPEGUARD_ENDINGS"; ls "$PIPEGUARD_ENDINGS"'
	gone() { [[ ! -e ${lines[0]} ]]; } # the engine is another process
	[ "$status" -ne 0 ] || wait_for gone
	run -137 tree sh -c 'echo "$PIPEGUARD_ENDINGS"; kill -KILL $$'
	file=${lines[0]}
	[ -e "$file" ]
	[ "$(stat -c %a "$file" "${file%/*}" | paste -sd' ')" = '600 700' ]
	tree true
	[ ! -e "$file" ]
}

@test "what is left of trees: the file of a number that another process has now goes, and that of a space which is no more" {
	native_only
	[[ -w /dev/shm && -e /proc/self/ns/pid ]] || skip "no /dev/shm, or no spaces of numbers"
	local folder space name began listed
	folder=/dev/shm/pipeguard-$(id -u)-endings space=$(stat -Lc %i /proc/self/ns/pid)
	began=$(sed 's/.*) //' "/proc/$$/stat" | cut -d' ' -f20)
	[[ -d $folder ]] || mkdir -m 700 "$folder"
	for name in "$$.1.$space" "$$.1.$space.page" "$$.$began.$space" "$$.1.1" unknown; do
		echo >"$folder/$name"
	done
	touch -d '2 minutes ago' "$folder/$$.1.1"
	run -0 launch run sh -c 'ls "${PIPEGUARD_ENDINGS%/*}"'
	rm -f "$folder/$$."* "$folder/unknown"
	listed=$output
	grep -qxF "$$.$began.$space" <<<"$listed"
	grep -qx unknown <<<"$listed"
	run -1 grep -F "$$.1.$space" <<<"$listed"
	((space != 0xeffffffc)) || run -1 grep -xF "$$.1.1" <<<"$listed"
}

# held FILE AGE: a process that makes FILE if it is not there, maps it and keeps nothing else of it, until its standard
# input ends; then nobody has it. It is AGE seconds old from the moment on that it is mapped.
held() {
	coproc { python3 -c 'if True:
		import mmap, os, sys, time
		os.makedirs(os.path.dirname(sys.argv[1]), 0o700, exist_ok=True)
		fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
		os.ftruncate(fd, 4096)
		m = mmap.mmap(fd, 0)
		os.close(fd)
		os.utime(sys.argv[1], (time.time() - int(sys.argv[2]),) * 2)
		print("mapped", flush=True)
		sys.stdin.read()' "$@" 3>&-; }
	read -r _ <&"${COPROC[0]}"
}

# goes_with_holder FILE AGE: it stays as long as a process has it, as above, and not longer.
goes_with_holder() {
	held "$@"
	local pid=$COPROC_PID to=${COPROC[1]}
	launch true
	[ -e "$1" ]
	exec {to}>&-
	wait "$pid"
	launch true
	[ ! -e "$1" ]
}

@test "what is left of a tree stays while one of its processes has it; of what is not known, what nobody has had for a day goes" {
	native_only
	requires python3
	[[ -w /dev/shm && -e /proc/self/ns/pid ]] || skip "no /dev/shm, or no spaces of numbers"
	local folder file
	folder=/dev/shm/pipeguard-$(id -u)-endings
	file=$folder/$$.1.$(stat -Lc %i /proc/self/ns/pid) # this number is another process's now
	goes_with_holder "$file" 0
	file=$folder/$$ # as another version may have named it
	[[ -d $folder ]] || mkdir -m 700 "$folder" # it goes with the last one in it
	echo >"$file"
	launch true
	[ -e "$file" ]
	goes_with_holder "$file" 200000
}

@test "a tree in another space of numbers leaves the others' files alone" {
	native_only
	unshare --pid --fork true 2>/dev/null || skip "no namespaces here"
	run -0 tree bash -c 'timeout 10 unshare --pid --fork env -u LD_PRELOAD -u PIPEGUARD_ENDINGS "$1" run sh -c "echo \$PIPEGUARD_ENDINGS" && ls "$PIPEGUARD_ENDINGS"' - "$PIPEGUARD"
	[[ ${#lines[@]} -eq 2 && ${lines[0]} != "${lines[1]}" && ${lines[0]} == "${lines[1]%/*}/"* ]]
}

@test "a program that is started once the file has gone does without" {
	native_only
	run -0 tree sh -c 'rm "$PIPEGUARD_ENDINGS"; exec env echo out'
	[ "$output" = out ]
	run -0 guarded PIPEGUARD_ENDINGS="$BATS_TEST_TMPDIR/none" /bin/echo out
	[ "$output" = out ]
	run -125 guarded PIPEGUARD_ENDINGS=none /bin/echo out
	[[ $output == *"PIPEGUARD_ENDINGS: column 1: not an absolute path, and not off: 'none'" ]]
}

@test "the page of --control has them, too" {
	native_only
	run -0 launch run --control "$BATS_TEST_TMPDIR/page" -o "$LOG" -j -- python3 "$ROOT/tests/fixtures/ends.py" own
	[ "$(told .how)" = '"close"' ]
	rm "$LOG"
	guarded PIPEGUARD_CONTROL="$BATS_TEST_TMPDIR/page" python3 "$ROOT/tests/fixtures/ends.py" own
	[ "$(told .how)" = '"close"' ]
}

@test "a record that is not whole is none" {
	case_of torn
	[ "$(told)" = null ]
}

# noise PIECES: the file is overwritten with random bytes, all but what says what it is.
noise() {
	python3 - "$RING" "$1" <<-'PY'
		import os, random, sys
		r, path = random.Random(7), sys.argv[1]
		fd, size = os.open(path, os.O_RDWR), os.stat(path).st_size
		for _ in range(int(sys.argv[2])):
		    at, n = r.randrange(32, size), r.choice([1, 8, 64, 4096])
		    os.pwrite(fd, r.randbytes(min(n, size - at)), at)
	PY
}

@test "noise in the file, and a file that is cut off, while 8 processes leave and look: no crash, no wrong name" {
	native_only
	requires python3
	RING=$BATS_TEST_TMPDIR/ring
	local n pids=()
	tree sh -c 'cat "$PIPEGUARD_ENDINGS"' >"$RING"
	chmod 600 "$RING"
	for n in {1..8}; do
		PIPEGUARD_ENDINGS=$RING PIPEGUARD_LOG=$LOG guarded python3 "$ROOT/tests/fixtures/ends.py" many 150 >"$BATS_TEST_TMPDIR/$n" &
		pids+=($!)
	done
	wait_for test -s "$LOG"
	noise 3000
	: >"$RING"
	for n in "${pids[@]}"; do
		wait "$n"
	done
	equal "lines" 1200 "$(broken | wc -l)"
	cat "$BATS_TEST_TMPDIR"/[1-8] | sort -u >"$BATS_TEST_TMPDIR/pids"
	events '.ended.pid | select(.)' | sort -u | comm -23 - "$BATS_TEST_TMPDIR/pids" >"$BATS_TEST_TMPDIR/wrong"
	equal "named, and none of them" '' "$(<"$BATS_TEST_TMPDIR/wrong")"
}

@test "noise where the file of a sweep says that little is of interest: all is logged" {
	native_only
	requires python3
	RING=$BATS_TEST_TMPDIR/ring
	tree sh -c 'cat "$PIPEGUARD_ENDINGS"' >"$RING"
	chmod 600 "$RING"
	printf 7 | dd of="$RING" bs=1 seek=104 conv=notrunc status=none
	rm -f "$LOG"
	PIPEGUARD_ENDINGS=$RING PIPEGUARD_LOG=$LOG guarded python3 "$ROOT/tests/fixtures/ends.py" many 120 >/dev/null
	equal "lines" 120 "$(broken | wc -l)"
}

# own_end FILE: who let go, as the program own of fixtures/ends.py tells it, with FILE for endings.
own_end() {
	rm -f "$LOG"
	PIPEGUARD_ENDINGS=$1 PIPEGUARD_LOG=$LOG run -0 guarded python3 "$BATS_TEST_DIRNAME/../fixtures/ends.py" own
	told .how
}

@test "another's file, a link, one that others may read or that is none, another version's: nobody writes to it, all go on" {
	requires python3
	local ring=$BATS_TEST_TMPDIR/ring fresh=$BATS_TEST_TMPDIR/fresh
	tree sh -c 'cat "$PIPEGUARD_ENDINGS"' >"$fresh"
	refused() { [[ $(own_end "$ring") = null ]] && cmp "$fresh" "$ring"; }
	cp "$fresh" "$ring"
	chmod 600 "$ring"
	[ "$(own_end "$ring")" = '"close"' ]
	run -1 cmp -s "$fresh" "$ring"
	cp "$fresh" "$ring"
	chmod 640 "$ring"
	refused
	chmod 600 "$ring"
	mv "$ring" "$ring.real"
	ln -s "$ring.real" "$ring"
	refused
	rm "$ring"
	mkfifo -m 600 "$ring"
	[ "$(own_end "$ring")" = null ]
	rm "$ring"
	mv "$ring.real" "$ring"
	if [[ $(id -u) = 0 ]]; then
		chown 1234 "$ring"
		refused
		chown 0 "$ring"
	fi
	sed -i '1s/endings [0-9]/endings 0/' "$fresh"
	cp "$fresh" "$ring"
	refused
	: >"$fresh"
	cp "$fresh" "$ring"
	refused
}

@test "a file of endings on the disk of the build, and one on a disk that is full: who let go is told, or nobody is" {
	requires python3
	local fresh=$BATS_TEST_TMPDIR/fresh small=$BATS_TEST_TMPDIR/small ring
	tree sh -c 'cat "$PIPEGUARD_ENDINGS"' >"$fresh"
	ring=$(mktemp "$BUILD/endings.XXXXXX")
	cat "$fresh" >"$ring"
	equal "on the build's disk" '"close"' "$(own_end "$ring"; rm "$ring")"
	[[ $(id -u) = 0 ]] || skip "the rest needs root"
	mkdir "$small"
	unshare -m sh -c "mount -t tmpfs -o size=16k none '$small'" 2>/dev/null || skip "nothing can be mounted here"
	rm -f "$LOG"
	run -0 timeout "$LIMIT" unshare -m bash -c 'set -e
		mount -t tmpfs -o size=16k none "$1"
		truncate -s "$(stat -c %s "$2")" "$1/ring"
		head -c 200 "$2" | dd of="$1/ring" conv=notrunc status=none
		chmod 600 "$1/ring"
		dd if=/dev/zero of="$1/fill" bs=4096 status=none 2>/dev/null || :
		exec env LD_PRELOAD="$3" PIPEGUARD_ENDINGS="$1/ring" PIPEGUARD_LOG="$4" PIPEGUARD_FORMAT=json \
			PIPEGUARD_RULES="write:fd=999:error=EIO" python3 "$5" own' - "$small" "$fresh" "$LIB" "$LOG" "$BATS_TEST_DIRNAME/../fixtures/ends.py" 3>&-
	# What still went into the page that is there is true, too.
	[[ $(told .how) == null || $(told .how) == '"close"' ]]
}

@test "a file with holes on a disk of blocks that is full, where a filter stands: no SIGBUS" {
	requires python3 mkfs.ext4
	native_only
	[[ $(id -u) = 0 ]] || skip "needs root"
	local fresh=$BATS_TEST_TMPDIR/fresh disk=$BATS_TEST_TMPDIR/disk
	plain "$FIXTURES/older" 7.0 true || skip "no filter can be put on a program here"
	tree sh -c 'cat "$PIPEGUARD_ENDINGS"' >"$fresh"
	truncate -s 4M "$disk"
	mkfs.ext4 -q -O ^has_journal "$disk"
	mkdir "$disk.on"
	unshare -m mount -o loop "$disk" "$disk.on" 2>/dev/null || skip "nothing can be mounted here"
	run -0 timeout "$LIMIT" unshare -m bash -c 'set -e
		mount -o loop "$1" "$1.on"
		truncate -s "$(stat -c %s "$2")" "$1.on/ring"
		head -c 200 "$2" | dd of="$1.on/ring" conv=notrunc status=none
		chmod 600 "$1.on/ring"
		sync "$1.on/ring"
		for size in 4096 1024; do
			dd if=/dev/zero of="$1.on/fill$size" bs=$size status=none 2>/dev/null || sync "$1.on/fill$size"
		done
		exec "$3" 7.0 env LD_PRELOAD="$4" PIPEGUARD_ENDINGS="$1.on/ring" PIPEGUARD_LOG="$5" PIPEGUARD_FORMAT=json \
			python3 "$6" many 100' - "$disk" "$fresh" "$FIXTURES/older" "$LIB" "$LOG" "$ROOT/tests/fixtures/ends.py" 3>&-
	equal "writes" 100 "$(broken | wc -l)"
}

# per_call COMMAND...: what 2000 writes of the driver add to a count that COMMAND N prints.
per_call() {
	echo $(($("$@" 3000) - $("$@" 1000)))
}
instructions() {
	env LD_PRELOAD="$LIB" "$WITH" timeout 60 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$BUILD/bench/bench" -q -n "$1" write 2>&1 3>&- | sed -n 's/.*Collected : //p'
}

@test "a write costs not one instruction more" {
	native_only
	requires valgrind
	make -s -C "$ROOT" BUILD="${BUILD#"$ROOT"/}" bench-programs 3>&-
	local ring=$BATS_TEST_TMPDIR/ring without
	tree sh -c 'cat "$PIPEGUARD_ENDINGS"' >"$ring"
	chmod 600 "$ring"
	without=$(WITH=FOO=1 per_call instructions)
	[ "$without" -ge 2000 ]
	equal "instructions" "$without" "$(WITH=PIPEGUARD_ENDINGS=$ring per_call instructions)"
}

@test "a reader that no library enters" {
	native_only
	local reader
	reader=$(fixture static/steps) || skip "no static fixture"
	run tree bash -c "yes | { $SHELL_LEAVES"' exec "$1" >/dev/null 2>&1; }' - "$reader"
	[ "$(WRITER=yes told)" = null ]
}

# ---- two machines ----

# apart [OPTION]: a client and a server that share nothing, in logs a and b: the server closes with unread bytes.
apart() {
	local form=${1--j}
	native_only
	requires python3
	cd "$BATS_TEST_TMPDIR" || return
	rm -f a b port
	export PIPEGUARD_ENDINGS=off
	launch run -v "$form" -o b python3 -c 'if True:
		import os, socket
		l = socket.create_server(("127.0.0.1", 0))
		open("port.new", "w").write(str(l.getsockname()[1]))
		os.rename("port.new", "port")
		c = l.accept()[0]
		c.recv(4)
		c.close()' &
	wait_for test -e port
	launch run -v "$form" -o a python3 -c 'if True:
		import socket, sys
		c = socket.create_connection(("127.0.0.1", int(open("port").read())))
		c.sendall(b"read" + b"u" * 158)
		try: c.recv(1)
		except OSError: pass
		try: c.sendall(b"x")
		except OSError: sys.exit(0)
		sys.exit("no write broke")'
	wait $!
}

@test "report joins the logs of two machines by their addresses: text, JSON and HTML" {
	apart
	run -0 launch report a b --html page
	[[ $output == *$'\nBoth ends\n\n  tcp 127.0.0.1:'*' -> 127.0.0.1:'* ]]
	[[ $output == *$'\n    a: python3['*'] send('*') = EPIPE, at '* ]]
	[[ $output == *$'\n    b: python3['*'] close('*') with 158 bytes unread, at '*' before'* ]]
	equal "as JSON" '["a","send","EPIPE",["b","doomed","close",158,true]]' "$(launch report --json b a |
		jq -c '.connections[] | [.log, .call, .errno, (.other[0] | [.log, .ev, .call, .unread, .ms_before >= 0])]')"
	grep -q '<h2>Both ends</h2>' page
	grep -q '158 bytes unread' page
}

# moved SECONDS: log b, as if its clock were another one.
moved() {
	python3 - "$1" <<-'PY'
		import datetime, json, sys
		with open("c", "w") as out:
		    for e in map(json.loads, open("b")):
		        t = datetime.datetime.strptime(e["t"], "%Y-%m-%dT%H:%M:%S.%fZ") + datetime.timedelta(seconds=int(sys.argv[1]))
		        out.write(json.dumps(dict(e, t=t.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))) + "\n")
	PY
}

@test "logs in text are joined as well, if they tell the time; if not, that is said" {
	apart --time
	run -0 launch report a b
	[[ $output == *$'\n    a: python3['*'] send('*') = EPIPE, at '* ]]
	[[ $output == *$'\n    b: python3['*'] close('*') with 158 bytes unread, at '*' before'* ]]
	[[ $output != *'no times'* ]]
	sed -i 's/^\(pipeguard[^]]*\]\) [0-9T:.-]*Z /\1 /' b
	run -0 launch report a b
	[[ $output != *'Both ends'* && $output == *$'\nb has no times'* ]]
	run -0 launch report b
	[[ $output != *'no times'* ]]
}

@test "ends that have other addresses, another time or the same log are not joined" {
	apart
	moved 30
	[ "$(launch report --json a c | jq -c '[.connections[].other[].ms_before < 0]')" = '[true]' ]
	moved 200
	[ "$(launch report --json a c | jq -c .connections)" = '[]' ]
	[ "$(launch report --json a | jq -c .connections)" = '[]' ]
	[ "$(launch report --json a a | jq -c .connections)" = '[]' ]
	sed 's/127\.0\.0\.1:\([0-9]*\)/127.0.0.2:\1/g' b >c
	[ "$(launch report --json a c | jq -c .connections)" = '[]' ]
	cat a b >c
	[ "$(launch report --json c | jq -c .connections)" = '[]' ]
	sed 's/127\.0\.0\.1:\([0-9]*\)/[::ffff:127.0.0.1]:\1/g' b >c
	[ "$(launch report --json a c | jq -c '[.connections[].other[].ev]')" = '["doomed"]' ]
	head -c 3000 a >d
	launch report --json d b >/dev/null
}

@test "what is closed first is told by who does it, with close, shutdown and the end; what the peer left first is not" {
	native_only
	requires python3
	run -0 launch run -v -j -o "$LOG" python3 -c 'if True:
		import socket
		l = socket.create_server(("127.0.0.1", 0))
		def pair():
		    c = socket.create_connection(l.getsockname())
		    return c, l.accept()[0]
		a, b = pair()
		a.close()
		b.recv(1)
		b.close()
		c, d = pair()
		c.shutdown(socket.SHUT_RDWR)
		d.recv(1)
		d.close()
		e, f = pair()
		e.detach(), f.detach()'
	equal "closed" '["close",true]["shutdown",true]["_exit",true]["_exit",true]' \
		"$(events 'select(.ev == "closed") | [.call, (.local | length > 9)]' | tr -d '\n')"
}
