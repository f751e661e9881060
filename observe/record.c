/* SPDX-License-Identifier: MIT */
/*
 * record.c - write this host's memory map as one archive of raw kernel files.
 *
 * Idea. The large files are read into memory first and back to back, and only then
 * compressed: compressing takes longer than reading and would disturb the picture. They
 * take 16 bytes a frame, 0.4 % of the host's memory, while this runs.
 *
 * Invariants
 *   R1  `path` either is what it was, or is the complete archive, on the disk
 *   R2  no temporary file is left behind by a run that returns
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "builder.h"

#define PIECE ((size_t)1 << 20)

/* All the texts of an archive, also those that only people and other tools read. */
static const char *const text_members[] = {
	"zoneinfo",
	"buddyinfo",
	"pagetypeinfo",
	"vmstat",
	"meminfo",
	"iomem",
	"sysctl",
	"extfrag_index",
	"unusable_index",
	"uname",
};

#define N_TEXTS (sizeof(text_members) / sizeof(text_members[0]))

struct bytes {
	char *data;
	size_t len, capacity;
};

struct recording {
	struct bytes words[GW_WORDS_NR];
	struct bytes texts[N_TEXTS];
	gw_progress_fn progress;
	void *ctx;
	uint64_t done, total;
};

static int
advance(struct recording *rec, size_t n, struct gw_error *err)
{
	rec->done += n;
	if (rec->progress && !rec->progress(rec->ctx, rec->done, rec->total))
		return gw_observe_fail(err, -ECANCELED, "stopped");
	return 0;
}

/* Where the bytes of one large file go. */
struct words_sink {
	struct recording *rec;
	struct bytes *to;
	const char *name;
};

static int
append(void *ctx, const void *data, size_t len, struct gw_error *err)
{
	struct words_sink *sink = ctx;
	struct bytes *to = sink->to;

	if (to->capacity - to->len < len) {
		size_t capacity = 2 * (to->len + len);
		char *grown = realloc(to->data, capacity);

		if (!grown)
			return gw_observe_fail(err, -ENOMEM, "%s: out of memory", sink->name);
		to->data = grown;
		to->capacity = capacity;
	}
	memcpy(to->data + to->len, data, len);
	to->len += len;
	return advance(sink->rec, len, err);
}

static bool
all_zero(const struct bytes *bytes)
{
	/* The first byte is 0, and every other one equals the one before. */
	return bytes->len == 0 ||
	       (bytes->data[0] == 0 && memcmp(bytes->data, bytes->data + 1, bytes->len - 1) == 0);
}

static int
read_maps(struct recording *rec, struct gw_error *err)
{
	for (unsigned i = 0; i < GW_WORDS_NR; i++) {
		struct words_sink sink = {rec, &rec->words[i], gw_words_names[i]};
		int ret = gw_live_words((enum gw_words)i, append, &sink, err);

		if (ret != 0)
			return ret;
		/* Both files are read, then written: four times as much as the first. */
		if (i == 0)
			rec->total = 4 * (uint64_t)rec->words[0].len;
	}
	if (all_zero(&rec->words[GW_WORDS_FLAGS]))
		return gw_observe_fail(
			err, -EACCES, "kpageflags: this kernel hides its memory map");
	return 0;
}

/* What this host does not have is left out. */
static int
read_texts(struct recording *rec, struct gw_error *err)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		int ret = gw_live_text(text_members[i], &rec->texts[i].data, &rec->texts[i].len);

		if (ret == -ENOMEM)
			return gw_observe_fail(err, ret, "%s: out of memory", text_members[i]);
	}
	return 0;
}

static int
write_failed(struct archive *a, struct gw_error *err)
{
	int code = archive_errno(a);
	const char *text = archive_error_string(a);

	if (code > 0) /* an errno, which says more than libarchive's words for it */
		return gw_observe_fail(err, -code, "cannot be written: %s", strerror(code));
	return gw_observe_fail(err, -EIO, "%s", text ? text : "cannot be written");
}

static int
write_member(struct archive *a, struct recording *rec, const char *name, const struct bytes *bytes,
	struct gw_error *err)
{
	struct archive_entry *entry = archive_entry_new();
	char path[64];
	int ret;

	if (!entry)
		return gw_observe_fail(err, -ENOMEM, "%s: out of memory", name);
	(void)snprintf(path, sizeof(path), "./%s", name);
	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (la_int64_t)bytes->len);
	archive_entry_set_mtime(entry, time(NULL), 0);
	ret = archive_write_header(a, entry);
	archive_entry_free(entry);
	if (ret < ARCHIVE_WARN)
		return write_failed(a, err);

	for (size_t at = 0; at < bytes->len; at += PIECE) {
		size_t n = bytes->len - at < PIECE ? bytes->len - at : PIECE;

		if (archive_write_data(a, bytes->data + at, n) != (la_ssize_t)n)
			return write_failed(a, err);
		ret = advance(rec, n, err);
		if (ret != 0)
			return ret;
	}
	return 0;
}

static int
write_members(struct archive *a, struct recording *rec, struct gw_error *err)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		int ret = 0;

		if (rec->texts[i].data)
			ret = write_member(a, rec, text_members[i], &rec->texts[i], err);
		if (ret != 0)
			return ret;
		rec->total += rec->texts[i].len;
	}
	for (unsigned i = 0; i < GW_WORDS_NR; i++) {
		int ret = write_member(a, rec, gw_words_names[i], &rec->words[i], err);

		if (ret != 0)
			return ret;
	}
	return archive_write_close(a) == ARCHIVE_OK ? 0 : write_failed(a, err);
}

static int
write_archive(int fd, struct recording *rec, struct gw_error *err)
{
	struct archive *a = archive_write_new();
	int ret;

	if (!a)
		return gw_observe_fail(err, -ENOMEM, "out of memory");
	if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
		archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
		archive_write_set_filter_option(a, "zstd", "compression-level", "9") !=
			ARCHIVE_OK ||
		archive_write_open_fd(a, fd) != ARCHIVE_OK)
		ret = write_failed(a, err);
	else
		ret = write_members(a, rec, err);
	(void)archive_write_free(a);
	return ret;
}

/* So that the new name survives a crash too. A file system that cannot is no failure. */
static void
sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd;

	if (!copy)
		return;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	free(copy);
}

static int
read_host(struct recording *rec, struct gw_error *err)
{
	int ret = read_maps(rec, err);

	if (ret == 0)
		ret = read_texts(rec, err);
	if (ret != 0)
		gw_observe_prefix(err, "live host");
	return ret;
}

/* Write, sync, and only then give it its name (R1). */
static int
write_file(int fd, const char *path, const char *temporary, struct recording *rec,
	struct gw_error *err)
{
	int ret = write_archive(fd, rec, err);

	if (ret == 0 && fsync(fd) != 0) {
		ret = -errno;
		(void)gw_observe_fail(err, ret, "cannot be synced: %s", strerror(-ret));
	}
	if (ret == 0 && rename(temporary, path) != 0) {
		ret = -errno;
		(void)gw_observe_fail(err, ret, "cannot be renamed to: %s", strerror(-ret));
	}
	if (ret != 0)
		gw_observe_prefix(err, path);
	else
		sync_directory(path);
	return ret;
}

/* The file is made first: where it cannot be, nobody waits for the host to be read. */
static int
record_beside(const char *path, const char *temporary, struct recording *rec, struct gw_error *err)
{
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int ret;

	if (fd < 0) {
		ret = -errno;
		(void)gw_observe_fail(err, ret, "cannot be created: %s", strerror(-ret));
		gw_observe_prefix(err, path);
		return ret;
	}
	ret = read_host(rec, err);
	if (ret == 0)
		ret = write_file(fd, path, temporary, rec, err);
	(void)close(fd);
	if (ret != 0)
		(void)unlink(temporary); /* R2 */
	return ret;
}

int
gw_snapshot_record(const char *path, gw_progress_fn progress, void *ctx, struct gw_error *err)
{
	struct recording rec = {.progress = progress, .ctx = ctx};
	size_t size = strlen(path) + 32;
	char *temporary = malloc(size);
	int ret;

	if (!temporary)
		return gw_observe_fail(err, -ENOMEM, "out of memory");
	(void)snprintf(temporary, size, "%s.%ld.tmp", path, (long)getpid());
	ret = record_beside(path, temporary, &rec, err);
	for (unsigned i = 0; i < GW_WORDS_NR; i++)
		free(rec.words[i].data);
	for (size_t i = 0; i < N_TEXTS; i++)
		free(rec.texts[i].data);
	free(temporary);
	return ret;
}
