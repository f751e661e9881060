/* SPDX-License-Identifier: MIT */
/*
 * exec.c - the temporary stack of exec and its move (R7).
 *
 * Idea. The new program's arguments are written to a stack before anybody knows where the stack
 * will be. When that is known the VMA is first stretched over both places, its page offsets as they
 * were, so that every page's computed address is the new one before its entry is there.
 *
 * Invariants
 *   J1  GW_VM_TEMP_STACK is set from the VMA's beginning until address and entry agree again: no
 *       migration entry stands in it, so no walk has to find one
 */
#include "engine/virt/virt_internal.h"

int
gw_exec_stack(struct gw_mm *mm, gw_vaddr_t top, uint64_t len, gw_vaddr_t *out)
{
	struct gw_vma *vma;
	gw_vaddr_t start, end;

	if (len == 0 || len > top || gw_check_range(top - gw_page_round(len), len, &end) ||
		end != top)
		return -EINVAL;
	start = top - gw_page_round(len);
	vma = gw_vma_new(
		mm, start, top, GW_STACK_INDEX, GW_VM_ACCESS | GW_VM_GROWSDOWN | GW_VM_TEMP_STACK);
	if (!vma)
		return -ENOMEM;
	gw_rw_write_lock(&mm->mmap_lock);
	if (gw_itree_first(&mm->vmas, start, top)) {
		gw_rw_write_unlock(&mm->mmap_lock);
		mm->machine->ops->release(mm->machine->ctx, vma, sizeof(*vma));
		return -ENOMEM;
	}
	gw_vma_insert(vma);
	gw_rw_write_unlock(&mm->mmap_lock);
	*out = start;
	return 0;
}

/* mmap_lock held for writing. */
static int
shift_stack(struct gw_vma *vma, uint64_t shift)
{
	struct gw_mm *mm = vma->mm;
	gw_vaddr_t start = gw_vma_start(vma), end = gw_vma_end(vma);
	gw_vaddr_t to = start - shift;

	if (gw_itree_first(&mm->vmas, to, start))
		return -ENOMEM;
	if (gw_move_prepare(mm, start, to, end - start)) {
		gw_tables_free(mm, to, start);
		return -ENOMEM;
	}
	gw_vma_resize(vma, to, end, gw_vma_pgoff(vma));
	gw_move_entries(mm, start, to, end - start);
	gw_flush_range(mm, start, end);
	gw_vma_resize(vma, to, end - shift, gw_vma_pgoff(vma));
	gw_vma_set_flags(vma, vma->flags & ~GW_VM_TEMP_STACK);
	gw_tables_free(mm, start, end);
	return 0;
}

int
gw_exec_shift(struct gw_mm *mm, gw_vaddr_t addr, uint64_t shift)
{
	struct gw_vma *vma;
	int err = -EINVAL;

	if (!gw_page_aligned(shift) || addr >= GW_VADDR_END)
		return -EINVAL;
	gw_rw_write_lock(&mm->mmap_lock);
	vma = gw_vma_find(mm, addr);
	if (vma && gw_vma_start(vma) <= addr && vma->flags & GW_VM_TEMP_STACK &&
		shift <= gw_vma_start(vma) - GW_PAGE_SIZE)
		err = shift_stack(vma, shift);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}
