/* SPDX-License-Identifier: MIT */
/*
 * The fragmentation figures, against the vectors of FACTS 1.5 (D6, D7).
 */
#include "test.h"

#include <string.h>

#include "godwit/zone.h"

#define N_ORDERS 11

struct vector {
	uint64_t free_blocks[N_ORDERS];
	int extfrag, unusable, score; /* at order 9 */
	const char *extfrag_text, *unusable_text;
};

/* clang-format off */
static const struct vector vectors[] = {
	{{0}, 0, 1000, 0, " 0.000", "1.000"},
	{{[8] = 1}, -500, 1000, 100, " 0.-500", "1.000"},
	{{[8] = 2}, 0, 1000, 100, " 0.000", "1.000"},
	{{[8] = 3}, 167, 1000, 100, " 0.167", "1.000"},
	{{[8] = 10}, 400, 1000, 100, " 0.400", "1.000"},
	{{[8] = 1000}, 499, 1000, 100, " 0.499", "1.000"},
	{{[0] = 1}, -1, 1000, 100, " 0.-01", "1.000"},
	{{[0] = 2}, 499, 1000, 100, " 0.499", "1.000"},
	{{[0] = 10}, 899, 1000, 100, " 0.899", "1.000"},
	{{[0] = 511}, 997, 1000, 100, " 0.997", "1.000"},
	{{[0] = 100000}, 999, 1000, 100, " 0.999", "1.000"},
	{{[0] = 5000, [9] = 1}, -1000, 907, 90, "-1.000", "0.907"},
	/* the zone of Gorman 2007, before */
	{{7901, 3005, 2205, 1511, 758, 245, 34, 3}, 993, 1000, 100, " 0.993", "1.000"},
};
/* clang-format on */

/* Every row of the table in FACTS 1.5, values and printed forms. */
static void
test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		int extfrag = gw_fragmentation_index(v->free_blocks, N_ORDERS, 9);
		int unusable = gw_unusable_index(v->free_blocks, N_ORDERS, 9);
		char text[16];

		assert_int_equal(extfrag, v->extfrag);
		assert_int_equal(unusable, v->unusable);
		assert_int_equal(gw_proactive_score(v->free_blocks, N_ORDERS, 9), v->score);
		assert_int_equal(gw_index_format(text, sizeof(text), extfrag, true),
			strlen(v->extfrag_text));
		assert_string_equal(text, v->extfrag_text);
		gw_index_format(text, sizeof(text), unusable, false);
		assert_string_equal(text, v->unusable_text);
	}
}

/* A block of the order asked for or larger: -1.000 whatever else there is; and both bounds of the
 * unusable index: nothing unusable at order 0, larger blocks counted in whole. */
static void
test_suitable_block(void **state)
{
	const uint64_t blocks[N_ORDERS] = {[0] = 100, [10] = 1};

	(void)state;
	for (unsigned order = 0; order < N_ORDERS; order++)
		assert_int_equal(gw_fragmentation_index(blocks, N_ORDERS, order), -1000);
	assert_int_equal(gw_unusable_index(blocks, N_ORDERS, 0), 0);
	assert_int_equal(gw_unusable_index(blocks, N_ORDERS, 1), 100 * 1000 / 1124);
	assert_int_equal(gw_unusable_index(blocks, N_ORDERS, 10), 100 * 1000 / 1124);
	assert_int_equal(gw_proactive_score(blocks, N_ORDERS, 9), 100 * 100 / 1124);
}

/* One block in all, of the order below: negative and not -1000, at every order. */
static void
test_lone_block_is_negative(void **state)
{
	(void)state;
	for (unsigned order = 1; order < N_ORDERS; order++) {
		uint64_t blocks[N_ORDERS] = {0};

		blocks[order - 1] = 1;
		assert_int_equal(gw_fragmentation_index(blocks, N_ORDERS, order), -500);
	}
}

/* An order that the counts do not reach, also one that no shift could: 0 and 1000. */
static void
test_order_out_of_range(void **state)
{
	const uint64_t blocks[N_ORDERS] = {[3] = 7, [10] = 2};

	(void)state;
	for (unsigned order = N_ORDERS; order < 100; order++) {
		assert_int_equal(gw_fragmentation_index(blocks, N_ORDERS, order), 0);
		assert_int_equal(gw_unusable_index(blocks, N_ORDERS, order), 1000);
		assert_int_equal(gw_proactive_score(blocks, N_ORDERS, order), 100);
	}
}

/* The text is cut to the buffer, its length is that of the whole (as snprintf has it). */
static void
test_format_is_bounded(void **state)
{
	char text[4] = "";

	(void)state;
	assert_int_equal(gw_index_format(text, sizeof(text), -1000, true), 6);
	assert_string_equal(text, "-1.");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_suitable_block),
		cmocka_unit_test(test_lone_block_is_negative),
		cmocka_unit_test(test_order_out_of_range),
		cmocka_unit_test(test_format_is_bounded),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
