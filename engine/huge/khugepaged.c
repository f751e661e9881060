/* SPDX-License-Identifier: MIT */
/*
 * khugepaged.c - looking for small pages to collapse, a little at a time (FACTS 2.4).
 *
 * Idea. A step function on the machine's clock. Whoever makes the steps says which address spaces
 * there are; where the last step ended is remembered by an address space's number and an address,
 * so they may come and go in between. After a huge page could not be had it sleeps longer.
 *
 * Invariants
 *   U1  a step looks at no more than pages_to_scan pages, a VMA that has nothing for it counting as
 *       one, and at nothing twice
 *   U2  no step before the machine's clock says `next`
 */
#include "engine/huge/collapse.h"

#define NS_PER_MS UINT64_C(1000000)

void
gw_khugepaged_init(struct gw_khugepaged *k)
{
	*k = (struct gw_khugepaged){
		.pages_to_scan = 4096,
		.scan_sleep_ms = 10000,
		.alloc_sleep_ms = 60000,
		.max_ptes_none = 511,
		.max_ptes_swap = 64,
		.max_ptes_shared = 256,
	};
}

/* The address space of the lowest number from k->mm_id on; NULL: none. */
static struct gw_mm *
next_mm(const struct gw_khugepaged *k, struct gw_mm *const *mms, size_t n)
{
	struct gw_mm *next = NULL;

	for (size_t i = 0; i < n; i++)
		if (mms[i]->id >= k->mm_id && (!next || mms[i]->id < next->id))
			next = mms[i];
	return next;
}

/* The next aligned range, from k->at on, of a VMA that it may be found in: true, and k->at is its
 * address. Each VMA that is passed costs one of *budget. mmap_lock held. */
static bool
find_range(struct gw_khugepaged *k, const struct gw_mm *mm, unsigned *budget)
{
	const struct gw_vma *vma;

	while (*budget > 0 && (vma = gw_vma_find(mm, k->at)) != NULL) {
		gw_vaddr_t from = k->at > gw_vma_start(vma) ? k->at : gw_vma_start(vma);

		from = (from + GW_HUGE_SIZE - 1) & ~(GW_HUGE_SIZE - 1);
		if (gw_khugepaged_wants(vma) && from + GW_HUGE_SIZE <= gw_vma_end(vma)) {
			k->at = from;
			return true;
		}
		k->at = gw_vma_end(vma);
		--*budget;
	}
	return false;
}

/* Up to *budget pages of mm from k->at on: true, its end was not reached. */
static bool
scan_mm(struct gw_khugepaged *k, struct gw_mm *mm, unsigned *budget)
{
	bool found = true;

	while (found && *budget > 0 && k->last != GW_SCAN_ALLOC_HUGE_PAGE_FAIL) {
		gw_rw_read_lock(&mm->mmap_lock);
		found = find_range(k, mm, budget);
		gw_rw_read_unlock(&mm->mmap_lock);
		if (!found)
			break;
		k->last = gw_collapse_range(mm, k->at, k);
		k->pages_collapsed += k->last == GW_SCAN_SUCCEED;
		k->at += GW_HUGE_SIZE;
		*budget -= *budget < GW_PTES_PER_TABLE ? *budget : GW_PTES_PER_TABLE;
	}
	return *budget == 0 || found;
}

/* One step's pages. */
static void
scan(struct gw_khugepaged *k, struct gw_mm *const *mms, size_t n)
{
	unsigned budget = k->pages_to_scan;
	struct gw_mm *mm;

	k->last = GW_SCAN_SUCCEED;
	while ((mm = next_mm(k, mms, n)) != NULL) {
		if (mm->id != k->mm_id)
			k->at = 0;
		k->mm_id = mm->id;
		if (scan_mm(k, mm, &budget))
			break;
		k->mm_id++;
		k->at = 0;
	}
	if (!mm) { /* U1: round it goes with the next step */
		k->mm_id = 0;
		k->full_scans++;
	}
}

unsigned
gw_khugepaged_scan(
	struct gw_khugepaged *k, struct gw_machine *m, struct gw_mm *const *mms, size_t n)
{
	uint64_t now = m->ops->clock_ns(m->ctx), before = k->pages_collapsed;
	struct gw_task *task = gw_current();

	if (now < k->next) /* U2 */
		return 0;
	gw_might_sleep();
	gw_lru_add_drain_all(m); /* batches hold references */
	task->flags |= GW_TASK_KHUGEPAGED;
	scan(k, mms, n);
	task->flags &= ~(uint32_t)GW_TASK_KHUGEPAGED;
	k->next = now + NS_PER_MS * (k->last == GW_SCAN_ALLOC_HUGE_PAGE_FAIL ? k->alloc_sleep_ms
									     : k->scan_sleep_ms);
	return (unsigned)(k->pages_collapsed - before);
}
