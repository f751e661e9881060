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

#define MOST_WIDTH   400
#define LEAST_WIDTH  40
#define LEAST_COLUMN 16 /* where there is less for each task, they share one column */
#define NUMBER	     6	/* characters of a step's number, with what is behind it */

struct report {
	const struct gw_explore_scenario *scenario;
	const struct gw_explore_result *result;
	unsigned n_tasks, column, width;
	bool stacked; /* one column, and each line says whose it is */
	void (*line)(void *ctx, const char *line);
	void *ctx;
};

static void print(const struct report *r, const char *format, ...) GW_PRINTF(2, 3);
static void
print(const struct report *r, const char *format, ...)
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

/* Words, broken into lines of the report's width, each after `indent` blanks. */
static void
print_words(const struct report *r, int indent, const char *text)
{
	size_t most = r->width - (size_t)indent, left = strlen(text);

	while (left) {
		size_t n = left < most ? left : most;

		if (n < left)
			for (size_t i = n; i > n / 2; i--)
				if (text[i] == ' ') {
					n = i;
					break;
				}
		print(r, "%*s%.*s", indent, "", (int)n, text);
		text += n;
		left -= n;
		for (; *text == ' '; text++)
			left--;
	}
}

static void say(const struct report *r, int indent, const char *format, ...) GW_PRINTF(3, 4);
static void
say(const struct report *r, int indent, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	print_words(r, indent, text);
}

static void
print_extent(const struct report *r)
{
	const struct gw_explore_result *res = r->result;
	const char *name = r->scenario->name;
	unsigned long long runs = res->runs;

	switch (res->extent) {
	case GW_EXPLORE_EXHAUSTED:
		say(r, 0, "%s: nothing found; exhausted: every interleaving, %llu runs in %.2f s",
			name, runs, res->seconds);
		break;
	case GW_EXPLORE_BOUNDED:
		say(r, 0, "%s: nothing found; bounded: at most %u preemptions, %llu runs in %.2f s",
			name, res->bound, runs, res->seconds);
		break;
	case GW_EXPLORE_SAMPLED:
		say(r, 0, "%s: nothing found; sampled: %llu runs in %.2f s, then stopped", name,
			runs, res->seconds);
		break;
	default:
		say(r, 0, "%s: nothing found; replayed one schedule", name);
		break;
	}
}

static void
print_finding(const struct report *r)
{
	const struct gw_explore_result *res = r->result;

	say(r, 0, "%s: %s", r->scenario->name, gw_explore_kind_name(res->kind));
	say(r, 2, "%s", res->message);
	if (r->scenario->row)
		say(r, 2, "row %s", r->scenario->row);
	if (res->extent != GW_EXPLORE_REPLAYED)
		say(r, 2, "found in run %llu, after %.2f s", (unsigned long long)res->runs_to_find,
			res->seconds_to_find);
}

/* One sentence on what broke, and the schedule that breaks it. */
static void
print_end(const struct report *r)
{
	const struct gw_explore_result *res = r->result;

	print(r, "%s", "");
	if (res->kind)
		say(r, 0, "What broke, after step %zu: %s.", res->n_trace, res->message);
	if (res->kind && r->scenario->story)
		say(r, 0, "The story: %s.", r->scenario->story);
	say(r, 0, "%u preemption%s, %zu steps; --schedule %s", res->preemptions,
		res->preemptions == 1 ? "" : "s", res->n_trace,
		*res->schedule ? res->schedule : "''");
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
		print(r, "%-*s%*s%.*s", NUMBER, front, r->stacked ? 0 : (int)(task * r->column), "",
			(int)n, text);
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

	if (r->stacked)
		return;
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
	snprintf(text, sizeof(text), "%s%s%s: %s%s%s%s%s",
		r->stacked ? r->scenario->tasks[s->task].name : "", r->stacked ? " " : "", s->func,
		s->op, *s->object ? " " : "", s->object, *s->detail ? ", " : "", s->detail);
	print_cell(r, s->task, i + 1, text);
	if (*s->note) {
		snprintf(text, sizeof(text), "* %s", s->note);
		print_cell(r, s->task, 0, text);
	}
	if (s->described)
		say(r, NUMBER, "[%s]", s->described);
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
	r.width = width < LEAST_WIDTH ? LEAST_WIDTH : width > MOST_WIDTH ? MOST_WIDTH : width;
	r.column = (r.width - NUMBER) / r.n_tasks;
	if (r.column < LEAST_COLUMN) {
		r.column = r.width - NUMBER;
		r.stacked = true;
	}
	if (result->kind == GW_EXPLORE_NOTHING)
		print_extent(&r);
	else
		print_finding(&r);
	if (!result->n_trace)
		return;
	print(&r, "%s", "");
	print_timeline(&r);
	print_end(&r);
}
