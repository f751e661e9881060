/* SPDX-License-Identifier: MIT */
/*
 * store.h - the page cache, the swap cache, reclaim and memory control groups inside the engine.
 *
 * Idea. Both caches are the same thing: a tree of frames by index under one spinlock (struct
 * gw_cache). A file page's owner word names its mapping; an anonymous page in the swap cache keeps
 * its anon_vma there, has GW_PG_SWAPCACHE, and its slot stands in the side table.
 *
 * Locks (docs/locking.md)
 *   page lock            a page enters and leaves a cache under its own lock only, and its
 *                        DIRTY-to-WRITEBACK step is made under it
 *   mapping->size_lock   rank SIZE: truncation, from the size to the last page
 *   mapping->rmap_lock   rank RMAP: the interval tree of VMAs that map the file, and start, end and
 *                        pgoff of these VMAs
 *   cache->lock          rank TREE: the tree; and whoever finds a page by index takes his reference
 *                        under it (R16)
 * The end of writeback is not a lock: it may be waited for with a page lock held, since who writes
 * a page out holds none.
 *
 * References of a page: one of each entry that maps it, one of the cache it is in, one of its
 * private data, and what tasks hold (isolation, lookups).
 */
#ifndef GW_ENGINE_STORE_STORE_H
#define GW_ENGINE_STORE_STORE_H

#include "engine/phys/phys.h"
#include "engine/store/radix.h"
#include "engine/virt/itree.h"
#include "godwit/file.h"
#include "godwit/memcg.h"
#include "godwit/reclaim.h"
#include "godwit/swap.h"

struct gw_page_source; /* engine/virt/policy.h */

struct gw_cache {
	gw_spinlock lock;
	struct gw_radix tree;  /* index -> frame; guarded by lock */
	gw_atomic_u64 n_pages; /* the same; read anywhere */
};

struct gw_mapping {
	struct gw_machine *machine;
	const struct gw_backing_ops *ops;
	void *ctx;
	unsigned flags;
	gw_refcount refs;
	gw_mutex size_lock; /* rank SIZE: the size changes, and pages go, by one task at a time */
	gw_atomic_u64
		pages; /* size; shrinks before pages go: seen under a page lock, it is final */
	struct gw_cache cache;
	gw_rwlock rmap_lock;
	struct gw_itree vmas; /* gw_vma.file_node, by page offset; guarded by rmap_lock */
	gw_rcu_head rcu;      /* unlocked looks at a page's owner are made under RCU */
};

/* ---- caches (cache.c) ---- */

/* The page at index with a reference for the caller, or GW_PFN_NONE. A frozen page is waited for.
 */
gw_pfn_t gw_cache_find(struct gw_machine *m, struct gw_cache *cache, uint64_t index);
/*
 * Put a page in, taking a reference of the cache; the caller holds its lock (and has set its owner
 * word and index, or SWAPCACHE and slot, which others may look at from here on).
 * 0, -EEXIST, -ENOMEM. Allocates outside the lock.
 */
GW_MUST_CHECK int gw_cache_add(
	struct gw_machine *m, struct gw_cache *cache, uint64_t index, gw_pfn_t page);
/* Take a page out; the caller holds its lock and gets the cache's reference to drop. */
void gw_cache_remove(struct gw_machine *m, struct gw_cache *cache, uint64_t index, gw_pfn_t page);
/* If src has exactly `refs` references: freeze them at 0 and put dst in its place, in one step
 * (R16; dst NONE: take src out). dst gets no reference here. False: nothing changed. */
GW_MUST_CHECK bool gw_cache_replace_frozen(struct gw_machine *m, struct gw_cache *cache,
	uint64_t index, gw_pfn_t src, gw_pfn_t dst, uint32_t refs);
/* The next page from *index on, with a reference; *index becomes its own. GW_PFN_NONE: no more. */
gw_pfn_t gw_cache_next(struct gw_machine *m, struct gw_cache *cache, uint64_t *index);

/* The cache that a locked page is in, and where; NULL: in none. */
struct gw_cache *gw_page_cache(const struct gw_machine *m, gw_pfn_t page, uint64_t *index);
/* The mapping of a locked file page, else NULL (anonymous, movable-ops, nobody's). Unlocked only
 * under RCU, as a hint. */
static inline struct gw_mapping *
gw_page_mapping(const struct gw_machine *m, gw_pfn_t page)
{
	uintptr_t owner = (uintptr_t)gw_ptr_load_acquire(&gw_page(m, page)->owner);

	return (owner & GW_OWNER_TAG) == GW_OWNER_MAPPING ? (struct gw_mapping *)owner : NULL;
}

/* ---- file pages (mapping.c, writeback.c, truncate.c) ---- */

/*
 * The page at index, read in if it is not there: up to date, with a reference, and locked. A new
 * page comes from source (gw_alloc_source()). 0, -EFAULT (beyond the end), -ENOMEM, -EINTR, the
 * store's error.
 */
GW_MUST_CHECK int gw_mapping_get_page(struct gw_mapping *mapping, uint64_t index,
	const struct gw_page_source *source, gw_pfn_t *out);
/* The same for a fault, which is a major one if the page was read in. */
GW_MUST_CHECK int gw_mapping_fault_page(struct gw_mapping *mapping, uint64_t index,
	const struct gw_page_source *source, gw_pfn_t *out);

/* Page is mapped or locked: it has bytes that its store has not. */
void gw_page_set_dirty(struct gw_machine *m, gw_pfn_t page);
/*
 * Write a locked page of a cache to its store if it is dirty: DIRTY becomes WRITEBACK, the page is
 * unlocked for the time of the I/O, and is locked again on return; mappings stay, their dirty marks
 * are collected first. While WRITEBACK is set the page stays where it is in its cache; when the
 * lock is held again it may be in none. The caller holds a reference and no other page lock. 0
 * (clean now, unless somebody wrote meanwhile), or the store's error with the page dirty again.
 */
GW_MUST_CHECK int gw_page_write_out(struct gw_machine *m, gw_pfn_t page);
/* Sleep until the page is not under writeback; the caller holds a reference, and may hold its lock:
 * then it is under none from here on. */
void gw_page_wait_writeback(struct gw_machine *m, gw_pfn_t page);

/* Private data (file.h) goes to dst with its page; both locked, src's references frozen. dst gets
 * the data's reference. Nothing if src has none. */
void gw_page_move_private(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src);

/* ---- swap (swap.c) ---- */

/* The swap cache; NULL: the machine has no swap area. */
struct gw_cache *gw_swap_cache(const struct gw_machine *m);
/* A locked anonymous page enters the swap cache under a new slot and is dirty. 0, -ENOSPC (no swap,
 * or full), -ENOMEM. */
GW_MUST_CHECK int gw_swap_cache_add(struct gw_machine *m, gw_pfn_t page);
/* A locked page, not under writeback, leaves the swap cache (the cache's reference dropped: not the
 * last); its slot is free if no entry names it, else the page is clean. */
void gw_swap_cache_delete(struct gw_machine *m, gw_pfn_t page);
/* The same if no entry names its slot and it is not under writeback: true if it is out of the swap
 * cache. */
bool gw_swap_cache_try_delete(struct gw_machine *m, gw_pfn_t page);
/* Reclaim's end: a locked, unmapped, clean page with exactly `refs` references leaves the swap
 * cache with its references frozen at 0. False: nothing changed. */
GW_MUST_CHECK bool gw_swap_cache_remove_frozen(struct gw_machine *m, gw_pfn_t page, uint32_t refs);
/*
 * Unlock a page that may be in the swap cache, of any owner: how reclaim, migration and faults give
 * the lock of an anonymous page back. If its last entry went meanwhile, and gw_swap_trim() found
 * it locked, the page leaves the swap cache here. The caller holds a reference, and keeps it.
 */
void gw_swap_page_unlock(struct gw_machine *m, gw_pfn_t page);
/* The slot of a page in the swap cache. Page locked. */
uint32_t gw_page_slot(const struct gw_machine *m, gw_pfn_t page);
/* One more entry names the slot, which an entry (its leaf lock held) or the swap cache (page
 * locked) keeps. */
void gw_swap_dup(struct gw_machine *m, uint32_t slot);
/* One fewer, leaf lock held or not: the last frees the slot, unless the cache has it; then it is
 * true, and the caller owes gw_swap_trim(slot) as soon as it holds no leaf lock. */
GW_MUST_CHECK bool gw_swap_put(struct gw_machine *m, uint32_t slot);
/* Take the page of a slot that no entry names any more out of the swap cache. Never sleeps: if the
 * page is locked, whoever unlocks it does it. No spinlock held. */
void gw_swap_trim(struct gw_machine *m, uint32_t slot);
/* Entries that name the slot. */
uint32_t gw_swap_count(const struct gw_machine *m, uint32_t slot);
/*
 * The page of a slot that a fault has seen in an entry: from the swap cache, or read into it: then
 * the fault is a major one.
 * With a reference, locked, up to date and, soon, on an LRU list. Under both it may be that the
 * slot was freed meanwhile: the caller compares the entry again, and unlocks with
 * gw_swap_page_unlock(). Whoever maps a page that nobody maps (gw_rmap_new_anon()) says what its
 * owner and index are: until then its owner word is GW_OWNER_ANON without a pointer, or an anon_vma
 * that may be gone (R3). 0, -ENOENT (slot free: look again), -ENOMEM, -EINTR, the store's error.
 */
GW_MUST_CHECK int gw_swap_get_page(
	struct gw_machine *m, uint32_t slot, const struct gw_page_source *source, gw_pfn_t *out);
/* gw_page_write_out()'s I/O for a page of the swap cache: 0 or the store's error. Counts pswpout.
 * Sleeps. */
GW_MUST_CHECK int gw_swap_write(struct gw_machine *m, uint32_t slot, const void *bytes);

/* ---- memory control groups (memcg.c) ---- */

/* Charge a page in use that is charged to nobody: 0 or -ENOMEM (over the limit, also after reclaim
 * in the group). NULL memcg: 0. May sleep; no spinlock held. Freeing the page ends the charge. */
GW_MUST_CHECK int gw_memcg_charge(struct gw_memcg *memcg, gw_pfn_t page);
/* src's charge becomes dst's (A9): both locked, before src's last reference goes (E13). */
void gw_memcg_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src);

/* ---- reclaim (reclaim.c, kswapd.c) ---- */

/* Wake the background reclaim of these nodes, those of them that have memory, for a request of this
 * order. Never sleeps. */
void gw_wake_kswapd(struct gw_machine *m, uint64_t nodes, unsigned order);
/* An allocation from these nodes lacks n frames: frees as many, or a batch if that is more. Returns
 * what it has freed. Counts allocstall. */
uint64_t gw_direct_reclaim(struct gw_machine *m, uint64_t nodes, uint64_t n, gw_gfp_t gfp);
/* Frames of a node that reclaim might free: of files, and anonymous ones if there is swap. */
uint64_t gw_reclaimable(const struct gw_machine *m, unsigned node);
/* Reclaim these isolated pages (MADV_PAGEOUT); those left are put back. Returns frames freed. */
uint64_t gw_reclaim_pages(struct gw_machine *m, struct gw_page_list *list);

#endif
