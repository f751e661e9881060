/* SPDX-License-Identifier: MIT */
/*
 * procfs_zoneinfo.c - /proc/zoneinfo: the zones, their size, watermarks and per-CPU lists.
 *
 * Idea. A zone begins with a "Node N, zone NAME" line; what follows is found by name until
 * the next one (FACTS 3.2). Statistics of the node, which stand in its first zone, have
 * other names. Unpopulated zones stop early and are left out.
 *
 * Invariants
 *   I1  every count kept is at most GW_PFN_MAX: sums of a few of them cannot overflow
 *   I2  a zone that is kept has all of free, spanned, present, managed and start_pfn
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "procfs.h"

#define MEMBER "zoneinfo"

enum zone_field_bit {
	HAS_FREE = 1,
	HAS_SPANNED = 2,
	HAS_PRESENT = 4,
	HAS_MANAGED = 8,
	HAS_START = 16,
	HAS_ALL = 31
};

struct zone_field {
	const char *name;
	size_t offset; /* of a uint64_t in struct gw_zone_snapshot */
	unsigned bit;
};

#define FIELD(text, member, bit)                                                                   \
	{                                                                                          \
		text, offsetof(struct gw_zone_snapshot, member), bit                               \
	}

static const struct zone_field zone_fields[] = {
	FIELD("free", free, HAS_FREE),
	FIELD("boost", boost, 0),
	FIELD("min", wmark_min, 0),
	FIELD("low", wmark_low, 0),
	FIELD("high", wmark_high, 0),
	FIELD("spanned", spanned, HAS_SPANNED),
	FIELD("present", present, HAS_PRESENT),
	FIELD("managed", managed, HAS_MANAGED),
	FIELD("cma", cma, 0),
};

static const char *const lru_counters[] = {
	"nr_zone_inactive_anon",
	"nr_zone_active_anon",
	"nr_zone_inactive_file",
	"nr_zone_active_file",
	"nr_zone_unevictable",
};

/* One CPU's lists, while its lines are read. */
struct cpu_lists {
	bool open, has_high_min;
	uint64_t count, high, batch, high_min;
};

struct zone_parser {
	struct gw_line line;
	struct gw_snapshot *snap;
	struct gw_error *err;
	bool open;
	struct gw_zone_snapshot zone;
	unsigned seen; /* of enum zone_field_bit */
	uint64_t start_pfn;
	struct cpu_lists cpu;
};

/* A count of frames after `name`. */
static int
parse_count(struct zone_parser *zp, const struct gw_word *name, uint64_t *value)
{
	int ret = gw_line_number(&zp->line, value);

	if (ret == -ENODATA)
		return gw_observe_fail(zp->err, -EINVAL, MEMBER ": line %u: no number after %.*s",
			zp->line.number, (int)name->len, name->p);
	if (ret != 0 || *value > GW_PFN_MAX) /* I1 */
		return gw_observe_fail(zp->err, -EINVAL,
			MEMBER ": line %u: %.*s claims more frames than a machine can have",
			zp->line.number, (int)name->len, name->p);
	return 0;
}

static void
close_cpu(struct zone_parser *zp)
{
	struct gw_zone_snapshot *zone = &zp->zone;
	struct cpu_lists *cpu = &zp->cpu;

	if (!cpu->open)
		return;
	zone->n_cpus++;
	zone->pcp_count += cpu->count;
	/* Before high_min existed, the limit was fixed: that much stayed. */
	zone->pcp_high_min += cpu->has_high_min ? cpu->high_min : cpu->high;
	if (zone->n_cpus == 1 || cpu->high > zone->pcp_high) {
		zone->pcp_high = cpu->high;
		zone->pcp_batch = cpu->batch;
	}
	*cpu = (struct cpu_lists){0};
}

static int
check_zone(struct zone_parser *zp)
{
	struct gw_zone_snapshot *zone = &zp->zone;
	const char *what = NULL;

	if (zp->seen != HAS_ALL) /* I2 */
		what = "lacks free, spanned, present, managed or start_pfn";
	else if (zp->start_pfn + zone->spanned > GW_PFN_MAX)
		what = "reaches beyond the last frame a machine can have";
	else if (zone->present > zone->spanned)
		what = "has more present than spanned";
	else if (zone->managed > zone->present)
		what = "has more managed than present";
	else if (zone->free > zone->spanned || zone->pcp_count > zone->spanned)
		what = "has more free frames than it spans";
	else if (zone->wmark_min > zone->wmark_low || zone->wmark_low > zone->wmark_high)
		what = "has watermarks that descend";
	if (what)
		return gw_observe_fail(zp->err, -EINVAL, MEMBER ": zone %s of node %d %s",
			zone->name, zone->node, what);
	zone->start_pfn = (gw_pfn_t)zp->start_pfn;
	return 0;
}

/* The zone whose lines have all been seen: keep it if there is memory in it. */
static int
close_zone(struct zone_parser *zp)
{
	struct gw_snapshot *snap = zp->snap;
	struct gw_zone_snapshot *grown;
	int ret;

	if (!zp->open)
		return 0;
	zp->open = false;
	close_cpu(zp);
	if ((zp->seen & HAS_PRESENT) && zp->zone.present == 0)
		return 0;
	ret = check_zone(zp);
	if (ret != 0)
		return ret;
	if (snap->n_zones == GW_ZONES_MAX)
		return gw_observe_fail(
			zp->err, -EINVAL, MEMBER ": more than %d populated zones", GW_ZONES_MAX);
	grown = realloc(snap->zones, (snap->n_zones + 1) * sizeof(*grown));
	if (!grown)
		return gw_observe_fail(zp->err, -ENOMEM, MEMBER ": out of memory");
	snap->zones = grown;
	snap->zones[snap->n_zones++] = zp->zone;
	return 0;
}

static int
open_zone(struct zone_parser *zp)
{
	struct gw_word name;
	uint64_t node;

	if (!gw_line_zone(&zp->line, &node, &name))
		return gw_observe_fail(zp->err, -EINVAL,
			MEMBER ": line %u: not a zone's first line", zp->line.number);
	if (node >= GW_NODES_MAX)
		return gw_observe_fail(zp->err, -EINVAL, MEMBER ": line %u: node is above %d",
			zp->line.number, GW_NODES_MAX - 1);
	if (name.len >= GW_ZONE_NAME_MAX)
		return gw_observe_fail(zp->err, -EINVAL, MEMBER ": line %u: zone name is too long",
			zp->line.number);
	if (!gw_word_is_printable(&name))
		return gw_observe_fail(zp->err, -EINVAL, MEMBER ": line %u: zone name is not text",
			zp->line.number);
	if (gw_find_zone(zp->snap, node, &name))
		return gw_observe_fail(zp->err, -EINVAL,
			MEMBER ": line %u: zone stands there twice", zp->line.number);
	zp->open = true;
	zp->seen = 0;
	zp->cpu = (struct cpu_lists){0};
	zp->zone = (struct gw_zone_snapshot){.node = (int)node};
	memcpy(zp->zone.name, name.p, name.len);
	return 0;
}

/* "protection: (0, 3019, 24090)" */
static int
parse_protection(struct zone_parser *zp, const struct gw_word *name)
{
	struct gw_zone_snapshot *zone = &zp->zone;
	const unsigned room = sizeof(zone->protection) / sizeof(zone->protection[0]);

	if (!gw_line_skip(&zp->line, "("))
		return gw_observe_fail(zp->err, -EINVAL,
			MEMBER ": line %u: no list after protection:", zp->line.number);
	zone->n_protection = 0;
	while (zone->n_protection < room && !gw_line_skip(&zp->line, ")")) {
		int ret = parse_count(zp, name, &zone->protection[zone->n_protection]);

		if (ret != 0)
			return ret;
		zone->n_protection++;
		(void)gw_line_skip(&zp->line, ",");
	}
	return 0;
}

static int
parse_cpu_line(struct zone_parser *zp, const struct gw_word *name)
{
	struct cpu_lists *cpu = &zp->cpu;
	uint64_t *value = NULL;

	if (gw_word_is(name, "count:")) {
		value = &cpu->count;
	} else if (gw_word_is(name, "high:")) {
		value = &cpu->high;
	} else if (gw_word_is(name, "batch:")) {
		value = &cpu->batch;
	} else if (gw_word_is(name, "high_min:")) {
		value = &cpu->high_min;
		cpu->has_high_min = true;
	}
	return value ? parse_count(zp, name, value) : 0;
}

static int
parse_lru_counter(struct zone_parser *zp, const struct gw_word *name)
{
	uint64_t value = 0;
	int ret;

	for (size_t i = 0; i < sizeof(lru_counters) / sizeof(lru_counters[0]); i++) {
		if (!gw_word_is(name, lru_counters[i]))
			continue;
		ret = parse_count(zp, name, &value);
		zp->zone.nr_lru += value;
		return ret;
	}
	return 0;
}

static int
parse_zone_line(struct zone_parser *zp, const struct gw_word *name)
{
	for (size_t i = 0; i < sizeof(zone_fields) / sizeof(zone_fields[0]); i++) {
		const struct zone_field *field = &zone_fields[i];

		if (!gw_word_is(name, field->name))
			continue;
		zp->seen |= field->bit;
		return parse_count(zp, name, (uint64_t *)((char *)&zp->zone + field->offset));
	}
	if (gw_word_is(name, "start_pfn:")) {
		close_cpu(zp);
		zp->seen |= HAS_START;
		return parse_count(zp, name, &zp->start_pfn);
	}
	if (gw_word_is(name, "protection:"))
		return parse_protection(zp, name);
	if (gw_word_is(name, "cpu:")) {
		close_cpu(zp);
		zp->cpu.open = true;
		return 0;
	}
	if (zp->cpu.open)
		return parse_cpu_line(zp, name);
	return parse_lru_counter(zp, name);
}

static int
parse_line(struct zone_parser *zp)
{
	struct gw_word name;
	int ret;

	if (zp->line.p < zp->line.end && *zp->line.p == 'N') {
		ret = close_zone(zp);
		return ret != 0 ? ret : open_zone(zp);
	}
	if (!zp->open || !gw_line_word(&zp->line, &name))
		return 0;
	/* "pages free 3840": the name is the second word. */
	if (gw_word_is(&name, "pages") && !gw_line_word(&zp->line, &name))
		return 0;
	return parse_zone_line(zp, &name);
}

static int
by_start(const void *a, const void *b)
{
	const struct gw_zone_snapshot *za = a, *zb = b;

	return (za->start_pfn > zb->start_pfn) - (za->start_pfn < zb->start_pfn);
}

static int
check_overlap(const struct gw_snapshot *snap, struct gw_error *err)
{
	for (unsigned i = 1; i < snap->n_zones; i++) {
		const struct gw_zone_snapshot *a = &snap->zones[i - 1], *b = &snap->zones[i];

		if (a->start_pfn + a->spanned > b->start_pfn)
			return gw_observe_fail(err, -EINVAL,
				MEMBER ": zones %s of node %d and %s of node %d overlap", a->name,
				a->node, b->name, b->node);
	}
	return 0;
}

int
gw_parse_zoneinfo(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err)
{
	struct zone_parser zp = {.snap = snap, .err = err};
	int ret;

	gw_line_init(&zp.line, text, len);
	while (gw_line_next(&zp.line)) {
		ret = parse_line(&zp);
		if (ret != 0)
			return ret;
	}
	ret = close_zone(&zp);
	if (ret != 0)
		return ret;
	if (snap->n_zones == 0)
		return gw_observe_fail(err, -EINVAL, MEMBER ": no populated zone in it");
	qsort(snap->zones, snap->n_zones, sizeof(*snap->zones), by_start);
	return check_overlap(snap, err);
}
