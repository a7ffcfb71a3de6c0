#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# The guest never harms its host: memory that comes and goes, stacks that end in nonsense, arguments that the kernel
# refuses, tables that never end.

load ../helpers

setup() {
	PIPES=-d
	LINKS=
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	[[ -z $LINKS ]] || rm -r "$LINKS"
}

# native STATUS MODE...: the guest fixture without the library ends with STATUS; $WANTED is that and its output.
native() {
	run plain "$PIPES" "$FIXTURES/guest" "${@:2}"
	((status != 77)) || skip "not with this machine or kernel"
	equal "guest ${*:2} under SIGPIPE $PIPES without the library" "$1" "$status"
	WANTED="$status $output"
}

# housed [VAR=VALUE...] MODE...: with it the same comes of it.
housed() {
	local vars=()
	rm -f "$LOG"
	while [[ $1 = [A-Z]*=* ]]; do
		vars+=("$1")
		shift
	done
	run guarded "$PIPES" "${vars[@]}" "$FIXTURES/guest" "$@"
	equal "guest $* under SIGPIPE $PIPES ${vars[*]}" "$WANTED" "$status $output"
}

# same STATUS MODE...: and so it does where the library looks at every call.
same() {
	native "$@"
	housed PIPEGUARD_VERBOSE=2 "${@:2}"
	housed PIPEGUARD_RULES='%out:fd=!0-2:stack=nobody:log' "${@:2}"
	housed "${@:2}"
}

# ---- memory that belongs to the loader ----

# eight_libraries: copies of one, which the loader takes for eight.
eight_libraries() {
	local i
	LIBRARIES=()
	for i in {1..8}; do
		cp "$FIXTURES/plugin.so" "$BATS_TEST_TMPDIR/$i.so"
		LIBRARIES+=("$BATS_TEST_TMPDIR/$i.so")
	done
}

@test "libraries come and go in one thread while writes break in another: it goes on" {
	eight_libraries
	native 0 unload broken "${LIBRARIES[@]}"
	housed unload broken "${LIBRARIES[@]}"
	[[ -n $(broken .fd) ]]
	housed PIPEGUARD_SIGPIPE=suppress unload broken "${LIBRARIES[@]}"
}

@test "libraries come and go while rules look at who calls in another thread: it goes on" {
	eight_libraries
	native 0 unload healthy "${LIBRARIES[@]}"
	housed PIPEGUARD_RULES='write:caller=nobody:break' unload healthy "${LIBRARIES[@]}"
	housed PIPEGUARD_RULES='write:stack=nobody:break' unload healthy "${LIBRARIES[@]}"
	housed PIPEGUARD_RULES='write:site=0123456789abcdef:break' unload healthy "${LIBRARIES[@]}"
	housed PIPEGUARD_VERBOSE=2 PIPEGUARD_LOG=off unload healthy "${LIBRARIES[@]}"
}

@test "a library whose first segment is not at address 0 breaks, and is named" {
	native_only
	gcc -shared -fPIC -Wl,-Ttext-segment=0x7000000 -o "$BATS_TEST_TMPDIR/high.so" "$ROOT/tests/fixtures/plugin.so.c"
	readelf -lW "$BATS_TEST_TMPDIR/high.so" | grep -Eq 'LOAD +0x0+ 0x0*7000000 '
	same 141 plugin "$BATS_TEST_TMPDIR/high.so"
	[[ $(broken '.stack[0]') =~ ^\"high\.so\+0x[0-9a-f]+\ plugin_write\"$ ]]
	PIPES=-i
	same 0 plugin "$BATS_TEST_TMPDIR/high.so"
}

# ---- stacks ----

BOTTOMS='0 1 0x1234 0xdeaddeaddeaddead 0xffffffffff600000 -1 data stack midst hole edge'

@test "a hand-made stack may end in anything: its broken write kills, or goes on, as without the library" {
	local bottom
	for bottom in $BOTTOMS; do
		PIPES=-d
		same 141 bottom broken "$bottom"
		equal "the event" '"fatal"' "$(broken .signal)"
		PIPES=-i
		same 0 bottom broken "$bottom"
		equal "the event" '"ignored"' "$(broken .signal)"
	done
}

@test "a hand-made stack may end in anything where rules look at healthy writes" {
	local bottom
	for bottom in $BOTTOMS; do
		same 0 bottom healthy "$bottom"
		housed PIPEGUARD_RULES='write:fd=!0-2:caller=nobody:break' bottom healthy "$bottom"
		housed PIPEGUARD_RULES='write:fd=!0-2:site=0123456789abcdef:break' bottom healthy "$bottom"
	done
}

@test "a hand-made stack that ends in a pointer to data ends there: it is no frame" {
	PIPES=-d
	same 141 bottom broken data
	equal "the stack" '["on_the_fibre"]' "$(broken '[.stack[] | split(" ")[1]]')"
}

@test "unwind tables that lie of a frame, of memory, of the way back, of a stack's end or a signal harm nobody" {
	local lie
	for lie in frame memory turn end signal; do
		PIPES=-d
		same 141 lies $lie
		PIPES=-i
		same 0 lies $lie
	done
}

# ---- the program's memory ----

@test "what the kernel refuses for its arguments it refuses, whatever the library is asked to do" {
	local rule
	glibc_only # others read the arguments themselves
	PIPES=-i
	same 0 refused
	[[ $WANTED == *'connect(k, null, 2) = -1 EFAULT'*'accept(l, (void *)&who, null) = -1 EFAULT'* ]]
	# Not break: on a broken pipe the kernel says EPIPE before it looks at the memory.
	for rule in '%out:fd=!0-2:drop' '%out,%in:fd=!0-2:short=3' '%in:garbage' connect:refuse \
		connect:fd=60000:refuse '%out,%in,connect,accept:fd=!0-2:log' '%in:fd=!0-2:at=100:eof' \
		'%out:fd=!0-2:port=7:error=EIO' 'connect:port=7:stall' '%out:fd=!0-2:nosignal'; do
		"$BUILD/pipeguard" check "$rule"
		housed PIPEGUARD_RULES="$rule" refused
	done
}

@test "a length of SIZE_MAX is no success: broken writes are told, and failed ones not counted" {
	PIPES=-i
	same 0 lengths
	equal "the events" '["send",0] ["sendto",0] ["tee",0] ["splice",0] ["write",1]' \
		"$(broken '[.call, .sent]' | paste -sd' ')"
}

@test "a vector or message that is unmapped while the call waits: it ends as without the library" {
	local call
	for call in writev pwritev2 raw; do
		PIPES=-d
		same 141 gone $call
		equal "the event" '["fatal",null,65536]' "$(broken '[.signal, .len, .ret]')"
		PIPES=-i
		same 0 gone $call
	done
	for call in vmsplice sendmsg sendmmsg; do
		PIPES=-d
		same 0 gone $call
		PIPES=-i
		same 0 gone $call
	done
}

@test "an accept whose buffer is short, wild or has no length: the kernel's answer, and the true peer in the log" {
	local how
	for how in edge four none wild no-length; do
		same 0 accept $how
		[[ $how == no-length ]] || equal "the peer" '["server",true]' \
			"$(broken '[.side, (.peer | test("^\\[::1\\]:[0-9]+$"))]')"
		housed PIPEGUARD_RULES='accept:log' accept $how
		housed PIPEGUARD_RULES='%out:fd=!0-2:conn=2:break' accept $how
	done
}

@test "a system call in the first bytes of a mapping, or in memory that cannot be read, is told and ends as without the library" {
	local what
	for what in write unreadable; do
		same 141 start default $what
		equal "the event" '["signal","fatal"]' "$(broken '[.via, .signal]')"
		same 0 start caught $what
		equal "the event" '["signal","caught"]' "$(broken '[.via, .signal]')"
	done
	same 141 start default kill
	equal "broken writes" "" "$(broken)"
	same 0 start caught kill
	same 0 start ignored kill
}

@test "a small stack for signals: the program dies of SIGPIPE, not of a handler that it has not set" {
	local size where
	for size in 2048 4096 6144 8192 12288; do
		for where in main thread; do
			native 141 altstack $size $where
			housed altstack $size $where
			equal "the event" '"fatal"' "$(broken .signal)"
		done
		housed PIPEGUARD_LOG=off altstack $size main
	done
}

@test "a small stack for signals that was set past libc's function" {
	native 141 altstack 4096 raw
	housed altstack 4096 raw
}

# ---- cost ----

@test "closing all descriptors touches no memory: closefrom, close_range, close, dup2" {
	local how mine theirs
	for how in closefrom close_range close dup2; do
		mine=$(plain "$FIXTURES/guest" cost $how)
		theirs=$(guarded "$FIXTURES/guest" cost $how)
		echo "$how: $mine pages touched without the library, $theirs with it"
		((theirs <= mine + 40)) # one look at the numbers that all processes have
	done
}

# between FILE: how many system calls the child made between its two of getrusage, these included.
between() {
	awk '/getrusage/ && !pid { pid = $1 } $1 == pid && !/resumed/' "$1" | sed -n '/getrusage/,/getrusage/p' | grep -c .
}

@test "closefrom and close_range add no system call" {
	local how
	requires strace
	native_only
	for how in closefrom close_range; do
		timeout "$LIMIT" strace -f -o mine "$FIXTURES/guest" cost $how 3>&- || skip "nothing can be traced here"
		timeout "$LIMIT" strace -f -o theirs -E LD_PRELOAD="$LIB" -E PIPEGUARD_LOG=off "$FIXTURES/guest" cost $how 3>&-
		equal "system calls of $how" "3 $(between mine)" "$(between theirs) 3"
	done
}

@test "all memory can be locked with what an ordinary user may lock" {
	native 0 mlock
	[[ $WANTED == *'= 0 -' ]] || skip "not even without the library"
	housed mlock
	housed PIPEGUARD_RULES='%out:fd=!0-2:when=5:break' PIPEGUARD_VERBOSE=2 PIPEGUARD_LOG=off mlock
}

# ---- numbers without end ----

@test "counts per object hold for eight thousand objects, and do not spoil another rule's" {
	local rules='write:kind=unix:scope=fd:when=2:error=EAGAIN;other=write:kind=pipe:fd=!0-2:when=1:error=EIO'
	run -0 plain "$FIXTURES/guest" objects 100
	equal "without the library" "0 of 100 objects, 0 of 20 children" "$output"
	run -0 guarded PIPEGUARD_LOG=off PIPEGUARD_RULES="$rules" "$FIXTURES/guest" objects 8000
	equal "what came of it" "8000 of 8000 objects, 20 of 20 children" "$output"
}

@test "counts per thread hold for six thousand threads" {
	local rules='write:kind=unix:scope=thread:when=2:error=EAGAIN'
	run -0 guarded PIPEGUARD_LOG=off PIPEGUARD_RULES="$rules" "$FIXTURES/guest" threads 6000
	equal "what came of it" "6000 of 6000 threads" "$output"
}

@test "children by vfork that break cost the parent no descriptor, whatever the log's name" {
	native 0 vforks 60
	housed vforks 60
	housed PIPEGUARD_LOG="$BATS_TEST_TMPDIR/log.%p" vforks 60
	housed PIPEGUARD_LOG="$BATS_TEST_TMPDIR/%n.%p" PIPEGUARD_FORMAT=text vforks 60
	equal "files of log.%p" 61 "$(find "$BATS_TEST_TMPDIR" -name 'log.*' | grep -c .)"
}

@test "connections that stall and are closed leave no descriptor behind" {
	run -0 guarded PIPEGUARD_RULES='recv:kind=unix:stall' "$FIXTURES/guest" stalls 200
	equal "what came of it" "EAGAIN 400 times, more descriptors: 0" "$output"
}

@test "a task that shares our signal handlers and is no thread dies of its own write, and so do we" {
	run plain "$FIXTURES/guest" sharers
	((status != 77)) || skip "not with this kernel"
	equal "without the library" '141 ended with 13' "$status ${output#* }"
	run guarded "$FIXTURES/guest" sharers
	equal "with it" '141 ended with 13' "$status ${output#* }"
	# The first one's death puts the default action back for both (libpipeguard(7), caveats): one is told.
	equal "what is told" '"fatal"' "$(broken .signal | paste -sd' ')"
}

@test "a flood of objects ends at the cap of the log, and what is left out is counted" {
	local lines
	PIPES=-i
	native 0 flood 101000
	LIMIT=60 housed PIPEGUARD_VERBOSE=1 flood 101000
	lines=$(grep -c '"ev":"epipe"' "$LOG")
	echo "$lines lines of broken writes"
	((lines >= 99000 && lines < 100500))
	equal "lines and what was left out" 101000 \
		$((lines + $(jq -s 'map(.limited // 0) | add' <(grep '"limited":' "$LOG"))))
}

@test "in a folder that all may write to, sticky or not, or that is another user's, the log follows no link on its way" {
	local dir=$BUILD/links.$$ mode
	native_only
	# Where the way leads through such a folder anyhow, nothing can be shown.
	[[ $BUILD != /tmp/* && $BUILD != /var/tmp/* ]] || skip "the build is in a folder that all may write to"
	LINKS=$dir
	mkdir -p "$dir/open" "$dir/victim"
	ln -s ../victim "$dir/open/way"
	for mode in 755 777 1777 other; do
		case $mode in
		other) chmod 755 "$dir/open" && chown 65534 "$dir/open" 2>/dev/null || continue ;;
		*) chmod $mode "$dir/open" ;;
		esac
		run guarded -i PIPEGUARD_LOG="$dir/open/way/log" "$FIXTURES/guest" flood 1
		echo "$mode: $status $output"
		equal "what was made, $mode" "$([[ $mode = 755 ]] && echo log || :)" "$(ls "$dir/victim")"
		rm -f "$dir/victim/log"
	done
}
