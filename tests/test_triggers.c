/* SPDX-License-Identifier: MIT */
/*
 * test_triggers.c - compaction on demand, and which LRU batches a run drains (FACTS 1.4 rows D14,
 * D15, D21, D22, R13; 3.4).
 */
#include "compact_fixture.h"

#include <errno.h>

#define PB 4

/* Two nodes of 64 frames, each with one page on its LRU at its bottom. */
static struct world *
two_nodes(void)
{
	struct gw_zone_config zones[2] = {
		{.name = "A", .end = 64}, {.name = "B", .node = 1, .start = 64, .end = 128}};
	struct gw_machine_config config;
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.n_frames = 128;
	config.zones = zones;
	config.n_zones = 2;
	w->f = fixture_create_config(&config);
	w->f->user = w;
	w->m = w->f->m;
	for (unsigned node = 0; node < 2; node++) {
		world_draw(w, node * 64, "m...............");
		world_fill(w, node * 64 + 16, 32, 'u');
		world_draw(w, node * 64 + 48, "u...............");
	}
	world_ready(w);
	return w;
}

/* D15: one node; D14: all of them; neither counts as a stall (FACTS 3.4). */
static void
triggers(void **state)
{
	struct world *w = two_nodes();

	(void)state;
	assert_int_equal(gw_compact_node(w->m, 2), -EINVAL);
	assert_int_equal(gw_compact_node(w->m, 1), 0);
	assert_int_equal(world_letter(w, 0), 'm');
	assert_int_equal(world_letter(w, 113), 'm');
	gw_compact_all_zones(w->m);
	assert_int_equal(world_letter(w, 49), 'm');
	assert_int_equal(gw_machine_count(w->m, GW_VM_PGMIGRATE_SUCCESS), 2);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_ISOLATED), 4); /* and targets */
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_STALL), 0);
	assert_int_equal(gw_machine_count(w->m, GW_VM_COMPACT_SUCCESS), 0);
	world_destroy(w);
}

/* D14, D21, D22: a page in another CPU's LRU batch moves after a trigger, not after a plain run. */
static void
triggers_drain_all_lru_batches(void **state)
{
	struct world *w = two_nodes();
	struct gw_compact_request request = whole_zone_request();
	struct gw_task other;

	(void)state;
	assert_int_equal(gw_task_attach(&other, w->m, 1), 0);
	gw_lru_add(w->m, 0, GW_LRU_INACTIVE_ANON);
	gw_task_detach(&other);
	assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_COMPLETE);
	assert_int_equal(world_letter(w, 0), 'm'); /* the batch's reference pins it */
	gw_compact_all_zones(w->m);
	assert_int_not_equal(world_letter(w, 0), 'm');
	world_destroy(w);
}

/* D21: a run's start drains this CPU's own batch. */
static void
runs_drain_local_lru_batch(void **state)
{
	struct world *w = two_nodes();
	struct gw_compact_request request = whole_zone_request();

	(void)state;
	gw_lru_add(w->m, 0, GW_LRU_INACTIVE_ANON);
	gw_compact_zone(w->m, 0, &request, NULL);
	assert_int_not_equal(world_letter(w, 0), 'm');
	world_destroy(w);
}

static int
move_and_batch(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct world *w = fixture_of(m)->user;
	gw_pfn_t *later = w->extra;

	if (*later != GW_PFN_NONE)
		gw_lru_add(m, *later, GW_LRU_INACTIVE_ANON);
	*later = GW_PFN_NONE;
	return world_move(m, dst, src, mode);
}

/* D22: batches are drained when a zone's run begins, not again for each batch of pages: a page that
 * is added to the LRU meanwhile stays. */
static void
batches_are_drained_once_per_zone(void **state)
{
	static const struct gw_movable_ops ops = {.migrate = move_and_batch};
	struct world *w = world_create(128, PB, PB + 1, 1, NULL);
	struct gw_compact_request request = whole_zone_request();
	gw_pfn_t later = 32;

	(void)state;
	world_draw(w, 0, "m...............");
	world_draw(w, 16, "m...............");
	world_draw(w, 32, "mm..............");
	world_fill(w, 48, 64, 'u');
	world_draw(w, 112, "u...............");
	world_ready(w);
	gw_page_set_movable(w->m, 0, &ops, gw_page_index(w->m, 0));
	w->extra = &later;
	assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_COMPLETE);
	assert_int_equal(later, GW_PFN_NONE);
	assert_int_equal(world_letter(w, 16), 'p');
	assert_int_equal(world_letter(w, 32), 'm');
	assert_int_equal(world_letter(w, 33), 'p');
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(triggers),
		cmocka_unit_test(triggers_drain_all_lru_batches),
		cmocka_unit_test(runs_drain_local_lru_batch),
		cmocka_unit_test(batches_are_drained_once_per_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
