# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # the driver's variables
# SPDX-License-Identifier: MIT
# The first of socat's own tests (source package socat), on the installed socat.
programs='socat:100 procan:2'

have() { needs socat && has_source socat; }

prepare() {
	local tree
	tree=$(source_of socat) || return
	mkdir -p "$WORK/kept"
	cp "$tree"/test.sh "$tree"/*.sh "$WORK/kept/"
}

# The tests ask ping whether the loopback addresses answer; without it they leave out all that needs an address.
loopback_ping() {
	mkdir bin
	printf '#!/bin/sh\n[ "$1" != -6 ] || grep -q "^0\\{31\\}1 " /proc/net/if_inet6\n' >bin/ping
	chmod +x bin/ping
	PATH=$PWD/bin:$PATH
}

run() {
	cp "$WORK"/kept/*.sh . || return
	command -v ping >/dev/null || loopback_ping
	# One after the other, each by its number; those that the package's own run leaves out, and the slow, are left out.
	timeout -k 10 "$LIMIT" "${under[@]}" SOCAT=/usr/bin/socat FILAN=/usr/bin/filan PROCAN=/usr/bin/procan \
		bash ./test.sh -t 0.1 $(seq 1 57) $(seq 60 80) >"$WORK/out" 2>&1 </dev/null
	sed -E 's/\x1b\[[0-9;]*m//g' "$WORK/out" | sed -n 's/^test  *\([0-9][0-9]*\) \([A-Za-z0-9_]*\):.*\.\.\. *\([A-Za-z]*\).*/\1-\2 \3/p'
}
