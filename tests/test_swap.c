/* SPDX-License-Identifier: MIT */
/*
 * test_swap.c - slots, the swap cache, reading in, and private data of pages (FACTS A10, R3, 3.5).
 *
 * What entries do, the tests do with gw_swap_dup() and gw_swap_put(); there are no address spaces.
 * The linker sends page locking here, so that another task can be played in between.
 */
#include "test.h"

#include <errno.h>

#include "engine/virt/policy.h"
#include "swap_fixture.h"

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
	struct gw_page_source source = gw_task_source(0);
	struct gw_memcg *memcg;
	gw_pfn_t page;

	assert_int_equal(gw_memcg_create(a->m, 0, &memcg), 0);
	source.memcg = memcg;
	gw_current()->flags |= GW_TASK_MEMALLOC; /* no reclaim */
	assert_int_equal(gw_swap_get_page(a->m, slot, &source, &page), -ENOMEM);
	gw_memcg_set_limit(memcg, 1);
	assert_int_equal(gw_swap_get_page(a->m, slot, &source, &page), 0);
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

int
main(void)
{
#define T(test)	  cmocka_unit_test_setup_teardown(test, area_setup, area_teardown)
#define OFF(test) cmocka_unit_test_setup_teardown(test, area_setup_off, area_teardown)
	const struct CMUnitTest tests[] = {
		OFF(test_on_off),
		T(test_off_busy),
		OFF(test_on_without_memory),
		cmocka_unit_test_setup(test_destroy, area_setup),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
