/* SPDX-License-Identifier: MIT */
/*
 * test_mremap.c - moving and resizing mappings, while their pages may be moving too (FACTS R5, R9).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "mm_fixture.h"

static void
fill(struct gw_mm *mm, gw_vaddr_t a, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		poke(mm, a + i * PAGE, i + 1);
}

static void
assert_filled(struct gw_mm *mm, gw_vaddr_t a, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(peek(mm, a + i * PAGE), i + 1);
}

static void
assert_gone(struct spaces *s, struct gw_mm *mm, gw_vaddr_t a, unsigned pages)
{
	uint64_t value;

	for (unsigned i = 0; i < pages; i++)
		for (unsigned cpu = 0; cpu < 2; cpu++)
			assert_int_equal(try_peek(s, cpu, mm, a + i * PAGE, &value), -EFAULT);
}

/* Smaller: the rest goes. Larger, with room: in place. Pages stay where they are. */
static void
test_in_place(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 8), out = 0;
	gw_pfn_t page;

	fill(mm, a, 8);
	page = page_of(mm, a);
	assert_int_equal(gw_mremap(mm, a, 8 * PAGE, 5 * PAGE, &out), 0);
	assert_int_equal(out, a);
	assert_gone(s, mm, a + 5 * PAGE, 3);
	assert_int_equal(gw_mremap(mm, a, 5 * PAGE, 9 * PAGE, &out), 0);
	assert_int_equal(out, a);
	assert_filled(mm, a, 5);
	assert_int_equal(peek(mm, a + 5 * PAGE), 0); /* not what was there before */
	poke(mm, a + 8 * PAGE, 9);
	assert_int_equal(page_of(mm, a), page);
	assert_int_equal(gw_mm_pages(mm), 6);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/*
 * No room: the whole moves, its pages with it, also where tables do not line up; the old place is
 * gone on every CPU, and its tables are free.
 */
static void
test_moves(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	const gw_vaddr_t a = 8 * TABLE - 10 * PAGE;
	gw_vaddr_t out = 0;
	gw_pfn_t pages[10];
	uint64_t free;

	map_at(mm, 4 * PAGE, 504); /* so that the first room is across the end of a table */
	map_at(mm, a, 10);
	map_at(mm, a + 10 * PAGE, 1);
	fill(mm, a, 10);
	child = fork_space(mm);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t value;

		assert_int_equal(try_peek(s, 1, mm, a + i * PAGE, &value), 0);
		pages[i] = page_of(mm, a + i * PAGE);
	}
	free = free_frames(s);
	assert_int_equal(gw_mremap(mm, a, 10 * PAGE, 700 * PAGE, &out), 0);
	assert_int_equal(out, TABLE - 4 * PAGE);
	assert_int_equal(free_frames(s), free - 2 + 1); /* tables made there, freed here */
	assert_gone(s, mm, a, 10);
	assert_filled(mm, out, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(page_of(mm, out + i * PAGE), pages[i]);
	poke(mm, out + 699 * PAGE, 1);
	assert_int_equal(gw_mm_pages(mm), 11);
	verify(s, (struct gw_mm *[]){mm, child}, 2);
	poke(mm, out, 99);
	assert_filled(child, a, 10);
	gw_mm_put(mm);
	gw_mm_put(child);
}

/* A part of a mapping moves; what stays keeps its bytes and is found (R5). */
static void
test_part_moves(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 10), out = 0;

	fill(mm, a, 10);
	assert_int_equal(gw_mremap(mm, a + 3 * PAGE, 4 * PAGE, 6 * PAGE, &out), 0);
	assert_filled(mm, a, 3);
	assert_gone(s, mm, a + 3 * PAGE, 4);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(peek(mm, out + i * PAGE), i < 4 ? i + 4 : 0);
	for (unsigned i = 7; i < 10; i++)
		assert_int_equal(peek(mm, a + i * PAGE), i + 1);
	assert_int_equal(mm->n_vmas, 3);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

static void
test_refused(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 4), out = 1;

	assert_int_equal(gw_munmap(mm, a + PAGE, PAGE), 0);
	assert_int_equal(gw_mremap(mm, a + 1, PAGE, PAGE, &out), -EINVAL);
	assert_int_equal(gw_mremap(mm, a, 0, PAGE, &out), -EINVAL);
	assert_int_equal(gw_mremap(mm, a, PAGE, 0, &out), -EINVAL);
	assert_int_equal(gw_mremap(mm, a, 4 * PAGE, PAGE, &out), -EFAULT); /* a hole */
	assert_int_equal(gw_mremap(mm, a + PAGE, PAGE, 2 * PAGE, &out), -EFAULT);
	assert_int_equal(gw_mremap(mm, a, PAGE, GW_VADDR_END, &out), -ENOMEM);
	assert_int_equal(out, 1);
	gw_mm_put(mm);
}

/* A migration entry moves with the others and is found at its new place (R9, I2). */
static void
test_migration_entry_moves(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	gw_vaddr_t a = map(mm, 4), out = 0;
	struct gw_anon_vma *anon_vma;
	struct gw_task other;
	gw_pfn_t page;

	map_at(mm, a + 4 * PAGE, 1);
	fill(mm, a, 4);
	child = fork_space(mm);
	page = page_of(mm, a + 2 * PAGE);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	assert_int_equal(gw_mremap(mm, a, 4 * PAGE, 8 * PAGE, &out), 0);
	gw_task_detach(&other);
	assert_true(gw_pte_is_migration(entry_of(mm, out + 2 * PAGE)));
	assert_int_equal(entry_of(mm, a + 2 * PAGE), 0);
	thaw_entries(s, page, anon_vma);
	verify(s, (struct gw_mm *[]){mm, child}, 2);
	assert_filled(mm, out, 4);
	assert_filled(child, a, 4);
	gw_mm_put(mm);
	gw_mm_put(child);
}

/* ---- moving both ways at once ---- */

#define ROUNDS 400
#define PAGES  4096 /* so many that moving them takes longer than getting at a lock */

struct mover {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_atomic_u32 done;
};

/* Back and forth, growing and shrinking: there is always something in the way. */
static void *
remap_on_and_on(void *arg)
{
	struct mover *w = arg;
	struct gw_task task;
	gw_vaddr_t wall, out = 0;

	assert_int_equal(gw_task_attach(&task, w->s->m, 1), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(gw_mmap(w->mm, w->addr + PAGES * PAGE, PAGE, READWRITE,
					 GW_MAP_FIXED, &wall),
			0);
		assert_int_equal(
			gw_mremap(w->mm, w->addr, PAGES * PAGE, (PAGES + 2) * PAGE, &out), 0);
		assert_int_equal(gw_munmap(w->mm, wall, PAGE), 0);
		assert_int_equal(gw_mremap(w->mm, out, (PAGES + 2) * PAGE, PAGES * PAGE, &out), 0);
		assert_int_not_equal(out, w->addr);
		w->addr = out;
	}
	gw_u32_store_release(&w->done, 1);
	gw_task_detach(&task);
	return NULL;
}

/* Entries become migration entries and pages again while their mapping moves: none is left behind,
 * whichever comes first at which place (R9, I1, I2). */
static void
test_remap_against_migration(void **state)
{
	struct spaces *s = spaces_create(2 * PAGES);
	struct gw_mm *mm = new_space(s);
	struct mover w = {.s = s, .mm = mm};
	uint64_t random = test_seed();
	static gw_pfn_t pages[PAGES];
	unsigned bounced = 0;
	pthread_t thread;

	(void)state;
	w.addr = map(mm, PAGES);
	fill(mm, w.addr, PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		pages[i] = page_of(mm, w.addr + i * PAGE);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(pthread_create(&thread, NULL, remap_on_and_on, &w), 0);
	while (!gw_u32_load_acquire(&w.done)) {
		assert_true(bounce_entries(s, pages[test_random(&random) % PAGES]));
		bounced++;
	}
	pthread_join(thread, NULL);
	verify(s, &mm, 1);
	assert_filled(mm, w.addr, PAGES);
	print_message("# %u bounces beside %u moves\n", bounced, 2 * ROUNDS);
	gw_mm_put(mm);
	spaces_destroy(s);
}

/* ---- the order of walks ---- */

/* What a walk finds while a mapping is at both places: asked in the flush of the old one. */
static struct asked {
	struct spaces *s;
	struct gw_machine_ops ops;
	const struct gw_machine_ops *real;
	gw_pfn_t page;
	struct places places;
} asked;

static void
ask_in_flush(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	asked.real->flush_range(ctx, mm_id, start, end);
	if (asked.places.n == 0)
		asked.places = places_of(asked.s, asked.page);
}

/* A walk comes to the old place before the new one: what moves cannot slip past it (R9). */
static void
test_walk_order(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 4), out = 0;

	map_at(mm, a + 4 * PAGE, 1);
	fill(mm, a, 4);
	asked = (struct asked){.s = s, .ops = *s->m->ops, .real = s->m->ops};
	asked.ops.flush_range = ask_in_flush;
	asked.page = page_of(mm, a + PAGE);
	s->m->ops = &asked.ops;
	assert_int_equal(gw_mremap(mm, a, 4 * PAGE, 5 * PAGE, &out), 0);
	s->m->ops = asked.real;
	assert_int_equal(asked.places.n, 2);
	assert_int_equal(asked.places.addr[0], a + PAGE);
	assert_int_equal(asked.places.addr[1], out + PAGE);
	gw_mm_put(mm);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, spaces_setup, spaces_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_in_place),
		TEST(test_moves),
		TEST(test_part_moves),
		TEST(test_refused),
		TEST(test_migration_entry_moves),
		TEST(test_walk_order),
		cmocka_unit_test(test_remap_against_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
