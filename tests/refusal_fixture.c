/* SPDX-License-Identifier: MIT */
/* refusal_fixture.c - see refusal_fixture.h. */
#include "test.h"

#include <errno.h>

#include "engine/phys/buddy.h"
#include "godwit/reclaim.h"
#include "refusal_fixture.h"

#define NODE_FRAMES 512
#define STEPS_MAX   32
#define RUNS	    32 /* until memory is counted again, which takes 10 ms */

/* Of the one trial that runs; requests are made by its thread alone, memory is released by RCU's,
 * too. */
static struct {
	const struct gw_machine_ops *real_ops;
	struct gw_machine_ops ops;
	gw_atomic_u64 live; /* bytes */
	bool paused;
	uint64_t nth;	  /* the request to be refused; 0: none */
	uint64_t made;	  /* requests */
	unsigned refused; /* OWN or FRAMES, once it was */
} state;

static bool
refuse(unsigned what)
{
	if (state.paused || ++state.made != state.nth)
		return false;
	state.refused = what;
	return true;
}

/* ---- requests ---- */

static void *
counting_alloc(void *ctx, size_t bytes)
{
	void *p = refuse(OWN) ? NULL : state.real_ops->alloc(ctx, bytes);

	gw_u64_add_relaxed(&state.live, p ? bytes : 0);
	return p;
}

static void
counting_release(void *ctx, void *p, size_t bytes)
{
	gw_u64_sub_relaxed(&state.live, bytes);
	state.real_ops->release(ctx, p, bytes);
}

/* The linker sends these here if the program asks for it. */
int __real_gw_alloc_pages(
	struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out);
int __wrap_gw_alloc_pages(
	struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out);
int __real_gw_alloc_from_zonelist(struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order,
	enum gw_wmark mark, gw_pfn_t *out);
int __wrap_gw_alloc_from_zonelist(struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order,
	enum gw_wmark mark, gw_pfn_t *out);

int
__wrap_gw_alloc_pages(
	struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out)
{
	return refuse(FRAMES) ? -ENOMEM : __real_gw_alloc_pages(m, gfp, node, order, out);
}

/* The fast try: whoever is refused here reclaims and compacts, and then tries again. */
int
__wrap_gw_alloc_from_zonelist(struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order,
	enum gw_wmark mark, gw_pfn_t *out)
{
	return refuse(FRAMES) ? -ENOMEM
			      : __real_gw_alloc_from_zonelist(m, gfp, node, order, mark, out);
}

void
count_memory(struct spaces *s)
{
	state.real_ops = s->m->ops;
	state.ops = *state.real_ops;
	state.ops.alloc = counting_alloc;
	state.ops.release = counting_release;
	gw_rcu_barrier(); /* what is on its way was not counted */
	gw_u64_store_relaxed(&state.live, 0);
	s->m->ops = &state.ops;
}

/* Everything that was allocated since has been given back. */
static void
assert_nothing_lives(void)
{
	gw_rcu_barrier();
	assert_int_equal(gw_u64_load_relaxed(&state.live), 0);
}

void
end_counting(struct spaces *s)
{
	assert_nothing_lives();
	s->m->ops = state.real_ops;
}

/* ---- steps ---- */

void
trial_expect(struct trial *t, gw_vaddr_t addr, uint64_t value)
{
	unsigned i = 0;

	while (i < t->n && t->at[i] != addr)
		i++;
	assert_true(i < TRIAL_WORDS);
	t->n += i == t->n;
	t->at[i] = addr;
	t->value[i] = value;
}

void
trial_forget(struct trial *t, gw_vaddr_t addr, uint64_t bytes)
{
	for (unsigned i = 0; i < t->n;) {
		if (t->at[i] - addr >= bytes) {
			i++;
			continue;
		}
		t->n--;
		t->at[i] = t->at[t->n];
		t->value[i] = t->value[t->n];
	}
}

void
trial_moved(struct trial *t, gw_vaddr_t from, gw_vaddr_t to, uint64_t bytes)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->at[i] - from < bytes)
			t->at[i] += to - from;
}

int
trial_store(struct trial *t, gw_vaddr_t addr, uint64_t value)
{
	int err = gw_cpu_store(t->mm, addr, value);

	if (!err)
		trial_expect(t, addr, value);
	return err;
}

int
trial_load_all(struct trial *t, struct gw_mm *mm)
{
	uint64_t value;
	int err = 0;

	for (unsigned i = 0; i < t->n && !err; i++) {
		err = gw_cpu_load(mm, t->at[i], &value);
		if (!err)
			assert_int_equal(value, t->value[i]);
	}
	return err;
}

/* Refused pages say so; all others are there. */
int
trial_move_all(struct trial *t, struct gw_mm *mm, int node)
{
	int nodes[TRIAL_WORDS], status[TRIAL_WORDS], left, refused = 0;

	for (unsigned i = 0; i < t->n; i++)
		nodes[i] = node;
	gw_lru_add_drain_all(t->s->m);
	left = gw_move_pages(mm, t->n, t->at, nodes, status, GW_MOVE_ALL);
	for (unsigned i = 0; i < t->n; i++) {
		assert_true(status[i] == node || status[i] == -ENOMEM || status[i] == -ENOENT);
		refused += status[i] == -ENOMEM;
		left -= status[i] != node;
	}
	assert_int_equal(left, 0);
	return refused ? -ENOMEM : 0;
}

void
trial_reclaim(struct trial *t)
{
	gw_lru_add_drain_all(t->s->m);
	for (unsigned node = 0; node < TRIAL_NODES; node++)
		(void)gw_reclaim(t->s->m, node, NULL, NODE_FRAMES);
}

/* ---- runs ---- */

static void
look(struct trial *t)
{
	bool paused = state.paused;

	state.paused = true;
	verify(t->s, &t->mm, 1);
	assert_int_equal(trial_load_all(t, t->mm), 0);
	verify(t->s, &t->mm, 1);
	state.paused = paused;
}

/* The step that met the refusal is told by refused[]. */
static void
take_step(struct trial *t, const struct trial_step *step, unsigned *refused)
{
	unsigned before = state.refused;
	int err = step->run(t);

	if (err && (err != -ENOMEM || state.refused == before))
		fail_msg("%s: %d in the run that refuses request %llu", step->name, err,
			(unsigned long long)state.nth);
	if (state.refused == before)
		return;
	look(t);
	if (!err)
		return; /* it did without */
	*refused |= state.refused;
	err = step->run(t);
	if (err)
		fail_msg("%s, taken again: %d", step->name, err);
	look(t);
}

/* The side table is made for the machine's life; the next run shall be refused it, too. */
static void
drop_side_table(struct gw_machine *m)
{
	gw_page_extra_release(m);
	gw_ptr_store_relaxed(&m->extra, NULL);
}

static void
end_run(const struct trial_script *script, struct trial *t)
{
	gw_mm_put(t->mm);
	if (script->end)
		script->end(t);
	assert_int_equal(free_frames(t->s), t->s->free);
	drop_side_table(t->s->m);
}

/* Returns how many requests were made. */
static uint64_t
run_once(struct spaces *s, const struct trial_script *script, uint64_t nth, unsigned *refused)
{
	struct trial t = {.s = s, .mm = new_space(s)};

	script->begin(&t);
	state.nth = nth;
	state.made = 0;
	state.refused = 0;
	state.paused = false;
	for (unsigned i = 0; i < script->n_steps; i++)
		take_step(&t, &script->steps[i], &refused[i]);
	state.paused = true;
	look(&t);
	end_run(script, &t);
	return state.made;
}

static void
assert_refused(const struct trial_script *script, const unsigned *refused)
{
	for (unsigned i = 0; i < script->n_steps; i++)
		if ((refused[i] & script->steps[i].needs) != script->steps[i].needs)
			fail_msg("%s was refused %u only", script->steps[i].name, refused[i]);
}

void
refuse_each(const struct trial_script *script)
{
	struct spaces *s = spaces_of(2, TRIAL_NODES, NODE_FRAMES);
	unsigned refused[STEPS_MAX] = {0};
	uint64_t nth = 0, made;

	assert_true(script->n_steps <= STEPS_MAX);
	count_memory(s);
	state.paused = true;
	do {
		made = run_once(s, script, ++nth, refused);
		if (nth % RUNS == 0)
			assert_nothing_lives();
	} while (nth <= made);
	end_counting(s);
	state.nth = 0;
	spaces_destroy(s);
	print_message("%llu requests refused, one after the other\n", (unsigned long long)made);
	assert_refused(script, refused);
}
