/* SPDX-License-Identifier: MIT */
/*
 * test_bitlock.c - the page-bit lock and its three ways to wait (FACTS C3 to C7).
 */
#include "bitlock_fixture.h"

#include <sys/mman.h>

/* C3: EXCLUSIVE returns with the bit taken, SHARED with it seen clear, DROP without a look. */
static void
three_ways_to_wait(void **state)
{
	static const enum gw_wait modes[] = {GW_WAIT_EXCLUSIVE, GW_WAIT_SHARED, GW_WAIT_DROP};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		gw_atomic_u32 word = {0xf0};
		struct waiter w = {.drops = {0}};

		lock(&word);
		waiter_start(&w, &word, modes[i], false);
		wait_asleep(&w);
		assert_int_equal(gw_u32_load_relaxed(&word), 0xf0 | LOCK | WAITERS);
		assert_int_equal(gw_u32_load_acquire(&w.returned), 0);
		unlock(&word);
		waiter_join(&w);
		assert_int_equal(w.result, 0);
		assert_int_equal(gw_u32_load_relaxed(&w.drops), modes[i] == GW_WAIT_DROP);
		assert_int_equal(gw_u32_load_relaxed(&word), 0xf0); /* no bit is left behind */
	}
}

/* C4: with the bit clear nobody sleeps; DROP drops all the same; EXCLUSIVE has the bit. */
static void
clear_bit_is_not_waited_for(void **state)
{
	gw_atomic_u32 word = {0};
	struct waiter w = {.word = &word};

	(void)state;
	assert_int_equal(
		gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_DROP, false, dropped, &w), 0);
	assert_int_equal(gw_u32_load_relaxed(&w.drops), 1);
	assert_int_equal(
		gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_SHARED, false, NULL, NULL), 0);
	assert_int_equal(
		gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_EXCLUSIVE, false, NULL, NULL), 0);
	assert_int_equal(gw_u32_load_relaxed(&word), LOCK);
	assert_false(gw_bit_trylock(&word, LOCK));
	unlock(&word);
}

/* C4: the waiter is queued, and the waiters bit set, before the reference is dropped. */
static void
drop_comes_after_queueing(void **state)
{
	gw_atomic_u32 word = {0};
	struct waiter w = {.drops = {0}};

	(void)state;
	lock(&word);
	waiter_start(&w, &word, GW_WAIT_DROP, false);
	wait_asleep(&w);
	unlock(&word);
	waiter_join(&w);
	assert_int_equal(w.word_at_drop, LOCK | WAITERS);
}

static void
unlock_in_drop(struct waiter *w)
{
	unlock(w->word);
}

/* C4: an unlock between the look and the sleep, at the latest moment, is not lost. */
static void
unlock_before_the_sleep_is_seen(void **state)
{
	gw_atomic_u32 word = {LOCK};
	struct waiter w = {.on_drop = unlock_in_drop};

	(void)state;
	waiter_start(&w, &word, GW_WAIT_DROP, false);
	waiter_join(&w);
	assert_int_equal(w.result, 0);
	assert_int_equal(gw_u32_load_relaxed(&word), 0);
}

/* C5: one wake-up, also one for nothing, ends a DROP wait; SHARED and EXCLUSIVE look again. */
static void
spurious_wakeup_ends_only_drop(void **state)
{
	gw_atomic_u32 word = {0};
	struct waiter drop = {.drops = {0}}, shared = {.drops = {0}}, exclusive = {.drops = {0}};

	(void)state;
	lock(&word);
	waiter_start(&drop, &word, GW_WAIT_DROP, false);
	waiter_start(&shared, &word, GW_WAIT_SHARED, false);
	waiter_start(&exclusive, &word, GW_WAIT_EXCLUSIVE, false);
	wait_asleep(&drop);
	wait_asleep(&shared);
	wait_asleep(&exclusive);
	gw_task_interrupt(&drop.worker.task); /* not killable: just a wake-up */
	waiter_join(&drop);
	assert_int_equal(drop.result, 0);
	assert_int_equal(gw_u32_load_relaxed(&word) & LOCK, LOCK);
	gw_task_interrupt(&shared.worker.task);
	gw_task_interrupt(&exclusive.worker.task);
	wait_asleep(&shared);
	wait_asleep(&exclusive);
	assert_int_equal(gw_u32_load_acquire(&shared.returned), 0);
	assert_int_equal(gw_u32_load_acquire(&exclusive.returned), 0);
	unlock(&word);
	waiter_join(&shared);
	waiter_join(&exclusive);
	assert_int_equal(shared.result, 0);
	assert_int_equal(exclusive.result, 0);
}

static void
interrupt_in_drop(struct waiter *w)
{
	gw_task_interrupt(&w->worker.task);
}

/* C5: a wake-up between the look and the sleep, at the latest moment, is not lost either. */
static void
wakeup_before_the_sleep_is_seen(void **state)
{
	gw_atomic_u32 word = {LOCK};
	struct waiter w = {.on_drop = interrupt_in_drop};

	(void)state;
	waiter_start(&w, &word, GW_WAIT_DROP, false);
	waiter_join(&w);
	assert_int_equal(w.result, 0);
	assert_int_equal(gw_u32_load_relaxed(&word) & LOCK, LOCK);
}

static void
forbid_word(struct waiter *w)
{
	if (mprotect(w->word, GW_PAGE_SIZE, PROT_NONE))
		abort();
}

/* C6, I9: after drop() the word may be gone: whichever way the wait ends, it is not touched. */
static void
word_is_not_touched_after_drop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bool locked = i & 1, killable = i & 2;
		struct waiter w = {.on_drop = forbid_word};
		gw_atomic_u32 *word = mmap(NULL, GW_PAGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_ptr_not_equal(word, MAP_FAILED);
		gw_u32_store_relaxed(word, locked ? LOCK : 0);
		waiter_start(&w, word, GW_WAIT_DROP, killable);
		if (locked) {
			wait_asleep(&w);
			gw_task_interrupt(&w.worker.task);
		}
		waiter_join(&w);
		assert_int_equal(w.result, locked && killable ? -EINTR : 0);
		assert_int_equal(munmap(word, GW_PAGE_SIZE), 0);
	}
}

/* C6: a page reused and kept locked does not keep a DROP waiter of its former use. */
static void
drop_waiter_ignores_the_words_next_use(void **state)
{
	gw_atomic_u32 word = {0};
	struct waiter w = {.drops = {0}};

	(void)state;
	lock(&word);
	waiter_start(&w, &word, GW_WAIT_DROP, false);
	wait_asleep(&w);
	unlock(&word);
	gw_u32_store_relaxed(&word, 0xdead0000u | LOCK); /* the next user's, all bits its own */
	waiter_join(&w);
	assert_int_equal(gw_u32_load_relaxed(&word), 0xdead0000u | LOCK);
}

/* C7: a walk that finds the bit set again wakes nobody; the new owner's unlock does. */
static void
relocked_bit_stops_the_walk(void **state)
{
	static const enum gw_wait modes[] = {GW_WAIT_SHARED, GW_WAIT_DROP, GW_WAIT_EXCLUSIVE};
	gw_atomic_u32 word = {0};
	struct waiter w[3] = {0};

	(void)state;
	lock(&word);
	for (unsigned i = 0; i < 3; i++) {
		waiter_start(&w[i], &word, modes[i], false);
		wait_asleep(&w[i]);
	}
	/* The state between another's unlock and its walk, after we took the bit again. */
	gw_bit_wake(&table, &word, LOCK, WAITERS);
	for (unsigned i = 0; i < 3; i++) {
		wait_asleep(&w[i]);
		assert_int_equal(gw_u32_load_acquire(&w[i].returned), 0);
	}
	assert_int_equal(gw_u32_load_relaxed(&word), LOCK | WAITERS);
	unlock(&word);
	for (unsigned i = 0; i < 3; i++)
		waiter_join(&w[i]);
	assert_int_equal(gw_u32_load_relaxed(&word), 0);
}

struct hold {
	gw_atomic_u32 *word;
	gw_atomic_u32 tid, holds, release;
};

static void
take_and_hold(struct worker *worker)
{
	struct hold *h = worker->arg;

	gw_u32_store_release(&h->tid, (uint32_t)syscall(SYS_gettid));
	if (gw_bit_wait(&table, h->word, LOCK, WAITERS, GW_WAIT_EXCLUSIVE, false, NULL, NULL))
		abort();
	gw_u32_store_release(&h->holds, 1);
	while (!gw_u32_load_acquire(&h->release))
		usleep(100);
	unlock(h->word);
}

/* How often a thread went to sleep by itself. */
static unsigned long
sleeps_so_far(const gw_atomic_u32 *tid)
{
	static const char name[] = "voluntary_ctxt_switches:";
	unsigned long n = 0;
	char path[64], line[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%u/status", gw_u32_load_relaxed(tid));
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, sizeof(name) - 1) == 0)
			n = strtoul(line + sizeof(name) - 1, NULL, 10);
	(void)fclose(f);
	return n;
}

/* An unlock wakes only the first EXCLUSIVE waiter: the one behind it sleeps on. */
static void
unlock_wakes_one_exclusive_waiter(void **state)
{
	gw_atomic_u32 word = {LOCK};
	struct hold h[2] = {{.word = &word}, {.word = &word}};
	struct worker w[2];
	unsigned long slept;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		workers_start(&w[i], 1, take_and_hold, &h[i]);
		wait_tid_asleep(&h[i].tid);
	}
	slept = sleeps_so_far(&h[1].tid);
	unlock(&word);
	while (!gw_u32_load_acquire(&h[0].holds))
		usleep(100);
	wait_tid_asleep(&h[1].tid);
	assert_int_equal(sleeps_so_far(&h[1].tid), slept);
	assert_int_equal(gw_u32_load_relaxed(&word), LOCK | WAITERS);
	for (unsigned i = 0; i < 2; i++) {
		gw_u32_store_release(&h[i].release, 1);
		workers_join(&w[i], 1);
	}
	assert_int_equal(gw_u32_load_relaxed(&word), 0);
}

/* A waiter that is woken and interrupted at once gives the wake-up to the next EXCLUSIVE one. */
static void
unused_wakeup_is_handed_on(void **state)
{
	gw_atomic_u32 word = {LOCK};
	struct waiter w[3] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		waiter_start(&w[i], &word, GW_WAIT_EXCLUSIVE, i == 0);
		wait_asleep(&w[i]);
	}
	/* gw_task_interrupt() but for its wake-up, so that the unlock's is the one that comes. */
	__atomic_store_n(&w[0].worker.task.interrupted, 1, __ATOMIC_SEQ_CST);
	unlock(&word);
	for (unsigned i = 0; i < 3; i++) {
		waiter_join(&w[i]);
		assert_int_equal(w[i].result, i == 0 ? -EINTR : 0);
	}
	assert_int_equal(gw_u32_load_relaxed(&word), 0);
}

struct turns {
	gw_atomic_u32 *word;
	unsigned order[4], n; /* guarded by the word's lock bit */
	gw_atomic_u32 tid[4];
};

static void
take_a_turn(struct worker *worker)
{
	struct turns *t = worker->arg;

	gw_u32_store_release(&t->tid[worker->index], (uint32_t)syscall(SYS_gettid));
	if (gw_bit_wait(&table, t->word, LOCK, WAITERS, GW_WAIT_EXCLUSIVE, false, NULL, NULL))
		abort();
	t->order[t->n++] = worker->index;
	unlock(t->word);
}

/* EXCLUSIVE waiters get the bit in the order in which they came. */
static void
exclusive_waiters_are_served_in_order(void **state)
{
	gw_atomic_u32 word = {LOCK};
	struct turns turns = {.word = &word};
	struct worker w[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct worker){.fn = take_a_turn, .arg = &turns, .index = i};
		assert_int_equal(pthread_create(&w[i].thread, NULL, worker_main, &w[i]), 0);
		wait_tid_asleep(&turns.tid[i]);
	}
	unlock(&word);
	workers_join(w, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(turns.order[i], i);
}

/* C5: for a killable wait of an interrupted task -EINTR goes first, the bit clear or not. */
static void
interruption_takes_precedence(void **state)
{
	gw_atomic_u32 word = {0};
	struct waiter w = {.word = &word};

	(void)state;
	gw_task_interrupt(gw_current());
	for (unsigned locked = 0; locked <= 1; locked++) {
		gw_u32_store_relaxed(&word, locked);
		assert_int_equal(gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_EXCLUSIVE, true,
					 NULL, NULL),
			-EINTR);
		assert_int_equal(gw_u32_load_relaxed(&word), locked);
		assert_int_equal(
			gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_SHARED, true, NULL, NULL),
			-EINTR);
		assert_int_equal(
			gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_DROP, true, dropped, &w),
			-EINTR);
		assert_int_equal(gw_u32_load_relaxed(&w.drops), locked + 1);
	}
	gw_task_clear_interrupt(gw_current());
	gw_u32_store_relaxed(&word, 0);
	assert_int_equal(
		gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_SHARED, true, NULL, NULL), 0);
}

/* C5: interrupting a task ends its killable sleep, in each of the three ways, with -EINTR. */
static void
interruption_ends_killable_sleeps(void **state)
{
	static const enum gw_wait modes[] = {GW_WAIT_EXCLUSIVE, GW_WAIT_SHARED, GW_WAIT_DROP};
	gw_atomic_u32 word = {LOCK};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct waiter w = {.drops = {0}};

		waiter_start(&w, &word, modes[i], true);
		wait_asleep(&w);
		gw_task_interrupt(&w.worker.task);
		waiter_join(&w);
		assert_int_equal(w.result, -EINTR);
		assert_int_equal(gw_u32_load_relaxed(&word) & LOCK, LOCK);
	}
	unlock(&word); /* finds the waiters bit set and nobody there (Q2) */
	assert_int_equal(gw_u32_load_relaxed(&word), 0);
}

/* ---- crowds ---- */

#define WORDS  3
#define CROWD  8
#define ROUNDS 10000

struct crowd {
	gw_atomic_u32 words[WORDS];
	uint64_t counts[WORDS]; /* not atomic: guarded by the lock bit of the word */
	gw_atomic_u64 taken, drops, dropped;
	gw_atomic_u64 starting, running; /* threads that have not yet begun, ended */
	struct worker workers[CROWD];
	uint64_t seed;
};

static void
count_drop(void *arg)
{
	struct crowd *c = arg;

	gw_u64_add_relaxed(&c->dropped, 1);
}

static void
jostle(struct worker *worker)
{
	struct crowd *c = worker->arg;
	uint64_t random = c->seed + worker->index;

	gw_u64_sub_acq_rel(&c->starting, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t r = test_random(&random);
		unsigned n = (unsigned)(r % WORDS);
		gw_atomic_u32 *word = &c->words[n];
		bool killable = r >> 8 & 1;
		bool taken = gw_bit_trylock(word, LOCK);

		if (!taken && (r >> 9 & 3) == 0) {
			if (gw_bit_wait(&table, word, LOCK, WAITERS, GW_WAIT_SHARED, killable, NULL,
				    NULL))
				gw_task_clear_interrupt(gw_current());
		} else if (!taken && (r >> 9 & 3) == 1) {
			gw_u64_add_relaxed(&c->drops, 1);
			if (gw_bit_wait(&table, word, LOCK, WAITERS, GW_WAIT_DROP, killable,
				    count_drop, c))
				gw_task_clear_interrupt(gw_current());
		} else if (!taken) {
			taken = gw_bit_wait(&table, word, LOCK, WAITERS, GW_WAIT_EXCLUSIVE,
					killable, NULL, NULL) == 0;
			if (!taken)
				gw_task_clear_interrupt(gw_current());
		}
		if (!taken)
			continue;
		c->counts[n]++;
		gw_u64_add_relaxed(&c->taken, 1);
		if ((r >> 12 & 7) == 0)
			sched_yield(); /* let a crowd gather */
		unlock(word);
	}
	gw_u64_sub_acq_rel(&c->running, 1);
	while (gw_u64_load_acquire(&c->running))
		usleep(100); /* the task stays: it may be interrupted until all are done */
}

static void
jostle_and_interrupt(struct crowd *c)
{
	uint64_t random = c->seed ^ 0xa5;

	workers_start(c->workers, CROWD, jostle, c);
	while (gw_u64_load_acquire(&c->starting))
		usleep(100);
	while (gw_u64_load_acquire(&c->running) > 1) {
		gw_task_interrupt(&c->workers[test_random(&random) % CROWD].task);
		usleep(50);
	}
	workers_join(c->workers, CROWD);
}

/*
 * Many threads wait in all ways for few words of one queue, some are interrupted: nobody sleeps
 * for ever, no count is lost, each reference is dropped exactly once.
 */
static void
crowd_loses_nothing(void **state)
{
	struct crowd c = {.seed = test_seed(), .starting = {CROWD}, .running = {CROWD}};
	uint64_t sum = 0;

	(void)state;
	jostle_and_interrupt(&c);
	for (unsigned i = 0; i < WORDS; i++) {
		sum += c.counts[i];
		assert_int_equal(gw_u32_load_relaxed(&c.words[i]) & LOCK, 0);
	}
	assert_int_equal(sum, gw_u64_load_relaxed(&c.taken));
	assert_int_equal(gw_u64_load_relaxed(&c.drops), gw_u64_load_relaxed(&c.dropped));
	assert_int_equal(bug_count(), 0);
}

struct counter {
	gw_atomic_u32 word;
	uint64_t count;
};

static void
count_under_bit(struct worker *w)
{
	struct counter *c = w->arg;

	for (unsigned i = 0; i < 5000; i++) {
		if (!gw_bit_trylock(&c->word, LOCK) &&
			gw_bit_wait(&table, &c->word, LOCK, WAITERS, GW_WAIT_EXCLUSIVE, false, NULL,
				NULL))
			abort();
		c->count++;
		unlock(&c->word);
	}
}

/* The bit excludes, and every EXCLUSIVE waiter gets it. */
static void
bit_excludes(void **state)
{
	struct counter c = {.count = 0};
	struct worker w[CROWD];

	(void)state;
	workers_run(w, CROWD, count_under_bit, &c);
	assert_int_equal(c.count, CROWD * 5000);
	assert_int_equal(gw_u32_load_relaxed(&c.word), 0);
}

/* ---- misuse ---- */

/* Waiting is for attached tasks: anybody else is a bug at once, not a lost sleeper. */
static void
waiting_without_a_task_is_a_bug(void **state)
{
	struct gw_task *task = gw_current();
	gw_atomic_u32 word = {LOCK};
	jmp_buf here;

	(void)state;
	bug_expect("task");
	gw_task_leave(task);
	if (setjmp(here) == 0) {
		bugs.instead_of_abort = &here;
		assert_int_equal(gw_bit_wait(&table, &word, LOCK, WAITERS, GW_WAIT_SHARED, false,
					 NULL, NULL),
			0);
	}
	bugs.instead_of_abort = NULL;
	gw_task_enter(task, NULL, 0);
	assert_int_equal(bug_count(), 1);
}

/* Planted: a second page lock not by trylock, a page lock inside a spinlock, an unlock of none. */
static void
checks_find_misuse_of_page_locks(void **state)
{
	gw_atomic_u32 first = {0}, second = {0};
	gw_spinlock zone;

	(void)state;
	if (!GW_CHECKS)
		skip();
	gw_spin_init(&zone, GW_RANK_ZONE);
	bug_expect("lock");
	lock(&first);
	lock(&second); /* by trylock: as it should be */
	unlock(&second);
	assert_int_equal(bug_count(), 0);
	assert_int_equal(
		gw_bit_wait(&table, &second, LOCK, WAITERS, GW_WAIT_EXCLUSIVE, false, NULL, NULL),
		0);
	assert_int_equal(bug_count(), 1);
	unlock(&second);
	unlock(&first);
	unlock(&first);
	assert_int_equal(bug_count(), 2);
	gw_spin_lock(&zone);
	assert_int_equal(
		gw_bit_wait(&table, &first, LOCK, WAITERS, GW_WAIT_SHARED, false, NULL, NULL), 0);
	gw_spin_unlock(&zone);
	assert_int_equal(bug_count(), 4); /* sleeping, and against the order */
}

/* Without memory there is no table. */
static void
table_reports_no_memory(void **state)
{
	gw_waitq_table none;

	(void)state;
	assert_int_equal(gw_waitq_table_init(&none, 4, test_alloc_fails, NULL), -ENOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SYNC_TEST(three_ways_to_wait),
		SYNC_TEST(clear_bit_is_not_waited_for),
		SYNC_TEST(drop_comes_after_queueing),
		SYNC_TEST(unlock_before_the_sleep_is_seen),
		SYNC_TEST(spurious_wakeup_ends_only_drop),
		SYNC_TEST(wakeup_before_the_sleep_is_seen),
		SYNC_TEST(word_is_not_touched_after_drop),
		SYNC_TEST(drop_waiter_ignores_the_words_next_use),
		SYNC_TEST(relocked_bit_stops_the_walk),
		SYNC_TEST(unlock_wakes_one_exclusive_waiter),
		SYNC_TEST(unused_wakeup_is_handed_on),
		SYNC_TEST(exclusive_waiters_are_served_in_order),
		SYNC_TEST(interruption_takes_precedence),
		SYNC_TEST(interruption_ends_killable_sleeps),
		SYNC_TEST(crowd_loses_nothing),
		SYNC_TEST(bit_excludes),
		SYNC_TEST(waiting_without_a_task_is_a_bug),
		SYNC_TEST(checks_find_misuse_of_page_locks),
		SYNC_TEST(table_reports_no_memory),
	};

	return cmocka_run_group_tests(tests, setup_table, destroy_table);
}
