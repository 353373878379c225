#!/bin/sh
# SPDX-License-Identifier: MIT
#
# C++ exceptions through vpager_try.
. "${0%/*}/common.sh"

[ -n "$CXX" ] || skip "no C++ compiler (Debian package: g++)"
$CXX -std=c++11 -Wall -Wextra -Werror -I"$top_srcdir/include" "$top_srcdir/tests/try_cxx.cc" $LDFLAGS -Llib/.libs -lvpager $LIBS \
	-o "$tmp/program" || fail "tests/try_cxx.cc does not build"
run "$tmp/program" || fail "the program failed"
