/* SPDX-License-Identifier: MIT */
/*
 * background.c - memory that goes offline beside programs, and proactive compaction.
 *
 * Idea of soft-offline: a program's memory fills part of a soft machine, tasks touch it all the
 * time, and memory blocks of 128 MiB are taken offline, the fullest first, and given back.
 *
 * Idea of proactive: a zone of which a quarter is in use, spread evenly, so that no huge page is
 * free. Somebody then wants one huge page every 20 ms of the machine's clock. How long each takes,
 * with and without proactive compaction in the background: in real time, and in simulated time,
 * which is what the same moves and scans cost on the host that plans are priced by.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/alloc.h"
#include "godwit/contig.h"
#include "godwit/plan.h"
#include "godwit/soft.h"

/* ---- soft-offline ---- */

#define ROUNDS	    7
#define SOFT_FRAMES ((gw_pfn_t)1 << 17) /* 512 MiB */
#define PAGES	    ((unsigned)1 << 16)
#define BLOCK	    ((gw_pfn_t)1 << 15)
#define TASKS	    2

struct toucher {
	struct soft_bench *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	const bool *stop; /* atomic */
	unsigned cpu;
	pthread_t thread;
};

static void *
touch_on_and_on(void *arg)
{
	struct toucher *t = arg;
	struct gw_task task;
	uint64_t random = t->cpu, value;

	if (gw_task_attach(&task, t->s->m, t->cpu))
		return NULL;
	while (!__atomic_load_n(t->stop, __ATOMIC_RELAXED))
		if (gw_cpu_load(
			    t->mm, t->addr + bench_random(&random) % PAGES * GW_PAGE_SIZE, &value))
			break;
	gw_task_detach(&task);
	return NULL;
}

/* The block that can go offline with the most pages in it; GW_PFN_NONE: none can. */
static gw_pfn_t
fullest_block(struct gw_machine *m)
{
	gw_pfn_t best = GW_PFN_NONE;
	uint64_t most = 0;

	for (gw_pfn_t start = 0; start < SOFT_FRAMES; start += BLOCK) {
		struct gw_range_outlook outlook;

		if (gw_range_look(m, start, start + BLOCK, GW_MT_MOVABLE, NULL, NULL, &outlook) ||
			!outlook.possible || outlook.movable < most)
			continue;
		best = start;
		most = outlook.movable;
	}
	return best;
}

static int
offline_round(struct gw_machine *m, struct bench_samples *ms, struct bench_samples *us_each)
{
	uint64_t before = gw_machine_count(m, GW_VM_PGMIGRATE_SUCCESS);
	uint64_t begin = cli_now_ns(), ns, moved;
	gw_pfn_t start = fullest_block(m);

	if (start == GW_PFN_NONE || gw_offline_pages(m, start, start + BLOCK, NULL))
		return -1;
	ns = cli_now_ns() - begin;
	moved = gw_machine_count(m, GW_VM_PGMIGRATE_SUCCESS) - before;
	bench_sample(ms, (double)ns / 1e6);
	bench_sample(us_each, moved ? (double)ns / 1e3 / (double)moved : 0);
	return gw_online_pages(m, start, start + BLOCK);
}

static int
offline_beside(struct bench *b, struct soft_bench *s, unsigned n_tasks)
{
	struct bench_samples ms = {.n = 0}, us_each = ms;
	struct toucher touchers[TASKS];
	struct gw_mm *mm;
	gw_vaddr_t addr;
	unsigned started = 0;
	bool stop = false;
	char name[40];
	int err = 0;

	mm = bench_soft_program(s, PAGES, true, &addr);
	for (; mm && started < n_tasks; started++) {
		struct toucher *t = &touchers[started];

		*t = (struct toucher){
			.s = s, .mm = mm, .addr = addr, .stop = &stop, .cpu = started + 1};
		if (pthread_create(&t->thread, NULL, touch_on_and_on, t))
			break;
	}
	err = mm && started == n_tasks ? 0 : -1;
	for (unsigned i = 0; i < ROUNDS && !err; i++)
		err = offline_round(s->m, &ms, &us_each);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	while (started > 0)
		pthread_join(touchers[--started].thread, NULL);
	if (mm)
		gw_mm_put(mm);
	snprintf(name, sizeof(name), "soft-offline-%u", n_tasks);
	bench_row(b, name, "ms", &ms, "128 MiB go offline, beside so many tasks");
	snprintf(name, sizeof(name), "soft-offline-%u-page", n_tasks);
	bench_row(b, name, "us", &us_each, "of that, a page that was moved");
	return err;
}

int
bench_soft_offline(struct bench *b)
{
	struct soft_bench s;
	int err = 0;

	if (bench_soft_open(1 + TASKS, SOFT_FRAMES, &s))
		return -1;
	for (unsigned n = 0; n <= TASKS && !err; n++)
		err = offline_beside(b, &s, n);
	bench_soft_close(&s);
	if (err)
		cli_fail("bench: not enough memory, or threads");
	return err;
}

/* ---- proactive ---- */

#define FRAMES	  ((gw_pfn_t)1 << 18) /* 1 GiB */
#define HUGE	  GW_DEFAULT_PAGEBLOCK_ORDER
#define WANTED	  150 /* huge pages, of about 380 that compaction could give */
#define PACE_NS	  UINT64_C(20000000)
#define BEFORE_NS UINT64_C(30000000000) /* of rest, before the first is wanted */
#define STEP_NS	  UINT64_C(500000000)

struct clock {
	uint64_t ns;
};

static uint64_t
clock_ns(void *ctx)
{
	return ((const struct clock *)ctx)->ns;
}

struct latencies {
	double real_us[WANTED], simulated_us[WANTED];
	unsigned n;
};

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint64_t
cost_so_far(const struct gw_machine *m)
{
	return gw_machine_count(m, GW_VM_PGMIGRATE_SUCCESS) * GW_PLAN_NS_PER_PAGE +
	       (gw_machine_count(m, GW_VM_COMPACT_MIGRATE_SCANNED) +
		       gw_machine_count(m, GW_VM_COMPACT_FREE_SCANNED)) *
		       GW_PLAN_NS_PER_SCANNED;
}

static void
want_one(struct gw_machine *m, struct latencies *l)
{
	uint64_t cost = cost_so_far(m), begin = cli_now_ns();
	gw_pfn_t page;
	int err = gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, HUGE, &page);

	l->real_us[l->n] = (double)(cli_now_ns() - begin) / 1e3;
	l->simulated_us[l->n] = (double)(cost_so_far(m) - cost) / 1e3;
	l->n += !err;
}

/* Time passes; the background is at work in it if it is there. */
static void
pass(struct gw_machine *m, struct clock *clock, uint64_t ns, bool proactive)
{
	for (uint64_t end = clock->ns + ns; clock->ns < end;) {
		clock->ns += end - clock->ns < STEP_NS ? end - clock->ns : STEP_NS;
		if (proactive)
			(void)gw_kcompactd_step(m, 0);
	}
}

static int
one_host(bool proactive, unsigned proactiveness, struct latencies *l)
{
	struct gw_zone_config zone = {.name = "Normal", .end = FRAMES};
	struct gw_machine_ops ops = gw_bare_ops;
	struct gw_machine_config config;
	struct clock clock = {.ns = 1};
	struct gw_machine *m;
	struct gw_task task;
	uint64_t random = 1;
	int err;

	ops.clock_ns = clock_ns;
	gw_machine_config_init(&config);
	config.n_frames = FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	config.compaction_proactiveness = proactiveness;
	if (gw_machine_create(&config, &ops, &clock, &m, NULL))
		return -1;
	err = gw_task_attach(&task, m, 0);
	if (!err)
		err = bench_scatter(m, 0, FRAMES, 25, &random);
	gw_seed_done(m);
	pass(m, &clock, BEFORE_NS, proactive);
	for (unsigned i = 0; i < WANTED && !err; i++) {
		pass(m, &clock, PACE_NS, proactive);
		want_one(m, l);
	}
	gw_task_detach(&task);
	gw_machine_destroy(m);
	return err || l->n == 0 ? -1 : 0;
}

static void
add_percentiles(struct bench *b, const char *who, const char *time, double *values, unsigned n)
{
	static const unsigned percents[] = {50, 95, 99};

	qsort(values, n, sizeof(values[0]), compare);
	for (unsigned i = 0; i < 3; i++) {
		struct bench_samples one = {
			.values = {values[(n - 1) * percents[i] / 100]}, .n = 1};
		char name[40];

		snprintf(name, sizeof(name), "proactive-%s-%s-p%u", who, time, percents[i]);
		bench_row(b, name, "us", &one, NULL);
	}
}

int
bench_proactive(struct bench *b)
{
	static const struct {
		const char *name;
		bool background;
		unsigned proactiveness;
	} hosts[] = {{"off", false, 0}, {"20", true, 20}, {"60", true, 60}};

	for (unsigned i = 0; i < 3; i++) {
		struct latencies l = {.n = 0};

		if (one_host(hosts[i].background, hosts[i].proactiveness, &l)) {
			cli_fail("bench: not enough memory");
			return -1;
		}
		add_percentiles(b, hosts[i].name, "real", l.real_us, l.n);
		add_percentiles(b, hosts[i].name, "simulated", l.simulated_us, l.n);
	}
	return 0;
}
