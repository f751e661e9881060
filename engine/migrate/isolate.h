/* SPDX-License-Identifier: MIT */
/*
 * isolate.h - beginning and end of an isolation, as the rest of the room and planners need them.
 */
#ifndef GW_ENGINE_MIGRATE_ISOLATE_H
#define GW_ENGINE_MIGRATE_ISOLATE_H

#include "engine/phys/phys.h"

/* What gw_isolate_page() would say of the page with these flags, but for pins and locks: 0, -EINVAL
 * (it never moves), -EBUSY (not now, or not in this mode). Any frame; a hint. */
int gw_may_isolate_page(
	const struct gw_machine *m, gw_pfn_t pfn, uint32_t flags, enum gw_migrate_mode mode);

/* Before pages are isolated, so that those on their way to an LRU list are there: all CPUs'
 * batches, once for a call (D22), or this CPU's, which waits for nobody (D21). */
void gw_migrate_prep(struct gw_machine *m);
void gw_migrate_prep_local(struct gw_machine *m);

/* gw_isolate_page() of a page that the caller has locked and has a reference on, which becomes the
 * isolation's if the result is 0. The page comes to no list. */
GW_MUST_CHECK int gw_isolate_locked_page(
	struct gw_machine *m, gw_pfn_t pfn, enum gw_migrate_mode mode);

/* gw_isolate_page() of a page that the caller has a reference on, which becomes the isolation's if
 * the result is 0. Waits for the page lock; pinned pages are taken, too. */
GW_MUST_CHECK int gw_isolate_held_page(
	struct gw_machine *m, gw_pfn_t pfn, enum gw_migrate_mode mode, struct gw_page_list *list);

/* The isolated page's owner has given it up meanwhile: it dies with our reference (A1). Page
 * locked. */
bool gw_isolated_page_is_dead(const struct gw_machine *m, gw_pfn_t pfn);

/*
 * The page is no longer isolated: on its LRU list again if it was on one and no other page has
 * taken its place there. Page locked; the isolation's reference is left for the caller to drop,
 * after unlocking.
 */
void gw_isolation_end(struct gw_machine *m, gw_pfn_t pfn);

#endif
