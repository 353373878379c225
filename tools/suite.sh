# SPDX-License-Identifier: MIT
#
# Sourced by tools/check-emulated and tools/check-variants: builds the library and its tests a certain way in a directory of
# its own, runs the suite there, and says in one line how it went.  They run in the top of a build tree; what a suite prints
# goes to DIRECTORY/*.log, and the outcome for tools/porting to DIRECTORY/suite.result.
# shellcheck shell=sh disable=SC2034
set -eu

top=$(cd "${0%/*}/.." && pwd)
name=${0##*/}
jobs=${JOBS:-$( (nproc || getconf _NPROCESSORS_ONLN || echo 1) 2>/dev/null | head -n 1)}
SHELL=${SHELL:-/bin/sh}
bad=0
unset MAKEFLAGS MFLAGS MAKELEVEL # of a make that may run this
trap 'exit 1' HUP INT TERM

say() {
	printf '%s: %s\n' "$name" "$*"
}

die() {
	say "$@" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# The closing lines of make check, for who adds up: one suite that could not be tried.
not_tried() {
	mkdir -p "$1"
	printf 'SKIP: %s\nTestsuite summary: %s\n# PASS:  0\n# SKIP:  1\n# FAIL:  0\n' "$2" "$3" >"$1/check.log"
	say "$2: skipped: $3"
}

# count WORD LOG
count() {
	sed -n "s/^# $1: *//p" "$2" | tail -n 1
}

# log_names: of tests, by their names.
log_names() {
	sed 's/\.\(sh\|engine\|readers\)$//; s/$/.log/'
}

# explain DIRECTORY: the last words of what failed, the reasons of what was skipped.
explain() {
	sed -n 's/^\(FAIL\|ERROR\|XPASS\): //p' "$1/check.log" | log_names | while read -r log; do
		echo "---- the end of $1/$log ----"
		tail -n 30 "$1/$log"
	done
	sed -n 's/^SKIP: //p' "$1/check.log" | log_names | while read -r log; do
		say "  skipped: ${log%.log}: $(tail -n 2 "$1/$log" | head -n 1)"
	done
}

# step DIRECTORY NAME LOG COMMAND...: runs in the directory; if it fails, that is the suite's outcome.
step() {
	directory=$1
	what=$2
	log=$3
	shift 3
	(cd "$directory" && "$@") >"$directory/$log.log" 2>&1 </dev/null && return 0
	say "$what: FAILED; the end of $directory/$log.log:"
	tail -n 30 "$directory/$log.log"
	bad=$((bad + 1))
	return 1
}

# prepare DIRECTORY NAME CONFIGURE-ARGUMENT...: configures, if that has not been done with these arguments, and builds all.
prepare() {
	directory=$1
	what=$2
	shift 2
	[ -f "$top/configure" ] || die "no configure in $top: run ./bootstrap there"
	[ ! -f "$top/config.status" ] ||
		die "$top is configured itself, and configure wants another directory then: make distclean there, and build in build/"
	mkdir -p "$directory"
	rm -f "$directory/suite.result"
	: >"$directory/check.log" # to whoever adds up, a suite without an end is a failure
	if [ ! -f "$directory/Makefile" ] || [ "$*" != "$(cat "$directory/suite.settings" 2>/dev/null)" ] ||
		[ -n "$(find "$top/configure" -newer "$directory/config.status")" ]; then
		[ ! -f "$directory/Makefile" ] || make -C "$directory" clean >"$directory/clean.log" 2>&1 || :
		rm -f "$directory/suite.settings"
		step "$directory" "$what" configure "$top/configure" "$@" || return 1
		printf '%s\n' "$*" >"$directory/suite.settings"
	fi
	step "$directory" "$what" make make -j"$jobs" && step "$directory" "$what" make-check make -j"$jobs" check TESTS=
}

# suite DIRECTORY NAME HOW MAKE-ARGUMENT...: runs the tests of what was prepared.  HOW: "native", or what emulates.
suite() {
	directory=$1
	what=$2
	how=$3
	shift 3
	start=$(date +%s)
	make -C "$directory" -j"$jobs" check "$@" >"$directory/check.log" 2>&1 </dev/null || :
	if ! grep -q '^Testsuite summary' "$directory/check.log"; then
		say "$what: FAILED; the end of $directory/check.log:"
		tail -n 30 "$directory/check.log"
		bad=$((bad + 1))
		return
	fi
	failed=$(($(count FAIL "$directory/check.log") + $(count ERROR "$directory/check.log") + $(count XPASS "$directory/check.log")))
	[ $failed = 0 ] || bad=$((bad + 1))
	say "$what, $how: passed $(count PASS "$directory/check.log"), failed $failed," \
		"skipped $(count SKIP "$directory/check.log"), in $(($(date +%s) - start)) s"
	explain "$directory"
	# Of a few tests only nothing goes there.
	[ -f "$directory/tests/test_port.log" ] || return 0
	"$SHELL" "$top/tools/porting" result "$directory" "$how" >"$directory/suite.result"
}
