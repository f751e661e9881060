/* SPDX-License-Identifier: MIT */
/*
 * single_remap.c - a page that stays where it was is unlocked before it is mapped again (FACTS A8).
 *
 * History. Migration removed its entries in two places, one for success and one for failure, each
 * with its own order of unlocking. Document A (Hugh Dickins, 2015) makes it one: if the page was
 * mapped, map it back to the page that won, before unlocking either; for whoever meets a
 * migration entry trusts its page to be locked (I1).
 */
#include <errno.h>
#include <string.h>

#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static int
read_store(void *ctx, uint64_t index, void *bytes)
{
	(void)ctx;
	memset(bytes, (int)index + 42, GW_PAGE_SIZE);
	return 0;
}

static int
write_store(void *ctx, uint64_t index, const void *bytes)
{
	(void)ctx;
	(void)index;
	(void)bytes;
	return 0;
}

/* A store that does not let its pages go. */
static int
refuse(struct gw_mapping *mapping, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)mapping;
	(void)dst;
	(void)src;
	(void)mode;
	return -EIO;
}

static const struct gw_backing_ops store = {
	.read = read_store, .write = write_store, .migrate = refuse};

/* The file lives as long as it is mapped. */
static int
map_file(struct gw_single *s)
{
	struct gw_mapping *file;
	uint64_t value;
	int err = gw_mapping_create(s->m, &store, NULL, 1, 0, &file);

	if (err)
		return err;
	err = gw_mmap_file(s->mm, 0, GW_PAGE_SIZE, GW_PROT_READ, 0, file, 0, &s->addr);
	gw_mapping_put(file);
	return err ? err : gw_cpu_load(s->mm, s->addr, &value);
}

static int
setup(void *state)
{
	struct gw_single *s = state;
	int err = gw_small_machine(2, &s->m);

	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = map_file(s);
	return err ? err : gw_single_isolate(s);
}

static void
check(void *state)
{
	struct gw_single *s = state;

	gw_explore_check(s->err == 0);
	gw_explore_check(s->left == 1);
	gw_explore_check(gw_small_pfn(s->mm, s->addr) == s->pfn);
}

const struct gw_explore_scenario gw_scenario_single_remap = {
	.name = "single-remap-point",
	.row = "A8",
	.without = GW_WITHOUT(GW_FIX_SINGLE_REMAP_POINT),
	.story = "a page whose move failed is unlocked while a migration entry still names it",
	.state_size = sizeof(struct gw_single),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "reader", .run = gw_single_read, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
