/* SPDX-License-Identifier: MIT */
/*
 * Making a machine and giving it its first state; and gw_machine_check() proven on planted bugs:
 * each thing that a lettered check watches is broken, reported, and mended.
 */
#include "test.h"

#include <string.h>

#include "engine/phys/buddy.h"
#include "godwit/seed.h"
#include "machine_fixture.h"

#define PB    4
#define BLOCK (1u << PB)

/* ---- gw_machine_create() ---- */

static void
break_config(struct gw_machine_config *c, struct gw_zone_config *z, unsigned how)
{
	switch (how) {
	case 0:
		c->n_cpus = 0;
		break;
	case 1:
		c->n_cpus = GW_CPUS_MAX + 1;
		break;
	case 2:
		c->max_order = GW_ORDERS_MAX;
		break;
	case 3:
		c->pageblock_order = 0;
		break;
	case 4:
		c->pageblock_order = c->max_order + 1;
		break;
	case 5:
		c->n_frames = 0;
		break;
	case 6:
		c->n_frames = GW_PFN_NONE;
		break;
	case 7:
		c->extfrag_threshold = -1;
		break;
	case 8:
		c->extfrag_threshold = 1001;
		break;
	case 9:
		c->lru_batch = 33;
		break;
	case 10:
		c->n_zones = 0;
		break;
	case 11:
		c->n_zones = GW_ZONES_MAX + 1;
		break;
	case 12:
		c->zones = NULL;
		break;
	case 13:
		z[0].name = NULL;
		break;
	case 14:
		z[1].node = GW_NODES_MAX;
		break;
	case 15:
		z[1].start = z[0].end - 1;
		break;
	case 16:
		z[1].end = z[1].start;
		break;
	case 17:
		z[1].end = c->n_frames + 1;
		break;
	case 18:
		z[0].wmark_min = 2, z[0].wmark_low = 1, z[0].wmark_high = 3;
		break;
	case 19:
		z[0].wmark_low = 4, z[0].wmark_high = 3;
		break;
	case 20:
		for (unsigned i = 2; i < 9; i++)
			z[i] = (struct gw_zone_config){
				.name = "z", .start = 100 + i, .end = 101 + i};
		c->n_zones = 9;
		break;
	case 21: /* sums of frames would not fit */
		z[0].wmark_high = UINT64_MAX;
		break;
	case 22:
		z[1].lowmem_reserve[7] = UINT64_C(1) << 32;
		break;
	case 23:
		c->min_free_kbytes = UINT64_C(1) << 34;
		break;
	default:
		fail();
	}
}

#define N_BREAKS 24

/* A config that contradicts itself: -EINVAL and one line, whatever is wrong; nothing allocated. */
static void
test_config_errors(void **state)
{
	(void)state;
	for (unsigned how = 0; how <= N_BREAKS; how++) {
		struct gw_zone_config zones[9] = {
			{.name = "a", .end = 40}, {.name = "b", .start = 50, .end = 99}};
		struct gw_machine_config config;
		struct fixture f = {0};
		struct gw_error err = {""};

		gw_machine_config_init(&config);
		config.zones = zones;
		config.n_zones = 2;
		config.n_frames = 200;
		if (how < N_BREAKS) {
			break_config(&config, zones, how);
			assert_int_equal(fixture_try_create(&f, &config, &err), -EINVAL);
			assert_true(strlen(err.text) > 5);
			assert_null(strchr(err.text, '\n'));
			assert_int_equal(fixture_try_create(&f, &config, NULL), -EINVAL);
			assert_null(f.m);
			assert_int_equal(gw_u64_load_relaxed(&f.allocations), 0);
		} else { /* unbroken, it is fine */
			assert_int_equal(fixture_try_create(&f, &config, &err), 0);
			assert_string_equal(err.text, "");
			gw_machine_destroy(f.m);
		}
	}
	gw_machine_destroy(NULL);
}

/* Whichever allocation fails, create reports -ENOMEM, leaks nothing and leaves *out alone. */
static void
test_create_survives_each_failed_alloc(void **state)
{
	struct gw_zone_config zones[] = {
		{.name = "a", .end = 40}, {.name = "b", .start = 50, .end = 99, .node = 1}};
	struct gw_machine_config config;
	unsigned k;

	(void)state;
	gw_machine_config_init(&config);
	config.n_cpus = 3;
	config.zones = zones;
	config.n_zones = 2;
	config.n_frames = 100;
	for (k = 1; k < 100; k++) {
		struct fixture f = {.fail_at = k};
		int err = fixture_try_create(&f, &config, NULL);

		if (err == 0) {
			gw_machine_destroy(f.m);
			assert_int_equal(gw_u64_load_relaxed(&f.live_bytes), 0);
			break;
		}
		assert_int_equal(err, -ENOMEM);
		assert_null(f.m);
		assert_int_equal(gw_u64_load_relaxed(&f.live_bytes), 0);
	}
	/* the machine, its six tables, per-CPU lists of two zones, wait queues, counters */
	assert_int_equal(k, 1 + 6 + 2 + 2 + 1);
}

/* A task runs on a CPU that the machine has. */
static void
test_attach(void **state)
{
	struct fixture *f = fixture_create(64, 2, PB);
	struct gw_task task;

	(void)state;
	assert_int_equal(gw_task_attach(&task, f->m, 2), -EINVAL);
	assert_int_equal(gw_task_attach(&task, f->m, 1), 0);
	assert_int_equal(gw_current_cpu(), 1);
	gw_task_detach(&task);
	assert_int_equal(gw_current_cpu(), 0);
	fixture_destroy(f);
}

/* ---- seed.h and gw_frame_info() ---- */

static const struct gw_movable_ops movable_ops;

/*
 * Zone [4, 100), pageblocks of 16 frames. By frame:
 *   4 .. 5 reserved, 6 .. 7 free, 8 .. 15 used, 16 .. 31 movable of order 4, 32 .. 47 a block of
 *   order 3, a seeded pair (not merged), a single, rest free; 48 on CPU 1's list, 64 .. 79
 * UNMOVABLE
 */
static struct fixture *
seeded(void)
{
	struct gw_zone_config zone = {.name = "Normal", .start = 4, .end = 100};
	struct gw_machine_config config;
	struct fixture *f;

	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.n_frames = 128;
	config.zones = &zone;
	config.n_zones = 1;
	f = fixture_create_config(&config);
	assert_int_equal(gw_seed_pageblock(f->m, 70, GW_MT_UNMOVABLE), 0);
	assert_int_equal(gw_seed_free(f->m, 6, 2), 0);
	assert_int_equal(gw_seed_used(f->m, 8, 8), 0);
	assert_int_equal(gw_seed_movable(f->m, 16, 4, &movable_ops, 1234, GW_LRU_INACTIVE_FILE), 0);
	assert_int_equal(gw_seed_free_block(f->m, 32, 3), 0);
	assert_int_equal(gw_seed_free_block(f->m, 40, 0), 0);
	assert_int_equal(gw_seed_free_block(f->m, 41, 0), 0);
	assert_int_equal(gw_seed_pcp(f->m, 48, 1), 0);
	assert_int_equal(gw_seed_free(f->m, 64, 16), 0);
	gw_seed_done(f->m);
	fixture_check(f);
	return f;
}

/* gw_frame_info() tells every state, from any frame of a block or page. */
static void
test_frame_info(void **state)
{
	static const struct {
		gw_pfn_t pfn, head;
		enum gw_frame_state what;
		unsigned order, refcount, index, migratetype;
	} rows[] = {
		{0, 0, GW_STATE_RESERVED, 0, 0, 0, GW_MT_MOVABLE},
		{5, 5, GW_STATE_RESERVED, 0, 0, 0, GW_MT_MOVABLE},
		{7, 6, GW_STATE_BUDDY, 1, 0, GW_MT_MOVABLE, GW_MT_MOVABLE},
		{9, 9, GW_STATE_USED, 0, 1, 0, GW_MT_MOVABLE},
		{16, 16, GW_STATE_MOVABLE, 4, 1, 1234, GW_MT_MOVABLE},
		{31, 16, GW_STATE_MOVABLE, 4, 1, 1234, GW_MT_MOVABLE},
		{32, 32, GW_STATE_BUDDY, 3, 0, GW_MT_MOVABLE, GW_MT_MOVABLE},
		{39, 32, GW_STATE_BUDDY, 3, 0, GW_MT_MOVABLE, GW_MT_MOVABLE},
		{41, 41, GW_STATE_BUDDY, 0, 0, GW_MT_MOVABLE, GW_MT_MOVABLE},
		{48, 48, GW_STATE_PCP, 0, 0, GW_MT_MOVABLE, GW_MT_MOVABLE},
		{79, 64, GW_STATE_BUDDY, 4, 0, GW_MT_UNMOVABLE, GW_MT_UNMOVABLE},
		{127, 127, GW_STATE_RESERVED, 0, 0, 0, GW_MT_MOVABLE},
	};
	struct fixture *f = seeded();
	struct gw_frame_info info;

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		assert_int_equal(gw_frame_info(f->m, rows[r].pfn, &info), 0);
		assert_int_equal(info.state, rows[r].what);
		assert_int_equal(info.head, rows[r].head);
		assert_int_equal(info.order, rows[r].order);
		assert_int_equal(info.refcount, rows[r].refcount);
		assert_int_equal(info.index, rows[r].index);
		assert_int_equal(info.migratetype, rows[r].migratetype);
	}
	assert_int_equal(gw_frame_info(f->m, 128, &info), -EINVAL);
	gw_u32_or_relaxed(&gw_page(f->m, 16)->flags, GW_PG_ISOLATED);
	assert_int_equal(gw_frame_info(f->m, 20, &info), 0);
	assert_int_equal(info.state, GW_STATE_ISOLATED);
	gw_u32_and_relaxed(&gw_page(f->m, 16)->flags, ~GW_PG_ISOLATED);
	fixture_destroy(f);
}

/* A frame that is changing hands, a tail by its flags and something else by its index already: the
 * reader, who holds no reference, stays on the map. */
static void
test_frame_info_torn(void **state)
{
	static const uint32_t indexes[] = {18, 1u << (PB + 1), 1u << 20, UINT32_MAX};
	struct fixture *f = seeded();
	struct gw_frame_info info;

	(void)state;
	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
		gw_frame_set_index(gw_page(f->m, 17), indexes[i]);
		assert_int_equal(gw_frame_info(f->m, 17, &info), 0);
		assert_int_equal(info.head, 17);
	}
	gw_frame_set_index(gw_page(f->m, 17), 1);
	fixture_destroy(f);
}

/* A range outside one zone, misaligned, or seeded already: -EINVAL and nothing changed. */
static void
test_seed_errors(void **state)
{
	struct fixture *f = seeded();
	struct gw_zone_info before, after;

	(void)state;
	assert_int_equal(gw_zone_info(f->m, 0, &before), 0);
	assert_int_equal(gw_seed_free(f->m, 2, 3), -EINVAL);   /* below the zone */
	assert_int_equal(gw_seed_free(f->m, 98, 3), -EINVAL);  /* across its end */
	assert_int_equal(gw_seed_free(f->m, 127, 2), -EINVAL); /* beyond the map */
	assert_int_equal(gw_seed_free(f->m, 50, 0), -EINVAL);
	assert_int_equal(gw_seed_free(f->m, 50, GW_PFN_NONE), -EINVAL);
	assert_int_equal(gw_seed_free(f->m, 47, 2), -EINVAL); /* 48 is taken */
	assert_int_equal(gw_seed_free_block(f->m, 50, 2), -EINVAL);
	assert_int_equal(gw_seed_free_block(f->m, 0, PB + 2), -EINVAL);
	assert_int_equal(gw_seed_free_block(f->m, 96, 3), -EINVAL);
	assert_int_equal(gw_seed_pcp(f->m, 48, 0), -EINVAL);
	assert_int_equal(gw_seed_pcp(f->m, 49, 2), -EINVAL);
	assert_int_equal(gw_seed_used(f->m, 15, 1), -EINVAL);
	assert_int_equal(gw_seed_movable(f->m, 51, 1, &movable_ops, 0, GW_LRU_NR), -EINVAL);
	assert_int_equal(gw_seed_movable(f->m, 52, 0, NULL, 0, GW_LRU_NR), -EINVAL);
	assert_int_equal(gw_seed_pageblock(f->m, 128, GW_MT_MOVABLE), -EINVAL);
	assert_int_equal(gw_seed_pageblock(f->m, 113, GW_MT_MOVABLE), -EINVAL); /* no zone there */
	assert_int_equal(gw_seed_pageblock(f->m, 50, GW_MT_NR), -EINVAL);
	assert_int_equal(gw_zone_info(f->m, 0, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(gw_zone_info(f->m, 1, &after), -EINVAL);
	fixture_destroy(f);
}

/* A pageblock that two zones share, or that begins in a gap, counts once (P1). */
static void
test_shared_pageblocks(void **state)
{
	struct gw_zone_config zones[] = {{.name = "a", .start = 1, .end = BLOCK + 5},
		{.name = "b", .start = BLOCK + 5, .end = 2 * BLOCK},
		{.name = "c", .start = 3 * BLOCK + 2, .end = 5 * BLOCK + 1}};
	struct gw_machine_config config;
	struct fixture *f;
	struct gw_zone_info info;

	(void)state;
	gw_machine_config_init(&config);
	config.max_order = config.pageblock_order = PB;
	config.n_frames = 6 * BLOCK;
	config.zones = zones;
	config.n_zones = 3;
	f = fixture_create_config(&config);
	fixture_check(f);
	assert_int_equal(gw_seed_pageblock(f->m, 2 * BLOCK - 1, GW_MT_UNMOVABLE), 0);
	assert_int_equal(gw_seed_pageblock(f->m, 3 * BLOCK, GW_MT_HIGHATOMIC), 0);
	assert_int_equal(gw_zone_info(f->m, 0, &info), 0);
	assert_int_equal(info.pageblocks[GW_MT_UNMOVABLE], 1);
	assert_int_equal(info.pageblocks[GW_MT_MOVABLE], 1);
	assert_int_equal(gw_zone_info(f->m, 1, &info), 0);
	assert_int_equal(info.pageblocks[GW_MT_UNMOVABLE], 0);
	assert_int_equal(gw_zone_info(f->m, 2, &info), 0);
	assert_int_equal(info.pageblocks[GW_MT_HIGHATOMIC], 1);
	assert_int_equal(info.pageblocks[GW_MT_MOVABLE], 2);
	fixture_destroy(f);
}

/* ---- gw_machine_check() ---- */

struct finding {
	const char *letter;
	bool seen;
};

static void
look_for(void *ctx, const char *line)
{
	struct finding *finding = ctx;

	assert_null(strchr(line, '\n'));
	finding->seen |= strncmp(line, finding->letter, strlen(finding->letter)) == 0;
}

/* The check must name the letter, and say as many findings as it counts. */
static void
expect_finding(struct fixture *f, const char *letter)
{
	struct finding finding = {letter, false};

	assert_int_not_equal(gw_machine_check(f->m, look_for, &finding), 0);
	if (!finding.seen)
		fail_msg("%s was planted and not found", letter);
	assert_int_not_equal(gw_machine_check(f->m, NULL, NULL), 0);
}

/* Change a plain or atomic field, expect the finding, change it back. */
#define PLANT(f, field, value, letter)                                                             \
	do {                                                                                       \
		__typeof__(((void)0, (field))) saved_ = (field); /* a value: not atomic */         \
		(field) = (__typeof__(saved_))(value);                                             \
		expect_finding((f), (letter));                                                     \
		(field) = saved_;                                                                  \
		fixture_check(f);                                                                  \
	} while (0)

static void
plant_flags(struct fixture *f, gw_pfn_t pfn, uint32_t flags, const char *letter)
{
	gw_atomic_u32 *word = &gw_page(f->m, pfn)->flags;
	uint32_t saved = gw_u32_load_relaxed(word);

	gw_u32_store_relaxed(word, flags);
	expect_finding(f, letter);
	gw_u32_store_relaxed(word, saved);
	fixture_check(f);
}

static void
plant_references(struct fixture *f, gw_pfn_t pfn, uint32_t n, const char *letter)
{
	gw_refcount *refs = &gw_page(f->m, pfn)->refcount;
	uint32_t saved = gw_ref_read(refs);

	gw_ref_set(refs, n);
	expect_finding(f, letter);
	gw_ref_set(refs, saved);
	fixture_check(f);
}

static void
plant_owner(struct fixture *f, gw_pfn_t pfn, const char *letter)
{
	gw_atomic_ptr *owner = &gw_page(f->m, pfn)->owner;

	gw_ptr_store_relaxed(owner, gw_movable_owner(&movable_ops));
	expect_finding(f, letter);
	gw_ptr_store_relaxed(owner, NULL);
	fixture_check(f);
}

static void
plant_count(struct fixture *f, gw_atomic_u64 *count, const char *letter)
{
	gw_u64_add_relaxed(count, 1);
	expect_finding(f, letter);
	gw_u64_sub_relaxed(count, 1);
	fixture_check(f);
}

/* F1 to F4, I7: the words of frames. */
static void
test_check_frames(void **state)
{
	struct fixture *f = seeded();

	(void)state;
	plant_flags(f, 8, gw_flags_make(GW_PAGE_FREE, 0), "F1"); /* leaked: in no block */
	plant_flags(f, 8, gw_flags_make(GW_PAGE_TAIL, 0), "F1");
	plant_flags(f, 8, gw_flags_make(GW_PAGE_BUDDY, 0), "F1"); /* free, on no list */
	plant_flags(f, 40, gw_flags_make(GW_PAGE_USED, 0), "F1"); /* in use, on a free list */
	plant_flags(f, 40, gw_flags_make(GW_PAGE_RESERVED, 0), "F1");
	plant_flags(f, 48, gw_flags_make(GW_PAGE_BUDDY, 0), "F1");
	plant_flags(f, 8, gw_flags_make(GW_PAGE_USED, 0) | GW_PG_LRU, "F1");
	plant_flags(f, 8, gw_flags_make(GW_PAGE_USED, 0) | GW_PG_LOCKED, "frame 0x8 is locked");
	plant_flags(f, 32, gw_flags_make(GW_PAGE_BUDDY, 2), "F3");
	plant_flags(f, 33, gw_flags_make(GW_PAGE_USED, 0), "F3");
	plant_flags(f, 17, gw_flags_make(GW_PAGE_FREE, 0), "F3");
	plant_flags(f, 8, gw_page_flags(gw_page(f->m, 8)) | GW_PG_COMPOUND, "F3");
	plant_flags(f, 16, gw_page_flags(gw_page(f->m, 16)) & ~GW_PG_COMPOUND, "F3");
	plant_flags(f, 64, gw_flags_make(GW_PAGE_USED, PB + 2) | GW_PG_COMPOUND, "F3");
	plant_flags(f, 5, GW_PG_DIRTY, "F1"); /* a reserved frame says nothing else */
	plant_owner(f, 40, "F4");
	plant_owner(f, 5, "F4");
	plant_owner(f, 17, "F4"); /* a tail */
	plant_owner(f, 33, "F4"); /* inside a free block */
	plant_owner(f, 48, "F4");
	plant_references(f, 8, 0, "F2");
	plant_references(f, 40, 1, "F2");
	plant_references(f, 5, 1, "F2");
	plant_references(f, 17, 1, "I7");
	PLANT(f, gw_page(f->m, 17)->index.v, 2, "F3");
	PLANT(f, gw_page(f->m, 40)->index.v, GW_MT_UNMOVABLE, "F1");
	fixture_destroy(f);
}

/* Z1, Z2, Z4, Z5, L1, E1, P1: the zone's lists and counts. */
static void
test_check_zone(void **state)
{
	struct fixture *f = seeded();
	struct gw_zone *zone = &f->m->zones[0];
	struct gw_page_list *singles = &zone->free_area[0].lists[GW_MT_MOVABLE];

	(void)state;
	plant_flags(f, 9, gw_flags_make(GW_PAGE_USED, 1), "Z1");
	gw_u32_store_relaxed(&gw_page(f->m, 96)->flags, gw_flags_make(GW_PAGE_USED, 0));
	gw_ref_set(&gw_page(f->m, 96)->refcount, 1);
	gw_u64_add_relaxed(&zone->managed, 1);
	plant_flags(f, 96, gw_flags_make(GW_PAGE_USED, 3), "Z4");
	plant_count(f, &zone->managed, "E1");
	PLANT(f, zone->free_area[3].nr_free, 2, "Z2");
	plant_count(f, &zone->nr_free, "Z2");
	plant_count(f, &zone->nr_free_cma, "Z2");
	plant_count(f, &zone->nr_free_highatomic, "Z2");
	gw_u32_or_relaxed(&zone->free_orders[GW_MT_CMA], 1);
	expect_finding(f, "Z5");
	gw_u32_and_relaxed(&zone->free_orders[GW_MT_CMA], ~1u);
	gw_u8_store_relaxed(&f->m->pageblocks[2], GW_MT_RECLAIMABLE);
	expect_finding(f, "Z5");
	expect_finding(f, "P1");
	gw_u8_store_relaxed(&f->m->pageblocks[2], GW_MT_MOVABLE);
	PLANT(f, zone->pageblocks[GW_MT_CMA], 1, "P1");

	PLANT(f, singles->n, singles->n + 1, "L1");
	PLANT(f, singles->n, singles->n - 1, "L1");
	PLANT(f, singles->last, singles->first, "L1");
	PLANT(f, gw_page(f->m, singles->last)->prev, GW_PFN_NONE, "L1");
	PLANT(f, gw_page(f->m, singles->last)->next, singles->first, "L1"); /* a ring */
	PLANT(f, gw_page(f->m, singles->first)->next, 1u << 30, "L1");	    /* off the map */
	PLANT(f, gw_page(f->m, singles->first)->next, GW_PFN_NONE, "L1");
	fixture_destroy(f);
}

/* A frame of another zone on a zone's list (Z4), a page on two lists (F1). */
static void
test_check_foreign_frame(void **state)
{
	struct gw_zone_config zones[] = {
		{.name = "a", .end = BLOCK}, {.name = "b", .start = BLOCK, .end = 2 * BLOCK}};
	struct gw_machine_config config;
	struct fixture *f;
	struct gw_zone *zone;

	(void)state;
	gw_machine_config_init(&config);
	config.max_order = config.pageblock_order = PB;
	config.n_frames = 2 * BLOCK;
	config.zones = zones;
	config.n_zones = 2;
	f = fixture_create_config(&config);
	assert_int_equal(gw_seed_free_block(f->m, BLOCK, 0), 0);
	zone = f->m->zones;
	zone[0].free_area[0] = zone[1].free_area[0];
	expect_finding(f, "Z4");
	expect_finding(f, "F1");
	gw_page_list_init(&zone[0].free_area[0].lists[GW_MT_MOVABLE]);
	zone[0].free_area[0].nr_free = 0;
	fixture_destroy(f);
}

/* Q1, U1 to U3: per-CPU lists and LRU lists. */
static void
test_check_pcp_and_lru(void **state)
{
	struct fixture *f = seeded();
	struct gw_node *node = &f->m->nodes[0];
	uint32_t flags = gw_page_flags(gw_page(f->m, 16));

	(void)state;
	PLANT(f, f->m->zones[0].pcp[1].n_frames, 2, "Q1");
	plant_flags(f, 16, flags | GW_PG_ACTIVE, "U1");
	plant_flags(f, 16, flags & ~GW_PG_LRU, "U1");
	plant_flags(f, 8, gw_page_flags(gw_page(f->m, 8)) | GW_PG_LRU_HELD, "U3");
	plant_count(f, &node->lru_frames[GW_LRU_INACTIVE_FILE], "U2");
	plant_count(f, &node->lru_frames[GW_LRU_UNEVICTABLE], "U2");
	plant_count(f, &node->isolated_frames[0], "U3");
	plant_count(f, &node->isolated_frames[1], "U3");
	fixture_destroy(f);
}

/* U4: the pages in LRU batches. */
static void
test_check_batches(void **state)
{
	struct fixture *f = seeded();
	struct gw_lru_batch *batch = &f->m->lru_batches[0];
	uint32_t flags;

	(void)state;
	f->m->config.lru_batch = 4;
	gw_lru_add(f->m, 8, GW_LRU_ACTIVE_ANON);
	fixture_check(f);
	flags = gw_page_flags(gw_page(f->m, 8));
	plant_flags(f, 8, flags & ~GW_PG_LRU_BATCHED, "U1");
	plant_flags(f, 8, flags | GW_PG_LRU, "U1");
	plant_flags(f, 9, gw_page_flags(gw_page(f->m, 9)) | GW_PG_LRU_BATCHED, "F1");
	PLANT(f, batch->n, 0, "F1"); /* forgotten */
	PLANT(f, batch->n, 5, "U4");
	PLANT(f, batch->pages[0], 1u << 30, "U4");
	batch->pages[1] = 8;
	PLANT(f, batch->n, 2, "F1"); /* twice */
	fixture_destroy(f);
}

/* Without memory for its own bitmap the check does not say that all is well. */
static void
test_check_without_memory(void **state)
{
	struct fixture *f = seeded();

	(void)state;
	f->fail_at = gw_u64_load_relaxed(&f->allocations) + 1;
	assert_int_equal(gw_machine_check(f->m, NULL, NULL), 1);
	fixture_destroy(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_errors),
		cmocka_unit_test(test_create_survives_each_failed_alloc),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_frame_info),
		cmocka_unit_test(test_frame_info_torn),
		cmocka_unit_test(test_seed_errors),
		cmocka_unit_test(test_shared_pageblocks),
		cmocka_unit_test(test_check_frames),
		cmocka_unit_test(test_check_zone),
		cmocka_unit_test(test_check_foreign_frame),
		cmocka_unit_test(test_check_pcp_and_lru),
		cmocka_unit_test(test_check_batches),
		cmocka_unit_test(test_check_without_memory),
	};

	return cmocka_run_group_tests_name("seed_check", tests, NULL, NULL);
}
