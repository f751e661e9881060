/* SPDX-License-Identifier: MIT */
/*
 * seed.h - putting a machine into a given state before it runs.
 *
 * Idea. A machine starts with every frame reserved. Boot hands ranges to the allocator; a
 * twin sets each frame to what the host's was. All of it happens before any other task
 * enters, so nothing here takes locks; gw_machine_check() afterwards says whether it was
 * consistent.
 *
 * Every function returns 0, or -EINVAL if the range lies outside one zone, is not aligned to its
 * order, or is not reserved; nothing is changed then. The caller is an attached task.
 */
#ifndef GODWIT_SEED_H
#define GODWIT_SEED_H

#include "types.h"
#include "alloc.h"
#include "migrate.h"

/* The migratetype of the pageblock that holds pfn (default MOVABLE). Before its frames are seeded.
 */
GW_MUST_CHECK int gw_seed_pageblock(struct gw_machine *m, gw_pfn_t pfn, enum gw_migratetype type);

/* Frames [start, start + n) become free, in the largest aligned blocks, merging with neighbours. */
GW_MUST_CHECK int gw_seed_free(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n);

/* One free block of exactly this order, not merged. */
GW_MUST_CHECK int gw_seed_free_block(struct gw_machine *m, gw_pfn_t start, unsigned order);

/* One free frame on a CPU's page list. */
GW_MUST_CHECK int gw_seed_pcp(struct gw_machine *m, gw_pfn_t pfn, unsigned cpu);

/* Frames [start, start + n), single pages in use that nothing can move. */
GW_MUST_CHECK int gw_seed_used(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n);

/* A page in use by `ops`; on `lru` unless that is GW_LRU_NR. */
GW_MUST_CHECK int gw_seed_movable(struct gw_machine *m, gw_pfn_t start, unsigned order,
	const struct gw_movable_ops *ops, uint32_t index, enum gw_lru lru);

/* All frames are seeded: compute watermarks and per-CPU list sizes that the config left open. */
void gw_seed_done(struct gw_machine *m);

#endif
