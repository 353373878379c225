#!/bin/sh
# SPDX-License-Identifier: MIT
#
# vpager.h alone is C++11, without a warning, and its functions link from C++.
. "${0%/*}/common.sh"

[ -n "$CXX" ] || skip "no C++ compiler (Debian package: g++)"
set -- $CXX -std=c++11 -pedantic -pedantic-errors -Wall -Wextra -Werror -I"$top_srcdir/include"
"$@" "$top_srcdir/tests/header_cxx11.cc" $LDFLAGS -Llib/.libs -lvpager $LIBS -o "$tmp/program" ||
	fail "a C++11 program with nothing but vpager.h does not build"
run "$tmp/program" || fail "the program failed"
