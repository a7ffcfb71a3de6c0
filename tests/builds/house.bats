#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shim/README.md, "To add something": its lists of places are complete. What they say is done in a copy of the tree, and
# built and used; the rows of calls.def stand in another order there.

load ../helpers

export BATS_TEST_TIMEOUT=240 # whole builds, on a busy machine

# behind FILE LINE: puts standard input behind the first line that begins with LINE.
behind() {
	local text at
	text=$(cat)
	at=$(grep -n -m 1 -F -- "$2" "$TREE/$1" | cut -d: -f1)
	[[ -n $at ]] || fail "$1 has no line '$2'"
	sed -i "${at}r /dev/stdin" "$TREE/$1" <<<"$text"
}

# reversed FILE: calls.def with its rows in the opposite order; those that rules know stay before the others.
reversed() {
	python3 - "$1" <<-'PYTHON'
		import re, sys
		text = open(sys.argv[1]).read()
		at = text.index("*/\n", text.index("CALL(name")) + 3
		rows = re.findall(r"#if.*?#endif\n|CALL\([^\n]*\n(?:[ \t][^\n]*\n)*", text[at:], re.S)
		assert "".join(rows).count("CALL(") == text[at:].count("CALL(") > 60
		plain = [r for r in rows if not re.search(r"CALL\((?:[^,]*,){3} (?!NONE)", r)]
		known = [r for r in rows if r not in plain]
		open(sys.argv[1], "w").write(text[:at] + "".join(known[::-1] + plain[::-1]))
	PYTHON
}

setup_file() {
	[[ $BUILD != */musl && $BUILD != */32 ]] || return 0
	command -v python3 >/dev/null || return 0
	export TREE=$BATS_FILE_TMPDIR/tree
	mkdir -p "$TREE/scripts"
	cp -r "$ROOT"/{Makefile,shim} "$TREE"
	cp -r "$ROOT"/scripts/{dev,lib,completion.*} "$TREE/scripts"

	# A call.
	behind shim/calls.def 'CALL(writev,' <<-'C'
		CALL(pwritev, pwritev, pwritev, OUT, VECTOR, RAW, "writes several buffers at an offset")
	C
	cat >>"$TREE/shim/inside/calls_write.c" <<-'C'
		PG_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
		{
			struct pg_op op;

			if (PG_ASIDE(pwritev, fd))
				return PG_APPLY(pwritev, fd, iov, n, at);
			op.data = iov, op.count = (uint32_t)n;
			return PG_OUT_VECTOR(pwritev, op, fd, PG_HOT(pwritev)(fd, iov, n, at));
		}
	C

	reversed "$TREE/shim/calls.def"

	# An action.
	cat >>"$TREE/shim/fields.def" <<-'C'
		ACTION(NODELAY, "nodelay", FINAL, MOVING, TCP, 0, "final: sets TCP_NODELAY")
	C
	behind shim/fault/fault.h '#include "object/look.h"' <<<'int pg_fault_nodelay(int fd);'
	cat >>"$TREE/shim/fault/fault.c" <<-'C'
		int pg_fault_nodelay(int fd)
		{
			int on = 1;

			return (int)pg_sys5(SYS_setsockopt, fd, 6, 1, &on, sizeof on);
		}
	C
	behind shim/inside/act.c '	switch (p->final ? p->final->terminal : PG_F_COUNT) {' <<-'C'
		case PG_F_NODELAY:
			p->failed = -pg_fault_nodelay(op->fd);
			return;
	C

	behind shim/outside/act.c '	switch (what) {' <<-'C'
		case PG_F_NODELAY:
			c->plan.failed = -pg_fault_nodelay(c->copy);
			pg_made_log(c);
			c->way->go_on(c);
			return;
	C

	# A key.
	sed -i '/^KEY(history,/i KEY(next_fd, count, WRITES, count(t, e->op->fd + 1), "the number behind its own")' "$TREE/shim/keys.def"
	"$TREE/scripts/dev/keys"

	timeout 100 make -s -j2 -C "$TREE" BUILD=build CFLAGS='-O0 -Werror' all 3>&- >"$BATS_FILE_TMPDIR/built" 2>&1 ||
		{ cat "$BATS_FILE_TMPDIR/built" >&2; return 1; }
}

# changed VAR=VALUE... PROGRAM: under the library of the copy, to $LOG.
changed() {
	timeout "$LIMIT" "$FIXTURES/sigdfl" env LD_PRELOAD="$TREE/build/libpipeguard.so" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$@" 3>&-
}

setup() {
	[[ -n ${TREE:-} ]] || skip "needs Python, and this machine's own build"
	python=$(python3 -c 'import sys; print(sys.executable)')
}

@test "a call: a row and a function" {
	run -0 changed PIPEGUARD_RULES="pwritev:path=$BATS_TEST_TMPDIR/file:error=EIO" "$python" -c "import ctypes, os
libc, text = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(b'x')
iov = (ctypes.c_size_t * 2)(ctypes.addressof(text), 1)
fd = os.open('$BATS_TEST_TMPDIR/file', os.O_CREAT | os.O_WRONLY)
print(libc.pwritev(fd, iov, 1, ctypes.c_long(0)), ctypes.get_errno())"
	equal "result and errno" "-1 5" "$output"
	run -0 "$TREE/build/pipeguard" list calls
	[[ $output == *'pwritev           writes several buffers at an offset'* ]]
	run -0 "$TREE/build/pipeguard" check 'pwrite*:break'
}

# Below: the rows are in another order than those that the fixtures' build has.
@test "no order of calls.def means anything: its rows reversed, every call is seen, ruled and named as before" {
	rmdir "$TREE/build/fixtures" && ln -s "$FIXTURES" "$TREE/build/fixtures"
	BUILD=$TREE/build run -0 timeout 200 bats --tap -f 'is one event|every gate|break|reset|refuse|short|stdio:' \
		"$ROOT"/tests/calls/{calls,gates}.bats "$ROOT/tests/faults/every_build.bats" 3>&-
	[[ $output == *'ok 14 '* ]]
}

@test "an action: a row, a function, a case" {
	run -0 changed PIPEGUARD_RULES='send:nodelay' "$python" -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(s.getsockname())
print(c.getsockopt(6, 1), end=" ")
c.send(b"x")
print(int(c.getsockopt(6, 1) > 0))'
	equal "before and after" "0 1" "$output"
	equal "the action" '"nodelay"' "$(jq -c 'select(.ev == "inject") | .action' "$LOG")"
	run "$TREE/build/pipeguard" check 'write:nodelayed'
	[[ $output == *"unknown action 'nodelayed' (did you mean 'nodelay'?)"* ]]
	run "$TREE/build/pipeguard" check 'write:kind=pipe:nodelay'
	[[ $output == *"impossible on this kind of descriptor: 'nodelay' (possible: "* ]]
}

@test "an action from outside: the same row and function, another case" {
	[[ $(id -u) -eq 0 ]] || skip "needs root"
	timeout "$LIMIT" "$TREE/build/pipeguard" run --outside -r write:fd=99:break /bin/true 2>"$BATS_TEST_TMPDIR/said" ||
		skip "no rules are followed from outside here: $(<"$BATS_TEST_TMPDIR/said")"
	run -0 timeout "$LIMIT" "$FIXTURES/sigdfl" "$TREE/build/pipeguard" run --outside -j -o "$LOG" -r 'send*:nodelay' "$python" -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(s.getsockname())
print(c.getsockopt(6, 1), end=" ")
c.send(b"x")
print(int(c.getsockopt(6, 1) > 0))' 3>&-
	equal "before and after" "0 1" "$output"
	equal "the action" '"nodelay"' "$(jq -c 'select(.ev == "inject") | .action' "$LOG")"
}

@test "a key: a row, and what reads logs knows it" {
	run -141 changed "$FIXTURES/call" -one 0 0 dfl
	equal "its value" true "$(jq -c 'select(.ev == "epipe") | .next_fd == .fd + 1' "$LOG" | tail -1)"
	equal "read the fast way" True "$(PYTHONPATH=$TREE/scripts/lib "$python" -B -c 'import sys, pglog
lines = [line for line in open(sys.argv[1], "rb") if b"\"epipe\"" in line]
print(bool(lines) and all(pglog._FAST.fullmatch(line) for line in lines))' "$LOG")"
	grep -q '^.It Cm next_fd' "$TREE/shim/libpipeguard.7"
}
