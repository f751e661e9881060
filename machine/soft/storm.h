/* SPDX-License-Identifier: MIT */
/*
 * storm.h - programs that check every byte they read, while everything happens to their memory.
 *
 * Idea. Threads write and verify self-checking words in address spaces of a soft machine; the same
 * threads fork them, exec, exit, map, unmap, protect, move and resize their mappings, give
 * memory back, map files shared and private, truncate them and write them back, reclaim, compact
 * zones, migrate pages picked at random, move pages between three nodes, bind memory to some of
 * them, make entries hinting, take given frames and whole pageblocks out of use, with swap and in
 * memory control groups. What must hold:
 *   - a word read is the word last written there (after fork: by the parent, before or while it
 * forked)
 *   - what was never written, or given back, reads as zero
 *   - what may not be accessed faults, and what may be does not
 *   - a file says the same through every mapping and read directly; beyond its end accesses fault
 *   - additions by several CPUs are never lost
 *   - in the end TLBs agree with page tables, gw_machine_check() finds nothing, all frames and swap
 * slots are free, nobody is charged
 */
#ifndef GW_MACHINE_SOFT_STORM_H
#define GW_MACHINE_SOFT_STORM_H

#include "godwit/events.h"
#include "machine/soft/soft.h"

enum gw_storm_op {
	GW_STORM_WRITE,
	GW_STORM_VERIFY,
	GW_STORM_ADD,
	GW_STORM_FORK,
	GW_STORM_EXEC,
	GW_STORM_EXIT,
	GW_STORM_STACK,
	GW_STORM_DONTNEED,
	GW_STORM_MPROTECT,
	GW_STORM_MUNMAP,
	GW_STORM_MREMAP,
	GW_STORM_ADVISE,
	GW_STORM_COMPACT,
	GW_STORM_MIGRATE,
	GW_STORM_ALLOC,
	GW_STORM_FILE,
	GW_STORM_FILE_IO,
	GW_STORM_TRUNCATE,
	GW_STORM_RECLAIM,
	GW_STORM_MOVE_PAGES,
	GW_STORM_MBIND,
	GW_STORM_POLICY,
	GW_STORM_HINT,
	GW_STORM_KCOMPACTD,
	GW_STORM_CONTIG,
	GW_STORM_OFFLINE,
	GW_STORM_ONLINE,
	GW_STORM_HUGE,
	GW_STORM_SPLIT,
	GW_STORM_COLLAPSE,
	GW_STORM_BALLOON,
	GW_STORM_KSM,
	GW_STORM_HUGETLB,
	GW_STORM_OPS
};

const char *gw_storm_op_name(enum gw_storm_op op);

struct gw_storm_report {
	uint64_t ns;				     /* that it has run */
	uint64_t ops[GW_STORM_OPS];		     /* done */
	uint64_t words;				     /* verified */
	uint64_t faults_expected;		     /* accesses that had to be refused, and were */
	uint64_t moved, not_moved;		     /* pages, by gw_migrate_pages() */
	uint64_t programs;			     /* begun, by fork or exec */
	uint64_t no_memory;			     /* operations given up for want of it */
	uint64_t swapped_out, swapped_in, reclaimed; /* pages */
	uint64_t contig_frames, blocks_offline;	     /* taken: given ranges, whole pageblocks */
	uint64_t most_sharing;			     /* pages that merging saved at a time */
	uint64_t events[GW_VM_NR];		     /* the machine's counters (events.h) */
	uint64_t hits, misses, faults, shootdowns;
	/* Once it is over: */
	unsigned tlb_findings, machine_findings;
	uint64_t frames, frames_free;
	struct gw_error lost; /* the first thing that was wrong, and where; empty: nothing was */
};

struct gw_storm_config {
	unsigned threads; /* each a CPU of its own, 1 .. GW_CPUS_MAX - 1 */
	uint64_t ns;	  /* how long */
	uint64_t seed;
	gw_pfn_t n_frames; /* 0: a machine of 64 MiB */
	/* Called some times a second on the caller's thread; false: end now. May be NULL. */
	bool (*progress)(void *ctx, const struct gw_storm_report *so_far);
	void *ctx;
};

/*
 * Run. *out is filled whenever 0 is returned: nothing was lost if out->lost is empty.
 * Returns 0, -EINVAL (err), -ENOMEM. The caller is not an attached task.
 */
GW_MUST_CHECK int gw_storm_run(
	const struct gw_storm_config *config, struct gw_storm_report *out, struct gw_error *err);

#endif
