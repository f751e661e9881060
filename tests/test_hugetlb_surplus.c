/* SPDX-License-Identifier: MIT */
/*
 * test_hugetlb_surplus.c - pages that leave a pool later, since they are in use or promised when it
 * shrinks (FACTS 2.1, 3.5).
 */
#include "engine/phys/hugetlb.h"
#include "hugetlb_fixture.h"
#include "test.h"

static struct spaces *shrunk_meanwhile; /* by another task, once, while one shrinks the pool */
static uint64_t shrunk_to;

gw_pfn_t __real_gw_hugetlb_remove_any(struct gw_machine *m, unsigned node, unsigned order);
gw_pfn_t __wrap_gw_hugetlb_remove_any(struct gw_machine *m, unsigned node, unsigned order);

gw_pfn_t
__wrap_gw_hugetlb_remove_any(struct gw_machine *m, unsigned node, unsigned order)
{
	struct spaces *s = shrunk_meanwhile;

	shrunk_meanwhile = NULL;
	if (s)
		resize(s, shrunk_to);
	return __real_gw_hugetlb_remove_any(m, node, order);
}

/* 2.1: two tasks that shrink a pool whose pages are in use promise no more pages than there are. */
static void
surplus_is_at_most_the_pool(void **state)
{
	struct spaces *s = *state;
	gw_pfn_t pages[2];

	resize(s, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &pages[i]), 0);
	shrunk_meanwhile = s;
	shrunk_to = 0;
	resize(s, 0);
	assert_null(shrunk_meanwhile);
	assert_pool(s, 2, 0, 0);
	assert_int_equal(info_of(s).surplus, 2);
	for (unsigned i = 0; i < 2; i++) {
		gw_put_page(s->m, pages[i]);
		assert_pool(s, 1 - i, 0, 0);
		assert_int_equal(info_of(s).surplus, 1 - i);
	}
	resize(s, 1);
	assert_pool(s, 1, 1, 0);
	resize(s, 0);
}

/* 2.1: two tasks that shrink a pool to one size do not both take away the same pages. */
static void
shrunk_twice_to_one_size(void **state)
{
	struct spaces *s = *state;

	resize(s, 3);
	shrunk_meanwhile = s;
	shrunk_to = 2;
	resize(s, 2);
	assert_null(shrunk_meanwhile);
	assert_pool(s, 2, 2, 0);
	resize(s, 0);
}

/* 2.1, 3.5: a free page that is promised when the pool shrinks goes as soon as it is not, and one
 * in use with its last user. */
static void
reserved_surplus_is_given_back(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t used;

	resize(s, 4);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &used), 0);
	assert_int_equal(try_map(mm, 3), 0);
	resize(s, 1);
	assert_pool(s, 4, 3, 3);
	assert_int_equal(info_of(s).surplus, 3);
	assert_int_equal(gw_munmap(mm, HUGE_AT + 2 * TABLE, TABLE), 0);
	assert_pool(s, 3, 2, 2);
	assert_int_equal(info_of(s).surplus, 2);
	assert_int_equal(peek(mm, HUGE_AT), 0);
	assert_pool(s, 3, 1, 1);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);
	assert_pool(s, 2, 1, 1);
	assert_int_equal(gw_munmap(mm, HUGE_AT + TABLE, TABLE), 0);
	assert_pool(s, 1, 0, 0);
	assert_int_equal(info_of(s).surplus, 0);
	gw_put_page(s->m, used);
	assert_pool(s, 1, 1, 0);
	gw_mm_put(mm);
	resize(s, 0);
}

#define SMALL_ORDER 4 /* that machines of several nodes have */

static int
setup_nodes(void **state)
{
	*state = spaces_of(2, 2, 1024);
	return 0;
}

static void
assert_node(struct spaces *s, unsigned node, uint64_t total, uint64_t surplus)
{
	struct gw_hugetlb_info info;

	assert_int_equal(gw_hugetlb_info(s->m, node, SMALL_ORDER, &info), 0);
	assert_int_equal(info.total, total);
	assert_int_equal(info.surplus, surplus);
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 0);
}

/* 2.1: a page that goes to another node takes a surplus along, as long as there is any, so that the
 * pools stay as large as they shall be; the next one takes its place in the pool along. */
static void
surplus_moves_along(void **state)
{
	struct spaces *s = *state;
	gw_pfn_t pages[2], dst[2];
	uint64_t got;

	assert_int_equal(gw_hugetlb_resize(s->m, 0, SMALL_ORDER, 2, &got), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(gw_hugetlb_alloc(s->m, 0, SMALL_ORDER, &pages[i]), 0);
		assert_int_equal(gw_alloc_pages(s->m, GW_GFP_MOVABLE, 1, SMALL_ORDER, &dst[i]), 0);
	}
	assert_int_equal(gw_hugetlb_resize(s->m, 0, SMALL_ORDER, 1, &got), 0);
	assert_node(s, 0, 2, 1);
	gw_hugetlb_migrate(s->m, dst[0], pages[0]);
	assert_node(s, 0, 1, 0);
	assert_node(s, 1, 1, 1);
	gw_hugetlb_migrate(s->m, dst[1], pages[1]);
	assert_node(s, 0, 0, 0);
	assert_node(s, 1, 2, 1);
	for (unsigned i = 0; i < 2; i++) {
		gw_put_page(s->m, pages[i]);
		gw_put_page(s->m, dst[i]);
	}
	assert_node(s, 1, 1, 0);
	assert_int_equal(gw_hugetlb_resize(s->m, 1, SMALL_ORDER, 0, &got), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, huge_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(surplus_is_at_most_the_pool),
		TEST(shrunk_twice_to_one_size),
		TEST(reserved_surplus_is_given_back),
		cmocka_unit_test_setup_teardown(surplus_moves_along, setup_nodes, spaces_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
