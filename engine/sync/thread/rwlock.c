/* SPDX-License-Identifier: MIT */
/*
 * rwlock.c - waiting for a read-write lock.
 *
 * Idea. The lock is one word: how many read, whether one writes, whether a writer waits (PENDING),
 * whether anybody sleeps (SLEEPERS). Uncontended, it is taken and given back by one exchange of the
 * word each, inline (sync_impl.h). Who cannot have it sets SLEEPERS, and PENDING if it would write,
 * and sleeps while the word stays as it left it.
 *
 * Why nobody sleeps for ever
 *   R1  who frees the lock (the writer, or the last reader) clears SLEEPERS in the same exchange
 *       and then wakes all, who look again. It touches the word no more: its memory may be gone
 *   R2  a sleeper's word has SLEEPERS and something that keeps it out. That is the lock held, or,
 *       to a reader, PENDING: set by a writer that sleeps, or is awake and will take the lock or
 *       sleep
 *   R3  the writer that takes the lock clears PENDING; others that still wait set it again, so
 *       that readers do not starve writers, nor writers that are gone keep readers out
 */
#include "engine/sync/sync.h"
#include "engine/sync/thread/futex_internal.h"

/* Sleep until the lock may be had; `flags` say who waits. */
static void
sleep_on(gw_rwlock *l, uint32_t blockers, uint32_t flags)
{
	uint32_t word = gw_u32_load_relaxed(&l->word);

	while (word & blockers && (word & flags) != flags) {
		if (gw_u32_cas_relaxed(&l->word, &word, word | flags))
			word |= flags;
	}
	if (word & blockers)
		futex_wait((uint32_t *)(void *)&l->word, word);
}

void
gw_rw_read_lock_slow(gw_rwlock *l)
{
	do {
		sleep_on(l, GW_RW_WRITER | GW_RW_PENDING, GW_RW_SLEEPERS);
	} while (!gw_rw_read_trylock(l));
}

void
gw_rw_write_lock_slow(gw_rwlock *l)
{
	do {
		sleep_on(l, ~(GW_RW_PENDING | GW_RW_SLEEPERS), GW_RW_PENDING | GW_RW_SLEEPERS);
	} while (!gw_rw_write_trylock(l));
}

void
gw_rw_wake(gw_rwlock *l)
{
	futex_wake((uint32_t *)(void *)&l->word);
}
