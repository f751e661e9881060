/* SPDX-License-Identifier: MIT */
/*
 * memcg.h - memory control groups: whose memory a page is, and how much they may have.
 *
 * Idea. An address space belongs to a group; a page is charged to the group of the address space
 * whose fault brought it in, until it is freed. A charge moves with its page, before the old page's
 * last reference goes (A9, E13).
 *
 * Invariants
 *   J1  a group's usage is the number of frames charged to it; a free frame is charged to nobody
 *   J2  usage never exceeds the limit, but for a limit that was lowered
 */
#ifndef GODWIT_MEMCG_H
#define GODWIT_MEMCG_H

#include "types.h"

struct gw_memcg;
struct gw_mm;

/* A group that may have `limit` frames (UINT64_MAX: any number). The caller owns a reference, which
 * goes before the machine does. Returns 0 or -ENOMEM. Any attached task. */
GW_MUST_CHECK int gw_memcg_create(struct gw_machine *m, uint64_t limit, struct gw_memcg **out);
/* Address spaces and charged frames hold references, too. Any attached task. */
void gw_memcg_get(struct gw_memcg *memcg);
void gw_memcg_put(struct gw_memcg *memcg);
/* Frames charged to the group. Any thread. */
uint64_t gw_memcg_usage(const struct gw_memcg *memcg);
/* In frames, from the next charge on; what is charged stays. Any thread. */
void gw_memcg_set_limit(struct gw_memcg *memcg, uint64_t limit);
/* The group that the page is charged to, NULL: none. The caller holds a reference on the page; the
 * group lives as long as the page, unless its charge moves with a migration: lock the page. */
struct gw_memcg *gw_page_memcg(const struct gw_machine *m, gw_pfn_t page);
/* From now on what mm's faults bring in is charged to memcg (NULL: nobody); what is there stays
 * charged as it is. mm holds a reference; fork inherits it. While no other task is in mm. */
void gw_mm_set_memcg(struct gw_mm *mm, struct gw_memcg *memcg);

#endif
