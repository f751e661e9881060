/* SPDX-License-Identifier: MIT */
/*
 * hugetlb_trylock.c - the new page of a hugetlb page is locked by somebody who knew it before
 * (FACTS A4, A13).
 *
 * History. Hugetlb pages have their own way through migration, and had the same BUG: the new page
 * could not be locked. Hugh Dickins (2015) gives both the same treatment: it is only tried for.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/hugetlb.h"
#include "godwit/soft.h"

struct state {
	struct gw_single page; /* first: its functions know nothing of the rest */
	gw_pfn_t dst;
};

static int
map_page(struct gw_single *p)
{
	uint64_t got;
	int err = gw_hugetlb_resize(p->m, 0, GW_PMD_ORDER, 1, &got);

	if (!err)
		err = gw_mmap(p->mm, GW_HUGE_AT, GW_HUGE_BYTES, GW_PROT_READ | GW_PROT_WRITE,
			GW_MAP_FIXED | GW_MAP_HUGETLB, &p->addr);
	return err ? err : gw_cpu_store(p->mm, p->addr, 42);
}

static int
setup(void *arg)
{
	struct state *s = arg;
	struct gw_single *p = &s->page;
	int err = gw_huge_machine(&p->m);

	if (!err)
		err = gw_small_space(p->m, "space", &p->mm);
	if (!err)
		err = map_page(p);
	if (!err)
		err = gw_alloc_pages(p->m, GW_GFP_MOVABLE, 0, GW_PMD_ORDER, &p->dst);
	if (err)
		return err;
	s->dst = p->dst;
	p->pfn = gw_small_pfn(p->mm, p->addr);
	return gw_small_isolate(p->m, p->pfn, &p->list);
}

/* A compactor that has seen the frame in its last life. */
static void
look(void *arg)
{
	struct state *s = arg;
	struct gw_machine *m = s->page.m;

	if (!gw_get_page_unless_zero(m, s->dst))
		return;
	if (gw_page_trylock(m, s->dst))
		gw_page_unlock(m, s->dst);
	gw_put_page(m, s->dst);
}

static void
check(void *arg)
{
	struct state *s = arg;
	struct gw_single *p = &s->page;
	uint64_t value;

	gw_explore_check(gw_cpu_load(p->mm, p->addr, &value) == 0 && value == 42);
	gw_explore_check(gw_small_pfn(p->mm, p->addr) == (p->left ? p->pfn : s->dst));
}

const struct gw_explore_scenario gw_scenario_hugetlb_trylock = {
	.name = "hugetlb-trylock",
	.row = "A4, A13",
	.without = GW_WITHOUT(GW_FIX_HUGETLB_TRYLOCK),
	.story = "migration waits for the lock of a new page while it holds a hugetlb page's",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "compactor", .run = look, .cpu = 1}},
	.check = check,
	.describe = gw_single_describe,
};
