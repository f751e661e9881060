/* SPDX-License-Identifier: MIT */
/*
 * small.c - what scenarios are made of: a machine that a run resets in no time, pages, migrations.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/virt/rmap.h"
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

int
gw_small_machine(unsigned n_cpus, struct gw_machine **out)
{
	struct gw_zone_config zone = {.name = "Normal", .end = GW_SMALL_FRAMES};
	struct gw_machine_config config;

	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.max_order = 4;
	config.pageblock_order = 3;
	config.n_frames = GW_SMALL_FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	config.lru_batch = 0;
	return gw_explore_machine(&config, out, NULL);
}

void
gw_small_name_space(const struct gw_mm *mm, const char *name)
{
	gw_explore_name(mm, sizeof(*mm), name);
	gw_explore_name(&mm->mmap_lock, sizeof(mm->mmap_lock), "mmap lock");
	gw_explore_name(&mm->table_lock, sizeof(mm->table_lock), "table lock");
	gw_explore_name(mm->leaf_locks, sizeof(mm->leaf_locks), "leaf lock");
}

int
gw_small_space(struct gw_machine *m, const char *name, struct gw_mm **out)
{
	int err = gw_mm_create(m, out);

	if (!err)
		gw_small_name_space(*out, name);
	return err;
}

const struct gw_vma *
gw_small_name_vma_(const struct gw_mm *mm, gw_vaddr_t addr, const char *const names[4])
{
	const struct gw_vma *vma = gw_vma_find(mm, addr);
	const struct gw_anon_vma *anon_vma = gw_ptr_load_relaxed(&vma->anon_vma);

	gw_explore_name(vma, sizeof(*vma), names[0]);
	gw_explore_name(&vma->pgoff, sizeof(vma->pgoff), names[1]);
	if (anon_vma) {
		gw_explore_name(&anon_vma->lock, sizeof(anon_vma->lock), names[2]);
		gw_explore_name(&anon_vma->refs, sizeof(anon_vma->refs), names[3]);
	}
	return vma;
}

gw_pfn_t
gw_small_pfn(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_pfn_t pfn;
	bool writable;

	return gw_mm_walk(mm, addr, GW_ACCESS_READ, &pfn, &writable) ? GW_PFN_NONE : pfn;
}

int
gw_small_page(struct gw_mm *mm, uint64_t value, gw_vaddr_t *addr, gw_pfn_t *pfn)
{
	int err = gw_mmap(mm, 0, GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, addr);

	if (!err)
		err = gw_cpu_store(mm, *addr, value);
	if (err)
		return err;
	gw_lru_add_drain_all(mm->machine);
	*pfn = gw_small_pfn(mm, *addr);
	return 0;
}

int
gw_small_isolate(struct gw_machine *m, gw_pfn_t pfn, struct gw_page_list *list)
{
	gw_page_list_init(list);
	return gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, list);
}

int
gw_small_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst);
}

int
gw_small_migrate(struct gw_machine *m, struct gw_page_list *list, enum gw_migrate_mode mode)
{
	const struct gw_migrate_target target = {.get_new_page = gw_small_new_page};
	int left = gw_migrate_pages(m, list, &target, mode, GW_MR_SYSCALL, NULL);

	gw_putback_movable_pages(m, list);
	return left;
}

/* The next pass gets none, which ends the call. */
static int
only_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	gw_pfn_t *only = ctx;

	(void)m;
	(void)src;
	(void)order;
	if (*only == GW_PFN_NONE)
		return -ENOMEM;
	*dst = *only;
	*only = GW_PFN_NONE;
	return 0;
}

bool
gw_small_migrate_once(struct gw_machine *m, struct gw_page_list *list, gw_pfn_t dst)
{
	const struct gw_migrate_target target = {.get_new_page = only_page, .ctx = &dst};
	/* For this reason a large page that finds no second target is not split. */
	int left = gw_migrate_pages(m, list, &target, GW_MIGRATE_ASYNC, GW_MR_NUMA_MISPLACED, NULL);

	gw_putback_movable_pages(m, list);
	return left == 0;
}

static const char *
entry_name(gw_pte_t pte)
{
	switch (gw_pte_kind(pte)) {
	case GW_PTE_NONE:
		return "none";
	case GW_PTE_IS_PRESENT:
		return pte & GW_PTE_WRITE ? "present, write," : "present, read,";
	case GW_PTE_MIGRATION_READ:
		return "migration, read,";
	case GW_PTE_MIGRATION_WRITE:
		return "migration, write,";
	default:
		return "swap";
	}
}

/* As in engine/virt/table.c. */
static unsigned
word_of(gw_vaddr_t addr, unsigned level)
{
	if (level == 0)
		return addr >> GW_PAGE_SHIFT & (GW_PTES_PER_TABLE - 1);
	return addr >> (GW_PAGE_SHIFT + GW_PMD_ORDER + 9 * (level - 1)) & 511;
}

gw_pte_t
gw_small_entry(const struct gw_mm *mm, gw_vaddr_t addr)
{
	const struct gw_machine *m = mm->machine;
	gw_pte_t pte = gw_pte_present(mm->root, 0);

	for (unsigned level = 4; level-- > 0 && pte && !gw_pte_is_huge(pte);) {
		const gw_atomic_u64 *words = m->ops->frame_address(m->ctx, gw_pte_pfn(pte));

		pte = gw_u64_load_relaxed(&words[word_of(addr, level)]);
	}
	return pte;
}

void
gw_small_add_entry(
	const char *whose, const struct gw_mm *mm, gw_vaddr_t addr, char *line, size_t size)
{
	gw_pte_t pte = gw_small_entry(mm, addr);
	size_t n = strlen(line);

	n += (size_t)snprintf(line + n, size - n, "; %s: %s", whose, entry_name(pte));
	if (pte && n < size)
		snprintf(line + n, size - n, " frame %u", gw_pte_pfn(pte));
}

void
gw_small_describe_page(const struct gw_machine *m, gw_pfn_t pfn, char *line, size_t size)
{
	const struct gw_page *page = gw_page(m, pfn);
	uint32_t flags = gw_page_flags(page);

	snprintf(line, size, "frame %u: refs %u, maps %u%s%s", pfn, gw_ref_read(&page->refcount),
		gw_u32_load_relaxed(&page->mapcount), flags & GW_PG_LOCKED ? ", locked" : "",
		flags & GW_PG_WAITERS ? ", waiters" : "");
}

void
gw_small_describe(const struct gw_mm *mm, gw_vaddr_t addr, gw_pfn_t pfn, char *line, size_t size)
{
	gw_small_describe_page(mm->machine, pfn, line, size);
	gw_small_add_entry("entry", mm, addr, line, size);
}

void
gw_small_add_place(const struct gw_vma *vma, gw_pfn_t pfn, char *line, size_t size)
{
	uint64_t index = gw_frame_index(gw_page(vma->mm->machine, pfn));
	size_t n = strlen(line);

	snprintf(line + n, size - n, "; rmap looks at %#llx",
		(unsigned long long)(gw_vma_start(vma) +
				     ((index - gw_vma_pgoff(vma)) << GW_PAGE_SHIFT)));
}
