/* SPDX-License-Identifier: MIT */
/*
 * owner.c - the owner-dependent steps of isolation and migration.
 *
 * Idea. What a movable-ops page does, its owner's callbacks do. All other pages are known to rmap
 * and the caches: owner_rmap.c.
 *
 * Invariants
 *   O1  a page's owner word changes only under its page lock once it is published
 *   O2  index is in place before the owner word says whose it is
 */
#include <errno.h>

#include "engine/migrate/isolate.h"
#include "engine/migrate/owner_rmap.h"
#include "engine/phys/hugetlb.h"
#include "engine/store/store.h"
#include "engine/virt/ksm.h"
#include "engine/virt/policy.h"

static bool
has_movable_ops(const struct gw_machine *m, gw_pfn_t page)
{
	uintptr_t owner = (uintptr_t)gw_ptr_load_acquire(&gw_page(m, page)->owner);

	return (owner & GW_OWNER_TAG) == GW_OWNER_MOVABLE;
}

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

int
gw_owner_may_isolate(
	const struct gw_machine *m, gw_pfn_t page, uint32_t flags, enum gw_migrate_mode mode)
{
	if (!gw_page_is_movable(gw_page(m, page)))
		return -EINVAL;
	return has_movable_ops(m, page) ? 0 : gw_rmap_may_isolate(m, page, flags, mode);
}

uint32_t
gw_owner_expected_refs(const struct gw_machine *m, gw_pfn_t page)
{
	if (has_movable_ops(m, page))
		return 2; /* the same for every movable-ops page, whatever its order */
	return gw_rmap_expected_refs(m, page);
}

bool
gw_owner_pinned(const struct gw_machine *m, gw_pfn_t page)
{
	if (!has_movable_ops(m, page) && gw_rmap_in_cache(m, page))
		return false;
	return gw_ref_read(&gw_page(m, page)->refcount) >= gw_owner_expected_refs(m, page);
}

bool
gw_owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	const struct gw_movable_ops *ops;

	if (!has_movable_ops(m, page))
		return gw_page_flags(gw_page(m, page)) & (GW_PG_LRU | GW_PG_HUGETLB);
	ops = movable_ops(m, page);
	return !ops->isolate || ops->isolate(m, page, mode);
}

void
gw_owner_putback(struct gw_machine *m, gw_pfn_t page)
{
	const struct gw_movable_ops *ops;

	if (!has_movable_ops(m, page))
		return;
	ops = movable_ops(m, page);
	if (ops->putback)
		ops->putback(m, page);
}

bool
gw_owner_reads_in(const struct gw_machine *m, gw_pfn_t page)
{
	return !has_movable_ops(m, page) && gw_rmap_in_cache(m, page) &&
	       !(gw_page_flags(gw_page(m, page)) & GW_PG_UPTODATE);
}

int
gw_owner_make_ready(struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode)
{
	return has_movable_ops(m, page) ? 0 : gw_rmap_make_ready(m, page, mode);
}

int
gw_owner_unmap(
	struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode, struct gw_unmapped *unmapped)
{
	const struct gw_movable_ops *ops;
	int err;

	*unmapped = (struct gw_unmapped){0};
	if (!has_movable_ops(m, page))
		return gw_rmap_unmap(m, page, mode, unmapped);
	ops = movable_ops(m, page);
	err = ops->unmap ? ops->unmap(m, page, mode.now) : 0;
	unmapped->remap_due = ops->unmap && err >= 0;
	return err;
}

bool
gw_owner_gave_up(const struct gw_machine *m, gw_pfn_t page, const struct gw_unmapped *unmapped)
{
	/* An anonymous page has one reference, like one given up, but its entries wait for it. */
	return !unmapped->anon_vma && !gw_page_ksm_node(m, page) &&
	       gw_isolated_page_is_dead(m, page);
}

/* The owner moves the page; its reference on dst comes first: it may free dst at once. */
static int
move_by_callback(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	const struct gw_movable_ops *ops = movable_ops(m, src);
	struct gw_page *to = gw_page(m, dst);
	struct gw_page *from = gw_page(m, src);
	int err;

	gw_frame_set_index(to, gw_frame_index(from));
	gw_get_page(m, dst);
	err = ops->migrate(m, dst, src, mode);
	if (err) {
		gw_put_page(m, dst);
		gw_frame_set_index(to, 0);
		return err;
	}
	if (gw_page_flags(from) & GW_PG_DIRTY)
		gw_u32_or_relaxed(&to->flags, GW_PG_DIRTY);
	set_owner(m, dst, ops); /* O2 */
	return 0;
}

static int
freeze_and_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	gw_refcount *refs = &gw_page(m, src)->refcount;
	uint32_t expected = gw_owner_expected_refs(m, src);
	int err;

	if (!gw_ref_freeze(refs, expected))
		return -EAGAIN;
	err = move_by_callback(m, dst, src, mode);
	gw_ref_unfreeze(refs, err ? expected : 1);
	return err;
}

bool
gw_owner_may_copy(const struct gw_machine *m, gw_pfn_t page, const struct gw_unmapped *unmapped)
{
	return unmapped->anon_vma &&
	       gw_ref_read(&gw_page(m, page)->refcount) == gw_owner_expected_refs(m, page);
}

void
gw_owner_move_charge(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src)
{
	if (gw_page_flags(gw_page(m, src)) & GW_PG_CHARGED)
		gw_memcg_migrate(m, dst, src);
}

int
gw_owner_move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode,
	const struct gw_unmapped *unmapped)
{
	int err = has_movable_ops(m, src) ? freeze_and_move(m, dst, src, mode)
					  : gw_rmap_move(m, dst, src, mode, unmapped->copied);

	if (!err && gw_fix(m, GW_FIX_CHARGE_BEFORE_PUT))
		gw_owner_move_charge(m, dst, src); /* A9 */
	if (!err && gw_page_flags(gw_page(m, src)) & GW_PG_HUGETLB)
		gw_hugetlb_migrate(m, dst, src);
	if (!err)
		gw_hint_migrate(m, dst, src);
	return err;
}

void
gw_owner_forget(struct gw_machine *m, gw_pfn_t page)
{
	bool anon = gw_owner_is_anon(gw_ptr_load_relaxed(&gw_page(m, page)->owner));

	if (!anon || !gw_fix(m, GW_FIX_ANON_STAYS_ANON))
		set_owner(m, page, NULL);
}

void
gw_owner_remap(
	struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner, const struct gw_unmapped *unmapped)
{
	if (has_movable_ops(m, winner))
		movable_ops(m, winner)->remap(m, src, winner);
	else
		gw_remove_migration_entries(m, src, winner, unmapped->anon_vma);
}

void
gw_owner_unmap_end(struct gw_machine *m, struct gw_unmapped *unmapped)
{
	if (unmapped->anon_vma && gw_fix(m, GW_FIX_ANON_VMA_REFCOUNT))
		gw_anon_vma_put(unmapped->anon_vma);
}

/* Frozen, so that nobody meets the frames half split. */
static int
split_frozen(struct gw_machine *m, gw_pfn_t page, unsigned order, uint32_t refs)
{
	const struct gw_movable_ops *ops = movable_ops(m, page);
	int err = ops->split ? ops->split(m, page, order) : -EBUSY;

	if (!err)
		gw_split_page(m, page, order, refs); /* as the head: isolated, too */
	return err;
}

int
gw_owner_split(struct gw_machine *m, gw_pfn_t page, unsigned order, struct gw_page_list *list)
{
	gw_refcount *refs = &gw_page(m, page)->refcount;
	uint32_t expected;
	int err;

	if (!has_movable_ops(m, page)) /* of large pages that rmap knows, all are anonymous */
		return gw_split_huge_to_list(m, page, list);
	expected = gw_owner_expected_refs(m, page);
	if (!gw_ref_freeze(refs, expected))
		return -EBUSY;
	err = split_frozen(m, page, order, expected);
	gw_ref_unfreeze(refs, expected);
	for (gw_pfn_t i = 1; !err && i < (gw_pfn_t)1 << order; i++)
		gw_list_push_back(m, list, page + i);
	return err;
}
