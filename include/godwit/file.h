/* SPDX-License-Identifier: MIT */
/*
 * file.h - files: pages of a backing store, cached in frames.
 *
 * Idea. A gw_mapping is what Linux calls an address space of a file: its pages in memory by index,
 * who maps them, and the store behind them. Pages come in when they are first read or touched,
 * become dirty by writes through any mapping, and go back to the store by writeback.
 *
 * Invariants
 *   F1  a page in the cache has one reference of the cache, and its owner word and index say where
 *       it stands there
 *   F2  a page leaves the cache dirty only by truncation
 *   F3  who holds the lock of a page in the cache keeps its mapping alive
 */
#ifndef GODWIT_FILE_H
#define GODWIT_FILE_H

#include "types.h"
#include "migrate.h"

struct gw_mapping;

/*
 * A store of pages: of a file, or of a swap area. Bytes are those of one page. Any attached task,
 * several at once for different pages; may sleep. Called with no spinlock held, but maybe with an
 * address space's mmap lock, the lock of the page being read, and, truncating, the file's size
 * lock. CPUs may write to a page that is being written: what they change will be written again.
 */
struct gw_backing_ops {
	/* What was last written at index, zeroes if nothing was. 0 or a negative errno (-EIO). */
	int (*read)(void *ctx, uint64_t index, void *bytes);
	int (*write)(void *ctx, uint64_t index, const void *bytes);
	/* Nothing from page `pages` on is needed any more. May be NULL. */
	void (*truncate)(void *ctx, uint64_t pages);
	/* The last user has gone. May be NULL. */
	void (*release)(void *ctx);
	/*
	 * Move a page of a file in the cache to another frame: usually gw_mapping_migrate(). NULL:
	 * only clean pages without private data move, and dirty ones are written out first, in SYNC
	 * mode (FACTS 2.3). Both pages are locked, the old one is mapped nowhere, and not under
	 * writeback. What a callback does of its own it does first; the move itself, which
	 * cannot be taken back, is gw_mapping_migrate()'s. 0, -EAGAIN (it is tried again), or
	 * another negative errno, with nothing changed.
	 */
	int (*migrate)(
		struct gw_mapping *mapping, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode);
};

#define GW_MAPPING_UNMOVABLE 0x1 /* pages are never moved (guest-private memory, FACTS 2.1) */

/*
 * A file of `pages` pages. The caller owns a reference. ops, ctx: until ops->release.
 * Returns 0, -EINVAL (more than 2^32 pages, flags), -ENOMEM.
 */
GW_MUST_CHECK int gw_mapping_create(struct gw_machine *m, const struct gw_backing_ops *ops,
	void *ctx, uint64_t pages, unsigned flags, struct gw_mapping **out);
/* A mapping of memory (gw_mmap_file()) holds a reference. The last one writes what is dirty and
 * empties the cache; sleeps. */
void gw_mapping_get(struct gw_mapping *mapping);
void gw_mapping_put(struct gw_mapping *mapping);

uint64_t gw_mapping_pages(const struct gw_mapping *mapping);  /* its size */
uint64_t gw_mapping_cached(const struct gw_mapping *mapping); /* pages in the cache */

/*
 * Change the size. Pages beyond the new end leave every address space (private copies too) and the
 * cache, and are lost; accesses there fault with -EFAULT. Waits for page locks and writeback.
 * A page with private data that cannot be released stays behind as nobody's (A11).
 * Returns 0 or -EINVAL.
 */
GW_MUST_CHECK int gw_mapping_truncate(struct gw_mapping *mapping, uint64_t pages);

/* Write all dirty pages; translations lose their dirty mark first. 0, or the first error: pages
 * that could not be written are dirty again. */
GW_MUST_CHECK int gw_mapping_sync(struct gw_mapping *mapping);

/* Read and write bytes through the cache, page by page: those before a page that fails are done. 0;
 * -EINVAL: beyond the end; -ENOMEM; -EINTR; the store's error. */
GW_MUST_CHECK int gw_mapping_read(
	struct gw_mapping *mapping, uint64_t offset, void *buf, size_t len);
GW_MUST_CHECK int gw_mapping_write(
	struct gw_mapping *mapping, uint64_t offset, const void *buf, size_t len);

/*
 * gw_backing_ops.migrate for stores that do not care where a page is, and the end of any other:
 * bytes, state, private data and the place in the cache go over. -EAGAIN if somebody else holds a
 * reference on the page, or its private data does not let go.
 */
int gw_mapping_migrate(
	struct gw_mapping *mapping, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode);

/*
 * Private data of a page: what a file system hangs on it. It holds a reference on the page. The
 * page is locked by the caller. `release` is asked, with the page locked, to let go: it says true,
 * and has forgotten the page, or false: not now. `moved` tells that the data belongs to dst now.
 */
struct gw_private {
	bool (*release)(struct gw_private *data, struct gw_machine *m, gw_pfn_t page);
	void (*moved)(
		struct gw_private *data, struct gw_machine *m, gw_pfn_t dst); /* may be NULL */
};
/* 0, -EBUSY (it has some already), -ENOMEM. */
GW_MUST_CHECK int gw_page_set_private(struct gw_machine *m, gw_pfn_t page, struct gw_private *data);
/* Ask for its release: true if the page has none now. Page locked. */
bool gw_page_release_private(struct gw_machine *m, gw_pfn_t page);

/* The page of the cache at index, with a reference for the caller; GW_PFN_NONE: none. */
gw_pfn_t gw_mapping_find(struct gw_mapping *mapping, uint64_t index);

#endif
