/* SPDX-License-Identifier: MIT */
/*
 * options.c - reading the command line, strictly.
 *
 * Idea. A number is digits and nothing else, in its range, or the command stops: "-5", "",
 * "1e9" and 2^70 are mistakes to report, not values to guess at.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int
cli_fail(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	fflush(stdout);
	fprintf(stderr, "godwit: %s\n", text);
	return CLI_BAD;
}

static int
common_option(int option, const char *value, struct cli_common *c)
{
	static const char *const colors[] = {"auto", "always", "never", NULL};
	uint64_t n = 0;
	int choice;

	switch (option) {
	case CLI_OPT_JSON:
		c->json = true;
		return 0;
	case CLI_OPT_COLOR:
		choice = cli_choice("--color", value, colors);
		if (choice < 0)
			return CLI_BAD;
		c->color = (enum cli_color)choice;
		return 0;
	case CLI_OPT_WIDTH:
		return cli_number("--width", value, 40, 1000, &c->width);
	case CLI_OPT_SNAPSHOT:
		if (!value[0])
			return cli_fail("--snapshot: the file's name is empty");
		c->snapshot = value;
		return 0;
	case CLI_OPT_ORDER:
		/* Which orders there are, the host says: cli_load(). */
		choice = cli_number("--order", value, 0, UINT32_MAX, &n);
		c->order = (int64_t)n;
		return choice;
	default:
		return cli_fail("%s: option out of place", c->verb);
	}
}

/* Is `word`, "--s", short for more than one option? */
static bool
is_ambiguous(const char *word, const struct option *options)
{
	unsigned n = 0;

	if (strncmp(word, "--", 2) != 0)
		return false;
	for (const struct option *o = options; o->name; o++)
		n += strncmp(o->name, word + 2, strcspn(word + 2, "=")) == 0;
	return n > 1;
}

int
cli_next_option(
	int argc, char **argv, const struct option *options, struct cli_common *common, int *status)
{
	for (;;) {
		/* What getopt_long() is about to look at, for messages; it may permute later. */
		const int before = optind ? optind : 1;
		int option;

		opterr = 0;
		option = getopt_long(argc, argv, ":h", options, NULL);
		if (option == -1)
			return -1;
		if (option == 'h' || option == CLI_OPT_HELP) {
			fputs(common->help, stdout);
			*status = CLI_DONE;
			return -2;
		}
		if (option == ':' || option == '?') {
			const char *word = argv[optind > before ? optind - 1 : before];

			if (option == ':')
				*status = cli_fail(
					"%s: option '%s' needs a value", common->verb, word);
			else if (optopt > 0xff && strchr(word, '='))
				*status = cli_fail(
					"%s: option '%s' takes no value", common->verb, word);
			else
				*status = cli_fail("%s: %s option '%s'; try 'godwit %s --help'",
					common->verb,
					is_ambiguous(word, options) ? "ambiguous" : "unknown", word,
					common->verb);
			return -2;
		}
		if (option >= CLI_OPT_VERB)
			return option;
		*status = common_option(option, optarg, common);
		if (*status)
			return -2;
	}
}

int
cli_no_operands(int argc, char **argv)
{
	if (optind < argc)
		return cli_fail("%s: what is '%s'? It takes options only; try 'godwit %s --help'",
			argv[0], argv[optind], argv[0]);
	return 0;
}

int
cli_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	const bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	unsigned long long value;
	char *end;

	if (digits[0] == '\0' ||
		strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits))
		return cli_fail("%s: '%s' is not a whole number", option, text);
	errno = 0;
	value = strtoull(digits, &end, hex ? 16 : 10);
	if (errno || value < min || value > max)
		return cli_fail("%s: %s is out of range, which is %s to %s", option, text,
			gw_text_count(min).s, gw_text_count(max).s);
	*out = value;
	return 0;
}

int
cli_choice(const char *option, const char *text, const char *const *names)
{
	char all[128] = "";
	size_t len = 0;

	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
		len += (size_t)snprintf(
			all + len, sizeof all - len, "%s%s", len ? ", " : "", names[i]);
	}
	cli_fail("%s: '%s' is none of %s", option, text, all);
	return -1;
}
