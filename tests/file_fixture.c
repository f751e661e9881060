/* SPDX-License-Identifier: MIT */
/* file_fixture.c - see file_fixture.h. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "engine/sync/bytes.h"
#include "file_fixture.h"

uint8_t
pattern(uint64_t index, size_t byte)
{
	return (uint8_t)(index * 37 + byte % 251 + 1);
}

static int
store_read(void *ctx, uint64_t index, void *bytes)
{
	struct store *store = ctx;

	gw_u32_add_relaxed(&store->reads, 1);
	if (index >= STORE_PAGES || index == store->bad_read)
		return -EIO;
	memcpy(bytes, store->bytes[index], PAGE);
	return 0;
}

static int
store_write(void *ctx, uint64_t index, const void *bytes)
{
	struct store *store = ctx;

	gw_u32_add_relaxed(&store->writes, 1);
	if (index >= STORE_PAGES || index == store->bad_write)
		return -EIO;
	gw_bytes_load(store->bytes[index], bytes, PAGE);
	if (store->on_write)
		store->on_write(store, index);
	return 0;
}

static void
store_truncate(void *ctx, uint64_t pages)
{
	struct store *store = ctx;

	store->end = pages;
	for (uint64_t i = pages; i < STORE_PAGES; i++)
		memset(store->bytes[i], 0, PAGE);
}

static void
store_release(void *ctx)
{
	struct store *store = ctx;

	store->released = true;
}

const struct gw_backing_ops store_ops = {
	.read = store_read,
	.write = store_write,
	.truncate = store_truncate,
	.release = store_release,
	.migrate = gw_mapping_migrate,
};

struct store *
store_create(void)
{
	struct store *store = calloc(1, sizeof(*store));

	assert_non_null(store);
	store->bad_read = store->bad_write = store->end = UINT64_MAX;
	for (uint64_t i = 0; i < STORE_PAGES; i++)
		for (size_t b = 0; b < PAGE; b++)
			store->bytes[i][b] = pattern(i, b);
	return store;
}

void
store_destroy(struct store *store)
{
	assert_true(store->released);
	free(store);
}

struct gw_mapping *
file_on(struct spaces *s, struct store *store)
{
	struct gw_mapping *file = NULL;

	assert_int_equal(gw_mapping_create(s->m, &store_ops, store, STORE_PAGES, 0, &file), 0);
	return file;
}

void
file_put(struct gw_mapping *file)
{
	gw_mapping_put(file);
	gw_rcu_barrier();
}

uint32_t
cached_flags(struct gw_mapping *file, uint64_t index)
{
	struct gw_machine *m = file->machine;
	gw_pfn_t page = gw_mapping_find(file, index);
	uint32_t flags;

	assert_int_not_equal(page, GW_PFN_NONE);
	flags = gw_page_flags(gw_page(m, page));
	gw_put_page(m, page);
	return flags;
}

void
assert_page(struct gw_mapping *file, uint64_t index, uint8_t value)
{
	uint8_t is[PAGE], want[PAGE];

	memset(want, value, PAGE);
	assert_int_equal(gw_mapping_read(file, index * PAGE, is, PAGE), 0);
	assert_memory_equal(is, want, PAGE);
}

void
fill_page(struct gw_mapping *file, uint64_t index, uint8_t value)
{
	uint8_t bytes[PAGE];

	memset(bytes, value, PAGE);
	assert_int_equal(gw_mapping_write(file, index * PAGE, bytes, PAGE), 0);
}
