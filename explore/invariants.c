/* SPDX-License-Identifier: MIT */
/*
 * invariants.c - what must hold of the machine after each step, of FACTS 1.0 what is cheap.
 *
 * Idea. A step says what it changed, so only that is looked at: a word of a page table, a frame's
 * flags or references, a zone's lock that came free. The migration entries that there are stand on
 * a list, which is short. Most steps change nothing of these and cost a comparison or two.
 *
 *   I1, I2  a migration entry names a page in use that is locked: when the entry is made, and
 *           whenever that page's flags change
 *   I7      a tail has no references, nor has a free frame
 *   I9      a free frame is neither locked nor waited for: whoever does that to a page without a
 *           reference to it is seen
 *   I10     a zone's free areas add up to its count of free frames, whenever its lock is free
 *
 * The others are seen by other means: docs/explorer.md.
 */
#include "engine/phys/phys.h"
#include "engine/virt/pte.h"
#include "explore/explore_internal.h"

static bool
is_free_type(enum gw_page_type type)
{
	return type == GW_PAGE_BUDDY || type == GW_PAGE_FREE || type == GW_PAGE_PCP;
}

static gw_pte_t
read_entry(const struct gw_x_entries *e, uint32_t i)
{
	return *(const uint64_t *)e->words[i]; /* cppcheck-suppress intToPointerCast */
}

gw_pfn_t
gw_x_head(const struct gw_machine *m, gw_pfn_t frame)
{
	const struct gw_page *page;

	if (frame >= m->n_frames)
		return GW_PFN_NONE;
	page = &m->pages[frame];
	return gw_flags_type(page->flags.v) == GW_PAGE_TAIL ? frame - page->index.v : frame;
}

static bool
is_locked(const struct gw_machine *m, gw_pfn_t head)
{
	uint32_t flags = head < m->n_frames ? m->pages[head].flags.v : 0;

	return gw_flags_type(flags) == GW_PAGE_USED && flags & GW_PG_LOCKED;
}

static void
forget_entry(struct gw_x_entries *e, uint32_t i)
{
	e->words[i] = e->words[--e->n];
}

/* A word of a page table has changed. */
static void
check_entry(struct gw_explorer *x, const struct gw_machine *m, uintptr_t word)
{
	struct gw_x_entries *e = &x->entries;
	gw_pte_t pte;
	uint32_t i = 0;

	while (i < e->n && e->words[i] != word)
		i++;
	if (i == e->n) {
		if (!gw_x_grow(&e->words, &e->room, e->n, sizeof(*e->words)))
			gw_x_give_up(x);
		e->words[e->n++] = word;
	}
	pte = read_entry(e, i);
	if (!gw_pte_is_migration(pte))
		forget_entry(e, i);
	else if (!is_locked(m, gw_x_head(m, gw_pte_pfn(pte))))
		gw_x_found(x, GW_EXPLORE_BUG,
			"I1: a migration entry names frame %u, which is not locked",
			gw_pte_pfn(pte));
}

/* A frame's flags have changed; tables that were given back are off the list by now, or their words
 * are something else. */
static void
check_named(struct gw_explorer *x, const struct gw_machine *m, gw_pfn_t frame)
{
	struct gw_x_entries *e = &x->entries;

	if (is_locked(m, frame))
		return;
	for (uint32_t i = e->n; i-- > 0;) {
		gw_pte_t pte = read_entry(e, i);

		if (!gw_pte_is_migration(pte))
			forget_entry(e, i);
		else if (gw_x_head(m, gw_pte_pfn(pte)) == frame)
			gw_x_found(x, GW_EXPLORE_BUG,
				"I2: frame %u is unlocked while a migration entry names it", frame);
	}
}

static void
check_frame(struct gw_explorer *x, const struct gw_machine *m, gw_pfn_t frame)
{
	const struct gw_page *page = &m->pages[frame];
	enum gw_page_type type = gw_flags_type(page->flags.v);
	uint32_t references = page->refcount.count.v;

	if (x->entries.n)
		check_named(x, m, frame);
	if (type == GW_PAGE_USED || type == GW_PAGE_RESERVED)
		return;
	if (references && type == GW_PAGE_TAIL)
		gw_x_found(x, GW_EXPLORE_BUG, "I7: the tail frame %u has %u references", frame,
			references);
	if (references)
		gw_x_found(x, GW_EXPLORE_BUG, "I7: frame %u has %u references, and is free", frame,
			references);
	if (is_free_type(type) && page->flags.v & (GW_PG_LOCKED | GW_PG_WAITERS))
		gw_x_found(x, GW_EXPLORE_BUG, "I9: frame %u is %s, and is free", frame,
			page->flags.v & GW_PG_LOCKED ? "locked" : "waited for");
}

static void
check_zone(struct gw_explorer *x, const struct gw_machine *m, const struct gw_zone *zone)
{
	uint64_t free_frames = 0;

	for (unsigned o = 0; o <= m->config.max_order; o++)
		free_frames +=
			(zone->free_area[o].nr_free - zone->free_area[o].lists[GW_MT_ISOLATE].n)
			<< o;
	if (free_frames != zone->nr_free.v)
		gw_x_found(x, GW_EXPLORE_BUG,
			"I10: zone %s counts %llu free frames, and its free areas hold %llu",
			zone->name, (unsigned long long)zone->nr_free.v,
			(unsigned long long)free_frames);
}

static void
check_change(struct gw_explorer *x, const struct gw_machine *m, const struct gw_x_access *a)
{
	uintptr_t at = a->start - (uintptr_t)m->pages;

	if (at < m->n_frames * sizeof(*m->pages)) {
		size_t field = at % sizeof(*m->pages);

		if (field == offsetof(struct gw_page, flags) ||
			field == offsetof(struct gw_page, refcount))
			check_frame(x, m, (gw_pfn_t)(at / sizeof(*m->pages)));
	} else if (a->bytes == sizeof(uint64_t) && gw_x_machine_bytes(x, a->start)) {
		check_entry(x, m, a->start);
	} else if (a->how & GW_LOCKING) {
		for (unsigned z = 0; z < m->n_zones; z++)
			if (a->start == (uintptr_t)&m->zones[z].lock &&
				!gw_spin_is_held(&m->zones[z].lock))
				check_zone(x, m, &m->zones[z]);
	}
}

void
gw_x_invariants_check(struct gw_explorer *x)
{
	const struct gw_x_event *e = &x->events[x->n_events - 1];
	const struct gw_machine *m = gw_x_machine_of(x);

	if (!m || x->scenario->no_machine_check)
		return;
	for (uint32_t i = 0; i < e->n; i++)
		if (x->accesses[e->first + i].how & (GW_CHANGES | GW_ADDS))
			check_change(x, m, &x->accesses[e->first + i]);
}
