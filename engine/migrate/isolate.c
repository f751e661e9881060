/* SPDX-License-Identifier: MIT */
/*
 * isolate.c - taking pages out of use before a migration, and giving them back after it.
 *
 * Idea. An isolated page carries GW_PG_ISOLATED, a reference of the isolation, and is linked on the
 * isolator's list through its frame. Its lock is free between isolation and migration.
 *
 * Invariants
 *   P1  GW_PG_ISOLATED changes under the page lock only, so of two who isolate one page exactly
 *       one wins: the pin check comes before either takes a reference, the loser finds the
 *       lock or the flag
 *   P2  when the page lock is free, a page taken off its LRU list by an isolation is ISOLATED
 *   P3  an isolated page that has no owner any more, or no reference but the isolation's, was given
 *       up by its owner (A1): no callback sees it again
 */
#include <errno.h>

#include "engine/migrate/isolate.h"
#include "engine/migrate/owner.h"
#include "engine/store/store.h"

/* Without the lock a first answer that may be out of date, under it the final one. */
int
gw_may_isolate_page(
	const struct gw_machine *m, gw_pfn_t pfn, uint32_t flags, enum gw_migrate_mode mode)
{
	if (gw_flags_type(flags) != GW_PAGE_USED)
		return -EINVAL;
	/* On its way to an LRU list, or off one in other hands: these will link it. */
	if (flags & (GW_PG_ISOLATED | GW_PG_LRU_BATCHED | GW_PG_LRU_HELD))
		return -EBUSY;
	return gw_owner_may_isolate(m, pfn, flags, mode);
}

void
gw_migrate_prep(struct gw_machine *m)
{
	gw_lru_add_drain_all(m);
}

void
gw_migrate_prep_local(struct gw_machine *m)
{
	gw_lru_add_drain(m);
}

int
gw_isolate_locked_page(struct gw_machine *m, gw_pfn_t pfn, enum gw_migrate_mode mode)
{
	struct gw_page *page = gw_page(m, pfn);
	uint32_t flags = gw_page_flags(page);
	int err = gw_may_isolate_page(m, pfn, flags, mode);

	if (err)
		return err;
	if (!gw_owner_isolate(m, pfn, mode))
		return -EBUSY;
	if (flags & GW_PG_LRU && gw_lru_isolate_held(m, pfn)) {
		gw_owner_putback(m, pfn);
		return -EBUSY;
	}
	gw_u32_or_relaxed(&page->flags, GW_PG_ISOLATED);
	return 0;
}

int
gw_isolate_page(
	struct gw_machine *m, gw_pfn_t pfn, enum gw_migrate_mode mode, struct gw_page_list *list)
{
	int err;

	if (pfn >= m->n_frames)
		return -EINVAL;
	err = gw_may_isolate_page(m, pfn, gw_page_flags(gw_page(m, pfn)), mode);
	if (err)
		return err;
	if (gw_owner_pinned(m, pfn))
		return -EBUSY;
	if (!gw_get_page_unless_zero(m, pfn))
		return -EBUSY;
	if (!gw_page_trylock(m, pfn)) {
		gw_put_page(m, pfn);
		return -EBUSY;
	}
	err = gw_isolate_locked_page(m, pfn, mode);
	gw_swap_page_unlock(m, pfn);
	if (err)
		gw_put_page(m, pfn);
	else
		gw_list_push_back(m, list, pfn);
	return err;
}

int
gw_isolate_held_page(
	struct gw_machine *m, gw_pfn_t pfn, enum gw_migrate_mode mode, struct gw_page_list *list)
{
	int err;

	gw_page_lock(m, pfn);
	err = gw_isolate_locked_page(m, pfn, mode);
	gw_swap_page_unlock(m, pfn);
	if (!err)
		gw_list_push_back(m, list, pfn);
	return err;
}

bool
gw_isolated_page_is_dead(const struct gw_machine *m, gw_pfn_t pfn)
{
	const struct gw_page *page = gw_page(m, pfn);

	return gw_ref_read(&page->refcount) == 1 || !gw_page_is_movable(page);
}

void
gw_isolation_end(struct gw_machine *m, gw_pfn_t pfn)
{
	uint32_t flags = gw_u32_and_relaxed(&gw_page(m, pfn)->flags, ~GW_PG_ISOLATED);

	if (flags & GW_PG_LRU_HELD)
		gw_lru_putback(m, pfn);
}

void
gw_putback_movable_pages(struct gw_machine *m, struct gw_page_list *list)
{
	gw_pfn_t pfn;

	while ((pfn = gw_list_pop_front(m, list)) != GW_PFN_NONE) {
		gw_page_lock(m, pfn);
		if (gw_isolated_page_is_dead(m, pfn))
			gw_owner_forget(m, pfn);
		else
			gw_owner_putback(m, pfn);
		gw_isolation_end(m, pfn);
		gw_swap_page_unlock(m, pfn);
		gw_put_page(m, pfn);
	}
}
