/* SPDX-License-Identifier: MIT */
/*
 * atomic_counters.c - two tasks count the same event on one CPU (FACTS R14, D24).
 *
 * History. Compaction counted its events with the form that loads a CPU's counter, adds, and stores
 * it, in code that may be preempted there. Whoever ran on that CPU meanwhile and counted, too, had
 * counted for nothing (review of Mel Gorman's memory compaction v8, 2010: the form that is
 * one operation).
 */
#include <stdio.h>

#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_machine *m;
	uint64_t scanned[2]; /* by each compaction */
};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_frames_machine(4, 1, 1, &s->m);

	if (!err)
		gw_explore_name(s->m->events.rows, GW_VM_NR * sizeof(*s->m->events.rows),
			"CPU 0's counters");
	return err;
}

static void
compact(struct state *s, unsigned task)
{
	const struct gw_compact_request request = {
		.order = -1, .mode = GW_MIGRATE_SYNC, .whole_zone = true, .ignore_skip = true};
	struct gw_compact_stats stats;

	(void)gw_compact_zone(s->m, 0, &request, &stats);
	s->scanned[task] = stats.migrate_scanned;
}

static void
compact_first(void *arg)
{
	compact(arg, 0);
}

static void
compact_second(void *arg)
{
	compact(arg, 1);
}

static void
check(void *arg)
{
	struct state *s = arg;
	uint64_t counted = gw_machine_count(s->m, GW_VM_COMPACT_MIGRATE_SCANNED);

	gw_explore_check(counted == s->scanned[0] + s->scanned[1]);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	snprintf(line, size, "compact_migrate_scanned: %llu",
		(unsigned long long)gw_machine_count(s->m, GW_VM_COMPACT_MIGRATE_SCANNED));
}

const struct gw_explore_scenario gw_scenario_atomic_counters = {
	.name = "atomic-counters",
	.row = "R14, D24",
	.without = GW_WITHOUT(GW_FIX_ATOMIC_COUNTERS),
	.story = "two tasks of one CPU count an event, and it is counted once",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "compactor", .run = compact_first},
		{.name = "another", .run = compact_second}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
