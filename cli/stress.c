/* SPDX-License-Identifier: MIT */
/*
 * stress.c - `godwit stress`: built-in workloads on the engine.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "machine/soft/storm.h"

#define NS_PER_SECOND	UINT64_C(1000000000)
#define SECONDS_DEFAULT 10
#define THREADS_MAX	256
#define FRAMES_PER_MIB	(((uint64_t)1 << 20) >> GW_PAGE_SHIFT)

static const char help[] =
	"usage: godwit stress storm [OPTION]...\n"
	"\n"
	"Programs on a machine made up in this process check every byte they read, while\n"
	"their memory and their files are forked, protected, moved, resized, given back,\n"
	"truncated, swapped, reclaimed, compacted and migrated under them; in pages small\n"
	"and large, which are split, collapsed and merged; bound to some of three nodes,\n"
	"promoted and demoted; while a balloon and given ranges take frames away, and\n"
	"memory goes offline and comes back. Nothing on the host is changed.\n"
	"\n"
	"What must hold: a word read is the word written, through every mapping; what was\n"
	"given back is zero; what may not be accessed faults; no addition is lost; in the\n"
	"end no CPU's TLB contradicts a page table, the engine's own check finds nothing,\n"
	"every frame and every swap slot is free again, and no group is charged.\n"
	"\n"
	"  --seconds N     how long (default: 10)\n"
	"  --threads N     threads, each a CPU of the machine (default: this host's CPUs)\n"
	"  --seed N        for the choices made (default: 1)\n"
	"  --memory N      the machine's memory, in MiB (default: 64)\n"
	"  --json          one JSON object (schema godwit.stress)\n"
	"  --color WHEN    auto, always or never\n"
	"  --help          this text\n"
	"\n"
	"Exit status: 0 nothing was lost, 1 something was: where and what is printed.\n"
	"\n"
	"Examples:\n"
	"  godwit stress storm --seconds 60\n"
	"  godwit stress storm --threads 4 --memory 16 --seed 7 --json\n";

enum { OPT_SECONDS = CLI_OPT_VERB, OPT_THREADS, OPT_SEED, OPT_MEMORY };

static const struct option options[] = {
	CLI_COMMON_OPTIONS,
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"threads", required_argument, NULL, OPT_THREADS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{NULL, 0, NULL, 0},
};

static uint64_t
all_ops(const struct gw_storm_report *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GW_STORM_OPS; i++)
		n += r->ops[i];
	return n;
}

static uint64_t
per_second(uint64_t n, uint64_t ns)
{
	return ns ? (uint64_t)((double)n * (double)NS_PER_SECOND / (double)ns) : 0;
}

static bool
passed(const struct gw_storm_report *r)
{
	return !r->lost.text[0];
}

/* ---- while it runs ---- */

static bool
show(void *ctx, const struct gw_storm_report *r)
{
	const struct gw_storm_config *config = ctx;

	if (isatty(STDERR_FILENO)) {
		fprintf(stderr, "\rstorm: %3llu of %llu s, %s operations, %s words, %s moves ",
			(unsigned long long)(r->ns / NS_PER_SECOND),
			(unsigned long long)(config->ns / NS_PER_SECOND),
			gw_text_count(all_ops(r)).s, gw_text_count(r->words).s,
			gw_text_count(r->moved).s);
		fflush(stderr);
	}
	return !cli_interrupted();
}

static void
clear_line(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%79s\r", "");
}

/* ---- the report ---- */

static void
print_row(const char *what, uint64_t n, const char *more)
{
	printf("  %-22s %15s%s%s\n", what, gw_text_count(n).s, more[0] ? "  " : "", more);
}

static void
print_rate(const char *what, uint64_t n, uint64_t ns)
{
	printf("  %-22s %15s  %s a second\n", what, gw_text_count(n).s,
		gw_text_count(per_second(n, ns)).s);
}

/* Those that say what operations have really done. */
static const enum gw_vm_event told[] = {
	GW_VM_NUMA_PTE_UPDATES,
	GW_VM_NUMA_HUGE_PTE_UPDATES,
	GW_VM_NUMA_HINT_FAULTS,
	GW_VM_NUMA_PAGES_MIGRATED,
	GW_VM_PGPROMOTE_SUCCESS,
	GW_VM_PGDEMOTE_KSWAPD,
	GW_VM_PGDEMOTE_DIRECT,
	GW_VM_PGDEMOTE_PROACTIVE,
	GW_VM_COMPACT_DAEMON_WAKE,
	GW_VM_THP_FAULT_ALLOC,
	GW_VM_THP_MIGRATION_SUCCESS,
	GW_VM_THP_MIGRATION_SPLIT,
	GW_VM_THP_SPLIT_PAGE,
	GW_VM_THP_SPLIT_PAGE_FAILED,
	GW_VM_THP_SPLIT_PMD,
	GW_VM_THP_DEFERRED_SPLIT_PAGE,
	GW_VM_THP_UNDERUSED_SPLIT_PAGE,
	GW_VM_THP_COLLAPSE_ALLOC,
	GW_VM_BALLOON_INFLATE,
	GW_VM_BALLOON_DEFLATE,
	GW_VM_BALLOON_MIGRATE,
	GW_VM_COW_KSM,
	GW_VM_HTLB_BUDDY_ALLOC_SUCCESS,
};

static void
print_text(const struct gw_storm_config *config, const struct gw_storm_report *r)
{
	uint64_t accesses = r->hits + r->misses;

	printf("storm: %.1f s, %u threads, %s, seed %llu\n\n",
		(double)r->ns / (double)NS_PER_SECOND, config->threads,
		gw_text_frames(config->n_frames).s, (unsigned long long)config->seed);
	print_rate("operations", all_ops(r), r->ns);
	for (unsigned i = 0; i < GW_STORM_OPS; i++)
		printf("%s%-10s %9s%s", i % 3 ? "  " : "    ",
			gw_storm_op_name((enum gw_storm_op)i), gw_text_count(r->ops[i]).s,
			i % 3 == 2 || i + 1 == GW_STORM_OPS ? "\n" : "");
	print_rate("pages moved", r->moved, r->ns);
	print_row("pages not moved", r->not_moved, "");
	print_rate("pages reclaimed", r->reclaimed, r->ns);
	print_row("pages swapped out", r->swapped_out, "");
	print_row("pages swapped in", r->swapped_in, "");
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		print_row(gw_vm_event_name(told[i]), r->events[told[i]], "");
	print_row("frames in given ranges", r->contig_frames, "");
	print_row("blocks taken offline", r->blocks_offline, "");
	print_row("pages merged at a time", r->most_sharing, "");
	print_rate("accesses", accesses, r->ns);
	print_row("  TLB misses", r->misses, "");
	print_row("  faults", r->faults, "");
	print_row("shootdowns", r->shootdowns, "");
	print_row("programs", r->programs, "");
	print_row("short of memory", r->no_memory, "operations given up");
	printf("\nchecks\n");
	print_rate("words verified", r->words, r->ns);
	print_row("accesses refused", r->faults_expected, "as they had to be");
	print_row("TLB findings", r->tlb_findings, "must be 0");
	print_row("machine findings", r->machine_findings, "must be 0");
	print_row("frames not given back", r->frames - r->frames_free, "must be 0");
	if (passed(r))
		printf("\nNothing was lost.\n");
	else
		printf("\nLOST: %s\n", r->lost.text);
}

static int
print_json(const struct gw_storm_config *config, const struct gw_storm_report *r)
{
	json_t *ops = json_object(), *events = json_object(), *all;

	for (unsigned i = 0; i < GW_VM_NR; i++)
		json_object_set_new(events, gw_vm_event_name((enum gw_vm_event)i),
			json_integer((json_int_t)r->events[i]));
	for (unsigned i = 0; i < GW_STORM_OPS; i++)
		json_object_set_new(ops, gw_storm_op_name((enum gw_storm_op)i),
			json_integer((json_int_t)r->ops[i]));
	all = json_pack("{s:s, s:i, s:s, s:i, s:I, s:I, s:I, s:o, s:o}", "schema", "godwit.stress",
		"version", 1, "workload", "storm", "threads", (int)config->threads, "frames",
		(json_int_t)config->n_frames, "seed", (json_int_t)config->seed, "ns",
		(json_int_t)r->ns, "operations", ops, "events", events);
	if (!all || json_object_size(ops) != GW_STORM_OPS ||
		json_object_update_new(
			all, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "moved",
				     (json_int_t)r->moved, "not_moved", (json_int_t)r->not_moved,
				     "hits", (json_int_t)r->hits, "misses", (json_int_t)r->misses,
				     "faults", (json_int_t)r->faults, "shootdowns",
				     (json_int_t)r->shootdowns, "programs", (json_int_t)r->programs,
				     "no_memory", (json_int_t)r->no_memory)) ||
		json_object_update_new(all,
			json_pack("{s:I, s:I, s:I, s:I, s:I}", "reclaimed",
				(json_int_t)r->reclaimed, "swapped_out", (json_int_t)r->swapped_out,
				"swapped_in", (json_int_t)r->swapped_in, "contig_frames",
				(json_int_t)r->contig_frames, "blocks_offline",
				(json_int_t)r->blocks_offline)) ||
		json_object_update_new(all,
			json_pack("{s:I, s:I, s:i, s:i, s:I, s:b, s:s}", "words_verified",
				(json_int_t)r->words, "accesses_refused",
				(json_int_t)r->faults_expected, "tlb_findings",
				(int)r->tlb_findings, "machine_findings", (int)r->machine_findings,
				"frames_not_given_back", (json_int_t)(r->frames - r->frames_free),
				"passed", passed(r), "lost", r->lost.text)) ||
		json_dumpf(all, stdout, JSON_COMPACT)) {
		json_decref(all);
		return cli_fail("%s", strerror(ENOMEM));
	}
	putchar('\n');
	json_decref(all);
	return CLI_DONE;
}

static int
storm(const struct cli_common *common, struct gw_storm_config *config)
{
	struct gw_storm_report report;
	struct gw_error error = {""};
	int err, status = CLI_DONE;

	config->progress = show;
	config->ctx = config;
	cli_interrupt_begin();
	err = gw_storm_run(config, &report, &error);
	cli_interrupt_end();
	clear_line();
	if (err)
		return cli_fail("stress: %s", error.text[0] ? error.text : strerror(-err));
	if (common->json)
		status = print_json(config, &report);
	else
		print_text(config, &report);
	if (status)
		return status;
	return passed(&report) ? CLI_DONE : CLI_NO;
}

static unsigned
host_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static int
set_option(struct gw_storm_config *config, int option)
{
	uint64_t n = 0;
	int status;

	switch (option) {
	case OPT_SECONDS:
		status = cli_number("--seconds", optarg, 1, 1000000, &n);
		config->ns = n * NS_PER_SECOND;
		return status;
	case OPT_THREADS:
		status = cli_number("--threads", optarg, 1, THREADS_MAX, &n);
		config->threads = (unsigned)n;
		return status;
	case OPT_SEED:
		return cli_number("--seed", optarg, 0, INT64_MAX, &config->seed);
	default:
		status = cli_number("--memory", optarg, 16, 1 << 20, &n);
		config->n_frames = (gw_pfn_t)(n * FRAMES_PER_MIB);
		return status;
	}
}

int
cli_stress(int argc, char **argv)
{
	struct cli_common common = {.verb = "stress", .help = help, .order = -1};
	struct gw_storm_config config = {
		.threads = host_cpus(),
		.ns = SECONDS_DEFAULT * NS_PER_SECOND,
		.seed = 1,
		.n_frames = 64 * FRAMES_PER_MIB,
	};
	int option, status = CLI_DONE;

	while ((option = cli_next_option(argc, argv, options, &common, &status)) >= 0) {
		status = set_option(&config, option);
		if (status)
			return status;
	}
	if (option == -2)
		return status;
	if (optind == argc)
		return cli_fail(
			"stress: which workload? There is 'storm'; try 'godwit stress --help'");
	if (strcmp(argv[optind], "storm") != 0)
		return cli_fail("stress: there is no workload '%s', only 'storm'", argv[optind]);
	optind++;
	return cli_no_operands(argc, argv) ? CLI_BAD : storm(&common, &config);
}
