/* SPDX-License-Identifier: MIT */
/*
 * test_contig.c - isolated pageblocks, given ranges and CMA (FACTS 2.1, 2.2; part 4 row 16).
 */
#include "compact_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "engine/compact/range.h"
#include "godwit/task.h"

#define PB    4
#define BLOCK ((gw_pfn_t)1 << PB)

static void
isolate_block(struct world *w, gw_pfn_t pfn, bool isolated)
{
	struct gw_zone *zone = &w->m->zones[0];

	gw_spin_lock(&zone->lock);
	if (isolated)
		gw_pageblock_isolate(zone, pfn);
	else
		gw_pageblock_unisolate(zone, pfn);
	gw_spin_unlock(&zone->lock);
}

/* ---- isolation ---- */

/* FACTS 2.2: isolation is a mark beside the type, which is there again afterwards; its free pages
 * count for nobody meanwhile, and a free block that reaches out of the pageblock is split. */
static void
isolation_keeps_the_type(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);

	(void)state;
	world_fill(w, 0, 4 * BLOCK, '.');
	world_ready(w);
	for (unsigned t = 0; t < GW_MT_ISOLATE; t++) {
		struct gw_zone *zone = &w->m->zones[0];
		struct gw_zone_info before;

		gw_spin_lock(&zone->lock);
		gw_pageblock_retype(zone, BLOCK, (enum gw_migratetype)t);
		gw_spin_unlock(&zone->lock);
		before = fixture_zone(w->f, 0);
		isolate_block(w, BLOCK, true);
		assert_int_equal(gw_pageblock_type(w->m, BLOCK), GW_MT_ISOLATE);
		assert_int_equal(fixture_zone(w->f, 0).free, before.free - BLOCK);
		assert_int_equal(fixture_zone(w->f, 0).free_by_type[GW_MT_ISOLATE][PB], 1);
		assert_int_equal(fixture_zone(w->f, 0).pageblocks[GW_MT_ISOLATE], 1);
		fixture_check(w->f);
		isolate_block(w, BLOCK, false);
		assert_int_equal(gw_pageblock_type(w->m, BLOCK), t);
		assert_int_equal(fixture_zone(w->f, 0).free, before.free);
		assert_memory_equal(fixture_zone(w->f, 0).pageblocks, before.pageblocks,
			sizeof(before.pageblocks));
		fixture_check(w->f);
	}
	world_destroy(w);
}

static struct gw_range
range_of(struct world *w, gw_pfn_t start, gw_pfn_t end, struct gw_obstacle *why)
{
	struct gw_range r = {.type = GW_MT_MOVABLE, .why = why};

	assert_int_equal(gw_range_init(&r, w->m, start, end), 0);
	return r;
}

/* FACTS 2.2: nothing of an isolated pageblock can be allocated: not what is free, not what stood on
 * a per-CPU list, not what is freed later. */
static void
isolated_pages_are_not_handed_out(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;
	struct gw_range r;
	gw_pfn_t pfn, used;

	(void)state;
	world_draw(w, 0, "m.............pp");
	world_fill(w, BLOCK, 3 * BLOCK, '.');
	world_ready(w);
	used = 0;
	r = range_of(w, 0, BLOCK, &why);
	assert_int_equal(gw_range_isolate(&r), 0);
	assert_int_equal(world_count(w, 0, BLOCK, 'p'), 0);
	gw_page_set_movable(w->m, used, NULL, 0);
	gw_put_page(w->m, used); /* freed now: not to a per-CPU list */
	w->frames[1] = 0;
	assert_int_equal(world_count(w, 0, BLOCK, '.'), BLOCK);
	for (unsigned i = 0; i < 3 * BLOCK; i++) {
		assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &pfn), 0);
		assert_true(pfn >= BLOCK);
	}
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &pfn), -ENOMEM);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_KERNEL, 0, 0, &pfn), -ENOMEM);
	gw_range_unisolate(&r);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &pfn), 0);
	assert_true(pfn < BLOCK);
	gw_put_page(w->m, pfn);
	gw_free_contig(w->m, BLOCK, 3 * BLOCK);
	world_destroy(w);
}

static void
no_target(bool direct)
{
	struct world *w = world_create(8 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_compact_request request = whole_zone_request();

	world_draw(w, 0, "mm..............");
	for (gw_pfn_t b = 1; b < 8; b++)
		world_draw(w, b * BLOCK, "u...............");
	world_ready(w);
	isolate_block(w, 7 * BLOCK, true);
	request.direct = direct;
	request.order = direct ? PB : -1;
	gw_compact_zone(w->m, 0, &request, NULL);
	assert_int_equal(w->moves, 2);
	assert_int_equal(world_count(w, 6 * BLOCK, BLOCK, 'm'), 2);
	isolate_block(w, 7 * BLOCK, false);
	world_destroy(w);
}

/* FACTS 2.2, D10: compaction does not fill a pageblock that somebody empties, not even in an
 * allocation's last and most thorough try. */
static void
isolated_pageblocks_are_no_targets(void **state)
{
	(void)state;
	no_target(false);
	no_target(true);
}

/* FACTS 2.2: a pageblock with an unmovable page is refused, the page named, and the pageblocks
 * before it are what they were. */
static void
unmovable_page_is_named(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;

	(void)state;
	world_draw(w, 0, "mm..............");
	world_draw(w, BLOCK, "................");
	world_draw(w, 2 * BLOCK, "..mm.u.........u");
	world_draw(w, 3 * BLOCK, "h...............");
	world_ready(w);
	assert_int_equal(gw_alloc_contig(w->m, 0, 3 * BLOCK, GW_MT_MOVABLE, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_UNMOVABLE);
	assert_int_equal(why.pfn, 2 * BLOCK + 5);
	assert_int_equal(gw_alloc_contig(w->m, BLOCK, 4 * BLOCK, GW_MT_MOVABLE, NULL), -EBUSY);
	assert_int_equal(gw_alloc_contig(w->m, 3 * BLOCK, 4 * BLOCK, GW_MT_MOVABLE, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_RESERVED);
	assert_int_equal(fixture_zone(w->f, 0).pageblocks[GW_MT_ISOLATE], 0);
	assert_int_equal(w->moves, 0);
	assert_string_equal(gw_obstacle_name(why.why), "reserved");
	world_destroy(w);
}

/* A pageblock that somebody else has isolated is his. */
static void
isolated_twice(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;

	(void)state;
	world_fill(w, 0, 4 * BLOCK, '.');
	world_ready(w);
	isolate_block(w, BLOCK, true);
	assert_int_equal(gw_alloc_contig(w->m, 0, 2 * BLOCK, GW_MT_MOVABLE, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_ISOLATED);
	assert_int_equal(gw_pageblock_type(w->m, 0), GW_MT_MOVABLE);
	assert_int_equal(gw_pageblock_type(w->m, BLOCK), GW_MT_ISOLATE);
	isolate_block(w, BLOCK, false);
	world_destroy(w);
}

/* ---- ranges ---- */

/* FACTS 2.1: the pages in the range move out of it, the range is single pages with one reference
 * each, and what its pageblocks have beyond its edges is free, of the type it was. */
static void
range_is_emptied_and_taken(void **state)
{
	struct world *w = world_create(6 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_frame_info frame;

	(void)state;
	world_draw(w, 0, "..m.am.f........");
	world_draw(w, BLOCK, "2---..1-.m......");
	world_fill(w, 2 * BLOCK, 4 * BLOCK, '.');
	world_ready(w);
	assert_int_equal(gw_alloc_contig(w->m, 5, 27, GW_MT_MOVABLE, NULL), 0);
	assert_true(world_all(w, 5, 22, 'u'));
	assert_int_equal(world_letter(w, 2), 'm'); /* outside: stays */
	assert_int_equal(world_letter(w, 4), 'm');
	assert_true(world_all(w, 27, 5, '.'));
	assert_int_equal(gw_pageblock_type(w->m, 0), GW_MT_MOVABLE);
	assert_int_equal(gw_frame_info(w->m, 26, &frame), 0);
	assert_int_equal(frame.refcount, 1);
	assert_int_equal(frame.order, 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_PGMIGRATE_SUCCESS), 9);
	world_check(w);
	gw_free_contig(w->m, 5, 22);
	gw_drain_all_pages(w->m);
	assert_true(world_all(w, 5, 27, '.'));
	world_destroy(w);
}

/* A page that reaches into the range moves as a whole. */
static void
pages_over_the_edge_move_whole(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);

	(void)state;
	world_draw(w, 0, "3-------........");
	world_fill(w, BLOCK, 3 * BLOCK, '.');
	world_ready(w);
	assert_int_equal(gw_alloc_contig(w->m, 4, 12, GW_MT_MOVABLE, NULL), 0);
	assert_true(world_all(w, 4, 8, 'u'));
	assert_true(world_all(w, 0, 4, '.'));
	gw_free_contig(w->m, 4, 8);
	world_destroy(w);
}

/* Part 4 row 16: a failure names the frame and says why: pinned, no room, and nothing is changed;
 * once the pin is gone it works. */
static void
failure_names_the_frame(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;
	gw_pfn_t all[2 * BLOCK];

	(void)state;
	world_draw(w, 0, "m...m...........");
	world_draw(w, BLOCK, "...m............");
	world_fill(w, 2 * BLOCK, 2 * BLOCK, '.');
	world_ready(w);
	gw_get_page(w->m, BLOCK + 3);
	assert_int_equal(gw_alloc_contig(w->m, 0, 2 * BLOCK, GW_MT_MOVABLE, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_PINNED);
	assert_int_equal(why.pfn, BLOCK + 3);
	assert_int_equal(fixture_zone(w->f, 0).pageblocks[GW_MT_ISOLATE], 0);
	world_check(w);
	gw_put_page(w->m, BLOCK + 3);

	for (unsigned i = 0; i < 2 * BLOCK - 2; i++) /* two pages have moved there already */
		all[i] = fixture_alloc(w->f, 0);
	assert_int_equal(gw_alloc_contig(w->m, 0, 2 * BLOCK, GW_MT_MOVABLE, &why), -EBUSY);
	for (unsigned i = 0; i < 2 * BLOCK - 2; i++)
		gw_put_page(w->m, all[i]);
	gw_drain_all_pages(w->m);
	assert_int_equal(gw_alloc_contig(w->m, 0, 2 * BLOCK, GW_MT_MOVABLE, &why), 0);
	gw_free_contig(w->m, 0, 2 * BLOCK);
	world_destroy(w);
}

/* Without a frame to move to, that is the reason. */
static void
no_room_is_told(void **state)
{
	struct world *w = world_create(2 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;

	(void)state;
	world_draw(w, 0, ".....m..........");
	world_fill(w, BLOCK, BLOCK, 'u');
	world_ready(w);
	assert_int_equal(gw_alloc_contig(w->m, 0, BLOCK, GW_MT_MOVABLE, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_NO_ROOM);
	assert_int_equal(why.pfn, 5);
	assert_int_equal(gw_pageblock_type(w->m, 0), GW_MT_MOVABLE);
	world_destroy(w);
}

static void
bad_ranges(void **state)
{
	struct gw_zone_config zones[] = {{.name = "a", .start = 4, .end = 40},
		{.name = "b", .start = 48, .end = 96, .node = 1}};
	struct gw_machine_config config;
	struct fixture *f;
	gw_pfn_t pfn;

	(void)state;
	gw_machine_config_init(&config);
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.n_frames = 100;
	config.zones = zones;
	config.n_zones = 2;
	f = fixture_create_config(&config);
	assert_int_equal(gw_seed_free(f->m, 4, 36), 0);
	assert_int_equal(gw_seed_free(f->m, 48, 48), 0);
	gw_seed_done(f->m);
	assert_int_equal(gw_alloc_contig(f->m, 20, 20, GW_MT_MOVABLE, NULL), -EINVAL);
	assert_int_equal(gw_alloc_contig(f->m, 90, 101, GW_MT_MOVABLE, NULL), -EINVAL);
	assert_int_equal(gw_alloc_contig(f->m, 30, 50, GW_MT_MOVABLE, NULL), -EINVAL);
	assert_int_equal(gw_alloc_contig(f->m, 20, 24, GW_MT_UNMOVABLE, NULL), -EINVAL);
	/* pageblocks that are not whole, at either end of a zone */
	assert_int_equal(gw_alloc_contig(f->m, 4, 20, GW_MT_MOVABLE, NULL), -EINVAL);
	assert_int_equal(gw_alloc_contig(f->m, 16, 40, GW_MT_MOVABLE, NULL), -EINVAL);
	assert_int_equal(gw_alloc_contig_pages(f->m, 0, 1, 0, 0, &pfn, NULL), -EINVAL);
	assert_int_equal(gw_alloc_contig_pages(f->m, 8, 3, 0, 0, &pfn, NULL), -EINVAL);
	assert_int_equal(gw_alloc_contig_pages(f->m, 8, 8, 0, 2, &pfn, NULL), -EINVAL);

	/* the first place is on the node, the next on the other one, unless it must not be */
	assert_int_equal(gw_alloc_contig_pages(f->m, 16, 16, 0, 0, &pfn, NULL), 0);
	assert_int_equal(pfn, 16);
	assert_int_equal(
		gw_alloc_contig_pages(f->m, 16, 16, GW_GFP_THISNODE, 0, &pfn, NULL), -ENOMEM);
	assert_int_equal(gw_alloc_contig_pages(f->m, 48, 16, 0, 0, &pfn, NULL), 0);
	assert_int_equal(pfn, 48);
	gw_free_contig(f->m, 16, 16);
	gw_free_contig(f->m, 48, 48);
	fixture_destroy(f);
}

/* gw_alloc_contig_pages() passes over places that are blocked, at its alignment. */
static void
first_place_that_can_be_had(void **state)
{
	struct world *w = world_create(8 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;
	gw_pfn_t pfn;

	(void)state;
	world_draw(w, 0, "................");
	world_draw(w, BLOCK, "...............u");
	world_draw(w, 2 * BLOCK, "mmm.............");
	world_draw(w, 3 * BLOCK, "....m...........");
	world_fill(w, 4 * BLOCK, 4 * BLOCK, '.');
	world_ready(w);
	assert_int_equal(gw_alloc_contig_pages(w->m, 2 * BLOCK, 8, 0, 0, &pfn, &why), 0);
	assert_int_equal(pfn, 2 * BLOCK);
	assert_int_equal(gw_machine_count(w->m, GW_VM_PGMIGRATE_SUCCESS), 4);
	gw_free_contig(w->m, pfn, 2 * BLOCK);
	assert_int_equal(gw_alloc_contig_pages(w->m, 7 * BLOCK, 1, 0, 0, &pfn, &why), -ENOMEM);
	assert_int_equal(why.why, GW_WHY_UNMOVABLE);
	assert_int_equal(why.pfn, 2 * BLOCK - 1);
	world_destroy(w);
}

/* ---- CMA ---- */

static struct world *
cma_world(void)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);

	for (unsigned b = 2; b < 4; b++)
		assert_int_equal(gw_seed_pageblock(w->m, b * BLOCK, GW_MT_CMA), 0);
	world_fill(w, 0, 4 * BLOCK, '.');
	world_ready(w);
	return w;
}

/* FACTS 2.2: movable requests go to CMA pageblocks once these hold more than half of what is free,
 * or nothing else is left; others never do. */
static void
movable_pages_use_cma(void **state)
{
	struct world *w = cma_world();
	gw_pfn_t kernel[2 * BLOCK], pfn;

	(void)state;
	for (unsigned i = 0; i < 2 * BLOCK; i++) {
		assert_int_equal(gw_alloc_pages(w->m, GW_GFP_KERNEL, 0, 0, &kernel[i]), 0);
		assert_true(kernel[i] < 2 * BLOCK);
	}
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_KERNEL, 0, 0, &pfn), -ENOMEM);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &pfn), 0);
	assert_true(pfn >= 2 * BLOCK);
	gw_put_page(w->m, pfn);
	for (unsigned i = 0; i < 2 * BLOCK; i++)
		gw_put_page(w->m, kernel[i]);
	gw_drain_all_pages(w->m);
	/* one page taken: 32 of 63 free frames are CMA's, more than half */
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_KERNEL, 0, 0, &kernel[0]), 0);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &pfn), 0);
	assert_true(pfn >= 2 * BLOCK);
	gw_put_page(w->m, pfn);
	gw_put_page(w->m, kernel[0]);
	world_destroy(w);
}

/* FACTS 2.1, 3.4: a CMA request gets its range out of CMA pageblocks, what lives there moves away;
 * it is counted, and so is one that fails. */
static void
cma_requests(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;
	gw_pfn_t first, second;

	(void)state;
	for (unsigned b = 2; b < 4; b++)
		assert_int_equal(gw_seed_pageblock(w->m, b * BLOCK, GW_MT_CMA), 0);
	world_fill(w, 0, 2 * BLOCK, '.');
	world_draw(w, 2 * BLOCK, "m..m...m........");
	world_draw(w, 3 * BLOCK, ".......mmm......");
	world_ready(w);
	assert_int_equal(gw_cma_alloc(w->m, 12, 4, 0, &first, &why), 0);
	assert_int_equal(first, 2 * BLOCK);
	assert_true(world_all(w, first, 12, 'u'));
	assert_int_equal(gw_pageblock_type(w->m, first), GW_MT_CMA);
	assert_int_equal(gw_cma_alloc(w->m, 20, 4, 0, &second, &why), 0);
	assert_int_equal(second, 2 * BLOCK + 12);
	assert_int_equal(gw_cma_alloc(w->m, 1, 1, 0, &second, &why), -ENOMEM);
	assert_int_equal(gw_machine_count(w->m, GW_VM_CMA_ALLOC_SUCCESS), 2);
	assert_int_equal(gw_machine_count(w->m, GW_VM_CMA_ALLOC_FAIL), 1);
	assert_int_equal(gw_alloc_contig(w->m, BLOCK, 2 * BLOCK + 1, GW_MT_CMA, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_CMA);
	gw_free_contig(w->m, 2 * BLOCK, 2 * BLOCK);
	/* others may not take CMA pageblocks, however free they are */
	assert_int_equal(gw_alloc_contig(w->m, 2 * BLOCK, 3 * BLOCK, GW_MT_MOVABLE, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_CMA);
	world_destroy(w);
}

/* ---- threads ---- */

#define FRAMES	(64 * BLOCK)
#define THREADS 3
#define HELD	24
#define TRIES	400

struct crowd {
	struct world *w;
	gw_atomic_u32 stop;
};

struct member {
	struct crowd *crowd;
	unsigned cpu;
	pthread_t thread;
	uint64_t random;
};

/* Allocate and free single frames, and write to them. */
static void *
allocate_and_free(void *arg)
{
	struct member *me = arg;
	struct world *w = me->crowd->w;
	gw_pfn_t held[HELD];
	struct gw_task task;

	for (unsigned i = 0; i < HELD; i++)
		held[i] = GW_PFN_NONE;
	assert_int_equal(gw_task_attach(&task, w->m, me->cpu), 0);
	while (!gw_u32_load_relaxed(&me->crowd->stop)) {
		unsigned i = (unsigned)(test_random(&me->random) % HELD);

		if (held[i] != GW_PFN_NONE) {
			assert_int_equal(w->f->bytes[held[i]][0], me->cpu);
			gw_put_page(w->m, held[i]);
			held[i] = GW_PFN_NONE;
		} else if (!gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &held[i])) {
			w->f->bytes[held[i]][0] = (uint8_t)me->cpu;
		}
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i] != GW_PFN_NONE)
			gw_put_page(w->m, held[i]);
	gw_task_detach(&task);
	return NULL;
}

/* FACTS 2.2: while others allocate and free, a range that was given is nobody else's, and nothing
 * is lost, whether it can be had or not. */
static void
ranges_beside_allocations(void **state)
{
	struct world *w = world_create(FRAMES, PB, PB + 1, THREADS + 1, NULL);
	struct crowd crowd = {.w = w};
	struct member members[THREADS];
	uint64_t random = test_seed();
	unsigned had = 0;

	(void)state;
	for (gw_pfn_t pfn = 0; pfn < FRAMES; pfn += BLOCK)
		world_draw(w, pfn, "m.......a.......");
	world_ready(w);
	for (unsigned i = 0; i < THREADS; i++) {
		members[i] = (struct member){.crowd = &crowd, .cpu = i + 1, .random = random + i};
		assert_int_equal(
			pthread_create(&members[i].thread, NULL, allocate_and_free, &members[i]),
			0);
	}
	for (unsigned i = 0; i < TRIES; i++) {
		gw_pfn_t n = 1 + (gw_pfn_t)(test_random(&random) % (3 * BLOCK));
		gw_pfn_t start = (gw_pfn_t)(test_random(&random) % (FRAMES - n));

		if (gw_alloc_contig(w->m, start, start + n, GW_MT_MOVABLE, NULL))
			continue;
		had++;
		for (gw_pfn_t pfn = start; pfn < start + n; pfn++)
			w->f->bytes[pfn][0] = 0xee;
		sched_yield();
		for (gw_pfn_t pfn = start; pfn < start + n; pfn++)
			assert_int_equal(w->f->bytes[pfn][0], 0xee);
		gw_free_contig(w->m, start, n);
	}
	gw_u32_store_relaxed(&crowd.stop, 1);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(members[i].thread, NULL), 0);
	print_message("# %u of %u ranges\n", had, TRIES);
	assert_true(had > 0);
	assert_int_equal(fixture_zone(w->f, 0).pageblocks[GW_MT_ISOLATE], 0);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(isolation_keeps_the_type),
		cmocka_unit_test(isolated_pages_are_not_handed_out),
		cmocka_unit_test(isolated_pageblocks_are_no_targets),
		cmocka_unit_test(unmovable_page_is_named),
		cmocka_unit_test(isolated_twice),
		cmocka_unit_test(range_is_emptied_and_taken),
		cmocka_unit_test(pages_over_the_edge_move_whole),
		cmocka_unit_test(failure_names_the_frame),
		cmocka_unit_test(no_room_is_told),
		cmocka_unit_test(bad_ranges),
		cmocka_unit_test(first_place_that_can_be_had),
		cmocka_unit_test(movable_pages_use_cma),
		cmocka_unit_test(cma_requests),
		cmocka_unit_test(ranges_beside_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
