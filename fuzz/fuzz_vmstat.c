/* SPDX-License-Identifier: MIT */
/* fuzz_vmstat.c - any vmstat, and the same bytes as the sysctls and as a kernel's name. */
#include "fuzz_text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_snapshot snap = {0};

	if (fuzz_parse(gw_parse_vmstat, data, size, &snap)) {
		for (unsigned i = 0; i < snap.n_counters; i++)
			FUZZ_CHECK(
				memchr(snap.counters[i].name, '\0', sizeof(snap.counters[i].name)));
		FUZZ_CHECK(gw_snapshot_counter(&snap, "", 7) == 7);
	}
	if (fuzz_parse(gw_parse_sysctl, data, size, &snap)) {
		FUZZ_CHECK(snap.extfrag_threshold >= 0 && snap.extfrag_threshold <= 1000);
		FUZZ_CHECK(snap.compact_unevictable_allowed >> 1 == 0);
	}
	FUZZ_CHECK(fuzz_parse(gw_parse_uname, data, size, &snap));
	FUZZ_CHECK(memchr(snap.kernel, '\0', sizeof(snap.kernel)));
	gw_snapshot_free(&snap);
	return 0;
}
