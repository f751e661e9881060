/* SPDX-License-Identifier: MIT */
/*
 * anon_fixture.h - a machine with an address space, a source of new pages, and hooks in the middle
 * of a migration.
 *
 * Idea. A migration of one page can be stopped where the others would race with it: at_flush
 * runs when its entries are migration entries and its references are not frozen yet, at_copy when
 * they are. Both run as a task of their own. There are no CPUs: what a test writes, it writes
 * through a page walk. Calls into rmap and page lock are counted by the linker's --wrap.
 */
#ifndef GODWIT_ANON_FIXTURE_H
#define GODWIT_ANON_FIXTURE_H

#include <pthread.h>

#include "machine_fixture.h"
#include "engine/virt/rmap.h"
#include "godwit/migrate.h"

#define FRAMES 2048

struct world {
	struct fixture *f;
	struct gw_machine *m;
	struct gw_machine_ops ops; /* the fixture's, and the hooks */
	struct gw_mm *mm;
	uint64_t frames_before; /* free, without the tests' address spaces */
	struct gw_page_list list;
	struct gw_migrate_target target;
	struct gw_migrate_stats stats;

	/* What a test wants to happen. */
	gw_pfn_t offer; /* the next new page, instead of a fresh one */
	bool no_targets;
	void (*at_flush)(struct world *w);
	void (*at_copy)(struct world *w);
	struct gw_mm *other; /* the hooks' */
	gw_vaddr_t addr;
	gw_pfn_t page;

	/* What happened. */
	unsigned gets, puts;
	gw_pfn_t last_new, last_put;
	bool clean_at_put;
	unsigned unmaps, entries_made;	  /* walks that unmapped, and what they found */
	unsigned remaps, entries_removed; /* the same for the way back */
	gw_pfn_t winner;
	bool mark_kept; /* page was still anonymous when it was unlocked */
	char trace[32]; /* of page: N new unlocked, P anon_vma put, O old unlocked */
	unsigned n_trace;
};

/* cmocka's: *state is a struct world. Teardown: nothing is left, of frames and of memory. */
int world_setup(void **state);
int world_teardown(void **state);

/* Readable and writable memory. */
gw_vaddr_t map(struct world *w, unsigned n_pages);
/* Through the page table, faulting as needed. */
void write_word(struct world *w, struct gw_mm *mm, gw_vaddr_t addr, uint64_t value);
uint64_t read_word(struct world *w, struct gw_mm *mm, gw_vaddr_t addr);
/* The entry of addr; 0 also if there is no table. */
gw_pte_t entry_at(struct gw_mm *mm, gw_vaddr_t addr);
void set_entry(struct gw_mm *mm, gw_vaddr_t addr, gw_pte_t pte);
/* The page that addr maps; asserts that it does. */
gw_pfn_t page_at(struct gw_mm *mm, gw_vaddr_t addr);
/* A fresh page at w->addr with `value` in it, on its LRU list: w->page. */
gw_pfn_t new_page(struct world *w, uint64_t value);

void isolate(struct world *w, gw_pfn_t page);
int migrate(struct world *w, enum gw_migrate_mode mode);
/* isolate() and migrate() w->page, which must move; returns where it is. */
gw_pfn_t move(struct world *w);

uint32_t refs(const struct world *w, gw_pfn_t page);
uint32_t maps(const struct world *w, gw_pfn_t page);
bool is_free(const struct world *w, gw_pfn_t page);

/* addr of mm maps page with these flags (GW_PTE_*) besides present. */
void assert_entry(struct gw_mm *mm, gw_vaddr_t addr, gw_pfn_t page, uint64_t flags);

/* ---- tasks that read w->addr again and again, through gw_fault() ---- */

#define FAULTERS 3

struct faulters {
	struct world *w;
	gw_atomic_u32 stop, faults, errors;
	unsigned n;
	pthread_t threads[FAULTERS];
};

void start_faulters(struct faulters *f, struct world *w, unsigned n);
/* Asserts that there were faults, and that all of them were answered. */
void stop_faulters(struct faulters *f);

#endif
