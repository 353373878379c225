#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The benchmark program: lists its cases, refuses nonsense, and gives a right line for every contender, or a word why there
# is none.  Small and one round only: whether the numbers are good is not asked here.
. "${0%/*}/common.sh"

[ "$cross" != yes ] || skip "a benchmark under an emulator"
bench=bench/vpager-bench
[ -x "$bench" ] || fail "no $bench here (make builds it)"

# Every case is listed, by its name first.
"$bench" --list >"$tmp/list" || fail "--list ended with $?"
for case in fault-random fault-seq fault-2t; do
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

# Without python3: one object of the right shape a line.
check_json_by_grep() {
	number='[0-9][0-9]*\.[0-9]'
	line='^{"case": "[a-z0-9/A-Z-]*", "contender": "[a-z0-9-]*", "value": '$number', "unit": "ns/page", "runs": 1, "min": '
	line=$line$number', "max": '$number'}$'
	[ -s "$1" ] || fail "no output"
	! grep -v -e "$line" "$1" || fail "these lines are not what they should be"
}

check_json_by_python() {
	python3 - "$1" <<'END' || fail "the JSON lines are not what they should be"
import json, sys

types = {"case": str, "contender": str, "value": float, "unit": str, "runs": int, "min": float, "max": float}
lines = open(sys.argv[1]).read().splitlines()
assert lines, "no output"
for line in lines:
    it = json.loads(line)
    assert {key: type(value) for key, value in it.items()} == types, line
    assert it["runs"] == 1 and it["unit"] == "ns/page", line
    assert 0 < it["min"] == it["value"] == it["max"], line  # there was one round
assert len({(it["case"], it["contender"]) for it in map(json.loads, lines)}) == len(lines), "a line is there twice"
END
}

# Each contender has a line.  libsigsegv may be missing from the build, if that is said.
for case in fault-random fault-2t; do
	"$bench" --json --runs 1 --mib 8 $case >"$tmp/json" 2>"$tmp/err" || {
		status=$?
		cat "$tmp/err"
		fail "$case: exit status $status"
	}
	check_json_by_grep "$tmp/json"
	! command -v python3 >"$tmp/python" || check_json_by_python "$tmp/json"
	for contender in vpager vpager-mprotect kernel-file kernel-anon; do
		grep -q "\"case\": \"$case/8MiB\", \"contender\": \"$contender\"" "$tmp/json" || fail "$case: no line for $contender"
	done
	grep -q '"libsigsegv"' "$tmp/json" || grep -q 'libsigsegv skipped: ' "$tmp/err" ||
		fail "$case: neither a line for libsigsegv nor a word why not"
done

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
