/* SPDX-License-Identifier: MIT */
/*
 * test_gigantic.c - pools of pages larger than the allocator's largest (FACTS 2.1, runtime hugetlb
 * pool: gigantic via alloc_contig_pages; part 4 row 16).
 *
 * Most tests have a machine whose largest free block is of order 5, and take GIANT for gigantic.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/phys/hugetlb.h"
#include "godwit/compact.h"
#include "godwit/contig.h"
#include "godwit/seed.h"
#include "machine_fixture.h"
#include "mm_fixture.h"
#include "program_fixture.h"
#include "test.h"

#define GIANT	    8u
#define GIANT_PAGES ((gw_pfn_t)1 << GIANT)
#define FRAMES	    4096 /* of spaces_setup()'s machine */
#define PLACES	    (FRAMES / GIANT_PAGES)
#define AT	    (64 * TABLE)

/* How large node's pool became. */
static uint64_t
resize_node(struct spaces *s, unsigned node, uint64_t n)
{
	uint64_t got = 12345;

	assert_int_equal(gw_hugetlb_resize(s->m, node, GIANT, n, &got), 0);
	return got;
}

static uint64_t
resize(struct spaces *s, uint64_t n)
{
	return resize_node(s, 0, n);
}

static void
assert_pool(struct spaces *s, uint64_t total, uint64_t free, uint64_t surplus)
{
	struct gw_hugetlb_info info;

	assert_int_equal(gw_hugetlb_info(s->m, 0, GIANT, &info), 0);
	assert_int_equal(info.total, total);
	assert_int_equal(info.free, free);
	assert_int_equal(info.surplus, surplus);
	assert_int_equal(info.reserved, 0);
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 0);
}

static gw_pfn_t
first_free(struct spaces *s)
{
	return s->m->nodes[0].hugetlb[GIANT].free.first;
}

/* An address space that uses every other page of `n`, each written with its number: no block of
 * more than a few frames is free in what is left. */
static struct gw_mm *
fragment(struct spaces *s, unsigned n)
{
	struct gw_mm *mm = new_space(s);

	map_at(mm, AT, n);
	for (unsigned i = 0; i < n; i++)
		poke(mm, AT + i * PAGE, i);
	for (unsigned i = 0; i < n; i += 2)
		assert_int_equal(gw_madvise(mm, AT + i * PAGE, PAGE, GW_MADV_DONTNEED), 0);
	return mm;
}

static void
assert_contents(struct gw_mm *mm, unsigned n)
{
	for (unsigned i = 1; i < n; i += 2)
		assert_int_equal(peek(mm, AT + i * PAGE), i);
}

static unsigned
free_giants(struct spaces *s)
{
	unsigned n = 0;

	for (gw_pfn_t start = 0; start < FRAMES; start += GIANT_PAGES) {
		struct gw_range_outlook look;

		assert_int_equal(gw_range_look(s->m, start, start + GIANT_PAGES, GW_MT_MOVABLE,
					 NULL, NULL, &look),
			0);
		n += look.free == GIANT_PAGES;
	}
	return n;
}

static unsigned
isolated_blocks(struct spaces *s)
{
	unsigned n = 0;

	for (gw_pfn_t pfn = 0; pfn < FRAMES; pfn += gw_pageblock_frames(s->m))
		n += gw_pageblock_type(s->m, pfn) == GW_MT_ISOLATE;
	return n;
}

/* ---- in and out ---- */

/* 2.1: where movable memory is in use, it is moved out of the way, and says what it said. */
static void
pages_are_moved_out_of_the_way(void **state)
{
	struct spaces *s = *state;
	const unsigned n = 3600;
	struct gw_mm *mm = fragment(s, n);
	uint64_t moved = gw_machine_count(s->m, GW_VM_PGMIGRATE_SUCCESS);
	gw_pfn_t page;

	assert_true(free_giants(s) < 4);
	assert_int_equal(resize(s, 5), 5);
	assert_pool(s, 5, 5, 0);
	assert_true(gw_machine_count(s->m, GW_VM_PGMIGRATE_SUCCESS) > moved + GIANT_PAGES / 2);
	assert_contents(mm, n);
	verify(s, &mm, 1);
	page = first_free(s);
	assert_int_equal(page % GIANT_PAGES, 0);
	for (gw_pfn_t i = 0; i < GIANT_PAGES; i++) {
		struct gw_frame_info info;

		assert_int_equal(gw_frame_info(s->m, page + i, &info), 0);
		assert_int_equal(info.head, page);
		assert_int_equal(info.order, GIANT);
	}
	assert_int_equal(resize(s, 2), 2);
	assert_pool(s, 2, 2, 0);
	assert_int_equal(isolated_blocks(s), 0);
	assert_contents(mm, n);
	gw_mm_put(mm);
	assert_int_equal(resize(s, 0), 0);
}

/* 2.1: a page that cannot move keeps one place from being had; when there is no other, the pool
 * falls short, and nothing is lost or left isolated. */
static void
unmovable_pages_stand_in_the_way(void **state)
{
	struct spaces *s = *state;
	gw_pfn_t blocked[PLACES], n = 0;
	struct gw_mm *mm = fragment(s, 2400);
	uint64_t free;

	for (gw_pfn_t start = 0; start < FRAMES; start += GIANT_PAGES) {
		struct gw_obstacle why;

		for (gw_pfn_t i = GIANT_PAGES - 1; i > 0; i--) {
			if (!gw_alloc_contig(s->m, start + i, start + i + 1, GW_MT_MOVABLE, &why)) {
				blocked[n++] = start + i;
				break;
			}
		}
	}
	assert_int_equal(n, PLACES);
	free = free_frames(s);
	assert_int_equal(resize(s, 2), 0);
	assert_pool(s, 0, 0, 0);
	assert_int_equal(free_frames(s), free);
	assert_int_equal(isolated_blocks(s), 0);
	assert_contents(mm, 2400);
	verify(s, &mm, 1);
	gw_free_contig(s->m, blocked[PLACES / 2], 1);
	assert_int_equal(resize(s, 2), 1);
	assert_pool(s, 1, 1, 0);
	assert_int_equal(first_free(s), blocked[PLACES / 2] / GIANT_PAGES * GIANT_PAGES);
	assert_int_equal(isolated_blocks(s), 0);
	assert_contents(mm, 2400);
	verify(s, &mm, 1);
	for (gw_pfn_t i = 0; i < PLACES; i++)
		if (i != PLACES / 2)
			gw_free_contig(s->m, blocked[i], 1);
	gw_mm_put(mm);
	assert_int_equal(resize(s, 0), 0);
}

/* 2.1: a pinned page does, too, though only trying shows it. And an interrupted task gives up. */
static void
pins_and_interruptions(void **state)
{
	struct spaces *s = *state;
	gw_pfn_t pins[PLACES], n = 0;
	struct gw_mm *mm = fragment(s, 3600);
	bool pinned[PLACES] = {false};

	for (unsigned i = 1; i < 3600; i += 2) {
		gw_pfn_t page = page_of(mm, AT + i * PAGE);

		if (pinned[page / GIANT_PAGES])
			continue;
		pinned[page / GIANT_PAGES] = true;
		pins[n++] = page;
		gw_get_page(s->m, page);
	}
	assert_true(n >= PLACES - 2);
	assert_in_range(resize(s, PLACES), 0, PLACES - n);
	assert_int_equal(resize(s, 0), 0);
	assert_contents(mm, 3600);
	while (n > 0)
		gw_put_page(s->m, pins[--n]);
	gw_task_interrupt(&s->task);
	assert_int_equal(resize(s, 1), 0);
	gw_task_clear_interrupt(&s->task);
	assert_int_equal(resize(s, 1), 1);
	assert_int_equal(resize(s, 0), 0);
	gw_mm_put(mm);
}

/* 2.1: what is taken out of a pool comes back to it; what is in use when it shrinks is surplus, and
 * then the allocator's in blocks of its largest order. */
static void
pages_in_use_are_surplus(void **state)
{
	struct spaces *s = *state;
	struct gw_zone_info zone;
	uint64_t largest;
	gw_pfn_t page, other;

	gw_drain_all_pages(s->m);
	assert_int_equal(gw_zone_info(s->m, 0, &zone), 0);
	largest = zone.free_blocks[s->m->config.max_order];
	assert_int_equal(resize(s, 2), 2);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GIANT, &page), 0);
	assert_pool(s, 2, 1, 0);
	gw_put_page(s->m, page);
	assert_pool(s, 2, 2, 0);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GIANT, &page), 0);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GIANT, &other), 0);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GIANT, &other), -ENOMEM);
	assert_int_equal(resize(s, 1), 1);
	assert_pool(s, 2, 0, 1);
	gw_put_page(s->m, page);
	assert_pool(s, 1, 0, 0);
	assert_int_equal(resize(s, 0), 0);
	gw_put_page(s->m, other);
	assert_pool(s, 0, 0, 0);
	gw_drain_all_pages(s->m);
	assert_int_equal(gw_zone_info(s->m, 0, &zone), 0);
	assert_int_equal(zone.free_blocks[s->m->config.max_order], largest);
}

/* 1.6: a free one is dissolved when that is asked for, without another in its place. */
static void
free_pages_are_dissolved(void **state)
{
	struct spaces *s = *state;
	gw_pfn_t page;

	assert_int_equal(resize(s, 2), 2);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GIANT, &page), 0);
	assert_int_equal(gw_hugetlb_dissolve(s->m, page), -EBUSY);
	assert_int_equal(gw_hugetlb_dissolve(s->m, page + 1), -EBUSY);
	gw_put_page(s->m, page);
	assert_int_equal(gw_hugetlb_dissolve(s->m, page), 0);
	assert_pool(s, 1, 1, 0);
	assert_int_equal(resize(s, 0), 0);
}

static int
setup_nodes(void **state)
{
	*state = spaces_of(2, 2, 1024);
	return 0;
}

/* 2.1: the pages of a node's pool are that node's. */
static void
every_node_has_its_own(void **state)
{
	struct spaces *s = *state;
	struct gw_hugetlb_info info;
	gw_pfn_t page;

	assert_int_equal(resize_node(s, 1, 9), 4);
	assert_int_equal(gw_hugetlb_info(s->m, 1, GIANT, &info), 0);
	assert_int_equal(info.total, 4);
	for (gw_pfn_t pfn = 1024; pfn < 2048; pfn += GIANT_PAGES)
		assert_true(gw_page_flags(gw_page(s->m, pfn)) & GW_PG_FREED);
	assert_int_equal(gw_hugetlb_alloc(s->m, 0, GIANT, &page), 0);
	assert_true(page >= 1024);
	gw_put_page(s->m, page);
	assert_int_equal(resize_node(s, 1, 0), 0);
	assert_int_equal(gw_hugetlb_resize(s->m, 0, GW_HUGETLB_ORDERS, 1, &info.total), -EINVAL);
	assert_int_equal(gw_hugetlb_resize(s->m, 0, GW_HUGETLB_ORDERS - 1, 1, &info.total), 0);
	assert_int_equal(info.total, 0);
}

/* ---- others meet them ---- */

/* They stand in the way of ranges and of offlining, free or not; compaction passes over them, and a
 * range beside them is had. */
static void
nobody_takes_them(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = fragment(s, 2400);
	struct gw_obstacle why;
	gw_pfn_t page;

	assert_int_equal(resize(s, 2), 2);
	page = first_free(s);
	for (unsigned used = 0; used < 2; used++) {
		assert_int_equal(
			gw_alloc_contig(s->m, page + 50, page + 51, GW_MT_MOVABLE, &why), -EBUSY);
		assert_int_equal(why.why, GW_WHY_UNMOVABLE);
		assert_int_equal(why.pfn, page);
		assert_int_equal(why.order, GIANT);
		assert_int_equal(gw_offline_pages(s->m, page + 64, page + 128, &why), -EBUSY);
		assert_int_equal(why.pfn, page);
		gw_compact_all_zones(s->m);
		if (!used)
			assert_int_equal(gw_hugetlb_alloc(s->m, 0, GIANT, &page), 0);
	}
	assert_pool(s, 2, 1, 0);
	assert_contents(mm, 2400);
	verify(s, &mm, 1);
	gw_put_page(s->m, page);
	gw_mm_put(mm);
	assert_int_equal(resize(s, 0), 0);
}

/* H1, F3: the check counts them, and knows no other page of such an order. */
static void
check_knows_them(void **state)
{
	struct spaces *s = *state;
	struct gw_hugetlb_pool *pool = &s->m->nodes[0].hugetlb[GIANT];
	struct gw_page *head, *tail;

	assert_int_equal(resize(s, 1), 1);
	head = gw_page(s->m, first_free(s));
	tail = &head[GIANT_PAGES - 1];
	pool->total++;
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 1);
	pool->total--;
	gw_u32_and_relaxed(&head->flags, ~GW_PG_FREED);
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 1);
	gw_u32_or_relaxed(&head->flags, GW_PG_FREED);
	gw_u32_and_relaxed(&head->flags, ~(GW_PG_HUGETLB | GW_PG_FREED));
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 2); /* F3 and H1 */
	gw_u32_or_relaxed(&head->flags, GW_PG_HUGETLB | GW_PG_FREED);
	gw_u32_store_relaxed(&tail->flags, gw_flags_make(GW_PAGE_FREE, 0));
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 1);
	gw_u32_store_relaxed(&tail->flags, gw_flags_make(GW_PAGE_TAIL, 0));
	assert_pool(s, 1, 1, 0);
	assert_int_equal(resize(s, 0), 0);
}

/* ---- Linux's sizes ---- */

/* 2.1: pages of 1 GiB, out of memory that is free but for a page of 4 KiB in each. */
static void
one_gibibyte(void **state)
{
	enum { ORDER = 18 };
	const gw_pfn_t giant = (gw_pfn_t)1 << ORDER;
	struct gw_zone_config zone = {.name = "Normal", .end = 3 * giant};
	struct gw_machine_config config;
	struct gw_hugetlb_info info;
	struct fixture *f;
	uint64_t got = 0;

	(void)state;
	gw_machine_config_init(&config);
	config.n_frames = 3 * giant;
	config.zones = &zone;
	config.n_zones = 1;
	f = fixture_create_config(&config);
	assert_int_equal(gw_seed_free(f->m, 0, 3 * giant), 0);
	gw_seed_done(f->m);
	assert_int_equal(
		gw_alloc_contig(f->m, giant + 12345, giant + 12346, GW_MT_MOVABLE, NULL), 0);
	assert_int_equal(gw_hugetlb_resize(f->m, 0, ORDER, 4, &got), 0);
	assert_int_equal(got, 2);
	assert_int_equal(gw_hugetlb_info(f->m, 0, ORDER, &info), 0);
	assert_int_equal(info.free, 2);
	assert_int_equal(fixture_free_frames(f), giant - 1);
	fixture_check(f);
	gw_free_contig(f->m, giant + 12345, 1);
	assert_int_equal(gw_hugetlb_resize(f->m, 0, ORDER, 3, &got), 0);
	assert_int_equal(got, 3);
	assert_int_equal(fixture_free_frames(f), 0);
	fixture_check(f);
	assert_int_equal(gw_hugetlb_resize(f->m, 0, ORDER, 0, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(fixture_free_frames(f), 3 * giant);
	fixture_destroy(f);
}

/* ---- threads ---- */

#define PAGES  600
#define ROUNDS 40

/* I5: the pool comes and goes while a program writes to the pages that are in its way. */
static void
program_runs_meanwhile(void **state)
{
	struct spaces *s = *state;
	struct program p = {.m = s->m,
		.mm = new_space(s),
		.at = AT,
		.pages = PAGES,
		.step = 1,
		.rounds = ROUNDS};
	uint64_t had = 0;

	map_at(p.mm, AT, PAGES);
	program_start(&p);
	while (!program_is_done(&p) || had == 0) {
		had += resize(s, PLACES - 4);
		assert_int_equal(resize(s, 0), 0);
	}
	program_end(&p);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(peek(p.mm, AT + i * PAGE), ROUNDS);
	verify(s, &p.mm, 1);
	gw_mm_put(p.mm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, spaces_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(pages_are_moved_out_of_the_way),
		T(unmovable_pages_stand_in_the_way),
		T(pins_and_interruptions),
		T(pages_in_use_are_surplus),
		T(free_pages_are_dissolved),
		cmocka_unit_test_setup_teardown(
			every_node_has_its_own, setup_nodes, spaces_teardown),
		T(nobody_takes_them),
		T(check_knows_them),
		cmocka_unit_test(one_gibibyte),
		T(program_runs_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
