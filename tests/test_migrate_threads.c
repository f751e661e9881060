/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_threads.c - threads allocate, migrate, lock and free on one machine: nothing is
 * lost (DESIGN 2.2, FACTS 1.0).
 */
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "slots_fixture.h"

#define FRAMES	2048
#define SLOTS	256
#define THREADS 4
#define STEPS	20000

struct world {
	struct fixture *f;
	struct slots slots;
	gw_atomic_u64 isolations;
	uint64_t seed;
	pthread_barrier_t all_here;
};

struct worker {
	struct world *w;
	unsigned id;
	uint64_t random;
	pthread_t thread;
};

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
}

static const struct gw_migrate_target target = {.get_new_page = get_new_page};

static void
fill_slot(struct worker *me)
{
	struct slots *slots = &me->w->slots;
	struct slot *s = slots_grab(slots, &me->random, false);
	gw_pfn_t pfn;

	if (!s)
		return;
	if (gw_alloc_from_zonelist(slots->f->m, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN, &pfn) == 0)
		slot_fill(slots, s, pfn, 0, test_random(&me->random),
			test_random(&me->random) % 2 ? GW_LRU_INACTIVE_FILE : GW_LRU_NR);
	pthread_mutex_unlock(&s->mutex);
}

static void
change_slot(struct worker *me, bool free)
{
	struct world *w = me->w;
	struct slot *s = slots_grab(&me->w->slots, &me->random, true);
	gw_pfn_t pfn;

	if (!s)
		return;
	pfn = s->pfn;
	slot_check(&w->slots, s);
	s->value++;
	memcpy(w->f->bytes[pfn], &s->value, sizeof(s->value));
	if (free)
		s->pfn = GW_PFN_NONE;
	pthread_mutex_unlock(&s->mutex);
	if (free)
		gw_put_page(w->f->m, pfn);
}

/* Take the page lock, or wait for it in one of the other ways, as a fault would. */
static void
lock_slot(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	struct slot *s = slots_grab(&me->w->slots, &me->random, true);
	gw_pfn_t pfn;

	if (!s)
		return;
	pfn = s->pfn;
	gw_get_page(m, pfn);
	pthread_mutex_unlock(&s->mutex);
	switch (test_random(&me->random) % 3) {
	case 0:
		gw_page_lock(m, pfn);
		gw_page_unlock(m, pfn);
		break;
	case 1:
		gw_page_wait_locked(m, pfn, false);
		break;
	default:
		gw_page_put_and_wait_locked(m, pfn, false);
		return;
	}
	gw_put_page(m, pfn);
}

static void
migrate_some(struct worker *me)
{
	struct world *w = me->w;
	struct gw_machine *m = w->f->m;
	enum gw_migrate_mode mode = (enum gw_migrate_mode)(test_random(&me->random) % 3);
	gw_pfn_t first = (gw_pfn_t)(test_random(&me->random) % FRAMES);
	struct gw_page_list list;

	gw_page_list_init(&list);
	for (gw_pfn_t i = 0; i < 64; i++)
		(void)!gw_isolate_page(m, (first + i) % FRAMES, mode, &list);
	gw_u64_add_relaxed(&w->isolations, list.n);
	if (gw_migrate_pages(m, &list, &target, mode, GW_MR_COMPACTION, NULL) != 0)
		gw_putback_movable_pages(m, &list); /* A16 */
	if (list.n)
		gw_u64_add_relaxed(&w->slots.mistakes, 1);
}

static void *
worker_run(void *arg)
{
	struct worker *me = arg;
	struct gw_task task;

	if (gw_task_attach(&task, me->w->f->m, me->id % 2))
		abort();
	for (unsigned i = 0; i < STEPS; i++) {
		switch (test_random(&me->random) % 8) {
		case 0:
		case 1:
			fill_slot(me);
			break;
		case 2:
			change_slot(me, true);
			break;
		case 3:
			lock_slot(me);
			break;
		case 4:
			migrate_some(me);
			break;
		default:
			change_slot(me, false);
		}
	}
	gw_task_detach(&task);
	return NULL;
}

static void
run_workers(struct world *w, void *(*run)(void *))
{
	struct worker workers[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.w = w, .id = i, .random = w->seed + i * 1000003};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->f = fixture_create(FRAMES, 2, 4);
	slots_create(&w->slots, w->f, SLOTS);
	w->seed = test_seed();
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	fixture_destroy(w->f);
	slots_destroy(&w->slots);
	free(w);
	return 0;
}

/* No page, no write and no reference is lost, whoever does what at the same time (I4, I5, P1). */
static void
nothing_is_lost(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;

	run_workers(w, worker_run);
	gw_lru_add_drain_all(m);
	fixture_check(w->f);
	assert_true(gw_u64_load_relaxed(&w->slots.moved) > 1000);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &w->slots.all[i];

		if (s->pfn == GW_PFN_NONE)
			continue;
		assert_false(s->isolated);
		assert_int_equal(gw_ref_read(&gw_page(m, s->pfn)->refcount), 1);
		slot_check(&w->slots, s);
		gw_put_page(m, s->pfn);
	}
	assert_int_equal(gw_u64_load_relaxed(&w->slots.mistakes), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(gw_u64_load_relaxed(&m->nodes[0].isolated_frames[i]), 0);
	assert_int_equal(fixture_free_frames(w->f), FRAMES);
}

/* ---- who wins ---- */

#define RACES 2000

static void *
race_run(void *arg)
{
	struct worker *me = arg;
	struct world *w = me->w;
	struct gw_machine *m = w->f->m;
	struct gw_page_list list;
	struct gw_task task;

	if (gw_task_attach(&task, m, me->id % 2))
		abort();
	gw_page_list_init(&list);
	for (unsigned i = 0; i < FRAMES; i++) {
		if (i % 64 == 0)
			pthread_barrier_wait(&w->all_here);
		(void)!gw_isolate_page(m, i, GW_MIGRATE_ASYNC, &list);
	}
	gw_u64_add_relaxed(&w->isolations, list.n);
	pthread_barrier_wait(&w->all_here);
	gw_putback_movable_pages(m, &list);
	gw_task_detach(&task);
	return NULL;
}

static int
refuse_to_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)m;
	(void)dst;
	(void)src;
	(void)mode;
	return -EBUSY;
}

/* P1: of several tasks that isolate the same page exactly one wins, never none. */
static void
exactly_one_isolates(void **state)
{
	static const struct gw_movable_ops ops = {.migrate = refuse_to_move};
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pages[RACES];

	for (unsigned i = 0; i < RACES; i++) {
		pages[i] = fixture_alloc(w->f, 0);
		gw_page_set_movable(m, pages[i], &ops, 0);
	}
	pthread_barrier_init(&w->all_here, NULL, THREADS);
	run_workers(w, race_run);
	pthread_barrier_destroy(&w->all_here);
	assert_int_equal(gw_u64_load_relaxed(&w->isolations), RACES);
	for (unsigned i = 0; i < RACES; i++)
		gw_put_page(m, pages[i]);
	assert_int_equal(fixture_free_frames(w->f), FRAMES);
}

/* ---- pieces ---- */

#define LARGE  4 /* order */
#define SPLITS 3000

struct large {
	struct world *w;
	gw_pfn_t pfn;
	gw_atomic_u32 round; /* odd: a page stands there, isolated */
	pthread_t thread;
};

static int
allow_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	(void)m;
	(void)page;
	(void)order;
	return 0;
}

static const struct gw_movable_ops split_ops = {.migrate = refuse_to_move, .split = allow_split};

static int
no_large_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	return order ? -ENOMEM : get_new_page(ctx, m, src, order, dst);
}

static void
wait_for_round(struct large *l, uint32_t round)
{
	while (gw_u32_load_acquire(&l->round) != round)
		gw_relax();
}

/* The owner: as soon as the page is in pieces, gives them up by the book, the last one first. */
static void *
give_pieces_up(void *arg)
{
	struct large *l = arg;
	struct gw_machine *m = l->w->f->m;
	struct gw_task task;

	if (gw_task_attach(&task, m, 1))
		abort();
	for (uint32_t round = 1; round < 2 * SPLITS; round += 2) {
		wait_for_round(l, round);
		while (gw_flags_order(gw_page_flags(gw_page(m, l->pfn))) == LARGE)
			gw_relax();
		gw_page_lock(m, l->pfn); /* when its lock is free the split is over */
		gw_page_unlock(m, l->pfn);
		for (gw_pfn_t i = 1u << LARGE; i-- > 0;) {
			gw_page_lock(m, l->pfn + i);
			gw_page_set_movable(m, l->pfn + i, NULL, 0);
			gw_page_unlock(m, l->pfn + i);
			gw_put_page(m, l->pfn + i);
		}
		gw_u32_store_release(&l->round, round + 1);
	}
	gw_task_detach(&task);
	return NULL;
}

/* A piece of a page that was split is isolated, with a reference for that, before anybody can give
 * it up: it dies with the last of both (A1, B10). */
static void
pieces_may_be_given_up_at_once(void **state)
{
	const struct gw_migrate_target small = {.get_new_page = no_large_page};
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	struct large l = {.w = w};

	assert_int_equal(pthread_create(&l.thread, NULL, give_pieces_up, &l), 0);
	for (uint32_t round = 1; round < 2 * SPLITS; round += 2) {
		struct gw_page_list list;

		l.pfn = fixture_alloc(w->f, LARGE);
		gw_page_set_movable(m, l.pfn, &split_ops, 0);
		gw_page_list_init(&list);
		assert_int_equal(gw_isolate_page(m, l.pfn, GW_MIGRATE_ASYNC, &list), 0);
		gw_u32_store_release(&l.round, round);
		if (gw_migrate_pages(m, &list, &small, GW_MIGRATE_ASYNC, GW_MR_COMPACTION, NULL))
			gw_putback_movable_pages(m, &list);
		wait_for_round(&l, round + 1);
	}
	assert_int_equal(pthread_join(l.thread, NULL), 0);
	assert_int_equal(fixture_free_frames(w->f), FRAMES);
}

/* ---- blocking ---- */

static void *
lock_for_a_while(void *arg)
{
	struct worker *me = arg;
	struct gw_machine *m = me->w->f->m;
	gw_pfn_t pfn = me->w->slots.all[0].pfn;
	struct gw_task task;

	if (gw_task_attach(&task, m, 1))
		abort();
	gw_page_lock(m, pfn);
	pthread_barrier_wait(&me->w->all_here);
	while (!(gw_page_flags(gw_page(m, pfn)) & GW_PG_WAITERS))
		sched_yield(); /* for ever, if the migration does not wait */
	gw_page_unlock(m, pfn);
	gw_task_detach(&task);
	return NULL;
}

/* FACTS 1.6: from the fourth pass on SYNC_LIGHT and SYNC wait for the page lock. */
static void
sync_waits_for_the_page_lock(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	enum gw_migrate_mode modes[] = {GW_MIGRATE_SYNC_LIGHT, GW_MIGRATE_SYNC};

	for (unsigned i = 0; i < 2; i++) {
		struct worker other = {.w = w};
		struct gw_migrate_stats stats = {0};
		struct gw_page_list list;
		gw_pfn_t pfn = fixture_alloc(w->f, 0);

		w->slots.all[0].pfn = pfn;
		gw_page_set_movable(m, pfn, &slot_ops, 0);
		gw_page_list_init(&list);
		assert_int_equal(gw_isolate_page(m, pfn, modes[i], &list), 0);
		pthread_barrier_init(&w->all_here, NULL, 2);
		assert_int_equal(pthread_create(&other.thread, NULL, lock_for_a_while, &other), 0);
		pthread_barrier_wait(&w->all_here);
		assert_int_equal(
			gw_migrate_pages(m, &list, &target, modes[i], GW_MR_COMPACTION, &stats), 0);
		assert_int_equal(stats.passes, 4);
		assert_int_equal(pthread_join(other.thread, NULL), 0);
		pthread_barrier_destroy(&w->all_here);
		gw_put_page(m, w->slots.all[0].pfn);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_is_lost),
		T(exactly_one_isolates),
		T(pieces_may_be_given_up_at_once),
		T(sync_waits_for_the_page_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
