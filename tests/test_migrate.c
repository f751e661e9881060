/* SPDX-License-Identifier: MIT */
/*
 * test_migrate.c - isolation, and the migration of one movable-ops page (FACTS 1.1 rows A, 2.1).
 */
#include "test.h"

#include <errno.h>

#include "migrate_fixture.h"

/* ---- isolation ---- */

/* Isolation takes a reference and marks the page; putting it back undoes both (A16). */
static void
isolate_and_put_back(void **state)
{
	struct world *w = *state;
	gw_pfn_t pfn = own_page(w, 5);

	isolate(w, pfn);
	assert_int_equal(w->list.n, 1);
	assert_int_equal(refs(w, pfn), 2);
	assert_true(gw_page_flags(gw_page(w->f->m, pfn)) & GW_PG_ISOLATED);
	assert_false(is_locked(w->f->m, pfn));
	fixture_check(w->f);
	gw_putback_movable_pages(w->f->m, &w->list);
	assert_int_equal(w->list.n, 0);
	assert_int_equal(w->put_back, 1);
	assert_owned(w, 5, 0, pfn);
}

/* Free frames, tails, frames of nobody who can move them and frames that are not: -EINVAL (I7). */
static void
isolate_refuses_what_is_no_movable_page(void **state)
{
	struct world *w = *state;
	gw_pfn_t large = own_page_of(w, 1, 2, &owner_ops);
	gw_pfn_t nobodys = fixture_alloc(w->f, 0);
	gw_pfn_t free = fixture_alloc(w->f, 0);
	const gw_pfn_t no[] = {large + 1, nobodys, free, FRAMES, GW_PFN_NONE};

	gw_put_page(w->f->m, free);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(
			gw_isolate_page(w->f->m, no[i], GW_MIGRATE_SYNC, &w->list), -EINVAL);
	assert_int_equal(w->isolated, 0);
	assert_int_equal(w->list.n, 0);
	gw_put_page(w->f->m, nobodys);
}

/* Locked, pinned (FACTS 2.1), refused, isolated already: -EBUSY, and the references as before. */
static void
isolate_refuses_busy_pages(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfn = own_page(w, 1);

	assert_true(gw_page_trylock(m, pfn));
	assert_int_equal(gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	gw_page_unlock(m, pfn);

	gw_get_page(m, pfn);
	assert_int_equal(gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	gw_put_page(m, pfn);
	assert_int_equal(w->isolated, 0); /* the owner was not bothered */

	w->refuse_isolation = true;
	assert_int_equal(gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	w->refuse_isolation = false;
	assert_owned(w, 1, 0, pfn);

	isolate(w, pfn);
	assert_int_equal(gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	assert_int_equal(refs(w, pfn), 2);
	assert_int_equal(w->list.n, 1);
}

/* A page in an LRU-add batch is pinned by it; drained, it can be isolated, and leaves its list
 * until it is put back on the same one (D14, D21). */
static void
isolate_takes_pages_off_the_lru(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfn = own_lru_page(w, 1, GW_LRU_ACTIVE_FILE);

	assert_int_equal(gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	gw_lru_add_drain(m);
	isolate(w, pfn);
	assert_int_equal(refs(w, pfn), 2);
	assert_int_equal(gw_lru_count(m, 0, GW_LRU_ACTIVE_FILE), 0);
	assert_int_equal(gw_u64_load_relaxed(&m->nodes[0].isolated_frames[1]), 1);
	fixture_check(w->f);
	gw_putback_movable_pages(m, &w->list);
	assert_int_equal(gw_lru_count(m, 0, GW_LRU_ACTIVE_FILE), 1);
	assert_int_equal(gw_u64_load_relaxed(&m->nodes[0].isolated_frames[1]), 0);
	assert_owned(w, 1, 0, pfn);
}

/* U4: a batched page is not isolated, although the pin check read the count of the frame's earlier
 * use: draining the batch would link it on its LRU list while the isolation's list has it. */
static void
isolate_refuses_batched_pages(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfn = own_lru_page(w, 1, GW_LRU_ACTIVE_FILE);

	assert_false(gw_ref_put(&gw_page(m, pfn)->refcount)); /* as if the batch had none */
	assert_int_equal(gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	gw_get_page(m, pfn);
	fixture_check(w->f);
	gw_lru_add_drain(m);
	isolate(w, pfn);
}

/* U4: nor one that nobody but the batch holds any more. */
static void
isolate_refuses_freed_batched_pages(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfn = fixture_alloc(w->f, 0);

	gw_lru_add(m, pfn, GW_LRU_INACTIVE_ANON);
	gw_page_set_movable(m, pfn, &plain_ops, 0);
	gw_put_page(m, pfn);
	assert_int_equal(gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	gw_lru_add_drain(m);
	assert_true(is_free(w, pfn));
}

/* Unevictable pages may be isolated whatever compact_unevictable_allowed says: who empties a range
 * has no choice (D1). That compaction has is in test_evacuate.c. */
static void
isolate_takes_unevictable(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfn = own_lru_page(w, 1, GW_LRU_UNEVICTABLE);

	gw_lru_add_drain(m);
	m->config.compact_unevictable_allowed = false;
	isolate(w, pfn);
	m->config.compact_unevictable_allowed = true;
}

/* ---- one page ---- */

/* A2: on success put_new_page is not called; the new page has owner, index, contents and the
 * owner's reference, the old frame is free, and the list is empty (A16: nothing to put back). */
static void
success_moves_everything(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = own_page(w, 7);

	isolate(w, old);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->list.n, 0);
	assert_int_equal(w->puts, 0);
	assert_int_equal(w->put_back, 0);
	assert_int_not_equal(w->slots[7], old);
	assert_owned(w, 7, 0, w->slots[7]);
	assert_true(is_free(w, old));
	assert_int_equal(w->stats.succeeded, 1);
	assert_int_equal(w->stats.passes, 1);
	assert_int_equal(w->stats.stopped_on, GW_PFN_NONE);
	assert_int_equal(count(w, GW_VM_PGMIGRATE_SUCCESS), 1);
	assert_int_equal(count(w, GW_VM_PGMIGRATE_FAIL), 0);
}

/* A2: the new page takes the old one's place on the LRU; dirty stays dirty. */
static void
success_moves_lru_place_and_dirt(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t old = own_lru_page(w, 7, GW_LRU_ACTIVE_FILE);

	gw_lru_add_drain(m);
	gw_u32_or_relaxed(&gw_page(m, old)->flags, GW_PG_DIRTY);
	isolate(w, old);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(gw_lru_count(m, 0, GW_LRU_ACTIVE_FILE), 1);
	assert_int_equal(gw_u64_load_relaxed(&m->nodes[0].isolated_frames[1]), 0);
	assert_int_equal(gw_page_flags(gw_page(m, w->slots[7])), gw_flags_make(GW_PAGE_USED, 0) |
									 GW_PG_LRU | GW_PG_ACTIVE |
									 GW_PG_FILE | GW_PG_DIRTY);
	assert_owned(w, 7, 0, w->slots[7]);
}

/* A1: a page that its owner gave up before the call is a success; no new page is asked for, and
 * neither the owner nor put_new_page hears of it. On an LRU list or not. */
static void
freed_before_the_call_is_success(void **state)
{
	struct world *w = *state;
	gw_pfn_t pfns[] = {own_page(w, 1), own_lru_page(w, 2, GW_LRU_INACTIVE_ANON)};

	gw_lru_add_drain(w->f->m);
	isolate(w, pfns[0]);
	isolate(w, pfns[1]);
	world_give_up(w, 1);
	world_give_up(w, 2);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->gets + w->puts + w->unmapped + w->moved + w->put_back, 0);
	assert_int_equal(w->stats.succeeded, 2);
	assert_true(is_free(w, pfns[0]));
	assert_true(is_free(w, pfns[1]));
	assert_int_equal(gw_u64_load_relaxed(&w->f->m->nodes[0].isolated_frames[0]), 0);
}

/* A1: given up after the new page was taken: success, put_new_page exactly once, no putback. */
static void
freed_under_us_returns_the_new_page(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = own_page(w, 1);

	isolate(w, old);
	w->give_up_index = 1;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->gets, 1);
	assert_int_equal(w->puts, 1);
	assert_int_equal(w->moved + w->put_back + w->remapped, 0);
	assert_int_equal(w->stats.succeeded, 1);
	assert_true(is_free(w, old));
	assert_true(is_free(w, w->last_put));
}

/* A1: the owner of an isolated page gives it up by the book while somebody looks at it: no
 * callback follows, and the page is free when the last reference goes. */
static void
disowned_page_is_not_migrated(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfns[] = {own_page(w, 1), own_page(w, 2)};

	for (uint32_t i = 0; i < 2; i++) {
		isolate(w, pfns[i]);
		gw_get_page(m, pfns[i]); /* the onlooker */
		gw_page_lock(m, pfns[i]);
		gw_page_set_movable(m, pfns[i], NULL, 0);
		world_give_up(w, i + 1);
		gw_page_unlock(m, pfns[i]);
		if (i == 0)
			assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
		else
			gw_putback_movable_pages(m, &w->list);
		assert_false(is_free(w, pfns[i]));
		gw_put_page(m, pfns[i]);
		assert_true(is_free(w, pfns[i]));
	}
	assert_int_equal(w->gets + w->unmapped + w->moved + w->put_back, 0);
}

/* A3, A6: on failure the new page goes back unlocked, without owner, index or marks, through
 * put_new_page once per try. */
static void
failure_returns_a_clean_new_page(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = own_page(w, 9);

	isolate(w, old);
	w->migrate_error = -EIO;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->puts, 1);
	assert_true(w->clean_at_put);
	assert_int_equal(w->list.first, old);
	assert_int_equal(count(w, GW_VM_PGMIGRATE_FAIL), 1);
	gw_putback_movable_pages(w->f->m, &w->list);
	assert_owned(w, 9, 0, old);
}

/* A3: without a put_new_page the unused new page is put, which frees it. */
static void
failure_without_put_new_page(void **state)
{
	struct world *w = *state;
	uint64_t free;

	isolate(w, own_page(w, 9));
	free = fixture_free_frames(w->f);
	w->target.put_new_page = NULL;
	w->migrate_error = -EIO;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(fixture_free_frames(w->f), free);
}

/* A4: a new page that somebody has locked is -EAGAIN: the old page is not touched, and the next
 * pass gets another. */
static void
locked_new_page_is_tried_again(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t old = own_page(w, 3);
	gw_pfn_t pool = fixture_alloc(w->f, 0);

	gw_get_page(m, pool); /* the past user, who still has it locked */
	assert_true(gw_page_trylock(m, pool));
	w->offer = pool;
	isolate(w, old);
	assert_int_equal(migrate(w, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(w->stats.passes, 2);
	assert_int_equal(w->gets, 2);
	assert_int_equal(w->puts, 1);
	assert_int_equal(w->last_put, pool);
	assert_int_equal(w->unmapped, 1);
	assert_owned(w, 3, 0, w->slots[3]);
	gw_page_unlock(m, pool);
	gw_put_page(m, pool);
}

/* A5, A8, A15: both pages are locked while the owner moves and remaps; remap runs once per unmap,
 * with the page that won. */
static void
remap_once_to_the_winner(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = own_page(w, 3);

	isolate(w, old);
	w->migrate_error = -EIO;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->remapped, 1);
	assert_int_equal(w->winner, old);
	assert_true(w->locked_in_move && w->locked_in_remap);

	w->migrate_error = 0;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->unmapped, 2);
	assert_int_equal(w->remapped, 2);
	assert_int_equal(w->winner, w->slots[3]);
	assert_true(w->locked_in_move && w->locked_in_remap);
}

/* An unmap that fails is not remapped (A8), and final unless it says -EAGAIN (FACTS 1.6). */
static void
failed_unmap_is_not_remapped(void **state)
{
	struct world *w = *state;

	isolate(w, own_page(w, 3));
	w->unmap_result = -EBUSY;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->unmapped, 1);
	assert_int_equal(w->moved + w->remapped, 0);
	assert_int_equal(w->puts, 1);
	assert_true(w->clean_at_put);
}

/* A14: no new page is -ENOMEM, at once; the page stays on the list. */
static void
no_new_page_is_enomem(void **state)
{
	struct world *w = *state;

	isolate(w, own_page(w, 3));
	w->targets_left = 0;
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), -ENOMEM);
	assert_int_equal(w->gets, 1);
	assert_int_equal(w->list.n, 1);
	assert_int_equal(w->stats.stopped_on, GW_PFN_NONE); /* no large page */
	assert_int_equal(count(w, GW_VM_PGMIGRATE_FAIL), 1);
}

/* Owners without optional callbacks: always isolated, mapped nowhere. */
static void
plain_owner(void **state)
{
	struct world *w = *state;

	isolate(w, own_page_of(w, 3, 1, &plain_ops));
	gw_putback_movable_pages(w->f->m, &w->list);
	isolate(w, w->slots[3]);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_owned(w, 3, 1, w->slots[3]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(isolate_and_put_back),
		T(isolate_refuses_what_is_no_movable_page),
		T(isolate_refuses_busy_pages),
		T(isolate_takes_pages_off_the_lru),
		T(isolate_refuses_batched_pages),
		T(isolate_refuses_freed_batched_pages),
		T(isolate_takes_unevictable),
		T(success_moves_everything),
		T(success_moves_lru_place_and_dirt),
		T(freed_before_the_call_is_success),
		T(freed_under_us_returns_the_new_page),
		T(disowned_page_is_not_migrated),
		T(failure_returns_a_clean_new_page),
		T(failure_without_put_new_page),
		T(locked_new_page_is_tried_again),
		T(remap_once_to_the_winner),
		T(failed_unmap_is_not_remapped),
		T(no_new_page_is_enomem),
		T(plain_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
