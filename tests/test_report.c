/* SPDX-License-Identifier: MIT */
/*
 * test_report.c - what the reports promise, on plans filled by hand.
 */
#include "test.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "observe/report.h"

#define BLOCK 512u

/* Everything a report needs, without a host behind it. */
struct sample {
	struct gw_snapshot snap;
	struct gw_zone_snapshot zone;
	struct gw_twin_notes notes;
	struct gw_plan plan;
	struct gw_plan_zone plan_zone;
	struct gw_frag frag;
};

static void
fill_block(struct gw_block_contents *c, enum gw_kind kind)
{
	*c = (struct gw_block_contents){.migratetype = GW_MT_MOVABLE};
	c->kinds[kind] = BLOCK;
	switch (gw_kind_info(kind)->verdict) {
	case GW_VERDICT_NONE:
		c->none = BLOCK;
		c->zone = 0xff;
		break;
	case GW_VERDICT_FREE:
		c->free = BLOCK;
		break;
	case GW_VERDICT_MOVABLE:
		c->movable = BLOCK;
		break;
	case GW_VERDICT_RECLAIMABLE:
		c->reclaimable = BLOCK;
		break;
	case GW_VERDICT_UNMOVABLE:
		c->unmovable = BLOCK;
		break;
	}
}

static void
sample_init(struct sample *s, gw_pfn_t n_blocks)
{
	struct gw_block_contents *blocks = calloc(n_blocks, sizeof *blocks);

	assert_non_null(blocks);
	for (gw_pfn_t b = 0; b < n_blocks; b++)
		fill_block(&blocks[b], GW_KIND_BUDDY);
	memset(s, 0, sizeof *s);

	strcpy(s->zone.name, "Normal");
	s->zone.present = s->zone.managed = s->zone.free = (uint64_t)n_blocks * BLOCK;
	s->zone.has_free_blocks = true;
	s->zone.free_blocks[9] = n_blocks;
	s->zone.n_cpus = 2;
	strcpy(s->snap.source, "host.tar.zst");
	s->snap.n_frames = n_blocks * BLOCK;
	s->snap.n_orders = 11;
	s->snap.pageblock_order = 9;
	s->snap.zones = &s->zone;
	s->snap.n_zones = 1;

	s->frag = (struct gw_frag){&s->snap, 9, &s->notes, blocks, n_blocks};

	gw_plan_request_init(&s->plan.request);
	strcpy(s->plan_zone.name, "Normal");
	s->plan_zone.n_orders = 11;
	s->plan_zone.result = GW_COMPACT_COMPLETE;
	s->plan_zone.available_before = s->plan_zone.available_after = n_blocks;
	s->plan.total = s->plan_zone;
	s->plan.total.node = -1;
	s->plan.zones = &s->plan_zone;
	s->plan.n_zones = 1;
	s->plan.enough = true;
	s->plan.before = s->plan.after = blocks;
	s->plan.n_blocks = n_blocks;
	s->plan.pageblock_order = 9;
}

static void
sample_destroy(struct sample *s)
{
	free(s->plan.before);
}

enum output { FRAG_TEXT, FRAG_JSON, PLAN_TEXT, PLAN_JSON, PLAN_HTML };

/* What a report writes, as a string; the caller's to free. */
static char *
render(const struct sample *s, enum output what, unsigned width, bool colour)
{
	FILE *out = tmpfile();
	const struct gw_report r = {out, width, colour, true};
	char *text;
	long len;
	int err = 0;

	assert_non_null(out);
	switch (what) {
	case FRAG_TEXT:
		gw_report_frag(&r, &s->frag);
		break;
	case FRAG_JSON:
		err = gw_json_frag(out, &s->frag);
		break;
	case PLAN_TEXT:
		gw_report_plan(&r, &s->snap, &s->plan);
		break;
	case PLAN_JSON:
		err = gw_json_plan(out, &s->snap, &s->plan, false);
		break;
	case PLAN_HTML:
		err = gw_html_plan(out, &s->snap, &s->plan);
		break;
	}
	assert_int_equal(err, 0);
	len = ftell(out);
	assert_true(len > 0);
	rewind(out);
	text = calloc(1, (size_t)len + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)len, out), len);
	fclose(out);
	return text;
}

static size_t
count_of(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
		n++;
	return n;
}

static void
assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("no \"%s\" in:\n%s", what, text);
}

/* O1, O2: printable ASCII, no line beyond `width`. */
static void
assert_plain(const char *text, size_t width)
{
	size_t column = 0;

	for (const char *p = text; *p; p++) {
		if (*p == '\n') {
			column = 0;
			continue;
		}
		assert_in_range(*p, ' ', '~');
		if (++column > width)
			fail_msg("a line of more than %zu columns ends with:\n%.80s", width,
				p - width);
	}
}

/* Numbers and sizes are what people read. */
static void
numbers(void **state)
{
	(void)state;
	assert_string_equal(gw_text_count(0).s, "0");
	assert_string_equal(gw_text_count(999).s, "999");
	assert_string_equal(gw_text_count(1000).s, "1,000");
	assert_string_equal(gw_text_count(1234567).s, "1,234,567");
	assert_string_equal(gw_text_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
	assert_string_equal(gw_text_frames(1).s, "4 KiB");
	assert_string_equal(gw_text_frames(512).s, "2 MiB");
	assert_string_equal(gw_text_bytes(1536).s, "1.5 KiB");
	assert_string_equal(gw_text_frames(UINT64_C(1) << 28).s, "1 TiB");
	assert_string_equal(gw_text_clean("a\033[31mb", 80).s, "a?[31mb");
	assert_string_equal(gw_text_clean("/very/long/path", 8).s, "...\x2fpath");
}

/* O1, O2 with text from outside at its worst: escape sequences, and as long as it can be. */
static void
text_is_tame(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s, 1000);
	memset(s.snap.source, 'x', sizeof s.snap.source - 1);
	memset(s.snap.kernel, 'k', sizeof s.snap.kernel - 1);
	memset(s.snap.missing, 'm', sizeof s.snap.missing - 1);
	memcpy(s.snap.missing, "pagetypeinfo, iomem, ", 21);
	memcpy(s.snap.source + 240, "\033[2J\n\x80", 6);
	memcpy(s.zone.name, "\033[31mAAAAAAAAAA", 15);
	memcpy(s.plan_zone.name, "\033[31mAAAAAAAAAA", 15);
	for (unsigned k = 0; k < 11; k++)
		s.zone.free_blocks[k] = UINT32_MAX >> k;
	for (unsigned k = 0; k < GW_KIND_NR; k++)
		s.plan.total.blockers[k] = (struct gw_blocker){UINT32_MAX, 8388608, 8388608};
	for (enum output what = FRAG_TEXT; what <= PLAN_TEXT; what += PLAN_TEXT - FRAG_TEXT) {
		char *text = render(&s, what, 80, false);

		assert_plain(text, 80);
		free(text);
		text = render(&s, what, 200, false);
		assert_plain(text, 200);
		free(text);
	}
	sample_destroy(&s);
}

/* The answer comes first and says what was asked; where it is no, what would help. */
static void
answers(void **state)
{
	struct sample s;
	char *text;

	(void)state;
	sample_init(&s, 1000);
	s.plan.request.count = 900;
	text = render(&s, PLAN_TEXT, 80, false);
	assert_has(text, "Yes: 900 huge pages of 2 MiB can be had; 1,000 free now.");
	assert_has(text, "No page needs to be moved for that.");
	free(text);

	s.plan.request.count = 2000;
	s.plan.enough = false;
	s.plan.tried_clean = true;
	s.plan.reclaimable_frames = 262144;
	s.plan.available_if_clean_dropped = 2100;
	s.plan.total.pages_migrated = 5000;
	text = render(&s, PLAN_TEXT, 80, false);
	assert_has(text, "No: 2,000 huge pages of 2 MiB cannot be had, only 1,000");
	assert_has(text, "which is enough");
	assert_has(text, "1,750 ns");
	free(text);

	s.plan.available_if_clean_dropped = 1500;
	text = render(&s, PLAN_TEXT, 80, false);
	assert_has(text, "but not enough");
	free(text);

	s.plan.available_if_clean_dropped = 1000;
	text = render(&s, PLAN_TEXT, 80, false);
	assert_has(text, "gives no more: nothing");
	free(text);

	s.plan.request.order = 4;
	text = render(&s, PLAN_TEXT, 80, false);
	assert_has(text, "No: 2,000 blocks of order 4 of 64 KiB cannot be had");
	free(text);
	sample_destroy(&s);
}

/* Likely stops come first, in the order of the run; what a run that ends there gives is said. */
static void
stops_are_sorted(void **state)
{
	struct gw_plan_stop stops[] = {
		{.page = 0x1111, .order = 4, .kind = GW_KIND_FILE_CLEAN},
		{.page = 0x2222, .order = 4, .kind = GW_KIND_FILE_DIRTY, .likely = true},
		{.page = 0x3333, .order = 4, .kind = GW_KIND_FILE_DIRTY, .likely = true},
	};
	const char *first, *second, *third;
	struct sample s;
	char *text;

	(void)state;
	sample_init(&s, 1000);
	s.plan.stops = stops;
	s.plan.n_stops = 3;
	s.plan.n_stops_total = 3;
	text = render(&s, PLAN_TEXT, 80, false);
	first = strstr(text, "0x2222");
	second = strstr(text, "0x3333");
	third = strstr(text, "0x1111");
	assert_non_null(first);
	assert_true(first < second && second < third);
	free(text);
	s.plan.stops = NULL;
	sample_destroy(&s);
}

/* The part of a text picture between its first and its last row. */
static char *
picture_of(const char *text)
{
	const char *from = strstr(text, "pageblock"), *to;

	from = strchr(strstr(from, "One row"), '\n') + 1;
	to = strstr(from, "\n\n");
	assert_non_null(to);
	return strndup(from, (size_t)(to - from));
}

/* P1: one blocked pageblock in 16 everywhere is a cell in 16 everywhere, not none. */
static void
minorities_show(void **state)
{
	struct sample s;
	char *text, *picture;
	size_t blocked;

	(void)state;
	sample_init(&s, 16384); /* 32 GiB: 8 pageblocks in a cell */
	for (gw_pfn_t b = 0; b < 16384; b += 16)
		fill_block(&s.plan.before[b], GW_KIND_SLAB);
	text = render(&s, FRAG_TEXT, 80, false);
	picture = picture_of(text);
	blocked = count_of(picture, "#");
	assert_in_range(blocked, 100, 156); /* of 2,048 cells, 128 */
	assert_has(text, "## blocked                     1,024");
	free(picture);
	free(text);
	sample_destroy(&s);
}

/* P3: rows without memory are one line, however many they are. */
static void
holes_are_collapsed(void **state)
{
	struct sample s;
	char *text, *picture;

	(void)state;
	sample_init(&s, 16384);
	for (gw_pfn_t b = 2048; b < 12288; b++)
		fill_block(&s.plan.before[b], GW_KIND_HOLE);
	text = render(&s, FRAG_TEXT, 80, false);
	picture = picture_of(text);
	assert_has(picture, "(20 GiB without memory)");
	assert_int_equal(count_of(picture, "without memory"), 1);
	assert_has(picture, "24.0 GiB  ..");
	free(picture);
	free(text);
	sample_destroy(&s);
}

/* A terabyte is a picture of at most 32 rows too, and maps side by side are equally large (P2). */
static void
large_hosts_fit(void **state)
{
	struct sample s;
	char *text, *picture;

	(void)state;
	sample_init(&s, 524288);
	text = render(&s, PLAN_TEXT, 80, false);
	picture = picture_of(text);
	assert_in_range(count_of(picture, "\n"), 16, 33);
	assert_int_equal(count_of(picture, "................................   "
					   "................................\n"),
		count_of(picture, "\n") - 1); /* but for the titles */
	free(picture);
	free(text);
	sample_destroy(&s);
}

/* Colour puts two cells into a character, and leaves no colour on at a line's end. */
static void
colours_end(void **state)
{
	struct sample s;
	char *text, *save;

	(void)state;
	sample_init(&s, 16384);
	text = render(&s, FRAG_TEXT, 80, true);
	assert_has(text, "\u2580");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *last = NULL;

		for (const char *p = strchr(line, '\033'); p; p = strchr(p + 1, '\033'))
			last = p;
		if (last && strncmp(line, "Linux", 5) != 0 && strstr(line, "\u2580"))
			assert_memory_equal(last, "\033[0m", 4);
	}
	free(text);
	sample_destroy(&s);
}

/* Names that are no UTF-8 and counts that JSON has no integer for still make valid JSON. */
static void
json_survives_bad_text(void **state)
{
	struct sample s;
	json_error_t error;
	json_t *o;
	char *text;

	(void)state;
	sample_init(&s, 100);
	strcpy(s.snap.source, "\xff\xfe\"\\\n.tar.zst");
	s.plan.request.count = UINT64_MAX;
	text = render(&s, PLAN_JSON, 80, false);
	o = json_loads(text, 0, &error);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "source")), "??\"\\?.tar.zst");
	json_decref(o);
	assert_int_equal(count_of(text, "\n"), 1);
	free(text);
	sample_destroy(&s);
}

/* Members stand in the order of docs/json.md, so that outputs can be compared as text. */
static void
json_order_is_stable(void **state)
{
	static const char *const members[] = {"\"schema\":", "\"version\":", "\"source\":",
		"\"page_size\":", "\"request\":", "\"answer\":", "\"enough\":", "\"zones\":",
		"\"node\":", "\"free_blocks_before\":", "\"result\":", "\"blockers\":",
		"\"notes\":", "\"total\":", "\"seconds_estimate\":", "\"stops\":", "\"timing\":"};
	struct sample s;
	const char *at;
	char *text;

	(void)state;
	sample_init(&s, 100);
	text = render(&s, PLAN_JSON, 80, false);
	at = text;
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		const char *next = strstr(at, members[i]);

		if (next)
			at = next;
		else
			fail_msg("%s is not where it belongs", members[i]);
	}
	free(text);
	sample_destroy(&s);
}

/* H1: what a snapshot is called cannot end the page's script and begin another. */
static void
page_cannot_be_broken_out_of(void **state)
{
	struct sample s;
	char *text, *evil;

	(void)state;
	sample_init(&s, 100);
	text = render(&s, PLAN_HTML, 80, false);
	strcpy(s.snap.source, "</script><script>alert(1)</script><!--");
	evil = render(&s, PLAN_HTML, 80, false);
	assert_int_equal(count_of(evil, "<script"), count_of(text, "<script"));
	assert_int_equal(count_of(evil, "</script"), count_of(text, "</script"));
	assert_null(strstr(evil, "<!--<"));
	free(text);
	free(evil);
	sample_destroy(&s);
}

static unsigned
base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(digits, c);

	assert_true(at && c);
	return (unsigned)(at - digits);
}

/* The bytes of the map after `tag`; the caller's to free. */
static unsigned char *
decode_map(const char *page, const char *tag, size_t *len)
{
	const char *p = strstr(page, tag);
	unsigned char *bytes;
	unsigned bits = 0, n_bits = 0;

	assert_non_null(p);
	p = strchr(p, '>') + 1;
	bytes = malloc(strlen(p));
	assert_non_null(bytes);
	*len = 0;
	for (; *p != '<' && *p != '='; p++) {
		bits = bits << 6 | base64_digit(*p);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			bytes[(*len)++] = (unsigned char)(bits >> n_bits);
		}
	}
	return bytes;
}

static unsigned
varint(const unsigned char **p)
{
	unsigned value = 0, shift = 0;

	do {
		value |= (unsigned)(**p & 127) << shift;
		shift += 7;
	} while (*(*p)++ & 128);
	return value;
}

/* H2: the page's map has every pageblock once, and every frame of each. */
static void
page_has_every_block(void **state)
{
	uint64_t seed = test_seed();
	const unsigned char *p;
	unsigned char *bytes;
	struct sample s;
	unsigned block = 0;
	size_t len;
	char *page;

	(void)state;
	sample_init(&s, 3000);
	for (gw_pfn_t b = 0; b < 3000; b++) {
		if (test_random(&seed) % 3 == 0)
			fill_block(
				&s.plan.before[b], (enum gw_kind)(test_random(&seed) % GW_KIND_NR));
	}
	page = render(&s, PLAN_HTML, 80, false);
	bytes = decode_map(page, "id=\"map1\"", &len);
	for (p = bytes; p < bytes + len;) {
		const unsigned run = varint(&p), first = *p++;
		unsigned n_kinds, frames = 0;

		p++; /* the zone */
		for (n_kinds = *p++; n_kinds > 0; n_kinds--) {
			const unsigned kind = *p++, n = varint(&p);

			assert_in_range(kind, 0, GW_KIND_NR - 1);
			assert_int_equal(s.plan.before[block].kinds[kind], n);
			frames += n;
		}
		assert_int_equal(first & 7, gw_block_state(&s.plan.before[block]));
		assert_int_equal(first >> 3, s.plan.before[block].migratetype);
		assert_int_equal(frames, BLOCK);
		block += run;
	}
	assert_int_equal(block, 3000);
	free(bytes);
	free(page);
	sample_destroy(&s);
}

/* The page needs nothing from anywhere else. */
static void
page_is_self_contained(void **state)
{
	static const char *const links[] = {
		"http:", "https:", "src=", "href=", "url(", "import ", "fetch("};
	struct sample s;
	char *page;

	(void)state;
	sample_init(&s, 100);
	page = render(&s, PLAN_HTML, 80, false);
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
		if (strstr(page, links[i]))
			fail_msg("the page has %s", links[i]);
	}
	assert_memory_equal(page, "<!DOCTYPE html>", 15);
	free(page);
	sample_destroy(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(text_is_tame),
		cmocka_unit_test(answers),
		cmocka_unit_test(stops_are_sorted),
		cmocka_unit_test(minorities_show),
		cmocka_unit_test(holes_are_collapsed),
		cmocka_unit_test(large_hosts_fit),
		cmocka_unit_test(colours_end),
		cmocka_unit_test(json_survives_bad_text),
		cmocka_unit_test(json_order_is_stable),
		cmocka_unit_test(page_cannot_be_broken_out_of),
		cmocka_unit_test(page_has_every_block),
		cmocka_unit_test(page_is_self_contained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
