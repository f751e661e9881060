/* SPDX-License-Identifier: MIT */
/*
 * hugetlb_fault.c - memory of huge pages from the pool.
 *
 * Idea. A VMA with GW_VM_HUGETLB has huge entries and nothing else: it begins and ends at multiples
 * of a huge page, and nobody splits an entry of it. When it is mapped, as many pages are reserved
 * as it may need; a fault takes one of them. A child of a fork has none: its pages come from what
 * nobody has reserved, and if there are none a write to a shared page fails (-EFAULT, as Linux ends
 * the task).
 *
 * Invariants
 *   X1  vma->hugetlb_reserved is no larger than the entries of the VMA that are empty
 *   X2  a page is written in place if its one map is this entry, whatever references others have:
 *       the pool may have no page for a copy. Its lock is held while this is found out, and while
 *       it is copied: the map count does not know the entries of a page that moves, and two that
 *       copy it would be one too many
 */
#include "engine/phys/hugetlb.h"
#include "engine/store/store.h"
#include "engine/virt/policy.h"
#include "engine/virt/rmap.h"
#include "engine/virt/virt_internal.h"

bool
gw_hugetlb_aligned(const struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	for (const struct gw_inode *node = gw_itree_first(&mm->vmas, start, end); node;
		node = gw_itree_next(node, start, end)) {
		const struct gw_vma *vma =
			(const struct gw_vma *)((const char *)node - offsetof(struct gw_vma, node));
		bool cut = (start > node->start && start & (GW_TABLE_SPAN - 1)) ||
			   (end < node->end && end & (GW_TABLE_SPAN - 1));

		if (vma->flags & GW_VM_HUGETLB && cut)
			return false;
	}
	return true;
}

/* ---- reservations ---- */

static bool
take_reservation(struct gw_vma *vma)
{
	uint64_t n = gw_u64_load_relaxed(&vma->hugetlb_reserved);

	while (n > 0)
		if (gw_u64_cas_relaxed(&vma->hugetlb_reserved, &n, n - 1))
			return true;
	return false;
}

/* A page that was taken is not needed; its reservation was, and comes back if it still can. */
static void
give_back(struct gw_vma *vma, gw_pfn_t page, bool reserved)
{
	struct gw_machine *m = vma->mm->machine;

	gw_put_page(m, page);
	if (reserved && gw_hugetlb_reserve(m, GW_PMD_ORDER, 1))
		gw_u64_add_relaxed(&vma->hugetlb_reserved, 1);
}

void
gw_hugetlb_vma_split(struct gw_vma *vma, struct gw_vma *upper)
{
	uint64_t n = gw_u64_load_relaxed(&vma->hugetlb_reserved), empty = 0;

	for (gw_vaddr_t addr = gw_vma_start(upper); n > 0 && addr < gw_vma_end(upper);
		addr += GW_TABLE_SPAN) {
		const gw_atomic_u64 *word = gw_pmd_word(vma->mm, addr);

		empty += !word || !gw_u64_load_relaxed(word);
	}
	if (empty > n)
		empty = n;
	gw_u64_store_relaxed(&upper->hugetlb_reserved, empty);
	gw_u64_store_relaxed(&vma->hugetlb_reserved, n - empty);
}

void
gw_hugetlb_vma_end(struct gw_vma *vma)
{
	uint64_t n = gw_u64_load_relaxed(&vma->hugetlb_reserved);

	if (n > 0)
		gw_hugetlb_unreserve(vma->mm->machine, GW_PMD_ORDER, n);
}

/* ---- faults: mmap_lock held for reading ---- */

/* GW_PFN_NONE: there is none, or nobody to pay for it; the reservation is the VMA's again. */
static gw_pfn_t
new_page(const struct gw_fault_at *f, bool reserved)
{
	const struct gw_page_source source = gw_vma_source(f->vma, f->addr);
	gw_pfn_t page = GW_PFN_NONE;

	if (!gw_anon_vma_prepare(f->vma))
		page = gw_hugetlb_take_source(f->mm->machine, &source, GW_PMD_ORDER, reserved);
	if (page == GW_PFN_NONE) {
		gw_u64_add_relaxed(&f->vma->hugetlb_reserved, reserved);
	} else if (gw_memcg_charge(source.memcg, page)) {
		give_back(f->vma, page, reserved);
		page = GW_PFN_NONE;
	}
	return page;
}

static bool
is_empty(const struct gw_fault_at *f)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_entry_lock(f->mm, f->addr, &lock);

	if (word)
		gw_spin_unlock(lock);
	return !word;
}

/* hugetlb_mutex held: nobody else takes a page, or a reservation, for the same entry. */
static int
fill(const struct gw_fault_at *f)
{
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t table, page;
	bool reserved;

	if (!is_empty(f))
		return 0; /* another task was faster */
	table = gw_table_alloc(m);
	if (table == GW_PFN_NONE)
		return -ENOMEM;
	reserved = take_reservation(f->vma);
	page = new_page(f, reserved);
	if (page == GW_PFN_NONE) {
		gw_put_page(m, table);
		return -EFAULT;
	}
	gw_clear_frames(m, page, GW_PTES_PER_TABLE);
	if (gw_huge_install(f, page, table))
		return 0;
	give_back(f->vma, page, reserved);
	gw_put_page(m, table);
	return 0; /* the next fault says that there is no memory */
}

int
gw_hugetlb_fault(const struct gw_fault_at *f)
{
	int err;

	gw_mutex_lock(&f->mm->hugetlb_mutex);
	err = fill(f);
	gw_mutex_unlock(&f->mm->hugetlb_mutex);
	return err;
}

/* X2. The entry's lock held, and the page's. */
static bool
write_in_place(const struct gw_machine *m, gw_atomic_u64 *word, gw_pfn_t page)
{
	if (gw_u32_load_relaxed(&gw_page(m, page)->mapcount) != 1)
		return false;
	gw_u64_or_relaxed(word, GW_PTE_WRITTEN);
	return true;
}

/* The page that is copied is locked, and has a reference of ours (P3 in fault.c). */
static int
copy(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte)
{
	struct gw_machine *m = f->mm->machine;
	gw_vaddr_t start = f->addr & ~(GW_TABLE_SPAN - 1);
	gw_pfn_t old = gw_pte_pfn(pte), page = new_page(f, false);
	bool same;

	if (page == GW_PFN_NONE)
		return -EFAULT;
	m->ops->copy_frames(
		m->ctx, &(struct gw_copy){.dst = page, .src = old, .n = GW_PTES_PER_TABLE}, 1);
	gw_spin_lock(lock);
	same = ((gw_u64_load_relaxed(word) ^ pte) & ~(uint64_t)GW_PTE_YOUNG) == 0;
	if (same) { /* P4 in fault.c */
		gw_rmap_new_large(m, page, f->vma, start, true);
		(void)gw_u64_xchg_acq_rel(word, 0);
		gw_flush_range(f->mm, start, start + GW_TABLE_SPAN);
		gw_u64_store_release(word, gw_pte_present(page, GW_PTE_WRITTEN | GW_PTE_HUGE));
	}
	gw_spin_unlock(lock);
	if (same)
		gw_zap_page(f->vma, pte);
	else
		gw_put_page(m, page);
	return 0;
}

int
gw_hugetlb_write(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte)
{
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t page = gw_pte_pfn(pte);
	bool locked = gw_page_trylock(m, page);
	bool written = locked && write_in_place(m, word, page);
	int err = 0;

	gw_get_page(m, page);
	gw_spin_unlock(lock);
	if (!locked)
		return gw_page_put_and_wait_locked(m, page, true);
	if (!written)
		err = copy(f, word, lock, pte);
	gw_page_unlock(m, page);
	gw_put_page(m, page);
	return err;
}
