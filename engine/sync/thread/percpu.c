/* SPDX-License-Identifier: MIT */
/*
 * percpu.c - counters with a row of cache lines per CPU.
 *
 * Idea. Threads may share a CPU number, and a thread may be preempted anywhere, so each
 * addition is atomic (R14); the row keeps CPUs from writing each other's lines.
 */
#include <errno.h>

#include "engine/sync/sync.h"

int
gw_percpu_init(gw_percpu_u64 *c, unsigned n_counters, unsigned n_cpus,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx)
{
	size_t row = (n_counters * sizeof(gw_atomic_u64) + GW_CACHE_LINE - 1) / GW_CACHE_LINE *
		     GW_CACHE_LINE;
	size_t bytes = row * n_cpus + GW_CACHE_LINE; /* room to begin at a cache line */
	void *memory = alloc(ctx, bytes);
	uintptr_t start = ((uintptr_t)memory + GW_CACHE_LINE - 1) & ~(uintptr_t)(GW_CACHE_LINE - 1);

	if (!memory)
		return -ENOMEM;
	c->rows = (gw_atomic_u64 *)start;
	c->n_counters = n_counters;
	c->n_cpus = n_cpus;
	c->row = row / sizeof(gw_atomic_u64);
	c->memory = memory;
	c->bytes = bytes;
	return 0;
}

void
gw_percpu_destroy(gw_percpu_u64 *c, void (*release)(void *ctx, void *p, size_t bytes), void *ctx)
{
	if (c->memory)
		release(ctx, c->memory, c->bytes);
	c->memory = NULL;
	c->rows = NULL;
}

int64_t
gw_percpu_sum(const gw_percpu_u64 *c, unsigned counter)
{
	uint64_t sum = 0;

	for (unsigned cpu = 0; cpu < c->n_cpus; cpu++)
		sum += gw_u64_load_relaxed(&c->rows[cpu * c->row + counter]);
	return (int64_t)sum;
}
