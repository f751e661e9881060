/* SPDX-License-Identifier: MIT */
/*
 * test_compact_threads.c - threads allocate, free, look at and compact one zone: nothing is lost
 * (DESIGN 6, 7; FACTS 1.0, R11, R12).
 */
#include "test.h"

#include <pthread.h>

#include "slots_fixture.h"
#include "godwit/compact.h"

#define FRAMES	 4096
#define PB	 5
#define SLOTS	 2048
#define THREADS	 4
#define STEPS	 200000
#define COMPACTS 400 /* per thread */

struct world {
	struct fixture *f;
	struct slots slots;
	gw_atomic_u64 served;
	pthread_barrier_t all_here;
};

struct worker {
	struct world *w;
	unsigned cpu;
	uint64_t random;
	pthread_t thread;
};

static void
fill_slot(struct worker *me)
{
	struct slots *slots = &me->w->slots;
	struct gw_machine *m = slots->f->m;
	unsigned order =
		test_random(&me->random) % 4 ? 0 : (unsigned)(test_random(&me->random) % 4);
	struct slot *s;
	gw_pfn_t pfn;

	if (gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, order, &pfn))
		return;
	s = slots_grab(slots, &me->random, false);
	if (!s) {
		gw_put_page(m, pfn);
		return;
	}
	slot_fill(slots, s, pfn, order, test_random(&me->random),
		test_random(&me->random) % 4 ? GW_LRU_INACTIVE_ANON : GW_LRU_NR);
	pthread_mutex_unlock(&s->mutex);
}

static void
empty_slot(struct worker *me)
{
	struct slots *slots = &me->w->slots;
	struct slot *s = slots_grab(slots, &me->random, true);

	if (!s)
		return;
	slot_check(slots, s);
	gw_put_page(slots->f->m, s->pfn);
	s->pfn = GW_PFN_NONE;
	pthread_mutex_unlock(&s->mutex);
}

/* A whole pageblock, by direct compaction if need be, of whichever planner, and back. */
static void
take_block(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	gw_pfn_t pfn;

	if (gw_compact_set_direct(
		    m, test_random(&me->random) % 2 ? GW_DIRECT_SCANNERS : GW_DIRECT_EVACUATE))
		abort();
	if (gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, PB, &pfn))
		return;
	if (pfn & ((1u << PB) - 1))
		gw_u64_add_relaxed(&me->w->slots.mistakes, 1);
	gw_u64_add_relaxed(&me->w->served, 1);
	gw_put_page(m, pfn);
}

static void
compact(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	struct gw_compact_request request = {
		.planner = test_random(&me->random) % 2 ? GW_PLANNER_SCANNERS : GW_PLANNER_EVACUATE,
		.order = test_random(&me->random) % 2 ? -1 : PB,
		.count = 1 + test_random(&me->random) % 64,
		.mode = (enum gw_migrate_mode)(test_random(&me->random) % 3),
		.migratetype = GW_MT_MOVABLE,
		.direct = test_random(&me->random) % 4 == 0,
		.whole_zone = test_random(&me->random) % 2,
		.ignore_skip = test_random(&me->random) % 2,
	};

	if (test_random(&me->random) % 8 == 0)
		gw_compact_all_zones(m);
	else
		gw_compact_zone(m, 0, &request, NULL);
}

static void *
work(void *arg)
{
	struct worker *me = arg;
	struct gw_task task;

	if (gw_task_attach(&task, me->w->f->m, me->cpu))
		return NULL;
	pthread_barrier_wait(&me->w->all_here);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned what = (unsigned)(test_random(&me->random) % 1000);

		if (what < 540)
			fill_slot(me);
		else if (what < 980)
			empty_slot(me);
		else
			take_block(me);
		if (i % (STEPS / COMPACTS) == STEPS / COMPACTS - 1)
			compact(me);
	}
	gw_lru_add_drain(me->w->f->m);
	gw_task_detach(&task);
	return NULL;
}

static struct world *
create(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->f = fixture_create(FRAMES, THREADS, PB);
	slots_create(&w->slots, w->f, SLOTS);
	pthread_barrier_init(&w->all_here, NULL, THREADS);
	return w;
}

static void
destroy(struct world *w)
{
	pthread_barrier_destroy(&w->all_here);
	slots_destroy(&w->slots);
	fixture_destroy(w->f);
	free(w);
}

/* Everything is where its owner thinks it is, and every other frame is free. */
static void
nothing_is_lost(void **state)
{
	uint64_t random = test_seed(), frames = 0;
	struct world *w = create();
	struct worker workers[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.w = w, .cpu = i, .random = test_random(&random)};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &w->slots.all[i];

		assert_false(s->isolated);
		if (s->pfn == GW_PFN_NONE)
			continue;
		slot_check(&w->slots, s);
		frames += (uint64_t)1 << s->order;
	}
	print_message("# moved %llu pages, served %llu pageblocks\n",
		(unsigned long long)gw_u64_load_relaxed(&w->slots.moved),
		(unsigned long long)gw_u64_load_relaxed(&w->served));
	assert_int_equal(gw_u64_load_relaxed(&w->slots.mistakes), 0);
	assert_true(gw_u64_load_relaxed(&w->slots.moved) > 0);
	assert_int_equal(fixture_free_frames(w->f) + frames, FRAMES);
	for (gw_pfn_t pfn = 0; pfn < FRAMES; pfn += 1u << PB)
		assert_int_equal(gw_pageblock_type(w->f->m, pfn), GW_MT_MOVABLE);
	fixture_check(w->f);
	for (unsigned i = 0; i < SLOTS; i++)
		if (w->slots.all[i].pfn != GW_PFN_NONE)
			gw_put_page(w->f->m, w->slots.all[i].pfn);
	assert_int_equal(fixture_free_frames(w->f), FRAMES);
	destroy(w);
}

struct releaser {
	struct world *w;
	struct gw_page_list list;
	gw_atomic_u32 released;
};

static void *
release_isolated(void *arg)
{
	struct releaser *r = arg;
	struct gw_task task;

	if (gw_task_attach(&task, r->w->f->m, 1))
		return NULL;
	for (unsigned i = 0; i < 1000; i++)
		gw_relax();
	gw_u32_store_release(&r->released, 1);
	gw_putback_movable_pages(r->w->f->m, &r->list);
	gw_task_detach(&task);
	return NULL;
}

/* D12: a SYNC run waits while too many pages are isolated, and goes on when they are back. */
static void
throttled_until_pages_are_back(void **state)
{
	const struct gw_compact_request request = {
		.order = -1, .mode = GW_MIGRATE_SYNC, .whole_zone = true, .ignore_skip = true};
	struct world *w = create();
	struct worker me = {.w = w, .random = test_seed()};
	struct releaser releaser = {.w = w};
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		fill_slot(&me);
	gw_lru_add_drain(w->f->m);
	gw_page_list_init(&releaser.list);
	for (gw_pfn_t pfn = 0; pfn < FRAMES && releaser.list.n < 60; pfn++)
		if (gw_isolate_page(w->f->m, pfn, GW_MIGRATE_SYNC, &releaser.list))
			continue;
	assert_int_equal(releaser.list.n, 60);
	assert_int_equal(pthread_create(&thread, NULL, release_isolated, &releaser), 0);
	assert_int_equal(gw_compact_zone(w->f->m, 0, &request, NULL), GW_COMPACT_COMPLETE);
	assert_int_equal(gw_u32_load_acquire(&releaser.released), 1);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < SLOTS; i++)
		if (w->slots.all[i].pfn != GW_PFN_NONE)
			gw_put_page(w->f->m, w->slots.all[i].pfn);
	destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost),
		cmocka_unit_test(throttled_until_pages_are_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
