#!/bin/sh
# SPDX-License-Identifier: MIT
#
# libvpager-syscalls.so preloaded: programs that know nothing of it do what they did, fortified ones too; calls that come before
# its constructor, and from a vfork child, find the function behind.
. "${0%/*}/common.sh"

syscalls=$PWD/compat/.libs/libvpager-syscalls.so
[ "$cross" != yes ] || skip "the loader's environment is not an emulator's"
[ -f "$syscalls" ] || skip "not built here (make builds it, for glibc and shared libraries)"

preloaded() {
	run env LD_PRELOAD="$syscalls${PRELOAD_MORE:+:$PRELOAD_MORE}" "$@"
}
case $CFLAGS in
*-fsanitize*) skip "a sanitizer's runtime has to be the first library" ;;
esac

# ---- the library itself ----

! $NM -D --defined-only "$syscalls" | grep -E ' (vpager|hold|real|transfer|early)_' || fail "its insides can be seen from outside"
$READELF -dW "$syscalls" | grep -q 'SONAME.*\[libvpager-syscalls\.so\]' || fail "another soname than the one to preload"
$READELF -dW "$syscalls" | grep -qE 'BIND_NOW|FLAGS_1.*NOW' || fail "it binds lazily: a signal handler may be the first to call"

# Every function that it stands in front of is in its manual page, and the other way round.
$NM -D --defined-only "$syscalls" | awk '$2 == "T" { print $3 }' | grep -v '^__' | LC_ALL=C sort >"$tmp/defined"
sed -n '/^\.Sh FUNCTIONS/,/^\.Sh /p' "$top_srcdir/man/vpager-syscalls.7" | sed -n 's/^\.Fn //p' | tr -d ' ,' | LC_ALL=C sort >"$tmp/documented"
same "$tmp/defined" "$tmp/documented" "what is interposed and what vpager-syscalls.7 lists differ"

# ---- programs that know nothing of it ----

# The system's may be for another CPU than the library, as they are for i386 on x86_64.
cpu_of() {
	$READELF -h "$1" | grep -E '^ *(Class|Machine):'
}
same_cpu=yes
[ "$(cpu_of "$syscalls")" = "$(cpu_of "$(command -v cat)")" ] || same_cpu=no
[ $same_cpu = yes ] || echo "not tried with the system's own programs, which are for another CPU"

for command in 'cat "$top_srcdir/README.md"' 'ls -l "$top_srcdir"' 'sort "$top_srcdir/HACKING.md"' 'echo word | grep -c word | cat' \
	'printf "%s\n" a b | { read -r x; echo "$x"; cat; }' '! cat /no/such/file 2>&1' 'sh -c "exit 7"; echo $?'; do
	[ $same_cpu = yes ] || continue
	(export top_srcdir && sh -c "$command") >"$tmp/plain"
	(export top_srcdir && preloaded sh -c "$command") >"$tmp/preloaded" || fail "preloaded, this ends with $?: $command"
	cmp "$tmp/plain" "$tmp/preloaded" || fail "preloaded, this prints something else: $command"
done

# ---- a program of ours, fortified, linked with libvpager alone ----

cat >"$tmp/program.c" <<'END'
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vpager.h>

#define LENGTH ((size_t)1 << 20)

static volatile size_t room = 1000;

int main(void)
{
	struct vpager_region_options options = {.size = sizeof options, .length = LENGTH};
	struct vpager_region *region;
	char own[1000], *at, *copy;
	int fd[2];
	pid_t pid;

	if (vpager_region_create(&region, &options) < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) < 0)
		return 1;
	at = vpager_region_base(region);
	memset(own, 'd', sizeof own);
	if (send(fd[0], own, sizeof own, 0) != (ssize_t)sizeof own || vpager_region_evict(region, 0, LENGTH) < 0)
		return 2;
	if (recv(fd[1], at + 4096 - 500, room, 0) != 1000 || memcmp(at + 4096 - 500, own, 1000) != 0)
		return 3;
	copy = malloc(room);
	if (!copy || vpager_region_evict(region, 0, LENGTH) < 0 || write(fd[0], at + 4096 - 500, room) != 1000)
		return 4;
	if (read(fd[1], copy, room) != 1000 || memcmp(copy, own, 1000) != 0)
		return 5;
	if (vpager_region_evict(region, 0, LENGTH) < 0)
		return 6;
	pid = vfork();
	if (pid == 0)
		_exit(write(fd[0], at + 4096 - 500, 1000) == 1000 ? 0 : 1);
	if (vpager_region_evict(region, 0, LENGTH) < 0 || waitpid(pid, (int *)(void *)(at + 8192), 0) != pid)
		return 7;
	if (*(int *)(void *)(at + 8192) != 0)
		return 8;
	return vpager_region_destroy(region, 0) == 0 ? 0 : 9;
}
END
$CC $CFLAGS -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -I"$top_srcdir/include" "$tmp/program.c" $LDFLAGS -Llib/.libs -lvpager -o "$tmp/program" ||
	fail "no program"
! run "$tmp/program" || fail "the program works without the library: it shows nothing"
preloaded "$tmp/program" || fail "the fortified program ended with $?"

# ---- calls before its constructor: by that of a library that comes before ----

cat >"$tmp/early.c" <<'END'
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor(101))) static void early(void)
{
	static const char word[] = "early\n";

	if (write(1, word, strlen(word)) != (ssize_t)strlen(word))
		abort();
}
END
$CC $CFLAGS -shared -fPIC "$tmp/early.c" -o "$tmp/early.so" || fail "no early library"
printf '#include <stdio.h>\nint main(void) { return puts("late") < 0; }\n' >"$tmp/late.c"
$CC $CFLAGS "$tmp/late.c" $LDFLAGS -o "$tmp/late" || fail "no program"
PRELOAD_MORE=$tmp/early.so
[ "$(preloaded "$tmp/late")" = "early
late" ] || fail "with a library that writes before: $(preloaded "$tmp/late")"
