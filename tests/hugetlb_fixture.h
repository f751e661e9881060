/* SPDX-License-Identifier: MIT */
/*
 * hugetlb_fixture.h - node 0's pool of huge pages, on a machine of huge_fixture.h.
 */
#ifndef GODWIT_HUGETLB_FIXTURE_H
#define GODWIT_HUGETLB_FIXTURE_H

#include "godwit/hugetlb.h"
#include "huge_fixture.h"

struct gw_hugetlb_info info_of(struct spaces *s);
/* The pool counts these, and gw_machine_check() agrees. */
void assert_pool(struct spaces *s, uint64_t total, uint64_t free, uint64_t reserved);
/* To n pages; asserts that it works. */
void resize(struct spaces *s, uint64_t n);
/* Map n huge pages at HUGE_AT: 0 or a negative errno. */
int try_map(struct gw_mm *mm, unsigned n);

#endif
