# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# git's own tests t0*, t5* (source package git) on the installed git; its helper test-tool is built once.
programs='git:1000 test-tool:100'

have() {
	needs git gcc make perl && has_source git || return
	[[ -e /usr/include/zlib.h ]] || {
		echo 'no zlib headers'
		return 1
	}
}

prepare() {
	local tree
	tree=$(source_of git) || return
	[[ -e $tree/t/helper/test-tool && -e $tree/GIT-BUILD-OPTIONS && -d $tree/templates/blt ]] && return
	make -C "$tree" -j2 CFLAGS=-O0 NO_CURL=1 NO_EXPAT=1 NO_TCLTK=1 NO_GETTEXT=1 GIT-BUILD-OPTIONS t/helper/test-tool &&
		make -C "$tree/templates"
}

git_file() {
	local out=$WORK/git-out/${!#}
	mkdir -p "$WORK/git-out"
	# Unless told not to, t/test-lib.sh puts another library into LD_PRELOAD, and then removes it.
	"${@:1:$#-1}" TEST_NO_MALLOC_CHECK=1 GIT_TEST_INSTALLED=/usr/bin GIT_TEST_EXEC_PATH="$(/usr/bin/git --exec-path)" \
		timeout 120 sh "./${!#}" --root="$TMPDIR" >"$out" 2>/dev/null </dev/null
	echo "${!#}:exit $?"
	tap "${!#}" <"$out"
}

run() {
	cd "$(source_of git)/t" || return
	# Those of local pipes, hooks, transports and helpers; httpd and daemon want more than is here.
	ls t000[05]-*.sh t002[1-9]-*.sh t006[0-9]-*.sh t530[0-4]-*.sh t540[016]-*.sh t550[01]-*.sh t551[02]-*.sh \
		t553[12]-*.sh t5547-*.sh t5570-*.sh t570[01]-*.sh t5801-*.sh 2>/dev/null |
		sort -u | each git_file "${under[@]}"
}
