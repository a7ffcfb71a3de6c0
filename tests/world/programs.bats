#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Real programs whose reader leaves: each broken write is one event by the right
# gate, and status, output and messages are those without the library.
# shellcheck disable=SC2016 # inner shells and filters expand

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	DIR=$BATS_TEST_TMPDIR
	cd "$DIR" || return
	export HOME=$DIR GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
}

# leaving HOW [-i] PROGRAM ARGS: its status and messages when the reader leaves after a line.
leaving() {
	local how=$1 status
	"$how" "${@:2}" 2>"$DIR/err" | head -n 1 >"$DIR/out"
	status=${PIPESTATUS[0]}
	echo "status $status"
	cat "$DIR/out" "$DIR/err"
}

# nobody HOW [-i] PROGRAM ARGS: the same when nobody ever reads its standard output.
nobody() {
	local how=$1 mode=-d status=0
	shift
	if [[ $1 = -i ]]; then
		mode=-i
		shift
	fi
	"$how" "$mode" "$FIXTURES/brokenfd" 1 "$@" 2>"$DIR/err" || status=$?
	echo "status $status"
	cat "$DIR/err"
}

# same HOW STATUS [-i] PROGRAM ARGS: HOW is leaving or nobody. Without the library
# and with it; the log of the latter stays.
same() {
	local wanted got
	wanted=$("$1" plain "${@:3}")
	rm -f "$LOG"
	got=$("$1" guarded "${@:3}")
	equal "what ${*:3} did" "$wanted" "$got"
	equal "status of ${*:3}" "status $2" "$(head -n 1 <<<"$got")"
}

# told WANTED: of the one event that there must be.
told() {
	equal event "$1" "$(broken '[.comm, .call, .via, .signal]')"
	equal "what broke" '["pipe",true]' "$(broken '[.kind, (.stack | length > 0)]')"
}

@test "yes | head" {
	same leaving 141 yes
	told '["yes","write","call","fatal"]'
	equal place '[1,true,true]' "$(broken '[.fd, .sent > 0, (.stack[0] | test("^yes\\+0x"))]')"
}

@test "yes under an ignored SIGPIPE complains as ever" {
	same leaving 1 -i yes
	told '["yes","write","call","ignored"]'
	grep -q 'Broken pipe' err
	equal inherited '{"state":"ignored","by":"inherited","tid":null,"ago_ms":null}' "$(broken .disposition)"
}

@test "seq | head" {
	same leaving 141 seq 1 10000000
	equal event '["seq","write","fatal"]' "$(broken '[.comm, .call, .signal]')"
}

@test "numbers | head, by stdio" {
	same leaving 141 "$FIXTURES/numbers" 10000000
	told '["numbers","write","stdio","fatal"]'
}

@test "numbers into a pipe that nobody reads: the flush at exit" {
	same nobody 141 "$FIXTURES/numbers" 3
	told '["numbers","write","stdio","fatal"]'
	equal bytes '[6,0]' "$(broken '[.len, .sent]')"
}

@test "cat" {
	head -c 1000000 /dev/zero | tr '\0' '\n' >lines
	same leaving 141 cat lines /dev/zero
	told '["cat","write","call","fatal"]'
}

@test "find" {
	same leaving 141 find /usr/share /usr/lib /usr/include
	told '["find","write","stdio","fatal"]'
}

@test "ls" {
	same leaving 141 ls -R /usr/share /usr/lib
	told '["ls","write","stdio","fatal"]'
}

@test "tee dies of one output, and with -p goes on" {
	seq 1 1000 >numbers
	same nobody 141 sh -c 'exec tee copy <numbers'
	told '["tee","write","stdio","fatal"]'
	same nobody 0 sh -c 'exec tee -p copy <numbers'
	cmp copy numbers
	equal event '["tee","ignored"]' "$(broken '[.comm, .signal]')"
	equal by '["ignored",true]' "$(broken '.disposition | [.state, (.by | test("^tee\\+0x"))]')"
}

@test "mawk" {
	requires mawk
	same leaving 141 mawk 'BEGIN { while (1) print "y" }'
	told '["mawk","write","stdio","fatal"]'
	same leaving 2 -i mawk 'BEGIN { while (1) print "y" }'
	equal event '["mawk","write","stdio","ignored"]' "$(broken '[.comm, .call, .via, .signal]' | sort -u)"
}

@test "gawk" {
	requires gawk
	same leaving 141 gawk 'BEGIN { while (1) print "y" }'
	told '["gawk","write","stdio","ignored"]' # it kills itself afterwards
}

@test "sed, grep, sort and od" {
	local program signal
	seq 1 200000 >numbers
	for program in 'sed p' 'grep .' 'sort' 'od'; do
		# shellcheck disable=SC2086 # words
		same nobody 141 $program numbers
		equal "$program" "[\"${program%% *}\",\"write\",\"stdio\"]" "$(broken '[.comm, .call, .via]')"
		signal=fatal
		[[ $program != sort ]] || signal='@(caught|ignored)' # it removes its temporary files
		# shellcheck disable=SC2053 # a pattern
		[[ $(broken .signal) == '"'$signal'"' ]]
	done
}

@test "bash: the builtin printf, a line at a time" {
	same leaving 141 bash -c 'while :; do printf "%s\n" line; done'
	told '["bash","write","stdio","fatal"]'
}

@test "bash: the builtin echo, trapped" {
	same nobody 5 bash -c 'trap "exit 5" PIPE; echo one; echo two'
	told '["bash","write","stdio","caught"]'
}

@test "bash: a builtin under an ignored SIGPIPE complains and goes on" {
	same nobody 7 -i bash -c 'echo one; printf two; exit 7'
	equal events '["write","stdio","ignored",4]
["write","stdio","ignored",3]' "$(broken '[.call, .via, .signal, .len]')"
	[[ $(grep -c 'Broken pipe' err) = 2 ]]
}

@test "bash: a large printf whose reader leaves midway is a write that succeeded in part" {
	same leaving 141 bash -c 'printf -v big "%1000000s"; printf "\n%s" "$big"'
	told '["bash","write","stdio","fatal"]'
	# The reader leaves while the write waits, or before it came to that.
	[[ $(broken '(.ret > 0 and .errno == null) or .errno == "EPIPE"') = true ]]
}

@test "PIPESTATUS names the same members, and each has its event" {
	local script='set -o pipefail; yes | cat | sed p | head -n 1; echo "$? ${PIPESTATUS[*]}"'
	run -0 plain bash -c "$script"
	[[ $output = *$'\n141 '* ]]
	local wanted=$output
	run -0 guarded bash -c "$script"
	equal output "$wanted" "$output"
	equal events "$(printf '"%s"\n' cat sed yes)" "$(broken .comm | sort)"
}

@test "git log" {
	requires git
	git init -q -b main r
	cd r
	{
		for n in $(seq 1 2000); do
			printf 'commit refs/heads/main\ncommitter A <a@b> %s +0000\ndata 6\nnumber\n' "$n"
		done
	} | git fast-import --quiet
	same leaving 141 git log
	told '["git","write","stdio","fatal"]'
}

@test "git push to a hook that reads nothing tells of git's own write" {
	requires git
	git init -q -b main r
	git init -q --bare there
	cd r
	git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one
	for n in $(seq 1 3000); do
		echo "create refs/heads/branch-with-a-long-name-$n HEAD"
	done | git update-ref --stdin
	printf '#!/bin/sh\nexit 0\n' >.git/hooks/pre-push
	chmod +x .git/hooks/pre-push
	guarded git push -q ../there 'refs/heads/*'
	# Newer ones try again.
	equal event '["git","write","call","ignored"]' "$(broken '[.comm, .call, .via, .signal]' | sort -u)"
	equal "who ignores it" '["ignored",true]' "$(broken '.disposition | [.state, (.by | test("^git\\+0x"))]' | sort -u)"
}

@test "perl" {
	same leaving 141 perl -e 'print "line\n" while 1'
	told '["perl","write","call","fatal"]'
	same nobody 9 -i perl -e '$| = 1; print "x" or exit 9'
	told '["perl","write","call","ignored"]'
	same nobody 4 perl -e '$SIG{PIPE} = sub { exit 4 }; $| = 1; print "x"; sleep 5'
	told '["perl","write","call","caught"]'
}

@test "python3 ignores SIGPIPE; the line says who did" {
	same leaving 1 "$PYTHON" -c 'import os
while True: os.write(1, b"line\n")'
	equal event '["python3","write","call","ignored"]' "$(broken '[.comm, .call, .via, .signal]' | sort -u)"
	grep -q BrokenPipeError err
	[[ $(broken .disposition.by | sort -u) == *'"python3'*'+0x'* ]]
}

@test "python3 with the default SIGPIPE dies, and the line comes first" {
	same nobody 141 "$PYTHON" -c 'import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.write(1, b"x")'
	told '["python3","write","call","fatal"]'
}

@test "curl -o- | head" {
	requires curl
	head -c 5000000 /dev/zero | tr '\0' '\n' >lines
	# Its message says how much the pipe still took, which is a matter of time.
	same leaving 23 curl -s -o- "file://$DIR/lines"
	equal event '["curl","write","stdio"]' "$(broken '[.comm, .call, .via]' | sort -u)"
	[[ $(broken .signal | sort -u) = '"ignored"' ]]
}

@test "node" {
	requires node
	same leaving 1 node -e 'process.stdout.on("error", e => { console.error(e.code); process.exit(1) });
function more() { while (process.stdout.write("line\n".repeat(10000))); process.stdout.once("drain", more) }
more()'
	equal event '["ignored","pipe"]' "$(broken '[.signal, .kind]' | sort -u)"
	[[ $(broken .comm | sort -u) == '"'@(node|MainThread)'"' ]] # newer ones name their thread
	grep -q EPIPE err
}

@test "java" {
	requires java
	needs_proc "java does not start"
	cat >Lines.java <<-'END'
		class Lines {
			public static void main(String[] args) {
				for (int i = 0; i < 3 || !System.out.checkError() && i < 1000000; i++)
					System.out.println("line " + i);
				System.exit(System.out.checkError() ? 3 : 0);
			}
		}
	END
	same leaving 3 java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC Lines.java
	equal event '["write","call","pipe"]' "$(broken '[.call, .via, .kind]' | sort -u)"
	[[ $(broken .signal | sort -u) = '"ignored"' || $(broken .signal | sort -u) = '"caught"' ]]
}

@test "gzip, tar and dd" {
	head -c 3000000 /dev/urandom >noise
	same nobody 141 gzip -c noise
	equal event '["gzip","write","call"]' "$(broken '[.comm, .call, .via]')"
	[[ $(broken .signal) == '"'@(caught|fatal)'"' ]] # as its version has a handler or none
	same nobody 141 tar cf - noise
	told '["tar","write","call","fatal"]'
	same nobody 141 dd if=noise bs=4096 status=none
	told '["dd","write","call","fatal"]'
}

@test "programs that nobody leaves are no event" {
	guarded yes | head -n 1000000 >/dev/null || :
	rm -f "$LOG"
	guarded seq 1 1000 | cat >/dev/null
	guarded cat /etc/passwd | tail -n 1 >/dev/null
	guarded "$PYTHON" -c 'print("x")' | cat >/dev/null
	[[ -z $(events) ]]
}
