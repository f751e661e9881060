/* SPDX-License-Identifier: MIT */
/*
 * test_brk.c - the heap (mm.h: gw_brk()).
 */
#include "test.h"

#include <errno.h>

#include "machine_fixture.h"
#include "mm_fixture.h"

#define HEAP ((gw_vaddr_t)0x40000000)

static gw_vaddr_t
brk_to(struct gw_mm *mm, gw_vaddr_t end)
{
	gw_vaddr_t out = 0;

	assert_int_equal(gw_brk(mm, end, &out), 0);
	return out;
}

static int
try_brk(struct gw_mm *mm, gw_vaddr_t end)
{
	gw_vaddr_t before = brk_to(mm, 0), out = 0;
	int err = gw_brk(mm, end, &out);

	assert_true(err);
	assert_int_equal(out, before);
	return err;
}

/* The first address is the beginning; memory is there up to the page that the end is in, grows in
 * one VMA, and what was given up comes back as zeroes. */
static void
grows_and_shrinks(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	assert_int_equal(brk_to(mm, 0), 0);
	assert_int_equal(brk_to(mm, HEAP), HEAP);
	assert_int_equal(brk_to(mm, 0), HEAP);
	assert_int_equal(gw_cpu_store(mm, HEAP, 1), -EFAULT);
	assert_int_equal(brk_to(mm, HEAP + 1), HEAP + 1);
	poke(mm, HEAP, 1);
	assert_int_equal(gw_cpu_store(mm, HEAP + PAGE, 1), -EFAULT);
	assert_int_equal(brk_to(mm, HEAP + PAGE), HEAP + PAGE); /* the same page */
	assert_int_equal(brk_to(mm, HEAP + 8 * PAGE), HEAP + 8 * PAGE);
	assert_int_equal(mm->n_vmas, 1);
	for (unsigned i = 1; i < 8; i++)
		poke(mm, HEAP + i * PAGE, i);
	assert_int_equal(brk_to(mm, HEAP + 3 * PAGE - 5), HEAP + 3 * PAGE - 5);
	assert_int_equal(peek(mm, HEAP + 2 * PAGE), 2);
	assert_int_equal(gw_cpu_store(mm, HEAP + 3 * PAGE, 1), -EFAULT);
	assert_int_equal(gw_mm_pages(mm), 3);
	assert_int_equal(brk_to(mm, HEAP + 4 * PAGE), HEAP + 4 * PAGE);
	assert_int_equal(peek(mm, HEAP + 3 * PAGE), 0);
	assert_int_equal(brk_to(mm, HEAP), HEAP);
	assert_int_equal(mm->n_vmas, 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Refused, with nothing changed: below the beginning, over what is mapped or a stack's guard gap,
 * beyond the addresses. */
static void
refused(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t stack = 0;

	assert_int_equal(try_brk(mm, HEAP + 1), -EINVAL);
	assert_int_equal(try_brk(mm, GW_VADDR_END), -ENOMEM);
	assert_int_equal(brk_to(mm, HEAP), HEAP);
	assert_int_equal(brk_to(mm, HEAP + PAGE), HEAP + PAGE);
	assert_int_equal(try_brk(mm, HEAP - 1), -EINVAL);
	map_at(mm, HEAP + 4 * PAGE, 1);
	assert_int_equal(try_brk(mm, HEAP + 4 * PAGE + 1), -ENOMEM);
	assert_int_equal(brk_to(mm, HEAP + 4 * PAGE), HEAP + 4 * PAGE);
	assert_int_equal(gw_munmap(mm, HEAP + 4 * PAGE, PAGE), 0);
	assert_int_equal(gw_mmap(mm, HEAP + 2 * TABLE, PAGE, READWRITE,
				 GW_MAP_FIXED | GW_MAP_GROWSDOWN, &stack),
		0);
	assert_int_equal(try_brk(mm, HEAP + 2 * TABLE - PAGE), -ENOMEM);
	poke(mm, HEAP, 1);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* fork's child goes on with a heap of its own; memory unmapped from a heap's end comes back. */
static void
forked_and_holed(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s)};

	assert_int_equal(brk_to(both[0], HEAP), HEAP);
	assert_int_equal(brk_to(both[0], HEAP + 4 * PAGE), HEAP + 4 * PAGE);
	poke(both[0], HEAP, 1);
	both[1] = fork_space(both[0]);
	assert_int_equal(brk_to(both[1], 0), HEAP + 4 * PAGE);
	assert_int_equal(brk_to(both[1], HEAP + 6 * PAGE), HEAP + 6 * PAGE);
	poke(both[1], HEAP, 2);
	poke(both[1], HEAP + 5 * PAGE, 2);
	assert_int_equal(peek(both[0], HEAP), 1);
	assert_int_equal(gw_cpu_store(both[0], HEAP + 5 * PAGE, 1), -EFAULT);

	map_at(both[0], HEAP + 9 * PAGE, 1);
	assert_int_equal(gw_munmap(both[0], HEAP + 2 * PAGE, 2 * PAGE), 0);
	assert_int_equal(brk_to(both[0], HEAP + 5 * PAGE), HEAP + 5 * PAGE);
	poke(both[0], HEAP + 4 * PAGE, 1);
	assert_int_equal(gw_cpu_store(both[0], HEAP + 3 * PAGE, 1), -EFAULT); /* its hole stays */
	poke(both[0], HEAP + 9 * PAGE, 1);
	assert_int_equal(brk_to(both[0], HEAP), HEAP);
	end_spaces(s, both, 2);
}

/* What was asked for a part of the heap, a lock or a policy, is not for what comes after it. */
static void
grows_plain(void **state)
{
	const struct gw_policy bind = {.mode = GW_POLICY_BIND, .nodes = 1};
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_policy policy;

	assert_int_equal(brk_to(mm, HEAP), HEAP);
	assert_int_equal(brk_to(mm, HEAP + PAGE), HEAP + PAGE);
	assert_int_equal(gw_mbind(mm, HEAP, PAGE, &bind, 0), 0);
	assert_int_equal(brk_to(mm, HEAP + 2 * PAGE), HEAP + 2 * PAGE);
	assert_int_equal(gw_get_policy(mm, HEAP + PAGE, &policy), 0);
	assert_int_equal(policy.mode, GW_POLICY_DEFAULT);
	assert_int_equal(gw_mlock(mm, HEAP + PAGE, PAGE, true), 0);
	assert_int_equal(brk_to(mm, HEAP + 3 * PAGE), HEAP + 3 * PAGE);
	assert_int_equal(gw_mm_pages(mm), 1); /* the locked one */
	assert_int_equal(brk_to(mm, HEAP), HEAP);
	end_spaces(s, &mm, 1);
}

/* Without memory for a VMA the end stays where it was. */
static void
no_memory(void **state)
{
	struct fixture *f = fixture_create(64, 1, 4);
	struct gw_mm *mm = NULL;

	(void)state;
	assert_int_equal(gw_mm_create(f->m, &mm), 0);
	assert_int_equal(brk_to(mm, HEAP), HEAP);
	f->fail_at = gw_u64_load_relaxed(&f->allocations) + 1;
	assert_int_equal(try_brk(mm, HEAP + 4 * PAGE), -ENOMEM);
	f->fail_at = 0;
	assert_int_equal(brk_to(mm, HEAP + 4 * PAGE), HEAP + 4 * PAGE);
	gw_mm_put(mm);
	gw_rcu_barrier();
	fixture_destroy(f);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, spaces_setup, spaces_teardown)
	const struct CMUnitTest tests[] = {
		TEST(grows_and_shrinks),
		TEST(refused),
		TEST(forked_and_holed),
		TEST(grows_plain),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
