/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_swap.c - migration of pages in the swap cache (FACTS A10, D4, R3, R16, 1.6, 3.5).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "move_fixture.h"

#define SLOTS 512

/* A space with one page of swap-backed memory that says 77: mv->mm, mv->addr. */
static gw_pfn_t
new_page(struct mover *mv)
{
	mv->mm = new_space(mv->s);
	mv->addr = map(mv->mm, 1);
	poke(mv->mm, mv->addr, 77);
	gw_lru_add_drain_all(mv->m);
	return page_of(mv->mm, mv->addr);
}

static void
lock(struct mover *mv, gw_pfn_t page)
{
	gw_get_page(mv->m, page);
	gw_page_lock(mv->m, page);
}

static void
unlock(struct mover *mv, gw_pfn_t page)
{
	gw_swap_page_unlock(mv->m, page);
	gw_put_page(mv->m, page);
}

/* As reclaim does it: into the swap cache, and out of the page tables. */
static gw_pfn_t
unmapped_page(struct mover *mv)
{
	gw_pfn_t page = new_page(mv);

	lock(mv, page);
	assert_int_equal(gw_swap_cache_add(mv->m, page), 0);
	assert_true(gw_page_unmap(mv->m, page));
	unlock(mv, page);
	assert_int_equal(gw_pte_kind(entry_of(mv->mm, mv->addr)), GW_PTE_IS_SWAP);
	assert_int_equal(refs(mv, page), 1);
	return page;
}

/* The page that the swap cache has for the entry. */
static gw_pfn_t
in_slot(struct mover *mv)
{
	gw_pte_t pte = entry_of(mv->mm, mv->addr);
	gw_pfn_t page;

	assert_int_equal(gw_pte_kind(pte), GW_PTE_IS_SWAP);
	page = gw_cache_find(mv->m, gw_swap_cache(mv->m), gw_pte_slot(pte));
	if (page != GW_PFN_NONE)
		gw_put_page(mv->m, page);
	return page;
}

static uint32_t
slots_used(const struct mover *mv)
{
	struct gw_swap_info info;

	gw_swap_info(mv->m, &info);
	return info.used;
}

/* Written to swap and no longer in memory. */
static void
swap_out(struct mover *mv, gw_pfn_t page)
{
	gw_pte_t pte;

	lock(mv, page);
	assert_int_equal(gw_page_write_out(mv->m, page), 0);
	gw_swap_cache_delete(mv->m, page);
	unlock(mv, page);
	assert_true(is_free(mv, page));
	pte = entry_of(mv->mm, mv->addr);
	assert_int_equal(gw_swap_count(mv->m, gw_pte_slot(pte)), 1);
}

/* ---- mapped nowhere ---- */

static void
look_at_entry(struct mover *mv)
{
	assert_int_equal(gw_pte_kind(entry_of(mv->mm, mv->addr)), GW_PTE_IS_SWAP);
	mv->seen++;
}

/* A10, D4, R3, 1.6: a page of the swap cache that nobody maps moves: no entry is made of it nor
 * from it, nothing is flushed, and its slot names the new page afterwards, dirty as the old one. */
static void
unmapped_page_moves(void **state)
{
	struct mover *mv = *state;
	gw_pfn_t old = unmapped_page(mv), new;
	gw_pte_t pte = entry_of(mv->mm, mv->addr);

	mv->at_copy = look_at_entry;
	new = move(mv, old);
	assert_int_equal(mv->seen, 1);
	mv->at_copy = NULL;
	assert_int_equal(mv->stats.flushes, 0);
	assert_int_equal(mv->stats.passes, 1);
	assert_int_equal(entry_of(mv->mm, mv->addr), pte);
	assert_int_equal(in_slot(mv), new);
	assert_int_equal(refs(mv, new), 1);
	assert_int_equal(gw_page_slot(mv->m, new), gw_pte_slot(pte));
	assert_true(flags(mv, new) & GW_PG_SWAPCACHE);
	assert_true(flags(mv, new) & GW_PG_DIRTY);
	assert_true(flags(mv, new) & GW_PG_UPTODATE);
	assert_int_equal(peek(mv->mm, mv->addr), 77);
	assert_int_equal(gw_machine_count(mv->m, GW_VM_PSWPIN), 0);
	gw_mm_put(mv->mm);
}

/* The same for one that was read in and not mapped yet: whose it is nobody has said. */
static void
page_without_anon_vma_moves(void **state)
{
	struct mover *mv = *state;
	gw_pfn_t page = unmapped_page(mv);

	swap_out(mv, page);
	assert_int_equal(
		gw_swap_get_page(mv->m, gw_pte_slot(entry_of(mv->mm, mv->addr)), NULL, &page), 0);
	unlock(mv, page);
	gw_lru_add_drain_all(mv->m);
	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(in_slot(mv), mv->new_page);
	assert_int_equal(peek(mv->mm, mv->addr), 77);
	assert_int_equal(page_of(mv->mm, mv->addr), mv->new_page);
	gw_mm_put(mv->mm);
}

/* A10: an anonymous page that is neither mapped nor in the swap cache has no anon_vma to trust:
 * -EAGAIN, and as soon as nobody else has it, it is freed. */
static void
unmapped_page_outside_the_swap_cache_stays(void **state)
{
	struct mover *mv = *state;
	gw_pfn_t page = new_page(mv);

	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
	gw_get_page(mv->m, page);
	assert_int_equal(gw_munmap(mv->mm, mv->addr, PAGE), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 1);
	assert_int_equal(mv->why, -EAGAIN);
	assert_int_equal(mv->puts, 10);
	assert_int_equal(mv->stats.flushes, 0);
	gw_put_page(mv->m, page);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 0); /* A1 */
	assert_int_equal(mv->gets, 0);
	assert_true(is_free(mv, page));
	gw_mm_put(mv->mm);
}

/* ---- mapped ---- */

/* 1.6: a page that is mapped and in the swap cache has a reference for each; both follow. */
static void
mapped_page_moves(void **state)
{
	struct mover *mv = *state;
	gw_pfn_t old = unmapped_page(mv), new;
	struct gw_mm *spaces[2];

	spaces[0] = mv->mm;
	spaces[1] = fork_space(mv->mm);
	assert_int_equal(peek(mv->mm, mv->addr), 77); /* the other entry needs the slot */
	assert_int_equal(page_of(mv->mm, mv->addr), old);
	assert_int_equal(refs(mv, old), 2);
	new = move(mv, old);
	assert_int_equal(mv->stats.flushes, 1);
	assert_int_equal(page_of(mv->mm, mv->addr), new);
	assert_int_equal(refs(mv, new), 2);
	mv->mm = spaces[1];
	assert_int_equal(in_slot(mv), new);
	assert_int_equal(peek(spaces[1], mv->addr), 77);
	poke(spaces[1], mv->addr, 78);
	assert_int_equal(peek(spaces[0], mv->addr), 77);
	verify(mv->s, spaces, 2);
	gw_mm_put(spaces[0]);
	gw_mm_put(spaces[1]);
}

/* All that names the page, and its slot. */
static void
zap(struct mover *mv)
{
	if (mv->seen++)
		return;
	assert_int_equal(gw_munmap(mv->mm, mv->addr, PAGE), 0);
	if (mv->other)
		gw_mm_put(mv->other);
	mv->other = NULL;
}

/* Its entries may go while it is on its way (R15), mapped or not, before its references are frozen
 * or after: the swap cache keeps it until it is unlocked, and then nobody does. */
static void
page_zapped_on_its_way_is_freed(void **state)
{
	struct mover *mv = *state;

	for (unsigned i = 0; i < 3; i++) {
		gw_pfn_t page = unmapped_page(mv);

		if (i < 2) {
			mv->other = fork_space(mv->mm);
			assert_int_equal(peek(mv->mm, mv->addr), 77);
			assert_int_equal(refs(mv, page), 2);
		}
		mv->seen = 0;
		mv->at_flush = i == 0 ? zap : NULL;
		mv->at_copy = i == 0 ? NULL : zap;
		assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
		assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 0);
		mv->at_flush = mv->at_copy = NULL;
		assert_int_equal(mv->seen, 1);
		assert_int_equal(slots_used(mv), 0);
		assert_true(is_free(mv, page));
		assert_true(is_free(mv, mv->new_page));
		gw_mm_put(mv->mm);
	}
}

/* A1: isolated, and then given up by all. */
static void
page_given_up_is_freed(void **state)
{
	struct mover *mv = *state;
	gw_pfn_t page = unmapped_page(mv);

	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
	gw_mm_put(mv->mm);
	assert_int_equal(refs(mv, page), 1);
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(mv->gets, 0);
	assert_true(is_free(mv, page));
}

/* ---- R16 ---- */

static void
find_new_page(struct mover *mv)
{
	gw_pfn_t found = in_slot(mv);

	assert_int_equal(found, mv->new_page);
	assert_true(flags(mv, found) & GW_PG_LOCKED);
	assert_true(flags(mv, found) & GW_PG_SWAPCACHE);
	assert_true(flags(mv, found) & GW_PG_DIRTY);
	assert_false(flags(mv, found) & GW_PG_UPTODATE);
	assert_int_equal(gw_page_slot(mv->m, found), gw_pte_slot(entry_of(mv->mm, mv->addr)));
	assert_int_equal(refs(mv, mv->page), 0);
	mv->seen++;
}

static void
lookup_during_the_copy_finds_the_new_page(void **state)
{
	struct mover *mv = *state;

	mv->page = unmapped_page(mv);
	mv->at_copy = find_new_page;
	move(mv, mv->page);
	assert_int_equal(mv->seen, 1);
	gw_mm_put(mv->mm);
}

/* I4, A6: who holds a reference keeps the page where it is; the new ones go back as they came. */
static void
lookup_before_the_freeze_wins(void **state)
{
	struct mover *mv = *state;
	gw_pfn_t page = unmapped_page(mv);

	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
	gw_get_page(mv->m, page);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 1);
	assert_int_equal(mv->why, -EAGAIN);
	assert_int_equal(mv->puts, 10);
	assert_true(mv->clean_at_put);
	gw_put_page(mv->m, page);
	put_back(mv);
	assert_int_equal(in_slot(mv), page);
	assert_int_equal(refs(mv, page), 1);
	move(mv, page);
	assert_int_equal(peek(mv->mm, mv->addr), 77);
	gw_mm_put(mv->mm);
}

/* A9: the charge moves once. */
static void
charge_moves(void **state)
{
	struct mover *mv = *state;
	gw_pfn_t page = unmapped_page(mv);
	struct gw_memcg *memcg;

	assert_int_equal(gw_memcg_create(mv->m, UINT64_MAX, &memcg), 0);
	assert_int_equal(gw_memcg_charge(memcg, page), 0);
	page = move(mv, page);
	assert_ptr_equal(gw_page_memcg(mv->m, page), memcg);
	assert_int_equal(gw_memcg_usage(memcg), 1);
	gw_mm_put(mv->mm);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	gw_memcg_put(memcg);
	gw_rcu_barrier();
}

/* ---- threads ---- */

#define PROGRAMS   2
#define ANON	   48 /* pages of each program */
#define FILE_PAGES 64
#define KEPT	   32 /* of these are never truncated; each program writes its own half of a page */
#define STEPS	   4000

struct storm {
	struct gw_soft *soft;
	struct gw_machine *m;
	struct gw_mapping *file;
	gw_atomic_u32 running; /* programs */
	gw_atomic_u64 mistakes, moved;
};

struct thread {
	struct storm *storm;
	unsigned cpu;
	uint64_t random;
	pthread_t thread;
	struct gw_mm *mm;
	gw_vaddr_t anon, file;
	uint64_t anon_value[ANON], file_value[KEPT];
};

static void
mistake_unless(struct thread *t, bool ok)
{
	if (!ok)
		gw_u64_add_relaxed(&t->storm->mistakes, 1);
}

static void
check_and_write(struct thread *t, gw_vaddr_t addr, uint64_t *value)
{
	uint64_t found = ~*value;

	mistake_unless(t, gw_cpu_load(t->mm, addr, &found) == 0 && found == *value);
	*value = test_random(&t->random);
	mistake_unless(t, gw_cpu_store(t->mm, addr, *value) == 0);
}

static void
step(struct thread *t)
{
	unsigned r = (unsigned)test_random(&t->random);
	unsigned page = r / 16 % ANON, file_page = r / 16 % KEPT;
	gw_vaddr_t word = 8 * (t->cpu + 1);
	int err;

	switch (r % 16) {
	case 0:
		mistake_unless(t, gw_madvise(t->mm, t->anon, ANON * PAGE, GW_MADV_PAGEOUT) == 0);
		break;
	case 1: /* beyond the end as often as not */
		err = gw_cpu_store(t->mm, t->file + (KEPT + file_page) * PAGE, 1);
		mistake_unless(t, err == 0 || err == -EFAULT);
		break;
	case 2:
		mistake_unless(t, gw_mapping_sync(t->storm->file) == 0);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
		check_and_write(t, t->file + file_page * PAGE + word, &t->file_value[file_page]);
		break;
	default:
		check_and_write(t, t->anon + page * PAGE + word, &t->anon_value[page]);
	}
}

static void *
run_program(void *arg)
{
	struct thread *t = arg;
	struct storm *storm = t->storm;
	struct gw_task task;

	if (gw_task_attach(&task, storm->m, t->cpu) || gw_mm_create(storm->m, &t->mm) ||
		gw_mmap(t->mm, 0, ANON * PAGE, READWRITE, 0, &t->anon) ||
		gw_mmap_file(t->mm, 0, FILE_PAGES * PAGE, READWRITE, GW_MAP_SHARED, storm->file, 0,
			&t->file))
		abort();
	for (unsigned i = 0;
		i < STEPS || (i < 50 * STEPS && gw_u64_load_relaxed(&storm->moved) < 200); i++)
		step(t);
	for (unsigned i = 0; i < ANON; i++)
		check_and_write(t, t->anon + i * PAGE + 8 * (t->cpu + 1), &t->anon_value[i]);
	gw_u32_sub_acq_rel(&storm->running, 1);
	gw_mm_put(t->mm);
	gw_task_detach(&task);
	return NULL;
}

static int
plain_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
}

static void
migrate_some(struct thread *t)
{
	static const struct gw_migrate_target target = {.get_new_page = plain_new_page};
	struct gw_machine *m = t->storm->m;
	enum gw_migrate_mode mode = (enum gw_migrate_mode)(test_random(&t->random) % 3);
	struct gw_migrate_stats stats = {0};
	struct gw_page_list list;

	gw_page_list_init(&list);
	gw_lru_add_drain_all(m);
	for (gw_pfn_t pfn = 0; pfn < m->n_frames; pfn++)
		(void)!gw_isolate_page(m, pfn, mode, &list);
	if (gw_migrate_pages(m, &list, &target, mode, GW_MR_COMPACTION, &stats))
		gw_putback_movable_pages(m, &list);
	gw_u64_add_relaxed(&t->storm->moved, stats.succeeded);
}

static void *
run_migrator(void *arg)
{
	struct thread *t = arg;
	struct gw_task task;

	if (gw_task_attach(&task, t->storm->m, t->cpu))
		abort();
	while (gw_u32_load_acquire(&t->storm->running)) {
		migrate_some(t);
		if (test_random(&t->random) % 4)
			continue;
		mistake_unless(t, gw_mapping_truncate(t->storm->file, KEPT) == 0);
		mistake_unless(t, gw_mapping_truncate(t->storm->file, FILE_PAGES) == 0);
	}
	gw_task_detach(&task);
	return NULL;
}

static void
storm_create(struct storm *storm)
{
	struct gw_zone_config zone = {.name = "Normal", .end = 1024};
	struct gw_machine_config config;
	void *store;

	gw_machine_config_init(&config);
	config.n_cpus = PROGRAMS + 1;
	config.max_order = 5;
	config.pageblock_order = 4;
	config.n_frames = zone.end;
	config.zones = &zone;
	config.n_zones = 1;
	assert_int_equal(gw_soft_create(&config, &storm->soft, NULL), 0);
	storm->m = gw_soft_machine(storm->soft);
	assert_int_equal(gw_soft_ram_backing(SLOTS, &store), 0);
	assert_int_equal(gw_swap_on(storm->m, &gw_soft_ram_ops, store, SLOTS), 0);
	assert_int_equal(gw_soft_ram_backing(FILE_PAGES, &store), 0);
	assert_int_equal(
		gw_mapping_create(storm->m, &gw_soft_ram_ops, store, FILE_PAGES, 0, &storm->file),
		0);
}

static void
storm_destroy(struct storm *storm)
{
	struct gw_swap_info info;

	gw_mapping_put(storm->file);
	gw_lru_add_drain_all(storm->m);
	gw_swap_info(storm->m, &info);
	assert_int_equal(info.used, 0);
	assert_int_equal(gw_machine_check(storm->m, NULL, NULL), 0);
	gw_rcu_barrier();
}

static void
check_file(const struct storm *storm, const struct thread *t)
{
	for (unsigned page = 0; page < KEPT; page++) {
		uint64_t value = 0;

		assert_int_equal(gw_mapping_read(storm->file, page * PAGE + 8 * (t->cpu + 1),
					 &value, sizeof(value)),
			0);
		assert_int_equal(value, t->file_value[page]);
	}
}

/* I1 to I5, R3, R16: programs read and write file pages and swapped memory while another task
 * migrates everything, and cuts the file short: no word is lost, nothing is left. */
static void
nothing_is_lost(void **state)
{
	struct storm storm = {0};
	struct thread threads[PROGRAMS + 1];
	uint64_t seed = test_seed();
	struct gw_task task;

	(void)state;
	storm_create(&storm);
	gw_u32_store_relaxed(&storm.running, PROGRAMS);
	for (unsigned i = 0; i <= PROGRAMS; i++) {
		threads[i] = (struct thread){.storm = &storm, .cpu = i, .random = seed + i};
		assert_int_equal(pthread_create(&threads[i].thread, NULL,
					 i < PROGRAMS ? run_program : run_migrator, &threads[i]),
			0);
	}
	for (unsigned i = 0; i <= PROGRAMS; i++)
		pthread_join(threads[i].thread, NULL);
	assert_int_equal(gw_task_attach(&task, storm.m, 0), 0);
	for (unsigned i = 0; i < PROGRAMS; i++)
		check_file(&storm, &threads[i]);
	assert_int_equal(gw_u64_load_relaxed(&storm.mistakes), 0);
	assert_true(gw_u64_load_relaxed(&storm.moved) > 0);
	storm_destroy(&storm);
	gw_task_detach(&task);
	gw_soft_destroy(storm.soft);
}

/* ---- the program ---- */

static int
setup(void **state)
{
	struct mover *mv;
	void *store;

	mover_setup(state);
	mv = *state;
	assert_int_equal(gw_soft_ram_backing(SLOTS, &store), 0);
	assert_int_equal(gw_swap_on(mv->m, &gw_soft_ram_ops, store, SLOTS), 0);
	return 0;
}

static int
teardown(void **state)
{
	struct mover *mv = *state;

	assert_int_equal(slots_used(mv), 0);
	assert_int_equal(gw_swap_off(mv->m), 0);
	return mover_teardown(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(unmapped_page_moves),
		T(page_without_anon_vma_moves),
		T(unmapped_page_outside_the_swap_cache_stays),
		T(mapped_page_moves),
		T(page_zapped_on_its_way_is_freed),
		T(page_given_up_is_freed),
		T(lookup_during_the_copy_finds_the_new_page),
		T(lookup_before_the_freeze_wins),
		T(charge_moves),
		cmocka_unit_test(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
