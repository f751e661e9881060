/* SPDX-License-Identifier: MIT */
/*
 * search.c - search one scenario, by one way after the other until something is found or nothing is
 * left to look at.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* Which search is shown, and what those before it did. */
struct showing {
	const struct gw_explore_scenario *scenario;
	enum gw_explore_search search;
	uint64_t runs_before;
	double seconds_before;
	bool shown;
};

static void
show(void *ctx, const struct gw_explore_result *so_far, double seconds)
{
	struct showing *s = ctx;

	if (!isatty(STDERR_FILENO))
		return;
	s->shown = true;
	fprintf(stderr, "\r%.30s: %s, %.0f s, %s runs, %s a second, %s final states \033[K",
		s->scenario->name, gw_check_search_name(s->search), s->seconds_before + seconds,
		gw_text_count(s->runs_before + so_far->runs).s,
		gw_text_count(seconds > 0 ? (uint64_t)((double)so_far->runs / seconds) : 0).s,
		gw_text_count(so_far->states).s);
	fflush(stderr);
}

static void
end_showing(const struct showing *s)
{
	if (s->shown)
		fputs("\r\033[K", stderr);
}

/* The first gets half of what is there, the others share the rest. */
static double
share(const struct check_request *r, unsigned i)
{
	if (r->n_searches == 1)
		return 1;
	return i == 0 ? 0.5 : 0.5 / (r->n_searches - 1);
}

static void
note_search(struct gw_check *c, enum gw_explore_search search)
{
	const struct gw_explore_result *res = &c->result;

	if (res->findings && res->extent != GW_EXPLORE_REPLAYED) {
		for (unsigned i = 0; i < c->n_searches; i++) {
			c->runs_to_find += c->searches[i].runs;
			c->seconds_to_find += c->searches[i].seconds;
		}
		c->runs_to_find += res->runs_to_find;
		c->seconds_to_find += res->seconds_to_find;
	}
	c->searches[c->n_searches++] = (struct gw_check_search){
		.search = search,
		.extent = res->extent,
		.bound = res->bound,
		.runs = res->runs,
		.cut = res->cut,
		.steps = res->steps,
		.states = res->states,
		.seconds = res->seconds,
	};
}

static int
failed(const struct check_request *r, const struct gw_explore_scenario *scenario, int err)
{
	if (r->schedule && err == -EINVAL)
		return cli_fail("check: --schedule: '%.60s' is no schedule of %s", r->schedule,
			scenario->name);
	return cli_fail("check: %s: %s", scenario->name, strerror(-err));
}

int
check_search(const struct check_request *r, const struct gw_explore_scenario *scenario,
	uint64_t without, struct gw_check *out)
{
	struct showing showing = {.scenario = scenario};
	struct gw_explore_options options = {
		.seed = r->seed,
		.without = without,
		.schedule = r->schedule,
		.progress = show,
		.ctx = &showing,
	};
	int err = 0;

	*out = (struct gw_check){.scenario = scenario, .without = without};
	for (unsigned i = 0; i < r->n_searches; i++) {
		gw_explore_result_free(&out->result);
		options.search = showing.search = r->searches[i];
		options.max_seconds = r->seconds * share(r, i);
		if (r->runs) /* at least one */
			options.max_runs = (uint64_t)((double)r->runs * share(r, i) + 0.75);
		err = gw_explore_run(scenario, &options, &out->result);
		if (err)
			break;
		note_search(out, r->searches[i]);
		showing.runs_before += out->result.runs;
		showing.seconds_before += out->result.seconds;
		if (out->result.kind || r->schedule || out->result.extent == GW_EXPLORE_EXHAUSTED)
			break;
	}
	end_showing(&showing);
	return err ? failed(r, scenario, err) : 0;
}
