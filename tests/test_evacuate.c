/* SPDX-License-Identifier: MIT */
/*
 * test_evacuate.c - the second planner: cheapest regions first (DESIGN 7, 11).
 *
 * Its figure of merit is pages moved per block gained: on small zones it is compared with the
 * best there is, by trying every set of regions, and on larger ones with the scanners.
 */
#include "compact_fixture.h"

#define PB	  3
#define PB_FRAMES 8
#define BLOCKS	  8
#define FRAMES	  (BLOCKS * PB_FRAMES)

static struct gw_compact_request
evacuate_request(int order, uint64_t count)
{
	struct gw_compact_request request = whole_zone_request();

	request.planner = GW_PLANNER_EVACUATE;
	request.order = order;
	request.count = count;
	return request;
}

static struct gw_compact_stats
run(struct world *w, int order, uint64_t count)
{
	struct gw_compact_request request = evacuate_request(order, count);
	struct gw_compact_stats stats;

	gw_compact_zone(w->m, 0, &request, &stats);
	world_check(w);
	gw_drain_all_pages(w->m);
	return stats;
}

/* What a drawing of BLOCKS pageblocks of single pages offers. */
struct offer {
	unsigned cost[BLOCKS], room[BLOCKS];
	bool blocked[BLOCKS], free[BLOCKS];
};

static struct offer
read_offer(const char *text)
{
	struct offer o = {0};

	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned b = i / PB_FRAMES;

		o.cost[b] += text[i] == 'm';
		o.room[b] += text[i] == '.';
		o.blocked[b] |= text[i] == 'u';
	}
	for (unsigned b = 0; b < BLOCKS; b++)
		o.free[b] = o.room[b] == PB_FRAMES;
	return o;
}

/* Fewest moves that empty exactly `n` more blocks, by trying all sets; UINT32_MAX: impossible. */
static unsigned
best_moves(const struct offer *o, unsigned n)
{
	unsigned best = UINT32_MAX;

	for (unsigned set = 0; set < 1u << BLOCKS; set++) {
		unsigned moves = 0, room = 0;
		bool possible = __builtin_popcount(set) == (int)n;

		for (unsigned b = 0; b < BLOCKS; b++) {
			if (set >> b & 1) {
				possible = possible && !o->blocked[b] && !o->free[b];
				moves += o->cost[b];
			} else if (!o->free[b]) {
				room += o->room[b];
			}
		}
		if (possible && moves <= room && moves < best)
			best = moves;
	}
	return best;
}

static void
random_drawing(uint64_t *random, char *text)
{
	unsigned used = 1 + (unsigned)(test_random(random) % 7);

	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned roll = (unsigned)(test_random(random) % 16);

		text[i] = roll < used ? 'm' : roll == 15 && test_random(random) % 2 ? 'u' : '.';
	}
	text[FRAMES] = '\0';
}

static struct world *
draw(const char *text)
{
	struct world *w = world_create(FRAMES, PB, PB + 1, 1, NULL);

	world_draw(w, 0, text);
	world_ready(w);
	return w;
}

/* DESIGN 7: never more moves than the best plan needs, and every block that can be had is had. */
static void
moves_are_the_fewest(void **state)
{
	uint64_t random = test_seed();
	char text[FRAMES + 1];

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		struct gw_compact_stats stats;
		struct offer offer;
		uint64_t before;
		unsigned want, best;
		struct world *w;

		random_drawing(&random, text);
		offer = read_offer(text);
		w = draw(text);
		before = gw_zone_available(w->m, 0, PB);
		want = 1 + (unsigned)(test_random(&random) % 4);
		best = best_moves(&offer, want);
		stats = run(w, PB, before + want);
		if (stats.result == GW_COMPACT_SKIPPED) {
			/* D17: room for two blocks was not there. */
			assert_int_equal(stats.migrate.succeeded, 0);
		} else if (best == UINT32_MAX) {
			assert_int_equal(stats.result, GW_COMPACT_COMPLETE);
			assert_true(gw_zone_available(w->m, 0, PB) < before + want);
			if (stats.blocks_freed)
				assert_int_equal(stats.migrate.succeeded,
					best_moves(&offer, (unsigned)stats.blocks_freed));
			assert_int_equal(
				best_moves(&offer, (unsigned)stats.blocks_freed + 1), UINT32_MAX);
		} else {
			assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
			assert_int_equal(stats.migrate.succeeded, best);
			assert_int_equal(gw_zone_available(w->m, 0, PB), before + want);
		}
		world_destroy(w);
	}
}

/* DESIGN 7: targets come from blocked pageblocks first, then from the dearest; free ones stay. */
static void
targets_from_the_hopeless(void **state)
{
	struct world *w = draw("m......." /* cheapest: emptied */
			       "mmm....." /* next */
			       "mmmmmm.." /* dearest: takes what is left */
			       "u..u...u" /* hopeless: takes what it can */
			       "........" /* free already */
			       "uuuuuuuu"
			       "uuuuuuuu"
			       "uuuuuuuu");
	struct gw_compact_stats stats;

	(void)state;
	stats = run(w, PB, 3);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate.succeeded, 4);
	assert_int_equal(stats.blocks_freed, 2);
	assert_true(world_all(w, 0, 16, '.'));
	assert_int_equal(world_count(w, 24, 8, 'm'), 4);
	assert_true(world_all(w, 32, 8, '.'));
	world_destroy(w);
}

/* D10: no target in a pageblock that is not MOVABLE or CMA, however hopeless. */
static void
foreign_pageblocks_take_nothing(void **state)
{
	struct world *w = world_create(FRAMES, PB, PB + 1, 1, NULL);

	(void)state;
	assert_int_equal(gw_seed_pageblock(w->m, 8, GW_MT_UNMOVABLE), 0);
	world_draw(w, 0, "m.......u.......mm......mmm.....uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu");
	world_ready(w);
	assert_int_equal(run(w, PB, 1).migrate.succeeded, 1);
	assert_true(world_all(w, 9, 7, '.'));
	assert_int_equal(world_count(w, 24, 8, 'm'), 4);
	world_destroy(w);
}

/* A region larger than a pageblock, and one smaller. */
static void
regions_have_the_order_asked_for(void **state)
{
	static const char text[] = "mm......m.......m......m....mmmm"
				   "uuuuuuuu....u...u.......uuuuuuuu";
	struct world *w = draw(text);

	(void)state;
	assert_int_equal(run(w, PB + 1, 1).migrate.succeeded, 3); /* frames 0 .. 15 */
	assert_true(world_all(w, 0, 16, '.'));
	world_destroy(w);

	w = draw("mm.mm.mmm.m.mmmm...m....mm.mm.mm"
		 "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu");
	assert_int_equal(gw_zone_available(w->m, 0, 2), 1);
	assert_int_equal(run(w, 2, 2).migrate.succeeded, 1); /* the page in frame 19 */
	assert_true(world_all(w, 16, 8, '.'));
	world_destroy(w);
}

/* FACTS 2.1: large pages move whole where a block is, else in pieces; if they cannot, the region
 * stays and the next cheapest is emptied instead. */
static void
large_pages(void **state)
{
	static const char text[] = "2---...."
				   "mmmmm..."
				   "u.u.u.u."
				   "u.u.u.u."
				   "u.u.u.u."
				   "uuuuuuuu"
				   "uuuuuuuu";

	(void)state;
	for (int roomy = 0; roomy < 2; roomy++) {
		for (int refuse = 0; refuse < 2; refuse++) {
			struct world *w = world_create(FRAMES, PB, PB + 1, 1, NULL);
			struct gw_compact_stats stats;

			world_draw(w, 0, text);
			world_draw(w, 56, roomy ? "uuuu...." : "uuuuuuuu");
			world_ready(w);
			w->refuse_split = refuse;
			stats = run(w, PB, 1);
			assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
			assert_int_equal(stats.migrate.succeeded, refuse && !roomy ? 5 : 4);
			assert_int_equal(w->splits, refuse || roomy ? 0 : 1);
			world_destroy(w);
		}
	}
}

/* E1: a page finds no target in the region that it is to leave. */
static void
sources_are_no_targets(void **state)
{
	struct world *w = world_create(FRAMES, PB, PB + 1, 1, NULL);
	struct gw_compact_stats stats;

	(void)state;
	world_draw(w, 0, "m.......");
	world_draw(w, 8, "2---....");
	world_draw(w, 16, "mmmmm...u.u.u.u.u.u.u.u.u.u.u.u.uuuuuuuuuuuuuuuu");
	world_ready(w);
	w->refuse_split = true;
	stats = run(w, PB, 2);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate.succeeded, 1 + 5);
	assert_true(world_all(w, 8, 4, 'm'));
	world_destroy(w);
}

/* Large pages go first: where one cannot, nothing was moved in vain. */
static void
large_pages_go_first(void **state)
{
	struct world *w = world_create(FRAMES, PB, PB + 1, 1, NULL);
	struct gw_compact_stats stats;

	(void)state;
	world_draw(w, 0, "m...2---");
	world_draw(w, 8, "mmmmmm..u.u.u.u.u.u.u.u.u.u.u.u.uuuuuuuuuuuuuuuuuuuuuuuu");
	world_ready(w);
	w->refuse_split = true;
	stats = run(w, PB, 1);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate.succeeded, 6);
	world_destroy(w);
}

/* E2: a region with a page that cannot be isolated is not touched; the next one is taken. */
static void
pinned_pages_are_left(void **state)
{
	struct world *w = draw("m......."
			       "mm......"
			       "mmm....."
			       "u......."
			       "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu");
	struct gw_compact_stats stats;

	(void)state;
	gw_get_page(w->m, 0);
	stats = run(w, PB, 1);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate.succeeded, 2);
	assert_int_equal(world_letter(w, 0), 'm');
	gw_put_page(w->m, 0);
	world_destroy(w);
}

/* FACTS 2.1, D17: room for two blocks or nothing is begun; and targets leave the low watermark. */
static void
watermark_is_obeyed(void **state)
{
	(void)state;
	for (int roomy = 0; roomy < 2; roomy++) {
		const struct gw_zone_config zone = {.wmark_min = roomy ? 10 : 20,
			.wmark_low = 30,
			.wmark_high = 40,
			.pcp_batch = 8,
			.pcp_high = 1000};
		struct world *w = world_create(FRAMES, PB, PB + 1, 1, &zone);
		struct gw_compact_stats stats;

		world_draw(
			w, 0, "mmmm....mmmm....mmmm....mmmm....mmmm....u.u.u.u.u.u.u.u.u.u.u.u.");
		world_ready(w); /* 32 free: two may be taken */
		stats = run(w, PB, 5);
		assert_int_equal(stats.result, roomy ? GW_COMPACT_CONTENDED : GW_COMPACT_SKIPPED);
		assert_int_equal(stats.migrate.succeeded, roomy ? 2 : 0);
		world_destroy(w);
	}
}

/* Frames on this CPU's lists cost nothing: they are drained. */
static void
cpu_lists_cost_nothing(void **state)
{
	struct world *w = draw("pppp...."
			       "mm......"
			       "mmm....."
			       "u......."
			       "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu");
	struct gw_compact_stats stats;

	(void)state;
	stats = run(w, PB, 1);
	assert_int_equal(stats.result, GW_COMPACT_SUCCESS);
	assert_int_equal(stats.migrate.succeeded, 0);
	assert_int_equal(stats.blocks_freed, 1);
	world_destroy(w);
}

/* Zones that begin and end inside a pageblock, and holes: nothing outside is touched. */
static void
zone_edges(void **state)
{
	struct gw_zone_config zone = {.start = 3};
	struct world *w = world_create(FRAMES - 5, PB, PB + 1, 1, &zone);
	struct gw_compact_stats stats;

	(void)state;
	world_draw(w, 3, "m....mm......mhhhh....u.......mmm.....mm.....uu...u....");
	world_ready(w);
	stats = run(w, -1, 0);
	assert_int_equal(stats.result, GW_COMPACT_COMPLETE);
	assert_int_equal(world_letter(w, 3), 'm'); /* its pageblock begins before the zone */
	world_destroy(w);
}

struct failing {
	unsigned countdown;
};

static void *
fail_nth_alloc(void *ctx, size_t bytes)
{
	struct fixture *f = ctx;
	struct failing *failing = ((struct world *)f->user)->extra;
	void *p;

	if (failing->countdown-- == 0)
		return NULL;
	p = calloc(1, bytes);
	if (p)
		gw_u64_add_relaxed(&f->live_bytes, bytes);
	return p;
}

/* Without memory for its tables the planner does nothing: SKIPPED, whichever table it is. */
static void
failed_allocation_is_harmless(void **state)
{
	const struct gw_compact_request request = evacuate_request(PB, 1);
	unsigned n = 0;
	enum gw_compact_result result;

	(void)state;
	do {
		struct world *w = draw("m......."
				       "mm......"
				       "mmm....."
				       "u......."
				       "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu");
		struct failing failing = {n};
		const struct gw_machine_ops *ops = w->m->ops;
		struct gw_machine_ops scarce = *ops;

		scarce.alloc = fail_nth_alloc;
		w->extra = &failing;
		w->m->ops = &scarce;
		result = gw_compact_zone(w->m, 0, &request, NULL);
		w->m->ops = ops;
		assert_int_equal(world_letter(w, 0), result == GW_COMPACT_SKIPPED ? 'm' : '.');
		world_destroy(w);
		n++;
	} while (result == GW_COMPACT_SKIPPED && n < 10);
	assert_int_equal(result, GW_COMPACT_SUCCESS);
	assert_int_equal(n, 4); /* three tables */
}

static struct world *
quarter_filled(uint64_t *random, unsigned blocks)
{
	struct world *w = world_create(blocks * 512, 9, 10, 1, NULL);

	for (gw_pfn_t pfn = 0; pfn < blocks * 512; pfn++)
		world_draw(w, pfn, test_random(random) % 4 ? "." : "m");
	world_ready(w);
	return w;
}

/* DESIGN 11: at most 110 pages moved per huge page where a quarter is in use, evenly, and fewer
 * than the scanners move. */
static void
beats_the_scanners(void **state)
{
	enum { BLOCKS_TOTAL = 400, COUNT = 10 };
	uint64_t random = test_seed(), other = random;
	struct world *w = quarter_filled(&random, BLOCKS_TOTAL);
	struct gw_compact_request request = whole_zone_request();
	struct gw_compact_stats evacuate, scanners;

	(void)state;
	evacuate = run(w, 9, COUNT);
	assert_int_equal(evacuate.result, GW_COMPACT_SUCCESS);
	assert_int_equal(evacuate.blocks_freed, COUNT);
	assert_int_equal(gw_zone_available(w->m, 0, 9), COUNT);
	world_destroy(w);

	w = quarter_filled(&other, BLOCKS_TOTAL);
	request.order = 9;
	request.count = COUNT;
	gw_compact_zone(w->m, 0, &request, &scanners);
	assert_int_equal(scanners.result, GW_COMPACT_SUCCESS);
	world_destroy(w);
	print_message("# pages moved per huge page: evacuate %.1f, scanners %.1f\n",
		(double)evacuate.migrate.succeeded / COUNT,
		(double)scanners.migrate.succeeded / COUNT);
	assert_true(evacuate.migrate.succeeded <= 110 * COUNT);
	assert_true(evacuate.migrate.succeeded < scanners.migrate.succeeded);
}

/* Both planners take unevictable pages only where compact_unevictable_allowed (FACTS 2.1). */
static void
unevictable_pages_if_allowed(void **state)
{
	(void)state;
	for (unsigned planner = 0; planner < 2; planner++) {
		struct world *w = world_create(80, 4, 5, 1, NULL);
		struct gw_compact_request request = whole_zone_request();

		world_movable(w, 0, 0, GW_LRU_UNEVICTABLE);
		world_draw(w, 1, "...............");
		world_fill(w, 16, 32, 'u');
		world_draw(w, 48, "u...............");
		world_draw(w, 64, "u...............");
		world_ready(w);
		request.planner = planner ? GW_PLANNER_EVACUATE : GW_PLANNER_SCANNERS;
		if (planner)
			request.order = 4;
		w->m->config.compact_unevictable_allowed = false;
		gw_compact_zone(w->m, 0, &request, NULL);
		assert_int_equal(world_letter(w, 0), 'm');
		w->m->config.compact_unevictable_allowed = true;
		gw_compact_zone(w->m, 0, &request, NULL);
		assert_int_not_equal(world_letter(w, 0), 'm');
		world_destroy(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unevictable_pages_if_allowed),
		cmocka_unit_test(moves_are_the_fewest),
		cmocka_unit_test(targets_from_the_hopeless),
		cmocka_unit_test(foreign_pageblocks_take_nothing),
		cmocka_unit_test(regions_have_the_order_asked_for),
		cmocka_unit_test(large_pages),
		cmocka_unit_test(sources_are_no_targets),
		cmocka_unit_test(large_pages_go_first),
		cmocka_unit_test(pinned_pages_are_left),
		cmocka_unit_test(watermark_is_obeyed),
		cmocka_unit_test(cpu_lists_cost_nothing),
		cmocka_unit_test(zone_edges),
		cmocka_unit_test(failed_allocation_is_harmless),
		cmocka_unit_test(beats_the_scanners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
