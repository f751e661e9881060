/* SPDX-License-Identifier: MIT */
/*
 * owner_rmap.c - isolation and migration of anonymous and file pages (FACTS 1.1, 1.6, 2.3).
 *
 * Idea. Such a page is on an LRU list, is unmapped by migration entries (engine/virt), and may
 * stand in a cache: of its file, or the swap cache. What is left of its references then is
 * known: the isolation's, the cache's, its private data's.
 *
 *   anonymous, mapped             unmapped with its anon_vma held (R2)
 *   anonymous, in the swap cache, neither anon_vma, nor entries, nor remap: the lock keeps
 *   mapped nowhere                everybody from mapping it, so none is needed (A10, R3)
 *   merged                        the same, through the places of its node, which the locked page
 *                                 keeps; the node follows the page while that is frozen (R9)
 *   anonymous, neither            about to be freed, or pinned: -EAGAIN (A10)
 *   file, its store can migrate   the store's callback, usually gw_mapping_migrate()
 *   file, it cannot               clean pages without private data; dirty ones are written out
 *                                 first, in SYNC mode (FACTS 2.3)
 *   file, UNMOVABLE               -EOPNOTSUPP; not even isolated
 *   orphan: no owner, but         its private data is asked to go, and the page, having no other
 *   private data (A11)            use, with it
 *
 * The move of a page that stands in a cache (R16). dst takes src's place in the tree in the step
 * that freezes src's references, before the bytes are copied:
 *   - a lookup that came first holds a reference, so the count is not the expected one, and nothing
 *     happens; a lookup that comes later finds dst. None finds src frozen and has to wait.
 *   - whoever finds dst has to lock it before he uses it, and it stays locked until its bytes,
 *     state and entries are there. It is UPTODATE only from the copy on.
 *   - what is looked at without the lock is there before dst can be found: owner, index, slot, and
 *     DIRTY, for which writers pass over pages.
 *   - src's bytes do not change: no entry, no reference but ours, its lock ours.
 *
 * Invariants
 *   O3  dst has, from the moment it can be found on, the cache's reference; and of private data the
 *       reference as soon as it has the data
 *   O4  after a move src is in no cache, has no private data and no reference but the isolation's;
 *       after a failure dst is as it came
 */
#include <errno.h>

#include "engine/migrate/isolate.h"
#include "engine/migrate/owner_rmap.h"
#include "engine/store/store.h"
#include "engine/virt/ksm.h"

/* What dst takes over before it can be found. PRIVATE and UPTODATE follow their data. */
#define CARRIED (GW_PG_SWAPCACHE | GW_PG_DIRTY | GW_PG_MLOCKED | GW_PG_REFERENCED)

/* ---- what the page says ---- */

bool
gw_rmap_in_cache(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_page_flags(gw_page(m, page)) & GW_PG_SWAPCACHE || gw_page_mapping(m, page);
}

uint32_t
gw_rmap_expected_refs(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_u32_load_relaxed(&gw_page(m, page)->mapcount) + gw_rmap_in_cache(m, page) +
	       ((gw_page_flags(gw_page(m, page)) & GW_PG_PRIVATE) != 0) + 1;
}

/* ---- isolation ---- */

static int
file_may_isolate(const struct gw_mapping *file, uint32_t flags, enum gw_migrate_mode mode)
{
	if (file->flags & GW_MAPPING_UNMOVABLE)
		return -EINVAL;
	return flags & GW_PG_DIRTY && mode != GW_MIGRATE_SYNC && !file->ops->migrate ? -EBUSY : 0;
}

int
gw_rmap_may_isolate(
	const struct gw_machine *m, gw_pfn_t page, uint32_t flags, enum gw_migrate_mode mode)
{
	const struct gw_mapping *file;
	int err = 0;

	if (flags & GW_PG_WRITEBACK && mode != GW_MIGRATE_SYNC)
		return -EBUSY;
	if (!gw_page_mapping(m, page))
		return 0;
	gw_rcu_read_lock();
	file = gw_page_mapping(m, page);
	if (file)
		err = file_may_isolate(file, flags, mode);
	gw_rcu_read_unlock();
	return err;
}

/* ---- before the page is unmapped ---- */

/* The page would have to be waited for: a later pass may do it. */
static int
not_now(struct gw_pass_mode mode)
{
	return mode.later == GW_MIGRATE_SYNC ? -EAGAIN : -EBUSY;
}

/* The writer comes back for the lock, and his reference would be one too many: he gets it first. */
static int
wait_written(struct gw_machine *m, gw_pfn_t page)
{
	if (gw_current()->flags & GW_TASK_MEMALLOC)
		return -EAGAIN; /* it blocks on no page lock */
	gw_swap_page_unlock(m, page);
	gw_page_wait_writeback(m, page);
	gw_page_lock(m, page);
	return gw_isolated_page_is_dead(m, page) ||
			       gw_page_flags(gw_page(m, page)) & GW_PG_WRITEBACK
		       ? -EAGAIN
		       : 0;
}

/* The page of a store that cannot migrate. */
static int
make_clean(struct gw_machine *m, gw_pfn_t page, const struct gw_mapping *file,
	struct gw_pass_mode mode)
{
	bool busy;
	int err;

	if (mode.now != GW_MIGRATE_SYNC)
		return gw_page_flags(gw_page(m, page)) & GW_PG_DIRTY ? not_now(mode) : 0;
	err = gw_page_write_out(m, page);
	/* It was unlocked. */
	busy = gw_page_mapping(m, page) != file ||
	       gw_page_flags(gw_page(m, page)) & (GW_PG_DIRTY | GW_PG_WRITEBACK);
	return !err && busy ? -EAGAIN : err;
}

int
gw_rmap_make_ready(struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode)
{
	const struct gw_mapping *file;

	if (gw_page_flags(gw_page(m, page)) & GW_PG_WRITEBACK) {
		int err = mode.now == GW_MIGRATE_SYNC ? wait_written(m, page) : not_now(mode);

		if (err)
			return err;
	}
	file = gw_page_mapping(m, page);
	if (file && file->flags & GW_MAPPING_UNMOVABLE)
		return -EOPNOTSUPP;
	if (file && !file->ops->migrate)
		return make_clean(m, page, file, mode);
	/* A11: the next pass frees it, if it works. */
	if (!gw_ptr_load_relaxed(&gw_page(m, page)->owner)) {
		(void)gw_page_release_private(m, page);
		return -EAGAIN;
	}
	return 0;
}

/* ---- unmapping ---- */

/* The anon_vma that the page names, whether or not somebody still has it. */
static struct gw_anon_vma *
named_anon_vma(const struct gw_machine *m, gw_pfn_t page)
{
	uintptr_t owner = (uintptr_t)gw_ptr_load_relaxed(&gw_page(m, page)->owner);

	return (struct gw_anon_vma *)(owner - GW_OWNER_ANON);
}

/* Without its fix a page that nobody maps is to be mapped again as well. */
static int
unmap_swapcache(const struct gw_machine *m, gw_pfn_t page, struct gw_unmapped *unmapped)
{
	if (gw_fix(m, GW_FIX_NO_REMAP_UNMAPPED_SWAPCACHE))
		return 0; /* A10, R3 */
	unmapped->anon_vma = named_anon_vma(m, page);
	gw_ref_get(&unmapped->anon_vma->refs);
	unmapped->remap_due = true;
	return 0;
}

static int
unmap_anon(struct gw_machine *m, gw_pfn_t page, struct gw_unmapped *unmapped)
{
	bool in_swap_cache = gw_page_flags(gw_page(m, page)) & GW_PG_SWAPCACHE;
	struct gw_anon_vma *anon_vma = gw_page_get_anon_vma(m, page);
	int n = 0;

	if (anon_vma || gw_page_ksm_node(m, page))
		n = gw_unmap_for_migration(m, page, anon_vma);
	if (n > 0) {
		unmapped->remap_due = true;
		unmapped->anon_vma = anon_vma;
		if (!gw_fix(m, GW_FIX_ANON_VMA_REFCOUNT))
			gw_anon_vma_put(anon_vma); /* it may go before the page is mapped again */
		return 1;
	}
	if (anon_vma)
		gw_anon_vma_put(anon_vma); /* 0: its last entry went meanwhile */
	if (n == 0 && in_swap_cache && !gw_page_mapped(m, page))
		return unmap_swapcache(m, page, unmapped);
	return -EAGAIN;
}

static int
unmap_file(struct gw_machine *m, gw_pfn_t page, const struct gw_mapping *file,
	struct gw_pass_mode mode, struct gw_unmapped *unmapped)
{
	int n;

	if (!gw_page_mapped(m, page))
		return 0;
	n = gw_unmap_for_migration(m, page, NULL);
	if (n <= 0)
		return n;
	if (!file->ops->migrate && gw_page_flags(gw_page(m, page)) & GW_PG_DIRTY) {
		gw_remove_migration_entries(m, page, page, NULL); /* its entries were dirty */
		return mode.now == GW_MIGRATE_SYNC ? -EAGAIN : not_now(mode);
	}
	unmapped->remap_due = true;
	return 1;
}

int
gw_rmap_unmap(
	struct gw_machine *m, gw_pfn_t page, struct gw_pass_mode mode, struct gw_unmapped *unmapped)
{
	const struct gw_mapping *file = gw_page_mapping(m, page);

	return file ? unmap_file(m, page, file, mode, unmapped) : unmap_anon(m, page, unmapped);
}

/* ---- moving ---- */

/* Can the private data, if there is any, go along? Else it has to be released. */
static bool
private_goes_along(struct gw_machine *m, gw_pfn_t page)
{
	const struct gw_private *data;

	if (!(gw_page_flags(gw_page(m, page)) & GW_PG_PRIVATE))
		return true;
	data = gw_ptr_load_relaxed(&gw_page_extra(m, page)->private);
	return data->moved || gw_page_release_private(m, page);
}

/* dst becomes what a lookup may see of the page (O3). */
static void
dress(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, bool in_cache)
{
	const struct gw_page *from = gw_page(m, src);
	struct gw_page *to = gw_page(m, dst);
	uint32_t flags = gw_page_flags(from) & CARRIED;

	gw_frame_set_index(to, gw_frame_index(from));
	if (flags & GW_PG_SWAPCACHE)
		gw_u32_store_relaxed(&gw_page_extra(m, dst)->slot, gw_page_slot(m, src));
	if (in_cache)
		gw_get_page(m, dst);
	if (flags)
		gw_u32_or_relaxed(&to->flags, flags);
	gw_ptr_store_release(&to->owner, gw_ptr_load_relaxed(&from->owner)); /* O2 */
}

/* Nobody has found it (A6). */
static void
undress(struct gw_machine *m, gw_pfn_t dst, bool in_cache)
{
	struct gw_page *to = gw_page(m, dst);

	gw_ptr_store_release(&to->owner, NULL);
	gw_u32_and_relaxed(&to->flags, ~CARRIED);
	gw_frame_set_index(to, 0);
	if (in_cache)
		gw_put_page(m, dst); /* not the last: the target's is left */
}

/* R16 */
static bool
freeze_and_replace(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, bool in_cache, uint32_t faults)
{
	uint32_t refs = gw_rmap_expected_refs(m, src) + faults;
	struct gw_cache *cache;
	uint64_t index;

	if (!in_cache)
		return gw_ref_freeze(&gw_page(m, src)->refcount, refs);
	cache = gw_page_cache(m, src, &index);
	return gw_cache_replace_frozen(m, cache, index, src, dst, refs);
}

/* src is frozen and dst has its place: what is left of it follows (O4). */
static void
hand_over(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, bool copied, uint32_t faults)
{
	uint32_t flags = gw_page_flags(gw_page(m, src));

	if (!copied)
		gw_migrate_copy(m, dst, src, gw_flags_order(flags));
	if (flags & GW_PG_UPTODATE)
		gw_u32_or_relaxed(&gw_page(m, dst)->flags, GW_PG_UPTODATE);
	if (flags & GW_PG_PRIVATE)
		gw_page_move_private(m, dst, src);
	if (flags & GW_PG_DEFERRED)
		(void)gw_deferred_add(m, dst); /* src leaves the queue when it is freed */
	if (flags & GW_PG_MLOCKED) /* dst's own mark says where it belongs from now on */
		gw_u32_and_relaxed(&gw_page(m, src)->flags, ~GW_PG_UNEVICTABLE);
	if (flags & CARRIED)
		gw_u32_and_relaxed(&gw_page(m, src)->flags, ~CARRIED);
	gw_ref_unfreeze(&gw_page(m, src)->refcount, 1 + faults);
}

static int
move_page(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode, bool copied)
{
	/* References of the task that faulted (E9). */
	uint32_t faults = mode == GW_MIGRATE_FAULT && gw_fix(m, GW_FIX_FAULT_EXTRA_REFERENCE);
	bool in_cache = gw_rmap_in_cache(m, src);

	GW_BUG_ON(m, gw_page_mapped(m, src));
	if (!private_goes_along(m, src))
		return -EAGAIN;
	dress(m, dst, src, in_cache);
	if (!freeze_and_replace(m, dst, src, in_cache, faults)) {
		undress(m, dst, in_cache);
		return -EAGAIN;
	}
	if (gw_page_ksm_node(m, src))
		gw_ksm_follow(m, dst, src);
	hand_over(m, dst, src, copied, faults);
	return 0;
}

int
gw_mapping_migrate(
	struct gw_mapping *mapping, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	return move_page(mapping->machine, dst, src, mode, false);
}

int
gw_rmap_move(
	struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode, bool copied)
{
	struct gw_mapping *file = gw_page_mapping(m, src);

	if (file && file->ops->migrate)
		return file->ops->migrate(file, dst, src, mode);
	if (file && !gw_page_release_private(m, src))
		return -EAGAIN;
	return move_page(m, dst, src, mode, copied);
}
