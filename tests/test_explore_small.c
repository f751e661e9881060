/* SPDX-License-Identifier: MIT */
/*
 * test_explore_small.c - the explorer on programs that are small enough to know the answer.
 *
 * Each program is a scenario without a machine. Where reduction is compared with brute force, the
 * sets of final states must be equal.
 */
#include "test.h"

#include <errno.h>

#include "engine/sync/sync.h"
#include "explore_fixture.h"

/* ---- a lost update ---- */

struct counter {
	uint64_t final;
	gw_atomic_u64 n;
};

static void
count_badly(void *state)
{
	struct counter *c = state;

	gw_u64_store_relaxed(&c->n, gw_u64_load_relaxed(&c->n) + 1);
}

static void
count_well(void *state)
{
	struct counter *c = state;

	gw_u64_add_relaxed(&c->n, 1);
}

static void
note_count(void *state)
{
	struct counter *c = state;

	c->final = c->n.v;
}

static void
expect_two(void *state)
{
	note_count(state);
	gw_explore_check(((struct counter *)state)->n.v == 2);
}

static const struct gw_explore_scenario lost_update = {
	.name = "lost-update",
	.state_size = sizeof(struct counter),
	.tasks = {{.name = "left", .run = count_badly}, {.name = "right", .run = count_badly}},
	.check = expect_two,
};

static const struct gw_explore_scenario lost_update_of_three = {
	.name = "lost-update-of-three",
	.state_size = sizeof(struct counter),
	.tasks = {{.name = "a", .run = count_badly}, {.name = "b", .run = count_badly},
		{.name = "c", .run = count_badly}},
	.check = note_count,
};

static const struct gw_explore_scenario atomic_update = {
	.name = "atomic-update",
	.state_size = sizeof(struct counter),
	.tasks = {{.name = "left", .run = count_well}, {.name = "right", .run = count_well}},
	.check = expect_two,
};

/* Two read-modify-writes in two halves lose one; in one, none. */
static void
test_lost_update(void **state)
{
	(void)state;
	assert_finds(&lost_update, GW_EXPLORE_CHECK);
	assert_clean(&atomic_update);
	assert_reduction_is_sound(&lost_update_of_three, 3);
}

/* ---- mutual exclusion ---- */

struct peterson {
	uint64_t final;
	gw_atomic_u32 wants[2], turn;
	uint64_t inside;
	bool broken;
};

/* In two halves: another task inside would lose an update. */
static void
critical_section(uint64_t *inside)
{
	uint64_t n;

	gw_explore_access(inside, false);
	n = *inside;
	gw_explore_access(inside, true);
	*inside = n + 1;
}

static void
enter_by_turns(void *state, bool raises_flag)
{
	struct peterson *p = state;
	unsigned me = gw_current_cpu(), other = 1 - me;

	if (raises_flag)
		gw_u32_store_relaxed(&p->wants[me], 1);
	gw_u32_store_relaxed(&p->turn, other);
	while (gw_u32_load_relaxed(&p->wants[other]) && gw_u32_load_relaxed(&p->turn) == other)
		gw_relax();
	critical_section(&p->inside);
	gw_u32_store_relaxed(&p->wants[me], 0);
}

static void
peterson(void *state)
{
	enter_by_turns(state, true);
}

static void
peterson_without_flag(void *state)
{
	enter_by_turns(state, false);
}

static void
expect_two_inside(void *state)
{
	struct peterson *p = state;

	p->final = p->inside << 8 | p->turn.v;
	gw_explore_check(p->inside == 2);
}

static const struct gw_explore_scenario peterson_right = {
	.name = "peterson",
	.state_size = sizeof(struct peterson),
	.tasks = {{.name = "zero", .run = peterson}, {.name = "one", .run = peterson, .cpu = 1}},
	.check = expect_two_inside,
};

static const struct gw_explore_scenario peterson_broken = {
	.name = "peterson-without-flag",
	.state_size = sizeof(struct peterson),
	.tasks = {{.name = "zero", .run = peterson},
		{.name = "one", .run = peterson_without_flag, .cpu = 1}},
	.check = expect_two_inside,
};

/* Peterson's algorithm excludes; without one task's flag it does not. */
static void
test_peterson(void **state)
{
	(void)state;
	assert_clean(&peterson_right);
	assert_reduction_is_sound(&peterson_right, 2);
	assert_finds(&peterson_broken, GW_EXPLORE_CHECK);
}

/* ---- dining philosophers ---- */

#define SEATS 3

struct table {
	uint64_t final;
	gw_mutex forks[SEATS]; /* of the rank of which two may nest */
	uint64_t eaten;
};

static int
lay_table(void *state)
{
	struct table *t = state;

	for (unsigned i = 0; i < SEATS; i++)
		gw_mutex_init(&t->forks[i], GW_RANK_PAGETABLE);
	return 0;
}

static void
dine(struct table *t, unsigned first, unsigned second)
{
	gw_mutex_lock(&t->forks[first]);
	gw_mutex_lock(&t->forks[second]);
	t->eaten = t->eaten * 4 + gw_current_cpu() + 1;
	gw_mutex_unlock(&t->forks[second]);
	gw_mutex_unlock(&t->forks[first]);
}

static void
left_fork_first(void *state)
{
	unsigned me = gw_current_cpu();

	dine(state, me, (me + 1) % SEATS);
}

static void
lower_fork_first(void *state)
{
	unsigned me = gw_current_cpu(), next = (me + 1) % SEATS;

	dine(state, me < next ? me : next, me < next ? next : me);
}

static void
note_order(void *state)
{
	struct table *t = state;

	t->final = t->eaten;
}

static const struct gw_explore_scenario philosophers = {
	.name = "philosophers",
	.state_size = sizeof(struct table),
	.setup = lay_table,
	.tasks = {{.name = "a", .run = left_fork_first},
		{.name = "b", .run = left_fork_first, .cpu = 1},
		{.name = "c", .run = left_fork_first, .cpu = 2}},
	.check = note_order,
};

static const struct gw_explore_scenario orderly_philosophers = {
	.name = "orderly-philosophers",
	.state_size = sizeof(struct table),
	.setup = lay_table,
	.tasks = {{.name = "a", .run = lower_fork_first},
		{.name = "b", .run = lower_fork_first, .cpu = 1},
		{.name = "c", .run = lower_fork_first, .cpu = 2}},
	.check = note_order,
};

/* Three who take their left fork first starve; in the order of the forks all eat, in any of the six
 * orders. */
static void
test_philosophers(void **state)
{
	(void)state;
	assert_finds(&philosophers, GW_EXPLORE_DEADLOCK);
	assert_clean(&orderly_philosophers);
	assert_reduction_is_sound(&orderly_philosophers, 6);
	assert_reduction_is_sound(&philosophers, 6);
}

/* ---- reference counts ---- */

struct object {
	gw_refcount refs;
	uint64_t value;
};

struct owner {
	uint64_t final;
	struct object *object;
};

static int
make_object(void *state)
{
	struct owner *o = state;

	o->object = gw_explore_alloc(sizeof(*o->object));
	if (!o->object)
		return -ENOMEM;
	gw_ref_set(&o->object->refs, 2);
	return 0;
}

static void
use(struct object *object)
{
	gw_explore_access(&object->value, true);
	object->value++;
}

static void
put_well(void *state)
{
	struct object *object = ((struct owner *)state)->object;

	use(object);
	if (gw_ref_put(&object->refs))
		gw_explore_free(object);
}

/* Looks whether it is the last, then goes. */
static void
put_badly(void *state)
{
	struct object *object = ((struct owner *)state)->object;

	if (gw_ref_read(&object->refs) == 1) {
		gw_explore_free(object);
		return;
	}
	use(object);
	(void)gw_ref_put(&object->refs);
}

static void
free_state(void *state)
{
	(void)state;
}

static const struct gw_explore_scenario refcount_right = {
	.name = "refcount",
	.state_size = sizeof(struct owner),
	.setup = make_object,
	.tasks = {{.name = "a", .run = put_well}, {.name = "b", .run = put_well},
		{.name = "c", .run = free_state}},
	.teardown = free_state,
};

static const struct gw_explore_scenario refcount_broken = {
	.name = "refcount-looked-at",
	.state_size = sizeof(struct owner),
	.setup = make_object,
	.tasks = {{.name = "a", .run = put_badly}, {.name = "b", .run = put_badly}},
	.teardown = free_state,
};

/* A count that is dropped and looked at in one step frees once, at the end; looked at first, two
 * who see two leave the object behind. */
static void
test_refcount(void **state)
{
	(void)state;
	assert_clean(&refcount_right);
	assert_finds(&refcount_broken, GW_EXPLORE_LEAK);
}

/* ---- litmus tests ---- */

struct litmus {
	uint64_t final;
	gw_atomic_u32 x, y;
	uint32_t r[4];
};

static void
note_registers(void *state)
{
	struct litmus *l = state;

	l->final = l->r[0] | l->r[1] << 1 | l->r[2] << 2 | l->r[3] << 3;
}

static void
write_x_read_y(void *state)
{
	struct litmus *l = state;

	gw_u32_store_relaxed(&l->x, 1);
	l->r[0] = gw_u32_load_relaxed(&l->y);
}

static void
write_y_read_x(void *state)
{
	struct litmus *l = state;

	gw_u32_store_relaxed(&l->y, 1);
	l->r[1] = gw_u32_load_relaxed(&l->x);
}

static void
write_x_write_y(void *state)
{
	struct litmus *l = state;

	gw_u32_store_relaxed(&l->x, 1);
	gw_u32_store_relaxed(&l->y, 1);
}

static void
read_y_read_x(void *state)
{
	struct litmus *l = state;

	l->r[0] = gw_u32_load_relaxed(&l->y);
	l->r[1] = gw_u32_load_relaxed(&l->x);
}

static void
read_x_write_y(void *state)
{
	struct litmus *l = state;

	l->r[0] = gw_u32_load_relaxed(&l->x);
	gw_u32_store_relaxed(&l->y, 1);
}

static void
read_y_write_x(void *state)
{
	struct litmus *l = state;

	l->r[1] = gw_u32_load_relaxed(&l->y);
	gw_u32_store_relaxed(&l->x, 1);
}

static void
write_x(void *state)
{
	gw_u32_store_relaxed(&((struct litmus *)state)->x, 1);
}

static void
write_y(void *state)
{
	gw_u32_store_relaxed(&((struct litmus *)state)->y, 1);
}

static void
read_x_read_y(void *state)
{
	struct litmus *l = state;

	l->r[2] = gw_u32_load_relaxed(&l->x);
	l->r[3] = gw_u32_load_relaxed(&l->y);
}

#define LITMUS(id, ...)                                                                            \
	static const struct gw_explore_scenario id = {                                             \
		.name = #id,                                                                       \
		.state_size = sizeof(struct litmus),                                               \
		.tasks = {__VA_ARGS__},                                                            \
		.check = note_registers,                                                           \
	}

LITMUS(sb, {"p0", write_x_read_y, 0}, {"p1", write_y_read_x, 0});
LITMUS(mp, {"p0", write_x_write_y, 0}, {"p1", read_y_read_x, 0});
LITMUS(lb, {"p0", read_x_write_y, 0}, {"p1", read_y_write_x, 0});
LITMUS(iriw, {"p0", write_x, 0}, {"p1", write_y, 0}, {"p2", read_x_read_y, 0},
	{"p3", read_y_read_x, 0});

static bool
reaches(const struct gw_explore_scenario *scenario, uint64_t final)
{
	static struct states states;
	struct gw_explore_result result = search(scenario, GW_EXPLORE_DPOR, &states);

	gw_explore_result_free(&result);
	for (size_t i = 0; i < states.n; i++)
		if (states.seen[i] == final)
			return true;
	return false;
}

/* Store buffering, message passing, load buffering, independent reads of independent writes: under
 * sequential consistency all outcomes but one. */
static void
test_litmus(void **state)
{
	(void)state;
	assert_reduction_is_sound(&sb, 3);
	assert_false(reaches(&sb, 0));
	assert_reduction_is_sound(&mp, 3);
	assert_false(reaches(&mp, 1));
	assert_reduction_is_sound(&lb, 3);
	assert_false(reaches(&lb, 3));
	assert_reduction_is_sound(&iriw, 15);
	assert_false(reaches(&iriw, 1 | 4)); /* each reader sees the other write missing */
}

/* ---- random programs ---- */

#define LOCKED	1u
#define WAITERS 2u

enum op {
	OP_LOAD,
	OP_STORE,
	OP_ADD,
	OP_CAS,
	OP_LOCKED, /* two operations under the lock */
	OP_TRYLOCK,
	OP_READ_LOCKED,
	OP_BIT,
	OP_RCU_DEFER,
	OP_RCU_READ,
	OP_NR
};

#define RANDOM_TASKS 3
#define RANDOM_OPS   3

static struct {
	enum op op;
	unsigned var;
} program[RANDOM_TASKS][RANDOM_OPS];

struct random_state {
	uint64_t final;
	gw_atomic_u32 vars[2], word;
	gw_spinlock lock;
	gw_rwlock rw;
	gw_waitq_table waits;
	uint64_t by_lock, by_bit; /* guarded by lock, by word */
	uint64_t seen[RANDOM_TASKS];
	gw_rcu_head heads[RANDOM_TASKS * RANDOM_OPS];
	unsigned n_heads;
};

static int
prepare_random(void *state)
{
	struct random_state *s = state;

	gw_spin_init(&s->lock, GW_RANK_LEAF);
	gw_rw_init(&s->rw, GW_RANK_MMAP);
	return gw_waitq_table_init(&s->waits, 0, NULL, NULL);
}

static void
mix(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ (value + 1)) * UINT64_C(0x9e3779b97f4a7c15);
}

static void
deferred(gw_rcu_head *head)
{
	head->fn = NULL;
}

static void
do_op(struct random_state *s, unsigned me, unsigned i)
{
	gw_atomic_u32 *var = &s->vars[program[me][i].var];
	uint64_t *seen = &s->seen[me];
	gw_rcu_head *head = &s->heads[me * RANDOM_OPS + i];
	uint32_t expected = me;

	switch (program[me][i].op) {
	case OP_LOAD:
		mix(seen, gw_u32_load_relaxed(var));
		break;
	case OP_STORE:
		gw_u32_store_relaxed(var, me + 1);
		break;
	case OP_ADD:
		mix(seen, gw_u32_add_relaxed(var, 1));
		break;
	case OP_CAS:
		mix(seen, gw_u32_cas_relaxed(var, &expected, me + 5));
		break;
	case OP_LOCKED:
		gw_spin_lock(&s->lock);
		s->by_lock = s->by_lock * 5 + me + 1;
		mix(seen, gw_u32_load_relaxed(var));
		gw_spin_unlock(&s->lock);
		break;
	case OP_TRYLOCK:
		if (!gw_rw_write_trylock(&s->rw)) {
			mix(seen, 77);
			break;
		}
		gw_u32_store_relaxed(var, me + 9);
		gw_rw_write_unlock(&s->rw);
		break;
	case OP_READ_LOCKED:
		gw_rw_read_lock(&s->rw);
		mix(seen, gw_u32_load_relaxed(var));
		gw_rw_read_unlock(&s->rw);
		break;
	case OP_BIT:
		if (!gw_bit_trylock(&s->word, LOCKED) &&
			gw_bit_wait(&s->waits, &s->word, LOCKED, WAITERS, GW_WAIT_EXCLUSIVE, false,
				NULL, NULL))
			gw_explore_fail("interrupted");
		s->by_bit = s->by_bit * 7 + me + 1;
		gw_bit_unlock(&s->waits, &s->word, LOCKED, WAITERS);
		break;
	case OP_RCU_DEFER:
		gw_rcu_defer(head, deferred);
		mix(seen, head->fn == NULL); /* at once, or was there a reader */
		break;
	case OP_RCU_READ:
		gw_rcu_read_lock();
		mix(seen, gw_u32_load_relaxed(var));
		gw_rcu_read_unlock();
		break;
	case OP_NR: /* none */
		break;
	}
}

static void
run_random(void *state)
{
	unsigned me = gw_current_cpu();

	for (unsigned i = 0; i < RANDOM_OPS; i++)
		do_op(state, me, i);
}

static void
note_random(void *state)
{
	struct random_state *s = state;

	s->final = 0;
	for (unsigned i = 0; i < RANDOM_TASKS; i++)
		mix(&s->final, s->seen[i]);
	mix(&s->final, s->vars[0].v);
	mix(&s->final, s->vars[1].v);
	mix(&s->final, s->by_lock);
	mix(&s->final, s->by_bit);
}

static const struct gw_explore_scenario random_program = {
	.name = "random-program",
	.state_size = sizeof(struct random_state),
	.setup = prepare_random,
	.tasks = {{.name = "a", .run = run_random}, {.name = "b", .run = run_random, .cpu = 1},
		{.name = "c", .run = run_random, .cpu = 2}},
	.check = note_random,
};

/* Two tasks of three operations, or three tasks of two, one and one. */
static void
draw_program(uint64_t *random)
{
	const unsigned lengths[2][RANDOM_TASKS] = {{3, 3, 0}, {2, 1, 1}};
	const unsigned *length = lengths[test_random(random) % 2];

	for (unsigned t = 0; t < RANDOM_TASKS; t++) {
		for (unsigned i = 0; i < RANDOM_OPS; i++) {
			program[t][i].op =
				i < length[t] ? (enum op)(test_random(random) % OP_NR) : OP_NR;
			program[t][i].var = (unsigned)(test_random(random) % 2);
		}
	}
}

static void
print_program(void)
{
	for (unsigned t = 0; t < RANDOM_TASKS; t++)
		for (unsigned i = 0; i < RANDOM_OPS; i++)
			print_message("# task %u: operation %u of variable %u\n", t,
				(unsigned)program[t][i].op, program[t][i].var);
}

/* Random programs of all kinds of operations: reduction reaches every final state that brute force
 * does. A brute force that takes too long is left out. */
static void
test_random_programs(void **state)
{
	static struct states brute, reduced;
	uint64_t random = test_seed(), brute_runs = 0, reduced_runs = 0, cut = 0;
	unsigned compared = 0;

	(void)state;
	for (unsigned n = 0; n < 100; n++) {
		struct gw_explore_options options = {.search = GW_EXPLORE_BRUTE,
			.max_runs = 150000,
			.outcome = add_state,
			.ctx = &brute};
		struct gw_explore_result b, r;

		draw_program(&random);
		brute.n = 0;
		assert_int_equal(gw_explore_run(&random_program, &options, &b), 0);
		r = search(&random_program, GW_EXPLORE_DPOR, &reduced);
		sort_states(&brute);
		assert_int_equal(b.kind, GW_EXPLORE_NOTHING);
		assert_int_equal(r.kind, GW_EXPLORE_NOTHING);
		if (b.extent == GW_EXPLORE_EXHAUSTED) {
			compared++;
			brute_runs += b.runs;
			reduced_runs += r.runs;
			cut += r.cut;
			if (reduced.n != brute.n)
				print_program();
			assert_int_equal(reduced.n, brute.n);
			assert_memory_equal(
				reduced.seen, brute.seen, brute.n * sizeof(brute.seen[0]));
		}
		gw_explore_result_free(&b);
		gw_explore_result_free(&r);
	}
	print_message("# %u programs compared; runs: %llu brute force, %llu reduced (%llu cut)\n",
		compared, (unsigned long long)brute_runs, (unsigned long long)reduced_runs,
		(unsigned long long)cut);
	assert_true(compared >= 50);
}

/* ---- speed ---- */

/* At least 20,000 runs a second wherever the tests run; the figure aimed at is 100,000 (docs). */
static void
test_speed(void **state)
{
	struct gw_explore_options options = {.search = GW_EXPLORE_PCT, .max_runs = 200000};
	struct gw_explore_result result;

	(void)state;
	assert_int_equal(gw_explore_run(&atomic_update, &options, &result), 0);
	print_message(
		"# bench explore_runs_per_second %.0f\n", (double)result.runs / result.seconds);
	assert_true(result.runs == options.max_runs);
	gw_explore_result_free(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_update),
		cmocka_unit_test(test_peterson),
		cmocka_unit_test(test_philosophers),
		cmocka_unit_test(test_refcount),
		cmocka_unit_test(test_litmus),
		cmocka_unit_test(test_random_programs),
		cmocka_unit_test(test_speed),
	};

	return cmocka_run_group_tests_name("explore_small", tests, NULL, NULL);
}
