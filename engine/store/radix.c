/* SPDX-License-Identifier: MIT */
/*
 * radix.c - a sparse array of frame numbers by a 32-bit index.
 *
 * Idea. Each node has 64 slots: of frames at level 0, of nodes one level lower above. A tree of n
 * levels reaches the indices below 64^n; it grows at its root when it has to. A frame is kept as
 * its number plus one, so that a zeroed node is an empty one.
 *
 * Invariants
 *   N1  a node in the tree has at least one slot in use, and `used` of them
 *   N2  an empty tree has no node and no levels
 */
#include "engine/phys/phys.h"
#include "engine/store/radix.h"

#define SLOT_BITS  6
#define SLOTS	   (1u << SLOT_BITS)
#define LEVELS_MAX 6 /* 64^6 > 2^32 */

/* From one level to the most: five on top of the old root, and five below the new one. */
#define POCKET_NODES (2 * (LEVELS_MAX - 1))

struct gw_radix_node {
	unsigned used; /* slots not zero */
	union {
		struct gw_radix_node *child[SLOTS];
		uint32_t frame[SLOTS]; /* frame number + 1 */
	};
};

int
gw_radix_reserve(struct gw_machine *m, struct gw_radix_pocket *pocket)
{
	while (pocket->n < POCKET_NODES) {
		struct gw_radix_node *node = m->ops->alloc(m->ctx, sizeof(*node));

		if (!node) {
			gw_radix_unreserve(m, pocket);
			return -ENOMEM;
		}
		node->child[0] = pocket->free;
		pocket->free = node;
		pocket->n++;
	}
	return 0;
}

static struct gw_radix_node *
take(struct gw_radix_pocket *pocket)
{
	struct gw_radix_node *node = pocket->free;

	pocket->free = node->child[0];
	pocket->n--;
	node->child[0] = NULL;
	return node;
}

static void
release(struct gw_machine *m, struct gw_radix_node *node)
{
	m->ops->release(m->ctx, node, sizeof(*node));
}

void
gw_radix_unreserve(struct gw_machine *m, struct gw_radix_pocket *pocket)
{
	while (pocket->n)
		release(m, take(pocket));
}

static unsigned
slot_of(uint32_t index, unsigned level)
{
	return index >> (level * SLOT_BITS) & (SLOTS - 1);
}

static unsigned
levels_for(uint32_t index)
{
	unsigned levels = 1;

	while (levels < LEVELS_MAX && index >> (levels * SLOT_BITS))
		levels++;
	return levels;
}

/* The lowest node on the way to index, NULL if it is not there. */
static struct gw_radix_node *
find_leaf(const struct gw_radix *tree, uint32_t index)
{
	struct gw_radix_node *node = tree->root;

	if (levels_for(index) > tree->levels)
		return NULL;
	for (unsigned level = tree->levels - 1; node && level > 0; level--)
		node = node->child[slot_of(index, level)];
	return node;
}

bool
gw_radix_has_node(const struct gw_radix *tree, uint32_t index)
{
	return find_leaf(tree, index) != NULL;
}

static void
grow(struct gw_radix *tree, struct gw_radix_pocket *pocket, unsigned levels)
{
	if (!tree->root) {
		tree->root = take(pocket);
		tree->levels = levels;
	}
	while (tree->levels < levels) {
		struct gw_radix_node *root = take(pocket);

		root->child[0] = tree->root;
		root->used = 1;
		tree->root = root;
		tree->levels++;
	}
}

gw_pfn_t
gw_radix_insert(struct gw_radix *tree, struct gw_radix_pocket *pocket, uint32_t index, gw_pfn_t pfn)
{
	gw_pfn_t there = gw_radix_find(tree, index);
	struct gw_radix_node *node;

	if (there != GW_PFN_NONE)
		return there;
	grow(tree, pocket, levels_for(index));
	node = tree->root;
	for (unsigned level = tree->levels - 1; level > 0; level--) {
		struct gw_radix_node **child = &node->child[slot_of(index, level)];

		if (!*child) {
			*child = take(pocket);
			node->used++;
		}
		node = *child;
	}
	node->frame[slot_of(index, 0)] = pfn + 1;
	node->used++;
	return GW_PFN_NONE;
}

gw_pfn_t
gw_radix_find(const struct gw_radix *tree, uint32_t index)
{
	const struct gw_radix_node *leaf = find_leaf(tree, index);

	return leaf ? leaf->frame[slot_of(index, 0)] - 1 : GW_PFN_NONE;
}

/* Free the nodes on the way to index that have no slot in use any more (N1, N2). */
static void
prune(struct gw_machine *m, struct gw_radix *tree, uint32_t index)
{
	struct gw_radix_node *path[LEVELS_MAX] = {0};
	unsigned level = tree->levels - 1;

	path[level] = tree->root;
	for (; level > 0; level--)
		path[level - 1] = path[level]->child[slot_of(index, level)];
	for (; level < tree->levels && path[level]->used == 0; level++) {
		release(m, path[level]);
		if (level + 1 < tree->levels) {
			path[level + 1]->child[slot_of(index, level + 1)] = NULL;
			path[level + 1]->used--;
		}
	}
	if (level == tree->levels)
		*tree = (struct gw_radix){0};
}

void
gw_radix_replace(struct gw_machine *m, struct gw_radix *tree, uint32_t index, gw_pfn_t pfn)
{
	struct gw_radix_node *leaf = find_leaf(tree, index);

	GW_BUG_ON(m, !leaf || !leaf->frame[slot_of(index, 0)]);
	leaf->frame[slot_of(index, 0)] = pfn + 1;
	if (pfn != GW_PFN_NONE)
		return;
	if (--leaf->used == 0)
		prune(m, tree, index);
}

/* The first frame in the subtree of `node` whose index has, in its lower digits, at least those of
 * *index; these become its own. */
static uint32_t
first_frame(const struct gw_radix_node *node, unsigned level, uint32_t *index)
{
	uint32_t below = ((uint32_t)1 << (level * SLOT_BITS)) - 1;

	for (unsigned slot = slot_of(*index, level); slot < SLOTS; slot++) {
		uint32_t frame = 0;

		if (level == 0)
			frame = node->frame[slot];
		else if (node->child[slot])
			frame = first_frame(node->child[slot], level - 1, index);
		if (frame) {
			*index = (*index & below) | (uint32_t)slot << (level * SLOT_BITS);
			return frame;
		}
		*index &= ~below; /* the next subtree is searched from its beginning */
	}
	return 0;
}

gw_pfn_t
gw_radix_next(const struct gw_radix *tree, uint32_t *index)
{
	uint32_t from = *index, frame;

	if (levels_for(from) > tree->levels)
		return GW_PFN_NONE;
	frame = first_frame(tree->root, tree->levels - 1, &from);
	if (frame)
		*index = from;
	return frame - 1;
}
