/* SPDX-License-Identifier: MIT */
/*
 * test_file_threads.c - files used by several tasks at once: who waits for whom, and that nobody
 * sees a page that is half of one write and half of another, or that is lost.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "file_fixture.h"

/* ---- hooks in the engine's calls, by the linker ---- */

static struct {
	struct gw_mapping *file; /* whose lookups are watched; NULL: none */
	unsigned n;
	bool unlocked; /* a reference was tried for without the cache's lock */
} lookups;

bool __real_gw_get_page_unless_zero(struct gw_machine *m, gw_pfn_t pfn);
bool __wrap_gw_get_page_unless_zero(struct gw_machine *m, gw_pfn_t pfn);

bool
__wrap_gw_get_page_unless_zero(struct gw_machine *m, gw_pfn_t pfn)
{
	if (lookups.file) {
		lookups.n++;
		lookups.unlocked |= !gw_spin_is_held(&lookups.file->cache.lock);
	}
	return __real_gw_get_page_unless_zero(m, pfn);
}

static struct gw_mapping *truncated_by_allocation; /* to nothing, by the next one; NULL: none */

int __real_gw_alloc_pages(
	struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out);
int __wrap_gw_alloc_pages(
	struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out);

int
__wrap_gw_alloc_pages(
	struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out)
{
	struct gw_mapping *file = truncated_by_allocation;

	if (file) {
		truncated_by_allocation = NULL;
		assert_int_equal(gw_mapping_truncate(file, 0), 0);
	}
	return __real_gw_alloc_pages(m, gfp, node, order, out);
}

/* A thread that does one thing to a file. */
struct helper {
	pthread_t thread;
	struct spaces *s;
	struct gw_mapping *file;
	struct store *store;
	int (*fn)(struct helper *h);
	gw_pfn_t page; /* what it found */
	int result;
	gw_atomic_u32 done;
};

static void *
helper_main(void *arg)
{
	struct helper *h = arg;
	struct gw_task task;

	if (gw_task_attach(&task, h->s->m, 1))
		abort();
	h->result = h->fn(h);
	gw_u32_store_release(&h->done, 1);
	gw_task_detach(&task);
	return NULL;
}

static void
helper_start(struct helper *h)
{
	assert_int_equal(pthread_create(&h->thread, NULL, helper_main, h), 0);
}

static void
helper_join(struct helper *h)
{
	assert_int_equal(pthread_join(h->thread, NULL), 0);
}

/* Until somebody waits for the page of the cache. */
static void
wait_for_waiter(struct gw_mapping *file, uint64_t index)
{
	while (!(cached_flags(file, index) & GW_PG_WAITERS))
		sched_yield();
}

/* ---- who waits for writeback ---- */

/* A write that stays under way until it is told to end. */
struct slow_write {
	gw_atomic_u32 begun, may_end;
};

static void
write_slowly(struct store *store, uint64_t index)
{
	struct slow_write *slow = store->arg;

	(void)index;
	store->on_write = NULL;
	gw_u32_store_release(&slow->begun, 1);
	while (!gw_u32_load_acquire(&slow->may_end))
		sched_yield();
}

static int
helper_sync(struct helper *h)
{
	return gw_mapping_sync(h->file);
}

static int
helper_truncate(struct helper *h)
{
	return gw_mapping_truncate(h->file, 0);
}

static int
helper_write(struct helper *h)
{
	return gw_mapping_write(h->file, 5 * PAGE, "new", 3);
}

/* Truncation, another writeback, and write() wait for a writeback, with the page locked or not;
 * read() does not. After truncation the store is not written any more (W2). */
static void
writeback_is_waited_for(void **state)
{
	static int (*const waits[])(struct helper * h) = {
		helper_truncate, helper_sync, helper_write};

	for (unsigned i = 0; i < 3; i++) {
		struct spaces *s = *state;
		struct store *store = store_create();
		struct gw_mapping *file = file_on(s, store);
		struct slow_write slow = {{0}, {0}};
		struct helper writer = {.s = s, .file = file, .fn = helper_sync};
		struct helper waiter = {.s = s, .file = file, .fn = waits[i]};

		fill_page(file, 5, 0x55);
		store->on_write = write_slowly;
		store->arg = &slow;
		helper_start(&writer);
		while (!gw_u32_load_acquire(&slow.begun))
			sched_yield();
		assert_page(file, 5, 0x55);
		helper_start(&waiter);
		wait_for_waiter(file, 5);
		assert_int_equal(gw_u32_load_acquire(&waiter.done), 0);
		assert_int_equal(store->end, UINT64_MAX);
		gw_u32_store_release(&slow.may_end, 1);
		helper_join(&writer);
		helper_join(&waiter);
		assert_int_equal(writer.result, 0);
		assert_int_equal(waiter.result, 0);
		assert_int_equal(gw_mapping_cached(file), i == 0 ? 0 : 1);
		file_put(file);
		assert_int_equal(gw_u32_load_relaxed(&store->writes), i == 2 ? 2 : 1);
		assert_memory_equal(store->bytes[5], i == 0 ? "\0\0\0" : i == 1 ? "UUU" : "new", 3);
		store_destroy(store);
	}
}

static int
helper_extend(struct helper *h)
{
	return gw_mapping_truncate(h->file, STORE_PAGES);
}

/* A file does not grow while what lies beyond its new end is still on its way out: it would come
 * back, or what is written there would go. */
static void
sizes_change_one_by_one(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct slow_write slow = {{0}, {0}};
	struct helper writer = {.s = s, .file = file, .fn = helper_sync};
	struct helper shrinks = {.s = s, .file = file, .fn = helper_truncate};
	struct helper grows = {.s = s, .file = file, .fn = helper_extend};

	fill_page(file, 5, 0x55);
	store->on_write = write_slowly;
	store->arg = &slow;
	helper_start(&writer);
	while (!gw_u32_load_acquire(&slow.begun))
		sched_yield();
	helper_start(&shrinks);
	wait_for_waiter(file, 5);
	helper_start(&grows);
	for (unsigned i = 0; i < 1000; i++) {
		sched_yield();
		assert_int_equal(gw_u32_load_acquire(&grows.done), 0);
		assert_int_equal(gw_mapping_pages(file), 0);
	}
	gw_u32_store_release(&slow.may_end, 1);
	helper_join(&writer);
	helper_join(&shrinks);
	helper_join(&grows);
	assert_int_equal(gw_mapping_pages(file), STORE_PAGES);
	assert_page(file, 5, 0);
	file_put(file);
	store_destroy(store);
}

/* F5: a page that was asked for before the end of its file came nearer is not put beyond it. */
static void
no_page_comes_after_truncation(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	uint8_t bytes[8];

	truncated_by_allocation = file;
	assert_int_equal(gw_mapping_read(file, 5 * PAGE, bytes, sizeof(bytes)), -EINVAL);
	assert_int_equal(gw_mapping_cached(file), 0);
	assert_int_equal(gw_mapping_truncate(file, STORE_PAGES), 0);
	truncated_by_allocation = file;
	assert_int_equal(gw_mapping_write(file, 5 * PAGE, bytes, sizeof(bytes)), -EINVAL);
	assert_int_equal(gw_mapping_cached(file), 0);
	assert_int_equal(gw_u32_load_relaxed(&store->reads), 0);
	file_put(file);
	store_destroy(store);
}

/* ---- lookups and moves (R16) ---- */

static int
helper_find(struct helper *h)
{
	h->page = gw_mapping_find(h->file, 5);
	return 0;
}

static int
helper_get(struct helper *h)
{
	return gw_mapping_get_page(h->file, 5, NULL, &h->page);
}

/* A page of no owner, and in the cache instead of src, which is frozen: what migration does. */
static gw_pfn_t
replace_frozen(struct gw_mapping *file, gw_pfn_t src)
{
	struct gw_machine *m = file->machine;
	gw_pfn_t dst;

	assert_int_equal(gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, 0, &dst), 0);
	gw_page_lock(m, src);
	gw_lru_add_drain_all(m);
	assert_false(gw_cache_replace_frozen(m, &file->cache, 5, src, dst, 3));
	assert_int_equal(gw_ref_read(&gw_page(m, src)->refcount), 2);
	gw_frame_set_index(gw_page(m, dst), 5);
	gw_ptr_store_release(&gw_page(m, dst)->owner, file);
	gw_u32_or_relaxed(&gw_page(m, dst)->flags, GW_PG_UPTODATE);
	gw_get_page(m, dst); /* the cache's */
	assert_true(gw_cache_replace_frozen(m, &file->cache, 5, src, dst, 2));
	return dst;
}

/* src has left the cache; ours is its last reference. */
static void
forget(struct gw_machine *m, gw_pfn_t src)
{
	gw_ptr_store_release(&gw_page(m, src)->owner, NULL);
	gw_ref_unfreeze(&gw_page(m, src)->refcount, 1);
	gw_page_unlock(m, src);
	gw_put_page(m, src);
}

/* R16: a reference more than expected keeps the page where it is, one frozen is nobody's to find,
 * and who looks finds what came in its place. */
static void
a_lookup_finds_what_came_in_its_place(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	gw_pfn_t src, dst;

	fill_page(file, 5, 0x05);
	src = gw_mapping_find(file, 5);
	dst = replace_frozen(file, src);
	assert_int_equal(gw_mapping_find(file, 5), dst);
	gw_put_page(s->m, dst);
	assert_int_equal(gw_mapping_cached(file), 1);
	forget(s->m, src);
	gw_put_page(s->m, dst);
	file_put(file);
	store_destroy(store);
}

/* R16: who looks takes his reference under the cache's lock: else the page could be replaced, freed
 * and used for something else between the look and the reference. */
static void
a_lookup_takes_its_reference_locked(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	uint64_t index = 0;

	fill_page(file, 5, 0x05);
	lookups.n = 0;
	lookups.unlocked = false;
	lookups.file = file;
	gw_put_page(s->m, gw_mapping_find(file, 5));
	gw_put_page(s->m, gw_cache_next(s->m, &file->cache, &index));
	lookups.file = NULL;
	assert_int_equal(index, 5);
	assert_int_equal(lookups.n, 2);
	assert_false(lookups.unlocked);
	file_put(file);
	store_destroy(store);
}

/* R16: a page that is frozen in its place is waited for until it is thawed. */
static void
a_frozen_page_is_waited_for(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct helper finder = {.s = s, .file = file, .fn = helper_find};
	gw_pfn_t page;

	fill_page(file, 5, 0x05);
	gw_lru_add_drain_all(s->m);
	page = gw_mapping_find(file, 5);
	gw_page_lock(s->m, page);
	assert_true(gw_ref_freeze(&gw_page(s->m, page)->refcount, 2));
	helper_start(&finder);
	for (unsigned i = 0; i < 1000; i++) {
		sched_yield();
		assert_int_equal(gw_u32_load_acquire(&finder.done), 0);
	}
	gw_ref_unfreeze(&gw_page(s->m, page)->refcount, 2);
	helper_join(&finder);
	assert_int_equal(finder.page, page);
	gw_page_unlock(s->m, page);
	gw_put_page(s->m, page);
	gw_put_page(s->m, page);
	file_put(file);
	store_destroy(store);
}

/* Page 5, whose lock is held and whose references others have, too, leaves for another one, as by
 * truncation and a new read. src is nobody's, and free to lock. */
static gw_pfn_t
exchange(struct gw_mapping *file, gw_pfn_t src)
{
	struct gw_machine *m = file->machine;
	gw_pfn_t dst;

	assert_int_equal(gw_alloc_pages(m, GW_GFP_USER_MOVABLE, 0, 0, &dst), 0);
	gw_frame_set_index(gw_page(m, dst), 5);
	gw_ptr_store_release(&gw_page(m, dst)->owner, file);
	gw_u32_or_relaxed(&gw_page(m, dst)->flags, GW_PG_UPTODATE);
	gw_cache_remove(m, &file->cache, 5, src);
	gw_ptr_store_release(&gw_page(m, src)->owner, NULL);
	gw_put_page(m, src); /* the cache's */
	assert_true(gw_page_trylock(m, dst));
	assert_int_equal(gw_cache_add(m, &file->cache, 5, dst), 0);
	gw_page_unlock(m, dst);
	gw_page_unlock(m, src);
	return dst;
}

/* F4: who waited for the lock of a page that left meanwhile looks again, or leaves it alone. */
static void
a_page_that_left_is_left_alone(void **state)
{
	static int (*const waits[])(struct helper * h) = {helper_get, helper_sync};

	for (unsigned i = 0; i < 2; i++) {
		struct spaces *s = *state;
		struct store *store = store_create();
		struct gw_mapping *file = file_on(s, store);
		struct helper waiter = {.s = s, .file = file, .fn = waits[i]};
		gw_pfn_t src, dst;

		assert_int_equal(gw_mapping_get_page(file, 5, NULL, &src), 0);
		gw_page_set_dirty(s->m, src);
		helper_start(&waiter);
		wait_for_waiter(file, 5);
		dst = exchange(file, src);
		helper_join(&waiter);
		assert_int_equal(waiter.result, 0);
		if (waits[i] == helper_get) {
			assert_int_equal(waiter.page, dst);
			gw_page_unlock(s->m, dst);
			gw_put_page(s->m, dst);
		}
		assert_int_equal(gw_u32_load_relaxed(&store->writes), 0);
		gw_put_page(s->m, src);
		gw_put_page(s->m, dst);
		file_put(file);
		store_destroy(store);
	}
}

/* ---- many at once ---- */

#define CROWD	    4
#define CROWD_PAGES 24
#define CROWD_STEPS 4000

struct crowd {
	struct helper h; /* first */
	uint64_t random;
	unsigned torn, errors;
};

/* A page is written whole, by one value in all its words: whatever is read says one value. */
static bool
is_whole(const uint64_t *words)
{
	for (size_t i = 1; i < PAGE / sizeof(*words); i++)
		if (words[i] != words[0])
			return false;
	return true;
}

/* A page is of its index, or zero after truncation. */
static bool
is_of(const uint64_t *words, uint64_t index)
{
	return is_whole(words) && (words[0] == 0 || words[0] % CROWD_PAGES == index);
}

static int
crowd_step(struct crowd *c, uint64_t *words)
{
	struct gw_mapping *file = c->h.file;
	uint64_t random = test_random(&c->random), index = random / 16 % CROWD_PAGES;

	switch (random % 16) {
	case 0:
		return gw_mapping_truncate(file, index);
	case 1:
	case 2:
		return gw_mapping_truncate(file, CROWD_PAGES);
	case 3:
		return gw_mapping_sync(file);
	case 4:
		(void)gw_reclaim(file->machine, 0, NULL, 4);
		return 0;
	case 5:
	case 6:
	case 7:
	case 8:
		for (size_t i = 0; i < PAGE / sizeof(*words); i++)
			words[i] = (random >> 20) * CROWD_PAGES + index;
		return gw_mapping_write(file, index * PAGE, words, PAGE);
	default:
		words[0] = 0;
		words[1] = 1;
		if (gw_mapping_read(file, index * PAGE, words, PAGE))
			return -EINVAL;
		c->torn += !is_of(words, index);
		return 0;
	}
}

static int
crowd_main(struct helper *h)
{
	struct crowd *c = (struct crowd *)h;
	uint64_t words[PAGE / sizeof(uint64_t)];

	for (unsigned i = 0; i < CROWD_STEPS; i++) {
		int err = crowd_step(c, words);

		c->errors += err && err != -EINVAL; /* truncated */
	}
	return 0;
}

/* What the cache said last is what the store has in the end. */
static void
compare_with_store(struct gw_mapping *file, struct store *store)
{
	uint64_t words[PAGE / sizeof(uint64_t)];

	assert_int_equal(gw_mapping_sync(file), 0);
	for (uint64_t i = 0; i < gw_mapping_pages(file); i++) {
		assert_int_equal(gw_mapping_read(file, i * PAGE, words, PAGE), 0);
		assert_memory_equal(words, store->bytes[i], PAGE);
		assert_true(is_of(words, i));
	}
}

/* Readers, writers, truncation, writeback and reclaim at once: every page read is one that somebody
 * wrote as a whole to this place, or zero; nothing fails; in the end the store has what the cache
 * had. */
static void
crowd_sees_whole_pages(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	uint64_t seed = test_seed();
	struct crowd crowd[CROWD] = {0};
	struct gw_mapping *file;

	memset(store->bytes, 0, sizeof(store->bytes));
	file = file_on(s, store);
	for (unsigned i = 0; i < CROWD; i++) {
		crowd[i].h = (struct helper){.s = s, .file = file, .fn = crowd_main};
		crowd[i].random = seed + i;
		helper_start(&crowd[i].h);
	}
	for (unsigned i = 0; i < CROWD; i++) {
		helper_join(&crowd[i].h);
		assert_int_equal(crowd[i].torn, 0);
		assert_int_equal(crowd[i].errors, 0);
	}
	compare_with_store(file, store);
	file_put(file);
	store_destroy(store);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, spaces_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(writeback_is_waited_for),
		FILE_TEST(sizes_change_one_by_one),
		FILE_TEST(no_page_comes_after_truncation),
		FILE_TEST(a_lookup_takes_its_reference_locked),
		FILE_TEST(a_lookup_finds_what_came_in_its_place),
		FILE_TEST(a_frozen_page_is_waited_for),
		FILE_TEST(a_page_that_left_is_left_alone),
		FILE_TEST(crowd_sees_whole_pages),
	};

	return cmocka_run_group_tests_name("file_threads", tests, NULL, NULL);
}
