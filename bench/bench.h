/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the measurements share.
 *
 * Idea. A measurement runs several rounds and records one sample a round; a row says the median,
 * the least and the greatest. Nothing is asserted: figures are read, and compared by people.
 */
#ifndef GODWIT_BENCH_H
#define GODWIT_BENCH_H

#include "godwit/machine.h"
#include "godwit/seed.h"
#include "godwit/task.h"

#define BENCH_ROUNDS_MAX 32

struct bench_samples {
	double values[BENCH_ROUNDS_MAX];
	unsigned n;
};

struct bench_row {
	char name[40];
	const char *unit, *note; /* live for ever */
	double median, min, max;
};

struct bench {
	unsigned threads;     /* for what is measured on several */
	const char *snapshot; /* the recorded host to plan on */
	struct bench_row rows[128];
	unsigned n_rows;
};

/* A measurement. Returns 0, or -1 after saying on stderr why there is no figure. */
typedef int (*bench_fn)(struct bench *b);

void bench_sample(struct bench_samples *samples, double value);
/* Adds a row from the samples; note may be NULL. */
void bench_row(struct bench *b, const char *name, const char *unit,
	const struct bench_samples *samples, const char *note);

/* pages.c */
int bench_alloc_free(struct bench *b);
int bench_alloc_free_huge(struct bench *b);
int bench_page_lock(struct bench *b);
int bench_migrate(struct bench *b);
/* planners.c */
int bench_planners(struct bench *b);
int bench_host_1tib(struct bench *b);
/* soft.c */
int bench_soft_access(struct bench *b);
int bench_soft_fault(struct bench *b);
int bench_soft_fork(struct bench *b);
int bench_soft_move(struct bench *b);
int bench_soft_compact(struct bench *b);
int bench_soft_compact_4gib(struct bench *b);
/* huge.c */
int bench_soft_huge(struct bench *b);
/* background.c */
int bench_soft_offline(struct bench *b);
int bench_proactive(struct bench *b);
/* faulters.c */
int bench_faulters(struct bench *b);
/* placement.c */
int bench_placement(struct bench *b);
/* thpscale.c */
int bench_thpscale(struct bench *b);
/* host.c */
int bench_host_24gib(struct bench *b);

struct bench_machine {
	struct gw_machine *m;
	struct gw_task task;
};

/*
 * A machine of one zone of `n_frames` reserved frames, Linux's defaults, b->threads CPUs; the
 * calling thread is attached to CPU 0. Returns 0, or -1 after saying why.
 */
int bench_machine_open(const struct bench *b, gw_pfn_t n_frames, struct bench_machine *bm);
void bench_machine_close(struct bench_machine *bm);

struct gw_mm;
struct gw_soft;

struct soft_bench {
	struct gw_soft *soft;
	struct gw_machine *m;
	struct gw_task task;
};

/*
 * A soft machine of one zone of `n_frames` free frames, each of which has been touched; the calling
 * thread is attached to CPU 0. Returns 0, or -1 after saying why.
 */
int bench_soft_open(unsigned n_cpus, gw_pfn_t n_frames, struct soft_bench *s);
void bench_soft_close(struct soft_bench *s);
/* An address space with `pages` pages at *addr; written, if told to. NULL: no memory. */
struct gw_mm *bench_soft_program(
	struct soft_bench *s, unsigned pages, bool written, uint64_t *addr);
/* gw_migrate_target.get_new_page: from wherever the allocator has one. */
int bench_soft_new_page(
	void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst);

/* Frames [start, start + n) become movable, singly, `percent` of 100 of them, else free. 0 or an
 * errno. */
int bench_scatter(
	struct gw_machine *m, gw_pfn_t start, gw_pfn_t n, unsigned percent, uint64_t *random);

/* The owner of the pages that are moved: nothing stands in the way, no bytes stand behind. */
extern const struct gw_movable_ops bench_owner;

/* The next random number of a stream. */
uint64_t bench_random(uint64_t *state);

/* The most memory that this process ever had, in MiB. */
double bench_peak_mib(void);

#endif
