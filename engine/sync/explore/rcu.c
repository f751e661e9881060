/* SPDX-License-Identifier: MIT */
/*
 * rcu.c - RCU read sections and deferred frees.
 *
 * Idea. A deferred free runs as soon as the rules allow: in the step that defers it if nobody is
 * inside a section, else in the step in which the last of those leaves who were inside. What
 * comes later in another implementation comes later here in another schedule.
 */
#include "engine/sync/sync.h"

/* Of the sections and deferrals of a search, the one place. */
static const volatile void *
place(void)
{
	return &gw_sched_now->deferred_first;
}

static uint32_t
this_reader(void)
{
	return UINT32_C(1) << gw_sched_current(gw_sched_now);
}

void
gw_x_rcu_read_lock(const char *func, int line)
{
	struct gw_task *task = gw_current();

	if (!task) {
		gw_sync_bug("an RCU section without a task");
		return;
	}
	gw_sched_point("rcu_read_lock", place(), func, line);
	gw_sched_access(place(), 1, GW_SEES);
	task->rcu_depth++;
	gw_sched_now->now->rcu_depth++;
}

/* Part of the step: nobody else runs in it, and it has no task. */
static void
run_deferred(gw_rcu_head *head)
{
	struct gw_sched *s = gw_sched_now;
	struct gw_task *task = s->now->task;
	bool points = s->points;

	s->points = false;
	s->now->task = NULL;
	head->fn(head);
	s->now->task = task;
	s->points = points;
}

static void
leave(struct gw_sched *s)
{
	gw_rcu_head *head = s->deferred_first, *prev = NULL, *next;

	for (; head; head = next) {
		next = head->next;
		head->readers &= ~this_reader();
		if (head->readers) {
			prev = head;
			continue;
		}
		gw_sched_access(place(), 1, GW_CHANGES);
		if (prev)
			prev->next = next;
		else
			s->deferred_first = next;
		if (s->deferred_last == head)
			s->deferred_last = prev;
		run_deferred(head);
	}
}

void
gw_x_rcu_read_unlock(void)
{
	struct gw_sched *s = gw_sched_now;
	struct gw_task *task = gw_current();

	if (!task || task->rcu_depth == 0) {
		gw_sync_bug("the end of an RCU section that did not begin");
		return;
	}
	gw_sched_access(place(), 1, GW_SEES);
	task->rcu_depth--;
	if (--s->now->rcu_depth == 0)
		leave(s);
}

void
gw_x_rcu_defer(gw_rcu_head *head, void (*fn)(gw_rcu_head *head), const char *func, int line)
{
	struct gw_sched *s = gw_sched_now;

	gw_sched_point("rcu_defer", place(), func, line);
	gw_sched_access(place(), 1, GW_CHANGES);
	*head = (gw_rcu_head){.fn = fn};
	for (unsigned i = 0; i <= GW_SCHED_TASKS; i++)
		if (s->fibers[i].rcu_depth)
			head->readers |= UINT32_C(1) << i;
	if (!head->readers) {
		run_deferred(head);
		return;
	}
	if (s->deferred_last)
		s->deferred_last->next = head;
	else
		s->deferred_first = head;
	s->deferred_last = head;
}

static bool
nothing_deferred(void *arg)
{
	(void)arg;
	return !gw_sched_now->deferred_first;
}

void
gw_x_rcu_barrier(const char *func, int line)
{
	gw_might_sleep();
	gw_sched_point_op(&(struct gw_sched_op){
		.name = "rcu_barrier",
		.object = place(),
		.func = func,
		.line = line,
		.ready = nothing_deferred,
	});
	gw_sched_access(place(), 1, GW_SEES | GW_WAITED);
}
