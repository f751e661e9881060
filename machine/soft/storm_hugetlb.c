/* SPDX-License-Identifier: MIT */
/*
 * storm_hugetlb.c - the storm's pools of huge pages, and programs that map them.
 *
 * Idea. Pools grow and shrink; a program's STORM_HUGETLB region is mapped whole huge pages at a
 * time. Who has reserved them finds them; after a fork, or when they were given up, or in a control
 * group that is full, or where a policy binds, an access may find the pool empty: that one fails,
 * and nothing else. Now and then a node gives a gigantic page, for which what it has is moved away.
 */
#include "godwit/alloc.h"
#include "godwit/hugetlb.h"
#include "machine/soft/storm_internal.h"

#define HUGE_PAGES     (1u << GW_HUGE_ORDER)
#define GIGANTIC_ORDER (GW_DEFAULT_MAX_ORDER + 1)

static void
resize(struct storm *s, unsigned node, unsigned order, uint64_t n)
{
	uint64_t got;
	int err = gw_hugetlb_resize(s->m, node, order, n, &got);

	if (err || got > n)
		storm_lost(s, "node %u's pool of order %u: %llu pages wanted, %llu had (%d)", node,
			order, (unsigned long long)n, (unsigned long long)(err ? 0 : got), err);
}

/* A page of the pool in the hands of nobody's program, until the next one is. */
static void
hold_page(struct storm *s, gw_pfn_t page)
{
	gw_pfn_t old;

	pthread_mutex_lock(&s->table);
	old = s->pool_page;
	s->pool_page = page;
	pthread_mutex_unlock(&s->table);
	if (old != GW_PFN_NONE)
		gw_put_page(s->m, old);
}

static void
allocate(struct storm_thread *t)
{
	gw_pfn_t page = GW_PFN_NONE;
	int err = gw_hugetlb_alloc(t->s->m, storm_below(t, STORM_NODES), GW_HUGE_ORDER, &page);

	if (err && err != -ENOMEM)
		storm_lost(t->s, "a page of the pool: %d", err);
	hold_page(t->s, err ? GW_PFN_NONE : page);
}

static void
map(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	unsigned pages = r->pages / HUGE_PAGES;

	pages = (1 + storm_below(t, pages)) * HUGE_PAGES;
	if (gw_mmap(p->mm, 0, pages * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, GW_MAP_HUGETLB,
		    &r->base))
		return; /* the pool has not as many */
	gw_u32_store_relaxed(&p->pool_may_fail, p->in_group);
	r->end = pages;
	storm_region_forget(r, 0, pages);
}

/* The last huge page of the region, or the contents of the first. */
static void
give_up(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	const uint64_t len = HUGE_PAGES * GW_PAGE_SIZE;
	bool unmap = storm_below(t, 2);
	int err;

	if (unmap) {
		err = gw_munmap(p->mm, r->base + (r->end - HUGE_PAGES) * GW_PAGE_SIZE, len);
	} else {
		gw_u32_store_relaxed(&p->pool_may_fail, 1);
		err = gw_madvise(p->mm, r->base, len, GW_MADV_DONTNEED);
	}
	if (err && err != -ENOMEM)
		storm_lost(t->s, "address space %u, %#llx: giving a huge page up: %d",
			gw_mm_id(p->mm), (unsigned long long)r->base, err);
	if (err)
		return;
	if (unmap)
		r->end -= HUGE_PAGES;
	else
		storm_region_forget(r, 0, HUGE_PAGES);
}

static void
bind(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	gw_u32_store_relaxed(&p->pool_may_fail, 1);
	storm_mbind(t, p, r, 0, r->end);
}

static void
work(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	unsigned how = storm_below(t, 9);

	if (r->end == 0)
		map(t, p, r);
	else if (how == 0)
		give_up(t, p, r);
	else if (how == 8)
		bind(t, p, r);
	else if (how < 5)
		(void)storm_write(t, p, r);
	else if (how < 7)
		(void)storm_verify_some(t, p, r);
	else
		(void)storm_verify(t, p, r, 0, r->end);
}

void
storm_hugetlb(struct storm_thread *t, struct storm_program *p)
{
	struct storm_region *r = &p->regions[STORM_HUGETLB];
	unsigned how = storm_below(t, 12);

	if (how == 0 && storm_below(t, 4) == 0) {
		resize(t->s, storm_below(t, STORM_NODES), GIGANTIC_ORDER, storm_below(t, 2));
	} else if (how == 0) {
		resize(t->s, storm_below(t, STORM_NODES), GW_HUGE_ORDER,
			storm_below(t, 2 + t->s->n_frames / HUGE_PAGES / 16));
	} else if (how == 1) {
		allocate(t);
	} else if (how == 2) {
		(void)!gw_hugetlb_dissolve(
			t->s->m, storm_below(t, t->s->n_frames / HUGE_PAGES) * HUGE_PAGES);
	} else {
		pthread_rwlock_rdlock(&p->layout);
		pthread_mutex_lock(&r->mutex);
		work(t, p, r);
		pthread_mutex_unlock(&r->mutex);
		pthread_rwlock_unlock(&p->layout);
	}
}

void
storm_free_pools(struct storm *s)
{
	hold_page(s, GW_PFN_NONE);
	for (unsigned node = 0; node < STORM_NODES; node++) {
		resize(s, node, GW_HUGE_ORDER, 0);
		resize(s, node, GIGANTIC_ORDER, 0);
	}
}
