#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# `again`: each logged break carries a rule. It is taken from the log, the same
# program is run with a peer that stays, and it breaks at the same place: call,
# errno, signal, bytes sent before, and the first frame of the stack.
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# shellcheck disable=SC2016 # the inner shells expand
# shellcheck disable=SC2317 # functions that twice() is given

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	DIR=$BATS_TEST_TMPDIR
	SERVER=
	RULE=()
	cd "$DIR" || return
}

teardown() {
	[[ -z $SERVER ]] || kill "$SERVER" 2>/dev/null || :
}

# place: of the first broken write. $NUMBER: "null" where the number depends on when an earlier
# connection ends.
place() {
	broken '[.comm, .via, .call, '"${NUMBER:-.fd}"', .kind, .side, .errno, .signal, .sent, .ret, .stack[0]]' |
		head -n 1
}

# accepted: every rule of the log is one, and there are some.
accepted() {
	local rule
	[[ $(broken '.again // empty' | grep -c .) -gt 0 ]]
	while read -r rule; do
		"$BUILD/pipeguard" check "$rule" >/dev/null
	done < <(broken '.again // empty' | jq -r .)
}

# twice LEAVES STAYS: runs LEAVES, whose peer goes, and takes the rule of its
# first broken write; STAYS, the same with a peer that stays, breaks nothing by
# itself and breaks there under the rule. $STATUS is the program's, if it sets it.
twice() {
	local before
	STATUS=
	rm -f "$LOG"
	"$1"
	before=$(place)$STATUS
	[[ $before == \[* ]]
	accepted
	RULE=(PIPEGUARD_RULES="$(broken .again | head -n 1 | jq -r .)")
	rm "$LOG"
	STATUS=
	local rule=("${RULE[@]}")
	RULE=()
	"$2"
	equal "what breaks without the rule" "" "$(broken)"
	rm -f "$LOG"
	RULE=("${rule[@]}")
	"$2"
	echo "${RULE[0]}: $before"
	equal "the place" "$before" "$(place)$STATUS"
	equal "injected, by a rule" '[true,"r1"]' "$(broken '[.injected, .rule]' | sort -u)"
	equal "how often the rule fired" 1 "$(events 'select(.ev == "inject") | .rule' | grep -c .)"
	RULE=()
}

# The writer of tests/fixtures/again.c: $HOW on $OBJECT, with SIGPIPE as $MODE says.
leaves() {
	run guarded "$MODE" "${RULE[@]}" "$FIXTURES/again" "$HOW" "$OBJECT" leave
	STATUS=" $status"
}

stays() {
	run guarded "$MODE" "${RULE[@]}" "$FIXTURES/again" "$HOW" "$OBJECT" stay
	STATUS=" $status"
	[[ ${#RULE[@]} -gt 0 ]] || equal "the status of $HOW on $OBJECT, with a peer that stays" 0 "$status"
}

# each OBJECT CALL...
each() {
	OBJECT=$1
	MODE=${MODE:--d}
	for HOW in "${@:2}"; do
		echo "$HOW on $OBJECT"
		twice leaves stays
	done
}

@test "every call that writes breaks again on a socket pair" {
	each pair write send sendto writev pwritev2 sendmsg sendmmsg sendfile splice dprintf
}

@test "every call that writes breaks again on a pipe" {
	each pipe write writev pwritev2 sendfile splice tee vmsplice dprintf
}

@test "stdio breaks again, in the midst and at the flush at exit" {
	glibc_only
	each pair stdio exit
	each pipe stdio exit
}

@test "syscall(2) breaks again: rules on the call reach it" {
	each pair raw
	equal "by which gate" '"signal"' "$(broken .via)"
	MODE=-i
	each pipe raw
}

@test "a FIFO, and a pipe under a number that was used before" {
	each "fifo=$DIR/fifo" write writev
	each dup write
	equal "what is known of the bytes sent, and the rule" \
		'[3000,"write:comm=again:fd=20:at=3000:when=1:break"]' "$(broken '[.sent, .again]')"
}

@test "what was sent before a pipe broke in the midst of a call is counted alike, whoever makes it" {
	local call
	glibc_only
	for call in write writev fwrite dprintf; do # which alone goes on behind the first rule's part
		rm -f "$LOG"
		run guarded PIPEGUARD_RULES='%out:at=2000:limit=1:short=1;%out:at=9000:break' \
			"$FIXTURES/steps" -w unseen=pipe catch $call=1000 $call=1000 $call=20000
		equal "$call: sent before, taken then, the place of both" \
			"$([[ $call = dprintf ]] && echo '[2001,6999,"9000"]' || echo '[2000,1,"2001"]')" \
			"$(broken 'select(.ret > 0) | [.sent, .ret, (.again | capture(":at=(?<at>[0-9]+):").at)]')"
	done
}

@test "a client's first and third connection, over IPv4, IPv6 and unix sockets" {
	for OBJECT in client-tcp client-tcp3 client-tcp6 client-unix2; do
		each "$OBJECT" send write
	done
}

@test "a server's first and third connection, over IPv4, IPv6 and unix sockets" {
	for OBJECT in server-tcp server-tcp3 server-tcp6 server-unix2; do
		each "$OBJECT" send writev
	done
}

@test "with SIGPIPE ignored, or blocked, as well" {
	for MODE in -i -b; do
		each pipe write
		each server-tcp2 send
	done
}

@test "a number counts in each process anew: what a child connects after its parent did" {
	native_only
	child() {
		run guarded "${RULE[@]}" "$PYTHON" -c '
import os, signal, socket, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
server = socket.create_server(("127.0.0.1", 0))
first = socket.create_connection(server.getsockname())
if os.fork() == 0:
    mine = socket.create_connection(server.getsockname())
    if sys.argv[1] == "leave":
        mine.shutdown(socket.SHUT_WR)
    mine.send(b"x")
    os._exit(0)
sys.exit(os.wait()[1])' "$1"
		STATUS=" $status"
	}
	child_leaves() { child leave; }
	child_stays() { child stay; }
	twice child_leaves child_stays
}

# ---- real programs ----

# Readers for a pipeline: one that leaves, one that stays.
LEAVING='{ read -r line; exec <&-; sleep 0.3; }'

# One that leaves, nothing read, once the pipe is full and the writer waits for room.
LEAVING_FULL='perl -e '\''
	for (1 .. 1000) {
		ioctl STDIN, 0x541b, $n = pack "L", 0;
		last if unpack("L", $n) >= 60000;
		select undef, undef, undef, 0.01;
	}'\'

# pipeline MODE PROGRAM ARGS: into what leaves, or stays; its status.
pipeline() {
	local mode=$1 status=0
	shift
	if [[ ${READER:-} = leaves ]]; then
		{ guarded "$mode" "${RULE[@]}" "$@" 2>err || echo $? >status; } | eval "$LEAVING" || :
	else
		{ guarded "$mode" "${RULE[@]}" "$@" 2>err || echo $? >status; } | cat >/dev/null
	fi
	[[ ! -e status ]] || status=$(<status)
	rm -f status
	STATUS=" $status"
}

in_a_pipeline() {
	local command=("$@")
	program_leaves() { READER=leaves pipeline "${command[@]}"; }
	program_stays() { READER=stays pipeline "${command[@]}"; }
	twice program_leaves program_stays
}

@test "seq, dd, perl, python3 and curl in a pipeline" {
	native_only
	in_a_pipeline -d seq 1000000
	in_a_pipeline -d perl -e 'print "line\n" while $i++ < 100000'
	# Some write so much at once that the reader leaves in its midst, which nobody tells where a handler (Python's of
	# SIGINT) may have cut it short.
	in_a_pipeline -d "$PYTHON" -c 'import signal
signal.signal(2, signal.SIG_DFL)
out = open(1, "w", buffering=8192)
for i in range(100000): print(i, file=out)'
	printf 'line\n%.0s' {1..100000} >lines
	in_a_pipeline -d dd if=lines bs=4000 status=none
	in_a_pipeline -d curl -sS -o- "file://$DIR/lines"
	in_a_pipeline -i perl -e 'print "line\n" or die while $i++ < 100000'
}

@test "a large write whose reader leaves midway breaks midway again: the same count, the same signal" {
	native_only
	local mode LEAVING=$LEAVING_FULL
	for mode in -d -i; do
		in_a_pipeline "$mode" perl -e 'syswrite STDOUT, "x" x 300000'
		equal "the event" '[true,null]' "$(broken '[.ret > 4096, .errno]')"
	done
	# A handler (Python's of SIGINT) could have cut it short: then nothing is told of it.
	in_a_pipeline -i "$PYTHON" -c 'import os, signal; signal.signal(2, signal.SIG_DFL); os.write(1, b"x" * 300000)'
	in_a_pipeline -d "$FIXTURES/numbers" -c 300000
	equal "the event of stdio" '["stdio",true,null]' "$(broken '[.via, .ret > 4096, .errno]')"
	in_a_pipeline -i "$FIXTURES/numbers" -c 300000
	equal "where stdio goes on by itself" '["stdio","EPIPE"]' "$(broken '[.via, .errno]' | sort -u)"
}

@test "the handler of a program that catches SIGPIPE runs once when it breaks midway, as by itself" {
	native_only
	local LEAVING=$LEAVING_FULL
	caught() {
		in_a_pipeline -d perl -e '$SIG{PIPE} = sub { $n++ };
			$got = syswrite STDOUT, "x" x 300000; exit 40 + $n + ($got > 4096)'
	}
	caught
	equal "the status" " 42" "$STATUS"
	equal "the signal" '"caught"' "$(broken .signal)"
}

@test "in a bash script with several children the rule reaches all and hits the one" {
	native_only
	script() {
		guarded "${RULE[@]}" bash -c "perl -e 'print qq(line\n) x 30000' | cat >perl.out
			seq 100000 | $1
			seq 3 >file; cat file | cat >cat.out
			printf 'end\n' | cat >end.out"
		cat perl.out cat.out end.out | cksum >"$2"
	}
	script_leaves() { script "$LEAVING" one; }
	script_stays() { script 'cat >/dev/null' two; }
	twice script_leaves script_stays
	equal "who broke" '"seq"' "$(broken .comm)"
	equal "what the others wrote" "$(<one)" "$(<two)"
}

@test "a shell builtin in a pipeline" {
	native_only
	builtin_leaves() {
		guarded "${RULE[@]}" bash -c "{ echo a; sleep 0.3; echo b; echo c; } | { read -r a; exec <&-; sleep 0.5; }"
	}
	builtin_stays() {
		guarded "${RULE[@]}" bash -c "{ echo a; echo b; echo c; } | cat >/dev/null"
	}
	twice builtin_leaves builtin_stays
}

@test "python3 in C's clothes: a FIFO and sockets under numbers that were used before" {
	native_only
	cat >writer.py <<-'END'
		import os, socket, sys
		how, leaves = sys.argv[1], sys.argv[2] == "leave"
		if how == "fifo":
		    if not os.path.exists("fifo"):
		        os.mkfifo("fifo")
		    r = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
		    os.set_blocking(r, True)
		    w = os.open("fifo", os.O_WRONLY)
		elif how == "pipe":
		    r, w = os.pipe()
		else:
		    r, w = (s.detach() for s in socket.socketpair())
		if os.fork() == 0:
		    os.close(w)
		    n = 3000 if leaves else 1 << 20
		    while n > 0:
		        got = len(os.read(r, min(n, 4096)))
		        n -= got or n
		    os._exit(0)
		os.close(r)
		for i in range(5):
		    if leaves and i == 3:
		        os.wait()
		    os.write(w, b"x" * 1000)
	END
	local how
	for how in fifo pipe pair; do
		python_leaves() { guarded "${RULE[@]}" "$PYTHON" writer.py "$how" leave 2>err || STATUS=" $?"; }
		python_stays() { guarded "${RULE[@]}" "$PYTHON" writer.py "$how" stay 2>err || STATUS=" $?"; }
		twice python_leaves python_stays
		grep -q BrokenPipeError err
	done
}

# ---- servers ----

# in_background PROGRAM ARGS: $SERVER is its pid.
in_background() {
	rm -f out
	"$FIXTURES/sigdfl" -d timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" \
		PIPEGUARD_FORMAT=json "${RULE[@]}" "$@" >out 2>&1 </dev/null 3>&- &
	SERVER=$!
}

ended() {
	! kill -0 "$SERVER" 2>/dev/null
}

up() {
	plain "$FIXTURES/steps" connect="$PORT" | grep -q ' 0 -$' || ended
}

# on_a_port COMMAND: starts a server at $PORT, which may have been taken meanwhile.
on_a_port() {
	local try
	for try in 1 2 3 4 5; do
		PORT=$("$FIXTURES/steps" -q listen=tcp)
		"$1"
		wait_for up
		! ended && return
		echo "try $try: $(cat out)"
	done
	return 1
}

stop() {
	kill "$SERVER"
	wait "$SERVER" || :
	SERVER=
}

start_nginx() {
	mkdir -p www tmp
	[[ -e www/big ]] || head -c 16777216 /dev/zero >www/big
	: >access
	nginx_conf "$DIR" \
		"access_log $DIR/access;" \
		"sendfile on;" \
		"server {" \
		"listen 127.0.0.1:$PORT;" \
		"root $DIR/www;" \
		"}"
	in_background "${NGINX[@]}"
}

# A client that left before nginx came to answer; one that reads it all.
nginx_leaves() {
	local worker
	on_a_port start_nginx
	worker=$(pgrep -P "$(<pid)")
	kill -STOP "$worker"
	plain "$FIXTURES/steps" connect="$PORT" text=$'GET /big HTTP/1.0\r\n\r\n' close >/dev/null
	kill -CONT "$worker"
	wait_for test -s access
	stop
}

nginx_stays() {
	on_a_port start_nginx
	plain "$FIXTURES/steps" connect="$PORT" text=$'GET /big HTTP/1.0\r\n\r\n' all >/dev/null
	wait_for test -s access
	stop
}

@test "nginx: the second connection, at the same byte of its answer" {
	native_only
	requires nginx
	NUMBER=null twice nginx_leaves nginx_stays
}

start_redis() {
	in_background redis-server --bind 127.0.0.1 --port "$PORT" --save '' --appendonly no \
		--dir "$DIR" --client-output-buffer-limit normal 0 0 0
}

redis() {
	plain redis-cli -p "$PORT" "$@" >/dev/null
}

# redis_story STEP...: what the third client does while redis is busy with its command.
redis_story() {
	on_a_port start_redis
	redis SETRANGE big 1000000 x
	plain "$FIXTURES/steps" connect="$PORT" text=$'PING\r\n' recv=7 \
		text=$'EVAL "for i = 1, 20000000 do end" 0\r\nGET big\r\n' shut "$@" >/dev/null
	redis PING
	stop
}

redis_leaves() { redis_story reset; }
redis_stays() { redis_story all; }

@test "redis-server: the third connection, after its first seven bytes" {
	native_only
	requires redis-server redis-cli
	twice redis_leaves redis_stays
}

# ---- what it looks like ----

@test "again is null where no rule reaches: an inline system call, a plugin loaded with RTLD_DEEPBIND" {
	glibc_only
	run guarded "$FIXTURES/plugin" deepbind "$FIXTURES/plugin.so"
	equal "a plugin" '["signal",null]' "$(broken '[.via, .again]')"
	run guarded PIPEGUARD_RULES='%out:break' "$FIXTURES/plugin" deepbind "$FIXTURES/plugin.so"
	equal "what a rule does to it" "" "$(events 'select(.ev == "inject")')"
	rm "$LOG"
	run guarded "$FIXTURES/call" unix
	[[ $BITS = 32 ]] || equal "rows without a rule" '"signal"' "$(broken 'select(.again == null) | .via' | sort -u)"
	equal "breaks of a wrapped call without a rule" "" \
		"$(broken 'select(.again == null and .via != "signal")')"
	accepted
}

@test "a datagram socket's rule names the caller, for there is no offset" {
	native_only
	run guarded -i "$PYTHON" -c '
import socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.shutdown(socket.SHUT_WR)
a.send(b"x")'
	[[ $(broken .again) =~ ^'"send:comm=python3:fd='[0-9]+':caller=python3'.*'+0x'[0-9a-f]+':when=1:break"'$ ]]
	accepted
}

@test "names that the grammar would trip over are globs, long ones cut" {
	native_only
	local name='a:b;c,[d]*!"ef'
	cp "$FIXTURES/numbers" "$name"
	guarded "./$name" 100000 | eval "$LEAVING" || :
	[[ $(broken .again) =~ ^'"%stdio:comm=a?b?c??d????ef:fd=1:at='[0-9]+':when=1:break"'$ ]]
	accepted
	name=$(printf 'long%.0s' {1..40})
	cp "$FIXTURES/numbers" "$name"
	rm "$LOG"
	program_leaves() { READER=leaves pipeline -d "./$name" 100000; }
	program_stays() { READER=stays pipeline -d "./$name" 100000; }
	twice program_leaves program_stays
}

@test "the line 'again: RULE' of the text is a rule, too" {
	run -141 guarded PIPEGUARD_FORMAT=text "$FIXTURES/again" send client-tcp3 leave
	cat "$LOG"
	equal "the line" '        again: send:comm=again:side=client:conn=3:at=3000:when=1:break' \
		"$(grep again: "$LOG")"
	"$BUILD/pipeguard" check "$(sed -n 's/^ *again: //p' "$LOG")"
}
