/* SPDX-License-Identifier: MIT */
/*
 * test_ksm_threads.c - two programs write, fork and look at their memory while a third task merges
 * it and a fourth one moves it: nobody ever sees anything but what he has written (S1 to S4 of
 * engine/virt/ksm.h; FACTS R5, R8, R9).
 */
#include "test.h"

#include <pthread.h>

#include "ksm_fixture.h"

#define STEPS  3000 /* at least, and until the others have done so much: */
#define MOVES  200
#define BREAKS 20
#define VALUES 3 /* few, so that pages are often equal */

struct run {
	struct merger *g;
	gw_atomic_u32 stop, mistakes;
	gw_atomic_u64 moved;
};

struct worker {
	struct run *run;
	struct gw_mm *mm;
	unsigned cpu;
	uint64_t random;
	pthread_t thread;
	uint64_t values[KSM_PAGES];
};

static unsigned
pick(struct worker *w, unsigned n)
{
	return (unsigned)(test_random(&w->random) % n);
}

static void
look(struct worker *w, struct gw_mm *mm, unsigned page)
{
	uint64_t value = UINT64_MAX;

	if (gw_cpu_load(mm, at_page(w->run->g, page), &value) || value != w->values[page])
		gw_u32_add_relaxed(&w->run->mistakes, 1);
}

static void
write_one(struct worker *w, unsigned page)
{
	w->values[page] = 1 + pick(w, VALUES);
	if (gw_cpu_store(w->mm, at_page(w->run->g, page), w->values[page]))
		gw_u32_add_relaxed(&w->run->mistakes, 1);
}

/* A child sees what its parent had, and writes to none of it but its own. */
static void
fork_one(struct worker *w)
{
	struct gw_mm *child;

	if (gw_mm_fork(w->mm, &child)) {
		gw_u32_add_relaxed(&w->run->mistakes, 1);
		return;
	}
	for (unsigned page = 0; page < KSM_PAGES; page++)
		look(w, child, page);
	if (gw_cpu_store(child, at_page(w->run->g, 0), 99))
		gw_u32_add_relaxed(&w->run->mistakes, 1);
	write_one(w, 1);
	look(w, w->mm, 0);
	gw_mm_put(child);
}

static void
remark(struct worker *w, enum gw_advice advice)
{
	if (gw_madvise(w->mm, w->run->g->addr, KSM_PAGES * PAGE, advice))
		gw_u32_add_relaxed(&w->run->mistakes, 1);
}

static bool
is_enough(struct run *run)
{
	return gw_u64_load_relaxed(&run->moved) >= MOVES &&
	       gw_machine_count(run->g->m, GW_VM_COW_KSM) >= BREAKS;
}

static void *
program(void *arg)
{
	struct worker *w = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, w->run->g->m, w->cpu), 0);
	for (unsigned page = 0; page < KSM_PAGES; page++)
		write_one(w, page);
	for (unsigned i = 0; i < STEPS || !is_enough(w->run); i++) {
		unsigned what = pick(w, 64), page = pick(w, KSM_PAGES);

		if (what < 8)
			write_one(w, page);
		else if (what == 8)
			fork_one(w);
		else if (what == 9)
			remark(w, GW_MADV_UNMERGEABLE);
		else if (what == 10)
			remark(w, GW_MADV_MERGEABLE);
		else
			look(w, w->mm, page);
	}
	remark(w, GW_MADV_MERGEABLE);
	gw_task_detach(&task);
	return NULL;
}

static void *
merge(void *arg)
{
	struct worker *w = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, w->run->g->m, w->cpu), 0);
	while (!gw_u32_load_acquire(&w->run->stop))
		if (gw_ksm_scan(w->run->g->ksm, 1 + pick(w, 8)) < 0)
			gw_u32_add_relaxed(&w->run->mistakes, 1);
	gw_task_detach(&task);
	return NULL;
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
}

static void *
move_pages(void *arg)
{
	const struct gw_migrate_target target = {.get_new_page = get_new_page};
	struct worker *w = arg;
	struct gw_machine *m = w->run->g->m;
	struct gw_migrate_stats stats = {0};
	struct gw_page_list list;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, m, w->cpu), 0);
	gw_page_list_init(&list);
	while (!gw_u32_load_acquire(&w->run->stop)) {
		gw_lru_add_drain_all(m);
		for (gw_pfn_t pfn = pick(w, 8); pfn < m->n_frames; pfn += 1 + pick(w, 8))
			if (gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &list))
				continue;
		if (gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, GW_MR_COMPACTION, &stats))
			gw_putback_movable_pages(m, &list);
		gw_u64_store_relaxed(&w->run->moved, stats.succeeded);
	}
	gw_task_detach(&task);
	return NULL;
}

static void
everybody_sees_what_he_wrote(void **state)
{
	struct merger *g = *state;
	struct run run = {.g = g};
	uint64_t random = test_seed();
	void *(*const work[4])(void *arg) = {program, program, merge, move_pages};
	struct worker workers[4];

	g->m->ops = g->mv->real_ops; /* the mover's hooks are not for threads */
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){.run = &run,
			.mm = i == 0 ? g->a : g->b,
			.cpu = i % 2,
			.random = test_random(&random)};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work[i], &workers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		if (i == 2)
			gw_u32_store_release(&run.stop, 1);
		pthread_join(workers[i].thread, NULL);
	}
	assert_int_equal(gw_u32_load_relaxed(&run.mistakes), 0);
	rounds(g, 3); /* nothing changes now: what is equal is one */
	assert_true(info(g).pages_sharing >= 2 * KSM_PAGES - VALUES);
	verify_all(g, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			everybody_sees_what_he_wrote, merger_setup, merger_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
