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
 */
#include "engine/virt/virt_internal.h"

struct zapped {
	unsigned n;
	bool flush;	/* a CPU may have seen one of the entries */
	uint64_t n_rss; /* entries that counted as pages */
	gw_pfn_t pages[GW_PTES_PER_TABLE];
};

static void
clear_entry(gw_atomic_u64 *word, struct zapped *z)
{
	gw_pte_t pte;

	if (!gw_u64_load_relaxed(word))
		return;
	/* In one step: young and dirty that a CPU adds must not bring the entry back. */
	pte = gw_u64_xchg_acq_rel(word, 0);
	z->flush = true; /* for a migration entry, too: its migrator may not have flushed yet */
	if (pte & GW_PTE_ZERO)
		return;
	z->n_rss++;
	if (pte & GW_PTE_PRESENT)
		z->pages[z->n++] = gw_pte_pfn(pte);
}

/* The range lies in one table. */
static void
zap_table(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	struct gw_machine *m = mm->machine;
	struct zapped z;
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(mm, start, &lock);

	if (!word)
		return;
	z.n = 0;
	z.flush = false;
	z.n_rss = 0;
	for (gw_vaddr_t addr = start; addr < end; addr += GW_PAGE_SIZE)
		clear_entry(word++, &z);
	gw_spin_unlock(lock);
	gw_u64_sub_relaxed(&mm->pages, z.n_rss);
	if (z.flush)
		gw_flush_range(mm, start, end);
	for (unsigned i = 0; i < z.n; i++) {
		gw_rmap_remove(m, z.pages[i]);
		gw_put_page(m, z.pages[i]);
	}
}

void
gw_zap_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	gw_vaddr_t addr = gw_table_next(mm, start, end);

	while (addr < end) {
		gw_vaddr_t next = gw_table_end(addr, end);

		zap_table(mm, addr, next);
		addr = gw_table_next(mm, next, end);
	}
}

void
gw_unmap_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	struct gw_inode *node;

	for (node = gw_itree_first(&mm->vmas, start, end); node;
		node = gw_itree_next(node, start, end))
		gw_zap_range(mm, node->start, node->end);
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
