/* SPDX-License-Identifier: MIT */
/*
 * tlb.c - filling TLB slots, and the shootdown.
 *
 * Idea. A CPU says in its state word when an access is in progress (ACTIVE) and when it walks
 * page tables for one (WALKING). A flush comes after the page tables were changed, and
 *   F1  waits for walks that may have begun before the change
 *   F2  empties slots: by address, the slots that hold it; by frame, all at once, since a slot is
 *       valid only while its frame still has the generation that it was filled with
 *   F3  waits for accesses that may have begun before the slots were empty
 * A flush that finds nothing to empty is over after F2: no CPU has used the translation since it
 * was last flushed. That is what makes flushes of cold pages cheap.
 *
 * Why no access uses an old translation after its flush (X1)
 *   T1  Walk and change. A walker announces WALKING, with a full barrier, before it reads a page
 *       table; the flush reads states after a full barrier after the change. So the walker sees
 *       the change, or F1 sees the walker and waits. After F1, every translation from before the
 *       change is in a slot, and counted in its frame's word: both are done before WALKING ends.
 *   T2  Access and F2. An access stores ACTIVE, then reads slot and generation; F2 stores to
 *       these, then F3 reads ACTIVE. This needs a full barrier on both sides. membarrier(2)
 *       executes one on all running threads, so the access does with a compiler barrier; without
 *       it the access announces ACTIVE with a full barrier of its own. Either the access sees the
 *       slot emptied, or F3 sees the access and waits for its end.
 *   T3  Two flushes. Another flush may have emptied the slot and be at F3 still. It has raised
 *       `flushing` before it emptied anything; who finds nothing to empty, but `flushing` raised,
 *       does F3 all the same.
 *   T4  A slot that its CPU refilled. The CPU was done with the old translation; its release of the
 *       new tag, or of the frame's count, and the flush's acquire make that known.
 *
 * An access calls nothing of the engine but gw_mm_walk(), which takes no locks: F1 and F3 wait
 * for a bounded piece of code, whatever locks the flush is called under. Faults are taken between
 * accesses.
 *
 * Slots are read by their own CPU only. A flush by address empties the tag and leaves `to`: the CPU
 * takes its count off the frame when it refills the slot. So a frame's count may be too large,
 * which costs a barrier, and is never too small. A generation comes again after 2^32 flushes of its
 * frame, each of which found it in use.
 *
 * What ThreadSanitizer sees: it knows neither barrier, and needs neither. The bytes an access
 * touched happen before the release of its end, which F3 (or T4) acquires; what the flush's caller
 * does to the frame comes after. An access that used an old translation too late would have no such
 * pair, and be reported.
 */
#include "machine/soft/soft_internal.h"

/* The slot's translation is gone, or will be: one less that may hold its frame. */
static void
uncount(struct gw_soft *soft, uint64_t to)
{
	gw_atomic_u64 *frame = &soft->frames[(uint32_t)to];
	uint64_t word = gw_u64_load_relaxed(frame);

	/* The flush that changed the generation has started the count afresh. */
	while (word >> GW_TLB_GENERATION_SHIFT == to >> GW_TLB_GENERATION_SHIFT) {
		if (gw_u64_cas_acq_rel(frame, &word, word - 1))
			return;
	}
}

int
gw_tlb_fill(struct gw_soft *soft, struct gw_soft_cpu *cpu, struct gw_mm *mm, gw_vaddr_t addr,
	enum gw_access access, uint64_t *to)
{
	uint64_t state = gw_u64_load_relaxed(&cpu->state), page = addr >> GW_PAGE_SHIFT, word, tag;
	struct gw_tlb_slot *slot = &cpu->slots[gw_tlb_slot(mm->id, page)];
	bool writable = false;
	gw_pfn_t pfn;
	int err;

	gw_cpu_announce(cpu, state | GW_CPU_WALKING); /* T1 */
	err = gw_mm_walk(mm, addr, access, &pfn, &writable);
	if (!err) {
		GW_BUG_ON(mm->machine, access == GW_ACCESS_WRITE && !writable);
		if (slot->to)
			uncount(soft, slot->to);
		word = gw_u64_add_relaxed(&soft->frames[pfn], 1);
		*to = word >> GW_TLB_GENERATION_SHIFT << GW_TLB_GENERATION_SHIFT | pfn;
		slot->to = *to;
		tag = gw_tlb_tag(mm->id, page) | (writable ? GW_TLB_WRITABLE : 0);
		gw_u64_store_release(&slot->tag, tag); /* T4 */
	}
	gw_u64_store_release(&cpu->state, state); /* F1 acquires */
	return err;
}

/* Wait until the access that the CPU is in, if any, is over, or at least past `phase`. */
static void
wait_for_cpu(const struct gw_soft_cpu *cpu, uint64_t phase)
{
	uint64_t begun = gw_u64_load_acquire(&cpu->state), now = begun;

	while (now & phase && now / GW_CPU_ACCESS == begun / GW_CPU_ACCESS) {
		gw_relax();
		now = gw_u64_load_acquire(&cpu->state);
	}
}

static void
wait_for_all(const struct gw_soft *soft, uint64_t phase)
{
	for (unsigned i = 0; i < soft->n_cpus; i++)
		wait_for_cpu(&soft->cpus[i], phase);
}

/* F1 */
static void
flush_begin(const struct gw_soft *soft)
{
	gw_fence_seq_cst(); /* T1 */
	wait_for_all(soft, GW_CPU_WALKING);
}

/* Before the first slot is emptied (T3). */
static void
flush_found(struct gw_soft *soft, bool *found)
{
	if (*found)
		return;
	*found = true;
	gw_u32_add_relaxed(&soft->flushing, 1); /* made known by the release that empties */
}

/* F3 */
static void
flush_end(struct gw_soft *soft, bool found)
{
	if (!found && gw_u32_load_acquire(&soft->flushing) == 0)
		return;
	if (soft->fences)
		gw_fence_seq_cst();
	else
		gw_membarrier(); /* T2 */
	wait_for_all(soft, GW_CPU_ACTIVE);
	gw_u64_add_relaxed(&soft->shootdowns, 1);
	if (found)
		gw_u32_sub_acq_rel(&soft->flushing, 1);
}

static void
empty_frame(struct gw_soft *soft, gw_pfn_t pfn, bool *found)
{
	gw_atomic_u64 *frame = &soft->frames[pfn];
	uint64_t word = gw_u64_load_acquire(frame), next;

	if ((uint32_t)word == 0)
		return;
	flush_found(soft, found);
	do {
		next = ((word >> GW_TLB_GENERATION_SHIFT) + 1) << GW_TLB_GENERATION_SHIFT;
	} while (!gw_u64_cas_acq_rel(frame, &word, next));
}

/* All frames of the page, which is locked: its order stays. */
static void
empty_page(struct gw_soft *soft, gw_pfn_t page, bool *found)
{
	unsigned order = gw_flags_order(gw_page_flags(gw_page(soft->machine, page)));

	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++)
		empty_frame(soft, page + i, found);
}

void
gw_tlb_flush_frames(void *ctx, const gw_pfn_t *frames, size_t n)
{
	struct gw_soft *soft = ctx;
	bool found = false;

	flush_begin(soft);
	for (size_t i = 0; i < n; i++)
		empty_page(soft, frames[i], &found);
	flush_end(soft, found);
}

static void
empty_slot(struct gw_soft *soft, struct gw_tlb_slot *slot, bool *found)
{
	flush_found(soft, found);
	gw_u64_store_release(&slot->tag, 0);
}

/* A range of fewer pages than there are slots: look where each would be. */
static void
empty_pages(struct gw_soft *soft, struct gw_soft_cpu *cpu, uint32_t mm_id, uint64_t first,
	uint64_t end, bool *found)
{
	for (uint64_t page = first; page < end; page++) {
		struct gw_tlb_slot *slot = &cpu->slots[gw_tlb_slot(mm_id, page)];
		uint64_t tag = gw_u64_load_acquire(&slot->tag);

		if ((tag & ~GW_TLB_WRITABLE) == gw_tlb_tag(mm_id, page))
			empty_slot(soft, slot, found);
	}
}

static void
empty_range(struct gw_soft *soft, struct gw_soft_cpu *cpu, uint32_t mm_id, uint64_t first,
	uint64_t end, bool *found)
{
	for (uint32_t i = 0; i < GW_TLB_SLOTS; i++) {
		uint64_t tag = gw_u64_load_acquire(&cpu->slots[i].tag);
		uint64_t page = gw_tlb_tag_page(tag, i);

		if (tag && gw_tlb_tag_mm(tag) == mm_id && page >= first && page < end)
			empty_slot(soft, &cpu->slots[i], found);
	}
}

void
gw_tlb_flush_range(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	struct gw_soft *soft = ctx;
	uint64_t first = start >> GW_PAGE_SHIFT;
	uint64_t last = (end + GW_PAGE_SIZE - 1) >> GW_PAGE_SHIFT;
	bool found = false;

	flush_begin(soft);
	for (unsigned i = 0; i < soft->n_cpus; i++) {
		if (last - first < GW_TLB_SLOTS)
			empty_pages(soft, &soft->cpus[i], mm_id, first, last, &found);
		else
			empty_range(soft, &soft->cpus[i], mm_id, first, last, &found);
	}
	flush_end(soft, found);
}
