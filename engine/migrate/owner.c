/* SPDX-License-Identifier: MIT */
/*
 * owner.c - the owner-dependent steps of isolation and migration, for movable-ops pages and for
 * anonymous ones.
 *
 * Idea. What a movable-ops page does, its owner's callbacks do. An anonymous page must be on the
 * LRU; unmapped by migration entries (engine/virt), it has no reference but the isolation's.
 *
 * Invariants
 *   O1  a page's owner word changes only under its page lock once it is published
 *   O2  index is in place before the owner word says whose it is
 */
#include <errno.h>

#include "engine/migrate/isolate.h"
#include "engine/migrate/owner.h"

static const struct gw_movable_ops *
movable_ops(const struct gw_machine *m, gw_pfn_t page)
{
	uintptr_t owner = (uintptr_t)gw_ptr_load_acquire(&gw_page(m, page)->owner);

	return (const struct gw_movable_ops *)(owner - GW_OWNER_MOVABLE);
}

static bool
is_anon(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_owner_is_anon(gw_ptr_load_acquire(&gw_page(m, page)->owner));
}

static void
set_owner(struct gw_machine *m, gw_pfn_t page, const struct gw_movable_ops *ops)
{
	void *owner = ops ? gw_movable_owner(ops) : NULL;

	gw_ptr_store_release(&gw_page(m, page)->owner, owner);
}

void
gw_page_set_movable(
	struct gw_machine *m, gw_pfn_t page, const struct gw_movable_ops *ops, uint32_t index)
{
	gw_pfn_t head = gw_page_head(m, page);

	gw_frame_set_index(gw_page(m, head), index);
	set_owner(m, head, ops);
}

uint32_t
gw_page_index(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_frame_index(gw_page(m, gw_page_head(m, page)));
}

void
gw_page_set_index(struct gw_machine *m, gw_pfn_t page, uint32_t index)
{
	gw_frame_set_index(gw_page(m, gw_page_head(m, page)), index);
}

bool
gw_owner_can_move(const struct gw_machine *m, gw_pfn_t page)
{
	const void *owner = gw_ptr_load_acquire(&gw_page(m, page)->owner);

	return gw_owner_is_movable(owner);
}

uint32_t
gw_owner_expected_refs(const struct gw_machine *m, gw_pfn_t page)
{
	if (is_anon(m, page))
		return gw_u32_load_relaxed(&gw_page(m, page)->mapcount) + 1;
	return 2; /* the same for every movable-ops page, whatever its order */
}

bool
gw_owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	const struct gw_movable_ops *ops;

	if (is_anon(m, page))
		return gw_page_flags(gw_page(m, page)) & GW_PG_LRU;
	ops = movable_ops(m, page);
	return !ops->isolate || ops->isolate(m, page, mode);
}

void
gw_owner_putback(struct gw_machine *m, gw_pfn_t page)
{
	const struct gw_movable_ops *ops;

	if (is_anon(m, page))
		return;
	ops = movable_ops(m, page);
	if (ops->putback)
		ops->putback(m, page);
}

static int
unmap_anon(struct gw_machine *m, gw_pfn_t page, struct gw_unmapped *unmapped)
{
	struct gw_anon_vma *anon_vma = gw_page_get_anon_vma(m, page);
	int n;

	if (!anon_vma)
		return -EAGAIN; /* A10: about to be freed, or pinned */
	n = gw_unmap_for_migration(m, page, anon_vma);
	if (n <= 0) { /* 0: its last entry went meanwhile */
		gw_anon_vma_put(anon_vma);
		return -EAGAIN;
	}
	unmapped->remap_due = true;
	unmapped->anon_vma = anon_vma;
	return 1;
}

int
gw_owner_unmap(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode,
	struct gw_unmapped *unmapped)
{
	const struct gw_movable_ops *ops;
	int err;

	*unmapped = (struct gw_unmapped){0};
	if (is_anon(m, page))
		return unmap_anon(m, page, unmapped);
	ops = movable_ops(m, page);
	err = ops->unmap ? ops->unmap(m, page, mode) : 0;
	unmapped->remap_due = ops->unmap && err >= 0;
	return err;
}

bool
gw_owner_gave_up(const struct gw_machine *m, gw_pfn_t page, const struct gw_unmapped *unmapped)
{
	/* An anonymous page has one reference, like one given up, but its entries wait for it. */
	return !unmapped->anon_vma && gw_isolated_page_is_dead(m, page);
}

static int
move_by_callback(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	const struct gw_movable_ops *ops = movable_ops(m, src);
	int err;

	/* The owner's, before it knows the page: it may free it at once. */
	gw_get_page(m, dst);
	err = ops->migrate(m, dst, src, mode);
	if (err)
		gw_put_page(m, dst);
	return err;
}

int
gw_owner_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct gw_page *to = gw_page(m, dst);
	struct gw_page *from = gw_page(m, src);
	int err = 0;

	gw_frame_set_index(to, gw_frame_index(from));
	if (is_anon(m, src)) {
		GW_BUG_ON(m, gw_page_mapped(m, src));
		gw_migrate_copy(m, dst, src, gw_flags_order(gw_page_flags(from)));
	} else {
		err = move_by_callback(m, dst, src, mode);
	}
	if (err) {
		gw_frame_set_index(to, 0);
		return err;
	}
	if (gw_page_flags(from) & GW_PG_DIRTY)
		gw_u32_or_relaxed(&to->flags, GW_PG_DIRTY);
	gw_ptr_store_release(&to->owner, gw_ptr_load_relaxed(&from->owner)); /* O2 */
	return 0;
}

void
gw_owner_forget(struct gw_machine *m, gw_pfn_t page)
{
	if (!is_anon(m, page))
		set_owner(m, page, NULL);
}

void
gw_owner_remap(
	struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner, const struct gw_unmapped *unmapped)
{
	if (unmapped->anon_vma)
		gw_remove_migration_entries(m, src, winner, unmapped->anon_vma);
	else
		movable_ops(m, winner)->remap(m, src, winner);
}

void
gw_owner_unmap_end(struct gw_unmapped *unmapped)
{
	if (unmapped->anon_vma)
		gw_anon_vma_put(unmapped->anon_vma);
}

int
gw_owner_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	const struct gw_movable_ops *ops;

	if (is_anon(m, page))
		return -EBUSY;
	ops = movable_ops(m, page);
	return ops->split ? ops->split(m, page, order) : -EBUSY;
}
