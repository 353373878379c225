#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The demos build alone, by their own Makefile and without a warning, and do what they say.
. "${0%/*}/common.sh"

command -v make >"$tmp/make" || skip "no make here"
mkdir "$tmp/built"

# Not the flags of a make that runs this test.
(
	unset MAKEFLAGS MFLAGS MAKELEVEL
	make -C "$tmp/built" -f "$top_srcdir/demo/Makefile" CC="$CC" CFLAGS="-Wall -Wextra -Wshadow -Werror $CFLAGS" \
		LDFLAGS="$LDFLAGS" VPAGER_CFLAGS="-I$top_srcdir/include" VPAGER_LIBS="-L$PWD/lib/.libs -lvpager $LIBS"
) >"$tmp/log" 2>&1 || {
	cat "$tmp/log"
	fail "demo/Makefile does not build the demos"
}

[ "$cross" = no ] || [ -n "${EMULATOR:-}" ] || skip "the demos build, and are for another machine"
lines=$tmp/built/lines
changes=$tmp/built/changes
run "$tmp/built/tour" --quiet "$header" >"$tmp/out" || fail "tour: exit status $?"

# ---- lines ----

: >"$tmp/empty"
printf 'no newline at the end' >"$tmp/open"
awk 'BEGIN { for (i = 0; i < 200000; i++) print i, "of more lines than are in memory at a time" }' >"$tmp/long"
for file in "$tmp/empty" "$tmp/open" "$tmp/long" "$header"; do
	echo "$(($(wc -l <"$file"))) $file"
done >"$tmp/expected"
run "$lines" "$tmp/empty" "$tmp/open" "$tmp/long" "$header" >"$tmp/out" || fail "lines: exit status $?"
same "$tmp/expected" "$tmp/out" "lines and wc -l differ"

status=0
run "$lines" "$tmp/missing" "$tmp/open" >"$tmp/out" 2>"$tmp/err" || status=$?
[ $status -eq 1 ] || fail "lines of a missing file: exit status $status"
grep -q "^lines: $tmp/missing: No such file or directory\$" "$tmp/err" || fail "lines does not say which file is missing"
grep -q "^0 $tmp/open\$" "$tmp/out" || fail "lines gives up at a missing file"

# ---- changes ----

cp "$tmp/long" "$tmp/kept"
for file in "" "$tmp/long"; do
	run "$changes" ${file:+"$file"} >"$tmp/out" || fail "changes $file: exit status $?"
	[ "$(grep -c '^round [1-4]: .*; the copy is equal$' "$tmp/out")" -eq 4 ] || fail "changes $file: not four rounds"
	# Round n makes n times as many edits as the first: so many pages are sent, far from all, and none again.
	awk 'NR == 1 { first = $3 } $3 == 0 || $3 > NR * first || $3 > ($7 + 0) / 4 { exit 1 }' "$tmp/out" ||
		fail "changes $file: $(cat "$tmp/out")"
done
cmp "$tmp/long" "$tmp/kept" || fail "changes has changed the file"
status=0
run "$changes" "$tmp/missing" >"$tmp/out" 2>"$tmp/err" || status=$?
[ $status -eq 1 ] || fail "changes of a missing file: exit status $status"
grep -q "^changes: $tmp/missing: No such file or directory\$" "$tmp/err" || fail "changes does not say which file is missing"
