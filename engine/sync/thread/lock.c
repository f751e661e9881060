/* SPDX-License-Identifier: MIT */
/*
 * lock.c - waiting for spinlocks, and the sleeping locks.
 *
 * Idea. The mutex is glibc's; the read-write lock is rwlock.c's. Builds with GW_CHECKS ask rank.c
 * before they wait.
 */
#include "engine/sync/sync.h"

#if !GW_CHECKS
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
