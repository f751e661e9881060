/* SPDX-License-Identifier: MIT */
/*
 * fork_write_entry.c - parent and child both write to the page that fork should have made shared
 * (FACTS R8).
 *
 * History. An entry that may be written becomes read-only in both when fork copies it; a migration
 * entry that will be one must, too, or both get a writable entry of one page when it has
 * arrived (Linux: copying a write migration entry of private memory makes two read ones).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static void
check(void *state)
{
	struct gw_family *f = state;
	uint64_t value;

	gw_explore_check(f->err == 0);
	gw_explore_check(f->left == 0);
	gw_explore_check(gw_cpu_store(f->child, f->addr, 43) == 0);
	gw_explore_check(gw_cpu_load(f->parent, f->addr, &value) == 0);
	gw_explore_check(value == 42);
}

const struct gw_explore_scenario gw_scenario_fork_write_entry = {
	.name = "fork-write-entry",
	.row = "R8",
	.without = GW_WITHOUT(GW_FIX_FORK_WRITE_ENTRY_DOWNGRADE),
	.story = "fork copies a migration entry that will be writable, and what the child writes "
		 "is the parent's",
	.state_size = sizeof(struct gw_family),
	.setup = gw_family_setup,
	.tasks = {{.name = "migrator", .run = gw_family_migrate},
		{.name = "forker", .run = gw_family_fork, .cpu = 1}},
	.check = check,
	.teardown = gw_family_teardown,
	.describe = gw_family_describe,
};
