/* SPDX-License-Identifier: MIT */
/*
 * split_against.c - a large page is split while others do what they do with it (FACTS 1.2).
 *
 * None of these is about a fix. Document B replaced a split that nothing could disturb, for it held
 * the lock that all others need, by one that others may meet at each of its steps; so here are
 * those who may: a second split, a fork, an exit, a write, a read, a migration, reclaim, a
 * collapse.
 */
#include "explore/scenarios/scenarios.h"

const struct gw_explore_scenario gw_scenario_split_twice = {
	.name = "split-twice",
	.row = "B3, B4",
	.story = "two tasks split one large page, and each makes pages of its frames",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "other splitter", .run = gw_large_split_too, .cpu = 1}},
	.check = gw_large_check_twice,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_fork = {
	.name = "split-fork",
	.row = "B6, B13",
	.story = "a fork copies some entries before their page is split, and others while it is",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "parent", .run = gw_large_fork, .cpu = 1}},
	.check = gw_large_check_fork,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_exit = {
	.name = "split-exit",
	.row = "B6, B15",
	.story = "an address space goes while its page is split, and some piece is nobody's and "
		 "not free",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "exiter", .run = gw_large_exit, .cpu = 1}},
	.check = gw_large_check_exit,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_fault = {
	.name = "split-fault",
	.row = "B6, B13",
	.story = "a program writes to a frame while its page is split, and the write is lost",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "writer", .run = gw_large_write, .cpu = 1}},
	.check = gw_large_check_write,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a read, while pieces are made that are large themselves ---- */

#define PIECE (1u << GW_LARGE_ORDER) /* frames */

static int
setup_pieces(void *state)
{
	struct gw_large *l = state;
	int err = gw_small_machine(2, &l->m);

	return err ? err : gw_large_make(l, GW_LARGE_ORDER + 1, 0x200000, 2 * PIECE * GW_PAGE_SIZE);
}

static void
split_in_two(void *state)
{
	struct gw_large *l = state;

	gw_get_page(l->m, l->pfn);
	gw_page_lock(l->m, l->pfn);
	l->split = gw_split_huge_to_order(l->m, l->pfn, GW_LARGE_ORDER, NULL);
	gw_page_unlock(l->m, l->pfn);
	gw_put_page(l->m, l->pfn);
}

/* A frame within the second piece: its head is found by what the frame says meanwhile. */
static void
read_inside(void *state)
{
	struct gw_large *l = state;
	uint64_t value;

	l->err = gw_cpu_load(l->mm, l->addr + (PIECE + 1) * GW_PAGE_SIZE, &value);
	gw_explore_check(l->err || value == 0);
}

static void
check_pieces(void *state)
{
	const struct gw_large *l = state;

	gw_explore_check(l->split == 0 && l->err == 0);
	gw_explore_check(gw_page_head(l->m, l->pfn + PIECE + 1) == l->pfn + PIECE);
	gw_large_check_bytes(l, l->mm);
}

const struct gw_explore_scenario gw_scenario_split_pieces = {
	.name = "split-pieces",
	.row = "B10, C10",
	.story = "a program waits for a page that is split into large ones, and waits for a frame "
		 "that is no page yet",
	.state_size = sizeof(struct gw_large),
	.setup = setup_pieces,
	.tasks = {{.name = "splitter", .run = split_in_two},
		{.name = "reader", .run = read_inside, .cpu = 1}},
	.check = check_pieces,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_migrate = {
	.name = "split-migrate",
	.row = "B3, B6",
	.story = "a large page is split while it moves, or moves while it is split",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "migrator", .run = gw_large_migrate, .cpu = 1}},
	.check = gw_large_check_moved,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_reclaim = {
	.name = "split-reclaim",
	.row = "B3, B6",
	.story = "a large page is split while reclaim, which wants its frames, splits it, too",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_swap,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "reclaimer", .run = gw_large_reclaim, .cpu = 1}},
	.check = gw_large_check_moved,
	.describe = gw_large_describe,
	.grows = true,
};

/* In a huge page's range, so that there is something to collapse. */
static int
setup_in_huge_range(void *state)
{
	struct gw_large *l = state;
	int err = gw_huge_machine(&l->m);

	return err ? err : gw_large_make(l, GW_LARGE_ORDER, GW_HUGE_AT, GW_HUGE_BYTES);
}

const struct gw_explore_scenario gw_scenario_split_collapse = {
	.name = "split-collapse",
	.row = "B4",
	.story = "a large page is split while its frames become part of a huge one",
	.state_size = sizeof(struct gw_large),
	.setup = setup_in_huge_range,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "collapser", .run = gw_large_collapse, .cpu = 1}},
	.check = gw_large_check_moved,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
