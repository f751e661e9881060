/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim.c - pages that leave memory, and come back with their bytes (godwit/reclaim.h;
 * FACTS 1.3 C9, 2.1 boosting, 3.4, 3.6; R7).
 *
 * Swap is as large as memory unless a test says otherwise.
 */
#define _GNU_SOURCE /* pthread_tryjoin_np() */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "engine/store/store.h"
#include "file_fixture.h"
#include "godwit/reclaim.h"
#include "mm_fixture.h"

#define FRAMES 1024

static void
swap_on(struct spaces *s)
{
	void *ctx;

	assert_int_equal(gw_soft_ram_backing(FRAMES, &ctx), 0);
	assert_int_equal(gw_swap_on(s->m, &gw_soft_ram_ops, ctx, FRAMES), 0);
}

static int
setup(void **state)
{
	*state = spaces_create(FRAMES);
	return 0;
}

static int
setup_swap(void **state)
{
	setup(state);
	swap_on(*state);
	return 0;
}

static uint64_t
count(struct spaces *s, enum gw_vm_event event)
{
	return gw_machine_count(s->m, event);
}

static void
fill(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, uint64_t value)
{
	for (unsigned i = 0; i < pages; i++)
		poke(mm, addr + i * PAGE, value + i);
}

static void
expect(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, uint64_t value)
{
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(peek(mm, addr + i * PAGE), value + i);
}

static unsigned
present(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pages; i++)
		n += gw_pte_kind(entry_of(mm, addr + i * PAGE)) == GW_PTE_IS_PRESENT;
	return n;
}

/* All that can go, goes. */
static uint64_t
reclaim_all(struct spaces *s)
{
	gw_lru_add_drain_all(s->m);
	return gw_reclaim(s->m, 0, NULL, FRAMES);
}

static gw_vaddr_t
map_file(struct gw_mm *mm, struct gw_mapping *file, unsigned flags)
{
	gw_vaddr_t addr = 0;

	assert_int_equal(
		gw_mmap_file(mm, 0, STORE_PAGES * PAGE, READWRITE, flags, file, 0, &addr), 0);
	return addr;
}

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
	assert_int_equal(count(s, GW_VM_PGSTEAL_DIRECT), 64);
	scanned = count(s, GW_VM_PGSCAN_DIRECT);
	assert_true(scanned >= 64);
	verify(s, &mm, 1);
	expect(mm, addr, 64, 1000);
	assert_int_equal(count(s, GW_VM_PSWPIN), 64);
	assert_int_equal(gw_mm_pages(mm), 64);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A page that was read in, and has its slot still because another entry names it, goes without I/O
 * as long as nobody has written to it. */
static void
clean_swap_cache_pages_are_not_written(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2];
	gw_vaddr_t addr;

	both[0] = new_space(s);
	addr = map(both[0], 16);
	fill(both[0], addr, 16, 1);
	both[1] = fork_space(both[0]);
	assert_int_equal(reclaim_all(s), 16);
	expect(both[0], addr, 16, 1);
	poke(both[0], addr, 100);
	reclaim_all(s);
	assert_int_equal(present(both[0], addr, 16), 0);
	assert_int_equal(count(s, GW_VM_PSWPOUT), 17);
	assert_int_equal(peek(both[0], addr), 100);
	expect(both[0], addr + PAGE, 15, 2);
	expect(both[1], addr, 16, 1);
	verify(s, both, 2);
	gw_mm_put(both[0]);
	gw_mm_put(both[1]);
}

/* A page shared after fork leaves both address spaces, and each comes back to its own view. */
static void
shared_pages_leave_both(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2];
	gw_vaddr_t addr;

	both[0] = new_space(s);
	addr = map(both[0], 8);
	fill(both[0], addr, 8, 50);
	both[1] = fork_space(both[0]);
	assert_int_equal(reclaim_all(s), 8);
	poke(both[1], addr, 7);
	assert_int_equal(peek(both[0], addr), 50);
	assert_int_equal(peek(both[1], addr), 7);
	expect(both[0], addr, 8, 50);
	expect(both[1], addr + PAGE, 7, 51);
	verify(s, both, 2);
	gw_mm_put(both[0]);
	gw_mm_put(both[1]);
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
	assert_int_equal(count(s, GW_VM_PGSCAN_DIRECT), 0);
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

	both[0] = new_space(s);
	shared = map(both[0], 4);
	fill(both[0], shared, 4, 1);
	both[1] = fork_space(both[0]);
	addr = map(both[0], 600); /* more than a table */
	fill(both[0], addr, 600, 1);
	assert_int_equal(gw_madvise(both[0], addr, 599 * PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(present(both[0], addr, 600), 1);
	assert_int_equal(gw_madvise(both[0], shared, 4 * PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(present(both[0], shared, 4), 4);
	assert_int_equal(gw_madvise(both[0], addr, 700 * PAGE, GW_MADV_PAGEOUT), -ENOMEM);
	expect(both[0], addr, 600, 1);
	verify(s, both, 2);
	gw_mm_put(both[0]);
	gw_mm_put(both[1]);
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
	gw_vaddr_t shared = map_file(mm, file, GW_MAP_SHARED), own = map_file(mm, file, 0);
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

/* ---- allocation, kswapd ---- */

/* Touch pages until there is no memory; returns how many there are. */
static unsigned
fill_up(struct spaces *s, struct gw_mm *mm, gw_vaddr_t addr, unsigned pages)
{
	unsigned n = 0;
	int err = 0;

	while (n < pages && !(err = try_poke(s, 0, mm, addr + n * PAGE, n)))
		n++;
	assert_true(err == 0 || err == -ENOMEM);
	return n;
}

/* FACTS 3.6: with nothing to reclaim it is -ENOMEM, and nothing is lost; with swap it goes on. */
static void
out_of_memory_loses_nothing(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, FRAMES + 200);
	unsigned n = fill_up(s, mm, addr, FRAMES + 200);

	assert_true(n > FRAMES / 2 && n < FRAMES);
	assert_true(count(s, GW_VM_ALLOCSTALL) > 0);
	expect(mm, addr, n, 0);
	swap_on(s);
	assert_int_equal(fill_up(s, mm, addr, FRAMES + 200), FRAMES + 200);
	expect(mm, addr, FRAMES + 200, 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Swap runs full: -ENOMEM again, and every byte is there. */
static void
full_swap_loses_nothing(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 3 * FRAMES);
	unsigned n = fill_up(s, mm, addr, 3 * FRAMES);

	assert_true(n > FRAMES && n < 2 * FRAMES);
	verify(s, &mm, 1);
	assert_int_equal(gw_munmap(mm, addr, 64 * PAGE), 0); /* room to swap in */
	expect(mm, addr + 64 * PAGE, n - 64, 64);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Neither for tasks that free memory themselves nor for those that may not wait. */
static void
some_requests_do_not_reclaim(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, FRAMES);
	gw_pfn_t pages[FRAMES], page;
	unsigned n = 0;
	uint64_t stalls;

	fill_up(s, mm, addr, FRAMES / 2);
	while (!gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &pages[n]))
		n++;
	stalls = count(s, GW_VM_ALLOCSTALL);
	assert_int_equal(gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &page), -ENOMEM);
	s->task.flags |= GW_TASK_MEMALLOC;
	assert_int_equal(gw_alloc_pages(s->m, GW_GFP_USER_MOVABLE, 0, 0, &page), -ENOMEM);
	s->task.flags &= ~(uint32_t)GW_TASK_MEMALLOC;
	assert_int_equal(count(s, GW_VM_ALLOCSTALL), stalls);
	assert_int_equal(gw_alloc_pages(s->m, GW_GFP_USER_MOVABLE, 0, 0, &page), 0);
	assert_int_equal(count(s, GW_VM_ALLOCSTALL), stalls + 1);
	gw_put_page(s->m, page);
	while (n > 0)
		gw_put_page(s->m, pages[--n]);
	gw_mm_put(mm);
}

static void
set_watermarks(struct spaces *s, uint64_t min)
{
	struct gw_zone *zone = &s->m->zones[0];

	zone->wmark_min = min;
	zone->wmark_low = 2 * min;
	zone->wmark_high = 3 * min;
}

/* One round frees up to the high watermark, and a boost that was there is over (FACTS 2.1). */
static void
a_round_balances_and_ends_boosts(void **state)
{
	struct spaces *s = *state;
	struct gw_zone *zone = &s->m->zones[0];
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, FRAMES);
	struct gw_zone_info info;

	fill_up(s, mm, addr, FRAMES - 100);
	gw_drain_all_pages(s->m);
	assert_true(gw_balance_node(s->m, 0));
	assert_int_equal(count(s, GW_VM_PAGEOUTRUN), 0);
	set_watermarks(s, 100);
	assert_true(gw_balance_node(s->m, 0));
	assert_int_equal(count(s, GW_VM_PAGEOUTRUN), 1);
	assert_int_equal(gw_zone_info(s->m, 0, &info), 0);
	assert_true(info.free > 300);
	assert_true(count(s, GW_VM_PGSTEAL_KSWAPD) > 0);
	assert_int_equal(count(s, GW_VM_PGSTEAL_DIRECT), 0);

	gw_u64_store_relaxed(&zone->wmark_boost, FRAMES); /* more than there is */
	(void)gw_balance_node(s->m, 0);
	assert_int_equal(gw_u64_load_relaxed(&zone->wmark_boost), 0);
	assert_int_equal(gw_zone_info(s->m, 0, &info), 0);
	assert_true(info.free < 500); /* a boost is not worth swapping for */
	expect(mm, addr, FRAMES - 100, 0);
	gw_mm_put(mm);
}

static void *
run_kswapd(void *arg)
{
	struct spaces *s = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, s->m, 1), 0);
	gw_kswapd(s->m, 0);
	gw_task_detach(&task);
	return NULL;
}

/* kswapd, woken by allocations, brings zones back above high; and ends when told, before or after
 * it begins. */
static void
kswapd_keeps_zones_above_low(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, FRAMES + 300);
	struct gw_zone_info info = {0};
	pthread_t thread;

	set_watermarks(s, 30);
	assert_int_equal(pthread_create(&thread, NULL, run_kswapd, s), 0);
	for (unsigned i = 0; i < FRAMES + 300; i++) {
		poke(mm, addr + i * PAGE, i);
		if (i % 64 == 0)
			usleep(1000);
	}
	for (unsigned i = 0; i < 1000 && info.free <= 60; i++) {
		usleep(10000);
		assert_int_equal(gw_zone_info(s->m, 0, &info), 0);
	}
	assert_true(info.free > 60);
	assert_true(count(s, GW_VM_PAGEOUTRUN) > 0);
	assert_true(count(s, GW_VM_PGSTEAL_KSWAPD) > 0);
	gw_kswapd_stop(s->m, 0);
	pthread_join(thread, NULL);
	gw_kswapd_stop(s->m, 0);
	run_kswapd(s);
	assert_int_equal(pthread_create(&thread, NULL, run_kswapd, s), 0);
	usleep(20000);
	assert_int_equal(pthread_tryjoin_np(thread, NULL), EBUSY); /* nobody has told this one */
	gw_kswapd_stop(s->m, 0);
	pthread_join(thread, NULL);
	expect(mm, addr, FRAMES + 300, 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* ---- groups ---- */

/* Reclaim in a group takes pages charged to it, and no others. */
static void
group_reclaim_takes_its_own(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *in = new_space(s), *out = new_space(s);
	gw_vaddr_t a = map(in, 64), b = map(out, 64);
	struct gw_memcg *memcg;

	assert_int_equal(gw_memcg_create(s->m, UINT64_MAX, &memcg), 0);
	gw_mm_set_memcg(in, memcg);
	fill(in, a, 64, 1);
	fill(out, b, 64, 1);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(gw_memcg_usage(memcg), 64);
	assert_int_equal(gw_reclaim(s->m, 0, memcg, FRAMES), 64);
	assert_int_equal(present(in, a, 64), 0);
	assert_int_equal(present(out, b, 64), 64);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	expect(in, a, 64, 1);
	gw_mm_put(in);
	gw_mm_put(out);
	gw_memcg_put(memcg);
}

/* A group at its limit reclaims from itself: its address space may have more than that. */
static void
group_at_its_limit_swaps(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 200);
	struct gw_memcg *memcg;

	assert_int_equal(gw_memcg_create(s->m, 100, &memcg), 0);
	gw_mm_set_memcg(mm, memcg);
	fill(mm, addr, 200, 1);
	assert_true(gw_memcg_usage(memcg) <= 100);
	expect(mm, addr, 200, 1);
	gw_mm_put(mm);
	gw_memcg_put(memcg);
}

/* ---- threads ---- */

struct player {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr, file_addr;
	unsigned cpu, pages, rounds;
	gw_atomic_u32 *running;
	uint64_t wrong;
};

static void
play_word(struct player *p, gw_vaddr_t addr, uint64_t round)
{
	uint64_t found = 0;

	p->wrong += gw_cpu_load(p->mm, addr, &found) != 0;
	p->wrong += round && found != addr + round - 1;
	p->wrong += gw_cpu_store(p->mm, addr, addr + round) != 0;
}

static void *
play(void *arg)
{
	struct player *p = arg;
	struct gw_task task;

	p->wrong += gw_task_attach(&task, p->s->m, p->cpu) != 0;
	for (; count(p->s, GW_VM_PSWPIN) < 1000 && p->rounds < 100000; p->rounds++) {
		for (unsigned i = 0; i < p->pages; i++)
			play_word(p, p->addr + i * PAGE, p->rounds);
		for (unsigned i = 0; i < STORE_PAGES; i++)
			play_word(p, p->file_addr + i * PAGE + 8 * p->cpu, p->rounds);
	}
	gw_u32_sub_acq_rel(p->running, 1);
	gw_task_detach(&task);
	return NULL;
}

static void *
reclaim_for_long(void *arg)
{
	struct player *p = arg;
	struct gw_task task;

	p->wrong += gw_task_attach(&task, p->s->m, p->cpu) != 0;
	while (gw_u32_load_acquire(p->running))
		(void)gw_reclaim(p->s->m, 0, NULL, 40);
	gw_task_detach(&task);
	return NULL;
}

/* Two tasks write and check anonymous and shared file memory, two reclaim: no byte is lost. */
static void
reclaimers_and_faults(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	gw_atomic_u32 running;
	struct player players[4];
	pthread_t threads[4];
	struct gw_mm *mms[2];

	gw_u32_store_relaxed(&running, 2);
	for (unsigned i = 0; i < 4; i++) {
		players[i] = (struct player){.s = s, .cpu = i % 2, .running = &running};
		if (i >= 2)
			continue;
		mms[i] = players[i].mm = new_space(s);
		players[i].pages = 150;
		players[i].addr = map(mms[i], 150);
		/* at one address, so that each word of the file says where it is */
		assert_int_equal(
			gw_mmap_file(mms[i], TABLE * 100, STORE_PAGES * PAGE, READWRITE,
				GW_MAP_FIXED | GW_MAP_SHARED, file, 0, &players[i].file_addr),
			0);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? play : reclaim_for_long,
					 &players[i]),
			0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(players[i].wrong, 0);
	}
	assert_true(count(s, GW_VM_PSWPIN) >= 1000);
	verify(s, mms, 2);
	gw_mm_put(mms[0]);
	gw_mm_put(mms[1]);
	file_put(file);
	for (unsigned i = 0; i < STORE_PAGES; i++) {
		uint64_t words[2];

		memcpy(words, store->bytes[i], sizeof(words));
		for (unsigned cpu = 0; cpu < 2; cpu++)
			assert_int_equal(words[cpu],
				TABLE * 100 + i * PAGE + 8 * cpu + players[cpu].rounds - 1);
	}
	store_destroy(store);
}

#define TEST(name)		test_with(name, setup)
#define TEST_SWAP(name)		test_with(name, setup_swap)
#define test_with(name, before) cmocka_unit_test_setup_teardown(name, before, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_SWAP(swapped_pages_come_back),
		TEST_SWAP(clean_swap_cache_pages_are_not_written),
		TEST_SWAP(shared_pages_leave_both),
		TEST(no_swap_no_anon),
		TEST_SWAP(pinned_pages_stay),
		TEST_SWAP(temporary_stacks_stay),
		TEST_SWAP(referenced_pages_stay),
		TEST_SWAP(pageout_takes_own_pages),
		TEST(clean_file_pages_are_dropped),
		TEST_SWAP(dirty_file_pages_are_written),
		TEST(a_failed_write_loses_nothing),
		TEST(written_during_writeback),
		TEST(second_use_activates),
		TEST(reclaim_wakes_a_dropped_waiter),
		TEST(orphans_are_freed),
		TEST(out_of_memory_loses_nothing),
		TEST_SWAP(full_swap_loses_nothing),
		TEST_SWAP(some_requests_do_not_reclaim),
		TEST_SWAP(a_round_balances_and_ends_boosts),
		TEST_SWAP(kswapd_keeps_zones_above_low),
		TEST_SWAP(group_reclaim_takes_its_own),
		TEST_SWAP(group_at_its_limit_swaps),
		TEST_SWAP(reclaimers_and_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
