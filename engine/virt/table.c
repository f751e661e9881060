/* SPDX-License-Identifier: MIT */
/*
 * table.c - page tables: finding, locking, making and freeing them, and the CPUs' walk.
 *
 * Idea. A table is one frame, read as 512 words. Whoever holds mmap_lock, or an anon_vma's root
 * lock with a VMA in its trees, finds tables standing; a CPU holds neither and is waited for by
 * gw_flush_range() instead.
 *
 * Invariants
 *   T1  a table exists only while a VMA lies in its range, or mmap_lock is held for writing
 *   T2  a table is detached first, then flushed, then freed: a walk begun before the flush may
 *       read it, one begun after cannot reach it
 *   T3  a word of an upper table changes under table_lock, of a lowest one under its leaf lock;
 *       CPUs add young and dirty to present entries at any time, so these are exchanged
 *   T4  without a lock a word of the second level is known to be huge or a table only for the
 *       moment. A huge entry becomes a table in one step, with mmap_lock or not (pmd.c); a table
 *       becomes a huge entry only with mmap_lock held for writing
 */
#include "engine/virt/virt_internal.h"

#define LEVELS	   4
#define LEVEL_BITS 9 /* but for the lowest level, which has GW_PMD_ORDER: as many by default */

static unsigned
level_shift(unsigned level)
{
	return GW_PAGE_SHIFT + LEVEL_BITS * level - (level ? LEVEL_BITS - GW_PMD_ORDER : 0);
}

static unsigned
level_words(unsigned level)
{
	return level ? 1u << LEVEL_BITS : GW_PTES_PER_TABLE;
}

gw_atomic_u64 *
gw_table_words(const struct gw_mm *mm, gw_pfn_t table)
{
	return (gw_atomic_u64 *)(void *)(mm->frames + ((size_t)table << GW_PAGE_SHIFT));
}

static gw_atomic_u64 *
table_word(const struct gw_mm *mm, gw_pfn_t table, unsigned level, gw_vaddr_t addr)
{
	return &gw_table_words(mm, table)[addr >> level_shift(level) & (level_words(level) - 1)];
}

/* The table of the lowest level, from `lowest` on, that addr has one of; *level says which. */
static gw_pfn_t
descend_to(const struct gw_mm *mm, gw_vaddr_t addr, unsigned lowest, unsigned *level)
{
	gw_pfn_t table = mm->root;

	for (*level = LEVELS - 1; *level > lowest; --*level) {
		/* acquire: pairs with the release in add_table() */
		gw_pte_t pte = gw_u64_load_acquire(table_word(mm, table, *level, addr));

		if (!gw_pte_is_table(pte))
			break;
		table = gw_pte_pfn(pte);
	}
	return table;
}

static gw_pfn_t
descend(const struct gw_mm *mm, gw_vaddr_t addr, unsigned *level)
{
	return descend_to(mm, addr, 0, level);
}

static gw_pfn_t
leaf_table(const struct gw_mm *mm, gw_vaddr_t addr)
{
	unsigned level;
	gw_pfn_t table = descend(mm, addr, &level);

	return level == 0 ? table : GW_PFN_NONE;
}

gw_vaddr_t
gw_table_next(const struct gw_mm *mm, gw_vaddr_t addr, gw_vaddr_t end)
{
	while (addr < end) {
		unsigned level;
		gw_pfn_t table = descend(mm, addr, &level);

		if (level == 0 || gw_u64_load_relaxed(table_word(mm, table, level, addr)))
			return addr;
		addr = ((addr >> level_shift(level)) + 1) << level_shift(level);
	}
	return end;
}

gw_pfn_t
gw_table_alloc(struct gw_machine *m)
{
	gw_pfn_t pfn;
	int err = gw_alloc_pages(m, GW_GFP_KERNEL | GW_GFP_ZERO, gw_current_node(m), 0, &pfn);

	return err ? GW_PFN_NONE : pfn;
}

/* A table for an empty word of an upper one, unless another task was faster: false, no memory. */
static bool
add_table(struct gw_mm *mm, gw_atomic_u64 *word)
{
	gw_pfn_t table = gw_table_alloc(mm->machine);
	bool lost;

	if (table == GW_PFN_NONE)
		return false;
	gw_spin_lock(&mm->table_lock);
	lost = gw_u64_load_relaxed(word) != 0;
	if (!lost) /* release: whoever finds the table finds it zeroed */
		gw_u64_store_release(word, gw_pte_present(table, 0));
	gw_spin_unlock(&mm->table_lock);
	if (lost)
		gw_put_page(mm->machine, table);
	return true;
}

/* Tables for addr, down to `lowest`. 0, -ENOMEM, or -EEXIST: a huge entry stands there. */
static int
make_tables(struct gw_mm *mm, gw_vaddr_t addr, unsigned lowest)
{
	unsigned level;
	gw_pfn_t table = descend_to(mm, addr, lowest, &level);

	while (level > lowest) {
		gw_atomic_u64 *word = table_word(mm, table, level, addr);

		if (gw_pte_is_huge(gw_u64_load_relaxed(word)))
			return -EEXIST;
		if (!add_table(mm, word))
			return -ENOMEM;
		table = descend_to(mm, addr, lowest, &level);
	}
	return 0;
}

int
gw_table_make(struct gw_mm *mm, gw_vaddr_t addr)
{
	return make_tables(mm, addr, 0);
}

gw_atomic_u64 *
gw_pmd_make(struct gw_mm *mm, gw_vaddr_t addr)
{
	return make_tables(mm, addr, 1) ? NULL : gw_pmd_word(mm, addr);
}

static gw_spinlock *
leaf_lock(struct gw_mm *mm, gw_pfn_t table)
{
	return &mm->leaf_locks[table % GW_LEAF_LOCKS];
}

gw_atomic_u64 *
gw_pte_of(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock)
{
	gw_pfn_t table = leaf_table(mm, addr);

	*lock = leaf_lock(mm, table);
	return table_word(mm, table, 0, addr);
}

gw_atomic_u64 *
gw_pmd_word(const struct gw_mm *mm, gw_vaddr_t addr)
{
	unsigned level;
	gw_pfn_t table = descend_to(mm, addr, 1, &level);

	return level > 1 ? NULL : table_word(mm, table, 1, addr);
}

gw_atomic_u64 *
gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock)
{
	gw_atomic_u64 *word = gw_pmd_word(mm, addr);
	gw_pte_t pte;

	while (word && gw_pte_is_table(pte = gw_u64_load_acquire(word))) {
		*lock = leaf_lock(mm, gw_pte_pfn(pte));
		gw_spin_lock(*lock);
		if (gw_u64_load_relaxed(word) == pte) /* not detached meanwhile */
			return table_word(mm, gw_pte_pfn(pte), 0, addr);
		gw_spin_unlock(*lock);
	}
	return NULL;
}

gw_atomic_u64 *
gw_pmd_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock)
{
	gw_atomic_u64 *word = gw_pmd_word(mm, addr);

	if (!word || !gw_pte_is_huge(gw_u64_load_relaxed(word)))
		return NULL;
	*lock = &mm->table_lock;
	gw_spin_lock(*lock);
	if (gw_pte_is_huge(gw_u64_load_relaxed(word)))
		return word;
	gw_spin_unlock(*lock);
	return NULL;
}

gw_atomic_u64 *
gw_entry_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock)
{
	const gw_atomic_u64 *pmd = gw_pmd_word(mm, addr);
	gw_atomic_u64 *word = NULL;

	/* One becomes the other meanwhile: look again. */
	while (pmd && !word && gw_u64_load_relaxed(pmd)) {
		word = gw_pte_lock(mm, addr, lock);
		if (!word)
			word = gw_pmd_lock(mm, addr, lock);
	}
	return word;
}

void
gw_leaf_lock_two(gw_spinlock *a, gw_spinlock *b)
{
	gw_spin_lock((uintptr_t)a < (uintptr_t)b ? a : b);
	if (a != b)
		gw_spin_lock((uintptr_t)a < (uintptr_t)b ? b : a);
}

void
gw_leaf_unlock_two(gw_spinlock *a, gw_spinlock *b)
{
	gw_spin_unlock(a);
	if (a != b)
		gw_spin_unlock(b);
}

void
gw_flush_range(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	mm->machine->ops->flush_range(mm->machine->ctx, mm->id, start, end);
}

/* ---- freeing ---- */

struct detached {
	struct gw_page_list tables;
	gw_vaddr_t start, end; /* what they spanned */
};

static void
check_empty(const struct gw_mm *mm, gw_pfn_t table)
{
	for (unsigned i = 0; i < GW_PTES_PER_TABLE; i++)
		GW_CHECK_ON(mm->machine, gw_u64_load_relaxed(&gw_table_words(mm, table)[i]) != 0);
}

/* Detach a word's table, of `level`, and all below it. */
static void
detach(struct gw_mm *mm, gw_atomic_u64 *word, unsigned level, struct detached *d)
{
	gw_pfn_t table = gw_pte_pfn(gw_u64_load_relaxed(word));

	gw_spin_lock(&mm->table_lock);
	if (level == 0)
		gw_spin_lock(leaf_lock(mm, table)); /* for who looks again after taking it */
	gw_u64_store_release(word, 0);
	if (level == 0)
		gw_spin_unlock(leaf_lock(mm, table));
	gw_spin_unlock(&mm->table_lock);
	gw_list_push_front(mm->machine, &d->tables, table);
	if (level == 0) {
		check_empty(mm, table);
		return;
	}
	for (unsigned i = 0; i < level_words(level); i++) {
		gw_atomic_u64 *below = &gw_table_words(mm, table)[i];

		if (gw_u64_load_relaxed(below))
			detach(mm, below, level - 1, d);
	}
}

/* Detach what no VMA needs of the tables that words of `table`, of `level`, name in the range. */
static void
detach_unused(struct gw_mm *mm, gw_pfn_t table, unsigned level, gw_vaddr_t start, gw_vaddr_t end,
	struct detached *d)
{
	gw_vaddr_t span = (gw_vaddr_t)1 << level_shift(level);

	for (gw_vaddr_t base = start & ~(span - 1); base < end; base += span) {
		gw_atomic_u64 *word = table_word(mm, table, level, base);
		gw_pte_t pte = gw_u64_load_relaxed(word);

		if (!pte)
			continue;
		if (!gw_itree_first(&mm->vmas, base, base + span)) {
			detach(mm, word, level - 1, d);
			d->start = base < d->start ? base : d->start;
			d->end = base + span > d->end ? base + span : d->end;
		} else if (level > 1) {
			detach_unused(mm, gw_pte_pfn(pte), level - 1, start > base ? start : base,
				end < base + span ? end : base + span, d);
		}
	}
}

void
gw_tables_free(struct gw_mm *mm, gw_vaddr_t start, gw_vaddr_t end)
{
	struct detached d = {.start = start, .end = end};
	gw_pfn_t table;

	gw_page_list_init(&d.tables);
	detach_unused(mm, mm->root, LEVELS - 1, start, end, &d);
	if (d.tables.n)
		gw_flush_range(mm, d.start, d.end); /* T2 */
	while ((table = gw_list_pop_front(mm->machine, &d.tables)) != GW_PFN_NONE)
		gw_put_page(mm->machine, table);
}

/* ---- the CPUs' walk ---- */

int
gw_mm_walk(struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access, gw_pfn_t *pfn, bool *writable)
{
	uint64_t marks = GW_PTE_YOUNG;
	gw_atomic_u64 *word;
	gw_pte_t pte, marked;
	unsigned level;
	gw_pfn_t table;

	if (addr >= GW_VADDR_END)
		return -EFAULT;
	table = descend(mm, addr, &level);
	if (level > 1) /* on the second a huge page may be mapped */
		return -EFAULT;
	if (access == GW_ACCESS_WRITE)
		marks |= GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY;
	word = table_word(mm, table, level, addr);
	pte = gw_u64_load_acquire(word);
	do {
		if (!(pte & GW_PTE_PRESENT) || pte & (GW_PTE_NO_ACCESS | GW_PTE_HINT) ||
			(access == GW_ACCESS_WRITE && !(pte & GW_PTE_WRITE)))
			return -EFAULT;
		if (level > 0 && !gw_pte_is_huge(pte))
			return -EFAULT; /* a table came meanwhile */
		marked = pte | marks;
	} while (marked != pte && !gw_u64_cas_acq_rel(word, &pte, marked));
	*pfn = gw_pte_pfn(marked);
	if (level > 0)
		*pfn += (gw_pfn_t)(addr >> GW_PAGE_SHIFT) & (GW_PTES_PER_TABLE - 1);
	/* Until it is dirty, a first write must come by here again. */
	*writable = marked & GW_PTE_WRITE && marked & GW_PTE_DIRTY;
	return 0;
}
