/* SPDX-License-Identifier: MIT */
/*
 * migrate.c - moving isolated pages to other frames (FACTS 1.1, 1.6, 2.3).
 *
 * Idea. A page is unmapped, then moved, then mapped again; between the first two stands a flush of
 * translations, so pages are unmapped in batches of up to 512 and flushed once (FACTS 2.3).
 *   M1  isolate     gw_isolate_page(): off its LRU list, one reference of the isolation
 *   M2  lock old    trylock; a page that its owner gave up meanwhile ends here, as a success (A1);
 *                   others are made ready: writeback waited for, private data released, or not
 *   M3  get new     from the target; none, and the old page is large: split it, or the call ends
 *   M4  lock new    trylock only: a pool page may be locked by a past user, -EAGAIN (A4)
 *   M5  unmap       the owner makes the old page inaccessible; of an anonymous page the
 *                   anon_vma is held from here on (R2); one mapped nowhere needs neither (R3)
 *   M6  flush       once for all pages of the batch that need it; then the bytes of anonymous pages
 *                   are copied, unless somebody unknown holds them
 *   M7  freeze      the old page's references, if they are exactly the owner's and the
 *                   isolation's (I4), else -EAGAIN; a cache's slot goes over in the same step (R16)
 *   M8  move        the owner moves state and bytes; index, owner word and charge follow
 *   M9  list        the new page takes the old one's LRU place
 *   M10 remap       to the page that won, here and nowhere else (A8)
 *   M11 unlock      new, then old, the anon_vma put between the two (A15)
 *   M12 put         the unused new page to put_new_page (A1); else our references of both
 *
 * References. Old page: the owner's and the isolation's; frozen to 0 from M7 to M8. On success the
 * isolation's is left, which M12 drops, and the frame is free. New page: the one the target
 * passed on is ours until M12; the owner (or the cache) gets its own in M8, and the entries, one
 * each, in M10.
 *
 * Passes (FACTS 1.6). Pages that said -EAGAIN come again, in up to 10 passes. Passes 0 to 2 run in
 * batches and in ASYNC mode, whatever mode was asked for: nobody may block while it holds the
 * locks of a batch. From pass 3 on the modes that may wait do so, with one page at a time; ASYNC
 * goes on in batches. (The documents: 10 passes, pass > 2 is "force"; Linux today: 3 batched
 * ASYNC passes, then 7 one by one. This is both.) A GW_TASK_MEMALLOC task never blocks on a page
 * lock, and nobody in SYNC_LIGHT on that of a page that is being read in. Any error but -EAGAIN
 * and -ENOMEM is final for the page. Pieces of a split page get one batched ASYNC pass at the end,
 * as in Linux.
 *
 * Invariants
 *   G1  every page of the list ends up moved, given up, or on the list again
 *   G2  every new page is either a moved page's, or given to put_new_page exactly once
 *   G3  gw_owner_remap() runs once for every unmap that succeeded, before either unlock; not for a
 *       page that was given up, which no callback sees again
 *
 * Locks: page locks (old by trylock or, with no other held, blocking; new by trylock); below
 * them whatever the callbacks take. Nothing here allocates.
 * Not handled: owners other than owner.c knows.
 */
#include <errno.h>

#include "engine/migrate/isolate.h"
#include "engine/migrate/owner.h"
#include "engine/phys/probe.h"
#include "engine/store/store.h"

#define PASSES	     10
#define ASYNC_PASSES 3	 /* the first ones, in batches */
#define BATCH	     512 /* pages */

/* One call. */
struct migration {
	struct gw_machine *m;
	const struct gw_migrate_target *target;
	enum gw_migrate_reason reason;
	struct gw_pass_mode mode;
	struct gw_page_list again;  /* said -EAGAIN in this pass */
	struct gw_page_list failed; /* for good */
	struct gw_page_list pieces; /* of pages that were split */
	struct gw_migrate_stats stats;
	uint64_t huge_moved, huge_failed, huge_split; /* of pageblock order and above, in pages */
};

/* Pages between M5 and M10, all locked, with their new pages. */
struct batch {
	unsigned n, n_flush;
	gw_pfn_t src[BATCH], dst[BATCH];
	struct gw_unmapped unmapped[BATCH];
	gw_pfn_t flush[BATCH];
	struct gw_copy copies[BATCH];
};

static unsigned
page_order(const struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_flags_order(gw_page_flags(gw_page(m, pfn)));
}

static void
count_moved(struct migration *mg, unsigned order)
{
	mg->stats.succeeded += (uint64_t)1 << order;
	mg->stats.large_succeeded += order > 0;
	mg->huge_moved += order >= mg->m->config.pageblock_order;
}

static void
count_large_failed(struct migration *mg, unsigned order)
{
	mg->stats.large_failed += order > 0;
	mg->huge_failed += order >= mg->m->config.pageblock_order;
}

static void
tell(const struct migration *mg, gw_pfn_t src, int err)
{
	if (mg->target->stayed)
		mg->target->stayed(mg->target->ctx, mg->m, src, err);
}

static void
tell_all(const struct migration *mg, const struct gw_page_list *list, int err)
{
	for (gw_pfn_t pfn = list->first; pfn != GW_PFN_NONE; pfn = gw_page(mg->m, pfn)->next)
		tell(mg, pfn, err);
}

static void
keep(struct migration *mg, gw_pfn_t src, int err)
{
	gw_list_push_back(mg->m, err == -EAGAIN ? &mg->again : &mg->failed, src);
	if (err != -EAGAIN)
		tell(mg, src, err);
}

/* Moved, or given up (A1): nobody has this page any more. It is locked, and dies with our
 * reference. */
static void
finish_dead(struct migration *mg, gw_pfn_t src)
{
	count_moved(mg, page_order(mg->m, src));
	gw_owner_forget(mg->m, src);
	gw_isolation_end(mg->m, src);
	gw_page_unlock(mg->m, src);
	gw_put_page(mg->m, src);
}

static void
put_new_page(struct migration *mg, gw_pfn_t dst, unsigned order)
{
	if (mg->target->put_new_page)
		mg->target->put_new_page(mg->target->ctx, mg->m, dst, order);
	else
		gw_put_page(mg->m, dst); /* A3 */
}

/* M2 */
static int
lock_old(struct migration *mg, gw_pfn_t src)
{
	if (gw_page_trylock(mg->m, src))
		return 0;
	if (mg->mode.now == GW_MIGRATE_ASYNC || gw_current()->flags & GW_TASK_MEMALLOC)
		return -EAGAIN;
	if (mg->mode.now == GW_MIGRATE_SYNC_LIGHT && gw_owner_reads_in(mg->m, src))
		return -EAGAIN;
	gw_page_lock(mg->m, src);
	return 0;
}

/* Where a new page was taken before the old one was looked at: a success lost it. */
static void
lose_new_page(struct migration *mg, gw_pfn_t src)
{
	gw_pfn_t dst;

	if (!mg->target->get_new_page(mg->target->ctx, mg->m, src, page_order(mg->m, src), &dst))
		gw_put_page(mg->m, dst);
}

/* M4. Without the fix its past user is waited for. */
static bool
lock_new(struct gw_machine *m, gw_pfn_t dst, enum gw_fix fix)
{
	if (gw_fix(m, fix))
		return gw_page_trylock(m, dst);
	gw_page_lock(m, dst);
	return true;
}

/* M3, M4 */
static int
get_locked_new_page(struct migration *mg, gw_pfn_t src, gw_pfn_t *dst)
{
	unsigned order = page_order(mg->m, src);
	int err = mg->target->get_new_page(mg->target->ctx, mg->m, src, order, dst);

	if (err)
		return err;
	GW_BUG_ON(mg->m, page_order(mg->m, *dst) != order);
	if (lock_new(mg->m, *dst, GW_FIX_NEWPAGE_TRYLOCK))
		return 0;
	put_new_page(mg, *dst, order);
	*dst = GW_PFN_NONE;
	return -EAGAIN;
}

/* src, locked, stays for now; so dst, if there is one, was locked for nothing. */
static void
leave(struct migration *mg, gw_pfn_t src, gw_pfn_t dst, int err)
{
	unsigned order = page_order(mg->m, src);

	if (dst != GW_PFN_NONE)
		gw_page_unlock(mg->m, dst);
	gw_swap_page_unlock(mg->m, src);
	if (dst != GW_PFN_NONE)
		put_new_page(mg, dst, order);
	keep(mg, src, err);
}

/* Split the locked page into isolated single frames, which are put on mg->pieces. 0, or why it
 * stays whole. */
static int
split_page(struct migration *mg, gw_pfn_t src, unsigned order)
{
	int err;

	if (order == 0 || mg->reason == GW_MR_NUMA_MISPLACED)
		return -EINVAL; /* a misplaced page is not worth splitting (FACTS 2.3) */
	err = gw_owner_split(mg->m, src, order, &mg->pieces);
	if (!err)
		gw_list_push_front(mg->m, &mg->pieces, src);
	return err;
}

/*
 * No new page for src, which is locked. True if the call can go on, src now being pieces that wait
 * for their own pass.
 */
static bool
split_or_stop(struct migration *mg, gw_pfn_t src)
{
	struct gw_machine *m = mg->m;
	unsigned order = page_order(m, src);
	int err = split_page(mg, src, order);

	gw_page_unlock(m, src);
	if (err) {
		keep(mg, src, -ENOMEM);
		if (order > 0)
			mg->stats.stopped_on = src;
		return false;
	}
	count_large_failed(mg, order);
	mg->stats.split++;
	mg->huge_split += order >= m->config.pageblock_order;
	return true;
}

/* M5: into the batch, or off to the list that its result sends it to. Both locked. */
static void
unmap(struct migration *mg, struct batch *b, gw_pfn_t src, gw_pfn_t dst)
{
	int err = gw_owner_unmap(mg->m, src, mg->mode, &b->unmapped[b->n]);

	if (err < 0) {
		leave(mg, src, dst, err);
		return;
	}
	if (err > 0)
		b->flush[b->n_flush++] = src;
	b->src[b->n] = src;
	b->dst[b->n++] = dst;
}

/* M4, after lock_old() and M3 of a hugetlb page. */
static void
lock_and_unmap(struct migration *mg, struct batch *b, gw_pfn_t src, gw_pfn_t dst)
{
	unsigned order = page_order(mg->m, src);

	if (gw_isolated_page_is_dead(mg->m, src)) {
		finish_dead(mg, src);
		put_new_page(mg, dst, order);
	} else if (!lock_new(mg->m, dst, GW_FIX_HUGETLB_TRYLOCK)) {
		gw_page_unlock(mg->m, src);
		put_new_page(mg, dst, order);
		keep(mg, src, -EAGAIN);
	} else {
		unmap(mg, b, src, dst);
	}
}

/* A13: of a hugetlb page the new page comes first, and its lock is waited for in SYNC mode only. It
 * is never split. */
static bool
prepare_hugetlb(struct migration *mg, struct batch *b, gw_pfn_t src)
{
	unsigned order = page_order(mg->m, src);
	gw_pfn_t dst = GW_PFN_NONE;
	int err = mg->target->get_new_page(mg->target->ctx, mg->m, src, order, &dst);

	if (err) {
		keep(mg, src, err);
		return err != -ENOMEM;
	}
	GW_BUG_ON(mg->m, page_order(mg->m, dst) != order);
	if (mg->mode.now == GW_MIGRATE_SYNC)
		err = lock_old(mg, src);
	else
		err = gw_page_trylock(mg->m, src) ? 0 : -EAGAIN;
	if (err) {
		put_new_page(mg, dst, order);
		keep(mg, src, err);
	} else {
		lock_and_unmap(mg, b, src, dst);
	}
	return true;
}

/* M2 to M5: into the batch, or off to the list that its result sends it to. False: stop. */
static bool
prepare(struct migration *mg, struct batch *b, gw_pfn_t src)
{
	struct gw_machine *m = mg->m;
	gw_pfn_t dst = GW_PFN_NONE;
	int err;

	if (gw_page_flags(gw_page(m, src)) & GW_PG_HUGETLB)
		return prepare_hugetlb(mg, b, src);
	err = lock_old(mg, src);
	if (err) {
		keep(mg, src, err);
		return true;
	}
	if (gw_isolated_page_is_dead(m, src)) {
		if (!gw_fix(m, GW_FIX_PUT_NEW_PAGE_ONCE))
			lose_new_page(mg, src);
		finish_dead(mg, src);
		return true;
	}
	err = gw_owner_make_ready(m, src, mg->mode);
	if (!err) {
		err = get_locked_new_page(mg, src, &dst);
		if (err == -ENOMEM)
			return split_or_stop(mg, src);
	}
	if (err < 0)
		leave(mg, src, dst, err);
	else
		unmap(mg, b, src, dst);
	return true;
}

/* Where entries were removed before there was one place for it: a page that stays was unlocked
 * first. */
static void
remap_late(struct gw_machine *m, gw_pfn_t src, const struct gw_unmapped *unmapped)
{
	gw_page_unlock(m, src);
	gw_page_lock(m, src);
	gw_owner_remap(m, src, src, unmapped);
}

/* M7 to M12 */
static void
move(struct migration *mg, gw_pfn_t src, gw_pfn_t dst, struct gw_unmapped *unmapped)
{
	struct gw_machine *m = mg->m;
	unsigned order = page_order(m, src);
	bool dead = gw_owner_gave_up(m, src, unmapped);
	int err = dead ? -EAGAIN : gw_owner_move(m, dst, src, mg->mode.now, unmapped); /* M7, M8 */
	bool remap = unmapped->remap_due && !dead;
	bool late = err && !gw_fix(m, GW_FIX_SINGLE_REMAP_POINT); /* A8 */

	if (!err)
		gw_lru_putback_as(m, src, dst);
	if (remap && !late)
		gw_owner_remap(m, src, err ? src : dst, unmapped);
	gw_swap_page_unlock(m, dst);
	if (remap && late)
		remap_late(m, src, unmapped);
	gw_owner_unmap_end(m, unmapped);
	if (!err || dead) {
		finish_dead(mg, src);
	} else {
		gw_swap_page_unlock(m, src);
		keep(mg, src, err);
	}
	if (!err && !gw_fix(m, GW_FIX_CHARGE_BEFORE_PUT))
		gw_owner_move_charge(m, dst, src);
	if (err)
		put_new_page(mg, dst, order);
	else
		gw_put_page(m, dst);
}

/* Copies in a row overlap; between the atomic operations of moves each waits for its last stores. A
 * page alone is copied in its move. */
static void
copy_batch(struct migration *mg, struct batch *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->n && b->n > 1; i++) {
		gw_pfn_t src = b->src[i];

		if (!gw_owner_may_copy(mg->m, src, &b->unmapped[i]))
			continue;
		b->unmapped[i].copied = true;
		b->copies[n] = (struct gw_copy){
			.dst = b->dst[i], .src = src, .n = (gw_pfn_t)1 << page_order(mg->m, src)};
		n++;
	}
	if (n)
		mg->m->ops->copy_frames(mg->m->ctx, b->copies, n);
}

static void
finish_batch(struct migration *mg, struct batch *b)
{
	if (b->n_flush) {
		mg->m->ops->flush_frames(mg->m->ctx, b->flush, b->n_flush); /* M6 */
		mg->stats.flushes++;
	}
	copy_batch(mg, b);
	for (unsigned i = 0; i < b->n; i++)
		move(mg, b->src[i], b->dst[i], &b->unmapped[i]);
}

/* Once over the list, which empties. False: stopped for want of memory, the rest is still on it. */
static bool
run_pass(struct migration *mg, struct gw_page_list *list)
{
	unsigned limit = mg->mode.now == GW_MIGRATE_ASYNC ? BATCH : 1;
	bool go_on = true;
	struct batch b;

	mg->stats.passes++;
	while (go_on && list->n) {
		b.n = 0;
		b.n_flush = 0;
		while (go_on && list->n && b.n < limit)
			go_on = prepare(mg, &b, gw_list_pop_front(mg->m, list));
		finish_batch(mg, &b);
	}
	return go_on;
}

/* All passes; what is left when they are over has failed. False: stopped, `list` keeps the rest. */
static bool
run_passes(
	struct migration *mg, struct gw_page_list *list, enum gw_migrate_mode mode, unsigned passes)
{
	bool go_on = true;

	mg->mode.later = mode;
	for (unsigned pass = 0; pass < passes && go_on && list->n; pass++) {
		if (pass > 0)
			gw_relax(); /* whoever holds the lock or the reference gets a chance */
		mg->mode.now = pass < ASYNC_PASSES ? GW_MIGRATE_ASYNC : mode;
		go_on = run_pass(mg, list);
		if (go_on)
			gw_list_splice(mg->m, list, &mg->again);
	}
	tell_all(mg, go_on ? list : &mg->again, -EAGAIN);
	gw_list_splice(mg->m, &mg->failed, go_on ? list : &mg->again);
	return go_on;
}

static void
count_failed(struct migration *mg)
{
	const struct gw_machine *m = mg->m;

	for (gw_pfn_t pfn = mg->failed.first; pfn != GW_PFN_NONE; pfn = gw_page(m, pfn)->next) {
		unsigned order = page_order(m, pfn);

		mg->stats.failed += (uint64_t)1 << order;
		count_large_failed(mg, order);
	}
}

static void
publish_counts(const struct migration *mg, struct gw_migrate_stats *stats)
{
	struct gw_machine *m = mg->m;

	gw_count(m, GW_VM_PGMIGRATE_SUCCESS, mg->stats.succeeded);
	gw_count(m, GW_VM_PGMIGRATE_FAIL, mg->stats.failed);
	gw_count(m, GW_VM_THP_MIGRATION_SUCCESS, mg->huge_moved);
	gw_count(m, GW_VM_THP_MIGRATION_FAIL, mg->huge_failed);
	gw_count(m, GW_VM_THP_MIGRATION_SPLIT, mg->huge_split);
	if (!stats)
		return;
	stats->succeeded += mg->stats.succeeded;
	stats->failed += mg->stats.failed;
	stats->large_succeeded += mg->stats.large_succeeded;
	stats->large_failed += mg->stats.large_failed;
	stats->split += mg->stats.split;
	stats->passes += mg->stats.passes;
	stats->flushes += mg->stats.flushes;
	stats->stopped_on = mg->stats.stopped_on;
}

int
gw_migrate_pages(struct gw_machine *m, struct gw_page_list *list,
	const struct gw_migrate_target *target, enum gw_migrate_mode mode,
	enum gw_migrate_reason reason, struct gw_migrate_stats *stats)
{
	struct migration mg = {
		.m = m,
		.target = target,
		.reason = reason,
		.stats.stopped_on = GW_PFN_NONE,
	};
	bool done;

	if (mode != GW_MIGRATE_ASYNC)
		gw_might_sleep();
	gw_page_list_init(&mg.again);
	gw_page_list_init(&mg.failed);
	gw_page_list_init(&mg.pieces);
	done = run_passes(&mg, list, mode, PASSES);
	if (done && mg.pieces.n) {
		gw_list_splice(m, list, &mg.pieces);
		done = run_passes(&mg, list, GW_MIGRATE_ASYNC, 1);
	}
	count_failed(&mg);
	GW_PROBE5(mm_migrate_pages, mg.stats.succeeded, mg.stats.failed, mg.stats.split, mode,
		reason);
	publish_counts(&mg, stats);
	tell_all(&mg, list, -ENOMEM);
	tell_all(&mg, &mg.pieces, -ENOMEM);
	gw_list_splice(m, list, &mg.failed);
	gw_list_splice(m, list, &mg.pieces);
	return done ? (int)list->n : -ENOMEM;
}

void
gw_migrate_copy(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, unsigned order)
{
	const struct gw_copy copy = {.dst = dst, .src = src, .n = (gw_pfn_t)1 << order};

	m->ops->copy_frames(m->ctx, &copy, 1);
}
