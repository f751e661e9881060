/* SPDX-License-Identifier: MIT */
/*
 * storm_internal.h - the storm's programs, and what they know of their own memory.
 *
 * Idea. A program is an address space with a few regions. Beside each word of a region stands what
 * it must be: a version from `min` to `max`. Whoever works on a region holds its mutex, so
 * the two are equal, but right after a fork: a word that the parent wrote while it forked is in
 * the child either old or new, and the child's first look decides which.
 *
 *   word = tag of its program's lineage and place (32 bits) | version (32 bits); 0: never written
 *
 * The tags of one region are the same in all programs and pages, so that these may be merged.
 *
 * A region's versions only grow, so bytes of an earlier use of a page are never taken for new ones.
 *
 * Locks, outermost first: program->layout (fork: write; what changes regions' shape: read),
 * region->mutex, storm->table.
 */
#ifndef GW_MACHINE_SOFT_STORM_INTERNAL_H
#define GW_MACHINE_SOFT_STORM_INTERNAL_H

#include <errno.h>
#include <pthread.h>

#include "engine/sync/sync.h"
#include "godwit/huge.h"
#include "machine/soft/storm.h"

#define STORM_REGIONS	  8 /* among them: */
#define STORM_STACK	  0 /* a stack, the first */
#define STORM_SAME	  6 /* one whose pages say the same as others */
#define STORM_HUGE	  7 /* one that holds huge pages */
#define STORM_HUGETLB	  8 /* beside them: one of huge pages from the pool */
#define STORM_ALL_REGIONS 9
#define STORM_PAGES	  64   /* of a region, at most */
#define STORM_HUGE_PAGES  1024 /* of the last two */
#define STORM_PROGRAMS	  16
#define STORM_COUNTERS	  64 /* words that all threads add to */
#define STORM_BLOCKS	  48 /* of raw memory that stand in the way */
#define STORM_FILES	  4
#define STORM_GROUPS	  3 /* memory control groups */
#define STORM_NODES	  3 /* the last is slow memory without CPUs */
#define STORM_RANGES	  4 /* of frames, allocated */
#define STORM_OFFLINE	  2 /* pageblocks that may be offline */
#define WORDS_PER_PAGE	  (GW_PAGE_SIZE / sizeof(uint64_t))

struct storm_word {
	gw_atomic_u32 min, max; /* versions */
};

struct storm_region {
	pthread_mutex_t mutex;
	unsigned pages; /* there is room for; never changes */
	/* Guarded by mutex and by layout. */
	gw_vaddr_t base;     /* of page 0, mapped or not */
	unsigned first, end; /* pages mapped: [first, end) */
	uint32_t id;	     /* told by every word's tag; children keep it; 0: of all alike */
	/* A write has version `begun` before and `done` after its bytes are written. */
	gw_atomic_u32 begun, done;
	struct storm_word *words; /* of all pages; those of mapped ones are known */
};

/* A file: its pages from 1 on as a region says, page 0 for counters. */
struct storm_file {
	struct gw_mapping *mapping;
	struct storm_region
		region; /* its mutex guards the contents; base is whose mapping is looked at */
	gw_atomic_u64 added[STORM_COUNTERS];
};

struct storm_program {
	struct gw_mm *mm;
	pthread_rwlock_t layout;
	unsigned users; /* guarded by storm->table */
	struct storm_region regions[STORM_ALL_REGIONS];
	/* Shared mappings; 0: none. Made under the file's mutex, undone with the layout alone. */
	gw_atomic_u64 file_maps[STORM_FILES];
	bool in_group;
	gw_atomic_u32 pool_may_fail; /* an access to STORM_HUGETLB may be refused */
	gw_vaddr_t counters;
	gw_atomic_u64 added[STORM_COUNTERS]; /* what the counters must be once nobody adds */
};

struct storm_range {
	gw_pfn_t start, n; /* 0: none */
};

/* A pageblock that is offline, or none. */
struct storm_block {
	pthread_mutex_t mutex; /* only tried for */
	gw_pfn_t start;	       /* guarded by it; GW_PFN_NONE: none */
};

struct storm {
	struct gw_soft *soft;
	struct gw_machine *m;
	gw_pfn_t n_frames;
	unsigned n_threads;
	uint64_t started;
	gw_atomic_u32 stop;
	gw_atomic_u32 region_ids;
	gw_atomic_u64 ops[GW_STORM_OPS];
	gw_atomic_u64 words, faults_expected, programs, no_memory;
	gw_atomic_u64 contig_frames, blocks_offline, most_sharing;

	struct storm_file files[STORM_FILES];
	struct gw_memcg *groups[STORM_GROUPS];
	struct gw_ksm *ksm;
	struct gw_balloon *balloon;
	gw_atomic_u32 *hosts; /* by frame: given to the host */

	pthread_mutex_t table;
	struct storm_program *running[STORM_PROGRAMS]; /* guarded by table */
	gw_pfn_t blocks[STORM_BLOCKS];		       /* the same; GW_PFN_NONE: none */
	struct storm_range ranges[STORM_RANGES];       /* the same */
	gw_pfn_t pool_page;			       /* the same */
	struct gw_error lost;			       /* the same */

	struct storm_block offline[STORM_OFFLINE];
};

/* One thread. */
struct storm_thread {
	struct storm *s;
	unsigned cpu;
	uint64_t random;
	bool short_of_memory;
	bool waits; /* until it is interrupted, maybe; guarded by storm->table */
	struct gw_task *task;
	struct gw_khugepaged khugepaged;
	pthread_t thread;
	uint64_t buf[WORDS_PER_PAGE]; /* a page on its way */
};

/* ---- storm.c ---- */

uint64_t storm_random(struct storm_thread *t);
/* A number below n. */
unsigned storm_below(struct storm_thread *t, unsigned n);
/* Something is lost: remember the first, stop everybody. */
void storm_lost(struct storm *s, const char *fmt, ...) GW_PRINTF(2, 3);
/* An operation could not be done for want of memory: make room. */
void storm_no_memory(struct storm_thread *t);

/* Nodes are of equal size, in whole pageblocks; the last has what is left. */
gw_pfn_t storm_node_start(const struct storm *s, unsigned node);
unsigned storm_node_of(const struct storm *s, gw_pfn_t pfn);

static inline bool
storm_stopped(struct storm *s)
{
	return gw_u32_load_relaxed(&s->stop) != 0;
}

/* ---- storm_region.c: bytes; region->mutex held ---- */

int storm_region_init(struct storm_region *r, unsigned pages);
void storm_region_destroy(struct storm_region *r);
/* Its words from page `first` to `end` are zero: they were just mapped, or given back. */
void storm_region_forget(struct storm_region *r, unsigned first, unsigned end);
/* Write or verify a random piece, or all of it. False: something is lost, or no memory. */
bool storm_write(struct storm_thread *t, struct storm_program *p, struct storm_region *r);
/* Some whole pages, all the same. */
bool storm_write_same(struct storm_thread *t, struct storm_program *p, struct storm_region *r);
bool storm_verify(struct storm_thread *t, struct storm_program *p, struct storm_region *r,
	unsigned first, unsigned end);
bool storm_verify_some(struct storm_thread *t, struct storm_program *p, struct storm_region *r);
/* An access of this kind must be refused. */
void storm_expect_fault(
	struct storm_thread *t, struct storm_program *p, gw_vaddr_t addr, enum gw_access access);
bool storm_add(struct storm_thread *t, struct storm_program *p);

/* What a page of a region says, in t->buf; p NULL: it was not looked at through a program. */
bool storm_check_page(struct storm_thread *t, const struct storm_program *p, struct storm_region *r,
	unsigned page);
/* New words [first, first + n), at most a page's worth, in t->buf, with their version; and what is
 * known of them once they were written, or not wholly. */
uint32_t storm_make_words(struct storm_thread *t, struct storm_region *r, size_t first, size_t n);
void storm_know_words(struct storm_region *r, size_t first, size_t n, uint32_t version, int err);

/* ---- storm_program.c ---- */

struct storm_program *storm_pick(struct storm_thread *t);
void storm_release(struct storm_thread *t, struct storm_program *p);
void storm_fork(struct storm_thread *t, struct storm_program *p);
void storm_exec(struct storm_thread *t);
/* Take a program off the table, a random one if p is NULL. */
void storm_exit(struct storm_thread *t, struct storm_program *p);

/* Map a region that is not; false: no memory. */
bool storm_map_region(struct storm_thread *t, struct storm_program *p, struct storm_region *r);

/* ---- storm_layout.c: what changes a region's shape; takes the locks ---- */

void storm_layout(struct storm_thread *t, struct storm_program *p, enum gw_storm_op op);

/* ---- storm_move.c ---- */

void storm_compact(struct storm_thread *t);
void storm_migrate(struct storm_thread *t);
void storm_alloc(struct storm_thread *t);
void storm_reclaim(struct storm_thread *t);
void storm_move_pages(struct storm_thread *t, struct storm_program *p);
void storm_free_blocks(struct storm *s);

/* ---- storm_place.c ---- */

int storm_place_open(struct storm *s);
/* The mappings of pages [first, end); region->mutex held. */
void storm_mbind(struct storm_thread *t, struct storm_program *p, struct storm_region *r,
	unsigned first, unsigned end);
void storm_mbind_file(struct storm_thread *t, struct storm_program *p);
void storm_policy(struct storm_thread *t);
void storm_hint(struct storm_program *p);
void storm_kcompactd(struct storm_thread *t);
void storm_contig(struct storm_thread *t);
void storm_hotplug(struct storm_thread *t, bool online);
/* The threads are to end: let nobody wait for memory. */
void storm_interrupt(struct storm *s, struct storm_thread *threads, unsigned n);
void storm_free_ranges(struct storm *s);

/* ---- storm_huge.c ---- */

int storm_huge_open(struct storm *s);
/* An address where huge entries fit; it may be taken. */
gw_vaddr_t storm_huge_place(struct storm_thread *t);
void storm_huge(struct storm_thread *t, struct storm_program *p);
void storm_split(struct storm_thread *t);
void storm_collapse(struct storm_thread *t, struct storm_program *p);

/* ---- storm_hugetlb.c ---- */

void storm_hugetlb(struct storm_thread *t, struct storm_program *p);
/* All that nobody has mapped. */
void storm_free_pools(struct storm *s);

/* ---- storm_special.c ---- */

int storm_special_open(struct storm *s);
/* No program is left. Also after a failed opening. */
void storm_special_close(struct storm *s);
/* A program's pages may be merged from now on; false: no memory. */
bool storm_join(struct storm_thread *t, struct storm_program *p);
void storm_ksm(struct storm_thread *t, struct storm_program *p);
void storm_balloon(struct storm_thread *t);
/* All of it. */
void storm_deflate(struct storm *s);

/* ---- storm_file.c ---- */

int storm_files_open(struct storm *s);
/* Also after a failed opening. */
void storm_files_close(struct storm *s);
/* All of them, when nobody else is there. */
void storm_files_verify(struct storm_thread *t);
void storm_file(struct storm_thread *t, struct storm_program *p);
void storm_truncate(struct storm_thread *t);
void storm_file_io(struct storm_thread *t);

#endif
