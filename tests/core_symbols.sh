#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The signal-safety audit.  Everything under lib/core/ may run in the signal handler, so what it calls outside of itself is
# on a short list, with reasons: core_symbols.allow.  Thread-local variables are at a fixed place (the other models may
# allocate at the first access), and the library binds its symbols when it is loaded, not at the first call.
. "${0%/*}/common.sh"

allow=$top_srcdir/tests/core_symbols.allow

# ---- the library as it is loaded ----

if [ "$shared" = yes ]; then
	$READELF -dW "$library" | grep -qE 'BIND_NOW|FLAGS_1.*NOW' || fail "$library binds lazily: link with -z now"
	! $READELF -dW "$library" | grep TEXTREL || fail "$library has text relocations"
	! $NM -D --undefined-only "$library" | grep __tls_get_addr || fail "$library looks thread-local variables up by a call"
	! $READELF -rW "$library" | grep -E 'TLSDESC|TLS_DESC|DTPMOD' || fail "$library has thread-local variables that may be allocated late"
fi

# ---- the core by itself ----

[ -f "$core" ] || fail "$core is missing"
if ! $READELF -SW "$core" >"$tmp/sections" || grep -q '\.gnu\.lto_' "$tmp/sections"; then
	skip "link-time optimisation: these objects hold no machine code to look at"
fi

# -S: debugging information refers to thread-local variables in its own way.
$CC -r -nostdlib -Wl,-S -Wl,--whole-archive "$core" -Wl,--no-whole-archive -o "$tmp/core.o" || fail "ld -r of the core failed"
$NM "$tmp/core.o" | awk 'NF == 3 { print $3 }' >"$tmp/defined"
grep -qx sys_call "$tmp/defined" || fail "$core is not the core: no sys_call in it"
$NM --undefined-only "$tmp/core.o" | awk '{ print $NF }' | LC_ALL=C sort -u >"$tmp/undefined"
if $NM --undefined-only "$tmp/core.o" | grep -qE ' U _*(asan|tsan|ubsan|msan|sanitizer|gcov|llvm_profile|llvm_gcov)_'; then
	skip "instrumented objects call more than their source says"
fi

# The port that arch.h chooses.
port=$($CC $CFLAGS -D_GNU_SOURCE -I"$top_srcdir/include" -E "$top_srcdir/lib/core/arch/arch.h" |
	sed -n 's|.*/arch/\([^/"]*\)/syscall\.h".*|\1|p' | head -n 1)
[ -n "$port" ] || fail "arch.h includes no port's syscall.h"

# Who calls it: file and symbol, by the names of the archive's members.
$NM -A --undefined-only "$core" | sed -n 's/.*-\([a-z0-9_]*\)\.o: *[Uwv] \(.*\)/\1 \2/p' | LC_ALL=C sort -u -k2,2 -k1,1 |
	LC_ALL=C join -1 2 - "$tmp/undefined" >"$tmp/calls"
[ "$(awk '{ print $1 }' "$tmp/calls" | uniq | wc -l)" = "$(wc -l <"$tmp/undefined")" ] || fail "cannot tell who calls what"

# allowed SYMBOL FILE: by a line of the list.
allowed() {
	while read -r pattern reason; do
		case $pattern in
		'' | '#'*) continue ;;
		esac
		[ -n "$reason" ] || fail "$allow: no reason for $pattern"
		case $pattern in
		"$port":* | "$2":*) pattern=${pattern#*:} ;;
		esac
		# shellcheck disable=SC2254 # a pattern is meant
		case $1 in
		$pattern) return 0 ;;
		esac
	done <"$allow"
	return 1
}

bad=
while read -r symbol file; do
	allowed "$symbol" "$file" || bad="$bad $symbol (by $file.c)"
done <"$tmp/calls"
[ -z "$bad" ] || fail "the core calls what may not run in a signal handler:$bad"

if $READELF -rW "$tmp/core.o" | grep -E 'TLS_?(GD|LD|GOTDESC|DESC)|DTPMOD|DTPREL|DTPOFF'; then
	fail "the core has thread-local variables that are not initial-exec"
fi

echo "$name: $(wc -l <"$tmp/undefined") symbols from outside, all of them allowed ($port):"
tr '\n' ' ' <"$tmp/undefined"
echo
