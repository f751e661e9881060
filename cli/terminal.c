/* SPDX-License-Identifier: MIT */
/*
 * terminal.c - what the reader's terminal can show, and progress on it.
 */
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MIN     40
#define WIDTH_MAX     1000
#define BAR_CELLS     30

static unsigned
terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	unsigned long width = 0;

	if (!isatty(STDOUT_FILENO))
		return WIDTH_DEFAULT;
	if (columns)
		width = strtoul(columns, NULL, 10);
	if (width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	if (width == 0)
		return WIDTH_DEFAULT;
	if (width < WIDTH_MIN)
		return WIDTH_MIN;
	return width > WIDTH_MAX ? WIDTH_MAX : (unsigned)width;
}

static bool
want_colour(enum cli_color color)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (color != CLI_COLOR_AUTO)
		return color == CLI_COLOR_ALWAYS;
	if (no_color && no_color[0])
		return false;
	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void
cli_report_init(struct gw_report *report, const struct cli_common *common)
{
	report->out = stdout;
	report->width = common->width ? (unsigned)common->width : terminal_width();
	report->colour = want_colour(common->color);
	report->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void
cli_progress_init(struct cli_progress *progress, const char *label)
{
	progress->label = label;
	progress->shown = isatty(STDERR_FILENO);
	progress->percent = -1;
}

void
cli_progress_show(struct cli_progress *p, uint64_t done, uint64_t total)
{
	char bar[BAR_CELLS + 1];
	int percent;

	if (!p->shown || total == 0)
		return;
	percent = done >= total ? 100 : (int)((double)done / (double)total * 100);
	if (percent == p->percent)
		return;
	p->percent = percent;
	memset(bar, '.', BAR_CELLS);
	memset(bar, '=', (size_t)(percent * BAR_CELLS / 100));
	bar[BAR_CELLS] = '\0';
	fprintf(stderr, "\r%s [%s] %3d %%  of %s ", p->label, bar, percent, gw_text_bytes(total).s);
	fflush(stderr);
}

void
cli_progress_end(struct cli_progress *progress)
{
	if (progress->shown && progress->percent >= 0)
		fprintf(stderr, "\r%78s\r", "");
}
