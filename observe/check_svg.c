/* SPDX-License-Identifier: MIT */
/*
 * check_svg.c - how migration fares against tasks that want its page, as a picture: how often it
 * succeeds, and in how many passes.
 */
#include "observe/check.h"

#define WIDTH  760
#define HEIGHT 380
#define TOP    64
#define BOTTOM 56
#define PANEL  270 /* width of a panel's axes */
#define PASSES 10  /* of a call, at most */

/* Colours that differ in lightness too, and a mark of its own for each line. */
static const char *const colours[] = {"#b3204f", "#c8801a", "#14734f"};
static const char *const words[] = {
	"holds a reference", "drops it, then sleeps", "takes none (put-and-wait)"};

struct panel {
	const char *title;
	double left, most;
	unsigned ticks; /* from 0 to most */
	const char *unit;
	double (*value)(const struct gw_check_calls *calls);
};

static double
moved(const struct gw_check_calls *c)
{
	return c->calls ? 100 * (double)c->moved / (double)c->calls : 0;
}

static double
passes(const struct gw_check_calls *c)
{
	return c->calls ? (double)c->passes / (double)c->calls : 0;
}

static double
x_of(const struct panel *p, unsigned tasks)
{
	return p->left + (double)tasks * PANEL / GW_CHECK_FAULTERS;
}

static double
y_of(const struct panel *p, double value)
{
	return TOP + (1 - value / p->most) * (HEIGHT - TOP - BOTTOM);
}

static void
put_axes(FILE *out, const struct panel *p)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%d\" font-weight=\"bold\">%s</text>\n", p->left,
		TOP - 14, p->title);
	for (unsigned i = 0; i <= p->ticks; i++) {
		double value = p->most * i / p->ticks, y = y_of(p, value);

		fprintf(out,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
			"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.0f%s</text>\n",
			p->left, y, p->left + PANEL, y, p->left - 8, y + 4, value, p->unit);
	}
	for (unsigned n = 0; n <= GW_CHECK_FAULTERS; n++)
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n",
			x_of(p, n), HEIGHT - BOTTOM + 20, n);
	fprintf(out,
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">tasks that touch the page on and "
		"on</text>\n",
		p->left + PANEL / 2.0, HEIGHT - 14);
}

static void
put_mark(FILE *out, enum gw_wait_era era, double x, double y)
{
	const char *colour = colours[era];

	if (era == GW_ERA_HOLD)
		fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>", x, y, colour);
	else if (era == GW_ERA_DROP)
		fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\" fill=\"%s\"/>",
			x - 4, y - 4, colour);
	else
		fprintf(out, "<path d=\"M%.1f %.1fl5 9h-10z\" fill=\"%s\"/>", x, y - 5, colour);
}

static void
put_line(FILE *out, const struct panel *p, enum gw_wait_era era,
	const struct gw_check_faulters *rows, size_t n)
{
	const char *front = "M";

	fputs("<path fill=\"none\" stroke-width=\"2\" d=\"", out);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].era != era)
			continue;
		fprintf(out, "%s%.1f %.1f", front, x_of(p, rows[i].tasks),
			y_of(p, p->value(&rows[i].random)));
		front = "L";
	}
	fprintf(out, "\" stroke=\"%s\"/>\n", colours[era]);
	for (size_t i = 0; i < n; i++)
		if (rows[i].era == era)
			put_mark(out, era, x_of(p, rows[i].tasks),
				y_of(p, p->value(&rows[i].random)));
	fputc('\n', out);
}

static void
put_legend(FILE *out)
{
	fprintf(out, "<text x=\"48\" y=\"22\">A task that waits:</text>\n");
	for (unsigned era = GW_ERA_HOLD; era <= GW_ERA_NONE; era++) {
		double x = 170 + 180.0 * era;

		put_mark(out, (enum gw_wait_era)era, x, 18);
		fprintf(out, "<text x=\"%.1f\" y=\"22\">%s</text>\n", x + 10, words[era]);
	}
}

void
gw_svg_check_faulters(FILE *out, const struct gw_check_faulters *rows, size_t n)
{
	static const struct panel panels[] = {
		{"Calls that move the page, random schedules", 64, 100, 4, " %", moved},
		{"Passes of a call", 440, PASSES, 5, "", passes},
	};

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" "
		"fill=\"#22252a\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	put_legend(out);
	for (unsigned i = 0; i < sizeof panels / sizeof panels[0]; i++) {
		put_axes(out, &panels[i]);
		for (unsigned era = GW_ERA_HOLD; era <= GW_ERA_NONE; era++)
			put_line(out, &panels[i], (enum gw_wait_era)era, rows, n);
	}
	fputs("</svg>\n", out);
}
