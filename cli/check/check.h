/* SPDX-License-Identifier: MIT */
/*
 * check.h - the parts of godwit-check.
 */
#ifndef GODWIT_CLI_CHECK_CHECK_H
#define GODWIT_CLI_CHECK_CHECK_H

#include "cli/cli.h"
#include "observe/check.h"

enum check_mode { CHECK_SEARCH, CHECK_LIST, CHECK_TABLE, CHECK_MEASURE };

/* The command line. */
struct check_request {
	struct cli_common common;
	enum check_mode mode;
	/* Those to run, in order; n of them. */
	const struct gw_explore_scenario **scenarios;
	size_t n_scenarios;
	uint64_t without;
	/* In turn, each with its share of the budget. */
	enum gw_explore_search searches[GW_CHECK_SEARCHES];
	unsigned n_searches;
	uint64_t runs;	/* of one scenario; 0: no limit */
	double seconds; /* of one scenario; 0: no limit */
	uint64_t seed;
	const char *schedule; /* NULL: search */
	const char *html, *svg;
};

/* Fill in what was asked for. False: stop, with *status. check_free() in any case. */
bool check_parse(int argc, char **argv, struct check_request *request, int *status);
void check_free(struct check_request *request);

/* Search one scenario, with progress; to be given back with gw_explore_result_free(&out->result).
 * Returns 0 or CLI_BAD after saying why. */
GW_MUST_CHECK int check_search(const struct check_request *request,
	const struct gw_explore_scenario *scenario, uint64_t without, struct gw_check *out);

/* Each prints what it has to, and returns an enum cli_status. */
int check_list(const struct check_request *request);
int check_table(const struct check_request *request);
int check_measure(const struct check_request *request);

/* Write a file with `put`, which returns 0 or -ENOMEM. Returns 0 or CLI_BAD after saying why. */
GW_MUST_CHECK int check_write(
	const char *path, int (*put)(FILE *out, const void *what), const void *what);

#endif
