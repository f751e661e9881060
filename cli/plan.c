/* SPDX-License-Identifier: MIT */
/*
 * plan.c - `godwit plan`: what compaction would give.
 */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "godwit/plan.h"
#include "plan_range.h"

#define STRING_(x)   #x
#define STRING(x)    STRING_(x)
#define REST_SECONDS STRING(GW_PLAN_REST_SECONDS)
#define NS_PER_PAGE  STRING(GW_PLAN_NS_PER_PAGE)

static const char help[] =
	"usage: godwit plan [OPTION]...\n"
	"\n"
	"What compaction would give on this host, what it would cost and what stands in\n"
	"the way. Nothing on the host is changed. The status is 1 if --count blocks\n"
	"cannot be had. With --offline or --gigantic: what giving up a range of memory,\n"
	"or getting pages of 1 GiB, would take; the status is 1 if it cannot be done.\n"
	"\n"
	"  --snapshot FILE     plan for this recording, not for the live host\n"
	"  --order N           blocks of 2^N pages (default: huge pages, 9 on x86-64)\n"
	"  --count N           how many are wanted (default: as many as can be had)\n"
	"  --planner NAME      scanners: as Linux does it (default);\n"
	"                      evacuate: the cheapest pageblocks first\n"
	"  --reclaim NAME      none (default), or clean: drop clean page cache first\n"
	"  --stop-at FRAME     a run that ends where the migration scanner reaches it\n"
	"  --rest SECONDS      from the snapshot to the run, in which per-CPU lists drain\n"
	"                      (default: " REST_SECONDS ")\n"
	"  --ns-per-page N     cost of moving a page in ns (default: " NS_PER_PAGE ", measured)\n"
	"  --offline RANGE     can this memory be taken offline? RANGE: memoryN, as in\n"
	"                      /sys/devices/system/memory, or START-END, in frames, END\n"
	"                      not included\n"
	"  --block-size MIB    size of a memory block, for memoryN (default: the live\n"
	"                      host's; 128 for a recording)\n"
	"  --gigantic N        can N pages of 1 GiB be had, and where?\n"
	"  --html FILE         also write one page with zoomable maps\n"
	"  --width N           columns for the picture (default: the terminal's)\n"
	"  --json              one JSON object (schema godwit.plan; godwit.plan.offline,\n"
	"                      godwit.plan.gigantic)\n"
	"  --pageblocks        with --json: each pageblock, and what it takes to free it\n"
	"  --color WHEN        auto, always or never\n"
	"  --help              this text\n"
	"\n"
	"Examples:\n"
	"  sudo godwit plan --count 2000\n"
	"  godwit plan --snapshot data/anon-settled.before.tar.zst --html plan.html\n"
	"  sudo godwit plan --offline memory40\n"
	"  godwit plan --snapshot host.tar.zst --gigantic 4\n"
	"  godwit plan --snapshot host.tar.zst --planner evacuate --count 500 --json\n";

enum {
	OPT_COUNT = CLI_OPT_VERB,
	OPT_PLANNER,
	OPT_RECLAIM,
	OPT_STOP_AT,
	OPT_REST,
	OPT_NS_PER_PAGE,
	OPT_HTML,
	OPT_PAGEBLOCKS,
	OPT_OFFLINE,
	OPT_BLOCK_SIZE,
	OPT_GIGANTIC
};

static const struct option options[] = {
	CLI_COMMON_OPTIONS,
	{"snapshot", required_argument, NULL, CLI_OPT_SNAPSHOT},
	{"width", required_argument, NULL, CLI_OPT_WIDTH},
	{"order", required_argument, NULL, CLI_OPT_ORDER},
	{"count", required_argument, NULL, OPT_COUNT},
	{"planner", required_argument, NULL, OPT_PLANNER},
	{"reclaim", required_argument, NULL, OPT_RECLAIM},
	{"stop-at", required_argument, NULL, OPT_STOP_AT},
	{"rest", required_argument, NULL, OPT_REST},
	{"ns-per-page", required_argument, NULL, OPT_NS_PER_PAGE},
	{"html", required_argument, NULL, OPT_HTML},
	{"pageblocks", no_argument, NULL, OPT_PAGEBLOCKS},
	{"offline", required_argument, NULL, OPT_OFFLINE},
	{"block-size", required_argument, NULL, OPT_BLOCK_SIZE},
	{"gigantic", required_argument, NULL, OPT_GIGANTIC},
	{NULL, 0, NULL, 0},
};

struct arguments {
	struct cli_common common;
	struct gw_plan_request request;
	const char *html;
	bool pageblocks;
	struct cli_range range;
	const char *of_compaction; /* the last option that only a plan of compaction has */
};

static int
take_option(struct arguments *a, int option, const char *value)
{
	static const char *const planners[] = {"scanners", "evacuate", NULL};
	static const char *const reclaims[] = {"none", "clean", NULL};
	uint64_t n = 0;
	int status = 0, choice;

	switch (option) {
	case OPT_COUNT:
		return cli_number("--count", value, 0, GW_PFN_MAX, &a->request.count);
	case OPT_PLANNER:
		choice = cli_choice("--planner", value, planners);
		a->request.planner = choice == 1 ? GW_PLANNER_EVACUATE : GW_PLANNER_SCANNERS;
		return choice < 0 ? CLI_BAD : 0;
	case OPT_RECLAIM:
		choice = cli_choice("--reclaim", value, reclaims);
		a->request.reclaim_clean = choice == 1;
		return choice < 0 ? CLI_BAD : 0;
	case OPT_STOP_AT:
		status = cli_number("--stop-at", value, 1, GW_PFN_MAX, &n);
		a->request.stop_at = (gw_pfn_t)n;
		return status;
	case OPT_PAGEBLOCKS:
		a->pageblocks = true;
		return 0;
	case OPT_REST:
		status = cli_number("--rest", value, 0, 1000000, &n);
		a->request.rest_seconds = (unsigned)n;
		return status;
	case OPT_OFFLINE:
		a->range.offline = value;
		return 0;
	case OPT_BLOCK_SIZE:
		status = cli_number("--block-size", value, 2, 1u << 20, &a->range.block_mib);
		if (!status && a->range.block_mib & (a->range.block_mib - 1))
			status = cli_fail("--block-size: %s is no power of two", value);
		return status;
	case OPT_GIGANTIC:
		return cli_number("--gigantic", value, 1, 1u << 20, &a->range.gigantic);
	case OPT_NS_PER_PAGE:
		return cli_number("--ns-per-page", value, 1, 1000000000, &a->request.ns_per_page);
	default:
		if (!value[0])
			return cli_fail("--html: the file's name is empty");
		if (strcmp(value, "-") == 0)
			return cli_fail("--html: name a file; standard output has the report");
		a->html = value;
		return 0;
	}
}

static bool
is_of_compaction(int option)
{
	switch (option) {
	case OPT_OFFLINE:
	case OPT_BLOCK_SIZE:
	case OPT_GIGANTIC:
	case OPT_NS_PER_PAGE:
		return false;
	default:
		return true;
	}
}

/* A range is asked for: nothing may be asked for that it does not have. */
static int
check_range(const struct arguments *a)
{
	if (a->range.block_mib && !a->range.offline)
		return cli_fail("--block-size goes with --offline memoryN");
	if (!a->range.offline && !a->range.gigantic)
		return 0;
	if (a->range.offline && a->range.gigantic)
		return cli_fail("--offline and --gigantic are two questions: one at a time");
	if (a->of_compaction)
		return cli_fail("--%s is for plans of compaction: not with --%s", a->of_compaction,
			a->range.offline ? "offline" : "gigantic");
	if (a->common.order >= 0)
		return cli_fail("--order is for plans of compaction: not with --%s",
			a->range.offline ? "offline" : "gigantic");
	return 0;
}

static const char *
option_name(int option)
{
	const struct option *o = options;

	while (o->name && o->val != option)
		o++;
	return o->name;
}

static int
parse(int argc, char **argv, struct arguments *a, int *status)
{
	int option;

	while ((option = cli_next_option(argc, argv, options, &a->common, status)) >= 0) {
		*status = take_option(a, option, optarg);
		if (*status)
			return -1;
		if (is_of_compaction(option))
			a->of_compaction = option_name(option);
	}
	if (option == -2)
		return -1;
	*status = cli_no_operands(argc, argv);
	if (!*status)
		*status = check_range(a);
	if (!*status && a->request.stop_at && a->request.planner == GW_PLANNER_EVACUATE)
		*status = cli_fail("--stop-at needs the migration scanner: not with evacuate");
	if (!*status && a->pageblocks && !a->common.json)
		*status = cli_fail("--pageblocks goes with --json; --html shows them to people");
	return *status ? -1 : 0;
}

static int
write_html(const char *path, const struct gw_snapshot *snap, const struct gw_plan *plan)
{
	struct cli_file file;
	int status = cli_file_open(&file, path);

	if (status)
		return status;
	if (gw_html_plan(file.out, snap, plan) != 0) {
		cli_file_abandon(&file);
		return cli_fail("%s: %s", path, strerror(ENOMEM));
	}
	return cli_file_commit(&file);
}

static int
report(const struct arguments *a, const struct gw_snapshot *snap, const struct gw_plan *plan)
{
	struct gw_report r;

	if (a->html) {
		int status = write_html(a->html, snap, plan);

		if (status)
			return status;
	}
	if (a->common.json) {
		if (gw_json_plan(stdout, snap, plan, a->pageblocks) != 0)
			return cli_fail("%s", strerror(ENOMEM));
	} else {
		cli_report_init(&r, &a->common);
		gw_report_plan(&r, snap, plan);
	}
	return plan->request.count == 0 || plan->enough ? CLI_DONE : CLI_NO;
}

static int
make_plan(struct arguments *a, struct gw_snapshot *snap, uint64_t load_ns)
{
	struct gw_error err = {""};
	struct gw_plan plan;
	int status;

	if (a->request.stop_at >= snap->n_frames)
		return cli_fail("--stop-at: 0x%x is beyond the last frame, 0x%x",
			a->request.stop_at, snap->n_frames - 1);
	if (gw_plan_make(snap, &a->request, &plan, &err) != 0)
		return cli_fail("%s: %s", snap->source, err.text[0] ? err.text : strerror(ENOMEM));
	plan.load_ns = load_ns;
	status = report(a, snap, &plan);
	gw_plan_free(&plan);
	return status;
}

int
cli_plan(int argc, char **argv)
{
	struct arguments a = {.common = {.verb = "plan", .help = help, .order = -1}};
	struct gw_snapshot snap = {0};
	uint64_t start = cli_now_ns();
	int status;

	gw_plan_request_init(&a.request);
	if (parse(argc, argv, &a, &status) != 0)
		return status;
	status = cli_load(&a.common, &snap, &a.request.order);
	if (status)
		return status;
	a.range.ns_per_page = a.request.ns_per_page;
	if (a.range.offline || a.range.gigantic)
		status = cli_plan_range(&a.range, &a.common, &snap);
	else
		status = make_plan(&a, &snap, cli_now_ns() - start);
	gw_snapshot_free(&snap);
	return status;
}
