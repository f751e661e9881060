/* SPDX-License-Identifier: MIT */
/*
 * test_tiers_huge.c - large pages that go down a tier, and up again (FACTS 2.3).
 */
#include "test.h"

#include "godwit/reclaim.h"
#include "huge_nodes_fixture.h"

static void
cool(struct world *x, unsigned huge)
{
	gw_lru_add_drain_all(x->w->m);
	assert_int_equal(gw_madvise(x->mm, HUGE_AT, huge * TABLE, GW_MADV_COLD), 0);
}

/* `n` huge pages' worth, in pages of `order` on node 0, not used since; reclaim may demote. */
static void
cold_pages(struct world *x, unsigned n, unsigned order)
{
	x->w->numa.demotion = true;
	set_numa(x->w);
	(void)fill_huge(x->s, x->mm, n, order);
	cool(x, n);
}

/* A cold large page goes down whole, whatever its order; pgdemote_proactive counts frames. */
static void
large_pages_go_down_whole(void **state)
{
	struct world *x = *state;

	cold_pages(x, 1, GW_HUGE_ORDER);
	assert_int_equal(gw_reclaim(x->w->m, 0, NULL, 1), FRAMES_PER_HUGE);
	assert_true(is_huge(x->mm, HUGE_AT));
	assert_whole_on(x, 0, GW_HUGE_ORDER, SLOW);
	assert_int_equal(events(x->w, GW_VM_PGDEMOTE_PROACTIVE), FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_THP_SPLIT_PAGE), 0);
	assert_int_equal(gw_munmap(x->mm, HUGE_AT, TABLE), 0);
	cold_pages(x, 1, 4);
	assert_in_range(gw_reclaim(x->w->m, 0, NULL, FRAMES_PER_HUGE), FRAMES_PER_HUGE, 1000);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i += 16)
		assert_whole_on(x, i, 4, SLOW);
	assert_int_equal(events(x->w, GW_VM_THP_SPLIT_PAGE), 0);
	verify(x->s, &x->mm, 1);
}

/* One that was used since it came to the inactive list goes back to the active one. */
static void
used_page_stays(void **state)
{
	struct world *x = *state;
	gw_pfn_t pages[2];

	cold_pages(x, 2, GW_HUGE_ORDER);
	for (unsigned i = 0; i < 2; i++) {
		pages[i] = page_of(x->mm, frame(i * FRAMES_PER_HUGE));
		gw_get_page(x->w->m, pages[i]);
	}
	assert_int_equal(gw_reclaim(x->w->m, 0, NULL, 1), 0); /* both are inactive now */
	for (unsigned i = 0; i < 2; i++)
		gw_put_page(x->w->m, pages[i]);
	use(x, 0, FRAMES_PER_HUGE + 9);
	assert_int_equal(gw_reclaim(x->w->m, 0, NULL, 1), FRAMES_PER_HUGE);
	assert_whole_on(x, 0, GW_HUGE_ORDER, SLOW);
	assert_whole_on(x, FRAMES_PER_HUGE, GW_HUGE_ORDER, 0);
	assert_int_equal(events(x->w, GW_VM_PGACTIVATE), 1);
}

/* Where no node below has a block of its size it goes down in pieces; where there is no room at all
 * its pieces stay. */
static void
without_a_block_it_is_split(void **state)
{
	struct world *x = *state;
	struct hog h;

	cold_pages(x, 1, GW_HUGE_ORDER);
	hog(x->w, &h, SLOW, 5);
	assert_int_equal(gw_reclaim(x->w->m, 0, NULL, 1), 0);
	assert_int_equal(events(x->w, GW_VM_PGDEMOTE_PROACTIVE), 0);
	unhog(x->w, &h);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		assert_whole_on(x, i, 0, 0);
	assert_int_equal(gw_munmap(x->mm, HUGE_AT, TABLE), 0);
	cold_pages(x, 1, GW_HUGE_ORDER);
	fragment(x, &h, SLOW);
	assert_int_equal(gw_reclaim(x->w->m, 0, NULL, 1), FRAMES_PER_HUGE);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		assert_whole_on(x, i, 0, SLOW);
	assert_int_equal(events(x->w, GW_VM_PGDEMOTE_PROACTIVE), FRAMES_PER_HUGE);
	verify(x->s, &x->mm, 1);
	unhog(x->w, &h);
}

/* A huge page for the first range would be on node 0, which is full of what two ranges use, cold.
 */
static void
full_of_cold_pages(struct world *x, struct hog *h)
{
	x->w->numa.demotion = true;
	set_numa(x->w);
	use_orders(x->s, 0);
	map_huge(x->mm, 2);
	write_frames(x->mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	use_orders(x->s, 1u << GW_HUGE_ORDER);
	cool(x, 2);
	bind_range(x->mm, HUGE_AT, FRAMES_PER_HUGE, policy(GW_POLICY_BIND, 1));
	hog(x->w, h, 0, 5);
}

/* What is demoted to make room for a huge page is counted as whose request it is: khugepaged's, */
static void
demotions_for_khugepaged(void **state)
{
	struct world *x = *state;
	struct gw_khugepaged k;
	struct hog h;

	full_of_cold_pages(x, &h);
	use(x, 0, 3); /* it collapses nothing that nobody uses */
	gw_khugepaged_init(&k);
	k.pages_to_scan = FRAMES_PER_HUGE;
	(void)gw_khugepaged_scan(&k, x->w->m, &x->mm, 1);
	assert_true(events(x->w, GW_VM_PGDEMOTE_KHUGEPAGED) > 0);
	assert_int_equal(
		events(x->w, GW_VM_PGDEMOTE_KHUGEPAGED), events(x->w, GW_VM_PGSTEAL_KHUGEPAGED));
	assert_int_equal(events(x->w, GW_VM_PGDEMOTE_DIRECT), 0);
	unhog(x->w, &h);
	assert_frames(x->mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
}

/* or a task's. */
static void
demotions_for_a_task(void **state)
{
	struct world *x = *state;
	struct hog h;

	full_of_cold_pages(x, &h);
	assert_true(gw_collapse(x->mm, HUGE_AT, TABLE, NULL) <= 0);
	assert_true(events(x->w, GW_VM_PGDEMOTE_DIRECT) > 0);
	assert_int_equal(events(x->w, GW_VM_PGDEMOTE_KHUGEPAGED), 0);
	assert_int_equal(events(x->w, GW_VM_PGDEMOTE_PROACTIVE), 0);
	unhog(x->w, &h);
	assert_frames(x->mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
}

/* Hinting pages on the slow node, in tiering mode. */
static void
slow_pages(struct world *x, unsigned n)
{
	x->w->numa.balancing = GW_BALANCING_TIERING;
	cold_pages(x, n, GW_HUGE_ORDER);
	assert_int_equal(gw_reclaim(x->w->m, 0, NULL, n * FRAMES_PER_HUGE), n * FRAMES_PER_HUGE);
	assert_int_equal(node_at(x->w, x->mm, HUGE_AT), SLOW);
	assert_int_equal(scan_now(x->w, x->mm), n * FRAMES_PER_HUGE);
}

/* What was demoted whole and is hot again goes up whole; pgpromote_candidate and pgpromote_success
 * count frames. What is used late stays. */
static void
hot_page_goes_up_whole(void **state)
{
	struct world *x = *state;

	slow_pages(x, 2);
	pass_ms(x->w, 999);
	use(x, 0, 9);
	pass_ms(x->w, 1);
	use(x, 0, FRAMES_PER_HUGE + 9);
	assert_true(is_huge(x->mm, HUGE_AT));
	assert_whole_on(x, 0, GW_HUGE_ORDER, 0);
	assert_whole_on(x, FRAMES_PER_HUGE, GW_HUGE_ORDER, SLOW);
	assert_int_equal(events(x->w, GW_VM_PGPROMOTE_CANDIDATE), FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_PGPROMOTE_SUCCESS), FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_NUMA_PAGES_MIGRATED), FRAMES_PER_HUGE);
	verify(x->s, &x->mm, 1);
}

/* The limit is of frames: a huge page counts 512, and it is over. */
static void
the_limit_counts_frames(void **state)
{
	struct world *x = *state;

	x->w->numa.promote_rate_limit_mbps = 1;
	slow_pages(x, 3);
	use(x, 0, 9);
	use(x, 0, FRAMES_PER_HUGE);
	assert_int_equal(node_at(x->w, x->mm, HUGE_AT), 0);
	assert_int_equal(node_at(x->w, x->mm, frame(FRAMES_PER_HUGE)), SLOW);
	assert_int_equal(events(x->w, GW_VM_PGPROMOTE_CANDIDATE), 2 * FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_PGPROMOTE_SUCCESS), FRAMES_PER_HUGE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, huge_nodes_setup, huge_nodes_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(large_pages_go_down_whole),
		T(used_page_stays),
		T(without_a_block_it_is_split),
		T(demotions_for_khugepaged),
		T(demotions_for_a_task),
		T(hot_page_goes_up_whole),
		T(the_limit_counts_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
