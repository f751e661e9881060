/* SPDX-License-Identifier: MIT */
/*
 * test_pressure.c - when reclaim runs: for allocations, in the background, for groups at their
 * limits, and beside everything else (godwit/reclaim.h; FACTS 2.1 on boosts, 3.6).
 */
#define _GNU_SOURCE /* pthread_tryjoin_np() */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "godwit/compact.h"
#include "reclaim_fixture.h"

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
	gw_vaddr_t addr = map(mm, RECLAIM_FRAMES + 200);
	unsigned n = fill_up(s, mm, addr, RECLAIM_FRAMES + 200);

	assert_true(n > RECLAIM_FRAMES / 2 && n < RECLAIM_FRAMES);
	assert_true(count(s, GW_VM_ALLOCSTALL) > 0);
	expect(mm, addr, n, 0);
	swap_on(s);
	assert_int_equal(fill_up(s, mm, addr, RECLAIM_FRAMES + 200), RECLAIM_FRAMES + 200);
	expect(mm, addr, RECLAIM_FRAMES + 200, 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Swap runs full: -ENOMEM again, and every byte is there. */
static void
full_swap_loses_nothing(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 3 * RECLAIM_FRAMES);
	unsigned n = fill_up(s, mm, addr, 3 * RECLAIM_FRAMES);

	assert_true(n > RECLAIM_FRAMES && n < 2 * RECLAIM_FRAMES);
	verify(s, &mm, 1);
	assert_int_equal(gw_munmap(mm, addr, 64 * PAGE), 0); /* room to swap in */
	expect(mm, addr + 64 * PAGE, n - 64, 64);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* FACTS 3.6: compaction that is SKIPPED for want of room gets it from reclaim. */
static void
reclaim_makes_room_for_compaction(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, RECLAIM_FRAMES);
	unsigned n = fill_up(s, mm, addr, RECLAIM_FRAMES - 40);
	gw_pfn_t blocks[8], pages[RECLAIM_FRAMES];
	unsigned used = 0;

	while (!gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &pages[used]))
		used++;
	assert_int_equal(gw_compact_suitable(s->m, 0, 3), GW_COMPACT_SKIPPED);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(gw_alloc_pages(s->m, GW_GFP_USER_MOVABLE, 0, 3, &blocks[i]), 0);
	assert_true(count(s, GW_VM_PGSTEAL_DIRECT) >= 64);
	for (unsigned i = 0; i < 8; i++)
		gw_put_page(s->m, blocks[i]);
	while (used > 0)
		gw_put_page(s->m, pages[--used]);
	expect(mm, addr, n, 0);
	gw_mm_put(mm);
}

/* Take what is free, without reclaim. */
static unsigned
take_all(struct spaces *s, gw_pfn_t *pages)
{
	unsigned n = 0;

	while (!gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &pages[n]))
		n++;
	return n;
}

/* FACTS 3.6, D17: for a costly order reclaim frees what compaction lacks of room for its copies,
 * which is more than the order has frames; without compaction, as many as these. */
static void
reclaim_frees_what_compaction_lacks(void **state)
{
	enum { ORDER = 5, HALF = RECLAIM_FRAMES * 2 / 5 };
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t kept = map(mm, HALF), loose = map(mm, HALF);
	gw_pfn_t pages[RECLAIM_FRAMES], block;
	unsigned used;

	for (unsigned i = 0; i < HALF; i++) {
		poke(mm, kept + i * PAGE, i);
		poke(mm, loose + i * PAGE, i);
	}
	assert_int_equal(gw_mlock(mm, kept, HALF * PAGE, true), 0);
	used = take_all(s, pages);
	assert_int_equal(gw_compact_set_direct(s->m, GW_DIRECT_OFF), 0);
	assert_int_equal(gw_alloc_pages(s->m, GW_GFP_USER_MOVABLE, 0, ORDER, &block), -ENOMEM);
	assert_int_equal(count(s, GW_VM_PGSTEAL_DIRECT), 1u << ORDER);
	used += take_all(s, pages + used);
	assert_int_equal(gw_compact_set_direct(s->m, GW_DIRECT_EVACUATE), 0);
	assert_int_equal(gw_alloc_pages(s->m, GW_GFP_USER_MOVABLE, 0, ORDER, &block), 0);
	gw_put_page(s->m, block);
	assert_int_equal(count(s, GW_VM_COMPACT_STALL), 1); /* SKIPPED before reclaim */
	assert_in_range(count(s, GW_VM_PGSTEAL_DIRECT), 3u << ORDER, 4u << ORDER);
	while (used > 0)
		gw_put_page(s->m, pages[--used]);
	expect(mm, kept, HALF, 0);
	gw_mm_put(mm);
}

/* Neither for tasks that free memory themselves nor for those that may not wait. */
static void
some_requests_do_not_reclaim(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, RECLAIM_FRAMES);
	gw_pfn_t pages[RECLAIM_FRAMES], page;
	unsigned n = 0;
	uint64_t stalls;

	fill_up(s, mm, addr, RECLAIM_FRAMES / 2);
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

	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_MIN], min);
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_LOW], 2 * min);
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_HIGH], 3 * min);
}

/* One round frees up to the high watermark, and a boost that was there is over (FACTS 2.1). */
static void
a_round_balances_and_ends_boosts(void **state)
{
	struct spaces *s = *state;
	struct gw_zone *zone = &s->m->zones[0];
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, RECLAIM_FRAMES);
	struct gw_zone_info info;

	fill_up(s, mm, addr, RECLAIM_FRAMES - 100);
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

	gw_u64_store_relaxed(&zone->wmark_boost, RECLAIM_FRAMES); /* more than there is */
	(void)gw_balance_node(s->m, 0);
	assert_int_equal(gw_u64_load_relaxed(&zone->wmark_boost), 0);
	assert_int_equal(gw_zone_info(s->m, 0, &info), 0);
	assert_true(info.free < 500); /* a boost is not worth swapping for */
	expect(mm, addr, RECLAIM_FRAMES - 100, 0);
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
	gw_vaddr_t addr = map(mm, RECLAIM_FRAMES + 300);
	struct gw_zone_info info = {0};
	pthread_t thread;

	set_watermarks(s, 30);
	assert_int_equal(pthread_create(&thread, NULL, run_kswapd, s), 0);
	for (unsigned i = 0; i < RECLAIM_FRAMES + 300; i++) {
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
	expect(mm, addr, RECLAIM_FRAMES + 300, 0);
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
	assert_int_equal(gw_reclaim(s->m, 0, memcg, RECLAIM_FRAMES), 64);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_NO_SWAP(out_of_memory_loses_nothing),
		TEST_SWAP(full_swap_loses_nothing),
		TEST_SWAP(reclaim_makes_room_for_compaction),
		TEST_SWAP(reclaim_frees_what_compaction_lacks),
		TEST_SWAP(some_requests_do_not_reclaim),
		TEST_SWAP(a_round_balances_and_ends_boosts),
		TEST_SWAP(kswapd_keeps_zones_above_low),
		TEST_SWAP(group_reclaim_takes_its_own),
		TEST_SWAP(group_at_its_limit_swaps),
		TEST_SWAP(reclaimers_and_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
