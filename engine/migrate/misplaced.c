/* SPDX-License-Identifier: MIT */
/*
 * misplaced.c - pages that are on the wrong node for who uses them: pulled over on a fault
 * (FACTS 1.7), or sent after a hinting fault.
 *
 * Idea. On a fault: the page of a cache that nobody maps has no entry to replace, so the faulting
 * task moves it at once, in mode FAULT, with its own reference and lock on it, and goes on with the
 * new page. Step by step, with the references of the old page:
 *   S1  found            cache, fault (and private data): 2 (3)
 *   S2  isolated         one more
 *   S3  new page         of the wanted node, without waiting and without reserves; or S7
 *   S4  moved            if there are no others: frozen at 3 (4), thawed at 2: fault, isolation.
 *                        The new page has the cache's and the fault's, its charge and LRU place
 *   S5  isolation ends   1
 *   S6  unlocked, put    0: free
 *   S7  given up         isolation ends; the fault goes on with the old page
 *
 * After a hinting fault the page is mapped, by others too perhaps: it is isolated with the fault's
 * reference, and migrated like any other, in ASYNC mode, if none of today's refusals holds. A large
 * page goes as a whole or stays.
 *
 * Invariants
 *   E1  the fault has a page, locked and with one reference of its own, whatever happens
 *   E13 a charge has moved before the old page's last reference goes
 */
#include "engine/migrate/demote.h"
#include "engine/migrate/isolate.h"
#include "engine/migrate/owner.h"
#include "engine/store/store.h"
#include "engine/virt/policy.h"

/* A page of `node` now or never: no waiting, no reserves, no other node (E6). */
static int
new_page_on(struct gw_machine *m, unsigned node, unsigned order, gw_pfn_t *out)
{
	return gw_alloc_pages(m, GW_GFP_MOVABLE | GW_GFP_THISNODE, node, order, out);
}

/* ---- on a fault ---- */

/* Has whoever keeps the page in his cache a way to move it? */
static bool
cache_migrates(const struct gw_machine *m, gw_pfn_t page)
{
	const struct gw_mapping *mapping = gw_page_mapping(m, page);

	return mapping ? mapping->ops->migrate != NULL
		       : (gw_page_flags(gw_page(m, page)) & GW_PG_SWAPCACHE) != 0;
}

/* Can the page be moved at all? What is cheap to know (E2). */
static bool
may_move(const struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma)
{
	uint32_t flags = gw_page_flags(gw_page(m, page));

	return !gw_page_mapped(m, page) && !(flags & GW_PG_WRITEBACK) && flags & GW_PG_UPTODATE &&
	       cache_migrates(m, page) && gw_flags_order(flags) == 0 && gw_vma_migratable(vma);
}

/* The node that the page should be on, -1: leave it. The policy is asked last (E3). */
static int
wanted_node(struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma, gw_vaddr_t addr)
{
	struct gw_policy policy;

	if (gw_fix(m, GW_FIX_MISPLACED_PRECONDITIONS) && !may_move(m, page, vma))
		return -1;
	policy = gw_vma_policy(vma);
	return gw_policy_misplaced(m, &policy, gw_vma_index(vma, addr), gw_page_node(m, page));
}

/* S3, S4. dst, locked, has src's place: 0; else it is gone: a negative errno. */
static int
move_to(struct gw_machine *m, gw_pfn_t src, unsigned node, gw_pfn_t *dst)
{
	const struct gw_unmapped unmapped = {0}; /* there was nothing to unmap */
	int err = new_page_on(m, node, 0, dst);

	if (err)
		return err;
	if (!gw_page_trylock(m, *dst)) { /* E7, relaxed by A4 */
		gw_put_page(m, *dst);
		return -EAGAIN;
	}
	err = gw_owner_move(m, *dst, src, GW_MIGRATE_FAULT, &unmapped);
	if (!err) {
		gw_lru_putback_as(m, src, *dst);
		return 0;
	}
	gw_page_unlock(m, *dst);
	gw_put_page(m, *dst);
	return err;
}

/* E4: what the caller has made sure of. */
static void
check_preconditions(struct gw_machine *m, gw_pfn_t page)
{
	GW_BUG_ON(m, !(gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED));
	GW_BUG_ON(m, gw_page_mapped(m, page));
	GW_BUG_ON(m, !cache_migrates(m, page));
}

/* The page, locked and with the fault's reference, or the one that took its place on `node`. */
static gw_pfn_t
migrate_misplaced(struct gw_machine *m, gw_pfn_t page, unsigned node)
{
	gw_pfn_t dst;
	int err;

	check_preconditions(m, page);
	gw_get_page(m, page);
	if (gw_isolate_locked_page(m, page, GW_MIGRATE_FAULT)) { /* E5 */
		gw_put_page(m, page);
		return page;
	}
	err = move_to(m, page, node, &dst);
	gw_count(m, err ? GW_VM_PGMIGRATE_FAIL : GW_VM_PGMIGRATE_SUCCESS, 1);
	if (!err)
		gw_owner_forget(m, page);
	gw_isolation_end(m, page);
	gw_put_page(m, page); /* S5, S7 */
	if (err)
		return page;
	gw_page_unlock(m, page);
	gw_put_page(m, page); /* S6 */
	if (!gw_fix(m, GW_FIX_CHARGE_BEFORE_PUT))
		gw_owner_move_charge(m, dst, page);
	return dst;
}

static gw_pfn_t
misplaced_on_fault(struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma, gw_vaddr_t addr)
{
	int node = wanted_node(m, page, vma, addr);

	return node < 0 ? page : migrate_misplaced(m, page, (unsigned)node);
}

/* ---- after a hinting fault ---- */

/* Text that several run stays where it is, and so does a large page that several map; dirty pages
 * of files could not move without waiting. */
static bool
is_refused(struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma)
{
	uint32_t maps = gw_u32_load_relaxed(&gw_page(m, page)->mapcount);
	uint32_t flags = gw_page_flags(gw_page(m, page));

	if (gw_owner_is_anon(gw_ptr_load_relaxed(&gw_page(m, page)->owner)))
		return flags & GW_PG_COMPOUND && gw_page_mapped_twice(m, page);
	return flags & GW_PG_DIRTY || (vma->flags & GW_VM_EXEC && maps != 1);
}

/* The caller's reference becomes the isolation's: 0, or it is still his. */
static int
isolate(struct gw_machine *m, gw_pfn_t page, struct gw_page_list *list)
{
	int err;

	gw_migrate_prep_local(m); /* it may stand in this CPU's batch */
	if (!gw_page_trylock(m, page))
		return -EBUSY;
	err = gw_isolate_locked_page(m, page, GW_MIGRATE_ASYNC);
	gw_swap_page_unlock(m, page);
	if (!err)
		gw_list_push_back(m, list, page);
	return err;
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)src;
	return new_page_on(m, *(const unsigned *)ctx, order, dst);
}

static bool
may_go(struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma, unsigned node)
{
	unsigned order = gw_flags_order(gw_page_flags(gw_page(m, page)));

	if (is_refused(m, page, vma))
		return false;
	if (gw_node_has_room(m, node, GW_WMARK_HIGH, (uint64_t)1 << order))
		return true;
	if (m->numa.balancing & GW_BALANCING_TIERING)
		gw_wake_kswapd(m, (uint64_t)1 << node, order); /* it demotes what is cold there */
	return false;
}

static bool
move_hinted(struct gw_machine *m, gw_pfn_t page, const struct gw_vma *vma, unsigned node)
{
	const struct gw_migrate_target target = {.get_new_page = get_new_page, .ctx = &node};
	bool promoted = !m->nodes[gw_page_node(m, page)].top_tier && m->nodes[node].top_tier;
	struct gw_migrate_stats stats = {0};
	struct gw_page_list list;

	gw_page_list_init(&list);
	if (!may_go(m, page, vma, node) || isolate(m, page, &list)) {
		gw_put_page(m, page);
		return false;
	}
	if (gw_migrate_pages(m, &list, &target, GW_MIGRATE_ASYNC, GW_MR_NUMA_MISPLACED, &stats)) {
		gw_putback_movable_pages(m, &list);
		return false;
	}
	gw_count(m, GW_VM_NUMA_PAGES_MIGRATED, stats.succeeded);
	if (promoted && m->numa.balancing & GW_BALANCING_TIERING)
		gw_count(m, GW_VM_PGPROMOTE_SUCCESS, stats.succeeded);
	return true;
}

/* ---- on and off ---- */

void
gw_numa_tunables_init(struct gw_numa_tunables *tunables)
{
	*tunables = (struct gw_numa_tunables){
		.scan_delay_ms = 1000,
		.scan_period_min_ms = 1000,
		.scan_period_max_ms = 60000,
		.scan_size_mb = 256,
		.hot_threshold_ms = 1000,
		.promote_rate_limit_mbps = 65536,
		.promote_freely_mb = 1024,
	};
}

int
gw_machine_set_numa(struct gw_machine *m, const struct gw_numa_tunables *t)
{
	static const struct gw_numa_ops ops = {
		.misplaced = misplaced_on_fault, .move = move_hinted, .demote = gw_demote};

	if (t->balancing & ~(unsigned)(GW_BALANCING_NORMAL | GW_BALANCING_TIERING) ||
		t->scan_period_min_ms == 0 || t->scan_period_min_ms > t->scan_period_max_ms ||
		t->scan_size_mb == 0)
		return -EINVAL;
	if (t->balancing && gw_page_extra_make(m))
		return -ENOMEM;
	m->numa = *t;
	m->numa_ops = &ops;
	return 0;
}
