/* SPDX-License-Identifier: MIT */
/*
 * split_against.c - a large page is split while others do what they do with it (FACTS 1.2).
 *
 * None of these is about a fix. Document B replaced a split that nothing could disturb, for it held
 * the lock that all others need, by one that others may meet at each of its steps; so here are
 * those who may: a second split, a fork, an exit, a write, a read, a migration, reclaim, a
 * collapse.
 */
#include <string.h>

#include "engine/store/store.h"
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct against {
	struct gw_large large; /* first: its functions know nothing of the rest */
	struct gw_mm *child;
	struct gw_page_list list;
};

/* Whatever came of the split: nothing is lost. */
static void
check_bytes(void *state)
{
	struct gw_large *l = state;

	gw_explore_check(l->split == 0 || l->split == 1 || l->split == -EBUSY);
	gw_large_check_bytes(l->mm, l->addr);
}

/* ---- another split ---- */

static void
split_too(void *state)
{
	struct gw_large *l = state;

	l->err = gw_large_try_split(l->m, l->pfn);
}

/* Each may be in the other's way, but not both have done it. */
static void
check_twice(void *state)
{
	struct gw_large *l = state;

	gw_explore_check(!(l->split == 0 && l->err == 0));
	if (l->err == 0)
		l->split = 0;
	gw_large_check(l);
}

const struct gw_explore_scenario gw_scenario_split_twice = {
	.name = "split-twice",
	.row = "B3, B4",
	.story = "two tasks split one large page, and each makes pages of its frames",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "other splitter", .run = split_too, .cpu = 1}},
	.check = check_twice,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- fork ---- */

static void
fork_space(void *state)
{
	struct against *a = state;

	a->large.err = gw_mm_fork(a->large.mm, &a->child);
}

static void
check_fork(void *state)
{
	struct against *a = state;

	gw_explore_check(a->large.err == 0);
	gw_large_check(&a->large);
	gw_large_check_bytes(a->child, a->large.addr);
}

static void
teardown_fork(void *state)
{
	struct against *a = state;

	gw_mm_put(a->child);
	gw_large_teardown(&a->large);
}

const struct gw_explore_scenario gw_scenario_split_fork = {
	.name = "split-fork",
	.row = "B6, B13",
	.story = "a fork copies some entries before their page is split, and others while it is",
	.state_size = sizeof(struct against),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "parent", .run = fork_space, .cpu = 1}},
	.check = check_fork,
	.teardown = teardown_fork,
	.describe = gw_large_describe,
};

/* ---- exit ---- */

static void
exit_space(void *state)
{
	struct gw_large *l = state;
	struct gw_mm *mm = l->mm;

	l->mm = NULL;
	gw_mm_put(mm);
}

static void
check_exit(void *state)
{
	const struct gw_large *l = state;

	gw_explore_check(l->split == 0 || l->split == 1 || l->split == -EBUSY);
	gw_explore_check(gw_flags_type(gw_page_flags(gw_page(l->m, l->pfn))) != GW_PAGE_USED);
}

const struct gw_explore_scenario gw_scenario_split_exit = {
	.name = "split-exit",
	.row = "B6, B15",
	.story = "an address space goes while its page is split, and some piece is nobody's and "
		 "not free",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "exiter", .run = exit_space, .cpu = 1}},
	.check = check_exit,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a write ---- */

static void
add_ten(void *state)
{
	struct gw_large *l = state;

	l->err = gw_cpu_add(l->mm, l->addr + GW_PAGE_SIZE, 10, NULL);
}

static void
check_write(void *state)
{
	struct gw_large *l = state;
	uint64_t sum;

	gw_explore_check(l->err == 0);
	gw_explore_check(gw_cpu_add(l->mm, l->addr + GW_PAGE_SIZE, (uint64_t)-10, &sum) == 0);
	gw_large_check(l);
}

const struct gw_explore_scenario gw_scenario_split_fault = {
	.name = "split-fault",
	.row = "B6, B13",
	.story = "a program writes to a frame while its page is split, and the write is lost",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "writer", .run = add_ten, .cpu = 1}},
	.check = check_write,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a read, while pieces are made that are large themselves ---- */

static int
setup_pieces(void *state)
{
	struct gw_large *l = state;
	int err = gw_small_machine(2, &l->m);

	if (err)
		return err;
	return gw_large_make(l, GW_LARGE_ORDER + 1, 0x200000, 2 * GW_LARGE_FRAMES * GW_PAGE_SIZE);
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

	l->err = gw_cpu_load(l->mm, l->addr + (GW_LARGE_FRAMES + 1) * GW_PAGE_SIZE, &value);
	gw_explore_check(l->err || value == 0);
}

static void
check_pieces(void *state)
{
	struct gw_large *l = state;
	gw_pfn_t second = l->pfn + GW_LARGE_FRAMES;

	gw_explore_check(l->split == 0 && l->err == 0);
	gw_explore_check(gw_page_head(l->m, second + 1) == second);
	gw_large_check_bytes(l->mm, l->addr);
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

/* ---- a migration ---- */

/* One new page is to be had: ten passes make more runs. */
static int
new_page_once(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	bool *had = ctx;

	if (*had)
		return -ENOMEM;
	*had = true;
	return gw_small_new_page(NULL, m, src, order, dst);
}

static void
migrate(void *state)
{
	struct against *a = state;
	struct gw_large *l = &a->large;
	bool had = false;
	const struct gw_migrate_target target = {.get_new_page = new_page_once, .ctx = &had};

	if (gw_small_isolate(l->m, l->pfn, &a->list))
		return;
	l->err = gw_migrate_pages(
		l->m, &a->list, &target, GW_MIGRATE_ASYNC, GW_MR_NUMA_MISPLACED, NULL);
	gw_putback_movable_pages(l->m, &a->list);
}

const struct gw_explore_scenario gw_scenario_split_migrate = {
	.name = "split-migrate",
	.row = "B3, B6",
	.story = "a large page is split while it moves, or moves while it is split",
	.state_size = sizeof(struct against),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "migrator", .run = migrate, .cpu = 1}},
	.check = check_bytes,
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
	struct against *a = state;
	struct gw_machine *m = a->large.m;

	gw_page_list_init(&a->list);
	if (gw_lru_isolate(m, a->large.pfn, GW_ISOLATE_BOTH))
		return;
	gw_list_push_back(m, &a->list, a->large.pfn);
	(void)gw_reclaim_pages(m, &a->list);
}

const struct gw_explore_scenario gw_scenario_split_reclaim = {
	.name = "split-reclaim",
	.row = "B3, B6",
	.story = "a large page is split while reclaim, which wants its frames, splits it, too",
	.state_size = sizeof(struct against),
	.setup = setup_swap,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "reclaimer", .run = reclaim, .cpu = 1}},
	.check = check_bytes,
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
	.check = check_bytes,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
