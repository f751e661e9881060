/* SPDX-License-Identifier: MIT */
/*
 * faulters.c - migration of a page that tasks touch on and on (FACTS C1).
 *
 * History. Gang Deng of Alibaba saw pages that many threads want fail to migrate, pass after pass:
 * each thread that met the migration entry slept with a reference that migration cannot account
 * for. The way to wait has changed twice since (Hugh Dickins, 2018: the reference is dropped
 * before the sleep; 2022: none is taken). `godwit check faulters --measure` counts what each cost.
 *
 * Idea. A task touches the page until the migration is over. One that finds its translation in
 * its TLB, and nothing changed, has nothing to do until something does (gw_relax()); so the runs
 * are as long as the migration's passes, and no task need be told how often to try.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

int
gw_faulters_make(struct gw_faulters *f, unsigned n_cpus)
{
	int err = gw_single_make(&f->page, n_cpus);

	gw_explore_name(&f->over, sizeof(f->over), "the end");
	return err;
}

static int
setup(void *state, enum gw_wait_era era)
{
	struct gw_faulters *f = state;
	struct gw_single *p = &f->page;
	int err = gw_faulters_make(f, 1 + GW_FAULTERS_MOST);

	if (err)
		return err;
	gw_machine_set_wait_era(p->m, era);
	return gw_small_isolate(p->m, p->pfn, &p->list);
}

static int
setup_hold(void *state)
{
	return setup(state, GW_ERA_HOLD);
}

static int
setup_drop(void *state)
{
	return setup(state, GW_ERA_DROP);
}

static int
setup_none(void *state)
{
	return setup(state, GW_ERA_NONE);
}

static void
migrate(void *state)
{
	struct gw_faulters *f = state;
	struct gw_single *p = &f->page;
	const struct gw_migrate_target target = {.get_new_page = gw_small_new_page};

	p->left = gw_migrate_pages(
		p->m, &p->list, &target, GW_MIGRATE_SYNC_LIGHT, GW_MR_SYSCALL, &f->stats);
	gw_u32_store_release(&f->over, 1);
	gw_putback_movable_pages(p->m, &p->list);
}

void
gw_faulters_touch(void *state)
{
	struct gw_faulters *f = state;
	uint64_t value = 0;

	while (!gw_u32_load_acquire(&f->over)) {
		gw_explore_check(gw_cpu_load(f->page.mm, f->page.addr, &value) == 0);
		gw_explore_check(value == 42);
		gw_relax();
	}
}

static void
check(void *state)
{
	const struct gw_single *p = state;

	gw_explore_check(p->left == 0);
	gw_explore_check(gw_small_pfn(p->mm, p->addr) != p->pfn);
}

const struct gw_explore_scenario gw_scenario_faulters = {
	.name = "faulters",
	.row = "C1",
	.story = "tasks that touch a page on and on keep it from being migrated",
	.state_size = sizeof(struct gw_faulters),
	.setup = setup_none,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "faulter 1", .run = gw_faulters_touch, .cpu = 1},
		{.name = "faulter 2", .run = gw_faulters_touch, .cpu = 2}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};

void
gw_faulters_scenario(enum gw_wait_era era, unsigned n, struct gw_explore_scenario *out)
{
	static int (*const setups[])(void *state) = {
		[GW_ERA_HOLD] = setup_hold, [GW_ERA_DROP] = setup_drop, [GW_ERA_NONE] = setup_none};
	static const char *const names[] = {"faulter 1", "faulter 2", "faulter 3", "faulter 4"};

	*out = gw_scenario_faulters;
	out->setup = setups[era];
	out->check = NULL; /* that it fails is what is counted */
	for (unsigned i = 0; i < GW_FAULTERS_MOST; i++)
		out->tasks[1 + i] = (struct gw_explore_task){
			.name = names[i], .run = i < n ? gw_faulters_touch : NULL, .cpu = 1 + i};
}
