/* SPDX-License-Identifier: MIT */
/*
 * test_ksm.c - pages with equal bytes become one, and separate again (FACTS 3.4, 3.5, R5, R8, R9).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "ksm_fixture.h"
#include "walk_probe.h"

/* ---- merging ---- */

/* 3.5: equal pages of address spaces that have nothing to do with each other become one frame; what
 * differs does not. */
static void
equal_pages_become_one(void **state)
{
	struct merger *g = *state;
	uint64_t free;

	fill(g, g->a, 0, 7);
	fill(g, g->b, 0, 7);
	fill(g, g->c, 2, 7);
	fill(g, g->c, 1, 8);
	free = free_frames(g->s);
	rounds(g, 1);
	assert_false(is_merged(g, g->a, 0));
	rounds(g, 1);
	assert_int_equal(frame_of(g, g->a, 0), frame_of(g, g->b, 0));
	assert_int_equal(frame_of(g, g->a, 0), frame_of(g, g->c, 2));
	assert_false(is_merged(g, g->c, 1));
	assert_int_equal(free_frames(g->s), free + 2);
	assert_int_equal(info(g).pages_shared, 1);
	assert_int_equal(info(g).pages_sharing, 2);
	assert_true(is_filled(g, g->a, 0, 7) && is_filled(g, g->b, 0, 7));
	assert_true(is_filled(g, g->c, 2, 7) && is_filled(g, g->c, 1, 8));
	verify_all(g, NULL);
}

/* A page that changes between two rounds is left alone; once it does not, it joins at once what is
 * merged already. */
static void
changing_pages_are_left_alone(void **state)
{
	struct merger *g = *state;

	for (uint64_t value = 1; value < 5; value++) {
		fill(g, g->a, 0, value);
		fill(g, g->b, 0, value);
		rounds(g, 1);
		assert_int_equal(info(g).pages_shared, 0);
	}
	rounds(g, 1);
	assert_int_equal(info(g).pages_shared, 1);
	fill(g, g->c, 3, 4);
	rounds(g, 1); /* the stable tree is asked before the checksum is */
	assert_int_equal(frame_of(g, g->c, 3), frame_of(g, g->a, 0));
}

/* Who writes gets a page of his own and the others keep theirs; also on a CPU that had the page
 * writable before. Counts cow_ksm. */
static void
a_write_separates(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page;

	fill(g, g->a, 0, 7);
	assert_int_equal(try_poke(g->s, 1, g->a, g->addr, 7), 0); /* CPU 1 may write */
	page = merge_two(g);
	assert_int_equal(try_poke(g->s, 1, g->a, g->addr, 9), 0);
	assert_int_equal(peek(g->a, g->addr), 9);
	assert_true(is_filled(g, g->b, 0, 7));
	assert_int_equal(frame_of(g, g->b, 0), page);
	assert_int_equal(gw_machine_count(g->m, GW_VM_COW_KSM), 1);
	verify_all(g, NULL);
	/* Mapped once, it is still not written in place: its bytes are in the stable tree. */
	poke(g->b, g->addr, 10);
	assert_int_not_equal(frame_of(g, g->b, 0), page);
	assert_false(is_merged(g, g->b, 0));
	assert_int_equal(gw_machine_count(g->m, GW_VM_COW_KSM), 2);
	rounds(g, 1);
	assert_int_equal(info(g).pages_shared, 0);
}

/* A page that somebody else holds may be written by him: it is not merged. */
static void
a_pinned_page_is_not_merged(void **state)
{
	struct merger *g = *state;
	gw_pfn_t pinned;

	fill(g, g->a, 0, 7);
	fill(g, g->b, 0, 7);
	pinned = frame_of(g, g->a, 0);
	gw_get_page(g->m, pinned);
	rounds(g, 4);
	assert_false(is_merged(g, g->a, 0));
	assert_int_equal(frame_of(g, g->a, 0), pinned);
	gw_put_page(g->m, pinned);
	rounds(g, 2);
	assert_int_equal(frame_of(g, g->a, 0), frame_of(g, g->b, 0));
}

/* Ranges that are not marked are not looked at. */
static void
only_mergeable_ranges_are_scanned(void **state)
{
	struct merger *g = *state;

	assert_int_equal(gw_madvise(g->a, at_page(g, 1), PAGE, GW_MADV_UNMERGEABLE), 0);
	fill(g, g->a, 1, 7);
	fill(g, g->b, 1, 7);
	rounds(g, 3);
	assert_int_equal(info(g).pages_shared, 0);
}

/* UNMERGEABLE: every page is private again, in memory that may not be written too, and stays so. */
static void
unmerging_makes_private_copies(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page = merge_two(g);

	assert_int_equal(gw_mprotect(g->b, g->addr, PAGE, GW_PROT_READ), 0);
	assert_int_equal(gw_madvise(g->b, g->addr, KSM_PAGES * PAGE, GW_MADV_UNMERGEABLE), 0);
	assert_int_not_equal(frame_of(g, g->b, 0), page);
	assert_false(is_merged(g, g->b, 0));
	assert_true(is_filled(g, g->b, 0, 7));
	assert_int_equal(try_poke(g->s, 0, g->b, g->addr, 1), -EFAULT);
	rounds(g, 3);
	assert_false(is_merged(g, g->b, 0));
	assert_true(is_filled(g, g->a, 0, 7));
	verify_all(g, NULL);
}

/* max_page_sharing bounds the places of a page: what is beyond goes to a second page. */
static void
sharing_is_bounded(void **state)
{
	struct merger *g = *state;

	for (unsigned i = 0; i < 2; i++) {
		fill(g, g->a, i, 7);
		fill(g, g->b, i, 7);
	}
	rounds(g, 4);
	assert_int_equal(info(g).pages_shared, 2);
	assert_int_equal(info(g).pages_sharing, 2);
	verify_all(g, NULL);
}

static int
setup_sharing_2(void **state)
{
	return merger_setup_sharing(state, 2);
}

/* ---- lives ---- */

/* R8: a fork shares merged pages; rmap finds the child's entries also when the parent's has gone,
 * and the child is a member. */
static void
forks_share_merged_pages(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page = merge_two(g);
	struct gw_mm *child = fork_space(g->a);

	assert_int_equal(places_of(g->s, page).n, 3);
	verify_all(g, child);
	poke(g->a, g->addr, 1);
	rounds(g, 1); /* prunes places, not this one */
	verify_all(g, child);
	leave(&g->a);
	rounds(g, 1);
	verify_all(g, child);
	assert_true(is_filled(g, child, 0, 7));
	poke(child, g->addr, 3);
	fill(g, child, 1, 5);
	fill(g, g->b, 1, 5);
	rounds(g, 2);
	assert_int_equal(frame_of(g, child, 1), frame_of(g, g->b, 1));
	leave(&child);
}

/* Merged pages go with their last entry, by exit or DONTNEED, and their nodes with the next round;
 * the same bytes may then be merged anew. */
static void
pages_go_with_their_last_entry(void **state)
{
	struct merger *g = *state;
	uint64_t free = free_frames(g->s);

	(void)merge_two(g);
	assert_int_equal(gw_madvise(g->a, g->addr, PAGE, GW_MADV_DONTNEED), 0);
	leave(&g->b);
	assert_true(free_frames(g->s) >= free - 2); /* tables of a */
	assert_int_equal(info(g).pages_shared, 0);
	fill(g, g->c, 0, 7);
	fill(g, g->a, 0, 7);
	rounds(g, 2);
	assert_int_equal(info(g).pages_shared, 1);
	verify_all(g, NULL);
}

/* Locked memory keeps its merged page on the unevictable list. */
static void
locked_ranges_merge(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page;

	assert_int_equal(gw_mlock(g->a, g->addr, PAGE, true), 0);
	page = merge_two(g); /* it is b's */
	gw_lru_add_drain_all(g->m);
	assert_true(flags(g->mv, page) & GW_PG_MLOCKED);
	verify_all(g, NULL);
}

static void
swap_on(struct merger *g)
{
	void *backing;

	assert_int_equal(gw_soft_ram_backing(16, &backing), 0);
	assert_int_equal(gw_swap_on(g->m, &gw_soft_ram_ops, backing, 16), 0);
}

static void
page_out(struct merger *g, struct gw_mm *mm)
{
	assert_int_equal(gw_madvise(mm, g->addr, PAGE, GW_MADV_PAGEOUT), 0);
}

/* S4: reclaim leaves merged pages alone, also those with one entry; others go. */
static void
merged_pages_stay_in_memory(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page = merge_two(g);

	swap_on(g);
	poke(g->a, g->addr, 1);
	gw_lru_add_drain_all(g->m);
	for (unsigned i = 0; i < 3; i++) {
		page_out(g, g->a);
		page_out(g, g->b);
	}
	assert_int_equal(gw_pte_kind(entry_of(g->a, g->addr)), GW_PTE_IS_SWAP);
	assert_int_equal(frame_of(g, g->b, 0), page);
	assert_int_equal(peek(g->a, g->addr), 1);
	verify_all(g, NULL);
}

/* S4: a page that others' swap entries name joins a merged one, and stays theirs in the cache; it
 * does not become a merged page itself. */
static void
pages_of_the_swap_cache_join_only(void **state)
{
	struct merger *g = *state;
	struct gw_mm *child;
	gw_pfn_t cached;

	swap_on(g);
	fill(g, g->a, 0, 7);
	gw_lru_add_drain_all(g->m);
	page_out(g, g->a);
	assert_int_equal(gw_pte_kind(entry_of(g->a, g->addr)), GW_PTE_IS_SWAP);
	child = fork_space(g->a);
	assert_int_equal(peek(g->a, g->addr), 7);
	cached = frame_of(g, g->a, 0);
	assert_true(flags(g->mv, cached) & GW_PG_SWAPCACHE);
	fill(g, g->b, 0, 7);
	fill(g, g->c, 0, 7);
	rounds(g, 3);
	assert_true(is_merged(g, g->a, 0));
	assert_int_equal(frame_of(g, g->a, 0), frame_of(g, g->b, 0));
	assert_int_equal(frame_of(g, g->a, 0), frame_of(g, g->c, 0));
	assert_int_not_equal(frame_of(g, g->a, 0), cached);
	assert_int_equal(gw_pte_kind(entry_of(child, g->addr)), GW_PTE_IS_SWAP);
	verify_all(g, child);
	assert_true(is_filled(g, child, 0, 7));
	leave(&child);
}

/* ---- migration ---- */

/* R9: a merged page moves for all that map it, its node with it: the next equal page joins the new
 * one. The old frame is free. */
static void
the_node_follows_its_page(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page = merge_two(g), moved;

	gw_lru_add_drain_all(g->m);
	moved = move(g->mv, page);
	assert_true(is_free(g->mv, page));
	assert_int_equal(frame_of(g, g->a, 0), moved);
	assert_int_equal(frame_of(g, g->b, 0), moved);
	assert_true(is_filled(g, g->a, 0, 7) && is_filled(g, g->b, 0, 7));
	verify_all(g, NULL);
	fill(g, g->c, 0, 7);
	rounds(g, 1);
	assert_int_equal(frame_of(g, g->c, 0), moved);
	verify_all(g, NULL);
}

/* A migration that fails puts back what it found. */
static void
a_pinned_merged_page_stays(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page = merge_two(g);

	gw_lru_add_drain_all(g->m);
	assert_int_equal(try_isolate(g->mv, page, GW_MIGRATE_SYNC), 0);
	gw_get_page(g->m, page);
	assert_int_equal(migrate(g->mv, GW_MIGRATE_SYNC), 1);
	gw_put_page(g->m, page);
	put_back(g->mv);
	assert_int_equal(frame_of(g, g->a, 0), page);
	verify_all(g, NULL);
}

static void
zap_both(struct mover *mv)
{
	assert_int_equal(gw_munmap(mv->mm, mv->addr, PAGE), 0);
	assert_int_equal(gw_munmap(mv->other, mv->addr, PAGE), 0);
}

/* R15: all entries go while the page is on its way: it ends with its migration. */
static void
entries_may_go_meanwhile(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page = merge_two(g);

	gw_lru_add_drain_all(g->m);
	g->mv->mm = g->a;
	g->mv->other = g->b;
	g->mv->addr = g->addr;
	g->mv->at_flush = zap_both;
	assert_int_equal(try_isolate(g->mv, page, GW_MIGRATE_SYNC), 0);
	assert_int_equal(migrate(g->mv, GW_MIGRATE_SYNC), 0);
	g->mv->at_flush = NULL;
	assert_true(is_free(g->mv, page) && is_free(g->mv, g->mv->new_page));
	rounds(g, 1);
	assert_int_equal(info(g).pages_shared, 0);
	verify_all(g, NULL);
}

static void
move_mapping(struct mover *mv)
{
	gw_vaddr_t to;

	assert_int_equal(gw_mremap(mv->mm, mv->addr, PAGE, 8 * PAGE, &to), 0);
	assert_int_not_equal(to, mv->addr);
	mv->addr = to;
}

/* R5, R9: VMAs that are split and moved while their merged page is under migration are found where
 * they are then. */
static void
places_follow_their_vmas(void **state)
{
	struct merger *g = *state;
	gw_pfn_t moved;

	fill(g, g->a, 1, 7);
	fill(g, g->b, 0, 7);
	rounds(g, 2);
	gw_lru_add_drain_all(g->m);
	g->mv->mm = g->a;
	g->mv->addr = at_page(g, 1);
	g->mv->at_flush = move_mapping;
	moved = move(g->mv, frame_of(g, g->b, 0));
	g->mv->at_flush = NULL;
	assert_int_equal(page_of(g->a, g->mv->addr), moved);
	assert_int_equal(frame_of(g, g->b, 0), moved);
	assert_int_equal(peek(g->a, g->mv->addr), 7);
	verify_all(g, NULL);
}

/* R5: at each place of a merged page the walk holds the lock of the family there: no VMA changes
 * while it computes an address. */
static void
walks_lock_each_place(void **state)
{
	struct merger *g = *state;
	struct walk_probe seen;

	fill(g, g->a, 0, 7);
	fill(g, g->b, 0, 7);
	fill(g, g->c, 2, 7);
	rounds(g, 2);
	seen = probe_walk(g->m, frame_of(g, g->a, 0), NULL, NULL);
	assert_int_equal(seen.places, 3);
	assert_int_equal(seen.open, 0);
}

/* ---- waiting (R9) ---- */

struct breaker {
	struct merger *g;
	int result;
	gw_atomic_u32 done;
};

static void *
unmerge(void *arg)
{
	struct breaker *b = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, b->g->m, 1), 0);
	b->result = gw_madvise(b->g->b, b->g->addr, PAGE, GW_MADV_UNMERGEABLE);
	gw_u32_store_release(&b->done, 1);
	gw_task_detach(&task);
	return NULL;
}

/* R9: who breaks a range up meets a merged page under migration and waits for it; else it would
 * leave the page merged where nothing may be. */
static void
unmerging_waits_for_migration(void **state)
{
	struct merger *g = *state;
	struct breaker b = {.g = g, .result = 1};
	gw_pfn_t page = merge_two(g);
	struct gw_anon_vma *anon_vma = freeze_entries(g->s, page);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, unmerge, &b), 0);
	while (!(flags(g->mv, page) & GW_PG_WAITERS) && !gw_u32_load_acquire(&b.done))
		sched_yield();
	assert_false(gw_u32_load_acquire(&b.done));
	thaw_entries(g->s, page, anon_vma);
	pthread_join(thread, NULL);
	assert_int_equal(b.result, 0);
	assert_false(is_merged(g, g->b, 0));
	assert_true(is_merged(g, g->a, 0));
	assert_true(is_filled(g, g->b, 0, 7));
	verify_all(g, NULL);
}

static void *
scan(void *arg)
{
	struct breaker *b = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, b->g->m, 1), 0);
	rounds(b->g, 1);
	gw_u32_store_release(&b->done, 1);
	gw_task_detach(&task);
	return NULL;
}

/* R9: who looks a node's page up while it is under migration waits, and gets it where it is then.
 * The wait holds no reference: the page moves. */
static void
looking_up_waits_for_migration(void **state)
{
	struct merger *g = *state;
	struct breaker b = {.g = g};
	gw_pfn_t page = merge_two(g);
	struct gw_anon_vma *anon_vma;
	pthread_t thread;

	fill(g, g->c, 0, 7);
	anon_vma = freeze_entries(g->s, page);
	assert_int_equal(pthread_create(&thread, NULL, scan, &b), 0);
	while (!(flags(g->mv, page) & GW_PG_WAITERS) && !gw_u32_load_acquire(&b.done))
		sched_yield();
	assert_false(gw_u32_load_acquire(&b.done));
	while (refs(g->mv, page) > 1) /* the freezer's */
		sched_yield();
	thaw_entries(g->s, page, anon_vma);
	pthread_join(thread, NULL);
	assert_int_equal(frame_of(g, g->c, 0), page);
	verify_all(g, NULL);
}

/* ---- the instance ---- */

/* Members are those of one instance; tunables are looked at; a second scan is refused. */
static void
refusals(void **state)
{
	struct merger *g = *state;
	struct gw_ksm_tunables tunables;
	struct gw_ksm *other;

	gw_ksm_tunables_init(&tunables);
	assert_int_equal(tunables.max_page_sharing, 256);
	assert_int_equal(gw_ksm_create(g->m, &tunables, &other), 0);
	assert_int_equal(gw_ksm_join(other, g->a), -EBUSY);
	assert_int_equal(gw_ksm_join(g->ksm, g->a), 0);
	assert_int_equal(gw_ksm_destroy(other), 0);
	tunables.max_page_sharing = 1;
	assert_int_equal(gw_ksm_create(g->m, &tunables, &other), -EINVAL);
	assert_int_equal(gw_ksm_destroy(NULL), 0);
}

/* An instance does not end while somebody has a merged page in his hands, and goes on. */
static void
the_end_waits_for_pages_in_use(void **state)
{
	struct merger *g = *state;
	gw_pfn_t page = merge_two(g);

	gw_get_page(g->m, page);
	assert_int_equal(gw_ksm_destroy(g->ksm), -EBUSY);
	gw_put_page(g->m, page);
	assert_false(is_merged(g, g->a, 0));
	rounds(g, 2);
	assert_true(is_merged(g, g->a, 0));
}

/* ---- no memory ---- */

static unsigned fail_in; /* the allocation that fails, counted from 1; 0: none */
static void *(*real_alloc)(void *ctx, size_t bytes);

static void *
failing_alloc(void *ctx, size_t bytes)
{
	if (fail_in && --fail_in == 0)
		return NULL;
	return real_alloc(ctx, bytes);
}

/* Whichever allocation of the engine's own memory fails while pages are merged and forked, nothing
 * is lost, and a later round makes good for it. A fork that cannot join the instance fails. */
static void
failed_allocations_lose_nothing(void **state)
{
	struct merger *g = *state;
	unsigned failed = 0, forks_failed = 0;

	real_alloc = g->mv->ops.alloc;
	g->mv->ops.alloc = failing_alloc;
	for (unsigned k = 1; k < 16; k++) {
		struct gw_mm *child = NULL;

		fill(g, g->a, 0, 100 + k);
		fill(g, g->b, 0, 100 + k);
		fail_in = k;
		rounds(g, 3);
		failed += fail_in == 0;
		fail_in = k;
		forks_failed += gw_mm_fork(g->a, &child) == -ENOMEM;
		fail_in = 0;
		verify_all(g, child);
		leave(&child);
		rounds(g, 3);
		assert_int_equal(frame_of(g, g->a, 0), frame_of(g, g->b, 0));
		assert_true(is_filled(g, g->a, 0, 100 + k));
	}
	assert_true(failed >= 3); /* a node, a place, another place */
	assert_true(forks_failed >= 2);
	g->mv->ops.alloc = real_alloc;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, merger_setup, merger_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(equal_pages_become_one),
		TEST(changing_pages_are_left_alone),
		TEST(a_write_separates),
		TEST(a_pinned_page_is_not_merged),
		TEST(only_mergeable_ranges_are_scanned),
		TEST(unmerging_makes_private_copies),
		cmocka_unit_test_setup_teardown(
			sharing_is_bounded, setup_sharing_2, merger_teardown),
		TEST(forks_share_merged_pages),
		TEST(pages_go_with_their_last_entry),
		TEST(locked_ranges_merge),
		TEST(merged_pages_stay_in_memory),
		TEST(pages_of_the_swap_cache_join_only),
		TEST(the_node_follows_its_page),
		TEST(a_pinned_merged_page_stays),
		TEST(entries_may_go_meanwhile),
		TEST(places_follow_their_vmas),
		TEST(walks_lock_each_place),
		TEST(unmerging_waits_for_migration),
		TEST(looking_up_waits_for_migration),
		TEST(refusals),
		TEST(the_end_waits_for_pages_in_use),
		TEST(failed_allocations_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
