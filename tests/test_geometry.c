/* SPDX-License-Identifier: MIT */
/*
 * test_geometry.c - machines of unusual shape: the orders' ends, zones that begin and end anywhere,
 * many CPUs, frame numbers near the last. Allocating, freeing and compacting in them loses nothing
 * and stays inside the zone.
 */
#include "test.h"

#include <string.h>
#include <sys/mman.h>

#include "engine/phys/phys.h"
#include "godwit/compact.h"
#include "godwit/seed.h"

#define TOP   (GW_PFN_MAX - (1u << GW_ORDERS_MAX)) /* most frames of a machine */
#define PAGES 3000

struct shape {
	unsigned max_order, pageblock_order, n_cpus;
	gw_pfn_t start, end;
};

/* ---- a machine whose tables cost memory only where they are used ---- */

static void *
map_alloc(void *ctx, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)ctx;
	return p == MAP_FAILED ? NULL : p;
}

static void
map_release(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	munmap(p, bytes);
}

static void
no_copy(void *ctx, const struct gw_copy *copies, size_t n)
{
	(void)ctx;
	(void)copies;
	(void)n;
}

static void
bug(void *ctx, const char *message)
{
	(void)ctx;
	fprintf(stderr, "BUG: %s\n", message);
	abort();
}

static const struct gw_machine_ops map_ops = {
	.alloc = map_alloc,
	.release = map_release,
	.copy_frames = no_copy,
	.bug = bug,
};

static int
move_page(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	gw_pfn_t *pages = gw_machine_ctx(m);

	(void)mode;
	pages[gw_page_index(m, src)] = dst;
	return 0;
}

static int
refuse_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	(void)m;
	(void)page;
	(void)order;
	return -EBUSY;
}

static const struct gw_movable_ops movable = {.migrate = move_page, .split = refuse_split};

static void
print_finding(void *ctx, const char *line)
{
	(void)ctx;
	print_error("gw_machine_check: %s\n", line);
}

static void
check(struct gw_machine *m)
{
	assert_int_equal(gw_machine_check(m, print_finding, NULL), 0);
}

static uint64_t
free_frames(struct gw_machine *m)
{
	struct gw_zone_info info;

	assert_int_equal(gw_zone_info(m, 0, &info), 0);
	return info.free + info.pcp;
}

/* Movable pages of many orders until there is no more, every second one given back. */
static void
scatter(struct gw_machine *m, const struct shape *shape, gw_pfn_t *pages, uint64_t *random)
{
	gw_pfn_t size = shape->end - shape->start;

	for (unsigned i = 0; i < PAGES; i++) {
		unsigned order = (unsigned)(test_random(random) % (shape->max_order + 1));

		if (order > 2 && test_random(random) % 8)
			order = 0;
		pages[i] = GW_PFN_NONE;
		if (gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, &pages[i]))
			continue;
		assert_true(pages[i] >= shape->start);
		assert_true(
			(1u << order) <= size && pages[i] - shape->start <= size - (1u << order));
		assert_int_equal(pages[i] & ((1u << order) - 1), 0);
		gw_page_set_movable(m, pages[i], &movable, i);
	}
	for (unsigned i = 0; i < PAGES; i += 2) {
		if (pages[i] != GW_PFN_NONE)
			gw_put_page(m, pages[i]);
		pages[i] = GW_PFN_NONE;
	}
}

static void
compact(struct gw_machine *m, const struct shape *shape)
{
	for (unsigned i = 0; i < 24; i++) {
		const struct gw_compact_request request = {
			.planner = i % 2 ? GW_PLANNER_EVACUATE : GW_PLANNER_SCANNERS,
			.order = (int)(i / 2 % (shape->max_order + 2)) - 1,
			.mode = (enum gw_migrate_mode)(i % 3),
			.migratetype = GW_MT_MOVABLE,
			.direct = i % 5 == 0,
			.whole_zone = i % 7 < 4,
			.ignore_skip = i % 4 == 0,
		};
		struct gw_compact_stats stats;

		gw_compact_zone(m, 0, &request, &stats);
		assert_true(gw_zone_available(m, 0, 0) <= shape->end - shape->start);
	}
	gw_compact_reset_skip(m, 0);
	gw_compact_all_zones(m);
}

static void
run_shape(const struct shape *shape, uint64_t *random)
{
	struct gw_zone_config zone = {.name = "z", .start = shape->start, .end = shape->end};
	gw_pfn_t size = shape->end - shape->start, *pages;
	struct gw_machine_config config;
	struct gw_error err = {""};
	struct gw_machine *m;
	struct gw_task task;

	pages = calloc(PAGES, sizeof(*pages));
	assert_non_null(pages);
	gw_machine_config_init(&config);
	config.n_cpus = shape->n_cpus;
	config.max_order = shape->max_order;
	config.pageblock_order = shape->pageblock_order;
	config.n_frames = shape->end;
	config.zones = &zone;
	config.n_zones = 1;
	if (gw_machine_create(&config, &map_ops, pages, &m, &err)) {
		/* 128 GiB of addresses are not to be had under every sanitizer */
		assert_true(shape->end > 1u << 24 && err.text[0] == '\0');
		print_message("# no addresses for %u frames\n", shape->end);
		free(pages);
		return;
	}
	assert_int_equal(gw_task_attach(&task, m, shape->n_cpus - 1), 0);
	assert_int_equal(gw_seed_free(m, shape->start, size), 0);
	gw_seed_done(m);
	check(m);
	for (unsigned round = 0; round < 3; round++) {
		scatter(m, shape, pages, random);
		check(m);
		compact(m, shape);
		check(m);
		for (unsigned i = 0; i < PAGES; i++)
			if (pages[i] != GW_PFN_NONE)
				gw_put_page(m, pages[i]);
		assert_int_equal(free_frames(m), size);
	}
	gw_drain_all_pages(m);
	check(m);
	gw_task_detach(&task);
	gw_machine_destroy(m);
	free(pages);
}

static void
shapes(void **state)
{
	static const struct shape rows[] = {
		{10, 9, 1, 1, 5000},	/* begins at frame 1, ends inside a pageblock */
		{10, 9, 64, 512, 8192}, /* 64 CPUs */
		{10, 9, 2, 700, 701},	/* one frame */
		{10, 9, 2, 513, 1023},	/* inside one pageblock */
		{1, 1, 2, 3, 2001},	/* the smallest orders */
		{15, 1, 2, 3, 70001},	/* far apart */
		{15, 15, 2, 1, 200000}, /* the largest */
		{4, 4, 3, 17, 4000},	/* no block is larger than a pageblock */
		{6, 3, 1, 5, 4099},	/* pageblocks of an order that per-CPU lists have anyway */
		{10, 9, 2, TOP - 5001, TOP}, /* the last frames there are, aligned nowhere */
		{15, 15, 2, TOP - 200000, TOP},
		{15, 2, 64, TOP - 70001, TOP},
	};
	uint64_t random = test_seed();

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
		run_shape(&rows[r], &random);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
	};

	return cmocka_run_group_tests_name("geometry", tests, NULL, NULL);
}
