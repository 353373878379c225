#!/bin/sh
# SPDX-License-Identifier: MIT
#
# unless_listed.sh LIST WHERE COMMAND... TEST: runs COMMAND with the test as its last word, unless LIST has "WHERE TEST
# reason": then it is skipped for that reason.  "WHERE TEST:PART reason" leaves out a part of it, by VPAGER_TEST_LEAVE_OUT.
set -eu

list=$1
where=$2
shift 2
for last; do :; done
test=${last##*/}

parts=
while read -r cpu what reason; do
	[ "$cpu" = "$where" ] || continue
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
