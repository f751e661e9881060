/* SPDX-License-Identifier: MIT */
/*
 * too_many_isolated.c - compactors hold every page, and reclaim finds none (FACTS R12, D12).
 *
 * History. Many compactors at once could isolate all that was on the LRU lists; whoever had to
 * reclaim memory then saw nothing to reclaim, and called it out of memory (Mel Gorman, memory
 * compaction v8, 2010: while too many pages are isolated, compaction waits or gives up).
 *
 * Here one page of a file is in the hands of a compactor that is not done with it. The other one
 * can be had, unless the second compactor takes it as well.
 */
#include <stdio.h>
#include <string.h>

#include "engine/phys/phys.h"
#include "explore/scenarios/scenarios.h"

#define BLOCK 2 /* frames of a pageblock */

struct state {
	struct gw_machine *m;
	struct gw_mapping *file;
	struct gw_page_list first; /* what the first compactor holds */
	uint64_t freed;
};

static int
read_zeroes(void *ctx, uint64_t index, void *bytes)
{
	(void)ctx;
	(void)index;
	memset(bytes, 0, GW_PAGE_SIZE);
	return 0;
}

static const struct gw_backing_ops store = {.read = read_zeroes, .migrate = gw_mapping_migrate};

/* Page `index` of the file comes to stand in frame `pfn`. */
static int
read_to(struct state *s, uint64_t index, gw_pfn_t pfn)
{
	char byte;
	int err;

	gw_frames_free(s->m, pfn, 1);
	err = gw_mapping_read(s->file, index * GW_PAGE_SIZE, &byte, 1);
	gw_lru_add_drain_all(s->m);
	return err;
}

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_frames_machine(4 * BLOCK, 1, 2, &s->m);

	gw_page_list_init(&s->first);
	if (!err)
		err = gw_frames_take_all(s->m);
	if (!err)
		err = gw_mapping_create(s->m, &store, NULL, 2, 0, &s->file);
	if (!err)
		err = read_to(s, 0, 0);
	if (!err)
		err = read_to(s, 1, BLOCK);
	if (err)
		return err;
	gw_frames_free(s->m, 3 * BLOCK, 1); /* where compaction moves pages to */
	return gw_isolate_page(s->m, 0, GW_MIGRATE_SYNC, &s->first);
}

static void
compact(void *arg)
{
	struct state *s = arg;
	const struct gw_compact_request request = {
		.order = -1, .mode = GW_MIGRATE_ASYNC, .whole_zone = true, .ignore_skip = true};

	(void)gw_compact_zone(s->m, 0, &request, NULL);
}

static void
reclaim(void *arg)
{
	struct state *s = arg;

	s->freed = gw_reclaim(s->m, 0, NULL, 1);
	gw_explore_note("reclaimed %llu frames", (unsigned long long)s->freed);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->freed > 0); /* else the machine would be out of memory */
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_putback_movable_pages(s->m, &s->first);
	gw_mapping_put(s->file);
	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;
	const struct gw_node *node = &s->m->nodes[0];

	snprintf(line, size, "pages of files: %llu on the list, %llu isolated",
		(unsigned long long)gw_lru_count(s->m, 0, GW_LRU_INACTIVE_FILE),
		(unsigned long long)gw_u64_load_relaxed(&node->isolated_frames[1]));
}

const struct gw_explore_scenario gw_scenario_too_many_isolated = {
	.name = "too-many-isolated",
	.row = "R12, D12",
	.without = GW_WITHOUT(GW_FIX_TOO_MANY_ISOLATED),
	.story = "compactors have isolated every page, and who reclaims memory finds none to free",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "compactor", .run = compact},
		{.name = "reclaimer", .run = reclaim, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
