/* SPDX-License-Identifier: MIT */
/*
 * owner.c - the owner-dependent steps of isolation and migration, for movable-ops pages.
 *
 * Invariants
 *   O1  a page's owner word changes only under its page lock once it is published
 *   O2  index is in place before the owner word says whose it is
 */
#include <errno.h>

#include "engine/migrate/owner.h"

static const struct gw_movable_ops *
movable_ops(const struct gw_machine *m, gw_pfn_t page)
{
	uintptr_t owner = (uintptr_t)gw_ptr_load_acquire(&gw_page(m, page)->owner);

	return (const struct gw_movable_ops *)(owner - GW_OWNER_MOVABLE);
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
	(void)m;
	(void)page; /* the same for every movable-ops page, whatever its order */
	return 2;
}

bool
gw_owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	const struct gw_movable_ops *ops = movable_ops(m, page);

	return !ops->isolate || ops->isolate(m, page, mode);
}

void
gw_owner_putback(struct gw_machine *m, gw_pfn_t page)
{
	const struct gw_movable_ops *ops = movable_ops(m, page);

	if (ops->putback)
		ops->putback(m, page);
}

int
gw_owner_unmap(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode, bool *remap_due)
{
	const struct gw_movable_ops *ops = movable_ops(m, page);
	int err = ops->unmap ? ops->unmap(m, page, mode) : 0;

	*remap_due = ops->unmap && err >= 0;
	return err;
}

int
gw_owner_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	const struct gw_movable_ops *ops = movable_ops(m, src);
	struct gw_page *to = gw_page(m, dst);
	struct gw_page *from = gw_page(m, src);
	int err;

	gw_frame_set_index(to, gw_frame_index(from));
	err = ops->migrate(m, dst, src, mode);
	if (err) {
		gw_frame_set_index(to, 0);
		return err;
	}
	if (gw_page_flags(from) & GW_PG_DIRTY)
		gw_u32_or_relaxed(&to->flags, GW_PG_DIRTY);
	set_owner(m, dst, ops);
	return 0;
}

void
gw_owner_forget(struct gw_machine *m, gw_pfn_t page)
{
	set_owner(m, page, NULL); /* an anonymous page would keep its mark until freed (A7) */
}

void
gw_owner_remap(struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner)
{
	movable_ops(m, winner)->remap(m, src, winner);
}

int
gw_owner_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	const struct gw_movable_ops *ops = movable_ops(m, page);

	return ops->split ? ops->split(m, page, order) : -EBUSY;
}
