#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fuzz.sh SECONDS: half of the time any bytes through the decoders of signal frames, under the sanitizers and with libFuzzer
# where clang has it; half of it random operations on regions against the model of tests/test_model.c, with a new seed for each
# run.  Not a part of make check: `make fuzz [FUZZ_SECONDS=N]'.  Runs in the top of the build tree.
. "${0%/*}/common.sh"

seconds=${1:-120}
half=$((seconds / 2))

# ---- signal frames ----

build() {
	"$@" -g -O1 -std=gnu11 -D_GNU_SOURCE -I"$top_srcdir/include" "$top_srcdir/tests/fuzz_frames.c" -o "$tmp/frames" 2>"$tmp/err"
}
if build clang -DLIBFUZZER -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all; then
	run "$tmp/frames" -max_total_time=$half -max_len=4096 -print_final_stats=1 >"$tmp/log" 2>&1 || {
		tail -n 40 "$tmp/log"
		fail "a decoder (the input: $(ls crash-* 2>/dev/null))"
	}
	grep -E 'number_of_executed_units|^Done' "$tmp/log"
else
	build $CC -fsanitize=address,undefined || build $CC || fail "fuzz_frames.c does not build: $(cat "$tmp/err")"
	run "$tmp/frames" $half || fail "a decoder"
fi

# ---- regions ----

end=$(($(date +%s) + half))
runs=0
while [ "$(date +%s)" -lt $end ]; do
	VPAGER_TEST_SEED=$(od -An -N7 -tu8 /dev/urandom | tr -d ' ')
	export VPAGER_TEST_SEED
	run tests/test_model >"$tmp/log" 2>&1 || {
		tail -n 40 "$tmp/log"
		fail "VPAGER_TEST_SEED=$VPAGER_TEST_SEED tests/test_model"
	}
	runs=$((runs + 1))
done
echo "test_model: $runs seeds"
