# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# rsync over a socket: a daemon and clients, whole, by difference, broken off.
programs='rsync:15'

have() { needs rsync /usr/bin/python3; }

prepare() { :; }

run() {
	local port daemon mode
	mkdir module tree
	seq 1 300000 >tree/big
	for i in {1..50}; do seq 1 $((i * 10)) >"tree/$i"; done
	find tree -exec touch -d @1000000000 {} +
	port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	printf 'use chroot = no\nuid = 0\ngid = 0\nlog file = %s\nmax connections = 20\nlock file = %s\n[m]\npath = %s\nread only = no\n' \
		"$PWD/log" "$PWD/lock" "$PWD/module" >conf
	"${under[@]}" timeout 100 rsync --daemon --no-detach --address=127.0.0.1 --port="$port" --config="$PWD/conf" &
	daemon=$!
	for _ in {1..200}; do
		rsync "rsync://127.0.0.1:$port/" >/dev/null 2>&1 && break
		sleep 0.05
	done
	for mode in -a -az -aW -ac '-a --delete' '-a --inplace' '-a --bwlimit=50000'; do
		# shellcheck disable=SC2086
		"${under[@]}" rsync $mode tree/ "rsync://127.0.0.1:$port/m/t${mode//[ =]/}/" >out 2>&1
		echo "push${mode//[ =]/} $?:$(cd "module/t${mode//[ =]/}" && find . -type f -exec cksum {} + | sort | cksum | tr ' ' :)"
		# shellcheck disable=SC2086
		"${under[@]}" rsync $mode "rsync://127.0.0.1:$port/m/t${mode//[ =]/}/" "back${mode//[ =]/}" >out 2>&1
		echo "pull${mode//[ =]/} $?:$(diff -r tree "back${mode//[ =]/}" >/dev/null && echo same)"
	done
	echo "list $("${under[@]}" rsync "rsync://127.0.0.1:$port/m/t-a/" 2>/dev/null | wc -l)"
	"${under[@]}" rsync -a "rsync://127.0.0.1:$port/none/" nowhere >/dev/null 2>&1
	echo "no-module $?"
	"${under[@]}" timeout -s KILL 0.3 rsync -a --bwlimit=100 tree/ "rsync://127.0.0.1:$port/m/broken/" >/dev/null 2>&1
	"${under[@]}" rsync -a tree/ "rsync://127.0.0.1:$port/m/broken/" >/dev/null 2>&1
	echo "after-a-break $?:$(diff -r tree module/broken >/dev/null && echo same)"
	"${under[@]}" rsync -a tree/ local/
	echo "local $?:$(diff -r tree local >/dev/null && echo same)"
	kill "$daemon"
	wait "$daemon" 2>/dev/null
	echo "daemon $?"
}
