/* SPDX-License-Identifier: MIT */
/* test_flagwait.c - a flag that is waited for in the word of a page-bit lock (FACTS C7). */
#include "bitlock_fixture.h"

#define FLAG 4u

/* One thread that waits for the flag, holding a lock of rank PAGE: who ends a flag needs none. */
static void
wait_for_flag(struct worker *worker)
{
	struct waiter *w = worker->arg;
	gw_atomic_u32 own = {0};

	if (!gw_bit_trylock(&own, LOCK))
		abort();
	gw_u32_store_release(&w->tid, (uint32_t)syscall(SYS_gettid));
	gw_flag_wait(&table, w->word, FLAG, WAITERS);
	gw_u32_store_release(&w->returned, 1);
	unlock(&own);
}

/* C7 for two bits of one word: who waits for one of them is not woken for the other, whose end
 * comes first or second, and is not forgotten either. */
static void
two_bits_share_the_waiters_bit(void **state)
{
	(void)state;
	for (unsigned flag_first = 0; flag_first < 2; flag_first++) {
		gw_atomic_u32 word = {FLAG};
		struct waiter drop = {.drops = {0}}, flag = {.word = &word};

		lock(&word);
		workers_start(&flag.worker, 1, wait_for_flag, &flag);
		wait_asleep(&flag);
		waiter_start(&drop, &word, GW_WAIT_DROP, false); /* ends with its first wake-up */
		wait_asleep(&drop);
		if (flag_first) {
			gw_flag_clear(&table, &word, FLAG, WAITERS);
			waiter_join(&flag);
			wait_asleep(&drop);
			assert_int_equal(gw_u32_load_acquire(&drop.returned), 0);
			unlock(&word);
			waiter_join(&drop);
		} else {
			unlock(&word);
			waiter_join(&drop);
			wait_asleep(&flag);
			assert_int_equal(gw_u32_load_acquire(&flag.returned), 0);
			gw_flag_clear(&table, &word, FLAG, WAITERS);
			waiter_join(&flag);
		}
		assert_int_equal(gw_u32_load_relaxed(&word), 0);
	}
}

/* A flag that is set again stops the walk for it, not the lock's. */
static void
set_flag_does_not_stop_the_locks_walk(void **state)
{
	gw_atomic_u32 word = {FLAG};
	struct waiter shared = {.drops = {0}};

	(void)state;
	lock(&word);
	waiter_start(&shared, &word, GW_WAIT_SHARED, false);
	wait_asleep(&shared);
	unlock(&word); /* the flag is set all the time */
	waiter_join(&shared);
	assert_int_equal(shared.result, 0);
	assert_int_equal(gw_u32_load_relaxed(&word), FLAG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SYNC_TEST(two_bits_share_the_waiters_bit),
		SYNC_TEST(set_flag_does_not_stop_the_locks_walk),
	};

	return cmocka_run_group_tests(tests, setup_table, destroy_table);
}
