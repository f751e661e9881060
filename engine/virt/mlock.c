/* SPDX-License-Identifier: MIT */
/*
 * mlock.c - memory that stays: mlock, and the mark it leaves on pages.
 *
 * Idea. What is locked is ranges: GW_VM_LOCKED in their VMAs. The mark MLOCKED on a page, and its
 * place on the unevictable list, only spare reclaim looking at it. A mark too few is made when
 * reclaim meets the VMA (it culls the page); a mark too many is taken back by whoever unmaps the
 * page from a locked VMA or unlocks the range, also when another locked VMA maps it: see above.
 *
 * Invariants
 *   W1  a page that a VMA with GW_VM_LOCKED maps is never unmapped by reclaim, marked or not
 *   W2  a page that nobody maps any more is not on the unevictable list for mlock's sake; for one
 *       that migrates meanwhile gw_remove_migration_entries() sees to it
 */
#include "engine/virt/virt_internal.h"

void
gw_mlock_page(struct gw_machine *m, gw_pfn_t page)
{
	(void)gw_lru_set_mlocked(m, gw_page_head(m, page), true);
}

void
gw_munlock_page(struct gw_machine *m, gw_pfn_t page)
{
	if (gw_lru_set_mlocked(m, gw_page_head(m, page), false))
		gw_count(m, GW_VM_UNEVICTABLE_PGS_RESCUED, 1);
}

/* What mlock wants of the page at addr: 1, it has it, and the page is marked; 0, a fault for
 * *access is due; -ENOMEM. */
static int
is_populated(struct gw_mm *mm, gw_vaddr_t addr, enum gw_access *access)
{
	const struct gw_vma *vma;
	gw_atomic_u64 *word;
	gw_spinlock *lock;
	gw_pte_t pte = 0;
	uint32_t flags;

	gw_rw_read_lock(&mm->mmap_lock);
	vma = gw_vma_find(mm, addr);
	flags = vma && gw_vma_start(vma) <= addr ? vma->flags : 0;
	word = flags & GW_VM_ACCESS ? gw_entry_lock(mm, addr, &lock) : NULL;
	if (word) {
		pte = gw_u64_load_relaxed(word);
		if (flags & GW_VM_LOCKED && gw_pte_is_page(pte))
			gw_mlock_page(mm->machine, gw_pte_pfn(pte));
		gw_spin_unlock(lock);
	}
	gw_rw_read_unlock(&mm->mmap_lock);
	if (!(flags & GW_VM_ACCESS))
		return -ENOMEM;
	*access = flags & GW_VM_WRITE ? GW_ACCESS_WRITE : GW_ACCESS_READ;
	return pte & (*access == GW_ACCESS_WRITE ? GW_PTE_WRITE : GW_PTE_PRESENT) ? 1 : 0;
}

static int
populate(struct gw_mm *mm, gw_vaddr_t addr)
{
	enum gw_access access;
	int ret;

	while ((ret = is_populated(mm, addr, &access)) == 0) {
		ret = gw_fault(mm, addr, access);
		if (ret)
			return ret == -EFAULT ? -ENOMEM : ret;
	}
	return ret < 0 ? ret : 0;
}

static void
munlock_entry(struct gw_mm *mm, gw_atomic_u64 *word, void *ctx)
{
	gw_pte_t pte = gw_u64_load_relaxed(word);

	(void)ctx;
	if (gw_pte_is_page(pte))
		gw_munlock_page(mm->machine, gw_pte_pfn(pte));
}

static int
munlock(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err;

	gw_rw_write_lock(&mm->mmap_lock);
	err = gw_vma_change_flags(mm, start, end, GW_VM_LOCKED, 0);
	if (!err)
		gw_entries_visit(mm, start, end, munlock_entry, NULL);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

int
gw_mlock(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, bool lock)
{
	gw_vaddr_t end;
	int err = gw_check_range(addr, len, &end);

	if (err || !lock)
		return err ? err : munlock(mm, addr, end);
	gw_rw_write_lock(&mm->mmap_lock);
	err = gw_vma_change_flags(mm, addr, end, 0, GW_VM_LOCKED);
	gw_rw_write_unlock(&mm->mmap_lock);
	for (; !err && addr < end; addr += GW_PAGE_SIZE)
		err = populate(mm, addr);
	return err;
}
