/* SPDX-License-Identifier: MIT */
/*
 * test_evacuate_one.c - the second planner for an allocation that waits: it gets what it empties,
 * and nothing stays isolated (DESIGN 7; FACTS 2.1 on page capture, 2.2 on isolation).
 *
 * The page in the cheapest region sees when it is to be isolated, and meddles then.
 */
#include "compact_fixture.h"

#include <errno.h>

#define PB	  4
#define PB_FRAMES 16
#define BLOCKED	  12 /* pageblocks that only give room for copies */
#define FRAMES	  ((BLOCKED + 2) * PB_FRAMES)
#define CHEAP	  (BLOCKED * PB_FRAMES) /* the cheapest region of each order above 1 begins here */
#define SECOND	  (CHEAP + PB_FRAMES)	/* the next cheapest of order PB */

enum meddling {
	NOTHING,
	REFUSES,     /* the page does not let itself be isolated */
	STAYS,	     /* -EAGAIN for ever */
	NO_TARGET,   /* memory gets short: no copies any more */
	NOBODY_ELSE, /* memory gets short: nobody may take what is free */
	INTERRUPTED, /* and refused */
	GREED,	     /* somebody takes every free frame */
	MEDDLINGS
};

struct meddler {
	enum meddling what;
	unsigned isolated; /* times the page was asked while its pageblock was ISOLATE */
	gw_pfn_t stolen[FRAMES];
	unsigned n_stolen;
};

static struct meddler *
meddler_of(struct gw_machine *m)
{
	return ((struct world *)fixture_of(m)->user)->extra;
}

static bool
meddle(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	struct meddler *me = meddler_of(m);

	(void)mode;
	me->isolated += gw_pageblock_type(m, page) == GW_MT_ISOLATE;
	if (me->what == NO_TARGET)
		gw_u64_store_relaxed(&m->zones[0].wmark[GW_WMARK_LOW], 1u << 20);
	if (me->what == NOBODY_ELSE)
		gw_u64_store_relaxed(&m->zones[0].wmark[GW_WMARK_MIN], 1u << 20);
	if (me->what == INTERRUPTED)
		gw_task_interrupt(gw_current());
	return me->what != REFUSES && me->what != INTERRUPTED;
}

/* Its copy has a place already. */
static int
move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct meddler *me = meddler_of(m);

	if (me->what == STAYS)
		return -EAGAIN;
	while (me->what == GREED && me->n_stolen < FRAMES &&
		!gw_alloc_from_zonelist(
			m, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN, &me->stolen[me->n_stolen]))
		me->n_stolen++;
	return world_move(m, dst, src, mode);
}

static const struct gw_movable_ops meddling_ops = {
	.isolate = meddle, .migrate = move, .split = world_split};

static const struct gw_compact_request one_block = {
	.planner = GW_PLANNER_EVACUATE,
	.order = PB,
	.mode = GW_MIGRATE_SYNC,
	.migratetype = GW_MT_MOVABLE,
	.direct = true,
};

static struct world *
one_cheap_region(struct meddler *me)
{
	struct world *w = world_create(FRAMES, PB, PB + 1, 2, NULL);

	for (unsigned b = 0; b < BLOCKED; b++)
		world_draw(w, b * PB_FRAMES, "um.um.um.um.um.u");
	world_draw(w, CHEAP, "m...mm..mm..mm..");
	world_draw(w, SECOND, "mm..mm..mm..mm..");
	world_ready(w);
	gw_page_set_movable(w->m, CHEAP, &meddling_ops, gw_page_index(w->m, CHEAP));
	w->extra = me;
	assert_int_equal(gw_compact_set_direct(w->m, GW_DIRECT_EVACUATE), 0);
	return w;
}

/* What the meddler has done to others is over. */
static void
calm(struct world *w, struct meddler *me)
{
	gw_u64_store_relaxed(&w->m->zones[0].wmark[GW_WMARK_LOW], 0);
	gw_u64_store_relaxed(&w->m->zones[0].wmark[GW_WMARK_MIN], 0);
	gw_task_clear_interrupt(gw_current());
	while (me->n_stolen > 0)
		gw_put_page(w->m, me->stolen[--me->n_stolen]);
}

static void
nothing_is_isolated(struct world *w)
{
	struct gw_zone_info info;

	for (gw_pfn_t pfn = 0; pfn < w->f->n_frames; pfn += PB_FRAMES)
		assert_int_equal(gw_pageblock_type(w->m, pfn), GW_MT_MOVABLE);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	for (unsigned o = 0; o < info.n_orders; o++)
		assert_int_equal(info.free_by_type[GW_MT_ISOLATE][o], 0);
}

/* FACTS 2.2: somebody who takes every free frame there is while a region is emptied gets none of
 * it. */
static void
others_get_nothing_of_it(void **state)
{
	(void)state;
	for (unsigned order = 2; order <= PB + 1; order++) {
		struct meddler me = {.what = GREED};
		struct world *w = one_cheap_region(&me);
		gw_pfn_t page;

		assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, order, &page), 0);
		assert_int_equal(page, CHEAP);
		assert_true(me.isolated > 0);
		assert_true(me.n_stolen > BLOCKED);
		for (unsigned i = 0; i < me.n_stolen; i++)
			assert_false(me.stolen[i] >= CHEAP && me.stolen[i] < CHEAP + (1u << order));
		calm(w, &me);
		nothing_is_isolated(w);
		gw_put_page(w->m, page);
		world_destroy(w);
	}
}

/* FACTS 2.1: the block is the allocation's before it is on any free list, from which nobody may
 * take anything here; but no piece of a movable pageblock for what never moves. */
static void
what_it_empties_is_captured(void **state)
{
	(void)state;
	for (unsigned order = 2; order <= PB + 1; order++) {
		for (int movable = 0; movable < 2; movable++) {
			struct meddler me = {.what = NOBODY_ELSE};
			struct world *w = one_cheap_region(&me);
			gw_gfp_t gfp = GW_GFP_KERNEL | (movable ? GW_GFP_MOVABLE : 0);
			bool refused = !movable && order < PB;
			gw_pfn_t page;

			assert_int_equal(
				gw_alloc_pages(w->m, gfp, 0, order, &page), refused ? -ENOMEM : 0);
			assert_null(gw_current()->capture);
			nothing_is_isolated(w);
			calm(w, &me);
			if (refused) {
				assert_true(world_all(w, CHEAP, 1u << order, '.'));
			} else {
				assert_int_equal(page, CHEAP);
				gw_put_page(w->m, page);
			}
			world_destroy(w);
		}
	}
}

/* What an allocation of order PB gets. */
static gw_pfn_t
outcome(enum meddling what)
{
	switch (what) {
	case REFUSES:
	case STAYS:
		return SECOND; /* what does not let itself be emptied is not tried for ever */
	case NO_TARGET:
	case INTERRUPTED:
		return GW_PFN_NONE;
	default:
		return CHEAP;
	}
}

/* N1: however emptying a region ends, no pageblock stays isolated: in the hands of the allocation,
 * with a page that stays, without room, interrupted. */
static void
nothing_stays_isolated(void **state)
{
	(void)state;
	for (enum meddling what = 0; what < MEDDLINGS; what++) {
		for (unsigned order = 2; order <= PB + 1; order++) {
			struct meddler me = {.what = what};
			struct world *w = one_cheap_region(&me);
			gw_pfn_t page;
			int err = gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, order, &page);

			assert_true(me.isolated > 0);
			nothing_is_isolated(w);
			if (order == PB)
				assert_int_equal(err ? GW_PFN_NONE : page, outcome(what));
			calm(w, &me);
			if (!err)
				gw_put_page(w->m, page);
			world_destroy(w);
		}
	}
}

/* N1: nor when nobody waits for the block, in any mode: it is free then. A run ends CONTENDED when
 * others have used up the room, or its task is interrupted. */
static void
nothing_stays_isolated_without_capture(void **state)
{
	(void)state;
	for (enum meddling what = 0; what < MEDDLINGS; what++) {
		for (unsigned mode = GW_MIGRATE_ASYNC; mode <= GW_MIGRATE_SYNC; mode++) {
			struct meddler me = {.what = what};
			struct world *w = one_cheap_region(&me);
			struct gw_compact_request request = one_block;
			struct gw_compact_stats stats;
			bool gained = outcome(what) != GW_PFN_NONE;

			request.mode = (enum gw_migrate_mode)mode;
			gw_compact_zone(w->m, 0, &request, &stats);
			assert_int_equal(
				stats.result, gained ? GW_COMPACT_SUCCESS : GW_COMPACT_CONTENDED);
			assert_true(me.isolated > 0);
			nothing_is_isolated(w);
			calm(w, &me);
			assert_int_equal(stats.blocks_freed, gained);
			assert_int_equal(gw_zone_available(w->m, 0, PB), gained);
			world_destroy(w);
		}
	}
}

/* FACTS 2.2: a pageblock that somebody else has isolated is his: it is left alone, and isolated. */
static void
others_isolation_is_respected(void **state)
{
	struct meddler me = {.what = NOTHING};
	struct world *w = one_cheap_region(&me);
	struct gw_zone *zone = &w->m->zones[0];
	gw_pfn_t page;

	(void)state;
	gw_spin_lock(&zone->lock);
	gw_pageblock_isolate(zone, CHEAP);
	gw_spin_unlock(&zone->lock);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &page), 0);
	assert_int_equal(page, SECOND);
	assert_int_equal(me.isolated, 0);
	assert_int_equal(gw_pageblock_type(w->m, CHEAP), GW_MT_ISOLATE);
	gw_spin_lock(&zone->lock);
	gw_pageblock_unisolate(zone, CHEAP);
	gw_spin_unlock(&zone->lock);
	nothing_is_isolated(w);
	gw_put_page(w->m, page);
	world_destroy(w);
}

/* D17: nothing is begun without room for two blocks above the low watermark. */
static void
not_without_room(void **state)
{
	struct meddler me = {.what = NOTHING};
	struct world *w = one_cheap_region(&me);
	uint64_t free = gw_u64_load_relaxed(&w->m->zones[0].nr_free);

	(void)state;
	gw_u64_store_relaxed(&w->m->zones[0].wmark[GW_WMARK_LOW], free - 2 * PB_FRAMES);
	assert_int_equal(gw_compact_zone(w->m, 0, &one_block, NULL), GW_COMPACT_SKIPPED);
	assert_int_equal(me.isolated, 0);
	gw_u64_store_relaxed(&w->m->zones[0].wmark[GW_WMARK_LOW], free - 2 * PB_FRAMES - 1);
	assert_int_equal(gw_compact_zone(w->m, 0, &one_block, NULL), GW_COMPACT_SUCCESS);
	world_destroy(w);
}

/* Regions that do not let themselves be emptied are tried by cost, each once. */
static void
dearer_regions_are_tried_in_turn(void **state)
{
	struct meddler me = {.what = REFUSES};
	struct world *w = world_create(FRAMES + 2 * PB_FRAMES, PB, PB + 1, 1, NULL);
	gw_pfn_t page;

	(void)state;
	for (unsigned b = 0; b < BLOCKED; b++)
		world_draw(w, b * PB_FRAMES, "um.um.um.um.um.u");
	world_draw(w, CHEAP, "mm..mm..mm..mm..mm..m...........mm..mm..mm..mm..m...............");
	world_ready(w);
	for (unsigned b = 0; b < 4; b++)
		if (b != 2)
			gw_page_set_movable(w->m, CHEAP + b * PB_FRAMES, &meddling_ops,
				gw_page_index(w->m, CHEAP + b * PB_FRAMES));
	w->extra = &me;
	assert_int_equal(gw_compact_set_direct(w->m, GW_DIRECT_EVACUATE), 0);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &page), 0);
	assert_int_equal(page, CHEAP + 2 * PB_FRAMES);
	assert_int_equal(me.isolated, 3);
	nothing_is_isolated(w);
	gw_put_page(w->m, page);
	world_destroy(w);
}

/* What a region holds that cannot leave, or that it is kept for others, is seen before it is tried:
 * as many such regions as would be tried of a window, and the next in cost is had. */
static void
hopeless_regions_are_left_alone(void **state)
{
	static const struct {
		const char *text;
		bool pinned;
		enum gw_migratetype type;
	} cases[] = {
		{"mu..............", false, GW_MT_MOVABLE},
		{"4---------------", false, GW_MT_MOVABLE},
		{"m...............", true, GW_MT_MOVABLE},
		{"m...............", false, GW_MT_CMA},
		{"m...............", false, GW_MT_HIGHATOMIC},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_create(FRAMES + 4 * PB_FRAMES, PB, PB + 1, 1, NULL);
		gw_pfn_t end = CHEAP + 5 * PB_FRAMES;

		for (gw_pfn_t pfn = CHEAP; pfn < end; pfn += PB_FRAMES)
			assert_int_equal(gw_seed_pageblock(w->m, pfn, cases[i].type), 0);
		for (unsigned b = 0; b < BLOCKED; b++)
			world_draw(w, b * PB_FRAMES, "um.um.um.um.um.u");
		for (gw_pfn_t pfn = CHEAP; pfn < end; pfn += PB_FRAMES)
			world_draw(w, pfn, cases[i].text);
		world_draw(w, end, "mm..mm..mm..mm..");
		world_ready(w);
		for (gw_pfn_t pfn = CHEAP; pfn < end && cases[i].pinned; pfn += PB_FRAMES)
			gw_get_page(w->m, pfn);
		assert_int_equal(gw_compact_zone(w->m, 0, &one_block, NULL), GW_COMPACT_SUCCESS);
		assert_true(world_all(w, end, PB_FRAMES, '.'));
		assert_int_equal(gw_machine_count(w->m, GW_VM_PGMIGRATE_SUCCESS), 8);
		for (gw_pfn_t pfn = CHEAP; pfn < end; pfn += PB_FRAMES) {
			assert_int_equal(world_letter(w, pfn), 'm');
			if (cases[i].pinned)
				gw_put_page(w->m, pfn);
		}
		world_destroy(w);
	}
}

/* ---- windows ---- */

#define WINDOW	8192u
#define WINDOWS 10u

/* Nothing but unmovable pages, but for room at the end, and what the test draws. */
static struct world *
ten_windows(void)
{
	struct world *w = world_create(WINDOWS * WINDOW, PB, PB + 1, 1, NULL);

	for (gw_pfn_t pfn = 0; pfn < WINDOWS * WINDOW; pfn += PB_FRAMES)
		if (pfn >= (WINDOWS - 1) * WINDOW + WINDOW / 2)
			world_draw(w, pfn, "u.u.u.u.u.u.u.u.");
	return w;
}

static void
rest_is_used(struct world *w)
{
	for (gw_pfn_t pfn = 0; pfn < WINDOWS * WINDOW; pfn++)
		if (world_letter(w, pfn) == 'h')
			world_draw(w, pfn, "u");
	world_ready(w);
}

static gw_pfn_t
block_by_evacuation(struct world *w)
{
	gw_pfn_t page;

	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &page), 0);
	return page;
}

/* A run empties the cheapest region of its window, and the next run looks at the next window:
 * whoever allocates need not wait for a look at all of the zone. */
static void
one_window_after_the_other(void **state)
{
	struct world *w = ten_windows();
	gw_pfn_t pages[3];

	(void)state;
	world_draw(w, 5 * PB_FRAMES, "mmm.............");
	world_draw(w, 9 * PB_FRAMES, "mm..............");
	world_draw(w, WINDOW, "m...............");
	rest_is_used(w);
	assert_int_equal(gw_compact_set_direct(w->m, GW_DIRECT_EVACUATE), 0);
	pages[0] = block_by_evacuation(w);
	assert_int_equal(pages[0], 9 * PB_FRAMES);
	assert_true(gw_machine_count(w->m, GW_VM_COMPACT_MIGRATE_SCANNED) < 2 * WINDOW);
	pages[1] = block_by_evacuation(w);
	assert_int_equal(pages[1], WINDOW);
	pages[2] = block_by_evacuation(w); /* once round */
	assert_int_equal(pages[2], 5 * PB_FRAMES);
	for (unsigned i = 0; i < 3; i++)
		gw_put_page(w->m, pages[i]);
	world_destroy(w);
}

/* An ASYNC run gives up after eight windows, and says so; one that may wait looks at all. */
static void
async_runs_look_at_less(void **state)
{
	struct gw_compact_request request = one_block;

	(void)state;
	for (int sync = 0; sync < 2; sync++) {
		struct world *w = ten_windows();
		bool first;

		world_draw(w, 8 * WINDOW, "mm..............");
		rest_is_used(w);
		request.mode = sync ? GW_MIGRATE_SYNC_LIGHT : GW_MIGRATE_ASYNC;
		assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL),
			sync ? GW_COMPACT_SUCCESS : GW_COMPACT_PARTIAL_SKIPPED);
		first = gw_zone_available(w->m, 0, PB) == 1;
		assert_int_equal(first, sync);
		assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_SUCCESS);
		assert_int_equal(gw_zone_available(w->m, 0, PB), 1);
		request.mode = GW_MIGRATE_SYNC_LIGHT;
		request.order = PB + 1; /* not to be had */
		assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_COMPLETE);
		request.order = PB;
		world_destroy(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_get_nothing_of_it),
		cmocka_unit_test(what_it_empties_is_captured),
		cmocka_unit_test(nothing_stays_isolated),
		cmocka_unit_test(nothing_stays_isolated_without_capture),
		cmocka_unit_test(others_isolation_is_respected),
		cmocka_unit_test(not_without_room),
		cmocka_unit_test(dearer_regions_are_tried_in_turn),
		cmocka_unit_test(hopeless_regions_are_left_alone),
		cmocka_unit_test(one_window_after_the_other),
		cmocka_unit_test(async_runs_look_at_less),
	};

	return cmocka_run_group_tests_name("evacuate_one", tests, NULL, NULL);
}
