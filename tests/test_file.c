/* SPDX-License-Identifier: MIT */
/*
 * test_file.c - files in the page cache: reading, writing, writeback, truncation, and what a store
 * or a want of memory does to them. F1 to F3 are godwit/file.h's, F4 to F6
 * engine/store/mapping.c's, W1 to W3 engine/store/writeback.c's.
 */
#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/virt/policy.h"
#include "file_fixture.h"

/* ---- reading and writing ---- */

/* A page is read from the store once, and stands in the cache as F1 says. */
static void
pages_are_read_once(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	uint8_t bytes[3 * PAGE];
	gw_pfn_t page;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(gw_mapping_read(file, PAGE / 2, bytes, sizeof(bytes)), 0);
		for (size_t b = 0; b < sizeof(bytes); b++)
			assert_int_equal(
				bytes[b], pattern((PAGE / 2 + b) / PAGE, (PAGE / 2 + b) % PAGE));
	}
	assert_int_equal(gw_u32_load_relaxed(&store->reads), 4);
	assert_int_equal(gw_mapping_cached(file), 4);
	gw_lru_add_drain_all(s->m);
	page = gw_mapping_find(file, 3);
	assert_int_equal(gw_ref_read(&gw_page(s->m, page)->refcount), 2); /* the cache's and ours */
	assert_ptr_equal(gw_page_mapping(s->m, page), file);
	assert_int_equal(gw_frame_index(gw_page(s->m, page)), 3);
	assert_int_equal(gw_page_flags(gw_page(s->m, page)) &
				 (GW_PG_LRU | GW_PG_FILE | GW_PG_UPTODATE | GW_PG_DIRTY),
		GW_PG_LRU | GW_PG_FILE | GW_PG_UPTODATE);
	gw_put_page(s->m, page);
	assert_int_equal(gw_mapping_find(file, 4), GW_PFN_NONE);
	file_put(file);
	store_destroy(store);
}

/* Writing changes the bytes it names and no others; a page written as a whole is not read. */
static void
writes_change_what_they_name(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	uint8_t bytes[PAGE + 200], back[3 * PAGE];

	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(gw_mapping_write(file, PAGE - 100, bytes, sizeof(bytes)), 0);
	assert_int_equal(gw_u32_load_relaxed(&store->reads), 2); /* pages 0 and 2 */
	assert_int_equal(gw_mapping_read(file, 0, back, sizeof(back)), 0);
	for (size_t b = 0; b < sizeof(back); b++) {
		bool written = b >= PAGE - 100 && b < 2 * PAGE + 100;

		assert_int_equal(back[b], written ? 0xee : pattern(b / PAGE, b % PAGE));
	}
	assert_int_equal(store->bytes[1][0], pattern(1, 0)); /* not yet */
	file_put(file);
	assert_int_equal(store->bytes[0][PAGE - 101], pattern(0, PAGE - 101));
	assert_int_equal(store->bytes[0][PAGE - 100], 0xee);
	assert_int_equal(store->bytes[1][0], 0xee);
	assert_int_equal(store->bytes[2][99], 0xee);
	assert_int_equal(store->bytes[2][100], pattern(2, 100));
	store_destroy(store);
}

/* Beyond the end nothing is read or written, not even before the end; nor with a nonsense range. */
static void
the_end_is_the_end(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	uint8_t bytes[16] = {0};
	gw_pfn_t page;

	assert_int_equal(gw_mapping_read(file, STORE_PAGES * PAGE - 15, bytes, 16), -EINVAL);
	assert_int_equal(gw_mapping_write(file, STORE_PAGES * PAGE - 15, bytes, 16), -EINVAL);
	assert_int_equal(gw_mapping_read(file, UINT64_MAX - 7, bytes, 16), -EINVAL);
	assert_int_equal(gw_mapping_get_page(file, STORE_PAGES, NULL, &page), -EFAULT);
	assert_int_equal(gw_mapping_get_page(file, UINT64_MAX, NULL, &page), -EFAULT);
	assert_int_equal(gw_mapping_cached(file), 0);
	assert_int_equal(gw_mapping_read(file, STORE_PAGES * PAGE, bytes, 0), 0);
	assert_int_equal(gw_mapping_read(file, STORE_PAGES * PAGE - 16, bytes, 16), 0);
	file_put(file);
	store_destroy(store);
}

/* A file larger than an index, or with flags that nobody knows, is refused. */
static void
nonsense_is_refused(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	const uint64_t most = (uint64_t)1 << 32;
	struct gw_mapping *file = NULL;

	assert_int_equal(gw_mapping_create(s->m, &store_ops, store, most + 1, 0, &file), -EINVAL);
	assert_int_equal(gw_mapping_create(s->m, &store_ops, store, 1, 0x80, &file), -EINVAL);
	assert_null(file);
	assert_int_equal(gw_mapping_create(s->m, &store_ops, store, most, 0, &file), 0);
	assert_int_equal(gw_mapping_truncate(file, most + 1), -EINVAL);
	assert_int_equal(gw_mapping_pages(file), most);
	file_put(file);
	store_destroy(store);
}

/* F6: a page that cannot be read is not in the cache; the next try asks the store again. */
static void
failed_reads_leave_no_page(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	uint8_t bytes[PAGE];

	store->bad_read = 5;
	assert_int_equal(gw_mapping_read(file, 5 * PAGE, bytes, PAGE), -EIO);
	assert_int_equal(gw_mapping_write(file, 5 * PAGE, bytes, 8), -EIO);
	assert_int_equal(gw_mapping_cached(file), 0);
	assert_int_equal(free_frames(s), s->free);
	store->bad_read = UINT64_MAX;
	assert_int_equal(gw_mapping_read(file, 5 * PAGE, bytes, PAGE), 0);
	assert_int_equal(bytes[9], pattern(5, 9));
	file_put(file);
	store_destroy(store);
}

/* Who waits for a page lock can be interrupted. */
static void
interrupted_tasks_get_nothing(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_task other;
	uint8_t bytes[8];
	gw_pfn_t page;

	assert_int_equal(gw_mapping_get_page(file, 1, NULL, &page), 0);
	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	gw_task_interrupt(&other);
	assert_int_equal(gw_mapping_read(file, PAGE, bytes, 8), -EINTR);
	gw_task_detach(&other);
	assert_int_equal(gw_ref_read(&gw_page(s->m, page)->refcount), 3); /* cache, batch, ours */
	gw_page_unlock(s->m, page);
	gw_put_page(s->m, page);
	file_put(file);
	store_destroy(store);
}

/* ---- writeback ---- */

/* Writeback writes what is dirty, once. */
static void
sync_writes_dirty_pages_once(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);

	assert_int_equal(gw_mapping_read(file, 0, (uint8_t[8]){0}, 8), 0);
	fill_page(file, 3, 0x33);
	fill_page(file, 63, 0x63);
	assert_true(cached_flags(file, 3) & GW_PG_DIRTY);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(gw_mapping_sync(file), 0);
		assert_int_equal(gw_u32_load_relaxed(&store->writes), 2);
		assert_false(cached_flags(file, 3) & (GW_PG_DIRTY | GW_PG_WRITEBACK));
	}
	assert_int_equal(store->bytes[3][77], 0x33);
	assert_int_equal(store->bytes[63][0], 0x63);
	file_put(file);
	assert_int_equal(gw_u32_load_relaxed(&store->writes), 2);
	store_destroy(store);
}

/* W3: a page that cannot be written is dirty again; the others are written; the first error is
 * told, and the next writeback tries again. */
static void
failed_writes_stay_dirty(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);

	for (unsigned i = 0; i < 3; i++)
		fill_page(file, i, 0x44);
	store->bad_write = 1;
	assert_int_equal(gw_mapping_sync(file), -EIO);
	assert_int_equal(store->bytes[2][0], 0x44);
	assert_false(cached_flags(file, 2) & GW_PG_DIRTY);
	assert_int_equal(cached_flags(file, 1) & (GW_PG_DIRTY | GW_PG_WRITEBACK), GW_PG_DIRTY);
	store->bad_write = UINT64_MAX;
	assert_int_equal(gw_mapping_sync(file), 0);
	assert_int_equal(store->bytes[1][0], 0x44);
	file_put(file);
	store_destroy(store);
}

struct redirty {
	struct spaces *s;
	struct gw_mapping *file;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	uint32_t flags; /* of the page, in the middle of the write */
};

static void
write_by_cpu(struct store *store, uint64_t index)
{
	struct redirty *r = store->arg;

	store->on_write = NULL;
	r->flags = cached_flags(r->file, index);
	assert_int_equal(try_poke(r->s, 1, r->mm, r->addr, 0xbeef), 0);
}

/* W1: what a CPU writes to a mapped page while the page is under writeback is not lost: the entry's
 * mark was collected before, with a flush, so the write makes a new one. */
static void
writes_during_writeback_are_not_lost(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct redirty r = {.s = s, .file = file, .mm = new_space(s)};
	uint64_t word;

	assert_int_equal(
		gw_mmap_file(r.mm, 0, 2 * PAGE, READWRITE, GW_MAP_SHARED, file, 4, &r.addr), 0);
	assert_int_equal(try_poke(s, 1, r.mm, r.addr, 0xdead), 0);
	store->on_write = write_by_cpu;
	store->arg = &r;
	assert_int_equal(gw_mapping_sync(file), 0);
	assert_int_equal(r.flags & (GW_PG_LOCKED | GW_PG_DIRTY | GW_PG_WRITEBACK), GW_PG_WRITEBACK);
	memcpy(&word, store->bytes[4], sizeof(word));
	assert_int_equal(word, 0xdead);
	assert_int_equal(gw_mapping_sync(file), 0);
	memcpy(&word, store->bytes[4], sizeof(word));
	assert_int_equal(word, 0xbeef);
	assert_int_equal(gw_u32_load_relaxed(&store->writes), 2);
	gw_mm_put(r.mm);
	file_put(file);
	assert_int_equal(gw_u32_load_relaxed(&store->writes), 2); /* that was all */
	store_destroy(store);
}

static void
mark_dirty(struct store *store, uint64_t index)
{
	struct redirty *r = store->arg;
	gw_pfn_t page = gw_mapping_find(r->file, index);

	store->on_write = NULL;
	gw_page_set_dirty(r->s->m, page);
	gw_put_page(r->s->m, page);
}

/* W1: a mark that is made while the page is under writeback stays. */
static void
marks_during_writeback_stay(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct redirty r = {.s = s, .file = file};

	fill_page(file, 9, 0x99);
	store->on_write = mark_dirty;
	store->arg = &r;
	assert_int_equal(gw_mapping_sync(file), 0);
	assert_int_equal(cached_flags(file, 9) & (GW_PG_DIRTY | GW_PG_WRITEBACK), GW_PG_DIRTY);
	file_put(file);
	assert_int_equal(gw_u32_load_relaxed(&store->writes), 2);
	store_destroy(store);
}

/* F2, F3: the last user writes what is dirty, and frees the pages and the store. */
static void
the_last_user_cleans_up(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);

	fill_page(file, 20, 0x20);
	gw_mapping_get(file);
	gw_mapping_put(file);
	assert_false(store->released);
	assert_int_equal(gw_mapping_cached(file), 1);
	file_put(file);
	assert_int_equal(store->bytes[20][1], 0x20);
	assert_int_equal(free_frames(s), s->free);
	store_destroy(store);
}

/* ---- truncation ---- */

/* Pages beyond the new end are lost, also for the store; those before it stay. */
static void
truncation_loses_what_is_beyond(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	uint8_t bytes[8];

	for (unsigned i = 8; i < 12; i++)
		fill_page(file, i, 0x50);
	assert_int_equal(gw_mapping_truncate(file, 10), 0);
	assert_int_equal(store->end, 10);
	assert_int_equal(gw_mapping_pages(file), 10);
	assert_int_equal(gw_mapping_cached(file), 2);
	assert_int_equal(gw_mapping_read(file, 10 * PAGE, bytes, 8), -EINVAL);
	assert_int_equal(gw_mapping_truncate(file, STORE_PAGES), 0);
	assert_page(file, 9, 0x50);
	assert_page(file, 10, 0);
	assert_page(file, 63, 0);
	file_put(file);
	assert_int_equal(store->bytes[9][0], 0x50);
	assert_int_equal(store->bytes[10][0], 0);
	store_destroy(store);
}

/* Truncated pages leave every address space, private copies of them too, and touching them faults.
 */
static void
truncation_reaches_address_spaces(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t shared, private;
	uint64_t word;

	assert_int_equal(
		gw_mmap_file(mm, 0, 4 * PAGE, READWRITE, GW_MAP_SHARED, file, 0, &shared), 0);
	assert_int_equal(gw_mmap_file(mm, 0, 4 * PAGE, READWRITE, 0, file, 0, &private), 0);
	for (unsigned i = 0; i < 4; i++) {
		poke(mm, shared + i * PAGE, 100 + i);
		poke(mm, private + i * PAGE, 200 + i);
	}
	assert_int_equal(gw_mm_pages(mm), 8);
	assert_int_equal(gw_mapping_truncate(file, 2), 0);
	assert_int_equal(gw_mm_pages(mm), 4);
	assert_int_equal(gw_mapping_cached(file), 2);
	for (unsigned i = 0; i < 4; i++) {
		int want = i < 2 ? 0 : -EFAULT;

		assert_int_equal(try_peek(s, i % 2, mm, shared + i * PAGE, &word), want);
		assert_int_equal(try_poke(s, i % 2, mm, private + i * PAGE, 1), want);
	}
	assert_int_equal(peek(mm, shared + PAGE), 101);
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

struct keeper {
	struct gw_private data;
	bool lets_go;
	unsigned asked;
};

static bool
keeper_release(struct gw_private *data, struct gw_machine *m, gw_pfn_t page)
{
	struct keeper *keeper = (struct keeper *)data;

	assert_true(gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED);
	keeper->asked++;
	return keeper->lets_go;
}

static gw_pfn_t
page_with_private(struct gw_mapping *file, uint64_t index, struct keeper *keeper)
{
	gw_pfn_t page;

	assert_int_equal(gw_mapping_get_page(file, index, NULL, &page), 0);
	assert_int_equal(gw_page_set_private(file->machine, page, &keeper->data), 0);
	gw_page_unlock(file->machine, page);
	gw_put_page(file->machine, page);
	return page;
}

/* A11: a truncated page whose private data does not let go is nobody's, and keeps the data and its
 * reference; one whose data lets go is freed. */
static void
orphans_keep_their_private_data(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct keeper keeps = {.data = {.release = keeper_release}}, goes = keeps;
	gw_pfn_t orphan;
	uint64_t before;

	goes.lets_go = true;
	orphan = page_with_private(file, 1, &keeps);
	page_with_private(file, 2, &goes);
	fill_page(file, 1, 0x11);
	before = free_frames(s);
	assert_int_equal(gw_mapping_truncate(file, 0), 0);
	assert_int_equal(keeps.asked, 1);
	assert_int_equal(goes.asked, 1);
	assert_int_equal(gw_mapping_cached(file), 0);
	assert_int_equal(free_frames(s), before + 1);
	assert_null(gw_page_mapping(s->m, orphan));
	assert_int_equal(gw_page_flags(gw_page(s->m, orphan)) & (GW_PG_PRIVATE | GW_PG_DIRTY),
		GW_PG_PRIVATE);
	assert_int_equal(gw_ref_read(&gw_page(s->m, orphan)->refcount), 1);
	file_put(file); /* the orphan does not need it */

	gw_get_page(s->m, orphan);
	gw_page_lock(s->m, orphan);
	keeps.lets_go = true;
	assert_true(gw_page_release_private(s->m, orphan));
	gw_page_unlock(s->m, orphan);
	gw_put_page(s->m, orphan);
	store_destroy(store);
}

/* ---- want of memory ---- */

/* Everything that asks the engine for memory of its own. */
static int
use_a_file(struct spaces *s, struct store *store)
{
	struct gw_mapping *file;
	uint8_t bytes[8];
	int err;

	store->released = false;
	err = gw_mapping_create(s->m, &store_ops, store, (uint64_t)1 << 32, 0, &file);
	if (err)
		return err;
	err = gw_mapping_read(file, 2 * PAGE, bytes, 8);
	if (!err)
		err = gw_mapping_write(file, 40 * PAGE, (uint8_t[PAGE]){40}, PAGE);
	if (!err)
		assert_int_equal(gw_mapping_cached(file), 2);
	file_put(file);
	return err;
}

/* Whichever allocation of the engine fails, the answer is -ENOMEM and nothing is left over. */
static void
failed_allocations_lose_nothing(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	unsigned fails = 0;

	for (;;) {
		int err;

		gw_soft_fail_alloc(s->soft, fails + 1);
		err = use_a_file(s, store);
		gw_soft_fail_alloc(s->soft, 0);
		assert_int_equal(free_frames(s), s->free);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		fails++;
	}
	assert_true(fails >= 4); /* the file, nodes for each of two pages */
	assert_int_equal(store->bytes[40][0], 40);
	store->released = true;
	store_destroy(store);
}

/* A new page is charged to the group given, one found is not; over the limit there is none (J2). */
static void
new_pages_are_charged(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_page_source source = gw_task_source(0);
	struct gw_memcg *memcg = NULL;
	gw_pfn_t page;

	assert_int_equal(gw_memcg_create(s->m, 1, &memcg), 0);
	source.memcg = memcg;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(gw_mapping_get_page(file, 1, &source, &page), 0);
		assert_int_equal(gw_memcg_usage(memcg), 1);
		if (i == 0) /* locked: reclaim in the group cannot take it */
			assert_int_equal(gw_mapping_get_page(file, 2, &source, &page), -ENOMEM);
		page = gw_mapping_find(file, 1);
		gw_page_unlock(s->m, page);
		gw_put_page(s->m, page);
		gw_put_page(s->m, page);
	}
	assert_int_equal(gw_mapping_cached(file), 1);
	file_put(file);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	gw_memcg_put(memcg);
	store_destroy(store);
}

/* H1: gw_machine_check() finds a page that is not where it says it is. */
static void
the_check_finds_a_page_out_of_place(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	gw_pfn_t page;

	fill_page(file, 6, 0x66);
	page = gw_mapping_find(file, 6);
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 0);
	gw_frame_set_index(gw_page(s->m, page), 7);
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 1);
	gw_frame_set_index(gw_page(s->m, page), 6);
	gw_put_page(s->m, page);
	file_put(file);
	store_destroy(store);
}

/* Without a free frame a read says so; what is in the cache can be read and written all the same.
 */
static void
no_frame_no_page(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	gw_pfn_t pinned, page, *frames = calloc(s->m->n_frames, sizeof(*frames));
	unsigned n = 0;
	uint8_t bytes[8];

	assert_non_null(frames);
	fill_page(file, 0, 0x77);
	pinned = gw_mapping_find(file, 0); /* reclaim cannot take it */
	while (!gw_alloc_pages(s->m, GW_GFP_MOVABLE | GW_GFP_DIRECT_RECLAIM, 0, 0, &page))
		frames[n++] = page;
	assert_int_equal(gw_mapping_read(file, PAGE, bytes, 8), -ENOMEM);
	assert_int_equal(gw_mapping_write(file, PAGE, bytes, 8), -ENOMEM);
	assert_int_equal(gw_mapping_cached(file), 1);
	assert_page(file, 0, 0x77);
	fill_page(file, 0, 0x78);
	while (n)
		gw_put_page(s->m, frames[--n]);
	gw_put_page(s->m, pinned);
	free(frames);
	file_put(file);
	assert_int_equal(store->bytes[0][0], 0x78);
	store_destroy(store);
}

/* ---- the soft machine's stores ---- */

static void
store_round_trip(struct spaces *s, const struct gw_backing_ops *ops, void *ctx)
{
	struct gw_mapping *file = NULL;
	uint8_t bytes[PAGE];

	assert_int_equal(gw_mapping_create(s->m, ops, ctx, 16, 0, &file), 0);
	assert_page(file, 7, 0);
	fill_page(file, 7, 0x17);
	fill_page(file, 9, 0x19);
	assert_int_equal(gw_mapping_sync(file), 0);
	assert_int_equal(ops->read(ctx, 7, bytes), 0);
	assert_int_equal(bytes[PAGE - 1], 0x17);
	assert_int_equal(gw_mapping_truncate(file, 9), 0);
	assert_int_equal(gw_mapping_truncate(file, 16), 0);
	assert_page(file, 9, 0);
	fill_page(file, 3, 0x13);
	file_put(file);
}

/* The store in memory keeps what was written, zeroes elsewhere and after truncation. */
static void
ram_store_keeps_pages(void **state)
{
	uint8_t bytes[PAGE];
	void *ctx = NULL;

	assert_int_equal(gw_soft_ram_backing(2, &ctx), 0);
	assert_int_equal(gw_soft_ram_ops.read(ctx, 2, bytes), -EIO);
	assert_int_equal(gw_soft_ram_ops.write(ctx, 2, bytes), -EIO);
	gw_soft_ram_ops.release(ctx);
	assert_int_equal(gw_soft_ram_backing(16, &ctx), 0);
	store_round_trip(*state, &gw_soft_ram_ops, ctx);
}

/* The store in a file does, too; what it was given is in the file. */
static void
file_store_keeps_pages(void **state)
{
	char path[] = "/tmp/godwit-store-XXXXXX";
	int fd = mkstemp(path);
	struct stat st;
	void *ctx = NULL;
	uint8_t byte = 0;

	assert_true(fd >= 0);
	assert_int_equal(gw_soft_file_backing("/nonexistent/store", &ctx), -ENOENT);
	assert_int_equal(gw_soft_file_backing(path, &ctx), 0);
	store_round_trip(*state, &gw_soft_file_ops, ctx);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 9 * PAGE);
	assert_int_equal(pread(fd, &byte, 1, 3 * PAGE + 5), 1);
	assert_int_equal(byte, 0x13);
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, spaces_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(pages_are_read_once),
		FILE_TEST(writes_change_what_they_name),
		FILE_TEST(the_end_is_the_end),
		FILE_TEST(nonsense_is_refused),
		FILE_TEST(failed_reads_leave_no_page),
		FILE_TEST(interrupted_tasks_get_nothing),
		FILE_TEST(sync_writes_dirty_pages_once),
		FILE_TEST(failed_writes_stay_dirty),
		FILE_TEST(writes_during_writeback_are_not_lost),
		FILE_TEST(marks_during_writeback_stay),
		FILE_TEST(the_last_user_cleans_up),
		FILE_TEST(truncation_loses_what_is_beyond),
		FILE_TEST(truncation_reaches_address_spaces),
		FILE_TEST(orphans_keep_their_private_data),
		FILE_TEST(failed_allocations_lose_nothing),
		FILE_TEST(new_pages_are_charged),
		FILE_TEST(the_check_finds_a_page_out_of_place),
		FILE_TEST(no_frame_no_page),
		FILE_TEST(ram_store_keeps_pages),
		FILE_TEST(file_store_keeps_pages),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
