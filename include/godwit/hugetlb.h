/* SPDX-License-Identifier: MIT */
/*
 * hugetlb.h - pools of huge pages that are set aside (FACTS 1.1 row A13, 2.1, 3.5).
 *
 * Idea. A node has a pool of pages for each order. They were taken from the free lists beforehand,
 * through compaction if need be, and come back to the pool when their user is done: who maps them
 * knows that he will get them. Those of order GW_HUGE_ORDER can be mapped (GW_MAP_HUGETLB), each by
 * one entry that is never split. They are on no LRU list, never swapped, and not moved by
 * compaction; contiguous ranges and offlining move them, and replace free ones; so do move_pages
 * and mbind. What moves goes to a free page of a pool if there is one, so that pools keep their
 * sizes, else to one from the allocator, which takes its place in the pools.
 *
 * Gigantic pages have orders above the machine's max_order: 1 GiB is order 18. No free list has
 * them, so they come out of ranges that are emptied for them (contig.h), and go back in pieces.
 * They are not mapped, and nothing moves or replaces them.
 *
 * Invariants (gw_machine_check())
 *   H1  a pool page is free, on its node's list with the pool's reference, or in use
 *   H2  of an order there are never more reservations than free pages, all nodes together
 */
#ifndef GODWIT_HUGETLB_H
#define GODWIT_HUGETLB_H

#include "alloc.h"
#include "types.h"

#define GW_HUGETLB_ORDERS 19 /* orders of pages of the pools are below it */

/* Pages, not frames. */
struct gw_hugetlb_info {
	uint64_t total, free;
	uint64_t surplus;  /* of total: they leave the pool when their users are done */
	uint64_t reserved; /* of all nodes' free ones: promised to mappings */
};

/* 0, or -EINVAL: no such node, or no order from 1 to GW_HUGETLB_ORDERS - 1. */
GW_MUST_CHECK int gw_hugetlb_info(
	struct gw_machine *m, unsigned node, unsigned order, struct gw_hugetlb_info *out);

/*
 * Make the pool of a node `n` pages large, not counting surplus. Pages come from the buddy
 * allocator, which compacts for them: htlb_buddy_alloc_success and _fail; gigantic ones from the
 * first places of the node that can be emptied. Free, unreserved ones go back to it; of pages in
 * use the excess becomes surplus.
 * *got: how large it is now; smaller than n if memory was not to be had. 0 or -EINVAL.
 * Any attached task; sleeps.
 */
GW_MUST_CHECK int gw_hugetlb_resize(
	struct gw_machine *m, unsigned node, unsigned order, uint64_t n, uint64_t *got);

/* A page that nobody has reserved, of the nearest node that has one, with one reference;
 * gw_put_page() gives it back to the pool. Its bytes are anything. 0, -EINVAL, -ENOMEM. */
GW_MUST_CHECK int gw_hugetlb_alloc(
	struct gw_machine *m, unsigned node, unsigned order, gw_pfn_t *out);

/*
 * The free pool page at `pfn` leaves the pool, for another one of its node if the allocator has
 * one, else, or if it is gigantic, without, if it is not reserved. 0, or -EBUSY: it is none, or is
 * needed. Never sleeps.
 */
GW_MUST_CHECK int gw_hugetlb_dissolve(struct gw_machine *m, gw_pfn_t pfn);

#endif
