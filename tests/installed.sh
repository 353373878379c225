#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make installcheck: what was installed is complete, and a program builds against it as a user would: pkg-config, shared and
# static.  Takes the installation's directories from the environment.
. "${0%/*}/common.sh"

root=${DESTDIR:-}
: "${bindir:?}" "${includedir:?}" "${libdir:?}" "${mandir:?}" "${pkgconfigdir:?}"

[ -f "$root$includedir/vpager.h" ] || fail "no vpager.h in $root$includedir"
cmp -s "$header" "$root$includedir/vpager.h" || fail "$root$includedir/vpager.h is not this release's"
public_functions >"$tmp/functions"
while read -r function; do
	[ -f "$root$mandir/man3/$function.3" ] || fail "no manual page $function.3 in $root$mandir/man3"
done <"$tmp/functions"
[ -x "$root$bindir/vpager-probe" ] || fail "no vpager-probe in $root$bindir"
[ -f "$root$mandir/man1/vpager-probe.1" ] || fail "no manual page vpager-probe.1 in $root$mandir/man1"
[ -f "$root$mandir/man7/vpager-syscalls.7" ] || fail "no manual page vpager-syscalls.7 in $root$mandir/man7"
[ -f "$root$mandir/man7/vpager.7" ] || fail "no manual page vpager.7 in $root$mandir/man7"
[ -f "$root$pkgconfigdir/vpager.pc" ] || fail "no vpager.pc in $root$pkgconfigdir"

cat >"$tmp/program.c" <<'END'
#include <vpager.h>

int main(void)
{
	struct vpager_region_options options = {.size = sizeof options, .length = 1 << 20};
	struct vpager_region *region;
	volatile char *bytes;

	if (vpager_region_create(&region, &options) < 0)
		return 1;
	bytes = vpager_region_base(region);
	bytes[12345] = 7;
	if (bytes[12345] != 7 || bytes[54321] != 0)
		return 2;
	return vpager_region_destroy(region, 0) == 0 ? 0 : 3;
}
END

# try FLAG... LIBRARY...: builds the program and runs it with the installed library.
try() {
	$CC $CFLAGS "$tmp/program.c" -o "$tmp/program" $LDFLAGS "$@" || fail "does not build with: $*"
	[ "$cross" = no ] || [ -n "${EMULATOR:-}" ] || return 0
	LD_LIBRARY_PATH=$root$libdir ${EMULATOR:-} "$tmp/program" || fail "built with $*, the program ended with $?"
}

if [ -n "$PKG_CONFIG" ]; then
	PKG_CONFIG_PATH=$root$pkgconfigdir
	PKG_CONFIG_SYSROOT_DIR=$root
	export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
	[ "$($PKG_CONFIG --modversion vpager)" = "$version" ] || fail "vpager.pc is of another version than $version"
	flags=$($PKG_CONFIG --cflags --libs vpager)
	private=$($PKG_CONFIG --static --libs vpager)
else
	flags="-I$root$includedir -L$root$libdir -lvpager"
	private="-L$root$libdir -lvpager $LIBS"
fi

if [ "$shared" = yes ]; then
	try $flags
	$READELF -dW "$tmp/program" | grep -q 'NEEDED.*libvpager\.so\.' || fail "the program does not ask for libvpager.so"
fi
if [ "$static" = yes ]; then
	# The archive by its name, since -lvpager prefers the shared library.
	try -I"$root$includedir" "$root$libdir/libvpager.a" ${private##*-lvpager}
	! $READELF -dW "$tmp/program" | grep -q 'NEEDED.*libvpager' || fail "linked with libvpager.a, the program asks for libvpager.so"
fi
echo "$name: the installation in $root$libdir is complete"
