/* SPDX-License-Identifier: MIT */
/*
 * hugetlb.c - faults on pages of a pool against each other, and against a migration (FACTS A13).
 *
 * None of these is about a fix. A pool may have no page more than is mapped, so a fault that takes
 * one for nothing, or copies a page that nobody else maps, fails where it must not.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/hugetlb.h"
#include "godwit/soft.h"

struct state {
	struct gw_machine *m;
	struct gw_mm *mm, *child; /* child: may be NULL */
	gw_vaddr_t addr;
	gw_pfn_t pfn, dst; /* of the page; where it may go */
	struct gw_page_list list;
	int err[2];
};

static int
setup_pool(struct state *s, uint64_t n)
{
	uint64_t got;
	int err = gw_huge_machine(&s->m);

	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = gw_hugetlb_resize(s->m, 0, GW_PMD_ORDER, n, &got);
	if (!err)
		err = gw_mmap(s->mm, GW_HUGE_AT, GW_HUGE_BYTES, GW_PROT_READ | GW_PROT_WRITE,
			GW_MAP_FIXED | GW_MAP_HUGETLB, &s->addr);
	return err;
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_mm_put(s->mm);
	if (s->child)
		gw_mm_put(s->child);
	gw_machine_destroy(s->m);
}

static bool
has(struct gw_mm *mm, gw_vaddr_t addr, uint64_t value)
{
	uint64_t found;

	return gw_cpu_load(mm, addr, &found) == 0 && found == value;
}

/* ---- two faults on an empty entry, and one page ---- */

static int
setup_one(void *arg)
{
	return setup_pool(arg, 1);
}

static void
write_first(void *arg)
{
	struct state *s = arg;

	s->err[0] = gw_cpu_store(s->mm, s->addr, 1);
}

static void
write_last(void *arg)
{
	struct state *s = arg;

	s->err[1] = gw_cpu_store(s->mm, s->addr + GW_HUGE_BYTES - GW_PAGE_SIZE, 2);
}

static void
check_both(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err[0] == 0 && s->err[1] == 0);
	gw_explore_check(has(s->mm, s->addr, 1));
	gw_explore_check(has(s->mm, s->addr + GW_HUGE_BYTES - GW_PAGE_SIZE, 2));
}

const struct gw_explore_scenario gw_scenario_hugetlb_fault = {
	.name = "hugetlb-fault",
	.row = "3.5",
	.story = "two tasks touch one huge page for the first time, and the second finds the pool "
		 "empty",
	.state_size = sizeof(struct state),
	.setup = setup_one,
	.tasks = {{.name = "first", .run = write_first},
		{.name = "last", .run = write_last, .cpu = 1}},
	.check = check_both,
	.teardown = teardown,
};

/* ---- two that share a page, and one page for a copy ---- */

static int
setup_family(void *arg)
{
	struct state *s = arg;
	int err = setup_pool(s, 2);

	if (!err)
		err = gw_cpu_store(s->mm, s->addr + GW_PAGE_SIZE, 42);
	return err ? err : gw_mm_fork(s->mm, &s->child);
}

static void
write_childs(void *arg)
{
	struct state *s = arg;

	s->err[1] = gw_cpu_store(s->child, s->addr, 7);
}

static void
check_family(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err[0] == 0 && s->err[1] == 0);
	gw_explore_check(has(s->mm, s->addr, 1) && has(s->mm, s->addr + GW_PAGE_SIZE, 42));
	gw_explore_check(has(s->child, s->addr, 7) && has(s->child, s->addr + GW_PAGE_SIZE, 42));
}

const struct gw_explore_scenario gw_scenario_hugetlb_copy = {
	.name = "hugetlb-copy",
	.row = "3.5",
	.story = "parent and child write to the page that they share, both want a copy, and the "
		 "pool has one page",
	.state_size = sizeof(struct state),
	.setup = setup_family,
	.tasks = {{.name = "parent", .run = write_first},
		{.name = "child", .run = write_childs, .cpu = 1}},
	.check = check_family,
	.teardown = teardown,
};

/* ---- a write, while the page moves ---- */

/* The page, with 42 in it, is isolated, and there is another for it. */
static int
isolate(struct state *s)
{
	int err = gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, GW_PMD_ORDER, &s->dst);

	if (err)
		return err;
	s->pfn = gw_small_pfn(s->mm, s->addr);
	return gw_small_isolate(s->m, s->pfn, &s->list);
}

/* Two map it, and the pool has one more. */
static int
setup_shared(void *arg)
{
	struct state *s = arg;
	int err = setup_pool(s, 2);

	if (!err)
		err = gw_cpu_store(s->mm, s->addr, 42);
	if (!err)
		err = gw_mm_fork(s->mm, &s->child);
	return err ? err : isolate(s);
}

/* It was shared, and is one's own again; the pool has no other. */
static int
setup_own(void *arg)
{
	struct state *s = arg;
	struct gw_mm *child;
	int err = setup_pool(s, 1);

	if (!err)
		err = gw_cpu_store(s->mm, s->addr, 42);
	if (!err)
		err = gw_mm_fork(s->mm, &child);
	if (err)
		return err;
	gw_mm_put(child);
	return isolate(s);
}

static void
migrate(void *arg)
{
	struct state *s = arg;

	(void)gw_small_migrate_once(s->m, &s->list, s->dst);
}

static void
check_shared(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err[1] == 0);
	gw_explore_check(has(s->mm, s->addr, 42));
	gw_explore_check(has(s->child, s->addr, 7));
}

const struct gw_explore_scenario gw_scenario_hugetlb_shared = {
	.name = "hugetlb-shared",
	.row = "A13",
	.story = "a page of a pool that two map moves, one of them seems to be alone with it, and "
		 "writes what the other reads",
	.state_size = sizeof(struct state),
	.setup = setup_shared,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "child", .run = write_childs, .cpu = 1}},
	.check = check_shared,
	.teardown = teardown,
};

static void
check_own(void *arg)
{
	struct state *s = arg;
	gw_pfn_t pfn = gw_small_pfn(s->mm, s->addr);

	gw_explore_check(s->err[1] == 0);
	gw_explore_check(
		has(s->mm, s->addr, 42) && has(s->mm, s->addr + GW_HUGE_BYTES - GW_PAGE_SIZE, 2));
	gw_explore_check(pfn == s->pfn || pfn == s->dst);
}

const struct gw_explore_scenario gw_scenario_hugetlb_write = {
	.name = "hugetlb-write",
	.row = "A13",
	.story =
		"a page of a pool is written to while it moves, and is to be copied, for which the "
		"pool has no page",
	.state_size = sizeof(struct state),
	.setup = setup_own,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "writer", .run = write_last, .cpu = 1}},
	.check = check_own,
	.teardown = teardown,
};
