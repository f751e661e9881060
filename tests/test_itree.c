/* SPDX-License-Identifier: MIT */
/*
 * test_itree.c - the tree of intervals against a list that does the same the slow way.
 */
#include "test.h"

#include <string.h>

#include "engine/virt/itree.h"

#define NODES 300
#define SPACE 64 /* starts below it: many are equal */

/* The model: members in the order the tree must have them. */
struct model {
	struct gw_itree tree;
	struct gw_inode nodes[NODES];
	bool in_tree[NODES];
	struct gw_inode *order[NODES];
	unsigned n;
	uint64_t random;
};

static int
setup(void **state)
{
	struct model *model = calloc(1, sizeof(*model));

	model->random = test_seed();
	*state = model;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
insert(struct model *model, struct gw_inode *node)
{
	unsigned i = model->n++;

	for (; i > 0 && model->order[i - 1]->start > node->start; i--)
		model->order[i] = model->order[i - 1];
	model->order[i] = node;
	gw_itree_insert(&model->tree, node);
}

static void
insert_first(struct model *model, struct gw_inode *node)
{
	unsigned i = model->n++;

	for (; i > 0 && model->order[i - 1]->start >= node->start; i--)
		model->order[i] = model->order[i - 1];
	model->order[i] = node;
	gw_itree_insert_first(&model->tree, node);
}

static void
take_out(struct model *model, struct gw_inode *node)
{
	unsigned i = 0;

	while (model->order[i] != node)
		i++;
	model->n--;
	memmove(&model->order[i], &model->order[i + 1], (model->n - i) * sizeof(struct gw_inode *));
	gw_itree_remove(&model->tree, node);
}

/* T2, T3 and the links of a subtree. Returns its height. */
static int
check_subtree(const struct gw_inode *node, const struct gw_inode *parent)
{
	uint64_t max_end;
	int left, right;

	if (!node)
		return 0;
	assert_ptr_equal(node->parent, parent);
	left = check_subtree(node->left, node);
	right = check_subtree(node->right, node);
	assert_true(left - right <= 1 && right - left <= 1);
	assert_int_equal(node->height, 1 + (left > right ? left : right));
	max_end = node->end;
	if (node->left && node->left->max_end > max_end)
		max_end = node->left->max_end;
	if (node->right && node->right->max_end > max_end)
		max_end = node->right->max_end;
	assert_int_equal(node->max_end, max_end);
	return node->height;
}

/* Every hit of [start, end), in order, and no other. */
static void
check_search(const struct model *model, uint64_t start, uint64_t end)
{
	struct gw_inode *hit = gw_itree_first(&model->tree, start, end);

	for (unsigned i = 0; i < model->n; i++) {
		struct gw_inode *node = model->order[i];

		if (node->start >= end || node->end <= start)
			continue;
		assert_ptr_equal(hit, node);
		hit = gw_itree_next(hit, start, end);
	}
	assert_null(hit);
}

/* An empty tree has no hit; a removal of the last member leaves one. */
static void
empty(void **state)
{
	struct model *model = *state;
	struct gw_inode *node = &model->nodes[0];

	assert_null(gw_itree_first(&model->tree, 0, UINT64_MAX));
	node->start = 5;
	node->end = 7;
	insert(model, node);
	check_search(model, 6, 7);
	check_search(model, 7, 8);
	check_search(model, 4, 5);
	take_out(model, node);
	assert_null(model->tree.root);
}

/* T1: members of equal start come in the order in which they were inserted (FACTS R8). */
static void
equal_starts_keep_their_order(void **state)
{
	struct model *model = *state;

	for (unsigned i = 0; i < NODES; i++) {
		struct gw_inode *node = &model->nodes[i];

		node->start = 10;
		node->end = 11 + i % 5;
		insert(model, node);
	}
	check_subtree(model->tree.root, NULL);
	check_search(model, 10, 11);
	check_search(model, 13, 20);
}

/* T1: gw_itree_insert_first() puts a member before those of equal start, behind all that start
 * earlier. */
static void
first_comes_before_its_equals(void **state)
{
	struct model *model = *state;

	for (unsigned i = 0; i < NODES; i++) {
		struct gw_inode *node = &model->nodes[i];

		node->start = i % 4;
		node->end = node->start + 1;
		if (i < NODES / 2)
			insert(model, node);
		else
			insert_first(model, node);
		check_subtree(model->tree.root, NULL);
	}
	check_search(model, 0, 4);
	check_search(model, 2, 3);
}

/* T1 to T3, and all searches, after each of many random insertions and removals. */
static void
random_changes(void **state)
{
	struct model *model = *state;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)(test_random(&model->random) % NODES);
		struct gw_inode *node = &model->nodes[i];
		uint64_t from = test_random(&model->random) % (SPACE + 2);

		/* Grow and shrink in turns, so that both full and nearly empty trees come. */
		if (model->in_tree[i] && (step / 2000) % 2 == 0 && step % 3)
			continue;
		if (!model->in_tree[i] && (step / 2000) % 2 == 1 && step % 3)
			continue;
		if (model->in_tree[i]) {
			take_out(model, node);
		} else {
			node->start = test_random(&model->random) % SPACE;
			node->end = node->start + 1 + test_random(&model->random) % 10;
			insert(model, node);
		}
		model->in_tree[i] = !model->in_tree[i];
		check_subtree(model->tree.root, NULL);
		check_search(model, from, from + 1 + test_random(&model->random) % 20);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(empty),
		T(equal_starts_keep_their_order),
		T(first_comes_before_its_equals),
		T(random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
