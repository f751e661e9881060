#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# build.sh - the release build in build/: build/godwit and the library.
set -eu
cd "$(dirname "$0")/.."

# A build directory names its source tree by path: that of a moved or copied tree is of no use.
if [ -f build/source ] && [ "$(cat build/source)" != "$PWD" ]; then
	rm -rf build
fi
if [ ! -f build/build.ninja ]; then
	mkdir -p build/logs
	if ! meson setup build >build/logs/setup.log 2>&1; then
		tail -n 20 build/logs/setup.log >&2
		exit 1
	fi
	echo "$PWD" >build/source
fi
ninja -C build --quiet | sed '/no work to do/d'
exit "${PIPESTATUS[0]}"
