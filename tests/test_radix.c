/* SPDX-License-Identifier: MIT */
/*
 * test_radix.c - the tree of frames by index that the caches are made of.
 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "engine/store/radix.h"
#include "machine_fixture.h"

#define MODEL_BASES 5
#define MODEL_SPAN  200 /* indices from each base on */
#define MODEL_SIZE  (MODEL_BASES * MODEL_SPAN)

/* Indices that need trees of every height, and cross the edges of nodes. */
static const uint32_t bases[MODEL_BASES] = {
	0, 64 * 64 - 100, 64 * 64 * 64 + 5, 0x7fffff80u, UINT32_MAX - MODEL_SPAN + 1};

/* What the tree must say, flat: in ascending order of the index. */
struct model {
	struct fixture *f;
	struct gw_radix tree;
	gw_pfn_t frame[MODEL_SIZE];
};

static uint32_t
model_index(unsigned i)
{
	return bases[i / MODEL_SPAN] + i % MODEL_SPAN;
}

static struct model *
model_create(void)
{
	struct model *model = calloc(1, sizeof(*model));

	assert_non_null(model);
	model->f = fixture_create(64, 1, 2);
	for (unsigned i = 0; i < MODEL_SIZE; i++)
		model->frame[i] = GW_PFN_NONE;
	return model;
}

static void
model_destroy(struct model *model)
{
	for (unsigned i = 0; i < MODEL_SIZE; i++)
		if (model->frame[i] != GW_PFN_NONE)
			gw_radix_replace(model->f->m, &model->tree, model_index(i), GW_PFN_NONE);
	assert_null(model->tree.root); /* and the fixture finds no byte of a node left */
	fixture_destroy(model->f);
	free(model);
}

static void
model_insert(struct model *model, unsigned i, gw_pfn_t pfn)
{
	struct gw_radix_pocket pocket = {0};

	if (!gw_radix_has_node(&model->tree, model_index(i)))
		assert_int_equal(gw_radix_reserve(model->f->m, &pocket), 0);
	assert_int_equal(
		gw_radix_insert(&model->tree, &pocket, model_index(i), pfn), model->frame[i]);
	if (model->frame[i] == GW_PFN_NONE)
		model->frame[i] = pfn;
	gw_radix_unreserve(model->f->m, &pocket);
}

/* The first index of the model at or after `i` that has a frame; MODEL_SIZE: none. */
static unsigned
model_next(const struct model *model, unsigned i)
{
	while (i < MODEL_SIZE && model->frame[i] == GW_PFN_NONE)
		i++;
	return i;
}

static void
check_next(const struct model *model, unsigned i)
{
	unsigned next = model_next(model, i);
	uint32_t index = model_index(i);
	gw_pfn_t pfn = gw_radix_next(&model->tree, &index);

	if (next == MODEL_SIZE) {
		assert_int_equal(pfn, GW_PFN_NONE);
		return;
	}
	assert_int_equal(pfn, model->frame[next]);
	assert_int_equal(index, model_index(next));
}

/* Insertions, replacements, removals and searches in any order say what a flat array says. */
static void
agrees_with_a_flat_array(void **state)
{
	uint64_t random = test_seed();
	struct model *model = model_create();

	(void)state;
	for (unsigned step = 0; step < 60000; step++) {
		unsigned i = (unsigned)(test_random(&random) % MODEL_SIZE);
		gw_pfn_t pfn = (gw_pfn_t)(test_random(&random) % 1000);
		/* Now mostly filling it, now mostly emptying it. */
		bool fill = test_random(&random) % 4 != step / 10000 % 2 * 2 + 1;

		if (test_random(&random) % 8 == 0 && model->frame[i] != GW_PFN_NONE) {
			gw_radix_replace(model->f->m, &model->tree, model_index(i), pfn);
			model->frame[i] = pfn;
		} else if (fill) {
			model_insert(model, i, pfn);
		} else if (model->frame[i] != GW_PFN_NONE) {
			gw_radix_replace(model->f->m, &model->tree, model_index(i), GW_PFN_NONE);
			model->frame[i] = GW_PFN_NONE;
		}
		assert_int_equal(gw_radix_find(&model->tree, model_index(i)), model->frame[i]);
		check_next(model, (unsigned)(test_random(&random) % MODEL_SIZE));
	}
	model_destroy(model);
}

/* A pocket is enough for an insertion into a tree of any height, at any index; frame 0, the last
 * index and the largest frame number are like others. */
static void
one_pocket_is_enough(void **state)
{
	struct model *model = model_create();

	(void)state;
	for (unsigned first = 0; first < MODEL_BASES; first++) {
		for (unsigned second = 0; second < MODEL_BASES; second++) {
			unsigned a = first * MODEL_SPAN, b = second * MODEL_SPAN + MODEL_SPAN - 1;

			model_insert(model, a, 0);
			model_insert(model, b, GW_PFN_MAX - 1);
			check_next(model, 0);
			assert_int_equal(gw_radix_find(&model->tree, model_index(a)), 0);
			assert_int_equal(
				gw_radix_find(&model->tree, model_index(b)), GW_PFN_MAX - 1);
			gw_radix_replace(model->f->m, &model->tree, model_index(a), GW_PFN_NONE);
			gw_radix_replace(model->f->m, &model->tree, model_index(b), GW_PFN_NONE);
			model->frame[a] = model->frame[b] = GW_PFN_NONE;
			assert_null(model->tree.root);
		}
	}
	model_destroy(model);
}

/* An index that is taken stays as it is, and the frame there is told. */
static void
insertion_does_not_overwrite(void **state)
{
	struct model *model = model_create();

	(void)state;
	model_insert(model, 7, 42);
	model_insert(model, 7, 43);
	assert_int_equal(gw_radix_find(&model->tree, model_index(7)), 42);
	model_destroy(model);
}

/* A pocket that cannot be filled is empty again: whichever allocation fails. */
static void
reservation_that_fails_keeps_nothing(void **state)
{
	struct model *model = model_create();
	struct fixture *f = model->f;
	uint64_t before = gw_u64_load_relaxed(&f->live_bytes);
	unsigned fails = 0;
	int err;

	(void)state;
	do {
		struct gw_radix_pocket pocket = {0};

		f->fail_at = gw_u64_load_relaxed(&f->allocations) + 1 + fails;
		err = gw_radix_reserve(f->m, &pocket);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_int_equal(pocket.n, 0);
			assert_int_equal(gw_u64_load_relaxed(&f->live_bytes), before);
			fails++;
		}
		gw_radix_unreserve(f->m, &pocket);
	} while (err);
	assert_true(fails > 0);
	f->fail_at = 0;
	model_destroy(model);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_flat_array),
		cmocka_unit_test(one_pocket_is_enough),
		cmocka_unit_test(insertion_does_not_overwrite),
		cmocka_unit_test(reservation_that_fails_keeps_nothing),
	};

	return cmocka_run_group_tests_name("radix", tests, NULL, NULL);
}
