#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tests of regions once more, as on a kernel with pages of 64 KiB: see assumed_pages.c.  VPAGER_TEST_PAGE_SIZES and
# VPAGER_TEST_PAGED name other sizes and tests; `all' is all that are about regions.  Over each engine that is here.
. "${0%/*}/common.sh"

sizes=${VPAGER_TEST_PAGE_SIZES:-65536}
tests=${VPAGER_TEST_PAGED:-region dirty pin protect}
[ "$tests" != all ] || tests="dirty errors failing model pin pin_address protect readahead region store"

case $CHECK_CFLAGS in
*tests/lite*) CHECK_CFLAGS=-I$top_srcdir/tests/lite ;; # make's words are no use here
esac
wraps=
for function in sysconf mmap mmap64 munmap mprotect madvise sys_call; do
	wraps="$wraps -Wl,--wrap=$function"
done

# What stands for a kernel with larger pages would hear of musl's own memory, which knows none.
cat >"$tmp/free.c" <<'END'
#include <stdlib.h>

static int called;
int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);

int __wrap_munmap(void *at, size_t len)
{
	called = 1;
	return __real_munmap(at, len);
}

int main(void)
{
	void *volatile p = malloc((size_t)4 << 20);

	free(p);
	return called;
}
END
$CC $CFLAGS "$tmp/free.c" $LDFLAGS -Wl,--wrap=munmap $LIBS -o "$tmp/free" || fail "what is called by free cannot be seen"
run "$tmp/free" || skip "free of this C library calls the munmap that stands for one of larger pages"

# build NAME: tests/test_NAME.c with larger pages, from the library's own objects.
build() {
	$CC -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I"$top_srcdir/include" $CHECK_CFLAGS $CFLAGS \
		"$top_srcdir/tests/test_$1.c" "$top_srcdir/tests/assumed_pages.c" lib/.libs/libvpagerall.a \
		$LDFLAGS $wraps $CHECK_LIBS $LIBUNWIND_LIBS $LIBS -o "$tmp/$1" || fail "test_$1 does not build with larger pages"
}

engines=mprotect
if run tests/test_port | grep -q '^fact engine uffd works'; then
	engines="$engines uffd"
fi

for test in $tests; do
	build "$test"
	for size in $sizes; do
		for engine in $engines; do
			VPAGER_TEST_PAGE_BYTES=$size
			VPAGER_ENGINE=$engine
			export VPAGER_TEST_PAGE_BYTES VPAGER_ENGINE
			if ! run "$tmp/$test" >"$tmp/log" 2>&1; then
				cat "$tmp/log"
				fail "with pages of $size bytes, test_$test fails over $engine"
			fi
			echo "pages of $size bytes, $engine: test_$test: $(grep '^[0-9]*%: ' "$tmp/log")"
		done
	done
done
