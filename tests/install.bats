#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make install and uninstall.

load helpers

install_to() { timeout 120 make -s -C "$ROOT" BUILD="$BUILD" "$@" 3>&-; }

@test "what is installed works, and is all gone after uninstall" {
	to=$BATS_TEST_TMPDIR/prefix
	install_to install PREFIX="$to"
	equal "the files" "$(printf '%s\n' bin/pipeguard lib/libpipeguard.so lib/pipeguard/pghtml.py lib/pipeguard/pglog.py lib/pipeguard/pgrun.py lib/pipeguard/pgsites.py \
		lib/pipeguard/pipeguard-doctor lib/pipeguard/pipeguard-report lib/pipeguard/pipeguard-rules lib/pipeguard/pipeguard-sweep \
		share/bash-completion/completions/pipeguard share/man/man1/pipeguard-report.1 share/man/man1/pipeguard-sweep.1 share/man/man1/pipeguard.1 share/man/man7/libpipeguard.7)" \
		"$(cd "$to" && find . -type f | sed 's|^\./||' | sort)"
	run timeout 20 "$FIXTURES/sigdfl" bash -c "'$to/bin/pipeguard' yes | head -1" 3>&-
	[[ $output == *'yes] write(1, '*'SIGPIPE kills'* ]]
	equal "the rules" r1=write:break "$(timeout 20 "$to/bin/pipeguard" check write:break 3>&-)"
	run -0 timeout 20 bash -c "PATH='$to/bin':\$PATH; . '$to/share/bash-completion/completions/pipeguard'
		COMP_WORDS=(pipeguard -r sendm) COMP_CWORD=2; _pipeguard pipeguard; printf '%s ' \"\${COMPREPLY[@]}\"" 3>&-
	equal "what is completed" 'sendmsg sendmmsg ' "$output"
	run -0 timeout 20 "$to/bin/pipeguard" doctor sh 3>&-
	[[ $output == *'reached: yes'* ]]
	install_to uninstall PREFIX="$to"
	equal "files left" "" "$(find "$to" -type f -o -name '*pipeguard*')"
}

@test "DESTDIR is put before, and not remembered" {
	install_to install DESTDIR="$BATS_TEST_TMPDIR/stage" PREFIX=/usr LIBDIR=/usr/lib/somewhere
	[ -f "$BATS_TEST_TMPDIR/stage/usr/lib/somewhere/libpipeguard.so" ]
	grep -qx 'libdir="/usr/lib/somewhere"' "$BATS_TEST_TMPDIR/stage/usr/bin/pipeguard"
}

@test "a running program keeps its library: the new file takes the place of the old" {
	to=$BATS_TEST_TMPDIR/prefix
	install_to install PREFIX="$to"
	before=$(stat -c %i "$to/lib/libpipeguard.so")
	ln "$to/lib/libpipeguard.so" "$BATS_TEST_TMPDIR/mapped"
	install_to install PREFIX="$to"
	[ "$(stat -c %i "$to/lib/libpipeguard.so")" != "$before" ]
	[ "$(stat -c %i "$BATS_TEST_TMPDIR/mapped")" = "$before" ]
}
