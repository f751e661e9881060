#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sources.sh [TREE] - the C files of the tree, one per line, for the formatter and the linter.
set -eu
cd "${1:-$(dirname "$0")/..}"

find . \( -path ./build -o -path './.*' \) -prune -o -name '*.[ch]' -printf '%P\n' | LC_ALL=C sort
