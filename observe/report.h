/* SPDX-License-Identifier: MIT */
/*
 * report.h - what a snapshot or a plan says, for people and for programs.
 *
 * Idea. A report is written to a stdio stream from what the caller already holds; nothing is
 * computed that the JSON would not say too. Whether the stream took it is the caller's
 * to ask (ferror).
 *
 * Invariants
 *   O1  without colour every byte written is printable ASCII or a newline
 *   O2  lines of text fit 80 columns; the picture alone grows with the width
 *   O3  what a snapshot says (names, paths) reaches the stream with its control bytes replaced
 *
 * Functions here only read their arguments. Any thread, one stream each.
 */
#ifndef GODWIT_OBSERVE_REPORT_H
#define GODWIT_OBSERVE_REPORT_H

#include <stdio.h>

#include "godwit/plan.h"
#include "godwit/range_plan.h"
#include "godwit/snapshot.h"
#include "godwit/twin.h"

/* Where text goes, and what the reader's terminal can show. */
struct gw_report {
	FILE *out;
	unsigned width; /* columns for the picture; text keeps to 80 */
	bool colour;	/* 256 colours, by escape sequences */
	bool utf8;	/* block characters; only looked at with colour */
};

/* How fragmented a host is: its snapshot, completed by a twin, and what the twin inferred. */
struct gw_frag {
	const struct gw_snapshot *snap;
	unsigned order;				/* asked for; <= the largest of the host */
	const struct gw_twin_notes *notes;	/* one per zone */
	const struct gw_block_contents *blocks; /* one per pageblock of the map */
	gw_pfn_t n_blocks;
};

void gw_report_frag(const struct gw_report *r, const struct gw_frag *frag);
void gw_report_plan(
	const struct gw_report *r, const struct gw_snapshot *snap, const struct gw_plan *plan);

void gw_report_offline(const struct gw_report *r, const struct gw_snapshot *snap,
	const struct gw_range_plan *plan);
void gw_report_gigantic(const struct gw_report *r, const struct gw_snapshot *snap,
	const struct gw_gigantic_plan *plan);

/* One JSON object and a newline (docs/json.md). Return 0 or -ENOMEM. */
GW_MUST_CHECK int gw_json_offline(
	FILE *out, const struct gw_snapshot *snap, const struct gw_range_plan *plan);
GW_MUST_CHECK int gw_json_gigantic(
	FILE *out, const struct gw_snapshot *snap, const struct gw_gigantic_plan *plan);
GW_MUST_CHECK int gw_json_frag(FILE *out, const struct gw_frag *frag);
GW_MUST_CHECK int gw_json_plan(FILE *out, const struct gw_snapshot *snap,
	const struct gw_plan *plan, bool with_pageblocks);

/* One self-contained HTML page: maps, tables, the plan. Returns 0 or -ENOMEM. */
GW_MUST_CHECK int gw_html_plan(
	FILE *out, const struct gw_snapshot *snap, const struct gw_plan *plan);

/* A short text by value, so that several fit in one printf(). */
struct gw_text_piece {
	char s[GW_MESSAGE_MAX];
};

struct gw_text_piece gw_text_count(uint64_t n);	 /* "12,345" */
struct gw_text_piece gw_text_bytes(uint64_t n);	 /* "1.5 GiB" */
struct gw_text_piece gw_text_frames(uint64_t n); /* the size of n frames */
/* `text`, cut from the left to at most `columns`; bytes outside printable ASCII become '?'. */
struct gw_text_piece gw_text_clean(const char *text, unsigned columns);
/* "huge pages" or "blocks of order 4", to follow a number that is not one. */
struct gw_text_piece gw_text_blocks(unsigned order, unsigned pageblock_order, uint64_t n);

/* Free blocks of at least `order`, in units of it. */
uint64_t gw_blocks_available(const uint64_t *free_blocks, unsigned n_orders, unsigned order);

#endif
