/* SPDX-License-Identifier: MIT */
/*
 * temporary_stack.c - exec moves its stack, and a migration entry with it (FACTS R7).
 *
 * History. Exec stretches the VMA of its temporary stack over both places, which moves the address
 * that rmap computes for each page, and only then moves the entries; a migration that unmapped a
 * page before and looks for its entry between the two finds nothing at the new place, unlocks the
 * page, and exec carries the entry along. KAMEZAWA Hiroyuki found it behind the oopses of 2010
 * (a8bef8ff6ea1: migration skips temporary stacks).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

#define TOP   ((gw_vaddr_t)0x100000)
#define SHIFT GW_PAGE_SIZE

struct state {
	struct gw_single one;
	const struct gw_vma *stack;
};

static int
setup(void *state)
{
	struct gw_single *s = state;
	int err = gw_small_machine(2, &s->m);

	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = gw_exec_stack(s->mm, TOP, GW_PAGE_SIZE, &s->addr);
	if (!err)
		err = gw_cpu_store(s->mm, s->addr, 42);
	if (err)
		return err;
	((struct state *)state)->stack = gw_small_name_vma(s->mm, s->addr, "");
	return gw_single_isolate(s);
}

static void
shift_stack(void *state)
{
	struct gw_single *s = state;

	s->err = gw_exec_shift(s->mm, s->addr, SHIFT);
}

static void
check(void *state)
{
	struct gw_single *s = state;
	uint64_t value;

	gw_explore_check(s->err == 0);
	gw_explore_check(gw_cpu_load(s->mm, s->addr - SHIFT, &value) == 0 && value == 42);
}

static void
describe(const void *state, char *line, size_t size)
{
	const struct gw_single *s = state;

	gw_small_describe(s->mm, s->addr, s->pfn, line, size);
	gw_small_add_entry("new place", s->mm, s->addr - SHIFT, line, size);
	gw_small_add_place(((const struct state *)state)->stack, s->pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_temporary_stack = {
	.name = "temporary-stack",
	.row = "R7",
	.without = GW_WITHOUT(GW_FIX_SKIP_TEMPORARY_STACK),
	.story =
		"exec's VMA is at its new place and the entry still at the old one, where the walk "
		"that removes migration entries does not look",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "exec", .run = shift_stack, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = describe,
};
