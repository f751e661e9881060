/* SPDX-License-Identifier: MIT */
/*
 * measure.c - `godwit check faulters --measure`: migration against tasks that want its page, for
 * each way to wait that the field has had (FACTS C1).
 *
 * Idea. Each run of a search is one call of gw_migrate_pages(). Random schedules say how often it
 * succeeds; all schedules, where they can be exhausted, what it can come to.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "explore/scenarios/scenarios.h"

#define ROWS ((GW_ERA_NONE + 1) * (GW_CHECK_FAULTERS + 1))

/* Of priorities, in a random run: about one in ten steps. With few, tasks take turns at most once
 * or twice, and nobody comes back to the page while it is under way. */
#define CHANGES 64

_Static_assert(GW_CHECK_FAULTERS == GW_FAULTERS_MOST, "as many as the scenario has");

static void
count(void *ctx, const void *state)
{
	struct gw_check_calls *calls = ctx;
	const struct gw_faulters *f = state;

	calls->calls++;
	calls->moved += f->page.left == 0;
	calls->passes += f->stats.passes;
}

/* Every row gets the same share of the budget, half of it for random schedules. */
static int
measure(const struct check_request *r, const struct gw_explore_scenario *scenario,
	enum gw_explore_search search, struct gw_check_calls *calls)
{
	const struct gw_explore_options options = {
		.search = search,
		.seed = r->seed,
		.depth = CHANGES + 1,
		.max_runs = r->runs,
		.max_seconds = r->seconds / ROWS / 2,
		.outcome = count,
		.ctx = calls,
	};
	struct gw_explore_result result;
	int err = gw_explore_run(scenario, &options, &result);
	bool found = result.kind != GW_EXPLORE_NOTHING;

	calls->extent = result.extent;
	gw_explore_result_free(&result);
	if (err)
		return cli_fail("check: faulters: %s", strerror(-err));
	if (found)
		return cli_fail("check: faulters: something is found; run 'godwit check faulters'");
	return 0;
}

static int
measure_all(const struct check_request *r, struct gw_check_faulters *rows)
{
	const bool shown = isatty(STDERR_FILENO);
	int status = 0;

	for (unsigned i = 0; i < ROWS && !status; i++) {
		struct gw_explore_scenario scenario;

		rows[i] = (struct gw_check_faulters){
			.era = (enum gw_wait_era)(i / (GW_CHECK_FAULTERS + 1)),
			.tasks = i % (GW_CHECK_FAULTERS + 1),
		};
		if (shown)
			fprintf(stderr, "\rfaulters: %u of %u ", i + 1, (unsigned)ROWS);
		gw_faulters_scenario(rows[i].era, rows[i].tasks, &scenario);
		status = measure(r, &scenario, GW_EXPLORE_PCT, &rows[i].random);
		if (!status)
			status = measure(r, &scenario, GW_EXPLORE_DPOR, &rows[i].all);
	}
	if (shown)
		fputs("\r\033[K", stderr);
	return status;
}

static double
per_call(uint64_t n, const struct gw_check_calls *c)
{
	return c->calls ? (double)n / (double)c->calls : 0;
}

static void
print_calls(const struct gw_check_calls *c)
{
	printf("  %10s %6.2f %% %7.2f", gw_text_count(c->calls).s, 100 * per_call(c->moved, c),
		per_call(c->passes, c));
}

static void
print_rows(const struct gw_check_faulters *rows)
{
	printf("%-6s %5s  %10s %8s %7s  %10s %8s %7s\n", "waits", "tasks", "random", "moved",
		"passes", "all", "moved", "passes");
	for (unsigned i = 0; i < ROWS; i++) {
		const struct gw_check_calls *random = &rows[i].random, *all = &rows[i].all;
		bool fails = random->moved < random->calls || all->moved < all->calls;

		printf("%-6s %5u", gw_check_era_name(rows[i].era), rows[i].tasks);
		print_calls(random);
		if (all->extent == GW_EXPLORE_EXHAUSTED)
			print_calls(all);
		else
			printf("  %10s %8s %7s", "-", fails ? "can fail" : "-", "-");
		putchar('\n');
	}
	puts("\nwaits   what a task does that meets the migration entry: holds a reference,\n"
	     "        drops it before it sleeps, takes none\n"
	     "random  calls of gw_migrate_pages(), one page each, under random priorities\n"
	     "all     calls that differ in the order of what does not commute, each once;\n"
	     "        '-': more than the budget was enough for");
}

static int
put_svg(FILE *out, const void *what)
{
	gw_svg_check_faulters(out, what, ROWS);
	return 0;
}

int
check_measure(const struct check_request *r)
{
	struct gw_check_faulters rows[ROWS];
	int status = measure_all(r, rows);

	if (!status && r->svg)
		status = check_write(r->svg, put_svg, rows);
	if (status)
		return status;
	if (!r->common.json)
		print_rows(rows);
	else if (gw_json_check_faulters(stdout, rows, ROWS))
		return cli_fail("%s", strerror(ENOMEM));
	return CLI_DONE;
}
