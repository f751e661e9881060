/* SPDX-License-Identifier: MIT */
/*
 * percpu.c - counters per CPU. Additions commute and show nothing: they are no scheduling points.
 */
#include <errno.h>

#include "engine/sync/sync.h"

int
gw_percpu_init(gw_percpu_u64 *c, unsigned n_counters, unsigned n_cpus,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx)
{
	c->rows = alloc(ctx, n_counters * n_cpus * sizeof(*c->rows));
	if (!c->rows)
		return -ENOMEM;
	c->n_counters = n_counters;
	c->n_cpus = n_cpus;
	return 0;
}

void
gw_percpu_destroy(gw_percpu_u64 *c, void (*release)(void *ctx, void *p, size_t bytes), void *ctx)
{
	if (c->rows)
		release(ctx, c->rows, c->n_counters * c->n_cpus * sizeof(*c->rows));
	c->rows = NULL;
}

gw_atomic_u64 *
gw_percpu_word(gw_percpu_u64 *c, unsigned counter)
{
	unsigned cpu = gw_current_cpu();

	if (cpu >= c->n_cpus || counter >= c->n_counters)
		gw_sync_bug("a counter or CPU that a per-CPU counter does not have");
	return &c->rows[cpu * c->n_counters + counter];
}

void
gw_percpu_add(gw_percpu_u64 *c, unsigned counter, int64_t n)
{
	gw_atomic_u64 *word = gw_percpu_word(c, counter);

	gw_sched_access(&word->v, sizeof(word->v), GW_ADDS);
	word->v += (uint64_t)n;
}

int64_t
gw_percpu_sum(const gw_percpu_u64 *c, unsigned counter)
{
	uint64_t sum = 0;

	for (unsigned cpu = 0; cpu < c->n_cpus; cpu++)
		sum += gw_u64_load_relaxed(&c->rows[cpu * c->n_counters + counter]);
	return (int64_t)sum;
}
