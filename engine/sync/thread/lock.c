/* SPDX-License-Identifier: MIT */
/*
 * lock.c - waiting for spinlocks, the sleeping locks, and the checks of both.
 *
 * Idea. The mutex is glibc's; the read-write lock is rwlock.c's. The checks (GW_CHECKS) compare
 * before they wait, so an inversion is reported where it stands instead of being a deadlock once a
 * month.
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

#else
#define gw_lock_check(rank)	    ((void)(rank))
#define gw_lock_note(rank, spins)   ((void)(rank))
#define gw_lock_forget(rank, spins) ((void)(rank))
#endif

void
gw_spin_lock_slow(gw_spinlock *l)
{
	do {
		while (gw_u32_load_relaxed(&l->held))
			gw_relax();
	} while (atomic_exchange_explicit(&l->held.v, 1, memory_order_acquire));
}

void
gw_mutex_init(gw_mutex *l, enum gw_lock_rank rank)
{
	pthread_mutex_init(&l->mutex, NULL); /* without attributes it cannot fail */
	l->rank = rank;
}

void
gw_mutex_lock(gw_mutex *l)
{
	gw_might_sleep();
	gw_lock_check(l->rank);
	pthread_mutex_lock(&l->mutex);
	gw_lock_note(l->rank, false);
}

bool
gw_mutex_trylock(gw_mutex *l)
{
	if (pthread_mutex_trylock(&l->mutex))
		return false;
	gw_lock_note(l->rank, false);
	return true;
}

void
gw_mutex_unlock(gw_mutex *l)
{
	gw_lock_forget(l->rank, false);
	pthread_mutex_unlock(&l->mutex);
}
