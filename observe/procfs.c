/* SPDX-License-Identifier: MIT */
/*
 * procfs.c - reading text line by line and word by word.
 *
 * Invariant
 *   T1  nothing is read outside text[0 .. len), whatever bytes it holds
 */
#include <errno.h>
#include <string.h>

#include "procfs.h"

void
gw_line_init(struct gw_line *line, const char *text, size_t len)
{
	line->p = line->end = text;
	line->next = text;
	line->text_end = text + len;
	line->number = 0;
}

bool
gw_line_next(struct gw_line *line)
{
	const char *newline;
	size_t left = (size_t)(line->text_end - line->next);

	if (left == 0)
		return false;
	line->p = line->next;
	newline = memchr(line->p, '\n', left);
	line->end = newline ? newline : line->text_end;
	line->next = newline ? newline + 1 : line->text_end;
	line->number++;
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
skip_blanks(struct gw_line *line)
{
	while (line->p < line->end && is_blank(*line->p))
		line->p++;
}

bool
gw_line_at_end(struct gw_line *line)
{
	skip_blanks(line);
	return line->p == line->end;
}

bool
gw_line_word(struct gw_line *line, struct gw_word *word)
{
	skip_blanks(line);
	word->p = line->p;
	while (line->p < line->end && !is_blank(*line->p))
		line->p++;
	word->len = (size_t)(line->p - word->p);
	return word->len > 0;
}

bool
gw_line_skip(struct gw_line *line, const char *literal)
{
	size_t len = strlen(literal);

	skip_blanks(line);
	if ((size_t)(line->end - line->p) < len || memcmp(line->p, literal, len) != 0)
		return false;
	line->p += len;
	return true;
}

static unsigned
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

static int
take_digits(struct gw_line *line, unsigned base, uint64_t *value)
{
	uint64_t v = 0;
	bool any = false, fits = true;

	skip_blanks(line);
	for (; line->p < line->end; line->p++) {
		unsigned digit = digit_value(*line->p);

		if (digit >= base)
			break;
		any = true;
		if (v > (UINT64_MAX - digit) / base)
			fits = false;
		v = v * base + digit;
	}
	if (!any)
		return -ENODATA;
	if (!fits)
		return -ERANGE;
	*value = v;
	return 0;
}

int
gw_line_number(struct gw_line *line, uint64_t *value)
{
	return take_digits(line, 10, value);
}

int
gw_line_hex(struct gw_line *line, uint64_t *value)
{
	return take_digits(line, 16, value);
}

bool
gw_word_is(const struct gw_word *word, const char *literal)
{
	return word->len == strlen(literal) && memcmp(word->p, literal, word->len) == 0;
}

bool
gw_word_is_printable(const struct gw_word *word)
{
	for (size_t i = 0; i < word->len; i++) {
		if (word->p[i] <= ' ' || word->p[i] > '~')
			return false;
	}
	return word->len > 0;
}

bool
gw_line_zone(struct gw_line *line, uint64_t *node, struct gw_word *name)
{
	if (!gw_line_skip(line, "Node") || gw_line_number(line, node) != 0 ||
		!gw_line_skip(line, ",") || !gw_line_skip(line, "zone") ||
		!gw_line_word(line, name))
		return false;
	if (name->p[name->len - 1] == ',')
		name->len--;
	return name->len > 0;
}

struct gw_zone_snapshot *
gw_find_zone(struct gw_snapshot *snap, uint64_t node, const struct gw_word *name)
{
	for (unsigned i = 0; i < snap->n_zones; i++) {
		struct gw_zone_snapshot *zone = &snap->zones[i];

		if ((uint64_t)zone->node == node && gw_word_is(name, zone->name))
			return zone;
	}
	return NULL;
}
