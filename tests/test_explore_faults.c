/* SPDX-License-Identifier: MIT */
/*
 * test_explore_faults.c - planted faults, each of which every search must find.
 */
#include "test.h"

#include <errno.h>

#include "engine/sync/sync.h"
#include "explore_fixture.h"

#define LOCKED	1u
#define WAITERS 2u

struct faults {
	uint64_t final;
	gw_mutex a, b;
	gw_waitq_table waits;
	gw_atomic_u32 word;
	gw_atomic_ptr object; /* uint64_t */
	gw_atomic_u32 ready, data;
	gw_rcu_head rcu;
};

struct node {
	uint64_t value;
	gw_rcu_head rcu;
};

static int
prepare(void *state)
{
	struct faults *f = state;
	struct node *node = gw_explore_alloc(sizeof(*node));

	if (!node)
		return -ENOMEM;
	gw_mutex_init(&f->a, GW_RANK_PAGETABLE);
	gw_mutex_init(&f->b, GW_RANK_PAGETABLE);
	node->value = 7;
	gw_ptr_store_relaxed(&f->object, node);
	gw_explore_name(&f->word, sizeof(f->word), "word");
	gw_explore_name(&f->object, sizeof(f->object), "object");
	return gw_waitq_table_init(&f->waits, 0, NULL, NULL);
}

static void
lock_a_b(void *state)
{
	struct faults *f = state;

	gw_mutex_lock(&f->a);
	gw_mutex_lock(&f->b);
	gw_mutex_unlock(&f->b);
	gw_mutex_unlock(&f->a);
}

static void
lock_b_a(void *state)
{
	struct faults *f = state;

	gw_mutex_lock(&f->b);
	gw_mutex_lock(&f->a);
	gw_mutex_unlock(&f->a);
	gw_mutex_unlock(&f->b);
}

static void
take_bit(struct faults *f)
{
	if (!gw_bit_trylock(&f->word, LOCKED) && gw_bit_wait(&f->waits, &f->word, LOCKED, WAITERS,
							 GW_WAIT_EXCLUSIVE, false, NULL, NULL))
		gw_explore_fail("a wait that nobody interrupts was interrupted");
}

static void
lock_bit(void *state)
{
	struct faults *f = state;

	take_bit(f);
	gw_bit_unlock(&f->waits, &f->word, LOCKED, WAITERS);
}

static void
lock_bit_and_forget_waiters(void *state)
{
	struct faults *f = state;

	take_bit(f);
	gw_lock_forget(GW_RANK_PAGE, false);
	gw_u32_and_release(&f->word, ~LOCKED);
}

static void
read_object(void *state)
{
	struct faults *f = state;
	struct node *node = gw_ptr_load_acquire(&f->object);

	if (!node)
		return;
	gw_explore_access(&node->value, false);
	gw_explore_check(node->value == 7);
}

static void
read_object_in_section(void *state)
{
	gw_rcu_read_lock();
	read_object(state);
	gw_rcu_read_unlock();
}

static void
free_node(gw_rcu_head *head)
{
	gw_explore_free((char *)head - offsetof(struct node, rcu));
}

static void
free_object_later(void *state)
{
	struct node *node = gw_ptr_xchg_acq_rel(&((struct faults *)state)->object, NULL);

	gw_rcu_defer(&node->rcu, free_node);
}

/* Says nothing of its write: that shows at the end. */
static void
free_and_write(void *state)
{
	struct node *node = gw_ptr_xchg_acq_rel(&((struct faults *)state)->object, NULL);

	gw_explore_free(node);
	node->value = 8;
}

static void
free_unless_ready(void *state)
{
	struct faults *f = state;
	void *p = gw_explore_alloc(24);

	if (!gw_u32_load_relaxed(&f->ready))
		gw_explore_free(p);
}

static void
be_ready(void *state)
{
	gw_u32_store_relaxed(&((struct faults *)state)->ready, 1);
}

static void
publish_too_early(void *state)
{
	struct faults *f = state;

	gw_u32_store_release(&f->ready, 1);
	gw_u32_store_relaxed(&f->data, 5);
}

static void
publish(void *state)
{
	struct faults *f = state;

	gw_u32_store_relaxed(&f->data, 5);
	gw_u32_store_release(&f->ready, 1);
}

static void
read_data(void *state)
{
	struct faults *f = state;

	if (gw_u32_load_acquire(&f->ready))
		gw_explore_check(gw_u32_load_relaxed(&f->data) == 5);
}

static void
wait_until_ready(void *state)
{
	struct faults *f = state;

	while (!gw_u32_load_acquire(&f->ready))
		gw_relax();
}

static void
lock_zone_then_lru(void *state)
{
	struct faults *f = state;
	gw_spinlock zone, lru;

	gw_spin_init(&zone, GW_RANK_ZONE);
	gw_spin_init(&lru, GW_RANK_LRU);
	(void)f;
	gw_spin_lock(&zone);
	gw_spin_lock(&lru);
	gw_spin_unlock(&lru);
	gw_spin_unlock(&zone);
}

static void
follow_wild_pointer(void *state)
{
	struct faults *f = state;

	if (gw_u32_load_acquire(&f->ready))
		f->final = **(uint64_t *volatile *)&(uint64_t *){(uint64_t *)8};
}

static void
use_much_stack(void *state)
{
	volatile char room[80 << 10];

	(void)state;
	for (size_t i = sizeof(room); i-- > 0;)
		room[i] = 0;
	gw_u32_store_relaxed(&((struct faults *)state)->ready, room[0] == 0);
}

#define FAULT(id, ...)                                                                             \
	static const struct gw_explore_scenario id = {                                             \
		.name = #id,                                                                       \
		.state_size = sizeof(struct faults),                                               \
		.setup = prepare,                                                                  \
		.tasks = {__VA_ARGS__},                                                            \
	}

FAULT(abba, {"ab", lock_a_b, 0}, {"ba", lock_b_a, 0});
FAULT(abab, {"ab", lock_a_b, 0}, {"ab", lock_a_b, 0});
FAULT(lost_wake, {"one", lock_bit_and_forget_waiters, 0}, {"two", lock_bit, 0});
FAULT(no_lost_wake, {"one", lock_bit, 0}, {"two", lock_bit, 0}, {"three", lock_bit, 0});
FAULT(freed_in_use, {"reader", read_object, 0}, {"writer", free_object_later, 0});
FAULT(write_after_free, {"writer", free_and_write, 0});
FAULT(leak, {"one", free_unless_ready, 0}, {"two", be_ready, 0});
FAULT(stale_value, {"writer", publish_too_early, 0}, {"reader", read_data, 0});
FAULT(no_stale_value, {"writer", publish, 0}, {"reader", read_data, 0});
FAULT(spin_for_ever, {"waiter", wait_until_ready, 0}, {"other", read_data, 0});
FAULT(spin_a_while, {"waiter", wait_until_ready, 0}, {"other", be_ready, 0});
FAULT(wrong_rank, {"one", lock_zone_then_lru, 0});
FAULT(wild, {"one", follow_wild_pointer, 0}, {"two", be_ready, 0});
FAULT(deep, {"one", use_much_stack, 0});

static void
let_go(void *state)
{
	(void)state; /* the writer has */
}

static const struct gw_explore_scenario rcu_right = {
	.name = "rcu",
	.state_size = sizeof(struct faults),
	.setup = prepare,
	.tasks = {{.name = "reader", .run = read_object_in_section},
		{.name = "reader2", .run = read_object_in_section},
		{.name = "writer", .run = free_object_later}},
	.teardown = let_go,
};

/* Each fault is found, whatever the search; the right program next to it is clean. */
static void
test_planted_faults(void **state)
{
	(void)state;
	assert_finds(&abba, GW_EXPLORE_DEADLOCK);
	assert_clean(&abab);
	assert_finds(&lost_wake, GW_EXPLORE_LOST_WAKE);
	assert_clean(&no_lost_wake);
	assert_finds(&freed_in_use, GW_EXPLORE_USE_FREED);
	assert_clean(&rcu_right);
	assert_finds(&write_after_free, GW_EXPLORE_USE_FREED);
	assert_finds(&leak, GW_EXPLORE_LEAK);
	assert_finds(&stale_value, GW_EXPLORE_CHECK);
	assert_clean(&no_stale_value);
	assert_finds(&spin_for_ever, GW_EXPLORE_LIVELOCK);
	assert_clean(&spin_a_while);
	assert_finds(&wrong_rank, GW_EXPLORE_BUG);
	assert_finds(&wild, GW_EXPLORE_WILD);
	assert_finds(&deep, GW_EXPLORE_WILD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_faults),
	};

	return cmocka_run_group_tests_name("explore_faults", tests, NULL, NULL);
}
