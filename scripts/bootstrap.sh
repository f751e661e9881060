#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bootstrap.sh build|all - see that the packages for building (or for checking too) are there.
#
# Looks for the things themselves, not for package names, so it is quick and content with any
# distribution that has them. What is missing is installed with apt-get when root; otherwise the
# one command to run is printed and the status is 1.
set -u

what=${1:-all}
missing=()

have_header() {
	echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1
}

have_fuzzer() {
	local lib

	for lib in "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.fuzzer*.a; do
		[ -e "$lib" ] && return 0
	done
	return 1
}

have_meson() {
	local version

	version=$(meson --version 2>/dev/null) &&
		[ "$(printf '1.0\n%s\n' "$version" | sort -V | head -n 1)" = 1.0 ]
}

# need PACKAGE TEST...: remember PACKAGE if the test fails
need() {
	local package=$1

	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

need meson have_meson
need ninja-build command -v ninja
need gcc command -v gcc
need libc6-dev have_header stdio.h
need pkg-config command -v pkg-config
need liburcu-dev pkg-config --exists liburcu
need libarchive-dev pkg-config --exists libarchive
need libzstd-dev pkg-config --exists libzstd
need libjansson-dev pkg-config --exists jansson
need libtraceevent-dev pkg-config --exists libtraceevent
need libtracefs-dev pkg-config --exists libtracefs
need systemtap-sdt-dev have_header sys/sdt.h
need scdoc command -v scdoc
if [ "$what" = all ]; then
	need clang command -v clang
	need libclang-rt-dev have_fuzzer
	need llvm command -v llvm-symbolizer
	need libcmocka-dev pkg-config --exists cmocka
	need clang-format command -v clang-format
	need cppcheck command -v cppcheck
	need zstd command -v zstd
fi

[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null 2>&1; then
	echo "godwit needs what Debian calls: ${missing[*]}" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "godwit needs a few packages. Run this, then try again:" >&2
	echo "  sudo sh -c 'apt-get update && $install'" >&2
	exit 1
fi

log=build/logs/bootstrap.log
mkdir -p build/logs
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && $install; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "Could not install the packages above; the whole log is in $log" >&2
	exit 1
fi
