/* SPDX-License-Identifier: MIT */
/*
 * check_json.c - searches for interleavings, for programs (docs/json.md, godwit.check).
 */
#include "observe/check.h"
#include "report_internal.h"

static json_t *
begin(void)
{
	json_t *o = json_object();

	gw_json_set(&o, "schema", json_string("godwit.check"));
	gw_json_set(&o, "version", json_integer(1));
	return o;
}

static json_t *
text_or_null(const char *text)
{
	return text ? gw_json_text(text) : json_null();
}

static json_t *
fix_names(uint64_t fixes)
{
	json_t *array = json_array();

	for (unsigned f = 0; f < GW_FIX_NR; f++)
		if (fixes & GW_WITHOUT(f))
			gw_json_append(&array, json_string(gw_fixes[f].name));
	return array;
}

static json_t *
scenario(const struct gw_explore_scenario *s)
{
	json_t *o = json_object();

	gw_json_set(&o, "name", json_string(s->name));
	gw_json_set(&o, "row", text_or_null(s->row));
	gw_json_set(&o, "story", text_or_null(s->story));
	gw_json_set(&o, "shows", fix_names(s->without));
	return o;
}

int
gw_json_check_list(FILE *out)
{
	json_t *o = begin(), *scenarios = json_array(), *fixes = json_array();

	for (size_t i = 0; gw_explore_scenarios[i]; i++)
		gw_json_append(&scenarios, scenario(gw_explore_scenarios[i]));
	for (unsigned f = 0; f < GW_FIX_NR; f++) {
		json_t *fix = json_object();

		gw_json_set(&fix, "name", json_string(gw_fixes[f].name));
		gw_json_set(&fix, "row", json_string(gw_fixes[f].rows));
		gw_json_set(&fix, "what", json_string(gw_fixes[f].what));
		gw_json_append(&fixes, fix);
	}
	gw_json_set(&o, "scenarios", scenarios);
	gw_json_set(&o, "fixes", fixes);
	return gw_json_end(out, o);
}

/* ---- results ---- */

static json_t *
search(const struct gw_check_search *s)
{
	json_t *o = json_object();

	gw_json_set(&o, "search", json_string(gw_check_search_name(s->search)));
	gw_json_set(&o, "extent", json_string(gw_check_extent_name(s->extent)));
	gw_json_set(&o, "bound",
		s->extent == GW_EXPLORE_BOUNDED ? gw_json_uint(s->bound) : json_null());
	gw_json_set(&o, "runs", gw_json_uint(s->runs));
	gw_json_set(&o, "cut", gw_json_uint(s->cut));
	gw_json_set(&o, "steps", gw_json_uint(s->steps));
	gw_json_set(&o, "states", gw_json_uint(s->states));
	gw_json_set(&o, "seconds", json_real(s->seconds));
	return o;
}

static json_t *
step(const struct gw_explore_scenario *s, const struct gw_explore_step *step, size_t number)
{
	json_t *o = json_object();

	gw_json_set(&o, "step", gw_json_uint(number));
	gw_json_set(&o, "task", json_string(s->tasks[step->task].name));
	gw_json_set(&o, "func", json_string(step->func));
	gw_json_set(&o, "line", json_integer(step->line));
	gw_json_set(&o, "op", json_string(step->op));
	gw_json_set(&o, "object", gw_json_text(step->object));
	gw_json_set(&o, "detail", gw_json_text(step->detail));
	gw_json_set(&o, "note", gw_json_text(step->note));
	gw_json_set(&o, "state", text_or_null(step->described));
	return o;
}

/* What is told of a finding, or of a schedule that was given. */
static json_t *
told(const struct gw_check *c)
{
	const struct gw_explore_result *r = &c->result;
	json_t *o = json_object(), *trace = json_array();

	for (size_t i = 0; i < r->n_trace; i++)
		gw_json_append(&trace, step(c->scenario, &r->trace[i], i + 1));
	gw_json_set(&o, "schedule", text_or_null(r->schedule));
	gw_json_set(&o, "preemptions", gw_json_uint(r->preemptions));
	gw_json_set(&o, "trace", trace);
	return o;
}

static json_t *
finding(const struct gw_check *c)
{
	const struct gw_explore_result *r = &c->result;
	json_t *o = json_object();

	gw_json_set(&o, "kind", json_string(gw_explore_kind_name(r->kind)));
	gw_json_set(&o, "message", gw_json_text(r->message));
	gw_json_set(&o, "runs_to_find", gw_json_uint(c->runs_to_find));
	gw_json_set(&o, "seconds_to_find", json_real(c->seconds_to_find));
	return o;
}

static json_t *
check(const struct gw_check *c)
{
	json_t *o = json_object(), *searches = json_array(), *tasks = json_array();
	char looked[512];

	for (unsigned i = 0; i < c->n_searches; i++)
		gw_json_append(&searches, search(&c->searches[i]));
	for (unsigned i = 0; i < GW_EXPLORE_TASKS && c->scenario->tasks[i].run; i++)
		gw_json_append(&tasks, json_string(c->scenario->tasks[i].name));
	gw_check_looked(c, looked, sizeof looked);
	gw_json_set(&o, "scenario", json_string(c->scenario->name));
	gw_json_set(&o, "row", text_or_null(c->scenario->row));
	gw_json_set(&o, "story", text_or_null(c->scenario->story));
	gw_json_set(&o, "tasks", tasks);
	gw_json_set(&o, "without", fix_names(c->without));
	gw_json_set(&o, "found", json_boolean(c->result.kind != GW_EXPLORE_NOTHING));
	gw_json_set(&o, "looked", gw_json_text(looked));
	gw_json_set(&o, "searches", searches);
	gw_json_set(&o, "finding", c->result.kind ? finding(c) : json_null());
	gw_json_set(&o, "run", c->result.n_trace ? told(c) : json_null());
	return o;
}

int
gw_json_check(FILE *out, const struct gw_check *checks, size_t n, uint64_t without)
{
	json_t *o = begin(), *results = json_array();
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		found |= checks[i].result.kind != GW_EXPLORE_NOTHING;
		gw_json_append(&results, check(&checks[i]));
	}
	gw_json_set(&o, "without", fix_names(without));
	gw_json_set(&o, "found", json_boolean(found));
	gw_json_set(&o, "results", results);
	return gw_json_end(out, o);
}

/* ---- measurements ---- */

static json_t *
calls(const struct gw_check_calls *c)
{
	json_t *o = json_object();

	gw_json_set(&o, "extent", json_string(gw_check_extent_name(c->extent)));
	gw_json_set(&o, "calls", gw_json_uint(c->calls));
	gw_json_set(&o, "moved", gw_json_uint(c->moved));
	gw_json_set(&o, "passes", gw_json_uint(c->passes));
	return o;
}

int
gw_json_check_faulters(FILE *out, const struct gw_check_faulters *rows, size_t n)
{
	json_t *o = begin(), *array = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *row = json_object();

		gw_json_set(&row, "era", json_string(gw_check_era_name(rows[i].era)));
		gw_json_set(&row, "tasks", gw_json_uint(rows[i].tasks));
		gw_json_set(&row, "random", calls(&rows[i].random));
		gw_json_set(&row, "all", calls(&rows[i].all));
		gw_json_append(&array, row);
	}
	gw_json_set(&o, "faulters", array);
	return gw_json_end(out, o);
}

int
gw_json_check_table(FILE *out, const struct gw_check_row *rows, size_t n, double runs_per_second)
{
	json_t *o = begin(), *array = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *row = json_object();

		gw_json_set(&row, "fix", json_string(gw_fixes[rows[i].fix].name));
		gw_json_set(&row, "row", json_string(gw_fixes[rows[i].fix].rows));
		gw_json_set(&row, "removed", check(&rows[i].without));
		gw_json_set(&row, "kept", check(&rows[i].with));
		gw_json_append(&array, row);
	}
	gw_json_set(&o, "table", array);
	gw_json_set(&o, "runs_per_second", json_real(runs_per_second));
	return gw_json_end(out, o);
}
