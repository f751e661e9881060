/* SPDX-License-Identifier: MIT */
/*
 * ksm.h - pages with equal bytes become one (kernel samepage merging; FACTS 3.5, R5, R9).
 *
 * Idea. Address spaces join an instance and mark ranges GW_MADV_MERGEABLE; gw_ksm_scan() goes round
 * their pages and merges those whose bytes are the same, and did not change since it last came
 * by. A write to a merged page gives the writer a private copy again (cow_ksm). Merged pages are
 * pages like others: they migrate, and are shared by forks.
 *
 * Not handled: merged pages are not swapped out; large pages and pages that a fork shares are not
 * merged.
 */
#ifndef GODWIT_KSM_H
#define GODWIT_KSM_H

#include "mm.h"
#include "types.h"

struct gw_ksm;

struct gw_ksm_tunables {
	/* Most places that one merged page is found in by rmap, 2 or more: what lies beyond gets
	 * another page with the same bytes, so no walk is longer. Linux: 256. */
	unsigned max_page_sharing;
};

void gw_ksm_tunables_init(struct gw_ksm_tunables *tunables);

/* An instance without members. 0, -EINVAL (a tunable), -ENOMEM. The caller owns it. */
GW_MUST_CHECK int gw_ksm_create(
	struct gw_machine *m, const struct gw_ksm_tunables *tunables, struct gw_ksm **out);

/*
 * Unmerge all pages and end the instance; members' ranges stay marked. Before the machine, with no
 * other call into its members in progress. 0; -EBUSY: a merged page is in somebody's hands (under
 * migration), or -ENOMEM: copies could not be had; the instance lives on then.
 */
GW_MUST_CHECK int gw_ksm_destroy(struct gw_ksm *ksm);

/*
 * mm's mergeable ranges are scanned from now on, and so are those of its children to come; until it
 * exits. 0 (also: it is a member already), -EBUSY (of another instance), -ENOMEM.
 * Any attached task.
 */
GW_MUST_CHECK int gw_ksm_join(struct gw_ksm *ksm, struct gw_mm *mm);

/*
 * Look at the next `n` pages of the members' mergeable ranges, at most up to the end of the round;
 * the next call begins another. Returns how many that were, or -EBUSY: another task scans. A page
 * is merged in the second round that finds it unchanged at the earliest, at once with a page that
 * is merged already. Any attached task; sleeps. Memory that cannot be had for bookkeeping leaves a
 * page unmerged for now.
 */
GW_MUST_CHECK int64_t gw_ksm_scan(struct gw_ksm *ksm, uint64_t n);

struct gw_ksm_info {
	uint64_t pages_shared;	/* merged pages */
	uint64_t pages_sharing; /* entries that map them, beyond the first of each: pages saved */
	uint64_t full_scans;	/* rounds that ended */
};

/* A moment's figures. 0, or -EBUSY: another task scans. */
GW_MUST_CHECK int gw_ksm_get_info(struct gw_ksm *ksm, struct gw_ksm_info *info);

#endif
