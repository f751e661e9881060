/* SPDX-License-Identifier: MIT */
/*
 * tunables.c - what the machine does about large pages.
 */
#include "engine/phys/phys.h"

int
gw_machine_set_thp(struct gw_machine *m, const struct gw_thp_tunables *tunables)
{
	const uint32_t allowed = (2u << GW_HUGE_ORDER) - (1u << GW_LARGE_ORDER_MIN);

	if (tunables->enabled > GW_THP_ALWAYS || tunables->orders & ~allowed ||
		tunables->max_ptes_none >= 1u << GW_HUGE_ORDER)
		return -EINVAL;
	m->thp = *tunables;
	return 0;
}
