#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test_scripts.sh - the scripts that judge a change see what they must see. TAP on stdout.
set -u
cd "$(dirname "$0")/.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

number=0
# check CLAIM EXPECTED ACTUAL
check() {
	number=$((number + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $number - $1"
	else
		printf 'not ok %d - %s\n# expected: %s\n# got: %s\n' "$number" "$1" "$2" "$3"
	fi
}

# count RESULT RETURNCODE STDOUT: what tap_count.py makes of one program
count() {
	printf '{"name": "x", "result": "%s", "returncode": %s, "stdout": "%s"}\n' "$@" \
		>"$scratch/log.json"
	scripts/tap_count.py "$scratch/log.json" 2>/dev/null
}

# finding PATH TEXT: the rules that a tree with only this file breaks
finding() {
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree/$(dirname "$1")"
	printf '%b' "$2" >"$scratch/tree/$1"
	scripts/rules.sh "$scratch/tree" | grep -oE 'R[0-9]' | tr '\n' ' '
}

echo 1..23
check 'passes are counted' '2 0 0' "$(count OK 0 '1..2\nok 1 - a\nok 2 - b')"
check 'failures are counted' '1 1 0' "$(count FAIL 1 '1..2\nok 1 - a\nnot ok 2 - b')"
check 'skips are not failures' '1 0 1' "$(count OK 0 '1..2\nok 1 - a\nnot ok 2 # SKIP b')"
check 'T1: tests that a dead program owes have failed' '1 2 0' \
	"$(count FAIL -11 '1..3\nok 1 - a')"
check 'T1: and how it died is said' 'x: planned, never reported: fail, status -11' \
	"$(count FAIL -11 '1..1' >/dev/null; scripts/tap_count.py "$scratch/log.json" 2>&1 >/dev/null)"
check 'T2: a finding at exit is a failure' '1 1 0' "$(count FAIL 23 '1..1\nok 1 - a')"
check 'T2: a time limit is a failure' '1 1 0' "$(count TIMEOUT -15 '1..1\nok 1 - a')"
check 'T3: silence is a failure' '0 1 0' "$(count OK 0 '')"
check 'a missing log is an error' 1 \
	"$(scripts/tap_count.py "$scratch/none.json" >/dev/null 2>&1; echo $?)"

spdx='/* SPDX-License-Identifier: MIT */\n'
check 'R1: a licence line is missing' 'R1 ' "$(finding cli/x.c 'int x;\n')"
check 'R2: pthread in the engine' 'R2 ' "$(finding engine/phys/x.c "$spdx#include <pthread.h>\n")"
check 'R2: liburcu in the engine' 'R2 ' \
	"$(finding engine/phys/x.c "$spdx#include <urcu/urcu-memb.h>\n")"
check 'R2: atomics in the engine' 'R2 ' "$(finding engine/phys/x.h "$spdx""_Atomic int x;\n")"
check 'R2: engine/sync may' '' "$(finding engine/sync/x.c "$spdx#include <pthread.h>\n")"
check 'R3: the clock in the engine' 'R3 ' "$(finding engine/phys/x.c "$spdx#include <time.h>\n")"
check 'R4: a private header of another room' 'R4 ' \
	"$(finding cli/x.c "$spdx#include \"engine/phys/phys_internal.h\"\n")"
check 'R4: a private header of the same room' '' \
	"$(finding engine/phys/x.c "$spdx#include \"engine/phys/phys_internal.h\"\n")"
check 'R5: the engine looks up' 'R5 ' \
	"$(finding engine/phys/x.c "$spdx#include \"observe/json.h\"\n")"
check 'R6: 801 lines are too many' 'R6 ' "$(finding cli/x.c "$spdx$(printf '%800s' '' |
	sed 's/ /\\n/g')")"

check 'R7: a test that is evidence is missing' 'R7 ' \
	"$(finding docs/rows.md '| A1 | x | `test_x.c`: gone |\n')"
check 'R7: rows without tests' '' "$(finding docs/rows.md '| A1 | x | measured |\n')"

# A PATH with everything that bootstrap.sh itself runs, but no Meson.
mkdir "$scratch/bin"
for tool in bash sh id sort head printf mkdir gcc ninja pkg-config; do
	ln -s "$(command -v $tool)" "$scratch/bin/$tool" 2>/dev/null
done
printf '#!/bin/sh\necho 1000\n' >"$scratch/bin/user"
chmod +x "$scratch/bin/user"
ln -sf "$scratch/bin/user" "$scratch/bin/id"
ln -sf "$scratch/bin/user" "$scratch/bin/apt-get"
output=$(PATH=$scratch/bin scripts/bootstrap.sh build 2>&1)
check 'bootstrap stops when packages are missing and it is not root' 1 $?
check 'bootstrap prints one command that names them' 1 \
	"$(grep -c 'apt-get install.* meson' <<<"$output")"
