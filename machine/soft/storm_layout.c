/* SPDX-License-Identifier: MIT */
/*
 * storm_layout.c - the storm's changes to the shape of a region: what a program may do to its
 * mappings, and what it must find afterwards.
 *
 * A range that was given up may be taken at once by another thread's mapping, so whoever wants to
 * see it refuse accesses has the layout to itself.
 */
#include "machine/soft/storm_internal.h"

/* Some pages of a region. */
struct piece {
	struct storm_program *p;
	struct storm_region *r;
	unsigned first, end;
};

static gw_vaddr_t
page_address(const struct storm_region *r, unsigned page)
{
	return r->base + page * GW_PAGE_SIZE;
}

static gw_vaddr_t
piece_address(const struct piece *x)
{
	return page_address(x->r, x->first);
}

static uint64_t
piece_bytes(const struct piece *x)
{
	return (x->end - x->first) * GW_PAGE_SIZE;
}

static unsigned
piece_page(struct storm_thread *t, const struct piece *x)
{
	return x->first + storm_below(t, x->end - x->first);
}

/* True: done. Else only want of memory is an excuse. */
static bool
succeeded(struct storm_thread *t, const struct piece *x, const char *what, int err)
{
	if (err == 0)
		return true;
	if (err == -ENOMEM)
		storm_no_memory(t);
	else
		storm_lost(t->s, "address space %u, %#llx: %s of %llu bytes gave %d",
			gw_mm_id(x->p->mm), (unsigned long long)piece_address(x), what,
			(unsigned long long)piece_bytes(x), err);
	return false;
}

/* Locked memory refuses some advice, and is let go then. */
static int
give_advice(const struct piece *x, enum gw_advice advice)
{
	struct gw_mm *mm = x->p->mm;
	int err = gw_madvise(mm, piece_address(x), piece_bytes(x), advice);

	if (err != -EINVAL)
		return err;
	err = gw_mlock(mm, piece_address(x), piece_bytes(x), false);
	return err ? err : gw_madvise(mm, piece_address(x), piece_bytes(x), advice);
}

static void
dontneed(struct storm_thread *t, struct piece *x)
{
	int err = give_advice(x, GW_MADV_DONTNEED);

	if (succeeded(t, x, "madvise", err))
		storm_region_forget(x->r, x->first, x->end);
}

static void
advise(struct storm_thread *t, struct piece *x)
{
	static const enum gw_advice advices[] = {GW_MADV_COLD, GW_MADV_PAGEOUT, GW_MADV_HUGEPAGE,
		GW_MADV_NOHUGEPAGE, GW_MADV_MERGEABLE, GW_MADV_UNMERGEABLE};
	const unsigned n = sizeof(advices) / sizeof(advices[0]);
	unsigned which = storm_below(t, n + 2);
	int err;

	if (which < n)
		err = give_advice(x, advices[which]);
	else
		err = gw_mlock(x->p->mm, piece_address(x), piece_bytes(x), which == n);
	(void)succeeded(t, x, which < n ? "madvise" : "mlock", err);
}

static void
protect(struct storm_thread *t, struct piece *x)
{
	const unsigned prot = storm_below(t, 3) ? GW_PROT_READ : GW_PROT_NONE;
	struct gw_mm *mm = x->p->mm;
	int err = gw_mprotect(mm, piece_address(x), piece_bytes(x), prot);

	if (succeeded(t, x, "mprotect", err)) {
		unsigned page = piece_page(t, x);

		storm_expect_fault(t, x->p, page_address(x->r, page), GW_ACCESS_WRITE);
		if (prot == GW_PROT_NONE)
			storm_expect_fault(t, x->p, page_address(x->r, page), GW_ACCESS_READ);
		else
			(void)storm_verify(t, x->p, x->r, page, page + 1);
	}
	do {
		err = gw_mprotect(
			mm, piece_address(x), piece_bytes(x), GW_PROT_READ | GW_PROT_WRITE);
	} while (!succeeded(t, x, "mprotect", err) && !storm_stopped(t->s));
}

/* The region is gone; what it was has to refuse accesses if nobody else can be there. */
static void
unmap_all(struct storm_thread *t, struct piece *x, bool alone)
{
	struct storm_region *r = x->r;
	gw_vaddr_t addr;

	x->first = r->first;
	x->end = r->end;
	addr = piece_address(x);
	if (!succeeded(t, x, "munmap", gw_munmap(x->p->mm, addr, piece_bytes(x))))
		return;
	if (alone)
		storm_expect_fault(t, x->p, addr, GW_ACCESS_READ);
	r->first = r->end = 0;
}

/* Unmap the end of a region, or replace a piece of it by fresh memory. */
static void
unmap(struct storm_thread *t, struct piece *x, bool alone)
{
	gw_vaddr_t addr = piece_address(x);
	struct storm_region *r = x->r;
	int err;

	if (storm_below(t, 2)) {
		err = gw_mmap(x->p->mm, addr, piece_bytes(x), GW_PROT_READ | GW_PROT_WRITE,
			GW_MAP_FIXED, &addr);
		if (succeeded(t, x, "mmap", err))
			storm_region_forget(r, x->first, x->end);
		return;
	}
	if (x->first == r->first) {
		unmap_all(t, x, alone);
		return;
	}
	x->end = r->end;
	if (!succeeded(t, x, "munmap", gw_munmap(x->p->mm, addr, piece_bytes(x))))
		return;
	if (alone)
		storm_expect_fault(t, x->p, page_address(r, piece_page(t, x)), GW_ACCESS_WRITE);
	r->end = x->first;
}

static void
remap(struct storm_thread *t, struct piece *x, bool alone)
{
	struct storm_region *r = x->r;
	gw_vaddr_t old = page_address(r, r->first), addr = old;
	unsigned pages = 1 + storm_below(t, r->pages - r->first);
	int err = gw_mremap(
		x->p->mm, old, (r->end - r->first) * GW_PAGE_SIZE, pages * GW_PAGE_SIZE, &addr);

	if (err == -EFAULT) { /* several mappings by now */
		unmap_all(t, x, alone);
		return;
	}
	if (!succeeded(t, x, "mremap", err))
		return;
	if (r->first + pages > r->end)
		storm_region_forget(r, r->end, r->first + pages);
	r->base = addr - r->first * GW_PAGE_SIZE;
	r->end = r->first + pages;
	if (alone && addr >= old + GW_PAGE_SIZE)
		storm_expect_fault(t, x->p, old, GW_ACCESS_READ);
}

static void
grow_stack(struct storm_thread *t, struct piece *x)
{
	struct storm_region *r = x->r;
	uint64_t value = 1;
	int err;

	if (r->first == 0)
		return;
	x->first = r->first - 1;
	x->end = r->first;
	err = gw_cpu_load(x->p->mm, page_address(r, r->first) - sizeof(value), &value);
	if (!succeeded(t, x, "growing the stack", err))
		return;
	r->first--;
	storm_region_forget(r, r->first, r->first + 1);
	(void)storm_verify(t, x->p, r, r->first, r->first + 1);
}

static void
change(struct storm_thread *t, struct piece *x, enum gw_storm_op op, bool alone)
{
	if (op == GW_STORM_STACK)
		grow_stack(t, x);
	else if (x->r->first == x->r->end)
		(void)storm_map_region(t, x->p, x->r);
	else if (op == GW_STORM_DONTNEED)
		dontneed(t, x);
	else if (op == GW_STORM_MPROTECT)
		protect(t, x);
	else if (op == GW_STORM_ADVISE)
		advise(t, x);
	else if (op == GW_STORM_MBIND)
		storm_mbind(t, x->p, x->r, x->first, x->end);
	else if (op == GW_STORM_MUNMAP)
		unmap(t, x, alone);
	else
		remap(t, x, alone);
}

/* The stack keeps its shape but for growing. */
static unsigned
pick_region(struct storm_thread *t, enum gw_storm_op op)
{
	if (op == GW_STORM_STACK)
		return STORM_STACK;
	if (op == GW_STORM_MUNMAP || op == GW_STORM_MREMAP)
		return STORM_STACK + 1 + storm_below(t, STORM_REGIONS - STORM_STACK - 1);
	return storm_below(t, STORM_REGIONS);
}

void
storm_layout(struct storm_thread *t, struct storm_program *p, enum gw_storm_op op)
{
	struct piece x = {.p = p, .r = &p->regions[pick_region(t, op)]};
	bool alone = storm_below(t, 2);

	if (alone)
		pthread_rwlock_wrlock(&p->layout);
	else
		pthread_rwlock_rdlock(&p->layout);
	pthread_mutex_lock(&x.r->mutex);
	if (x.r->first < x.r->end) {
		x.first = x.r->first + storm_below(t, x.r->end - x.r->first);
		x.end = x.first + 1 + storm_below(t, x.r->end - x.first);
	}
	change(t, &x, op, alone);
	pthread_mutex_unlock(&x.r->mutex);
	pthread_rwlock_unlock(&p->layout);
}
