#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2317 # programs for sh; functions that wait_for is given
# Real programs under `run --outside`, with and without rules, and under attach: output and status are as without.

export BATS_TEST_TIMEOUT=240
load ../helpers
load ../outside

LIMIT=100

setup() {
	traced_only
	PIDS=() FOLDER=
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	end_pids
	[[ -z $FOLDER ]] || rm -r "$FOLDER"
}

# unchanged COMMAND...: what it prints and its status are the same from outside, under rules that wait, ask for the stack
# and count bytes, too.
unchanged() {
	local rule wanted
	wanted=$(timeout "$LIMIT" "$@" 2>/dev/null </dev/null 3>&-; echo $?)
	equal "$1" "$wanted" "$(outside "$@" 2>/dev/null </dev/null; echo $?)" || return
	[[ $BITS = 64 ]] || return 0 # no rules are followed there
	for rule in when=1000000000:error=EIO stack=nobody:error=EIO at=1000000000:reset; do
		equal "$1 under $rule" "$wanted" "$(outside PIPEGUARD_RULES="%out,%in:$rule" "$@" 2>/dev/null </dev/null; echo $?)" || return
	done
	echo "$wanted"
}

@test "busybox, and a static program of musl's: the break is told" {
	local program
	((BITS == 64)) || skip "their system calls are of 64 bits"
	if command -v musl-gcc >/dev/null; then
		musl-gcc -static -O1 -o said -x c - <<<'#include <unistd.h>
			int main(void) { return write(1, "x\n", 2) != 2; }'
	fi
	for program in "busybox echo x" ./said; do
		[[ -x $(command -v "${program%% *}") ]] || continue
		rm -f "$LOG"
		# shellcheck disable=SC2086 # words
		run -141 outside -d "$FIXTURES/brokenfd" 1 $program
		equal "$program" '["write",1,2,"pipe","fatal","outside"]' "$(broken '[.call, .fd, .len, .kind, .signal, .engine]')"
		# shellcheck disable=SC2086
		unchanged $program
	done
	[[ -e $LOG ]] || skip "neither busybox nor musl-gcc is installed"
}

@test "java: output and status as without, by run" {
	requires java
	cat >Lines.java <<-'JAVA'
		public class Lines {
			public static void main(String[] words) throws Exception {
				var thread = new Thread(() -> System.out.println("thread"));
				thread.start();
				thread.join();
				var child = new ProcessBuilder("echo", "child").inheritIO().start();
				System.out.println("status " + child.waitFor());
				System.exit(3);
			}
		}
	JAVA
	local java=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC Lines.java)
	run -3 timeout 60 "${java[@]}" 3>&-
	[[ $output == $'thread\nchild\nstatus 0' ]] || skip "this java runs no source file"
	unchanged "${java[@]}"
}

@test "chromium without a screen: the same page, by run" {
	requires chromium
	local chromium=(chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$PWD/browser" --dump-dom 'data:text/html,<p>hello')
	run timeout 60 "${chromium[@]}" 2>/dev/null 3>&-
	[[ $output == *'<p>hello'* ]] || skip "chromium does not run here"
	# Some ends of it are a SIGSEGV natively, too: of version 120, one in forty on a busy machine.
	for _ in 1 2 3; do
		run unchanged "${chromium[@]}"
		((status)) || return 0
		echo "$output"
	done
	false
}

# A cluster of PostgreSQL's in $FOLDER; AS: who runs it, BIN: where its programs are.
postgres_folder() {
	BIN=$(dirname "$(command -v initdb || find -L /usr/lib/postgresql /usr/bin -maxdepth 3 -name initdb | sort -V | tail -1)")
	[[ -x $BIN/initdb && -x $BIN/postgres ]] || skip "initdb is not installed"
	AS=() FOLDER=$(mktemp -d)
	if ((!EUID)); then # it does not run as root
		id postgres >/dev/null 2>&1 || skip "there is no user postgres"
		requires setpriv
		AS=(setpriv --reuid=postgres --regid=postgres --clear-groups)
		chown postgres "$FOLDER"
	fi
	cd "$FOLDER" || return
	outside "${AS[@]}" "$BIN/initdb" -D "$FOLDER/data" -U test -A trust --no-sync --locale=C >"$BATS_TEST_TMPDIR/initdb" 2>&1
}

@test "PostgreSQL: a cluster is made, and a query answered, by run" {
	postgres_folder
	# shellcheck disable=SC2016 # for the inner shell
	unchanged "${AS[@]}" sh -c 'echo "select count(*) from pg_class where oid < 2000; select 6 * 7" |
		"$0" --single -D "$1" postgres | grep -a "= \""' "$BIN/postgres" "$FOLDER/data"
	[[ $(timeout 60 "${AS[@]}" sh -c 'echo "select 6 * 7" | "$0" --single -D "$1" postgres' "$BIN/postgres" "$FOLDER/data" 3>&-) == *'"42"'* ]]
}

# begin FILE COMMAND...: in the background, its output in FILE; its pid in $PID.
begin() {
	local file=$1
	shift
	timeout 200 "$FIXTURES/sigdfl" -d "$@" >"$file" 2>&1 3>&- &
	local job=$!
	PIDS+=("$job")
	wait_for pgrep -P "$job"
	PID=$(pgrep -P "$job")
	PIDS+=("$PID")
}

# works_attached PROCESSES WORK: the function WORK says the same before, under attach with and without a rule, and after.
works_attached() {
	local wanted pids=$1 how pid engine
	wanted=$("$2")
	for how in '' %out,%in:when=1000000000:error=EIO %out,%in:stack=nobody:error=EIO; do
		[[ -z $how || $BITS = 64 ]] || continue
		rm -f "$BATS_TEST_TMPDIR/looks"
		# shellcheck disable=SC2086 # words
		PIPEGUARD_LOG=$LOG PIPEGUARD_FORMAT=json timeout 100 "$BUILD/pipeguard" attach ${how:+-r "$how"} $pids >"$BATS_TEST_TMPDIR/looks" 2>&1 3>&- &
		engine=$!
		for pid in $pids; do
			wait_for grep -qs "looking at process $pid " "$BATS_TEST_TMPDIR/looks" || { cat "$BATS_TEST_TMPDIR/looks"; return 1; }
		done
		equal "attached ${how:-without rules}" "$wanted" "$("$2")"
		kill -INT "$(pgrep -P "$engine")"
		wait "$engine" || :
		for pid in $pids; do
			untraced "$pid"
		done
	done
	equal "afterwards" "$wanted" "$("$2")"
	echo "$wanted"
}

@test "PostgreSQL that runs already: it answers, under attach and after it" {
	requires psql
	postgres_folder
	export PGHOST=127.0.0.1 PGPORT PGUSER=test
	PGPORT=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
	begin "$BATS_TEST_TMPDIR/server" "${AS[@]}" "$BIN/postgres" -D "$FOLDER/data" -F -p "$PGPORT" -c listen_addresses=127.0.0.1 \
		-c unix_socket_directories= -c shared_buffers=1MB
	answers() { timeout 30 psql -XtA -d postgres -c 'SELECT sum(n) FROM generate_series(1, 1000) n' 2>&1 3>&-; }
	ready() { [[ $(answers) = 500500 ]]; }
	wait_for ready || { cat "$BATS_TEST_TMPDIR/server"; false; }
	works_attached "$(descendants "$PID" | xargs)" answers
	kill -QUIT "$PID"
	wait_for gone "$PID"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

@test "node and java that run already, as servers: they answer, under attach and after it" {
	local server what
	cat >server.js <<-'JS'
		require("http").createServer((q, a) => a.end("hello " + q.url)).listen(0, "127.0.0.1", function () { console.log(this.address().port) })
	JS
	cat >Server.java <<-'JAVA'
		import com.sun.net.httpserver.HttpServer;
		public class Server {
			public static void main(String[] words) throws Exception {
				var server = HttpServer.create(new java.net.InetSocketAddress("127.0.0.1", 0), 0);
				server.createContext("/", q -> {
					var said = ("hello " + q.getRequestURI()).getBytes();
					q.sendResponseHeaders(200, said.length);
					q.getResponseBody().write(said);
					q.close();
				});
				server.start();
				System.out.println(server.getAddress().getPort());
			}
		}
	JAVA
	requires curl
	answers() { timeout 30 curl -s "http://127.0.0.1:$PORT/one" 3>&-; }
	for what in "node server.js" "java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC Server.java"; do
		command -v "${what%% *}" >/dev/null || continue
		# shellcheck disable=SC2086 # words
		begin port $what
		wait_for grep -q '^[0-9]' port || { cat port; continue; }
		PORT=$(grep '^[0-9]' port)
		works_attached "$PID" answers
		kill -KILL "$PID"
		server=there
	done
	[[ -n $server ]] || skip "neither node nor java is installed"
}

@test "nginx that runs already: who left is told, and it serves on" {
	requires nginx curl
	mkdir -p site
	head -c 3000000 /dev/zero >site/big
	echo hello >site/small
	local port workers
	port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
	nginx_conf "$PWD" "access_log off; server { listen 127.0.0.1:$port; root $PWD/site; }"
	begin nginx "${NGINX[@]}"
	answers() { timeout 30 curl -s "http://127.0.0.1:$port/small" 3>&-; }
	ready() { [[ $(answers) = hello ]]; }
	wait_for ready || { cat nginx errors; false; }
	works_attached "$(descendants "$PID" | xargs)" answers
	rm -f "$LOG" looks
	workers=$(pgrep -P "$PID" | xargs)
	# shellcheck disable=SC2086 # words
	PIPEGUARD_LOG=$LOG PIPEGUARD_FORMAT=json timeout 100 "$BUILD/pipeguard" attach --once $workers >looks 2>&1 3>&- &
	local engine=$!
	wait_for grep -qs "looking at process ${workers##* } " looks
	# Who has left before nginx comes to answer is met by a broken write.
	# shellcheck disable=SC2086
	kill -STOP $workers
	python3 - "$port" <<-'PY'
		import socket, sys
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		s.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
		s.close()
	PY
	# shellcheck disable=SC2086
	kill -CONT $workers
	wait_for gone "$engine" || cat looks
	equal "the event" "[\"tcp\",\"127.0.0.1:$port\",\"outside\"]" "$(broken '[.kind, .local, .engine]' | head -1)"
	equal "it serves on" hello "$(answers)"
}
