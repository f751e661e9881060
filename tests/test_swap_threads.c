/* SPDX-License-Identifier: MIT */
/*
 * test_swap_threads.c - threads over the same slots, and over the side table (FACTS A10, 3.5).
 */
#include "test.h"

#include <pthread.h>
#include <string.h>

#include "swap_fixture.h"

#define STEPS 20000

struct maker {
	struct area *area;
	pthread_t thread;
	unsigned cpu;
	gw_atomic_u64 *ready;
	const struct gw_page_extra *row;
};

static void *
maker_thread(void *arg)
{
	struct maker *k = arg;
	struct gw_task task;

	if (gw_task_attach(&task, k->area->m, k->cpu))
		abort();
	gw_u64_add_relaxed(k->ready, 1);
	while (gw_u64_load_relaxed(k->ready) < THREADS)
		gw_relax();
	if (gw_page_extra_make(k->area->m) == 0)
		k->row = gw_page_extra(k->area->m, 0);
	gw_task_detach(&task);
	return NULL;
}

/* Tasks that need the side table at once agree on one; no other is left behind. */
static void
test_side_table_race(void **state)
{
	struct area *a = *state;
	struct maker makers[THREADS];
	gw_atomic_u64 ready = {0};

	for (unsigned i = 0; i < THREADS; i++) {
		makers[i] = (struct maker){.area = a, .cpu = i, .ready = &ready};
		assert_int_equal(
			pthread_create(&makers[i].thread, NULL, maker_thread, &makers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(makers[i].thread, NULL);
		assert_non_null(makers[i].row);
		assert_ptr_equal(makers[i].row, makers[0].row);
	}
}

/* A table of entries, each a slot or nothing, under a lock each: what page tables are to swap. */
#define ENTRIES 24

struct entry {
	gw_spinlock lock; /* rank PAGETABLE */
	bool full;
	uint32_t slot;
};

struct tables {
	struct area *area;
	struct entry entries[ENTRIES];
	gw_atomic_u64 wrong, swap_ins, trims, stopped;
};

struct walker {
	struct tables *t;
	pthread_t thread;
	unsigned cpu;
	uint64_t random;
};

static void
walker_clear(struct tables *t, struct entry *e)
{
	struct gw_machine *m = t->area->m;
	bool full, trim = false;
	uint32_t slot;

	gw_spin_lock(&e->lock);
	full = e->full;
	slot = e->slot;
	e->full = false;
	if (full)
		trim = gw_swap_put(m, slot);
	gw_spin_unlock(&e->lock);
	if (trim) {
		gw_u64_add_relaxed(&t->trims, 1);
		gw_swap_trim(m, slot);
	}
}

/* fork: an empty entry gets a full one's slot. */
static void
walker_copy(struct tables *t, unsigned from, unsigned to)
{
	struct entry *low = &t->entries[from < to ? from : to];
	struct entry *high = &t->entries[from < to ? to : from];

	if (from == to)
		return;
	gw_spin_lock(&low->lock);
	gw_spin_lock(&high->lock);
	if (t->entries[from].full && !t->entries[to].full) {
		gw_swap_dup(t->area->m, t->entries[from].slot);
		t->entries[to].slot = t->entries[from].slot;
		t->entries[to].full = true;
	}
	gw_spin_unlock(&high->lock);
	gw_spin_unlock(&low->lock);
}

/* An anonymous page of the slot's own pattern becomes an entry, in a step with its writing out. */
static void
walker_swap_out(struct tables *t, struct entry *e)
{
	struct area *a = t->area;
	gw_pfn_t page;
	uint32_t slot;

	if (gw_alloc_from_zonelist(a->m, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN, &page))
		return;
	gw_page_lock(a->m, page);
	if (gw_swap_cache_add(a->m, page) == 0) {
		slot = gw_page_slot(a->m, page);
		memset(a->f->bytes[page], (int)slot + 1, GW_PAGE_SIZE);
		gw_spin_lock(&e->lock);
		if (!e->full) {
			gw_swap_dup(a->m, slot);
			e->slot = slot;
			e->full = true;
		}
		gw_spin_unlock(&e->lock);
		if (gw_swap_write(a->m, slot, a->f->bytes[page]))
			abort();
		gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_DIRTY);
	}
	unlock_put(a, page);
}

/* reclaim: the page of an entry's slot leaves the cache if nobody else has it. */
static void
walker_reclaim(struct tables *t, uint32_t slot)
{
	struct gw_machine *m = t->area->m;
	gw_pfn_t page = gw_cache_find(m, gw_swap_cache(m), slot);

	if (page == GW_PFN_NONE)
		return;
	gw_page_lock(m, page);
	if (has(t->area, page, GW_PG_SWAPCACHE) && gw_page_slot(m, page) == slot &&
		gw_swap_cache_remove_frozen(m, page, 2)) {
		gw_page_unlock(m, page);
		gw_ref_unfreeze(&gw_page(m, page)->refcount, 1);
	} else {
		gw_swap_page_unlock(m, page);
	}
	gw_put_page(m, page);
}

/* A fault: the page of an entry's slot, if the entry still says so, has the slot's bytes. */
static void
walker_swap_in(struct tables *t, struct entry *e, uint32_t slot)
{
	struct area *a = t->area;
	gw_pfn_t page;
	bool same;

	if (gw_swap_get_page(a->m, slot, NULL, &page))
		return;
	gw_spin_lock(&e->lock);
	same = e->full && e->slot == slot;
	gw_spin_unlock(&e->lock);
	if (same &&
		(a->f->bytes[page][17] != (uint8_t)(slot + 1) || gw_page_slot(a->m, page) != slot))
		gw_u64_add_relaxed(&t->wrong, 1);
	if (same)
		gw_u64_add_relaxed(&t->swap_ins, 1);
	unlock_put(a, page);
}

static void
walker_step(struct walker *w)
{
	struct tables *t = w->t;
	uint64_t r = test_random(&w->random);
	struct entry *e = &t->entries[r % ENTRIES];
	uint32_t slot;
	bool full;

	gw_spin_lock(&e->lock);
	full = e->full;
	slot = e->slot;
	gw_spin_unlock(&e->lock);
	if (!full && r >> 32 & 1)
		walker_swap_out(t, e);
	else if (!full)
		walker_copy(t, (unsigned)(r >> 16) % ENTRIES, (unsigned)(r % ENTRIES));
	else if (r >> 32 & 1)
		walker_swap_in(t, e, slot);
	else if (r >> 33 & 1)
		walker_reclaim(t, slot);
	else
		walker_clear(t, e);
	if ((r >> 40) % 16 == 0)
		gw_lru_add_drain(t->area->m);
}

static void *
walker_thread(void *arg)
{
	struct walker *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->t->area->m, w->cpu))
		abort();
	for (unsigned i = 0; i < STEPS; i++)
		walker_step(w);
	gw_u64_add_relaxed(&w->t->stopped, 1);
	while (gw_u64_load_relaxed(&w->t->stopped) < THREADS)
		gw_relax();
	for (unsigned i = w->cpu; i < ENTRIES; i += THREADS)
		walker_clear(w->t, &w->t->entries[i]);
	gw_task_detach(&task);
	return NULL;
}

/* Threads swap in and out, fork, zap and reclaim over the same slots: no page has another slot's
 * bytes, and when the last entry has gone no slot is used and no page is left (W1, W5). */
static void
test_threads(void **state)
{
	struct area *a = *state;
	struct tables *t = calloc(1, sizeof(*t));
	struct walker walkers[THREADS];
	uint64_t seed = test_seed();

	t->area = a;
	for (unsigned i = 0; i < ENTRIES; i++)
		gw_spin_init(&t->entries[i].lock, GW_RANK_PAGETABLE);
	for (unsigned i = 0; i < THREADS; i++) {
		walkers[i] = (struct walker){.t = t, .cpu = i, .random = seed + i};
		assert_int_equal(
			pthread_create(&walkers[i].thread, NULL, walker_thread, &walkers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(walkers[i].thread, NULL);
	assert_int_equal(gw_u64_load_relaxed(&t->wrong), 0);
	assert_true(gw_u64_load_relaxed(&t->swap_ins) > 0);
	assert_true(gw_u64_load_relaxed(&t->trims) > 0);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_side_table_race, area_setup_off, area_teardown),
		cmocka_unit_test_setup_teardown(test_threads, area_setup, area_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
