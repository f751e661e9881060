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

/* F4: who waited for the lock of a page that was moved meanwhile gets the page that is there now.
 */
static void
a_page_that_moved_is_looked_up_again(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct helper getter = {.s = s, .file = file, .fn = helper_get};
	gw_pfn_t src, dst;

	assert_int_equal(gw_mapping_get_page(file, 5, NULL, &src), 0);
	helper_start(&getter);
	wait_for_waiter(file, 5);
	/* With the waiter's reference it could not be frozen: it is taken out and another put in.
	 */
	assert_int_equal(gw_alloc_pages(s->m, GW_GFP_USER_MOVABLE, 0, 0, &dst), 0);
	gw_page_lock(s->m, dst);
	gw_frame_set_index(gw_page(s->m, dst), 5);
	gw_ptr_store_release(&gw_page(s->m, dst)->owner, file);
	gw_u32_or_relaxed(&gw_page(s->m, dst)->flags, GW_PG_UPTODATE);
	gw_cache_remove(s->m, &file->cache, 5, src);
	assert_int_equal(gw_cache_add(s->m, &file->cache, 5, dst), 0);
	gw_page_unlock(s->m, dst);
	gw_ptr_store_release(&gw_page(s->m, src)->owner, NULL);
	gw_page_unlock(s->m, src);
	helper_join(&getter);
	assert_int_equal(getter.result, 0);
	assert_int_equal(getter.page, dst);
	gw_page_unlock(s->m, dst);
	gw_put_page(s->m, dst);
	gw_put_page(s->m, dst);
	gw_put_page(s->m, src); /* the cache's */
	gw_put_page(s->m, src);
	file_put(file);
	store_destroy(store);
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
		FILE_TEST(a_lookup_finds_what_came_in_its_place),
		FILE_TEST(a_frozen_page_is_waited_for),
		FILE_TEST(a_page_that_moved_is_looked_up_again),
		FILE_TEST(crowd_sees_whole_pages),
	};

	return cmocka_run_group_tests_name("file_threads", tests, NULL, NULL);
}
