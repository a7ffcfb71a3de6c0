#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers whose clients disconnect in the middle of an answer: who it was, since
# when and how far it got is told; the server goes on as before.
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper

load ../helpers

BIG=$((16 << 20))

setup() {
	DIR=$BATS_TEST_TMPDIR
	SERVER=
}

teardown() {
	[[ -z $SERVER ]] || kill "$SERVER" 2>/dev/null || :
}

# free_port: one that the kernel just gave out.
free_port() {
	"$FIXTURES/steps" -q listen=tcp
}

# in_background HOW PROGRAM ARGS: $SERVER is its pid; HOW is guarded or plain.
in_background() {
	local library=()
	rm -f "$DIR/out"
	[[ $1 = plain ]] || library=(LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json)
	"$FIXTURES/sigdfl" -d timeout "$LIMIT" env "${library[@]}" "${@:2}" \
		>"$DIR/out" 2>&1 </dev/null 3>&- &
	SERVER=$!
}

stop() {
	kill "$SERVER"
	wait "$SERVER" || :
	SERVER=
}

# c_server HOW ADDRESS ARGS: the small one; $PORT is where it listens.
c_server() {
	in_background "$1" "${VERBOSE[@]}" "$FIXTURES/server" "${@:2}"
	wait_for test -s "$DIR/out"
	PORT=$(head -n 1 "$DIR/out")
}

# served N: it has finished with N clients.
served() {
	[[ $(wc -l <"$DIR/out") -gt $1 ]]
}

# client STEP...: unguarded; $OURS is the port it used.
client() {
	plain "$FIXTURES/steps" "$@" >"$DIR/client"
	OURS=$(sed -n 's/^local \(.*\) -$/\1/p' "$DIR/client")
}

@test "a C server: each departed client is named, how old it was and how far it got" {
	local ours=() n
	c_server guarded tcp "$BIG"
	for n in 1 2 3; do
		client connect="$PORT" send=4 recv=100 local close
		ours+=("127.0.0.1:$OURS")
		wait_for served "$n"
	done
	equal peers "$(printf '%s\n' "${ours[@]}")" "$(broken .peer | tr -d '"')"
	equal events '[1,"reset"]
[1,"epipe"]' "$(events 'select(.peer == "127.0.0.1:'"$OURS"'") | [1, .ev]')"
	equal event '["write","server","ignored","EPIPE",true,true,[["reset","write"]]]' "$(broken '
		[.call, .side, .signal, .errno, .sent > 0 and .sent < '$BIG', .age_ms >= 0,
		(.history | map([.what, .call]))]' | sort -u)"
	equal local "\"127.0.0.1:$PORT\"" "$(broken .local | sort -u)"
	equal "who ignores SIGPIPE" '["ignored",true]' "$(broken \
		'.disposition | [.state, (.by | test("^server\\+0x"))]' | sort -u)"
}

@test "a C server serves on after that, as without the library" {
	local how
	for how in plain guarded; do
		c_server "$how" tcp "$BIG"
		client connect="$PORT" send=4 recv=100 close
		wait_for served 1
		client connect="$PORT" send=4 all
		grep -qx "all $BIG -" "$DIR/client"
		wait_for served 2
		stop
		tail -n +2 "$DIR/out" >"$DIR/out.$how"
	done
	equal output "$(<"$DIR/out.plain")" "$(<"$DIR/out.guarded")"
	equal "what was served" $'part EPIPE\nall -' "$(<"$DIR/out.plain")"
}

@test "a C server over IPv6 with a thread for each client: every peer once" {
	local pids=() n ours
	c_server guarded tcp6 -t "$BIG"
	for n in 1 2 3 4 5 6; do
		plain "$FIXTURES/steps" connect="6:$PORT" send=4 recv=100 local close \
			>"$DIR/client.$n" &
		pids+=($!)
	done
	wait "${pids[@]}"
	wait_for served 6
	ours=$(sed -n 's/^local \(.*\) -$/[::1]:\1/p' "$DIR"/client.* | sort)
	equal peers "$ours" "$(broken .peer | tr -d '"' | sort)"
	[[ $(broken .tid | sort -u | wc -l) = 6 ]]
}

@test "a C server over a unix socket names the client's process" {
	c_server guarded "$DIR/socket" "$BIG"
	plain "$FIXTURES/steps" connect="$DIR/socket" send=4 recv=100 close >/dev/null
	wait_for served 1
	equal event '["unix","server","ignored","EPIPE",true,true]' \
		"$(broken '[.kind, .side, .signal, .errno, .peer_pid > 0, .sent > 0]')"
	equal local "\"$DIR/socket\"" "$(broken .local)"
}

@test "a C server that keeps the default SIGPIPE dies of the client, and the line says of which" {
	local status=0
	c_server guarded tcp -d "$BIG"
	client connect="$PORT" send=4 recv=100 local close
	wait "$SERVER" || status=$?
	SERVER=
	equal status 141 "$status"
	equal event "[\"fatal\",\"server\",\"127.0.0.1:$OURS\"]" "$(broken '[.signal, .side, .peer]')"
}

@test "as text: accepted, from where, how many bytes" {
	VERBOSE=(PIPEGUARD_FORMAT=text)
	c_server guarded tcp "$BIG"
	client connect="$PORT" send=4 recv=100 local close
	wait_for served 1
	cat "$LOG"
	grep -Eq "^pipeguard\[[0-9]+:[0-9]+ server\] write\([0-9]+, 16384\) = EPIPE, SIGPIPE ignored  tcp 127\.0\.0\.1:$PORT <- 127\.0\.0\.1:$OURS, accepted [0-9.]+ [mµun]*s ago, [0-9]+ bytes sent" "$LOG"
	grep -Eq '^        write\(\) returned ECONNRESET [0-9.]+ [mµun]*s before, in ' "$LOG"
}

@test "verbose: a close with unread bytes dooms the peer, and that is told" {
	VERBOSE=(PIPEGUARD_VERBOSE=1)
	c_server guarded tcp 10
	client connect="$PORT" send=4000 local dead
	wait_for served 1
	equal doomed "[\"close\",3996,\"127.0.0.1:$OURS\",\"server\",10]" \
		"$(events 'select(.ev == "doomed") | [.call, .unread, .peer, .side, .sent]')"
	[[ $(events 'select(.ev == "doomed") | .stack[0]') == '"server+0x'* ]]
}

@test "verbose: a close with everything read dooms nobody; without verbose nothing is told" {
	VERBOSE=(PIPEGUARD_VERBOSE=1)
	c_server guarded tcp 10
	client connect="$PORT" send=4 recv=100 close
	wait_for served 1
	[[ -n $(events 'select(.ev == "load")') ]]
	[[ -z $(events 'select(.ev == "doomed")') ]]
	stop
	rm "$LOG"
	VERBOSE=()
	c_server guarded tcp 10
	client connect="$PORT" send=4000 dead
	wait_for served 1
	[[ -z $(events) ]]
}

# answers: something takes connections at $PORT.
answers() {
	plain "$FIXTURES/steps" connect="$PORT" | grep -q ' 0 -$'
}

ended() {
	! kill -0 "$SERVER" 2>/dev/null
}

up() {
	answers || ended
}

# on_a_port COMMAND...: that starts a server at $PORT, which somebody may have
# taken since the kernel gave it out.
on_a_port() {
	local try
	for try in 1 2 3 4 5; do
		PORT=$(free_port)
		"$@"
		wait_for up
		! ended && return
		echo "try $try: $(cat "$DIR/out")"
	done
	return 1
}

start_nginx() {
	mkdir -p "$DIR/www" "$DIR/tmp"
	[[ -e $DIR/www/big ]] || head -c "$BIG" /dev/zero >"$DIR/www/big"
	nginx_conf "$DIR" \
		"log_format short '\$connection \$remote_addr:\$remote_port \$status \$request';" \
		"access_log $DIR/access short;" \
		"sendfile $SENDFILE;" \
		"server {" \
		"listen 127.0.0.1:$PORT;" \
		"root $DIR/www;" \
		"}"
	in_background "$1" "${NGINX[@]}"
}

requests() {
	[[ $(wc -l <"$DIR/access") -ge $1 ]]
}

# nginx_story HOW: two clients that leave with the answer half read, one that
# left before nginx came to answer, and one that stays.
nginx_story() {
	local n worker
	: >"$DIR/access"
	: >"$DIR/errors"
	on_a_port start_nginx "$1"
	for n in 1 2; do
		client connect="$PORT" text="GET /big?$n HTTP/1.0"$'\r\n\r\n' recv=100 close
		wait_for requests "$n"
	done
	worker=$(pgrep -P "$(<"$DIR/pid")")
	kill -STOP "$worker"
	client connect="$PORT" text=$'GET /big?3 HTTP/1.0\r\n\r\n' local close
	kill -CONT "$worker"
	wait_for requests 3
	plain curl -s --max-time 10 "http://127.0.0.1:$PORT/big?4" -o "$DIR/answer"
	cmp "$DIR/answer" "$DIR/www/big"
	wait_for requests 4
	stop
}

# nginx_says: the peer and errno of each write that broke, by its own two logs.
nginx_says() {
	awk 'NR == FNR { peer["*" $1] = $2; next }
		/\(\) failed \((32|104):/ {
			print peer[$5], ($0 ~ /\(32:/ ? "EPIPE" : "ECONNRESET")
		}' "$DIR/access" "$DIR/errors"
}

# nginx_told SENDFILE CALL
nginx_told() {
	requires nginx curl
	local wanted
	SENDFILE=$1
	nginx_story plain
	wanted=$(cut -d' ' -f3- "$DIR/access")
	nginx_story guarded
	equal "the access log" "$wanted" "$(cut -d' ' -f3- "$DIR/access")"
	equal events "$(nginx_says)" "$(events 'select(.ev == "epipe" or .ev == "reset")
		| "\(.peer) \(.errno)"' | tr -d '"')"
	equal "the third" "[\"$2\",\"EPIPE\",\"ignored\",\"server\",true,true]" "$(broken \
		'select(.peer == "127.0.0.1:'"$OURS"'")
		| [.call, .errno, .signal, .side, .sent > 0, .age_ms >= 0]')"
	equal "who called" '[true]' "$(broken '[.stack[0] | test("^nginx\\+0x")]' | sort -u)"
}

@test "nginx with sendfile: every client that it met a broken write with, as its own log says" {
	nginx_told on sendfile64
}

@test "nginx without sendfile" {
	nginx_told off writev
}

start_redis() {
	in_background "$1" redis-server --bind 127.0.0.1 --port "$PORT" --save '' --appendonly no \
		--dir "$DIR" --client-output-buffer-limit normal 0 0 0
}

redis() {
	plain redis-cli -p "$PORT" "$@"
}

# redis_story HOW: a client that leaves while redis is busy with its first command.
redis_story() {
	on_a_port start_redis "$1"
	redis SETRANGE big 1000000 x
	client connect="$PORT" text=$'PING\r\n' recv=7 \
		text=$'EVAL "for i = 1, 20000000 do end" 0\r\nGET big\r\n' local shut reset
	redis STRLEN big
	redis PING
	redis SETRANGE big 5 y
	wait_for redis_alone
	stop
}

redis_alone() {
	[[ $(redis CLIENT LIST | wc -l) = 1 ]]
}

@test "redis-server: the departed client is named, redis serves on" {
	requires redis-server redis-cli
	local wanted
	wanted=$(redis_story plain)
	redis_story guarded >"$DIR/replies"
	equal replies "$wanted" "$(<"$DIR/replies")"
	equal event "[\"EPIPE\",\"ignored\",\"127.0.0.1:$OURS\",\"server\",7,true]" "$(broken \
		'[.errno, .signal, .peer, .side, .sent, .age_ms > 0]')"
	[[ $(broken '.call') = '"write"' || $(broken .call) = '"writev"' ]]
	[[ $(broken '.stack[0]') == '"redis-'* ]]
}
