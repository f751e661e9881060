/* SPDX-License-Identifier: MIT */
/*
 * owner.h - what of a page's move depends on who owns it.
 *
 * Idea. Isolation and migration are the same for all pages but for the steps below, which ask
 * the page's owner word. An owner of another kind is one more case in owner.c.
 * The page is a head; the caller holds its lock and a reference except as said.
 */
#ifndef GW_ENGINE_MIGRATE_OWNER_H
#define GW_ENGINE_MIGRATE_OWNER_H

#include "engine/virt/rmap.h"

/* What unmapping has left to do. */
struct gw_unmapped {
	bool remap_due;		      /* gw_owner_remap() must follow */
	struct gw_anon_vma *anon_vma; /* held until gw_owner_unmap_end(); or NULL */
};

/* Does somebody own the page who can move it? A hint without the lock. */
bool gw_owner_can_move(const struct gw_machine *m, gw_pfn_t page);

/*
 * The reference count of an isolated page when only its owner and the isolation hold it (I4): a
 * page with more is pinned. Movable-ops pages: 2, the owner's one and the isolation's; anonymous
 * pages: one for each entry, none once unmapped, and the isolation's. One less before
 * isolation. No lock needed.
 */
uint32_t gw_owner_expected_refs(const struct gw_machine *m, gw_pfn_t page);

bool gw_owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode);
void gw_owner_putback(struct gw_machine *m, gw_pfn_t page);

/* Returns 0, 1 (a flush is due) or a negative errno, nothing left to do then. */
int gw_owner_unmap(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode,
	struct gw_unmapped *unmapped);

/* Has the owner given up the page that it unmapped? */
bool gw_owner_gave_up(
	const struct gw_machine *m, gw_pfn_t page, const struct gw_unmapped *unmapped);

/*
 * Move state and bytes from src, its references frozen, to dst; then dst has the owner, too, and
 * the references that the owner holds before it maps the page. On failure dst is nobody's, as
 * it came (A6). Returns 0 or a negative errno.
 */
int gw_owner_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode);

/* The page is nobody's from now on: no callback sees it again. (An anonymous page keeps its mark
 * until it is freed: A7.) */
void gw_owner_forget(struct gw_machine *m, gw_pfn_t page);

/* winner: src or dst, whichever the owner now has. */
void gw_owner_remap(
	struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner, const struct gw_unmapped *unmapped);

/* Between the unlocking of the new page and of the old one (A15). */
void gw_owner_unmap_end(struct gw_unmapped *unmapped);

/* May the page, its references frozen, be split now? 0 or a negative errno. */
int gw_owner_split(struct gw_machine *m, gw_pfn_t page, unsigned order);

#endif
