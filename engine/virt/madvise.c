/* SPDX-License-Identifier: MIT */
/*
 * madvise.c - changing what a range is for: protection, advice, mlock.
 *
 * Idea. Flags belong to VMAs, so a range is first cut out of the VMAs it touches; then its VMAs
 * change, then their entries. Entries only ever lose rights here: faults give them back.
 *
 * Invariants
 *   B1  a range with a hole in it is refused before anything is changed
 *   B2  what an entry lost is flushed before the lock is let go
 *
 * Not handled: moving pages between LRU lists. mlock() faults pages in and says so in the VMA.
 */
#include "engine/virt/virt_internal.h"

/*
 * Cut out the range and change its VMAs' flags. mmap_lock held for writing.
 * 0, or -ENOMEM with nothing changed.
 */
static int
change_flags(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, uint32_t clear, uint32_t set)
{
	struct gw_inode *node;
	int err = -ENOMEM;

	if (gw_vma_covers(mm, start, end))
		err = gw_vma_split_range(mm, start, end);
	if (err)
		return err;
	for (node = gw_itree_first(&mm->vmas, start, end); node;
		node = gw_itree_next(node, start, end)) {
		struct gw_vma *vma = gw_vma_of(node);

		gw_vma_set_flags(vma, (vma->flags & ~clear) | set);
	}
	return 0;
}

static int
change_range_flags(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, uint32_t clear, uint32_t set)
{
	int err;

	gw_rw_write_lock(&mm->mmap_lock);
	err = change_flags(mm, start, end, clear, set);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

/* ---- entries ---- */

/* What an entry becomes. */
typedef gw_pte_t (*change_fn)(gw_pte_t pte, unsigned prot);

static gw_pte_t
protect(gw_pte_t pte, unsigned prot)
{
	if (!pte)
		return 0;
	pte &= ~(uint64_t)GW_PTE_NO_ACCESS;
	if (prot == GW_PROT_NONE)
		pte |= GW_PTE_NO_ACCESS;
	if (prot & GW_PROT_WRITE)
		return pte;
	return gw_pte_is_migration(pte) ? gw_pte_migration(gw_pte_pfn(pte), false, pte)
					: pte & ~(uint64_t)GW_PTE_WRITE;
}

static gw_pte_t
make_old(gw_pte_t pte, unsigned prot)
{
	(void)prot;
	return pte & ~(uint64_t)GW_PTE_YOUNG;
}

/* The range lies in one table. True: something changed. */
static bool
change_table(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, change_fn change, unsigned prot)
{
	bool changed = false;
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(mm, start, &lock);

	for (gw_vaddr_t addr = start; word && addr < end; addr += GW_PAGE_SIZE, word++) {
		gw_pte_t pte = gw_u64_load_relaxed(word);

		while (change(pte, prot) != pte) { /* CPUs may mark it meanwhile */
			if (!gw_u64_cas_acq_rel(word, &pte, change(pte, prot)))
				continue;
			changed = true;
			break;
		}
	}
	if (word)
		gw_spin_unlock(lock);
	return changed;
}

/* mmap_lock held: for reading if no VMA says otherwise than before. */
static void
change_entries(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, change_fn change, unsigned prot)
{
	gw_vaddr_t addr = gw_table_next(mm, start, end);
	bool changed = false;

	while (addr < end) {
		gw_vaddr_t next = gw_table_end(addr, end);

		changed |= change_table(mm, addr, next, change, prot);
		addr = gw_table_next(mm, next, end);
	}
	if (changed)
		gw_flush_range(mm, start, end); /* B2 */
}

/* ---- the calls ---- */

int
gw_mprotect(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, unsigned prot)
{
	gw_vaddr_t end;
	int err = gw_check_range(addr, len, &end);

	if (err || prot & ~(unsigned)GW_VM_ACCESS)
		return -EINVAL;
	gw_rw_write_lock(&mm->mmap_lock);
	err = change_flags(mm, addr, end, GW_VM_ACCESS, prot);
	if (!err)
		change_entries(mm, addr, end, protect, prot);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

static int
give_up_contents(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err = 0;

	/* For writing: a fault between an entry's clearing and its flush would give one CPU a new
	 * page while another still uses the old one. */
	gw_rw_write_lock(&mm->mmap_lock);
	if (gw_vma_covers(mm, start, end))
		gw_zap_range(mm, start, end);
	else
		err = -ENOMEM;
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

static int
cool(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err = 0;

	gw_rw_read_lock(&mm->mmap_lock);
	if (gw_vma_covers(mm, start, end))
		change_entries(mm, start, end, make_old, 0);
	else
		err = -ENOMEM;
	gw_rw_read_unlock(&mm->mmap_lock);
	return err;
}

int
gw_madvise(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, enum gw_advice advice)
{
	gw_vaddr_t end;
	int err = gw_check_range(addr, len, &end);

	if (err)
		return err;
	switch (advice) {
	case GW_MADV_DONTNEED:
		return give_up_contents(mm, addr, end);
	case GW_MADV_COLD:
		return cool(mm, addr, end);
	case GW_MADV_HUGEPAGE:
		return change_range_flags(mm, addr, end, GW_VM_NOHUGEPAGE, GW_VM_HUGEPAGE);
	case GW_MADV_NOHUGEPAGE:
		return change_range_flags(mm, addr, end, GW_VM_HUGEPAGE, GW_VM_NOHUGEPAGE);
	}
	return -EINVAL;
}

/* What mlock wants of the page at addr: 1, it has it; 0, a fault for *access is due; -ENOMEM. */
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
	word = flags & GW_VM_ACCESS ? gw_pte_lock(mm, addr, &lock) : NULL;
	if (word) {
		pte = gw_u64_load_relaxed(word);
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

int
gw_mlock(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, bool lock)
{
	gw_vaddr_t end;
	int err = gw_check_range(addr, len, &end);

	if (!err)
		err = change_range_flags(
			mm, addr, end, lock ? 0 : GW_VM_LOCKED, lock ? GW_VM_LOCKED : 0);
	for (; lock && !err && addr < end; addr += GW_PAGE_SIZE)
		err = populate(mm, addr);
	return err;
}
