/* SPDX-License-Identifier: MIT */
/*
 * Threads on one machine, some sharing a CPU: allocating, freeing, adding to LRU lists, draining,
 * isolating each other's pages and putting them back. Nothing is lost and nothing handed out twice
 * (I10); every counter is exact (R14).
 */
#include "test.h"

#include <pthread.h>

#include "engine/phys/phys.h"
#include "godwit/seed.h"
#include "machine_fixture.h"

#define PB	4
#define FRAMES	3000
#define THREADS 4
#define STEPS	40000
#define HELD	200

struct shared {
	struct fixture *f;
	gw_atomic_u8 owned[FRAMES];		  /* frames that a thread got and has not put */
	gw_atomic_u64 overlaps, allocated, freed; /* frames */
	uint64_t seed;
};

struct worker {
	struct shared *shared;
	pthread_t thread;
	unsigned id;
	uint64_t random;
	gw_pfn_t pages[HELD];
	unsigned orders[HELD], n;
	uint64_t isolations;
};

static void
worker_alloc(struct worker *w, uint64_t r)
{
	struct shared *s = w->shared;
	unsigned order = r % 8 ? 0 : (unsigned)(r / 8 % (PB + 2));
	gw_gfp_t gfp = r / 64 % 3 == 0 ? 0 : r / 64 % 3 == 1 ? GW_GFP_MOVABLE : GW_GFP_ATOMIC;
	gw_pfn_t pfn;

	if (w->n == HELD ||
		gw_alloc_from_zonelist(s->f->m, gfp, r / 256 % 2, order, GW_WMARK_MIN, &pfn))
		return;
	for (gw_pfn_t i = 0; i < 1u << order; i++)
		if (gw_u8_xchg_acq_rel(&s->owned[pfn + i], 1))
			gw_u64_add_relaxed(&s->overlaps, 1);
	gw_u64_add_relaxed(&s->allocated, 1u << order);
	w->pages[w->n] = pfn;
	w->orders[w->n++] = order;
	if (r / 512 % 4)
		gw_lru_add(s->f->m, pfn, r / 2048 % GW_LRU_NR);
}

static void
worker_put(struct worker *w, uint64_t r)
{
	struct shared *s = w->shared;
	unsigned i;

	if (w->n == 0)
		return;
	i = (unsigned)(r % w->n);
	for (gw_pfn_t k = 0; k < 1u << w->orders[i]; k++)
		gw_u8_xchg_acq_rel(&s->owned[w->pages[i] + k], 0);
	gw_u64_add_relaxed(&s->freed, 1u << w->orders[i]);
	gw_put_page(s->f->m, w->pages[i]);
	w->n--;
	w->pages[i] = w->pages[w->n];
	w->orders[i] = w->orders[w->n];
}

/* Any frame: its page may be anybody's, or about to be freed. */
static void
worker_isolate(struct worker *w, uint64_t r)
{
	struct gw_machine *m = w->shared->f->m;
	gw_pfn_t pfn = (gw_pfn_t)(r % FRAMES);

	if (gw_page_zone(m, pfn) && gw_lru_isolate(m, pfn, GW_ISOLATE_BOTH) == 0) {
		w->isolations++;
		gw_lru_putback(m, pfn);
		gw_put_page(m, pfn);
	} else if (gw_get_page_unless_zero(m, pfn)) {
		gw_put_page(m, pfn);
	}
}

static void
worker_step(struct worker *w)
{
	struct gw_machine *m = w->shared->f->m;
	uint64_t r = test_random(&w->random), what = r >> 56;

	r &= 0xffffffff;
	if (what < 100)
		worker_alloc(w, r);
	else if (what < 196)
		worker_put(w, r);
	else if (what < 250)
		worker_isolate(w, r);
	else if (what < 252)
		gw_lru_add_drain(m);
	else if (what < 253)
		gw_lru_add_drain_all(m);
	else if (what < 255)
		gw_drain_pages(m);
	else
		gw_drain_all_pages(m);
}

static void *
worker_run(void *arg)
{
	struct worker *w = arg;
	struct gw_task task;

	/* two threads share CPU 0, two CPU 1 */
	if (gw_task_attach(&task, w->shared->f->m, w->id % 2))
		abort();
	w->random = w->shared->seed + w->id;
	for (unsigned i = 0; i < STEPS; i++)
		worker_step(w);
	while (w->n)
		worker_put(w, 0);
	gw_task_detach(&task);
	return NULL;
}

static void
test_nothing_lost(void **state)
{
	struct gw_zone_config zones[] = {
		{.name = "a", .start = 1, .end = 1000, .wmark_low = 30, .wmark_high = 60},
		{.name = "b",
			.start = 1000,
			.end = FRAMES,
			.node = 1,
			.pcp_batch = 5,
			.pcp_high = 20},
	};
	struct gw_machine_config config;
	struct shared s = {.seed = test_seed()};
	struct worker workers[THREADS] = {0};
	uint64_t isolations = 0;
	struct gw_zone_info info;

	(void)state;
	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.n_frames = FRAMES;
	config.zones = zones;
	config.n_zones = 2;
	s.f = fixture_create_config(&config);
	assert_int_equal(gw_seed_free(s.f->m, 1, 999), 0);
	assert_int_equal(gw_seed_free(s.f->m, 1000, FRAMES - 1000), 0);
	gw_seed_done(s.f->m);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].shared = &s;
		workers[i].id = i;
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		isolations += workers[i].isolations;
	}
	fixture_check(s.f);
	gw_lru_add_drain_all(s.f->m);
	gw_drain_all_pages(s.f->m);
	assert_int_equal(gw_u64_load_relaxed(&s.overlaps), 0);
	assert_true(isolations > 0);
	assert_int_equal(
		gw_machine_count(s.f->m, GW_VM_PGALLOC), gw_u64_load_relaxed(&s.allocated));
	assert_int_equal(gw_machine_count(s.f->m, GW_VM_PGFREE), gw_u64_load_relaxed(&s.freed));
	assert_int_equal(gw_zone_info(s.f->m, 0, &info), 0);
	assert_int_equal(info.free, 999);
	assert_int_equal(gw_zone_info(s.f->m, 1, &info), 0);
	assert_int_equal(info.free, FRAMES - 1000);
	for (unsigned node = 0; node < 2; node++)
		for (unsigned l = 0; l < GW_LRU_NR; l++)
			assert_int_equal(gw_lru_count(s.f->m, node, l), 0);
	fixture_destroy(s.f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_lost),
	};

	return cmocka_run_group_tests_name("phys_threads", tests, NULL, NULL);
}
