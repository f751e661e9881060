/* SPDX-License-Identifier: MIT */
/*
 * bench.c - `godwit bench`: measure the engine on this machine.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "cli/cli.h"

static const char help[] =
	"usage: godwit bench [OPTION]...\n"
	"\n"
	"Measure the engine on this machine: median, least and greatest of several\n"
	"rounds. Nothing on the host is changed.\n"
	"\n"
	"  --filter NAME       only measurements whose name contains NAME\n"
	"  --threads N         for what is measured on several threads (default: 2)\n"
	"  --snapshot FILE     the recorded host that host-24gib plans on\n"
	"  --list              name the measurements\n"
	"  --json              one JSON object (schema godwit.bench)\n"
	"  --color WHEN        auto, always or never\n"
	"  --help              this text\n"
	"\n"
	"Examples:\n"
	"  godwit bench\n"
	"  godwit bench --filter alloc-free --json\n"
	"  godwit bench --filter host-1tib\n";

enum { OPT_FILTER = CLI_OPT_VERB, OPT_THREADS, OPT_LIST };

static const struct option options[] = {
	CLI_COMMON_OPTIONS,
	{"snapshot", required_argument, NULL, CLI_OPT_SNAPSHOT},
	{"filter", required_argument, NULL, OPT_FILTER},
	{"threads", required_argument, NULL, OPT_THREADS},
	{"list", no_argument, NULL, OPT_LIST},
	{NULL, 0, NULL, 0},
};

static const struct measurement {
	const char *name, *about;
	bench_fn run;
	bool on_request; /* only if --filter asks for it: too large for every day */
} measurements[] = {
	{"alloc-free", "one frame, on one thread and on several", bench_alloc_free, false},
	{"alloc-free-huge", "a block of order 9", bench_alloc_free_huge, false},
	{"page-lock", "a page lock taken and given back", bench_page_lock, false},
	{"migrate", "single pages moved by their owner, 512 at a time", bench_migrate, false},
	{"planners", "both planners on a zone of which a quarter is in use", bench_planners, false},
	{"soft-access", "loads through a TLB", bench_soft_access, false},
	{"soft-fault", "first touches of anonymous memory", bench_soft_fault, false},
	{"soft-fork", "fork, exit and exec", bench_soft_fork, false},
	{"soft-move", "mapped pages moved with their bytes", bench_soft_move, false},
	{"soft-huge", "huge pages made, moved whole and split", bench_soft_huge, false},
	{"soft-compact", "a fragmented machine of 1 GiB, with bytes", bench_soft_compact, false},
	{"soft-compact-4gib", "the same of 4 GiB (needs as much)", bench_soft_compact_4gib, true},
	{"soft-offline", "128 MiB taken offline beside tasks that use it", bench_soft_offline,
		true},
	{"proactive", "huge pages with and without proactive compaction", bench_proactive, true},
	{"faulters", "pages that 0 to 4 tasks wait for, in three ways, moved", bench_faulters,
		true},
	{"placement", "pages pulled over on a fault, beside plain faults", bench_placement, false},
	{"thpscale", "huge pages for 1 to 12 tasks beside file I/O", bench_thpscale, true},
	{"host-24gib", "a recorded host loaded and planned on", bench_host_24gib, false},
	{"host-1tib", "a made-up host of 1 TiB (needs 11 GiB)", bench_host_1tib, true},
};
#define N_MEASUREMENTS (sizeof(measurements) / sizeof(measurements[0]))

void
bench_sample(struct bench_samples *samples, double value)
{
	if (samples->n < BENCH_ROUNDS_MAX)
		samples->values[samples->n++] = value;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void
bench_row(struct bench *b, const char *name, const char *unit, const struct bench_samples *samples,
	const char *note)
{
	struct bench_row *row = &b->rows[b->n_rows];
	double sorted[BENCH_ROUNDS_MAX];
	unsigned n = samples->n;

	if (n == 0 || b->n_rows == sizeof(b->rows) / sizeof(b->rows[0]))
		return;
	memcpy(sorted, samples->values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_doubles);
	snprintf(row->name, sizeof(row->name), "%s", name);
	row->unit = unit;
	row->note = note;
	row->min = sorted[0];
	row->max = sorted[n - 1];
	row->median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	b->n_rows++;
}

static void
print_figure(double value)
{
	printf(" %10.*f", value < 10 ? 3 : value < 1000 ? 1 : 0, value);
}

static void
print_table(const struct bench *b)
{
	printf("%-32s %10s %10s %10s  %s\n", "measurement", "median", "min", "max", "unit");
	for (unsigned i = 0; i < b->n_rows; i++) {
		const struct bench_row *row = &b->rows[i];

		printf("%-32s", row->name);
		print_figure(row->median);
		print_figure(row->min);
		print_figure(row->max);
		printf("  %s\n", row->unit);
		if (row->note)
			printf("  %s\n", row->note);
	}
}

static int
print_json(const struct bench *b)
{
	json_t *results = json_array(), *all;

	for (unsigned i = 0; i < b->n_rows; i++) {
		const struct bench_row *row = &b->rows[i];

		json_array_append_new(
			results, json_pack("{s:s, s:s, s:f, s:f, s:f, s:s}", "name", row->name,
					 "unit", row->unit, "median", row->median, "min", row->min,
					 "max", row->max, "note", row->note ? row->note : ""));
	}
	all = json_pack("{s:s, s:i, s:i, s:o}", "schema", "godwit.bench", "version", 1, "threads",
		(int)b->threads, "results", results);
	if (!all || json_array_size(results) != b->n_rows ||
		json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6))) {
		json_decref(all);
		return cli_fail("not enough memory for the report");
	}
	putchar('\n');
	json_decref(all);
	return CLI_DONE;
}

static int
list(void)
{
	for (size_t i = 0; i < N_MEASUREMENTS; i++)
		printf("%-16s %s%s\n", measurements[i].name, measurements[i].about,
			measurements[i].on_request ? "; only if asked for" : "");
	return CLI_DONE;
}

static int
run(struct bench *b, const char *filter)
{
	unsigned n = 0, failed = 0;

	for (size_t i = 0; i < N_MEASUREMENTS; i++) {
		const struct measurement *measurement = &measurements[i];
		struct cli_progress progress;

		if (filter ? !strstr(measurement->name, filter) : measurement->on_request)
			continue;
		cli_progress_init(&progress, measurement->name);
		cli_progress_show(&progress, i, N_MEASUREMENTS);
		failed += measurement->run(b) != 0;
		cli_progress_end(&progress);
		n++;
	}
	if (n == 0)
		return cli_fail("no measurement is called '%s'; try 'godwit bench --list'", filter);
	return failed ? CLI_BAD : CLI_DONE;
}

int
cli_bench(int argc, char **argv)
{
	struct cli_common common = {.verb = "bench", .help = help, .order = -1};
	struct bench b = {.threads = 2};
	const char *filter = NULL;
	int option, status = CLI_DONE, printed = CLI_DONE;
	uint64_t n;

	while ((option = cli_next_option(argc, argv, options, &common, &status)) >= 0) {
		if (option == OPT_LIST)
			return list();
		if (option == OPT_FILTER)
			filter = optarg;
		else if (cli_number("--threads", optarg, 1, 64, &n))
			return CLI_BAD;
		else
			b.threads = (unsigned)n;
	}
	if (option == -2)
		return status;
	if (cli_no_operands(argc, argv))
		return CLI_BAD;
	b.snapshot = common.snapshot;
	status = run(&b, filter);
	if (b.n_rows)
		printed = common.json ? print_json(&b) : (print_table(&b), CLI_DONE);
	return status ? status : printed;
}
