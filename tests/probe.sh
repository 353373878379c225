#!/bin/sh
# SPDX-License-Identifier: MIT
#
# vpager-probe: its help names all of its options, its text and its JSON say the same, and nonsense is refused.
. "${0%/*}/common.sh"

[ "$cross" != yes ] || [ -n "${EMULATOR:-}" ] || skip "built for another machine"
probe=tools/.libs/vpager-probe # the other one is libtool's script, or where there is no shared library the program itself
[ -x "$probe" ] || probe=tools/vpager-probe
[ -x "$probe" ] || fail "no $probe here (make builds it)"

run "$probe" --help >"$tmp/help" || fail "--help ended with $?"
for option in --json --require --help --version; do
	grep -q -e "$option" "$tmp/help" || fail "--help does not name $option"
	grep -q -e "Fl -${option#--}" "$top_srcdir/man/vpager-probe.1" || fail "vpager-probe.1 does not name $option"
done
[ "$(run "$probe" --version)" = "vpager-probe (libvpager) $version" ] || fail "--version says $(run "$probe" --version)"

refused() {
	status=0
	run "$probe" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	[ $status = 2 ] || fail "$*: exit status $status, not 2"
	[ ! -s "$tmp/out" ] && [ -s "$tmp/err" ] || fail "$*: not refused with a word on standard error"
}
refused --no-such-option
refused --require no-such-feature
refused argument

# Every feature of the header is in the text, and in the manual page, by its name.
run "$probe" >"$tmp/text" || fail "exit status $?"
sed -n 's/^#define VPAGER_FEATURE_\([A-Z_]*\) .*/\1/p' "$header" | tr 'A-Z_' 'a-z-' >"$tmp/features"
[ -s "$tmp/features" ] || fail "no VPAGER_FEATURE_* in $header"
while read -r feature; do
	grep -qE "^(yes|no ) +$feature " "$tmp/text" || fail "no line for $feature"
	grep -q "Ta $feature Ta" "$top_srcdir/man/vpager_features.3" || fail "vpager_features.3 does not name $feature"
	status=0
	run "$probe" --require "$feature" >"$tmp/out" || status=$?
	works=$(sed -n "s/^\([a-z]*\) *$feature .*/\1/p" "$tmp/text")
	[ "$works$status" = yes0 ] || [ "$works$status" = no1 ] || fail "--require $feature: $status, but it works: $works"
done <"$tmp/features"
[ "$(grep -cE '^(yes|no ) ' "$tmp/text")" = "$(wc -l <"$tmp/features")" ] || fail "more lines than features"
grep -q "^ *page-bytes  *$(getconf PAGESIZE) " "$tmp/text" || [ -n "${EMULATOR:-}" ] || fail "the page size is wrong"
grep -q "^ *max-map-count  *$(cat /proc/sys/vm/max_map_count) " "$tmp/text" || fail "vm.max_map_count is wrong"

run "$probe" --json >"$tmp/json" || fail "--json: exit status $?"
if command -v python3 >"$tmp/python"; then
	python3 - "$tmp/json" "$tmp/text" <<'END' || fail "text and JSON are not the same"
import json, sys

it = json.load(open(sys.argv[1]))
lines = [line.split(None, 2) for line in open(sys.argv[2]) if line[:3] in ("yes", "no ")]
assert {name: (word == "yes", reason.strip()) for word, name, reason in lines} == \
       {name: (f["works"], f["reason"]) for name, f in it["features"].items()}
assert it["limits"]["page-bytes"] > 0
END
fi

! run "$probe" >/dev/full 2>"$tmp/err" || fail "a full disk is not noticed"
