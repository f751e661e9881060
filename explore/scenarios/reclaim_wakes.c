/* SPDX-License-Identifier: MIT */
/*
 * reclaim_wakes.c - a waiter is asleep on a page that reclaim has freed (FACTS C9).
 *
 * History. Reclaim cleared the lock bit of a page that it had frozen without waking: nobody could
 * have had it. Then waiters began to drop their reference before they sleep: one may stand in the
 * queue of such a page (Hugh Dickins, 2018: reclaim unlocks it like everybody else).
 */
#include "engine/store/store.h"
#include "engine/virt/rmap.h"
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct state {
	struct gw_machine *m;
	struct gw_mm *mm;
	struct gw_mapping *file;
	gw_vaddr_t addr;
	gw_pfn_t pfn;
	struct gw_page_list list;
	int err;
};

static int
read_store(void *ctx, uint64_t index, void *bytes)
{
	(void)ctx;
	(void)index;
	*(uint64_t *)bytes = 42;
	return 0;
}

static const struct gw_backing_ops store = {.read = read_store};

/* A clean page of a file, mapped once, which is isolated and whose migration has just failed: its
 * entry is still to be restored. */
static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_small_machine(2, &s->m);

	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = gw_mapping_create(s->m, &store, NULL, 1, 0, &s->file);
	if (!err)
		err = gw_mmap_file(
			s->mm, 0, GW_PAGE_SIZE, GW_PROT_READ, GW_MAP_SHARED, s->file, 0, &s->addr);
	if (!err)
		err = gw_fault(s->mm, s->addr, GW_ACCESS_READ);
	if (err)
		return err;
	gw_explore_name(s->file, sizeof(*s->file), "file");
	gw_machine_set_wait_era(s->m, GW_ERA_DROP);
	gw_lru_add_drain_all(s->m);
	s->pfn = gw_small_pfn(s->mm, s->addr);
	err = gw_lru_isolate(s->m, s->pfn, GW_ISOLATE_BOTH);
	gw_page_list_init(&s->list);
	gw_list_push_back(s->m, &s->list, s->pfn);
	gw_page_lock(s->m, s->pfn);
	return err ? err : gw_unmap_for_migration(s->m, s->pfn, NULL) - 1;
}

static void
restore_and_reclaim(void *arg)
{
	struct state *s = arg;

	(void)gw_remove_migration_entries(s->m, s->pfn, s->pfn, NULL);
	gw_page_unlock(s->m, s->pfn);
	(void)gw_reclaim_pages(s->m, &s->list);
}

static void
fault(void *arg)
{
	struct state *s = arg;

	s->err = gw_fault(s->mm, s->addr, GW_ACCESS_READ);
}

static void
check(void *arg)
{
	struct state *s = arg;

	uint64_t value;

	gw_explore_check(s->err == 0);
	gw_explore_check(gw_cpu_load(s->mm, s->addr, &value) == 0 && value == 42);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_mm_put(s->mm);
	gw_mapping_put(s->file);
	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	gw_small_describe(s->mm, s->addr, s->pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_reclaim_wakes = {
	.name = "reclaim-wakes",
	.row = "C9",
	.without = GW_WITHOUT(GW_FIX_UNLOCK_WAKES_IN_RECLAIM),
	.story = "reclaim frees a page on which somebody waits without a reference, and wakes "
		 "nobody",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "reclaimer", .run = restore_and_reclaim},
		{.name = "fault", .run = fault, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
