/* SPDX-License-Identifier: MIT */
/*
 * hinting_against.c - a hinting fault pulls a large page over to its node while others do what they
 * do with it (FACTS 1.7 "Fate", 2.3).
 *
 * As in split_against.c, none of these is about a fix. The fault holds a reference of the page
 * before it isolates it, and lets go of every lock in between; who comes then may split the page,
 * copy its entries, unmap them, or fault as well.
 */
#include <errno.h>

#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct against {
	struct gw_large large; /* first: its functions know nothing of the rest */
	uint64_t value;
	int err; /* of the reader */
};

/* Pages follow their users from the first hinting fault on; all entries of the space hint. */
static int
make_hinting(struct gw_large *l)
{
	struct gw_numa_tunables numa;
	int err;

	gw_numa_tunables_init(&numa);
	numa.balancing = GW_BALANCING_NORMAL;
	err = gw_machine_set_numa(l->m, &numa);
	if (err)
		return err;
	gw_u64_store_relaxed(&l->mm->hinting.next, 1); /* due: here no clock would make it so */
	return gw_numa_scan(l->mm) ? 0 : -EINVAL;
}

static int
setup(void *state)
{
	struct gw_large *l = state;
	int err = gw_nodes_machine(GW_SMALL_FRAMES / 2, 3, &l->m);

	if (!err)
		err = gw_large_make(l, GW_LARGE_ORDER, 0x200000, GW_LARGE_PARTS * GW_PAGE_SIZE);
	return err ? err : make_hinting(l);
}

/* From the other node. */
static void
read_page(void *state)
{
	struct against *a = state;

	a->err = gw_cpu_load(a->large.mm, gw_large_part(&a->large, 2), &a->value);
}

/* Whatever came of the other task, nothing is lost, and the page did not stay under way. */
static void
check_read(const struct against *a)
{
	gw_pfn_t pfn = gw_small_pfn(a->large.mm, a->large.addr);

	gw_explore_check(a->err == 0 && a->value == 3);
	gw_explore_check(pfn != GW_PFN_NONE);
	gw_large_check_bytes(&a->large, a->large.mm);
}

static void
check(void *state)
{
	check_read(state);
}

/* Who excludes the fault is not in the way of its move. */
static void
check_moved(const struct against *a)
{
	gw_pfn_t pfn = gw_small_pfn(a->large.mm, a->large.addr);

	gw_explore_check(gw_page_node(a->large.m, pfn) == 1);
}

/* ---- a split ---- */

const struct gw_explore_scenario gw_scenario_hinting_split = {
	.name = "hinting-split",
	.row = "B3, E2",
	.story = "a large page is split while a hinting fault takes it for one to move",
	.state_size = sizeof(struct against),
	.setup = setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "reader", .run = read_page, .cpu = 1}},
	.check = check,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- fork ---- */

static void
check_fork(void *state)
{
	const struct against *a = state;

	gw_explore_check(a->large.err == 0);
	check_read(a);
	gw_large_check_bytes(&a->large, a->large.child);
}

const struct gw_explore_scenario gw_scenario_hinting_fork = {
	.name = "hinting-fork",
	.row = "R8",
	.story = "a fork copies entries of a page that a hinting fault moves, and the child's stay",
	.state_size = sizeof(struct against),
	.setup = setup,
	.tasks = {{.name = "parent", .run = gw_large_fork},
		{.name = "reader", .run = read_page, .cpu = 1}},
	.check = check_fork,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- munmap ---- */

static void
check_unmap(void *state)
{
	struct against *a = state;

	gw_explore_check(a->err == 0 && a->value == 3);
	gw_large_check_unmap(state);
	check_moved(a);
}

const struct gw_explore_scenario gw_scenario_hinting_unmap = {
	.name = "hinting-unmap",
	.row = "R15",
	.story = "a frame is unmapped while a hinting fault moves its page, and comes back",
	.state_size = sizeof(struct against),
	.setup = setup,
	.tasks = {{.name = "unmapper", .run = gw_large_unmap},
		{.name = "reader", .run = read_page, .cpu = 1}},
	.check = check_unmap,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- another fault ---- */

static void
check_add(void *state)
{
	const struct against *a = state;
	uint64_t sum;

	gw_explore_check(a->large.err == 0);
	gw_explore_check(
		gw_cpu_add(a->large.mm, gw_large_part(&a->large, 1), (uint64_t)-10, &sum) == 0);
	check_read(a);
}

const struct gw_explore_scenario gw_scenario_hinting_twice = {
	.name = "hinting-twice",
	.row = "I5",
	.story = "tasks of two nodes meet one page's hints, and a write is lost in the move",
	.state_size = sizeof(struct against),
	.setup = setup,
	.tasks = {{.name = "writer", .run = gw_large_write},
		{.name = "reader", .run = read_page, .cpu = 1}},
	.check = check_add,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a huge entry that is split ---- */

static int
setup_huge(void *state)
{
	struct gw_large *l = state;
	int err = gw_nodes_machine((gw_pfn_t)4 << GW_PMD_ORDER, GW_PMD_ORDER, &l->m);

	if (!err)
		err = gw_large_make(l, GW_PMD_ORDER, GW_HUGE_AT, GW_HUGE_BYTES);
	return err ? err : make_hinting(l);
}

/* The last frame goes, so the entry is split. */
static void
cut(void *state)
{
	struct gw_large *l = state;

	l->err = gw_madvise(
		l->mm, l->addr + GW_HUGE_BYTES - GW_PAGE_SIZE, GW_PAGE_SIZE, GW_MADV_DONTNEED);
}

static void
check_cut(void *state)
{
	const struct against *a = state;

	gw_explore_check(a->large.err == 0);
	check_read(a);
	check_moved(a);
}

const struct gw_explore_scenario gw_scenario_hinting_cut = {
	.name = "hinting-cut",
	.row = "C8, R15",
	.story = "a huge entry becomes a table while a hinting fault moves its page",
	.state_size = sizeof(struct against),
	.setup = setup_huge,
	.tasks = {{.name = "cutter", .run = cut}, {.name = "reader", .run = read_page, .cpu = 1}},
	.check = check_cut,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
