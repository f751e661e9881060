/* SPDX-License-Identifier: MIT */
/*
 * page.h - struct gw_page: one per frame, 32 bytes.
 *
 * Idea. All that a scanner must know of a frame stands in one word, `flags`: what state it is
 * in (type), how large the block or compound page is that it heads (order), and its flag
 * bits. So a scan without locks reads one word per frame, and type and order belong together
 * (they may be out of date a moment later: R11).
 *
 *   flags     31..29  28..24  23..0
 *             type    order   GW_PG_* bits
 *
 * By type, the other fields mean (types above TAIL do not exist):
 *
 *   type      refcount  next, prev       index             owner   a frame
 *   RESERVED  0         -                -                 0       never given to the allocator
 *   BUDDY     0         free list        migratetype list  0       that heads a free block
 *   FREE      0         -                -                 0       inside a free block
 *   PCP       0         per-CPU list     migratetype list  0       that heads a per-CPU free block
 *   USED      >= 1      owner's, LRU or  owner's word      tagged  that heads a page in use
 *                       isolated list
 *   TAIL      0         -                frames to head    0       inside a page in use (I7)
 *
 * owner's low two bits say what it points to (GW_OWNER_*).
 *
 * Map counts. A head's mapcount counts all page-table entries that map the page or a piece of it;
 * 0: mapped nowhere. Of a page of order > 0 it is the sum of two kinds, told apart in the frames
 * behind the head, whose fields are free:
 *
 *   entries of the lowest tables, by frame    a tail's mapcount; of the first frame, tail 1's
 *                                             map_counts[GW_MAPS_FIRST]
 *   huge entries, that map all of the page    tail 1's map_counts[GW_MAPS_ENTIRE]
 *
 * The document counts a huge entry once more in each frame's count, and takes that off again (B9);
 * gw_frame_mapcount() is its view. Tail 2 of a page of order > 1 links it on its node's queue of
 * pages to split (deferred.c).
 *
 * Invariants (gw_machine_check())
 *   F1  a frame is in exactly one of: buddy list, per-CPU list, LRU batch, LRU list, isolated list,
 *       off-list
 *   F2  refcount is 0 exactly for free, reserved and tail frames, and briefly for frozen ones
 *   F3  order is that of the block a BUDDY, PCP or USED frame heads, 0 otherwise; COMPOUND is set
 *       exactly on heads of pages of order > 0
 *   F4  only heads of pages in use have an owner
 *   F5  the map count of a head of order > 0 is the sum of its huge entries and its frames' counts
 *
 * Who may write: a free frame's fields, whoever holds its list's lock (zone or per-CPU); a
 * page in use: GW_PG_LOCKED and GW_PG_WAITERS anybody with a reference (and a DROP waiter
 * sets WAITERS before it drops its own); links, the lock of the list; owner and index,
 * the holder of the page lock.
 */
#ifndef GW_ENGINE_PHYS_PAGE_H
#define GW_ENGINE_PHYS_PAGE_H

#include "engine/sync/sync.h"
#include "godwit/types.h"

#define GW_PG_LOCKED	  0x000001u /* page lock */
#define GW_PG_WAITERS	  0x000002u /* somebody waits for it */
#define GW_PG_LRU	  0x000004u /* on an LRU list of its node */
#define GW_PG_ACTIVE	  0x000008u /* the active one */
#define GW_PG_FILE	  0x000010u /* a file list, not an anonymous one */
#define GW_PG_UNEVICTABLE 0x000020u /* the unevictable one */
#define GW_PG_ISOLATED	  0x000040u /* taken for migration, on its list */
#define GW_PG_DIRTY	  0x000080u
#define GW_PG_WRITEBACK	  0x000100u
#define GW_PG_COMPOUND	  0x000200u /* head of a page of order > 0 */
#define GW_PG_LRU_HELD	  0x000400u /* isolated from the LRU list that the bits above name */
#define GW_PG_LRU_BATCHED 0x000800u /* in a CPU's LRU-add batch */
#define GW_PG_UPTODATE	  0x001000u /* its bytes are its store's, or newer */
#define GW_PG_SWAPCACHE	  0x002000u /* anonymous, in the swap cache under its slot */
#define GW_PG_PRIVATE	  0x004000u /* has private data, which holds a reference */
#define GW_PG_MLOCKED	  0x008000u /* belongs on the unevictable list */
#define GW_PG_REFERENCED  0x010000u /* used since reclaim last looked */
#define GW_PG_CHARGED	  0x020000u /* a memory control group pays for it (charge.h) */
#define GW_PG_DEFERRED	  0x040000u /* on its node's queue of pages to split (deferred.c) */
#define GW_PG_HUGETLB	  0x200000u /* of a pool of huge pages (hugetlb.c) */
#define GW_PG_FREED	  0x400000u /* HUGETLB, and in nobody's use */
#define GW_PG_HINTED	  0x800000u /* its row of the side table says who used it last (hinting.c) */
#define GW_PG_FLAGS_MASK  0xffffffu

#define GW_PG_ORDER_SHIFT 24
#define GW_PG_ORDER_MASK  0x1f000000u
#define GW_PG_TYPE_SHIFT  29

enum gw_page_type {
	GW_PAGE_RESERVED, /* zero: fresh memory is all reserved */
	GW_PAGE_BUDDY,
	GW_PAGE_FREE,
	GW_PAGE_PCP,
	GW_PAGE_USED,
	GW_PAGE_TAIL
};

#define GW_OWNER_TAG	 ((uintptr_t)3)
#define GW_OWNER_MAPPING ((uintptr_t)0) /* struct gw_mapping; NULL: nobody's */
/* struct gw_anon_vma: anonymous until freed (A7); without a pointer: read in from swap, and mapped
 * nowhere yet */
#define GW_OWNER_ANON	 ((uintptr_t)1)
#define GW_OWNER_MOVABLE ((uintptr_t)2) /* const struct gw_movable_ops */
#define GW_OWNER_KSM	 ((uintptr_t)3) /* struct gw_ksm_node: anonymous, merged */

struct gw_page {
	gw_atomic_u32 flags;
	gw_refcount refcount;
	gw_atomic_u32 mapcount;
	gw_atomic_u32 index; /* atomic: gw_frame_info() looks at any frame's */
	union {
		struct {
			gw_pfn_t next, prev;
		};
		gw_atomic_u32 map_counts[2]; /* of tail 1, by GW_MAPS_* */
	};
	gw_atomic_ptr owner;
};

#define GW_MAPS_ENTIRE 0
#define GW_MAPS_FIRST  1

/* What few pages have; a side table of one for each frame, made when the first page needs it. */
struct gw_page_extra {
	gw_atomic_ptr private; /* struct gw_private; page lock */
	gw_atomic_ptr memcg;   /* struct gw_memcg that the page is charged to; NULL: none */
	gw_atomic_u32 slot;    /* of a page with SWAPCACHE; page lock */
	gw_atomic_u32 hint;    /* of a page with HINTED: engine/virt/hinting.c; any time, a hint */
};

_Static_assert(sizeof(struct gw_page) == 32, "a frame costs 32 bytes");

static inline enum gw_page_type
gw_flags_type(uint32_t flags)
{
	return (enum gw_page_type)(flags >> GW_PG_TYPE_SHIFT);
}

static inline unsigned
gw_flags_order(uint32_t flags)
{
	return (flags & GW_PG_ORDER_MASK) >> GW_PG_ORDER_SHIFT;
}

/* The word of a frame without flag bits. */
static inline uint32_t
gw_flags_make(enum gw_page_type type, unsigned order)
{
	return (uint32_t)type << GW_PG_TYPE_SHIFT | (uint32_t)order << GW_PG_ORDER_SHIFT;
}

static inline uint32_t
gw_page_flags(const struct gw_page *page)
{
	return gw_u32_load_relaxed(&page->flags);
}

/* A page in use of order 0: what follows from its own word, without a look at its neighbours. */
static inline bool
gw_flags_is_small(uint32_t flags)
{
	return (flags & ((uint32_t)7 << GW_PG_TYPE_SHIFT | GW_PG_COMPOUND)) ==
	       (uint32_t)GW_PAGE_USED << GW_PG_TYPE_SHIFT;
}

/* Of a head of order > 0: its huge entries; and the entries of the lowest tables that name its i-th
 * frame. */
static inline gw_atomic_u32 *
gw_page_entire_maps(struct gw_page *head)
{
	return &head[1].map_counts[GW_MAPS_ENTIRE];
}

static inline gw_atomic_u32 *
gw_page_frame_maps(struct gw_page *head, gw_pfn_t i)
{
	return i ? &head[i].mapcount : &head[1].map_counts[GW_MAPS_FIRST];
}

static inline uint32_t
gw_frame_index(const struct gw_page *page)
{
	return gw_u32_load_relaxed(&page->index);
}

static inline void
gw_frame_set_index(struct gw_page *page, uint32_t index)
{
	gw_u32_store_relaxed(&page->index, index);
}

static inline void *
gw_movable_owner(const void *ops)
{
	return (void *)((uintptr_t)ops | GW_OWNER_MOVABLE);
}

/* Merged pages are anonymous, too. */
static inline bool
gw_owner_is_anon(const void *owner)
{
	return (uintptr_t)owner & GW_OWNER_ANON;
}

static inline bool
gw_owner_is_ksm(const void *owner)
{
	return ((uintptr_t)owner & GW_OWNER_TAG) == GW_OWNER_KSM;
}

/*
 * Does page migration know how to move the page in use: it has an owner (read in from swap and not
 * mapped yet, the tag alone), or is an orphan with private data (A11). Unlocked a hint.
 */
static inline bool
gw_page_is_movable(const struct gw_page *page)
{
	return gw_ptr_load_relaxed(&page->owner) || gw_page_flags(page) & GW_PG_PRIVATE;
}

#endif
