#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The two stories, caused by a rule on a client whose server is healthy: what the client
# sees is what it sees of a server that really resets, or of a port that really refuses.
#
#   story 1, a reset is told by recv, swallowed, and the next write breaks   %in:port=PORT:reset
#   ... instead of the answer, though it waits to be read already            %in:port=PORT:at=0:reset
#   ... on the first connection alone                                        %in:port=PORT:conn=1:at=0:reset
#   story 2, a connect is refused, and the client writes anyway              connect:port=PORT:refuse
#   the server ends, the first write is taken, the second one breaks         %in:port=PORT:at=BYTES:eof;%out:port=PORT:seen=eof:when=2+:break
# shellcheck disable=SC2030,SC2031,SC2034 # what run and alike set and read, by a helper

load ../helpers
load ../peers

setup_file() {
	peers_up
	peers_up -6
}

teardown_file() {
	peers_down
}

setup() {
	native_only
	DIR=$BATS_TEST_TMPDIR
	SERVER=
	MODE=()
}

teardown() {
	[[ -z $SERVER ]] || kill "$SERVER" 2>/dev/null || :
}

# told CALL PEER SIGNAL WHAT: one rule fired on PEER, and the first write that broke then
# broke of that, after the client was told WHAT ("reset recv").
told() {
	equal "what fired" '["r1",true]' "$(injected '[.rule, .injected]')"
	equal "the broken write" "[\"$1\",\"EPIPE\",\"$3\",\"$2\",true,\"r1\",\"client\",\"$4\"]" "$(
		broken '[.call, .errno, .signal, .peer, .injected, .rule, .side,
			(.history[0] | "\(.what) \(.call)")]' | head -n 1)"
}

# ---- story 1 ----

# c_story_1 FLAG ADDRESS-PREFIX HOST
c_story_1() {
	local at
	at=$(port greet "$1")
	alike '%in:port=@:at=0:reset' "$(port rst_heard "$1")" "$at" \
		"$FIXTURES/steps" connect="$2@" send=10 recv=100 recv=100 peername send=50
	[[ $SEEN == *'recv=100 -1 ECONNRESET'*'recv=100 0 -'*'name -1 ENOTCONN'*'status 141' ]]
	told send "$3:$at" fatal "reset recv"
}

@test "story 1 in C: recv is told ECONNRESET, the next send breaks, SIGPIPE kills" {
	c_story_1 "" "" 127.0.0.1
}

@test "story 1 in C over IPv6" {
	c_story_1 -6 6: "[::1]"
}

# A client that asks poll first never reads with nothing there: for it, at=0.
@test "story 1 in C by the short rule: nothing waits to be read, so the first recv is told" {
	local at wanted steps=(send=10 recv=100 recv=100 peername send=50)
	at=$(port silent)
	wanted=$(outcome plain "$FIXTURES/steps" connect="$(port rst_heard)" "${steps[@]}")
	SEEN=$(outcome guarded PIPEGUARD_RULES="%in:port=$at:reset" "$FIXTURES/steps" connect="$at" "${steps[@]}")
	equal "what the client saw" "$wanted" "$SEEN"
	told send "127.0.0.1:$at" fatal "reset recv"
}

@test "story 1 in C over a unix socket" {
	local at=$DIR/healthy real=$DIR/real wanted steps
	steps=(send=10 readable recv=100 recv=100 peername send=50)
	peer "$real" get=1 close
	peer "$at" get=10 text=hello all
	wanted=$(outcome plain "$FIXTURES/steps" connect="$real" "${steps[@]}")
	SEEN=$(outcome guarded PIPEGUARD_RULES="%in:kind=unix:at=0:reset" "$FIXTURES/steps" connect="$at" "${steps[@]}")
	# The stand-in for a unix socket has no name of its peer's (libpipeguard(7)).
	equal "what the client saw" "${wanted/length $((${#real} + 3))/length 2}" "${SEEN//healthy/real}"
	[[ $SEEN == *'recv=100 -1 ECONNRESET'*'status 141' ]]
	equal "what fired" '"r1"' "$(injected .rule)"
	equal "the broken write" '["send","EPIPE","fatal",true,"reset recv"]' "$(
		broken '[.call, .errno, .signal, .injected, (.history[0] | "\(.what) \(.call)")]')"
}

@test "story 1 in Python: swallowed, then BrokenPipeError" {
	alike '%in:port=@:at=0:reset' "$(port rst_heard)" "$(port greet)" \
		"$PYTHON" "$SOURCE/see.py" @ get=/ one write
	[[ $SEEN == *'recv ConnectionResetError ECONNRESET'*'send BrokenPipeError EPIPE'*'status 0' ]]
	told send "127.0.0.1:$(port greet)" ignored "reset recv"
}

@test "story 1 in Python with the default SIGPIPE: 141, and nothing said" {
	alike '%in:port=@:at=0:reset' "$(port rst_heard)" "$(port greet)" \
		"$PYTHON" "$SOURCE/see.py" @ default get=/ one write
	[[ $SEEN == *'recv ConnectionResetError ECONNRESET'*'status 141' && $SEEN != *BrokenPipe* ]]
	told send "127.0.0.1:$(port greet)" fatal "reset recv"
}

@test "story 1 over IPv6 in Python that waits with poll, the answer being there" {
	alike '%in:port=@:at=0:reset' "$(port rst_heard -6)" "$(port site -6)" \
		"$PYTHON" "$SOURCE/see.py" @ six timeout=5 get=/ one write
	told send "[::1]:$(port site -6)" ignored "reset recv"
}

@test "as text the story is the one that a real reset tells, but for who is to blame" {
	local line
	line=$(port greet)
	run -141 guarded PIPEGUARD_FORMAT=text PIPEGUARD_RULES="%in:port=$line:at=0:reset" \
		"$FIXTURES/steps" connect="$line" send=10 recv=100 send=50
	cat "$LOG"
	grep -Eq "^pipeguard\[[0-9]+:[0-9]+ steps\] rule r1: reset on recv\(3, 100\)  tcp 127\.0\.0\.1:[0-9]+ -> 127\.0\.0\.1:$line, " "$LOG"
	grep -Eq "^pipeguard\[[0-9]+:[0-9]+ steps\] send\(3, 50\) = EPIPE, SIGPIPE kills  tcp 127\.0\.0\.1:[0-9]+ -> 127\.0\.0\.1:$line, connected .* ago, 10 bytes sent \(INJECTED by r1\)$" "$LOG"
	grep -Eq '^        recv\(\) returned ECONNRESET .* before, in .*, and the program wrote on$' "$LOG"
}

@test "curl: a reset instead of the answer is its error 56" {
	requires curl
	alike '%in:port=@:at=0:reset' "$(port rst_heard)" "$(port site)" curl -sS http://127.0.0.1:@/
	[[ $SEEN == *'Recv failure: Connection reset by peer'*'status 56' ]]
	equal "what fired" '["recv","reset","r1"]' "$(injected '[.call, .action, .rule]')"
	equal "writes that broke" "" "$(broken)"
}

@test "curl --retry recovers from a reset of the first connection alone" {
	requires curl
	local at
	at=$(port site)
	run guarded PIPEGUARD_RULES="%in:side=client:port=$at:conn=1:at=0:reset" \
		curl -sS --retry 2 --retry-all-errors "http://127.0.0.1:$at/name"
	((status == 0))
	equal output "site" "${lines[-1]}"
	[[ $output == *'(56) Recv failure: Connection reset by peer'* ]]
	equal "what fired" 1 "$(injected .rule | grep -c .)"
}

@test "node: a reset is an error event, nothing is thrown and nothing breaks" {
	requires node
	alike '%in:port=@:at=0:reset' "$(port rst_heard)" "$(port site)" node "$SOURCE/http.js" @
	equal seen $'request ECONNRESET read\nclosed\nstatus 0' "$SEEN"
	equal "what fired" '["read","reset"]' "$(injected '[.call, .action]')"
}

@test "node writes on after the server's end: the first is taken, the second is an EPIPE event" {
	requires node
	local at
	peer tcp get=18 text=hello close
	at=$(port greet)
	SEEN=$(outcome plain node "$SOURCE/net.js" "$PORT")
	# Which of the two that tell of the error comes first differs by version.
	equal "what a real end does" $'closed\nend\nerror EPIPE write\nfirst taken\nsecond EPIPE\nstatus 0' "$(sort <<<"$SEEN")"
	equal "what the rules do" "$SEEN" "$(outcome guarded \
		PIPEGUARD_RULES="%in:port=$at:at=5:eof;%out:port=$at:seen=eof:when=2+:break" node "$SOURCE/net.js" "$at")"
	equal "what fired" $'["read","eof"]\n["write","break"]' "$(injected '[.call, .action]')"
	equal "the broken write" '["write","EPIPE","ignored",true,"eof read",1]' "$(broken '[.call, .errno,
		.signal, .injected, (.history[0] | "\(.what) \(.call)", .sent_since)]')"
}

@test "psql: a reset instead of the rows is a lost connection" {
	requires psql
	local where="host=127.0.0.1 port=@ user=test dbname=test"
	[[ $(plain psql "${where//@/$(port postgres)}" -Atc 'select 1') = 1 ]]
	alike '%in:port=@:at=16:reset' "$(port postgres_rst)" "$(port postgres)" psql "$where" -Atc 'select 1'
	[[ $SEEN == *'server closed the connection unexpectedly'*'status 2' ]]
	equal "what fired" '["recv","reset"]' "$(injected '[.call, .action]')"
}

# ---- story 2 ----

# c_story_2 FLAG ADDRESS-PREFIX HOST FAMILY
c_story_2() {
	local at
	at=$(port greet "$1")
	alike 'connect:port=@:refuse' "$(refused "$4")" "$at" \
		"$FIXTURES/steps" connect="$2@" peername recv=1 send=50
	[[ $SEEN == *'-1 ECONNREFUSED'*'status 141' ]]
	told send "$3:$at" fatal "refused connect"
	alike 'connect:port=@:refuse' "$(refused "$4")" "$at" \
		"$FIXTURES/steps" nonblock="$2@" peername recv=1 send=50
	[[ $SEEN == *'-1 ECONNREFUSED'*'status 141' ]]
	told send "$3:$at" fatal "refused getsockopt"
}

@test "story 2 in C, waiting and not: connect is refused, the send breaks" {
	c_story_2 "" "" 127.0.0.1 tcp
}

@test "story 2 in C over IPv6" {
	c_story_2 -6 6: "[::1]" tcp6
}

@test "story 2 in Python: swallowed, then BrokenPipeError; with the default SIGPIPE 141" {
	local at
	at=$(port greet)
	alike 'connect:port=@:refuse' "$(refused)" "$at" "$PYTHON" "$SOURCE/see.py" @ one write
	[[ $SEEN == 'connect ConnectionRefusedError ECONNREFUSED'*'send BrokenPipeError EPIPE'*'status 0' ]]
	told send "127.0.0.1:$at" ignored "refused connect"
	alike 'connect:port=@:refuse' "$(refused)" "$at" "$PYTHON" "$SOURCE/see.py" @ default one write
	told send "127.0.0.1:$at" fatal "refused connect"
}

@test "curl: a refused connect is its error 7" {
	requires curl
	alike 'connect:port=@:refuse' "$(refused)" "$(port site)" curl -sS http://127.0.0.1:@/
	[[ $SEEN == *'Failed to connect'*'status 7' ]]
	equal "what fired" '["connect","refuse",true]' "$(injected '[.call, .action, .injected]')"
}

@test "curl with two transfers at once: the one whose port is refused fails, the other has its page" {
	requires curl
	alike 'connect:port=@:refuse' "$(refused)" "$(port site)" curl -sS --no-progress-meter --parallel \
		http://127.0.0.1:@/name "http://127.0.0.1:$(port other)/name"
	[[ $SEEN == *'(7)'*other* ]]
	equal "what fired" "\"127.0.0.1:$(port site)\"" "$(injected .peer)"
}

@test "curl goes on to the next address of a name: one refused costs nothing" {
	requires curl
	local at
	at=$(port site)
	run guarded PIPEGUARD_RULES="connect:peer=[::1]:refuse" \
		curl -sS --resolve "both:$at:[::1],127.0.0.1" "http://both:$at/name"
	((status == 0))
	equal output site "$output"
	equal "what fired" "\"[::1]:$at\"" "$(injected .peer)"
}

@test "node: a refused connect is an error event" {
	requires node
	alike 'connect:port=@:refuse' "$(refused)" "$(port site)" node "$SOURCE/http.js" @
	equal seen $'request ECONNREFUSED connect\nclosed\nstatus 0' "$SEEN"
}

@test "psql: a refused connect, and with two hosts the second one serves" {
	requires psql
	local at
	at=$(port postgres)
	alike 'connect:port=@:refuse' "$(refused)" "$at" \
		psql "host=127.0.0.1 port=@ user=test dbname=test" -Atc 'select 1'
	[[ $SEEN == *'Connection refused'*'status 2' ]]
	rm "$LOG"
	run guarded PIPEGUARD_RULES="connect:port=$at:conn=1:refuse" psql \
		"host=127.0.0.1,127.0.0.1 port=$at,$at user=test dbname=test" -Atc 'select 1'
	((status == 0))
	equal output 1 "$output"
	equal "what fired" 1 "$(injected .rule | grep -c .)"
}

# ---- servers that are clients: nginx, redis ----

listening() {
	plain "$FIXTURES/steps" connect="$PORT" | grep -q ' 0 -$'
}

up() {
	listening || ! kill -0 "$SERVER" 2>/dev/null
}

# on_a_port COMMAND...: that starts $SERVER at $PORT, which somebody may have taken
# since the kernel gave it out.
on_a_port() {
	local try
	for try in 1 2 3 4 5; do
		PORT=$(refused)
		"$@"
		wait_for up
		listening && return
		echo "try $try: $(cat "$DIR/errors")"
	done
	return 1
}

# start_nginx FIRST SECOND RULES: a proxy that turns to SECOND where FIRST fails.
start_nginx() {
	local library=()
	[[ -z $3 ]] || library=(LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json PIPEGUARD_RULES="$3")
	mkdir -p "$DIR/tmp"
	nginx_conf "$DIR" \
		"access_log off;" \
		"upstream two {" \
		"server 127.0.0.1:$1 max_fails=0;" \
		"server 127.0.0.1:$2 backup;" \
		"}" \
		"server {" \
		"listen 127.0.0.1:$PORT;" \
		"location / { proxy_pass http://two; }" \
		"}"
	: >"$DIR/errors"
	"$FIXTURES/sigdfl" timeout "$LIMIT" env "${library[@]}" \
		"${NGINX[@]}" >"$DIR/out" 2>&1 </dev/null 3>&- &
	SERVER=$!
}

# proxied FIRST [RULES]: the answers to two requests, and what the error log says.
proxied() {
	on_a_port start_nginx "$1" "$(port other)" "$2"
	plain curl -sS --max-time 10 "http://127.0.0.1:$PORT/name"
	plain curl -sS --max-time 10 "http://127.0.0.1:$PORT/name"
	kill "$SERVER"
	wait "$SERVER" || :
	SERVER=
	sed -n 's/.*\[error\].*: \*[0-9]* //p' "$DIR/errors" | neutral
}

# nginx_fails_over RULES REAL WORDS
nginx_fails_over() {
	requires nginx curl
	local wanted at
	at=$(port site)
	wanted=$(proxied "$2")
	equal "both healthy" $'site\nsite' "$(proxied "$at")"
	SEEN=$(proxied "$at" "${1//@/$at}")
	echo "$SEEN"
	equal "the answers and the error log" "$wanted" "$SEEN"
	[[ $SEEN == $'other\nother\n'*"$3"*"$3"* ]]
	equal "what fired" "$(printf '["client","127.0.0.1:%s"]\n' "$at" "$at")" "$(injected '[.side, .peer]')"
}

@test "nginx, its first upstream refused: the second one answers, the error log says why" {
	nginx_fails_over 'connect:port=@:refuse' "$(refused)" 'connect() failed (111: Connection refused)'
}

@test "nginx, its first upstream reset: the second one answers, the error log says why" {
	nginx_fails_over '%in:port=@:at=0:reset' "$(port rst_heard)" 'recv() failed (104: Connection reset by peer)'
}

start_redis() {
	timeout "$LIMIT" redis-server --bind 127.0.0.1 --port "$PORT" --save '' --appendonly no \
		--dir "$DIR" >"$DIR/errors" 2>&1 </dev/null 3>&- &
	SERVER=$!
}

@test "redis-cli: a reset of each answer, and a refused connect, are its errors" {
	requires redis-server redis-cli
	on_a_port start_redis
	alike '%in:port=@:at=0:reset' "$(port rst_heard)" "$PORT" redis-cli -p @ PING
	equal seen $'Error: Connection reset by peer\nstatus 1' "$SEEN"
	alike 'connect:port=@:refuse' "$(refused)" "$PORT" redis-cli -p @ PING
	[[ $SEEN == 'Could not connect to Redis at 127.0.0.1:PORT: Connection refused'*'status 1' ]]
}

@test "redis-cli connects again when only the first connection is reset" {
	requires redis-server redis-cli
	on_a_port start_redis
	printf 'SET a 1\nINCR a\n' >"$DIR/commands"
	SEEN=$(guarded PIPEGUARD_RULES="%in:port=$PORT:conn=1:at=0:reset" \
		redis-cli -p "$PORT" <"$DIR/commands" 2>&1) || :
	echo "$SEEN"
	equal "what fired" '["recv","reset"]' "$(injected '[.call, .action]')"
	# It makes the second connection for the first command again, or for the next one; before 6.2 it ends.
	[[ $SEEN == $'OK\n2' || $SEEN == $'Error: Connection reset by peer'?($'\n'[12]) ]]
}

# Multipath TCP: one program on both ends, over the loopback.
mptcp_pair='
import errno, socket, sys
MPTCP = 262
try:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
except OSError:
    sys.exit(77)
listener.bind(("127.0.0.1", 0))
listener.listen()
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
client.connect(listener.getsockname())
server, _ = listener.accept()
server.sendall(b"hello")
server.shutdown(socket.SHUT_WR)
client.settimeout(5)
for call in (lambda: client.send(b"x"), lambda: client.recv(5), lambda: client.send(b"x"), lambda: client.send(b"x"), lambda: client.recv(5)):
    try:
        got = call()
        print(got if isinstance(got, int) else len(got), end=" ")
    except OSError as e:
        print(errno.errorcode[e.errno], end=" ")
server.settimeout(5)
try:
    print(len(server.recv(1)), len(server.recv(1)))
except OSError as e:
    print(errno.errorcode[e.errno])
'

@test "multipath TCP: a reset at a read and at a write is told as the kernel tells one, and the peer gets it" {
	requires python3
	run timeout 20 python3 -c "$mptcp_pair"
	[ "$status" -ne 77 ] || skip "no multipath TCP in this kernel"
	equal "without the library" "1 5 1 1 0 1 1" "$output"
	run guarded -i PIPEGUARD_RULES='%in:side=client:when=1:reset' python3 -c "$mptcp_pair"
	equal "at a read" "1 ECONNRESET EPIPE EPIPE 0 ECONNRESET" "${lines[0]}"
	equal "the broken writes" '["send","EPIPE",0,true,"reset recv"]' \
		"$(broken '[.call, .errno, .unread, .injected, (.history[0] | "\(.what) \(.call)")]' | sort -u)"
	rm "$LOG"
	run guarded -i PIPEGUARD_RULES='%out:side=client:when=2:reset' python3 -c "$mptcp_pair"
	equal "at a write" "1 5 ECONNRESET EPIPE 0 ECONNRESET" "${lines[0]}"
}
