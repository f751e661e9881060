/* SPDX-License-Identifier: MIT */
/*
 * sched.h - fibers, and the scheduling points between which they run.
 *
 * Idea. A task is a fiber: a stack, and where it stopped. Before each operation on memory that
 * other tasks see it comes to a scheduling point, says what it is about to do, and asks the search
 * above (struct gw_sched_hooks) who goes on. What a fiber does from one point to the next
 * is one step; what it touched in it is told to the search, access by access.
 *
 * Invariants
 *   P1  a fiber runs from point to point without another one running
 *   P2  a fiber whose operation cannot be done (a lock that is held) is not chosen: its `ready`
 *       is asked first
 *   P3  a run that has found something is left at once, from whatever stack it is on: its fibers
 *       are never resumed, since all that they did is thrown away
 */
#ifndef GW_SYNC_EXPLORE_SCHED_H
#define GW_SYNC_EXPLORE_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/task.h"

#define GW_SCHED_TASKS 8
#define GW_SCHED_ALONE GW_SCHED_TASKS /* the fiber of setup(), check(), teardown() */
#define GW_SCHED_STACK ((size_t)64 << 10)

/* How an access and those of other tasks to the same place depend on each other: all pairs do,
 * except two SEES, and two ADDS. */
#define GW_SEES	   0x0u
#define GW_CHANGES 0x1u
#define GW_ADDS	   0x2u /* a number is made larger or smaller, and not looked at */
/* Of a lock: it is taken; its taker has waited for it, so nothing but another's taking of it could
 * have come later; and it is a spinlock, mutex or read-write lock: taking it and giving it back
 * changes nothing (gw_relax()). */
#define GW_TAKES   0x4u
#define GW_WAITED  0x8u
#define GW_LOCKING 0x10u

/* What a fiber at a scheduling point is about to do. */
struct gw_sched_op {
	const char *name;	     /* "load" ... */
	const volatile void *object; /* to what; NULL: to nothing that others see */
	const char *func;	     /* for whom; constant */
	int line;
	bool relaxes;		   /* gw_relax(): the search knows whether it is ready */
	bool (*ready)(void *arg);  /* NULL: always */
	bool (*missed)(void *arg); /* it sleeps for something that is there: NULL: it does not */
	void *arg;
};

struct gw_fiber {
	void *sp; /* where it stopped, on its stack */
	char *stack;
	void (*run)(void *arg);
	void *arg;
	bool done;
	unsigned rcu_depth;
	struct gw_sched_op op;
	struct gw_task *task; /* gw_current() */
	struct gw_task own;   /* the task that it begins as */
	void *fake_stack;     /* AddressSanitizer's */
};

/* What the search above does; all get `ctx`. */
struct gw_sched_hooks {
	/* The step of the current fiber is over, its next operation is in its op, or it is done.
	 * Who goes on; -1: the run is over. */
	int (*choose)(void *ctx);
	/* Part of the step: an access to [address, address + bytes). */
	void (*access)(void *ctx, const volatile void *address, size_t bytes, unsigned how);
	/* What came of an operation, for timelines; only if `tracing`. */
	void (*detail)(void *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
	/* The run has found something: ends in gw_sched_leave(). */
	GW_NORETURN void (*bug)(void *ctx, const char *message);
	GW_NORETURN void (*stuck)(void *ctx, const struct gw_sched_op *op);
};

struct gw_rcu_head;

struct gw_sched {
	const struct gw_sched_hooks *hooks;
	void *ctx;
	unsigned n_tasks;
	bool points;  /* operations are scheduling points */
	bool watched; /* accesses are told */
	bool tracing;
	struct gw_fiber *now; /* the fiber that runs */
	struct gw_rcu_head *deferred_first, *deferred_last;
	struct gw_fiber fibers[GW_SCHED_TASKS + 1];
	void *main_sp;
	const void *main_stack; /* AddressSanitizer's */
	size_t main_stack_bytes;
};

/* The search that the calling thread is in, or NULL. */
extern _Thread_local struct gw_sched *gw_sched_now
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* ---- for the search ---- */

/* Stacks for n_tasks fibers and the lone one. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_sched_init(struct gw_sched *s, unsigned n_tasks);
void gw_sched_destroy(struct gw_sched *s);
/* Nothing is deferred, no fiber has begun. */
void gw_sched_reset(struct gw_sched *s);
/* The fiber will run `run(arg)`, as a task of no machine. */
void gw_sched_prepare(struct gw_fiber *f, void (*run)(void *arg), void *arg);
/* Run fiber i and whoever follows it, until gw_sched_leave(). */
void gw_sched_enter(struct gw_sched *s, unsigned i);
/* Back to whoever called gw_sched_enter(); the fiber is not resumed. */
void gw_sched_leave(struct gw_sched *s) __attribute__((noreturn));
/* Is the address in the unused page below a fiber's stack? */
bool gw_sched_in_guard(const struct gw_sched *s, const void *address);

static inline unsigned
gw_sched_current(const struct gw_sched *s)
{
	return (unsigned)(s->now - s->fibers);
}

/* ---- for operations ---- */

/* A scheduling point; returns when the operation can and shall be done. */
void gw_sched_point_op(const struct gw_sched_op *op);
/* The step touches a place. Not a scheduling point. */
void gw_sched_access(const volatile void *address, size_t bytes, unsigned how);

static inline void
gw_sched_point(const char *name, const volatile void *object, const char *func, int line)
{
	gw_sched_point_op(
		&(struct gw_sched_op){.name = name, .object = object, .func = func, .line = line});
}

#define GW_SCHED_DETAIL(...)                                                                       \
	do {                                                                                       \
		if (__builtin_expect(gw_sched_now && gw_sched_now->tracing, 0))                    \
			gw_sched_now->hooks->detail(gw_sched_now->ctx, __VA_ARGS__);               \
	} while (0)

#endif
