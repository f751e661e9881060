/* SPDX-License-Identifier: MIT */
/*
 * move.c - see move.h.
 *
 * Idea. Pages are looked up in the page tables, one by one, each with a reference taken under its
 * leaf lock, isolated with that reference as the isolation's, and moved in batches. New pages come
 * from where the caller says, or not at all.
 *
 * Invariants
 *   N1  no lock is held from one page to the next, nor while a batch moves: other tasks change the
 *       address space meanwhile, and what is found was there at some moment of the call
 *   N2  a page that cannot be isolated is looked up once more, after the batch has moved (it may
 *       be in it, mapped twice, or a part of a large page that is) and all LRU batches were drained
 * (it may be in one)
 */
#include <errno.h>

#include "engine/migrate/isolate.h"
#include "engine/migrate/move.h"
#include "engine/virt/policy.h"
#include "engine/virt/rmap.h"

/* ---- moving a batch ---- */

static void
stayed(void *ctx, struct gw_machine *m, gw_pfn_t page, int err)
{
	struct gw_move *mv = ctx;

	(void)m;
	mv->stayed++;
	for (unsigned i = 0; i < mv->n; i++)
		if (mv->pages[i] == page && mv->status[i])
			*mv->status[i] = err == -ENOMEM ? -ENOMEM : -EAGAIN;
}

void
gw_move_batch(struct gw_move *mv)
{
	const struct gw_migrate_target target = {
		.get_new_page = mv->get_new_page, .ctx = mv, .stayed = stayed};

	if (mv->n == 0)
		return;
	if (gw_migrate_pages(mv->m, &mv->list, &target, GW_MIGRATE_SYNC, mv->reason, NULL))
		gw_putback_movable_pages(mv->m, &mv->list); /* A16 */
	mv->n = 0;
}

/* ---- looking pages up ---- */

/* The frame that the entry, locked, names for addr, with a reference of its page. 0, -ENOENT,
 * -EFAULT. */
static int
get_mapped_frame(struct gw_machine *m, gw_pte_t pte, gw_vaddr_t addr, gw_pfn_t *frame)
{
	if (gw_pte_kind(pte) != GW_PTE_IS_PRESENT)
		return -ENOENT;
	if (pte & GW_PTE_ZERO)
		return -EFAULT;
	*frame = gw_pte_frame(pte, addr);
	gw_get_page(m, *frame);
	return 0;
}

/*
 * The frame that addr, in a VMA, maps. mmap_lock held for reading; given back if the result is
 * -EAGAIN (look again: it was on its way) or -EINTR. Else 0, -ENOENT or -EFAULT.
 */
static int
look_up(struct gw_move *mv, gw_vaddr_t addr, gw_pfn_t *frame)
{
	gw_spinlock *lock;
	gw_atomic_u64 *entry = gw_entry_lock(mv->mm, addr, &lock);
	gw_pte_t pte;
	int err;

	if (!entry)
		return -ENOENT;
	pte = gw_u64_load_relaxed(entry);
	if (gw_pte_is_migration(pte)) {
		err = gw_migration_entry_wait(mv->mm, entry, lock);
		return err ? err : -EAGAIN;
	}
	err = get_mapped_frame(mv->m, pte, addr, frame);
	gw_spin_unlock(lock);
	return err;
}

/* A pool's pages are moved when somebody asks for it, though not for a policy by a fault (E12). */
static bool
may_move(const struct gw_vma *vma)
{
	return vma->flags & GW_VM_HUGETLB || gw_vma_migratable(vma);
}

/* The same, of a VMA whose pages may move if that is what it is for. */
static int
find_frame(struct gw_move *mv, gw_vaddr_t addr, bool to_move, gw_pfn_t *frame)
{
	int err;

	do {
		const struct gw_vma *vma;

		gw_rw_read_lock(&mv->mm->mmap_lock);
		vma = gw_vma_find(mv->mm, addr);
		err = -EFAULT;
		if (vma && addr >= gw_vma_start(vma) && (!to_move || may_move(vma)))
			err = look_up(mv, addr, frame);
		if (err != -EAGAIN && err != -EINTR)
			gw_rw_read_unlock(&mv->mm->mmap_lock);
	} while (err == -EAGAIN);
	return err == -EINTR ? -EAGAIN : err;
}

int
gw_move_find(struct gw_move *mv, gw_vaddr_t addr, gw_pfn_t *frame)
{
	return find_frame(mv, addr, false, frame);
}

/* The part of a VMA and of a lowest table that begins at *start or above it. */
static bool
find_range(struct gw_move *mv, gw_vaddr_t limit, gw_vaddr_t *start, gw_vaddr_t *end)
{
	const gw_vaddr_t table = (gw_vaddr_t)GW_PTES_PER_TABLE << GW_PAGE_SHIFT;
	const struct gw_vma *vma;

	gw_rw_read_lock(&mv->mm->mmap_lock);
	vma = gw_vma_find(mv->mm, *start);
	if (vma) {
		if (*start < gw_vma_start(vma))
			*start = gw_vma_start(vma);
		*end = (*start & ~(table - 1)) + table;
		if (*end > gw_vma_end(vma))
			*end = gw_vma_end(vma);
		if (*end > limit)
			*end = limit;
	}
	gw_rw_read_unlock(&mv->mm->mmap_lock);
	return vma && *start < limit;
}

static bool
has_entry(struct gw_move *mv, gw_vaddr_t addr)
{
	gw_spinlock *lock;
	bool there = false;

	gw_rw_read_lock(&mv->mm->mmap_lock);
	if (gw_entry_lock(mv->mm, addr, &lock)) {
		there = true;
		gw_spin_unlock(lock);
	}
	gw_rw_read_unlock(&mv->mm->mmap_lock);
	return there;
}

bool
gw_move_next_range(
	struct gw_move *mv, gw_vaddr_t addr, gw_vaddr_t limit, gw_vaddr_t *start, gw_vaddr_t *end)
{
	*start = addr;
	while (find_range(mv, limit, start, end)) {
		if (has_entry(mv, *start))
			return true;
		*start = *end;
	}
	return false;
}

/* ---- isolating ---- */

/* The page, whose reference is the caller's to give, becomes one of the batch: 0, or -EBUSY or
 * -EINVAL (it never moves) with the reference dropped. */
static int
isolate(struct gw_move *mv, gw_pfn_t page, int *status)
{
	int err = gw_isolate_held_page(mv->m, page, GW_MIGRATE_SYNC, &mv->list);

	if (err) {
		gw_put_page(mv->m, page);
		return err;
	}
	mv->pages[mv->n] = page;
	mv->status[mv->n++] = status;
	if (mv->n == GW_MOVE_BATCH)
		gw_move_batch(mv);
	return 0;
}

/* One try for the page at addr: isolated, there already, or an error (also -EACCES). */
static int
try_address(struct gw_move *mv, gw_vaddr_t addr, bool shared_too, int *status)
{
	gw_pfn_t frame;
	int err = find_frame(mv, addr, true, &frame);

	if (err)
		return err;
	if (mv->is_home(mv, frame)) {
		gw_put_page(mv->m, frame);
		return 0;
	}
	if (!shared_too && gw_frame_entries(mv->m, frame) > 1) {
		gw_put_page(mv->m, frame);
		return -EACCES;
	}
	return isolate(mv, gw_page_head(mv->m, frame), status);
}

int
gw_move_address(struct gw_move *mv, gw_vaddr_t addr, bool shared_too, int *status)
{
	int err = try_address(mv, addr, shared_too, status);

	if (err != -EBUSY)
		return err;
	gw_move_batch(mv); /* N2 */
	gw_migrate_prep(mv->m);
	return try_address(mv, addr, shared_too, status);
}

void
gw_move_begin(struct gw_move *mv, struct gw_mm *mm)
{
	mv->m = mm->machine;
	mv->mm = mm;
	mv->n = 0;
	mv->stayed = 0;
	gw_page_list_init(&mv->list);
	gw_might_sleep();
	gw_migrate_prep(mv->m); /* D22 */
}
