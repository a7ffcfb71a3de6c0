# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For tests that put a client with a rule and a healthy server beside the same client
# and a server that really misbehaves. Loaded after helpers.

PYTHON=/usr/bin/python3
SOURCE=$ROOT/tests/fixtures

# peers_up [ARGS]: starts cynic.py; $PORTS says where its servers are.
peers_up() {
	PORTS=$BATS_FILE_TMPDIR/ports$1
	timeout 300 "$PYTHON" "$SOURCE/cynic.py" "$@" >"$PORTS" 2>"$PORTS.errors" </dev/null 3>&- &
	echo $! >>"$BATS_FILE_TMPDIR/pids"
	wait_for grep -qx up "$PORTS"
}

peers_down() {
	local pid
	[[ -e $BATS_FILE_TMPDIR/pids ]] || return 0
	while read -r pid; do
		kill "$pid" 2>/dev/null || :
	done <"$BATS_FILE_TMPDIR/pids"
}

# port NAME [-6]
port() {
	awk -v name="$1" '$1 == name { print $2 }' "$BATS_FILE_TMPDIR/ports$2"
}

# refused: a port where nobody listens.
refused() {
	"$FIXTURES/steps" -q listen="${1:-tcp}"
}

# neutral: without what differs from run to run: ports, how long it took, how far it got till then.
neutral() {
	sed -E 's/\b[0-9]{4,5}\b/PORT/g; s/after [0-9PORT]+ (ms|milliseconds)/after N \1/
		s/with [0-9]+ out of/with N out of/'
}

# outcome COMMAND...: what it prints, and its status.
outcome() {
	local status=0
	"$@" >"$BATS_TEST_TMPDIR/outcome" 2>&1 </dev/null || status=$?
	neutral <"$BATS_TEST_TMPDIR/outcome"
	echo "status $status"
}

# alike RULES REAL HEALTHY COMMAND ARGS...: COMMAND against REAL (a port or path) comes
# to the same as, guarded by RULES, against HEALTHY, and to something else without
# them (two seconds are enough to see that). @ in RULES and ARGS is the one or the other. $SEEN is what it came to;
# $MODE is for sigdfl.
alike() {
	local rules=$1 real=$2 healthy=$3 wanted well
	shift 3
	rm -f "$LOG"
	wanted=$(outcome plain "${MODE[@]}" "${@//@/$real}")
	well=$(LIMIT=2 outcome plain "${MODE[@]}" "${@//@/$healthy}")
	SEEN=$(outcome guarded "${MODE[@]}" PIPEGUARD_RULES="${rules//@/$healthy}" "${@//@/$healthy}")
	printf 'really:\n%s\n\nby the rule:\n%s\n\n' "$wanted" "$SEEN"
	equal "what the client saw" "$wanted" "$SEEN"
	[[ $wanted != "$well" ]] || {
		echo "the healthy server makes no difference"
		return 1
	}
}

# injected FILTER: of the rules that fired.
injected() {
	events "select(.ev == \"inject\") | ${1:-.}"
}
