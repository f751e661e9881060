/* SPDX-License-Identifier: MIT */
/*
 * huge_fixture.h - huge and large pages in address spaces on a soft machine (mm_fixture.h).
 */
#ifndef GODWIT_HUGE_FIXTURE_H
#define GODWIT_HUGE_FIXTURE_H

#include "godwit/huge.h"
#include "mm_fixture.h"

#define FRAMES_PER_HUGE 512u
#define HUGE_AT		(64 * TABLE) /* where tests map by default */

/* An ordinary machine, whose pageblocks are huge pages; spaces_teardown() ends it. */
int huge_setup(void **state);

/* Orders that faults use from now on, after MADV_HUGEPAGE. */
void use_orders(struct spaces *s, uint32_t orders);
/* `n` tables' worth of advised memory at HUGE_AT, untouched. */
void map_huge(struct gw_mm *mm, unsigned n);
/* The same, each frame written with its number, in pages of `order`; returns the first's head. */
gw_pfn_t fill_huge(struct spaces *s, struct gw_mm *mm, unsigned n, unsigned order);
/* The same, one page in the first of n address spaces, of which the others are forks. */
gw_pfn_t share_huge(struct spaces *s, struct gw_mm **mm, unsigned n, unsigned order);
void write_frames(struct gw_mm *mm, gw_vaddr_t start, unsigned n);
/* Each of n frames from start on still has its number. */
void assert_frames(struct gw_mm *mm, gw_vaddr_t start, unsigned n);

bool is_huge(struct gw_mm *mm, gw_vaddr_t addr);
unsigned order_of(struct spaces *s, gw_pfn_t pfn);
uint32_t refs_of(struct spaces *s, gw_pfn_t pfn);
uint32_t maps_of(struct spaces *s, gw_pfn_t pfn);
uint64_t count_of(struct spaces *s, enum gw_vm_event event);

/* A reference to the frame's page, and its lock: what a split's caller has; and back. */
void lock_with_pin(struct spaces *s, gw_pfn_t frame);
void unlock_with_pin(struct spaces *s, gw_pfn_t frame);
/* gw_split_huge(), with both. */
int split_at(struct spaces *s, gw_pfn_t frame);

#endif
