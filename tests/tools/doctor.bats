#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# pipeguard doctor: what it says of a program is what happens to it.
# shellcheck disable=SC2016,SC2030,SC2031 # the inner shells expand; each test is a subshell

load ../helpers


MACHINE=x86-64
[[ $BITS = 64 ]] || MACHINE=i386

setup_file() {
	install_launcher
	export P=$BATS_FILE_TMPDIR
	chmod 755 "$P"
	printf '#include <unistd.h>\nint main(void) { for (int i = 0; i < 5; i++) if (write(1, "x\\n", 2) < 0) return 1; return 0; }\n' >"$P/w.c"
	gcc -o "$P/dynamic" "$P/w.c"
	gcc -static -o "$P/static" "$P/w.c"
	gcc -static-pie -o "$P/static-pie" "$P/w.c"
	gcc -m32 -o "$P/m32" "$P/w.c" 2>/dev/null || true
	gcc -fsanitize=address -o "$P/asan" "$P/w.c" 2>/dev/null || true
	gcc -fsanitize=leak -o "$P/lsan" "$P/w.c" 2>/dev/null || true
	gcc -fsanitize=address -static-libasan -o "$P/asan-inside" "$P/w.c" 2>/dev/null || true
	musl-gcc -o "$P/musl" "$P/w.c" 2>/dev/null || true
	printf '.section .note.go.buildid, "a", @note\n.long 4, 8, 4\n.asciz "Go\\0"\n.ascii "build-id"\n.section .note.GNU-stack, ""\n' >"$P/go.s"
	gcc -o "$P/cgo" "$P/w.c" "$P/go.s"
	gcc -static -o "$P/go" "$P/w.c" "$P/go.s"
	cp "$P/dynamic" "$P/arm"
	printf '\267\000' | dd of="$P/arm" bs=1 seek=18 conv=notrunc status=none
	cp "$P/dynamic" "$P/no-loader"
	sed -i 's|/lib64/ld-linux-x86-64.so.2|/lib64/ld-linux-x86-99.so.2|; s|/lib/ld-linux.so.2|/lib/ld-lin99.so.2|' "$P/no-loader"
	head -c 30 "$P/dynamic" >"$P/stub"
	printf '\001\002\003\000\005' >"$P/blob"
	cp "$P/dynamic" "$P/setuid"
	cp "$P/dynamic" "$P/setgid"
	cp "$P/dynamic" "$P/capable"
	chmod +x "$P"/*
	chmod 4755 "$P/setuid"
	chmod 2755 "$P/setgid"
	PATH=$PATH:/usr/sbin:/sbin setcap cap_net_raw+ep "$P/capable" 2>/dev/null || rm "$P/capable"
}

# script NAME FIRST-LINE: a script.
script() {
	printf '%s\nexit 3\n' "$2" >"$P/$1"
	chmod +x "$P/$1"
}

# says STATUS VERDICT NAME: the doctor's status and verdict for $P/NAME, which is its first line; words that it must
# contain on stdin. The object says the same.
says() {
	echo "doctor $3, wanted $1 and $2"
	run "-$1" launch doctor "$P/$3"
	echo "$output"
	[[ $output == "reached: $2"* ]] || return 1
	local verdict=${2%%,*}
	local word object
	while IFS= read -r word; do
		[[ $output == *"$word"* ]] || { echo "the word is missing: $word" && return 1; }
	done
	object=$(launch doctor --json "$P/$3" 2>&1) || true
	equal "the object's verdict" "[\"$verdict\",$1,1]" "$(jq -c '[.reached, .status, .v]' <<<"$object")"
	equal "the object's gates" "$(sed -n 's/^gates: //p' <<<"$output" | sed 's/ (.*//')" "$(jq -r '.gates | join(" ")' <<<"$object")"
	equal "lines that begin with instead" "$(grep -c '^instead: ' <<<"$output")" "$(jq '.instead | length' <<<"$object")"
}

# loaded PROGRAM: does the library really come in, and how does the program end?
loaded() {
	run plain LD_PRELOAD="$LIB" PIPEGUARD_VERBOSE=1 PIPEGUARD_LOG=stderr "$P/$1"
	[[ $output == *'] load: '* ]]
}

@test "an ordinary program is reached, by all gates, and what it imports is told" {
	native_only
	says 0 yes dynamic <<-END
		program: $P/dynamic
		$BITS-bit
		dynamic
		(glibc)
		$(realpath "$LIB")
		privileges: none
		gates: call stdio signal
		imports: write
		not imported: writev
	END
	loaded dynamic
}

@test "the object has every key, whatever is known, and says what the lines say" {
	keys='["engine","file","gates","imports","instead","libc","libraries","library","library_libc","library_machine","linking","machine","privileges","process","program","reached","runtime","sanitizer","scripts","status","stdio","v","why"]'
	for program in "$P/dynamic" "$P/static" "$P/setuid" "$P/blob" "$P/stub" no-such-program $$ 2147483647; do
		equal "keys for $program" "$keys" "$(launch doctor -j "$program" | jq -c keys)"
	done
	native_only
	equal "the object" "[true,\"inside\",null,\"$BITS-bit $MACHINE\",\"glibc\",\"none\",null,[],[\"write\"],false,[],true]" \
		"$(launch doctor --json "$P/dynamic" | jq -c '[(.program == .file), .engine, .why, .machine, .libc, .privileges, .process, .scripts, .imports, .stdio, .instead, (.library | endswith("/libpipeguard.so"))]')"
	printf '#!/bin/sh\n' >"$P/$(printf 'q"\\\n\351')"
	chmod +x "$P/$(printf 'q"\\\n\351')"
	equal "an odd name" "$(printf 'q"\\\n\303\251')" "$(launch doctor --json "$P/$(printf 'q"\\\n\351')" | jq -r .program | sed "s|^$P/||")"
}

@test "a static program is reached from outside, and it is said why not from inside" {
	for name in static static-pie; do
		says 0 'yes, from outside: static' $name <<-'END'
			not inside: '
			static
			no library can be loaded
			gates: signal
		END
		run ! loaded $name
	done
	run -0 launch "$P/static" <<<x
}

@test "setuid, setgid and file capabilities are reached from outside, by root" {
	[[ $EUID -eq 0 ]] || skip "only root traces such programs and lets them keep their privileges"
	for name in setuid setgid; do
		says 0 'yes, from outside: setuid or setgid' $name <<<'setuid or setgid: the loader ignores LD_PRELOAD'
	done
	[[ -e $P/capable ]] || skip "no file capabilities here"
	says 0 'yes, from outside: file capabilities' capable <<<'file capabilities (cap_net_raw'
	cp -a "$P/capable" "/tmp/pipeguard-$$-capable"
	cp "$PIPEGUARD" "/tmp/pipeguard-$$-command"
	cp "$LIB" "/tmp/libpipeguard.so.$$"
	run timeout 10 setpriv --reuid=65534 --regid=65534 --clear-groups "/tmp/pipeguard-$$-command" "/tmp/pipeguard-$$-capable"
	rm -f "/tmp/pipeguard-$$-capable" "/tmp/pipeguard-$$-command" "/tmp/libpipeguard.so.$$"
	[[ $status -eq 126 || $status -eq 125 ]]
}

@test "what the doctor says of setuid and file capabilities is true for who is not root" {
	[[ $EUID -eq 0 && -e $P/capable ]] || skip "needs root and file capabilities"
	native_only
	for name in setuid capable dynamic; do
		cp -a "$P/$name" "/tmp/pipeguard-$$-$name"
		cp "$LIB" "/tmp/pipeguard-$$.so"
		got=$(timeout 10 setpriv --reuid=65534 --regid=65534 --clear-groups env LD_PRELOAD="/tmp/pipeguard-$$.so" PIPEGUARD_VERBOSE=1 \
			"/tmp/pipeguard-$$-$name" 2>&1 | grep -c '\] load: ') || true
		rm "/tmp/pipeguard-$$-$name" "/tmp/pipeguard-$$.so"
		equal "loads of $name" "$([[ $name = dynamic ]] && echo 1 || echo 0)" "$got"
	done
}

@test "file capabilities are read without any tool, and named as getcap names them" {
	[[ -e $P/capable ]] || skip "no file capabilities here"
	run -0 timeout 20 env -i PATH=/nowhere "$PIPEGUARD" doctor "$P/capable" 3>&-
	[[ $output == *'file capabilities (cap_net_raw=ep)'* ]]
	run -0 timeout 20 env -i PATH=/nowhere "$PIPEGUARD" doctor "$P/dynamic" 3>&-
	[[ $output == *'privileges: none'* ]]
	PATH=$PATH:/usr/sbin:/sbin
	for caps in cap_chown+p cap_net_raw,cap_net_admin+ep 'cap_kill+i cap_setuid+p' cap_bpf,cap_kill+ei cap_dac_override+i; do
		setcap "$caps" "$P/capable"
		run -0 launch doctor "$P/capable"
		equal "$caps" "file capabilities $(getcap "$P/capable" | cut -d' ' -f2-)" "$(sed -n 's/^privileges: //p' <<<"$output")"
	done
	setcap cap_net_raw+ep "$P/capable"
}

@test "programs for another architecture are not reached, but 32-bit ones from outside" {
	native_only
	says 126 no arm <<<"another architecture ($BITS-bit aarch64)"
	[[ -e $P/m32 ]] || skip "no 32-bit compiler"
	[[ $BITS = 64 ]] || skip "32-bit programs are this one's own"
	says 0 'yes, from outside: 32-bit i386' m32 <<-'END'
		another architecture (32-bit i386)
		instead: a library for 32-bit i386 (make 32
	END
	run ! loaded m32
}

@test "a Go program is reached from outside, also if it loads libraries" {
	native_only
	says 0 'yes, from outside: static Go' go <<<'runtime: Go'
	says 0 'yes, from outside: Go' cgo <<-'END'
		runtime: Go
		raw system calls
	END
	run -0 launch "$P/cgo"
}

@test "an AddressSanitizer build is reached only with its runtime first, as the doctor says" {
	native_only
	[[ -e $P/asan ]] || skip "no AddressSanitizer"
	says 0 'yes, from outside: a program with libasan' asan <<-'END'
		sanitizer: ASan (libasan.so
		ASAN_OPTIONS=verify_asan_link_order=0
		instead: LD_PRELOAD=libasan.so
	END
	run ! plain LD_PRELOAD="$LIB" "$P/asan"
	[[ $output == *'does not come first'* ]]
	run -126 launch --inside "$P/asan"
	[ "${#lines[@]}" -eq 1 ]
	export ASAN_OPTIONS=verify_asan_link_order=0
	says 0 yes asan <<<'gates: call stdio signal'
	loaded asan
	unset ASAN_OPTIONS

	# The line that it names: the runtime comes before the library, and all gates are at work.
	command=$(launch doctor "$P/asan" | sed -n 's/^instead: //p')
	[[ $command == LD_PRELOAD=libasan.so* ]]
	run timeout 20 "$FIXTURES/sigdfl" env PATH="$BATS_FILE_TMPDIR/bin:$PATH" bash -c "${command/pipeguard/pipeguard -v}" 3>&-
	[ "$status" -eq 0 ]
	[[ $output == *'] load: asan, gates call stdio signal'* ]]
	run env "${command%% *}" "$PIPEGUARD" doctor "$P/asan"
	[ "$status" -eq 0 ]
}

@test "a LeakSanitizer build is reached, whichever of the two is first, as the doctor says" {
	native_only
	[[ -e $P/lsan ]] || skip "no LeakSanitizer"
	says 0 yes lsan <<-'END'
		sanitizer: LSan (liblsan.so
		gates: call stdio signal
	END
	first=LD_PRELOAD=$(ldd "$P/lsan" | awk '/liblsan/ { print $1 }')
	# A broken write by which the program dies is told in both orders.
	for before in A=b "$first"; do
		rm -f "$LOG"
		run timeout 20 "$FIXTURES/sigdfl" "$FIXTURES/brokenfd" 1 env "$before" "$PIPEGUARD" -j -o "$LOG" "$P/lsan" 3>&-
		[ "$status" -eq 141 ]
		equal "the signal, $before" '"fatal"' "$(broken .signal)"
	done
}

@test "a sanitizer's runtime inside the program is no obstacle" {
	native_only
	[[ -e $P/asan-inside ]] || skip "no AddressSanitizer"
	says 0 yes asan-inside <<<'gates: call stdio signal'
	loaded asan-inside
}

@test "a program for musl is reached in part" {
	native_only
	[[ -e $P/musl ]] || skip "no musl"
	says 1 partly musl <<-'END'
		(musl)
		gates: call signal
		stdio
		instead: strace
	END
	loaded musl
	printf '#include <stdio.h>\nint main(void) { return puts("x") < 0; }\n' | musl-gcc -x c -o "$BATS_TEST_TMPDIR/prints" -
	run launch doctor "$BATS_TEST_TMPDIR/prints"
	[[ $output == *$'\n'"stdio: it writes by libc's FILEs, which no rule reaches"$'\n'* ]]
}

@test "a script is what its interpreter is, all along the chain" {
	native_only
	script direct '#!/bin/sh'
	script by-env '#!/usr/bin/env sh'
	script by-env-split '#!/usr/bin/env -S A=b sh -e'
	script none 'true'
	script chain "#!$P/direct"
	for name in direct by-env by-env-split none chain; do
		says 0 yes $name <<<"script: $P/$name, wh"
		run -3 launch "$P/$name"
		run -3 plain LD_PRELOAD="$LIB" PIPEGUARD_VERBOSE=1 bash -c "exec $P/$name"
		[[ $output == *'] load: '* ]]
	done
	script static-interpreter "#!$P/static"
	script static-chain "#!$P/static-interpreter"
	for name in static-interpreter static-chain; do
		says 0 'yes, from outside: static' $name <<<"'$P/static' is statically linked"
		run -126 launch --inside "$P/$name"
		equal "the line" "pipeguard: '$P/$name' is a script; '$P/static' is statically linked: no library can be loaded into it" "$output"
	done
}

@test "a setuid script is an ordinary one: the kernel ignores the bit" {
	native_only
	script setuid-script '#!/bin/sh'
	chmod 4755 "$P/setuid-script"
	says 0 yes setuid-script </dev/null
}

@test "a script whose first line takes LD_PRELOAD away is not reached" {
	for first in '#!/usr/bin/env -S -i sh' '#!/usr/bin/env -S -u LD_PRELOAD sh' '#!/usr/bin/env -S LD_PRELOAD= sh'; do
		script cleared "$first"
		says 0 'yes, from outside: a script' cleared <<<'takes LD_PRELOAD away'
		run plain LD_PRELOAD="$LIB" PIPEGUARD_VERBOSE=1 "$P/cleared"
		[[ $output != *'] load: sh'* ]]
	done
}

@test "names and first lines are shown without control bytes, each line one" {
	script "$(printf 'red\033[31m')" "$(printf '#!/no/such\033[2J\001 x')"
	run -127 launch doctor "$P/$(printf 'red\033[31m')"
	echo "$output" | cat -v
	[[ $output != *[$'\001'-$'\011'$'\013'-$'\037']* ]]
	[[ $output == *'red\x1b[31m, whose interpreter is /no/such\x1b[2J\x01 x'* ]]
	[ "${#lines[@]}" -eq 3 ]
}

@test "what cannot start is told, with 127" {
	script gone '#!/no/such/interpreter'
	script gone-env '#!/usr/bin/env no-such-interpreter'
	script two-words '#!/usr/bin/env sh -e'
	script carriage $'#!/bin/sh\r'
	script circle "#!$P/circle"
	for name in gone gone-env two-words carriage circle no-loader stub; do
		says 127 no $name </dev/null
		run -127 launch "$P/$name"
		[ "${#lines[@]}" -eq 1 ]
		# A shell would take the stub for a script of its own.
		[[ $name = stub ]] || run ! plain "$P/$name"
	done
	run -127 launch doctor no-such-program-here
	equal "the verdict" "reached: no: 'no-such-program-here' was not found" "$output"
	run -126 launch doctor "$P/w.c-not-executable$(install -m 644 /dev/null "$P/w.c-not-executable")"
	[[ $output == 'reached: no: '*'cannot be run' ]]
}

@test "the loader called as a program is no static program" {
	native_only
	loader=$(readelf -lW "$P/dynamic" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
	run -0 launch doctor "$loader"
	[[ $output == 'reached: yes'*'the loader itself'* ]]
	run -0 launch -v "$loader" "$P/dynamic"
	[[ $output == *'] load: '* ]]
}

@test "a chain of interpreters is as long as the kernel lets it be" {
	native_only
	script chain-1 '#!/bin/sh'
	for n in 2 3 4 5 6 7; do
		script chain-$n "#!$P/chain-$((n - 1))"
		run plain "$P/chain-$n"
		if [ "$status" -eq 3 ]; then
			says 0 yes chain-$n </dev/null
		else
			says 127 no chain-$n <<<'more than five interpreters'
		fi
	done
	[ "$status" -eq 127 ]
}

@test "a library for musl does not reach a program for glibc" {
	native_only
	mkdir "$BATS_TEST_TMPDIR/build"
	cp "$BUILD/pipeguard" "$BATS_TEST_TMPDIR/build"
	sed 's/GLIBC_/______/g' "$LIB" >"$BATS_TEST_TMPDIR/build/libpipeguard.so"
	PIPEGUARD=$BATS_TEST_TMPDIR/build/pipeguard
	says 0 'yes, from outside: for glibc' dynamic <<-'END'
		for musl
		the loader would refuse it
	END
	run -126 launch --inside "$P/dynamic"
	run plain LD_PRELOAD="$BATS_TEST_TMPDIR/build/libpipeguard.so" "$P/dynamic"
	[ "$status" -ne 0 ]
	local musl=$ROOT/build/musl
	[[ -e $musl/libpipeguard.so ]] || skip "no build for musl"
	PIPEGUARD=$musl/pipeguard says 0 'yes, from outside: for glibc' dynamic <<<'for musl'
	if [[ $output = *'the loader would refuse it'* ]]; then
		run -127 plain LD_PRELOAD="$musl/libpipeguard.so" "$P/dynamic"
	else
		[[ $output = *"it would not see what libc's stdio writes"* ]]
		run -0 plain PIPEGUARD_VERBOSE=1 PIPEGUARD_LOG=fd:1 LD_PRELOAD="$musl/libpipeguard.so" "$P/dynamic"
		[[ $output = *' gates call signal '* ]]
	fi
}

@test "what is neither ELF nor script is not known, and not refused" {
	says 1 partly blob <<<'neither an ELF file nor a script'
}

@test "the doctor runs nothing" {
	script bomb "#!/bin/sh
touch $P/exploded"
	launch doctor "$P/bomb"
	[ ! -e "$P/exploded" ]
}

@test "the doctor takes one program, and is not a program's name" {
	for args in '' 'sh -c'; do
		# shellcheck disable=SC2086 # words
		run -125 launch doctor $args
		[ "${#lines[@]}" -eq 1 ]
	done
	printf '#!/bin/sh\necho "$0 is here"\n' >"$BATS_TEST_TMPDIR/doctor"
	chmod +x "$BATS_TEST_TMPDIR/doctor"
	PATH=$BATS_TEST_TMPDIR:$PATH run -0 launch run -- doctor
	equal "the program called doctor" "$BATS_TEST_TMPDIR/doctor is here" "$output"
}

@test "what writes by libc's FILEs, and what libraries write, is told" {
	native_only
	printf '#include <stdio.h>\nint main(void) { return puts("x") < 0; }\n' >"$BATS_TEST_TMPDIR/f.c"
	gcc -o "$P/by-stdio" "$BATS_TEST_TMPDIR/f.c"
	printf '#include <unistd.h>\nint f(void) { return write(1, "x", 1); }\n' >"$BATS_TEST_TMPDIR/l.c"
	gcc -shared -fPIC -o "$BATS_TEST_TMPDIR/libwrites.so" "$BATS_TEST_TMPDIR/l.c"
	printf 'int f(void);\nint main(void) { return f() < 0; }\n' >"$BATS_TEST_TMPDIR/m.c"
	gcc -o "$P/by-library" "$BATS_TEST_TMPDIR/m.c" "$BATS_TEST_TMPDIR/libwrites.so" -Wl,-soname,x
	says 0 yes by-stdio <<-'END'
		imports: none of the calls that rules name
		stdio: it writes by libc's FILEs
	END
	gcc -shared -fPIC -Wl,-soname,libwrites.so -o "$BATS_TEST_TMPDIR/libwrites.so" "$BATS_TEST_TMPDIR/l.c"
	gcc -o "$P/by-library" "$BATS_TEST_TMPDIR/m.c" "$BATS_TEST_TMPDIR/libwrites.so"
	export LD_LIBRARY_PATH=/nowhere:$BATS_TEST_TMPDIR
	says 0 yes by-library <<<'library libwrites.so: write'
	equal "the object's libraries" '[{"name":"libwrites.so","imports":["write"],"stdio":false}]' \
		"$(launch doctor --json "$P/by-library" | jq -c .libraries)"
	# The imports are those that readelf finds, with and without a table of sections.
	local at=58 # where its header has the size, the number and the names of the sections
	[[ $BITS = 64 ]] || at=46
	for program in /usr/bin/perl /bin/ls /bin/bash "$(type -P jq)"; do
		wanted=$(readelf -W --dyn-syms "$program" | awk '$7 == "UND" { sub(/@.*/, "", $8); print $8 }' | sed 's/^__\(.*\)_chk$/\1/;s/^__//' | sort -u |
			grep -xF "$(launch list calls | awk '{ print $1 }')" | xargs)
		equal "imports of $program" "$wanted" "$(launch doctor --json "$program" | jq -r '.imports[]' | sort | xargs)"
		cp "$program" "$BATS_TEST_TMPDIR/no-sections"
		head -c 6 /dev/zero | dd of="$BATS_TEST_TMPDIR/no-sections" bs=1 seek=$at conv=notrunc status=none
		readelf -h "$BATS_TEST_TMPDIR/no-sections" 2>/dev/null | grep -q 'Number of section headers: *0'
		got=$(launch doctor --json "$BATS_TEST_TMPDIR/no-sections" | jq -r '.imports // ["unknown"] | .[]' | sort | xargs)
		[[ $got == "$wanted" || $got = unknown ]]
		[[ $program != /bin/bash || $got == "$wanted" ]]
	done
}

@test "a process is told by its id: whether the library is in it, what it would be started anew, its SIGPIPE" {
	native_only
	while read -r mode word; do
		"$FIXTURES/sigdfl" "-$mode" sleep 30 >/dev/null 2>&1 3>&- &
		pid=$!
		wait_for grep -qx sleep "/proc/$pid/comm"
		run -0 launch doctor "$pid"
		echo "$output"
		[[ $output == "reached: yes, from outside: process $pid (sleep) runs already"* ]]
		[[ $output == *"instead: pipeguard attach $pid"* ]]
		[[ $output == *"process: $pid sleep, SIGPIPE $word"* && $output == *'started anew: yes'* ]]
		equal "the object" "[\"yes\",0,$pid,\"$word\",false]" \
			"$(launch doctor -j "$pid" | jq -c '[.reached, .status, .process.pid, .process.sigpipe, .process.guarded]')"
		kill "$pid"
		wait "$pid" || true
	done <<-'END'
		d default
		i ignored
		b blocked
	END
	"$FIXTURES/sigdfl" "$PIPEGUARD" sleep 30 >/dev/null 2>&1 3>&- &
	pid=$!
	wait_for grep -q libpipeguard "/proc/$pid/maps"
	run -0 launch doctor "$pid"
	[[ $output == "reached: yes, inside: the library is in process $pid (sleep)"* ]]
	# The handler may be the library's own: what the program did is not known.
	equal "SIGPIPE" null "$(wait_for grep -q 'SigCgt:.*1...$' "/proc/$pid/status"; launch doctor -j "$pid" | jq -c .process.sigpipe)"
	kill "$pid"
	wait "$pid" || true
	run -127 launch doctor 2147483647
	equal "the verdict" "reached: no: there is no process 2147483647" "$output"
}

# hostile NAME OFFSET BYTES...: $P/dynamic with other bytes there, made long but for holes.
hostile() {
	cp "$P/dynamic" "$P/$1"
	printf '%b' "$3" | dd of="$P/$1" bs=1 seek="$2" conv=notrunc status=none
	truncate -s "${4:-8G}" "$P/$1"
}

@test "a hostile ELF file is answered within two seconds of processor time" {
	native_only
	hostile many-segments 56 '\377\377'
	hostile many-sections 60 '\377\377'
	hostile far-segments 32 '\0\0\0\0\1\0\0\0'
	hostile far-sections 40 '\0\0\0\0\1\0\0\0'
	hostile end-segments 32 '\377\377\377\377\377\377\377\177'
	hostile odd-size 54 '\1\0'
	phdr=$(readelf -lW "$P/dynamic" | awk '/There are/ { n = $3 } /starting at offset/ { print $NF }')
	for segment in 1 2 3 4 5 6 7 8; do
		# The size in the file of each segment, one after the other, is all there is.
		hostile "segment-$segment" $((phdr + 56 * segment + 32)) '\0\0\0\0\1\0\0\0'
		hostile "offset-$segment" $((phdr + 56 * segment + 8)) '\0\0\0\0\1\0\0\0'
	done
	for file in "$P"/{many-,far-,end-,odd-,segment-,offset-}*; do
		echo "file: $file"
		status=0
		output=$( (ulimit -t 2 && exec timeout 20 "$PIPEGUARD" doctor "$file") 2>&1 3>&-) || status=$?
		echo "status $status: $output"
		[[ $status =~ ^(0|1|126|127)$ ]]
		status=0
		(ulimit -t 2 && exec timeout 20 "$PIPEGUARD" -n "$file") >/dev/null 2>&1 3>&- || status=$?
		[[ $status =~ ^(0|126|127)$ ]]
		rm "$file"
	done
}

@test "what is no regular file cannot be run, and is not waited for" {
	mkfifo -m 755 "$BATS_TEST_TMPDIR/fifo"
	run -126 timeout 10 "$PIPEGUARD" doctor "$BATS_TEST_TMPDIR/fifo" 3>&-
	run -126 timeout 10 "$PIPEGUARD" "$BATS_TEST_TMPDIR/fifo" 3>&-
	equal "the line" "pipeguard: '$BATS_TEST_TMPDIR/fifo' cannot be run" "$output"
}

@test "env's options are understood: what it keeps, and what it takes away" {
	native_only
	while IFS='|' read -r wanted verdict first; do
		script by-option "#!/usr/bin/env $first"
		says "$wanted" "$verdict" by-option </dev/null
	done <<-'END'
		0|yes|-S sh -e
		0|yes|-Ssh -e
		0|yes|-vS sh -e
		0|yes|--split-string=sh -e
		0|yes|-S -u OTHER sh
		0|yes|-S -uOTHER A=b sh
		0|yes, from outside|-S -i sh
		0|yes, from outside|-iS sh
		0|yes, from outside|-S - sh
		0|yes, from outside|-S -u LD_PRELOAD sh
		0|yes, from outside|-S -uLD_PRELOAD sh
		0|yes, from outside|-S --unset=LD_PRELOAD sh
		0|yes, from outside|-S --ignore-environment sh
		127|no|sh -e
		127|no|-S no-such-shell
	END
}
