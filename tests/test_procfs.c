/* SPDX-License-Identifier: MIT */
/* test_procfs.c - the kernel's text files: what FACTS 3.2 says of each, and bad ones. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "observe/procfs.h"

typedef int (*parser)(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

/* Two zones, the first with the node's statistics, and an unpopulated one. */
static const char zoneinfo[] = "Node 0, zone      DMA\n"
			       "  per-node stats\n"
			       "      nr_inactive_anon 614508\n"
			       "      nr_kernel_stack 1344\n"
			       "  pages free     3840\n"
			       "        boost    0\n"
			       "        min      10\n"
			       "        low      13\n"
			       "        high     16\n"
			       "        promo    19\n"
			       "        spanned  4095\n"
			       "        present  3998\n"
			       "        managed  3840\n"
			       "        cma      0\n"
			       "        protection: (0, 3019, 24090)\n"
			       "      nr_free_pages 3840\n"
			       "  pagesets\n"
			       "    cpu: 0\n"
			       "              count:    0\n"
			       "              high:     0\n"
			       "              batch:    1\n"
			       "  vm stats threshold: 4\n"
			       "  node_unreclaimable:  0\n"
			       "  start_pfn:           1\n"
			       "Node 1, zone   Normal\n"
			       "  pages free     5000\n"
			       "        boost    7\n"
			       "        min      100\n"
			       "        low      200\n"
			       "        high     300\n"
			       "        a_new_field 12 34\n"
			       "        spanned  20000\n"
			       "        present  19000\n"
			       "        managed  18000\n"
			       "        cma      512\n"
			       "        protection: (0, 0, 0, 0, 0)\n"
			       "      nr_zone_inactive_anon 1\n"
			       "      nr_zone_active_anon 20\n"
			       "      nr_zone_inactive_file 300\n"
			       "      nr_zone_active_file 4000\n"
			       "      nr_zone_unevictable 50\n"
			       "      nr_zone_write_pending 6\n"
			       "  pagesets\n"
			       "    cpu: 0\n"
			       "              count:    11\n"
			       "              high:     500\n"
			       "              batch:    31\n"
			       "              high_min: 100\n"
			       "              high_max: 9000\n"
			       "  vm stats threshold: 36\n"
			       "    cpu: 1\n"
			       "              count:    22\n"
			       "              high:     700\n"
			       "              batch:    63\n"
			       "              high_min: 150\n"
			       "              high_max: 9000\n"
			       "  vm stats threshold: 36\n"
			       "  node_unreclaimable:  0\n"
			       "  start_pfn:           4096\n"
			       "Node 1, zone  Movable\n"
			       "  pages free     0\n"
			       "        min      32\n"
			       "        spanned  0\n"
			       "        present  0\n"
			       "        managed  0\n"
			       "        protection: (0, 0, 0, 0, 0)\n";

static const char buddyinfo[] = "Node 0, zone      DMA      0      0      0      0      0      0   "
				"   0      0      1      1 "
				"     3 \n"
				"Node 1, zone   Normal     90      8      7      6      5      4   "
				"   3      2      1      0 "
				"     4 \n";

static struct gw_snapshot snap;
static struct gw_error err;

static int
fresh(void **state)
{
	(void)state;
	snap = (struct gw_snapshot){.pageblock_order = 9};
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

static void
parse_ok(parser parse, const char *text)
{
	int ret = parse(text, strlen(text), &snap, &err);

	if (ret != 0)
		fail_msg("%d: %s", ret, err.text);
}

/* The text is refused with one line that begins with the member's name and holds `what`. */
static void
parse_bad(parser parse, const char *text, size_t len, const char *member, const char *what)
{
	char begin[64];

	err.text[0] = '\0';
	assert_int_equal(parse(text, len, &snap, &err), -EINVAL);
	(void)snprintf(begin, sizeof(begin), "%s: ", member);
	if (strncmp(err.text, begin, strlen(begin)) != 0 || !strstr(err.text, what) ||
		strchr(err.text, '\n'))
		fail_msg("\"%s\" is not \"%s... %s ...\"", err.text, begin, what);
}

/* `text` with the first `old` replaced. */
static const char *
with(const char *text, const char *old, const char *new)
{
	static char changed[8192];
	const char *at = strstr(text, old);

	assert_non_null(at);
	(void)snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, new,
		at + strlen(old));
	return changed;
}

static void
zones_bad(const char *old, const char *new, const char *what)
{
	const char *text = with(zoneinfo, old, new);

	gw_snapshot_free(&snap);
	parse_bad(gw_parse_zoneinfo, text, strlen(text), "zoneinfo", what);
}

/* Every field of a zone is found by name, CPUs are summed, unpopulated zones left out. */
static void
zoneinfo_fields(void **state)
{
	const struct gw_zone_snapshot *dma, *normal;

	(void)state;
	parse_ok(gw_parse_zoneinfo, zoneinfo);
	assert_int_equal(snap.n_zones, 2);
	dma = &snap.zones[0];
	assert_string_equal(dma->name, "DMA");
	assert_int_equal(dma->node, 0);
	assert_int_equal(dma->start_pfn, 1);
	assert_int_equal(dma->spanned, 4095);
	assert_int_equal(dma->free, 3840);
	assert_int_equal(dma->n_protection, 3);
	assert_int_equal(dma->protection[2], 24090);
	assert_int_equal(dma->n_cpus, 1);
	assert_int_equal(dma->nr_lru, 0);

	normal = &snap.zones[1];
	assert_string_equal(normal->name, "Normal");
	assert_int_equal(normal->node, 1);
	assert_int_equal(normal->start_pfn, 4096);
	assert_int_equal(normal->present, 19000);
	assert_int_equal(normal->managed, 18000);
	assert_int_equal(normal->cma, 512);
	assert_int_equal(normal->boost, 7);
	assert_int_equal(normal->wmark_min, 100);
	assert_int_equal(normal->wmark_low, 200);
	assert_int_equal(normal->wmark_high, 300);
	assert_int_equal(normal->n_cpus, 2);
	assert_int_equal(normal->pcp_count, 33);
	assert_int_equal(normal->pcp_high, 700);
	assert_int_equal(normal->pcp_batch, 63);
	assert_int_equal(normal->pcp_high_min, 250);
	assert_int_equal(normal->nr_lru, 4371);
}

/* Kernels before high_min kept their lists at a fixed limit: that stands in for it. */
static void
zoneinfo_without_high_min(void **state)
{
	(void)state;
	parse_ok(gw_parse_zoneinfo, with(zoneinfo, "high_min: 100", "other:    100"));
	assert_int_equal(snap.zones[1].pcp_high_min, 500 + 150);
}

/* Zones come out by start, wherever they stand in the file. */
static void
zoneinfo_sorted(void **state)
{
	(void)state;
	parse_ok(gw_parse_zoneinfo,
		with(zoneinfo, "start_pfn:           1\n", "start_pfn:           30000\n"));
	assert_string_equal(snap.zones[0].name, "Normal");
	assert_string_equal(snap.zones[1].name, "DMA");
}

/* A zone that cannot be is refused, whatever it claims. */
static void
zoneinfo_bad(void **state)
{
	static const char nul_name[] = "Node 0, zone \0004\n";
	static const char binary[] = "\0\xff\0garbage";

	(void)state;
	zones_bad("spanned  20000", "spanned  1152921504606846976", "spanned claims more");
	zones_bad("spanned  20000", "spanned  99999999999999999999999", "spanned claims more");
	zones_bad("spanned  20000", "spanned  4294967294", "beyond the last frame");
	zones_bad("spanned  20000", "spanned  -1", "no number after spanned");
	zones_bad("spanned  20000", "spanned", "no number after spanned");
	zones_bad("spanned  20000", "spammed  20000", "lacks");
	zones_bad("start_pfn:           1\n", "\n", "lacks");
	zones_bad("        low      200", "        low      99", "watermarks that descend");
	zones_bad("        high     300", "        high     0", "watermarks that descend");
	zones_bad("present  19000", "present  21000", "more present than spanned");
	zones_bad("managed  18000", "managed  19001", "more managed than present");
	zones_bad("free     5000", "free     20001", "more free");
	zones_bad("count:    22", "count:    30000", "more free");
	zones_bad("count:    22", "count:    4294967296", "count: claims more");
	zones_bad("protection: (0, 3019", "protection: 0, (3019", "no list");
	zones_bad("start_pfn:           4096", "start_pfn:           4095", "overlap");
	zones_bad("Node 1, zone   Normal", "Node 0, zone   DMA", "twice");
	zones_bad("Node 1, zone   Normal", "Node 1", "not a zone's first line");
	zones_bad("Node 1, zone   Normal", "Node 64, zone   Normal", "above 63");
	zones_bad("zone   Normal", "zone   AbcdefghijklmnopQ", "too long");
	/* Found by fuzzing: a name that begins with NUL was taken for none. */
	zones_bad("zone   Normal", "zone   \033[31m", "name is not text");
	gw_snapshot_free(&snap);
	parse_bad(gw_parse_zoneinfo, nul_name, sizeof(nul_name), "zoneinfo", "name is not text");
	gw_snapshot_free(&snap);
	parse_bad(gw_parse_zoneinfo, binary, sizeof(binary), "zoneinfo", "no populated zone");
	parse_bad(gw_parse_zoneinfo, "", 0, "zoneinfo", "no populated zone");
}

/* More zones than the library has room for are refused, not cut off. */
static void
zoneinfo_too_many(void **state)
{
	static char text[GW_ZONES_MAX * 200 + 200];
	size_t used = 0;

	(void)state;
	for (int i = 0; i <= GW_ZONES_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"Node 0, zone Z%d\n  pages free 1\n spanned 9\n present 9\n managed 9\n"
			"  start_pfn: %d\n",
			i, i * 10);
	parse_bad(gw_parse_zoneinfo, text, used, "zoneinfo", "more than 64");
}

/* buddyinfo: any number of orders up to GW_ORDERS_MAX, zones by name, unknown ones passed over. */
static void
buddyinfo_rows(void **state)
{
	(void)state;
	parse_ok(gw_parse_zoneinfo, zoneinfo);
	parse_ok(gw_parse_buddyinfo, buddyinfo);
	assert_int_equal(snap.n_orders, 11);
	assert_true(snap.zones[0].has_free_blocks);
	assert_int_equal(snap.zones[0].free_blocks[8], 1);
	assert_int_equal(snap.zones[0].free_blocks[10], 3);
	assert_int_equal(snap.zones[1].free_blocks[0], 90);
	assert_int_equal(snap.zones[1].free_blocks[10], 4);

	snap.zones[0].has_free_blocks = snap.zones[1].has_free_blocks = false;
	parse_ok(gw_parse_buddyinfo, "Node 0, zone DMA 5 0\nNode 7, zone Strange 6 0\n");
	assert_int_equal(snap.n_orders, 2);
	assert_int_equal(snap.zones[0].free_blocks[0], 5);
	assert_false(snap.zones[1].has_free_blocks);

	snap.zones[0].has_free_blocks = false;
	parse_ok(gw_parse_buddyinfo, "Node 0, zone DMA 1 2 3 4 5 6 7 8 9 1 2 1 0 0 0 0\n");
	assert_int_equal(snap.n_orders, GW_ORDERS_MAX);
}

static void
buddy_bad(const char *text, const char *what)
{
	for (unsigned i = 0; i < snap.n_zones; i++)
		snap.zones[i].has_free_blocks = false;
	parse_bad(gw_parse_buddyinfo, text, strlen(text), "buddyinfo", what);
}

static void
buddyinfo_bad(void **state)
{
	char many[512] = "Node 0, zone DMA";

	(void)state;
	parse_ok(gw_parse_zoneinfo, zoneinfo);
	for (int i = 0; i < 99; i++)
		strcat(many, " 1");
	buddy_bad(many, "more than 16 orders");
	buddy_bad("Node 0, zone DMA 1 2\nNode 1, zone Normal 1 2 3\n", "3 orders, not 2");
	buddy_bad("Node 0, zone DMA 1 two 3\n", "not a number in order 1");
	buddy_bad("Node 0, zone DMA 1 99999999999999999999\n", "too large in order 1");
	buddy_bad("Node 0, zone DMA 0 2048\n", "more free blocks of order 1");
	buddy_bad("Node 0, zone DMA 18446744073709551615 0\n", "more free blocks of order 0");
	buddy_bad("Node 0, zone DMA\n", "fewer than 2 orders");
	buddy_bad("Node 0, zone DMA 1\n", "fewer than 2 orders");
	buddy_bad("Node 0, zone DMA 1 0\nNode 0, zone DMA 1 0\n", "twice");
	buddy_bad("Zone DMA 1\n", "not a zone's row");
	buddy_bad("", "no zone");
	buddy_bad("\n\n", "no zone");
}

static const char pagetypeinfo[] =
	"Page block order: 3\n"
	"Pages per block:  8\n"
	"\n"
	"Free pages count per migrate type at order       0      1      2      3 \n"
	"Node    0, zone      DMA, type    Unmovable      1      2      3      4 \n"
	"Node    0, zone      DMA, type      Movable   >100 >200 5 6 \n"
	"Node    0, zone      DMA, type     Shinyest      9      9      9      9 \n"
	"Node    0, zone      DMA, type          CMA      7      0      0      0 \n"
	"Node    0, zone      DMA, type      Isolate      0      0      0      8 \n"
	"\n"
	"Number of blocks type     Unmovable     Shinyest      Movable          CMA      Isolate \n"
	"Node 0, zone      DMA            1           11            7            2            3 \n"
	"Number of mixed blocks    Unmovable     Shinyest      Movable          CMA      Isolate \n"
	"Node 0, zone      DMA          100          100          100          100          100 \n";

static void
pagetypes_begin(void)
{
	gw_snapshot_free(&snap);
	snap.pageblock_order = 9;
	parse_ok(gw_parse_zoneinfo, zoneinfo);
	parse_ok(gw_parse_buddyinfo, "Node 0, zone DMA 1 2 3 4\n");
}

/* Types by name, unknown ones passed over; counts behind ">" are marked; mixed blocks are not
 * block counts. */
static void
pagetypeinfo_tables(void **state)
{
	const struct gw_zone_snapshot *zone;

	(void)state;
	pagetypes_begin();
	parse_ok(gw_parse_pagetypeinfo, pagetypeinfo);
	zone = &snap.zones[0];
	assert_int_equal(snap.pageblock_order, 3);
	assert_true(zone->has_pagetypes);
	assert_false(snap.zones[1].has_pagetypes);
	assert_int_equal(zone->free_by_type[GW_MT_UNMOVABLE][3], 4);
	assert_int_equal(zone->free_by_type[GW_MT_MOVABLE][0], 100);
	assert_true(zone->free_by_type_capped[GW_MT_MOVABLE][0]);
	assert_true(zone->free_by_type_capped[GW_MT_MOVABLE][1]);
	assert_false(zone->free_by_type_capped[GW_MT_MOVABLE][2]);
	assert_int_equal(zone->free_by_type[GW_MT_CMA][0], 7);
	assert_int_equal(zone->free_by_type[GW_MT_ISOLATE][3], 8);
	assert_int_equal(zone->free_by_type[GW_MT_RECLAIMABLE][0], 0);
	assert_int_equal(zone->pageblocks[GW_MT_UNMOVABLE], 1);
	assert_int_equal(zone->pageblocks[GW_MT_MOVABLE], 7);
	assert_int_equal(zone->pageblocks[GW_MT_CMA], 2);
	assert_int_equal(zone->pageblocks[GW_MT_ISOLATE], 3);
	assert_int_equal(zone->pageblocks[GW_MT_HIGHATOMIC], 0);
}

static void
pagetypes_bad(const char *old, const char *new, const char *what)
{
	const char *text = with(pagetypeinfo, old, new);

	pagetypes_begin();
	parse_bad(gw_parse_pagetypeinfo, text, strlen(text), "pagetypeinfo", what);
}

static void
pagetypeinfo_bad(void **state)
{
	(void)state;
	pagetypes_bad("order: 3", "order: 99", "page block order is not a number from 1 to 3");
	pagetypes_bad("order: 3", "order: 0", "page block order is not a number from 1 to 3");
	pagetypes_bad("order: 3", "order: -3", "page block order");
	pagetypes_bad("4 \n", "4 5\n", "5 orders, not 4");
	pagetypes_bad("      4 \n", "\n", "3 orders, not 4");
	pagetypes_bad(">100 ", ">many ", "not a number in order 0");
	pagetypes_bad(">100 ", ">99999999999999999999 ", "too large in order 0");
	pagetypes_bad(">100 ", "5000 ", "more free blocks of order 0");
	pagetypes_bad("7            2            3", "7", "not 5 numbers");
	pagetypes_bad("7            2            3", "7 2 99999", "more pageblocks");
	pagetypes_bad("Node 0, zone      DMA  ", "Node 0; zone DMA ", "not a zone's row");
	pagetypes_bad(", type    Unmovable", ", type", "3 orders, not 4");
	pagetypes_bad(", type      Movable", "", "no type");
	pagetypes_begin();
	parse_bad(gw_parse_pagetypeinfo, "garbage", 7, "pagetypeinfo", "no table");
}

/* vmstat: any names, in their order; a name that is too long is passed over. */
static void
vmstat_counters(void **state)
{
	(void)state;
	parse_ok(gw_parse_vmstat, "nr_free_pages 5161138\n"
				  "a_name_that_is_much_too_long_for_any_counter_of_today 3\n"
				  "pgmigrate_success 18446744073709551615\n"
				  "not\001text 5\n"
				  "nr_unstable 0\n");
	assert_int_equal(snap.n_counters, 3);
	assert_string_equal(snap.counters[1].name, "pgmigrate_success");
	assert_true(gw_snapshot_counter(&snap, "pgmigrate_success", 1) == UINT64_MAX);
	assert_int_equal(gw_snapshot_counter(&snap, "nr_free_pages", 1), 5161138);
	assert_int_equal(gw_snapshot_counter(&snap, "compact_stall", 77), 77);
	parse_bad(gw_parse_vmstat, "a 1\nb\n", 6, "vmstat", "line 2");
	parse_bad(gw_parse_vmstat, "a 18446744073709551616\n", 23, "vmstat", "line 1");
}

/* Whole frames only: the edges of a range that starts or ends within one are not counted. */
static void
iomem_ranges(void **state)
{
	(void)state;
	parse_ok(gw_parse_iomem, "00000000-00000fff : Reserved\n"
				 "00001000-0009fbff : System RAM\n"
				 "000f0000-000fffff : System ROM\n"
				 "00100800-bfffffff : System RAM\n"
				 "  01000000-02209987 : Kernel code\n"
				 "c8000000-c8ffffff : Reserved\n"
				 "  c8001000-c8001fff : System RAM\n"
				 "c0000000-c0000ffe : System RAM\n"
				 "100000000-63fffffff : System RAM\n"
				 "640000000-647ffffff : virtio0\n"
				 "  640000000-647ffffff : System RAM (virtio_mem)\n"
				 "4000000000-7fffffffff : PCI Bus 0000:00\n");
	assert_int_equal(snap.n_ram, 3);
	assert_int_equal(snap.ram[0].start, 1);
	assert_int_equal(snap.ram[0].end, 0x9f);
	assert_int_equal(snap.ram[1].start, 0x101);
	assert_int_equal(snap.ram[1].end, 0xc0000);
	/* Memory that a driver added is nested; it touches the range before. */
	assert_int_equal(snap.ram[2].start, 0x100000);
	assert_int_equal(snap.ram[2].end, 0x648000);
}

/* Without root all addresses read as zero: that is as good as no file (FACTS 3.2). */
static void
iomem_hidden(void **state)
{
	(void)state;
	parse_ok(gw_parse_iomem, "00000000-00000000 : Reserved\n"
				 "00000000-00000000 : System RAM\n"
				 "  00000000-00000000 : Kernel code\n");
	assert_null(snap.ram);
	assert_int_equal(snap.n_ram, 0);
}

/* Odd but possible: unsorted, beyond the last frame, to the end of the address space. */
static void
iomem_odd(void **state)
{
	(void)state;
	parse_ok(gw_parse_iomem, "4000-7fff : System RAM\n"
				 "1000-1fff : System RAM\n"
				 "fffffffffffff000-ffffffffffffffff : System RAM\n"
				 "5000-8fff : System RAM\n");
	assert_int_equal(snap.n_ram, 2);
	assert_int_equal(snap.ram[0].start, 1);
	assert_int_equal(snap.ram[0].end, 2);
	assert_int_equal(snap.ram[1].start, 4);
	assert_int_equal(snap.ram[1].end, 9);
	parse_bad(gw_parse_iomem, "2000-1000 : System RAM\n", 23, "iomem", "ends before");
	parse_bad(gw_parse_iomem, "garbage\n", 8, "iomem", "line 1");
	parse_bad(gw_parse_iomem, "1ffffffffffffffff-2 : System RAM\n", 33, "iomem", "line 1");
}

/* Known sysctls within their range, unknown ones passed over. */
static void
sysctl_values(void **state)
{
	(void)state;
	parse_ok(gw_parse_sysctl, "extfrag_threshold 400\nlowmem_reserve_ratio 256 256 32\n"
				  "compact_unevictable_allowed 0\nnr_hugepages 12\n");
	assert_int_equal(snap.extfrag_threshold, 400);
	assert_int_equal(snap.compact_unevictable_allowed, 0);
	assert_int_equal(snap.nr_hugepages, 12);
	parse_bad(gw_parse_sysctl, "extfrag_threshold 1001", 22, "sysctl", "extfrag_threshold");
	parse_bad(gw_parse_sysctl, "compact_unevictable_allowed 2", 29, "sysctl", "up to 1");
	parse_bad(gw_parse_sysctl, "nr_hugepages", 12, "sysctl", "nr_hugepages");
}

/* A kernel's name is shown on terminals: nothing but printable text stays in it. */
static void
uname_is_clean(void **state)
{
	(void)state;
	parse_ok(gw_parse_uname, "Linux \033[31m6.18\nmore\n");
	assert_string_equal(snap.kernel, "Linux ?[31m6.18");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)
	const struct CMUnitTest tests[] = {
		TEST(zoneinfo_fields),
		TEST(zoneinfo_without_high_min),
		TEST(zoneinfo_sorted),
		TEST(zoneinfo_bad),
		TEST(zoneinfo_too_many),
		TEST(buddyinfo_rows),
		TEST(buddyinfo_bad),
		TEST(pagetypeinfo_tables),
		TEST(pagetypeinfo_bad),
		TEST(vmstat_counters),
		TEST(iomem_ranges),
		TEST(iomem_hidden),
		TEST(iomem_odd),
		TEST(sysctl_values),
		TEST(uname_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
