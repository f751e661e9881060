/* SPDX-License-Identifier: MIT */
/*
 * owner.h - what of a page's move depends on who owns it.
 *
 * Idea. Isolation and migration are the same for all pages but for the steps below, which ask
 * the page's owner word and flags. owner.c knows movable-ops pages and sends all others, which
 * rmap and caches know (anonymous, file and swap-cache pages, orphans), to owner_rmap.c.
 * The page is a head; the caller holds its lock and a reference except as said.
 */
#ifndef GW_ENGINE_MIGRATE_OWNER_H
#define GW_ENGINE_MIGRATE_OWNER_H

#include "engine/virt/rmap.h"

/* How far this pass may wait, and how far the later ones of the same call will. */
struct gw_pass_mode {
	enum gw_migrate_mode now, later;
};

/* What unmapping has left to do. */
struct gw_unmapped {
	bool remap_due;		      /* gw_owner_remap() must follow */
	struct gw_anon_vma *anon_vma; /* held until gw_owner_unmap_end(); or NULL */
	bool copied;		      /* its bytes are in the new page already */
};

/*
 * May the page with these flags be isolated, for a migration in `mode` (FACTS 2.1, 3.5)? 0,
 * -EINVAL (nobody can move it), -EBUSY (not now, or not in this mode). A hint without the lock.
 */
int gw_owner_may_isolate(
	const struct gw_machine *m, gw_pfn_t page, uint32_t flags, enum gw_migrate_mode mode);

/*
 * The reference count of an isolated page when only its owner and the isolation hold it (I4): a
 * page with more is pinned. Movable-ops pages: 2, the owner's one and the isolation's; others: one
 * for each entry, none once unmapped, one of the cache, one of private data, and the isolation's
 * (FACTS 1.6). One less before isolation. No lock needed.
 */
uint32_t gw_owner_expected_refs(const struct gw_machine *m, gw_pfn_t page);

/* Has the page more references than it should before its isolation? Then it is not even tried;
 * lookups come and go, so pages of caches are. A hint: no lock needed. */
bool gw_owner_pinned(const struct gw_machine *m, gw_pfn_t page);

bool gw_owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode);
void gw_owner_putback(struct gw_machine *m, gw_pfn_t page);

/* Is the page locked because its bytes are being read in? A hint without the lock. */
bool gw_owner_reads_in(const struct gw_machine *m, gw_pfn_t page);

/*
 * What must be done before the page is unmapped: wait for writeback, write out, release private
 * data; the page may be unlocked meanwhile, so no other page lock is held if mode.now is
 * not ASYNC. 0, or a negative errno; -EAGAIN: a later pass may do better.
 */
int gw_owner_make_ready(struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode);

/* Returns 0, 1 (a flush is due) or a negative errno, nothing left to do then. */
int gw_owner_unmap(struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode,
	struct gw_unmapped *unmapped);

/* Has the owner given up the page that it unmapped? */
bool gw_owner_gave_up(
	const struct gw_machine *m, gw_pfn_t page, const struct gw_unmapped *unmapped);

/*
 * May the bytes of the unmapped, flushed page be copied before gw_owner_move()? So they may of an
 * anonymous page that nobody holds but who is accounted for: no pin writes to it, and none can come
 * before it is mapped again.
 */
bool gw_owner_may_copy(
	const struct gw_machine *m, gw_pfn_t page, const struct gw_unmapped *unmapped);

/*
 * If the isolated, unmapped page has no reference but those that are accounted for (I4): move
 * state and bytes to dst, which then has the owner, too, the charge (A9) and the references that
 * the owner holds before it maps the page. src keeps the isolation's reference. On failure dst is
 * nobody's, as it came (A6). Returns 0 or a negative errno.
 */
int gw_owner_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode,
	const struct gw_unmapped *unmapped);

/* dst, which src moved to, is charged in its place. gw_owner_move() does it, as long as src is not
 * free (A9). */
void gw_owner_move_charge(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src);

/* The page is nobody's from now on: no callback sees it again. (An anonymous page keeps its mark
 * until it is freed: A7.) */
void gw_owner_forget(struct gw_machine *m, gw_pfn_t page);

/* winner: src or dst, whichever the owner now has. */
void gw_owner_remap(
	struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner, const struct gw_unmapped *unmapped);

/* Between the unlocking of the new page and of the old one (A15). */
void gw_owner_unmap_end(struct gw_machine *m, struct gw_unmapped *unmapped);

/* Split the isolated page, locked, into single frames, isolated as it is: those behind the head are
 * added to `list`. 0 or a negative errno with nothing changed. */
int gw_owner_split(struct gw_machine *m, gw_pfn_t page, unsigned order, struct gw_page_list *list);

#endif
