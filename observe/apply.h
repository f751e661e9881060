/* SPDX-License-Identifier: MIT */
/*
 * apply.h - what compaction gave on the live host, beside what the plan had said.
 *
 * Idea. Whoever acts on the host fills this in; the reports only read it. Blocks are counted
 * in units of the order asked for, everything else in frames.
 *
 * Invariants
 *   P1  zones[] are those acted upon: all of the host's, or one node's
 *   P2  a run's ends are known only where trace_missing is empty
 */
#ifndef GODWIT_OBSERVE_APPLY_H
#define GODWIT_OBSERVE_APPLY_H

#include "godwit/plan.h"
#include "observe/report.h"

struct gw_apply_zone {
	int node;
	char name[GW_ZONE_NAME_MAX];
	gw_pfn_t start, end;
	unsigned n_orders;
	uint64_t free_blocks_before[GW_ORDERS_MAX], free_blocks_after[GW_ORDERS_MAX];
	uint64_t available_before, available_after, available_predicted;
	uint64_t held_before, held_after; /* on per-CPU lists */
};

/* How a run ended in one zone, as the kernel's tracepoint says. */
struct gw_apply_end {
	unsigned zone; /* index into zones[] */
	enum gw_compact_result result;
	gw_pfn_t migrate_pfn, free_pfn;
	/* Where it ended contended: the large folio that the scanner took last, 0 pages: none. */
	gw_pfn_t folio;
	unsigned folio_pages;
	gw_frame_t frame; /* its head */
};

/* One write to compact_memory and what came of it. */
struct gw_apply_run {
	uint64_t ns; /* of the write alone */
	uint64_t available_before, available_after;
	uint64_t migrated, failed; /* vmstat pgmigrate_* */
	uint64_t held;		   /* on per-CPU lists when the wait was over */
	uint64_t settle_ms;
	struct gw_apply_end ends[GW_ZONES_MAX];
	unsigned n_ends;
};

enum gw_apply_outcome {
	GW_APPLY_ALREADY,  /* as many were free before */
	GW_APPLY_REACHED,  /* as many are free now */
	GW_APPLY_NO_GAIN,  /* the last run gained nothing */
	GW_APPLY_MAX_RUNS, /* fewer, after as many runs as were allowed */
	GW_APPLY_DRY_RUN   /* nothing was done */
};

/* The host's pool of huge pages, with --reserve. */
struct gw_apply_pool {
	char path[128];		/* of the file that sets its size */
	uint64_t before, given; /* huge pages; given: at most, while it was tried */
	bool written;		/* its size was set, once or more */
	bool complete;		/* all were given, and stay */
	bool restored;		/* the file says `before` again */
};

struct gw_apply {
	unsigned order;
	uint64_t count;	 /* asked for */
	uint64_t wanted; /* free blocks that takes: less what the pool holds already */
	int node;	 /* -1: all */
	bool reserve;
	unsigned max_runs, settle_seconds;
	char compact_path[128];
	const struct gw_plan *plan; /* of one full run */
	struct gw_apply_zone zones[GW_ZONES_MAX];
	unsigned n_zones;
	struct gw_apply_run *runs; /* room for max_runs */
	unsigned n_runs;
	enum gw_apply_outcome outcome;
	struct gw_apply_pool pool;
	char trace_missing[GW_MESSAGE_MAX]; /* why no tracepoint was read; "" */
	uint64_t predicted_pages;	    /* moved by one full run */
	/* Where the first run ended early in a zone: the plan of a run that ends there. */
	bool has_stop;
	uint64_t stop_available, stop_pages;
};

/* N can be had now, or was reserved: what the exit status says. */
bool gw_apply_succeeded(const struct gw_apply *apply);

/* `snap`: what the plan was made of. */
void gw_report_apply(
	const struct gw_report *r, const struct gw_snapshot *snap, const struct gw_apply *apply);
/* One JSON object and a newline. Returns 0 or -ENOMEM. */
GW_MUST_CHECK int gw_json_apply(
	FILE *out, const struct gw_snapshot *snap, const struct gw_apply *apply);

#endif
