/* SPDX-License-Identifier: MIT */
/*
 * move.h - moving pages of an address space that a system call names: what move_pages(2),
 * migrate_pages(2) and mbind(2) have in common (move.c).
 */
#ifndef GW_ENGINE_MIGRATE_MOVE_H
#define GW_ENGINE_MIGRATE_MOVE_H

#include "engine/virt/virt.h"

#define GW_MOVE_BATCH 256 /* pages */

struct gw_move {
	struct gw_machine *m;
	struct gw_mm *mm;
	enum gw_migrate_reason reason;
	/* Is the page, found at addr, where it should be? */
	bool (*is_home)(const struct gw_move *mv, gw_pfn_t page);
	/* As struct gw_migrate_target has it; ctx is the struct gw_move. */
	int (*get_new_page)(
		void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst);
	const void *ctx; /* the caller's */
	/* The batch. */
	struct gw_page_list list;
	unsigned n;
	gw_pfn_t pages[GW_MOVE_BATCH];
	int *status[GW_MOVE_BATCH]; /* of each page; NULL: nobody asks */
	/* So far. */
	uint64_t stayed;
};

/* Drains all LRU batches, once for the call (D22). What the caller has set stays. Sleeps. */
void gw_move_begin(struct gw_move *mv, struct gw_mm *mm);
/*
 * The page at addr comes to the batch, which may move now: 0, also if it is home; -ENOENT (not
 * there), -EFAULT (not mapped, the zero page, of a VMA that is not migratable), -EACCES (mapped
 * elsewhere, and not shared_too), -EBUSY, -EINVAL (it never moves), -EAGAIN (interrupted).
 * status, if not NULL, is written when the page stays.
 */
int gw_move_address(struct gw_move *mv, gw_vaddr_t addr, bool shared_too, int *status);
/* Move what is in the batch. */
void gw_move_batch(struct gw_move *mv);
/* The frame at addr, of whatever VMA, with a reference of its page: 0, -ENOENT, -EFAULT, -EAGAIN.
 */
int gw_move_find(struct gw_move *mv, gw_vaddr_t addr, gw_pfn_t *frame);
/* The first part of [addr, end) that lies in one VMA and one lowest table which is there. */
bool gw_move_next_range(
	struct gw_move *mv, gw_vaddr_t addr, gw_vaddr_t limit, gw_vaddr_t *start, gw_vaddr_t *end);

#endif
