/* SPDX-License-Identifier: MIT */
/*
 * report_internal.h - what the reports share.
 */
#ifndef GODWIT_REPORT_INTERNAL_H
#define GODWIT_REPORT_INTERNAL_H

#include <jansson.h>

#include "observe/report.h"

/* Text keeps to this many columns whatever the terminal has, words to fewer where it has fewer. */
#define GW_TEXT_COLUMNS 80
unsigned gw_text_columns(const struct gw_report *r);

/* Names, in words and in JSON, of enum gw_block_state and enum gw_migratetype. */
extern const char *const gw_block_state_titles[GW_BLOCK_STATES];
extern const char *const gw_block_state_names[GW_BLOCK_STATES];
extern const char *const gw_migratetype_names[GW_MT_NR];

/* How prominent a piece of text is. */
enum gw_tone { GW_TONE_PLAIN, GW_TONE_TITLE, GW_TONE_DIM, GW_TONE_GOOD, GW_TONE_BAD };

/* Begin a tone; GW_TONE_PLAIN ends it. Nothing without colour. */
void gw_tone(const struct gw_report *r, enum gw_tone tone);

/* A heading on a line of its own, after an empty line. */
void gw_heading(const struct gw_report *r, const char *fmt, ...) GW_PRINTF(2, 3);

/* Words flowing into lines of gw_text_columns(), each after `indent` blanks. */
void gw_paragraph(const struct gw_report *r, unsigned indent, enum gw_tone tone, const char *fmt,
	...) GW_PRINTF(4, 5);

/* "snapshot FILE" or "this host, live", the kernel and the size of memory, in two lines. */
void gw_report_source(const struct gw_report *r, const struct gw_snapshot *snap);

/* Frames in free blocks of all orders. */
uint64_t gw_blocks_frames(const uint64_t *free_blocks, unsigned n_orders);

/* What printf would print. */
struct gw_text_piece gw_sentence(const char *fmt, ...) GW_PRINTF(1, 2);

/* The plan in sentences: the answer, what it costs, what would help ("" where nothing is asked). */
struct gw_text_piece gw_plan_answer(const struct gw_plan *plan);
struct gw_text_piece gw_plan_cost(const struct gw_plan *plan);
struct gw_text_piece gw_plan_help(const struct gw_plan *plan);

struct gw_text_piece gw_offline_answer(const struct gw_range_plan *plan);
struct gw_text_piece gw_offline_cost(const struct gw_range_plan *plan);
struct gw_text_piece gw_gigantic_answer(const struct gw_gigantic_plan *plan);
struct gw_text_piece gw_gigantic_cost(const struct gw_gigantic_plan *plan);

/* One or two maps of the same memory, side by side. */
struct gw_picture {
	const struct gw_block_contents *maps[2];
	const char *titles[2];
	unsigned n_maps;
	gw_pfn_t n_blocks;
	unsigned pageblock_order;
};

void gw_picture(const struct gw_report *r, const struct gw_picture *p);

/*
 * JSON. Every function that makes a value returns NULL without memory, and setting NULL as a
 * member makes the object NULL too: so only the end looks.
 */
void gw_json_set(json_t **object, const char *key, json_t *value); /* takes both over */
void gw_json_append(json_t **array, json_t *value);
json_t *gw_json_text(const char *text); /* valid UTF-8 whatever `text` holds */
json_t *gw_json_uint(uint64_t value);
json_t *gw_json_counts(const uint64_t *values, unsigned n);
/* Pageblocks by state: {"free": N, ...}. */
json_t *gw_json_states(const struct gw_block_contents *blocks, gw_pfn_t n_blocks);
json_t *gw_json_notes(const struct gw_twin_notes *notes);
/* An object with the members that every report begins with. */
json_t *gw_json_begin(const char *schema, const struct gw_snapshot *snap);
/* Write and release `object`. NULL: -ENOMEM. */
GW_MUST_CHECK int gw_json_end(FILE *out, json_t *object);
/* The plan as gw_json_plan() writes it. */
json_t *gw_json_plan_object(const struct gw_snapshot *snap, const struct gw_plan *plan);

#endif
