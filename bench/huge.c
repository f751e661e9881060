/* SPDX-License-Identifier: MIT */
/*
 * huge.c - huge pages on the soft machine: made by a fault, moved whole, split, and collapsed.
 *
 * What a move costs is told beside what copying 2 MiB costs in the same round, from the same frames
 * to frames allocated in the same way.
 */
#include <stdio.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/huge.h"
#include "machine/soft/soft.h"

#define ROUNDS 7
#define FRAMES ((gw_pfn_t)1 << 17) /* 512 MiB */
#define HUGE   64		   /* pages measured a round */
#define BYTES  ((uint64_t)GW_PAGE_SIZE << GW_HUGE_ORDER)
#define AT     ((gw_vaddr_t)1 << 30)

struct round {
	struct soft_bench *s;
	struct gw_mm *mm;
	gw_pfn_t pages[HUGE];
};

static gw_pfn_t
page_at(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_pfn_t pfn = GW_PFN_NONE;
	bool writable;

	(void)!gw_mm_walk(mm, addr, GW_ACCESS_READ, &pfn, &writable);
	return pfn;
}

/* A program with HUGE huge pages, each made by one write. Nanoseconds a page; negative: it has not.
 */
static double
open_round(struct soft_bench *s, struct round *r)
{
	gw_vaddr_t addr;
	uint64_t start;

	r->s = s;
	if (gw_mm_create(s->m, &r->mm))
		return -1;
	if (gw_mmap(r->mm, AT, HUGE * BYTES, GW_PROT_READ | GW_PROT_WRITE, GW_MAP_FIXED, &addr) ||
		gw_madvise(r->mm, AT, HUGE * BYTES, GW_MADV_HUGEPAGE))
		return -1;
	start = cli_now_ns();
	for (unsigned i = 0; i < HUGE; i++)
		if (gw_cpu_store(r->mm, AT + i * BYTES, i))
			return -1;
	start = cli_now_ns() - start;
	gw_lru_add_drain(s->m);
	for (unsigned i = 0; i < HUGE; i++) {
		r->pages[i] = page_at(r->mm, AT + i * BYTES);
		if (page_at(r->mm, AT + (i + 1) * BYTES - 1) !=
			r->pages[i] + (1u << GW_HUGE_ORDER) - 1)
			return -1;
	}
	return (double)start / HUGE;
}

static void
close_round(struct round *r)
{
	if (r->mm)
		gw_mm_put(r->mm);
	r->mm = NULL;
}

/* Nanoseconds a page. */
static double
split_all(struct round *r)
{
	struct gw_machine *m = r->s->m;
	uint64_t start = cli_now_ns();

	for (unsigned i = 0; i < HUGE; i++) {
		int err;

		gw_get_page(m, r->pages[i]);
		gw_page_lock(m, r->pages[i]);
		err = gw_split_huge(m, r->pages[i]);
		gw_page_unlock(m, r->pages[i]);
		gw_put_page(m, r->pages[i]);
		if (err)
			return -1;
	}
	return (double)(cli_now_ns() - start) / HUGE;
}

/* What was split becomes huge again. */
static double
collapse_all(struct round *r)
{
	uint64_t start;

	gw_lru_add_drain(r->s->m);
	start = cli_now_ns();
	if (gw_collapse(r->mm, AT, HUGE * BYTES, NULL))
		return -1;
	return (double)(cli_now_ns() - start) / HUGE;
}

static double
copy_all(struct round *r)
{
	struct gw_machine *m = r->s->m;
	gw_pfn_t to[HUGE];
	uint64_t start;

	for (unsigned i = 0; i < HUGE; i++)
		if (gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, GW_HUGE_ORDER, &to[i]))
			return -1;
	start = cli_now_ns();
	for (unsigned i = 0; i < HUGE; i++)
		gw_migrate_copy(m, to[i], r->pages[i], GW_HUGE_ORDER);
	start = cli_now_ns() - start;
	for (unsigned i = 0; i < HUGE; i++)
		gw_put_page(m, to[i]);
	return (double)start / HUGE;
}

/* Isolate and move all of them, one by one. */
static double
move_all(struct round *r)
{
	static const struct gw_migrate_target target = {.get_new_page = bench_soft_new_page};
	struct gw_machine *m = r->s->m;
	struct gw_migrate_stats stats = {0};
	uint64_t start = cli_now_ns();

	for (unsigned i = 0; i < HUGE; i++) {
		struct gw_page_list list;

		gw_page_list_init(&list);
		if (gw_isolate_page(m, r->pages[i], GW_MIGRATE_SYNC, &list))
			return -1;
		if (gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, &stats))
			gw_putback_movable_pages(m, &list);
	}
	return stats.large_succeeded == HUGE ? (double)(cli_now_ns() - start) / HUGE : -1;
}

struct figures {
	struct bench_samples fault, copy, move, ratio, split, collapse;
};

static int
measure(struct soft_bench *s, struct figures *f)
{
	struct round r = {.mm = NULL};
	double fault = open_round(s, &r), copy = -1, move = -1, split = -1, collapse = -1;

	if (fault >= 0)
		copy = copy_all(&r);
	if (copy >= 0)
		move = move_all(&r);
	for (unsigned i = 0; move >= 0 && i < HUGE; i++)
		r.pages[i] = page_at(r.mm, AT + i * BYTES);
	if (move >= 0)
		split = split_all(&r);
	if (split >= 0)
		collapse = collapse_all(&r);
	close_round(&r);
	if (collapse < 0)
		return -1;
	bench_sample(&f->fault, fault / 1000);
	bench_sample(&f->copy, copy / 1000);
	bench_sample(&f->move, move / 1000);
	bench_sample(&f->ratio, move / copy);
	bench_sample(&f->split, split / 1000);
	bench_sample(&f->collapse, collapse / 1000);
	return 0;
}

int
bench_soft_huge(struct bench *b)
{
	struct figures f = {.fault.n = 0};
	struct soft_bench s;
	int err = bench_soft_open(1, FRAMES, &s);

	if (err)
		return err;
	for (unsigned i = 0; i < ROUNDS && !err; i++)
		err = measure(&s, &f);
	bench_soft_close(&s);
	if (err) {
		cli_fail("bench: no huge pages to be had");
		return -1;
	}
	bench_row(b, "soft-huge-fault", "us", &f.fault, "first write of 2 MiB, cleared");
	bench_row(b, "soft-huge-copy", "us", &f.copy, "copying 2 MiB");
	bench_row(b, "soft-huge-move", "us", &f.move, "a huge page moved whole, one by one");
	bench_row(b, "soft-huge-move-ratio", "x", &f.ratio,
		"of the time of copying 2 MiB in the same rounds");
	bench_row(
		b, "soft-huge-split", "us", &f.split, "a huge page, mapped once, to single frames");
	bench_row(b, "soft-huge-collapse", "us", &f.collapse, "these, to a huge page again");
	return 0;
}
