#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What vpager.h declares (and does not define inline), what the symbol map lists and what the library exports are the same
# functions; and nothing but vpager_ names can be seen from outside.
. "${0%/*}/common.sh"

public_functions >"$tmp/documented"
$CC -E -P "$header" | sed -n 's/^static inline .*\b\(vpager_[a-z0-9_]*\)(.*/\1/p' | LC_ALL=C sort -u >"$tmp/inline"
LC_ALL=C comm -23 "$tmp/documented" "$tmp/inline" >"$tmp/declared"
[ -s "$tmp/declared" ] || fail "found no function in $header"

grep -oE '\bvpager_[a-z0-9_]+;' "$map" | tr -d ';' | LC_ALL=C sort >"$tmp/mapped"
same "$tmp/declared" "$tmp/mapped" "vpager.h and libvpager.map differ"

if [ "$shared" = yes ]; then
	# A version node is itself an absolute symbol (A).
	$NM -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >"$tmp/versioned"
	sed 's/@.*//' "$tmp/versioned" >"$tmp/exported"
	same "$tmp/declared" "$tmp/exported" "vpager.h and what $library exports differ"

	if grep -v '@@LIBVPAGER_[0-9.]*$' "$tmp/versioned"; then
		fail "exported without a version of the map"
	fi
fi

if [ "$static" = yes ]; then
	$NM --defined-only lib/.libs/libvpager.a | awk 'NF == 3 && $2 ~ /^[A-Z]$/ { print $3 }' | LC_ALL=C sort -u >"$tmp/archived"
	LC_ALL=C comm -23 "$tmp/declared" "$tmp/archived" >"$tmp/difference"
	[ ! -s "$tmp/difference" ] || { cat "$tmp/difference"; fail "declared, but not in libvpager.a"; }
fi
