/* SPDX-License-Identifier: MIT */
/*
 * memcg.c - memory control groups: who may charge how much (FACTS A9, E13).
 *
 * Idea. A charge is one step of the group's usage that does not go beyond its limit, and the name
 * of the group in the page's row of the side table. Over the limit the group's own pages are
 * reclaimed first. What freeing a page needs is in engine/phys/charge.c.
 *
 * Invariants, besides J1 to J4 (memcg.h, charge.h)
 *   J5  a charge begins with a page that nobody but the charger uses, and moves only between two
 *       locked pages of which the first is not free yet
 */
#include "engine/phys/charge.h"
#include "engine/store/reclaim_internal.h"
#include "engine/virt/virt.h"

#define TRIES	      5	 /* rounds of reclaim before a charge fails */
#define RECLAIM_BATCH 32 /* frames a round asks of each node */

int
gw_memcg_create(struct gw_machine *m, uint64_t limit, struct gw_memcg **out)
{
	struct gw_memcg *memcg = m->ops->alloc(m->ctx, sizeof(*memcg));

	if (!memcg)
		return -ENOMEM;
	memcg->machine = m;
	gw_ref_set(&memcg->refs, 1);
	gw_u64_store_relaxed(&memcg->limit, limit);
	gw_spin_lock(&m->memcg_lock);
	memcg->next = m->memcgs;
	if (memcg->next)
		memcg->next->prev = memcg;
	m->memcgs = memcg;
	gw_spin_unlock(&m->memcg_lock);
	*out = memcg;
	return 0;
}

void
gw_memcg_set_limit(struct gw_memcg *memcg, uint64_t limit)
{
	gw_u64_store_relaxed(&memcg->limit, limit);
}

struct gw_memcg *
gw_page_memcg(const struct gw_machine *m, gw_pfn_t page)
{
	const struct gw_page_extra *extra = gw_page_extra(m, page);

	return extra ? gw_ptr_load_relaxed(&extra->memcg) : NULL;
}

void
gw_mm_set_memcg(struct gw_mm *mm, struct gw_memcg *memcg)
{
	struct gw_memcg *before = mm->memcg;

	if (memcg)
		gw_memcg_get(memcg);
	mm->memcg = memcg;
	if (before)
		gw_memcg_put(before);
}

/* J2 */
static bool
take(struct gw_memcg *memcg, uint64_t frames)
{
	uint64_t usage = gw_u64_load_relaxed(&memcg->usage);

	do {
		if (usage + frames > gw_u64_load_relaxed(&memcg->limit))
			return false;
	} while (!gw_u64_cas_relaxed(&memcg->usage, &usage, usage + frames));
	return true;
}

static void
reclaim_group(struct gw_memcg *memcg)
{
	struct gw_machine *m = memcg->machine;

	for (unsigned node = 0; node < m->n_nodes; node++)
		(void)gw_reclaim_for_memcg(m, node, memcg, RECLAIM_BATCH);
}

static bool
take_reclaiming(struct gw_memcg *memcg, uint64_t frames)
{
	if (take(memcg, frames))
		return true;
	if (gw_current()->flags & GW_TASK_MEMALLOC)
		return false; /* it is reclaim that asks */
	for (unsigned i = 0; i < TRIES; i++) {
		reclaim_group(memcg);
		if (take(memcg, frames))
			return true;
	}
	return false;
}

int
gw_memcg_charge(struct gw_memcg *memcg, gw_pfn_t page)
{
	struct gw_machine *m;
	uint32_t flags;

	if (!memcg)
		return 0;
	m = memcg->machine;
	flags = gw_page_flags(gw_page(m, page));
	GW_CHECK_ON(m, flags & GW_PG_CHARGED);
	if (gw_page_extra_make(m) || !take_reclaiming(memcg, (uint64_t)1 << gw_flags_order(flags)))
		return -ENOMEM;
	gw_memcg_get(memcg);
	gw_ptr_store_relaxed(&gw_page_extra(m, page)->memcg, memcg);
	gw_u32_or_relaxed(&gw_page(m, page)->flags, GW_PG_CHARGED);
	return 0;
}

void
gw_memcg_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src)
{
	uint32_t from = gw_page_flags(gw_page(m, src)), to = gw_page_flags(gw_page(m, dst));

	/* A page that was freed first has lost its charge, or somebody else's (E13). */
	GW_CHECK_ON(m, gw_flags_type(from) != GW_PAGE_USED || !(from & GW_PG_LOCKED));
	GW_CHECK_ON(m, to & GW_PG_CHARGED || !(to & GW_PG_LOCKED));
	if (!(from & GW_PG_CHARGED))
		return;
	gw_ptr_store_relaxed(&gw_page_extra(m, dst)->memcg, gw_page_memcg(m, src));
	gw_u32_or_relaxed(&gw_page(m, dst)->flags, GW_PG_CHARGED);
	gw_u32_and_relaxed(&gw_page(m, src)->flags, ~GW_PG_CHARGED);
	gw_ptr_store_relaxed(&gw_page_extra(m, src)->memcg, NULL);
}
