/* SPDX-License-Identifier: MIT */
/*
 * rmap.h - from a page to the entries that map it (FACTS R1 to R9, D2, D3).
 *
 * Idea. Every VMA that may map pages of an anon_vma is linked to it: one gw_anon_link for each
 * pair. fork links the child's VMAs to all of the parent's anon_vmas and gives them one of their
 * own for pages to come. An anon_vma's links stand in an interval tree by page offset; a walk
 * visits those that cover the page's index and looks at one address in each. The VMAs of a file
 * stand in an interval tree of its mapping and need no links; a private one may have both.
 *
 * Invariants
 *   K1  the interval trees of a family of anon_vmas change only under their root's lock, and so do
 *       start, end and pgoff of linked VMAs (R5, R6)
 *   K2  an anon_vma reached through a page is trusted only after page_mapped was seen under RCU,
 *       or with a counted reference (I3)
 */
#ifndef GW_ENGINE_VIRT_RMAP_H
#define GW_ENGINE_VIRT_RMAP_H

#include "engine/virt/virt.h"

struct gw_anon_vma {
	struct gw_anon_vma *root; /* the oldest of the family, pinned by its children */
	gw_rwlock lock;		  /* rank RMAP; only the root's is ever taken */
	gw_refcount refs;
	struct gw_itree links; /* gw_anon_link.node, by page offset; guarded by root->lock */
	gw_rcu_head rcu;
	struct gw_machine *machine;
};

/* The one lock of a family (R5, R6); without that fix each anon_vma has its own. */
static inline gw_rwlock *
gw_anon_vma_lock(struct gw_anon_vma *anon_vma)
{
	return gw_fix(anon_vma->machine, GW_FIX_ROOT_ANON_VMA_LOCK) ? &anon_vma->root->lock
								    : &anon_vma->lock;
}

struct gw_anon_link {
	struct gw_inode node; /* [pgoff, pgoff + pages) of the VMA */
	struct gw_vma *vma;
	struct gw_anon_vma *anon_vma;
	struct gw_anon_link *next; /* of vma->links */
};

/* Give a VMA its anon_vma before its first anonymous page; racing faults agree on one. mmap_lock
 * held for reading. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_anon_vma_prepare(struct gw_vma *vma);
/* Link dst, which has no links yet, to all that src is linked to, and share its anon_vma (splits,
 * moves). Entries may then be copied or moved from src to dst, not the other way (R8, R9).
 * mmap_lock held for writing. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_anon_vma_clone(struct gw_vma *dst, const struct gw_vma *src);
/* The same for fork, with an anon_vma of the child's own for new pages. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_anon_vma_fork(struct gw_vma *child, const struct gw_vma *parent);
/* Undo all links of a VMA; frees what nobody needs any more. */
void gw_anon_vma_unlink(struct gw_vma *vma);

static inline struct gw_vma *
gw_vma_of_file_node(struct gw_inode *node)
{
	return (struct gw_vma *)((char *)node - offsetof(struct gw_vma, file_node));
}

/* A VMA whose `mapping` is set enters the file's interval tree, with a reference on the file,
 * before any entry of the file's pages is made in it, behind those that begin at the same page
 * offset (R8, R9); and leaves it, which may be the last reference: sleeps. Without a mapping
 * nothing. */
void gw_file_link(struct gw_vma *vma);
void gw_file_unlink(struct gw_vma *vma);

/* Change start, end, pgoff of a VMA: between the two it is in no interval tree of rmap, and no walk
 * runs over its family or its file (R5). Nothing for a VMA that rmap does not know. */
void gw_vma_change_begin(struct gw_vma *vma);
void gw_vma_change_end(struct gw_vma *vma);

/* A new anonymous page of vma at addr: owner, index, first map. Page not visible yet. */
void gw_rmap_new_anon(struct gw_machine *m, gw_pfn_t page, struct gw_vma *vma, gw_vaddr_t addr);
/* The same for one of order > 0, mapped wholly: by a huge entry, or by one entry for each frame, of
 * which each will have a reference. */
void gw_rmap_new_large(
	struct gw_machine *m, gw_pfn_t page, struct gw_vma *vma, gw_vaddr_t addr, bool huge);
/* Owner and index of a locked page of the swap cache that nobody maps, before vma maps it at addr.
 * `shared`: entries of other VMAs name its slot, so it belongs to what all of the family are linked
 * to, the root. */
void gw_rmap_set_anon(
	struct gw_machine *m, gw_pfn_t page, struct gw_vma *vma, gw_vaddr_t addr, bool shared);
/* The count of a large page's frame alone; returns the page's head. */
struct gw_page *gw_rmap_dup_frame(struct gw_machine *m, gw_pfn_t frame);
struct gw_page *gw_rmap_remove_frame(struct gw_machine *m, gw_pfn_t frame);

/* One more entry of a lowest table maps the frame, leaf lock held; one fewer, after the flush that
 * followed its removal. The entry's reference is the caller's. */
static inline void
gw_rmap_dup(struct gw_machine *m, gw_pfn_t frame)
{
	struct gw_page *page = gw_page(m, frame);

	if (!gw_flags_is_small(gw_page_flags(page)))
		page = gw_rmap_dup_frame(m, frame);
	gw_u32_add_relaxed(&page->mapcount, 1);
}

static inline void
gw_rmap_remove(struct gw_machine *m, gw_pfn_t frame)
{
	struct gw_page *page = gw_page(m, frame);
	uint32_t before;

	if (!gw_flags_is_small(gw_page_flags(page)))
		page = gw_rmap_remove_frame(m, frame);
	before = gw_u32_sub_acq_rel(&page->mapcount, 1);
	GW_BUG_ON(m, before == 0);
}

/* The same of huge entries. */
void gw_rmap_dup_huge(struct gw_machine *m, gw_pfn_t page);
void gw_rmap_remove_huge(struct gw_machine *m, gw_pfn_t page);
/* A huge entry becomes entries of each frame, with a reference for each. */
void gw_rmap_split_huge(struct gw_machine *m, gw_pfn_t page);
/*
 * The map count of a frame as the document has it (B9): entries that name it, and one for all huge
 * entries of its page together.
 */
uint32_t gw_frame_mapcount(const struct gw_machine *m, gw_pfn_t frame);
/* All entries that map the frame, huge ones counted each. */
uint32_t gw_frame_entries(const struct gw_machine *m, gw_pfn_t frame);
/* B9: all entries that map the page, from the counts of its frames. The page's own count says the
 * same in one word; this is how it is checked. */
uint32_t gw_page_total_mapcount(const struct gw_machine *m, gw_pfn_t page);
/* Some frames of a page of order > 0 are mapped and, as far as the counts can tell, some are not. A
 * hint without the page's lock. */
bool gw_page_partially_mapped(const struct gw_machine *m, gw_pfn_t page);
/* More than one entry maps a frame of the page, as far as its counts can tell: of entries of single
 * frames there may be one for each. */
static inline bool
gw_page_mapped_twice(const struct gw_machine *m, gw_pfn_t page)
{
	struct gw_page *head = gw_page(m, page);
	uint32_t flags = gw_page_flags(head), once = 1;

	if (flags & GW_PG_COMPOUND && !gw_u32_load_relaxed(gw_page_entire_maps(head)))
		once = 1u << gw_flags_order(flags);
	return gw_u32_load_relaxed(&head->mapcount) > once;
}

static inline bool
gw_page_mapped(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_u32_load_relaxed(&gw_page(m, page)->mapcount) != 0;
}

/* What a present entry that has gone owed its page, before gw_rmap_remove(): its dirty mark. */
void gw_rmap_keep_dirty(struct gw_machine *m, gw_pte_t pte);

/* The page's anon_vma with a counted reference, or NULL if it cannot be trusted (D3), or has none:
 * a merged page (ksm.h). */
struct gw_anon_vma *gw_page_get_anon_vma(struct gw_machine *m, gw_pfn_t page);
void gw_anon_vma_put(struct gw_anon_vma *anon_vma);
/* The lock of its family, for writing: no walk, no VMA of it changes. */
void gw_anon_vma_write_lock(struct gw_anon_vma *anon_vma);
void gw_anon_vma_write_unlock(struct gw_anon_vma *anon_vma);

/* Page offset of a frame of a page that rmap knows, tails included (B17). */
uint64_t gw_page_pgoff(const struct gw_machine *m, gw_pfn_t frame);
/* Where vma would map the page offset, also outside vma (B18); and the same for one that it covers.
 */
gw_vaddr_t gw_vma_address_raw(const struct gw_vma *vma, uint64_t pgoff);
gw_vaddr_t gw_vma_address(const struct gw_vma *vma, uint64_t pgoff);

/*
 * Visit every VMA where the page may be mapped: the only walker (walk.c). `visit` gets the VMA and
 * the address in it of the page's first frame that it covers, and returns false to end. The caller
 * holds the page lock, and of an anonymous page a reference on its anon_vma; a file page's lock
 * keeps its mapping (a page that is neither, or whose anon_vma is not given, has no places). During
 * a walk the trees' lock is held for reading.
 */
struct gw_ksm_place;
struct gw_rmap_walk {
	bool (*visit)(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr);
	gw_pfn_t page;
	gw_pfn_t n;		      /* frames; 0: those of the page. Set by the walk then */
	struct gw_anon_vma *anon_vma; /* NULL: a file page, or a merged one */
	bool locked;		      /* the caller has its root's lock, for writing */
	void *ctx;
	uint64_t index;		    /* set by the walk */
	struct gw_ksm_place *place; /* set by the walk: the current one of a merged page */
};
void gw_rmap_walk(struct gw_machine *m, struct gw_rmap_walk *walk);

/*
 * In a visit: the entries that may map a frame of the page there, one after the other, each with
 * its lock held: of lowest tables (one hold of the lock for all entries of a table: B6, B14), or
 * huge.
 */
struct gw_entries {
	struct gw_mm *mm;
	gw_vaddr_t addr, end; /* of the current entry; where the last one ends */
	gw_pfn_t frame;	      /* what the current entry would name */
	gw_pfn_t n;	      /* frames of the page */
	bool huge;	      /* the current entry is */
	gw_atomic_u64 *word;
	gw_spinlock *lock; /* NULL: none held */
};

static inline void
gw_entries_begin(struct gw_entries *e, const struct gw_rmap_walk *walk, const struct gw_vma *vma,
	gw_vaddr_t addr)
{
	gw_pfn_t before = (gw_pfn_t)(gw_vma_index(vma, addr) - walk->index);
	gw_vaddr_t end = addr + ((gw_vaddr_t)(walk->n - before) << GW_PAGE_SHIFT);

	*e = (struct gw_entries){
		.mm = vma->mm,
		.addr = addr,
		.end = end < gw_vma_end(vma) ? end : gw_vma_end(vma),
		.frame = walk->page + before,
		.n = walk->n,
	};
}

/* Needed only before the last one. */
static inline void
gw_entries_end(struct gw_entries *e)
{
	gw_spin_unlock(e->lock);
	e->lock = NULL;
}

gw_atomic_u64 *gw_entries_next_of_large(struct gw_entries *e);

/* NULL: no more, and no lock held. */
static inline gw_atomic_u64 *
gw_entries_next(struct gw_entries *e)
{
	if (e->n > 1)
		return gw_entries_next_of_large(e);
	if (e->lock) {
		gw_entries_end(e);
		return NULL;
	}
	e->word = gw_pte_lock(e->mm, e->addr, &e->lock);
	return e->word;
}

/* ---- for reclaim and writeback (unmap.c): page locked ---- */

struct gw_page_use {
	unsigned referenced; /* entries that were young; they are not any more */
	bool mlocked;	     /* a VMA with GW_VM_LOCKED maps it */
};
/* Look at all entries that map the page, and make them old. No flush: a stale young mark is one
 * round more. */
void gw_page_referenced(struct gw_machine *m, gw_pfn_t page, struct gw_page_use *use);
/*
 * Unmap a page wholly: file pages leave no entry, anonymous ones in the swap cache leave entries of
 * their slot. Dirty marks go to the page; CPUs are flushed. True if nothing maps it any more; false
 * leaves it mapped where it still is (a VMA is locked, an entry was being changed).
 */
bool gw_page_unmap(struct gw_machine *m, gw_pfn_t page);
/* Dirty marks of all entries go to the page, and CPUs are flushed, so that a later write marks them
 * again. */
void gw_page_collect_dirty(struct gw_machine *m, gw_pfn_t page);

/* ---- migration entries (migration_entry.c) ---- */

/*
 * Replace every present entry of a locked page by a migration entry (flags kept; the entry's
 * reference and map count given up). CPUs may use the old translations until the caller has
 * flushed them; so whoever zaps, moves or write-protects a migration entry flushes, too. Pages with
 * an entry in a temporary stack stay (R7). anon_vma NULL: a file page. Returns how many were
 * replaced, or -EAGAIN with all of them restored if some could not be.
 */
int gw_unmap_for_migration(struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma);
/* Turn every migration entry that names `old`, whose owner and index are as they were, into an
 * entry of `winner` (may be old). Returns how many there were: as many as were made, but for those
 * zapped (R15) or copied by a fork (R8). */
unsigned gw_remove_migration_entries(
	struct gw_machine *m, gw_pfn_t old, gw_pfn_t winner, struct gw_anon_vma *anon_vma);
/*
 * The same two for a page of order > 0 that is split in between (engine/huge): huge entries become
 * migration entries of its frames straight away (B6); and from them entries of what each frame is a
 * part of then, or of the zero page if `zeros` and the frame is full of them, in VMAs that are not
 * locked. anon_vma's root is locked for writing by the caller.
 */
int gw_unmap_for_split(struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma);
void gw_map_pieces(
	struct gw_machine *m, gw_pfn_t first, gw_pfn_t n, bool zeros, struct gw_anon_vma *anon_vma);
/* Does the frame hold nothing but zeros? Final only if nobody can write to it. */
bool gw_frame_is_zero(struct gw_machine *m, gw_pfn_t frame);
/*
 * A fault met a migration entry: wait until its page is unlocked, in the machine's era (FACTS 1.3).
 * Called with the entry's lock held and mmap_lock held for reading; gives up both before it
 * sleeps. The caller faults again from scratch (R10). 0 or -EINTR.
 */
int gw_migration_entry_wait(struct gw_mm *mm, gw_atomic_u64 *pte, gw_spinlock *lock);

#endif
