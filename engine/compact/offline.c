/* SPDX-License-Identifier: MIT */
/*
 * offline.c - taking pageblocks away from a running machine, and giving them back (FACTS 1.6).
 *
 * Steps
 *   O1  isolate all pageblocks of the range; a page that can never move ends it here
 *   O2  again and again: move out what can be moved, until all of the range is free. There is no
 *       limit of tries: a page that is in use for the moment will be free for a moment. What ends
 *       it is the task's interruption, or a page of which nothing but the unmovable is left
 *   O3  take the range from the buddy lists; its frames are reserved, no longer managed, their
 *       pageblocks offline (P2), and the watermarks those of the memory that is left
 *
 * That the loop ends while others use the pages all the time is the work of migration's waiters:
 * who faults on a page that is being moved holds no reference on it (C2).
 */
#include "engine/compact/compact_internal.h"
#include "engine/compact/range.h"

/* Rounds in a row after which a page without an owner is not on its way to one. */
#define UNMOVABLE_ROUNDS 16

/* Whole pageblocks, all of them memory? */
static int
check_range(const struct gw_range *r)
{
	gw_pfn_t mask = gw_pageblock_frames(r->m) - 1;

	if (r->start & mask || r->end & mask)
		return -EINVAL;
	for (gw_pfn_t pfn = r->start; pfn < r->end; pfn++) {
		if (gw_flags_type(gw_page_flags(gw_page(r->m, pfn))) != GW_PAGE_RESERVED)
			continue;
		*r->why = (struct gw_obstacle){.pfn = pfn, .why = GW_WHY_RESERVED};
		return -EINVAL;
	}
	return 0;
}

/* O2 */
static int
empty_and_take(struct gw_range *r)
{
	unsigned unmovable = 0;

	for (;;) {
		int err = gw_range_move_out(r);

		if (err)
			return err;
		if (gw_range_try_take(r))
			return 0;
		unmovable = r->why->why == GW_WHY_UNMOVABLE ? unmovable + 1 : 0;
		if (unmovable == UNMOVABLE_ROUNDS)
			return -EBUSY;
		gw_relax();
	}
}

int
gw_offline_pages(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end, struct gw_obstacle *why)
{
	struct gw_obstacle ignored = {.pfn = GW_PFN_NONE};
	struct gw_range r = {
		.type = GW_MT_MOVABLE, .reason = GW_MR_MEMORY_HOTPLUG, .why = why ? why : &ignored};
	int err = gw_range_init(&r, m, start, end);

	if (!err)
		err = check_range(&r);
	if (err)
		return err;
	gw_might_sleep();
	err = gw_range_isolate(&r);
	if (err)
		return err;
	err = empty_and_take(&r);
	if (err) {
		gw_range_unisolate(&r);
		return err;
	}
	gw_spin_lock(&r.zone->lock);
	gw_range_offline(r.zone, start, end);
	gw_spin_unlock(&r.zone->lock);
	gw_set_watermarks(m);
	return 0;
}

int
gw_online_pages(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end)
{
	struct gw_obstacle ignored = {.pfn = GW_PFN_NONE};
	struct gw_range r = {.why = &ignored};
	gw_pfn_t mask = gw_pageblock_frames(m) - 1;
	int err = gw_range_init(&r, m, start, end);

	if (err || start & mask || end & mask)
		return -EINVAL;
	gw_spin_lock(&r.zone->lock);
	if (gw_range_is_offline(m, start, end))
		gw_range_online(r.zone, start, end);
	else
		err = -EINVAL;
	gw_spin_unlock(&r.zone->lock);
	if (!err)
		gw_set_watermarks(m);
	return err;
}

/* ---- the dry run ---- */

struct look {
	struct gw_range range;
	void (*found)(void *ctx, const struct gw_obstacle *obstacle);
	void *ctx;
	struct gw_range_outlook *out;
};

static void
tell(const struct look *l, gw_pfn_t pfn, gw_pfn_t n, enum gw_obstacle_why why)
{
	const struct gw_page *page = gw_page(l->range.m, gw_page_head_seen(l->range.m, pfn));
	const struct gw_obstacle obstacle = {
		.pfn = pfn, .order = gw_flags_order(gw_page_flags(page)), .why = why};

	l->out->blocked += n;
	if (l->found)
		l->found(l->ctx, &obstacle);
}

static void
look_at(const struct look *l, gw_pfn_t pfn, gw_pfn_t n, enum gw_obstacle_why why)
{
	const struct gw_machine *m = l->range.m;
	gw_pfn_t head = gw_page_head_seen(m, pfn);

	if (why == GW_WHY_NOTHING &&
		gw_flags_type(gw_page_flags(gw_page(m, head))) != GW_PAGE_USED) {
		l->out->free += n;
		return;
	}
	if (why == GW_WHY_NOTHING && gw_range_is_pinned(&l->range, head))
		why = GW_WHY_PINNED;
	if (why == GW_WHY_NOTHING)
		l->out->movable += n;
	else
		tell(l, pfn, n, why);
}

static void
look_at_block(const struct look *l, gw_pfn_t pfn, gw_pfn_t end)
{
	enum gw_obstacle_why why = gw_range_block_refused(&l->range, pfn);
	gw_pfn_t n;

	if (why != GW_WHY_NOTHING) {
		tell(l, pfn, end - pfn, why);
		return;
	}
	for (; pfn < end; pfn += n) {
		why = gw_range_blocked_by(&l->range, pfn, &n);
		if (n > end - pfn)
			n = end - pfn;
		look_at(l, pfn, n, why);
	}
}

/* Free frames of all zones that a movable page may have, but for the range's own. */
static uint64_t
room_elsewhere(const struct look *l)
{
	struct gw_machine *m = l->range.m;
	unsigned first = m->nodes[l->range.zone->node].zonelist[0];
	unsigned class = m->zones[first].class;
	uint64_t room = 0;

	for (unsigned z = 0; z < m->n_zones; z++) {
		struct gw_zone_info info;
		uint64_t free, kept;

		if (gw_zone_info(m, z, &info))
			continue;
		free = info.free + info.pcp;
		kept = info.wmark_min + m->zones[z].lowmem_reserve[class] +
		       (l->range.zone->id == z ? l->out->free : 0);
		room += free > kept ? free - kept : 0;
	}
	return room;
}

int
gw_range_look(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end, enum gw_migratetype type,
	void (*found)(void *ctx, const struct gw_obstacle *obstacle), void *ctx,
	struct gw_range_outlook *out)
{
	struct gw_obstacle ignored = {.pfn = GW_PFN_NONE};
	struct look l = {
		.range = {.type = type, .why = &ignored}, .found = found, .ctx = ctx, .out = out};
	int err = gw_range_init(&l.range, m, start, end);

	if (err)
		return err;
	*out = (struct gw_range_outlook){0};
	while (start < end) {
		gw_pfn_t next = gw_pageblock_start(m, start) + gw_pageblock_frames(m);

		look_at_block(&l, start, next < end ? next : end);
		start = next;
	}
	out->room = room_elsewhere(&l);
	out->possible = out->blocked == 0 && out->room >= out->movable;
	return 0;
}
