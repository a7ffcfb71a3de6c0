#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Test suites that cut their database while they run, and Toxiproxy's scenarios as rules: all against a real redis.

load ../helpers

setup_file() {
	install_launcher
	command -v redis-server >/dev/null || return 0
	# The port is the kernel's; who comes first has it.
	for _ in 1 2 3; do
		REDIS=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
		redis-server --port "$REDIS" --bind 127.0.0.1 --save '' --dir "$BATS_FILE_TMPDIR" >"$BATS_FILE_TMPDIR/redis" 2>&1 3>&- &
		SERVER=$!
		export REDIS SERVER
		wait_for ready && return
		kill "$SERVER" 2>/dev/null || :
	done
	cat "$BATS_FILE_TMPDIR/redis"
	return 1
}

ready() {
	redis-cli -p "$REDIS" ping >/dev/null 2>&1
}

teardown_file() {
	[[ -z ${SERVER-} ]] || kill "$SERVER"
}

setup() {
	native_only
	requires redis-server redis-cli python3
}

# suite COMMAND...: it passes under the page, with pipeguard by its path.
suite() {
	cd "$ROOT/tests/examples" || return
	PIPEGUARD=$PIPEGUARD PYTHONDONTWRITEBYTECODE=1 launch run --control "$BATS_TEST_TMPDIR/page" -o "$LOG" -j -- "$@"
}

@test "Python's unittest: redis is cut in the middle of a transaction, and the recovery is checked" {
	run suite python3 -m unittest test_redis
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'Ran 3 tests'*'OK'* ]]
	[ "$(events 'select(.ev == "inject") | .rule' | sort | uniq -c | xargs)" = '2 cut 2 down' ]
}

@test "node:test: the same" {
	requires node
	node -e 'import("node:test").then(() => 0, () => process.exit(1))' || skip "this node has no node:test"
	run suite node redis.test.mjs
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'pass 2'* ]]
	[ "$(events 'select(.ev == "inject") | .rule' | sort | uniq -c | xargs)" = '2 cut' ]
}

# postgres_up FOLDER: a PostgreSQL of its own in FOLDER, its process in $POSTGRES, its port in $PGPORT; or no success.
postgres_up() {
	local bin=/usr/lib/postgresql as=()
	bin=$(dirname "$(command -v initdb || find -L "$bin" /usr/bin -maxdepth 3 -name initdb | sort -V | tail -1)")
	[[ -x $bin/initdb && -x $bin/postgres ]] || skip "initdb is not installed"
	if [[ $(id -u) = 0 ]]; then # it does not run as root
		id postgres >/dev/null 2>&1 || skip "there is no user postgres"
		as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
		chown postgres "$1"
	fi
	cd "$1" || return
	"${as[@]}" timeout 60 "$bin/initdb" -D "$1/data" -U test -A trust --no-sync --locale=C >"$BATS_TEST_TMPDIR/initdb" 2>&1 3>&- || return
	for _ in 1 2 3; do # who comes first has the port
		PGPORT=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
		"${as[@]}" "$bin/postgres" -D "$1/data" -F -p "$PGPORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
			-c shared_buffers=1MB >"$BATS_TEST_TMPDIR/postgres" 2>&1 3>&- &
		POSTGRES=$!
		export PGHOST=127.0.0.1 PGPORT PGUSER=test
		answers() { ! kill -0 "$POSTGRES" 2>/dev/null || psql -XtA -d postgres -c 'SELECT 1' >/dev/null 2>&1; }
		wait_for answers
		kill -0 "$POSTGRES" 2>/dev/null && return
	done
	cat "$BATS_TEST_TMPDIR/postgres"
	return 1
}

@test "a shell script: PostgreSQL is cut in the middle of a transaction, and where the answer to COMMIT comes" {
	requires psql setpriv
	local folder status=0
	folder=$(mktemp -d)
	postgres_up "$folder" || status=$?
	((status)) || run suite sh postgres.sh
	kill -QUIT "$POSTGRES"
	wait "$POSTGRES" || :
	cd "$BATS_TEST_TMPDIR" && rm -r "$folder"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^ok: ' <<<"$output")" -eq 6 ]
	[ "$(events 'select(.ev == "inject" and .rule == "cut") | .comm' | sort | uniq -c | xargs)" = '4 psql' ]
}

# toxic NAME: the rule that the manual gives for it, for this server.
toxic() {
	awk -v name="$1" '$1 == ".It" && $3 == name { here = 1 } here && $1 == ".Dl" { $1 = ""; print substr($0, 2); exit }' \
		"$ROOT/shim/libpipeguard.7" | sed "s/6379/$REDIS/g"
}

# meets NAME: what a client that asks for 3000 bytes meets under that rule, which fires.
meets() {
	local rule
	rule=$(toxic "$1")
	[ -n "$rule" ] || return
	redis-cli -p "$REDIS" set big "$(printf '%3000s' x)" >/dev/null
	timeout "$LIMIT" "$PIPEGUARD" run --require-fired -o off -r "$rule" python3 -c 'if True:
		import os, socket
		s = socket.socket()
		s.settimeout(2)
		try:
		    s.connect(("127.0.0.1", int(os.environ["REDIS"])))
		    s.sendall(b"GET big\r\n")
		    got, most = 0, 0
		    while got < 3009:
		        data = s.recv(65536)
		        if not data: break
		        got += len(data)
		        most = max(most, len(data))
		    print(got, most)
		except OSError as e:
		    print(type(e).__name__)' 3>&-
}

@test "Toxiproxy's scenarios, as the manual gives them" {
	equal down ConnectionRefusedError "$(meets down)"
	[[ $(meets latency) == '3009 '* ]]
	[[ $(meets bandwidth) == '3009 '* ]]
	[[ $(meets timeout) == @(timeout|TimeoutError) ]]
	equal reset_peer ConnectionResetError "$(meets reset_peer)"
	equal slicer '3009 64' "$(meets slicer)"
	equal limit_data '1024' "$(meets limit_data | cut -d' ' -f1)"
}
