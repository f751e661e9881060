/* SPDX-License-Identifier: MIT */
/*
 * truncate.c - a file becomes smaller.
 *
 * Idea. The size goes first, so that nobody makes a page beyond it any more; then the pages go, one
 * by one, each under its lock: no fault maps it, no migration moves it, no writeback writes it.
 * What private mappings made of the pages are not pages of the file: entries are cleared by range
 * before, for speed, and after, for faults that were under way.
 *
 * Invariants, besides those of mapping.c
 *   T1  a page that leaves the cache is mapped nowhere
 *   T2  a page whose private data stays is nobody's and keeps the data's reference (A11)
 */
#include "engine/store/mapping_internal.h"
#include "engine/virt/rmap.h"

/* T1. Nobody maps it again: its lock is held and it is beyond the size. */
static void
unmap_page(struct gw_mapping *mapping, gw_pfn_t page, uint64_t index)
{
	struct gw_machine *m = mapping->machine;

	while (gw_page_mapped(m, page)) {
		gw_unmap_mapping_range(mapping, index, index + 1);
		/* An entry moves between VMAs, or another task has cleared one and not flushed. */
		gw_relax();
	}
}

static void
drop_page(struct gw_mapping *mapping, gw_pfn_t page, uint64_t index)
{
	struct gw_machine *m = mapping->machine;

	gw_page_lock(m, page);
	if (gw_mapping_has_page(mapping, page, index)) {
		gw_page_wait_writeback(m, page);
		unmap_page(mapping, page, index);
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
	gw_unmap_mapping_range(mapping, pages, GW_MAPPING_PAGES_MAX);
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
