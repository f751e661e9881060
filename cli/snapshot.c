/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - `godwit snapshot`: record this host's memory map.
 *
 * An interrupt is seen by the progress function, which stops the recording in an orderly way,
 * so that no part of a file stays behind.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static const char help[] =
	"usage: godwit snapshot [OPTION]... FILE\n"
	"\n"
	"Record this host's memory map, the kernel's own files, as one archive (tar and\n"
	"zstd), for frag and plan to read here or elsewhere. Needs root. FILE appears\n"
	"only when it is complete.\n"
	"\n"
	"  --force           write over FILE if it is there\n"
	"  --json            one JSON object (schema godwit.snapshot)\n"
	"  --color WHEN      auto, always or never\n"
	"  --help            this text\n"
	"\n"
	"Examples:\n"
	"  sudo godwit snapshot host.tar.zst\n"
	"  godwit plan --snapshot host.tar.zst --count 2000\n";

enum { OPT_FORCE = CLI_OPT_VERB };

static const struct option options[] = {
	CLI_COMMON_OPTIONS,
	{"force", no_argument, NULL, OPT_FORCE},
	{NULL, 0, NULL, 0},
};

static bool
on_progress(void *progress, uint64_t done, uint64_t total)
{
	cli_progress_show(progress, done, total);
	return !cli_interrupted();
}

/* Returns 0, or a status after saying why `path` may not be written. */
static int
check_target(const char *path, bool force)
{
	struct stat st;

	if (!path[0])
		return cli_fail("snapshot: the file's name is empty");
	if (strcmp(path, "-") == 0)
		return cli_fail("snapshot: name a file; it is not written to standard output");
	if (stat(path, &st) != 0)
		return 0;
	if (!S_ISREG(st.st_mode))
		return cli_fail("%s: is there and is no ordinary file", path);
	if (!force)
		return cli_fail("%s: is there already; --force writes over it", path);
	return 0;
}

static int
record(const char *path, struct gw_error *err)
{
	struct cli_progress progress;
	int ret;

	cli_progress_init(&progress, "Recording");
	cli_interrupt_begin();
	ret = gw_snapshot_record(path, on_progress, &progress, err);
	cli_interrupt_end();
	cli_progress_end(&progress);
	if (ret != 0 && cli_interrupted()) {
		cli_fail("interrupted: nothing was written");
		raise(cli_interrupted()); /* so that a shell sees what ended us */
	}
	return ret;
}

static int
report(const struct cli_common *common, const char *path, double seconds)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return cli_fail("%s: %s", path, strerror(errno));
	if (common->json) {
		json_t *name = json_string(path);
		json_t *o = json_pack("{s:s, s:i, s:o, s:I, s:f}", "schema", "godwit.snapshot",
			"version", 1, "file", name ? name : json_null(), "bytes",
			(json_int_t)st.st_size, "seconds", seconds);

		if (!o)
			return cli_fail("%s", strerror(ENOMEM));
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
		return CLI_DONE;
	}
	printf("%s: %s in %.1f seconds\n", gw_text_clean(path, 50).s,
		gw_text_bytes((uint64_t)st.st_size).s, seconds);
	return CLI_DONE;
}

int
cli_snapshot(int argc, char **argv)
{
	struct cli_common common = {.verb = "snapshot", .help = help};
	uint64_t start = cli_now_ns();
	struct gw_error err = {""};
	const char *path;
	bool force = false;
	int status, option, ret;

	while ((option = cli_next_option(argc, argv, options, &common, &status)) >= 0)
		force = true;
	if (option == -2)
		return status;
	if (optind + 1 != argc)
		return cli_fail("snapshot: name one file to write; try 'godwit snapshot --help'");
	path = argv[optind];
	status = check_target(path, force);
	if (status)
		return status;
	ret = record(path, &err);
	if (ret == -EACCES || ret == -EPERM) {
		cli_fail("%s", err.text);
		return CLI_DENIED;
	}
	if (ret != 0)
		return cli_fail("%s", err.text[0] ? err.text : strerror(-ret));
	return report(&common, path, (double)(cli_now_ns() - start) / 1e9);
}
