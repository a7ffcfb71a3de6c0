#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Children that the library does not come into: the log of who starts them says so, once, with the command that reaches them.
# shellcheck disable=SC2016 # programs for sh

load ../helpers
load ../outside

setup() { native_only; }

# unreached [FILTER]: the events of such children.
unreached() { events "select(.ev == \"unreached\") | ${1:-.}"; }

# tree [VAR=VALUE...] PROGRAM ARGS: by the command, so that a tree has a page; the log is JSON in $LOG.
tree() {
	timeout "$LIMIT" "$FIXTURES/sigdfl" -d env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$BUILD/pipeguard" run "$@" 3>&-
}

@test "a static child is told once in a tree, with the command that reaches it" {
	run tree sh -c '"$1" nothing; sh -c "\"$1\" nothing; :" sh "$1"; "$1" nothing; /bin/true; :' sh "$STILL"
	equal "what is told" "[\"$STILL\",\"static\",\"pipeguard run --both\",\"sh\"]" \
		"$(unreached '[.path, .barrier, .instead, .comm]')"
	[[ $(unreached .child) -gt 1 && $(unreached '.child == .pid') = true ]]
}

@test "in words, at the first verbosity; a log that is off says nothing" {
	run timeout "$LIMIT" "$BUILD/pipeguard" run sh -c '"$1" nothing; :' sh "$STILL"
	[[ $output =~ ^pipeguard\[([0-9]+):[0-9]+\ sh\]\ pid\ ([0-9]+)\ \(.*/still\)\ is\ statically\ linked:\ not\ seen\ from\ here\;\ pipeguard\ run\ --both\ reaches\ it$ ]]
	[ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]
	equal "off" "" "$(timeout "$LIMIT" env PIPEGUARD_LOG=off "$BUILD/pipeguard" run sh -c '"$1" nothing; :' sh "$STILL" 2>&1)"
}

@test "by each of libc's ways, from a vfork's child and from a thread" {
	local way
	for way in execve execv execvp execvpe execveat fexecve execl execlp execle posix_spawn posix_spawnp thread actions; do
		rm -f "$LOG"
		PATH=${STILL%/*}:$PATH guarded "$FIXTURES/starts" "$way" "$STILL" >/dev/null 2>&1 || [ $? = 2 ]
		# By fexecve it is the descriptor's path, whatever link led there.
		equal "$way" '["/still","static",true]' "$(unreached "[(.path | sub(\".*/\"; \"/\")), .barrier, (.child != .pid) == (\"$way\" | test(\"spawn|actions\"))]")"
	done
}

@test "by pidfd_spawn and pidfd_spawnp, where libc has them" {
	local way said
	for way in pidfd_spawn pidfd_spawnp; do
		rm -f "$LOG"
		said=0
		PATH=${STILL%/*}:$PATH plain "$FIXTURES/starts" "$way" "$STILL" >/dev/null 2>&1 || said=$?
		[[ $said = 2 ]] || skip "this libc has no pidfd_spawn"
		PATH=${STILL%/*}:$PATH guarded "$FIXTURES/starts" "$way" "$STILL" >/dev/null 2>&1 || [ $? = 2 ]
		equal "$way" "[\"$STILL\",\"static\",true]" "$(unreached '[.path, .barrier, .child > 1 and .child != .pid]')"
	done
}

@test "by system and popen: their shell tells what it starts; who starts it without LD_PRELOAD tells the shell" {
	glibc_only
	local way
	for way in system popen; do
		rm -f "$LOG"
		guarded "$FIXTURES/starts" "$way" "$STILL nothing; :" >/dev/null 2>&1 || :
		equal "$way" "[\"sh\",\"$STILL\",\"static\"]" "$(unreached '[.comm, .path, .barrier]')"
		rm -f "$LOG"
		guarded "$FIXTURES/starts" "$way" 'exit 3' bare && return 1
		[ $? = 3 ]
		equal "$way without" '["starts","/bin/sh","environment",null,"pipeguard run --both"]' \
			"$(unreached '[.comm, .path, .barrier, .child, .instead]')"
	done
	run guarded PIPEGUARD_FORMAT=text "$FIXTURES/starts" system : bare
	grep -q 'a child (/bin/sh) is started without LD_PRELOAD: not seen from here; pipeguard run --both reaches it$' "$LOG"
}

@test "without the command's page a process and its forks tell it once" {
	guarded bash -c 'for i in 1 2 3; do "$1" nothing; done; ("$1" nothing; :); :' bash "$STILL"
	equal "times" 1 "$(unreached 1 | wc -l)"
}

@test "pointers to nowhere are the kernel's to refuse" {
	equal "the answers" "$(plain "$FIXTURES/starts" bad)" "$(guarded "$FIXTURES/starts" bad)"
	equal "the log" "" "$(unreached)"
}

@test "a child without LD_PRELOAD is told, once for who takes it away" {
	run tree sh -c 'env -i /bin/true; env -i /bin/echo; env -u LD_PRELOAD sh -c "/bin/true; :"; :'
	equal "what is told" '["/bin/true","environment","env"]' "$(unreached '[.path, .barrier, .comm]')"
	rm -f "$LOG"
	run tree env LD_PRELOAD="$LIB:/nonexistent.so" /bin/true
	equal "another list with it" "" "$(unreached)"
}

@test "a script is what its interpreter is; a setuid script is none; the loader by hand is no static program" {
	requires busybox
	local dir=$BATS_TEST_TMPDIR
	printf '#!%s sh\n:\n' "$(command -v busybox)" >"$dir/outer"
	printf '#! /bin/sh\n:\n' >"$dir/plain"
	chmod 4755 "$dir/plain"
	chmod 755 "$dir/outer"
	[[ $(readelf -lW "$(command -v busybox)") != *INTERP* ]] || skip "this busybox is no static one"
	run tree sh -c '"$1/outer"; "$1/plain"; "$2" /bin/true; :' sh "$dir" \
		"$(readelf -lW /bin/sh | sed -n 's/.*interpreter: \(.*\)]/\1/p')"
	equal "what is told" "[\"$(command -v busybox)\",\"static\"]" "$(unreached '[.path, .barrier]')"
}

@test "a first line that ends with its file is one; one that is cut off is none" {
	local dir=$BATS_TEST_TMPDIR
	printf '#!%s' "$STILL" >"$dir/whole"
	printf '#!%s' "$STILL$(printf '%0300d' 0)" >"$dir/cut"
	chmod 755 "$dir/whole" "$dir/cut"
	run tree sh -c '"$1/cut"; "$1/whole"; :' sh "$dir"
	equal "what is told" "[\"$STILL\",\"static\"]" "$(unreached '[.path, .barrier]')"
}

@test "a setuid program: for whom the loader ignores LD_PRELOAD, and for nobody else" {
	[ "$(id -u)" = 0 ] || skip "root makes such a file"
	requires setpriv
	local dir=$BATS_TEST_TMPDIR
	cp /bin/true "$dir/suid"
	cp /bin/true "$dir/sgid"
	chmod 4755 "$dir/suid"
	chmod 2755 "$dir/sgid"
	chmod 711 "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}" "${BATS_TEST_TMPDIR%/*/*}"
	run tree sh -c '"$1/suid"; "$1/sgid"; :' sh "$dir"
	equal "root" "" "$(unreached)"
	install -m 666 /dev/null "$LOG"
	cp -r "$BUILD/pipeguard" "$LIB" "$dir"
	chmod 755 "$dir/pipeguard" "$dir/libpipeguard.so"
	run timeout "$LIMIT" setpriv --reuid 65534 --regid 65534 --clear-groups env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json \
		LD_PRELOAD="$dir/libpipeguard.so" sh -c '"$1/suid"; "$1/sgid"; :' sh "$dir"
	equal "another user" "[\"$dir/suid\",\"privileged\",true]
[\"$dir/sgid\",\"privileged\",true]" "$(unreached '[.path, .barrier, .instead == "sudo pipeguard attach \(.child)"]')"
	: >"$LOG"
	run timeout "$LIMIT" setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs env PIPEGUARD_LOG="$LOG" \
		PIPEGUARD_FORMAT=json LD_PRELOAD="$dir/libpipeguard.so" sh -c '"$1/suid"; :' sh "$dir"
	equal "the bit is without effect" "" "$(unreached)"
}

@test "a program for another machine is told where its name cannot mean another library" {
	[ "$(uname -m)" = x86_64 ] || skip "known of this machine alone"
	local dir=$BATS_TEST_TMPDIR
	cp /bin/true "$dir/other"
	printf '\x03' | dd of="$dir/other" bs=1 seek=18 conv=notrunc status=none # e_machine: EM_386
	printf '\x01' | dd of="$dir/other" bs=1 seek=4 conv=notrunc status=none  # ELFCLASS32
	run tree sh -c '"$1/other"; :' sh "$dir"
	equal "what is told" "[\"$dir/other\",\"machine\",\"pipeguard run --both\"]" "$(unreached '[.path, .barrier, .instead]')"
	rm "$LOG"
	run guarded LD_PRELOAD="$dir/\$LIB/libpipeguard.so:$LIB" sh -c '"$1/other"; :' sh "$dir"
	equal "a name with \$LIB" "" "$(unreached)"
}

@test "what cannot be looked at, or run, is not told" {
	local dir=$BATS_TEST_TMPDIR
	cp "$STILL" "$dir/still"
	chmod 644 "$dir/still"
	mkfifo "$dir/fifo"
	chmod 755 "$dir/fifo"
	printf 'no program\n' >"$dir/text"
	chmod 755 "$dir/text"
	head -c 100 "$STILL" >"$dir/torn"
	chmod 755 "$dir/torn"
	cd "$dir"
	# bash opens a FIFO that it cannot run, and waits; env has sh read whatever is no program.
	run -0 tree bash -c 'for p in still text torn none; do "$1/$p"; done; env "$1/fifo"; echo over' bash "$dir"
	[[ $output == *over ]]
	equal "the log" "" "$(unreached)"
}

@test "a path that is too long for a line is not known; a part of it would be another's" {
	local deep=$BATS_TEST_TMPDIR
	deep+=/$(printf 'a%.0s' {1..200})
	deep+=/$(printf 'b%.0s' {1..200})
	mkdir -p "$deep"
	cp "$STILL" "$FIXTURES/build" "$deep"
	tree sh -c '"$1" nothing; :' sh "$deep/${STILL##*/}"
	equal "a program" null "$(unreached .path)"
	rm "$LOG"
	run guarded -i PIPEGUARD_VERBOSE=1 "$deep/build" write
	equal "a module" null "$(events 'select(.ev == "module" and .module == "build") | .path')"
}

@test "--both sees it, so nothing is told; PIPEGUARD_SKIP leaves it out" {
	traced_only
	run tree --both sh -c '"$1" nothing; :' sh "$STILL"
	equal "--both" "" "$(unreached)"
	PIPEGUARD_SKIP=still run tree sh -c '"$1" nothing; :' sh "$STILL"
	equal "PIPEGUARD_SKIP" "" "$(unreached)"
}

@test "a child whose standard error is another file gets no line there" {
	run timeout "$LIMIT" "$BUILD/pipeguard" run sh -c 'x=$("$1" nothing 2>&1); echo "got: $x"' sh "$STILL" 2>/dev/null
	[[ $output != *pipeguard* ]]
}
