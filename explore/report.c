/* SPDX-License-Identifier: MIT */
/*
 * report.c - a result as text: what was found, and the timeline that leads to it.
 *
 * Idea. One column per task, one line per step: its number stands in front, what was done in the
 * column of who did it. Steps of one task that follow each other and say little are told by
 * their first and last.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "explore/explore_internal.h"

#define MOST_WIDTH 400
#define NUMBER	   6 /* characters of a step's number, with what is behind it */

struct report {
	const struct gw_explore_scenario *scenario;
	const struct gw_explore_result *result;
	unsigned n_tasks, column, width;
	void (*line)(void *ctx, const char *line);
	void *ctx;
};

static void GW_PRINTF(2, 3) print(const struct report *r, const char *format, ...)
{
	char line[MOST_WIDTH + 1];
	va_list ap;
	size_t n;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	n = strlen(line);
	while (n > 0 && line[n - 1] == ' ')
		line[--n] = 0;
	r->line(r->ctx, line);
}

static void
print_extent(const struct report *r)
{
	const struct gw_explore_result *res = r->result;

	switch (res->extent) {
	case GW_EXPLORE_EXHAUSTED:
		print(r, "%s: nothing found; exhausted: every interleaving, %llu runs in %.2f s",
			r->scenario->name, (unsigned long long)res->runs, res->seconds);
		break;
	case GW_EXPLORE_BOUNDED:
		print(r, "%s: nothing found; bounded: at most %u preemptions, %llu runs in %.2f s",
			r->scenario->name, res->bound, (unsigned long long)res->runs, res->seconds);
		break;
	case GW_EXPLORE_SAMPLED:
		print(r, "%s: nothing found; sampled: %llu runs in %.2f s, then stopped",
			r->scenario->name, (unsigned long long)res->runs, res->seconds);
		break;
	default:
		print(r, "%s: nothing found; replayed one schedule", r->scenario->name);
		break;
	}
}

static void
print_finding(const struct report *r)
{
	const struct gw_explore_result *res = r->result;

	print(r, "%s: %s", r->scenario->name, gw_explore_kind_name(res->kind));
	print(r, "  %s", res->message);
	if (r->scenario->row)
		print(r, "  row %s: %s", r->scenario->row, r->scenario->story);
	else if (r->scenario->story)
		print(r, "  %s", r->scenario->story);
	if (res->extent != GW_EXPLORE_REPLAYED)
		print(r, "  found in run %llu, after %.2f s", (unsigned long long)res->runs_to_find,
			res->seconds_to_find);
}

/* Text in the column of a task, wrapped. `number` stands before its first line; 0: none. */
static void
print_cell(const struct report *r, unsigned task, size_t number, const char *text)
{
	size_t left = strlen(text), most = r->column - 1;
	char front[32] = "";

	if (number)
		snprintf(front, sizeof(front), "%4zu ", number);
	do {
		size_t n = left < most ? left : most;

		if (n < left) /* at a blank, if there is one in the second half */
			for (size_t i = n; i > n / 2; i--)
				if (text[i] == ' ') {
					n = i;
					break;
				}
		print(r, "%-*s%*s%.*s", NUMBER, front, (int)(task * r->column), "", (int)n, text);
		text += n;
		left -= n;
		while (*text == ' ') {
			text++;
			left--;
		}
		front[0] = 0;
	} while (left);
}

static void
print_heads(const struct report *r)
{
	char line[MOST_WIDTH + 1];
	int at = snprintf(line, sizeof(line), "%*s", NUMBER, "");

	for (unsigned t = 0; t < r->n_tasks && at < MOST_WIDTH; t++)
		at += snprintf(line + at, sizeof(line) - (size_t)at, "%-*s", (int)r->column,
			r->scenario->tasks[t].name);
	print(r, "%s", line);
}

static void
print_step(const struct report *r, size_t i)
{
	const struct gw_explore_step *s = &r->result->trace[i];
	char text[256];

	if (!*s->func)
		return; /* a task's way to its first operation */
	snprintf(text, sizeof(text), "%s: %s%s%s%s%s", s->func, s->op, *s->object ? " " : "",
		s->object, *s->detail ? ", " : "", s->detail);
	print_cell(r, s->task, i + 1, text);
	if (*s->note) {
		snprintf(text, sizeof(text), "* %s", s->note);
		print_cell(r, s->task, 0, text);
	}
	if (s->described)
		print(r, "%*s[%s]", NUMBER, "", s->described);
}

/* In the midst of many steps of one task, where nothing else happens. */
static bool
is_dull(const struct report *r, size_t i)
{
	const struct gw_explore_step *s = &r->result->trace[i];
	size_t n = r->result->n_trace;
	unsigned near = 2;

	if (*s->note || s->described)
		return false;
	for (size_t j = i > near ? i - near : 0; j <= i + near && j < n; j++)
		if (s[(ptrdiff_t)j - (ptrdiff_t)i].task != s->task)
			return false;
	return i >= near && i + near < n;
}

static void
print_timeline(const struct report *r)
{
	const struct gw_explore_result *res = r->result;
	size_t dull = 0;

	print_heads(r);
	for (size_t i = 0; i < res->n_trace; i++) {
		char text[64];

		if (is_dull(r, i)) {
			dull++;
			continue;
		}
		if (dull) {
			snprintf(text, sizeof(text), "... %zu step%s", dull, dull > 1 ? "s" : "");
			print_cell(r, res->trace[i - 1].task, 0, text);
			dull = 0;
		}
		print_step(r, i);
	}
}

void
gw_explore_report(const struct gw_explore_scenario *scenario,
	const struct gw_explore_result *result, unsigned width,
	void (*line)(void *ctx, const char *line), void *ctx)
{
	struct report r = {.scenario = scenario, .result = result, .line = line, .ctx = ctx};

	while (r.n_tasks < GW_EXPLORE_TASKS && scenario->tasks[r.n_tasks].run)
		r.n_tasks++;
	r.width = width < 80 ? 80 : width > MOST_WIDTH ? MOST_WIDTH : width;
	r.column = (r.width - NUMBER) / r.n_tasks;
	if (result->kind == GW_EXPLORE_NOTHING)
		print_extent(&r);
	else
		print_finding(&r);
	if (!result->n_trace)
		return;
	print(&r, "%s", "");
	print_timeline(&r);
	print(&r, "%s", "");
	print(&r, "%u preemptions, %zu steps; --schedule %s", result->preemptions, result->n_trace,
		result->schedule);
}
