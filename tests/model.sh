#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The model of the page states (tests/model/), checked by spin: every scenario has to hold, and every mutation, which breaks one
# step of the protocol, has to be found out.  And the table of legal transitions is the same in the model and in the library.

. "${0%/*}/common.sh"

[ -n "$SPIN" ] || skip "spin is not here (Debian package: spin)"
command -v perl >/dev/null || skip "perl is not here"
model=$top_srcdir/tests/model

# ---- the table ----

# The transitions as `FROM TO TO ...' lines, from C or from Promela.
arrows() {
	sed -n 's/^[[:space:]]*\(legal\)\{0,1\}\[\(PAGE_[A-Z]*\)\] = \(.*TO(.*\)[,;]$/\2 \3/p' "$1" | tr -d '|()' | sed 's/TO//g; s/  */ /g'
}

arrows "$top_srcdir/lib/core/page.c" >"$tmp/c"
arrows "$model/page.pml" >"$tmp/pml"
[ "$(wc -l <"$tmp/c")" = 8 ] || fail "no table of eight states in page.c"
cmp -s "$tmp/c" "$tmp/pml" || fail "page.c and page.pml differ about what is legal: $(diff "$tmp/c" "$tmp/pml")"

# ---- runs ----

# verify DIRECTORY DEFINITION...: the number of errors, 0 or 1; nothing if it did not run to its end.
verify() (
	cd "$1" || exit
	shift
	"$SPIN" -a "$@" model.pml >spin.log 2>&1 || exit
	${CC:-cc} -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -DVECTORSZ=4096 -o pan pan.c >cc.log 2>&1 || exit
	./pan -m1000000 -c1 >pan.log 2>&1
	! grep -q 'max search depth too small\|out of memory\|VECTORSZ' pan.log || exit
	sed -n 's/.*errors: \([0-9]*\)$/\1/p' pan.log
)

copy() {
	rm -rf "$tmp/$1"
	mkdir "$tmp/$1"
	cp "$model"/*.pml "$tmp/$1"
}

# holds NAME DEFINITION...
holds() {
	what=$1
	shift
	copy run
	errors=$(verify "$tmp/run" "$@")
	[ "$errors" = 0 ] || fail "$what ($*): ${errors:-no} errors; $(cat "$tmp"/run/*.log | tail -n 20)"
	echo "holds: $what"
}

# found NAME FILE PERL-EXPRESSION DEFINITION...: the expression breaks the file, and spin sees it.
found() {
	what=$1 file=$2 expression=$3
	shift 3
	copy run
	perl -0pi -e "$expression" "$tmp/run/$file"
	! cmp -s "$model/$file" "$tmp/run/$file" || fail "$what: changes nothing in $file"
	errors=$(verify "$tmp/run" "$@")
	[ "${errors:-0}" -gt 0 ] || fail "$what ($*): not found out; $(cat "$tmp"/run/*.log | tail -n 20)"
	echo "found: $what"
}

holds "a reader and a writer" -DREADERS=1 -DWRITERS=1
holds "a store that fails" -DREADERS=1 -DWRITERS=1 -DSTORE_ERRORS=1
holds "write-back by the program" -DWRITERS=1 -DFLUSHERS=1
holds "fills by a worker" -DWRITERS=2 -DWORKERS=1
holds "a limit of one page for two" -DPAGES=2 -DLIMIT=1 -DWRITERS=2 -DOWN_PAGES
holds "a limit, and pins" -DPAGES=2 -DLIMIT=1 -DWRITERS=1 -DPINNERS=1
holds "a limit of each region's, and one of all" -DPAGES=2 -DREGIONS=2 -DLIMIT=1 -DTOTAL=1 -DWRITERS=2 -DOWN_PAGES
holds "eviction" -DREADERS=1 -DWRITERS=1 -DEVICTORS=1
holds "the gate closed and drained" -DREADERS=1 -DWRITERS=1 -DGATE
holds "two snapshots" -DWRITERS=1 -DSNAPSHOTS=2
holds "a snapshot of pinned pages" -DPINNERS=1 -DSNAPSHOTS=1

found "a claim that does not compare" page.pml 's/:: word\[page\] == seen ->/:: true ->/' -DREADERS=1 -DWRITERS=1
found "a settle that wakes nobody" page.pml 's/sleepers = false; wait_wake\(ON_PAGE\(page\)\)/sleepers = false/' -DREADERS=1 -DWRITERS=1
found "a sleeper that does not say so" page.pml 's/word\[page\] = word\[page\] \| PAGE_WAITERS/skip/' -DREADERS=1 -DWRITERS=1
found "a failed fill taken for a filled page" fault.pml 's/page_settle_failed\(page\);/page_settle(page, PAGE_HIDDEN, 0, 0);/g' -DREADERS=1 -DWRITERS=1 -DSTORE_ERRORS=1
found "an eviction of what was not written back" reclaim.pml 's/ \|\| page_has\(found, PAGE_DIRTY\)//' -DREADERS=1 -DWRITERS=1 -DEVICTORS=1
found "a write-back that leaves the page open" reclaim.pml 's/protect\(page \+ closed, MMU_READ, err\)/err = false/' -DWRITERS=2 -DFLUSHERS=1
found "room given back twice" reclaim.pml 's/(reclaim_return\(page, 1\))/$1; $1/' -DPAGES=2 -DLIMIT=1 -DWRITERS=2 -DOWN_PAGES
found "waiting for a page that only changed" room.pml 's/:: else -> spared = true/:: else -> busy = true/' -DPAGES=2 -DLIMIT=1 -DWRITERS=1 -DPINNERS=1
found "hiding that does not look at pins" reclaim.pml 's/!page_visible\(found\) \|\| page_pins\(found\) > 0/!page_visible(found)/' -DWRITERS=1 -DPINNERS=1 -DHIDERS=1
found "a gate that is not drained" gate.pml 's/gate_word == GATE_CLOSED -> wait_forget\(ON_DRAIN\)/true -> wait_forget(ON_DRAIN)/' -DREADERS=1 -DWRITERS=1 -DGATE
found "a gate that opens quietly" gate.pml 's/(gate_word = gate_word & ~GATE_CLOSED;)\s*wait_wake\(ON_GATE\)/$1 skip/' -DREADERS=1 -DWRITERS=1 -DGATE
found "a ticket for the gate after the look" gate.pml 's/(inline gate_enter_or_ticket\(\)\n\{\n)\twait_prepare\(ON_GATE\);\n(.*?):: else -> skip/$1$2:: else -> wait_prepare(ON_GATE)/s' -DREADERS=1 -DWRITERS=1 -DGATE
found "a write that keeps no copy" fault.pml 's/-> cow_preserve\(page\)/-> skip/' -DWRITERS=1 -DSNAPSHOTS=1
found "a page that is let go before what it left is kept" fault.pml 's/cow_left\(page\); (settle_shown\(page, to\))/$1; cow_left(page)/' -DWRITERS=1 -DSNAPSHOTS=1
found "a fill that opens a page unkept" fault.pml 's/as = \(as == WRITE && cow_pending\(page\) -> READ : as\);/skip;/' -DWRITERS=1 -DSNAPSHOTS=1
found "a live page that is not looked at again" snapshot.pml 's/:: !is_kept\(mine, page\) ->(\s+REACHED\(read live\))/:: true ->$1/' -DWRITERS=1 -DSNAPSHOTS=2
found "an absent page that is not looked at again" snapshot.pml 's/:: !is_kept\(mine, page\) ->(\s+REACHED\(read absent\))/:: true ->$1/' -DWRITERS=1 -DEVICTORS=1 -DSNAPSHOTS=1
found "a cut with the gate not drained" gate.pml 's/gate_word == GATE_CLOSED -> wait_forget\(ON_DRAIN\)/true -> wait_forget(ON_DRAIN)/' -DWRITERS=1 -DSNAPSHOTS=1
found "a pin that does not look at the generation" range.pml 's/:: page_ready\(seen, page, access\) -> page_pin\(page, seen, ok\)\n\t\t:: else -> skip/:: true -> page_pin(page, seen, ok)/' -DPINNERS=1 -DSNAPSHOTS=1
found "a pinned page that is asked for its pins twice" snapshot.pml 's/(:: carried\[page\]) ->\n\t\t\tcow/$1 && page_pins(word[page]) > 0 ->\n\t\t\tcow/' -DPINNERS=1 -DSNAPSHOTS=1
