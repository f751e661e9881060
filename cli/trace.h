/* SPDX-License-Identifier: MIT */
/*
 * trace.h - how a compaction run of this process ended, from the kernel's tracepoints.
 *
 * Idea. A tracing instance of our own, "godwit", with one event in it, so that nobody
 * else's tracing is touched. Where tracefs is not mounted it is mounted for this process alone.
 *
 * Invariant
 *   E1  after trace_stop() the instance is gone, and nothing else has changed
 */
#ifndef GODWIT_CLI_TRACE_H
#define GODWIT_CLI_TRACE_H

#include "godwit/compact.h"

struct trace;

struct trace_end {
	uint64_t zone_start, zone_end, migrate_pfn, free_pfn;
	enum gw_compact_result result;
};

/* Returns 0, or a negative errno with the reason in `why`: go on without then. */
GW_MUST_CHECK int trace_start(struct trace **out, struct gw_error *why);

/*
 * The runs that ended since the last call, at most `max`; the rest is dropped. `trace` may be NULL.
 * Returns how many, or -EIO.
 */
GW_MUST_CHECK int trace_ends(struct trace *trace, struct trace_end *ends, unsigned max);

void trace_stop(struct trace *trace); /* NULL is fine */

#endif
