/* SPDX-License-Identifier: MIT */
/*
 * backing.c - stores for files and swap: in memory, and in a real file.
 *
 * Idea. A store is a device: while it reads the bytes of a page, CPUs may write to them through
 * their mappings. It takes them in words (engine/sync/bytes.h), and what it got half old, half new
 * is written again later, because the page is dirty again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/sync/bytes.h"
#include "machine/soft/soft_internal.h"

/* ---- in memory ---- */

struct ram_store {
	uint8_t *bytes; /* filled in by the host as it is touched */
	uint64_t pages;
};

int
gw_soft_ram_backing(uint64_t pages, void **ctx)
{
	struct ram_store *store;

	if (pages > SIZE_MAX >> GW_PAGE_SHIFT)
		return -ENOMEM;
	store = gw_bare_ops.alloc(NULL, sizeof(*store));
	if (!store)
		return -ENOMEM;
	store->pages = pages;
	store->bytes = mmap(NULL, (size_t)(pages ? pages : 1) << GW_PAGE_SHIFT,
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (store->bytes == MAP_FAILED) {
		gw_bare_ops.release(NULL, store, sizeof(*store));
		return -ENOMEM;
	}
	*ctx = store;
	return 0;
}

static int
ram_read(void *ctx, uint64_t index, void *bytes)
{
	const struct ram_store *store = ctx;

	if (index >= store->pages)
		return -EIO;
	memcpy(bytes, store->bytes + (index << GW_PAGE_SHIFT), GW_PAGE_SIZE);
	return 0;
}

static int
ram_write(void *ctx, uint64_t index, const void *bytes)
{
	const struct ram_store *store = ctx;

	if (index >= store->pages)
		return -EIO;
	gw_bytes_load(store->bytes + (index << GW_PAGE_SHIFT), bytes, GW_PAGE_SIZE);
	return 0;
}

static void
ram_truncate(void *ctx, uint64_t pages)
{
	const struct ram_store *store = ctx;

	if (pages < store->pages) /* zeroes again */
		(void)madvise(store->bytes + (pages << GW_PAGE_SHIFT),
			(size_t)(store->pages - pages) << GW_PAGE_SHIFT, MADV_DONTNEED);
}

static void
ram_release(void *ctx)
{
	struct ram_store *store = ctx;

	munmap(store->bytes, (size_t)(store->pages ? store->pages : 1) << GW_PAGE_SHIFT);
	gw_bare_ops.release(NULL, store, sizeof(*store));
}

const struct gw_backing_ops gw_soft_ram_ops = {
	.read = ram_read,
	.write = ram_write,
	.truncate = ram_truncate,
	.release = ram_release,
	.migrate = gw_mapping_migrate,
};

/* ---- in a file ---- */

struct file_store {
	int fd;
};

int
gw_soft_file_backing(const char *path, void **ctx)
{
	struct file_store *store = gw_bare_ops.alloc(NULL, sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	store->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (store->fd < 0) {
		err = -errno;
		gw_bare_ops.release(NULL, store, sizeof(*store));
		return err;
	}
	*ctx = store;
	return 0;
}

static int
file_read(void *ctx, uint64_t index, void *bytes)
{
	const struct file_store *store = ctx;
	uint8_t *to = bytes;
	size_t done = 0;

	while (done < GW_PAGE_SIZE) {
		ssize_t n = pread(store->fd, to + done, GW_PAGE_SIZE - done,
			(off_t)((index << GW_PAGE_SHIFT) + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break; /* nothing was written there */
		if (n > 0)
			done += (size_t)n;
	}
	memset(to + done, 0, GW_PAGE_SIZE - done);
	return 0;
}

static int
file_write(void *ctx, uint64_t index, const void *bytes)
{
	const struct file_store *store = ctx;
	_Alignas(uint64_t) uint8_t copy[GW_PAGE_SIZE];
	size_t done = 0;

	gw_bytes_load(copy, bytes, GW_PAGE_SIZE);
	while (done < GW_PAGE_SIZE) {
		ssize_t n = pwrite(store->fd, copy + done, GW_PAGE_SIZE - done,
			(off_t)((index << GW_PAGE_SHIFT) + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static void
file_truncate(void *ctx, uint64_t pages)
{
	const struct file_store *store = ctx;
	off_t size = (off_t)(pages << GW_PAGE_SHIFT);
	struct stat st;

	if (fstat(store->fd, &st) || st.st_size <= size)
		return;
	while (ftruncate(store->fd, size) && errno == EINTR)
		;
}

static void
file_release(void *ctx)
{
	struct file_store *store = ctx;

	(void)close(store->fd);
	gw_bare_ops.release(NULL, store, sizeof(*store));
}

const struct gw_backing_ops gw_soft_file_ops = {
	.read = file_read,
	.write = file_write,
	.truncate = file_truncate,
	.release = file_release,
	.migrate = gw_mapping_migrate,
};
