/* SPDX-License-Identifier: MIT */
/*
 * mm.c - address spaces from creation to exit, and what is mapped in them.
 *
 * Idea. An address space is its VMAs and its tables; both are empty at first. A machine has one
 * zero page, which all address spaces map where memory was read and never written.
 */
#include "engine/phys/hugetlb.h"
#include "engine/virt/virt_internal.h"
#include "godwit/memcg.h"

_Static_assert(GW_PROT_READ == GW_VM_READ && GW_PROT_WRITE == GW_VM_WRITE, "protections are flags");

/* The machine's zero page is there from now on. 0 or -ENOMEM. */
static int
ensure_zero_page(struct gw_machine *m)
{
	uint32_t none = GW_PFN_NONE;
	gw_pfn_t page;

	if (gw_u32_load_acquire(&m->zero_page) != GW_PFN_NONE)
		return 0;
	page = gw_table_alloc(m);
	if (page == GW_PFN_NONE)
		return -ENOMEM;
	if (!gw_u32_cas_acq_rel(&m->zero_page, &none, page))
		gw_put_page(m, page); /* another task was faster */
	return 0;
}

static void
init(struct gw_mm *mm, struct gw_machine *m)
{
	mm->machine = m;
	mm->id = gw_u32_add_relaxed(&m->mm_ids, 1) + 1;
	gw_ref_set(&mm->users, 1);
	gw_ref_set(&mm->count, 1);
	gw_rw_init(&mm->mmap_lock, GW_RANK_MMAP);
	gw_mutex_init(&mm->hugetlb_mutex, GW_RANK_HUGETLB);
	gw_spin_init(&mm->table_lock, GW_RANK_PAGETABLE);
	gw_page_list_init(&mm->deposits);
	for (unsigned i = 0; i < GW_LEAF_LOCKS; i++)
		gw_spin_init(&mm->leaf_locks[i], GW_RANK_PAGETABLE);
}

int
gw_mm_create(struct gw_machine *m, struct gw_mm **out)
{
	struct gw_mm *mm;

	if (ensure_zero_page(m))
		return -ENOMEM;
	mm = m->ops->alloc(m->ctx, sizeof(*mm));
	if (!mm)
		return -ENOMEM;
	mm->root = gw_table_alloc(m);
	if (mm->root == GW_PFN_NONE)
		goto fail;
	mm->frames = m->ops->frame_address(m->ctx, 0);
	if (!mm->frames)
		goto fail_root; /* frames without bytes hold no tables */
	init(mm, m);
	*out = mm;
	return 0;

fail_root:
	gw_put_page(m, mm->root);
fail:
	m->ops->release(m->ctx, mm, sizeof(*mm));
	return -ENOMEM;
}

void
gw_mm_get(struct gw_mm *mm)
{
	gw_ref_get(&mm->users);
}

void
gw_mm_put(struct gw_mm *mm)
{
	struct gw_machine *m = mm->machine;

	if (!gw_ref_put(&mm->users))
		return;
	gw_ksm_exit(mm);
	gw_rw_write_lock(&mm->mmap_lock);
	gw_unmap_range(mm, 0, GW_VADDR_END);
	gw_rw_write_unlock(&mm->mmap_lock);
	gw_put_page(m, mm->root); /* no CPU runs in it: nobody walks */
	gw_mm_set_memcg(mm, NULL);
	gw_mm_drop(mm);
}

bool
gw_mm_get_unless_zero(struct gw_mm *mm)
{
	return gw_ref_get_unless_zero(&mm->users);
}

void
gw_mm_grab(struct gw_mm *mm)
{
	gw_ref_get(&mm->count);
}

void
gw_mm_drop(struct gw_mm *mm)
{
	struct gw_machine *m = mm->machine;

	if (gw_ref_put(&mm->count))
		m->ops->release(m->ctx, mm, sizeof(*mm));
}

uint32_t
gw_mm_id(const struct gw_mm *mm)
{
	return mm->id;
}

uint64_t
gw_mm_pages(const struct gw_mm *mm)
{
	return gw_u64_load_relaxed(&mm->pages);
}

/* vma has no place yet. */
static int
place(struct gw_vma *vma, gw_vaddr_t addr, uint64_t len, bool fixed)
{
	struct gw_mm *mm = vma->mm;
	gw_vaddr_t mask = (vma->flags & GW_VM_HUGETLB ? GW_TABLE_SPAN : GW_PAGE_SIZE) - 1;
	int err = fixed ? gw_unmap(mm, addr, addr + len)
			: gw_vma_find_room(mm, addr & ~mask, len + mask + 1 - GW_PAGE_SIZE, &addr);

	addr = (addr + mask) & ~mask;
	if (err)
		return err;
	vma->node.start = addr;
	vma->node.end = addr + len;
	gw_vma_insert(vma);
	return 0;
}

static int
check_new(gw_vaddr_t addr, uint64_t len, unsigned prot, bool fixed)
{
	gw_vaddr_t end;

	if (len == 0 || len > GW_VADDR_END || prot & ~(unsigned)GW_VM_ACCESS)
		return -EINVAL;
	return fixed ? gw_check_range(addr, len, &end) : 0;
}

static uint32_t
map_flags(unsigned flags)
{
	return (flags & GW_MAP_GROWSDOWN ? GW_VM_GROWSDOWN : 0) |
	       (flags & GW_MAP_SHARED ? GW_VM_SHARED : 0) | (flags & GW_MAP_EXEC ? GW_VM_EXEC : 0) |
	       (flags & GW_MAP_IO ? GW_VM_IO : 0) | (flags & GW_MAP_HUGETLB ? GW_VM_HUGETLB : 0);
}

/* Give a new VMA a place and make it known; without one it is freed. */
static int
map_vma(struct gw_vma *vma, gw_vaddr_t addr, uint64_t len, bool fixed, gw_vaddr_t *out)
{
	struct gw_mm *mm = vma->mm;
	int err;

	gw_rw_write_lock(&mm->mmap_lock);
	err = place(vma, addr, len, fixed);
	if (!err) {
		gw_file_link(vma);
		*out = gw_vma_start(vma);
	}
	gw_rw_write_unlock(&mm->mmap_lock);
	if (err) {
		gw_hugetlb_vma_end(vma);
		mm->machine->ops->release(mm->machine->ctx, vma, sizeof(*vma));
	}
	return err;
}

/* Only huge pages of the pool fit there; they are reserved from now on. */
static int
reserve_huge_pages(struct gw_vma *vma, uint64_t len)
{
	uint64_t n = len / GW_TABLE_SPAN;

	if (!gw_hugetlb_reserve(vma->mm->machine, GW_PMD_ORDER, n))
		return -ENOMEM;
	gw_u64_store_relaxed(&vma->hugetlb_reserved, n);
	return 0;
}

int
gw_mmap(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, unsigned prot, unsigned flags,
	gw_vaddr_t *out)
{
	bool stack = flags & GW_MAP_GROWSDOWN, hugetlb = flags & GW_MAP_HUGETLB;
	uint64_t pgoff = stack ? GW_STACK_INDEX : 0;
	struct gw_vma *vma;
	int err;

	if (check_new(addr, len, prot, flags & GW_MAP_FIXED) || (stack && hugetlb) ||
		flags & ~(unsigned)(GW_MAP_FIXED | GW_MAP_GROWSDOWN | GW_MAP_IO | GW_MAP_HUGETLB))
		return -EINVAL;
	len = hugetlb ? (len + GW_TABLE_SPAN - 1) & ~(GW_TABLE_SPAN - 1) : gw_page_round(len);
	if (hugetlb && flags & GW_MAP_FIXED &&
		(addr & (GW_TABLE_SPAN - 1) || addr > GW_VADDR_END - len))
		return -EINVAL;
	if (len >> GW_PAGE_SHIFT > GW_INDEX_LIMIT - pgoff)
		return -ENOMEM;
	vma = gw_vma_new(mm, 0, 0, pgoff, prot | map_flags(flags));
	if (!vma)
		return -ENOMEM;
	err = hugetlb ? reserve_huge_pages(vma, len) : 0;
	if (err) {
		mm->machine->ops->release(mm->machine->ctx, vma, sizeof(*vma));
		return err;
	}
	return map_vma(vma, addr, len, flags & GW_MAP_FIXED, out);
}

int
gw_mmap_file(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, unsigned prot, unsigned flags,
	struct gw_mapping *mapping, uint64_t pgoff, gw_vaddr_t *out)
{
	struct gw_vma *vma;

	if (check_new(addr, len, prot, flags & GW_MAP_FIXED) ||
		flags & ~(unsigned)(GW_MAP_FIXED | GW_MAP_SHARED | GW_MAP_EXEC | GW_MAP_IO))
		return -EINVAL;
	len = gw_page_round(len);
	if (pgoff > GW_INDEX_LIMIT || len >> GW_PAGE_SHIFT > GW_INDEX_LIMIT - pgoff)
		return -EINVAL;
	vma = gw_vma_new(mm, 0, 0, pgoff, prot | map_flags(flags));
	if (!vma)
		return -ENOMEM;
	vma->mapping = mapping;
	return map_vma(vma, addr, len, flags & GW_MAP_FIXED, out);
}

int
gw_munmap(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len)
{
	gw_vaddr_t end;
	int err = gw_check_range(addr, len, &end);

	if (err)
		return err;
	gw_rw_write_lock(&mm->mmap_lock);
	err = gw_unmap(mm, addr, end);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}
