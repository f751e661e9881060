/* SPDX-License-Identifier: MIT */
/*
 * table.c - `godwit check --table`: for each fix what is found without it, and how far was looked
 * with it; and how fast the smallest scenario is. In Markdown, as docs/explorer.md has it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define SPEED_RUNS 2000000

/* ---- the smallest scenario: two tasks read a number, and write it back with one more ---- */

static void
add_one(void *state)
{
	uint64_t *number = state, now;

	gw_explore_access(number, false);
	now = *number;
	gw_explore_access(number, true);
	*number = now + 1;
}

static const struct gw_explore_scenario smallest = {
	.name = "lost-update",
	.state_size = sizeof(uint64_t),
	.tasks = {{.name = "left", .run = add_one}, {.name = "right", .run = add_one}},
};

/* Runs a second, under random priorities: with reduction it has no more than a few. */
static int
measure_speed(double *per_second)
{
	const struct gw_explore_options options = {
		.search = GW_EXPLORE_PCT, .max_runs = SPEED_RUNS, .seed = 1};
	struct gw_explore_result result;
	int err = gw_explore_run(&smallest, &options, &result);

	*per_second = result.seconds > 0 ? (double)result.runs / result.seconds : 0;
	gw_explore_result_free(&result);
	return err ? cli_fail("check: %s", strerror(-err)) : 0;
}

/* ---- rows ---- */

struct table {
	struct gw_check_row *rows;
	size_t n;
	bool found, missed; /* with all fixes; nothing without one */
	double runs_per_second;
};

static int
add_row(const struct check_request *r, struct table *t, enum gw_fix fix,
	const struct gw_explore_scenario *scenario)
{
	struct gw_check_row *row = &t->rows[t->n];
	int status;

	*row = (struct gw_check_row){.fix = fix};
	status = check_search(r, scenario, GW_WITHOUT(fix), &row->without);
	if (!status)
		status = check_search(r, scenario, 0, &row->with);
	t->n++;
	t->missed |= row->without.result.kind == GW_EXPLORE_NOTHING;
	t->found |= row->with.result.kind != GW_EXPLORE_NOTHING;
	return status;
}

static int
fill(const struct check_request *r, struct table *t)
{
	int status = 0;

	for (unsigned f = 0; f < GW_FIX_NR; f++)
		for (size_t i = 0; i < r->n_scenarios && !status; i++)
			if (r->scenarios[i]->without & GW_WITHOUT(f))
				status = add_row(r, t, (enum gw_fix)f, r->scenarios[i]);
	return status ? status : measure_speed(&t->runs_per_second);
}

static void
print_row(const struct gw_check_row *row)
{
	const struct gw_check *c = &row->without;
	char looked[512];

	gw_check_looked(&row->with, looked, sizeof looked);
	printf("| %s | %s | `%s` | ", gw_fixes[row->fix].name, gw_fixes[row->fix].rows,
		c->scenario->name);
	if (c->result.kind)
		printf("%s | %s | %.2f s | %zu, %u | ", gw_explore_kind_name(c->result.kind),
			gw_text_count(c->runs_to_find).s, c->seconds_to_find, c->result.n_trace,
			c->result.preemptions);
	else
		printf("not found | | | | ");
	printf("%s%s |\n", row->with.result.kind ? "FOUND; " : "", looked);
}

static void
print_table(const struct table *t)
{
	puts("| fix | row | scenario | found without it | in run | after | steps, preemptions "
	     "| with it nothing is found |\n"
	     "|---|---|---|---|---|---|---|---|");
	for (size_t i = 0; i < t->n; i++)
		print_row(&t->rows[i]);
	printf("\nThe smallest scenario (two tasks, two accesses each): %s runs a second.\n",
		gw_text_count((uint64_t)t->runs_per_second).s);
}

int
check_table(const struct check_request *r)
{
	struct table t = {.rows = calloc(r->n_scenarios * GW_FIX_NR, sizeof(struct gw_check_row))};
	int status;

	if (!t.rows)
		return cli_fail("%s", strerror(ENOMEM));
	status = fill(r, &t);
	if (!status && !r->common.json)
		print_table(&t);
	else if (!status && gw_json_check_table(stdout, t.rows, t.n, t.runs_per_second))
		status = cli_fail("%s", strerror(ENOMEM));
	for (size_t i = 0; i < t.n; i++) {
		gw_explore_result_free(&t.rows[i].without.result);
		gw_explore_result_free(&t.rows[i].with.result);
	}
	free(t.rows);
	return status ? status : t.found || t.missed ? CLI_NO : CLI_DONE;
}
