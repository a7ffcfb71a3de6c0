#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The differential run: real programs do under the library what they do without.

load ../helpers

setup() {
	native_only
	export HOME=$BATS_TEST_TMPDIR/home PYTHONHASHSEED=0 PERL_HASH_SEED=0 GIT_PAGER=cat
	export GIT_CONFIG_NOSYSTEM=1 TZ=UTC
	mkdir "$HOME"
}

# A directory to work in, the same each time.
workplace() {
	mkdir "$1"
	seq 1 3000 >"$1/numbers"
	printf 'b 2\na 1\nc 3\n' >"$1/table"
	mkdir "$1/tree"
	cp "$1/table" "$1/tree/leaf"
	find "$1" -exec touch -d @1000000000 {} +
}

# One shell command a line.
corpus() {
	cat <<-'END'
		cat numbers table
		cat missing
		ls -l --time-style=+ tree
		sort -n -r numbers | sed -n 1,3p
		sort table; wc numbers; md5sum numbers; od -c table
		dd if=numbers of=copy bs=100 count=7 status=none; cmp numbers copy
		tee one two <table
		cp numbers other; mv other third; rm third; stat -c %s numbers
		cut -d' ' -f2 table | paste -sd+
		head -c 10 numbers; tail -2 numbers; tac table; nl table
		yes | head -3
		seq 1 100000 | head -2
		seq 1 100000 | tail -1
		sh -c 'echo out; echo err >&2; exit 3'
		sh -c 'kill -TERM $$'
		sh -c 'kill -PIPE $$'
		sh -c 'trap "echo trapped" PIPE; kill -PIPE $$; echo on'
		sh -c 'ulimit -n 16; cat table'
		bash -c 'for i in 1 2 3; do echo $i; done; printf "%s\n" a b'
		bash -c 'trap; trap -p PIPE; trap "echo got" PIPE; trap -p PIPE'
		bash -c 'x=$(cat table); echo "$x"; (exit 4); echo $?; cat <<<here'
		bash -c 'exec 5>five; echo five >&5; exec 5>&-; cat five; coproc cat; echo $?'
		bash -c 'echo x >&-; echo $?'
		bash -c 'cat < <(echo substituted); wait; exit 9'
		perl -e 'print "$_\n" for 1..5; warn "w\n"; exit 6'
		perl -e 'open my $f, "|-", "cat" or die; print $f "to cat\n"; close $f; print $?'
		perl -e '$SIG{PIPE} = sub { print STDERR "caught\n"; exit 5 }; kill PIPE => $$'
		perl -MPOSIX -e '$! = 0; print sigaction(13, undef, my $o = POSIX::SigAction->new), $!+0'
		/usr/bin/python3 -c 'import signal; print(signal.getsignal(signal.SIGPIPE))'
		/usr/bin/python3 -c 'import subprocess as s; print(s.run(["cat","table"], capture_output=True))'
		/usr/bin/python3 -c 'import os; print(os.open("table", 0)); print(os.listdir("/proc/self/fd")[:3])'
		/usr/bin/python3 -c 'import os; r, w = os.pipe(); os.close(r); os.write(w, b"x")'
		/usr/bin/python3 -c 'raise SystemExit(7)'
		awk '{ s += $1 } END { print s }' numbers
		awk 'BEGIN { print "sorted" | "sort"; close("sort"); "echo x" | getline y; print y }'
		awk 'BEGIN { while (1) print "y" }' | head -1
		sed -n '5p;2990,$p' numbers; sed -i s/a/z/ table; cat table
		grep -c 7 numbers; grep nothing numbers; grep -q 5 numbers
		find . -type f | sort; find . -name leaf -exec cat {} ';'
		xargs -n 500 echo <numbers | wc -l
		tar cf t.tar tree table; tar tf t.tar; tar xOf t.tar table
		tar czf t.tgz --mtime=@0 tree; tar tzf t.tgz
		gzip -nk numbers; gzip -dc numbers.gz | cksum; gzip -t table
		git init -q -b main g; cd g; git hash-object -w ../table; git status --short
		timeout 5 cat table; timeout 0.1 sleep 5; env -i sh -c 'echo clean'
		nohup cat table 2>&1; nice cat table; stdbuf -oL cat table
	END
}

# differ MODE COMMAND: output, messages, status and files, with and without.
differ() {
	local dir=$BATS_TEST_TMPDIR/work run status
	for run in plain guarded; do
		status=0
		rm -rf "$dir"
		workplace "$dir"
		(cd "$dir" && "$run" "$1" bash -c "$2") </dev/null >"$dir.out" 2>"$dir.err" ||
			status=$?
		{
			echo "status $status"
			cat "$dir.out"
			echo "-- stderr"
			sed 's/line [0-9]*: *[0-9]* /line /' "$dir.err"
			echo "-- files"
			(cd "$dir" && find . -path ./g -prune -o -type f -exec cksum {} + | sort)
		} >"$BATS_TEST_TMPDIR/$run"
	done
	diff "$BATS_TEST_TMPDIR/plain" "$BATS_TEST_TMPDIR/guarded"
}

# Twice where it differs: which write of a pipeline breaks is chance at times.
compare_all() {
	local command wrong=0
	while IFS= read -r command; do
		differ "$1" "$command" || differ "$1" "$command" || {
			echo "^ differs with SIGPIPE $1: $command"
			wrong=1
		}
	done < <(corpus)
	return "$wrong"
}

@test "programs print, answer and leave the same as without the library" {
	requires git perl
	compare_all -d
}

@test "so they do when they inherit an ignored SIGPIPE" {
	requires git perl
	compare_all -i
}

@test "so they do when they inherit a blocked SIGPIPE" {
	requires git perl
	differ -b 'cat numbers table; sh -c "kill -PIPE \$\$"; echo $?'
	differ -b 'grep SigBlk /proc/self/status; /usr/bin/python3 -c "print(1)"; perl -e "print 1"'
}

# ---- system calls ----

STRICT=

# trace NAME COMMAND...: into directory NAME, a file for each process.
trace() {
	local to=$BATS_TEST_TMPDIR/$1 preload=$FIXTURES/mark.so
	shift
	[[ $to != */guarded ]] || preload+=" $LIB"
	mkdir "$to"
	timeout "$LIMIT" "$FIXTURES/sigdfl" strace -ff -o "$to/trace" \
		env LD_PRELOAD="$preload" PIPEGUARD_LOG="$LOG" "$@" </dev/null >/dev/null 2>&1 3>&- ||
		true
}

# calls_of NAME: what every process did after its start-up, in order of pid. Not
# counted: how SIGPIPE's disposition is set (a change may cost two calls more; not
# if STRICT), how many reads the list of mappings takes: the library is on it, and one
# getpid(2) for each vfork(2): by it alone the parent is told from a child in its memory;
# before the first one the parent asks for its own, and has it forgotten at a fork;
# before the first fork it maps what it shares with children, as none of these programs does. Nor the look at a program that is
# about to be started, will the library be in it: these seven or so, in their order, and no others.
# shellcheck disable=SC2016
calls_of() {
	find "$BATS_TEST_TMPDIR/$1" -type f | sort -t. -k2n | xargs awk -v strict="$STRICT" '
		function out(line) { if (held != "") print held; held = line }
		FNR == 1 { on = !/^execve/; out("-- process") }
		/^execve\(.* = 0$/ { on = 0; out("execve"); next }
		/\/pg-marker"/ { on = 1; marks++; next }
		!on || (!strict && /^rt_sigaction\(SIGPIPE/) { next }
		/^statx\(AT_FDCWD, .*, AT_STATX_SYNC_AS_STAT, STATX_TYPE\|STATX_MODE\|STATX_UID\|STATX_GID\|STATX_INO\|STATX_BTIME,/ { look = 1 }
		look == 1 && /^statx\(AT_FDCWD/ { next } # execvp looks in each folder
		look == 1 { look = /^openat\(AT_FDCWD, .*, O_RDONLY\|O_NOCTTY\|O_NONBLOCK\|O_CLOEXEC\)/ ? 2 : 0; if (look) next }
		look == 2 && /^(pread64\(|rt_sigprocmask\(0xffffffff|fgetxattr\(.*"security.capability")/ { next }
		look == 2 { look = 0; if (/^close\(/) next }
		/^openat.*"\/proc\/self\/maps"/ { maps = 1 }
		/^close/ { maps = 0 }
		maps { next }
		/^vfork|CLONE_VFORK/ { asks++ }
		/^getpid/ && asks > 0 { asks--; next }
		/^mmap2?\(NULL, [0-9]+, [A-Z_|]+, MAP_SHARED\|MAP_ANONYMOUS, -1, 0\)/ { next }
		/^madvise\(.*MADV_WIPEONFORK/ && held == "getpid" { held = ""; next }
		/^(---|\+\+\+)/ { out($1 " " $2 " " ($2 ~ /exited|killed/ ? $4 : "")); next }
		{ sub(/\(.*/, ""); out($0) }
		END { out(""); print (marks ? "marked" : "NEVER MARKED") }'
}

# The system calls after start-up, sorted: the order of a parent and its child is
# chance. So are restarts of a wait; a difference counts when it comes five times.
same_calls() {
	local try wanted got
	for try in first second third fourth fifth; do
		echo "$try try of: $*"
		rm -rf "$BATS_TEST_TMPDIR"/{plain,guarded,work}
		workplace "$BATS_TEST_TMPDIR/work"
		cd "$BATS_TEST_TMPDIR/work" || return
		trace plain "$@"
		rm -rf "$BATS_TEST_TMPDIR/work"
		workplace "$BATS_TEST_TMPDIR/work"
		cd "$BATS_TEST_TMPDIR/work" || return
		trace guarded "$@"
		wanted=$(calls_of plain) got=$(calls_of guarded)
		[[ $wanted == *$'\nmarked' ]] || {
			echo "no marker in the trace of $*"
			return 1
		}
		[[ $(sort <<<"$wanted") != "$(sort <<<"$got")" ]] || return 0
	done
	equal "the system calls of: $*" "$wanted" "$got"
}

# shellcheck disable=SC2016
@test "no system call is added to ordinary programs after their start" {
	requires strace git perl
	strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
	same_calls cat numbers table
	same_calls sort numbers
	same_calls ls -lR .
	same_calls dd if=numbers of=copy bs=100
	same_calls sh -c 'echo x; cat table; exit 3'
	same_calls bash -c 'for i in 1 2; do echo $i; cat table; done; (echo sub) >f'
	same_calls perl -e 'print "x\n"; system "cat table"; $SIG{PIPE} = "IGNORE"'
	same_calls awk '{ print $2 > "out" }' table
	same_calls sed -i s/a/z/ table
	same_calls tar cf t.tar tree table
	same_calls gzip -nk numbers
	same_calls git hash-object table
}

@test "no system call is added to python3, its subprocesses and sockets" {
	requires strace
	strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
	same_calls /usr/bin/python3 -I -S -c 'print(open("table").read())'
	same_calls /usr/bin/python3 -I -S -c 'import os, signal
r, w = os.pipe(); os.write(w, b"x"); os.read(r, 1); d = os.dup(w); os.close(d)
os.dup2(w, 60); os.posix_spawn("/bin/cat", ["cat", "table"], os.environ)
os.wait(); signal.signal(signal.SIGPIPE, signal.SIG_DFL)'
	same_calls /usr/bin/python3 -I -c 'import socket
a, b = socket.socketpair(); a.send(b"x"); b.recv(9); a.sendall(b"y"); b.recv_into(bytearray(4))
a.shutdown(socket.SHUT_WR); b.recv(1); b.send(b"z"); a.close(); b.close()'
}

@test "no system call is added to any call of the write family that succeeds" {
	requires strace
	strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
	STRICT=1
	same_calls "$FIXTURES/call" good
	same_calls "$FIXTURES/call" wrong
}

# ---- descriptors ----

@test "children that are not preloaded have the descriptors they would have" {
	local wanted got shell script
	for shell in sh bash; do
		script='exec 5</dev/null; env -u LD_PRELOAD ls /proc/self/fd; '
		script+='(env -u LD_PRELOAD ls /proc/self/fd) | cat'
		wanted=$(plain "$shell" -c "$script")
		got=$(guarded "$shell" -c "$script")
		equal "descriptors under $shell" "$wanted" "$got"
	done
	wanted=$(plain ls /proc/self/fd)
	equal "with the log on stderr" "$wanted" "$(guarded PIPEGUARD_LOG=stderr ls /proc/self/fd)"
	equal "with no log" "$wanted" "$(guarded PIPEGUARD_LOG=off ls /proc/self/fd)"
}

@test "the log is one high descriptor that closes on exec" {
	local list
	list=$(guarded ls -l /proc/self/fd | awk -v log_="$LOG" '$NF == log_ { print $(NF - 2) }')
	echo "log descriptors: $list"
	[[ $list =~ ^[0-9]+$ ]]
	((list > 9))
	list=$(guarded sh -c 'exec env -u LD_PRELOAD ls -l /proc/self/fd')
	[[ -n $list && $list != *"$LOG"* ]]
}
