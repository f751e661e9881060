/* SPDX-License-Identifier: MIT */
/*
 * check.c - do the TLBs say what the page tables say?
 */
#include <stdio.h>

#include "machine/soft/soft_internal.h"

struct check {
	struct gw_soft *soft;
	struct gw_mm *mm;
	void (*report)(void *ctx, const char *line);
	void *ctx;
	unsigned findings;
};

/* Would the slot translate an access? */
static bool
is_current(const struct gw_soft *soft, const struct gw_tlb_slot *slot)
{
	uint64_t word = gw_u64_load_acquire(&soft->frames[(uint32_t)slot->to]);

	return word >> GW_TLB_GENERATION_SHIFT == slot->to >> GW_TLB_GENERATION_SHIFT;
}

static void
check_slot(struct check *c, unsigned cpu, uint32_t i)
{
	const struct gw_tlb_slot *slot = &c->soft->cpus[cpu].slots[i];
	uint64_t tag = gw_u64_load_acquire(&slot->tag);
	enum gw_access access = tag & GW_TLB_WRITABLE ? GW_ACCESS_WRITE : GW_ACCESS_READ;
	gw_vaddr_t addr = gw_tlb_tag_page(tag, i) << GW_PAGE_SHIFT;
	gw_pfn_t pfn = GW_PFN_NONE;
	char line[GW_MESSAGE_MAX];
	bool writable;

	if (!tag || gw_tlb_tag_mm(tag) != c->mm->id || !is_current(c->soft, slot))
		return;
	if (gw_mm_walk(c->mm, addr, access, &pfn, &writable) == 0 && pfn == (uint32_t)slot->to)
		return;
	c->findings++;
	if (!c->report)
		return;
	snprintf(line, sizeof(line),
		"CPU %u may %s address %#llx of address space %u at frame %u; the page table does "
		"not say so",
		cpu, access == GW_ACCESS_WRITE ? "write" : "read", (unsigned long long)addr,
		c->mm->id, (uint32_t)slot->to);
	c->report(c->ctx, line);
}

unsigned
gw_soft_check(struct gw_soft *soft, struct gw_mm *mm, void (*report)(void *ctx, const char *line),
	void *ctx)
{
	struct check c = {.soft = soft, .mm = mm, .report = report, .ctx = ctx};

	for (unsigned cpu = 0; cpu < soft->n_cpus; cpu++)
		for (uint32_t i = 0; i < GW_TLB_SLOTS; i++)
			check_slot(&c, cpu, i);
	return c.findings;
}
