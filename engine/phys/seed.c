/* SPDX-License-Identifier: MIT */
/*
 * seed.c - giving reserved frames their first state (godwit/seed.h).
 *
 * Invariant E1: zone->managed grows by exactly the frames seeded. Locks are taken where the lists
 * ask for them, so that lock checking holds; nobody contends.
 */
#include "engine/phys/buddy.h"
#include "godwit/seed.h"

/* The zone of [start, start + n) if all of it is reserved there, else NULL. */
static struct gw_zone *
reserved_zone(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n)
{
	struct gw_zone *zone;

	if (n == 0 || start >= m->n_frames || n > m->n_frames - start)
		return NULL;
	zone = gw_page_zone(m, start);
	if (!zone || zone->end - start < n)
		return NULL;
	for (gw_pfn_t pfn = start; pfn < start + n; pfn++)
		if (gw_page_flags(gw_page(m, pfn)) != gw_flags_make(GW_PAGE_RESERVED, 0))
			return NULL;
	return zone;
}

static struct gw_zone *
reserved_block(struct gw_machine *m, gw_pfn_t start, unsigned order)
{
	if (order > m->config.max_order || start & (((gw_pfn_t)1 << order) - 1))
		return NULL;
	return reserved_zone(m, start, (gw_pfn_t)1 << order);
}

int
gw_seed_pageblock(struct gw_machine *m, gw_pfn_t pfn, enum gw_migratetype type)
{
	gw_pfn_t first = gw_pageblock_start(m, pfn);
	gw_pfn_t last = first + gw_pageblock_frames(m) - 1;
	struct gw_zone *zone = gw_page_zone(m, first);

	if (pfn >= m->n_frames || type >= GW_MT_NR)
		return -EINVAL;
	/* A pageblock that starts in a gap counts in the first zone it reaches. */
	for (unsigned z = 0; !zone && z < m->n_zones; z++)
		if (m->zones[z].start > first && m->zones[z].start <= last)
			zone = &m->zones[z];
	if (!zone)
		return -EINVAL;
	gw_spin_lock(&zone->lock);
	gw_pageblock_retype(zone, pfn, type);
	gw_spin_unlock(&zone->lock);
	return 0;
}

static void
manage(struct gw_zone *zone, gw_pfn_t n)
{
	gw_u64_add_relaxed(&zone->managed, n);
}

static void
seed_free_frames(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n)
{
	for (gw_pfn_t pfn = start; pfn < start + n; pfn++)
		gw_u32_store_relaxed(&gw_page(m, pfn)->flags, gw_flags_make(GW_PAGE_FREE, 0));
}

int
gw_seed_free(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n)
{
	struct gw_zone *zone = reserved_zone(m, start, n);

	if (!zone)
		return -EINVAL;
	seed_free_frames(m, start, n);
	gw_spin_lock(&zone->lock);
	manage(zone, n);
	gw_buddy_free_range(zone, start, n);
	gw_spin_unlock(&zone->lock);
	return 0;
}

int
gw_seed_free_block(struct gw_machine *m, gw_pfn_t start, unsigned order)
{
	struct gw_zone *zone = reserved_block(m, start, order);

	if (!zone)
		return -EINVAL;
	seed_free_frames(m, start, (gw_pfn_t)1 << order);
	gw_spin_lock(&zone->lock);
	manage(zone, (gw_pfn_t)1 << order);
	gw_buddy_insert(zone, start, order, gw_pageblock_type(m, start));
	gw_spin_unlock(&zone->lock);
	return 0;
}

int
gw_seed_pcp(struct gw_machine *m, gw_pfn_t pfn, unsigned cpu)
{
	struct gw_zone *zone = reserved_zone(m, pfn, 1);
	enum gw_migratetype type;

	if (!zone || cpu >= m->config.n_cpus)
		return -EINVAL;
	type = gw_pageblock_type(m, pfn);
	if (type >= GW_MT_PCPTYPES)
		type = GW_MT_MOVABLE;
	gw_spin_lock(&zone->pcp[cpu].lock);
	gw_pcp_insert(zone, &zone->pcp[cpu], pfn, 0, type);
	gw_spin_unlock(&zone->pcp[cpu].lock);
	manage(zone, 1);
	return 0;
}

int
gw_seed_used(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n)
{
	struct gw_zone *zone = reserved_zone(m, start, n);

	if (!zone)
		return -EINVAL;
	for (gw_pfn_t pfn = start; pfn < start + n; pfn++)
		gw_prepare_page(m, pfn, 0);
	manage(zone, n);
	return 0;
}

int
gw_seed_movable(struct gw_machine *m, gw_pfn_t start, unsigned order,
	const struct gw_movable_ops *ops, uint32_t index, enum gw_lru lru)
{
	struct gw_zone *zone = reserved_block(m, start, order);
	struct gw_page *page;

	if (!zone || !ops)
		return -EINVAL;
	gw_prepare_page(m, start, order);
	page = gw_page(m, start);
	gw_frame_set_index(page, index);
	gw_ptr_store_relaxed(&page->owner, gw_movable_owner(ops));
	if (lru != GW_LRU_NR)
		gw_lru_seed(m, zone, start, lru);
	manage(zone, (gw_pfn_t)1 << order);
	return 0;
}

/* Zone 0's lock held. */
static void
set_watermarks(struct gw_zone *zone, uint64_t managed_total)
{
	const struct gw_machine_config *config = &zone->machine->config;
	uint64_t reserve = config->min_free_kbytes * 1024 / GW_PAGE_SIZE;
	uint64_t managed = gw_u64_load_relaxed(&zone->managed), min, gap;

	if (zone->wmarks_given || managed_total == 0)
		return;
	min = reserve * managed / managed_total;
	gap = managed * config->watermark_scale_factor / 10000;
	if (gap < min / 4)
		gap = min / 4;
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_MIN], min);
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_LOW], min + gap);
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_HIGH], min + 2 * gap);
}

void
gw_set_watermarks(struct gw_machine *m)
{
	uint64_t managed = 0;

	gw_spin_lock(&m->zones[0].lock);
	for (unsigned z = 0; z < m->n_zones; z++)
		managed += gw_u64_load_relaxed(&m->zones[z].managed);
	for (unsigned z = 0; z < m->n_zones; z++)
		set_watermarks(&m->zones[z], managed);
	gw_spin_unlock(&m->zones[0].lock);
}

/* A batch of about a thousandth of the zone, at most 63 frames; lists hold a few batches. */
static void
set_pcp_sizes(struct gw_zone *zone)
{
	uint64_t batch = gw_u64_load_relaxed(&zone->managed) / 1024;

	if (batch > 63)
		batch = 63;
	if (batch == 0)
		batch = 1;
	for (unsigned cpu = 0; cpu < zone->machine->config.n_cpus; cpu++) {
		struct gw_pcp *pcp = &zone->pcp[cpu];

		if (pcp->batch == 0)
			pcp->batch = (uint32_t)batch;
		if (pcp->high == 0)
			pcp->high = pcp->batch * 6;
	}
}

void
gw_seed_done(struct gw_machine *m)
{
	gw_set_watermarks(m);
	for (unsigned z = 0; z < m->n_zones; z++)
		set_pcp_sizes(&m->zones[z]);
}
