/* SPDX-License-Identifier: MIT */
/* hugetlb_fixture.c - see hugetlb_fixture.h. */
#include "hugetlb_fixture.h"
#include "test.h"

struct gw_hugetlb_info
info_of(struct spaces *s)
{
	struct gw_hugetlb_info info;

	assert_int_equal(gw_hugetlb_info(s->m, 0, GW_HUGE_ORDER, &info), 0);
	return info;
}

void
assert_pool(struct spaces *s, uint64_t total, uint64_t free, uint64_t reserved)
{
	struct gw_hugetlb_info info = info_of(s);

	assert_int_equal(info.total, total);
	assert_int_equal(info.free, free);
	assert_int_equal(info.reserved, reserved);
	assert_int_equal(gw_machine_check(s->m, NULL, NULL), 0);
}

void
resize(struct spaces *s, uint64_t n)
{
	uint64_t got = 0;

	assert_int_equal(gw_hugetlb_resize(s->m, 0, GW_HUGE_ORDER, n, &got), 0);
	assert_int_equal(got, n);
}

int
try_map(struct gw_mm *mm, unsigned n)
{
	gw_vaddr_t out;

	return gw_mmap(mm, HUGE_AT, n * TABLE, READWRITE, GW_MAP_FIXED | GW_MAP_HUGETLB, &out);
}
