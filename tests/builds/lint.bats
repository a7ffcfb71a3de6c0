#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the library exports, imports and promises as an ELF file; the floors of the house.

load ../helpers

export BATS_TEST_TIMEOUT=240 # whole builds, on a busy machine

listed() {
	printf '#define CALL(name, ...) name\n#include "calls.def"\n' |
		${CC:-gcc} -I"$ROOT/shim" -E -P -x c - | grep -oE '[A-Za-z0-9_]+' | sort -u
}

@test "exported is what calls.def lists, and nothing else" {
	equal "the exports" "$(listed)" "$(nm -D --defined-only "$LIB" | awk '{ print $3 }' | sort -u)"
}

@test "every interposed call is one of this libc's, or known to be missing in it" {
	libc=$(ldd "$LIB" | awk '/libc\.so/ { print $3 }')
	# __recvmmsg_time64 is musl's, on 32 bits; bsd_signal is for old programs alone; glibc 2.34 has three more than its
	# forerunners, 2.39 two.
	missing=$(comm -23 <(listed) <(nm -D --defined-only "$libc" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u))
	missing=$(grep -vxE '__recvmmsg_time64|bsd_signal|close_range|closefrom|execveat|pidfd_spawnp?' <<<"$missing" || :)
	equal "the missing calls" "" "$missing"
}

@test "imported is a short list" {
	allowed='abort|_{0,3}environ|__errno_location|free|getauxval|htonl|fileno|malloc|memcmp|memcpy|memset|strlen|__cxa_atexit'
	# What clang makes of a memcmp that is only asked for equality; every libc has it.
	! grep -q '^clang' "$BUILD/flags" || allowed+='|bcmp'
	# libgcc's, on aarch64: for atomics, and for the unwinder.
	[[ $(readelf -h "$LIB") != *AArch64* ]] || allowed+='|__getauxval|strchr'
	# musl keeps these two in libc.
	[[ $BUILD != */musl ]] || allowed+='|dlsym|dlerror'
	weak='_ITM_(de)?registerTMCloneTable|__cxa_finalize|__gmon_start__'
	run bash -c "nm -D --undefined-only '$LIB' | awk '{ sub(/@.*/, \"\", \$2); print \$2 }' | grep -vxE '$allowed|$weak'"
	equal "imports beyond the list" "" "$output"
}

@test "no glibc newer than 2.28 is needed, and no library but libc" {
	# Debian 11, Ubuntu 20.04 and RHEL 8 have that or a newer one.
	newest=$(readelf -VW "$LIB" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -uV | tail -1)
	[[ -n $newest || $BUILD == */musl ]]
	[ "$(printf '%s\n2.28\n' "$newest" | sort -V | tail -1)" = 2.28 ]
	run bash -c "readelf -d '$LIB' | grep NEEDED | grep -vE '\[(libc\.so(\.6)?|ld-linux-aarch64\.so\.1)\]'"
	equal "libraries beyond libc" "" "$output"
}

@test "the file is hardened: bound at load, read-only relocations, no executable stack, no text relocations" {
	dynamic=$(readelf -dW "$LIB")
	[[ $dynamic == *NOW* && $dynamic == *NODELETE* && $dynamic != *TEXTREL* ]]
	[[ $dynamic == *INITFIRST* || $BUILD == */musl ]]
	readelf -lW "$LIB" | grep -q GNU_RELRO
	readelf -lW "$LIB" | grep GNU_STACK | grep -q 'RW '
}

@test "what the loader relocates lies in one page: each more costs every start a fault and a copy" {
	grep -q '^gcc ' "$BUILD/flags" || skip "clang makes tables of pointers by itself"
	relocated=$(readelf -lW "$LIB" | awk '$1 == "GNU_RELRO" { print $6 }')
	echo "bytes that are read-only once they are relocated: $relocated"
	[ $((relocated)) -gt 0 ]
	[ $((relocated)) -le 4096 ]
}

# The start files of Debian 12 are not marked, so the library as a whole is not; elsewhere it is.
@test "every object of ours carries the control-flow marks" {
	case $(readelf -h "$LIB") in
	*X86-64* | *80386*) marks='IBT, SHSTK' ;;
	*AArch64*) marks='BTI, PAC' ;;
	*) skip "no marks known for this machine" ;;
	esac
	for object in "$BUILD"/{arch,base,who,object,rules,fault,log,inside}/*.o; do
		echo "object: $object"
		readelf -n "$object" | grep -q "$marks"
	done
	[ -e "$BUILD/base/sys.o" ]
}

@test "on aarch64 syscall() jumps to libc's in a way that branch target identification allows" {
	[[ $(readelf -h "$LIB") == *AArch64* ]] || skip "aarch64 only"
	requires aarch64-linux-gnu-objdump
	equal "its jump" x16 "$(aarch64-linux-gnu-objdump -d --no-show-raw-insn "$LIB" |
		awk '/<syscall(@@.*)?>:$/ { inside = 1 } /^$/ { inside = 0 } inside && $2 == "br" { print $3 }')"
}

@test "thread-local storage is in the static block: no call, no malloc to reach it" {
	readelf -rW "$LIB" | grep -qE 'TPOFF|TPREL'
	run bash -c "readelf -rW '$LIB' | grep -E 'DTPMOD|DTPOFF|DTPREL|TLSDESC|TLS_DESC'"
	[ -z "$output" ]
}

@test "a file includes lower floors only, and the check for it can fail" {
	"$ROOT/scripts/dev/check-layers" "$ROOT/shim"
	cp -r "$ROOT/shim" "$BATS_TEST_TMPDIR/shim"
	while read -r file header what; do
		echo "$file includes $header"
		echo "#include \"$header\"" >>"$BATS_TEST_TMPDIR/shim/$file"
		run "$ROOT/scripts/dev/check-layers" "$BATS_TEST_TMPDIR/shim"
		cp "$ROOT/shim/$file" "$BATS_TEST_TMPDIR/shim/$file"
		[ "$status" -eq 1 ]
		[[ $output == *"/$file:"*"includes \"$header\" $what" ]]
	done <<-'END'
		base/text.c inside/guard.h of a higher floor
		rules/rule_put.c log/event.h of a higher floor
		log/line.c outside/report.h of a higher floor
		inside/init.c outside/elf_file.h of a higher floor
		outside/ruled.c inside/guard.h of a higher floor
		command/main.c inside/guard.h of a higher floor
		outside/elf_file.c command/say.h of a higher floor
		base/text.c sys.h without the folder that it is in
		base/text.c nowhere/sys.h without the folder that it is in
	END
	# Nor may two files of a floor need each other.
	echo '#include "rules/rule_put.h"' >>"$BATS_TEST_TMPDIR/shim/rules/rule_peer.c"
	echo '#include "rules/rule_peer.h"' >>"$BATS_TEST_TMPDIR/shim/rules/rule_put.c"
	run "$ROOT/scripts/dev/check-layers" "$BATS_TEST_TMPDIR/shim"
	[ "$status" -eq 1 ]
	[[ $output == *'input contains a loop'*rules/rule_p* ]]
}

@test "a key of the log is a row of keys.def: the manual and what reads logs have it from there" {
	requires python3
	"$ROOT/scripts/dev/keys" --check
	mkdir -p "$BATS_TEST_TMPDIR"/tree/scripts
	cp -r "$ROOT/shim" "$BATS_TEST_TMPDIR/tree"
	cp -r "$ROOT"/scripts/{dev,lib} "$BATS_TEST_TMPDIR/tree/scripts"
	echo 'KEY(cwnd, count, WRITES, count(t, 0), "a new one")' >>"$BATS_TEST_TMPDIR/tree/shim/keys.def"
	run "$BATS_TEST_TMPDIR/tree/scripts/dev/keys" --check
	[ "$status" -eq 1 ]
	[[ $output == *pglog.py:*libpipeguard.7:*log.schema.json:* ]]
	"$BATS_TEST_TMPDIR/tree/scripts/dev/keys"
	grep -q '"cwnd", "count", "writes"' "$BATS_TEST_TMPDIR/tree/scripts/lib/pglog.py"
	grep -q '^.It Cm cwnd' "$BATS_TEST_TMPDIR/tree/shim/libpipeguard.7"
}

@test "no warning from gcc or clang" {
	for cc in gcc clang; do
		command -v $cc >/dev/null || continue
		run timeout 120 make -s -j2 -C "$ROOT" BUILD="$BATS_TEST_TMPDIR/$cc" CC=$cc CFLAGS='-O2 -Werror' all 3>&-
		echo "$cc: $output"
		[ "$status" -eq 0 ]
	done
}

@test "no function is longer than a screen" {
	run awk 'FNR == 1 { start = 0 } /^{/ { start = FNR } /^}/ { if (start && FNR - start > 41) print FILENAME ":" FNR; start = 0 }' "$ROOT"/shim/*/*.c
	equal "long functions" "" "$output"
}

@test "a contract is a statement: no comment in a header asks" {
	run awk '/^(\/\*| \*|.*\/\* )/ && /\?( |$)/ && !/"[^"]*\?[^"]*"| \* \? \[/ { print FILENAME ":" FNR ": " $0 }' "$ROOT"/shim/*/*.h
	equal "questions" "" "$output"
}
