#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # what run sets, by a helper
# Actions meet what they cannot act on: each call of a rule's set, and each object, gets what is possible for it, and
# what could not be done is said.

load ../helpers

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir folder
}

# ruled RULES WANTED MODE...: what impossible MODE prints under RULES, its lines joined by ", ". Without WANTED: what it
# prints without the library.
ruled() {
	local wanted=$2
	rm -f "$LOG"
	run plain -d "$FIXTURES/impossible" "${@:3}"
	((status != 77)) || skip "not with this kernel"
	equal "the status of ${*:3} without the library" 0 "$status"
	: "${wanted:=${output//$'\n'/, }}"
	run guarded -d PIPEGUARD_RULES="$1" "$FIXTURES/impossible" "${@:3}"
	equal "impossible ${*:3} under $1" "0 $wanted" "$status ${output//$'\n'/, }"
}

# failed WANTED: why the fault of the rule that fired could not be made.
failed() {
	equal "why not" "$1" "$(events 'select(.ev == "inject") | .failed' | sort -u)"
	equal "broken by a rule" "" "$(broken 'select(.injected) | .fd')"
}

# ---- sets of several kinds of calls ----

READS='recv 5, buffer hello???, recvmmsg 1, buffer again???, its length 5'

@test "drop is for what is written: what is read by the same rule is whole" {
	ruled send,recv:drop "$READS, send 3, arrived EAGAIN" mixed
	ruled '%out,%in:fd=!0-2:drop' "$READS, send 3, arrived EAGAIN" mixed
	equal "the rule fired on" '["send"]' "$(events 'select(.ev == "inject") | [.call]' | sort -u)"
}

@test "eof is for what is read: what is written by the same rule arrives" {
	ruled send,recv:eof 'send 5, recv 0, recv 0, send 3, arrived 0' ended
	equal "the rule fired on" '"recv"' "$(events 'select(.ev == "inject") | .call' | sort -u)"
}

@test "refuse is for connect: accept, send and recv of the same rule do their work" {
	ruled send,recv,connect:refuse '' mixed
	ruled %sock:refuse '' mixed
	ruled connect,accept:refuse \
		'connect ECONNREFUSED, accept EAGAIN, listens 1, accept EAGAIN, connect ECONNREFUSED, accept EAGAIN' server
	ruled %sock:refuse \
		'connect ECONNREFUSED, accept EAGAIN, listens 1, accept EAGAIN, connect ECONNREFUSED, accept EAGAIN' server
}

@test "garbage is for what is read: what is written by the same rule is as it was" {
	ruled '%out,%in:kind=udp:garbage' '' mixed
	run -0 guarded PIPEGUARD_RULES='send,recv:kind=unix:garbage' "$FIXTURES/impossible" mixed
	[[ $output == 'recv 5'* && $output == *'send 3'*'arrived 3' && $output != *'buffer hello'* ]]
}

@test "a rule for writes and connections breaks the writes and leaves accept alone" {
	ruled '%out,accept:fd=!0-2:error=EIO' "$READS, send EIO, arrived EAGAIN" mixed
	ruled '%out,%in,connect,accept:fd=!0-2:when=100:error=EIO' '' server
}

@test "a rule that is impossible for all of its calls is refused" {
	local rule
	for rule in accept:refuse accept:drop %in:drop connect:eof accept:reset accept:short=3 recv:nosignal; do
		run -2 "$BUILD/pipeguard" check "$rule"
	done
}

@test "drop, which is for bytes in memory, is refused for calls that have none" {
	local rule
	for rule in tee:drop sendfile:drop splice:drop copy_file_range:drop; do
		run "$BUILD/pipeguard" check "$rule"
		equal "$rule" 2 "$status"
	done
}

# ---- objects ----

@test "short and trickle are for streams of bytes: counters, timers, signals and watches are read whole" {
	local rule
	for rule in '%out,%in:fd=!0-2:short=1' '%out,%in:fd=!0-2:trickle=1/1us' %in:short=3; do
		ruled "$rule" '' events folder
	done
}

@test "an offset in a stream cuts no counter, timer, signal or watch" {
	ruled %in:at=4:eof '' events folder
	ruled '%out:fd=!0-2:at=4:error=ENOSPC' '' events folder
}

@test "node, which wakes itself by a counter, works where its writes are short" {
	requires node
	native_only
	run -0 guarded PIPEGUARD_RULES='write:fd=!0-2:short=1' node -e '
		require("fs").readFile("/etc/passwd", (e, d) => setTimeout(() => console.log(d.length > 9), 20))'
	equal "what it says" true "$output"
}

@test "an accept that stalls leaves the listener what it is: the next one accepts" {
	ruled accept:when=1:stall 'connect 0, accept EAGAIN, listens 1, accept 0, connect 0, accept 0' server
	ruled '%out,%in,connect,accept:kind=tcp:when=2:stall' '' mixed
}

@test "a FIFO that is open for both has no other end to lose, and the log says so" {
	local rule
	for rule in 'write:kind=pipe:fd=!0-2:break' 'write:kind=pipe:fd=!0-2:at=0:break'; do
		ruled "$rule" '' both folder/fifo
		failed '"EOPNOTSUPP"'
	done
	ruled 'read:kind=pipe:eof' '' both folder/fifo
	failed '"EOPNOTSUPP"'
}

@test "what takes the number of a silent socket is one of its kind" {
	ruled recv:stall 'recv EAGAIN, packets 0' packets packets
	ruled recv:stall 'recv EAGAIN, stream 0' packets stream
}

@test "disconnecting is not refused, and neither are datagrams" {
	ruled connect:refuse '' forget
	ruled 'connect:when=1:refuse' '' forget
	ruled connect:stall '' forget
}

@test "a reset of a multipath connection at a read is one, or is said not to be" {
	local failed
	ruled recv:kind=tcp:when=100:reset '' multipath
	rm -f "$LOG"
	run guarded -d PIPEGUARD_RULES='recv:kind=tcp:when=1:reset' "$FIXTURES/impossible" multipath
	echo "$status $output"
	failed=$(events 'select(.ev == "inject") | .failed')
	[[ $status -eq 0 ]]
	if [[ $failed == null ]]; then
		equal "what the program saw" $'recv ECONNRESET\nrecv 0\nsend EPIPE' "$output"
	else
		equal "what the program saw" $'recv 5\nrecv EAGAIN\nsend 5' "$output"
	fi
}

@test "what an epoll set waits for exclusively wakes it after a rule put another object there" {
	ruled 'write:kind=pipe:fd=!0-2:break' 'events 1, write EPIPE, hung up 1' exclusive write
	ruled 'read:kind=pipe:eof' 'events 1, read 0, hung up 1' exclusive read
	ruled 'read:kind=pipe:when=9:eof' '' exclusive read
}

# ---- results that are not bytes in the buffer ----

@test "garbage goes only where the kernel put bytes: a cut datagram, a size alone, bytes thrown away" {
	local how
	for how in recv recvfrom recvmsg recvmmsg; do
		ruled %in:garbage '' cut $how
		ruled %in:garbage=500 '' cut $how
		ruled recv:garbage=3 '' cut $how
	done
	ruled %in:garbage '' thrown
}

@test "bytes that are thrown away are counted once, and looks are not" {
	ruled 'recv:kind=tcp:at=8:eof' 'thrown away 5, into memory 3, untouched 1, the rest 0' thrown
	ruled 'recv:kind=tcp:at=9:eof' 'thrown away 5, into memory 3, untouched 1, the rest 1' thrown
}

# ---- addresses that a call has with it ----

@test "port= and peer= see the address that a datagram is sent to" {
	local how port
	port=$("$FIXTURES/steps" -q listen=tcp)
	for how in sendto sendmsg sendmmsg; do
		ruled "%out:port=$port:error=EIO" 'first 5, second EIO, first 5' to $how "$port"
		equal "the peer" "\"127.0.0.1:$port\"" "$(events 'select(.ev == "inject") | .peer')"
		ruled "%out:peer=127.0.0.1:port=!$port:error=EIO" 'first EIO, second 5, first EIO' to $how "$port"
		ruled "%out:peer=10.0.0.0/8:error=EIO" '' to $how "$port"
	done
}

# ---- what the kernel refuses, and what cannot be made ----

# refused_by_kernel MODE: no rule makes anything else of it.
refused_by_kernel() {
	local rule
	for rule in '%out:fd=!0-2:error=EPIPE' '%out:fd=!0-2:break' '%out:kind=unix:error=EIO' '%out:fd=!0-2:drop' '%out:fd=!0-2:reset'; do
		ruled "$rule" '' "$@"
		equal "broken writes under $rule" "" "$(broken .call)"
	done
}

@test "what the kernel refuses of an object is no broken write: tee and vmsplice into a socket" {
	refused_by_kernel refused tee
	refused_by_kernel refused vmsplice
}

@test "nor is copy_file_range or an offset there" {
	refused_by_kernel refused copy
	refused_by_kernel refused offset
}

@test "a fault that cannot be made for want of a descriptor is not made, and is said not to be" {
	ruled 'write:kind=pipe:fd=!0-2:break' '' full pipe write
	failed '"EMFILE"'
	ruled 'read:kind=pipe:eof' '' full pipe read
	failed '"EMFILE"'
	ruled 'write:kind=unix:reset' '' full unix write
	failed '"EMFILE"'
	ruled 'read:kind=unix:reset' '' full unix read
	failed '"EMFILE"'
}

@test "a fault that needs no descriptor is made where none is left" {
	run -141 guarded -d PIPEGUARD_RULES='write:kind=unix:break' "$FIXTURES/impossible" full unix write
	equal "the event" '[true,"fatal"]' "$(broken '[.injected, .signal]')"
	ruled 'read:kind=tcp:reset' 'read ECONNRESET' full tcp read
	ruled 'connect:refuse' 'connect ECONNREFUSED' full tcp connect
}

@test "a socket that is connected, or listens, is not connected: no rule makes another error of it" {
	local rule few
	for rule in refuse stall; do
		for few in '' few; do
			# shellcheck disable=SC2086 # a word, or none
			ruled "connect:when=2+:$rule" '' taken $few
		done
	done
}

@test "a connection that is to hang does not come about where too few descriptors are left" {
	ruled 'connect:stall' 'connect ETIMEDOUT' full tcp connect
	ruled 'connect:stall' 'connect ETIMEDOUT' full tcp connect1
}

@test "a rule that waits leaves alone what has taken the number meanwhile" {
	ruled 'write:kind=pipe:len=5:when=1:hold=20s:break' 'write EBADF, read 0' meanwhile
	failed '"EBADF"'
}

@test "what was broken before a rule fired was not broken by it" {
	local object rule
	for object in pipe unix tcp; do
		for rule in break reset fin; do
			[[ $object != pipe || $rule == break ]] || continue
			ruled "write:kind=$object:fd=!0-2:when=1:$rule" '' before $object
			equal "what the rule did" '["it was broken before"]' "$(events 'select(.ev == "inject") | [.held]')"
			equal "broken by it" '[false,null]' "$(broken '[.injected, .rule]' | sort -u)"
		done
	done
}
