/* SPDX-License-Identifier: MIT */
/*
 * split.c - splitting a large anonymous page (FACTS 1.2, document B, with the freeze of today).
 *
 * Idea. The page's entries become migration entries of its frames, which gives up their maps and
 * references. If the caller's reference is the only one left then, it is frozen, and nobody but
 * frozen entries knows the page: its frames become pages of their own. The same entries, removed,
 * map these.
 *   S1  check        the caller's mistakes are fatal (B2); an order that cannot be is -EINVAL
 *   S2  anon_vma     held, or -EBUSY: mapped nowhere, or nearly so; its root locked for writing, so
 *                    that one splits or collapses at a time (B4)
 *   S3  look first   references beyond the entries' and the caller's: -EBUSY before any entry is
 *                    touched, so that no huge entry is split for nothing (B3, B5)
 *   S4  freeze       present entries to migration entries, huge ones straight away; then a flush
 *                    (B6). No huge entry is left (B7)
 *   S5  count again  the reference count is stable but for pins that come from elsewhere: frozen at
 *                    0 if it is the caller's one, else -EBUSY and S7 (B8)
 *   S6  distribute   under the LRU lock, from the last piece down to the head: owner, index, flags
 *                    (B11), charge, LRU place or the caller's list (B12), references, which are
 *                    added, never stored: whoever tries to get one of a tail meanwhile fails or
 *                    counts (B10)
 *   S7  thaw         migration entries to entries of the pieces, or of the page if it failed; table
 *                    by table (B13, B14)
 *   S8  let go       unlock the anon_vma; then all pieces but the caller's are unlocked and lose
 *                    the split's reference: those that nobody maps are free (B15)
 * Counters: thp_split_page, thp_split_page_failed (B16).
 *
 * Invariants
 *   B1  before S4 nothing has changed; after a failure the page is whole, its counts are what they
 *       were, and what was mapped is
 *   B2  each piece is locked from its first reference on until no migration entry names it (I1)
 *
 * The document leaves entries without their soft-dirty and young marks; here they keep both, as in
 * Linux today.
 */
#include <stdio.h>

#include "engine/huge/huge.h"
#include "engine/phys/charge.h"
#include "engine/virt/policy.h"
#include "engine/virt/rmap.h"

struct split {
	struct gw_machine *m;
	gw_pfn_t head, n;   /* the page, and its frames */
	gw_pfn_t keep;	    /* the caller's frame, from the head on */
	unsigned new_order; /* of all pieces, or of that around `keep` */
	bool uniform;
	bool zeros; /* frames full of zeros need no page of their own any more */
	struct gw_page_list *list;
	struct gw_anon_vma *anon_vma;
};

/* The piece that frame i will be part of: where it begins, and its order. */
static gw_pfn_t
piece_of(const struct split *s, gw_pfn_t i, unsigned *order)
{
	gw_pfn_t apart = (i ^ s->keep) >> s->new_order;

	*order = s->new_order;
	if (!s->uniform && apart) /* the half, quarter ... that frame i is in and `keep` is not */
		*order += 31 - (unsigned)__builtin_clz(apart);
	if (*order == 1) /* FACTS 2.4: no anonymous page of order 1 */
		*order = 0;
	return i & ~(((gw_pfn_t)1 << *order) - 1);
}

/* ---- S1 to S3 ---- */

static int
check(const struct split *s, unsigned order)
{
	const struct gw_page *page = gw_page(s->m, s->head);
	uint32_t flags = gw_page_flags(page);

	GW_BUG_ON(s->m, !(flags & GW_PG_LOCKED));
	GW_BUG_ON(s->m, !(flags & GW_PG_COMPOUND));
	GW_BUG_ON(s->m, !gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)));
	GW_BUG_ON(s->m, s->list && flags & GW_PG_LRU);
	return s->new_order >= order || s->new_order == 1 ? -EINVAL : 0;
}

/* Has the page more references than its entries have, and the caller? */
static bool
is_pinned(const struct split *s)
{
	struct gw_page *page = gw_page(s->m, s->head);

	return gw_ref_read(&page->refcount) != gw_u32_load_relaxed(&page->mapcount) + 1;
}

static int
hold_anon_vma(struct split *s)
{
	if (!(gw_page_flags(gw_page(s->m, s->head)) & (GW_PG_LRU | GW_PG_LRU_HELD)))
		gw_lru_add_drain(s->m); /* a batch of this CPU may hold a reference */
	s->anon_vma = gw_page_get_anon_vma(s->m, s->head);
	if (!s->anon_vma)
		return -EBUSY;
	gw_anon_vma_write_lock(s->anon_vma);
	return 0;
}

static void
let_go_of_anon_vma(const struct split *s)
{
	gw_anon_vma_write_unlock(s->anon_vma);
	gw_anon_vma_put(s->anon_vma);
}

/* ---- S4, S5 ---- */

#if GW_CHECKS
/* B8: fewer references than maps is nobody's pin, but a count gone wrong. */
static void
check_counts(const struct split *s, uint32_t refs, uint32_t maps)
{
	char line[GW_MESSAGE_MAX];

	if (maps < refs)
		return;
	snprintf(line, sizeof(line), "page %#x that is split has %u maps and %u references",
		s->head, maps, refs);
	gw_bug(s->m, line);
}
#endif

/* S5. Without its fix what was counted before the freeze is believed. */
static bool
freeze_references(const struct split *s)
{
	gw_refcount *refs = &gw_page(s->m, s->head)->refcount;

	if (gw_fix(s->m, GW_FIX_SPLIT_RECHECK))
		return gw_ref_freeze(refs, 1);
	gw_ref_set(refs, 0);
	return true;
}

/* 0: nobody has the page. */
static int
freeze(const struct split *s)
{
	struct gw_page *page = gw_page(s->m, s->head);

	if (gw_unmap_for_split(s->m, s->head, s->anon_vma) < 0)
		return -EBUSY;
	s->m->ops->flush_frames(s->m->ctx, &s->head, 1);
	GW_CHECK_ON(s->m, gw_u32_load_relaxed(gw_page_entire_maps(page)) != 0); /* B7 */
#if GW_CHECKS
	check_counts(s, gw_ref_read(&page->refcount), gw_page_total_mapcount(s->m, s->head));
#endif
	return freeze_references(s) ? 0 : -EBUSY;
}

/* ---- S6 ---- */

/* B11 */
#define COPIED_FLAGS                                                                               \
	(GW_PG_LOCKED | GW_PG_LRU | GW_PG_LRU_HELD | GW_PG_ISOLATED | GW_PG_ACTIVE | GW_PG_FILE |  \
		GW_PG_UNEVICTABLE | GW_PG_MLOCKED | GW_PG_REFERENCED | GW_PG_UPTODATE |            \
		GW_PG_CHARGED)

/* B10: the split's reference, and the list's. Without its fix they are stored one after the other;
 * in between somebody may have got one. */
static void
count_references(const struct split *s, gw_pfn_t piece)
{
	gw_refcount *refs = &gw_page(s->m, piece)->refcount;
	uint32_t n = s->list ? 2 : 1;

	if (gw_fix(s->m, GW_FIX_SPLIT_TAIL_ADD)) {
		gw_ref_add(refs, n);
		return;
	}
	for (uint32_t i = 1; i <= n; i++)
		gw_ref_set(refs, i);
}

static void
make_piece(const struct split *s, gw_pfn_t start, unsigned order)
{
	struct gw_machine *m = s->m;
	const struct gw_page *head = gw_page(m, s->head);
	uint32_t flags = (gw_page_flags(head) & COPIED_FLAGS) | GW_PG_DIRTY;
	gw_pfn_t piece = s->head + start;

	gw_split_piece(m, s->head, start, order, gw_frame_index(head) + start, flags);
	if (flags & GW_PG_CHARGED)
		gw_charge_split(m, s->head, piece);
	gw_hint_migrate(m, piece, s->head); /* who used it last */
	gw_lru_split_piece(m, s->head, piece, s->list);
	count_references(s, piece);
}

static void
distribute(const struct split *s)
{
	unsigned order;

	gw_lru_split_begin(s->m, s->head);
	for (gw_pfn_t end = s->n, start; end > 0; end = start) {
		start = piece_of(s, end - 1, &order);
		if (start > 0)
			make_piece(s, start, order);
		else
			gw_split_piece(s->m, s->head, 0, order, 0, 0);
	}
	gw_lru_split_end(s->m, s->head);
	gw_ref_unfreeze(&gw_page(s->m, s->head)->refcount, 1);
}

/* ---- S8 ---- */

static void
let_go_of_pieces(const struct split *s)
{
	unsigned order;
	gw_pfn_t kept = piece_of(s, s->keep, &order);

	for (gw_pfn_t i = 0; i < s->n; i += (gw_pfn_t)1 << order) {
		if (piece_of(s, i, &order) == kept)
			continue;
		gw_page_unlock(s->m, s->head + i);
		gw_put_page(s->m, s->head + i);
	}
}

/* ---- all of it ---- */

static int
split_held(const struct split *s)
{
	int err;

	if (is_pinned(s))
		return -EBUSY;
	err = freeze(s);
	if (!err) {
		gw_deferred_remove(s->m, s->head); /* it is linked through a tail */
		distribute(s);
	}
	gw_map_pieces(s->m, s->head, s->n, !err && s->zeros, s->anon_vma);
	return err;
}

static int
split(struct split *s)
{
	struct gw_machine *m = s->m;
	unsigned order = gw_flags_order(gw_page_flags(gw_page(m, s->head)));
	int err = check(s, order);

	gw_might_sleep();
	s->n = (gw_pfn_t)1 << order;
	if (!err)
		err = hold_anon_vma(s);
	if (!err) {
		err = split_held(s);
		let_go_of_anon_vma(s);
	}
	if (!err)
		let_go_of_pieces(s);
	gw_count(m, err ? GW_VM_THP_SPLIT_PAGE_FAILED : GW_VM_THP_SPLIT_PAGE, 1);
	return err;
}

static struct split
split_of(struct gw_machine *m, gw_pfn_t page, unsigned new_order)
{
	gw_pfn_t head = gw_page_head(m, page);

	return (struct split){.m = m, .head = head, .keep = page - head, .new_order = new_order};
}

int
gw_split_huge_to_order(
	struct gw_machine *m, gw_pfn_t page, unsigned new_order, struct gw_page_list *list)
{
	struct split s = split_of(m, page, new_order);

	s.uniform = true;
	s.list = list;
	return split(&s);
}

int
gw_split_huge_to_list(struct gw_machine *m, gw_pfn_t page, struct gw_page_list *list)
{
	return gw_split_huge_to_order(m, page, 0, list);
}

int
gw_split_huge(struct gw_machine *m, gw_pfn_t page)
{
	return gw_split_huge_to_order(m, page, 0, NULL);
}

int
gw_split_underused(struct gw_machine *m, gw_pfn_t page)
{
	struct split s = split_of(m, page, 0);

	s.uniform = true;
	s.zeros = true;
	return split(&s);
}

int
gw_split_huge_around(struct gw_machine *m, gw_pfn_t page, unsigned new_order)
{
	struct split s = split_of(m, page, new_order);

	return split(&s);
}
