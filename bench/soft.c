/* SPDX-License-Identifier: MIT */
/*
 * soft.c - measured on the soft machine: accesses, faults, fork, and moving pages with their bytes.
 *
 * What a move costs is told beside what copying 4 KiB costs in the same round, from the same frames
 * to frames allocated in the same way. Every frame is touched first, so that the host's own faults
 * are nobody's cost.
 */
#include <pthread.h>
#include <string.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/compact.h"
#include "machine/soft/soft.h"

#define ROUNDS 7
#define FRAMES ((gw_pfn_t)1 << 17) /* 512 MiB */
#define PAGES  16384		   /* of the programs measured, 64 MiB */
#define BATCH  512
#define CPUS   2
#define SHARED 4 /* address spaces that map the same pages */

static int
fail(const char *why)
{
	cli_fail("bench: %s", why);
	return -1;
}

static void
touch_all(struct soft_bench *s, gw_pfn_t n_frames)
{
	struct gw_mm *mm;
	gw_vaddr_t addr;

	/* Through the engine: whatever is free is mapped once, written and given back. */
	if (gw_mm_create(s->m, &mm))
		return;
	if (gw_mmap(mm, 0, (uint64_t)n_frames * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0,
		    &addr) == 0)
		for (gw_pfn_t i = 0; i < n_frames; i++)
			if (gw_cpu_store(mm, addr + i * GW_PAGE_SIZE, 1))
				break;
	gw_mm_put(mm);
}

int
bench_soft_open(unsigned n_cpus, gw_pfn_t n_frames, struct soft_bench *s)
{
	struct gw_zone_config zone = {.name = "Normal", .end = n_frames};
	struct gw_machine_config config;
	struct gw_error err = {""};

	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.n_frames = n_frames;
	config.zones = &zone;
	config.n_zones = 1;
	if (gw_soft_create(&config, &s->soft, &err))
		return fail(err.text[0] ? err.text : "not enough memory");
	s->m = gw_soft_machine(s->soft);
	if (gw_task_attach(&s->task, s->m, 0) == 0) {
		touch_all(s, n_frames);
		return 0;
	}
	gw_soft_destroy(s->soft);
	return -1;
}

void
bench_soft_close(struct soft_bench *s)
{
	gw_task_detach(&s->task);
	gw_soft_destroy(s->soft);
}

struct gw_mm *
bench_soft_program(struct soft_bench *s, unsigned pages, bool written, gw_vaddr_t *addr)
{
	struct gw_mm *mm;

	if (gw_mm_create(s->m, &mm))
		return NULL;
	if (gw_mmap(mm, 0, (uint64_t)pages * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, addr)) {
		gw_mm_put(mm);
		return NULL;
	}
	for (unsigned i = 0; written && i < pages; i++) {
		if (gw_cpu_store(mm, *addr + i * GW_PAGE_SIZE, i)) {
			gw_mm_put(mm);
			return NULL;
		}
	}
	gw_lru_add_drain(s->m);
	return mm;
}

static double
ns_each(uint64_t start, uint64_t n)
{
	return (double)(cli_now_ns() - start) / (double)n;
}

/* A negative value says that the round could not be done. */
static bool
sample(struct bench_samples *samples, double value)
{
	if (value >= 0)
		bench_sample(samples, value);
	return value >= 0;
}

/* ---- accesses and faults ---- */

/* Loads, n of them, over `pages` pages, a power of two; from another cache line of each, or they
 * would share a set of the host's cache. */
static double
load_rate(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, unsigned n)
{
	uint64_t start = cli_now_ns(), value, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		gw_vaddr_t page = i & (pages - 1);

		if (gw_cpu_load(mm, addr + page * GW_PAGE_SIZE + page % 64 * 64, &value))
			return -1;
		sum += value;
	}
	__asm__ volatile("" : : "r"(sum));
	return ns_each(start, n);
}

int
bench_soft_access(struct bench *b)
{
	const unsigned n = 2000000;
	struct bench_samples hit = {.n = 0}, fence = hit, miss = hit;
	struct soft_bench s;
	struct gw_mm *mm;
	gw_vaddr_t addr;

	if (bench_soft_open(CPUS, FRAMES, &s))
		return -1;
	mm = bench_soft_program(&s, PAGES, true, &addr);
	for (unsigned i = 0; mm && i < ROUNDS; i++) {
		enum gw_soft_order order = gw_soft_get_order(s.soft);

		(void)sample(&hit, load_rate(mm, addr, 256, n));
		(void)!gw_soft_set_order(s.soft, GW_SOFT_FENCES);
		(void)sample(&fence, load_rate(mm, addr, 256, n));
		(void)!gw_soft_set_order(s.soft, order);
		(void)sample(&miss, load_rate(mm, addr, PAGES, n));
	}
	if (mm)
		gw_mm_put(mm);
	bench_soft_close(&s);
	bench_row(b, "soft-hit", "ns", &hit, "a load whose translation is in the TLB");
	bench_row(b, "soft-hit-fences", "ns", &fence, "the same on a host without membarrier");
	bench_row(b, "soft-miss", "ns", &miss, "a load after a walk, each page in turn");
	return mm ? 0 : fail("not enough memory");
}

/* Touch fresh memory, or a fresh private mapping of a file that is cached. Nanoseconds per page,
 * negative: it could not be. */
static double
fault_rate(struct soft_bench *s, struct gw_mapping *file, bool write)
{
	const uint64_t bytes = (uint64_t)PAGES * GW_PAGE_SIZE;
	const unsigned prot = GW_PROT_READ | GW_PROT_WRITE;
	uint64_t start, value;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	double ns;
	int err;

	if (gw_mm_create(s->m, &mm))
		return -1;
	if (file)
		err = gw_mmap_file(mm, 0, bytes, prot, 0, file, 0, &addr);
	else
		err = gw_mmap(mm, 0, bytes, prot, 0, &addr);
	start = cli_now_ns();
	for (unsigned i = 0; i < PAGES && !err; i++)
		err = write ? gw_cpu_store(mm, addr + i * GW_PAGE_SIZE, 1)
			    : gw_cpu_load(mm, addr + i * GW_PAGE_SIZE, &value);
	ns = ns_each(start, PAGES);
	gw_mm_put(mm);
	return err ? -1 : ns;
}

static void
measure_faults(
	struct bench *b, struct soft_bench *s, struct gw_mapping *file, const char *const *about)
{
	struct bench_samples read = {.n = 0}, write = read;

	if (file) /* into the cache */
		(void)fault_rate(s, file, false);
	for (unsigned i = 0; i < ROUNDS; i++) {
		(void)sample(&read, fault_rate(s, file, false));
		(void)sample(&write, fault_rate(s, file, true));
	}
	bench_row(b, about[0], "ns", &read, about[1]);
	bench_row(b, about[2], "ns", &write, about[3]);
}

int
bench_soft_fault(struct bench *b)
{
	static const char *const of_memory[] = {"soft-fault-read", "a first read: the zero page",
		"soft-fault-write", "a first write: a page is allocated and cleared"};
	static const char *const of_a_file[] = {"soft-fault-file-read",
		"a first read of a cached page of a file", "soft-fault-file-write",
		"a first write to a private mapping: the page is copied"};
	struct gw_mapping *file;
	struct soft_bench s;
	unsigned before = b->n_rows;
	void *ctx;

	if (bench_soft_open(CPUS, FRAMES, &s))
		return -1;
	measure_faults(b, &s, NULL, of_memory);
	if (gw_soft_ram_backing(PAGES, &ctx) == 0) {
		if (gw_mapping_create(s.m, &gw_soft_ram_ops, ctx, PAGES, 0, &file) == 0) {
			measure_faults(b, &s, file, of_a_file);
			gw_mapping_put(file);
		} else {
			gw_soft_ram_ops.release(ctx);
		}
	}
	bench_soft_close(&s);
	return b->n_rows == before + 4 ? 0 : fail("not enough memory");
}

/* ---- fork, exec, exit ---- */

/* A program of few pages is built by exec's stack, and exits. */
static double
exec_rate(struct soft_bench *s, unsigned n)
{
	uint64_t start = cli_now_ns();

	for (unsigned i = 0; i < n; i++) {
		gw_vaddr_t addr;
		struct gw_mm *mm;

		if (gw_mm_create(s->m, &mm))
			return -1;
		if (gw_exec_stack(mm, (gw_vaddr_t)1 << 46, 8 * GW_PAGE_SIZE, &addr) == 0 &&
			gw_cpu_store(mm, addr + 7 * GW_PAGE_SIZE, i) == 0)
			(void)!gw_exec_shift(mm, addr, 4 * GW_PAGE_SIZE);
		gw_mm_put(mm);
	}
	return ns_each(start, n);
}

int
bench_soft_fork(struct bench *b)
{
	struct bench_samples fork = {.n = 0}, quit = fork, exec = fork;
	struct gw_mm *mm, *child;
	struct soft_bench s;
	gw_vaddr_t addr;

	if (bench_soft_open(CPUS, FRAMES, &s))
		return -1;
	mm = bench_soft_program(&s, PAGES, true, &addr);
	for (unsigned i = 0; mm && i < ROUNDS; i++) {
		uint64_t start = cli_now_ns();

		if (gw_mm_fork(mm, &child))
			break;
		bench_sample(&fork, ns_each(start, PAGES));
		start = cli_now_ns();
		gw_mm_put(child);
		bench_sample(&quit, ns_each(start, PAGES));
		(void)sample(&exec, exec_rate(&s, 2000));
	}
	if (mm)
		gw_mm_put(mm);
	bench_soft_close(&s);
	bench_row(b, "soft-fork", "ns/page", &fork, "64 MiB shared with a child");
	bench_row(b, "soft-exit", "ns/page", &quit, "the child gone, all its pages shared");
	bench_row(b, "soft-exec", "ns", &exec,
		"a program with one page of stack, moved; and its end");
	return mm ? 0 : fail("not enough memory");
}

/* ---- moving pages ---- */

/* Programs that share their pages, and where these are now. */
struct shared {
	struct gw_mm *mms[SHARED];
	unsigned n;
	gw_vaddr_t addr;
};

static void
close_shared(struct shared *p)
{
	while (p->n > 0)
		gw_mm_put(p->mms[--p->n]);
}

/* Every program has used each page: their translations are in use, or were. */
static int
open_shared(struct soft_bench *s, unsigned n, struct shared *p)
{
	uint64_t value;

	p->n = 0;
	p->mms[0] = bench_soft_program(s, PAGES, true, &p->addr);
	if (!p->mms[0])
		return -1;
	for (p->n = 1; p->n < n; p->n++) {
		if (gw_mm_fork(p->mms[0], &p->mms[p->n]))
			break;
		for (unsigned i = 0; i < PAGES; i++)
			(void)!gw_cpu_load(p->mms[p->n], p->addr + i * GW_PAGE_SIZE, &value);
	}
	if (p->n == n)
		return 0;
	close_shared(p);
	return -1;
}

static gw_pfn_t
frame_of(const struct shared *p, unsigned i)
{
	gw_pfn_t pfn = GW_PFN_NONE;
	bool writable;

	(void)!gw_mm_walk(p->mms[0], p->addr + i * GW_PAGE_SIZE, GW_ACCESS_READ, &pfn, &writable);
	return pfn;
}

int
bench_soft_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, order, dst);
}

/* Isolate and move all pages, `batch` at a time. Nanoseconds per page that moved. */
static double
move_rate(struct soft_bench *s, const struct shared *p, unsigned batch)
{
	static const struct gw_migrate_target target = {.get_new_page = bench_soft_new_page};
	struct gw_migrate_stats stats = {0};
	gw_pfn_t frames[BATCH];
	uint64_t ns = 0;

	for (unsigned i = 0; i < PAGES; i += batch) {
		struct gw_page_list list;
		uint64_t start;

		for (unsigned k = 0; k < batch; k++)
			frames[k] = frame_of(p, i + k);
		gw_page_list_init(&list);
		start = cli_now_ns();
		for (unsigned k = 0; k < batch; k++)
			(void)!gw_isolate_page(s->m, frames[k], GW_MIGRATE_SYNC, &list);
		if (gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, &stats))
			gw_putback_movable_pages(s->m, &list);
		ns += cli_now_ns() - start;
	}
	return stats.succeeded ? (double)ns / (double)stats.succeeded : -1;
}

/* Copy the bytes of n pages to new ones, which are then given back. Nanoseconds; negative: no
 * memory for them. */
static double
copy_pages(struct soft_bench *s, const gw_pfn_t *from, unsigned n)
{
	gw_pfn_t to[BATCH];
	unsigned got = 0;
	uint64_t start;
	double ns;

	while (got < n && gw_alloc_pages(s->m, GW_GFP_USER_MOVABLE, 0, 0, &to[got]) == 0)
		got++;
	start = cli_now_ns();
	for (unsigned k = 0; k < got; k++)
		gw_migrate_copy(s->m, to[k], from[k], 0);
	ns = (double)(cli_now_ns() - start);
	for (unsigned k = 0; k < got; k++)
		gw_put_page(s->m, to[k]);
	return got == n ? ns : -1;
}

/* Nanoseconds per page, of all pages in turn. */
static double
copy_rate(struct soft_bench *s, const struct shared *p, unsigned batch)
{
	gw_pfn_t from[BATCH];
	double ns = 0, one = 0;

	for (unsigned i = 0; i < PAGES && one >= 0; i += batch) {
		for (unsigned k = 0; k < batch; k++)
			from[k] = frame_of(p, i + k);
		one = copy_pages(s, from, batch);
		ns += one;
	}
	return one < 0 ? -1 : ns / PAGES;
}

/* Another CPU, which uses what is being moved. */
struct busy {
	struct soft_bench *s;
	const struct shared *p;
	bool stop; /* atomic */
	pthread_t thread;
};

static void *
be_busy(void *arg)
{
	struct busy *w = arg;
	struct gw_task task;
	uint64_t random = 1, value;

	if (gw_task_attach(&task, w->s->m, 1))
		return NULL;
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		uint64_t page = bench_random(&random) % PAGES;

		if (gw_cpu_load(w->p->mms[0], w->p->addr + page * GW_PAGE_SIZE, &value))
			break;
	}
	gw_task_detach(&task);
	return NULL;
}

static void
move_rows(struct bench *b, const char *name, const struct bench_samples *move,
	const struct bench_samples *ratio, const char *note)
{
	char row[40];

	bench_row(b, name, "ns/page", move, note);
	snprintf(row, sizeof(row), "%s-ratio", name);
	bench_row(b, row, "x", ratio, "of the time of copying 4 KiB in the same rounds");
}

/* One row and its ratio; `copy` gets what copying took. */
static int
measure_moves(struct bench *b, struct soft_bench *s, const char *name, unsigned n_mms,
	unsigned batch, bool busy, struct bench_samples *copy)
{
	struct bench_samples move = {.n = 0}, ratio = move;
	struct busy w = {.s = s};
	struct shared p;

	if (open_shared(s, n_mms, &p))
		return fail("not enough memory");
	w.p = &p;
	if (busy && pthread_create(&w.thread, NULL, be_busy, &w)) {
		close_shared(&p);
		return fail("no second thread");
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		double copied = copy_rate(s, &p, batch), moved = move_rate(s, &p, batch);

		if (sample(copy, copied) && sample(&move, moved))
			bench_sample(&ratio, moved / copied);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	if (busy)
		pthread_join(w.thread, NULL);
	close_shared(&p);
	move_rows(b, name, &move, &ratio,
		busy ? "while another CPU reads them at random" : "isolated, moved, mapped again");
	return 0;
}

static int
move_all(struct bench *b, struct soft_bench *s)
{
	struct bench_samples copy = {.n = 0}, other = copy;
	int err;

	err = measure_moves(b, s, "soft-move-1", 1, 1, false, &copy);
	bench_row(b, "soft-copy", "ns/page", &copy, "copying 4 KiB, one by one");
	if (!err)
		err = measure_moves(b, s, "soft-move-512", 1, BATCH, false, &other);
	if (!err)
		err = measure_moves(b, s, "soft-move-1-shared", SHARED, 1, false, &other);
	if (!err)
		err = measure_moves(b, s, "soft-move-512-shared", SHARED, BATCH, false, &other);
	if (!err)
		err = measure_moves(b, s, "soft-move-1-busy", 1, 1, true, &other);
	if (!err)
		err = measure_moves(b, s, "soft-move-512-busy", 1, BATCH, true, &other);
	if (!err && gw_soft_set_order(s->soft, GW_SOFT_FENCES) == 0)
		err = measure_moves(b, s, "soft-move-1-busy-fences", 1, 1, true, &other);
	return err;
}

int
bench_soft_move(struct bench *b)
{
	struct soft_bench s;
	int err;

	if (bench_soft_open(CPUS, FRAMES, &s))
		return -1;
	err = move_all(b, &s);
	bench_soft_close(&s);
	return err;
}

/* ---- compaction ---- */

/* All memory in use, then half of the pages given back at random. */
static int
fragment(struct soft_bench *s, unsigned pages, uint64_t *random, struct shared *p)
{
	p->mms[0] = bench_soft_program(s, pages, true, &p->addr);
	if (!p->mms[0])
		return -1;
	p->n = 1;
	for (unsigned i = 0; i < pages; i++)
		if (bench_random(random) & 1024)
			(void)!gw_madvise(p->mms[0], p->addr + i * GW_PAGE_SIZE, GW_PAGE_SIZE,
				GW_MADV_DONTNEED);
	gw_drain_all_pages(s->m);
	return 0;
}

/* Nanoseconds to copy 4 KiB from pages anywhere to free frames anywhere. */
static double
scattered_copy(struct soft_bench *s, const struct shared *p, unsigned pages, uint64_t *random)
{
	const unsigned batches = 16;
	gw_pfn_t from[BATCH];
	double ns = 0, one = 0;

	for (unsigned i = 0; i < batches && one >= 0; i++) {
		for (unsigned k = 0; k < BATCH; k++) {
			do {
				from[k] = frame_of(p, (unsigned)(bench_random(random) % pages));
			} while (from[k] == GW_PFN_NONE);
		}
		one = copy_pages(s, from, BATCH);
		ns += one;
	}
	gw_drain_all_pages(s->m);
	return one < 0 ? -1 : ns / batches / BATCH;
}

static int
compact(struct bench *b, gw_pfn_t n_frames, const char *name, unsigned rounds)
{
	const unsigned pages = n_frames - n_frames / 32;
	struct bench_samples rate = {.n = 0}, ratio = rate;
	uint64_t random = 1;
	struct soft_bench s;
	char row[40];

	if (bench_soft_open(CPUS, n_frames, &s))
		return -1;
	for (unsigned i = 0; i < rounds; i++) {
		struct gw_compact_request request = {.order = -1,
			.mode = GW_MIGRATE_SYNC,
			.whole_zone = true,
			.ignore_skip = true};
		struct gw_compact_stats stats = {0};
		struct shared p;
		double copied, ns;
		uint64_t start;

		if (fragment(&s, pages, &random, &p))
			break;
		copied = scattered_copy(&s, &p, pages, &random);
		start = cli_now_ns();
		(void)gw_compact_zone(s.m, 0, &request, &stats);
		ns = (double)(cli_now_ns() - start);
		bench_sample(&rate, 1e9 * (double)stats.migrate.succeeded / ns);
		if (copied > 0 && stats.migrate.succeeded)
			bench_sample(&ratio, ns / (double)stats.migrate.succeeded / copied);
		close_shared(&p);
	}
	bench_soft_close(&s);
	bench_row(
		b, name, "pages/s", &rate, "half of all pages free, at random; the scanners, SYNC");
	snprintf(row, sizeof(row), "%s-ratio", name);
	bench_row(
		b, row, "x", &ratio, "of the time of copying 4 KiB between frames of that machine");
	return rate.n ? 0 : fail("not enough memory");
}

int
bench_soft_compact(struct bench *b)
{
	return compact(b, (gw_pfn_t)1 << 18, "soft-compact", ROUNDS);
}

int
bench_soft_compact_4gib(struct bench *b)
{
	return compact(b, (gw_pfn_t)1 << 20, "soft-compact-4gib", 3);
}
