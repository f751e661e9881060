/* SPDX-License-Identifier: MIT */
/*
 * pagelock.c - the page lock and the three ways to wait for it (FACTS 1.3).
 *
 * Idea. One bit of a page's flags word is the lock, another says that somebody waits; waiters
 * stand in the machine's hashed queues, keyed by the word's address.
 *
 * Invariants
 *   L1  every function resolves a tail to its head first: a page has one lock (C10)
 *   L2  a page is unlocked by gw_page_unlock() alone, which wakes; so a DROP waiter, who holds no
 *       reference, is woken whatever becomes of the page (C7, C9)
 *   L3  after its reference is dropped a DROP waiter does not look at the page again (C6)
 *
 * The head is stable because the caller holds a reference: a split freezes the references first.
 */
#include "engine/phys/phys.h"

static gw_atomic_u32 *
lock_word(struct gw_machine *m, gw_pfn_t pfn)
{
	return &gw_page(m, gw_page_head(m, pfn))->flags;
}

bool
gw_page_trylock(struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_bit_trylock(lock_word(m, pfn), GW_PG_LOCKED);
}

static int
lock_page(struct gw_machine *m, gw_pfn_t pfn, bool killable)
{
	gw_atomic_u32 *word = lock_word(m, pfn);

	gw_might_sleep();
	if (gw_bit_trylock(word, GW_PG_LOCKED))
		return 0;
	return gw_bit_wait(&m->page_waits, word, GW_PG_LOCKED, GW_PG_WAITERS, GW_WAIT_EXCLUSIVE,
		killable, NULL, NULL);
}

void
gw_page_lock(struct gw_machine *m, gw_pfn_t pfn)
{
	(void)lock_page(m, pfn, false); /* nothing interrupts it: it cannot fail */
}

int
gw_page_lock_killable(struct gw_machine *m, gw_pfn_t pfn)
{
	return lock_page(m, pfn, true);
}

void
gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_bit_unlock(&m->page_waits, lock_word(m, pfn), GW_PG_LOCKED, GW_PG_WAITERS);
}

int
gw_page_wait_locked(struct gw_machine *m, gw_pfn_t pfn, bool killable)
{
	gw_might_sleep();
	return gw_bit_wait(&m->page_waits, lock_word(m, pfn), GW_PG_LOCKED, GW_PG_WAITERS,
		GW_WAIT_SHARED, killable, NULL, NULL);
}

struct held_page {
	struct gw_machine *m;
	gw_pfn_t pfn;
};

static void
drop_page(void *arg)
{
	const struct held_page *held = arg;

	gw_put_page(held->m, held->pfn);
}

int
gw_page_put_and_wait_locked(struct gw_machine *m, gw_pfn_t pfn, bool killable)
{
	struct held_page held = {.m = m, .pfn = gw_page_head(m, pfn)};
	int err;

	gw_might_sleep();
	err = gw_bit_wait(&m->page_waits, &gw_page(m, held.pfn)->flags, GW_PG_LOCKED, GW_PG_WAITERS,
		GW_WAIT_DROP, killable, drop_page, &held);
	if (!err && !gw_fix(m, GW_FIX_NO_TOUCH_AFTER_DROP)) /* L3 */
		err = gw_page_wait_locked(m, pfn, killable);
	return err;
}
