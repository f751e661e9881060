/* SPDX-License-Identifier: MIT */
/*
 * compact_fixture.h - zones drawn as text, for tests of compaction.
 *
 * Idea. A drawing says what stands in each frame, from frame 0 on:
 *   .    free                          m    a movable page          u    a page that cannot move
 *   a f  movable, on the LRU as inactive anonymous or file page     p    free on CPU 0's list
 *   1-9  movable page of that order, head; '-' for each of its other frames     h    reserved
 * Each movable page writes its index into its frames' bytes, so that world_check() sees whether
 * every page still exists, whole, with its own bytes, and counts frames that moved.
 */
#ifndef GODWIT_COMPACT_FIXTURE_H
#define GODWIT_COMPACT_FIXTURE_H

#include <string.h>

#include "machine_fixture.h"
#include "test.h"
#include "godwit/compact.h"
#include "godwit/seed.h"

struct world {
	struct fixture *f;
	struct gw_machine *m;
	uint32_t n_pages;	/* movable pages made; indices 1 .. n_pages */
	uint32_t frames[65536]; /* by index: frames of the page */
	bool refuse_split;
	bool refuse_move; /* -EAGAIN for ever */
	unsigned moves, splits;
	void *extra; /* the test's */
};

static inline int
world_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct world *w = fixture_of(m)->user;

	(void)mode;
	if (w->refuse_move)
		return -EAGAIN;
	w->moves++;
	gw_migrate_copy(m, dst, src, gw_flags_order(gw_page_flags(gw_page(m, src))));
	return 0;
}

static inline int
world_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	struct world *w = fixture_of(m)->user;

	(void)page;
	(void)order;
	if (w->refuse_split)
		return -EBUSY;
	w->splits++;
	return 0;
}

static const struct gw_movable_ops world_ops = {.migrate = world_move, .split = world_split};

/* A machine of one zone; config's zone may set watermarks. All frames reserved. */
static inline struct world *
world_create(gw_pfn_t n_frames, unsigned pageblock_order, unsigned max_order, unsigned n_cpus,
	const struct gw_zone_config *zone_config)
{
	struct gw_zone_config zone = {.name = "Normal"};
	struct gw_machine_config config;
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	if (zone_config)
		zone = *zone_config;
	zone.name = "Normal";
	zone.end = n_frames;
	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.max_order = max_order;
	config.pageblock_order = pageblock_order;
	config.n_frames = n_frames;
	config.zones = &zone;
	config.n_zones = 1;
	w->f = fixture_create_config(&config);
	w->f->user = w;
	w->m = w->f->m;
	return w;
}

static inline void
world_movable(struct world *w, gw_pfn_t pfn, unsigned order, enum gw_lru lru)
{
	uint32_t index = ++w->n_pages;

	assert_in_range(index, 1, 65535);
	assert_int_equal(gw_seed_movable(w->m, pfn, order, &world_ops, index, lru), 0);
	w->frames[index] = 1u << order;
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++)
		memcpy(w->f->bytes[pfn + i], &index, sizeof(index));
}

/* Draw from `start` on. Free runs become the largest aligned blocks. */
static inline void
world_draw(struct world *w, gw_pfn_t start, const char *text)
{
	gw_pfn_t n = (gw_pfn_t)strlen(text);

	for (gw_pfn_t i = 0; i < n; i++) {
		gw_pfn_t pfn = start + i;
		gw_pfn_t run = 1;
		char c = text[i];

		if (c == '.') {
			while (text[i + run] == '.')
				run++;
			assert_int_equal(gw_seed_free(w->m, pfn, run), 0);
			i += run - 1;
		} else if (c == 'm') {
			world_movable(w, pfn, 0, GW_LRU_NR);
		} else if (c == 'a') {
			world_movable(w, pfn, 0, GW_LRU_INACTIVE_ANON);
		} else if (c == 'f') {
			world_movable(w, pfn, 0, GW_LRU_INACTIVE_FILE);
		} else if (c == 'u') {
			assert_int_equal(gw_seed_used(w->m, pfn, 1), 0);
		} else if (c == 'p') {
			assert_int_equal(gw_seed_pcp(w->m, pfn, 0), 0);
		} else if (c >= '1' && c <= '9') {
			world_movable(w, pfn, (unsigned)(c - '0'), GW_LRU_NR);
			i += ((gw_pfn_t)1 << (c - '0')) - 1;
		} else {
			assert_int_equal(c, 'h');
		}
	}
}

/* `n` frames of the same letter. */
static inline void
world_fill(struct world *w, gw_pfn_t start, gw_pfn_t n, char c)
{
	char *text = calloc(n + 1, 1);

	assert_non_null(text);
	memset(text, c, n);
	world_draw(w, start, text);
	free(text);
}

static inline void
world_ready(struct world *w)
{
	gw_seed_done(w->m);
	fixture_check(w->f);
}

static inline char
world_letter(struct world *w, gw_pfn_t pfn)
{
	struct gw_frame_info info;

	assert_int_equal(gw_frame_info(w->m, pfn, &info), 0);
	switch (info.state) {
	case GW_STATE_BUDDY:
		return '.';
	case GW_STATE_PCP:
		return 'p';
	case GW_STATE_MOVABLE:
		return 'm';
	case GW_STATE_USED:
		return 'u';
	case GW_STATE_ISOLATED:
		return 'i';
	case GW_STATE_RESERVED:
	default:
		return 'h';
	}
}

/* How many of frames [start, start + n) are in this state, and are all of them? */
static inline gw_pfn_t
world_count(struct world *w, gw_pfn_t start, gw_pfn_t n, char c)
{
	gw_pfn_t count = 0;

	for (gw_pfn_t pfn = start; pfn < start + n; pfn++)
		count += world_letter(w, pfn) == c;
	return count;
}

static inline bool
world_all(struct world *w, gw_pfn_t start, gw_pfn_t n, char c)
{
	return world_count(w, start, n, c) == n;
}

/* Every page is there, whole, with its bytes; the machine's invariants hold. */
static inline void
world_check(struct world *w)
{
	uint32_t *seen = calloc(w->n_pages + 1, sizeof(*seen));

	assert_non_null(seen);
	for (gw_pfn_t pfn = 0; pfn < w->f->n_frames; pfn++) {
		struct gw_frame_info info;
		uint32_t bytes;

		assert_int_equal(gw_frame_info(w->m, pfn, &info), 0);
		assert_int_not_equal(info.state, GW_STATE_ISOLATED);
		if (info.state != GW_STATE_MOVABLE)
			continue;
		memcpy(&bytes, w->f->bytes[pfn], sizeof(bytes));
		assert_int_equal(bytes, info.index);
		assert_in_range(bytes, 1, w->n_pages);
		seen[bytes]++;
	}
	for (uint32_t i = 1; i <= w->n_pages; i++)
		assert_int_equal(seen[i], w->frames[i]);
	free(seen);
	fixture_check(w->f);
}

static inline void
world_destroy(struct world *w)
{
	world_check(w);
	fixture_destroy(w->f);
	free(w);
}

/* compact_memory's request. */
static inline struct gw_compact_request
whole_zone_request(void)
{
	return (struct gw_compact_request){
		.order = -1,
		.mode = GW_MIGRATE_SYNC,
		.migratetype = GW_MT_MOVABLE,
		.whole_zone = true,
		.ignore_skip = true,
	};
}

#endif
