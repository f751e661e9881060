/* SPDX-License-Identifier: MIT */
/*
 * rank.c - the checks of lock order, for threads and for fibers (GW_CHECKS).
 *
 * Idea. A task counts the locks it holds by rank, and compares before it waits: an inversion is
 * reported where it stands instead of being a deadlock once a month.
 *
 * Checked: a lock is waited for only while every lock held is of a lower rank, or of the same
 * where two page-table locks nest, or an anon_vma's lock in a mapping's. A trylock cannot deadlock:
 * it counts as held but is not compared (the second page lock, PAGE).
 */
#include "engine/sync/sync.h"

#if GW_CHECKS
void
gw_lock_check(enum gw_lock_rank rank)
{
	const struct gw_task *task = gw_current();

	if (!task)
		return;
	if (task->held[rank] && rank != GW_RANK_PAGETABLE && rank != GW_RANK_RMAP)
		gw_sync_bug("lock order: a second lock of one rank");
	for (unsigned r = rank + 1; r < GW_RANK_NR; r++)
		if (task->held[r])
			gw_sync_bug("lock order: a lock of higher rank is held");
}

void
gw_lock_note(enum gw_lock_rank rank, bool spins)
{
	struct gw_task *task = gw_current();

	if (!task)
		return;
	task->held[rank]++;
	if (spins)
		task->n_spinlocks++;
}

void
gw_lock_forget(enum gw_lock_rank rank, bool spins)
{
	struct gw_task *task = gw_current();

	/* A page's lock bit may also have been set with its other flags, when nobody could see it.
	 */
	if (!task || (rank == GW_RANK_PAGE && task->held[rank] == 0))
		return;
	if (task->held[rank] == 0 || (spins && task->n_spinlocks == 0)) {
		gw_sync_bug("a lock was given back that the task did not hold");
		return;
	}
	task->held[rank]--;
	if (spins)
		task->n_spinlocks--;
}

void
gw_might_sleep(void)
{
	const struct gw_task *task = gw_current();

	if (!task)
		return;
	if (task->n_spinlocks)
		gw_sync_bug("sleeping with a spinlock held");
	if (task->rcu_depth)
		gw_sync_bug("sleeping inside an RCU section");
}
#endif
