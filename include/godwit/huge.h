/* SPDX-License-Identifier: MIT */
/*
 * huge.h - large pages of anonymous memory: which sizes faults try, and splitting (FACTS 1.2, 2.4).
 *
 * Idea. A page of order 2 to 9 behaves as one page: one owner, one lock, one reference count, one
 * place on an LRU list. One of order 9, naturally aligned, is mapped by a single entry of the
 * second level (a huge entry); others, and parts, by an entry for each frame. Splitting undoes the
 * page and may fail; splitting a huge entry, which unmapping a part does, cannot.
 */
#ifndef GODWIT_HUGE_H
#define GODWIT_HUGE_H

#include "migrate.h"
#include "mm.h"
#include "types.h"

#define GW_LARGE_ORDER_MIN 2 /* the smallest that faults try */

/* Where faults may use large pages. */
enum gw_thp_enabled {
	GW_THP_NEVER,
	GW_THP_MADVISE, /* after GW_MADV_HUGEPAGE */
	GW_THP_ALWAYS	/* but not after GW_MADV_NOHUGEPAGE */
};

struct gw_thp_tunables {
	enum gw_thp_enabled enabled;
	uint32_t orders; /* bit o: order o, 2 .. 9 */
	unsigned
		max_ptes_none; /* a huge page with more zero-filled frames is underused; 0 .. 511 */
	bool shrink_underused; /* underused huge pages are split under pressure */
};

/* Linux's defaults: madvise, order 9 alone; 511, so that no huge page counts as underused. */
void gw_thp_tunables_init(struct gw_thp_tunables *tunables);
/* From now on. The machine is idle. 0 or -EINVAL (an order out of range, max_ptes_none too large),
 * with nothing changed. */
GW_MUST_CHECK int gw_machine_set_thp(struct gw_machine *m, const struct gw_thp_tunables *tunables);

/*
 * Split the large page of frame `page` (engine/huge/split.c has the steps).
 *
 *   page       any frame of it (B1); the page is locked, anonymous and of order > 0 (fatal
 *              otherwise, B2). The caller holds one reference and nobody else any but its entries
 *   new_order  of the pieces: 0, or 2 up to one less than the page's order
 *   list       NULL: pieces stand on the LRU list next to the head if it is on one (B12). Else the
 *              page is isolated, and all pieces but the head's are added to the list, isolated too
 *
 * On success the piece that `page` is part of is locked and has the caller's reference; all others
 * are neither, and those that nobody maps are free (B15). Entries keep write, dirty, young and
 * soft-dirty.
 * Returns 0; -EBUSY: somebody holds it (pinned), it is mapped nowhere, or on an exec's temporary
 * stack (a huge entry may be split, else nothing has changed); -EINVAL: new_order.
 * Any attached task; sleeps.
 */
GW_MUST_CHECK int gw_split_huge(struct gw_machine *m, gw_pfn_t page);
GW_MUST_CHECK int gw_split_huge_to_list(
	struct gw_machine *m, gw_pfn_t page, struct gw_page_list *list);
GW_MUST_CHECK int gw_split_huge_to_order(
	struct gw_machine *m, gw_pfn_t page, unsigned new_order, struct gw_page_list *list);
/*
 * The same, but only the piece around `page` is of new_order: what is left stays as large as it can
 * (FACTS 2.4: the third eighth-frame piece of a huge page leaves orders 4, {3}, 3, 5, 6, 7, 8).
 */
GW_MUST_CHECK int gw_split_huge_around(struct gw_machine *m, gw_pfn_t page, unsigned new_order);

/* ---- collapsing (engine/huge/collapse.c) ---- */

/* What became of a range of 512 small pages; the kernel's words (FACTS 2.4). */
enum gw_scan_result {
	GW_SCAN_SUCCEED,
	GW_SCAN_PMD_NULL,	 /* nothing is mapped there */
	GW_SCAN_PMD_MAPPED,	 /* a huge page is there already */
	GW_SCAN_EXCEED_NONE_PTE, /* khugepaged's limits */
	GW_SCAN_EXCEED_SWAP_PTE,
	GW_SCAN_EXCEED_SHARED_PTE,
	GW_SCAN_PTE_NON_PRESENT,      /* a page is being migrated, or was swapped out again */
	GW_SCAN_LACK_REFERENCED_PAGE, /* khugepaged: nobody uses them */
	GW_SCAN_PAGE_COUNT,	      /* a page has references that nobody can account for */
	GW_SCAN_PAGE_LRU,	      /* ... is on no LRU list: somebody has isolated it */
	GW_SCAN_PAGE_LOCK,	      /* ... is locked */
	GW_SCAN_PAGE_ANON,	      /* ... is not an ordinary anonymous one */
	GW_SCAN_VMA_CHECK,	      /* the VMA is of a file, of a device, a temporary stack ... */
	GW_SCAN_ADDRESS_RANGE,	      /* no VMA holds all of the range */
	GW_SCAN_ALLOC_HUGE_PAGE_FAIL, /* no huge page to be had, or to be charged */
	GW_SCAN_SWAP_FAIL,	      /* a page could not be read in */
	GW_SCAN_NR
};
/* "exceed_none_pte", ...; lives for ever. */
const char *gw_scan_result_name(enum gw_scan_result result);

/*
 * MADV_COLLAPSE: make huge pages of all aligned ranges of 512 pages in [addr, addr + len), now, and
 * whatever khugepaged's limits and the `enabled` setting say. What is in the pages stays.
 *
 *   addr, len  bytes, page aligned
 *   why        of the last range that was left as it was; GW_SCAN_SUCCEED: none. May be NULL
 *
 * Returns 0 (all of them are huge pages, perhaps no range at all); -EINVAL, -ENOMEM (no huge page),
 * -EAGAIN (a page was in use, another try may do): of the last range that failed, others may have
 * worked. Nothing is lost on failure. Counts thp_collapse_alloc, thp_collapse_alloc_failed.
 * Any attached task; sleeps. Takes mmap_lock for writing.
 */
GW_MUST_CHECK int gw_collapse(
	struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, enum gw_scan_result *why);

/* ---- khugepaged (engine/huge/khugepaged.c) ---- */

/* Tunables, and what it remembers between two steps: its owner's, who makes the steps. */
struct gw_khugepaged {
	/* May be changed between steps. */
	unsigned pages_to_scan;					/* in a step: 4096 */
	unsigned scan_sleep_ms, alloc_sleep_ms;			/* 10 s; 60 s */
	unsigned max_ptes_none, max_ptes_swap, max_ptes_shared; /* of 512: 511, 64, 256 */
	/* Read only. */
	uint64_t pages_collapsed, full_scans;
	enum gw_scan_result last; /* of the last range that was looked at */
	uint64_t next;		  /* step, in nanoseconds of the machine's clock */
	uint32_t mm_id;		  /* where the next step begins */
	gw_vaddr_t at;
};

void gw_khugepaged_init(struct gw_khugepaged *k); /* Linux's defaults (FACTS 2.4) */
/*
 * A step, if the machine's clock says that one is due: the next pages_to_scan pages of these
 * address spaces, which the caller holds users of, in the order of their numbers; every one at most
 * once. Returns the huge pages made. One task at a time for each k; sleeps.
 */
unsigned gw_khugepaged_scan(
	struct gw_khugepaged *k, struct gw_machine *m, struct gw_mm *const *mms, size_t n);

#endif
