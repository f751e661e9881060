/* SPDX-License-Identifier: MIT */
/*
 * file_fault.c - the first touch of a file's page in an address space.
 *
 * Idea. The page cache gives the page, read in if need be, and locked. As long as it is locked it
 * stays the file's page at that index: it cannot be truncated, nor migrated. Its entry is made
 * under the lock:
 *   read            read-only, also of shared mappings, so that a write is seen
 *   write, shared   writable and dirty
 *   write, private  no entry of it, but of a copy
 *
 * Invariants
 *   L1  the size is compared again under the leaf lock. Truncation changes the size first, then
 *       comes to every entry under its leaf lock: either we see the new size, or it sees our entry
 *   L2  what may be short of memory comes before the page lock: reclaim and compaction may wait
 *       for page locks
 */
#include "engine/store/store.h"
#include "engine/virt/policy.h"
#include "engine/virt/virt_internal.h"

/* Copy-on-write, at once. */
static bool
wants_copy(const struct gw_fault_at *f)
{
	return f->access == GW_ACCESS_WRITE && !(f->vma->flags & GW_VM_SHARED);
}

/* `page` is locked; `copy`, or NONE: made of it. The entry has a reference of its own then, of the
 * page, or the caller's of the copy: true. */
static bool
fill_entry(const struct gw_fault_at *f, gw_pfn_t page, gw_pfn_t copy, int *err)
{
	uint64_t flags = f->access == GW_ACCESS_WRITE ? GW_PTE_WRITTEN : (uint64_t)GW_PTE_YOUNG;
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(f->mm, f->addr, &lock);
	bool filled = false;

	*err = 0;
	if (gw_vma_index(f->vma, f->addr) >= gw_mapping_pages(f->vma->mapping)) { /* L1 */
		*err = -EFAULT;
	} else if (gw_u64_load_relaxed(word) == 0) { /* else another task was faster */
		filled = true;
		if (copy != GW_PFN_NONE)
			gw_fault_install(f, word, 0, copy);
		else
			gw_fault_map(f, word, page, flags);
	}
	gw_spin_unlock(lock);
	return filled;
}

/* True: copy is the entry's now. */
static bool
fault_with(const struct gw_fault_at *f, gw_pfn_t copy, int *err)
{
	const struct gw_page_source source = gw_vma_source(f->vma, f->addr);
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t page;
	bool filled;

	*err = gw_mapping_fault_page(f->vma->mapping, source.index, &source, &page);
	if (*err)
		return false;
	if (copy != GW_PFN_NONE) {
		const struct gw_copy bytes = {.dst = copy, .src = page, .n = 1};

		m->ops->copy_frames(m->ctx, &bytes, 1);
	} else {
		page = gw_check_misplaced(m, page, f->vma, f->addr); /* E1 */
	}
	filled = fill_entry(f, page, copy, err);
	gw_page_unlock(m, page);
	gw_put_page(m, page);
	return filled;
}

int
gw_file_fault(const struct gw_fault_at *f)
{
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t copy = GW_PFN_NONE;
	int err;

	if (wants_copy(f)) { /* L2 */
		copy = gw_fault_page(f, GW_GFP_USER_MOVABLE);
		if (copy == GW_PFN_NONE)
			return -ENOMEM;
	}
	if (!fault_with(f, copy, &err) && copy != GW_PFN_NONE)
		gw_put_page(m, copy);
	return err;
}
