/* SPDX-License-Identifier: MIT */
/*
 * large.c - the state and the tasks of scenarios about a large page, of as few frames as there can
 * be, that one address space maps and one task splits.
 */
#include <stdio.h>
#include <string.h>

#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static int
map_page(struct gw_large *l, gw_vaddr_t at, uint64_t len)
{
	gw_vaddr_t unused;
	int err = gw_mmap(l->mm, at, len, GW_PROT_READ | GW_PROT_WRITE, GW_MAP_FIXED, &l->addr);

	for (unsigned i = 0; i < GW_LARGE_FRAMES && !err; i++)
		err = gw_cpu_store(l->mm, l->addr + i * GW_PAGE_SIZE, i + 1);
	/* Another VMA, that its tables do not go with the page. */
	if (!err)
		err = gw_mmap(l->mm, at + len + 0x10000, GW_PAGE_SIZE, GW_PROT_READ, GW_MAP_FIXED,
			&unused);
	return err;
}

int
gw_large_make(struct gw_large *l, unsigned order, gw_vaddr_t at, uint64_t len)
{
	const struct gw_thp_tunables thp = {
		.enabled = GW_THP_ALWAYS, .orders = 1u << order, .max_ptes_none = 511};
	int err = gw_machine_set_thp(l->m, &thp);

	if (!err)
		err = gw_small_space(l->m, "space", &l->mm);
	if (!err)
		err = map_page(l, at, len);
	if (err)
		return err;
	gw_small_name_vma(l->mm, l->addr, "");
	gw_lru_add_drain_all(l->m);
	l->pfn = gw_small_pfn(l->mm, l->addr);
	return 0;
}

int
gw_large_setup(void *state)
{
	struct gw_large *l = state;
	int err = gw_small_machine(2, &l->m);

	return err ? err
		   : gw_large_make(l, GW_LARGE_ORDER, 0x200000, GW_LARGE_FRAMES * GW_PAGE_SIZE);
}

static bool
is_large(const struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_flags_order(gw_page_flags(gw_page(m, pfn))) != 0;
}

int
gw_large_try_split(struct gw_machine *m, gw_pfn_t pfn)
{
	int err = 1;

	if (!gw_get_page_unless_zero(m, pfn))
		return 1;
	gw_page_lock(m, pfn);
	if (is_large(m, pfn))
		err = gw_split_huge(m, pfn);
	gw_page_unlock(m, pfn);
	gw_put_page(m, pfn);
	return err;
}

void
gw_large_split(void *state)
{
	struct gw_large *l = state;

	l->split = gw_large_try_split(l->m, l->pfn);
}

void
gw_large_unmap(void *state)
{
	struct gw_large *l = state;

	l->err = gw_munmap(l->mm, l->addr + GW_PAGE_SIZE, GW_PAGE_SIZE);
}

void
gw_large_check_bytes(struct gw_mm *mm, gw_vaddr_t addr)
{
	uint64_t value;

	for (unsigned i = 0; i < GW_LARGE_FRAMES; i++) {
		gw_explore_check(gw_cpu_load(mm, addr + i * GW_PAGE_SIZE, &value) == 0);
		gw_explore_check(value == i + 1);
	}
}

void
gw_large_check(void *state)
{
	const struct gw_large *l = state;

	gw_explore_check(l->split == 0 || l->split == -EBUSY);
	gw_explore_check(is_large(l->m, l->pfn) == (l->split != 0));
	gw_large_check_bytes(l->mm, l->addr);
}

void
gw_large_teardown(void *state)
{
	struct gw_large *l = state;

	if (l->mm)
		gw_mm_put(l->mm);
	gw_machine_destroy(l->m);
}

static char
letter(gw_pte_t pte)
{
	if (!pte)
		return '-';
	if (gw_pte_is_migration(pte))
		return 'M';
	if (gw_pte_kind(pte) == GW_PTE_IS_SWAP)
		return 's';
	return pte & GW_PTE_WRITE ? 'w' : 'r';
}

void
gw_large_describe(const void *state, char *line, size_t size)
{
	const struct gw_large *l = state;
	size_t n;

	gw_small_describe_page(l->m, l->pfn, line, size);
	n = strlen(line);
	n += (size_t)snprintf(line + n, size - n,
		", order %u; entries:", gw_flags_order(gw_page_flags(gw_page(l->m, l->pfn))));
	for (unsigned i = 0; i < GW_LARGE_FRAMES && n < size && l->mm; i++) {
		gw_pte_t pte = gw_small_entry(l->mm, l->addr + i * GW_PAGE_SIZE);

		n += (size_t)snprintf(
			line + n, size - n, " %c%u", letter(pte), pte ? gw_pte_pfn(pte) : 0);
	}
}

/* ---- huge pages ---- */

/* A huge page, its copy, and two more that tables are made of. */
#define HUGE_FRAMES ((gw_pfn_t)4 << GW_PMD_ORDER)

int
gw_huge_machine(struct gw_machine **out)
{
	const struct gw_thp_tunables thp = {
		.enabled = GW_THP_ALWAYS, .orders = 1u << GW_PMD_ORDER, .max_ptes_none = 511};
	struct gw_zone_config zone = {.name = "Normal", .end = HUGE_FRAMES};
	struct gw_machine_config config;
	int err;

	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.max_order = GW_PMD_ORDER;
	config.pageblock_order = GW_PMD_ORDER;
	config.n_frames = HUGE_FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	config.lru_batch = 0;
	err = gw_explore_machine(&config, out, NULL);
	return err ? err : gw_machine_set_thp(*out, &thp);
}
