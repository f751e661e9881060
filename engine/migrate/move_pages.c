/* SPDX-License-Identifier: MIT */
/*
 * move_pages.c - moving the pages of an address space to nodes: move_pages(2) and migrate_pages(2)
 * (FACTS 2.3).
 *
 * Idea. Pages are looked up in the page tables, one by one, each with a reference taken under its
 * leaf lock, isolated with that reference as the isolation's, and moved in batches. New pages come
 * from the wanted node or not at all.
 *
 * Invariants
 *   N1  no lock is held from one page to the next, nor while a batch moves: other tasks change the
 *       address space meanwhile, and what is found was there at some moment of the call
 *   N2  a page that cannot be isolated is looked up once more, after the batch has moved (it may
 *       be in it, mapped twice) and all LRU batches were drained (it may be in one)
 */
#include <errno.h>
#include <limits.h>

#include "engine/migrate/isolate.h"
#include "engine/virt/rmap.h"

#define BATCH 256 /* pages */

struct move {
	struct gw_machine *m;
	struct gw_mm *mm;
	unsigned to[GW_NODES_MAX]; /* target node, by the page's */
	/* The batch. */
	struct gw_page_list list;
	unsigned n;
	gw_pfn_t pages[BATCH];
	int *status[BATCH]; /* of each page; NULL: nobody asks */
	/* So far. */
	uint64_t stayed;
};

static unsigned
node_of(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_page_zone(m, page)->node;
}

/* ---- moving a batch ---- */

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	const struct move *mv = ctx;

	return gw_alloc_pages(
		m, GW_GFP_MOVABLE | GW_GFP_THISNODE, mv->to[node_of(m, src)], order, dst);
}

static void
stayed(void *ctx, struct gw_machine *m, gw_pfn_t page, int err)
{
	struct move *mv = ctx;

	(void)m;
	mv->stayed++;
	for (unsigned i = 0; i < mv->n; i++)
		if (mv->pages[i] == page && mv->status[i])
			*mv->status[i] = err == -ENOMEM ? -ENOMEM : -EAGAIN;
}

static void
move_batch(struct move *mv)
{
	const struct gw_migrate_target target = {
		.get_new_page = get_new_page, .ctx = mv, .stayed = stayed};

	if (mv->n == 0)
		return;
	if (gw_migrate_pages(mv->m, &mv->list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL))
		gw_putback_movable_pages(mv->m, &mv->list); /* A16 */
	mv->n = 0;
}

/* ---- looking pages up ---- */

/* What the entry names, with a reference. Leaf lock held. 0, -ENOENT, -EFAULT. */
static int
get_mapped_page(struct gw_machine *m, gw_pte_t pte, gw_pfn_t *page)
{
	if (gw_pte_kind(pte) != GW_PTE_IS_PRESENT)
		return -ENOENT;
	if (pte & GW_PTE_ZERO)
		return -EFAULT;
	*page = gw_pte_pfn(pte);
	gw_get_page(m, *page);
	return 0;
}

/*
 * The page that addr, in a VMA, maps. mmap_lock held for reading; given back if the result is
 * -EAGAIN (look again: it was on its way) or -EINTR. Else 0, -ENOENT or -EFAULT.
 */
static int
look_up(struct move *mv, gw_vaddr_t addr, gw_pfn_t *page)
{
	gw_spinlock *leaf_lock;
	gw_atomic_u64 *entry = gw_pte_lock(mv->mm, addr, &leaf_lock);
	gw_pte_t pte;
	int err;

	if (!entry)
		return -ENOENT;
	pte = gw_u64_load_relaxed(entry);
	if (gw_pte_is_migration(pte)) {
		err = gw_migration_entry_wait(mv->mm, entry, leaf_lock);
		return err ? err : -EAGAIN;
	}
	err = get_mapped_page(mv->m, pte, page);
	gw_spin_unlock(leaf_lock);
	return err;
}

/* The page at addr, with a reference: 0, -ENOENT, -EFAULT, -EAGAIN (interrupted). Sleeps. */
static int
find_page(struct move *mv, gw_vaddr_t addr, gw_pfn_t *page)
{
	int err;

	do {
		const struct gw_vma *vma;

		gw_rw_read_lock(&mv->mm->mmap_lock);
		vma = gw_vma_find(mv->mm, addr);
		err = vma && addr >= gw_vma_start(vma) ? look_up(mv, addr, page) : -EFAULT;
		if (err != -EAGAIN && err != -EINTR)
			gw_rw_read_unlock(&mv->mm->mmap_lock);
	} while (err == -EAGAIN);
	return err == -EINTR ? -EAGAIN : err;
}

/* The first address from addr on in a VMA, up to the end of its lowest table or of its VMA. */
static bool
next_range(struct move *mv, gw_vaddr_t addr, gw_vaddr_t *start, gw_vaddr_t *end)
{
	const gw_vaddr_t table = (gw_vaddr_t)GW_PTES_PER_TABLE << GW_PAGE_SHIFT;
	const struct gw_vma *vma;

	gw_rw_read_lock(&mv->mm->mmap_lock);
	vma = gw_vma_find(mv->mm, addr);
	if (vma) {
		*start = addr > gw_vma_start(vma) ? addr : gw_vma_start(vma);
		*end = (*start & ~(table - 1)) + table;
		if (*end > gw_vma_end(vma))
			*end = gw_vma_end(vma);
	}
	gw_rw_read_unlock(&mv->mm->mmap_lock);
	return vma;
}

static bool
has_table(struct move *mv, gw_vaddr_t addr)
{
	gw_spinlock *leaf_lock;
	bool there = false;

	gw_rw_read_lock(&mv->mm->mmap_lock);
	if (gw_pte_lock(mv->mm, addr, &leaf_lock)) {
		there = true;
		gw_spin_unlock(leaf_lock);
	}
	gw_rw_read_unlock(&mv->mm->mmap_lock);
	return there;
}

/* ---- isolating ---- */

/* The page, whose reference is the caller's to give, becomes one of the batch: 0, or -EBUSY or
 * -EINVAL (it never moves) with the reference dropped. */
static int
isolate(struct move *mv, gw_pfn_t page, int *status)
{
	int err = gw_isolate_held_page(mv->m, page, GW_MIGRATE_SYNC, &mv->list);

	if (err) {
		gw_put_page(mv->m, page);
		return err;
	}
	mv->pages[mv->n] = page;
	mv->status[mv->n++] = status;
	if (mv->n == BATCH)
		move_batch(mv);
	return 0;
}

/* One try for the page at addr: isolated, there already, or an error (also -EACCES). */
static int
try_address(struct move *mv, gw_vaddr_t addr, bool shared_too, int *status)
{
	gw_pfn_t page;
	int err = find_page(mv, addr, &page);

	if (err)
		return err;
	if (mv->to[node_of(mv->m, page)] == node_of(mv->m, page)) {
		gw_put_page(mv->m, page);
		return 0;
	}
	if (!shared_too && gw_u32_load_relaxed(&gw_page(mv->m, page)->mapcount) > 1) {
		gw_put_page(mv->m, page);
		return -EACCES;
	}
	return isolate(mv, page, status);
}

static int
move_address(struct move *mv, gw_vaddr_t addr, bool shared_too, int *status)
{
	int err = try_address(mv, addr, shared_too, status);

	if (err != -EBUSY)
		return err;
	move_batch(mv); /* N2 */
	gw_lru_add_drain_all(mv->m);
	return try_address(mv, addr, shared_too, status);
}

static void
begin(struct move *mv, struct gw_mm *mm)
{
	mv->m = mm->machine;
	mv->mm = mm;
	mv->n = 0;
	mv->stayed = 0;
	gw_page_list_init(&mv->list);
	gw_might_sleep();
	gw_lru_add_drain_all(mv->m);
}

/* ---- move_pages(2) ---- */

/* Only tell. */
static int
tell_node(struct move *mv, gw_vaddr_t addr)
{
	gw_pfn_t page;
	int err = find_page(mv, addr, &page);

	if (err)
		return err;
	err = (int)node_of(mv->m, page);
	gw_put_page(mv->m, page);
	return err;
}

/* From now on every page goes to `node`. */
static void
aim_at(struct move *mv, unsigned node)
{
	if (mv->to[0] == node)
		return;
	move_batch(mv);
	for (unsigned i = 0; i < GW_NODES_MAX; i++)
		mv->to[i] = node;
}

static void
move_one(struct move *mv, gw_vaddr_t addr, int node, bool shared_too, int *status)
{
	int err;

	if (node < 0 || (unsigned)node >= mv->m->n_nodes) {
		*status = -ENODEV;
		return;
	}
	aim_at(mv, (unsigned)node);
	*status = node; /* unless it stays */
	err = move_address(mv, addr, shared_too, status);
	if (err)
		*status = err == -EINVAL ? -EFAULT : err;
}

int
gw_move_pages(struct gw_mm *mm, size_t n, const uint64_t *addrs, const int *nodes, int *status,
	unsigned flags)
{
	size_t elsewhere = 0;
	struct move mv;

	if (flags & ~(unsigned)GW_MOVE_ALL || n > INT_MAX || (n && (!addrs || !status)))
		return -EINVAL;
	begin(&mv, mm);
	for (unsigned i = 0; i < GW_NODES_MAX; i++)
		mv.to[i] = GW_NODES_MAX; /* nowhere yet */
	for (size_t i = 0; i < n; i++) {
		if (nodes)
			move_one(&mv, addrs[i], nodes[i], flags & GW_MOVE_ALL, &status[i]);
		else
			status[i] = tell_node(&mv, addrs[i]);
	}
	move_batch(&mv);
	for (size_t i = 0; nodes && i < n; i++)
		elsewhere += status[i] != nodes[i];
	return (int)elsewhere;
}

/* ---- migrate_pages(2) ---- */

static bool
is_node_set(const struct gw_machine *m, uint64_t set)
{
	return set && (m->n_nodes >= 64 || !(set >> m->n_nodes));
}

/* The nth node of the set, counted around. */
static unsigned
nth_node(uint64_t set, unsigned n)
{
	unsigned skip = n % (unsigned)__builtin_popcountll(set);

	while (skip--)
		set &= set - 1;
	return (unsigned)__builtin_ctzll(set);
}

static void
map_nodes(struct move *mv, uint64_t from, uint64_t to)
{
	unsigned nth = 0;

	for (unsigned node = 0; node < GW_NODES_MAX; node++) {
		mv->to[node] = node;
		if (!(from >> node & 1))
			continue;
		if (!(to >> node & 1))
			mv->to[node] = nth_node(to, nth);
		nth++;
	}
}

int
gw_migrate_mm(struct gw_mm *mm, uint64_t from, uint64_t to)
{
	gw_vaddr_t start = 0, end = 0;
	uint64_t refused = 0;
	struct move mv;

	if (!is_node_set(mm->machine, from) || !is_node_set(mm->machine, to))
		return -EINVAL;
	begin(&mv, mm);
	map_nodes(&mv, from, to);
	while (next_range(&mv, end, &start, &end)) {
		if (!has_table(&mv, start))
			continue;
		for (gw_vaddr_t addr = start; addr < end; addr += GW_PAGE_SIZE) {
			int err = move_address(&mv, addr, true, NULL);

			refused += err == -EBUSY || err == -EINVAL || err == -EAGAIN;
		}
	}
	move_batch(&mv);
	return (int)(refused + mv.stayed);
}
