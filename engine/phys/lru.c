/* SPDX-License-Identifier: MIT */
/*
 * lru.c - a node's LRU lists, the per-CPU batches before them, and isolation from them.
 *
 * Idea. Pages are added by batches, one a CPU, so that the LRU lock is taken once for many (D21,
 * D22). A batched page carries a reference of the batch, so migration sees it as pinned until
 * the batch drains. Isolation takes a page off its list and remembers in the page's flags which
 * it was; while off, it counts as isolated (D12).
 *
 * Invariants
 *   U1  GW_PG_LRU is set exactly while the page is linked on the list that ACTIVE, FILE and
 *       UNEVICTABLE name; GW_PG_LRU_HELD exactly while it is isolated from it
 *   U2  lru_frames[l] == frames of the pages on list l
 *   U3  isolated_frames[f] == frames of the pages with LRU_HELD, off anon (0) and file lists (1)
 *   U4  GW_PG_LRU_BATCHED is set exactly while the page stands in a batch
 *   U5  on its way from a batch to its list, off it and back, a page has one of BATCHED, LRU and
 *       LRU_HELD at any moment, so whoever reads none of them knows that nobody will link it
 *   U6  a page with MLOCKED goes to the unevictable list, whatever list it was meant for; the mark
 *       changes under the LRU lock only, or while the page is nobody else's
 */
#include "engine/phys/buddy.h"

static uint32_t
lru_flags(enum gw_lru lru)
{
	static const uint32_t flags[GW_LRU_NR] = {
		[GW_LRU_INACTIVE_ANON] = 0,
		[GW_LRU_ACTIVE_ANON] = GW_PG_ACTIVE,
		[GW_LRU_INACTIVE_FILE] = GW_PG_FILE,
		[GW_LRU_ACTIVE_FILE] = GW_PG_FILE | GW_PG_ACTIVE,
		[GW_LRU_UNEVICTABLE] = GW_PG_UNEVICTABLE,
	};

	return flags[lru];
}

#define LRU_WHICH (GW_PG_ACTIVE | GW_PG_FILE | GW_PG_UNEVICTABLE)

static enum gw_lru
flags_lru(uint32_t flags)
{
	if (flags & GW_PG_UNEVICTABLE)
		return GW_LRU_UNEVICTABLE;
	return (flags & GW_PG_FILE ? GW_LRU_INACTIVE_FILE : GW_LRU_INACTIVE_ANON) +
	       (flags & GW_PG_ACTIVE ? 1 : 0);
}

static struct gw_node *
page_node(const struct gw_machine *m, gw_pfn_t pfn)
{
	return &m->nodes[gw_page_zone(m, pfn)->node];
}

/* Written under lru_lock only: no need of an atomic addition. */
static void
count_listed(struct gw_node *node, enum gw_lru lru, int64_t frames)
{
	gw_atomic_u64 *count = &node->lru_frames[lru];

	gw_u64_store_relaxed(count, gw_u64_load_relaxed(count) + (uint64_t)frames);
}

/* lru_lock held. */
static void
lru_link(struct gw_machine *m, struct gw_node *node, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(m, pfn);
	bool mlocked = gw_page_flags(page) & GW_PG_MLOCKED; /* U6 */
	uint32_t flags = gw_u32_or_relaxed(
		&page->flags, mlocked ? GW_PG_LRU | GW_PG_UNEVICTABLE : GW_PG_LRU);
	enum gw_lru lru = flags_lru(mlocked ? flags | GW_PG_UNEVICTABLE : flags);

	gw_list_push_front(m, &node->lru[lru], pfn);
	count_listed(node, lru, (int64_t)1 << gw_flags_order(flags));
}

/* Off the list that `flags` name, its LRU mark as it is: lru_link() follows (U5). lru_lock held. */
static void
lru_take(struct gw_machine *m, struct gw_node *node, gw_pfn_t pfn, uint32_t flags)
{
	enum gw_lru lru = flags_lru(flags);

	gw_list_remove(m, &node->lru[lru], pfn);
	count_listed(node, lru, -((int64_t)1 << gw_flags_order(flags)));
}

/* lru_lock held. */
static void
lru_unlink(struct gw_machine *m, struct gw_node *node, gw_pfn_t pfn)
{
	lru_take(m, node, pfn, gw_u32_and_relaxed(&gw_page(m, pfn)->flags, ~GW_PG_LRU));
}

static void
count_isolated(struct gw_node *node, uint32_t flags, bool more)
{
	gw_atomic_u64 *count = &node->isolated_frames[flags & GW_PG_FILE ? 1 : 0];
	uint64_t n = (uint64_t)1 << gw_flags_order(flags);

	if (more)
		gw_u64_add_relaxed(count, n);
	else
		gw_u64_sub_relaxed(count, n);
}

/* Move the batch's pages to their lists, in runs of one node. Batch lock held. */
static void
batch_drain(struct gw_machine *m, struct gw_lru_batch *batch)
{
	struct gw_node *locked = NULL;

	for (unsigned i = 0; i < batch->n; i++) {
		gw_pfn_t pfn = batch->pages[i];
		struct gw_node *node = page_node(m, pfn);

		if (node != locked) {
			if (locked)
				gw_spin_unlock(&locked->lru_lock);
			gw_spin_lock(&node->lru_lock);
			locked = node;
		}
		lru_link(m, node, pfn);
		gw_u32_and_relaxed(&gw_page(m, pfn)->flags, ~GW_PG_LRU_BATCHED);
	}
	if (locked)
		gw_spin_unlock(&locked->lru_lock);
	/* The last reference may go here: outside the LRU lock, which freeing takes. */
	for (unsigned i = 0; i < batch->n; i++)
		gw_put_page(m, batch->pages[i]);
	batch->n = 0;
}

void
gw_lru_add(struct gw_machine *m, gw_pfn_t pfn, enum gw_lru lru)
{
	struct gw_lru_batch *batch = &m->lru_batches[gw_current_cpu()];
	struct gw_page *page = gw_page(m, pfn);

	GW_CHECK_ON(m, gw_page_flags(page) &
			       (GW_PG_LRU | GW_PG_LRU_HELD | GW_PG_LRU_BATCHED | GW_PG_ISOLATED));
	gw_u32_or_relaxed(&page->flags, lru_flags(lru) | GW_PG_LRU_BATCHED);
	gw_ref_get(&page->refcount);
	gw_spin_lock(&batch->lock);
	batch->pages[batch->n++] = pfn;
	if (batch->n >= m->config.lru_batch)
		batch_drain(m, batch);
	gw_spin_unlock(&batch->lock);
}

void
gw_lru_seed(struct gw_machine *m, struct gw_zone *zone, gw_pfn_t pfn, enum gw_lru lru)
{
	struct gw_node *node = &m->nodes[zone->node];

	gw_u32_or_relaxed(&gw_page(m, pfn)->flags, lru_flags(lru));
	gw_spin_lock(&node->lru_lock);
	lru_link(m, node, pfn);
	gw_spin_unlock(&node->lru_lock);
}

static void
drain_cpu(struct gw_machine *m, unsigned cpu)
{
	struct gw_lru_batch *batch = &m->lru_batches[cpu];

	gw_spin_lock(&batch->lock);
	if (batch->n)
		batch_drain(m, batch);
	gw_spin_unlock(&batch->lock);
}

void
gw_lru_add_drain(struct gw_machine *m)
{
	drain_cpu(m, gw_current_cpu());
}

void
gw_lru_add_drain_all(struct gw_machine *m)
{
	for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++)
		drain_cpu(m, cpu);
}

uint64_t
gw_lru_count(const struct gw_machine *m, unsigned node, enum gw_lru lru)
{
	return node < m->n_nodes ? gw_u64_load_relaxed(&m->nodes[node].lru_frames[lru]) : 0;
}

static bool
isolates(enum gw_isolate_mode mode, uint32_t flags)
{
	return mode == GW_ISOLATE_BOTH ||
	       (mode == GW_ISOLATE_ACTIVE) == ((flags & GW_PG_ACTIVE) != 0);
}

static int
isolate(struct gw_machine *m, gw_pfn_t pfn, enum gw_isolate_mode mode, bool get)
{
	struct gw_node *node = page_node(m, pfn);
	struct gw_page *page = gw_page(m, pfn);
	uint32_t flags;
	int err = -EBUSY;

	gw_spin_lock(&node->lru_lock);
	flags = gw_page_flags(page);
	if (flags & GW_PG_LRU && !isolates(mode, flags)) {
		err = -EINVAL;
	} else if (flags & GW_PG_LRU && (!get || gw_ref_get_unless_zero(&page->refcount))) {
		count_isolated(node, gw_u32_or_relaxed(&page->flags, GW_PG_LRU_HELD), true);
		lru_unlink(m, node, pfn);
		err = 0;
	}
	gw_spin_unlock(&node->lru_lock);
	return err;
}

int
gw_lru_isolate(struct gw_machine *m, gw_pfn_t pfn, enum gw_isolate_mode mode)
{
	return isolate(m, pfn, mode, true);
}

int
gw_lru_isolate_held(struct gw_machine *m, gw_pfn_t pfn)
{
	return isolate(m, pfn, GW_ISOLATE_BOTH, false);
}

void
gw_lru_putback(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_lru_putback_as(m, pfn, pfn);
}

void
gw_lru_putback_as(struct gw_machine *m, gw_pfn_t from, gw_pfn_t winner)
{
	struct gw_node *node = page_node(m, winner);
	uint32_t flags = gw_page_flags(gw_page(m, from));

	if (!(flags & GW_PG_LRU_HELD))
		return;
	count_isolated(page_node(m, from), flags, false);
	if (winner != from)
		gw_u32_or_relaxed(&gw_page(m, winner)->flags, flags & LRU_WHICH);
	gw_spin_lock(&node->lru_lock);
	lru_link(m, node, winner);
	gw_u32_and_relaxed(&gw_page(m, from)->flags, ~GW_PG_LRU_HELD);
	gw_spin_unlock(&node->lru_lock);
}

void
gw_lru_forget(struct gw_machine *m, gw_pfn_t pfn)
{
	uint32_t flags = gw_u32_and_relaxed(&gw_page(m, pfn)->flags, ~GW_PG_LRU_HELD);

	if (flags & GW_PG_LRU_HELD)
		count_isolated(page_node(m, pfn), flags, false);
}

static bool
is_charged_to(const struct gw_machine *m, gw_pfn_t pfn, const struct gw_memcg *memcg)
{
	const struct gw_page_extra *extra = gw_page_extra(m, pfn);

	return extra && gw_ptr_load_relaxed(&extra->memcg) == memcg;
}

unsigned
gw_lru_isolate_tail(struct gw_machine *m, struct gw_node *node, enum gw_lru lru,
	const struct gw_memcg *memcg, unsigned n, struct gw_page_list *list)
{
	gw_spin_lock(&node->lru_lock);
	if (n > node->lru[lru].n)
		n = (unsigned)node->lru[lru].n;
	for (unsigned i = 0; i < n; i++) {
		gw_pfn_t pfn = node->lru[lru].last;
		struct gw_page *page = gw_page(m, pfn);

		if ((memcg && !is_charged_to(m, pfn, memcg)) ||
			!gw_ref_get_unless_zero(&page->refcount)) {
			/* To the front, out of the way; who frees it must see that it is listed. */
			lru_take(m, node, pfn, gw_page_flags(page));
			lru_link(m, node, pfn);
			continue;
		}
		count_isolated(node, gw_u32_or_relaxed(&page->flags, GW_PG_LRU_HELD), true);
		lru_unlink(m, node, pfn);
		gw_list_push_back(m, list, pfn);
	}
	gw_spin_unlock(&node->lru_lock);
	return n;
}

/* Change what says where the page belongs: at once if it is on a list, else for when it comes to
 * one. False: `unless` held, nothing changed. */
static bool
relist(struct gw_machine *m, gw_pfn_t pfn, uint32_t clear, uint32_t set,
	bool (*unless)(uint32_t flags))
{
	struct gw_node *node = page_node(m, pfn);
	struct gw_page *page = gw_page(m, pfn);
	bool change, listed;

	gw_spin_lock(&node->lru_lock);
	change = !unless(gw_page_flags(page));
	listed = gw_page_flags(page) & GW_PG_LRU;
	if (change && listed)
		lru_take(m, node, pfn, gw_page_flags(page));
	if (change) {
		gw_u32_and_relaxed(&page->flags, ~clear);
		gw_u32_or_relaxed(&page->flags, set);
	}
	if (change && listed)
		lru_link(m, node, pfn);
	gw_spin_unlock(&node->lru_lock);
	return change;
}

static bool
is_mlocked(uint32_t flags)
{
	return flags & GW_PG_MLOCKED;
}

static bool
is_not_mlocked(uint32_t flags)
{
	return !(flags & GW_PG_MLOCKED);
}

static bool
is_active(uint32_t flags)
{
	return flags & (GW_PG_ACTIVE | GW_PG_UNEVICTABLE);
}

bool
gw_lru_set_mlocked(struct gw_machine *m, gw_pfn_t pfn, bool mlocked)
{
	if (((gw_page_flags(gw_page(m, pfn)) & GW_PG_MLOCKED) != 0) == mlocked)
		return false;
	if (mlocked)
		return relist(m, pfn, GW_PG_ACTIVE, GW_PG_MLOCKED | GW_PG_UNEVICTABLE, is_mlocked);
	return relist(m, pfn, GW_PG_MLOCKED | GW_PG_UNEVICTABLE, 0, is_not_mlocked);
}

void
gw_page_mark_accessed(struct gw_machine *m, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(m, pfn);

	if (is_active(gw_page_flags(page)) ||
		!(gw_u32_or_relaxed(&page->flags, GW_PG_REFERENCED) & GW_PG_REFERENCED))
		return;
	if (relist(m, pfn, GW_PG_REFERENCED, GW_PG_ACTIVE, is_active))
		gw_count(m, GW_VM_PGACTIVATE, 1);
}

/* ---- splitting ---- */

void
gw_lru_split_begin(struct gw_machine *m, gw_pfn_t head)
{
	gw_spin_lock(&page_node(m, head)->lru_lock);
}

void
gw_lru_split_end(struct gw_machine *m, gw_pfn_t head)
{
	gw_spin_unlock(&page_node(m, head)->lru_lock);
}

static void
insert_behind(struct gw_machine *m, struct gw_page_list *list, gw_pfn_t before, gw_pfn_t pfn)
{
	gw_pfn_t after = gw_page(m, before)->next;

	gw_page(m, pfn)->prev = before;
	gw_page(m, pfn)->next = after;
	gw_page(m, before)->next = pfn;
	if (after == GW_PFN_NONE)
		list->last = pfn;
	else
		gw_page(m, after)->prev = pfn;
	list->n++;
}

void
gw_lru_split_piece(
	struct gw_machine *m, gw_pfn_t head, gw_pfn_t piece, struct gw_page_list *isolated)
{
	struct gw_node *node = page_node(m, head);
	uint32_t flags = gw_page_flags(gw_page(m, piece));

	/* The head counts for all frames until its order says otherwise: sums stay as they are. */
	if (flags & GW_PG_LRU) {
		insert_behind(m, &node->lru[flags_lru(flags)], head, piece);
	} else if (isolated) {
		gw_list_push_back(m, isolated, piece);
	} else if (flags & GW_PG_LRU_HELD) { /* the head alone stays isolated */
		count_isolated(node, flags, false);
		gw_u32_and_relaxed(&gw_page(m, piece)->flags, ~(GW_PG_LRU_HELD | GW_PG_ISOLATED));
		lru_link(m, node, piece);
	}
}

void
gw_lru_release(struct gw_machine *m, gw_pfn_t pfn)
{
	struct gw_node *node = page_node(m, pfn);

	gw_spin_lock(&node->lru_lock);
	if (gw_page_flags(gw_page(m, pfn)) & GW_PG_LRU)
		lru_unlink(m, node, pfn);
	gw_spin_unlock(&node->lru_lock);
}
