/* SPDX-License-Identifier: MIT */
/*
 * migration_entry.c - entries of a page that is on its way, and waiting for its arrival.
 *
 * Idea. A page that shall move is unmapped by turning each of its entries into a migration entry,
 * which keeps their marks. Whoever faults on one waits until the page is unlocked: by then
 * every one of them is an ordinary entry again, of the page that won.
 *
 * Invariants
 *   E1  migration entries of a page are made and removed under its lock, and none is left when it
 *       is unlocked (I1, I2)
 *   E2  an entry is examined and changed under its leaf lock only (R9), but for young and dirty,
 *       which CPUs set in present entries at any time
 */
#include "engine/virt/virt_internal.h"

/* A walk over the places of one page. */
struct unmap {
	struct gw_machine *m;
	int n;	      /* entries replaced */
	bool refused; /* an entry in a temporary stack was met */
};

struct restore {
	struct gw_machine *m;
	gw_pfn_t winner;
	unsigned n;
	bool mlocked; /* a locked VMA is among those that map it again */
};

/* Leaf lock held. The entry's map count and reference go, of which the caller's is not the last. */
static void
unmap_entry(struct gw_machine *m, gw_pfn_t page, gw_atomic_u64 *entry)
{
	gw_pte_t pte = gw_u64_load_relaxed(entry);

	while (!gw_u64_cas_acq_rel(
		entry, &pte, gw_pte_migration(page, pte & GW_PTE_WRITE, pte & GW_PTE_FLAGS)))
		;		    /* a CPU has set young or dirty */
	gw_rmap_keep_dirty(m, pte); /* the entry may be zapped while it migrates */
	gw_rmap_remove(m, page);
	gw_put_page(m, page);
}

static bool
unmap_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct unmap *unmap = walk->ctx;
	uint32_t stays = gw_fix(unmap->m, GW_FIX_SKIP_TEMPORARY_STACK) ? GW_VM_TEMP_STACK : 0;
	gw_spinlock *lock;
	gw_atomic_u64 *entry = gw_pte_lock(vma->mm, addr, &lock);

	if (!entry)
		return true;
	if (gw_pte_maps(gw_u64_load_relaxed(entry), walk->page)) {
		unmap->refused = vma->flags & stays;
		if (!unmap->refused) {
			unmap_entry(unmap->m, walk->page, entry);
			unmap->n++;
		}
	}
	gw_spin_unlock(lock);
	/* Unmapped everywhere: what is copied from now on is migration entries. */
	return !unmap->refused && gw_page_mapped(unmap->m, walk->page);
}

int
gw_unmap_for_migration(struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma)
{
	struct unmap unmap = {.m = m};
	struct gw_rmap_walk walk = {
		.visit = unmap_visit, .page = page, .anon_vma = anon_vma, .ctx = &unmap};

	gw_rmap_walk(m, &walk);
	if (!unmap.refused && !gw_page_mapped(m, page))
		return unmap.n;
	gw_remove_migration_entries(m, page, page, anon_vma);
	return -EAGAIN;
}

/* An entry of `winner` with the marks that the migration entry has kept. */
static gw_pte_t
arrived(gw_pte_t pte, gw_pfn_t winner)
{
	bool write = gw_pte_kind(pte) == GW_PTE_MIGRATION_WRITE;

	return gw_pte_present(winner, (pte & GW_PTE_FLAGS) | (write ? GW_PTE_WRITE : 0));
}

/* Is this an entry that the migration of `page` has made? A zap may have taken it (R15). */
static bool
is_due(const struct gw_machine *m, gw_pte_t pte, gw_pfn_t page)
{
	bool made = gw_pte_is_migration(pte) && gw_pte_pfn(pte) == page;

	return gw_fix(m, GW_FIX_ZAP_DOES_NOT_RESTORE) ? made : made || !pte;
}

/* What once decided whether a leaf lock was worth taking (R9). */
static bool
is_migration_unlocked(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_spinlock *lock;

	return gw_table_next(mm, addr, addr + GW_PAGE_SIZE) == addr &&
	       gw_pte_is_migration(gw_u64_load_relaxed(gw_pte_of(mm, addr, &lock)));
}

static bool
restore_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct restore *restore = walk->ctx;
	gw_spinlock *lock;
	gw_atomic_u64 *entry;
	gw_pte_t pte;

	if (!gw_fix(restore->m, GW_FIX_MREMAP_PTE_LOCK) && !is_migration_unlocked(vma->mm, addr))
		return true;
	entry = gw_pte_lock(vma->mm, addr, &lock);
	if (!entry)
		return true;
	pte = gw_u64_load_relaxed(entry);
	if (is_due(restore->m, pte, walk->page)) {
		gw_get_page(restore->m, restore->winner);
		gw_rmap_dup(restore->m, restore->winner);
		/* release: whoever reads through the entry sees the bytes that were copied */
		gw_u64_store_release(entry, arrived(pte, restore->winner));
		restore->n++;
		restore->mlocked |= (vma->flags & GW_VM_LOCKED) != 0;
	}
	gw_spin_unlock(lock);
	return true;
}

unsigned
gw_remove_migration_entries(
	struct gw_machine *m, gw_pfn_t old, gw_pfn_t winner, struct gw_anon_vma *anon_vma)
{
	struct restore restore = {.m = m, .winner = winner};
	struct gw_rmap_walk walk = {
		.visit = restore_visit, .page = old, .anon_vma = anon_vma, .ctx = &restore};

	gw_rmap_walk(m, &walk);
	/* Its last locked range may have gone meanwhile, and found no page to unlock. */
	if (!restore.mlocked && gw_page_flags(gw_page(m, winner)) & GW_PG_MLOCKED &&
		gw_u32_load_relaxed(&gw_page(m, winner)->mapcount) == restore.n)
		gw_munlock_page(m, winner);
	return restore.n;
}

/* ---- waiting ---- */

struct held {
	struct gw_mm *mm;
	gw_spinlock *leaf_lock;
};

static void
unlock(void *arg)
{
	const struct held *held = arg;

	gw_spin_unlock(held->leaf_lock);
	gw_rw_read_unlock(&held->mm->mmap_lock);
}

int
gw_migration_entry_wait(struct gw_mm *mm, gw_atomic_u64 *entry, gw_spinlock *leaf_lock)
{
	struct gw_machine *m = mm->machine;
	struct held held = {.mm = mm, .leaf_lock = leaf_lock};
	gw_pfn_t page = gw_pte_pfn(gw_u64_load_relaxed(entry));
	enum gw_wait_era era = gw_fix(m, GW_FIX_PUT_AND_WAIT) ? m->wait_era : GW_ERA_HOLD;
	int err;

	/* I1: the entry that we see pins the page, and its lock */
	GW_BUG_ON(m, !(gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED));
	if (era == GW_ERA_NONE)
		return gw_bit_wait(&m->page_waits, &gw_page(m, page)->flags, GW_PG_LOCKED,
			GW_PG_WAITERS, GW_WAIT_DROP, true, unlock, &held);
	if (!gw_get_page_unless_zero(m, page)) { /* its copy is being made: C8 */
		unlock(&held);
		gw_relax();
		return 0;
	}
	unlock(&held);
	if (era == GW_ERA_DROP)
		return gw_page_put_and_wait_locked(m, page, true);
	err = gw_page_wait_locked(m, page, true);
	gw_put_page(m, page);
	return err;
}

void
gw_machine_set_wait_era(struct gw_machine *m, enum gw_wait_era era)
{
	m->wait_era = era;
}
