/* SPDX-License-Identifier: MIT */
/*
 * faulters.c - what waiting tasks cost a migration (FACTS 1.3, C1).
 *
 * Idea. Tasks touch a few pages on and on while these are moved over and over. Who meets a
 * migration entry waits: with a reference held (as Linux once did), with one that is dropped before
 * the sleep, or without one. Before each call every task has touched the pages since the last one,
 * so all are there to meet it. A row's sample is one round of many calls.
 */
#include <pthread.h>
#include <sched.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "godwit/migrate.h"
#include "godwit/soft.h"

#define ROUNDS	   7
#define CALLS	   400 /* of gw_migrate_pages(), a round */
#define MOST_TASKS 4
#define FRAMES	   ((gw_pfn_t)1 << 14)

struct task {
	struct crowd *crowd;
	unsigned cpu;
	uint64_t touches; /* atomic */
	uint64_t touches_before;
	pthread_t thread;
};

/* The tasks, and what they touch. */
struct crowd {
	struct soft_bench *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	unsigned n_pages, n_tasks;
	bool stop; /* atomic */
	struct task tasks[MOST_TASKS];
};

static gw_vaddr_t
address(const struct crowd *crowd, uint64_t page)
{
	return crowd->addr + page * GW_PAGE_SIZE;
}

static void *
touch_on_and_on(void *arg)
{
	struct task *t = arg;
	const struct crowd *crowd = t->crowd;
	struct gw_task task;
	uint64_t random = t->cpu, value;

	if (gw_task_attach(&task, crowd->s->m, t->cpu))
		return NULL;
	while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
		uint64_t page = bench_random(&random) % crowd->n_pages;

		if (gw_cpu_load(crowd->mm, address(crowd, page), &value))
			break;
		__atomic_fetch_add(&t->touches, 1, __ATOMIC_RELAXED);
		sched_yield(); /* where there are fewer CPUs than tasks, each has its turn */
	}
	gw_task_detach(&task);
	return NULL;
}

static void
end_crowd(struct crowd *crowd)
{
	__atomic_store_n(&crowd->stop, true, __ATOMIC_RELAXED);
	while (crowd->n_tasks > 0)
		pthread_join(crowd->tasks[--crowd->n_tasks].thread, NULL);
	if (crowd->mm)
		gw_mm_put(crowd->mm);
}

static int
begin_crowd(struct crowd *crowd, struct soft_bench *s, unsigned n_tasks, unsigned n_pages)
{
	*crowd = (struct crowd){.s = s, .n_pages = n_pages};
	crowd->mm = bench_soft_program(s, n_pages, true, &crowd->addr);
	if (!crowd->mm)
		return -1;
	for (unsigned i = 0; i < n_tasks; i++) {
		struct task *t = &crowd->tasks[i];

		*t = (struct task){.crowd = crowd, .cpu = i + 1};
		if (pthread_create(&t->thread, NULL, touch_on_and_on, t)) {
			end_crowd(crowd);
			return -1;
		}
		crowd->n_tasks++;
	}
	return 0;
}

/* Until every task has touched a page since the last time. */
static void
meet_all(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->n_tasks; i++) {
		struct task *t = &crowd->tasks[i];
		uint64_t touches;

		while ((touches = __atomic_load_n(&t->touches, __ATOMIC_RELAXED)) ==
			t->touches_before)
			sched_yield();
		t->touches_before = touches;
	}
}

/* A page that a task still has a reference on is not isolated: again, until it is. */
static void
isolate_page(struct crowd *crowd, unsigned page, struct gw_page_list *list)
{
	gw_pfn_t pfn = GW_PFN_NONE;
	bool writable;

	(void)!gw_mm_walk(crowd->mm, address(crowd, page), GW_ACCESS_READ, &pfn, &writable);
	while (gw_isolate_page(crowd->s->m, pfn, GW_MIGRATE_SYNC, list)) {
		gw_lru_add_drain(crowd->s->m);
		sched_yield();
	}
}

static int
new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, order, dst);
}

static void
move_all(struct crowd *crowd, struct gw_migrate_stats *stats)
{
	static const struct gw_migrate_target target = {.get_new_page = new_page};
	struct gw_page_list list;

	gw_page_list_init(&list);
	meet_all(crowd);
	for (unsigned i = 0; i < crowd->n_pages; i++)
		isolate_page(crowd, i, &list);
	if (gw_migrate_pages(
		    crowd->s->m, &list, &target, GW_MIGRATE_SYNC_LIGHT, GW_MR_SYSCALL, stats))
		gw_putback_movable_pages(crowd->s->m, &list);
}

/* Two rows: of n_pages a call, how many moved, and in how many passes. */
static int
measure(struct bench *b, struct soft_bench *s, enum gw_wait_era era, unsigned n_tasks,
	unsigned n_pages)
{
	static const char *const eras[] = {"hold", "drop", "none"};
	struct bench_samples moved = {.n = 0}, passes = moved;
	struct crowd crowd;
	char name[40];

	gw_machine_set_wait_era(s->m, era);
	if (begin_crowd(&crowd, s, n_tasks, n_pages))
		return -1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct gw_migrate_stats stats = {0};

		for (unsigned i = 0; i < CALLS; i++)
			move_all(&crowd, &stats);
		bench_sample(&moved, 100.0 * (double)stats.succeeded / (CALLS * n_pages));
		bench_sample(&passes, (double)stats.passes / CALLS);
	}
	end_crowd(&crowd);
	snprintf(name, sizeof(name), "faulters-%u-%s-%u-moved", n_pages, eras[era], n_tasks);
	bench_row(b, name, "%", &moved, NULL);
	snprintf(name, sizeof(name), "faulters-%u-%s-%u-passes", n_pages, eras[era], n_tasks);
	bench_row(b, name, "passes", &passes, NULL);
	return 0;
}

/* faulters-PAGES-ERA-TASKS */
int
bench_faulters(struct bench *b)
{
	static const unsigned n_pages[] = {1, 32};
	struct soft_bench s;
	int err = 0;

	if (bench_soft_open(1 + MOST_TASKS, FRAMES, &s))
		return -1;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned era = GW_ERA_HOLD; era <= GW_ERA_NONE; era++)
			for (unsigned n = 0; n <= MOST_TASKS && !err; n++)
				err = measure(b, &s, (enum gw_wait_era)era, n, n_pages[i]);
	bench_soft_close(&s);
	if (err)
		cli_fail("bench: not enough memory, or threads");
	return err;
}
