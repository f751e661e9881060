/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h - getting memory back from those who have not used it lately.
 *
 * Idea. The lists of a node's LRU are shrunk from their old ends: referenced pages get another
 * round, others are unmapped, written if dirty, and freed. In the background by whoever runs
 * gw_kswapd(), between the low and the high watermark; directly by allocations that find nothing.
 */
#ifndef GODWIT_RECLAIM_H
#define GODWIT_RECLAIM_H

#include "types.h"

struct gw_memcg;

/* Try to free `n` frames of a node, of one group's pages only if memcg is not NULL: before anybody
 * needs them, so the counters call it proactive. Sleeps. Returns how many were freed. Any attached
 * task without GW_TASK_MEMALLOC. */
uint64_t gw_reclaim(struct gw_machine *m, unsigned node, struct gw_memcg *memcg, uint64_t n);

/*
 * Be the node's background reclaim: sleep until an allocation finds a zone below its low watermark,
 * reclaim until every zone is above its high one (boosts are lowered on the way), sleep again.
 * Returns when gw_kswapd_stop() was called. The caller is an attached task that does nothing else.
 */
void gw_kswapd(struct gw_machine *m, unsigned node);
/* End gw_kswapd() of a node, or the next one if none runs. Any attached task. */
void gw_kswapd_stop(struct gw_machine *m, unsigned node);
/* One round of it, without sleeping for a wake-up: true if all zones were above high at its end. */
bool gw_balance_node(struct gw_machine *m, unsigned node);

#endif
