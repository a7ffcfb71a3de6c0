# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For tests of the outside engine. Loaded after helpers.

# shellcheck disable=SC2034 # used by those who load this
STILL=$FIXTURES/still # statically linked: no library gets in

# traced_only: skips where processes cannot be traced, with the reason. What a build for another
# machine made is not traced by it.
traced_only() {
	native_only
	local said
	said=$(timeout 10 "$BUILD/pipeguard" run --outside /bin/true 2>&1 </dev/null) ||
		skip "no process can be traced here: $said"
}

# ruled_only: skips where no rules can be followed from outside, with the reason.
ruled_only() {
	traced_only
	local said
	said=$(timeout 10 "$BUILD/pipeguard" run --outside -r write:fd=99:break /bin/true 2>&1 </dev/null) ||
		skip "no calls can be told of here: $said"
}

# outside [-d|-i|-b] [VAR=VALUE...] PROGRAM ARGS: runs it under the outside engine, logging JSON to $LOG.
outside() {
	local mode=() vars=()
	while [[ $1 = -[dib] ]]; do
		mode+=("$1")
		shift
	done
	while [[ $1 = [A-Z]*=* ]]; do
		vars+=("$1")
		shift
	done
	timeout "$LIMIT" "$FIXTURES/sigdfl" "${mode[@]}" env PIPEGUARD_LOG="$LOG" PIPEGUARD_FORMAT=json "${vars[@]}" \
		"$BUILD/pipeguard" run --outside "$@" 3>&-
}

# go_program NAME SOURCE: builds it once in a file's folder; its path is $GO_DIR/NAME.
GO_DIR=${BATS_FILE_TMPDIR-}/go
go_program() {
	command -v go >/dev/null || return 0
	mkdir -p "$GO_DIR/$1.src"
	cat >"$GO_DIR/$1.src/main.go"
	(cd "$GO_DIR/$1.src" && HOME=$GO_DIR GOCACHE=$BUILD/go-cache GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=0 \
		timeout 120 go build -o "$GO_DIR/$1" main.go) >"$GO_DIR/$1.errors" 2>&1 || :
}

# needs_go NAME: its path, or skips.
needs_go() {
	[[ -x $GO_DIR/$1 ]] || skip "go is not installed, or could not build $1"
}

# traced PID: is it?
traced() { grep -q '^TracerPid:[^0-9]*[1-9]' "/proc/$1/status"; }
untraced() { grep -q '^TracerPid:[^0-9]*0$' "/proc/$1/status"; }

# end_pids: what a test has put into PIDS.
end_pids() {
	local pid
	for pid in "${PIDS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
}
