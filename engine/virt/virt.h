/* SPDX-License-Identifier: MIT */
/*
 * virt.h - virtual memory inside the engine: address spaces, VMAs, page tables.
 *
 * Idea. An address space's VMAs stand in an interval tree by address (itree.h). Page tables are
 * frames of the machine, four levels of 512 words; CPUs walk them without locks. Reverse mapping is
 * in rmap.h.
 *
 * Locks (docs/locking.md)
 *   mm->mmap_lock    rank MMAP: the VMA tree and what VMAs say. Faults read, changes write; a
 *                    fault that makes a stack larger is a change
 *   mapping lock     rank RMAP: the file's tree of VMAs (engine/store/store.h)
 *   root lock        rank RMAP, of an anon_vma's root: the interval trees of all its anon_vmas,
 *                    and start, end, pgoff and flags of the VMAs that stand in them (R5, R6)
 *   mm->table_lock   rank PAGETABLE: entries of the upper three levels, huge ones too, and the
 *                    tables deposited for these. Two address spaces': in the order of their
 *                    addresses
 *   leaf lock        rank PAGETABLE: the 512 entries of one lowest table; one of a hashed
 *                    array in the mm (split locks). Two: in the order of their addresses
 *
 * Lifetimes
 *   mm       users: who runs in it; the last gw_mm_put() unmaps all. count: who knows it, all users
 *            together once; the last gw_mm_drop() frees it
 *   tables   a table is freed by whoever unmaps the last of its range with mmap_lock held for
 *            writing, after the flush that ends every CPU's walk over it
 */
#ifndef GW_ENGINE_VIRT_VIRT_H
#define GW_ENGINE_VIRT_VIRT_H

#include "engine/phys/phys.h"
#include "engine/virt/itree.h"
#include "engine/virt/pte.h"
#include "godwit/mm.h"
#include "godwit/policy.h"

#define GW_VM_READ	 0x01u
#define GW_VM_WRITE	 0x02u
#define GW_VM_GROWSDOWN	 0x04u
#define GW_VM_LOCKED	 0x08u
#define GW_VM_TEMP_STACK 0x10u /* exec's: rmap does not find its entries (R7) */
#define GW_VM_HUGEPAGE	 0x20u
#define GW_VM_NOHUGEPAGE 0x40u
#define GW_VM_MERGEABLE	 0x4000u /* pages with equal bytes may become one (ksm.h) */
#define GW_VM_SHARED	 0x80u	 /* writes go to the file; else to private copies */
#define GW_VM_EXEC	 0x1000u /* program text, of a file */
#define GW_VM_IO	 0x2000u /* a device's: policies move nothing of it (E12) */

#define GW_VM_HUGETLB 0x8000u /* pages of the hugetlb pool only */

struct gw_anon_vma;
struct gw_mapping;
struct gw_memcg;
struct gw_anon_link; /* rmap.h */

struct gw_vma {
	struct gw_mm *mm;
	struct gw_inode node; /* by address, in mm->vmas: start and end of the VMA */
	/* Page offset of start; index of its page i: pgoff + i, 32 bits. Guarded as start is;
	 * atomic for the explorer, to which it is a step of its own that start and it change (R5).
	 */
	gw_atomic_u64 pgoff;
	uint32_t flags; /* GW_VM_* */
	/* Set once, under mmap_lock for reading and mm->table_lock; NULL until the first fault. */
	gw_atomic_ptr anon_vma; /* struct gw_anon_vma: where new pages of the VMA belong */
	/* A file's pages, from pgoff on; NULL: anonymous memory. A reference is held. Read-only. */
	struct gw_mapping *mapping;
	struct gw_policy policy;   /* guarded by mmap_lock */
	struct gw_inode file_node; /* in mapping->vmas, by page offset; mapping->rmap_lock */
	/* Of a HUGETLB one: huge pages reserved for it; its faults take them. */
	gw_atomic_u64 hugetlb_reserved;
	struct gw_anon_link *links; /* all anon_vmas that must find it; mmap_lock or root lock */
};

#define GW_LEAF_LOCKS 64

/* An address space's scans for hinting faults (hinting.c). */
struct gw_hinting {
	/* When the next is due, in nanoseconds; 0: nobody has asked yet; UINT64_MAX: one runs. Who
	 * sets it to that has the rest. */
	gw_atomic_u64 next;
	gw_vaddr_t at;	      /* where it begins */
	unsigned period_ms;   /* 0: none was yet */
	gw_atomic_u32 rounds; /* times that all of the address space was scanned; read anywhere */
	gw_atomic_u32 local, remote; /* hinting faults since the last scan */
};

struct gw_mm {
	struct gw_machine *machine;
	uint8_t *frames; /* the bytes of frame 0, behind which are all others': page tables */
	gw_pfn_t root;	 /* the top table's frame */
	uint32_t id;	 /* of the machine's address spaces, never reused: TLB tag; from 1 */
	gw_refcount users, count;
	gw_rwlock mmap_lock;
	struct gw_itree vmas;	/* guarded by mmap_lock */
	uint64_t n_vmas;	/* the same */
	gw_mutex hugetlb_mutex; /* rank HUGETLB: who takes a page of a pool for an entry */
	gw_spinlock table_lock;
	struct gw_page_list deposits; /* tables, one for each huge entry (pmd.c); table_lock */
	gw_spinlock leaf_locks[GW_LEAF_LOCKS];
	gw_atomic_u64 pages;	   /* rss: entries of pages, migration entries included, swap not */
	struct gw_memcg *memcg;	   /* whom faults charge; NULL: nobody. A reference is held */
	gw_vaddr_t brk_start, brk; /* the heap: [brk_start, brk) is mapped; guarded by mmap_lock */
	struct gw_hinting hinting;
	gw_atomic_ptr ksm; /* struct gw_ksm_member, or NULL: whose pages may be merged */
};

/* ---- VMAs (vma.c); mmap_lock held ---- */

/* 0 and *end, or -EINVAL unless [addr, addr + len) is page aligned, not empty, and may be mapped.
 */
int gw_check_range(gw_vaddr_t addr, uint64_t len, gw_vaddr_t *end);

/* The VMA that holds addr, or the first one above, or NULL. */
struct gw_vma *gw_vma_find(const struct gw_mm *mm, gw_vaddr_t addr);

static inline gw_vaddr_t
gw_vma_start(const struct gw_vma *vma)
{
	return vma->node.start;
}

static inline gw_vaddr_t
gw_vma_end(const struct gw_vma *vma)
{
	return vma->node.end;
}

static inline uint64_t
gw_vma_pgoff(const struct gw_vma *vma)
{
	return gw_u64_load_relaxed(&vma->pgoff);
}

/* Index of the page at addr: what the page's frame keeps, and rmap looks for. */
static inline uint64_t
gw_vma_index(const struct gw_vma *vma, gw_vaddr_t addr)
{
	return gw_vma_pgoff(vma) + ((addr - vma->node.start) >> GW_PAGE_SHIFT);
}

/* ---- page tables (table.c) ---- */

/* The entry of addr in its lowest table, with its leaf lock taken; NULL, nothing taken: it has no
 * such table. */
gw_atomic_u64 *gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);
/* The huge entry that maps addr, or will again, with table_lock taken; NULL, nothing taken: there
 * is none. */
gw_atomic_u64 *gw_pmd_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);
/* Whichever of the two addr has. */
gw_atomic_u64 *gw_entry_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);

/* ---- huge entries (pmd.c) ---- */

/*
 * The huge entry of addr, if there is one, becomes 512 entries that say the same; its page stays
 * whole. Never fails, since the table was put by when the entry was made. mmap_lock held, or a lock
 * that keeps the VMA in rmap's trees. Counts thp_split_pmd.
 */
void gw_split_pmd(struct gw_mm *mm, gw_vaddr_t addr);
/* Put a table by for a huge entry that is made; take one for an entry that goes. table_lock held.
 */
void gw_deposit_table(struct gw_mm *mm, gw_pfn_t table);
gw_pfn_t gw_withdraw_table(struct gw_mm *mm);

/* A lowest table that is out of the page table: no CPU uses it, and no walk reaches it. */
struct gw_detached {
	gw_pfn_t table;
	gw_atomic_u64 *pmd;   /* the word that named it */
	gw_atomic_u64 *words; /* its entries, from now on the caller's alone */
};
/*
 * Take addr's lowest table out; false: it has none. mmap_lock held for writing, and the root lock
 * of its VMAs' family until it is known that no entry is a migration entry: who removes these would
 * not find them.
 */
bool gw_table_detach(struct gw_mm *mm, gw_vaddr_t addr, struct gw_detached *d);
void gw_table_reattach(struct gw_mm *mm, const struct gw_detached *d);
/* A huge entry of the page, which counts it already, in the place of a detached table whose entries
 * were cleared: the table is its deposit. */
void gw_table_collapse(
	struct gw_mm *mm, const struct gw_detached *d, gw_pfn_t page, uint64_t flags);

/* ---- truncation (zap.c) ---- */

/* A present entry of vma has gone, flushed: give up its page's dirty mark, map and reference. */
void gw_zap_page(const struct gw_vma *vma, gw_pte_t pte);

/*
 * No address space has an entry of the file's pages [first, end) any more, nor of private copies
 * made of them. The mapping's size is below `first` already, so that no fault brings one back;
 * CPUs are flushed. The caller may hold a page lock. Sleeps.
 */
void gw_unmap_mapping_range(struct gw_mapping *mapping, uint64_t first, uint64_t end);

/* ---- mlock (mlock.c) ---- */

/* A VMA with GW_VM_LOCKED maps the page now (its leaf lock is held, or the page's lock): it goes to
 * the unevictable list. */
void gw_mlock_page(struct gw_machine *m, gw_pfn_t page);
/* Such an entry goes, or its VMA is unlocked, or the page leaves its file: it is an ordinary page
 * again. If another locked VMA maps it, reclaim will find that out. The caller holds a reference,
 * if only the entry's. */
void gw_munlock_page(struct gw_machine *m, gw_pfn_t page);

/* ---- flushing: what a changed entry owes the CPUs ---- */

/* No CPU uses a translation of [start, end) of mm any more when this returns. */
void gw_flush_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);

#endif
