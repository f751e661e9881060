/* SPDX-License-Identifier: MIT */
/*
 * options.c - the command line of `godwit check`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define SECONDS_DEFAULT 10
#define SECONDS_MAX	1000000
#define RUNS_MAX	UINT64_C(1000000000000)

static const char help[] =
	"usage: godwit check [SCENARIO]... [OPTION]...\n"
	"\n"
	"Run a few tasks on the engine in every order, and show the order in which\n"
	"something breaks. By default all scenarios, with all fixes of the field's\n"
	"history: then nothing is found. Without a fix its race is found, step by step.\n"
	"Nothing on the host is changed.\n"
	"\n"
	"  --list                 the scenarios and the fixes, with their rows\n"
	"  --without FIX[,FIX]... leave fixes out; without a SCENARIO, in those that show\n"
	"                         them\n"
	"  --search NAME          dpor: every order, once (with partial-order reduction);\n"
	"                         preempt: all with 0, 1, 2 ... preemptions;\n"
	"                         pct: random priorities. Default: dpor with half of the\n"
	"                         budget, preempt and pct with a quarter each\n"
	"  --budget N             at most N runs of a scenario; with an 's' behind it,\n"
	"                         N seconds (default: 10s)\n"
	"  --seed N               of pct (default: 1)\n"
	"  --schedule S           run this schedule of one scenario and no other\n"
	"  --table                for each fix: the search without it, and with it\n"
	"  --measure              of 'faulters': how often migration succeeds against\n"
	"                         tasks that touch its page, for each way to wait\n"
	"  --svg FILE             with --measure: also a picture of it\n"
	"  --html FILE            also write one page to step through\n"
	"  --width N              columns of the timeline (default: the terminal's)\n"
	"  --json                 one JSON object (schema godwit.check)\n"
	"  --color WHEN           auto, always or never\n"
	"  --help                 this text\n"
	"\n"
	"Exit status: 0 nothing was found, and how far it looked; 1 something was.\n"
	"\n"
	"Examples:\n"
	"  godwit check\n"
	"  godwit check --without put-and-wait --html race.html\n"
	"  godwit check put-and-wait --search preempt --budget 100000 --json\n"
	"  godwit check faulters --measure --svg faulters.svg\n";

enum {
	OPT_LIST = CLI_OPT_VERB,
	OPT_WITHOUT,
	OPT_SEARCH,
	OPT_BUDGET,
	OPT_SEED,
	OPT_SCHEDULE,
	OPT_TABLE,
	OPT_MEASURE,
	OPT_SVG,
	OPT_HTML
};

static const struct option options[] = {
	CLI_COMMON_OPTIONS,
	{"width", required_argument, NULL, CLI_OPT_WIDTH},
	{"list", no_argument, NULL, OPT_LIST},
	{"without", required_argument, NULL, OPT_WITHOUT},
	{"search", required_argument, NULL, OPT_SEARCH},
	{"budget", required_argument, NULL, OPT_BUDGET},
	{"seed", required_argument, NULL, OPT_SEED},
	{"schedule", required_argument, NULL, OPT_SCHEDULE},
	{"table", no_argument, NULL, OPT_TABLE},
	{"measure", no_argument, NULL, OPT_MEASURE},
	{"svg", required_argument, NULL, OPT_SVG},
	{"html", required_argument, NULL, OPT_HTML},
	{NULL, 0, NULL, 0},
};

/* ---- names ---- */

static const char *
fix_name(size_t i)
{
	return i < GW_FIX_NR ? gw_fixes[i].name : NULL;
}

static const char *
scenario_name(size_t i)
{
	return gw_explore_scenarios[i] ? gw_explore_scenarios[i]->name : NULL;
}

/* Which of the names `text`, of `len` characters, is; -1 after saying what could be. */
static int
find_name(const char *what, const char *text, size_t len, const char *(*name)(size_t i))
{
	char all[896] = "";
	size_t n = 0;

	for (size_t i = 0; name(i); i++) {
		if (strlen(name(i)) == len && memcmp(name(i), text, len) == 0)
			return (int)i;
		if (n < sizeof all)
			n += (size_t)snprintf(
				all + n, sizeof all - n, "%s%s", n ? ", " : "", name(i));
	}
	cli_fail("check: there is no %s '%.*s', only %s", what, (int)(len > 64 ? 64 : len), text,
		all);
	return -1;
}

static int
add_fixes(struct check_request *r, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, ",");
		int fix = find_name("fix", text, len, fix_name);

		if (fix < 0)
			return CLI_BAD;
		r->without |= GW_WITHOUT(fix);
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

/* ---- options ---- */

static int
set_search(struct check_request *r, const char *text)
{
	static const char *const names[] = {"dpor", "preempt", "pct", NULL};
	int choice = cli_choice("--search", text, names);

	if (choice < 0)
		return CLI_BAD;
	r->searches[0] = (enum gw_explore_search)choice;
	r->n_searches = 1;
	return 0;
}

static int
set_budget(struct check_request *r, const char *text)
{
	size_t len = strlen(text);
	char digits[32];
	uint64_t n = 0;

	r->runs = 0;
	r->seconds = 0;
	if (len < 2 || text[len - 1] != 's')
		return cli_number("--budget", text, 1, RUNS_MAX, &r->runs);
	snprintf(digits, sizeof digits, "%.*s", (int)(len - 1), text);
	if (cli_number("--budget", len <= sizeof digits ? digits : text, 1, SECONDS_MAX, &n))
		return CLI_BAD;
	r->seconds = (double)n;
	return 0;
}

static int
set_file(const char *option, const char *text, const char **out)
{
	if (!text[0])
		return cli_fail("%s: the file's name is empty", option);
	if (strcmp(text, "-") == 0)
		return cli_fail("%s: name a file; standard output has the report", option);
	*out = text;
	return 0;
}

static int
set_mode(struct check_request *r, enum check_mode mode)
{
	if (r->mode != CHECK_SEARCH && r->mode != mode)
		return cli_fail("check: --list, --table and --measure do not go together");
	r->mode = mode;
	return 0;
}

static int
take_option(struct check_request *r, int option, const char *value)
{
	switch (option) {
	case OPT_LIST:
		return set_mode(r, CHECK_LIST);
	case OPT_TABLE:
		return set_mode(r, CHECK_TABLE);
	case OPT_MEASURE:
		return set_mode(r, CHECK_MEASURE);
	case OPT_WITHOUT:
		return add_fixes(r, value);
	case OPT_SEARCH:
		return set_search(r, value);
	case OPT_BUDGET:
		return set_budget(r, value);
	case OPT_SEED:
		return cli_number("--seed", value, 0, INT64_MAX, &r->seed);
	case OPT_SCHEDULE:
		r->schedule = value;
		return 0;
	case OPT_SVG:
		return set_file("--svg", value, &r->svg);
	default:
		return set_file("--html", value, &r->html);
	}
}

/* ---- scenarios ---- */

static int
name_scenarios(struct check_request *r, int argc, char **argv)
{
	for (int i = optind; i < argc; i++) {
		int found = find_name("scenario", argv[i], strlen(argv[i]), scenario_name);

		if (found < 0)
			return CLI_BAD;
		r->scenarios[r->n_scenarios++] = gw_explore_scenarios[found];
	}
	return 0;
}

/* None was named: all, or those that show what is left out. */
static int
choose_scenarios(struct check_request *r)
{
	char names[512];

	for (size_t i = 0; gw_explore_scenarios[i]; i++)
		if (!r->without || gw_explore_scenarios[i]->without & r->without)
			r->scenarios[r->n_scenarios++] = gw_explore_scenarios[i];
	gw_check_fixes(r->without, names, sizeof names);
	if (!r->n_scenarios)
		return cli_fail("check: no scenario shows %s alone; name one", names);
	return 0;
}

static int
make_room(struct check_request *r, int argc)
{
	size_t n = (size_t)argc;

	for (size_t i = 0; gw_explore_scenarios[i]; i++)
		n++;
	r->scenarios = calloc(n, sizeof(const struct gw_explore_scenario *));
	return r->scenarios ? 0 : cli_fail("%s", strerror(ENOMEM));
}

/* ---- what goes together ---- */

static int
reject_nonsense(const struct check_request *r, bool searches_given)
{
	if (r->schedule && r->mode != CHECK_SEARCH)
		return cli_fail("check: --schedule runs one schedule, and nothing else");
	if (r->schedule && searches_given)
		return cli_fail(
			"check: --schedule runs one schedule; --search and --budget do not go with "
			"it");
	if (r->schedule && r->n_scenarios != 1)
		return cli_fail("check: --schedule: name one scenario");
	if (r->mode == CHECK_MEASURE &&
		(r->n_scenarios != 1 || strcmp(r->scenarios[0]->name, "faulters") != 0))
		return cli_fail("check: --measure: name the scenario 'faulters', and no other");
	if (r->mode == CHECK_MEASURE && r->without)
		return cli_fail("check: --measure has all fixes, but for the way to wait");
	if (r->svg && r->mode != CHECK_MEASURE)
		return cli_fail("check: --svg goes with --measure");
	if (r->html && r->mode != CHECK_SEARCH)
		return cli_fail("check: --html goes with a search");
	return 0;
}

bool
check_parse(int argc, char **argv, struct check_request *r, int *status)
{
	bool given = false;
	int option;

	*r = (struct check_request){
		.common = {.verb = "check", .help = help, .order = -1},
		.searches = {GW_EXPLORE_DPOR, GW_EXPLORE_PREEMPT, GW_EXPLORE_PCT},
		.n_searches = GW_CHECK_SEARCHES,
		.seconds = SECONDS_DEFAULT,
		.seed = 1,
	};
	while ((option = cli_next_option(argc, argv, options, &r->common, status)) >= 0) {
		given |= option == OPT_SEARCH || option == OPT_BUDGET;
		*status = take_option(r, option, optarg);
		if (*status)
			return false;
	}
	if (option == -2)
		return false;
	*status = make_room(r, argc);
	if (!*status)
		*status = optind < argc ? name_scenarios(r, argc, argv) : choose_scenarios(r);
	if (!*status)
		*status = reject_nonsense(r, given);
	return *status == 0;
}

void
check_free(struct check_request *r)
{
	free(r->scenarios);
}
