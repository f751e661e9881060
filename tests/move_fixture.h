/* SPDX-License-Identifier: MIT */
/*
 * move_fixture.h - migrations of cached pages, one by one, with hooks in their middle.
 *
 * Idea. On the spaces of mm_fixture.h stands a source of new pages that counts, and hooks that run
 * as a task of their own: at_flush when entries are migration entries and references not frozen
 * yet, at_copy when they are, and a cache's slot is the new page's already.
 */
#ifndef GODWIT_MOVE_FIXTURE_H
#define GODWIT_MOVE_FIXTURE_H

#include "file_fixture.h"

struct mover {
	struct spaces *s;
	struct gw_machine *m;
	struct gw_machine_ops ops;
	const struct gw_machine_ops *real_ops;
	struct gw_page_list list;
	struct gw_migrate_target target;
	struct gw_migrate_stats stats; /* of the last migrate() */

	/* What a test wants to happen. */
	void (*at_flush)(struct mover *mv);
	void (*at_copy)(struct mover *mv);
	gw_pfn_t page; /* the hooks' */
	struct gw_mapping *file;
	struct gw_mm *mm, *other;
	gw_vaddr_t addr;
	uint64_t index;

	/* What happened in the last migrate(). */
	unsigned gets, puts, stayed;
	int why; /* the last page stayed */
	gw_pfn_t new_page;
	bool clean_at_put;
	unsigned seen; /* the hooks' */
};

/* cmocka's: *state is a struct mover. Teardown: all is free again. */
int mover_setup(void **state);
int mover_teardown(void **state);

/* The page on mover's list, as gw_isolate_page() says. */
int try_isolate(struct mover *mv, gw_pfn_t page, enum gw_migrate_mode mode);
/* Migrate the list. */
int migrate(struct mover *mv, enum gw_migrate_mode mode);
/* Isolate and migrate one page, which must move; returns where it is. */
gw_pfn_t move(struct mover *mv, gw_pfn_t page);
/* Put back what stayed. */
void put_back(struct mover *mv);

uint32_t refs(const struct mover *mv, gw_pfn_t page);
uint32_t flags(const struct mover *mv, gw_pfn_t page);
bool is_free(const struct mover *mv, gw_pfn_t page);

#endif
