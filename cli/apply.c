/* SPDX-License-Identifier: MIT */
/*
 * apply.c - `godwit apply`: compact this host, and compare with the plan.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "cli.h"
#include "godwit/plan.h"

#define RUNS_DEFAULT   5
#define SETTLE_DEFAULT 30

static const char help[] =
	"usage: godwit apply --count N [OPTION]...\n"
	"\n"
	"Let this host's kernel compact its memory until N blocks are free, and compare\n"
	"what it gave with the plan. Needs root. A run can end early: it is repeated\n"
	"while it gains blocks, or ended early at a new place. Dirty page cache is\n"
	"written out first (sync), since it ends runs early. The status is 1 if fewer\n"
	"than N can be had.\n"
	"\n"
	"  --count N           how many blocks are wanted\n"
	"  --order N           blocks of 2^N pages (default: huge pages, 9 on x86-64)\n"
	"  --reserve           then make the pool of huge pages N large (nr_hugepages):\n"
	"                      all of it, or the pool stays as it was\n"
	"  --dry-run           print the plan and what would be written; write nothing\n"
	"  --node N            act on this memory node only\n"
	"  --max-runs N        compact at most so often (default: 5)\n"
	"  --settle SECONDS    after a run, wait at most so long for free pages held on\n"
	"                      per-CPU lists (default: 30)\n"
	"  --json              one JSON object (schema godwit.apply)\n"
	"  --color WHEN        auto, always or never\n"
	"  --help              this text\n"
	"\n"
	"Examples:\n"
	"  sudo godwit apply --count 2000 --dry-run\n"
	"  sudo godwit apply --count 2000 --reserve\n"
	"  sudo godwit apply --order 4 --count 5000 --settle 5 --json\n";

enum { OPT_COUNT = CLI_OPT_VERB, OPT_RESERVE, OPT_DRY_RUN, OPT_NODE, OPT_MAX_RUNS, OPT_SETTLE };

static const struct option options[] = {
	CLI_COMMON_OPTIONS,
	{"order", required_argument, NULL, CLI_OPT_ORDER},
	{"count", required_argument, NULL, OPT_COUNT},
	{"reserve", no_argument, NULL, OPT_RESERVE},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"node", required_argument, NULL, OPT_NODE},
	{"max-runs", required_argument, NULL, OPT_MAX_RUNS},
	{"settle", required_argument, NULL, OPT_SETTLE},
	{NULL, 0, NULL, 0},
};

struct arguments {
	struct cli_common common;
	bool dry_run;
};

static int
take_option(struct arguments *a, struct gw_apply *out, int option, const char *value)
{
	uint64_t n = 0;
	int status = 0;

	switch (option) {
	case OPT_COUNT:
		return cli_number("--count", value, 1, GW_PFN_MAX, &out->count);
	case OPT_RESERVE:
		out->reserve = true;
		return 0;
	case OPT_DRY_RUN:
		a->dry_run = true;
		return 0;
	case OPT_NODE:
		status = cli_number("--node", value, 0, GW_NODES_MAX - 1, &n);
		out->node = (int)n;
		return status;
	case OPT_MAX_RUNS:
		status = cli_number("--max-runs", value, 1, 100, &n);
		out->max_runs = (unsigned)n;
		return status;
	default:
		status = cli_number("--settle", value, 0, 3600, &n);
		out->settle_seconds = (unsigned)n;
		return status;
	}
}

static int
parse(int argc, char **argv, struct arguments *a, struct gw_apply *out, int *status)
{
	int option;

	while ((option = cli_next_option(argc, argv, options, &a->common, status)) >= 0) {
		*status = take_option(a, out, option, optarg);
		if (*status)
			return -1;
	}
	if (option == -2)
		return -1;
	*status = cli_no_operands(argc, argv);
	if (!*status)
		*status = cli_order_possible(a->common.order);
	if (!*status && out->count == 0)
		*status = cli_fail(
			"apply: --count says how many are wanted; try 'godwit apply --help'");
	return *status ? -1 : 0;
}

/* Which file to write to; both are there, or it says what is not. */
static int
find_compact(const struct host *host, struct gw_apply *out)
{
	struct gw_error err = {""};

	if (out->node < 0) {
		snprintf(
			out->compact_path, sizeof out->compact_path, "/proc/sys/vm/compact_memory");
	} else {
		char node[64];

		snprintf(node, sizeof node, "/sys/devices/system/node/node%d", out->node);
		snprintf(out->compact_path, sizeof out->compact_path, "%s/compact", node);
		if (!host_has(host, node))
			return cli_fail("--node: this host has no memory node %d", out->node);
	}
	if (host_permitted(host, out->compact_path, &err) != 0)
		return cli_denied("plan", err.text);
	return 0;
}

static int
find_pool(const struct host *host, struct gw_apply *out)
{
	const size_t kib = (GW_PAGE_SIZE << out->order) / 1024;
	struct gw_apply_pool *pool = &out->pool;
	char dir[64] = "/sys/kernel/mm";
	int ret;

	out->wanted = out->count;
	if (!out->reserve)
		return 0;
	if (out->node >= 0)
		snprintf(dir, sizeof dir, "/sys/devices/system/node/node%d", out->node);
	snprintf(pool->path, sizeof pool->path, "%s/hugepages/hugepages-%zukB/nr_hugepages", dir,
		kib);
	if (!host_has(host, pool->path))
		return cli_fail("--reserve: this host has no huge pages of order %u (%zu KiB)",
			out->order, kib);
	ret = host_number(host, pool->path, &pool->before);
	if (ret != 0)
		return cli_fail("%s: %s", pool->path, strerror(-ret));
	pool->given = pool->before;
	out->wanted = out->count > pool->before ? out->count - pool->before : 0;
	return 0;
}

static int
report(const struct arguments *a, const struct gw_snapshot *snap, const struct gw_apply *out)
{
	struct gw_report r;

	if (a->common.json) {
		if (gw_json_apply(stdout, snap, out) != 0)
			return cli_fail("%s", strerror(ENOMEM));
	} else {
		cli_report_init(&r, &a->common);
		gw_report_apply(&r, snap, out);
	}
	return gw_apply_succeeded(out) ? CLI_DONE : CLI_NO;
}

/* Nothing but the pool and the tracing instance was there to put back. */
static int
failed(const struct gw_apply *out, int ret, const struct gw_error *err)
{
	const struct gw_apply_pool *pool = &out->pool;
	char said[256] = "";

	if (pool->written)
		snprintf(said, sizeof said, "; %s %s %llu", pool->path,
			pool->restored ? "is again" : "could not be put back to",
			(unsigned long long)pool->before);
	cli_fail("%s, after %u run%s of compaction%s", err->text, out->n_runs,
		out->n_runs == 1 ? "" : "s", said);
	return ret == -EACCES ? CLI_DENIED : CLI_BAD;
}

/* What the full run is predicted to leave in the zones to act on. */
static void
take_plan(struct gw_apply *out, const struct gw_plan *plan)
{
	out->plan = plan;
	for (unsigned z = 0; z < plan->n_zones; z++) {
		const struct gw_plan_zone *from = &plan->zones[z];

		for (unsigned i = 0; i < out->n_zones; i++) {
			struct gw_apply_zone *zone = &out->zones[i];

			if (zone->node != from->node || strcmp(zone->name, from->name) != 0)
				continue;
			zone->available_predicted = from->available_after;
			out->predicted_pages += from->pages_migrated;
		}
	}
}

static int
act(struct applying *a, struct gw_error *err)
{
	struct gw_error why = {""};
	int ret;

	if (trace_start(&a->trace, &why) != 0)
		snprintf(a->out->trace_missing, sizeof a->out->trace_missing, "%s", why.text);
	ret = apply_run(a, err);
	trace_stop(a->trace);
	a->trace = NULL;
	return ret;
}

/* The plan is one of a full run, as the kernel does it: compact_memory knows no count. */
static int
plan_and_act(const struct arguments *arguments, struct applying *a)
{
	struct gw_plan_request request;
	struct gw_error err = {""};
	struct gw_plan plan;
	int ret, status;

	gw_plan_request_init(&request);
	request.order = a->out->order;
	if (gw_plan_make(a->snap, &request, &plan, &err) != 0)
		return cli_fail("%s", err.text[0] ? err.text : strerror(ENOMEM));
	ret = apply_begin(a, &err);
	if (ret == 0) {
		take_plan(a->out, &plan);
		a->out->outcome = GW_APPLY_DRY_RUN;
		if (!arguments->dry_run)
			ret = act(a, &err);
	}
	status = ret == 0 ? report(arguments, a->snap, a->out) : failed(a->out, ret, &err);
	gw_plan_free(&plan);
	return status;
}

static int
apply_to(const struct arguments *arguments, struct host *host, struct gw_apply *out)
{
	/* Where it may not be read, plan is the verb to try. */
	const struct cli_common source = {.verb = "plan", .order = arguments->common.order};
	struct gw_snapshot snap = {0};
	struct applying a = {.host = host, .snap = &snap, .out = out};
	int status = find_compact(host, out);

	if (status)
		return status;
	if (!arguments->dry_run)
		host->sync(host); /* so that the plan sees what the first run will see */
	status = cli_load(&source, &snap, &out->order);
	if (status)
		return status;
	status = find_pool(host, out);
	if (!status)
		status = plan_and_act(arguments, &a);
	gw_snapshot_free(&snap);
	return status;
}

int
cli_apply(int argc, char **argv)
{
	struct arguments a = {.common = {.verb = "apply", .help = help, .order = -1}};
	struct gw_apply *out = calloc(1, sizeof *out);
	struct host host;
	int status = CLI_BAD, signal_number;

	if (!out)
		return cli_fail("%s", strerror(ENOMEM));
	out->node = -1;
	out->max_runs = RUNS_DEFAULT;
	out->settle_seconds = SETTLE_DEFAULT;
	if (parse(argc, argv, &a, out, &status) == 0) {
		out->runs = calloc(out->max_runs, sizeof *out->runs);
		host_live(&host);
		cli_interrupt_begin();
		status = out->runs ? apply_to(&a, &host, out) : cli_fail("%s", strerror(ENOMEM));
		signal_number = cli_interrupted();
		cli_interrupt_end();
		if (signal_number && status == CLI_BAD)
			raise(signal_number); /* so that a shell sees what ended us */
	}
	free(out->runs);
	free(out);
	return status;
}
