/* SPDX-License-Identifier: MIT */
/*
 * mm_fixture.h - address spaces on a soft machine of two CPUs.
 *
 * Idea. One thread plays both CPUs in turn, so that a translation which one of them keeps although
 * it was flushed, or should have been, is seen by the other's test. spaces_teardown() is a test as
 * well: gw_machine_check() finds nothing and every frame is free again.
 */
#ifndef GODWIT_MM_FIXTURE_H
#define GODWIT_MM_FIXTURE_H

#include "engine/virt/rmap.h"
#include "machine/soft/soft.h"

#define PAGE	  GW_PAGE_SIZE
#define TABLE	  ((gw_vaddr_t)512 * PAGE) /* what one lowest table spans */
#define READWRITE (GW_PROT_READ | GW_PROT_WRITE)

struct spaces {
	struct gw_soft *soft;
	struct gw_machine *m;
	struct gw_task task; /* on CPU 0 */
	uint64_t free;	     /* frames, when no address space is there */
};

struct spaces *spaces_create(gw_pfn_t n_frames);
/* max_order is one more than pageblock_order. */
struct spaces *spaces_create_orders(gw_pfn_t n_frames, unsigned pageblock_order);
/* With more CPUs, or up to 4 nodes of one zone each. */
struct spaces *spaces_of(unsigned n_cpus, unsigned n_nodes, gw_pfn_t node_frames);
void spaces_destroy(struct spaces *s);
/* cmocka's: *state is a struct spaces, with frames enough. */
int spaces_setup(void **state);
int spaces_teardown(void **state);

struct gw_mm *new_space(struct spaces *s);
struct gw_mm *fork_space(struct gw_mm *mm);
uint64_t free_frames(struct spaces *s);

/* `pages` pages of memory, by itself or at addr; asserts that it works. */
gw_vaddr_t map(struct gw_mm *mm, unsigned pages);
void map_at(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages);

/* A word at addr, by CPU 0; by CPU 1; the access's result alone. */
uint64_t peek(struct gw_mm *mm, gw_vaddr_t addr);
void poke(struct gw_mm *mm, gw_vaddr_t addr, uint64_t value);
int try_peek(struct spaces *s, unsigned cpu, struct gw_mm *mm, gw_vaddr_t addr, uint64_t *value);
int try_poke(struct spaces *s, unsigned cpu, struct gw_mm *mm, gw_vaddr_t addr, uint64_t value);

/* The entry at addr; 0 if there is none. Of a huge one, as if it were of the frame at addr alone.
 */
gw_pte_t entry_of(struct gw_mm *mm, gw_vaddr_t addr);
gw_pfn_t page_of(struct gw_mm *mm, gw_vaddr_t addr);

/* As migration does it: all entries of the page become migration entries; and back. Of a file page
 * there is no anon_vma. */
struct gw_anon_vma *freeze_entries(struct spaces *s, gw_pfn_t page);
void thaw_entries(struct spaces *s, gw_pfn_t page, struct gw_anon_vma *anon_vma);

/* There and back at once, without a flush; false: some entry was being unmapped. */
bool bounce_entries(struct spaces *s, gw_pfn_t page);

/* The places that rmap finds for a page, in order. */
struct places {
	unsigned n;
	const struct gw_mm *mm[8];
	gw_vaddr_t addr[8];
};
struct places places_of(struct spaces *s, gw_pfn_t page);

/*
 * Everything that must hold of idle address spaces: V1, V2, rss, counts of slots, no translation in
 * a TLB that the tables do not say, gw_machine_check(). `spaces` are all that there are.
 */
void verify(struct spaces *s, struct gw_mm *const *spaces, unsigned n);
/* The same, and their end. */
void end_spaces(struct spaces *s, struct gw_mm *const *spaces, unsigned n);

#endif
