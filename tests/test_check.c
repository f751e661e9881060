/* SPDX-License-Identifier: MIT */
/*
 * test_check.c - `godwit check` as its users meet it.
 */
#include "test.h"

#include <string.h>

#include "cli_fixture.h"

#define FOUND "godwit check put-and-wait --without put-and-wait"

/* Whatever is wrong: status 2, one line on stderr that begins with "godwit: ", nothing on stdout.
 */
static void
bad_input_is_one_line(void **state)
{
	static const char *const commands[] = {
		"godwit check --nonsense",
		"godwit check nonsense",
		"godwit check put-and-wait nonsense",
		"godwit check ''",
		"godwit check --without",
		"godwit check --without ''",
		"godwit check --without nonsense",
		"godwit check --without put-and-wait,",
		"godwit check --without put-and-wait,nonsense",
		"godwit check --without put-and-wait-",
		"godwit check --search brute",
		"godwit check --budget 0",
		"godwit check --budget 0s",
		"godwit check --budget s",
		"godwit check --budget 1.5s",
		"godwit check --budget 10m",
		"godwit check --budget -1",
		"godwit check --budget 99999999999999999999999999999999999999s",
		"godwit check --seed -1",
		"godwit check --schedule a",
		"godwit check put-and-wait --schedule z",
		"godwit check put-and-wait --schedule 12",
		"godwit check put-and-wait --schedule a0",
		"godwit check put-and-wait --schedule a2c",
		"godwit check put-and-wait --schedule a2147483647a",
		"godwit check put-and-wait --schedule a --budget 5",
		"godwit check put-and-wait --schedule a --search pct",
		"godwit check put-and-wait faulters --schedule a",
		"godwit check put-and-wait --schedule a --list",
		"godwit check --list --table",
		"godwit check --measure",
		"godwit check put-and-wait --measure",
		"godwit check faulters --measure --without put-and-wait",
		"godwit check put-and-wait --svg $T/x.svg",
		"godwit check faulters --measure --html $T/x.html",
		"godwit check put-and-wait --html ''",
		"godwit check put-and-wait --html -",
		"godwit check put-and-wait --html $T",
		"godwit check put-and-wait --html $T/none/x.html",
		"godwit check put-and-wait --width 5",
		"godwit check put-and-wait --color purple",
		"godwit check --$(printf '\\033[31m')",
	};

	(void)state;
	assert_refused(commands, sizeof commands / sizeof commands[0]);
}

/* An unknown name is answered with those there are. */
static void
names_are_named(void **state)
{
	struct outcome o = run("godwit check --without nonsense");

	(void)state;
	assert_non_null(strstr(o.err, "'nonsense'"));
	assert_non_null(strstr(o.err, "put-and-wait"));
	assert_non_null(strstr(o.err, "charge-before-put")); /* the last */
	outcome_free(&o);
	o = run("godwit check nonsense");
	assert_non_null(strstr(o.err, "put-and-wait"));
	outcome_free(&o);
}

/* Status 0 and how far it looked; 1 and the timeline; the schedule in it finds the same again. */
static void
status_is_the_answer(void **state)
{
	char *text = run_well("godwit check put-and-wait", 0), *again, *schedule;
	char command[512];

	(void)state;
	assert_non_null(strstr(text, "put-and-wait: nothing found; exhausted: every interleaving"));
	free(text);
	text = run_well("godwit check put-and-wait --search pct --budget 2", 0);
	assert_non_null(strstr(text, "sampled: 2 runs"));
	free(text);
	text = run_well(FOUND, 1);
	assert_non_null(strstr(text, "What broke, after step"));
	assert_non_null(strstr(text, "The story: a task that waits"));
	assert_non_null(strstr(text, "migrator"));
	schedule = strstr(text, "--schedule ");
	assert_non_null(schedule);
	schedule[strcspn(schedule, "\n")] = '\0';
	snprintf(command, sizeof command, FOUND " %s", schedule);
	again = run_well(command, 1);
	assert_non_null(strstr(again, schedule));
	assert_non_null(strstr(again, "What broke, after step"));
	free(again);
	free(text);
}

/* Without scenarios, --without runs those that show the fix. */
static void
fixes_choose_scenarios(void **state)
{
	json_t *o = run_json("godwit check --without put-and-wait --budget 5s --json", 1);
	const json_t *results = json_object_get(o, "results");
	const char *name = NULL, *without = NULL;

	(void)state;
	assert_int_equal(json_array_size(results), 1);
	assert_int_equal(json_unpack(json_array_get(results, 0), "{s:s, s:[s]}", "scenario", &name,
				 "without", &without),
		0);
	assert_string_equal(name, "put-and-wait");
	assert_string_equal(without, "put-and-wait");
	json_decref(o);
}

/* docs/json.md: what there is to search, and to leave out. */
static void
list_json_is_as_documented(void **state)
{
	json_t *o = run_json("godwit check --list --json", 0);
	json_t *scenarios = NULL, *fixes = NULL, *each;
	const char *schema = NULL, *name, *row;
	size_t i;

	(void)state;
	assert_int_equal(json_unpack(o, "{s:s, s:o, s:o}", "schema", &schema, "scenarios",
				 &scenarios, "fixes", &fixes),
		0);
	assert_string_equal(schema, "godwit.check");
	assert_true(json_array_size(scenarios) > 0);
	assert_true(json_array_size(fixes) >= 23);
	json_array_foreach(scenarios, i, each)
	{
		assert_int_equal(json_unpack(each, "{s:s, s:s}", "name", &name, "row", &row), 0);
		assert_true(name[0] && row[0]);
	}
	json_array_foreach(fixes, i, each)
	{
		assert_int_equal(json_unpack(each, "{s:s, s:s}", "name", &name, "row", &row), 0);
		assert_true(name[0] && row[0]);
	}
	json_decref(o);
}

/* docs/json.md: a search, with its steps. */
static void
json_is_as_documented(void **state)
{
	json_t *o = run_json(FOUND " --json", 1), *run = NULL, *trace = NULL, *result;
	const char *kind = NULL, *message = NULL, *extent = NULL, *schedule = NULL, *op = NULL;
	int found = 0, steps = 0, step = 0;

	(void)state;
	assert_int_equal(json_unpack(o, "{s:b}", "found", &found), 0);
	assert_true(found);
	result = json_array_get(json_object_get(o, "results"), 0);
	assert_int_equal(json_unpack(result, "{s:{s:s, s:s}, s:[{s:s, s:i}], s:o}", "finding",
				 "kind", &kind, "message", &message, "searches", "extent", &extent,
				 "steps", &steps, "run", &run),
		0);
	assert_string_equal(kind, "wrong result");
	assert_true(message[0] && steps > 0);
	assert_string_equal(extent, "sampled");
	assert_int_equal(json_unpack(run, "{s:s, s:o}", "schedule", &schedule, "trace", &trace), 0);
	assert_true(json_array_size(trace) > 100);
	assert_int_equal(
		json_unpack(json_array_get(trace, 1), "{s:i, s:s}", "step", &step, "op", &op), 0);
	assert_int_equal(step, 2);
	json_decref(o);
}

/* The page is complete, has a row a step, and needs nothing else: no address of anything. */
static void
html_is_whole(void **state)
{
	char *text = run_well(FOUND " --html $T/p.html >/dev/null; cat $T/p.html", 0), *at = text;
	size_t rows = 0;

	(void)state;
	assert_memory_equal(text, "<!DOCTYPE html>", 15);
	assert_string_equal(text + strlen(text) - 8, "</html>\n");
	while ((at = strstr(at, "<tr><td class=\"n\">"))) {
		rows++;
		at++;
	}
	assert_true(rows > 100);
	assert_null(strstr(text, "http"));
	assert_null(strstr(text, "@BODY@"));
	assert_non_null(strstr(text, "&gt;"));
	free(text);
	if (system("command -v xmllint >/dev/null") == 0) {
		text = run_well("xmllint --html --noout $T/p.html 2>&1 | grep -v 'Tag .* invalid' "
				"| grep -c error || true",
			0);
		assert_string_equal(text, "0\n");
		free(text);
	}
}

/* In a pipe there is neither colour nor anything beyond 80 columns; narrow is narrow. */
static void
pipes_are_plain(void **state)
{
	static const char *const commands[] = {
		"godwit check --help",
		"godwit help check",
		"godwit check --list",
		"godwit check put-and-wait",
		"TERM=xterm-256color COLUMNS=200 " FOUND " || true",
		FOUND " --width 40 || true",
	};
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		text = run_well(commands[i], 0);
		assert_plain(commands[i], text);
		free(text);
	}
	text = run_well("{ " FOUND " --width 40 || true; } | awk 'length > 40' | wc -l", 0);
	assert_int_equal(strtol(text, NULL, 10), 0);
	free(text);
	text = run_well(FOUND " --color always || true", 0);
	assert_non_null(strchr(text, '\033'));
	free(text);
	text = run_well("godwit check --help", 0);
	assert_non_null(strstr(text, "Examples:\n"));
	free(text);
}

/* Migration against waiting tasks: none is lost to the way to wait of today, some are to the first.
 */
static void
waiting_is_measured(void **state)
{
	json_t *o =
		run_json("godwit check faulters --measure --budget 400 --svg $T/f.svg --json", 0);
	const json_t *rows = json_object_get(o, "faulters"), *row;
	int lost[3] = {0};
	char *svg;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(rows), 15);
	json_array_foreach(rows, i, row)
	{
		int calls = 0, moved = 0, passes = 0;

		assert_int_equal(
			json_unpack((json_t *)(uintptr_t)row, "{s:{s:i, s:i, s:i}}", "random",
				"calls", &calls, "moved", &moved, "passes", &passes),
			0);
		assert_int_equal(calls, 400);
		assert_in_range(passes, calls, 10 * calls);
		lost[i / 5] += calls - moved;
	}
	assert_true(lost[0] > 0);
	assert_int_equal(lost[2], 0);
	json_decref(o);
	svg = run_well("cat $T/f.svg", 0);
	assert_memory_equal(svg, "<svg ", 5);
	assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
	free(svg);
}

/* The table of docs/explorer.md: a row for a fix and its scenario, and the speed. */
static void
table_has_its_rows(void **state)
{
	char *text = run_well("godwit check put-and-wait --table --budget 3s", 0);

	(void)state;
	assert_non_null(strstr(text, "| put-and-wait | C1 | `put-and-wait` | wrong result |"));
	assert_non_null(strstr(text, "| exhausted: every interleaving"));
	assert_non_null(strstr(text, "runs a second"));
	free(text);
}

/* Where the program with the explorer is not there, one line says where it was looked for. */
static void
missing_program_is_told(void **state)
{
	struct outcome o = run("cp \"$GODWIT\" $T/alone && $T/alone check");

	(void)state;
	if (o.status != 2) { /* an installed one was found */
		outcome_free(&o);
		skip();
	}
	assert_int_equal(lines_of(o.err), 1);
	assert_non_null(strstr(o.err, "godwit-check: No such file or directory"));
	assert_string_equal(o.out, "");
	outcome_free(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_input_is_one_line),
		cmocka_unit_test(names_are_named),
		cmocka_unit_test(status_is_the_answer),
		cmocka_unit_test(fixes_choose_scenarios),
		cmocka_unit_test(list_json_is_as_documented),
		cmocka_unit_test(json_is_as_documented),
		cmocka_unit_test(html_is_whole),
		cmocka_unit_test(pipes_are_plain),
		cmocka_unit_test(waiting_is_measured),
		cmocka_unit_test(table_has_its_rows),
		cmocka_unit_test(missing_program_is_told),
	};

	return cmocka_run_group_tests_name(
		"check", tests, cli_make_directory, cli_remove_directory);
}
