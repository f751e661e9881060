/* SPDX-License-Identifier: MIT */
/* test_hugetlb.c - pools of huge pages: rows A13 and B17 of FACTS, 1.6, 2.1, 2.2, 3.5. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "engine/phys/hugetlb.h"
#include "godwit/compact.h"
#include "godwit/contig.h"
#include "godwit/hugetlb.h"
#include "godwit/memcg.h"
#include "hugetlb_fixture.h"
#include "program_fixture.h"
#include "test.h"

/* n huge pages at HUGE_AT, each frame written with its number. */
static void
fill(struct gw_mm *mm, unsigned n)
{
	assert_int_equal(try_map(mm, n), 0);
	write_frames(mm, HUGE_AT, n * FRAMES_PER_HUGE);
}

static bool
is_pool_page(struct spaces *s, gw_pfn_t page)
{
	return gw_page_flags(gw_page(s->m, page)) & GW_PG_HUGETLB;
}

/* 2.1: the pool grows from the buddy allocator, and counts it; it shrinks by what is free, and by
 * what is in use as soon as that is free. */
static void
pools_are_resized(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	uint64_t got;

	resize(s, 4);
	assert_pool(s, 4, 4, 0);
	assert_int_equal(count_of(s, GW_VM_HTLB_BUDDY_ALLOC_SUCCESS), 4);
	fill(mm, 3);
	resize(s, 1);
	assert_pool(s, 3, 0, 0);
	assert_int_equal(info_of(s).surplus, 2);
	resize(s, 2);
	assert_int_equal(info_of(s).surplus, 1);
	assert_int_equal(count_of(s, GW_VM_HTLB_BUDDY_ALLOC_SUCCESS), 4);
	gw_mm_put(mm);
	assert_pool(s, 2, 2, 0);
	assert_int_equal(gw_hugetlb_resize(s->m, 0, GW_HUGE_ORDER, 100, &got), 0);
	assert_true(got > 2 && got < 32);
	assert_int_equal(count_of(s, GW_VM_HTLB_BUDDY_ALLOC_FAIL), 1);
	resize(s, 0);
	assert_int_equal(gw_hugetlb_resize(s->m, 1, GW_HUGE_ORDER, 1, &got), -EINVAL);
	assert_int_equal(gw_hugetlb_resize(s->m, 0, 0, 1, &got), -EINVAL);
}

/* 2.1: where memory is fragmented, it is compacted for the pool. */
static void
growing_compacts(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	const unsigned n = 28 * FRAMES_PER_HUGE;

	map_at(mm, HUGE_AT, n);
	write_frames(mm, HUGE_AT, n);
	for (unsigned i = 0; i < n; i += 2)
		assert_int_equal(gw_madvise(mm, HUGE_AT + i * PAGE, PAGE, GW_MADV_DONTNEED), 0);
	resize(s, 8);
	assert_true(count_of(s, GW_VM_COMPACT_SUCCESS) > 0);
	for (unsigned i = 1; i < n; i += 2)
		assert_int_equal(peek(mm, HUGE_AT + i * PAGE), HUGE_AT / PAGE + i);
	gw_mm_put(mm);
	resize(s, 0);
}

/* 3.5: what is mapped is reserved, so that its faults find a page, whoever else asks; more than
 * there is cannot be mapped. Pages come back clean. */
static void
mappings_reserve(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page;

	resize(s, 3);
	assert_int_equal(try_map(mm, 4), -ENOMEM);
	assert_int_equal(try_map(mm, 3), 0);
	assert_pool(s, 3, 3, 3);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &page), -ENOMEM);
	assert_int_equal(peek(mm, HUGE_AT), 0);
	write_frames(mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	assert_pool(s, 3, 1, 1);
	page = page_of(mm, HUGE_AT);
	assert_true(is_huge(mm, HUGE_AT) && is_pool_page(s, page));
	assert_false(gw_page_flags(gw_page(s->m, page)) & (GW_PG_LRU | GW_PG_LRU_BATCHED));
	assert_frames(mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	/* The middle goes, and then the parts: each with what was reserved for it. */
	assert_int_equal(gw_munmap(mm, HUGE_AT + TABLE, TABLE), 0);
	assert_pool(s, 3, 2, 1);
	assert_int_equal(gw_munmap(mm, HUGE_AT + 2 * TABLE, TABLE), 0);
	assert_pool(s, 3, 2, 0);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &page), 0);
	gw_put_page(s->m, page);
	gw_mm_put(mm);
	assert_pool(s, 3, 3, 0);
	mm = new_space(s);
	assert_int_equal(try_map(mm, 3), 0);
	for (unsigned i = 0; i < 3 * FRAMES_PER_HUGE; i += 100)
		assert_int_equal(peek(mm, HUGE_AT + i * PAGE), 0);
	gw_mm_put(mm);
	resize(s, 0);
}

/* A huge page of the pool is never cut, nor given to reclaim. */
static void
pages_stay_whole(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t out;

	resize(s, 2);
	fill(mm, 2);
	assert_int_equal(gw_munmap(mm, HUGE_AT, PAGE), -EINVAL);
	assert_int_equal(gw_mprotect(mm, HUGE_AT + PAGE, TABLE, GW_PROT_READ), -EINVAL);
	assert_int_equal(gw_madvise(mm, HUGE_AT, PAGE, GW_MADV_DONTNEED), -EINVAL);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_COLD), -EINVAL);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_PAGEOUT), -EINVAL);
	assert_int_equal(gw_mremap(mm, HUGE_AT, TABLE, 4 * TABLE, &out), -EINVAL);
	assert_int_equal(
		gw_mmap(mm, HUGE_AT + PAGE, TABLE, READWRITE, GW_MAP_FIXED | GW_MAP_HUGETLB, &out),
		-EINVAL);
	assert_true(is_huge(mm, HUGE_AT) && is_huge(mm, HUGE_AT + TABLE));
	assert_int_equal(gw_mprotect(mm, HUGE_AT + TABLE, TABLE, GW_PROT_READ), 0);
	assert_int_equal(try_poke(s, 0, mm, HUGE_AT + TABLE, 1), -EFAULT);
	assert_frames(mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_DONTNEED), 0);
	assert_pool(s, 2, 1, 0);
	assert_int_equal(peek(mm, HUGE_AT), 0);
	assert_int_equal(gw_mmap(mm, 0, PAGE, READWRITE, GW_MAP_HUGETLB, &out), -ENOMEM);
	resize(s, 3);
	assert_int_equal(gw_mmap(mm, 0, PAGE, READWRITE, GW_MAP_HUGETLB, &out), 0);
	assert_int_equal(out % TABLE, 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	resize(s, 0);
}

/* fork shares; a write copies all of the page, from what nobody has reserved, and faults without.
 */
static void
forks_copy_whole_pages(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s)};
	gw_pfn_t page;

	resize(s, 3);
	fill(both[0], 2);
	both[1] = fork_space(both[0]);
	page = page_of(both[0], HUGE_AT);
	assert_int_equal(maps_of(s, page), 2);
	poke(both[1], HUGE_AT + 5 * PAGE, 1);
	assert_true(page_of(both[1], HUGE_AT) != page);
	assert_true(is_huge(both[1], HUGE_AT) && is_pool_page(s, page_of(both[1], HUGE_AT)));
	assert_int_equal(peek(both[1], HUGE_AT + 6 * PAGE), HUGE_AT / PAGE + 6);
	assert_pool(s, 3, 0, 0);
	assert_int_equal(try_poke(s, 0, both[1], HUGE_AT + TABLE, 1), -EFAULT);
	poke(both[0], HUGE_AT + 5 * PAGE, HUGE_AT / PAGE + 5); /* it is nobody else's again */
	assert_int_equal(page_of(both[0], HUGE_AT), page);
	verify(s, both, 2);
	gw_mm_put(both[1]);
	assert_frames(both[0], HUGE_AT, 2 * FRAMES_PER_HUGE);
	gw_mm_put(both[0]);
	assert_pool(s, 3, 3, 0);
	resize(s, 0);
}

/* ---- A13 ---- */

struct target {
	struct spaces *s;
	unsigned asked, put;
	bool none, lock_new;
	gw_pfn_t page; /* the last one */
};

static int
get_new(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct target *t = ctx;

	(void)src;
	t->asked++;
	if (t->none || gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst))
		return -ENOMEM;
	t->page = *dst;
	if (t->lock_new)
		assert_true(gw_page_trylock(m, *dst));
	return 0;
}

static void
put_new(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct target *t = ctx;

	(void)order;
	t->put++;
	if (t->lock_new)
		gw_page_unlock(m, dst);
	gw_put_page(m, dst);
}

static int
migrate(struct target *t, gw_pfn_t page, enum gw_migrate_mode mode)
{
	const struct gw_migrate_target target = {
		.get_new_page = get_new, .put_new_page = put_new, .ctx = t};
	struct gw_page_list list;
	struct gw_task task;
	int left;

	t->asked = t->put = 0;
	assert_int_equal(gw_task_attach(&task, t->s->m, 1), 0); /* the test may hold a lock */
	gw_page_list_init(&list);
	gw_get_page(t->s->m, page);
	gw_put_page(t->s->m, page);
	assert_int_equal(gw_isolate_page(t->s->m, page, mode, &list), 0);
	left = gw_migrate_pages(t->s->m, &list, &target, mode, GW_MR_MEMORY_HOTPLUG, NULL);
	if (left)
		gw_putback_movable_pages(t->s->m, &list);
	gw_task_detach(&task);
	return left;
}

/* A13: the page moves whole, with its entries in all address spaces, its charge, and its place in
 * the pool; the old one is the allocator's. */
static void
a13_page_moves(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s)};
	struct target t = {.s = s};
	struct gw_memcg *memcg = NULL;
	gw_pfn_t page;

	resize(s, 1);
	assert_int_equal(gw_memcg_create(s->m, UINT64_MAX, &memcg), 0);
	gw_mm_set_memcg(both[0], memcg);
	fill(both[0], 1);
	assert_int_equal(gw_memcg_usage(memcg), FRAMES_PER_HUGE);
	both[1] = fork_space(both[0]);
	page = page_of(both[0], HUGE_AT);
	assert_int_equal(migrate(&t, page, GW_MIGRATE_SYNC), 0);
	assert_int_equal(t.asked, 1);
	assert_int_equal(t.put, 0);
	assert_int_equal(page_of(both[0], HUGE_AT), t.page);
	assert_int_equal(page_of(both[1], HUGE_AT), t.page);
	assert_true(is_huge(both[0], HUGE_AT) && is_pool_page(s, t.page));
	assert_false(is_pool_page(s, page));
	assert_int_equal(gw_memcg_usage(memcg), FRAMES_PER_HUGE);
	assert_frames(both[0], HUGE_AT, FRAMES_PER_HUGE);
	assert_pool(s, 1, 0, 0);
	verify(s, both, 2);
	gw_mm_put(both[0]);
	gw_mm_put(both[1]);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	gw_memcg_put(memcg);
	assert_pool(s, 1, 1, 0);
	resize(s, 0);
}

/* A13: the new page comes before the old one is locked; in the 10 passes of a mode that does not
 * wait, and without one the call ends. */
static void
a13_old_page_is_locked(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct target t = {.s = s};
	struct gw_page_list list;
	const struct gw_migrate_target target = {
		.get_new_page = get_new, .put_new_page = put_new, .ctx = &t};
	struct gw_task task;
	gw_pfn_t page;

	resize(s, 1);
	fill(mm, 1);
	page = page_of(mm, HUGE_AT);
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	gw_page_lock(s->m, page);
	assert_int_equal(gw_task_attach(&task, s->m, 1), 0);
	assert_int_equal(gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC_LIGHT,
				 GW_MR_MEMORY_HOTPLUG, NULL),
		1);
	assert_int_equal(t.asked, 10);
	assert_int_equal(t.put, 10);
	t.none = true;
	t.asked = t.put = 0;
	assert_int_equal(gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC_LIGHT,
				 GW_MR_MEMORY_HOTPLUG, NULL),
		-ENOMEM);
	assert_int_equal(t.asked, 1);
	gw_task_detach(&task);
	gw_page_unlock(s->m, page);
	gw_putback_movable_pages(s->m, &list);
	assert_int_equal(page_of(mm, HUGE_AT), page);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	resize(s, 0);
}

/* A13, A4: a new page that is locked is given back, and the old one is as it was. Pins too. */
static void
a13_it_stays(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct target t = {.s = s, .lock_new = true};
	struct gw_page_list list;
	gw_pfn_t page;

	resize(s, 1);
	fill(mm, 1);
	page = page_of(mm, HUGE_AT);
	assert_int_equal(migrate(&t, page, GW_MIGRATE_ASYNC), 1);
	assert_int_equal(t.asked, 10); /* -EAGAIN, to the end */
	assert_int_equal(t.put, 10);
	assert_int_equal(page_of(mm, HUGE_AT), page);
	gw_get_page(s->m, page);
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), -EBUSY);
	gw_put_page(s->m, page);
	/* Given up while it is isolated: it is the pool's. */
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);
	assert_pool(s, 1, 0, 0);
	gw_putback_movable_pages(s->m, &list);
	assert_pool(s, 1, 1, 0);
	gw_mm_put(mm);
	resize(s, 0);
}

struct holder {
	struct spaces *s;
	gw_pfn_t page;
	gw_atomic_u32 locked, done;
};

/* Has the page locked until somebody waits for it. */
static void *
hold(void *arg)
{
	struct holder *h = arg;
	struct gw_task task;

	if (gw_task_attach(&task, h->s->m, 1))
		abort();
	gw_page_lock(h->s->m, h->page);
	gw_u32_store_release(&h->locked, 1);
	while (!(gw_page_flags(gw_page(h->s->m, h->page)) & GW_PG_WAITERS) &&
		!gw_u32_load_acquire(&h->done))
		sched_yield();
	gw_page_unlock(h->s->m, h->page);
	gw_task_detach(&task);
	return NULL;
}

/* A13: in SYNC mode the old page's lock is waited for. */
static void
a13_sync_waits(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct target t = {.s = s};
	const struct gw_migrate_target target = {
		.get_new_page = get_new, .put_new_page = put_new, .ctx = &t};
	struct holder h = {.s = s};
	struct gw_page_list list;
	pthread_t thread;

	resize(s, 1);
	fill(mm, 1);
	h.page = page_of(mm, HUGE_AT);
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, h.page, GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
	while (!gw_u32_load_acquire(&h.locked))
		sched_yield();
	assert_int_equal(
		gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_MEMORY_HOTPLUG, NULL),
		0);
	gw_u32_store_release(&h.done, 1);
	pthread_join(thread, NULL);
	assert_int_equal(page_of(mm, HUGE_AT), t.page);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	resize(s, 0);
}

/* A13, A1: a page that is given up while it is isolated has moved as well as it can; the new one
 * goes back. */
static void
a13_given_up(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct target t = {.s = s};
	const struct gw_migrate_target target = {
		.get_new_page = get_new, .put_new_page = put_new, .ctx = &t};
	struct gw_page_list list;

	resize(s, 1);
	fill(mm, 1);
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page_of(mm, HUGE_AT), GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);
	assert_int_equal(
		gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_MEMORY_HOTPLUG, NULL),
		0);
	assert_int_equal(t.asked, 1);
	assert_int_equal(t.put, 1);
	assert_pool(s, 1, 1, 0);
	gw_mm_put(mm);
	resize(s, 0);
}

/* Pageblocks of two huge pages: half of one is worth compacting. */
static int
setup_wide(void **state)
{
	*state = spaces_create_orders(32 * FRAMES_PER_HUGE, GW_HUGE_ORDER + 1);
	return 0;
}

/* 3.5: compaction leaves pages of the pool alone. */
static void
compaction_passes_over(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t pages[8];

	resize(s, 8);
	fill(mm, 8);
	for (unsigned i = 0; i < 8; i++)
		pages[i] = page_of(mm, HUGE_AT + i * TABLE);
	for (unsigned i = 0; i < 8; i += 2)
		assert_int_equal(gw_madvise(mm, HUGE_AT + i * TABLE, TABLE, GW_MADV_DONTNEED), 0);
	resize(s, 4); /* every other one is free */
	gw_compact_all_zones(s->m);
	for (unsigned i = 1; i < 8; i += 2)
		assert_int_equal(page_of(mm, HUGE_AT + i * TABLE), pages[i]);
	gw_mm_put(mm);
	resize(s, 0);
}

/* 1.6, 2.1: contiguous ranges and offlining move pages of the pool that are in use, and replace
 * free ones, or do without them, but for reserved ones. */
static void
ranges_are_emptied(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_obstacle why;
	gw_pfn_t used, unused;

	resize(s, 2);
	fill(mm, 1);
	used = page_of(mm, HUGE_AT);
	assert_int_equal(
		gw_alloc_contig(s->m, used, used + FRAMES_PER_HUGE, GW_MT_MOVABLE, &why), 0);
	gw_free_contig(s->m, used, FRAMES_PER_HUGE);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	assert_pool(s, 2, 1, 0);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &unused), 0);
	gw_put_page(s->m, unused);
	assert_int_equal(gw_offline_pages(s->m, unused, unused + FRAMES_PER_HUGE, &why), 0);
	assert_pool(s, 2, 1, 0); /* another one */
	assert_int_equal(gw_online_pages(s->m, unused, unused + FRAMES_PER_HUGE), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	resize(s, 0);
}

/* 1.6: a free page leaves the pool when there is no other for it, unless it is reserved. */
static void
free_pages_are_dissolved(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page, pages[64];
	unsigned n = 0;

	resize(s, 2);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &page), 0);
	assert_int_equal(gw_hugetlb_dissolve(s->m, page), -EBUSY); /* in use */
	gw_put_page(s->m, page);
	assert_int_equal(gw_hugetlb_dissolve(s->m, page), 0);
	assert_pool(s, 2, 2, 0);
	while (n < 64 && !gw_alloc_pages(s->m, GW_GFP_NO_WATERMARKS, 0, GW_HUGE_ORDER, &pages[n]))
		n++;
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &page), 0);
	gw_put_page(s->m, page);
	assert_int_equal(gw_hugetlb_dissolve(s->m, page), 0);
	assert_pool(s, 1, 1, 0);
	while (n < 64 && !gw_alloc_pages(s->m, GW_GFP_NO_WATERMARKS, 0, GW_HUGE_ORDER, &pages[n]))
		n++;
	assert_int_equal(try_map(mm, 1), 0);
	page = s->m->nodes[0].hugetlb[GW_HUGE_ORDER].free.first;
	assert_int_equal(gw_hugetlb_dissolve(s->m, page), -EBUSY); /* reserved */
	assert_pool(s, 1, 1, 1);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);
	gw_mm_put(mm);
	while (n > 0)
		gw_put_page(s->m, pages[--n]);
	resize(s, 0);
}

/* ---- threads ---- */

static void *
forker(void *arg)
{
	const struct program *p = arg;
	struct gw_task task;
	struct gw_mm *child;
	uint64_t got;

	if (gw_task_attach(&task, p->m, 0))
		abort();
	for (unsigned round = 0; !program_is_done(p); round++) {
		child = NULL;
		if (!gw_mm_fork(p->mm, &child))
			gw_mm_put(child);
		if (gw_hugetlb_resize(p->m, 0, GW_HUGE_ORDER, 6 + round % 4, &got))
			abort();
	}
	gw_task_detach(&task);
	return NULL;
}

/* I5: a program writes, forks come and go, the pool changes its size, and the pages move. */
static void
nothing_is_lost(void **state)
{
	struct spaces *s = *state;
	struct program p = {.m = s->m,
		.mm = new_space(s),
		.at = HUGE_AT + 8,
		.pages = 2 * FRAMES_PER_HUGE,
		.step = 5,
		.rounds = 40};
	struct target t = {.s = s};
	const struct gw_migrate_target target = {.get_new_page = get_new, .ctx = &t};
	pthread_t thread;
	uint64_t moved = 0;

	resize(s, 6);
	fill(p.mm, 2);
	program_start(&p);
	assert_int_equal(pthread_create(&thread, NULL, forker, &p), 0);
	while (!program_is_done(&p) || moved == 0) {
		struct gw_page_list list;

		gw_page_list_init(&list);
		for (gw_pfn_t pfn = 0; pfn < s->m->n_frames; pfn += FRAMES_PER_HUGE)
			if (is_pool_page(s, pfn))
				(void)!gw_isolate_page(s->m, pfn, GW_MIGRATE_SYNC, &list);
		moved += list.n;
		if (gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL))
			gw_putback_movable_pages(s->m, &list);
		moved -= list.n;
	}
	program_end(&p);
	pthread_join(thread, NULL);
	assert_frames(p.mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	verify(s, &p.mm, 1);
	gw_mm_put(p.mm);
	resize(s, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, huge_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pools_are_resized),
		TEST(growing_compacts),
		TEST(mappings_reserve),
		TEST(pages_stay_whole),
		TEST(forks_copy_whole_pages),
		TEST(a13_page_moves),
		TEST(a13_old_page_is_locked),
		TEST(a13_it_stays),
		TEST(a13_sync_waits),
		TEST(a13_given_up),
		cmocka_unit_test_setup_teardown(
			compaction_passes_over, setup_wide, spaces_teardown),
		TEST(ranges_are_emptied),
		TEST(free_pages_are_dissolved),
		TEST(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
