/* SPDX-License-Identifier: MIT */
/*
 * small_host.c - the archive of a small host, written with the library that reads it back.
 */
#include "small_host.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "test.h"

static const char small_zoneinfo[] = "Node 0, zone   Normal\n"
				     "  pages free     4096\n"
				     "        min      10\n"
				     "        low      12\n"
				     "        high     14\n"
				     "        spanned  8176\n"
				     "        present  8176\n"
				     "        managed  8176\n"
				     "  pagesets\n"
				     "    cpu: 0\n"
				     "              count: 0\n"
				     "              high:  300\n"
				     "              batch: 63\n"
				     "  start_pfn:           16\n";
static const char small_buddyinfo[] = "Node 0, zone Normal 1024 0 0 0 0 0 0 0 0 0 3\n";

static void
add_member(struct archive *a, const char *name, const void *data, size_t len)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (la_int64_t)len);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, len), (la_ssize_t)len);
	archive_entry_free(entry);
}

void
small_host_write(const char *path)
{
	static uint64_t flags[SMALL_FRAMES], counts[SMALL_FRAMES];
	struct archive *a = archive_write_new();

	for (unsigned i = 0; i < SMALL_FRAMES; i++) {
		if (i < 1024)
			flags[i] = UINT64_C(1) << 7; /* SLAB */
		else if (i < 5120 && i % 4)
			flags[i] = 0x5828; /* UPTODATE, LRU, MMAP, ANON, SWAPBACKED */
		else
			flags[i] = UINT64_C(1) << 10; /* BUDDY */
		counts[i] = flags[i] == 0x5828;
	}
	assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	add_member(a, "kpageflags", flags, sizeof flags);
	add_member(a, "kpagecount", counts, sizeof counts);
	add_member(a, "zoneinfo", small_zoneinfo, strlen(small_zoneinfo));
	add_member(a, "buddyinfo", small_buddyinfo, strlen(small_buddyinfo));
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}
