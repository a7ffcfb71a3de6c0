# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# openssl s_server and s_client: a page, an echo, a client that goes away, each over several protocols.
programs='openssl:15 curl:2'

have() { needs openssl curl timeout; }

prepare() {
	mkdir -p "$WORK/kept"
	[[ -e $WORK/kept/key ]] || openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
		-keyout "$WORK/kept/key" -out "$WORK/kept/cert"
}

# serve ARGS: s_server in the background; sets server and port.
serve() {
	rm -f server.out
	"${under[@]}" timeout 60 openssl s_server -accept 127.0.0.1:0 -key "$WORK/kept/key" -cert "$WORK/kept/cert" "$@" \
		>server.out 2>server.err <keep &
	server=$!
	port=
	for _ in {1..200}; do
		port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' server.out 2>/dev/null)
		[[ -z $port ]] || return 0
		sleep 0.05
	done
	return 1
}

run() {
	local protocol status i what
	mkfifo keep
	exec 7<>keep
	for protocol in -tls1_2 -tls1_3; do
		serve -www $protocol || {
			echo "serve$protocol failed"
			continue
		}
		"${under[@]}" curl -sk -o page "https://127.0.0.1:$port/"
		echo "curl$protocol $?"
		echo "page$protocol $(grep -c 'Ciphers supported' page)"
		for i in 1 2 3 4 5; do
			printf 'GET / HTTP/1.0\r\n\r\n' | "${under[@]}" timeout 10 openssl s_client -connect "127.0.0.1:$port" -quiet \
				$protocol >"client$i" 2>/dev/null
			echo "s_client$protocol-$i ${PIPESTATUS[1]}:$(head -c 15 "client$i" | tr -c 'A-Za-z0-9/.' _)"
			# One that goes before it has read.
			printf 'GET / HTTP/1.0\r\n\r\n' | "${under[@]}" timeout 10 openssl s_client -connect "127.0.0.1:$port" -quiet \
				$protocol 2>/dev/null | head -c 3 >/dev/null
			status=("${PIPESTATUS[@]}")
			echo "abort$protocol-$i ${status[2]}"
		done
		"${under[@]}" openssl s_client -connect "127.0.0.1:$port" $protocol </dev/null >session 2>&1
		echo "session$protocol $?:$(sed -n 's/^ *Protocol *: *//p' session | head -1)"
		kill "$server" 2>/dev/null
		wait "$server" 2>/dev/null
		echo "server$protocol $?:$(grep -ci 'segmentation\|abort' server.err)"
	done
	serve -tls1_3 -rev
	{
		printf 'abc\ndef\n'
		sleep 1
	} | "${under[@]}" timeout 10 openssl s_client -connect "127.0.0.1:$port" -quiet 2>/dev/null | tr '\n' ' ' >reversed
	echo "reversed $(tr ' ' _ <reversed)"
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	for what in sha256 sha512 md5; do
		echo "digest-$what $(seq 1 100000 | "${under[@]}" openssl dgst -$what | tr ' ' _)"
	done
}
