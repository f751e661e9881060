/* SPDX-License-Identifier: MIT */
/*
 * buddy.h - the buddy lists of one zone: what the files of this room share. All of it is called
 * with the zone lock held.
 */
#ifndef GW_ENGINE_PHYS_BUDDY_H
#define GW_ENGINE_PHYS_BUDDY_H

#include "engine/phys/phys.h"

/* Put a block on the list of `type`, as it is; its inner frames are FREE already. */
void gw_buddy_insert(struct gw_zone *zone, gw_pfn_t pfn, unsigned order, enum gw_migratetype type);
/* Take the free block headed by pfn off its list. Returns its order; its head becomes FREE. */
unsigned gw_buddy_remove(struct gw_zone *zone, gw_pfn_t pfn);
/* Free a block: merge it with its buddies as far as they are free, and list the result. */
void gw_buddy_free(struct gw_zone *zone, gw_pfn_t pfn, unsigned order);
/* Free the frames [start, start + n) in the largest aligned blocks. */
void gw_buddy_free_range(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t n);
/* Take 2^order frames for `type` (FACTS 2.2), or GW_PFN_NONE. Head and inner frames are FREE. */
gw_pfn_t gw_buddy_take(
	struct gw_zone *zone, unsigned order, enum gw_migratetype type, gw_gfp_t gfp);

/* Reserve the pageblock of pfn for high-order atomic requests, up to about 1 % of the zone. */
void gw_highatomic_reserve(struct gw_zone *zone, gw_pfn_t pfn);
/* Give one reserved pageblock with free frames to `type`; false if there is none. */
bool gw_highatomic_unreserve(struct gw_zone *zone, enum gw_migratetype type);

/* The pageblocks of [pfn, pfn + n) become `type`; their free blocks' lists are the caller's. */
void gw_pageblock_assign(struct gw_zone *zone, gw_pfn_t pfn, gw_pfn_t n, enum gw_migratetype type);
void gw_pageblock_set_offline(struct gw_machine *m, gw_pfn_t pfn, bool offline);
bool gw_pageblock_is_offline(const struct gw_machine *m, gw_pfn_t pfn);

/* Per-CPU lists (pcp.c): which orders they hold, a page from them, a page to them. */
static inline bool
gw_pcp_order(const struct gw_machine *m, unsigned order)
{
	return order < GW_PCP_SMALL_ORDERS || order == m->config.pageblock_order;
}

gw_pfn_t gw_pcp_take(struct gw_zone *zone, unsigned order, enum gw_migratetype type, gw_gfp_t gfp);
void gw_pcp_free(struct gw_zone *zone, gw_pfn_t pfn, unsigned order);
void gw_pcp_insert(struct gw_zone *zone, struct gw_pcp *pcp, gw_pfn_t pfn, unsigned order,
	enum gw_migratetype type);

/* Mark the frames of a page in use as inside a free block; the head too. */
void gw_page_unmake(struct gw_machine *m, gw_pfn_t pfn, unsigned order);

/* Link a page that is on no list, outside any batch. */
void gw_lru_seed(struct gw_machine *m, struct gw_zone *zone, gw_pfn_t pfn, enum gw_lru lru);
/* A page whose last reference is gone leaves its LRU list (lru.c). */
void gw_lru_release(struct gw_machine *m, gw_pfn_t pfn);

/* ---- the side table (extra.c) ---- */

void gw_page_extra_release(struct gw_machine *m);

#endif
