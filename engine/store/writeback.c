/* SPDX-License-Identifier: MIT */
/*
 * writeback.c - bytes on their way back to the store.
 *
 * Idea. A page is dirty if it, or an entry that maps it, has a mark. Writing collects the marks of
 * the entries, turns DIRTY into WRITEBACK in one step, and writes with the page unlocked. Whoever
 * changes the page from then on makes a new mark, which stays for the next writeback.
 *
 * Invariants
 *   W1  a byte that the store has not is announced by a mark that was made after it was written, or
 *       that is cleared before the store reads it
 *   W2  WRITEBACK is set under the page lock, and while it is set the page stays in its cache, at
 *       its place: so its mapping lives
 *   W3  a failed write makes its mark again before WRITEBACK is cleared
 */
#include "engine/store/mapping_internal.h"
#include "engine/virt/rmap.h"

void
gw_page_set_dirty(struct gw_machine *m, gw_pfn_t page)
{
	gw_atomic_u32 *flags = &gw_page(m, page)->flags;
	uint32_t old = gw_u32_load_relaxed(flags);

	/* Also if it is set: released, so that who clears it sees the bytes (W1). */
	while (!gw_u32_cas_acq_rel(flags, &old, old | GW_PG_DIRTY))
		;
}

void
gw_page_wait_writeback(struct gw_machine *m, gw_pfn_t page)
{
	gw_atomic_u32 *flags = &gw_page(m, page)->flags;

	gw_might_sleep();
	if (gw_u32_load_acquire(flags) & GW_PG_WRITEBACK)
		gw_flag_wait(&m->page_waits, flags, GW_PG_WRITEBACK, GW_PG_WAITERS);
}

/* DIRTY becomes WRITEBACK; false: it is clean. Page locked. */
static bool
begin(struct gw_page *page)
{
	uint32_t old = gw_page_flags(page);

	do {
		if (!(old & GW_PG_DIRTY))
			return false;
	} while (!gw_u32_cas_acq_rel(&page->flags, &old, (old & ~GW_PG_DIRTY) | GW_PG_WRITEBACK));
	return true;
}

static int
write_to_store(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_mapping *mapping = gw_page_mapping(m, page);
	void *bytes = m->ops->frame_address(m->ctx, page);

	if (!bytes)
		return 0;
	if (!mapping)
		return gw_swap_write(m, gw_page_slot(m, page), bytes);
	return mapping->ops->write(mapping->ctx, gw_frame_index(gw_page(m, page)), bytes);
}

int
gw_page_write_out(struct gw_machine *m, gw_pfn_t page)
{
	int err;

	gw_page_wait_writeback(m, page);
	gw_page_collect_dirty(m, page);
	if (!begin(gw_page(m, page)))
		return 0;
	gw_page_unlock(m, page);
	err = write_to_store(m, page); /* W2 */
	if (err)
		gw_page_set_dirty(m, page); /* W3 */
	gw_flag_clear(&m->page_waits, &gw_page(m, page)->flags, GW_PG_WRITEBACK, GW_PG_WAITERS);
	gw_page_lock(m, page);
	return err;
}

/* A page that was in the cache a moment ago. */
static int
sync_page(struct gw_mapping *mapping, gw_pfn_t page, uint64_t index)
{
	struct gw_machine *m = mapping->machine;
	int err = 0;

	gw_page_lock(m, page);
	if (gw_mapping_has_page(mapping, page, index))
		err = gw_page_write_out(m, page);
	gw_page_unlock_and_put(m, page);
	return err;
}

int
gw_mapping_sync(struct gw_mapping *mapping)
{
	struct gw_machine *m = mapping->machine;
	uint64_t index = 0;
	gw_pfn_t page;
	int first = 0;

	while ((page = gw_cache_next(m, &mapping->cache, &index)) != GW_PFN_NONE) {
		int err = sync_page(mapping, page, index);

		if (!first)
			first = err;
		index++;
	}
	return first;
}
