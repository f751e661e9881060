/* SPDX-License-Identifier: MIT */
/*
 * migrate_fixture.h - a machine with an owner of movable pages and a source of new ones, which
 * count what is asked of them and fail on demand.
 *
 * Each page has an index, under which the owner remembers where it is, and contents that follow
 * from it. world_teardown() frees all that is left and checks the machine.
 */
#ifndef GODWIT_MIGRATE_FIXTURE_H
#define GODWIT_MIGRATE_FIXTURE_H

#include "machine_fixture.h"
#include "godwit/migrate.h"

#define FRAMES	 4096
#define PB_ORDER 4
#define SLOTS	 2048
#define FREED	 GW_PFN_NONE

/* The owner of movable pages, and where their new pages come from. */
struct world {
	struct fixture *f;
	gw_pfn_t slots[SLOTS]; /* page of each index */
	struct gw_page_list list;
	struct gw_migrate_target target;
	struct gw_migrate_stats stats;

	/* What the owner does. */
	bool refuse_isolation;
	int unmap_result, migrate_error, split_error;
	unsigned fail_percent; /* of callbacks, at random */
	uint64_t random;
	/* What the target does. */
	unsigned targets_left;
	unsigned target_order_max;
	gw_pfn_t offer;		/* this page next, instead of a fresh one */
	gw_pfn_t give_up_index; /* the owner gives this page up when a new one is asked for */

	/* What happened. */
	unsigned isolated, unmapped, moved, remapped, put_back, split, gets, puts;
	unsigned moved_in_mode[3];
	uint64_t flushes_at_first_move;
	gw_pfn_t winner, last_put;
	bool locked_in_move, locked_in_remap, clean_at_put;
};

/* An owner with every callback, and one that maps nothing and splits nothing. */
extern const struct gw_movable_ops owner_ops, plain_ops;

/* cmocka's: *state is a struct world. */
int world_setup(void **state);
int world_teardown(void **state);

/* A new page of the owner; as own_page() it has order 0 and owner_ops. */
gw_pfn_t own_page_of(
	struct world *w, uint32_t index, unsigned order, const struct gw_movable_ops *ops);
gw_pfn_t own_page(struct world *w, uint32_t index);
/* On its way to an LRU list: still in the batch. */
gw_pfn_t own_lru_page(struct world *w, uint32_t index, enum gw_lru lru);

/* The owner drops its reference of the page of `index`. */
void world_give_up(struct world *w, uint32_t index);

/* Isolate onto w->list, which must succeed; migrate w->list for compaction. */
void isolate(struct world *w, gw_pfn_t pfn);
int migrate(struct world *w, enum gw_migrate_mode mode);

uint32_t refs(struct world *w, gw_pfn_t pfn);
uint64_t count(struct world *w, enum gw_vm_event event);
bool is_locked(struct gw_machine *m, gw_pfn_t pfn);
bool is_free(struct world *w, gw_pfn_t pfn);

/* The owner has the page of `index`, as it was, at `pfn`. */
void assert_owned(struct world *w, uint32_t index, unsigned order, gw_pfn_t pfn);

#endif
