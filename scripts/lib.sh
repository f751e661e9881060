# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# lib.sh - sourced by check.sh and fuzz.sh: build directories under build/check/.

# configure DIR COMPILER OPTIONS...: a Meson build directory with exactly these options
configure() {
	local dir=$1 compiler=$2

	shift 2
	if [ -f "$dir/build.ninja" ] &&
		[ "$(cat "$dir/options" 2>/dev/null)" = "$PWD: $compiler $*" ]; then
		return 0
	fi
	rm -rf "$dir"
	CC=$compiler meson setup "$dir" "$@" || return
	echo "$PWD: $compiler $*" >"$dir/options"
}

configure_fuzz() {
	configure build/check/fuzz clang -Dfuzz=true -Dchecks=true -Dbuildtype=debugoptimized \
		-Db_sanitize=address,undefined -Db_lundef=false -Dman=disabled
}

fuzz_targets() {
	find build/check/fuzz/fuzz -maxdepth 1 -name 'fuzz_*' -type f -executable 2>/dev/null |
		LC_ALL=C sort
}

# run_fuzzer TARGET SECONDS: new inputs go to build/fuzz/, the tree's corpus is only read
run_fuzzer() {
	local name out seeds=()

	name=$(basename "$1")
	out=build/fuzz/$name
	mkdir -p "$out/corpus" "$out/findings"
	[ -d "fuzz/corpus/$name" ] && seeds=("fuzz/corpus/$name")
	"$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$out/findings/" "$out/corpus" "${seeds[@]}"
}
