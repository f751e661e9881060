/* SPDX-License-Identifier: MIT */
/*
 * machine.h - a whole memory manager, as an instance, and what it asks of its surroundings.
 *
 * Idea. struct gw_machine owns all state; a process can run many. What differs between
 * machines (memory for the engine itself, the clock, moving bytes, flushing translations)
 * stands in struct gw_machine_ops, in ranges and batches (DESIGN 2.3).
 *
 * Invariants
 *   M1  the engine reaches its surroundings only through gw_machine_ops
 *   M2  gw_machine_check() finds nothing whenever no call is in progress
 */
#ifndef GODWIT_MACHINE_H
#define GODWIT_MACHINE_H

#include "types.h"
#include "events.h"

/* `n` frames from `src` on are copied to `dst` on. */
struct gw_copy {
	gw_pfn_t dst, src, n;
};

struct gw_machine_ops {
	/* Zeroed memory, aligned to 64 bytes (to a page from 64 KiB on); NULL if there is none. */
	void *(*alloc)(void *ctx, size_t bytes);
	/* `bytes` is what was asked of alloc; p is never NULL. */
	void (*release)(void *ctx, void *p, size_t bytes);
	/* Nanoseconds since some fixed start; never goes back. */
	uint64_t (*clock_ns)(void *ctx);
	/* Copy the bytes behind frames; source and destination never overlap. Any task. */
	void (*copy_frames)(void *ctx, const struct gw_copy *copies, size_t n);
	/* No CPU uses a translation to these pages (by first frame) any more when this returns. */
	void (*flush_frames)(void *ctx, const gw_pfn_t *frames, size_t n);
	/* The bytes of a frame, for page tables and for clearing; NULL if frames have none. They
	 * lie behind one another, frame 0's first. Any task. */
	void *(*frame_address)(void *ctx, gw_pfn_t frame);
	/* No CPU uses a translation of [start, end) of address space `mm_id`, nor walks its tables
	 * there on one begun before, when this returns. Any task; never sleeps. */
	void (*flush_range)(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end);
	/* An invariant is broken. Does not return, except in tests of the checks. */
	void (*bug)(void *ctx, const char *message);
};

/* The ops of a machine whose frames have no bytes: calloc, the OS's monotonic clock, abort. */
extern const struct gw_machine_ops gw_bare_ops;

struct gw_zone_config {
	const char *name;    /* copied, at most 15 bytes */
	unsigned node;	     /* below GW_NODES_MAX */
	gw_pfn_t start, end; /* frames [start, end); zones ascend and do not overlap */
	/* Frames; all 0: computed from min_free_kbytes when the zone's memory is known. */
	uint64_t wmark_min, wmark_low, wmark_high;
	uint64_t lowmem_reserve[8];   /* against requests that prefer zone class i; 0: none */
	unsigned pcp_batch, pcp_high; /* frames per CPU; 0: derived from the zone's size */
};

struct gw_machine_config {
	unsigned n_cpus;	  /* 1 .. GW_CPUS_MAX */
	unsigned max_order;	  /* highest buddy order, GW_DEFAULT_MAX_ORDER; < GW_ORDERS_MAX */
	unsigned pageblock_order; /* <= max_order, >= 1 */
	gw_pfn_t n_frames;	  /* the machine's map is frames [0, n_frames) */
	const struct gw_zone_config *zones;
	unsigned n_zones;
	uint64_t min_free_kbytes;	 /* 0: none kept back */
	unsigned watermark_scale_factor; /* of 10,000; 10 on Linux */
	unsigned watermark_boost_factor; /* of 10,000; 15,000 on Linux; 0: no boosting */
	int extfrag_threshold;		 /* 0 .. 1000; 500 on Linux (D18) */
	bool compact_unevictable_allowed;
	unsigned compaction_proactiveness; /* 0 .. 100; 20 on Linux; 0: not proactive */
	unsigned lru_batch; /* pages per CPU before an LRU-add batch drains; 15 on Linux; 0: none */
	/*
	 * Nodes (godwit/numa.h); there are as many as the highest of a zone says. The arrays are
	 * not kept, and may be NULL.
	 */
	const uint8_t *distances;   /* [from * nodes + to], 10 to itself, else more; NULL: 20 */
	const unsigned *adistances; /* abstract distance by node; NULL: GW_ADISTANCE_DRAM all */
	const unsigned *cpu_nodes;  /* node by CPU; NULL: all on node 0 */
};

/* A config with Linux's defaults, one CPU, no zones. */
void gw_machine_config_init(struct gw_machine_config *config);

/*
 * Build a machine. All frames start out reserved: give them a state with seed.h.
 *
 *   ops, ctx  outlive the machine
 *   out       written only on success; owned by the caller, gw_machine_destroy()
 *   err       one line on -EINVAL, may be NULL
 *
 * Returns 0, -EINVAL (the config contradicts itself), -ENOMEM.
 */
GW_MUST_CHECK int gw_machine_create(const struct gw_machine_config *config,
	const struct gw_machine_ops *ops, void *ctx, struct gw_machine **out, struct gw_error *err);

/* Release everything. No task may be inside the machine, none attached. NULL is fine. */
void gw_machine_destroy(struct gw_machine *m);

/* The ctx that the machine was made with: where callbacks find their own state. Any thread. */
void *gw_machine_ctx(const struct gw_machine *m);

/*
 * Walk everything and compare (DESIGN 4): every frame in exactly one place, counts that add up,
 * lists whole. The machine must be idle.
 *
 *   report  called once per finding with one line; may be NULL
 *
 * Returns the number of findings, 0 when all is well.
 */
GW_MUST_CHECK unsigned gw_machine_check(
	struct gw_machine *m, void (*report)(void *ctx, const char *line), void *ctx);

/* A counter, summed over CPUs. Any thread; while others run, a moment's mixture. */
uint64_t gw_machine_count(const struct gw_machine *m, enum gw_vm_event event);

#endif
