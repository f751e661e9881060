/* SPDX-License-Identifier: MIT */
/*
 * hugetlb.h - the pools of huge pages as allocator, faults and migration see them (hugetlb.c).
 */
#ifndef GW_ENGINE_PHYS_HUGETLB_H
#define GW_ENGINE_PHYS_HUGETLB_H

#include "engine/phys/phys.h"

/* A free page, of that of `nodes` nearest to `node` which has one, with the pool's reference, which
 * is the caller's from now on. reserved: he has a reservation, which ends; else unreserved ones
 * only, and none of pageblocks that somebody empties. GW_PFN_NONE: there is none. Never sleeps. */
gw_pfn_t gw_hugetlb_take(
	struct gw_machine *m, unsigned node, uint64_t nodes, unsigned order, bool reserved);
/* A new page for src, which moves to one of `nodes`, the one nearest to `node` first: if src is a
 * page of a pool, an unreserved free one, GW_PFN_NONE if there is none; for others GW_PFN_NONE. */
gw_pfn_t gw_hugetlb_take_target(struct gw_machine *m, gw_pfn_t src, unsigned node, uint64_t nodes);
/* Promise n free pages: false, there are not as many. And back. */
bool gw_hugetlb_reserve(struct gw_machine *m, unsigned order, uint64_t n);
void gw_hugetlb_unreserve(struct gw_machine *m, unsigned order, uint64_t n);

/* A page whose only reference is the caller's becomes a free one of its node's pool. */
void gw_hugetlb_add(struct gw_machine *m, gw_pfn_t page);
/* Any free, unreserved page of a node leaves its pool, with its reference; GW_PFN_NONE: there is
 * none. */
gw_pfn_t gw_hugetlb_remove_any(struct gw_machine *m, unsigned node, unsigned order);
/* This page leaves its pool, with its reference: false, it is no free one of a pool, or is needed.
 * `other` of the same node and order, whose only reference is the caller's, takes its place;
 * without (GW_PFN_NONE) it must be unreserved. */
bool gw_hugetlb_replace(struct gw_machine *m, gw_pfn_t page, gw_pfn_t other);
/* The last reference of a pool page has gone. True: it is in the pool again, or in other hands;
 * false: it was surplus, and is an ordinary page without a reference now. */
bool gw_hugetlb_release(struct gw_machine *m, gw_pfn_t page);
/* src, a pool's page in use, has moved to dst, of the same order. If that came from a pool, each
 * stays its pool's; an ordinary page takes src's place in the pools, and src is the allocator's. */
void gw_hugetlb_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src);

/* H1, H2; idle machine. */
void gw_hugetlb_check(struct gw_machine *m, struct gw_findings *findings);

#endif
