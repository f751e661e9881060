/* SPDX-License-Identifier: MIT */
/*
 * check.h - what searches for interleavings found, for people and for programs.
 *
 * Functions here only read their arguments. JSON is documented in docs/json.md, godwit.check.
 */
#ifndef GODWIT_OBSERVE_CHECK_H
#define GODWIT_OBSERVE_CHECK_H

#include <stdio.h>

#include "godwit/explore.h"
#include "godwit/mm.h"

#define GW_CHECK_SEARCHES 3

/* One search: how far it looked. */
struct gw_check_search {
	enum gw_explore_search search;
	enum gw_explore_extent extent;
	unsigned bound;
	uint64_t runs, cut, steps, states;
	double seconds;
};

/* A scenario, and all that was done about it. */
struct gw_check {
	const struct gw_explore_scenario *scenario;
	uint64_t without; /* GW_WITHOUT() of the fixes left out */
	struct gw_check_search searches[GW_CHECK_SEARCHES];
	unsigned n_searches;
	/* Of all of them, until something was found. */
	uint64_t runs_to_find;
	double seconds_to_find;
	struct gw_explore_result result; /* the last search's */
};

/* "put-and-wait", or GW_WITHOUT() of several: "a, b"; "" for none. */
void gw_check_fixes(uint64_t fixes, char *out, size_t size);
/* "exhausted: every interleaving, 17 runs in 0.00 s", of one search or of several. */
void gw_check_looked(const struct gw_check *check, char *out, size_t size);
/* What broke, in one sentence or two: the message, and the scenario's story. */
void gw_check_broke(const struct gw_check *check, char *out, size_t size);
const char *gw_check_search_name(enum gw_explore_search search);
const char *gw_check_extent_name(enum gw_explore_extent extent);

/* A result; what can be searched, and what can be left out. */
struct gw_report;
void gw_report_check(const struct gw_report *r, const struct gw_check *check);
void gw_report_check_list(const struct gw_report *r);

/* One JSON object and a newline. Return 0 or -ENOMEM. */
GW_MUST_CHECK int gw_json_check(
	FILE *out, const struct gw_check *checks, size_t n, uint64_t without);
GW_MUST_CHECK int gw_json_check_list(FILE *out);

/* One self-contained page, to be stepped through; a plain table without scripts. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_html_check(
	FILE *out, const struct gw_check *checks, size_t n, uint64_t without);

/* ---- migration against tasks that touch its page on and on (FACTS C1) ---- */

#define GW_CHECK_FAULTERS 4

/* Calls of gw_migrate_pages() over one page, one a run. */
struct gw_check_calls {
	uint64_t calls, moved, passes;
	enum gw_explore_extent extent;
};

struct gw_check_faulters {
	enum gw_wait_era era;
	unsigned tasks;
	struct gw_check_calls all, random; /* all schedules, as far as it looked; random ones */
};

const char *gw_check_era_name(enum gw_wait_era era);
GW_MUST_CHECK int gw_json_check_faulters(FILE *out, const struct gw_check_faulters *rows, size_t n);
/* The share that moved, by tasks, of the random schedules. */
void gw_svg_check_faulters(FILE *out, const struct gw_check_faulters *rows, size_t n);

/* ---- the table of fixes ---- */

/* A fix, a scenario that shows it: what is found without it, and how far was looked with it. */
struct gw_check_row {
	enum gw_fix fix;
	struct gw_check without, with;
};

GW_MUST_CHECK int gw_json_check_table(
	FILE *out, const struct gw_check_row *rows, size_t n, double runs_per_second);

#endif
