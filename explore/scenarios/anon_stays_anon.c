/* SPDX-License-Identifier: MIT */
/*
 * anon_stays_anon.c - a page in use that nobody seems to own (FACTS A7).
 *
 * History. The old page of a migration lives until its last reference goes, and scanners of memory
 * take references as they like. Document A (Hugh Dickins, 2015) has migration forget the old page's
 * owner only if it is not anonymous: once anonymous, always anonymous until it is freed.
 */
#include <stdio.h>
#include <string.h>

#include "explore/scenarios/scenarios.h"

/* As compaction looks at frames: with a reference, and no lock. */
static void
scan(void *state)
{
	struct gw_single *s = state;
	struct gw_frame_info info;

	if (!gw_get_page_unless_zero(s->m, s->pfn))
		return; /* just being freed */
	gw_explore_check(gw_frame_info(s->m, s->pfn, &info) == 0);
	if (info.state == GW_STATE_USED)
		gw_explore_fail(
			"frame %u, which was anonymous memory, looks like memory that never "
			"moves",
			s->pfn);
	gw_put_page(s->m, s->pfn);
}

static void
describe(const void *state, char *line, size_t size)
{
	const struct gw_single *s = state;
	const void *owner = gw_ptr_load_relaxed(&gw_page(s->m, s->pfn)->owner);
	size_t n;

	gw_single_describe(state, line, size);
	n = strlen(line);
	snprintf(line + n, size - n, "; owner: %s", owner ? "anon_vma" : "nobody");
}

const struct gw_explore_scenario gw_scenario_anon_stays_anon = {
	.name = "anon-stays-anon",
	.row = "A7",
	.without = GW_WITHOUT(GW_FIX_ANON_STAYS_ANON),
	.story = "a scanner meets the old page of a migration, which has lost its owner and looks "
		 "as "
		 "if it could never move",
	.state_size = sizeof(struct gw_single),
	.setup = gw_single_setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "scanner", .run = scan, .cpu = 1}},
	.teardown = gw_single_teardown,
	.describe = describe,
};
