/* SPDX-License-Identifier: MIT */
/*
 * test_compact_races.c - what a run sees of memory that changes under it (FACTS 1.4 rows D11, D12,
 * R11).
 */
#include "compact_fixture.h"

#include <pthread.h>
#include <unistd.h>

#include "engine/phys/buddy.h"

#define PB	  4
#define PB_FRAMES (1u << PB)
#define BLOCKS	  8

static struct world *
small_world(void)
{
	return world_create(BLOCKS * PB_FRAMES, PB, PB + 1, 2, NULL);
}

/* R11: an order read of a frame that is changing hands leads no further than its pageblock's end.
 */
static void
stale_order_is_clamped(void **state)
{
	struct gw_compact_request request = whole_zone_request();
	struct world *w = small_world();
	gw_atomic_u32 *word = &gw_page(w->m, 2)->flags;
	uint32_t saved;

	(void)state;
	world_draw(w, 0, "m.um............");
	world_draw(w, PB_FRAMES, "mm..............");
	world_fill(w, 2 * PB_FRAMES, 5 * PB_FRAMES, 'u');
	world_draw(w, 7 * PB_FRAMES, "u...............");
	world_ready(w);
	saved = gw_u32_load_relaxed(word);
	gw_u32_store_relaxed(word, gw_flags_make(GW_PAGE_BUDDY, GW_ORDERS_MAX - 1));
	assert_int_equal(gw_compact_zone(w->m, 0, &request, NULL), GW_COMPACT_COMPLETE);
	gw_u32_store_relaxed(word, saved);
	assert_int_equal(world_letter(w, 0), 'p'); /* before it: moved, freed to this CPU's list */
	assert_int_equal(world_letter(w, 3), 'm'); /* hidden by it */
	assert_int_equal(world_letter(w, PB_FRAMES), 'p'); /* the next pageblock is scanned */
	assert_int_equal(world_letter(w, PB_FRAMES + 1), 'p');
	world_destroy(w);
}

struct runner {
	struct world *w;
	struct gw_task task;
	gw_atomic_u32 attached;
	enum gw_compact_result result;
	pthread_t thread;
};

static void *
run_whole_zone(void *arg)
{
	const struct gw_compact_request request = whole_zone_request();
	struct runner *r = arg;

	if (gw_task_attach(&r->task, r->w->m, 1))
		abort();
	gw_u32_store_release(&r->attached, 1);
	r->result = gw_compact_zone(r->w->m, 0, &request, NULL);
	gw_task_detach(&r->task);
	return NULL;
}

/* D11: a block that looked free without the zone lock and is not any more, with it, is not taken.
 */
static void
free_blocks_are_believed_only_under_the_lock(void **state)
{
	struct world *w = small_world();
	struct runner r = {.w = w};
	gw_pfn_t last = (BLOCKS - 1) * PB_FRAMES;

	(void)state;
	world_draw(w, 0, "m...............");
	world_fill(w, PB_FRAMES, (BLOCKS - 2) * PB_FRAMES, 'u');
	world_draw(w, last, "u.u.u.u.u.u.u.u.");
	world_ready(w);
	gw_spin_lock(&w->m->zones[0].lock);
	assert_int_equal(pthread_create(&r.thread, NULL, run_whole_zone, &r), 0);
	while (!(gw_page_flags(gw_page(w->m, 0)) & GW_PG_LOCKED))
		gw_relax();
	usleep(20000); /* it looks for a target, sees a free frame, and waits for the lock */
	for (gw_pfn_t pfn = last + 1; pfn < last + PB_FRAMES; pfn += 2) {
		gw_buddy_remove(&w->m->zones[0], pfn);
		gw_prepare_page(w->m, pfn, 0);
	}
	gw_spin_unlock(&w->m->zones[0].lock);
	assert_int_equal(pthread_join(r.thread, NULL), 0);
	assert_int_equal(r.result, GW_COMPACT_COMPLETE); /* no target: the scanners met */
	assert_int_equal(world_letter(w, 0), 'm');
	for (gw_pfn_t pfn = last; pfn < last + PB_FRAMES; pfn++)
		assert_int_equal(gw_ref_read(&gw_page(w->m, pfn)->refcount), 1);
	world_destroy(w);
}

/* D12: a run that waits because too many pages are isolated ends when its task is interrupted. */
static void
interruption_ends_the_throttle(void **state)
{
	struct world *w = small_world();
	struct runner r = {.w = w};
	struct gw_page_list list;

	(void)state;
	world_fill(w, 0, 4 * PB_FRAMES, 'a');
	world_fill(w, 4 * PB_FRAMES, 4 * PB_FRAMES, '.');
	world_ready(w);
	gw_page_list_init(&list);
	for (gw_pfn_t pfn = 0; pfn < 2 * PB_FRAMES; pfn++)
		assert_int_equal(gw_isolate_page(w->m, pfn, GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(pthread_create(&r.thread, NULL, run_whole_zone, &r), 0);
	while (!gw_u32_load_acquire(&r.attached))
		gw_relax();
	usleep(20000); /* most likely it waits by then */
	gw_task_interrupt(&r.task);
	assert_int_equal(pthread_join(r.thread, NULL), 0); /* never, if it did not look */
	assert_int_equal(r.result, GW_COMPACT_CONTENDED);
	gw_putback_movable_pages(w->m, &list);
	assert_int_equal(gw_machine_count(w->m, GW_VM_PGMIGRATE_SUCCESS), 0);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_order_is_clamped),
		cmocka_unit_test(free_blocks_are_believed_only_under_the_lock),
		cmocka_unit_test(interruption_ends_the_throttle),
	};

	return cmocka_run_group_tests_name("compact_races", tests, NULL, NULL);
}
