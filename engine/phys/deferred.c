/* SPDX-License-Identifier: MIT */
/*
 * deferred.c - large pages that may be worth splitting, by node (FACTS 2.4).
 *
 * Idea. A large page that is mapped in part holds frames that nobody can use; splitting it at once
 * would often be in vain, since the rest is unmapped next. So it is queued, and split under
 * pressure (engine/huge/deferred.c). The queue holds no references: a page leaves it when it is
 * freed. It is linked through its second tail, whose fields are free.
 *
 * Invariants
 *   X1  GW_PG_DEFERRED is set exactly on the heads of queued pages; it changes under deferred_lock,
 *       rank LEAF: pages are freed with any lock but leaves held
 */
#include "engine/phys/phys.h"

#define LINK 2 /* the tail with the links */

static struct gw_node *
lock_node(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_node *node = &m->nodes[gw_page_zone(m, page)->node];

	gw_spin_lock(&node->deferred_lock);
	return node;
}

bool
gw_deferred_add(struct gw_machine *m, gw_pfn_t page)
{
	gw_atomic_u32 *flags = &gw_page(m, page)->flags;
	struct gw_node *node;
	bool added;

	if (gw_u32_load_relaxed(flags) & GW_PG_DEFERRED)
		return false;
	node = lock_node(m, page);
	added = !(gw_u32_or_relaxed(flags, GW_PG_DEFERRED) & GW_PG_DEFERRED);
	if (added)
		gw_list_push_back(m, &node->deferred, page + LINK);
	gw_spin_unlock(&node->deferred_lock);
	return added;
}

/* Its node's lock held. */
static void
take_off(struct gw_machine *m, struct gw_node *node, gw_pfn_t page)
{
	gw_list_remove(m, &node->deferred, page + LINK);
	gw_u32_and_relaxed(&gw_page(m, page)->flags, ~GW_PG_DEFERRED);
}

void
gw_deferred_remove(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_node *node;

	if (!(gw_page_flags(gw_page(m, page)) & GW_PG_DEFERRED))
		return;
	node = lock_node(m, page);
	if (gw_page_flags(gw_page(m, page)) & GW_PG_DEFERRED)
		take_off(m, node, page);
	gw_spin_unlock(&node->deferred_lock);
}

gw_pfn_t
gw_deferred_pop(struct gw_machine *m, unsigned node_id)
{
	struct gw_node *node = &m->nodes[node_id];
	gw_pfn_t page = GW_PFN_NONE;

	gw_spin_lock(&node->deferred_lock);
	while (page == GW_PFN_NONE && node->deferred.n) {
		page = node->deferred.first - LINK;
		take_off(m, node, page);
		if (!gw_get_page_unless_zero(m, page))
			page = GW_PFN_NONE; /* being freed, or split */
	}
	gw_spin_unlock(&node->deferred_lock);
	return page;
}
