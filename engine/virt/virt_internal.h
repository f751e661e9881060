/* SPDX-License-Identifier: MIT */
/*
 * virt_internal.h - what the files of this room share.
 *
 * Ranges are [start, end), page aligned. mmap_lock is held for writing except as said.
 */
#ifndef GW_ENGINE_VIRT_INTERNAL_H
#define GW_ENGINE_VIRT_INTERNAL_H

#include "engine/virt/rmap.h"
#include "engine/virt/virt.h"

#define GW_TABLE_SPAN  ((gw_vaddr_t)GW_PTES_PER_TABLE << GW_PAGE_SHIFT)
#define GW_VM_ACCESS   (GW_VM_READ | GW_VM_WRITE)
#define GW_INDEX_LIMIT ((uint64_t)1 << 32)   /* a page's index has 32 bits */
#define GW_STACK_INDEX ((uint64_t)1 << 31)   /* of a stack's first page: room for growing down */
#define GW_STACK_MOST  ((gw_vaddr_t)8 << 20) /* bytes that a stack grows to */
#define GW_STACK_GUARD ((gw_vaddr_t)1 << 20) /* bytes kept free below it */

static inline bool
gw_page_aligned(uint64_t n)
{
	return (n & (GW_PAGE_SIZE - 1)) == 0;
}

/* Bytes rounded up to pages; `n` is at most GW_VADDR_END. */
static inline uint64_t
gw_page_round(uint64_t n)
{
	return (n + GW_PAGE_SIZE - 1) & ~(uint64_t)(GW_PAGE_SIZE - 1);
}

/* ---- vma.c ---- */

static inline struct gw_vma *
gw_vma_of(struct gw_inode *node)
{
	return node ? (struct gw_vma *)((char *)node - offsetof(struct gw_vma, node)) : NULL;
}

static inline struct gw_vma *
gw_vma_next(const struct gw_vma *vma, gw_vaddr_t end)
{
	return gw_vma_of(gw_itree_next(&vma->node, vma->node.end, end));
}

/* A VMA in no tree, with no links; NULL: no memory. */
struct gw_vma *gw_vma_new(
	struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, uint64_t pgoff, uint32_t flags);
void gw_vma_insert(struct gw_vma *vma);
/* Out of the address space and of all interval trees, and freed. */
void gw_vma_delete(struct gw_vma *vma);
/* rmap finds dst, a VMA new to it, wherever it finds src: entries may be moved from src to dst.
 * 0 or -ENOMEM. */
GW_MUST_CHECK int gw_vma_link_as(struct gw_vma *dst, const struct gw_vma *src);
/* Another range, or other flags, for a VMA in use: for rmap in one step (R5). */
void gw_vma_resize(struct gw_vma *vma, gw_vaddr_t start, gw_vaddr_t end, uint64_t pgoff);
void gw_vma_set_flags(struct gw_vma *vma, uint32_t flags);
/* Make VMAs begin at start and end where they are across them. 0, or -ENOMEM, or -EINVAL (in the
 * middle of a page of a HUGETLB one), with the address space saying what it said before. */
GW_MUST_CHECK int gw_vma_split_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);
/* Every page of the range belongs to a VMA. mmap_lock held for reading at least. */
bool gw_vma_covers(const struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);
/* No VMA is in [start, start + len), nor too near above it. */
bool gw_vma_has_room(const struct gw_mm *mm, gw_vaddr_t start, uint64_t len);
/* Room for `len` bytes, at `hint` if it is free: 0 or -ENOMEM. */
GW_MUST_CHECK int gw_vma_find_room(
	const struct gw_mm *mm, gw_vaddr_t hint, uint64_t len, gw_vaddr_t *out);

/* ---- table.c; tables go only with mmap_lock held for writing ---- */

/* A zeroed page of the node that the task runs on; GW_PFN_NONE: no memory, also after reclaim.
 * Sleeps. */
gw_pfn_t gw_table_alloc(struct gw_machine *m);
/* Make addr's lowest table and those above it. 0, -ENOMEM, or -EEXIST: a huge entry stands in its
 * place. mmap_lock held for reading will do. */
GW_MUST_CHECK int gw_table_make(struct gw_mm *mm, gw_vaddr_t addr);
/* Addr's word of the second level, its table made as needed; NULL: no memory. */
gw_atomic_u64 *gw_pmd_make(struct gw_mm *mm, gw_vaddr_t addr);
/* The same without making tables; NULL: there is none. */
gw_atomic_u64 *gw_pmd_word(const struct gw_mm *mm, gw_vaddr_t addr);
/* The words of a table. */
gw_atomic_u64 *gw_table_words(const struct gw_mm *mm, gw_pfn_t table);
/* The first address from addr on that has a lowest table or a huge entry, or end. */
gw_vaddr_t gw_table_next(const struct gw_mm *mm, gw_vaddr_t addr, gw_vaddr_t end);
/* Where addr's lowest table, or huge entry, ends, or end if that comes first. */
static inline gw_vaddr_t
gw_table_end(gw_vaddr_t addr, gw_vaddr_t end)
{
	gw_vaddr_t next = (addr | (GW_TABLE_SPAN - 1)) + 1;

	return next < end ? next : end;
}
/* Entry of addr, whose table exists, and its leaf lock, not taken. */
gw_atomic_u64 *gw_pte_of(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);
/* Both, in the order that two leaf locks are taken in; they may be one. */
void gw_leaf_lock_two(gw_spinlock *a, gw_spinlock *b);
void gw_leaf_unlock_two(gw_spinlock *a, gw_spinlock *b);
/* Free the tables around [start, end) whose range has no VMA any more. */
void gw_tables_free(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);

/* ---- pmd.c; ranges lie in one lowest table, or what would be one ---- */

/*
 * The huge entry of the range, with table_lock taken, if it lies in the range wholly. NULL, nothing
 * taken: there is none, or none any more, since it was split: the range is a part of it.
 */
gw_atomic_u64 *gw_pmd_lock_whole(
	struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, gw_spinlock **lock);
/* Called with the lock of the entry's table held. */
typedef void (*gw_entry_fn)(struct gw_mm *mm, gw_atomic_u64 *word, void *ctx);
/*
 * Visit the entries of [start, end), whatever tables these are in: a huge one once, and split
 * before if the range is only a part of it. mmap_lock held.
 */
void gw_entries_visit(
	struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, gw_entry_fn visit, void *ctx);
/* A present huge entry becomes a table of migration entries of its frames. Its lock held. Returns
 * what it was: its map and reference are the caller's to give up. */
gw_pte_t gw_pmd_freeze(struct gw_mm *mm, gw_atomic_u64 *word);
/* The entry at `from` is huge, and may be so at `to`: it will move in one piece, for which
 * gw_pmd_make() of `to` is all that is needed. */
bool gw_pmd_moves(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len);
/* Move the word of the second level, huge or by now a table, if nothing but this was prepared; else
 * false. */
bool gw_pmd_move(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len);
/* An entry of a huge page, which counts it already, for an empty word; `table` is deposited.
 * table_lock held. */
void gw_pmd_install(
	struct gw_mm *mm, gw_atomic_u64 *word, gw_pfn_t page, gw_pfn_t table, uint64_t flags);

/* ---- faults: fault.c, file_fault.c, swap_fault.c ---- */

struct gw_fault_at {
	struct gw_mm *mm;
	struct gw_vma *vma;
	gw_vaddr_t addr; /* of the page */
	enum gw_access access;
};

#define GW_PTE_WRITTEN ((uint64_t)(GW_PTE_WRITE | GW_PTE_DIRTY | GW_PTE_YOUNG | GW_PTE_SOFT_DIRTY))

/* A charged page for vma's own use, which has an anon_vma then; GW_PFN_NONE: no memory. Sleeps. */
gw_pfn_t gw_fault_page(const struct gw_fault_at *f, gw_gfp_t gfp);
/* An anonymous page, nobody else's yet, for an empty entry; or for a full one, which is cleared and
 * flushed first: what it named is the caller's. Leaf lock held. */
void gw_fault_install(
	const struct gw_fault_at *f, gw_atomic_u64 *word, gw_pte_t old, gw_pfn_t page);
/* What an entry is that makes a page of a cache mapped here; leaf lock held, page locked. */
void gw_fault_map(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_pfn_t page, uint64_t flags);

/* A hinting fault: the entry is an ordinary one again, and its page may be on its way to another
 * node. Leaf lock held, given up; mmap_lock held for reading. 0: look again. */
GW_MUST_CHECK int gw_hint_fault(
	const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte);

/*
 * A fault on an entry that was empty, of a file; on one that was `pte`, of a slot. mmap_lock held
 * for reading, the table is there. Sleeps. 0 (look again), -EFAULT, -ENOMEM, -EINTR, the
 * store's error.
 */
GW_MUST_CHECK int gw_file_fault(const struct gw_fault_at *f);
GW_MUST_CHECK int gw_swap_fault(const struct gw_fault_at *f, gw_pte_t pte);

/* A private copy in the place of the page that the entry at f->addr maps read-only, as `old`, on
 * which the caller has a reference. mmap_lock held for reading. 0 (also: it was not that entry any
 * more) or -ENOMEM. */
GW_MUST_CHECK int gw_fault_copy(const struct gw_fault_at *f, gw_pte_t old);

/* ---- huge_fault.c; mmap_lock held for reading ---- */

/* A first touch, of a place without a lowest table: true, a huge page is mapped there now. Sleeps.
 */
bool gw_huge_fault(const struct gw_fault_at *f);
/* A first write, to an empty entry: true, a large page is mapped there and around it. Sleeps. */
bool gw_large_fault(const struct gw_fault_at *f);
/* A huge page, nobody else's yet, for the place without a table around f->addr: true, the entry is
 * there, and has page and table; false: another was faster, or there is no memory for tables. */
bool gw_huge_install(const struct gw_fault_at *f, gw_pfn_t page, gw_pfn_t table);

/* ---- hugetlb_fault.c; mmap_lock held, for reading in faults ---- */

/* No HUGETLB VMA would be cut by the ends of the range but between two huge pages. */
bool gw_hugetlb_aligned(const struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);
/* `upper` was the upper part of vma: it gets its share of the reservations. And all that are left
 * end with their VMA. */
void gw_hugetlb_vma_split(struct gw_vma *vma, struct gw_vma *upper);
void gw_hugetlb_vma_end(struct gw_vma *vma);
/* A fault on an empty place; a write to a page by a read-only entry (its lock held, given up). 0
 * (look again), -ENOMEM, -EINTR, or -EFAULT: the pool has no page for it. Sleeps. */
GW_MUST_CHECK int gw_hugetlb_fault(const struct gw_fault_at *f);
GW_MUST_CHECK int gw_hugetlb_write(
	const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte);

/* ---- madvise.c ---- */

/* Cut out the range and change its VMAs' flags. 0, or -ENOMEM with nothing changed (a hole in it,
 * or no memory). */
GW_MUST_CHECK int gw_vma_change_flags(
	struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, uint32_t clear, uint32_t set);

/* ---- ksm.c: the member, if there is one, hears of it ---- */

GW_MUST_CHECK int gw_ksm_fork(struct gw_mm *child, struct gw_mm *parent);
void gw_ksm_exit(struct gw_mm *mm);

/* ---- zap.c ---- */

/* No entry of the range is left; its pages lose their map and reference. VMAs stay. */
void gw_zap_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);
/* Pages, VMAs and tables of the range go; no VMA reaches across its ends. */
void gw_unmap_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);
/* The same for any range: 0, or -ENOMEM with nothing unmapped. */
GW_MUST_CHECK int gw_unmap(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);

/* ---- remap.c ---- */

/* Tables at `to` for whatever has one at `from`. 0 or -ENOMEM: the caller frees what came. */
GW_MUST_CHECK int gw_move_prepare(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len);
/* Move entries, after gw_move_prepare(), to where there are none; upwards only if the ranges do not
 * overlap. The flush is the caller's. */
void gw_move_entries(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len);

#endif
