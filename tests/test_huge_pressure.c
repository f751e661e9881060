/* SPDX-License-Identifier: MIT */
/*
 * test_huge_pressure.c - large pages when memory is short: the queue of pages to split, underused
 * ones, and reclaim, which splits what it wants to free (FACTS 2.4).
 */
#include <errno.h>

#include "engine/huge/huge.h"
#include "engine/store/store.h"
#include "godwit/compact.h"
#include "huge_fixture.h"
#include "test.h"

static void
use_swap(struct spaces *s)
{
	void *backing;

	assert_int_equal(gw_soft_ram_backing(4 * FRAMES_PER_HUGE, &backing), 0);
	assert_int_equal(gw_swap_on(s->m, &gw_soft_ram_ops, backing, 4 * FRAMES_PER_HUGE), 0);
}

static bool
is_queued(struct spaces *s, gw_pfn_t page)
{
	return gw_page_flags(gw_page(s->m, page)) & GW_PG_DEFERRED;
}

/* FACTS 2.4: a page that loses a part of its maps is queued once, and split under pressure, which
 * frees the part. */
static void
partly_mapped_pages_are_split(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	uint64_t before;

	assert_false(is_queued(s, page));
	assert_int_equal(gw_munmap(mm, HUGE_AT, 300 * PAGE), 0);
	assert_true(is_queued(s, page));
	assert_int_equal(gw_munmap(mm, HUGE_AT + 300 * PAGE, PAGE), 0);
	assert_int_equal(count_of(s, GW_VM_THP_DEFERRED_SPLIT_PAGE), 1);
	verify(s, &mm, 1);
	before = free_frames(s);
	assert_int_equal(gw_reclaim(s->m, 0, NULL, 1), 301);
	assert_int_equal(free_frames(s), before + 301);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE), 1);
	assert_frames(mm, HUGE_AT + 301 * PAGE, 211);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Copying a frame on write unmaps it here: its page is queued as well. A page that is freed, or
 * split, leaves the queue; one that moves takes its place along. */
static void
pages_come_and_go(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm[2];
	gw_pfn_t page;

	page = share_huge(s, mm, 2, 4);
	poke(mm[0], HUGE_AT + 3 * PAGE, HUGE_AT / PAGE + 3);
	assert_false(is_queued(s, page)); /* as far as the counts can tell */
	gw_mm_put(mm[1]);
	assert_true(is_queued(s, page));
	verify(s, mm, 1);
	gw_get_page(s->m, page);
	gw_page_lock(s->m, page);
	assert_int_equal(gw_split_huge(s->m, page), 0);
	gw_page_unlock(s->m, page);
	gw_put_page(s->m, page);
	assert_false(is_queued(s, page));
	verify(s, mm, 1);
	page = gw_page_head(s->m, page_of(mm[0], HUGE_AT + 16 * PAGE));
	assert_int_equal(gw_munmap(mm[0], HUGE_AT + 16 * PAGE, PAGE), 0);
	assert_true(is_queued(s, page));
	assert_int_equal(gw_munmap(mm[0], HUGE_AT, TABLE), 0);
	assert_int_equal(s->m->nodes[0].deferred.n, 0);
	gw_mm_put(mm[0]);
}

/* FACTS 2.4: a huge page of which more frames than max_ptes_none are full of zeros is split, and
 * these frames are free: reads find the zero page. By Linux's default none is. */
static void
underused_pages_are_split(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_thp_tunables thp;
	uint64_t before;
	gw_pfn_t page;

	map_huge(mm, 2);
	poke(mm, HUGE_AT, 1);
	assert_int_equal(s->m->nodes[0].deferred.n, 0);
	gw_thp_tunables_init(&thp);
	thp.max_ptes_none = 400;
	assert_int_equal(gw_machine_set_thp(s->m, &thp), 0);
	write_frames(mm, HUGE_AT + TABLE, 112); /* 400 are zero: just enough is used */
	gw_lru_add_drain_all(s->m);
	page = page_of(mm, HUGE_AT + TABLE);
	assert_true(is_queued(s, page));
	assert_int_equal(gw_split_deferred(s->m, 0, 9), 0);
	assert_false(is_queued(s, page));
	poke(mm, HUGE_AT + TABLE + 111 * PAGE, 0); /* now 401 are */
	assert_true(gw_deferred_add(s->m, page));
	before = free_frames(s);
	assert_int_equal(gw_split_deferred(s->m, 0, 9), 401);
	assert_int_equal(free_frames(s), before + 401);
	assert_int_equal(count_of(s, GW_VM_THP_UNDERUSED_SPLIT_PAGE), 1);
	assert_frames(mm, HUGE_AT + TABLE, 111);
	assert_int_equal(peek(mm, HUGE_AT + TABLE + 300 * PAGE), 0);
	poke(mm, HUGE_AT + TABLE + 300 * PAGE, 8);
	assert_int_equal(peek(mm, HUGE_AT + TABLE + 301 * PAGE), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Reclaim splits a huge page that was not used lately, and swaps its frames out one by one. */
static void
reclaim_splits_and_swaps(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	use_swap(s);
	fill_huge(s, mm, 1, GW_HUGE_ORDER);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE), 1);
	assert_int_equal(count_of(s, GW_VM_PSWPOUT), FRAMES_PER_HUGE);
	assert_int_equal(gw_mm_pages(mm), 0);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	assert_int_equal(gw_swap_off(s->m), 0);
}

/* The same from the LRU lists; a page in a locked VMA stays whole. */
static void
pressure_leaves_locked_pages(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	use_swap(s);
	fill_huge(s, mm, 2, GW_HUGE_ORDER);
	assert_int_equal(gw_mlock(mm, HUGE_AT, TABLE, true), 0);
	assert_true(gw_reclaim(s->m, 0, NULL, 100) >= 100);
	assert_true(is_huge(mm, HUGE_AT));
	assert_false(is_huge(mm, HUGE_AT + TABLE));
	assert_frames(mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	assert_int_equal(gw_swap_off(s->m), 0);
}

/* FACTS 2.3: compaction moves large pages whole, below the order that it is for. */
static void
compaction_moves_large_pages(void **state)
{
	const struct gw_compact_request request = {
		.order = -1, .mode = GW_MIGRATE_SYNC, .whole_zone = true, .ignore_skip = true};
	struct gw_compact_stats stats;
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	const unsigned blocks = 8 * FRAMES_PER_HUGE / 16;
	uint64_t before;

	fill_huge(s, mm, 8, 4);
	for (unsigned i = 1; i < blocks; i += 2)
		assert_int_equal(gw_munmap(mm, HUGE_AT + i * 16 * PAGE, 16 * PAGE), 0);
	gw_drain_all_pages(s->m);
	before = gw_zone_available(s->m, 0, GW_HUGE_ORDER);
	(void)gw_compact_zone(s->m, 0, &request, &stats);
	gw_drain_all_pages(s->m);
	assert_true(gw_zone_available(s->m, 0, GW_HUGE_ORDER) >= before + 3);
	/* Now and then the blocks held are too small: such a page is split (FACTS 3.7). */
	assert_true(stats.migrate.large_succeeded > 2 * stats.migrate.split);
	for (unsigned i = 0; i < blocks; i += 2)
		assert_frames(mm, HUGE_AT + i * 16 * PAGE, 16);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A fork that finds no table to put by fails, and the parent has what it had. */
static void
fork_without_memory(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	gw_pfn_t first = GW_PFN_NONE, page;

	fill_huge(s, mm, 2, GW_HUGE_ORDER);
	/* All but k frames are taken: the fork fails at one table after the other. */
	for (unsigned k = 0; k < 12; k++) {
		int err;

		while (!gw_alloc_pages(s->m, GW_GFP_NO_WATERMARKS, 0, 0, &page)) {
			gw_page(s->m, page)->next = first;
			first = page;
		}
		for (unsigned i = 0; i < k; i++) {
			page = first;
			first = gw_page(s->m, page)->next;
			gw_put_page(s->m, page);
		}
		err = gw_mm_fork(mm, &child);
		assert_true(err == 0 || err == -ENOMEM);
		assert_true(err == -ENOMEM || k > 4);
		if (!err)
			gw_mm_put(child);
		assert_true(is_huge(mm, HUGE_AT));
		assert_true(is_huge(mm, HUGE_AT + TABLE));
		verify(s, &mm, 1);
	}
	while (first != GW_PFN_NONE) {
		page = first;
		first = gw_page(s->m, page)->next;
		gw_put_page(s->m, page);
	}
	assert_frames(mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	gw_mm_put(mm);
}

#define T(test) cmocka_unit_test_setup_teardown(test, huge_setup, spaces_teardown)

/* FACTS 3.6: where a light try fails, since 700 scattered frames are no room for compaction, memory
 * is reclaimed for who asked for huge pages, and for nobody else. */
static void
fault_reclaims_for_who_asked(void **state)
{
	const uint64_t pages = 32 * FRAMES_PER_HUGE;
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_mapping *file;
	uint64_t value, stalls;
	void *backing;

	assert_int_equal(gw_soft_ram_backing(pages, &backing), 0);
	assert_int_equal(gw_mapping_create(s->m, &gw_soft_ram_ops, backing, pages, 0, &file), 0);
	map_at(mm, 10 * TABLE, 1400);
	write_frames(mm, 10 * TABLE, 1400);
	for (uint64_t i = 0; i < pages; i++)
		assert_int_equal(gw_mapping_read(file, i * PAGE, &value, sizeof(value)), 0);
	for (unsigned i = 0; i < 1400; i += 2)
		assert_int_equal(gw_madvise(mm, 10 * TABLE + i * PAGE, PAGE, GW_MADV_DONTNEED), 0);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(gw_zone_available(s->m, 0, GW_HUGE_ORDER), 0);
	stalls = count_of(s, GW_VM_ALLOCSTALL);
	map_huge(mm, 2);
	assert_int_equal(gw_madvise(mm, HUGE_AT + TABLE, TABLE, GW_MADV_NOHUGEPAGE), 0);
	poke(mm, HUGE_AT + TABLE, 1);
	assert_int_equal(count_of(s, GW_VM_ALLOCSTALL), stalls);
	poke(mm, HUGE_AT, 1);
	assert_int_equal(count_of(s, GW_VM_ALLOCSTALL), stalls + 1);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	gw_mapping_put(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(partly_mapped_pages_are_split),
		T(pages_come_and_go),
		T(underused_pages_are_split),
		T(reclaim_splits_and_swaps),
		T(pressure_leaves_locked_pages),
		T(compaction_moves_large_pages),
		T(fork_without_memory),
		T(fault_reclaims_for_who_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
