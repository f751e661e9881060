/* SPDX-License-Identifier: MIT */
/*
 * test_swap.c - slots, the swap cache, reading in, and private data of pages (FACTS A10, R3, 3.5).
 *
 * What entries do, the tests do with gw_swap_dup() and gw_swap_put(); there are no address spaces.
 * The linker sends page locking here, so that another task can be played in between.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "engine/store/store.h"
#include "machine_fixture.h"

#define FRAMES	1024
#define SLOTS	16
#define THREADS 4
#define STEPS	20000

/* A swap area of bytes, which can be made to fail. */
struct area {
	struct fixture *f;
	struct gw_machine *m;
	uint64_t free;
	int read_error, write_error;
	unsigned released;
	unsigned findings;
	/* What another task does just before a page is locked or unlocked; once. */
	void (*before_lock)(struct area *a, gw_pfn_t page);
	void (*before_unlock)(struct area *a, gw_pfn_t page);
	uint8_t bytes[SLOTS][GW_PAGE_SIZE];
};

int __real_gw_page_lock_killable(struct gw_machine *m, gw_pfn_t pfn);
int __wrap_gw_page_lock_killable(struct gw_machine *m, gw_pfn_t pfn);
void __real_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn);
void __wrap_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn);

static void
run_hook(void (**hook)(struct area *a, gw_pfn_t page), struct area *a, gw_pfn_t page)
{
	void (*once)(struct area * a, gw_pfn_t page) = *hook;

	if (!once)
		return;
	*hook = NULL;
	once(a, page);
}

int
__wrap_gw_page_lock_killable(struct gw_machine *m, gw_pfn_t pfn)
{
	struct area *a = fixture_of(m)->user;

	run_hook(&a->before_lock, a, pfn);
	return __real_gw_page_lock_killable(m, pfn);
}

void
__wrap_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn)
{
	struct area *a = fixture_of(m)->user;

	run_hook(&a->before_unlock, a, pfn);
	__real_gw_page_unlock(m, pfn);
}

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

static const struct gw_backing_ops area_ops = {
	.read = area_read,
	.write = area_write,
	.release = area_release,
};

static int
setup_off(void **state)
{
	struct area *a = calloc(1, sizeof(*a));

	a->f = fixture_create(FRAMES, THREADS, 4);
	a->f->user = a;
	a->m = a->f->m;
	a->free = fixture_free_frames(a->f);
	*state = a;
	return 0;
}

static int
setup(void **state)
{
	struct area *a;

	setup_off(state);
	a = *state;
	assert_int_equal(gw_swap_on(a->m, &area_ops, a, SLOTS), 0);
	return 0;
}

static int
teardown(void **state)
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

static struct gw_swap_info
info_of(struct area *a)
{
	struct gw_swap_info info;

	gw_swap_info(a->m, &info);
	return info;
}

static uint32_t
refs(const struct area *a, gw_pfn_t page)
{
	return gw_ref_read(&gw_page(a->m, page)->refcount);
}

static bool
has(const struct area *a, gw_pfn_t page, uint32_t flags)
{
	return (gw_page_flags(gw_page(a->m, page)) & flags) == flags;
}

static bool
is_free(const struct area *a, gw_pfn_t page)
{
	return gw_flags_type(gw_page_flags(gw_page(a->m, page))) != GW_PAGE_USED;
}

/* An anonymous page, locked, in the swap cache; its bytes are all `fill`. */
static gw_pfn_t
cached_page(struct area *a, uint8_t fill)
{
	gw_pfn_t page = fixture_alloc(a->f, 0);

	memset(a->f->bytes[page], fill, GW_PAGE_SIZE);
	assert_true(gw_page_trylock(a->m, page));
	assert_int_equal(gw_swap_cache_add(a->m, page), 0);
	return page;
}

/* What reclaim does to a page with one entry: the entry names the slot, the bytes are there, the
 * frame is free. Returns the slot. */
static uint32_t
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

static gw_pfn_t
swap_in(struct area *a, uint32_t slot)
{
	gw_pfn_t page = GW_PFN_NONE;

	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &page), 0);
	return page;
}

/* The last entry of a slot goes. */
static void
zap(struct area *a, uint32_t slot)
{
	if (gw_swap_put(a->m, slot))
		gw_swap_trim(a->m, slot);
}

static void
unlock_put(struct area *a, gw_pfn_t page)
{
	gw_swap_page_unlock(a->m, page);
	gw_put_page(a->m, page);
}

/* ---- the area ---- */

/* A machine has one swap area at most, of at least one slot. */
static void
test_on_off(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = fixture_alloc(a->f, 0);

	assert_int_equal(gw_swap_off(a->m), 0);
	assert_int_equal(gw_swap_on(a->m, &area_ops, a, 0), -EINVAL);
	assert_int_equal(gw_swap_on(a->m, &area_ops, a, UINT32_MAX), -EINVAL);
	assert_true(gw_page_trylock(a->m, page));
	assert_int_equal(gw_swap_cache_add(a->m, page), -ENOSPC);
	assert_int_equal(gw_swap_on(a->m, &area_ops, a, SLOTS), 0);
	assert_int_equal(gw_swap_on(a->m, &area_ops, a, SLOTS), -EBUSY);
	assert_int_equal(info_of(a).slots, SLOTS);
	assert_int_equal(gw_swap_cache_add(a->m, page), 0);
	gw_page_unlock(a->m, page);
	assert_int_equal(gw_swap_off(a->m), 0);
	assert_int_equal(a->released, 1);
	assert_int_equal(info_of(a).slots, 0);
	assert_int_equal(refs(a, page), 1);
	assert_false(has(a, page, GW_PG_SWAPCACHE));
	gw_put_page(a->m, page);
}

/* The area stays as long as an entry names a slot. */
static void
test_off_busy(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 1);

	assert_int_equal(gw_swap_off(a->m), -EBUSY);
	zap(a, slot);
	assert_int_equal(gw_swap_off(a->m), 0);
}

/* Without memory for the area there is none, whichever of its allocations fails. */
static void
test_on_without_memory(void **state)
{
	struct area *a = *state;
	/* The side table; with it, which stays, the area; the area's slots. */
	static const uint64_t nth[] = {1, 2, 2};

	for (unsigned i = 0; i < sizeof(nth) / sizeof(nth[0]); i++) {
		a->f->fail_at = gw_u64_load_relaxed(&a->f->allocations) + nth[i];
		assert_int_equal(gw_swap_on(a->m, &area_ops, a, SLOTS), -ENOMEM);
		assert_int_equal(info_of(a).slots, 0);
	}
	assert_int_equal(gw_swap_on(a->m, &area_ops, a, SLOTS), 0);
}

/* A machine may go with pages in its swap cache and entries in slots. */
static void
test_destroy(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = cached_page(a, 1);

	gw_swap_dup(a->m, gw_page_slot(a->m, page));
	gw_page_unlock(a->m, page);
	fixture_destroy(a->f); /* asserts that no memory is left */
	assert_int_equal(a->released, 1);
	free(a);
}

/* ---- slots and cache ---- */

/* In the cache a page has a slot of its own, a reference of the cache and is dirty; outside it is
 * as before. */
static void
test_add_delete(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = cached_page(a, 1), other = cached_page(a, 2);

	assert_true(has(a, page, GW_PG_SWAPCACHE | GW_PG_DIRTY | GW_PG_UPTODATE));
	assert_int_equal(refs(a, page), 2);
	assert_int_not_equal(gw_page_slot(a->m, page), gw_page_slot(a->m, other));
	assert_int_equal(gw_swap_count(a->m, gw_page_slot(a->m, page)), 0);
	assert_int_equal(info_of(a).used, 2);
	assert_int_equal(info_of(a).cached, 2);
	gw_swap_cache_delete(a->m, page);
	assert_false(has(a, page, GW_PG_SWAPCACHE));
	assert_false(has(a, page, GW_PG_DIRTY));
	assert_int_equal(refs(a, page), 1);
	assert_int_equal(info_of(a).used, 1);
	gw_page_unlock(a->m, page);
	gw_put_page(a->m, page);
	assert_true(gw_swap_cache_try_delete(a->m, other));
	gw_page_unlock(a->m, other);
	gw_put_page(a->m, other);
}

/* A slot is used by entries or the cache, and free when both have gone. */
static void
test_counts(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = cached_page(a, 1);
	uint32_t slot = gw_page_slot(a->m, page);

	gw_swap_dup(a->m, slot);
	gw_swap_dup(a->m, slot);
	assert_int_equal(gw_swap_count(a->m, slot), 2);
	assert_false(gw_swap_cache_try_delete(a->m, page));
	assert_false(gw_swap_put(a->m, slot));
	assert_true(gw_swap_put(a->m, slot)); /* the cache has it */
	assert_int_equal(info_of(a).used, 1);
	gw_swap_dup(a->m, slot);
	gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_DIRTY);
	gw_swap_cache_delete(a->m, page);
	assert_int_equal(info_of(a).used, 1);
	assert_int_equal(info_of(a).cached, 0);
	assert_false(gw_swap_put(a->m, slot));
	assert_int_equal(info_of(a).used, 0);
	gw_page_unlock(a->m, page);
	gw_put_page(a->m, page);
}

/* Every slot can be had once; the next page finds none until one is free again. */
static void
test_full(void **state)
{
	struct area *a = *state;
	gw_pfn_t pages[SLOTS], page;
	uint32_t slots = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		pages[i] = cached_page(a, 1);
		slots |= 1u << gw_page_slot(a->m, pages[i]);
	}
	assert_int_equal(slots, (1u << SLOTS) - 1);
	page = fixture_alloc(a->f, 0);
	assert_true(gw_page_trylock(a->m, page));
	assert_int_equal(gw_swap_cache_add(a->m, page), -ENOSPC);
	assert_int_equal(refs(a, page), 1);
	gw_swap_cache_delete(a->m, pages[5]);
	assert_int_equal(gw_swap_cache_add(a->m, page), 0);
	for (unsigned i = 0; i < SLOTS; i++)
		unlock_put(a, pages[i]);
	unlock_put(a, page);
}

/* Reclaim takes a page out of the cache only with exactly the references it knows of (I4). */
static void
test_remove_frozen(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = cached_page(a, 1);
	uint32_t slot = gw_page_slot(a->m, page);

	gw_swap_dup(a->m, slot);
	gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_DIRTY);
	gw_get_page(a->m, page);
	assert_false(gw_swap_cache_remove_frozen(a->m, page, 2));
	assert_true(has(a, page, GW_PG_SWAPCACHE));
	assert_int_equal(refs(a, page), 3);
	gw_put_page(a->m, page);
	assert_true(gw_swap_cache_remove_frozen(a->m, page, 2));
	assert_int_equal(refs(a, page), 0);
	assert_false(has(a, page, GW_PG_SWAPCACHE));
	assert_int_equal(gw_swap_count(a->m, slot), 1);
	gw_page_unlock(a->m, page);
	gw_ref_unfreeze(&gw_page(a->m, page)->refcount, 1);
	gw_put_page(a->m, page);
	zap(a, slot);
}

/* The last entry takes its page along (W5): the cache needs none that nobody names. */
static void
test_trim(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 1);
	gw_pfn_t page = swap_in(a, slot);

	unlock_put(a, page);
	gw_lru_add_drain(a->m);
	assert_int_equal(refs(a, page), 1);
	zap(a, slot);
	assert_true(is_free(a, page));
}

/* While somebody has the page's lock it stays; then he takes it out (W5). */
static void
test_trim_locked(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 1);
	gw_pfn_t page = swap_in(a, slot);

	zap(a, slot);
	assert_true(has(a, page, GW_PG_SWAPCACHE));
	gw_swap_page_unlock(a->m, page);
	assert_false(has(a, page, GW_PG_SWAPCACHE));
	assert_int_equal(info_of(a).used, 0);
	gw_put_page(a->m, page);
}

static void
zap_page_slot(struct area *a, gw_pfn_t page)
{
	zap(a, gw_page_slot(a->m, page));
}

/* The last entry may go between the look at the count and the unlocking: the page does not stay
 * behind (W5). */
static void
test_trim_at_unlock(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = swap_in(a, swap_out(a, 1));

	a->before_unlock = zap_page_slot;
	gw_swap_page_unlock(a->m, page);
	assert_null(a->before_unlock);
	assert_false(has(a, page, GW_PG_SWAPCACHE));
	assert_int_equal(info_of(a).used, 0);
	gw_put_page(a->m, page);
}

/* A slot is not given to others while bytes are on their way to it. */
static void
test_trim_under_writeback(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = cached_page(a, 1);
	uint32_t slot = gw_page_slot(a->m, page);

	gw_swap_dup(a->m, slot);
	gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_DIRTY);
	gw_u32_or_relaxed(&gw_page(a->m, page)->flags, GW_PG_WRITEBACK);
	gw_page_unlock(a->m, page);
	zap(a, slot);
	assert_int_equal(info_of(a).used, 1);
	gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_WRITEBACK);
	assert_true(gw_page_trylock(a->m, page));
	unlock_put(a, page);
	assert_true(is_free(a, page));
}

/* ---- in and out ---- */

/* What was written comes back, counted both ways; the page is anonymous, of no anon_vma yet, and
 * clean (A10, R3). */
static void
test_round_trip(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 0x5a);
	uint64_t index = 0;
	gw_pfn_t page;

	assert_int_equal(gw_machine_count(a->m, GW_VM_PSWPOUT), 1);
	page = swap_in(a, slot);
	assert_int_equal(gw_machine_count(a->m, GW_VM_PSWPIN), 1);
	assert_int_equal(a->f->bytes[page][0], 0x5a);
	assert_int_equal(a->f->bytes[page][GW_PAGE_SIZE - 1], 0x5a);
	assert_true(has(a, page, GW_PG_LOCKED | GW_PG_SWAPCACHE | GW_PG_UPTODATE));
	assert_false(has(a, page, GW_PG_DIRTY));
	assert_ptr_equal(gw_ptr_load_relaxed(&gw_page(a->m, page)->owner), (void *)GW_OWNER_ANON);
	assert_ptr_equal(gw_page_cache(a->m, page, &index), gw_swap_cache(a->m));
	assert_int_equal(index, slot);
	assert_null(gw_page_mapping(a->m, page));
	gw_page_unlock(a->m, page);
	gw_lru_add_drain(a->m);
	assert_true(has(a, page, GW_PG_LRU));
	assert_int_equal(refs(a, page), 2);
	gw_put_page(a->m, page);
	/* Again: from the cache, without reading. */
	a->read_error = -EIO;
	assert_int_equal(swap_in(a, slot), page);
	assert_int_equal(gw_machine_count(a->m, GW_VM_PSWPIN), 1);
	unlock_put(a, page);
	fixture_check(a->f);
	zap(a, slot);
}

static void
move_to_other_slot(struct area *a, gw_pfn_t page)
{
	assert_true(gw_page_trylock(a->m, page));
	gw_swap_cache_delete(a->m, page);
	assert_int_equal(gw_swap_cache_add(a->m, page), 0);
	__real_gw_page_unlock(a->m, page);
}

/* A page that was found under a slot, and is under another when its lock is there, is not the
 * slot's. */
static void
test_found_page_moves_on(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 1);
	gw_pfn_t page = swap_in(a, slot), right;

	gw_page_unlock(a->m, page);
	a->before_lock = move_to_other_slot;
	right = swap_in(a, slot);
	assert_null(a->before_lock);
	assert_int_not_equal(right, page);
	assert_int_equal(gw_page_slot(a->m, right), slot);
	unlock_put(a, right);
	zap(a, slot);
	/* Nobody names its new slot: whoever looked took it out of the cache. */
	assert_false(has(a, page, GW_PG_SWAPCACHE));
	gw_put_page(a->m, page);
}

/* A page that could not be read is nowhere, and the next try reads again; the error is the store's,
 * but for the one that has a meaning of its own. */
static void
test_read_error(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 7);
	gw_pfn_t page = GW_PFN_NONE;

	a->read_error = -ENXIO;
	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &page), -ENXIO);
	a->read_error = -ENOENT;
	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &page), -EIO);
	a->read_error = 1;
	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &page), -EIO);
	assert_int_equal(page, GW_PFN_NONE);
	assert_int_equal(info_of(a).cached, 0);
	assert_int_equal(info_of(a).used, 1);
	assert_int_equal(gw_machine_count(a->m, GW_VM_PSWPIN), 0);
	a->read_error = 0;
	page = swap_in(a, slot);
	assert_int_equal(a->f->bytes[page][9], 7);
	unlock_put(a, page);
	zap(a, slot);
}

/* What could not be written is not counted. */
static void
test_write_error(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = cached_page(a, 1);

	a->write_error = -ENOSPC;
	assert_int_equal(gw_swap_write(a->m, gw_page_slot(a->m, page), a->f->bytes[page]), -ENOSPC);
	assert_int_equal(gw_machine_count(a->m, GW_VM_PSWPOUT), 0);
	unlock_put(a, page);
}

/* A slot that was freed since its entry was read says so. */
static void
test_free_slot(void **state)
{
	struct area *a = *state;
	gw_pfn_t page;

	assert_int_equal(gw_swap_get_page(a->m, 3, NULL, &page), -ENOENT);
}

/* Without memory for the cache's tree nothing is left of a try, and the next one works. */
static void
test_in_without_memory(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 3);
	gw_pfn_t page;

	a->f->fail_at = gw_u64_load_relaxed(&a->f->allocations) + 1;
	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &page), -ENOMEM);
	assert_int_equal(info_of(a).cached, 0);
	assert_int_equal(gw_swap_count(a->m, slot), 1);
	unlock_put(a, swap_in(a, slot));
	zap(a, slot);
}

/* The same without a frame to read into. */
static void
test_in_without_frame(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 3);
	gw_pfn_t pages[FRAMES], page;
	unsigned n = 0;

	while (!gw_alloc_from_zonelist(a->m, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN, &pages[n]))
		n++;
	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &page), -ENOMEM);
	assert_int_equal(gw_swap_count(a->m, slot), 1);
	while (n)
		gw_put_page(a->m, pages[--n]);
	unlock_put(a, swap_in(a, slot));
	zap(a, slot);
}

/* A page enters the cache with the memory for it, or stays outside. */
static void
test_add_without_memory(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = fixture_alloc(a->f, 0);

	assert_true(gw_page_trylock(a->m, page));
	a->f->fail_at = gw_u64_load_relaxed(&a->f->allocations) + 1;
	assert_int_equal(gw_swap_cache_add(a->m, page), -ENOMEM);
	assert_false(has(a, page, GW_PG_SWAPCACHE));
	assert_int_equal(refs(a, page), 1);
	assert_int_equal(info_of(a).used, 0);
	assert_int_equal(gw_swap_cache_add(a->m, page), 0);
	unlock_put(a, page);
}

/* A page that is read in is charged to who wanted it, or is not read. */
static void
test_charge(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 1);
	struct gw_memcg *memcg;
	gw_pfn_t page;

	assert_int_equal(gw_memcg_create(a->m, 0, &memcg), 0);
	gw_current()->flags |= GW_TASK_MEMALLOC; /* no reclaim */
	assert_int_equal(gw_swap_get_page(a->m, slot, memcg, &page), -ENOMEM);
	gw_memcg_set_limit(memcg, 1);
	assert_int_equal(gw_swap_get_page(a->m, slot, memcg, &page), 0);
	gw_current()->flags &= ~(uint32_t)GW_TASK_MEMALLOC;
	assert_ptr_equal(gw_page_memcg(a->m, page), memcg);
	assert_int_equal(gw_memcg_usage(memcg), 1);
	unlock_put(a, page);
	zap(a, slot);
	gw_lru_add_drain(a->m);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	gw_memcg_put(memcg);
}

/* Waiting for a page that another reads in can be interrupted. */
static void
test_interrupted(void **state)
{
	struct area *a = *state;
	uint32_t slot = swap_out(a, 1);
	gw_pfn_t page = swap_in(a, slot), again;
	struct gw_task other;

	assert_int_equal(gw_task_attach(&other, a->m, 1), 0);
	gw_task_interrupt(&other);
	assert_int_equal(gw_swap_get_page(a->m, slot, NULL, &again), -EINTR);
	gw_task_detach(&other);
	unlock_put(a, page);
	zap(a, slot);
}

/* ---- the check ---- */

static void
count_finding(void *ctx, const char *line)
{
	struct area *a = ctx;

	if (line[0] == 'W')
		a->findings++;
}

static unsigned
findings(struct area *a)
{
	a->findings = 0;
	(void)!gw_machine_check(a->m, count_finding, a);
	return a->findings;
}

/* gw_machine_check() finds a page that says it is in the cache, one that is there and does not say
 * so or names another slot, and a slot that is counted wrongly. */
static void
test_check_finds(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = cached_page(a, 1), other = fixture_alloc(a->f, 0);
	struct gw_page_extra *extra = gw_page_extra(a->m, page);
	uint32_t slot = gw_page_slot(a->m, page);

	gw_page_unlock(a->m, page);
	assert_int_equal(findings(a), 0);
	gw_u32_or_relaxed(&gw_page(a->m, other)->flags, GW_PG_SWAPCACHE);
	assert_int_equal(findings(a), 1);
	gw_u32_and_relaxed(&gw_page(a->m, other)->flags, ~GW_PG_SWAPCACHE);
	gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_UPTODATE);
	assert_int_equal(findings(a), 1);
	gw_u32_or_relaxed(&gw_page(a->m, page)->flags, GW_PG_UPTODATE);
	gw_u32_store_relaxed(&extra->slot, slot + 1);
	assert_int_equal(findings(a), 1);
	gw_u32_store_relaxed(&extra->slot, slot);
	gw_u64_add_relaxed(&gw_swap_cache(a->m)->n_pages, 1);
	assert_int_equal(findings(a), 1);
	gw_u64_sub_relaxed(&gw_swap_cache(a->m)->n_pages, 1);
	assert_int_equal(findings(a), 0);
	gw_put_page(a->m, other);
	assert_true(gw_page_trylock(a->m, page));
	unlock_put(a, page);
}

/* ---- private data ---- */

struct data {
	struct gw_private ops;
	bool lets_go;
	unsigned asked;
	gw_pfn_t page;
};

static bool
data_release(struct gw_private *ops, struct gw_machine *m, gw_pfn_t page)
{
	struct data *d = (struct data *)(void *)ops;

	(void)m;
	d->asked++;
	assert_int_equal(page, d->page);
	return d->lets_go;
}

static void
data_moved(struct gw_private *ops, struct gw_machine *m, gw_pfn_t dst)
{
	(void)m;
	((struct data *)(void *)ops)->page = dst;
}

/* Private data holds a reference and is asked before it goes (A11). */
static void
test_private(void **state)
{
	struct area *a = *state;
	gw_pfn_t page = fixture_alloc(a->f, 0);
	struct data d = {.ops = {data_release, data_moved}, .page = page};

	assert_true(gw_page_trylock(a->m, page));
	assert_true(gw_page_release_private(a->m, page));
	a->f->fail_at = gw_u64_load_relaxed(&a->f->allocations) + 1;
	assert_int_equal(gw_page_set_private(a->m, page, &d.ops), -ENOMEM);
	assert_int_equal(gw_page_set_private(a->m, page, &d.ops), 0);
	assert_int_equal(gw_page_set_private(a->m, page, &d.ops), -EBUSY);
	assert_true(has(a, page, GW_PG_PRIVATE));
	assert_int_equal(refs(a, page), 2);
	assert_false(gw_page_release_private(a->m, page));
	assert_true(has(a, page, GW_PG_PRIVATE));
	d.lets_go = true;
	assert_true(gw_page_release_private(a->m, page));
	assert_int_equal(d.asked, 2);
	assert_false(has(a, page, GW_PG_PRIVATE));
	assert_int_equal(refs(a, page), 1);
	gw_page_unlock(a->m, page);
	gw_put_page(a->m, page);
}

/* Private data moves with its page, and its reference with it. */
static void
test_private_moves(void **state)
{
	struct area *a = *state;
	gw_pfn_t src = fixture_alloc(a->f, 0), dst = fixture_alloc(a->f, 0);
	struct data d = {.ops = {data_release, data_moved}, .page = src, .lets_go = true};

	assert_true(gw_page_trylock(a->m, src) && gw_page_trylock(a->m, dst));
	gw_page_move_private(a->m, dst, src);
	assert_int_equal(refs(a, dst), 1);
	assert_int_equal(gw_page_set_private(a->m, src, &d.ops), 0);
	assert_true(gw_ref_freeze(&gw_page(a->m, src)->refcount, 2));
	gw_page_move_private(a->m, dst, src);
	gw_ref_unfreeze(&gw_page(a->m, src)->refcount, 1);
	assert_int_equal(d.page, dst);
	assert_false(has(a, src, GW_PG_PRIVATE));
	assert_true(has(a, dst, GW_PG_PRIVATE));
	assert_int_equal(refs(a, dst), 2);
	assert_true(gw_page_release_private(a->m, dst));
	gw_page_unlock(a->m, dst);
	gw_page_unlock(a->m, src);
	gw_put_page(a->m, src);
	gw_put_page(a->m, dst);
}

/* ---- threads ---- */

struct maker {
	struct area *area;
	pthread_t thread;
	unsigned cpu;
	gw_atomic_u64 *ready;
	const struct gw_page_extra *row;
};

static void *
maker_thread(void *arg)
{
	struct maker *k = arg;
	struct gw_task task;

	if (gw_task_attach(&task, k->area->m, k->cpu))
		abort();
	gw_u64_add_relaxed(k->ready, 1);
	while (gw_u64_load_relaxed(k->ready) < THREADS)
		gw_relax();
	if (gw_page_extra_make(k->area->m) == 0)
		k->row = gw_page_extra(k->area->m, 0);
	gw_task_detach(&task);
	return NULL;
}

/* Tasks that need the side table at once agree on one; no other is left behind. */
static void
test_side_table_race(void **state)
{
	struct area *a = *state;
	struct maker makers[THREADS];
	gw_atomic_u64 ready = {0};

	for (unsigned i = 0; i < THREADS; i++) {
		makers[i] = (struct maker){.area = a, .cpu = i, .ready = &ready};
		assert_int_equal(
			pthread_create(&makers[i].thread, NULL, maker_thread, &makers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(makers[i].thread, NULL);
		assert_non_null(makers[i].row);
		assert_ptr_equal(makers[i].row, makers[0].row);
	}
}

/* A table of entries, each a slot or nothing, under a lock each: what page tables are to swap. */
#define ENTRIES 24

struct entry {
	gw_spinlock lock; /* rank PAGETABLE */
	bool full;
	uint32_t slot;
};

struct tables {
	struct area *area;
	struct entry entries[ENTRIES];
	gw_atomic_u64 wrong, swap_ins, trims, stopped;
};

struct walker {
	struct tables *t;
	pthread_t thread;
	unsigned cpu;
	uint64_t random;
};

static void
walker_clear(struct tables *t, struct entry *e)
{
	struct gw_machine *m = t->area->m;
	bool full, trim = false;
	uint32_t slot;

	gw_spin_lock(&e->lock);
	full = e->full;
	slot = e->slot;
	e->full = false;
	if (full)
		trim = gw_swap_put(m, slot);
	gw_spin_unlock(&e->lock);
	if (trim) {
		gw_u64_add_relaxed(&t->trims, 1);
		gw_swap_trim(m, slot);
	}
}

/* fork: an empty entry gets a full one's slot. */
static void
walker_copy(struct tables *t, unsigned from, unsigned to)
{
	struct entry *low = &t->entries[from < to ? from : to];
	struct entry *high = &t->entries[from < to ? to : from];

	if (from == to)
		return;
	gw_spin_lock(&low->lock);
	gw_spin_lock(&high->lock);
	if (t->entries[from].full && !t->entries[to].full) {
		gw_swap_dup(t->area->m, t->entries[from].slot);
		t->entries[to].slot = t->entries[from].slot;
		t->entries[to].full = true;
	}
	gw_spin_unlock(&high->lock);
	gw_spin_unlock(&low->lock);
}

/* An anonymous page of the slot's own pattern becomes an entry, in a step with its writing out. */
static void
walker_swap_out(struct tables *t, struct entry *e)
{
	struct area *a = t->area;
	gw_pfn_t page;
	uint32_t slot;

	if (gw_alloc_from_zonelist(a->m, GW_GFP_MOVABLE, 0, 0, GW_WMARK_MIN, &page))
		return;
	gw_page_lock(a->m, page);
	if (gw_swap_cache_add(a->m, page) == 0) {
		slot = gw_page_slot(a->m, page);
		memset(a->f->bytes[page], (int)slot + 1, GW_PAGE_SIZE);
		gw_spin_lock(&e->lock);
		if (!e->full) {
			gw_swap_dup(a->m, slot);
			e->slot = slot;
			e->full = true;
		}
		gw_spin_unlock(&e->lock);
		if (gw_swap_write(a->m, slot, a->f->bytes[page]))
			abort();
		gw_u32_and_relaxed(&gw_page(a->m, page)->flags, ~GW_PG_DIRTY);
	}
	unlock_put(a, page);
}

/* reclaim: the page of an entry's slot leaves the cache if nobody else has it. */
static void
walker_reclaim(struct tables *t, uint32_t slot)
{
	struct gw_machine *m = t->area->m;
	gw_pfn_t page = gw_cache_find(m, gw_swap_cache(m), slot);

	if (page == GW_PFN_NONE)
		return;
	gw_page_lock(m, page);
	if (has(t->area, page, GW_PG_SWAPCACHE) && gw_page_slot(m, page) == slot &&
		gw_swap_cache_remove_frozen(m, page, 2)) {
		gw_page_unlock(m, page);
		gw_ref_unfreeze(&gw_page(m, page)->refcount, 1);
	} else {
		gw_swap_page_unlock(m, page);
	}
	gw_put_page(m, page);
}

/* A fault: the page of an entry's slot, if the entry still says so, has the slot's bytes. */
static void
walker_swap_in(struct tables *t, struct entry *e, uint32_t slot)
{
	struct area *a = t->area;
	gw_pfn_t page;
	bool same;

	if (gw_swap_get_page(a->m, slot, NULL, &page))
		return;
	gw_spin_lock(&e->lock);
	same = e->full && e->slot == slot;
	gw_spin_unlock(&e->lock);
	if (same &&
		(a->f->bytes[page][17] != (uint8_t)(slot + 1) || gw_page_slot(a->m, page) != slot))
		gw_u64_add_relaxed(&t->wrong, 1);
	if (same)
		gw_u64_add_relaxed(&t->swap_ins, 1);
	unlock_put(a, page);
}

static void
walker_step(struct walker *w)
{
	struct tables *t = w->t;
	uint64_t r = test_random(&w->random);
	struct entry *e = &t->entries[r % ENTRIES];
	uint32_t slot;
	bool full;

	gw_spin_lock(&e->lock);
	full = e->full;
	slot = e->slot;
	gw_spin_unlock(&e->lock);
	if (!full && r >> 32 & 1)
		walker_swap_out(t, e);
	else if (!full)
		walker_copy(t, (unsigned)(r >> 16) % ENTRIES, (unsigned)(r % ENTRIES));
	else if (r >> 32 & 1)
		walker_swap_in(t, e, slot);
	else if (r >> 33 & 1)
		walker_reclaim(t, slot);
	else
		walker_clear(t, e);
	if ((r >> 40) % 16 == 0)
		gw_lru_add_drain(t->area->m);
}

static void *
walker_thread(void *arg)
{
	struct walker *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->t->area->m, w->cpu))
		abort();
	for (unsigned i = 0; i < STEPS; i++)
		walker_step(w);
	gw_u64_add_relaxed(&w->t->stopped, 1);
	while (gw_u64_load_relaxed(&w->t->stopped) < THREADS)
		gw_relax();
	for (unsigned i = w->cpu; i < ENTRIES; i += THREADS)
		walker_clear(w->t, &w->t->entries[i]);
	gw_task_detach(&task);
	return NULL;
}

/* Threads swap in and out, fork, zap and reclaim over the same slots: no page has another slot's
 * bytes, and when the last entry has gone no slot is used and no page is left (W1, W5). */
static void
test_threads(void **state)
{
	struct area *a = *state;
	struct tables *t = calloc(1, sizeof(*t));
	struct walker walkers[THREADS];
	uint64_t seed = test_seed();

	t->area = a;
	for (unsigned i = 0; i < ENTRIES; i++)
		gw_spin_init(&t->entries[i].lock, GW_RANK_PAGETABLE);
	for (unsigned i = 0; i < THREADS; i++) {
		walkers[i] = (struct walker){.t = t, .cpu = i, .random = seed + i};
		assert_int_equal(
			pthread_create(&walkers[i].thread, NULL, walker_thread, &walkers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(walkers[i].thread, NULL);
	assert_int_equal(gw_u64_load_relaxed(&t->wrong), 0);
	assert_true(gw_u64_load_relaxed(&t->swap_ins) > 0);
	assert_true(gw_u64_load_relaxed(&t->trims) > 0);
	free(t);
}

int
main(void)
{
#define T(test)	  cmocka_unit_test_setup_teardown(test, setup, teardown)
#define OFF(test) cmocka_unit_test_setup_teardown(test, setup_off, teardown)
	const struct CMUnitTest tests[] = {
		OFF(test_on_off),
		T(test_off_busy),
		OFF(test_on_without_memory),
		cmocka_unit_test_setup(test_destroy, setup),
		T(test_add_delete),
		T(test_counts),
		T(test_full),
		T(test_remove_frozen),
		T(test_trim),
		T(test_trim_locked),
		T(test_trim_at_unlock),
		T(test_trim_under_writeback),
		T(test_round_trip),
		T(test_found_page_moves_on),
		T(test_read_error),
		T(test_write_error),
		T(test_free_slot),
		T(test_in_without_memory),
		T(test_in_without_frame),
		T(test_add_without_memory),
		T(test_charge),
		T(test_interrupted),
		T(test_check_finds),
		OFF(test_private),
		OFF(test_private_moves),
		OFF(test_side_table_race),
		T(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
