/* SPDX-License-Identifier: MIT */
/*
 * ksm_internal.h - what the files of KSM share.
 *
 * Everything here belongs to the task that scans (gw_ksm.busy), except as said.
 */
#ifndef GW_ENGINE_SPECIAL_KSM_INTERNAL_H
#define GW_ENGINE_SPECIAL_KSM_INTERNAL_H

#include "engine/special/ksm_tree.h"
#include "engine/virt/ksm.h"
#include "godwit/ksm.h"

/* A merged page. */
struct gw_ksm_stable {
	struct gw_ksm_node node;    /* first: the owner of the page leads here */
	struct gw_ksm_leaf leaf;    /* in gw_ksm.stable */
	struct gw_ksm_stable *next; /* in gw_ksm.nodes */
};

/* What is known of the page at an address, from round to round. */
struct gw_ksm_item {
	struct gw_ksm_leaf leaf; /* in gw_ksm.unstable, if `round` is the current one */
	struct gw_ksm_slot *slot;
	gw_vaddr_t addr;
	uint64_t round;		  /* when it was put into the tree; 0: never */
	uint64_t sum;		  /* of the bytes when it was last looked at */
	bool known;		  /* sum is */
	struct gw_ksm_item *next; /* of the slot's, by ascending address */
};

/* A member. */
struct gw_ksm_slot {
	struct gw_ksm_member member; /* first: what mm->ksm points to */
	struct gw_ksm *ksm;
	struct gw_mm *mm; /* NULL: it is gone. Guarded by ksm->lock */
	struct gw_ksm_item *items;
	struct gw_ksm_slot *next; /* in gw_ksm.slots; changed by who scans */
};

struct gw_ksm {
	struct gw_machine *machine;
	struct gw_ksm_tunables tunables;
	gw_atomic_u32 busy; /* 1: a task scans, and owns what follows but for slots */

	gw_spinlock lock;	   /* rank LEAF: slots, and their mm */
	struct gw_ksm_slot *slots; /* new ones come first */

	struct gw_ksm_slot *cursor; /* NULL: between rounds */
	gw_vaddr_t at;		    /* in cursor's mm */
	struct gw_ksm_item **item;  /* the first one of the cursor's from `at` on */
	uint64_t round;		    /* from 1 */
	struct gw_ksm_tree stable, unstable;
	struct gw_ksm_stable *nodes; /* all of the stable tree */
};

/* A page of an address space, both held by references. */
struct gw_ksm_at {
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_pfn_t page;
};

/* ---- ksm_merge.c ---- */

uint64_t gw_ksm_checksum(const struct gw_machine *m, gw_pfn_t page);
bool gw_ksm_same_bytes(const struct gw_machine *m, gw_pfn_t a, gw_pfn_t b);
/* The page of a node, with a reference, and not under migration at that moment (R9: who looks it up
 * waits). GW_PFN_NONE: it was freed. Sleeps. */
gw_pfn_t gw_ksm_node_page(const struct gw_ksm *ksm, const struct gw_ksm_node *node);
/* A merged page with these bytes and room for one more place; *page is it, with a reference. NULL:
 * none. */
struct gw_ksm_stable *gw_ksm_find_stable(
	struct gw_ksm *ksm, uint64_t sum, gw_pfn_t like, gw_pfn_t *page);
/* The page becomes a merged one, with its one entry, if its bytes are those of `like`. NULL: it
 * does not. */
struct gw_ksm_stable *gw_ksm_make_stable(
	struct gw_ksm *ksm, const struct gw_ksm_at *at, gw_pfn_t like);
/* The entry becomes one of the merged page `page` of s, if the bytes are the same. */
bool gw_ksm_merge(
	struct gw_ksm *ksm, const struct gw_ksm_at *at, struct gw_ksm_stable *s, gw_pfn_t page);
/* Nodes without a page go, and places without entries. Sleeps. */
void gw_ksm_tidy(struct gw_ksm *ksm);

#endif
