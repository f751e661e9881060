/* SPDX-License-Identifier: MIT */
/*
 * soft.h - of the soft machine, what tests and measurements may choose and look at beyond
 * godwit/soft.h.
 */
#ifndef GW_MACHINE_SOFT_SOFT_H
#define GW_MACHINE_SOFT_SOFT_H

#include "godwit/soft.h"

/* Who pays for the order between an access and a flush (tlb.c). */
enum gw_soft_order {
	GW_SOFT_MEMBARRIER, /* the flush, with membarrier(2): accesses are cheap */
	GW_SOFT_FENCES	    /* every access: flushes are cheap; and where there is no membarrier */
};

/* Choose, while no task is in the machine. Returns 0, -ENOSYS (the host has no membarrier). */
GW_MUST_CHECK int gw_soft_set_order(struct gw_soft *soft, enum gw_soft_order order);
enum gw_soft_order gw_soft_get_order(const struct gw_soft *soft);

/*
 * Compare the TLBs with the page tables of mm, while no task is in the machine: every translation
 * that a CPU could still use must be what a walk finds, or somebody forgot a flush.
 *   report  called once per finding with one line; may be NULL
 * Returns the number of findings. Walks set young.
 */
GW_MUST_CHECK unsigned gw_soft_check(struct gw_soft *soft, struct gw_mm *mm,
	void (*report)(void *ctx, const char *line), void *ctx);

/* The engine's nth next request for memory of its own (not for frames) fails; 0: none. Returns how
 * many it has made since the last call. */
uint64_t gw_soft_fail_alloc(struct gw_soft *soft, uint64_t nth);

#endif
