/* SPDX-License-Identifier: MIT */
/*
 * truncate.c - a file becomes smaller.
 *
 * Idea. The size goes first, so that nobody makes a page beyond it any more, nor an entry of one.
 * Then the entries go, by range: of the pages, and of what private mappings made of them. Then the
 * pages, one by one, each under its lock: no migration moves it and no writeback writes it.
 *
 * Invariants, besides those of mapping.c
 *   T1  no entry maps a page that leaves the cache; a task that has just cleared one may still
 *       hold the map and the reference that it counted
 *   T2  a page whose private data stays is nobody's and keeps the data's reference (A11)
 */
#include "engine/store/mapping_internal.h"
#include "engine/virt/rmap.h"

static void
drop_page(struct gw_mapping *mapping, gw_pfn_t page, uint64_t index)
{
	struct gw_machine *m = mapping->machine;

	gw_page_lock(m, page);
	if (gw_mapping_has_page(mapping, page, index)) {
		gw_page_wait_writeback(m, page);
		(void)gw_page_release_private(m, page); /* or T2 */
		gw_u32_and_relaxed(&gw_page(m, page)->flags, ~GW_PG_DIRTY);
		gw_mapping_remove_page(mapping, page);
	}
	gw_page_unlock_and_put(m, page);
}

void
gw_mapping_drop_pages(struct gw_mapping *mapping, uint64_t first)
{
	struct gw_machine *m = mapping->machine;
	gw_pfn_t page;

	/* What moved meanwhile is found again: index does not advance by itself. */
	while ((page = gw_cache_next(m, &mapping->cache, &first)) != GW_PFN_NONE)
		drop_page(mapping, page, first);
}

/* size_lock held. */
static void
shrink(struct gw_mapping *mapping, uint64_t pages)
{
	gw_u64_store_release(&mapping->pages, pages);
	gw_unmap_mapping_range(mapping, pages, GW_MAPPING_PAGES_MAX);
	gw_mapping_drop_pages(mapping, pages);
	if (mapping->ops->truncate)
		mapping->ops->truncate(mapping->ctx, pages);
}

int
gw_mapping_truncate(struct gw_mapping *mapping, uint64_t pages)
{
	if (pages > GW_MAPPING_PAGES_MAX)
		return -EINVAL;
	gw_mutex_lock(&mapping->size_lock);
	if (pages < gw_mapping_pages(mapping))
		shrink(mapping, pages);
	else
		gw_u64_store_release(&mapping->pages, pages);
	gw_mutex_unlock(&mapping->size_lock);
	return 0;
}
