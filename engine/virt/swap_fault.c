/* SPDX-License-Identifier: MIT */
/*
 * swap_fault.c - bringing an anonymous page back from swap.
 *
 * Idea. The swap cache gives the page of the slot, read in if need be, and locked; if the entry
 * still names the slot then, it becomes an entry of the page: writable if the access is a write and
 * nobody else maps the page or names its slot, else read-only; copy-on-write does the rest.
 *
 * Invariants
 *   Q1  an entry that names a slot keeps it from being freed; so an entry that is what it was,
 *       seen under its leaf lock with the page locked, means this page (R10, R16)
 *   Q2  whoever's entry names a slot is linked to the root of the family the page came from, and
 *       to its anon_vma; if no other entry names it, the VMA's own will do
 *   Q3  the page stays in the swap cache as long as other entries name the slot; with the last of
 *       them it leaves when it is unlocked (W5 in swap.c)
 */
#include "engine/store/store.h"
#include "engine/virt/policy.h"
#include "engine/virt/virt_internal.h"

/* The page of a slot that one entry fewer names will be mapped once: is there nobody else who could
 * want it as it is? Then it need not be copied for a write. */
static bool
is_ours(const struct gw_fault_at *f, gw_pfn_t page, bool mapped, bool last)
{
	return f->access == GW_ACCESS_WRITE && last && !mapped &&
	       gw_swap_cache_try_delete(f->mm->machine, page);
}

/* Leaf lock held, page locked: entry and page know each other; the slot has one entry fewer. */
static void
map_page(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_pte_t pte, gw_pfn_t page)
{
	struct gw_machine *m = f->mm->machine;
	uint32_t slot = gw_pte_slot(pte);
	uint64_t flags = GW_PTE_YOUNG | (pte & (GW_PTE_SOFT_DIRTY | GW_PTE_NO_ACCESS));
	bool mapped = gw_page_mapped(m, page);

	if (!mapped) /* R3: whoever owned it may be gone */
		gw_rmap_set_anon(m, page, f->vma, f->addr, gw_swap_count(m, slot) > 1);
	if (is_ours(f, page, mapped, gw_swap_put(m, slot)))
		flags |= GW_PTE_WRITTEN;
	gw_fault_map(f, word, page, flags);
}

int
gw_swap_fault(const struct gw_fault_at *f, gw_pte_t pte)
{
	const struct gw_page_source source = gw_vma_source(f->vma, f->addr);
	struct gw_machine *m = f->mm->machine;
	gw_atomic_u64 *word;
	gw_spinlock *lock;
	gw_pfn_t page;
	int err = gw_swap_get_page(m, gw_pte_slot(pte), &source, &page);

	if (err)
		return err == -ENOENT ? 0 : err;
	page = gw_check_misplaced(m, page, f->vma, f->addr); /* E1 */
	word = gw_pte_lock(f->mm, f->addr, &lock);
	if (gw_u64_load_relaxed(word) == pte) /* Q1 */
		map_page(f, word, pte, page);
	gw_spin_unlock(lock);
	gw_swap_page_unlock(m, page);
	gw_put_page(m, page);
	return 0;
}
