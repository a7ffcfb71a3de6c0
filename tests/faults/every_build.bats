#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# The faults by every build, each against the same client without a rule.

load ../helpers

# client STATUS RULE STEP...: fixtures/steps under RULE; its lines without the port in $output.
client() {
	rm -f "$LOG"
	run "-$1" guarded ${2:+PIPEGUARD_RULES="$2"} "$FIXTURES/steps" "${@:3}"
	output=$(sed 's/^connect=[0-9]*/connect/; s/^nonblock=[0-9]*/nonblock/' <<<"$output")
}

# fired ACTION: the one line of the rule that fired.
fired() {
	equal "the rule that fired" "[\"r1\",\"$1\",true]" "$(events 'select(.ev == "inject") | [.rule, .action, .injected]')"
}

@test "without a rule the client meets no fault" {
	peer tcp all
	client 0 '' connect="$PORT" send=5 send=5 close
	equal "the steps" $'connect 0 -\nsend=5 5 -\nsend=5 5 -\nclose 0 -' "$output"
	[ -z "$(events)" ]
	wait "$PEER"
}

@test "break: the second send breaks and kills, and is told as injected" {
	peer tcp all
	client 141 send:when=2:break connect="$PORT" send=5 send=6
	equal "the steps" $'connect 0 -\nsend=5 5 -' "$output"
	fired break
	equal "the broken write" '["send","call","fatal",6,-1,"EPIPE","tcp",5,true,"r1"]' \
		"$(broken '[.call, .via, .signal, .len, .ret, .errno, .kind, .sent, .injected, .rule]')"
	wait "$PEER"
}

@test "break: under an ignored SIGPIPE the program gets EPIPE and goes on" {
	peer tcp all
	client 0 write:break connect="$PORT" ignore send=5 write=6 close
	equal "the steps" $'connect 0 -\nignore 0 -\nsend=5 5 -\nwrite=6 -1 EPIPE\nclose 0 -' "$output"
	equal "the signal" '"ignored"' "$(broken .signal)"
	wait "$PEER"
}

@test "reset: the first send gets ECONNRESET, the next one kills" {
	peer tcp all
	client 141 send:when=2:reset connect="$PORT" send=5 send=6 peername send=7
	equal "the steps" $'connect 0 -\nsend=5 5 -\nsend=6 -1 ECONNRESET\nfamily 0 length 0 peername -1 ENOTCONN' "$output"
	fired reset
	equal "the broken write" '["send",7,["reset"],true]' "$(broken '[.call, .len, [.history[].what], .injected]')"
	wait "$PEER"
}

@test "refuse: the connection is refused by the kernel, waited for or not" {
	local how
	for how in connect nonblock; do
		peer tcp all
		client 0 connect:refuse "$how=$PORT" close
		equal "the steps" "$how"$' -1 ECONNREFUSED\nclose 0 -' "$output"
		fired refuse
		# What nobody reached waits for a client: let it have one.
		plain "$FIXTURES/steps" connect="$PORT" close >/dev/null
		wait "$PEER"
	done
}

@test "short: a send of a thousand bytes takes ten, and the peer gets those" {
	peer tcp get=10 close
	client 0 send:short=10 connect="$PORT" send=1000 readable close
	equal "the second step" 'send=1000 10 -' "$(sed -n 2p <<<"$output")"
	wait "$PEER"
}

@test "stdio: the second write of a FILE breaks" {
	glibc_only
	run -0 guarded -i PIPEGUARD_RULES=%stdio:break "$FIXTURES/stack" f
	equal "the gate" '["inject","stdio"]' "$(events '[.ev, .via]' | head -1)"
}

@test "a wrong rule stops the program before it starts" {
	run -125 guarded PIPEGUARD_RULES=send:brake "$FIXTURES/steps"
	equal "the line" "pipeguard: PIPEGUARD_RULES: rule 1, column 6: unknown action 'brake' (did you mean 'break'?)" "$output"
}
