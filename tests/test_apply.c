/* SPDX-License-Identifier: MIT */
/*
 * test_apply.c - acting on a host: when to go on, when to stop, what is put back.
 *
 * The host is a fake one: its files stand under a directory of their own, and a small kernel
 * of the test's stands behind every write and every wait. What compaction gave goes to
 * the fake per-CPU list first and drains as time passes (FACTS 3.7).
 */
#define _GNU_SOURCE /* fexecve() */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/apply.h"
#include "cli/cli.h"

#define COMPACT	 "/compact_memory"
#define POOL	 "/nr_hugepages"
#define HIGH_MIN 1000u /* pages that the fake per-CPU list keeps */
#define START	 4096u
#define SPANNED	 65536u

struct fake {
	struct host host;
	struct gw_apply out;
	struct gw_apply_run runs[100];
	struct gw_plan plan;
	struct applying a;
	char root[64], log[256]; /* what was done: s sync, c compact, p pool, . wait */
	uint64_t gain[8];	 /* huge pages that each run frees; 0 after the last */
	unsigned drain;		 /* pages that leave the list at each wait */
	uint64_t huge, held, migrated;
	uint64_t pool, pool_limit; /* huge pages in the pool, and the most it gets */
	unsigned n_compactions, n_pool_writes, n_waits;
	unsigned interrupt_at_wait, interrupt_at_pool; /* the how manieth; 0: never */
	int compact_error, pool_error;		       /* errno of writing; 0 */
	gw_pfn_t contended[8];			       /* where each run ends; 0: complete */
};

/* apply_run.c asks these: time that stands still, and the fake kernel's tracepoints. */
uint64_t
cli_now_ns(void)
{
	return 0;
}

int
trace_ends(struct trace *trace, struct trace_end *ends, unsigned max)
{
	struct fake *f = (struct fake *)(void *)trace;

	if (!f || max == 0)
		return 0;
	ends[0] = (struct trace_end){
		.zone_start = START,
		.zone_end = START + SPANNED,
		.migrate_pfn = START + SPANNED / 2,
		.free_pfn = START + SPANNED / 2,
		.result = GW_COMPACT_COMPLETE,
	};
	if (f->contended[f->n_compactions - 1]) {
		ends[0].migrate_pfn = f->contended[f->n_compactions - 1];
		ends[0].result = GW_COMPACT_CONTENDED;
	}
	return 1;
}

static FILE *
create(const struct fake *f, const char *path)
{
	char full[128];
	FILE *file;

	snprintf(full, sizeof full, "%s%s", f->root, path);
	file = fopen(full, "w");
	assert_non_null(file);
	return file;
}

static void
show(const struct fake *f)
{
	FILE *file = create(f, "/proc/zoneinfo");

	fprintf(file,
		"Node 0, zone   Normal\n  pages free     5000\n        min      1\n"
		"        low      2\n        high     3\n        spanned  %u\n"
		"        present  %u\n        managed  %u\n        cma      0\n"
		"        protection: (0)\n  pagesets\n    cpu: 0\n              count:    %" PRIu64
		"\n              high:     9000\n              batch:    63\n"
		"              high_min: %u\n              high_max: 9000\n  start_pfn:           "
		"%u\n",
		SPANNED, SPANNED, SPANNED, f->held, HIGH_MIN, START);
	fclose(file);
	file = create(f, "/proc/buddyinfo");
	fprintf(file, "Node 0, zone   Normal 0 0 0 0 0 0 0 0 0 %" PRIu64 " 0\n", f->huge);
	fclose(file);
	file = create(f, "/proc/vmstat");
	fprintf(file, "pgmigrate_success %" PRIu64 "\npgmigrate_fail 3\n", f->migrated);
	fclose(file);
	file = create(f, POOL);
	fprintf(file, "%" PRIu64 "\n", f->pool);
	fclose(file);
}

static void
note(struct fake *f, char what)
{
	size_t len = strlen(f->log);

	if (len + 1 < sizeof f->log)
		f->log[len] = what;
}

static int
fake_compact(struct fake *f)
{
	if (f->compact_error)
		return -f->compact_error;
	note(f, 'c');
	f->held += f->gain[f->n_compactions] * 512;
	f->migrated += f->gain[f->n_compactions] * 150;
	f->n_compactions++;
	return 0;
}

static int
fake_pool(struct fake *f, uint64_t n)
{
	note(f, 'p');
	if (++f->n_pool_writes == f->interrupt_at_pool)
		raise(SIGTERM);
	f->pool = n < f->pool_limit ? n : f->pool_limit;
	if (f->pool_error && n > 0)
		return -f->pool_error;
	return 0;
}

static int
fake_write(struct host *host, const char *path, const char *text)
{
	struct fake *f = host->ctx;
	int ret = -ENOENT;

	if (strcmp(path, COMPACT) == 0) {
		assert_string_equal(text, "1");
		ret = fake_compact(f);
	} else if (strcmp(path, POOL) == 0) {
		ret = fake_pool(f, strtoull(text, NULL, 10));
	}
	show(f);
	return ret;
}

static void
fake_sync(struct host *host)
{
	note(host->ctx, 's');
}

/* Pages leave the list; what was held beyond HIGH_MIN becomes huge pages, 512 at a time. */
static void
fake_pause(struct host *host, unsigned ms)
{
	struct fake *f = host->ctx;
	uint64_t excess = f->held - HIGH_MIN, n = excess < f->drain ? excess : f->drain;

	assert_int_not_equal(ms, 0);
	note(f, '.');
	if (++f->n_waits == f->interrupt_at_wait)
		raise(SIGINT);
	f->held -= n / 512 * 512;
	f->huge += n / 512;
	show(f);
}

static void
make_directory(const struct fake *f, const char *path)
{
	char full[128];

	snprintf(full, sizeof full, "%s%s", f->root, path);
	assert_int_equal(mkdir(full, 0700), 0);
}

/* A host with 10 huge pages free, on which 20 are wanted and 5 runs allowed. */
static int
setup(void **state)
{
	struct fake *f = calloc(1, sizeof *f);

	assert_non_null(f);
	snprintf(f->root, sizeof f->root, "/tmp/godwit-apply-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	make_directory(f, "/proc");
	f->host = (struct host){
		.root = f->root,
		.write = fake_write,
		.sync = fake_sync,
		.pause = fake_pause,
		.ctx = f,
	};
	f->out = (struct gw_apply){
		.order = 9,
		.count = 20,
		.wanted = 20,
		.node = -1,
		.max_runs = 5,
		.settle_seconds = 30,
		.compact_path = COMPACT,
		.plan = &f->plan,
		.runs = f->runs,
		.pool = {.path = POOL},
	};
	f->plan.pageblock_order = 9;
	f->plan.request.order = 9;
	f->a = (struct applying){.host = &f->host, .out = &f->out};
	f->huge = 10;
	f->held = HIGH_MIN;
	f->drain = 1u << 30;
	f->pool_limit = UINT64_MAX;
	signal(SIGINT, SIG_DFL); /* ignored where a shell put the tests in the background */
	signal(SIGTERM, SIG_DFL);
	cli_interrupt_begin();
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = {"/proc/zoneinfo", "/proc/buddyinfo", "/proc/vmstat",
		"/proc/kpageflags", POOL, "/proc", ""};
	struct fake *f = *state;
	char full[128];

	cli_interrupt_end();
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(full, sizeof full, "%s%s", f->root, names[i]);
		remove(full);
	}
	free(f);
	return 0;
}

static int
act(struct fake *f)
{
	struct gw_error err = {""};
	int ret;

	show(f);
	assert_int_equal(apply_begin(&f->a, &err), 0);
	ret = apply_run(&f->a, &err);
	assert_int_equal(ret == 0, err.text[0] == '\0');
	return ret;
}

/* Compaction goes on while a run gains something and ends when enough are free; before each
 * run dirty page cache is written out (FACTS 3.7). */
static void
runs_until_reached(void **state)
{
	struct fake *f = *state;

	f->gain[0] = 4;
	f->gain[1] = 1;
	f->gain[2] = 6;
	f->gain[3] = 100;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->out.outcome, GW_APPLY_REACHED);
	assert_string_equal(f->log, "sc.sc.sc.");
	assert_int_equal(f->out.n_runs, 3);
	assert_int_equal(f->runs[1].available_before, 14);
	assert_int_equal(f->runs[1].available_after, 15);
	assert_int_equal(f->runs[2].migrated, 900);
	assert_int_equal(f->out.zones[0].available_before, 10);
	assert_int_equal(f->out.zones[0].available_after, 21);
	assert_true(gw_apply_succeeded(&f->out));
}

/* A run that gains nothing is the last one: the answer is no. */
static void
stops_without_gain(void **state)
{
	struct fake *f = *state;

	f->gain[0] = 4;
	f->gain[2] = 100;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->out.outcome, GW_APPLY_NO_GAIN);
	assert_int_equal(f->n_compactions, 2);
	assert_false(gw_apply_succeeded(&f->out));
}

/* A run without gain that ended early is repeated, a second write often gets further; but not
 * one that ends where the run before it did (FACTS 3.7). */
static void
repeats_a_run_that_ended_early(void **state)
{
	struct fake *f = *state;

	f->a.trace = (struct trace *)(void *)f;
	f->contended[0] = START + 1000;
	f->contended[1] = START + 2000;
	f->contended[2] = START + 2000;
	f->contended[3] = START + 3000;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->out.outcome, GW_APPLY_NO_GAIN);
	assert_int_equal(f->n_compactions, 3);
	assert_int_equal(f->runs[1].n_ends, 1);
	assert_int_equal(f->runs[1].ends[0].result, GW_COMPACT_CONTENDED);
	assert_int_equal(f->runs[1].ends[0].migrate_pfn, START + 2000);
}

/* Where a run ended contended, the last large folio on the LRU below the scanner is named. */
static void
names_the_folio(void **state)
{
	struct fake *f = *state;
	uint64_t flags[512] = {0};
	char full[128];
	int fd;

	for (unsigned i = 0; i < 512; i++) /* LRU; of 16 pages each: one head, 15 tails */
		flags[i] = 1u << 5 | 1u << (i % 16 ? 16 : 15);
	for (unsigned i = 48; i < 64; i++) /* not on the LRU */
		flags[i] &= ~(UINT64_C(1) << 5);
	snprintf(full, sizeof full, "%s/proc/kpageflags", f->root);
	fd = open(full, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, flags, sizeof flags, (off_t)START * 8), sizeof flags);
	close(fd);
	f->a.trace = (struct trace *)(void *)f;
	f->contended[0] = START + 64;
	f->gain[0] = 10;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->runs[0].ends[0].folio, START + 32);
	assert_int_equal(f->runs[0].ends[0].folio_pages, 16);
}

/* No more runs than allowed, however much each gains. */
static void
keeps_to_max_runs(void **state)
{
	struct fake *f = *state;

	for (unsigned i = 0; i < 8; i++)
		f->gain[i] = 1;
	f->out.max_runs = 2;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->out.outcome, GW_APPLY_MAX_RUNS);
	assert_int_equal(f->n_compactions, 2);
}

/* With enough free blocks nothing at all is done. */
static void
leaves_a_host_alone_that_has_enough(void **state)
{
	struct fake *f = *state;

	f->out.wanted = 10;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->out.outcome, GW_APPLY_ALREADY);
	assert_string_equal(f->log, "");
	assert_true(gw_apply_succeeded(&f->out));
}

/* The wait ends when the lists hold only what they keep for good (FACTS 3.7: high_min). */
static void
waits_while_lists_drain(void **state)
{
	struct fake *f = *state;

	f->gain[0] = 12;
	f->drain = 3 * 512;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->n_waits, 4);
	assert_int_equal(f->runs[0].held, HIGH_MIN);
	assert_int_equal(f->runs[0].available_after, 22);
}

/* It ends after --settle seconds, however much is still held, and says how much. */
static void
waits_no_longer_than_asked(void **state)
{
	struct fake *f = *state;

	f->gain[0] = 100;
	f->drain = 512;
	f->out.wanted = f->out.count = 200;
	f->out.max_runs = 1;
	f->out.settle_seconds = 3;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->runs[0].settle_ms, 3000);
	assert_int_equal(f->runs[0].held, HIGH_MIN + 100 * 512 - f->n_waits * 512);
}

/* And not at all with --settle 0. */
static void
does_not_wait_if_told(void **state)
{
	struct fake *f = *state;

	f->gain[0] = 100;
	f->out.settle_seconds = 0;
	assert_int_equal(act(f), 0);
	assert_string_equal(f->log, "sc");
	assert_int_equal(f->out.outcome, GW_APPLY_NO_GAIN);
}

/* Lists that do not drain are not waited for until the end of time. */
static void
does_not_wait_in_vain(void **state)
{
	struct fake *f = *state;

	f->gain[0] = 100;
	f->drain = 0;
	f->out.settle_seconds = 3600;
	assert_int_equal(act(f), 0);
	assert_true(f->n_waits < 20);
}

/* --reserve: compaction first, then the pool, which stays. Reached is reached: no more waiting. */
static void
reserves(void **state)
{
	struct fake *f = *state;

	f->out.reserve = true;
	f->gain[0] = 50;
	f->drain = 15 * 512;
	assert_int_equal(act(f), 0);
	assert_string_equal(f->log, "sc.p");
	assert_int_equal(f->pool, 20);
	assert_true(f->out.pool.complete);
	assert_false(f->out.pool.restored);
	assert_true(gw_apply_succeeded(&f->out));
}

/* A kernel that gives fewer is asked again, and what it gave is given back. */
static void
gives_back_what_is_not_enough(void **state)
{
	struct fake *f = *state;

	f->out.reserve = true;
	f->out.pool.before = f->pool = 3;
	f->pool_limit = 19;
	f->gain[0] = 50;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->out.pool.given, 19);
	assert_int_equal(f->pool, 3);
	assert_true(f->out.pool.restored);
	assert_true(f->n_pool_writes > 2);
	assert_false(gw_apply_succeeded(&f->out));
}

/* A pool that is larger than asked for is never made smaller. */
static void
never_shrinks_the_pool(void **state)
{
	struct fake *f = *state;

	f->out.reserve = true;
	f->out.pool.before = f->pool = 30;
	f->out.wanted = 0;
	assert_int_equal(act(f), 0);
	assert_string_equal(f->log, "");
	assert_true(gw_apply_succeeded(&f->out));
}

/* Interrupted while waiting: it ends there, and the pool was never touched. */
static void
ends_when_interrupted(void **state)
{
	struct fake *f = *state;

	f->out.reserve = true;
	f->gain[0] = 100;
	f->drain = 512;
	f->interrupt_at_wait = 2;
	assert_int_equal(act(f), -EINTR);
	assert_int_equal(cli_interrupted(), SIGINT);
	assert_string_equal(f->log, "sc..");
	assert_false(f->out.pool.written);
}

/* Interrupted while the kernel fills the pool: the pool gets its old size back. */
static void
restores_the_pool_when_interrupted(void **state)
{
	struct fake *f = *state;

	f->out.reserve = true;
	f->out.pool.before = f->pool = 2;
	f->gain[0] = 100;
	f->pool_limit = 15;
	f->interrupt_at_pool = 1;
	assert_int_equal(act(f), -EINTR);
	assert_int_equal(f->n_pool_writes, 2);
	assert_int_equal(f->pool, 2);
	assert_true(f->out.pool.restored);
}

/* A pool that was filled in spite of an interrupt stays: it is what was asked for. */
static void
keeps_a_full_pool_when_interrupted(void **state)
{
	struct fake *f = *state;

	f->out.reserve = true;
	f->gain[0] = 100;
	f->interrupt_at_pool = 1;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->pool, 20);
}

/* An error on the way has the same effect on the pool. */
static void
restores_the_pool_on_error(void **state)
{
	struct fake *f = *state;

	f->out.reserve = true;
	f->gain[0] = 100;
	f->pool_error = EIO;
	assert_int_equal(act(f), -EIO);
	assert_int_equal(f->pool, 0);
	assert_true(f->out.pool.restored);
}

/* What the kernel refuses is "not permitted", however it says so. */
static void
reports_a_refusal(void **state)
{
	static const int codes[] = {EACCES, EPERM, EROFS};
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		f->compact_error = codes[i];
		assert_int_equal(act(f), -EACCES);
	}
	f->compact_error = EIO;
	assert_int_equal(act(f), -EIO);
}

/* A host whose files are missing or garbled is an error, not a guess. */
static void
refuses_garbled_files(void **state)
{
	struct fake *f = *state;
	struct gw_error err = {""};
	FILE *file;

	assert_int_equal(apply_begin(&f->a, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/proc/zoneinfo"));
	show(f);
	file = create(f, "/proc/buddyinfo");
	fputs("Node 0, zone   Normal 1 x\n", file);
	fclose(file);
	assert_int_equal(apply_begin(&f->a, &err), -EINVAL);
}

/* Only the zones of the node asked for count. */
static void
looks_at_one_node(void **state)
{
	struct fake *f = *state;

	f->out.node = 1;
	assert_int_equal(act(f), 0);
	assert_int_equal(f->out.n_zones, 0);
}

/* Lines of text fit 80 columns; without colour there is nothing but printable ASCII. */
static void
reports_in_80_columns(void **state)
{
	struct fake *f = *state;
	struct gw_snapshot snap = {.source = "live host", .pageblock_order = 9};
	struct gw_report r = {.width = 80};
	char *text = NULL;
	size_t len = 0;

	f->a.trace = (struct trace *)(void *)f;
	f->contended[0] = START + 1000;
	f->gain[0] = 5;
	f->out.reserve = true;
	f->pool_limit = 7;
	assert_int_equal(act(f), 0);
	f->runs[0].ends[0].folio_pages = 16;
	f->runs[0].migrated = f->runs[0].failed = 123456789012;
	r.out = open_memstream(&text, &len);
	assert_non_null(r.out);
	gw_report_apply(&r, &snap, &f->out);
	fclose(r.out);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(strlen(line) <= 80);
		for (char *p = line; *p; p++)
			assert_true(*p >= ' ' && *p <= '~');
	}
	free(text);
}

/* The JSON has a schema and a version, and says what the text says. */
static void
reports_json(void **state)
{
	struct fake *f = *state;
	struct gw_snapshot snap = {.source = "live host", .pageblock_order = 9};
	char *text = NULL, *outcome;
	size_t len = 0;
	json_int_t available, version;
	int enough;
	FILE *out;
	json_t *o;

	f->gain[0] = 15;
	assert_int_equal(act(f), 0);
	out = open_memstream(&text, &len);
	assert_non_null(out);
	assert_int_equal(gw_json_apply(out, &snap, &f->out), 0);
	fclose(out);
	o = json_loads(text, 0, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "schema")), "godwit.apply");
	assert_int_equal(
		json_unpack(o, "{s:I, s:b, s:s, s:{s:I}}", "version", &version, "enough", &enough,
			"outcome", &outcome, "total", "available_after", &available),
		0);
	assert_int_equal(version, 1);
	assert_true(enough);
	assert_string_equal(outcome, "reached");
	assert_int_equal(available, 25);
	json_decref(o);
	free(text);
}

/* Run `godwit apply ...` as nobody; its status. Nothing of this can act on the host. */
static int
run_as_nobody(const char *a, const char *b, const char *c)
{
	char verb[] = "apply", godwit[] = "godwit";
	char *argv[] = {godwit, verb, (char *)(uintptr_t)a, (char *)(uintptr_t)b,
		(char *)(uintptr_t)c, NULL};
	char *envp[] = {NULL};
	int fd = open(getenv("GODWIT"), O_RDONLY), status;
	pid_t child;

	assert_true(fd >= 0);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(99);
		fexecve(fd, argv, envp);
		_exit(99);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(fd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* DESIGN 9: status 3 without the right to act, 2 for a mistake; the mistake is seen first. */
static void
refuses_politely(void **state)
{
	(void)state;
	assert_int_equal(run_as_nobody("--count", "10", NULL), 3);
	assert_int_equal(run_as_nobody("--count", "10", "--dry-run"), 3);
	assert_int_equal(run_as_nobody("--help", NULL, NULL), 0);
	assert_int_equal(run_as_nobody(NULL, NULL, NULL), 2);
	assert_int_equal(run_as_nobody("--count", "0", NULL), 2);
	assert_int_equal(run_as_nobody("--count", "-3", NULL), 2);
	assert_int_equal(run_as_nobody("--count", "ten", NULL), 2);
	assert_int_equal(run_as_nobody("--count=5", "--order=99", NULL), 2);
	assert_int_equal(run_as_nobody("--count=5", "--max-runs=0", NULL), 2);
	assert_int_equal(run_as_nobody("--count=5", "--settle=1e9", NULL), 2);
	assert_int_equal(run_as_nobody("--count=5", "--node=4000000000", NULL), 2);
	assert_int_equal(run_as_nobody("--count=5", "--node=63", NULL), 2);
	assert_int_equal(run_as_nobody("--count=5", "--snapshot", "x"), 2);
	assert_int_equal(run_as_nobody("--count=5", "more", NULL), 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(runs_until_reached),
		TEST(stops_without_gain),
		TEST(repeats_a_run_that_ended_early),
		TEST(names_the_folio),
		TEST(keeps_to_max_runs),
		TEST(leaves_a_host_alone_that_has_enough),
		TEST(waits_while_lists_drain),
		TEST(waits_no_longer_than_asked),
		TEST(does_not_wait_if_told),
		TEST(does_not_wait_in_vain),
		TEST(reserves),
		TEST(gives_back_what_is_not_enough),
		TEST(never_shrinks_the_pool),
		TEST(ends_when_interrupted),
		TEST(restores_the_pool_when_interrupted),
		TEST(keeps_a_full_pool_when_interrupted),
		TEST(restores_the_pool_on_error),
		TEST(reports_a_refusal),
		TEST(refuses_garbled_files),
		TEST(looks_at_one_node),
		TEST(reports_in_80_columns),
		TEST(reports_json),
		cmocka_unit_test(refuses_politely),
	};

	return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
