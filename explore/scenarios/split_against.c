/* SPDX-License-Identifier: MIT */
/*
 * split_against.c - a large page is split while others do what they do with it (FACTS 1.2).
 *
 * None of these is about a fix. Document B replaced a split that nothing could disturb, for it held
 * the lock that all others need, by one that others may meet at each of its steps; so here are
 * those who may: a second split, a fork, an exit, a write, a migration, reclaim, a collapse.
 */
#include <string.h>

#include "engine/store/store.h"
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

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

/* ---- reclaim ---- */

#define SLOTS 8

/* A swap area that keeps the first word of each slot. */
static int
read_slot(void *ctx, uint64_t index, void *bytes)
{
	const uint64_t *words = ctx;

	gw_explore_access(&words[index], false);
	memset(bytes, 0, GW_PAGE_SIZE);
	memcpy(bytes, &words[index], sizeof(*words));
	return 0;
}

static int
write_slot(void *ctx, uint64_t index, const void *bytes)
{
	uint64_t *words = ctx;

	gw_explore_access(&words[index], true);
	memcpy(&words[index], bytes, sizeof(*words));
	return 0;
}

static const struct gw_backing_ops area = {.read = read_slot, .write = write_slot};

static int
setup_swap(void *state)
{
	struct gw_large *l = state;
	uint64_t *words = gw_explore_alloc(SLOTS * sizeof(*words));
	int err = words ? gw_large_setup(state) : -ENOMEM;

	return err ? err : gw_swap_on(l->m, &area, words, SLOTS);
}

/* What MADV_PAGEOUT does to pages that are mapped once. */
static void
reclaim(void *state)
{
	struct gw_large *l = state;

	gw_page_list_init(&l->list);
	if (gw_lru_isolate(l->m, l->pfn, GW_ISOLATE_BOTH))
		return;
	gw_list_push_back(l->m, &l->list, l->pfn);
	(void)gw_reclaim_pages(l->m, &l->list);
}

const struct gw_explore_scenario gw_scenario_split_reclaim = {
	.name = "split-reclaim",
	.row = "B3, B6",
	.story = "a large page is split while reclaim, which wants its frames, splits it, too",
	.state_size = sizeof(struct gw_large),
	.setup = setup_swap,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "reclaimer", .run = reclaim, .cpu = 1}},
	.check = gw_large_check_moved,
	.describe = gw_large_describe,
	.grows = true,
};

/* ---- a collapse ---- */

static int
setup_huge(void *state)
{
	struct gw_large *l = state;
	int err = gw_huge_machine(&l->m);

	return err ? err : gw_large_make(l, GW_LARGE_ORDER, GW_HUGE_AT, GW_HUGE_BYTES);
}

static void
collapse(void *state)
{
	struct gw_large *l = state;

	l->err = gw_collapse(l->mm, l->addr, GW_HUGE_BYTES, NULL);
}

const struct gw_explore_scenario gw_scenario_split_collapse = {
	.name = "split-collapse",
	.row = "B4",
	.story = "a large page is split while its frames become part of a huge one",
	.state_size = sizeof(struct gw_large),
	.setup = setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "collapser", .run = collapse, .cpu = 1}},
	.check = gw_large_check_moved,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
