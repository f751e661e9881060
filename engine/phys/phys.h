/* SPDX-License-Identifier: MIT */
/*
 * phys.h - physical memory: the machine's frames, zones, pageblocks and their locks; what the
 * other rooms of the engine may use of them.
 *
 * Idea. Frames are an array indexed by number; zones are ranges of it with buddy free areas,
 * per-CPU lists in front and LRU lists beside; pageblocks carry the migratetype and the
 * compaction hints of 2^pageblock_order frames.
 *
 * Invariants (gw_machine_check())
 *   Z1  a block on free list (order o, type t) starts at a multiple of 2^o, its head says BUDDY and
 *       o, its other frames FREE
 *   Z2  per zone, the free counts by order add up to nr_free and what stands in ISOLATE lists (I10)
 *   Z3  two free buddies of equal order below max_order do not coexist, except as seeded
 *   Z4  no free block or page in use crosses a zone's edge
 *   Z5  a free block stands on the list of its pageblock's type; bit o of free_orders[t] is set
 *       exactly if the list of order o and type t is not empty
 */
#ifndef GW_ENGINE_PHYS_PHYS_H
#define GW_ENGINE_PHYS_PHYS_H

#include <errno.h>

#include "engine/phys/page.h"
#include "engine/sync/bug.h"
#include "godwit/alloc.h"
#include "godwit/fix.h"
#include "godwit/huge.h"
#include "godwit/hugetlb.h"
#include "godwit/machine.h"
#include "godwit/migrate.h"
#include "godwit/mm.h"
#include "godwit/numa.h"
#include "godwit/task.h"
#include "godwit/zone.h"

/* Pageblock byte. All but the hint are written under the zone lock; read anywhere. */
#define GW_PB_TYPE    0x07u
#define GW_PB_SKIP    0x08u /* compaction found nothing here (FACTS 2.1); a hint, racy by design */
#define GW_PB_ISOLATE 0x10u /* its type is ISOLATE, and afterwards what it was (FACTS 2.2) */
#define GW_PB_OFFLINE 0x20u /* its frames were taken away from the allocator (P2) */

/* Per-CPU lists hold orders 0..3 and the pageblock order, each for the first three migratetypes. */
#define GW_PCP_SMALL_ORDERS 4
#define GW_PCP_LISTS	    ((GW_PCP_SMALL_ORDERS + 1) * GW_MT_PCPTYPES)

enum gw_wmark {
	GW_WMARK_MIN,
	GW_WMARK_LOW,
	GW_WMARK_HIGH,
	GW_WMARK_NR,		     /* of those that a zone keeps */
	GW_WMARK_PROMO = GW_WMARK_NR /* as far above high as that is above low */
};

struct gw_pcp {
	gw_spinlock lock; /* rank PCP, over the zone lock */
	/* Guarded by lock. */
	uint32_t n_frames;			 /* held in all lists */
	uint32_t batch, high;			 /* frames moved per refill; drained above high */
	struct gw_page_list lists[GW_PCP_LISTS]; /* freed first, drained from the last */
	uint64_t allocs, frees;			 /* pages, for pgalloc and pgfree */
} __attribute__((aligned(64)));

struct gw_free_area {
	struct gw_page_list lists[GW_MT_NR];
	uint64_t nr_free; /* blocks in all lists */
};

/* Compaction's memory of a zone (D19, FACTS 2.1). Hints: guarded by the zone lock. */
struct gw_compact_state {
	unsigned considered, defer_shift;
	int order_failed;	 /* only orders >= it are deferred */
	gw_pfn_t migrate_pfn[2]; /* cached: async, sync */
	gw_pfn_t free_pfn;
	gw_pfn_t init_migrate_pfn,
		init_free_pfn; /* first usable positions found by the last reset */
	gw_pfn_t evacuate_pfn; /* where evacuate looks next for a region for an allocation */
	bool flush_skip;       /* a full cycle ended: skip bits are to be cleared before the next */
};

struct gw_zone {
	/* Set by gw_machine_create(), then read-only. */
	struct gw_machine *machine;
	char name[16];
	unsigned id, node;
	unsigned class; /* rank among its node's zones, lowest 0: index into lowmem_reserve */
	gw_pfn_t start, end;
	uint64_t lowmem_reserve[8];
	struct gw_pcp *pcp; /* per CPU */

	gw_spinlock lock __attribute__((aligned(64))); /* rank ZONE */
	/* Guarded by lock; the atomic ones also read anywhere, relaxed: they only steer
	 * (watermarks). */
	struct gw_free_area free_area[GW_ORDERS_MAX];
	gw_atomic_u32 free_orders[GW_MT_NR]; /* one bit per order (Z5) */
	gw_atomic_u64 nr_free;		     /* frames in free_area, but those of ISOLATE lists */
	gw_atomic_u64 nr_free_highatomic;    /* of these, in HIGHATOMIC lists */
	gw_atomic_u64 nr_free_cma;
	gw_atomic_u64 wmark_boost;
	gw_atomic_u64 managed;
	uint64_t pageblocks[GW_MT_NR]; /* pageblocks by type (P1) */
	struct gw_compact_state compact;
	/* Written by gw_set_watermarks(), read anywhere, relaxed. */
	gw_atomic_u64 wmark[GW_WMARK_NR];
	bool wmarks_given; /* by the config: they stay; read-only after create */
};

struct gw_lru_batch {
	gw_spinlock lock; /* rank LRU_BATCH, over the LRU lock */
	unsigned n;	  /* guarded by lock */
	gw_pfn_t pages[32];
} __attribute__((aligned(64)));

/* What wakes a background task, and what it is to do (daemon.c). */
struct gw_daemon {
	gw_atomic_u32 state;
	gw_atomic_u32 wish; /* the largest order wished for since, plus 1; 0: none */
};

/* Huge pages of one order that are set aside (hugetlb.c). Guarded by hugetlb_lock. */
struct gw_hugetlb_pool {
	struct gw_page_list free;
	uint64_t total, surplus; /* pages; the free ones, too */
};

struct gw_node {
	gw_spinlock lru_lock; /* rank LRU */
	/* Guarded by lru_lock; counts also read anywhere, relaxed. */
	struct gw_page_list lru[GW_LRU_NR];
	gw_atomic_u64 lru_frames[GW_LRU_NR];
	gw_atomic_u64
		isolated_frames[2];   /* off the anon and file lists (D12); added and subtracted */
	gw_spinlock deferred_lock;    /* rank LEAF */
	struct gw_page_list deferred; /* second tails of pages to split; deferred_lock */
	struct gw_daemon kswapd, kcompactd;
	gw_atomic_u64 proactive_ns; /* of the machine's clock: engine/compact/kcompactd.c */
	gw_atomic_u32 weight;	    /* for weighted interleaving */
	/* Promotions to the node in the second that promote_second numbers: frames. */
	gw_atomic_u64 promote_second, promoted;
	gw_atomic_u32 next_demotion; /* counts, so that equal targets take turns */
	struct gw_hugetlb_pool hugetlb[GW_HUGETLB_ORDERS];
	/* Read-only after create: zones to try, in order; the node's own come first. */
	unsigned zonelist[GW_ZONES_MAX];
	unsigned n_zonelist;
	uint8_t distance[GW_NODES_MAX];
	unsigned tier;
	bool top_tier;
	uint64_t lower;		   /* nodes with memory of all lower tiers */
	uint64_t demotion_targets; /* the nearest ones of the next lower tier */
};

struct gw_swap;
struct gw_memcg;
struct gw_numa_ops;

struct gw_machine {
	/* Read-only after create. */
	const struct gw_machine_ops *ops;
	void *ctx;
	struct gw_machine_config config; /* its zones pointer is not kept */
	enum gw_wait_era wait_era;	 /* of faults on migration entries */
	struct gw_page *pages;		 /* n_frames */
	gw_atomic_u8 *pageblocks;	 /* n_pageblocks words */
	gw_pfn_t n_frames, n_pageblocks;
	unsigned n_zones, n_nodes;
	struct gw_zone *zones;
	struct gw_node *nodes;
	uint8_t *cpu_nodes;		  /* by CPU */
	uint64_t memory_nodes;		  /* nodes that have a zone */
	struct gw_lru_batch *lru_batches; /* per CPU */
	gw_waitq_table page_waits;
	gw_percpu_u64 events;
	gw_atomic_ptr extra;	  /* struct gw_page_extra, n_frames; NULL: nobody has needed it */
	struct gw_swap *swap;	  /* NULL: no swap area; changes while the machine is idle */
	gw_spinlock memcg_lock;	  /* rank LEAF */
	struct gw_memcg *memcgs;  /* all of them; guarded by memcg_lock */
	gw_spinlock hugetlb_lock; /* rank LEAF */
	uint64_t hugetlb_reserved[GW_HUGETLB_ORDERS]; /* pages; guarded by hugetlb_lock */
	gw_atomic_u32 mm_ids;			      /* address spaces made so far */
	struct gw_thp_tunables thp;		      /* read-only while tasks run */
	gw_atomic_u32 zero_page; /* set once, by the first address space; before, GW_PFN_NONE */
	/* Change while the machine is idle. */
	struct gw_numa_tunables numa;
	const struct gw_numa_ops *numa_ops; /* engine/virt/policy.h; NULL: all of numa is off */
	gw_atomic_u32 proactiveness;	    /* of compaction, 0 .. 100 */
	gw_atomic_u32 direct_compaction;    /* enum gw_direct_compaction */
#ifdef GW_FIXES_REMOVABLE
	uint64_t without; /* GW_WITHOUT() of the fixes that it does not have */
#endif
};

/* Does the machine have this fix (godwit/fix.h)? It is true, not asked, unless the explorer's
 * engine is built. */
static inline bool
gw_fix(const struct gw_machine *m, enum gw_fix fix)
{
#ifdef GW_FIXES_REMOVABLE
	return !(m->without & GW_WITHOUT(fix));
#else
	(void)m;
	(void)fix;
	return true;
#endif
}

/* ---- frames ---- */

static inline struct gw_page *
gw_page(const struct gw_machine *m, gw_pfn_t pfn)
{
	return &m->pages[pfn];
}

/* The frame's row of the side table, NULL as long as there is none. */
static inline struct gw_page_extra *
gw_page_extra(const struct gw_machine *m, gw_pfn_t pfn)
{
	struct gw_page_extra *extra = gw_ptr_load_acquire(&m->extra);

	return extra ? &extra[pfn] : NULL;
}

/* The side table is there from now on: 0 or -ENOMEM. Never sleeps. */
GW_MUST_CHECK int gw_page_extra_make(struct gw_machine *m);

/*
 * The first frame of the page in use that pfn is part of; pfn itself otherwise (C10). Also for who
 * has no reference, and may see the page being split: a frame that is a tail before and after its
 * index was read had that index (gw_split_piece() changes the type first), and the frame that it
 * names is a head before any tail names it.
 */
static inline gw_pfn_t
gw_page_head(const struct gw_machine *m, gw_pfn_t pfn)
{
	const struct gw_page *page = gw_page(m, pfn);
	uint32_t index;

	while (gw_flags_type(gw_page_flags(page)) == GW_PAGE_TAIL) {
		index = gw_u32_load_acquire(&page->index);
		if (gw_flags_type(gw_page_flags(page)) == GW_PAGE_TAIL)
			return pfn - index;
	}
	return pfn;
}

/* As gw_page_head(), for one who holds no reference: the two words that it reads may belong to two
 * uses of the frame, and then lead anywhere. */
static inline gw_pfn_t
gw_page_head_seen(const struct gw_machine *m, gw_pfn_t pfn)
{
	gw_pfn_t back = pfn - gw_page_head(m, pfn);

	return back <= pfn && back >> (GW_HUGETLB_ORDERS - 1) == 0 ? pfn - back : pfn;
}

/* The zone that holds pfn, NULL in a gap. */
static inline struct gw_zone *
gw_page_zone(const struct gw_machine *m, gw_pfn_t pfn)
{
	for (unsigned z = 0; z < m->n_zones; z++)
		if (pfn >= m->zones[z].start && pfn < m->zones[z].end)
			return &m->zones[z];
	return NULL;
}

/* ---- nodes (topology.c) ---- */

static inline bool
gw_zone_in(const struct gw_zone *zone, uint64_t nodes)
{
	return nodes >> zone->node & 1;
}

/* The node of a frame that is in a zone. */
static inline unsigned
gw_page_node(const struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_page_zone(m, pfn)->node;
}

/* The node that the current task runs on. */
static inline unsigned
gw_current_node(const struct gw_machine *m)
{
	return m->cpu_nodes[gw_current_cpu()];
}

/* The node of the set, not empty, that is nearest to `node`; of equals the lowest. */
unsigned gw_nearest_node(const struct gw_machine *m, unsigned node, uint64_t nodes);

/* Lists linked through the frames; the caller holds what guards the list. */
static inline void
gw_list_push_front(struct gw_machine *m, struct gw_page_list *list, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(m, pfn);

	page->prev = GW_PFN_NONE;
	page->next = list->first;
	if (list->first == GW_PFN_NONE)
		list->last = pfn;
	else
		gw_page(m, list->first)->prev = pfn;
	list->first = pfn;
	list->n++;
}

static inline void
gw_list_remove(struct gw_machine *m, struct gw_page_list *list, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(m, pfn);

	if (page->prev == GW_PFN_NONE)
		list->first = page->next;
	else
		gw_page(m, page->prev)->next = page->next;
	if (page->next == GW_PFN_NONE)
		list->last = page->prev;
	else
		gw_page(m, page->next)->prev = page->prev;
	list->n--;
}

static inline gw_pfn_t
gw_list_pop_front(struct gw_machine *m, struct gw_page_list *list)
{
	gw_pfn_t pfn = list->first;

	if (pfn != GW_PFN_NONE)
		gw_list_remove(m, list, pfn);
	return pfn;
}

void gw_list_push_back(struct gw_machine *m, struct gw_page_list *list, gw_pfn_t pfn);
gw_pfn_t gw_list_pop_back(struct gw_machine *m, struct gw_page_list *list);
/* Move all of `from` behind `to`; leaves `from` empty. */
void gw_list_splice(struct gw_machine *m, struct gw_page_list *to, struct gw_page_list *from);

/* ---- pageblocks ---- */

static inline gw_pfn_t
gw_pageblock_frames(const struct gw_machine *m)
{
	return (gw_pfn_t)1 << m->config.pageblock_order;
}

static inline gw_pfn_t
gw_pageblock_start(const struct gw_machine *m, gw_pfn_t pfn)
{
	return pfn & ~(gw_pageblock_frames(m) - 1);
}

static inline enum gw_migratetype
gw_pageblock_type(const struct gw_machine *m, gw_pfn_t pfn)
{
	uint8_t word = gw_u8_load_relaxed(&m->pageblocks[pfn >> m->config.pageblock_order]);

	return word & GW_PB_ISOLATE ? GW_MT_ISOLATE : (enum gw_migratetype)(word & GW_PB_TYPE);
}

/* Does all of pfn's pageblock lie in the zone? Only such a one changes hands. */
bool gw_pageblock_is_whole(const struct gw_zone *zone, gw_pfn_t pfn);
bool gw_pageblock_skip(const struct gw_machine *m, gw_pfn_t pfn);
void gw_pageblock_set_skip(struct gw_machine *m, gw_pfn_t pfn, bool skip);
/* Change the type and move the block's free pages to the lists of the new one; a larger free block
 * around it is split. Zone lock held. */
void gw_pageblock_retype(struct gw_zone *zone, gw_pfn_t pfn, enum gw_migratetype type);

/* The pageblock is ISOLATE from now on, its type remembered; or no longer. Free pages go along to
 * the lists of what it now is. Zone lock held. */
void gw_pageblock_isolate(struct gw_zone *zone, gw_pfn_t pfn);
void gw_pageblock_unisolate(struct gw_zone *zone, gw_pfn_t pfn);

/* ---- ranges of frames (range.c): zone lock held, all of the range in the zone ---- */

/* The first frame of [start, end) that is in no free block, or GW_PFN_NONE. */
gw_pfn_t gw_range_first_used(const struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end);
/* Take a range that is free from the buddy lists; what its blocks have outside of it stays there.
 * Its frames are on no list then, and free. */
void gw_range_take(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end);
/* Whole pageblocks, taken, go offline: reserved, MOVABLE, no longer managed; and come back, free.
 */
void gw_range_offline(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end);
void gw_range_online(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end);
/* Are all pageblocks of the range offline? No lock needed. */
bool gw_range_is_offline(const struct gw_machine *m, gw_pfn_t start, gw_pfn_t end);

/* ---- watermarks ---- */

/* Compute the watermarks of all zones that the config left open, from what they manage now. Takes
 * zone 0's lock, which orders those who do. */
void gw_set_watermarks(struct gw_machine *m);

/*
 * A watermark in frames; those above min with the boost. On Linux min has it too until kswapd has
 * reclaimed; here perhaps nobody runs gw_kswapd(), and it would keep memory from requests for ever.
 * Zone lock not needed.
 */
uint64_t gw_zone_wmark(const struct gw_zone *zone, enum gw_wmark which);
uint64_t gw_zone_wmark_unboosted(const struct gw_zone *zone, enum gw_wmark which);
/* Would `mark` frames still be free after taking 2^order, and a block of that order be there?
 * order 0 .. max_order; class: index into lowmem_reserve. */
bool gw_zone_watermark_ok(
	const struct gw_zone *zone, unsigned order, uint64_t mark, gw_gfp_t gfp, unsigned class);
/* Would a zone of the node still be above the watermark if `n` movable frames came to it? */
bool gw_node_has_room(const struct gw_machine *m, unsigned node, enum gw_wmark mark, uint64_t n);

/* ---- compaction's and migration's view of free and LRU pages ---- */

/*
 * Take the free block headed by pfn out of the buddy lists whole; its frames become one page of
 * its order, not compound, refcount 0, on nobody's list (the caller's). Zone lock held.
 * Fails (returns 0) if the low watermark would not hold; else the frames taken (FACTS 2.1).
 */
gw_pfn_t gw_isolate_free_block(struct gw_zone *zone, gw_pfn_t pfn);
/* A block of 2^order frames held like that becomes an allocated page (compound if order > 0) with
 * refcount 1. */
void gw_prepare_page(struct gw_machine *m, gw_pfn_t pfn, unsigned order);
/* Give such a held block back to the buddy lists. Takes the zone lock. */
void gw_free_block(struct gw_machine *m, gw_pfn_t pfn, unsigned order);
/*
 * Turn a compound page in use into single pages of the same owner, index and list flags. The head
 * keeps its references, lock and place; every other piece starts with `refs` references, unlocked,
 * on no list, its ISOLATED and LRU marks as the head's. The caller holds the page lock and knows
 * that nobody else refers to a tail. Anybody may use the pieces as soon as it returns.
 */
void gw_split_page(struct gw_machine *m, gw_pfn_t pfn, unsigned order, uint32_t refs);
/*
 * One step of a split: frames i to i + 2^order of the page of `head` become a page of their own,
 * with the head's owner, this index, these flags (GW_PG_*; COMPOUND is added), no map and no
 * reference yet. The head, i == 0, is done last, and keeps all but its order.
 */
void gw_split_piece(struct gw_machine *m, gw_pfn_t head, gw_pfn_t i, unsigned order, uint32_t index,
	uint32_t flags);

/* Take a page off its LRU list: 0 with one reference more; -EBUSY if it is on none or being freed;
 * -EINVAL if it is on one that `mode` leaves alone (D1). `isolated_frames` grows. Takes the LRU
 * lock. */
int gw_lru_isolate(struct gw_machine *m, gw_pfn_t pfn, enum gw_isolate_mode mode);
/* The same for who has a reference, and gets no other: 0, or -EBUSY if it is on no list. */
int gw_lru_isolate_held(struct gw_machine *m, gw_pfn_t pfn);
/* Undo: onto the list it came from. The isolation's reference stays the caller's to drop. */
void gw_lru_putback(struct gw_machine *m, gw_pfn_t pfn);
/* `winner` takes the LRU place that `from`, isolated, had; from's isolation ends (A2). References
 * are not touched. Takes the LRU lock. Both do nothing for a page that was on no list. */
void gw_lru_putback_as(struct gw_machine *m, gw_pfn_t from, gw_pfn_t winner);

/*
 * The LRU's part of a split (B12): between the first two the LRU lock of head's node is held. A
 * piece, made with the head's LRU marks by gw_split_piece(), goes behind it on its list, or to
 * `isolated` if the page is isolated; without such a list, from isolation to the LRU list.
 */
void gw_lru_split_begin(struct gw_machine *m, gw_pfn_t head);
void gw_lru_split_piece(
	struct gw_machine *m, gw_pfn_t head, gw_pfn_t piece, struct gw_page_list *isolated);
void gw_lru_split_end(struct gw_machine *m, gw_pfn_t head);

/* ---- pages to split when memory is short (deferred.c) ---- */

/* The page, of order > 1, joins its node's queue: true; false, it is there. The caller has a
 * reference. */
bool gw_deferred_add(struct gw_machine *m, gw_pfn_t page);
/* It leaves the queue, if it is on it. */
void gw_deferred_remove(struct gw_machine *m, gw_pfn_t page);
/* The page that has waited longest, off the queue, with a reference; GW_PFN_NONE: none. */
gw_pfn_t gw_deferred_pop(struct gw_machine *m, unsigned node);

/* ---- reclaim's view ---- */

/*
 * Isolate up to n pages from the old end of a node's list, under one hold of the LRU lock, and
 * append them to `list`, each with one reference more; of one group's only if memcg is not NULL.
 * Pages that cannot be had go to the list's young end. Returns how many were looked at.
 */
unsigned gw_lru_isolate_tail(struct gw_machine *m, struct gw_node *node, enum gw_lru lru,
	const struct gw_memcg *memcg, unsigned n, struct gw_page_list *list);
/* The isolation of a page ends, and it comes back to no list: it is being freed. */
void gw_lru_forget(struct gw_machine *m, gw_pfn_t pfn);
/* Set or clear MLOCKED: the page goes to the unevictable list or to an ordinary one, now or when it
 * comes to a list again. False: it was so already. The caller holds a reference. */
bool gw_lru_set_mlocked(struct gw_machine *m, gw_pfn_t pfn, bool mlocked);
/* A page was used otherwise than by a translation (file reads): the second time, it goes to the
 * active list. The caller holds a reference. */
void gw_page_mark_accessed(struct gw_machine *m, gw_pfn_t pfn);

/* ---- counting and complaining ---- */

/* What a check has found, and where it tells. */
struct gw_findings {
	void (*report)(void *ctx, const char *line); /* may be NULL */
	void *ctx;
	unsigned n;
};
void GW_PRINTF(2, 3) gw_found(struct gw_findings *findings, const char *format, ...);

/* The frames' part of gw_machine_check() and gw_machine_destroy() (engine/store/machine.c). */
void gw_phys_check(struct gw_machine *m, struct gw_findings *findings);
void gw_phys_destroy(struct gw_machine *m);

static inline void
gw_count(struct gw_machine *m, enum gw_vm_event event, uint64_t n)
{
	if (gw_fix(m, GW_FIX_ATOMIC_COUNTERS)) {
		gw_percpu_add(&m->events, event, (int64_t)n);
	} else {
		gw_atomic_u64 *word = gw_percpu_word(&m->events, event);

		gw_u64_store_relaxed(word, gw_u64_load_relaxed(word) + n); /* in two steps (R14) */
	}
}

/* ---- background tasks (daemon.c) ---- */

/* Wake the task for a block of this order; for whatever is due. Never sleeps. */
void gw_daemon_ask(struct gw_machine *m, struct gw_daemon *d, unsigned order);
void gw_daemon_wake(struct gw_machine *m, struct gw_daemon *d);
/* The wishes made since the last call: false if there was none. */
bool gw_daemon_take_wish(struct gw_daemon *d, unsigned *order);
/* A round now, and one after each wake-up, until gw_daemon_stop(). */
void gw_daemon_run(struct gw_machine *m, struct gw_daemon *d, unsigned node,
	void (*one_round)(struct gw_machine *m, unsigned node));
void gw_daemon_stop(struct gw_machine *m, struct gw_daemon *d);
/* For others to see: it is at work, not only awake. */
void gw_daemon_set_working(struct gw_daemon *d, bool working);
bool gw_daemon_is_working(const struct gw_daemon *d);

/* ---- page capture ---- */

/*
 * A free block that the current task waits for (gw_task.capture) is taken at the moment when frames
 * that it frees have merged into it, before the free lists and anybody else see it (FACTS 2.1).
 */
struct gw_capture {
	const struct gw_zone *zone;
	unsigned order;
	enum gw_migratetype type; /* of the request */
	gw_pfn_t pfn;		  /* GW_PFN_NONE: not yet */
};

/* Take an aligned block of the zone, all of it free, if the current task waits for such a one. Zone
 * lock held. */
void gw_capture_range(struct gw_zone *zone, gw_pfn_t pfn, unsigned order);

/* ---- allocation without compaction ---- */

/* The bytes of these frames, if they have any, are 0. */
void gw_clear_frames(struct gw_machine *m, gw_pfn_t first, gw_pfn_t n);
/* Frames that were taken from the free lists become the page that a request is given. */
void gw_finish_alloc(struct gw_machine *m, gw_pfn_t pfn, unsigned order, gw_gfp_t gfp);

static inline enum gw_migratetype
gw_gfp_migratetype(gw_gfp_t gfp)
{
	if (gfp & GW_GFP_MOVABLE)
		return GW_MT_MOVABLE;
	return gfp & GW_GFP_RECLAIMABLE ? GW_MT_RECLAIMABLE : GW_MT_UNMOVABLE;
}

/* The nodes that a request for `node` may get its page from. */
static inline uint64_t
gw_gfp_nodes(gw_gfp_t gfp, unsigned node)
{
	return gfp & GW_GFP_THISNODE ? (uint64_t)1 << node : GW_ALL_NODES;
}

/*
 * One walk over the zones of `nodes` in the order of node's zonelist: per-CPU lists, own lists,
 * claiming and stealing (FACTS 2.2), in zones where `mark` holds. The slow path above
 * (engine/compact) calls it again after compacting. Returns 0 with *out prepared (refcount 1), or
 * -ENOMEM.
 */
int gw_alloc_from_nodes(struct gw_machine *m, gw_gfp_t gfp, unsigned node, uint64_t nodes,
	unsigned order, enum gw_wmark mark, gw_pfn_t *out);
/* The same for the nodes that gfp says. */
int gw_alloc_from_zonelist(struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order,
	enum gw_wmark mark, gw_pfn_t *out);

#endif
