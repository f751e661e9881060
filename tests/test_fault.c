/* SPDX-License-Identifier: MIT */
/*
 * test_fault.c - faults: the zero page, new pages, copy-on-write, fork, and what they do when they
 * meet a migration (FACTS R8, R10, R15, C8; fault.c P1 to P4).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "mm_fixture.h"

/* Reading what was never written costs no page and gives zeros; the first write gives a page. */
static void
test_zero_page(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 3);
	uint64_t value;

	assert_int_equal(try_peek(s, 1, mm, a, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(peek(mm, a + PAGE), 0);
	assert_true(entry_of(mm, a) & GW_PTE_ZERO);
	assert_int_equal(page_of(mm, a), page_of(mm, a + PAGE));
	assert_int_equal(gw_mm_pages(mm), 0);
	poke(mm, a, 1);
	assert_int_equal(gw_mm_pages(mm), 1);
	assert_int_equal(try_peek(s, 1, mm, a, &value), 0); /* not by its old translation */
	assert_int_equal(value, 1);
	assert_int_equal(peek(mm, a + PAGE), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A new page shows nothing of what its frame held before. */
static void
test_new_pages_are_zeroed(void **state)
{
	struct spaces *s = *state;
	uint8_t dirt[PAGE], bytes[PAGE], zeros[PAGE] = {0};

	memset(dirt, 0xa5, sizeof(dirt));
	for (unsigned round = 0; round < 2; round++) {
		struct gw_mm *mm = new_space(s);
		gw_vaddr_t a = map(mm, 64);

		for (unsigned i = 0; i < 64; i++) {
			poke(mm, a + i * PAGE, 0);
			assert_int_equal(gw_cpu_read(mm, a + i * PAGE, bytes, PAGE), 0);
			assert_memory_equal(bytes, zeros, PAGE);
			assert_int_equal(gw_cpu_write(mm, a + i * PAGE, dirt, PAGE), 0);
		}
		gw_mm_put(mm);
	}
}

/* No mapping, no right: -EFAULT, and nothing is made. */
static void
test_refused(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = 0;

	assert_int_equal(gw_mmap(mm, 0, PAGE, GW_PROT_READ, 0, &a), 0);
	assert_int_equal(gw_fault(mm, a, GW_ACCESS_WRITE), -EFAULT);
	assert_int_equal(gw_fault(mm, a + PAGE, GW_ACCESS_READ), -EFAULT);
	assert_int_equal(gw_fault(mm, a - PAGE, GW_ACCESS_READ), -EFAULT);
	assert_int_equal(gw_fault(mm, GW_VADDR_END, GW_ACCESS_READ), -EFAULT);
	assert_int_equal(gw_fault(mm, ~(gw_vaddr_t)0, GW_ACCESS_READ), -EFAULT);
	assert_int_equal(entry_of(mm, a), 0);
	gw_mm_put(mm);
}

/* A walk marks: young for any access, dirty and soft-dirty for writes; a page that is not dirty
 * yet is not writable for a CPU that only read it (mm.h, gw_mm_walk()). */
static void
test_walk_marks(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 1);
	const uint64_t marks = GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY;
	gw_atomic_u64 *word;
	gw_spinlock *lock;
	gw_pfn_t pfn;
	bool writable;

	poke(mm, a, 1);
	word = gw_pte_lock(mm, a, &lock);
	gw_u64_and_relaxed(word, ~marks);
	gw_spin_unlock(lock);
	assert_int_equal(gw_mm_walk(mm, a, GW_ACCESS_READ, &pfn, &writable), 0);
	assert_false(writable);
	assert_int_equal(entry_of(mm, a) & marks, GW_PTE_YOUNG);
	assert_int_equal(gw_mm_walk(mm, a, GW_ACCESS_WRITE, &pfn, &writable), 0);
	assert_true(writable);
	assert_int_equal(entry_of(mm, a) & marks, marks);
	assert_int_equal(pfn, page_of(mm, a));
	gw_mm_put(mm);
}

/* ---- copy-on-write ---- */

/* After fork each side writes for itself, whoever is first, on whatever CPU (P4). */
static void
test_fork_copies_on_write(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s), NULL};
	gw_vaddr_t a = map(both[0], 4);
	struct places places;
	gw_pfn_t page;
	uint64_t value;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(try_poke(s, 1, both[0], a + i * PAGE, 10 + i), 0);
	both[1] = fork_space(both[0]);
	page = page_of(both[0], a);
	assert_int_equal(page_of(both[1], a), page);
	places = places_of(s, page);
	assert_int_equal(places.n, 2); /* the parent's first: what fork copies is met later (R8) */
	assert_ptr_equal(places.mm[0], both[0]);
	assert_ptr_equal(places.mm[1], both[1]);
	verify(s, both, 2);
	for (unsigned i = 0; i < 2; i++) /* CPU 1 has both translations */
		assert_int_equal(try_peek(s, 1, both[i], a, &value), 0);
	poke(both[0], a, 20);
	assert_int_not_equal(page_of(both[0], a), page);
	assert_int_equal(try_peek(s, 1, both[1], a, &value), 0);
	assert_int_equal(value, 10);
	assert_int_equal(try_peek(s, 1, both[0], a, &value), 0);
	assert_int_equal(value, 20);
	poke(both[1], a + PAGE, 21);
	assert_int_equal(try_peek(s, 1, both[0], a + PAGE, &value), 0);
	assert_int_equal(value, 11);
	verify(s, both, 2);
	gw_mm_put(both[0]);
	assert_int_equal(peek(both[1], a + 2 * PAGE), 12); /* the parent's page, outliving it */
	verify(s, &both[1], 1);
	gw_mm_put(both[1]);
}

/* A page that is mapped nowhere else is written where it is; one that somebody pins is not (P2). */
static void
test_sole_mapper_reuses(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 2);
	gw_pfn_t page[2];

	poke(mm, a, 1);
	poke(mm, a + PAGE, 2);
	page[0] = page_of(mm, a);
	page[1] = page_of(mm, a + PAGE);
	gw_mm_put(fork_space(mm)); /* leaves the entries read-only */
	gw_get_page(s->m, page[1]);
	poke(mm, a, 3);
	poke(mm, a + PAGE, 4);
	assert_int_equal(page_of(mm, a), page[0]);
	assert_int_not_equal(page_of(mm, a + PAGE), page[1]);
	gw_put_page(s->m, page[1]);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/*
 * A locked page may have migration entries elsewhere that its map count does not show: it is
 * copied, not written (P2). Here the child's entry is one while the parent writes.
 */
static void
test_locked_page_is_copied(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s), NULL};
	gw_vaddr_t a = map(both[0], 1);
	struct gw_task other;
	gw_atomic_u64 *word;
	gw_spinlock *lock;
	gw_pfn_t page;

	poke(both[0], a, 1);
	both[1] = fork_space(both[0]);
	page = page_of(both[0], a);
	gw_lru_add_drain_all(s->m);
	gw_page_lock(s->m, page);
	word = gw_pte_lock(both[1], a, &lock); /* as the walk does it, and is not further yet */
	gw_u64_store_release(word, gw_pte_migration(page, false, 0));
	gw_rmap_remove(s->m, page);
	gw_put_page(s->m, page);
	gw_spin_unlock(lock);

	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	gw_get_page(s->m, page); /* the isolation's, for what follows */
	poke(both[0], a, 2);
	gw_task_detach(&other);
	assert_int_not_equal(page_of(both[0], a), page);

	word = gw_pte_lock(both[1], a, &lock);
	gw_u64_store_release(word, gw_pte_present(page, 0)); /* has our reference now */
	gw_rmap_dup(s->m, page);
	gw_spin_unlock(lock);
	gw_page_unlock(s->m, page);
	assert_int_equal(peek(both[1], a), 1);
	assert_int_equal(peek(both[0], a), 2);
	end_spaces(s, both, 2);
}

/* ---- migration ---- */

/* fork copies migration entries, as entries that may only be read, and both come back (R8, I2). */
static void
test_fork_of_migration_entries(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s), NULL};
	gw_vaddr_t a = map(both[0], 1);
	struct gw_anon_vma *anon_vma;
	struct gw_task other;
	gw_pfn_t page;

	poke(both[0], a, 1);
	page = page_of(both[0], a);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(gw_pte_kind(entry_of(both[0], a)), GW_PTE_MIGRATION_WRITE);
	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	both[1] = fork_space(both[0]);
	gw_task_detach(&other);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(gw_pte_kind(entry_of(both[i], a)), GW_PTE_MIGRATION_READ);
		assert_int_equal(gw_mm_pages(both[i]), 1);
	}
	thaw_entries(s, page, anon_vma);
	verify(s, both, 2);
	assert_int_equal(page_of(both[0], a), page);
	assert_int_equal(page_of(both[1], a), page);
	poke(both[0], a, 2);
	assert_int_equal(peek(both[1], a), 1);
	gw_mm_put(both[0]);
	gw_mm_put(both[1]);
}

/* A migration entry that was unmapped stays away: the page's return does not bring it back (R15).
 */
static void
test_zapped_entry_stays_away(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 3);
	struct gw_anon_vma *anon_vma;
	struct gw_task other;
	gw_pfn_t page;

	for (unsigned i = 0; i < 3; i++)
		poke(mm, a + i * PAGE, 1);
	page = page_of(mm, a + PAGE);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	assert_int_equal(gw_madvise(mm, a + PAGE, PAGE, GW_MADV_DONTNEED), 0);
	gw_task_detach(&other);
	assert_int_equal(gw_mm_pages(mm), 2);
	thaw_entries(s, page, anon_vma); /* the last reference */
	assert_int_equal(entry_of(mm, a + PAGE), 0);
	assert_int_equal(peek(mm, a + PAGE), 0);
	verify(s, &mm, 1);

	page = page_of(mm, a);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	gw_mm_put(mm); /* even the address space may go (R2) */
	gw_task_detach(&other);
	thaw_entries(s, page, anon_vma);
}

/* The migrator flushes once for many pages, perhaps not yet: who unmaps its entry flushes too. */
static void
test_zap_flushes_for_the_migrator(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 1);
	struct gw_anon_vma *anon_vma;
	struct gw_task other;
	gw_pfn_t page;
	uint64_t value;

	assert_int_equal(try_poke(s, 1, mm, a, 1), 0); /* CPU 1 keeps the translation */
	page = page_of(mm, a);
	gw_get_page(s->m, page);
	gw_page_lock(s->m, page);
	anon_vma = gw_page_get_anon_vma(s->m, page);
	assert_int_equal(gw_unmap_for_migration(s->m, page, anon_vma), 1);
	assert_int_equal(gw_task_attach(&other, s->m, 0), 0);
	assert_int_equal(gw_madvise(mm, a, PAGE, GW_MADV_DONTNEED), 0);
	gw_task_detach(&other);
	assert_int_equal(try_peek(s, 1, mm, a, &value), 0);
	assert_int_equal(value, 0);
	thaw_entries(s, page, anon_vma);
	gw_mm_put(mm);
}

struct waiter {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	struct gw_task task;
	gw_atomic_u32 attached;
	int err;
	gw_pte_t after; /* the entry when the fault returned */
};

static void *
wait_in_fault(void *arg)
{
	struct waiter *w = arg;

	assert_int_equal(gw_task_attach(&w->task, w->s->m, 1), 0);
	gw_u32_store_release(&w->attached, 1);
	w->err = gw_fault(w->mm, w->addr, GW_ACCESS_WRITE);
	w->after = entry_of(w->mm, w->addr);
	gw_task_detach(&w->task);
	return NULL;
}

static void
nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* A fault on a migration entry sleeps until the page is unlocked, and nothing else: whoever faulted
 * looks again (R10). Meanwhile the address space can be changed: no lock is kept. */
static void
test_fault_waits_for_migration(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct waiter w = {.s = s, .mm = mm};
	struct gw_anon_vma *anon_vma;
	struct gw_task other;
	pthread_t thread;
	gw_pfn_t page;

	w.addr = map(mm, 1);
	poke(mm, w.addr, 1);
	page = page_of(mm, w.addr);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_fault, &w), 0);
	while (!gw_u32_load_acquire(&w.attached))
		nap();
	nap();
	assert_int_equal(gw_task_attach(&other, s->m, 0), 0);
	(void)map(mm, 1); /* needs mmap_lock for writing */
	gw_task_detach(&other);
	assert_true(gw_pte_is_migration(entry_of(mm, w.addr)));
	thaw_entries(s, page, anon_vma);
	pthread_join(thread, NULL);
	assert_int_equal(w.err, 0);
	assert_int_equal(gw_pte_kind(w.after), GW_PTE_IS_PRESENT);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A task that is interrupted while it waits gets -EINTR, with nothing changed (C5). */
static void
test_interrupted_wait(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct waiter w = {.s = s, .mm = mm};
	struct gw_anon_vma *anon_vma;
	pthread_t thread;
	gw_pfn_t page;

	w.addr = map(mm, 1);
	poke(mm, w.addr, 1);
	page = page_of(mm, w.addr);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_fault, &w), 0);
	while (!gw_u32_load_acquire(&w.attached))
		nap();
	gw_task_interrupt(&w.task);
	pthread_join(thread, NULL);
	assert_int_equal(w.err, -EINTR);
	assert_true(gw_pte_is_migration(w.after));
	thaw_entries(s, page, anon_vma);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* ---- memory runs out ---- */

/* A fault without a frame says -ENOMEM, and works when there is one. */
static void
test_no_frame_for_a_fault(void **state)
{
	struct spaces *s = spaces_create(64);
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 64);
	unsigned n = 0;
	int err;

	(void)state;
	while ((err = gw_cpu_store(mm, a + n * PAGE, n)) == 0)
		n++;
	assert_int_equal(err, -ENOMEM);
	assert_true(n > 32);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(peek(mm, a + i * PAGE), i);
	assert_int_equal(gw_madvise(mm, a, PAGE, GW_MADV_DONTNEED), 0);
	poke(mm, a + n * PAGE, n);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	spaces_destroy(s);
}

/* ---- threads ---- */

#define THREADS 2
#define ROUNDS	300
#define WORDS	32 /* pages */

struct racer {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	unsigned cpu;
	pthread_barrier_t *start;
};

static void *
add_ones(void *arg)
{
	const struct racer *r = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, r->s->m, r->cpu), 0);
	pthread_barrier_wait(r->start);
	for (unsigned i = 0; i < WORDS; i++)
		assert_int_equal(gw_cpu_add(r->mm, r->addr + i * PAGE, 1, NULL), 0);
	gw_task_detach(&task);
	return NULL;
}

/* Two CPUs that fault on the same pages at once get the same page, first touch or copy: no addition
 * is lost (P1, P4). */
static void
test_faults_race(void **state)
{
	struct spaces *s = *state;
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, THREADS);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct gw_mm *mm = new_space(s), *child = NULL;
		gw_vaddr_t a = map(mm, WORDS);
		pthread_t threads[THREADS];
		struct racer racers[THREADS];

		if (round % 2) { /* pages to copy, not to make */
			for (unsigned i = 0; i < WORDS; i++)
				poke(mm, a + i * PAGE, 0);
			child = fork_space(mm);
		}
		for (unsigned i = 0; i < THREADS; i++) {
			racers[i] = (struct racer){s, mm, a, i, &start};
			assert_int_equal(
				pthread_create(&threads[i], NULL, add_ones, &racers[i]), 0);
		}
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		for (unsigned i = 0; i < WORDS; i++)
			assert_int_equal(peek(mm, a + i * PAGE), THREADS);
		assert_int_equal(gw_mm_pages(mm), WORDS);
		if (child)
			gw_mm_put(child);
		gw_mm_put(mm);
	}
	pthread_barrier_destroy(&start);
}

#define FORKS 800
#define PAGES 256

struct forker {
	struct spaces *s;
	struct gw_mm *mm;
	gw_atomic_u32 done;
};

static void *
fork_on_and_on(void *arg)
{
	struct forker *w = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, w->s->m, 1), 0);
	for (unsigned i = 0; i < FORKS; i++)
		gw_mm_put(fork_space(w->mm));
	gw_u32_store_release(&w->done, 1);
	gw_task_detach(&task);
	return NULL;
}

/* Entries become migration entries and pages again while they are copied and given up: none is left
 * behind on either side, no count is wrong (R8, R15, I1, I2). */
static void
test_fork_against_migration(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct forker w = {.s = s, .mm = mm};
	gw_vaddr_t a = map(mm, PAGES);
	uint64_t random = test_seed();
	gw_pfn_t pages[PAGES];
	unsigned bounced = 0;
	pthread_t thread;

	for (unsigned i = 0; i < PAGES; i++) {
		poke(mm, a + i * PAGE, i);
		pages[i] = page_of(mm, a + i * PAGE);
	}
	gw_lru_add_drain_all(s->m);
	assert_int_equal(pthread_create(&thread, NULL, fork_on_and_on, &w), 0);
	while (!gw_u32_load_acquire(&w.done))
		bounced += bounce_entries(s, pages[test_random(&random) % PAGES]);
	pthread_join(thread, NULL);
	print_message("# %u bounces beside %u forks\n", bounced, FORKS);
	verify(s, &mm, 1);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(peek(mm, a + i * PAGE), i);
	gw_mm_put(mm);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, spaces_setup, spaces_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_zero_page),
		TEST(test_new_pages_are_zeroed),
		TEST(test_refused),
		TEST(test_walk_marks),
		TEST(test_fork_copies_on_write),
		TEST(test_sole_mapper_reuses),
		TEST(test_locked_page_is_copied),
		TEST(test_fork_of_migration_entries),
		TEST(test_zapped_entry_stays_away),
		TEST(test_zap_flushes_for_the_migrator),
		TEST(test_fault_waits_for_migration),
		TEST(test_interrupted_wait),
		cmocka_unit_test(test_no_frame_for_a_fault),
		TEST(test_faults_race),
		TEST(test_fork_against_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
