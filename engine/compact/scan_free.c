/* SPDX-License-Identifier: MIT */
/*
 * scan_free.c - the free scanner: targets, from the zone's top down, a pageblock at a time.
 *
 * Idea. Only pageblocks that migration may fill are looked at (D10). Inside one the scanner climbs,
 * holding whole free blocks, until it holds as many frames as the batch still wants; it stays where
 * it stopped and goes on there. Where pageblocks give nothing it looks at ever fewer of their
 * frames, every 32nd in the end, until one gives something.
 *
 * Locks: flags are read without a lock and re-read under the zone lock before a block is taken
 * (D11, R11); the lock is dropped every GW_CLUSTER_MAX frames.
 */
#include "engine/compact/compact_internal.h"
#include "engine/phys/probe.h"

bool
gw_is_target_type(const struct gw_machine *m, gw_pfn_t pfn)
{
	enum gw_migratetype type = gw_pageblock_type(m, pfn);

	return type == GW_MT_MOVABLE || type == GW_MT_CMA;
}

static bool
is_target(const struct gw_compact_run *run, gw_pfn_t start)
{
	const struct gw_compact_request *request = run->request;
	struct gw_machine *m = run->m;
	unsigned whole = request->order > 0 ? (unsigned)request->order : m->config.pageblock_order;
	gw_pfn_t first = start < run->zone->start ? run->zone->start : start;
	uint32_t flags = gw_page_flags(gw_page(m, first));

	if (!request->ignore_skip && gw_pageblock_skip(m, start))
		return false;
	/* What the run is to make must not be taken apart for it. */
	if (gw_flags_type(flags) == GW_PAGE_BUDDY && gw_flags_order(flags) >= whole)
		return false;
	/* The last, most thorough try of an allocation takes any pageblock (FACTS 2.1), but for
	 * those that somebody empties. */
	if (request->direct && request->whole_zone)
		return gw_pageblock_type(m, start) != GW_MT_ISOLATE;
	return gw_is_target_type(m, start);
}

static bool
lock_zone(struct gw_compact_run *run)
{
	if (run->request->mode != GW_MIGRATE_ASYNC) {
		gw_spin_lock(&run->zone->lock);
		return true;
	}
	if (gw_spin_trylock(&run->zone->lock))
		return true;
	run->contended = true;
	return false;
}

/*
 * Hold free blocks of [*pos, end), looking at every stride-th frame. *pos is where the scan ended:
 * end, or below it with enough held, or with none to be had now. Returns the frames held.
 */
static gw_pfn_t
hold_from_block(struct gw_compact_run *run, gw_pfn_t *pos, gw_pfn_t end, unsigned stride)
{
	struct gw_machine *m = run->m;
	gw_pfn_t pfn = *pos, taken = 0;
	bool locked = false;

	for (; pfn < end; pfn += stride) {
		uint32_t flags = gw_page_flags(gw_page(m, pfn));
		gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

		run->stats.free_scanned++;
		if (locked && pfn % GW_CLUSTER_MAX == 0) {
			gw_spin_unlock(&run->zone->lock);
			locked = false;
		}
		if (gw_flags_type(flags) == GW_PAGE_USED && n <= end - pfn) {
			run->stats.free_scanned += n - 1;
			pfn += n - 1;
		}
		if (gw_flags_type(flags) != GW_PAGE_BUDDY)
			continue;
		if (!locked && !lock_zone(run))
			break;
		locked = true;
		if (gw_flags_type(gw_page_flags(gw_page(m, pfn))) != GW_PAGE_BUDDY)
			continue;
		n = gw_hold_free_block(run, pfn, flags);
		if (n == 0)
			break;
		taken += n;
		run->stats.free_scanned += n - 1;
		if (run->n_held >= run->n_wanted) {
			pfn += n;
			break;
		}
		pfn += n - 1;
	}
	if (locked)
		gw_spin_unlock(&run->zone->lock);
	GW_PROBE3(mm_compaction_isolate_freepages, *pos, pfn < end ? pfn : end, taken);
	*pos = pfn < end ? pfn : end;
	return taken;
}

/* The whole pageblock was looked at: the next run need not, unless memory is freed there. */
static void
mark_scanned(struct gw_compact_run *run, gw_pfn_t start)
{
	struct gw_zone *zone = run->zone;
	gw_pfn_t next = start - gw_pageblock_frames(run->m);

	gw_pageblock_set_skip(run->m, start, true);
	gw_spin_lock(&zone->lock);
	if (next < zone->compact.free_pfn)
		zone->compact.free_pfn = next;
	gw_spin_unlock(&zone->lock);
}

void
gw_scan_free(struct gw_compact_run *run)
{
	struct gw_machine *m = run->m;
	gw_pfn_t frames = gw_pageblock_frames(m);
	gw_pfn_t low = gw_pageblock_start(m, run->migrate_pfn) + frames; /* beyond the sources */
	gw_pfn_t pfn = run->free_pfn;
	gw_pfn_t start = gw_pageblock_start(m, pfn);
	unsigned stride = run->request->mode == GW_MIGRATE_ASYNC ? GW_CLUSTER_MAX : 1;

	for (; start >= low; pfn = start -= frames) {
		gw_pfn_t end = start + frames < run->zone->end ? start + frames : run->zone->end;

		if (!is_target(run, start))
			continue;
		if (hold_from_block(run, &pfn, end, stride))
			stride = 1;
		else if (stride < GW_CLUSTER_MAX)
			stride *= 2;
		if (pfn == end)
			mark_scanned(run, start);
		if (pfn < end)
			break; /* enough, or nothing to be had: the watermark, a lock */
		if (run->n_held >= run->n_wanted) {
			pfn = start - frames;
			break;
		}
	}
	run->free_pfn = pfn;
}
