/* SPDX-License-Identifier: MIT */
/*
 * bitlock_fixture.h - what the tests of bits that are waited for share: a table of queues, and
 * threads that wait once.
 *
 * A waiter is caught asleep by the state the kernel gives for its thread: after it announced
 * that it is about to wait, it sleeps nowhere else.
 */
#ifndef GODWIT_BITLOCK_FIXTURE_H
#define GODWIT_BITLOCK_FIXTURE_H

#include "sync_test.h"

#include <sys/syscall.h>

#define LOCK	1u
#define WAITERS 2u

static gw_waitq_table table;

/* One thread that waits once. */
struct waiter {
	struct worker worker;
	gw_atomic_u32 *word;
	enum gw_wait mode;
	bool killable;
	gw_atomic_u32 tid, drops, returned;
	uint32_t word_at_drop;
	void (*on_drop)(struct waiter *w);
	int result;
};

static inline void
dropped(void *arg)
{
	struct waiter *w = arg;

	w->word_at_drop = gw_u32_load_relaxed(w->word);
	if (w->on_drop)
		w->on_drop(w);
	gw_u32_add_relaxed(&w->drops, 1);
}

static inline void
wait_once(struct worker *worker)
{
	struct waiter *w = worker->arg;

	gw_u32_store_release(&w->tid, (uint32_t)syscall(SYS_gettid));
	w->result = gw_bit_wait(&table, w->word, LOCK, WAITERS, w->mode, w->killable,
		w->mode == GW_WAIT_DROP ? dropped : NULL, w);
	gw_u32_store_release(&w->returned, 1);
	if (w->result == 0 && w->mode == GW_WAIT_EXCLUSIVE)
		gw_bit_unlock(&table, w->word, LOCK, WAITERS);
}

static inline bool
thread_sleeps(uint32_t tid)
{
	char path[64], text[512] = "";
	const char *end;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%u/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	(void)fclose(f);
	end = strrchr(text, ')'); /* behind the name stands the state */
	return end && strncmp(end, ") S", 3) == 0;
}

/* `tid` is set, with release, right before its thread waits. */
static inline void
wait_tid_asleep(const gw_atomic_u32 *tid)
{
	unsigned seen = 0;

	while (!gw_u32_load_acquire(tid))
		usleep(100);
	while (seen < 3) {
		seen = thread_sleeps(gw_u32_load_relaxed(tid)) ? seen + 1 : 0;
		usleep(500);
	}
}

static inline void
wait_asleep(struct waiter *w)
{
	wait_tid_asleep(&w->tid);
}

static inline void
waiter_start(struct waiter *w, gw_atomic_u32 *word, enum gw_wait mode, bool killable)
{
	w->word = word;
	w->mode = mode;
	w->killable = killable;
	workers_start(&w->worker, 1, wait_once, w);
}

static inline void
waiter_join(struct waiter *w)
{
	workers_join(&w->worker, 1);
}

static inline void
lock(gw_atomic_u32 *word)
{
	assert_true(gw_bit_trylock(word, LOCK));
}

static inline void
unlock(gw_atomic_u32 *word)
{
	gw_bit_unlock(&table, word, LOCK, WAITERS);
}

/* One bucket: every word's waiters stand in the same queue. */
static inline int
setup_table(void **state)
{
	(void)state;
	return gw_waitq_table_init(&table, 0, test_alloc, NULL);
}

static inline int
destroy_table(void **state)
{
	(void)state;
	gw_waitq_table_destroy(&table, test_release, NULL);
	return 0;
}

#endif
