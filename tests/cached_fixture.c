/* SPDX-License-Identifier: MIT */
/* cached_fixture.c - see cached_fixture.h. */
#include "test.h"

#include "cached_fixture.h"

struct gw_backing_ops
without_migrate(void)
{
	struct gw_backing_ops ops = store_ops;

	ops.migrate = NULL;
	return ops;
}

struct file *
file_of(struct mover *mv, struct gw_backing_ops ops, unsigned flags)
{
	struct file *file = calloc(1, sizeof(*file));

	assert_non_null(file);
	file->ops = ops;
	file->store = store_create();
	assert_int_equal(gw_mapping_create(mv->m, &file->ops, file->store, STORE_PAGES, flags,
				 &file->mapping),
		0);
	mv->file = file->mapping;
	mv->index = SEVEN;
	return file;
}

void
close_file(struct file *file)
{
	file_put(file->mapping);
	store_destroy(file->store);
	free(file);
}

gw_pfn_t
cached_page(struct mover *mv)
{
	uint8_t byte;
	gw_pfn_t page;

	assert_int_equal(gw_mapping_read(mv->file, mv->index * PAGE, &byte, 1), 0);
	gw_lru_add_drain_all(mv->m);
	page = gw_mapping_find(mv->file, mv->index);
	gw_put_page(mv->m, page);
	return page;
}

void
assert_in_cache(struct mover *mv, gw_pfn_t page)
{
	const struct gw_page *frame = gw_page(mv->m, page);

	assert_int_equal(cached_page(mv), page);
	assert_ptr_equal(gw_ptr_load_relaxed(&frame->owner), mv->file);
	assert_int_equal(gw_frame_index(frame), mv->index);
	assert_true(flags(mv, page) & GW_PG_UPTODATE);
	assert_true(flags(mv, page) & GW_PG_LRU);
	assert_false(flags(mv, page) & (GW_PG_LOCKED | GW_PG_ISOLATED));
	assert_int_equal(gw_mapping_cached(mv->file), 1);
}
