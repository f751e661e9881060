/* SPDX-License-Identifier: MIT */
/* mapping_internal.h - what the files of the page cache share. */
#ifndef GW_ENGINE_STORE_MAPPING_INTERNAL_H
#define GW_ENGINE_STORE_MAPPING_INTERNAL_H

#include "engine/store/store.h"

#define GW_MAPPING_PAGES_MAX ((uint64_t)UINT32_MAX + 1) /* an index has 32 bits */

static inline void
gw_page_unlock_and_put(struct gw_machine *m, gw_pfn_t page)
{
	gw_page_unlock(m, page);
	gw_put_page(m, page);
}

/* Is the locked page the mapping's, at index? */
bool gw_mapping_has_page(const struct gw_mapping *mapping, gw_pfn_t page, uint64_t index);
/* The locked page leaves the cache and is nobody's; the caller has a reference of its own. */
void gw_mapping_remove_page(struct gw_mapping *mapping, gw_pfn_t page);
/* Pages from `first` on leave the cache and what maps them; their bytes are lost. The size is not
 * above `first`, or nobody uses the mapping any more. */
void gw_mapping_drop_pages(struct gw_mapping *mapping, uint64_t first);
/* The files' part of gw_machine_check(): every page of a file stands in its cache. Idle machine. */
void gw_cache_check(struct gw_machine *m, struct gw_findings *findings);

#endif
