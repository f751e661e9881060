/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_file.c - migration of file pages (FACTS 1.1 rows A, 1.6, 2.1, 2.3, 3.5, R16).
 *
 * Of pages with private data and truncated ones: test_migrate_orphan.c.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "cached_fixture.h"
#include "walk_probe.h"
#include "godwit/compact.h"

/* What the linker's --wrap saw of a page when it was unlocked last. */
static gw_pfn_t watched = GW_PFN_NONE;
static const void *owner_at_unlock;

static uint64_t pages_put_back;

void __real_gw_putback_movable_pages(struct gw_machine *m, struct gw_page_list *list);
void __wrap_gw_putback_movable_pages(struct gw_machine *m, struct gw_page_list *list);

void
__wrap_gw_putback_movable_pages(struct gw_machine *m, struct gw_page_list *list)
{
	pages_put_back += list->n;
	__real_gw_putback_movable_pages(m, list);
}

void __real_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn);
void __wrap_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn);

void
__wrap_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn)
{
	if (pfn == watched)
		owner_at_unlock = gw_ptr_load_relaxed(&gw_page(m, pfn)->owner);
	__real_gw_page_unlock(m, pfn);
}

static gw_vaddr_t
map_file(struct gw_mm *mm, struct gw_mapping *mapping, unsigned map_flags)
{
	gw_vaddr_t addr = 0;

	assert_int_equal(
		gw_mmap_file(mm, 0, STORE_PAGES * PAGE, READWRITE, map_flags, mapping, 0, &addr),
		0);
	return addr;
}

static void
assert_pattern(struct mover *mv)
{
	uint8_t is[PAGE];

	assert_int_equal(gw_mapping_read(mv->file, mv->index * PAGE, is, PAGE), 0);
	for (size_t b = 0; b < PAGE; b++)
		assert_int_equal(is[b], pattern(mv->index, b));
}

/* ---- success ---- */

/* FACTS 1.6, A2, A7, R16: bytes, owner, index, the cache's slot and reference, and the LRU place
 * are the new page's; the old frame is free, in ASYNC mode too. */
static void
cached_page_moves(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	gw_pfn_t old = cached_page(mv), new;

	assert_int_equal(refs(mv, old), 1);
	assert_int_equal(try_isolate(mv, old, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(refs(mv, old), 2);
	watched = old;
	owner_at_unlock = mv;
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 0);
	watched = GW_PFN_NONE;
	assert_null(owner_at_unlock); /* A7: it was not anonymous */
	new = mv->new_page;
	assert_int_equal(gw_lru_count(mv->m, 0, GW_LRU_INACTIVE_FILE), 1);
	assert_true(is_free(mv, old));
	assert_int_equal(mv->puts, 0);
	assert_int_equal(mv->stats.flushes, 0); /* nobody had a translation */
	assert_in_cache(mv, new);
	assert_int_equal(refs(mv, new), 1);
	assert_pattern(mv);
	assert_int_equal(gw_u32_load_relaxed(&file->store->reads), 1);
	close_file(file);
}

/* A8, I5: a page that two address spaces map moves under both, with what they wrote. */
static void
mapped_page_moves(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_mm *mm[2] = {new_space(mv->s), new_space(mv->s)};
	gw_vaddr_t addr[2];
	gw_pfn_t new;

	for (unsigned i = 0; i < 2; i++) {
		addr[i] = map_file(mm[i], mv->file, GW_MAP_SHARED) + SEVEN * PAGE;
		poke(mm[i], addr[i] + 8 * i, 100 + i);
	}
	new = move(mv, page_of(mm[0], addr[0]));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(page_of(mm[i], addr[i]), new);
		assert_int_equal(peek(mm[i], addr[i] + 8), 101);
		assert_int_equal(peek(mm[i], addr[i]), 100);
	}
	assert_int_equal(refs(mv, new), 3);
	assert_in_cache(mv, new);
	verify(mv->s, mm, 2);
	gw_mm_put(mm[0]);
	gw_mm_put(mm[1]);
	assert_int_equal(gw_mapping_sync(mv->file), 0);
	assert_int_equal(file->store->bytes[SEVEN][0], 100); /* still known to be dirty */
	close_file(file);
}

/* R5: the walk to who maps a page of a file holds the file's lock; so does who changes a VMA of it.
 */
static void
walks_lock_the_file(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_mm *mm = new_space(mv->s);
	struct walk_probe seen;
	struct gw_vma *vma;

	for (unsigned i = 0; i < 2; i++)
		(void)peek(mm, map_file(mm, mv->file, GW_MAP_SHARED) + SEVEN * PAGE);
	seen = probe_walk(mv->m, cached_page(mv), NULL, &mv->file->rmap_lock);
	assert_int_equal(seen.places, 2);
	assert_int_equal(seen.open, 0);
	vma = gw_vma_find(mm, 0);
	gw_vma_change_begin(vma);
	assert_false(gw_rw_read_trylock(&mv->file->rmap_lock));
	gw_vma_change_end(vma);
	assert_true(gw_rw_read_trylock(&mv->file->rmap_lock));
	gw_rw_read_unlock(&mv->file->rmap_lock);
	gw_mm_put(mm);
	close_file(file);
}

/* FACTS 3.5: a dirty page whose store can migrate moves in every mode, and is as dirty as before.
 */
static void
dirty_page_moves(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);

	for (unsigned mode = GW_MIGRATE_ASYNC; mode <= GW_MIGRATE_SYNC; mode++) {
		fill_page(mv->file, SEVEN, (uint8_t)mode);
		assert_int_equal(try_isolate(mv, cached_page(mv), (enum gw_migrate_mode)mode), 0);
		assert_int_equal(migrate(mv, (enum gw_migrate_mode)mode), 0);
		assert_true(cached_flags(mv->file, SEVEN) & GW_PG_DIRTY);
	}
	assert_int_equal(gw_u32_load_relaxed(&file->store->writes), 0);
	assert_page(mv->file, SEVEN, GW_MIGRATE_SYNC);
	assert_int_equal(gw_mapping_sync(mv->file), 0);
	assert_int_equal(file->store->bytes[SEVEN][0], GW_MIGRATE_SYNC);
	close_file(file);
}

/* FACTS 3.5: pages of locked memory keep their mark, and their place on the unevictable list. */
static void
mlocked_page_moves(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_mm *mm = new_space(mv->s);
	gw_vaddr_t addr = map_file(mm, mv->file, GW_MAP_SHARED) + SEVEN * PAGE;
	gw_pfn_t new;

	assert_int_equal(gw_mlock(mm, addr, PAGE, true), 0);
	gw_lru_add_drain_all(mv->m);
	assert_true(flags(mv, page_of(mm, addr)) & GW_PG_MLOCKED);
	new = move(mv, page_of(mm, addr));
	assert_int_equal(page_of(mm, addr), new);
	assert_true(flags(mv, new) & GW_PG_MLOCKED);
	assert_int_equal(gw_lru_count(mv->m, 0, GW_LRU_UNEVICTABLE), 1);
	gw_mm_put(mm);
	close_file(file);
}

/* A9, E13: the charge moves with the page, once, and only if it moves. */
static void
charge_moves(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_mm *mm = new_space(mv->s);
	struct gw_memcg *memcg;
	gw_vaddr_t addr;
	gw_pfn_t page;

	assert_int_equal(gw_memcg_create(mv->m, UINT64_MAX, &memcg), 0);
	gw_mm_set_memcg(mm, memcg);
	addr = map_file(mm, mv->file, GW_MAP_SHARED) + SEVEN * PAGE;
	poke(mm, addr, 1);
	page = page_of(mm, addr);
	assert_ptr_equal(gw_page_memcg(mv->m, page), memcg);
	gw_lru_add_drain_all(mv->m);
	gw_get_page(mv->m, page);
	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 1);
	put_back(mv);
	gw_put_page(mv->m, page);
	assert_ptr_equal(gw_page_memcg(mv->m, page), memcg);
	page = move(mv, page);
	assert_ptr_equal(gw_page_memcg(mv->m, page), memcg);
	assert_int_equal(gw_memcg_usage(memcg), 1);
	gw_mm_put(mm);
	close_file(file);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	gw_memcg_put(memcg);
	gw_rcu_barrier();
}

/* ---- R16 ---- */

static void
find_new_page(struct mover *mv)
{
	gw_pfn_t found = gw_mapping_find(mv->file, mv->index);

	assert_int_equal(found, mv->new_page);
	assert_true(flags(mv, found) & GW_PG_LOCKED);
	assert_false(flags(mv, found) & GW_PG_UPTODATE);
	assert_true(flags(mv, found) & GW_PG_DIRTY);
	assert_ptr_equal(gw_ptr_load_relaxed(&gw_page(mv->m, found)->owner), mv->file);
	assert_int_equal(gw_frame_index(gw_page(mv->m, found)), mv->index);
	assert_int_equal(refs(mv, mv->page), 0);
	gw_put_page(mv->m, found);
	mv->seen++;
}

/* R16: a lookup during the copy finds the new page, locked and without its bytes, but with all that
 * is looked at without the lock; and the old one cannot be had any more. */
static void
lookup_during_the_copy_finds_the_new_page(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);

	fill_page(mv->file, SEVEN, 9);
	mv->page = cached_page(mv);
	mv->at_copy = find_new_page;
	move(mv, mv->page);
	assert_int_equal(mv->seen, 1);
	mv->at_copy = NULL;
	assert_page(mv->file, SEVEN, 9);
	close_file(file);
}

static void
look_up(struct mover *mv)
{
	if (mv->seen++ == 0)
		assert_int_equal(gw_mapping_find(mv->file, mv->index), mv->page);
}

/* I4, R16, A3, A6: a lookup that comes before the freeze keeps the page where it is, in all passes;
 * its slot, entry and marks are as before, and every new page goes back as it came. */
static void
lookup_before_the_freeze_wins(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_mm *mm = new_space(mv->s);
	gw_vaddr_t addr = map_file(mm, mv->file, GW_MAP_SHARED) + SEVEN * PAGE;
	gw_pte_t pte;

	poke(mm, addr, 5);
	mv->page = page_of(mm, addr);
	pte = entry_of(mm, addr);
	assert_int_equal(try_isolate(mv, mv->page, GW_MIGRATE_SYNC), 0);
	mv->at_flush = look_up;
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 1);
	mv->at_flush = NULL;
	assert_int_equal(mv->stats.passes, 10);
	assert_int_equal(mv->puts, 10);
	assert_true(mv->clean_at_put);
	assert_int_equal(mv->stayed, 1);
	assert_int_equal(mv->why, -EAGAIN);
	put_back(mv); /* A16 */
	gw_put_page(mv->m, mv->page);
	assert_int_equal(entry_of(mm, addr), pte);
	assert_int_equal(refs(mv, mv->page), 2);
	assert_in_cache(mv, mv->page);
	move(mv, mv->page);
	assert_int_equal(peek(mm, addr), 5);
	gw_mm_put(mm);
	close_file(file);
}

/* ---- isolation ---- */

/* FACTS 2.1, 3.5: dirty pages of a store that cannot migrate are isolated for SYNC only. */
static void
dirty_pages_without_callback_are_isolated_for_sync(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, without_migrate(), 0);

	fill_page(mv->file, SEVEN, 1);
	assert_int_equal(try_isolate(mv, cached_page(mv), GW_MIGRATE_ASYNC), -EBUSY);
	assert_int_equal(try_isolate(mv, cached_page(mv), GW_MIGRATE_SYNC_LIGHT), -EBUSY);
	assert_int_equal(try_isolate(mv, cached_page(mv), GW_MIGRATE_SYNC), 0);
	put_back(mv);
	assert_int_equal(gw_mapping_sync(mv->file), 0);
	assert_int_equal(try_isolate(mv, cached_page(mv), GW_MIGRATE_ASYNC), 0);
	put_back(mv);
	close_file(file);
}

/* FACTS 2.1: pages of an unmovable file are never isolated; and moved, they say so. */
static void
unmovable_file_stays(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, GW_MAPPING_UNMOVABLE);
	gw_pfn_t page = cached_page(mv);

	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), -EINVAL);
	/* Somebody has isolated it all the same. */
	assert_int_equal(gw_lru_isolate(mv->m, page, GW_ISOLATE_BOTH), 0);
	gw_u32_or_relaxed(&gw_page(mv->m, page)->flags, GW_PG_ISOLATED);
	gw_list_push_back(mv->m, &mv->list, page);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 1);
	assert_int_equal(mv->why, -EOPNOTSUPP);
	assert_int_equal(mv->stats.passes, 1);
	assert_int_equal(mv->gets, 0);
	put_back(mv);
	assert_in_cache(mv, page);
	close_file(file);
}

static uint64_t
compact(struct mover *mv, bool no_fs)
{
	const struct gw_compact_request request = {.order = -1,
		.mode = GW_MIGRATE_SYNC,
		.whole_zone = true,
		.ignore_skip = true,
		.no_fs = no_fs};
	struct gw_compact_stats stats;

	gw_lru_add_drain_all(mv->m);
	gw_compact_zone(mv->m, 0, &request, &stats);
	gw_drain_all_pages(mv->m);
	return stats.migrate.succeeded;
}

/* ... nor is a region begun that one of them stands in (evacuate.c, E2). */
static void
evacuation_passes_unmovable_files_by(void **state)
{
	const struct gw_compact_request request = {.order = -1,
		.mode = GW_MIGRATE_SYNC,
		.whole_zone = true,
		.planner = GW_PLANNER_EVACUATE};
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_mm *mm = new_space(mv->s);
	gw_vaddr_t addr = map(mm, 32);
	struct gw_compact_stats stats;

	/* Two pageblocks: one with few pages, the file's among them, one with more, and room. */
	for (unsigned i = 0; i < 30; i++) {
		poke(mm, addr + i * PAGE, 1);
		if (i == 2)
			cached_page(mv);
	}
	assert_int_equal(gw_munmap(mm, addr + 4 * PAGE, 12 * PAGE), 0);
	assert_int_equal(gw_munmap(mm, addr + 24 * PAGE, 8 * PAGE), 0);
	file->mapping->flags = GW_MAPPING_UNMOVABLE; /* its page is among those that move */
	gw_lru_add_drain_all(mv->m);
	gw_drain_all_pages(mv->m);
	pages_put_back = 0;
	gw_compact_zone(mv->m, 0, &request, &stats);
	assert_int_equal(pages_put_back, 0);
	gw_mm_put(mm);
	close_file(file);
}

/* FACTS 2.1: compaction moves cached pages, but on behalf of who may not call into
 * file systems anonymous ones only. */
static void
compaction_moves_file_pages(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_mm *mm = new_space(mv->s);
	gw_vaddr_t spacer = map(mm, 10 * STORE_PAGES);
	gw_pfn_t first;

	for (mv->index = 0; mv->index < STORE_PAGES; mv->index++) {
		for (unsigned i = 0; i < 10; i++)
			poke(mm, spacer + (10 * mv->index + i) * PAGE, i);
		cached_page(mv);
	}
	gw_mm_put(mm);
	gw_drain_all_pages(mv->m);
	mv->index = 0;
	first = cached_page(mv);
	assert_int_equal(compact(mv, true), 0);
	assert_int_equal(cached_page(mv), first);
	assert_true(compact(mv, false) > STORE_PAGES / 2);
	for (mv->index = 0; mv->index < STORE_PAGES; mv->index++)
		assert_pattern(mv);
	close_file(file);
}

/* ---- the fallback (FACTS 2.3) ---- */

/* A clean page moves as any other. */
static void
fallback_moves_clean_pages(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, without_migrate(), 0);

	assert_int_equal(try_isolate(mv, cached_page(mv), GW_MIGRATE_ASYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 0);
	assert_in_cache(mv, mv->new_page);
	assert_pattern(mv);
	close_file(file);
}

/* A dirty one is written out in SYNC mode, else it is busy, whether the mark is the page's ... */
static void
fallback_writes_dirty_pages_in_sync_only(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, without_migrate(), 0);

	fill_page(mv->file, SEVEN, 3);
	for (unsigned mode = GW_MIGRATE_ASYNC; mode < GW_MIGRATE_SYNC; mode++) {
		assert_int_equal(try_isolate(mv, cached_page(mv), GW_MIGRATE_SYNC), 0);
		assert_int_equal(migrate(mv, (enum gw_migrate_mode)mode), 1);
		assert_int_equal(mv->why, -EBUSY);
		assert_int_equal(mv->stats.passes, 1);
		put_back(mv);
	}
	assert_int_equal(gw_u32_load_relaxed(&file->store->writes), 0);
	assert_true(cached_flags(mv->file, SEVEN) & GW_PG_DIRTY);
	move(mv, cached_page(mv));
	assert_int_equal(mv->stats.passes, 4);
	assert_int_equal(gw_u32_load_relaxed(&file->store->writes), 1);
	assert_int_equal(file->store->bytes[SEVEN][0], 3);
	assert_false(cached_flags(mv->file, SEVEN) & GW_PG_DIRTY);
	assert_page(mv->file, SEVEN, 3);
	close_file(file);
}

/* ... or an entry's, which is found only when it is taken away. */
static void
fallback_sees_dirty_entries(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, without_migrate(), 0);
	struct gw_mm *mm = new_space(mv->s);
	gw_vaddr_t addr = map_file(mm, mv->file, GW_MAP_SHARED) + SEVEN * PAGE;

	poke(mm, addr, 44);
	assert_int_equal(gw_mapping_sync(mv->file), 0);
	gw_u32_store_relaxed(&file->store->writes, 0);
	poke(mm, addr, 45);
	gw_u32_and_relaxed(&gw_page(mv->m, page_of(mm, addr))->flags, ~GW_PG_DIRTY);
	assert_int_equal(try_isolate(mv, page_of(mm, addr), GW_MIGRATE_ASYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 1);
	assert_int_equal(mv->why, -EBUSY);
	assert_int_equal(gw_u32_load_relaxed(&file->store->writes), 0);
	put_back(mv);
	assert_int_equal(peek(mm, addr), 45);
	move(mv, page_of(mm, addr));
	assert_int_equal(file->store->bytes[SEVEN][0], 45);
	assert_int_equal(peek(mm, addr), 45);
	gw_mm_put(mm);
	close_file(file);
}

/* What cannot be written stays, dirty, and the store's word is the reason. */
static void
fallback_reports_the_stores_error(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, without_migrate(), 0);
	gw_pfn_t page;

	fill_page(mv->file, SEVEN, 3);
	page = cached_page(mv);
	file->store->bad_write = SEVEN;
	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 1);
	assert_int_equal(mv->why, -EIO);
	put_back(mv);
	assert_in_cache(mv, page);
	assert_true(flags(mv, page) & GW_PG_DIRTY);
	file->store->bad_write = UINT64_MAX;
	close_file(file);
}

/* A callback's error is the reason, too: final, with nothing changed. */
static int
refuse(struct gw_mapping *mapping, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)mapping;
	(void)dst;
	(void)src;
	(void)mode;
	return -EROFS;
}

static void
callback_refuses(void **state)
{
	struct mover *mv = *state;
	struct gw_backing_ops ops = store_ops;
	struct file *file;
	gw_pfn_t page;

	ops.migrate = refuse;
	file = file_of(mv, ops, 0);
	page = cached_page(mv);
	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 1);
	assert_int_equal(mv->why, -EROFS);
	assert_int_equal(mv->puts, 1);
	assert_true(mv->clean_at_put); /* A6 */
	put_back(mv);
	assert_in_cache(mv, page);
	close_file(file);
}

/* ---- waiting ---- */

static gw_atomic_u32 under_writeback;

static void
try_while_writing(struct store *store, uint64_t index)
{
	struct mover *mv = store->arg;
	struct gw_task task;

	(void)index;
	assert_int_equal(gw_task_attach(&task, mv->m, 1), 0);
	assert_true(flags(mv, mv->page) & GW_PG_WRITEBACK);
	assert_int_equal(try_isolate(mv, mv->page, GW_MIGRATE_ASYNC), -EBUSY);
	assert_int_equal(try_isolate(mv, mv->page, GW_MIGRATE_SYNC_LIGHT), -EBUSY);
	for (unsigned mode = GW_MIGRATE_ASYNC; mode < GW_MIGRATE_SYNC; mode++) {
		assert_int_equal(try_isolate(mv, mv->page, GW_MIGRATE_SYNC), 0);
		assert_int_equal(migrate(mv, (enum gw_migrate_mode)mode), 1);
		assert_int_equal(mv->why, -EBUSY);
		put_back(mv);
	}
	gw_task_detach(&task);
	mv->seen++;
}

/* FACTS 1.6, 2.1: a page under writeback is isolated for SYNC only, and only SYNC moves it. */
static void
writeback_is_not_waited_for_in_other_modes(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);

	fill_page(mv->file, SEVEN, 3);
	mv->page = cached_page(mv);
	file->store->on_write = try_while_writing;
	file->store->arg = mv;
	assert_int_equal(gw_mapping_sync(mv->file), 0);
	assert_int_equal(mv->seen, 1);
	close_file(file);
}

static void
write_slowly(struct store *store, uint64_t index)
{
	const struct timespec time = {.tv_nsec = 30000000};

	(void)store;
	(void)index;
	gw_u32_store_release(&under_writeback, 1);
	nanosleep(&time, NULL);
	gw_u32_store_release(&under_writeback, 2);
}

static void *
sync_file(void *arg)
{
	struct mover *mv = arg;
	struct gw_task task;
	int err = gw_task_attach(&task, mv->m, 1);

	if (!err)
		err = gw_mapping_sync(mv->file);
	gw_task_detach(&task);
	return err ? arg : NULL;
}

static void
assert_written(struct mover *mv)
{
	assert_int_equal(gw_u32_load_acquire(&under_writeback), 2);
	assert_false(flags(mv, mv->page) & GW_PG_WRITEBACK);
	mv->seen++;
}

/* ... by waiting until it has been written. */
static void
sync_waits_for_writeback(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	pthread_t thread;
	void *failed;

	fill_page(mv->file, SEVEN, 3);
	mv->page = cached_page(mv);
	mv->at_copy = assert_written;
	file->store->on_write = write_slowly;
	gw_u32_store_relaxed(&under_writeback, 0);
	assert_int_equal(try_isolate(mv, mv->page, GW_MIGRATE_SYNC), 0);
	assert_int_equal(pthread_create(&thread, NULL, sync_file, mv), 0);
	while (!gw_u32_load_acquire(&under_writeback))
		gw_relax();
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 0);
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_int_equal(mv->seen, 1);
	mv->at_copy = NULL;
	assert_page(mv->file, SEVEN, 3);
	close_file(file);
}

/* FACTS 1.6: SYNC_LIGHT does not wait for a page that is being read in. */
static void
sync_light_does_not_wait_for_reads(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct gw_task reader;

	mv->page = cached_page(mv);
	assert_int_equal(try_isolate(mv, mv->page, GW_MIGRATE_SYNC), 0);
	assert_int_equal(gw_task_attach(&reader, mv->m, 1), 0);
	gw_page_lock(mv->m, mv->page);
	gw_u32_and_relaxed(&gw_page(mv->m, mv->page)->flags, ~GW_PG_UPTODATE);
	gw_task_detach(&reader);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC_LIGHT), 1);
	assert_int_equal(mv->why, -EAGAIN);
	gw_u32_or_relaxed(&gw_page(mv->m, mv->page)->flags, GW_PG_UPTODATE);
	gw_u32_and_relaxed(&gw_page(mv->m, mv->page)->flags, ~GW_PG_LOCKED);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC_LIGHT), 0);
	close_file(file);
}

/* ---- want of memory ---- */

/* What a program does with a file, and a migration of what it has so far; any step may fail. */
static void
use_file(struct mover *mv, struct gw_mapping *mapping)
{
	struct gw_mm *mm = NULL, *child = NULL;
	gw_vaddr_t addr;

	if (gw_mm_create(mv->m, &mm))
		return;
	if (!gw_mmap_file(mm, 0, STORE_PAGES * PAGE, READWRITE, 0, mapping, 0, &addr)) {
		for (unsigned i = 0; i < 4; i++) {
			uint64_t value = 0;

			if (gw_cpu_load(mm, addr + i * PAGE, &value) == 0)
				assert_int_equal((uint8_t)value, pattern(i, 0));
		}
		if (gw_cpu_store(mm, addr, 5) == 0)
			assert_int_equal(peek(mm, addr), 5); /* a private copy */
		if (gw_mm_fork(mm, &child) == 0)
			gw_mm_put(child);
	}
	gw_lru_add_drain_all(mv->m);
	for (gw_pfn_t pfn = 0; pfn < mv->m->n_frames; pfn++)
		(void)!gw_isolate_page(mv->m, pfn, GW_MIGRATE_SYNC, &mv->list);
	if (migrate(mv, GW_MIGRATE_SYNC))
		put_back(mv);
	gw_mm_put(mm);
}

/* I5: whichever request for memory fails, no byte is lost and nothing leaks. */
static void
each_allocation_may_fail(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	uint64_t n = 1, made;

	do {
		(void)gw_soft_fail_alloc(mv->s->soft, n++);
		use_file(mv, mv->file);
		made = gw_soft_fail_alloc(mv->s->soft, 0);
		for (mv->index = 0; mv->index < 4; mv->index++)
			assert_pattern(mv);
		assert_int_equal(gw_mapping_truncate(mv->file, 0), 0);
		assert_int_equal(gw_mapping_truncate(mv->file, STORE_PAGES), 0);
		for (unsigned i = 0; i < 4; i++)
			for (size_t b = 0; b < PAGE; b++)
				file->store->bytes[i][b] = pattern(i, b);
	} while (made >= n - 1);
	assert_true(n > 4);
	close_file(file);
}

#define T(f) cmocka_unit_test_setup_teardown(f, mover_setup, mover_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(cached_page_moves),
		T(mapped_page_moves),
		T(walks_lock_the_file),
		T(dirty_page_moves),
		T(mlocked_page_moves),
		T(charge_moves),
		T(lookup_during_the_copy_finds_the_new_page),
		T(lookup_before_the_freeze_wins),
		T(dirty_pages_without_callback_are_isolated_for_sync),
		T(unmovable_file_stays),
		T(evacuation_passes_unmovable_files_by),
		T(compaction_moves_file_pages),
		T(fallback_moves_clean_pages),
		T(fallback_writes_dirty_pages_in_sync_only),
		T(fallback_sees_dirty_entries),
		T(fallback_reports_the_stores_error),
		T(callback_refuses),
		T(writeback_is_not_waited_for_in_other_modes),
		T(sync_waits_for_writeback),
		T(sync_light_does_not_wait_for_reads),
		T(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
