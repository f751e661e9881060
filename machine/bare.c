/* SPDX-License-Identifier: MIT */
/*
 * bare.c - the surroundings of a machine whose frames have no bytes: memory of this process, the
 * monotonic clock, abort() when an invariant breaks.
 *
 * Idea. A machine's frame table may be gigabytes of which little is touched (holes), so large
 * blocks come from mmap: zeroed lazily, given back at once, in huge pages where the host has them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "godwit/machine.h"

#define MMAP_FROM ((size_t)1 << 20)

static void *
bare_alloc(void *ctx, size_t bytes)
{
	void *p;

	(void)ctx;
	if (bytes < MMAP_FROM) {
		size_t rounded = (bytes + 63) & ~(size_t)63;

		p = aligned_alloc(64, rounded ? rounded : 64);
		return p ? __builtin_memset(p, 0, rounded) : NULL;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE); /* fewer faults and TLB misses; no matter if refused */
	return p;
}

static void
bare_release(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	if (bytes < MMAP_FROM)
		free(p);
	else
		munmap(p, bytes);
}

static uint64_t
bare_clock(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
bare_copy(void *ctx, const struct gw_copy *copies, size_t n)
{
	(void)ctx;
	(void)copies;
	(void)n;
}

static void
bare_flush(void *ctx, const gw_pfn_t *frames, size_t n)
{
	(void)ctx;
	(void)frames;
	(void)n;
}

static void *
bare_frame_address(void *ctx, gw_pfn_t frame)
{
	(void)ctx;
	(void)frame;
	return NULL;
}

static void
bare_flush_range(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	(void)ctx;
	(void)mm_id;
	(void)start;
	(void)end;
}

static void
bare_bug(void *ctx, const char *message)
{
	(void)ctx;
	fprintf(stderr, "godwit: BUG: %s\n", message);
	abort();
}

const struct gw_machine_ops gw_bare_ops = {
	.alloc = bare_alloc,
	.release = bare_release,
	.clock_ns = bare_clock,
	.copy_frames = bare_copy,
	.flush_frames = bare_flush,
	.frame_address = bare_frame_address,
	.flush_range = bare_flush_range,
	.bug = bare_bug,
};
