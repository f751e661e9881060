/* SPDX-License-Identifier: MIT */
/*
 * cli.h - what the verbs share.
 *
 * Invariants
 *   V1  an exit status means the same for every verb (enum cli_status)
 *   V2  whatever is wrong is one line on stderr: "godwit: ..."
 *   V3  stdout carries the report and nothing else; progress is stderr's, on a terminal only
 */
#ifndef GODWIT_CLI_H
#define GODWIT_CLI_H

#include <getopt.h>
#include <limits.h>
#include <stdio.h>

#include "godwit/snapshot.h"
#include "observe/report.h"

enum cli_status {
	CLI_DONE = 0,
	CLI_NO = 1,    /* the answer is no */
	CLI_BAD = 2,   /* usage, bad input, an output that cannot be written */
	CLI_DENIED = 3 /* not permitted on this host */
};

struct cli_verb {
	const char *name;
	const char *summary;
	/* argv[0] is the verb. Returns an enum cli_status. */
	int (*run)(int argc, char **argv);
};

int cli_apply(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_frag(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_snapshot(int argc, char **argv);
int cli_stress(int argc, char **argv);

/* What main() begins and ends with: streams that are open, a report that arrived. cli_end() returns
 * the exit status. */
void cli_begin(void);
int cli_end(int status);

/* Say what is wrong (V2), its control bytes replaced. Returns CLI_BAD. */
int cli_fail(const char *fmt, ...) GW_PRINTF(1, 2);

/* The options that every verb has. Their numbers in struct option are above any character. */
enum cli_option {
	CLI_OPT_HELP = 0x100,
	CLI_OPT_JSON,
	CLI_OPT_COLOR,
	CLI_OPT_WIDTH,
	CLI_OPT_SNAPSHOT,
	CLI_OPT_ORDER,
	CLI_OPT_VERB /* a verb's own begin here */
};

#define CLI_COMMON_OPTIONS                                                                         \
	{"help", no_argument, NULL, CLI_OPT_HELP}, {"json", no_argument, NULL, CLI_OPT_JSON},      \
	{                                                                                          \
		"color", required_argument, NULL, CLI_OPT_COLOR                                    \
	}

enum cli_color { CLI_COLOR_AUTO, CLI_COLOR_ALWAYS, CLI_COLOR_NEVER };

struct cli_common {
	const char *verb, *help; /* set before parsing, as is order */
	bool json;
	enum cli_color color;
	uint64_t width;	      /* 0: the terminal's */
	const char *snapshot; /* NULL: the live host */
	int64_t order;	      /* -1: not given */
};

/*
 * The next option of a verb: its `val`, or
 *   -1  no more
 *   -2  stop: *status is the exit status (help was printed, or a mistake reported)
 * Common options are dealt with here and not returned.
 */
int cli_next_option(int argc, char **argv, const struct option *options, struct cli_common *common,
	int *status);

/* No operand may be left. Returns 0 or CLI_BAD. */
int cli_no_operands(int argc, char **argv);

/*
 * A whole number from `min` to `max`, decimal or 0x hexadecimal.
 * Returns 0, or CLI_BAD after saying what is wrong with `option`.
 */
GW_MUST_CHECK int cli_number(
	const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* Which of `names` (ended by NULL) `text` is: its index, or -1 after saying what could be. */
int cli_choice(const char *option, const char *text, const char *const *names);

/* How to report to stdout: colours, characters and width of what is there. */
void cli_report_init(struct gw_report *report, const struct cli_common *common);

/*
 * Read the snapshot asked for, or the live host, and choose the order: the one asked for, or that
 * of the host's huge pages. Returns 0, or CLI_BAD or CLI_DENIED after saying why.
 */
GW_MUST_CHECK int cli_load(
	const struct cli_common *common, struct gw_snapshot *snap, unsigned *order);

/* 0, or CLI_BAD after saying that no host has blocks of this order. */
GW_MUST_CHECK int cli_order_possible(int64_t order);

/* The recorded host that comes with godwit, into `path`: maybe of no file. Returns `path`. */
const char *cli_bundled_snapshot(char path[PATH_MAX]);

/* The live host is out of reach: says why, and what to try. Returns CLI_DENIED. */
int cli_denied(const char *verb, const char *why);

/* Progress on stderr, where that is a terminal; `label` outlives it. */
struct cli_progress {
	const char *label;
	bool shown;
	int percent; /* last shown */
};
void cli_progress_init(struct cli_progress *progress, const char *label);
void cli_progress_show(struct cli_progress *progress, uint64_t done, uint64_t total);
void cli_progress_end(struct cli_progress *progress);

/* A file that appears under its name only when complete. */
struct cli_file {
	FILE *out;
	const char *path;
	char *target;	 /* what is replaced: path, or where it leads as a symbolic link */
	char *temporary; /* NULL: written in place (a device or a pipe) */
};
/*
 * Returns 0 or CLI_BAD after saying why. While there is a temporary file, an interrupt waits until
 * cli_file_commit() or cli_file_abandon() has cleaned up, and then ends the command.
 */
GW_MUST_CHECK int cli_file_open(struct cli_file *file, const char *path);
GW_MUST_CHECK int cli_file_commit(struct cli_file *file); /* 0, or CLI_BAD after saying why */
void cli_file_abandon(struct cli_file *file);

uint64_t cli_now_ns(void);

/*
 * From begin to end, an interrupt (SIGINT, SIGTERM, SIGHUP) only makes cli_interrupted() return
 * its number, 0 before that.
 */
void cli_interrupt_begin(void);
int cli_interrupted(void);
void cli_interrupt_end(void);

#endif
