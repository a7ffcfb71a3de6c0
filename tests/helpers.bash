# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Loaded by every test file. Only the program under test is preloaded, never
# bats, bash, timeout or env; SIGPIPE is stated, never inherited from bats.

bats_require_minimum_version 1.5.0
unset LD_PRELOAD "${!PIPEGUARD_@}"
export LC_ALL=C
export BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-60}

ROOT=$BATS_TEST_DIRNAME # or a folder above it
until [[ -e $ROOT/Makefile || -z $ROOT ]]; do ROOT=${ROOT%/*}; done
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$ROOT/$BUILD
LIB=$BUILD/libpipeguard.so
FIXTURES=$BUILD/fixtures
# Set here so that the helpers can be called from setup_file as well.
LOG=${BATS_TEST_TMPDIR:-${BATS_FILE_TMPDIR:-/tmp}}/log
# shellcheck disable=SC2034 # for the test files
BITS=$(getconf LONG_BIT) # of the system's own programs
LIMIT=20 # seconds a program under test may take

# The system's own programs state SIGPIPE and set variables; what a build for
# another machine made runs under qemu's user mode, which is not preloaded itself.
EMULATOR=() STATE=$FIXTURES/sigdfl
case $BUILD in
*/arm64) EMULATOR=(qemu-aarch64 -L /usr/aarch64-linux-gnu) ;;
*/riscv64) EMULATOR=(qemu-riscv64 -L /usr/riscv64-linux-gnu) ;;
esac
[[ ${#EMULATOR[@]} -eq 0 ]] || STATE=$ROOT/build/fixtures/sigdfl

# started [-d|-i|-b] [VAR=VALUE...] PROGRAM ARGS: what guarded and plain share.
started() {
	local mode=() vars=() library=()
	while [[ $1 = -[dib] ]]; do
		mode+=("$1")
		shift
	done
	while [[ $1 = [A-Z]*=* ]]; do
		if [[ $1 = LD_PRELOAD=* && ${#EMULATOR[@]} -gt 0 ]]; then
			library=(-E "$1")
		else
			vars+=("$1")
		fi
		shift
	done
	timeout "$LIMIT" "$STATE" "${mode[@]}" env "${vars[@]}" "${EMULATOR[@]}" "${library[@]}" "$@" 3>&-
}

# guarded [-d|-i|-b] [VAR=VALUE...] PROGRAM ARGS: runs it under the library with
# SIGPIPE at its default (-d), ignored (-i) or blocked (-b), logging JSON to $LOG.
guarded() {
	if [[ ${ENGINE-} = outside ]]; then
		outside_guarded "$@"
		return
	fi
	local mode=()
	while [[ $1 = -[dib] ]]; do
		mode+=("$1")
		shift
	done
	started "${mode[@]}" LD_PRELOAD="$LIB" PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "$@"
}

# The same from outside, ENGINE=outside: of statically linked fixtures, which no library enters (STATIC: others'). There
# stdio's writes are calls like others: a rule without fd= is not for what the fixture itself prints. BY_STOPS: calls are
# stopped at, and not notified of.
[[ ${ENGINE-} != outside ]] || FIXTURES=${STATIC-$BUILD/fixtures/static}
outside_guarded() {
	local mode=() vars=()
	while [[ $1 = -[dib] ]]; do
		mode+=("$1")
		shift
	done
	while [[ $1 = [A-Z]*=* ]]; do
		[[ $1 != WITH_RULES=* || $1 = *PORT* ]] || set -- "PIPEGUARD_RULES=${1#*=}" "${@:2}"
		[[ $1 != PIPEGUARD_RULES=* ]] || set -- "PIPEGUARD_RULES=$(awk -v RS=';' -v ORS=';' '
			!/:fd=|^[!%]*stdio|%out/ { sub(":", ":fd=3-:") } { printf "%s%s", (NR > 1 ? ";" : ""), $0 }
			' < <(printf %s "${1#*=}"))" "${@:2}"
		vars+=("$1")
		shift
	done
	timeout "$LIMIT" "$STATE" "${mode[@]}" env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "${vars[@]}" \
		"$BUILD/pipeguard" run --outside ${BY_STOPS:+--all} "$@" 3>&-
}

# plain: the same without the library.
plain() {
	started "$@"
}

# peer FAMILY [STEP...]: a server by fixtures/steps, whose FAMILY is tcp, tcp6 or a path: it takes a client, does these
# steps to it and ends, $PEER; without steps there was one, and nobody listens. It is at $PORT, which connect= calls $AT.
# shellcheck disable=SC2034 # for the test files
peer() {
	local out=$BATS_TEST_TMPDIR/peer.port
	rm -f "$out"
	plain "$FIXTURES/steps" -q ignore listen="$1" ${2:+accept "${@:2}"} >"$out" 2>&1 </dev/null 3>&- &
	PEER=$!
	[[ $# -gt 1 ]] || wait "$PEER"
	wait_for test -s "$out"
	PORT=$(<"$out")
	AT=$PORT
	[[ $1 != tcp6 ]] || AT=6:$PORT
}

# events [FILTER]: the events of the log, one compact JSON value a line, of the
# given jq filter. A log that was never made has no events; a line that is no
# JSON fails.
events() {
	[[ -e $LOG ]] || return 0
	jq -c "${1:-.}" "$LOG"
}

# broken [FILTER]: the same for broken writes alone.
broken() {
	events "select(.ev == \"epipe\") | ${1:-.}"
}

# equal WHAT WANTED GOT: says which, and how they differ.
equal() {
	[[ $2 == "$3" ]] && return
	printf '%s differs (wanted, got):\n' "$1"
	diff <(printf '%s\n' "$2") <(printf '%s\n' "$3")
	return 1
}

# wait_for COMMAND...: until it succeeds, 10 seconds at most.
wait_for() {
	local end=$((SECONDS + 10))
	until "$@"; do
		((SECONDS < end)) || {
			echo "waited in vain for: $*"
			return 1
		}
		sleep 0.02
	done
}

# requires PROGRAM...: skips the test where one is missing.
requires() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

# requires_schema: skips the test where the system's Python, which checks against a JSON Schema, has no module for it.
requires_schema() {
	/usr/bin/python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
}

# needs_proc WHY: skips the test where programs see no /proc.
needs_proc() {
	[[ -z ${WITHOUT_PROC-} ]] || skip "without /proc $1"
}

# fixture NAME: its path; skips where this build has none.
fixture() {
	[[ -e $FIXTURES/$1 ]] || skip "no fixture $1 in this build"
	printf '%s\n' "$FIXTURES/$1"
}

# glibc_only: skips where the fixtures are built for another libc.
glibc_only() {
	[[ $BUILD != */musl ]] || skip "glibc only"
}

# native_only: skips where the system's own programs cannot load this build.
native_only() {
	[[ $BUILD != */musl && $BUILD != */32 && $BUILD != */arm64 && $BUILD != */riscv64 ]] ||
		skip "built for another libc or machine"
}

# nginx_conf DIR LINE...: DIR/nginx.conf, with the lines inside http { } and all that it writes in DIR; $NGINX starts it.
nginx_conf() {
	local dir=$1 what
	shift
	mkdir -p "$dir/tmp"
	{
		printf '%s;\n' 'daemon off' 'user root' 'worker_processes 1' "error_log $dir/errors info" "pid $dir/pid"
		echo 'events { } http {'
		for what in client_body proxy fastcgi uwsgi scgi; do
			echo "${what}_temp_path $dir/tmp/$what;"
		done
		printf '%s\n' "$@" '}'
	} >"$dir/nginx.conf"
	NGINX=(nginx -p "$dir" -c "$dir/nginx.conf")
	# Older ones open the log of their build until they have read that file.
	[[ $(nginx -h 2>&1) != *' -e '* ]] || NGINX+=(-e "$dir/errors")
}

# install_launcher: the command of this build under its name alone in a folder; in $PIPEGUARD.
PIPEGUARD=${BATS_FILE_TMPDIR-}/bin/pipeguard
install_launcher() {
	mkdir "${PIPEGUARD%/*}"
	ln -s "$BUILD/pipeguard" "$PIPEGUARD"
}
launch() { timeout "$LIMIT" "$FIXTURES/sigdfl" "$PIPEGUARD" "$@" 3>&-; }
