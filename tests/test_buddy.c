/* SPDX-License-Identifier: MIT */
/*
 * The buddy lists of one zone: splitting and merging (I10), grouping by migratetype, and falling
 * back between types (FACTS 2.2). Blocks are taken under the zone lock, past the per-CPU lists.
 */
#include "test.h"

#include <string.h>

#include "engine/phys/buddy.h"
#include "godwit/seed.h"
#include "machine_fixture.h"

#define PB    4 /* pageblock order of these machines; max_order is one more, unless said otherwise */
#define BLOCK (1u << PB)

static gw_pfn_t
take(struct fixture *f, unsigned order, enum gw_migratetype type, gw_gfp_t gfp)
{
	struct gw_zone *zone = &f->m->zones[0];
	gw_pfn_t pfn;

	gw_spin_lock(&zone->lock);
	pfn = gw_buddy_take(zone, order, type, gfp);
	gw_spin_unlock(&zone->lock);
	if (pfn != GW_PFN_NONE)
		gw_prepare_page(f->m, pfn, order);
	return pfn;
}

static void
give(struct fixture *f, gw_pfn_t pfn)
{
	unsigned order = gw_flags_order(gw_page_flags(gw_page(f->m, pfn)));

	assert_true(gw_ref_put(&gw_page(f->m, pfn)->refcount));
	gw_page_unmake(f->m, pfn, order);
	gw_free_block(f->m, pfn, order);
}

static void
retype(struct fixture *f, gw_pfn_t pfn, enum gw_migratetype type)
{
	struct gw_zone *zone = &f->m->zones[0];

	gw_spin_lock(&zone->lock);
	gw_pageblock_retype(zone, pfn, type);
	gw_spin_unlock(&zone->lock);
}

/* One zone [start, end), reserved, pageblocks MOVABLE, max_order given. */
static struct fixture *
machine(gw_pfn_t start, gw_pfn_t end, unsigned pb_order, unsigned max_order)
{
	struct gw_zone_config zone = {.name = "Normal", .start = start, .end = end};
	struct gw_machine_config config;

	gw_machine_config_init(&config);
	config.pageblock_order = pb_order;
	config.max_order = max_order;
	config.n_frames = end + 3;
	config.zones = &zone;
	config.n_zones = 1;
	return fixture_create_config(&config);
}

/* A machine of one pageblock per given type, all free; blocks are no larger than pageblocks. */
static struct fixture *
blocks_of(const enum gw_migratetype *types, unsigned n)
{
	struct fixture *f = machine(0, n * BLOCK, PB, PB);

	for (unsigned b = 0; b < n; b++) {
		assert_int_equal(gw_seed_pageblock(f->m, b * BLOCK, types[b]), 0);
		assert_int_equal(gw_seed_free(f->m, b * BLOCK, BLOCK), 0);
	}
	gw_seed_done(f->m);
	return f;
}

/* ---- splitting and merging ---- */

/* Whatever the order, the zone's shape and the sequence of freeing: taking all and giving all back
 * leaves the blocks there were (I10, Z3). */
static void
test_take_all_and_merge(void **state)
{
	static const struct {
		gw_pfn_t start, end;
		unsigned pb_order, max_order;
	} shapes[] = {
		{0, 1 << 12, 9, 10}, /* the defaults */
		{1, 1 << 12, 9, 10}, /* as ZONE_DMA: from frame 1 on */
		{37, 3001, 4, 5},
		{5, 999, 1, 1},
		{0, 777, 3, 9}, /* blocks of many pageblocks */
		{64, 65, 2, 15},
	};
	uint64_t random = test_seed();

	(void)state;
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
		for (unsigned order = 0; order <= shapes[s].max_order; order++) {
			struct fixture *f = machine(shapes[s].start, shapes[s].end,
				shapes[s].pb_order, shapes[s].max_order);
			gw_pfn_t n = shapes[s].end - shapes[s].start, taken = 0;
			gw_pfn_t *pages = calloc(n + 1, sizeof(*pages));
			struct gw_zone_info before, after;

			assert_int_equal(gw_seed_free(f->m, shapes[s].start, n), 0);
			gw_seed_done(f->m);
			before = fixture_zone(f, 0);
			assert_int_equal(before.free, n);
			while ((pages[taken] = take(f, order, GW_MT_MOVABLE, 0)) != GW_PFN_NONE)
				taken++;
			fixture_check(f);
			after = fixture_zone(f, 0);
			assert_int_equal(after.free, n - (taken << order));
			for (unsigned o = order; o < after.n_orders; o++)
				assert_int_equal(after.free_blocks[o], 0);
			for (; taken > 0; taken--) {
				gw_pfn_t i = (gw_pfn_t)(test_random(&random) % taken);

				give(f, pages[i]);
				pages[i] = pages[taken - 1];
			}
			after = fixture_zone(f, 0);
			assert_memory_equal(
				after.free_blocks, before.free_blocks, sizeof(before.free_blocks));
			free(pages);
			fixture_destroy(f);
		}
	}
}

/* A free frame next to the zone's edge, a hole or a page in use does not merge with it (Z4). */
static void
test_no_merge_across_edges(void **state)
{
	struct fixture *f = machine(BLOCK / 2, 3 * BLOCK + 1, PB, PB + 1);

	(void)state;
	assert_int_equal(gw_seed_free(f->m, BLOCK / 2, BLOCK / 2), 0);
	/* frames BLOCK .. BLOCK + 3 stay reserved */
	assert_int_equal(gw_seed_free(f->m, BLOCK + 4, 4), 0);
	assert_int_equal(gw_seed_used(f->m, BLOCK + 8, 1), 0);
	assert_int_equal(gw_seed_free(f->m, BLOCK + 9, 1), 0);
	assert_int_equal(gw_seed_free(f->m, 3 * BLOCK, 1), 0);
	gw_seed_done(f->m);
	assert_int_equal(fixture_zone(f, 0).free_blocks[0], 2);
	assert_int_equal(fixture_zone(f, 0).free_blocks[2], 1);
	assert_int_equal(fixture_zone(f, 0).free_blocks[3], 1);
	assert_int_equal(fixture_zone(f, 0).free, BLOCK / 2 + 4 + 2);
	fixture_destroy(f);
}

/* A block larger than a pageblock, freed, goes to its pageblocks' own types (Z5); of the
 * ordinary types the last one freed takes the merged block over. */
static void
test_merge_of_types(void **state)
{
	struct fixture *f = machine(0, 4 * BLOCK, PB, PB + 1);
	gw_pfn_t pfn;

	(void)state;
	assert_int_equal(gw_seed_free(f->m, 0, 4 * BLOCK), 0);
	gw_seed_done(f->m);
	pfn = take(f, PB + 1, GW_MT_MOVABLE, 0);
	retype(f, pfn + BLOCK, GW_MT_HIGHATOMIC);
	give(f, pfn);
	fixture_check(f);
	assert_int_equal(fixture_zone(f, 0).free_by_type[GW_MT_MOVABLE][PB], 1);
	assert_int_equal(fixture_zone(f, 0).free_by_type[GW_MT_HIGHATOMIC][PB], 1);
	assert_int_equal(fixture_zone(f, 0).pageblocks[GW_MT_HIGHATOMIC], 1);

	retype(f, pfn + BLOCK, GW_MT_UNMOVABLE); /* now the two may merge */
	fixture_check(f);
	assert_int_equal(fixture_zone(f, 0).free_blocks[PB + 1], 2);
	assert_int_equal(fixture_zone(f, 0).pageblocks[GW_MT_MOVABLE] +
				 fixture_zone(f, 0).pageblocks[GW_MT_UNMOVABLE],
		4);
	fixture_destroy(f);
}

/* ---- grouping ---- */

/* The first request of a type claims the largest block there is; later ones stay in it, and other
 * types out of it. */
static void
test_grouping(void **state)
{
	struct fixture *f = fixture_create(16 * BLOCK, 1, PB);
	gw_pfn_t unmovable = take(f, 0, GW_MT_UNMOVABLE, 0), home = unmovable & ~(2 * BLOCK - 1);

	(void)state;
	assert_int_equal(
		fixture_zone(f, 0).pageblocks[GW_MT_UNMOVABLE], 2); /* one block of max_order */
	for (unsigned i = 1; i < 2 * BLOCK; i++) {
		gw_pfn_t movable = take(f, 0, GW_MT_MOVABLE, 0);

		unmovable = take(f, 0, GW_MT_UNMOVABLE, 0);
		assert_int_equal(unmovable & ~(2 * BLOCK - 1), home);
		assert_int_not_equal(movable & ~(2 * BLOCK - 1), home);
	}
	assert_int_equal(fixture_zone(f, 0).pageblocks[GW_MT_UNMOVABLE], 2);
	fixture_destroy(f);
}

/* Whom each type turns to first when its own lists are empty. */
static void
test_fallback_order(void **state)
{
	static const enum gw_migratetype rows[][3] = {
		{GW_MT_UNMOVABLE, GW_MT_RECLAIMABLE, GW_MT_MOVABLE},
		{GW_MT_MOVABLE, GW_MT_RECLAIMABLE, GW_MT_UNMOVABLE},
		{GW_MT_RECLAIMABLE, GW_MT_UNMOVABLE, GW_MT_MOVABLE},
	};

	(void)state;
	for (size_t r = 0; r < 3; r++) {
		/* second choice lower and higher in memory, so that position does not decide */
		struct fixture *f =
			blocks_of((enum gw_migratetype[]){rows[r][2], rows[r][1], rows[r][2]}, 3);
		gw_pfn_t pfn = take(f, 0, rows[r][0], 0);

		assert_int_equal(pfn / BLOCK, 1);
		assert_int_equal(gw_pageblock_type(f->m, pfn), rows[r][0]); /* claimed */
		fixture_destroy(f);
	}
}

/* Nobody falls back to HIGHATOMIC, CMA (but movable requests) or ISOLATE, whatever the request. */
static void
test_types_without_fallback(void **state)
{
	struct fixture *f =
		blocks_of((enum gw_migratetype[]){GW_MT_HIGHATOMIC, GW_MT_CMA, GW_MT_ISOLATE}, 3);
	gw_pfn_t pfn;

	(void)state;
	assert_int_equal(take(f, 0, GW_MT_UNMOVABLE, GW_GFP_NO_WATERMARKS), GW_PFN_NONE);
	assert_int_equal(take(f, 0, GW_MT_RECLAIMABLE, 0), GW_PFN_NONE);
	pfn = take(f, PB, GW_MT_MOVABLE, GW_GFP_MOVABLE);
	assert_int_equal(pfn / BLOCK, 1);
	assert_int_equal(gw_pageblock_type(f->m, pfn), GW_MT_CMA);
	assert_int_equal(take(f, 0, GW_MT_MOVABLE, GW_GFP_MOVABLE), GW_PFN_NONE);
	fixture_destroy(f);
}

/* ---- claiming ---- */

static bool
refuse_isolation(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	(void)m;
	(void)page;
	(void)mode;
	return false;
}

static const struct gw_movable_ops movable_ops = {.isolate = refuse_isolation};

/* A machine of one pageblock of `type`: n_movable movable pages at its start, then pages that
 * nothing can move, then n_free free ones. */
static struct fixture *
half_block(enum gw_migratetype type, gw_pfn_t n_free, gw_pfn_t n_movable)
{
	struct fixture *f = machine(0, BLOCK, PB, PB);

	assert_int_equal(gw_seed_pageblock(f->m, 0, type), 0);
	assert_int_equal(gw_seed_free(f->m, BLOCK - n_free, n_free), 0);
	for (gw_pfn_t pfn = 0; pfn < n_movable; pfn++)
		assert_int_equal(gw_seed_movable(f->m, pfn, 0, &movable_ops, 0, GW_LRU_NR), 0);
	if (n_movable < BLOCK - n_free)
		assert_int_equal(gw_seed_used(f->m, n_movable, BLOCK - n_free - n_movable), 0);
	gw_seed_done(f->m);
	return f;
}

/* A pageblock changes hands if what is free and what is of a compatible kind make up half of it;
 * else only the frames asked for are taken. */
static void
test_half_rule(void **state)
{
	static const struct {
		enum gw_migratetype block, request;
		unsigned order;
		gw_pfn_t n_free, n_movable;
		bool claims;
	} rows[] = {
		/* all else movable: incompatible with an unmovable request */
		{GW_MT_MOVABLE, GW_MT_UNMOVABLE, 0, BLOCK / 2, BLOCK / 2, true},
		{GW_MT_MOVABLE, GW_MT_UNMOVABLE, 0, BLOCK / 2 - 1, BLOCK / 2 + 1, false},
		/* unmovable pages in a MOVABLE pageblock are the requester's kind */
		{GW_MT_MOVABLE, GW_MT_UNMOVABLE, 0, 1, BLOCK / 2, true},
		{GW_MT_MOVABLE, GW_MT_RECLAIMABLE, 0, 1, BLOCK / 2 + 1, false},
		/* ... but between UNMOVABLE and RECLAIMABLE nothing is known */
		{GW_MT_UNMOVABLE, GW_MT_RECLAIMABLE, 0, BLOCK / 2 - 1, 0, false},
		{GW_MT_UNMOVABLE, GW_MT_RECLAIMABLE, 0, BLOCK / 2, 0, true},
		/* a movable request, from half the pageblock order on, counts movable pages */
		{GW_MT_UNMOVABLE, GW_MT_MOVABLE, PB / 2, BLOCK / 4, BLOCK / 4, true},
		{GW_MT_UNMOVABLE, GW_MT_MOVABLE, PB / 2, BLOCK / 4, BLOCK / 4 - 1, false},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct fixture *f = half_block(rows[r].block, rows[r].n_free, rows[r].n_movable);
		gw_pfn_t pfn = take(f, rows[r].order, rows[r].request, 0);

		assert_int_not_equal(pfn, GW_PFN_NONE);
		assert_int_equal(gw_pageblock_type(f->m, pfn),
			rows[r].claims ? rows[r].request : rows[r].block);
		fixture_destroy(f);
	}
}

/* A movable request claims nothing from a block below half the pageblock order, an unmovable
 * one from any (FACTS 2.2). */
static void
test_claimable_orders(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= PB; order++) {
		for (unsigned t = 0; t < 2; t++) {
			enum gw_migratetype type = t ? GW_MT_MOVABLE : GW_MT_RECLAIMABLE;
			/* one free block of `order`; all else movable, so a movable claim is never
			 * refused by the half rule; reclaimable: see below */
			struct fixture *f = half_block(
				GW_MT_UNMOVABLE, 1u << order, t ? BLOCK - (1u << order) : 0);
			gw_pfn_t pfn = take(f, 0, type, 0);
			bool claims = t ? order >= PB / 2 : 1u << order >= BLOCK / 2;

			assert_int_equal(
				gw_pageblock_type(f->m, pfn), claims ? type : GW_MT_UNMOVABLE);
			fixture_destroy(f);
		}
	}
}

/* Claiming takes from the largest foreign block, stealing from the smallest. */
static void
test_largest_and_smallest(void **state)
{
	struct fixture *f = machine(0, 3 * BLOCK, PB, PB);

	(void)state;
	/* block 0: one free frame; block 1: three quarters free; block 2: an aligned pair */
	assert_int_equal(gw_seed_used(f->m, 0, BLOCK - 1), 0);
	assert_int_equal(gw_seed_free(f->m, BLOCK - 1, 1), 0);
	assert_int_equal(gw_seed_free(f->m, BLOCK, 3 * BLOCK / 4), 0);
	assert_int_equal(gw_seed_used(f->m, BLOCK + 3 * BLOCK / 4, BLOCK / 4), 0);
	assert_int_equal(gw_seed_free(f->m, 2 * BLOCK, 2), 0);
	for (gw_pfn_t pfn = 2 * BLOCK + 2; pfn < 3 * BLOCK; pfn++)
		assert_int_equal(gw_seed_movable(f->m, pfn, 0, &movable_ops, 0, GW_LRU_NR), 0);
	gw_seed_done(f->m);
	assert_int_equal(take(f, 0, GW_MT_UNMOVABLE, 0) / BLOCK, 1);
	fixture_destroy(f);

	/* movable, foreign blocks below half the pageblock order: steal */
	f = machine(0, 2 * BLOCK, PB, PB);
	for (unsigned b = 0; b < 2; b++)
		assert_int_equal(gw_seed_pageblock(f->m, b * BLOCK, GW_MT_UNMOVABLE), 0);
	assert_int_equal(gw_seed_free(f->m, 0, 2), 0);
	assert_int_equal(gw_seed_used(f->m, 2, 2 * BLOCK - 3), 0);
	assert_int_equal(gw_seed_free(f->m, 2 * BLOCK - 1, 1), 0);
	gw_seed_done(f->m);
	assert_int_equal(take(f, 0, GW_MT_MOVABLE, 0), 2 * BLOCK - 1);
	assert_int_equal(take(f, 0, GW_MT_MOVABLE, 0), 0);
	/* what was left of the stolen block stayed with its pageblock's type */
	assert_int_equal(fixture_zone(f, 0).free_by_type[GW_MT_UNMOVABLE][0], 1);
	assert_int_equal(fixture_zone(f, 0).pageblocks[GW_MT_UNMOVABLE], 2);
	fixture_destroy(f);
}

/* NOFRAGMENT takes whole foreign pageblocks and nothing less; it neither steals nor boosts. */
static void
test_nofragment(void **state)
{
	struct fixture *f = half_block(GW_MT_MOVABLE, BLOCK / 2, 0);

	(void)state;
	assert_int_equal(take(f, 0, GW_MT_UNMOVABLE, GW_GFP_NOFRAGMENT), GW_PFN_NONE);
	assert_int_not_equal(take(f, 0, GW_MT_UNMOVABLE, 0), GW_PFN_NONE);
	fixture_destroy(f);

	f = blocks_of((enum gw_migratetype[]){GW_MT_MOVABLE, GW_MT_MOVABLE}, 2);
	assert_int_not_equal(take(f, 0, GW_MT_UNMOVABLE, GW_GFP_NOFRAGMENT), GW_PFN_NONE);
	assert_int_equal(fixture_zone(f, 0).pageblocks[GW_MT_UNMOVABLE], 1);
	assert_int_equal(fixture_zone(f, 0).boost, 0);
	fixture_destroy(f);
}

/* A pageblock that only partly lies in the zone is not claimed: the other part is not ours. */
static void
test_partial_block_is_not_claimed(void **state)
{
	struct fixture *f = machine(BLOCK / 4, BLOCK, PB, PB);
	gw_pfn_t pfn;

	(void)state;
	assert_int_equal(gw_seed_free(f->m, BLOCK / 4, 3 * BLOCK / 4), 0);
	gw_seed_done(f->m);
	pfn = take(f, 0, GW_MT_UNMOVABLE, 0);
	assert_int_not_equal(pfn, GW_PFN_NONE);
	assert_int_equal(gw_pageblock_type(f->m, pfn), GW_MT_MOVABLE);
	fixture_destroy(f);
}

/* ---- CMA, ISOLATE ---- */

/* CMA serves movable requests first while it holds more than half of what is free, and last
 * otherwise. */
static void
test_cma_first_or_last(void **state)
{
	struct fixture *f =
		blocks_of((enum gw_migratetype[]){GW_MT_MOVABLE, GW_MT_CMA, GW_MT_CMA}, 3);

	(void)state;
	for (gw_pfn_t i = 0; i < 3 * BLOCK; i++) {
		uint64_t cma = gw_u64_load_relaxed(&f->m->zones[0].nr_free_cma);
		gw_pfn_t pfn = take(f, 0, GW_MT_MOVABLE, GW_GFP_MOVABLE);
		bool from_cma = gw_pageblock_type(f->m, pfn) == GW_MT_CMA;

		assert_int_not_equal(pfn, GW_PFN_NONE);
		if (cma > (3 * BLOCK - i) / 2)
			assert_true(from_cma);
		else if (cma < 3 * BLOCK - i)
			assert_false(from_cma);
	}
	fixture_destroy(f);
}

/* Isolating a pageblock cuts it out of the larger free block around it; un-isolating merges again
 * (FACTS 2.2, page isolation). Nothing in it is handed out meanwhile. */
static void
test_isolate(void **state)
{
	struct fixture *f = machine(0, 8 * BLOCK, PB, PB + 3);
	unsigned taken = 0;

	(void)state;
	assert_int_equal(gw_seed_free(f->m, 0, 8 * BLOCK), 0);
	gw_seed_done(f->m);
	retype(f, 5 * BLOCK + 3, GW_MT_ISOLATE);
	fixture_check(f);
	assert_int_equal(fixture_zone(f, 0).free_by_type[GW_MT_ISOLATE][PB], 1);
	assert_int_equal(fixture_zone(f, 0).free_by_type[GW_MT_MOVABLE][PB], 1);
	assert_int_equal(fixture_zone(f, 0).free_by_type[GW_MT_MOVABLE][PB + 1], 1);
	assert_int_equal(fixture_zone(f, 0).free_by_type[GW_MT_MOVABLE][PB + 2], 1);
	retype(f, 5 * BLOCK, GW_MT_MOVABLE);
	assert_int_equal(fixture_zone(f, 0).free_blocks[PB + 3], 1);

	retype(f, 5 * BLOCK, GW_MT_ISOLATE);
	for (gw_pfn_t pfn; (pfn = take(f, 0, GW_MT_MOVABLE, 0)) != GW_PFN_NONE; taken++)
		assert_int_not_equal(pfn / BLOCK, 5);
	assert_int_equal(taken, 7 * BLOCK);
	fixture_destroy(f);
}

/* What compaction takes is whole, of refcount 0, and comes back whole; not below the low
 * watermark, but for isolated pageblocks. */
static void
test_isolate_free_block(void **state)
{
	struct fixture *f = blocks_of((enum gw_migratetype[]){GW_MT_MOVABLE, GW_MT_ISOLATE}, 2);
	struct gw_zone *zone = &f->m->zones[0];

	(void)state;
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_LOW], BLOCK + 1);
	gw_spin_lock(&zone->lock);
	assert_int_equal(gw_isolate_free_block(zone, 0), 0);
	assert_int_equal(gw_isolate_free_block(zone, 1), 0); /* not a head */
	assert_int_equal(gw_isolate_free_block(zone, BLOCK), BLOCK);
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_LOW], 0);
	assert_int_equal(gw_isolate_free_block(zone, 0), BLOCK);
	gw_spin_unlock(&zone->lock);
	assert_int_equal(fixture_zone(f, 0).free, 0);
	assert_false(gw_get_page_unless_zero(f->m, 0));
	gw_prepare_page(f->m, 0, PB);
	gw_put_page(f->m, 3); /* any frame of it */
	gw_free_block(f->m, BLOCK, PB);
	gw_drain_pages(f->m);
	assert_int_equal(fixture_zone(f, 0).free_blocks[PB], 2);
	fixture_destroy(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_all_and_merge),
		cmocka_unit_test(test_no_merge_across_edges),
		cmocka_unit_test(test_merge_of_types),
		cmocka_unit_test(test_grouping),
		cmocka_unit_test(test_fallback_order),
		cmocka_unit_test(test_types_without_fallback),
		cmocka_unit_test(test_half_rule),
		cmocka_unit_test(test_claimable_orders),
		cmocka_unit_test(test_largest_and_smallest),
		cmocka_unit_test(test_nofragment),
		cmocka_unit_test(test_partial_block_is_not_claimed),
		cmocka_unit_test(test_cma_first_or_last),
		cmocka_unit_test(test_isolate),
		cmocka_unit_test(test_isolate_free_block),
	};

	return cmocka_run_group_tests_name("buddy", tests, NULL, NULL);
}
