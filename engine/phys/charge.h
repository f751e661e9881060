/* SPDX-License-Identifier: MIT */
/*
 * charge.h - memory control groups as the allocator sees them: a page that is freed ends its
 * charge.
 *
 * Idea. Groups are made and charged above (engine/store/memcg.c); what freeing a page needs is
 * here, since calls go down only. A page is charged as many frames as it has.
 *
 * Invariants, besides J1 and J2 (memcg.h)
 *   J3  GW_PG_CHARGED is set exactly on pages whose row of the side table names their group
 *   J4  a group has a reference of each page charged to it
 */
#ifndef GW_ENGINE_PHYS_CHARGE_H
#define GW_ENGINE_PHYS_CHARGE_H

#include "engine/phys/phys.h"
#include "godwit/memcg.h"

struct gw_memcg {
	struct gw_machine *machine;
	gw_refcount refs;
	gw_atomic_u64 usage, limit;   /* frames */
	struct gw_memcg *next, *prev; /* of machine->memcgs; its memcg_lock */
	uint64_t checked;	      /* frames that gw_charge_check() found charged to it */
	gw_rcu_head rcu;	      /* gw_page_memcg()'s answer may be compared until the next */
};

/* The page, CHARGED, is charged to nobody from now on. It is being freed. */
void gw_charge_end(struct gw_machine *m, gw_pfn_t page);
/* A piece of the page, which is charged, becomes a page of its own, CHARGED too (gw_split_piece()).
 */
void gw_charge_split(struct gw_machine *m, gw_pfn_t page, gw_pfn_t piece);
/* J1, J3; idle machine. */
void gw_charge_check(struct gw_machine *m, struct gw_findings *findings);

#endif
