/* SPDX-License-Identifier: MIT */
/*
 * newpage_trylock.c - a new page is locked by somebody who knew it in its last life (FACTS A4).
 *
 * History. Whoever migrates a page holds its lock and takes the new page's as well. The new page
 * was free a moment ago, so that could not fail, and was a BUG if it did; but others take
 * references and locks on sight (Hugh Dickins, 2015: it is only tried for, and if it fails, the
 * page waits for the next pass. Whoever waited would wait for a second page lock, against the
 * order.)
 */
#include "engine/phys/phys.h"
#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_machine *m;
	gw_pfn_t old, given_up;
	gw_pfn_t now; /* where the page moved to */
	struct gw_page_list list;
	int left;
};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_frames_machine(8, 2, 2, &s->m);

	gw_page_list_init(&s->list);
	s->old = 0;
	s->given_up = 5;
	if (!err)
		err = gw_frames_take_all(s->m);
	if (err)
		return err;
	gw_frames_own(s->m, s->old);
	gw_frames_own(s->m, s->given_up);
	gw_frames_free(s->m, 7, 1); /* for another try */
	gw_frames_give_up(s->m, s->given_up);
	return gw_isolate_page(s->m, s->old, GW_MIGRATE_SYNC, &s->list);
}

static int
new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct state *s = ctx;
	int err = gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst);

	(void)src;
	if (err)
		return err;
	s->now = *dst;
	gw_explore_note("frame %u is the new page", s->now);
	return 0;
}

static void
migrate(void *arg)
{
	struct state *s = arg;
	const struct gw_migrate_target target = {.get_new_page = new_page, .ctx = s};

	s->left = gw_migrate_pages(s->m, &s->list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL);
	gw_putback_movable_pages(s->m, &s->list);
}

/*
 * The rest of gw_isolate_page() by another compactor, which saw the page when it had an owner: it
 * finds under the lock that it has none.
 */
static void
isolate(void *arg)
{
	struct state *s = arg;

	if (!gw_get_page_unless_zero(s->m, s->given_up))
		return;
	if (gw_page_trylock(s->m, s->given_up))
		gw_page_unlock(s->m, s->given_up);
	gw_put_page(s->m, s->given_up);
}

static void
check(void *arg)
{
	struct state *s = arg;
	gw_pfn_t now = s->left ? s->old : s->now;

	gw_explore_check(gw_ref_read(&gw_page(s->m, now)->refcount) == 1);
	gw_explore_check(gw_page_is_movable(gw_page(s->m, now)));
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	gw_frames_describe_two(s->m, s->old, s->given_up, line, size);
}

const struct gw_explore_scenario gw_scenario_newpage_trylock = {
	.name = "newpage-trylock",
	.row = "A4",
	.without = GW_WITHOUT(GW_FIX_NEWPAGE_TRYLOCK),
	.story = "migration waits for the lock of a new page while it holds the old one's",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "compactor", .run = isolate, .cpu = 1}},
	.check = check,
	.describe = describe,
};
