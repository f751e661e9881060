/* SPDX-License-Identifier: MIT */
/*
 * storm_move.c - the storm's other side: moving the programs' pages, and taking memory from them.
 */
#include "godwit/alloc.h"
#include "godwit/compact.h"
#include "godwit/migrate.h"
#include "godwit/reclaim.h"
#include "godwit/zone.h"
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

	/* Who compacts for everybody's allocations from now on. */
	(void)!gw_compact_set_direct(
		t->s->m, storm_below(t, 2) ? GW_DIRECT_SCANNERS : GW_DIRECT_EVACUATE);
	if (storm_below(t, 4) == 0)
		gw_compact_all_zones(t->s->m);
	else
		(void)gw_compact_zone(t->s->m, storm_below(t, STORM_NODES), &request, NULL);
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	return gw_alloc_pages(m, GW_GFP_MOVABLE, src % STORM_NODES, order, dst);
}

void
storm_migrate(struct storm_thread *t)
{
	static const struct gw_migrate_target target = {.get_new_page = get_new_page};
	struct gw_machine *m = t->s->m;
	enum gw_migrate_mode mode = any_mode(t);
	struct gw_frame_info info;
	struct gw_page_list list;
	unsigned n = 1 + storm_below(t, 128);

	gw_page_list_init(&list);
	for (unsigned i = 0; i < n; i++)
		if (!gw_frame_info(m, storm_below(t, t->s->n_frames), &info))
			(void)!gw_isolate_page(m, info.head, mode, &list);
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

	if (gw_alloc_pages(s->m, gfp, storm_below(t, STORM_NODES), order, &block))
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

void
storm_reclaim(struct storm_thread *t)
{
	unsigned group = storm_below(t, 2 * STORM_GROUPS);

	(void)gw_reclaim(t->s->m, storm_below(t, STORM_NODES),
		group < STORM_GROUPS ? t->s->groups[group] : NULL, 1 + storm_below(t, 256));
}

static bool
is_status(int status)
{
	return (status >= 0 && status < STORM_NODES) || status == -EFAULT || status == -ENOENT ||
	       status == -EACCES || status == -EBUSY || status == -ENOMEM || status == -EAGAIN;
}

/* An address that the program may have mapped, of memory or of a file. */
static gw_vaddr_t
any_address(struct storm_thread *t, struct storm_program *p)
{
	struct storm_region *r = &p->regions[storm_below(t, STORM_ALL_REGIONS)];
	unsigned pages = r->pages;
	gw_vaddr_t base = 0;

	if (storm_below(t, 4) == 0)
		base = gw_u64_load_relaxed(&p->file_maps[storm_below(t, STORM_FILES)]);
	if (base) {
		pages = STORM_PAGES;
	} else {
		pthread_mutex_lock(&r->mutex);
		base = r->base;
		pthread_mutex_unlock(&r->mutex);
	}
	return base + storm_below(t, pages) * GW_PAGE_SIZE;
}

static void
move_some(struct storm_thread *t, struct storm_program *p)
{
	uint64_t addrs[64];
	int nodes[64], status[64];
	unsigned flags = storm_below(t, 2) ? GW_MOVE_ALL : 0;
	int ret;

	for (unsigned i = 0; i < 64; i++) {
		addrs[i] = any_address(t, p);
		nodes[i] = (int)storm_below(t, STORM_NODES);
		status[i] = -EINVAL;
	}
	ret = gw_move_pages(p->mm, 64, addrs, storm_below(t, 8) ? nodes : NULL, status, flags);
	if (ret < 0 || ret > 64)
		storm_lost(t->s, "move_pages gave %d", ret);
	for (unsigned i = 0; i < 64; i++)
		if (!is_status(status[i]))
			storm_lost(t->s, "move_pages: status %d", status[i]);
}

void
storm_move_pages(struct storm_thread *t, struct storm_program *p)
{
	const unsigned sets = (1u << STORM_NODES) - 1; /* of nodes, not empty */
	uint64_t from = 1 + storm_below(t, sets);
	int ret;

	if (storm_below(t, 8)) {
		move_some(t, p);
		return;
	}
	ret = gw_migrate_mm(p->mm, from, 1 + storm_below(t, sets));
	if (ret < 0)
		storm_lost(t->s, "migrate_pages gave %d", ret);
}
