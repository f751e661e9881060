/* SPDX-License-Identifier: MIT */
/*
 * balloon.h - memory that is given back to the host (FACTS A5, A12, 3.5).
 *
 * Idea. A machine that is somebody's guest takes frames out of its own use and tells its host that
 * nothing in them matters: the host may use what is behind them. Whole pageblocks first, so that
 * the host gets huge pages back. Frames in a balloon are movable pages, so they stand in the way of
 * no compaction and no offlining: a moved one is given at its new place and taken back at the old.
 */
#ifndef GODWIT_BALLOON_H
#define GODWIT_BALLOON_H

#include "types.h"

struct gw_balloon;

/* The host's end. Both are told of 2^order frames from `page` on; they do not call into the
 * machine, and may be called with page locks held. */
struct gw_balloon_driver {
	/* The frames are the host's from now on. 0, or a negative errno: the host does not want
	 * them (now), and nothing has changed. */
	int (*give)(void *ctx, gw_pfn_t page, unsigned order);
	/* They are the machine's again, with any bytes: also parts of what was given, naturally
	 * aligned. Cannot fail. */
	void (*take_back)(void *ctx, gw_pfn_t page, unsigned order);
	void *ctx;
};

/*
 * An empty balloon. driver is copied; its ctx outlives the balloon. 0 or -ENOMEM. The caller owns
 * it and destroys it before the machine.
 */
GW_MUST_CHECK int gw_balloon_create(
	struct gw_machine *m, const struct gw_balloon_driver *driver, struct gw_balloon **out);
/* All frames are taken back. No other call on it, and no migration, is in progress. NULL is fine.
 */
void gw_balloon_destroy(struct gw_balloon *balloon);

/*
 * Give the host `n` frames, one by one: those that are free, reclaiming nothing for it. Returns how
 * many it got: fewer when there are none left above the watermarks or the host declines.
 * Counts balloon_inflate, in frames. Any attached task.
 */
uint64_t gw_balloon_inflate(struct gw_balloon *balloon, uint64_t n);

/*
 * The same in whole pageblocks, `n` of them: each of it one page of the host's. Compacts for them.
 * Returns how many it got. Sleeps.
 */
uint64_t gw_balloon_inflate_blocks(struct gw_balloon *balloon, uint64_t n);

/*
 * Take `n` frames back; single ones before pageblocks, of which the last may be taken in part.
 * Frames that are being migrated stay. Returns how many came back. Counts balloon_deflate.
 * This is also what an owner does under memory pressure: from any attached task that holds no page
 * lock, on a machine whose tasks wait for memory, since no memory is needed for it. Sleeps.
 */
uint64_t gw_balloon_deflate(struct gw_balloon *balloon, uint64_t n);

/* Frames in the balloon (nr_balloon_pages); a moment's figure. Any thread. */
uint64_t gw_balloon_frames(const struct gw_balloon *balloon);

#endif
