/* SPDX-License-Identifier: MIT */
/*
 * check_html.c - what searches found, as one page.
 *
 * Idea. check.html is a fixed page with one gap, which is filled with plain tables: they can be
 * read without scripts, and its script only lets one step along them.
 *
 * Invariants
 *   H1  of what is not the page's own, '<', '>', '&' and '"' never stand as themselves
 */
#include <errno.h>
#include <string.h>

#include "observe/check.h"

extern const char *const gw_html_pieces[]; /* made from check.html */

/* H1 */
static void
put(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
			break;
		}
	}
}

static void
put_element(FILE *out, const char *before, const char *text, const char *after)
{
	fputs(before, out);
	put(out, text);
	fputs(after, out);
}

static unsigned
n_tasks(const struct gw_explore_scenario *s)
{
	unsigned n = 0;

	while (n < GW_EXPLORE_TASKS && s->tasks[n].run)
		n++;
	return n;
}

static void
put_operation(FILE *out, const struct gw_explore_step *s)
{
	if (*s->func)
		put_element(out, "<span class=\"f\">", s->func, ":</span> ");
	put(out, s->op);
	if (*s->object)
		put_element(out, " ", s->object, "");
	if (*s->detail)
		put_element(out, ", ", s->detail, "");
	if (*s->note)
		put_element(out, "<span class=\"note\">", s->note, "</span>");
}

static void
put_step(FILE *out, const struct gw_explore_step *s, size_t number, unsigned tasks)
{
	fprintf(out, "<tr><td class=\"n\">%zu</td>", number);
	for (unsigned t = 0; t < tasks; t++) {
		fputs("<td>", out);
		if (t == s->task)
			put_operation(out, s);
		fputs("</td>", out);
	}
	put_element(out, "<td class=\"s\">", s->described ? s->described : "", "</td></tr>\n");
}

static void
put_timeline(FILE *out, const struct gw_check *c)
{
	unsigned tasks = n_tasks(c->scenario);

	fputs("<div class=\"scroll\"><table><colgroup><col class=\"n\">", out);
	for (unsigned t = 0; t < tasks; t++)
		fputs("<col>", out);
	fputs("<col class=\"s\"></colgroup><thead><tr><th>step</th>", out);
	for (unsigned t = 0; t < tasks; t++)
		put_element(out, "<th>", c->scenario->tasks[t].name, "</th>");
	fputs("<th>state, where it changes</th></tr></thead><tbody>\n", out);
	for (size_t i = 0; i < c->result.n_trace; i++)
		put_step(out, &c->result.trace[i], i + 1, tasks);
	fputs("</tbody></table></div>\n", out);
}

static void
put_finding(FILE *out, const struct gw_check *c)
{
	const struct gw_explore_result *r = &c->result;
	char text[1024];

	gw_check_broke(c, text, sizeof text);
	put_element(out, "<p class=\"bad\">", text, "</p>\n");
	if (r->extent != GW_EXPLORE_REPLAYED)
		fprintf(out, "<p class=\"dim\">Found in run %llu, after %.2f s.</p>\n",
			(unsigned long long)c->runs_to_find, c->seconds_to_find);
}

static void
put_check(FILE *out, const struct gw_check *c)
{
	const struct gw_explore_result *r = &c->result;
	char text[1024];

	put_element(out, "<section>\n<h2>", c->scenario->name, "</h2>\n");
	if (c->scenario->row)
		put_element(out, "<p class=\"dim\">row ", c->scenario->row, "</p>\n");
	gw_check_fixes(c->without, text, sizeof text);
	if (text[0])
		put_element(out, "<p>Without ", text, ".</p>\n");
	gw_check_looked(c, text, sizeof text);
	if (r->kind)
		put_finding(out, c);
	else
		put_element(out, "<p class=\"good\">Nothing found; ", text, ".</p>\n");
	if (r->n_trace) {
		fprintf(out, "<p>%u preemption%s, %zu steps; replay with <code>--schedule ",
			r->preemptions, r->preemptions == 1 ? "" : "s", r->n_trace);
		put(out, r->schedule);
		fputs("</code>. Arrow keys step along it.</p>\n", out);
		put_timeline(out, c);
	}
	fputs("</section>\n", out);
}

int
gw_html_check(FILE *out, const struct gw_check *checks, size_t n, uint64_t without)
{
	size_t found = 0;
	char names[512];

	for (size_t i = 0; i < n; i++)
		found += checks[i].result.kind != GW_EXPLORE_NOTHING;
	gw_check_fixes(without, names, sizeof names);
	fputs(gw_html_pieces[0], out);
	fprintf(out, "<h1>%zu of %zu scenario%s %s</h1>\n", found, n, n == 1 ? "" : "s",
		found == 1 ? "finds something" : "find something");
	put_element(out, "<p class=\"dim\">godwit check, ",
		names[0] ? "without " : "with all fixes", "");
	put_element(out, "", names, "</p>\n");
	for (size_t i = 0; i < n; i++)
		put_check(out, &checks[i]);
	fputs(gw_html_pieces[1], out);
	return 0;
}
