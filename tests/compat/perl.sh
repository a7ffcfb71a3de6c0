# shellcheck shell=bash disable=SC2154,SC2034,SC2012,SC2010,SC2015,SC2016 # the driver's variables; ls of plain names
# SPDX-License-Identifier: MIT
# perl's own t/io, t/op, t/base, t/cmd, t/comp and t/run (source package perl), on the installed perl.
programs='perl:1000'

have() { needs /usr/bin/perl && has_source perl; }

# The tests look for ./perl and ../lib: here the installed ones.
prepare() {
	local tree dir
	tree=$(source_of perl) || return
	[[ -e $WORK/kept/t ]] && return
	mkdir -p "$WORK/kept/lib"
	cp -r "$tree/t" "$WORK/kept/t"
	ln -s /usr/bin/perl "$WORK/kept/perl"
	ln -s /usr/bin/perl "$WORK/kept/t/perl"
	perl -e 'print map "$_\n", grep m{^/usr/(share|lib)/}, @INC' | while read -r dir; do
		[[ ! -d $dir ]] || cp -rs "$dir/." "$WORK/kept/lib/" 2>/dev/null
	done
	:
}

perl_file() {
	"${@:1:$#-1}" timeout 60 ./perl "${!#}" 2>/dev/null | tap "${!#}"
	echo "${!#}:exit ${PIPESTATUS[0]}"
}

run() {
	cd "$WORK/kept/t" || return
	export PERL_HASH_SEED=0 PERL_CORE=1
	ls io/*.t op/*.t base/*.t cmd/*.t comp/*.t run/*.t |
		each perl_file "${under[@]}"
}
