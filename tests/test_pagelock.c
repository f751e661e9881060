/* SPDX-License-Identifier: MIT */
/*
 * test_pagelock.c - the page lock and the three ways to wait for it, on real pages (FACTS 1.3).
 *
 * A waiter runs in a thread of its own. That it waits is seen from outside: it sets the waiters bit
 * and, if it waits in the DROP way, its reference goes.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "machine_fixture.h"
#include "godwit/migrate.h"

#define FRAMES 1024

enum wait_by { BY_LOCK, BY_LOCK_KILLABLE, BY_WAIT, BY_DROP, BY_DROP_KILLABLE };

struct waiter {
	struct fixture *f;
	gw_pfn_t pfn;
	enum wait_by by;
	struct gw_task task;
	gw_atomic_u32 attached, done;
	int result;
	pthread_t thread;
};

static void *
waiter_thread(void *arg)
{
	struct waiter *w = arg;
	struct gw_machine *m = w->f->m;

	if (gw_task_attach(&w->task, m, 1))
		abort();
	gw_u32_store_release(&w->attached, 1);
	switch (w->by) {
	case BY_LOCK:
		gw_page_lock(m, w->pfn);
		break;
	case BY_LOCK_KILLABLE:
		w->result = gw_page_lock_killable(m, w->pfn);
		break;
	case BY_WAIT:
		w->result = gw_page_wait_locked(m, w->pfn, false);
		break;
	case BY_DROP:
	case BY_DROP_KILLABLE:
		w->result = gw_page_put_and_wait_locked(m, w->pfn, w->by == BY_DROP_KILLABLE);
		break;
	}
	gw_u32_store_release(&w->done, 1);
	gw_task_detach(&w->task);
	return NULL;
}

static uint32_t
flags(struct fixture *f, gw_pfn_t pfn)
{
	return gw_page_flags(gw_page(f->m, pfn));
}

static uint32_t
refs(struct fixture *f, gw_pfn_t pfn)
{
	return gw_ref_read(&gw_page(f->m, pfn)->refcount);
}

/* Start a waiter on `pfn`, locked by us, with a reference for it, and see it wait. */
static void
start_waiter(struct waiter *w, struct fixture *f, gw_pfn_t pfn, enum wait_by by)
{
	gw_pfn_t head = gw_page_head(f->m, pfn);
	uint32_t refs_then = refs(f, head) + (by >= BY_DROP ? 0 : 1);

	*w = (struct waiter){.f = f, .pfn = pfn, .by = by};
	gw_get_page(f->m, pfn);
	assert_int_equal(pthread_create(&w->thread, NULL, waiter_thread, w), 0);
	while (!gw_u32_load_acquire(&w->attached) || !(flags(f, head) & GW_PG_WAITERS) ||
		refs(f, head) != refs_then)
		sched_yield();
	for (unsigned i = 0; i < 100; i++)
		sched_yield();
	assert_false(gw_u32_load_acquire(&w->done));
}

static void
join_waiter(struct waiter *w)
{
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	assert_true(gw_u32_load_acquire(&w->done));
}

static int
setup(void **state)
{
	*state = fixture_create(FRAMES, 3, 4);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_free_frames(f), FRAMES);
	fixture_destroy(f);
	return 0;
}

static gw_pfn_t
locked_page(struct fixture *f, unsigned order)
{
	gw_pfn_t pfn = fixture_alloc(f, order);

	assert_true(gw_page_trylock(f->m, pfn));
	return pfn;
}

/* One holder at a time. */
static void
trylock_excludes(void **state)
{
	struct fixture *f = *state;
	gw_pfn_t pfn = locked_page(f, 0);

	assert_false(gw_page_trylock(f->m, pfn));
	gw_page_unlock(f->m, pfn);
	assert_true(gw_page_trylock(f->m, pfn));
	gw_page_unlock(f->m, pfn);
	gw_put_page(f->m, pfn);
}

/* C3 EXCLUSIVE: the waiter keeps its reference and returns with the lock. */
static void
exclusive_waiter_takes_the_lock(void **state)
{
	struct fixture *f = *state;
	gw_pfn_t pfn = locked_page(f, 0);
	struct waiter w;

	start_waiter(&w, f, pfn, BY_LOCK);
	gw_page_unlock(f->m, pfn);
	join_waiter(&w);
	assert_true(flags(f, pfn) & GW_PG_LOCKED);
	assert_int_equal(refs(f, pfn), 2);
	gw_page_unlock(f->m, pfn);
	gw_put_page(f->m, pfn);
	gw_put_page(f->m, pfn);
}

/* C3 SHARED: the waiter keeps its reference and leaves the lock alone. */
static void
shared_waiter_leaves_the_lock(void **state)
{
	struct fixture *f = *state;
	gw_pfn_t pfn = locked_page(f, 0);
	struct waiter w;

	start_waiter(&w, f, pfn, BY_WAIT);
	gw_page_unlock(f->m, pfn);
	join_waiter(&w);
	assert_int_equal(w.result, 0);
	assert_false(flags(f, pfn) & GW_PG_LOCKED);
	assert_int_equal(refs(f, pfn), 2);
	gw_put_page(f->m, pfn);
	gw_put_page(f->m, pfn);
}

/* C3, C4 DROP: the reference goes before the sleep (start_waiter() sees it), not after. */
static void
drop_waiter_gives_its_reference_up(void **state)
{
	struct fixture *f = *state;
	gw_pfn_t pfn = locked_page(f, 0);
	struct waiter w;

	start_waiter(&w, f, pfn, BY_DROP);
	assert_int_equal(refs(f, pfn), 1);
	gw_page_unlock(f->m, pfn);
	join_waiter(&w);
	assert_int_equal(w.result, 0);
	assert_int_equal(refs(f, pfn), 1);
	gw_put_page(f->m, pfn);
}

/* C4: the bit is clear: no sleep, the reference goes all the same. The last one frees the page. */
static void
drop_without_sleep(void **state)
{
	struct fixture *f = *state;
	gw_pfn_t pfn = fixture_alloc(f, 0);

	gw_get_page(f->m, pfn);
	assert_int_equal(gw_page_put_and_wait_locked(f->m, pfn, false), 0);
	assert_int_equal(refs(f, pfn), 1);
	assert_int_equal(gw_page_put_and_wait_locked(f->m, pfn, false), 0);
	assert_int_equal(fixture_free_frames(f), FRAMES);
}

/* C5: an interrupted killable wait is -EINTR, and nothing is left behind: the reference is gone,
 * the lock with its holder. */
static void
killable_waits_are_interrupted(void **state)
{
	struct fixture *f = *state;
	gw_pfn_t pfn = locked_page(f, 0);
	struct waiter w;

	start_waiter(&w, f, pfn, BY_DROP_KILLABLE);
	gw_task_interrupt(&w.task);
	join_waiter(&w);
	assert_int_equal(w.result, -EINTR);
	assert_int_equal(refs(f, pfn), 1);

	start_waiter(&w, f, pfn, BY_LOCK_KILLABLE);
	gw_task_interrupt(&w.task);
	join_waiter(&w);
	assert_int_equal(w.result, -EINTR);
	assert_int_equal(refs(f, pfn), 2);
	gw_put_page(f->m, pfn);

	gw_page_unlock(f->m, pfn);
	assert_true(gw_page_trylock(f->m, pfn));
	gw_page_unlock(f->m, pfn);
	gw_put_page(f->m, pfn);
}

/* C6, C9: the page is unlocked, freed, allocated again and locked by somebody else at once: the
 * DROP waiter's wait ends all the same, with the unlock that it waited for. */
static void
drop_waiter_outlives_the_page(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 50; i++) {
		gw_pfn_t pfn = locked_page(f, 0);
		gw_pfn_t next;
		struct waiter w;

		start_waiter(&w, f, pfn, BY_DROP);
		gw_page_unlock(f->m, pfn);
		gw_put_page(f->m, pfn); /* the last reference: what reclaim does (C9) */
		next = locked_page(f, 0);
		assert_int_equal(next, pfn); /* the same frame, kept locked */
		join_waiter(&w);
		gw_page_unlock(f->m, next);
		gw_put_page(f->m, next);
	}
}

/* C7: the lock is taken again before the waiters have looked: they are woken by that unlock at the
 * latest. */
static void
relock_race_wakes_everybody(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 100; i++) {
		gw_pfn_t pfn = locked_page(f, 0);
		struct waiter w[3];

		start_waiter(&w[0], f, pfn, BY_DROP);
		start_waiter(&w[1], f, pfn, BY_WAIT);
		start_waiter(&w[2], f, pfn, BY_DROP);
		gw_page_unlock(f->m, pfn);
		if (gw_page_trylock(f->m, pfn))
			gw_page_unlock(f->m, pfn);
		for (unsigned k = 0; k < 3; k++)
			join_waiter(&w[k]);
		gw_put_page(f->m, pfn);
		gw_put_page(f->m, pfn);
	}
}

/* C8: no reference to a page that is free, frozen, or a tail (I7). */
static void
no_reference_past_the_point_of_no_return(void **state)
{
	struct fixture *f = *state;
	gw_pfn_t pfn = fixture_alloc(f, 1);
	gw_refcount *r = &gw_page(f->m, pfn)->refcount;

	assert_false(gw_get_page_unless_zero(f->m, pfn + 1));
	assert_true(gw_ref_freeze(r, 1));
	assert_false(gw_get_page_unless_zero(f->m, pfn));
	gw_ref_unfreeze(r, 1);
	assert_true(gw_get_page_unless_zero(f->m, pfn));
	gw_put_page(f->m, pfn);
	gw_put_page(f->m, pfn);
	assert_false(gw_get_page_unless_zero(f->m, pfn));
}

/* C10: the lock of a compound page is its head's, by whatever frame it is named. */
static void
tails_are_resolved_to_their_head(void **state)
{
	struct fixture *f = *state;
	const enum wait_by ways[] = {BY_LOCK, BY_WAIT, BY_DROP};
	gw_pfn_t pfn = fixture_alloc(f, 2);

	for (unsigned i = 0; i < 3; i++) {
		struct waiter w;

		assert_true(gw_page_trylock(f->m, pfn + 3));
		assert_true(flags(f, pfn) & GW_PG_LOCKED);
		assert_false(gw_page_trylock(f->m, pfn + 1));
		start_waiter(&w, f, pfn + 2, ways[i]);
		gw_page_unlock(f->m, pfn + 1);
		join_waiter(&w);
		if (ways[i] == BY_LOCK)
			gw_page_unlock(f->m, pfn + 2);
		if (ways[i] != BY_DROP)
			gw_put_page(f->m, pfn + 2);
		assert_int_equal(flags(f, pfn + 2), gw_flags_make(GW_PAGE_TAIL, 0));
	}
	gw_put_page(f->m, pfn + 1);
}

/* ---- a crowd ---- */

#define CROWD  4
#define ROUNDS 20000

struct crowd {
	struct fixture *f;
	gw_pfn_t pfn;
	uint64_t counter; /* guarded by the page lock */
};

static void *
crowd_run(void *arg)
{
	struct crowd *c = arg;
	struct gw_machine *m = c->f->m;
	struct gw_task task;

	if (gw_task_attach(&task, m, 2))
		abort();
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (i % 4 == 0) {
			gw_get_page(m, c->pfn);
			gw_page_put_and_wait_locked(m, c->pfn, false);
		} else if (i % 4 == 1) {
			gw_page_wait_locked(m, c->pfn, false);
		}
		gw_page_lock(m, c->pfn);
		c->counter++;
		gw_page_unlock(m, c->pfn);
	}
	gw_task_detach(&task);
	return NULL;
}

/* C3 to C7 together: the lock excludes, no wake-up is lost, the references add up. */
static void
a_crowd_of_waiters(void **state)
{
	struct fixture *f = *state;
	struct crowd c = {.f = f, .pfn = fixture_alloc(f, 0)};
	pthread_t threads[CROWD];

	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &c), 0);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(c.counter, CROWD * ROUNDS);
	assert_int_equal(refs(f, c.pfn), 1);
	assert_int_equal(flags(f, c.pfn), gw_flags_make(GW_PAGE_USED, 0));
	gw_put_page(f->m, c.pfn);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(trylock_excludes),
		T(exclusive_waiter_takes_the_lock),
		T(shared_waiter_leaves_the_lock),
		T(drop_waiter_gives_its_reference_up),
		T(drop_without_sleep),
		T(killable_waits_are_interrupted),
		T(drop_waiter_outlives_the_page),
		T(relock_race_wakes_everybody),
		T(no_reference_past_the_point_of_no_return),
		T(tails_are_resolved_to_their_head),
		T(a_crowd_of_waiters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
