/* SPDX-License-Identifier: MIT */
/*
 * test_engine_threads.c - everything at once: more threads than CPUs on two small zones allocate,
 * free, isolate, migrate, split, give up, lock, look at and compact each other's pages (DESIGN 6,
 * 7; FACTS 1.0, 1.3, 2.2).
 *
 * The owner is a table of slots. A slot's page is one piece or, once it was split, 2^order
 * pieces; the slot's value stands in every frame. A slot's mutex guards all of it and nests inside
 * the page lock: with it held a page may only be trylocked.
 */
#include "test.h"

#include <pthread.h>
#include <string.h>

#include "machine_fixture.h"
#include "godwit/compact.h"
#include "godwit/seed.h"

#define EDGE	  1403 /* between the zones: inside a pageblock */
#define FRAMES	  2900
#define PB	  4
#define MAX_ORDER 6
#define PIECES	  (1u << PB)
#define SLOTS	  900
#define CPUS	  3
#define THREADS	  8
#define STEPS	  100000
#define HELD	  8

struct slot {
	pthread_mutex_t mutex;
	gw_pfn_t frames[PIECES]; /* first frame of each piece; GW_PFN_NONE: gone */
	bool isolated[PIECES];
	bool splitting; /* the split was allowed, and may not be over yet */
	unsigned order, n_pieces;
	uint64_t value;
};

struct world {
	struct fixture *f;
	struct slot slots[SLOTS];
	gw_atomic_u64 moved, splits, given_up, unmapped, remapped, mistakes;
	pthread_barrier_t all_here;
};

struct worker {
	struct world *w;
	unsigned cpu;
	uint64_t random;
	pthread_t thread;
	gw_pfn_t held[HELD]; /* pages without an owner */
	unsigned n_held;
};

static unsigned
dice(struct worker *me, unsigned sides)
{
	return (unsigned)(test_random(&me->random) >> 32) % sides;
}

/* ---- the owner's callbacks ---- */

static struct world *
world_of(struct gw_machine *m)
{
	return fixture_of(m)->user;
}

/* The slot of a page, locked, and which of its pieces the page is: n_pieces if none. */
static struct slot *
lock_slot_of(struct gw_machine *m, gw_pfn_t page, unsigned *piece)
{
	struct slot *s = &world_of(m)->slots[gw_page_index(m, page)];

	pthread_mutex_lock(&s->mutex);
	for (*piece = 0; *piece < s->n_pieces; ++*piece)
		if (s->frames[*piece] == page)
			break;
	return s;
}

/* The isolated piece, which must be there. */
static struct slot *
lock_isolated(struct gw_machine *m, gw_pfn_t page, unsigned *piece)
{
	struct slot *s = lock_slot_of(m, page, piece);

	if (*piece == s->n_pieces || !s->isolated[*piece]) {
		gw_u64_add_relaxed(&world_of(m)->mistakes, 1);
		*piece = 0;
	}
	return s;
}

static bool
owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	unsigned i;
	struct slot *s = lock_slot_of(m, page, &i);
	bool mine = i < s->n_pieces && !s->isolated[i];

	(void)mode;
	if (mine)
		s->isolated[i] = true;
	pthread_mutex_unlock(&s->mutex);
	return mine;
}

static int
owner_unmap(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	(void)mode;
	if (page % 7 == 0)
		return -EAGAIN;
	gw_u64_add_relaxed(&world_of(m)->unmapped, 1);
	return page % 2;
}

static void
owner_remap(struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner)
{
	(void)src;
	(void)winner;
	gw_u64_add_relaxed(&world_of(m)->remapped, 1);
}

static int
owner_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	unsigned i;
	struct slot *s;

	(void)mode;
	if ((src ^ dst) % 16 == 0)
		return src % 2 ? -EAGAIN : -EBUSY;
	s = lock_isolated(m, src, &i);
	gw_migrate_copy(m, dst, src, s->n_pieces == 1 ? s->order : 0);
	s->frames[i] = dst;
	s->isolated[i] = false;
	s->splitting = false;
	pthread_mutex_unlock(&s->mutex);
	gw_u64_add_relaxed(&world_of(m)->moved, 1);
	return 0;
}

static void
owner_putback(struct gw_machine *m, gw_pfn_t page)
{
	unsigned i;
	struct slot *s = lock_isolated(m, page, &i);

	s->isolated[i] = false;
	s->splitting = false;
	pthread_mutex_unlock(&s->mutex);
}

static int
owner_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	unsigned i;
	struct slot *s;

	if (page >> order & 1)
		return -EBUSY;
	s = lock_isolated(m, page, &i);
	if (s->n_pieces != 1 || s->order != order)
		gw_u64_add_relaxed(&world_of(m)->mistakes, 1);
	s->n_pieces = 1u << order;
	s->splitting = true;
	for (i = 0; i < s->n_pieces; i++) {
		s->frames[i] = page + i;
		s->isolated[i] = true;
	}
	pthread_mutex_unlock(&s->mutex);
	gw_u64_add_relaxed(&world_of(m)->splits, 1);
	return 0;
}

static const struct gw_movable_ops owner_ops = {
	.isolate = owner_isolate,
	.unmap = owner_unmap,
	.remap = owner_remap,
	.migrate = owner_migrate,
	.putback = owner_putback,
	.split = owner_split,
};

/* ---- the owner's tasks ---- */

static struct slot *
lock_any_slot(struct worker *me)
{
	struct slot *s = &me->w->slots[dice(me, SLOTS)];

	pthread_mutex_lock(&s->mutex);
	return s;
}

static void
fill_slot(struct worker *me)
{
	struct world *w = me->w;
	struct gw_machine *m = w->f->m;
	unsigned order = dice(me, 3) ? 0 : dice(me, PB + 1);
	gw_gfp_t gfp = dice(me, 4) ? GW_GFP_MOVABLE : GW_GFP_USER_MOVABLE;
	struct slot *s;
	gw_pfn_t pfn;

	if (gw_alloc_pages(m, gfp, dice(me, 2), order, &pfn))
		return;
	s = lock_any_slot(me);
	if (s->n_pieces) {
		pthread_mutex_unlock(&s->mutex);
		gw_put_page(m, pfn);
		return;
	}
	s->value = test_random(&me->random);
	s->order = order;
	s->n_pieces = 1;
	s->frames[0] = pfn;
	s->isolated[0] = s->splitting = false;
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++)
		memcpy(w->f->bytes[pfn + i], &s->value, sizeof(s->value));
	if (dice(me, 4))
		gw_lru_add(m, pfn, (enum gw_lru)dice(me, GW_LRU_NR));
	gw_page_set_movable(m, pfn, &owner_ops, (uint32_t)(s - w->slots));
	pthread_mutex_unlock(&s->mutex);
}

static void
check_piece(struct world *w, const struct slot *s, unsigned piece)
{
	gw_pfn_t n = s->n_pieces == 1 ? (gw_pfn_t)1 << s->order : 1;

	for (gw_pfn_t i = 0; i < n; i++)
		if (memcmp(w->f->bytes[s->frames[piece] + i], &s->value, sizeof(s->value)))
			gw_u64_add_relaxed(&w->mistakes, 1);
}

static void
empty_slot(struct worker *me)
{
	struct slot *s = lock_any_slot(me);
	gw_pfn_t pages[PIECES];
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_pieces; i++) {
		if (s->frames[i] == GW_PFN_NONE)
			continue;
		if (s->isolated[i]) {
			pthread_mutex_unlock(&s->mutex);
			return;
		}
		check_piece(me->w, s, i);
		pages[n++] = s->frames[i];
	}
	s->n_pieces = 0;
	pthread_mutex_unlock(&s->mutex);
	while (n > 0)
		gw_put_page(me->w->f->m, pages[--n]);
}

/* By the book (migrate.h): page lock, no owner any more, the reference. Slot's mutex held. */
static void
give_up_piece(struct world *w, struct slot *s, unsigned i)
{
	struct gw_machine *m = w->f->m;
	gw_pfn_t pfn = s->frames[i];

	if (!gw_page_trylock(m, pfn))
		return;
	gw_page_set_movable(m, pfn, NULL, 0);
	gw_page_unlock(m, pfn);
	s->frames[i] = GW_PFN_NONE;
	s->isolated[i] = false;
	gw_put_page(m, pfn);
	gw_u64_add_relaxed(&w->given_up, 1);
}

/* Whatever of a slot is isolated is given up all the same (A1). */
static void
give_up(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	struct slot *s = lock_any_slot(me);

	/* The pieces are pages once the lock of the page that they were is free. */
	if (s->splitting && gw_page_trylock(m, s->frames[0])) {
		s->splitting = false;
		gw_page_unlock(m, s->frames[0]);
	}
	for (unsigned i = s->n_pieces; !s->splitting && i-- > 0;)
		if (s->frames[i] != GW_PFN_NONE && s->isolated[i])
			give_up_piece(me->w, s, i);
	pthread_mutex_unlock(&s->mutex);
}

/* ---- anybody's ---- */

/* The caller's reference goes. */
static void
wait_for_page(struct worker *me, gw_pfn_t pfn)
{
	struct gw_machine *m = me->w->f->m;

	switch (dice(me, 4)) {
	case 0:
		gw_page_lock(m, pfn);
		gw_page_unlock(m, pfn);
		break;
	case 1:
		gw_page_wait_locked(m, pfn, false);
		break;
	case 2:
		gw_page_put_and_wait_locked(m, pfn, false); /* C4 */
		return;
	default:
		break;
	}
	gw_put_page(m, pfn);
}

/* As a fault or a scanner would: a frame of which nothing is known. */
static void
touch_any_frame(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	gw_pfn_t pfn = 1 + dice(me, FRAMES - 1);
	struct gw_frame_info info;

	assert_int_equal(gw_frame_info(m, pfn, &info), 0);
	if (info.head > pfn || pfn - info.head >= 1u << MAX_ORDER)
		gw_u64_add_relaxed(&me->w->mistakes, 1);
	if (gw_get_page_unless_zero(m, pfn))
		wait_for_page(me, pfn);
}

/* As reclaim does: off the LRU list for a moment, without the page lock (D1). */
static void
look_at_lru_page(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	gw_pfn_t pfn = 1 + dice(me, FRAMES - 1);

	if (gw_lru_isolate(m, pfn, GW_ISOLATE_BOTH))
		return;
	if (dice(me, 2))
		gw_relax();
	gw_lru_putback(m, pfn);
	gw_put_page(m, pfn);
}

/* Pages of other kinds, a few at a time: they claim and steal pageblocks. */
static void
hold_or_drop(struct worker *me)
{
	static const gw_gfp_t gfps[] = {GW_GFP_KERNEL, GW_GFP_RECLAIMABLE, GW_GFP_ATOMIC,
		GW_GFP_MOVABLE | GW_GFP_NOFRAGMENT};
	struct gw_machine *m = me->w->f->m;

	if (me->n_held == HELD || (me->n_held && dice(me, 2))) {
		gw_put_page(m, me->held[--me->n_held]);
		return;
	}
	if (!gw_alloc_pages(m, gfps[dice(me, 4)], dice(me, 2), dice(me, 3) ? 0 : dice(me, PB),
		    &me->held[me->n_held]))
		me->n_held++;
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct worker *me = ctx;

	(void)src;
	if (dice(me, order ? 2 : 32) == 0)
		return dice(me, 4) ? -ENOMEM : -EBUSY;
	return gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, dice(me, 2), order, GW_WMARK_MIN, dst);
}

static void
migrate_some(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	const struct gw_migrate_target target = {.get_new_page = get_new_page, .ctx = me};
	enum gw_migrate_mode mode = (enum gw_migrate_mode)dice(me, 3);
	gw_pfn_t first = dice(me, FRAMES);
	struct gw_page_list list;

	gw_page_list_init(&list);
	for (gw_pfn_t i = 0; i < 48; i++)
		(void)!gw_isolate_page(m, (first + i) % FRAMES, mode, &list);
	if (gw_migrate_pages(m, &list, &target, mode, GW_MR_COMPACTION, NULL))
		gw_putback_movable_pages(m, &list);
	if (list.n)
		gw_u64_add_relaxed(&me->w->mistakes, 1);
}

static void
compact(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	const struct gw_compact_request request = {
		.planner = dice(me, 2) ? GW_PLANNER_SCANNERS : GW_PLANNER_EVACUATE,
		.order = (int)dice(me, MAX_ORDER + 2) - 1,
		.count = 1 + dice(me, 64),
		.mode = (enum gw_migrate_mode)dice(me, 3),
		.migratetype = (enum gw_migratetype)dice(me, GW_MT_PCPTYPES),
		.direct = dice(me, 2),
		.whole_zone = dice(me, 2),
		.ignore_skip = dice(me, 2),
		.no_fs = dice(me, 2),
		.stop_at = dice(me, 4) ? 0 : dice(me, FRAMES),
	};

	if (dice(me, 8))
		gw_compact_zone(m, dice(me, 2), &request, NULL);
	else if (gw_compact_node(m, dice(me, 2)))
		gw_u64_add_relaxed(&me->w->mistakes, 1);
}

/* Take a pageblock out of the allocator's sight for a while, as page isolation does. */
static void
isolate_pageblock(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	struct gw_zone *zone = &m->zones[dice(me, 2)];
	gw_pfn_t blocks = (zone->end - zone->start) / (1u << PB) - 2;
	gw_pfn_t pfn = ((zone->start >> PB) + 1 + dice(me, blocks)) << PB;
	bool mine;

	gw_spin_lock(&zone->lock);
	mine = gw_pageblock_type(m, pfn) < GW_MT_PCPTYPES;
	if (mine)
		gw_pageblock_retype(zone, pfn, GW_MT_ISOLATE);
	gw_spin_unlock(&zone->lock);
	if (!mine)
		return;
	gw_lru_add_drain_all(m);
	gw_drain_all_pages(m);
	migrate_some(me);
	gw_spin_lock(&zone->lock);
	gw_pageblock_retype(zone, pfn, (enum gw_migratetype)dice(me, GW_MT_PCPTYPES));
	gw_spin_unlock(&zone->lock);
}

static void
look_around(struct worker *me)
{
	struct gw_machine *m = me->w->f->m;
	struct gw_zone_info info;

	if (gw_zone_info(m, dice(me, 2), &info) || info.free + info.pcp > info.managed)
		gw_u64_add_relaxed(&me->w->mistakes, 1);
	(void)gw_machine_count(m, (enum gw_vm_event)dice(me, GW_VM_NR));
	(void)gw_lru_count(m, dice(me, 2), (enum gw_lru)dice(me, GW_LRU_NR));
}

static void
step(struct worker *me)
{
	unsigned what = dice(me, 1000);

	if (what < 330)
		fill_slot(me);
	else if (what < 580)
		empty_slot(me);
	else if (what < 700)
		give_up(me);
	else if (what < 800)
		touch_any_frame(me);
	else if (what < 880)
		look_at_lru_page(me);
	else if (what < 940)
		hold_or_drop(me);
	else if (what < 980)
		migrate_some(me);
	else if (what < 990)
		look_around(me);
	else if (what < 995)
		isolate_pageblock(me);
	else
		compact(me);
}

static void *
work(void *arg)
{
	struct worker *me = arg;
	struct gw_task task;

	if (gw_task_attach(&task, me->w->f->m, me->cpu))
		return NULL;
	pthread_barrier_wait(&me->w->all_here);
	for (unsigned i = 0; i < STEPS; i++)
		step(me);
	while (me->n_held)
		gw_put_page(me->w->f->m, me->held[--me->n_held]);
	gw_task_detach(&task);
	return NULL;
}

static struct world *
create(void)
{
	struct gw_zone_config zones[] = {
		{.name = "a", .start = 1, .end = EDGE, .wmark_low = 20, .wmark_high = 40},
		{.name = "b",
			.start = EDGE,
			.end = FRAMES,
			.node = 1,
			.pcp_batch = 5,
			.pcp_high = 20},
	};
	struct world *w = calloc(1, sizeof(*w));
	struct gw_machine_config config;

	assert_non_null(w);
	gw_machine_config_init(&config);
	config.n_cpus = CPUS;
	config.max_order = MAX_ORDER;
	config.pageblock_order = PB;
	config.n_frames = FRAMES;
	config.zones = zones;
	config.n_zones = 2;
	w->f = fixture_create_config(&config);
	w->f->user = w;
	assert_int_equal(gw_seed_free(w->f->m, 1, EDGE - 1), 0);
	assert_int_equal(gw_seed_free(w->f->m, EDGE, FRAMES - EDGE), 0);
	gw_seed_done(w->f->m);
	for (unsigned i = 0; i < SLOTS; i++)
		pthread_mutex_init(&w->slots[i].mutex, NULL);
	pthread_barrier_init(&w->all_here, NULL, THREADS);
	return w;
}

/* Free what is left in the slots; it must be as its owner left it. */
static void
empty_all(struct world *w)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &w->slots[i];

		for (unsigned p = 0; p < s->n_pieces; p++) {
			if (s->frames[p] == GW_PFN_NONE)
				continue;
			assert_false(s->isolated[p]);
			assert_int_equal(gw_ref_read(&gw_page(w->f->m, s->frames[p])->refcount), 1);
			check_piece(w, s, p);
			gw_put_page(w->f->m, s->frames[p]);
		}
		pthread_mutex_destroy(&s->mutex);
	}
}

static uint64_t
free_frames(struct world *w, unsigned zone)
{
	struct gw_zone_info info;

	assert_int_equal(gw_zone_info(w->f->m, zone, &info), 0);
	return info.free + info.pcp;
}

/* No frame, byte, reference or count is lost, and no callback sees a page that was given up. */
static void
nothing_is_lost(void **state)
{
	uint64_t random = test_seed();
	struct world *w = create();
	struct worker workers[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] =
			(struct worker){.w = w, .cpu = i % CPUS, .random = test_random(&random)};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	print_message("# moved %llu, split %llu, gave up %llu\n",
		(unsigned long long)gw_u64_load_relaxed(&w->moved),
		(unsigned long long)gw_u64_load_relaxed(&w->splits),
		(unsigned long long)gw_u64_load_relaxed(&w->given_up));
	fixture_check(w->f);
	gw_lru_add_drain_all(w->f->m);
	fixture_check(w->f);
	empty_all(w);
	assert_int_equal(gw_u64_load_relaxed(&w->mistakes), 0);
	assert_int_equal(gw_u64_load_relaxed(&w->unmapped), gw_u64_load_relaxed(&w->remapped));
	assert_true(gw_u64_load_relaxed(&w->moved) > 0);
	assert_true(gw_u64_load_relaxed(&w->splits) > 0);
	assert_true(gw_u64_load_relaxed(&w->given_up) > 0);
	assert_int_equal(free_frames(w, 0), EDGE - 1);
	assert_int_equal(free_frames(w, 1), FRAMES - EDGE);
	for (unsigned n = 0; n < 2; n++)
		for (unsigned file = 0; file < 2; file++)
			assert_int_equal(
				gw_u64_load_relaxed(&w->f->m->nodes[n].isolated_frames[file]), 0);
	pthread_barrier_destroy(&w->all_here);
	fixture_destroy(w->f);
	free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost),
	};

	return cmocka_run_group_tests_name("engine_threads", tests, NULL, NULL);
}
