/* SPDX-License-Identifier: MIT */
/* huge_fixture.c - see huge_fixture.h. */
#include "huge_fixture.h"
#include "test.h"

int
huge_setup(void **state)
{
	*state = spaces_create_orders(32 * FRAMES_PER_HUGE, GW_HUGE_ORDER);
	return 0;
}

void
use_orders(struct spaces *s, uint32_t orders)
{
	struct gw_thp_tunables thp;

	gw_thp_tunables_init(&thp);
	thp.orders = orders;
	assert_int_equal(gw_machine_set_thp(s->m, &thp), 0);
}

void
map_huge(struct gw_mm *mm, unsigned n)
{
	map_at(mm, HUGE_AT, n * FRAMES_PER_HUGE);
	assert_int_equal(gw_madvise(mm, HUGE_AT, n * TABLE, GW_MADV_HUGEPAGE), 0);
}

void
write_frames(struct gw_mm *mm, gw_vaddr_t start, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		poke(mm, start + i * PAGE, start / PAGE + i);
}

void
assert_frames(struct gw_mm *mm, gw_vaddr_t start, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(peek(mm, start + i * PAGE), start / PAGE + i);
}

gw_pfn_t
fill_huge(struct spaces *s, struct gw_mm *mm, unsigned n, unsigned order)
{
	gw_pfn_t page;

	use_orders(s, 1u << order);
	map_huge(mm, n);
	write_frames(mm, HUGE_AT, n * FRAMES_PER_HUGE);
	gw_lru_add_drain_all(s->m);
	page = gw_page_head(s->m, page_of(mm, HUGE_AT));
	assert_int_equal(order_of(s, page), order);
	return page;
}

gw_pfn_t
share_huge(struct spaces *s, struct gw_mm **mm, unsigned n, unsigned order)
{
	gw_pfn_t page;

	mm[0] = new_space(s);
	page = fill_huge(s, mm[0], 1, order);
	for (unsigned i = 1; i < n; i++)
		mm[i] = fork_space(mm[0]);
	return page;
}

bool
is_huge(struct gw_mm *mm, gw_vaddr_t addr)
{
	return gw_pte_is_huge(entry_of(mm, addr));
}

unsigned
order_of(struct spaces *s, gw_pfn_t pfn)
{
	return gw_flags_order(gw_page_flags(gw_page(s->m, gw_page_head(s->m, pfn))));
}

uint32_t
refs_of(struct spaces *s, gw_pfn_t pfn)
{
	return gw_ref_read(&gw_page(s->m, gw_page_head(s->m, pfn))->refcount);
}

uint32_t
maps_of(struct spaces *s, gw_pfn_t pfn)
{
	return gw_u32_load_relaxed(&gw_page(s->m, gw_page_head(s->m, pfn))->mapcount);
}

uint64_t
count_of(struct spaces *s, enum gw_vm_event event)
{
	return gw_machine_count(s->m, event);
}

void
lock_with_pin(struct spaces *s, gw_pfn_t frame)
{
	gw_get_page(s->m, frame);
	gw_page_lock(s->m, gw_page_head(s->m, frame));
}

void
unlock_with_pin(struct spaces *s, gw_pfn_t frame)
{
	gw_pfn_t head = gw_page_head(s->m, frame);

	gw_page_unlock(s->m, head);
	gw_put_page(s->m, head);
}

int
split_at(struct spaces *s, gw_pfn_t frame)
{
	int err;

	lock_with_pin(s, frame);
	err = gw_split_huge(s->m, frame);
	unlock_with_pin(s, frame);
	return err;
}
