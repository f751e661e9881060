/* SPDX-License-Identifier: MIT */
/*
 * ksm.h - merged pages (KSM), as address spaces and rmap know them; who finds them is above, in
 * engine/special/ksm.c.
 *
 * Idea. A merged page is anonymous, of order 0, never written and mapped read-only by address
 * spaces that need not know each other. Its owner is its node, which knows where the page is, and
 * the places where rmap finds its entries: an anon_vma and an index for each. A page found through
 * one place may have entries in all VMAs linked to it, as with every anonymous page: so forks,
 * moves and splits of VMAs need nothing more, and a walk has R5's protection, the root's lock.
 *
 * Invariants
 *   S1  every entry that maps a merged page is found by the walk over one of its node's places; a
 *       place is dropped only under the page lock, after a walk that found nothing there
 *   S2  the bytes of a merged page do not change: no entry is writable, from before it got its node
 *       on, nobody held it then but its entries, and no write is allowed in place afterwards
 *   S3  node->pfn is a page whose owner is the node, or one that was freed since; it changes with
 *       the references of the page that was there frozen, so whoever has a reference on a page of
 *       the node, and its lock, has the one that counts
 *   S4  a merged page is in no swap cache: reclaim leaves it alone
 */
#ifndef GW_ENGINE_VIRT_KSM_H
#define GW_ENGINE_VIRT_KSM_H

#include "engine/virt/rmap.h"

struct gw_ksm_place {
	struct gw_anon_vma *anon_vma; /* a reference is held */
	uint32_t index;
	struct gw_ksm_place *next;
	bool used; /* in gw_ksm_prune(): something was found there */
};

struct gw_ksm_node {
	gw_atomic_u32 pfn; /* S3 */
	/* Guarded by the page's lock, while it has this owner. */
	struct gw_ksm_place *places;
	unsigned n_places;
};

/* What an address space knows of who merges its pages. */
struct gw_ksm_member {
	/* The child has the same VMAs; nobody else knows it yet. 0 or -ENOMEM. */
	int (*fork)(struct gw_ksm_member *parent, struct gw_mm *child);
	/* Its last user has gone, it still has its pages. */
	void (*exit)(struct gw_ksm_member *member);
};

/* The node of a merged page; NULL: it is none. Any frame; a hint without the page lock. */
static inline struct gw_ksm_node *
gw_page_ksm_node(const struct gw_machine *m, gw_pfn_t page)
{
	uintptr_t owner = (uintptr_t)gw_ptr_load_acquire(&gw_page(m, page)->owner);

	return (owner & GW_OWNER_TAG) == GW_OWNER_KSM ? (struct gw_ksm_node *)(owner - GW_OWNER_KSM)
						      : NULL;
}

/* ---- finding ---- */

/* The VMA at addr, if its pages may be merged, else NULL. mmap_lock held. */
struct gw_vma *gw_ksm_vma(const struct gw_mm *mm, gw_vaddr_t addr);
/*
 * The first anonymous page, merged or not, of a mergeable VMA of mm in [*addr, end): *addr is
 * where, and the page has a reference for the caller. False: there is none. Takes mmap_lock for
 * reading; sleeps.
 */
bool gw_ksm_next_page(struct gw_mm *mm, gw_vaddr_t *addr, gw_vaddr_t end, gw_pfn_t *page);

/* ---- merging; mmap_lock held for reading, vma mergeable ---- */

/*
 * The entry at addr becomes read-only, and CPUs are flushed, if it maps `page`, which is not
 * merged, locked and referenced by the caller. True: nobody writes to the page until it is
 * unlocked, since nobody is known to hold it but entries, all read-only. Else the next fault gives
 * the right back.
 */
bool gw_ksm_protect(const struct gw_vma *vma, gw_vaddr_t addr, gw_pfn_t page);
/* The page, protected, mapped and in no swap cache, gets its node, which has no place yet, with
 * `place`. False: its last entry went. */
bool gw_ksm_adopt(
	struct gw_machine *m, gw_pfn_t page, struct gw_ksm_node *node, struct gw_ksm_place *place);
/*
 * The entry at addr, of `old`, protected, becomes one of the merged page, both locked; with a place
 * for it if there is none. Returns 0; 1: place was not needed; -EAGAIN: not the entry any more.
 */
GW_MUST_CHECK int gw_ksm_replace(const struct gw_vma *vma, gw_vaddr_t addr, gw_pfn_t old,
	gw_pfn_t page, struct gw_ksm_place *place);
/* Drop the places where nothing maps the page any more. Page locked, no migration entries. */
void gw_ksm_prune(struct gw_machine *m, gw_pfn_t page);
/* A node that is no page's any more: its places are dropped. */
void gw_ksm_drop_places(struct gw_machine *m, struct gw_ksm_node *node);

/* ---- unmerging, migration, check ---- */

/*
 * Every merged page of the range is replaced by a private copy; nobody merges there meanwhile.
 * Waits for pages under migration (R9): they may be merged ones. 0, -ENOMEM, -EINTR. Takes
 * mmap_lock for reading.
 */
GW_MUST_CHECK int gw_ksm_unmerge_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end);

/* The node follows its page: src's references are frozen, dst has its owner. */
void gw_ksm_follow(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src);

/* S1, S3, S4, of all frames. Idle machine. */
void gw_ksm_check(struct gw_machine *m, struct gw_findings *findings);

#endif
