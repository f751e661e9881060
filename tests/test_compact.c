/* SPDX-License-Identifier: MIT */
/*
 * test_compact.c - the two scanners, their results, hints and ends (FACTS 1.4 rows D8 to
 * D13, D21, R11, R12; 2.1, 3.7). test_direct.c and test_triggers.c have who starts them.
 *
 * Zones are drawn in pageblocks of 16 frames unless a test says otherwise. world_destroy()
 * checks the machine and every page's bytes.
 */
#include "compact_fixture.h"

#include <errno.h>

#define PB	  4
#define PB_FRAMES 16
#define SPARSE	  "m..m..m..m..m..m" /* 6 pages; free blocks of orders 0 and 1 */
#define USED	  "uuuuuuuuuuuuuuuu"
#define SINGLES	  "u.u.u.u.u.u.u.u." /* room for 8 single frames */

static struct world *
small_world(unsigned pageblocks)
{
	return world_create(pageblocks * PB_FRAMES, PB, PB + 1, 1, NULL);
}

/* A small world whose CPU lists keep whatever is freed. */
static struct world *
keeping_world(unsigned pageblocks)
{
	const struct gw_zone_config zone = {.pcp_batch = 8, .pcp_high = 100000};

	return world_create(pageblocks * PB_FRAMES, PB, PB + 1, 1, &zone);
}

static void
draw_blocks(struct world *w, unsigned first, unsigned n, const char *block)
{
	for (unsigned b = first; b < first + n; b++)
		world_draw(w, b * PB_FRAMES, block);
}

static struct gw_compact_stats
run(struct world *w, const struct gw_compact_request *request)
{
	struct gw_compact_stats stats;
	enum gw_compact_result result = gw_compact_zone(w->m, 0, request, &stats);

	assert_int_equal(result, stats.result);
	world_check(w);
	return stats;
}

/* D8: pages go from the bottom to the top until the scanners meet; the bottom is free then. */
static void
scanners_move_up_and_meet(void **state)
{
	struct world *w = small_world(8);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	draw_blocks(w, 0, 8, "m...m...m...m...");
	world_ready(w);
	stats = run(w, &request);
	gw_drain_all_pages(w->m);
	assert_int_equal(stats.result, GW_COMPACT_COMPLETE);
	/* 12 free frames a block: 3 go into the last, 2 into the one before; then they are
	 * neighbours, and only what is held already is used. */
	assert_int_equal(stats.migrate.succeeded, 21);
	assert_true(world_all(w, 0, 5 * PB_FRAMES, '.'));
	assert_int_equal(gw_zone_available(w->m, 0, PB), 5);
	assert_int_equal(stats.migrate_pfn / PB_FRAMES, stats.free_pfn / PB_FRAMES);
	world_destroy(w);
}

/* D9: the first batch of a pageblock is 32 pages, the second all that is left of it (FACTS 3.7). */
static void
batches_of_a_pageblock(void **state)
{
	struct world *w = world_create(4 * 512, 9, 10, 1, NULL);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	for (gw_pfn_t i = 0; i < 512; i++)
		world_draw(w, i, i % 3 ? "." : "m");
	world_fill(w, 512, 1024, 'u');
	world_draw(w, 1536, "u");
	world_fill(w, 1537, 511, '.');
	world_ready(w);
	stats = run(w, &request);
	assert_int_equal(stats.migrate.succeeded, 171);
	assert_int_equal(stats.migrate.passes, 2); /* 32 and 139, not 6 times 32 */
	world_destroy(w);
}

/* Batch by batch, `text` at frame 0, as the kernel counts what it scans: a free block counts whole.
 */
static void
scanned_counts_frames(void **state)
{
	struct world *w = small_world(6);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	world_fill(w, 0, 32, '.'); /* one block of order 5: seen from its head, then from inside */
	draw_blocks(w, 2, 1, USED);
	/* Pageblock 3 stays reserved: a hole is not scanned. */
	draw_blocks(w, 4, 2, USED);
	world_ready(w);
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_COMPLETE);
	assert_int_equal(stats.migrate_scanned, 32 + 16 + 16 + 0 + 16);
	world_destroy(w);
}

/* D10: only MOVABLE and CMA pageblocks, and none that is one free block, take pages. */
static void
targets_by_pageblock(void **state)
{
	static const enum gw_migratetype types[] = {
		GW_MT_UNMOVABLE, GW_MT_RECLAIMABLE, GW_MT_HIGHATOMIC, GW_MT_ISOLATE, GW_MT_CMA};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct world *w = small_world(6);
		struct gw_compact_request request = whole_zone_request();
		bool cma = types[i] == GW_MT_CMA;

		assert_int_equal(gw_seed_pageblock(w->m, 48, types[i]), 0);
		world_draw(w, 0, "m...............");
		draw_blocks(w, 1, 1, USED);
		world_draw(w, 32, "u..............."); /* the last resort */
		world_draw(w, 48, "u..............."); /* of the type under test */
		world_fill(w, 64, 32, '.');
		world_ready(w);
		run(w, &request);
		assert_int_equal(world_count(w, 32, 16, 'm'), cma ? 0 : 1);
		assert_int_equal(world_count(w, 48, 16, 'm'), cma ? 1 : 0);
		assert_true(world_all(w, 64, 32, '.'));
		world_destroy(w);
	}
}

/* D12: with too many pages isolated ASYNC gives up; NOFS, whose limit is larger, goes on (R12). */
static void
too_many_isolated(void **state)
{
	struct world *w = small_world(8);
	struct gw_compact_request request = whole_zone_request();
	struct gw_page_list list;
	struct gw_compact_stats stats;

	(void)state;
	draw_blocks(w, 0, 4, "aaaaaaaaaaaaaaaa");
	draw_blocks(w, 4, 4, "........u.......");
	world_ready(w);
	gw_page_list_init(&list);
	for (gw_pfn_t pfn = 48; pfn < 58; pfn++)
		assert_int_equal(gw_isolate_page(w->m, pfn, GW_MIGRATE_SYNC, &list), 0);
	/* 54 on the lists, 10 off: more than (54 >> 3) / 2, fewer than 54 / 2. */
	request.mode = GW_MIGRATE_ASYNC;
	assert_int_equal(gw_compact_zone(w->m, 0, &request, &stats), GW_COMPACT_CONTENDED);
	assert_int_equal(stats.migrate.succeeded, 0);
	request.no_fs = true;
	assert_int_equal(gw_compact_zone(w->m, 0, &request, &stats), GW_COMPACT_COMPLETE);
	assert_true(stats.migrate.succeeded > 0);
	gw_putback_movable_pages(w->m, &list);
	world_destroy(w);
}

/* GFP_NOFS: only anonymous pages are moved (FACTS 2.1). */
static void
nofs_moves_anonymous_only(void **state)
{
	struct world *w = small_world(4);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	world_draw(w, 0, "afafaaff........");
	draw_blocks(w, 1, 2, USED);
	world_draw(w, 48, "u...............");
	world_ready(w);
	request.no_fs = true;
	stats = run(w, &request);
	assert_int_equal(stats.migrate.succeeded, 4);
	request.no_fs = false;
	stats = run(w, &request);
	assert_int_equal(stats.migrate.succeeded, 4);
	world_destroy(w);
}

/* FACTS 2.1: pages on the unevictable list move only where that is allowed. */
static void
unevictable_pages(void **state)
{
	struct world *w = small_world(3);
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	world_movable(w, 0, 0, GW_LRU_UNEVICTABLE);
	world_draw(w, 1, "...............");
	draw_blocks(w, 1, 1, USED);
	world_draw(w, 32, "u...............");
	world_ready(w);
	w->m->config.compact_unevictable_allowed = false;
	assert_int_equal(run(w, &request).migrate.succeeded, 0);
	w->m->config.compact_unevictable_allowed = true;
	assert_int_equal(run(w, &request).migrate.succeeded, 1);
	world_destroy(w);
}

/* D13: today's values, as tracepoints print them; over zones the largest counts. */
static void
result_values(void **state)
{
	static const char *const names[] = {"not_suitable_zone", "skipped", "deferred",
		"no_suitable_page", "continue", "complete", "partial_skipped", "contended",
		"success"};

	(void)state;
	for (int i = 0; i < 9; i++)
		assert_string_equal(gw_compact_result_name((enum gw_compact_result)i), names[i]);
	assert_int_equal(GW_COMPACT_DEFERRED, 2);
	assert_int_equal(GW_COMPACT_CONTENDED, 7);
}

/* D13, D19: no such zone, and an order that no block has. */
static void
nonsense_is_not_suitable(void **state)
{
	struct world *w = small_world(2);
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	world_fill(w, 0, 32, '.');
	world_ready(w);
	assert_int_equal(gw_compact_zone(w->m, 1, &request, NULL), GW_COMPACT_NOT_SUITABLE_ZONE);
	request.order = PB + 2;
	assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_NOT_SUITABLE_ZONE);
	assert_int_equal(gw_compact_suitable(w->m, 0, PB + 2), GW_COMPACT_NOT_SUITABLE_ZONE);
	assert_int_equal(gw_zone_available(w->m, 0, PB), 2);
	assert_int_equal(gw_zone_available(w->m, 1, PB), 0);
	world_destroy(w);
}

/* D21: leaving an aligned block it moved from, a run drains this CPU's lists, so blocks merge. */
static void
leaving_a_block_drains(void **state)
{
	struct world *w = keeping_world(8);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	draw_blocks(w, 0, 8, SPARSE);
	world_ready(w);
	request.order = PB;
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate.succeeded, 6); /* one pageblock, no more */
	assert_true(world_all(w, 0, PB_FRAMES, '.'));
	world_destroy(w);
}

/* FACTS 3.7: compact_memory leaves what it freed on the CPU's lists; merged only when drained. */
static void
whole_zone_runs_leave_frames_on_cpu_lists(void **state)
{
	struct world *w = keeping_world(8);
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	draw_blocks(w, 0, 8, SPARSE);
	world_ready(w);
	assert_int_equal(run(w, &request).result, GW_COMPACT_COMPLETE);
	assert_int_equal(gw_zone_available(w->m, 0, PB), 0);
	gw_drain_pages(w->m);
	assert_true(gw_zone_available(w->m, 0, PB) >= 4);
	world_destroy(w);
}

/* A planner's request ends when `count` blocks are free, and at once if they are already. */
static void
count_ends_the_run(void **state)
{
	struct world *w = small_world(16);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	draw_blocks(w, 0, 16, SPARSE);
	world_ready(w);
	request.order = PB;
	request.count = 3;
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(gw_zone_available(w->m, 0, PB), 3);
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate_scanned, 0);
	request.count = 1000;
	assert_int_equal(run(w, &request).result, GW_COMPACT_COMPLETE);
	world_destroy(w);
}

/* FACTS 2.1: large pages below the order move whole; those at or above it stay. */
static void
large_pages_by_order(void **state)
{
	struct world *w = small_world(6);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;
	struct gw_frame_info info;

	(void)state;
	world_draw(w, 0, "4---------------"); /* a whole pageblock: not even scanned */
	world_draw(w, 16, "2---1-.....u.m..");
	draw_blocks(w, 2, 3, USED);
	world_draw(w, 80, "u...............");
	world_ready(w);
	request.order = 2;
	request.count = 1000;
	stats = run(w, &request);
	assert_int_equal(stats.migrate.succeeded, 3);
	assert_int_equal(stats.migrate.large_succeeded, 1);
	request.order = -1;
	stats = run(w, &request);
	assert_int_equal(stats.migrate.succeeded, 4);
	assert_int_equal(stats.migrate.large_succeeded, 1);
	assert_int_equal(w->splits, 0);
	assert_int_equal(stats.migrate_scanned, 4 * PB_FRAMES);
	assert_int_equal(gw_frame_info(w->m, 84, &info), 0);
	assert_int_equal(info.order, 2);
	world_destroy(w);
}

static void
draw_stop_point(struct world *w)
{
	world_draw(w, 0, "m...2---........");
	draw_blocks(w, 1, 1, USED);
	draw_blocks(w, 2, 1, SINGLES);
	world_ready(w);
}

/* FACTS 3.7: a large page that no held block fits is split, and its pieces take single frames. */
static void
large_page_without_target_is_split(void **state)
{
	struct world *w = small_world(3);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	draw_stop_point(w);
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_COMPLETE);
	assert_int_equal(stats.migrate.split, 1);
	assert_int_equal(stats.migrate.succeeded, 5);
	world_destroy(w);
}

/* FACTS 3.7: if it cannot be split either, the zone's run ends there, contended. */
static void
unsplittable_page_ends_the_run(void **state)
{
	struct world *w = small_world(3);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	draw_stop_point(w);
	w->refuse_split = true;
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_CONTENDED);
	assert_int_equal(stats.migrate.stopped_on, 4);
	assert_int_equal(stats.migrate.succeeded, 1);
	world_destroy(w);
}

/*
 * FACTS 3.7, and the traces behind it: as long as a single frame is held, no target is looked for,
 * though one of the right size is there.
 */
static void
one_held_frame_is_enough_to_stop(void **state)
{
	struct world *w = small_world(5);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	world_draw(w, 0, "m...............");
	world_draw(w, 16, "2---............");
	draw_blocks(w, 2, 1, USED);
	world_draw(w, 48, "uuuu....uuuuuuuu"); /* would do */
	world_draw(w, 64, "uu..uuuuuuuuuuuu"); /* the page takes one frame, the other stays held */
	world_ready(w);
	w->refuse_split = true;
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_CONTENDED);
	assert_int_equal(stats.migrate.stopped_on, 16);
	world_destroy(w);
}

struct stops {
	unsigned n, splits;
	struct gw_stop_point last;
	bool answer;
};

static bool
note_stop(void *ctx, struct gw_machine *m, const struct gw_stop_point *at)
{
	struct stops *stops = ctx;
	struct world *w = fixture_of(m)->user;

	stops->n++;
	stops->splits = w->splits;
	stops->last = *at;
	return stops->answer;
}

/* compact.h: the callback is told of the stop point before the page is split, and may end the run.
 */
static void
stop_points_are_told(void **state)
{
	(void)state;
	for (int answer = 0; answer < 2; answer++) {
		struct world *w = small_world(3);
		struct stops stops = {.answer = answer};
		struct gw_compact_request request = whole_zone_request();
		struct gw_compact_stats stats;

		draw_stop_point(w);
		request.on_stop_point = note_stop;
		request.ctx = &stops;
		stats = run(w, &request);
		assert_int_equal(stops.n, 1);
		assert_int_equal(stops.splits, 0);
		assert_int_equal(stops.last.page, 4);
		assert_int_equal(stops.last.order, 2);
		assert_int_equal(w->splits, answer ? 0 : 1);
		assert_int_equal(stats.result, answer ? GW_COMPACT_CONTENDED : GW_COMPACT_COMPLETE);
		world_destroy(w);
	}
}

/* compact.h: stop_at ends the run; the batch that reached it is put back, earlier ones moved. */
static void
stop_at_ends_the_run(void **state)
{
	static const gw_pfn_t stops[] = {32, 20};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = small_world(8);
		struct gw_compact_request request = whole_zone_request();
		struct gw_compact_stats stats;

		draw_blocks(w, 0, 8, "m...m...m...m...");
		world_ready(w);
		request.stop_at = stops[i];
		stats = run(w, &request);
		gw_drain_all_pages(w->m);
		assert_int_equal(stats.result, GW_COMPACT_CONTENDED);
		assert_int_equal(stats.migrate_pfn, stops[i]);
		assert_true(world_all(w, 0, 16, '.'));
		assert_int_equal(world_letter(w, 16), 'm');
		assert_int_equal(world_letter(w, stops[i]), 'm');
		world_destroy(w);
	}
}

/* FACTS 2.1: taking targets leaves the low watermark; the run ends contended, nothing lost. */
static void
targets_leave_the_watermark(void **state)
{
	const struct gw_zone_config zone = {.wmark_min = 20,
		.wmark_low = 30,
		.wmark_high = 40,
		.pcp_batch = 8,
		.pcp_high = 1000};
	struct world *w = world_create(6 * PB_FRAMES, PB, PB + 1, 1, &zone);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	draw_blocks(w, 0, 2, "mmmm............"); /* 24 free */
	draw_blocks(w, 2, 3, USED);
	draw_blocks(w, 5, 1, SINGLES); /* and 8: two above the watermark */
	world_ready(w);
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_CONTENDED);
	assert_int_equal(stats.migrate.succeeded, 2);
	world_destroy(w);
}

/* FACTS 2.1: pageblocks that gave nothing are marked, skipped by the next run, and forgotten on
 * demand. */
static void
skip_bits(void **state)
{
	struct world *w = small_world(8);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;
	struct gw_zone_info info;

	(void)state;
	draw_blocks(w, 0, 2, USED);
	draw_blocks(w, 2, 1, "m...............");
	draw_blocks(w, 3, 4, USED);
	draw_blocks(w, 7, 1, "u...............");
	world_ready(w);
	request.mode = GW_MIGRATE_SYNC_LIGHT;
	request.whole_zone = request.ignore_skip = false;
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_COMPLETE); /* started at the bottom */
	assert_int_equal(stats.migrate_scanned, 7 * PB_FRAMES);
	assert_true(gw_pageblock_skip(w->m, 0));
	assert_false(gw_pageblock_skip(w->m, 32));
	stats = run(w, &request);
	assert_int_equal(stats.migrate_scanned, PB_FRAMES);
	request.ignore_skip = true;
	assert_int_equal(run(w, &request).migrate_scanned, 7 * PB_FRAMES);
	gw_compact_reset_skip(w->m, 0);
	assert_false(gw_pageblock_skip(w->m, 0));
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.migrate_pfn[1], 112); /* the first pageblock with a page to move */
	world_destroy(w);
}

/* FACTS 2.1: positions are kept, for ASYNC apart; a run from the middle is PARTIAL_SKIPPED. */
static void
cached_positions(void **state)
{
	struct world *w = small_world(8);
	struct gw_compact_request request = whole_zone_request();
	struct gw_zone_info info;

	(void)state;
	draw_blocks(w, 0, 2, USED);
	draw_blocks(w, 2, 6, "m..............u");
	world_ready(w);
	request.whole_zone = request.ignore_skip = false;
	request.mode = GW_MIGRATE_ASYNC;
	request.stop_at = 32;
	assert_int_equal(run(w, &request).result, GW_COMPACT_CONTENDED);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.migrate_pfn[0], 32);
	assert_int_equal(info.migrate_pfn[1], 0);
	request.stop_at = 0;
	assert_int_equal(run(w, &request).result, GW_COMPACT_PARTIAL_SKIPPED);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.migrate_pfn[0], 0); /* they met: anew next time */
	world_destroy(w);
}

/* FACTS 2.1: after a full direct cycle skip bits are cleared before the next run. */
static void
full_direct_cycle_flushes_hints(void **state)
{
	struct world *w = small_world(4);
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	world_draw(w, 0, "m.u.u.u.u.u.u.u.");
	draw_blocks(w, 1, 3, SINGLES);
	world_ready(w);
	w->refuse_move = true;
	request.order = 2;
	request.mode = GW_MIGRATE_SYNC_LIGHT;
	request.direct = true;
	request.whole_zone = request.ignore_skip = false;
	assert_int_equal(run(w, &request).result, GW_COMPACT_COMPLETE);
	assert_true(gw_pageblock_skip(w->m, 16));
	assert_int_equal(run(w, &request).migrate_scanned, 3 * PB_FRAMES);
	world_destroy(w);
}

/* FACTS 2.1: async direct runs scan only pageblocks of the request's type. */
static void
async_direct_keeps_to_its_type(void **state)
{
	struct world *w = small_world(4);
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	assert_int_equal(gw_seed_pageblock(w->m, 16, GW_MT_UNMOVABLE), 0);
	world_draw(w, 0, "m.u.m.u.m.u.m.u.");
	world_draw(w, 16, "m.u.m.u.m.u.m.u.");
	draw_blocks(w, 2, 1, USED);
	draw_blocks(w, 3, 1, SINGLES);
	world_ready(w);
	request.order = 2;
	request.mode = GW_MIGRATE_ASYNC;
	request.migratetype = GW_MT_UNMOVABLE;
	request.direct = true;
	request.whole_zone = false;
	assert_int_equal(run(w, &request).migrate_scanned, PB_FRAMES);
	assert_int_equal(world_letter(w, 0), 'm');
	world_destroy(w);
}

/* FACTS 2.1: they drop an aligned block at its first page that cannot move, and end with success
 * as soon as another became free. */
static void
async_direct_aborts_blocks(void **state)
{
	struct world *w = small_world(4);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	world_draw(w, 0, "m.u.m.m.uuuuuuuu");
	draw_blocks(w, 1, 2, SINGLES);
	draw_blocks(w, 3, 1, "..uuuuuuuuuuuuuu"); /* ASYNC looks at every 32nd frame */
	world_ready(w);
	request.order = 2;
	request.mode = GW_MIGRATE_ASYNC;
	request.direct = true;
	request.whole_zone = false;
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate.succeeded, 2);
	assert_int_equal(world_letter(w, 0), 'm');
	assert_true(world_all(w, 4, 4, '.'));
	world_destroy(w);
}

/* A1: targets of pages that would not move are held again and go back to the zone. */
static void
pages_that_refuse_stay(void **state)
{
	struct world *w = small_world(4);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats stats;

	(void)state;
	world_draw(w, 0, "m...2---m.......");
	draw_blocks(w, 1, 2, USED);
	draw_blocks(w, 3, 1, "u...............");
	world_ready(w);
	w->refuse_move = true;
	request.mode = GW_MIGRATE_SYNC_LIGHT;
	stats = run(w, &request);
	assert_int_equal(stats.result, GW_COMPACT_COMPLETE);
	assert_int_equal(stats.migrate.failed, 6);
	assert_true(world_all(w, 49, 15, '.'));
	world_destroy(w);
}

/* An interrupted task's run ends contended; nothing stays isolated. */
static void
interruption_ends_the_run(void **state)
{
	struct world *w = small_world(8);
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	draw_blocks(w, 0, 8, SPARSE);
	world_ready(w);
	gw_task_interrupt(&w->f->task);
	assert_int_equal(run(w, &request).result, GW_COMPACT_CONTENDED);
	gw_task_clear_interrupt(&w->f->task);
	assert_int_equal(run(w, &request).result, GW_COMPACT_COMPLETE);
	world_destroy(w);
}

static void
draw_randomly(struct world *w, uint64_t *random, gw_pfn_t frames)
{
	static const char letters[] = ".....mmmaafup";
	unsigned density = (unsigned)(test_random(random) % 3);

	for (gw_pfn_t pfn = 0; pfn < frames;) {
		unsigned order = (unsigned)(test_random(random) % 4);
		gw_pfn_t n = (gw_pfn_t)1 << order;
		char text[32] = "";

		if (order > 0 && pfn % n == 0 && pfn + n <= frames &&
			test_random(random) % 4 == 0) {
			text[0] = (char)('0' + order);
			world_draw(w, pfn, text);
			pfn += n;
			continue;
		}
		text[0] = letters[test_random(random) % (sizeof(letters) - 1)];
		if (text[0] == 'u' && test_random(random) % 4)
			text[0] = '.';
		if (density == 0 && test_random(random) % 2)
			text[0] = '.';
		world_draw(w, pfn++, text);
	}
}

/* Whatever the zone, the request and its end: no page is lost, and no free pageblock either. */
static void
random_runs_lose_nothing(void **state)
{
	uint64_t random = test_seed();

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		gw_pfn_t frames = (gw_pfn_t)(4 + test_random(&random) % 12) * PB_FRAMES;
		struct world *w = world_create(frames, PB, PB + 1, 1, NULL);
		uint64_t before;

		draw_randomly(w, &random, frames);
		world_ready(w);
		gw_drain_all_pages(w->m);
		before = gw_zone_available(w->m, 0, PB);
		for (unsigned i = 0; i < 4; i++) {
			struct gw_compact_request request = {
				.planner = GW_PLANNER_SCANNERS,
				.order = (int)(test_random(&random) % 6) - 1,
				.count = test_random(&random) % 8,
				.mode = (enum gw_migrate_mode)(test_random(&random) % 3),
				.migratetype = (enum gw_migratetype)(
					test_random(&random) % GW_MT_PCPTYPES),
				.direct = test_random(&random) % 2,
				.whole_zone = test_random(&random) % 2,
				.ignore_skip = test_random(&random) % 2,
				.no_fs = test_random(&random) % 2,
				.stop_at = test_random(&random) % 4
						   ? 0
						   : (gw_pfn_t)(test_random(&random) % frames),
			};

			w->refuse_split = test_random(&random) % 2;
			w->refuse_move = test_random(&random) % 8 == 0;
			run(w, &request);
			gw_drain_all_pages(w->m);
			if (request.order < 0)
				assert_true(gw_zone_available(w->m, 0, PB) >= before);
			before = gw_zone_available(w->m, 0, PB);
		}
		world_destroy(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scanners_move_up_and_meet),
		cmocka_unit_test(batches_of_a_pageblock),
		cmocka_unit_test(scanned_counts_frames),
		cmocka_unit_test(targets_by_pageblock),
		cmocka_unit_test(too_many_isolated),
		cmocka_unit_test(nofs_moves_anonymous_only),
		cmocka_unit_test(unevictable_pages),
		cmocka_unit_test(result_values),
		cmocka_unit_test(nonsense_is_not_suitable),
		cmocka_unit_test(leaving_a_block_drains),
		cmocka_unit_test(whole_zone_runs_leave_frames_on_cpu_lists),
		cmocka_unit_test(count_ends_the_run),
		cmocka_unit_test(large_pages_by_order),
		cmocka_unit_test(large_page_without_target_is_split),
		cmocka_unit_test(unsplittable_page_ends_the_run),
		cmocka_unit_test(one_held_frame_is_enough_to_stop),
		cmocka_unit_test(stop_points_are_told),
		cmocka_unit_test(stop_at_ends_the_run),
		cmocka_unit_test(targets_leave_the_watermark),
		cmocka_unit_test(skip_bits),
		cmocka_unit_test(cached_positions),
		cmocka_unit_test(full_direct_cycle_flushes_hints),
		cmocka_unit_test(async_direct_keeps_to_its_type),
		cmocka_unit_test(async_direct_aborts_blocks),
		cmocka_unit_test(pages_that_refuse_stay),
		cmocka_unit_test(interruption_ends_the_run),
		cmocka_unit_test(random_runs_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
