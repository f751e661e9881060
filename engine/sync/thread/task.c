/* SPDX-License-Identifier: MIT */
/*
 * task.c - the current task of a thread, its interruption, and yielding.
 *
 * Idea. A thread-local pointer names the innermost task; tasks of other machines that the
 * thread runs as meanwhile hang below it by `outer`. The outermost task registers the thread
 * with RCU and the last one to leave takes it off.
 *
 * Interruption and sleep. The sleeper clears task->wake, then reads task->interrupted; the
 * interrupter sets interrupted, then sets wake. All four are sequentially consistent, so
 * either the sleeper sees the interruption or its futex finds wake changed.
 */
#include <sched.h>
#include <string.h>

#include "engine/sync/sync.h"
#include "engine/sync/thread/futex_internal.h"
#include "engine/sync/thread/rcu_internal.h"

_Static_assert(GW_RANK_NR <= sizeof(((struct gw_task *)0)->held) / sizeof(uint16_t),
	"a task counts the locks it holds, by rank");

/* The busy rounds of gw_relax() between two yields: about a microsecond. */
#define SPINS_PER_YIELD 32

_Thread_local struct gw_task *gw_current_task;
static _Thread_local unsigned relax_count;

void
gw_task_enter(struct gw_task *task, struct gw_machine *machine, unsigned cpu)
{
	memset(task, 0, sizeof(*task));
	task->machine = machine;
	task->cpu = cpu;
	task->outer = gw_current_task;
	if (!task->outer)
		gw_rcu_thread_enter();
	gw_current_task = task;
}

void
gw_task_leave(struct gw_task *task)
{
	GW_BUG_ON(task->machine, gw_current_task != task);
	GW_CHECK_ON(task->machine, task->rcu_depth != 0);
	for (unsigned i = 0; i < GW_RANK_NR; i++)
		GW_CHECK_ON(task->machine, i != GW_RANK_PAGE && task->held[i] != 0);
	gw_current_task = task->outer;
	if (!task->outer)
		gw_rcu_thread_leave();
}

void
gw_task_interrupt(struct gw_task *task)
{
	__atomic_store_n(&task->interrupted, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&task->wake, WAKE_KICKED, __ATOMIC_SEQ_CST);
	futex_wake(&task->wake);
}

void
gw_task_clear_interrupt(struct gw_task *task)
{
	__atomic_store_n(&task->interrupted, 0, __ATOMIC_RELAXED);
}

bool
gw_task_interrupted(const struct gw_task *task)
{
	return __atomic_load_n(&task->interrupted, __ATOMIC_SEQ_CST) != 0;
}

void
gw_sync_bug(const char *message)
{
	gw_bug(gw_current_task ? gw_current_task->machine : NULL, message);
}

void
gw_relax(void)
{
	if (++relax_count % SPINS_PER_YIELD == 0) {
		sched_yield(); /* who we wait for may be waiting for this CPU */
		return;
	}
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}
