/* SPDX-License-Identifier: MIT */
/*
 * apply.h - acting on a host until what was asked for is there.
 */
#ifndef GODWIT_CLI_APPLY_H
#define GODWIT_CLI_APPLY_H

#include "host.h"
#include "observe/apply.h"
#include "trace.h"

/* Everything that one apply works with; nothing of it is owned. */
struct applying {
	struct host *host;
	struct trace *trace;	  /* NULL: no tracepoints */
	struct gw_snapshot *snap; /* of before the first run; NULL: no plan for an early end */
	struct gw_apply *out;	  /* order .. plan, pool.path and runs are set */
};

/* What stands in the zones to act on before anything is done. Returns 0 or a negative errno. */
GW_MUST_CHECK int apply_begin(struct applying *a, struct gw_error *err);

/*
 * Compact, wait, look, again while it gains; then reserve if that was asked.
 *
 * Whatever the result, this leaves the pool of huge pages either as large as asked for or
 * as it was. Returns 0 (out->outcome says more), -EINTR (cli_interrupted()), -EACCES, or another
 * negative errno; err is filled then.
 */
GW_MUST_CHECK int apply_run(struct applying *a, struct gw_error *err);

#endif
