/* SPDX-License-Identifier: MIT */
/* plan_range.h - plans for a range of memory or for gigantic pages, as `godwit plan` was asked. */
#ifndef GODWIT_CLI_PLAN_RANGE_H
#define GODWIT_CLI_PLAN_RANGE_H

#include "cli.h"

struct cli_range {
	const char *offline;  /* START-END or memoryN; NULL: not asked */
	uint64_t gigantic;    /* pages of 1 GiB; 0: not asked */
	uint64_t block_mib;   /* of a memory block; 0: the host's */
	uint64_t ns_per_page; /* to move one */
};

/* Plan on `snap`, report; the exit status. */
int cli_plan_range(
	const struct cli_range *range, const struct cli_common *common, struct gw_snapshot *snap);

#endif
