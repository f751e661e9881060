/* SPDX-License-Identifier: MIT */
/*
 * move_pages.c - moving the pages of an address space to nodes: move_pages(2) and migrate_pages(2)
 * (FACTS 2.3).
 *
 * Idea. For each node that a page may be on there is one that it shall be on. New pages come from
 * that node or not at all.
 */
#include <errno.h>
#include <limits.h>

#include "engine/migrate/move.h"
#include "engine/phys/hugetlb.h"

/* Target node, by the page's. */
struct targets {
	unsigned to[GW_NODES_MAX];
};

static bool
is_home(const struct gw_move *mv, gw_pfn_t page)
{
	const struct targets *targets = mv->ctx;
	unsigned node = gw_page_node(mv->m, page);

	return targets->to[node] == node;
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	const struct gw_move *mv = ctx;
	const struct targets *targets = mv->ctx;
	unsigned node = targets->to[gw_page_node(m, src)];

	*dst = gw_hugetlb_take_target(m, src, node, (uint64_t)1 << node);
	if (*dst != GW_PFN_NONE)
		return 0;
	return gw_alloc_pages(m, GW_GFP_MOVABLE | GW_GFP_THISNODE, node, order, dst);
}

static void
begin(struct gw_move *mv, struct gw_mm *mm, const struct targets *targets)
{
	mv->reason = GW_MR_SYSCALL;
	mv->is_home = is_home;
	mv->get_new_page = get_new_page;
	mv->ctx = targets;
	gw_move_begin(mv, mm);
}

/* ---- move_pages(2) ---- */

/* Only tell. */
static int
tell_node(struct gw_move *mv, gw_vaddr_t addr)
{
	gw_pfn_t page;
	int err = gw_move_find(mv, addr, &page);

	if (err)
		return err;
	err = (int)gw_page_node(mv->m, page);
	gw_put_page(mv->m, page);
	return err;
}

/* From now on every page goes to `node`. */
static void
aim_at(struct gw_move *mv, struct targets *targets, unsigned node)
{
	if (targets->to[0] == node)
		return;
	gw_move_batch(mv);
	for (unsigned i = 0; i < GW_NODES_MAX; i++)
		targets->to[i] = node;
}

static void
move_one(struct gw_move *mv, struct targets *targets, gw_vaddr_t addr, int node, bool shared_too,
	int *status)
{
	int err;

	if (node < 0 || (unsigned)node >= mv->m->n_nodes) {
		*status = -ENODEV;
		return;
	}
	aim_at(mv, targets, (unsigned)node);
	*status = node; /* unless it stays */
	err = gw_move_address(mv, addr, shared_too, status);
	if (err)
		*status = err == -EINVAL ? -EFAULT : err;
}

int
gw_move_pages(struct gw_mm *mm, size_t n, const uint64_t *addrs, const int *nodes, int *status,
	unsigned flags)
{
	size_t elsewhere = 0;
	struct gw_move mv;
	struct targets targets;

	if (flags & ~(unsigned)GW_MOVE_ALL || n > INT_MAX || (n && (!addrs || !status)))
		return -EINVAL;
	begin(&mv, mm, &targets);
	for (unsigned i = 0; i < GW_NODES_MAX; i++)
		targets.to[i] = GW_NODES_MAX; /* nowhere yet */
	for (size_t i = 0; i < n; i++) {
		if (nodes)
			move_one(
				&mv, &targets, addrs[i], nodes[i], flags & GW_MOVE_ALL, &status[i]);
		else
			status[i] = tell_node(&mv, addrs[i]);
	}
	gw_move_batch(&mv);
	for (size_t i = 0; nodes && i < n; i++)
		elsewhere += status[i] != nodes[i];
	return (int)elsewhere;
}

/* ---- migrate_pages(2) ---- */

static bool
is_node_set(const struct gw_machine *m, uint64_t set)
{
	return set && (m->n_nodes >= 64 || !(set >> m->n_nodes));
}

/* The nth node of the set, counted around. */
static unsigned
nth_node(uint64_t set, unsigned n)
{
	unsigned skip = n % (unsigned)__builtin_popcountll(set);

	while (skip--)
		set &= set - 1;
	return (unsigned)__builtin_ctzll(set);
}

static void
map_nodes(struct targets *targets, uint64_t from, uint64_t to)
{
	unsigned nth = 0;

	for (unsigned node = 0; node < GW_NODES_MAX; node++) {
		targets->to[node] = node;
		if (!(from >> node & 1))
			continue;
		if (!(to >> node & 1))
			targets->to[node] = nth_node(to, nth);
		nth++;
	}
}

int
gw_migrate_mm(struct gw_mm *mm, uint64_t from, uint64_t to)
{
	gw_vaddr_t start = 0, end = 0;
	uint64_t refused = 0;
	struct gw_move mv;
	struct targets targets;

	if (!is_node_set(mm->machine, from) || !is_node_set(mm->machine, to))
		return -EINVAL;
	map_nodes(&targets, from, to);
	begin(&mv, mm, &targets);
	while (gw_move_next_range(&mv, end, GW_VADDR_END, &start, &end)) {
		for (gw_vaddr_t addr = start; addr < end; addr += GW_PAGE_SIZE) {
			int err = gw_move_address(&mv, addr, true, NULL);

			refused += err == -EBUSY || err == -EINVAL || err == -EAGAIN;
		}
	}
	gw_move_batch(&mv);
	return (int)(refused + mv.stayed);
}
