#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What gets past the interposed calls, and who is named as the caller.

load ../helpers

STACK=$FIXTURES/stack

# plugged HOW [handler]: the plugin's write, with and without the library.
plugged() {
	local wanted got status_wanted=0 status_got=0
	rm -f "$LOG"
	wanted=$(plain "${MODE[@]}" "$FIXTURES/plugin" "$1" "$FIXTURES/plugin.so" "${@:2}") ||
		status_wanted=$?
	got=$(guarded "${MODE[@]}" "$FIXTURES/plugin" "$1" "$FIXTURES/plugin.so" "${@:2}") ||
		status_got=$?
	equal "status of $1" "$status_wanted" "$status_got"
	equal "output of $1" "$wanted" "$got"
	STATUS=$status_got
}

@test "a plugin loaded in the ordinary way is seen as any call" {
	MODE=()
	plugged normal
	((STATUS == 141))
	equal event '["call","write","fatal",6]' "$(broken '[.via, .call, .signal, .len]')"
}

# aarch64 returns a call's result where its first argument was: the descriptor is lost.
KIND='"pipe"'
[[ ${#EMULATOR[@]} -eq 0 ]] || KIND=null

@test "a DEEPBIND plugin's write is seen by the signal, and kills" {
	glibc_only
	MODE=()
	plugged deepbind
	((STATUS == 141))
	equal event '["signal","write","fatal",6,-1,"EPIPE",'$KIND] \
		"$(broken '[.via, .call, .signal, .len, .ret, .errno, .kind]')"
}

@test "a dlmopen plugin's write is seen by the signal, and kills" {
	glibc_only
	MODE=()
	plugged dlmopen
	((STATUS == 141))
	equal event '["signal","write","fatal",6,-1,"EPIPE",'$KIND] \
		"$(broken '[.via, .call, .signal, .len, .ret, .errno, .kind]')"
}

@test "a DEEPBIND plugin's write is seen under a handler of the program" {
	glibc_only
	MODE=()
	plugged deepbind handler
	((STATUS == 0))
	equal event '["signal","write","caught",6]' "$(broken '[.via, .call, .signal, .len]')"
}

# The named limit: nobody sees these, and nothing else changes.
@test "plugins past the library are left alone under an ignored or blocked SIGPIPE" {
	local how
	glibc_only
	for how in normal deepbind dlmopen; do
		MODE=(-i)
		plugged "$how"
		MODE=(-b)
		plugged "$how"
		((STATUS == 0))
	done
}

@test "the library preloaded twice from two paths tells once" {
	local copy=$BATS_TEST_TMPDIR/copy.so how
	cp "$LIB" "$copy"
	for how in w s f r; do
		[[ $how != [fr] || $BUILD != */musl ]] || continue
		rm -f "$LOG"
		run -141 guarded LD_PRELOAD="$LIB $copy" "$FIXTURES/stack" "$how"
		equal "events of $how" 1 "$(broken 1 | wc -l)"
		rm -f "$LOG"
		run -0 guarded -i LD_PRELOAD="$LIB:$copy" "$FIXTURES/stack" "$how"
		equal "events of $how, ignored" 1 "$(broken 1 | wc -l)"
	done
}

# named N: function and line of stack frame N of the last event, by addr2line.
named() {
	local frame
	frame=$(broken ".stack[$1]" | tail -1 | tr -d '"')
	[[ $frame = stack+0x* ]] || {
		echo "frame $1 is not in the fixture: $(broken .stack)"
		return 1
	}
	frame=${frame%% *}
	addr2line -f -e "$STACK" "${frame#*+}" | sed 's:.*/::' | paste -sd' '
}

# called_from MODE HOW VIA: names leaf and its line first, then its callers.
called_from() {
	local line frame n=1
	rm -f "$LOG"
	line=$(guarded "${@:4}" "$STACK" "$2") || [[ $? == 141 ]]
	equal "via of $2" "\"$3\"" "$(broken .via)"
	frame=$(named 0)
	equal "the caller of $2" "leaf stack.c:$line" "${frame% (*}"
	# Out of musl, which has no unwind tables, there is no further way from a signal.
	[[ $BUILD != */musl || $1 == ign ]] || return 0
	for frame in middle outer main; do
		equal "frame $n of $2" "$frame" "$(named $n | cut -d' ' -f1)"
		n=$((n + 1))
	done
}

@test "the stack names the caller first, by every gate, under the default action" {
	requires addr2line
	called_from dfl w call
	called_from dfl s call
	# Of riscv64, glibc's syscall() has no unwind table.
	[[ $BUILD == */riscv64 ]] || called_from dfl r signal
}

@test "the stack names the caller first, by every gate, under an ignored SIGPIPE" {
	requires addr2line
	called_from ign w call -i
	called_from ign s call -i
	[[ $BUILD = */musl ]] || called_from ign r call -i
}

@test "the stack names the caller of stdio, not libc" {
	requires addr2line
	glibc_only
	called_from dfl f stdio
	called_from dfl p stdio
	called_from ign f stdio -i
	called_from ign p stdio -i
}

@test "the stack goes through code built in other ways" {
	requires addr2line "${CC:-cc}"
	native_only
	local flags
	STACK=$BATS_TEST_TMPDIR/stack
	for flags in -O2\ -fomit-frame-pointer -O1\ -fno-pie\ -no-pie -O3\ -fno-plt\ -Wl,-z,now; do
		echo "built with $flags"
		# shellcheck disable=SC2086
		"${CC:-cc}" -g -D_GNU_SOURCE $flags -o "$STACK" \
			"$ROOT/tests/fixtures/stack.c"
		called_from dfl w call
		called_from ign w call -i
		called_from dfl f stdio
	done
}

@test "the stack goes through a function that aligns its own frame" {
	requires "${CC:-cc}"
	native_only
	# Where its caller's frame is then lies on the stack: DW_CFA_def_cfa_expression. (On i386 every main is one.)
	cat >"$BATS_TEST_TMPDIR/aligns.c" <<-'C'
		#include <string.h>
		#include <unistd.h>
		__attribute__((noinline)) int leaf(const char *at)
		{
			return write(40, at, 1) < 0 && *at;
		}
		__attribute__((noinline)) int aligns(int n)
		{
			volatile char wide[64] __attribute__((aligned(64)));
			char some[n];
			memset(some, 1, (size_t)n);
			wide[0] = some[n - 1];
			return leaf(some) + wide[0];
		}
		int main(void)
		{
			return aligns(100) != 2;
		}
	C
	"${CC:-cc}" -O2 -rdynamic -o "$BATS_TEST_TMPDIR/aligns" "$BATS_TEST_TMPDIR/aligns.c"
	[[ $(uname -m) != @(x86_64|i?86) ]] ||
		grep -q def_cfa_expression <<<"$(readelf --debug-dump=frames "$BATS_TEST_TMPDIR/aligns" | sed -n '/DW_OP_deref/p')"
	run -0 guarded -i "$FIXTURES/brokenfd" 40 "$BATS_TEST_TMPDIR/aligns"
	equal "the stack" 'leaf aligns main' "$(broken '.stack | map(split(" ")[1] // empty | select(test("^(leaf|aligns|main)$"))) | join(" ")' | tr -d '"')"
}

@test "a stack through a handler is climbed by libc's table of the signal's frame: nothing is asked of the kernel" {
	requires "${CC:-cc}" strace
	native_only
	[[ $(uname -m) = x86_64 ]] || skip "other machines return from a signal in the vDSO"
	cat >"$BATS_TEST_TMPDIR/handler.c" <<-'C'
		#include <signal.h>
		#include <unistd.h>
		static void handler(int sig)
		{
			(void)sig;
			if (write(40, "x", 1) < 0)
				__asm__ volatile("");
		}
		int main(void)
		{
			signal(SIGPIPE, SIG_IGN);
			signal(SIGUSR1, handler);
			return raise(SIGUSR1) + (signal(SIGUSR1, SIG_DFL) == SIG_ERR); /* no last call */
		}
	C
	"${CC:-cc}" -O2 -rdynamic -o "$BATS_TEST_TMPDIR/handler" "$BATS_TEST_TMPDIR/handler.c"
	strace -o "$BATS_TEST_TMPDIR/trace" true 2>/dev/null || skip "nothing can be traced here"
	LD_PRELOAD='' PIPEGUARD_STACK=16 timeout "$LIMIT" "$FIXTURES/brokenfd" 40 strace -e trace=process_vm_readv -o "$BATS_TEST_TMPDIR/trace" \
		-E LD_PRELOAD="$LIB" -E PIPEGUARD_LOG="$LOG" -E PIPEGUARD_FORMAT=json "$BATS_TEST_TMPDIR/handler" 3>&-
	[[ $(broken .stack) == *' main"'* ]]
	equal "copies of memory" '' "$(grep process_vm_readv "$BATS_TEST_TMPDIR/trace")"
}

@test "PIPEGUARD_STACK says how many frames an event has" {
	local n
	for n in 0 1 3 32; do
		rm -f "$LOG"
		run -0 guarded -i PIPEGUARD_STACK=$n "$FIXTURES/stack" w 60
		equal "frames for $n" "$n" "$(broken '.stack | length')"
	done
	rm -f "$LOG"
	run -0 guarded -i "$FIXTURES/stack" w 60
	equal "frames by default" 8 "$(broken '.stack | length')"
}

@test "a symbol that is exported is named in its frame" {
	run -141 guarded "$FIXTURES/plugin" normal "$FIXTURES/plugin.so"
	broken '.stack[0]' | grep -E '^"plugin\.so\+0x[0-9a-f]+ plugin_write"$'
}
