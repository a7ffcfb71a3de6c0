#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC1003,SC2030,SC2031 # the inner perls expand; a backslash; what run sets, by a helper
# What a hostile user, name or rule can do: nothing.

load ../helpers

FORGED=$'x\npipeguard[1:1 forged] write(1, 1) = EPIPE\r\e[31m"\\\xff\xc3\xa4'

# A broken write that does not kill.
BREAK='pipe R, W; close R; syswrite W, "x";'

# text [VAR=VALUE...] PROGRAM ARGS: its text log, of stderr, in $output; its status in $status.
text() {
	run --separate-stderr guarded -i PIPEGUARD_FORMAT=text PIPEGUARD_LOG=stderr PIPEGUARD_VERBOSE=1 "$@"
	# shellcheck disable=SC2154 # run sets it
	output=$stderr
}

# honest RECORDS OF: so many records of a kind in $output, every other line set in, all of it printable.
honest() {
	printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/text"
	equal "lines that are neither a record nor set in" "" \
		"$(LC_ALL=C grep -avE '^pipeguard\[[0-9]+:[0-9]+ [^]]*\] |^        [^ ]' "$BATS_TEST_TMPDIR/text")"
	equal "lines with other bytes" "" "$(LC_ALL=C grep -a '[^ -~]' "$BATS_TEST_TMPDIR/text")"
	equal "records of '$2'" "$1" "$(grep -acE "^pipeguard\[[^]]*\] $2" "$BATS_TEST_TMPDIR/text")"
	equal "forged records" 0 "$(grep -ac '^pipeguard\[1:1 forged' "$BATS_TEST_TMPDIR/text" || true)"
}

# parsed RECORDS: so many broken writes in $LOG, whose every line is one JSON object in ASCII.
parsed() {
	equal "objects" "$(wc -l <"$LOG")" "$(jq -c 'select(type == "object")' "$LOG" | wc -l)"
	equal "lines with other bytes" "" "$(LC_ALL=C grep -a '[^ -~]' "$LOG")"
	equal "broken writes" "$1" "$(broken .pid | wc -l)"
	equal "forged ones" "" "$(events 'select(.pid == 1) | .pid')"
}

# ---- names ----

@test "a process's name cannot forge a record" {
	local script="\$0 = \$ARGV[0]; $BREAK"
	text /usr/bin/perl -e "$script" "$FORGED"
	honest 1 'write\('
	guarded -i /usr/bin/perl -e "$script" "$FORGED"
	parsed 1
	equal "its name" "x\\npipeguard[1:1" "$(broken .comm | sed 's/^"//; s/"$//')"
}

@test "a thread's name cannot forge a record" {
	local script='import os, sys, threading
def t():
    open("/proc/self/task/%d/comm" % threading.get_native_id(), "wb").write(os.fsencode(sys.argv[1])[:15])
    r, w = os.pipe(); os.close(r)
    try: os.write(w, b"x")
    except OSError: pass
a = threading.Thread(target=t); a.start(); a.join()'
	text /usr/bin/python3 -c "$script" $'\n"\e]0;\\\xff'
	honest 1 'write\('
	guarded -i /usr/bin/python3 -c "$script" $'\n"\e]0;\\\xff'
	parsed 1
	equal "its name" '"\n\"\u001b]0;\\ÿ"' "$(broken .comm)"
}

@test "a socket's path cannot forge a record" {
	local script='import socket, sys, os
name = (b"\0" if len(sys.argv) > 2 else b"") + os.fsencode(sys.argv[1])
s = socket.socket(socket.AF_UNIX); s.bind(name); s.listen()
c = socket.socket(socket.AF_UNIX); c.connect(name); p = s.accept()[0]; p.close()
try: c.send(b"x")
except OSError: pass'
	cd "$BATS_TEST_TMPDIR"
	text /usr/bin/python3 -c "$script" "$FORGED"
	honest 1 'send\(.*unix.*forged'
	rm -f "$FORGED"
	guarded -i /usr/bin/python3 -c "$script" "$FORGED"
	parsed 1
	[[ $(broken .peer) == '"x\npipeguard[1:1 forged] write(1, 1) = EPIPE\r\u001b[31m\"\\'* ]]
	# An abstract one may hold anything, a NUL as well.
	rm -f "$LOG"
	guarded -i /usr/bin/python3 -c "$script" "$FORGED" abstract
	parsed 1
}

@test "a FIFO's path cannot forge a record" {
	local script='import os, sys
p = os.fsencode(sys.argv[1]); os.mkfifo(p); r = os.open(p, os.O_RDONLY | os.O_NONBLOCK); w = os.open(p, os.O_WRONLY)
os.close(r)
try: os.write(w, b"x")
except OSError: pass'
	cd "$BATS_TEST_TMPDIR"
	text /usr/bin/python3 -c "$script" "$FORGED"
	honest 1 'write\(.*pipe.*forged'
	rm -f "$FORGED"
	guarded -i /usr/bin/python3 -c "$script" "$FORGED"
	parsed 1
}

@test "the file name of a program or a library cannot forge a record" {
	local copy=$BATS_TEST_TMPDIR/$FORGED.so how
	native_only
	cp "$FIXTURES/plugin.so" "$copy"
	text "$FIXTURES/plugin" normal "$copy"
	honest 1 'write\('
	[[ $output == *' at '*'forged] write(1, 1) = EPIPE\x0d\x1b[31m\x22\x5c\xff\xc3\xa4.so+0x'* ]]
	guarded -i "$FIXTURES/plugin" normal "$copy"
	parsed 1
	copy=$BATS_TEST_TMPDIR/${FORGED/=/} # or env takes it for a variable
	cp "$FIXTURES/build" "$copy"
	for how in write send printf; do
		text "$copy" $how
		honest 1 '(write|send)\('
		honest 1 'load: '
		rm -f "$LOG"
		run -1 guarded -i PIPEGUARD_VERBOSE=1 "$copy" $how
		parsed 1
	done
}

@test "a variable's name or value cannot forge a line" {
	local input
	for input in "PIPEGUARD_$FORGED=1" "PIPEGUARD_LOG=/nowhere/$FORGED" "PIPEGUARD_LOG=$FORGED:" "PIPEGUARD_RULES=@$FORGED" \
		"PIPEGUARD_RULES=$FORGED" "PIPEGUARD_RULES=$FORGED=write:break" "PIPEGUARD_RULES=write:path=$FORGED:brake" \
		"PIPEGUARD_SEED=$FORGED" "PIPEGUARD_ONLY=x,$FORGED,,"; do
		run timeout 10 env LD_PRELOAD="$LIB" "$input" true 3>&-
		printf 'input: %q, status: %s, output: %s\n' "$input" "$status" "$output"
		[[ $status == 125 || $input == PIPEGUARD_LOG=/nowhere/* ]]
		equal "its lines" 1 "${#lines[@]}"
		[[ $output == "pipeguard: PIPEGUARD_"* ]]
		equal "other bytes" "" "$(LC_ALL=C grep -a '[^ -~]' <<<"$output")"
	done
}

@test "a program whose file lies about its symbols runs, and is told of without them" {
	local how lie='
import struct, sys
b = bytearray(open(sys.argv[1], "rb").read())
wide = b[4] == 2
table, = struct.unpack_from("<Q" if wide else "<I", b, 0x28 if wide else 0x20)
n, = struct.unpack_from("<H", b, 0x3c if wide else 0x30)
entry, word, at, of = (64, "<Q", 24, 32) if wide else (40, "<I", 16, 20)
part = lambda i: table + entry * i
symbols = [part(i) for i in range(n) if struct.unpack_from("<I", b, part(i) + 4)[0] == 2][0]
names = part(struct.unpack_from("<I", b, symbols + (40 if wide else 24))[0])
base, field, value = {"far": (symbols, at, len(b) + 4096), "long": (symbols, of, 1 << 30), "longest": (symbols, of, (1 << 62) if wide else 0xffffffff),
    "names far": (names, at, len(b) + 4096), "names long": (names, of, 1 << 30), "no names": (names, of, 0), "cut names": (names, of, 3), "fine": (names, 0, 1)}[sys.argv[3]]
struct.pack_into(word if field else "<I", b, base + field, value)
open(sys.argv[2], "wb").write(b)'
	for how in fine far long longest 'names far' 'names long' 'no names' 'cut names'; do
		rm -f "$LOG" "$BATS_TEST_TMPDIR/lies"
		/usr/bin/python3 -c "$lie" "$FIXTURES/build" "$BATS_TEST_TMPDIR/lies" "$how"
		chmod +x "$BATS_TEST_TMPDIR/lies"
		echo "symbols: $how"
		run -1 plain -i "$BATS_TEST_TMPDIR/lies" write
		run -1 guarded -i "$BATS_TEST_TMPDIR/lies" write
		equal "is its function named" "$([[ $how != fine ]] || echo break_by)" "$(broken '.stack[0] | split(" ")[1] // ""' | tr -d '"')"
	done
}

# ---- where the log goes ----

# refused_log PATH REASON: the program runs, and is told once why there is no log.
refused_log() {
	text PIPEGUARD_VERBOSE=0 PIPEGUARD_LOG="$1" "$FIXTURES/build" write
	echo "log: $1, output: $output"
	equal "the status" 1 "$status"
	equal "the lines" 1 "$(wc -l <<<"$output")"
	[[ $output == "pipeguard: PIPEGUARD_LOG: cannot log to '"*"': $2" ]]
}

@test "the log follows no link, in a folder that all may write to or elsewhere" {
	local dir=$BATS_TEST_TMPDIR/sticky target=$BATS_TEST_TMPDIR/target
	mkdir "$dir"
	chmod 1777 "$dir"
	echo precious >"$target"
	ln -s "$target" "$dir/link"
	ln -s "$dir/new" "$dir/dangling"
	ln -s link "$dir/twice"
	for name in link dangling twice; do
		refused_log "$dir/$name" 'it is a symbolic link'
	done
	equal "the target" precious "$(cat "$target")"
	[ ! -e "$dir/new" ]
}

@test "in a folder that all may write to the log follows no link on its way either; elsewhere it does" {
	local dir=$BATS_TEST_TMPDIR/sticky
	mkdir -p "$dir/real/deep" "$BATS_TEST_TMPDIR/other" "$BATS_TEST_TMPDIR/shadow/real"
	chmod 1777 "$dir"
	ln -s "$BATS_TEST_TMPDIR/other" "$dir/link"
	ln -s ../../other "$dir/real/link"
	refused_log "$dir/link/log" 'it is a symbolic link'
	refused_log "$dir/real/link/log" 'it is a symbolic link'
	refused_log "$dir//real//link//log" 'it is a symbolic link'
	equal "what was made" "" "$(ls "$BATS_TEST_TMPDIR/other")"
	for LOG in "$dir/log" "$dir/real/deep/log" "$dir//real/../real//deep/log2" "$BATS_TEST_TMPDIR/other/log"; do
		guarded -i /usr/bin/perl -e "$BREAK"
		equal "the events in $LOG" 1 "$(broken .pid | wc -l)"
	done
	refused_log "$BATS_TEST_TMPDIR/nowhere/log" 'no such folder'
	# The tests' own folder lies in such a one, most likely; that of the build does not, most likely.
	[[ $BUILD != /tmp/* && $BUILD != /var/tmp/* ]] || return 0
	dir=$BUILD/links.$$
	mkdir -p "$dir/target"
	ln -s target "$dir/way"
	LOG=$dir/way/log
	guarded -i /usr/bin/perl -e "$BREAK"
	equal "the events by a link elsewhere" 1 "$(broken .pid | wc -l)"
	rm -r "$dir"
}

@test "a log that was replaced by a link while the program runs is not followed when it is opened again" {
	echo precious >"$BATS_TEST_TMPDIR/target"
	guarded -i /usr/bin/perl -MPOSIX -e 'sub brk { pipe my $r, my $w; close $r; syswrite $w, "x" }
		brk; rename $ARGV[0], "$ARGV[0].1"; symlink $ARGV[1], $ARGV[0]; POSIX::close($_) for 3..1100; brk; exit 7' \
		"$LOG" "$BATS_TEST_TMPDIR/target" || [[ $? == 7 ]]
	equal "the target" precious "$(cat "$BATS_TEST_TMPDIR/target")"
	equal "the first event" 1 "$(wc -l <"$LOG.1")"
}

@test "the log opens no device, and no descriptor but by its number" {
	local device=$BATS_TEST_TMPDIR/device
	refused_log /dev/zero 'it is a device'
	refused_log /dev/full 'it is a device'
	# "stdin" and the like are links.
	refused_log //dev/fd/2 'it is a symbolic link'
	refused_log "/proc/$$/fd/2" 'it is a symbolic link'
	refused_log "$BATS_TEST_TMPDIR" 'it is a folder'
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	refused_log "$BATS_TEST_TMPDIR/fifo" 'it is a FIFO that nobody reads'
	if mknod "$device" b 7 4000 2>/dev/null; then
		refused_log "$device" 'it is a device'
	fi
	for path in /dev/fd/../fd/2 /dev/fd/02x /proc/self/fd/2/x fd:2x; do
		run -125 timeout 10 env LD_PRELOAD="$LIB" PIPEGUARD_LOG=$path true 3>&-
	done
}

@test "a device is not even opened" {
	requires strace
	native_only
	local device=$BATS_TEST_TMPDIR/device
	mknod "$device" c 10 4000 2>/dev/null || skip "no right to make a device"
	run strace -f -e trace=open,openat,openat2 -o "$BATS_TEST_TMPDIR/trace" \
		env PIPEGUARD_LOG="$device" LD_PRELOAD="$LIB" "$FIXTURES/build" x 3>&-
	[[ $output == *"it is a device"* ]]
	equal "opens of it" 0 "$(grep -c "$device" "$BATS_TEST_TMPDIR/trace" || true)"
	grep -q 'libpipeguard' "$BATS_TEST_TMPDIR/trace"
}

# ---- rules ----

# rejected INPUT: within seconds, with one short line, status 125 and no more memory than a moment before.
rejected() {
	run bash -c 'ulimit -v 200000; exec timeout 10 env LD_PRELOAD="$0" "PIPEGUARD_RULES=$1" /bin/echo started' "$LIB" "$1" 3>&-
	printf 'input: %.60q, status: %s, output: %.300s\n' "$1" "$status" "$output"
	[ "$status" -eq 125 ]
	equal "the lines" 1 "${#lines[@]}"
	[ "${#output}" -lt 600 ]
}

# times N TEXT
times() { /usr/bin/perl -e 'print $ARGV[1] x $ARGV[0]' "$1" "$2"; }

@test "hostile rules are refused in no time" {
	local piece
	for piece in '[' ']' '\' '!' '*' ':' ',' '=' '%' '@' '#x' '[a-' '[!' 'a=' 'write,' '!write,' '"' '(' '{' '99999999' 'write:'; do
		rejected "$(times $((16000 / ${#piece})) "$piece")"
		rejected "write:path=$(times $((15000 / ${#piece})) "$piece"):break"
		rejected "write:fd=$(times $((15000 / ${#piece})) "$piece"):break"
	done
	rejected "$(times 1300 'write:break;')"
	rejected "$(times 100000 a)"
	rejected "write:when=$(times 5000 9):break"
	rejected "write:at=99999999999999999999999M:break"
	rejected "write:delay=99999999999999999999s"
}

@test "a glob of many stars takes no time to match" {
	run timeout 10 env LD_PRELOAD="$LIB" PIPEGUARD_LOG=off "PIPEGUARD_RULES=write:path=$(times 55 '*a'):break" \
		/usr/bin/perl -e "open F, '>', '$BATS_TEST_TMPDIR/$(times 200 a)'; syswrite F, 'x' for 1..1000; print 'done'" 3>&-
	equal "the output" "done" "$output"
}

@test "'@' reads a regular file of a bounded size, and waits for nothing" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	times 3000000 a >"$BATS_TEST_TMPDIR/huge"
	for path in "$BATS_TEST_TMPDIR/fifo" "$BATS_TEST_TMPDIR" /dev/zero /dev/full /dev/random /dev/tty /proc/self/mem /dev/null \
		"$BATS_TEST_TMPDIR/huge" /nowhere "" /proc/self/fd/0 /dev/stdin; do
		rejected "@$path"
	done
	echo 'write:fd=77:break' >"$BATS_TEST_TMPDIR/rules"
	ln -s rules "$BATS_TEST_TMPDIR/link"
	run timeout 10 env LD_PRELOAD="$LIB" PIPEGUARD_LOG=off PIPEGUARD_RULES="@$BATS_TEST_TMPDIR/link" echo started 3>&-
	equal "a file, and a link to one" started "$output"
}

# ---- secure execution ----

# secured PREPARE...: a program as nobody, and the library where secure execution would load it from;
# PREPARE makes the program's file privileged. Prints "secure BIT, lines of the log".
secured() {
	local dir=$BATS_TEST_TMPDIR/secure name=libpipeguard-security-$$.so
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	requires setpriv
	native_only
	[[ $(findmnt -no OPTIONS -T "$BATS_TEST_TMPDIR" 2>/dev/null) != *nosuid* ]] || skip "nosuid here"
	mkdir -p "$dir"
	chmod 777 "$dir"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.." "$BATS_TEST_TMPDIR/../.."
	install -m 755 "$FIXTURES/secure" "$dir/program"
	"$@" "$dir/program" || skip "$1 does not work here"
	install -m 4755 "$LIB" "/usr/lib/$name"
	rm -f "$dir/log"
	run timeout 10 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all env LD_PRELOAD="$name" \
		PIPEGUARD_LOG="$dir/log" PIPEGUARD_VERBOSE=1 "${EXTRA:-PIPEGUARD_STACK=8}" "$dir/program" 3>&-
	rm -f "/usr/lib/$name"
	echo "$output"
	[[ -e $dir/log ]] || : >"$dir/log"
	GOT="$output $(grep -c . "$dir/log" || true)"
}

@test "without privilege the library is loaded and logs: the next tests can fail" {
	secured true
	[[ $GOT == 'secure 0 loaded 1 '[1-9]* ]]
	EXTRA=PIPEGUARD_NONSENSE=1 secured true
	equal "the status" 125 "$status"
}

@test "a setuid, a setgid and a privileged program do nothing of what the variables say, wrong ones as well" {
	local how
	for how in 'chmod 4755' 'chmod 2755' 'setcap cap_net_raw+ep'; do
		[[ $how != setcap* ]] || PATH=$PATH:/usr/sbin:/sbin command -v setcap >/dev/null || continue
		# shellcheck disable=SC2086 # a command and its argument
		PATH=$PATH:/usr/sbin:/sbin secured $how
		equal "after $how" 'secure 1 loaded 1 0' "$GOT"
		# shellcheck disable=SC2086
		PATH=$PATH:/usr/sbin:/sbin EXTRA=PIPEGUARD_NONSENSE=1 secured $how
		equal "wrong input after $how" '0 secure 1 loaded 1 0' "$status $GOT"
		# shellcheck disable=SC2086
		PATH=$PATH:/usr/sbin:/sbin EXTRA=PIPEGUARD_RULES=write:break secured $how
		equal "a rule after $how" '0 secure 1 loaded 1 0' "$status $GOT"
	done
}
