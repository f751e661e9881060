/* SPDX-License-Identifier: MIT */
/*
 * compact.h - making free memory contiguous (FACTS 1.4, 2.1, 3.7).
 *
 * Idea. Two planners free whole blocks by moving pages. SCANNERS is Linux's: a migration scanner
 * climbs from the bottom, a free scanner descends from the top, and the run ends where they meet.
 * EVACUATE frees the cheapest pageblocks first (DESIGN 7). Both stop when a target is reached.
 */
#ifndef GODWIT_COMPACT_H
#define GODWIT_COMPACT_H

#include "types.h"
#include "migrate.h"

/* Results, in the kernel's order: over several zones the largest counts (D13). */
enum gw_compact_result {
	GW_COMPACT_NOT_SUITABLE_ZONE = 0,
	GW_COMPACT_SKIPPED = 1,
	GW_COMPACT_DEFERRED = 2,
	GW_COMPACT_NO_SUITABLE_PAGE = 3,
	GW_COMPACT_CONTINUE = 4,
	GW_COMPACT_COMPLETE = 5,
	GW_COMPACT_PARTIAL_SKIPPED = 6,
	GW_COMPACT_CONTENDED = 7,
	GW_COMPACT_SUCCESS = 8
};

const char *gw_compact_result_name(enum gw_compact_result result); /* as tracepoints print it */

enum gw_planner { GW_PLANNER_SCANNERS, GW_PLANNER_EVACUATE };

#define GW_CLUSTER_MAX 32 /* pages per isolated batch (D9) */

/* A large page that had no target of its size: a run may end there (FACTS 3.7). */
struct gw_stop_point {
	gw_pfn_t page; /* its first frame */
	unsigned order;
	gw_pfn_t migrate_pfn; /* where the migration scanner stands */
	uint64_t migrated;    /* frames moved before it */
};

/* What to do. A zeroed request with order = -1 and mode = SYNC is `compact_memory`. */
struct gw_compact_request {
	enum gw_planner planner;
	int order;	/* stop when a block of this order is free; -1: compact the whole zone */
	uint64_t count; /* with order >= 0: stop when this many blocks are free; 0 counts as 1 */
	enum gw_migrate_mode mode;
	enum gw_migratetype migratetype; /* of the request, for async runs (FACTS 2.1) */
	bool direct;	  /* on behalf of an allocation: async runs skip foreign pageblocks */
	bool whole_zone;  /* start at the zone's ends, not at the cached positions */
	bool ignore_skip; /* scan pageblocks whose skip bit is set */
	bool no_fs;	  /* GFP_NOFS: the larger isolation limit (R12) */
	/* With order -1: SUCCESS as soon as the zone's score is at the low mark, PARTIAL_SKIPPED
	 * when the node's background reclaim is at work. */
	bool proactive;
	/*
	 * End when the migration scanner has reached it, and put the batch that got there back:
	 * what is left when the kernel gives up in the middle of a batch (FACTS 3.7). 0: no.
	 */
	gw_pfn_t stop_at;
	/* A large page had no target; return true to end the run CONTENDED there. May be NULL. */
	bool (*on_stop_point)(void *ctx, struct gw_machine *m, const struct gw_stop_point *at);
	void *ctx;
};

struct gw_compact_stats {
	enum gw_compact_result result;
	struct gw_migrate_stats migrate;
	uint64_t migrate_scanned, free_scanned, isolated; /* frames; isolated counts both sides */
	gw_pfn_t migrate_pfn, free_pfn;			  /* where the scanners ended */
	uint64_t blocks_freed;				  /* EVACUATE: pageblocks emptied */
};

/* How many free blocks a zone has in units of `order`: larger blocks count as several. */
uint64_t gw_zone_available(struct gw_machine *m, unsigned zone, unsigned order);

/*
 * Compact one zone.
 *   stats  filled; may be NULL
 * Returns the result, also in stats. Any attached task; sleeps unless ASYNC.
 */
enum gw_compact_result gw_compact_zone(struct gw_machine *m, unsigned zone,
	const struct gw_compact_request *request, struct gw_compact_stats *stats);

/* `echo 1 > compact_memory` (D14) and .../nodeN/compact (D15): whole zones, SYNC, hints ignored. */
void gw_compact_all_zones(struct gw_machine *m);
GW_MUST_CHECK int gw_compact_node(struct gw_machine *m, unsigned node); /* 0, -EINVAL */

/* The suitability of a zone for compacting towards `order` (D17, D18): CONTINUE, SKIPPED,
 * SUCCESS (already there) or NOT_SUITABLE_ZONE. */
enum gw_compact_result gw_compact_suitable(struct gw_machine *m, unsigned zone, int order);

/* Exponential deferral, per zone (D19, D20; vectors in FACTS). Any attached task. */
bool gw_compact_deferred(struct gw_machine *m, unsigned zone, unsigned order);
void gw_compact_defer(struct gw_machine *m, unsigned zone, unsigned order);
void gw_compact_defer_reset(struct gw_machine *m, unsigned zone, unsigned order, bool success);
bool gw_compact_restarting(struct gw_machine *m, unsigned zone, unsigned order);

/*
 * What an allocation does that finds no block of its order: compact with the scanners, as Linux
 * does, at first; with EVACUATE, which isolates the cheapest region of a part of the zone, and of
 * the next part if that cannot be emptied; or nothing but reclaim.
 */
enum gw_direct_compaction { GW_DIRECT_SCANNERS, GW_DIRECT_EVACUATE, GW_DIRECT_OFF };
/* From the next allocation on. Background compaction stays as it is. 0 or -EINVAL. Any thread. */
GW_MUST_CHECK int gw_compact_set_direct(struct gw_machine *m, enum gw_direct_compaction direct);

/*
 * Be the node's background compaction (FACTS 2.1): for high orders that background reclaim has made
 * room for; and proactively, when the machine's clock says so and free memory is fragmented. Sleeps
 * until woken; gw_kcompactd_tick(), called at least twice a second of the machine's clock, wakes
 * those whose time has come. Returns when gw_kcompactd_stop() was called. The caller is an
 * attached task that does nothing else; one a node.
 */
void gw_kcompactd(struct gw_machine *m, unsigned node);
/* End gw_kcompactd() of a node, or the next one if none runs. Any attached task. */
void gw_kcompactd_stop(struct gw_machine *m, unsigned node);
/* What it would do now, without sleeping for a wake-up. Returns when it is due next, in ns of the
 * machine's clock (1: at once). */
uint64_t gw_kcompactd_step(struct gw_machine *m, unsigned node);
void gw_kcompactd_tick(struct gw_machine *m); /* any thread */
/* Somebody may soon want a block of this order. Any attached task; never sleeps. */
void gw_wake_kcompactd(struct gw_machine *m, unsigned node, unsigned order);
/* vm.compaction_proactiveness, 0 .. 100: low mark max(100 - it, 5), high mark 10 above. Unless it
 * is 0, nodes are looked at at once. 0 or -EINVAL. Any attached task. */
GW_MUST_CHECK int gw_compact_set_proactiveness(struct gw_machine *m, unsigned proactiveness);
/* How fragmented a node's free memory is, 0 .. 100 (FACTS 1.5, 2.1). Any attached task. */
unsigned gw_node_score(struct gw_machine *m, unsigned node);

/* Forget all skip bits and cached positions of a zone. */
void gw_compact_reset_skip(struct gw_machine *m, unsigned zone);

#endif
