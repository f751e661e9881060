/* SPDX-License-Identifier: MIT */
/*
 * soft_internal.h - the inside of the soft machine: CPUs, their TLBs, and the words by which
 * flushes reach them. tlb.c has the argument.
 */
#ifndef GW_MACHINE_SOFT_SOFT_INTERNAL_H
#define GW_MACHINE_SOFT_SOFT_INTERNAL_H

#include "engine/virt/virt.h"
#include "machine/soft/soft.h"

#define GW_TLB_SLOT_BITS 10
#define GW_TLB_SLOTS	 (1u << GW_TLB_SLOT_BITS)

/* A tag: address space in bits 32..63, upper bits of the page number from bit 2 on. The lower ones
 * are told by the slot. 0: empty. */
#define GW_TLB_VALID	  UINT64_C(1)
#define GW_TLB_WRITABLE	  UINT64_C(2)
#define GW_TLB_PAGE_SHIFT 2

/* A translation: the frame, and its generation when it was filled in. */
#define GW_TLB_GENERATION_SHIFT 32

struct gw_tlb_slot {
	gw_atomic_u64 tag; /* filled by its CPU, emptied by anybody */
	uint64_t to;	   /* its CPU's own; stays after the tag was emptied; 0: never filled */
};

/* gw_soft_cpu.state: bits, and the number of accesses begun above them. */
#define GW_CPU_ACTIVE  UINT64_C(1) /* an access is in progress */
#define GW_CPU_WALKING UINT64_C(2) /* it reads page tables, and fills a slot */
#define GW_CPU_ACCESS  UINT64_C(4)

struct gw_soft_cpu {
	gw_atomic_u64 state; /* written by its CPU only */
	/* Written by its CPU only, read anywhere for statistics. */
	gw_atomic_u64 misses, faults;
	struct gw_tlb_slot slots[GW_TLB_SLOTS] __attribute__((aligned(GW_CACHE_LINE)));
} __attribute__((aligned(GW_CACHE_LINE)));

/* Frames of the latest copies that copy.c remembers: 16 MiB of them. */
#define GW_COPIED_SLOTS 4096

struct gw_soft {
	/* Set by gw_soft_create(), then read-only. */
	struct gw_machine *machine;
	uint8_t *bytes; /* of all frames */
	gw_pfn_t n_frames;
	unsigned n_cpus;
	struct gw_soft_cpu *cpus;
	/* By frame: generation in bits 32..63, in the others how many slots may hold a translation
	 * to it of this generation. */
	gw_atomic_u64 *frames;
	bool has_membarrier, fences;

	gw_atomic_u32 flushing __attribute__((aligned(GW_CACHE_LINE))); /* flushes that emptied
									   slots and still wait */
	gw_atomic_u64 shootdowns;
	gw_atomic_u64 allocations, fail_at;

	gw_atomic_u32 copied[GW_COPIED_SLOTS]; /* a hint: frame f at f modulo the number of slots */
};

/* Spreads the address spaces over the slots, so that equal addresses of several do not collide. */
static inline uint32_t
gw_tlb_mix(uint32_t mm_id)
{
	return mm_id * 0x9e3779b1u >> (32 - GW_TLB_SLOT_BITS);
}

static inline uint32_t
gw_tlb_slot(uint32_t mm_id, uint64_t page)
{
	return ((uint32_t)page ^ gw_tlb_mix(mm_id)) & (GW_TLB_SLOTS - 1);
}

static inline uint64_t
gw_tlb_tag(uint32_t mm_id, uint64_t page)
{
	return (uint64_t)mm_id << 32 | page >> GW_TLB_SLOT_BITS << GW_TLB_PAGE_SHIFT | GW_TLB_VALID;
}

static inline uint32_t
gw_tlb_tag_mm(uint64_t tag)
{
	return (uint32_t)(tag >> 32);
}

static inline uint64_t
gw_tlb_tag_page(uint64_t tag, uint32_t slot)
{
	uint64_t upper = (uint32_t)tag >> GW_TLB_PAGE_SHIFT;

	return upper << GW_TLB_SLOT_BITS |
	       ((slot ^ gw_tlb_mix(gw_tlb_tag_mm(tag))) & (GW_TLB_SLOTS - 1));
}

/*
 * Walk and fill the slot, within an access that is active. Returns 0 with *to as the slot has
 * it, or gw_mm_walk()'s error.
 */
int gw_tlb_fill(struct gw_soft *soft, struct gw_soft_cpu *cpu, struct gw_mm *mm, gw_vaddr_t addr,
	enum gw_access access, uint64_t *to);

/* The machine's operations (godwit/machine.h). */
void gw_tlb_flush_frames(void *ctx, const gw_pfn_t *frames, size_t n);
void gw_tlb_flush_range(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end);

/* membarrier(2): is it there (and register for it); and a full barrier on every running thread of
 * this process. */
bool gw_membarrier_register(void);
void gw_membarrier(void);

/*
 * Make a CPU's state known before any later load of this thread. x86: an exchange is a full
 * barrier, and a quarter of the price of the fence.
 */
static inline void
gw_cpu_announce(struct gw_soft_cpu *cpu, uint64_t state)
{
#if defined(__x86_64__) || defined(__i386__)
	(void)gw_u64_xchg_acq_rel(&cpu->state, state);
#else
	gw_u64_store_relaxed(&cpu->state, state);
	gw_fence_seq_cst();
#endif
}

/* ops.copy_frames (copy.c) */
void gw_soft_copy_frames(void *ctx, const struct gw_copy *copies, size_t n);

#endif
