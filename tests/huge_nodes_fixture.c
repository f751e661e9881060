/* SPDX-License-Identifier: MIT */
/* huge_nodes_fixture.c - see huge_nodes_fixture.h. */
#include "test.h"

#include "huge_nodes_fixture.h"

#define FRAMES 4096 /* of a node */

int
huge_nodes_setup(void **state)
{
	static const unsigned adistances[] = {GW_ADISTANCE_DRAM, GW_ADISTANCE_DRAM, 640};
	struct world *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->w = nodes_create_orders(3, 2, NULL, adistances, WMARK_HIGH / 3, FRAMES, GW_HUGE_ORDER);
	x->s = &x->w->s;
	x->w->numa.balancing = GW_BALANCING_NORMAL;
	set_numa(x->w);
	pass_ms(x->w, 1);
	x->mm = new_space(x->s);
	*state = x;
	return 0;
}

int
huge_nodes_teardown(void **state)
{
	struct world *x = *state;

	gw_mm_put(x->mm);
	nodes_destroy(x->w);
	free(x);
	return 0;
}

gw_vaddr_t
frame(unsigned i)
{
	return HUGE_AT + i * PAGE;
}

void
use(struct world *x, unsigned cpu, unsigned i)
{
	uint64_t value = 0;

	assert_int_equal(try_peek(x->s, cpu, x->mm, frame(i), &value), 0);
	assert_int_equal(value, frame(i) / PAGE);
}

void
assert_whole_on(struct world *x, unsigned i, unsigned order, unsigned node)
{
	unsigned n = 1u << order, first = i & ~(n - 1);
	gw_pfn_t page = page_of(x->mm, frame(first));

	assert_int_equal(order_of(x->s, page), order);
	assert_int_equal(gw_page_head(x->w->m, page), page);
	assert_int_equal(node_of(x->w, page), node);
	for (unsigned f = first; f < first + n; f++) {
		assert_false(hints(x->mm, frame(f)));
		assert_int_equal(page_of(x->mm, frame(f)), page + (f - first));
	}
	assert_frames(x->mm, frame(first), n);
	gw_lru_add_drain_all(x->w->m);
	assert_true(gw_page_flags(gw_page(x->w->m, page)) & GW_PG_LRU);
	assert_int_equal(refs_of(x->s, page), maps_of(x->s, page));
}

void
fragment(struct world *x, struct hog *h, unsigned node)
{
	unsigned kept = 0;

	hog(x->w, h, node, 0);
	for (unsigned i = 0; i < h->n; i++) {
		if (h->pages[i] % 2)
			gw_put_page(x->w->m, h->pages[i]);
		else
			h->pages[kept++] = h->pages[i];
	}
	h->n = kept;
	gw_drain_all_pages(x->w->m);
}
