/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c - shrinking the LRU lists.
 *
 * Idea. Pages are taken off the old end of an inactive list in batches. Each is looked at under its
 * lock, which is only tried for, and meets one fate:
 *   kept       somebody works on it, or it has nowhere to go: another round
 *   activated  it was used since reclaim last looked, or cannot be written
 *   culled     a locked VMA maps it: to the unevictable list
 *   demoted    there is slower memory: it moves there, a large page whole if it can, or, if it
 *              cannot, is looked at again
 *   split      it is a large page, not used lately: its frames meet their fates one by one
 *   freed      unmapped, written if dirty, its private data released, out of its cache with its
 *              references frozen
 * Active lists lose their old pages to the inactive ones when these are short. Anonymous and file
 * lists are scanned in proportion to their lengths; anonymous ones not without swap.
 *
 * Invariants
 *   C1  a page is freed only with its references frozen at what reclaim accounts for: its isolation
 *       and its cache. So nobody else has it, and under its lock nobody mapped or dirtied it since
 *   C2  a page to be freed is unlocked by gw_page_unlock(): a DROP waiter may have queued and
 *       dropped his reference just before the freeze (FACTS 1.3, C9)
 *   C3  a task that reclaims has GW_TASK_MEMALLOC, and holds one page lock at most
 */
#include "engine/huge/huge.h"
#include "engine/store/reclaim_internal.h"
#include "engine/virt/policy.h"
#include "engine/virt/rmap.h"

#define THROTTLE_TURNS 64u

enum fate { FATE_KEEP, FATE_ACTIVATE, FATE_CULL, FATE_DEMOTE, FATE_FREE };

uint32_t
gw_memalloc_begin(void)
{
	struct gw_task *task = gw_current();
	uint32_t before = task->flags & GW_TASK_MEMALLOC;

	task->flags |= GW_TASK_MEMALLOC;
	return before;
}

void
gw_memalloc_end(uint32_t before)
{
	struct gw_task *task = gw_current();

	task->flags = (task->flags & ~(uint32_t)GW_TASK_MEMALLOC) | before;
}

_Static_assert(GW_VM_PGSCAN_KSWAPD + GW_BY_PROACTIVE == GW_VM_PGSCAN_PROACTIVE &&
		       GW_VM_PGSTEAL_KSWAPD + GW_BY_PROACTIVE == GW_VM_PGSTEAL_PROACTIVE &&
		       GW_VM_PGDEMOTE_KSWAPD + GW_BY_PROACTIVE == GW_VM_PGDEMOTE_PROACTIVE,
	"the counters are in the order of the reclaimers");

/* Of the events of one kind, that whose reclaim this is. */
static void
count_by(const struct gw_reclaim_run *run, enum gw_vm_event kswapds, uint64_t n)
{
	gw_count(run->m, (enum gw_vm_event)(kswapds + (enum gw_vm_event)run->by), n);
}

/* Of the task that has to wait for it. */
static enum gw_reclaimer
direct(void)
{
	return gw_current()->flags & GW_TASK_KHUGEPAGED ? GW_BY_KHUGEPAGED : GW_BY_DIRECT;
}

bool
gw_reclaim_may_swap(const struct gw_machine *m)
{
	struct gw_swap_info info;

	gw_swap_info(m, &info);
	return info.used < info.slots || info.cached; /* these have their slots */
}

static bool
can_demote(const struct gw_machine *m, const struct gw_node *node)
{
	return m->numa.demotion && node->demotion_targets;
}

/* ---- one page, locked ---- */

/* Has it a place to come back from? Pages with movable-ops have not, nor large ones.
 * Nobody's page needs none, but its private data may hold it (A11). */
static bool
is_reclaimable(const struct gw_reclaim_run *run, gw_pfn_t pfn)
{
	const struct gw_page *page = gw_page(run->m, pfn);
	uint32_t flags = gw_page_flags(page);
	void *owner = gw_ptr_load_relaxed(&page->owner);

	if (gw_flags_order(flags) > 0 || flags & GW_PG_WRITEBACK)
		return false;
	if (gw_owner_is_ksm(owner)) /* a slot could not say whose it is */
		return false;
	if (gw_owner_is_anon(owner))
		return flags & GW_PG_SWAPCACHE || run->swap;
	if (!owner)
		return flags & GW_PG_PRIVATE;
	return gw_page_mapping(run->m, pfn) != NULL;
}

/* A large page that nobody has used lately, and that is not moved, becomes single frames, which
 * meet their fates one by one: the others are on the list then. */
static bool
split_to(const struct gw_reclaim_run *run, gw_pfn_t pfn, struct gw_page_list *list)
{
	const struct gw_page *page = gw_page(run->m, pfn);
	struct gw_page_use use;

	if (!gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)) || !run->swap)
		return false;
	gw_page_referenced(run->m, pfn, &use);
	if (use.mlocked || (use.referenced && !run->ignore_use))
		return false;
	return !gw_split_huge_to_list(run->m, pfn, list);
}

/* FATE_FREE: nothing speaks against it so far. */
static enum fate
look_at_use(const struct gw_reclaim_run *run, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(run->m, pfn);
	struct gw_page_use use;

	gw_page_referenced(run->m, pfn, &use);
	if (use.mlocked)
		return FATE_CULL;
	if (!use.referenced || run->ignore_use)
		return FATE_FREE;
	if (gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)) || use.referenced > 1)
		return FATE_ACTIVATE;
	/* A file page mapped once may have been streamed through: it has to show up twice. */
	return gw_u32_or_relaxed(&page->flags, GW_PG_REFERENCED) & GW_PG_REFERENCED ? FATE_ACTIVATE
										    : FATE_KEEP;
}

static bool
unmap(const struct gw_reclaim_run *run, gw_pfn_t pfn)
{
	struct gw_machine *m = run->m;
	const struct gw_page *page = gw_page(m, pfn);

	if (gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)) &&
		!(gw_page_flags(page) & GW_PG_SWAPCACHE) && gw_swap_cache_add(m, pfn))
		return false;
	return !gw_page_mapped(m, pfn) || gw_page_unmap(m, pfn);
}

static bool
may_write(const struct gw_reclaim_run *run, const struct gw_page *page)
{
	bool anon = gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner));

	return run->gfp & GW_GFP_IO && (anon || run->gfp & GW_GFP_FS);
}

/* Write the page, and let go of its private data. */
static bool
clean(const struct gw_reclaim_run *run, gw_pfn_t pfn)
{
	struct gw_machine *m = run->m;
	struct gw_page *page = gw_page(m, pfn);
	uint64_t index;

	if (gw_page_flags(page) & GW_PG_DIRTY && gw_page_cache(m, pfn, &index) &&
		(!may_write(run, page) || gw_page_write_out(m, pfn)))
		return false;
	/* The lock was given up for the I/O. acquire: a map that went has left its dirty mark. */
	if (gw_u32_load_acquire(&page->mapcount) ||
		gw_page_flags(page) & (GW_PG_DIRTY | GW_PG_WRITEBACK))
		return false;
	return gw_page_release_private(m, pfn);
}

/* C1. Unmapped and clean. */
static bool
take_out(const struct gw_reclaim_run *run, gw_pfn_t pfn)
{
	struct gw_machine *m = run->m;
	uint64_t index;
	struct gw_cache *cache = gw_page_cache(m, pfn, &index);

	if (!cache)
		return gw_ref_freeze(&gw_page(m, pfn)->refcount, 1);
	if (gw_page_flags(gw_page(m, pfn)) & GW_PG_SWAPCACHE)
		return gw_swap_cache_remove_frozen(m, pfn, 2);
	return gw_cache_replace_frozen(m, cache, index, pfn, GW_PFN_NONE, 2);
}

/* May it move down instead? Not for a group's sake, which would have no frame fewer. */
static bool
may_demote(const struct gw_reclaim_run *run, gw_pfn_t pfn)
{
	const struct gw_page *page = gw_page(run->m, pfn);
	uint32_t flags = gw_page_flags(page);

	if (!run->demote || flags & GW_PG_WRITEBACK)
		return false;
	return gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)) ||
	       gw_page_mapping(run->m, pfn) != NULL;
}

static enum fate
decide(const struct gw_reclaim_run *run, gw_pfn_t pfn, struct gw_page_list *list)
{
	struct gw_page *page = gw_page(run->m, pfn);
	enum fate fate;

	if (gw_ref_freeze(&page->refcount, 1))
		return FATE_FREE; /* only its isolation is left */
	if (may_demote(run, pfn)) {
		fate = look_at_use(run, pfn);
		return fate == FATE_FREE ? FATE_DEMOTE : fate;
	}
	if (gw_page_flags(page) & GW_PG_COMPOUND && !split_to(run, pfn, list))
		return FATE_KEEP;
	if (!is_reclaimable(run, pfn))
		return FATE_KEEP;
	fate = look_at_use(run, pfn);
	if (fate != FATE_FREE)
		return fate;
	if (!unmap(run, pfn) || !clean(run, pfn))
		return FATE_ACTIVATE;
	return take_out(run, pfn) ? FATE_FREE : FATE_KEEP;
}

/* ---- lists ---- */

/* The page, frozen and locked, is nobody's any more. */
static void
free_frozen(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_lru_forget(m, pfn);
	if (!gw_fix(m, GW_FIX_UNLOCK_WAKES_IN_RECLAIM)) /* nobody has it, so who could wait? */
		gw_u32_and_relaxed(&gw_page(m, pfn)->flags, ~GW_PG_WAITERS);
	gw_page_unlock(m, pfn); /* C2 */
	gw_ref_unfreeze(&gw_page(m, pfn)->refcount, 1);
	gw_put_page(m, pfn);
}

static void
put_back(struct gw_machine *m, gw_pfn_t pfn, enum fate fate)
{
	switch (fate) {
	case FATE_ACTIVATE:
		gw_u32_or_relaxed(&gw_page(m, pfn)->flags, GW_PG_ACTIVE);
		gw_count(m, GW_VM_PGACTIVATE, 1);
		break;
	case FATE_CULL:
		gw_mlock_page(m, pfn);
		gw_count(m, GW_VM_UNEVICTABLE_PGS_CULLED, 1);
		break;
	case FATE_KEEP:
	case FATE_DEMOTE:
	case FATE_FREE:
		break;
	}
	gw_lru_putback(m, pfn);
	gw_put_page(m, pfn);
}

/* Empties the list of isolated pages, but for those to be demoted, which are on `down` then.
 * Returns frames freed. */
static uint64_t
shrink_pages(struct gw_reclaim_run *run, struct gw_page_list *list, struct gw_page_list *down)
{
	struct gw_machine *m = run->m;
	uint64_t freed = 0;
	gw_pfn_t pfn;

	while ((pfn = gw_list_pop_front(m, list)) != GW_PFN_NONE) {
		enum fate fate = FATE_KEEP;

		if (gw_page_trylock(m, pfn)) {
			fate = decide(run, pfn, list);
			if (fate == FATE_FREE) {
				freed += (uint64_t)1
					 << gw_flags_order(gw_page_flags(gw_page(m, pfn)));
				free_frozen(m, pfn);
				continue;
			}
			gw_swap_page_unlock(m, pfn);
		}
		if (fate == FATE_DEMOTE)
			gw_list_push_back(m, down, pfn);
		else
			put_back(m, pfn, fate);
	}
	return freed;
}

/* What does not go down goes the other ways. */
static uint64_t
demote(struct gw_reclaim_run *run, struct gw_page_list *down)
{
	struct gw_machine *m = run->m;
	uint64_t moved = m->numa_ops->demote(m, gw_page_node(m, down->first), down);
	struct gw_page_list none;

	count_by(run, GW_VM_PGDEMOTE_KSWAPD, moved);
	gw_page_list_init(&none);
	run->demote = false;
	moved += shrink_pages(run, down, &none);
	run->demote = true;
	return moved;
}

/* Empties the list of isolated pages. */
static void
shrink_list(struct gw_reclaim_run *run, struct gw_page_list *list)
{
	struct gw_page_list down;
	uint64_t freed;

	gw_page_list_init(&down);
	freed = shrink_pages(run, list, &down);
	if (down.n)
		freed += demote(run, &down);
	run->freed += freed;
	count_by(run, GW_VM_PGSTEAL_KSWAPD, freed);
}

/* D12: give others time to put back what they hold, lest reclaim finds nothing and calls it out of
 * memory. Bounded: what is isolated may be this task's own. */
static void
throttle(const struct gw_reclaim_run *run, const struct gw_node *node, enum gw_lru inactive)
{
	const gw_atomic_u64 *isolated =
		&node->isolated_frames[inactive == GW_LRU_INACTIVE_FILE ? 1 : 0];

	if (run->by == GW_BY_KSWAPD || !gw_fix(run->m, GW_FIX_TOO_MANY_ISOLATED))
		return;
	for (unsigned i = 0; i < THROTTLE_TURNS; i++) {
		if (gw_u64_load_relaxed(isolated) <=
			gw_u64_load_relaxed(&node->lru_frames[inactive]))
			return;
		gw_relax();
	}
}

static void
shrink_inactive(struct gw_reclaim_run *run, struct gw_node *node, enum gw_lru inactive, unsigned n)
{
	struct gw_page_list list;

	gw_page_list_init(&list);
	throttle(run, node, inactive);
	(void)gw_lru_isolate_tail(run->m, node, inactive, run->memcg, n, &list);
	count_by(run, GW_VM_PGSCAN_KSWAPD, list.n);
	shrink_list(run, &list);
}

/* Was the page, isolated, used lately? */
static enum fate
age(const struct gw_reclaim_run *run, gw_pfn_t pfn)
{
	struct gw_page_use use = {0};

	if (!gw_page_trylock(run->m, pfn))
		return FATE_KEEP;
	gw_page_referenced(run->m, pfn, &use);
	gw_swap_page_unlock(run->m, pfn);
	if (use.mlocked)
		return FATE_CULL;
	if (use.referenced && !run->ignore_use)
		return FATE_KEEP;
	gw_u32_and_relaxed(&gw_page(run->m, pfn)->flags, ~(GW_PG_ACTIVE | GW_PG_REFERENCED));
	gw_count(run->m, GW_VM_PGDEACTIVATE, 1);
	return FATE_KEEP;
}

static void
shrink_active(struct gw_reclaim_run *run, struct gw_node *node, enum gw_lru active, unsigned n)
{
	struct gw_page_list list;
	gw_pfn_t pfn;

	gw_page_list_init(&list);
	(void)gw_lru_isolate_tail(run->m, node, active, run->memcg, n, &list);
	while ((pfn = gw_list_pop_front(run->m, &list)) != GW_PFN_NONE)
		put_back(run->m, pfn, age(run, pfn));
}

/* One kind of pages of a node: anonymous ones, or those of files. */
struct kind {
	enum gw_lru inactive, active;
	uint64_t size;	 /* of both lists, when the scan began */
	uint64_t budget; /* how many pages are to be looked at, and */
	uint64_t done;	 /* how many have been */
};

static struct kind
kind_of(const struct gw_reclaim_run *run, const struct gw_node *node, enum gw_lru inactive)
{
	struct kind k = {.inactive = inactive, .active = inactive + 1};

	k.size = gw_u64_load_relaxed(&node->lru_frames[k.inactive]) +
		 gw_u64_load_relaxed(&node->lru_frames[k.active]);
	k.budget = k.size >> run->priority;
	if (k.budget < GW_RECLAIM_BATCH)
		k.budget = k.size < GW_RECLAIM_BATCH ? k.size : GW_RECLAIM_BATCH;
	return k;
}

static void
shrink_kind(struct gw_reclaim_run *run, struct gw_node *node, struct kind *k)
{
	uint64_t left = k->budget - k->done;
	unsigned n = left < GW_RECLAIM_BATCH ? (unsigned)left : GW_RECLAIM_BATCH;

	if (gw_u64_load_relaxed(&node->lru_frames[k->inactive]) <
		gw_u64_load_relaxed(&node->lru_frames[k->active]))
		shrink_active(run, node, k->active, n);
	shrink_inactive(run, node, k->inactive, n);
	k->done += n;
}

void
gw_reclaim_node(struct gw_reclaim_run *run, struct gw_node *node)
{
	struct kind file = kind_of(run, node, GW_LRU_INACTIVE_FILE);
	struct kind anon = kind_of(run, node, GW_LRU_INACTIVE_ANON);

	if (run->priority)
		gw_lru_add_drain(run->m);
	else
		gw_lru_add_drain_all(run->m);
	if (!run->memcg) /* what costs nobody anything comes first */
		run->freed += gw_split_deferred(
			run->m, (unsigned)(node - run->m->nodes), GW_RECLAIM_BATCH);
	run->demote = !run->memcg && can_demote(run->m, node);
	if (!run->swap && !run->demote)
		anon.budget = 0;
	while (run->freed < run->wanted) {
		bool more_file = file.done < file.budget, more_anon = anon.done < anon.budget;

		if (!more_file && !more_anon)
			return;
		/* Whichever has had the smaller part of its size looked at. */
		if (more_file && (!more_anon || file.done * anon.size <= anon.done * file.size))
			shrink_kind(run, node, &file);
		else
			shrink_kind(run, node, &anon);
	}
}

/* ---- on demand ---- */

/* Nodes that a reclaim is to look at, as a set. */
static void
reclaim_nodes(struct gw_reclaim_run *run, uint64_t nodes)
{
	struct gw_machine *m = run->m;
	uint32_t before = gw_memalloc_begin();

	run->swap = gw_reclaim_may_swap(m);
	run->priority = GW_RECLAIM_PRIORITY + 1;
	while (run->priority-- > 0 && run->freed < run->wanted) {
		run->ignore_use = run->priority == 0; /* before anybody goes without */
		for (unsigned n = 0; n < m->n_nodes; n++)
			if (nodes >> n & 1)
				gw_reclaim_node(run, &m->nodes[n]);
	}
	gw_memalloc_end(before);
}

static uint64_t
reclaim(struct gw_machine *m, unsigned node, struct gw_memcg *memcg, uint64_t n,
	enum gw_reclaimer by)
{
	struct gw_reclaim_run run = {
		.m = m, .memcg = memcg, .gfp = GW_GFP_KERNEL, .by = by, .wanted = n};

	gw_might_sleep();
	if (node < m->n_nodes)
		reclaim_nodes(&run, (uint64_t)1 << node);
	return run.freed;
}

uint64_t
gw_reclaim(struct gw_machine *m, unsigned node, struct gw_memcg *memcg, uint64_t n)
{
	return reclaim(m, node, memcg, n, GW_BY_PROACTIVE);
}

uint64_t
gw_reclaim_for_memcg(struct gw_machine *m, unsigned node, struct gw_memcg *memcg, uint64_t n)
{
	return reclaim(m, node, memcg, n, direct());
}

uint64_t
gw_direct_reclaim(struct gw_machine *m, uint64_t nodes, uint64_t n, gw_gfp_t gfp)
{
	struct gw_reclaim_run run = {
		.m = m, .gfp = gfp, .by = direct(), .wanted = GW_RECLAIM_BATCH};

	gw_might_sleep();
	if (run.wanted < n)
		run.wanted = n;
	gw_count(m, GW_VM_ALLOCSTALL, 1);
	reclaim_nodes(&run, nodes & m->memory_nodes);
	return run.freed;
}

uint64_t
gw_reclaimable(const struct gw_machine *m, unsigned node)
{
	uint64_t n = gw_lru_count(m, node, GW_LRU_INACTIVE_FILE) +
		     gw_lru_count(m, node, GW_LRU_ACTIVE_FILE);

	if (gw_reclaim_may_swap(m) || can_demote(m, &m->nodes[node]))
		n += gw_lru_count(m, node, GW_LRU_INACTIVE_ANON) +
		     gw_lru_count(m, node, GW_LRU_ACTIVE_ANON);
	return n;
}

uint64_t
gw_reclaim_pages(struct gw_machine *m, struct gw_page_list *list)
{
	struct gw_reclaim_run run = {
		.m = m, .gfp = GW_GFP_KERNEL, .by = direct(), .ignore_use = true};
	uint32_t before = gw_memalloc_begin();

	gw_might_sleep();
	run.swap = gw_reclaim_may_swap(m);
	shrink_list(&run, list);
	gw_memalloc_end(before);
	return run.freed;
}
