#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make install and uninstall.
# shellcheck disable=SC2016 # the inner shells expand

load ../helpers

export BATS_TEST_TIMEOUT=180 # a build on a busy machine

install_to() { timeout 150 make -s -j2 -C "$ROOT" BUILD="$BUILD" "$@" 3>&-; }

@test "what is installed works, and is all gone after uninstall" {
	to=$BATS_TEST_TMPDIR/prefix
	install_to install PREFIX="$to"
	equal "the files" "$(printf '%s\n' bin/pipeguard lib/libpipeguard.so lib/pipeguard/lib/pg{about,args,case,ci,elf,engine,follow,html,join,log,run,show,sites}.py lib/pipeguard/log.schema.json \
		lib/pipeguard/pipeguard-bundle lib/pipeguard/pipeguard-replay lib/pipeguard/pipeguard-report lib/pipeguard/pipeguard-sweep lib/pkgconfig/pipeguard.pc \
		share/bash-completion/completions/pipeguard share/fish/vendor_completions.d/pipeguard.fish \
		share/man/man1/pipeguard-bundle.1 share/man/man1/pipeguard-replay.1 share/man/man1/pipeguard-report.1 share/man/man1/pipeguard-sweep.1 share/man/man1/pipeguard.1 share/man/man7/libpipeguard.7 share/zsh/site-functions/_pipeguard)" \
		"$(cd "$to" && find . -type f | sed 's|^\./||' | sort)"
	run timeout 20 "$FIXTURES/sigdfl" bash -c "'$to/bin/pipeguard' yes | head -1" 3>&-
	[[ $output == *'yes] write(1, '*'SIGPIPE kills'* ]]
	equal "the rules" r1=write:break "$(timeout 20 "$to/bin/pipeguard" check write:break 3>&-)"
	run -0 timeout 20 bash -c "PATH='$to/bin':\$PATH; . '$to/share/bash-completion/completions/pipeguard'
		COMP_WORDS=(pipeguard -r sendm) COMP_CWORD=2; _pipeguard pipeguard; printf '%s ' \"\${COMPREPLY[@]}\"" 3>&-
	equal "what is completed" 'sendmsg sendmmsg ' "$output"
	run -0 timeout 20 "$to/bin/pipeguard" doctor sh 3>&-
	[[ $output == *'reached: yes'* ]]
	if command -v pkg-config >/dev/null; then
		equal "what goes into LD_PRELOAD" "$to/lib/libpipeguard.so" "$(PKG_CONFIG_PATH=$to/lib/pkgconfig pkg-config --variable=preload pipeguard)"
	fi
	if command -v python3 >/dev/null; then
		for verb in sweep report; do
			run -0 timeout 20 "$to/bin/pipeguard" help $verb 3>&-
			[[ $output == "usage: pipeguard $verb"* ]]
		done
	fi
	install_to uninstall PREFIX="$to"
	equal "files left" "" "$(find "$to" -type f -o -name '*pipeguard*')"
}

@test "DESTDIR is put before, and not remembered" {
	stage=$BATS_TEST_TMPDIR/stage
	install_to install DESTDIR="$stage" PREFIX=/usr LIBDIR=/usr/lib/somewhere
	[ -f "$stage/usr/lib/somewhere/libpipeguard.so" ]
	run grep -c "$BATS_TEST_TMPDIR" "$stage/usr/bin/pipeguard"
	equal "lines with the folder" 0 "$output"
	grep -q /usr/lib/somewhere "$stage/usr/bin/pipeguard"
	# What stands there finds its own library, by whatever link it is called.
	ln -s "$stage/usr/bin/pipeguard" "$BATS_TEST_TMPDIR/link"
	for command in "$stage/usr/bin/pipeguard" "$BATS_TEST_TMPDIR/link"; do
		run -0 timeout 20 "$command" -n true 3>&-
		[[ $output == *"LD_PRELOAD='$stage/usr/lib/somewhere/libpipeguard.so'"* ]]
	done
	# The folder that it was told stays the last one to be asked, and a missing library is told.
	mv "$stage/usr/lib/somewhere/libpipeguard.so" "$BATS_TEST_TMPDIR"
	run -125 timeout 20 "$stage/usr/bin/pipeguard" true 3>&-
	[[ $output == "pipeguard: libpipeguard.so is neither in "*"nor in '/usr/lib/somewhere': run make, or make install" ]]
	run -0 timeout 20 "$stage/usr/bin/pipeguard" check write:break 3>&-
	install_to all # as it is for the other tests
}

@test "a tree that was moved finds its library" {
	install_to install PREFIX="$BATS_TEST_TMPDIR/before"
	mv "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	run -0 timeout 20 "$BATS_TEST_TMPDIR/after/bin/pipeguard" -n true 3>&-
	[[ $output == *"LD_PRELOAD='$BATS_TEST_TMPDIR/after/lib/libpipeguard.so'"* ]]
	install_to all
}

@test "a PREFIX with blanks and an ampersand is one like any other" {
	native_only
	to="$BATS_TEST_TMPDIR/my own & \"other\" tools"
	install_to install PREFIX="$to"
	run -3 timeout 20 "$to/bin/pipeguard" sh -c 'exit 3' 3>&-
	run timeout 20 "$FIXTURES/sigdfl" bash -c '"$0" yes | head -1' "$to/bin/pipeguard" 3>&-
	[[ $output == *'yes] write(1, '*'SIGPIPE kills'* ]]
	link=$(timeout 10 "$to/bin/pipeguard" -n true | grep -oE '/tmp/pipeguard-[^'"']*")
	rm "$link"
	rmdir "${link%/*}" 2>/dev/null || true
	install_to uninstall PREFIX="$to"
	equal "files left" "" "$(find "$to" -type f -o -name '*pipeguard*')"
	install_to all
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

@test "the path with the loader's \$LIB leads to the library, and a LIBDIR of one's own has no link" {
	native_only
	glibc_only
	to=$BATS_TEST_TMPDIR/prefix
	output=$(install_to install PREFIX="$to")
	# The loader does not look there: what LD_PRELOAD takes is said.
	[[ $output == *"LD_PRELOAD takes the whole path, $to/lib/libpipeguard.so"* ]]
	run -141 timeout 20 "$FIXTURES/sigdfl" "$FIXTURES/brokenfd" 1 env LD_PRELOAD="$to/\$LIB/libpipeguard.so" PIPEGUARD_LOG="$LOG" "$FIXTURES/numbers" 3 3>&-
	grep -q 'SIGPIPE kills' "$LOG"
	install_to uninstall PREFIX="$to"
	install_to install PREFIX="$to" LIBDIR="$to/lib/mine"
	equal "links" "" "$(find "$to" -type l)"
	install_to all
}

@test "a build in another folder gives the same bytes" {
	native_only
	copy="$BATS_TEST_TMPDIR/an & other folder"
	mkdir "$copy"
	tar -C "$ROOT" -c Makefile scripts shim | tar -x -C "$copy"
	for place in "$ROOT" "$copy"; do # without optimisation, which is not what could differ
		timeout 100 make -s -C "$place" -j2 BUILD=build/same CFLAGS='-O0 -g' all 3>&-
	done
	for file in libpipeguard.so pipeguard; do
		cmp "$ROOT/build/same/$file" "$copy/build/same/$file"
	done
	rm -r "$ROOT/build/same"
}

@test "make dist: a tarball that gives the same bytes again, and what it consists of, file by file" {
	requires git python3 jq
	git -C "$ROOT" rev-parse HEAD >/dev/null 2>&1 || skip "no clone"
	git=$(cd "$ROOT" && cd "$(git rev-parse --git-common-dir)" && pwd)
	for time in first second; do
		git clone -q --shared "$git" "$BATS_TEST_TMPDIR/$time" 3>&-
		git -C "$BATS_TEST_TMPDIR/$time" checkout -q "$(git -C "$ROOT" rev-parse HEAD)"
		cp "$ROOT/Makefile" "$BATS_TEST_TMPDIR/$time"
		cp "$ROOT/scripts/dev/sbom" "$BATS_TEST_TMPDIR/$time/scripts/dev"
		timeout 60 make -s -C "$BATS_TEST_TMPDIR/$time" dist 3>&-
	done
	diff -r "$BATS_TEST_TMPDIR/first/build" "$BATS_TEST_TMPDIR/second/build"
	cd "$BATS_TEST_TMPDIR/first/build"
	tar -xf pipeguard-*.tar.gz
	bill=$(echo pipeguard-*.spdx.json)
	equal "the files" "$(cd "${bill%.spdx.json}" && find . -type f | sort)" "$(jq -r '.files[].fileName' "$bill" | sort)"
	jq -r '.files[] | "\(.checksums[1].checksumValue)  \(.fileName)"' "$bill" | (cd "${bill%.spdx.json}" && sha256sum -c --quiet)
	equal "the version" "${bill#pipeguard-}" "$(jq -r '.packages[0].versionInfo' "$bill").spdx.json"
	# A file with another licence says so.
	equal "licences of sources" '["MIT"]' "$(jq -c '[.files[] | select(.fileName | test("[.][chS]$")) | .licenseInfoInFiles[]] | unique' "$bill")"
}

@test "install-32: the path with the loader's \$LIB serves 32- and 64-bit programs, and uninstall takes both away" {
	native_only
	local dir=$BATS_TEST_TMPDIR/prefix program=$BATS_TEST_TMPDIR/program32
	gcc -m32 -o "$program" "$ROOT/tests/fixtures/build.c" 2>/dev/null || skip "no gcc -m32 here"
	run "$FIXTURES/sigdfl" -i "$program" write
	[ "$status" -eq 1 ] || skip "no 32-bit programs here"
	timeout 120 make -s -j2 -C "$ROOT" BUILD="$BUILD" install PREFIX="$dir" 3>&-
	timeout 200 make -s -j2 -C "$ROOT" install-32 PREFIX="$dir" CFLAGS='-O0 -g' 3>&-
	timeout 120 make -s -j2 -C "$ROOT" BUILD="$BUILD" all 3>&-
	# shellcheck disable=SC2016 # the inner shell expands
	run guarded -i LD_PRELOAD="$dir/\$LIB/libpipeguard.so" sh -c '"$0" write; "$1" write; exit 0' "$program" "$FIXTURES/build"
	timeout 120 make -s -j2 -C "$ROOT" BUILD="$BUILD" uninstall PREFIX="$dir" 3>&-
	equal "what is left" "" "$(find "$dir" ! -type d)"
	[[ $output != *'wrong ELF class'* ]] || skip "this loader's \$LIB is lib for 32 bits"
	equal "the complaints" "" "$output"
	equal "the events" '"program32" "build"' "$(broken .comm | xargs -d '\n')"
}
