/* SPDX-License-Identifier: MIT */
/*
 * pmd.c - huge entries: words of the second level that map as many frames as a lowest table would.
 *
 * Idea. A huge page, naturally aligned in frames and addresses, is mapped by one entry. Whoever
 * needs less than all of it splits the entry: a lowest table whose entries say the same takes its
 * place. The table was put by when the huge entry was made (its deposit), so this never fails.
 *
 * Invariants
 *   D1  an address space has as many deposited tables as huge entries, migration entries included
 *   D2  a huge entry lies wholly in one VMA, which is anonymous, and names the head of a page of
 *       order GW_PMD_ORDER
 *   D3  from huge entry to table in one exchange: a CPU's walk, or whoever looks without a lock,
 *       sees one or the other, never nothing. Its CPUs owe nothing: what they may do stays the same
 *   D4  a word that moves stands at its new place before it goes from the old one: a walk of rmap
 *       that finds nothing at one place, for which it takes no lock, goes on to the other (R9)
 */
#include "engine/virt/rmap.h"
#include "engine/virt/virt_internal.h"

void
gw_deposit_table(struct gw_mm *mm, gw_pfn_t table)
{
	gw_list_push_front(mm->machine, &mm->deposits, table);
}

gw_pfn_t
gw_withdraw_table(struct gw_mm *mm)
{
	gw_pfn_t table = gw_list_pop_front(mm->machine, &mm->deposits);

	GW_BUG_ON(mm->machine, table == GW_PFN_NONE); /* D1 */
	return table;
}

/* The table's entries: `first`, and the same of the frames that follow. */
static void
fill(const struct gw_mm *mm, gw_pfn_t table, gw_pte_t first)
{
	gw_atomic_u64 *words = gw_table_words(mm, table);

	for (unsigned i = 0; i < GW_PTES_PER_TABLE; i++)
		gw_u64_store_relaxed(&words[i], first + ((gw_pte_t)i << GW_PTE_PFN_SHIFT));
}

static gw_pte_t
same(gw_pte_t pte)
{
	return pte & ~(uint64_t)GW_PTE_HUGE;
}

static gw_pte_t
migrating(gw_pte_t pte)
{
	return gw_pte_migration(gw_pte_pfn(pte), pte & GW_PTE_WRITE, same(pte));
}

/* D3. Lock held. Returns the huge entry that was. */
static gw_pte_t
become_table(struct gw_mm *mm, gw_atomic_u64 *word, gw_pte_t (*first)(gw_pte_t pte))
{
	gw_pfn_t table = gw_withdraw_table(mm);
	gw_pte_t pte = gw_u64_load_relaxed(word);

	do /* again if a CPU has set young or dirty meanwhile */
		fill(mm, table, first(pte));
	while (!gw_u64_cas_acq_rel(word, &pte, gw_pte_present(table, 0)));
	gw_count(mm->machine, GW_VM_THP_SPLIT_PMD, 1);
	return pte;
}

gw_pte_t
gw_pmd_freeze(struct gw_mm *mm, gw_atomic_u64 *word)
{
	return become_table(mm, word, migrating);
}

/* Lock held. */
static void
split_entry(struct gw_mm *mm, gw_atomic_u64 *word)
{
	gw_pte_t pte = gw_u64_load_relaxed(word);

	if (pte & GW_PTE_PRESENT)
		gw_rmap_split_huge(mm->machine, gw_pte_pfn(pte));
	(void)become_table(mm, word, same);
}

void
gw_split_pmd(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pmd_lock(mm, addr, &lock);

	if (!word)
		return;
	split_entry(mm, word);
	gw_spin_unlock(lock);
}

gw_atomic_u64 *
gw_pmd_lock_whole(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, gw_spinlock **lock)
{
	gw_atomic_u64 *word = gw_pmd_lock(mm, start, lock);

	if (!word || end - start == GW_TABLE_SPAN)
		return word;
	split_entry(mm, word);
	gw_spin_unlock(*lock);
	return NULL;
}

/* The range lies in one table, or in a huge entry's. */
static void
visit_table(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, gw_entry_fn visit, void *ctx)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pmd_lock_whole(mm, start, end, &lock);

	if (word) {
		visit(mm, word, ctx);
		gw_spin_unlock(lock);
		return;
	}
	word = gw_pte_lock(mm, start, &lock);
	if (!word)
		return;
	for (gw_vaddr_t addr = start; addr < end; addr += GW_PAGE_SIZE, word++)
		visit(mm, word, ctx);
	gw_spin_unlock(lock);
}

void
gw_entries_visit(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end, gw_entry_fn visit, void *ctx)
{
	gw_vaddr_t addr = gw_table_next(mm, start, end);

	while (addr < end) {
		gw_vaddr_t next = gw_table_end(addr, end);

		visit_table(mm, addr, next, visit, ctx);
		addr = gw_table_next(mm, next, end);
	}
}

void
gw_pmd_install(struct gw_mm *mm, gw_atomic_u64 *word, gw_pfn_t page, gw_pfn_t table, uint64_t flags)
{
	gw_deposit_table(mm, table);
	gw_u64_store_release(word, gw_pte_present(page, flags | GW_PTE_HUGE));
	gw_u64_add_relaxed(&mm->pages, GW_PTES_PER_TABLE);
}

/* ---- moving ---- */

static bool
spans_tables(gw_vaddr_t from, gw_vaddr_t to, uint64_t len)
{
	return len >= GW_TABLE_SPAN && ((from | to) & (GW_TABLE_SPAN - 1)) == 0;
}

bool
gw_pmd_moves(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len)
{
	const gw_atomic_u64 *word = gw_pmd_word(mm, from);

	return spans_tables(from, to, len) && word && gw_pte_is_huge(gw_u64_load_relaxed(word));
}

bool
gw_pmd_move(struct gw_mm *mm, gw_vaddr_t from, gw_vaddr_t to, uint64_t len)
{
	gw_atomic_u64 *src = gw_pmd_word(mm, from), *dst = gw_pmd_word(mm, to);
	gw_spinlock *leaf_lock = NULL;

	if (!spans_tables(from, to, len) || gw_u64_load_relaxed(dst))
		return false;
	gw_spin_lock(&mm->table_lock);
	if (gw_pte_is_table(gw_u64_load_relaxed(src))) /* it was split meanwhile */
		(void)gw_pte_of(mm, from, &leaf_lock);
	if (leaf_lock)
		gw_spin_lock(leaf_lock);
	gw_u64_store_release(dst, gw_u64_load_relaxed(src));	   /* D4 */
	(void)gw_u64_or_relaxed(dst, gw_u64_xchg_acq_rel(src, 0)); /* what CPUs have marked */
	if (leaf_lock)
		gw_spin_unlock(leaf_lock);
	gw_spin_unlock(&mm->table_lock);
	return true;
}

/* ---- collapsing ---- */

/* T3: both locks, for whoever looks again after taking one of them. */
static void
set_table(struct gw_mm *mm, gw_atomic_u64 *pmd, gw_spinlock *leaf_lock, gw_pte_t pte)
{
	gw_spin_lock(&mm->table_lock);
	gw_spin_lock(leaf_lock);
	gw_u64_store_release(pmd, pte);
	gw_spin_unlock(leaf_lock);
	gw_spin_unlock(&mm->table_lock);
}

bool
gw_table_detach(struct gw_mm *mm, gw_vaddr_t addr, struct gw_detached *d)
{
	gw_vaddr_t start = addr & ~(GW_TABLE_SPAN - 1);
	gw_spinlock *leaf_lock;
	gw_pte_t pte;

	d->pmd = gw_pmd_word(mm, start);
	pte = d->pmd ? gw_u64_load_relaxed(d->pmd) : 0;
	if (!gw_pte_is_table(pte))
		return false;
	d->table = gw_pte_pfn(pte);
	d->words = gw_pte_of(mm, start, &leaf_lock);
	set_table(mm, d->pmd, leaf_lock, 0);
	gw_flush_range(mm, start, start + GW_TABLE_SPAN);
	return true;
}

void
gw_table_reattach(struct gw_mm *mm, const struct gw_detached *d)
{
	gw_spin_lock(&mm->table_lock);
	gw_u64_store_release(d->pmd, gw_pte_present(d->table, 0));
	gw_spin_unlock(&mm->table_lock);
}

void
gw_table_collapse(struct gw_mm *mm, const struct gw_detached *d, gw_pfn_t page, uint64_t flags)
{
	gw_spin_lock(&mm->table_lock);
	gw_pmd_install(mm, d->pmd, page, d->table, flags);
	gw_spin_unlock(&mm->table_lock);
}
