/* SPDX-License-Identifier: MIT */
/*
 * hugetlb.c - the lists of the pools: taking, giving back, reserving. Who fills them is in
 * engine/compact/hugetlb.c.
 *
 * Idea. A pool page has GW_PG_HUGETLB until it leaves the pool; a free one FREED as well, and one
 * reference, the pool's, so that nothing else has to know that it is free. Here, since a page's
 * last reference may go anywhere, and calls go down only.
 *
 * Locks: hugetlb_lock, rank LEAF: lists, counts and the two flags.
 */
#include "engine/phys/hugetlb.h"

static struct gw_hugetlb_pool *
pool_of(const struct gw_machine *m, gw_pfn_t page)
{
	return &m->nodes[gw_page_node(m, page)]
			.hugetlb[gw_flags_order(gw_page_flags(gw_page(m, page)))];
}

/* ---- hugetlb_lock held ---- */

static uint64_t
free_pages(const struct gw_machine *m, unsigned order)
{
	uint64_t n = 0;

	for (unsigned node = 0; node < m->n_nodes; node++)
		n += m->nodes[node].hugetlb[order].free.n;
	return n;
}

static bool
has_unreserved(const struct gw_machine *m, unsigned order)
{
	return free_pages(m, order) > m->hugetlb_reserved[order];
}

static void
push(struct gw_machine *m, struct gw_hugetlb_pool *pool, gw_pfn_t page)
{
	gw_u32_or_relaxed(&gw_page(m, page)->flags, GW_PG_HUGETLB | GW_PG_FREED);
	gw_list_push_front(m, &pool->free, page);
}

static void
pop(struct gw_machine *m, struct gw_hugetlb_pool *pool, gw_pfn_t page)
{
	gw_list_remove(m, &pool->free, page);
	gw_u32_and_relaxed(&gw_page(m, page)->flags, ~GW_PG_FREED);
}

/* A free page, popped, is an ordinary one. */
static void
leave(struct gw_machine *m, struct gw_hugetlb_pool *pool, gw_pfn_t page)
{
	pop(m, pool, page);
	gw_u32_and_relaxed(&gw_page(m, page)->flags, ~GW_PG_HUGETLB);
	pool->total--;
	if (pool->surplus > pool->total) /* there is never more of it than pages */
		pool->surplus = pool->total;
}

/* ---- taking and giving back ---- */

/* Does somebody empty a pageblock of the page? Then nobody else should get it. */
static bool
is_isolated(const struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	gw_pfn_t end = page + ((gw_pfn_t)1 << order);
	bool isolated = false;

	for (gw_pfn_t pfn = page; pfn < end && !isolated; pfn += gw_pageblock_frames(m))
		isolated = gw_pageblock_type(m, pfn) == GW_MT_ISOLATE;
	return isolated;
}

/* The first free page, not of isolated pageblocks unless they are allowed. */
static gw_pfn_t
first_free(const struct gw_machine *m, const struct gw_hugetlb_pool *pool, unsigned order,
	bool isolated_too)
{
	gw_pfn_t page = pool->free.first;

	while (page != GW_PFN_NONE && !isolated_too && is_isolated(m, page, order))
		page = gw_page(m, page)->next;
	return page;
}

static uint64_t
nodes_with_free(const struct gw_machine *m, unsigned order)
{
	uint64_t nodes = 0;

	for (unsigned node = 0; node < m->n_nodes; node++)
		nodes |= (uint64_t)(m->nodes[node].hugetlb[order].free.n > 0) << node;
	return nodes;
}

/* The same of the nearest node that has one. */
static gw_pfn_t
nearest_free(const struct gw_machine *m, unsigned node, uint64_t nodes, unsigned order,
	bool isolated_too)
{
	gw_pfn_t page = GW_PFN_NONE;

	nodes &= nodes_with_free(m, order);
	while (nodes && page == GW_PFN_NONE) {
		unsigned from = gw_nearest_node(m, node, nodes);

		page = first_free(m, &m->nodes[from].hugetlb[order], order, isolated_too);
		nodes &= ~((uint64_t)1 << from);
	}
	return page;
}

gw_pfn_t
gw_hugetlb_take(struct gw_machine *m, unsigned node, uint64_t nodes, unsigned order, bool reserved)
{
	gw_pfn_t page = GW_PFN_NONE;

	gw_spin_lock(&m->hugetlb_lock);
	if (reserved || has_unreserved(m, order))
		page = nearest_free(m, node, nodes, order, false);
	if (reserved && page == GW_PFN_NONE)
		page = nearest_free(m, node, nodes, order, true);
	if (page != GW_PFN_NONE) {
		pop(m, pool_of(m, page), page);
		m->hugetlb_reserved[order] -= reserved;
	}
	gw_spin_unlock(&m->hugetlb_lock);
	return page;
}

gw_pfn_t
gw_hugetlb_take_target(struct gw_machine *m, gw_pfn_t src, unsigned node, uint64_t nodes)
{
	uint32_t flags = gw_page_flags(gw_page(m, src));

	if (!(flags & GW_PG_HUGETLB))
		return GW_PFN_NONE;
	return gw_hugetlb_take(m, node, nodes, gw_flags_order(flags), false);
}

bool
gw_hugetlb_reserve(struct gw_machine *m, unsigned order, uint64_t n)
{
	bool enough;

	gw_spin_lock(&m->hugetlb_lock);
	enough = n <= free_pages(m, order) - m->hugetlb_reserved[order];
	if (enough)
		m->hugetlb_reserved[order] += n;
	gw_spin_unlock(&m->hugetlb_lock);
	return enough;
}

static gw_pfn_t
remove_surplus(struct gw_machine *m, unsigned node, unsigned order)
{
	struct gw_hugetlb_pool *pool = &m->nodes[node].hugetlb[order];
	gw_pfn_t page = GW_PFN_NONE;

	gw_spin_lock(&m->hugetlb_lock);
	if (pool->surplus > 0 && pool->free.n > 0 && has_unreserved(m, order)) {
		page = pool->free.first;
		pool->surplus--;
		leave(m, pool, page);
	}
	gw_spin_unlock(&m->hugetlb_lock);
	return page;
}

void
gw_hugetlb_unreserve(struct gw_machine *m, unsigned order, uint64_t n)
{
	gw_spin_lock(&m->hugetlb_lock);
	GW_BUG_ON(m, m->hugetlb_reserved[order] < n);
	m->hugetlb_reserved[order] -= n;
	gw_spin_unlock(&m->hugetlb_lock);
	/* Surplus pages that were free, but promised, are not needed any more. */
	for (unsigned node = 0; node < m->n_nodes; node++) {
		gw_pfn_t page;

		while ((page = remove_surplus(m, node, order)) != GW_PFN_NONE)
			gw_put_page(m, page);
	}
}

bool
gw_hugetlb_release(struct gw_machine *m, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(m, pfn);
	unsigned order = gw_flags_order(gw_page_flags(page));
	struct gw_hugetlb_pool *pool = pool_of(m, pfn);
	bool stays;

	gw_prepare_page(m, pfn, order); /* as if new: one reference, the pool's */
	gw_spin_lock(&m->hugetlb_lock);
	stays = pool->surplus == 0;
	if (stays) {
		push(m, pool, pfn);
	} else {
		pool->surplus--;
		pool->total--;
	}
	gw_spin_unlock(&m->hugetlb_lock);
	return stays || !gw_ref_put(&page->refcount);
}

/* ---- in and out ---- */

/* hugetlb_lock held. */
static void
add(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_hugetlb_pool *pool = pool_of(m, page);

	push(m, pool, page);
	pool->total++;
}

void
gw_hugetlb_add(struct gw_machine *m, gw_pfn_t page)
{
	gw_spin_lock(&m->hugetlb_lock);
	add(m, page);
	gw_spin_unlock(&m->hugetlb_lock);
}

/* May the page, any frame, leave, with `other` in its place? hugetlb_lock held. */
static bool
may_leave(const struct gw_machine *m, gw_pfn_t page, gw_pfn_t other)
{
	const uint32_t wanted = GW_PG_HUGETLB | GW_PG_FREED;
	uint32_t flags = gw_page_flags(gw_page(m, page));

	if (gw_flags_type(flags) != GW_PAGE_USED || (flags & wanted) != wanted)
		return false;
	if (other == GW_PFN_NONE)
		return has_unreserved(m, gw_flags_order(flags));
	return pool_of(m, page) == pool_of(m, other);
}

bool
gw_hugetlb_replace(struct gw_machine *m, gw_pfn_t page, gw_pfn_t other)
{
	bool leaves;

	gw_spin_lock(&m->hugetlb_lock);
	leaves = may_leave(m, page, other);
	if (leaves && other != GW_PFN_NONE)
		add(m, other);
	if (leaves)
		leave(m, pool_of(m, page), page);
	gw_spin_unlock(&m->hugetlb_lock);
	return leaves;
}

gw_pfn_t
gw_hugetlb_remove_any(struct gw_machine *m, unsigned node, unsigned order)
{
	struct gw_hugetlb_pool *pool = &m->nodes[node].hugetlb[order];
	gw_pfn_t page = GW_PFN_NONE;

	gw_spin_lock(&m->hugetlb_lock);
	if (pool->free.n && has_unreserved(m, order)) {
		page = pool->free.first;
		leave(m, pool, page);
	}
	gw_spin_unlock(&m->hugetlb_lock);
	return page;
}

/* dst takes src's place: a surplus, if src's node has any, is dst's node's from now on. */
static void
move_place(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src)
{
	struct gw_hugetlb_pool *from = pool_of(m, src), *to = pool_of(m, dst);
	bool surplus = from->surplus > 0;

	gw_u32_or_relaxed(&gw_page(m, dst)->flags, GW_PG_HUGETLB);
	gw_u32_and_relaxed(&gw_page(m, src)->flags, ~GW_PG_HUGETLB);
	from->surplus -= surplus;
	to->surplus += surplus;
	from->total--;
	to->total++;
}

void
gw_hugetlb_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src)
{
	gw_spin_lock(&m->hugetlb_lock);
	if (!(gw_page_flags(gw_page(m, dst)) & GW_PG_HUGETLB))
		move_place(m, dst, src);
	gw_spin_unlock(&m->hugetlb_lock);
}

/* ---- the check ---- */

static void
count_pages(struct gw_machine *m, uint64_t total[GW_NODES_MAX][GW_HUGETLB_ORDERS],
	uint64_t freed[GW_NODES_MAX][GW_HUGETLB_ORDERS])
{
	for (unsigned z = 0; z < m->n_zones; z++) {
		const struct gw_zone *zone = &m->zones[z];

		for (gw_pfn_t pfn = zone->start; pfn < zone->end; pfn++) {
			uint32_t flags = gw_page_flags(gw_page(m, pfn));
			unsigned order = gw_flags_order(flags);

			if (!(flags & GW_PG_HUGETLB) || order >= GW_HUGETLB_ORDERS)
				continue;
			total[zone->node][order]++;
			freed[zone->node][order] += (flags & GW_PG_FREED) != 0;
		}
	}
}

void
gw_hugetlb_check(struct gw_machine *m, struct gw_findings *findings)
{
	uint64_t total[GW_NODES_MAX][GW_HUGETLB_ORDERS] = {{0}},
		 freed[GW_NODES_MAX][GW_HUGETLB_ORDERS] = {{0}};

	count_pages(m, total, freed);
	for (unsigned order = 1; order < GW_HUGETLB_ORDERS; order++) {
		for (unsigned node = 0; node < m->n_nodes; node++) {
			const struct gw_hugetlb_pool *pool = &m->nodes[node].hugetlb[order];

			if (pool->total != total[node][order] || pool->free.n != freed[node][order])
				gw_found(findings,
					"H1: node %u's pool of order %u counts %llu pages and %llu "
					"free, and has %llu and %llu",
					node, order, (unsigned long long)pool->total,
					(unsigned long long)pool->free.n,
					(unsigned long long)total[node][order],
					(unsigned long long)freed[node][order]);
		}
		if (m->hugetlb_reserved[order] > free_pages(m, order))
			gw_found(findings,
				"H2: %llu pages of order %u are reserved, and %llu are free",
				(unsigned long long)m->hugetlb_reserved[order], order,
				(unsigned long long)free_pages(m, order));
	}
}
