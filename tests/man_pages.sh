#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every public function has a manual page of its own with the sections that a caller needs, and no page is about a function
# that is not there.  mandoc finds nothing to warn of.
. "${0%/*}/common.sh"

man=$top_srcdir/man
public_functions >"$tmp/functions"
for page in "$man"/*.3; do
	page=${page##*/}
	echo "${page%.3}"
done | LC_ALL=C sort >"$tmp/pages"
same "$tmp/functions" "$tmp/pages" "the functions of vpager.h and the pages in man/ differ"

# The page that has the text: a page may be no more than a pointer to one that it shares.
text_of() {
	target=$(sed -n 's|^\.so man3/||p' "$1")
	echo "${target:+$man/}${target:-$1}"
}

bad=
complain() {
	bad="$bad
  $function.3: $1"
}

: >"$tmp/texts"
while read -r function; do
	page=$(text_of "$man/$function.3")
	if [ ! -f "$page" ]; then
		complain "points to $page, which is not there"
		continue
	fi
	echo "$page" >>"$tmp/texts"
	while read -r section; do
		grep -qE "^\.S[Hh] \"?$section\"?\$" "$page" || complain "no section $section"
	done <<-'END'
		NAME
		SYNOPSIS
		DESCRIPTION
		RETURN VALUES?
		ERRORS
		THREAD AND SIGNAL SAFETY
		SEE ALSO
	END
	sed -n '/^\.Sh NAME/,/^\.Sh SYNOPSIS/p' "$page" | grep -qE "^\.Nm $function( ,)?\$" || complain "NAME does not name it"
	sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | grep -qE "^\.F[no] (.*[ *\"])?$function\\b" ||
		complain "SYNOPSIS does not declare it"
done <"$tmp/functions"
for page in vpager.7 vpager-probe.1 vpager-syscalls.7; do
	[ -f "$man/$page" ] || bad="$bad
  $page is missing"
done
[ -z "$bad" ] || fail "incomplete pages:$bad"

if [ -z "$MANDOC" ]; then
	skip "the pages are complete; mandoc is not here to look closer (Debian package: mandoc)"
fi
# Not "style", which wants each page it refers to installed.
# shellcheck disable=SC2046 # file names of ours
if ! $MANDOC -T lint -W warning $(sort -u "$tmp/texts") "$man"/vpager.7 "$man"/vpager-*.[17] >"$tmp/lint" || [ -s "$tmp/lint" ]; then
	cat "$tmp/lint"
	fail "mandoc has warnings"
fi
