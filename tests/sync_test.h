/* SPDX-License-Identifier: MIT */
/*
 * sync_test.h - what the tests of engine/sync share: threads that run as tasks, and a gw_bug()
 * of their own, so that engine/sync is tested without the rooms above it.
 */
#ifndef GODWIT_SYNC_TEST_H
#define GODWIT_SYNC_TEST_H

#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "engine/sync/sync.h"

#define WORKER_CPUS 2 /* CPU numbers that workers share */

struct worker {
	pthread_t thread;
	struct gw_task task;
	void (*fn)(struct worker *w);
	void *arg;
	unsigned index;
};

/* Bugs reported in the running test, and the text each must contain; NULL: any. */
static struct {
	gw_atomic_u32 count;
	bool expected;
	const char *text;
	jmp_buf *instead_of_abort; /* the test goes on there */
} bugs;

static inline unsigned
bug_count(void)
{
	return gw_u32_load_relaxed(&bugs.count);
}

static inline void
bug_expect(const char *text)
{
	bugs.expected = true;
	bugs.text = text;
}

void
gw_bug(struct gw_machine *m, const char *message)
{
	(void)m;
	gw_u32_add_relaxed(&bugs.count, 1);
	if (bugs.expected && bugs.text && !strstr(message, bugs.text)) {
		print_error("another bug than the planted one: %s\n", message);
		abort();
	}
	if (bugs.instead_of_abort)
		longjmp(*bugs.instead_of_abort, 1);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;

	gw_task_enter(&w->task, NULL, w->index % WORKER_CPUS);
	w->fn(w);
	gw_task_leave(&w->task);
	return NULL;
}

static inline void
workers_start(struct worker *w, unsigned n, void (*fn)(struct worker *w), void *arg)
{
	for (unsigned i = 0; i < n; i++) {
		w[i].fn = fn;
		w[i].arg = arg;
		w[i].index = i;
		assert_int_equal(pthread_create(&w[i].thread, NULL, worker_main, &w[i]), 0);
	}
}

static inline void
workers_join(struct worker *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_join(w[i].thread, NULL), 0);
}

static inline void
workers_run(struct worker *w, unsigned n, void (*fn)(struct worker *w), void *arg)
{
	workers_start(w, n, fn, arg);
	workers_join(w, n);
}

static inline void *
test_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return calloc(1, bytes);
}

static inline void *
test_alloc_fails(void *ctx, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	return NULL;
}

static inline void
test_release(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(p);
}

/* Each test runs as a task, and ends without a bug that it did not expect. */
static int
sync_test_setup(void **state)
{
	static struct gw_task task;

	(void)state;
	memset(&bugs, 0, sizeof(bugs));
	gw_task_enter(&task, NULL, 0);
	return 0;
}

static int
sync_test_teardown(void **state)
{
	(void)state;
	gw_task_leave(gw_current());
	return !bugs.expected && bug_count() != 0;
}

#define SYNC_TEST(name) cmocka_unit_test_setup_teardown(name, sync_test_setup, sync_test_teardown)

#endif
