#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# COVERAGE.md says the truth about the build that this runs with.

load ../helpers

build_name() {
	case $BUILD in
	*/32) echo 'glibc i386' ;;
	*/arm64) echo 'glibc aarch64' ;;
	*/riscv64) echo 'glibc riscv64' ;;
	*/musl) echo 'musl x86-64' ;;
	*) echo 'glibc x86-64' ;;
	esac
}

# yes WANTED GOT
yes() {
	if [[ $1 == "$2" ]]; then echo yes; else echo no; fi
}

# tried MODE FILTER PROGRAM ARGS: what FILTER says of the broken writes.
tried() {
	rm -f "$LOG"
	run guarded "$1" "${@:3}"
	broken "$2"
}

# past FILTER: of a write that no wrapper sees, under the default action.
past() {
	if [[ $BUILD == */musl ]]; then # which has no way past but the program's own system call
		tried -d "select(.via == \"signal\" and .signal == \"fatal\" and .fd == 40 and (.stack[0] | test(\"inline\"))) | $1" \
			"$FIXTURES/call" pipe | tail -1
	else
		tried -d "$1" "$FIXTURES/plugin" deepbind "$FIXTURES/plugin.so"
	fi
}

@test "the table of gates has the row that this build shows" {
	row="| $(build_name)"
	row+=" | $(yes '["call",true,3]' "$(tried -i '[.via, .fd != null, .len]' "$FIXTURES/build" write)")"
	row+=" | $(yes '["stdio",1]' "$(tried -i '[.via, .fd]' "$FIXTURES/build" printf)")"
	row+=" | $(yes '"call"' "$(tried -i .via "$FIXTURES/stack" r)")"
	row+=" | $(yes true "$(past '.fd != null')")"
	row+=" | $(yes true "$(past '.len != null')")"
	row+=" | $(yes true "$(tried -d '.stack[0] // "" | startswith("build+0x")' "$FIXTURES/build" printf)") |"
	echo "this build: $row"
	grep -qxF "$row" "$ROOT/tests/COVERAGE.md"
}

@test "COVERAGE.md names every row of the matrix, and no other" {
	equal "the rows" "$(sed -n "s/^ROWS='\(.*\)'/\1/p" "$ROOT/scripts/dev/matrix" | tr ' ' '\n' | sort)" \
		"$(sed -n '/^## Builds/,/^## [^B]/s/^| \([a-z0-9][^|]*\) |.*/\1/p' "$ROOT/tests/COVERAGE.md" |
			grep -vx row | tr -d ',' | tr ' ' '\n' | sort)"
	run "$ROOT/scripts/dev/matrix" nothing
	equal "the status for a row that there is not" 2 "$status"
}

@test "COVERAGE.md names every file that the matrix runs, and the fuzz targets there are" {
	while read -r file; do
		echo "file: $file"
		[ -e "$ROOT/$file" ]
		grep -q "gcc-O0.* $(basename "$file" .bats)[,;]" "$ROOT/tests/COVERAGE.md"
	done < <(sed -n "s/^SUITE='\(.*\)'/\1/p" "$ROOT/scripts/dev/matrix" | tr ' ' '\n')
	while read -r target; do
		echo "target: $target"
		grep -qF "| tests/fuzz/$(basename "$target") |" "$ROOT/tests/COVERAGE.md"
	done < <(grep -l '^int LLVMFuzzer.*size)$' "$ROOT"/tests/fuzz/*.c)
}
