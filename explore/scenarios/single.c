/* SPDX-License-Identifier: MIT */
/*
 * single.c - the state and the tasks of scenarios about one page that one address space maps and
 * one task migrates.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

int
gw_single_isolate(struct gw_single *s)
{
	int err = gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &s->dst);

	if (err)
		return err;
	gw_lru_add_drain_all(s->m);
	s->pfn = gw_small_pfn(s->mm, s->addr);
	return gw_small_isolate(s->m, s->pfn, &s->list);
}

int
gw_single_make(struct gw_single *s, unsigned n_cpus)
{
	int err = gw_small_machine(n_cpus, &s->m);

	s->dst = GW_PFN_NONE;
	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	return err ? err : gw_small_page(s->mm, 42, &s->addr, &s->pfn);
}

int
gw_single_setup(void *state)
{
	struct gw_single *s = state;
	gw_vaddr_t unused;
	int err = gw_single_make(s, 2);

	/* Another VMA, that its tables do not go with the page. */
	if (!err)
		err = gw_mmap(s->mm, 0, GW_PAGE_SIZE, GW_PROT_READ, 0, &unused);
	if (err)
		return err;
	gw_small_name_vma(s->mm, s->addr, "");
	return gw_single_isolate(s);
}

void
gw_single_migrate(void *state)
{
	struct gw_single *s = state;

	s->left = !gw_small_migrate_once(s->m, &s->list, s->dst);
	s->dst = GW_PFN_NONE;
}

void
gw_single_read(void *state)
{
	struct gw_single *s = state;

	s->err = gw_cpu_load(s->mm, s->addr, &s->value);
}

void
gw_single_unmap(void *state)
{
	struct gw_single *s = state;

	s->err = gw_munmap(s->mm, s->addr, GW_PAGE_SIZE);
}

void
gw_single_teardown(void *state)
{
	struct gw_single *s = state;

	if (s->dst != GW_PFN_NONE)
		gw_put_page(s->m, s->dst);
	gw_mm_put(s->mm);
	gw_machine_destroy(s->m);
}

void
gw_single_describe(const void *state, char *line, size_t size)
{
	const struct gw_single *s = state;

	gw_small_describe(s->mm, s->addr, s->pfn, line, size);
}
