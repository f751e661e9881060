/* SPDX-License-Identifier: MIT */
/*
 * split_tail.c - somebody gets a reference to a frame that has just become a page (FACTS B10).
 *
 * History. A tail has no references, so who scans memory frame by frame gets none. When a split
 * gives it some, a scanner may have got his in the same moment: Kirill Shutemov's split (2015) adds
 * to the count and never stores it, or his is lost and the page is freed under him.
 *
 * Idea. One store in place of one addition loses nothing where memory is sequentially consistent: a
 * count of zero cannot be raised by others. So without the fix the references, the split's and the
 * list's, are stored one after the other.
 */
#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_large large; /* first: its functions know nothing of the rest */
	struct gw_page_list pieces;
};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_large_setup(&s->large);

	return err ? err : gw_small_isolate(s->large.m, s->large.pfn, &s->pieces);
}

static void
split(void *arg)
{
	struct state *s = arg;
	struct gw_large *l = &s->large;

	gw_page_lock(l->m, l->pfn);
	l->split = gw_split_huge_to_list(l->m, l->pfn, &s->pieces);
	gw_page_unlock(l->m, l->pfn);
	gw_putback_movable_pages(l->m, &s->pieces);
}

static void
scan(void *arg)
{
	struct state *s = arg;
	struct gw_large *l = &s->large;

	if (!gw_get_page_unless_zero(l->m, l->pfn + 1))
		return;
	gw_explore_note("frame %u is a page, and in use", l->pfn + 1);
	gw_put_page(l->m, l->pfn + 1);
}

const struct gw_explore_scenario gw_scenario_split_tail_add = {
	.name = "split-tail-add",
	.row = "B10",
	.without = GW_WITHOUT(GW_FIX_SPLIT_TAIL_ADD),
	.story = "a scanner gets a reference to a piece of a large page, and the split stores "
		 "another number of them",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "splitter", .run = split}, {.name = "scanner", .run = scan, .cpu = 1}},
	.check = gw_large_check,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
