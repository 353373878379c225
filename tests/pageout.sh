#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tests of regions once more while the kernel takes their mappings away at random, as it does when memory is short: a fault on
# a page that was visible shows it again, and loses nothing.  VPAGER_TEST_PAGED_OUT names other tests; `all' is all that are about
# regions.
. "${0%/*}/common.sh"

[ -z "${EMULATOR:-}" ] || skip "an emulator's pages are not the program's"
tests="region dirty model pin"
[ "${VPAGER_TEST_ONCE_MORE:-0}" = 1 ] || tests="$tests threads" # the same kernel has had that
tests=${VPAGER_TEST_PAGED_OUT:-$tests}
if [ "$tests" = all ]; then
	tests=$(cd "$top_srcdir/tests" && grep -l '"paging\.h"' test_*.c | sed 's/^test_//; s/\.c$//')
fi
launcher=$PWD/tests/pageout-launcher
status=0
run "$launcher" true 2>"$tmp/err" || status=$?
[ $status != 77 ] || skip "$(cat "$tmp/err")"
[ $status = 0 ] || fail "the launcher ended with $status"

for test in $tests; do
	if ! run "$launcher" "tests/test_$test" >"$tmp/log" 2>"$tmp/err"; then
		tail -n 40 "$tmp/log" "$tmp/err"
		fail "with pages taken away, test_$test fails"
	fi
	! grep -q ' 0 ranges' "$tmp/err" || fail "nothing was taken away from test_$test: $(cat "$tmp/err")"
	echo "test_$test: $(grep '^[0-9]*%: ' "$tmp/log"); $(grep rounds "$tmp/err")"
done
