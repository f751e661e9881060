/* SPDX-License-Identifier: MIT */
/*
 * swap.h - a place for anonymous pages outside memory.
 *
 * Idea. A machine has at most one swap area of numbered slots. A page on its way out or in stands
 * in the swap cache under its slot; entries of address spaces name the slot (FACTS 3.5, A10, R3).
 */
#ifndef GODWIT_SWAP_H
#define GODWIT_SWAP_H

#include "file.h"

/*
 * Give the machine a swap area of `slots` pages, 4 bytes of the engine's memory each.
 *
 *   ops, ctx  read and write what was written at an index below `slots`; until ops->release, which
 *             gw_swap_off() or gw_machine_destroy() calls. ops->truncate and ops->migrate are not
 * used
 *
 * Returns 0, or, with nothing changed: -EBUSY (the machine has one), -EINVAL (0 slots, or
 * 2^32 - 1), -ENOMEM. While no other task is inside the machine.
 */
GW_MUST_CHECK int gw_swap_on(
	struct gw_machine *m, const struct gw_backing_ops *ops, void *ctx, uint32_t slots);
/* Take it away, while no other task is inside the machine: 0 (also if there is none), or -EBUSY as
 * long as an entry names a slot. Pages left in the swap cache leave it. */
GW_MUST_CHECK int gw_swap_off(struct gw_machine *m);

struct gw_swap_info {
	uint32_t slots;	 /* 0: no swap area */
	uint32_t used;	 /* slots that an entry or the swap cache needs */
	uint32_t cached; /* pages in the swap cache */
};
/* Any thread; while others run, a moment's mixture. */
void gw_swap_info(const struct gw_machine *m, struct gw_swap_info *out);

#endif
