/* SPDX-License-Identifier: MIT */
/*
 * local_lru_drain.c - a fault waits for other CPUs with the lock that these wait for (FACTS R13,
 * D21).
 *
 * History. Migration began by having every CPU drain its LRU batch, as work that it waited for.
 * Memory is compacted in the midst of page faults, with mmap_sem held; and what a CPU does before
 * it comes to that work may want mmap_sem (found by lockdep; Mel Gorman, memory compaction
 * v8, 2010: it drains its own CPU's batch only).
 */
#include <stdio.h>

#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct state {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	int err;
};

/* The page waits in CPU 1's batch. */
static int
setup(void *arg)
{
	struct state *s = arg;
	struct gw_task worker;
	int err = gw_small_machine(2, &s->m);

	if (err)
		return err;
	s->m->config.lru_batch = 2;
	err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = gw_mmap(s->mm, 0, GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, &s->addr);
	if (!err)
		err = gw_task_attach(&worker, s->m, 1);
	if (err)
		return err;
	err = gw_cpu_store(s->mm, s->addr, 42);
	gw_task_detach(&worker);
	return err;
}

/* A fault that wants a huge page: compaction under the mmap lock. */
static void
fault(void *arg)
{
	struct state *s = arg;
	const struct gw_compact_request request = {
		.order = -1, .mode = GW_MIGRATE_ASYNC, .whole_zone = true, .stop_at = 1};

	gw_rw_read_lock(&s->mm->mmap_lock);
	(void)gw_compact_zone(s->m, 0, &request, NULL);
	gw_rw_read_unlock(&s->mm->mmap_lock);
}

/* What CPU 1 has to do, one after the other. */
static void
work(void *arg)
{
	struct state *s = arg;

	s->err = gw_munmap(s->mm, s->addr, GW_PAGE_SIZE);
	gw_lru_add_drain(s->m);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err == 0);
	gw_explore_check(s->m->lru_batches[1].n == 0);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_mm_put(s->mm);
	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;
	const struct gw_lru_batch *batch = &s->m->lru_batches[1];

	snprintf(line, size, "CPU 1's batch: %u page%s", batch->n, batch->n == 1 ? "" : "s");
}

const struct gw_explore_scenario gw_scenario_local_lru_drain = {
	.name = "local-lru-drain",
	.row = "R13, D21",
	.without = GW_WITHOUT(GW_FIX_LOCAL_LRU_DRAIN),
	.story =
		"a fault compacts, waits for every CPU's batch to drain, and one of the CPUs waits "
		"for the fault",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "fault", .run = fault}, {.name = "CPU 1", .run = work, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
