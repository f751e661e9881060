/* SPDX-License-Identifier: MIT */
/*
 * host.c - a recorded host: from the archive to the plan.
 */
#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/plan.h"

#define ROUNDS 7

static double
ms_since(uint64_t start)
{
	return (double)(cli_now_ns() - start) / 1e6;
}

int
bench_host_24gib(struct bench *b)
{
	char bundled[PATH_MAX];
	const char *path = b->snapshot ? b->snapshot : cli_bundled_snapshot(bundled);
	struct bench_samples load = {.n = 0}, make = load, whole = load, peak = load;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct gw_plan_request request;
		struct gw_snapshot snap;
		struct gw_plan plan;
		struct gw_error err = {""};
		uint64_t start = cli_now_ns();
		double loaded;

		if (gw_snapshot_load(path, &snap, &err))
			return cli_fail("bench: %s", err.text), -1;
		loaded = ms_since(start);
		gw_plan_request_init(&request);
		if (gw_plan_make(&snap, &request, &plan, &err)) {
			gw_snapshot_free(&snap);
			return cli_fail("bench: %s", err.text), -1;
		}
		bench_sample(&whole, ms_since(start));
		bench_sample(&load, loaded);
		bench_sample(&make, ms_since(start) - loaded);
		gw_plan_free(&plan);
		gw_snapshot_free(&snap);
	}
	bench_sample(&peak, bench_peak_mib());
	bench_row(b, "host-24gib-load", "ms", &load, "the archive read and understood");
	bench_row(
		b, "host-24gib-plan", "ms", &make, "its twin built and compacted by the scanners");
	bench_row(b, "host-24gib", "ms", &whole, "both");
	bench_row(b, "host-24gib-memory", "MiB", &peak, "the most this process ever had");
	return 0;
}
