#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Rules from outside that do not fire change nothing, whatever a program does.

load helpers
load outside

SAME=$FIXTURES/same

setup() {
	traced_only
	local said
	said=$(timeout 10 "$BUILD/pipeguard" run --outside -r write:fd=99:break /bin/true 2>&1 </dev/null) ||
		skip "no calls can be told of here: $said"
}


# unchanged RULE WHAT: what the program says natively, and under RULE.
unchanged() {
	equal "$2 under $1" "$(timeout -k 1 10 "$SAME" "$2" 3>&-; echo $?)" \
		"$(LIMIT=10 outside -d PIPEGUARD_RULES="$1" "$SAME" "$2" 2>&1; echo $?)"
}

# Far away: all bytes are counted, none is touched.
FAR='%out,%in:at=1000000000:reset'

@test "bytes that are counted: messages stay whole, and apart" {
	unchanged "$FAR" datagrams
	unchanged "$FAR" packets
	unchanged "$FAR" headers
}

@test "bytes that are counted: MSG_TRUNC tells a length, and no byte lands behind the buffer" {
	unchanged "$FAR" truncated
}

@test "bytes that are counted: MSG_WAITALL waits for all, SO_SNDTIMEO for a time" {
	unchanged "$FAR" waitall
	unchanged "$FAR" timeout
}

@test "bytes that are counted: a signalfd tells its reader's own signals" {
	unchanged "$FAR" signals
}

@test "bytes that are counted: sendfile into a full socket does not hold up who empties it" {
	unchanged "$FAR" file
}

@test "bytes that are counted: a vector of 1,024 pieces is one write" {
	unchanged "$FAR" pieces
}
