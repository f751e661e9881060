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

#endif
