/* SPDX-License-Identifier: MIT */
/*
 * deferred.c - splitting what waits to be split, when memory is short (FACTS 2.4).
 *
 * Idea. A queued page is one of three: mapped in part, then its split frees the other frames;
 * underused, a huge page of which more than max_ptes_none frames are full of zeros, then these go
 * back to the zero page; or neither (any more), then it leaves the queue, as it does if somebody
 * holds it. Whoever unmaps a part of it later queues it again.
 */
#include "engine/huge/huge.h"
#include "engine/virt/rmap.h"

/* Page locked, with more frames than one. */
static unsigned
count_unmapped(const struct gw_machine *m, gw_pfn_t page)
{
	gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(gw_page_flags(gw_page(m, page)));
	unsigned unmapped = 0;

	for (gw_pfn_t i = 0; i < n; i++)
		unmapped += gw_frame_mapcount(m, page + i) == 0;
	return unmapped;
}

/* Zeros that are written meanwhile are no harm: the split looks again. */
static unsigned
count_zeros(struct gw_machine *m, gw_pfn_t page)
{
	unsigned zeros = 0;

	for (gw_pfn_t i = 0; i < 1u << GW_HUGE_ORDER; i++)
		zeros += gw_frame_is_zero(m, page + i);
	return zeros;
}

static bool
is_underused(struct gw_machine *m, gw_pfn_t page, unsigned *zeros)
{
	uint32_t flags = gw_page_flags(gw_page(m, page));

	/* All but one, Linux's default, is what no page can exceed and be in use. */
	if (!m->thp.shrink_underused || m->thp.max_ptes_none + 1 >= 1u << GW_HUGE_ORDER ||
		gw_flags_order(flags) != GW_HUGE_ORDER || flags & GW_PG_MLOCKED)
		return false;
	*zeros = count_zeros(m, page);
	return *zeros > m->thp.max_ptes_none;
}

/* Page locked. Returns frames freed. */
static unsigned
split_if_worth(struct gw_machine *m, gw_pfn_t page)
{
	unsigned frames = 0;

	if (!(gw_page_flags(gw_page(m, page)) & GW_PG_COMPOUND))
		return 0; /* another task was faster */
	if (gw_page_partially_mapped(m, page)) {
		frames = count_unmapped(m, page);
		return gw_split_huge(m, page) ? 0 : frames;
	}
	if (!is_underused(m, page, &frames) || gw_split_underused(m, page))
		return 0;
	gw_count(m, GW_VM_THP_UNDERUSED_SPLIT_PAGE, 1);
	return frames;
}

uint64_t
gw_split_deferred(struct gw_machine *m, unsigned node, unsigned n)
{
	uint64_t freed = 0;
	gw_pfn_t page;

	while (n-- > 0 && (page = gw_deferred_pop(m, node)) != GW_PFN_NONE) {
		if (gw_page_trylock(m, page)) {
			freed += split_if_worth(m, page);
			gw_page_unlock(m, page);
		}
		gw_put_page(m, page);
	}
	return freed;
}
