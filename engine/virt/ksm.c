/* SPDX-License-Identifier: MIT */
/*
 * ksm.c - see ksm.h: entries of pages that are merged, and of those that shall be.
 *
 * Idea. Merging changes one entry at a time, under the page locks of both pages: first it becomes
 * read-only, then, if the bytes are still the same, it becomes an entry of the merged page.
 * Unmerging is copy-on-write without a write.
 *
 * Only pages with a single entry are merged: of these the leaf lock tells exactly who holds them.
 * What a fork shares is shared already, and is merged once its sharers have gone.
 */
#include <errno.h>

#include "engine/virt/ksm.h"
#include "engine/virt/virt_internal.h"

#define KEPT                                                                                       \
	((uint64_t)(GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY | GW_PTE_NO_ACCESS |           \
		    GW_PTE_HINT))

/* ---- finding ---- */

struct gw_vma *
gw_ksm_vma(const struct gw_mm *mm, gw_vaddr_t addr)
{
	const uint32_t never = GW_VM_SHARED | GW_VM_IO | GW_VM_TEMP_STACK | GW_VM_HUGETLB;
	struct gw_vma *vma = gw_vma_find(mm, addr);

	if (!vma || gw_vma_start(vma) > addr || !(vma->flags & GW_VM_MERGEABLE) ||
		vma->flags & never)
		return NULL;
	return vma;
}

static bool
is_candidate(const struct gw_machine *m, gw_pte_t pte)
{
	const struct gw_page *page = gw_page(m, gw_pte_pfn(pte));

	return gw_pte_is_page(pte) && gw_flags_is_small(gw_page_flags(page)) &&
	       gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner));
}

/* The range lies in one table. A page found has one more reference. */
static gw_pfn_t
find_in_table(struct gw_mm *mm, gw_vaddr_t *addr, gw_vaddr_t end)
{
	gw_pfn_t found = GW_PFN_NONE;
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(mm, *addr, &lock);

	if (!word)
		return GW_PFN_NONE;
	for (; *addr < end && found == GW_PFN_NONE; *addr += GW_PAGE_SIZE) {
		gw_pte_t pte = gw_u64_load_relaxed(word++);

		if (is_candidate(mm->machine, pte))
			found = gw_pte_pfn(pte);
	}
	if (found != GW_PFN_NONE) {
		gw_get_page(mm->machine, found);
		*addr -= GW_PAGE_SIZE;
	}
	gw_spin_unlock(lock);
	return found;
}

static gw_pfn_t
find_in_range(struct gw_mm *mm, gw_vaddr_t *addr, gw_vaddr_t end)
{
	gw_pfn_t found = GW_PFN_NONE;

	*addr = gw_table_next(mm, *addr, end);
	while (*addr < end) {
		gw_vaddr_t next = gw_table_end(*addr, end);

		found = find_in_table(mm, addr, next);
		if (found != GW_PFN_NONE)
			return found;
		*addr = gw_table_next(mm, next, end);
	}
	return found;
}

bool
gw_ksm_next_page(struct gw_mm *mm, gw_vaddr_t *addr, gw_vaddr_t end, gw_pfn_t *page)
{
	struct gw_vma *vma;

	*page = GW_PFN_NONE;
	gw_rw_read_lock(&mm->mmap_lock);
	for (vma = gw_vma_find(mm, *addr); vma && gw_vma_start(vma) < end && *page == GW_PFN_NONE;
		vma = gw_vma_next(vma, end)) {
		if (*addr < gw_vma_start(vma))
			*addr = gw_vma_start(vma);
		if (gw_ksm_vma(mm, *addr))
			*page = find_in_range(
				mm, addr, end < gw_vma_end(vma) ? end : gw_vma_end(vma));
	}
	gw_rw_read_unlock(&mm->mmap_lock);
	return *page != GW_PFN_NONE;
}

/* ---- merging ---- */

bool
gw_ksm_protect(const struct gw_vma *vma, gw_vaddr_t addr, gw_pfn_t pfn)
{
	const struct gw_page *page = gw_page(vma->mm->machine, pfn);
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(vma->mm, addr, &lock);
	uint32_t refs = 2; /* the entry's and the caller's */
	bool alone;

	if (!word)
		return false;
	alone = gw_pte_maps(gw_u64_load_relaxed(word), pfn) &&
		gw_u32_load_relaxed(&page->mapcount) == 1;
	if (alone && gw_u64_and_relaxed(word, ~(uint64_t)GW_PTE_WRITE) & GW_PTE_WRITE)
		gw_flush_range(vma->mm, addr, addr + GW_PAGE_SIZE);
	/* Only now: whoever got hold of it to write did so through this entry. */
	refs += (gw_page_flags(page) & GW_PG_SWAPCACHE) != 0;
	alone = alone && gw_ref_read(&page->refcount) == refs;
	gw_spin_unlock(lock);
	return alone;
}

bool
gw_ksm_adopt(
	struct gw_machine *m, gw_pfn_t pfn, struct gw_ksm_node *node, struct gw_ksm_place *place)
{
	struct gw_page *page = gw_page(m, pfn);

	GW_BUG_ON(m, gw_page_flags(page) & GW_PG_SWAPCACHE); /* S4 */
	place->anon_vma = gw_page_get_anon_vma(m, pfn);
	if (!place->anon_vma)
		return false;
	place->index = gw_frame_index(page);
	place->next = NULL;
	node->places = place;
	node->n_places = 1;
	gw_u32_store_relaxed(&node->pfn, pfn);
	gw_ptr_store_release(&page->owner, (void *)((uintptr_t)node | GW_OWNER_KSM));
	return true;
}

/* An entry of vma at addr will be found. True: `place` was needed for that. */
static bool
add_place(struct gw_ksm_node *node, const struct gw_vma *vma, gw_vaddr_t addr,
	struct gw_ksm_place *place)
{
	struct gw_anon_vma *anon_vma = gw_ptr_load_relaxed(&vma->anon_vma);
	uint32_t index = (uint32_t)gw_vma_index(vma, addr);

	for (const struct gw_ksm_place *p = node->places; p; p = p->next)
		if (p->anon_vma == anon_vma && p->index == index)
			return false;
	gw_ref_get(&anon_vma->refs);
	*place = (struct gw_ksm_place){.anon_vma = anon_vma, .index = index, .next = node->places};
	node->places = place;
	node->n_places++;
	return true;
}

/* Leaf lock held. Cleared, flushed, made: no CPU reads the old page when another has a private copy
 * of the new one. */
static gw_pte_t
exchange(const struct gw_vma *vma, gw_vaddr_t addr, gw_atomic_u64 *word, gw_pfn_t page)
{
	struct gw_machine *m = vma->mm->machine;
	gw_pte_t old = gw_u64_xchg_acq_rel(word, 0);

	gw_flush_range(vma->mm, addr, addr + GW_PAGE_SIZE);
	gw_get_page(m, page);
	gw_rmap_dup(m, page);
	gw_u64_store_release(word, gw_pte_present(page, old & KEPT));
	if (vma->flags & GW_VM_LOCKED)
		gw_mlock_page(m, page);
	return old;
}

int
gw_ksm_replace(const struct gw_vma *vma, gw_vaddr_t addr, gw_pfn_t old, gw_pfn_t page,
	struct gw_ksm_place *place)
{
	struct gw_ksm_node *node = gw_page_ksm_node(vma->mm->machine, page);
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(vma->mm, addr, &lock);
	gw_pte_t pte = word ? gw_u64_load_relaxed(word) : 0;
	bool needed;

	if (!word)
		return -EAGAIN;
	if (!gw_pte_maps(pte, old) || pte & GW_PTE_WRITE) {
		gw_spin_unlock(lock);
		return -EAGAIN;
	}
	needed = add_place(node, vma, addr, place);
	pte = exchange(vma, addr, word, page);
	gw_spin_unlock(lock);
	gw_zap_page(vma, pte);
	return needed ? 0 : 1;
}

/* ---- places ---- */

static void
drop_place(struct gw_machine *m, struct gw_ksm_node *node, struct gw_ksm_place **link)
{
	struct gw_ksm_place *place = *link;

	*link = place->next;
	node->n_places--;
	gw_anon_vma_put(place->anon_vma);
	m->ops->release(m->ctx, place, sizeof(*place));
}

void
gw_ksm_drop_places(struct gw_machine *m, struct gw_ksm_node *node)
{
	while (node->places)
		drop_place(m, node, &node->places);
}

/* How many entries the walk finds, and in which places. */
static bool
count_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	uint32_t *n = walk->ctx;
	struct gw_entries e;

	gw_entries_begin(&e, walk, vma, addr);
	while (gw_entries_next(&e)) {
		if (!gw_pte_maps(gw_u64_load_relaxed(e.word), e.frame))
			continue;
		walk->place->used = true;
		++*n;
	}
	return true;
}

static uint32_t
count_entries(struct gw_machine *m, gw_pfn_t page)
{
	uint32_t n = 0;
	struct gw_rmap_walk walk = {.visit = count_visit, .page = page, .ctx = &n};

	gw_rmap_walk(m, &walk);
	return n;
}

void
gw_ksm_prune(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_ksm_node *node = gw_page_ksm_node(m, page);
	struct gw_ksm_place **link = &node->places;

	for (struct gw_ksm_place *place = node->places; place; place = place->next)
		place->used = false;
	(void)count_entries(m, page);
	while (*link) {
		if ((*link)->used)
			link = &(*link)->next;
		else
			drop_place(m, node, link);
	}
}

/* ---- unmerging ---- */

/* Leaf lock and mmap_lock held, given up. */
static int
unmerge_entry(struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock)
{
	struct gw_machine *m = f->mm->machine;
	gw_pte_t pte = gw_u64_load_relaxed(word);
	gw_pfn_t page = gw_pte_pfn(pte);
	bool merged =
		(gw_pte_is_page(pte) || gw_pte_is_migration(pte)) && gw_page_ksm_node(m, page);
	int err = 0;

	if (merged && gw_pte_is_migration(pte) && gw_fix(m, GW_FIX_KSM_FOLLOW_WAITS)) {
		err = gw_migration_entry_wait(f->mm, word, lock); /* R9 */
		return err ? err : 1;
	}
	merged = merged && gw_pte_is_page(pte);
	if (merged)
		gw_get_page(m, page);
	gw_spin_unlock(lock);
	if (merged) {
		f->vma = gw_vma_find(f->mm, f->addr);
		err = gw_fault_copy(f, pte);
		gw_put_page(m, page);
	}
	gw_rw_read_unlock(&f->mm->mmap_lock);
	return err ? err : merged;
}

/* The first entry at *addr or above, which is where it is then: 0, 1 (look again), or an error. */
static int
unmerge_next(struct gw_mm *mm, gw_vaddr_t *addr, gw_vaddr_t end)
{
	struct gw_fault_at f = {.mm = mm, .access = GW_ACCESS_READ};
	gw_atomic_u64 *word = NULL;
	gw_spinlock *lock;

	gw_rw_read_lock(&mm->mmap_lock);
	f.addr = *addr = gw_table_next(mm, *addr, end);
	if (f.addr < end)
		word = gw_pte_lock(mm, f.addr, &lock);
	if (word)
		return unmerge_entry(&f, word, lock);
	gw_rw_read_unlock(&mm->mmap_lock);
	return 0;
}

int
gw_ksm_unmerge_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	gw_vaddr_t addr = start;

	while (addr < end) {
		int err = unmerge_next(mm, &addr, end);

		if (err < 0)
			return err;
		if (err == 0)
			addr += GW_PAGE_SIZE;
	}
	return 0;
}

/* ---- members ---- */

int
gw_ksm_fork(struct gw_mm *child, struct gw_mm *parent)
{
	struct gw_ksm_member *member = gw_ptr_load_acquire(&parent->ksm);

	return member ? member->fork(member, child) : 0;
}

void
gw_ksm_exit(struct gw_mm *mm)
{
	struct gw_ksm_member *member = gw_ptr_load_acquire(&mm->ksm);

	if (member)
		member->exit(member);
}

/* ---- migration, check ---- */

void
gw_ksm_follow(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src)
{
	/* release: pairs with the acquire of who looks the node's page up */
	gw_u32_store_release(&gw_page_ksm_node(m, src)->pfn, dst);
}

static void
check_page(struct gw_machine *m, gw_pfn_t pfn, struct gw_findings *findings)
{
	struct gw_page *page = gw_page(m, pfn);
	const struct gw_ksm_node *node = gw_page_ksm_node(m, pfn);
	uint32_t flags = gw_page_flags(page), maps = gw_u32_load_relaxed(&page->mapcount), found;

	if (flags & (GW_PG_SWAPCACHE | GW_PG_COMPOUND))
		gw_found(findings, "S4: merged frame %#x has flags %#x", pfn, flags);
	if (gw_u32_load_relaxed(&node->pfn) != pfn)
		gw_found(findings, "S3: merged frame %#x has the node of %#x", pfn,
			gw_u32_load_relaxed(&node->pfn));
	if (!gw_page_trylock(m, pfn))
		return; /* a finding of gw_phys_check() */
	found = count_entries(m, pfn);
	gw_page_unlock(m, pfn);
	if (found < maps)
		gw_found(findings, "S1: merged frame %#x has %u entries, and %u are found", pfn,
			maps, found);
}

void
gw_ksm_check(struct gw_machine *m, struct gw_findings *findings)
{
	for (unsigned z = 0; z < m->n_zones; z++)
		for (gw_pfn_t pfn = m->zones[z].start; pfn < m->zones[z].end; pfn++)
			if (gw_flags_is_small(gw_page_flags(gw_page(m, pfn))) &&
				gw_page_ksm_node(m, pfn))
				check_page(m, pfn, findings);
}
