/* SPDX-License-Identifier: MIT */
/*
 * test_plan_range.c - plans to take a range of memory away, or to get gigantic pages (FACTS 1.6,
 * 2.5, 3.5; part 4 rows 5, 13, 14 and 16): what the library says, and the command.
 */
#include "test.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "cli_fixture.h"
#include "godwit/godwit.h"

/* ---- the library, on hosts made here ---- */

#define BLOCK  512u
#define FRAMES (8 * BLOCK)

struct host {
	gw_frame_t frames[FRAMES];
	struct gw_zone_snapshot zone;
	struct gw_snapshot snap;
};

/* All of it free. */
static struct host *
host_create(void)
{
	struct host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	for (unsigned i = 0; i < FRAMES; i++)
		h->frames[i] = GW_KIND_BUDDY;
	h->zone = (struct gw_zone_snapshot){
		.name = "Normal",
		.spanned = FRAMES,
		.present = FRAMES,
		.managed = FRAMES,
		.n_cpus = 1,
		.pcp_batch = 63,
	};
	h->snap = (struct gw_snapshot){
		.source = "made here",
		.frames = h->frames,
		.n_frames = FRAMES,
		.n_orders = 11,
		.pageblock_order = 9,
		.zones = &h->zone,
		.n_zones = 1,
		.extfrag_threshold = 500,
		.compact_unevictable_allowed = 1,
	};
	return h;
}

static void
fill(struct host *h, gw_pfn_t pfn, gw_pfn_t n, unsigned frame)
{
	for (gw_pfn_t i = pfn; i < pfn + n; i++)
		h->frames[i] = (gw_frame_t)frame;
}

static void
folio(struct host *h, gw_pfn_t pfn, gw_pfn_t n, unsigned frame)
{
	fill(h, pfn, n, frame | GW_FRAME_TAIL);
	h->frames[pfn] = (gw_frame_t)(frame | GW_FRAME_HEAD);
}

/* The plan for [start, end); the host is used up. */
static struct gw_range_plan
plan_of(struct host *h, gw_pfn_t start, gw_pfn_t end)
{
	struct gw_range_plan plan;
	struct gw_error err = {""};

	assert_int_equal(gw_offline_plan_make(&h->snap, start, end, 1000, 1, &plan, &err), 0);
	free(h);
	return plan;
}

/* What moves, and what it costs. */
static void
movable_pages_move(void **state)
{
	struct host *h = host_create();
	struct gw_range_plan plan;

	(void)state;
	fill(h, BLOCK, 300, GW_KIND_ANON | GW_FRAME_LRU | GW_FRAME_MAPPED);
	folio(h, BLOCK + 304, 16, GW_KIND_FILE_CLEAN | GW_FRAME_LRU);
	plan = plan_of(h, BLOCK, 2 * BLOCK);
	assert_true(plan.possible);
	assert_int_equal(plan.movable, 316);
	assert_int_equal(plan.free, BLOCK - 316);
	assert_int_equal(plan.pages_migrated, 316);
	assert_int_equal(plan.n_blockers, 0);
	assert_true(plan.seconds_estimate > 316e-6 && plan.seconds_estimate < 318e-6);
}

/* Row 13: what does not move is named, frames in a row of one kind as one, and counted by kind. */
static void
blockers_are_named(void **state)
{
	struct host *h = host_create();
	struct gw_range_plan plan;

	(void)state;
	fill(h, BLOCK + 10, 3, GW_KIND_SLAB);
	fill(h, BLOCK + 13, 2, GW_KIND_PGTABLE);
	fill(h, 2 * BLOCK - 1, 1, GW_KIND_SLAB);
	plan = plan_of(h, BLOCK, 3 * BLOCK);
	assert_false(plan.possible);
	assert_int_equal(plan.blocked, 6);
	assert_int_equal(plan.by_kind[GW_KIND_SLAB], 4);
	assert_int_equal(plan.by_kind[GW_KIND_PGTABLE], 2);
	assert_int_equal(plan.n_blockers, 3);
	assert_int_equal(plan.n_blockers_total, 3);
	assert_int_equal(plan.blockers[0].pfn, BLOCK + 10);
	assert_int_equal(plan.blockers[0].frames, 3);
	assert_int_equal(plan.blockers[1].frames, 2);
	assert_int_equal(plan.blockers[1].kind, GW_KIND_PGTABLE);
	assert_int_equal(plan.blockers[2].pfn, 2 * BLOCK - 1);
	assert_int_equal(plan.pages_migrated, 0);
}

/* The first places are listed, all are counted. */
static void
many_blockers(void **state)
{
	struct host *h = host_create();
	struct gw_range_plan plan;

	(void)state;
	for (gw_pfn_t pfn = 0; pfn < 2 * BLOCK; pfn += 4)
		fill(h, pfn, 2, GW_KIND_SLAB);
	plan = plan_of(h, 0, 2 * BLOCK);
	assert_int_equal(plan.n_blockers, GW_RANGE_BLOCKERS_MAX);
	assert_int_equal(plan.n_blockers_total, BLOCK / 2);
	assert_int_equal(plan.blockers[GW_RANGE_BLOCKERS_MAX - 1].frames, 2);
	assert_int_equal(plan.by_kind[GW_KIND_SLAB], BLOCK);
}

/* FACTS 1.6, 2.5, 3.5: offlining waits for write-back, moves pool pages, and passes over broken
 * frames; pool pages beyond a pageblock stand in the way. */
static void
offlining_moves_more_than_compaction(void **state)
{
	struct host *h = host_create();
	struct gw_range_plan plan;

	(void)state;
	fill(h, BLOCK + 5, 7, GW_KIND_WRITEBACK | GW_FRAME_LRU);
	assert_true(plan_of(h, BLOCK, 2 * BLOCK).possible);

	h = host_create();
	folio(h, BLOCK, BLOCK, GW_KIND_HUGETLB);
	plan = plan_of(h, BLOCK, 2 * BLOCK);
	assert_true(plan.possible);
	assert_int_equal(plan.hugetlb, BLOCK);
	assert_int_equal(plan.pages_migrated, BLOCK);

	h = host_create();
	fill(h, BLOCK + 77, 1, GW_KIND_HWPOISON);
	assert_true(plan_of(h, BLOCK, 2 * BLOCK).possible);

	h = host_create();
	folio(h, 2 * BLOCK, 2 * BLOCK, GW_KIND_HUGETLB);
	plan = plan_of(h, 2 * BLOCK, 4 * BLOCK);
	assert_false(plan.possible);
	assert_int_equal(plan.by_kind[GW_KIND_HUGETLB], 2 * BLOCK);
}

/* Where there is nowhere to go to, that is said. */
static void
want_of_room(void **state)
{
	struct host *h = host_create();
	struct gw_range_plan plan;

	(void)state;
	fill(h, 0, FRAMES, GW_KIND_ANON | GW_FRAME_LRU | GW_FRAME_MAPPED);
	fill(h, 7 * BLOCK, 100, GW_KIND_BUDDY);
	plan = plan_of(h, BLOCK, 2 * BLOCK);
	assert_false(plan.possible);
	assert_int_equal(plan.blocked, 0);
	assert_int_equal(plan.room, 100);
}

/* Row 14: ranges that no kernel takes away. */
static void
ranges_that_are_none(void **state)
{
	struct host *h = host_create();
	struct gw_range_plan plan;
	struct gw_error err = {""};

	(void)state;
	assert_int_equal(gw_offline_plan_make(&h->snap, 5, 5, 1, 1, &plan, &err), -EINVAL);
	assert_int_equal(gw_offline_plan_make(&h->snap, 0, FRAMES + 1, 1, 1, &plan, &err), -EINVAL);
	assert_true(err.text[0] != '\0');
	plan = plan_of(h, BLOCK, BLOCK + 100);
	assert_false(plan.possible);
	assert_non_null(strstr(plan.refused, "whole pageblocks"));
	h = host_create();
	h->zone.spanned = h->zone.present = h->zone.managed = 6 * BLOCK;
	plan = plan_of(h, 5 * BLOCK, 7 * BLOCK);
	assert_false(plan.possible);
	assert_non_null(strstr(plan.refused, "one zone"));
	h = host_create();
	fill(h, BLOCK, 4, GW_KIND_HOLE);
	plan = plan_of(h, BLOCK, 2 * BLOCK);
	assert_false(plan.possible);
	assert_int_equal(plan.by_kind[GW_KIND_HOLE], 4);
}

/* Row 5: gigantic pages, here of 4 MiB: the first places that can be had, in order; a pool page in
 * a place is in the way (FACTS 2.1 has it replaced only where that is asked for). */
static void
gigantic_pages(void **state)
{
	struct host *h = host_create();
	struct gw_gigantic_plan plan;
	struct gw_error err = {""};

	(void)state;
	fill(h, 7, 1, GW_KIND_SLAB);
	fill(h, 2 * BLOCK, 2, GW_KIND_ANON | GW_FRAME_LRU | GW_FRAME_MAPPED);
	folio(h, 4 * BLOCK, BLOCK, GW_KIND_HUGETLB);
	fill(h, 6 * BLOCK, 3, GW_KIND_WRITEBACK | GW_FRAME_LRU);
	assert_int_equal(gw_gigantic_plan_make(&h->snap, 10, 9, 1000, 0, &plan, &err), 0);
	assert_int_equal(plan.n_places, 4);
	assert_int_equal(plan.had, 2);
	assert_false(plan.places[0].possible);
	assert_true(plan.places[1].possible);
	assert_int_equal(plan.places[1].pages_migrated, 2);
	assert_false(plan.places[2].possible);
	assert_true(plan.places[3].possible);
	gw_gigantic_plan_free(&plan);
	assert_int_equal(gw_gigantic_plan_make(&h->snap, 3, 1, 1000, 0, &plan, &err), -EINVAL);
	free(h);
}

/* ---- the command ---- */

/* Whatever is wrong: status 2, one line on stderr that begins with "godwit: ". */
static void
bad_input_is_one_line(void **state)
{
	static const char *const commands[] = {
		"godwit plan --offline '' --snapshot " SMALL,
		"godwit plan --offline nonsense --snapshot " SMALL,
		"godwit plan --offline memory --snapshot " SMALL,
		"godwit plan --offline memoryx --snapshot " SMALL,
		"godwit plan --offline memory-1 --snapshot " SMALL,
		"godwit plan --offline memory99999999 --snapshot " SMALL,
		"godwit plan --offline 5 --snapshot " SMALL,
		"godwit plan --offline 5- --snapshot " SMALL,
		"godwit plan --offline -5 --snapshot " SMALL,
		"godwit plan --offline 1024-512 --snapshot " SMALL,
		"godwit plan --offline 512-512 --snapshot " SMALL,
		"godwit plan --offline 512-1024-2048 --snapshot " SMALL,
		"godwit plan --offline 512-0xffffff --snapshot " SMALL,
		"godwit plan --offline memory1 --block-size 3 --snapshot " SMALL,
		"godwit plan --offline memory1 --block-size 0 --snapshot " SMALL,
		"godwit plan --block-size 2 --snapshot " SMALL,
		"godwit plan --offline memory1 --gigantic 1 --snapshot " SMALL,
		"godwit plan --offline memory1 --count 1 --snapshot " SMALL,
		"godwit plan --offline memory1 --order 9 --snapshot " SMALL,
		"godwit plan --offline memory1 --html $T/x --snapshot " SMALL,
		"godwit plan --gigantic 0 --snapshot " SMALL,
		"godwit plan --gigantic 1 --planner evacuate --snapshot " SMALL,
		"godwit plan --gigantic 1 --json --pageblocks --snapshot " SMALL,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct outcome o = run(commands[i]);

		if (o.status != 2 || o.out[0] || strncmp(o.err, "godwit: ", 8) != 0 ||
			strchr(o.err, '\n') != o.err + strlen(o.err) - 1)
			fail_msg("%s: status %d, stdout %s, stderr %s", commands[i], o.status,
				o.out, o.err);
		outcome_free(&o);
	}
}

/* 0: it can be done; 1: it cannot. The same range by its name and by its frames. */
static void
status_is_the_answer(void **state)
{
	static const struct {
		const char *command;
		int status;
		const char *says;
	} rows[] = {
		{"--offline memory4 --block-size 2", 0, "384 pages"},
		{"--offline 2048-2560", 0, "384 pages"},
		{"--offline 0x800-0xa00", 0, "0x800 to 0xa00"},
		{"--offline memory15 --block-size 2", 0, "No page needs to be moved"},
		{"--offline memory1 --block-size 2", 1, "512 of its pages"},
		{"--offline memory0 --block-size 2", 1, "no memory"},
		{"--offline 2048-2049", 1, "whole pageblocks"},
		{"--gigantic 1", 1, "only 0"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char command[128], *out;

		snprintf(command, sizeof command, "godwit plan --snapshot " SMALL " %s",
			rows[i].command);
		out = run_well(command, rows[i].status);
		if (!strstr(out, rows[i].says))
			fail_msg("%s: says %s", command, out);
		free(out);
	}
}

/* Text is printable ASCII in lines of at most 80 columns (O1, O2). */
static void
check_columns(const char *command, int status)
{
	char *out = run_well(command, status);

	for (const char *line = out; *line; line = strchr(line, '\n') + 1) {
		size_t len = strcspn(line, "\n");

		if (len > 80)
			fail_msg("%s: %.*s", command, (int)len, line);
		for (size_t i = 0; i < len; i++)
			assert_in_range(line[i], ' ', '~');
	}
	free(out);
}

static void
text_fits(void **state)
{
	(void)state;
	check_columns("godwit plan --snapshot " REAL " --offline memory0", 1);
	check_columns("godwit plan --snapshot " REAL " --offline memory100", 1);
	check_columns("godwit plan --snapshot " REAL " --offline memory150", 0);
	check_columns("godwit plan --snapshot " REAL " --offline 0x100000-0x600000", 1);
	check_columns("godwit plan --snapshot " REAL " --gigantic 4", 0);
	check_columns("godwit plan --snapshot " REAL " --gigantic 30", 1);
}

static json_t *
json_of(const char *command, int status, const char *schema)
{
	char *out = run_well(command, status);
	json_t *all = json_loads(out, 0, NULL);

	assert_non_null(all);
	assert_string_equal(json_string_value(json_object_get(all, "schema")), schema);
	assert_int_equal(json_integer_value(json_object_get(all, "version")), 1);
	free(out);
	return all;
}

static json_int_t
number(const json_t *o, const char *name)
{
	const json_t *value = json_object_get(o, name);

	if (!json_is_integer(value))
		fail_msg("%s is no integer", name);
	return json_integer_value(value);
}

/* docs/json.md, godwit.plan.offline: frames add up, those in the way by kind and by place. */
static void
offline_json_is_as_documented(void **state)
{
	json_t *all = json_of("godwit plan --snapshot " REAL " --offline memory100 --json", 1,
		"godwit.plan.offline");
	json_int_t kinds = 0, places = 0;
	const char *name;
	json_t *value;
	size_t i;

	(void)state;
	assert_int_equal(number(all, "end_pfn") - number(all, "start_pfn"), 32768);
	assert_int_equal(
		number(all, "free") + number(all, "to_move") + number(all, "blocking"), 32768);
	assert_true(json_is_false(json_object_get(all, "possible")));
	assert_string_equal(json_string_value(json_object_get(all, "zone")), "Normal");
	json_object_foreach(json_object_get(all, "blockers"), name, value) kinds +=
		json_integer_value(value);
	assert_int_equal(kinds, number(all, "blocking"));
	json_array_foreach(json_object_get(all, "in_the_way"), i, value)
	{
		places += number(value, "frames");
		assert_true(number(value, "pfn") >= number(all, "start_pfn"));
		assert_true(json_is_string(json_object_get(value, "kind")));
		assert_string_equal(json_string_value(json_object_get(value, "why")), "unmovable");
	}
	assert_int_equal(i, number(all, "in_the_way_total"));
	assert_int_equal(places, kinds);
	assert_int_equal(number(all, "room") > 0, 1);
	json_decref(all);
}

/* godwit.plan.gigantic: as many places as could be had are marked, and their pages add up. */
static void
gigantic_json_is_as_documented(void **state)
{
	json_t *all = json_of(
		"godwit plan --snapshot " REAL " --gigantic 100 --json", 1, "godwit.plan.gigantic");
	json_int_t had = 0, migrated = 0;
	json_t *place;
	size_t i;

	(void)state;
	assert_int_equal(number(all, "count"), 100);
	assert_int_equal(number(all, "order"), 18);
	json_array_foreach(json_object_get(all, "places"), i, place)
	{
		had += json_is_true(json_object_get(place, "possible"));
		migrated += number(place, "pages_migrated");
		assert_int_equal(number(place, "start_pfn") % (1 << 18), 0);
	}
	assert_true(had > 0);
	assert_int_equal(had, number(all, "had"));
	assert_int_equal(migrated, number(all, "pages_migrated"));
	assert_true(json_is_false(json_object_get(all, "enough")));
	assert_true(json_is_real(json_object_get(all, "seconds_estimate")));
	json_decref(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(movable_pages_move),
		cmocka_unit_test(blockers_are_named),
		cmocka_unit_test(many_blockers),
		cmocka_unit_test(offlining_moves_more_than_compaction),
		cmocka_unit_test(want_of_room),
		cmocka_unit_test(ranges_that_are_none),
		cmocka_unit_test(gigantic_pages),
		cmocka_unit_test(bad_input_is_one_line),
		cmocka_unit_test(status_is_the_answer),
		cmocka_unit_test(text_fits),
		cmocka_unit_test(offline_json_is_as_documented),
		cmocka_unit_test(gigantic_json_is_as_documented),
	};

	return cmocka_run_group_tests(tests, cli_make_directory, cli_remove_directory);
}
