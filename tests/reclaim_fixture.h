/* SPDX-License-Identifier: MIT */
/*
 * reclaim_fixture.h - address spaces on a small machine, with swap or without, and pages that are
 * made to leave it.
 */
#ifndef GODWIT_RECLAIM_FIXTURE_H
#define GODWIT_RECLAIM_FIXTURE_H

#include "engine/store/store.h"
#include "file_fixture.h"
#include "godwit/reclaim.h"
#include "mm_fixture.h"

#define RECLAIM_FRAMES 1024

/* cmocka's: *state is a struct spaces; teardown is spaces_teardown(). */
int setup_no_swap(void **state);
int setup_swap(void **state);
#define TEST_NO_SWAP(name) cmocka_unit_test_setup_teardown(name, setup_no_swap, spaces_teardown)
#define TEST_SWAP(name)	   cmocka_unit_test_setup_teardown(name, setup_swap, spaces_teardown)

/* A swap area as large as memory. */
void swap_on(struct spaces *s);

uint64_t count(struct spaces *s, enum gw_vm_event event);

/* The first word of page i is value + i. */
void fill(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, uint64_t value);
void expect(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, uint64_t value);
/* How many pages have an entry that is present. */
unsigned present(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages);

/* All that can go, goes: how many frames. */
uint64_t reclaim_all(struct spaces *s);

/* A file's first pages, readable and writable; flags as gw_mmap_file(). */
gw_vaddr_t map_file(struct gw_mm *mm, struct gw_mapping *file, unsigned pages, unsigned flags);

#endif
