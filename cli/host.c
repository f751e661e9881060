/* SPDX-License-Identifier: MIT */
/*
 * host.c - the live kernel's files (host.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "observe/procfs.h"

#define TEXT_MAX      ((size_t)16 << 20) /* zoneinfo of a host with a thousand CPUs is 1 MiB */
#define PATH_MAX_HERE 512

static void
join(const struct host *host, const char *path, char out[PATH_MAX_HERE])
{
	snprintf(out, PATH_MAX_HERE, "%s%s", host->root, path);
}

static int
write_file(struct host *host, const char *path, const char *text)
{
	char full[PATH_MAX_HERE];
	size_t len = strlen(text);
	ssize_t n;
	int fd, ret = 0;

	join(host, path, full);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		ret = n < 0 ? -errno : -EIO;
	if (close(fd) != 0 && ret == 0)
		ret = -errno;
	return ret;
}

static void
sync_all(struct host *host)
{
	(void)host;
	sync();
}

/* A signal ends the wait early; whoever waits looks for it. */
static void
pause_ms(struct host *host, unsigned ms)
{
	const struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	(void)host;
	nanosleep(&ts, NULL);
}

void
host_live(struct host *host)
{
	*host = (struct host){
		.root = "",
		.write = write_file,
		.sync = sync_all,
		.pause = pause_ms,
	};
}

static int
denied(struct gw_error *err, const char *path, const char *why)
{
	snprintf(err->text, sizeof err->text, "%s: %s", path, why);
	return -EACCES;
}

int
host_permitted(const struct host *host, const char *compact_path, struct gw_error *err)
{
	char full[PATH_MAX_HERE];

	if (geteuid() != 0)
		return denied(err, "apply", "acts on the live kernel and needs root");
	join(host, compact_path, full);
	if (faccessat(AT_FDCWD, full, W_OK, AT_EACCESS) == 0)
		return 0;
	if (errno == ENOENT)
		return denied(err, compact_path, "is not there: a kernel without compaction");
	return denied(err, compact_path, strerror(errno));
}

bool
host_has(const struct host *host, const char *path)
{
	char full[PATH_MAX_HERE];

	join(host, path, full);
	return access(full, F_OK) == 0;
}

/* The whole of a file, as far as `capacity`. */
static int
read_file(const struct host *host, const char *path, char *data, size_t capacity, size_t *len)
{
	char full[PATH_MAX_HERE];
	ssize_t n = 1;
	int fd;

	join(host, path, full);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*len = 0;
	while (*len < capacity && n != 0) {
		n = read(fd, data + *len, capacity - *len);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			*len += (size_t)n;
	}
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

int
host_number(const struct host *host, const char *path, uint64_t *out)
{
	struct gw_line line;
	char text[64];
	size_t len;
	int ret = read_file(host, path, text, sizeof text, &len);

	if (ret != 0)
		return ret;
	gw_line_init(&line, text, len);
	return gw_line_next(&line) && gw_line_number(&line, out) == 0 ? 0 : -EINVAL;
}

int
host_look(const struct host *host, struct gw_snapshot *out, struct gw_error *err)
{
	static const struct {
		const char *path;
		int (*parse)(const char *, size_t, struct gw_snapshot *, struct gw_error *);
	} texts[] = {
		{"/proc/zoneinfo", gw_parse_zoneinfo},
		{"/proc/buddyinfo", gw_parse_buddyinfo},
		{"/proc/vmstat", gw_parse_vmstat},
	};
	char *text = malloc(TEXT_MAX);
	int ret = text ? 0 : -ENOMEM;

	*out = (struct gw_snapshot){.n_orders = 0};
	for (size_t i = 0; ret == 0 && i < sizeof texts / sizeof texts[0]; i++) {
		size_t len;

		ret = read_file(host, texts[i].path, text, TEXT_MAX, &len);
		if (ret != 0)
			snprintf(err->text, sizeof err->text, "%s: %s", texts[i].path,
				strerror(-ret));
		else
			ret = texts[i].parse(text, len, out, err);
	}
	free(text);
	if (ret == -ENOMEM)
		snprintf(err->text, sizeof err->text, "%s", strerror(ENOMEM));
	if (ret != 0)
		gw_snapshot_free(out);
	return ret;
}

int
host_frames(const struct host *host, gw_pfn_t start, unsigned n, gw_frame_t *out)
{
	char full[PATH_MAX_HERE];
	size_t size = n * sizeof(uint64_t);
	uint64_t *flags = malloc(size ? size : 1);
	int fd, ret = 0;

	if (!flags)
		return -ENOMEM;
	join(host, "/proc/kpageflags", full);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, flags, size, (off_t)start * 8) != (ssize_t)size)
		ret = fd < 0 ? -errno : -EIO;
	for (unsigned i = 0; ret == 0 && i < n; i++)
		out[i] = gw_frame_from_kpageflags(flags[i]);
	if (fd >= 0)
		close(fd);
	free(flags);
	return ret;
}
