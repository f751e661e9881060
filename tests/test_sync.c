/* SPDX-License-Identifier: MIT */
/*
 * test_sync.c - engine/sync/sync.h, contract by contract, except page-bit locks
 * (test_bitlock.c): atomics, spinlocks, mutex and read-write lock, reference counts, RCU,
 * per-CPU counters, tasks, and the checks of GW_CHECKS.
 */
#include "sync_test.h"

#define THREADS 6 /* more than CPUs, so that holders of locks are preempted */

/* ---- atomics ---- */

/* Read-modify-writes return the value before; a failed cas hands over the value it found. */
static void
atomics_return_the_value_before(void **state)
{
	gw_atomic_u32 a = {0};
	gw_atomic_u8 b = {0};
	gw_atomic_u64 c = {0};
	gw_atomic_ptr p = {NULL};
	uint32_t expected = 7;
	void *none = NULL;

	(void)state;
	assert_int_equal(gw_u32_add_relaxed(&a, 5), 0);
	assert_int_equal(gw_u32_sub_acq_rel(&a, 1), 5);
	assert_int_equal(gw_u32_or_acquire(&a, 3), 4);
	assert_int_equal(gw_u32_and_release(&a, ~4u), 7);
	assert_int_equal(gw_u32_xchg_acq_rel(&a, 9), 3);
	assert_false(gw_u32_cas_acquire(&a, &expected, 1));
	assert_int_equal(expected, 9);
	assert_true(gw_u32_cas_acq_rel(&a, &expected, 1));
	assert_int_equal(gw_u32_load_acquire(&a), 1);
	assert_int_equal(gw_u8_sub_relaxed(&b, 1), 0);
	assert_int_equal(gw_u8_load_relaxed(&b), 255);
	gw_u64_store_release(&c, UINT64_C(1) << 40);
	assert_true(gw_u64_and_relaxed(&c, 0) == UINT64_C(1) << 40);
	assert_true(gw_ptr_cas_relaxed(&p, &none, &a));
	assert_ptr_equal(gw_ptr_xchg_acq_rel(&p, NULL), &a);
}

/* ---- locks ---- */

struct locked {
	gw_spinlock spin;
	gw_mutex mutex;
	gw_rwlock rw;
	uint64_t a, b; /* equal whenever the lock is free */
	gw_atomic_u32 torn, stop, started;
};

static void
add_under_spinlock(struct worker *w)
{
	struct locked *l = w->arg;
	uint64_t before;

	for (unsigned i = 0; i < 20000; i++) {
		if (i % 4 != 0)
			gw_spin_lock(&l->spin);
		else
			while (!gw_spin_trylock(&l->spin))
				gw_relax();
		before = l->a;
		if (i % 16 == 0)
			sched_yield(); /* the others come and find it held */
		l->a = before + 1;
		gw_spin_unlock(&l->spin);
	}
}

/* Spinlocks exclude, also when there are more threads than CPUs. */
static void
spinlock_excludes(void **state)
{
	struct locked l = {0};
	struct worker w[THREADS];

	(void)state;
	gw_spin_init(&l.spin, GW_RANK_ZONE);
	workers_run(w, THREADS, add_under_spinlock, &l);
	assert_int_equal(l.a, THREADS * 20000);
	assert_false(gw_spin_is_held(&l.spin));
	assert_true(gw_spin_trylock(&l.spin));
	assert_true(gw_spin_is_held(&l.spin));
	assert_false(gw_spin_trylock(&l.spin));
	gw_spin_unlock(&l.spin);
}

static void
add_under_mutex(struct worker *w)
{
	struct locked *l = w->arg;

	for (unsigned i = 0; i < 5000; i++) {
		if (i % 4 != 0 || !gw_mutex_trylock(&l->mutex))
			gw_mutex_lock(&l->mutex);
		l->a++;
		gw_mutex_unlock(&l->mutex);
	}
}

/* Mutexes exclude. */
static void
mutex_excludes(void **state)
{
	struct locked l = {0};
	struct worker w[THREADS];

	(void)state;
	gw_mutex_init(&l.mutex, GW_RANK_RMAP);
	workers_run(w, THREADS, add_under_mutex, &l);
	assert_int_equal(l.a, THREADS * 5000);
}

static void
read_and_write(struct worker *w)
{
	struct locked *l = w->arg;

	for (unsigned i = 0; i < 4000; i++) {
		if (i % 8 == w->index) {
			if (!gw_rw_write_trylock(&l->rw))
				gw_rw_write_lock(&l->rw);
			l->a++;
			l->b++;
			gw_rw_write_unlock(&l->rw);
			continue;
		}
		if (!gw_rw_read_trylock(&l->rw))
			gw_rw_read_lock(&l->rw);
		if (l->a != l->b)
			gw_u32_add_relaxed(&l->torn, 1);
		gw_rw_read_unlock(&l->rw);
	}
}

/* A reader never sees half of a write, and no write is lost. */
static void
rwlock_keeps_writers_from_readers(void **state)
{
	struct locked l = {0};
	struct worker w[THREADS];

	(void)state;
	gw_rw_init(&l.rw, GW_RANK_RMAP);
	workers_run(w, THREADS, read_and_write, &l);
	assert_int_equal(gw_u32_load_relaxed(&l.torn), 0);
	assert_int_equal(l.a, THREADS * 4000 / 8);

	gw_rw_read_lock(&l.rw);
	assert_false(gw_rw_write_trylock(&l.rw));
	assert_true(gw_rw_read_trylock(&l.rw));
	gw_rw_read_unlock(&l.rw);
	gw_rw_read_unlock(&l.rw);
}

static void
read_without_a_gap(struct worker *w)
{
	struct locked *l = w->arg;

	/* Each holds the lock until another has begun a later round: it is never free. */
	while (!gw_u32_load_relaxed(&l->stop)) {
		gw_rw_read_lock(&l->rw);
		gw_u32_add_relaxed(&l->started, 1);
		usleep(2000 + 500 * w->index);
		gw_rw_read_unlock(&l->rw);
	}
}

/* A writer gets its turn although readers overlap all the time. */
static void
rwlock_does_not_starve_writers(void **state)
{
	struct locked l = {0};
	struct worker w[THREADS];

	(void)state;
	gw_rw_init(&l.rw, GW_RANK_RMAP);
	workers_start(w, THREADS, read_without_a_gap, &l);
	while (gw_u32_load_relaxed(&l.started) < THREADS * 2)
		usleep(100);
	gw_rw_write_lock(&l.rw); /* hangs until the test's time limit if starved */
	gw_u32_store_relaxed(&l.stop, 1);
	gw_rw_write_unlock(&l.rw);
	workers_join(w, THREADS);
}

/* ---- reference counts ---- */

/* Each operation as its contract says; add is defined from 0 as well (B10). */
static void
refcount_operations(void **state)
{
	gw_refcount r = {0};

	(void)state;
	assert_false(gw_ref_get_unless_zero(&r));
	gw_ref_add(&r, 3);
	assert_int_equal(gw_ref_read(&r), 3);
	gw_ref_get(&r);
	assert_true(gw_ref_get_unless_zero(&r));
	assert_false(gw_ref_freeze(&r, 4));
	assert_int_equal(gw_ref_read(&r), 5);
	assert_true(gw_ref_freeze(&r, 5));
	assert_false(gw_ref_get_unless_zero(&r));
	gw_ref_unfreeze(&r, 2);
	assert_false(gw_ref_put(&r));
	assert_true(gw_ref_put(&r));
	assert_int_equal(bug_count(), 0);
}

/* A count that passes its end stays saturated, never comes down, and complains once. */
static void
refcount_saturates(void **state)
{
	gw_refcount r = {0};

	(void)state;
	gw_ref_set(&r, GW_REF_MAX - 1);
	gw_ref_get(&r);
	assert_int_equal(gw_ref_read(&r), GW_REF_MAX);
	assert_int_equal(bug_count(), 0);
	bug_expect("reached its end");
	gw_ref_get(&r);
	assert_int_equal(gw_ref_read(&r), GW_REF_SATURATED);
	gw_ref_get(&r);
	assert_true(gw_ref_get_unless_zero(&r));
	gw_ref_add(&r, 5);
	assert_false(gw_ref_put(&r));
	assert_false(gw_ref_freeze(&r, 1));
	assert_int_equal(gw_ref_read(&r), GW_REF_SATURATED);
	assert_int_equal(bug_count(), GW_CHECKS ? 1 : 0);

	gw_ref_set(&r, GW_REF_MAX);
	assert_true(gw_ref_get_unless_zero(&r));
	assert_int_equal(gw_ref_read(&r), GW_REF_SATURATED);
	gw_ref_set(&r, GW_REF_MAX - 3);
	gw_ref_add(&r, 4);
	assert_int_equal(gw_ref_read(&r), GW_REF_SATURATED);
	gw_ref_set(&r, 5);
	gw_ref_add(&r, GW_REF_MAX);
	assert_int_equal(gw_ref_read(&r), GW_REF_SATURATED);
}

/* Taking from 0 and dropping at 0 are bugs in any build, and leave a leak, not a reuse. */
static void
refcount_of_zero_is_a_bug(void **state)
{
	gw_refcount r = {0};

	(void)state;
	bug_expect("none was left");
	gw_ref_get(&r);
	assert_int_equal(bug_count(), 1);
	assert_int_equal(gw_ref_read(&r), GW_REF_SATURATED);
	gw_ref_set(&r, 0);
	assert_false(gw_ref_put(&r));
	assert_int_equal(bug_count(), 2);
	assert_int_equal(gw_ref_read(&r), GW_REF_SATURATED);
}

#define FREEZES 5000

struct object {
	gw_refcount refs;
	uint64_t data; /* not atomic: ThreadSanitizer says if a reader meets the freezer */
	gw_atomic_u32 torn;
};

static void
read_with_reference(struct worker *w)
{
	struct object *o = w->arg;

	for (unsigned i = 0; i < 20000; i++) {
		if (!gw_ref_get_unless_zero(&o->refs)) {
			gw_relax();
			continue;
		}
		if (o->data % 2 != 0)
			gw_u32_add_relaxed(&o->torn, 1);
		if (gw_ref_put(&o->refs))
			gw_u32_add_relaxed(&o->torn, 1); /* the freezer holds one */
	}
}

static void
freeze_and_change(struct worker *w)
{
	struct object *o = w->arg;

	for (unsigned frozen = 0; frozen < FREEZES;) {
		if (!gw_ref_freeze(&o->refs, 1)) {
			gw_relax();
			continue;
		}
		o->data++;
		o->data++;
		gw_ref_unfreeze(&o->refs, 1);
		frozen++;
	}
}

static void
freeze_or_read(struct worker *w)
{
	if (w->index == 0)
		freeze_and_change(w);
	else
		read_with_reference(w);
}

/* While a count is frozen nobody holds or gets a reference (I4, I5). */
static void
refcount_freeze_excludes(void **state)
{
	struct object o = {0};
	struct worker w[3];

	(void)state;
	gw_ref_set(&o.refs, 1);
	workers_run(w, 3, freeze_or_read, &o);
	assert_int_equal(gw_u32_load_relaxed(&o.torn), 0);
	assert_int_equal(gw_ref_read(&o.refs), 1);
	assert_int_equal(o.data, 2 * FREEZES);
}

/* ---- per-CPU counters ---- */

static void
count_up_and_down(struct worker *w)
{
	for (unsigned i = 0; i < 30000; i++) {
		gw_percpu_add(w->arg, 0, 1);
		gw_percpu_add(w->arg, 2, i % 2 == 0 ? -3 : 1);
	}
}

/* No addition is lost although threads share CPU numbers and are preempted (R14, D24). */
static void
percpu_sums_are_exact(void **state)
{
	struct worker w[THREADS];
	gw_percpu_u64 c;

	(void)state;
	assert_int_equal(gw_percpu_init(&c, 3, WORKER_CPUS, test_alloc, NULL), 0);
	assert_int_equal((uintptr_t)c.rows % 64, 0);
	workers_run(w, THREADS, count_up_and_down, &c);
	assert_int_equal(gw_percpu_sum(&c, 0), THREADS * 30000);
	assert_int_equal(gw_percpu_sum(&c, 1), 0);
	assert_true(gw_percpu_sum(&c, 2) == -(int64_t)THREADS * 30000);
	gw_percpu_destroy(&c, test_release, NULL);
}

/* Without memory there is no counter. */
static void
percpu_reports_no_memory(void **state)
{
	gw_percpu_u64 c;

	(void)state;
	assert_int_equal(gw_percpu_init(&c, 3, 2, test_alloc_fails, NULL), -ENOMEM);
}

/* ---- RCU ---- */

struct deferred {
	gw_rcu_head rcu;
	gw_atomic_u32 done;
};

static void
mark_done(gw_rcu_head *head)
{
	gw_u32_store_release(&((struct deferred *)(void *)head)->done, 1);
}

struct reader {
	gw_atomic_u32 inside, leave;
};

static void
stay_inside(struct worker *w)
{
	struct reader *r = w->arg;

	gw_rcu_read_lock();
	gw_rcu_read_lock(); /* sections nest */
	gw_u32_store_release(&r->inside, 1);
	while (!gw_u32_load_acquire(&r->leave))
		usleep(100);
	gw_rcu_read_unlock();
	usleep(1000);
	gw_rcu_read_unlock();
}

/* A deferred free waits for a reader that was inside before it, and barrier waits for both. */
static void
rcu_defers_until_readers_left(void **state)
{
	struct deferred d = {0};
	struct reader r = {0};
	struct worker w;

	(void)state;
	workers_start(&w, 1, stay_inside, &r);
	while (!gw_u32_load_acquire(&r.inside))
		usleep(100);
	gw_rcu_defer(&d.rcu, mark_done);
	usleep(50000); /* a free that does not wait has run by now */
	assert_int_equal(gw_u32_load_acquire(&d.done), 0);
	gw_u32_store_release(&r.leave, 1);
	gw_rcu_barrier();
	assert_int_equal(gw_u32_load_acquire(&d.done), 1);
	workers_join(&w, 1);
}

struct rcu_object {
	gw_rcu_head rcu;
	uint64_t value; /* 42 while alive */
};

struct rcu_cell {
	gw_atomic_ptr object;
	gw_atomic_u32 bad;
};

static void
free_object(gw_rcu_head *head)
{
	struct rcu_object *o = (struct rcu_object *)(void *)head;

	o->value = 0; /* not atomic: a reader that still looks is a reported race */
	free(o);
}

static struct rcu_object *
new_object(void)
{
	struct rcu_object *o = calloc(1, sizeof(*o));

	o->value = 42;
	return o;
}

static void
replace_or_read(struct worker *w)
{
	struct rcu_cell *cell = w->arg;

	for (unsigned i = 0; i < 3000; i++) {
		const struct rcu_object *o;

		if (w->index == 0) {
			struct rcu_object *old = gw_ptr_xchg_acq_rel(&cell->object, new_object());

			gw_rcu_defer(&old->rcu, free_object);
			continue;
		}
		gw_rcu_read_lock();
		o = gw_ptr_load_acquire(&cell->object);
		if (o->value != 42)
			gw_u32_add_relaxed(&cell->bad, 1);
		gw_rcu_read_unlock();
	}
}

/* Readers never see a freed object while another thread replaces and frees (I3). */
static void
rcu_readers_see_living_objects(void **state)
{
	struct rcu_cell cell = {.bad = {0}};
	struct worker w[4];

	(void)state;
	gw_ptr_store_release(&cell.object, new_object());
	workers_run(w, 4, replace_or_read, &cell);
	gw_rcu_barrier();
	assert_int_equal(gw_u32_load_relaxed(&cell.bad), 0);
	free(gw_ptr_load_acquire(&cell.object));
}

/* ---- tasks ---- */

/* Tasks of several machines nest on one thread, each with its CPU; RCU goes on working. */
static void
tasks_nest(void **state)
{
	struct gw_task *outer = gw_current();
	struct gw_task inner;

	(void)state;
	assert_int_equal(gw_current_cpu(), 0);
	gw_task_enter(&inner, (struct gw_machine *)(void *)&inner, 3);
	assert_ptr_equal(gw_current(), &inner);
	assert_int_equal(gw_current_cpu(), 3);
	assert_false(gw_task_interrupted(&inner));
	gw_task_interrupt(&inner);
	assert_true(gw_task_interrupted(&inner));
	assert_false(gw_task_interrupted(outer));
	gw_task_clear_interrupt(&inner);
	assert_false(gw_task_interrupted(&inner));
	gw_task_leave(&inner);
	assert_ptr_equal(gw_current(), outer);
	gw_rcu_read_lock();
	gw_rcu_read_unlock();
	assert_int_equal(bug_count(), 0);
}

/* ---- the checks ---- */

/* Planted: locks against their order, a second one of a rank, and giving back what is not held. */
static void
checks_find_lock_order_violations(void **state)
{
	gw_spinlock zone, zone2, pte, pte2;
	gw_rwlock rmap;
	unsigned found = 0;

	(void)state;
	if (!GW_CHECKS)
		skip();
	gw_spin_init(&zone, GW_RANK_ZONE);
	gw_spin_init(&zone2, GW_RANK_ZONE);
	gw_spin_init(&pte, GW_RANK_PAGETABLE);
	gw_spin_init(&pte2, GW_RANK_PAGETABLE);
	gw_rw_init(&rmap, GW_RANK_RMAP);
	bug_expect("lock");

	/* As it should be: ascending, two page-table locks, a trylock against the order. */
	gw_rw_read_lock(&rmap);
	gw_spin_lock(&pte);
	gw_spin_lock(&pte2);
	gw_spin_lock(&zone);
	assert_true(gw_spin_trylock(&zone2));
	gw_spin_unlock(&zone2);
	gw_spin_unlock(&zone);
	gw_spin_unlock(&pte);
	gw_spin_unlock(&pte2);
	gw_rw_read_unlock(&rmap);
	assert_int_equal(bug_count(), found);

	gw_spin_lock(&zone);
	gw_spin_lock(&pte); /* descends */
	assert_int_equal(bug_count(), ++found);
	gw_spin_unlock(&pte);
	gw_spin_lock(&zone2); /* two of a rank */
	assert_int_equal(bug_count(), ++found);
	gw_spin_unlock(&zone2);
	gw_spin_unlock(&zone);

	assert_true(gw_spin_trylock(&zone));
	gw_spin_lock(&pte); /* what a trylock took counts */
	assert_int_equal(bug_count(), ++found);
	gw_spin_unlock(&pte);
	gw_spin_unlock(&zone);
	gw_spin_unlock(&zone); /* not held */
	assert_int_equal(bug_count(), ++found);
}

/* Planted: waiting with a spinlock held or inside an RCU section (S4). */
static void
checks_find_sleeping_in_atomic_sections(void **state)
{
	gw_spinlock zone;
	gw_mutex mutex;

	(void)state;
	if (!GW_CHECKS)
		skip();
	gw_spin_init(&zone, GW_RANK_MMAP);
	gw_mutex_init(&mutex, GW_RANK_RMAP);
	bug_expect("sleeping");
	gw_might_sleep();
	assert_int_equal(bug_count(), 0);
	gw_spin_lock(&zone);
	gw_might_sleep();
	assert_int_equal(bug_count(), 1);
	gw_mutex_lock(&mutex);
	assert_int_equal(bug_count(), 2);
	gw_mutex_unlock(&mutex);
	gw_spin_unlock(&zone);
	gw_rcu_read_lock();
	gw_might_sleep();
	assert_int_equal(bug_count(), 3);
	gw_rcu_read_unlock();
	gw_might_sleep();
	assert_int_equal(bug_count(), 3);
}

/* Planted: leaving a task with a lock held, and leaving one that is not the current. */
static void
checks_find_locks_left_behind(void **state)
{
	struct gw_task inner;
	gw_spinlock zone;

	(void)state;
	gw_spin_init(&zone, GW_RANK_ZONE);
	bug_expect(NULL);
	gw_task_enter(&inner, NULL, 0);
	gw_spin_lock(&zone);
	gw_task_leave(&inner);
	assert_int_equal(bug_count(), GW_CHECKS ? 1 : 0);
}

/* The macros complain if, and only if, their condition holds; one is there only with GW_CHECKS. */
static void
bug_macros_complain(void **state)
{
	int evaluated = 0;

	(void)state;
	bug_expect("1 + 1 == 2");
	GW_BUG_ON(NULL, 1 + 1 == 3);
	assert_int_equal(bug_count(), 0);
	GW_BUG_ON(NULL, 1 + 1 == 2);
	assert_int_equal(bug_count(), 1);
	GW_CHECK_ON(NULL, evaluated++ < 0);
	assert_int_equal(evaluated, GW_CHECKS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SYNC_TEST(atomics_return_the_value_before),
		SYNC_TEST(spinlock_excludes),
		SYNC_TEST(mutex_excludes),
		SYNC_TEST(rwlock_keeps_writers_from_readers),
		SYNC_TEST(rwlock_does_not_starve_writers),
		SYNC_TEST(refcount_operations),
		SYNC_TEST(refcount_saturates),
		SYNC_TEST(refcount_of_zero_is_a_bug),
		SYNC_TEST(refcount_freeze_excludes),
		SYNC_TEST(percpu_sums_are_exact),
		SYNC_TEST(percpu_reports_no_memory),
		SYNC_TEST(rcu_defers_until_readers_left),
		SYNC_TEST(rcu_readers_see_living_objects),
		SYNC_TEST(tasks_nest),
		SYNC_TEST(checks_find_lock_order_violations),
		SYNC_TEST(checks_find_sleeping_in_atomic_sections),
		SYNC_TEST(checks_find_locks_left_behind),
		SYNC_TEST(bug_macros_complain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
