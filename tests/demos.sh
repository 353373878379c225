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

# ---- deep ----

deep=$tmp/built/deep

# deep ARGUMENT...: its exit status in $status, its words in $tmp/out and $tmp/err.
deep() {
	status=0
	run "$deep" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
}

# says FILE PATTERN
says() {
	grep -q -e "$2" "$tmp/$1" || {
		cat "$tmp/out" "$tmp/err"
		fail "deep: nothing there like: $2"
	}
}

printf '{"name": [1, -2.5e+3, true, false, null, "\\u00e9\\n", "\303\251"], "more": {"": []}}\n' >"$tmp/good.json"
deep --help
[ $status -eq 0 ] || fail "deep --help: exit status $status"
deep "$tmp/good.json"
if grep -q '^deep: no stacks: ' "$tmp/err"; then
	says err '^deep: no stacks: Operation not supported$' # not on this CPU
	exit 0
fi
[ $status -eq 0 ] || fail "deep of a good file: exit status $status"
says out "^$tmp/good.json: 11 values, 3 levels, [0-9]* KiB of stack\$"

# What is no JSON is refused, with the place.
printf '{"good": 1,\n"bad": 01}\n' >"$tmp/bad.json"
deep "$tmp/bad.json"
[ $status -eq 1 ] || fail "deep of a bad file: exit status $status"
says err "^deep: $tmp/bad.json: byte 20, line 2, 1 levels deep: "
i=0
for bad in '' '[1,]' '[1 2]' '{"a"}' '{a:1}' '01' '1.' '-' '"' '"\x"' '"\u12g4"' 'tru' '[1]]' 'nul' "$(printf '"\001"')" \
	"$(printf '"\377"')" "$(printf '"\300\200"')" "$(printf '"\355\240\200"')" "$(printf '"\303"')"; do
	i=$((i + 1))
	printf '%s' "$bad" >"$tmp/bad$i.json"
	deep "$tmp/bad$i.json"
	[ $status -eq 1 ] || fail "deep takes this for JSON: $bad"
	says err "^deep: $tmp/bad$i.json: byte [0-9]*, line 1, "
done
deep "$tmp/missing" "$tmp/good.json"
[ $status -eq 1 ] || fail "deep of a missing file: exit status $status"
says err "^deep: $tmp/missing: No such file or directory\$"
says out "^$tmp/good.json: "

# Too deep is an error like any other: the files after it are parsed as if nothing had been, again and again.
awk 'BEGIN { for (i = 0; i < 1000000; i++) printf "[{\"deeper\":"; print "1" }' >"$tmp/hostile.json"
deep --hostile "$tmp/hostile.json" "$tmp/good.json" "$tmp/hostile.json" "$tmp/good.json"
[ $status -eq 1 ] || fail "deep of hostile files: exit status $status"
[ "$(grep -c "^$tmp/good.json: 11 values, 3 levels, " "$tmp/out")" -eq 2 ] || fail "deep does not go on after a hostile file"
[ "$(wc -l <"$tmp/out")" -eq 2 ] || fail "deep takes hostile files for good"
says err '^deep: (hostile): byte \([0-9]*\), line 1, \1 levels deep: nested too deeply for [0-9]* KiB of stack$'
[ "$(grep -c "^deep: $tmp/hostile.json: .* nested too deeply" "$tmp/err")" -eq 2 ] || fail "deep is not deep twice"

# It is the stack that was too small.
deep --hostile=1000
[ $status -eq 0 ] || fail "deep of 1000 levels: exit status $status"
says out '^(hostile): 1000 values, 1000 levels, '
deep --hostile=200000 --stack=128
[ $status -eq 0 ] || fail "deep of 200000 levels with 128 MiB of stack: exit status $status"
says out '^(hostile): 200000 values, 200000 levels, '
deep --stack=0 "$tmp/good.json"
[ $status -eq 2 ] || fail "deep --stack=0: exit status $status"

# What is no test's invention, and whether another parser counts the same: JSON files of this system, and what Python knows.
if command -v python3 >"$tmp/python"; then
	python3 - "$tmp" <<'END'
import json, os, sys, sysconfig, unicodedata


class Object(list):  # of all values, where a dict would lose those of repeated names
    def __init__(self, pairs):
        super().__init__(value for _, value in pairs)


def refuse(constant):  # NaN and the like, which are no JSON
    raise ValueError(constant)


def count(x):
    counts = [count(i) for i in x] if isinstance(x, list) else []
    return 1 + sum(n for n, _ in counts), isinstance(x, list) + max((d for _, d in counts), default=0)


def expect(path):
    try:
        with open(path, encoding="utf-8") as file:
            print("%s: %d values, %d levels" % (path, *count(json.load(file, object_pairs_hook=Object, parse_constant=refuse))))
    except (OSError, ValueError):
        return 0
    return 1


names = {chr(c): unicodedata.name(chr(c), None) for c in range(0x3000)}
things = {"config": sysconfig.get_config_vars(), "names": names, "float": [0.1, 1e300, -0.0]}
for name, options in {"plain": {}, "raw": {"ensure_ascii": False}, "pretty": {"indent": 4}}.items():
    path = "%s/%s.json" % (sys.argv[1], name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(things, file, **options)
    assert expect(path), path

found = 0
for directory, _, files in os.walk("/usr"):
    for file in sorted(files):
        if found < 20 and file.endswith(".json") and " " not in directory + file and (directory + file).isascii():
            found += expect(os.path.join(directory, file))
    if found == 20:
        break
END
fi >"$tmp/expected"
if [ -s "$tmp/expected" ]; then
	# shellcheck disable=SC2046 # no name has a blank in it
	deep $(cut -d : -f 1 "$tmp/expected")
	[ $status -eq 0 ] || fail "deep of good files: exit status $status: $(cat "$tmp/err")"
	sed 's/, [0-9]* KiB of stack$//' "$tmp/out" >"$tmp/counted"
	same "$tmp/expected" "$tmp/counted" "deep and Python count differently"
fi
