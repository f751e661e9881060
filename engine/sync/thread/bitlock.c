/* SPDX-License-Identifier: MIT */
/*
 * bitlock.c - waiting for a lock bit in a word, in hashed queues (FACTS C3 to C7).
 *
 * Idea. A waiter stands on its own stack, in the queue its word's address hashes to. It sets
 * the word's waiters bit; whoever gives the lock back and finds that bit set walks the queue. Flags
 * of the word that are waited for share its waiters bit and queue: a walk is for one bit, and
 * passes by those who wait for another.
 *
 * Invariants
 *   Q1  a waiter is linked, and its word's waiters bit set, before it reads the lock bit; both
 *       under the bucket's lock
 *   Q2  the waiters bit is cleared only under the bucket's lock, when no waiter of the word
 *       is linked, for whichever bit; it may stay set without one, which costs a walk that
 *       finds nothing
 *   Q3  a waker unlinks a waiter before it sets WAKE_WOKEN, and touches neither waiter nor
 *       task after that: a waiter may leave once it has seen WAKE_WOKEN, or once it has
 *       found or made itself unlinked under the bucket's lock
 *   Q4  a DROP waiter touches its word only before drop() (C6)
 *
 * No wake-up is lost. Setting the waiters bit and clearing the lock bit are read-modify-writes
 * of one word, hence ordered. If the lock was cleared first, the waiter reads a clear bit (or a
 * later owner's, whose own unlock comes second). If second, the unlock found the waiters bit
 * and its walk, which needs the bucket's lock, finds the waiter linked (Q1). A walk that
 * stops because the bit is set again leaves waiter and waiters bit to the new owner's
 * unlock (C7). A walk wakes one EXCLUSIVE waiter; that one takes the bit and unlocks
 * later, or finds it taken and queues again, or is interrupted and walks in its turn:
 * in each case somebody still comes for the next.
 *
 * No deadlock: the bucket's lock is a leaf, nothing is waited for under it.
 */
#include <errno.h>
#include <string.h>

#include "engine/sync/sync.h"
#include "engine/sync/thread/futex_internal.h"

struct waiter {
	struct waiter *next, *prev;
	const gw_atomic_u32 *word; /* the key; a waker reaches the word by its own pointer */
	uint32_t bit;		   /* the other half of the key: lock or flag */
	struct gw_task *task;
	enum gw_wait mode;
	bool linked; /* all guarded by the bucket's lock */
};

struct gw_waitq {
	gw_spinlock lock; /* rank LEAF; guards the queue and its waiters' fields */
	struct waiter *first, *last;
} __attribute__((aligned(32)));

/* One wait, as gw_bit_wait() was asked for it. */
struct wait {
	struct gw_waitq *queue;
	gw_waitq_table *table;
	gw_atomic_u32 *word;
	uint32_t lock_bit, waiters_bit;
	bool killable;
	struct waiter waiter;
};

int
gw_waitq_table_init(gw_waitq_table *table, unsigned log2_buckets,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx)
{
	size_t n = (size_t)1 << log2_buckets;

	table->buckets = alloc(ctx, n * sizeof(*table->buckets));
	if (!table->buckets)
		return -ENOMEM;
	table->mask = (unsigned)(n - 1);
	for (size_t i = 0; i < n; i++)
		gw_spin_init(&table->buckets[i].lock, GW_RANK_LEAF);
	return 0;
}

void
gw_waitq_table_destroy(
	gw_waitq_table *table, void (*release)(void *ctx, void *p, size_t bytes), void *ctx)
{
	if (table->buckets)
		release(ctx, table->buckets, (table->mask + (size_t)1) * sizeof(*table->buckets));
	table->buckets = NULL;
}

static struct gw_waitq *
queue_of(const gw_waitq_table *table, const gw_atomic_u32 *word)
{
	/* Fibonacci hashing: words stand at regular distances, the upper half mixes them. */
	uint64_t hash = ((uintptr_t)word >> 2) * UINT64_C(0x9e3779b97f4a7c15);

	return &table->buckets[(unsigned)(hash >> 32) & table->mask];
}

static void
link_last(struct gw_waitq *q, struct waiter *w)
{
	w->next = NULL;
	w->prev = q->last;
	if (q->last)
		q->last->next = w;
	else
		q->first = w;
	q->last = w;
	w->linked = true;
}

/* For one who had its turn and found the bit taken again. */
static void
link_first(struct gw_waitq *q, struct waiter *w)
{
	w->prev = NULL;
	w->next = q->first;
	if (q->first)
		q->first->prev = w;
	else
		q->last = w;
	q->first = w;
	w->linked = true;
}

static void
unlink_waiter(struct gw_waitq *q, struct waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		q->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		q->last = w->prev;
	w->linked = false;
}

static bool
queue_has(const struct gw_waitq *q, const gw_atomic_u32 *word)
{
	for (const struct waiter *w = q->first; w; w = w->next)
		if (w->word == word)
			return true;
	return false;
}

static void
wake_waiter(struct gw_waitq *q, struct waiter *w)
{
	uint32_t *wake = &w->task->wake;

	unlink_waiter(q, w);
	/* release: pairs with the acquire in sleep_once(). The last access to *w (Q3). */
	__atomic_fetch_or(wake, WAKE_WOKEN, __ATOMIC_RELEASE);
	futex_wake(wake);
}

/*
 * The lock bit of `word` was just cleared, or a wake-up was not used: wake in order of arrival
 * all SHARED and DROP waiters and one EXCLUSIVE one, unless the bit is set again.
 */
void
gw_bit_wake(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit, uint32_t waiters_bit)
{
	struct gw_waitq *q = queue_of(table, word);
	bool woke_exclusive = false;
	struct waiter *next;

	gw_spin_lock(&q->lock);
	for (struct waiter *w = q->first; w; w = next) {
		next = w->next;
		if (w->word != word || w->bit != lock_bit ||
			(w->mode == GW_WAIT_EXCLUSIVE && woke_exclusive))
			continue;
		if (gw_u32_load_relaxed(word) & lock_bit)
			break; /* C7 */
		woke_exclusive |= w->mode == GW_WAIT_EXCLUSIVE;
		wake_waiter(q, w);
	}
	if (!queue_has(q, word))
		gw_u32_and_relaxed(word, ~waiters_bit);
	gw_spin_unlock(&q->lock);
}

static bool
wait_interrupted(const struct wait *wait)
{
	return wait->killable && gw_task_interrupted(wait->waiter.task);
}

/*
 * Stand in the queue and look at the bit, in that order (C4, Q1). True, and out of the queue again,
 * if the bit was clear, for EXCLUSIVE then taken. Clears task->wake for the sleep to come.
 */
static bool
queue_and_look(struct wait *wait, bool again)
{
	struct gw_waitq *q = wait->queue;
	struct waiter *w = &wait->waiter;
	uint32_t set = wait->waiters_bit;
	bool clear;

	if (w->mode == GW_WAIT_EXCLUSIVE)
		set |= wait->lock_bit;
	gw_spin_lock(&q->lock);
	if (!w->linked) {
		if (again)
			link_first(q, w);
		else
			link_last(q, w);
	}
	__atomic_store_n(&w->task->wake, 0, __ATOMIC_SEQ_CST);
	/* acquire: pairs with the release of the lock bit in gw_bit_unlock() */
	clear = !(gw_u32_or_acquire(wait->word, set) & wait->lock_bit);
	if (clear) {
		unlink_waiter(q, w);
		if (!queue_has(q, wait->word))
			gw_u32_and_relaxed(wait->word, ~wait->waiters_bit);
	}
	gw_spin_unlock(&q->lock);
	return clear;
}

/* Sleep until anything happens. True if a waker has taken the waiter off the queue. */
static bool
sleep_once(struct wait *wait)
{
	struct gw_task *task = wait->waiter.task;

	if (__atomic_load_n(&task->wake, __ATOMIC_ACQUIRE) == 0)
		futex_wait(&task->wake, 0);
	return __atomic_load_n(&task->wake, __ATOMIC_ACQUIRE) & WAKE_WOKEN;
}

/* Leave the queue for good. True if a waker came first: then its wake-up was this waiter's. */
static bool
leave_queue(struct wait *wait)
{
	struct gw_waitq *q = wait->queue;
	bool woken;

	gw_spin_lock(&q->lock);
	woken = !wait->waiter.linked;
	if (!woken)
		unlink_waiter(q, &wait->waiter);
	gw_spin_unlock(&q->lock);
	return woken;
}

/* EXCLUSIVE and SHARED: until the bit is taken, or seen clear. */
static int
wait_until_clear(struct wait *wait)
{
	bool again = false;

	while (!queue_and_look(wait, again)) {
		bool woken = !wait_interrupted(wait) && sleep_once(wait);

		if (wait_interrupted(wait)) {
			/* A wake-up not used is handed on: nobody else would wake the next. */
			if ((woken || leave_queue(wait)) && wait->waiter.mode == GW_WAIT_EXCLUSIVE)
				gw_bit_wake(
					wait->table, wait->word, wait->lock_bit, wait->waiters_bit);
			return -EINTR;
		}
		again = true;
	}
	return 0;
}

/* What a task that waits for a lock bit must not hold (S3, S4). */
static void
check_may_wait(void)
{
	gw_might_sleep();
#if GW_CHECKS
	gw_lock_check(GW_RANK_PAGE);
#endif
}

/* DROP: one look, one sleep (C4 to C6). */
static int
wait_dropped(struct wait *wait, void (*drop)(void *arg), void *arg)
{
	bool clear = queue_and_look(wait, false);

	drop(arg); /* from here on the word may be anybody's */
	check_may_wait();
	if (!clear && (wait_interrupted(wait) || !sleep_once(wait)))
		leave_queue(wait);
	return wait_interrupted(wait) ? -EINTR : 0;
}

static struct wait
wait_for(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t bit, uint32_t waiters_bit)
{
	struct gw_task *task = gw_current();

	GW_BUG_ON(NULL, !task);
	return (struct wait){
		.queue = queue_of(table, word),
		.table = table,
		.word = word,
		.lock_bit = bit,
		.waiters_bit = waiters_bit,
		.waiter = {.word = word, .bit = bit, .task = task},
	};
}

int
gw_bit_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit, uint32_t waiters_bit,
	enum gw_wait mode, bool killable, void (*drop)(void *arg), void *arg)
{
	struct wait wait = wait_for(table, word, lock_bit, waiters_bit);
	int err;

	wait.waiter.mode = mode;
	wait.killable = killable;
	if (mode == GW_WAIT_DROP)
		return wait_dropped(&wait, drop, arg);
	check_may_wait();
	if (wait_interrupted(&wait))
		return -EINTR;
	err = wait_until_clear(&wait);
#if GW_CHECKS
	if (!err && mode == GW_WAIT_EXCLUSIVE)
		gw_lock_note(GW_RANK_PAGE, false);
#endif
	return err;
}

void
gw_flag_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t flag, uint32_t waiters_bit)
{
	struct wait wait = wait_for(table, word, flag, waiters_bit);

	gw_might_sleep();
	wait.waiter.mode = GW_WAIT_SHARED;
	(void)wait_until_clear(&wait); /* nothing interrupts it */
}
