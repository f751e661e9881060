/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_anon_threads.c - programs write, fork and give memory up on the soft machine, while
 * others migrate and compact their pages: no word is lost (I1 to I5, C1).
 *
 * Each program remembers what every word of its memory must say.
 */
#include "test.h"

#include <pthread.h>

#include "engine/virt/rmap.h"
#include "godwit/compact.h"
#include "machine/soft/soft.h"

#define FRAMES	     2048
#define PROGRAMS     2
#define PAGES	     64
#define STEPS	     10000
#define ENOUGH_MOVED 100

struct world {
	struct gw_soft *soft;
	struct gw_machine *m;
	uint64_t seed;
	uint64_t free_before;
	gw_atomic_u32 running; /* programs */
	gw_atomic_u64 mistakes, moved, forks;
};

struct thread {
	struct world *w;
	unsigned cpu;
	uint64_t random;
	pthread_t thread;
	/* A program's. */
	struct gw_mm *mm;
	gw_vaddr_t addr;
	uint64_t value[PAGES]; /* of one word in each page */
};

static uint64_t
pick(struct thread *t, uint64_t n)
{
	return test_random(&t->random) % n;
}

static void
mistake_unless(struct thread *t, bool ok)
{
	if (!ok)
		gw_u64_add_relaxed(&t->w->mistakes, 1);
}

static gw_vaddr_t
word_of(const struct thread *t, unsigned page)
{
	return t->addr + page * GW_PAGE_SIZE + page * 8;
}

static void
check_word(struct thread *t, struct gw_mm *mm, unsigned page)
{
	uint64_t value = ~t->value[page];

	mistake_unless(t, gw_cpu_load(mm, word_of(t, page), &value) == 0);
	mistake_unless(t, value == t->value[page]);
}

static void
write_word(struct thread *t, struct gw_mm *mm, unsigned page, uint64_t value)
{
	mistake_unless(t, gw_cpu_store(mm, word_of(t, page), value) == 0);
}

/* A child sees what the parent had, and what either writes is its own. */
static void
fork_and_check(struct thread *t)
{
	struct gw_mm *child;
	unsigned page = (unsigned)pick(t, PAGES);

	if (gw_mm_fork(t->mm, &child)) {
		mistake_unless(t, false);
		return;
	}
	gw_u64_add_relaxed(&t->w->forks, 1);
	write_word(t, child, page, 1);
	check_word(t, t->mm, page);
	t->value[page] = test_random(&t->random);
	write_word(t, t->mm, page, t->value[page]);
	for (unsigned i = 0; i < PAGES; i++)
		if (i != page)
			check_word(t, child, i);
	gw_mm_put(child);
}

static void
give_up(struct thread *t, unsigned page)
{
	gw_vaddr_t addr = t->addr + page * GW_PAGE_SIZE;

	mistake_unless(t, gw_madvise(t->mm, addr, GW_PAGE_SIZE, GW_MADV_DONTNEED) == 0);
	t->value[page] = 0;
	check_word(t, t->mm, page);
}

static void
program_step(struct thread *t)
{
	unsigned page = (unsigned)pick(t, PAGES);

	switch (pick(t, 64)) {
	case 0:
		fork_and_check(t);
		break;
	case 1:
		give_up(t, page);
		break;
	case 2:
		mistake_unless(
			t, gw_mprotect(t->mm, t->addr, PAGES * GW_PAGE_SIZE, GW_PROT_READ) == 0);
		check_word(t, t->mm, page);
		mistake_unless(t, gw_mprotect(t->mm, t->addr, PAGES * GW_PAGE_SIZE,
					  GW_PROT_READ | GW_PROT_WRITE) == 0);
		break;
	default:
		check_word(t, t->mm, page);
		t->value[page]++;
		write_word(t, t->mm, page, t->value[page]);
	}
}

static bool
moved_enough(const struct world *w)
{
	return gw_u64_load_relaxed(&w->moved) > ENOUGH_MOVED;
}

static void *
run_program(void *arg)
{
	struct thread *t = arg;
	struct gw_task task;

	if (gw_task_attach(&task, t->w->m, t->cpu) || gw_mm_create(t->w->m, &t->mm) ||
		gw_mmap(t->mm, 0, PAGES * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, &t->addr))
		abort();
	/* A busy machine may give the migrators little time at first: not without any moves. */
	for (unsigned i = 0; i < STEPS || (i < 100 * STEPS && !moved_enough(t->w)); i++)
		program_step(t);
	for (unsigned i = 0; i < PAGES; i++)
		check_word(t, t->mm, i);
	gw_u32_sub_acq_rel(&t->w->running, 1);
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

static const struct gw_migrate_target target = {.get_new_page = get_new_page};

static void
migrate_some(struct thread *t)
{
	struct gw_machine *m = t->w->m;
	enum gw_migrate_mode mode = (enum gw_migrate_mode)pick(t, 3);
	gw_pfn_t first = (gw_pfn_t)pick(t, FRAMES);
	struct gw_migrate_stats stats = {0};
	struct gw_page_list list;

	gw_page_list_init(&list);
	gw_lru_add_drain_all(m);
	for (gw_pfn_t i = 0; i < FRAMES / 4; i++)
		(void)!gw_isolate_page(m, (first + i) % FRAMES, mode, &list);
	if (gw_migrate_pages(m, &list, &target, mode, GW_MR_COMPACTION, &stats))
		gw_putback_movable_pages(m, &list);
	gw_u64_add_relaxed(&t->w->moved, stats.succeeded);
}

static void *
run_migrator(void *arg)
{
	struct thread *t = arg;
	struct gw_task task;

	if (gw_task_attach(&task, t->w->m, t->cpu))
		abort();
	while (gw_u32_load_acquire(&t->w->running)) {
		if (pick(t, 8))
			migrate_some(t);
		else
			gw_compact_all_zones(t->w->m);
	}
	gw_task_detach(&task);
	return NULL;
}

static uint64_t
free_frames(struct world *w)
{
	struct gw_zone_info info;

	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	return info.free + info.pcp;
}

static void
print_finding(void *ctx, const char *line)
{
	(void)ctx;
	print_error("%s\n", line);
}

static int
setup(void **state)
{
	struct gw_zone_config zone = {.name = "Normal", .end = FRAMES};
	struct world *w = calloc(1, sizeof(*w));
	struct gw_machine_config config;
	struct gw_error err = {""};

	gw_machine_config_init(&config);
	config.n_cpus = PROGRAMS + 2;
	config.max_order = 5;
	config.pageblock_order = 4;
	config.n_frames = FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	if (gw_soft_create(&config, &w->soft, &err))
		fail_msg("%s", err.text);
	w->m = gw_soft_machine(w->soft);
	w->seed = test_seed();
	w->free_before = free_frames(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	gw_soft_destroy(w->soft);
	free(w);
	return 0;
}

/* The threads are gone: translations, frames and bytes add up. */
static void
check_afterwards(struct world *w, struct thread *programs)
{
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, w->m, 0), 0);
	gw_lru_add_drain_all(w->m);
	assert_int_equal(gw_machine_check(w->m, print_finding, NULL), 0);
	for (unsigned i = 0; i < PROGRAMS; i++) {
		assert_int_equal(gw_soft_check(w->soft, programs[i].mm, print_finding, NULL), 0);
		gw_mm_put(programs[i].mm);
	}
	gw_lru_add_drain_all(w->m);
	assert_int_equal(gw_machine_check(w->m, print_finding, NULL), 0);
	assert_int_equal(free_frames(w), w->free_before - 1); /* the zero page */
	gw_task_detach(&task);
}

static void
nothing_is_lost(struct world *w, enum gw_wait_era era)
{
	struct thread threads[PROGRAMS + 2];

	gw_machine_set_wait_era(w->m, era);
	gw_u32_store_relaxed(&w->running, PROGRAMS);
	for (unsigned i = 0; i < PROGRAMS + 2; i++) {
		threads[i] = (struct thread){.w = w, .cpu = i, .random = w->seed + i * 1000003};
		assert_int_equal(pthread_create(&threads[i].thread, NULL,
					 i < PROGRAMS ? run_program : run_migrator, &threads[i]),
			0);
	}
	for (unsigned i = 0; i < PROGRAMS + 2; i++)
		assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
	assert_int_equal(gw_u64_load_relaxed(&w->mistakes), 0);
	assert_true(gw_u64_load_relaxed(&w->forks) > 10);
	assert_true(moved_enough(w));
	check_afterwards(w, threads);
}

static void
nothing_is_lost_holding(void **state)
{
	nothing_is_lost(*state, GW_ERA_HOLD);
}

static void
nothing_is_lost_dropping(void **state)
{
	nothing_is_lost(*state, GW_ERA_DROP);
}

static void
nothing_is_lost_without_reference(void **state)
{
	nothing_is_lost(*state, GW_ERA_NONE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_is_lost_holding),
		T(nothing_is_lost_dropping),
		T(nothing_is_lost_without_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
