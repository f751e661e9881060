/* SPDX-License-Identifier: MIT */
/*
 * frag.c - `godwit frag`: how fragmented memory is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char help[] =
	"usage: godwit frag [OPTION]...\n"
	"\n"
	"How fragmented this host's memory is: a picture of it, and per zone its free\n"
	"blocks by order, the unusable free space index, the fragmentation index, the\n"
	"proactive score, pageblock types, per-CPU lists and watermarks.\n"
	"\n"
	"  --snapshot FILE   read this recording (godwit snapshot), not the live host\n"
	"  --order N         the block size to judge by: 2^N pages (default: huge pages)\n"
	"  --width N         columns for the picture (default: the terminal's)\n"
	"  --json            one JSON object (schema godwit.frag)\n"
	"  --color WHEN      auto, always or never\n"
	"  --help            this text\n"
	"\n"
	"Examples:\n"
	"  sudo godwit frag\n"
	"  godwit frag --snapshot data/anon-settled.before.tar.zst\n"
	"  godwit frag --snapshot host.tar.zst --json | jq '.zones[].unusable_index'\n";

static const struct option options[] = {
	CLI_COMMON_OPTIONS,
	{"snapshot", required_argument, NULL, CLI_OPT_SNAPSHOT},
	{"width", required_argument, NULL, CLI_OPT_WIDTH},
	{"order", required_argument, NULL, CLI_OPT_ORDER},
	{NULL, 0, NULL, 0},
};

static int
report(const struct cli_common *common, const struct gw_frag *frag)
{
	struct gw_report r;

	if (common->json) {
		if (gw_json_frag(stdout, frag) != 0)
			return cli_fail("%s", strerror(ENOMEM));
		return CLI_DONE;
	}
	cli_report_init(&r, common);
	gw_report_frag(&r, frag);
	return CLI_DONE;
}

/* Build the twin, take from it what a report needs, and let it go. */
static int
examine(const struct cli_common *common, struct gw_snapshot *snap, unsigned order)
{
	struct gw_frag frag = {.snap = snap, .order = order};
	struct gw_block_contents *blocks;
	struct gw_twin_notes *notes;
	struct gw_error err = {""};
	struct gw_twin *twin;
	int status;

	if (gw_twin_create(snap, NULL, &twin, &err) != 0)
		return cli_fail("%s: %s", snap->source, err.text[0] ? err.text : strerror(ENOMEM));
	frag.n_blocks = gw_twin_blocks(twin);
	blocks = calloc(frag.n_blocks ? frag.n_blocks : 1, sizeof *blocks);
	notes = calloc(snap->n_zones ? snap->n_zones : 1, sizeof *notes);
	if (blocks && notes) {
		for (gw_pfn_t b = 0; b < frag.n_blocks; b++)
			gw_twin_block_contents(twin, b, &blocks[b]);
		for (unsigned z = 0; z < snap->n_zones; z++)
			notes[z] = *gw_twin_notes(twin, z);
		frag.blocks = blocks;
		frag.notes = notes;
		status = report(common, &frag);
	} else {
		status = cli_fail("%s", strerror(ENOMEM));
	}
	free(blocks);
	free(notes);
	gw_twin_destroy(twin);
	return status;
}

int
cli_frag(int argc, char **argv)
{
	struct cli_common common = {.verb = "frag", .help = help, .order = -1};
	struct gw_snapshot snap = {0};
	unsigned order;
	int status;

	if (cli_next_option(argc, argv, options, &common, &status) == -2)
		return status;
	status = cli_no_operands(argc, argv);
	if (!status)
		status = cli_load(&common, &snap, &order);
	if (status)
		return status;
	status = examine(&common, &snap, order);
	gw_snapshot_free(&snap);
	return status;
}
