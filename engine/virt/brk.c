/* SPDX-License-Identifier: MIT */
/*
 * brk.c - the heap: anonymous memory that grows and shrinks at its end.
 *
 * Idea. The end is kept to the byte, memory comes and goes in pages. The heap grows in the VMA that
 * ends where the heap does, as long as that one is plain anonymous memory without a policy of its
 * own; else in a new one.
 */
#include "engine/virt/virt_internal.h"

/* The VMA that the heap, ending at `end`, can grow in, or NULL. */
static struct gw_vma *
last_vma(const struct gw_mm *mm, gw_vaddr_t end, gw_vaddr_t new_end)
{
	struct gw_vma *vma = end > mm->brk_start ? gw_vma_find(mm, end - 1) : NULL;

	if (!vma || gw_vma_start(vma) < gw_page_round(mm->brk_start) || gw_vma_end(vma) != end ||
		vma->mapping || vma->flags != GW_VM_ACCESS ||
		vma->policy.mode != GW_POLICY_DEFAULT ||
		gw_vma_index(vma, new_end) > GW_INDEX_LIMIT)
		return NULL;
	return vma;
}

/* Both are whole pages. */
static int
grow(struct gw_mm *mm, gw_vaddr_t end, gw_vaddr_t new_end)
{
	struct gw_vma *vma = last_vma(mm, end, new_end);

	if (!gw_vma_has_room(mm, end, new_end - end))
		return -ENOMEM;
	if (vma) {
		gw_vma_resize(vma, gw_vma_start(vma), new_end, gw_vma_pgoff(vma));
		return 0;
	}
	vma = gw_vma_new(mm, end, new_end, 0, GW_VM_ACCESS);
	if (!vma)
		return -ENOMEM;
	gw_vma_insert(vma);
	return 0;
}

/* mmap_lock held for writing. */
static int
move_end(struct gw_mm *mm, gw_vaddr_t end)
{
	gw_vaddr_t from = gw_page_round(mm->brk), to = gw_page_round(end);
	int err = 0;

	if (end < mm->brk_start)
		return -EINVAL;
	if (to > from)
		err = grow(mm, from, to);
	else if (to < from)
		err = gw_unmap(mm, to, from);
	if (!err)
		mm->brk = end;
	return err;
}

int
gw_brk(struct gw_mm *mm, gw_vaddr_t end, gw_vaddr_t *out)
{
	int err = 0;

	gw_rw_write_lock(&mm->mmap_lock);
	if (end >= GW_VADDR_END) {
		err = -ENOMEM;
	} else if (end && mm->brk_start) {
		err = move_end(mm, end);
	} else if (end && (end < GW_PAGE_SIZE || !gw_page_aligned(end))) {
		err = -EINVAL;
	} else if (end) {
		mm->brk_start = mm->brk = end;
	}
	*out = mm->brk;
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}
