/* SPDX-License-Identifier: MIT */
/*
 * test_mm_users.c - who keeps an address space: users its memory, counts its object.
 */
#include <pthread.h>

#include "test.h"

#include "mm_fixture.h"

#define KEEPERS 2
#define ROUNDS	200

/* The last user takes all with it, earlier ones nothing; numbers are never given twice. */
static void
users_keep_the_memory(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *other = new_space(s);
	gw_vaddr_t a = map(mm, 1);

	assert_int_not_equal(gw_mm_id(mm), gw_mm_id(other));
	assert_int_not_equal(gw_mm_id(mm), 0);
	poke(mm, a, 3);
	gw_mm_get(mm);
	gw_mm_put(mm);
	assert_int_equal(peek(mm, a), 3);
	gw_mm_put(mm);
	gw_mm_put(other);
	assert_int_equal(free_frames(s), s->free);
}

/* A count keeps the object, not the memory; as long as there is a user there can be more. */
static void
counts_keep_the_object(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	uint32_t id = gw_mm_id(mm);
	gw_vaddr_t a = map(mm, 1);

	poke(mm, a, 3);
	gw_mm_grab(mm);
	assert_true(gw_mm_get_unless_zero(mm));
	gw_mm_put(mm);
	assert_int_equal(peek(mm, a), 3);
	gw_mm_put(mm);
	assert_int_equal(free_frames(s), s->free);
	assert_false(gw_mm_get_unless_zero(mm));
	assert_int_equal(gw_mm_id(mm), id);
	gw_mm_drop(mm);
}

/* The count of the users together is not one that others could give up. */
static void
counts_end_before_users(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 1);

	gw_mm_grab(mm);
	gw_mm_drop(mm);
	poke(mm, a, 3);
	assert_int_equal(peek(mm, a), 3);
	assert_true(gw_mm_get_unless_zero(mm));
	gw_mm_put(mm);
	gw_mm_put(mm);
}

struct keeper {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t a;
	unsigned cpu;
	bool lost;
	pthread_t thread;
};

/* Come back as long as there is a user. */
static void *
keep(void *arg)
{
	struct keeper *k = arg;
	struct gw_task task;
	uint64_t value;

	if (gw_task_attach(&task, k->s->m, k->cpu)) {
		k->lost = true;
		return NULL;
	}
	while (gw_mm_get_unless_zero(k->mm)) {
		k->lost |= gw_cpu_load(k->mm, k->a, &value) || value != 7;
		gw_mm_put(k->mm);
	}
	gw_mm_drop(k->mm);
	gw_task_detach(&task);
	return NULL;
}

/* Whoever becomes a user beside the exit of the last one has all of the memory, or is none. */
static void
users_race_with_the_last_one(void **state)
{
	struct spaces *s = *state;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct gw_mm *mm = new_space(s);
		struct keeper k[KEEPERS];

		for (unsigned i = 0; i < KEEPERS; i++)
			k[i] = (struct keeper){.s = s, .mm = mm, .cpu = 1 + i, .a = map(mm, 1)};
		for (unsigned i = 0; i < KEEPERS; i++) {
			poke(mm, k[i].a, 7);
			gw_mm_grab(mm);
			assert_int_equal(pthread_create(&k[i].thread, NULL, keep, &k[i]), 0);
		}
		gw_mm_put(mm);
		for (unsigned i = 0; i < KEEPERS; i++) {
			pthread_join(k[i].thread, NULL);
			assert_false(k[i].lost);
		}
		assert_int_equal(free_frames(s), s->free);
	}
}

/* A CPU for each thread. */
static int
setup(void **state)
{
	*state = spaces_of(1 + KEEPERS, 1, 1024);
	return 0;
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, spaces_teardown)
	const struct CMUnitTest tests[] = {
		T(users_keep_the_memory),
		T(counts_keep_the_object),
		T(counts_end_before_users),
		T(users_race_with_the_last_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
