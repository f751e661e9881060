/* SPDX-License-Identifier: MIT */
/* family.c - what the scenarios about fork have in common: a parent's page migrates, and it forks.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

int
gw_family_setup(void *state)
{
	struct gw_family *f = state;
	int err = gw_small_machine(2, &f->m);

	if (!err)
		err = gw_small_space(f->m, "parent", &f->parent);
	if (!err)
		err = gw_small_page(f->parent, 42, &f->addr, &f->pfn);
	if (err)
		return err;
	gw_small_name_vma(f->parent, f->addr, "parent's ");
	return gw_small_isolate(f->m, f->pfn, &f->list);
}

void
gw_family_migrate(void *state)
{
	struct gw_family *f = state;

	f->left = gw_small_migrate(f->m, &f->list, GW_MIGRATE_SYNC);
}

void
gw_family_fork(void *state)
{
	struct gw_family *f = state;

	f->err = gw_mm_fork(f->parent, &f->child);
}

void
gw_family_check(void *state)
{
	const struct gw_family *f = state;
	uint64_t value;

	gw_explore_check(f->err == 0);
	gw_explore_check(f->left == 0);
	gw_explore_check(gw_cpu_load(f->parent, f->addr, &value) == 0 && value == 42);
	gw_explore_check(gw_cpu_load(f->child, f->addr, &value) == 0 && value == 42);
}

void
gw_family_teardown(void *state)
{
	struct gw_family *f = state;

	gw_mm_put(f->child);
	gw_mm_put(f->parent);
	gw_machine_destroy(f->m);
}

void
gw_family_describe(const void *state, char *line, size_t size)
{
	const struct gw_family *f = state;

	gw_small_describe(f->parent, f->addr, f->pfn, line, size);
	if (f->child)
		gw_small_add_entry("child's", f->child, f->addr, line, size);
}
