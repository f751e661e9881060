/* SPDX-License-Identifier: MIT */
/*
 * ksm_tree.h - trees of pages by content: by a checksum of 64 bits, equal ones side by side.
 *
 * Idea. Checksums are as good as random, so a plain binary tree is as deep as a balanced one would
 * be, give or take a factor of two. Whoever finds a leaf compares the bytes.
 *
 * Invariant C1: what is left of a leaf has a smaller sum, what is right of it a sum as large or
 * larger.
 */
#ifndef GW_ENGINE_SPECIAL_KSM_TREE_H
#define GW_ENGINE_SPECIAL_KSM_TREE_H

#include "engine/sync/sync.h"

struct gw_ksm_leaf {
	struct gw_ksm_leaf *parent, *left, *right;
	uint64_t sum;
};

struct gw_ksm_tree {
	struct gw_ksm_leaf *root;
};

void gw_ksm_tree_insert(struct gw_ksm_tree *tree, struct gw_ksm_leaf *leaf);
void gw_ksm_tree_remove(struct gw_ksm_tree *tree, struct gw_ksm_leaf *leaf);
/* A leaf with this sum, the next one after `after` if that is given; NULL: no more. */
struct gw_ksm_leaf *gw_ksm_tree_find(
	const struct gw_ksm_tree *tree, uint64_t sum, const struct gw_ksm_leaf *after);

#endif
