/* SPDX-License-Identifier: MIT */
/*
 * unmapped_swapcache.c - a page of the swap cache that nobody maps is mapped again (FACTS R3, A10).
 *
 * History. Such a page names an anon_vma, but nothing says that it still lives: whoever had the
 * page may have exited. Migration neither takes it nor needs it: the page is locked, so nobody can
 * map it (Mel Gorman, KAMEZAWA Hiroyuki, 2010: migrate it without unmapping and mapping it again).
 */
#include <errno.h>

#include "engine/store/store.h"
#include "engine/virt/rmap.h"
#include "explore/scenarios/scenarios.h"

static int
no_io(void *ctx, uint64_t index, void *bytes)
{
	(void)ctx;
	(void)index;
	(void)bytes;
	return -EIO;
}

static int
no_write(void *ctx, uint64_t index, const void *bytes)
{
	(void)ctx;
	(void)index;
	(void)bytes;
	return -EIO;
}

/* The page stays in the swap cache: nothing is read or written. */
static const struct gw_backing_ops area = {.read = no_io, .write = no_write};

/* What reclaim does to a page before it writes it. */
static int
unmap_to_swap(struct gw_machine *m, gw_pfn_t pfn)
{
	int err;

	gw_page_lock(m, pfn);
	err = gw_swap_cache_add(m, pfn);
	if (!err && !gw_page_unmap(m, pfn))
		err = -EBUSY;
	gw_page_unlock(m, pfn);
	return err;
}

static int
setup(void *state)
{
	struct gw_single *s = state;
	int err = gw_single_setup(state);

	if (!err)
		err = gw_swap_on(s->m, &area, NULL, 1);
	return err ? err : unmap_to_swap(s->m, s->pfn);
}

static void
check(void *state)
{
	const struct gw_single *s = state;
	struct gw_swap_info info;

	gw_explore_check(s->err == 0);
	gw_swap_info(s->m, &info);
	gw_explore_check(info.used == 0 && info.cached == 0);
}

const struct gw_explore_scenario gw_scenario_unmapped_swapcache = {
	.name = "unmapped-swapcache",
	.row = "R3",
	.without = GW_WITHOUT(GW_FIX_NO_REMAP_UNMAPPED_SWAPCACHE),
	.story = "a page of the swap cache that nobody maps is migrated, and its anon_vma, which "
		 "went with its last user, is asked where it was mapped",
	.state_size = sizeof(struct gw_single),
	.setup = setup,
	.tasks = {{.name = "owner", .run = gw_single_unmap},
		{.name = "migrator", .run = gw_single_migrate, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
