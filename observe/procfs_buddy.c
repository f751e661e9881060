/* SPDX-License-Identifier: MIT */
/*
 * procfs_buddy.c - /proc/buddyinfo and /proc/pagetypeinfo: free blocks by order and type.
 *
 * Idea. Both are tables with one row per zone. The number of columns is the number of orders
 * of that kernel; types are found by name, since kernels are built with and without some.
 *
 * Invariants
 *   B1  both files agree on the number of orders, 2 .. GW_ORDERS_MAX
 *   B2  no count claims more memory than its zone spans
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "procfs.h"

#define BUDDYINFO    "buddyinfo"
#define PAGETYPEINFO "pagetypeinfo"

static const char *const type_names[GW_MT_NR] = {
	[GW_MT_UNMOVABLE] = "Unmovable",
	[GW_MT_MOVABLE] = "Movable",
	[GW_MT_RECLAIMABLE] = "Reclaimable",
	[GW_MT_HIGHATOMIC] = "HighAtomic",
	[GW_MT_CMA] = "CMA",
	[GW_MT_ISOLATE] = "Isolate",
};

/* GW_MT_NR: a type that this library does not know. */
static unsigned
find_type(const struct gw_word *name)
{
	unsigned type = 0;

	while (type < GW_MT_NR && !gw_word_is(name, type_names[type]))
		type++;
	return type;
}

/* The counts of one row, from order 0; `capped` tells which were printed as ">count". */
struct order_row {
	unsigned n;
	uint64_t count[GW_ORDERS_MAX];
	bool capped[GW_ORDERS_MAX];
};

static int
parse_row(struct gw_line *line, const char *member, struct order_row *row, struct gw_error *err)
{
	row->n = 0;
	while (!gw_line_at_end(line)) {
		int ret;

		if (row->n == GW_ORDERS_MAX)
			return gw_observe_fail(err, -EINVAL, "%s: line %u: more than %d orders",
				member, line->number, GW_ORDERS_MAX);
		row->capped[row->n] = gw_line_skip(line, ">");
		ret = gw_line_number(line, &row->count[row->n]);
		if (ret == -ENODATA)
			return gw_observe_fail(err, -EINVAL,
				"%s: line %u: not a number in order %u", member, line->number,
				row->n);
		if (ret != 0)
			return gw_observe_fail(err, -EINVAL,
				"%s: line %u: number too large in order %u", member, line->number,
				row->n);
		row->n++;
	}
	return 0;
}

/* B1 and B2 */
static int
check_row(const struct gw_line *line, const char *member, const struct order_row *row,
	const struct gw_snapshot *snap, const struct gw_zone_snapshot *zone, struct gw_error *err)
{
	if (row->n != snap->n_orders)
		return gw_observe_fail(err, -EINVAL, "%s: line %u: %u orders, not %u as before",
			member, line->number, row->n, snap->n_orders);
	for (unsigned order = 0; zone && order < row->n; order++) {
		if (row->count[order] > zone->spanned >> order)
			return gw_observe_fail(err, -EINVAL,
				"%s: line %u: more free blocks of order %u than zone %s can hold",
				member, line->number, order, zone->name);
	}
	return 0;
}

static int
parse_buddyinfo_line(struct gw_line *line, struct gw_snapshot *snap, struct gw_error *err)
{
	struct gw_zone_snapshot *zone;
	struct order_row row;
	struct gw_word name;
	uint64_t node;
	int ret;

	if (!gw_line_zone(line, &node, &name))
		return gw_observe_fail(
			err, -EINVAL, BUDDYINFO ": line %u: not a zone's row", line->number);
	ret = parse_row(line, BUDDYINFO, &row, err);
	if (ret != 0)
		return ret;
	if (row.n < 2)
		return gw_observe_fail(
			err, -EINVAL, BUDDYINFO ": line %u: fewer than 2 orders", line->number);
	if (snap->n_orders == 0)
		snap->n_orders = row.n;
	zone = gw_find_zone(snap, node, &name);
	ret = check_row(line, BUDDYINFO, &row, snap, zone, err);
	if (ret != 0 || !zone)
		return ret;
	if (zone->has_free_blocks)
		return gw_observe_fail(
			err, -EINVAL, BUDDYINFO ": line %u: zone stands there twice", line->number);
	memcpy(zone->free_blocks, row.count, row.n * sizeof(row.count[0]));
	zone->has_free_blocks = true;
	return 0;
}

int
gw_parse_buddyinfo(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err)
{
	struct gw_line line;

	snap->n_orders = 0;
	gw_line_init(&line, text, len);
	while (gw_line_next(&line)) {
		int ret;

		if (gw_line_at_end(&line))
			continue;
		ret = parse_buddyinfo_line(&line, snap, err);
		if (ret != 0)
			return ret;
	}
	if (snap->n_orders == 0)
		return gw_observe_fail(err, -EINVAL, BUDDYINFO ": no zone in it");
	return 0;
}

/* What the rows of pagetypeinfo below a heading are about. */
enum pagetype_section { SECTION_NONE, SECTION_FREE, SECTION_BLOCKS };

/* Far more types than any kernel has; those beyond are not looked at. */
#define TYPE_COLUMNS_MAX 32

struct pagetype_parser {
	struct gw_line line;
	struct gw_snapshot *snap;
	struct gw_error *err;
	enum pagetype_section section;
	bool any_table;
	unsigned n_columns;		    /* of the table of pageblocks */
	unsigned columns[TYPE_COLUMNS_MAX]; /* GW_MT_NR: unknown type */
};

/* ", type Movable 1 2 4 ...": one zone's free blocks of one type. */
static int
parse_free_row(struct pagetype_parser *pp, struct gw_zone_snapshot *zone)
{
	struct gw_line *line = &pp->line;
	struct order_row row;
	struct gw_word name;
	unsigned type;
	int ret;

	if (!gw_line_skip(line, "type") || !gw_line_word(line, &name))
		return gw_observe_fail(
			pp->err, -EINVAL, PAGETYPEINFO ": line %u: no type", line->number);
	ret = parse_row(line, PAGETYPEINFO, &row, pp->err);
	if (ret == 0)
		ret = check_row(line, PAGETYPEINFO, &row, pp->snap, zone, pp->err);
	if (ret != 0 || !zone)
		return ret;
	type = find_type(&name);
	if (type == GW_MT_NR)
		return 0;
	memcpy(zone->free_by_type[type], row.count, row.n * sizeof(row.count[0]));
	memcpy(zone->free_by_type_capped[type], row.capped, row.n * sizeof(row.capped[0]));
	zone->has_pagetypes = true;
	return 0;
}

/* "Number of blocks type Unmovable Movable ...": the names of the columns. */
static void
parse_block_heading(struct pagetype_parser *pp)
{
	struct gw_word name;

	pp->section = SECTION_BLOCKS;
	pp->any_table = true;
	pp->n_columns = 0;
	while (pp->n_columns < TYPE_COLUMNS_MAX && gw_line_word(&pp->line, &name))
		pp->columns[pp->n_columns++] = find_type(&name);
}

static int
parse_block_row(struct pagetype_parser *pp, struct gw_zone_snapshot *zone)
{
	const unsigned order = pp->snap->pageblock_order;

	for (unsigned i = 0; i < pp->n_columns; i++) {
		uint64_t count;

		if (gw_line_number(&pp->line, &count) != 0)
			return gw_observe_fail(pp->err, -EINVAL,
				PAGETYPEINFO ": line %u: not %u numbers of pageblocks",
				pp->line.number, pp->n_columns);
		if (!zone || pp->columns[i] == GW_MT_NR)
			continue;
		/* The first and the last block may stick out of the zone. */
		if (count > (zone->spanned >> order) + 2)
			return gw_observe_fail(pp->err, -EINVAL,
				PAGETYPEINFO ": line %u: more pageblocks than zone %s can hold",
				pp->line.number, zone->name);
		zone->pageblocks[pp->columns[i]] = count;
		zone->has_pagetypes = true;
	}
	return 0;
}

static int
parse_block_order(struct pagetype_parser *pp)
{
	uint64_t order;

	if (gw_line_number(&pp->line, &order) != 0 || order == 0 || order >= pp->snap->n_orders)
		return gw_observe_fail(pp->err, -EINVAL,
			PAGETYPEINFO ": line %u: page block order is not a number from 1 to %u",
			pp->line.number, pp->snap->n_orders - 1);
	pp->snap->pageblock_order = (unsigned)order;
	return 0;
}

static int
parse_zone_row(struct pagetype_parser *pp)
{
	struct gw_zone_snapshot *zone;
	struct gw_word name;
	uint64_t node;

	if (!gw_line_zone(&pp->line, &node, &name))
		return gw_observe_fail(pp->err, -EINVAL, PAGETYPEINFO ": line %u: not a zone's row",
			pp->line.number);
	zone = gw_find_zone(pp->snap, node, &name);
	return pp->section == SECTION_FREE ? parse_free_row(pp, zone) : parse_block_row(pp, zone);
}

static int
parse_pagetype_line(struct pagetype_parser *pp)
{
	struct gw_line *line = &pp->line;

	if (gw_line_skip(line, "Page block order:"))
		return parse_block_order(pp);
	if (gw_line_skip(line, "Free pages count per migrate type")) {
		pp->section = SECTION_FREE;
		pp->any_table = true;
		return 0;
	}
	if (gw_line_skip(line, "Number of blocks type")) {
		parse_block_heading(pp);
		return 0;
	}
	if (gw_line_skip(line, "Number of")) { /* "mixed blocks", where page owners are kept */
		pp->section = SECTION_NONE;
		return 0;
	}
	if (pp->section == SECTION_NONE || *line->p != 'N')
		return 0;
	return parse_zone_row(pp);
}

int
gw_parse_pagetypeinfo(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err)
{
	struct pagetype_parser pp = {.snap = snap, .err = err};

	gw_line_init(&pp.line, text, len);
	while (gw_line_next(&pp.line)) {
		int ret;

		if (gw_line_at_end(&pp.line))
			continue;
		ret = parse_pagetype_line(&pp);
		if (ret != 0)
			return ret;
	}
	if (!pp.any_table)
		return gw_observe_fail(err, -EINVAL, PAGETYPEINFO ": no table in it");
	return 0;
}
