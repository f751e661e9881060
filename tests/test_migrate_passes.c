/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_passes.c - the migration of many pages: passes, modes, batches, large pages, and
 * failures at random (FACTS 1.6, 2.3, 3.7).
 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "migrate_fixture.h"

/* ---- passes, modes, references ---- */

/* FACTS 1.6: -EAGAIN is tried in 10 passes, then counted failed. ASYNC stays ASYNC. */
static void
ten_passes_async(void **state)
{
	struct world *w = *state;

	isolate(w, own_page(w, 3));
	w->migrate_error = -EAGAIN;
	assert_int_equal(migrate(w, GW_MIGRATE_ASYNC), 1);
	assert_int_equal(w->stats.passes, 10);
	assert_int_equal(w->moved_in_mode[GW_MIGRATE_ASYNC], 10);
	assert_int_equal(w->unmapped, 10); /* each pass costs an unmap and a remap */
	assert_int_equal(w->remapped, 10);
	assert_int_equal(w->puts, 10);
	assert_int_equal(w->stats.failed, 1);
	assert_int_equal(count(w, GW_VM_PGMIGRATE_FAIL), 1);
}

/* FACTS 1.6: of the 10 passes the first 3 run as ASYNC, the other 7 in the mode asked for. */
static void
ten_passes_sync(void **state)
{
	struct world *w = *state;
	enum gw_migrate_mode modes[] = {GW_MIGRATE_SYNC_LIGHT, GW_MIGRATE_SYNC};

	for (unsigned i = 0; i < 2; i++) {
		gw_pfn_t pfn = own_page(w, i);

		memset(w->moved_in_mode, 0, sizeof(w->moved_in_mode));
		isolate(w, pfn);
		w->migrate_error = -EAGAIN;
		assert_int_equal(migrate(w, modes[i]), 1);
		assert_int_equal(w->moved_in_mode[GW_MIGRATE_ASYNC], 3);
		assert_int_equal(w->moved_in_mode[modes[i]], 7);
		gw_putback_movable_pages(w->f->m, &w->list);
	}
	assert_int_equal(w->stats.passes, 20);
}

/* FACTS 1.6: any error but -EAGAIN and -ENOMEM is final for the page. */
static void
other_errors_are_final(void **state)
{
	struct world *w = *state;

	isolate(w, own_page(w, 3));
	w->migrate_error = -EBUSY;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->moved, 1);
	assert_int_equal(w->stats.passes, 1);
}

/* C1, I4: while somebody holds a reference, every pass fails with -EAGAIN before the move, and the
 * page is counted failed; when it is dropped, the page moves. */
static void
a_held_reference_keeps_the_page(void **state)
{
	struct world *w = *state;
	gw_pfn_t pfn = own_page(w, 3);

	isolate(w, pfn);
	gw_get_page(w->f->m, pfn);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->stats.passes, 10);
	assert_int_equal(w->moved, 0);
	assert_int_equal(w->remapped, 10);
	assert_int_equal(refs(w, pfn), 3);
	gw_put_page(w->f->m, pfn);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_owned(w, 3, 0, w->slots[3]);
}

/* FACTS 1.6: ASYNC never blocks on a page lock, nor does a MEMALLOC task in any mode. (This
 * thread holds the lock: blocking would not end.) */
static void
who_must_not_block_does_not(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfn = own_page(w, 3);

	isolate(w, pfn);
	assert_true(gw_page_trylock(m, pfn));
	assert_int_equal(migrate(w, GW_MIGRATE_ASYNC), 1);
	w->f->task.flags |= GW_TASK_MEMALLOC;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	w->f->task.flags = 0;
	assert_int_equal(w->stats.passes, 20);
	assert_int_equal(w->gets, 0);
	gw_page_unlock(m, pfn);
}

/* -ENOMEM ends the call (FACTS 1.6): pages prepared before are moved, those after are left
 * untried, and of them only the one without a target counts as failed (FACTS 3.7). */
static void
enomem_ends_the_call(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < 10; i++)
		isolate(w, own_page(w, i));
	w->targets_left = 4;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), -ENOMEM);
	assert_int_equal(w->stats.succeeded, 4);
	assert_int_equal(w->stats.failed, 1);
	assert_int_equal(w->list.n, 6);
	assert_int_equal(w->gets, 5);
	for (uint32_t i = 0; i < 4; i++)
		assert_owned(w, i, 0, w->slots[i]);
	gw_putback_movable_pages(w->f->m, &w->list);
	for (uint32_t i = 4; i < 10; i++)
		assert_owned(w, i, 0, w->slots[i]);
}

/* FACTS 2.3: pages are unmapped in batches of 512, flushed once each, before any is moved. */
static void
flushes_are_batched(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < 1024; i++)
		isolate(w, own_page(w, i));
	w->unmap_result = 1;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(gw_u64_load_relaxed(&w->f->flushes), 2);
	assert_int_equal(gw_u64_load_relaxed(&w->f->flushed_frames), 1024);
	assert_int_equal(w->flushes_at_first_move, 1);
	assert_int_equal(w->stats.flushes, 2);
	assert_int_equal(w->stats.succeeded, 1024);
}

/* FACTS 2.3: nothing to flush, no flush. */
static void
no_flush_without_need(void **state)
{
	struct world *w = *state;

	isolate(w, own_page(w, 0));
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(gw_u64_load_relaxed(&w->f->flushes), 0);
	assert_int_equal(w->stats.flushes, 0);
}

/* ---- large pages ---- */

/* A large page moves whole where the target has its size (FACTS 2.3). */
static void
large_page_moves_whole(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = own_page_of(w, 3, PB_ORDER, &owner_ops);

	own_page_of(w, 4, 2, &owner_ops);
	isolate(w, old);
	isolate(w, w->slots[4]);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_owned(w, 3, PB_ORDER, w->slots[3]);
	assert_owned(w, 4, 2, w->slots[4]);
	assert_int_equal(w->stats.succeeded, (1 << PB_ORDER) + 4);
	assert_int_equal(w->stats.large_succeeded, 2);
	assert_int_equal(w->split, 0);
	assert_int_equal(count(w, GW_VM_PGMIGRATE_SUCCESS), (1 << PB_ORDER) + 4);
	assert_int_equal(count(w, GW_VM_THP_MIGRATION_SUCCESS), 1); /* pageblock order and above */
}

/* Free what a split left of page `index`: a frame of each of its contents, wherever they are. */
static void
free_pieces(struct world *w, uint32_t index, gw_pfn_t n)
{
	gw_pfn_t found = 0;

	for (gw_pfn_t pfn = 0; pfn < FRAMES; pfn++) {
		const struct gw_page *page = gw_page(w->f->m, pfn);

		if (gw_flags_type(gw_page_flags(page)) != GW_PAGE_USED ||
			gw_frame_index(page) != index)
			continue;
		assert_int_equal(gw_flags_order(gw_page_flags(page)), 0);
		assert_int_equal(refs(w, pfn), 1);
		found++;
		gw_put_page(w->f->m, pfn);
	}
	assert_int_equal(found, n);
	w->slots[index] = FREED;
}

/* FACTS 2.3, 3.7: a large page without a target of its size is split, and its pieces are moved
 * one by one; the rest of the list is moved too. */
static void
large_page_is_split_for_want_of_a_target(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = own_page_of(w, 3, PB_ORDER, &owner_ops);
	gw_pfn_t n = 1 << PB_ORDER;

	own_page(w, 4);
	isolate(w, old);
	isolate(w, w->slots[4]);
	w->target_order_max = PB_ORDER - 1;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->split, 1);
	assert_int_equal(w->stats.split, 1);
	assert_int_equal(w->stats.large_failed, 1);
	assert_int_equal(w->stats.succeeded, n + 1);
	assert_int_equal(w->stats.stopped_on, GW_PFN_NONE);
	assert_int_equal(count(w, GW_VM_THP_MIGRATION_SPLIT), 1);
	assert_int_equal(count(w, GW_VM_THP_MIGRATION_FAIL), 1);
	assert_int_equal(count(w, GW_VM_PGMIGRATE_FAIL), 0);
	for (gw_pfn_t i = 0; i < n; i++)
		assert_true(is_free(w, old + i));
	assert_owned(w, 4, 0, w->slots[4]);
	free_pieces(w, 3, n);
}

/* The same on an LRU list: every piece is on it in the end, moved or put back. FACTS 1.6: pieces
 * get one ASYNC pass. */
static void
pieces_get_one_pass_and_their_lru_places(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t n = 1 << PB_ORDER;
	gw_pfn_t old = fixture_alloc(w->f, PB_ORDER);

	w->slots[3] = old;
	gw_lru_add(m, old, GW_LRU_INACTIVE_ANON);
	gw_page_set_movable(m, old, &owner_ops, 3);
	gw_lru_add_drain(m);
	isolate(w, old);
	w->target_order_max = 0;
	w->migrate_error = -EAGAIN;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), n);
	assert_int_equal(w->moved_in_mode[GW_MIGRATE_ASYNC], n);
	assert_int_equal(w->moved, n);
	assert_int_equal(w->stats.failed, n);
	assert_int_equal(gw_u64_load_relaxed(&m->nodes[0].isolated_frames[0]), n);

	w->migrate_error = 0;
	w->targets_left = n / 2;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), -ENOMEM);
	gw_putback_movable_pages(m, &w->list);
	assert_int_equal(gw_lru_count(m, 0, GW_LRU_INACTIVE_ANON), n);
	assert_int_equal(gw_u64_load_relaxed(&m->nodes[0].isolated_frames[0]), 0);
	free_pieces(w, 3, n);
}

/* FACTS 3.7: a large page without a target that cannot be split ends the call, and is named. */
static void
unsplittable_page_stops_the_call(void **state)
{
	struct world *w = *state;
	gw_pfn_t large = own_page_of(w, 3, 2, &owner_ops);

	own_page(w, 2);
	own_page(w, 4);
	isolate(w, w->slots[2]);
	isolate(w, large);
	isolate(w, w->slots[4]);
	w->target_order_max = 0;
	w->split_error = -EBUSY;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), -ENOMEM);
	assert_int_equal(w->stats.stopped_on, large);
	assert_int_equal(w->stats.succeeded, 1);
	assert_int_equal(w->stats.failed, 4);
	assert_int_equal(w->stats.large_failed, 1);
	assert_int_equal(w->list.n, 2);
	gw_putback_movable_pages(w->f->m, &w->list);
	assert_owned(w, 3, 2, large);
	assert_owned(w, 4, 0, w->slots[4]);
}

/* Nor is a page split that somebody else refers to (-EBUSY), that has no split callback, or that
 * was only misplaced (FACTS 2.3). */
static void
pages_that_are_not_split(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;

	w->target_order_max = 0;
	isolate(w, own_page_of(w, 1, 2, &owner_ops));
	gw_get_page(m, w->slots[1]);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), -ENOMEM);
	gw_put_page(m, w->slots[1]);
	assert_int_equal(gw_migrate_pages(m, &w->list, &w->target, GW_MIGRATE_SYNC,
				 GW_MR_NUMA_MISPLACED, &w->stats),
		-ENOMEM);
	gw_putback_movable_pages(m, &w->list);
	assert_int_equal(w->split, 0);
	assert_owned(w, 1, 2, w->slots[1]);

	isolate(w, own_page_of(w, 2, 2, &plain_ops));
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), -ENOMEM);
	gw_putback_movable_pages(m, &w->list);
	assert_owned(w, 2, 2, w->slots[2]);
}

/* ---- at random ---- */

static void
random_round(struct world *w, const unsigned *orders, uint64_t *random)
{
	enum gw_migrate_mode mode = (enum gw_migrate_mode)(test_random(random) % 3);
	uint64_t n;
	int left;

	w->fail_percent = (unsigned)(test_random(random) % 50);
	w->unmap_result = (int)(test_random(random) % 2);
	w->targets_left =
		test_random(random) % 4 ? UINT32_MAX : (unsigned)(test_random(random) % 40);
	for (uint32_t i = 0; i < 200; i++)
		if (w->slots[i] != FREED && test_random(random) % 2)
			(void)!gw_isolate_page(w->f->m, w->slots[i], mode, &w->list);
	if (w->list.n && test_random(random) % 8 == 0)
		world_give_up(w, gw_page_index(w->f->m, w->list.first));
	n = w->list.n;
	left = migrate(w, mode);
	assert_true(left == -ENOMEM || (left >= 0 && (uint64_t)left == w->list.n));
	assert_true(w->list.n <= n);
	gw_putback_movable_pages(w->f->m, &w->list);
	gw_lru_add_drain(w->f->m);
	fixture_check(w->f);
	for (uint32_t i = 0; i < 200; i++)
		if (w->slots[i] != FREED)
			assert_owned(w, i, orders[i], w->slots[i]);
}

/* I5, G1, G2: whatever fails, no page is lost, none twice there, contents as they were. */
static void
random_failures_lose_nothing(void **state)
{
	struct world *w = *state;
	uint64_t random = test_seed();
	unsigned orders[200];

	w->random = random + 1;
	for (unsigned round = 0; round < 300; round++) {
		for (uint32_t i = 0; i < 200; i++) {
			unsigned order = (unsigned)(test_random(&random) % 3);

			if (w->slots[i] != FREED)
				continue;
			orders[i] = order;
			if (order == 0 && test_random(&random) % 2)
				own_lru_page(w, i, (enum gw_lru)(test_random(&random) % GW_LRU_NR));
			else
				own_page_of(w, i, order, order ? &plain_ops : &owner_ops);
		}
		random_round(w, orders, &random);
	}
	assert_true(w->stats.succeeded > 1000);
	assert_true(w->stats.failed > 1000);
	assert_int_equal(w->stats.succeeded, count(w, GW_VM_PGMIGRATE_SUCCESS));
	assert_int_equal(w->stats.failed, count(w, GW_VM_PGMIGRATE_FAIL));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(ten_passes_async),
		T(ten_passes_sync),
		T(other_errors_are_final),
		T(a_held_reference_keeps_the_page),
		T(who_must_not_block_does_not),
		T(enomem_ends_the_call),
		T(flushes_are_batched),
		T(no_flush_without_need),
		T(large_page_moves_whole),
		T(large_page_is_split_for_want_of_a_target),
		T(pieces_get_one_pass_and_their_lru_places),
		T(unsplittable_page_stops_the_call),
		T(pages_that_are_not_split),
		T(random_failures_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
