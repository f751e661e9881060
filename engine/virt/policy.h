/* SPDX-License-Identifier: MIT */
/*
 * policy.h - where pages come from: the one way in which faults and caches allocate; and what moves
 * pages for faults and reclaim, which are below migration.
 */
#ifndef GW_ENGINE_VIRT_POLICY_H
#define GW_ENGINE_VIRT_POLICY_H

#include "engine/virt/virt.h"

/* Who a new page is for. */
struct gw_page_source {
	struct gw_memcg *memcg; /* who pays; NULL: nobody */
	struct gw_policy policy;
	uint64_t index; /* of the page's first frame in its object: interleaving goes by it */
};

/* The current task's, paid by nobody. */
struct gw_page_source gw_task_source(uint64_t index);
/* Of the page at addr in vma; mmap_lock held. */
struct gw_page_source gw_vma_source(const struct gw_vma *vma, gw_vaddr_t addr);

/* A page of 2^order frames, by policy and charged. NULL: for nobody, by the task's policy. 0 or
 * -ENOMEM. Sleeps if gfp may wait. */
GW_MUST_CHECK int gw_alloc_source(struct gw_machine *m, gw_gfp_t gfp,
	const struct gw_page_source *source, unsigned order, gw_pfn_t *out);

/* The same out of the pools of huge pages, not charged: gw_hugetlb_take(). Never sleeps. */
gw_pfn_t gw_hugetlb_take_source(
	struct gw_machine *m, const struct gw_page_source *source, unsigned order, bool reserved);

/* 0, or -EINVAL: no such policy on this machine. */
int gw_policy_check(const struct gw_machine *m, const struct gw_policy *policy);
/* The node where the policy wants the page of an index first. The index is in pages of its size, so
 * that large ones, too, go round. */
unsigned gw_policy_node(const struct gw_machine *m, const struct gw_policy *policy, uint64_t index);
/* The nodes that it may be on, as mbind(2) sees it: interleaved pages may be on any of theirs. */
uint64_t gw_policy_nodes(const struct gw_machine *m, const struct gw_policy *policy);
/* Where a page on `node` should be instead, or -1: it is where it belongs. */
int gw_policy_misplaced(
	const struct gw_machine *m, const struct gw_policy *policy, uint64_t index, unsigned node);

/* The policy of vma's faults; mmap_lock held. */
struct gw_policy gw_vma_policy(const struct gw_vma *vma);
/* All VMAs of the range have this policy from now on. mmap_lock held for writing. 0, -EFAULT,
 * -ENOMEM, with nothing changed. */
GW_MUST_CHECK int gw_vma_set_policy(
	struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, const struct gw_policy *policy);

/*
 * May faults and hints move pages of vma for a policy (E12)? Not of devices' memory, nor a pool's
 * huge pages, nor those of a file that never move.
 */
bool gw_vma_migratable(const struct gw_vma *vma);

/* What engine/migrate does for the rooms below it, as far as the machine's tunables want it. */
struct gw_numa_ops {
	/* E1: `page`, locked and in a cache, is about to be mapped at addr of vma. The page to use
	 * instead of it, locked, with the caller's reference: another, or itself. */
	gw_pfn_t (*misplaced)(
		struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma, gw_vaddr_t addr);
	/* Move a page of any order, named by its head, that vma maps to a node; the caller's
	 * reference goes. True: it has moved. */
	bool (*move)(struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma, unsigned node);
	/* Move pages that reclaim has isolated from a node's LRU to a lower tier; those that stay
	 * are on the list afterwards. Returns frames moved. */
	uint64_t (*demote)(struct gw_machine *m, unsigned node, struct gw_page_list *list);
};

/* The page to map instead of `page`, if its node is not the right one. */
static inline gw_pfn_t
gw_check_misplaced(struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma, gw_vaddr_t addr)
{
	return m->numa.migrate_on_fault ? m->numa_ops->misplaced(m, page, vma, addr)
					: page; /* E14 */
}

/* ---- hinting (hinting.c) ---- */

/* dst has taken src's place, and knows who used it last. Both locked. */
void gw_hint_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src);

#endif
