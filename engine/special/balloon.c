/* SPDX-License-Identifier: MIT */
/*
 * balloon.c - frames that are the host's for now (FACTS A5, A12).
 *
 * Idea. A page in a balloon has the balloon's movable-ops for an owner, which tell it its balloon,
 * and stands on one of its two lists by size, through its own frame. Its bytes are nobody's, so a
 * migration copies nothing: the new page is given, the old one taken back. It is mapped nowhere, so
 * no rmap is asked (A12).
 *
 * A page's index says where it is: LISTED, or 0 in the hands of a migration or of a deflation.
 *
 * Invariants
 *   B1  a page is on the list of its size exactly if its index is LISTED; both change under the
 *       balloon's lock
 *   B2  of deflation and isolation exactly one gets a page, whoever takes it off its list. Who
 *       isolates has the page lock, and a deflation comes for it after it has the page: so when it
 *       ends the ownership, nobody is in the middle of a callback for it
 *   B3  the host has exactly the frames that `frames` counts
 *   B4  a migration's two pages are locked by its caller and stay so (A5)
 *
 * Locks: balloon->lock, rank LEAF, under the page lock.
 */
#include <errno.h>

#include "engine/phys/phys.h"
#include "godwit/balloon.h"
#include "godwit/migrate.h"

#define LISTED 1u

enum { SINGLE, LARGE, N_LISTS };

struct gw_balloon {
	struct gw_movable_ops ops; /* of its pages: first, so that these lead here */
	struct gw_machine *machine;
	struct gw_balloon_driver driver;
	gw_atomic_u64 frames; /* changed and read anywhere */

	gw_spinlock lock;
	/* Guarded by lock. */
	struct gw_page_list lists[N_LISTS];
};

static struct gw_balloon *
balloon_of(const struct gw_machine *m, gw_pfn_t page)
{
	uintptr_t owner = (uintptr_t)gw_ptr_load_acquire(&gw_page(m, page)->owner);

	return (struct gw_balloon *)(owner - GW_OWNER_MOVABLE);
}

static unsigned
order_of(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_flags_order(gw_page_flags(gw_page(m, page)));
}

static struct gw_page_list *
list_of(struct gw_balloon *b, gw_pfn_t page)
{
	return &b->lists[order_of(b->machine, page) ? LARGE : SINGLE];
}

/* ---- the lists ---- */

static void
enlist(struct gw_balloon *b, gw_pfn_t page)
{
	gw_spin_lock(&b->lock);
	gw_frame_set_index(gw_page(b->machine, page), LISTED);
	gw_list_push_back(b->machine, list_of(b, page), page);
	gw_spin_unlock(&b->lock);
}

/* The caller gets the page, if nobody else has it. */
static bool
delist(struct gw_balloon *b, gw_pfn_t page)
{
	bool listed;

	gw_spin_lock(&b->lock);
	listed = gw_frame_index(gw_page(b->machine, page)) == LISTED;
	if (listed) {
		gw_list_remove(b->machine, list_of(b, page), page);
		gw_frame_set_index(gw_page(b->machine, page), 0);
	}
	gw_spin_unlock(&b->lock);
	return listed;
}

/* The oldest page of a list; GW_PFN_NONE: it is empty. */
static gw_pfn_t
pop(struct gw_balloon *b, unsigned which)
{
	gw_pfn_t page;

	gw_spin_lock(&b->lock);
	page = gw_list_pop_front(b->machine, &b->lists[which]);
	if (page != GW_PFN_NONE)
		gw_frame_set_index(gw_page(b->machine, page), 0);
	gw_spin_unlock(&b->lock);
	return page;
}

/* ---- migration ---- */

static bool
isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	(void)mode;
	return delist(balloon_of(m, page), page);
}

static void
putback(struct gw_machine *m, gw_pfn_t page)
{
	enlist(balloon_of(m, page), page);
}

/* Page and its piece have the same bytes: none. */
static int
split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	(void)m;
	(void)page;
	(void)order;
	return 0;
}

static bool
is_locked(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED;
}

static int
migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct gw_balloon *b = balloon_of(m, src);
	unsigned order = order_of(m, src);

	(void)mode;
	GW_BUG_ON(m, !is_locked(m, src) || !is_locked(m, dst)); /* B4 */
	if (b->driver.give(b->driver.ctx, dst, order))
		return -EAGAIN;
	b->driver.take_back(b->driver.ctx, src, order);
	gw_count(m, GW_VM_BALLOON_MIGRATE, (uint64_t)1 << order);
	enlist(b, dst); /* who takes it from there waits for the page lock (B2) */
	return 0;
}

/* ---- the calls ---- */

int
gw_balloon_create(
	struct gw_machine *m, const struct gw_balloon_driver *driver, struct gw_balloon **out)
{
	struct gw_balloon *b = m->ops->alloc(m->ctx, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->ops = (struct gw_movable_ops){
		.isolate = isolate, .migrate = migrate, .putback = putback, .split = split};
	b->machine = m;
	b->driver = *driver;
	gw_spin_init(&b->lock, GW_RANK_LEAF);
	for (unsigned i = 0; i < N_LISTS; i++)
		gw_page_list_init(&b->lists[i]);
	*out = b;
	return 0;
}

void
gw_balloon_destroy(struct gw_balloon *balloon)
{
	struct gw_machine *m;

	if (!balloon)
		return;
	m = balloon->machine;
	(void)gw_balloon_deflate(balloon, UINT64_MAX);
	GW_BUG_ON(m, gw_balloon_frames(balloon));
	m->ops->release(m->ctx, balloon, sizeof(*balloon));
}

/* One more page for the host. */
static bool
inflate(struct gw_balloon *b, gw_gfp_t gfp, unsigned order)
{
	struct gw_machine *m = b->machine;
	gw_pfn_t page;

	if (gw_alloc_pages(m, gfp, 0, order, &page))
		return false;
	if (b->driver.give(b->driver.ctx, page, order)) {
		gw_put_page(m, page);
		return false;
	}
	gw_u64_add_relaxed(&b->frames, (uint64_t)1 << order);
	gw_count(m, GW_VM_BALLOON_INFLATE, (uint64_t)1 << order);
	gw_page_set_movable(m, page, &b->ops, 0);
	enlist(b, page);
	return true;
}

uint64_t
gw_balloon_inflate(struct gw_balloon *balloon, uint64_t n)
{
	uint64_t done = 0;

	while (done < n && inflate(balloon, GW_GFP_MOVABLE | GW_GFP_NORETRY, 0))
		done++;
	return done;
}

uint64_t
gw_balloon_inflate_blocks(struct gw_balloon *balloon, uint64_t n)
{
	unsigned order = balloon->machine->config.pageblock_order;
	uint64_t done = 0;

	while (done < n && inflate(balloon, GW_GFP_USER_MOVABLE, order))
		done++;
	return done;
}

/* B2: page, which is on no list, has no owner any more. */
static void
disown(struct gw_machine *m, gw_pfn_t page)
{
	if (gw_fix(m, GW_FIX_BALLOON_LOCK))
		gw_page_lock(m, page);
	gw_page_set_movable(m, page, NULL, 0);
	if (gw_fix(m, GW_FIX_BALLOON_LOCK))
		gw_page_unlock(m, page);
}

static void
give_up(struct gw_balloon *b, gw_pfn_t page, unsigned order)
{
	struct gw_machine *m = b->machine;

	b->driver.take_back(b->driver.ctx, page, order);
	gw_u64_sub_relaxed(&b->frames, (uint64_t)1 << order);
	gw_count(m, GW_VM_BALLOON_DEFLATE, (uint64_t)1 << order);
	gw_put_page(m, page);
}

/* A large page becomes single frames, all of the balloon's. */
static void
take_apart(struct gw_balloon *b, gw_pfn_t page)
{
	struct gw_machine *m = b->machine;
	unsigned order = order_of(m, page);

	gw_page_lock(m, page);
	gw_page_set_movable(m, page, NULL, 0);
	/* Who looked at it while it was a movable page lets go of it soon. */
	while (!gw_ref_freeze(&gw_page(m, page)->refcount, 1))
		gw_relax();
	gw_split_page(m, page, order, 1);
	gw_ref_unfreeze(&gw_page(m, page)->refcount, 1);
	gw_page_unlock(m, page);
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++) {
		gw_page_set_movable(m, page + i, &b->ops, 0);
		enlist(b, page + i);
	}
}

/* The next page to come back, of at most n frames. */
static gw_pfn_t
pop_next(struct gw_balloon *b, uint64_t n)
{
	gw_pfn_t page = pop(b, SINGLE);

	if (page != GW_PFN_NONE)
		return page;
	page = pop(b, LARGE);
	if (page == GW_PFN_NONE || (uint64_t)1 << order_of(b->machine, page) <= n)
		return page;
	take_apart(b, page);
	return pop(b, SINGLE);
}

uint64_t
gw_balloon_deflate(struct gw_balloon *balloon, uint64_t n)
{
	uint64_t done = 0;

	while (done < n) {
		gw_pfn_t page = pop_next(balloon, n - done);
		unsigned order;

		if (page == GW_PFN_NONE)
			break;
		order = order_of(balloon->machine, page);
		disown(balloon->machine, page);
		give_up(balloon, page, order);
		done += (uint64_t)1 << order;
	}
	return done;
}

uint64_t
gw_balloon_frames(const struct gw_balloon *balloon)
{
	return gw_u64_load_relaxed(&balloon->frames);
}
