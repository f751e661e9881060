/* SPDX-License-Identifier: MIT */
/*
 * explore.h - every interleaving of a few tasks: scenarios, searches, findings (libgodwit-explore).
 *
 * Idea. A scenario sets up a small state, names up to eight tasks, and says what must hold at the
 * end. The library runs it again and again, each time in another order. Tasks are fibers of one
 * thread; the engine's synchronisation is built so that each operation on memory that others see is
 * a scheduling point (DESIGN 8). A run begins from a copy of memory as setup() left it and
 * costs microseconds. Memory is sequentially consistent: what needs weak ordering is not
 * seen here.
 *
 * A scenario, whole:
 *
 *	struct account { uint64_t *money; };
 *
 *	static int
 *	open_account(void *state)
 *	{
 *		struct account *a = state;
 *
 *		a->money = gw_explore_alloc(sizeof(*a->money));
 *		return a->money ? 0 : -ENOMEM;
 *	}
 *
 *	static void
 *	pay_in(void *state)
 *	{
 *		struct account *a = state;
 *		uint64_t now;
 *
 *		gw_explore_access(a->money, false); // others may run until here ...
 *		now = *a->money;                    // ... and not between here and the next one
 *		gw_explore_access(a->money, true);
 *		*a->money = now + 1;
 *	}
 *
 *	static void
 *	count_money(void *state)
 *	{
 *		gw_explore_check(*((struct account *)state)->money == 2);
 *	}
 *
 *	static const struct gw_explore_scenario lost_update = {
 *		.name = "lost-update",
 *		.story = "two deposits read the same balance",
 *		.state_size = sizeof(struct account),
 *		.setup = open_account,
 *		.tasks = {{.name = "left", .run = pay_in}, {.name = "right", .run = pay_in}},
 *		.check = count_money,
 *	};
 *
 * What is found, in any scenario: a failed gw_explore_check(), a broken invariant of the engine
 * (GW_BUG_ON, gw_machine_check() at the end of each run), the use of freed memory, memory written
 * after it was freed, memory left over, wild accesses, a CPU's translation that outlived its
 * flush, locks out of order (docs/locking.md), deadlock, lost wake-ups, and runs without end.
 *
 * Rules for scenarios
 *   E1  everything that changes lies in `state`, in gw_explore_alloc()'s memory, or in a machine of
 *       gw_explore_machine(): a run that begins resets these, and nothing else
 *   E2  a run is determined by its schedule: no clocks, no randomness, no order by addresses other
 *       than the arena's
 *   E3  a task's frames fit in its stack, 64 KiB
 *
 * Threads: one search per thread at a time; several threads may search at once.
 */
#ifndef GODWIT_EXPLORE_H
#define GODWIT_EXPLORE_H

#include "fix.h"
#include "machine.h"

#define GW_EXPLORE_TASKS 8

struct gw_explore_task {
	const char *name;	  /* a column of the timeline: short */
	void (*run)(void *state); /* NULL: the scenario has no more tasks */
	unsigned cpu;		  /* of the scenario's machine; two tasks may share one, but not for
				     gw_cpu_load() and its like */
};

/* All strings and functions are constant. Functions that may be missing say so. */
struct gw_explore_scenario {
	const char *name;  /* lower case, words joined by '-' */
	const char *row;   /* of FACTS, or NULL */
	uint64_t without;  /* GW_WITHOUT() of each fix without which, alone, something is found */
	const char *story; /* one sentence: what goes wrong if it goes wrong */
	size_t state_size; /* bytes of `state`, zeroed before setup() */

	/*
	 * Make the state, alone, once per search (it is not a part of runs, so it may take its
	 * time). Runs as a task on CPU 0 once it has made a machine. 0, or a negative errno, which
	 * ends the search.
	 */
	int (*setup)(void *state);
	struct gw_explore_task tasks[GW_EXPLORE_TASKS];
	/* After each run, alone, as a task on CPU 0: is the result right? May be NULL. */
	void (*check)(void *state);
	/* After each step: look, cheaply; changes nothing. May be NULL. */
	void (*invariant)(const void *state);
	/*
	 * After check(): give everything up; then no memory may be left, of setup's neither. NULL:
	 * as much memory must be in use as after setup(), unless grows is set.
	 */
	void (*teardown)(void *state);
	/* One line about the state for the timeline, which shows it where it changes. May be NULL.
	 */
	void (*describe)(const void *state, char *line, size_t size);

	bool grows; /* a run may leave memory allocated (a first fault makes an anon_vma) */
	bool no_machine_check; /* leave gw_machine_check() out */
	/*
	 * A task that calls gw_relax() and has changed nothing since it called it last waits until
	 * another task changes something; this many times in a row it goes on all the same. 0 for
	 * loops that wait; for loops that give up (retries), how often they retry.
	 */
	unsigned spins;
};

/* ---- for scenarios: inside setup(), tasks, check(), teardown() ---- */

/* Zeroed memory of the run, aligned to 16 bytes; NULL if there is none left. Never handed out twice
 * in one run, so that every use after gw_explore_free() is seen. */
void *gw_explore_alloc(size_t bytes);
void gw_explore_free(void *p);

/*
 * A scheduling point: other tasks may run until it returns. What the caller then reads or writes
 * at `address` is one step with it, up to its next scheduling point. The engine's own
 * operations (engine/sync/sync.h) need none of this.
 */
#define gw_explore_access(address, write) gw_explore_access_(address, write, __func__, __LINE__)
void gw_explore_access_(const volatile void *address, bool write, const char *func, int line);

/* The run has found something: does not return. */
GW_NORETURN void gw_explore_fail(const char *format, ...) GW_PRINTF(1, 2);

#define gw_explore_check(cond)                                                                     \
	do {                                                                                       \
		if (!(cond))                                                                       \
			gw_explore_fail("%s:%d: not so: %s", __func__, __LINE__, #cond);           \
	} while (0)

/* Words for the timeline, at the step that the task is in. Costs next to nothing otherwise. */
void gw_explore_note(const char *format, ...) GW_PRINTF(1, 2);

/* A name for [address, address + bytes) in timelines, `name` being constant; in setup(). */
void gw_explore_name(const void *address, size_t bytes, const char *name);

/* The struct gw_task that task number `task` (0: the first of the scenario) runs as: for
 * gw_task_interrupt(). */
struct gw_task *gw_explore_task(unsigned task);

/*
 * Make the scenario's machine, once, in setup(), without the fixes that the search does without:
 * `config` as for gw_machine_create(), all frames
 * of its zones free, bytes behind each, a TLB per CPU. gw_cpu_load(), gw_cpu_store(),
 * gw_cpu_add(), gw_cpu_read() and gw_cpu_write() of godwit/soft.h work on it. It goes with the
 * run; teardown() may gw_machine_destroy() it. 0, -EINVAL, -ENOMEM; err may be NULL.
 */
GW_MUST_CHECK int gw_explore_machine(
	const struct gw_machine_config *config, struct gw_machine **out, struct gw_error *err);

/* ---- searching ---- */

enum gw_explore_search {
	/* Every schedule that differs in the order of two operations that do not commute, once:
	 * dynamic partial-order reduction with source sets and sleep sets. */
	GW_EXPLORE_DPOR,
	/* Every schedule with at most 0, 1, 2 ... preemptions, up to max_preemptions. */
	GW_EXPLORE_PREEMPT,
	/* Random priorities with `depth` - 1 random changes (PCT). */
	GW_EXPLORE_PCT,
	/* Every schedule, without reduction: to prove the others right. */
	GW_EXPLORE_BRUTE
};

/* How far a search that found nothing has looked. Never "passed". */
enum gw_explore_extent {
	GW_EXPLORE_EXHAUSTED, /* every interleaving */
	GW_EXPLORE_BOUNDED,   /* every one with at most `bound` preemptions */
	GW_EXPLORE_SAMPLED,   /* `runs` of them, then a budget was used up */
	GW_EXPLORE_REPLAYED   /* one, given */
};

enum gw_explore_kind {
	GW_EXPLORE_NOTHING,
	GW_EXPLORE_CHECK,     /* gw_explore_fail() */
	GW_EXPLORE_BUG,	      /* the engine's own: GW_BUG_ON, lock order */
	GW_EXPLORE_MACHINE,   /* gw_machine_check() */
	GW_EXPLORE_DEADLOCK,  /* tasks wait for each other's locks */
	GW_EXPLORE_LOST_WAKE, /* a task sleeps on and nobody is left to wake it */
	GW_EXPLORE_LIVELOCK,  /* tasks spin, or a run has no end */
	GW_EXPLORE_USE_FREED, /* an operation on freed memory, or a write to it */
	GW_EXPLORE_WILD,      /* an access to no memory at all */
	GW_EXPLORE_STALE_TLB, /* a CPU uses a frame or translation that is no longer its own */
	GW_EXPLORE_LEAK	      /* memory that nobody freed */
};

/* "deadlock", "use after free" ... */
const char *gw_explore_kind_name(enum gw_explore_kind kind);

struct gw_explore_result;

/* Zero is a good default for every member. */
struct gw_explore_options {
	enum gw_explore_search search;
	uint64_t max_runs;	  /* 0: no limit */
	double max_seconds;	  /* 0: no limit */
	uint64_t seed;		  /* PCT */
	unsigned depth;		  /* PCT; 0: 3 */
	unsigned max_preemptions; /* PREEMPT; 0: 3. UINT_MAX: until exhausted */
	unsigned max_steps;	  /* of one run, beyond which it is a livelock; 0: 20,000 */
	uint64_t without;	  /* GW_WITHOUT() of the fixes to do without */
	/* Run this schedule and no other (struct gw_explore_result.schedule). */
	const char *schedule;
	bool keep_going;  /* count findings, keep the first, go on */
	bool no_minimise; /* keep a finding's schedule as it was found */
	/* Called after each run that was carried through, with its state; may be NULL. */
	void (*outcome)(void *ctx, const void *state);
	/* Called about twice a second, with the counts so far; may be NULL. */
	void (*progress)(void *ctx, const struct gw_explore_result *so_far, double seconds);
	void *ctx;
};

/* A step of the run that a result tells. */
struct gw_explore_step {
	unsigned task;
	const char *op;	  /* "load", "spin_lock", ... */
	const char *func; /* who called it; constant */
	int line;
	char object[48]; /* what it was done to */
	char detail[40]; /* what came of it: "= 3", "failed", "3 -> 4", or nothing */
	char note[80];	 /* gw_explore_note() */
	char *described; /* describe()'s line after the step, where it changed; else NULL */
};

struct gw_explore_result {
	enum gw_explore_kind kind; /* GW_EXPLORE_NOTHING: the extent says how far it looked */
	char message[GW_MESSAGE_MAX];

	enum gw_explore_extent extent;
	unsigned bound;	      /* preemptions, if bounded */
	uint64_t runs, steps; /* runs begun, steps of all of them */
	uint64_t cut;	      /* runs given up since others had covered them */
	/* Different ones that runs ended in, before check(): by a hash of the scenario's state and
	 * of all frames' descriptors, not their bytes. */
	uint64_t states;
	uint64_t findings;     /* 0, 1; more with keep_going */
	uint64_t runs_to_find; /* the first one was in this run, counted from 1 */
	double seconds, seconds_to_find;

	/* Of the finding, minimised; with options.schedule, of that run. */
	char *schedule;	      /* "a12b3a4": 12 steps of the first task, 3 of the second ... */
	unsigned preemptions; /* switches away from a task that could go on */
	struct gw_explore_step *trace;
	size_t n_trace;
};

/*
 * Search. *out is written in any case and given back with gw_explore_result_free(). Returns 0,
 * whatever was found; setup()'s error; -EINVAL (no tasks, or a schedule that is none of this
 * scenario); -ENOMEM. Signals SIGSEGV, SIGBUS and SIGILL are caught meanwhile.
 */
GW_MUST_CHECK int gw_explore_run(const struct gw_explore_scenario *scenario,
	const struct gw_explore_options *options, struct gw_explore_result *out);
void gw_explore_result_free(struct gw_explore_result *result);

/*
 * The result as text, line by line: what was found or how far was looked; for a finding the
 * timeline, one column per task, where the state changes the state, what broke, and the schedule.
 *   width  characters of a line, 40 at least; too few for columns: tasks one below the other
 */
void gw_explore_report(const struct gw_explore_scenario *scenario,
	const struct gw_explore_result *result, unsigned width,
	void (*line)(void *ctx, const char *line), void *ctx);

/* The scenarios that come with the library, in order of their names; ends with NULL. */
extern const struct gw_explore_scenario *const gw_explore_scenarios[];

#endif
