/* SPDX-License-Identifier: MIT */
/*
 * slots_fixture.h - an owner of movable pages for tests with threads.
 *
 * Idea. A table of slots, each a page and the value that stands in all its frames. A slot's mutex
 * guards both; it nests inside the page lock. A slot whose page is isolated is left alone.
 */
#ifndef GODWIT_SLOTS_FIXTURE_H
#define GODWIT_SLOTS_FIXTURE_H

#include <pthread.h>

#include "machine_fixture.h"
#include "godwit/migrate.h"

struct slot {
	pthread_mutex_t mutex;
	gw_pfn_t pfn; /* GW_PFN_NONE: empty */
	unsigned order;
	bool isolated;
	uint64_t value;
};

struct slots {
	struct fixture *f;
	struct slot *all;
	unsigned n;
	gw_atomic_u64 moved, mistakes;
};

/* A page's index is its slot's number. */
extern const struct gw_movable_ops slot_ops;

/* n empty slots; f->user is theirs. */
void slots_create(struct slots *slots, struct fixture *f, unsigned n);
/* What their pages are is forgotten, not given back. */
void slots_destroy(struct slots *slots);

/* A slot that is full or empty as asked and not isolated, its mutex held; or NULL. */
struct slot *slots_grab(struct slots *slots, uint64_t *random, bool full);
/* The page becomes the slot's, on this LRU list if it is one. Mutex held. */
void slot_fill(struct slots *slots, struct slot *s, gw_pfn_t page, unsigned order, uint64_t value,
	enum gw_lru lru);
/* A frame that says something else is a mistake. Mutex held. */
void slot_check(struct slots *slots, const struct slot *s);

#endif
