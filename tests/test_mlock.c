/* SPDX-License-Identifier: MIT */
/*
 * test_mlock.c - locked memory: on the unevictable list while a locked VMA maps it, and nowhere
 * else (engine/virt/mlock.c; FACTS 2.1, 3.5 on mlocked pages).
 */
#include "test.h"

#include <errno.h>

#include "reclaim_fixture.h"

static uint64_t
unevictable(struct spaces *s)
{
	gw_lru_add_drain_all(s->m);
	return gw_lru_count(s->m, 0, GW_LRU_UNEVICTABLE);
}

/* mlock faults in what is not there and marks what is; reclaim leaves both; munlock gives them
 * back to it. */
static void
locked_pages_stay(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 32);

	for (unsigned i = 0; i < 16; i++)
		poke(mm, addr + i * PAGE, i);
	assert_int_equal(gw_mlock(mm, addr, 32 * PAGE, true), 0);
	assert_int_equal(unevictable(s), 32);
	assert_int_equal(reclaim_all(s), 0);
	assert_int_equal(gw_mm_pages(mm), 32);
	verify(s, &mm, 1);
	assert_int_equal(gw_mlock(mm, addr, 16 * PAGE, false), 0);
	assert_int_equal(unevictable(s), 16);
	assert_int_equal(count(s, GW_VM_UNEVICTABLE_PGS_RESCUED), 16);
	assert_int_equal(reclaim_all(s), 16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(peek(mm, addr + i * PAGE), i);
	gw_mm_put(mm);
	assert_int_equal(unevictable(s), 0);
}

/* A locked range that has been swapped out comes back, to stay. */
static void
mlock_swaps_in(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 8);

	for (unsigned i = 0; i < 8; i++)
		poke(mm, addr + i * PAGE, i);
	assert_int_equal(reclaim_all(s), 8);
	assert_int_equal(gw_mlock(mm, addr, 8 * PAGE, true), 0);
	assert_int_equal(gw_mm_pages(mm), 8);
	assert_int_equal(unevictable(s), 8);
	assert_int_equal(reclaim_all(s), 0);
	gw_mm_put(mm);
}

/* A fault into a locked VMA puts its new page there; what it replaced is rescued. */
static void
faults_into_locked_memory(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2];
	gw_vaddr_t addr;

	both[0] = new_space(s);
	addr = map(both[0], 4);
	assert_int_equal(gw_mlock(both[0], addr, 4 * PAGE, true), 0);
	both[1] = fork_space(both[0]); /* which is not locked, but shares locked pages */
	assert_int_equal(unevictable(s), 4);
	poke(both[0], addr, 5);
	assert_int_equal(unevictable(s), 4);
	assert_true(gw_page_flags(gw_page(s->m, page_of(both[0], addr))) & GW_PG_MLOCKED);
	assert_false(gw_page_flags(gw_page(s->m, page_of(both[1], addr))) & GW_PG_MLOCKED);
	gw_mm_put(both[0]);
	assert_int_equal(unevictable(s), 0);
	assert_int_equal(reclaim_all(s), 4);
	assert_int_equal(peek(both[1], addr), 0);
	gw_mm_put(both[1]);
}

/* W1: reclaim that meets a locked VMA culls a page that has no mark: here the range was unlocked by
 * one of two who had locked it. */
static void
reclaim_culls(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm[2] = {new_space(s), new_space(s)};
	gw_vaddr_t addr[2];

	for (unsigned i = 0; i < 2; i++) {
		addr[i] = map_file(mm[i], file, 4, GW_MAP_SHARED);
		assert_int_equal(gw_mlock(mm[i], addr[i], 4 * PAGE, true), 0);
	}
	assert_int_equal(unevictable(s), 4);
	assert_int_equal(gw_mlock(mm[0], addr[0], 4 * PAGE, false), 0);
	assert_int_equal(unevictable(s), 0);
	assert_int_equal(reclaim_all(s), 0);
	assert_int_equal(count(s, GW_VM_UNEVICTABLE_PGS_CULLED), 4);
	assert_int_equal(unevictable(s), 4);
	end_spaces(s, mm, 2);
	assert_int_equal(unevictable(s), 0);
	file_put(file);
	store_destroy(store);
}

/* Unmapping a locked range of a file rescues its pages; so does truncation of the file. */
static void
unmapped_pages_are_rescued(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map_file(mm, file, 8, GW_MAP_SHARED);

	assert_int_equal(gw_mlock(mm, addr, 8 * PAGE, true), 0);
	assert_int_equal(unevictable(s), 8);
	assert_int_equal(gw_munmap(mm, addr, 2 * PAGE), 0);
	assert_int_equal(unevictable(s), 6);
	assert_int_equal(gw_mapping_cached(file), 8);
	assert_int_equal(count(s, GW_VM_UNEVICTABLE_PGS_RESCUED), 2);
	assert_int_equal(reclaim_all(s), 2);
	assert_int_equal(gw_mapping_truncate(file, 4), 0);
	assert_int_equal(unevictable(s), 2);
	assert_int_equal(gw_mapping_cached(file), 2);
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

static int
new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst);
}

/* FACTS 2.1: mlocked pages may be moved; they stay on the unevictable list. */
static void
locked_pages_move(void **state)
{
	static const struct gw_migrate_target target = {.get_new_page = new_page};
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	struct gw_page_list list;
	gw_pfn_t page;

	poke(mm, addr, 42);
	assert_int_equal(gw_mlock(mm, addr, PAGE, true), 0);
	assert_int_equal(unevictable(s), 1);
	page = page_of(mm, addr);
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(
		gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL), 0);
	assert_int_not_equal(page_of(mm, addr), page);
	assert_int_equal(peek(mm, addr), 42);
	assert_int_equal(unevictable(s), 1);
	assert_true(gw_page_flags(gw_page(s->m, page_of(mm, addr))) & GW_PG_MLOCKED);
	assert_int_equal(gw_mlock(mm, addr, PAGE, false), 0);
	assert_int_equal(unevictable(s), 0);
	gw_mm_put(mm);
}

/* W2, R15: a locked range of a file is unmapped while its page migrates, and has no page to unlock:
 * the page that arrives is an ordinary one. */
static void
unmapped_while_it_migrates(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map_file(mm, file, 2, GW_MAP_SHARED);
	struct gw_task other; /* who unmaps: this one holds the page's lock */
	gw_pfn_t page;

	assert_int_equal(gw_mlock(mm, addr, 2 * PAGE, true), 0);
	assert_int_equal(unevictable(s), 2);
	for (unsigned i = 0; i < 2; i++) {
		page = page_of(mm, addr + i * PAGE);
		freeze_entries(s, page);
		assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
		if (i)
			assert_int_equal(gw_munmap(mm, addr + PAGE, PAGE), 0);
		gw_task_detach(&other);
		thaw_entries(s, page, NULL);
		assert_int_equal(unevictable(s), 2 - i);
	}
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

/* The mark changes while the page is off its list (isolated, or in a batch): it comes back to the
 * right one. */
static void
marks_while_off_the_list(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	gw_pfn_t page;

	poke(mm, addr, 1);
	page = page_of(mm, addr);
	gw_mlock_page(s->m, page); /* in a batch */
	assert_int_equal(unevictable(s), 1);
	assert_int_equal(gw_lru_isolate(s->m, page, GW_ISOLATE_BOTH), 0);
	gw_munlock_page(s->m, page);
	gw_lru_putback(s->m, page);
	assert_int_equal(unevictable(s), 0);
	gw_put_page(s->m, page);
	assert_int_equal(gw_lru_isolate(s->m, page, GW_ISOLATE_BOTH), 0);
	gw_mlock_page(s->m, page);
	gw_lru_putback(s->m, page);
	assert_int_equal(unevictable(s), 1);
	gw_put_page(s->m, page);
	gw_munlock_page(s->m, page);
	assert_int_equal(unevictable(s), 0);
	gw_mm_put(mm);
}

/* Ranges that cannot be locked say so. */
static void
refusals(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 4), end = addr + 4 * PAGE;

	assert_int_equal(gw_mlock(mm, addr + 1, PAGE, true), -EINVAL);
	assert_int_equal(gw_mlock(mm, addr, 0, false), -EINVAL);
	assert_int_equal(gw_munmap(mm, end - PAGE, PAGE), 0);
	assert_int_equal(gw_mlock(mm, addr, 4 * PAGE, true), -ENOMEM);
	assert_int_equal(gw_mlock(mm, addr, 4 * PAGE, false), -ENOMEM);
	assert_int_equal(gw_mprotect(mm, addr, PAGE, GW_PROT_NONE), 0);
	assert_int_equal(gw_mlock(mm, addr, PAGE, true), -ENOMEM);
	gw_mm_put(mm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_SWAP(locked_pages_stay),
		TEST_SWAP(mlock_swaps_in),
		TEST_SWAP(faults_into_locked_memory),
		TEST_SWAP(reclaim_culls),
		TEST_SWAP(unmapped_pages_are_rescued),
		TEST_SWAP(locked_pages_move),
		TEST_SWAP(unmapped_while_it_migrates),
		TEST_SWAP(marks_while_off_the_list),
		TEST_SWAP(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
