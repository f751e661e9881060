/* SPDX-License-Identifier: MIT */
/*
 * From a request to a page and back: watermarks, reserves, the zonelist, per-CPU lists, references
 * (FACTS 2.2, D17's arithmetic). No compaction here: gw_alloc_from_zonelist() is one walk.
 */
#include "test.h"

#include <string.h>

#include "engine/phys/buddy.h"
#include "godwit/seed.h"
#include "machine_fixture.h"

#define PB    4
#define BLOCK (1u << PB)

static gw_pfn_t
try_alloc(struct fixture *f, gw_gfp_t gfp, unsigned node, unsigned order, enum gw_wmark mark)
{
	gw_pfn_t pfn = GW_PFN_NONE;
	int err = gw_alloc_from_zonelist(f->m, gfp, node, order, mark, &pfn);

	assert_int_equal(err, pfn == GW_PFN_NONE ? -ENOMEM : 0);
	return pfn;
}

/* A machine of these zones, all free, with per-CPU lists of one page unless they say otherwise. */
static struct fixture *
machine(struct gw_zone_config *zones, unsigned n, unsigned n_cpus)
{
	struct gw_machine_config config;
	struct fixture *f;

	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.zones = zones;
	config.n_zones = n;
	config.n_frames = zones[n - 1].end;
	for (unsigned z = 0; z < n; z++) {
		zones[z].name = "zone";
		if (zones[z].pcp_batch == 0)
			zones[z].pcp_batch = zones[z].pcp_high = 1;
	}
	f = fixture_create_config(&config);
	for (unsigned z = 0; z < n; z++)
		assert_int_equal(
			gw_seed_free(f->m, zones[z].start, zones[z].end - zones[z].start), 0);
	gw_seed_done(f->m);
	return f;
}

/* ---- watermarks ---- */

/* A request is served while more than the mark stays free without it; GFP_HIGH goes to half of min,
 * NO_WATERMARKS to the last frame. */
static void
test_watermarks(void **state)
{
	static const struct {
		gw_gfp_t gfp;
		enum gw_wmark mark;
		unsigned stops_at; /* free frames */
	} rows[] = {
		{GW_GFP_MOVABLE, GW_WMARK_HIGH, 60},
		{GW_GFP_MOVABLE, GW_WMARK_LOW, 50},
		{GW_GFP_MOVABLE, GW_WMARK_MIN, 41},
		{GW_GFP_MOVABLE | GW_GFP_HIGH, GW_WMARK_MIN, 21}, /* 41 - 41 / 2 */
		{GW_GFP_MOVABLE | GW_GFP_NO_WATERMARKS, GW_WMARK_HIGH, 0},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct gw_zone_config zone = {
			.end = 8 * BLOCK, .wmark_min = 41, .wmark_low = 50, .wmark_high = 60};
		struct fixture *f = machine(&zone, 1, 1);

		while (try_alloc(f, rows[r].gfp, 0, 0, rows[r].mark) != GW_PFN_NONE)
			;
		assert_int_equal(fixture_zone(f, 0).free, rows[r].stops_at);
		fixture_destroy(f);
	}
}

/* A high-order request counts its own other frames as gone, and needs a block. */
static void
test_watermark_of_high_order(void **state)
{
	struct gw_zone_config zone = {
		.end = 4 * BLOCK, .wmark_min = BLOCK, .wmark_low = BLOCK, .wmark_high = BLOCK};
	struct fixture *f = machine(&zone, 1, 1);
	const struct gw_zone *z = &f->m->zones[0];

	(void)state;
	assert_true(gw_zone_watermark_ok(z, PB + 1, 2 * BLOCK, 0, 0));
	assert_false(gw_zone_watermark_ok(z, PB + 1, 2 * BLOCK + 1, 0, 0));
	/* every second frame: half is free, and no pair of frames */
	for (gw_pfn_t i = 0; i < 4 * BLOCK; i++)
		assert_int_not_equal(
			try_alloc(f, GW_GFP_MOVABLE | GW_GFP_NO_WATERMARKS, 0, 0, GW_WMARK_MIN),
			GW_PFN_NONE);
	for (gw_pfn_t pfn = 0; pfn < 4 * BLOCK; pfn += 2)
		gw_put_page(f->m, pfn);
	gw_drain_pages(f->m);
	assert_int_equal(fixture_zone(f, 0).free, 2 * BLOCK);
	assert_true(gw_zone_watermark_ok(z, 0, BLOCK, 0, 0));
	assert_false(gw_zone_watermark_ok(z, 1, 0, 0, 0));
	fixture_destroy(f);
}

/* Free CMA frames do not count for a request that may not use them, nor does the atomic reserve. */
static void
test_watermark_leaves_out_reserves(void **state)
{
	struct gw_zone_config config = {.name = "zone", .end = 3 * BLOCK};
	struct gw_machine_config machine_config;
	struct fixture *f;
	const struct gw_zone *z;

	(void)state;
	gw_machine_config_init(&machine_config);
	machine_config.max_order = machine_config.pageblock_order = PB;
	machine_config.zones = &config;
	machine_config.n_zones = 1;
	machine_config.n_frames = 3 * BLOCK;
	f = fixture_create_config(&machine_config);
	assert_int_equal(gw_seed_pageblock(f->m, BLOCK, GW_MT_CMA), 0);
	assert_int_equal(gw_seed_pageblock(f->m, 2 * BLOCK, GW_MT_HIGHATOMIC), 0);
	assert_int_equal(gw_seed_free(f->m, 0, 3 * BLOCK), 0);
	gw_seed_done(f->m);
	z = &f->m->zones[0];
	assert_false(gw_zone_watermark_ok(z, 0, BLOCK, 0, 0));
	assert_true(gw_zone_watermark_ok(z, 0, BLOCK - 1, 0, 0));
	assert_true(gw_zone_watermark_ok(z, 0, BLOCK, GW_GFP_MOVABLE, 0));
	assert_false(gw_zone_watermark_ok(z, 0, 2 * BLOCK, GW_GFP_MOVABLE, 0));
	assert_true(gw_zone_watermark_ok(z, 0, 2 * BLOCK, GW_GFP_MOVABLE | GW_GFP_HIGH, 0));
	fixture_destroy(f);
}

/* min from min_free_kbytes by the zone's share, low and high a gap above it: a quarter of min, or
 * the scale factor's share of the zone if that is more. */
static void
test_watermarks_computed(void **state)
{
	struct gw_zone_config zones[] = {{.end = 1000}, {.start = 1000, .end = 4000}};
	struct gw_machine_config config;
	struct fixture *f;

	(void)state;
	for (unsigned scale = 10; scale <= 1000; scale *= 100) {
		gw_machine_config_init(&config);
		zones[0].name = zones[1].name = "zone";
		config.zones = zones;
		config.n_zones = 2;
		config.n_frames = 4000;
		config.min_free_kbytes = 400 * 4;
		config.watermark_scale_factor = scale;
		f = fixture_create_config(&config);
		assert_int_equal(gw_seed_free(f->m, 0, 1000), 0);
		assert_int_equal(gw_seed_free(f->m, 1000, 3000), 0);
		gw_seed_done(f->m);
		assert_int_equal(fixture_zone(f, 0).wmark_min, 100);
		assert_int_equal(fixture_zone(f, 1).wmark_min, 300);
		assert_int_equal(fixture_zone(f, 1).wmark_low, 300 + (scale == 10 ? 75 : 300));
		assert_int_equal(fixture_zone(f, 1).wmark_high, 300 + (scale == 10 ? 150 : 600));
		fixture_destroy(f);
	}
}

/* Mixing types in a pageblock raises low and high by a pageblock, up to 1.5 times high; not in a
 * zone of fewer than four pageblocks, nor with the factor at 0. */
static void
test_boost(void **state)
{
	static const struct {
		gw_pfn_t blocks;
		unsigned factor;
		uint64_t boost;
	} rows[] = {{8, 15000, 30}, {8, 1000, BLOCK}, {3, 15000, 0}, {8, 0, 0}};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct gw_zone_config zone = {
			.end = rows[r].blocks * BLOCK, .wmark_low = 10, .wmark_high = 20};
		struct fixture *f = machine(&zone, 1, 1);

		f->m->config.watermark_boost_factor = rows[r].factor;
		/* movable pages everywhere, then every fourth frame free: unmovable requests mix */
		while (try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN) != GW_PFN_NONE)
			;
		for (gw_pfn_t pfn = 0; pfn < zone.end; pfn += 4)
			gw_put_page(f->m, pfn);
		gw_drain_pages(f->m);
		for (gw_pfn_t i = 0; i < rows[r].blocks; i++)
			assert_int_not_equal(try_alloc(f, GW_GFP_NO_WATERMARKS, 0, 0, GW_WMARK_MIN),
				GW_PFN_NONE);
		assert_int_equal(fixture_zone(f, 0).boost, rows[r].boost);
		assert_int_equal(gw_zone_wmark(&f->m->zones[0], GW_WMARK_HIGH), 20 + rows[r].boost);
		assert_int_equal(gw_zone_wmark(&f->m->zones[0], GW_WMARK_LOW), 10 + rows[r].boost);
		/* nobody reclaims: the boost keeps no request from the last frame above min */
		while (try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN) != GW_PFN_NONE)
			;
		assert_int_equal(fixture_zone(f, 0).free + fixture_zone(f, 0).pcp, 0);
		fixture_destroy(f);
	}
}

/* ---- zonelists ---- */

/* Highest zone of the own node first, then its lower ones, then other nodes by distance. */
static void
test_zonelist_order(void **state)
{
	static const struct {
		unsigned node, zones[5];
	} rows[] = {{0, {2, 1, 0, 3, 4}}, {1, {3, 4, 2, 1, 0}}, {2, {4, 3, 2, 1, 0}}};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct gw_zone_config zones[5] = {0};
		struct fixture *f;

		for (unsigned z = 0; z < 5; z++) {
			zones[z].start = z * BLOCK;
			zones[z].end = (z + 1) * BLOCK;
			zones[z].node = z < 3 ? 0 : z - 2;
		}
		f = machine(zones, 5, 1);
		for (unsigned i = 0; i < 5; i++)
			for (gw_pfn_t n = 0; n < BLOCK; n++)
				assert_int_equal(try_alloc(f, GW_GFP_MOVABLE, rows[r].node, 0,
							 GW_WMARK_MIN) /
							 BLOCK,
					rows[r].zones[i]);
		assert_int_equal(
			try_alloc(f, GW_GFP_MOVABLE, rows[r].node, 0, GW_WMARK_MIN), GW_PFN_NONE);
		fixture_destroy(f);
	}
}

/* THISNODE: the given node or nothing, also when the node has no memory. */
static void
test_thisnode(void **state)
{
	struct gw_zone_config zones[] = {
		{.end = BLOCK, .node = 0}, {.start = BLOCK, .end = 2 * BLOCK, .node = 2}};
	struct fixture *f = machine(zones, 2, 1);

	(void)state;
	for (gw_pfn_t n = 0; n < BLOCK; n++)
		assert_true(try_alloc(f, GW_GFP_MOVABLE | GW_GFP_THISNODE, 2, 0, GW_WMARK_MIN) >=
			    BLOCK);
	assert_int_equal(
		try_alloc(f, GW_GFP_MOVABLE | GW_GFP_THISNODE, 2, 0, GW_WMARK_MIN), GW_PFN_NONE);
	assert_int_equal(
		try_alloc(f, GW_GFP_MOVABLE | GW_GFP_THISNODE, 1, 0, GW_WMARK_MIN), GW_PFN_NONE);
	assert_int_not_equal(try_alloc(f, GW_GFP_MOVABLE, 1, 0, GW_WMARK_MIN), GW_PFN_NONE);
	fixture_destroy(f);
}

/* A lower zone keeps its lowmem reserve from requests that prefer a higher one, and only from
 * them. */
static void
test_lowmem_reserve(void **state)
{
	struct gw_zone_config zones[] = {{.end = 2 * BLOCK, .lowmem_reserve = {0, 10}},
		{.start = 2 * BLOCK, .end = 3 * BLOCK}};
	struct fixture *f = machine(zones, 2, 1);

	(void)state;
	while (try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN) != GW_PFN_NONE)
		;
	assert_int_equal(fixture_zone(f, 1).free, 0);
	assert_int_equal(fixture_zone(f, 0).free, 10);
	assert_true(gw_zone_watermark_ok(&f->m->zones[0], 0, 9, 0, 0));
	assert_false(gw_zone_watermark_ok(&f->m->zones[0], 0, 9, 0, 1));
	fixture_destroy(f);
}

/* ---- the reserve for high-order atomic requests ---- */

/* Such requests reserve the pageblocks they land in, up to 1 % of the zone; others get none of it
 * until pressure gives it up block by block. */
static void
test_highatomic(void **state)
{
	struct gw_zone_config zone = {.end = 300 * BLOCK, .wmark_low = 1, .wmark_high = 1};
	struct fixture *f = machine(&zone, 1, 1);
	uint64_t reserved_free;

	(void)state;
	for (unsigned i = 0; i < 10 * BLOCK / 2; i++)
		assert_int_not_equal(try_alloc(f, GW_GFP_ATOMIC, 0, 1, GW_WMARK_MIN), GW_PFN_NONE);
	assert_int_equal(fixture_zone(f, 0).pageblocks[GW_MT_HIGHATOMIC], 3);
	/* order 0 does not draw on it */
	fixture_check(f);
	for (gw_pfn_t pfn = 0; pfn < 300 * BLOCK; pfn += 2) {
		struct gw_frame_info frame;

		assert_int_equal(gw_frame_info(f->m, pfn, &frame), 0);
		if (frame.migratetype == GW_MT_HIGHATOMIC && frame.state == GW_STATE_USED)
			gw_put_page(f->m, pfn);
	}
	gw_drain_pages(f->m);
	reserved_free = gw_u64_load_relaxed(&f->m->zones[0].nr_free_highatomic);
	assert_true(reserved_free >= 2 * BLOCK);
	/* at the low mark the reserve stands, at min it goes */
	while (try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_LOW) != GW_PFN_NONE)
		;
	assert_int_equal(gw_u64_load_relaxed(&f->m->zones[0].nr_free_highatomic), reserved_free);
	assert_int_not_equal(try_alloc(f, GW_GFP_ATOMIC, 0, 1, GW_WMARK_MIN), GW_PFN_NONE);
	while (try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN) != GW_PFN_NONE)
		;
	assert_int_equal(fixture_zone(f, 0).free, 0);
	fixture_destroy(f);
}

/* ---- per-CPU lists ---- */

/* A miss takes a batch from the buddy lists at once, oldest order kept: the frames come in
 * ascending order. */
static void
test_pcp_refill(void **state)
{
	struct gw_zone_config zone = {.end = 16 * BLOCK, .pcp_batch = 8, .pcp_high = 24};
	struct fixture *f = machine(&zone, 1, 2);
	gw_pfn_t first = try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN);

	(void)state;
	assert_int_equal(fixture_zone(f, 0).pcp, 7);
	assert_int_equal(fixture_zone(f, 0).free, 16 * BLOCK - 8);
	for (gw_pfn_t i = 1; i < 8; i++)
		assert_int_equal(try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN), first + i);
	assert_int_equal(fixture_zone(f, 0).pcp, 0);
	/* higher orders: fewer pages, as many frames */
	assert_int_not_equal(try_alloc(f, GW_GFP_MOVABLE, 0, 2, GW_WMARK_MIN), GW_PFN_NONE);
	assert_int_equal(fixture_zone(f, 0).pcp, 4);
	assert_int_not_equal(try_alloc(f, GW_GFP_MOVABLE, 0, PB, GW_WMARK_MIN), GW_PFN_NONE);
	assert_int_equal(fixture_zone(f, 0).pcp, 4);
	fixture_destroy(f);
}

/* The page freed last is handed out first; above high the one freed first goes back first. */
static void
test_pcp_order_of_use(void **state)
{
	struct gw_zone_config zone = {.end = 16 * BLOCK, .pcp_batch = 2, .pcp_high = 6};
	struct fixture *f = machine(&zone, 1, 1);
	gw_pfn_t pages[20];

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		pages[i] = try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN);
	assert_int_equal(fixture_zone(f, 0).pcp, 0);
	gw_put_page(f->m, pages[3]);
	gw_put_page(f->m, pages[9]);
	assert_int_equal(try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN), pages[9]);
	gw_put_page(f->m, pages[9]);
	for (unsigned i = 10; i < 14; i++)
		gw_put_page(f->m, pages[i]);
	assert_int_equal(fixture_zone(f, 0).pcp, 6); /* at high */
	gw_put_page(f->m, pages[15]);
	assert_int_equal(fixture_zone(f, 0).pcp, 4); /* the excess and a batch went */
	for (unsigned i = 0; i < 20; i++) {
		struct gw_frame_info frame;
		bool held = (i >= 11 && i < 14) || i == 15;
		bool freed = i == 3 || i == 9 || i == 10;

		assert_int_equal(gw_frame_info(f->m, pages[i], &frame), 0);
		assert_int_equal(frame.state, held    ? GW_STATE_PCP
					      : freed ? GW_STATE_BUDDY
						      : GW_STATE_USED);
	}
	fixture_destroy(f);
}

/* Orders 0 to 3 and the pageblock order are kept at hand, no other. */
static void
test_pcp_orders(void **state)
{
	struct gw_zone_config zone = {.end = 1 << 10, .pcp_batch = 1, .pcp_high = 1 << 10};
	struct gw_machine_config config;
	struct fixture *f;

	(void)state;
	zone.name = "zone";
	gw_machine_config_init(&config);
	config.max_order = 7;
	config.pageblock_order = 6;
	config.zones = &zone;
	config.n_zones = 1;
	config.n_frames = zone.end;
	f = fixture_create_config(&config);
	assert_int_equal(gw_seed_free(f->m, 0, zone.end), 0);
	gw_seed_done(f->m);
	for (unsigned order = 0; order <= 7; order++) {
		gw_pfn_t pfn = try_alloc(f, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN);
		struct gw_frame_info frame;
		bool at_hand = order < 4 || order == 6;

		gw_put_page(f->m, pfn);
		assert_int_equal(fixture_zone(f, 0).pcp, at_hand ? 1u << order : 0);
		assert_int_equal(gw_frame_info(f->m, pfn, &frame), 0);
		assert_int_equal(frame.state, at_hand ? GW_STATE_PCP : GW_STATE_BUDDY);
		if (at_hand)
			assert_int_equal(frame.order, order);
		gw_drain_pages(f->m);
		assert_int_equal(fixture_zone(f, 0).pcp, 0);
	}
	assert_int_equal(fixture_zone(f, 0).free_blocks[7], 8);
	fixture_destroy(f);
}

/* A CPU's lists are its own; a local drain empties them, a full drain all (D21's other half). */
static void
test_pcp_drain(void **state)
{
	struct gw_zone_config zone = {.end = 16 * BLOCK, .pcp_batch = 4, .pcp_high = 64};
	struct fixture *f = machine(&zone, 1, 2);
	gw_pfn_t here = try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN), there;
	struct gw_task other;

	(void)state;
	assert_int_equal(gw_task_attach(&other, f->m, 1), 0);
	there = try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN);
	gw_put_page(f->m, there);
	gw_put_page(f->m, here);
	assert_int_equal(fixture_zone(f, 0).pcp, 3 + 5);
	gw_drain_pages(f->m);
	assert_int_equal(fixture_zone(f, 0).pcp, 3);
	gw_task_detach(&other);
	gw_drain_pages(f->m);
	assert_int_equal(fixture_zone(f, 0).pcp, 0);
	assert_int_equal(fixture_zone(f, 0).free_blocks[PB + 1], 8);

	here = try_alloc(f, 0, 0, 1, GW_WMARK_MIN);
	assert_int_equal(gw_task_attach(&other, f->m, 1), 0);
	there = try_alloc(f, GW_GFP_RECLAIMABLE, 0, 3, GW_WMARK_MIN);
	gw_task_detach(&other);
	gw_put_page(f->m, here);
	gw_put_page(f->m, there);
	gw_drain_all_pages(f->m);
	assert_int_equal(fixture_zone(f, 0).pcp, 0);
	assert_int_equal(fixture_zone(f, 0).free_blocks[PB + 1], 8);
	fixture_destroy(f);
}

/* Types do not mix on per-CPU lists; a page of a CMA, HIGHATOMIC or ISOLATE block goes past them.
 */
static void
test_pcp_types(void **state)
{
	struct gw_zone_config zone = {.end = 8 * BLOCK, .pcp_batch = 4, .pcp_high = 64};
	struct fixture *f = machine(&zone, 1, 1);
	gw_pfn_t unmovable = try_alloc(f, 0, 0, 0, GW_WMARK_MIN);
	gw_pfn_t movable = try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN);
	struct gw_frame_info frame;

	(void)state;
	assert_int_equal(gw_pageblock_type(f->m, unmovable), GW_MT_UNMOVABLE);
	assert_int_equal(gw_pageblock_type(f->m, movable), GW_MT_MOVABLE);
	gw_put_page(f->m, movable);
	gw_put_page(f->m, unmovable);
	assert_int_equal(try_alloc(f, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN), movable);
	assert_int_equal(try_alloc(f, 0, 0, 0, GW_WMARK_MIN), unmovable);
	gw_drain_pages(f->m);
	gw_spin_lock(&f->m->zones[0].lock);
	gw_pageblock_retype(&f->m->zones[0], movable, GW_MT_ISOLATE);
	gw_spin_unlock(&f->m->zones[0].lock);
	gw_put_page(f->m, movable);
	assert_int_equal(gw_frame_info(f->m, movable, &frame), 0);
	assert_int_equal(frame.state, GW_STATE_BUDDY);
	assert_int_equal(frame.migratetype, GW_MT_ISOLATE);
	fixture_destroy(f);
}

/* ---- pages ---- */

/* A page lives as long as its last reference, whichever of its frames they are taken through;
 * only its head can be got without holding one (I7). */
static void
test_references(void **state)
{
	struct fixture *f = fixture_create(16 * BLOCK, 1, PB);
	gw_pfn_t pfn = fixture_alloc(f, 3);
	struct gw_frame_info frame;

	(void)state;
	gw_get_page(f->m, pfn + 5);
	assert_int_equal(gw_frame_info(f->m, pfn + 7, &frame), 0);
	assert_int_equal(frame.refcount, 2);
	assert_int_equal(frame.head, pfn);
	assert_true(gw_get_page_unless_zero(f->m, pfn));
	for (gw_pfn_t i = 1; i < 8; i++)
		assert_false(gw_get_page_unless_zero(f->m, pfn + i));
	gw_put_page(f->m, pfn + 1);
	gw_put_page(f->m, pfn);
	assert_int_equal(fixture_free_frames(f), 16 * BLOCK - 8);
	gw_put_page(f->m, pfn + 7);
	assert_int_equal(fixture_free_frames(f), 16 * BLOCK);
	for (gw_pfn_t i = 0; i < 8; i++)
		assert_false(gw_get_page_unless_zero(f->m, pfn + i));
	fixture_destroy(f);
}

/* Every page given out and taken back is counted, whichever way it went (R14). */
static void
test_counters(void **state)
{
	struct fixture *f = fixture_create(16 * BLOCK, 2, PB);

	(void)state;
	for (unsigned order = 0; order <= PB + 1; order++)
		gw_put_page(f->m, fixture_alloc(f, order));
	assert_int_equal(gw_machine_count(f->m, GW_VM_PGALLOC), (2u << (PB + 1)) - 1);
	assert_int_equal(gw_machine_count(f->m, GW_VM_PGFREE), (2u << (PB + 1)) - 1);
	fixture_destroy(f);
}

/* ---- at random ---- */

#define MODEL_PAGES 400

struct model {
	gw_pfn_t pages[MODEL_PAGES];
	unsigned orders[MODEL_PAGES];
	uint8_t *owned; /* by frame: taken by a page of the model */
	unsigned n;
	uint64_t frames;
};

static void
model_take(struct fixture *f, struct model *model, uint64_t r)
{
	static const gw_gfp_t types[] = {0, GW_GFP_MOVABLE, GW_GFP_RECLAIMABLE,
		GW_GFP_ATOMIC | GW_GFP_MOVABLE, GW_GFP_NOFRAGMENT};
	unsigned order = (unsigned)(r % 64 < 40 ? 0 : r / 64 % (PB + 2));
	gw_pfn_t pfn = GW_PFN_NONE;

	if (model->n == MODEL_PAGES || gw_alloc_from_zonelist(f->m, types[r / 1024 % 5],
					       (unsigned)(r / 8192 % 2), order, GW_WMARK_MIN, &pfn))
		return;
	assert_int_equal(pfn & ((1u << order) - 1), 0);
	for (gw_pfn_t i = 0; i < 1u << order; i++) {
		assert_int_equal(model->owned[pfn + i], 0);
		model->owned[pfn + i] = 1;
	}
	model->pages[model->n] = pfn;
	model->orders[model->n++] = order;
	model->frames += 1u << order;
}

static void
model_give(struct fixture *f, struct model *model, uint64_t r)
{
	unsigned i = (unsigned)(r % model->n);
	gw_pfn_t pfn = model->pages[i];

	for (gw_pfn_t k = 0; k < 1u << model->orders[i]; k++)
		model->owned[pfn + k] = 0;
	model->frames -= 1u << model->orders[i];
	model->n--;
	model->pages[i] = model->pages[model->n];
	model->orders[i] = model->orders[model->n];
	gw_put_page(f->m, pfn);
}

/* Against a model: pages never overlap, nothing is lost, every invariant holds on the way (I10). */
static void
test_at_random(void **state)
{
	struct gw_zone_config zones[] = {
		{.start = 1, .end = 500, .wmark_low = 20, .wmark_high = 40},
		{.start = 500, .end = 1023},
		{.start = 1030, .end = 1600, .node = 1, .pcp_batch = 7, .pcp_high = 31},
	};
	struct fixture *f = machine(zones, 3, 3);
	struct gw_task other;
	struct model model = {.owned = calloc(1600, 1)};
	uint64_t random = test_seed();
	const uint64_t total = 499 + 523 + 570;

	(void)state;
	for (unsigned step = 0; step < 60000; step++) {
		uint64_t r = test_random(&random);
		bool filling = step / 3000 % 2 == 0; /* in waves */
		uint64_t held = 0;

		assert_int_equal(gw_task_attach(&other, f->m, (unsigned)(r >> 60) % 3), 0);
		if (model.n == 0 || r >> 32 & 3 ? filling || model.n == 0 : !filling)
			model_take(f, &model, r & 0xffffffff);
		else
			model_give(f, &model, r & 0xffffffff);
		if ((r >> 34) % 200 == 0)
			gw_drain_pages(f->m);
		gw_task_detach(&other);
		if (step % 500)
			continue;
		fixture_check(f);
		for (unsigned z = 0; z < 3; z++)
			held += fixture_zone(f, z).free + fixture_zone(f, z).pcp;
		assert_int_equal(held + model.frames, total);
	}
	while (model.n)
		model_give(f, &model, 0);
	gw_drain_all_pages(f->m);
	assert_int_equal(
		fixture_zone(f, 0).free + fixture_zone(f, 1).free + fixture_zone(f, 2).free, total);
	free(model.owned);
	fixture_destroy(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watermarks),
		cmocka_unit_test(test_watermark_of_high_order),
		cmocka_unit_test(test_watermark_leaves_out_reserves),
		cmocka_unit_test(test_watermarks_computed),
		cmocka_unit_test(test_boost),
		cmocka_unit_test(test_zonelist_order),
		cmocka_unit_test(test_thisnode),
		cmocka_unit_test(test_lowmem_reserve),
		cmocka_unit_test(test_highatomic),
		cmocka_unit_test(test_pcp_refill),
		cmocka_unit_test(test_pcp_order_of_use),
		cmocka_unit_test(test_pcp_orders),
		cmocka_unit_test(test_pcp_drain),
		cmocka_unit_test(test_pcp_types),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_at_random),
	};

	return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
