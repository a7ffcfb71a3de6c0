#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the classic test server Cynic does, as rules on a client whose server is healthy.
# What the client sees, step by step, is what it sees of tests/fixtures/cynic.py, which
# does the same on the wire.
#
#   Cynic                  rules for the client
#   HTTPHtmlResponse       none: what matches nothing changes nothing
#   HTTPJsonResponse       none
#   HTTPNoBodyResponse     %in:port=P:at=HEADERS:eof            HEADERS: their length in bytes; if the client writes on
#                          ... ;%out:port=P:seen=eof:when=2+:break    as to a server that has closed
#   HTTPSlowResponse       %in:port=P:at=HEADERS:trickle=1/20ms (without at=: the headers, too)
#   RSTResponse            %in:port=P:at=0:reset
#   RandomDataResponse     %in:port=P:garbage;%in:port=P:at=7:reset   the client spoke first
#                          %in:port=P:garbage;%in:port=P:at=7:eof;%out:port=P:seen=eof:when=2+:break   it did not
#   NoResponse             %in:port=P:stall
#   LogRecordHandler       %out:kind=unix:at=BYTES:break        broken in the middle of a record
# shellcheck disable=SC2030,SC2031,SC2034 # what run and alike set and read, by a helper

load ../helpers
load ../peers

setup_file() {
	mkdir "$BATS_FILE_TMPDIR/s"
	peers_up
	peers_up -6
	peers_up -d "$BATS_FILE_TMPDIR/s"
}

teardown_file() {
	peers_down
}

setup() {
	native_only
	MODE=()
	# Of HTTP/1.0 200 OK with Content-Length and either page: what comes before the page.
	HTML_HEADERS=78
	BARE_HEADERS=58
	JSON_HEADERS=85
}

# ---- untouched ----

# untouched NAME PATH
untouched() {
	local at rules
	at=$(port "$1")
	rules="%in:port=1:reset;%out:port=$at:when=1000:break;connect:peer=10.0.0.1:refuse;%in:port=$at:at=1M:eof"
	equal "what python sees" "$(outcome plain "$PYTHON" "$SOURCE/see.py" "$at" get="$2" read)" \
		"$(outcome guarded PIPEGUARD_RULES="$rules" "$PYTHON" "$SOURCE/see.py" "$at" get="$2" read)"
	plain curl -sSi "http://127.0.0.1:$at$2" >"$BATS_TEST_TMPDIR/wanted"
	guarded PIPEGUARD_RULES="$rules" curl -sSi "http://127.0.0.1:$at$2" >"$BATS_TEST_TMPDIR/got"
	cmp "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/got"
	grep -q 'Hello, World!' "$BATS_TEST_TMPDIR/got"
	[[ -z $(events) ]]
}

@test "HTTPHtmlResponse: with rules for others, byte for byte the page" {
	requires curl
	untouched html /
}

@test "HTTPJsonResponse: with rules for others, byte for byte the message" {
	requires curl
	untouched json /json
}

# ---- RSTResponse ----

@test "RSTResponse: recv is told of a reset, then of the end; every write breaks" {
	alike '%in:port=@:at=0:reset' "$(port rst)" "$(port greet)" \
		"$PYTHON" "$SOURCE/see.py" @ patience=0.2 one one write
	[[ $SEEN == *'recv ConnectionResetError ECONNRESET'*'recv 0'*'EPIPE'*'EPIPE'* ]]
	equal "what fired" '["recv","reset"]' "$(injected '[.call, .action]')"
}

@test "RSTResponse over IPv6, to a C client: SIGPIPE" {
	alike '%in:port=@:at=0:reset' "$(port rst -6)" "$(port greet -6)" \
		"$FIXTURES/steps" connect=6:@ recv=10 recv=10 send=5
	[[ $SEEN == *'recv=10 -1 ECONNRESET'*'recv=10 0 -'*'status 141' ]]
}

@test "RSTResponse met by a write: send is told ECONNRESET, the next one breaks" {
	local at wanted
	at=$(port greet)
	wanted=$(outcome plain "$FIXTURES/steps" connect="$(port rst)" dead send=5 send=5 | grep -v dead)
	SEEN=$(outcome guarded PIPEGUARD_RULES="%out:port=$at:reset" "$FIXTURES/steps" connect="$at" send=5 send=5)
	equal "what the client saw" "$wanted" "$SEEN"
	[[ $SEEN == *'send=5 -1 ECONNRESET'*'status 141' ]]
	equal "events" $'["inject",null]\n["reset","ECONNRESET"]\n["epipe","EPIPE"]' "$(events '[.ev, .errno]')"
}

# ---- HTTPSlowResponse ----

# slow_page FLAG STEP...: on a busy machine a real server's bytes may arrive by twos, the rule's never.
slow_page() {
	local wanted at
	at=$(port site "$1")
	wanted=$(outcome plain "$PYTHON" "$SOURCE/see.py" "$(port slow "$1")" "${@:2}" get=/json read one)
	SEEN=$(outcome guarded PIPEGUARD_RULES="%in:port=$at:at=$JSON_HEADERS:trickle=1/20ms" \
		"$PYTHON" "$SOURCE/see.py" "$at" "${@:2}" get=/json read one)
	printf 'really:\n%s\n\nby the rule:\n%s\n' "$wanted" "$SEEN"
	equal "what the client saw" "$(grep -v ^pieces <<<"$wanted")" "$(grep -v ^pieces <<<"$SEEN")"
	grep -q "^pieces $JSON_HEADERS 1 1 1 " <<<"$wanted"
	equal pieces "pieces $JSON_HEADERS$(printf ' 1%.0s' {1..29})" "$(grep ^pieces <<<"$SEEN")"
	[[ $SEEN == *'Hello, World!'*'end EOF'*'status 0' ]]
}

@test "HTTPSlowResponse: the headers, then one byte at a time" {
	slow_page ""
}

@test "HTTPSlowResponse over IPv6 to a client that waits with poll" {
	slow_page -6 six timeout=5
}

# The wait is spent inside the call, so a client's own clock is not asked in between: a client that
# runs out of patience with a real server may not do so here.
@test "HTTPSlowResponse to curl: the whole page" {
	requires curl
	local at
	at=$(port site)
	SEEN=$(outcome guarded PIPEGUARD_RULES="%in:port=$at:at=$JSON_HEADERS:trickle=1/5ms" curl -sSi "http://127.0.0.1:$at/json")
	equal "what curl saw" "$(outcome plain curl -sSi "http://127.0.0.1:$(port slow)/json")" "$SEEN"
	[[ $SEEN == *'Hello, World!'*'status 0' ]]
	equal "how often it waited" '[20,"trickle=1/5ms"]' "$(injected 'select(.repeated > 10) | [.repeated, .action]')"
}

# ---- HTTPNoBodyResponse ----

@test "HTTPNoBodyResponse: headers and the end; one write is taken, the next breaks" {
	alike "%in:port=@:at=$BARE_HEADERS:eof;%out:port=@:seen=eof:when=2+:break" \
		"$(port no_body)" "$(port site)" "$PYTHON" "$SOURCE/see.py" @ patience=0.3 get=/open read one write
	[[ $SEEN == *"pieces $BARE_HEADERS"$'\n'*'end EOF'*'send 1'*'send BrokenPipeError EPIPE'* ]]
	equal "what fired" $'["recv","eof"]\n["send","break"]' "$(injected '[.call, .action]')"
}

@test "HTTPNoBodyResponse with a length: curl misses the rest, by its error 18" {
	requires curl
	alike "%in:port=@:at=$HTML_HEADERS:eof" "$(port no_body)" "$(port site)" curl -sSi http://127.0.0.1:@/
	[[ $SEEN == *'curl: (18) '*' 49 bytes '*'status 18' ]]
}

@test "HTTPNoBodyResponse over IPv6: curl takes it for an empty page" {
	requires curl
	alike "%in:port=@:at=$BARE_HEADERS:eof" "$(port no_body -6)" "$(port site -6)" curl -sSi 'http://[::1]:@/bare'
	[[ $SEEN == *'Content-Type: text/html'*'status 0' && $SEEN != *Hello* ]]
}

# ---- RandomDataResponse ----

# random_data RULES SERVER HEALTHY STEP...: alike, but for the bytes, which are no answer.
random_data() {
	local rules=$1 bad=$2 well=$3 wanted
	shift 3
	wanted=$(outcome plain "$PYTHON" "$SOURCE/see.py" "$bad" "$@" | grep -v '^bytes')
	outcome guarded PIPEGUARD_RULES="${rules//@/$well}" "$PYTHON" "$SOURCE/see.py" "$well" "$@" >"$BATS_TEST_TMPDIR/seen"
	cat "$BATS_TEST_TMPDIR/seen"
	equal "what the client saw" "$wanted" "$(grep -v '^bytes' "$BATS_TEST_TMPDIR/seen")"
	grep -q '^pieces 7$' "$BATS_TEST_TMPDIR/seen"
	grep '^bytes' "$BATS_TEST_TMPDIR/seen" >"$BATS_TEST_TMPDIR/bytes"
	run grep -E 'HTTP|220' "$BATS_TEST_TMPDIR/bytes"
	((status == 1))
}

@test "RandomDataResponse to a client that spoke: seven bytes of garbage, then a reset" {
	random_data '%in:port=@:garbage;%in:port=@:at=7:reset' "$(port random_heard)" "$(port site)" \
		get=/ read one write
	grep -q 'end ECONNRESET' "$BATS_TEST_TMPDIR/seen"
}

@test "RandomDataResponse to a client that listens: garbage, the end, one write taken, the next breaks" {
	random_data '%in:port=@:garbage;%in:port=@:at=7:eof;%out:port=@:seen=eof:when=2+:break' \
		"$(port random)" "$(port greet)" read one write
	grep -q 'end EOF' "$BATS_TEST_TMPDIR/seen"
}

@test "RandomDataResponse: the same seed, the same garbage; another one, other garbage" {
	local at seen=() seed
	at=$(port site)
	for seed in 1 1 2; do
		seen+=("$(outcome guarded PIPEGUARD_SEED=$seed \
			PIPEGUARD_RULES="%in:port=$at:garbage;%in:port=$at:at=7:eof" "$PYTHON" "$SOURCE/see.py" "$at" get=/ read)")
	done
	equal "the same seed" "${seen[0]}" "${seen[1]}"
	[[ ${seen[0]} != "${seen[2]}" ]]
}

@test "RandomDataResponse to curl is no HTTP" {
	requires curl
	alike '%in:port=@:garbage;%in:port=@:at=7:eof' "$(port random)" "$(port site)" curl -sS http://127.0.0.1:@/
	[[ $SEEN == *'Received HTTP/0.9 when not allowed'*'status 1' ]]
}

# ---- NoResponse ----

@test "NoResponse to a client that waits with poll: its own time is up, and nothing spun" {
	alike '%in:port=@:stall' "$(port no_response)" "$(port site)" \
		"$PYTHON" "$SOURCE/see.py" @ timeout=0.3 get=/ one one write cpu
	[[ $SEEN == *'recv '@(TimeoutError|timeout)' timeout'*'send 1'*'send 1'*waited* ]]
	[[ $(injected .call | grep -c .) -lt 10 ]]
}

@test "NoResponse over IPv6 to a client that waits in recv: its own time is up" {
	alike '%in:port=@:stall' "$(port no_response -6)" "$(port site -6)" \
		"$PYTHON" "$SOURCE/see.py" @ six patience=0.3 get=/ one one write cpu
	[[ $SEEN == *'recv BlockingIOError EAGAIN'*'recv BlockingIOError EAGAIN'*waited* ]]
	equal "the first stall" '["recv","stall"]' "$(injected '[.call, .action]' | head -n 1)"
}

@test "NoResponse to a client whose server speaks first" {
	alike '%in:port=@:stall' "$(port no_response)" "$(port greet)" \
		"$PYTHON" "$SOURCE/see.py" @ timeout=0.3 one write cpu
	[[ $SEEN == *'recv '@(TimeoutError|timeout)' timeout'*waited* ]]
}

@test "NoResponse to curl: error 28, though the answer came and the server left, and nothing spun" {
	requires curl
	alike '%in:port=@:stall' "$(port no_response)" "$(port site)" curl -sS --max-time 0.5 http://127.0.0.1:@/
	[[ $SEEN == *'with 0 bytes received'*'status 28' ]]
	[[ $(injected '.repeated' | sort -n | tail -n 1) -lt 10 ]]
}

@test "NoResponse to node, which waits with epoll: nothing spun" {
	requires node
	local at
	at=$(port site)
	SEEN=$(outcome guarded PIPEGUARD_RULES="%in:port=$at:stall" timeout -s KILL 1 node "$SOURCE/http.js" "$at")
	echo "$SEEN"
	[[ $SEEN == *'status 137' && $SEEN != *answer* ]]
	[[ $(injected '.repeated' | sort -n | tail -n 1) -lt 10 ]]
}

@test "NoResponse from the start: nobody answers the connect" {
	requires curl
	local at
	at=$(port site)
	run guarded PIPEGUARD_RULES="connect:port=$at:stall" curl -sS --connect-timeout 0.3 "http://127.0.0.1:$at/"
	echo "$output"
	((status == 28))
	equal "what fired" '["connect","stall"]' "$(injected '[.call, .action]')"
}

# ---- LogRecordHandler ----

# recorded N: that many connections have ended.
recorded() {
	[[ -e $1/records && $(wc -l <"$1/records") -ge $2 ]]
}

@test "LogRecordHandler: a record broken in the middle is half there, the handler drops it" {
	local at=$BATS_FILE_TMPDIR/s size
	rm -f "$at/records"
	alike '%out:kind=unix:at=1000:break' "$at/hurried" "$at/log" "$PYTHON" "$SOURCE/logs.py" @ 1000000
	size=$(awk '{ print $2; exit }' <<<"$SEEN") # more than its text, in each version of Python
	((size > 1000000))
	equal seen "$(printf "record $size dropped\n%.0s" 1 2 3)"$'\nstatus 0' "$SEEN"
	wait_for recorded "$at" 4
	equal "what arrived" "$(printf '1000\n1000\n1000\n%s' $((3 * size)))" "$(sort -n "$at/records")"
	equal "what broke" "$(printf '["send","unix","EPIPE","ignored",1000,true]\n%.0s' 1 2 3)" \
		"$(broken '[.call, .kind, .errno, .signal, .sent, .injected]')"
	equal "of whom" "\"$at/log\"" "$(broken .peer | sort -u)"
}

@test "LogRecordHandler: only the first connection is broken, the records after it arrive" {
	local at=$BATS_FILE_TMPDIR/s size
	rm -f "$at/records"
	SEEN=$(guarded PIPEGUARD_RULES='%out:kind=unix:side=client:conn=1:at=20:break' "$PYTHON" "$SOURCE/logs.py" "$at/log" 100)
	size=$(awk '{ print $2; exit }' <<<"$SEEN")
	((size > 100))
	equal seen "record $size dropped"$'\n'"record $size kept"$'\n'"record $size kept" "$SEEN"
	wait_for recorded "$at" 2
	equal "what arrived" $'20\n'$((2 * size)) "$(sort -n "$at/records")"
	equal "what fired" '["send","break"]' "$(injected '[.call, .action]')"
}
