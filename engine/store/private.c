/* SPDX-License-Identifier: MIT */
/*
 * private.c - what a file system hangs on a page.
 *
 * Idea. The flag PRIVATE says that there is some; the side table says where. The page lock guards
 * both, and the data holds one reference on the page.
 */
#include "engine/store/store.h"

int
gw_page_set_private(struct gw_machine *m, gw_pfn_t page, struct gw_private *data)
{
	if (gw_page_flags(gw_page(m, page)) & GW_PG_PRIVATE)
		return -EBUSY;
	if (gw_page_extra_make(m))
		return -ENOMEM;
	gw_get_page(m, page);
	gw_ptr_store_relaxed(&gw_page_extra(m, page)->private, data);
	gw_u32_or_relaxed(&gw_page(m, page)->flags, GW_PG_PRIVATE);
	return 0;
}

/* The data that the page had and has no more. */
static struct gw_private *
take(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_private *data = gw_ptr_load_relaxed(&gw_page_extra(m, page)->private);

	gw_u32_and_relaxed(&gw_page(m, page)->flags, ~GW_PG_PRIVATE);
	gw_ptr_store_relaxed(&gw_page_extra(m, page)->private, NULL);
	return data;
}

bool
gw_page_release_private(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_private *data;

	if (!(gw_page_flags(gw_page(m, page)) & GW_PG_PRIVATE))
		return true;
	data = gw_ptr_load_relaxed(&gw_page_extra(m, page)->private);
	if (!data->release(data, m, page))
		return false;
	(void)take(m, page);
	gw_put_page(m, page);
	return true;
}

void
gw_page_move_private(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src)
{
	struct gw_private *data;

	if (!(gw_page_flags(gw_page(m, src)) & GW_PG_PRIVATE))
		return;
	data = take(m, src);
	gw_get_page(m, dst);
	gw_ptr_store_relaxed(&gw_page_extra(m, dst)->private, data);
	gw_u32_or_relaxed(&gw_page(m, dst)->flags, GW_PG_PRIVATE);
	if (data->moved)
		data->moved(data, m, dst);
}
