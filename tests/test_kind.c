/* SPDX-License-Identifier: MIT */
/* test_kind.c - from page flags to kinds: every trap of FACTS 3.1, every row of 3.5. */
#include "test.h"

#include <string.h>

#include "godwit/kind.h"

#define F(bit)	    (UINT64_C(1) << (bit))
#define REFERENCED  F(2)
#define UPTODATE    F(3)
#define DIRTY	    F(4)
#define LRU	    F(5)
#define ACTIVE	    F(6)
#define SLAB	    F(7)
#define WRITEBACK   F(8)
#define BUDDY	    F(10)
#define MMAP	    F(11)
#define ANON	    F(12)
#define SWAPCACHE   F(13)
#define SWAPBACKED  F(14)
#define HEAD	    F(15)
#define TAIL	    F(16)
#define HUGE	    F(17)
#define UNEVICTABLE F(18)
#define HWPOISON    F(19)
#define NOPAGE	    F(20)
#define KSM	    F(21)
#define THP	    F(22)
#define OFFLINE	    F(23)
#define ZERO_PAGE   F(24)
#define IDLE	    F(25)
#define PGTABLE	    F(26)
#define RESERVED    F(32)
#define MLOCKED	    F(33)
#define OWNER_2	    F(34)
#define PRIVATE	    F(35)

struct row {
	uint64_t flags;
	enum gw_kind kind;
	unsigned marks;
};

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		gw_frame_t frame = gw_frame_from_kpageflags(rows[i].flags);

		if (gw_frame_kind(frame) != rows[i].kind ||
			(frame & ~(unsigned)GW_FRAME_KIND) != rows[i].marks)
			fail_msg("row %zu, flags 0x%llx: %s, marks 0x%x", i,
				(unsigned long long)rows[i].flags,
				gw_kind_info(gw_frame_kind(frame))->name,
				frame & ~(unsigned)GW_FRAME_KIND);
	}
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* Each kind of page that compaction can move is recognised (FACTS 3.5). */
static void
user_pages(void **state)
{
	static const struct row rows[] = {
		{UPTODATE | LRU | MMAP | ANON | SWAPBACKED | OWNER_2, GW_KIND_ANON,
			GW_FRAME_LRU | GW_FRAME_MAPPED},
		{UPTODATE | LRU | MMAP | ANON | SWAPCACHE | SWAPBACKED, GW_KIND_ANON,
			GW_FRAME_LRU | GW_FRAME_MAPPED},
		{UPTODATE | LRU | ANON | SWAPCACHE | SWAPBACKED, GW_KIND_ANON_SWAPCACHE,
			GW_FRAME_LRU},
		{UPTODATE | LRU | ANON | SWAPBACKED, GW_KIND_ANON_UNMAPPED, GW_FRAME_LRU},
		{REFERENCED | UPTODATE | LRU | ACTIVE, GW_KIND_FILE_CLEAN,
			GW_FRAME_LRU | GW_FRAME_ACTIVE},
		{UPTODATE | DIRTY | LRU | PRIVATE, GW_KIND_FILE_DIRTY,
			GW_FRAME_LRU | GW_FRAME_DIRTY | GW_FRAME_PRIVATE},
		{UPTODATE | LRU | WRITEBACK, GW_KIND_WRITEBACK, GW_FRAME_LRU | GW_FRAME_WRITEBACK},
		{UPTODATE | LRU | ANON | SWAPCACHE | SWAPBACKED | WRITEBACK, GW_KIND_WRITEBACK,
			GW_FRAME_LRU | GW_FRAME_WRITEBACK},
		{UPTODATE | DIRTY | LRU | SWAPBACKED | IDLE, GW_KIND_SHMEM,
			GW_FRAME_LRU | GW_FRAME_DIRTY},
		{LRU | UNEVICTABLE | MLOCKED | MMAP | ANON | SWAPBACKED, GW_KIND_UNEVICTABLE,
			GW_FRAME_LRU | GW_FRAME_MAPPED},
		{MLOCKED | MMAP | ANON | SWAPBACKED, GW_KIND_UNEVICTABLE, GW_FRAME_MAPPED},
		{LRU | MMAP | ANON | SWAPBACKED | KSM, GW_KIND_KSM, GW_FRAME_LRU | GW_FRAME_MAPPED},
		{HUGE | HEAD | MMAP | ANON, GW_KIND_HUGETLB, GW_FRAME_HEAD},
		{HUGE | TAIL, GW_KIND_HUGETLB, GW_FRAME_TAIL},
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Each kind that compaction cannot move is recognised (FACTS 3.5). */
static void
kernel_pages(void **state)
{
	static const struct row rows[] = {
		{BUDDY, GW_KIND_BUDDY, 0},
		{NOPAGE, GW_KIND_HOLE, 0},
		{SLAB, GW_KIND_SLAB, 0},
		{SLAB | HEAD, GW_KIND_SLAB, GW_FRAME_HEAD},
		{PGTABLE, GW_KIND_PGTABLE, 0},
		{REFERENCED | PGTABLE, GW_KIND_PGTABLE, 0},
		{OFFLINE, GW_KIND_OFFLINE, 0},
		{RESERVED, GW_KIND_RESERVED, 0},
		{ZERO_PAGE, GW_KIND_ZERO, 0},
		{ZERO_PAGE | THP | HEAD, GW_KIND_ZERO, GW_FRAME_HEAD | GW_FRAME_THP},
		{HWPOISON, GW_KIND_HWPOISON, 0},
		{HEAD, GW_KIND_COMPOUND, GW_FRAME_HEAD},
		{TAIL, GW_KIND_COMPOUND, GW_FRAME_TAIL},
		{PRIVATE, GW_KIND_KERNEL, 0},
		{MMAP, GW_KIND_KERNEL, 0},
		{0, GW_KIND_NOFLAG, 0},
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Leftover and overlaid flags do not mislead (FACTS 3.1): the right-hand column's traps. */
static void
traps(void **state)
{
	static const struct row rows[] = {
		/* slab overlays the fields that make ANON and KSM */
		{SLAB | ANON | HEAD, GW_KIND_SLAB, GW_FRAME_HEAD},
		{SLAB | ANON | KSM | TAIL, GW_KIND_SLAB, GW_FRAME_TAIL},
		/* page-types redefines ACTIVE for slab: no mark from it */
		{SLAB | ACTIVE, GW_KIND_SLAB, 0},
		/* free pages keep UPTODATE */
		{UPTODATE | BUDDY, GW_KIND_BUDDY, 0},
		/* and what keeps only such a mark may be free as well */
		{UPTODATE | REFERENCED | IDLE, GW_KIND_NOFLAG, 0},
		/* the zero page is RESERVED too; vmemmap is RESERVED and PRIVATE; reserved and
		   mapped */
		{ZERO_PAGE | RESERVED, GW_KIND_ZERO, 0},
		{RESERVED | PRIVATE, GW_KIND_RESERVED, 0},
		{RESERVED | MMAP, GW_KIND_RESERVED, 0},
		/* THP: any large folio, of files too */
		{UPTODATE | DIRTY | LRU | TAIL | THP | PRIVATE, GW_KIND_FILE_DIRTY,
			GW_FRAME_LRU | GW_FRAME_DIRTY | GW_FRAME_TAIL | GW_FRAME_THP |
				GW_FRAME_PRIVATE},
		/* SWAPCACHE counts only with SWAPBACKED */
		{LRU | ANON | SWAPCACHE, GW_KIND_ANON_UNMAPPED, GW_FRAME_LRU},
		/* bit 35 is another thing on anonymous pages */
		{LRU | MMAP | ANON | SWAPBACKED | PRIVATE, GW_KIND_ANON,
			GW_FRAME_LRU | GW_FRAME_MAPPED},
		/* taken off its list a moment ago */
		{UPTODATE | MMAP | ANON | SWAPBACKED, GW_KIND_ANON, GW_FRAME_MAPPED},
		{REFERENCED | DIRTY | ACTIVE | PRIVATE, GW_KIND_FILE_DIRTY,
			GW_FRAME_ACTIVE | GW_FRAME_DIRTY | GW_FRAME_PRIVATE},
		/* a poisoned page of the huge page pool, or of anyone */
		{HWPOISON | HUGE | HEAD, GW_KIND_HWPOISON, GW_FRAME_HEAD},
		{HWPOISON | LRU | ANON | MMAP | SWAPBACKED, GW_KIND_HWPOISON, 0},
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Bits without a name change nothing, and no bits make an invalid kind (K1). */
static void
unknown_bits(void **state)
{
	const uint64_t unnamed = ~((F(27) - 1) | (F(43) - F(32)));
	uint64_t random = test_seed();

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t flags = test_random(&random) & test_random(&random);
		gw_frame_t frame = gw_frame_from_kpageflags(flags);

		assert_true(gw_frame_kind(frame) < GW_KIND_NR);
		assert_int_equal(frame, gw_frame_from_kpageflags(flags ^ unnamed));
	}
}

/* The count is the page's own: it overrules MMAP, which is the folio's (FACTS 3.1). */
static void
counts(void **state)
{
	gw_frame_t anon = gw_frame_from_kpageflags(LRU | MMAP | ANON | SWAPBACKED | TAIL | THP);
	gw_frame_t noflag = gw_frame_from_kpageflags(0);

	(void)state;
	assert_false(gw_frame_with_kpagecount(anon, 0) & (GW_FRAME_MAPPED | GW_FRAME_SHARED));
	assert_int_equal(gw_frame_with_kpagecount(anon, 1), anon | GW_FRAME_MAPPED);
	assert_int_equal(
		gw_frame_with_kpagecount(anon, 2), anon | GW_FRAME_MAPPED | GW_FRAME_SHARED);
	assert_int_equal(gw_frame_with_kpagecount(anon, UINT64_MAX),
		anon | GW_FRAME_MAPPED | GW_FRAME_SHARED);
	/* Once shared, no longer: a second count replaces the first. */
	assert_int_equal(gw_frame_with_kpagecount(gw_frame_with_kpagecount(anon, 2), 1),
		anon | GW_FRAME_MAPPED);
	/* Came into use between the two reads: its kind stays open. */
	assert_int_equal(gw_frame_kind(gw_frame_with_kpagecount(noflag, 1)), GW_KIND_NOFLAG);
	/* Neither free memory nor a hole is mapped: the files disagree, the flags win. */
	assert_int_equal(gw_frame_with_kpagecount(GW_KIND_BUDDY, 3), GW_KIND_BUDDY);
	assert_int_equal(gw_frame_with_kpagecount(GW_KIND_HOLE, 3), GW_KIND_HOLE);
}

/* Every kind has a row of its own (K2), with the verdicts of FACTS 3.5. */
static void
kind_rows(void **state)
{
	static const struct {
		enum gw_kind kind;
		enum gw_verdict verdict;
	} verdicts[] = {
		{GW_KIND_HOLE, GW_VERDICT_NONE},
		{GW_KIND_BUDDY, GW_VERDICT_FREE},
		{GW_KIND_PCP, GW_VERDICT_FREE},
		{GW_KIND_ANON, GW_VERDICT_MOVABLE},
		{GW_KIND_ANON_SWAPCACHE, GW_VERDICT_MOVABLE},
		{GW_KIND_FILE_CLEAN, GW_VERDICT_MOVABLE},
		{GW_KIND_FILE_DIRTY, GW_VERDICT_MOVABLE},
		{GW_KIND_WRITEBACK, GW_VERDICT_RECLAIMABLE},
		{GW_KIND_SHMEM, GW_VERDICT_MOVABLE},
		{GW_KIND_UNEVICTABLE, GW_VERDICT_MOVABLE},
		{GW_KIND_KSM, GW_VERDICT_MOVABLE},
		{GW_KIND_HUGETLB, GW_VERDICT_RECLAIMABLE},
		{GW_KIND_SLAB, GW_VERDICT_UNMOVABLE},
		{GW_KIND_PGTABLE, GW_VERDICT_UNMOVABLE},
		{GW_KIND_KERNEL, GW_VERDICT_UNMOVABLE},
		{GW_KIND_COMPOUND, GW_VERDICT_UNMOVABLE},
		{GW_KIND_RESERVED, GW_VERDICT_UNMOVABLE},
		{GW_KIND_OFFLINE, GW_VERDICT_UNMOVABLE},
		{GW_KIND_ZERO, GW_VERDICT_UNMOVABLE},
		{GW_KIND_HWPOISON, GW_VERDICT_UNMOVABLE},
	};

	(void)state;
	for (int a = 0; a < GW_KIND_NR; a++) {
		const struct gw_kind_info *info = gw_kind_info((enum gw_kind)a);

		assert_true(info->name && info->name[0] && info->title && info->title[0]);
		assert_true(info->why && info->why[0] && info->help && info->help[0]);
		for (int b = 0; b < a; b++)
			assert_string_not_equal(info->name, gw_kind_info((enum gw_kind)b)->name);
	}
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		assert_int_equal(gw_kind_info(verdicts[i].kind)->verdict, verdicts[i].verdict);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(user_pages),
		cmocka_unit_test(kernel_pages),
		cmocka_unit_test(traps),
		cmocka_unit_test(unknown_bits),
		cmocka_unit_test(counts),
		cmocka_unit_test(kind_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
