/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_anon.c - migration of anonymous pages, one page and many (FACTS 1.1 rows A, 1.6).
 */
#include "test.h"

#include <errno.h>

#include "anon_fixture.h"
#include "godwit/compact.h"

#define MARKS (GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY)

static unsigned
lru_pages(const struct world *w)
{
	return (unsigned)gw_lru_count(w->m, 0, GW_LRU_ACTIVE_ANON);
}

/* ---- success ---- */

/* I1, I2, I5: bytes, entry, index, map count, reference and LRU place move; the old frame is free.
 */
static void
page_moves(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = new_page(w, 0x1234);
	uint32_t index = gw_page_index(w->m, old);
	gw_pfn_t new = move(w);

	assert_int_not_equal(new, old);
	assert_int_equal(page_at(w->mm, w->addr), new);
	assert_int_equal(read_word(w, w->mm, w->addr), 0x1234);
	assert_int_equal(gw_page_index(w->m, new), index);
	assert_int_equal(refs(w, new), 1);
	assert_int_equal(maps(w, new), 1);
	assert_int_equal(lru_pages(w), 1);
	assert_int_equal(gw_mm_pages(w->mm), 1);
	assert_int_equal(w->entries_made, 1);
	assert_int_equal(w->entries_removed, 1);
	assert_int_equal(gw_u64_load_relaxed(&w->f->flushed_frames), 1);
}

/* A moved page moves again: it is as good as a new one. */
static void
page_moves_again(void **state)
{
	struct world *w = *state;

	new_page(w, 77);
	for (unsigned i = 0; i < 5; i++) {
		w->stats = (struct gw_migrate_stats){0};
		w->page = move(w);
	}
	assert_int_equal(read_word(w, w->mm, w->addr), 77);
}

/* FACTS 2.3: young, dirty, soft-dirty, write and no-access are afterwards what they were before. */
static void
marks_survive(void **state)
{
	static const uint64_t bits[] = {
		GW_PTE_WRITE, GW_PTE_YOUNG, GW_PTE_DIRTY, GW_PTE_SOFT_DIRTY, GW_PTE_NO_ACCESS};
	struct world *w = *state;

	new_page(w, 5);
	for (unsigned set = 0; set < 32; set++) {
		uint64_t flags = 0;

		for (unsigned i = 0; i < 5; i++)
			flags |= set >> i & 1 ? bits[i] : 0;
		set_entry(w->mm, w->addr, gw_pte_present(w->page, flags));
		w->stats = (struct gw_migrate_stats){0};
		w->page = move(w);
		assert_entry(w->mm, w->addr, w->page, flags);
	}
}

/* The page's own dirty mark goes with it. */
static void
dirty_page_stays_dirty(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	gw_u32_or_relaxed(&gw_page(w->m, w->page)->flags, GW_PG_DIRTY);
	assert_true(gw_page_flags(gw_page(w->m, move(w))) & GW_PG_DIRTY);
}

/* I2, V2: a page that four address spaces map after forks moves in all of them, and stays
 * write-protected in each (copy-on-write). */
static void
shared_page_moves(void **state)
{
	struct world *w = *state;
	struct gw_mm *mm[4] = {w->mm};
	gw_pfn_t new;

	new_page(w, 99);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(gw_mm_fork(mm[i - 1], &mm[i]), 0);
	assert_int_equal(maps(w, w->page), 4);
	new = move(w);
	assert_int_equal(w->entries_made, 4);
	assert_int_equal(w->entries_removed, 4);
	assert_int_equal(maps(w, new), 4);
	assert_int_equal(refs(w, new), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(page_at(mm[i], w->addr), new);
		assert_false(entry_at(mm[i], w->addr) & GW_PTE_WRITE);
		assert_int_equal(read_word(w, mm[i], w->addr), 99);
	}
	for (unsigned i = 0; i < 4; i++)
		write_word(w, mm[i], w->addr, i);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(read_word(w, mm[i], w->addr), i);
	for (unsigned i = 1; i < 4; i++)
		gw_mm_put(mm[i]);
}

/* FACTS 3.5: pages of locked memory move; with them goes their place on the unevictable list. */
static void
mlocked_page_moves(void **state)
{
	struct world *w = *state;
	gw_pfn_t new;

	new_page(w, 5);
	assert_int_equal(gw_mlock(w->mm, w->addr, GW_PAGE_SIZE, true), 0);
	isolate(w, w->page); /* onto the list that mlock(2) has it on */
	gw_u32_or_relaxed(&gw_page(w->m, w->page)->flags, GW_PG_UNEVICTABLE);
	gw_putback_movable_pages(w->m, &w->list);
	assert_int_equal(gw_lru_count(w->m, 0, GW_LRU_UNEVICTABLE), 1);
	new = move(w);
	assert_int_equal(page_at(w->mm, w->addr), new);
	assert_int_equal(gw_lru_count(w->m, 0, GW_LRU_UNEVICTABLE), 1);
}

/* A8: the entries are turned back in one place, once for each unmapping, whoever won. A15: in
 * this order: new page unlocked, anon_vma given up, old page unlocked. A7: which still had its
 * anonymous mark then. */
static void
remap_once_and_unlock_in_order(void **state)
{
	struct world *w = *state;
	gw_pfn_t new;

	new_page(w, 5);
	new = move(w);
	assert_int_equal(w->unmaps, 1);
	assert_int_equal(w->remaps, 1);
	assert_int_equal(w->winner, new);
	assert_string_equal(w->trace, "NPO");
	assert_true(w->mark_kept);
}

/* FACTS 2.3: a batch of pages costs one flush. */
static void
batch_is_flushed_once(void **state)
{
	struct world *w = *state;
	gw_vaddr_t addr = map(w, 600);

	for (unsigned i = 0; i < 600; i++)
		write_word(w, w->mm, addr + i * GW_PAGE_SIZE, i);
	gw_lru_add_drain(w->m);
	for (unsigned i = 0; i < 600; i++)
		isolate(w, page_at(w->mm, addr + i * GW_PAGE_SIZE));
	assert_int_equal(migrate(w, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(w->stats.succeeded, 600);
	assert_int_equal(w->stats.flushes, 2); /* of up to 512 pages each */
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(read_word(w, w->mm, addr + i * GW_PAGE_SIZE), i);
}

/* ---- isolation ---- */

/* FACTS 2.1: a page with more references than maps is pinned, and not even isolated; so is one that
 * waits in an LRU batch. */
static void
isolate_refuses_pinned_pages(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->m;

	w->addr = map(w, 1);
	write_word(w, w->mm, w->addr, 5);
	w->page = page_at(w->mm, w->addr);
	assert_int_equal(gw_isolate_page(m, w->page, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	gw_lru_add_drain(m);
	gw_get_page(m, w->page);
	assert_int_equal(gw_isolate_page(m, w->page, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	gw_put_page(m, w->page);
	isolate(w, w->page);
	assert_int_equal(gw_isolate_page(m, w->page, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	assert_int_equal(refs(w, w->page), 2);
	assert_int_equal(lru_pages(w), 0);
	gw_putback_movable_pages(m, &w->list); /* A16 */
	assert_int_equal(refs(w, w->page), 1);
	assert_int_equal(lru_pages(w), 1);
}

/* A page that is on no LRU list is not ready yet, or somebody has taken it off: left alone. */
static void
isolate_refuses_pages_off_the_lru(void **state)
{
	struct world *w = *state;
	gw_pfn_t page;

	new_page(w, 5);
	page = fixture_alloc(w->f, 0);
	gw_rmap_new_anon(w->m, page, gw_vma_find(w->mm, w->addr), w->addr + GW_PAGE_SIZE);
	assert_int_equal(gw_isolate_page(w->m, page, GW_MIGRATE_SYNC, &w->list), -EBUSY);
	assert_int_equal(refs(w, page), 1);
	gw_rmap_remove(w->m, page);
	gw_put_page(w->m, page);
}

/* The zero page and page tables are nobody's to move. */
static void
isolate_refuses_tables_and_the_zero_page(void **state)
{
	struct world *w = *state;
	gw_pte_t pte;

	w->addr = map(w, 1);
	assert_int_equal(read_word(w, w->mm, w->addr), 0);
	pte = entry_at(w->mm, w->addr);
	assert_true(pte & GW_PTE_ZERO);
	assert_int_equal(
		gw_isolate_page(w->m, gw_pte_pfn(pte), GW_MIGRATE_SYNC, &w->list), -EINVAL);
	assert_int_equal(gw_isolate_page(w->m, w->mm->root, GW_MIGRATE_SYNC, &w->list), -EINVAL);
}

/* ---- failure ---- */

static void
pin(struct world *w)
{
	gw_get_page(w->m, w->page);
}

static void
unpin(struct world *w)
{
	gw_put_page(w->m, w->page);
}

/* Ten passes did not move w->page: it is where and as it was, the new pages went back clean. */
static void
assert_stayed(struct world *w, uint64_t flags)
{
	assert_int_equal(w->list.n, 1);
	assert_int_equal(w->stats.passes, 10);
	assert_int_equal(w->stats.failed, 1);
	assert_int_equal(w->puts, w->gets);
	assert_entry(w->mm, w->addr, w->page, flags);
	gw_putback_movable_pages(w->m, &w->list); /* A16 */
	assert_int_equal(refs(w, w->page), 1);
	assert_int_equal(maps(w, w->page), 1);
	assert_int_equal(lru_pages(w), 1);
}

static void
pin_more(struct world *w)
{
	if (refs(w, w->page) == 1)
		pin(w);
}

/* I4, I5, A3, A6, A8: a page that somebody takes a reference on after its unmapping stays, its
 * entry as it was; every new page goes back with nothing of the old one about it. */
static void
pinned_page_stays(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_flush = pin_more;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->puts, 10);
	assert_true(w->clean_at_put);
	assert_int_equal(w->unmaps, 10);
	assert_int_equal(w->remaps, 10);
	assert_int_equal(w->winner, w->page);
	assert_int_equal(w->entries_removed, w->entries_made);
	unpin(w);
	assert_stayed(w, GW_PTE_WRITE | MARKS);
	assert_int_equal(read_word(w, w->mm, w->addr), 5);
}

static void
pin_then_unpin(struct world *w)
{
	if (w->stats.passes == 0 && w->unmaps == 1)
		pin(w);
	else if (w->unmaps == 3)
		unpin(w);
}

/* FACTS 1.6: as soon as the pin is gone a later pass moves the page. */
static void
unpinned_page_moves_in_a_later_pass(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_flush = pin_then_unpin;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->stats.passes, 3);
	assert_int_equal(w->unmaps, 3);
	assert_int_equal(w->remaps, 3);
}

/* A4: a new page that a past user still has locked is put back, the old one not touched; a later
 * pass moves it. */
static void
locked_new_page_is_put_back(void **state)
{
	struct world *w = *state;
	struct gw_task past_user;

	new_page(w, 5);
	w->offer = fixture_alloc(w->f, 0);
	gw_get_page(w->m, w->offer);
	assert_int_equal(gw_task_attach(&past_user, w->m, 0), 0);
	assert_true(gw_page_trylock(w->m, w->offer));
	gw_task_detach(&past_user);
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->stats.passes, 2);
	assert_int_equal(w->puts, 1);
	assert_int_equal(w->unmaps, 1);
	gw_u32_and_relaxed(&gw_page(w->m, w->last_put)->flags, ~GW_PG_LOCKED);
	gw_put_page(w->m, w->last_put);
}

/* A14: no new page to be had: -ENOMEM, and the page was never unmapped. */
static void
no_new_page(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->no_targets = true;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), -ENOMEM);
	assert_int_equal(w->list.n, 1);
	assert_int_equal(w->unmaps, 0);
	assert_entry(w->mm, w->addr, w->page, GW_PTE_WRITE | MARKS);
}

/* ---- compaction ---- */

/* FACTS 2.1: compaction moves the pages of running programs: what a fragmented address space
 * leaves free becomes whole blocks, and every byte is where the program wrote it. */
static void
compaction_moves_mapped_pages(void **state)
{
	struct world *w = *state;
	const unsigned n = 1200;
	gw_vaddr_t addr = map(w, n);
	const struct gw_compact_request request = {
		.order = -1, .mode = GW_MIGRATE_SYNC, .whole_zone = true, .ignore_skip = true};
	struct gw_compact_stats stats;
	uint64_t before;

	for (unsigned i = 0; i < n; i++)
		write_word(w, w->mm, addr + i * GW_PAGE_SIZE, i);
	for (unsigned i = 0; i < n; i++)
		if (i % 3)
			assert_int_equal(
				gw_munmap(w->mm, addr + i * GW_PAGE_SIZE, GW_PAGE_SIZE), 0);
	gw_lru_add_drain_all(w->m);
	gw_drain_all_pages(w->m);
	before = gw_zone_available(w->m, 0, 4);
	gw_compact_zone(w->m, 0, &request, &stats);
	gw_drain_all_pages(w->m);
	assert_true(stats.migrate.succeeded > 100);
	assert_int_equal(w->unmaps, stats.migrate.succeeded); /* or they had no target */
	assert_true(gw_zone_available(w->m, 0, 4) > before + 20);
	assert_int_equal(w->entries_removed, w->entries_made);
	fixture_check(w->f);
	for (unsigned i = 0; i < n; i += 3)
		assert_int_equal(read_word(w, w->mm, addr + i * GW_PAGE_SIZE), i);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(page_moves),
		T(page_moves_again),
		T(marks_survive),
		T(dirty_page_stays_dirty),
		T(shared_page_moves),
		T(mlocked_page_moves),
		T(remap_once_and_unlock_in_order),
		T(batch_is_flushed_once),
		T(isolate_refuses_pinned_pages),
		T(isolate_refuses_pages_off_the_lru),
		T(isolate_refuses_tables_and_the_zero_page),
		T(pinned_page_stays),
		T(unpinned_page_moves_in_a_later_pass),
		T(locked_new_page_is_put_back),
		T(no_new_page),
		T(compaction_moves_mapped_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
