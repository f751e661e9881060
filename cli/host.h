/* SPDX-License-Identifier: MIT */
/*
 * host.h - the live kernel: its files to read, and the few that act on it.
 *
 * Idea. Everything that changes the host goes through `write` and `sync`, and every wait through
 * `pause`, so that a test can put a kernel of its own behind them, with files under another root.
 *
 * Invariants
 *   H1  nothing here writes but through `write`
 *   H2  a path is absolute, as on the live host; `root` is put before it
 */
#ifndef GODWIT_CLI_HOST_H
#define GODWIT_CLI_HOST_H

#include "godwit/snapshot.h"

struct host {
	const char *root; /* "" for the live host */
	/* Returns 0 or a negative errno. */
	int (*write)(struct host *host, const char *path, const char *text);
	void (*sync)(struct host *host);
	void (*pause)(struct host *host, unsigned ms);
	void *ctx;
};

void host_live(struct host *host);

/* Whether this process may compact and see the result; -EACCES with the reason in err. */
GW_MUST_CHECK int host_permitted(
	const struct host *host, const char *compact_path, struct gw_error *err);

bool host_has(const struct host *host, const char *path);

/* A file that holds one number. Returns 0 or a negative errno. */
GW_MUST_CHECK int host_number(const struct host *host, const char *path, uint64_t *out);

/*
 * Zones, free blocks, per-CPU counts and vm counters as they are now, without the map of frames.
 *   out  filled on success; gw_snapshot_free()
 * Returns 0 or a negative errno with err filled.
 */
GW_MUST_CHECK int host_look(const struct host *host, struct gw_snapshot *out, struct gw_error *err);

/* What `n` frames from `start` are now. Returns 0 or a negative errno. */
GW_MUST_CHECK int host_frames(const struct host *host, gw_pfn_t start, unsigned n, gw_frame_t *out);

#endif
