/* SPDX-License-Identifier: MIT */
/*
 * ref.c - reference counts that went wrong: saturate, and complain.
 *
 * Idea. A count that overflowed or was dropped once too often is never trusted again: it stays
 * at GW_REF_SATURATED, so its object leaks instead of being freed under a user.
 * Taking from 0 and dropping at 0 are bugs in any build. Reaching the end of the range is
 * reported once, when it is crossed, and only with GW_CHECKS: a leak need not end a run.
 */
#include "engine/sync/sync.h"

void
gw_ref_get_slow(gw_refcount *r, uint32_t old)
{
	gw_u32_store_relaxed(&r->count, GW_REF_SATURATED);
	if (old == 0)
		gw_sync_bug("a reference was taken where none was left");
#if GW_CHECKS
	if (old == GW_REF_MAX)
		gw_sync_bug("a reference count reached its end and saturates");
#endif
}

void
gw_ref_put_slow(gw_refcount *r, uint32_t old)
{
	gw_u32_store_relaxed(&r->count, GW_REF_SATURATED);
	if (old == 0)
		gw_sync_bug("a reference was dropped where none was left");
}
