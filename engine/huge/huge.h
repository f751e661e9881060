/* SPDX-License-Identifier: MIT */
/*
 * huge.h - large pages, for this room and for reclaim, which splits pages to free parts of them:
 * the one call from engine/store upwards.
 */
#ifndef GW_ENGINE_HUGE_HUGE_H
#define GW_ENGINE_HUGE_HUGE_H

#include "godwit/huge.h"

/* gw_split_huge(), and entries of frames full of zeros become the zero page's, so that these frames
 * are free; but not in locked VMAs. */
GW_MUST_CHECK int gw_split_underused(struct gw_machine *m, gw_pfn_t page);

/*
 * Memory of a node is short: split up to n of its queued pages (engine/phys/deferred.c), those that
 * are mapped in part, or underused. Returns frames freed. Tries page locks only; sleeps.
 */
uint64_t gw_split_deferred(struct gw_machine *m, unsigned node, unsigned n);

#endif
