/* SPDX-License-Identifier: MIT */
/*
 * test_twin.c - what the twin makes of a snapshot: inference, blocks, folios, plans.
 *
 * Snapshots are made by hand: one zone of a few pageblocks of 512 frames, whose frames the
 * test sets. gw_machine_check() runs on every twin.
 */
#include <errno.h>
#include <string.h>

#include "godwit/godwit.h"
#include "test.h"

#define BLOCK	  512u
#define N_BLOCKS  16u
#define N_FRAMES  (N_BLOCKS * BLOCK)
#define ANON	  (GW_KIND_ANON | GW_FRAME_LRU | GW_FRAME_MAPPED)
#define FILE_PAGE (GW_KIND_FILE_CLEAN | GW_FRAME_LRU)

struct host {
	struct gw_snapshot snap;
	struct gw_zone_snapshot zone;
	gw_frame_t frames[N_FRAMES];
};

/* All free, no watermarks, pagetypeinfo absent, one CPU. */
static struct host *
host_new(void)
{
	struct host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->snap = (struct gw_snapshot){.source = "test",
		.frames = h->frames,
		.n_frames = N_FRAMES,
		.n_orders = 11,
		.pageblock_order = 9,
		.zones = &h->zone,
		.n_zones = 1,
		.extfrag_threshold = 500,
		.compact_unevictable_allowed = 1};
	h->zone = (struct gw_zone_snapshot){.name = "Normal",
		.spanned = N_FRAMES,
		.present = N_FRAMES,
		.managed = N_FRAMES,
		.n_cpus = 1,
		.pcp_batch = 1};
	for (gw_pfn_t i = 0; i < N_FRAMES; i++)
		h->frames[i] = GW_KIND_BUDDY;
	return h;
}

static void
fill(struct host *h, gw_pfn_t start, gw_pfn_t n, unsigned frame)
{
	for (gw_pfn_t i = start; i < start + n; i++)
		h->frames[i] = (gw_frame_t)frame;
}

static void
print_finding(void *ctx, const char *line)
{
	(void)ctx;
	print_message("# %s\n", line);
}

static struct gw_twin *
twin_of(struct host *h, const struct gw_twin_options *options)
{
	struct gw_twin *twin = NULL;
	struct gw_error err = {""};

	assert_int_equal(gw_twin_create(&h->snap, options, &twin, &err), 0);
	assert_int_equal(gw_machine_check(gw_twin_machine(twin), print_finding, NULL), 0);
	return twin;
}

static void
twin_done(struct gw_twin *twin)
{
	assert_int_equal(gw_machine_check(gw_twin_machine(twin), print_finding, NULL), 0);
	gw_twin_destroy(twin);
}

/*
 * FACTS 3.1 row 0: unflagged frames are per-CPU pages where nothing speaks for the kernel, as many
 * as zoneinfo counts (T1); the rest are kernel pages.
 */
static void
unflagged_frames_are_told_apart(void **state)
{
	struct host *h = host_new();
	struct gw_twin *twin;
	const struct gw_twin_notes *notes;

	(void)state;
	fill(h, 0 * BLOCK, 100, GW_KIND_NOFLAG); /* among free frames */
	fill(h, 1 * BLOCK, 100, GW_KIND_NOFLAG); /* among slab */
	fill(h, 1 * BLOCK + 100, 200, GW_KIND_SLAB);
	fill(h, 2 * BLOCK, BLOCK, GW_KIND_NOFLAG); /* nothing else: vmalloc looks like that */
	h->zone.pcp_count = 100;
	twin = twin_of(h, NULL);
	notes = gw_twin_notes(twin, 0);
	assert_int_equal(notes->noflag, 200 + BLOCK);
	assert_int_equal(notes->pcp_placed, 100);
	assert_int_equal(notes->kernel_inferred, 100 + BLOCK);
	assert_int_equal(notes->pcp_confidence, 100);
	assert_int_equal(gw_twin_frame_kind(twin, 5), GW_KIND_PCP);
	assert_int_equal(gw_twin_frame_kind(twin, BLOCK + 5), GW_KIND_KERNEL);
	assert_int_equal(gw_twin_frame_kind(twin, 2 * BLOCK + 5), GW_KIND_KERNEL);
	twin_done(twin);
	free(h);
}

/* T1: the total is kept even where only doubtful frames are left, and the confidence says so. */
static void
doubtful_frames_lower_the_confidence(void **state)
{
	struct host *h = host_new();
	struct gw_twin *twin;

	(void)state;
	fill(h, 0, 60, GW_KIND_NOFLAG);
	fill(h, BLOCK, 100, GW_KIND_NOFLAG);
	fill(h, BLOCK + 100, 200, GW_KIND_SLAB);
	h->zone.pcp_count = 80;
	twin = twin_of(h, NULL);
	assert_int_equal(gw_twin_notes(twin, 0)->pcp_placed, 80);
	assert_int_equal(gw_twin_notes(twin, 0)->pcp_confidence, 75);
	twin_done(twin);
	free(h);
}

/* Memory that a zone has but never gave to its allocator is reserved, not the kernel's. */
static void
unmanaged_frames_are_reserved(void **state)
{
	struct host *h = host_new();
	struct gw_twin *twin;

	(void)state;
	fill(h, 0, 60, GW_KIND_NOFLAG);
	fill(h, 4 * BLOCK, 8 * BLOCK, GW_KIND_NOFLAG);
	h->zone.managed = N_FRAMES - 8 * BLOCK;
	h->zone.pcp_count = 60;
	twin = twin_of(h, NULL);
	assert_int_equal(gw_twin_notes(twin, 0)->unmanaged, 8 * BLOCK);
	assert_int_equal(gw_twin_notes(twin, 0)->pcp_placed, 60);
	assert_int_equal(gw_twin_notes(twin, 0)->kernel_inferred, 0);
	assert_int_equal(gw_twin_frame_kind(twin, 5 * BLOCK), GW_KIND_RESERVED);
	twin_done(twin);
	free(h);
}

/* FACTS 3.2: pageblocks get types from their pages, and the totals are pagetypeinfo's (T2). */
static void
pageblock_types_add_up(void **state)
{
	struct host *h = host_new();
	struct gw_zone_info info;
	struct gw_block_contents c;
	struct gw_twin *twin;

	(void)state;
	fill(h, 3 * BLOCK, 300, GW_KIND_SLAB);
	fill(h, 5 * BLOCK, 200, GW_KIND_PGTABLE);
	fill(h, 7 * BLOCK, 400, ANON);
	fill(h, 7 * BLOCK + 400, 1, GW_KIND_SLAB); /* a stray one in a movable block */
	h->zone.has_pagetypes = true;
	h->zone.pageblocks[GW_MT_UNMOVABLE] = 1;
	h->zone.pageblocks[GW_MT_RECLAIMABLE] = 1;
	h->zone.pageblocks[GW_MT_MOVABLE] = N_BLOCKS - 2;
	twin = twin_of(h, NULL);
	assert_int_equal(gw_zone_info(gw_twin_machine(twin), 0, &info), 0);
	assert_int_equal(info.pageblocks[GW_MT_UNMOVABLE], 1);
	assert_int_equal(info.pageblocks[GW_MT_RECLAIMABLE], 1);
	assert_int_equal(info.pageblocks[GW_MT_MOVABLE], N_BLOCKS - 2);
	gw_twin_block_contents(twin, 3, &c);
	assert_int_equal(c.migratetype, GW_MT_RECLAIMABLE);
	gw_twin_block_contents(twin, 5, &c);
	assert_int_equal(c.migratetype, GW_MT_UNMOVABLE);
	gw_twin_block_contents(twin, 7, &c);
	assert_int_equal(c.migratetype, GW_MT_MOVABLE);
	twin_done(twin);
	free(h);
}

/* FACTS 3.1 row BUDDY: blocks follow from alignment, not from the flag. */
static void
free_frames_are_cut_by_alignment(void **state)
{
	struct host *h = host_new();
	struct gw_zone_info info;
	struct gw_twin *twin;

	(void)state;
	fill(h, 0, N_FRAMES, GW_KIND_SLAB);
	fill(h, 3, 6, GW_KIND_BUDDY); /* 3; 4..7; 8 */
	twin = twin_of(h, NULL);
	assert_int_equal(gw_zone_info(gw_twin_machine(twin), 0, &info), 0);
	assert_int_equal(info.free_blocks[0], 2);
	assert_int_equal(info.free_blocks[1], 0);
	assert_int_equal(info.free_blocks[2], 1);
	twin_done(twin);
	free(h);
}

/* A snapshot is not atomic: blocks that buddyinfo does not confirm are kept, and counted. */
static void
torn_blocks_are_counted(void **state)
{
	struct host *h = host_new();
	struct gw_zone_info info;
	struct gw_twin *twin;

	(void)state;
	fill(h, 0, N_FRAMES, GW_KIND_SLAB);
	fill(h, 0, 16, GW_KIND_BUDDY);
	fill(h, 32, 8, GW_KIND_BUDDY);
	h->zone.has_free_blocks = true;
	h->zone.free = 20; /* four frames fewer than the flags show */
	h->zone.free_blocks[3] = 2;
	h->zone.free_blocks[2] = 1;
	twin = twin_of(h, NULL);
	assert_int_equal(gw_zone_info(gw_twin_machine(twin), 0, &info), 0);
	assert_int_equal(info.free, 24);
	assert_int_equal(info.free_blocks[4], 1);
	assert_int_equal(info.free_blocks[3], 1);
	assert_int_equal(gw_twin_notes(twin, 0)->torn_blocks, 1);
	assert_int_equal(gw_twin_notes(twin, 0)->free_difference, 4);
	twin_done(twin);
	free(h);
}

/* Folios move whole; a head that lost its tails (torn) becomes single pages and is counted. */
static void
folios_are_seeded_whole_or_torn(void **state)
{
	struct host *h = host_new();
	struct gw_frame_info info;
	struct gw_twin *twin;

	(void)state;
	fill(h, 64, 1, FILE_PAGE | GW_FRAME_HEAD);
	fill(h, 65, 15, FILE_PAGE | GW_FRAME_TAIL);
	fill(h, 128, 1, FILE_PAGE | GW_FRAME_HEAD);
	fill(h, 129, 2, FILE_PAGE | GW_FRAME_TAIL); /* three frames: no folio */
	twin = twin_of(h, NULL);
	assert_int_equal(gw_frame_info(gw_twin_machine(twin), 70, &info), 0);
	assert_int_equal(info.head, 64);
	assert_int_equal(info.order, 4);
	assert_int_equal(info.state, GW_STATE_MOVABLE);
	assert_int_equal(gw_frame_info(gw_twin_machine(twin), 129, &info), 0);
	assert_int_equal(info.order, 0);
	assert_int_equal(gw_twin_notes(twin, 0)->torn_folios, 1);
	twin_done(twin);
	free(h);
}

/* FACTS 3.7: per-CPU lists give back 32 batches a second each, down to their floor. */
static void
resting_drains_lists_at_the_kernels_rate(void **state)
{
	const struct gw_twin_options two_seconds = {.rest_seconds = 2},
				     hour = {.rest_seconds = 3600};
	struct host *h = host_new();
	struct gw_zone_info info;
	struct gw_twin *twin;

	(void)state;
	fill(h, 0, 400, GW_KIND_NOFLAG);
	h->zone.pcp_count = 400;
	h->zone.pcp_high_min = 50;
	twin = twin_of(h, &two_seconds);
	gw_twin_rest(twin);
	assert_int_equal(gw_zone_info(gw_twin_machine(twin), 0, &info), 0);
	assert_int_equal(info.pcp, 400 - 64);
	assert_int_equal(gw_twin_notes(twin, 0)->pcp_drained, 64);
	twin_done(twin);
	fill(h, 0, 400, GW_KIND_NOFLAG);
	twin = twin_of(h, &hour);
	gw_twin_rest(twin);
	assert_int_equal(gw_zone_info(gw_twin_machine(twin), 0, &info), 0);
	assert_int_equal(info.pcp, 50);
	twin_done(twin);
	free(h);
}

/* "Drop caches first": clean unmapped page cache is free, mapped and dirty pages are not. */
static void
clean_cache_can_be_dropped(void **state)
{
	const struct gw_twin_options drop = {.reclaim_clean = true};
	struct host *h = host_new();
	struct gw_twin *twin;

	(void)state;
	fill(h, 0, 10, FILE_PAGE);
	fill(h, 10, 10, FILE_PAGE | GW_FRAME_MAPPED);
	fill(h, 20, 10, GW_KIND_FILE_DIRTY | GW_FRAME_LRU);
	twin = twin_of(h, &drop);
	assert_int_equal(gw_twin_frame_kind(twin, 5), GW_KIND_BUDDY);
	assert_int_equal(gw_twin_frame_kind(twin, 15), GW_KIND_FILE_CLEAN);
	assert_int_equal(gw_twin_frame_kind(twin, 25), GW_KIND_FILE_DIRTY);
	twin_done(twin);
	free(h);
}

/* Zones that share frames contradict each other: a clear error, nothing built. */
static void
contradicting_zones_are_refused(void **state)
{
	struct host *h = host_new();
	struct gw_zone_snapshot zones[2] = {h->zone, h->zone};
	struct gw_twin *twin = NULL;
	struct gw_error err = {""};

	(void)state;
	h->snap.zones = zones;
	h->snap.n_zones = 2;
	assert_int_equal(gw_twin_create(&h->snap, NULL, &twin, &err), -EINVAL);
	assert_null(twin);
	assert_non_null(strstr(err.text, "overlap"));
	free(h);
}

/* A random host: movable pages, unmovable ones, per-CPU frames. */
static void
randomize(struct host *h, uint64_t *rng)
{
	static const unsigned kinds[] = {GW_KIND_BUDDY, GW_KIND_BUDDY, GW_KIND_BUDDY, ANON, ANON,
		FILE_PAGE, GW_KIND_SHMEM | GW_FRAME_LRU, GW_KIND_NOFLAG};
	uint64_t noflag = 0;

	for (gw_pfn_t i = 0; i < N_FRAMES; i++) {
		h->frames[i] = (gw_frame_t)kinds[test_random(rng) % 8];
		if (i % BLOCK == 7 && test_random(rng) % 4 == 0)
			h->frames[i] = GW_KIND_SLAB;
		noflag += gw_frame_kind(h->frames[i]) == GW_KIND_NOFLAG;
	}
	h->zone.pcp_count = noflag * 3 / 4;
}

static void
count_kinds(const struct gw_block_contents *blocks, gw_pfn_t n, uint64_t out[GW_KIND_NR])
{
	memset(out, 0, GW_KIND_NR * sizeof(*out));
	for (gw_pfn_t b = 0; b < n; b++)
		for (unsigned k = 0; k < GW_KIND_NR; k++)
			out[k] += blocks[b].kinds[k];
}

/* T3, V1: whichever planner runs, every page is still there afterwards, of the same kind. */
static void
plans_lose_no_page(void **state)
{
	uint64_t rng = test_seed(), before[GW_KIND_NR], after[GW_KIND_NR];

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		struct host *h = host_new();
		struct gw_plan_request request;
		struct gw_plan plan;

		randomize(h, &rng);
		gw_plan_request_init(&request);
		request.planner = round % 2 ? GW_PLANNER_EVACUATE : GW_PLANNER_SCANNERS;
		request.order = 9 - round % 3;
		request.count = round % 5 == 0 ? 3 : 0;
		assert_int_equal(gw_plan_make(&h->snap, &request, &plan, NULL), 0);
		count_kinds(plan.before, plan.n_blocks, before);
		count_kinds(plan.after, plan.n_blocks, after);
		before[GW_KIND_BUDDY] += before[GW_KIND_PCP];
		before[GW_KIND_PCP] = 0;
		assert_memory_equal(before, after, sizeof(before));
		assert_true(plan.total.available_after >= plan.total.available_before);
		assert_true(plan.total.available_after_held <= plan.total.available_after);
		gw_plan_free(&plan);
		free(h);
	}
}

/* A count that is there already costs nothing; one beyond reach is answered no, with the most. */
static void
plans_answer_a_count(void **state)
{
	struct host *h = host_new();
	struct gw_plan_request request;
	struct gw_plan plan;

	(void)state;
	for (gw_pfn_t b = 0; b < N_BLOCKS; b++)
		fill(h, b * BLOCK, 128, ANON);
	gw_plan_request_init(&request);
	request.count = 5;
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, NULL), 0);
	assert_true(plan.enough);
	assert_true(plan.total.available_after >= 5);
	assert_true(plan.total.pages_migrated < 8 * 128); /* and stops when it has them */
	gw_plan_free(&plan);
	request.count = N_BLOCKS;
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, NULL), 0);
	assert_false(plan.enough);
	/* A quarter is in use; the pageblock where the scanners meet may stay half full. */
	assert_in_range(plan.total.available_after, N_BLOCKS * 3 / 4 - 1, N_BLOCKS * 3 / 4);
	gw_plan_free(&plan);
	fill(h, 0, N_FRAMES, GW_KIND_BUDDY);
	request.count = 5;
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, NULL), 0);
	assert_true(plan.enough);
	assert_int_equal(plan.total.pages_migrated, 0);
	gw_plan_free(&plan);
	free(h);
}

/* Where clean page cache is what is missing, the plan says what dropping it would give. */
static void
plans_try_dropping_caches(void **state)
{
	struct host *h = host_new();
	struct gw_plan_request request;
	struct gw_plan plan;

	(void)state;
	fill(h, 0, N_FRAMES / 2, FILE_PAGE);
	gw_plan_request_init(&request);
	request.count = N_BLOCKS;
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, NULL), 0);
	assert_false(plan.enough);
	assert_true(plan.tried_clean);
	assert_int_equal(plan.reclaimable_frames, N_FRAMES / 2);
	assert_int_equal(plan.available_if_clean_dropped, N_BLOCKS);
	gw_plan_free(&plan);
	free(h);
}

/* DESIGN 9: what stands in the way, by kind; wholly reserved pageblocks are in nobody's way. */
static void
plans_name_the_blockers(void **state)
{
	struct host *h = host_new();
	struct gw_plan_request request;
	const struct gw_blocker *slab, *table;
	struct gw_plan plan;

	(void)state;
	fill(h, 1 * BLOCK, 3, GW_KIND_SLAB);
	fill(h, 2 * BLOCK, 2, GW_KIND_SLAB);
	fill(h, 2 * BLOCK + 9, 1, GW_KIND_PGTABLE);
	fill(h, 3 * BLOCK, BLOCK, GW_KIND_RESERVED);
	gw_plan_request_init(&request);
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, NULL), 0);
	slab = &plan.total.blockers[GW_KIND_SLAB];
	table = &plan.total.blockers[GW_KIND_PGTABLE];
	assert_int_equal(slab->pages, 5);
	assert_int_equal(slab->pageblocks, 2);
	assert_int_equal(slab->sole, 1);
	assert_int_equal(table->pageblocks, 1);
	assert_int_equal(table->sole, 0);
	assert_int_equal(plan.total.blockers[GW_KIND_RESERVED].pageblocks, 0);
	gw_plan_free(&plan);
	free(h);
}

/*
 * FACTS 3.7: a large folio without a target of its size is where the kernel's run may end. The plan
 * names it, and what it says of an early end is what a run that ends there gives.
 */
static void
plans_name_where_a_run_may_stop(void **state)
{
	struct host *h = host_new();
	struct gw_plan_request request;
	struct gw_plan plan, stopped;

	(void)state;
	/* Below: two sparse pageblocks, the second with a dirty folio of 16. Above: single holes.
	 */
	fill(h, 0, 100, ANON);
	fill(h, BLOCK, 1, GW_KIND_FILE_DIRTY | GW_FRAME_LRU | GW_FRAME_HEAD);
	fill(h, BLOCK + 1, 15, GW_KIND_FILE_DIRTY | GW_FRAME_LRU | GW_FRAME_TAIL);
	for (gw_pfn_t i = 2 * BLOCK; i < N_FRAMES; i++)
		h->frames[i] = i % 2 ? ANON : GW_KIND_BUDDY;
	gw_plan_request_init(&request);
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, NULL), 0);
	assert_int_equal(plan.n_stops, 1);
	assert_int_equal(plan.stops[0].page, BLOCK);
	assert_int_equal(plan.stops[0].order, 4);
	assert_int_equal(plan.stops[0].kind, GW_KIND_FILE_DIRTY);
	assert_true(plan.stops[0].likely);
	request.stop_at = plan.stops[0].migrate_pfn;
	assert_int_equal(gw_plan_make(&h->snap, &request, &stopped, NULL), 0);
	assert_int_equal(plan.stops[0].pages_migrated, stopped.total.pages_migrated);
	assert_int_equal(plan.stops[0].available_after, stopped.total.available_after);
	assert_int_equal(stopped.total.result, GW_COMPACT_CONTENDED);
	gw_plan_free(&plan);
	gw_plan_free(&stopped);
	free(h);
}

/* Nonsense in a request is one line and -EINVAL. */
static void
nonsense_requests_are_refused(void **state)
{
	struct host *h = host_new();
	struct gw_plan_request request;
	struct gw_error err = {""};
	struct gw_plan plan;

	(void)state;
	gw_plan_request_init(&request);
	request.order = 99;
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "order 99"));
	gw_plan_request_init(&request);
	request.stop_at = N_FRAMES;
	assert_int_equal(gw_plan_make(&h->snap, &request, &plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "map ends"));
	free(h);
}

/* STYLE 5: whichever allocation fails, a plan reports -ENOMEM and leaks nothing (LeakSanitizer). */
static unsigned fail_in; /* this allocation from now on fails, counted from 1; 0: none */

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);

void *
__wrap_calloc(size_t n, size_t size)
{
	return fail_in && --fail_in == 0 ? NULL : __real_calloc(n, size);
}

void *
__wrap_malloc(size_t size)
{
	return fail_in && --fail_in == 0 ? NULL : __real_malloc(size);
}

static void
plans_survive_each_failed_allocation(void **state)
{
	unsigned k, failures = 0;

	(void)state;
	for (k = 1; k < 100; k++) {
		struct host *h = host_new();
		struct gw_plan_request request;
		struct gw_plan plan;
		uint64_t rng = 1;
		int ret;

		randomize(h, &rng);
		h->zone.has_pagetypes = true;
		h->zone.pageblocks[GW_MT_UNMOVABLE] = 2;
		gw_plan_request_init(&request);
		fail_in = k;
		ret = gw_plan_make(&h->snap, &request, &plan, NULL);
		fail_in = 0;
		if (ret == 0)
			gw_plan_free(&plan);
		else
			assert_int_equal(ret, -ENOMEM);
		failures += ret != 0;
		free(h);
		if (ret == 0)
			break;
	}
	assert_true(failures >= 6);
	assert_true(k < 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unflagged_frames_are_told_apart),
		cmocka_unit_test(doubtful_frames_lower_the_confidence),
		cmocka_unit_test(unmanaged_frames_are_reserved),
		cmocka_unit_test(pageblock_types_add_up),
		cmocka_unit_test(free_frames_are_cut_by_alignment),
		cmocka_unit_test(torn_blocks_are_counted),
		cmocka_unit_test(folios_are_seeded_whole_or_torn),
		cmocka_unit_test(resting_drains_lists_at_the_kernels_rate),
		cmocka_unit_test(clean_cache_can_be_dropped),
		cmocka_unit_test(contradicting_zones_are_refused),
		cmocka_unit_test(plans_lose_no_page),
		cmocka_unit_test(plans_answer_a_count),
		cmocka_unit_test(plans_try_dropping_caches),
		cmocka_unit_test(plans_name_the_blockers),
		cmocka_unit_test(plans_name_where_a_run_may_stop),
		cmocka_unit_test(nonsense_requests_are_refused),
		cmocka_unit_test(plans_survive_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
