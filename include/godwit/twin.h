/* SPDX-License-Identifier: MIT */
/*
 * twin.h - a machine in the state of a real host.
 *
 * Idea. The twin sets every frame of a machine to what a snapshot says the host's frame is, and
 * infers what the snapshot does not say: which of the frames without any flag are free on per-CPU
 * lists, the type of each pageblock, and how adjacent free frames are cut into blocks. What it
 * inferred, and how sure it is, stands in gw_twin_notes.
 *
 * Invariants
 *   T1  per zone, frames placed on per-CPU lists == the host's own count, as far as frames
 *       without a flag exist
 *   T2  per zone, pageblocks of each type == pagetypeinfo's totals
 *   T3  a page's kind travels with it: gw_frame_info().index is the gw_frame_t of its head
 */
#ifndef GODWIT_TWIN_H
#define GODWIT_TWIN_H

#include "types.h"
#include "kind.h"
#include "machine.h"
#include "snapshot.h"

struct gw_twin;

/* What was inferred for one zone, and how well it fits. Frames unless said otherwise. */
struct gw_twin_notes {
	uint64_t noflag;       /* frames in RAM without any flag */
	uint64_t pcp_reported; /* zoneinfo count, all CPUs */
	uint64_t pcp_placed;   /* taken to be on per-CPU lists */
	uint64_t pcp_drained;  /* of these, drained while the host rests (gw_twin_options) */
	uint64_t pcp_certain;  /* of these, in pageblocks without any sign of the kernel's own pages
				*/
	unsigned pcp_confidence;  /* percent: pcp_certain of pcp_placed; 100 if none reported */
	uint64_t unmanaged;	  /* never given to the allocator, by zoneinfo; taken as reserved */
	uint64_t kernel_inferred; /* taken to be untyped kernel pages */
	uint64_t torn_folios; /* folios: a head without its tails, or tails without their head */
	uint64_t torn_blocks; /* free blocks, by the frames' flags, that buddyinfo does not confirm
			       */
	int64_t free_difference; /* BUDDY frames - zoneinfo's free: the snapshot's own skew */
	uint64_t pageblocks_inferred[GW_MT_NR]; /* blocks */
};

struct gw_twin_options {
	bool reclaim_clean; /* clean file pages that nobody maps count as free: "drop caches first"
			     */
	/*
	 * Seconds between the snapshot and what is to happen. Per-CPU lists give back about
	 * 32 batches a second each, down to their high_min (FACTS 3.7); gw_twin_rest() lets that
	 * pass.
	 */
	unsigned rest_seconds;
};

/*
 * Build the twin of `snap`. The snapshot's frames are completed in place (NOFLAG becomes PCP or
 * KERNEL; with reclaim_clean dropped pages become BUDDY) and it must outlive the twin.
 *   options  NULL: none
 * Returns 0, -EINVAL (err says what contradicts itself), -ENOMEM.
 */
GW_MUST_CHECK int gw_twin_create(struct gw_snapshot *snap, const struct gw_twin_options *options,
	struct gw_twin **out, struct gw_error *err);
void gw_twin_destroy(struct gw_twin *twin);

/* Let the host rest: the per-CPU frames that drain by themselves become buddy blocks. */
void gw_twin_rest(struct gw_twin *twin);

/* The machine inside; zones are in the snapshot's order. Lives as long as the twin. */
struct gw_machine *gw_twin_machine(struct gw_twin *twin);
const struct gw_twin_notes *gw_twin_notes(const struct gw_twin *twin, unsigned zone);

/* What stands in a pageblock. Counts of frames, by kind; the sum is the block's length. */
struct gw_block_contents {
	uint16_t kinds[GW_KIND_NR];
	uint16_t free, movable, reclaimable, unmovable, none;
	uint8_t migratetype; /* enum gw_migratetype, as the machine has it */
	uint8_t zone;	     /* index, 0xff: none */
	bool huge;	     /* one movable folio fills it */
};

/* The state of a pageblock for pictures and counts, from its contents. */
enum gw_block_state {
	GW_BLOCK_NONE,	   /* no memory */
	GW_BLOCK_FREE,	   /* all free */
	GW_BLOCK_SPARSE,   /* movable, below a third in use */
	GW_BLOCK_HALF,	   /* movable, below two thirds */
	GW_BLOCK_DENSE,	   /* movable, above */
	GW_BLOCK_HUGE,	   /* one huge page (THP or hugetlb) */
	GW_BLOCK_BLOCKED,  /* holds frames that cannot move */
	GW_BLOCK_RESERVED, /* nothing in it was ever given to the allocator */
	GW_BLOCK_STATES
};

/* Pageblocks of the map; block b covers frames [b << order, ...). */
gw_pfn_t gw_twin_blocks(const struct gw_twin *twin);
void gw_twin_block_contents(
	const struct gw_twin *twin, gw_pfn_t block, struct gw_block_contents *out);
enum gw_block_state gw_block_state(const struct gw_block_contents *c);

/* The kind of one frame now, after whatever moved. */
enum gw_kind gw_twin_frame_kind(const struct gw_twin *twin, gw_pfn_t pfn);

#endif
