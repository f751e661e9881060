/* SPDX-License-Identifier: MIT */
/* scenarios.h - the scenarios of this directory, one file a race, and what they are made of. */
#ifndef GW_EXPLORE_SCENARIOS_H
#define GW_EXPLORE_SCENARIOS_H

#include "engine/virt/virt.h"
#include "godwit/explore.h"
#include "godwit/godwit.h"

extern const struct gw_explore_scenario gw_scenario_anon_stays_anon;
extern const struct gw_explore_scenario gw_scenario_anon_vma_refcount;
extern const struct gw_explore_scenario gw_scenario_atomic_counters;
extern const struct gw_explore_scenario gw_scenario_balloon_lock;
extern const struct gw_explore_scenario gw_scenario_buddy_order_clamp;
extern const struct gw_explore_scenario gw_scenario_charge_before_put;
extern const struct gw_explore_scenario gw_scenario_charge_in_fault;
extern const struct gw_explore_scenario gw_scenario_fault_extra_reference;
extern const struct gw_explore_scenario gw_scenario_faulters;
extern const struct gw_explore_scenario gw_scenario_fork_tail_order;
extern const struct gw_explore_scenario gw_scenario_fork_write_entry;
extern const struct gw_explore_scenario gw_scenario_freeze_under_lock;
extern const struct gw_explore_scenario gw_scenario_hinting_cut;
extern const struct gw_explore_scenario gw_scenario_hinting_fork;
extern const struct gw_explore_scenario gw_scenario_hinting_split;
extern const struct gw_explore_scenario gw_scenario_hinting_twice;
extern const struct gw_explore_scenario gw_scenario_hinting_unmap;
extern const struct gw_explore_scenario gw_scenario_hugetlb_copy;
extern const struct gw_explore_scenario gw_scenario_hugetlb_fault;
extern const struct gw_explore_scenario gw_scenario_hugetlb_shared;
extern const struct gw_explore_scenario gw_scenario_hugetlb_trylock;
extern const struct gw_explore_scenario gw_scenario_hugetlb_write;
extern const struct gw_explore_scenario gw_scenario_ksm_follow_waits;
extern const struct gw_explore_scenario gw_scenario_ksm_walk_lock;
extern const struct gw_explore_scenario gw_scenario_local_lru_drain;
extern const struct gw_explore_scenario gw_scenario_mapped_recheck;
extern const struct gw_explore_scenario gw_scenario_misplaced_preconditions;
extern const struct gw_explore_scenario gw_scenario_mremap_huge;
extern const struct gw_explore_scenario gw_scenario_mremap_pte_lock;
extern const struct gw_explore_scenario gw_scenario_newpage_trylock;
extern const struct gw_explore_scenario gw_scenario_no_touch_after_drop;
extern const struct gw_explore_scenario gw_scenario_offline_drop_waiters;
extern const struct gw_explore_scenario gw_scenario_pmd_entry_wait;
extern const struct gw_explore_scenario gw_scenario_put_and_wait;
extern const struct gw_explore_scenario gw_scenario_put_new_page_once;
extern const struct gw_explore_scenario gw_scenario_reclaim_wakes;
extern const struct gw_explore_scenario gw_scenario_refault;
extern const struct gw_explore_scenario gw_scenario_single_remap;
extern const struct gw_explore_scenario gw_scenario_split_collapse;
extern const struct gw_explore_scenario gw_scenario_split_exit;
extern const struct gw_explore_scenario gw_scenario_split_fault;
extern const struct gw_explore_scenario gw_scenario_split_fork;
extern const struct gw_explore_scenario gw_scenario_split_freeze;
extern const struct gw_explore_scenario gw_scenario_split_huge_collapse;
extern const struct gw_explore_scenario gw_scenario_split_huge_exit;
extern const struct gw_explore_scenario gw_scenario_split_huge_fault;
extern const struct gw_explore_scenario gw_scenario_split_huge_fork;
extern const struct gw_explore_scenario gw_scenario_split_huge_migrate;
extern const struct gw_explore_scenario gw_scenario_split_huge_mremap;
extern const struct gw_explore_scenario gw_scenario_split_huge_pin;
extern const struct gw_explore_scenario gw_scenario_split_huge_reclaim;
extern const struct gw_explore_scenario gw_scenario_split_huge_twice;
extern const struct gw_explore_scenario gw_scenario_split_huge_unmap;
extern const struct gw_explore_scenario gw_scenario_split_migrate;
extern const struct gw_explore_scenario gw_scenario_split_pieces;
extern const struct gw_explore_scenario gw_scenario_split_pmd_cow;
extern const struct gw_explore_scenario gw_scenario_split_pmd_exit;
extern const struct gw_explore_scenario gw_scenario_split_pmd_fault;
extern const struct gw_explore_scenario gw_scenario_split_pmd_fork;
extern const struct gw_explore_scenario gw_scenario_split_pmd_migrate;
extern const struct gw_explore_scenario gw_scenario_split_pmd_page;
extern const struct gw_explore_scenario gw_scenario_split_pmd_twice;
extern const struct gw_explore_scenario gw_scenario_split_pmd_unmap;
extern const struct gw_explore_scenario gw_scenario_split_recheck;
extern const struct gw_explore_scenario gw_scenario_split_reclaim;
extern const struct gw_explore_scenario gw_scenario_split_soft_dirty;
extern const struct gw_explore_scenario gw_scenario_split_tail_add;
extern const struct gw_explore_scenario gw_scenario_split_twice;
extern const struct gw_explore_scenario gw_scenario_stack_growth;
extern const struct gw_explore_scenario gw_scenario_temporary_stack;
extern const struct gw_explore_scenario gw_scenario_too_many_isolated;
extern const struct gw_explore_scenario gw_scenario_unmapped_swapcache;
extern const struct gw_explore_scenario gw_scenario_zap_does_not_restore;

/* ---- small.c: a machine of 64 frames, an address space, pages ---- */

#define GW_SMALL_FRAMES 64

/* One zone, `n_cpus` CPUs, blocks of 8 frames, no batches on the way to the LRU. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_small_machine(unsigned n_cpus, struct gw_machine **out);
/* An address space, named `name` in timelines. */
GW_MUST_CHECK int gw_small_space(struct gw_machine *m, const char *name, struct gw_mm **out);
void gw_small_name_space(const struct gw_mm *mm, const char *name);
/* Names, which begin with the string constant `whose`, for the VMA of addr, which it returns, and
 * its anon_vma. In setup(). */
#define gw_small_name_vma(mm, addr, whose)                                                         \
	gw_small_name_vma_(mm, addr,                                                               \
		(const char *const[4]){whose "VMA", whose "VMA's pgoff", whose "anon_vma lock",    \
			whose "anon_vma refs"})
const struct gw_vma *gw_small_name_vma_(
	const struct gw_mm *mm, gw_vaddr_t addr, const char *const names[4]);
/* One anonymous page at *addr with `value` in its first word, on the LRU. */
GW_MUST_CHECK int gw_small_page(struct gw_mm *mm, uint64_t value, gw_vaddr_t *addr, gw_pfn_t *pfn);
/* The page of an address, GW_PFN_NONE if it is not there. Not a step. */
gw_pfn_t gw_small_pfn(struct gw_mm *mm, gw_vaddr_t addr);
/* Isolate the page for migration, alone on the list. */
GW_MUST_CHECK int gw_small_isolate(struct gw_machine *m, gw_pfn_t pfn, struct gw_page_list *list);
/* Where migration gets its new pages: struct gw_migrate_target. */
int gw_small_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst);
/* Migrate the list to freshly allocated frames, and put back what is left, of which it returns the
 * number. */
int gw_small_migrate(struct gw_machine *m, struct gw_page_list *list, enum gw_migrate_mode mode);
/* Try once to migrate the page of the list to `dst`, allocated for it and given up if that fails:
 * is the page there now? Ten passes make more runs. */
bool gw_small_migrate_once(struct gw_machine *m, struct gw_page_list *list, gw_pfn_t dst);
/* The entry of an address, huge or not, without the locks that tasks may hold. */
gw_pte_t gw_small_entry(const struct gw_mm *mm, gw_vaddr_t addr);
/* "frame 5: refs 2, maps 1, locked, waiters" */
void gw_small_describe_page(const struct gw_machine *m, gw_pfn_t pfn, char *line, size_t size);
/* The same with "; entry: present, write, frame 5" */
void gw_small_describe(
	const struct gw_mm *mm, gw_vaddr_t addr, gw_pfn_t pfn, char *line, size_t size);
/* Another entry's part of that line: "; child's: migration, read, frame 5" */
void gw_small_add_entry(
	const char *whose, const struct gw_mm *mm, gw_vaddr_t addr, char *line, size_t size);
/* "; rmap looks at 0x10000": where a walk would look for the page in the VMA. */
void gw_small_add_place(const struct gw_vma *vma, gw_pfn_t pfn, char *line, size_t size);

/* ---- frames.c: a zone of a few frames, and pages that only their owner knows ---- */

/* One zone of n frames, pageblocks and largest blocks of 2^block_order. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_frames_machine(
	gw_pfn_t n, unsigned block_order, unsigned n_cpus, struct gw_machine **out);
/* Every frame is a page in use that cannot be moved, with one reference. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_frames_take_all(struct gw_machine *m);
/* Drop the last reference of each; what is free merges. */
void gw_frames_free(struct gw_machine *m, gw_pfn_t first, gw_pfn_t n);
/* The page becomes one that can be moved; its owner has the reference. */
void gw_frames_own(struct gw_machine *m, gw_pfn_t pfn);
/* Its owner lets go of it, by the book (godwit/migrate.h). */
void gw_frames_give_up(struct gw_machine *m, gw_pfn_t pfn);
/* A letter a frame: in use 'u', movable 'm', isolated 'i'; free: per-CPU 'p', the order of a block,
 * and dots for the rest of it. */
void gw_frames_describe(const struct gw_machine *m, char *line, size_t size);
/* "frame 0: refs 2, owned, isolated, locked; frame 5: refs 0, free" */
void gw_frames_describe_two(
	const struct gw_machine *m, gw_pfn_t one, gw_pfn_t other, char *line, size_t size);

/* ---- single.c: the state and the tasks of scenarios about one page, mapped once ---- */

struct gw_single {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_pfn_t pfn; /* where the page was before it was migrated */
	gw_pfn_t dst; /* the only frame that the migration has, which tries once; GW_PFN_NONE: none
		       */
	struct gw_page_list list;
	uint64_t value; /* that the other task has read */
	int left, err;	/* of the migration, of the other task */
};

/* A machine, an address space, and a page with 42 in its first word; no dst. */
GW_MUST_CHECK int gw_single_make(struct gw_single *s, unsigned n_cpus);
/* That, and gw_single_isolate(). */
int gw_single_setup(void *state);
/* The end of a setup: the page at addr is isolated, and there is a frame for it. */
GW_MUST_CHECK int gw_single_isolate(struct gw_single *s);
void gw_single_migrate(void *state);
void gw_single_read(void *state);
void gw_single_unmap(void *state);
void gw_single_teardown(void *state);
void gw_single_describe(const void *state, char *line, size_t size);

/* ---- family.c: the state and the tasks of scenarios about fork ---- */

struct gw_family {
	struct gw_machine *m;
	struct gw_mm *parent, *child; /* child: NULL before fork returns */
	gw_vaddr_t addr;
	gw_pfn_t pfn; /* where the page was before it was migrated */
	struct gw_page_list list;
	int left, err; /* of the migration, of the fork */
};

int gw_family_setup(void *state);
void gw_family_migrate(void *state);
void gw_family_fork(void *state);
/* The page was migrated, and both have its bytes. */
void gw_family_check(void *state);
void gw_family_teardown(void *state);
void gw_family_describe(const void *state, char *line, size_t size);

/* ---- faulters.c: a migration against tasks that touch its page on and on ---- */

#define GW_FAULTERS_MOST 4

struct gw_faulters {
	struct gw_single page; /* first: its functions know nothing of the rest */
	gw_atomic_u32 over;
	struct gw_migrate_stats stats;
};

/* The page, and a name for `over`. */
GW_MUST_CHECK int gw_faulters_make(struct gw_faulters *f, unsigned n_cpus);
/* Read the page until `over` is set. */
void gw_faulters_touch(void *state);

/* With n such tasks, GW_FAULTERS_MOST at most, that wait as in `era`; any result is fine. */
void gw_faulters_scenario(enum gw_wait_era era, unsigned n, struct gw_explore_scenario *out);

/* ---- large.c: the state and the tasks of scenarios about a large page that is split ---- */

#define GW_LARGE_ORDER 2
#define GW_LARGE_PARTS 4 /* of a page of that order its frames */

#define GW_HUGE_AT    ((gw_vaddr_t)1 << 30)
#define GW_HUGE_BYTES ((uint64_t)GW_PAGE_SIZE << GW_PMD_ORDER)

/* An address space that maps one large page, in a quarter of which the first word is 1, in the next
 * 2, and so on. */
struct gw_large {
	struct gw_machine *m;
	struct gw_mm *mm;
	struct gw_mm *child; /* if somebody forks */
	gw_vaddr_t addr;
	gw_pfn_t pfn;	/* the head */
	unsigned order; /* of the page */
	int split; /* what the split returned; 1: somebody else had split the page, or had it */
	int err;   /* of the other task */
	struct gw_page_list list;
};

/* A page of GW_LARGE_ORDER, mapped frame by frame, and split
 * into frames. */
int gw_large_setup(void *state);
/* A huge page, mapped by one huge entry. */
int gw_large_setup_huge(void *state);
/* The same two with a swap area. */
int gw_large_setup_swap(void *state);
int gw_large_setup_huge_swap(void *state);
/* On a machine that is there: the page is the first of a VMA of so many bytes. */
GW_MUST_CHECK int gw_large_make(struct gw_large *l, unsigned order, gw_vaddr_t at, uint64_t len);
void gw_large_teardown(void *state);
/* Where the page's quarter begins. */
gw_vaddr_t gw_large_part(const struct gw_large *l, unsigned i);
/* Nobody has split the page. Of a page that has not moved. */
bool gw_large_is_whole(const struct gw_large *l);
void gw_large_split(void *state);
/* Each quarter is where it was in the address space, with its bytes. */
void gw_large_check_bytes(const struct gw_large *l, struct gw_mm *mm);
/* That, and the page has been split, or was in use by others and is whole. */
void gw_large_check(void *state);
/* "frame 8: refs 5, maps 4, order 2; entries: w8 w9 M10 M11" */
void gw_large_describe(const void *state, char *line, size_t size);

/* Other tasks, and what must hold after them. It splits the page, too: not both have done it. */
void gw_large_split_too(void *state);
void gw_large_check_twice(void *state);
/* Takes a reference, and gives it up: gw_large_check(). */
void gw_large_pin(void *state);
void gw_large_fork(void *state);
void gw_large_check_fork(void *state);
/* The address space goes; and with it the page. */
void gw_large_exit(void *state);
void gw_large_check_exit(void *state);
/* Adds to the second quarter's first word. */
void gw_large_write(void *state);
void gw_large_check_write(void *state);
/* Unmaps the second quarter's first frame; the others keep their bytes. */
void gw_large_unmap(void *state);
void gw_large_check_unmap(void *state);
/* Moves all of the mapping, which is of a huge page, to another place of the address space. */
void gw_large_move(void *state);
/* Isolates the page and tries once to move it; makes a huge page of its range; isolates and
 * reclaims it, to swap: the page may be elsewhere, or somebody else's. */
void gw_large_migrate(void *state);
void gw_large_collapse(void *state);
void gw_large_reclaim(void *state);
void gw_large_check_moved(void *state);

/* gw_small_machine() of two CPUs; faults make huge pages, of 8 frames (godwit/mm.h). */
GW_MUST_CHECK int gw_huge_machine(struct gw_machine **out);

/* ---- nodes.c ---- */

/* Two nodes of so many frames; CPU n is on node n. Pageblocks of 2^block_order frames. */
GW_MUST_CHECK int gw_nodes_machine(gw_pfn_t frames, unsigned block_order, struct gw_machine **out);

#define GW_TWO_NODES_VALUE 42

/* Frames below GW_SMALL_FRAMES / 2 are node 0's, CPU n is on node n. A file of one page, whose
 * first word is the value, cached on node 0; two address spaces that map it, but have no entry yet.
 * Pages are migrated on faults. */
struct gw_two_nodes {
	struct gw_machine *m;
	struct gw_mapping *file;
	struct gw_mm *mm[2];
	gw_vaddr_t addr[2];
	gw_pfn_t pfn;	   /* where the page is at first */
	uint64_t value[2]; /* that was read in each */
	int err[2];
};

int gw_two_nodes_setup(void *state);
void gw_two_nodes_read_near(void *state); /* in mm[0] */
void gw_two_nodes_read_far(void *state);
void gw_two_nodes_teardown(void *state);
void gw_two_nodes_describe(const void *state, char *line, size_t size);

#endif
