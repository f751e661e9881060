/* SPDX-License-Identifier: MIT */
/*
 * storm_move.c - the storm's other side: moving the programs' pages, and taking memory from them.
 */
#include "godwit/alloc.h"
#include "godwit/compact.h"
#include "godwit/migrate.h"
#include "machine/soft/storm_internal.h"

static enum gw_migrate_mode
any_mode(struct storm_thread *t)
{
	return (enum gw_migrate_mode)storm_below(t, 3);
}

void
storm_compact(struct storm_thread *t)
{
	struct gw_compact_request request = {
		.planner = storm_below(t, 2) ? GW_PLANNER_SCANNERS : GW_PLANNER_EVACUATE,
		.order = storm_below(t, 2) ? -1 : (int)storm_below(t, GW_DEFAULT_MAX_ORDER + 1),
		.count = 1 + storm_below(t, 4),
		.mode = any_mode(t),
		.migratetype = GW_MT_MOVABLE,
		.direct = storm_below(t, 2),
		.whole_zone = storm_below(t, 2),
		.ignore_skip = storm_below(t, 2),
	};

	if (storm_below(t, 4) == 0)
		gw_compact_all_zones(t->s->m);
	else
		(void)gw_compact_zone(t->s->m, 0, &request, NULL);
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst);
}

void
storm_migrate(struct storm_thread *t)
{
	static const struct gw_migrate_target target = {.get_new_page = get_new_page};
	struct gw_machine *m = t->s->m;
	enum gw_migrate_mode mode = any_mode(t);
	struct gw_page_list list;
	unsigned n = 1 + storm_below(t, 128);

	gw_page_list_init(&list);
	for (unsigned i = 0; i < n; i++)
		(void)!gw_isolate_page(m, storm_below(t, t->s->n_frames), mode, &list);
	if (list.n && gw_migrate_pages(m, &list, &target, mode, GW_MR_SYSCALL, NULL))
		gw_putback_movable_pages(m, &list);
}

/* Blocks that come and go keep the zone fragmented, and its high orders asked for. */
void
storm_alloc(struct storm_thread *t)
{
	struct storm *s = t->s;
	gw_gfp_t gfp = storm_below(t, 2) ? GW_GFP_KERNEL : GW_GFP_MOVABLE;
	unsigned slot = storm_below(t, STORM_BLOCKS);
	unsigned order = storm_below(t, storm_below(t, 8) ? 5 : GW_DEFAULT_PAGEBLOCK_ORDER + 1);
	gw_pfn_t block = GW_PFN_NONE, old;

	if (gw_alloc_pages(s->m, gfp, 0, order, &block))
		gw_u64_add_relaxed(&s->no_memory, 1);
	pthread_mutex_lock(&s->table);
	old = s->blocks[slot];
	s->blocks[slot] = block;
	pthread_mutex_unlock(&s->table);
	if (old != GW_PFN_NONE)
		gw_put_page(s->m, old);
}

void
storm_free_blocks(struct storm *s)
{
	for (unsigned i = 0; i < STORM_BLOCKS; i++) {
		gw_pfn_t old;

		pthread_mutex_lock(&s->table);
		old = s->blocks[i];
		s->blocks[i] = GW_PFN_NONE;
		pthread_mutex_unlock(&s->table);
		if (old != GW_PFN_NONE)
			gw_put_page(s->m, old);
	}
}
