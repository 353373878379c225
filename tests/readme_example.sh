#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The C example of README.md builds as it stands, with one plain compiler line and no warning, and runs.
. "${0%/*}/common.sh"

awk '/^```c$/ && !n { n = 1; inside = 1; next } /^```$/ { inside = 0 } inside' "$top_srcdir/README.md" >"$tmp/example.c"
[ -s "$tmp/example.c" ] || fail "README.md has no example (a block that begins with \`\`\`c)"

$CC -Wall -Wextra -Werror $CFLAGS -I"$top_srcdir/include" "$tmp/example.c" $LDFLAGS -Llib/.libs -lvpager $LIBS \
	-o "$tmp/example" || fail "the example of README.md does not build"

cd "$tmp"
LD_LIBRARY_PATH=$OLDPWD/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
run ./example || fail "the example of README.md ended with $?"
