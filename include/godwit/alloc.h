/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - getting and giving back frames.
 *
 * Idea. A zoned buddy allocator with per-CPU lists in front of it, as Linux has it (FACTS 2.2):
 * pageblocks group frames by migratetype, a request falls back to other types by claiming a
 * whole block or stealing one, watermarks keep reserves. A request that may wait and finds nothing
 * reclaims, and compacts for a high order, before it gives up (D16).
 */
#ifndef GODWIT_ALLOC_H
#define GODWIT_ALLOC_H

#include "types.h"

typedef uint32_t gw_gfp_t;

#define GW_GFP_MOVABLE	      0x0001 /* the page may be migrated */
#define GW_GFP_RECLAIMABLE    0x0002 /* the page can be given up on demand */
#define GW_GFP_HIGH	      0x0004 /* may dip into reserves (half of min) */
#define GW_GFP_DIRECT_RECLAIM 0x0008 /* the caller may wait for compaction and reclaim */
#define GW_GFP_IO	      0x0010 /* ... which may start I/O */
#define GW_GFP_FS	      0x0020 /* ... and call into file systems */
#define GW_GFP_NORETRY	      0x0040 /* one light try, then fail */
#define GW_GFP_NOFRAGMENT     0x0080 /* do not mix types inside a pageblock */
#define GW_GFP_THISNODE	      0x0100 /* the given node or nothing */
#define GW_GFP_NO_WATERMARKS  0x0200 /* ignore watermarks */
#define GW_GFP_ZERO	      0x0400 /* for machines with bytes: cleared */

#define GW_GFP_KERNEL	    (GW_GFP_DIRECT_RECLAIM | GW_GFP_IO | GW_GFP_FS)
#define GW_GFP_USER_MOVABLE (GW_GFP_KERNEL | GW_GFP_MOVABLE)
#define GW_GFP_ATOMIC	    GW_GFP_HIGH

/*
 * Allocate 2^order adjacent frames, aligned to their size.
 *
 *   gfp    GW_GFP_* of the request
 *   node   preferred node; nearer nodes' zones first, then the others (zonelist order)
 *   order  log2 of the number of frames, 0 .. the machine's max_order
 *   out    written only on success: the first frame. Order > 0: a compound page.
 *
 * Ownership: the caller holds the page's only reference; gw_put_page() gives it back.
 * Returns 0, -EINVAL (order, node), -ENOMEM.
 * Threads: any attached task. Sleeps only with GW_GFP_DIRECT_RECLAIM.
 */
GW_MUST_CHECK int gw_alloc_pages(
	struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out);

#define GW_ALL_NODES UINT64_MAX

/* The same from these nodes only, a bit each, the one nearest to `node` first. THISNODE is not
 * asked. */
GW_MUST_CHECK int gw_alloc_pages_nodes(struct gw_machine *m, gw_gfp_t gfp, unsigned node,
	uint64_t nodes, unsigned order, gw_pfn_t *out);

/* One more reference on the (compound) page of `pfn`, which the caller already holds. */
void gw_get_page(struct gw_machine *m, gw_pfn_t pfn);

/* A reference if the page still has one (C8): false if it is free or frozen. Any frame. */
GW_MUST_CHECK bool gw_get_page_unless_zero(struct gw_machine *m, gw_pfn_t pfn);

/* Drop a reference; the last one frees the page, with all frames of a compound page. */
void gw_put_page(struct gw_machine *m, gw_pfn_t pfn);

/* Give frames on per-CPU page lists back to the buddy allocator: this task's CPU, or all. */
void gw_drain_pages(struct gw_machine *m);
void gw_drain_all_pages(struct gw_machine *m);

/* Which list of its node's LRU a page is on. */
enum gw_lru {
	GW_LRU_INACTIVE_ANON,
	GW_LRU_ACTIVE_ANON,
	GW_LRU_INACTIVE_FILE,
	GW_LRU_ACTIVE_FILE,
	GW_LRU_UNEVICTABLE,
	GW_LRU_NR
};

/* From which of them an isolation takes pages (D1). Unevictable pages count as inactive. */
enum gw_isolate_mode { GW_ISOLATE_INACTIVE = 0, GW_ISOLATE_ACTIVE = 1, GW_ISOLATE_BOTH = 2 };

/*
 * Put a page that the caller holds a reference on to an LRU list, by way of this CPU's batch
 * (D21). The LRU keeps a reference of its own from then on only while batched; on the list
 * it holds none: the page leaves the list when its last reference goes.
 */
void gw_lru_add(struct gw_machine *m, gw_pfn_t pfn, enum gw_lru lru);

/* Move batched pages to their lists: this task's CPU (D21), or all CPUs (D22, D14). */
void gw_lru_add_drain(struct gw_machine *m);
void gw_lru_add_drain_all(struct gw_machine *m);

/* Pages on a node's LRU list, batches not counted. */
uint64_t gw_lru_count(const struct gw_machine *m, unsigned node, enum gw_lru lru);

#endif
