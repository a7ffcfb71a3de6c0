#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # the inner perls expand
# What a descriptor went through is told of that object, and of no other.

load ../helpers

@test "a number that is used again behind our back is not told the story of the first object" {
	for how in close fclose range raw; do
		rm -f "$LOG"
		guarded -i "$FIXTURES/reuse" $how
		echo "how: $how"
		equal "the event" '["unix",null,null,[],null]' "$(broken '[.kind, .side, .peer, .history, .age_ms]')"
		[[ $(broken .sent) == null || $(broken .sent) == 0 ]]
	done
}

@test "a vfork child that closes and copies over a number takes nothing from the parent's story" {
	guarded -i "$FIXTURES/reuse" vfork
	equal "the event" '["tcp","client",["eof"],5]' "$(broken '[.kind, .side, [.history[].what], .sent]')"
	[[ $(broken .peer) == '"127.0.0.1:'* ]]
}

@test "two threads that race with a third for numbers: never the wrong object" {
	guarded -i "$FIXTURES/reuse" race
	equal "objects of the events" '["unix",null,[]]' "$(broken '[.kind, .peer, .history]' | sort -u)"
}

@test "the bytes sent are counted exactly, call by call" {
	guarded -i /usr/bin/python3 -c '
import os, socket
a, b = socket.socketpair()
def drain(n):
    while n: n -= len(a.recv(n))
b.send(b"x" * 10); b.sendall(b"x" * 1000); b.sendmsg([b"ab", b"cde"]); os.write(b.fileno(), b"1234567")
os.writev(b.fileno(), [b"x" * 3, b"y" * 4]); b.sendto(b"xy", 0, b.getpeername()) if False else None
drain(10 + 1000 + 5 + 7 + 7)
a.close()
try: b.send(b"z")
except OSError: pass'
	equal "sent" 1029 "$(broken .sent)"
}

@test "stdio's bytes are counted as well" {
	guarded -i bash -c 'exec 3>&1; yes 12345678 | { head -c 900000 >/dev/null; }'
	[ "$(broken .sent | tail -1)" -ge 131072 ]
	guarded -i /usr/bin/perl -e '$| = 1; pipe R, W; select W; $| = 1; print W "x" x 100 for 1..5; close R; print W "y"'
	equal "sent by perl" 500 "$(broken .sent | tail -1)"
}

@test "bytes that wait unread are counted" {
	guarded -i /usr/bin/python3 -c '
import socket, time
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); p, _ = s.accept()
p.sendall(b"HTTP/1.1 413 Payload Too Large\r\n\r\n"); p.shutdown(socket.SHUT_RDWR); p.close()
import select
for _ in range(100):
    try: c.send(b"x" * 1000)
    except OSError: break
    time.sleep(0.01)
try: c.send(b"x")
except OSError: pass' 
	[ "$(broken .unread | tail -1)" -ge 0 ]
	guarded -i /usr/bin/python3 -c '
import socket
a, b = socket.socketpair(); a.send(b"HTTP/1.1 413 Payload Too Large"); a.close()
try: b.send(b"x")
except OSError: pass'
	equal "unread on the unix socket" 30 "$(broken 'select(.kind == "unix") | .unread')"
}

@test "a close with unread bytes, which resets the peer, is told at verbose 1 only" {
	script='
import socket
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); p, a = s.accept()
c.send(b"x" * 94648)
while len(p.recv(94648, socket.MSG_PEEK)) < 1000: pass
p.close()'
	guarded PIPEGUARD_VERBOSE=1 /usr/bin/python3 -c "$script"
	equal "the event" '["tcp","server"]' "$(events 'select(.ev == "doomed") | [.kind, .side]')"
	[ "$(events 'select(.ev == "doomed") | .unread')" -gt 0 ]
	rm "$LOG"
	guarded /usr/bin/python3 -c "$script"
	equal "at verbose 0" "" "$(events .ev)"
}

# highest RULES KIND STEP...: steps done to an object under the number $LAST.
highest() {
	rm -f "$LOG"
	ulimit -n $((LAST + 1))
	guarded PIPEGUARD_RULES="$1" "$FIXTURES/steps" -w ignore open="$2" copy="$LAST" close use="$LAST" "${@:3}"
}

@test "the highest number that is allowed has its history, its bytes and its rules" {
	LAST=$(ulimit -Hn)
	[[ $LAST != unlimited ]] || LAST=1048576
	((--LAST > 2000)) || skip "no more than $LAST descriptors here"
	run -0 highest write:fd=0:log tcp send=5 leave dead recv=9 send=3
	equal "history" "[$LAST,\"tcp\",\"client\",5,[[\"reset\",\"recv\",0]],\"send:comm=steps:side=client:conn=1:at=5:when=1:break\"]" \
		"$(broken '[.fd, .kind, .side, .sent, (.history | map([.what, .call, .sent_since])), .again]')"
	run -0 highest write:fd=0:log pipe write=5 write=4 leave write=1
	equal "bytes" "[$LAST,\"pipe\",9]" "$(broken '[.fd, .kind, .sent]')"
	run -0 highest "send:fd=$LAST:at=7:break" tcp send=5 send=5 send=5
	equal "the byte" '["send",7,"r1"]' "$(broken '[.call, .sent, .rule]')"
	run -0 highest "%out:fd=$LAST:when=3:reset" tcp send=1 send=1 send=1
	equal "the call" '["send",2,"reset"]' "$(events 'select(.ev == "inject") | [.call, .sent, .action]')"
}

@test "a shutdown with unread bytes resets nobody: its close does" {
	guarded PIPEGUARD_VERBOSE=1 /usr/bin/python3 -c '
import socket
l = socket.create_server(("127.0.0.1", 0))
for how in socket.SHUT_WR, socket.SHUT_RDWR:
    c = socket.create_connection(l.getsockname()); p, a = l.accept()
    c.sendall(b"x" * 5000)
    while len(p.recv(5000, socket.MSG_PEEK)) < 5000: pass
    p.shutdown(how)
    c.recv(1)
    print(len(p.recv(4000)), flush=True)
    p.close(); c.close()' >"$BATS_TEST_TMPDIR/read"
	equal "what the program reads" "4000 4000" "$(xargs <"$BATS_TEST_TMPDIR/read")"
	equal "the events" '["closed","shutdown",5000]["doomed","close",1000]["closed","shutdown",5000]["doomed","close",1000]' \
		"$(events 'select(.ev == "closed" or .ev == "doomed") | [.ev, .call, .unread]' | tr -d '\n')"
}
