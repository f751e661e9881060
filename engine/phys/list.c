/* SPDX-License-Identifier: MIT */
/*
 * list.c - lists of pages, linked through the frames themselves by frame number.
 *
 * Invariant L1: a list's n counts its pages; first's prev and last's next are GW_PFN_NONE.
 * Whoever guards the list holds that lock; nothing here takes one.
 */
#include "engine/phys/phys.h"

void
gw_page_list_init(struct gw_page_list *list)
{
	list->first = GW_PFN_NONE;
	list->last = GW_PFN_NONE;
	list->n = 0;
}

void
gw_list_push_back(struct gw_machine *m, struct gw_page_list *list, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(m, pfn);

	page->next = GW_PFN_NONE;
	page->prev = list->last;
	if (list->last == GW_PFN_NONE)
		list->first = pfn;
	else
		gw_page(m, list->last)->next = pfn;
	list->last = pfn;
	list->n++;
}

gw_pfn_t
gw_list_pop_back(struct gw_machine *m, struct gw_page_list *list)
{
	gw_pfn_t pfn = list->last;

	if (pfn != GW_PFN_NONE)
		gw_list_remove(m, list, pfn);
	return pfn;
}

void
gw_list_splice(struct gw_machine *m, struct gw_page_list *to, struct gw_page_list *from)
{
	if (from->n == 0)
		return;
	if (to->n == 0) {
		*to = *from;
	} else {
		gw_page(m, to->last)->next = from->first;
		gw_page(m, from->first)->prev = to->last;
		to->last = from->last;
		to->n += from->n;
	}
	gw_page_list_init(from);
}
