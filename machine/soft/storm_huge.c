/* SPDX-License-Identifier: MIT */
/*
 * storm_huge.c - the storm's large pages: faults make them of all sizes and everywhere, programs
 * work on a region that holds whole huge pages, and they are split and collapsed under them.
 *
 * What changes a region's shape (storm_layout.c) meets this region as any other: so huge entries
 * are split, and huge pages mapped in part, moved to places where they fit no huge entry, forked,
 * written after a fork, given back, bound to other nodes.
 */
#include "engine/phys/phys.h"
#include "godwit/migrate.h"
#include "machine/soft/storm_internal.h"

#define HUGE_AREA  ((gw_vaddr_t)1 << 40)
#define HUGE_BYTES ((gw_vaddr_t)GW_PAGE_SIZE << GW_HUGE_ORDER)

int
storm_huge_open(struct storm *s)
{
	struct gw_thp_tunables thp;

	gw_thp_tunables_init(&thp);
	thp.enabled = GW_THP_ALWAYS;
	for (unsigned order = GW_LARGE_ORDER_MIN; order <= GW_HUGE_ORDER; order++)
		thp.orders |= 1u << order;
	thp.max_ptes_none = 1u << (GW_HUGE_ORDER - 1);
	thp.shrink_underused = true;
	return gw_machine_set_thp(s->m, &thp);
}

gw_vaddr_t
storm_huge_place(struct storm_thread *t)
{
	return HUGE_AREA + storm_below(t, 64) * HUGE_BYTES;
}

void
storm_huge(struct storm_thread *t, struct storm_program *p)
{
	struct storm_region *r = &p->regions[STORM_HUGE];

	pthread_mutex_lock(&r->mutex);
	if (storm_below(t, 4))
		(void)storm_write(t, p, r);
	else if (storm_below(t, 8))
		(void)storm_verify_some(t, p, r);
	else
		(void)storm_verify(t, p, r, r->first, r->end);
	pthread_mutex_unlock(&r->mutex);
}

/* ---- splits ---- */

/* With a reference, it stays what it is while it is locked. */
static bool
is_large_anon(struct gw_machine *m, gw_pfn_t head, unsigned *order)
{
	struct gw_frame_info info;

	if (gw_frame_info(m, head, &info) || info.head != head || info.order == 0 ||
		gw_page_flags(gw_page(m, head)) & GW_PG_HUGETLB)
		return false;
	*order = info.order;
	return gw_owner_is_anon(gw_ptr_load_relaxed(&gw_page(m, head)->owner));
}

static unsigned
any_new_order(struct storm_thread *t, unsigned order)
{
	unsigned new_order = storm_below(t, order);

	return new_order < GW_LARGE_ORDER_MIN ? 0 : new_order;
}

/* The page is locked, and this task's reference the only one that is nobody's entry or list's. */
static int
split_on_lru(struct storm_thread *t, gw_pfn_t head, unsigned order)
{
	struct gw_machine *m = t->s->m;
	gw_pfn_t page = head + storm_below(t, 1u << order);
	int err;

	switch (storm_below(t, 3)) {
	case 0:
		err = gw_split_huge(m, page);
		break;
	case 1:
		err = gw_split_huge_to_order(m, page, any_new_order(t, order), NULL);
		break;
	default:
		err = gw_split_huge_around(m, page, any_new_order(t, order));
		break;
	}
	page = err ? head : gw_page_head(m, page);
	gw_page_unlock(m, page);
	gw_put_page(m, page);
	return err;
}

/* Somebody else has a reference: nothing may happen. */
static int
split_pinned(struct storm_thread *t, gw_pfn_t head)
{
	struct gw_machine *m = t->s->m;
	int err;

	gw_get_page(m, head);
	err = gw_split_huge(m, head);
	if (err == 0)
		storm_lost(t->s, "page %u was split, pinned", head);
	gw_page_unlock(m, head);
	gw_put_page(m, head);
	gw_put_page(m, head);
	return err;
}

static int
split_isolated(struct storm_thread *t, gw_pfn_t head)
{
	struct gw_machine *m = t->s->m;
	struct gw_page_list list;
	unsigned order;
	int err = 0;

	gw_page_list_init(&list);
	if (gw_isolate_page(m, head, GW_MIGRATE_SYNC, &list))
		return 0;
	gw_page_lock(m, head);
	if (is_large_anon(m, head, &order))
		err = gw_split_huge_to_order(m, head, any_new_order(t, order), &list);
	gw_page_unlock(m, head);
	gw_putback_movable_pages(m, &list);
	return err;
}

static int
split_here(struct storm_thread *t, gw_pfn_t head)
{
	struct gw_machine *m = t->s->m;
	unsigned order;

	if (storm_below(t, 4) == 0)
		return split_isolated(t, head);
	if (!gw_get_page_unless_zero(m, head))
		return 0;
	gw_page_lock(m, head);
	if (!is_large_anon(m, head, &order)) {
		gw_page_unlock(m, head);
		gw_put_page(m, head);
		return 0;
	}
	return storm_below(t, 8) ? split_on_lru(t, head, order) : split_pinned(t, head);
}

void
storm_split(struct storm_thread *t)
{
	struct gw_frame_info info;

	for (unsigned i = 0; i < 16; i++) {
		int err;

		if (gw_frame_info(t->s->m, storm_below(t, t->s->n_frames), &info) ||
			info.state != GW_STATE_MOVABLE || info.order == 0)
			continue;
		err = split_here(t, info.head);
		if (err && err != -EBUSY)
			storm_lost(t->s, "splitting page %u gave %d", info.head, err);
	}
}

/* ---- collapse ---- */

static void
collapse_region(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	enum gw_scan_result why = GW_SCAN_SUCCEED;
	int err;

	if (r->first == r->end)
		return;
	err = gw_collapse(
		p->mm, r->base + r->first * GW_PAGE_SIZE, (r->end - r->first) * GW_PAGE_SIZE, &why);
	if (err == 0 ? why != GW_SCAN_SUCCEED
		     : why == GW_SCAN_SUCCEED ||
				(err != -EINVAL && err != -ENOMEM && err != -EAGAIN))
		storm_lost(t->s, "address space %u, %#llx: collapse gave %d, %s", gw_mm_id(p->mm),
			(unsigned long long)r->base, err, gw_scan_result_name(why));
	(void)storm_verify_some(t, p, r);
}

/* As khugepaged does: whatever is in the way there, its limits chosen anew. */
static void
look_for_small_pages(struct storm_thread *t, struct storm_program *p)
{
	struct gw_khugepaged *k = &t->khugepaged;
	const unsigned n = 1u << GW_HUGE_ORDER;

	if (k->pages_to_scan == 0)
		gw_khugepaged_init(k);
	k->scan_sleep_ms = k->alloc_sleep_ms = 0;
	k->max_ptes_none = storm_below(t, n);
	k->max_ptes_swap = storm_below(t, n);
	k->max_ptes_shared = storm_below(t, n);
	(void)gw_khugepaged_scan(k, t->s->m, &p->mm, 1);
}

void
storm_collapse(struct storm_thread *t, struct storm_program *p)
{
	struct storm_region *r = &p->regions[STORM_HUGE];

	if (storm_below(t, 2)) {
		look_for_small_pages(t, p);
		return;
	}
	pthread_mutex_lock(&r->mutex);
	collapse_region(t, p, r);
	pthread_mutex_unlock(&r->mutex);
}
