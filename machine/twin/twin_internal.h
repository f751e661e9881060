/* SPDX-License-Identifier: MIT */
/* twin_internal.h - what the files of the twin share. */
#ifndef GW_MACHINE_TWIN_INTERNAL_H
#define GW_MACHINE_TWIN_INTERNAL_H

#include "godwit/godwit.h"

struct gw_twin {
	struct gw_snapshot *snap;
	struct gw_machine *machine;
	struct gw_task task;	     /* the thread that made the twin, until it is destroyed */
	struct gw_twin_notes *notes; /* per zone of the snapshot */
};

/* Frames of one zone of the snapshot: [start, end). */
struct gw_range {
	gw_pfn_t start, end;
};

struct gw_range gw_twin_zone_range(const struct gw_snapshot *snap, unsigned zone);

/* Clean page cache on an LRU list that nobody maps: what "drop caches" would free. */
bool gw_frame_is_droppable(gw_frame_t frame);

/*
 * Turn every NOFLAG frame of a zone into PCP or KERNEL, and give its pageblocks their migratetypes
 * (infer.c). Before its frames are seeded. 0, -ENOMEM.
 */
int gw_infer_zone(
	struct gw_snapshot *snap, unsigned zone, struct gw_machine *m, struct gw_twin_notes *notes);

/* Cut a zone's free frames into blocks, in agreement with buddyinfo, and seed them (blocks.c). */
int gw_seed_free_frames(const struct gw_snapshot *snap, unsigned zone, struct gw_machine *m,
	struct gw_twin_notes *notes);

#endif
