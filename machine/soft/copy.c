/* SPDX-License-Identifier: MIT */
/*
 * copy.c - copying frames.
 *
 * Idea. A frame that no cache holds is best written past the caches: its old bytes need not be
 * fetched first, a third of all traffic. A frame that the caches do hold is best written there, and
 * such frames are frequent: the allocator hands out first what was freed last. The machine
 * remembers the frames of its latest copies, as many as caches hold, and takes these for cached.
 * It is a guess, wrong without harm.
 *
 * ThreadSanitizer does not see stores past the caches, nor know that a page of a file may be copied
 * while programs write to it: for it words are copied one by one, as programs access them.
 */
#include <string.h>

#include "machine/soft/soft_internal.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GW_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define GW_TSAN 1
#endif

static void
through_caches(uint8_t *dst, const uint8_t *src, size_t bytes)
{
#ifdef GW_TSAN
	const gw_atomic_u64 *from = (const gw_atomic_u64 *)(const void *)src;
	uint64_t *to = (uint64_t *)(void *)dst;

	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] = gw_u64_load_relaxed(&from[i]);
#else
	memcpy(dst, src, bytes);
#endif
}

#if defined(__SSE2__) && !defined(GW_TSAN)
#include <emmintrin.h>

#define LINE  64
#define AHEAD (8 * LINE) /* what the host's own prefetching sees too late */

static void
stream_line(__m128i *dst, const __m128i *src)
{
	__m128i a = _mm_load_si128(src), b = _mm_load_si128(src + 1);
	__m128i c = _mm_load_si128(src + 2), d = _mm_load_si128(src + 3);

	_mm_stream_si128(dst, a);
	_mm_stream_si128(dst + 1, b);
	_mm_stream_si128(dst + 2, c);
	_mm_stream_si128(dst + 3, d);
}

/* Past the caches. */
static void
stream(uint8_t *dst, const uint8_t *src, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += LINE) {
		__builtin_prefetch(src + (i + AHEAD) % bytes);
		stream_line((__m128i *)(void *)(dst + i), (const __m128i *)(const void *)(src + i));
	}
}

/* These stores are ordered with no others, releases included. */
static void
streams_end(void)
{
	_mm_sfence();
}
#else
static void
stream(uint8_t *dst, const uint8_t *src, size_t bytes)
{
	through_caches(dst, src, bytes);
}

static void
streams_end(void)
{
}
#endif

/* The frame is part of a copy. Was it lately? */
static bool
touch(struct gw_soft *soft, gw_pfn_t frame)
{
	gw_atomic_u32 *slot = &soft->copied[frame % GW_COPIED_SLOTS];
	bool lately = gw_u32_load_relaxed(slot) == frame;

	if (!lately)
		gw_u32_store_relaxed(slot, frame);
	return lately;
}

static void
copy(struct gw_soft *soft, const struct gw_copy *copy)
{
	uint8_t *dst = soft->bytes + ((size_t)copy->dst << GW_PAGE_SHIFT);
	const uint8_t *src = soft->bytes + ((size_t)copy->src << GW_PAGE_SHIFT);
	size_t bytes = (size_t)copy->n << GW_PAGE_SHIFT;
	bool cached = touch(soft, copy->dst);

	(void)touch(soft, copy->src);
	if (cached && copy->n == 1)
		through_caches(dst, src, bytes);
	else
		stream(dst, src, bytes);
}

void
gw_soft_copy_frames(void *ctx, const struct gw_copy *copies, size_t n)
{
	for (size_t i = 0; i < n; i++)
		copy(ctx, &copies[i]);
	streams_end();
}
