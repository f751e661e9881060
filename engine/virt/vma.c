/* SPDX-License-Identifier: MIT */
/*
 * vma.c - the VMAs of an address space: making, splitting, changing, finding room for them.
 *
 * Idea. VMAs stand in an interval tree by address and never overlap. Each new mapping is a VMA of
 * its own with page offsets from 0 on, a family with whatever splits, moves and forks make of it;
 * neighbours are not merged.
 *
 * Invariants
 *   A1  VMAs of one address space do not overlap, and lie in [GW_PAGE_SIZE, GW_VADDR_END)
 *   A2  start, end, pgoff and flags of a linked VMA change between gw_vma_change_begin() and
 *       gw_vma_change_end() only, so that no walk sees half a change (R5, R6)
 */
#include "engine/virt/virt_internal.h"

/* The lowest address handed out unasked. */
#define ROOM_FROM ((gw_vaddr_t)0x10000)

int
gw_check_range(gw_vaddr_t addr, uint64_t len, gw_vaddr_t *end)
{
	if (len == 0 || len > GW_VADDR_END || !gw_page_aligned(addr) || addr < GW_PAGE_SIZE)
		return -EINVAL;
	len = gw_page_round(len);
	if (addr > GW_VADDR_END - len)
		return -EINVAL;
	*end = addr + len;
	return 0;
}

struct gw_vma *
gw_vma_find(const struct gw_mm *mm, gw_vaddr_t addr)
{
	return gw_vma_of(gw_itree_first(&mm->vmas, addr, GW_VADDR_END));
}

struct gw_vma *
gw_vma_new(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, uint64_t pgoff, uint32_t flags)
{
	struct gw_vma *vma = mm->machine->ops->alloc(mm->machine->ctx, sizeof(*vma));

	if (!vma)
		return NULL;
	vma->mm = mm;
	vma->node.start = start;
	vma->node.end = end;
	gw_u64_store_relaxed(&vma->pgoff, pgoff);
	vma->flags = flags;
	return vma;
}

void
gw_vma_insert(struct gw_vma *vma)
{
	gw_itree_insert(&vma->mm->vmas, &vma->node);
	vma->mm->n_vmas++;
}

void
gw_vma_delete(struct gw_vma *vma)
{
	struct gw_machine *m = vma->mm->machine;

	gw_itree_remove(&vma->mm->vmas, &vma->node);
	vma->mm->n_vmas--;
	gw_anon_vma_unlink(vma);
	gw_file_unlink(vma);
	gw_hugetlb_vma_end(vma);
	m->ops->release(m->ctx, vma, sizeof(*vma));
}

void
gw_vma_resize(struct gw_vma *vma, gw_vaddr_t start, gw_vaddr_t end, uint64_t pgoff)
{
	gw_itree_remove(&vma->mm->vmas, &vma->node);
	gw_vma_change_begin(vma);
	vma->node.start = start;
	vma->node.end = end;
	gw_u64_store_relaxed(&vma->pgoff, pgoff);
	gw_vma_change_end(vma);
	gw_itree_insert(&vma->mm->vmas, &vma->node);
}

void
gw_vma_set_flags(struct gw_vma *vma, uint32_t flags)
{
	gw_vma_change_begin(vma);
	vma->flags = flags;
	gw_vma_change_end(vma);
}

int
gw_vma_link_as(struct gw_vma *dst, const struct gw_vma *src)
{
	if (gw_anon_vma_clone(dst, src))
		return -ENOMEM;
	dst->mapping = src->mapping;
	gw_file_link(dst);
	return 0;
}

/* The part of vma from addr on becomes a VMA of its own. Both are found by rmap for a moment: a
 * walk looks twice at the same entries, which is harmless. */
static int
split(struct gw_vma *vma, gw_vaddr_t addr)
{
	struct gw_machine *m = vma->mm->machine;
	struct gw_vma *upper =
		gw_vma_new(vma->mm, addr, gw_vma_end(vma), gw_vma_index(vma, addr), vma->flags);

	if (!upper)
		return -ENOMEM;
	upper->policy = vma->policy;
	if (gw_vma_link_as(upper, vma)) {
		m->ops->release(m->ctx, upper, sizeof(*upper));
		return -ENOMEM;
	}
	gw_hugetlb_vma_split(vma, upper);
	gw_vma_resize(vma, gw_vma_start(vma), addr, gw_vma_pgoff(vma));
	gw_vma_insert(upper);
	return 0;
}

static int
split_at(struct gw_mm *mm, gw_vaddr_t addr)
{
	struct gw_vma *vma = gw_vma_find(mm, addr);

	if (!vma || gw_vma_start(vma) >= addr)
		return 0;
	if (addr & (GW_TABLE_SPAN - 1))
		gw_split_pmd(mm, addr); /* D2 in pmd.c */
	return split(vma, addr);
}

int
gw_vma_split_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	int err = gw_hugetlb_aligned(mm, start, end) ? split_at(mm, start) : -EINVAL;

	return err ? err : split_at(mm, end);
}

bool
gw_vma_covers(const struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	const struct gw_vma *vma = gw_vma_find(mm, start);

	while (vma && gw_vma_start(vma) <= start) {
		start = gw_vma_end(vma);
		if (start >= end)
			return true;
		vma = gw_vma_next(vma, GW_VADDR_END);
	}
	return false;
}

/* Where a new VMA below this one must end. */
static gw_vaddr_t
room_end(const struct gw_vma *vma)
{
	gw_vaddr_t start = vma ? gw_vma_start(vma) : GW_VADDR_END;

	if (!vma || !(vma->flags & GW_VM_GROWSDOWN))
		return start;
	return start > GW_STACK_GUARD ? start - GW_STACK_GUARD : 0;
}

static bool
has_room(const struct gw_vma *above, gw_vaddr_t start, uint64_t len)
{
	gw_vaddr_t end = room_end(above);

	return start < end && len <= end - start;
}

bool
gw_vma_has_room(const struct gw_mm *mm, gw_vaddr_t start, uint64_t len)
{
	return has_room(gw_vma_find(mm, start), start, len);
}

int
gw_vma_find_room(const struct gw_mm *mm, gw_vaddr_t hint, uint64_t len, gw_vaddr_t *out)
{
	const struct gw_vma *vma;

	hint &= ~(gw_vaddr_t)(GW_PAGE_SIZE - 1);
	if (hint >= GW_PAGE_SIZE && hint < GW_VADDR_END && gw_vma_has_room(mm, hint, len)) {
		*out = hint;
		return 0;
	}
	*out = ROOM_FROM;
	for (vma = gw_vma_find(mm, *out); vma && !has_room(vma, *out, len);
		vma = gw_vma_next(vma, GW_VADDR_END))
		*out = gw_vma_end(vma);
	return has_room(vma, *out, len) ? 0 : -ENOMEM;
}
