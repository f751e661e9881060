/* SPDX-License-Identifier: MIT */
/*
 * run.c - one run: memory as setup() left it, the tasks to their end in the order that the search
 * decides, the checks.
 *
 * Idea. What goes wrong ends the run where it stands: the fiber that found it is left and never
 * resumed (sched.h, P3).
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/explore_internal.h"

/* ---- findings ---- */

void
gw_x_found(struct gw_explorer *x, enum gw_explore_kind kind, const char *format, ...)
{
	va_list ap;

	x->kind = kind;
	va_start(ap, format);
	vsnprintf(x->message, sizeof(x->message), format, ap);
	va_end(ap);
	gw_sched_leave(&x->sched);
}

void
gw_x_give_up(struct gw_explorer *x)
{
	x->no_memory = true;
	gw_sched_leave(&x->sched);
}

static GW_NORETURN void
hook_bug(void *ctx, const char *message)
{
	gw_x_found(ctx, GW_EXPLORE_BUG, "%s", message);
}

static GW_NORETURN void
hook_stuck(void *ctx, const struct gw_sched_op *op)
{
	gw_x_found(ctx,
		op->missed && op->missed(op->arg) ? GW_EXPLORE_LOST_WAKE : GW_EXPLORE_DEADLOCK,
		"%s waits in %s, and no task is left that could end that", op->func, op->name);
}

static void
describe_blocked(struct gw_explorer *x, char *out, size_t size)
{
	size_t n = 0;

	for (unsigned t = 0; t < x->n_tasks && n < size; t++) {
		const struct gw_fiber *f = &x->sched.fibers[t];
		char object[sizeof(((struct gw_explore_step *)0)->object)];

		if (f->done)
			continue;
		gw_x_object_name(x, (uintptr_t)f->op.object, object, sizeof(object));
		n += (size_t)snprintf(out + n, size - n, "%s%s: %s%s%s in %s()", n ? "; " : "",
			x->scenario->tasks[t].name, f->op.name, *object ? " " : "", object,
			f->op.func);
	}
}

/* Nobody can go on. */
static void
found_stuck(struct gw_explorer *x)
{
	enum gw_explore_kind kind = GW_EXPLORE_DEADLOCK;
	char blocked[160] = "";

	for (unsigned t = 0; t < x->n_tasks; t++) {
		const struct gw_sched_op *op = &x->sched.fibers[t].op;

		if (x->sched.fibers[t].done)
			continue;
		if (op->missed && op->missed(op->arg))
			kind = GW_EXPLORE_LOST_WAKE;
		else if (op->relaxes && kind == GW_EXPLORE_DEADLOCK)
			kind = GW_EXPLORE_LIVELOCK;
	}
	describe_blocked(x, blocked, sizeof(blocked));
	gw_x_found(x, kind, "nobody can go on: %s", blocked);
}

/* ---- who can go on ---- */

static bool
spin_is_ready(struct gw_explorer *x, unsigned task)
{
	uint32_t by;

	return !gw_x_spin_idle(x, task) || x->spins[task] < x->scenario->spins ||
	       gw_x_spin_over(x, task, &by);
}

static bool
is_ready(struct gw_explorer *x, unsigned task)
{
	const struct gw_fiber *f = &x->sched.fibers[task];

	if (f->done)
		return false;
	if (f->op.relaxes)
		return spin_is_ready(x, task);
	return !f->op.ready || f->op.ready(f->op.arg);
}

/* The races of those who wait for a lock that never came free. */
static void
end_blocked(struct gw_explorer *x)
{
	for (unsigned t = 0; t < x->n_tasks; t++) {
		const struct gw_fiber *f = &x->sched.fibers[t];

		if (!f->done && f->op.ready && !f->op.missed)
			gw_x_order_blocked(x, t, (uintptr_t)f->op.object);
	}
}

/* ---- telling ---- */

static struct gw_explore_step *
told_step(struct gw_explorer *x)
{
	return x->tracing && x->n_trace ? &x->trace[x->n_trace - 1] : NULL;
}

static void GW_PRINTF(2, 3) hook_detail(void *ctx, const char *format, ...)
{
	struct gw_explore_step *step = told_step(ctx);
	va_list ap;

	if (!step || !((struct gw_explorer *)ctx)->open)
		return;
	va_start(ap, format);
	vsnprintf(step->detail, sizeof(step->detail), format, ap);
	va_end(ap);
}

static void
tell_begin(struct gw_explorer *x, unsigned task)
{
	const struct gw_sched_op *op = &x->sched.fibers[task].op;
	struct gw_explore_step *step;

	if (x->n_trace == x->room_trace) {
		size_t room = x->room_trace ? 2 * x->room_trace : 64;
		void *more = realloc(x->trace, room * sizeof(*x->trace));

		if (!more)
			gw_x_give_up(x);
		x->trace = more;
		x->room_trace = room;
	}
	step = &x->trace[x->n_trace++];
	memset(step, 0, sizeof(*step));
	step->task = task;
	step->op = op->name;
	step->func = op->func ? op->func : "";
	step->line = op->line;
	gw_x_object_name(x, (uintptr_t)op->object, step->object, sizeof(step->object));
}

/* What the state is like after the step. */
static void
tell_end(struct gw_explorer *x)
{
	struct gw_explore_step *step = told_step(x);
	char line[sizeof(x->described)] = "";

	if (!step || !x->scenario->describe)
		return;
	x->scenario->describe(x->state, line, sizeof(line));
	if (strcmp(line, x->described) == 0)
		return;
	memcpy(x->described, line, sizeof(line));
	step->described = strdup(line);
}

/* ---- steps ---- */

static void
look(struct gw_explorer *x)
{
	x->sched.points = x->sched.watched = false;
	if (x->scenario->invariant)
		x->scenario->invariant(x->state);
	if (x->tracing)
		tell_end(x);
	x->sched.points = x->sched.watched = true;
}

static void
begin_step(struct gw_explorer *x, unsigned task)
{
	bool relaxes = x->sched.fibers[task].op.relaxes;
	uint32_t by;

	if (relaxes && gw_x_spin_idle(x, task)) {
		bool over = gw_x_spin_over(x, task, &by);

		gw_x_order_begin(x, task, true);
		x->spins[task] = over ? 0 : x->spins[task] + 1;
		if (over)
			gw_x_order_after(x, by);
	} else {
		gw_x_order_begin(x, task, relaxes);
		if (relaxes)
			x->spins[task] = 0;
	}
	if (relaxes)
		x->relaxed[task] = x->n_events;
	if (x->tracing)
		tell_begin(x, task);
}

static int
hook_choose(void *ctx)
{
	struct gw_explorer *x = ctx;
	unsigned enabled = 0, waiting = 0;
	int next;

	if (x->alone)
		return -1;
	if (x->open) {
		gw_x_order_end(x);
		if (x->scenario->invariant || x->tracing)
			look(x);
		if (x->machine)
			gw_x_invariants_check(x);
	}
	for (unsigned t = 0; t < x->n_tasks; t++) {
		waiting |= x->sched.fibers[t].done ? 0 : 1u << t;
		enabled |= is_ready(x, t) ? 1u << t : 0;
	}
	if (!waiting)
		return -1;
	if (!enabled) {
		end_blocked(x);
		found_stuck(x);
	}
	if (x->n_events >= x->max_steps)
		gw_x_found(x, GW_EXPLORE_LIVELOCK, "the run has no end: given up after %u steps",
			x->max_steps);
	next = gw_x_decide(x, enabled);
	if (next >= 0)
		begin_step(x, (unsigned)next);
	return next;
}

static void
hook_access(void *ctx, const volatile void *address, size_t bytes, unsigned how)
{
	struct gw_explorer *x = ctx;
	const char *caller = x->alone ? "check" : x->sched.now->op.func;
	uintptr_t at = (uintptr_t)address;

	if (gw_x_arena_has(&x->arena, at)) {
		const struct gw_x_block *block = gw_x_arena_block(&x->arena, at);
		char name[48];

		if (!block || block->freed) {
			gw_x_object_name(x, at, name, sizeof(name));
			gw_x_found(x, block ? GW_EXPLORE_USE_FREED : GW_EXPLORE_WILD,
				"%s uses %s, which %s", caller, name,
				block ? "was freed" : "nobody allocated");
		}
	} else if (x->machine) {
		gw_pfn_t pfn;

		if (!gw_x_machine_access(x, at, how & GW_CHANGES, &pfn))
			gw_x_found(x, GW_EXPLORE_USE_FREED,
				"%s uses the bytes of frame %u, which is free", caller, pfn);
	}
	if (!x->alone)
		gw_x_order_access(x, at, (uint32_t)bytes, how);
}

const struct gw_sched_hooks gw_x_hooks = {
	.choose = hook_choose,
	.access = hook_access,
	.detail = hook_detail,
	.bug = hook_bug,
	.stuck = hook_stuck,
};

/* ---- signals ---- */

static const int caught[] = {SIGSEGV, SIGBUS, SIGILL};
#define N_CAUGHT (sizeof(caught) / sizeof(caught[0]))

static _Thread_local struct sigaction actions_before[N_CAUGHT];
static _Thread_local stack_t stack_before;
static _Thread_local char *signal_stack;

static void
on_signal(int number, siginfo_t *info, void *context)
{
	struct gw_sched *s = gw_sched_now;

	(void)context;
	if (!s) { /* not ours: as it would have been */
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	if (number == SIGILL)
		gw_x_found(s->ctx, GW_EXPLORE_BUG, "a broken invariant, found outside any machine");
	if (gw_sched_in_guard(s, info->si_addr))
		gw_x_found(s->ctx, GW_EXPLORE_WILD, "the task's stack is too small");
	gw_x_found(s->ctx, GW_EXPLORE_WILD, "an access to %p after %s() in %s", info->si_addr,
		s->now->op.name, s->now->op.func ? s->now->op.func : "?");
}

void
gw_x_catch_signals(void)
{
	const size_t bytes = (size_t)64 << 10;
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t stack = {.ss_size = bytes};

	signal_stack = malloc(bytes);
	stack.ss_sp = signal_stack;
	if (!signal_stack || sigaltstack(&stack, &stack_before))
		return; /* then a wild access ends the process, as it would without us */
	action.sa_sigaction = on_signal;
	sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &action, &actions_before[i]);
}

void
gw_x_restore_signals(void)
{
	for (unsigned i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &actions_before[i], NULL);
	sigaltstack(&stack_before, NULL);
	free(signal_stack);
	signal_stack = NULL;
}

/* ---- runs ---- */

static void
attach(struct gw_explorer *x, struct gw_fiber *f, unsigned cpu)
{
	f->own.machine = gw_x_machine_of(x);
	f->own.cpu = cpu;
}

/* Run a function on the lone fiber, without scheduling. */
static void
run_alone(struct gw_explorer *x, void (*run)(void *arg))
{
	struct gw_fiber *f = &x->sched.fibers[GW_SCHED_ALONE];

	gw_sched_prepare(f, run, x);
	attach(x, f, 0);
	x->alone = true;
	x->sched.points = false;
	x->sched.watched = true; /* what was freed, and which frames change */
	gw_sched_enter(&x->sched, GW_SCHED_ALONE);
	x->alone = false;
}

static void
setup_main(void *arg)
{
	struct gw_explorer *x = arg;

	x->setup_error = x->scenario->setup(x->state);
}

int
gw_x_setup(struct gw_explorer *x)
{
	x->state = gw_x_arena_alloc(&x->arena, GW_X_REGION_SETUP,
		x->scenario->state_size ? x->scenario->state_size : 1, 64);
	if (!x->state)
		return -ENOMEM;
	x->in_setup = true;
	gw_sched_reset(&x->sched);
	if (x->scenario->setup)
		run_alone(x, setup_main);
	x->in_setup = false;
	if (x->kind || x->setup_error)
		return x->setup_error;
	if (gw_x_arena_keep(&x->arena) || (x->machine && gw_x_machine_keep(x)))
		return -ENOMEM;
	return 0;
}

static void
check_memory(struct gw_explorer *x)
{
	const struct gw_x_block *block = gw_x_arena_overwritten(&x->arena);
	size_t due = x->scenario->teardown ? 0 : x->arena.image_live;
	char name[48];

	if (block) {
		gw_x_object_name(x, (uintptr_t)block->start, name, sizeof(name));
		gw_x_found(x, GW_EXPLORE_USE_FREED, "%s was written to after it was freed", name);
	}
	if (x->scenario->teardown)
		due = x->machine ? 2 : 1; /* the state itself, and TLBs */
	else if (x->scenario->grows)
		return;
	if (x->arena.live > due)
		gw_x_found(x, GW_EXPLORE_LEAK, "%zu blocks of memory in use at the end, not %zu",
			x->arena.live, due);
}

static void
end_main(void *arg)
{
	struct gw_explorer *x = arg;

	if (!x->tracing)
		gw_x_states_note(x);
	if (x->scenario->check)
		x->scenario->check(x->state);
	if (x->machine && !x->scenario->no_machine_check)
		gw_x_machine_check(x);
	if (x->options->outcome && !x->tracing)
		x->options->outcome(x->options->ctx, x->state);
	if (x->scenario->teardown)
		x->scenario->teardown(x->state);
	check_memory(x);
}

static void
reset(struct gw_explorer *x)
{
	x->run++;
	x->n_events = x->n_accesses = x->n_objects = x->n_preds = 0;
	x->entries.n = 0;
	x->open = x->cut = false;
	x->preemptions = 0;
	x->kind = GW_EXPLORE_NOTHING;
	memset(x->clock, 0, sizeof(x->clock));
	memset(x->relaxed, 0, sizeof(x->relaxed));
	memset(x->spins, 0, sizeof(x->spins));
	x->part = x->part_done = 0;
	x->misfit = false;
	x->described[0] = 0;
	gw_x_arena_reset(&x->arena);
	if (x->machine)
		gw_x_machine_reset(x);
	gw_sched_reset(&x->sched);
}

static void
task_main(void *arg)
{
	struct gw_explorer *x = gw_x_now();
	const struct gw_explore_task *task = arg;

	task->run(x->state);
}

void
gw_x_run(struct gw_explorer *x)
{
	int first;

	reset(x);
	for (unsigned t = 0; t < x->n_tasks; t++) {
		const struct gw_explore_task *task = &x->scenario->tasks[t];

		gw_sched_prepare(&x->sched.fibers[t], task_main, (void *)(uintptr_t)task);
		attach(x, &x->sched.fibers[t], task->cpu);
	}
	x->sched.tracing = x->tracing;
	x->sched.points = x->sched.watched = true;
	first = hook_choose(x);
	if (first >= 0)
		gw_sched_enter(&x->sched, (unsigned)first);
	if (!x->kind && !x->cut && !x->no_memory && !x->misfit)
		run_alone(x, end_main);
	x->sched.points = x->sched.watched = false;
}

/* ---- for scenarios ---- */

static unsigned
region_of_caller(const struct gw_explorer *x)
{
	unsigned fiber = gw_sched_current(&x->sched);

	if (x->in_setup)
		return GW_X_REGION_SETUP;
	return fiber == GW_SCHED_ALONE ? GW_X_REGION_ALONE : GW_X_REGION_TASK + fiber;
}

void *
gw_explore_alloc(size_t bytes)
{
	struct gw_explorer *x = gw_x_now();

	return gw_x_arena_alloc(&x->arena, region_of_caller(x), bytes ? bytes : 1, 64);
}

void
gw_explore_free(void *p)
{
	struct gw_explorer *x = gw_x_now();
	const struct gw_x_block *block;

	if (!p)
		return;
	block = gw_x_arena_free(&x->arena, p);
	if (!block)
		gw_x_found(x, GW_EXPLORE_USE_FREED, "%p is freed, which is no block in use", p);
	if (x->sched.watched && !x->alone)
		gw_x_order_access(x, (uintptr_t)p,
			block->bytes > sizeof(uint64_t) ? block->bytes : sizeof(uint64_t) + 1,
			GW_CHANGES);
}

void
gw_explore_access_(const volatile void *address, bool write, const char *func, int line)
{
	gw_sched_point(write ? "write" : "read", address, func, line);
	gw_sched_access(address, 1, write ? GW_CHANGES : GW_SEES);
}

void
gw_explore_fail(const char *format, ...)
{
	char message[GW_MESSAGE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	gw_x_found(gw_x_now(), GW_EXPLORE_CHECK, "%s", message);
}

void
gw_explore_note(const char *format, ...)
{
	struct gw_explore_step *step = told_step(gw_x_now());
	va_list ap;

	if (!step || !gw_x_now()->open)
		return;
	va_start(ap, format);
	vsnprintf(step->note, sizeof(step->note), format, ap);
	va_end(ap);
}

struct gw_task *
gw_explore_task(unsigned task)
{
	return gw_x_now()->sched.fibers[task].task;
}
