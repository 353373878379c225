#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tour: what it prints, on files of all kinds, on a terminal and elsewhere; that its numbers fit together; and that it
# notices a store that lies, a write that is lost, an error without a record, a snapshot that is none
# and a rollback that does nothing.
. "${0%/*}/common.sh"

[ "$cross" = no ] || [ -n "${EMULATOR:-}" ] || skip "built for another machine"
tour=demo/.libs/tour # demo/tour is libtool's script, or where there is no shared library the program itself
[ -x "$tour" ] || tour=demo/tour
[ -x "$tour" ] || fail "no $tour here (make builds it)"

unset NO_COLOR
TMPDIR=$tmp/scratch
export TMPDIR
mkdir "$TMPDIR"

# tour ARGUMENT...: its exit status in $status, its words in $tmp/out and $tmp/err.
tour() {
	status=0
	run "$tour" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

# ends STATUS WHAT
ends() {
	if [ $status -ne "$1" ]; then
		cat "$tmp/out" "$tmp/err"
		fail "$2: exit status $status, not $1"
	fi
}

# says FILE PATTERN WHAT
says() {
	if ! grep -q -e "$2" "$tmp/$1"; then
		cat "$tmp/$1"
		fail "$3: nothing there like: $2"
	fi
}

all_equal='^Everything was compared and is equal: 6 parts, .*\.$'
escape=$(printf '\033')
return=$(printf '\r')

# No two pages are alike, and the last one is cut short.
file="$tmp/a file"
awk 'BEGIN { for (i = 0; i < 200000; i++) print i, "lines on the way" }' | head -c $((300 * 4096 + 123)) >"$file"
cp "$file" "$tmp/kept"

# ---- plain output, and its numbers ----

tour "$file"
ends 0 "a small file"
[ ! -s "$tmp/err" ] || fail "words on standard error: $(cat "$tmp/err")"
! grep -q -e "$escape" -e "$return" "$tmp/out" || fail "escape sequences or a bar in a file"
[ "$(grep -c '^  ok    ' "$tmp/out")" -eq 6 ] || fail "not six parts that are ok"
says out "^  file   $file\$" "a small file"
tail -n 1 "$tmp/out" | grep -q "$all_equal" || fail "the last line is not the verdict"

page=$(sed -n 's/^  size .* pages* of \([0-9]*\) bytes$/\1/p' "$tmp/out")
pages=$(sed -n 's/^  size .*, \([0-9]*\) pages* of .*/\1/p' "$tmp/out")
limit=$(sed -n 's/^  limit .*: \([0-9]*\) pages, .*/\1/p' "$tmp/out")
[ "$pages" -eq $(((300 * 4096 + 123 + page - 1) / page)) ] || fail "$pages pages of $page bytes are not the file"
[ "$limit" -eq $((pages / 8 > 8 ? pages / 8 : 8)) ] || fail "a limit of $limit pages for $pages"

stacks=yes
! grep -q '^  ok    recursion  *not shown: ' "$tmp/out" || stacks=no # not on this CPU

awk -v pages="$pages" -v page="$page" -v limit="$limit" -v stacks=$stacks '
	function check(good, what) {
		if (good)
			return
		print "in column " i ": " what
		bad = 1
	}
	function get(label) {
		if (!(label in row)) {
			check(0, "no row " label)
			return 0
		}
		return n[label, i]
	}
	# A row of the table: its last six words are numbers, or "-" where a part has no such number.
	NF > 6 && (" " $(NF - 5) " " $(NF - 4) " " $(NF - 3) " " $(NF - 2) " " $(NF - 1) " " $NF) ~ /^( [0-9.]+| -)+$/ {
		label = $1
		for (f = 2; f <= NF - 6; f++)
			label = label " " $f
		row[label] = 1
		for (f = 1; f <= 6; f++)
			n[label, f] = $(NF - 6 + f)
		if (/^    [^ ]/)
			for (f = 1; f <= 6; f++)
				reasons[f] += $(NF - 6 + f)
	}
	END {
		edited = int((pages + 3) / 4)
		for (i = 1; i <= 4; i++) {
			whole = i != 3 # the part about the read error looks at some pages only
			check(get("faults") > 0 && get("faults") == reasons[i], "the reasons do not add up to the faults")
			check(get("fills") > 0 && get("fills") <= get("pages brought in"), "fills")
			check(i == 3 ? get("fills that failed") > 0 : get("fills that failed") == 0, "fills that failed")
			check(!whole || get("pages brought in") >= pages, "not every page was brought in")
			check(get("pages brought in") - get("pages evicted") <= limit, "more stayed than the limit allows")
			check(get("pages brought in") >= get("pages evicted"), "more pages went than came")
			check(i == 4 ? get("pages written back") >= edited : get("pages written back") == 0, "written back")
			check(i == 4 ? get("write to read-only") >= edited : get("write to read-only") == 0, "first writes")
			check(get("most in memory, KiB") > 0, "nothing in memory")
			check(get("most in memory, KiB") <= get("limit, KiB"), "more in memory than the limit")
			check(get("limit, KiB") == limit * page / 1024, "limit")
			check(get("seconds") > 0 || i == 3, "no time at all")
		}
		i = 5
		if (stacks == "yes") {
			held = pages * page < 6 * 1048576 ? pages * page : 6 * 1048576
			check(get("fills") == "-" && get("most in memory, KiB") == "-", "a region where there is none")
			check(get("overflows") == 1, "not the one overflow")
			check(get("faults") > 1 && get("faults") < 32, "a stack grows in few faults")
			check(get("limit, KiB") >= 8192, "limit")
			check(get("high water, KiB") * 1024 > held - page, "less stack than there was in it")
			check(get("high water, KiB") <= get("limit, KiB"), "above the limit")
			check(n["overflows", 1] == "-" && n["high water, KiB", 1] == "-", "a stack where there is none")
		}
		i = 6
		check(get("faults") > 0 && get("faults") == reasons[i], "the reasons do not add up to the faults")
		check(get("snapshot taken in, us") > 0, "taken in no time")
		check(get("pages kept for it") > 0, "nothing was kept although something changed")
		check(get("pages kept for it") <= get("pages rolled back"), "more was kept than changed")
		check(page > 4096 || get("pages rolled back") * page / 1024 < get("most in memory, KiB") / 4, "too much changed")
		check(get("limit, KiB") == "-" && get("overflows") == "-", "what there is not")
		check(n["pages kept for it", 1] == "-", "a snapshot where there is none")
		i = 1
		check(pages < 100 || get("fills") < pages / 4, "nothing was read ahead")
		i = 2
		check(get("fills") > pages / 2, "read ahead although there is no order")
		exit bad
	}' "$tmp/out" >"$tmp/wrong" || {
	cat "$tmp/out"
	fail "the numbers do not fit together: $(cat "$tmp/wrong")"
}

tour --quiet "$file"
ends 0 "--quiet"
[ "$(wc -l <"$tmp/out")" -eq 1 ] || fail "--quiet has more to say than the verdict"
says out "$all_equal" "--quiet"

# ---- files of other kinds ----

head -c 1 "$file" >"$tmp/byte"
tour "$tmp/byte"
ends 0 "a file of one byte"
says out "$all_equal" "a file of one byte"
says out '1 page of' "a file of one byte"

# refused PATTERN ARGUMENT...: one line on standard error, nothing on standard output, status 2.
refused() {
	pattern=$1
	shift
	tour "$@"
	ends 2 "$*"
	[ ! -s "$tmp/out" ] || fail "$*: output in spite of the error"
	says err "$pattern" "$*"
}
refused "^tour: $tmp/missing: No such file or directory\$" "$tmp/missing"
: >"$tmp/empty"
refused "^tour: $tmp/empty: the file is empty" "$tmp/empty"
refused "^tour: $tmp: not a regular file\$" "$tmp"
mkfifo "$tmp/fifo"
refused "^tour: $tmp/fifo: not a regular file\$" "$tmp/fifo"
refused '^tour \[--quiet\] \[FILE\]$' --no-such-option
refused '^tour \[--quiet\] \[FILE\]$' "$file" "$file"
for option in -h --help; do
	tour $option
	ends 0 $option
	says out '^Exit status: ' $option
done

# Without a name: what gcc calls its compiler proper.  If there is none: something large that is there.
mkdir "$tmp/bin"
printf '#!/bin/sh\n[ "$*" = -print-prog-name=cc1 ] && cat "%s"\n' "$tmp/answer" >"$tmp/bin/gcc"
chmod +x "$tmp/bin/gcc"
echo "$file" >"$tmp/answer"
PATH=$tmp/bin:$PATH tour
ends 0 "no file named"
says out "^  file   $file (the C compiler proper)\$" "no file named"
if [ -z "${EMULATOR:-}" ]; then # they are too large for that
	echo cc1 >"$tmp/answer"
	PATH=$tmp/bin:$PATH tour
	ends 0 "no file named, and no compiler"
	says out '^  file   /.* (the largest of some candidates)$' "no file named, and no compiler"
fi

# ---- what does not work ----

TMPDIR=$tmp/missing tour "$file"
ends 1 "no directory for a copy"
says out "^  FAIL  editing  *no temporary file in $tmp/missing: No such file or directory\$" "no directory for a copy"
tail -n 1 "$tmp/out" | grep -q '^Not everything is as it should be: editing: no temp' || fail "the last line: no reason"

if [ -c /dev/full ]; then
	status=0
	run "$tour" "$file" >/dev/full 2>"$tmp/err" || status=$?
	ends 2 "a full disk under standard output"
	says err '^tour: standard output: ' "a full disk under standard output"
fi

# ---- a terminal ----

if command -v script >"$tmp/script"; then
	cat >"$tmp/on_terminal" <<-END
		#!/bin/sh
		LD_LIBRARY_PATH=$PWD/lib/.libs\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec ${EMULATOR:-} $PWD/$tour "\$@"
	END
	chmod +x "$tmp/on_terminal"

	# on_terminal ARGUMENTS: the same, with a terminal.
	on_terminal() {
		status=0
		script -qec "'$tmp/on_terminal' $*" "$tmp/typescript" >"$tmp/err" </dev/null 2>&1 || status=$?
		sed -e 1d -e '/^Script done/d' "$tmp/typescript" >"$tmp/out"
	}
	bar="$return *in order .* [0-9][0-9]* %.*$escape\\[K"
	colour="$escape\\[[0-9;]*m"

	TERM=xterm on_terminal "'$file'"
	ends 0 "on a terminal"
	says out "$bar" "on a terminal"
	says out "$colour" "on a terminal"
	says out "Everything was compared and is equal" "on a terminal"

	NO_COLOR=1 TERM=xterm on_terminal "'$file'"
	ends 0 "NO_COLOR"
	says out "$bar" "NO_COLOR"
	says out "$return$escape\\[K  ok    in order " "a bar is wiped before something else is said"
	! grep "$colour" "$tmp/out" || fail "colours in spite of NO_COLOR"

	TERM=dumb on_terminal "'$file'"
	ends 0 "a dumb terminal"
	! grep -e "$escape" -e '[0-9] %' "$tmp/out" || fail "escape sequences or a bar on a dumb terminal"

	TERM=xterm on_terminal --quiet "'$file'"
	ends 0 "--quiet on a terminal"
	[ "$(grep -c . "$tmp/out")" -eq 1 ] || fail "--quiet on a terminal has more to say than the verdict"
	! grep '[0-9] %' "$tmp/out" || fail "--quiet has a bar"

	TERM=xterm on_terminal "'$tmp/missing'"
	ends 2 "a missing file on a terminal"
else
	echo "$name: not tried on a terminal: no script(1) here"
fi

# ---- nothing is left behind ----

nothing_is_left() {
	cmp "$file" "$tmp/kept" || fail "the file has changed"
	[ -z "$(ls -A "$TMPDIR")" ] || fail "files are left in TMPDIR: $(ls -A "$TMPDIR")"
}

# ---- what is not as it should be is noticed ----

# By the tour's own source, which is the same for every CPU and compiler.
if [ "${VPAGER_TEST_ONCE_MORE:-0}" = 1 ]; then
	nothing_is_left
	exit 0
fi

# sabotage WHAT: builds the tour anew with the C code on standard input in front of each of its files, and runs it.
sabotage() {
	cat >"$tmp/sabotage.h"
	$CC -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $CFLAGS -include "$tmp/sabotage.h" -I"$top_srcdir/include" \
		"$top_srcdir"/demo/tour*.c $LDFLAGS -Llib/.libs -lvpager $LIBS -o "$tmp/sabotaged" ||
		fail "does not build: $1"
	status=0
	run "$tmp/sabotaged" "$file" >"$tmp/out" 2>"$tmp/err" || status=$?
	ends 1 "$1"
	says out '^Not everything is as it should be: ' "$1"
}

sabotage "a store that lies" <<'END'
#include <sys/syscall.h>
#include <unistd.h>
static inline ssize_t lying_pread(int fd, void *buf, size_t len, off_t at)
{
	ssize_t n = pread(fd, buf, len, at);

	if (syscall(SYS_gettid) != getpid() && at <= 5000 && at + n > 5000)
		((unsigned char *)buf)[5000 - at] ^= 1;
	return n;
}
#define pread lying_pread
END
says out '^  FAIL  in order .*byte 5000 is 0x' "a store that lies"
says out '^  FAIL  at random .*byte 5000 is 0x' "a store that lies"

sabotage "a write that is lost" <<'END'
#include <unistd.h>
static inline ssize_t losing_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	off_t lost = 4 * sysconf(_SC_PAGESIZE);
	static int writes;

	if (at <= lost && at + (off_t)len > lost && writes++)
		return (ssize_t)len;
	return pwrite(fd, buf, len, at);
}
#define pwrite losing_pwrite
END
says out "^  FAIL  editing .*byte $((4 * page)) of the edited copy is 0x" "a write that is lost"

sabotage "an error without a record" <<'END'
#include <vpager.h>
#define vpager_try(fn, arg, out) vpager_try(fn, arg, NULL)
END
says out '^  FAIL  read error ' "an error without a record"

if [ "$stacks" = yes ]; then
sabotage "an overflow that nobody hears of" <<'END'
#include <errno.h>
#include <vpager.h>
static inline int silent_call(struct vpager_stack *stack, void (*fn)(void *), void *arg, struct vpager_fault *out)
{
	int err = vpager_stack_call(stack, fn, arg, out);

	return err == -EOVERFLOW ? 0 : err;
}
#define vpager_stack_call silent_call
END
says out '^  FAIL  recursion .*without end' "an overflow that nobody hears of"

sabotage "a frame that changes" <<'END'
#include <unistd.h>
static inline ssize_t changing_pread(int fd, void *buf, size_t len, off_t at)
{
	static int reads; /* of the first piece: by one recursion, by the loop, ... */
	ssize_t n = pread(fd, buf, len, at);

	if (len == 1024 && at == 0 && reads++ == 0)
		((unsigned char *)buf)[1000] ^= 1;
	return n;
}
#define pread changing_pread
END
says out '^  FAIL  recursion  *the recursion finds 0x.* and a loop 0x' "a frame that changes"
fi

sabotage "a snapshot that shows what comes after it" <<'END'
#include <string.h>
#include <vpager.h>
static struct vpager_region *taken;
static inline int noting_take(struct vpager_snapshot **out, struct vpager_region *region,
                              const struct vpager_snapshot_options *options)
{
	taken = region;
	return vpager_snapshot_take(out, region, options);
}
static inline int late_read(struct vpager_snapshot *snapshot, size_t off, void *buf, size_t len)
{
	(void)snapshot;
	memcpy(buf, (char *)vpager_region_base(taken) + off, len);
	return 0;
}
#define vpager_snapshot_take noting_take
#define vpager_snapshot_read late_read
END
says out '^  FAIL  snapshot  *the snapshot has .* changes of a thread' "a snapshot that shows what comes after it"

sabotage "a snapshot that lacks a word" <<'END'
#include <string.h>
#include <vpager.h>
static inline int losing_read(struct vpager_snapshot *snapshot, size_t off, void *buf, size_t len)
{
	int err = vpager_snapshot_read(snapshot, off, buf, len);
	char *word = memmem(buf, len, "lines", sizeof "lines");

	memset(word - 8, 0, 64); /* hash, count and text */
	return err;
}
#define vpager_snapshot_read losing_read
END
says out '^  FAIL  snapshot  *the snapshot lacks the word "lines"' "a snapshot that lacks a word"

sabotage "a count that a thread loses" <<'END'
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>
static _Atomic(unsigned int) additions;
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(at, n, order) \
	(syscall(SYS_gettid) != getpid() && ++additions == 500 ? 0 : atomic_fetch_add(at, n))
END
says out '^  FAIL  snapshot  *the .* counts ' "a count that a thread loses"

sabotage "a view of something else" <<'END'
#include <vpager.h>
static inline int another_store(struct vpager_store **out, struct vpager_snapshot *snapshot)
{
	static const char zeros[64 << 20];

	(void)snapshot;
	return vpager_store_memory(out, zeros, sizeof zeros);
}
#define vpager_store_snapshot another_store
END
says out '^  FAIL  snapshot  *byte [0-9]* of the view is 0x' "a view of something else"

sabotage "changes without the first of them" <<'END'
#include <vpager.h>
static int (*whole)(void *ctx, size_t off, size_t len);
static int calls;
static inline int but_the_first(void *ctx, size_t off, size_t len)
{
	return calls++ ? whole(ctx, off, len) : 0;
}
static inline int fewer_changes(struct vpager_snapshot *older, struct vpager_snapshot *newer,
                                int (*each)(void *ctx, size_t off, size_t len), void *ctx)
{
	whole = each;
	return vpager_snapshot_changes(older, newer, but_the_first, ctx);
}
#define vpager_snapshot_changes fewer_changes
END
says out '^  FAIL  snapshot  *a page has changed .* not among the changes' "changes without the first of them"

sabotage "a rollback that does nothing" <<'END'
#include <vpager.h>
#define vpager_snapshot_restore(snapshot) ((void)(snapshot), 0)
END
says out '^  FAIL  snapshot  *byte [0-9]* of the restored table is 0x' "a rollback that does nothing"

nothing_is_left
