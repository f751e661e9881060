/* SPDX-License-Identifier: MIT */
/*
 * test_balloon.c - frames that are the host's for now (FACTS A5, A12, 3.4, 3.5).
 *
 * The host keeps a byte for each frame: it has it, or not. What it is told twice, or of a frame in
 * the wrong state, is a mistake.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "machine_fixture.h"
#include "godwit/balloon.h"
#include "godwit/migrate.h"

#define FRAMES 1024
#define PB     4
#define BLOCK  ((uint64_t)1 << PB)

struct host {
	struct fixture *f;
	struct gw_machine *m;
	struct gw_balloon *balloon;
	uint64_t free; /* frames, before the balloon */

	gw_atomic_u8 has[FRAMES];
	gw_atomic_u64 mistakes, gives, large_gives, unlocked;
	gw_pfn_t watched[2];	/* their lock state is looked at in every call; GW_PFN_NONE: not */
	gw_atomic_u32 declines; /* so many times */
};

static gw_atomic_u64 rmap_calls;

/* What the linker's --wrap sends here. */
struct gw_rmap_walk;
void __real_gw_rmap_walk(struct gw_machine *m, struct gw_rmap_walk *walk);
void __wrap_gw_rmap_walk(struct gw_machine *m, struct gw_rmap_walk *walk);

void
__wrap_gw_rmap_walk(struct gw_machine *m, struct gw_rmap_walk *walk)
{
	gw_u64_add_relaxed(&rmap_calls, 1);
	__real_gw_rmap_walk(m, walk);
}

static void
look_at_locks(struct host *h)
{
	for (unsigned i = 0; i < 2; i++)
		if (h->watched[i] != GW_PFN_NONE &&
			!(gw_page_flags(gw_page(h->m, h->watched[i])) & GW_PG_LOCKED))
			gw_u64_add_relaxed(&h->unlocked, 1);
}

static void
mark(struct host *h, gw_pfn_t page, unsigned order, bool given)
{
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++) {
		if (gw_u8_load_relaxed(&h->has[page + i]) == given)
			gw_u64_add_relaxed(&h->mistakes, 1);
		gw_u8_store_relaxed(&h->has[page + i], given);
	}
}

static int
give(void *ctx, gw_pfn_t page, unsigned order)
{
	struct host *h = ctx;

	look_at_locks(h);
	if (gw_u32_load_relaxed(&h->declines)) {
		gw_u32_sub_relaxed(&h->declines, 1);
		return -EBUSY;
	}
	gw_u64_add_relaxed(&h->gives, 1);
	gw_u64_add_relaxed(&h->large_gives, order == PB);
	mark(h, page, order, true);
	return 0;
}

static void
take_back(void *ctx, gw_pfn_t page, unsigned order)
{
	struct host *h = ctx;

	look_at_locks(h);
	mark(h, page, order, false);
}

static int
setup(void **state)
{
	struct host *h = calloc(1, sizeof(*h));
	const struct gw_balloon_driver driver = {.give = give, .take_back = take_back, .ctx = h};

	h->f = fixture_create(FRAMES, 4, PB);
	h->m = h->f->m;
	h->free = fixture_free_frames(h->f);
	h->watched[0] = h->watched[1] = GW_PFN_NONE;
	gw_u64_store_relaxed(&rmap_calls, 0);
	assert_int_equal(gw_balloon_create(h->m, &driver, &h->balloon), 0);
	*state = h;
	return 0;
}

static int
teardown(void **state)
{
	struct host *h = *state;

	gw_balloon_destroy(h->balloon);
	for (gw_pfn_t i = 0; i < FRAMES; i++)
		assert_int_equal(gw_u8_load_relaxed(&h->has[i]), 0);
	assert_int_equal(gw_u64_load_relaxed(&h->mistakes), 0);
	assert_int_equal(fixture_free_frames(h->f), h->free);
	fixture_destroy(h->f);
	free(h);
	return 0;
}

static uint64_t
host_frames(const struct host *h)
{
	uint64_t n = 0;

	for (gw_pfn_t i = 0; i < FRAMES; i++)
		n += gw_u8_load_relaxed(&h->has[i]);
	return n;
}

static gw_pfn_t
a_given_frame(const struct host *h)
{
	for (gw_pfn_t i = 0; i < FRAMES; i++)
		if (gw_u8_load_relaxed(&h->has[i]))
			return i;
	return GW_PFN_NONE;
}

static uint64_t
count(const struct host *h, enum gw_vm_event event)
{
	return gw_machine_count(h->m, event);
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct host *h = ctx;
	int err = gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);

	if (!err && h->watched[0] != GW_PFN_NONE) {
		h->watched[0] = src;
		h->watched[1] = *dst;
	}
	return err;
}

static int
migrate(struct host *h, struct gw_page_list *list)
{
	const struct gw_migrate_target target = {.get_new_page = get_new_page, .ctx = h};

	return gw_migrate_pages(h->m, list, &target, GW_MIGRATE_SYNC, GW_MR_COMPACTION, NULL);
}

/* One frame goes to the host; which? */
static gw_pfn_t
inflate_one(struct host *h)
{
	assert_int_equal(gw_balloon_inflate(h->balloon, 1), 1);
	return a_given_frame(h);
}

static void
isolate(struct host *h, gw_pfn_t page, struct gw_page_list *list)
{
	gw_page_list_init(list);
	assert_int_equal(gw_isolate_page(h->m, page, GW_MIGRATE_SYNC, list), 0);
}

/* ---- the claims ---- */

/* FACTS 3.4: the host has what was inflated and gets nothing for nothing; counters are in frames.
 */
static void
inflates_and_deflates(void **state)
{
	struct host *h = *state;

	assert_int_equal(gw_balloon_inflate(h->balloon, 100), 100);
	assert_int_equal(gw_balloon_frames(h->balloon), 100);
	assert_int_equal(host_frames(h), 100);
	assert_int_equal(fixture_free_frames(h->f), h->free - 100);
	assert_int_equal(gw_balloon_deflate(h->balloon, 30), 30);
	assert_int_equal(host_frames(h), 70);
	assert_int_equal(gw_balloon_deflate(h->balloon, 1000), 70);
	assert_int_equal(gw_balloon_deflate(h->balloon, 1), 0);
	assert_int_equal(count(h, GW_VM_BALLOON_INFLATE), 100);
	assert_int_equal(count(h, GW_VM_BALLOON_DEFLATE), 100);
	assert_int_equal(count(h, GW_VM_BALLOON_MIGRATE), 0);
	fixture_check(h->f);
}

/* The balloon ends where memory or the host's wish does, and what the host declined is free. */
static void
ends_where_there_is_no_more(void **state)
{
	struct host *h = *state;

	gw_u32_store_relaxed(&h->declines, 1);
	assert_int_equal(gw_balloon_inflate(h->balloon, 10), 0);
	assert_int_equal(fixture_free_frames(h->f), h->free);
	assert_int_equal(gw_balloon_inflate(h->balloon, 2 * FRAMES), h->free);
	assert_int_equal(gw_balloon_inflate(h->balloon, 1), 0);
	assert_int_equal(gw_balloon_inflate_blocks(h->balloon, 1), 0);
	fixture_check(h->f);
}

/* A5, A12: under both locks the driver hears of the new frame and of the old one; rmap is not asked
 * and nothing is copied. */
static void
a_page_moves_under_both_locks_without_rmap(void **state)
{
	struct host *h = *state;
	struct gw_page_list list;
	gw_pfn_t page;

	page = inflate_one(h);
	isolate(h, page, &list);
	memset(h->f->bytes[page], 0x5a, 8);
	h->watched[0] = page;
	assert_int_equal(migrate(h, &list), 0);
	assert_int_equal(h->watched[0], page);
	assert_int_equal(gw_u64_load_relaxed(&h->unlocked), 0);
	h->watched[0] = h->watched[1] = GW_PFN_NONE;
	assert_int_equal(host_frames(h), 1);
	assert_int_equal(gw_u8_load_relaxed(&h->has[page]), 0);
	assert_true(h->f->bytes[a_given_frame(h)][0] != 0x5a);
	assert_int_equal(gw_u64_load_relaxed(&rmap_calls), 0);
	assert_int_equal(count(h, GW_VM_BALLOON_MIGRATE), 1);
	assert_int_equal(gw_balloon_frames(h->balloon), 1);
	assert_int_equal(fixture_free_frames(h->f), h->free - 1);
	fixture_check(h->f);
}

/* A12: a host that does not want the new frame keeps the old one; it is asked in each pass. */
static void
a_declined_page_stays(void **state)
{
	struct host *h = *state;
	struct gw_page_list list;
	gw_pfn_t page;

	page = inflate_one(h);
	isolate(h, page, &list);
	gw_u32_store_relaxed(&h->declines, 100);
	assert_int_equal(migrate(h, &list), 1);
	assert_int_equal(gw_u32_load_relaxed(&h->declines), 90);
	gw_u32_store_relaxed(&h->declines, 0);
	assert_int_equal(a_given_frame(h), page);
	/* Nor can it be deflated before it is put back. */
	assert_int_equal(gw_balloon_deflate(h->balloon, 1), 0);
	gw_putback_movable_pages(h->m, &list);
	assert_int_equal(gw_balloon_deflate(h->balloon, 1), 1);
	fixture_check(h->f);
}

/* 3.5: what a deflation has, an isolation does not get: the balloon says so by its index. */
static void
a_page_is_isolated_once(void **state)
{
	struct host *h = *state;
	struct gw_page_list list;
	gw_pfn_t page;

	gw_page_list_init(&list);
	page = inflate_one(h);
	gw_page_set_index(h->m, page, 0); /* as in the hands of a deflation */
	assert_int_equal(gw_isolate_page(h->m, page, GW_MIGRATE_SYNC, &list), -EBUSY);
	gw_page_set_index(h->m, page, 1);
	assert_int_equal(gw_isolate_page(h->m, page, GW_MIGRATE_SYNC, &list), 0);
	gw_putback_movable_pages(h->m, &list);
}

/* Every second frame is in the balloon, none of the others can be a pageblock: compaction moves the
 * balloon's own pages, and the host gets pageblocks whole. */
static void
blocks_are_had_by_compaction(void **state)
{
	struct host *h = *state;
	gw_pfn_t held[FRAMES];
	unsigned n = 0;

	while (gw_balloon_inflate(h->balloon, 1) &&
		!gw_alloc_from_zonelist(h->m, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN, &held[n]))
		n++;
	while (n)
		gw_put_page(h->m, held[--n]);
	assert_int_equal(gw_balloon_inflate_blocks(h->balloon, 8), 8);
	assert_int_equal(gw_u64_load_relaxed(&h->large_gives), 8);
	assert_true(count(h, GW_VM_BALLOON_MIGRATE) >= 8 * BLOCK / 2);
	assert_int_equal(host_frames(h), gw_balloon_frames(h->balloon));
	assert_int_equal(gw_u64_load_relaxed(&rmap_calls), 0);
	fixture_check(h->f);
}

/* A pageblock of the balloon's moves whole, and comes back in parts if no more is wanted. */
static void
a_block_moves_whole_and_deflates_in_part(void **state)
{
	struct host *h = *state;
	struct gw_page_list list;
	gw_pfn_t page;

	assert_int_equal(gw_balloon_inflate_blocks(h->balloon, 2), 2);
	page = a_given_frame(h);
	isolate(h, page, &list);
	assert_int_equal(migrate(h, &list), 0);
	assert_int_equal(count(h, GW_VM_BALLOON_MIGRATE), BLOCK);
	assert_int_equal(gw_balloon_deflate(h->balloon, 3), 3);
	assert_int_equal(gw_balloon_frames(h->balloon), 2 * BLOCK - 3);
	assert_int_equal(host_frames(h), 2 * BLOCK - 3);
	fixture_check(h->f);
	/* Its pieces first, then the whole one. */
	assert_int_equal(gw_balloon_deflate(h->balloon, 2 * BLOCK - 3), 2 * BLOCK - 3);
	fixture_check(h->f);
}

/* A pageblock for which there is no room is split, and its frames move one by one. */
static void
a_block_without_a_target_is_split(void **state)
{
	struct host *h = *state;
	struct gw_page_list list;
	gw_pfn_t held[FRAMES], page;
	unsigned n = 0;

	assert_int_equal(gw_balloon_inflate_blocks(h->balloon, 1), 1);
	page = a_given_frame(h);
	while (!gw_alloc_from_zonelist(h->m, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN, &held[n]))
		n++;
	for (unsigned i = 0; i < n; i += 2)
		gw_put_page(h->m, held[i]);
	isolate(h, page, &list);
	assert_int_equal(migrate(h, &list), 0);
	for (gw_pfn_t i = 0; i < BLOCK; i++)
		assert_int_equal(gw_u8_load_relaxed(&h->has[page + i]), 0);
	assert_int_equal(gw_balloon_frames(h->balloon), BLOCK);
	assert_int_equal(host_frames(h), BLOCK);
	for (unsigned i = 1; i < n; i += 2)
		gw_put_page(h->m, held[i]);
	fixture_check(h->f);
}

/* Without memory there is no balloon, and nothing is left of it. */
static void
creation_fails_cleanly(void **state)
{
	struct host *h = *state;
	const struct gw_balloon_driver driver = {.give = give, .take_back = take_back, .ctx = h};
	uint64_t live = gw_u64_load_relaxed(&h->f->live_bytes);
	struct gw_balloon *balloon = NULL;

	h->f->fail_at = gw_u64_load_relaxed(&h->f->allocations) + 1;
	assert_int_equal(gw_balloon_create(h->m, &driver, &balloon), -ENOMEM);
	assert_null(balloon);
	assert_int_equal(gw_u64_load_relaxed(&h->f->live_bytes), live);
}

/* ---- threads ---- */

struct worker {
	struct host *h;
	unsigned cpu;
	uint64_t random;
	pthread_t thread;
};

static void
move_some(struct worker *w)
{
	struct gw_machine *m = w->h->m;
	struct gw_page_list list;

	gw_page_list_init(&list);
	while (gw_isolate_page(m, (gw_pfn_t)(test_random(&w->random) % FRAMES), GW_MIGRATE_SYNC,
		       &list) == 0)
		;
	if (migrate(w->h, &list))
		gw_putback_movable_pages(m, &list);
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, w->h->m, w->cpu), 0);
	for (unsigned i = 0; i < 1000; i++) {
		switch (test_random(&w->random) % 4) {
		case 0:
			gw_balloon_inflate(w->h->balloon, test_random(&w->random) % 32);
			break;
		case 1:
			gw_balloon_deflate(w->h->balloon, test_random(&w->random) % 32);
			break;
		case 2:
			gw_balloon_inflate_blocks(w->h->balloon, 1);
			break;
		default:
			move_some(w);
		}
	}
	gw_task_detach(&task);
	return NULL;
}

/* B2, B3: inflation, deflation and migration at once; the host is never told twice of a frame, and
 * has in the end what the balloon says. */
static void
the_host_has_what_the_balloon_says(void **state)
{
	struct host *h = *state;
	struct worker workers[4];
	uint64_t random = test_seed();

	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){.h = h, .cpu = i, .random = test_random(&random)};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(workers[i].thread, NULL);
	assert_int_equal(gw_u64_load_relaxed(&h->mistakes), 0);
	assert_int_equal(host_frames(h), gw_balloon_frames(h->balloon));
	assert_true(count(h, GW_VM_BALLOON_MIGRATE) > 0);
	assert_int_equal(count(h, GW_VM_BALLOON_INFLATE) - count(h, GW_VM_BALLOON_DEFLATE),
		gw_balloon_frames(h->balloon));
	fixture_check(h->f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inflates_and_deflates, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_where_there_is_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_page_moves_under_both_locks_without_rmap, setup, teardown),
		cmocka_unit_test_setup_teardown(a_declined_page_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_page_is_isolated_once, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks_are_had_by_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_block_moves_whole_and_deflates_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(a_block_without_a_target_is_split, setup, teardown),
		cmocka_unit_test_setup_teardown(creation_fails_cleanly, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_host_has_what_the_balloon_says, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
