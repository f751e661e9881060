/* SPDX-License-Identifier: MIT */
/*
 * contents.c - what stands in a pageblock of the twin, for pictures and for attribution.
 *
 * Invariant V1: free + movable + reclaimable + unmovable + none == frames of the pageblock that lie
 * in the map.
 */
#include <string.h>

#include "machine/twin/twin_internal.h"

static enum gw_kind
kind_of(const struct gw_twin *twin, gw_pfn_t pfn, const struct gw_frame_info *info)
{
	switch (info->state) {
	case GW_STATE_BUDDY:
		return GW_KIND_BUDDY;
	case GW_STATE_PCP:
		return GW_KIND_PCP;
	case GW_STATE_MOVABLE:
	case GW_STATE_ISOLATED:
		return gw_frame_kind((gw_frame_t)info->index);
	case GW_STATE_RESERVED:
	case GW_STATE_USED:
	default:
		return gw_frame_kind(twin->snap->frames[pfn]);
	}
}

enum gw_kind
gw_twin_frame_kind(const struct gw_twin *twin, gw_pfn_t pfn)
{
	struct gw_frame_info info;

	if (gw_frame_info(twin->machine, pfn, &info))
		return GW_KIND_HOLE;
	return kind_of(twin, pfn, &info);
}

gw_pfn_t
gw_twin_blocks(const struct gw_twin *twin)
{
	return ((twin->snap->n_frames - 1) >> twin->snap->pageblock_order) + 1;
}

static uint8_t
zone_of(const struct gw_snapshot *snap, gw_pfn_t pfn)
{
	for (unsigned z = 0; z < snap->n_zones; z++) {
		struct gw_range r = gw_twin_zone_range(snap, z);

		if (pfn >= r.start && pfn < r.end)
			return (uint8_t)z;
	}
	return 0xff;
}

void
gw_twin_block_contents(const struct gw_twin *twin, gw_pfn_t block, struct gw_block_contents *out)
{
	gw_pfn_t frames = (gw_pfn_t)1 << twin->snap->pageblock_order;
	gw_pfn_t pfn = block << twin->snap->pageblock_order;
	gw_pfn_t end = twin->snap->n_frames - pfn < frames ? twin->snap->n_frames : pfn + frames;
	struct gw_frame_info info = {0};

	memset(out, 0, sizeof(*out));
	out->zone = zone_of(twin->snap, pfn);
	while (pfn < end) {
		gw_pfn_t n;

		if (gw_frame_info(twin->machine, pfn, &info))
			break;
		/* The rest of a block or folio counts at once. */
		n = info.head + ((gw_pfn_t)1 << info.order) - pfn;
		if (n > end - pfn)
			n = end - pfn;
		out->huge |= n == frames && info.state == GW_STATE_MOVABLE;
		out->kinds[kind_of(twin, pfn, &info)] += (uint16_t)n;
		pfn += n;
	}
	out->migratetype = (uint8_t)info.migratetype;
	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		uint16_t *sums[] = {[GW_VERDICT_NONE] = &out->none,
			[GW_VERDICT_FREE] = &out->free,
			[GW_VERDICT_MOVABLE] = &out->movable,
			[GW_VERDICT_RECLAIMABLE] = &out->reclaimable,
			[GW_VERDICT_UNMOVABLE] = &out->unmovable};
		uint16_t *sum = sums[gw_kind_info((enum gw_kind)k)->verdict];

		*sum = (uint16_t)(*sum + out->kinds[k]);
	}
}

enum gw_block_state
gw_block_state(const struct gw_block_contents *c)
{
	unsigned all = (unsigned)c->free + c->movable + c->reclaimable + c->unmovable;

	if (all == 0)
		return GW_BLOCK_NONE;
	if (c->kinds[GW_KIND_RESERVED] == all)
		return GW_BLOCK_RESERVED;
	if (c->kinds[GW_KIND_HUGETLB] == all || c->huge)
		return GW_BLOCK_HUGE;
	if (c->unmovable || c->reclaimable)
		return GW_BLOCK_BLOCKED;
	if (c->free == all)
		return c->none ? GW_BLOCK_BLOCKED : GW_BLOCK_FREE;
	if (c->movable * 3u < all)
		return GW_BLOCK_SPARSE;
	return c->movable * 3u < all * 2u ? GW_BLOCK_HALF : GW_BLOCK_DENSE;
}
