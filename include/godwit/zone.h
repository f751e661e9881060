/* SPDX-License-Identifier: MIT */
/*
 * zone.h - reading a machine: zones, fragmentation figures, frames.
 */
#ifndef GODWIT_ZONE_H
#define GODWIT_ZONE_H

#include "types.h"

/* A moment's view of a zone. Counts in frames unless said otherwise. */
struct gw_zone_info {
	const char *name; /* lives as long as the machine */
	unsigned node;
	gw_pfn_t start, end;
	uint64_t managed; /* given to the allocator */
	uint64_t free;	  /* in the buddy lists */
	uint64_t pcp;	  /* on per-CPU lists */
	uint64_t wmark_min, wmark_low, wmark_high, boost;
	uint64_t free_blocks[GW_ORDERS_MAX]; /* blocks, by order */
	uint64_t free_by_type[GW_MT_NR][GW_ORDERS_MAX];
	uint64_t pageblocks[GW_MT_NR]; /* blocks */
	unsigned n_orders;
	gw_pfn_t migrate_pfn[2], free_pfn; /* cached scanner positions: async, sync; free */
	unsigned defer_shift, defer_considered, order_failed;
};

unsigned gw_machine_zones(const struct gw_machine *m);
/* Returns 0 or -EINVAL. Any attached task; takes the zone lock. */
GW_MUST_CHECK int gw_zone_info(struct gw_machine *m, unsigned zone, struct gw_zone_info *out);

/*
 * The kernel's fragmentation figures (FACTS 1.5), from free blocks by order. Pure, any thread.
 *
 *   free_blocks  n_orders counts
 *
 * Unusable free space index: thousandths of free memory that cannot serve `order`, 0 .. 1000.
 * Fragmentation index: thousandths; -1000 if a block is there; other negative values do not
 * mean that (FACTS 1.5 quirks). Proactive score: percent, for one order.
 */
int gw_unusable_index(const uint64_t *free_blocks, unsigned n_orders, unsigned order);
int gw_fragmentation_index(const uint64_t *free_blocks, unsigned n_orders, unsigned order);
int gw_proactive_score(const uint64_t *free_blocks, unsigned n_orders, unsigned order);

/* As debugfs prints them: "%d.%03d", and "%2d.%03d" with C truncation. */
int gw_index_format(char *buf, size_t size, int index, bool padded);

/* What a frame is, to a reader outside the engine. */
enum gw_frame_state {
	GW_STATE_RESERVED, /* not managed */
	GW_STATE_BUDDY,	   /* free, in a buddy block */
	GW_STATE_PCP,	   /* free, on a per-CPU list */
	GW_STATE_USED,	   /* in use, no owner that can move it */
	GW_STATE_MOVABLE,  /* in use, movable by its owner */
	GW_STATE_ISOLATED  /* under migration */
};

struct gw_frame_info {
	enum gw_frame_state state;
	unsigned order; /* of the free block or the compound page */
	gw_pfn_t head;	/* its first frame */
	uint32_t refcount;
	uint32_t index;			 /* the owner's word, of the head */
	enum gw_migratetype migratetype; /* of its pageblock */
};

/* Returns 0 or -EINVAL. A torn view while others run; exact on an idle machine. */
GW_MUST_CHECK int gw_frame_info(
	const struct gw_machine *m, gw_pfn_t pfn, struct gw_frame_info *out);

#endif
