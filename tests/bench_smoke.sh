#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The benchmark program: lists its cases, refuses nonsense, and gives a right line for every contender, or a word why there
# is none.  Small and one round only: whether the numbers are good is not asked here.
. "${0%/*}/common.sh"

[ "$cross" != yes ] || skip "a benchmark under an emulator"
[ "$bench" = yes ] || skip "no benchmark without makecontext"
bench=bench/vpager-bench
[ -x "$bench" ] || fail "no $bench here (make builds it)"

# Every case is listed, by its name first.
"$bench" --list >"$tmp/list" || fail "--list ended with $?"
for case in fault-random fault-seq fault-2t prefault-random pages-64k scan-file stack-create stack-get stack-live stack-live-8m \
	stack-grow stack-overflow stack-overflow-many syscall-overhead; do
	grep -q "^$case " "$tmp/list" || fail "--list does not have $case"
done

# What makes no sense is refused by name, with exit status 2, before anything is measured.
refused() {
	word=$1
	status=0
	shift
	"$bench" --mib 1 --runs 1 "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	[ $status -eq 2 ] || fail "$*: exit status $status, not 2"
	[ ! -s "$tmp/out" ] || fail "$*: output in spite of the error"
	grep -q -e "$word" "$tmp/err" || fail "$*: the message does not name $word"
}
refused no-such-case no-such-case
refused no-such-case fault-seq no-such-case
refused nobody --only nobody fault-seq
refused 7x --runs 7x fault-seq
refused no-such-option --no-such-option

# Without python3: one object of the right shape a line, in one of the units that the case has.
check_json_by_grep() {
	number='[0-9][0-9]*\.[0-9]'
	line='^{"case": "[a-z0-9/A-Z-]*", "contender": "[a-z0-9-]*", "value": '$number', "unit": "\('$2'\)", "runs": 1, "min": '
	line=$line$number', "max": '$number'}$'
	[ -s "$1" ] || fail "no output"
	! grep -v -e "$line" "$1" || fail "these lines are not what they should be"
}

check_json_by_python() {
	python3 - "$1" "$2" <<'END' || fail "the JSON lines are not what they should be"
import json, sys

types = {"case": str, "contender": str, "value": float, "unit": str, "runs": int, "min": float, "max": float}
lines = open(sys.argv[1]).read().splitlines()
assert lines, "no output"
for line in lines:
    it = json.loads(line)
    assert {key: type(value) for key, value in it.items()} == types, line
    assert it["runs"] == 1 and it["unit"] in sys.argv[2].split("\\|"), line
    assert it["min"] == it["value"] == it["max"], line  # there was one round
    assert it["value"] > 0 or it["unit"] == "faults", line
assert len({(it["case"], it["contender"], it["unit"]) for it in map(json.loads, lines)}) == len(lines), "a line is there twice"
END
}

# measure CASE MIB UNITS CONTENDER...: each contender has a line in each unit; UNITS: as a basic regular expression.
measure() {
	case=$1
	mib=$2
	units=$3
	shift 3
	"$bench" --json --runs 1 --mib "$mib" "$case" >"$tmp/json" 2>"$tmp/err" || {
		status=$?
		cat "$tmp/err"
		fail "$case: exit status $status"
	}
	check_json_by_grep "$tmp/json" "$units"
	! command -v python3 >"$tmp/python" || check_json_by_python "$tmp/json" "$units"
	n_units=$(echo "$units" | tr '|' '\n' | wc -l)
	for contender; do
		[ "$(grep -c "\"case\": \"$case\(/${mib}MiB\)*\", \"contender\": \"$contender\"" "$tmp/json")" -eq "$n_units" ] ||
			fail "$case: not a line in each unit for $contender"
	done
}

# perhaps LIBRARY CONTENDER: it may be missing from the build, if that is said.
perhaps() {
	grep -q "\"$2\"" "$tmp/json" || grep -q "$2 skipped: .*without $1" "$tmp/err" ||
		fail "$case: neither a line for $2 nor a word why not"
}

# An engine that is not here is named as that.
engine_or_word() {
	grep -q '"vpager-uffd"' "$tmp/json" || grep -q 'vpager-uffd skipped: ' "$tmp/err" ||
		fail "$case: neither a line for vpager-uffd nor a word why not"
}

for case in fault-random fault-2t; do
	measure $case 8 ns/page vpager vpager-mprotect kernel-file kernel-anon
	perhaps libsigsegv libsigsegv
done
for case in stack-create stack-get; do
	measure $case 1 ns/stack vpager ucontext mmap-mprotect
	perhaps Boost.Context boost
	perhaps Boost.Context boost-protected
done
for case in stack-live stack-live-8m; do
	# 32 bits have no room for many stacks of 8 MiB each.
	[ $case = stack-live ] || ! $READELF -h "$core" | grep -q 'Class: *ELF32' || continue
	measure $case 8 'bytes/stack\|mappings' vpager vpager-lazy vpager-hibernate ucontext mmap-mprotect
	perhaps Boost.Context boost
done
measure stack-grow 2 'ns/page\|faults' vpager vpager-lazy kernel-lazy mmap-mprotect
perhaps Boost.Context boost
grep -q '"kernel-lazy", "value": 0.0, "unit": "faults"' "$tmp/json" || fail "the kernel needs signals to grow a stack"
sed -n 's/.*"vpager", "value": \([0-9]*\)\.[0-9], "unit": "faults".*/\1/p' "$tmp/json" >"$tmp/faults"
[ "$(cat "$tmp/faults")" -ge 1 ] || fail "a stack grew without a fault"
[ "$(cat "$tmp/faults")" -le 14 ] || fail "a stack grew by $(cat "$tmp/faults") faults"
for case in stack-overflow stack-overflow-many; do
	measure $case 1 ns/overflow vpager mmap-mprotect
	perhaps libsigsegv libsigsegv
done

measure prefault-random 8 ns/page vpager vpager-mprotect kernel-file
engine_or_word
measure pages-64k 8 ns/page vpager vpager-mprotect vpager-file kernel-pread
engine_or_word
measure scan-file 8 ns/page vpager vpager-mprotect kernel-mmap kernel-read
engine_or_word

"$bench" --json --runs 1 syscall-overhead >"$tmp/json" 2>"$tmp/err" || fail "syscall-overhead: exit status $?: $(cat "$tmp/err")"
grep -q '"libc", .*"ns/call"' "$tmp/json" || fail "syscall-overhead: no line for libc"
grep -q '"foreign-buffer"' "$tmp/json" || grep -q 'foreign-buffer skipped: no lib' "$tmp/err" ||
	fail "syscall-overhead: neither a line for foreign-buffer nor a word why not"

# The table: the first peer's ratio to itself is 1.
"$bench" --runs 1 --mib 1 fault-seq >"$tmp/table" 2>"$tmp/err" || fail "the table: exit status $?"
grep -q '^  contender .* / kernel-file$' "$tmp/table" || fail "the table has no heading"
grep -q '^  kernel-file .* 1\.00$' "$tmp/table" || fail "the table does not compare with its first peer"
grep -q '^  vpager ' "$tmp/table" || fail "the table lacks vpager"

# Every case of snapshots gives a line for what a user gets, and none of them finds wrong bytes.
for case in $(sed -n 's/^\(snapshot-[^ ]*\) .*/\1/p' "$tmp/list"); do
	"$bench" --json --runs 1 --mib 8 "$case" >"$tmp/json" 2>"$tmp/err" || {
		status=$?
		cat "$tmp/err"
		fail "$case: exit status $status"
	}
	grep -q "\"case\": \"$case/8MiB\", \"contender\": \"vpager\"" "$tmp/json" || fail "$case: no line for vpager"
done
grep -q '^snapshot-take/1GiB ' "$tmp/list" || fail "--list does not have the snapshots"
