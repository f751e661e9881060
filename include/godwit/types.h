/* SPDX-License-Identifier: MIT */
/*
 * types.h - the numbers and words that every other header uses.
 *
 * Idea. Frames are named by number, never by pointer, so that a list link is
 * four bytes and a machine's memory map can be recorded and compared. Errors are
 * negative errno values; 0 is success.
 */
#ifndef GODWIT_TYPES_H
#define GODWIT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define GW_MUST_CHECK	__attribute__((warn_unused_result))
#define GW_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define GW_NORETURN	__attribute__((noreturn))
#else
#define GW_MUST_CHECK
#define GW_PRINTF(f, a)
#define GW_NORETURN
#endif

/* A frame number: physical address / GW_PAGE_SIZE. 32 bits reach 16 TiB of 4 KiB frames. */
typedef uint32_t gw_pfn_t;

#define GW_PFN_NONE ((gw_pfn_t)UINT32_MAX) /* no frame: ends a list, marks "not found" */
#define GW_PFN_MAX  (UINT32_MAX - 1)	   /* most frames one machine may span */

#define GW_PAGE_SHIFT 12
#define GW_PAGE_SIZE  ((size_t)1 << GW_PAGE_SHIFT)

/* Compile-time ceilings; a machine is configured at or below them. */
#define GW_ORDERS_MAX 16 /* orders 0 .. 15: covers 64 KiB-page kernels' larger buddies */
#define GW_CPUS_MAX   1024
#define GW_ZONES_MAX  64
#define GW_NODES_MAX  64

/* Defaults of x86-64 Linux (FACTS 2.2). */
#define GW_DEFAULT_MAX_ORDER	   10
#define GW_DEFAULT_PAGEBLOCK_ORDER 9

/*
 * What the pages of a pageblock are grouped by (FACTS 2.2). The first three have
 * per-CPU lists; ISOLATE is also the state of a block that may not be allocated from.
 */
enum gw_migratetype {
	GW_MT_UNMOVABLE,
	GW_MT_MOVABLE,
	GW_MT_RECLAIMABLE,
	GW_MT_HIGHATOMIC,
	GW_MT_CMA,
	GW_MT_ISOLATE,
	GW_MT_NR
};
#define GW_MT_PCPTYPES 3 /* UNMOVABLE, MOVABLE, RECLAIMABLE */

/* The longest one-line message that the library writes, with its final NUL. */
#define GW_MESSAGE_MAX 256

/* One line that says what is wrong with outside data, and where. Empty: nothing is. */
struct gw_error {
	char text[GW_MESSAGE_MAX];
};

struct gw_machine;
struct gw_zone;
struct gw_task;

#endif
