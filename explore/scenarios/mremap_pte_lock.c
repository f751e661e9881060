/* SPDX-License-Identifier: MIT */
/*
 * mremap_pte_lock.c - a migration entry is between two places while it is looked for (FACTS R9).
 *
 * History. Who removed migration entries looked whether one was there before taking the page-table
 * lock. While mremap moves one it is at the old place no more and at the new one not yet; found at
 * neither, it dangles (2011: the lock is taken first; mremap holds both while it moves).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct state {
	struct gw_single single; /* first: its functions know nothing of the rest */
	gw_vaddr_t to, moved_to;
};

/* gw_single_setup()'s other VMA lies behind the page's, so that this one cannot grow where it is.
 */
static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_single_setup(&s->single);

	s->to = s->single.addr + 2 * GW_PAGE_SIZE;
	return err;
}

static void
move(void *arg)
{
	struct state *s = arg;

	s->single.err = gw_mremap(
		s->single.mm, s->single.addr, GW_PAGE_SIZE, 2 * GW_PAGE_SIZE, &s->moved_to);
}

static void
check(void *arg)
{
	struct state *s = arg;
	uint64_t value;

	gw_explore_check(s->single.err == 0);
	gw_explore_check(s->moved_to == s->to);
	gw_explore_check(s->single.left == 0);
	gw_explore_check(gw_cpu_load(s->single.mm, s->to, &value) == 0 && value == 42);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	gw_single_describe(&s->single, line, size);
	gw_small_add_entry("at the new place", s->single.mm, s->to, line, size);
}

const struct gw_explore_scenario gw_scenario_mremap_pte_lock = {
	.name = "mremap-pte-lock",
	.row = "R9",
	.without = GW_WITHOUT(GW_FIX_MREMAP_PTE_LOCK),
	.story =
		"mremap moves a migration entry while it is looked for, and it is found at neither "
		"place",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "mremap", .run = move, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = describe,
};

/* The same of a huge entry, which once went from one place before it stood at the other: a look
 * without a lock was wrong there, too. Found by split-huge-mremap. */
const struct gw_explore_scenario gw_scenario_mremap_huge = {
	.name = "mremap-huge",
	.row = "R9",
	.story = "a huge entry is between its two places when its migration looks for it",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "migrator", .run = gw_large_migrate},
		{.name = "mover", .run = gw_large_move, .cpu = 1}},
	.check = gw_large_check_moved,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
