/* SPDX-License-Identifier: MIT */
/*
 * owner_rmap.h - the steps of owner.h for pages that rmap and caches know: anonymous and file
 * pages, in a cache or not, and orphans of a truncation.
 */
#ifndef GW_ENGINE_MIGRATE_OWNER_RMAP_H
#define GW_ENGINE_MIGRATE_OWNER_RMAP_H

#include "engine/migrate/owner.h"

int gw_rmap_may_isolate(
	const struct gw_machine *m, gw_pfn_t page, uint32_t flags, enum gw_migrate_mode mode);
/* In the page cache or the swap cache; no lock needed. */
bool gw_rmap_in_cache(const struct gw_machine *m, gw_pfn_t page);
uint32_t gw_rmap_expected_refs(const struct gw_machine *m, gw_pfn_t page);
int gw_rmap_make_ready(struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode);
int gw_rmap_unmap(struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode,
	struct gw_unmapped *unmapped);
int gw_rmap_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode);

#endif
