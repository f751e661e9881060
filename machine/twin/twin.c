/* SPDX-License-Identifier: MIT */
/*
 * twin.c - building the twin of a snapshot, and reading it back (godwit/twin.h).
 *
 * Steps
 *   W1  make a machine with the host's zones, watermarks and per-CPU sizes
 *   W2  zone by zone, infer what unflagged frames are and the types of pageblocks (infer.c)
 *   W3  seed free blocks (blocks.c), per-CPU frames, then pages in use
 *   W4  later, on gw_twin_rest(): the per-CPU frames that drain by themselves do
 *
 * Pages that the host's kernel could move are movable-ops pages of the twin: `index` holds the
 * gw_frame_t of their head, and travels with them (T3). A snapshot has no page tables and no
 * bytes, so moving one is moving that word.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/twin/twin_internal.h"

static int
twin_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)mode;
	gw_page_set_index(m, dst, gw_page_index(m, src));
	return 0;
}

/* Whether a folio can be split is not in a snapshot: gw_plan tells where it would matter. */
static int
twin_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	(void)order;
	gw_page_set_index(
		m, page, gw_page_index(m, page) & ~(uint32_t)(GW_FRAME_HEAD | GW_FRAME_TAIL));
	return 0;
}

static const struct gw_movable_ops twin_ops = {
	.migrate = twin_migrate,
	.split = twin_split,
};

static bool
is_movable(gw_frame_t frame)
{
	return frame & GW_FRAME_LRU &&
	       gw_kind_info(gw_frame_kind(frame))->verdict == GW_VERDICT_MOVABLE;
}

static enum gw_lru
frame_lru(gw_frame_t frame)
{
	bool active = frame & GW_FRAME_ACTIVE;

	switch (gw_frame_kind(frame)) {
	case GW_KIND_UNEVICTABLE:
		return GW_LRU_UNEVICTABLE;
	case GW_KIND_FILE_CLEAN:
	case GW_KIND_FILE_DIRTY:
	case GW_KIND_WRITEBACK:
		return active ? GW_LRU_ACTIVE_FILE : GW_LRU_INACTIVE_FILE;
	default:
		return active ? GW_LRU_ACTIVE_ANON : GW_LRU_INACTIVE_ANON;
	}
}

/* Frames of the folio that starts at pfn: 1 without HEAD, else up to the next frame not TAIL. */
static gw_pfn_t
folio_frames(const struct gw_snapshot *snap, gw_pfn_t pfn, gw_pfn_t end)
{
	gw_pfn_t n = 1;

	if (snap->frames[pfn] & GW_FRAME_HEAD)
		while (pfn + n < end && snap->frames[pfn + n] & GW_FRAME_TAIL)
			n++;
	return n;
}

struct seeding {
	struct gw_snapshot *snap;
	struct gw_machine *machine;
	struct gw_twin_notes *notes;
	gw_pfn_t end;		/* of the zone */
	uint64_t draining, pcp; /* of every `pcp` per-CPU frames so many drain by themselves */
	uint64_t phase;
};

/* The twin's two CPUs: lists that hold what they have, and lists that the rest drains. */
enum { CPU_HOLDS, CPU_DRAINS, N_CPUS };

/* A movable folio, whole if its size is a power of two that the machine knows; torn ones singly. */
static int
seed_folio(struct seeding *s, gw_pfn_t pfn, gw_pfn_t *n)
{
	gw_frame_t frame = s->snap->frames[pfn];
	unsigned order;

	*n = folio_frames(s->snap, pfn, s->end);
	order = (unsigned)__builtin_ctz(*n);
	if ((gw_pfn_t)1 << order == *n && !(pfn & (*n - 1)) && order < s->snap->n_orders &&
		!((frame & GW_FRAME_HEAD) && *n == 1) && !(frame & GW_FRAME_TAIL))
		return gw_seed_movable(s->machine, pfn, order, &twin_ops, frame, frame_lru(frame));
	*n = 1;
	s->notes->torn_folios += frame & GW_FRAME_HEAD ? 1 : 0;
	return gw_seed_movable(s->machine, pfn, 0, &twin_ops, frame, frame_lru(frame));
}

/* Frames in use of one kind in a row that nothing can move. */
static int
seed_unmovable(struct seeding *s, gw_pfn_t pfn, gw_pfn_t *n)
{
	const gw_frame_t *frames = s->snap->frames;
	enum gw_kind kind = gw_frame_kind(frames[pfn]);
	gw_pfn_t end = pfn;

	while (end < s->end && gw_frame_kind(frames[end]) == kind && !is_movable(frames[end]))
		end++;
	*n = end - pfn;
	return gw_seed_used(s->machine, pfn, *n);
}

/* Lists drain their oldest first; where those stand is chance, so they are spread evenly. */
static int
seed_pcp(struct seeding *s, gw_pfn_t pfn)
{
	s->phase += s->draining;
	if (s->phase < s->pcp)
		return gw_seed_pcp(s->machine, pfn, CPU_HOLDS);
	s->phase -= s->pcp;
	s->notes->pcp_drained++;
	return gw_seed_pcp(s->machine, pfn, CPU_DRAINS);
}

static int
seed_frame(struct seeding *s, gw_pfn_t pfn, gw_pfn_t *n)
{
	*n = 1;
	switch (gw_frame_kind(s->snap->frames[pfn])) {
	case GW_KIND_HOLE:
	case GW_KIND_RESERVED:
	case GW_KIND_BUDDY: /* seeded by blocks.c */
		return 0;
	case GW_KIND_PCP:
		return seed_pcp(s, pfn);
	default:
		return is_movable(s->snap->frames[pfn]) ? seed_folio(s, pfn, n)
							: seed_unmovable(s, pfn, n);
	}
}

/* How many frames a zone's per-CPU lists give back in that time: 32 batches a second each. */
static uint64_t
draining_frames(const struct gw_zone_snapshot *zone, unsigned rest_seconds)
{
	uint64_t most =
		zone->pcp_count > zone->pcp_high_min ? zone->pcp_count - zone->pcp_high_min : 0;
	uint64_t rate = 32 * zone->n_cpus * (zone->pcp_batch < 4096 ? zone->pcp_batch : 4096);

	return rate * rest_seconds < most ? rate * rest_seconds : most;
}

static int
seed_zone(struct gw_twin *twin, unsigned zone, unsigned rest_seconds)
{
	struct gw_range r = gw_twin_zone_range(twin->snap, zone);
	struct seeding s = {.snap = twin->snap,
		.machine = twin->machine,
		.notes = &twin->notes[zone],
		.end = r.end,
		.draining = draining_frames(&twin->snap->zones[zone], rest_seconds),
		.pcp = twin->snap->zones[zone].pcp_count};
	int ret = gw_infer_zone(twin->snap, zone, twin->machine, s.notes);
	gw_pfn_t n;

	if (!ret)
		ret = gw_seed_free_frames(twin->snap, zone, twin->machine, s.notes);
	for (gw_pfn_t pfn = r.start; pfn < r.end && !ret; pfn += n)
		ret = seed_frame(&s, pfn, &n);
	return ret;
}

/* Clean page cache that nobody maps is as good as free once it has been dropped. */
bool
gw_frame_is_droppable(gw_frame_t frame)
{
	return gw_frame_kind(frame) == GW_KIND_FILE_CLEAN && frame & GW_FRAME_LRU &&
	       !(frame & GW_FRAME_MAPPED);
}

static void
drop_clean(struct gw_snapshot *snap)
{
	for (gw_pfn_t pfn = 0; pfn < snap->n_frames; pfn++)
		if (gw_frame_is_droppable(snap->frames[pfn]))
			snap->frames[pfn] = GW_KIND_BUDDY;
}

static int
make_machine(struct gw_twin *twin, struct gw_error *err)
{
	const struct gw_snapshot *snap = twin->snap;
	struct gw_zone_config zones[GW_ZONES_MAX];
	struct gw_machine_config config;
	int ret;

	if (snap->n_zones > GW_ZONES_MAX) {
		snprintf(err->text, sizeof(err->text), "%.200s: %u zones: more than %d",
			snap->source, snap->n_zones, GW_ZONES_MAX);
		return -EINVAL;
	}
	gw_machine_config_init(&config);
	config.n_cpus = N_CPUS;
	config.max_order = snap->n_orders - 1;
	config.pageblock_order = snap->pageblock_order;
	config.n_frames = snap->n_frames;
	config.zones = zones;
	config.n_zones = snap->n_zones;
	config.watermark_boost_factor = 0; /* zoneinfo's marks include the boost of the moment */
	config.extfrag_threshold = snap->extfrag_threshold;
	config.compact_unevictable_allowed = snap->compact_unevictable_allowed != 0;
	for (unsigned z = 0; z < snap->n_zones; z++) {
		const struct gw_zone_snapshot *from = &snap->zones[z];
		struct gw_range r = gw_twin_zone_range(snap, z);

		zones[z] = (struct gw_zone_config){
			.name = from->name,
			.node = (unsigned)from->node,
			.start = r.start,
			.end = r.end,
			.wmark_min = from->wmark_min,
			.wmark_low = from->wmark_low,
			.wmark_high = from->wmark_high,
			.pcp_batch = from->pcp_batch && from->pcp_batch < UINT16_MAX
					     ? (unsigned)from->pcp_batch
					     : 63,
			/* What a run frees stays on per-CPU lists until it is over (FACTS 3.7). */
			.pcp_high = UINT32_MAX,
		};
		memcpy(zones[z].lowmem_reserve, from->protection,
			from->n_protection * sizeof(from->protection[0]));
	}
	ret = gw_machine_create(&config, &gw_bare_ops, NULL, &twin->machine, err);
	return ret;
}

/* A refused seed means that the snapshot contradicts itself: zones that share frames, say. */
static int
seed_all(struct gw_twin *twin, unsigned rest_seconds, struct gw_error *err)
{
	int ret = gw_task_attach(&twin->task, twin->machine, CPU_HOLDS);

	for (unsigned z = 0; z < twin->snap->n_zones && !ret; z++) {
		ret = seed_zone(twin, z, rest_seconds);
		if (ret == -EINVAL)
			snprintf(err->text, sizeof(err->text),
				"%.180s: zone %.16s: its frames contradict each other",
				twin->snap->source, twin->snap->zones[z].name);
	}
	gw_seed_done(twin->machine);
	return ret;
}

int
gw_twin_create(struct gw_snapshot *snap, const struct gw_twin_options *options,
	struct gw_twin **out, struct gw_error *err)
{
	static const struct gw_twin_options none;
	struct gw_twin *twin = calloc(1, sizeof(*twin));
	struct gw_error ignored;
	int ret = -ENOMEM;

	if (!err)
		err = &ignored;
	if (!options)
		options = &none;
	if (!twin)
		return -ENOMEM;
	twin->snap = snap;
	twin->notes = calloc(snap->n_zones ? snap->n_zones : 1, sizeof(*twin->notes));
	if (!twin->notes)
		goto fail;
	if (options->reclaim_clean)
		drop_clean(snap);
	ret = make_machine(twin, err); /* W1 */
	if (ret)
		goto fail;
	ret = seed_all(twin, options->rest_seconds, err); /* W2, W3 */
	if (ret)
		goto fail;
	*out = twin;
	return 0;

fail:
	gw_twin_destroy(twin);
	return ret;
}

void
gw_twin_rest(struct gw_twin *twin)
{
	struct gw_task draining;

	if (gw_task_attach(&draining, twin->machine, CPU_DRAINS))
		return;
	gw_drain_pages(twin->machine);
	gw_task_detach(&draining);
}

void
gw_twin_destroy(struct gw_twin *twin)
{
	if (!twin)
		return;
	if (twin->machine) {
		gw_task_detach(&twin->task);
		gw_machine_destroy(twin->machine);
	}
	free(twin->notes);
	free(twin);
}

struct gw_machine *
gw_twin_machine(struct gw_twin *twin)
{
	return twin->machine;
}

const struct gw_twin_notes *
gw_twin_notes(const struct gw_twin *twin, unsigned zone)
{
	return &twin->notes[zone];
}
