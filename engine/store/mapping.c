/* SPDX-License-Identifier: MIT */
/*
 * mapping.c - files: their pages, and reading and writing through them.
 *
 * Idea. A page is put into the cache locked and empty, and read from the store by whoever put it
 * there; others find it and wait for its lock. Nothing that was looked up is believed before its
 * page lock is held: it may have left the cache, by truncation, reclaim or migration.
 *
 * Invariants
 *   F4  under the page lock, a page whose owner word names the mapping, whose index is the wanted
 *       one and below the size, is the mapping's page at that index, and stays it
 *   F5  no page stays in the cache beyond the size: it shrinks before truncation looks for pages,
 * and who puts one in looks at the size afterwards; the cache's lock is between the two F6  a page
 * of a cache that is unlocked is up to date, or its read has failed and it has left
 */
#include <string.h>

#include "engine/store/mapping_internal.h"
#include "engine/virt/policy.h"
#include "engine/sync/bytes.h"

int
gw_mapping_create(struct gw_machine *m, const struct gw_backing_ops *ops, void *ctx, uint64_t pages,
	unsigned flags, struct gw_mapping **out)
{
	struct gw_mapping *mapping;

	if (pages > GW_MAPPING_PAGES_MAX || flags & ~(unsigned)GW_MAPPING_UNMOVABLE)
		return -EINVAL;
	mapping = m->ops->alloc(m->ctx, sizeof(*mapping));
	if (!mapping)
		return -ENOMEM;
	mapping->machine = m;
	mapping->ops = ops;
	mapping->ctx = ctx;
	mapping->flags = flags;
	gw_ref_set(&mapping->refs, 1);
	gw_u64_store_relaxed(&mapping->pages, pages);
	gw_mutex_init(&mapping->size_lock, GW_RANK_SIZE);
	gw_spin_init(&mapping->cache.lock, GW_RANK_TREE);
	gw_rw_init(&mapping->rmap_lock, GW_RANK_RMAP);
	*out = mapping;
	return 0;
}

void
gw_mapping_get(struct gw_mapping *mapping)
{
	gw_ref_get(&mapping->refs);
}

static void
free_mapping(gw_rcu_head *head)
{
	struct gw_mapping *mapping =
		(struct gw_mapping *)((char *)head - offsetof(struct gw_mapping, rcu));
	struct gw_machine *m = mapping->machine;

	m->ops->release(m->ctx, mapping, sizeof(*mapping));
}

void
gw_mapping_put(struct gw_mapping *mapping)
{
	int err;

	if (!gw_ref_put(&mapping->refs))
		return;
	err = gw_mapping_sync(mapping);
	(void)err; /* nobody is left to be told: what the store refuses is lost */
	gw_mapping_drop_pages(mapping, 0);
	if (mapping->ops->release)
		mapping->ops->release(mapping->ctx);
	gw_rcu_defer(&mapping->rcu, free_mapping);
}

uint64_t
gw_mapping_pages(const struct gw_mapping *mapping)
{
	return gw_u64_load_acquire(&mapping->pages);
}

uint64_t
gw_mapping_cached(const struct gw_mapping *mapping)
{
	return gw_u64_load_relaxed(&mapping->cache.n_pages);
}

gw_pfn_t
gw_mapping_find(struct gw_mapping *mapping, uint64_t index)
{
	return gw_cache_find(mapping->machine, &mapping->cache, index);
}

/* ---- pages ---- */

static void
set_flag(struct gw_machine *m, gw_pfn_t page, uint32_t flag)
{
	gw_u32_or_relaxed(&gw_page(m, page)->flags, flag);
}

bool
gw_mapping_has_page(const struct gw_mapping *mapping, gw_pfn_t page, uint64_t index)
{
	const struct gw_machine *m = mapping->machine;

	return gw_page_mapping(m, page) == mapping && gw_frame_index(gw_page(m, page)) == index;
}

void
gw_mapping_remove_page(struct gw_mapping *mapping, gw_pfn_t page)
{
	struct gw_machine *m = mapping->machine;

	gw_cache_remove(m, &mapping->cache, gw_frame_index(gw_page(m, page)), page);
	gw_ptr_store_release(&gw_page(m, page)->owner, NULL);
	gw_put_page(m, page);
}

/* A fresh page, locked, charged, its owner word set: not in the cache yet. */
static int
new_page(struct gw_mapping *mapping, uint64_t index, const struct gw_page_source *source,
	gw_pfn_t *out)
{
	struct gw_machine *m = mapping->machine;
	bool movable = !(mapping->flags & GW_MAPPING_UNMOVABLE);
	int err = gw_alloc_source(m, movable ? GW_GFP_USER_MOVABLE : GW_GFP_KERNEL, source, 0, out);

	if (err)
		return err;
	gw_page_lock(m, *out);
	gw_frame_set_index(gw_page(m, *out), (uint32_t)index);
	gw_ptr_store_release(&gw_page(m, *out)->owner, mapping);
	return 0;
}

/* Put a new page into the cache. 0, -EEXIST (another was faster), or an error. */
static int
add_page(struct gw_mapping *mapping, uint64_t index, const struct gw_page_source *source,
	gw_pfn_t *out)
{
	struct gw_machine *m = mapping->machine;
	gw_pfn_t page;
	int err;

	err = new_page(mapping, index, source, &page);
	if (err)
		return err;
	err = gw_cache_add(m, &mapping->cache, index, page);
	if (err) {
		gw_ptr_store_release(&gw_page(m, page)->owner, NULL);
		gw_page_unlock_and_put(m, page);
		return err;
	}
	if (index >= gw_mapping_pages(mapping)) { /* F5 */
		gw_mapping_remove_page(mapping, page);
		gw_page_unlock_and_put(m, page);
		return -EFAULT;
	}
	gw_lru_add(m, page, GW_LRU_INACTIVE_FILE);
	*out = page;
	return 0;
}

/* Lock what was found, whose reference is the caller's: 0; -EAGAIN (it was moved or removed) or
 * -EINTR, and the reference is gone. */
static int
lock_found(struct gw_mapping *mapping, uint64_t index, gw_pfn_t page)
{
	struct gw_machine *m = mapping->machine;
	int err = gw_page_lock_killable(m, page);

	if (err) {
		gw_put_page(m, page);
		return err;
	}
	if (gw_mapping_has_page(mapping, page, index) && index < gw_mapping_pages(mapping)) /* F4 */
		return 0;
	gw_page_unlock_and_put(m, page);
	return -EAGAIN;
}

/* Find or make the page, locked; it may not be up to date if it was made here. */
static int
get_locked(struct gw_mapping *mapping, uint64_t index, const struct gw_page_source *source,
	gw_pfn_t *out)
{
	int err;

	do {
		if (index >= gw_mapping_pages(mapping))
			return -EFAULT;
		*out = gw_mapping_find(mapping, index);
		if (*out != GW_PFN_NONE)
			err = lock_found(mapping, index, *out);
		else
			err = add_page(mapping, index, source, out);
	} while (err == -EAGAIN || err == -EEXIST);
	return err;
}

static int
read_page(struct gw_mapping *mapping, uint64_t index, gw_pfn_t page)
{
	struct gw_machine *m = mapping->machine;
	void *bytes = m->ops->frame_address(m->ctx, page);
	int err = bytes ? mapping->ops->read(mapping->ctx, index, bytes) : 0;

	if (!err)
		set_flag(m, page, GW_PG_UPTODATE);
	return err;
}

/* *read: it was not there. */
static int
get_page(struct gw_mapping *mapping, uint64_t index, const struct gw_page_source *source,
	bool *read, gw_pfn_t *out)
{
	struct gw_machine *m = mapping->machine;
	gw_pfn_t page;
	int err;

	err = get_locked(mapping, index, source, &page);
	if (err)
		return err;
	*read = !(gw_page_flags(gw_page(m, page)) & GW_PG_UPTODATE);
	if (*read)
		err = read_page(mapping, index, page);
	if (err) {
		gw_mapping_remove_page(mapping, page); /* F6 */
		gw_page_unlock_and_put(m, page);
		return err;
	}
	*out = page;
	return 0;
}

int
gw_mapping_get_page(struct gw_mapping *mapping, uint64_t index, const struct gw_page_source *source,
	gw_pfn_t *out)
{
	bool read;

	return get_page(mapping, index, source, &read, out);
}

int
gw_mapping_fault_page(struct gw_mapping *mapping, uint64_t index,
	const struct gw_page_source *source, gw_pfn_t *out)
{
	bool read = false;
	int err = get_page(mapping, index, source, &read, out);

	if (!err && read)
		gw_count(mapping->machine, GW_VM_PGMAJFAULT, 1);
	return err;
}

/* ---- reading and writing ---- */

/* The part of a read or write that lies in one page. */
struct part {
	uint64_t index;
	size_t start, len;
	size_t done; /* bytes before this part */
};

union buffer {
	void *to;	  /* of a read */
	const void *from; /* of a write */
};

static struct part
part_of(uint64_t offset, size_t len, size_t done)
{
	return (struct part){
		.index = (offset + done) >> GW_PAGE_SHIFT,
		.start = (size_t)(offset + done) & (GW_PAGE_SIZE - 1),
		.len = gw_bytes_in_page(offset + done, len - done),
		.done = done,
	};
}

static bool
in_file(const struct gw_mapping *mapping, uint64_t offset, size_t len)
{
	uint64_t bytes = gw_mapping_pages(mapping) << GW_PAGE_SHIFT;

	return offset <= bytes && len <= bytes - offset;
}

static int
read_part(struct gw_mapping *mapping, struct part part, union buffer buf)
{
	const struct gw_page_source source = gw_task_source(part.index);
	struct gw_machine *m = mapping->machine;
	uint8_t *to = (uint8_t *)buf.to + part.done;
	const uint8_t *bytes;
	gw_pfn_t page;
	int err;

	err = gw_mapping_get_page(mapping, part.index, &source, &page);
	if (err)
		return err;
	gw_page_mark_accessed(m, page);
	bytes = m->ops->frame_address(m->ctx, page);
	if (bytes)
		gw_bytes_load(to, bytes + part.start, part.len);
	else
		memset(to, 0, part.len);
	gw_page_unlock_and_put(m, page);
	return 0;
}

static int
write_part(struct gw_mapping *mapping, struct part part, union buffer buf)
{
	const struct gw_page_source source = gw_task_source(part.index);
	struct gw_machine *m = mapping->machine;
	gw_pfn_t page;
	uint8_t *bytes;
	int err;

	if (part.len == GW_PAGE_SIZE) /* what the store has of it does not matter */
		err = get_locked(mapping, part.index, &source, &page);
	else
		err = gw_mapping_get_page(mapping, part.index, &source, &page);
	if (err)
		return err;
	gw_page_wait_writeback(m, page); /* the store gets no page half old, half new */
	bytes = m->ops->frame_address(m->ctx, page);
	if (bytes)
		gw_bytes_store(bytes + part.start, (const uint8_t *)buf.from + part.done, part.len);
	set_flag(m, page, GW_PG_UPTODATE);
	gw_page_mark_accessed(m, page);
	gw_page_set_dirty(m, page);
	gw_page_unlock_and_put(m, page);
	return 0;
}

static int
each_part(struct gw_mapping *mapping, uint64_t offset, size_t len, union buffer buf,
	int (*do_part)(struct gw_mapping *mapping, struct part part, union buffer buf))
{
	if (!in_file(mapping, offset, len))
		return -EINVAL;
	for (size_t done = 0; done < len;) {
		struct part part = part_of(offset, len, done);
		int err = do_part(mapping, part, buf);

		if (err)
			return err == -EFAULT ? -EINVAL : err; /* truncated meanwhile */
		done += part.len;
	}
	return 0;
}

int
gw_mapping_read(struct gw_mapping *mapping, uint64_t offset, void *buf, size_t len)
{
	return each_part(mapping, offset, len, (union buffer){.to = buf}, read_part);
}

int
gw_mapping_write(struct gw_mapping *mapping, uint64_t offset, const void *buf, size_t len)
{
	return each_part(mapping, offset, len, (union buffer){.from = buf}, write_part);
}
