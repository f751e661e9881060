/* SPDX-License-Identifier: MIT */
/*
 * remap.c - moving and resizing mappings.
 *
 * Idea. A mapping that moves gets a second VMA with the same page offsets, linked where the first
 * is; entries go from one place to the other table by table, migration entries like all others, a
 * huge entry in one piece if it may be huge there, too; then the first VMA goes.
 *
 * Invariants
 *   N1  the new VMA's links stand behind the old one's, which have the same page offset (K5 in
 *       rmap.c), and an entry moves with both leaf locks held: a walk that finds the old place
 *       empty because the entry has moved comes to the new one later (R9)
 *   N2  everything that may fail for want of memory comes before the first entry moves
 */
#include "engine/virt/virt_internal.h"

static int
prepare_table(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len)
{
	if (gw_pmd_moves(mm, from, to, len))
		return gw_pmd_make(mm, to) ? 0 : -ENOMEM;
	/* One table's entries end in two if the distance is not whole tables. */
	return gw_table_make(mm, to) || gw_table_make(mm, to + len - GW_PAGE_SIZE) ? -ENOMEM : 0;
}

int
gw_move_prepare(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len)
{
	gw_vaddr_t end = from + len;
	gw_vaddr_t addr = gw_table_next(mm, from, end);

	while (addr < end) {
		gw_vaddr_t next = gw_table_end(addr, end);

		if (prepare_table(mm, addr, to + (addr - from), next - addr))
			return -ENOMEM;
		addr = gw_table_next(mm, next, end);
	}
	return 0;
}

/* Both ranges lie in one table each, which may be the same. */
static void
move_in_table(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len)
{
	gw_spinlock *src_lock, *dst_lock;
	gw_atomic_u64 *src = gw_pte_of(mm, from, &src_lock);
	gw_atomic_u64 *dst = gw_pte_of(mm, to, &dst_lock);

	gw_leaf_lock_two(src_lock, dst_lock);
	for (uint64_t i = 0; i < len >> GW_PAGE_SHIFT; i++)
		if (gw_u64_load_relaxed(&src[i]))
			gw_u64_store_release(&dst[i], gw_u64_xchg_acq_rel(&src[i], 0));
	gw_leaf_unlock_two(src_lock, dst_lock);
}

void
gw_move_entries(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len)
{
	gw_vaddr_t end = from + len;
	gw_vaddr_t addr = gw_table_next(mm, from, end);

	while (addr < end) {
		gw_vaddr_t dst = to + (addr - from);
		uint64_t n = gw_table_end(addr, end) - addr;
		uint64_t n_dst = gw_table_end(dst, to + len) - dst;

		n = n < n_dst ? n : n_dst;
		if (!gw_pmd_move(mm, addr, dst, n)) {
			gw_split_pmd(mm, addr);
			move_in_table(mm, addr, dst, n);
		}
		addr = gw_table_next(mm, addr + n, end);
	}
}

/* Move all of a VMA to `to`, where it is `len` bytes long. 0 or -ENOMEM. */
static int
move_vma(struct gw_vma *vma, gw_vaddr_t to, uint64_t len)
{
	struct gw_mm *mm = vma->mm;
	gw_vaddr_t from = gw_vma_start(vma);
	uint64_t old_len = gw_vma_end(vma) - from;
	struct gw_vma *moved = gw_vma_new(mm, to, to + len, gw_vma_pgoff(vma), vma->flags);

	if (!moved)
		return -ENOMEM;
	moved->policy = vma->policy;
	if (gw_vma_link_as(moved, vma)) {
		mm->machine->ops->release(mm->machine->ctx, moved, sizeof(*moved));
		return -ENOMEM;
	}
	gw_vma_insert(moved);
	if (gw_move_prepare(mm, from, to, old_len)) {
		gw_vma_delete(moved);
		gw_tables_free(mm, to, to + len);
		return -ENOMEM;
	}
	gw_move_entries(mm, from, to, old_len);
	gw_flush_range(mm, from, from + old_len);
	gw_vma_delete(vma);
	gw_tables_free(mm, from, from + old_len);
	return 0;
}

static int
move(struct gw_mm *mm, gw_vaddr_t addr, uint64_t old_len, uint64_t new_len, gw_vaddr_t *out)
{
	gw_vaddr_t to;
	int err = gw_vma_find_room(mm, 0, new_len, &to);

	if (!err)
		err = gw_vma_split_range(mm, addr, addr + old_len);
	if (!err)
		err = move_vma(gw_vma_find(mm, addr), to, new_len);
	if (!err)
		*out = to;
	return err;
}

/* Can vma, which ends at `end`, end at new_end instead? */
static bool
can_grow(const struct gw_vma *vma, gw_vaddr_t end, gw_vaddr_t new_end)
{
	return gw_vma_end(vma) == end && new_end <= GW_VADDR_END &&
	       !gw_itree_first(&vma->mm->vmas, end, new_end);
}

/* mmap_lock held for writing; lengths whole pages. */
static int
remap(struct gw_mm *mm, gw_vaddr_t addr, uint64_t old_len, uint64_t new_len, gw_vaddr_t *out)
{
	struct gw_vma *vma = gw_vma_find(mm, addr);
	gw_vaddr_t end = addr + old_len;

	if (!vma || gw_vma_start(vma) > addr || gw_vma_end(vma) < end)
		return -EFAULT;
	if (vma->flags & GW_VM_HUGETLB)
		return -EINVAL;
	*out = addr;
	if (new_len == old_len)
		return 0;
	if (new_len < old_len)
		return gw_unmap(mm, addr + new_len, end);
	if (gw_vma_index(vma, addr) + (new_len >> GW_PAGE_SHIFT) > GW_INDEX_LIMIT)
		return -ENOMEM;
	if (!can_grow(vma, end, addr + new_len))
		return move(mm, addr, old_len, new_len, out);
	gw_vma_resize(vma, gw_vma_start(vma), addr + new_len, gw_vma_pgoff(vma));
	return 0;
}

int
gw_mremap(
	struct gw_mm *mm, gw_vaddr_t old_addr, uint64_t old_len, uint64_t new_len, gw_vaddr_t *out)
{
	gw_vaddr_t end, at;
	int err = gw_check_range(old_addr, old_len, &end);

	if (err || new_len == 0 || new_len > GW_VADDR_END)
		return -EINVAL;
	gw_rw_write_lock(&mm->mmap_lock);
	err = remap(mm, old_addr, end - old_addr, gw_page_round(new_len), &at);
	gw_rw_write_unlock(&mm->mmap_lock);
	if (!err)
		*out = at;
	return err;
}
