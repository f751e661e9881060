/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - copying bytes that others may use meanwhile.
 *
 * Idea. CPUs load and store bytes of a mapped page while the engine or a device copies them. Each
 * side moves them in relaxed atomic words, as hardware would, so that what either sees of a word is
 * what somebody has stored there. Nothing is ordered by it.
 */
#ifndef GW_ENGINE_SYNC_BYTES_H
#define GW_ENGINE_SYNC_BYTES_H

#include "engine/sync/sync.h"

/* Of a range that is taken page by page: bytes from `at` to the end of its page, at most len. */
static inline size_t
gw_bytes_in_page(uint64_t at, size_t len)
{
	size_t room = GW_PAGE_SIZE - (at & (GW_PAGE_SIZE - 1));

	return len < room ? len : room;
}

#ifndef gw_bytes_load /* the explorer has its own: a page at a time */

/* How much of the next `len` bytes moves in one step: a word if both sides are aligned for one. */
static inline size_t
gw_bytes_step(const void *shared, const void *own, size_t len)
{
	uintptr_t both = (uintptr_t)shared | (uintptr_t)own;

	return both % sizeof(uint64_t) == 0 && len >= sizeof(uint64_t) ? sizeof(uint64_t) : 1;
}

static inline void
gw_bytes_load(void *own, const void *shared, size_t len)
{
	const uint8_t *from = shared;
	uint8_t *to = own;

	while (len > 0) {
		size_t n = gw_bytes_step(from, to, len);

		if (n > 1)
			*(uint64_t *)(void *)to =
				gw_u64_load_relaxed((const gw_atomic_u64 *)(const void *)from);
		else
			*to = gw_u8_load_relaxed((const gw_atomic_u8 *)from);
		to += n;
		from += n;
		len -= n;
	}
}

static inline void
gw_bytes_store(void *shared, const void *own, size_t len)
{
	const uint8_t *from = own;
	uint8_t *to = shared;

	while (len > 0) {
		size_t n = gw_bytes_step(to, from, len);

		if (n > 1)
			gw_u64_store_relaxed(
				(gw_atomic_u64 *)(void *)to, *(const uint64_t *)(const void *)from);
		else
			gw_u8_store_relaxed((gw_atomic_u8 *)to, *from);
		to += n;
		from += n;
		len -= n;
	}
}

#endif

#endif
