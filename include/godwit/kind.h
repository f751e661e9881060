/* SPDX-License-Identifier: MIT */
/*
 * kind.h - what a frame of a real host is, in sixteen bits.
 *
 * Idea. A host tells of each frame 64 bits of flags and a mapping count, most of
 * which say the same thing in several ways. A reader needs: what kind of page this is
 * (that decides whether compaction can move it, FACTS 3.5), how it is bound into a folio,
 * and a few marks that change the cost. A 1 TiB host is 268 million frames: two bytes each.
 *
 * Invariants
 *   K1  the low five bits are an enum gw_kind below GW_KIND_NR
 *   K2  every kind has exactly one row in gw_kind_info(): its verdict, and why
 */
#ifndef GODWIT_KIND_H
#define GODWIT_KIND_H

#include "types.h"

enum gw_kind {
	GW_KIND_HOLE,	/* no memory here */
	GW_KIND_BUDDY,	/* free, in the buddy allocator */
	GW_KIND_PCP,	/* free, on a per-CPU list (inferred: the kernel shows no flag) */
	GW_KIND_NOFLAG, /* no flag at all: PCP, KERNEL or HOLE; never left after inference */
	GW_KIND_ANON,	/* anonymous, on the LRU, mapped */
	GW_KIND_ANON_SWAPCACHE, /* anonymous, in the swap cache */
	GW_KIND_ANON_UNMAPPED,	/* anonymous, neither mapped nor in the swap cache: going away */
	GW_KIND_FILE_CLEAN,
	GW_KIND_FILE_DIRTY,
	GW_KIND_WRITEBACK,
	GW_KIND_SHMEM,
	GW_KIND_UNEVICTABLE, /* mlocked or otherwise kept from reclaim, on the unevictable list */
	GW_KIND_KSM,
	GW_KIND_HUGETLB,
	GW_KIND_SLAB,
	GW_KIND_PGTABLE,
	GW_KIND_KERNEL,	  /* allocated without a type: kernel stacks, vmalloc, drivers, zsmalloc */
	GW_KIND_COMPOUND, /* allocated without a type, as a compound page: drivers, large kmalloc */
	GW_KIND_RESERVED, /* never given to the allocator: vmemmap, firmware, kernel image */
	GW_KIND_OFFLINE,  /* ballooned or logically unplugged */
	GW_KIND_ZERO,	  /* the shared zero page */
	GW_KIND_HWPOISON,
	GW_KIND_NR
};

/*
 * A frame of a host. Bits 0..4 hold the kind; HEAD and TAIL say where in a folio or
 * compound page the frame stands (a folio ends before the next frame without TAIL).
 */
typedef uint16_t gw_frame_t;

#define GW_FRAME_KIND	   0x001f
#define GW_FRAME_HEAD	   0x0020 /* COMPOUND_HEAD */
#define GW_FRAME_TAIL	   0x0040 /* COMPOUND_TAIL */
#define GW_FRAME_LRU	   0x0080 /* on an LRU list */
#define GW_FRAME_ACTIVE	   0x0100
#define GW_FRAME_DIRTY	   0x0200
#define GW_FRAME_WRITEBACK 0x0400
#define GW_FRAME_MAPPED	   0x0800 /* kpagecount is not 0; without that file, MMAP is set */
#define GW_FRAME_SHARED	   0x1000 /* kpagecount is above 1 */
#define GW_FRAME_PRIVATE   0x2000 /* file: private data (buffers) hang on it */
#define GW_FRAME_THP	   0x4000 /* a large folio that reverse mapping knows */

static inline enum gw_kind
gw_frame_kind(gw_frame_t f)
{
	return (enum gw_kind)(f & GW_FRAME_KIND);
}

/* Whether compaction can clear a frame away, or use it (FACTS 3.5). */
enum gw_verdict {
	GW_VERDICT_NONE,	/* no memory */
	GW_VERDICT_FREE,	/* free already */
	GW_VERDICT_MOVABLE,	/* compaction moves it */
	GW_VERDICT_RECLAIMABLE, /* movable only with reclaim, write-back or another path */
	GW_VERDICT_UNMOVABLE	/* stays for good */
};

struct gw_kind_info {
	const char *name;	 /* "anon", "slab", ...: the JSON name of the kind */
	const char *title;	 /* for people: "page tables" */
	enum gw_verdict verdict; /* as compaction sees it on a 6.x kernel, defaults */
	const char *why;	 /* one clause */
	const char *help;	 /* what could clear it, or "nothing" */
};

/* The row of one kind. The pointer and its strings live for ever. Any thread. */
const struct gw_kind_info *gw_kind_info(enum gw_kind kind);

/*
 * What a frame with these /proc/kpageflags bits is (FACTS 3.1), unknown bits ignored.
 * A free per-CPU page, an untyped kernel page and a hole look alike here: NOFLAG.
 * Any thread; pure.
 */
gw_frame_t gw_frame_from_kpageflags(uint64_t flags);

/* `frame` with the marks that its /proc/kpagecount adds. Any thread; pure. */
gw_frame_t gw_frame_with_kpagecount(gw_frame_t frame, uint64_t count);

#endif
