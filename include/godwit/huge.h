/* SPDX-License-Identifier: MIT */
/*
 * huge.h - large pages of anonymous memory: which sizes faults try, and splitting (FACTS 1.2, 2.4).
 *
 * Idea. A page of order 2 to 9 behaves as one page: one owner, one lock, one reference count, one
 * place on an LRU list. One of order 9, naturally aligned, is mapped by a single entry of the
 * second level (a huge entry); others, and parts, by an entry for each frame. Splitting undoes the
 * page and may fail; splitting a huge entry, which unmapping a part does, cannot.
 */
#ifndef GODWIT_HUGE_H
#define GODWIT_HUGE_H

#include "migrate.h"
#include "types.h"

#define GW_HUGE_ORDER	   9 /* of a huge page: 2 MiB */
#define GW_LARGE_ORDER_MIN 2 /* the smallest that faults try */

/* Where faults may use large pages. */
enum gw_thp_enabled {
	GW_THP_NEVER,
	GW_THP_MADVISE, /* after GW_MADV_HUGEPAGE */
	GW_THP_ALWAYS	/* but not after GW_MADV_NOHUGEPAGE */
};

struct gw_thp_tunables {
	enum gw_thp_enabled enabled;
	uint32_t orders; /* bit o: order o, 2 .. 9 */
	unsigned
		max_ptes_none; /* a huge page with more zero-filled frames is underused; 0 .. 511 */
	bool shrink_underused; /* underused huge pages are split under pressure */
};

/* Linux's defaults: madvise, order 9 alone; 511, so that no huge page counts as underused. */
void gw_thp_tunables_init(struct gw_thp_tunables *tunables);
/* From now on. The machine is idle. 0 or -EINVAL (an order out of range, max_ptes_none too large),
 * with nothing changed. */
GW_MUST_CHECK int gw_machine_set_thp(struct gw_machine *m, const struct gw_thp_tunables *tunables);

/*
 * Split the large page of frame `page` (engine/huge/split.c has the steps).
 *
 *   page       any frame of it (B1); the page is locked, anonymous and of order > 0 (fatal
 *              otherwise, B2). The caller holds one reference and nobody else any but its entries
 *   new_order  of the pieces: 0, or 2 up to one less than the page's order
 *   list       NULL: pieces stand on the LRU list next to the head if it is on one (B12). Else the
 *              page is isolated, and all pieces but the head's are added to the list, isolated too
 *
 * On success the piece that `page` is part of is locked and has the caller's reference; all others
 * are neither, and those that nobody maps are free (B15). Entries keep write, dirty, young and
 * soft-dirty.
 * Returns 0; -EBUSY: somebody holds it (pinned), it is mapped nowhere, or on an exec's temporary
 * stack (a huge entry may be split, else nothing has changed); -EINVAL: new_order.
 * Any attached task; sleeps.
 */
GW_MUST_CHECK int gw_split_huge(struct gw_machine *m, gw_pfn_t page);
GW_MUST_CHECK int gw_split_huge_to_list(
	struct gw_machine *m, gw_pfn_t page, struct gw_page_list *list);
GW_MUST_CHECK int gw_split_huge_to_order(
	struct gw_machine *m, gw_pfn_t page, unsigned new_order, struct gw_page_list *list);
/*
 * The same, but only the piece around `page` is of new_order: what is left stays as large as it can
 * (FACTS 2.4: the third eighth-frame piece of a huge page leaves orders 4, {3}, 3, 5, 6, 7, 8).
 */
GW_MUST_CHECK int gw_split_huge_around(struct gw_machine *m, gw_pfn_t page, unsigned new_order);

#endif
