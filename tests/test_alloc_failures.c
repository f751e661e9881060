/* SPDX-License-Identifier: MIT */
/*
 * test_alloc_failures.c - a script of all that is done to anonymous memory, run again and again
 * while one allocation after the other fails: of the engine's own memory, then of frames. Whatever
 * fails says -ENOMEM, changes nothing that a program can see, and leaves every invariant standing
 * (mm.h V1 to V3; FACTS I5, I10).
 */
#include "test.h"

#include <errno.h>

#include "godwit/compact.h"
#include "refusal_fixture.h"

#define N_FRAMES 512
#define WORDS	 16
#define TOP	 ((gw_vaddr_t)1 << 40)
#define HEAP	 ((gw_vaddr_t)1 << 39)

/* One run. */
struct script {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t at[WORDS]; /* where word i is */
	gw_vaddr_t spare;     /* four pages without words */
};

static const gw_vaddr_t stack = TOP - PAGE; /* 77 is there */

/* ---- the steps: 0, or -ENOMEM ---- */

static int
create(struct script *t)
{
	struct gw_mm *mm;
	int err = gw_mm_create(t->s->m, &mm);

	if (!err)
		gw_mm_put(mm);
	return err;
}

static int
map_and_touch(struct script *t)
{
	gw_vaddr_t a;
	int err = gw_mmap(t->mm, 0, 3 * PAGE, READWRITE, 0, &a);

	if (err)
		return err;
	err = gw_cpu_store(t->mm, a + PAGE, 5);
	assert_int_equal(gw_munmap(t->mm, a, 3 * PAGE), 0); /* a whole VMA: needs no memory */
	return err;
}

static int
map_over(struct script *t)
{
	gw_vaddr_t out;

	return gw_mmap(t->mm, t->spare + PAGE, PAGE, READWRITE, GW_MAP_FIXED, &out);
}

static int
unmap_a_part(struct script *t)
{
	return gw_munmap(t->mm, t->spare + 2 * PAGE, PAGE);
}

static int
protect_a_part(struct script *t)
{
	int err = gw_mprotect(t->mm, t->at[2], 2 * PAGE, GW_PROT_READ);

	if (!err)
		assert_int_equal(gw_cpu_store(t->mm, t->at[2], 0), -EFAULT);
	return err;
}

static int
advise_a_part(struct script *t)
{
	return gw_madvise(t->mm, t->at[6], PAGE, GW_MADV_NOHUGEPAGE);
}

static int
lock_untouched(struct script *t)
{
	return gw_mlock(t->mm, t->spare, PAGE, true);
}

static int
grow_stack(struct script *t)
{
	return gw_cpu_store(t->mm, stack - 2 * TABLE, 5); /* needs a table, too */
}

static int
grow_heap(struct script *t)
{
	gw_vaddr_t end;
	int err = gw_brk(t->mm, HEAP, &end);

	if (!err)
		err = gw_brk(t->mm, HEAP + 3 * PAGE, &end);
	if (!err)
		err = gw_cpu_store(t->mm, HEAP + PAGE, 5);
	return err;
}

static int
move_mapping(struct script *t)
{
	gw_vaddr_t to;
	int err = gw_mremap(t->mm, t->at[10], 4 * PAGE, 600 * PAGE, &to);

	for (unsigned i = 0; !err && i < 4; i++)
		t->at[10 + i] = to + i * PAGE;
	return err;
}

static int
fork_and_write(struct script *t)
{
	struct gw_mm *child;
	int err = gw_mm_fork(t->mm, &child);

	if (err)
		return err;
	err = gw_cpu_store(child, t->at[0], 99);
	if (!err)
		assert_int_equal(peek(child, t->at[0]), 99);
	if (!err) /* what a child splits has two links to clone */
		err = gw_mprotect(child, t->at[8], PAGE, GW_PROT_NONE);
	assert_int_equal(peek(child, t->at[1]), 2);
	gw_mm_put(child);
	return err;
}

static int
exec(struct script *t)
{
	const uint64_t shift = 2 * TABLE - 3 * PAGE; /* to across the end of a table */
	uint64_t before;
	gw_vaddr_t a;
	struct gw_mm *mm;
	int err = gw_mm_create(t->s->m, &mm);

	if (err)
		return err;
	err = gw_exec_stack(mm, TOP, 6 * PAGE, &a);
	if (!err)
		err = gw_cpu_store(mm, TOP - PAGE, 5);
	if (!err) {
		before = free_frames(t->s);
		err = gw_exec_shift(mm, TOP - PAGE, shift);
		assert_int_equal(peek(mm, TOP - PAGE - (err ? 0 : shift)), 5);
		assert_true(!err || free_frames(t->s) == before);
		if (err)
			verify(t->s, (struct gw_mm *const[]){t->mm, mm}, 2);
	}
	gw_mm_put(mm);
	return err;
}

static int
get_frame(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
}

static int
migrate(struct script *t)
{
	const struct gw_migrate_target target = {.get_new_page = get_frame};
	struct gw_machine *m = t->s->m;
	struct gw_page_list list;
	int left;

	gw_page_list_init(&list);
	gw_lru_add_drain_all(m);
	for (unsigned i = 0; i < WORDS; i++)
		(void)!gw_isolate_page(m, page_of(t->mm, t->at[i]), GW_MIGRATE_SYNC, &list);
	assert_int_equal(list.n, WORDS);
	left = gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL);
	gw_putback_movable_pages(m, &list);
	return left;
}

static int
compact(struct script *t)
{
	gw_compact_all_zones(t->s->m);
	return 0;
}

/* Write the words anew: what a fork left shared is the program's own again, or copied. */
static int
write_words(struct script *t)
{
	for (unsigned i = 4; i < WORDS; i++) {
		int err = gw_cpu_store(t->mm, t->at[i], i + 1);

		if (err)
			return err;
	}
	return 0;
}

/* And what each needs: it must have been refused for want of that. */
static const struct {
	int (*run)(struct script *t);
	unsigned needs;
} steps[] = {
	{create, OWN | FRAMES},
	{map_and_touch, OWN | FRAMES},
	{map_over, OWN},
	{unmap_a_part, OWN},
	{protect_a_part, OWN},
	{advise_a_part, OWN},
	{lock_untouched, OWN | FRAMES},
	{grow_stack, FRAMES},
	{grow_heap, OWN | FRAMES},
	{move_mapping, OWN | FRAMES},
	{fork_and_write, OWN | FRAMES},
	{write_words, 0},
	{exec, OWN | FRAMES},
	{migrate, FRAMES},
	{compact, 0},
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- the runs ---- */

static void
begin(struct script *t, struct spaces *s)
{
	const gw_vaddr_t a = TABLE - 6 * PAGE; /* across the end of a table */
	gw_vaddr_t out;

	t->s = s;
	t->mm = new_space(s);
	map_at(t->mm, a, WORDS);
	for (unsigned i = 0; i < WORDS; i++) {
		t->at[i] = a + i * PAGE;
		poke(t->mm, t->at[i], i + 1);
	}
	map_at(t->mm, a + WORDS * PAGE, GW_PTES_PER_TABLE); /* what grows moves to another table */
	t->spare = map(t->mm, 4);
	assert_int_equal(
		gw_mmap(t->mm, stack, PAGE, READWRITE, GW_MAP_FIXED | GW_MAP_GROWSDOWN, &out), 0);
	poke(t->mm, stack, 77);
	gw_lru_add_drain_all(s->m);
}

/* Every byte is where the program wrote it. */
static void
assert_words(const struct script *t)
{
	for (unsigned i = 0; i < WORDS; i++)
		assert_int_equal(peek(t->mm, t->at[i]), i + 1);
	assert_int_equal(peek(t->mm, stack), 77);
}

/* True if a step was refused; adds to refused[], by step. */
static bool
run(struct script *t, unsigned *refused, unsigned what)
{
	bool any = false;

	for (unsigned i = 0; i < N_STEPS; i++) {
		int err = steps[i].run(t);

		assert_true(err == 0 || err == -ENOMEM);
		if (err) {
			refused[i] |= what;
			any = true;
		}
		assert_words(t);
	}
	return any;
}

static void
assert_refused(const unsigned *refused, unsigned what)
{
	for (unsigned i = 0; i < N_STEPS; i++)
		if ((steps[i].needs & what) != (refused[i] & steps[i].needs))
			fail_msg("step %u was not refused", i);
}

/* Each request for memory of the engine's own fails in one run. */
static void
own_memory_fails(void **state)
{
	struct spaces *s = *state;
	unsigned refused[N_STEPS] = {0};
	uint64_t nth = 0, made;

	do {
		struct script t;

		count_memory(s);
		begin(&t, s);
		(void)gw_soft_fail_alloc(s->soft, ++nth);
		(void)run(&t, refused, OWN);
		made = gw_soft_fail_alloc(s->soft, 0);
		verify(s, &t.mm, 1);
		gw_mm_put(t.mm);
		gw_lru_add_drain_all(s->m);
		assert_int_equal(free_frames(s), s->free);
		end_counting(s);
	} while (nth <= made);
	assert_true(nth > 40);
	assert_refused(refused, OWN);
}

/* Frames run out, in each run one later. */
static void
frames_run_out(void **state)
{
	unsigned refused[N_STEPS] = {0};
	bool any = true;

	(void)state;
	for (unsigned left = 0; any; left++) {
		struct spaces *s = spaces_create(N_FRAMES);
		gw_pfn_t held[N_FRAMES];
		unsigned n = 0;
		struct script t;

		count_memory(s);
		begin(&t, s);
		while (free_frames(s) > left)
			assert_int_equal(gw_alloc_from_zonelist(s->m, GW_GFP_NO_WATERMARKS, 0, 0,
						 GW_WMARK_MIN, &held[n++]),
				0);
		any = run(&t, refused, FRAMES);
		while (n > 0)
			gw_put_page(s->m, held[--n]);
		assert_words(&t);
		verify(s, &t.mm, 1);
		gw_mm_put(t.mm);
		end_counting(s);
		spaces_destroy(s);
	}
	assert_refused(refused, FRAMES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(own_memory_fails, spaces_setup, spaces_teardown),
		cmocka_unit_test(frames_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
