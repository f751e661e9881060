/* SPDX-License-Identifier: MIT */
/*
 * html.c - a plan as one page.
 *
 * Idea. page.html is a fixed page with three gaps: the plan's JSON, and the maps before and
 * after. embed.py makes a C array of each piece between them (at build time). What the page shows
 * it makes itself from these, so that text, JSON and page cannot disagree.
 *
 * A map is base64 of records, each of a run of pageblocks with the same contents: page.html
 * says how they are read. A terabyte of memory is half a million pageblocks, a few bytes each.
 *
 * Invariants
 *   H1  in the page's data '<' never stands as itself, so no text in it can end a script
 *   H2  the runs of a map add up to n_blocks
 */
#include <errno.h>
#include <string.h>

#include "report_internal.h"

extern const char *const gw_html_pieces[]; /* made from page.html */

/* JSON as it is dumped; H1. */
static int
put_escaped(const char *text, size_t size, void *out)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '<')
			fputs("\\u003c", out);
		else
			fputc(text[i], out);
	}
	return 0;
}

struct base64 {
	FILE *out;
	unsigned char bytes[3];
	unsigned n;
};

static void
base64_flush(struct base64 *b)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits;

	if (b->n == 0)
		return;
	memset(b->bytes + b->n, 0, sizeof b->bytes - b->n);
	bits = (unsigned)b->bytes[0] << 16 | (unsigned)b->bytes[1] << 8 | b->bytes[2];
	fputc(digits[bits >> 18], b->out);
	fputc(digits[bits >> 12 & 63], b->out);
	fputc(b->n > 1 ? digits[bits >> 6 & 63] : '=', b->out);
	fputc(b->n > 2 ? digits[bits & 63] : '=', b->out);
	b->n = 0;
}

static void
put_byte(struct base64 *b, unsigned value)
{
	b->bytes[b->n++] = (unsigned char)value;
	if (b->n == sizeof b->bytes)
		base64_flush(b);
}

static void
put_varint(struct base64 *b, unsigned value)
{
	while (value >= 128) {
		put_byte(b, (value & 127) | 128);
		value >>= 7;
	}
	put_byte(b, value);
}

static void
put_run(struct base64 *b, const struct gw_block_contents *c, gw_pfn_t run)
{
	unsigned n = 0;

	for (unsigned k = 0; k < GW_KIND_NR; k++)
		n += c->kinds[k] > 0;
	put_varint(b, run);
	put_byte(b, (unsigned)gw_block_state(c) | (unsigned)c->migratetype << 3);
	put_byte(b, c->zone);
	put_byte(b, n);
	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		if (c->kinds[k] == 0)
			continue;
		put_byte(b, k);
		put_varint(b, c->kinds[k]);
	}
}

static bool
same_contents(const struct gw_block_contents *a, const struct gw_block_contents *b)
{
	return a->zone == b->zone && a->migratetype == b->migratetype && a->huge == b->huge &&
	       memcmp(a->kinds, b->kinds, sizeof a->kinds) == 0;
}

static void
put_map(FILE *out, const struct gw_block_contents *blocks, gw_pfn_t n_blocks)
{
	struct base64 b = {.out = out};
	gw_pfn_t run;

	for (gw_pfn_t first = 0; first < n_blocks; first += run) {
		run = 1;
		while (first + run < n_blocks &&
			same_contents(&blocks[first], &blocks[first + run]))
			run++;
		put_run(&b, &blocks[first], run);
	}
	base64_flush(&b);
}

static json_t *
kinds(void)
{
	static const char *const verdicts[] = {
		[GW_VERDICT_NONE] = "none",
		[GW_VERDICT_FREE] = "free",
		[GW_VERDICT_MOVABLE] = "movable",
		[GW_VERDICT_RECLAIMABLE] = "reclaimable",
		[GW_VERDICT_UNMOVABLE] = "unmovable",
	};
	json_t *array = json_array();

	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		const struct gw_kind_info *info = gw_kind_info((enum gw_kind)k);
		json_t *o = json_object();

		gw_json_set(&o, "name", json_string(info->name));
		gw_json_set(&o, "title", json_string(info->title));
		gw_json_set(&o, "verdict", json_string(verdicts[info->verdict]));
		gw_json_set(&o, "why", json_string(info->why));
		gw_json_set(&o, "help", json_string(info->help));
		gw_json_append(&array, o);
	}
	return array;
}

static json_t *
states(void)
{
	json_t *array = json_array();

	for (unsigned s = 0; s < GW_BLOCK_STATES; s++) {
		json_t *o = json_object();

		gw_json_set(&o, "name", json_string(gw_block_state_names[s]));
		gw_json_set(&o, "title", json_string(gw_block_state_titles[s]));
		gw_json_append(&array, o);
	}
	return array;
}

static json_t *
migratetypes(void)
{
	json_t *array = json_array();

	for (unsigned t = 0; t < GW_MT_NR; t++)
		gw_json_append(&array, json_string(gw_migratetype_names[t]));
	return array;
}

int
gw_html_plan(FILE *out, const struct gw_snapshot *snap, const struct gw_plan *plan)
{
	json_t *data = json_object();
	int err;

	gw_json_set(&data, "plan", gw_json_plan_object(snap, plan));
	gw_json_set(&data, "kinds", kinds());
	gw_json_set(&data, "states", states());
	gw_json_set(&data, "migratetypes", migratetypes());
	gw_json_set(&data, "n_blocks", gw_json_uint(plan->n_blocks));
	if (!data)
		return -ENOMEM;

	fputs(gw_html_pieces[0], out);
	err = json_dump_callback(data, put_escaped, out, JSON_COMPACT);
	json_decref(data);
	if (err)
		return -ENOMEM;
	fputs(gw_html_pieces[1], out);
	put_map(out, plan->before, plan->n_blocks);
	fputs(gw_html_pieces[2], out);
	put_map(out, plan->after, plan->n_blocks);
	fputs(gw_html_pieces[3], out);
	return 0;
}
