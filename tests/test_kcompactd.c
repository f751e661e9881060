/* SPDX-License-Identifier: MIT */
/*
 * test_kcompactd.c - compaction in the background, and blocks that are captured (FACTS 2.1, 1.5).
 * The clock is the test's: hours pass in milliseconds.
 */
#include "compact_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "engine/store/store.h"
#include "godwit/reclaim.h"
#include "godwit/task.h"

#define PB	4
#define BLOCK	((gw_pfn_t)1 << PB)
#define SECOND	UINT64_C(1000000000)
#define BACKOFF (32 * SECOND) /* 500 ms << 6 */

static gw_atomic_u64 clock_ns;
static struct gw_machine_ops ops;

static uint64_t
test_clock(void *ctx)
{
	(void)ctx;
	return gw_u64_load_relaxed(&clock_ns);
}

static void
pass(uint64_t ns)
{
	gw_u64_add_relaxed(&clock_ns, ns);
}

static void
use_test_clock(struct world *w)
{
	gw_u64_store_relaxed(&clock_ns, SECOND);
	ops = *w->m->ops;
	ops.clock_ns = test_clock;
	w->m->ops = &ops;
}

/* Pageblocks with four pages each, and no free block of more than four frames. Their first
 * frames are free: a free scanner that meets many full pageblocks looks at these only. */
static struct world *
fragmented(unsigned blocks, const struct gw_zone_config *zone)
{
	struct world *w = world_create(blocks * BLOCK, PB, PB + 1, 2, zone);

	for (gw_pfn_t b = 0; b < blocks; b++)
		world_draw(w, b * BLOCK, ".m.m....m...m...");
	world_ready(w);
	use_test_clock(w);
	return w;
}

static uint64_t
migrated(struct world *w)
{
	return gw_machine_count(w->m, GW_VM_PGMIGRATE_SUCCESS);
}

/* The first step only notes when to look. */
static void
begin(struct world *w)
{
	assert_int_equal(gw_kcompactd_step(w->m, 0), test_clock(NULL) + SECOND / 2);
	assert_int_equal(migrated(w), 0);
}

/* ---- proactively ---- */

/* FACTS 1.5, 2.1: a node's score is its zones', weighted by their sizes and each rounded down. */
static void
score_of_a_node(void **state)
{
	struct gw_zone_config zones[] = {{.name = "a", .end = 4 * BLOCK},
		{.name = "b", .start = 4 * BLOCK, .end = 16 * BLOCK},
		{.name = "c", .start = 16 * BLOCK, .end = 20 * BLOCK, .node = 1}};
	struct gw_machine_config config;
	struct fixture *f;

	(void)state;
	gw_machine_config_init(&config);
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.n_frames = 20 * BLOCK;
	config.zones = zones;
	config.n_zones = 3;
	f = fixture_create_config(&config);
	for (gw_pfn_t pfn = 0; pfn < 4 * BLOCK; pfn += 2) { /* zone a: only single frames */
		assert_int_equal(gw_seed_free(f->m, pfn, 1), 0);
		assert_int_equal(gw_seed_used(f->m, pfn + 1, 1), 0);
	}
	assert_int_equal(gw_seed_free(f->m, 4 * BLOCK, 12 * BLOCK), 0);
	assert_int_equal(gw_seed_free(f->m, 16 * BLOCK, 4 * BLOCK), 0);
	gw_seed_done(f->m);
	/* 64 x 100 / 257 + 192 x 0 / 257 */
	assert_int_equal(gw_node_score(f->m, 0), 24);
	assert_int_equal(gw_node_score(f->m, 1), 0);
	fixture_destroy(f);
}

/* FACTS 2.1: it looks every 500 ms; above the high mark (90) it compacts until the score is at the
 * low one (80) and no further; and then leaves it alone for hours. */
static void
from_the_high_mark_to_the_low(void **state)
{
	struct world *w = fragmented(64, NULL);
	uint64_t after;

	(void)state;
	assert_int_equal(gw_node_score(w->m, 0), 99); /* 1024 x 100 / 1025 */
	begin(w);
	pass(SECOND / 2 - 1);
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(migrated(w), 0); /* not yet */
	pass(1);
	assert_int_equal(gw_kcompactd_step(w->m, 0), test_clock(NULL) + SECOND / 2);
	assert_in_range(gw_node_score(w->m, 0), 75, 80);
	after = migrated(w);
	assert_true(after > 0);
	assert_true(gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_MIGRATE_SCANNED) > 0);
	assert_true(gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_FREE_SCANNED) > 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_WAKE), 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_STALL), 0);
	for (unsigned i = 0; i < 3 * 3600 * 2; i++) { /* three hours */
		pass(SECOND / 2);
		gw_kcompactd_step(w->m, 0);
	}
	assert_int_equal(migrated(w), after);
	world_destroy(w);
}

/* Between the marks it does not begin: with 60 the marks are 40 and 50, with 0 there are none. */
static void
marks_follow_proactiveness(void **state)
{
	struct world *w = fragmented(64, NULL);
	uint64_t before;

	(void)state;
	assert_int_equal(gw_compact_set_proactiveness(w->m, 101), -EINVAL);
	assert_int_equal(gw_compact_set_proactiveness(w->m, 0), 0);
	begin(w);
	pass(SECOND);
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(migrated(w), 0);

	/* FACTS 2.1: writing it triggers at once */
	assert_int_equal(gw_compact_set_proactiveness(w->m, 50), 0);
	gw_kcompactd_step(w->m, 0);
	assert_in_range(gw_node_score(w->m, 0), 45, 50);
	before = migrated(w);
	assert_int_equal(gw_compact_set_proactiveness(w->m, 55), 0); /* 45 and 55 */
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(migrated(w), before);
	assert_int_equal(gw_compact_set_proactiveness(w->m, 70), 0); /* 30 and 40 */
	gw_kcompactd_step(w->m, 0);
	assert_in_range(gw_node_score(w->m, 0), 25, 30);
	world_destroy(w);
}

/* The low mark is never below 5, the high one never above 100: with 1 it does not begin, since no
 * score is above 100. */
static void
marks_at_the_ends(void **state)
{
	struct world *w = fragmented(16, NULL);

	(void)state;
	assert_int_equal(gw_compact_set_proactiveness(w->m, 1), 0);
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(migrated(w), 0);
	assert_int_equal(gw_compact_set_proactiveness(w->m, 100), 0);
	gw_kcompactd_step(w->m, 0);
	assert_in_range(gw_node_score(w->m, 0), 0, 20); /* as far as it goes, or to 5 */
	assert_true(migrated(w) > 0);
	world_destroy(w);
}

/* FACTS 2.1: a run that makes nothing better is followed by 64 periods of rest. */
static void
no_progress_backs_off(void **state)
{
	struct world *w = fragmented(16, NULL);
	uint64_t scanned;

	(void)state;
	w->refuse_move = true;
	begin(w);
	pass(SECOND / 2);
	assert_int_equal(gw_kcompactd_step(w->m, 0), test_clock(NULL) + BACKOFF);
	scanned = gw_machine_count(w->m, GW_VM_COMPACT_MIGRATE_SCANNED);
	pass(BACKOFF - 1);
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_MIGRATE_SCANNED), scanned);
	w->refuse_move = false;
	pass(1);
	gw_kcompactd_step(w->m, 0);
	assert_in_range(gw_node_score(w->m, 0), 0, 80);
	world_destroy(w);
}

/* FACTS 2.1: not while background reclaim is at work; a run that is under way ends then. */
static int
move_and_reclaim(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct world *w = fixture_of(m)->user;

	if (w->moves == 9)
		gw_daemon_set_working(&m->nodes[0].kswapd, true);
	return world_move(m, dst, src, mode);
}

static void
reclaim_goes_first(void **state)
{
	static const struct gw_movable_ops reclaiming = {.migrate = move_and_reclaim};
	struct world *w = fragmented(64, NULL);

	(void)state;
	for (gw_pfn_t pfn = 0; pfn < 64 * BLOCK; pfn++)
		if (world_letter(w, pfn) == 'm')
			gw_page_set_movable(w->m, pfn, &reclaiming, gw_page_index(w->m, pfn));
	begin(w);
	gw_daemon_set_working(&w->m->nodes[0].kswapd, true);
	pass(SECOND / 2);
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(migrated(w), 0);
	gw_daemon_set_working(&w->m->nodes[0].kswapd, false);
	pass(SECOND / 2);
	gw_kcompactd_step(w->m, 0);
	assert_in_range(migrated(w), 10, 10 + BLOCK); /* it did not finish */
	assert_true(gw_node_score(w->m, 0) > 80);
	gw_daemon_set_working(&w->m->nodes[0].kswapd, false);
	world_destroy(w);
}

/* ---- for an order ---- */

/* FACTS 2.1: woken for an order it makes one block of it, resets the deferral, and counts. */
static void
woken_for_an_order(void **state)
{
	struct world *w = fragmented(16, NULL);
	struct gw_zone_info zone;

	(void)state;
	gw_compact_defer(w->m, 0, PB);
	assert_int_equal(gw_compact_deferred(w->m, 0, PB), true);
	gw_wake_kcompactd(w->m, 0, PB);
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_WAKE), 1);
	assert_true(gw_zone_available(w->m, 0, PB) >= 1);
	assert_int_equal(gw_zone_info(w->m, 0, &zone), 0);
	assert_int_equal(zone.order_failed, PB + 1);
	assert_true(migrated(w) > 0);
	assert_true(gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_MIGRATE_SCANNED) > 0);
	world_destroy(w);
}

/* FACTS 2.1: a zone that has such a block already is skipped, and one that is deferred. */
static void
zones_that_are_skipped(void **state)
{
	struct world *w = fragmented(16, NULL);

	(void)state;
	gw_wake_kcompactd(w->m, 0, 1); /* there are pairs */
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_WAKE), 1);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_MIGRATE_SCANNED), 0);
	for (unsigned i = 0; i < 3; i++)
		gw_compact_defer(w->m, 0, PB); /* seven tries */
	for (unsigned i = 0; i < 7; i++) {
		gw_wake_kcompactd(w->m, 0, PB);
		gw_kcompactd_step(w->m, 0);
		assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_MIGRATE_SCANNED), 0);
	}
	gw_wake_kcompactd(w->m, 0, PB);
	gw_kcompactd_step(w->m, 0);
	assert_true(gw_machine_count(w->m, GW_VM_COMPACT_MIGRATE_SCANNED) > 0);
	world_destroy(w);
}

/* FACTS 2.1: a run to the end that made nothing drains the per-CPU lists and defers the zone. */
static void
failure_drains_and_defers(void **state)
{
	struct world *w = fragmented(16, NULL);
	struct gw_zone_info zone;
	struct gw_task other;
	gw_pfn_t pfn;

	(void)state;
	assert_int_equal(gw_task_attach(&other, w->m, 1), 0);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &pfn), 0);
	gw_put_page(w->m, pfn);
	gw_task_detach(&other);
	assert_int_equal(gw_zone_info(w->m, 0, &zone), 0);
	assert_true(zone.pcp > 0);
	w->refuse_move = true;
	gw_wake_kcompactd(w->m, 0, PB);
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(gw_zone_info(w->m, 0, &zone), 0);
	assert_int_equal(zone.pcp, 0);
	assert_int_equal(zone.defer_shift, 1);
	assert_int_equal(zone.order_failed, PB);
	world_destroy(w);
}

/* FACTS 2.1: background reclaim passes on what it was woken for, the largest of several; and the
 * pageblock order for a boost. */
static void
reclaim_wakes_it(void **state)
{
	struct world *w = fragmented(16, NULL);
	unsigned order;

	(void)state;
	gw_wake_kswapd(w->m, 1, 0);
	assert_true(gw_balance_node(w->m, 0));
	assert_false(gw_daemon_take_wish(&w->m->nodes[0].kcompactd, &order));
	gw_wake_kswapd(w->m, 1, 3);
	gw_wake_kswapd(w->m, 1, PB);
	gw_wake_kswapd(w->m, 1, 2);
	assert_true(gw_balance_node(w->m, 0));
	gw_kcompactd_step(w->m, 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_WAKE), 1);
	assert_true(gw_zone_available(w->m, 0, PB) >= 1);
	gw_u64_store_relaxed(&w->m->zones[0].wmark_boost, 1);
	(void)gw_balance_node(w->m, 0);
	assert_true(gw_daemon_take_wish(&w->m->nodes[0].kcompactd, &order));
	assert_int_equal(order, PB);
	assert_int_equal(gw_u64_load_relaxed(&w->m->zones[0].wmark_boost), 0);
	world_destroy(w);
}

/* ---- page capture ---- */

/* Free frame by frame a pageblock of this type while `capture` is waited for. */
static bool
frees_into(enum gw_migratetype type, unsigned order, enum gw_migratetype request)
{
	struct world *w = world_create(2 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_capture capture = {
		.zone = &w->m->zones[0], .order = order, .type = request, .pfn = GW_PFN_NONE};
	uint64_t free;
	bool got;

	assert_int_equal(gw_seed_pageblock(w->m, 0, type), 0);
	world_fill(w, 0, BLOCK, 'u');
	world_fill(w, BLOCK, BLOCK, 'u');
	world_ready(w);
	gw_current()->capture = &capture;
	for (gw_pfn_t pfn = 0; pfn < BLOCK; pfn++)
		gw_put_page(w->m, pfn);
	gw_drain_pages(w->m);
	gw_current()->capture = NULL;
	got = capture.pfn != GW_PFN_NONE;
	free = gw_u64_load_relaxed(&w->m->zones[0].nr_free);
	if (type != GW_MT_ISOLATE)
		assert_int_equal(free, BLOCK - (got ? (gw_pfn_t)1 << order : 0));
	if (got)
		gw_finish_alloc(w->m, capture.pfn, order, 0);
	fixture_check(w->f);
	if (got)
		gw_put_page(w->m, capture.pfn);
	world_destroy(w);
	return got;
}

/* FACTS 2.1: what a task's own frees make is its own before anybody can see it: of exactly the
 * order it wants, not from pageblocks kept for others, and no piece of a movable one for a page
 * that will never move. */
static void
captured_blocks(void **state)
{
	(void)state;
	assert_true(frees_into(GW_MT_MOVABLE, PB, GW_MT_MOVABLE));
	assert_true(frees_into(GW_MT_MOVABLE, PB, GW_MT_UNMOVABLE));
	assert_true(frees_into(GW_MT_MOVABLE, 2, GW_MT_MOVABLE));
	assert_false(frees_into(GW_MT_MOVABLE, 2, GW_MT_UNMOVABLE));
	assert_true(frees_into(GW_MT_UNMOVABLE, 2, GW_MT_MOVABLE));
	assert_false(frees_into(GW_MT_CMA, 2, GW_MT_MOVABLE));
	assert_false(frees_into(GW_MT_ISOLATE, 2, GW_MT_MOVABLE));
	assert_false(frees_into(GW_MT_MOVABLE, PB + 1, GW_MT_MOVABLE)); /* never made */
}

/* Runs in the middle of a compaction: memory gets so short that nobody may take what is free. */
static int
move_and_raise(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	gw_u64_store_relaxed(&m->zones[0].wmark[GW_WMARK_MIN], 1u << 20);
	return world_move(m, dst, src, mode);
}

/* FACTS 2.1: a direct compaction ends with the block in hand; it was on no free list, whose
 * watermarks others may have reached meanwhile. */
static void
direct_compaction_captures(void **state)
{
	static const struct gw_movable_ops raising = {.migrate = move_and_raise};
	struct world *w = fragmented(32, NULL);
	gw_pfn_t page;

	(void)state;
	for (gw_pfn_t pfn = 0; pfn < 32 * BLOCK; pfn++)
		if (world_letter(w, pfn) == 'm')
			gw_page_set_movable(w->m, pfn, &raising, gw_page_index(w->m, pfn));
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &page), 0);
	assert_int_equal(gw_zone_available(w->m, 0, PB), 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_SUCCESS), 1);
	assert_null(gw_current()->capture);
	gw_put_page(w->m, page);
	world_destroy(w);
}

/* ---- as a task ---- */

struct background {
	struct world *w;
	pthread_t thread;
};

static void *
be_kcompactd(void *arg)
{
	struct background *b = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, b->w->m, 1), 0);
	gw_kcompactd(b->w->m, 0);
	gw_task_detach(&task);
	return NULL;
}

/* Woken by the machine's timer when it is due, by those who want an order, and stopped. */
static void
as_a_task(void **state)
{
	struct world *w = fragmented(64, NULL);
	struct background b = {.w = w};

	(void)state;
	assert_int_equal(pthread_create(&b.thread, NULL, be_kcompactd, &b), 0);
	while (gw_u64_load_relaxed(&w->m->nodes[0].proactive_ns) == 0)
		sched_yield();
	gw_kcompactd_tick(w->m); /* too early: nobody is woken */
	pass(SECOND / 2);
	gw_kcompactd_tick(w->m);
	while (gw_node_score(w->m, 0) > 80)
		sched_yield();
	gw_wake_kcompactd(w->m, 0, PB + 1);
	while (gw_machine_count(w->m, GW_VM_COMPACT_DAEMON_WAKE) == 0)
		sched_yield();
	gw_kcompactd_stop(w->m, 0);
	assert_int_equal(pthread_join(b.thread, NULL), 0);
	world_destroy(w);
}

static struct {
	gw_atomic_u32 rounds;
	unsigned order;
} wishing;

static void
wish_in_the_first_round(struct gw_machine *m, unsigned node)
{
	struct gw_daemon *daemon = &m->nodes[node].kcompactd;

	if (gw_u32_load_relaxed(&wishing.rounds) == 0)
		gw_daemon_ask(m, daemon, 3);
	else
		(void)gw_daemon_take_wish(daemon, &wishing.order);
	gw_u32_add_relaxed(&wishing.rounds, 1);
}

static void *
be_wishing(void *arg)
{
	struct background *b = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, b->w->m, 1), 0);
	gw_daemon_run(b->w->m, &b->w->m->nodes[0].kcompactd, 0, wish_in_the_first_round);
	gw_task_detach(&task);
	return NULL;
}

/* A wish that is made while a round runs is another round; the task does not sleep over it. */
static void
wishes_in_a_round_are_heard(void **state)
{
	struct world *w = fragmented(64, NULL);
	struct background b = {.w = w};

	(void)state;
	gw_u32_store_relaxed(&wishing.rounds, 0);
	wishing.order = 0;
	assert_int_equal(pthread_create(&b.thread, NULL, be_wishing, &b), 0);
	for (unsigned ms = 0; ms < 10000 && gw_u32_load_relaxed(&wishing.rounds) < 2; ms++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	gw_kcompactd_stop(w->m, 0);
	assert_int_equal(pthread_join(b.thread, NULL), 0);
	assert_int_equal(gw_u32_load_relaxed(&wishing.rounds), 2);
	assert_int_equal(wishing.order, 3);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(score_of_a_node),
		cmocka_unit_test(from_the_high_mark_to_the_low),
		cmocka_unit_test(marks_follow_proactiveness),
		cmocka_unit_test(marks_at_the_ends),
		cmocka_unit_test(no_progress_backs_off),
		cmocka_unit_test(reclaim_goes_first),
		cmocka_unit_test(woken_for_an_order),
		cmocka_unit_test(zones_that_are_skipped),
		cmocka_unit_test(failure_drains_and_defers),
		cmocka_unit_test(reclaim_wakes_it),
		cmocka_unit_test(captured_blocks),
		cmocka_unit_test(direct_compaction_captures),
		cmocka_unit_test(as_a_task),
		cmocka_unit_test(wishes_in_a_round_are_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
