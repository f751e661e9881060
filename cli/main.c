/* SPDX-License-Identifier: MIT */
/*
 * main.c - the godwit command: find the verb, run it.
 */
#include <string.h>

#include "cli.h"

static const struct cli_verb verbs[] = {
	{"apply", "compact this host, and compare with the plan", cli_apply},
	{"bench", "measure the engine on this machine", cli_bench},
	{"check", "run every interleaving of a few tasks, and show the race", cli_check},
	{"frag", "how fragmented memory is: free blocks, indices, a picture", cli_frag},
	{"plan", "what compaction would give, what it costs, what stands in the way", cli_plan},
	{"snapshot", "record this host's memory map as one file", cli_snapshot},
	{"stress", "run a workload on the engine, and look for what it lost", cli_stress},
};

static const struct cli_verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static int
no_such_verb(const char *name)
{
	char all[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && len < sizeof all; i++)
		len += (size_t)snprintf(
			all + len, sizeof all - len, "%s%s", i ? ", " : "", verbs[i].name);
	return cli_fail("there is no verb '%s', only %s; try 'godwit --help'", name, all);
}

static int
usage(void)
{
	printf("godwit: what this host's memory could still give, and at what price\n\n"
	       "usage: godwit VERB [OPTION]...\n\n");
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		printf("  %-9s %s\n", verbs[i].name, verbs[i].summary);
	printf("\n"
	       "  godwit VERB --help    what a verb does, with examples\n"
	       "  godwit --version      the version\n\n"
	       "Exit status: 0 done, 1 the answer is no, 2 bad usage or input, 3 not permitted.\n");
	return CLI_DONE;
}

static int
dispatch(int argc, char **argv)
{
	const struct cli_verb *verb;

	if (argc < 2)
		return cli_fail("no verb given; try 'godwit --help'");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		(strcmp(argv[1], "help") == 0 && argc == 2))
		return usage();
	if (strcmp(argv[1], "--version") == 0) {
		printf("godwit %s\n", GODWIT_VERSION);
		return CLI_DONE;
	}
	if (strcmp(argv[1], "help") == 0) {
		char help[] = "--help", *words[] = {argv[2], help, NULL};

		verb = find_verb(argv[2]);
		return verb ? verb->run(2, words) : no_such_verb(argv[2]);
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return no_such_verb(argv[1]);
	return verb->run(argc - 1, argv + 1);
}

int
main(int argc, char **argv)
{
	cli_begin();
	return cli_end(dispatch(argc, argv));
}
