/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_races.c - what happens to an address space while a page of it is under migration
 * (FACTS 1.3 C, 1.4 R1 to R10, R15): one interleaving each, forced by the fixture's hooks.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "anon_fixture.h"

#define MARKS (GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY)

/* ---- the page goes ---- */

/* R1, A1: the address space ends between isolation and migration. The page counts as moved, no new
 * page was asked for, and its anon_vma, of freed memory by now, was not touched. */
static void
exit_before_migration(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	isolate(w, w->page);
	gw_mm_put(w->mm);
	w->mm = NULL;
	gw_rcu_barrier();
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->stats.succeeded, 1);
	assert_int_equal(w->gets, 0);
	assert_int_equal(w->unmaps, 0);
	assert_true(is_free(w, w->page));
}

/* The same, and the page is put back instead of migrated. */
static void
exit_before_putback(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	isolate(w, w->page);
	gw_mm_put(w->mm);
	w->mm = NULL;
	gw_putback_movable_pages(w->m, &w->list);
	assert_true(is_free(w, w->page));
}

/* A10: a page that nobody maps but somebody holds has no anon_vma to trust: it stays until it is
 * let go. */
static void
unmapped_pinned_page_stays(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	isolate(w, w->page);
	gw_get_page(w->m, w->page);
	assert_int_equal(gw_munmap(w->mm, w->addr, GW_PAGE_SIZE), 0);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->unmaps, 0);
	assert_int_equal(w->puts, w->gets);
	gw_put_page(w->m, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_true(is_free(w, w->page));
}

static void
exit_now(struct world *w)
{
	gw_mm_put(w->mm);
	w->mm = NULL;
	gw_rcu_barrier();
}

/* R2: the address space ends while its page is under migration: the anon_vma is held, nothing is
 * restored, both frames are free. */
static void
exit_during_migration(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_flush = exit_now;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->entries_made, 1);
	assert_int_equal(w->entries_removed, 0);
	assert_true(is_free(w, w->page));
	assert_true(is_free(w, w->last_new));
}

/* The same with the copy made already. */
static void
exit_during_copy(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_copy = exit_now;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->entries_removed, 0);
	assert_true(is_free(w, w->page));
	assert_true(is_free(w, w->last_new));
}

static void
give_up_and_write(struct world *w)
{
	uint64_t flushed = gw_u64_load_relaxed(&w->f->flushed_ranges);

	assert_int_equal(gw_madvise(w->mm, w->addr, GW_PAGE_SIZE, GW_MADV_DONTNEED), 0);
	/* CPUs may have the page's translation still. */
	assert_true(gw_u64_load_relaxed(&w->f->flushed_ranges) > flushed);
	write_word(w, w->mm, w->addr, 6);
}

/* R15: a migration entry that was zapped does not come back, and what was put in its place stays.
 */
static void
zapped_entry_stays_zapped(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_flush = give_up_and_write;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->entries_removed, 0);
	assert_int_equal(read_word(w, w->mm, w->addr), 6);
	assert_int_equal(gw_mm_pages(w->mm), 1);
	assert_int_equal(maps(w, page_at(w->mm, w->addr)), 1);
}

/* ---- the page stays, its VMA changes ---- */

static void
cut_below(struct world *w)
{
	assert_int_equal(gw_munmap(w->mm, w->addr - 3 * GW_PAGE_SIZE, 2 * GW_PAGE_SIZE), 0);
	assert_int_equal(gw_munmap(w->mm, w->addr - GW_PAGE_SIZE, GW_PAGE_SIZE), 0);
}

static void
cut_above(struct world *w)
{
	assert_int_equal(gw_munmap(w->mm, w->addr + GW_PAGE_SIZE, 2 * GW_PAGE_SIZE), 0);
}

static void
protect(struct world *w)
{
	assert_int_equal(gw_mprotect(w->mm, w->addr, GW_PAGE_SIZE, GW_PROT_READ), 0);
}

/* I1, I2: one entry was made and removed again: w->addr maps the new page. */
static void
assert_restored(struct world *w, void (*change)(struct world *w), uint64_t flags)
{
	new_page(w, 5);
	w->at_flush = change;
	assert_entry(w->mm, w->addr, w->page, GW_PTE_WRITE | MARKS);
	move(w);
	assert_int_equal(w->entries_made, 1);
	assert_int_equal(w->entries_removed, 1);
	assert_entry(w->mm, w->addr, w->last_new, flags);
	assert_int_equal(read_word(w, w->mm, w->addr), 5);
}

/* R5: start and page offset of the VMA change while the page is away. */
static void
vma_cut_below(void **state)
{
	assert_restored(*state, cut_below, GW_PTE_WRITE | MARKS);
}

static void
vma_cut_above(void **state)
{
	assert_restored(*state, cut_above, GW_PTE_WRITE | MARKS);
}

/* R5: the VMA is split and what was writable is not any more: nor is the entry that comes back. */
static void
vma_protected(void **state)
{
	struct world *w = *state;

	assert_restored(w, protect, MARKS);
	assert_int_equal(gw_fault(w->mm, w->addr, GW_ACCESS_WRITE), -EFAULT);
}

static void
grow(struct world *w)
{
	write_word(w, w->mm, w->addr - 3 * GW_PAGE_SIZE, 7);
}

/* R6: a stack grows down, which changes start and page offset, while one of its pages is away. */
static void
stack_grows(void **state)
{
	struct world *w = *state;
	gw_vaddr_t top = (gw_vaddr_t)1 << 40;

	assert_int_equal(
		gw_mmap(w->mm, top - GW_PAGE_SIZE, GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE,
			GW_MAP_FIXED | GW_MAP_GROWSDOWN, &w->addr),
		0);
	assert_restored(w, grow, GW_PTE_WRITE | MARKS);
	assert_int_equal(read_word(w, w->mm, top - 4 * GW_PAGE_SIZE), 7);
}

/* R7: a page of exec's temporary stack stays where it is, mapped as it was, in every pass; after
 * the stack has been shifted it moves like any other. */
static void
temporary_stack_stays(void **state)
{
	struct world *w = *state;
	gw_vaddr_t top = (gw_vaddr_t)1 << 40;

	assert_int_equal(gw_exec_stack(w->mm, top, 4 * GW_PAGE_SIZE, &w->addr), 0);
	new_page(w, 5);
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->stats.passes, 10);
	assert_int_equal(w->entries_made, 0);
	assert_int_equal(w->puts, w->gets);
	assert_entry(w->mm, w->addr, w->page, GW_PTE_WRITE | MARKS);
	gw_putback_movable_pages(w->m, &w->list);

	assert_int_equal(gw_exec_shift(w->mm, w->addr, 16 * GW_PAGE_SIZE), 0);
	w->addr -= 16 * GW_PAGE_SIZE;
	assert_int_equal(page_at(w->mm, w->addr), w->page);
	w->stats = (struct gw_migrate_stats){0};
	move(w);
	assert_int_equal(read_word(w, w->mm, w->addr), 5);
}

/* R7: a page that another address space maps, too, is restored there when the temporary stack is
 * met. */
static void
temporary_stack_of_a_shared_page(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	assert_int_equal(gw_mm_fork(w->mm, &w->other), 0);
	gw_vma_find(w->other, w->addr)->flags |= GW_VM_TEMP_STACK;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_entry(w->mm, w->addr, w->page, MARKS);
	assert_int_equal(page_at(w->other, w->addr), w->page);
	assert_int_equal(maps(w, w->page), 2);
	assert_int_equal(refs(w, w->page), 3);
}

/* ---- entries that are copied and moved ---- */

static void
fork_now(struct world *w)
{
	assert_int_equal(gw_mm_fork(w->mm, &w->other), 0);
}

/* R8: fork copies a migration entry, which becomes a read entry on both sides: both are turned
 * back, and whoever writes first gets a page of its own. */
static void
fork_during_migration(void **state)
{
	struct world *w = *state;
	gw_pfn_t new;

	new_page(w, 5);
	w->at_flush = fork_now;
	new = move(w);
	assert_int_equal(w->entries_made, 1);
	assert_int_equal(w->entries_removed, 2);
	assert_int_equal(page_at(w->mm, w->addr), new);
	assert_int_equal(page_at(w->other, w->addr), new);
	assert_int_equal(maps(w, new), 2);
	assert_false(entry_at(w->mm, w->addr) & GW_PTE_WRITE);
	assert_false(entry_at(w->other, w->addr) & GW_PTE_WRITE);
	write_word(w, w->mm, w->addr, 6);
	assert_int_equal(read_word(w, w->other, w->addr), 5);
}

static void
pin_and_fork(struct world *w)
{
	if (w->other)
		return;
	gw_get_page(w->m, w->page);
	fork_now(w);
}

/* R8 and I5: the same where the migration fails: both map the old page. */
static void
fork_during_failed_migration(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_flush = pin_and_fork;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(page_at(w->mm, w->addr), w->page);
	assert_int_equal(page_at(w->other, w->addr), w->page);
	assert_int_equal(maps(w, w->page), 2);
	gw_put_page(w->m, w->page);
}

static void
move_mapping(struct world *w)
{
	gw_vaddr_t to;

	/* There are pages behind it: it has to move in order to grow. */
	assert_int_equal(gw_mremap(w->mm, w->addr, GW_PAGE_SIZE, 4 * GW_PAGE_SIZE, &to), 0);
	assert_int_not_equal(to, w->addr);
	assert_int_equal(entry_at(w->mm, w->addr), 0);
	w->addr = to;
}

/* R9: mremap carries a migration entry to another address: it is found there. */
static void
mremap_during_migration(void **state)
{
	assert_restored(*state, move_mapping, GW_PTE_WRITE | MARKS);
}

/* ---- CPUs that mark entries ---- */

struct marker {
	struct world *w;
	gw_atomic_u32 stop, marked, lost;
	pthread_t thread;
};

static void
clear_marks(struct world *w)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(w->mm, w->addr, &lock);

	gw_u64_and_relaxed(word, ~(uint64_t)MARKS);
	gw_spin_unlock(lock);
}

static void *
mark_again_and_again(void *arg)
{
	struct marker *marker = arg;
	struct world *w = marker->w;
	struct gw_task task;
	bool writable;
	gw_pfn_t pfn;

	if (gw_task_attach(&task, w->m, 0))
		abort();
	while (!gw_u32_load_acquire(&marker->stop)) {
		clear_marks(w);
		if (gw_mm_walk(w->mm, w->addr, GW_ACCESS_WRITE, &pfn, &writable))
			continue;
		gw_u32_add_relaxed(&marker->marked, 1);
		if ((entry_at(w->mm, w->addr) & MARKS) != MARKS)
			gw_u32_add_relaxed(&marker->lost, 1);
	}
	gw_task_detach(&task);
	return NULL;
}

/* I5: a mark that a CPU sets while the entry is being replaced is in the migration entry, or the
 * CPU found no entry to mark. */
static void
no_mark_is_lost(void **state)
{
	struct world *w = *state;
	struct marker marker = {.w = w};

	new_page(w, 5);
	assert_int_equal(pthread_create(&marker.thread, NULL, mark_again_and_again, &marker), 0);
	for (unsigned i = 0; i < 20000 || !gw_u32_load_relaxed(&marker.marked); i++) {
		w->stats = (struct gw_migrate_stats){0};
		w->page = move(w);
	}
	gw_u32_store_release(&marker.stop, 1);
	assert_int_equal(pthread_join(marker.thread, NULL), 0);
	assert_int_equal(gw_u32_load_relaxed(&marker.lost), 0);
}

/* ---- waiting (C) ---- */

static void
until_all_hold(struct world *w)
{
	while (refs(w, w->page) < 1 + FAULTERS)
		sched_yield();
}

static void
until_somebody_waits(struct world *w)
{
	while (!(gw_page_flags(gw_page(w->m, w->page)) & GW_PG_WAITERS) || refs(w, w->page) > 1)
		sched_yield();
}

/* C1: tasks that keep a reference while they wait make every pass of the migration fail. */
static void
holding_waiters_stop_migration(void **state)
{
	struct world *w = *state;
	struct faulters f = {0};

	gw_machine_set_wait_era(w->m, GW_ERA_HOLD);
	new_page(w, 5);
	isolate(w, w->page);
	w->at_flush = until_all_hold;
	start_faulters(&f, w, FAULTERS);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 1);
	assert_int_equal(w->stats.passes, 10);
	stop_faulters(&f);
	assert_int_equal(page_at(w->mm, w->addr), w->page);
	gw_putback_movable_pages(w->m, &w->list);
	assert_int_equal(refs(w, w->page), 1);
}

static void
wait_and_move(struct world *w, enum gw_wait_era era, unsigned n)
{
	struct faulters f = {0};

	gw_machine_set_wait_era(w->m, era);
	new_page(w, 5);
	isolate(w, w->page);
	w->at_flush = until_somebody_waits;
	start_faulters(&f, w, n);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->stats.passes, 1);
	stop_faulters(&f);
	assert_int_equal(page_at(w->mm, w->addr), w->last_new);
	assert_int_equal(refs(w, w->last_new), 1);
}

/* C4, C8, R10: a task that drops its reference before it sleeps does not: the first pass succeeds,
 * the unlocking wakes it, and it finds the new page. */
static void
dropping_waiter_lets_it_pass(void **state)
{
	wait_and_move(*state, GW_ERA_DROP, 1);
}

/* C1 to C6 of today: tasks that never take one do not either, however many there are. */
static void
waiters_without_reference_let_it_pass(void **state)
{
	wait_and_move(*state, GW_ERA_NONE, FAULTERS);
}

static void
fault_once(struct world *w)
{
	assert_int_equal(refs(w, w->page), 0);
	assert_true(gw_pte_is_migration(entry_at(w->mm, w->addr)));
	assert_int_equal(gw_fault(w->mm, w->addr, GW_ACCESS_READ), 0);
	assert_true(gw_pte_is_migration(entry_at(w->mm, w->addr)));
}

/* C8: past the point of no return there is no reference to be had: the fault returns at once, to
 * come again, and does not disturb. */
static void
frozen_page_is_not_waited_for(void **state)
{
	static const enum gw_wait_era eras[] = {GW_ERA_HOLD, GW_ERA_DROP};
	struct world *w = *state;

	new_page(w, 5);
	w->at_copy = fault_once;
	for (unsigned i = 0; i < 2; i++) {
		gw_machine_set_wait_era(w->m, eras[i]);
		w->stats = (struct gw_migrate_stats){0};
		w->page = move(w);
	}
}

static void
fault_interrupted(struct world *w)
{
	gw_task_interrupt(gw_current());
	assert_int_equal(gw_fault(w->mm, w->addr, GW_ACCESS_READ), -EINTR);
	/* mmap_lock and leaf lock are free again */
	assert_true(gw_rw_write_trylock(&w->mm->mmap_lock));
	gw_rw_write_unlock(&w->mm->mmap_lock);
	assert_true(gw_pte_is_migration(entry_at(w->mm, w->addr)));
	assert_int_equal(refs(w, w->page), 1);
}

/* C5: an interrupted task does not wait, in any era, and leaves no reference behind. */
static void
interrupted_wait_ends(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_flush = fault_interrupted;
	for (int era = GW_ERA_HOLD; era <= GW_ERA_NONE; era++) {
		gw_machine_set_wait_era(w->m, (enum gw_wait_era)era);
		w->stats = (struct gw_migrate_stats){0};
		w->page = move(w);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(exit_before_migration),
		T(exit_before_putback),
		T(unmapped_pinned_page_stays),
		T(exit_during_migration),
		T(exit_during_copy),
		T(zapped_entry_stays_zapped),
		T(vma_cut_below),
		T(vma_cut_above),
		T(vma_protected),
		T(stack_grows),
		T(temporary_stack_stays),
		T(temporary_stack_of_a_shared_page),
		T(fork_during_migration),
		T(fork_during_failed_migration),
		T(mremap_during_migration),
		T(no_mark_is_lost),
		T(holding_waiters_stop_migration),
		T(dropping_waiter_lets_it_pass),
		T(waiters_without_reference_let_it_pass),
		T(frozen_page_is_not_waited_for),
		T(interrupted_wait_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
