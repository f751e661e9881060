/* SPDX-License-Identifier: MIT */
/*
 * check_svg.c - how often a migration succeeds against tasks that want its page, as a picture.
 */
#include "observe/check.h"

#define WIDTH  640
#define HEIGHT 400
#define LEFT   64
#define RIGHT  150 /* room for the names of the lines */
#define TOP    48
#define BOTTOM 56

/* Colours that differ in lightness too, and a mark of its own for each line. */
static const char *const colours[] = {"#b3204f", "#c8801a", "#14734f"};
static const char *const words[] = {
	"holds a reference", "drops it, then sleeps", "takes none (put-and-wait)"};

static double
x_of(unsigned tasks)
{
	return LEFT + (double)tasks * (WIDTH - LEFT - RIGHT) / GW_CHECK_FAULTERS;
}

static double
y_of(double share)
{
	return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
}

static double
share(const struct gw_check_calls *c)
{
	return c->calls ? (double)c->moved / (double)c->calls : 0;
}

static void
put_axes(FILE *out)
{
	for (unsigned percent = 0; percent <= 100; percent += 25) {
		double y = y_of(percent / 100.0);

		fprintf(out,
			"<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>"
			"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%u %%</text>\n",
			LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 4, percent);
	}
	for (unsigned n = 0; n <= GW_CHECK_FAULTERS; n++)
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n",
			x_of(n), HEIGHT - BOTTOM + 20, n);
	fprintf(out,
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">tasks that touch the page on and "
		"on</text>\n",
		x_of(GW_CHECK_FAULTERS) / 2 + LEFT / 2.0, HEIGHT - 14);
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
put_line(FILE *out, enum gw_wait_era era, const struct gw_check_faulters *rows, size_t n)
{
	const char *front = "M";

	fputs("<path fill=\"none\" stroke-width=\"2\" d=\"", out);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].era != era)
			continue;
		fprintf(out, "%s%.1f %.1f", front, x_of(rows[i].tasks),
			y_of(share(&rows[i].random)));
		front = "L";
	}
	fprintf(out, "\" stroke=\"%s\"/>\n", colours[era]);
	for (size_t i = 0; i < n; i++)
		if (rows[i].era == era)
			put_mark(out, era, x_of(rows[i].tasks), y_of(share(&rows[i].random)));
	put_mark(out, era, WIDTH - RIGHT + 16, TOP + 10 + 24.0 * era);
	fprintf(out, "<text x=\"%d\" y=\"%.1f\">%s</text>\n", WIDTH - RIGHT + 26,
		TOP + 14 + 24.0 * era, words[era]);
}

void
gw_svg_check_faulters(FILE *out, const struct gw_check_faulters *rows, size_t n)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"11\" "
		"fill=\"#22252a\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"%d\" y=\"24\" font-size=\"14\" font-weight=\"bold\">Migrations that "
		"succeed, random schedules, by what a waiting task does</text>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
	put_axes(out);
	for (unsigned era = GW_ERA_HOLD; era <= GW_ERA_NONE; era++)
		put_line(out, (enum gw_wait_era)era, rows, n);
	fputs("</svg>\n", out);
}
