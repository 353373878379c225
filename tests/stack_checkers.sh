#!/bin/sh
# SPDX-License-Identifier: MIT
#
# AddressSanitizer, ThreadSanitizer and Valgrind have nothing to say of stacks that are used as they should be, overflow
# included, and find what is wrong on one.
. "${0%/*}/common.sh"

[ "$cross" != yes ] || skip "checkers are for the machine's own programs"
tried=

# build NAME FLAG...: tests/stack_checkers.c as $tmp/NAME.
build() {
	out=$tmp/$1
	shift
	$CC -O1 -g "$@" -I"$top_srcdir/include" "$top_srcdir/tests/stack_checkers.c" -Llib/.libs -lvpager $LIBS -pthread -o "$out"
}

# check NAME MISTAKE COMMAND...
check() {
	checker=$1 mistake=$2
	shift 2
	tried="$tried $checker"
	if ! run "$@" >"$tmp/out" 2>"$tmp/err" || [ -s "$tmp/err" ] || [ "$(cat "$tmp/out")" != done ]; then
		head -n 60 "$tmp/out" "$tmp/err"
		fail "$checker complains of stacks that are used as they should be"
	fi
	if run "$@" "$mistake" >"$tmp/out" 2>"$tmp/err" || ! grep -q stack_checkers.c "$tmp/err"; then
		cat "$tmp/out" "$tmp/err"
		fail "$checker does not see a mistake: $mistake"
	fi
}

# works FLAG [COMMAND...]: programs built with FLAG can be built here, and run, by COMMAND.
works() {
	printf 'int main(void) { return 0; }\n' >"$tmp/empty.c"
	$CC "$1" "$tmp/empty.c" -o "$tmp/empty" 2>/dev/null || return 1
	shift
	"$@" "$tmp/empty" >/dev/null 2>&1
}

# The library itself may be built for one of them, which goes with no other.
alone=$(printf ' %s ' "$CFLAGS" | sed -n 's/.* -fsanitize=\([a-z]*\) .*/\1/p')

if [ "${alone:-address}" = address ] && works -fsanitize=address; then
	build address -fsanitize=address || fail "it does not build with -fsanitize=address"
	check AddressSanitizer behind "$tmp/address"
fi
if [ "${alone:-thread}" = thread ] && works -fsanitize=thread; then
	build thread -fsanitize=thread || fail "it does not build with -fsanitize=thread"
	check ThreadSanitizer race "$tmp/thread"
fi
# The library tells it only where its header is; and it needs the C library's symbols, which are missing from i386's as it comes
# with a cross compiler.  Version 3.19 does not read what clang 14 writes for debuggers.
printf '#include <valgrind/valgrind.h>\n' >"$tmp/header.c"
if [ "${alone:-valgrind}" = valgrind ] && works -g valgrind && $CC -fsyntax-only "$tmp/header.c" 2>/dev/null; then
	build plain || fail "it does not build"
	run valgrind -q "$tmp/plain" >"$tmp/out" 2>"$tmp/err" || :
	grep -q 'debuginfo reader: Possibly corrupted' "$tmp/err" ||
		check Valgrind undefined valgrind -q --error-exitcode=9 "$tmp/plain"
fi
[ -n "$tried" ] || skip "no checker works here (Debian packages: libasan8 libtsan2 valgrind)"
echo "tried:$tried"
