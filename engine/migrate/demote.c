/* SPDX-License-Identifier: MIT */
/*
 * demote.c - moving cold pages to slower memory, instead of swapping them (FACTS 2.3).
 *
 * Idea. Reclaim has taken pages off their LRU lists and found them cold. For as long as they are
 * under way here they are isolated for a migration as well; what does not move is reclaim's again.
 * New pages come from the nearest nodes of the next lower tier, which take turns where they are
 * equally near, or else from any lower one; never by waiting, so that reclaim of one tier does not
 * hang on reclaim of another. Asking wakes the background reclaim of the lower tier if that is
 * short, which makes room for later ones. A large page moves whole to wherever there is a block of
 * its size; if there is none, migration splits it, and moves its pieces.
 *
 * Invariants
 *   D1  a page of the caller's list, or each piece of one, is on it afterwards, isolated from the
 *       LRU as it came, or it has moved, or was given up by all others and is free
 */
#include "engine/migrate/demote.h"

#include "engine/migrate/isolate.h"
#include "engine/migrate/owner.h"
#include "engine/store/store.h"

struct demotion {
	unsigned target; /* node to try first */
	uint64_t lower;	 /* nodes to try after it */
};

static struct demotion
demotion_from(struct gw_machine *m, unsigned id)
{
	struct gw_node *node = &m->nodes[id];
	uint64_t equal = node->demotion_targets;
	unsigned turn =
		gw_u32_add_relaxed(&node->next_demotion, 1) % (unsigned)__builtin_popcountll(equal);

	while (turn--)
		equal &= equal - 1;
	return (struct demotion){.target = (unsigned)__builtin_ctzll(equal), .lower = node->lower};
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	const struct demotion *d = ctx;

	(void)src;
	if (!gw_alloc_pages(m, GW_GFP_MOVABLE | GW_GFP_THISNODE, d->target, order, dst))
		return 0;
	return gw_alloc_pages_nodes(m, GW_GFP_MOVABLE, d->target, d->lower, order, dst);
}

/* The page, reclaim's, is isolated for migration as well. */
static bool
begin(struct gw_machine *m, gw_pfn_t pfn)
{
	bool may;

	if (!gw_page_trylock(m, pfn))
		return false;
	may = !gw_owner_may_isolate(m, pfn, gw_page_flags(gw_page(m, pfn)), GW_MIGRATE_ASYNC);
	if (may)
		gw_u32_or_relaxed(&gw_page(m, pfn)->flags, GW_PG_ISOLATED);
	gw_swap_page_unlock(m, pfn);
	return may;
}

/* It is reclaim's alone again. */
static void
end(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_page_lock(m, pfn);
	gw_u32_and_relaxed(&gw_page(m, pfn)->flags, ~GW_PG_ISOLATED);
	gw_swap_page_unlock(m, pfn);
}

uint64_t
gw_demote(struct gw_machine *m, unsigned node, struct gw_page_list *list)
{
	struct demotion d = demotion_from(m, node);
	const struct gw_migrate_target target = {.get_new_page = get_new_page, .ctx = &d};
	struct gw_migrate_stats stats = {0};
	struct gw_page_list moving, staying;
	gw_pfn_t pfn;

	gw_page_list_init(&moving);
	gw_page_list_init(&staying);
	while ((pfn = gw_list_pop_front(m, list)) != GW_PFN_NONE)
		gw_list_push_back(m, begin(m, pfn) ? &moving : &staying, pfn);
	if (moving.n &&
		gw_migrate_pages(m, &moving, &target, GW_MIGRATE_ASYNC, GW_MR_DEMOTION, &stats)) {
		while ((pfn = gw_list_pop_front(m, &moving)) != GW_PFN_NONE) {
			end(m, pfn);
			gw_list_push_back(m, &staying, pfn);
		}
	}
	gw_list_splice(m, list, &staying); /* D1 */
	return stats.succeeded;
}
