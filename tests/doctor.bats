#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# pipeguard doctor: what it says of a program is what happens to it.
# shellcheck disable=SC2016,SC2030,SC2031 # the inner shells expand; each test is a subshell

load helpers


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
	sed -i 's|/lib64/ld-linux-x86-64.so.2|/lib64/ld-linux-x86-99.so.2|' "$P/no-loader"
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

# says STATUS VERDICT NAME: the doctor's status and verdict for $P/NAME; words that it must contain on stdin.
says() {
	echo "doctor $3, wanted $1 and $2"
	run "-$1" launch doctor "$P/$3"
	echo "$output"
	[[ $output == *$'\n'"reached: $2"* ]] || return 1
	local word
	while IFS= read -r word; do
		[[ $output == *"$word"* ]] || { echo "the word is missing: $word" && return 1; }
	done
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
		64-bit
		dynamic
		(glibc)
		$LIB
		privileges: none
		gates: call stdio signal
		imports: write
		not imported: writev
	END
	loaded dynamic
}

@test "a static program is not reached, and strace serves instead" {
	for name in static static-pie; do
		says 126 no $name <<-'END'
			static
			no library can be loaded
			instead: strace -f -e trace=write,sendto -e inject=write:error=EPIPE:signal=PIPE:when=3
		END
		run ! loaded $name
	done
	strace -o "$BATS_TEST_TMPDIR/trace" true 2>/dev/null || skip "nothing can be traced here"
	command=$(launch doctor "$P/static" | sed -n 's/^instead: //p')
	run -141 timeout 20 "$FIXTURES/sigdfl" bash -c "$command 2>'$BATS_TEST_TMPDIR/trace'" 3>&-
	equal "what was written before" $'x\nx' "$output"
	grep -q 'EPIPE (Broken pipe) (INJECTED)' "$BATS_TEST_TMPDIR/trace"
}

@test "setuid, setgid and file capabilities are not reached" {
	for name in setuid setgid; do
		says 126 no $name <<<'setuid or setgid: the loader ignores LD_PRELOAD'
	done
	[[ -e $P/capable ]] || skip "no file capabilities here"
	says 126 no capable <<<'file capabilities (cap_net_raw'
	run -126 launch "$P/capable"
	equal "the line" "pipeguard: '$P/capable' has file capabilities (cap_net_raw=ep): the loader ignores LD_PRELOAD for it" "$output"
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

@test "file capabilities are read without getcap, and it is said when they cannot be known" {
	[[ -e $P/capable ]] || skip "no file capabilities here"
	capabilities() {
		PATH=$BATS_TEST_TMPDIR/bin /bin/sh -c '. "$1"; pg_thorough=yes; file_capabilities "$2"' sh "$ROOT/scripts/pipeguard-doctor" "$P/$1"
	}
	mkdir "$BATS_TEST_TMPDIR/bin"
	equal "without any of them" unknown "$(capabilities capable)"
	ln -s /usr/bin/python3 "$BATS_TEST_TMPDIR/bin/python3"
	equal "with python3" security.capability "$(capabilities capable)"
	equal "with python3, an ordinary file" '' "$(capabilities dynamic)"
	printf '#!/bin/sh\n[ "$*" = "-n security.capability %s" ]\n' "$P/capable" >"$BATS_TEST_TMPDIR/bin/getfattr"
	chmod +x "$BATS_TEST_TMPDIR/bin/getfattr"
	equal "with getfattr" security.capability "$(capabilities capable)"
	equal "with getfattr, an ordinary file" '' "$(capabilities dynamic)"
}

@test "programs for another architecture are not reached" {
	native_only
	says 126 no arm <<<'another architecture (64-bit aarch64)'
	[[ -e $P/m32 ]] || skip "no 32-bit compiler"
	says 126 no m32 <<-'END'
		another architecture (32-bit i386)
		instead: a library for 32-bit i386 (make 32
		instead: strace
	END
	run ! loaded m32
}

@test "a Go program is not reached if it is static, partly if it loads libraries" {
	native_only
	says 126 no go <<-'END'
		runtime: Go
		instead: strace
	END
	says 1 partly cgo <<-'END'
		runtime: Go
		raw system calls
		instead: strace
	END
	run -0 launch "$P/cgo"
}

@test "an AddressSanitizer build is reached only with its runtime first, as the doctor says" {
	native_only
	[[ -e $P/asan ]] || skip "no AddressSanitizer"
	says 126 no asan <<-'END'
		sanitizer: ASan (libasan.so
		ASAN_OPTIONS=verify_asan_link_order=0
		instead: LD_PRELOAD=libasan.so
	END
	run ! plain LD_PRELOAD="$LIB" "$P/asan"
	[[ $output == *'does not come first'* ]]
	run -126 launch "$P/asan"
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
		says 126 no $name <<<"'$P/static' is statically linked"
		run -126 launch "$P/$name"
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
		says 126 no cleared <<<'takes LD_PRELOAD away'
		run plain LD_PRELOAD="$LIB" PIPEGUARD_VERBOSE=1 "$P/cleared"
		[[ $output != *'] load: sh'* ]]
	done
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
	[[ $output == *'the loader itself'*'reached: yes'* ]]
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
	mkdir -p "$BATS_TEST_TMPDIR/build" "$BATS_TEST_TMPDIR/scripts"
	cp "$ROOT"/scripts/pipeguard* "$BATS_TEST_TMPDIR/scripts"
	cp "$BUILD/pipeguard-rules" "$BATS_TEST_TMPDIR/build"
	sed 's/GLIBC_/_____/g' "$LIB" >"$BATS_TEST_TMPDIR/build/libpipeguard.so"
	PIPEGUARD=$BATS_TEST_TMPDIR/scripts/pipeguard
	says 126 no dynamic <<-'END'
		for musl
		the loader would refuse it
	END
	run -126 launch "$P/dynamic"
	[[ -e $ROOT/build/musl/libpipeguard.so ]] || skip "no build for musl"
	run -127 plain LD_PRELOAD="$ROOT/build/musl/libpipeguard.so" "$P/dynamic"
}

@test "what is neither ELF nor script is not known, and not refused" {
	says 1 partly blob <<<'neither an ELF file nor a script'
}

@test "the doctor says the same under any shell" {
	native_only
	script any '#!/usr/bin/env sh'
	for shell in dash 'bash --posix' 'busybox sh'; do
		command -v "${shell%% *}" >/dev/null || continue
		for name in dynamic static setuid any cgo; do
			# shellcheck disable=SC2086 # words
			run timeout 20 $shell "$PIPEGUARD" doctor "$P/$name" 3>&-
			equal "$shell, $name" "$(launch doctor "$P/$name")" "$output"
		done
	done
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
