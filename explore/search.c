/* SPDX-License-Identifier: MIT */
/*
 * search.c - which schedules are tried, and in what order.
 *
 * Idea. The search is stateless: a node of the tree of schedules is reached again by doing the same
 * choices again. Depth first; a node keeps what was tried at it (done), what must be tried
 * (backtrack, from races: order.c), and what others have covered (sleep: a task asleep at a node
 * need not be the next, until a step that depends on its own wakes it).
 *
 * Preemptions are bounded by trying all schedules with none, then with one, and so on. A bound cuts
 * schedules that reduction counts on, so there sleep sets are left out, and a race also makes the
 * search branch where the task that was first had begun to run, since going another way there costs
 * nothing (Coons, Musuvathi, McKinley: Bounded partial-order reduction, OOPSLA 2013).
 *
 * Random: each task has a priority, the highest that can go on does, and at depth - 1 random steps
 * whoever runs falls behind all others (Burckhardt, Kothari, Musuvathi, Nagarakatte: A randomized
 * scheduler with probabilistic guarantees of finding bugs, ASPLOS 2010).
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore/explore_internal.h"

#define DEFAULT_DEPTH	    3
#define DEFAULT_PREEMPTIONS 3
#define DEFAULT_STEPS	    20000
#define FIRST_LENGTH	    32 /* of runs, as random changes are placed, until one has ended */

double
gw_x_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned
bit(unsigned task)
{
	return 1u << task;
}

static unsigned
lowest(unsigned tasks)
{
	return (unsigned)__builtin_ctz(tasks);
}

/* The first of the tasks after `task`, in a circle. */
static unsigned
next_after(unsigned task, unsigned tasks)
{
	unsigned above = tasks & ~(bit(task + 1) - 1);

	return lowest(above ? above : tasks);
}

static bool
has_prev(const struct gw_explorer *x)
{
	return x->n_events > 0;
}

static unsigned
prev_task(const struct gw_explorer *x, uint32_t node)
{
	return node ? x->events[node - 1].task : GW_X_TASKS;
}

/* Preemptions that choosing `task` at a node adds. */
static unsigned
cost(const struct gw_explorer *x, uint32_t node, unsigned task)
{
	const struct gw_x_node *n = &x->nodes[node];
	unsigned prev = prev_task(x, node);

	return prev < GW_X_TASKS && prev != task && n->enabled & bit(prev) && !n->yields;
}

/* ---- at a node ---- */

static unsigned
usual_choice(const struct gw_x_node *node, unsigned prev, unsigned tasks)
{
	if (prev >= GW_X_TASKS)
		return lowest(tasks);
	if (tasks & bit(prev) && (!node->yields || tasks == bit(prev)))
		return prev;
	return next_after(prev, tasks & ~bit(prev) ? tasks & ~bit(prev) : tasks);
}

static struct gw_x_node *
new_node(struct gw_explorer *x, unsigned enabled)
{
	uint32_t d = x->n_events;
	unsigned prev = prev_task(x, d);
	struct gw_x_node *node;

	if (!gw_x_grow(&x->nodes, &x->room_nodes, d, sizeof(*x->nodes)))
		gw_x_give_up(x);
	node = &x->nodes[d];
	node->enabled = (uint8_t)enabled;
	node->backtrack = node->done = node->sleep = 0;
	node->yields = has_prev(x) && x->sched.fibers[prev].op.relaxes;
	node->usual = (uint8_t)usual_choice(node, prev, enabled);
	node->preemptions = x->preemptions;
	node->n_slept = x->n_slept;
	return node;
}

/* Whoever slept before the last step and does not depend on it sleeps on. */
static void
inherit_sleep(struct gw_explorer *x, struct gw_x_node *node)
{
	const struct gw_x_node *above = node - 1;
	const struct gw_x_event *e;

	if (!has_prev(x))
		return;
	e = &x->events[x->n_events - 1];
	for (unsigned t = 0; t < x->n_tasks; t++) {
		if (!(above->sleep & bit(t)) ||
			gw_x_conflict(&x->slept[above->slept_first[t]], above->slept_n[t],
				&x->accesses[e->first], e->n))
			continue;
		node->sleep |= (uint8_t)bit(t);
		node->slept_first[t] = above->slept_first[t];
		node->slept_n[t] = above->slept_n[t];
	}
}

/* The path's end: a new node, and what to do first at it. -1: others have covered all. */
static int
extend(struct gw_explorer *x, unsigned enabled)
{
	struct gw_x_node *node = new_node(x, enabled);
	unsigned tasks = enabled;

	if (x->search == GW_EXPLORE_DPOR) {
		inherit_sleep(x, node);
		tasks &= ~(unsigned)node->sleep;
	}
	if (!tasks) {
		x->cut = true;
		return -1;
	}
	node->chosen = (uint8_t)usual_choice(node, prev_task(x, x->n_events), tasks);
	node->backtrack = (uint8_t)(x->search == GW_EXPLORE_BRUTE ? enabled : bit(node->chosen));
	x->n_nodes = x->n_events + 1;
	return node->chosen;
}

/* ---- a schedule that is given ---- */

static int
follow(struct gw_explorer *x, struct gw_x_node *node)
{
	const struct gw_x_schedule *s = x->schedule;

	for (; x->part < s->n; x->part++, x->part_done = 0) {
		const struct gw_x_part *part = &s->parts[x->part];

		if (x->part_done == part->n)
			continue;
		if (node->enabled & bit(part->task)) {
			x->part_done++;
			return (int)part->task;
		}
		if (x->mode == GW_X_STRICT) {
			x->misfit = true;
			return -1;
		}
	}
	return node->usual;
}

/* ---- random priorities ---- */

static uint64_t
next_random(struct gw_explorer *x)
{
	uint64_t z = (x->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Lower numbers go first. */
static void
draw_priorities(struct gw_explorer *x)
{
	unsigned depth = x->options->depth ? x->options->depth : DEFAULT_DEPTH;

	for (unsigned t = 0; t < x->n_tasks; t++)
		x->priorities[t] = t;
	for (unsigned t = x->n_tasks - 1; t > 0; t--) {
		unsigned other = (unsigned)(next_random(x) % (t + 1));
		uint32_t p = x->priorities[t];

		x->priorities[t] = x->priorities[other];
		x->priorities[other] = p;
	}
	x->n_changes = depth - 1;
	if (x->n_changes > sizeof(x->changes) / sizeof(x->changes[0]))
		x->n_changes = sizeof(x->changes) / sizeof(x->changes[0]);
	for (uint32_t i = 0; i < x->n_changes; i++)
		x->changes[i] = (uint32_t)(next_random(x) % x->longest);
}

static void
fall_behind(struct gw_explorer *x, unsigned task)
{
	uint32_t last = 0;

	for (unsigned t = 0; t < x->n_tasks; t++)
		if (x->priorities[t] > last)
			last = x->priorities[t];
	x->priorities[task] = last + 1;
}

static unsigned
first_in_line(const struct gw_explorer *x, unsigned tasks)
{
	unsigned best = lowest(tasks);

	for (unsigned t = best; t < x->n_tasks; t++)
		if (tasks & bit(t) && x->priorities[t] < x->priorities[best])
			best = t;
	return best;
}

static int
draw(struct gw_explorer *x, const struct gw_x_node *node)
{
	if (node->yields)
		fall_behind(x, prev_task(x, x->n_events));
	for (uint32_t i = 0; i < x->n_changes; i++)
		if (x->changes[i] == x->n_events)
			fall_behind(x, first_in_line(x, node->enabled));
	return (int)first_in_line(x, node->enabled);
}

/* ---- deciding ---- */

int
gw_x_decide(struct gw_explorer *x, unsigned enabled)
{
	uint32_t d = x->n_events;
	int task;

	if (x->mode != GW_X_SEARCH)
		task = follow(x, new_node(x, enabled));
	else if (x->search == GW_EXPLORE_PCT)
		task = draw(x, new_node(x, enabled));
	else if (d < x->prefix)
		task = x->nodes[d].chosen;
	else
		task = extend(x, enabled);
	if (task >= 0)
		x->preemptions += cost(x, d, (unsigned)task);
	return task;
}

/* ---- races ---- */

/* One of the tasks, `best` if it is one; if there is none, all that are enabled. */
static unsigned
one_of(const struct gw_x_node *node, unsigned tasks, unsigned best)
{
	tasks &= node->enabled;
	if (!tasks)
		return node->enabled;
	return tasks & bit(best) ? bit(best) : bit(lowest(tasks));
}

/* Also where the task that came first had begun to run (see above). */
static void
branch_at_begin(struct gw_explorer *x, uint32_t event, unsigned task)
{
	while (event > 0 && x->events[event - 1].task == x->events[event].task)
		event--;
	x->nodes[event].backtrack |= (uint8_t)one_of(&x->nodes[event], bit(task), task);
}

void
gw_x_race(struct gw_explorer *x, uint32_t event, uint32_t later)
{
	struct gw_x_node *node = &x->nodes[event];
	unsigned task = x->events[later].task, initials;

	if (x->mode != GW_X_SEARCH ||
		(x->search != GW_EXPLORE_DPOR && x->search != GW_EXPLORE_PREEMPT))
		return;
	initials = gw_x_initials(x, event, later);
	if (x->search == GW_EXPLORE_PREEMPT)
		branch_at_begin(x, event, task);
	else if (initials & node->sleep)
		return;
	if (!(initials & node->backtrack))
		node->backtrack |= (uint8_t)one_of(node, initials, task);
}

/* ---- depth first ---- */

/* The task that was chosen at the node has been tried: it sleeps, with what its step touched. */
static bool
put_to_sleep(struct gw_explorer *x, struct gw_x_node *node, uint32_t d)
{
	const struct gw_x_event *e = &x->events[d];
	bool whole = !(x->open && d + 1 == x->n_events);

	node->sleep |= (uint8_t)bit(node->chosen);
	node->slept_first[node->chosen] = x->n_slept;
	node->slept_n[node->chosen] = whole ? e->n : 1;
	for (uint32_t i = 0; i < node->slept_n[node->chosen]; i++) {
		if (!gw_x_grow(&x->slept, &x->room_slept, x->n_slept, sizeof(*x->slept)))
			return false;
		x->slept[x->n_slept++] =
			whole ? x->accesses[e->first + i] : (struct gw_x_access){0};
	}
	return true;
}

static unsigned
left_to_try(struct gw_explorer *x, uint32_t d)
{
	const struct gw_x_node *node = &x->nodes[d];
	unsigned tasks = node->backtrack & node->enabled & ~(unsigned)node->done;

	if (x->search == GW_EXPLORE_DPOR)
		tasks &= ~(unsigned)node->sleep;
	if (x->search != GW_EXPLORE_PREEMPT)
		return tasks;
	for (unsigned t = 0; t < x->n_tasks; t++) {
		if (tasks & bit(t) && node->preemptions + cost(x, d, t) > x->bound) {
			tasks &= ~bit(t);
			x->bounded_out = true;
		}
	}
	return tasks;
}

/* The next path. False: there is none, or no memory. */
static bool
advance(struct gw_explorer *x)
{
	while (x->n_nodes > 0) {
		uint32_t d = x->n_nodes - 1;
		struct gw_x_node *node = &x->nodes[d];
		unsigned left;

		node->done |= (uint8_t)bit(node->chosen);
		if (x->search == GW_EXPLORE_DPOR && !put_to_sleep(x, node, d)) {
			x->no_memory = true;
			return false;
		}
		left = left_to_try(x, d);
		if (left) {
			node->chosen = (uint8_t)lowest(left);
			x->prefix = x->n_nodes;
			return true;
		}
		x->n_slept = node->n_slept;
		x->n_nodes--;
	}
	return false;
}

/* ---- running and counting ---- */

static bool
out_of_budget(struct gw_explorer *x)
{
	const struct gw_explore_options *o = x->options;
	double now;

	if (o->max_runs && x->result->runs >= o->max_runs)
		return true;
	if (x->n_events < 1000 && x->result->runs % 64)
		return false; /* a look at the clock costs a tenth of a small run */
	now = gw_x_seconds() - x->begun;
	if (o->progress && now >= x->next_progress) {
		x->next_progress = now + 0.5;
		o->progress(o->ctx, x->result, now);
	}
	return o->max_seconds > 0 && now >= o->max_seconds;
}

/* A finding: keep the first. */
static int
note_finding(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	struct gw_explore_result *r = x->result;

	if (r->findings++)
		return 0;
	r->kind = x->kind;
	memcpy(r->message, x->message, sizeof(r->message));
	r->runs_to_find = r->runs;
	r->seconds_to_find = gw_x_seconds() - x->begun;
	return gw_x_schedule_of_run(x, schedule);
}

/* One run. 1: the search is over; 0: go on; -ENOMEM. */
static int
run_once(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	gw_x_run(x);
	x->result->runs++;
	x->result->steps += x->n_events;
	x->result->cut += x->cut;
	if (x->n_events > x->longest)
		x->longest = x->n_events;
	if (x->no_memory)
		return -ENOMEM;
	if (!x->kind)
		return 0;
	if (note_finding(x, schedule))
		return -ENOMEM;
	return !x->options->keep_going;
}

/* All paths of one depth-first search. As run_once(), 0: all were tried; -EAGAIN: out of budget. */
static int
search_depth_first(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	x->n_nodes = x->prefix = x->n_slept = 0;
	for (;;) {
		int ret = run_once(x, schedule);

		if (ret)
			return ret;
		if (!advance(x))
			return x->no_memory ? -ENOMEM : 0;
		if (out_of_budget(x))
			return -EAGAIN;
	}
}

static int
search_preemptions(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	unsigned most =
		x->options->max_preemptions ? x->options->max_preemptions : DEFAULT_PREEMPTIONS;

	for (x->bound = 0;; x->bound++) {
		int ret;

		x->bounded_out = false;
		ret = search_depth_first(x, schedule);
		if (ret || !x->bounded_out)
			return ret;
		x->result->extent = GW_EXPLORE_BOUNDED;
		x->result->bound = x->bound;
		if (x->bound == most)
			return -EAGAIN;
	}
}

static int
search_random(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	x->random = x->options->seed;
	do {
		int ret;

		draw_priorities(x);
		ret = run_once(x, schedule);
		if (ret)
			return ret;
	} while (!out_of_budget(x));
	return -EAGAIN;
}

static int
search_all(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	int ret;

	x->mode = GW_X_SEARCH;
	x->longest = FIRST_LENGTH;
	x->result->extent = GW_EXPLORE_SAMPLED;
	if (x->search == GW_EXPLORE_PCT)
		ret = search_random(x, schedule);
	else if (x->search == GW_EXPLORE_PREEMPT)
		ret = search_preemptions(x, schedule);
	else
		ret = search_depth_first(x, schedule);
	if (ret == 0)
		x->result->extent = GW_EXPLORE_EXHAUSTED;
	return ret == -ENOMEM ? ret : 0;
}

/* ---- telling ---- */

/* Run the schedule once more, for the timeline. */
static int
tell(struct gw_explorer *x, const struct gw_x_schedule *schedule)
{
	struct gw_explore_result *r = x->result;

	x->mode = GW_X_STRICT;
	x->schedule = schedule;
	x->tracing = true;
	gw_x_run(x);
	x->tracing = x->sched.tracing = false;
	if (x->no_memory)
		return -ENOMEM;
	if (x->misfit)
		return -EINVAL;
	r->kind = x->kind;
	memcpy(r->message, x->message, sizeof(r->message));
	if (!x->kind)
		r->message[0] = 0;
	r->preemptions = x->preemptions;
	r->trace = x->trace;
	r->n_trace = x->n_trace;
	x->trace = NULL;
	r->schedule = gw_x_schedule_text(schedule);
	return r->schedule ? 0 : -ENOMEM;
}

static int
replay(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	int err = gw_x_schedule_parse(x->options->schedule, x->n_tasks, schedule);

	x->result->extent = GW_EXPLORE_REPLAYED;
	x->result->runs = 1;
	if (!err)
		err = tell(x, schedule);
	x->result->steps = x->n_events;
	x->result->findings = x->kind != GW_EXPLORE_NOTHING;
	return err;
}

int
gw_x_search(struct gw_explorer *x)
{
	struct gw_x_schedule schedule = {0};
	int err;

	if (x->options->schedule) {
		err = replay(x, &schedule);
	} else {
		err = search_all(x, &schedule);
		x->result->seconds = gw_x_seconds() - x->begun;
		if (!err && x->result->findings && !x->options->no_minimise)
			err = gw_x_minimise(x, &schedule);
		if (!err && x->result->findings)
			err = tell(x, &schedule);
	}
	gw_x_schedule_free(&schedule);
	return err;
}

/* ---- a whole search ---- */

static void
destroy(struct gw_explorer *x)
{
	gw_sched_now = NULL;
	if (x->machine)
		gw_x_machine_destroy(x);
	gw_x_arena_destroy(&x->arena);
	gw_sched_destroy(&x->sched);
	free(x->events);
	free(x->accesses);
	free(x->preds);
	free(x->objects);
	free(x->nodes);
	free(x->slept);
	free(x->names);
	free(x->entries.words);
	free(x->states.seen);
	free(x->trace);
	free(x);
}

static int
explore(struct gw_explorer *x)
{
	int err;

	err = gw_x_arena_init(&x->arena);
	if (!err)
		err = gw_sched_init(&x->sched, x->n_tasks);
	if (err)
		return err;
	gw_sched_now = &x->sched;
	gw_x_catch_signals();
	x->begun = gw_x_seconds();
	err = gw_x_setup(x);
	if (!err && x->kind) {
		x->result->findings = 1;
		x->result->kind = x->kind;
		memcpy(x->result->message, x->message, sizeof(x->message));
	} else if (!err) {
		err = gw_x_search(x);
	}
	gw_x_restore_signals();
	return err;
}

int
gw_explore_run(const struct gw_explore_scenario *scenario, const struct gw_explore_options *options,
	struct gw_explore_result *out)
{
	static const struct gw_explore_options defaults;
	struct gw_explorer *x;
	int err;

	*out = (struct gw_explore_result){.extent = GW_EXPLORE_SAMPLED};
	if (!scenario->tasks[0].run || gw_sched_now)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->scenario = scenario;
	x->options = options ? options : &defaults;
	x->result = out;
	x->search = x->options->search;
	x->max_steps = x->options->max_steps ? x->options->max_steps : DEFAULT_STEPS;
	while (x->n_tasks < GW_X_TASKS && scenario->tasks[x->n_tasks].run)
		x->n_tasks++;
	x->sched.hooks = &gw_x_hooks;
	x->sched.ctx = x;
	err = explore(x);
	destroy(x);
	return err;
}

void
gw_explore_result_free(struct gw_explore_result *result)
{
	for (size_t i = 0; i < result->n_trace; i++)
		free(result->trace[i].described);
	free(result->trace);
	free(result->schedule);
	*result = (struct gw_explore_result){0};
}

const char *
gw_explore_kind_name(enum gw_explore_kind kind)
{
	static const char *const names[] = {
		[GW_EXPLORE_NOTHING] = "nothing",
		[GW_EXPLORE_CHECK] = "wrong result",
		[GW_EXPLORE_BUG] = "broken invariant",
		[GW_EXPLORE_MACHINE] = "broken machine",
		[GW_EXPLORE_DEADLOCK] = "deadlock",
		[GW_EXPLORE_LOST_WAKE] = "lost wake-up",
		[GW_EXPLORE_LIVELOCK] = "livelock",
		[GW_EXPLORE_USE_FREED] = "use after free",
		[GW_EXPLORE_WILD] = "wild access",
		[GW_EXPLORE_STALE_TLB] = "stale translation",
		[GW_EXPLORE_LEAK] = "leak",
	};

	return names[kind];
}
