#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test_installed.sh BUILD PREFIX CC - what is installed is enough: a scenario of one's own builds with
# pkg-config and the installed headers, and the installed command finds its explorer. TAP on stdout.
set -u
build=$1 prefix=$2 cc=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

number=0 failed=0
# result WHAT: ok or not, by the last status
result() {
	local status=$?

	number=$((number + 1))
	if [ $status -eq 0 ]; then
		echo "ok $number - $1"
		return
	fi
	failed=1
	echo "not ok $number - $1"
	sed 's/^/# /' "$dir/log"
}

install() {
	DESTDIR=$dir meson install -C "$build" --no-rebuild
}

# The libraries' directory is named by the host: lib, lib64, lib/x86_64-linux-gnu.
compile() {
	local pc flags

	pc=$(find "$dir" -name godwit-explore.pc) || return
	flags=$(PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dir \
		pkg-config --cflags --libs --static godwit-explore) || return
	# shellcheck disable=SC2086 # they are words
	(cd "$dir" && $cc -std=gnu11 -Wall -Wextra -Werror "$OLDPWD/examples/own_scenario.c" $flags -o own)
}

echo 1..4
install >"$dir/log" 2>&1
result 'it installs'
compile >"$dir/log" 2>&1
result 'a scenario of one'\''s own builds with what is installed'
"$dir/own" >"$dir/log" 2>&1 && grep -q 'exhausted' "$dir/log"
result 'it runs, and says how far it looked'
"$dir$prefix/bin/godwit" check put-and-wait >"$dir/log" 2>&1 && grep -q 'exhausted' "$dir/log"
result 'the installed command finds its explorer'
exit $failed
