/* SPDX-License-Identifier: MIT */
/*
 * test_direct.c - whether compaction is worth it, and compaction on behalf of an allocation
 * (FACTS 1.4 rows D16 to D20; 1.5, 3.6).
 *
 * Zones are drawn in pageblocks of 16 frames unless a test says otherwise. world_destroy()
 * checks the machine and every page's bytes.
 */
#include "compact_fixture.h"

#include <errno.h>

#define PB	  4
#define PB_FRAMES 16
#define SPARSE	  "m..m..m..m..m..m" /* 6 pages; free blocks of orders 0 and 1 */
#define SINGLES	  "u.u.u.u.u.u.u.u." /* room for 8 single frames */

static struct world *
small_world(unsigned pageblocks)
{
	return world_create(pageblocks * PB_FRAMES, PB, PB + 1, 1, NULL);
}

static void
draw_blocks(struct world *w, unsigned first, unsigned n, const char *block)
{
	for (unsigned b = first; b < first + n; b++)
		world_draw(w, b * PB_FRAMES, block);
}

/* D17: free frames must exceed the watermark and twice the block; min for orders up to 3. */
static void
suitability_by_room(void **state)
{
	const struct gw_zone_config zone = {.wmark_min = 90, .wmark_low = 100, .wmark_high = 110};

	(void)state;
	for (unsigned extra = 0; extra < 2; extra++) {
		struct world *w = world_create(20 * PB_FRAMES, PB, PB + 1, 1, &zone);
		unsigned n = 100 + (2u << PB) + extra;

		for (gw_pfn_t pfn = 0; pfn < 20 * PB_FRAMES; pfn++)
			world_draw(w, pfn, pfn % 2 && pfn / 2 < n ? "." : "u");
		world_ready(w);
		assert_int_equal(gw_compact_suitable(w->m, 0, PB),
			extra ? GW_COMPACT_CONTINUE : GW_COMPACT_SKIPPED);
		assert_int_equal(gw_compact_suitable(w->m, 0, 3), GW_COMPACT_CONTINUE);
		assert_int_equal(gw_compact_suitable(w->m, 0, -1), GW_COMPACT_CONTINUE);
		world_destroy(w);
	}
}

/* D17: SUCCESS when the block is there already. */
static void
suitability_success(void **state)
{
	struct world *w = small_world(4);

	(void)state;
	world_fill(w, 0, 64, '.');
	world_ready(w);
	assert_int_equal(gw_compact_suitable(w->m, 0, PB), GW_COMPACT_SUCCESS);
	world_destroy(w);
}

/* D18, FACTS 1.5: 1000 free blocks one order too small have index 499: never compacted at 500. */
static void
suitability_by_index(void **state)
{
	struct world *w = world_create(1000 * 512, 9, 10, 1, NULL);
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	for (gw_pfn_t b = 0; b < 1000; b++) {
		assert_int_equal(gw_seed_free_block(w->m, b * 512, 8), 0);
		assert_int_equal(gw_seed_used(w->m, b * 512 + 256, 256), 0);
	}
	world_ready(w);
	assert_int_equal(gw_compact_suitable(w->m, 0, 9), GW_COMPACT_NOT_SUITABLE_ZONE);
	request.order = 9;
	request.direct = true;
	assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_NOT_SUITABLE_ZONE);
	request.direct = false; /* a planner has nowhere else to turn */
	assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_COMPLETE);
	w->m->config.extfrag_threshold = 499; /* index <= threshold */
	assert_int_equal(gw_compact_suitable(w->m, 0, 9), GW_COMPACT_NOT_SUITABLE_ZONE);
	w->m->config.extfrag_threshold = 498;
	assert_int_equal(gw_compact_suitable(w->m, 0, 9), GW_COMPACT_CONTINUE);
	world_destroy(w);
}

static uint64_t
count(const struct world *w, enum gw_vm_event event)
{
	return gw_machine_count(w->m, event);
}

/* D16: a costly order that fails compacts, is served, and counts one stall and one success. */
static void
direct_compaction_serves_high_orders(void **state)
{
	struct world *w = small_world(12);
	struct gw_zone_info info;
	gw_pfn_t pfn;

	(void)state;
	draw_blocks(w, 0, 12, "..m..m..m..m..mm"); /* ASYNC looks at every 32nd frame */
	world_ready(w);
	/* D16, FACTS 2.1: not without DIRECT_RECLAIM and IO. */
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, PB, &pfn), -ENOMEM);
	assert_int_equal(
		gw_alloc_pages(w->m, GW_GFP_MOVABLE | GW_GFP_DIRECT_RECLAIM, 0, PB, &pfn), -ENOMEM);
	/* Not for a task that frees memory itself. */
	w->f->task.flags |= GW_TASK_MEMALLOC;
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &pfn), -ENOMEM);
	w->f->task.flags &= ~(uint32_t)GW_TASK_MEMALLOC;
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 0);

	gw_compact_defer(w->m, 0, PB);
	assert_true(gw_compact_deferred(w->m, 0, PB));
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &pfn), 0);
	assert_int_equal(pfn % PB_FRAMES, 0);
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 1);
	assert_int_equal(count(w, GW_VM_COMPACT_SUCCESS), 1);
	assert_int_equal(count(w, GW_VM_COMPACT_FAIL), 0);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.defer_shift, 0); /* D20: it really got a page */
	gw_put_page(w->m, pfn);
	world_destroy(w);
}

/* D16: orders up to 3 are compacted for as well, one that is not movable with ASYNC first. */
static void
direct_compaction_for_small_orders(void **state)
{
	static const gw_gfp_t gfps[] = {GW_GFP_USER_MOVABLE, GW_GFP_KERNEL};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = small_world(12);
		gw_pfn_t pfn;

		draw_blocks(w, 0, 12, SPARSE);
		world_ready(w);
		assert_int_equal(gw_alloc_pages(w->m, gfps[i], 0, 3, &pfn), 0);
		/* ASYNC finds no pageblock of type UNMOVABLE to scan: a stall and a failure. */
		assert_int_equal(count(w, GW_VM_COMPACT_STALL), i ? 2 : 1);
		assert_int_equal(count(w, GW_VM_COMPACT_FAIL), i);
		gw_put_page(w->m, pfn);
		world_destroy(w);
	}
}

/* D16, D19: failures are counted and put the next tries off; nothing stalls while deferred. */
static void
direct_compaction_fails_and_defers(void **state)
{
	struct world *w = small_world(12);
	struct gw_zone_info info;
	gw_pfn_t pfn;

	(void)state;
	draw_blocks(w, 0, 12, SINGLES);
	world_ready(w);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &pfn), -ENOMEM);
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 2); /* ASYNC, SYNC_LIGHT */
	assert_int_equal(count(w, GW_VM_COMPACT_FAIL), 2);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.defer_shift, 1);
	/* FACTS 3.6: costly, NORETRY and deferred: fail now. */
	assert_int_equal(
		gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE | GW_GFP_NORETRY, 0, PB, &pfn), -ENOMEM);
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 2);
	/* Its turn: NORETRY means ASYNC both times, and ASYNC defers nothing. */
	assert_int_equal(
		gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE | GW_GFP_NORETRY, 0, PB, &pfn), -ENOMEM);
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 4);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.defer_shift, 1);
	world_destroy(w);
}

/* FACTS 3.6: for orders up to 3 the priority rises to a full run, which defers no more. */
static void
priority_rises_for_small_orders(void **state)
{
	struct world *w = small_world(12);
	gw_pfn_t pfn;

	(void)state;
	draw_blocks(w, 0, 12, SINGLES);
	world_ready(w);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, 2, &pfn), -ENOMEM);
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 2); /* SYNC_LIGHT, SYNC_FULL */
	assert_int_equal(
		gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE | GW_GFP_NORETRY, 0, 2, &pfn), -ENOMEM);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_KERNEL, 1, 2, &pfn), -EINVAL);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_KERNEL, 0, PB + 2, &pfn), -EINVAL);
	world_destroy(w);
}

/* Order 0 never compacts: there is nothing to put together. */
static void
order_0_does_not_compact(void **state)
{
	struct world *w = small_world(2);
	gw_pfn_t pfn;

	(void)state;
	world_fill(w, 0, 32, 'm');
	world_ready(w);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, 0, &pfn), -ENOMEM);
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 0);
	assert_int_equal(count(w, GW_VM_COMPACT_MIGRATE_SCANNED), 0);
	world_destroy(w);
}

/* Five blocks, the fourth of which costs least to empty. */
static struct world *
one_cheap_block(enum gw_direct_compaction direct)
{
	struct world *w = small_world(5);

	draw_blocks(w, 0, 3, "..m..m..m..m..mm");
	world_draw(w, 3 * PB_FRAMES, "......m.........");
	draw_blocks(w, 4, 1, "..m..m..m..m..mm");
	world_ready(w);
	assert_int_equal(gw_compact_set_direct(w->m, direct), 0);
	return w;
}

/* DESIGN 7: who compacts for an allocation can be chosen. Evacuate moves the one page of the
 * cheapest block, and no more once the block is captured (FACTS 2.1); the scanners begin below. */
static void
direct_compaction_by_either_planner(void **state)
{
	for (unsigned i = GW_DIRECT_SCANNERS; i <= GW_DIRECT_EVACUATE; i++) {
		struct world *w = one_cheap_block((enum gw_direct_compaction)i);
		bool cheapest = i == GW_DIRECT_EVACUATE;
		gw_pfn_t pfn;

		assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &pfn), 0);
		assert_int_equal(pfn, cheapest ? 3 * PB_FRAMES : 0);
		assert_int_equal(count(w, GW_VM_PGMIGRATE_SUCCESS), cheapest ? 1 : 6);
		assert_int_equal(count(w, GW_VM_COMPACT_SUCCESS), 1);
		gw_put_page(w->m, pfn);
		world_destroy(w);
	}
	(void)state;
}

/* DESIGN 7: without direct compaction a high order has what is free. */
static void
direct_compaction_off(void **state)
{
	struct world *w = one_cheap_block(GW_DIRECT_OFF);
	gw_pfn_t pfn;

	(void)state;
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &pfn), -ENOMEM);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_KERNEL | GW_GFP_MOVABLE, 0, 2, &pfn), 0);
	gw_put_page(w->m, pfn);
	assert_int_equal(count(w, GW_VM_PGMIGRATE_SUCCESS), 0);
	assert_int_equal(count(w, GW_VM_COMPACT_STALL), 0);
	assert_int_equal(gw_compact_set_direct(w->m, GW_DIRECT_SCANNERS), 0);
	assert_int_equal(
		gw_compact_set_direct(w->m, (enum gw_direct_compaction)(GW_DIRECT_OFF + 1)),
		-EINVAL);
	assert_int_equal(gw_alloc_pages(w->m, GW_GFP_USER_MOVABLE, 0, PB, &pfn), 0);
	gw_put_page(w->m, pfn);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suitability_by_room),
		cmocka_unit_test(suitability_success),
		cmocka_unit_test(suitability_by_index),
		cmocka_unit_test(direct_compaction_serves_high_orders),
		cmocka_unit_test(direct_compaction_for_small_orders),
		cmocka_unit_test(direct_compaction_fails_and_defers),
		cmocka_unit_test(priority_rises_for_small_orders),
		cmocka_unit_test(order_0_does_not_compact),
		cmocka_unit_test(direct_compaction_by_either_planner),
		cmocka_unit_test(direct_compaction_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
