#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A fix that can be left out costs the library nothing: every file of the engine that asks for one
# (gw_fix()) has the instructions that it has with the question struck out of the source.
set -u
export LC_ALL=C
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
n=0

# instructions SOURCE FLAGS...: of the whole file, without addresses of symbols
instructions() {
	local source=$1

	shift
	"${CC:-cc}" -std=gnu17 -O3 -Iinclude -I. -Iengine/sync/thread "$@" -c -x c "$source" -o "$out/o" &&
		objdump -d --no-show-raw-insn "$out/o" | sed 1,3d
}

mapfile -t files < <(grep -lE '\bgw_fix\(' -r engine --include='*.c' | sort)
for file in "${files[@]}"; do
	n=$((n + 1))
	sed -E 's/!?gw_fix\([^()]*\)/(&)/; s/\(!gw_fix\([^()]*\)\)/0/g; s/\(gw_fix\([^()]*\)\)/1/g' \
		"$file" >"$out/struck.c"
	if grep -qE '\bgw_fix\(' "$out/struck.c"; then
		echo "not ok $n - $file: a question was not struck out"
	elif ! instructions "$file" >"$out/with" || ! instructions "$out/struck.c" >"$out/without"; then
		echo "not ok $n - $file does not compile"
	elif [ ! -s "$out/with" ] || ! cmp -s "$out/with" "$out/without"; then
		echo "not ok $n - $file: other instructions"
	else
		echo "ok $n - $file: the same instructions"
	fi
done
echo "1..$n"
[ "$n" -gt 0 ]
