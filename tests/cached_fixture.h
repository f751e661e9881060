/* SPDX-License-Identifier: MIT */
/*
 * cached_fixture.h - one page of a file in the cache, for the mover of move_fixture.h.
 *
 * Idea. A file on a store of its own, with the calls the test wants; the mover's page is the one at
 * SEVEN, and a single assertion says that it stands in the cache as it should.
 */
#ifndef GODWIT_CACHED_FIXTURE_H
#define GODWIT_CACHED_FIXTURE_H

#include "move_fixture.h"

#define SEVEN 7 /* the page that is moved */

struct file {
	struct gw_backing_ops ops;
	struct store *store;
	struct gw_mapping *mapping;
};

/* A store that knows nothing of migration (FACTS 2.3: fallback). */
struct gw_backing_ops without_migrate(void);

/* A file for mv->file, and mv->index at SEVEN; `flags` are the mapping's. */
struct file *file_of(struct mover *mv, struct gw_backing_ops ops, unsigned flags);
void close_file(struct file *file);

/* The page of the cache, read in if need be; no reference is kept. */
gw_pfn_t cached_page(struct mover *mv);
/* Asserts that the cache has `page`, and nothing else, with the marks of a page that rests. */
void assert_in_cache(struct mover *mv, gw_pfn_t page);

#endif
