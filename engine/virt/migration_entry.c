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
 *   E2  an entry is examined and changed under its lock only (R9), but for young and dirty, which
 *       CPUs set in present entries at any time
 *   E3  a huge entry becomes a huge migration entry, of a page that moves whole, or migration
 *       entries of each frame, of a page that is split
 */
#include "engine/virt/virt_internal.h"

/* A walk over the places of one page. */
struct unmap {
	struct gw_machine *m;
	bool in_pieces; /* huge entries become migration entries of each frame */
	int n;		/* entries replaced */
	bool refused;	/* an entry in a temporary stack was met */
};

struct restore {
	struct gw_machine *m;
	gw_pfn_t winner;
	bool in_pieces; /* it was split, or was to be */
	bool zeros;	/* frames full of zeros get entries of the zero page */
	unsigned n;
	bool mlocked; /* a locked VMA is among those that map it again */
};

/* Its lock held. The entry's map count and reference go, of which the caller's is not the last. */
static void
unmap_entry(const struct unmap *unmap, struct gw_entries *e)
{
	gw_pte_t pte = gw_u64_load_relaxed(e->word);

	if (e->huge && unmap->in_pieces)
		pte = gw_pmd_freeze(e->mm, e->word);
	else if (!unmap->in_pieces || gw_fix(unmap->m, GW_FIX_SPLIT_FREEZE))
		while (!gw_u64_cas_acq_rel(
			e->word, &pte, gw_pte_migration(e->frame, pte & GW_PTE_WRITE, pte)))
			;		   /* a CPU has set young or dirty */
	gw_rmap_keep_dirty(unmap->m, pte); /* the entry may be zapped while it migrates */
	if (e->huge)
		gw_rmap_remove_huge(unmap->m, e->frame);
	else
		gw_rmap_remove(unmap->m, e->frame);
	gw_put_page(unmap->m, e->frame);
}

static bool
unmap_visit(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct unmap *unmap = walk->ctx;
	uint32_t stays = gw_fix(unmap->m, GW_FIX_SKIP_TEMPORARY_STACK) ? GW_VM_TEMP_STACK : 0;
	struct gw_entries e;

	gw_entries_begin(&e, walk, vma, addr);
	while (gw_entries_next(&e)) {
		if (!gw_pte_maps(gw_u64_load_relaxed(e.word), e.frame))
			continue;
		unmap->refused = vma->flags & stays;
		if (unmap->refused) {
			gw_entries_end(&e);
			return false;
		}
		unmap_entry(unmap, &e);
		unmap->n++;
	}
	/* Unmapped everywhere: what is copied from now on is migration entries. */
	return gw_page_mapped(unmap->m, walk->page);
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

int
gw_unmap_for_split(struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma)
{
	struct unmap unmap = {.m = m, .in_pieces = true};
	struct gw_rmap_walk walk = {.visit = unmap_visit,
		.page = page,
		.anon_vma = anon_vma,
		.locked = true,
		.ctx = &unmap};

	gw_rmap_walk(m, &walk);
	return unmap.refused || gw_page_mapped(m, page) ? -EAGAIN : unmap.n;
}

/* An entry of `winner` with the marks that the migration entry has kept. */
static gw_pte_t
arrived(gw_pte_t pte, gw_pfn_t winner)
{
	bool write = gw_pte_kind(pte) == GW_PTE_MIGRATION_WRITE;

	return gw_pte_present(
		winner, (pte & (GW_PTE_FLAGS | GW_PTE_HUGE)) | (write ? GW_PTE_WRITE : 0));
}

bool
gw_frame_is_zero(struct gw_machine *m, gw_pfn_t frame)
{
	const gw_atomic_u64 *words = m->ops->frame_address(m->ctx, frame);
	uint64_t any = 0;

	for (size_t i = 0; i < GW_PAGE_SIZE / sizeof(*words) && !any; i++)
		any = gw_u64_load_relaxed(&words[i]);
	return !any;
}

/* The zero page's entry instead. */
static void
restore_zero(const struct restore *restore, const struct gw_entries *e)
{
	uint64_t flags = gw_u64_load_relaxed(e->word) & (GW_PTE_SOFT_DIRTY | GW_PTE_NO_ACCESS);

	gw_u64_store_release(e->word, gw_pte_present(gw_u32_load_relaxed(&restore->m->zero_page),
					      flags | GW_PTE_ZERO | GW_PTE_YOUNG));
	gw_u64_sub_relaxed(&e->mm->pages, 1);
}

static void
restore_entry(const struct restore *restore, const struct gw_entries *e, gw_pfn_t frame)
{
	gw_pte_t pte = gw_u64_load_relaxed(e->word);

	gw_get_page(restore->m, frame);
	if (e->huge)
		gw_rmap_dup_huge(restore->m, frame);
	else
		gw_rmap_dup(restore->m, frame);
	if (restore->in_pieces && !gw_fix(restore->m, GW_FIX_SPLIT_SOFT_DIRTY))
		pte &= ~(uint64_t)(GW_PTE_YOUNG | GW_PTE_SOFT_DIRTY); /* what B13 asks for */
	/* release: whoever reads through the entry sees the bytes that were copied */
	gw_u64_store_release(e->word, arrived(pte, frame));
}

/* Is this an entry that the migration of `page` has made? A zap may have taken it (R15); and a
 * split that freezes nothing has left it as it was. */
static bool
is_due(const struct restore *restore, gw_pte_t pte, gw_pfn_t page)
{
	bool made = gw_pte_is_migration(pte) && gw_pte_pfn(pte) == page;

	if (restore->in_pieces && !gw_fix(restore->m, GW_FIX_SPLIT_FREEZE))
		made = gw_pte_maps(pte, page);
	return gw_fix(restore->m, GW_FIX_ZAP_DOES_NOT_RESTORE) ? made : made || !pte;
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
	struct gw_entries e;

	if (!gw_fix(restore->m, GW_FIX_MREMAP_PTE_LOCK) && !is_migration_unlocked(vma->mm, addr))
		return true;
	gw_entries_begin(&e, walk, vma, addr);
	while (gw_entries_next(&e)) {
		if (!is_due(restore, gw_u64_load_relaxed(e.word), e.frame))
			continue;
		if (restore->zeros && !(vma->flags & GW_VM_LOCKED) &&
			gw_frame_is_zero(restore->m, e.frame)) {
			restore_zero(restore, &e);
			continue;
		}
		restore_entry(restore, &e, restore->winner + (e.frame - walk->page));
		restore->n++;
		restore->mlocked |= (vma->flags & GW_VM_LOCKED) != 0;
	}
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

void
gw_map_pieces(
	struct gw_machine *m, gw_pfn_t first, gw_pfn_t n, bool zeros, struct gw_anon_vma *anon_vma)
{
	struct restore restore = {.m = m, .winner = first, .in_pieces = true, .zeros = zeros};
	struct gw_rmap_walk walk = {.visit = restore_visit,
		.page = first,
		.n = n,
		.anon_vma = anon_vma,
		.locked = true,
		.ctx = &restore};

	gw_rmap_walk(m, &walk);
}

/* ---- waiting ---- */

struct held {
	struct gw_mm *mm;
	gw_spinlock *lock; /* the entry's */
};

static void
unlock(void *arg)
{
	const struct held *held = arg;

	gw_spin_unlock(held->lock);
	gw_rw_read_unlock(&held->mm->mmap_lock);
}

/* How to wait for the page: without their fixes as it once was, everywhere or if it is to leave
 * memory that goes offline (C2). */
static enum gw_wait_era
era_for(const struct gw_machine *m, gw_pfn_t page)
{
	bool holds = !gw_fix(m, GW_FIX_PUT_AND_WAIT);

	if (!gw_fix(m, GW_FIX_OFFLINE_DROP_WAITERS))
		holds |= gw_pageblock_type(m, page) == GW_MT_ISOLATE;
	return holds ? GW_ERA_HOLD : m->wait_era;
}

/* C8: not of a page whose copy is being made. Without its fix that was forgotten of huge ones. */
static bool
hold(struct gw_machine *m, gw_pfn_t page, bool huge)
{
	if (!huge || gw_fix(m, GW_FIX_PMD_ENTRY_WAIT))
		return gw_get_page_unless_zero(m, page);
	gw_get_page(m, page);
	return true;
}

int
gw_migration_entry_wait(struct gw_mm *mm, gw_atomic_u64 *entry, gw_spinlock *lock)
{
	struct gw_machine *m = mm->machine;
	struct held held = {.mm = mm, .lock = lock};
	gw_pte_t pte = gw_u64_load_relaxed(entry);
	gw_pfn_t page = gw_page_head(m, gw_pte_pfn(pte)); /* C10 */
	enum gw_wait_era era = era_for(m, page);
	int err;

	/* I1: the entry that we see pins the page, and its lock */
	GW_BUG_ON(m, !(gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED));
	if (era == GW_ERA_NONE)
		return gw_bit_wait(&m->page_waits, &gw_page(m, page)->flags, GW_PG_LOCKED,
			GW_PG_WAITERS, GW_WAIT_DROP, true, unlock, &held);
	if (!hold(m, page, gw_pte_is_huge(pte))) {
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
