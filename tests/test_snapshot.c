/* SPDX-License-Identifier: MIT */
/*
 * test_snapshot.c - archives: good, recorded, bundled and broken ones.
 *
 * Idea. A small host is built member by member as a tar in memory; each test of bad input
 * changes one thing and names the line that must come out of it.
 */
#include "test.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "observe/builder.h"

#define N_FRAMES 4096u
#define BUDDY	 (UINT64_C(1) << 10)
#define ANON	 (UINT64_C(0x5828)) /* UPTODATE, LRU, MMAP, ANON, SWAPBACKED */
#define RESERVED (UINT64_C(1) << 32)

struct member {
	const char *name;
	const void *data;
	size_t len;
};

/* One zone: frames 16 .. 4096, of which 3072 .. 3584 are a gap in RAM. */
static const char zoneinfo[] = "Node 0, zone   Normal\n"
			       "  pages free     100\n"
			       "        min      1\n"
			       "        low      2\n"
			       "        high     3\n"
			       "        spanned  4080\n"
			       "        present  3568\n"
			       "        managed  3500\n"
			       "  start_pfn:           16\n";
static const char buddyinfo[] = "Node 0, zone   Normal 0 0 0 0 0 0 0 0 0 0 1\n";
static const char iomem[] = "00010000-00bfffff : System RAM\n00e00000-00ffffff : System RAM\n";

static uint64_t flags[N_FRAMES], counts[N_FRAMES];
static struct member host[8];
static size_t n_host;

static struct gw_snapshot snap;
static struct gw_error err;

static void
add(const char *name, const void *data, size_t len)
{
	host[n_host++] = (struct member){name, data, len};
}

static int
fresh(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_FRAMES; i++) {
		flags[i] = i % 3 == 0 ? BUDDY : ANON;
		counts[i] = i % 3 == 0 ? 0 : i % 3;
	}
	n_host = 0;
	add("kpageflags", flags, sizeof(flags));
	add("kpagecount", counts, sizeof(counts));
	add("zoneinfo", zoneinfo, strlen(zoneinfo));
	add("buddyinfo", buddyinfo, strlen(buddyinfo));
	err.text[0] = '\0';
	return 0;
}

static int
clear(void **state)
{
	(void)state;
	gw_snapshot_free(&snap);
	return 0;
}

/* A tar of the host's members, in `data` (freed by the caller). */
static size_t
make_tar(char **data, bool zstd)
{
	size_t size = sizeof(flags) + sizeof(counts) + 65536, used = 0;
	struct archive *a = archive_write_new();

	for (size_t i = 0; i < n_host; i++)
		size += host[i].len + 1024;
	*data = malloc(size);
	assert_non_null(*data);
	assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	if (zstd)
		assert_int_equal(archive_write_add_filter_zstd(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, *data, size, &used), ARCHIVE_OK);
	for (size_t i = 0; i < n_host; i++) {
		struct archive_entry *entry = archive_entry_new();

		archive_entry_set_pathname(entry, host[i].name);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, (la_int64_t)host[i].len);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		if (host[i].len > 0)
			assert_int_equal(
				archive_write_data(a, host[i].data, host[i].len), host[i].len);
		archive_entry_free(entry);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
	return used;
}

static void
load_ok(void)
{
	char *data;
	size_t len = make_tar(&data, true);
	int ret = gw_snapshot_load_memory("host.tar", data, len, &snap, &err);

	free(data);
	if (ret != 0)
		fail_msg("%d: %s", ret, err.text);
}

/* `len` bytes are refused with one line: "host.tar: MEMBER: ... what ..."; nothing is left. */
static void
refused(const void *data, size_t len, const char *member, const char *what)
{
	static const struct gw_snapshot nothing;
	char begin[96];

	err.text[0] = '\0';
	snap = nothing;
	assert_int_equal(gw_snapshot_load_memory("host.tar", data, len, &snap, &err), -EINVAL);
	assert_memory_equal(&snap, &nothing, sizeof(snap));
	(void)snprintf(begin, sizeof(begin), "host.tar: %s: ", member);
	if (strncmp(err.text, begin, strlen(begin)) != 0 || !strstr(err.text, what) ||
		strchr(err.text, '\n'))
		fail_msg("\"%s\" is not \"%s... %s ...\"", err.text, begin, what);
}

static void
load_bad(const char *member, const char *what)
{
	char *data;
	size_t len = make_tar(&data, false);

	refused(data, len, member, what);
	free(data);
}

/* What a whole small host becomes: kinds, marks, defaults, and which members were missing. */
static void
small_host(void **state)
{
	(void)state;
	load_ok();
	assert_int_equal(snap.n_frames, N_FRAMES);
	assert_int_equal(snap.n_zones, 1);
	assert_int_equal(snap.n_orders, 11);
	assert_int_equal(snap.pageblock_order, 9);
	assert_int_equal(snap.extfrag_threshold, 500);
	assert_int_equal(snap.compact_unevictable_allowed, 1);
	assert_string_equal(snap.source, "host.tar");
	assert_string_equal(snap.missing, "pagetypeinfo, vmstat, iomem, sysctl, uname");
	assert_int_equal(gw_frame_kind(snap.frames[15]), GW_KIND_HOLE); /* outside the zone */
	assert_int_equal(gw_frame_kind(snap.frames[18]), GW_KIND_BUDDY);
	assert_int_equal(snap.frames[19], GW_KIND_ANON | GW_FRAME_LRU | GW_FRAME_MAPPED);
	assert_int_equal(
		snap.frames[20], GW_KIND_ANON | GW_FRAME_LRU | GW_FRAME_MAPPED | GW_FRAME_SHARED);
}

/* The members' order and directory do not matter (S3): every frame comes out the same. */
static void
any_member_order(void **state)
{
	struct gw_snapshot first;

	(void)state;
	load_ok();
	first = snap;
	n_host = 0;
	add("some/where/buddyinfo", buddyinfo, strlen(buddyinfo));
	add("./kpagecount", counts, sizeof(counts));
	add("README", "kpageflags", 10);
	add("./kpageflags", flags, sizeof(flags));
	add("./zoneinfo", zoneinfo, strlen(zoneinfo));
	load_ok();
	assert_int_equal(snap.n_frames, first.n_frames);
	assert_memory_equal(snap.frames, first.frames, first.n_frames * sizeof(*first.frames));
	gw_snapshot_free(&first);
}

/* Words cut anywhere are put together again, whichever file is ahead (S3). */
static void
cut_words(void **state)
{
	uint64_t random = test_seed();
	struct gw_snapshot whole;

	(void)state;
	load_ok();
	whole = snap;
	for (unsigned round = 0; round < 20; round++) {
		const char *data[GW_WORDS_NR] = {(const char *)flags, (const char *)counts};
		size_t at[GW_WORDS_NR] = {0};
		struct gw_builder b;

		gw_builder_init(&b);
		for (unsigned i = 0; i < GW_WORDS_NR; i++)
			assert_int_equal(gw_builder_words_begin(&b, (enum gw_words)i, &err), 0);
		while (at[0] < sizeof(flags) || at[1] < sizeof(counts)) {
			enum gw_words which = test_random(&random) % 2;
			size_t left = sizeof(flags) - at[which];
			size_t n = test_random(&random) % 400;

			n = n < left ? n : left;
			assert_int_equal(
				gw_builder_words(&b, which, data[which] + at[which], n, &err), 0);
			at[which] += n;
		}
		assert_int_equal(gw_builder_text(&b, GW_TEXT_ZONEINFO, strdup(zoneinfo),
					 strlen(zoneinfo), &err),
			0);
		assert_int_equal(gw_builder_text(&b, GW_TEXT_BUDDYINFO, strdup(buddyinfo),
					 strlen(buddyinfo), &err),
			0);
		assert_int_equal(gw_builder_finish(&b, &snap, &err), 0);
		gw_builder_destroy(&b);
		assert_memory_equal(snap.frames, whole.frames, N_FRAMES * sizeof(*snap.frames));
		gw_snapshot_free(&snap);
	}
	gw_snapshot_free(&whole);
}

/*
 * Without flags and outside RAM: a hole, though 6.18 does not say so (FACTS 3.1, bit 20). Inside
 * RAM it stays open what it is. Reserved outside RAM is firmware; what is in use, is memory.
 */
static void
holes(void **state)
{
	(void)state;
	add("iomem", iomem, strlen(iomem));
	for (unsigned i = 3000; i < 3700; i++)
		flags[i] = counts[i] = 0;
	flags[3100] = RESERVED;
	flags[3101] = ANON;
	load_ok();
	assert_int_equal(snap.n_ram, 2);
	assert_int_equal(gw_frame_kind(snap.frames[3071]), GW_KIND_NOFLAG);
	for (unsigned i = 3072; i < 3584; i++) {
		enum gw_kind want = i == 3101 ? GW_KIND_ANON : GW_KIND_HOLE;

		assert_int_equal(gw_frame_kind(snap.frames[i]), want);
	}
	assert_int_equal(gw_frame_kind(snap.frames[3584]), GW_KIND_NOFLAG);
}

/* Frames with bits that have no name are counted, and nothing else comes of them. */
static void
unknown_flags(void **state)
{
	(void)state;
	flags[100] |= UINT64_C(1) << 63;
	flags[101] |= UINT64_C(1) << 27;
	load_ok();
	assert_int_equal(snap.nr_unknown_flags, 2);
	assert_int_equal(gw_frame_kind(snap.frames[100]), GW_KIND_ANON);
}

/* Without kpagecount a snapshot still loads; the MMAP flag stands in for the count. */
static void
without_counts(void **state)
{
	(void)state;
	host[1].name = "other";
	load_ok();
	assert_string_equal(snap.missing, "pagetypeinfo, vmstat, iomem, sysctl, uname, kpagecount");
	assert_int_equal(snap.frames[20], GW_KIND_ANON | GW_FRAME_LRU | GW_FRAME_MAPPED);
}

/* A needed member that is missing, empty or there twice is named. */
static void
bad_members(void **state)
{
	static const unsigned needed[] = {0, 2, 3}; /* kpageflags, zoneinfo, buddyinfo */

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const char *name;

		(void)fresh(NULL);
		name = host[needed[i]].name;
		host[needed[i]].len = 0;
		load_bad(name, "is empty");
		host[needed[i]].name = "other";
		load_bad(name, "is missing");
	}
	(void)fresh(NULL);
	host[1].len = 0;
	load_bad("kpagecount", "has 0 frames");
	(void)fresh(NULL);
	add("again/kpageflags", flags, sizeof(flags));
	load_bad("kpageflags", "twice");
	(void)fresh(NULL);
	add("zoneinfo", zoneinfo, strlen(zoneinfo));
	load_bad("zoneinfo", "twice");
}

/* The two large files must agree, be whole, and have been read with permission. */
static void
bad_maps(void **state)
{
	(void)state;
	host[0].len -= 3;
	load_bad("kpageflags", "not a multiple of 8");
	(void)fresh(NULL);
	host[1].len -= 3;
	load_bad("kpagecount", "not a multiple of 8");
	(void)fresh(NULL);
	host[1].len -= 8;
	load_bad("kpagecount", "has 4095 frames where kpageflags has 4096");
	(void)fresh(NULL);
	host[0].len -= 800;
	load_bad("kpagecount", "has 4096 frames where kpageflags has 3996");
	(void)fresh(NULL);
	memset(flags, 0, sizeof(flags));
	load_bad("kpageflags", "all zero");
	(void)fresh(NULL);
	host[0].len = host[1].len = 8 * 4095;
	load_bad("zoneinfo", "ends at frame 4096, kpageflags at 4095");
}

/* A zone that claims 2^60 frames is refused before anything of that size is allocated (S1). */
static void
bad_zone(void **state)
{
	static const char text[] = "Node 0, zone   Normal\n"
				   "  pages free     100\n"
				   "        spanned  1152921504606846976\n"
				   "        present  3568\n"
				   "        managed  3500\n"
				   "  start_pfn:           16\n";

	(void)state;
	host[2].data = text;
	host[2].len = strlen(text);
	load_bad("zoneinfo", "line 3: spanned claims more frames than a machine can have");
}

/* A text member as long as no text is, is refused while it is read. */
static void
long_text(void **state)
{
	char *text = calloc(1, GW_TEXT_MAX + 1);

	(void)state;
	assert_non_null(text);
	host[2].data = text;
	host[2].len = GW_TEXT_MAX + 1;
	load_bad("zoneinfo", "is longer than 4194304 bytes");
	free(text);
}

/* Every way to cut an archive short is noticed, compressed or not; nothing leaks. */
static void
truncated(void **state)
{
	(void)state;
	for (int zstd = 0; zstd < 2; zstd++) {
		char *data;
		size_t len = make_tar(&data, zstd);
		/* The last member's data ends well before the padding of a bare tar. */
		size_t end = zstd ? len - 1 : sizeof(flags) + sizeof(counts) + 3072;

		for (size_t cut = 0; cut < end; cut += cut < 2048 ? 7 : 4001) {
			char *copy = malloc(cut + 1); /* so that a read beyond it is seen */

			assert_non_null(copy);
			memcpy(copy, data, cut);
			err.text[0] = '\0';
			assert_int_equal(
				gw_snapshot_load_memory("host.tar", copy, cut, &snap, &err),
				-EINVAL);
			assert_int_equal(strncmp(err.text, "host.tar: ", 10), 0);
			free(copy);
		}
		free(data);
	}
}

/* A header that claims more than there is does not make us allocate it (S1). */
static void
lying_header(void **state)
{
	char *data;
	size_t len = make_tar(&data, false);
	unsigned sum = 0;

	(void)state;
	/* The first member's size, in octal, then the header's checksum over itself. */
	memcpy(data + 124, "77777777770", 11);
	memset(data + 148, ' ', 8);
	for (unsigned i = 0; i < 512; i++)
		sum += (unsigned char)data[i];
	(void)snprintf(data + 148, 8, "%06o", sum);
	refused(data, len, "kpageflags", "");
	free(data);
}

static void
garbage(void **state)
{
	uint64_t random = test_seed();
	char data[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)test_random(&random);
	refused(data, sizeof(data), "archive", "is no tar archive");
	refused(data, 0, "archive", "is no tar archive");
	memset(data, 0, sizeof(data));
	refused(data, sizeof(data), "kpageflags", "is missing"); /* an empty tar */
}

/* A path that cannot be opened is named, with its own errno. */
static void
no_such_file(void **state)
{
	(void)state;
	assert_int_equal(gw_snapshot_load("no/such/file", &snap, &err), -ENOENT);
	assert_string_equal(err.text, "no/such/file: No such file or directory");
	assert_int_equal(gw_snapshot_load("data", &snap, &err), -EISDIR);
	assert_string_equal(err.text, "data: Is a directory");
}

/* A message keeps what is wrong however long the path is, and fits. */
static void
long_path(void **state)
{
	char path[1000];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(gw_snapshot_load_memory(path, "", 0, &snap, &err), -EINVAL);
	assert_int_equal(strlen(err.text), GW_MESSAGE_MAX - 1);
	assert_non_null(strstr(err.text, "x: archive: "));
}

/* What is known of a bundled recording: free blocks by its buddyinfo, lists by its zoneinfo. */
struct bundled {
	const char *name;
	uint64_t normal_free, normal_pcp;
	uint64_t order0, order10;
};

static const struct bundled bundled[] = {
	{"anon", 4264835, 418898, 419358, 2859},
	{"anon-settled", 4382383, 154225, 397061, 2899},
	{"files-settled", 4273277, 235953, 134817, 3497},
	{"mixed", 4324564, 558911, 105822, 3986},
	{"mixed-settled", 4044612, 244566, 151500, 3385},
	{"pipes", 4829195, 85558, 148759, 4109},
	{"tables", 4357000, 340081, 27958, 3973},
	{"thp", 4057117, 106014, 8853, 3552},
};

static void
check_bundled_zone(const struct gw_zone_snapshot *zone)
{
	uint64_t frames = 0, buddy = 0, blocks = 0, pageblocks = 0;

	for (uint64_t i = 0; i < zone->spanned; i++) {
		enum gw_kind kind = gw_frame_kind(snap.frames[zone->start_pfn + i]);

		frames += kind != GW_KIND_HOLE;
		buddy += kind == GW_KIND_BUDDY;
	}
	for (unsigned order = 0; order < snap.n_orders; order++)
		blocks += zone->free_blocks[order] << order;
	for (unsigned type = 0; type < GW_MT_NR; type++)
		pageblocks += zone->pageblocks[type];
	/* Exactly the frames that the kernel calls present are not holes. */
	assert_int_equal(frames, zone->present);
	/* Free by buddyinfo, by zoneinfo and by flags: read within a second of each other. */
	assert_true(blocks + 64 > zone->free && blocks < zone->free + 64);
	assert_true(buddy < blocks + zone->present / 200 && blocks < buddy + zone->present / 200);
	/* Blocks without memory have no type that counts. */
	assert_true(zone->has_pagetypes && pageblocks <= (zone->spanned >> 9) + 1);
	assert_true(pageblocks >= zone->present >> 9);
	assert_int_equal(zone->n_cpus, 2);
}

static void
check_bundled(const struct bundled *want)
{
	const struct gw_zone_snapshot *normal;
	char path[128];

	(void)snprintf(path, sizeof(path), "data/%s.before.tar.zst", want->name);
	if (gw_snapshot_load(path, &snap, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(snap.source, path);
	assert_string_equal(snap.missing, "");
	assert_int_equal(strncmp(snap.kernel, "Linux 6.18", 10), 0);
	assert_int_equal(snap.n_frames, 6553600);
	assert_int_equal(snap.nr_unknown_flags, 0);
	assert_int_equal(snap.n_zones, 3);
	assert_int_equal(snap.n_ram, 3);
	assert_int_equal(snap.n_counters, 192);
	assert_int_equal(snap.pageblock_order, 9);
	assert_string_equal(snap.zones[0].name, "DMA");
	assert_string_equal(snap.zones[1].name, "DMA32");
	normal = &snap.zones[2];
	assert_string_equal(normal->name, "Normal");
	assert_int_equal(normal->start_pfn, 1048576);
	assert_int_equal(normal->spanned, 5505024);
	assert_int_equal(normal->free, want->normal_free);
	assert_int_equal(normal->pcp_count, want->normal_pcp);
	assert_int_equal(normal->free_blocks[0], want->order0);
	assert_int_equal(normal->free_blocks[10], want->order10);
	/* The gap below 4 GiB is known from iomem alone: its flags read 0 (FACTS 3.1). */
	assert_int_equal(gw_frame_kind(snap.frames[0xc0000]), GW_KIND_HOLE);
	assert_int_equal(gw_frame_kind(snap.frames[0xfffff]), GW_KIND_HOLE);
	for (unsigned i = 0; i < snap.n_zones; i++)
		check_bundled_zone(&snap.zones[i]);
	gw_snapshot_free(&snap);
}

/* Every bundled recording loads and says what its text files say. */
static void
bundled_recordings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bundled) / sizeof(bundled[0]); i++) {
		print_message("# %s\n", bundled[i].name);
		check_bundled(&bundled[i]);
	}
}

/* Looks at the progress that is told, and says stop when more than `eighths` of all is done. */
struct watcher {
	uint64_t done;
	unsigned eighths;
	bool writing; /* all has been read: half of what is to be done */
};

static bool
watch(void *ctx, uint64_t done, uint64_t total)
{
	struct watcher *w = ctx;

	assert_true(done >= w->done);
	assert_true(total == 0 || done <= total);
	w->done = done;
	w->writing = total != 0 && done > total / 2;
	return total ? done <= total / 8 * w->eighths : w->eighths > 0;
}

/* What is recorded on this host can be read again and agrees with a live reading. */
static void
record_and_load(void **state)
{
	char directory[] = "/tmp/godwit-test-XXXXXX", path[64];
	struct gw_snapshot live;
	struct watcher watcher = {.eighths = 9};
	int ret;

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/host.tar.zst", directory);
	ret = gw_snapshot_record(path, watch, &watcher, &err);
	if (ret == -EACCES) {
		assert_int_not_equal(err.text[0], '\0');
		assert_int_equal(rmdir(directory), 0); /* nothing was left behind */
		assert_int_equal(gw_snapshot_live(&live, &err), -EACCES);
		print_message("# %s\n", err.text);
		skip();
	}
	if (ret != 0)
		fail_msg("%s", err.text);
	assert_true(watcher.writing);
	if (gw_snapshot_load(path, &snap, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0); /* no temporary file beside it */
	if (gw_snapshot_live(&live, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(live.n_frames, snap.n_frames);
	assert_int_equal(live.n_zones, snap.n_zones);
	assert_int_equal(live.n_ram, snap.n_ram);
	assert_string_equal(live.kernel, snap.kernel);
	assert_string_equal(live.source, "live host");
	gw_snapshot_free(&live);
}

/* Where the archive cannot be written, the line says so, whatever this host permits (R2). */
static void
record_nowhere(void **state)
{
	int ret;

	(void)state;
	ret = gw_snapshot_record("/no/such/directory/host.tar.zst", NULL, NULL, &err);
	assert_int_equal(ret, -ENOENT);
	assert_non_null(strstr(err.text, "/no/such/directory/host.tar.zst: "));
}

/* Stopped while it reads, or while it writes, a recording leaves nothing (R1, R2). */
static void
record_stopped(void **state)
{
	char directory[] = "/tmp/godwit-test-XXXXXX", path[64];
	struct watcher reading = {.eighths = 0}, writing = {.eighths = 5};
	int ret;

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/host.tar.zst", directory);
	ret = gw_snapshot_record(path, watch, &reading, &err);
	if (ret == -ECANCELED) {
		assert_false(reading.writing);
		assert_int_equal(gw_snapshot_record(path, watch, &writing, &err), -ECANCELED);
		assert_true(writing.writing);
	}
	assert_int_equal(rmdir(directory), 0);
	if (ret != -ECANCELED) {
		assert_int_equal(ret, -EACCES);
		skip();
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)
	const struct CMUnitTest tests[] = {
		TEST(small_host),
		TEST(any_member_order),
		TEST(cut_words),
		TEST(holes),
		TEST(unknown_flags),
		TEST(without_counts),
		TEST(bad_members),
		TEST(bad_maps),
		TEST(bad_zone),
		TEST(long_text),
		TEST(truncated),
		TEST(lying_header),
		TEST(garbage),
		TEST(no_such_file),
		TEST(long_path),
		TEST(bundled_recordings),
		TEST(record_and_load),
		TEST(record_stopped),
		TEST(record_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
