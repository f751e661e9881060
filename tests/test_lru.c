/* SPDX-License-Identifier: MIT */
/*
 * LRU lists, the batches before them, and isolation from them (D1, D12, D21, D22); splitting.
 */
#include "test.h"

#include "engine/phys/buddy.h"
#include "godwit/seed.h"
#include "machine_fixture.h"

#define PB     4
#define FRAMES (1u << 10)

/* Two nodes of 512 frames, two CPUs, batches of `lru_batch`. */
static struct fixture *
machine(unsigned lru_batch)
{
	struct gw_zone_config zones[] = {
		{.name = "zone", .end = FRAMES / 2},
		{.name = "zone", .node = 1, .start = FRAMES / 2, .end = FRAMES},
	};
	struct gw_machine_config config;
	struct fixture *f;

	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.n_frames = FRAMES;
	config.zones = zones;
	config.n_zones = 2;
	config.lru_batch = lru_batch;
	f = fixture_create_config(&config);
	assert_int_equal(gw_seed_free(f->m, 0, FRAMES / 2), 0);
	assert_int_equal(gw_seed_free(f->m, FRAMES / 2, FRAMES / 2), 0);
	gw_seed_done(f->m);
	return f;
}

static gw_pfn_t
page_of_node(struct fixture *f, unsigned node, unsigned order)
{
	gw_pfn_t pfn = GW_PFN_NONE;

	assert_int_equal(gw_alloc_from_zonelist(f->m, GW_GFP_MOVABLE | GW_GFP_THISNODE, node, order,
				 GW_WMARK_MIN, &pfn),
		0);
	return pfn;
}

static uint32_t
references(struct fixture *f, gw_pfn_t pfn)
{
	return gw_ref_read(&gw_page(f->m, pfn)->refcount);
}

static uint64_t
isolated(struct fixture *f, unsigned node, unsigned file)
{
	return gw_u64_load_relaxed(&f->m->nodes[node].isolated_frames[file]);
}

/* A page goes to the list named, of its node; counts are in frames. Freed, it leaves it. */
static void
test_lists(void **state)
{
	struct fixture *f = machine(0);
	gw_pfn_t pages[2][GW_LRU_NR];

	(void)state;
	for (unsigned node = 0; node < 2; node++)
		for (unsigned l = 0; l < GW_LRU_NR; l++) {
			pages[node][l] = page_of_node(f, node, l % 3);
			gw_lru_add(f->m, pages[node][l], l);
			assert_int_equal(references(f, pages[node][l]), 1);
		}
	fixture_check(f);
	for (unsigned node = 0; node < 2; node++)
		for (unsigned l = 0; l < GW_LRU_NR; l++) {
			assert_int_equal(gw_lru_count(f->m, node, l), 1 << l % 3);
			gw_put_page(f->m, pages[node][l]);
			assert_int_equal(gw_lru_count(f->m, node, l), 0);
		}
	assert_int_equal(gw_lru_count(f->m, 2, GW_LRU_INACTIVE_ANON), 0); /* no such node */
	fixture_destroy(f);
}

/* Pages wait in their CPU's batch, each with a reference of the batch, until it is full (D21). */
static void
test_batch(void **state)
{
	struct fixture *f = machine(4);
	gw_pfn_t pages[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		pages[i] = page_of_node(f, i % 2, 0);
	for (unsigned i = 0; i < 3; i++) {
		gw_lru_add(f->m, pages[i], GW_LRU_ACTIVE_FILE);
		assert_int_equal(references(f, pages[i]), 2);
		assert_int_equal(gw_lru_isolate(f->m, pages[i], GW_ISOLATE_BOTH), -EBUSY);
	}
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_ACTIVE_FILE), 0);
	fixture_check(f);
	gw_lru_add(f->m, pages[3], GW_LRU_ACTIVE_FILE);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_ACTIVE_FILE), 2);
	assert_int_equal(gw_lru_count(f->m, 1, GW_LRU_ACTIVE_FILE), 2);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(references(f, pages[i]), 1);
		gw_put_page(f->m, pages[i]);
	}
	fixture_destroy(f);
}

/* A local drain empties this CPU's batch and no other (D21); the explicit triggers drain all (D22).
 */
static void
test_drain(void **state)
{
	struct fixture *f = machine(15);
	gw_pfn_t here = page_of_node(f, 0, 0), there = page_of_node(f, 0, 0);
	struct gw_task other;

	(void)state;
	gw_lru_add(f->m, here, GW_LRU_INACTIVE_ANON);
	assert_int_equal(gw_task_attach(&other, f->m, 1), 0);
	gw_lru_add(f->m, there, GW_LRU_INACTIVE_ANON);
	gw_task_detach(&other);
	gw_lru_add_drain(f->m);
	assert_int_equal(references(f, here), 1);
	assert_int_equal(references(f, there), 2);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_INACTIVE_ANON), 1);
	gw_lru_add_drain_all(f->m);
	assert_int_equal(references(f, there), 1);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_INACTIVE_ANON), 2);
	gw_put_page(f->m, here);
	gw_put_page(f->m, there);
	fixture_destroy(f);
}

/* A page whose owner is done with it while it is batched lives until the drain, which frees it. */
static void
test_freed_while_batched(void **state)
{
	struct fixture *f = machine(15);
	gw_pfn_t pfn = page_of_node(f, 0, 2);

	(void)state;
	gw_lru_add(f->m, pfn, GW_LRU_ACTIVE_ANON);
	gw_put_page(f->m, pfn);
	assert_int_equal(fixture_free_frames(f), FRAMES / 2 - 4);
	gw_lru_add_drain(f->m);
	assert_int_equal(fixture_free_frames(f), FRAMES / 2);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_ACTIVE_ANON), 0);
	fixture_destroy(f);
}

/* Isolation takes a page off its list with a reference, and counts it (D12); putting back returns
 * it to the list it came from. Twice is once too often. */
static void
test_isolate_and_putback(void **state)
{
	struct fixture *f = machine(0);

	(void)state;
	for (unsigned l = 0; l < GW_LRU_NR; l++) {
		unsigned file = l == GW_LRU_INACTIVE_FILE || l == GW_LRU_ACTIVE_FILE;
		gw_pfn_t pfn = page_of_node(f, 1, 3);

		gw_lru_add(f->m, pfn, l);
		assert_int_equal(gw_lru_isolate(f->m, pfn, GW_ISOLATE_BOTH), 0);
		assert_int_equal(references(f, pfn), 2);
		assert_int_equal(gw_lru_count(f->m, 1, l), 0);
		assert_int_equal(isolated(f, 1, file), 8);
		assert_int_equal(isolated(f, 1, !file), 0);
		assert_int_equal(gw_lru_isolate(f->m, pfn, GW_ISOLATE_BOTH), -EBUSY);
		fixture_check(f);

		gw_lru_putback(f->m, pfn);
		gw_lru_putback(f->m, pfn); /* on no list of isolated ones: nothing to do */
		assert_int_equal(references(f, pfn), 2);
		assert_int_equal(gw_lru_count(f->m, 1, l), 8);
		assert_int_equal(isolated(f, 1, file), 0);
		gw_put_page(f->m, pfn);
		gw_put_page(f->m, pfn);
	}
	fixture_destroy(f);
}

/* D1: INACTIVE, ACTIVE and BOTH, of values 0, 1, 2; a page on the other list stays, untouched. */
static void
test_isolation_modes(void **state)
{
	static const struct {
		enum gw_lru lru;
		int inactive, active;
	} rows[] = {
		{GW_LRU_INACTIVE_ANON, 0, -EINVAL},
		{GW_LRU_ACTIVE_ANON, -EINVAL, 0},
		{GW_LRU_INACTIVE_FILE, 0, -EINVAL},
		{GW_LRU_ACTIVE_FILE, -EINVAL, 0},
		{GW_LRU_UNEVICTABLE, 0, -EINVAL},
	};
	struct fixture *f = machine(0);

	(void)state;
	assert_int_equal(GW_ISOLATE_INACTIVE, 0);
	assert_int_equal(GW_ISOLATE_ACTIVE, 1);
	assert_int_equal(GW_ISOLATE_BOTH, 2);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const int expected[] = {rows[i].inactive, rows[i].active, 0};
		gw_pfn_t pfn = page_of_node(f, 0, 0);

		gw_lru_add(f->m, pfn, rows[i].lru);
		for (enum gw_isolate_mode mode = GW_ISOLATE_INACTIVE; mode <= GW_ISOLATE_BOTH;
			mode++) {
			assert_int_equal(gw_lru_isolate(f->m, pfn, mode), expected[mode]);
			assert_int_equal(references(f, pfn), expected[mode] ? 1 : 2);
			if (expected[mode])
				continue;
			gw_lru_putback(f->m, pfn);
			gw_put_page(f->m, pfn);
		}
		assert_int_equal(gw_lru_count(f->m, 0, rows[i].lru), 1);
		gw_put_page(f->m, pfn);
	}
	fixture_destroy(f);
}

/* After a move the new page has the LRU place of the old one, also on another node, and the old
 * one's isolation is over (A2). */
static void
test_putback_as(void **state)
{
	struct fixture *f = machine(0);
	gw_pfn_t from = page_of_node(f, 0, 0), winner = page_of_node(f, 1, 0);

	(void)state;
	gw_lru_add(f->m, from, GW_LRU_ACTIVE_FILE);
	assert_int_equal(gw_lru_isolate(f->m, from, GW_ISOLATE_BOTH), 0);
	gw_lru_putback_as(f->m, from, winner);
	assert_int_equal(isolated(f, 0, 1), 0);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_ACTIVE_FILE), 0);
	assert_int_equal(gw_lru_count(f->m, 1, GW_LRU_ACTIVE_FILE), 1);
	fixture_check(f);
	gw_put_page(f->m, from);
	gw_put_page(f->m, from);
	gw_put_page(f->m, winner);
	fixture_destroy(f);
}

/* A page whose last reference is gone and that has not left its list yet cannot be isolated: the
 * one who frees it wins. */
static void
test_isolation_loses_to_free(void **state)
{
	struct fixture *f = machine(0);
	gw_pfn_t pfn = page_of_node(f, 0, 0);
	gw_refcount *refs = &gw_page(f->m, pfn)->refcount;

	(void)state;
	gw_lru_add(f->m, pfn, GW_LRU_INACTIVE_ANON);
	assert_true(gw_ref_freeze(refs, 1)); /* as between the last put and the list */
	assert_int_equal(gw_lru_isolate(f->m, pfn, GW_ISOLATE_BOTH), -EBUSY);
	assert_int_equal(isolated(f, 0, 0), 0);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_INACTIVE_ANON), 1);
	gw_ref_unfreeze(refs, 1);
	gw_put_page(f->m, pfn);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_INACTIVE_ANON), 0);
	fixture_destroy(f);
}

/* A compound page split while isolated: single pages of the same owner and index, one reference
 * each, isolated like the head; the counts stay what they were. */
static void
test_split(void **state)
{
	static const struct gw_movable_ops ops;
	struct fixture *f = machine(0);
	gw_pfn_t pfn = page_of_node(f, 0, 3);

	(void)state;
	gw_ptr_store_relaxed(&gw_page(f->m, pfn)->owner, gw_movable_owner(&ops));
	gw_frame_set_index(gw_page(f->m, pfn), 77);
	gw_lru_add(f->m, pfn, GW_LRU_ACTIVE_FILE);
	assert_int_equal(gw_lru_isolate(f->m, pfn, GW_ISOLATE_BOTH), 0);
	gw_split_page(f->m, pfn, 3, 1);
	fixture_check(f);
	assert_int_equal(isolated(f, 0, 1), 8);
	for (gw_pfn_t i = 0; i < 8; i++) {
		struct gw_frame_info frame;

		assert_int_equal(gw_frame_info(f->m, pfn + i, &frame), 0);
		assert_int_equal(frame.state, GW_STATE_MOVABLE);
		assert_int_equal(frame.order, 0);
		assert_int_equal(frame.head, pfn + i);
		assert_int_equal(frame.index, 77);
		assert_int_equal(frame.refcount, i == 0 ? 2 : 1);
		gw_lru_putback(f->m, pfn + i);
	}
	assert_int_equal(isolated(f, 0, 1), 0);
	assert_int_equal(gw_lru_count(f->m, 0, GW_LRU_ACTIVE_FILE), 8);
	gw_put_page(f->m, pfn);
	for (gw_pfn_t i = 0; i < 8; i++)
		gw_put_page(f->m, pfn + i);
	assert_int_equal(fixture_free_frames(f), FRAMES / 2);
	fixture_destroy(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_freed_while_batched),
		cmocka_unit_test(test_isolate_and_putback),
		cmocka_unit_test(test_isolation_modes),
		cmocka_unit_test(test_putback_as),
		cmocka_unit_test(test_isolation_loses_to_free),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests_name("lru", tests, NULL, NULL);
}
