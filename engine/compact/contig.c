/* SPDX-License-Identifier: MIT */
/*
 * contig.c - allocating given frames, and the first place where n frames can be had (FACTS 2.1).
 *
 * Steps
 *   K1  isolate the pageblocks that the range touches; one with an unmovable page ends it here
 *   K2  move out what is in the range, up to ROUNDS times
 *   K3  take it from the buddy lists when all of it is free, and make it pages
 *   K4  un-isolate: what the pageblocks at the edges have outside of the range is as before
 *
 * CMA pageblocks are the same for this: a request for them goes to them only, and others' do not.
 */
#include "engine/compact/compact_internal.h"
#include "engine/compact/range.h"

#define ROUNDS 5

static void
make_pages(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end, unsigned order)
{
	for (gw_pfn_t pfn = start; pfn < end; pfn += (gw_pfn_t)1 << order)
		gw_prepare_page(m, pfn, order);
	gw_count(m, GW_VM_PGALLOC, end - start);
}

/* K2, K3 */
static int
empty_and_take(struct gw_range *r)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		int err = gw_range_move_out(r);

		if (err)
			return err;
		if (gw_range_try_take(r))
			return 0;
	}
	return -EBUSY;
}

/* The range becomes pages of this order. */
static int
alloc_range(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end, enum gw_migratetype type,
	unsigned order, struct gw_obstacle *why)
{
	struct gw_range r = {.type = type, .reason = GW_MR_CONTIG_RANGE, .why = why};
	int err = gw_range_init(&r, m, start, end);

	if (err || (type != GW_MT_MOVABLE && type != GW_MT_CMA))
		return -EINVAL;
	gw_might_sleep();
	err = gw_range_isolate(&r);
	if (err)
		return err;
	err = empty_and_take(&r);
	if (!err)
		make_pages(m, start, end, order);
	gw_range_unisolate(&r);
	return err;
}

int
gw_alloc_contig(struct gw_machine *m, gw_pfn_t start, gw_pfn_t end, enum gw_migratetype type,
	struct gw_obstacle *why)
{
	struct gw_obstacle ignored = {.pfn = GW_PFN_NONE};

	return alloc_range(m, start, end, type, 0, why ? why : &ignored);
}

void
gw_free_contig(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n)
{
	for (gw_pfn_t pfn = start; pfn < start + n; pfn++)
		gw_put_page(m, pfn);
}

/* ---- the first place ---- */

struct search {
	struct gw_machine *m;
	gw_pfn_t n, align;
	unsigned order; /* of the pages that the frames become */
	enum gw_migratetype type;
	struct gw_obstacle *why; /* of the last place */
	gw_pfn_t *out;
};

/* The first frame of the range at `start` that stands in the way for good, or GW_PFN_NONE. */
static gw_pfn_t
first_blocked(const struct gw_range *r)
{
	gw_pfn_t block = GW_PFN_NONE, n;

	for (gw_pfn_t pfn = r->start; pfn < r->end; pfn += n) {
		enum gw_obstacle_why why = gw_range_blocked_by(r, pfn, &n);

		if (why == GW_WHY_NOTHING && gw_pageblock_start(r->m, pfn) != block) {
			block = gw_pageblock_start(r->m, pfn);
			why = gw_range_block_refused(r, block);
		}
		if (why != GW_WHY_NOTHING) {
			*r->why = (struct gw_obstacle){.pfn = pfn, .why = why};
			return pfn;
		}
	}
	return GW_PFN_NONE;
}

static gw_pfn_t
aligned_up(gw_pfn_t pfn, gw_pfn_t align)
{
	return (pfn + align - 1) & ~(align - 1);
}

/* 0, -EINTR, or -ENOMEM: not in this zone. */
static int
search_zone(const struct search *s, const struct gw_zone *zone)
{
	gw_pfn_t start = aligned_up(zone->start, s->align);

	while (start >= zone->start && start < zone->end && zone->end - start >= s->n) {
		struct gw_range r = {.type = s->type, .why = s->why};
		gw_pfn_t blocked = start, next;
		int err = gw_range_init(&r, s->m, start, start + s->n);

		if (!err)
			blocked = first_blocked(&r);
		if (blocked == GW_PFN_NONE) {
			err = alloc_range(s->m, start, start + s->n, s->type, s->order, s->why);
			if (!err)
				*s->out = start;
			if (err != -EBUSY)
				return err;
			blocked = start;
		}
		next = aligned_up(blocked + 1, s->align); /* past what blocks this one */
		if (next <= start)
			break;
		start = next;
	}
	return -ENOMEM;
}

static int
search_nodes(const struct search *s, const struct gw_node *node, uint64_t nodes)
{
	int err = -ENOMEM;

	for (unsigned i = 0; i < node->n_zonelist && err == -ENOMEM; i++) {
		const struct gw_zone *zone = &s->m->zones[node->zonelist[i]];

		if (gw_zone_in(zone, nodes))
			err = search_zone(s, zone);
	}
	return err;
}

static int
search(struct search *s, unsigned node, gw_gfp_t gfp)
{
	*s->why = (struct gw_obstacle){.pfn = GW_PFN_NONE};
	if (s->n == 0 || s->align == 0 || s->align & (s->align - 1) || node >= s->m->n_nodes)
		return -EINVAL;
	return search_nodes(s, &s->m->nodes[node], gw_gfp_nodes(gfp, node));
}

int
gw_alloc_contig_pages(struct gw_machine *m, gw_pfn_t n, gw_pfn_t align, gw_gfp_t gfp, unsigned node,
	gw_pfn_t *out, struct gw_obstacle *why)
{
	struct gw_obstacle ignored = {.pfn = GW_PFN_NONE};
	struct search s = {.m = m,
		.n = n,
		.align = align,
		.type = GW_MT_MOVABLE,
		.why = why ? why : &ignored,
		.out = out};

	return search(&s, node, gfp);
}

int
gw_alloc_contig_page(struct gw_machine *m, unsigned node, unsigned order, gw_pfn_t *out)
{
	struct gw_obstacle ignored = {.pfn = GW_PFN_NONE};
	struct search s = {.m = m,
		.n = (gw_pfn_t)1 << order,
		.align = (gw_pfn_t)1 << order,
		.order = order,
		.type = GW_MT_MOVABLE,
		.why = &ignored,
		.out = out};

	return search(&s, node, GW_GFP_THISNODE);
}

int
gw_cma_alloc(struct gw_machine *m, gw_pfn_t n, gw_pfn_t align, unsigned node, gw_pfn_t *out,
	struct gw_obstacle *why)
{
	struct gw_obstacle ignored = {.pfn = GW_PFN_NONE};
	struct search s = {.m = m,
		.n = n,
		.align = align,
		.type = GW_MT_CMA,
		.why = why ? why : &ignored,
		.out = out};
	int err = search(&s, node, GW_GFP_THISNODE);

	if (err != -EINVAL)
		gw_count(m, err ? GW_VM_CMA_ALLOC_FAIL : GW_VM_CMA_ALLOC_SUCCESS, 1);
	return err;
}
