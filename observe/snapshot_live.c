/* SPDX-License-Identifier: MIT */
/*
 * snapshot_live.c - read this host's own memory map.
 *
 * Idea. The two large files first and back to back: together they are the picture, and
 * the less that runs between them, the less they disagree. Then the texts.
 *
 * Invariant
 *   L1  "not permitted" has one errno, -EACCES, however the kernel says it: no such file, no
 *       permission to open or read, or a map of zeros
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "builder.h"

#define PIECE ((size_t)1 << 20)

/* Those of /proc/sys/vm that say how this kernel compacts. */
static const char *const sysctl_names[] = {
	"extfrag_threshold",
	"compaction_proactiveness",
	"compact_unevictable_allowed",
	"min_free_kbytes",
	"watermark_scale_factor",
	"watermark_boost_factor",
	"nr_hugepages",
};

/* A value and its newline: no sysctl of ours is longer. */
#define SYSCTL_VALUE_MAX 32

static int
map_failed(const char *name, int code, struct gw_error *err)
{
	if (code == ENOENT)
		return gw_observe_fail(
			err, -EACCES, "%s: this kernel does not show it in /proc", name);
	if (code == EACCES || code == EPERM)
		return gw_observe_fail(
			err, -EACCES, "%s: not permitted, needs root (CAP_SYS_ADMIN)", name);
	return gw_observe_fail(err, -code, "%s: %s", name, strerror(code));
}

static int
pump(int fd, const char *name, void *piece, gw_sink_fn sink, void *ctx, struct gw_error *err)
{
	for (;;) {
		ssize_t n = read(fd, piece, PIECE);
		int ret;

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return map_failed(name, errno, err);
		ret = sink(ctx, piece, (size_t)n, err);
		if (ret != 0)
			return ret;
	}
}

int
gw_live_words(enum gw_words which, gw_sink_fn sink, void *ctx, struct gw_error *err)
{
	const char *name = gw_words_names[which];
	char path[64];
	void *piece;
	int fd, ret;

	(void)snprintf(path, sizeof(path), "/proc/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return map_failed(name, errno, err);
	piece = malloc(PIECE);
	if (piece)
		ret = pump(fd, name, piece, sink, ctx, err);
	else
		ret = gw_observe_fail(err, -ENOMEM, "%s: out of memory", name);
	free(piece);
	(void)close(fd);
	return ret;
}

/* As much of a file as fits, in as many reads as the kernel wants. */
static int
read_fully(int fd, char *data, size_t capacity, size_t *len)
{
	*len = 0;
	while (*len < capacity) {
		ssize_t n = read(fd, data + *len, capacity - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return 0;
}

static int
read_path(const char *path, char *data, size_t capacity, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = read_fully(fd, data, capacity, len);
	(void)close(fd);
	return ret;
}

/* "NAME VALUE" lines of those sysctls that this kernel has. */
static size_t
join_sysctls(char *data, size_t capacity)
{
	size_t used = 0;

	for (size_t i = 0; i < sizeof(sysctl_names) / sizeof(sysctl_names[0]); i++) {
		char path[96], value[SYSCTL_VALUE_MAX];
		size_t len = 0;
		int n;

		(void)snprintf(path, sizeof(path), "/proc/sys/vm/%s", sysctl_names[i]);
		if (read_path(path, value, sizeof(value), &len) != 0)
			continue;
		while (len > 0 && value[len - 1] == '\n')
			len--;
		n = snprintf(data + used, capacity - used, "%s %.*s\n", sysctl_names[i], (int)len,
			value);
		if (n > 0 && (size_t)n < capacity - used)
			used += (size_t)n;
	}
	return used;
}

static int
read_uname(char *data, size_t capacity, size_t *len)
{
	struct utsname u;
	int n;

	if (uname(&u) != 0)
		return -errno;
	n = snprintf(data, capacity, "%s %s %s\n", u.sysname, u.release, u.machine);
	*len = n > 0 ? (size_t)n : 0;
	return 0;
}

static int
read_by_name(const char *name, char *data, size_t capacity, size_t *len)
{
	bool index = strcmp(name, "extfrag_index") == 0 || strcmp(name, "unusable_index") == 0;
	char path[96];

	if (strcmp(name, "sysctl") == 0) {
		*len = join_sysctls(data, capacity);
		return 0;
	}
	if (strcmp(name, "uname") == 0)
		return read_uname(data, capacity, len);
	(void)snprintf(
		path, sizeof(path), "%s/%s", index ? "/sys/kernel/debug/extfrag" : "/proc", name);
	return read_path(path, data, capacity, len);
}

int
gw_live_text(const char *name, char **data, size_t *len)
{
	char *text = malloc(GW_TEXT_MAX);
	int ret;

	if (!text)
		return -ENOMEM;
	ret = read_by_name(name, text, GW_TEXT_MAX, len);
	if (ret != 0) {
		free(text);
		return ret;
	}
	*data = realloc(text, *len + 1);
	if (!*data)
		*data = text;
	return 0;
}

struct words_sink {
	struct gw_builder *b;
	enum gw_words which;
};

static int
into_builder(void *ctx, const void *data, size_t len, struct gw_error *err)
{
	struct words_sink *sink = ctx;

	return gw_builder_words(sink->b, sink->which, data, len, err);
}

static int
read_maps(struct gw_builder *b, struct gw_error *err)
{
	for (unsigned i = 0; i < GW_WORDS_NR; i++) {
		struct words_sink sink = {b, (enum gw_words)i};
		int ret = gw_builder_words_begin(b, sink.which, err);

		if (ret == 0)
			ret = gw_live_words(sink.which, into_builder, &sink, err);
		if (ret != 0)
			return ret;
	}
	return 0;
}

/* What cannot be read is left out; finish() knows what is needed. */
static int
read_texts(struct gw_builder *b, struct gw_error *err)
{
	for (unsigned i = 0; i < GW_TEXT_NR; i++) {
		char *data;
		size_t len;
		int ret = gw_live_text(gw_text_names[i], &data, &len);

		if (ret == -ENOMEM)
			return gw_observe_fail(err, ret, "%s: out of memory", gw_text_names[i]);
		if (ret != 0)
			continue;
		ret = gw_builder_text(b, (enum gw_text)i, data, len, err);
		if (ret != 0)
			return ret;
	}
	return 0;
}

int
gw_snapshot_live(struct gw_snapshot *out, struct gw_error *err)
{
	struct gw_builder b;
	int ret;

	gw_builder_init(&b);
	ret = read_maps(&b, err);
	if (ret == 0)
		ret = read_texts(&b, err);
	if (ret == 0)
		ret = gw_builder_finish(&b, out, err);
	if (ret == -EINVAL && !b.any_flag)
		ret = -EACCES; /* L1 */
	gw_builder_destroy(&b);
	if (ret == 0)
		(void)snprintf(out->source, sizeof(out->source), "live host");
	else
		gw_observe_prefix(err, "live host");
	return ret;
}
