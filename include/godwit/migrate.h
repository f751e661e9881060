/* SPDX-License-Identifier: MIT */
/*
 * migrate.h - moving pages to other frames (FACTS 1.1, 1.6, 2.3).
 *
 * Idea. The caller isolates pages onto a list, says where new pages come from, and gets back how
 * many did not move and why. Pages belong to owners; an owner that supplies a
 * gw_movable_ops has its pages moved by its own callbacks. The steps are numbered in
 * engine/migrate/migrate.c.
 */
#ifndef GODWIT_MIGRATE_H
#define GODWIT_MIGRATE_H

#include "types.h"

/* How far a migration may wait (FACTS 1.6). */
enum gw_migrate_mode {
	GW_MIGRATE_ASYNC = 0,	   /* never blocks */
	GW_MIGRATE_SYNC_LIGHT = 1, /* may wait for a page lock, not for I/O */
	GW_MIGRATE_SYNC = 2,	   /* may wait and write out */
	/* As ASYNC, and the task that faulted has one more reference (E9). Owners' and stores'
	 * callbacks see it; gw_migrate_pages() is not asked for it. */
	GW_MIGRATE_FAULT = 3
};

enum gw_migrate_reason {
	GW_MR_COMPACTION = 0,
	GW_MR_MEMORY_FAILURE = 1,
	GW_MR_MEMORY_HOTPLUG = 2,
	GW_MR_SYSCALL = 3,
	GW_MR_MEMPOLICY_MBIND = 4,
	GW_MR_NUMA_MISPLACED = 5,
	GW_MR_CONTIG_RANGE = 6,
	GW_MR_LONGTERM_PIN = 7,
	GW_MR_DEMOTION = 8,
	GW_MR_DAMON = 9
};

/*
 * What the owner of movable pages supplies. A page of any order is named by its first frame.
 * The engine holds the page lock of every page it passes, and a reference. `mode` says how far the
 * callback may wait; one that could succeed if it waited returns -EAGAIN and is asked again, one
 * page at a time, in a mode that allows it (if the caller's does).
 */
struct gw_movable_ops {
	/*
	 * Take the page out of use by the owner's own lists; false: not now. From then
	 * on the owner neither frees nor hands it out, until migrate or putback. An owner that has
	 * let go of the page, or is about to, must say false. (An owner that must give an isolated
	 * page up all the same takes the page lock, calls gw_page_set_movable() with NULL ops and
	 * drops its reference; no callback follows. A1) May be NULL: always; such an owner cannot
	 * know, so it gives every page up that way.
	 */
	bool (*isolate)(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode);
	/*
	 * Make the page inaccessible: nobody can read or write it until remap. Returns 0,
	 * 1 (done, and translations must be flushed before the move), -EAGAIN or another
	 * negative errno with nothing changed. May be NULL: the page is mapped nowhere.
	 */
	int (*unmap)(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode);
	/*
	 * Move the owner's state and the bytes (gw_migrate_copy()) from src to dst, both locked,
	 * neither unlocked here (A5). Returns 0; -EAGAIN (try again in a later pass);
	 * another negative errno (final for this call). On failure src is as before.
	 * src's references are frozen at 0 meanwhile: nobody can get one, this callback neither.
	 */
	int (*migrate)(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode);
	/* Undo unmap, with `winner` (dst on success, src on failure) in the place of src (A8).
	 * Needed if unmap is there. */
	void (*remap)(struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner);
	/* The migration is off: the page is in ordinary use again. May be NULL. */
	void (*putback)(struct gw_machine *m, gw_pfn_t page);
	/*
	 * May this large page be split into single frames? 0, or a negative errno (-EBUSY: pinned,
	 * dirty with private data ...). NULL: pages of this owner cannot be split. After 0 every
	 * frame is a page of this owner with the same index, isolated, from the moment on that the
	 * page lock is free again. References are frozen as for migrate.
	 */
	int (*split)(struct gw_machine *m, gw_pfn_t page, unsigned order);
};

/* Where new pages come from. */
struct gw_migrate_target {
	/*
	 * A page of `order` for `src`, the caller's reference on it passed on. 0; -ENOMEM: there is
	 * none, split or end; another negative errno: this page stays, the others go on. Called
	 * with page locks held: it may not wait for another, nor allocate so that it compacts.
	 */
	int (*get_new_page)(
		void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst);
	/* Takes an unused new page back (A1). NULL: gw_put_page(). */
	void (*put_new_page)(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order);
	void *ctx;
	/*
	 * A page stays on the list, and why: -EAGAIN (its last pass found it in use, or locked),
	 * -ENOMEM (no new page for it, or the call had ended before its turn), -EBUSY (this mode
	 * does not wait for it), -EOPNOTSUPP (it never moves), or what its owner or store said.
	 * Once for each such page; page locks may be held. May be NULL.
	 */
	void (*stayed)(void *ctx, struct gw_machine *m, gw_pfn_t page, int err);
};

/* Frames, unless said otherwise. */
struct gw_migrate_stats {
	uint64_t succeeded, failed;
	uint64_t large_succeeded, large_failed; /* pages of order > 0 moved whole / not, in pages */
	uint64_t split;				/* pages of order > 0 split for want of a target */
	uint64_t passes;			/* over the list; one more over split pages */
	uint64_t flushes;			/* batches flushed */
	/* The large page whose missing target ended the call, or GW_PFN_NONE; set by every call. */
	gw_pfn_t stopped_on;
};

/* Pages linked through their frames' list fields: isolated pages, mostly. */
struct gw_page_list {
	gw_pfn_t first, last;
	uint64_t n; /* pages, not frames */
};

void gw_page_list_init(struct gw_page_list *list);

/*
 * Isolate the page of `pfn` for migration: off its LRU list if it is on one, out of the owner's
 * use, with a reference taken. Returns 0, -EBUSY (locked, being freed, refused, pinned beyond
 * what migration can account for; if mode is not SYNC, under writeback, or dirty of a store
 * that cannot migrate), -EINVAL (free, a tail, without an owner that can move it, of an unmovable
 * file). Any attached task.
 */
GW_MUST_CHECK int gw_isolate_page(
	struct gw_machine *m, gw_pfn_t pfn, enum gw_migrate_mode mode, struct gw_page_list *list);

/*
 * Move isolated pages.
 *
 *   list    isolated pages; those that moved leave it, those left are to be put back (A16)
 *   target  where new pages come from
 *   stats   added to; may be NULL
 *
 * Returns the number of pages (not frames) left, or -ENOMEM when a target could not be had and
 * the page could not be split (the list holds what is left).
 * Up to 10 passes in SYNC modes as FACTS 1.6 has them; flushes are batched (FACTS 2.3).
 * Any attached task; sleeps unless ASYNC.
 */
GW_MUST_CHECK int gw_migrate_pages(struct gw_machine *m, struct gw_page_list *list,
	const struct gw_migrate_target *target, enum gw_migrate_mode mode,
	enum gw_migrate_reason reason, struct gw_migrate_stats *stats);

/* Give isolated pages back to their owners and LRU lists; empties the list (A16). May wait for
 * page locks. */
void gw_putback_movable_pages(struct gw_machine *m, struct gw_page_list *list);

/* Copy the bytes of a page of `order`; for gw_movable_ops.migrate. */
void gw_migrate_copy(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, unsigned order);

struct gw_mm;

#define GW_MOVE_ALL 0x1 /* gw_move_pages(): pages that others map, too */

/*
 * move_pages(2): move single pages of an address space to nodes, and tell where they are
 * (FACTS 2.3).
 *   addrs, nodes, status  n of each; nodes NULL: only tell
 *   status                the page's node, or -EFAULT (not mapped, the zero page, not migratable),
 *                         -ENOENT (not present), -EACCES (mapped elsewhere, without GW_MOVE_ALL),
 *                         -EBUSY (not isolatable), -ENODEV (no such node), -ENOMEM, -EAGAIN (it did
 *                         not move)
 * Returns 0 if every page is where it was wanted, the number of pages that are not, or -EINVAL.
 * Mode SYNC. Any attached task.
 */
GW_MUST_CHECK int gw_move_pages(struct gw_mm *mm, size_t n, const uint64_t *addrs, const int *nodes,
	int *status, unsigned flags);
/*
 * migrate_pages(2): pages of mm on the nth node of `from` (a bit set of nodes) go to the nth of
 * `to`, counted around; pages on nodes in both sets stay. Returns the number of pages that did not
 * move, or -EINVAL (an empty set, a node that is not there).
 */
GW_MUST_CHECK int gw_migrate_mm(struct gw_mm *mm, uint64_t from, uint64_t to);

/*
 * Make a freshly allocated page a movable page of `ops`. The page keeps its `index` (the owner's
 * own 32 bits) until it is freed; migration passes it on. The caller keeps its reference, the
 * owner's one. A page that shall be on an LRU list is added there first: from here on it may be
 * isolated. ops NULL: nobody's again; page locked then.
 */
void gw_page_set_movable(
	struct gw_machine *m, gw_pfn_t page, const struct gw_movable_ops *ops, uint32_t index);
uint32_t gw_page_index(const struct gw_machine *m, gw_pfn_t page);
void gw_page_set_index(struct gw_machine *m, gw_pfn_t page, uint32_t index);

/* The page lock (FACTS 1.3). The caller holds a reference, except as said at DROP. */
GW_MUST_CHECK bool gw_page_trylock(struct gw_machine *m, gw_pfn_t pfn);
void gw_page_lock(struct gw_machine *m, gw_pfn_t pfn);
GW_MUST_CHECK int gw_page_lock_killable(struct gw_machine *m, gw_pfn_t pfn); /* 0, -EINTR */
void gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn);
/* Sleep until the page is unlocked; the reference stays (SHARED, C3). 0 or -EINTR. */
int gw_page_wait_locked(struct gw_machine *m, gw_pfn_t pfn, bool killable);
/*
 * Sleep until the page is unlocked, giving up the caller's reference first: the page may
 * be anything afterwards and is not looked at again (DROP, C4 to C6). 0 or -EINTR.
 */
int gw_page_put_and_wait_locked(struct gw_machine *m, gw_pfn_t pfn, bool killable);

#endif
