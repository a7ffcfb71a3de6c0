# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# node's own tests (source package nodejs) of sockets, pipes, streams and processes, on the installed node, which
# may be another version: what is compared is the outcome with and without.
modes='off verbose'
programs='node:80'

have() { needs node && has_source nodejs; }

prepare() {
	local tree
	tree=$(source_of nodejs) || return
	[[ -e $WORK/kept/test/parallel ]] && return
	mkdir -p "$WORK/kept/test"
	cp -r "$tree/test/common" "$tree/test/parallel" "$tree/test/fixtures" "$WORK/kept/test/" 2>/dev/null
	[[ -d $WORK/kept/test/parallel ]]
}

node_file() {
	"${@:1:$#-1}" timeout 60 node --expose-gc --expose-internals "${!#}" >/dev/null 2>&1
	echo "${!###*/} $?"
}

run() {
	cd "$WORK/kept" || return
	export NODE_TEST_DIR=$TMPDIR NODE_SKIP_FLAG_CHECK=1
	ls test/parallel/test-{net-,stdio-pipe,stdout-,stderr-,child-process-stdin,child-process-fork,child-process-exec,signal-,pipe-,process-exit,cluster-worker,stream-pipe,http-abort,http-client-abort,http-server-,tls-server,tls-client-,worker-stdio,listen-fd,spawn}*.js |
		grep -vE 'inspector|timeout|memory' | awk 'NR % 3 == 0' |
		each node_file "${under[@]}"
}
