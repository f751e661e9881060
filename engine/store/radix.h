/* SPDX-License-Identifier: MIT */
/*
 * radix.h - a sparse array of frame numbers by a 32-bit index.
 *
 * Idea. A radix tree with 64 slots a node, as high as its largest index needs. Nodes are allocated
 * before the caller takes the lock that guards the tree: gw_radix_reserve() fills a pocket that an
 * insertion takes its nodes from, so that an insertion under a spinlock cannot fail. Most need
 * none.
 */
#ifndef GW_ENGINE_STORE_RADIX_H
#define GW_ENGINE_STORE_RADIX_H

#include "godwit/machine.h"

struct gw_radix_node;

struct gw_radix {
	struct gw_radix_node *root;
	unsigned levels;
};

/* Nodes for one insertion, whatever the tree is like by then. Begins zeroed. */
struct gw_radix_pocket {
	struct gw_radix_node *free;
	unsigned n;
};

/* 0 or -ENOMEM. */
GW_MUST_CHECK int gw_radix_reserve(struct gw_machine *m, struct gw_radix_pocket *pocket);
void gw_radix_unreserve(struct gw_machine *m, struct gw_radix_pocket *pocket);

/* Does an insertion at index find the nodes that it needs in the tree? Then the pocket may be
 * empty.
 */
bool gw_radix_has_node(const struct gw_radix *tree, uint32_t index);
/* Store a frame where there is none; GW_PFN_NONE if that worked, else the frame that is there. */
gw_pfn_t gw_radix_insert(
	struct gw_radix *tree, struct gw_radix_pocket *pocket, uint32_t index, gw_pfn_t pfn);
gw_pfn_t gw_radix_find(const struct gw_radix *tree, uint32_t index);
/* Another frame where there is one; pfn NONE removes it, and nodes left empty are freed. */
void gw_radix_replace(struct gw_machine *m, struct gw_radix *tree, uint32_t index, gw_pfn_t pfn);
/* The first frame at or after *index, whose index it becomes; GW_PFN_NONE: none. */
gw_pfn_t gw_radix_next(const struct gw_radix *tree, uint32_t *index);

#endif
