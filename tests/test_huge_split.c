/* SPDX-License-Identifier: MIT */
/*
 * test_huge_split.c - splitting large pages: rows B1 to B16 of FACTS 1.2, and FACTS 2.4's orders;
 * test_huge_split_steps.c looks inside.
 */
#include <errno.h>

#include "godwit/memcg.h"
#include "huge_fixture.h"
#include "test.h"

static uint32_t
flags_of(struct spaces *s, gw_pfn_t pfn)
{
	return gw_page_flags(gw_page(s->m, pfn));
}

/* B1, B15, B16: through frame 17, which stays locked and pinned, as it was; all others are neither,
 * and every frame stays where it is. */
static void
split_through_a_tail(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	lock_with_pin(s, page + 17);
	assert_int_equal(gw_split_huge(s->m, page + 17), 0);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++) {
		assert_int_equal(order_of(s, page + i), 0);
		assert_int_equal(gw_flags_type(flags_of(s, page + i)), GW_PAGE_USED);
		assert_int_equal(!!(flags_of(s, page + i) & GW_PG_LOCKED), i == 17);
		assert_int_equal(refs_of(s, page + i), i == 17 ? 2 : 1);
		assert_int_equal(page_of(mm, HUGE_AT + i * PAGE), page + i);
		assert_int_equal(gw_page_pgoff(s->m, page + i), i);
	}
	unlock_with_pin(s, page + 17);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE), 1);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE_FAILED), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B3, B5, B16: with a pin nothing happens at all: the entry is huge as before. */
static void
a_pin_prevents_it(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	gw_pte_t before = entry_of(mm, HUGE_AT);
	uint32_t flags = flags_of(s, page);

	gw_get_page(s->m, page + 5);
	assert_int_equal(split_at(s, page), -EBUSY);
	assert_int_equal(entry_of(mm, HUGE_AT), before);
	assert_int_equal(flags_of(s, page), flags);
	assert_int_equal(refs_of(s, page), 2);
	assert_int_equal(maps_of(s, page), 1);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PMD), 0);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE), 0);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE_FAILED), 1);
	gw_put_page(s->m, page);
	assert_int_equal(split_at(s, page), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B4: a page that nobody maps has no anon_vma to be trusted. */
static void
unmapped_pages_stay(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	gw_get_page(s->m, page);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);
	assert_int_equal(split_at(s, page), -EBUSY);
	assert_int_equal(order_of(s, page), GW_HUGE_ORDER);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE_FAILED), 1);
	gw_put_page(s->m, page);
	gw_mm_put(mm);
}

/* B4: nor if the anon_vma is still there, and the caller's reference the only one. */
static void
discarded_pages_stay(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	gw_get_page(s->m, page);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_DONTNEED), 0);
	assert_int_equal(refs_of(s, page), 1);
	gw_page_lock(s->m, page);
	assert_int_equal(gw_split_huge(s->m, page), -EBUSY);
	assert_int_equal(order_of(s, page), GW_HUGE_ORDER);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE), 0);
	unlock_with_pin(s, page);
	gw_mm_put(mm);
}

/* B6, B7: mapped by a huge entry, by an entry for each frame, and in parts, in three address
 * spaces; foreign entries among them are left alone. */
static void
mixed_mappings(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm[3];
	gw_pfn_t page;

	page = share_huge(s, mm, 3, GW_HUGE_ORDER);
	gw_split_pmd(mm[1], HUGE_AT);
	assert_int_equal(gw_munmap(mm[2], HUGE_AT + 10 * PAGE, 400 * PAGE), 0);
	poke(mm[2], HUGE_AT + 3 * PAGE, 1234); /* its own now */
	assert_int_equal(maps_of(s, page), 1 + 512 + 111);
	assert_int_equal(split_at(s, page), 0);
	assert_int_equal(maps_of(s, page + 3), 2);
	assert_int_equal(maps_of(s, page + 4), 3);
	assert_int_equal(maps_of(s, page + 50), 2);
	assert_frames(mm[0], HUGE_AT, FRAMES_PER_HUGE);
	assert_frames(mm[1], HUGE_AT, FRAMES_PER_HUGE);
	assert_int_equal(peek(mm[2], HUGE_AT + 3 * PAGE), 1234);
	assert_frames(mm[2], HUGE_AT + 410 * PAGE, 102);
	end_spaces(s, mm, 3);
}

/* B10: references are conserved: the page's before, by entries of frames, are those of all frames
 * after, but for one each that the split gave and took again. */
static void
references_are_conserved(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm[2];
	uint32_t before, after = 0;
	gw_pfn_t page;

	page = share_huge(s, mm, 2, GW_HUGE_ORDER);
	gw_split_pmd(mm[0], HUGE_AT);
	gw_split_pmd(mm[1], HUGE_AT);
	lock_with_pin(s, page);
	before = refs_of(s, page);
	assert_int_equal(before, 1025);
	assert_int_equal(gw_split_huge(s->m, page), 0);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		after += refs_of(s, page + i);
	assert_int_equal(after, before);
	unlock_with_pin(s, page);
	end_spaces(s, mm, 2);
}

/* B11: who used the page last is known of each tail. */
static void
tails_keep_the_hint(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	assert_int_equal(gw_page_extra_make(s->m), 0);
	gw_u32_store_relaxed(&gw_page_extra(s->m, page)->hint, 1234);
	gw_u32_or_relaxed(&gw_page(s->m, page)->flags, GW_PG_HINTED);
	assert_int_equal(split_at(s, page), 0);
	assert_true(flags_of(s, page + 100) & GW_PG_HINTED);
	assert_int_equal(gw_u32_load_relaxed(&gw_page_extra(s->m, page + 100)->hint), 1234);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B11: what tails get of the head, and what not. */
static void
tails_have_the_heads_flags(void **state)
{
	static const struct {
		uint32_t flag;
		bool copied;
	} table[] = {
		{GW_PG_REFERENCED, true},
		{GW_PG_UPTODATE, true},
		{GW_PG_ACTIVE, true},
		{GW_PG_WAITERS, false},
	};
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].flag != GW_PG_ACTIVE)
			gw_u32_or_relaxed(&gw_page(s->m, page)->flags, table[i].flag);
	assert_true(flags_of(s, page) & GW_PG_ACTIVE);
	assert_int_equal(split_at(s, page), 0);
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(!!(flags_of(s, page + 100) & table[i].flag), table[i].copied);
	assert_true(flags_of(s, page + 100) & GW_PG_DIRTY); /* always */
	assert_false(flags_of(s, page + 100) & (GW_PG_COMPOUND | GW_PG_LOCKED));
	assert_ptr_equal(gw_ptr_load_relaxed(&gw_page(s->m, page + 100)->owner),
		gw_ptr_load_relaxed(&gw_page(s->m, page)->owner));
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B11: mlocked and unevictable, too. */
static void
mlocked_tails(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	assert_int_equal(gw_mlock(mm, HUGE_AT, TABLE, true), 0);
	assert_int_equal(split_at(s, page), 0);
	assert_true(flags_of(s, page + 9) & GW_PG_MLOCKED);
	assert_true(flags_of(s, page + 9) & GW_PG_UNEVICTABLE);
	assert_int_equal(gw_lru_count(s->m, 0, GW_LRU_UNEVICTABLE), FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B12: on the LRU list tails stand behind the head, in their order. */
static void
tails_stand_behind_the_head(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER), at = page;
	uint64_t frames = gw_lru_count(s->m, 0, GW_LRU_ACTIVE_ANON);

	assert_int_equal(split_at(s, page + 511), 0);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++, at = gw_page(s->m, at)->next)
		assert_int_equal(at, page + i);
	assert_int_equal(gw_lru_count(s->m, 0, GW_LRU_ACTIVE_ANON), frames);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B12, the list variant: tails of an isolated page are isolated, on the caller's list, with a
 * reference for it; also those that nobody maps. */
static void
tails_go_to_the_list(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER), pfn;
	struct gw_page_list list;

	gw_page_list_init(&list);
	assert_int_equal(gw_munmap(mm, HUGE_AT + 20 * PAGE, PAGE), 0);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(gw_list_pop_front(s->m, &list), page);
	gw_page_lock(s->m, page);
	assert_int_equal(gw_split_huge_to_list(s->m, page, &list), 0);
	gw_page_unlock(s->m, page);
	assert_int_equal(list.n, 511);
	for (pfn = list.first; pfn != GW_PFN_NONE; pfn = gw_page(s->m, pfn)->next) {
		assert_true(flags_of(s, pfn) & GW_PG_ISOLATED);
		assert_true(flags_of(s, pfn) & GW_PG_LRU_HELD);
		assert_int_equal(refs_of(s, pfn), pfn == page + 20 ? 1 : 2);
	}
	gw_list_push_front(s->m, &list, page);
	gw_putback_movable_pages(s->m, &list);
	assert_frames(mm, HUGE_AT, 20);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B12: without a list, tails of an isolated page go to the LRU, and the head stays isolated. */
static void
isolated_without_a_list(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	struct gw_page_list list;

	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	gw_page_lock(s->m, page);
	assert_int_equal(gw_split_huge(s->m, page), 0);
	gw_page_unlock(s->m, page);
	assert_true(flags_of(s, page) & GW_PG_LRU_HELD);
	assert_true(flags_of(s, page + 1) & GW_PG_LRU);
	assert_int_equal(gw_lru_count(s->m, 0, GW_LRU_ACTIVE_ANON), 511);
	gw_putback_movable_pages(s->m, &list);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B13 and FACTS' note: write permission comes back only where it was; dirty, soft-dirty and young
 * survive, by frame. */
static void
entries_keep_their_marks(void **state)
{
	const uint64_t marks = GW_PTE_WRITE | GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY;
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	gw_split_pmd(mm, HUGE_AT);
	for (unsigned i = 0; i < 32; i++) { /* every combination */
		uint64_t flags = (i & 1 ? GW_PTE_WRITE : 0) | (i & 2 ? GW_PTE_YOUNG : 0) |
				 (i & 4 ? GW_PTE_DIRTY : 0) | (i & 8 ? GW_PTE_SOFT_DIRTY : 0);
		gw_spinlock *lock;
		gw_atomic_u64 *word = gw_pte_lock(mm, HUGE_AT + i * PAGE, &lock);

		gw_u64_store_relaxed(word, gw_pte_present(page + i, flags));
		gw_spin_unlock(lock);
	}
	gw_flush_range(mm, HUGE_AT, HUGE_AT + TABLE);
	assert_int_equal(split_at(s, page), 0);
	for (unsigned i = 0; i < 32; i++) {
		uint64_t flags = (i & 1 ? GW_PTE_WRITE : 0) | (i & 2 ? GW_PTE_YOUNG : 0) |
				 (i & 4 ? GW_PTE_DIRTY : 0) | (i & 8 ? GW_PTE_SOFT_DIRTY : 0);

		assert_int_equal(entry_of(mm, HUGE_AT + i * PAGE) & marks, flags);
	}
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B6, B13: write permission survives in a huge entry's pieces, too. */
static void
huge_entries_stay_writable(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	assert_true(is_huge(mm, HUGE_AT) && entry_of(mm, HUGE_AT) & GW_PTE_WRITE);
	assert_int_equal(split_at(s, page), 0);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		assert_true(entry_of(mm, HUGE_AT + i * PAGE) & GW_PTE_WRITE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B13: the same from a huge entry: every frame's entry has its marks. */
static void
huge_entries_keep_their_marks(void **state)
{
	const uint64_t marks = GW_PTE_WRITE | GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY;
	struct spaces *s = *state;
	struct gw_mm *mm[2];
	gw_pfn_t page;
	uint64_t before;

	page = share_huge(s, mm, 2, GW_HUGE_ORDER); /* read-only in both */
	before = entry_of(mm[0], HUGE_AT) & marks;
	assert_true(before & GW_PTE_SOFT_DIRTY && before & GW_PTE_DIRTY);
	assert_false(before & GW_PTE_WRITE);
	assert_int_equal(split_at(s, page), 0);
	assert_int_equal(entry_of(mm[0], HUGE_AT + 5 * PAGE) & marks, before);
	assert_false(entry_of(mm[1], HUGE_AT + 5 * PAGE) & GW_PTE_WRITE);
	end_spaces(s, mm, 2);
}

/* B15: frames that nobody maps are free after the split; their group pays for them no more. */
static void
unmapped_tails_are_freed(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_memcg *memcg;
	uint64_t before;
	gw_pfn_t page;

	assert_int_equal(gw_memcg_create(s->m, 10000, &memcg), 0);
	gw_mm_set_memcg(mm, memcg);
	page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	assert_int_equal(gw_madvise(mm, HUGE_AT + 200 * PAGE, 100 * PAGE, GW_MADV_DONTNEED), 0);
	before = free_frames(s);
	assert_int_equal(gw_memcg_usage(memcg), 512);
	assert_int_equal(split_at(s, page), 0);
	assert_int_equal(free_frames(s), before + 100);
	assert_int_equal(gw_memcg_usage(memcg), 412);
	assert_int_not_equal(gw_flags_type(flags_of(s, page + 200)), GW_PAGE_USED);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	gw_memcg_put(memcg);
}

/* FACTS 2.4: a uniform split gives pieces of one order; 1 is refused, and so is the page's own. */
static void
split_to_an_order(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm[2];
	gw_pfn_t page;

	page = share_huge(s, mm, 2, GW_HUGE_ORDER);
	lock_with_pin(s, page + 20);
	assert_int_equal(gw_split_huge_to_order(s->m, page + 20, 1, NULL), -EINVAL);
	assert_int_equal(gw_split_huge_to_order(s->m, page + 20, 9, NULL), -EINVAL);
	assert_int_equal(gw_split_huge_to_order(s->m, page + 20, 3, NULL), 0);
	assert_true(flags_of(s, page + 16) & GW_PG_LOCKED);
	unlock_with_pin(s, page + 20);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i += 8) {
		assert_int_equal(order_of(s, page + i + 7), 3);
		assert_int_equal(gw_page_head(s->m, page + i + 7), page + i);
		assert_int_equal(maps_of(s, page + i), 16);
		assert_int_equal(gw_page_pgoff(s->m, page + i + 7), i + 7);
	}
	assert_frames(mm[1], HUGE_AT, FRAMES_PER_HUGE);
	verify(s, mm, 2);
	assert_int_equal(split_at(s, page + 24), 0); /* and on */
	assert_int_equal(order_of(s, page + 24), 0);
	assert_int_equal(order_of(s, page + 16), 3);
	end_spaces(s, mm, 2);
}

/* FACTS 2.4: order 9 at its third piece of order 3 leaves 4, {3}, 3, 5, 6, 7, 8; to single frames
 * no piece of order 1. */
static void
split_around_a_piece(void **state)
{
	static const unsigned orders[] = {4, 3, 3, 5, 6, 7, 8};
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER), at = page;

	lock_with_pin(s, page + 16);
	assert_int_equal(gw_split_huge_around(s->m, page + 16, 3), 0);
	unlock_with_pin(s, page + 16);
	for (unsigned i = 0; i < 7; at += 1u << orders[i++]) {
		assert_int_equal(gw_page_head(s->m, at), at);
		assert_int_equal(order_of(s, at), orders[i]);
	}
	assert_int_equal(at, page + FRAMES_PER_HUGE);
	lock_with_pin(s, page + 5);
	assert_int_equal(gw_split_huge_around(s->m, page + 5, 0), 0);
	unlock_with_pin(s, page + 5);
	assert_int_equal(order_of(s, page), 2);
	for (unsigned i = 4; i < 8; i++)
		assert_int_equal(order_of(s, page + i), 0);
	assert_int_equal(order_of(s, page + 8), 3);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* What is split is whole again for whoever asks: a fault on a frame of a page being split waits for
 * it, whichever frame's lock that is (C8, C10). Pages of every order that faults make can be split.
 */
static void
every_order_splits(void **state)
{
	struct spaces *s = *state;

	for (unsigned order = GW_LARGE_ORDER_MIN; order <= GW_HUGE_ORDER; order++) {
		struct gw_mm *mm = new_space(s);
		gw_pfn_t page = fill_huge(s, mm, 1, order);

		assert_int_equal(split_at(s, page + 3), 0);
		assert_int_equal(order_of(s, page), 0);
		assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
		verify(s, &mm, 1);
		gw_mm_put(mm);
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, huge_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(split_through_a_tail),
		T(a_pin_prevents_it),
		T(unmapped_pages_stay),
		T(discarded_pages_stay),
		T(mixed_mappings),
		T(references_are_conserved),
		T(tails_keep_the_hint),
		T(tails_have_the_heads_flags),
		T(mlocked_tails),
		T(tails_stand_behind_the_head),
		T(tails_go_to_the_list),
		T(isolated_without_a_list),
		T(entries_keep_their_marks),
		T(huge_entries_stay_writable),
		T(huge_entries_keep_their_marks),
		T(unmapped_tails_are_freed),
		T(split_to_an_order),
		T(split_around_a_piece),
		T(every_order_splits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
