/* SPDX-License-Identifier: MIT */
/*
 * ksm.c - merged pages under migration (FACTS R5, R9).
 *
 * Two address spaces map one merged page, which a migration moves.
 *   ksm-walk-lock     one of them moves its VMA meanwhile. The walk from a merged page to its
 *                     entries goes by what VMAs say of their addresses, like every walk, and needs
 *                     the lock under which that changes: else it looks where the entry was, not
 *                     where it is, and a migration entry stays behind.
 *   ksm-follow-waits  one of them wants its pages to be its own again, and looks for merged ones.
 *                     History: a page under migration was none to it, and came back merged where
 *                     nothing was to be (2013: the look-up waits).
 */
#include "engine/virt/ksm.h"
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

#define PAGES 2 /* of each VMA; the first is the merged one */

struct state {
	struct gw_machine *m;
	struct gw_ksm *ksm;
	struct gw_mm *mm[2];
	gw_vaddr_t addr[2];
	gw_pfn_t pfn;
	struct gw_page_list list;
	int err;
};

static int
make_member(struct state *s, unsigned i)
{
	uint64_t len = PAGES * GW_PAGE_SIZE;
	int err = gw_small_space(s->m, i ? "other" : "space", &s->mm[i]);

	if (!err)
		err = gw_ksm_join(s->ksm, s->mm[i]);
	if (!err)
		err = gw_mmap(s->mm[i], 0, len, GW_PROT_READ | GW_PROT_WRITE, 0, &s->addr[i]);
	if (!err)
		err = gw_madvise(s->mm[i], s->addr[i], len, GW_MADV_MERGEABLE);
	return err ? err : gw_cpu_store(s->mm[i], s->addr[i], 42);
}

static int
setup(void *arg)
{
	struct state *s = arg;
	struct gw_ksm_tunables tunables;
	int err = gw_small_machine(2, &s->m);

	gw_ksm_tunables_init(&tunables);
	if (!err)
		err = gw_ksm_create(s->m, &tunables, &s->ksm);
	for (unsigned i = 0; i < 2 && !err; i++)
		err = make_member(s, i);
	for (unsigned round = 0; round < 2 && !err; round++)
		err = gw_ksm_scan(s->ksm, UINT64_MAX) < 0;
	if (err)
		return err;
	s->pfn = gw_small_pfn(s->mm[0], s->addr[0]);
	if (!gw_page_ksm_node(s->m, s->pfn))
		return -1;
	return gw_small_isolate(s->m, s->pfn, &s->list);
}

static void
migrate(void *arg)
{
	struct state *s = arg;

	(void)gw_small_migrate(s->m, &s->list, GW_MIGRATE_SYNC);
}

/* There is no room behind it. */
static void
move_vma(void *arg)
{
	struct state *s = arg;

	s->err = gw_mremap(s->mm[0], s->addr[0], GW_PAGE_SIZE, 2 * GW_PAGE_SIZE, &s->addr[0]);
}

static void
unmerge(void *arg)
{
	struct state *s = arg;

	s->err = gw_madvise(s->mm[0], s->addr[0], GW_PAGE_SIZE, GW_MADV_UNMERGEABLE);
}

static void
check_values(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err == 0);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t value = 0;

		gw_explore_check(gw_cpu_load(s->mm[i], s->addr[i], &value) == 0);
		gw_explore_check(value == 42);
	}
}

static void
check_separate(void *arg)
{
	struct state *s = arg;

	check_values(s);
	gw_explore_check(!gw_page_ksm_node(s->m, gw_small_pfn(s->mm[0], s->addr[0])));
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_explore_check(gw_ksm_destroy(s->ksm) == 0);
	gw_mm_put(s->mm[0]);
	gw_mm_put(s->mm[1]);
	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	gw_small_describe(s->mm[0], s->addr[0], s->pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_ksm_follow_waits = {
	.name = "ksm-follow-waits",
	.row = "R9",
	.without = GW_WITHOUT(GW_FIX_KSM_FOLLOW_WAITS),
	.story = "merged pages are broken up while one is under migration, and it stays merged",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "unmerger", .run = unmerge, .cpu = 1}},
	.check = check_separate,
	.teardown = teardown,
	.describe = describe,
};

const struct gw_explore_scenario gw_scenario_ksm_walk_lock = {
	.name = "ksm-walk-lock",
	.row = "R5, R9",
	.without = GW_WITHOUT(GW_FIX_KSM_WALK_LOCK),
	.story = "a VMA moves while the walk from a merged page looks for its entry there",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "mover", .run = move_vma, .cpu = 1}},
	.check = check_values,
	.teardown = teardown,
	.describe = describe,
};
