/* SPDX-License-Identifier: MIT */
/*
 * pages.c - measured one by one: allocating, locking and moving pages. And the machine that they
 * and others are measured on.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bench/bench.h"
#include "cli/cli.h"

#define ROUNDS 11
#define FRAMES ((gw_pfn_t)1 << 18) /* 1 GiB */

uint64_t
bench_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

double
bench_peak_mib(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : (double)usage.ru_maxrss / 1024;
}

int
bench_machine_open(const struct bench *b, gw_pfn_t n_frames, struct bench_machine *bm)
{
	struct gw_zone_config zone = {.name = "Normal", .end = n_frames};
	struct gw_machine_config config;
	struct gw_error err = {""};

	gw_machine_config_init(&config);
	config.n_cpus = b->threads;
	config.n_frames = n_frames;
	config.zones = &zone;
	config.n_zones = 1;
	if (gw_machine_create(&config, &gw_bare_ops, NULL, &bm->m, &err)) {
		cli_fail("bench: %s", err.text[0] ? err.text : "not enough memory");
		return -1;
	}
	if (gw_task_attach(&bm->task, bm->m, 0) == 0)
		return 0;
	gw_machine_destroy(bm->m);
	return -1;
}

void
bench_machine_close(struct bench_machine *bm)
{
	gw_task_detach(&bm->task);
	gw_machine_destroy(bm->m);
}

/* All frames free. */
static int
open_free(const struct bench *b, struct bench_machine *bm)
{
	if (bench_machine_open(b, FRAMES, bm))
		return -1;
	if (gw_seed_free(bm->m, 0, FRAMES) == 0) {
		gw_seed_done(bm->m);
		return 0;
	}
	bench_machine_close(bm);
	return -1;
}

/* ---- allocating ---- */

/* One thread's share of the work; ns is what it took. */
struct alloc_work {
	struct gw_machine *m;
	pthread_barrier_t *start;
	unsigned cpu, order, pairs;
	uint64_t ns;
	int err;
};

static int
alloc_and_free(struct gw_machine *m, unsigned order, unsigned pairs)
{
	for (unsigned i = 0; i < pairs; i++) {
		gw_pfn_t pfn;
		int err = gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, order, &pfn);

		if (err)
			return err;
		gw_put_page(m, pfn);
	}
	return 0;
}

static void *
alloc_thread(void *arg)
{
	struct alloc_work *work = arg;
	struct gw_task task;
	uint64_t start;

	work->err = gw_task_attach(&task, work->m, work->cpu);
	pthread_barrier_wait(work->start);
	if (work->err)
		return NULL;
	start = cli_now_ns();
	work->err = alloc_and_free(work->m, work->order, work->pairs);
	work->ns = cli_now_ns() - start;
	gw_task_detach(&task);
	return NULL;
}

/* Pairs a nanosecond of n threads together, each on its CPU; 0 if something failed. */
static double
alloc_rate(struct gw_machine *m, unsigned n, unsigned order, unsigned pairs)
{
	struct alloc_work work[64];
	pthread_t threads[64];
	pthread_barrier_t start;
	double rate = 0;
	bool failed = false;

	pthread_barrier_init(&start, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		work[i] = (struct alloc_work){
			.m = m, .start = &start, .cpu = i, .order = order, .pairs = pairs};
		if (pthread_create(&threads[i], NULL, alloc_thread, &work[i]))
			abort(); /* the others would wait for it */
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		failed |= work[i].err != 0;
		rate += work[i].ns ? (double)pairs / (double)work[i].ns : 0;
	}
	pthread_barrier_destroy(&start);
	return failed ? 0 : rate;
}

int
bench_alloc_free(struct bench *b)
{
	struct bench_samples one = {.n = 0}, several = {.n = 0}, ratio = {.n = 0};
	struct bench_machine bm;
	char name[40];

	if (open_free(b, &bm))
		return -1;
	alloc_rate(bm.m, 1, 0, 100000); /* warm up */
	for (unsigned i = 0; i < ROUNDS; i++) {
		double alone = alloc_rate(bm.m, 1, 0, 1000000);
		double together = alloc_rate(bm.m, b->threads, 0, 1000000);

		bench_sample(&one, 1 / alone);
		bench_sample(&several, b->threads / together);
		bench_sample(&ratio, together / alone);
	}
	bench_machine_close(&bm);
	bench_row(b, "alloc-free", "ns/pair", &one, NULL);
	snprintf(name, sizeof(name), "alloc-free-%u-threads", b->threads);
	bench_row(b, name, "ns/pair", &several, "of each thread, on a CPU of its own");
	snprintf(name, sizeof(name), "alloc-free-%u-threads-speedup", b->threads);
	bench_row(b, name, "x", &ratio, NULL);
	return 0;
}

int
bench_alloc_free_huge(struct bench *b)
{
	struct bench_samples samples = {.n = 0};
	struct bench_machine bm;

	if (open_free(b, &bm))
		return -1;
	for (unsigned i = 0; i < ROUNDS; i++)
		bench_sample(&samples, 1 / alloc_rate(bm.m, 1, 9, 10000));
	bench_machine_close(&bm);
	bench_row(b, "alloc-free-huge", "ns/pair", &samples,
		"512 frames made a compound page and back");
	return 0;
}

/* ---- locking ---- */

int
bench_page_lock(struct bench *b)
{
	const unsigned pairs = 2000000;
	struct bench_samples samples = {.n = 0};
	struct bench_machine bm;
	gw_pfn_t pfn;

	if (open_free(b, &bm))
		return -1;
	if (gw_alloc_pages(bm.m, GW_GFP_USER_MOVABLE, 0, 0, &pfn)) {
		bench_machine_close(&bm);
		return -1;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t start = cli_now_ns();

		for (unsigned k = 0; k < pairs; k++) {
			gw_page_lock(bm.m, pfn);
			gw_page_unlock(bm.m, pfn);
		}
		bench_sample(&samples, (double)(cli_now_ns() - start) / pairs);
	}
	gw_put_page(bm.m, pfn);
	bench_machine_close(&bm);
	bench_row(b, "page-lock", "ns/pair", &samples, NULL);
	return 0;
}

/* ---- migrating ---- */

static int
owner_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)mode;
	gw_migrate_copy(m, dst, src, 0); /* the bare machine's frames have no bytes */
	return 0;
}

const struct gw_movable_ops bench_owner = {.migrate = owner_migrate};

#define BATCH 512

/* Where the pages of a batch went. */
struct moved {
	gw_pfn_t pages[BATCH];
	unsigned n;
};

static int
new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct moved *moved = ctx;
	int err = gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, order, dst);

	(void)src;
	if (err == 0 && moved->n < BATCH)
		moved->pages[moved->n++] = *dst;
	return err;
}

static int
take_movable(struct gw_machine *m, gw_pfn_t *pages)
{
	for (unsigned i = 0; i < BATCH; i++) {
		if (gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, 0, &pages[i]))
			return -1;
		gw_page_set_movable(m, pages[i], &bench_owner, i);
		gw_lru_add(m, pages[i], GW_LRU_ACTIVE_ANON);
	}
	gw_lru_add_drain(m);
	return 0;
}

/* Isolate and move one batch of pages. Returns the nanoseconds that took, 0 if one did not move. */
static uint64_t
migrate_batch(struct gw_machine *m)
{
	struct moved moved = {.n = 0};
	const struct gw_migrate_target target = {.get_new_page = new_page, .ctx = &moved};
	struct gw_page_list list;
	gw_pfn_t pages[BATCH];
	uint64_t start, ns;

	gw_page_list_init(&list);
	if (take_movable(m, pages))
		return 0;
	start = cli_now_ns();
	for (unsigned i = 0; i < BATCH; i++)
		if (gw_isolate_page(m, pages[i], GW_MIGRATE_SYNC, &list))
			return 0;
	if (gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL))
		return 0;
	ns = cli_now_ns() - start;
	for (unsigned i = 0; i < moved.n; i++)
		gw_put_page(m, moved.pages[i]);
	return ns;
}

int
bench_migrate(struct bench *b)
{
	const unsigned batches = 200;
	struct bench_samples samples = {.n = 0};
	struct bench_machine bm;
	bool failed = false;

	if (open_free(b, &bm))
		return -1;
	for (unsigned i = 0; i < ROUNDS && !failed; i++) {
		uint64_t ns = 0;

		for (unsigned k = 0; k < batches && !failed; k++) {
			uint64_t took = migrate_batch(bm.m);

			ns += took;
			failed = took == 0;
		}
		bench_sample(&samples, (double)ns / batches / BATCH);
	}
	bench_machine_close(&bm);
	if (failed) {
		cli_fail("bench: a page that nothing holds could not be moved");
		return -1;
	}
	bench_row(b, "migrate", "ns/page", &samples,
		"isolated and moved by its owner, no bytes, LRU kept; batches of 512");
	return 0;
}
