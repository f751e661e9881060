/* SPDX-License-Identifier: MIT */
/*
 * walk_probe.h - is the lock that keeps VMAs as they are held at each place of a walk (R5)?
 */
#ifndef GODWIT_WALK_PROBE_H
#define GODWIT_WALK_PROBE_H

#include "engine/virt/rmap.h"

struct walk_probe {
	gw_rwlock *lock; /* NULL: that of the place's anon_vma */
	unsigned places, open;
};

static inline bool
probe_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct walk_probe *probe = walk->ctx;
	gw_rwlock *lock = probe->lock ? probe->lock : gw_anon_vma_lock(walk->anon_vma);

	(void)vma;
	(void)addr;
	probe->places++;
	if (gw_rw_write_trylock(lock)) { /* a change could begin */
		probe->open++;
		gw_rw_write_unlock(lock);
	}
	return true;
}

/* anon_vma NULL: the page is a file's, or merged. */
static inline struct walk_probe
probe_walk(struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma, gw_rwlock *lock)
{
	struct walk_probe probe = {.lock = lock};
	struct gw_rmap_walk walk = {
		.visit = probe_visit, .page = page, .anon_vma = anon_vma, .ctx = &probe};

	gw_page_lock(m, page);
	gw_rmap_walk(m, &walk);
	gw_page_unlock(m, page);
	return probe;
}

#endif
