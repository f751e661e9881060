/* SPDX-License-Identifier: MIT */
/*
 * bitlock.c - waiting for a lock bit in a word, in a queue (FACTS C3 to C7).
 *
 * Idea. As thread/bitlock.c, with what that does under a queue's lock being one step: standing in
 * the queue and looking at the bit; a walk over the queue. Between clearing the bit and the
 * walk others may run.
 */
#include <errno.h>

#include "engine/sync/sync.h"

#define WOKEN  1u /* task->wake: a waker has taken the waiter off the queue */
#define KICKED 2u /* gw_task_interrupt() */

struct gw_x_waiter {
	struct gw_x_waiter *next;
	const gw_atomic_u32 *word; /* the key, with bit: lock or flag */
	uint32_t bit;
	struct gw_task *task;
	enum gw_wait mode;
	bool linked;
};

/* One wait, as gw_bit_wait() was asked for it. */
struct wait {
	gw_waitq_table *table;
	gw_atomic_u32 *word;
	uint32_t lock_bit, waiters_bit;
	bool killable;
	const char *func;
	int line;
	struct gw_x_waiter waiter;
};

int
gw_waitq_table_init(gw_waitq_table *table, unsigned log2_buckets,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx)
{
	(void)log2_buckets;
	(void)alloc;
	(void)ctx;
	table->first = table->last = NULL;
	return 0;
}

void
gw_waitq_table_destroy(
	gw_waitq_table *table, void (*release)(void *ctx, void *p, size_t bytes), void *ctx)
{
	(void)table;
	(void)release;
	(void)ctx;
}

/* ---- the queue ---- */

static void
link_waiter(gw_waitq_table *table, struct gw_x_waiter *w, bool first)
{
	if (first) {
		w->next = table->first;
		table->first = w;
		if (!table->last)
			table->last = w;
	} else {
		w->next = NULL;
		if (table->last)
			table->last->next = w;
		else
			table->first = w;
		table->last = w;
	}
	w->linked = true;
}

static void
unlink_waiter(gw_waitq_table *table, struct gw_x_waiter *w)
{
	struct gw_x_waiter *prev = NULL;

	for (struct gw_x_waiter *i = table->first; i != w; i = i->next)
		prev = i;
	if (prev)
		prev->next = w->next;
	else
		table->first = w->next;
	if (table->last == w)
		table->last = prev;
	w->linked = false;
}

static bool
queue_has(const gw_waitq_table *table, const gw_atomic_u32 *word)
{
	for (const struct gw_x_waiter *w = table->first; w; w = w->next)
		if (w->word == word)
			return true;
	return false;
}

static void
wake_waiter(gw_waitq_table *table, struct gw_x_waiter *w)
{
	unlink_waiter(table, w);
	gw_sched_access(&w->task->wake, sizeof(w->task->wake), GW_CHANGES);
	w->task->wake |= WOKEN;
}

void
gw_x_bit_wake(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit, uint32_t waiters_bit,
	const char *func, int line)
{
	bool woke_exclusive = false;
	struct gw_x_waiter *next;
	unsigned n = 0;

	gw_sched_point("wake", word, func, line);
	gw_sched_access(&word->v, sizeof(word->v), GW_CHANGES);
	for (struct gw_x_waiter *w = table->first; w; w = next) {
		next = w->next;
		if (w->word != word || w->bit != lock_bit ||
			(w->mode == GW_WAIT_EXCLUSIVE && woke_exclusive))
			continue;
		if (word->v & lock_bit)
			break; /* C7 */
		woke_exclusive |= w->mode == GW_WAIT_EXCLUSIVE;
		wake_waiter(table, w);
		n++;
	}
	if (!queue_has(table, word))
		word->v &= ~waiters_bit;
	GW_SCHED_DETAIL("%u woken", n);
}

/* ---- waiting ---- */

static bool
wait_interrupted(const struct wait *wait)
{
	const struct gw_task *task = wait->waiter.task;

	if (!wait->killable)
		return false;
	gw_sched_access(&task->interrupted, sizeof(task->interrupted), GW_SEES);
	return task->interrupted != 0;
}

/* Stand in the queue and look at the bit (C4). True, and out of the queue again, if the bit was
 * clear, for EXCLUSIVE then taken. */
static bool
queue_and_look(struct wait *wait, bool again)
{
	struct gw_x_waiter *w = &wait->waiter;
	gw_atomic_u32 *word = wait->word;

	gw_sched_point("wait_bit", word, wait->func, wait->line);
	w->task->wake = 0;
	if (word->v & wait->lock_bit) {
		gw_sched_access(&word->v, sizeof(word->v),
			word->v & wait->waiters_bit ? GW_SEES : GW_CHANGES);
		word->v |= wait->waiters_bit;
		if (!w->linked)
			link_waiter(wait->table, w, again);
		GW_SCHED_DETAIL("queued");
		return false;
	}
	if (w->linked)
		unlink_waiter(wait->table, w);
	GW_SCHED_DETAIL("clear");
	if (w->mode != GW_WAIT_EXCLUSIVE) {
		gw_sched_access(&word->v, sizeof(word->v), GW_SEES);
		return true;
	}
	gw_sched_access(&word->v, sizeof(word->v), GW_CHANGES | GW_TAKES);
	word->v |= wait->lock_bit;
	return true;
}

static bool
can_wake(void *arg)
{
	const struct wait *wait = arg;
	const struct gw_task *task = wait->waiter.task;

	return task->wake != 0 || (wait->killable && task->interrupted);
}

/* The bit that it waits for is clear. A DROP waiter's word may be anything by now: it must have
 * been woken by whoever made it so (C7). */
static bool
is_missed(void *arg)
{
	const struct wait *wait = arg;

	return !(wait->word->v & wait->lock_bit);
}

/* Sleep until anything happens. True if a waker has taken the waiter off the queue. */
static bool
sleep_once(struct wait *wait)
{
	uint32_t *word = &wait->waiter.task->wake;

	gw_sched_point_op(&(struct gw_sched_op){
		.name = "sleep",
		.object = wait->word,
		.func = wait->func,
		.line = wait->line,
		.ready = can_wake,
		.missed = is_missed,
		.arg = wait,
	});
	gw_sched_access(word, sizeof(*word), GW_SEES | GW_WAITED);
	GW_SCHED_DETAIL(*word & WOKEN ? "woken" : "interrupted");
	return *word & WOKEN;
}

/* Leave the queue for good. True if a waker came first: then its wake-up was this waiter's. */
static bool
leave_queue(struct wait *wait)
{
	bool woken;

	gw_sched_point("leave_queue", &wait->waiter.task->wake, wait->func, wait->line);
	gw_sched_access(&wait->waiter.task->wake, sizeof(wait->waiter.task->wake), GW_CHANGES);
	woken = !wait->waiter.linked;
	if (!woken)
		unlink_waiter(wait->table, &wait->waiter);
	return woken;
}

/* EXCLUSIVE and SHARED: until the bit is taken, or seen clear. */
static int
wait_until_clear(struct wait *wait)
{
	bool again = false;

	while (!queue_and_look(wait, again)) {
		bool woken = sleep_once(wait);

		if (wait_interrupted(wait)) {
			/* A wake-up not used is handed on: nobody else would wake the next. */
			if ((woken || leave_queue(wait)) && wait->waiter.mode == GW_WAIT_EXCLUSIVE)
				gw_x_bit_wake(wait->table, wait->word, wait->lock_bit,
					wait->waiters_bit, wait->func, wait->line);
			return -EINTR;
		}
		again = true;
	}
	return 0;
}

static void
check_may_wait(void)
{
	gw_might_sleep();
	gw_lock_check(GW_RANK_PAGE);
}

/* DROP: one look, one sleep (C4 to C6). */
static int
wait_dropped(struct wait *wait, void (*drop)(void *arg), void *arg)
{
	bool clear = queue_and_look(wait, false);

	drop(arg); /* from here on the word may be anybody's */
	check_may_wait();
	if (!clear && !sleep_once(wait))
		leave_queue(wait);
	return wait_interrupted(wait) ? -EINTR : 0;
}

static struct wait
wait_for(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t bit, uint32_t waiters_bit)
{
	GW_BUG_ON(NULL, !gw_current());
	return (struct wait){
		.table = table,
		.word = word,
		.lock_bit = bit,
		.waiters_bit = waiters_bit,
		.waiter = {.word = word, .bit = bit, .task = gw_current()},
	};
}

int
gw_x_bit_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit, uint32_t waiters_bit,
	enum gw_wait mode, bool killable, void (*drop)(void *arg), void *arg, const char *func,
	int line)
{
	struct wait wait = wait_for(table, word, lock_bit, waiters_bit);
	int err;

	wait.killable = killable;
	wait.func = func;
	wait.line = line;
	wait.waiter.mode = mode;
	if (mode == GW_WAIT_DROP)
		return wait_dropped(&wait, drop, arg);
	check_may_wait();
	if (wait_interrupted(&wait))
		return -EINTR;
	err = wait_until_clear(&wait);
	if (!err && mode == GW_WAIT_EXCLUSIVE)
		gw_lock_note(GW_RANK_PAGE, false);
	return err;
}

void
gw_x_flag_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t flag, uint32_t waiters_bit,
	const char *func, int line)
{
	struct wait wait = wait_for(table, word, flag, waiters_bit);

	gw_might_sleep();
	wait.func = func;
	wait.line = line;
	wait.waiter.mode = GW_WAIT_SHARED;
	(void)wait_until_clear(&wait); /* nothing interrupts it */
}

/* ---- taking and giving back ---- */

bool
gw_x_bit_trylock(gw_atomic_u32 *word, uint32_t lock_bit, const char *func, int line)
{
	gw_sched_point("trylock_bit", word, func, line);
	if (word->v & lock_bit) {
		gw_sched_access(&word->v, sizeof(word->v), GW_SEES);
		GW_SCHED_DETAIL("failed");
		return false;
	}
	gw_sched_access(&word->v, sizeof(word->v), GW_CHANGES | GW_TAKES);
	word->v |= lock_bit;
	gw_lock_note(GW_RANK_PAGE, false);
	return true;
}

void
gw_x_bit_unlock(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit, uint32_t waiters_bit,
	const char *func, int line)
{
	uint32_t old;

	gw_sched_point("unlock_bit", word, func, line);
	gw_sched_access(&word->v, sizeof(word->v), GW_CHANGES);
	gw_lock_forget(GW_RANK_PAGE, false);
	old = word->v;
	if (!(old & lock_bit))
		gw_sync_bug("a page lock was given back that nobody held");
	word->v &= ~lock_bit;
	if (old & waiters_bit)
		gw_x_bit_wake(table, word, lock_bit, waiters_bit, func, line);
}

void
gw_x_flag_clear(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t flag, uint32_t waiters_bit,
	const char *func, int line)
{
	uint32_t old;

	gw_sched_point("clear_flag", word, func, line);
	gw_sched_access(&word->v, sizeof(word->v), GW_CHANGES);
	old = word->v;
	if (!(old & flag))
		gw_sync_bug("a flag was cleared that was not set");
	word->v &= ~flag;
	if (old & waiters_bit)
		gw_x_bit_wake(table, word, flag, waiters_bit, func, line);
}

/* ---- interruption ---- */

void
gw_task_interrupt(struct gw_task *task)
{
	gw_sched_point("interrupt", &task->interrupted, __func__, __LINE__);
	gw_sched_access(&task->interrupted, sizeof(task->interrupted), GW_CHANGES);
	gw_sched_access(&task->wake, sizeof(task->wake), GW_CHANGES);
	task->interrupted = 1;
	task->wake |= KICKED;
}

void
gw_task_clear_interrupt(struct gw_task *task)
{
	gw_sched_point("interrupt", &task->interrupted, __func__, __LINE__);
	gw_sched_access(&task->interrupted, sizeof(task->interrupted), GW_CHANGES);
	task->interrupted = 0;
}

bool
gw_task_interrupted(const struct gw_task *task)
{
	gw_sched_point("interrupt", &task->interrupted, __func__, __LINE__);
	gw_sched_access(&task->interrupted, sizeof(task->interrupted), GW_SEES);
	return task->interrupted != 0;
}
