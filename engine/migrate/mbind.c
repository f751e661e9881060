/* SPDX-License-Identifier: MIT */
/*
 * mbind.c - a policy for a range, and its pages brought to where the policy wants them
 * (godwit/policy.h).
 *
 * Idea. The VMAs of the range get the policy; then, with MOVE, every page that is on a node which
 * the policy would not have used is moved, as in move.c. STRICT counts those that are elsewhere,
 * before the policy is set if none may be moved, else those that stayed.
 */
#include "engine/migrate/move.h"
#include "engine/phys/hugetlb.h"
#include "engine/virt/policy.h"

#define MBIND_FLAGS (GW_MBIND_STRICT | GW_MBIND_MOVE | GW_MBIND_MOVE_ALL)

struct range {
	gw_vaddr_t start, end;
	const struct gw_policy *policy;
};

static bool
is_home(const struct gw_move *mv, gw_pfn_t page)
{
	const struct range *range = mv->ctx;

	return gw_policy_nodes(mv->m, range->policy) >> gw_page_node(mv->m, page) & 1;
}

/* The page's index is what interleaving goes by. */
static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	const struct gw_move *mv = ctx;
	const struct range *range = mv->ctx;
	uint64_t nodes = gw_policy_nodes(m, range->policy);
	unsigned node = gw_policy_node(m, range->policy, gw_frame_index(gw_page(m, src)) >> order);

	*dst = gw_hugetlb_take_target(m, src, node, nodes);
	if (*dst != GW_PFN_NONE)
		return 0;
	return gw_alloc_pages_nodes(m, GW_GFP_MOVABLE, node, nodes, order, dst);
}

/* -EIO: a page is elsewhere. Nothing moves. */
static int
look_at(struct gw_move *mv, gw_vaddr_t addr)
{
	gw_pfn_t page;
	bool home;

	if (gw_move_find(mv, addr, &page))
		return 0; /* nothing there */
	home = is_home(mv, page);
	gw_put_page(mv->m, page);
	return home ? 0 : -EIO;
}

/* As `flags` say: look, or move. Returns pages that are elsewhere; when it only looks, 1 for all.
 */
static uint64_t
walk(struct gw_move *mv, unsigned flags)
{
	const struct range *range = mv->ctx;
	gw_vaddr_t start, end = range->start;
	uint64_t refused = 0;

	while (gw_move_next_range(mv, end, range->end, &start, &end)) {
		for (gw_vaddr_t addr = start; addr < end; addr += GW_PAGE_SIZE) {
			int err;

			if (!(flags & (GW_MBIND_MOVE | GW_MBIND_MOVE_ALL))) {
				if (look_at(mv, addr))
					return 1;
				continue;
			}
			err = gw_move_address(mv, addr, flags & GW_MBIND_MOVE_ALL, NULL);
			refused +=
				err == -EACCES || err == -EBUSY || err == -EINVAL || err == -EAGAIN;
		}
	}
	gw_move_batch(mv);
	return refused + mv->stayed;
}

static uint64_t
bring(struct gw_mm *mm, const struct range *range, unsigned flags)
{
	struct gw_move mv = {
		.reason = GW_MR_MEMPOLICY_MBIND,
		.is_home = is_home,
		.get_new_page = get_new_page,
		.ctx = range,
	};

	gw_move_begin(&mv, mm);
	return walk(&mv, flags);
}

static int
set_policy(struct gw_mm *mm, const struct range *range)
{
	int err;

	gw_rw_write_lock(&mm->mmap_lock);
	err = gw_vma_set_policy(mm, range->start, range->end, range->policy);
	gw_rw_write_unlock(&mm->mmap_lock);
	return err;
}

int
gw_mbind(struct gw_mm *mm, uint64_t addr, uint64_t len, const struct gw_policy *policy,
	unsigned flags)
{
	struct range range = {.start = addr, .policy = policy};
	bool moves = flags & (GW_MBIND_MOVE | GW_MBIND_MOVE_ALL);
	bool strict = flags & GW_MBIND_STRICT && policy->mode != GW_POLICY_DEFAULT;
	uint64_t elsewhere = 0;
	int err;

	if (gw_check_range(addr, len, &range.end) || flags & ~(unsigned)MBIND_FLAGS ||
		gw_policy_check(mm->machine, policy))
		return -EINVAL;
	if (strict && !moves && bring(mm, &range, flags))
		return -EIO;
	err = set_policy(mm, &range);
	if (!err && moves)
		elsewhere = bring(mm, &range, flags);
	return !err && strict && elsewhere ? -EIO : err;
}
