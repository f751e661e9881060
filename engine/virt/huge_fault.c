/* SPDX-License-Identifier: MIT */
/*
 * huge_fault.c - faults that large pages answer (FACTS 2.4).
 *
 * Idea. A first write to anonymous memory gets the largest page that is wanted there, fits into the
 * VMA at its natural alignment, finds nothing in its way and can be had: a huge page where there is
 * no lowest table yet, smaller ones for empty entries of a table, at last a single frame. A write
 * to a huge page that others map, too, splits its entry and copies one frame.
 *
 * Invariants
 *   H1  a large page is mapped wholly when it is made, in one hold of the lock of all its entries
 *   H2  who allocates holds no lock but mmap_lock for reading, under which no table goes away: what
 *       was empty is looked at again
 *
 * Not handled: a read fault makes no large page; there is no huge zero page.
 */
#include "engine/store/store.h"
#include "engine/virt/policy.h"
#include "engine/virt/virt_internal.h"

/* The orders that faults of the VMA may try. */
static uint32_t
wanted_orders(const struct gw_vma *vma)
{
	const struct gw_thp_tunables *thp = &vma->mm->machine->thp;

	if (vma->mapping || thp->enabled == GW_THP_NEVER ||
		vma->flags & (GW_VM_NOHUGEPAGE | GW_VM_TEMP_STACK | GW_VM_IO | GW_VM_HUGETLB))
		return 0;
	if (thp->enabled == GW_THP_MADVISE && !(vma->flags & GW_VM_HUGEPAGE))
		return 0;
	return thp->orders & ((2u << vma->mm->machine->config.max_order) - 1);
}

/* Does the VMA hold all of the aligned block around addr? It begins at *start. */
static bool
fits(const struct gw_vma *vma, gw_vaddr_t addr, unsigned order, gw_vaddr_t *start)
{
	gw_vaddr_t bytes = (gw_vaddr_t)GW_PAGE_SIZE << order;

	*start = addr & ~(bytes - 1);
	return *start >= gw_vma_start(vma) && *start + bytes <= gw_vma_end(vma);
}

/* A cleared, charged page; GW_PFN_NONE: not worth the trouble. Who asked for it waits: for one
 * light try first, then for what it takes (FACTS 3.6). */
static gw_pfn_t
new_page(const struct gw_fault_at *f, gw_vaddr_t start, unsigned order)
{
	const struct gw_page_source source = gw_vma_source(f->vma, start);
	gw_gfp_t gfp = GW_GFP_MOVABLE | GW_GFP_ZERO;
	gw_pfn_t page;
	int err;

	if (f->vma->flags & GW_VM_HUGEPAGE)
		gfp |= GW_GFP_KERNEL;
	if (gw_anon_vma_prepare(f->vma))
		return GW_PFN_NONE;
	err = gw_alloc_source(f->mm->machine, gfp | GW_GFP_NORETRY, &source, order, &page);
	if (err && gfp & GW_GFP_DIRECT_RECLAIM)
		err = gw_alloc_source(f->mm->machine, gfp, &source, order, &page);
	return err ? GW_PFN_NONE : page;
}

/* ---- huge pages ---- */

/* Would anybody look at how much of the page is used? Not by Linux's defaults. */
static bool
may_be_underused(const struct gw_thp_tunables *thp)
{
	return thp->shrink_underused && thp->max_ptes_none + 1 < GW_PTES_PER_TABLE;
}

/* A huge page is mapped, and reclaim may have it. */
static void
join_lru(const struct gw_fault_at *f, gw_pfn_t page)
{
	struct gw_machine *m = f->mm->machine;

	gw_lru_add(m, page, GW_LRU_ACTIVE_ANON);
	if (may_be_underused(&m->thp))
		(void)gw_deferred_add(m, page);
	if (f->vma->flags & GW_VM_LOCKED)
		gw_mlock_page(m, page);
}

/* H1 */
bool
gw_huge_install(const struct gw_fault_at *f, gw_pfn_t page, gw_pfn_t table)
{
	struct gw_mm *mm = f->mm;
	gw_vaddr_t start = f->addr & ~(GW_TABLE_SPAN - 1);
	gw_atomic_u64 *word = gw_pmd_make(mm, start);
	bool empty;

	if (!word)
		return false;
	gw_spin_lock(&mm->table_lock);
	empty = gw_u64_load_relaxed(word) == 0; /* H2 */
	if (empty) {
		gw_rmap_new_large(mm->machine, page, f->vma, start, true);
		gw_pmd_install(mm, word, page, table,
			f->access == GW_ACCESS_WRITE ? GW_PTE_WRITTEN : GW_PTE_YOUNG);
		if (!(f->vma->flags & GW_VM_HUGETLB))
			join_lru(f, page);
	}
	gw_spin_unlock(&mm->table_lock);
	return empty;
}

static bool
make_huge(const struct gw_fault_at *f, gw_vaddr_t start)
{
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t table = gw_table_alloc(m), page;
	bool done = false;

	if (table == GW_PFN_NONE)
		return false;
	page = new_page(f, start, GW_PMD_ORDER);
	if (page != GW_PFN_NONE) {
		done = gw_huge_install(f, page, table);
		gw_count(m, done ? GW_VM_THP_FAULT_ALLOC : GW_VM_THP_FAULT_FALLBACK, 1);
		if (!done)
			gw_put_page(m, page);
	} else {
		gw_count(m, GW_VM_THP_FAULT_FALLBACK, 1);
	}
	if (!done)
		gw_put_page(m, table);
	return done;
}

bool
gw_huge_fault(const struct gw_fault_at *f)
{
	gw_vaddr_t start;

	return f->access == GW_ACCESS_WRITE && wanted_orders(f->vma) >> GW_PMD_ORDER & 1 &&
	       fits(f->vma, f->addr, GW_PMD_ORDER, &start) && make_huge(f, start);
}

/* ---- smaller ones ---- */

/* All entries of the block at start are empty; its lock is held. */
static bool
is_empty(gw_atomic_u64 *words, unsigned order)
{
	for (unsigned i = 0; i < 1u << order; i++)
		if (gw_u64_load_relaxed(&words[i]))
			return false;
	return true;
}

/* Is the block at start empty? A hint. */
static bool
looks_empty(struct gw_mm *mm, gw_vaddr_t start, unsigned order)
{
	gw_spinlock *lock;
	gw_atomic_u64 *words = gw_pte_lock(mm, start, &lock);
	bool empty = words && is_empty(words, order);

	if (words)
		gw_spin_unlock(lock);
	return empty;
}

/* H1. True: the entries are there, and have the page. */
static bool
install_large(const struct gw_fault_at *f, gw_vaddr_t start, gw_pfn_t page, unsigned order)
{
	struct gw_machine *m = f->mm->machine;
	gw_spinlock *lock;
	gw_atomic_u64 *words = gw_pte_lock(f->mm, start, &lock);
	gw_pfn_t n = (gw_pfn_t)1 << order;
	bool empty = words && is_empty(words, order); /* H2 */

	if (empty) {
		gw_ref_add(&gw_page(m, page)->refcount, n - 1);
		gw_rmap_new_large(m, page, f->vma, start, false);
		gw_lru_add(m, page, GW_LRU_ACTIVE_ANON);
		for (gw_pfn_t i = 0; i < n; i++)
			gw_u64_store_release(&words[i], gw_pte_present(page + i, GW_PTE_WRITTEN));
		gw_u64_add_relaxed(&f->mm->pages, n);
		if (f->vma->flags & GW_VM_LOCKED)
			gw_mlock_page(m, page);
	}
	if (words)
		gw_spin_unlock(lock);
	return empty;
}

static bool
make_large(const struct gw_fault_at *f, unsigned order)
{
	gw_vaddr_t start;
	gw_pfn_t page;

	if (!fits(f->vma, f->addr, order, &start) || !looks_empty(f->mm, start, order))
		return false;
	page = new_page(f, start, order);
	if (page == GW_PFN_NONE)
		return false;
	if (install_large(f, start, page, order))
		return true;
	gw_put_page(f->mm->machine, page);
	return false;
}

bool
gw_large_fault(const struct gw_fault_at *f)
{
	uint32_t orders = wanted_orders(f->vma) & ((1u << GW_PMD_ORDER) - 1);

	while (orders) {
		unsigned order = 31 - (unsigned)__builtin_clz(orders);

		if (make_large(f, order))
			return true;
		orders &= ~(1u << order);
	}
	return false;
}
