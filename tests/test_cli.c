/* SPDX-License-Identifier: MIT */
/*
 * test_cli.c - the command as its users meet it: statuses, messages, JSON, where output goes.
 */
#define _GNU_SOURCE /* asprintf() */
#include "test.h"

#include <archive.h>
#include <archive_entry.h>
#include <glob.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli_fixture.h"
#include "godwit/zone.h"

/* Whatever is wrong: status 2, one line on stderr that begins with "godwit: ", nothing on stdout.
 */
static void
bad_input_is_one_line(void **state)
{
	static const char *const commands[] = {
		"godwit",
		"godwit nonsense",
		"godwit help nonsense",
		"godwit plan --nonsense",
		"godwit plan -x",
		"godwit plan nonsense",
		"godwit plan --order",
		"godwit plan --order 99",
		"godwit frag --order 99",
		"godwit plan --order 99 --snapshot " SMALL,
		"godwit frag --order 11 --snapshot " SMALL,
		"godwit plan --order '' --snapshot " SMALL,
		"godwit plan --order -1 --snapshot " SMALL,
		"godwit plan --order ' 9' --snapshot " SMALL,
		"godwit plan --count -5 --snapshot " SMALL,
		"godwit plan --count 5x --snapshot " SMALL,
		"godwit plan --count 1e3 --snapshot " SMALL,
		"godwit plan --count 0x --snapshot " SMALL,
		"godwit plan --count '' --snapshot " SMALL,
		"godwit plan --count 1180591620717411303424 --snapshot " SMALL,
		"godwit plan --planner magic --snapshot " SMALL,
		"godwit plan --reclaim all --snapshot " SMALL,
		"godwit plan --stop-at 0xffffffff --snapshot " SMALL,
		"godwit plan --stop-at 0xfffffff0 --snapshot " SMALL,
		"godwit plan --stop-at 5 --planner evacuate --snapshot " SMALL,
		"godwit plan --ns-per-page 0 --snapshot " SMALL,
		"godwit plan --width 5 --snapshot " SMALL,
		"godwit plan --color=purple --snapshot " SMALL,
		"godwit plan --json=yes --snapshot " SMALL,
		"godwit plan --html '' --snapshot " SMALL,
		"godwit plan --html $T --snapshot " SMALL,
		"godwit plan --html $T/none/x.html --snapshot " SMALL,
		"godwit plan --snapshot ''",
		"godwit plan --snapshot $T/none",
		"godwit plan --snapshot $T",
		"godwit plan --snapshot /dev/null",
		"godwit plan --snapshot meson.build",
		"godwit plan --s " SMALL,
		"godwit plan --html - --snapshot " SMALL,
		"godwit snapshot -",
		"godwit help nonsense more",
		"head -c 100000 " REAL " | godwit plan --snapshot -",
		"godwit frag --count 5",
		"godwit snapshot",
		"godwit snapshot ''",
		"godwit snapshot $T/a $T/b",
		"godwit snapshot " SMALL,
		"godwit snapshot --force /dev/null",
		"godwit snapshot --force $T",
		"godwit stress",
		"godwit stress calm",
		"godwit stress storm storm",
		"godwit stress storm --seconds 0",
		"godwit stress storm --threads 0",
		"godwit stress storm --seed -1",
		"godwit stress storm --memory 1",
		"godwit plan --$(printf '\\033[31m')",
	};

	(void)state;
	assert_refused(commands, sizeof commands / sizeof commands[0]);
}

/* An order that the host does not have is answered with those it has. */
static void
range_is_named(void **state)
{
	struct outcome o = run("godwit plan --order 99 --snapshot " SMALL);

	(void)state;
	assert_non_null(strstr(o.err, "0 to 10"));
	outcome_free(&o);
}

/* Every help fits 80 columns and has examples. */
static void
helps(void **state)
{
	static const char *const verbs[] = {"frag", "plan", "snapshot", "stress"};
	char command[64], *text = run_well("godwit --help", 0), *version;

	(void)state;
	assert_plain("--help", text);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		char *help;

		assert_non_null(strstr(text, verbs[i]));
		snprintf(command, sizeof command, "godwit %s --help", verbs[i]);
		help = run_well(command, 0);
		assert_plain(command, help);
		assert_non_null(strstr(help, "Examples:\n"));
		free(help);
	}
	free(text);
	version = run_well("godwit --version", 0);
	assert_int_equal(strncmp(version, "godwit ", 7), 0);
	free(version);
}

/* In a pipe there is neither colour nor anything beyond 80 columns, whatever the environment. */
static void
pipes_are_plain(void **state)
{
	static const char *const commands[] = {
		"godwit frag --snapshot " REAL,
		"godwit plan --snapshot " REAL,
		"godwit frag --width 60 --snapshot " SMALL,
		"LC_ALL=C.UTF-8 TERM=xterm-256color COLUMNS=200 godwit plan --snapshot " SMALL,
		"godwit plan --color=never --snapshot " SMALL,
		"godwit stress storm --seconds 1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		char *text = run_well(commands[i], 0);

		assert_plain(commands[i], text);
		free(text);
	}
}

/* On a terminal there is colour, unless NO_COLOR says otherwise; a clear wish beats both. */
static void
colour_is_chosen(void **state)
{
	static const struct {
		const char *command;
		bool colour;
	} rows[] = {
		{"godwit frag --color=always --snapshot " SMALL, true},
		{"NO_COLOR=1 godwit frag --color=always --snapshot " SMALL, true},
		{"TERM=xterm script -qec \"'$GODWIT' frag --snapshot " SMALL "\" $T/typescript",
			true},
		{"NO_COLOR=1 TERM=xterm script -qec \"'$GODWIT' frag --snapshot " SMALL
		 "\" $T/typescript",
			false},
		{"TERM=dumb script -qec \"'$GODWIT' frag --snapshot " SMALL "\" $T/typescript",
			false},
	};

	(void)state;
	if (system("command -v script >/dev/null") != 0)
		skip();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = run_well(rows[i].command, 0);

		if ((strchr(text, '\033') != NULL) != rows[i].colour)
			fail_msg("%s: colour is not as it should be", rows[i].command);
		free(text);
	}
}

/* "name:type ..." with type i(nteger), s(tring), a(rray of integers), o(bject), l(ist), r(eal),
 * b(oolean). */
static void
assert_members(const json_t *o, const char *members)
{
	char *copy = strdup(members), *save;

	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *colon = strchr(word, ':');
		const json_t *value;
		bool good = false;

		*colon = '\0';
		value = json_object_get(o, word);
		switch (colon[1]) {
		case 'i':
			good = json_is_integer(value);
			break;
		case 's':
			good = json_is_string(value);
			break;
		case 'a':
			good = json_is_array(value) && json_array_size(value) == 11 &&
			       json_is_integer(json_array_get(value, 10));
			break;
		case 'l':
			good = json_is_array(value);
			break;
		case 'o':
			good = json_is_object(value);
			break;
		case 'r':
			good = json_is_real(value);
			break;
		case 'b':
			good = json_is_boolean(value);
			break;
		}
		if (!good)
			fail_msg("member \"%s\" is missing or no '%c'", word, colon[1]);
	}
	free(copy);
}

/* docs/json.md: what godwit.frag holds. */
static void
frag_json_is_as_documented(void **state)
{
	json_t *o = run_json("godwit frag --json --snapshot " REAL, 0), *zone;
	size_t i;

	(void)state;
	assert_members(o, "schema:s version:i source:s kernel:s missing:s page_size:i "
			  "pageblock_order:i order:i zones:l total:o");
	assert_string_equal(json_string_value(json_object_get(o, "schema")), "godwit.frag");
	assert_int_equal(json_array_size(json_object_get(o, "zones")), 3);
	for (i = 0; (zone = json_array_get(json_object_get(o, "zones"), i)) != NULL; i++) {
		assert_members(zone,
			"node:i zone:s free_blocks:a unusable_index:a fragmentation_index:a "
			"score:i available:i start_pfn:i spanned:i present:i managed:i free:i "
			"watermarks:o migratetypes:o pcp:o notes:o");
		assert_members(json_object_get(zone, "pcp"),
			"cpus:i count:i placed:i certain:i confidence:i high:i batch:i");
		assert_members(json_object_get(json_object_get(zone, "migratetypes"), "movable"),
			"pageblocks:i free_blocks:a free_blocks_capped:b");
	}
	assert_members(
		json_object_get(o, "total"), "free_blocks:a score:i available:i pageblocks:o");
	json_decref(o);
}

static const char outcome_members[] =
	"free_blocks_before:a free_blocks_after:a available_before:i available_after:i "
	"available_after_held:i pages_migrated:i pages_failed:i migrate_scanned:i free_scanned:i "
	"result:s blockers:o";

static json_int_t
integer(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* DESIGN 9: every pageblock says what it would take to free it, or which kinds block it. */
static void
plan_json_attributes_each_pageblock(void **state)
{
	json_t *o = run_json("godwit plan --json --pageblocks --snapshot " REAL, 0), *block;
	json_t *blocks = json_object_get(o, "pageblocks");
	size_t i, n_freed = 0;

	(void)state;
	json_array_foreach(blocks, i, block)
	{
		json_int_t blocking = 0;
		const char *kind;
		json_t *n;

		assert_members(block, "pfn:i zone:s migratetype:s state:s state_after:s free:i "
				      "to_move:i blocking:i blockers:o");
		json_object_foreach(json_object_get(block, "blockers"), kind, n) blocking +=
			json_integer_value(n);
		assert_int_equal(blocking, integer(block, "blocking"));
		if (strcmp(json_string_value(json_object_get(block, "state_after")), "free"))
			continue;
		assert_int_equal(blocking, 0);
		n_freed += integer(block, "to_move") > 0;
	}
	assert_true(n_freed > 0);
	json_decref(o);
}

/* docs/json.md: what godwit.plan holds; the total is the sum of the zones. */
static void
plan_json_is_as_documented(void **state)
{
	static const char *const summed[] = {"available_before", "available_after",
		"pages_migrated", "migrate_scanned", "free_scanned"};
	json_t *o = run_json("godwit plan --json --snapshot " REAL, 0), *zone, *total, *blockers;
	json_int_t sums[5] = {0};
	size_t i;

	(void)state;
	assert_members(o, "schema:s version:i source:s kernel:s request:o answer:s cost:s help:s "
			  "enough:b zones:l total:o stops:l stops_total:i timing:o");
	assert_string_equal(json_string_value(json_object_get(o, "schema")), "godwit.plan");
	assert_members(json_object_get(o, "request"),
		"order:i count:i planner:s reclaim:s ns_per_page:i ns_per_scanned:i");
	for (i = 0; (zone = json_array_get(json_object_get(o, "zones"), i)) != NULL; i++) {
		assert_members(zone, "node:i zone:s start_pfn:i end_pfn:i notes:o");
		assert_members(zone, outcome_members);
		for (size_t k = 0; k < 5; k++)
			sums[k] += integer(zone, summed[k]);
	}
	total = json_object_get(o, "total");
	assert_members(total, outcome_members);
	assert_members(total, "bytes_copied:i seconds_estimate:r reclaimable_frames:i "
			      "pageblocks_before:o pageblocks_after:o");
	for (size_t k = 0; k < 5; k++)
		assert_int_equal(integer(total, summed[k]), sums[k]);
	blockers = json_object_get(total, "blockers");
	for (void *at = json_object_iter(blockers); at; at = json_object_iter_next(blockers, at))
		assert_members(json_object_iter_value(at), "pages:i pageblocks:i sole:i");
	json_decref(o);
}

/* Status 0 if as many can be had as were asked for, 1 if not, and the JSON says the same. */
static void
status_is_the_answer(void **state)
{
	json_t *o = run_json("godwit plan --count 7 --json --snapshot " SMALL, 0);
	char *text;

	(void)state;
	assert_true(json_is_true(json_object_get(o, "enough")));
	json_decref(o);
	o = run_json("godwit plan --count 4000000 --json --snapshot " SMALL, 1);
	assert_true(json_is_false(json_object_get(o, "enough")));
	json_decref(o);
	text = run_well("godwit plan --count 4000000 --planner evacuate --snapshot " SMALL, 1);
	assert_non_null(strstr(text, "No: 4,000,000 huge pages of 2 MiB cannot be had, only "));
	free(text);
}

/* Frames may be given in decimal and in hexadecimal; 0x1e00 is 7680. */
static void
frames_in_both_notations(void **state)
{
	json_t *a = run_json("godwit plan --stop-at 0x1e00 --json --snapshot " SMALL, 0);
	json_t *b = run_json("godwit plan --stop-at 7680 --json --snapshot " SMALL, 0);

	(void)state;
	assert_int_equal(integer(json_object_get(a, "request"), "stop_at"), 0x1e00);
	assert_true(json_equal(json_object_get(a, "total"), json_object_get(b, "total")));
	json_decref(a);
	json_decref(b);
}

/* A text member of a snapshot's archive; the caller's to free. */
static char *
archive_member(const char *path, const char *name)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	char *text = NULL;

	archive_read_support_filter_all(a);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_filename(a, path, 65536), ARCHIVE_OK);
	while (!text && archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		const char *member = archive_entry_pathname(entry);
		const size_t size = (size_t)archive_entry_size(entry);

		if (strncmp(member, "./", 2) == 0)
			member += 2;
		if (strcmp(member, name) != 0)
			continue;
		text = calloc(1, size + 1);
		assert_non_null(text);
		assert_int_equal(archive_read_data(a, text, size), (la_ssize_t)size);
	}
	archive_read_free(a);
	assert_non_null(text);
	return text;
}

/* How many of a zone's figures differ from debugfs's line, by one thousandth at most. */
static unsigned
compare_line(const char *snapshot, char *line, const json_t *zone, const char *member, bool padded)
{
	const json_t *values = json_object_get(zone, member);
	unsigned differ = 0, k = 0;
	char *save, *word;

	strtok_r(line, " ", &save); /* Node */
	assert_int_equal(integer(zone, "node"), strtol(strtok_r(NULL, " ,", &save), NULL, 10));
	strtok_r(NULL, " ", &save); /* zone */
	assert_string_equal(
		strtok_r(NULL, " ", &save), json_string_value(json_object_get(zone, "zone")));
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		const int value = (int)json_integer_value(json_array_get(values, k++));
		char text[16];

		gw_index_format(text, sizeof text, value, padded);
		if (strcmp(text + strspn(text, " "), word) == 0)
			continue;
		differ++;
		/* Six characters at most, so thousandths are exact in a double. */
		if (strtod(word, NULL) * 1000 - value > 1.5 ||
			strtod(word, NULL) * 1000 - value < -1.5)
			fail_msg("%s: %s: %s is %s in debugfs", snapshot, member, text, word);
	}
	assert_int_equal(k, json_array_size(values));
	return differ;
}

/* As above, all zones of a snapshot. */
static unsigned
compare_figures(
	const char *snapshot, const json_t *o, const char *file, const char *member, bool padded)
{
	char *text = archive_member(snapshot, file), *save, *line;
	unsigned differ = 0;
	size_t i = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const json_t *zone = json_array_get(json_object_get(o, "zones"), i++);

		differ += compare_line(snapshot, line, zone, member, padded);
	}
	assert_int_equal(i, json_array_size(json_object_get(o, "zones")));
	free(text);
	return differ;
}

/*
 * FACTS 1.5: on each recorded host the figures are debugfs's, digit for digit. The files of a
 * snapshot are read one after the other: where memory was allocated between buddyinfo and
 * debugfs, a few of the 66 figures may be off by the last digit, on most hosts none is.
 */
static void
figures_are_those_of_debugfs(void **state)
{
	unsigned exact = 0;
	glob_t found;

	(void)state;
	assert_int_equal(glob("data/*.before.tar.zst", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *command;
		unsigned differ;
		json_t *o;

		assert_true(asprintf(&command, "godwit frag --json --snapshot '%s'",
				    found.gl_pathv[i]) > 0);
		o = run_json(command, 0);
		differ = compare_figures(
			found.gl_pathv[i], o, "unusable_index", "unusable_index", false);
		assert_in_range(differ, 0, 4);
		exact += differ == 0;
		assert_int_equal(compare_figures(found.gl_pathv[i], o, "extfrag_index",
					 "fragmentation_index", true),
			0);
		print_message("# %s: %u figures off by 0.001\n", found.gl_pathv[i], differ);
		json_decref(o);
		free(command);
	}
	assert_true(exact > 0);
	globfree(&found);
}

/* The page is there, complete, and nothing is left beside it; a link leads to it as before. */
static void
html_is_written(void **state)
{
	struct outcome o = run("mkdir $T/h && touch $T/h/p.html && ln -s $T/h/p.html $T/link && "
			       "godwit plan --html $T/link --snapshot " REAL
			       " >/dev/null && ls $T/h && tail -n 1 $T/h/p.html");

	(void)state;
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
	assert_string_equal(o.out, "p.html\n</html>\n");
	outcome_free(&o);
}

/* A full disk is an error, also for the last buffer; a reader that leaves early is none. */
static void
output_errors(void **state)
{
	struct outcome o = run("godwit frag --snapshot " SMALL " >/dev/full");

	(void)state;
	assert_int_equal(o.status, 2);
	assert_int_equal(lines_of(o.err), 1);
	outcome_free(&o);
	o = run("godwit plan --html /dev/full --snapshot " SMALL " >/dev/null");
	assert_int_equal(o.status, 2);
	assert_string_equal(o.err, "godwit: /dev/full: No space left on device\n");
	outcome_free(&o);
	o = run("godwit --version >/dev/full");
	assert_int_equal(o.status, 2);
	outcome_free(&o);
	o = run("godwit --version >&-");
	assert_int_equal(o.status, 2);
	outcome_free(&o);
	o = run("{ godwit frag --snapshot " SMALL "; echo $? >$T/status; } | true; "
		"cat $T/status");
	assert_string_equal(o.out, "0\n");
	assert_string_equal(o.err, "");
	outcome_free(&o);
}

/* Whoever may not read the live host is told which snapshot to try, with status 3. */
static void
denied_names_a_snapshot(void **state)
{
	const char *as_nobody = geteuid() == 0 ? "setpriv --reuid=65534 --clear-groups" : "";
	struct outcome o;
	char *command;

	(void)state;
	assert_true(asprintf(&command, "%s \"$GODWIT\" frag", as_nobody) > 0);
	o = run(command);
	free(command);
	if (o.status == 126 || o.status == 127) { /* nobody cannot reach the build directory */
		outcome_free(&o);
		skip();
	}
	assert_int_equal(o.status, 3);
	assert_int_equal(lines_of(o.err), 1);
	assert_non_null(strstr(o.err, "--snapshot "));
	assert_non_null(strstr(o.err, "anon-settled.before.tar.zst"));
	outcome_free(&o);
}

/* An interrupted recording leaves nothing; a finished one is there and can be read again. */
static void
recording(void **state)
{
	struct outcome o = run("mkdir $T/s && godwit snapshot --json $T/s/host.tar.zst");
	char *again;

	(void)state;
	if (o.status == 3) {
		outcome_free(&o);
		skip();
	}
	assert_int_equal(o.status, 0);
	assert_string_equal(o.err, "");
	assert_non_null(strstr(o.out, "\"schema\":\"godwit.snapshot\",\"version\":1"));
	outcome_free(&o);
	again = run_well("ls $T/s; godwit frag --json --snapshot $T/s/host.tar.zst >/dev/null", 0);
	assert_string_equal(again, "host.tar.zst\n");
	free(again);

	o = run("timeout -s INT 0.3 \"$GODWIT\" snapshot $T/s/none.tar.zst; ls $T/s");
	assert_string_equal(o.out, "host.tar.zst\n");
	outcome_free(&o);
}

/* A storm that lost nothing says so; an interrupted one has looked at everything all the same. */
static void
storm_json_is_as_documented(void **state)
{
	char *text = run_well("timeout -s INT 0.5 \"$GODWIT\" stress storm --json --seconds 3600 "
			      "--threads 2 --memory 16 --seed 5; test $? = 124",
		0);
	json_t *all = json_loads(text, 0, NULL), *operations;
	int version, threads, frames, seed, tlb, machine, frames_lost, passed;
	json_int_t ns, words, moved, hits;
	const char *schema, *workload, *lost;

	(void)state;
	free(text);
	assert_non_null(all);
	assert_int_equal(
		json_unpack(all,
			"{s:s, s:i, s:s, s:i, s:i, s:i, s:I, s:o, s:I, s:I, s:I, s:i, s:i, s:i, "
			"s:b, "
			"s:s}",
			"schema", &schema, "version", &version, "workload", &workload, "threads",
			&threads, "frames", &frames, "seed", &seed, "ns", &ns, "operations",
			&operations, "moved", &moved, "hits", &hits, "words_verified", &words,
			"tlb_findings", &tlb, "machine_findings", &machine, "frames_not_given_back",
			&frames_lost, "passed", &passed, "lost", &lost),
		0);
	assert_string_equal(schema, "godwit.stress");
	assert_string_equal(workload, "storm");
	assert_int_equal(version, 1);
	assert_int_equal(threads, 2);
	assert_int_equal(frames, 4096);
	assert_int_equal(seed, 5);
	assert_true(ns > 0 && ns < 100000000000);
	assert_true(words > 0 && moved >= 0 && hits > 0);
	assert_int_equal(json_object_size(operations), 33);
	assert_int_equal(tlb + machine + frames_lost, 0);
	assert_true(passed);
	assert_string_equal(lost, "");
	json_decref(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_input_is_one_line),
		cmocka_unit_test(range_is_named),
		cmocka_unit_test(helps),
		cmocka_unit_test(pipes_are_plain),
		cmocka_unit_test(colour_is_chosen),
		cmocka_unit_test(frag_json_is_as_documented),
		cmocka_unit_test(plan_json_is_as_documented),
		cmocka_unit_test(plan_json_attributes_each_pageblock),
		cmocka_unit_test(status_is_the_answer),
		cmocka_unit_test(frames_in_both_notations),
		cmocka_unit_test(figures_are_those_of_debugfs),
		cmocka_unit_test(html_is_written),
		cmocka_unit_test(output_errors),
		cmocka_unit_test(denied_names_a_snapshot),
		cmocka_unit_test(recording),
		cmocka_unit_test(storm_json_is_as_documented),
	};

	return cmocka_run_group_tests(tests, cli_make_directory, cli_remove_directory);
}
