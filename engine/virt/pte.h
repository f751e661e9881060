/* SPDX-License-Identifier: MIT */
/*
 * pte.h - page-table entries.
 *
 * Idea. An entry is one 64-bit word, read and changed atomically, since CPUs walk page tables
 * without locks and set young and dirty in them.
 *
 *   present           bit 0; frame number in bits 12..43
 *   migration read    not present, kind 1; the old page's frame number in its place
 *   migration write   not present, kind 2; the same
 *   swap              not present, kind 3; a slot in the frame number's place
 *   none              0
 *
 * A word of the second level, the PMD, names a lowest table (present, not huge) or maps as many
 * frames as a lowest table would (huge: a present or a migration entry of a huge page).
 *
 * A hint is of present entries only, huge ones too: it does not outlive a migration or a swap, but
 * a huge entry's becomes one of each entry of the table that takes its place.
 * Flag bits keep their places in present and migration entries, so that young, dirty, soft-dirty
 * and no-access survive a migration (FACTS 2.3).
 */
#ifndef GW_ENGINE_VIRT_PTE_H
#define GW_ENGINE_VIRT_PTE_H

#include "engine/sync/sync.h"
#include "godwit/mm.h"

typedef uint64_t gw_pte_t;

#define GW_PTE_PRESENT	  0x001u
#define GW_PTE_WRITE	  0x002u
#define GW_PTE_YOUNG	  0x004u
#define GW_PTE_DIRTY	  0x008u
#define GW_PTE_SOFT_DIRTY 0x010u
#define GW_PTE_ZERO	  0x020u /* the shared zero page: no map count, no reference */
#define GW_PTE_NO_ACCESS  0x040u /* of a VMA that allows none: for the CPUs as if not present */
#define GW_PTE_FLAGS	  0x07fu
#define GW_PTE_HUGE	  0x080u /* of the second level: maps a huge page itself */
#define GW_PTE_HINT	  0x400u /* present, and for the CPUs as if not: the next use shall be seen */
#define GW_PTE_KIND_SHIFT 8	 /* two bits, of entries that are not present */
#define GW_PTE_PFN_SHIFT  12

enum gw_pte_kind {
	GW_PTE_NONE,
	GW_PTE_IS_PRESENT,
	GW_PTE_MIGRATION_READ,
	GW_PTE_MIGRATION_WRITE,
	GW_PTE_IS_SWAP
};

#define GW_PMD_ORDER	  GW_HUGE_ORDER /* of what one word of the second level can map */
#define GW_PTES_PER_TABLE (1u << GW_PMD_ORDER)

static inline enum gw_pte_kind
gw_pte_kind(gw_pte_t pte)
{
	if (pte & GW_PTE_PRESENT)
		return GW_PTE_IS_PRESENT;
	switch (pte >> GW_PTE_KIND_SHIFT & 3) {
	case 1:
		return GW_PTE_MIGRATION_READ;
	case 2:
		return GW_PTE_MIGRATION_WRITE;
	case 3:
		return GW_PTE_IS_SWAP;
	default:
		return GW_PTE_NONE;
	}
}

static inline bool
gw_pte_is_migration(gw_pte_t pte)
{
	enum gw_pte_kind kind = gw_pte_kind(pte);

	return kind == GW_PTE_MIGRATION_READ || kind == GW_PTE_MIGRATION_WRITE;
}

static inline bool
gw_pte_is_huge(gw_pte_t pte)
{
	return pte & GW_PTE_HUGE;
}

/* Of an upper level: names a table of the next one. */
static inline bool
gw_pte_is_table(gw_pte_t pte)
{
	return (pte & (GW_PTE_PRESENT | GW_PTE_HUGE)) == GW_PTE_PRESENT;
}

/* The frames that an entry maps, or will again. */
static inline gw_pfn_t
gw_pte_frames(gw_pte_t pte)
{
	return gw_pte_is_huge(pte) ? GW_PTES_PER_TABLE : 1;
}

static inline gw_pfn_t
gw_pte_pfn(gw_pte_t pte)
{
	return (gw_pfn_t)(pte >> GW_PTE_PFN_SHIFT);
}

/* The frame at addr, which the entry maps, or will again. */
static inline gw_pfn_t
gw_pte_frame(gw_pte_t pte, gw_vaddr_t addr)
{
	return gw_pte_pfn(pte) + ((gw_pfn_t)(addr >> GW_PAGE_SHIFT) & (gw_pte_frames(pte) - 1));
}

/* Present, and not of the zero page: it counts in its page's map count and holds a reference. */
static inline bool
gw_pte_is_page(gw_pte_t pte)
{
	return pte & GW_PTE_PRESENT && !(pte & GW_PTE_ZERO);
}

/* True if the entry is one of the page's, counted in its map count. */
static inline bool
gw_pte_maps(gw_pte_t pte, gw_pfn_t page)
{
	return gw_pte_is_page(pte) && gw_pte_pfn(pte) == page;
}

static inline gw_pte_t
gw_pte_present(gw_pfn_t pfn, uint64_t flags)
{
	return (gw_pte_t)pfn << GW_PTE_PFN_SHIFT | flags | GW_PTE_PRESENT;
}

static inline gw_pte_t
gw_pte_migration(gw_pfn_t pfn, bool write, uint64_t flags)
{
	return (gw_pte_t)pfn << GW_PTE_PFN_SHIFT |
	       (flags & (GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY | GW_PTE_NO_ACCESS |
				GW_PTE_HUGE)) |
	       (uint64_t)(write ? 2 : 1) << GW_PTE_KIND_SHIFT;
}

/* Soft-dirty and no-access survive; the rest comes with the page. */
static inline gw_pte_t
gw_pte_swap(uint32_t slot, uint64_t flags)
{
	return (gw_pte_t)slot << GW_PTE_PFN_SHIFT |
	       (flags & (GW_PTE_SOFT_DIRTY | GW_PTE_NO_ACCESS)) | (uint64_t)3 << GW_PTE_KIND_SHIFT;
}

static inline uint32_t
gw_pte_slot(gw_pte_t pte)
{
	return (uint32_t)(pte >> GW_PTE_PFN_SHIFT);
}

#endif
