/* SPDX-License-Identifier: MIT */
/*
 * bytes.c - copying bytes that others may use meanwhile: one step (engine/sync/bytes.h).
 *
 * Idea. That a copy is torn by a program that writes at the same time is the program's affair, so a
 * copy is not cut in words here. It touches the frame as a whole, as CPUs' accesses do.
 */
#include <string.h>

#include "engine/sync/sync.h"

static const volatile void *
frame_of(const void *bytes)
{
	return (const volatile void *)((uintptr_t)bytes & ~(uintptr_t)(GW_PAGE_SIZE - 1));
}

void
gw_x_bytes_load(void *own, const void *shared, size_t len, const char *func, int line)
{
	gw_sched_point("load_bytes", frame_of(shared), func, line);
	gw_sched_access(frame_of(shared), GW_PAGE_SIZE, GW_SEES);
	memcpy(own, shared, len);
}

void
gw_x_bytes_store(void *shared, const void *own, size_t len, const char *func, int line)
{
	gw_sched_point("store_bytes", frame_of(shared), func, line);
	gw_sched_access(frame_of(shared), GW_PAGE_SIZE, GW_CHANGES);
	memcpy(shared, own, len);
}
