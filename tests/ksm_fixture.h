/* SPDX-License-Identifier: MIT */
/*
 * ksm_fixture.h - three address spaces with four mergeable pages each, and who merges them.
 *
 * Idea. Addresses are the same in all; `a` is forked from nobody. A page is filled with one word.
 * Two rounds merge what does not change: the first learns the checksums, the second compares.
 */
#ifndef GODWIT_KSM_FIXTURE_H
#define GODWIT_KSM_FIXTURE_H

#include "godwit/ksm.h"
#include "engine/virt/ksm.h"
#include "move_fixture.h"

#define KSM_PAGES 4

struct merger {
	struct mover *mv;
	struct spaces *s;
	struct gw_machine *m;
	struct gw_ksm *ksm;
	struct gw_mm *a, *b, *c;
	gw_vaddr_t addr; /* of the pages, in each */
};

/* cmocka's: *state is a struct merger. Teardown: nothing is left, of frames and of memory. */
int merger_setup(void **state);
int merger_setup_sharing(void **state, unsigned max_page_sharing);
int merger_teardown(void **state);

/* A member with memory at g->addr. */
struct gw_mm *new_member(struct merger *g);
void leave(struct gw_mm **mm);

gw_vaddr_t at_page(const struct merger *g, unsigned page);
/* The whole page has this word in it. */
void fill(const struct merger *g, struct gw_mm *mm, unsigned page, uint64_t value);
bool is_filled(const struct merger *g, struct gw_mm *mm, unsigned page, uint64_t value);
gw_pfn_t frame_of(const struct merger *g, struct gw_mm *mm, unsigned page);
bool is_merged(const struct merger *g, struct gw_mm *mm, unsigned page);
void rounds(struct merger *g, unsigned n);
/* a's and b's first page, both of 7, merged: returns it. */
gw_pfn_t merge_two(struct merger *g);
struct gw_ksm_info info(struct merger *g);
/* verify() of those members that are there, and of `other` if it is not NULL. */
void verify_all(struct merger *g, struct gw_mm *other);

#endif
