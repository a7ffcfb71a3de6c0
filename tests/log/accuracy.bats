#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# The log never says what is not so: numbers that are used again, signals that come late or not at all, connections that
# begin and end in rare ways, ends that are none.

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	PIPES=-i
	VARS=()
	cd "$BATS_TEST_TMPDIR" || return
}

# here: without what differs from run to run.
here() {
	sed -E 's/127\.0\.0\.1:[0-9]+/HERE/'
}

# lived STATUS MODE...: truth MODE ends with STATUS and prints the same without the library and with it, under $VARS and
# with SIGPIPE as $PIPES says. Its output is in $SAID.
lived() {
	local wanted
	rm -rf "$LOG" fifos
	mkdir fifos
	run plain "$PIPES" "$FIXTURES/truth" "${@:2}"
	((status != 77)) || skip "not with this machine or kernel"
	equal "the status of ${*:2} without the library" "$1" "$status"
	wanted=$(here <<<"$output")
	rm -rf fifos
	mkdir fifos
	run guarded "$PIPES" "${VARS[@]}" "$FIXTURES/truth" "${@:2}"
	SAID=$output
	echo "${*:2}, ${VARS[*]}: $SAID"
	equal "the status" "$1" "$status"
	equal "what it prints" "$wanted" "$(here <<<"$output")"
}

# told FILTER WANTED: of the broken writes, one after the other.
told() {
	equal "$1" "$2" "$(broken "$1" | paste -sd' ')"
}

# ---- a number is not an object ----

@test "an end that a rule made is one socket's: the next file, event counter or pipe under its number is read" {
	local how
	native_only # popen's shell
	for how in close raw dup2; do
		lived 0 next "$how"
		[[ $SAID == 'socket 5'* ]]
		run -0 guarded PIPEGUARD_RULES='recv:kind=unix:when=1:eof' "$FIXTURES/truth" next "$how"
		equal "what it reads under a rule" "${SAID/socket 5/socket 0}" "$output"
		run -0 guarded PIPEGUARD_RULES='%in:kind=unix:when=1:eof' "$FIXTURES/truth" next "$how"
		equal "what it reads under a rule for all calls" "${SAID/socket 5/socket 0}" "$output"
	done
}

@test "a pipe under a number that libc gave back by itself has no story of another's" {
	local how
	native_only # popen's shell
	for how in told-end sent; do
		lived 0 again $how
		told '[.history, (.sent == null or .sent == 0)]' '[[],true]'
		VARS=(PIPEGUARD_RULES=%out:seen=eof:abort)
		lived 0 again $how
		VARS=()
	done
}

@test "nor one under a number that was given back past libc" {
	native_only
	lived 0 again raw
	told '[.history, (.sent == null or .sent == 0)]' '[[],true]'
}

@test "a FIFO that takes the number of a file that was written to has not sent that file's bytes" {
	local how
	glibc_only # stdio's writes
	for how in freopen fclose dup2; do
		lived 0 fifo $how fifos
		told '[.kind, .local, (.sent == null or .sent == 0)]' "[\"pipe\",\"$PWD/fifos/second\",true]"
	done
}

@test "nor so where it was closed, and opened again, past libc" {
	glibc_only
	lived 0 fifo raw fifos
	told '[.kind, .local, (.sent == null or .sent == 0)]' "[\"pipe\",\"$PWD/fifos/second\",true]"
}

@test "PIPEGUARD_LIMIT counts for one object, though its number is another's each time" {
	native_only
	PIPES=-d
	run -141 plain -d "$FIXTURES/truth" limit
	run -0 guarded PIPEGUARD_SIGPIPE=suppress PIPEGUARD_LIMIT=5 "$FIXTURES/truth" limit
	equal "what it says" eight "$output"
	run -141 guarded PIPEGUARD_SIGPIPE=suppress PIPEGUARD_LIMIT=0 "$FIXTURES/truth" limit
}

@test "what closes nothing leaves the story, and its rule breaks the same write: close_range that marks or is refused, dup2, vfork" {
	local how rule
	for how in cloexec refused other dup2 vfork spawn system; do
		[[ $how != s* || $BUILD != */32 && $BUILD != */musl ]] || continue # another library's children
		lived 0 kept $how leave
		told '[.sent, (.again | test("^write:comm=truth:fd=[0-9]:at=1024:when=1:break$"))]' '[1024,true]'
		rule=$(broken .again | jq -r .)
		rm "$LOG"
		run -0 guarded -i PIPEGUARD_RULES="$rule" "$FIXTURES/truth" kept $how stay
		told '[.sent, .injected]' '[1024,true]'
	done
}

@test "Python's subprocesses, which are made by vfork, leave the story of its pipes" {
	native_only
	run -0 guarded "$PYTHON" -c '
import os, subprocess
r, w = os.pipe()
os.write(w, b"a" * 100)
subprocess.run(["true"])
subprocess.run(["cat"], input=b"x", stdout=subprocess.PIPE, close_fds=True)
os.write(w, b"b" * 20)
os.close(r)
try: os.write(w, b"c")
except BrokenPipeError: print("broke")'
	equal "what it says" broke "$output"
	told '[.sent, (.again | test("fd=[0-9]:at=120:"))]' '[120,true]'
}

@test "copies of a descriptor share one story: what was told on the one is told of the other" {
	local how
	for how in dup dup2 dup3 fcntl fdopen; do
		lived 0 copies $how
		[[ $SAID == 'read -1' ]]
		told '[.call, .side, [.history[] | .what], .sent]' '["write","client",["reset"],20]'
	done
}

@test "so does a copy that was made past libc" {
	lived 0 copies raw
	told '[.call, .side, [.history[] | .what], .sent]' '["write","client",["reset"],20]'
}

@test "copies of a descriptor share what a rule did" {
	local how
	for how in dup dup2 fcntl fdopen raw; do
		rm -f "$LOG"
		run -0 guarded -i PIPEGUARD_RULES='%in:side=client:conn=1:reset' "$FIXTURES/truth" ruled $how
		equal "what it reads" 'read -1' "$output"
		told '[.injected, .rule, [.history[] | .what]]' '[true,"r1",["reset"]]'
	done
}

# ---- peers ----

@test "a connection that another process accepted has its peer: inherited, activated, passed" {
	local how
	glibc_only
	for how in passed passed-many inherited inetd activated; do
		lived 0 given $how
		told '[.kind, .side, .peer, [.history[] | .what]]' "[\"tcp\",\"server\",\"${SAID%%$'\n'*}\",[\"reset\"]]"
		[[ $(broken .sent) == null || $(broken .sent) == 0 ]]
	done
}

# fast_open HOW: a connection that HOW opened breaks, and its rule breaks it again.
fast_open() {
	local rule
	lived 0 fast "$1" leave
	told '[.side, .peer, .sent, (.age_ms | type), (.again | test("side=client:conn=1:at=5:"))]' \
		"[\"client\",\"$SAID\",5,\"number\",true]"
	rule=$(broken .again | jq -r .)
	rm "$LOG"
	run -0 guarded -i PIPEGUARD_RULES="$rule" "$FIXTURES/truth" fast "$1" stay
	told '[.side, .sent, .injected]' '["client",5,true]'
	rm "$LOG"
	run guarded -i PIPEGUARD_RULES=connect:refuse "$FIXTURES/truth" fast "$1" stay
	equal "refused by a rule, $1" '"refuse"' "$(events 'select(.ev == "inject") | .action')"
}

@test "a connection by its first bytes (fast open) is a connection: peer, side, age, rules" {
	local how
	for how in sendto sendmsg option; do
		fast_open $how
	done
}

@test "a connection by the first of several messages is one as well" {
	fast_open sendmmsg
}

@test "a connection that was refused or never came about is not connected, and whom it was to is told" {
	local how
	for how in now later; do
		lived 0 refused $how
		told '[.side, .peer, .age_ms, [.history[] | [.what, .call]]]' \
			"[\"client\",\"$SAID\",null,[[\"refused\",\"$([[ $how = later ]] && echo getsockopt || echo connect)\"]]]"
	done
	VARS=(PIPEGUARD_VERBOSE=1)
	lived 0 refused unix fifos/nobody
	equal "the refusal itself" '["connect","fifos/nobody",null]' \
		"$(events 'select(.ev == "refused") | [.call, .peer, .age_ms]')"
	VARS=(PIPEGUARD_VERBOSE=1 PIPEGUARD_FORMAT=text)
	lived 0 refused unix fifos/nobody
	grep -Eq 'connect\([0-9]\) = ECONNREFUSED  unix -> fifos/nobody$' "$LOG"
}

# timed_out HOW CALL: the program was told of it by CALL.
timed_out() {
	lived 0 refused "$1"
	told '[.side, .peer, .age_ms, [.history[] | [.call, .errno]]]' \
		"[\"client\",\"$(tail -1 <<<"$SAID")\",null,[[\"$2\",\"ETIMEDOUT\"]]]"
}

@test "a connect that timed out is told, with its address, and is no connection" {
	timed_out timed-out connect
}

@test "a connect that was on its way and timed out is no connection either" {
	timed_out timed-out-later getsockopt
}

@test "the peer is the one that the second connect reached, not the one that the first did not" {
	local rule
	lived 0 retry leave
	told '[.side, .peer]' "[\"client\",\"$SAID\"]"
	equal "the reset" "\"$SAID\"" "$(events 'select(.ev == "reset") | .peer')"
	rule=$(broken .again | jq -r .)
	rm "$LOG"
	run -0 guarded -i PIPEGUARD_RULES="$rule" "$FIXTURES/truth" retry stay
	told '[.side, .injected]' '["client",true]'
}

@test "a socket that is no more, or never was, connected is not said to be" {
	lived 0 unconnected disconnected
	told '[.side, .peer, .age_ms]' '[null,null,null]'
	lived 0 unconnected never
	told '[.kind, .side, .local, .peer, .age_ms, .sent]' '["tcp",null,null,null,null,0]'
}

@test "a connection that is on its way is not said to be connected" {
	VARS=(PIPEGUARD_RULES=write:kind=tcp:log)
	lived 0 unconnected on-its-way
	equal "while it is on its way" '["client",null]' "$(events 'select(.ev == "inject") | [.side, .age_ms]')"
	VARS=(PIPEGUARD_RULES=write:kind=tcp:log PIPEGUARD_FORMAT=text)
	lived 0 unconnected on-its-way
	[[ $(<"$LOG") == *'rule r1'* && $(<"$LOG") != *', connected'* ]]
}

@test "the process at the other end of a pair is not the one that made the pair" {
	local how
	for how in forked own executed; do
		lived 0 pair $how
		told '[.kind, .peer_pid]' '["unix",null]'
	done
}

@test "the process that a client is connected to is told" {
	run -0 guarded -i "$FIXTURES/truth" server "$PWD/server"
	told '[.side, .peer, .peer_pid]' "[\"client\",\"$PWD/server\",$output]"
}

@test "a close resets nobody while another process, or another number, has the connection" {
	local how
	VARS=(PIPEGUARD_VERBOSE=1)
	for how in forked copied; do
		lived 0 close $how
		equal "what it says" 'answer 5' "$SAID"
		equal "said to be reset, $how" "" "$(events 'select(.ev == "doomed") | .fd')"
	done
	lived 0 close doomed
	equal "what it says" 'answer -1' "$SAID"
	equal "said to be reset" 1 "$(events 'select(.ev == "doomed") | .fd' | grep -c .)"
}

@test "a close resets nobody while the connection is on its way to another process" {
	VARS=(PIPEGUARD_VERBOSE=1)
	lived 0 close passed
	equal "what it says" 'answer 5' "$SAID"
	equal "said to be reset" "" "$(events 'select(.ev == "doomed") | .fd')"
}

@test "a child that was spawned may have the connection: the reset is not promised" {
	VARS=(PIPEGUARD_VERBOSE=1 PIPEGUARD_FORMAT=text)
	lived 0 close spawned
	equal "what it says" 'answer 5' "$SAID"
	[[ $(grep 'with unread bytes' "$LOG") == *'unless a child has it'* ]]
}

# ---- bytes and rules ----

@test "bytes that were written past libc are not said to be none" {
	PIPES=-d
	lived 141 past
	told '[.via, .sent, .again]' '["signal",null,null]'
}

@test "a connection that two processes write on has no count, and its rule breaks the same write" {
	local rule
	lived 0 split reset
	equal "what breaks" 'parent -1' "$(tail -1 <<<"$SAID")"
	told '[.side, .sent, (.again | test("at="))]' '["server",null,false]'
	rule=$(broken .again | jq -r .)
	run guarded -i PIPEGUARD_RULES="$rule" "$FIXTURES/truth" split reset
	equal "what it says under $rule" "0 $SAID" "$status $output"
}

@test "where the program was told nothing before, nothing tells its write from others: there is no such rule" {
	lived 0 split fin
	equal "what breaks" 'parent -1' "$(tail -1 <<<"$SAID")"
	told '[.side, .sent, .again]' '["server",null,null]'
}

@test "the number of a connection in the rule is the one that the rule counts, whatever was connected before" {
	local side rule
	for side in client server; do
		lived 0 numbers $side leave "$PWD/fifos/packets"
		told '[.side, .sent, (.again | test("at=5:"))]' "[\"$side\",5,true]"
		rule=$(broken .again | jq -r .)
		rm -rf "$LOG" fifos/*
		run -0 guarded -i PIPEGUARD_RULES="$rule" "$FIXTURES/truth" numbers $side stay "$PWD/fifos/packets"
		echo "$rule"
		told '[.side, .sent, .injected]' "[\"$side\",5,true]"
		equal "how often the rule fired" 1 "$(events 'select(.ev == "inject") | .rule' | grep -c .)"
	done
}

# ---- what the program was told ----

@test "an ETIMEDOUT that the program was told before it wrote on is in the history" {
	local how call
	for how in recv:recv send:send error:getsockopt; do
		call=${how#*:}
		lived 0 dead "${how%:*}"
		told '[.side, .sent, [.history[] | [.call, .errno]]]' "[\"client\",5,[[\"$call\",\"ETIMEDOUT\"]]]"
	done
}

@test "a read that was asked for nothing, or took a completion, is no end of a stream" {
	local how watched
	for how in 'asked read' 'asked recv' 'asked readv' 'asked vector' 'asked recvmsg' 'asked recvmmsg' completion; do
		for watched in '' ';%in:len=1000000-:error=EIO'; do
			VARS=(PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES="%out:seen=eof:error=EIO$watched")
			# shellcheck disable=SC2086 # words
			lived 0 $how
			told '[.injected, ([.history[] | .what] | index("eof"))]' '[false,null]'
			equal "ends that are told, $how$watched" "" "$(events 'select(.ev == "eof") | .call')"
		done
	done
}

@test "an empty message is no end" {
	local how
	for how in udp dgram seqpacket; do
		VARS=(PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES=send:seen=eof:error=EIO)
		lived 0 empty $how
		told '[.errno, .signal, ([.history[] | .what] | index("eof"))]' '["EPIPE","none",null]'
		equal "ends that are told, $how" "" "$(events 'select(.ev == "eof") | .call')"
	done
}

@test "what stdio was told is told by the program's own place, not libc's" {
	glibc_only
	lived 0 streamed
	[[ $(broken '.history[-1] | .what' | head -1) == '"'* ]]
	equal "places in libc" "" "$(broken '.history[].caller, .stack[0]' | grep -E '"(libc|ld-)' || :)"
}

@test "the length of a message is in its vector, and not said to be 1" {
	VARS=(PIPEGUARD_VERBOSE=1)
	lived 0 message
	[[ $(events 'select(.ev == "eof") | .len') =~ ^(null|30)$ ]]
}

# ---- signals ----

@test "a short count is no broken write: a signal, O_NONBLOCK, a source that ran dry" {
	local how
	for PIPES in -d -i -b; do
		for how in signal signal-writev nonblock nonblock-writev splice tee sendfile; do
			lived 0 short $how
			[[ $SAID == *', alive' ]]
			told .signal ""
		done
	done
}

@test "readers that leave while the call ends: as many events as signals came, no more and no less" {
	local state how
	PIPES=-d
	for state in caught blocked; do
		for how in block nonblock; do
			rm -f "$LOG"
			run -0 guarded -d PIPEGUARD_VERBOSE=1 PIPEGUARD_STACK=1 "$FIXTURES/truth" races 2000 $state $how
			equal "events, $state, $how" "$output" "$(events 'select(.ev == "exit") | .events')"
		done
	done
	rm -f "$LOG"
	run -0 guarded -d PIPEGUARD_VERBOSE=1 PIPEGUARD_STACK=1 "$FIXTURES/truth" races 2000 ignored nonblock
	equal "events, ignored, nonblock" "$output" "$(events 'select(.ev == "exit") | .events')"
}

@test "a reader that leaves midway is a broken write, with its count" {
	PIPES=-d
	lived 141 midway
	told '[.signal, .ret, .len]' '["fatal",65536,1048576]'
	PIPES=-b
	lived 0 midway
	told '[.signal, .ret, .len]' '["blocked",65536,1048576]'
}

@test "so it is where SIGPIPE is ignored, in a program that has threads" {
	lived 0 midway
	told '[.signal, .ret, .len]' '["ignored",65536,1048576]'
}

@test "a send that waited for room breaks without a signal, and is not said to have had one" {
	PIPES=-d
	lived 0 unsignalled
	equal "what came" '-1 EPIPE 0' "$SAID"
	told '[.errno, .signal]' '["EPIPE","none"]'
}

@test "nor so where SIGPIPE is blocked, and none waits" {
	PIPES=-b
	lived 0 unsignalled
	equal "what came" '-1 EPIPE 0' "$SAID"
	told '[.errno, .signal]' '["EPIPE","none"]'
}

@test "a handler of SIGPIPE that breaks by itself: as many events as broken writes" {
	local flags
	PIPES=-d
	VARS=(PIPEGUARD_VERBOSE=1)
	for flags in plain nodefer; do
		lived 0 nested 3 $flags
		equal "broken writes" 4 "$SAID"
		told '[.call, .len]' '["write",9] ["write",5] ["write",5] ["write",5]'
		equal "the count at exit" 4 "$(events 'select(.ev == "exit") | .events')"
	done
}

@test "a timer's handler that breaks among broken writes: the counts at exit are true in every state" {
	local state n=30000
	# An event costs more there, and the timer would not let it through.
	[[ $BITS != 32 ]] || n=2000
	counted() {
		equal "main and handler, $1" "$output" \
			"$(events 'select(.ev == "exit").sites | map(select(.caller | test(" (m_timer|break_inside)$"))) | sort_by(.caller | test("inside")) | map(.count) | join(" ")' | tr -d '"')"
		equal "all of them, $1" $((${output% *} + ${output#* })) "$(events 'select(.ev == "exit") | .events')"
		((${output#* } > 20))
		rm "$LOG"
	}
	for state in ignored caught blocked suppress; do
		case $state in
		ignored) run -0 guarded -i PIPEGUARD_VERBOSE=1 "$FIXTURES/truth" timer $n ;;
		caught) run -0 guarded -d PIPEGUARD_VERBOSE=1 "$FIXTURES/truth" timer $n caught ;;
		blocked) run -0 guarded -b PIPEGUARD_VERBOSE=1 "$FIXTURES/truth" timer $n ;;
		*) run -0 guarded -d PIPEGUARD_VERBOSE=1 PIPEGUARD_SIGPIPE=suppress PIPEGUARD_LIMIT=1000000 \
			"$FIXTURES/truth" timer $n ;;
		esac
		counted $state
	done
}

@test "a signal that was blocked and is let through later is that write's, and is not told as another's" {
	PIPES=-d
	VARS=(PIPEGUARD_VERBOSE=1)
	lived 141 let-through unblock
	told '[.call, .signal]' '["write","blocked"]'
	equal "the death" "[\"write\",$(broken .fd)]" "$(events 'select(.ev == "killed") | [.call, .fd]')"
	VARS=(PIPEGUARD_VERBOSE=1 PIPEGUARD_FORMAT=text)
	lived 141 let-through unblock
	[[ $(<"$LOG") == *'SIGPIPE of write('* && $(<"$LOG") != *'no write broke'* ]]
}

@test "a signal that is let through for the time of a call alone kills as without the library" {
	local how
	PIPES=-d
	for how in suspend pselect ppoll epoll; do
		lived 141 let-through $how
		told '[.call, .signal]' '["write","blocked"]'
		VARS=(PIPEGUARD_SIGPIPE=suppress PIPEGUARD_LIMIT=0)
		lived 141 let-through $how
		VARS=()
	done
}

@test "jumps out of a handler during dprintf, syscall, send or write leave no thread mute" {
	local how
	PIPES=-d
	for how in dprintf raw send write; do
		VARS=(PIPEGUARD_VERBOSE=1)
		lived 0 jumps $how
		equal "events, $how" "$([[ $BUILD = */musl ]] && echo 21 || echo 22)" "$(events 'select(.ev == "exit") | .events')"
		[[ $BUILD == */musl ]] || equal "stdio's and the last one" '["stdio","write","ignored"] ["call","write","ignored"]' \
			"$(broken '[.via, .call, .signal]' | tail -2 | paste -sd' ')"
		VARS=()
	done
	[[ $BUILD != */musl ]] || return 0
	run guarded -d PIPEGUARD_RULES='%stdio:kind=pipe:fd=!0-2:log' "$FIXTURES/truth" jumps dprintf
	equal "a rule for stdio" '["write",10]' "$(events 'select(.ev == "inject" and .via == "stdio") | [.call, .len]' | tail -1 | sed 's/,5\]/,10]/')"
}

# ---- told when it is known ----

@test "the first process of a namespace lives through its broken writes: one event each, and no signal" {
	native_only
	unshare -fp true 2>/dev/null || skip "no namespaces here"
	for vars in PIPEGUARD_SIGPIPE=keep PIPEGUARD_SIGPIPE=suppress PIPEGUARD_RULES='write:fd=!0-2:error=EPIPE'; do
		rm -f "$LOG"
		run timeout "$LIMIT" "$FIXTURES/sigdfl" unshare -fp "$FIXTURES/truth" twice 3>&-
		equal "without the library" $'0 -1\n-1' "$status $output"
		run timeout "$LIMIT" "$FIXTURES/sigdfl" unshare -fp env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$vars" \
			"$FIXTURES/truth" twice 3>&-
		equal "with it" $'0 -1\n-1' "$status $output"
		equal "what is told, $vars" '[1,"none"] [1,"none"]' "$(broken '[.pid, .signal]' | paste -sd' ')"
	done
}

@test "a sandbox that was inherited refuses to queue the signal: the program dies of it all the same, told once" {
	local refused
	native_only
	for refused in 0 1 2 3; do
		rm -f "$LOG"
		run plain -d "$FIXTURES/truth" jail $refused "$FIXTURES/brokenfd" 40 "$FIXTURES/truth" writes 40
		((status != 77)) || skip "no seccomp filters here"
		equal "without the library" 141 "$status"
		run guarded -d "$FIXTURES/truth" jail $refused "$FIXTURES/brokenfd" 40 "$FIXTURES/truth" writes 40
		equal "with it, $refused refused" 141 "$status"
		told '[.fd, .signal]' '[40,"fatal"]'
		rm -f "$LOG"
		run guarded -d PIPEGUARD_SIGPIPE=suppress "$FIXTURES/truth" jail $refused "$FIXTURES/brokenfd" 40 "$FIXTURES/truth" writes 40
		equal "suppressed, $refused refused" '0 "suppressed"' "$status $(broken .signal | head -1)"
	done
}

@test "a program that confines itself has its process and the signal in its lines" {
	PIPES=-d
	lived 141 confined write
	told '[(.pid | type), (.comm | type), (.t | type), .signal]' '["number","string","string","fatal"]'
	PIPES=-i
	lived 0 confined write
	told '[(.pid | type), (.comm | type), (.t | type), (.fd | type)]' '["number","string","string","number"]'
}

@test "a program that confined itself dies of its broken write, whichever call it was" {
	local how
	PIPES=-d
	for how in write writev send sendmsg sendmmsg tee dprintf stdio raw; do
		lived 141 confined $how
		equal "$how" '"fatal"' "$(broken .signal)"
	done
}

# Nothing can be asked about a page of the stack then, and libc's frames may lie on two.
@test "a program that confined itself dies of its broken write, wherever its stack begins" {
	requires setarch
	local pad
	for ((pad = 0; pad < 4096; pad += 64)); do
		rm -f "$LOG"
		run guarded -d PAD="$(printf "%${pad}s")" setarch -R "$FIXTURES/truth" confined send
		((status != 77)) || skip "not with this machine or kernel"
		equal "with $pad bytes more" '141 "send" "fatal"' "$status $(broken '.call, .signal' | paste -sd' ')"
	done
}

@test "a program that only asks about sandboxes, or is refused one, is not taken for confined" {
	local how
	PIPES=-d
	for how in filter mode call flags strict sizes action get; do
		run plain -i "$FIXTURES/truth" probe $how
		((status == 0)) || continue
		rm -f "$LOG"
		run -0 guarded -d PIPEGUARD_SIGPIPE=sockets "$FIXTURES/truth" probe $how
		equal "breaks that it lives through, $how" 3 "$output"
		told '[.signal, (.pid | type), .kind]' '["suppressed","number","unix"] ["suppressed","number","unix"] ["suppressed","number","unix"]'
		rm -f "$LOG"
		run -0 guarded -d PIPEGUARD_RULES='write:kind=unix:nosignal' "$FIXTURES/truth" probe $how
		equal "breaks by a rule, $how" 3 "$(broken .signal | grep -c suppressed)"
		rm -f "$LOG"
		run -141 guarded -d "$FIXTURES/truth" probe $how
		told '[.signal, .kind]' '["fatal","unix"]'
	done
}

@test "MSG_FASTOPEN without an address opens nothing, and is read from nowhere" {
	PIPES=-i
	lived 0 flagged
	equal "what was sent" "5 5 1" "$SAID"
	told '[.side, .sent]' '[null,15]'
}

@test "a datagram that is refused is told whatever flag it has" {
	PIPES=-i
	VARS=(PIPEGUARD_VERBOSE=1)
	lived 0 flagged-refused
	equal "what came" "-1 1" "$SAID"
	equal "the event" '["sendto","udp"]' "$(events 'select(.ev == "refused") | [.call, .kind]')"
}

@test "a program whose clock may not be read gets its errors, not a fault: strict seccomp, PR_SET_TSC" {
	local how
	for how in strict trap; do
		PIPES=-i
		lived 0 counter $how
		equal "events, $how" 1 "$(broken .call | wc -l)"
		PIPES=-d
		lived 141 counter $how
	done
}

@test "where the kernel copies no memory a rule still looks at all that it takes" {
	local file=$BATS_TEST_TMPDIR/file size
	for size in 10 20000; do
		run plain -i "$FIXTURES/truth" lacks dd if=/dev/zero of="$file" bs=$size count=1 status=none
		((status != 77)) || skip "not with this machine or kernel"
		equal "without the library" $size "$(wc -c <"$file")"
		run -0 guarded -i PIPEGUARD_RULES="write:len=$size:drop" "$FIXTURES/truth" lacks \
			dd if=/dev/zero of="$file" bs=$size count=1 status=none
		equal "what arrived" 0 "$(wc -c <"$file")"
	done
}

# ---- last words ----

@test "the exit line comes after what is flushed at exit" {
	native_only
	PIPES=-d
	rm -f "$LOG"
	# shellcheck disable=SC2016 # for the inner shell
	run -141 guarded -d PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES='%stdio:fd=1:break' bash -c 'exec "$@" | cat; exit ${PIPESTATUS[0]}' - \
		"$FIXTURES/truth" flush
	equal "lines of the program" '["load"] ["inject"] ["epipe"] ["exit",1,{"r1":1}]' \
		"$(events 'select(.comm == "truth" and .ev != "module") | if .ev == "exit" then [.ev, .events, .rules] else [.ev] end' | paste -sd' ')"
}

@test "the exit line comes whichever way the program leaves: return, exit, _exit, quick_exit, by SIGPIPE" {
	local how
	for how in return exit _exit _Exit quick_exit; do
		VARS=(PIPEGUARD_VERBOSE=1)
		lived 3 ends $how
		equal "the last line, $how" '["exit",15]' "$(events '[.ev, .events]' | tail -1)"
	done
	VARS=(PIPEGUARD_VERBOSE=1 PIPEGUARD_RULES=write:port=1:reset)
	lived 141 ends killed
	equal "the last line" '["exit",16,{"r1":0}]' "$(events '[.ev, .events, .rules]' | tail -1)"
}

@test "the exit line comes before a program closes the standard error that is the log" {
	native_only
	VARS=(PIPEGUARD_VERBOSE=1 PIPEGUARD_FORMAT=text PIPEGUARD_LOG=stderr PIPEGUARD_RULES='send:port=1:reset')
	run -0 guarded -d "${VARS[@]}" seq 2
	[[ $output == *$'exit: 0 broken writes\n        rule r1 never fired'* ]]
	run -3 guarded -d "${VARS[@]}" "$FIXTURES/truth" closes
	equal "exit lines" 1 "$(grep -c 'exit: ' <<<"$output")"
}

@test "where standard output and the log are one pipe, what is not broken is told" {
	native_only
	VARS=(PIPEGUARD_LOG=stderr PIPEGUARD_FORMAT=text PIPEGUARD_STACK=0)
	# shellcheck disable=SC2016 # for the inner shell
	guarded -d "${VARS[@]}" PIPEGUARD_RULES='%out:fd=1:log' bash -c 'echo a; echo b' 2>&1 | cat >out
	equal "lines of the rule, and of the program" '2 a b' "$(grep -c "rule r1: log on stdio's write(1, 2)" out) $(grep -v pipeguard out | xargs)"
	guarded -d "${VARS[@]}" PIPEGUARD_RULES='%out:fd=1:when=2:break' bash -c 'echo a; echo b' 2>&1 | cat >out
	grep -q "rule r1: break on stdio's write(1, 2)" out
	grep -q 'write(1, 2) = EPIPE, SIGPIPE kills .*INJECTED by r1' out
}

@test "where standard output and the log are one terminal, lines are told" {
	requires script
	native_only
	script -qec "LD_PRELOAD='$LIB' PIPEGUARD_STACK=0 PIPEGUARD_RULES='%out:fd=1:log' bash -c 'echo a; echo b'" /dev/null </dev/null >out 3>&-
	equal "lines of the rule" 2 "$(grep -c "rule r1: log on stdio's write(1, 2)" out)"
}

@test "a log that the program closed does not come back: its descriptors are those without the library" {
	local how
	for how in closefrom close; do
		VARS=(PIPEGUARD_VERBOSE=1)
		lived 0 closed $how
		equal "what it has open" $'before:\nafter:' "$SAID"
		equal "what is told" '"write" "write" "write"' "$(broken .call | paste -sd' ')"
		equal "the count" 3 "$(events 'select(.ev == "exit") | .events')"
	done
}

# ---- small things ----

@test "two threads that write at once: the bytes sent are counted exactly" {
	[[ $BUILD != */32 ]] || skip "the sum may come out low on 32 bits"
	lived 0 crowd
	told .sent 200000
}

@test "a query of SIGPIPE at its default shows what it shows without the library, in every field" {
	for PIPES in -d -i -b; do
		lived 0 asks
	done
}

@test "a seed of 64 bits is told as it was given" {
	run -0 guarded -i PIPEGUARD_SEED=18446744073709551615 PIPEGUARD_RULES='write:kind=pipe:prob=100%:log' "$FIXTURES/truth" kept other leave
	equal "the seed" '"seed":18446744073709551615' "$(grep -o '"seed":[0-9-]*' "$LOG" | sort -u)"
}

@test "the path of a FIFO that is longer than 255 bytes is matched to its end" {
	local long
	native_only
	long=$(printf '%0150d' 0)
	mkdir -p "$long/$long"
	mkfifo "$long/$long/the.fifo"
	# shellcheck disable=SC2016 # for the inner shell
	run -0 guarded PIPEGUARD_RULES="write:path=*/the.fifo:log;other=write:path=*/another.fifo:log" \
		bash -c 'exec 8<>"$1"; "$2" kept other leave; exec "$3" -e "syswrite STDOUT, 1" >&8' - "$long/$long/the.fifo" "$FIXTURES/truth" "$(type -P perl)"
	equal "the rules that fired" '"r1"' "$(events 'select(.ev == "inject") | .rule')"
}

@test "a library for musl leaves glibc's programs alone that a program of musl's starts" {
	[[ $BUILD == */musl ]] || skip "of musl's build alone"
	PIPES=-d
	lived 0 starts true
}
