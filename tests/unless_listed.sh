#!/bin/sh
# SPDX-License-Identifier: MIT
#
# unless_listed.sh LIST WHERE COMMAND... TEST: runs COMMAND with the test as its last word, unless LIST has "WHERE TEST
# reason": then it is skipped for that reason.  "WHERE TEST:PART reason" leaves out a part of it, by VPAGER_TEST_LEAVE_OUT.
# WHERE is a CPU, or qemu/CPU/qemu-VERSION where it is emulated; LIST has one or more of these words, as tests/emulated.skip
# tells.
set -eu

list=$1
where=$2
shift 2
for last; do :; done
test=${last##*/}

parts=
while read -r listed what reason; do
	case /$where/ in
	*/"$listed"/*) ;;
	*) continue ;;
	esac
	case $what in
	"$test")
		echo "not run on $where: $reason"
		exit 77
		;;
	"$test":*)
		echo "left out on $where: ${what#*:}: $reason"
		parts="$parts ${what#*:}"
		;;
	esac
done <"$list"
VPAGER_TEST_LEAVE_OUT=$parts
export VPAGER_TEST_LEAVE_OUT
exec "$@"
