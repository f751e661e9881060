/* SPDX-License-Identifier: MIT */
/*
 * output.c - files that are complete or not there, the standard streams, and the time.
 */
#define _GNU_SOURCE /* asprintf(), mkostemp() */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* A closed stdin, stdout or stderr would give its number to the next file that is opened. */
static void
fill_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", O_RDONLY) == -1)
			_exit(CLI_BAD);
	}
}

void
cli_begin(void)
{
	fill_standard_streams();
	signal(SIGPIPE, SIG_IGN); /* a write then fails with EPIPE */
	setlocale(LC_CTYPE, "");
}

/* The report is worth nothing if it did not arrive; a reader that has seen enough is no error. */
int
cli_end(int status)
{
	bool failed = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout) != 0)
		failed = true;
	if (!failed || errno == EPIPE)
		return status;
	return cli_fail("standard output: %s", errno ? strerror(errno) : "write error");
}

static int
open_in_place(struct cli_file *file)
{
	file->out = fopen(file->path, "we");
	if (!file->out)
		return cli_fail("%s: %s", file->path, strerror(errno));
	return 0;
}

/* Make and open file->temporary. Returns 0 or a negative errno. */
static int
open_temporary(struct cli_file *file)
{
	const mode_t mask = umask(0);
	int fd, ret;

	umask(mask);
	fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0666 & ~mask) == 0)
		file->out = fdopen(fd, "w");
	if (file->out)
		return 0;
	ret = -errno;
	unlink(file->temporary);
	close(fd);
	return ret;
}

static int
open_beside(struct cli_file *file)
{
	int ret = -ENOMEM;

	file->target = realpath(file->path, NULL);
	if (!file->target)
		file->target = strdup(file->path);
	if (!file->target || asprintf(&file->temporary, "%s.XXXXXX", file->target) < 0)
		file->temporary = NULL;
	if (file->temporary)
		ret = open_temporary(file);
	if (ret == 0)
		return 0;
	free(file->target);
	free(file->temporary);
	return cli_fail("%s: %s", file->path, strerror(-ret));
}

int
cli_file_open(struct cli_file *file, const char *path)
{
	struct stat st;
	int status;

	*file = (struct cli_file){.path = path};
	/* Renaming over a device would replace the device. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		status = open_in_place(file);
	} else {
		cli_interrupt_begin();
		status = open_beside(file);
		if (status)
			cli_interrupt_end();
	}
	errno = 0; /* what it is when a write has failed, the write made it */
	return status;
}

/* Close, and let an interrupt that came meanwhile have its way. */
static void
end_file(struct cli_file *file)
{
	fclose(file->out);
	if (!file->temporary)
		return;
	free(file->target);
	free(file->temporary);
	cli_interrupt_end();
	if (cli_interrupted())
		raise(cli_interrupted());
}

int
cli_file_commit(struct cli_file *file)
{
	int error = errno;
	bool failed = ferror(file->out) != 0;

	if (!failed) {
		errno = 0;
		failed = fflush(file->out) != 0;
		if (!failed && file->temporary)
			failed = fsync(fileno(file->out)) != 0 ||
				 rename(file->temporary, file->target) != 0;
		error = errno;
	}
	if (failed)
		cli_fail("%s: %s", file->path, error ? strerror(error) : "cannot be written");
	if (failed && file->temporary)
		unlink(file->temporary);
	end_file(file);
	return failed ? CLI_BAD : 0;
}

void
cli_file_abandon(struct cli_file *file)
{
	if (file->temporary)
		unlink(file->temporary);
	end_file(file);
}

uint64_t
cli_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
