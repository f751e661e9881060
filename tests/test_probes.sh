#!/bin/sh
# SPDX-License-Identifier: MIT
# DESIGN 2.6, FACTS 3.3: the command holds a static probe at the place of each tracepoint named
# here, under the tracepoint's name. Skipped where it was built without sys/sdt.h.
notes=$(readelf -n "$GODWIT" 2>/dev/null | sed -n 's/^ *Name: //p')
probes="mm_page_alloc mm_page_free mm_page_alloc_extfrag mm_page_pcpu_drain mm_migrate_pages
mm_compaction_begin mm_compaction_end mm_compaction_isolate_migratepages
mm_compaction_isolate_freepages mm_compaction_defer_compaction mm_compaction_defer_reset"
# shellcheck disable=SC2086
set -- $probes
echo "1..$#"
n=0
for probe; do
	n=$((n + 1))
	if printf '%s\n' "$notes" | grep -qx "$probe"; then
		echo "ok $n - $probe"
	elif [ ! -f /usr/include/sys/sdt.h ] && [ ! -f "/usr/include/$(uname -m)-linux-gnu/sys/sdt.h" ]; then
		echo "ok $n - $probe # SKIP no sys/sdt.h"
	else
		echo "not ok $n - $probe"
	fi
done
