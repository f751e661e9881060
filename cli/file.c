/* SPDX-License-Identifier: MIT */
/*
 * file.c - the host to read: a recording's file, or the live one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

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
