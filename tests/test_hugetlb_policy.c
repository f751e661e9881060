/* SPDX-License-Identifier: MIT */
/*
 * test_hugetlb_policy.c - pools of several nodes: from which of them faults take pages, and to
 * which migrations move them (FACTS 2.1, 2.3, 3.5, row A13; L1 of godwit/policy.h).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "godwit/contig.h"
#include "godwit/hugetlb.h"
#include "nodes_fixture.h"
#include "program_fixture.h"

#define HUGE_AT (64 * TABLE)
#define HUGE	((gw_pfn_t)1 << GW_HUGE_ORDER)
#define NODES	4
#define ONE(n)	((uint64_t)1 << (n))

/* From node 1 the others are as far as 3, 0, 2. */
static const uint8_t distances[NODES * NODES] = {
	10,
	20,
	30,
	40, /* */
	20,
	10,
	30,
	15, /* */
	30,
	30,
	10,
	20, /* */
	40,
	15,
	20,
	10,
};

static int
setup(void **state)
{
	*state = nodes_create_orders(NODES, NODES, distances, NULL, 0, 16 * HUGE, 9);
	return 0;
}

static int
teardown(void **state)
{
	nodes_destroy(*state);
	return 0;
}

/* ---- pools ---- */

static void
resize(struct nodes *w, unsigned node, uint64_t n)
{
	uint64_t got = 0;

	assert_int_equal(gw_hugetlb_resize(w->m, node, GW_HUGE_ORDER, n, &got), 0);
	assert_int_equal(got, n);
}

static void
resize_all(struct nodes *w, uint64_t n)
{
	for (unsigned node = 0; node < NODES; node++)
		resize(w, node, n);
}

static struct gw_hugetlb_info
info_of(struct nodes *w, unsigned node)
{
	struct gw_hugetlb_info info;

	assert_int_equal(gw_hugetlb_info(w->m, node, GW_HUGE_ORDER, &info), 0);
	return info;
}

static void
assert_pool(struct nodes *w, unsigned node, uint64_t total, uint64_t free, uint64_t surplus)
{
	struct gw_hugetlb_info info = info_of(w, node);

	assert_int_equal(info.total, total);
	assert_int_equal(info.free, free);
	assert_int_equal(info.surplus, surplus);
	assert_int_equal(gw_machine_check(w->m, NULL, NULL), 0);
}

static gw_pfn_t
first_free(struct nodes *w, unsigned node)
{
	return w->m->nodes[node].hugetlb[GW_HUGE_ORDER].free.first;
}

/* ---- programs ---- */

/* An address space with n huge pages at HUGE_AT, untouched. */
static struct gw_mm *
space_of(struct nodes *w, unsigned n)
{
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t out;

	assert_int_equal(gw_mmap(mm, HUGE_AT, n * TABLE, GW_PROT_READ | GW_PROT_WRITE,
				 GW_MAP_FIXED | GW_MAP_HUGETLB, &out),
		0);
	return mm;
}

static struct gw_mm *
bound_space_of(struct nodes *w, unsigned n, struct gw_policy policy)
{
	struct gw_mm *mm = space_of(w, n);

	assert_int_equal(gw_mbind(mm, HUGE_AT, n * TABLE, &policy, 0), 0);
	return mm;
}

/* The i-th huge page. */
static gw_vaddr_t
nth(unsigned i)
{
	return HUGE_AT + i * TABLE;
}

/* Write the i-th huge page, on a CPU: the node that its page came from, or the error. */
static int
touch(struct nodes *w, unsigned cpu, struct gw_mm *mm, unsigned i)
{
	int err = try_poke(&w->s, cpu, mm, nth(i) + 7 * PAGE, nth(i));

	return err ? err : (int)node_at(w, mm, nth(i));
}

static void
assert_bytes(struct gw_mm *mm, unsigned i)
{
	assert_int_equal(peek(mm, nth(i)), 0);
	assert_int_equal(peek(mm, nth(i) + 7 * PAGE), nth(i));
}

/* ---- faults ---- */

/* L1: BIND takes pages of its nodes only, the nearest first; when they are gone the fault fails,
 * and what was reserved for it still is. */
static void
bind_takes_from_its_nodes(void **state)
{
	struct nodes *w = *state;
	struct gw_policy any = policy(GW_POLICY_DEFAULT, 0);
	struct gw_mm *mm;

	resize_all(w, 1);
	mm = bound_space_of(w, 3, policy(GW_POLICY_BIND, ONE(0) | ONE(2)));
	assert_int_equal(touch(w, 3, mm, 0), 2);
	assert_int_equal(touch(w, 3, mm, 1), 0);
	assert_int_equal(touch(w, 3, mm, 2), -EFAULT);
	assert_int_equal(touch(w, 0, mm, 2), -EFAULT);
	assert_int_equal(info_of(w, 0).reserved, 1);
	assert_pool(w, 1, 1, 1, 0);
	assert_int_equal(gw_mbind(mm, HUGE_AT, 3 * TABLE, &any, 0), 0);
	assert_int_equal(touch(w, 3, mm, 2), 3);
	assert_int_equal(info_of(w, 0).reserved, 0);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* L1: a task's policy decides where a mapping has none. */
static void
tasks_have_policies(void **state)
{
	const struct gw_policy bind2 = policy(GW_POLICY_BIND, ONE(2));
	struct nodes *w = *state;
	struct gw_mm *mm;

	resize_all(w, 1);
	mm = space_of(w, 3);
	on_cpu(w, 1);
	assert_int_equal(gw_task_set_policy(&w->guest, &bind2), 0);
	poke(mm, nth(0), 1);
	assert_int_equal(node_at(w, mm, nth(0)), 2);
	assert_int_equal(gw_cpu_store(mm, nth(1), 1), -EFAULT);
	off_cpu(w);
	assert_int_equal(touch(w, 1, mm, 1), 1);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* Without a policy, or with PREFERRED: that node, and then by distance. */
static void
others_go_by_distance(void **state)
{
	static const unsigned from_1[NODES] = {1, 3, 0, 2};
	struct nodes *w = *state;
	struct gw_mm *mm;

	resize_all(w, 1);
	mm = space_of(w, NODES);
	for (unsigned i = 0; i < NODES; i++)
		assert_int_equal(touch(w, 1, mm, i), from_1[i]);
	gw_mm_put(mm);
	mm = bound_space_of(w, NODES, policy(GW_POLICY_PREFERRED, ONE(1) | ONE(2)));
	for (unsigned i = 0; i < NODES; i++)
		assert_int_equal(touch(w, 0, mm, i), from_1[i]);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* PREFERRED_MANY: the nodes of the set, nearest first, and then any. */
static void
many_are_preferred(void **state)
{
	static const unsigned wanted[NODES] = {0, 2, 1, 3};
	struct nodes *w = *state;
	struct gw_mm *mm;

	resize_all(w, 1);
	mm = bound_space_of(w, NODES, policy(GW_POLICY_PREFERRED_MANY, ONE(0) | ONE(2)));
	for (unsigned i = 0; i < NODES; i++)
		assert_int_equal(touch(w, 1, mm, i), wanted[i]);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* INTERLEAVE and WEIGHTED_INTERLEAVE count huge pages; a node without any is left out. */
static void
interleaving_counts_huge_pages(void **state)
{
	static const int equal[] = {0, 1, 3}, weighted[] = {1, 3, 3};
	struct nodes *w = *state;
	struct gw_mm *mm;

	resize_all(w, 4);
	mm = bound_space_of(w, 6, policy(GW_POLICY_INTERLEAVE, ONE(0) | ONE(1) | ONE(3)));
	for (unsigned i = 6; i-- > 0;)
		assert_int_equal(touch(w, 2, mm, i), equal[i % 3]);
	gw_mm_put(mm);
	assert_int_equal(gw_set_node_weight(w->m, 3, 2), 0);
	mm = bound_space_of(w, 6, policy(GW_POLICY_WEIGHTED_INTERLEAVE, ONE(1) | ONE(3)));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(touch(w, 2, mm, i), weighted[i % 3]);
	gw_mm_put(mm);
	resize(w, 1, 0);
	mm = bound_space_of(w, 2, policy(GW_POLICY_INTERLEAVE, ONE(0) | ONE(1)));
	assert_int_equal(touch(w, 2, mm, 0), 0);
	assert_int_equal(touch(w, 2, mm, 1), 3); /* the nearest to node 1 */
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* Huge pages that come from the allocator are interleaved by huge pages as well. */
static void
transparent_ones_are_interleaved(void **state)
{
	const struct gw_policy both = policy(GW_POLICY_INTERLEAVE, ONE(0) | ONE(1));
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);

	map_at(mm, HUGE_AT, 4 * HUGE);
	assert_int_equal(gw_madvise(mm, HUGE_AT, 4 * TABLE, GW_MADV_HUGEPAGE), 0);
	assert_int_equal(gw_mbind(mm, HUGE_AT, 4 * TABLE, &both, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(touch(w, 2, mm, i), i % 2);
		assert_true(gw_pte_is_huge(entry_of(mm, nth(i))));
	}
	gw_mm_put(mm);
}

/* L1: the copy of a page that a fork shares is on a bound node, too, or is not made. */
static void
copies_are_bound(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm, *child;

	resize_all(w, 1);
	resize(w, 2, 2);
	mm = bound_space_of(w, 1, policy(GW_POLICY_BIND, ONE(2)));
	assert_int_equal(touch(w, 0, mm, 0), 2);
	child = fork_space(mm);
	assert_int_equal(touch(w, 0, child, 0), 2);
	assert_int_not_equal(page_of(mm, nth(0)), page_of(child, nth(0)));
	gw_mm_put(child);
	resize(w, 2, 1);
	child = fork_space(mm);
	assert_int_equal(touch(w, 0, child, 0), -EFAULT);
	assert_pool(w, 0, 1, 1, 0);
	gw_mm_put(child);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* A page whose pageblock somebody empties is not handed out, but to who has it reserved. */
static void
isolated_pages_come_last(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm;
	gw_pfn_t page, other;

	resize(w, 0, 2);
	page = first_free(w, 0);
	gw_spin_lock(&w->m->zones[0].lock);
	gw_pageblock_isolate(&w->m->zones[0], page);
	gw_spin_unlock(&w->m->zones[0].lock);
	assert_int_equal(gw_hugetlb_alloc(w->m, 0, GW_HUGE_ORDER, &other), 0);
	assert_int_not_equal(other, page);
	assert_int_equal(gw_hugetlb_alloc(w->m, 0, GW_HUGE_ORDER, &other), -ENOMEM);
	mm = space_of(w, 1);
	assert_int_equal(touch(w, 0, mm, 0), 0);
	assert_int_equal(page_of(mm, nth(0)), page);
	gw_spin_lock(&w->m->zones[0].lock);
	gw_pageblock_unisolate(&w->m->zones[0], page);
	gw_spin_unlock(&w->m->zones[0].lock);
	gw_put_page(w->m, other);
	gw_mm_put(mm);
	resize(w, 0, 0);
}

/* ---- dissolving ---- */

/* Take the node's memory away from pools. */
static unsigned
take_huge_pages(struct nodes *w, unsigned node, gw_pfn_t *pages)
{
	unsigned n = 0;

	while (!gw_alloc_pages(
		w->m, GW_GFP_THISNODE | GW_GFP_NO_WATERMARKS, node, GW_HUGE_ORDER, &pages[n]))
		n++;
	return n;
}

/* 1.6, H2: a page that is promised leaves its pool for another one; without one it does if another
 * node's can be had instead, and takes its surplus along. */
static void
promised_pages_are_replaced(void **state)
{
	struct nodes *w = *state;
	gw_pfn_t page, others[16];
	struct gw_mm *mm;
	unsigned n;

	resize(w, 0, 1);
	resize(w, 1, 1);
	mm = space_of(w, 2);
	page = first_free(w, 0);
	assert_int_equal(gw_hugetlb_dissolve(w->m, page), 0);
	assert_pool(w, 0, 1, 1, 0);
	page = first_free(w, 0);
	resize(w, 0, 0);
	assert_pool(w, 0, 1, 1, 1);
	n = take_huge_pages(w, 0, others);
	assert_int_equal(gw_hugetlb_dissolve(w->m, page), -EBUSY);
	resize(w, 1, 2);
	assert_int_equal(gw_hugetlb_dissolve(w->m, page), 0);
	assert_pool(w, 0, 0, 0, 0);
	assert_int_equal(info_of(w, 0).reserved, 2);
	while (n > 0)
		gw_put_page(w->m, others[--n]);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* ---- migration ---- */

/* The status of moving the i-th huge page. */
static int
move_to(struct gw_mm *mm, unsigned i, int node, unsigned flags)
{
	gw_vaddr_t addr = nth(i) + 100 * PAGE + 5; /* anywhere in it */
	int status = 12345;
	int n = gw_move_pages(mm, 1, &addr, &node, &status, flags);

	assert_int_equal(n, status != node);
	return status;
}

/* A13, 2.1: the new page is a free one of the target's pool, and both pools keep what they have. */
static void
free_page_is_the_target(void **state)
{
	struct nodes *w = *state;
	uint64_t allocated;
	struct gw_mm *mm;
	gw_pfn_t page, target;

	resize(w, 0, 1);
	resize(w, 1, 2);
	mm = space_of(w, 1);
	assert_int_equal(touch(w, 0, mm, 0), 0);
	page = page_of(mm, nth(0));
	target = first_free(w, 1);
	allocated = events(w, GW_VM_PGALLOC);
	assert_int_equal(move_to(mm, 0, 1, 0), 1);
	assert_int_equal(events(w, GW_VM_PGALLOC), allocated);
	assert_int_equal(page_of(mm, nth(0)), target);
	assert_true(gw_pte_is_huge(entry_of(mm, nth(0))));
	assert_bytes(mm, 0);
	assert_pool(w, 0, 1, 1, 0);
	assert_pool(w, 1, 2, 1, 0);
	assert_int_equal(first_free(w, 0), page);
	verify(&w->s, &mm, 1);
	gw_mm_put(mm);
	assert_pool(w, 1, 2, 2, 0);
	resize_all(w, 0);
}

/* A13, 2.1: without a free page there, one comes from the allocator, and the old one goes to it:
 * the place in the pools moves, and a surplus with it, which ends when the page is free. */
static void
allocator_is_the_next_target(void **state)
{
	struct nodes *w = *state;
	uint64_t free_1;
	struct gw_mm *mm;

	resize(w, 0, 2);
	mm = space_of(w, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(touch(w, 0, mm, i), 0);
	resize(w, 0, 1);
	assert_pool(w, 0, 2, 0, 1);
	free_1 = free_on(w, 1);
	assert_int_equal(move_to(mm, 0, 1, 0), 1);
	assert_bytes(mm, 0);
	assert_pool(w, 0, 1, 0, 0);
	assert_pool(w, 1, 1, 0, 1);
	assert_int_equal(move_to(mm, 1, 1, 0), 1);
	assert_pool(w, 0, 0, 0, 0);
	assert_pool(w, 1, 2, 0, 1);
	verify(&w->s, &mm, 1);
	gw_mm_put(mm);
	assert_pool(w, 1, 1, 1, 0);
	resize_all(w, 0);
	assert_int_equal(free_on(w, 1), free_1);
}

/* H2: a free page that is promised to somebody is no target. */
static void
reserved_pages_are_no_targets(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm, *other;

	resize(w, 0, 1);
	resize(w, 1, 1);
	mm = space_of(w, 1);
	assert_int_equal(touch(w, 0, mm, 0), 0);
	other = space_of(w, 1);
	assert_int_equal(move_to(mm, 0, 1, 0), 1);
	assert_pool(w, 0, 0, 0, 0);
	assert_pool(w, 1, 2, 1, 0);
	assert_int_equal(touch(w, 0, other, 0), 1);
	gw_mm_put(other);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* A1, A13: a page that stays leaves its target where it was: free, in its pool. */
static void
unused_target_goes_back(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm;
	gw_pfn_t page;

	resize(w, 0, 1);
	resize(w, 1, 1);
	mm = space_of(w, 1);
	assert_int_equal(touch(w, 0, mm, 0), 0);
	page = page_of(mm, nth(0));
	gw_get_page(w->m, page); /* a pin */
	assert_int_equal(move_to(mm, 0, 1, 0), -EAGAIN);
	gw_put_page(w->m, page);
	assert_int_equal(page_of(mm, nth(0)), page);
	assert_pool(w, 0, 1, 0, 0);
	assert_pool(w, 1, 1, 1, 0);
	assert_bytes(mm, 0);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* 2.1, V1: a range is emptied of a pool's pages, those in use and those free, and its own free ones
 * are no targets; no node's pool loses a page, though another node has memory. */
static void
ranges_leave_pools_as_they_are(void **state)
{
	struct nodes *w = *state;
	struct gw_obstacle why;
	struct gw_mm *mm;
	gw_pfn_t start = w->m->n_frames, end = 0, page, others[16];
	struct hog rest;
	unsigned n;

	resize(w, 0, 4);
	mm = space_of(w, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(touch(w, 0, mm, i), 0);
		page = page_of(mm, nth(i));
		start = page < start ? page : start;
		end = page + HUGE > end ? page + HUGE : end;
	}
	assert_true(end - start < 12 * HUGE);
	assert_int_equal(gw_alloc_contig(w->m, start, end, GW_MT_MOVABLE, &why), 0);
	assert_pool(w, 0, 4, 2, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(node_at(w, mm, nth(i)), 0);
		assert_true(page_of(mm, nth(i)) < start || page_of(mm, nth(i)) >= end);
		assert_bytes(mm, i);
	}
	gw_free_contig(w->m, start, end - start);
	/* Where its node has neither, the pages stay. */
	resize(w, 0, 2);
	n = take_huge_pages(w, 0, others);
	hog(w, &rest, 0, 0);
	page = page_of(mm, nth(0));
	assert_int_equal(gw_alloc_contig(w->m, page, page + HUGE, GW_MT_MOVABLE, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_NO_ROOM);
	assert_int_equal(page_of(mm, nth(0)), page);
	assert_pool(w, 0, 2, 0, 0);
	/* Memory that goes away for good takes its pages' places in the pools along. */
	assert_int_equal(gw_offline_pages(w->m, page, page + HUGE, &why), 0);
	assert_int_not_equal(node_at(w, mm, nth(0)), 0);
	assert_pool(w, 0, 1, 0, 0);
	assert_pool(w, node_at(w, mm, nth(0)), 1, 0, 0);
	assert_int_equal(gw_online_pages(w->m, page, page + HUGE), 0);
	while (n > 0)
		gw_put_page(w->m, others[--n]);
	unhog(w, &rest);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* 2.3: the statuses of move_pages(2), of pages of a pool. */
static void
statuses(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm, *child;
	gw_pfn_t page, others[16];
	struct gw_page_list list;
	uint64_t addrs[3] = {nth(0), nth(0) + 511 * PAGE, nth(1)};
	int status[3];
	unsigned n;

	resize(w, 0, 2);
	mm = space_of(w, 2);
	assert_int_equal(touch(w, 0, mm, 0), 0);
	assert_int_equal(move_to(mm, 1, 2, 0), -ENOENT);
	assert_int_equal(move_to(mm, 2, 2, 0), -EFAULT);
	assert_int_equal(move_to(mm, 0, NODES, 0), -ENODEV);
	assert_int_equal(move_to(mm, 0, 2, 0), 2);
	assert_int_equal(move_to(mm, 0, 2, 0), 2);
	assert_int_equal(gw_move_pages(mm, 3, addrs, NULL, status, 0), 0);
	assert_int_equal(status[0], 2);
	assert_int_equal(status[1], 2);
	assert_int_equal(status[2], -ENOENT);
	assert_int_equal(gw_move_pages(mm, 3, addrs, (int[]){3, 3, 3}, status, 0), 1);
	assert_int_equal(status[0], 3);
	assert_int_equal(status[1], 3);
	assert_int_equal(status[2], -ENOENT);
	child = fork_space(mm);
	assert_int_equal(move_to(mm, 0, 1, 0), -EACCES);
	assert_int_equal(move_to(mm, 0, 1, GW_MOVE_ALL), 1);
	assert_int_equal(node_at(w, child, nth(0)), 1);
	gw_mm_put(child);
	page = page_of(mm, nth(0));
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(w->m, page, GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(move_to(mm, 0, 2, 0), -EBUSY);
	gw_putback_movable_pages(w->m, &list);
	n = take_huge_pages(w, 3, others);
	assert_int_equal(move_to(mm, 0, 3, 0), -ENOMEM);
	assert_int_equal(page_of(mm, nth(0)), page);
	while (n > 0)
		gw_put_page(w->m, others[--n]);
	assert_bytes(mm, 0);
	verify(&w->s, &mm, 1);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* 2.3: a huge page that a fork shares is mapped elsewhere, too. */
static void
shared_huge_pages_stay(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s), *child;

	map_at(mm, HUGE_AT, HUGE);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_HUGEPAGE), 0);
	assert_int_equal(touch(w, 0, mm, 0), 0);
	assert_true(gw_pte_is_huge(entry_of(mm, nth(0))));
	child = fork_space(mm);
	assert_int_equal(move_to(mm, 0, 1, 0), -EACCES);
	gw_mm_put(child);
	assert_int_equal(move_to(mm, 0, 1, 0), 1);
	gw_mm_put(mm);
}

/* 2.3: mbind(2) brings the pages of a pool to where the policy wants them, each interleaved one to
 * its own node; STRICT says if one is elsewhere. A part of a page has no policy of its own. */
static void
mbind_moves(void **state)
{
	const struct gw_policy bind2 = policy(GW_POLICY_BIND, ONE(2));
	const struct gw_policy both = policy(GW_POLICY_INTERLEAVE, ONE(1) | ONE(3));
	struct nodes *w = *state;
	struct gw_mm *mm;
	gw_pfn_t page;

	resize_all(w, 2);
	resize(w, 0, 4);
	mm = space_of(w, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(touch(w, 0, mm, i), 0);
	assert_int_equal(gw_mbind(mm, HUGE_AT + PAGE, TABLE, &bind2, GW_MBIND_MOVE), -EINVAL);
	assert_int_equal(gw_mbind(mm, HUGE_AT, TABLE, &bind2, GW_MBIND_STRICT), -EIO);
	assert_int_equal(gw_mbind(mm, HUGE_AT, TABLE, &bind2, GW_MBIND_MOVE | GW_MBIND_STRICT), 0);
	assert_int_equal(gw_mbind(mm, nth(1), 2 * TABLE, &both, GW_MBIND_MOVE), 0);
	assert_int_equal(node_at(w, mm, nth(0)), 2);
	assert_int_equal(node_at(w, mm, nth(1)), 3);
	assert_int_equal(node_at(w, mm, nth(2)), 1);
	assert_int_equal(node_at(w, mm, nth(3)), 0);
	page = page_of(mm, nth(3));
	gw_get_page(w->m, page); /* a pin */
	assert_int_equal(
		gw_mbind(mm, nth(3), TABLE, &bind2, GW_MBIND_MOVE | GW_MBIND_STRICT), -EIO);
	gw_put_page(w->m, page);
	assert_int_equal(page_of(mm, nth(3)), page);
	for (unsigned i = 0; i < 4; i++)
		assert_bytes(mm, i);
	assert_pool(w, 0, 4, 3, 0);
	assert_pool(w, 2, 2, 1, 0);
	verify(&w->s, &mm, 1);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* 2.3: migrate_pages(2) takes pages of pools along, one for all who map it. */
static void
address_spaces_move(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm, *child;

	resize_all(w, 2);
	mm = space_of(w, 2);
	assert_int_equal(touch(w, 0, mm, 0), 0);
	assert_int_equal(touch(w, 1, mm, 1), 1);
	child = fork_space(mm);
	assert_int_equal(gw_migrate_mm(mm, ONE(0) | ONE(1), ONE(2) | ONE(3)), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(node_at(w, mm, nth(i)), 2 + i);
		assert_int_equal(node_at(w, child, nth(i)), 2 + i);
		assert_bytes(child, i);
	}
	gw_mm_put(child);
	gw_mm_put(mm);
	resize_all(w, 0);
}

/* ---- threads ---- */

/* I5, H1: a program loses no word while its pages go from pool to pool, and no pool loses a page.
 */
static void
program_runs_meanwhile(void **state)
{
	struct nodes *w = *state;
	struct program p = {.m = w->m, .at = HUGE_AT, .pages = 2 * HUGE, .step = 3, .rounds = 60};
	unsigned moved = 0;

	resize_all(w, 2);
	p.mm = space_of(w, 2);
	program_start(&p);
	for (unsigned node = 0; !program_is_done(&p) || !moved; node = (node + 1) % NODES)
		for (unsigned i = 0; i < 2; i++)
			moved += move_to(p.mm, i, (int)node, 0) == (int)node;
	program_end(&p);
	verify(&w->s, &p.mm, 1);
	gw_mm_put(p.mm);
	for (unsigned node = 0; node < NODES; node++)
		assert_pool(w, node, 2, 2, 0);
	resize_all(w, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(bind_takes_from_its_nodes),
		T(tasks_have_policies),
		T(others_go_by_distance),
		T(many_are_preferred),
		T(interleaving_counts_huge_pages),
		T(transparent_ones_are_interleaved),
		T(copies_are_bound),
		T(isolated_pages_come_last),
		T(promised_pages_are_replaced),
		T(free_page_is_the_target),
		T(allocator_is_the_next_target),
		T(reserved_pages_are_no_targets),
		T(unused_target_goes_back),
		T(ranges_leave_pools_as_they_are),
		T(statuses),
		T(shared_huge_pages_stay),
		T(mbind_moves),
		T(address_spaces_move),
		T(program_runs_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
