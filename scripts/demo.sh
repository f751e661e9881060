#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# demo.sh [ARGS...] - `godwit plan` on this host if its memory map may be read, else on a snapshot.
set -u
cd "$(dirname "$0")/.."

snapshot=data/anon-settled.before.tar.zst

# plan ARGS...: run it; "the answer is no" (status 1) is a plan like any other
plan() {
	build/godwit plan "$@"
	local status=$?

	[ $status -le 1 ] && return 0
	return $status
}

if [ "$(id -u)" -eq 0 ] && head -c 8 /proc/kpageflags >/dev/null 2>&1; then
	echo "Planning for this host, live: build/godwit plan${*:+ $*}"
	echo
	plan "$@" && exit 0
	echo
	echo "This host's memory map could not be used."
else
	echo "This host's memory map may not be read here (that needs root)."
fi
echo "Planning for the bundled snapshot: build/godwit plan --snapshot $snapshot${*:+ $*}"
echo
plan --snapshot "$snapshot" "$@"
