/* SPDX-License-Identifier: MIT */
/*
 * task.c - the current task of a fiber, and yielding.
 */
#include <string.h>

#include "engine/sync/sync.h"

void
gw_task_enter(struct gw_task *task, struct gw_machine *machine, unsigned cpu)
{
	GW_BUG_ON(machine, !gw_sched_now); /* tasks of this build run under gw_explore_run() */
	memset(task, 0, sizeof(*task));
	task->machine = machine;
	task->cpu = cpu;
	task->outer = gw_current();
	gw_sched_now->now->task = task;
}

void
gw_task_leave(struct gw_task *task)
{
	GW_BUG_ON(task->machine, gw_current() != task);
	GW_CHECK_ON(task->machine, task->rcu_depth != 0);
	for (unsigned i = 0; i < GW_RANK_NR; i++)
		GW_CHECK_ON(task->machine, i != GW_RANK_PAGE && task->held[i] != 0);
	gw_sched_now->now->task = task->outer;
}

void
gw_sync_bug(const char *message)
{
	if (gw_sched_now)
		gw_sched_now->hooks->bug(gw_sched_now->ctx, message);
	gw_bug(NULL, message);
}

void
gw_x_relax(const char *func, int line)
{
	gw_sched_point_op(&(struct gw_sched_op){
		.name = "relax", .func = func, .line = line, .relaxes = true});
}
