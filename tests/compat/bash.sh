# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# bash's own tests (source package bash), on the installed bash. Of each: the status, and what differs from its
# expected output.
programs='bash:300'

have() { needs /bin/bash gcc && has_source bash; }

prepare() {
	local tree tool
	tree=$(source_of bash) || return
	[[ -e $WORK/kept/tests/zecho ]] && return
	mkdir -p "$WORK/kept"
	cp -r "$tree/tests" "$WORK/kept/"
	mkdir -p "$WORK/kept/include"
	printf '#include <stdlib.h>\n#include <string.h>\n' >"$WORK/kept/include/bashansi.h"
	echo '#define HAVE_UNISTD_H 1' >"$WORK/kept/include/config.h"
	for tool in recho zecho printenv xcase; do
		gcc -w -I"$WORK/kept/include" -I"$tree/include" -o "$WORK/kept/tests/$tool" "$tree/support/$tool.c" || return
	done
}

bash_file() {
	local sum status
	export BASH_TSTOUT=$TMPDIR/out.$$ THIS_SH=/bin/bash PATH=.:$PATH
	"${@:1:$#-1}" timeout 60 /bin/sh "./${!#}" >"$BASH_TSTOUT.diff" 2>/dev/null
	status=$?
	sum=$(sed 's/[0-9]\{3,\}/N/g' "$BASH_TSTOUT.diff" | cksum | cut -d' ' -f1)
	[[ -s $BASH_TSTOUT.diff ]] || sum=ok
	echo "${!#}:exit $status"
	echo "${!#} $sum"
}

run() {
	cd "$WORK/kept/tests" || return
	# The others run these; jobs wants a terminal.
	ls run-* | grep -vxE 'run-(all|minimal|gprof)' |
		each bash_file "${under[@]}"
}
