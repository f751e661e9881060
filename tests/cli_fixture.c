/* SPDX-License-Identifier: MIT */
/* cli_fixture.c - see cli_fixture.h. */
#define _GNU_SOURCE /* asprintf() */
#include "test.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli_fixture.h"
#include "small_host.h"

char cli_directory[] = "/tmp/godwit-cli-XXXXXX";

static char *
read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t len = 0;
	FILE *copy = open_memstream(&text, &len);
	int c;

	assert_non_null(f);
	assert_non_null(copy);
	while ((c = fgetc(f)) != EOF)
		fputc(c, copy);
	fclose(f);
	fclose(copy);
	return text;
}

struct outcome
run(const char *command)
{
	struct outcome o;
	char *line, out[64], err[64];
	int status;

	snprintf(out, sizeof out, "%s/out", cli_directory);
	snprintf(err, sizeof err, "%s/err", cli_directory);
	assert_true(asprintf(&line, "T=%s; godwit() { '%s' \"$@\"; }; { %s ; } >%s 2>%s </dev/null",
			    cli_directory, getenv("GODWIT"), command, out, err) > 0);
	status = system(line);
	free(line);
	o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	o.out = read_all(out);
	o.err = read_all(err);
	return o;
}

void
outcome_free(struct outcome *o)
{
	free(o->out);
	free(o->err);
}

char *
run_well(const char *command, int status)
{
	struct outcome o = run(command);

	if (o.status != status || o.err[0])
		fail_msg("%s: status %d, stderr: %s", command, o.status, o.err);
	free(o.err);
	return o.out;
}

size_t
lines_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void
assert_refused(const char *const *commands, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct outcome o = run(commands[i]);

		if (o.status != 2 || o.out[0] || lines_of(o.err) != 1 ||
			strncmp(o.err, "godwit: ", 8) != 0 || strchr(o.err, '\033'))
			fail_msg("%s: status %d, stdout: %s stderr: %s", commands[i], o.status,
				o.out, o.err);
		outcome_free(&o);
	}
}

void
assert_plain(const char *what, const char *text)
{
	size_t column = 0;

	assert_true(text[0]);
	for (const char *p = text; *p; p++) {
		if (*p == '\n') {
			column = 0;
			continue;
		}
		if (*p < ' ' || *p > '~')
			fail_msg("%s: byte 0x%02x", what, (unsigned char)*p);
		if (++column > 80)
			fail_msg("%s: a line of more than 80 columns: %.81s", what, p - 80);
	}
}

json_t *
run_json(const char *command, int status)
{
	char *text = run_well(command, status);
	json_error_t error;
	json_t *o = json_loads(text, 0, &error);

	if (!o)
		fail_msg("%s: %s", command, error.text);
	assert_int_equal(lines_of(text), 1);
	free(text);
	return o;
}

int
cli_make_directory(void **state)
{
	char path[64];

	(void)state;
	if (!getenv("GODWIT") || !mkdtemp(cli_directory) || chmod(cli_directory, 0755) != 0)
		return -1;
	snprintf(path, sizeof path, "%s/small.tar", cli_directory);
	small_host_write(path);
	return 0;
}

int
cli_remove_directory(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", cli_directory);
	return system(command);
}
