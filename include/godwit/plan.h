/* SPDX-License-Identifier: MIT */
/*
 * plan.h - what compaction would give on a host, what it costs, what stands in the way.
 *
 * Idea. A plan builds the twin of a snapshot, runs one of the planners on it, and compares
 * before with after. Nothing touches the host.
 */
#ifndef GODWIT_PLAN_H
#define GODWIT_PLAN_H

#include "types.h"
#include "compact.h"
#include "snapshot.h"
#include "twin.h"

/*
 * Measured on Linux 6.18 (2 cores, x86-64): eight recorded runs of compact_memory fit 1.75 us a
 * migrated page and 3 ns a scanned frame, as the kernel's counters count them (data/README.md).
 */
#define GW_PLAN_NS_PER_PAGE    1750
#define GW_PLAN_NS_PER_SCANNED 3

/* A host rests about that long between a snapshot and the run that it was taken for. */
#define GW_PLAN_REST_SECONDS 30

struct gw_plan_request {
	unsigned order; /* of the blocks wanted */
	uint64_t count; /* how many are wanted; 0: as many as can be had */
	enum gw_planner planner;
	bool reclaim_clean;
	unsigned rest_seconds; /* from the snapshot to the run (gw_twin_options) */
	gw_pfn_t stop_at;      /* SCANNERS: end there (gw_compact_request); 0: full run */
	uint64_t ns_per_page, ns_per_scanned;
};

/* Frames of one kind that stand in the way, and where. */
struct gw_blocker {
	uint64_t pages;	     /* unmovable frames of this kind, in blocks that also hold others */
	uint64_t pageblocks; /* pageblocks with at least one of them */
	uint64_t sole;	     /* pageblocks blocked by this kind alone: freed if it went */
};

struct gw_plan_zone {
	char name[GW_ZONE_NAME_MAX];
	int node;
	gw_pfn_t start, end;
	unsigned n_orders;
	uint64_t free_blocks_before[GW_ORDERS_MAX], free_blocks_after[GW_ORDERS_MAX];
	uint64_t available_before, available_after; /* in units of the order */
	/* after, as long as per-CPU lists keep what was freed to them (FACTS 3.7): a floor */
	uint64_t available_after_held;
	uint64_t pages_migrated, migrate_scanned, free_scanned; /* frames */
	uint64_t pages_failed;
	enum gw_compact_result result;
	gw_pfn_t migrate_pfn, free_pfn;
	struct gw_blocker blockers[GW_KIND_NR];
	struct gw_twin_notes notes;
};

/* A large folio on which the kernel's own run may end early, and what it would leave. */
struct gw_plan_stop {
	unsigned zone;
	gw_pfn_t page;
	unsigned order;
	enum gw_kind kind;
	bool likely; /* dirty, or with private data: the kind that cannot be split */
	gw_pfn_t migrate_pfn;
	uint64_t pages_migrated;
	uint64_t available_after; /* of all zones, in units of the order */
};

struct gw_plan {
	struct gw_plan_request request;
	struct gw_plan_zone *zones;
	unsigned n_zones;
	struct gw_plan_zone total; /* name "total", node -1 */
	bool enough;		   /* request.count can be had */
	uint64_t bytes_copied;
	double seconds_estimate;
	struct gw_plan_stop *stops; /* in the order of the run; the first GW_PLAN_STOPS_MAX */
	unsigned n_stops;
	uint64_t n_stops_total;
	/* With the answer no: what clean page cache dropped first would give. */
	uint64_t available_if_clean_dropped; /* only if `tried_clean` */
	bool tried_clean;
	uint64_t reclaimable_frames; /* clean unmapped file pages */
	/* One entry per pageblock of the map, for pictures. */
	struct gw_block_contents *before, *after;
	gw_pfn_t n_blocks;
	unsigned pageblock_order;
	uint64_t load_ns, build_ns, run_ns; /* where the time went; load_ns is the caller's */
};

#define GW_PLAN_STOPS_MAX 64

void gw_plan_request_init(struct gw_plan_request *request); /* order 9, scanners, defaults */

/*
 * Plan on `snap` (completed in place, see gw_twin_create(); where the answer is no its clean page
 * cache counts as dropped afterwards, from the second try).
 *   out  filled on success; gw_plan_free()
 * Returns 0, -EINVAL (err says why), -ENOMEM.
 */
GW_MUST_CHECK int gw_plan_make(struct gw_snapshot *snap, const struct gw_plan_request *request,
	struct gw_plan *out, struct gw_error *err);
void gw_plan_free(struct gw_plan *plan);

#endif
