/* SPDX-License-Identifier: MIT */
/*
 * walk.c - from a page to the VMAs that may map it, and to its entries in one of them.
 *
 * Idea. The interval trees give the VMAs that cover some of the page's offsets; in each the page
 * has one run of addresses, of which every frame has its own. Entries are looked at table by table,
 * a table's under one hold of its lock.
 *
 * Invariants
 *   I1  huge entries are looked for before lowest tables: while the page is locked one of its huge
 *       entries may become a table, but no table becomes a huge entry of it
 */
#include "engine/store/store.h"
#include "engine/virt/ksm.h"
#include "engine/virt/virt_internal.h"

/* ---- addresses ---- */

uint64_t
gw_page_pgoff(const struct gw_machine *m, gw_pfn_t frame)
{
	gw_pfn_t head = gw_page_head(m, frame);

	return (uint64_t)gw_frame_index(gw_page(m, head)) + (frame - head);
}

gw_vaddr_t
gw_vma_address_raw(const struct gw_vma *vma, uint64_t pgoff)
{
	return gw_vma_start(vma) + ((pgoff - gw_vma_pgoff(vma)) << GW_PAGE_SHIFT);
}

gw_vaddr_t
gw_vma_address(const struct gw_vma *vma, uint64_t pgoff)
{
	gw_vaddr_t addr = gw_vma_address_raw(vma, pgoff);

	GW_CHECK_ON(vma->mm->machine, addr < gw_vma_start(vma) || addr >= gw_vma_end(vma));
	return addr;
}

/* ---- VMAs ---- */

/* Visit where vma has the page's first frame that it covers; false: the walk ends. */
static bool
visit_in(struct gw_rmap_walk *walk, struct gw_vma *vma)
{
	uint64_t pgoff = gw_vma_pgoff(vma);
	uint64_t first = walk->index > pgoff ? walk->index : pgoff;

	return walk->visit(walk, vma, gw_vma_address_raw(vma, first));
}

/* False: the walk ended. */
static bool
walk_anon(struct gw_rmap_walk *walk)
{
	struct gw_anon_vma *anon_vma = walk->anon_vma;
	uint64_t first = walk->index, end = first + walk->n;
	struct gw_inode *node;

	if (!walk->locked)
		gw_rw_read_lock(gw_anon_vma_lock(anon_vma));
	for (node = gw_itree_first(&anon_vma->links, first, end); node;
		node = gw_itree_next(node, first, end)) {
		const struct gw_anon_link *link =
			(struct gw_anon_link *)((char *)node - offsetof(struct gw_anon_link, node));

		if (!visit_in(walk, link->vma))
			break;
	}
	if (!walk->locked)
		gw_rw_read_unlock(gw_anon_vma_lock(anon_vma));
	return !node;
}

/* A merged page: each of its places has an anon_vma and an index of its own. */
static void
walk_ksm(struct gw_machine *m, const struct gw_ksm_node *node, struct gw_rmap_walk *walk)
{
	bool on = true;

	walk->locked = !gw_fix(m, GW_FIX_KSM_WALK_LOCK); /* no caller has all these locks */
	for (struct gw_ksm_place *place = node->places; place && on; place = place->next) {
		walk->place = place;
		walk->anon_vma = place->anon_vma;
		walk->index = place->index;
		on = walk_anon(walk);
	}
	walk->anon_vma = NULL;
}

static void
walk_file(struct gw_mapping *mapping, struct gw_rmap_walk *walk)
{
	uint64_t first = walk->index, end = first + walk->n;
	struct gw_inode *node;

	gw_rw_read_lock(&mapping->rmap_lock);
	for (node = gw_itree_first(&mapping->vmas, first, end); node;
		node = gw_itree_next(node, first, end)) {
		if (!visit_in(walk, gw_vma_of_file_node(node)))
			break;
	}
	gw_rw_read_unlock(&mapping->rmap_lock);
}

void
gw_rmap_walk(struct gw_machine *m, struct gw_rmap_walk *walk)
{
	const struct gw_page *page = gw_page(m, walk->page);
	uintptr_t owner = (uintptr_t)gw_ptr_load_acquire(&page->owner);
	uint32_t flags = gw_page_flags(page);

	GW_CHECK_ON(m, !(flags & GW_PG_LOCKED));
	walk->index = gw_frame_index(page);
	if (walk->n == 0)
		walk->n = (gw_pfn_t)1 << gw_flags_order(flags);
	if (walk->anon_vma)
		(void)walk_anon(walk);
	else if (gw_page_ksm_node(m, walk->page))
		walk_ksm(m, gw_page_ksm_node(m, walk->page), walk);
	else if (owner && (owner & GW_OWNER_TAG) == GW_OWNER_MAPPING)
		walk_file((struct gw_mapping *)owner, walk);
}

/* ---- entries ---- */

static void
skip_to(struct gw_entries *e, gw_vaddr_t addr)
{
	e->frame += (gw_pfn_t)((addr - e->addr) >> GW_PAGE_SHIFT);
	e->addr = addr;
}

/* Past the current entry. True: the next one is of the same table. */
static bool
step(struct gw_entries *e)
{
	skip_to(e, e->addr + (e->huge ? GW_TABLE_SPAN : GW_PAGE_SIZE));
	if (!e->huge && e->addr < e->end && e->addr & (GW_TABLE_SPAN - 1)) {
		e->word++;
		return true;
	}
	gw_entries_end(e);
	return false;
}

gw_atomic_u64 *
gw_entries_next_of_large(struct gw_entries *e)
{
	if (e->lock && step(e))
		return e->word;
	while (e->addr < e->end) {
		bool look = e->n == GW_PTES_PER_TABLE && (e->addr & (GW_TABLE_SPAN - 1)) == 0;

		e->word = look ? gw_pmd_lock(e->mm, e->addr, &e->lock) : NULL; /* I1 */
		e->huge = e->word;
		if (!e->word)
			e->word = gw_pte_lock(e->mm, e->addr, &e->lock);
		if (e->word)
			return e->word;
		e->lock = NULL;
		skip_to(e, gw_table_end(e->addr, e->end));
	}
	return NULL;
}
