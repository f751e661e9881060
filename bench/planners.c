/* SPDX-License-Identifier: MIT */
/*
 * planners.c - both planners on made-up memory: how fast, and at how many pages a huge page.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/compact.h"

#define ROUNDS 5
#define ORDER  GW_DEFAULT_PAGEBLOCK_ORDER
#define FRAMES ((gw_pfn_t)1 << 20)	/* of the zone that both planners compact: 4 GiB */
#define FEW    ((FRAMES >> ORDER) / 20) /* blocks: one in twenty */

int
bench_scatter(struct gw_machine *m, gw_pfn_t start, gw_pfn_t n, unsigned percent, uint64_t *random)
{
	gw_pfn_t pfn = start, free_from = start;
	int err = 0;

	for (; pfn < start + n && !err; pfn++) {
		if (bench_random(random) % 100 >= percent)
			continue;
		if (free_from < pfn)
			err = gw_seed_free(m, free_from, pfn - free_from);
		free_from = pfn + 1;
		if (!err)
			err = gw_seed_movable(m, pfn, 0, &bench_owner, pfn, GW_LRU_NR);
	}
	return !err && free_from < pfn ? gw_seed_free(m, free_from, pfn - free_from) : err;
}

/* Compact the only zone until `count` blocks are free, or whole if that is 0. Returns the seconds
 * that took. */
static double
compact(struct gw_machine *m, enum gw_planner planner, uint64_t count,
	struct gw_compact_stats *stats)
{
	const struct gw_compact_request request = {.planner = planner,
		.order = count ? ORDER : -1,
		.count = count,
		.mode = GW_MIGRATE_SYNC,
		.whole_zone = true,
		.ignore_skip = true};
	uint64_t start = cli_now_ns();

	gw_compact_zone(m, 0, &request, stats);
	gw_drain_all_pages(m);
	return (double)(cli_now_ns() - start) / 1e9;
}

struct planner_samples {
	struct bench_samples scanned, moved, cost;
};

/* One run on a zone of which a quarter is in use, at random. */
static int
measure_planner(struct bench *b, enum gw_planner planner, uint64_t count, uint64_t *random,
	struct planner_samples *samples)
{
	struct gw_compact_stats stats;
	struct bench_machine bm;
	uint64_t before, gained;
	double seconds;
	int err;

	if (bench_machine_open(b, FRAMES, &bm))
		return -1;
	err = bench_scatter(bm.m, 0, FRAMES, 25, random);
	gw_seed_done(bm.m);
	before = gw_zone_available(bm.m, 0, ORDER);
	seconds = compact(bm.m, planner, count, &stats);
	gained = gw_zone_available(bm.m, 0, ORDER) - before;
	bench_machine_close(&bm);
	if (err)
		return err;
	bench_sample(&samples->scanned,
		(double)(stats.migrate_scanned + stats.free_scanned) / seconds / 1e6);
	bench_sample(&samples->moved, (double)stats.migrate.succeeded / seconds / 1e6);
	if (gained)
		bench_sample(&samples->cost, (double)stats.migrate.succeeded / (double)gained);
	return 0;
}

int
bench_planners(struct bench *b)
{
	static const char *const names[][4] = {
		[GW_PLANNER_SCANNERS] = {"planners-scanners-scanned", "planners-scanners-moved",
			"planners-scanners-cost", "planners-scanners-cost-few"},
		[GW_PLANNER_EVACUATE] = {"planners-evacuate-scanned", "planners-evacuate-moved",
			"planners-evacuate-cost", "planners-evacuate-cost-few"},
	};
	uint64_t random = 1;

	for (unsigned planner = 0; planner < 2; planner++) {
		struct planner_samples all = {.cost = {.n = 0}}, few = all;

		for (unsigned i = 0; i < ROUNDS; i++)
			if (measure_planner(b, planner, 0, &random, &all) ||
				measure_planner(b, planner, FEW, &random, &few))
				return cli_fail("bench: the zone could not be made"), -1;
		bench_row(b, names[planner][0], "Mframes/s", &all.scanned, NULL);
		bench_row(b, names[planner][1], "Mpages/s", &all.moved, NULL);
		bench_row(b, names[planner][2], "pages/block", &all.cost,
			"moved for each block of 2 MiB gained, whole zone");
		bench_row(b, names[planner][3], "pages/block", &few.cost,
			"the same where one block in twenty is wanted");
	}
	return 0;
}

/* ---- a host of 1 TiB ---- */

/*
 * One pageblock of a busy host: huge, free, pinned down by a few pages that do not move, or with
 * more or fewer pages scattered over it.
 */
static int
seed_pageblock(struct gw_machine *m, gw_pfn_t start, uint64_t *random)
{
	const gw_pfn_t n = (gw_pfn_t)1 << ORDER;
	unsigned what = (unsigned)(bench_random(random) % 100);
	int err = 0;

	if (what < 25)
		return gw_seed_movable(m, start, ORDER, &bench_owner, start, GW_LRU_NR);
	if (what < 40)
		return gw_seed_free(m, start, n);
	if (what < 50) {
		err = gw_seed_pageblock(m, start, GW_MT_UNMOVABLE);
		if (!err)
			err = gw_seed_used(m, start, 8);
		return err ? err : bench_scatter(m, start + 8, n - 8, 50, random);
	}
	return bench_scatter(m, start, n, what < 75 ? 25 : 60, random);
}

int
bench_host_1tib(struct bench *b)
{
	const gw_pfn_t frames = (gw_pfn_t)1 << 28;
	struct bench_samples build = {.n = 0}, run = build, whole = build, peak = build;
	struct bench_samples moved = build;
	struct gw_compact_stats stats;
	struct bench_machine bm;
	uint64_t start = cli_now_ns(), random = 1;
	double seconds;
	int err = 0;

	if (bench_machine_open(b, frames, &bm))
		return -1;
	for (gw_pfn_t pfn = 0; pfn < frames && !err; pfn += (gw_pfn_t)1 << ORDER)
		err = seed_pageblock(bm.m, pfn, &random);
	gw_seed_done(bm.m);
	seconds = (double)(cli_now_ns() - start) / 1e9;
	bench_sample(&build, seconds);
	bench_sample(&run, compact(bm.m, GW_PLANNER_SCANNERS, 0, &stats));
	bench_sample(&whole, seconds + run.values[0]);
	bench_sample(&moved, (double)stats.migrate.succeeded / 1e6);
	bench_sample(&peak, bench_peak_mib() / 1024);
	bench_machine_close(&bm);
	if (err)
		return cli_fail("bench: the host could not be made"), -1;
	bench_row(b, "host-1tib-build", "s", &build, NULL);
	bench_row(b, "host-1tib-compact", "s", &run, "by the scanners, whole zone");
	bench_row(b, "host-1tib", "s", &whole, "both");
	bench_row(b, "host-1tib-moved", "Mpages", &moved, NULL);
	bench_row(b, "host-1tib-memory", "GiB", &peak, "the most this process ever had");
	return 0;
}
