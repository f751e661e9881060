/* SPDX-License-Identifier: MIT */
/*
 * split_pmd.c - the huge entry of a huge page is split, and the page stays whole, while others do
 * what they do with the one or the other (FACTS 1.2, B7).
 *
 * None of these is about a fix. Who gives advice about one page of a huge one splits its entry with
 * mmap_lock held for reading, so faults and other advice run beside it; migration and splits
 * of pages come by rmap, and hold no mmap_lock at all.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static void
cool(void *state)
{
	struct gw_large *l = state;

	l->split = gw_madvise(l->mm, gw_large_part(l, 2), GW_PAGE_SIZE, GW_MADV_COLD);
}

/* Whatever else: the entry is split, and nothing is lost. */
static void
check_entry(const struct gw_large *l)
{
	gw_explore_check(l->split == 0);
	gw_explore_check(!gw_pte_is_huge(gw_small_entry(l->mm, l->addr)));
}

/* ---- another split of the entry ---- */

static void
cool_too(void *state)
{
	struct gw_large *l = state;

	l->err = gw_madvise(l->mm, gw_large_part(l, 1), GW_PAGE_SIZE, GW_MADV_COLD);
}

static void
check(void *state)
{
	const struct gw_large *l = state;

	check_entry(l);
	gw_explore_check(l->err == 0 && gw_large_is_whole(l));
	gw_large_check_bytes(l, l->mm);
}

const struct gw_explore_scenario gw_scenario_split_pmd_twice = {
	.name = "split-pmd-twice",
	.row = "B7",
	.story = "two tasks split one huge entry, and its page counts one map too many",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "adviser", .run = cool},
		{.name = "other adviser", .run = cool_too, .cpu = 1}},
	.check = check,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a split of the page ---- */

static void
check_page(void *state)
{
	const struct gw_large *l = state;

	check_entry(l);
	gw_explore_check(gw_large_is_whole(l) == (l->err != 0));
	gw_large_check_bytes(l, l->mm);
}

const struct gw_explore_scenario gw_scenario_split_pmd_page = {
	.name = "split-pmd-page",
	.row = "B6, B7",
	.story = "a huge entry becomes a table just as its page is split, and some entry is not "
		 "frozen",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "adviser", .run = cool},
		{.name = "splitter", .run = gw_large_split_too, .cpu = 1}},
	.check = check_page,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- fork ---- */

static void
check_fork(void *state)
{
	const struct gw_large *l = state;

	check(state);
	gw_large_check_bytes(l, l->child);
}

const struct gw_explore_scenario gw_scenario_split_pmd_fork = {
	.name = "split-pmd-fork",
	.row = "B7",
	.story = "a fork copies a huge entry that is a table already",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "adviser", .run = cool},
		{.name = "parent", .run = gw_large_fork, .cpu = 1}},
	.check = check_fork,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- exit ---- */

/* Each has a reference to the address space. */
static int
setup_exit(void *state)
{
	struct gw_large *l = state;
	int err = gw_large_setup_huge(state);

	if (!err)
		gw_mm_get(l->mm);
	return err;
}

static void
leave(void *state)
{
	struct gw_large *l = state;

	gw_mm_put(l->mm);
}

static void
cool_and_leave(void *state)
{
	cool(state);
	leave(state);
}

static void
check_exit(void *state)
{
	struct gw_large *l = state;

	l->mm = NULL; /* nobody's */
	gw_large_check_exit(state);
}

const struct gw_explore_scenario gw_scenario_split_pmd_exit = {
	.name = "split-pmd-exit",
	.row = "B7",
	.story = "an address space goes, and a table that was put by for its huge entry does not",
	.state_size = sizeof(struct gw_large),
	.setup = setup_exit,
	.tasks = {{.name = "adviser", .run = cool_and_leave},
		{.name = "exiter", .run = leave, .cpu = 1}},
	.check = check_exit,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a write ---- */

#define MARKS (GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY)

/* The entry as it is after a look at who has written: without marks, and no CPU knows it. */
static int
setup_write(void *state)
{
	struct gw_large *l = state;
	int err = gw_large_setup_huge(state);
	gw_spinlock *lock;
	gw_atomic_u64 *word;

	if (err)
		return err;
	word = gw_pmd_lock(l->mm, l->addr, &lock);
	gw_u64_and_relaxed(word, ~(uint64_t)MARKS);
	gw_spin_unlock(lock);
	l->m->ops->flush_range(l->m->ctx, l->mm->id, l->addr, l->addr + GW_HUGE_BYTES);
	return 0;
}

static void
check_write(void *state)
{
	const struct gw_large *l = state;
	gw_pte_t pte = gw_small_entry(l->mm, gw_large_part(l, 1));

	gw_explore_check((pte & MARKS) == MARKS);
	gw_explore_check(gw_cpu_add(l->mm, gw_large_part(l, 1), (uint64_t)-10, NULL) == 0);
	check(state);
}

const struct gw_explore_scenario gw_scenario_split_pmd_fault = {
	.name = "split-pmd-fault",
	.row = "B7",
	.story = "a program writes while the table is filled, and nobody can tell",
	.state_size = sizeof(struct gw_large),
	.setup = setup_write,
	.tasks = {{.name = "adviser", .run = cool},
		{.name = "writer", .run = gw_large_write, .cpu = 1}},
	.check = check_write,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a part goes ---- */

static void
check_unmap(void *state)
{
	check_entry(state);
	gw_large_check_unmap(state);
}

const struct gw_explore_scenario gw_scenario_split_pmd_unmap = {
	.name = "split-pmd-unmap",
	.row = "B7",
	.story = "a part of a huge page goes while another part gets an entry",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "adviser", .run = cool},
		{.name = "unmapper", .run = gw_large_unmap, .cpu = 1}},
	.check = check_unmap,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- a migration ---- */

static void
check_migrate(void *state)
{
	const struct gw_large *l = state;

	check_entry(l);
	gw_large_check_bytes(l, l->mm);
}

const struct gw_explore_scenario gw_scenario_split_pmd_migrate = {
	.name = "split-pmd-migrate",
	.row = "B7, C8",
	.story = "a huge migration entry becomes 512 of them, and not all of them arrive",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "adviser", .run = cool},
		{.name = "migrator", .run = gw_large_migrate, .cpu = 1}},
	.check = check_migrate,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

/* ---- two address spaces, each with its entry ---- */

static int
setup_family(void *state)
{
	struct gw_large *l = state;
	int err = gw_large_setup_huge(state);

	return err ? err : gw_mm_fork(l->mm, &l->child);
}

static void
write_in_parent(void *state)
{
	struct gw_large *l = state;

	l->split = gw_cpu_add(l->mm, gw_large_part(l, 1), 10, NULL);
}

static void
write_in_child(void *state)
{
	struct gw_large *l = state;

	l->err = gw_cpu_add(l->child, gw_large_part(l, 1), 20, NULL);
}

static void
check_family(void *state)
{
	const struct gw_large *l = state;
	uint64_t sum[2] = {0};

	gw_explore_check(l->split == 0 && l->err == 0);
	gw_explore_check(gw_cpu_add(l->mm, gw_large_part(l, 1), (uint64_t)-10, &sum[0]) == 0);
	gw_explore_check(gw_cpu_add(l->child, gw_large_part(l, 1), (uint64_t)-20, &sum[1]) == 0);
	gw_explore_check(sum[0] == 12 && sum[1] == 22);
	gw_large_check_bytes(l, l->mm);
	gw_large_check_bytes(l, l->child);
}

const struct gw_explore_scenario gw_scenario_split_pmd_cow = {
	.name = "split-pmd-cow",
	.row = "B7, B9",
	.story = "two address spaces split their entries of one page, and it counts maps that are "
		 "none",
	.state_size = sizeof(struct gw_large),
	.setup = setup_family,
	.tasks = {{.name = "parent", .run = write_in_parent},
		{.name = "child", .run = write_in_child, .cpu = 1}},
	.check = check_family,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
