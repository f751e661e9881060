/* SPDX-License-Identifier: MIT */
/*
 * explore_internal.h - the inside of the explorer.
 *
 * Words. A run is one execution, from the state as setup() left it. Its events are the steps in
 * their order; event d was chosen at node d, which says what else could have been. Events are
 * named by their index; in clocks by index + 1, so that 0 is none.
 */
#ifndef GW_EXPLORE_INTERNAL_H
#define GW_EXPLORE_INTERNAL_H

#include "engine/sync/sync.h"
#include "explore/schedule.h"

#define GW_X_TASKS GW_EXPLORE_TASKS

/* ---- arena.c: memory that a run resets ---- */

#define GW_X_GRANULE 16

struct gw_x_block {
	char *start;
	uint32_t bytes;
	uint32_t run;		   /* of which `last` tells */
	uint32_t last[GW_X_TASKS]; /* event + 1 that last touched it, by task */
	bool freed;
};

/* Blocks follow each other in a region, with a gap, and are never reused. A task's region is its
 * own, so that addresses do not depend on the schedule. */
struct gw_x_region {
	char *start;
	size_t bytes, used;
};

#define GW_X_REGION_SETUP 0
#define GW_X_REGION_TASK  1				  /* and those after it */
#define GW_X_REGION_ALONE (GW_X_REGION_TASK + GW_X_TASKS) /* check() and teardown() */
#define GW_X_REGIONS	  (GW_X_REGION_ALONE + 1)

struct gw_x_arena {
	char *memory;
	size_t bytes;
	struct gw_x_region regions[GW_X_REGIONS];
	uint32_t *owners; /* by granule: the block's index, 0: none */
	struct gw_x_block *blocks;
	uint32_t n_blocks, room_blocks;
	uint32_t *freed; /* in this run */
	uint32_t n_freed, room_freed;
	size_t live; /* blocks in use */
	/* As setup() left it. */
	char *image;
	uint32_t image_blocks;
	size_t image_live;
};

GW_MUST_CHECK int gw_x_arena_init(struct gw_x_arena *a);
void gw_x_arena_destroy(struct gw_x_arena *a);
void *gw_x_arena_alloc(struct gw_x_arena *a, unsigned region, size_t bytes, size_t align);
/* NULL: p is no block in use. */
struct gw_x_block *gw_x_arena_free(struct gw_x_arena *a, void *p);
/* Keep what is there as what every run begins with. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_x_arena_keep(struct gw_x_arena *a);
void gw_x_arena_reset(struct gw_x_arena *a);
bool gw_x_arena_has(const struct gw_x_arena *a, uintptr_t address);
/* The block that an address of the arena is in, or NULL. */
struct gw_x_block *gw_x_arena_block(struct gw_x_arena *a, uintptr_t address);
/* A freed block that was written to since, or NULL. */
const struct gw_x_block *gw_x_arena_overwritten(const struct gw_x_arena *a);

/* ---- order.c: which events depend on which ---- */

struct gw_x_access {
	uintptr_t start;
	uint32_t bytes; /* 0: everything, of a step that was left in its midst */
	uint32_t how;	/* GW_SEES ... */
};

struct gw_x_event {
	uint8_t task;
	bool relaxes;
	uint32_t first, n;	    /* its accesses */
	uint32_t clock[GW_X_TASKS]; /* event + 1 of each task that happened before it, or is it */
};

/* An event that another one depends on. */
struct gw_x_pred {
	uint32_t event;
	bool joins; /* happened before */
	bool races; /* could have come later */
	bool takes; /* it took the lock that the other waited for */
};

/* The last accesses to one address. */
struct gw_x_object {
	uintptr_t address;
	uint32_t run; /* of which the rest tells */
	uint32_t changed, taken;
	/* Since then, by task. */
	uint32_t seen[GW_X_TASKS], added[GW_X_TASKS], shared[GW_X_TASKS];
};

struct gw_explorer;

/* The step touches memory. */
void gw_x_order_access(struct gw_explorer *x, uintptr_t start, uint32_t bytes, unsigned how);
/* The step that begins could not have come before `event`. */
void gw_x_order_after(struct gw_explorer *x, uint32_t event);
/* A new event of `task` begins; the last one is over: its races are told to gw_x_race(). */
void gw_x_order_begin(struct gw_explorer *x, unsigned task, bool relaxes);
void gw_x_order_end(struct gw_explorer *x);
/* The run ends with `task` waiting for a lock: what kept it out could have come later. */
void gw_x_order_blocked(struct gw_explorer *x, unsigned task, uintptr_t lock);
/* Two footprints depend on each other. */
bool gw_x_conflict(
	const struct gw_x_access *a, uint32_t n_a, const struct gw_x_access *b, uint32_t n_b);
/* Has another task changed what `task` saw since it last relaxed; has it itself? */
bool gw_x_spin_over(const struct gw_explorer *x, unsigned task, uint32_t *by);
bool gw_x_spin_idle(const struct gw_explorer *x, unsigned task);
/* Tasks of which the first step after `event`, of those that need not come after it, could begin a
 * schedule that leads to `later` before it: a source set is one of them. */
unsigned gw_x_initials(const struct gw_explorer *x, uint32_t event, uint32_t later);

/* ---- search.c ---- */

struct gw_x_node {
	uint8_t enabled, backtrack, done, sleep; /* bits of tasks */
	uint8_t chosen;
	uint8_t usual;	      /* who goes on if nobody decides */
	bool yields;	      /* the task before gives way: leaving it is no preemption */
	uint32_t preemptions; /* before it */
	/* Footprints of sleeping tasks' next steps, in gw_explorer.slept. */
	uint32_t slept_first[GW_X_TASKS], slept_n[GW_X_TASKS];
	uint32_t n_slept; /* of all nodes, when this one was made */
};

struct gw_x_name {
	uintptr_t start;
	size_t bytes;
	const char *name;
};

/* How the next task is chosen. */
enum gw_x_mode {
	GW_X_SEARCH, /* nodes say */
	GW_X_STRICT, /* the schedule says; then the usual */
	GW_X_LENIENT /* the same, passing over what cannot be */
};

struct gw_x_machine;

/* Addresses of the words of page tables that have become migration entries in this run. */
struct gw_x_entries {
	uintptr_t *words;
	uint32_t n, room;
};

/* Hashes of states, in open addressing; 0 is none. */
struct gw_x_states {
	uint64_t *seen;
	uint32_t n, room; /* a power of two */
};

struct gw_explorer {
	const struct gw_explore_scenario *scenario;
	const struct gw_explore_options *options;
	struct gw_explore_result *result;
	struct gw_sched sched;
	struct gw_x_arena arena;
	void *state;
	struct gw_x_machine *machine; /* NULL: the scenario has none */
	unsigned n_tasks, max_steps;
	enum gw_explore_search search;
	bool in_setup, alone;
	int setup_error;

	/* This run. */
	uint32_t run;
	struct gw_x_event *events;
	uint32_t n_events, room_events;
	struct gw_x_access *accesses;
	uint32_t n_accesses, room_accesses;
	bool open; /* the last event is in progress */
	struct gw_x_pred *preds;
	uint32_t n_preds, room_preds;
	uint32_t clock[GW_X_TASKS][GW_X_TASKS];
	uint32_t relaxed[GW_X_TASKS]; /* event + 1 of the task's last gw_relax() */
	unsigned spins[GW_X_TASKS];   /* how often in a row it went on all the same */
	uint32_t preemptions;
	bool cut, no_memory;
	enum gw_explore_kind kind;
	char message[GW_MESSAGE_MAX];

	struct gw_x_object *objects; /* open addressing; room is a power of two */
	uint32_t room_objects, n_objects;
	struct gw_x_entries entries;

	/* The search. */
	struct gw_x_node *nodes;
	uint32_t n_nodes, room_nodes;
	uint32_t prefix; /* nodes that this run shall follow */
	struct gw_x_access *slept;
	uint32_t n_slept, room_slept;
	enum gw_x_mode mode;
	const struct gw_x_schedule *schedule;
	size_t part;
	uint32_t part_done;
	bool misfit; /* the schedule asked for what cannot be */
	unsigned bound;
	bool bounded_out;
	uint64_t random;
	uint32_t priorities[GW_X_TASKS], changes[64];
	uint32_t n_changes, longest;
	double begun, next_progress;
	struct gw_x_states states;

	/* A run that is told. */
	bool tracing;
	struct gw_explore_step *trace;
	size_t n_trace, room_trace;
	char described[160];

	struct gw_x_name *names;
	size_t n_names, room_names;
};

/* The explorer of the calling thread's search. */
static inline struct gw_explorer *
gw_x_now(void)
{
	return gw_sched_now->ctx;
}

/* Make room for one more of *array, whose members have `size` bytes. False: no memory. */
GW_MUST_CHECK bool gw_x_grow(void *array, uint32_t *room, uint32_t n, size_t size);

/* Two events that do not commute could have come the other way round. */
void gw_x_race(struct gw_explorer *x, uint32_t event, uint32_t later);
/* Who goes on, of those enabled; -1: the run is given up. */
int gw_x_decide(struct gw_explorer *x, unsigned enabled);
GW_MUST_CHECK int gw_x_search(struct gw_explorer *x);
double gw_x_seconds(void);

/* ---- run.c ---- */

extern const struct gw_sched_hooks gw_x_hooks;
GW_MUST_CHECK int gw_x_setup(struct gw_explorer *x);
/* One run; what it found is in x->kind. */
void gw_x_run(struct gw_explorer *x);
void gw_x_catch_signals(void);
void gw_x_restore_signals(void);
GW_NORETURN void gw_x_found(
	struct gw_explorer *x, enum gw_explore_kind kind, const char *format, ...) GW_PRINTF(3, 4);
/* What cannot be decided (no memory): the run ends, and the search. */
GW_NORETURN void gw_x_give_up(struct gw_explorer *x);

/* ---- schedule.c, with what schedule.h has ---- */

/* Of the run that is over, without what the usual choice would do anyway. */
GW_MUST_CHECK int gw_x_schedule_of_run(const struct gw_explorer *x, struct gw_x_schedule *out);

/* ---- minimise.c ---- */

/* Make the finding's schedule as small as can be. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_x_minimise(struct gw_explorer *x, struct gw_x_schedule *schedule);

/* ---- names.c ---- */

void gw_x_object_name(const struct gw_explorer *x, uintptr_t address, char *out, size_t size);

/* ---- invariants.c ---- */

/* The last event is over: what it changed must be right. Ends in gw_x_found() if it is not. */
void gw_x_invariants_check(struct gw_explorer *x);

/* The frame that has the lock and the references of the page that `frame` is part of; GW_PFN_NONE:
 * there is no such frame. Not a step. */
gw_pfn_t gw_x_head(const struct gw_machine *m, gw_pfn_t frame);

/* ---- states.c ---- */

/* The run is over: has another one ended in this state? Counts in the result. */
void gw_x_states_note(struct gw_explorer *x);

/* ---- machine.c ---- */

/* Is it an address of the frames' bytes? */
bool gw_x_machine_bytes(const struct gw_explorer *x, uintptr_t address);

/* An access to an address, which may be a byte of the machine's frames. False: of *frame, which is
 * free. */
bool gw_x_machine_access(struct gw_explorer *x, uintptr_t address, bool changes, gw_pfn_t *frame);
void gw_x_machine_name(const struct gw_explorer *x, uintptr_t address, char *out, size_t size);
GW_MUST_CHECK int gw_x_machine_keep(struct gw_explorer *x);
void gw_x_machine_reset(struct gw_explorer *x);
void gw_x_machine_destroy(struct gw_explorer *x);
/* At the end of a run: whatever is wrong ends in gw_x_found(). */
void gw_x_machine_check(struct gw_explorer *x);
struct gw_machine *gw_x_machine_of(const struct gw_explorer *x);

#endif
