#!/bin/sh
# SPDX-License-Identifier: MIT
#
# vpager.h alone is C99, without a warning, and says the same version as configure.ac.
. "${0%/*}/common.sh"

set -- $CC -std=c99 -pedantic -pedantic-errors -Wall -Wextra -Wstrict-prototypes -Werror -I"$top_srcdir/include" $CFLAGS
"$@" -DEXPECTED="\"$version\"" "$top_srcdir/tests/header_c99.c" $LDFLAGS -Llib/.libs -lvpager $LIBS -o "$tmp/program" ||
	fail "a C99 program with nothing but vpager.h does not build"
run "$tmp/program" || fail "the program failed"
