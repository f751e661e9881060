/* SPDX-License-Identifier: MIT */
/*
 * cli_fixture.h - running the command as its users do.
 *
 * The command is $GODWIT; it is run by the shell, its streams in files of a directory of
 * their own. Where any host does, it reads a small one, made there.
 */
#ifndef GODWIT_CLI_FIXTURE_H
#define GODWIT_CLI_FIXTURE_H

#include <jansson.h>
#include <stddef.h>

/* A recorded host, and one made here of few frames, which is read in no time; $T is
 * cli_directory. */
#define REAL  "data/thp.before.tar.zst"
#define SMALL "$T/small.tar"

extern char cli_directory[];

struct outcome {
	int status; /* 128 + signal if it was killed */
	char *out, *err;
};

/* Run a shell command in which "godwit" is the command. outcome_free() afterwards. */
struct outcome run(const char *command);
void outcome_free(struct outcome *o);
/* Run, and expect this status and a silent stderr. What it printed is the caller's to free. */
char *run_well(const char *command, int status);
/* The same, of one line of JSON. */
json_t *run_json(const char *command, int status);
/* Each of n commands is refused: status 2, one line on stderr, nothing on stdout, and nothing of
 * the command line that a terminal would obey. */
void assert_refused(const char *const *commands, size_t n);

size_t lines_of(const char *text);
/* Printable ASCII in lines of at most 80. */
void assert_plain(const char *what, const char *text);

/* cmocka's, of a group: the directory with the small host. */
int cli_make_directory(void **state);
int cli_remove_directory(void **state);

#endif
