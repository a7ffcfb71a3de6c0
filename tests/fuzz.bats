#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# The log's fuzz target without libFuzzer: its seeds and some changes of them. make fuzz does more.

load helpers

CFLAGS=(-O0 -std=gnu11 -D_GNU_SOURCE -U_FORTIFY_SOURCE)

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	"${CC:-gcc}" "${CFLAGS[@]}" -c "$ROOT"/tests/fuzz/{run,log}.c "$ROOT"/shim/{text,names,next,sys,process,clock,addr,peek,stack,unwinder,fd,look,listener}.c "$ROOT"/shim/rule*.c
}

# target EVENT_C: builds it with that log writer, and runs it.
target() {
	"${CC:-gcc}" "${CFLAGS[@]}" -iquote "$ROOT/shim" -o "$BATS_TEST_TMPDIR/log" "$1" "$BATS_FILE_TMPDIR"/*.o -ldl
	run timeout 30 "$BATS_TEST_TMPDIR/log" 3000 <"$ROOT/tests/fuzz/log.seeds" 3>&-
	echo "$output"
}

@test "whatever the names and numbers: JSON is one object, text is printable, and no line is too long" {
	target "$ROOT/shim/event.c"
	[ "$status" -eq 0 ]
	[[ $output == *' seeds, 3000 changes' ]]
}

@test "the target finds a log that is cut, or forged" {
	local change
	for change in 's/LIST_RESERVE = 128/LIST_RESERVE = 8/' 's/CODE_MAX = 112/CODE_MAX = 400/' "s/== ']'/== '}'/" \
		's/while (t->buf\[t->len - 1\] == . ./while (0 \&\& t->buf[0]/'; do
		sed "$change" "$ROOT/shim/event.c" >"$BATS_TEST_TMPDIR/event.c"
		run cmp -s "$ROOT/shim/event.c" "$BATS_TEST_TMPDIR/event.c"
		[ "$status" -eq 1 ]
		target "$BATS_TEST_TMPDIR/event.c"
		echo "change: $change"
		[ "$status" -ne 0 ]
		[[ $output == *'broken promise: '* ]]
	done
}

# elf_target READER_C [FLAG...]: builds the target of ELF files with that reader, and runs it.
elf_target() {
	cp "$ROOT/shim/command/elf_file.h" "$BATS_TEST_TMPDIR"
	"${CC:-gcc}" "${CFLAGS[@]}" "${@:2}" -iquote "$ROOT/shim/command" -o "$BATS_TEST_TMPDIR/elf" "$1" "$ROOT"/tests/fuzz/{run,elf}.c
	run timeout 50 "$BATS_TEST_TMPDIR/elf" 20000 <"$ROOT/tests/fuzz/elf.seeds" 3>&-
	echo "$output"
}

@test "whatever its bytes: an ELF file is read inside its bounds, and to an end" {
	elf_target "$ROOT/shim/command/elf_file.c"
	[ "$status" -eq 0 ]
	[[ $output == *' seeds, 20000 changes' ]]
}

@test "the target finds a reader that believes the file" {
	local change sanitizers=(-g "-fsanitize=address,undefined")
	echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/s.c"
	"${CC:-gcc}" "${sanitizers[@]}" -o "$BATS_TEST_TMPDIR/s" "$BATS_TEST_TMPDIR/s.c" 2>/dev/null || skip "no sanitizers"
	elf_target "$ROOT/shim/command/elf_file.c" "${sanitizers[@]}"
	[ "$status" -eq 0 ]
	for change in 's/return offset <= e->size.*/return offset || size || e;/' 's/if (name >= size)/if (0)/' \
		's/padded > left ||/0 \&\&/' 's/p\[size\] = 0;/;/'; do
		sed "$change" "$ROOT/shim/command/elf_file.c" >"$BATS_TEST_TMPDIR/elf_file.c"
		run cmp -s "$ROOT/shim/command/elf_file.c" "$BATS_TEST_TMPDIR/elf_file.c"
		[ "$status" -eq 1 ]
		elf_target "$BATS_TEST_TMPDIR/elf_file.c" "${sanitizers[@]}"
		echo "change: $change"
		[ "$status" -ne 0 ]
	done
}
