#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A frame that is larger than the guard, in a function that does not touch it in order, gets past the guard unseen, as vpager(7)
# says; -fstack-clash-protection makes an overflow of it, and growth of what a system call is to fill.
. "${0%/*}/common.sh"

# build FLAG
build() {
	$CC -O1 -Wall -Wextra -Werror "$1" -I"$top_srcdir/include" "$top_srcdir/tests/stack_clash.c" $LDFLAGS -Llib/.libs -lvpager $LIBS \
		-o "$tmp/program" || fail "tests/stack_clash.c does not build with $1"
}

# says WHAT RESULT
says() {
	status=0
	run "$tmp/program" "$1" >"$tmp/out" || status=$?
	[ $status -ne 77 ] || skip "no stacks on this CPU"
	[ $status -eq 0 ] || fail "$1: $(cat "$tmp/out")"
	grep -q "^$2\$\|: not run: " "$tmp/out" || fail "$1: not '$2': $(cat "$tmp/out")"
}

printf 'int main(void) { return 0; }\n' >"$tmp/empty.c"
$CC -Werror -fstack-clash-protection -c "$tmp/empty.c" -o "$tmp/empty.o" 2>/dev/null || skip "no -fstack-clash-protection"

build -fstack-clash-protection
says lazy overflow
says grown overflow
says read 'all was read'

build -fno-stack-clash-protection
says lazy 'the next stack was written to'
