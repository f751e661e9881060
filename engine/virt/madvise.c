/* SPDX-License-Identifier: MIT */
/*
 * madvise.c - changing what a range is for: protection and advice.
 *
 * Idea. Flags belong to VMAs, so a range is first cut out of the VMAs it touches; then its VMAs
 * change, then their entries. Entries only ever lose rights here: faults give them back.
 *
 * Invariants
 *   B1  a range with a hole in it is refused before anything is changed
 *   B2  what an entry lost is flushed before the lock is let go, also what reclaim and migration
 *       have taken from it and not yet flushed
 */
#include "engine/store/store.h"
#include "engine/virt/ksm.h"
#include "engine/virt/virt_internal.h"

int
gw_vma_change_flags(
	struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, uint32_t clear, uint32_t set)
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
	err = gw_vma_change_flags(mm, start, end, clear, set);
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

struct change {
	change_fn change;
	unsigned prot;
};

static void
change_entry(struct gw_mm *mm, gw_atomic_u64 *word, void *ctx)
{
	const struct change *c = ctx;
	gw_pte_t pte = gw_u64_load_relaxed(word);

	(void)mm;
	while (c->change(pte, c->prot) != pte) /* CPUs may mark it meanwhile */
		if (gw_u64_cas_acq_rel(word, &pte, c->change(pte, c->prot)))
			break;
}

/* mmap_lock held: for reading if no VMA says otherwise than before. */
static void
change_entries(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, change_fn change, unsigned prot)
{
	struct change c = {.change = change, .prot = prot};

	gw_entries_visit(mm, start, end, change_entry, &c);
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
	err = gw_vma_change_flags(mm, addr, end, GW_VM_ACCESS, prot);
	if (!err)
		change_entries(mm, addr, end, protect, prot);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

/* Is all of the range mapped, by VMAs with none of the flags? 0, -ENOMEM, -EINVAL. */
static int
check_contents(const struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, uint32_t refused)
{
	if (!gw_vma_covers(mm, start, end))
		return -ENOMEM;
	for (const struct gw_inode *node = gw_itree_first(&mm->vmas, start, end); node;
		node = gw_itree_next(node, start, end))
		if (gw_vma_find(mm, node->start)->flags & refused)
			return -EINVAL;
	return gw_hugetlb_aligned(mm, start, end) ? 0 : -EINVAL;
}

static int
give_up_contents(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err;

	/* For writing: a fault between an entry's clearing and its flush would give one CPU a new
	 * page while another still uses the old one. */
	gw_rw_write_lock(&mm->mmap_lock);
	err = check_contents(mm, start, end, GW_VM_LOCKED);
	if (!err)
		gw_zap_range(mm, start, end);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

static int
cool(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err;

	gw_rw_read_lock(&mm->mmap_lock);
	err = check_contents(mm, start, end, GW_VM_LOCKED | GW_VM_HUGETLB);
	if (!err)
		change_entries(mm, start, end, make_old, 0);
	gw_rw_read_unlock(&mm->mmap_lock);
	return err;
}

/* Isolate what the entry names, if nobody else maps it: of a page of order > 0 all of it. What
 * others have taken, or hold in a batch, stays. */
static void
isolate_entry(struct gw_mm *mm, gw_atomic_u64 *word, void *ctx)
{
	struct gw_machine *m = mm->machine;
	struct gw_page_list *list = ctx;
	gw_pte_t pte = gw_u64_load_relaxed(word);
	gw_pfn_t pfn = gw_pte_pfn(pte);

	if (!gw_pte_is_page(pte) || gw_page_head(m, pfn) != pfn ||
		gw_u32_load_relaxed(&gw_page(m, pfn)->mapcount) != 1)
		return;
	if (!gw_lru_isolate(m, pfn, GW_ISOLATE_BOTH))
		gw_list_push_back(m, list, pfn);
}

static int
page_out(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	gw_vaddr_t addr;
	int err;

	gw_lru_add_drain_all(mm->machine);
	gw_rw_read_lock(&mm->mmap_lock);
	err = check_contents(mm, start, end, GW_VM_LOCKED | GW_VM_HUGETLB);
	addr = err ? end : gw_table_next(mm, start, end);
	while (addr < end) {
		gw_vaddr_t next = gw_table_end(addr, end);
		struct gw_page_list list;

		gw_page_list_init(&list);
		gw_entries_visit(mm, addr, next, isolate_entry, &list);
		(void)gw_reclaim_pages(mm->machine, &list);
		addr = gw_table_next(mm, next, end);
	}
	gw_rw_read_unlock(&mm->mmap_lock);
	return err;
}

static int
unmerge(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err = change_range_flags(mm, start, end, GW_VM_MERGEABLE, 0);

	/* Nobody merges there any more: who does looks at the flag under mmap_lock. */
	return err ? err : gw_ksm_unmerge_range(mm, start, end);
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
	case GW_MADV_PAGEOUT:
		return page_out(mm, addr, end);
	case GW_MADV_HUGEPAGE:
		return change_range_flags(mm, addr, end, GW_VM_NOHUGEPAGE, GW_VM_HUGEPAGE);
	case GW_MADV_NOHUGEPAGE:
		return change_range_flags(mm, addr, end, GW_VM_HUGEPAGE, GW_VM_NOHUGEPAGE);
	case GW_MADV_MERGEABLE:
		return change_range_flags(mm, addr, end, 0, GW_VM_MERGEABLE);
	case GW_MADV_UNMERGEABLE:
		return unmerge(mm, addr, end);
	}
	return -EINVAL;
}
