/* SPDX-License-Identifier: MIT */
/*
 * task.h - who runs: the task that enters the engine, and its CPU.
 *
 * Idea. Every thread that calls into a machine does so as a task of that machine, on one
 * of its CPUs: per-CPU page lists, LRU batches and counters are those of that CPU. Several
 * threads may share a CPU number; they then share its lists, under their locks.
 */
#ifndef GODWIT_TASK_H
#define GODWIT_TASK_H

#include "policy.h"
#include "types.h"

/* Owned by the caller, usually on its stack; its inside belongs to the engine. */
struct gw_task {
	struct gw_machine *machine;
	struct gw_task *outer; /* the task this thread had before, restored by detach */
	unsigned cpu;
	uint32_t wake;		 /* futex word of sleeps; an atomic inside engine/sync */
	uint32_t interrupted;	 /* an atomic inside engine/sync */
	uint32_t flags;		 /* GW_TASK_* */
	void *capture;		 /* a free block it waits for, inside engine/phys; or NULL */
	struct gw_policy policy; /* gw_task_set_policy() */
	unsigned rcu_depth;	 /* GW_CHECKS only */
	unsigned n_spinlocks;	 /* GW_CHECKS only: spinlocks held */
	uint16_t held[16];	 /* GW_CHECKS only: locks held, by enum gw_lock_rank */
};

/* Frees memory: its requests neither compact nor reclaim, its migrations wait for no page. */
#define GW_TASK_MEMALLOC 0x1
/* In a step of khugepaged: what is reclaimed for its requests counts as its. */
#define GW_TASK_KHUGEPAGED 0x2

/*
 * Make the calling thread run as `task` on CPU `cpu` of `machine`. Nests: detach restores the
 * thread's earlier task. Each thread attaches before its first call into a machine and
 * detaches after its last.
 *   cpu  below the machine's number of CPUs
 * Returns 0 or -EINVAL.
 */
GW_MUST_CHECK int gw_task_attach(struct gw_task *task, struct gw_machine *machine, unsigned cpu);
void gw_task_detach(struct gw_task *task);

/* Make killable waits of `task` return -EINTR, now and until cleared. Any thread. */
void gw_task_interrupt(struct gw_task *task);
void gw_task_clear_interrupt(struct gw_task *task);
bool gw_task_interrupted(const struct gw_task *task);

#endif
