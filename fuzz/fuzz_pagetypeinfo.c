/* SPDX-License-Identifier: MIT */
/* fuzz_pagetypeinfo.c - any pagetypeinfo: counts of every type stay within their zone. */
#include "fuzz_text.h"

static void
check_type(const struct gw_zone_snapshot *zone, unsigned type)
{
	FUZZ_CHECK(zone->pageblocks[type] <= zone->spanned + 2);
	for (unsigned order = 0; order < GW_ORDERS_MAX; order++)
		FUZZ_CHECK(zone->free_by_type[type][order] << order <= zone->spanned);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_snapshot snap = {.n_orders = 11, .pageblock_order = 9};

	if (!fuzz_zones(&snap))
		return 0;
	if (fuzz_parse(gw_parse_pagetypeinfo, data, size, &snap)) {
		FUZZ_CHECK(snap.pageblock_order < snap.n_orders);
		for (unsigned i = 0; i < snap.n_zones; i++) {
			for (unsigned type = 0; type < GW_MT_NR; type++)
				check_type(&snap.zones[i], type);
		}
	}
	gw_snapshot_free(&snap);
	return 0;
}
