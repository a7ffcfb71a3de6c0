# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# coreutils' own tests (source package coreutils), on the installed programs; without the ones for root.
programs='cat:500 sort:200 seq:80 tail:60 head:200 cp:200 mv:150 ls:500'

have() { needs perl && has_source coreutils; }

prepare() {
	local tree
	tree=$(source_of coreutils) || return
	[[ -e $WORK/kept/init.cfg ]] && return
	mkdir -p "$WORK/kept/src" "$WORK/kept/lib"
	cp -r "$tree/tests" "$tree/init.cfg" "$WORK/kept/"
	cp "$tree/lib/"*.h "$WORK/kept/lib/" 2>/dev/null
	echo '#define HAVE_LIBPTHREAD 1' >"$WORK/kept/lib/config.h"
	# What the tests ask of the build: the limits of the machine's types.
	cat >"$WORK/kept/src/getlimits" <<-'END'
		#!/bin/sh
		for t in CHAR,127,-128 SCHAR,127,-128 UCHAR,255,0 SHRT,32767,-32768 INT,2147483647,-2147483648 \
			UINT,4294967295,0 LONG,9223372036854775807,-9223372036854775808 ULONG,18446744073709551615,0 \
			SIZE,18446744073709551615,0 SSIZE,9223372036854775807,-9223372036854775808 \
			TIME_T,9223372036854775807,-9223372036854775808 UID_T,4294967295,0 GID_T,4294967295,0 \
			OFF_T,9223372036854775807,-9223372036854775808 OFF64_T,9223372036854775807,-9223372036854775808 \
			INTMAX,9223372036854775807,-9223372036854775808 UINTMAX,18446744073709551615,0; do
			IFS=, read -r name max min <<-LIMITS
				$t
			LIMITS
			echo "${name}_MAX=$max"
			echo "${name}_OFLOW=$(perl -Mbigint -e "print $max + 1")"
			[ "$min" = 0 ] || { echo "${name}_MIN=$min"; echo "${name}_UFLOW=$(perl -Mbigint -e "print $min - 1")"; }
		done
		echo 'IO_BUFSIZE=131072'
	END
	chmod +x "$WORK/kept/src/getlimits"
}

coreutils_file() {
	local test=${!#} how=(/bin/sh) status
	[[ $test != *.pl ]] || how=(perl -w -Itests -MCuSkip -MCoreutils -M"CuTmpdir qw($test)")
	"${@:1:$#-1}" srcdir=. top_srcdir=. abs_srcdir="$PWD" abs_top_srcdir="$PWD" abs_top_builddir="$PWD" \
		CONFIG_HEADER="$PWD/lib/config.h" CU_TEST_NAME="coreutils,${test//\//-}" VERSION=9.1 PACKAGE_VERSION=9.1 \
		CC=gcc AWK=awk EGREP='grep -E' EXEEXT= MAKE=make PERL=perl SHELL=/bin/sh fail=0 host_os=linux-gnu \
		host_triplet=x86_64-pc-linux-gnu LOCALE_FR=none LOCALE_FR_UTF8=none PATH="$PWD/src:$PATH" \
		built_programs="$coreutils_programs" timeout 60 "${how[@]}" "./$test" >/dev/null 2>&1 9>&2
	status=$?
	[[ $status -ne 77 ]] || status=skip
	echo "$test $status"
}

run() {
	cd "$WORK/kept" || return
	coreutils_programs=$(dpkg -L coreutils | sed -n 's|^\(/usr\)\{0,1\}/bin/||p' | grep -vx '\[' | tr '\n' ' ')
	export coreutils_programs TMPDIR=/tmp
	find tests -name '*.sh' -o -name '*.pl' | grep -vE 'init.sh|factor/|no-perl' | sort | xargs grep -LE \
		'require_root_|expensive_|very_expensive_|getlimits_unknown' |
		each coreutils_file "${under[@]}"
}
