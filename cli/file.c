/* SPDX-License-Identifier: MIT */
/*
 * file.c - files that are complete or not there, and the host to read.
 */
#define _GNU_SOURCE /* asprintf(), mkostemp() */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static int
open_in_place(struct cli_file *file)
{
	file->out = fopen(file->path, "we");
	if (!file->out)
		return cli_fail("%s: %s", file->path, strerror(errno));
	return 0;
}

/* Make and open file->temporary. Returns 0 or a negative errno. */
static int
open_temporary(struct cli_file *file)
{
	const mode_t mask = umask(0);
	int fd, ret;

	umask(mask);
	fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0666 & ~mask) == 0)
		file->out = fdopen(fd, "w");
	if (file->out)
		return 0;
	ret = -errno;
	unlink(file->temporary);
	close(fd);
	return ret;
}

static int
open_beside(struct cli_file *file)
{
	int ret = -ENOMEM;

	file->target = realpath(file->path, NULL);
	if (!file->target)
		file->target = strdup(file->path);
	if (!file->target || asprintf(&file->temporary, "%s.XXXXXX", file->target) < 0)
		file->temporary = NULL;
	if (file->temporary)
		ret = open_temporary(file);
	if (ret == 0)
		return 0;
	free(file->target);
	free(file->temporary);
	return cli_fail("%s: %s", file->path, strerror(-ret));
}

int
cli_file_open(struct cli_file *file, const char *path)
{
	struct stat st;
	int status;

	*file = (struct cli_file){.path = path};
	/* Renaming over a device would replace the device. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		status = open_in_place(file);
	} else {
		cli_interrupt_begin();
		status = open_beside(file);
		if (status)
			cli_interrupt_end();
	}
	errno = 0; /* what it is when a write has failed, the write made it */
	return status;
}

/* Close, and let an interrupt that came meanwhile have its way. */
static void
end_file(struct cli_file *file)
{
	fclose(file->out);
	if (!file->temporary)
		return;
	free(file->target);
	free(file->temporary);
	cli_interrupt_end();
	if (cli_interrupted())
		raise(cli_interrupted());
}

int
cli_file_commit(struct cli_file *file)
{
	int error = errno;
	bool failed = ferror(file->out) != 0;

	if (!failed) {
		errno = 0;
		failed = fflush(file->out) != 0;
		if (!failed && file->temporary)
			failed = fsync(fileno(file->out)) != 0 ||
				 rename(file->temporary, file->target) != 0;
		error = errno;
	}
	if (failed)
		cli_fail("%s: %s", file->path, error ? strerror(error) : "cannot be written");
	if (failed && file->temporary)
		unlink(file->temporary);
	end_file(file);
	return failed ? CLI_BAD : 0;
}

void
cli_file_abandon(struct cli_file *file)
{
	if (file->temporary)
		unlink(file->temporary);
	end_file(file);
}

uint64_t
cli_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#define BUNDLED "anon-settled.before.tar.zst"

/* Beside the tree that the command was built in, beside where it is installed, or where that was
 * meant to be. */
const char *
cli_bundled_snapshot(char path[PATH_MAX])
{
	static const char *const places[] = {"../data/" BUNDLED, "../share/godwit/" BUNDLED};
	char self[PATH_MAX], *slash;
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	snprintf(path, PATH_MAX, "data/" BUNDLED);
	if (access(path, R_OK) == 0)
		return path;
	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
		const size_t room = sizeof self - (size_t)(slash + 1 - self);

		if (strlen(places[i]) >= room)
			continue;
		strcpy(slash + 1, places[i]);
		if (realpath(self, path))
			return path;
	}
	snprintf(path, PATH_MAX, "%s", GODWIT_DATADIR "/" BUNDLED);
	return path;
}

int
cli_denied(const char *verb, const char *why)
{
	char path[PATH_MAX];

	cli_fail("%s; to try it on a recorded host: godwit %s --snapshot %s", why, verb,
		cli_bundled_snapshot(path));
	return CLI_DENIED;
}

/* The order to look at: `given`, if the host has it, or its huge page. Returns 0 or CLI_BAD. */
static int
choose_order(const struct gw_snapshot *snap, int64_t given, unsigned *order)
{
	const unsigned max = snap->n_orders - 1;

	if (given > (int64_t)max)
		return cli_fail("--order: %s is out of range, which is 0 to %u on this host",
			gw_text_count((uint64_t)given).s, max);
	if (given >= 0)
		*order = (unsigned)given;
	else
		*order = snap->pageblock_order < max ? snap->pageblock_order : max;
	return 0;
}

/* A mistake that is one on every host is reported before what this host permits. */
int
cli_order_possible(int64_t order)
{
	if (order >= GW_ORDERS_MAX)
		return cli_fail("--order: %s is out of range, which is 0 to %d at most",
			gw_text_count((uint64_t)order).s, GW_ORDERS_MAX - 1);
	return 0;
}

static int
load_live(const struct cli_common *common, struct gw_snapshot *snap)
{
	struct gw_error err = {""};
	int ret;

	if (cli_order_possible(common->order))
		return CLI_BAD;
	ret = gw_snapshot_live(snap, &err);
	if (ret == -EACCES || ret == -EPERM)
		return cli_denied(common->verb, err.text);
	return ret ? cli_fail("%s", err.text) : 0;
}

int
cli_load(const struct cli_common *common, struct gw_snapshot *snap, unsigned *order)
{
	struct gw_error err = {""};
	int status;

	if (!common->snapshot)
		status = load_live(common, snap);
	else if (gw_snapshot_load(common->snapshot, snap, &err) != 0)
		status = cli_fail("%s", err.text);
	else
		status = 0;
	if (status)
		return status;
	status = choose_order(snap, common->order, order);
	if (status)
		gw_snapshot_free(snap);
	return status;
}
