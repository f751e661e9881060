/* SPDX-License-Identifier: MIT */
/*
 * freeze_under_lock.c - a page is found in its cache between the look at its references and its
 * replacement (FACTS R16).
 *
 * History. A page of a cache moves if nobody else has a reference to it. Who looks it up takes one
 * under the tree's lock; so the count must be compared, and frozen, under that lock, too, in the
 * step that replaces the page, or a reader is left with a page that is freed under it.
 */
#include <stdio.h>
#include <string.h>

#include "engine/store/store.h"
#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_machine *m;
	struct gw_mapping *file;
	gw_pfn_t pfn, dst, found;
	struct gw_page_list list;
	uint64_t value;
};

static int
read_store(void *ctx, uint64_t index, void *bytes)
{
	(void)ctx;
	(void)index;
	*(uint64_t *)bytes = 42;
	return 0;
}

static const struct gw_backing_ops store = {.read = read_store, .migrate = gw_mapping_migrate};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_small_machine(2, &s->m);

	if (!err)
		err = gw_mapping_create(s->m, &store, NULL, 1, 0, &s->file);
	if (!err)
		err = gw_mapping_read(s->file, 0, &s->value, sizeof(s->value));
	if (err)
		return err;
	gw_explore_name(s->file, sizeof(*s->file), "file");
	gw_explore_name(&s->file->cache.lock, sizeof(s->file->cache.lock), "cache lock");
	gw_lru_add_drain_all(s->m);
	s->pfn = gw_mapping_find(s->file, 0);
	gw_put_page(s->m, s->pfn);
	err = gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &s->dst);
	return err ? err : gw_small_isolate(s->m, s->pfn, &s->list);
}

static void
migrate(void *arg)
{
	struct state *s = arg;

	(void)gw_small_migrate_once(s->m, &s->list, s->dst); /* not while it is being read */
}

static void
look_up(void *arg)
{
	struct state *s = arg;

	s->found = gw_mapping_find(s->file, 0);
	if (s->found != GW_PFN_NONE)
		gw_put_page(s->m, s->found);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->found == s->pfn || s->found == s->dst);
	gw_explore_check(gw_mapping_read(s->file, 0, &s->value, sizeof(s->value)) == 0);
	gw_explore_check(s->value == 42);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_mapping_put(s->file);
	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	size_t n;

	gw_small_describe_page(s->m, s->pfn, line, size);
	n = strlen(line);
	snprintf(line + n, size - n, "; in the cache: frame %u",
		gw_radix_find(&s->file->cache.tree, 0));
}

const struct gw_explore_scenario gw_scenario_freeze_under_lock = {
	.name = "freeze-under-lock",
	.row = "R16",
	.without = GW_WITHOUT(GW_FIX_FREEZE_UNDER_LOCK),
	.story = "a page is looked up after its references were counted and before it is replaced, "
		 "and is freed under who found it",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "reader", .run = look_up, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
