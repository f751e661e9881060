/* SPDX-License-Identifier: MIT */
/*
 * charge.c - see charge.h.
 *
 * Locks: memcg_lock, rank LEAF: the machine's list of groups. A page may be freed, and a group with
 * its last one, with any spinlock but leaves held; so a group's memory is released by RCU.
 */
#include "engine/phys/charge.h"

void
gw_memcg_get(struct gw_memcg *memcg)
{
	gw_ref_get(&memcg->refs);
}

uint64_t
gw_memcg_usage(const struct gw_memcg *memcg)
{
	return gw_u64_load_relaxed(&memcg->usage);
}

static void
unlink_group(struct gw_memcg *memcg)
{
	struct gw_machine *m = memcg->machine;

	gw_spin_lock(&m->memcg_lock);
	if (memcg->prev)
		memcg->prev->next = memcg->next;
	else
		m->memcgs = memcg->next;
	if (memcg->next)
		memcg->next->prev = memcg->prev;
	gw_spin_unlock(&m->memcg_lock);
}

static void
free_group(gw_rcu_head *head)
{
	struct gw_memcg *memcg = (struct gw_memcg *)((char *)head - offsetof(struct gw_memcg, rcu));
	struct gw_machine *m = memcg->machine;

	m->ops->release(m->ctx, memcg, sizeof(*memcg));
}

void
gw_memcg_put(struct gw_memcg *memcg)
{
	if (!gw_ref_put(&memcg->refs))
		return;
	unlink_group(memcg);
	gw_rcu_defer(&memcg->rcu, free_group);
}

void
gw_charge_end(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_memcg *memcg = gw_ptr_load_relaxed(&gw_page_extra(m, page)->memcg);

	gw_ptr_store_relaxed(&gw_page_extra(m, page)->memcg, NULL);
	gw_u64_sub_relaxed(
		&memcg->usage, (uint64_t)1 << gw_flags_order(gw_page_flags(gw_page(m, page))));
	gw_memcg_put(memcg);
}

void
gw_charge_split(struct gw_machine *m, gw_pfn_t page, gw_pfn_t piece)
{
	struct gw_memcg *memcg = gw_ptr_load_relaxed(&gw_page_extra(m, page)->memcg);

	gw_memcg_get(memcg);
	gw_ptr_store_relaxed(&gw_page_extra(m, piece)->memcg, memcg);
}

static void
check_frame(const struct gw_machine *m, gw_pfn_t pfn, struct gw_findings *findings)
{
	uint32_t flags = gw_page_flags(gw_page(m, pfn));
	const struct gw_page_extra *extra = gw_page_extra(m, pfn);
	struct gw_memcg *memcg = extra ? gw_ptr_load_relaxed(&extra->memcg) : NULL;

	if (((flags & GW_PG_CHARGED) != 0) != (memcg != NULL))
		gw_found(findings, "J3: frame %#x with flags %#x is charged to %s", pfn, flags,
			memcg ? "a group" : "nobody");
	else if (memcg)
		memcg->checked += (uint64_t)1 << gw_flags_order(flags);
}

void
gw_charge_check(struct gw_machine *m, struct gw_findings *findings)
{
	for (struct gw_memcg *memcg = m->memcgs; memcg; memcg = memcg->next)
		memcg->checked = 0;
	for (unsigned z = 0; z < m->n_zones; z++) /* gaps in a map may have no memory behind them */
		for (gw_pfn_t pfn = m->zones[z].start; pfn < m->zones[z].end; pfn++)
			check_frame(m, pfn, findings);
	for (const struct gw_memcg *memcg = m->memcgs; memcg; memcg = memcg->next)
		if (memcg->checked != gw_memcg_usage(memcg))
			gw_found(findings,
				"J1: a group counts %llu frames, and %llu are charged to it",
				(unsigned long long)gw_memcg_usage(memcg),
				(unsigned long long)memcg->checked);
}
