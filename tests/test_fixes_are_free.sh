#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A fix that can be left out costs the library nothing: every file of the engine that asks for one
# (gw_fix()), itself or in an inline function of phys.h that it uses, has the instructions that it
# has with the question struck out of the source.
set -u
export LC_ALL=C
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
n=0

# instructions SOURCE FLAGS...: of the whole file, without addresses of symbols
instructions() {
	local source=$1

	shift
	"${CC:-cc}" -std=gnu17 -O3 -Iinclude "$@" -I. -Iengine/sync/thread -c -x c "$source" -o "$out/o" &&
		objdump -d --no-show-raw-insn "$out/o" | sed 1,3d
}

# strike FILE: without the question, but for where it is defined
strike() {
	sed -E '/^gw_fix\(/!{ s/!?gw_fix\([^()]*\)/(&)/g; s/\(!gw_fix\([^()]*\)\)/(0)/g; s/\(gw_fix\([^()]*\)\)/(1)/g; }' "$1"
}

asks='^.+\bgw_fix\(' # not where it is defined
mapfile -t headers < <(grep -lE "$asks" -r engine --include='*.h')
for header in "${headers[@]}"; do
	mkdir -p "$out/$(dirname "$header")"
	strike "$header" >"$out/$header"
done
mapfile -t files < <(grep -lE '\bgw_(fix|count)\(' -r engine --include='*.c' | sort)
for file in "${files[@]}"; do
	n=$((n + 1))
	strike "$file" >"$out/struck.c"
	if grep -qE "$asks" "$out/struck.c" "${headers[@]/#/$out/}"; then
		echo "not ok $n - $file: a question was not struck out"
	elif ! instructions "$file" >"$out/with" ||
		! instructions "$out/struck.c" "-I$out" >"$out/without"; then
		echo "not ok $n - $file does not compile"
	elif [ ! -s "$out/with" ] || ! cmp -s "$out/with" "$out/without"; then
		echo "not ok $n - $file: other instructions"
	else
		echo "ok $n - $file: the same instructions"
	fi
done
echo "1..$n"
[ "$n" -gt 0 ]
