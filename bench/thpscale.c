/* SPDX-License-Identifier: MIT */
/*
 * thpscale.c - huge page success under load, in the shape of mmtests' thpscale (FACTS part 6).
 *
 * Idea. Single anonymous pages, then the cache of a file larger than memory, fill a soft machine,
 * in each other's pageblocks, and some of the anonymous ones are given up again. Then so many tasks
 * touch every 2 MiB of memory that is to be huge pages, and use all of it, while others read the
 * file, so that reclaim in the background never rests. How many of the touches get a huge page, and
 * how long one takes, with each planner for direct compaction and without any. Nobody compacts in
 * the background. Every cell is measured on machines of its own.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/compact.h"
#include "godwit/file.h"
#include "godwit/huge.h"
#include "godwit/reclaim.h"
#include "godwit/soft.h"

#define ROUNDS	   3
#define FRAMES	   ((gw_pfn_t)1 << 19) /* 2 GiB */
#define RESERVE	   UINT64_C(22528)     /* min_free_kbytes that Linux would take */
#define FILE_PAGES (2 * (uint64_t)FRAMES)
#define SINGLES	   ((uint64_t)FRAMES / 4) /* anonymous pages, before one in four is given up */
#define WANTED	   400u			  /* huge pages, of all tasks: 800 MiB */
#define READERS	   2u
#define TASKS	   12u /* at most */
#define HUGE	   ((gw_vaddr_t)GW_PAGE_SIZE << GW_HUGE_ORDER)
#define AT	   ((gw_vaddr_t)1 << 30)

/* ---- the file: zeroes that nobody keeps ---- */

static int
store_read(void *ctx, uint64_t index, void *bytes)
{
	(void)ctx;
	(void)index;
	memset(bytes, 0, GW_PAGE_SIZE);
	return 0;
}

static int
store_write(void *ctx, uint64_t index, const void *bytes)
{
	(void)ctx;
	(void)index;
	(void)bytes;
	return 0;
}

static const struct gw_backing_ops store = {
	.read = store_read, .write = store_write, .migrate = gw_mapping_migrate};

/* ---- the machine ---- */

struct host {
	struct gw_soft *soft;
	struct gw_machine *m;
	struct gw_task task;
	struct gw_mapping *file;
	struct gw_mm *singles;
	bool stop; /* atomic */
};

struct worker {
	struct host *host;
	unsigned cpu;
	pthread_t thread;
	/* Of those who fault. What they have got they keep until all have ended. */
	struct gw_mm *mm;
	unsigned n;
	double us[WANTED], cpu_us[WANTED];
};

static int
read_page(struct host *h, uint64_t page)
{
	uint64_t value;

	return gw_mapping_read(h->file, page * GW_PAGE_SIZE, &value, sizeof(value));
}

/* An anonymous page or, three times of four, one of the file; then some of the former go. */
static int
fill(struct host *h)
{
	uint64_t random = 1, done = 0, page = 0;
	gw_vaddr_t addr;
	int err = gw_mm_create(h->m, &h->singles);

	if (!err)
		err = gw_mmap(h->singles, 0, SINGLES * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE,
			0, &addr);
	while (done < SINGLES && !err) {
		if (bench_random(&random) % 4)
			err = read_page(h, page++ % FILE_PAGES);
		else
			err = gw_cpu_store(h->singles, addr + done++ * GW_PAGE_SIZE, 1);
	}
	for (uint64_t i = 0; i < SINGLES && !err; i++)
		if (bench_random(&random) % 4 == 0)
			err = gw_madvise(h->singles, addr + i * GW_PAGE_SIZE, GW_PAGE_SIZE,
				GW_MADV_DONTNEED);
	gw_lru_add_drain_all(h->m);
	return err;
}

static int
open_host(struct host *h, unsigned n_cpus)
{
	struct gw_zone_config zone = {.name = "Normal", .end = FRAMES};
	struct gw_machine_config config;

	*h = (struct host){.soft = NULL};
	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.n_frames = FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	config.min_free_kbytes = RESERVE;
	if (gw_soft_create(&config, &h->soft, NULL))
		return -1;
	h->m = gw_soft_machine(h->soft);
	if (gw_task_attach(&h->task, h->m, 0))
		return -1;
	return gw_mapping_create(h->m, &store, NULL, FILE_PAGES, 0, &h->file);
}

static void
close_host(struct host *h)
{
	if (h->singles)
		gw_mm_put(h->singles);
	if (h->file)
		gw_mapping_put(h->file);
	if (h->m)
		gw_task_detach(&h->task);
	gw_soft_destroy(h->soft);
}

/* ---- those who work on it ---- */

static void *
read_on_and_on(void *arg)
{
	struct worker *w = arg;
	struct gw_task task;
	uint64_t random = w->cpu;

	if (gw_task_attach(&task, w->host->m, w->cpu))
		return NULL;
	while (!__atomic_load_n(&w->host->stop, __ATOMIC_RELAXED))
		(void)read_page(w->host,
			bench_random(&random) % FILE_PAGES); /* one that fails is as much work */
	gw_task_detach(&task);
	return NULL;
}

static void *
reclaim_on_and_on(void *arg)
{
	struct worker *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->host->m, w->cpu))
		return NULL;
	gw_kswapd(w->host->m, 0);
	gw_task_detach(&task);
	return NULL;
}

/* What the thread itself has computed. */
static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Map n huge pages' worth of memory, touch it, and say how long each touch took; then use the
 * rest of it. */
static void
touch(struct worker *w)
{
	unsigned n = w->n;
	gw_vaddr_t addr;
	int err;

	w->n = 0;
	if (gw_mm_create(w->host->m, &w->mm))
		return;
	err = gw_mmap(w->mm, AT, n * HUGE, GW_PROT_READ | GW_PROT_WRITE, GW_MAP_FIXED, &addr);
	if (!err)
		err = gw_madvise(w->mm, AT, n * HUGE, GW_MADV_HUGEPAGE);
	while (w->n < n && !err) {
		uint64_t start = cli_now_ns(), cpu_start = cpu_ns();

		err = gw_cpu_store(w->mm, AT + w->n * HUGE, 1);
		w->cpu_us[w->n] = (double)(cpu_ns() - cpu_start) / 1e3;
		w->us[w->n] = (double)(cli_now_ns() - start) / 1e3;
		for (gw_vaddr_t at = GW_PAGE_SIZE; at < HUGE && !err; at += GW_PAGE_SIZE)
			err = gw_cpu_store(w->mm, AT + w->n * HUGE + at, 1);
		w->n++;
	}
	if (err)
		w->n = 0;
}

static void *
fault(void *arg)
{
	struct worker *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->host->m, w->cpu))
		return NULL;
	touch(w);
	gw_task_detach(&task);
	return NULL;
}

/* ---- a round ---- */

struct cell {
	struct bench_samples huge, mean, p50, p95, p99, cpu;
};

struct round {
	struct host host;
	struct worker *workers; /* the faulting ones first, readers, kswapd */
	unsigned n_tasks, started;
};

static int
start(struct round *r, void *(*work)(void *), unsigned n)
{
	struct worker *w = &r->workers[r->started];

	w->host = &r->host;
	w->cpu = r->started + 1;
	w->n = n;
	if (pthread_create(&w->thread, NULL, work, w))
		return -1;
	r->started++;
	return 0;
}

/* All of them; those who fault have ended on return, whatever happened. */
static int
run(struct round *r)
{
	int err = 0;

	for (unsigned i = 0; i < r->n_tasks && !err; i++)
		err = start(r, fault, WANTED / r->n_tasks);
	if (!err)
		err = start(r, reclaim_on_and_on, 0);
	for (unsigned i = 0; i < READERS && !err; i++)
		err = start(r, read_on_and_on, 0);
	for (unsigned i = 0; i < r->n_tasks && i < r->started; i++)
		pthread_join(r->workers[i].thread, NULL);
	__atomic_store_n(&r->host.stop, true, __ATOMIC_RELAXED);
	if (r->started > r->n_tasks)
		gw_kswapd_stop(r->host.m, 0);
	for (unsigned i = r->n_tasks; i < r->started; i++)
		pthread_join(r->workers[i].thread, NULL);
	return err;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
record(const struct round *r, struct cell *cell)
{
	double huge = (double)gw_machine_count(r->host.m, GW_VM_THP_FAULT_ALLOC);
	double small = (double)gw_machine_count(r->host.m, GW_VM_THP_FAULT_FALLBACK);
	double us[WANTED], sum = 0, cpu = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_tasks; i++) {
		const struct worker *w = &r->workers[i];

		if (w->n == 0)
			return -1;
		memcpy(us + n, w->us, w->n * sizeof(us[0]));
		n += w->n;
		for (unsigned j = 0; j < w->n; j++)
			cpu += w->cpu_us[j];
	}
	qsort(us, n, sizeof(us[0]), compare);
	for (unsigned i = 0; i < n; i++)
		sum += us[i];
	bench_sample(&cell->huge, 100 * huge / (huge + small));
	bench_sample(&cell->mean, sum / n);
	bench_sample(&cell->p50, us[n / 2]);
	bench_sample(&cell->p95, us[n * 95 / 100]);
	bench_sample(&cell->p99, us[n * 99 / 100]);
	bench_sample(&cell->cpu, cpu / n);
	return 0;
}

static int
one_round(enum gw_direct_compaction direct, unsigned n_tasks, struct cell *cell)
{
	struct round r = {.n_tasks = n_tasks};
	int err = open_host(&r.host, 1 + n_tasks + READERS + 1);

	r.workers = calloc(n_tasks + READERS + 1, sizeof(*r.workers));
	err = err || !r.workers ? -1 : gw_compact_set_direct(r.host.m, direct);
	if (!err)
		err = fill(&r.host);
	if (!err)
		err = run(&r);
	if (!err)
		err = record(&r, cell);
	for (unsigned i = 0; i < n_tasks && r.workers; i++)
		if (r.workers[i].mm)
			gw_mm_put(r.workers[i].mm);
	close_host(&r.host);
	free(r.workers);
	return err;
}

/* thpscale-PLANNER-TASKS */
static int
measure(struct bench *b, enum gw_direct_compaction direct, unsigned n_tasks)
{
	static const char *const planners[] = {"scanners", "evacuate", "off"};
	struct cell cell = {.huge.n = 0};
	const struct {
		const char *what, *unit;
		const struct bench_samples *samples;
		const char *note;
	} rows[] = {
		{"huge", "%", &cell.huge, "first touches of 2 MiB that got a huge page"},
		{"mean", "us", &cell.mean, "such a touch"},
		{"p50", "us", &cell.p50, NULL},
		{"p95", "us", &cell.p95, NULL},
		{"p99", "us", &cell.p99, NULL},
		{"cpu", "us", &cell.cpu, "of the mean, the task's own time"},
	};
	char name[40];

	for (unsigned i = 0; i < ROUNDS; i++)
		if (one_round(direct, n_tasks, &cell))
			return -1;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(name, sizeof(name), "thpscale-%s-%u-%s", planners[direct], n_tasks,
			rows[i].what);
		bench_row(b, name, rows[i].unit, rows[i].samples, rows[i].note);
	}
	return 0;
}

int
bench_thpscale(struct bench *b)
{
	static const unsigned n_tasks[] = {1, 3, 5, 7, TASKS};

	for (unsigned i = 0; i < sizeof(n_tasks) / sizeof(n_tasks[0]); i++)
		for (unsigned d = GW_DIRECT_SCANNERS; d <= GW_DIRECT_OFF; d++)
			if (measure(b, (enum gw_direct_compaction)d, n_tasks[i])) {
				cli_fail("bench: not enough memory, or threads");
				return -1;
			}
	return 0;
}
