#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs into an empty place and looks at what is there: see installed.sh.
. "${0%/*}/common.sh"

# libvpager-syscalls.so is linked once more when it is installed, since it needs libvpager.so from its place.
[ -w compat ] || skip "the build tree is not this user's, and make install writes to it"

# This make has nothing to do with the one that may run this test.
unset MAKEFLAGS MFLAGS MAKELEVEL
if ! { make install DESTDIR="$tmp/root" && make installcheck DESTDIR="$tmp/root"; } >"$tmp/log" 2>&1; then
	cat "$tmp/log"
	fail "installing, or what was installed, is wrong"
fi
tail -n 1 "$tmp/log"
