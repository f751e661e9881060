/* SPDX-License-Identifier: MIT */
/*
 * fork.c - copying an address space, copy-on-write.
 *
 * Idea. Each VMA is linked to rmap before its entries are copied, and a table's entries are
 * copied with both leaf locks held, a huge entry with both table locks. A walk that began before
 * the link was there is over (the link waits for it); a later one meets the parent's VMA first,
 * then the child's. So a migration entry that is copied is found in the child by whoever removes
 * the parent's (R8).
 *
 * Invariants
 *   W1  after the copy neither side has a writable entry of a page that both map; migration
 *       entries included, which become read entries
 *   W2  the parent's CPUs are flushed before the parent's lock is let go, also if fork fails
 */
#include "engine/store/store.h"
#include "engine/virt/virt_internal.h"

/* Both locks held. Returns what the child gets; 0: it faults by itself. */
static gw_pte_t
share_entry(struct gw_machine *m, gw_atomic_u64 *word)
{
	gw_pte_t pte = gw_u64_load_relaxed(word);

	if (gw_pte_is_migration(pte)) {
		if (gw_fix(m, GW_FIX_FORK_WRITE_ENTRY_DOWNGRADE)) /* W1 */
			pte = gw_pte_migration(gw_pte_pfn(pte), false, pte);
		gw_u64_store_release(word, pte);
		return pte;
	}
	if (gw_pte_kind(pte) == GW_PTE_IS_SWAP) {
		gw_swap_dup(m, gw_pte_slot(pte));
		return pte;
	}
	if (!gw_pte_is_page(pte))
		return 0;
	if (pte & GW_PTE_WRITE) /* leaving alone what CPUs mark meanwhile */
		pte = gw_u64_and_relaxed(word, ~(uint64_t)GW_PTE_WRITE);
	gw_get_page(m, gw_pte_pfn(pte));
	if (gw_pte_is_huge(pte))
		gw_rmap_dup_huge(m, gw_pte_pfn(pte));
	else
		gw_rmap_dup(m, gw_pte_pfn(pte));
	return pte & ~(uint64_t)(GW_PTE_WRITE | GW_PTE_YOUNG);
}

/* The range lies in one table, which both have. */
static void
copy_table(struct gw_mm *child, struct gw_mm *parent, gw_vaddr_t start, gw_vaddr_t end)
{
	gw_spinlock *from_lock, *to_lock;
	gw_atomic_u64 *from = gw_pte_of(parent, start, &from_lock);
	gw_atomic_u64 *to = gw_pte_of(child, start, &to_lock);
	uint64_t n_pages = 0;

	gw_leaf_lock_two(from_lock, to_lock);
	for (gw_vaddr_t addr = start; addr < end; addr += GW_PAGE_SIZE) {
		gw_pte_t pte = share_entry(parent->machine, from++);

		gw_u64_store_release(to++, pte);
		n_pages += pte && gw_pte_kind(pte) != GW_PTE_IS_SWAP;
	}
	gw_leaf_unlock_two(from_lock, to_lock);
	gw_u64_add_relaxed(&child->pages, n_pages);
}

/* The child gets the parent's huge entry, and deposits `table`; false: the parent has none now. */
static bool
share_huge(struct gw_mm *child, struct gw_mm *parent, gw_vaddr_t addr, gw_pfn_t table)
{
	gw_atomic_u64 *from = gw_pmd_word(parent, addr), *to = gw_pmd_word(child, addr);
	bool huge;

	gw_leaf_lock_two(&parent->table_lock, &child->table_lock);
	huge = gw_pte_is_huge(gw_u64_load_relaxed(from));
	if (huge) {
		gw_deposit_table(child, table);
		gw_u64_store_release(to, share_entry(parent->machine, from));
		gw_u64_add_relaxed(&child->pages, GW_PTES_PER_TABLE);
	}
	gw_leaf_unlock_two(&parent->table_lock, &child->table_lock);
	return huge;
}

/* The parent has a table or a huge entry there: 1, it is huge, and copied; 0; -ENOMEM. */
static int
copy_huge(struct gw_mm *child, struct gw_mm *parent, gw_vaddr_t addr)
{
	gw_pfn_t table;

	if (!gw_pte_is_huge(gw_u64_load_relaxed(gw_pmd_word(parent, addr))))
		return 0;
	table = gw_table_alloc(child->machine);
	if (table == GW_PFN_NONE)
		return -ENOMEM;
	if (gw_pmd_make(child, addr) && share_huge(child, parent, addr, table))
		return 1;
	gw_put_page(child->machine, table);
	return gw_pmd_word(child, addr) ? 0 : -ENOMEM;
}

static int
copy_entries(struct gw_mm *child, const struct gw_vma *vma)
{
	struct gw_mm *parent = vma->mm;
	gw_vaddr_t end = gw_vma_end(vma);
	gw_vaddr_t addr = gw_table_next(parent, gw_vma_start(vma), end);

	while (addr < end) {
		gw_vaddr_t next = gw_table_end(addr, end);
		int copied = copy_huge(child, parent, addr);

		if (copied < 0 || (!copied && gw_table_make(child, addr)))
			return -ENOMEM;
		if (!copied)
			copy_table(child, parent, addr, next);
		addr = gw_table_next(parent, next, end);
	}
	return 0;
}

static int
copy_vma(struct gw_mm *child, const struct gw_vma *vma)
{
	struct gw_machine *m = child->machine;
	struct gw_vma *copy = gw_vma_new(child, gw_vma_start(vma), gw_vma_end(vma),
		gw_vma_pgoff(vma), vma->flags & ~GW_VM_LOCKED);

	if (!copy)
		return -ENOMEM;
	copy->policy = vma->policy;
	if (gw_ptr_load_acquire(&vma->anon_vma) && gw_anon_vma_fork(copy, vma)) {
		m->ops->release(m->ctx, copy, sizeof(*copy));
		return -ENOMEM;
	}
	copy->mapping = vma->mapping;
	gw_file_link(copy);
	gw_vma_insert(copy);
	/* Without an anon_vma there is nothing but the zero page, and what a file can give again.
	 */
	return gw_ptr_load_acquire(&vma->anon_vma) ? copy_entries(child, vma) : 0;
}

int
gw_mm_fork(struct gw_mm *parent, struct gw_mm **out)
{
	struct gw_mm *child;
	struct gw_vma *vma;
	int err = gw_mm_create(parent->machine, &child);

	if (err)
		return err;
	gw_mm_set_memcg(child, parent->memcg);
	/* The child's own lock is not needed: nobody else knows it, and rmap asks for leaf locks.
	 */
	gw_rw_write_lock(&parent->mmap_lock);
	child->brk_start = parent->brk_start;
	child->brk = parent->brk;
	for (vma = gw_vma_find(parent, 0); vma && !err; vma = gw_vma_next(vma, GW_VADDR_END))
		err = copy_vma(child, vma);
	if (!err)
		err = gw_ksm_fork(child, parent);
	gw_flush_range(parent, 0, GW_VADDR_END); /* W2 */
	gw_rw_write_unlock(&parent->mmap_lock);
	if (err)
		gw_mm_put(child);
	else
		*out = child;
	return err;
}
