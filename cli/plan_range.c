/* SPDX-License-Identifier: MIT */
/*
 * plan_range.c - `godwit plan --offline` and `godwit plan --gigantic`.
 *
 * Idea. A memory block is named as sysfs names it, or by its frames. How large the live host's are,
 * sysfs says; a recording does not, and then it is the size that most hosts have.
 */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "godwit/plan.h"
#include "plan_range.h"

#define BLOCK_SIZE_FILE	   "/sys/devices/system/memory/block_size_bytes"
#define DEFAULT_BLOCK_SIZE (UINT64_C(128) << 20)

/* Bytes of a memory block of this host; what is not there or makes no sense is the default. */
static uint64_t
host_block_size(void)
{
	unsigned long long bytes = 0;
	FILE *f = fopen(BLOCK_SIZE_FILE, "r");

	if (f) {
		if (fscanf(f, "%llx", &bytes) != 1)
			bytes = 0;
		fclose(f);
	}
	return bytes >= GW_PAGE_SIZE && !(bytes & (bytes - 1)) ? bytes : DEFAULT_BLOCK_SIZE;
}

static int
parse_block(const char *number, uint64_t bytes, gw_pfn_t *start, gw_pfn_t *end)
{
	uint64_t frames = bytes / GW_PAGE_SIZE, n = 0;
	int status = cli_number("--offline memoryN", number, 0, GW_PFN_MAX / frames - 1, &n);

	*start = (gw_pfn_t)(n * frames);
	*end = (gw_pfn_t)((n + 1) * frames);
	return status;
}

static int
parse_frames(const char *text, gw_pfn_t *start, gw_pfn_t *end)
{
	const char *dash = strchr(text, '-');
	uint64_t from = 0, to = 0;
	char first[32];
	int status;

	if (!dash || (size_t)(dash - text) >= sizeof first)
		return cli_fail("--offline: '%s' is neither START-END nor memoryN", text);
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	status = cli_number("--offline START", first, 0, GW_PFN_MAX, &from);
	if (!status)
		status = cli_number("--offline END", dash + 1, 1, GW_PFN_MAX, &to);
	if (!status && from >= to)
		status = cli_fail("--offline: %s ends before it begins", text);
	*start = (gw_pfn_t)from;
	*end = (gw_pfn_t)to;
	return status;
}

static int
parse_range(const struct cli_range *range, const struct cli_common *common, gw_pfn_t *start,
	gw_pfn_t *end)
{
	uint64_t bytes = range->block_mib << 20;

	if (strncmp(range->offline, "memory", 6) != 0)
		return parse_frames(range->offline, start, end);
	if (!bytes)
		bytes = common->snapshot ? DEFAULT_BLOCK_SIZE : host_block_size();
	return parse_block(range->offline + 6, bytes, start, end);
}

static int
failed(const struct gw_snapshot *snap, const struct gw_error *err)
{
	return cli_fail("%s: %s", snap->source, err->text[0] ? err->text : strerror(ENOMEM));
}

static int
plan_offline(
	const struct cli_range *range, const struct cli_common *common, struct gw_snapshot *snap)
{
	struct gw_error err = {""};
	struct gw_range_plan plan;
	struct gw_report report;
	gw_pfn_t start = 0, end = 0;
	int status = parse_range(range, common, &start, &end);

	if (status)
		return status;
	if (gw_offline_plan_make(
		    snap, start, end, range->ns_per_page, GW_PLAN_NS_PER_SCANNED, &plan, &err))
		return failed(snap, &err);
	if (common->json) {
		if (gw_json_offline(stdout, snap, &plan))
			return cli_fail("%s", strerror(ENOMEM));
	} else {
		cli_report_init(&report, common);
		gw_report_offline(&report, snap, &plan);
	}
	return plan.possible ? CLI_DONE : CLI_NO;
}

static int
plan_gigantic(
	const struct cli_range *range, const struct cli_common *common, struct gw_snapshot *snap)
{
	const unsigned order = 30 - GW_PAGE_SHIFT; /* 1 GiB */
	struct gw_error err = {""};
	struct gw_gigantic_plan plan;
	struct gw_report report;
	int status;

	if (gw_gigantic_plan_make(snap, order, range->gigantic, range->ns_per_page,
		    GW_PLAN_NS_PER_SCANNED, &plan, &err))
		return failed(snap, &err);
	status = plan.had >= plan.count ? CLI_DONE : CLI_NO;
	if (common->json) {
		if (gw_json_gigantic(stdout, snap, &plan))
			status = cli_fail("%s", strerror(ENOMEM));
	} else {
		cli_report_init(&report, common);
		gw_report_gigantic(&report, snap, &plan);
	}
	gw_gigantic_plan_free(&plan);
	return status;
}

int
cli_plan_range(
	const struct cli_range *range, const struct cli_common *common, struct gw_snapshot *snap)
{
	return range->offline ? plan_offline(range, common, snap)
			      : plan_gigantic(range, common, snap);
}
