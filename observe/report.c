/* SPDX-License-Identifier: MIT */
/*
 * report.c - words, numbers and tones of the text reports.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "report_internal.h"

const char *const gw_block_state_titles[GW_BLOCK_STATES] = {
	[GW_BLOCK_NONE] = "no memory",
	[GW_BLOCK_FREE] = "free",
	[GW_BLOCK_SPARSE] = "movable, under 1/3 full",
	[GW_BLOCK_HALF] = "movable, under 2/3 full",
	[GW_BLOCK_DENSE] = "movable, fuller",
	[GW_BLOCK_HUGE] = "one huge page",
	[GW_BLOCK_BLOCKED] = "blocked",
	[GW_BLOCK_RESERVED] = "reserved",
};

const char *const gw_block_state_names[GW_BLOCK_STATES] = {
	[GW_BLOCK_NONE] = "none",
	[GW_BLOCK_FREE] = "free",
	[GW_BLOCK_SPARSE] = "sparse",
	[GW_BLOCK_HALF] = "half",
	[GW_BLOCK_DENSE] = "dense",
	[GW_BLOCK_HUGE] = "huge",
	[GW_BLOCK_BLOCKED] = "blocked",
	[GW_BLOCK_RESERVED] = "reserved",
};

const char *const gw_migratetype_names[GW_MT_NR] = {
	[GW_MT_UNMOVABLE] = "unmovable",
	[GW_MT_MOVABLE] = "movable",
	[GW_MT_RECLAIMABLE] = "reclaimable",
	[GW_MT_HIGHATOMIC] = "highatomic",
	[GW_MT_CMA] = "cma",
	[GW_MT_ISOLATE] = "isolate",
};

struct gw_text_piece
gw_text_count(uint64_t n)
{
	struct gw_text_piece t;
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n), out = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			t.s[out++] = ',';
		t.s[out++] = digits[i];
	}
	t.s[out] = '\0';
	return t;
}

struct gw_text_piece
gw_text_bytes(uint64_t n)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	struct gw_text_piece t;
	unsigned unit = 0;
	double value = (double)n;

	while (value >= 1024 && unit < 6) {
		value /= 1024;
		unit++;
	}
	if (value == (double)(uint64_t)value || value >= 100)
		snprintf(t.s, sizeof t.s, "%.0f %s", value, units[unit]);
	else
		snprintf(t.s, sizeof t.s, "%.1f %s", value, units[unit]);
	return t;
}

struct gw_text_piece
gw_text_frames(uint64_t n)
{
	return gw_text_bytes(n * GW_PAGE_SIZE);
}

struct gw_text_piece
gw_text_clean(const char *text, unsigned columns)
{
	struct gw_text_piece t = {""};
	size_t len = strlen(text), room = sizeof t.s - 1;
	char *to = t.s;

	if (room > columns)
		room = columns;
	if (len > room) { /* the end of a path says more than its beginning */
		size_t dots = room < 3 ? room : 3;

		memset(to, '.', dots);
		to += dots;
		text += len - (room - dots);
	}
	for (; *text; text++)
		*to++ = *text >= ' ' && *text <= '~' ? *text : '?';
	*to = '\0';
	return t;
}

struct gw_text_piece
gw_text_blocks(unsigned order, unsigned pageblock_order, uint64_t n)
{
	struct gw_text_piece t;
	const char *plural = n == 1 ? "" : "s";

	if (order == pageblock_order)
		snprintf(t.s, sizeof t.s, "huge page%s", plural);
	else if (order == 0)
		snprintf(t.s, sizeof t.s, "page%s", plural);
	else
		snprintf(t.s, sizeof t.s, "block%s of order %u", plural, order);
	return t;
}

void
gw_tone(const struct gw_report *r, enum gw_tone tone)
{
	static const char *const codes[] = {
		[GW_TONE_PLAIN] = "\033[0m",
		[GW_TONE_TITLE] = "\033[1m",
		[GW_TONE_DIM] = "\033[2m",
		[GW_TONE_GOOD] = "\033[1;32m",
		[GW_TONE_BAD] = "\033[1;31m",
	};

	if (r->colour)
		fputs(codes[tone], r->out);
}

void
gw_heading(const struct gw_report *r, const char *fmt, ...)
{
	va_list ap;

	fputc('\n', r->out);
	gw_tone(r, GW_TONE_TITLE);
	va_start(ap, fmt);
	vfprintf(r->out, fmt, ap);
	va_end(ap);
	gw_tone(r, GW_TONE_PLAIN);
	fputc('\n', r->out);
}

unsigned
gw_text_columns(const struct gw_report *r)
{
	return r->width < GW_TEXT_COLUMNS ? r->width : GW_TEXT_COLUMNS;
}

void
gw_paragraph(const struct gw_report *r, unsigned indent, enum gw_tone tone, const char *fmt, ...)
{
	const unsigned columns = gw_text_columns(r);
	char text[1024];
	unsigned column = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);

	for (const char *word = text + strspn(text, " "); *word;) {
		unsigned len = (unsigned)strcspn(word, " ");

		if (len > columns - indent)
			len = columns - indent;
		if (column > 0 && column + 1 + len > columns) {
			fputc('\n', r->out);
			column = 0;
		}
		if (column == 0) {
			fprintf(r->out, "%*s", (int)indent, "");
			gw_tone(r, tone);
			column = indent;
		} else {
			fputc(' ', r->out);
			column++;
		}
		fwrite(word, 1, len, r->out);
		column += len;
		word += len;
		word += strspn(word, " ");
	}
	if (tone != GW_TONE_PLAIN)
		gw_tone(r, GW_TONE_PLAIN);
	fputc('\n', r->out);
}

/* Ranges, zones and nodes overlap in no way that matters here: zones are ascending (N2). */
void
gw_report_source(const struct gw_report *r, const struct gw_snapshot *snap)
{
	bool seen[GW_NODES_MAX] = {false};
	uint64_t present = 0;
	unsigned nodes = 0;

	for (unsigned z = 0; z < snap->n_zones; z++) {
		int node = snap->zones[z].node;

		present += snap->zones[z].present;
		if (node >= 0 && node < GW_NODES_MAX && !seen[node]) {
			seen[node] = true;
			nodes++;
		}
	}
	gw_tone(r, GW_TONE_TITLE);
	fprintf(r->out, "%s\n", gw_text_clean(snap->source, gw_text_columns(r)).s);
	gw_tone(r, GW_TONE_DIM);
	if (snap->kernel[0])
		fprintf(r->out, "%s\n", gw_text_clean(snap->kernel, gw_text_columns(r)).s);
	fprintf(r->out, "%s in %u zone%s of %u node%s, pageblocks of %s\n",
		gw_text_frames(present).s, snap->n_zones, snap->n_zones == 1 ? "" : "s", nodes,
		nodes == 1 ? "" : "s", gw_text_frames(UINT64_C(1) << snap->pageblock_order).s);
	gw_tone(r, GW_TONE_PLAIN);
	fputc('\n', r->out);
}

uint64_t
gw_blocks_available(const uint64_t *free_blocks, unsigned n_orders, unsigned order)
{
	uint64_t n = 0;

	for (unsigned k = order; k < n_orders; k++)
		n += free_blocks[k] << (k - order);
	return n;
}

uint64_t
gw_blocks_frames(const uint64_t *free_blocks, unsigned n_orders)
{
	return gw_blocks_available(free_blocks, n_orders, 0);
}
