/* SPDX-License-Identifier: MIT */
/*
 * procfs.h - parsers of the kernel's text files.
 *
 * Idea. Kernels add lines, columns and names all the time, so everything is found by
 * name and what has no known name is passed over; but a known name with a value that
 * cannot be is an error, since a wrong plan is worse than none.
 *
 * Every parser takes a text of `len` bytes (any bytes, no final NUL needed), fills its part of
 * `snap`, and returns 0, -EINVAL with "MEMBER: ..." in err, or -ENOMEM. What it
 * allocated is in `snap`, also on failure: gw_snapshot_free().
 */
#ifndef GODWIT_PROCFS_H
#define GODWIT_PROCFS_H

#include "builder.h"

/* Fills zones[], ascending, without overlap. */
GW_MUST_CHECK int gw_parse_zoneinfo(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

/* Needs zones[]; fills n_orders and free_blocks[]. */
GW_MUST_CHECK int gw_parse_buddyinfo(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

/* Needs zones[] and n_orders; fills pageblock_order, free_by_type[] and pageblocks[]. */
GW_MUST_CHECK int gw_parse_pagetypeinfo(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

GW_MUST_CHECK int gw_parse_vmstat(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

/* Fills ram[], ascending and merged; leaves it NULL where the addresses are hidden. */
GW_MUST_CHECK int gw_parse_iomem(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

GW_MUST_CHECK int gw_parse_sysctl(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

GW_MUST_CHECK int gw_parse_uname(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

/* A text, line by line. `p .. end` is what is left of the current line. */
struct gw_line {
	const char *p, *end;
	const char *next, *text_end;
	unsigned number; /* of the current line, from 1 */
};

/* A piece of a line, not terminated. */
struct gw_word {
	const char *p;
	size_t len;
};

void gw_line_init(struct gw_line *line, const char *text, size_t len);

/* Go to the next line; false at the end of the text. */
bool gw_line_next(struct gw_line *line);

/* Each of these passes over blanks first, and over what it found. */
bool gw_line_word(struct gw_line *line, struct gw_word *word); /* up to the next blank */
bool gw_line_skip(struct gw_line *line, const char *literal);
/* Decimal. 0, -ENODATA (no digit there), -ERANGE (does not fit 64 bits). */
int gw_line_number(struct gw_line *line, uint64_t *value);
/* Hexadecimal, without 0x. As above. */
int gw_line_hex(struct gw_line *line, uint64_t *value);
/* Nothing but blanks is left. */
bool gw_line_at_end(struct gw_line *line);

bool gw_word_is(const struct gw_word *word, const char *literal);

/* No control characters, NULs or bytes outside ASCII: names are shown on terminals. */
bool gw_word_is_printable(const struct gw_word *word);

/* "Node N, zone NAME" with an optional comma: true and both filled, or false. */
bool gw_line_zone(struct gw_line *line, uint64_t *node, struct gw_word *name);

/* The zone of that node and name, or NULL. */
struct gw_zone_snapshot *gw_find_zone(
	struct gw_snapshot *snap, uint64_t node, const struct gw_word *name);

#endif
