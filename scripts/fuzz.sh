#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# fuzz.sh SECONDS - run every fuzzer for its share of SECONDS; status 1 if one found something.
set -u
cd "$(dirname "$0")/.."
. scripts/lib.sh

mkdir -p build/logs
if ! { configure_fuzz && ninja -C build/check/fuzz; } >build/logs/fuzz-build.log 2>&1; then
	tail -n 20 build/logs/fuzz-build.log >&2
	exit 1
fi

mapfile -t targets < <(fuzz_targets)
[ ${#targets[@]} -gt 0 ] || exit 0
share=$(($1 / ${#targets[@]} + 1))
found=0
for target in "${targets[@]}"; do
	name=$(basename "$target")
	echo "$name: $share s"
	if ! run_fuzzer "$target" "$share" 2>"build/logs/$name.log"; then
		tail -n 20 "build/logs/$name.log" >&2
		echo "$name found something: build/fuzz/$name/findings/, build/logs/$name.log" >&2
		found=1
	fi
done
exit $found
