# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# redis's own tests (source package redis), on the installed redis-server.
programs='redis-server:50 redis-cli:20 redis-benchmark:3'

have() { needs tclsh redis-server redis-cli redis-benchmark && has_source redis; }

prepare() {
	local tree program
	tree=$(source_of redis) || return
	[[ -e $WORK/kept/src ]] && return
	mkdir -p "$WORK/kept/src"
	cp -r "$tree/tests" "$tree/runtest" "$tree/redis.conf" "$tree/sentinel.conf" "$WORK/kept/"
	cp -r "$tree/utils" "$WORK/kept/"
	for program in server cli benchmark check-aof check-rdb; do
		ln -s "$(command -v redis-$program)" "$WORK/kept/src/redis-$program" || return
	done
}

run() {
	cd "$WORK/kept" || return
	local -a single=()
	local file
	for file in unit/auth unit/protocol unit/keyspace unit/scan unit/info unit/type/string unit/type/incr unit/type/set \
		unit/type/zset unit/type/hash unit/multi unit/quit unit/pubsub unit/acl unit/networking unit/querybuf unit/limits \
		unit/introspection unit/introspection-2 unit/shutdown unit/tracking unit/bitops integration/redis-cli \
		integration/aof integration/logging integration/redis-benchmark integration/shutdown; do
		[[ ! -e tests/$file.tcl ]] || single+=(--single "$file")
	done
	timeout -k 10 "$LIMIT" "${under[@]}" tclsh tests/test_helper.tcl --clients 4 --timeout 300 --baseport 31111 \
		--tags '-slow -large-memory' --dont-clean "${single[@]}" >"$WORK/out" 2>&1
	echo "exit $?"
	# Names without what changes from run to run.
	sed -E 's/\x1b\[[0-9;]*m//g' "$WORK/out" | sed -nE '/^\[(ok|err|exception|skip|ignore)\]: /{
		s/ \([0-9]+ ms\)$//;s/ in tests\/.*$//;s/[0-9]{5,}|[0-9]+\.[0-9]+/N/g;s/^\[([a-z]+)\]: (.*)$/\2 \1/
		:a;s/ (.* )/_\1/;ta;p;}' | sort | uniq
}
