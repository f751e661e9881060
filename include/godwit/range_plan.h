/* SPDX-License-Identifier: MIT */
/*
 * range_plan.h - could a host give up this range of memory, or gigantic pages; what is in the way?
 *
 * Idea. As for a plan (plan.h) the twin of a snapshot is built and asked, and then does it: takes
 * the range offline, or allocates it. Nothing touches the host. What offlining and allocating move
 * and compaction does not is taken into account: pages under write-back are waited for, and
 * pool pages up to a pageblock's size move to new ones when a range goes offline.
 */
#ifndef GODWIT_RANGE_PLAN_H
#define GODWIT_RANGE_PLAN_H

#include "types.h"
#include "contig.h"
#include "snapshot.h"

#define GW_RANGE_BLOCKERS_MAX 64

/* Frames in a row of one kind that stand in the way. */
struct gw_range_blocker {
	gw_pfn_t pfn, frames;
	enum gw_kind kind;
	enum gw_obstacle_why why;
};

/* One range: whether it can be had, and at what cost. Counts in frames. */
struct gw_range_plan {
	gw_pfn_t start, end;
	char zone[GW_ZONE_NAME_MAX]; /* of its first frame; "" if that is in none */
	int node;
	bool possible;
	/* What is wrong with the range as such, one clause; "": nothing is. */
	char refused[GW_MESSAGE_MAX];
	uint64_t free, movable, blocked, hugetlb; /* hugetlb: of the movable ones */
	uint64_t room;				  /* free elsewhere, above the min watermarks */
	uint64_t by_kind[GW_KIND_NR];		  /* of the blocked ones */
	struct gw_range_blocker blockers[GW_RANGE_BLOCKERS_MAX]; /* the first ones */
	unsigned n_blockers;
	uint64_t n_blockers_total;
	uint64_t pages_migrated; /* by the twin, if it is possible */
	double seconds_estimate;
};

/*
 * Can the frames [start, end) be taken offline (FACTS 1.6, 2.5)? `snap` is completed in place, and
 * no good for other plans afterwards.
 *   ns_per_page, ns_per_scanned  as in gw_plan_request
 * Returns 0, -EINVAL (err says why: an empty range, one beyond the map), -ENOMEM.
 */
GW_MUST_CHECK int gw_offline_plan_make(struct gw_snapshot *snap, gw_pfn_t start, gw_pfn_t end,
	uint64_t ns_per_page, uint64_t ns_per_scanned, struct gw_range_plan *out,
	struct gw_error *err);

/* Pages of this order (18: 1 GiB), in the order in which the kernel looks for them: node by node,
 * the highest zone first, ascending. */
struct gw_gigantic_plan {
	unsigned order;
	uint64_t count, had;	      /* wanted; that could be had */
	struct gw_range_plan *places; /* all that were looked at */
	unsigned n_places;
	uint64_t pages_migrated; /* for those that could be had */
	double seconds_estimate;
};

/* Could `count` of them be had (FACTS 2.1)? gw_gigantic_plan_free() afterwards. Errors as above. */
GW_MUST_CHECK int gw_gigantic_plan_make(struct gw_snapshot *snap, unsigned order, uint64_t count,
	uint64_t ns_per_page, uint64_t ns_per_scanned, struct gw_gigantic_plan *out,
	struct gw_error *err);
void gw_gigantic_plan_free(struct gw_gigantic_plan *plan);

#endif
