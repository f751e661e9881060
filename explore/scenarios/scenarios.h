/* SPDX-License-Identifier: MIT */
/* scenarios.h - the scenarios of this directory, one file a race, and what they are made of. */
#ifndef GW_EXPLORE_SCENARIOS_H
#define GW_EXPLORE_SCENARIOS_H

#include "engine/virt/virt.h"
#include "godwit/explore.h"
#include "godwit/godwit.h"

extern const struct gw_explore_scenario gw_scenario_balloon_lock;
extern const struct gw_explore_scenario gw_scenario_fault_extra_reference;
extern const struct gw_explore_scenario gw_scenario_ksm_follow_waits;
extern const struct gw_explore_scenario gw_scenario_ksm_walk_lock;
extern const struct gw_explore_scenario gw_scenario_misplaced_preconditions;
extern const struct gw_explore_scenario gw_scenario_put_and_wait;

/* ---- small.c: a machine of 64 frames, an address space, pages ---- */

#define GW_SMALL_FRAMES 64

/* One zone, `n_cpus` CPUs, blocks of 8 frames, no batches on the way to the LRU. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_small_machine(unsigned n_cpus, struct gw_machine **out);
/* An address space, named `name` in timelines. */
GW_MUST_CHECK int gw_small_space(struct gw_machine *m, const char *name, struct gw_mm **out);
/* One anonymous page at *addr with `value` in its first word, on the LRU. */
GW_MUST_CHECK int gw_small_page(struct gw_mm *mm, uint64_t value, gw_vaddr_t *addr, gw_pfn_t *pfn);
/* The page of an address, GW_PFN_NONE if it is not there. Not a step. */
gw_pfn_t gw_small_pfn(struct gw_mm *mm, gw_vaddr_t addr);
/* Isolate the page for migration, alone on the list. */
GW_MUST_CHECK int gw_small_isolate(struct gw_machine *m, gw_pfn_t pfn, struct gw_page_list *list);
/* Migrate the list to freshly allocated frames, and put back what is left, of which it returns the
 * number. */
int gw_small_migrate(struct gw_machine *m, struct gw_page_list *list, enum gw_migrate_mode mode);
/* "frame 5: refs 2, maps 1, locked, waiters; entry: frame 5 write" */
void gw_small_describe(
	const struct gw_mm *mm, gw_vaddr_t addr, gw_pfn_t pfn, char *line, size_t size);

/* ---- nodes.c ---- */

#define GW_TWO_NODES_VALUE 42

/* Frames below GW_SMALL_FRAMES / 2 are node 0's, CPU n is on node n. A file of one page, whose
 * first word is the value, cached on node 0; two address spaces that map it, but have no entry yet.
 * Pages are migrated on faults. */
struct gw_two_nodes {
	struct gw_machine *m;
	struct gw_mapping *file;
	struct gw_mm *mm[2];
	gw_vaddr_t addr[2];
	gw_pfn_t pfn; /* where the page is at first */
};

GW_MUST_CHECK int gw_two_nodes_make(struct gw_two_nodes *t);
void gw_two_nodes_unmake(struct gw_two_nodes *t);

#endif
