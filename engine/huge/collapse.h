/* SPDX-License-Identifier: MIT */
/*
 * collapse.h - one range of 512 pages: what gw_collapse() and khugepaged have in common.
 */
#ifndef GW_ENGINE_HUGE_COLLAPSE_H
#define GW_ENGINE_HUGE_COLLAPSE_H

#include "engine/virt/virt.h"

#define GW_HUGE_SIZE ((gw_vaddr_t)GW_PTES_PER_TABLE << GW_PAGE_SHIFT)

/* Make a huge page of the range at addr, which is aligned, within khugepaged's limits; NULL:
 * without. No lock held. */
enum gw_scan_result gw_collapse_range(
	struct gw_mm *mm, gw_vaddr_t addr, const struct gw_khugepaged *limits);

/* May khugepaged make huge pages in the VMA? mmap_lock held. */
bool gw_khugepaged_wants(const struct gw_vma *vma);

#endif
