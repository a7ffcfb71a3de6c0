#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# The fuzzers in short. The log's target without libFuzzer: its seeds and some changes of them. Random programs,
# natively and under the library: always the same hundred. make fuzz does more of both.

load ../helpers
load ../outside

export BATS_TEST_TIMEOUT=240 # whole builds, on a busy machine

CFLAGS=(-O0 -std=gnu11 -D_GNU_SOURCE -U_FORTIFY_SOURCE -I"$ROOT/shim")
DIFF=$ROOT/tests/fuzz/diff

# Each object of the target but the log writer's.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	local sources
	sources=$(make -s -C "$ROOT" log-sources) || return
	tr ' ' '\n' <<<"$sources" | sed -n 's|^shim/log/||p' >writer
	# shellcheck disable=SC2046 # a list
	"${CC:-gcc}" "${CFLAGS[@]}" -c "$ROOT"/tests/fuzz/{run,log}.c $(tr ' ' '\n' <<<"$sources" | grep -v '^shim/log/' | sed "s|^|$ROOT/|")
}

# target FOLDER: builds it with that log writer, and runs it.
target() {
	# shellcheck disable=SC2046 # a list
	"${CC:-gcc}" "${CFLAGS[@]}" -o "$BATS_TEST_TMPDIR/log" $(sed "s|^|$1/|" "$BATS_FILE_TMPDIR/writer") "$BATS_FILE_TMPDIR"/*.o -ldl
	run timeout 50 "$BATS_TEST_TMPDIR/log" 3000 <"$ROOT/tests/fuzz/log.seeds" 3>&-
	echo "$output"
}

# random [OPTION...] LIBRARY: the differential fuzzer.
random() {
	native_only
	[[ $BITS = 64 ]] || skip "its calls and offsets are those of 64-bit programs"
	requires python3
	[[ -e $BATS_FILE_TMPDIR/diff ]] ||
		"${CC:-gcc}" -O1 -D_GNU_SOURCE -U_FORTIFY_SOURCE -pthread -o "$BATS_FILE_TMPDIR/diff" "$DIFF"/*.c -lutil
	run timeout 50 "$DIFF/run.py" "${@:1:$#-1}" "$BATS_FILE_TMPDIR/diff" "${@: -1}" 3>&-
	echo "$output"
}

@test "whatever the names and numbers: JSON is one object, text is printable, and no line is too long" {
	target "$ROOT/shim/log"
	[ "$status" -eq 0 ]
	[[ $output == *' seeds, 3000 changes' ]]
}

@test "the target finds a log that is cut, or forged" {
	local file change
	while IFS=@ read -r file change; do
		rm -rf "$BATS_TEST_TMPDIR/changed"
		cp -r "$ROOT/shim/log" "$BATS_TEST_TMPDIR/changed"
		sed -i "$change" "$BATS_TEST_TMPDIR/changed/$file"
		echo "change: $file: $change"
		run cmp -s "$ROOT/shim/log/$file" "$BATS_TEST_TMPDIR/changed/$file"
		[ "$status" -eq 1 ]
		target "$BATS_TEST_TMPDIR/changed"
		[ "$status" -ne 0 ]
		[[ $output == *'broken promise: '* ]]
	done <<-'END'
		event_json.c@s/LIST_RESERVE = [0-9]*/LIST_RESERVE = 8/
		event_json.c@s/CODE_MAX = 112/CODE_MAX = 400/
		event_text.c@s/sizeof e->comm, "\]"/sizeof e->comm, "}"/
		event_text.c@s/while (t->buf\[t->len - 1\] == . ./while (0 \&\& t->buf[0]/
	END
}

# page_target PAGE_C: builds the target of the page with that one, and runs it: rules that are right, and changes of them.
page_target() {
	local sources
	mapfile -t sources < <(make -s -C "$ROOT" page-sources | tr ' ' '\n' | grep -vx shim/rules/page.c)
	[[ -e $BATS_FILE_TMPDIR/page ]] || {
		mkdir "$BATS_FILE_TMPDIR/page"
		(cd "$BATS_FILE_TMPDIR/page" && "${CC:-gcc}" "${CFLAGS[@]}" -DPG_VERSION=0 -c "$ROOT"/tests/fuzz/{run,page}.c "${sources[@]/#/$ROOT/}")
	}
	"${CC:-gcc}" "${CFLAGS[@]}" -o "$BATS_TEST_TMPDIR/page" "$1" "$BATS_FILE_TMPDIR"/page/*.o -ldl
	run timeout 50 "$BATS_TEST_TMPDIR/page" 5000 < <(sed 's/ => .*//' "$ROOT/tests/fixtures/rules.right" |
		while IFS= read -r rule; do for head in "2\\1" "1\\372"; do printf "\\1\\1\\$head%s" "$rule" | od -An -v -tx1 | tr -d ' \n'; echo; done; done) 3>&-
	echo "$output"
}

@test "whatever the bytes of a page: rules that nobody wrote are none, and each counts in a slot of its own" {
	native_only
	page_target "$ROOT/shim/rules/page.c"
	[ "$status" -eq 0 ]
	[[ $output == *' seeds, 5000 changes' ]]
	sed 's/to->generation == generation \&\& is_sound(to)/to->generation == generation/' "$ROOT/shim/rules/page.c" >"$BATS_TEST_TMPDIR/changed.c"
	run -1 cmp -s "$ROOT/shim/rules/page.c" "$BATS_TEST_TMPDIR/changed.c"
	page_target "$BATS_TEST_TMPDIR/changed.c"
	[ "$status" -ne 0 ]
}

# elf_target READER_C [FLAG...]: builds the target of ELF files with that reader, and runs it.
elf_target() {
	"${CC:-gcc}" "${CFLAGS[@]}" "${@:2}" -o "$BATS_TEST_TMPDIR/elf" "$1" "$ROOT"/tests/fuzz/{run,elf}.c
	run timeout 50 "$BATS_TEST_TMPDIR/elf" 20000 <"$ROOT/tests/fuzz/elf.seeds" 3>&-
	echo "$output"
}

@test "whatever its bytes: an ELF file is read inside its bounds, and to an end" {
	elf_target "$ROOT/shim/outside/elf_file.c"
	[ "$status" -eq 0 ]
	[[ $output == *' seeds, 20000 changes' ]]
}

@test "the target finds a reader that believes the file" {
	local change sanitizers=(-g "-fsanitize=address,undefined")
	echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/s.c"
	"${CC:-gcc}" "${sanitizers[@]}" -o "$BATS_TEST_TMPDIR/s" "$BATS_TEST_TMPDIR/s.c" 2>/dev/null || skip "no sanitizers"
	elf_target "$ROOT/shim/outside/elf_file.c" "${sanitizers[@]}"
	[ "$status" -eq 0 ]
	for change in 's/return offset <= e->size.*/return offset || size || e;/' 's/if (name >= size)/if (0)/' \
		's/padded > left ||/0 \&\&/' 's/p\[size\] = 0;/;/'; do
		sed "$change" "$ROOT/shim/outside/elf_file.c" >"$BATS_TEST_TMPDIR/elf_file.c"
		run cmp -s "$ROOT/shim/outside/elf_file.c" "$BATS_TEST_TMPDIR/elf_file.c"
		[ "$status" -eq 1 ]
		elf_target "$BATS_TEST_TMPDIR/elf_file.c" "${sanitizers[@]}"
		echo "change: $change"
		[ "$status" -ne 0 ]
	done
}

# rust_target READER_C [FLAG...]: the same for names of Rust.
rust_target() {
	"${CC:-gcc}" "${CFLAGS[@]}" "${@:2}" -o "$BATS_TEST_TMPDIR/rust" "$1" "$ROOT"/tests/fuzz/{run,rust}.c
	run timeout 50 "$BATS_TEST_TMPDIR/rust" 20000 <"$ROOT/tests/fuzz/rust.seeds" 3>&-
	echo "$output"
}

@test "whatever its bytes: a name of Rust is read inside its bounds, and to an end" {
	local change sanitizers=(-g "-fsanitize=address,undefined")
	rust_target "$ROOT/shim/outside/rust.c"
	[ "$status" -eq 0 ]
	[[ $output == *' seeds, 20000 changes' ]]
	echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/s.c"
	"${CC:-gcc}" "${sanitizers[@]}" -o "$BATS_TEST_TMPDIR/s" "$BATS_TEST_TMPDIR/s.c" 2>/dev/null || return 0
	rust_target "$ROOT/shim/outside/rust.c" "${sanitizers[@]}"
	[ "$status" -eq 0 ]
	for change in 's/if (n > r->size - r->at)/if (0)/' 's/DEPTH_MAX = 200, STEPS_MAX = 20000/DEPTH_MAX = 1 << 30, STEPS_MAX = 1 << 30/' \
		's/if (r->length + 1 < r->room)/if (1)/'; do
		sed "$change" "$ROOT/shim/outside/rust.c" >"$BATS_TEST_TMPDIR/rust.c"
		run cmp -s "$ROOT/shim/outside/rust.c" "$BATS_TEST_TMPDIR/rust.c"
		[ "$status" -eq 1 ]
		rust_target "$BATS_TEST_TMPDIR/rust.c" "${sanitizers[@]}"
		echo "change: $change"
		[ "$status" -ne 0 ]
	done
}

@test "random programs observe the same natively and in nine settings, and the log is true" {
	random --seed 1 --runs 100 --seconds 25 "$LIB"
	[ "$status" -eq 0 ]
	[[ $output == *' 0 hung'* ]]
	# It did break writes, and few sequences were of no use.
	[[ $output =~ ([0-9]+)' broken writes had to be told' ]]
	((BASH_REMATCH[1] > 100))
	[[ $output =~ ([0-9]+)' dropped' ]]
	((BASH_REMATCH[1] < 5))
}

@test "random programs observe the same under the engine outside, with and without rules" {
	ruled_only
	random --seed 1 --runs 80 --seconds 25 --settings outside,outside-waits "$LIB"
	[ "$status" -eq 0 ]
	[[ $output == *' 0 hung'* ]]
	[[ $output =~ ([0-9]+)' dropped' ]]
	((BASH_REMATCH[1] < 5))
}

@test "random programs find a library that changes one errno, and the command that is told shows it again" {
	"${CC:-gcc}" -shared -fPIC -x c -o "$BATS_TEST_TMPDIR/wrong.so" - <<-'C'
		#define _GNU_SOURCE
		#include <errno.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		ssize_t write(int fd, const void *buf, size_t len)
		{
			long ret = syscall(SYS_write, fd, buf, len);

			if (ret < 0 && errno == EPIPE)
				errno = EIO;
			return ret;
		}
	C
	random --seed 1 --runs 60 --settings idle --shrink "$BATS_TEST_TMPDIR/wrong.so"
	[ "$status" -eq 1 ]
	[[ $output == *' = -1 EPIPE'*' = -1 EIO'* ]]
	read -ra again <<<"$(grep -o 'tests/fuzz/diff/run.py .*' <<<"$output" | head -1)"
	[[ ${again[*]} == *' --steps '* ]]
	cd "$ROOT"
	run timeout 20 "${again[@]}" 3>&-
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *' = -1 EIO'* ]]
}

@test "the judge of the log accepts a true line, and refuses every word of it that is changed" {
	requires python3
	run timeout 20 python3 "$DIFF/judged.py" 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *' changes refused' ]]
}
