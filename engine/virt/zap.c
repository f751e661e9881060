/* SPDX-License-Identifier: MIT */
/*
 * zap.c - taking pages out of an address space: unmapping, and giving contents up.
 *
 * Idea. One table at a time: clear its entries under the leaf lock, flush once, then let the pages
 * go. The order matters twice: a page keeps its reference until no CPU can use it, and it keeps
 * its map count as long, else another address space would take it for its own and write to
 * what a CPU here still reads.
 *
 * Invariants
 *   Y1  between clearing and flush a page counts one map more than it has entries: migration sees a
 *       page that it cannot unmap wholly, and tries again
 *   Y2  a migration entry is cleared like any other and never comes back: whoever removes
 *       migration entries finds this one gone (R15). Its page has neither map nor reference here
 *   Y3  with mmap_lock held for writing no fault fills an entry before the flush. Truncation does
 *       not hold it, and flushes under the leaf lock
 *   Y4  the range is flushed whatever was found: migration and reclaim take entries away some time
 *       before they flush
 */
#include "engine/store/store.h"
#include "engine/virt/virt_internal.h"

struct zapped {
	unsigned n, n_slots;
	uint64_t n_rss; /* entries that counted as pages */
	gw_pte_t pages[GW_PTES_PER_TABLE];
	uint32_t slots[GW_PTES_PER_TABLE]; /* that only the swap cache keeps */
};

static void
clear_entry(struct gw_machine *m, gw_atomic_u64 *word, struct zapped *z)
{
	gw_pte_t pte;

	if (!gw_u64_load_relaxed(word))
		return;
	/* In one step: young and dirty that a CPU adds must not bring the entry back. */
	pte = gw_u64_xchg_acq_rel(word, 0);
	if (gw_pte_kind(pte) == GW_PTE_IS_SWAP) {
		if (gw_swap_put(m, gw_pte_slot(pte)))
			z->slots[z->n_slots++] = gw_pte_slot(pte);
		return;
	}
	if (pte & GW_PTE_ZERO)
		return;
	z->n_rss++;
	if (pte & GW_PTE_PRESENT)
		z->pages[z->n++] = pte;
}

/* Some frames of the page may be of no use to anybody now. The caller has a reference. */
static void
queue_if_partial(struct gw_machine *m, gw_pfn_t frame)
{
	gw_pfn_t page = gw_page_head(m, frame);

	if (gw_flags_order(gw_page_flags(gw_page(m, page))) >= GW_LARGE_ORDER_MIN &&
		gw_page_partially_mapped(m, page) && gw_deferred_add(m, page))
		gw_count(m, GW_VM_THP_DEFERRED_SPLIT_PAGE, 1);
}

void
gw_zap_page(const struct gw_vma *vma, gw_pte_t pte)
{
	struct gw_machine *m = vma->mm->machine;
	gw_pfn_t page = gw_pte_pfn(pte);

	gw_rmap_keep_dirty(m, pte);
	if (vma->flags & GW_VM_LOCKED)
		gw_munlock_page(m, page);
	if (gw_pte_is_huge(pte))
		gw_rmap_remove_huge(m, page);
	else
		gw_rmap_remove(m, page);
	if (!gw_flags_is_small(gw_page_flags(gw_page(m, page))))
		queue_if_partial(m, page);
	gw_put_page(m, page);
}

/* The range's huge entry goes, if it has one and is all of it; if it is a part, it is split. True:
 * nothing is left to do. Of an anonymous mapping: no truncation comes here (Y3). */
static bool
zap_huge(const struct gw_vma *vma, gw_vaddr_t start, gw_vaddr_t end)
{
	struct gw_mm *mm = vma->mm;
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pmd_lock_whole(mm, start, end, &lock);
	gw_pfn_t table;
	gw_pte_t pte;

	if (!word)
		return false;
	pte = gw_u64_xchg_acq_rel(word, 0);
	table = gw_withdraw_table(mm);
	gw_spin_unlock(lock);
	gw_u64_sub_relaxed(&mm->pages, GW_PTES_PER_TABLE);
	gw_flush_range(mm, start, end); /* Y4 */
	if (pte & GW_PTE_PRESENT)
		gw_zap_page(vma, pte);
	gw_put_page(mm->machine, table);
	return true;
}

/* The range lies in one table. flush_locked: faults may come in between (Y3). */
static void
zap_table(const struct gw_vma *vma, gw_vaddr_t start, gw_vaddr_t end, bool flush_locked)
{
	struct gw_mm *mm = vma->mm;
	struct gw_machine *m = mm->machine;
	struct zapped z;
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(mm, start, &lock);

	if (!word)
		return;
	z.n = z.n_slots = 0;
	z.n_rss = 0;
	for (gw_vaddr_t addr = start; addr < end; addr += GW_PAGE_SIZE)
		clear_entry(m, word++, &z);
	if (flush_locked)
		gw_flush_range(mm, start, end);
	gw_spin_unlock(lock);
	gw_u64_sub_relaxed(&mm->pages, z.n_rss);
	if (!flush_locked)
		gw_flush_range(mm, start, end); /* Y4 */
	for (unsigned i = 0; i < z.n; i++)
		gw_zap_page(vma, z.pages[i]);
	for (unsigned i = 0; i < z.n_slots; i++)
		gw_swap_trim(m, z.slots[i]);
}

/* The range lies in the VMA. */
static void
zap(const struct gw_vma *vma, gw_vaddr_t start, gw_vaddr_t end, bool flush_locked)
{
	gw_vaddr_t addr = gw_table_next(vma->mm, start, end);

	while (addr < end) {
		gw_vaddr_t next = gw_table_end(addr, end);

		if (!zap_huge(vma, addr, next))
			zap_table(vma, addr, next, flush_locked);
		addr = gw_table_next(vma->mm, next, end);
	}
}

void
gw_zap_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	struct gw_inode *node;

	for (node = gw_itree_first(&mm->vmas, start, end); node;
		node = gw_itree_next(node, start, end))
		zap(gw_vma_of(node), start > node->start ? start : node->start,
			end < node->end ? end : node->end, false);
}

void
gw_unmap_mapping_range(struct gw_mapping *mapping, uint64_t first, uint64_t end)
{
	struct gw_inode *node;

	/* The lock keeps the VMAs, and these their tables. */
	gw_rw_read_lock(&mapping->rmap_lock);
	for (node = gw_itree_first(&mapping->vmas, first, end); node;
		node = gw_itree_next(node, first, end)) {
		struct gw_vma *vma = gw_vma_of_file_node(node);
		uint64_t from = first > node->start ? first - node->start : 0;
		uint64_t to = (end < node->end ? end : node->end) - node->start;

		zap(vma, gw_vma_start(vma) + (from << GW_PAGE_SHIFT),
			gw_vma_start(vma) + (to << GW_PAGE_SHIFT), true);
	}
	gw_rw_read_unlock(&mapping->rmap_lock);
}

void
gw_unmap_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	struct gw_inode *node;

	gw_zap_range(mm, start, end);
	/* Only now may the VMAs leave rmap: their pages were counted there until the flush. */
	while ((node = gw_itree_first(&mm->vmas, start, end)) != NULL)
		gw_vma_delete(gw_vma_of(node));
	gw_tables_free(mm, start, end);
}

int
gw_unmap(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err = gw_vma_split_range(mm, start, end);

	if (!err)
		gw_unmap_range(mm, start, end);
	return err;
}
