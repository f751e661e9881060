/* SPDX-License-Identifier: MIT */
/*
 * order.c - which steps depend on which: happens-before, races, source sets.
 *
 * Idea. Two steps depend on each other if they touch the same place and one of them changes it.
 * Each event has a vector clock: the last event of every task that happened before it, through
 * such dependencies and the order of its own task. Two dependent events with nothing between them
 * race: there is another schedule in which they come the other way round, and the search must try
 * it (Abdulla, Aronis, Jonsson, Sagonas: Optimal dynamic partial order reduction, POPL 2014; source
 * sets). All other schedules are equal to one that is tried.
 *
 *   O1  what a step touches is known only when it is over, so races are looked for then
 *   O2  whoever waited for a lock cannot have come before it was given back, but before it was
 *       taken: a waited-for taking races with the taking before it, not with the giving back
 *   O3  the freeing of a block depends on every access to it
 */
#include <stdlib.h>
#include <string.h>

#include "explore/explore_internal.h"

static bool
both_commute(unsigned a, unsigned b)
{
	if ((a | b) & GW_CHANGES)
		return false;
	return (a & GW_ADDS) == (b & GW_ADDS);
}

bool
gw_x_conflict(const struct gw_x_access *a, uint32_t n_a, const struct gw_x_access *b, uint32_t n_b)
{
	for (uint32_t i = 0; i < n_a; i++) {
		for (uint32_t j = 0; j < n_b; j++) {
			if (a[i].bytes == 0 || b[j].bytes == 0)
				return true;
			if (a[i].start < b[j].start + b[j].bytes &&
				b[j].start < a[i].start + a[i].bytes &&
				!both_commute(a[i].how, b[j].how))
				return true;
		}
	}
	return false;
}

/* ---- what happened to a place ---- */

static struct gw_x_object *
slot_of(const struct gw_explorer *x, uintptr_t address)
{
	uint32_t i = (uint32_t)((uint64_t)address * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	for (;; i++) {
		struct gw_x_object *o = &x->objects[i & (x->room_objects - 1)];

		if (o->run != x->run || o->address == address)
			return o;
	}
}

/* Twice as many slots. False: no memory. */
static bool
rehash(struct gw_explorer *x)
{
	struct gw_x_object *old = x->objects;
	uint32_t n = x->room_objects;

	x->room_objects = n ? 2 * n : 256;
	x->objects = calloc(x->room_objects, sizeof(*x->objects));
	if (!x->objects) {
		x->objects = old;
		x->room_objects = n;
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		if (old[i].run == x->run)
			*slot_of(x, old[i].address) = old[i];
	free(old);
	return true;
}

static struct gw_x_object *
object_of(struct gw_explorer *x, uintptr_t address)
{
	struct gw_x_object *o;

	if (2 * x->n_objects >= x->room_objects && !rehash(x))
		gw_x_give_up(x);
	o = slot_of(x, address);
	if (o->run != x->run) {
		memset(o, 0, sizeof(*o));
		o->address = address;
		o->run = x->run;
		x->n_objects++;
	}
	return o;
}

/* `event` is index + 1; 0: there is none. */
static void
add_pred(struct gw_explorer *x, uint32_t event, bool joins, bool races, bool takes)
{
	if (event == 0 || x->events[event - 1].task == x->events[x->n_events - 1].task)
		return;
	if (!gw_x_grow(&x->preds, &x->room_preds, x->n_preds, sizeof(*x->preds)))
		gw_x_give_up(x);
	x->preds[x->n_preds++] = (struct gw_x_pred){
		.event = event - 1, .joins = joins, .races = races, .takes = takes};
}

static void
add_preds(struct gw_explorer *x, const uint32_t *by_task, bool joins, bool races, bool takes)
{
	for (unsigned t = 0; t < x->n_tasks; t++)
		add_pred(x, by_task[t], joins, races, takes);
}

/* The step depends on what others did to the object. */
static void
depend(struct gw_explorer *x, const struct gw_x_object *o, unsigned how)
{
	bool races = !(how & GW_WAITED); /* O2 */

	add_pred(x, o->changed, true, races, false);
	if (how & GW_CHANGES || !(how & GW_ADDS))
		add_preds(x, o->added, true, races, false);
	if (how & (GW_CHANGES | GW_ADDS))
		add_preds(x, o->seen, true, races, false);
	if (races || !(how & GW_TAKES))
		return;
	add_pred(x, o->taken, false, true, true);
	if (how & GW_CHANGES)
		add_preds(x, o->shared, false, true, true);
}

static void
remember(struct gw_explorer *x, struct gw_x_object *o, unsigned how)
{
	uint32_t event = x->n_events;
	unsigned task = x->events[event - 1].task;

	if (how & GW_CHANGES) {
		o->changed = event;
		memset(o->seen, 0, sizeof(o->seen));
		memset(o->added, 0, sizeof(o->added));
	} else if (how & GW_ADDS) {
		o->added[task] = event;
	} else {
		o->seen[task] = event;
	}
	if (!(how & GW_TAKES))
		return;
	if (how & GW_CHANGES) {
		o->taken = event;
		memset(o->shared, 0, sizeof(o->shared));
	} else {
		o->shared[task] = event;
	}
}

/* The block that the step touches, or frees (O3). */
static void
depend_on_block(struct gw_explorer *x, uintptr_t start, bool frees)
{
	struct gw_x_block *block;

	if (!gw_x_arena_has(&x->arena, start))
		return;
	block = gw_x_arena_block(&x->arena, start);
	if (!block)
		return;
	if (block->run != x->run) {
		memset(block->last, 0, sizeof(block->last));
		block->run = x->run;
	}
	if (frees)
		add_preds(x, block->last, true, true, false);
	block->last[x->events[x->n_events - 1].task] = x->n_events;
}

void
gw_x_order_access(struct gw_explorer *x, uintptr_t start, uint32_t bytes, unsigned how)
{
	bool frees = bytes > sizeof(uint64_t) && gw_x_arena_has(&x->arena, start);
	struct gw_x_object *o;

	if (!gw_x_grow(&x->accesses, &x->room_accesses, x->n_accesses, sizeof(*x->accesses)))
		gw_x_give_up(x);
	x->accesses[x->n_accesses++] =
		(struct gw_x_access){.start = start, .bytes = bytes, .how = how};
	x->events[x->n_events - 1].n++;
	depend_on_block(x, start, frees);
	if (frees)
		return;
	o = object_of(x, start);
	depend(x, o, how);
	remember(x, o, how);
}

void
gw_x_order_after(struct gw_explorer *x, uint32_t event)
{
	add_pred(x, event + 1, true, false, false);
}

/* ---- events ---- */

void
gw_x_order_begin(struct gw_explorer *x, unsigned task, bool relaxes)
{
	struct gw_x_event *e;

	if (!gw_x_grow(&x->events, &x->room_events, x->n_events, sizeof(*x->events)))
		gw_x_give_up(x);
	e = &x->events[x->n_events++];
	e->task = (uint8_t)task;
	e->relaxes = relaxes;
	e->first = x->n_accesses;
	e->n = 0;
	memcpy(e->clock, x->clock[task], sizeof(e->clock));
	x->n_preds = 0;
	x->open = true;
}

static bool
before(const struct gw_explorer *x, uint32_t event, const uint32_t *clock)
{
	return clock[x->events[event].task] > event;
}

/* Does another predecessor stand between the two? */
static bool
is_passed_on(const struct gw_explorer *x, const struct gw_x_pred *pred)
{
	for (uint32_t i = 0; i < x->n_preds; i++) {
		uint32_t other = x->preds[i].event;

		if (x->preds[i].joins && other != pred->event &&
			before(x, pred->event, x->events[other].clock))
			return true;
	}
	return false;
}

static bool
is_race(const struct gw_explorer *x, const struct gw_x_pred *pred, const uint32_t *clock)
{
	if (!pred->races || before(x, pred->event, clock))
		return false;
	return pred->takes || !is_passed_on(x, pred);
}

void
gw_x_order_end(struct gw_explorer *x)
{
	uint32_t event = x->n_events - 1, was[GW_X_TASKS];
	struct gw_x_event *e = &x->events[event];

	x->open = false;
	memcpy(was, e->clock, sizeof(was));
	for (uint32_t i = 0; i < x->n_preds; i++) {
		const uint32_t *clock = x->events[x->preds[i].event].clock;

		for (unsigned t = 0; x->preds[i].joins && t < x->n_tasks; t++)
			if (clock[t] > e->clock[t])
				e->clock[t] = clock[t];
	}
	e->clock[e->task] = event + 1;
	memcpy(x->clock[e->task], e->clock, sizeof(e->clock));
	if (event + 1 < x->prefix)
		return; /* found when the path came here first */
	for (uint32_t i = 0; i < x->n_preds; i++)
		if (is_race(x, &x->preds[i], was))
			gw_x_race(x, x->preds[i].event, event);
}

void
gw_x_order_blocked(struct gw_explorer *x, unsigned task, uintptr_t lock)
{
	gw_x_order_begin(x, task, false);
	depend(x, object_of(x, lock), GW_CHANGES | GW_TAKES | GW_WAITED);
	gw_x_order_end(x);
	x->n_events--; /* it did not happen */
}

unsigned
gw_x_initials(const struct gw_explorer *x, uint32_t event, uint32_t later)
{
	uint32_t first[GW_X_TASKS] = {0}; /* event + 1 of each task's first one among them */
	unsigned initials = 0;

	for (uint32_t i = event + 1; i <= later; i++) {
		const struct gw_x_event *e = &x->events[i];
		bool leads = !first[e->task];

		if (i != later && before(x, event, e->clock))
			continue;
		for (unsigned t = 0; leads && t < x->n_tasks; t++)
			leads = t == e->task || !first[t] || e->clock[t] < first[t];
		if (leads)
			initials |= 1u << e->task;
		if (!first[e->task])
			first[e->task] = i + 1;
	}
	return initials;
}

/* ---- spinning ---- */

bool
gw_x_spin_idle(const struct gw_explorer *x, unsigned task)
{
	uint32_t since = x->relaxed[task];

	if (!since)
		return false;
	for (uint32_t i = since - 1; i < x->n_events; i++) {
		const struct gw_x_event *e = &x->events[i];

		for (uint32_t j = 0; e->task == task && j < e->n; j++) {
			unsigned how = x->accesses[e->first + j].how;

			if (how & GW_CHANGES && !(how & GW_LOCKING))
				return false;
		}
	}
	return true;
}

/* The last event by others that changed what the access of `task` saw, or 0. */
static uint32_t
changed_by_others(const struct gw_x_object *o, const struct gw_explorer *x, unsigned task)
{
	uint32_t last = 0;

	if (o->changed && x->events[o->changed - 1].task != task)
		last = o->changed;
	for (unsigned t = 0; t < x->n_tasks; t++)
		if (t != task && o->added[t] > last)
			last = o->added[t];
	return last;
}

bool
gw_x_spin_over(const struct gw_explorer *x, unsigned task, uint32_t *by)
{
	for (uint32_t i = x->relaxed[task] - 1; i < x->n_events; i++) {
		const struct gw_x_event *e = &x->events[i];

		for (uint32_t j = 0; e->task == task && j < e->n; j++) {
			const struct gw_x_access *access = &x->accesses[e->first + j];
			const struct gw_x_object *o = slot_of(x, access->start);
			uint32_t last;

			if (access->how & (GW_CHANGES | GW_ADDS) || o->run != x->run)
				continue;
			last = changed_by_others(o, x, task);
			if (last > i + 1) {
				*by = last - 1;
				return true;
			}
		}
	}
	return false;
}
