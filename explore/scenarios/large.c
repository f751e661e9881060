/* SPDX-License-Identifier: MIT */
/*
 * large.c - the state and the tasks of scenarios about a large page that one address space maps and
 * one task splits: a page of as few frames as there can be, or a huge one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/store/store.h"
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

/* ---- making one ---- */

gw_vaddr_t
gw_large_part(const struct gw_large *l, unsigned i)
{
	return l->addr + ((gw_vaddr_t)i << (l->order - GW_LARGE_ORDER) << GW_PAGE_SHIFT);
}

static int
map_page(struct gw_large *l, gw_vaddr_t at, uint64_t len)
{
	gw_vaddr_t unused;
	int err = gw_mmap(l->mm, at, len, GW_PROT_READ | GW_PROT_WRITE, GW_MAP_FIXED, &l->addr);

	for (unsigned i = 0; i < GW_LARGE_PARTS && !err; i++)
		err = gw_cpu_store(l->mm, gw_large_part(l, i), i + 1);
	/* Another VMA, that its tables do not go with the page. */
	if (!err)
		err = gw_mmap(l->mm, at + len + 0x10000, GW_PAGE_SIZE, GW_PROT_READ, GW_MAP_FIXED,
			&unused);
	return err;
}

/* Faults make pages of this order where they can. */
static int
large_pages(struct gw_machine *m, unsigned order)
{
	struct gw_thp_tunables thp;

	gw_thp_tunables_init(&thp);
	thp.enabled = GW_THP_ALWAYS;
	thp.orders = 1u << order;
	thp.shrink_underused = false;
	return gw_machine_set_thp(m, &thp);
}

int
gw_large_make(struct gw_large *l, unsigned order, gw_vaddr_t at, uint64_t len)
{
	int err = large_pages(l->m, order);

	l->order = order;
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
		   : gw_large_make(l, GW_LARGE_ORDER, 0x200000, GW_LARGE_PARTS * GW_PAGE_SIZE);
}

int
gw_large_setup_huge(void *state)
{
	struct gw_large *l = state;
	int err = gw_huge_machine(&l->m);

	return err ? err : gw_large_make(l, GW_PMD_ORDER, GW_HUGE_AT, GW_HUGE_BYTES);
}

void
gw_large_teardown(void *state)
{
	struct gw_large *l = state;

	if (l->child)
		gw_mm_put(l->child);
	if (l->mm)
		gw_mm_put(l->mm);
	gw_machine_destroy(l->m);
}

/* ---- the split ---- */

bool
gw_large_is_whole(const struct gw_large *l)
{
	return gw_flags_order(gw_page_flags(gw_page(l->m, l->pfn))) == l->order;
}

/* Take a reference and the lock of the page's first frame, and split the page if it is one. */
static int
try_split(const struct gw_large *l)
{
	int err = 1;

	if (!gw_get_page_unless_zero(l->m, l->pfn))
		return 1;
	gw_page_lock(l->m, l->pfn);
	if (gw_large_is_whole(l))
		err = gw_split_huge(l->m, l->pfn);
	gw_page_unlock(l->m, l->pfn);
	gw_put_page(l->m, l->pfn);
	return err;
}

void
gw_large_split(void *state)
{
	struct gw_large *l = state;

	l->split = try_split(l);
}

void
gw_large_check_bytes(const struct gw_large *l, struct gw_mm *mm)
{
	uint64_t value;

	for (unsigned i = 0; i < GW_LARGE_PARTS; i++) {
		gw_explore_check(gw_cpu_load(mm, gw_large_part(l, i), &value) == 0);
		gw_explore_check(value == i + 1);
	}
}

void
gw_large_check(void *state)
{
	const struct gw_large *l = state;

	gw_explore_check(l->split == 0 || l->split == -EBUSY);
	gw_explore_check(gw_large_is_whole(l) == (l->split != 0));
	gw_large_check_bytes(l, l->mm);
}

void
gw_large_check_moved(void *state)
{
	const struct gw_large *l = state;

	gw_explore_check(l->split == 0 || l->split == 1 || l->split == -EBUSY);
	gw_large_check_bytes(l, l->mm);
}

/* ---- others ---- */

void
gw_large_split_too(void *state)
{
	struct gw_large *l = state;

	l->err = try_split(l);
}

void
gw_large_check_twice(void *state)
{
	struct gw_large *l = state;

	gw_explore_check(!(l->split == 0 && l->err == 0));
	if (l->err == 0)
		l->split = 0;
	gw_large_check(l);
}

void
gw_large_pin(void *state)
{
	const struct gw_large *l = state;

	if (!gw_get_page_unless_zero(l->m, l->pfn))
		return;
	gw_explore_note("the page is pinned");
	gw_put_page(l->m, l->pfn);
}

void
gw_large_fork(void *state)
{
	struct gw_large *l = state;

	l->err = gw_mm_fork(l->mm, &l->child);
}

void
gw_large_check_fork(void *state)
{
	const struct gw_large *l = state;

	gw_explore_check(l->err == 0);
	gw_large_check(state);
	gw_large_check_bytes(l, l->child);
}

void
gw_large_exit(void *state)
{
	struct gw_large *l = state;
	struct gw_mm *mm = l->mm;

	l->mm = NULL;
	gw_mm_put(mm);
}

void
gw_large_check_exit(void *state)
{
	const struct gw_large *l = state;

	gw_explore_check(l->split == 0 || l->split == 1 || l->split == -EBUSY);
	gw_explore_check(gw_flags_type(gw_page_flags(gw_page(l->m, l->pfn))) != GW_PAGE_USED);
}

void
gw_large_write(void *state)
{
	struct gw_large *l = state;

	l->err = gw_cpu_add(l->mm, gw_large_part(l, 1), 10, NULL);
}

void
gw_large_check_write(void *state)
{
	const struct gw_large *l = state;
	uint64_t sum;

	gw_explore_check(l->err == 0);
	gw_explore_check(gw_cpu_add(l->mm, gw_large_part(l, 1), (uint64_t)-10, &sum) == 0);
	gw_large_check(state);
}

void
gw_large_unmap(void *state)
{
	struct gw_large *l = state;

	l->err = gw_munmap(l->mm, gw_large_part(l, 1), GW_PAGE_SIZE);
}

void
gw_large_check_unmap(void *state)
{
	const struct gw_large *l = state;
	uint64_t value;

	gw_explore_check(l->err == 0);
	for (unsigned i = 0; i < GW_LARGE_PARTS; i++) {
		if (i == 1)
			continue; /* unmapped */
		gw_explore_check(gw_cpu_load(l->mm, gw_large_part(l, i), &value) == 0);
		gw_explore_check(value == i + 1);
	}
}

/* Grown, it does not fit where it is. */
void
gw_large_move(void *state)
{
	struct gw_large *l = state;
	gw_vaddr_t to = 0;

	l->err = gw_mremap(l->mm, l->addr, GW_HUGE_BYTES, 4 * GW_HUGE_BYTES, &to);
	gw_explore_check(to && to != l->addr);
	l->addr = to;
}

/* One new page is to be had: ten passes make more runs. */
static int
new_page_once(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	bool *had = ctx;

	if (*had)
		return -ENOMEM;
	*had = true;
	return gw_small_new_page(NULL, m, src, order, dst);
}

void
gw_large_migrate(void *state)
{
	struct gw_large *l = state;
	bool had = false;
	const struct gw_migrate_target target = {.get_new_page = new_page_once, .ctx = &had};

	if (gw_small_isolate(l->m, l->pfn, &l->list))
		return;
	l->err = gw_migrate_pages(
		l->m, &l->list, &target, GW_MIGRATE_ASYNC, GW_MR_NUMA_MISPLACED, NULL);
	gw_putback_movable_pages(l->m, &l->list);
}

void
gw_large_collapse(void *state)
{
	struct gw_large *l = state;

	l->err = gw_collapse(l->mm, l->addr, GW_HUGE_BYTES, NULL);
}

/* ---- reclaim ---- */

#define SLOTS (1u << GW_PMD_ORDER)

/* A swap area that keeps the first word of each slot. */
static int
read_slot(void *ctx, uint64_t index, void *bytes)
{
	const uint64_t *words = ctx;

	gw_explore_access(&words[index], false);
	memset(bytes, 0, GW_PAGE_SIZE);
	memcpy(bytes, &words[index], sizeof(*words));
	return 0;
}

static int
write_slot(void *ctx, uint64_t index, const void *bytes)
{
	uint64_t *words = ctx;

	gw_explore_access(&words[index], true);
	memcpy(&words[index], bytes, sizeof(*words));
	return 0;
}

static const struct gw_backing_ops area = {.read = read_slot, .write = write_slot};

static int
swap_on(struct gw_large *l)
{
	uint64_t *words = gw_explore_alloc(SLOTS * sizeof(*words));

	return words ? gw_swap_on(l->m, &area, words, SLOTS) : -ENOMEM;
}

int
gw_large_setup_swap(void *state)
{
	int err = gw_large_setup(state);

	return err ? err : swap_on(state);
}

int
gw_large_setup_huge_swap(void *state)
{
	int err = gw_large_setup_huge(state);

	return err ? err : swap_on(state);
}

/* What MADV_PAGEOUT does to pages that are mapped once. */
void
gw_large_reclaim(void *state)
{
	struct gw_large *l = state;

	gw_page_list_init(&l->list);
	if (gw_lru_isolate(l->m, l->pfn, GW_ISOLATE_BOTH))
		return;
	gw_list_push_back(l->m, &l->list, l->pfn);
	(void)gw_reclaim_pages(l->m, &l->list);
}

/* ---- describing ---- */

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
	for (unsigned i = 0; i < GW_LARGE_PARTS && n < size && l->mm; i++) {
		gw_pte_t pte = gw_small_entry(l->mm, gw_large_part(l, i));

		n += (size_t)snprintf(line + n, size - n, " %s%c%u",
			gw_pte_is_huge(pte) ? "huge " : "", letter(pte), pte ? gw_pte_pfn(pte) : 0);
		if (gw_pte_is_huge(pte))
			break; /* it is that of all */
	}
}

/* ---- huge pages ---- */

int
gw_huge_machine(struct gw_machine **out)
{
	int err = gw_small_machine(2, out);

	return err ? err : large_pages(*out, GW_PMD_ORDER);
}
