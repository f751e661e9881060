/* SPDX-License-Identifier: MIT */
/*
 * itree.c - an AVL tree of intervals, each node with the largest end below it.
 *
 * Invariants (tests/test_itree.c)
 *   T1  in order, starts ascend; of equal starts the one inserted later comes later (unless
 *       gw_itree_insert_first() put it there)
 *   T2  heights of siblings differ by at most one
 *   T3  max_end is the largest end of the subtree
 *
 * A search goes left while something there ends late enough: the first node in order that ends
 * after the range's start overlaps it, or begins too late, and then so do all that follow.
 */
#include "engine/virt/itree.h"

static int
height(const struct gw_inode *node)
{
	return node ? node->height : 0;
}

static bool
ends_after(const struct gw_inode *subtree, uint64_t start)
{
	return subtree && subtree->max_end > start;
}

/* Height and max_end from the children's. */
static void
update(struct gw_inode *node)
{
	int left = height(node->left);
	int right = height(node->right);

	node->height = 1 + (left > right ? left : right);
	node->max_end = node->end;
	if (ends_after(node->left, node->max_end))
		node->max_end = node->left->max_end;
	if (ends_after(node->right, node->max_end))
		node->max_end = node->right->max_end;
}

/* `new` (or nothing) takes the place of `old` under old's parent. */
static void
replace(struct gw_itree *tree, struct gw_inode *old, struct gw_inode *new)
{
	struct gw_inode *parent = old->parent;

	if (!parent)
		tree->root = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
	if (new)
		new->parent = parent;
}

/* The right child rises above node. */
static struct gw_inode *
rotate_left(struct gw_itree *tree, struct gw_inode *node)
{
	struct gw_inode *up = node->right;

	replace(tree, node, up);
	node->right = up->left;
	if (node->right)
		node->right->parent = node;
	up->left = node;
	node->parent = up;
	update(node);
	update(up);
	return up;
}

static struct gw_inode *
rotate_right(struct gw_itree *tree, struct gw_inode *node)
{
	struct gw_inode *up = node->left;

	replace(tree, node, up);
	node->left = up->right;
	if (node->left)
		node->left->parent = node;
	up->right = node;
	node->parent = up;
	update(node);
	update(up);
	return up;
}

/* Restore T2 and T3 from node, whose children are right, up to the root. */
static void
rebalance(struct gw_itree *tree, struct gw_inode *node)
{
	for (; node; node = node->parent) {
		int lean = height(node->left) - height(node->right);

		if (lean > 1) {
			if (height(node->left->left) < height(node->left->right))
				rotate_left(tree, node->left);
			node = rotate_right(tree, node);
		} else if (lean < -1) {
			if (height(node->right->right) < height(node->right->left))
				rotate_right(tree, node->right);
			node = rotate_left(tree, node);
		} else {
			update(node);
		}
	}
}

/* In front of all nodes that start at `start` or later. */
static void
insert_before(struct gw_itree *tree, struct gw_inode *node, uint64_t start)
{
	struct gw_inode **place = &tree->root;
	struct gw_inode *parent = NULL;

	while (*place) {
		parent = *place;
		place = start <= parent->start ? &parent->left : &parent->right;
	}
	node->left = node->right = NULL;
	node->parent = parent;
	*place = node;
	rebalance(tree, node);
}

void
gw_itree_insert(struct gw_itree *tree, struct gw_inode *node)
{
	insert_before(tree, node, node->start + 1); /* T1: behind its equals */
}

void
gw_itree_insert_first(struct gw_itree *tree, struct gw_inode *node)
{
	insert_before(tree, node, node->start);
}

/* Take node, which has two children, out by putting the next one in order in its place. Returns
 * the lowest node whose subtree changed. */
static struct gw_inode *
remove_inner(struct gw_itree *tree, struct gw_inode *node)
{
	struct gw_inode *next = node->right;
	struct gw_inode *lowest;

	while (next->left)
		next = next->left;
	lowest = next->parent == node ? next : next->parent;
	if (next != node->right) {
		replace(tree, next, next->right);
		next->right = node->right;
		next->right->parent = next;
	}
	next->left = node->left;
	next->left->parent = next;
	replace(tree, node, next);
	return lowest;
}

void
gw_itree_remove(struct gw_itree *tree, struct gw_inode *node)
{
	struct gw_inode *lowest = node->parent;

	if (node->left && node->right)
		lowest = remove_inner(tree, node);
	else
		replace(tree, node, node->left ? node->left : node->right);
	rebalance(tree, lowest);
}

static struct gw_inode *
first_below(struct gw_inode *node, uint64_t start, uint64_t end)
{
	while (node) {
		if (ends_after(node->left, start)) {
			node = node->left;
			continue;
		}
		if (node->start >= end)
			return NULL;
		if (node->end > start)
			return node;
		node = ends_after(node->right, start) ? node->right : NULL;
	}
	return NULL;
}

struct gw_inode *
gw_itree_first(const struct gw_itree *tree, uint64_t start, uint64_t end)
{
	return first_below(tree->root, start, end);
}

struct gw_inode *
gw_itree_next(const struct gw_inode *node, uint64_t start, uint64_t end)
{
	for (;;) {
		struct gw_inode *parent;

		if (ends_after(node->right, start))
			return first_below(node->right, start, end);
		/* What follows in order: the nearest node above of which this is on the left. */
		while ((parent = node->parent) && parent->right == node)
			node = parent;
		if (!parent || parent->start >= end)
			return NULL;
		if (parent->end > start)
			return parent;
		node = parent;
	}
}
