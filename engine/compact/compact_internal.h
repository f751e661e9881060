/* SPDX-License-Identifier: MIT */
/*
 * compact_internal.h - one run of compaction over one zone, shared by the files of this room.
 *
 * Idea. A run owns a list of isolated source pages and the free blocks it holds as targets, by
 * order. Frames it holds are in use by nobody and on no list of the zone; they leave as new
 * pages of migration or go back to the buddy lists when the run ends.
 *
 * Invariants
 *   C1  n_held == sum over o of held[o].n << o
 *   C2  between batches sources is empty and n_wanted is 0
 *   C3  a run holds no lock while it migrates
 */
#ifndef GW_COMPACT_INTERNAL_H
#define GW_COMPACT_INTERNAL_H

#include "engine/phys/phys.h"
#include "godwit/compact.h"

#define GW_COSTLY_ORDER	   3 /* above it, a request is known to be hard (FACTS 3.6) */
#define GW_DEFER_SHIFT_MAX 6

struct gw_compact_run {
	struct gw_machine *m;
	struct gw_zone *zone;
	const struct gw_compact_request *request;
	gw_pfn_t migrate_pfn; /* next frame the migration scanner looks at */
	gw_pfn_t free_pfn; /* next frame the free scanner looks at; its pageblock's end bounds it */
	bool whole_zone;   /* the migration scanner started at the bottom */
	bool rest_of_block; /* this batch goes to the end of its pageblock, however many pages */
	bool contended;	    /* gave way to others, or interrupted */
	bool stopped;	    /* the caller wanted the run to end at a stop point */
	struct gw_page_list sources;
	uint64_t n_wanted; /* frames of sources that no target was given for yet */
	struct gw_page_list held[GW_ORDERS_MAX];
	uint64_t n_held; /* frames */
	struct gw_compact_stats stats;
};

void gw_compact_run_init(
	struct gw_compact_run *run, struct gw_zone *zone, const struct gw_compact_request *request);

/* ---- sources: scan_migrate.c ---- */

enum gw_scan_end {
	GW_SCAN_TAKEN, /* pages stand in run->sources */
	GW_SCAN_NONE,  /* a pageblock gave nothing, or the scanners met */
	GW_SCAN_ABORT, /* too many pages are isolated already (D12) */
	GW_SCAN_STOP   /* request->stop_at is reached */
};

/* Isolate the next batch. */
enum gw_scan_end gw_scan_migrate(struct gw_compact_run *run);

/* Wait until this node has few enough isolated pages (D12); false: give up. */
bool gw_isolation_allowed(const struct gw_compact_run *run);

/* Can compaction move this page? A hint: gw_isolate_page() decides. Large ones by `order_limit`. */
bool gw_is_source(
	const struct gw_compact_run *run, gw_pfn_t pfn, uint32_t flags, unsigned order_limit);

/* ---- targets: held.c, scan_free.c ---- */

/* Take the free block at pfn, which was seen as `flags` without the lock, out of the buddy lists
 * and hold it. Zone lock held. 0: refused by the watermark, or no longer a free block. */
gw_pfn_t gw_hold_free_block(struct gw_compact_run *run, gw_pfn_t pfn, uint32_t flags);
/* A page of `order` from what is held, split downwards (FACTS 3.7). */
bool gw_serve_held(struct gw_compact_run *run, unsigned order, gw_pfn_t *out);
/* An unused new page is held again (A1); if somebody looked it up meanwhile, he frees it. */
void gw_hold_again(struct gw_compact_run *run, gw_pfn_t pfn, unsigned order);
/* Give everything held back to the buddy lists; returns the highest frame, or 0. */
gw_pfn_t gw_release_held(struct gw_compact_run *run);

/* Hold free blocks, from the free scanner's position down, until n_wanted frames are held. */
void gw_scan_free(struct gw_compact_run *run);

/* May migration put pages into this pageblock? MOVABLE and CMA only (D10). */
bool gw_is_target_type(const struct gw_machine *m, gw_pfn_t pfn);

/* ---- the rest ---- */

static inline bool
gw_scanners_met(const struct gw_compact_run *run)
{
	unsigned shift = run->m->config.pageblock_order;

	return run->free_pfn >> shift <= run->migrate_pfn >> shift;
}

static inline bool
gw_compact_interrupted(void)
{
	const struct gw_task *task = gw_current();

	return task && gw_task_interrupted(task);
}

/* What the allocation waits for was made by frames that its run has freed (FACTS 2.1). */
static inline bool
gw_compact_captured(void)
{
	const struct gw_task *task = gw_current();
	const struct gw_capture *capture = task ? task->capture : NULL;

	return capture && capture->pfn != GW_PFN_NONE;
}

/* The score of a zone, and the mark at which proactive runs end (kcompactd.c). */
unsigned gw_zone_score(struct gw_zone *zone);
unsigned gw_proactive_low_mark(const struct gw_machine *m);

/* Room for the copies, the watermark part of suitability (D17): how many frames it lacks, and
 * whether it lacks none. */
uint64_t gw_compact_lacks_room(const struct gw_zone *zone, unsigned order);
bool gw_compact_has_room(const struct gw_zone *zone, unsigned order);

/* Is there what the request wants, in its hands or free? */
bool gw_compact_goal_reached(const struct gw_compact_run *run);

/* ---- the second planner: evacuate.c, evacuate_one.c ---- */

/* Many regions, or the whole zone; one region for an allocation. Both return the result and fill
 * run->stats. */
enum gw_compact_result gw_evacuate(struct gw_compact_run *run);
enum gw_compact_result gw_evacuate_one(struct gw_compact_run *run);

/* Move all pages out of [start, end), if all can be isolated: 0, or as gw_migrate_pages(). */
int gw_empty_region(struct gw_compact_run *run, gw_pfn_t start, gw_pfn_t end,
	const struct gw_migrate_target *target);
/* Does one free block cover the aligned block at pfn? A hint without the zone lock. */
bool gw_is_free_block(const struct gw_machine *m, gw_pfn_t pfn, unsigned order);

#endif
