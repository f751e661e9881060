/* SPDX-License-Identifier: MIT */
/*
 * itree.h - a balanced tree of intervals, linked through its members.
 *
 * Idea. Intervals [start, end) ordered by start; each node knows the largest end below it, so that
 * all intervals that overlap a range are found in O(log n + hits). VMAs stand in one by address,
 * an anon_vma's VMAs in one by page offset. Equal starts are kept in the order of insertion
 * (R8: what fork appends is met later).
 *
 * The caller holds what guards the tree; nothing here locks or allocates.
 */
#ifndef GW_ENGINE_VIRT_ITREE_H
#define GW_ENGINE_VIRT_ITREE_H

#include "godwit/types.h"

struct gw_inode {
	struct gw_inode *left, *right, *parent;
	uint64_t start, end; /* not to be changed while in a tree */
	uint64_t max_end;    /* the largest end in this subtree */
	int height;
};

struct gw_itree {
	struct gw_inode *root;
};

void gw_itree_insert(struct gw_itree *tree, struct gw_inode *node);
/* The same, but before those of the same start: how forks once linked a child's VMA (R8). */
void gw_itree_insert_first(struct gw_itree *tree, struct gw_inode *node);
void gw_itree_remove(struct gw_itree *tree, struct gw_inode *node);

/* The first interval in order that overlaps [start, end), and the next one after `node`; or NULL.
 */
struct gw_inode *gw_itree_first(const struct gw_itree *tree, uint64_t start, uint64_t end);
struct gw_inode *gw_itree_next(const struct gw_inode *node, uint64_t start, uint64_t end);

#endif
