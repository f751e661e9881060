/* SPDX-License-Identifier: MIT */
/*
 * check_text.c - searches for interleavings, for people.
 */
#include "observe/check.h"
#include "report_internal.h"

struct lines {
	const struct gw_report *report;
	bool first;
};

static void
print_line(void *ctx, const char *line)
{
	struct lines *lines = ctx;

	gw_tone(lines->report, lines->first ? GW_TONE_BAD : GW_TONE_PLAIN);
	fputs(line, stdout);
	if (lines->first)
		gw_tone(lines->report, GW_TONE_PLAIN);
	fputc('\n', stdout);
	lines->first = false;
}

void
gw_report_check(const struct gw_report *report, const struct gw_check *c)
{
	struct lines lines = {.report = report, .first = c->result.kind != GW_EXPLORE_NOTHING};
	char looked[512], fixes[512];

	gw_check_fixes(c->without, fixes, sizeof fixes);
	if (c->result.kind && fixes[0])
		gw_paragraph(report, 0, GW_TONE_DIM, "without %s:", fixes);
	if (c->result.kind || c->result.n_trace) {
		gw_explore_report(c->scenario, &c->result, report->width, print_line, &lines);
		fputc('\n', stdout);
		return;
	}
	gw_check_looked(c, looked, sizeof looked);
	gw_paragraph(report, 0, GW_TONE_PLAIN, "%s: nothing found; %s", c->scenario->name, looked);
}

void
gw_report_check_list(const struct gw_report *report)
{
	gw_tone(report, GW_TONE_TITLE);
	puts("Scenarios");
	gw_tone(report, GW_TONE_PLAIN);
	for (size_t i = 0; gw_explore_scenarios[i]; i++) {
		const struct gw_explore_scenario *s = gw_explore_scenarios[i];
		char fixes[512];

		gw_check_fixes(s->without, fixes, sizeof fixes);
		gw_paragraph(report, 2, GW_TONE_PLAIN, "%s%s%s%s", s->name, s->row ? " (" : "",
			s->row ? s->row : "", s->row ? ")" : "");
		gw_paragraph(report, 6, GW_TONE_DIM, "%s%s%s", s->story ? s->story : "",
			fixes[0] ? "; shows " : "", fixes);
	}
	gw_heading(report, "Fixes");
	for (unsigned f = 0; f < GW_FIX_NR; f++) {
		gw_paragraph(
			report, 2, GW_TONE_PLAIN, "%s (%s)", gw_fixes[f].name, gw_fixes[f].rows);
		gw_paragraph(report, 6, GW_TONE_DIM, "%s", gw_fixes[f].what);
	}
}
