/* SPDX-License-Identifier: MIT */
/*
 * unmap.c - what reclaim and writeback want of the entries that map a page: are they used, are they
 * dirty, and that they go.
 *
 * Idea. One walk over the places of a locked page; each entry is examined and changed under its
 * leaf lock (R9), in one atomic step, since CPUs set young and dirty at any time.
 *
 * Invariants
 *   N1  an entry that is taken away is flushed under its leaf lock, and only then gives up its map
 *       count and its reference: whoever finds a swap entry, or none, owes the CPUs nothing for it
 *       (zap, fork), and nobody takes the page for his own before (Y1 in zap.c)
 *   N2  whoever faults on what is left in its place needs the page lock to get the page back, so
 *       nothing maps the page again before it is unlocked
 *   N3  nothing is undone: if the page stays after all, the next fault finds it in its cache
 */
#include "engine/store/store.h"
#include "engine/virt/ksm.h"

struct visit {
	struct gw_machine *m;
	struct gw_page_use use;
	uint32_t slot;
	bool anon;
	bool dirty; /* an entry was, and is not any more */
	bool stays; /* an entry was met that may not go */
};

/* The next entry that maps a frame of the page, with its lock held; NULL: there is none. */
static gw_atomic_u64 *
next_entry(struct gw_entries *e)
{
	gw_atomic_u64 *entry;

	do
		entry = gw_entries_next(e);
	while (entry && !gw_pte_maps(gw_u64_load_relaxed(entry), e->frame));
	return entry;
}

static void
walk_page(struct visit *v, gw_pfn_t page,
	bool (*visit)(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr))
{
	struct gw_machine *m = v->m;
	struct gw_rmap_walk walk = {.visit = visit, .page = page, .ctx = v};

	if (!gw_page_mapped(m, page))
		return;
	if (v->anon && !gw_page_ksm_node(m, page)) {
		walk.anon_vma = gw_page_get_anon_vma(m, page);
		if (!walk.anon_vma)
			return; /* its last map went */
	}
	gw_rmap_walk(m, &walk);
	if (walk.anon_vma)
		gw_anon_vma_put(walk.anon_vma);
}

static struct visit
visit_of(struct gw_machine *m, gw_pfn_t page)
{
	return (struct visit){
		.m = m, .anon = gw_owner_is_anon(gw_ptr_load_relaxed(&gw_page(m, page)->owner))};
}

/* ---- referenced ---- */

static bool
referenced_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct visit *v = walk->ctx;
	struct gw_entries e;

	gw_entries_begin(&e, walk, vma, addr);
	while (next_entry(&e)) {
		if (gw_u64_and_relaxed(e.word, ~(uint64_t)GW_PTE_YOUNG) & GW_PTE_YOUNG)
			v->use.referenced++;
		v->use.mlocked |= (vma->flags & GW_VM_LOCKED) != 0;
	}
	return !v->use.mlocked;
}

void
gw_page_referenced(struct gw_machine *m, gw_pfn_t page, struct gw_page_use *use)
{
	struct visit v = visit_of(m, page);

	walk_page(&v, page, referenced_visit);
	*use = v.use;
}

/* ---- dirty ---- */

static bool
clean_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct visit *v = walk->ctx;
	struct gw_entries e;

	gw_entries_begin(&e, walk, vma, addr);
	while (next_entry(&e))
		if (gw_u64_and_relaxed(e.word, ~(uint64_t)GW_PTE_DIRTY) & GW_PTE_DIRTY)
			v->dirty = true;
	return true;
}

void
gw_page_collect_dirty(struct gw_machine *m, gw_pfn_t page)
{
	struct visit v = visit_of(m, page);

	walk_page(&v, page, clean_visit);
	if (!v.dirty)
		return;
	/* A CPU that has the page writable does not look at its entry until it is flushed. */
	m->ops->flush_frames(m->ctx, &page, 1);
	gw_page_set_dirty(m, page);
}

/* ---- unmapping ---- */

/* Leaf lock held. */
static void
take_away(struct visit *v, struct gw_mm *mm, gw_vaddr_t addr, gw_atomic_u64 *entry)
{
	gw_pte_t pte = gw_u64_load_relaxed(entry);
	gw_pfn_t page = gw_pte_pfn(pte);

	if (v->anon) {
		gw_swap_dup(v->m, v->slot);
		while (!gw_u64_cas_acq_rel(entry, &pte, gw_pte_swap(v->slot, pte)))
			; /* a CPU has set young or dirty */
	} else {
		pte = gw_u64_xchg_acq_rel(entry, 0);
	}
	v->dirty |= (pte & GW_PTE_DIRTY) != 0;
	gw_flush_range(mm, addr, addr + GW_PAGE_SIZE); /* N1 */
	gw_u64_sub_relaxed(&mm->pages, 1);
	gw_rmap_remove(v->m, page);
	gw_put_page(v->m, page); /* not the last: the caller has one */
}

static bool
unmap_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct visit *v = walk->ctx;
	struct gw_entries e;

	gw_entries_begin(&e, walk, vma, addr);
	if (!next_entry(&e))
		return true;
	v->stays = vma->flags & (GW_VM_LOCKED | GW_VM_TEMP_STACK); /* R7 */
	if (!v->stays)
		take_away(v, vma->mm, addr, e.word);
	gw_entries_end(&e);
	return !v->stays && gw_page_mapped(v->m, walk->page);
}

bool
gw_page_unmap(struct gw_machine *m, gw_pfn_t page)
{
	struct visit v = visit_of(m, page);

	GW_CHECK_ON(m, gw_page_flags(gw_page(m, page)) & GW_PG_COMPOUND); /* it was split first */
	if (v.anon)
		v.slot = gw_page_slot(m, page);
	walk_page(&v, page, unmap_visit);
	if (v.dirty)
		gw_page_set_dirty(m, page);
	return !gw_page_mapped(m, page);
}
