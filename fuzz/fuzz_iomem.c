/* SPDX-License-Identifier: MIT */
/* fuzz_iomem.c - any iomem: ranges of RAM come out ascending, apart and not empty. */
#include "fuzz_text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_snapshot snap = {0};

	if (fuzz_parse(gw_parse_iomem, data, size, &snap)) {
		FUZZ_CHECK((snap.n_ram == 0) == (snap.ram == NULL));
		for (unsigned i = 0; i < snap.n_ram; i++) {
			FUZZ_CHECK(snap.ram[i].start < snap.ram[i].end);
			FUZZ_CHECK(snap.ram[i].end <= GW_PFN_MAX);
			FUZZ_CHECK(i == 0 || snap.ram[i - 1].end < snap.ram[i].start);
		}
	}
	gw_snapshot_free(&snap);
	return 0;
}
