# shellcheck shell=bash disable=SC2154,SC2034 # the driver's variables
# SPDX-License-Identifier: MIT
# The first of socat's own tests (source package socat), on the installed socat.
programs='socat filan procan'

have() { needs socat && has_source socat; }

prepare() {
	local tree
	tree=$(source_of socat) || return
	mkdir -p "$WORK/kept"
	cp "$tree"/test.sh "$tree"/*.sh "$WORK/kept/"
}

run() {
	cp "$WORK"/kept/*.sh . || return
	# One after the other, each by its number; those that the package's own run leaves out, and the slow, are left out.
	timeout -k 10 "$LIMIT" "${under[@]}" SOCAT=/usr/bin/socat FILAN=/usr/bin/filan PROCAN=/usr/bin/procan \
		bash ./test.sh -t 0.1 $(seq 1 57) $(seq 60 80) >"$WORK/out" 2>&1 </dev/null
	sed -E 's/\x1b\[[0-9;]*m//g' "$WORK/out" | sed -n 's/^test  *\([0-9][0-9]*\) \([A-Za-z0-9_]*\):.*\.\.\. *\([A-Za-z]*\).*/\1-\2 \3/p'
}
