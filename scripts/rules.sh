#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# rules.sh [TREE] - the rules of the house that a machine can check (CONTRIBUTING.md).
#
#   R1  every source file names its licence within its first two lines
#   R2  engine/ outside engine/sync/ reaches concurrency only through engine/sync/sync.h
#   R3  engine/ outside engine/sync/ includes no header of the operating system
#   R4  a private header (*_internal.h) is included only from its own directory
#   R5  calls go down: the engine includes nothing of machine, observe or cli; these nothing of cli
#   R6  no source file is longer than 800 lines
#   R7  the tests that docs/rows.md names as evidence exist
#
# Prints one line per finding; status 1 if there is any.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/..}" || exit 2

findings=0
say() {
	echo "$1"
	findings=$((findings + 1))
}

mapfile -t c_files < <("$here/sources.sh" .)
mapfile -t other_files < <(
	ls Makefile meson.build meson_options.txt .ci/run 2>/dev/null
	for room in include engine machine explore observe cli examples tests bench fuzz scripts docs; do
		[ ! -d $room ] || find $room -name '*.sh' -o -name '*.py' -o -name meson.build
	done
)

for f in "${c_files[@]}" "${other_files[@]}"; do
	head -n 2 "$f" | grep -q 'SPDX-License-Identifier: MIT' || say "$f: R1 no SPDX line"
	lines=$(wc -l <"$f")
	[ "$lines" -le 800 ] || say "$f: R6 $lines lines, at most 800"
done

# forbid RULE WHY PATTERN FILE...: every line of the files that matches is a finding
forbid() {
	local rule=$1 why=$2 pattern=$3 hit

	shift 3
	[ $# -gt 0 ] || return 0
	while IFS= read -r hit; do
		say "$hit: $rule $why"
	done < <(grep -HnE "$pattern" "$@" | cut -d: -f1,2)
}

engine=() upper=() all_engine=()
for f in "${c_files[@]}"; do
	case $f in
	engine/sync/*) all_engine+=("$f") ;;
	engine/*) engine+=("$f") all_engine+=("$f") ;;
	machine/* | observe/*) upper+=("$f") ;;
	esac
done

include='^[[:space:]]*#[[:space:]]*include[[:space:]]*'
forbid R2 'concurrency outside engine/sync' \
	"$include<(stdatomic|threads|pthread|urcu)|\\bpthread_[a-z]+|\\b_Atomic\\b|\\b__(atomic|sync)_[a-z]" \
	"${engine[@]}"
forbid R3 'an operating system header' \
	"$include<(unistd|fcntl|time|sched|signal|dirent|linux/.*|sys/(mman|stat|time|syscall|types))\\.h>" \
	"${engine[@]}"
forbid R5 'the engine looks up' "$include\"(machine|observe|cli|explore)/" "${all_engine[@]}"
forbid R5 'looks up into cli' "$include\"cli/" "${upper[@]}"

while IFS=: read -r f line text; do
	header=$(sed -E 's/.*"([^"]*)".*/\1/' <<<"$text")
	room=$(dirname "$f")
	case $header in
	*/*) [ "$(dirname "$header")" = "$room" ] ;;
	*) [ -e "$room/$header" ] ;;
	esac || say "$f:$line: R4 $header belongs to another room"
done < <([ ${#c_files[@]} -eq 0 ] || grep -HnE "$include\"[^\"]*_internal\\.h\"" "${c_files[@]}")

rows=docs/rows.md
while read -r file names; do
	for name in ${names:-main}; do
		grep -qsw -- "$name" "tests/$file" || say "$rows: R7 no $name in tests/$file"
	done
done < <([ ! -e $rows ] || grep -oE '`test_[a-z_]+\.c`(: [a-z0-9_, ]+)?' $rows | tr -d '`:,')

[ $findings -eq 0 ]
