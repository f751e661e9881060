/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h - a real host's memory map, as the kernel told it.
 *
 * Idea. A snapshot is the host's own files, unchanged, in one tar.zst archive; reading it
 * keeps two bytes a frame (kind.h) and the zone tables. The live host is read through
 * the same parsers. Nothing is guessed here: frames that the kernel does not describe stay
 * GW_KIND_NOFLAG until the twin infers what they are.
 *
 * Invariants
 *   N1  frames[0 .. n_frames) is all the memory kpageflags covered
 *   N2  a zone lies inside the map: start_pfn + spanned <= n_frames, zones do not overlap
 *   N3  a failed read leaves nothing allocated and a one-line error naming file and member
 */
#ifndef GODWIT_SNAPSHOT_H
#define GODWIT_SNAPSHOT_H

#include "types.h"
#include "kind.h"

#define GW_ZONE_NAME_MAX 16

/* One populated zone: zoneinfo, buddyinfo and pagetypeinfo side by side. Counts in frames. */
struct gw_zone_snapshot {
	int node;
	char name[GW_ZONE_NAME_MAX];
	gw_pfn_t start_pfn;
	uint64_t spanned, present, managed, cma;
	uint64_t free; /* "pages free" */
	uint64_t boost, wmark_min, wmark_low, wmark_high;
	uint64_t protection[8]; /* lowmem reserve against each class, ended by n_protection */
	unsigned n_protection;
	unsigned n_cpus;	      /* "pagesets" entries */
	uint64_t pcp_count;	      /* sum of count: over CPUs */
	uint64_t pcp_high, pcp_batch; /* of the CPU with the largest high */
	uint64_t pcp_high_min;	      /* sum over CPUs: what the lists keep when drained by time */
	uint64_t free_blocks[GW_ORDERS_MAX]; /* buddyinfo: free blocks by order */
	bool has_free_blocks;
	/* pagetypeinfo; types absent from the host stay 0. */
	uint64_t free_by_type[GW_MT_NR][GW_ORDERS_MAX];
	bool free_by_type_capped[GW_MT_NR][GW_ORDERS_MAX]; /* ">100000": at least that many */
	uint64_t pageblocks[GW_MT_NR];
	bool has_pagetypes;
	uint64_t nr_lru; /* inactive + active + unevictable, of the zone */
};

/* System RAM by /proc/iomem, in frames [start, end): partial frames are not counted. */
struct gw_ram_range {
	gw_pfn_t start, end;
};

struct gw_vm_counter {
	char name[48];
	uint64_t value;
};

struct gw_snapshot {
	char source[GW_MESSAGE_MAX]; /* the file's path, or "live host" */
	char kernel[128];	     /* uname, "" if absent */
	gw_frame_t *frames;
	gw_pfn_t n_frames;
	unsigned n_orders;	  /* columns of buddyinfo, 11 by default */
	unsigned pageblock_order; /* pagetypeinfo, 9 if absent */
	struct gw_zone_snapshot *zones;
	unsigned n_zones;	  /* populated ones only, ascending start_pfn */
	struct gw_ram_range *ram; /* NULL without iomem */
	unsigned n_ram;
	struct gw_vm_counter *counters; /* /proc/vmstat, in its order */
	unsigned n_counters;
	int extfrag_threshold;		 /* 500 if absent */
	int compact_unevictable_allowed; /* 1 if absent */
	uint64_t nr_hugepages;
	uint64_t nr_unknown_flags;    /* frames with bits that kind.h does not know */
	char missing[GW_MESSAGE_MAX]; /* optional members that were absent, comma separated; "" */
};

/*
 * Called now and then while a snapshot is written; `done` of `total` bytes (0: unknown). Returns
 * false to stop: nothing is left behind then.
 */
typedef bool (*gw_progress_fn)(void *ctx, uint64_t done, uint64_t total);

/*
 * Read an archive made by gw_snapshot_record() or by the same tools (tar, optionally zstd).
 *
 *   path  the file; "-" is standard input
 *   out   filled on success, owned by the caller: gw_snapshot_free()
 *   err   one line on failure: file, member, what is wrong
 *
 * Needs kpageflags, zoneinfo and buddyinfo; every other member may be missing.
 * Returns 0, -ENOENT (no such file), -EINVAL (not a snapshot, truncated, inconsistent),
 * -ENOMEM or another negative errno of the read. Any thread.
 */
GW_MUST_CHECK int gw_snapshot_load(const char *path, struct gw_snapshot *out, struct gw_error *err);

/*
 * Read this host's /proc. Takes about a second; not atomic.
 * Returns 0, -EACCES (needs root, or the kernel hides its memory map), or as above.
 */
GW_MUST_CHECK int gw_snapshot_live(struct gw_snapshot *out, struct gw_error *err);

/*
 * Write this host's memory map to `path` (tar + zstd, raw kernel files; appears under its
 * name only when complete, synced). progress may be NULL.
 * Returns 0, -EACCES, -ECANCELED (progress said so), or another negative errno; err is filled.
 */
GW_MUST_CHECK int gw_snapshot_record(
	const char *path, gw_progress_fn progress, void *ctx, struct gw_error *err);

/* Free what a load filled; a zeroed snapshot is fine. */
void gw_snapshot_free(struct gw_snapshot *snap);

/* The value of a /proc/vmstat counter, or `absent` if the host has none of that name. */
uint64_t gw_snapshot_counter(const struct gw_snapshot *snap, const char *name, uint64_t absent);

#endif
