/* SPDX-License-Identifier: MIT */
/*
 * put_new_page_once.c - an unused new page goes back by the wrong call (FACTS A1).
 *
 * History. Callers of migration may lend pages of their own, which an unused one returns to. A page
 * that its owner freed meanwhile needs no new one and is a success; so it was put on the LRU as if
 * it had been used, and the lender missed a page (Hugh Dickins, 2015: the lender gets back whatever
 * no real migration has used).
 */
#include <stdio.h>
#include <string.h>

#include "engine/phys/phys.h"
#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_single page; /* its dst: what the pool has to lend; it keeps a reference */
	unsigned lent, returned;
};

static int
lend(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct state *s = ctx;

	(void)src;
	(void)order;
	if (s->lent)
		return -ENOMEM; /* one try is enough */
	s->lent = 1;
	*dst = s->page.dst;
	gw_explore_note("the pool lends frame %u", *dst);
	gw_get_page(m, *dst);
	return 0;
}

static void
take_back(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct state *s = ctx;

	(void)order;
	s->returned++;
	gw_explore_note("it comes back");
	gw_put_page(m, dst);
}

static void
migrate(void *arg)
{
	struct state *s = arg;
	struct gw_single *p = &s->page;
	const struct gw_migrate_target target = {
		.get_new_page = lend, .put_new_page = take_back, .ctx = s};

	p->left =
		gw_migrate_pages(p->m, &p->list, &target, GW_MIGRATE_ASYNC, GW_MR_COMPACTION, NULL);
	gw_putback_movable_pages(p->m, &p->list);
}

/* The page is freed while it is isolated. */
static void
forget(void *arg)
{
	struct gw_single *p = &((struct state *)arg)->page;

	p->err = gw_madvise(p->mm, p->addr, GW_PAGE_SIZE, GW_MADV_DONTNEED);
}

/* A page that was used carries the mark of an anonymous one until it is freed. */
static void
check(void *arg)
{
	struct state *s = arg;
	const struct gw_page *page = gw_page(s->page.m, s->page.dst);
	bool used = gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner));

	gw_explore_check(s->page.err == 0);
	gw_explore_check(s->lent == 0 || s->returned + used == 1);
	gw_explore_check(gw_ref_read(&page->refcount) == 1);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;
	size_t n;

	gw_single_describe(&s->page, line, size);
	n = strlen(line);
	snprintf(line + n, size - n, "; pool: frame %u, lent %u, returned %u", s->page.dst, s->lent,
		s->returned);
}

const struct gw_explore_scenario gw_scenario_put_new_page_once = {
	.name = "put-new-page-once",
	.row = "A1",
	.without = GW_WITHOUT(GW_FIX_PUT_NEW_PAGE_ONCE),
	.story = "a page is freed from under its migration, and the new page does not go back to "
		 "whoever lent it",
	.state_size = sizeof(struct state),
	.setup = gw_single_setup,
	.tasks = {{.name = "migrator", .run = migrate}, {.name = "owner", .run = forget, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = describe,
};
