/* SPDX-License-Identifier: MIT */
/*
 * hugetlb.c - filling and emptying the pools of huge pages (FACTS 2.1).
 *
 * Idea. Pages come from the buddy allocator as any others, and it compacts for them; gigantic ones,
 * which it does not have, from a range that is emptied. The pools only keep them
 * (engine/phys/hugetlb.c). Here, since both ways lead through this room.
 */
#include "engine/compact/range.h"
#include "engine/phys/hugetlb.h"

static int
check_pool(const struct gw_machine *m, unsigned node, unsigned order)
{
	return node >= m->n_nodes || order == 0 || order >= GW_HUGETLB_ORDERS ? -EINVAL : 0;
}

int
gw_hugetlb_info(struct gw_machine *m, unsigned node, unsigned order, struct gw_hugetlb_info *out)
{
	const struct gw_hugetlb_pool *pool;

	if (check_pool(m, node, order))
		return -EINVAL;
	pool = &m->nodes[node].hugetlb[order];
	gw_spin_lock(&m->hugetlb_lock);
	out->total = pool->total;
	out->free = pool->free.n;
	out->surplus = pool->surplus;
	out->reserved = m->hugetlb_reserved[order];
	gw_spin_unlock(&m->hugetlb_lock);
	return 0;
}

static bool
is_gigantic(const struct gw_machine *m, unsigned order)
{
	return order > m->config.max_order;
}

static int
new_page(struct gw_machine *m, unsigned node, unsigned order, gw_pfn_t *page)
{
	int err;

	if (is_gigantic(m, order))
		return gw_alloc_contig_page(m, node, order, page);
	err = gw_alloc_pages(m, GW_GFP_USER_MOVABLE | GW_GFP_THISNODE, node, order, page);
	gw_count(m, err ? GW_VM_HTLB_BUDDY_ALLOC_FAIL : GW_VM_HTLB_BUDDY_ALLOC_SUCCESS, 1);
	return err;
}

/* One page more: surplus becomes ordinary first. */
static bool
grow(struct gw_machine *m, unsigned node, unsigned order)
{
	struct gw_hugetlb_pool *pool = &m->nodes[node].hugetlb[order];
	gw_pfn_t page;
	bool had_surplus;

	gw_spin_lock(&m->hugetlb_lock);
	had_surplus = pool->surplus > 0;
	pool->surplus -= had_surplus;
	gw_spin_unlock(&m->hugetlb_lock);
	if (had_surplus)
		return true;
	if (new_page(m, node, order, &page))
		return false;
	gw_hugetlb_add(m, page);
	return true;
}

/* One page fewer: a free one, or one in use as soon as it is free. */
static void
shrink(struct gw_machine *m, unsigned node, unsigned order)
{
	struct gw_hugetlb_pool *pool = &m->nodes[node].hugetlb[order];
	gw_pfn_t page = gw_hugetlb_remove_any(m, node, order);

	if (page != GW_PFN_NONE) {
		gw_put_page(m, page);
		return;
	}
	gw_spin_lock(&m->hugetlb_lock);
	pool->surplus += pool->surplus < pool->total; /* another task may shrink it, too */
	gw_spin_unlock(&m->hugetlb_lock);
}

static uint64_t
size_of(struct gw_machine *m, const struct gw_hugetlb_pool *pool)
{
	uint64_t size;

	gw_spin_lock(&m->hugetlb_lock);
	size = pool->total - pool->surplus;
	gw_spin_unlock(&m->hugetlb_lock);
	return size;
}

int
gw_hugetlb_resize(struct gw_machine *m, unsigned node, unsigned order, uint64_t n, uint64_t *got)
{
	uint64_t size;

	if (check_pool(m, node, order))
		return -EINVAL;
	gw_might_sleep();
	while ((size = size_of(m, &m->nodes[node].hugetlb[order])) > n)
		shrink(m, node, order);
	while (size < n && grow(m, node, order))
		size++;
	*got = size;
	return 0;
}

int
gw_hugetlb_alloc(struct gw_machine *m, unsigned node, unsigned order, gw_pfn_t *out)
{
	gw_pfn_t page;

	if (check_pool(m, node, order))
		return -EINVAL;
	page = gw_hugetlb_take(m, node, GW_ALL_NODES, order, false);
	if (page == GW_PFN_NONE)
		return -ENOMEM;
	*out = page;
	return 0;
}

int
gw_hugetlb_dissolve(struct gw_machine *m, gw_pfn_t pfn)
{
	uint32_t flags = gw_page_flags(gw_page(m, pfn));
	unsigned order = gw_flags_order(flags);
	gw_pfn_t other = GW_PFN_NONE;

	if (!(flags & GW_PG_FREED))
		return -EBUSY;
	if (!is_gigantic(m, order))
		(void)!gw_alloc_from_zonelist(m, GW_GFP_MOVABLE | GW_GFP_THISNODE,
			gw_page_node(m, pfn), order, GW_WMARK_MIN, &other);
	if (gw_hugetlb_replace(m, pfn, other)) {
		gw_put_page(m, pfn);
		return 0;
	}
	if (other != GW_PFN_NONE)
		gw_put_page(m, other);
	return -EBUSY;
}
