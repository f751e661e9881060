/* SPDX-License-Identifier: MIT */
/*
 * minimise.c - the same finding with fewer preemptions, then in fewer steps.
 *
 * Idea. Replays are cheap, so try: leave a part of the schedule out, or move it next to another of
 * the same task, and keep what still finds the same kind. Until nothing helps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explore/explore_internal.h"

#define MOST_RUNS    50000
#define MOST_SECONDS 2.0

struct best {
	struct gw_explorer *x;
	struct gw_x_schedule *schedule;
	enum gw_explore_kind kind;
	uint32_t preemptions, steps;
	uint32_t runs;
	double deadline;
};

static bool
is_smaller(const struct gw_explorer *x, const struct best *b)
{
	if (x->preemptions != b->preemptions)
		return x->preemptions < b->preemptions;
	if (x->n_events != b->steps)
		return x->n_events < b->steps;
	return false;
}

/* Run it. 1: it finds the same, and is smaller: the best one from now on. 0; -ENOMEM. */
static int
try(struct best *b, const struct gw_x_schedule *schedule)
{
	struct gw_explorer *x = b->x;
	struct gw_x_schedule done = {0};

	if (b->runs++ >= MOST_RUNS || (b->runs % 64 == 0 && gw_x_seconds() > b->deadline)) {
		b->runs = MOST_RUNS;
		return 0;
	}
	x->mode = GW_X_LENIENT;
	x->schedule = schedule;
	gw_x_run(x);
	if (x->no_memory)
		return -ENOMEM;
	if (x->kind != b->kind || !is_smaller(x, b))
		return 0;
	if (gw_x_schedule_of_run(x, &done)) {
		gw_x_schedule_free(&done);
		return -ENOMEM;
	}
	gw_x_schedule_free(b->schedule);
	*b->schedule = done;
	b->preemptions = x->preemptions;
	b->steps = x->n_events;
	return 1;
}

/* The best schedule with part i put behind part j of its task (j < i), or, j == i, left out; with
 * `n` of its steps, the others staying where they are. */
static int
try_move(struct best *b, size_t i, size_t j, uint32_t n)
{
	const struct gw_x_schedule *from = b->schedule;
	struct gw_x_schedule to = {0};
	int ret = 0;

	for (size_t k = 0; k < from->n && !ret; k++) {
		const struct gw_x_part *part = &from->parts[k];
		uint32_t steps = k == i ? part->n - n : part->n;

		if (steps)
			ret = gw_x_schedule_add(&to, part->task, steps);
		if (!ret && k == j && j < i)
			ret = gw_x_schedule_add(&to, from->parts[i].task, n);
	}
	if (!ret)
		ret = try(b, &to);
	gw_x_schedule_free(&to);
	return ret;
}

/* One improvement of part i. 1: done; 0: there is none; -ENOMEM. */
static int
improve_part(struct best *b, size_t i)
{
	uint32_t n = b->schedule->parts[i].n;
	int ret = try_move(b, i, i, n);

	for (size_t j = i; !ret && j-- > 0;)
		if (b->schedule->parts[j].task == b->schedule->parts[i].task)
			ret = try_move(b, i, j, n);
	for (uint32_t less = n / 2; !ret && less > 0; less /= 2)
		ret = try_move(b, i, i, less);
	return ret;
}

/* Swapping part i with the next one lets it join its neighbours. */
static int
swap_parts(struct best *b, size_t i)
{
	const struct gw_x_schedule *from = b->schedule;
	struct gw_x_schedule to = {0};
	int ret = 0;

	for (size_t k = 0; k < from->n && !ret; k++) {
		size_t at = k == i ? i + 1 : k == i + 1 ? i : k;

		ret = gw_x_schedule_add(&to, from->parts[at].task, from->parts[at].n);
	}
	if (!ret)
		ret = try(b, &to);
	gw_x_schedule_free(&to);
	return ret;
}

static int
improve(struct best *b)
{
	int ret = 0;

	for (size_t i = 0; i < b->schedule->n && !ret; i++)
		ret = improve_part(b, i);
	for (size_t i = 0; i + 1 < b->schedule->n && !ret; i++)
		ret = swap_parts(b, i);
	return ret;
}

int
gw_x_minimise(struct gw_explorer *x, struct gw_x_schedule *schedule)
{
	struct best b = {
		.x = x,
		.schedule = schedule,
		.kind = x->result->kind,
		.preemptions = UINT32_MAX,
		.deadline = gw_x_seconds() + MOST_SECONDS,
	};
	struct gw_x_schedule copy = {0};
	int ret = 0;

	for (size_t i = 0; i < schedule->n && !ret; i++)
		ret = gw_x_schedule_add(&copy, schedule->parts[i].task, schedule->parts[i].n);
	if (!ret)
		ret = try(&b, &copy); /* what it is to be compared with */
	gw_x_schedule_free(&copy);
	while (ret == 1 && b.runs < MOST_RUNS)
		ret = improve(&b);
	return ret < 0 ? ret : 0;
}
