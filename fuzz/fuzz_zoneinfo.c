/* SPDX-License-Identifier: MIT */
/* fuzz_zoneinfo.c - any zoneinfo: zones come out ascending, apart, and of possible size. */
#include "fuzz_text.h"

static void
check_zone(const struct gw_zone_snapshot *zone)
{
	FUZZ_CHECK(memchr(zone->name, '\0', sizeof(zone->name)) && zone->name[0]);
	FUZZ_CHECK(zone->node >= 0 && zone->node < GW_NODES_MAX);
	FUZZ_CHECK(zone->present > 0 && zone->present <= zone->spanned);
	FUZZ_CHECK(zone->managed <= zone->present && zone->free <= zone->spanned);
	FUZZ_CHECK(zone->start_pfn + zone->spanned <= GW_PFN_MAX);
	FUZZ_CHECK(zone->pcp_count <= zone->spanned && zone->n_protection <= 8);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_snapshot snap = {0};

	if (fuzz_parse(gw_parse_zoneinfo, data, size, &snap)) {
		FUZZ_CHECK(snap.n_zones > 0 && snap.n_zones <= GW_ZONES_MAX);
		for (unsigned i = 0; i < snap.n_zones; i++) {
			const struct gw_zone_snapshot *zone = &snap.zones[i];

			check_zone(zone);
			FUZZ_CHECK(
				i == 0 || zone[-1].start_pfn + zone[-1].spanned <= zone->start_pfn);
		}
	}
	gw_snapshot_free(&snap);
	return 0;
}
