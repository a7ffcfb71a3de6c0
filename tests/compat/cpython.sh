# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# CPython's own tests, as Debian packages them (libpython3.11-testsuite).
modes='verbose rules'
programs='python3:300'
modules='test_socket test_signal test_subprocess test_ssl test_io test_threading test_faulthandler test_asyncio
test_selectors test_socketserver test_poll test_epoll test_select test_pty test_os test_posix test_eintr test_asyncore
test_asynchat test_ftplib test_smtplib test_httplib test_httpservers test_file test_fileio test_popen test_pipes test_atexit
test_sys test_ctypes test_fork1 test_wait3 test_wait4 test_tempfile test_shutil test_mmap test_fcntl test_poplib test_imaplib'

have() {
	needs /usr/bin/python3 && /usr/bin/python3 -c 'import test.test_socket' 2>/dev/null || {
		echo 'no libpython3-testsuite'
		return 1
	}
}

prepare() { :; }

run() {
	# shellcheck disable=SC2086
	timeout -k 10 "$LIMIT" "${under[@]}" /usr/bin/python3 -m test -j4 --timeout 200 -i "*VSOCK*" --junit-xml "$WORK/junit.xml" $modules \
		>"$WORK/out" 2>&1
	echo "exit $?"
	# A module that died has no entry of its own.
	sed -n 's/^ *[0-9:]* load avg: [0-9.]* \[[^]]*\] \(test_[a-z0-9]*\) \([a-z]*\).*/module:\1 \2/p' "$WORK/out"
	/usr/bin/python3 - "$WORK/junit.xml" <<-'END'
		import re, sys, xml.etree.ElementTree as tree
		for case in tree.parse(sys.argv[1]).iter("testcase"):
		    kinds = [child.tag for child in case if child.tag in ("skipped", "failure", "error")]
		    print(re.sub(r"\s+", "_", case.get("name")), kinds[0] if kinds else "ok")
	END
}
