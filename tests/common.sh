# SPDX-License-Identifier: MIT
#
# Sourced by the shell tests.  They run in the top of the build tree, by make check or by hand (sh SOURCE/tests/NAME.sh), read
# the two trees and write only below $tmp.  0: passed, 77: skipped, else failed; why is said last.
# shellcheck shell=sh disable=SC2034
# shellcheck source=env.sh.in
set -eu

. ./tests/env.sh
name=${0##*/}
name=${name%.sh}
header=$top_srcdir/include/vpager.h
map=$top_srcdir/lib/libvpager.map
core=lib/.libs/libvpagercore.a
library=lib/.libs/libvpager.so

tmp=$(mktemp -d "${TMPDIR:-/tmp}/vpager-$name.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
	printf '%s: %s\n' "$name" "$*"
	exit 1
}

skip() {
	printf '%s: skipped: %s\n' "$name" "$*"
	exit 77
}

# The functions that vpager.h declares, sorted.
public_functions() {
	$CC -E -P "$header" | grep -oE '\bvpager_[a-z0-9_]+\(' | tr -d '(' | LC_ALL=C sort -u
}

# same A B MESSAGE: two sorted lists, or the test fails with their difference.
same() {
	if ! diff "$1" "$2" >"$tmp/difference"; then
		cat "$tmp/difference"
		fail "$3 (< only the first, > only the second)"
	fi
}

# run PROGRAM ARGUMENT...: a program of the host that the library was built for, with the library of this tree.  Where such
# a program cannot run, nothing is done.
run() {
	if [ "$cross" = yes ] && [ -z "${EMULATOR:-}" ]; then
		echo "$name: not run: built for another machine"
		return 0
	fi
	LD_LIBRARY_PATH=$PWD/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ${EMULATOR:-} "$@"
}
