/* SPDX-License-Identifier: MIT */
/*
 * check.c - `godwit check`: hands over to the program that has the explorer.
 *
 * Idea. The engine for threads and the engine for the explorer have the same names, so each needs
 * a program of its own: godwit-check, beside this one in a build, in libexecdir otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define PROGRAM "godwit-check"

/* `place` as seen from the directory of this program, into `path`. False: there is none. */
static bool
find_beside(const char *place, char path[PATH_MAX])
{
	char self[PATH_MAX], *slash;
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	if (!slash || strlen(place) >= sizeof self - (size_t)(slash + 1 - self))
		return false;
	strcpy(slash + 1, place);
	return realpath(self, path) && access(path, X_OK) == 0;
}

int
cli_check(int argc, char **argv)
{
	char path[PATH_MAX];

	(void)argc;
	if (!find_beside(PROGRAM, path) && !find_beside("../libexec/godwit/" PROGRAM, path))
		snprintf(path, sizeof path, "%s", GODWIT_LIBEXECDIR "/" PROGRAM);
	execv(path, argv);
	return cli_fail("check: %s: %s; it comes with godwit's explorer", path, strerror(errno));
}
