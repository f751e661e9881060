/* SPDX-License-Identifier: MIT */
/*
 * placement.c - what it costs to pull a page over on the fault that maps it (FACTS 1.7).
 *
 * Idea. A file's pages are cached and mapped nowhere. A task of one node maps them one by one, then
 * a task of the other does, and so on: with migration on fault every page moves each time, without
 * it none does. Both in each round, so that the same frames are used for both.
 */
#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/godwit.h"

#define ROUNDS 7
#define PAGES  8192 /* 32 MiB */
#define FRAMES ((gw_pfn_t)1 << 15)

struct placement {
	struct gw_soft *soft;
	struct gw_machine *m;
	struct gw_mapping *file;
	unsigned turns;
};

static int
fail(const char *why)
{
	cli_fail("bench: %s", why);
	return -1;
}

static int
open_machine(struct placement *p)
{
	const struct gw_zone_config zones[2] = {{.name = "Normal", .end = FRAMES / 2},
		{.name = "Normal", .node = 1, .start = FRAMES / 2, .end = FRAMES}};
	const unsigned cpu_nodes[2] = {0, 1};
	struct gw_machine_config config;

	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.n_frames = FRAMES;
	config.zones = zones;
	config.n_zones = 2;
	config.cpu_nodes = cpu_nodes;
	if (gw_soft_create(&config, &p->soft, NULL))
		return -1;
	p->m = gw_soft_machine(p->soft);
	return 0;
}

static int
open_file(struct placement *p)
{
	void *ctx;

	if (gw_soft_ram_backing(PAGES, &ctx))
		return -1;
	if (!gw_mapping_create(p->m, &gw_soft_ram_ops, ctx, PAGES, 0, &p->file))
		return 0;
	gw_soft_ram_ops.release(ctx);
	return -1;
}

/* Map all pages by a load each. Nanoseconds for one, negative: it could not be. */
static double
touch(struct placement *p)
{
	gw_vaddr_t addr;
	struct gw_mm *mm;
	uint64_t start, value;
	int err;

	if (gw_mm_create(p->m, &mm))
		return -1;
	err = gw_mmap_file(mm, 0, (uint64_t)PAGES * GW_PAGE_SIZE, GW_PROT_READ, GW_MAP_SHARED,
		p->file, 0, &addr);
	start = cli_now_ns();
	for (unsigned i = 0; i < PAGES && !err; i++)
		err = gw_cpu_load(mm, addr + i * GW_PAGE_SIZE, &value);
	value = cli_now_ns() - start;
	gw_mm_put(mm);
	return err ? -1 : (double)value / PAGES;
}

/* The same by a task of the other node than last time. */
static double
fault_rate(struct placement *p, bool pull)
{
	struct gw_numa_tunables numa;
	struct gw_task task;
	double ns;

	gw_numa_tunables_init(&numa);
	numa.migrate_on_fault = pull;
	if (gw_task_attach(&task, p->m, p->turns++ % 2))
		return -1;
	ns = gw_machine_set_numa(p->m, &numa) ? -1 : touch(p);
	gw_lru_add_drain_all(p->m); /* for who isolates them next */
	gw_task_detach(&task);
	return ns;
}

/* Returns 0, or -1: no memory. */
static int
measure(struct placement *p, struct bench_samples *plain, struct bench_samples *pulled)
{
	/* Read in and, twice, to and fro: the host has given every frame its memory. */
	for (unsigned i = 0; i < 3; i++)
		if (fault_rate(p, true) < 0)
			return -1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		double off = fault_rate(p, false), on;

		p->turns++; /* the pages are where the last one pulled them */
		on = fault_rate(p, true);
		if (off < 0 || on < 0)
			return -1;
		bench_sample(plain, off);
		bench_sample(pulled, on);
	}
	return 0;
}

int
bench_placement(struct bench *b)
{
	struct bench_samples plain = {.n = 0}, pulled = plain;
	struct placement p = {.turns = 0};
	struct gw_task task;
	int err;

	if (open_machine(&p) || gw_task_attach(&task, p.m, 0))
		return fail("not enough memory");
	err = open_file(&p);
	if (!err) {
		err = measure(&p, &plain, &pulled);
		gw_mapping_put(p.file);
	}
	gw_task_detach(&task);
	gw_soft_destroy(p.soft);
	bench_row(b, "placement-fault", "ns", &plain, "a cached page is mapped where it is");
	bench_row(b, "placement-pulled", "ns", &pulled, "the same, moved to the task's node first");
	return err ? fail("not enough memory") : 0;
}
