/* SPDX-License-Identifier: MIT */
/*
 * main.c - godwit-check: the explorer behind `godwit check`, and its report.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

int
check_write(const char *path, int (*put)(FILE *out, const void *what), const void *what)
{
	struct cli_file file;
	int status = cli_file_open(&file, path);

	if (status)
		return status;
	if (put(file.out, what) != 0) {
		cli_file_abandon(&file);
		return cli_fail("%s: %s", path, strerror(ENOMEM));
	}
	return cli_file_commit(&file);
}

/* A file that cannot be written is told before the search, not after it. */
static int
probe(const char *path)
{
	struct cli_file file;
	int status = path ? cli_file_open(&file, path) : 0;

	if (path && !status)
		cli_file_abandon(&file);
	return status;
}

/* ---- searching ---- */

/* What was found, as it is found. */
struct checks {
	const struct check_request *request;
	struct gw_check *done;
	size_t n, found;
};

static int
put_html(FILE *out, const void *what)
{
	const struct checks *all = what;

	return gw_html_check(out, all->done, all->n, all->request->without);
}

static int
search_all(struct checks *all)
{
	const struct check_request *r = all->request;
	struct gw_report report;

	cli_report_init(&report, &r->common);
	for (size_t i = 0; i < r->n_scenarios; i++) {
		struct gw_check *c = &all->done[all->n];
		int status = check_search(r, r->scenarios[i], r->without, c);

		all->n++;
		if (status)
			return status;
		all->found += c->result.kind != GW_EXPLORE_NOTHING;
		if (r->common.json)
			continue;
		gw_report_check(&report, c);
		fflush(stdout);
	}
	return 0;
}

static int
report_all(const struct checks *all)
{
	const struct check_request *r = all->request;

	if (r->html) {
		int status = check_write(r->html, put_html, all);

		if (status)
			return status;
	}
	if (r->common.json && gw_json_check(stdout, all->done, all->n, r->without))
		return cli_fail("%s", strerror(ENOMEM));
	return all->found ? CLI_NO : CLI_DONE;
}

static int
search(const struct check_request *r)
{
	struct checks all = {.request = r, .done = calloc(r->n_scenarios, sizeof(struct gw_check))};
	int status;

	if (!all.done)
		return cli_fail("%s", strerror(ENOMEM));
	status = search_all(&all);
	if (!status)
		status = report_all(&all);
	while (all.n > 0)
		gw_explore_result_free(&all.done[--all.n].result);
	free(all.done);
	return status;
}

/* ---- the list ---- */

int
check_list(const struct check_request *r)
{
	struct gw_report report;

	cli_report_init(&report, &r->common);
	if (!r->common.json)
		gw_report_check_list(&report);
	else if (gw_json_check_list(stdout))
		return cli_fail("%s", strerror(ENOMEM));
	return CLI_DONE;
}

static int
run(int argc, char **argv)
{
	struct check_request request;
	int status = CLI_DONE;

	bool parsed = check_parse(argc, argv, &request, &status);

	if (parsed)
		status = probe(request.html ? request.html : request.svg);
	if (parsed && !status) {
		switch (request.mode) {
		case CHECK_LIST:
			status = check_list(&request);
			break;
		case CHECK_TABLE:
			status = check_table(&request);
			break;
		case CHECK_MEASURE:
			status = check_measure(&request);
			break;
		default:
			status = search(&request);
			break;
		}
	}
	check_free(&request);
	return status;
}

int
main(int argc, char **argv)
{
	cli_begin();
	return cli_end(run(argc, argv));
}
