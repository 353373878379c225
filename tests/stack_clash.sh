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

# gcc takes the flag for every CPU, also where it makes the code no other (riscv64, up to version 14).
printf 'void use(void *p); void frame(void); void frame(void) { char f[100000]; use(f); }\n' >"$tmp/frame.c"
for flag in -fstack-clash-protection -fno-stack-clash-protection; do
	$CC -Werror -O1 "$flag" -S "$tmp/frame.c" -o "$tmp/frame$flag.s" 2>/dev/null || skip "no -fstack-clash-protection"
done
! cmp -s "$tmp"/frame-f*.s || skip "-fstack-clash-protection does nothing on this CPU"

build -fstack-clash-protection
says lazy overflow
says grown overflow
says read 'all was read'

build -fno-stack-clash-protection
says lazy 'the next stack was written to'
