#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check.sh - everything a change must pass. The last line is "N passed, N failed, N skipped":
# the tests are counted from what they print (tap_count.py), and every other step counts as one.
# A step that fails does not keep the rest from running. Full logs are in build/logs/.
set -u
cd "$(dirname "$0")/.."
. scripts/lib.sh
export LC_ALL=C.UTF-8

FUZZ_SMOKE_SECONDS=60

logs=build/logs
mkdir -p $logs build/check
passed=0 failed=0 skipped=0

# report STATUS NAME SECONDS [MORE]
report() {
	printf '%-4s  %-24s %4d s  %s\n' "$1" "$2" "$3" "${4-}"
}

# complain LOG: the lines of a log that tell why, else its end
complain() {
	local telling='(error|warning|FAILED|ERROR|SUMMARY): '

	if grep -qE "$telling" "$1"; then
		grep -E "$telling" "$1" | head -n 20
	else
		tail -n 20 "$1"
	fi | sed 's/^/      /'
	echo "      all of it: $1"
}

# step NAME COMMAND...: one thing that passes or fails
step() {
	local name=$1 start=$SECONDS

	shift
	if "$@" >"$logs/$name.log" 2>&1; then
		passed=$((passed + 1))
		report ok "$name" $((SECONDS - start))
		return 0
	fi
	failed=$((failed + 1))
	report FAIL "$name" $((SECONDS - start))
	complain "$logs/$name.log"
	return 1
}

# suite NAME DIR OPTIONS...: run the tests of a build directory and count them
suite() {
	local name=$1 dir=$2 start=$SECONDS json counts ok bad skip status=ok

	shift 2
	json=$dir/meson-logs/$name.json
	rm -f "$json"
	"${unrandomised[@]}" meson test -C "$dir" --no-rebuild --logbase "$name" "$@" \
		>"$logs/$name.log" 2>&1
	if ! counts=$(scripts/tap_count.py "$json" 2>"$logs/$name.failures"); then
		counts='0 1 0'
		echo 'the tests could not be run' >"$logs/$name.failures"
	fi
	cp "$dir/meson-logs/$name.txt" "$logs/$name.log" 2>/dev/null
	read -r ok bad skip <<<"$counts"
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	[ "$bad" -eq 0 ] || status=FAIL
	report $status "$name" $((SECONDS - start)) "$ok passed, $bad failed, $skip skipped"
	if [ "$bad" -gt 0 ]; then
		sed 's/^/      /' "$logs/$name.failures" | head -n 20
		echo "      all of it: $logs/$name.log"
	fi
}

build() {
	local dir=$1

	configure "$@" && ninja -C "$dir"
}

build_fuzzers() {
	configure_fuzz && ninja -C build/check/fuzz
}

# flags DIR: what the compiler was really given, without the file's own arguments
flags() {
	[ -f "$1/compile_commands.json" ] || return
	sed -nE 's/^ *"command": "(.*)",?$/\1/p' "$1/compile_commands.json" |
		sed -E 's/ -(I|o|c|MF|MQ) *[^ ]+| -MD| -f[a-z-]*color[a-z-]*(=[a-z]+)?//g' | sort | uniq -c |
		sort -rn |
		sed -nE '1s/^ *[0-9]+ /  /p'
}

check_format() {
	scripts/sources.sh | xargs -r clang-format --dry-run -Werror
}

# Not the tests: cppcheck does not know cmocka's and jansson's macros. Nor does its description
# of mmap() know of the file descriptor -1 (invalidFunctionArg). Functions that a macro makes are
# one function to its whole-program check, which then takes one's 0 for another's pointer.
check_static() {
	mkdir -p build/check/cppcheck
	cppcheck --project=build/check/gcc/compile_commands.json --quiet --error-exitcode=1 \
		--enable=warning,performance,portability --inline-suppr -j "$(nproc)" \
		--cppcheck-build-dir=build/check/cppcheck \
		--suppress=missingIncludeSystem --suppress=invalidFunctionArg \
		--suppress='ctunullpointer:*engine/sync/explore/*' \
		--suppress='*:tests/*' --suppress='*:/usr/*'
}

# Each public header stands alone, in C11 as well, without the build's include path.
check_headers() {
	local header status=0

	for header in include/godwit/*.h; do
		gcc -std=gnu11 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c "$header" || status=1
	done
	return $status
}

# fuzz_smoke: the fuzzers side by side, one per CPU
fuzz_smoke() {
	local targets target share jobs

	mapfile -t targets < <(fuzz_targets)
	[ ${#targets[@]} -gt 0 ] || return
	jobs=$(nproc)
	[ "$jobs" -le ${#targets[@]} ] || jobs=${#targets[@]}
	share=$((FUZZ_SMOKE_SECONDS * jobs / ${#targets[@]}))
	echo "      fuzzing with ${#targets[@]} targets, $share s each, $jobs at a time"
	for target in "${targets[@]}"; do
		while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do
			wait -n
		done
		fuzz_one "$target" "$share" &
	done
	wait
	for target in "${targets[@]}"; do
		step "$(basename "$target")" fuzz_result "$logs/$(basename "$target").run"
	done
}

fuzz_one() {
	local run

	run=$logs/$(basename "$1").run
	run_fuzzer "$1" "$2" >"$run" 2>&1
	echo "status $?" >>"$run"
}

fuzz_result() {
	grep -vE '^#[0-9]+' "$1"
	[ "$(tail -n 1 "$1")" = 'status 0' ]
}

# TSan of older compilers cannot live with much address space randomisation.
unrandomised=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
	unrandomised=(setarch "$(uname -m)" -R)
fi
export ASAN_OPTIONS=detect_leaks=1:handle_segv=2:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=second_deadlock_stack=1

gcc --version | head -n 1
clang --version | head -n 1
echo

step build-gcc-release build build/check/release gcc
step build-gcc-checks build build/check/gcc gcc -Dchecks=true -Dbuildtype=debugoptimized &&
	suite tests-gcc build/check/gcc
step build-clang-release build build/check/clang clang &&
	suite tests-clang-release build/check/clang
step build-asan-ubsan build build/check/asan clang -Dchecks=true -Dbuildtype=debugoptimized \
	-Db_sanitize=address,undefined -Db_lundef=false -Dman=disabled &&
	suite tests-asan-ubsan build/check/asan --timeout-multiplier 4
step build-tsan build build/check/tsan clang -Dchecks=true -Dbuildtype=debugoptimized \
	-Db_sanitize=thread -Db_lundef=false -Dman=disabled &&
	suite tests-tsan build/check/tsan --timeout-multiplier 8 --suite threaded

step headers check_headers
step rules scripts/rules.sh
step format check_format
step cppcheck check_static
step build-fuzzers build_fuzzers && fuzz_smoke

echo
for dir in release clang asan tsan fuzz; do
	echo "effective flags, build/check/$dir:"
	flags build/check/$dir | fold -s -w 98 | sed '2,$s/^/  /'
done
echo
echo "$passed passed, $failed failed, $skipped skipped" | tee $logs/summary
[ $failed -eq 0 ]
