#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sources.sh [TREE] - the C files of the tree, one per line, for the formatter and the linter.
set -eu
cd "${1:-$(dirname "$0")/..}"

for room in include engine machine explore observe cli examples tests bench fuzz; do
	[ ! -d $room ] || find $room -name '*.[ch]'
done | LC_ALL=C sort
