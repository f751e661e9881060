/* SPDX-License-Identifier: MIT */
/* fuzz_buddyinfo.c - any buddyinfo: no more free blocks than fit, no more orders than there are. */
#include "fuzz_text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_snapshot snap = {0};

	if (!fuzz_zones(&snap))
		return 0;
	if (fuzz_parse(gw_parse_buddyinfo, data, size, &snap)) {
		FUZZ_CHECK(snap.n_orders > 0 && snap.n_orders <= GW_ORDERS_MAX);
		for (unsigned i = 0; i < snap.n_zones; i++) {
			for (unsigned order = 0; order < GW_ORDERS_MAX; order++)
				FUZZ_CHECK(snap.zones[i].free_blocks[order] << order <=
					   snap.zones[i].spanned);
		}
	}
	gw_snapshot_free(&snap);
	return 0;
}
