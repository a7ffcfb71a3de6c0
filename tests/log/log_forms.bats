#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # inner shells expand
# Forms of the log that others read: its JSON Schema, systemd's journal.

load ../helpers
load ../outside

PYTHON=/usr/bin/python3

setup() {
	native_only
	cd "$BATS_TEST_TMPDIR" || return
}

# fits LOG: does each line fit the schema? Prints how many there are of each event.
fits() {
	"$PYTHON" - "$ROOT/shim/log.schema.json" "$1" <<-'END'
		import collections, json, sys
		import jsonschema
		schema = json.load(open(sys.argv[1]))
		jsonschema.Draft7Validator.check_schema(schema)
		validator, count = jsonschema.Draft7Validator(schema), collections.Counter()
		for line in open(sys.argv[2]):
		    event = json.loads(line)
		    count[event["ev"]] += 1
		    for e in validator.iter_errors(event):
		        sys.exit("%s: %s: %s" % (event["ev"], list(e.path), e.message[:200]))
		print(" ".join("%s:%d" % p for p in sorted(count.items())))
	END
}

@test "every line fits the JSON Schema: of each event, from inside and from outside, with rules" {
	requires_schema
	guarded PIPEGUARD_VERBOSE=2 PIPEGUARD_RULES='send:when=2+:prob=100%:delay=0us' "$PYTHON" -c 'import os, signal, socket, struct
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
for n in range(2):
    c = socket.create_connection(s.getsockname()); a, _ = s.accept()
    if n: a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    a.close()
    for call in (lambda: c.recv(1), lambda: c.send(b"x"), lambda: c.send(b"x"), lambda: c.send(b"x")):
        try: call()
        except OSError: pass
p = s.getsockname(); s.close()
try: socket.create_connection(p)
except OSError: pass
r, w = os.pipe(); os.write(w, b"x")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGPIPE)' || :
	run -0 fits "$LOG"
	echo "$output"
	for ev in call disposition eof epipe inject killed load refused; do [[ " $output" == *" $ev:"* ]]; done
	rm "$LOG"
	guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/call" -one 0 0 ign
	run -0 fits "$LOG"
	[[ $output == *epipe:*exit:* ]]
	# A line that is not the library's is none.
	for change in 's/"v":1/"v":2/' 's/"repeated":1/"repeated":-1/' 's/"errno":"EPIPE"/"errno":32/' 's/"ev":"epipe"/"ev":"pipe"/' 's/"stack":\[/"stacks":[/'; do
		sed -E "$change" "$LOG" >bad
		run cmp -s "$LOG" bad
		[ "$status" -eq 1 ]
		run fits bad
		echo "change: $change: $output"
		[ "$status" -eq 1 ]
	done
}

@test "every line from outside fits the JSON Schema" {
	requires_schema
	ruled_only
	run outside PIPEGUARD_VERBOSE=2 PIPEGUARD_RULES='write:stack=*:when=2:break' "$FIXTURES/numbers" 100000
	run -0 fits "$LOG"
	[[ $output == 'epipe:1 exit:1 inject:1 load:1' ]] || [[ $output == *epipe:*exit:*inject:*load:* ]]
	equal "an inject line has the stack that the rule asked for" true "$(jq 'select(.ev == "inject") | (.stack | length) > 0 and .site != "0000000000000000"' "$LOG")"
}

# in_own_run COMMAND...: with a /run of its own, in which something receives as the journal does; what it got is in got.
in_own_run() {
	unshare -m true 2>/dev/null || skip "no mount namespace can be made here"
	cat >journal.py <<-'END'
		import socket, struct
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("/run/systemd/journal/socket")
		s.settimeout(20)
		while True:
		    data = s.recv(1 << 16)
		    if data == b"end": break
		    fields, _, rest = data.partition(b"MESSAGE\n")
		    size, = struct.unpack("<Q", rest[:8])
		    assert len(rest) == 8 + size + 1 and rest.endswith(b"\n"), (len(rest), size)
		    assert all(b"=" in line for line in fields.split(b"\n")[:-1])
		    print(fields.decode() + "MESSAGE=" + rest[8:-1].decode(), flush=True)
	END
	timeout 40 unshare -m bash -c 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal || exit 99
		"$1" journal.py >got 3>&- & pid=$!
		until [ -S /run/systemd/journal/socket ]; do kill -0 $pid || exit 98; sleep 0.02; done
		"${@:2}"
		"$1" -c "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b\"end\", \"/run/systemd/journal/socket\")"
		wait $pid' bash "$PYTHON" "$@" 3>&- || { [ $? -ne 99 ] || skip "nothing can be mounted here"; false; }
}

@test "PIPEGUARD_LOG=journal: an entry with fields for each event, of several lines, or an object" {
	in_own_run bash -c '"$0" -o journal "$1" -one 0 0 dfl; true' "$BUILD/pipeguard" "$FIXTURES/call"
	cat got
	for field in PRIORITY=4 SYSLOG_IDENTIFIER=call PIPEGUARD_EVENT=epipe PIPEGUARD_CALL= PIPEGUARD_ERRNO=EPIPE PIPEGUARD_SIGNAL=fatal 'MESSAGE=pipeguard\[.* = EPIPE, SIGPIPE kills'; do
		grep -q "^$field" got
	done
	grep -q '^        again: ' got
	in_own_run bash -c 'PIPEGUARD_LOG=journal PIPEGUARD_FORMAT=json LD_PRELOAD="$0" "$1" -c "$2"' "$LIB" "$PYTHON" 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname()); a, _ = s.accept(); a.close()
for i in range(3):
    try: c.send(b"x")
    except OSError: pass'
	grep -qE '^PIPEGUARD_PEER=127\.0\.0\.1:[0-9]+$' got
	grep -qE '^PIPEGUARD_SITE=[0-9a-f]{16}$' got
	sed -n 's/^MESSAGE=//p' got | jq -e 'select(.ev == "epipe")'
}

@test "a name in a field ends no line of it" {
	cp "$FIXTURES/call" $'a\nPRIORITY=0'
	in_own_run bash -c '"$0" -o journal "$1" -one 0 0 dfl; true' "$BUILD/pipeguard" $'./a\nPRIORITY=0'
	grep -qxF 'SYSLOG_IDENTIFIER=a\x0aPRIORITY=0' got
	run grep -c '^PRIORITY=0' got
	equal "fields that the name made" 0 "$output"
}

@test "where no journal receives, -o journal is refused, and the library says so once" {
	[ ! -S /run/systemd/journal/socket ] || skip "a journal receives here"
	run -125 timeout "$LIMIT" "$BUILD/pipeguard" -o journal true 3>&-
	equal "what is said" 'pipeguard: -o: no journal receives here (/run/systemd/journal/socket)' "$output"
	run -0 timeout "$LIMIT" env LD_PRELOAD="$LIB" PIPEGUARD_LOG=journal PIPEGUARD_VERBOSE=1 /bin/true 3>&-
	[[ $output == *"cannot log to '/run/systemd/journal/socket': nobody receives there"* && ${#lines[@]} -eq 1 ]]
}

@test "each process tells once which files its modules are: a line of its own, behind the first that names them" {
	requires_schema
	printf '%s\n' '#include <unistd.h>' 'void say(void) { write(1, "x", 1); }' >say.c
	"${CC:-gcc}" -g -shared -fPIC -Wl,--build-id -o libsay.so say.c
	printf '%s\n' '#include <signal.h>' '#include <sys/wait.h>' '#include <unistd.h>' 'void say(void);' \
		'int main(void) { signal(SIGPIPE, SIG_IGN); say(); say(); if (!fork()) { say(); _exit(0); } wait(0); }' >main.c
	"${CC:-gcc}" -g -o main main.c ./libsay.so
	guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 ./main
	run -0 fits "$LOG"
	[[ $output == *module:* ]]
	ours() { jq -c 'select(.ev == "module" and .module == "libsay.so")' "$LOG"; }
	equal "lines about it: of the process, and of its child" 2 "$(ours | wc -l)"
	equal "processes" 2 "$(ours | jq .pid | sort -u | wc -l)"
	equal "its file" "$BATS_TEST_TMPDIR/libsay.so" "$(ours | jq -r .path | sort -u)"
	equal "its build" "$(readelf -n libsay.so | sed -n 's/.*Build ID: //p')" "$(ours | jq -r .build_id | sort -u)"
	# It comes behind.
	equal "the first lines" 'disposition module' "$(jq -r 'select((.stack // []) != [] or .ev == "module") | .ev' "$LOG" | head -n 2 | xargs)"
	# Not where only breaks are told, nor in text.
	for how in 'PIPEGUARD_VERBOSE=0' 'PIPEGUARD_VERBOSE=1 PIPEGUARD_FORMAT=text'; do
		rm "$LOG"
		# shellcheck disable=SC2086 # words
		guarded $how "$FIXTURES/brokenfd" 1 ./main
		run grep -c -e '"ev":"module"' -e build_id "$LOG"
		equal "lines under $how" 0 "$output"
	done
}

@test "a log that goes on in another file, since its own was renamed, tells there again which files the modules are" {
	guarded -i PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 bash -c "echo 1 2>/dev/null; mv '$LOG' '$LOG.1'; echo 2; echo 3; (echo 4)" || :
	ours() { jq -r 'select(.ev == "module" and .module == "bash") | .pid' "$1"; }
	local of
	of=$(ours "$LOG.1" | head -n 1)
	equal "in the first file" 1 "$(ours "$LOG.1" | grep -cx "$of")"
	equal "in the second" 1 "$(ours "$LOG" | grep -cx "$of")"
	equal "of the child, which has gone on in it, too" 2 "$(ours "$LOG" | wc -l)"
}

@test "report finds source lines by what the log tells of modules, and by no file of another build" {
	requires addr2line
	printf '%s\n' '#include <unistd.h>' 'int main(void) { return write(1, "x", 1) != 1; } /* here */' >somewhere.c
	mkdir deep
	"${CC:-gcc}" -g -Wl,--build-id -o deep/somewhere somewhere.c
	guarded PIPEGUARD_VERBOSE=1 "$FIXTURES/brokenfd" 1 ./deep/somewhere || :
	report() { timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-report" "$@" 3>&-; }
	run -0 report "$LOG"
	[[ $output == *'at main ('*'somewhere.c:2)'* ]]
	# The file is another build now: no line is better than a wrong one.
	printf '%s\n' '#include <unistd.h>' 'int other(void) { return 1; }' '' 'int main(void) { return write(1, "x", 1) != 1; }' >somewhere.c
	mv deep/somewhere old
	"${CC:-gcc}" -g -Wl,--build-id -o deep/somewhere somewhere.c
	run -0 report "$LOG"
	[[ $output != *somewhere.c:* ]]
	# Then debuginfod is asked, where it is configured.
	mkdir bin
	printf '%s\n' '#!/bin/sh' "[ \"\$1 \$2\" = 'debuginfo $(readelf -n old | sed -n 's/.*Build ID: //p')' ] && echo '$BATS_TEST_TMPDIR/old'" >bin/debuginfod-find
	chmod +x bin/debuginfod-find
	PATH=$BATS_TEST_TMPDIR/bin:$PATH DEBUGINFOD_URLS=file:///none run -0 report "$LOG"
	[[ $output == *'at main ('*'somewhere.c:2)'* ]]
}

@test "report demangles names of C++ and Rust" {
	requires c++filt
	[[ $(c++filt _RNvCs1234_7mycrate3bar) == mycrate*::bar ]] || skip "this c++filt knows no names of today's Rust (binutils 2.36)"
	guarded PIPEGUARD_VERBOSE=0 "$FIXTURES/call" -one 0 0 ign
	sed -i 's/"stack":\[[^]]*\]/"stack":["gone.so+0x1 _ZN3foo3barEi","gone.so+0x2 _RNvCs1234_7mycrate3bar","gone.so+0x3 plain","gone.so+0x4 _ZN3foo3bar17h0123456789abcdefE"]/' "$LOG"
	run -0 timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-report" "$LOG" 3>&-
	[[ $output == *'at foo::bar(int) (gone.so+0x1)'*' mycrate::bar (gone.so+0x2)'*' plain (gone.so+0x3)'*' foo::bar (gone.so+0x4)'* ]]
}
