#!/bin/sh
# SPDX-License-Identifier: MIT
#
# C++ exceptions on stacks of a pool.
. "${0%/*}/common.sh"

[ -n "$CXX" ] || skip "no C++ compiler (Debian package: g++)"
$CXX -std=c++11 -O1 -fnon-call-exceptions -Wall -Wextra -Werror -I"$top_srcdir/include" "$top_srcdir/tests/stack_cxx.cc" $LDFLAGS \
	-Llib/.libs -lvpager $LIBS -o "$tmp/program" || fail "tests/stack_cxx.cc does not build"
run "$tmp/program" || fail "the program failed"
