/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim.c - which pages leave memory, and that they come back with their bytes
 * (godwit/reclaim.h; FACTS 1.3 C9, A11, I4, R7, 3.4).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "reclaim_fixture.h"

static void
read_file(struct gw_mapping *file, unsigned pages)
{
	uint8_t byte;

	for (unsigned i = 0; i < pages; i++) {
		assert_int_equal(gw_mapping_read(file, i * PAGE + 7, &byte, 1), 0);
		assert_int_equal(byte, pattern(i, 7));
	}
}

/* ---- anonymous pages ---- */

/* Pages go to swap and come back with their bytes; rss goes down and up (FACTS 3.4's counters). */
static void
swapped_pages_come_back(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 64);
	uint64_t scanned;

	fill(mm, addr, 64, 1000);
	assert_int_equal(reclaim_all(s), 64);
	assert_int_equal(present(mm, addr, 64), 0);
	assert_int_equal(gw_mm_pages(mm), 0);
	assert_int_equal(count(s, GW_VM_PSWPOUT), 64);
	assert_int_equal(count(s, GW_VM_PGSTEAL_PROACTIVE), 64);
	scanned = count(s, GW_VM_PGSCAN_PROACTIVE);
	assert_true(scanned >= 64);
	verify(s, &mm, 1);
	expect(mm, addr, 64, 1000);
	assert_int_equal(count(s, GW_VM_PSWPIN), 64);
	assert_int_equal(gw_mm_pages(mm), 64);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Pages filled from `value` on, which the second address space shares as the first one's child. */
static gw_vaddr_t
share(struct spaces *s, struct gw_mm *both[2], unsigned pages, uint64_t value)
{
	gw_vaddr_t addr;

	both[0] = new_space(s);
	addr = map(both[0], pages);
	fill(both[0], addr, pages, value);
	both[1] = fork_space(both[0]);
	return addr;
}

/* A page that was read in, and has its slot still because another entry names it, goes without I/O
 * as long as nobody has written to it. */
static void
clean_swap_cache_pages_are_not_written(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2];
	gw_vaddr_t addr;

	addr = share(s, both, 16, 1);
	assert_int_equal(reclaim_all(s), 16);
	expect(both[0], addr, 16, 1);
	poke(both[0], addr, 100);
	reclaim_all(s);
	assert_int_equal(present(both[0], addr, 16), 0);
	assert_int_equal(count(s, GW_VM_PSWPOUT), 17);
	assert_int_equal(peek(both[0], addr), 100);
	expect(both[0], addr + PAGE, 15, 2);
	expect(both[1], addr, 16, 1);
	end_spaces(s, both, 2);
}

/* A page shared after fork leaves both address spaces, and each comes back to its own view. */
static void
shared_pages_leave_both(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2];
	gw_vaddr_t addr;

	addr = share(s, both, 8, 50);
	assert_int_equal(reclaim_all(s), 8);
	poke(both[1], addr, 7);
	assert_int_equal(peek(both[0], addr), 50);
	assert_int_equal(peek(both[1], addr), 7);
	expect(both[0], addr, 8, 50);
	expect(both[1], addr + PAGE, 7, 51);
	end_spaces(s, both, 2);
}

/* Without swap anonymous pages are not even looked at. */
static void
no_swap_no_anon(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 32);

	fill(mm, addr, 32, 1);
	assert_int_equal(reclaim_all(s), 0);
	assert_int_equal(count(s, GW_VM_PGSCAN_PROACTIVE), 0);
	assert_int_equal(present(mm, addr, 32), 32);
	gw_mm_put(mm);
}

/* I4: somebody's reference keeps a page in memory; its entry is a fault that finds it again. */
static void
pinned_pages_stay(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	gw_pfn_t page;

	poke(mm, addr, 42);
	page = page_of(mm, addr);
	gw_get_page(s->m, page);
	assert_int_equal(reclaim_all(s), 0);
	assert_int_equal(peek(mm, addr), 42);
	assert_int_equal(page_of(mm, addr), page);
	gw_put_page(s->m, page);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* R7: rmap does not find a temporary stack's entries: its pages stay mapped. */
static void
temporary_stacks_stay(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr;

	assert_int_equal(gw_exec_stack(mm, GW_VADDR_END - 64 * PAGE, 4 * PAGE, &addr), 0);
	poke(mm, addr, 5);
	assert_int_equal(reclaim_all(s), 0);
	assert_int_equal(present(mm, addr, 1), 1);
	assert_int_equal(gw_exec_shift(mm, addr, 16 * PAGE), 0);
	assert_int_equal(peek(mm, addr - 16 * PAGE), 5);
	gw_mm_put(mm);
}

/* What was used since reclaim last looked gets another round; what was not, goes. */
static void
referenced_pages_stay(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t hot = map(mm, 32), cold = map(mm, 32);

	fill(mm, hot, 32, 1); /* first to be looked at */
	fill(mm, cold, 32, 1);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(gw_madvise(mm, cold, 32 * PAGE, GW_MADV_COLD), 0);
	expect(mm, hot, 32, 1);
	assert_true(gw_reclaim(s->m, 0, NULL, 16) >= 16);
	assert_true(present(mm, cold, 32) <= 16);
	assert_int_equal(present(mm, hot, 32), 32);
	assert_true(count(s, GW_VM_PGDEACTIVATE) >= 16);
	expect(mm, cold, 32, 1);
	gw_mm_put(mm);
}

/* MADV_PAGEOUT takes the range's pages, used or not, but for those that others map, too. */
static void
pageout_takes_own_pages(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2];
	gw_vaddr_t addr, shared;

	shared = share(s, both, 4, 1);
	addr = map(both[0], 600); /* more than a table */
	fill(both[0], addr, 600, 1);
	assert_int_equal(gw_madvise(both[0], addr, 599 * PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(present(both[0], addr, 600), 1);
	assert_int_equal(gw_madvise(both[0], shared, 4 * PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(present(both[0], shared, 4), 4);
	assert_int_equal(gw_madvise(both[0], addr, 700 * PAGE, GW_MADV_PAGEOUT), -ENOMEM);
	expect(both[0], addr, 600, 1);
	end_spaces(s, both, 2);
}

/* Pages of files as well: what was written is in the store before they go. A range that is locked,
 * in part or wholly, refuses. */
static void
pageout_takes_pages_of_files(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map_file(mm, file, 8, GW_MAP_SHARED);

	fill(mm, addr, 8, 1);
	assert_int_equal(gw_mlock(mm, addr + 6 * PAGE, 2 * PAGE, true), 0);
	assert_int_equal(gw_madvise(mm, addr, 8 * PAGE, GW_MADV_PAGEOUT), -EINVAL);
	assert_int_equal(present(mm, addr, 8), 8);
	assert_int_equal(gw_madvise(mm, addr, 6 * PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(present(mm, addr, 6), 0);
	assert_int_equal(present(mm, addr + 6 * PAGE, 2), 2);
	assert_int_equal(gw_mapping_cached(file), 2);
	assert_int_equal(gw_u32_load_relaxed(&store->writes), 6);
	expect(mm, addr, 8, 1);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

/* ---- pages of files ---- */

/* Clean pages are dropped, and read again. */
static void
clean_file_pages_are_dropped(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);

	read_file(file, STORE_PAGES);
	assert_int_equal(reclaim_all(s), STORE_PAGES);
	assert_int_equal(gw_mapping_cached(file), 0);
	assert_int_equal(gw_u32_load_relaxed(&store->writes), 0);
	read_file(file, STORE_PAGES);
	assert_int_equal(gw_u32_load_relaxed(&store->reads), 2 * STORE_PAGES);
	file_put(file);
	store_destroy(store);
}

/* Dirty ones are written first, whether a call or a CPU has written to them; private copies are
 * anonymous memory. */
static void
dirty_file_pages_are_written(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t shared = map_file(mm, file, STORE_PAGES, GW_MAP_SHARED),
		   own = map_file(mm, file, STORE_PAGES, 0);
	uint64_t word;

	fill_page(file, 0, 77);
	poke(mm, shared + PAGE, 99);
	poke(mm, own + 2 * PAGE, 11);
	assert_true(reclaim_all(s) >= 3);
	assert_int_equal(gw_mapping_cached(file), 0);
	assert_int_equal(present(mm, shared, 3) + present(mm, own, 2), 0);
	assert_int_equal(store->bytes[0][5], 77);
	memcpy(&word, store->bytes[1], sizeof(word));
	assert_int_equal(word, 99);
	assert_int_equal(store->bytes[2][0], pattern(2, 0));
	assert_int_equal(peek(mm, shared + PAGE), 99);
	assert_int_equal(peek(mm, own + 2 * PAGE), 11);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

/* A page that cannot be written stays, dirty. */
static void
a_failed_write_loses_nothing(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);

	fill_page(file, 3, 1);
	fill_page(file, 4, 2);
	store->bad_write = 3;
	assert_int_equal(reclaim_all(s), 1);
	assert_page(file, 3, 1);
	assert_true(cached_flags(file, 3) & GW_PG_DIRTY);
	store->bad_write = UINT64_MAX;
	assert_int_equal(reclaim_all(s), 1);
	assert_page(file, 3, 1);
	file_put(file);
	store_destroy(store);
}

/* What a CPU writes to a page in the middle of its writeback, and unmaps again. */
static void
write_behind(struct store *store, uint64_t index)
{
	struct gw_mm *mm = store->arg;

	store->on_write = NULL;
	poke(mm, TABLE + index * PAGE, 12345);
	assert_int_equal(gw_munmap(mm, TABLE + index * PAGE, PAGE), 0);
}

/* C1: a page that was written to while reclaim wrote it is dirty again, and stays. */
static void
written_during_writeback(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s);
	uint64_t word = 0;
	gw_vaddr_t addr;

	assert_int_equal(gw_mmap_file(mm, TABLE, STORE_PAGES * PAGE, READWRITE,
				 GW_MAP_FIXED | GW_MAP_SHARED, file, 0, &addr),
		0);
	fill_page(file, 5, 1);
	store->on_write = write_behind;
	store->arg = mm;
	gw_lru_add_drain_all(s->m);
	(void)gw_reclaim(s->m, 0, NULL, 1);
	assert_null(store->on_write);
	assert_int_equal(gw_mapping_read(file, 5 * PAGE, &word, sizeof(word)), 0);
	assert_int_equal(word, 12345);
	gw_mm_put(mm);
	file_put(file);
	memcpy(&word, store->bytes[5], sizeof(word));
	assert_int_equal(word, 12345);
	store_destroy(store);
}

/* The second use of a page through the file activates it. */
static void
second_use_activates(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);

	read_file(file, 8);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(gw_lru_count(s->m, 0, GW_LRU_ACTIVE_FILE), 0);
	read_file(file, 4);
	assert_int_equal(gw_lru_count(s->m, 0, GW_LRU_ACTIVE_FILE), 4);
	assert_int_equal(count(s, GW_VM_PGACTIVATE), 4);
	assert_int_equal(gw_reclaim(s->m, 0, NULL, 4), 4);
	assert_int_equal(gw_mapping_cached(file), 4);
	read_file(file, 4);
	assert_int_equal(gw_u32_load_relaxed(&store->reads), 8); /* these were there */
	file_put(file);
	store_destroy(store);
}

/* ---- private data; C9 ---- */

struct owner {
	struct gw_private data;
	bool keep;
	struct spaces *s;
	pthread_t waiter;
	gw_pfn_t page;
	gw_atomic_u32 woken;
};

static void *
wait_dropped(void *arg)
{
	struct owner *o = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, o->s->m, 1), 0);
	gw_page_put_and_wait_locked(o->s->m, o->page, false);
	gw_u32_store_release(&o->woken, 1);
	gw_task_detach(&task);
	return NULL;
}

/* Reclaim has the page locked and is about to freeze it: a waiter queues and drops his reference.
 */
static bool
release_with_waiter(struct gw_private *data, struct gw_machine *m, gw_pfn_t page)
{
	struct owner *o = (struct owner *)data;
	uint32_t refs = gw_ref_read(&gw_page(m, page)->refcount);

	if (o->keep)
		return false;
	o->page = page;
	gw_get_page(m, page);
	assert_int_equal(pthread_create(&o->waiter, NULL, wait_dropped, o), 0);
	while (gw_ref_read(&gw_page(m, page)->refcount) != refs)
		gw_relax();
	assert_true(gw_page_flags(gw_page(m, page)) & GW_PG_WAITERS);
	assert_int_equal(gw_u32_load_acquire(&o->woken), 0);
	return true;
}

/* C9: the page is freed, and who waited for its lock without a reference is woken. */
static void
reclaim_wakes_a_dropped_waiter(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct owner owner = {.data = {.release = release_with_waiter}, .keep = true, .s = s};
	gw_pfn_t page;

	read_file(file, 1);
	page = gw_mapping_find(file, 0);
	gw_page_lock(s->m, page);
	assert_int_equal(gw_page_set_private(s->m, page, &owner.data), 0);
	gw_page_unlock(s->m, page);
	gw_put_page(s->m, page);
	assert_int_equal(reclaim_all(s), 0); /* it says: not now */
	assert_int_equal(gw_mapping_cached(file), 1);
	owner.keep = false;
	assert_int_equal(reclaim_all(s), 1);
	for (unsigned i = 0; i < 1000 && !gw_u32_load_acquire(&owner.woken); i++)
		usleep(10000);
	assert_int_equal(gw_u32_load_acquire(&owner.woken), 1);
	pthread_join(owner.waiter, NULL);
	file_put(file);
	store_destroy(store);
}

static bool
release_later(struct gw_private *data, struct gw_machine *m, gw_pfn_t page)
{
	(void)m;
	(void)page;
	return !((struct owner *)data)->keep;
}

/* A11: an orphan, truncated with private data that would not go, is freed when it does. */
static void
orphans_are_freed(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct owner owner = {.data = {.release = release_later}, .keep = true};
	uint64_t before;
	gw_pfn_t page;

	read_file(file, 1);
	page = gw_mapping_find(file, 0);
	gw_page_lock(s->m, page);
	assert_int_equal(gw_page_set_private(s->m, page, &owner.data), 0);
	gw_page_unlock(s->m, page);
	gw_put_page(s->m, page);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(gw_mapping_truncate(file, 0), 0);
	before = free_frames(s);
	assert_int_equal(reclaim_all(s), 0);
	owner.keep = false;
	assert_int_equal(reclaim_all(s), 1);
	assert_int_equal(free_frames(s), before + 1);
	file_put(file);
	store_destroy(store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_SWAP(swapped_pages_come_back),
		TEST_SWAP(clean_swap_cache_pages_are_not_written),
		TEST_SWAP(shared_pages_leave_both),
		TEST_NO_SWAP(no_swap_no_anon),
		TEST_SWAP(pinned_pages_stay),
		TEST_SWAP(temporary_stacks_stay),
		TEST_SWAP(referenced_pages_stay),
		TEST_SWAP(pageout_takes_own_pages),
		TEST_NO_SWAP(pageout_takes_pages_of_files),
		TEST_NO_SWAP(clean_file_pages_are_dropped),
		TEST_SWAP(dirty_file_pages_are_written),
		TEST_NO_SWAP(a_failed_write_loses_nothing),
		TEST_NO_SWAP(written_during_writeback),
		TEST_NO_SWAP(second_use_activates),
		TEST_NO_SWAP(reclaim_wakes_a_dropped_waiter),
		TEST_NO_SWAP(orphans_are_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
