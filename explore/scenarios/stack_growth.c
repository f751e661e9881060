/* SPDX-License-Identifier: MIT */
/*
 * stack_growth.c - a VMA changes in sight of a walk that holds another lock (FACTS R5, R6).
 *
 * History. Since anon_vmas come in families (2.6.34), a child changes its VMA under the lock of its
 * own, and a walk from a page that the parent has made holds the parent's. Between the change of
 * the VMA's start and that of its page offset the page's address comes out wrong: the walk finds
 * nothing there, and leaves a migration entry behind. Mel Gorman and KAMEZAWA Hiroyuki found it in
 * vma_adjust() and in the growth of stacks; Rik van Riel's 5c341ee1dfc8 and 012f18004da3 (2.6.36)
 * lock the oldest anon_vma only. Here the growth of a stack is what changes both.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

#define STACK ((gw_vaddr_t)0x200000)

struct state {
	struct gw_family family;
	const struct gw_vma *stack; /* the child's */
};

static int
make_family(struct gw_family *f)
{
	int err = gw_small_machine(2, &f->m);

	if (!err)
		err = gw_small_space(f->m, "parent", &f->parent);
	if (!err)
		err = gw_mmap(f->parent, STACK, GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE,
			GW_MAP_FIXED | GW_MAP_GROWSDOWN, &f->addr);
	if (!err)
		err = gw_cpu_store(f->parent, f->addr, 42);
	return err ? err : gw_mm_fork(f->parent, &f->child);
}

static int
setup(void *state)
{
	struct state *s = state;
	struct gw_family *f = state;
	int err = make_family(f);

	if (err)
		return err;
	gw_small_name_space(f->child, "child");
	(void)gw_small_name_vma(f->parent, f->addr, "parent's ");
	s->stack = gw_small_name_vma(f->child, f->addr, "child's ");
	gw_lru_add_drain_all(f->m);
	f->pfn = gw_small_pfn(f->parent, f->addr);
	return gw_small_isolate(f->m, f->pfn, &f->list);
}

/* The child touches the page below its stack. */
static void
grow(void *state)
{
	struct gw_family *f = state;

	f->err = gw_fault(f->child, f->addr - GW_PAGE_SIZE, GW_ACCESS_WRITE);
}

static void
describe(const void *state, char *line, size_t size)
{
	const struct state *s = state;

	gw_family_describe(state, line, size);
	gw_small_add_place(s->stack, s->family.pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_stack_growth = {
	.name = "stack-growth",
	.row = "R5, R6",
	.without = GW_WITHOUT(GW_FIX_ROOT_ANON_VMA_LOCK),
	.story = "a child's stack grows under the lock of its own anon_vma, and the walk under the "
		 "parent's computes a wrong address",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = gw_family_migrate},
		{.name = "child", .run = grow, .cpu = 1}},
	.check = gw_family_check,
	.teardown = gw_family_teardown,
	.describe = describe,
};
