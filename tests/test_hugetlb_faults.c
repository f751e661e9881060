/* SPDX-License-Identifier: MIT */
/*
 * test_hugetlb_faults.c - faults on pages of a pool that has no page to spare, against each other
 * and against who moves the page (3.5, A13 of FACTS).
 */
#include <errno.h>
#include <pthread.h>

#include "hugetlb_fixture.h"
#include "test.h"

#define ROUNDS 30

struct writer {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	unsigned cpu;
	uint64_t value;
	pthread_barrier_t *start; /* NULL: at once */
	gw_atomic_u32 done;
	int err;
};

static void *
write_value(void *arg)
{
	struct writer *w = arg;

	if (w->start)
		pthread_barrier_wait(w->start);
	w->err = try_poke(w->s, w->cpu, w->mm, w->addr, w->value);
	gw_u32_store_release(&w->done, 1);
	return NULL;
}

/* Two tasks write at the same time, one to the first frame of a's page, one to the last of b's;
 * both succeed. */
static void
write_both(struct spaces *s, struct gw_mm *a, struct gw_mm *b)
{
	const gw_vaddr_t last = HUGE_AT + TABLE - PAGE;
	pthread_barrier_t start;
	struct writer w[2] = {{.s = s, .mm = a, .addr = HUGE_AT, .value = 1, .start = &start},
		{.s = s, .mm = b, .addr = last, .cpu = 1, .value = 2, .start = &start}};
	pthread_t threads[2];

	assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_value, &w[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	pthread_barrier_destroy(&start);
	assert_int_equal(w[0].err, 0);
	assert_int_equal(w[1].err, 0);
	assert_int_equal(peek(a, HUGE_AT), 1);
	assert_int_equal(peek(b, last), 2);
}

/* A space whose page, in which each frame has its number, has been shared, and is its own again. */
static struct gw_mm *
new_owner(struct spaces *s)
{
	struct gw_mm *mm = new_space(s);

	assert_int_equal(try_map(mm, 1), 0);
	write_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	gw_mm_put(fork_space(mm));
	assert_int_equal(maps_of(s, page_of(mm, HUGE_AT)), 1);
	return mm;
}

/* 3.5: two faults on one empty entry take one page, the last, whether it was reserved for them or
 * not, as a child's. */
static void
racing_faults_take_one_page(void **state)
{
	struct spaces *s = *state;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct gw_mm *mm = new_space(s), *child;

		resize(s, 1);
		assert_int_equal(try_map(mm, 1), 0);
		write_both(s, mm, mm);
		assert_pool(s, 1, 0, 0);
		assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_DONTNEED), 0);
		child = fork_space(mm);
		write_both(s, child, child);
		assert_pool(s, 1, 0, 0);
		gw_mm_put(child);
		gw_mm_put(mm);
	}
	resize(s, 0);
}

/* 3.5: two writes to one page that is shared make one copy. */
static void
racing_writes_make_one_copy(void **state)
{
	struct spaces *s = *state;

	resize(s, 2);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct gw_mm *both[2] = {new_owner(s)};

		both[1] = fork_space(both[0]);
		write_both(s, both[1], both[1]);
		assert_pool(s, 2, 0, 0);
		assert_frames(both[0], HUGE_AT, FRAMES_PER_HUGE);
		verify(s, both, 2);
		gw_mm_put(both[0]);
		gw_mm_put(both[1]);
	}
	resize(s, 0);
}

/* 3.5: of two that share a page and write to it one has a copy, and the other the page. */
static void
families_make_one_copy(void **state)
{
	struct spaces *s = *state;

	resize(s, 2);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct gw_mm *both[2] = {new_owner(s)};

		both[1] = fork_space(both[0]);
		write_both(s, both[0], both[1]);
		assert_pool(s, 2, 0, 0);
		assert_int_equal(peek(both[1], HUGE_AT), HUGE_AT / PAGE);
		verify(s, both, 2);
		gw_mm_put(both[0]);
		gw_mm_put(both[1]);
	}
	resize(s, 0);
}

/* A13: a page that somebody has isolated is written where it is, since the pool has no other. */
static void
isolated_pages_are_written(void **state)
{
	struct spaces *s = *state;
	struct gw_page_list list;
	struct gw_mm *mm;
	gw_pfn_t page;

	resize(s, 1);
	mm = new_owner(s);
	page = page_of(mm, HUGE_AT);
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	poke(mm, HUGE_AT, HUGE_AT / PAGE);
	assert_int_equal(page_of(mm, HUGE_AT), page);
	gw_putback_movable_pages(s->m, &list);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	resize(s, 0);
}

/* A13: while it is locked, as it is while it moves, its map count says nothing: a write waits, and
 * then goes where the page is. */
static void
locked_pages_are_waited_for(void **state)
{
	struct spaces *s = *state;
	struct writer w = {.s = s, .addr = HUGE_AT, .cpu = 1, .value = HUGE_AT / PAGE};
	pthread_t thread;
	gw_pfn_t page;

	resize(s, 1);
	w.mm = new_owner(s);
	page = page_of(w.mm, HUGE_AT);
	lock_with_pin(s, page);
	assert_int_equal(pthread_create(&thread, NULL, write_value, &w), 0);
	while (!(gw_page_flags(gw_page(s->m, page)) & GW_PG_WAITERS) &&
		!gw_u32_load_acquire(&w.done))
		gw_relax();
	assert_int_equal(gw_u32_load_acquire(&w.done), 0);
	unlock_with_pin(s, page);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.err, 0);
	assert_int_equal(page_of(w.mm, HUGE_AT), page);
	assert_frames(w.mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &w.mm, 1);
	gw_mm_put(w.mm);
	resize(s, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, huge_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(racing_faults_take_one_page),
		TEST(racing_writes_make_one_copy),
		TEST(families_make_one_copy),
		TEST(isolated_pages_are_written),
		TEST(locked_pages_are_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
