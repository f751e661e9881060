/* SPDX-License-Identifier: MIT */
/*
 * isolate.h - the end of an isolation, as migration needs it too.
 */
#ifndef GW_ENGINE_MIGRATE_ISOLATE_H
#define GW_ENGINE_MIGRATE_ISOLATE_H

#include "engine/phys/phys.h"

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
