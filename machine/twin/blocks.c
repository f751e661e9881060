/* SPDX-License-Identifier: MIT */
/*
 * blocks.c - cutting free frames into the buddy blocks they must have stood in (FACTS 3.1).
 *
 * Idea. kpageflags says which frames are free, not where one free block ends and the next begins.
 * Two free buddies always merge, so a run of free frames has one cut: into the largest aligned
 * blocks. buddyinfo, read a moment later, tells how many blocks of each order there were then:
 * blocks that it does not confirm were torn by what happened in between, and are counted.
 */
#include "machine/twin/twin_internal.h"

/* Walk the free runs of a zone; `block` gets each natural block in ascending order. */
struct block_walk {
	const struct gw_snapshot *snap;
	struct gw_range range;
	unsigned max_order;
	int (*block)(struct block_walk *walk, gw_pfn_t pfn, unsigned order);
	uint64_t counts[GW_ORDERS_MAX]; /* natural blocks */
	struct gw_machine *machine;
};

static int
walk_run(struct block_walk *walk, gw_pfn_t start, gw_pfn_t end)
{
	int ret = 0;

	while (start < end && !ret) {
		unsigned order = start ? (unsigned)__builtin_ctz(start) : walk->max_order;

		if (order > walk->max_order)
			order = walk->max_order;
		while ((gw_pfn_t)1 << order > end - start)
			order--;
		ret = walk->block(walk, start, order);
		start += (gw_pfn_t)1 << order;
	}
	return ret;
}

static int
walk_blocks(struct block_walk *walk)
{
	const gw_frame_t *frames = walk->snap->frames;
	gw_pfn_t pfn = walk->range.start;
	int ret = 0;

	while (pfn < walk->range.end && !ret) {
		gw_pfn_t end = pfn;

		while (end < walk->range.end && gw_frame_kind(frames[end]) == GW_KIND_BUDDY)
			end++;
		ret = walk_run(walk, pfn, end);
		pfn = end;
		while (pfn < walk->range.end && gw_frame_kind(frames[pfn]) != GW_KIND_BUDDY)
			pfn++;
	}
	return ret;
}

static int
count_block(struct block_walk *walk, gw_pfn_t pfn, unsigned order)
{
	(void)pfn;
	walk->counts[order]++;
	return 0;
}

static int
seed_block(struct block_walk *walk, gw_pfn_t pfn, unsigned order)
{
	return gw_seed_free_block(walk->machine, pfn, order);
}

int
gw_seed_free_frames(const struct gw_snapshot *snap, unsigned zone, struct gw_machine *m,
	struct gw_twin_notes *notes)
{
	const struct gw_zone_snapshot *z = &snap->zones[zone];
	struct block_walk walk = {.snap = snap,
		.range = gw_twin_zone_range(snap, zone),
		.max_order = snap->n_orders - 1,
		.block = count_block,
		.machine = m};
	uint64_t frames = 0;

	walk_blocks(&walk);
	for (unsigned o = 0; o <= walk.max_order; o++) {
		frames += walk.counts[o] << o;
		if (z->has_free_blocks && walk.counts[o] > z->free_blocks[o])
			notes->torn_blocks += walk.counts[o] - z->free_blocks[o];
	}
	notes->free_difference = (int64_t)frames - (int64_t)z->free;
	walk.block = seed_block;
	return walk_blocks(&walk);
}
