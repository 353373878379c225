#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Where a container's seccomp profile denies system calls, the same tests have the same results: what is denied, the library
# does without.  Without memfd_create, the pages are in an unlinked file in /dev/shm, or if that is not
# ours to write to, on disk.
. "${0%/*}/common.sh"

launcher=$PWD/tests/seccomp-launcher
[ -x "$launcher" ] || fail "no $launcher here (make check builds it)"
status=0
run "$launcher" true 2>"$tmp/err" || status=$?
[ $status != 77 ] || skip "$(cat "$tmp/err")"
[ $status = 0 ] || fail "the launcher ended with $status"

# ---- the filter denies ----

run "$launcher" grep -q '^Seccomp:[[:space:]]*2$' /proc/self/status || fail "the launcher installs no filter"
status=0
run "$launcher" -d no_such_call true 2>"$tmp/err" || status=$?
[ $status = 2 ] || fail "-d no_such_call: exit status $status, not 2"

# Where a region's pages are, as the kernel sees it.
cat >"$tmp/where.c" <<'END'
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vpager.h>

int main(void)
{
	struct vpager_region_options options = {.size = sizeof options, .length = 1 << 20};
	struct vpager_region *region;
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from;

	int err = maps ? vpager_region_create(&region, &options) : -1;

	if (err < 0)
		return err == -ENOTSUP ? 3 : 1;
	*(volatile char *)vpager_region_base(region) = 1;
	rewind(maps);
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-", &from) == 1 && from == (unsigned long)vpager_region_base(region))
			puts(strchr(line, '/') ? strchr(line, '/') : "nowhere");
	return 0;
}
END
$CC $CFLAGS -I"$top_srcdir/include" "$tmp/where.c" $LDFLAGS -Llib/.libs -lvpager $LIBS -o "$tmp/where" || fail "no program"

# pages_are PATTERN LAUNCHER-OPTION...
pages_are() {
	pattern=$1
	shift
	run "$launcher" "$@" "$tmp/where" >"$tmp/out" || fail "no region with ${*:-what is denied by default}"
	grep -q "^$pattern" "$tmp/out" || fail "with ${*:-what is denied by default}, the pages are in $(cat "$tmp/out"), not in $pattern"
}
pages_are /memfd:vpager
stand_in=/dev/shm/
[ -w /dev/shm ] || stand_in='/.*(deleted)' # on disk
pages_are "$stand_in" -d memfd_create=EPERM
pages_are "$stand_in" -d memfd_create=ENOSYS

# ---- the engine ----

# Where userfaultfd is denied another engine is chosen; asked for by name, it is refused and not replaced.
for denied in userfaultfd=EPERM userfaultfd=ENOSYS userfaultfd=EACCES; do
	status=0
	VPAGER_ENGINE=uffd run "$launcher" -d "$denied" "$tmp/where" >"$tmp/out" || status=$?
	[ $status = 3 ] || fail "with $denied, a region over userfaultfd is not -ENOTSUP: $status"
	VPAGER_ENGINE=mprotect run "$launcher" -d "$denied" "$tmp/where" >"$tmp/out" || fail "no region with $denied"
done

# ---- what is denied is said, with what would change it ----

probe=$PWD/tools/vpager-probe
[ -x "$probe" ] || fail "no $probe here (make builds it)"

# said_of FEATURE PATTERN LAUNCHER-OPTION...: vpager-probe's line for the feature.
said_of() {
	feature=$1
	pattern=$2
	shift 2
	run "$launcher" "$@" "$probe" >"$tmp/out" || fail "vpager-probe ended with $? under: $*"
	grep -q "^$pattern" "$tmp/out" || {
		cat "$tmp/out"
		fail "vpager-probe under: ${*:-what is denied by default}: no line for $feature like: $pattern"
	}
}
seccomp='needs: .*seccomp profile'
said_of engine-uffd "no   engine-uffd  *userfaultfd(UFFD_USER_MODE_ONLY): EPERM (.*); $seccomp"
said_of engine-uffd "no   engine-uffd  *userfaultfd(UFFD_USER_MODE_ONLY): ENOSYS (.*); needs: .*CONFIG_USERFAULTFD" -d userfaultfd=ENOSYS
said_of engine-uffd-thread "no   engine-uffd-thread  *userfaultfd: EPERM (.*); needs: .*vm.unprivileged_userfaultfd"
said_of memory-file "no   memory-file  *memfd_create: EPERM (.*); $seccomp" -d memfd_create=EPERM
said_of memory-file "no   memory-file  *memfd_create: ENOSYS (.*); $seccomp" -d memfd_create=ENOSYS
said_of membarrier "no   membarrier  *membarrier: EPERM (.*); $seccomp" -d membarrier=EPERM
said_of guard-markers "no   guard-markers  *madvise(MADV_GUARD_INSTALL): EINVAL (.*); needs: .*6\.13" -d guard-install=EINVAL
said_of snapshot-swing "no   snapshot-swing  *mremap(MREMAP_DONTUNMAP): EINVAL (.*); needs: a kernel" -d mremap=EINVAL
said_of engine-mprotect 'yes  engine-mprotect '

# ---- a small /dev/shm, as containers have, that gets full: an error at the access, and life goes on ----

cat >"$tmp/full.c" <<'END'
#include <errno.h>
#include <stdio.h>
#include <vpager.h>

#define LENGTH ((size_t)8 << 20)

static void write_all(void *arg)
{
	for (volatile char *p = arg, *end = p + LENGTH; p < end; p += 4096)
		*p = 1;
}

int main(void)
{
	struct vpager_region_options options = {.size = sizeof options, .length = LENGTH};
	struct vpager_region *region;
	int err = vpager_region_create(&region, &options);

	if (err == 0)
		err = vpager_try(write_all, vpager_region_base(region), NULL);
	printf("%s\n", err == -ENOMEM ? "no memory" : err ? "another error" : "all written");
	return err == -ENOMEM ? vpager_region_destroy(region, VPAGER_DESTROY_DISCARD) != 0 : 1;
}
END
$CC $CFLAGS -I"$top_srcdir/include" "$tmp/full.c" $LDFLAGS -Llib/.libs -lvpager $LIBS -o "$tmp/full" || fail "no program"
in_small_shm="mount -t tmpfs -o size=1m none /dev/shm"
if unshare -m sh -c "$in_small_shm" 2>"$tmp/err"; then
	run unshare -m sh -c "$in_small_shm"' && exec "$@"' sh "$launcher" -d memfd_create "$tmp/full" >"$tmp/out" ||
		fail "with a full /dev/shm: $(cat "$tmp/out")"
else
	echo "a full /dev/shm is not tried: $(cat "$tmp/err")"
fi

# ---- same tests, same results ----

# closing FILE PROGRAM LAUNCHER-OPTION...: FILE gets the closing line of a test under the launcher; without an option, of the
# test alone.
closing() {
	file=$1
	program=$2
	shift 2
	run ${1:+"$launcher"} "$@" "tests/$program" >"$tmp/log" 2>&1 </dev/null || {
		cat "$tmp/log"
		fail "$program fails under: ${*:-nothing}"
	}
	grep '^[0-9]*%: ' "$tmp/log" >"$file" || fail "$program has no closing line"
}

programs="test_region test_pin"
[ "${VPAGER_TEST_ONCE_MORE:-0}" = 1 ] || programs="$programs test_fork test_threads" # the same kernel has had those
for program in $programs; do
	closing "$tmp/free" "$program"
	for denied in userfaultfd=ENOSYS memfd_create=EPERM; do
		closing "$tmp/denied" "$program" -d "$denied"
		same "$tmp/free" "$tmp/denied" "$program: not the same with $denied"
	done
	echo "$program: $(cat "$tmp/free"), denied or not"
done
