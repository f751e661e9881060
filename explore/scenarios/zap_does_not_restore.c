/* SPDX-License-Identifier: MIT */
/*
 * zap_does_not_restore.c - memory that was given up comes back (FACTS R15).
 *
 * History. A zap that meets a migration entry takes the entry and leaves the page to migration,
 * which is harmless as long as who maps the page again looks at what is there, and does not
 * restore by heart what it has removed (the review of compaction's races, 2010).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static void
give_up(void *state)
{
	struct gw_single *s = state;

	s->err = gw_madvise(s->mm, s->addr, GW_PAGE_SIZE, GW_MADV_DONTNEED);
}

static void
check(void *state)
{
	const struct gw_single *s = state;
	uint64_t value;

	gw_explore_check(s->err == 0);
	gw_explore_check(gw_mm_pages(s->mm) == 0);
	gw_explore_check(gw_cpu_load(s->mm, s->addr, &value) == 0 && value == 0);
}

const struct gw_explore_scenario gw_scenario_zap_does_not_restore = {
	.name = "zap-does-not-restore",
	.row = "R15",
	.without = GW_WITHOUT(GW_FIX_ZAP_DOES_NOT_RESTORE),
	.story = "memory is given up while its page is under migration, and the page comes back "
		 "with its bytes",
	.state_size = sizeof(struct gw_single),
	.setup = gw_single_setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "owner", .run = give_up, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
