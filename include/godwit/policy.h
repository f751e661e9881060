/* SPDX-License-Identifier: MIT */
/*
 * policy.h - memory policies: on which nodes new pages should be, and where pages belong.
 *
 * Idea. A range of an address space may have a policy, a task may; a fault's page is allocated by
 * its VMA's policy, else by the faulting task's. Page tables and the like are local. Node sets have
 * a bit each. There are no cpusets, so Linux's STATIC_NODES and RELATIVE_NODES have no meaning
 * here.
 *
 *   DEFAULT              of a VMA: the task's; of a task: LOCAL
 *   LOCAL                the node of the CPU that faults, then the nearest others
 *   PREFERRED            the lowest node of the set, then those nearest to it
 *   PREFERRED_MANY       the nodes of the set, nearest first, without waiting; then any, as LOCAL
 *   BIND                 the nodes of the set, nearest first, and no others, whatever happens
 *   INTERLEAVE           the nodes of the set in turn, by page offset in the VMA's object, in
 *                        pages of the size that is wanted; if one is full, the nearest others
 *   WEIGHTED_INTERLEAVE  the same, each node for as many pages in a row as its weight says
 *
 * Pages of the pools (hugetlb.h) are taken in the same order from what the pools have free; where
 * BIND's nodes have none, the fault fails.
 *
 * Invariants
 *   L1  under BIND a new page is on a node of the set or not there at all
 *   L2  splitting, moving and forking keep a VMA's policy
 */
#ifndef GODWIT_POLICY_H
#define GODWIT_POLICY_H

#include "types.h"

struct gw_mm;

enum gw_policy_mode {
	GW_POLICY_DEFAULT,
	GW_POLICY_PREFERRED,
	GW_POLICY_BIND,
	GW_POLICY_INTERLEAVE,
	GW_POLICY_LOCAL,
	GW_POLICY_PREFERRED_MANY,
	GW_POLICY_WEIGHTED_INTERLEAVE
};

/* BIND and PREFERRED_MANY: balancing (numa.h) moves pages between the nodes of the set. Other
 * policies but DEFAULT keep it out. */
#define GW_POLICY_NUMA_BALANCING 0x1u

struct gw_policy {
	enum gw_policy_mode mode;
	unsigned flags;
	uint64_t nodes; /* none for DEFAULT and LOCAL, else at least one; all with memory */
};

/* mbind(2)'s flags. */
#define GW_MBIND_STRICT	  0x1 /* pages that are elsewhere, and stay there, are an error */
#define GW_MBIND_MOVE	  0x2 /* move pages that only this address space maps, once */
#define GW_MBIND_MOVE_ALL 0x4 /* move pages that others map, too */

/*
 * Give a range a policy: mbind(2). Pages that are there already stay, but for the MOVE flags: then
 * those on nodes that the policy would not have used are moved to where it wants them, or stay if
 * that fails. STRICT without MOVE only looks.
 * Returns 0; -EINVAL (the range, the policy, unknown flags); -EFAULT (a part is not mapped);
 * -ENOMEM (the range's VMAs could not be split); -EIO (STRICT: pages are elsewhere. Without MOVE
 * nothing is changed; with it the policy is set, and what could be moved was). STRICT does not hold
 * DEFAULT to anything. Any attached task; sleeps.
 */
GW_MUST_CHECK int gw_mbind(struct gw_mm *mm, uint64_t addr, uint64_t len,
	const struct gw_policy *policy, unsigned flags);
/* The policy of the VMA at addr: 0, -EFAULT (not mapped). */
GW_MUST_CHECK int gw_get_policy(struct gw_mm *mm, uint64_t addr, struct gw_policy *out);
/* set_mempolicy(2): what the task's later faults go by. The caller is the task. 0, -EINVAL. */
GW_MUST_CHECK int gw_task_set_policy(struct gw_task *task, const struct gw_policy *policy);
/* Pages in a row for WEIGHTED_INTERLEAVE, 1 .. 255; 1 at first. Any thread. 0, -EINVAL. */
GW_MUST_CHECK int gw_set_node_weight(struct gw_machine *m, unsigned node, unsigned weight);

#endif
