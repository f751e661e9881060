/* SPDX-License-Identifier: MIT */
/* ksm_fixture.c - see ksm_fixture.h. */
#include "test.h"

#include "ksm_fixture.h"

gw_vaddr_t
at_page(const struct merger *g, unsigned page)
{
	return g->addr + page * PAGE;
}

struct gw_mm *
new_member(struct merger *g)
{
	struct gw_mm *mm = new_space(g->s);

	map_at(mm, g->addr, KSM_PAGES);
	assert_int_equal(gw_madvise(mm, g->addr, KSM_PAGES * PAGE, GW_MADV_MERGEABLE), 0);
	assert_int_equal(gw_ksm_join(g->ksm, mm), 0);
	return mm;
}

void
leave(struct gw_mm **mm)
{
	if (*mm)
		gw_mm_put(*mm);
	*mm = NULL;
}

int
merger_setup_sharing(void **state, unsigned max_page_sharing)
{
	struct gw_ksm_tunables tunables = {.max_page_sharing = max_page_sharing};
	struct merger *g = calloc(1, sizeof(*g));
	void *mover;

	assert_non_null(g);
	mover_setup(&mover);
	g->mv = mover;
	g->s = g->mv->s;
	g->m = g->mv->m;
	g->addr = (gw_vaddr_t)1 << 30;
	assert_int_equal(gw_ksm_create(g->m, &tunables, &g->ksm), 0);
	g->a = new_member(g);
	g->b = new_member(g);
	g->c = new_member(g);
	*state = g;
	return 0;
}

int
merger_setup(void **state)
{
	return merger_setup_sharing(state, 256);
}

int
merger_teardown(void **state)
{
	struct merger *g = *state;
	void *mover = g->mv;

	assert_int_equal(gw_ksm_destroy(g->ksm), 0);
	verify_all(g, NULL);
	leave(&g->a);
	leave(&g->b);
	leave(&g->c);
	free(g);
	return mover_teardown(&mover);
}

void
fill(const struct merger *g, struct gw_mm *mm, unsigned page, uint64_t value)
{
	for (gw_vaddr_t at = at_page(g, page); at < at_page(g, page + 1); at += sizeof(value))
		poke(mm, at, value);
}

bool
is_filled(const struct merger *g, struct gw_mm *mm, unsigned page, uint64_t value)
{
	for (gw_vaddr_t at = at_page(g, page); at < at_page(g, page + 1); at += sizeof(value))
		if (peek(mm, at) != value)
			return false;
	return true;
}

gw_pfn_t
frame_of(const struct merger *g, struct gw_mm *mm, unsigned page)
{
	return page_of(mm, at_page(g, page));
}

bool
is_merged(const struct merger *g, struct gw_mm *mm, unsigned page)
{
	return gw_page_ksm_node(g->m, frame_of(g, mm, page));
}

void
rounds(struct merger *g, unsigned n)
{
	uint64_t before = info(g).full_scans;

	while (info(g).full_scans < before + n)
		assert_true(gw_ksm_scan(g->ksm, 3) >= 0);
}

gw_pfn_t
merge_two(struct merger *g)
{
	fill(g, g->a, 0, 7);
	fill(g, g->b, 0, 7);
	rounds(g, 2);
	assert_int_equal(frame_of(g, g->a, 0), frame_of(g, g->b, 0));
	assert_true(is_merged(g, g->a, 0));
	return frame_of(g, g->a, 0);
}

struct gw_ksm_info
info(struct merger *g)
{
	struct gw_ksm_info now;

	assert_int_equal(gw_ksm_get_info(g->ksm, &now), 0);
	return now;
}

void
verify_all(struct merger *g, struct gw_mm *other)
{
	struct gw_mm *all[4];
	unsigned n = 0;

	gw_lru_add_drain_all(g->m);
	if (g->a)
		all[n++] = g->a;
	if (g->b)
		all[n++] = g->b;
	if (g->c)
		all[n++] = g->c;
	if (other)
		all[n++] = other;
	verify(g->s, all, n);
}
