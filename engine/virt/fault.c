/* SPDX-License-Identifier: MIT */
/*
 * fault.c - making an access possible.
 *
 * Idea. A fault looks at one entry and does one thing about it; whatever it had to wait for, it
 * ends with "try again" and the next fault begins from scratch (R10):
 *   none, of a file      its page, or a copy (file_fault.c)
 *   none, read           the machine's zero page, read-only
 *   none, write          a new zeroed page, perhaps a large one (huge_fault.c)
 *   zero page, write     the same
 *   read-only, write     the page itself if it is nobody else's or a file's that is mapped shared,
 *                        else a copy (copy-on-write); of a huge page one of its frames
 *   swap entry           the page from the swap cache (swap_fault.c)
 *   migration entry      wait until the page is unlocked
 *   hinting entry        the page may follow who uses it (hinting.c)
 *   anything else        another task was faster: nothing to do
 *
 * Invariants
 *   P1  what was seen before the leaf lock was let go is compared again before anything is changed
 *   P2  a private page is written in place only if its one map is this entry, its one reference is
 *       this entry's (no file's page, and no entry names a slot of it), and it is not locked: a
 *       locked page may be under migration, with entries that its map count does not know. A frame
 *       of a larger page is always copied: who else holds that page cannot be told by frame. So is
 *       a merged page, whose bytes its node is known by
 *   P3  of a page being copied the entry or the copier holds a reference until the copy is
 *       installed, so nobody else finds itself the only user (P2) and writes to it
 *   P4  from an entry to its copy: cleared, flushed, installed, under one leaf lock, so no CPU
 *       reads the old page when another may write to the new one
 *
 * Locks: mmap_lock for reading, for writing when a stack grows. Pages are allocated with no other
 * lock held.
 */
#include "engine/store/store.h"
#include "engine/virt/ksm.h"
#include "engine/virt/policy.h"
#include "engine/virt/virt_internal.h"

/* Does the entry map all of its page? */
static bool
is_whole(uint32_t flags, gw_pte_t pte)
{
	return gw_flags_type(flags) == GW_PAGE_USED &&
	       gw_pte_frames(pte) == (gw_pfn_t)1 << gw_flags_order(flags);
}

/* May the page be written where it is? Lock of its entry held (P2). */
static bool
is_exclusive(struct gw_machine *m, gw_pte_t pte)
{
	gw_pfn_t pfn = gw_pte_pfn(pte);
	struct gw_page *page = gw_page(m, pfn);
	bool exclusive;

	if (gw_u32_load_relaxed(&page->mapcount) != 1 || !is_whole(gw_page_flags(page), pte))
		return false;
	if (!gw_page_trylock(m, pfn))
		return false;
	if (gw_page_flags(page) & GW_PG_SWAPCACHE)
		(void)gw_swap_cache_try_delete(m, pfn); /* its reference is one too many */
	if (!(gw_page_flags(page) & GW_PG_LRU))
		gw_lru_add_drain(m); /* a batch of this CPU may hold the other reference */
	exclusive = gw_u32_load_relaxed(&page->mapcount) == 1 &&
		    gw_ref_read(&page->refcount) == 1 && !gw_page_ksm_node(m, pfn);
	gw_swap_page_unlock(m, pfn);
	return exclusive;
}

gw_pfn_t
gw_fault_page(const struct gw_fault_at *f, gw_gfp_t gfp)
{
	const struct gw_page_source source = gw_vma_source(f->vma, f->addr);
	gw_pfn_t page;

	if (gw_anon_vma_prepare(f->vma) || gw_alloc_source(f->mm->machine, gfp, &source, 0, &page))
		return GW_PFN_NONE;
	return page;
}

/* An entry of a page begins. Leaf lock held. */
static void
publish(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_pfn_t page, uint64_t flags)
{
	gw_u64_store_release(word, gw_pte_present(page, flags));
	gw_u64_add_relaxed(&f->mm->pages, 1);
	if (f->vma->flags & GW_VM_LOCKED)
		gw_mlock_page(f->mm->machine, page);
}

/* What the entry of a copy is. Memory that may not be written is copied for others' sake: see
 * gw_ksm_unmerge_range(). */
static uint64_t
written(const struct gw_vma *vma, gw_pte_t old)
{
	uint64_t flags = GW_PTE_WRITTEN | (old & GW_PTE_NO_ACCESS);

	return vma->flags & GW_VM_WRITE ? flags : flags & ~(uint64_t)GW_PTE_WRITE;
}

/* P4 */
void
gw_fault_install(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_pte_t old, gw_pfn_t page)
{
	struct gw_machine *m = f->mm->machine;

	gw_rmap_new_anon(m, page, f->vma, f->addr);
	if (old) {
		(void)gw_u64_xchg_acq_rel(word, 0);
		gw_flush_range(f->mm, f->addr, f->addr + GW_PAGE_SIZE);
	}
	if (gw_pte_is_page(old))
		gw_u64_sub_relaxed(&f->mm->pages, 1);
	gw_lru_add(m, page, GW_LRU_ACTIVE_ANON);
	publish(f, word, page, written(f->vma, old));
}

void
gw_fault_map(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_pfn_t page, uint64_t flags)
{
	gw_get_page(f->mm->machine, page);
	gw_rmap_dup(f->mm->machine, page);
	publish(f, word, page, flags);
}

/* A page of our own in the place of `old`, whose bytes it gets. */
int
gw_fault_copy(const struct gw_fault_at *f, gw_pte_t old)
{
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t new =
		gw_fault_page(f, GW_GFP_USER_MOVABLE | (gw_pte_is_page(old) ? 0 : GW_GFP_ZERO));
	gw_atomic_u64 *word;
	gw_spinlock *lock;
	bool same;

	if (new == GW_PFN_NONE)
		return -ENOMEM;
	if (gw_pte_is_page(old)) {
		const struct gw_copy copy = {.dst = new, .src = gw_pte_pfn(old), .n = 1};

		m->ops->copy_frames(m->ctx, &copy, 1);
	}
	word = gw_pte_lock(f->mm, f->addr, &lock); /* the table stands: mmap_lock */
	same = ((gw_u64_load_relaxed(word) ^ old) & ~(uint64_t)GW_PTE_YOUNG) == 0; /* P1 */
	if (same)
		gw_fault_install(f, word, old, new);
	gw_spin_unlock(lock);
	if (!same) {
		gw_put_page(m, new);
	} else if (gw_pte_is_page(old)) {
		if (gw_page_ksm_node(m, gw_pte_pfn(old)))
			gw_count(m, GW_VM_COW_KSM, 1);
		gw_zap_page(f->vma, old); /* the copier has one more reference */
	}
	return 0;
}

/* Leaf lock held, given up. */
static int
write_fault(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte)
{
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t page = gw_pte_pfn(pte);
	int err;

	if (!gw_pte_is_page(pte)) {
		gw_spin_unlock(lock);
		return !pte && gw_large_fault(f) ? 0 : gw_fault_copy(f, pte);
	}
	if (f->vma->flags & GW_VM_HUGETLB)
		return gw_hugetlb_write(f, word, lock, pte);
	if (f->vma->flags & GW_VM_SHARED || is_exclusive(m, pte)) {
		gw_u64_or_relaxed(word, GW_PTE_WRITTEN);
		gw_spin_unlock(lock);
		return 0;
	}
	if (gw_pte_is_huge(pte)) { /* one frame of it is copied next */
		gw_spin_unlock(lock);
		gw_split_pmd(f->mm, f->addr);
		return 0;
	}
	gw_get_page(m, page); /* P3 */
	gw_spin_unlock(lock);
	err = gw_fault_copy(f, pte);
	gw_put_page(m, page);
	return err;
}

/* What an entry that a CPU cannot use is due. Leaf lock held, given up. */
static int
resolve(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte)
{
	struct gw_machine *m = f->mm->machine;

	if (gw_pte_kind(pte) == GW_PTE_IS_SWAP) {
		gw_spin_unlock(lock);
		return gw_swap_fault(f, pte);
	}
	if (!pte && f->vma->mapping) {
		gw_spin_unlock(lock);
		return gw_file_fault(f);
	}
	if (f->access == GW_ACCESS_WRITE && !(pte & GW_PTE_WRITE))
		return write_fault(f, word, lock, pte);
	if (!pte)
		gw_u64_store_release(word, gw_pte_present(gw_u32_load_relaxed(&m->zero_page),
						   GW_PTE_ZERO | GW_PTE_YOUNG));
	gw_spin_unlock(lock);
	return 0;
}

/* The entry with its lock taken, its table made if need be. NULL: *err, or 0, nothing is left to
 * do. */
static gw_atomic_u64 *
lock_entry(const struct gw_fault_at *f, gw_spinlock **lock, int *err)
{
	gw_atomic_u64 *word = gw_entry_lock(f->mm, f->addr, lock);

	*err = 0;
	if (!word && f->vma->flags & GW_VM_HUGETLB) {
		*err = gw_hugetlb_fault(f);
		return NULL;
	}
	if (word || gw_huge_fault(f))
		return word;
	*err = gw_table_make(f->mm, f->addr);
	if (!*err || *err == -EEXIST) { /* another task's huge page */
		*err = 0;
		word = gw_entry_lock(f->mm, f->addr, lock);
	}
	return word;
}

/* The page that a migration entry named before the wait is mapped: once thought possible (R10). */
static void
map_as_seen(const struct gw_fault_at *f, gw_pte_t pte)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word;

	gw_rw_read_lock(&f->mm->mmap_lock);
	word = gw_entry_lock(f->mm, f->addr, &lock);
	if (word) {
		gw_fault_map(f, word, gw_pte_pfn(pte), pte & GW_PTE_FLAGS);
		gw_spin_unlock(lock);
	}
	gw_rw_read_unlock(&f->mm->mmap_lock);
}

/* Leaf lock and mmap_lock held, given up. */
static int
wait_for_migration(
	const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte)
{
	int err = gw_migration_entry_wait(f->mm, word, lock);

	if (!err && !gw_fix(f->mm->machine, GW_FIX_REFAULT_FROM_SCRATCH))
		map_as_seen(f, pte);
	return err;
}

/* One look at the entry. mmap_lock held for reading, given up. */
static int
handle(const struct gw_fault_at *f)
{
	int err;
	gw_spinlock *lock;
	gw_atomic_u64 *word = lock_entry(f, &lock, &err);
	gw_pte_t pte = word ? gw_u64_load_relaxed(word) : 0;

	if (word && gw_pte_is_migration(pte))
		return wait_for_migration(f, word, lock, pte);
	if (word && pte & GW_PTE_HINT)
		err = gw_hint_fault(f, word, lock, pte);
	else if (word)
		err = resolve(f, word, lock, pte);
	gw_rw_read_unlock(&f->mm->mmap_lock);
	return err;
}

static bool
is_allowed(const struct gw_vma *vma, enum gw_access access)
{
	/* As on most CPUs, what may be written may be read. */
	return vma->flags & (access == GW_ACCESS_WRITE ? (uint32_t)GW_VM_WRITE : GW_VM_ACCESS);
}

/* mmap_lock held for writing. 0 or -EFAULT. */
static int
grow_to(struct gw_mm *mm, gw_vaddr_t addr)
{
	struct gw_vma *vma = gw_vma_find(mm, addr);
	gw_vaddr_t floor = addr > GW_STACK_GUARD ? addr - GW_STACK_GUARD : 0;
	uint64_t pages;

	if (vma && gw_vma_start(vma) <= addr)
		return 0; /* another task's touch made it larger */
	if (!vma || !(vma->flags & GW_VM_GROWSDOWN) || addr < GW_PAGE_SIZE ||
		gw_vma_end(vma) - addr > GW_STACK_MOST)
		return -EFAULT;
	if (gw_itree_first(&mm->vmas, floor, addr))
		return -EFAULT; /* the guard gap */
	pages = (gw_vma_start(vma) - addr) >> GW_PAGE_SHIFT;
	if (pages > gw_vma_pgoff(vma))
		return -EFAULT;
	gw_vma_resize(vma, addr, gw_vma_end(vma), gw_vma_pgoff(vma) - pages); /* R6 */
	return 0;
}

static int
grow_stack(struct gw_mm *mm, gw_vaddr_t addr)
{
	int err;

	gw_rw_write_lock(&mm->mmap_lock);
	err = grow_to(mm, addr);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

int
gw_fault(struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access)
{
	struct gw_fault_at f = {
		.mm = mm,
		.addr = addr & ~(gw_vaddr_t)(GW_PAGE_SIZE - 1),
		.access = access,
	};

	gw_count(mm->machine, GW_VM_PGFAULT, 1);
	if (addr >= GW_VADDR_END)
		return -EFAULT;
	gw_rw_read_lock(&mm->mmap_lock);
	f.vma = gw_vma_find(mm, f.addr);
	if (!f.vma || gw_vma_start(f.vma) > f.addr) {
		gw_rw_read_unlock(&mm->mmap_lock);
		return grow_stack(mm, f.addr);
	}
	if (!is_allowed(f.vma, access)) {
		gw_rw_read_unlock(&mm->mmap_lock);
		return -EFAULT;
	}
	return handle(&f);
}
