/* SPDX-License-Identifier: MIT */
/*
 * contig.h - given ranges of frames: allocated, taken offline and online (FACTS 1.6, 2.1, 2.5).
 *
 * Idea. Somebody wants these frames and no others: a device that needs its memory in one piece, or
 * an administrator who wants a memory block out. The pageblocks are isolated, so that nothing new
 * comes in; the pages that are in there move out; and what is free then is taken. A page that
 * cannot move stops it all: it is named, nothing is changed.
 *
 * All functions: any attached task, no lock held.
 */
#ifndef GODWIT_CONTIG_H
#define GODWIT_CONTIG_H

#include "types.h"
#include "alloc.h"

/* Why a frame stands in the way. */
enum gw_obstacle_why {
	GW_WHY_NOTHING,	  /* nothing is known to stand there */
	GW_WHY_UNMOVABLE, /* in use, and nobody knows how to move it */
	GW_WHY_RESERVED,  /* never given to the allocator, or offline */
	GW_WHY_CMA,	  /* of a pageblock that is kept for CMA requests; or is not, for those */
	GW_WHY_ISOLATED,  /* somebody else has isolated its pageblock */
	GW_WHY_PINNED,	  /* references that migration cannot account for */
	GW_WHY_WRITEBACK, /* being written */
	GW_WHY_NO_ROOM,	  /* movable, and there is no frame to move it to */
	GW_WHY_BUSY,	  /* locked, in migration or on its way to being free: it may go */
	GW_WHY_NR
};

struct gw_obstacle {
	gw_pfn_t pfn; /* the first frame of the page; GW_PFN_NONE: none */
	unsigned order;
	enum gw_obstacle_why why;
};

/* "pinned", ...; lives for ever. */
const char *gw_obstacle_name(enum gw_obstacle_why why);

/*
 * Allocate the frames [start, end), wherever pageblocks begin and end: as single pages, one
 * reference each, gw_free_contig() gives them back. Pages in there move elsewhere; a last try of up
 * to five rounds, then it is given up.
 *
 *   type  GW_MT_MOVABLE: from any pageblocks but CMA's; GW_MT_CMA: from CMA pageblocks only
 *   why   what stood in the way, if it is not 0; may be NULL
 *
 * Returns 0; -EINVAL (no range of one zone, another type), -EBUSY (*why says who), -EINTR (the task
 * was interrupted). Nothing is changed then but for pages that have moved. Sleeps.
 */
GW_MUST_CHECK int gw_alloc_contig(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end,
	enum gw_migratetype type, struct gw_obstacle *why);

/*
 * The same for the first `n` frames that can be had, at a multiple of `align` frames (a power of
 * two), in the order of node's zonelist; with GW_GFP_THISNODE in gfp, of that node only.
 * *out: the first frame. Returns 0, -EINVAL, -EINTR, -ENOMEM (nowhere; *why tells of the last place
 * that was tried).
 */
GW_MUST_CHECK int gw_alloc_contig_pages(struct gw_machine *m, gw_pfn_t n, gw_pfn_t align,
	gw_gfp_t gfp, unsigned node, gw_pfn_t *out, struct gw_obstacle *why);

/* Drop a reference of each of n frames: those whose last it was are free. */
void gw_free_contig(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n);

/*
 * n adjacent frames out of CMA pageblocks of a node, at a multiple of `align`. Until somebody wants
 * them, movable pages live there (FACTS 2.2). Counts cma_alloc_success or cma_alloc_fail.
 * Errors as gw_alloc_contig_pages(); gw_free_contig() gives them back.
 */
GW_MUST_CHECK int gw_cma_alloc(struct gw_machine *m, gw_pfn_t n, gw_pfn_t align, unsigned node,
	gw_pfn_t *out, struct gw_obstacle *why);

/*
 * Take the pageblocks [start, end) offline (FACTS 1.6): as long as movable pages are in there,
 * they are moved, without a limit of tries. Afterwards the frames are reserved and belong to no
 * allocator; watermarks that the config left open shrink.
 *
 * Returns 0; -EINVAL (not whole pageblocks of one zone, or holes in it), -EBUSY (a page that
 * cannot move, *why), -EINTR (the task was interrupted). After an error all is as before, but for
 * pages that have moved.
 */
GW_MUST_CHECK int gw_offline_pages(
	struct gw_machine *m, gw_pfn_t start, gw_pfn_t end, struct gw_obstacle *why);
/* Give pageblocks that are offline back, free. 0, or -EINVAL (not all of them are offline). */
GW_MUST_CHECK int gw_online_pages(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end);

/* What taking a range away would meet. Frames. */
struct gw_range_outlook {
	uint64_t free, movable; /* now free; in use and to be moved */
	uint64_t blocked;	/* in pages that stand in the way */
	uint64_t room;		/* free elsewhere, above the min watermarks */
	bool possible;		/* nothing blocks it, and there is room */
};

/*
 * Look, and change nothing: could [start, end) be emptied now? found() is called for each page in
 * the way, in ascending order, and may be NULL. What only is in the way for the moment (locks,
 * writeback) is not told. A moment's view while others run.
 * Returns 0, or -EINVAL (no range of one zone).
 */
GW_MUST_CHECK int gw_range_look(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end,
	enum gw_migratetype type, void (*found)(void *ctx, const struct gw_obstacle *obstacle),
	void *ctx, struct gw_range_outlook *out);

#endif
