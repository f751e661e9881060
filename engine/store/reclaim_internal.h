/* SPDX-License-Identifier: MIT */
/*
 * reclaim_internal.h - what reclaim.c and kswapd.c share.
 */
#ifndef GW_ENGINE_STORE_RECLAIM_INTERNAL_H
#define GW_ENGINE_STORE_RECLAIM_INTERNAL_H

#include "engine/store/store.h"

#define GW_RECLAIM_BATCH    32u /* pages looked at under one hold of the LRU lock; asked for */
#define GW_RECLAIM_PRIORITY 12u /* where a reclaim begins: lists are scanned by 1 / 2^priority */

/* For whom, in the order of the counters. */
enum gw_reclaimer { GW_BY_KSWAPD, GW_BY_DIRECT, GW_BY_KHUGEPAGED, GW_BY_PROACTIVE };

/* A reclaim under way. */
struct gw_reclaim_run {
	struct gw_machine *m;
	struct gw_memcg *memcg; /* only its pages; NULL: all */
	gw_gfp_t gfp;		/* IO, FS: what may be written */
	bool swap;		/* anonymous pages, too */
	bool demote;		/* cold pages go to a lower tier; set for each node */
	enum gw_reclaimer by;
	bool ignore_use; /* also pages that were used lately */
	unsigned priority;
	uint64_t wanted, freed; /* frames */
};

/* Scan the node's lists by 1 / 2^priority, or until enough is freed. */
void gw_reclaim_node(struct gw_reclaim_run *run, struct gw_node *node);

/* gw_reclaim(), for a task that waits for its group to shrink. */
uint64_t gw_reclaim_for_memcg(
	struct gw_machine *m, unsigned node, struct gw_memcg *memcg, uint64_t n);

/* Is there a place for anonymous pages? */
bool gw_reclaim_may_swap(const struct gw_machine *m);

/* The task frees memory from now on, and allocates without reclaim; give the answer to end(). */
uint32_t gw_memalloc_begin(void);
void gw_memalloc_end(uint32_t before);

#endif
