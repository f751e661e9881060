/* SPDX-License-Identifier: MIT */
/*
 * test_huge_migrate.c - large pages that move: whole, with huge migration entries (FACTS 1.6, C8),
 * or split for want of a target (FACTS 2.3); and races of splits, moves, faults, forks and writes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/virt/policy.h"
#include "hugetlb_fixture.h"
#include "test.h"

static unsigned most_order; /* of targets */

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return order > most_order ? -ENOMEM : gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst);
}

static const struct gw_migrate_target target = {.get_new_page = get_new_page};

/* How many stayed. */
static int
migrate(struct spaces *s, gw_pfn_t page, struct gw_migrate_stats *stats)
{
	struct gw_page_list list;
	int left;

	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	left = gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_COMPACTION, stats);
	gw_putback_movable_pages(s->m, &list);
	return left;
}

/* FACTS 1.6, 2.3: a huge page moves in one piece, and is mapped by huge entries as before. */
static void
huge_pages_move_whole(void **state)
{
	struct spaces *s = *state;
	struct gw_migrate_stats stats = {0};
	struct gw_mm *mm[2];
	gw_pfn_t page, moved;

	page = share_huge(s, mm, 2, GW_HUGE_ORDER);
	gw_split_pmd(mm[1], HUGE_AT); /* and frame by frame, in another */
	most_order = GW_HUGE_ORDER;
	assert_int_equal(migrate(s, page, &stats), 0);
	moved = page_of(mm[0], HUGE_AT);
	assert_int_not_equal(moved, page);
	assert_int_equal(order_of(s, moved), GW_HUGE_ORDER);
	assert_true(is_huge(mm[0], HUGE_AT));
	assert_false(is_huge(mm[1], HUGE_AT));
	assert_int_equal(page_of(mm[1], HUGE_AT + 77 * PAGE), moved + 77);
	assert_frames(mm[0], HUGE_AT, FRAMES_PER_HUGE);
	assert_frames(mm[1], HUGE_AT, FRAMES_PER_HUGE);
	assert_int_equal(stats.large_succeeded, 1);
	assert_int_equal(stats.succeeded, FRAMES_PER_HUGE);
	assert_int_equal(count_of(s, GW_VM_THP_MIGRATION_SUCCESS), 1);
	assert_int_equal(count_of(s, GW_VM_THP_MIGRATION_SPLIT), 0);
	end_spaces(s, mm, 2);
}

/* FACTS 2.4: so do pages of lower orders. */
static void
large_pages_move_whole(void **state)
{
	struct spaces *s = *state;
	struct gw_migrate_stats stats = {0};
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, 4), moved;

	most_order = 4;
	assert_int_equal(migrate(s, page, &stats), 0);
	moved = page_of(mm, HUGE_AT);
	assert_int_not_equal(moved, page);
	assert_int_equal(order_of(s, moved), 4);
	assert_int_equal(page_of(mm, HUGE_AT + 15 * PAGE), moved + 15);
	assert_int_equal(page_of(mm, HUGE_AT + 16 * PAGE) & 15, 0);
	assert_int_equal(stats.large_succeeded, 1);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* FACTS 2.3: without a target of its size it is split, and its pieces move. */
static void
split_for_want_of_a_target(void **state)
{
	struct spaces *s = *state;
	struct gw_migrate_stats stats = {0};
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	most_order = 0;
	assert_int_equal(migrate(s, page, &stats), 0);
	assert_int_equal(stats.split, 1);
	assert_int_equal(stats.succeeded, FRAMES_PER_HUGE);
	assert_int_equal(count_of(s, GW_VM_THP_MIGRATION_SPLIT), 1);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PAGE), 1);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		assert_int_not_equal(
			page_of(mm, HUGE_AT + i * PAGE) / FRAMES_PER_HUGE, page / FRAMES_PER_HUGE);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* FACTS 2.3: a pinned one stays whole, isolated no more. */
static void
pinned_pages_stay(void **state)
{
	struct spaces *s = *state;
	struct gw_migrate_stats stats = {0};
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	struct gw_page_list list;

	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	gw_get_page(s->m, page);
	most_order = GW_HUGE_ORDER;
	assert_int_equal(
		gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_COMPACTION, &stats),
		1);
	most_order = 0; /* nor can it be split */
	assert_int_equal(
		gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_COMPACTION, &stats),
		-ENOMEM);
	assert_int_equal(stats.stopped_on, page);
	gw_putback_movable_pages(s->m, &list);
	gw_put_page(s->m, page);
	assert_int_equal(page_of(mm, HUGE_AT), page);
	assert_true(is_huge(mm, HUGE_AT));
	assert_int_equal(count_of(s, GW_VM_THP_MIGRATION_FAIL), 2);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* ---- waiters ---- */

struct toucher {
	struct spaces *s;
	struct gw_mm *mm;
	gw_atomic_u32 done;
};

static void *
touch(void *arg)
{
	struct toucher *t = arg;
	uint64_t value;

	assert_int_equal(try_peek(t->s, 1, t->mm, HUGE_AT + 9 * PAGE, &value), 0);
	assert_int_equal(value, HUGE_AT / PAGE + 9);
	gw_u32_store_release(&t->done, 1);
	return NULL;
}

/* C8, C10: whoever meets a huge migration entry waits for its page, in each of the three ways, and
 * then finds it. */
static void
waits_for_huge_pages(void **state)
{
	for (unsigned era = GW_ERA_HOLD; era <= GW_ERA_NONE; era++) {
		struct spaces *s;
		struct gw_mm *mm;
		struct toucher t;
		struct gw_anon_vma *anon_vma;
		pthread_t thread;
		gw_pfn_t page;

		(void)huge_setup(state);
		s = *state;
		gw_machine_set_wait_era(s->m, (enum gw_wait_era)era);
		mm = new_space(s);
		page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
		anon_vma = freeze_entries(s, page);
		t = (struct toucher){.s = s, .mm = mm};
		assert_int_equal(pthread_create(&thread, NULL, touch, &t), 0);
		while (!(gw_page_flags(gw_page(s->m, page)) & GW_PG_WAITERS))
			gw_relax();
		assert_int_equal(gw_u32_load_acquire(&t.done), 0);
		thaw_entries(s, page, anon_vma);
		assert_int_equal(pthread_join(thread, NULL), 0);
		verify(s, &mm, 1);
		gw_mm_put(mm);
		(void)spaces_teardown(state);
	}
}

/* E12: memory of a pool is not migratable as others are: no fault and no hint moves it. (What names
 * it does: test_hugetlb_policy.c.) */
static void
pools_are_not_migratable(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	resize(s, 1);
	assert_int_equal(try_map(mm, 1), 0);
	assert_false(gw_vma_migratable(gw_vma_find(mm, HUGE_AT)));
	gw_mm_put(mm);
	resize(s, 0);
}

/* A13: a page of a pool that somebody took for himself has no entries to find, so it cannot move:
 * that is said before anybody is asked for a new page. */
static void
pages_in_hand_cannot_move(void **state)
{
	struct spaces *s = *state;
	struct gw_page_list list;
	gw_pfn_t page;

	resize(s, 1);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GW_HUGE_ORDER, &page), 0);
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), -EINVAL);
	assert_int_equal(list.n, 0);
	assert_int_equal(refs_of(s, page), 1);
	gw_put_page(s->m, page);
	assert_pool(s, 1, 1, 0);
	resize(s, 0);
}

/* ---- races ---- */

#define ROUNDS	    12
#define MOST_ROUNDS 240
#define FRAMES	    (2 * FRAMES_PER_HUGE)

struct race {
	struct spaces *s;
	struct gw_mm *mm;
	unsigned seed;
	gw_atomic_u32 stop;
	uint64_t added[FRAMES];
};

static void *
add_up(void *arg)
{
	struct race *r = arg;
	struct gw_task task;
	unsigned seed = r->seed;

	assert_int_equal(gw_task_attach(&task, r->s->m, 1), 0);
	while (!gw_u32_load_acquire(&r->stop)) {
		unsigned i = (unsigned)rand_r(&seed) % FRAMES;

		assert_int_equal(gw_cpu_add(r->mm, HUGE_AT + i * PAGE, 1, NULL), 0);
		r->added[i]++;
	}
	gw_task_detach(&task);
	return NULL;
}

/* The page at addr, with a reference, or GW_PFN_NONE: it is on its way. */
static gw_pfn_t
grab(struct race *r, gw_vaddr_t addr)
{
	gw_pfn_t page = GW_PFN_NONE;
	gw_atomic_u64 *word;
	gw_spinlock *lock;
	gw_pte_t pte;

	gw_rw_read_lock(&r->mm->mmap_lock);
	word = gw_entry_lock(r->mm, addr, &lock);
	if (word) {
		pte = gw_u64_load_relaxed(word);
		if (gw_pte_is_page(pte)) {
			page = gw_page_head(r->s->m, gw_pte_pfn(pte));
			gw_get_page(r->s->m, page);
		}
		gw_spin_unlock(lock);
	}
	gw_rw_read_unlock(&r->mm->mmap_lock);
	return page;
}

static void
try_split(struct race *r, gw_vaddr_t addr, unsigned order)
{
	struct gw_machine *m = r->s->m;
	gw_pfn_t page = grab(r, addr), kept = page;

	if (page == GW_PFN_NONE)
		return;
	gw_page_lock(m, page);
	if (order_of(r->s, page) > order && gw_page_head(m, page) == page &&
		gw_page_mapped(m, page)) {
		int err = gw_split_huge_to_order(m, page, order, NULL);

		assert_true(err == 0 || err == -EBUSY);
	}
	gw_page_unlock(m, kept);
	gw_put_page(m, kept);
}

static void
try_move(struct race *r, gw_vaddr_t addr)
{
	struct gw_machine *m = r->s->m;
	gw_pfn_t page = grab(r, addr);
	struct gw_page_list list;

	if (page == GW_PFN_NONE)
		return;
	gw_put_page(m, page);
	gw_page_list_init(&list);
	if (gw_isolate_page(m, page, GW_MIGRATE_SYNC, &list))
		return;
	(void)!gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, GW_MR_COMPACTION, NULL);
	gw_putback_movable_pages(m, &list);
}

static void
fork_and_exit(struct race *r)
{
	struct gw_mm *child;

	assert_int_equal(gw_mm_fork(r->mm, &child), 0);
	assert_int_equal(gw_munmap(child, HUGE_AT + 5 * PAGE, 40 * PAGE), 0);
	gw_mm_put(child);
}

static void *
disturb(void *arg)
{
	struct race *r = arg;
	struct gw_task task;
	unsigned seed = r->seed * 31;

	assert_int_equal(gw_task_attach(&task, r->s->m, 0), 0);
	for (unsigned i = 0; i < 60; i++) {
		gw_vaddr_t addr = HUGE_AT + (gw_vaddr_t)((unsigned)rand_r(&seed) % FRAMES) * PAGE;

		switch (rand_r(&seed) % 6) {
		case 0:
			try_split(r, addr, 0);
			break;
		case 1:
			try_split(r, addr, 4);
			break;
		case 2:
			fork_and_exit(r);
			break;
		case 3:
			assert_int_equal(
				gw_madvise(r->mm, addr & ~(TABLE - 1), 3 * PAGE, GW_MADV_COLD), 0);
			break;
		default:
			try_move(r, addr);
		}
	}
	gw_task_detach(&task);
	return NULL;
}

/* B10: references come and go on any frame, for a moment, as of whoever scans memory by frames. */
static void *
get_and_put(void *arg)
{
	struct race *r = arg;
	struct gw_task task;
	unsigned seed = r->seed * 77;

	assert_int_equal(gw_task_attach(&task, r->s->m, 0), 0);
	while (!gw_u32_load_acquire(&r->stop)) {
		gw_pfn_t pfn = (gw_pfn_t)rand_r(&seed) % r->s->m->n_frames;

		if (gw_get_page_unless_zero(r->s->m, pfn))
			gw_put_page(r->s->m, pfn);
	}
	gw_task_detach(&task);
	return NULL;
}

/* Has what the rounds are for come about? Splits and references are mostly faster than a move. */
static bool
all_happened(struct spaces *s)
{
	return count_of(s, GW_VM_THP_SPLIT_PAGE) > 0 &&
	       count_of(s, GW_VM_THP_MIGRATION_SUCCESS) > 0;
}

/* I5, B8: writes on one CPU, while two tasks split, move, age and fork the same huge pages: no
 * write is lost, and every count is right afterwards. */
static void
races(void **state)
{
	struct spaces *s = *state;
	const char *given = getenv("GW_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : 11;

	print_message("GW_SEED=%u\n", seed);
	for (unsigned round = 0; round < ROUNDS || (round < MOST_ROUNDS && !all_happened(s));
		round++) {
		struct race r = {.s = s, .mm = new_space(s), .seed = seed + round};
		struct race other = {.s = s, .mm = r.mm, .seed = seed + 1000 + round};
		pthread_t adder, getter, disturber[2];

		most_order = round % 3 == 0 ? 0 : GW_HUGE_ORDER;
		fill_huge(s, r.mm, 2, round % 2 ? GW_HUGE_ORDER : 5);
		assert_int_equal(pthread_create(&adder, NULL, add_up, &r), 0);
		assert_int_equal(pthread_create(&getter, NULL, get_and_put, &r), 0);
		assert_int_equal(pthread_create(&disturber[0], NULL, disturb, &r), 0);
		assert_int_equal(pthread_create(&disturber[1], NULL, disturb, &other), 0);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(pthread_join(disturber[i], NULL), 0);
		gw_u32_store_release(&r.stop, 1);
		assert_int_equal(pthread_join(adder, NULL), 0);
		assert_int_equal(pthread_join(getter, NULL), 0);
		for (unsigned i = 0; i < FRAMES; i++)
			assert_int_equal(
				peek(r.mm, HUGE_AT + i * PAGE), HUGE_AT / PAGE + i + r.added[i]);
		verify(s, &r.mm, 1);
		gw_mm_put(r.mm);
	}
	assert_true(all_happened(s));
}

#define T(test) cmocka_unit_test_setup_teardown(test, huge_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(huge_pages_move_whole),
		T(large_pages_move_whole),
		T(split_for_want_of_a_target),
		T(pinned_pages_stay),
		cmocka_unit_test(waits_for_huge_pages),
		T(pools_are_not_migratable),
		T(pages_in_hand_cannot_move),
		T(races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
