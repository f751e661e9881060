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

static int
setup(void *arg, enum gw_wait_era era, unsigned n_cpus)
{
	struct gw_faulters *f = arg;
	int err = gw_small_machine(n_cpus, &f->m);

	if (!err) {
		gw_machine_set_wait_era(f->m, era);
		err = gw_small_space(f->m, "space", &f->mm);
	}
	if (!err)
		err = gw_small_page(f->mm, 42, &f->addr, &f->pfn);
	if (!err)
		err = gw_small_isolate(f->m, f->pfn, &f->list);
	gw_explore_name(&f->over, sizeof(f->over), "the end");
	return err;
}

static int
setup_hold(void *arg)
{
	return setup(arg, GW_ERA_HOLD, 1 + GW_FAULTERS_MOST);
}

static int
setup_drop(void *arg)
{
	return setup(arg, GW_ERA_DROP, 1 + GW_FAULTERS_MOST);
}

static int
setup_none(void *arg)
{
	return setup(arg, GW_ERA_NONE, 1 + GW_FAULTERS_MOST);
}

static void
migrate(void *arg)
{
	struct gw_faulters *f = arg;
	const struct gw_migrate_target target = {.get_new_page = gw_small_new_page};

	f->left = gw_migrate_pages(
		f->m, &f->list, &target, GW_MIGRATE_SYNC_LIGHT, GW_MR_SYSCALL, &f->stats);
	gw_u32_store_release(&f->over, 1);
	gw_putback_movable_pages(f->m, &f->list);
}

static void
touch(void *arg)
{
	struct gw_faulters *f = arg;
	uint64_t value = 0;

	while (!gw_u32_load_acquire(&f->over)) {
		gw_explore_check(gw_cpu_load(f->mm, f->addr, &value) == 0);
		gw_explore_check(value == 42);
		gw_relax();
	}
}

static void
check(void *arg)
{
	const struct gw_faulters *f = arg;

	gw_explore_check(f->left == 0);
	gw_explore_check(gw_small_pfn(f->mm, f->addr) != f->pfn);
}

static void
teardown(void *arg)
{
	struct gw_faulters *f = arg;

	gw_mm_put(f->mm);
	gw_machine_destroy(f->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct gw_faulters *f = arg;

	gw_small_describe(f->mm, f->addr, f->pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_faulters = {
	.name = "faulters",
	.row = "C1",
	.story = "tasks that touch a page on and on keep it from being migrated",
	.state_size = sizeof(struct gw_faulters),
	.setup = setup_none,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "faulter 1", .run = touch, .cpu = 1},
		{.name = "faulter 2", .run = touch, .cpu = 2}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};

void
gw_faulters_scenario(enum gw_wait_era era, unsigned n, struct gw_explore_scenario *out)
{
	static int (*const setups[])(void *arg) = {
		[GW_ERA_HOLD] = setup_hold, [GW_ERA_DROP] = setup_drop, [GW_ERA_NONE] = setup_none};
	static const char *const names[] = {"faulter 1", "faulter 2", "faulter 3", "faulter 4"};

	*out = gw_scenario_faulters;
	out->setup = setups[era];
	out->check = NULL; /* that it fails is what is counted */
	for (unsigned i = 0; i < GW_FAULTERS_MOST; i++)
		out->tasks[1 + i] = (struct gw_explore_task){
			.name = names[i], .run = i < n ? touch : NULL, .cpu = 1 + i};
}
