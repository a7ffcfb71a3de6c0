# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# nginx as server and proxy, under wrk, with clients that go away; what must come out in any case.
programs='nginx curl:12 wrk:4'

have() { PATH=$PATH:/usr/sbin needs nginx curl wrk /usr/bin/python3; }

prepare() { :; }

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

configure() {
	cat <<-END
		daemon off; worker_processes 2; pid $PWD/pid; error_log $PWD/error.log notice;
		events { worker_connections 256; }
		http {
			access_log off;
			client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3; uwsgi_temp_path $PWD/t4;
			scgi_temp_path $PWD/t5;
			server { listen 127.0.0.1:$1; root $PWD/www; sendfile on; }
			server { listen 127.0.0.1:$2; location / { proxy_pass http://127.0.0.1:$1; proxy_buffering off; } }
		}
	END
}

# Twenty clients that ask for much, read little and go, with and without a reset.
abort_clients() {
	"${under[@]}" /usr/bin/python3 - "$1" <<-'END'
		import socket, struct, sys
		got = 0
		for i in range(40):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		    s.sendall(b"GET /big HTTP/1.0\r\nHost: x\r\n\r\n")
		    got += len(s.recv(100)) > 0
		    if i % 2:
		        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		    s.close()
		print(got)
	END
}

run() {
	local front proxy server PATH=$PATH:/usr/sbin port
	mkdir www
	front=$(free_port)
	proxy=$(free_port)
	seq 1 500 >www/small
	seq 1 1000000 >www/big
	configure "$front" "$proxy" >conf
	chmod -R go+rX . 2>/dev/null
	"${under[@]}" timeout 100 nginx -p "$PWD" -c "$PWD/conf" 2>start.err &
	server=$!
	for _ in {1..200}; do
		curl -s -o /dev/null "http://127.0.0.1:$proxy/small" && break
		sleep 0.05
	done
	for port in $front $proxy; do
		name=$([[ $port = "$front" ]] && echo front || echo proxy)
		for file in small big; do
			for i in 1 2 3; do
				"${under[@]}" curl -s -o "got" "http://127.0.0.1:$port/$file"
				echo "$name-$file-$i $?:$(cksum <got | tr ' ' :)"
			done
		done
		echo "$name-missing $(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/none")"
		"${under[@]}" wrk -t1 -c8 -d2s "http://127.0.0.1:$port/small" >wrk.out 2>&1
		echo "$name-wrk $?:$(grep -c 'Requests/sec' wrk.out):$(grep -cE 'Socket errors|Non-2xx' wrk.out)"
		echo "$name-aborted $(abort_clients "$port")"
		"${under[@]}" wrk -t1 -c8 -d1s "http://127.0.0.1:$port/big" >wrk.out 2>&1
		echo "$name-wrk-big $?:$(grep -c 'Requests/sec' wrk.out)"
		curl -s -o got "http://127.0.0.1:$port/big"
		echo "$name-after $?:$(cksum <got | tr ' ' :)"
	done
	kill -HUP "$(<pid)"
	sleep 1
	echo "reload $(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$front/small")"
	kill -QUIT "$(<pid)"
	wait "$server"
	echo "quit $?"
	echo "workers-died $(grep -c 'exited on signal' error.log)"
	echo "alerts $(grep -c '\[alert\]\|\[crit\]' error.log)"
}
