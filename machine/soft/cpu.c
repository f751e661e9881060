/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - what programs do: read and write virtual addresses.
 *
 * Idea. An access is active from before it looks into the TLB until its bytes are done (tlb.c says
 * why). What a walk cannot translate is a fault, taken while no access is active; then
 * the access begins again from its lookup (R10).
 *
 * Bytes are moved in relaxed atomic words, as hardware would: two CPUs may touch the same bytes at
 * once, and that is their program's affair.
 */
#include "engine/sync/bytes.h"
#include "machine/soft/soft_internal.h"

/* Who accesses what. Never passed on by address but to what is inlined: a hit then stays in
 * registers. */
struct access {
	struct gw_soft *soft;
	struct gw_soft_cpu *cpu;
	struct gw_mm *mm;
	uint64_t state; /* of the CPU while the access is active */
};

static inline struct access
access_of(struct gw_mm *mm)
{
	struct gw_soft *soft = mm->machine->ctx;

	return (struct access){.soft = soft, .cpu = &soft->cpus[gw_current_cpu()], .mm = mm};
}

/* Returns the CPU's state. */
static inline uint64_t
access_begin(struct access a)
{
	uint64_t state = gw_u64_load_relaxed(&a.cpu->state) + GW_CPU_ACTIVE;

	GW_CHECK_ON(a.mm->machine, !(state & GW_CPU_ACTIVE)); /* two threads on one CPU */
	if (__builtin_expect(a.soft->fences, 0))
		gw_cpu_announce(a.cpu, state);
	else
		gw_u64_store_relaxed(&a.cpu->state, state);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* T2: nothing below is done before it */
	return state;
}

static inline void
access_end(struct access a)
{
	/* F3 acquires */
	gw_u64_store_release(&a.cpu->state, a.state - GW_CPU_ACTIVE + GW_CPU_ACCESS);
}

static inline void
count(gw_atomic_u64 *counter)
{
	gw_u64_store_relaxed(counter, gw_u64_load_relaxed(counter) + 1);
}

/* True: the slot translates, *to says whereto. */
static inline bool
lookup(struct access a, gw_vaddr_t addr, enum gw_access access, uint64_t *to)
{
	uint64_t page = addr >> GW_PAGE_SHIFT;
	const struct gw_tlb_slot *slot = &a.cpu->slots[gw_tlb_slot(a.mm->id, page)];
	uint64_t tag = gw_u64_load_relaxed(&slot->tag), word;

	if (access == GW_ACCESS_READ)
		tag |= GW_TLB_WRITABLE;
	if (tag != (gw_tlb_tag(a.mm->id, page) | GW_TLB_WRITABLE))
		return false;
	*to = slot->to;
	word = gw_u64_load_relaxed(&a.soft->frames[(uint32_t)*to]);
	return word >> GW_TLB_GENERATION_SHIFT == *to >> GW_TLB_GENERATION_SHIFT;
}

static inline uint8_t *
bytes_at(struct access a, uint64_t to, gw_vaddr_t addr)
{
	gw_pfn_t pfn = (uint32_t)to;

	/* A frame's references are frozen or gone only after its translations were flushed. */
	GW_CHECK_ON(a.mm->machine,
		gw_ref_read(&gw_page(a.mm->machine, gw_page_head(a.mm->machine, pfn))->refcount) ==
			0);
	return a.soft->bytes + ((size_t)pfn << GW_PAGE_SHIFT) + (addr & (GW_PAGE_SIZE - 1));
}

/* The access is active; if 0 is returned, it or a later one is. */
static __attribute__((noinline)) int
translate_slow(struct access a, gw_vaddr_t addr, enum gw_access access, uint8_t **bytes)
{
	uint64_t to = 0;

	for (;;) {
		int err;

		count(&a.cpu->misses);
		err = gw_tlb_fill(a.soft, a.cpu, a.mm, addr, access, &to);
		if (!err)
			break;
		access_end(a);
		count(&a.cpu->faults);
		err = gw_fault(a.mm, addr, access);
		if (err)
			return err;
		a.state = access_begin(a);
		if (lookup(a, addr, access, &to))
			break;
	}
	*bytes = bytes_at(a, to, addr);
	return 0;
}

/* 0: the access is active, and may touch *bytes up to the end of the page until access_end(). */
static inline int
translate(struct access *a, gw_vaddr_t addr, enum gw_access access, uint8_t **bytes)
{
	uint64_t to = 0;

	if (__builtin_expect(addr >= GW_VADDR_END, 0))
		return -EFAULT;
	a->state = access_begin(*a);
	if (__builtin_expect(!lookup(*a, addr, access, &to), 0)) {
		int err = translate_slow(*a, addr, access, bytes);

		a->state = gw_u64_load_relaxed(&a->cpu->state);
		return err;
	}
	*bytes = bytes_at(*a, to, addr);
	return 0;
}

static inline int
translate_word(struct access *a, gw_vaddr_t addr, enum gw_access access, gw_atomic_u64 **word)
{
	uint8_t *bytes;
	int err;

	if (__builtin_expect(addr % sizeof(uint64_t) != 0, 0))
		return -EINVAL;
	err = translate(a, addr, access, &bytes);
	if (!err)
		*word = (gw_atomic_u64 *)(void *)bytes;
	return err;
}

int
gw_cpu_load(struct gw_mm *mm, gw_vaddr_t addr, uint64_t *value)
{
	gw_atomic_u64 *word;
	struct access a = access_of(mm);
	int err;

	err = translate_word(&a, addr, GW_ACCESS_READ, &word);
	if (err)
		return err;
	*value = gw_u64_load_relaxed(word);
	access_end(a);
	return 0;
}

int
gw_cpu_store(struct gw_mm *mm, gw_vaddr_t addr, uint64_t value)
{
	gw_atomic_u64 *word;
	struct access a = access_of(mm);
	int err;

	err = translate_word(&a, addr, GW_ACCESS_WRITE, &word);
	if (err)
		return err;
	gw_u64_store_relaxed(word, value);
	access_end(a);
	return 0;
}

int
gw_cpu_add(struct gw_mm *mm, gw_vaddr_t addr, uint64_t n, uint64_t *before)
{
	gw_atomic_u64 *word;
	struct access a = access_of(mm);
	uint64_t old;
	int err;

	err = translate_word(&a, addr, GW_ACCESS_WRITE, &word);
	if (err)
		return err;
	old = gw_u64_add_relaxed(word, n);
	access_end(a);
	if (before)
		*before = old;
	return 0;
}

int
gw_cpu_read(struct gw_mm *mm, gw_vaddr_t addr, void *buf, size_t len)
{
	uint8_t *to = buf, *bytes;
	struct access a = access_of(mm);

	while (len > 0) {
		size_t n = gw_bytes_in_page(addr, len);
		int err = translate(&a, addr, GW_ACCESS_READ, &bytes);

		if (err)
			return err;
		gw_bytes_load(to, bytes, n);
		access_end(a);
		addr += n;
		to += n;
		len -= n;
	}
	return 0;
}

int
gw_cpu_write(struct gw_mm *mm, gw_vaddr_t addr, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	struct access a = access_of(mm);
	uint8_t *bytes;

	while (len > 0) {
		size_t n = gw_bytes_in_page(addr, len);
		int err = translate(&a, addr, GW_ACCESS_WRITE, &bytes);

		if (err)
			return err;
		gw_bytes_store(bytes, from, n);
		access_end(a);
		addr += n;
		from += n;
		len -= n;
	}
	return 0;
}

void
gw_cpu_stats(const struct gw_soft *soft, unsigned cpu, struct gw_cpu_stats *out)
{
	const struct gw_soft_cpu *c = &soft->cpus[cpu];
	uint64_t accesses = gw_u64_load_relaxed(&c->state) / GW_CPU_ACCESS;

	/* Every access either hit or walked. */
	out->misses = gw_u64_load_relaxed(&c->misses);
	out->hits = accesses > out->misses ? accesses - out->misses : 0;
	out->faults = gw_u64_load_relaxed(&c->faults);
	out->flushes = gw_u64_load_relaxed(&soft->shootdowns);
}
