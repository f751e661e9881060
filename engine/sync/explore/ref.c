/* SPDX-License-Identifier: MIT */
/*
 * ref.c - reference counts, each operation one step.
 */
#include "engine/sync/sync.h"

static void
seen(const gw_refcount *r)
{
	gw_sched_access(&r->count.v, sizeof(r->count.v), GW_SEES);
}

static void
change(gw_refcount *r, uint32_t n)
{
	gw_sched_access(&r->count.v, sizeof(r->count.v), r->count.v == n ? GW_SEES : GW_CHANGES);
	GW_SCHED_DETAIL("%u -> %u", r->count.v, n);
	r->count.v = n;
}

uint32_t
gw_x_ref_read(const gw_refcount *r, const char *func, int line)
{
	gw_sched_point("ref_read", r, func, line);
	seen(r);
	GW_SCHED_DETAIL("= %u", r->count.v);
	return r->count.v;
}

void
gw_x_ref_set(gw_refcount *r, uint32_t n, const char *func, int line)
{
	gw_sched_point("ref_set", r, func, line);
	change(r, n);
}

/* The count after n more, which stays saturated. */
static uint32_t
more(uint32_t old, uint32_t n)
{
	if (old <= GW_REF_MAX && n <= GW_REF_MAX - old)
		return old + n;
	if (old <= GW_REF_MAX)
		gw_sync_bug("a reference count reached its end and saturates");
	return GW_REF_SATURATED;
}

void
gw_x_ref_get(gw_refcount *r, const char *func, int line)
{
	gw_sched_point("ref_get", r, func, line);
	seen(r);
	if (r->count.v == 0)
		gw_sync_bug("a reference was taken where none was left");
	change(r, more(r->count.v, 1));
}

bool
gw_x_ref_get_unless_zero(gw_refcount *r, const char *func, int line)
{
	gw_sched_point("ref_get_unless_zero", r, func, line);
	if (r->count.v == 0) {
		seen(r);
		GW_SCHED_DETAIL("failed");
		return false;
	}
	change(r, more(r->count.v, 1));
	return true;
}

void
gw_x_ref_add(gw_refcount *r, uint32_t n, const char *func, int line)
{
	gw_sched_point("ref_add", r, func, line);
	change(r, more(r->count.v, n));
}

bool
gw_x_ref_put(gw_refcount *r, const char *func, int line)
{
	gw_sched_point("ref_put", r, func, line);
	seen(r);
	if (r->count.v == 0)
		gw_sync_bug("a reference was dropped where none was left");
	change(r, r->count.v > GW_REF_MAX ? GW_REF_SATURATED : r->count.v - 1);
	return r->count.v == 0;
}

bool
gw_x_ref_freeze(gw_refcount *r, uint32_t n, const char *func, int line)
{
	gw_sched_point("ref_freeze", r, func, line);
	if (r->count.v != n) {
		seen(r);
		GW_SCHED_DETAIL("failed: %u, not %u", r->count.v, n);
		return false;
	}
	change(r, 0);
	return true;
}

void
gw_x_ref_unfreeze(gw_refcount *r, uint32_t n, const char *func, int line)
{
	gw_sched_point("ref_unfreeze", r, func, line);
	if (r->count.v != 0)
		gw_sync_bug("a reference count was thawed that was not frozen");
	change(r, n);
}
