/* SPDX-License-Identifier: MIT */
/*
 * archive.c - read a snapshot from a tar archive, compressed or not.
 *
 * Idea. libarchive decompresses block by block; the two large members go into the builder
 * straight from its buffers, the small ones are collected whole. Members may stand in any
 * order, in any directory, among any others.
 *
 * Invariants
 *   A1  sizes in headers are never believed, only compared with what was read
 *   A2  no outside program is run: only compressions that libarchive does itself
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder.h"

#define READ_BLOCK ((size_t)256 << 10)

/* libarchive numbers errors by errno where there is one, else by numbers of its own. */
static int
archive_failed(struct archive *a, const char *member, struct gw_error *err)
{
	const char *text = archive_error_string(a);
	int code = archive_errno(a);

	if (code != ENOMEM && code != EIO && code != EISDIR)
		code = EINVAL;
	return gw_observe_fail(err, -code, "%s: %s", member, text ? text : "cannot be read");
}

/*
 * The next piece of the current member: 1 and filled, 0 at its end, or a negative errno. `at`
 * is how much was read before; a member with gaps (a sparse file) would have to be filled
 * with zeros of any claimed length, so it is refused.
 */
static int
next_piece(struct archive *a, const char *member, uint64_t at, const void **data, size_t *len,
	struct gw_error *err)
{
	int64_t offset = 0;
	int ret = archive_read_data_block(a, data, len, &offset);

	if (ret == ARCHIVE_EOF)
		return 0;
	if (ret < ARCHIVE_WARN)
		return archive_failed(a, member, err);
	if (offset < 0 || (uint64_t)offset != at)
		return gw_observe_fail(err, -EINVAL, "%s: is stored as a sparse file", member);
	return 1;
}

static int
read_words(struct archive *a, struct gw_builder *b, enum gw_words which, struct gw_error *err)
{
	uint64_t at = 0;
	const void *data;
	size_t len;
	int ret = gw_builder_words_begin(b, which, err);

	while (ret == 0) {
		ret = next_piece(a, gw_words_names[which], at, &data, &len, err);
		if (ret <= 0)
			return ret;
		ret = gw_builder_words(b, which, data, len, err);
		at += len;
	}
	return ret;
}

static int
read_text(struct archive *a, struct gw_builder *b, enum gw_text which, struct gw_error *err)
{
	char *text = malloc(READ_BLOCK), *grown;
	size_t len = 0, capacity = READ_BLOCK, piece;
	const void *data;
	int ret = text ? 1 : -ENOMEM;

	while (ret > 0) {
		ret = next_piece(a, gw_text_names[which], len, &data, &piece, err);
		if (ret <= 0)
			break;
		if (piece > GW_TEXT_MAX - len) {
			ret = gw_observe_fail(err, -EINVAL, "%s: is longer than %zu bytes",
				gw_text_names[which], GW_TEXT_MAX);
			break;
		}
		if (piece > capacity - len) {
			capacity = 2 * (len + piece);
			grown = realloc(text, capacity);
			if (!grown) {
				ret = -ENOMEM;
				break;
			}
			text = grown;
		}
		memcpy(text + len, data, piece);
		len += piece;
	}
	if (ret == -ENOMEM && err)
		(void)gw_observe_fail(err, ret, "%s: out of memory", gw_text_names[which]);
	if (ret < 0) {
		free(text);
		return ret;
	}
	return gw_builder_text(b, which, text, len, err);
}

/* A member is known by its last component: "./kpageflags", "host/kpageflags". */
static int
read_member(
	struct archive *a, struct archive_entry *entry, struct gw_builder *b, struct gw_error *err)
{
	const char *path = archive_entry_pathname(entry);
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;

	if (!name || archive_entry_filetype(entry) != AE_IFREG)
		return 0;
	for (unsigned i = 0; i < GW_WORDS_NR; i++) {
		if (strcmp(name, gw_words_names[i]) == 0)
			return read_words(a, b, (enum gw_words)i, err);
	}
	for (unsigned i = 0; i < GW_TEXT_NR; i++) {
		if (strcmp(name, gw_text_names[i]) == 0)
			return read_text(a, b, (enum gw_text)i, err);
	}
	return 0;
}

/* It cannot be opened, or there is no header where one should be. */
static int
not_an_archive(struct archive *a, struct gw_error *err)
{
	if (archive_errno(a) == EIO || archive_errno(a) == ENOMEM || archive_file_count(a) > 0)
		return archive_failed(a, "archive", err);
	if (archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE)
		return gw_observe_fail(
			err, -EINVAL, "archive: is no tar archive, plain or with zstd or gzip");
	return archive_failed(a, "archive", err);
}

static int
read_members(struct archive *a, struct gw_builder *b, struct gw_error *err)
{
	struct archive_entry *entry;
	int ret;

	for (;;) {
		ret = archive_read_next_header(a, &entry);
		if (ret == ARCHIVE_EOF)
			return 0;
		if (ret < ARCHIVE_WARN)
			return not_an_archive(a, err);
		ret = read_member(a, entry, b, err);
		if (ret != 0)
			return ret;
	}
}

static struct archive *
new_reader(void)
{
	struct archive *a = archive_read_new();

	if (!a)
		return NULL;
	/* A2; a filter that this libarchive lacks shows when a file needs it. */
	(void)archive_read_support_filter_zstd(a);
	(void)archive_read_support_filter_gzip(a);
	if (archive_read_support_format_tar(a) == ARCHIVE_OK)
		return a;
	(void)archive_read_free(a);
	return NULL;
}

/* Read all of `a`, which is open, into `out`. */
static int
load(struct archive *a, const char *name, struct gw_snapshot *out, struct gw_error *err)
{
	struct gw_builder b;
	int ret;

	gw_builder_init(&b);
	ret = read_members(a, &b, err);
	if (ret == 0)
		ret = gw_builder_finish(&b, out, err);
	gw_builder_destroy(&b);
	if (ret == 0)
		(void)snprintf(out->source, sizeof(out->source), "%s", name);
	return ret;
}

int
gw_snapshot_load_memory(const char *name, const void *data, size_t len, struct gw_snapshot *out,
	struct gw_error *err)
{
	struct archive *a = new_reader();
	int ret;

	if (!a) {
		ret = gw_observe_fail(err, -ENOMEM, "out of memory");
	} else if (archive_read_open_memory(a, data, len) != ARCHIVE_OK) {
		ret = not_an_archive(a, err);
	} else {
		ret = load(a, name, out, err);
	}
	if (ret != 0)
		gw_observe_prefix(err, name);
	(void)archive_read_free(a);
	return ret;
}

static int
load_fd(int fd, const char *name, struct gw_snapshot *out, struct gw_error *err)
{
	struct archive *a = new_reader();
	int ret;

	if (!a)
		return gw_observe_fail(err, -ENOMEM, "out of memory");
	if (archive_read_open_fd(a, fd, READ_BLOCK) != ARCHIVE_OK)
		ret = not_an_archive(a, err);
	else
		ret = load(a, name, out, err);
	(void)archive_read_free(a);
	return ret;
}

static bool
is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int
gw_snapshot_load(const char *path, struct gw_snapshot *out, struct gw_error *err)
{
	bool standard_input = strcmp(path, "-") == 0;
	const char *name = standard_input ? "standard input" : path;
	int fd, ret;

	fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		int code = errno;

		return gw_observe_fail(err, -code, "%.200s: %s", path, strerror(code));
	}
	if (is_directory(fd))
		ret = gw_observe_fail(err, -EISDIR, "%s", strerror(EISDIR));
	else
		ret = load_fd(fd, name, out, err);
	if (ret != 0)
		gw_observe_prefix(err, name);
	if (!standard_input)
		(void)close(fd);
	return ret;
}
