/* SPDX-License-Identifier: MIT */
/* reclaim_fixture.c - see reclaim_fixture.h. */
#include "test.h"

#include "reclaim_fixture.h"

void
swap_on(struct spaces *s)
{
	void *ctx;

	assert_int_equal(gw_soft_ram_backing(RECLAIM_FRAMES, &ctx), 0);
	assert_int_equal(gw_swap_on(s->m, &gw_soft_ram_ops, ctx, RECLAIM_FRAMES), 0);
}

int
setup_no_swap(void **state)
{
	*state = spaces_create(RECLAIM_FRAMES);
	return 0;
}

int
setup_swap(void **state)
{
	setup_no_swap(state);
	swap_on(*state);
	return 0;
}

uint64_t
count(struct spaces *s, enum gw_vm_event event)
{
	return gw_machine_count(s->m, event);
}

void
fill(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, uint64_t value)
{
	for (unsigned i = 0; i < pages; i++)
		poke(mm, addr + i * PAGE, value + i);
}

void
expect(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, uint64_t value)
{
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(peek(mm, addr + i * PAGE), value + i);
}

unsigned
present(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pages; i++)
		n += gw_pte_kind(entry_of(mm, addr + i * PAGE)) == GW_PTE_IS_PRESENT;
	return n;
}

uint64_t
reclaim_all(struct spaces *s)
{
	gw_lru_add_drain_all(s->m);
	return gw_reclaim(s->m, 0, NULL, RECLAIM_FRAMES);
}

gw_vaddr_t
map_file(struct gw_mm *mm, struct gw_mapping *file, unsigned pages, unsigned flags)
{
	gw_vaddr_t addr = 0;

	assert_int_equal(gw_mmap_file(mm, 0, pages * PAGE, READWRITE, flags, file, 0, &addr), 0);
	return addr;
}
