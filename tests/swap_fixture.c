/* SPDX-License-Identifier: MIT */
/* swap_fixture.c - see swap_fixture.h. */
#include "test.h"

#include <string.h>

#include "swap_fixture.h"

static int
area_read(void *ctx, uint64_t index, void *bytes)
{
	struct area *a = ctx;

	if (a->read_error)
		return a->read_error;
	memcpy(bytes, a->bytes[index], GW_PAGE_SIZE);
	return 0;
}

static int
area_write(void *ctx, uint64_t index, const void *bytes)
{
	struct area *a = ctx;

	if (a->write_error)
		return a->write_error;
	memcpy(a->bytes[index], bytes, GW_PAGE_SIZE);
	return 0;
}

static void
area_release(void *ctx)
{
	((struct area *)ctx)->released++;
}

const struct gw_backing_ops area_ops = {
	.read = area_read,
	.write = area_write,
	.release = area_release,
};

int
area_setup_off(void **state)
{
	struct area *a = calloc(1, sizeof(*a));

	a->f = fixture_create(FRAMES, THREADS, 4);
	a->f->user = a;
	a->m = a->f->m;
	a->free = fixture_free_frames(a->f);
	*state = a;
	return 0;
}

int
area_setup(void **state)
{
	struct area *a;

	area_setup_off(state);
	a = *state;
	assert_int_equal(gw_swap_on(a->m, &area_ops, a, SLOTS), 0);
	return 0;
}

int
area_teardown(void **state)
{
	struct area *a = *state;
	bool on = a->m->swap;
	unsigned released = a->released;
	struct gw_swap_info info;

	gw_lru_add_drain_all(a->m);
	gw_swap_info(a->m, &info);
	assert_int_equal(info.used, 0);
	assert_int_equal(info.cached, 0);
	assert_int_equal(fixture_free_frames(a->f), a->free);
	fixture_destroy(a->f);
	assert_int_equal(a->released, released + on);
	free(a);
	return 0;
}

struct gw_swap_info
info_of(struct area *a)
{
	struct gw_swap_info info;

	gw_swap_info(a->m, &info);
	return info;
}

uint32_t
refs(const struct area *a, gw_pfn_t page)
{
	return gw_ref_read(&gw_page(a->m, page)->refcount);
}

bool
has(const struct area *a, gw_pfn_t page, uint32_t flags)
{
	return (gw_page_flags(gw_page(a->m, page)) & flags) == flags;
}

bool
is_free(const struct area *a, gw_pfn_t page)
{
	return gw_flags_type(gw_page_flags(gw_page(a->m, page))) != GW_PAGE_USED;
}

gw_pfn_t
cached_page(struct area *a, uint8_t fill)
{
	gw_pfn_t page = fixture_alloc(a->f, 0);

	memset(a->f->bytes[page], fill, GW_PAGE_SIZE);
	assert_true(gw_page_trylock(a->m, page));
	assert_int_equal(gw_swap_cache_add(a->m, page), 0);
	return page;
}

uint32_t
swap_out(struct area *a, uint8_t fill)
{
	gw_pfn_t page = cached_page(a, fill);
	uint32_t slot = gw_page_slot(a->m, page);

	gw_swap_dup(a->m, slot);
	assert_int_equal(gw_swap_write(a->m, slot, a->f->bytes[page]), 0);
	gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_DIRTY);
	assert_true(gw_swap_cache_remove_frozen(a->m, page, 2));
	gw_page_unlock(a->m, page);
	gw_ref_unfreeze(&gw_page(a->m, page)->refcount, 1);
	gw_put_page(a->m, page);
	assert_true(is_free(a, page));
	return slot;
}

gw_pfn_t
swap_in(struct area *a, uint32_t slot)
{
	gw_pfn_t page = GW_PFN_NONE;

	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &page), 0);
	return page;
}

void
zap(struct area *a, uint32_t slot)
{
	if (gw_swap_put(a->m, slot))
		gw_swap_trim(a->m, slot);
}

void
unlock_put(struct area *a, gw_pfn_t page)
{
	gw_swap_page_unlock(a->m, page);
	gw_put_page(a->m, page);
}
