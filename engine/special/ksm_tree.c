/* SPDX-License-Identifier: MIT */
/* ksm_tree.c - see ksm_tree.h. */
#include "engine/special/ksm_tree.h"

/* What points to the leaf. */
static struct gw_ksm_leaf **
link_of(struct gw_ksm_tree *tree, const struct gw_ksm_leaf *leaf)
{
	if (!leaf->parent)
		return &tree->root;
	return leaf->parent->left == leaf ? &leaf->parent->left : &leaf->parent->right;
}

void
gw_ksm_tree_insert(struct gw_ksm_tree *tree, struct gw_ksm_leaf *leaf)
{
	struct gw_ksm_leaf **link = &tree->root;

	leaf->parent = leaf->left = leaf->right = NULL;
	while (*link) {
		leaf->parent = *link;
		link = leaf->sum < (*link)->sum ? &(*link)->left : &(*link)->right;
	}
	*link = leaf;
}

/* `with`, which may be NULL, and all below it, takes the place of `leaf`. */
static void
replace(struct gw_ksm_tree *tree, const struct gw_ksm_leaf *leaf, struct gw_ksm_leaf *with)
{
	*link_of(tree, leaf) = with;
	if (with)
		with->parent = leaf->parent;
}

static void
adopt(struct gw_ksm_leaf *parent, struct gw_ksm_leaf **side, struct gw_ksm_leaf *child)
{
	*side = child;
	if (child)
		child->parent = parent;
}

void
gw_ksm_tree_remove(struct gw_ksm_tree *tree, struct gw_ksm_leaf *leaf)
{
	struct gw_ksm_leaf *next = leaf->right;

	if (!leaf->left || !leaf->right) {
		replace(tree, leaf, leaf->left ? leaf->left : leaf->right);
		return;
	}
	while (next->left)
		next = next->left;
	if (next != leaf->right) {
		replace(tree, next, next->right);
		adopt(next, &next->right, leaf->right);
	}
	replace(tree, leaf, next);
	adopt(next, &next->left, leaf->left);
}

struct gw_ksm_leaf *
gw_ksm_tree_find(const struct gw_ksm_tree *tree, uint64_t sum, const struct gw_ksm_leaf *after)
{
	struct gw_ksm_leaf *leaf = after ? after->right : tree->root;

	while (leaf && leaf->sum != sum)
		leaf = sum < leaf->sum ? leaf->left : leaf->right;
	return leaf;
}
