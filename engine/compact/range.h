/* SPDX-License-Identifier: MIT */
/*
 * range.h - a range of frames that somebody empties, shared by contig.c and offline.c.
 *
 * Idea. Both do the same three things: isolate the pageblocks (isolate_block.c), move out what can
 * move, round after round (empty_range.c), and ask what is left.
 *
 * Invariants
 *   V1  from gw_range_isolate() to gw_range_unisolate() no free frame of the range's pageblocks is
 *       handed out: they are on ISOLATE lists, on no per-CPU list, and no target of migration
 *   V2  a range that could not be isolated has left no pageblock isolated
 */
#ifndef GW_COMPACT_RANGE_H
#define GW_COMPACT_RANGE_H

#include "engine/phys/phys.h"
#include "godwit/contig.h"

struct gw_range {
	struct gw_machine *m;
	struct gw_zone *zone;
	gw_pfn_t start, end;	  /* frames wanted */
	enum gw_migratetype type; /* MOVABLE or CMA (godwit/contig.h) */
	enum gw_migrate_reason reason;
	struct gw_obstacle *why; /* never NULL */
	int no_room; /* largest order of which the last round found no target; -1: it found all */
};

/* ---- isolate_block.c ---- */

/* 0, or -EINVAL: the range is empty, or its pageblocks are not one zone's. */
int gw_range_init(struct gw_range *r, struct gw_machine *m, gw_pfn_t start, gw_pfn_t end);

/* What of the page or free block at pfn stands in the way for good; *n: its frames from pfn on.
 * A hint without locks. */
enum gw_obstacle_why gw_range_blocked_by(const struct gw_range *r, gw_pfn_t pfn, gw_pfn_t *n);
/* Of a pageblock as such: CMA, ISOLATED or NOTHING. */
enum gw_obstacle_why gw_range_block_refused(const struct gw_range *r, gw_pfn_t pfn);

/* Has the page references that migration cannot account for? A hint. */
bool gw_range_is_pinned(const struct gw_range *r, gw_pfn_t head);

/* Is the page a pool's free one, which another replaces, or which nobody needs? Not a gigantic one:
 * only a range could replace it. */
static inline bool
gw_range_dissolves(const struct gw_machine *m, uint32_t flags)
{
	return flags & GW_PG_FREED && gw_flags_order(flags) <= m->config.max_order;
}

/* Isolate all pageblocks that the range touches. 0, or -EBUSY: *why (FACTS 2.2). */
int gw_range_isolate(struct gw_range *r);
void gw_range_unisolate(const struct gw_range *r);

/* ---- contig.c ---- */

/* gw_alloc_contig_pages() of a node's frames, for one page of an order that need not be the
 * allocator's, with one reference. 0, -EINTR, -ENOMEM. Sleeps. */
GW_MUST_CHECK int gw_alloc_contig_page(
	struct gw_machine *m, unsigned node, unsigned order, gw_pfn_t *out);

/* ---- empty_range.c ---- */

/* Once over the range: move what can be moved. 0 or -EINTR. */
int gw_range_move_out(struct gw_range *r);
/* The range is free and taken (true), or *why says who is still there, for the moment or for good.
 */
bool gw_range_try_take(struct gw_range *r);

#endif
