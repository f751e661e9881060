/* SPDX-License-Identifier: MIT */
/*
 * file.c - files that are complete or not there, and the host to read.
 */
#define _GNU_SOURCE /* asprintf(), mkostemp() */
#include <errno.h>
#include <fcntl.h>
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

static int
open_beside(struct cli_file *file)
{
	const mode_t mask = umask(0);
	int fd;

	umask(mask);
	if (asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
		file->temporary = NULL;
		return cli_fail("%s: %s", file->path, strerror(ENOMEM));
	}
	fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd >= 0) {
		file->out = fdopen(fd, "w");
		if (file->out && fchmod(fd, 0666 & ~mask) == 0)
			return 0;
	}
	cli_fail("%s: %s", file->path, strerror(errno));
	if (fd >= 0)
		unlink(file->temporary);
	if (file->out)
		fclose(file->out);
	else if (fd >= 0)
		close(fd);
	free(file->temporary);
	return CLI_BAD;
}

int
cli_file_open(struct cli_file *file, const char *path)
{
	struct stat st;

	*file = (struct cli_file){.path = path};
	/* Renaming over a device would replace the device. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return open_in_place(file);
	return open_beside(file);
}

int
cli_file_commit(struct cli_file *file)
{
	bool failed = ferror(file->out) != 0;

	errno = 0;
	if (fflush(file->out) != 0)
		failed = true;
	if (!failed && file->temporary && fsync(fileno(file->out)) != 0)
		failed = true;
	if (!failed && file->temporary && rename(file->temporary, file->path) != 0)
		failed = true;
	if (failed)
		cli_fail("%s: %s", file->path, errno ? strerror(errno) : "cannot be written");
	if (failed && file->temporary)
		unlink(file->temporary);
	fclose(file->out);
	free(file->temporary);
	return failed ? CLI_BAD : 0;
}

void
cli_file_abandon(struct cli_file *file)
{
	fclose(file->out);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
}

uint64_t
cli_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* In the source tree, else where it was installed. */
const char *
cli_bundled_snapshot(void)
{
	static const char *const places[] = {
		"data/anon-settled.before.tar.zst",
		GODWIT_DATADIR "/anon-settled.before.tar.zst",
	};

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (access(places[i], R_OK) == 0)
			return places[i];
	}
	return places[1];
}

int
cli_denied(const char *verb, const char *why)
{
	cli_fail("%s; to try it on a recorded host: godwit %s --snapshot %s", why, verb,
		cli_bundled_snapshot());
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
