/* SPDX-License-Identifier: MIT */
/*
 * policy.c - memory policies: choosing nodes, and the allocation that goes by them.
 *
 * Idea. A policy is a small value, copied wherever it is kept: in VMAs, guarded by mmap_lock, and
 * in tasks. Interleaving needs no state: the page's index in its object decides, so a page that is
 * faulted in, moved or swapped in again comes to the same node.
 *
 * Invariants
 *   L3  whether a page is misplaced (gw_policy_misplaced()) and where a new one goes
 *       (gw_policy_node()) agree: a page that was allocated where it was wanted is not misplaced,
 *       as long as its user stays on his node
 */
#include "engine/phys/hugetlb.h"
#include "engine/store/store.h"
#include "engine/virt/policy.h"
#include "engine/virt/virt_internal.h"

/* ---- what a policy says ---- */

static bool
wants_nodes(enum gw_policy_mode mode)
{
	return mode != GW_POLICY_DEFAULT && mode != GW_POLICY_LOCAL;
}

int
gw_policy_check(const struct gw_machine *m, const struct gw_policy *policy)
{
	bool balances = policy->mode == GW_POLICY_BIND || policy->mode == GW_POLICY_PREFERRED_MANY;

	if (policy->mode > GW_POLICY_WEIGHTED_INTERLEAVE ||
		policy->flags & ~(balances ? GW_POLICY_NUMA_BALANCING : 0u))
		return -EINVAL;
	if (policy->nodes & ~m->memory_nodes || wants_nodes(policy->mode) != (policy->nodes != 0))
		return -EINVAL;
	return 0;
}

/* The nth node of a set that has so many. */
static unsigned
nth_node(uint64_t nodes, uint64_t n)
{
	while (n--)
		nodes &= nodes - 1;
	return (unsigned)__builtin_ctzll(nodes);
}

static uint32_t
weight_of(const struct gw_machine *m, uint64_t nodes)
{
	return gw_u32_load_relaxed(&m->nodes[__builtin_ctzll(nodes)].weight);
}

static unsigned
weighted_node(const struct gw_machine *m, uint64_t nodes, uint64_t index)
{
	uint64_t total = 0, left = nodes, set = nodes;

	do
		total += weight_of(m, set);
	while (set &= set - 1);
	index %= total;
	/* A weight that changes meanwhile may lead to the end of the set. */
	while (index >= weight_of(m, left) && left & (left - 1)) {
		index -= weight_of(m, left);
		left &= left - 1;
	}
	return (unsigned)__builtin_ctzll(left);
}

unsigned
gw_policy_node(const struct gw_machine *m, const struct gw_policy *policy, uint64_t index)
{
	switch (policy->mode) {
	case GW_POLICY_PREFERRED:
		return (unsigned)__builtin_ctzll(policy->nodes);
	case GW_POLICY_BIND:
	case GW_POLICY_PREFERRED_MANY:
		return gw_nearest_node(m, gw_current_node(m), policy->nodes);
	case GW_POLICY_INTERLEAVE:
		return nth_node(
			policy->nodes, index % (unsigned)__builtin_popcountll(policy->nodes));
	case GW_POLICY_WEIGHTED_INTERLEAVE:
		return weighted_node(m, policy->nodes, index);
	case GW_POLICY_DEFAULT:
	case GW_POLICY_LOCAL:
		break;
	}
	return gw_current_node(m);
}

uint64_t
gw_policy_nodes(const struct gw_machine *m, const struct gw_policy *policy)
{
	switch (policy->mode) {
	case GW_POLICY_DEFAULT:
	case GW_POLICY_LOCAL:
	case GW_POLICY_PREFERRED:
		return (uint64_t)1 << gw_policy_node(m, policy, 0);
	default:
		return policy->nodes;
	}
}

int
gw_policy_misplaced(
	const struct gw_machine *m, const struct gw_policy *policy, uint64_t index, unsigned node)
{
	unsigned here = gw_current_node(m), wanted = node;

	switch (policy->mode) {
	case GW_POLICY_BIND:
	case GW_POLICY_PREFERRED_MANY:
		if (policy->flags & GW_POLICY_NUMA_BALANCING && policy->nodes >> here & 1)
			wanted = here;
		else if (!(policy->nodes >> node & 1))
			wanted = gw_policy_node(m, policy, index);
		break;
	default:
		wanted = gw_policy_node(m, policy, index);
		break;
	}
	return wanted == node || !(m->memory_nodes >> wanted & 1) ? -1 : (int)wanted;
}

/* ---- allocation ---- */

static struct gw_policy
task_policy(void)
{
	const struct gw_task *task = gw_current();

	return task ? task->policy : (struct gw_policy){.mode = GW_POLICY_DEFAULT};
}

struct gw_policy
gw_vma_policy(const struct gw_vma *vma)
{
	return vma->policy.mode == GW_POLICY_DEFAULT ? task_policy() : vma->policy;
}

struct gw_page_source
gw_task_source(uint64_t index)
{
	return (struct gw_page_source){.policy = task_policy(), .index = index};
}

struct gw_page_source
gw_vma_source(const struct gw_vma *vma, gw_vaddr_t addr)
{
	return (struct gw_page_source){
		.memcg = vma->mm->memcg,
		.policy = gw_vma_policy(vma),
		.index = gw_vma_index(vma, addr),
	};
}

/* Where a page comes from: the nodes of a set, those nearest to `node` first; then perhaps any. */
struct choice {
	unsigned node;
	uint64_t nodes;
	bool then_any;
};

static struct choice
choose(const struct gw_machine *m, const struct gw_page_source *source, unsigned order)
{
	const struct gw_policy *policy = &source->policy;

	switch (policy->mode) {
	case GW_POLICY_BIND: /* L1 */
	case GW_POLICY_PREFERRED_MANY:
		return (struct choice){.node = gw_current_node(m),
			.nodes = policy->nodes,
			.then_any = policy->mode == GW_POLICY_PREFERRED_MANY};
	default:
		return (struct choice){.node = gw_policy_node(m, policy, source->index >> order),
			.nodes = GW_ALL_NODES};
	}
}

static int
alloc_by_policy(struct gw_machine *m, gw_gfp_t gfp, const struct gw_page_source *source,
	unsigned order, gw_pfn_t *out)
{
	const struct choice c = choose(m, source, order);
	gw_gfp_t first = c.then_any ? gfp & ~(gw_gfp_t)GW_GFP_DIRECT_RECLAIM : gfp;

	if (c.nodes != GW_ALL_NODES) {
		int err = gw_alloc_pages_nodes(m, first, c.node, c.nodes, order, out);

		if (!err || !c.then_any)
			return err;
	}
	return gw_alloc_pages(m, gfp, c.node, order, out);
}

int
gw_alloc_source(struct gw_machine *m, gw_gfp_t gfp, const struct gw_page_source *source,
	unsigned order, gw_pfn_t *out)
{
	const struct gw_page_source nobody = gw_task_source(0);
	gw_pfn_t page;

	if (!source)
		source = &nobody;
	if (alloc_by_policy(m, gfp, source, order, &page))
		return -ENOMEM;
	if (gw_memcg_charge(source->memcg, page)) {
		gw_put_page(m, page);
		return -ENOMEM;
	}
	*out = page;
	return 0;
}

gw_pfn_t
gw_hugetlb_take_source(
	struct gw_machine *m, const struct gw_page_source *source, unsigned order, bool reserved)
{
	const struct choice c = choose(m, source, order);
	gw_pfn_t page = gw_hugetlb_take(m, c.node, c.nodes, order, reserved);

	if (page == GW_PFN_NONE && c.then_any)
		page = gw_hugetlb_take(m, c.node, GW_ALL_NODES, order, reserved);
	return page;
}

/* ---- policies of VMAs and tasks ---- */

int
gw_vma_set_policy(
	struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, const struct gw_policy *policy)
{
	struct gw_inode *node;
	int err;

	if (!gw_vma_covers(mm, start, end))
		return -EFAULT;
	err = gw_vma_split_range(mm, start, end);
	if (err)
		return err;
	for (node = gw_itree_first(&mm->vmas, start, end); node;
		node = gw_itree_next(node, start, end))
		gw_vma_of(node)->policy = *policy;
	return 0;
}

bool
gw_vma_migratable(const struct gw_vma *vma)
{
	if (vma->flags & (GW_VM_IO | GW_VM_HUGETLB))
		return false;
	return !vma->mapping || !(vma->mapping->flags & GW_MAPPING_UNMOVABLE);
}

int
gw_get_policy(struct gw_mm *mm, uint64_t addr, struct gw_policy *out)
{
	const struct gw_vma *vma;
	int err = -EFAULT;

	gw_rw_read_lock(&mm->mmap_lock);
	vma = gw_vma_find(mm, addr);
	if (vma && gw_vma_start(vma) <= addr) {
		*out = vma->policy;
		err = 0;
	}
	gw_rw_read_unlock(&mm->mmap_lock);
	return err;
}

int
gw_task_set_policy(struct gw_task *task, const struct gw_policy *policy)
{
	int err = gw_policy_check(task->machine, policy);

	if (!err)
		task->policy = *policy;
	return err;
}

int
gw_set_node_weight(struct gw_machine *m, unsigned node, unsigned weight)
{
	if (node >= m->n_nodes || weight == 0 || weight > UINT8_MAX)
		return -EINVAL;
	gw_u32_store_relaxed(&m->nodes[node].weight, weight);
	return 0;
}
