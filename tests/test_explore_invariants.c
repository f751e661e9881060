/* SPDX-License-Identifier: MIT */
/*
 * test_explore_invariants.c - what the explorer looks at after each step (FACTS 1.0): each is
 * broken for a few steps and mended again, so that nothing but a look at every step can see it.
 */
#include "test.h"

#include <string.h>

#include "engine/virt/virt.h"
#include "explore/scenarios/scenarios.h"
#include "explore_fixture.h"

struct broken {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_pfn_t pfn, pair, free; /* mapped at addr; of order 1, its tail behind it; free */
};

static int
setup(void *arg)
{
	struct broken *b = arg;
	int err = gw_small_machine(1, &b->m);

	if (!err)
		err = gw_small_space(b->m, "space", &b->mm);
	if (!err)
		err = gw_small_page(b->mm, 42, &b->addr, &b->pfn);
	if (!err)
		err = gw_alloc_pages(b->m, GW_GFP_KERNEL, 0, 1, &b->pair);
	b->free = GW_SMALL_FRAMES - 1;
	return err;
}

static void
teardown(void *arg)
{
	struct broken *b = arg;

	gw_put_page(b->m, b->pair);
	gw_mm_put(b->mm);
	gw_machine_destroy(b->m);
}

/* Put another entry where the page's is; returns that. */
static gw_pte_t
swap_entry(struct broken *b, gw_pte_t to)
{
	gw_spinlock *lock;
	gw_atomic_u64 *entry = gw_pte_lock(b->mm, b->addr, &lock);
	gw_pte_t was = gw_u64_load_relaxed(entry);

	gw_u64_store_release(entry, to);
	gw_spin_unlock(lock);
	return was;
}

static void
make_entry_unlocked(void *arg)
{
	struct broken *b = arg;

	(void)swap_entry(b, swap_entry(b, gw_pte_migration(b->pfn, true, 0)));
}

static void
unlock_too_early(void *arg)
{
	struct broken *b = arg;
	gw_pte_t was;

	gw_page_lock(b->m, b->pfn);
	was = swap_entry(b, gw_pte_migration(b->pfn, true, 0));
	gw_page_unlock(b->m, b->pfn);
	(void)swap_entry(b, was);
}

static void
make_entry_locked(void *arg)
{
	struct broken *b = arg;

	gw_page_lock(b->m, b->pfn);
	make_entry_unlocked(b);
	gw_page_unlock(b->m, b->pfn);
}

static void
hold_for_a_while(struct broken *b, gw_pfn_t frame)
{
	gw_ref_set(&gw_page(b->m, frame)->refcount, 1);
	gw_ref_set(&gw_page(b->m, frame)->refcount, 0);
}

static void
hold_tail(void *arg)
{
	struct broken *b = arg;

	hold_for_a_while(b, b->pair + 1);
}

static void
hold_free_frame(void *arg)
{
	struct broken *b = arg;

	hold_for_a_while(b, b->free);
}

/* As a waiter would that has given up its reference. */
static void
mark_free_frame(void *arg)
{
	struct broken *b = arg;

	gw_u32_or_relaxed(&gw_page(b->m, b->free)->flags, GW_PG_WAITERS);
	gw_u32_and_release(&gw_page(b->m, b->free)->flags, ~GW_PG_WAITERS);
}

static void
count_one_more(struct broken *b, uint64_t n)
{
	struct gw_zone *zone = &b->m->zones[0];

	gw_spin_lock(&zone->lock);
	gw_u64_store_relaxed(&zone->nr_free, gw_u64_load_relaxed(&zone->nr_free) + n);
	gw_spin_unlock(&zone->lock);
}

static void
miscount(void *arg)
{
	count_one_more(arg, 1);
	count_one_more(arg, UINT64_MAX);
}

static void
recount(void *arg)
{
	count_one_more(arg, 0);
}

#define BROKEN(id, task)                                                                           \
	static const struct gw_explore_scenario id = {                                             \
		.name = #id,                                                                       \
		.state_size = sizeof(struct broken),                                               \
		.setup = setup,                                                                    \
		.tasks = {{.name = "one", .run = task}},                                           \
		.teardown = teardown,                                                              \
	}

BROKEN(entry_unlocked, make_entry_unlocked);
BROKEN(unlocked_early, unlock_too_early);
BROKEN(entry_locked, make_entry_locked);
BROKEN(tail_held, hold_tail);
BROKEN(free_held, hold_free_frame);
BROKEN(free_marked, mark_free_frame);
BROKEN(miscounted, miscount);
BROKEN(recounted, recount);

static void
assert_names(const struct gw_explore_scenario *scenario, const char *invariant)
{
	struct gw_explore_result result;

	assert_finds(scenario, GW_EXPLORE_BUG);
	assert_int_equal(gw_explore_run(scenario, NULL, &result), 0);
	assert_memory_equal(result.message, invariant, strlen(invariant));
	gw_explore_result_free(&result);
}

/* I1, I2: a migration entry names a locked page, from when it is made until it is gone. */
static void
test_entries_name_locked_pages(void **state)
{
	(void)state;
	assert_names(&entry_unlocked, "I1:");
	assert_names(&unlocked_early, "I2:");
	assert_clean(&entry_locked);
}

/* I7: nobody has a reference to a tail, or to a free frame. */
static void
test_tails_and_free_frames_have_no_references(void **state)
{
	(void)state;
	assert_names(&tail_held, "I7: the tail");
	assert_names(&free_held, "I7: frame");
}

/* I9: a free frame is not waited for. */
static void
test_free_frames_have_no_waiters(void **state)
{
	(void)state;
	assert_names(&free_marked, "I9:");
}

/* I10: free frames are counted right whenever the zone's lock is free. */
static void
test_free_frames_add_up(void **state)
{
	(void)state;
	assert_names(&miscounted, "I10:");
	assert_clean(&recounted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_name_locked_pages),
		cmocka_unit_test(test_tails_and_free_frames_have_no_references),
		cmocka_unit_test(test_free_frames_have_no_waiters),
		cmocka_unit_test(test_free_frames_add_up),
	};

	return cmocka_run_group_tests_name("explore_invariants", tests, NULL, NULL);
}
