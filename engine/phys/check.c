/* SPDX-License-Identifier: MIT */
/*
 * check.c - gw_machine_check() of frames: walk everything, believe nothing (DESIGN 4).
 *
 * Idea. Two walks meet. The first follows every list and marks each page it finds in a bitmap;
 * a page found twice, or in a state that does not belong on that list, is a finding. The
 * second goes over the frames in order: each one must be accounted for by exactly one block
 * or page, on a list exactly if its state says so, and the sums must be the counters'.
 *
 * Checks F1 to F5 (page.h), Z1, Z2, Z4, Z5 (phys.h), P1, P2, Q1, U1 to U4, L1, E1, I7, X1, J1, J3
 * (charge.h). Not Z3: blocks may have been seeded apart.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/phys/buddy.h"
#include "engine/phys/charge.h"
#include "engine/phys/hugetlb.h"

struct check {
	struct gw_machine *m;
	struct gw_findings *findings;
	uint64_t *listed; /* one bit per frame: its head stands on a list, or in a batch */
	uint64_t isolated[GW_NODES_MAX][2]; /* frames isolated from anon and file lists */
	uint64_t deferred[GW_NODES_MAX];    /* pages that say they are queued for splitting */
};

void
gw_found(struct gw_findings *findings, const char *format, ...)
{
	char line[GW_MESSAGE_MAX];
	va_list ap;

	findings->n++;
	if (!findings->report)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	findings->report(findings->ctx, line);
}

static bool
is_listed(const struct check *c, gw_pfn_t pfn)
{
	return c->listed[pfn / 64] >> (pfn % 64) & 1;
}

#define ANY_NODE GW_NODES_MAX

/* What every page on one list must look like. */
struct list_claim {
	const char *name;
	enum gw_page_type type;
	int order;		    /* -1: any */
	uint32_t flags, mask;	    /* flags & mask, of the frame's word */
	uint32_t index;		    /* of free pages: their list's migratetype */
	const struct gw_zone *zone; /* NULL: any */
	unsigned node;		    /* or ANY_NODE */
};

static void
check_listed(struct check *c, gw_pfn_t pfn, const struct list_claim *claim)
{
	const struct gw_page *page = gw_page(c->m, pfn);
	const struct gw_zone *zone = gw_page_zone(c->m, pfn);
	uint32_t flags = gw_page_flags(page);

	if (gw_flags_type(flags) != claim->type)
		gw_found(c->findings, "F1: frame %#x on %s has type %d", pfn, claim->name,
			gw_flags_type(flags));
	if (claim->order >= 0 && gw_flags_order(flags) != (unsigned)claim->order)
		gw_found(c->findings, "F3: frame %#x on %s of order %d says order %u", pfn,
			claim->name, claim->order, gw_flags_order(flags));
	if ((flags & claim->mask) != claim->flags)
		gw_found(c->findings, "U1: frame %#x on %s has flags %#x", pfn, claim->name, flags);
	if (claim->type != GW_PAGE_USED && gw_frame_index(page) != claim->index)
		gw_found(c->findings, "F1: frame %#x on %s says list %u", pfn, claim->name,
			gw_frame_index(page));
	if (claim->type == GW_PAGE_BUDDY && gw_pageblock_type(c->m, pfn) != claim->index)
		gw_found(c->findings,
			"Z5: frame %#x is on a list of type %u in a pageblock of type %u", pfn,
			claim->index, gw_pageblock_type(c->m, pfn));
	if (!zone || (claim->zone && zone != claim->zone) ||
		(claim->node != ANY_NODE && zone->node != claim->node))
		gw_found(c->findings, "Z4: frame %#x on %s of another zone", pfn, claim->name);
}

static void
note_listed(struct check *c, gw_pfn_t pfn, const char *where)
{
	if (is_listed(c, pfn))
		gw_found(c->findings, "F1: frame %#x on %s is on another list too", pfn, where);
	c->listed[pfn / 64] |= (uint64_t)1 << (pfn % 64);
}

/* Walk a list. Returns the frames its pages make up. */
static uint64_t
walk_list(struct check *c, const struct gw_page_list *list, const struct list_claim *claim)
{
	gw_pfn_t prev = GW_PFN_NONE;
	uint64_t n = 0, frames = 0;

	for (gw_pfn_t pfn = list->first; pfn != GW_PFN_NONE; pfn = gw_page(c->m, pfn)->next) {
		if (pfn >= c->m->n_frames || n++ == list->n) {
			gw_found(c->findings, "L1: %s runs on past its %llu pages at %#x",
				claim->name, (unsigned long long)list->n, pfn);
			return frames;
		}
		if (gw_page(c->m, pfn)->prev != prev)
			gw_found(
				c->findings, "L1: %s is broken before frame %#x", claim->name, pfn);
		note_listed(c, pfn, claim->name);
		check_listed(c, pfn, claim);
		frames += (uint64_t)1 << gw_flags_order(gw_page_flags(gw_page(c->m, pfn)));
		prev = pfn;
	}
	if (n != list->n || list->last != prev)
		gw_found(c->findings, "L1: %s counts %llu pages and has %llu", claim->name,
			(unsigned long long)list->n, (unsigned long long)n);
	return frames;
}

static void
check_free_areas(struct check *c, struct gw_zone *zone)
{
	uint64_t free = 0, cma = 0, highatomic = 0;

	for (unsigned o = 0; o <= c->m->config.max_order; o++) {
		uint64_t blocks = 0;

		for (unsigned t = 0; t < GW_MT_NR; t++) {
			struct list_claim claim = {"a free list", GW_PAGE_BUDDY, (int)o, 0,
				GW_PG_FLAGS_MASK, t, zone, ANY_NODE};
			uint64_t frames = walk_list(c, &zone->free_area[o].lists[t], &claim);

			blocks += zone->free_area[o].lists[t].n;
			free += t == GW_MT_ISOLATE ? 0 : frames;
			if ((zone->free_area[o].lists[t].n != 0) !=
				(gw_u32_load_relaxed(&zone->free_orders[t]) >> o & 1))
				gw_found(c->findings,
					"Z5: zone %s misremembers if it has blocks of order %u, "
					"type %u",
					zone->name, o, t);
			cma += t == GW_MT_CMA ? frames : 0;
			highatomic += t == GW_MT_HIGHATOMIC ? frames : 0;
		}
		if (blocks != zone->free_area[o].nr_free)
			gw_found(c->findings,
				"Z2: zone %s counts %llu free blocks of order %u and has %llu",
				zone->name, (unsigned long long)zone->free_area[o].nr_free, o,
				(unsigned long long)blocks);
	}
	if (free != gw_u64_load_relaxed(&zone->nr_free) ||
		cma != gw_u64_load_relaxed(&zone->nr_free_cma) ||
		highatomic != gw_u64_load_relaxed(&zone->nr_free_highatomic))
		gw_found(c->findings, "Z2: zone %s counts %llu free frames and has %llu",
			zone->name, (unsigned long long)gw_u64_load_relaxed(&zone->nr_free),
			(unsigned long long)free);
}

static void
check_pcps(struct check *c, struct gw_zone *zone)
{
	for (unsigned cpu = 0; cpu < c->m->config.n_cpus; cpu++) {
		struct gw_pcp *pcp = &zone->pcp[cpu];
		uint64_t frames = 0;

		for (unsigned i = 0; i < GW_PCP_LISTS; i++) {
			unsigned row = i / GW_MT_PCPTYPES;
			struct list_claim claim = {"a per-CPU list", GW_PAGE_PCP,
				row < GW_PCP_SMALL_ORDERS ? (int)row
							  : (int)c->m->config.pageblock_order,
				0, GW_PG_FLAGS_MASK, i % GW_MT_PCPTYPES, zone, ANY_NODE};

			frames += walk_list(c, &pcp->lists[i], &claim);
		}
		if (frames != pcp->n_frames)
			gw_found(c->findings,
				"Q1: zone %s CPU %u counts %u per-CPU frames and has %llu",
				zone->name, cpu, pcp->n_frames, (unsigned long long)frames);
	}
}

static void
check_lrus(struct check *c, unsigned id)
{
	static const uint32_t flags[GW_LRU_NR] = {GW_PG_LRU, GW_PG_LRU | GW_PG_ACTIVE,
		GW_PG_LRU | GW_PG_FILE, GW_PG_LRU | GW_PG_FILE | GW_PG_ACTIVE,
		GW_PG_LRU | GW_PG_UNEVICTABLE};
	struct gw_node *node = &c->m->nodes[id];

	for (unsigned l = 0; l < GW_LRU_NR; l++) {
		struct list_claim claim = {"an LRU list", GW_PAGE_USED, -1, flags[l],
			l == GW_LRU_UNEVICTABLE
				? GW_PG_LRU | GW_PG_UNEVICTABLE
				: GW_PG_LRU | GW_PG_ACTIVE | GW_PG_FILE | GW_PG_UNEVICTABLE,
			0, NULL, id};
		uint64_t frames = walk_list(c, &node->lru[l], &claim);

		if (frames != gw_u64_load_relaxed(&node->lru_frames[l]))
			gw_found(c->findings, "U2: node %u LRU %u counts %llu frames and has %llu",
				id, l,
				(unsigned long long)gw_u64_load_relaxed(&node->lru_frames[l]),
				(unsigned long long)frames);
	}
}

static void
check_batched(struct check *c, gw_pfn_t pfn)
{
	const struct list_claim claim = {"an LRU batch", GW_PAGE_USED, -1, GW_PG_LRU_BATCHED,
		GW_PG_LRU | GW_PG_LRU_HELD | GW_PG_LRU_BATCHED, 0, NULL, ANY_NODE};

	if (pfn >= c->m->n_frames) {
		gw_found(c->findings, "U4: frame %#x in an LRU batch is off the map", pfn);
		return;
	}
	note_listed(c, pfn, claim.name);
	check_listed(c, pfn, &claim);
}

static void
check_batches(struct check *c)
{
	for (unsigned cpu = 0; cpu < c->m->config.n_cpus; cpu++) {
		const struct gw_lru_batch *batch = &c->m->lru_batches[cpu];

		if (batch->n > c->m->config.lru_batch)
			gw_found(c->findings, "U4: CPU %u has %u pages in its LRU batch", cpu,
				batch->n);
		for (unsigned i = 0; i < batch->n && i < c->m->config.lru_batch; i++)
			check_batched(c, batch->pages[i]);
	}
}

/* The frames behind a head must be what the head says. */
static void
check_inner(struct check *c, gw_pfn_t pfn, uint32_t flags)
{
	bool used = gw_flags_type(flags) == GW_PAGE_USED;

	for (gw_pfn_t i = 1; i < (gw_pfn_t)1 << gw_flags_order(flags); i++) {
		const struct gw_page *page = gw_page(c->m, pfn + i);

		if (gw_page_flags(page) != gw_flags_make(used ? GW_PAGE_TAIL : GW_PAGE_FREE, 0) ||
			(used && gw_frame_index(page) != i))
			gw_found(c->findings, "F3: frame %#x inside the block of %#x has flags %#x",
				pfn + i, pfn, gw_page_flags(page));
		if (gw_ptr_load_relaxed(&page->owner))
			gw_found(c->findings, "F4: frame %#x inside the block of %#x has an owner",
				pfn + i, pfn);
		if (gw_ref_read(&page->refcount) != 0)
			gw_found(c->findings,
				"I7: frame %#x inside the block of %#x has %u references", pfn + i,
				pfn, gw_ref_read(&page->refcount));
	}
}

/* F5 */
static void
check_map_counts(struct check *c, gw_pfn_t pfn, uint32_t flags)
{
	struct gw_page *head = gw_page(c->m, pfn);
	uint32_t sum = gw_u32_load_relaxed(gw_page_entire_maps(head));

	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << gw_flags_order(flags); i++)
		sum += gw_u32_load_relaxed(gw_page_frame_maps(head, i));
	if (sum != gw_u32_load_relaxed(&head->mapcount))
		gw_found(c->findings, "F5: page of %#x counts %u entries, and has %u", pfn,
			gw_u32_load_relaxed(&head->mapcount), sum);
}

static bool
expects_list(uint32_t flags)
{
	switch (gw_flags_type(flags)) {
	case GW_PAGE_BUDDY:
	case GW_PAGE_PCP:
		return true;
	case GW_PAGE_USED:
		return flags & (GW_PG_LRU | GW_PG_LRU_BATCHED);
	default:
		return false;
	}
}

static void
check_order(struct check *c, gw_pfn_t pfn, uint32_t flags)
{
	unsigned order = gw_flags_order(flags);
	bool compound = flags & GW_PG_COMPOUND;

	if (order > (flags & GW_PG_HUGETLB ? GW_HUGETLB_ORDERS - 1 : c->m->config.max_order))
		gw_found(c->findings, "F3: block of %#x has order %u", pfn, order);
	if (gw_flags_type(flags) == GW_PAGE_USED && compound != (order > 0))
		gw_found(c->findings, "F3: page of %#x, order %u, is%s compound", pfn, order,
			compound ? "" : " not");
}

/* One frame that heads something; returns how many frames it accounts for. */
static gw_pfn_t
check_head(struct check *c, const struct gw_zone *zone, gw_pfn_t pfn, uint64_t *managed)
{
	const struct gw_page *page = gw_page(c->m, pfn);
	uint32_t flags = gw_page_flags(page);
	enum gw_page_type type = gw_flags_type(flags);
	unsigned order = gw_flags_order(flags);
	gw_pfn_t n = (gw_pfn_t)1 << order;
	uint32_t refs = gw_ref_read(&page->refcount);

	if (type == GW_PAGE_FREE || type == GW_PAGE_TAIL || type > GW_PAGE_TAIL) {
		gw_found(c->findings, "F1: frame %#x belongs to no block or page (flags %#x)", pfn,
			flags);
		return 1;
	}
	if ((refs != 0) != (type == GW_PAGE_USED))
		gw_found(
			c->findings, "F2: frame %#x of type %d has %u references", pfn, type, refs);
	if (type != GW_PAGE_USED && gw_ptr_load_relaxed(&page->owner))
		gw_found(c->findings, "F4: frame %#x of type %d has an owner", pfn, type);
	if (type != GW_PAGE_RESERVED && gw_pageblock_is_offline(c->m, pfn))
		gw_found(c->findings, "P2: frame %#x of an offline pageblock has flags %#x", pfn,
			flags);
	if (type == GW_PAGE_RESERVED) {
		if (flags)
			gw_found(c->findings, "F1: reserved frame %#x has flags %#x", pfn, flags);
		return 1;
	}
	*managed += n;
	check_order(c, pfn, flags);
	if (pfn & (n - 1)) {
		gw_found(c->findings, "Z1: block of %#x, order %u, is not aligned", pfn, order);
		return 1;
	}
	if (n > zone->end - pfn) {
		gw_found(c->findings, "Z4: block of %#x, order %u, leaves its zone", pfn, order);
		return 1;
	}
	c->deferred[zone->node] += (flags & GW_PG_DEFERRED) != 0;
	if (flags & GW_PG_LRU_HELD)
		c->isolated[zone->node][flags & GW_PG_FILE ? 1 : 0] += n;
	if (expects_list(flags) != is_listed(c, pfn))
		gw_found(c->findings, "F1: frame %#x with flags %#x is %son a list", pfn, flags,
			is_listed(c, pfn) ? "" : "not ");
	if (type == GW_PAGE_USED && (flags & GW_PG_LOCKED))
		gw_found(c->findings, "frame %#x is locked on an idle machine", pfn);
	check_inner(c, pfn, flags);
	if (flags & GW_PG_COMPOUND)
		check_map_counts(c, pfn, flags);
	return n;
}

static void
check_frames(struct check *c, struct gw_zone *zone)
{
	uint64_t managed = 0;

	for (gw_pfn_t pfn = zone->start; pfn < zone->end;)
		pfn += check_head(c, zone, pfn, &managed);
	if (managed != gw_u64_load_relaxed(&zone->managed))
		gw_found(c->findings, "E1: zone %s manages %llu frames and has %llu", zone->name,
			(unsigned long long)gw_u64_load_relaxed(&zone->managed),
			(unsigned long long)managed);
}

static void
check_isolated(struct check *c, unsigned id)
{
	for (unsigned file = 0; file < 2; file++) {
		uint64_t n = gw_u64_load_relaxed(&c->m->nodes[id].isolated_frames[file]);

		if (n != c->isolated[id][file])
			gw_found(c->findings,
				"U3: node %u counts %llu isolated frames and has %llu", id,
				(unsigned long long)n, (unsigned long long)c->isolated[id][file]);
	}
}

/* X1 */
static void
check_deferred(struct check *c, unsigned id)
{
	const struct gw_page_list *queue = &c->m->nodes[id].deferred;
	uint64_t n = 0;

	for (gw_pfn_t pfn = queue->first; pfn != GW_PFN_NONE && n <= queue->n;
		pfn = gw_page(c->m, pfn)->next, n++)
		if (!(gw_page_flags(gw_page(c->m, gw_page_head(c->m, pfn))) & GW_PG_DEFERRED))
			gw_found(
				c->findings, "X1: frame %#x is queued for splitting unmarked", pfn);
	if (n != queue->n || n != c->deferred[id])
		gw_found(c->findings,
			"X1: node %u counts %llu pages to split, has %llu, and %llu say so", id,
			(unsigned long long)queue->n, (unsigned long long)n,
			(unsigned long long)c->deferred[id]);
}

static void
check_pageblocks(struct check *c)
{
	struct gw_machine *m = c->m;
	gw_pfn_t counted = 0;

	for (unsigned z = 0; z < m->n_zones; z++) {
		struct gw_zone *zone = &m->zones[z];
		gw_pfn_t b = zone->start >> m->config.pageblock_order;
		gw_pfn_t end = ((zone->end - 1) >> m->config.pageblock_order) + 1;
		uint64_t n[GW_MT_NR] = {0};

		for (b = b < counted ? counted : b; b < end; b++)
			n[gw_pageblock_type(m, b << m->config.pageblock_order)]++;
		counted = end;
		if (memcmp(n, zone->pageblocks, sizeof(n)))
			gw_found(c->findings, "P1: zone %s miscounts its pageblocks by type",
				zone->name);
	}
}

void
gw_phys_check(struct gw_machine *m, struct gw_findings *findings)
{
	struct check c = {.m = m, .findings = findings};
	size_t bytes = ((size_t)m->n_frames / 64 + 1) * sizeof(*c.listed);

	c.listed = m->ops->alloc(m->ctx, bytes);
	if (!c.listed) {
		gw_found(findings, "no memory for the check itself");
		return;
	}
	for (unsigned z = 0; z < m->n_zones; z++) {
		check_free_areas(&c, &m->zones[z]);
		check_pcps(&c, &m->zones[z]);
	}
	for (unsigned n = 0; n < m->n_nodes; n++)
		check_lrus(&c, n);
	check_batches(&c);
	for (unsigned z = 0; z < m->n_zones; z++)
		check_frames(&c, &m->zones[z]);
	for (unsigned n = 0; n < m->n_nodes; n++)
		check_isolated(&c, n);
	for (unsigned n = 0; n < m->n_nodes; n++)
		check_deferred(&c, n);
	check_pageblocks(&c);
	gw_charge_check(m, findings);
	gw_hugetlb_check(m, findings);
	m->ops->release(m->ctx, c.listed, bytes);
}
