/* SPDX-License-Identifier: MIT */
/*
 * picture.c - physical memory as a grid of cells.
 *
 * Idea. Memory is read like a page: left to right, then down, each row a round number of
 * bytes with its address in front. A cell stands for a power of two of pageblocks,
 * chosen so that the picture has at most ROWS_MAX rows. Where the terminal has colours and block
 * characters, one character shows two cells, one above the other.
 *
 * A cell of several pageblocks has one colour. The state that most blocks have would hide
 * a blocked one in sixteen all over the map, so what a cell leaves out is owed to that state in
 * the next cells of the row: over a stretch, colours stand in the proportions of the blocks.
 *
 * Invariants
 *   P1  a cell shows a state that one of its pageblocks has; NONE only if all have it
 *   P2  maps side by side have the same cells in the same places
 *   P3  rows without memory in any map are one line together
 */
#include <string.h>

#include "report_internal.h"

#define ROWS_MAX    32
#define LABEL_WIDTH 10
#define GAP_WIDTH   3 /* between two maps */

/* Colours of the 256-colour table, and what stands for them without colour. */
static const struct {
	unsigned colour;
	char plain;
} paints[GW_BLOCK_STATES] = {
	[GW_BLOCK_NONE] = {0, ' '},
	[GW_BLOCK_FREE] = {29, '.'},
	[GW_BLOCK_SPARSE] = {187, '-'},
	[GW_BLOCK_HALF] = {179, '+'},
	[GW_BLOCK_DENSE] = {172, '*'},
	[GW_BLOCK_HUGE] = {68, 'H'},
	[GW_BLOCK_BLOCKED] = {161, '#'},
	[GW_BLOCK_RESERVED] = {240, ':'},
};

#define ACROSS_MAX 256
#define DEPTH_MAX  2

struct layout {
	unsigned across;   /* characters of a map's row */
	unsigned depth;	   /* cells in a character */
	unsigned n_rows;   /* of the whole map, holes included */
	gw_pfn_t per_cell; /* pageblocks */
	uint64_t per_row;
};

static bool
two_in_one(const struct gw_report *r)
{
	return r->colour && r->utf8;
}

static bool
row_has_memory(const struct gw_picture *p, const struct layout *l, unsigned row)
{
	uint64_t first = row * l->per_row, end = first + l->per_row;

	for (unsigned m = 0; m < p->n_maps; m++) {
		for (uint64_t b = first; b < end && b < p->n_blocks; b++) {
			if (gw_block_state(&p->maps[m][b]) != GW_BLOCK_NONE)
				return true;
		}
	}
	return false;
}

static unsigned
rows_with_memory(const struct gw_picture *p, const struct layout *l)
{
	unsigned n = 0;

	for (unsigned row = 0; row < l->n_rows && n <= ROWS_MAX; row++)
		n += row_has_memory(p, l, row);
	return n;
}

static void
lay_out(const struct gw_report *r, const struct gw_picture *p, struct layout *l)
{
	unsigned gaps = LABEL_WIDTH + (p->n_maps - 1) * GAP_WIDTH;
	unsigned room = r->width > gaps ? (r->width - gaps) / p->n_maps : 0;

	l->across = 8;
	while (l->across * 2 <= room && l->across * 2 <= ACROSS_MAX)
		l->across *= 2;
	l->depth = two_in_one(r) ? DEPTH_MAX : 1;
	l->per_cell = 1;
	for (;;) {
		l->per_row = (uint64_t)l->per_cell * l->across * l->depth;
		l->n_rows = (unsigned)((p->n_blocks + l->per_row - 1) / l->per_row);
		if (rows_with_memory(p, l) <= ROWS_MAX)
			return;
		l->per_cell *= 2;
	}
}

/* P1: the state of `counts` that is owed most, itself included. */
static enum gw_block_state
choose(const uint32_t counts[GW_BLOCK_STATES], int64_t owed[GW_BLOCK_STATES])
{
	enum gw_block_state best = GW_BLOCK_NONE;
	int64_t total = 0;

	for (unsigned s = GW_BLOCK_NONE + 1; s < GW_BLOCK_STATES; s++) {
		total += counts[s];
		owed[s] += counts[s];
		if (counts[s] > 0 && (best == GW_BLOCK_NONE || owed[s] > owed[best]))
			best = (enum gw_block_state)s;
	}
	owed[best] -= total;
	return best;
}

static void
row_states(const struct gw_picture *p, const struct layout *l, unsigned map, unsigned row,
	uint8_t *states)
{
	int64_t owed[GW_BLOCK_STATES] = {0};
	uint64_t b = row * l->per_row;

	for (unsigned cell = 0; cell < l->across * l->depth; cell++) {
		uint32_t counts[GW_BLOCK_STATES] = {0};

		for (gw_pfn_t i = 0; i < l->per_cell && b < p->n_blocks; i++, b++)
			counts[gw_block_state(&p->maps[map][b])]++;
		states[cell] = (uint8_t)choose(counts, owed);
	}
}

/* One character for an upper and a lower cell; `colours` is what the terminal was last told. */
static void
put_two(FILE *out, unsigned upper, unsigned lower, int colours[2])
{
	int want[2] = {upper == GW_BLOCK_NONE ? -1 : (int)paints[upper].colour,
		lower == GW_BLOCK_NONE ? -1 : (int)paints[lower].colour};
	const char *half = "\u2580";

	if (want[0] == -1 && want[1] != -1) { /* the background stays the terminal's own */
		want[0] = want[1];
		want[1] = -1;
		half = "\u2584";
	}
	if (want[0] != colours[0] || want[1] != colours[1]) {
		fputs("\033[0", out);
		if (want[0] != -1)
			fprintf(out, ";38;5;%d", want[0]);
		if (want[1] != -1)
			fprintf(out, ";48;5;%d", want[1]);
		fputc('m', out);
		memcpy(colours, want, sizeof want);
	}
	fputs(want[0] == -1 ? " " : half, out);
}

static void
put_row(const struct gw_report *r, const struct layout *l, const uint8_t *states)
{
	int colours[2] = {-1, -1};

	for (unsigned x = 0; x < l->across; x++) {
		const unsigned upper = states[x];

		if (l->depth == 2) {
			put_two(r->out, upper, states[l->across + x], colours);
			continue;
		}
		if (r->colour && upper != GW_BLOCK_NONE)
			fprintf(r->out, "\033[38;5;%um", paints[upper].colour);
		fputc(paints[upper].plain, r->out);
		if (r->colour && upper != GW_BLOCK_NONE)
			fputs("\033[0m", r->out);
	}
	if (l->depth == 2 && (colours[0] != -1 || colours[1] != -1))
		fputs("\033[0m", r->out);
}

static void
put_label(const struct gw_report *r, uint64_t address, uint64_t step)
{
	const uint64_t gib = UINT64_C(1) << 30;
	char text[32];

	if (step < gib / 8)
		snprintf(text, sizeof text, "%llu MiB", (unsigned long long)(address >> 20));
	else
		snprintf(text, sizeof text, "%.*f GiB",
			step % gib == 0		? 0
			: step % (gib / 2) == 0 ? 1
			: step % (gib / 4) == 0 ? 2
						: 3,
			(double)address / (double)gib);
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "%*s  ", LABEL_WIDTH - 2, text);
	gw_tone(r, GW_TONE_PLAIN);
}

static void
put_swatch(const struct gw_report *r, unsigned state)
{
	if (two_in_one(r))
		fprintf(r->out, "\033[38;5;%um\u2588\u2588\033[0m", paints[state].colour);
	else if (r->colour)
		fprintf(r->out, "\033[38;5;%um%c%c\033[0m", paints[state].colour,
			paints[state].plain, paints[state].plain);
	else
		fprintf(r->out, "%c%c", paints[state].plain, paints[state].plain);
}

/* What each colour means and how many pageblocks have it: exact, unlike the cells. */
static void
put_legend(const struct gw_report *r, const struct gw_picture *p)
{
	uint64_t counts[2][GW_BLOCK_STATES] = {{0}};

	for (unsigned m = 0; m < p->n_maps; m++) {
		for (gw_pfn_t b = 0; b < p->n_blocks; b++)
			counts[m][gw_block_state(&p->maps[m][b])]++;
	}
	fputc('\n', r->out);
	if (p->n_maps > 1) {
		gw_tone(r, GW_TONE_DIM);
		fprintf(r->out, "  %-26s %9s %9s\n", "pageblocks", p->titles[0], p->titles[1]);
		gw_tone(r, GW_TONE_PLAIN);
	}
	for (unsigned s = GW_BLOCK_FREE; s < GW_BLOCK_STATES; s++) {
		const bool ends_line = p->n_maps > 1 || s % 2 == 0 || s + 1 == GW_BLOCK_STATES ||
				       r->width < GW_TEXT_COLUMNS;

		fputs("  ", r->out);
		put_swatch(r, s);
		fprintf(r->out, " %-23s", gw_block_state_titles[s]);
		for (unsigned m = 0; m < p->n_maps; m++)
			fprintf(r->out, " %9s", gw_text_count(counts[m][s]).s);
		fputs(ends_line ? "\n" : "    ", r->out);
	}
}

static void
put_titles(const struct gw_report *r, const struct gw_picture *p, const struct layout *l)
{
	fprintf(r->out, "%*s", LABEL_WIDTH, "");
	for (unsigned m = 0; m < p->n_maps; m++) {
		int pad = m + 1 < p->n_maps ? (int)l->across + GAP_WIDTH : 0;

		gw_tone(r, GW_TONE_TITLE);
		fprintf(r->out, "%-*s", pad, p->titles[m]);
		gw_tone(r, GW_TONE_PLAIN);
	}
	fputc('\n', r->out);
}

void
gw_picture(const struct gw_report *r, const struct gw_picture *p)
{
	const uint64_t block_bytes = GW_PAGE_SIZE << p->pageblock_order;
	uint8_t states[ACROSS_MAX * DEPTH_MAX];
	struct layout l;
	unsigned holes = 0;

	lay_out(r, p, &l);
	gw_heading(r, "Physical memory");
	gw_paragraph(r, 0, GW_TONE_DIM, "One row: %s. One cell%s: %s, %s pageblock%s.",
		gw_text_bytes(l.per_row * block_bytes).s, l.depth == 2 ? " (half a character)" : "",
		gw_text_bytes(l.per_cell * block_bytes).s, gw_text_count(l.per_cell).s,
		l.per_cell == 1 ? "" : "s");
	if (p->n_maps > 1)
		put_titles(r, p, &l);

	for (unsigned row = 0; row < l.n_rows; row++) {
		const uint64_t step = l.per_row * block_bytes;

		if (!row_has_memory(p, &l, row)) { /* P3 */
			holes++;
			continue;
		}
		if (holes > 0) {
			put_label(r, (row - holes) * step, step);
			fprintf(r->out, "(%s without memory)\n", gw_text_bytes(holes * step).s);
			holes = 0;
		}
		put_label(r, row * step, step);
		for (unsigned m = 0; m < p->n_maps; m++) {
			row_states(p, &l, m, row, states);
			put_row(r, &l, states);
			if (m + 1 < p->n_maps)
				fprintf(r->out, "%*s", GAP_WIDTH, "");
		}
		fputc('\n', r->out);
	}
	put_legend(r, p);
}
